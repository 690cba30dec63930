//! Notice: something to log about an endpoint. Each is a change, not a repetition.

use std::time::Duration;

/// Something to log about an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It does not work any more.
    Failing {
        /// Attempts it took to believe it.
        attempts: u32,
        /// What came of the last one.
        error: String,
    },
    /// It works again.
    Recovered {
        /// For how long it did not.
        failing_for: Duration,
        /// Probes sent meanwhile.
        probes: u32,
    },
    /// Another of its addresses is in use.
    Switched {
        /// Its place: 0 is the endpoint's own, the fallbacks follow.
        to: usize,
        /// The host there.
        host: String,
        /// What came of the last attempt that was not delivered.
        error: String,
    },
    /// What was said of it a while ago is still so. For alerts alone: the log has it.
    StillSo(Box<Notice>),
    /// It asked for a pause, longer than the time between probes.
    Paused {
        /// How long.
        after: Duration,
        /// What came of the attempt.
        error: String,
    },
    /// Too many of its events wait for their own retry: nothing new is taken.
    HoldsBack,
    /// So few of its events wait again that new ones are taken.
    TakesOn,
    /// Events became dead letters since the last such notice.
    Buried {
        /// How many.
        count: u64,
        /// The id of the latest.
        id: String,
        /// Its attempts.
        attempts: u32,
        /// What came of the last one.
        error: String,
    },
    /// It said twice that it is no more; nothing is sent until the operator resumes it.
    Stopped,
    /// The queue cannot be read for it.
    Unreadable {
        /// Why.
        error: String,
    },
    /// Events put off cannot be read, and those behind them in the endpoint's order go on.
    GoesOnWithout {
        /// Why.
        error: String,
    },
    /// The queue can be read again.
    Readable,
    /// It mirrors another endpoint, and fell too far behind that one.
    FellBehind {
        /// Events it was spared since the last such notice.
        count: u64,
    },
    /// It mirrored another endpoint, and its time is over.
    MirrorOver {
        /// The other one.
        of: String,
    },
}

impl Notice {
    /// Writes the log line.
    pub fn log(&self, endpoint: &str) {
        match self {
            Notice::Failing { attempts, error } => {
                log::warn!(
                    "endpoint failing endpoint={endpoint} attempts={attempts} error={error:?}"
                );
            }
            Notice::Recovered {
                failing_for,
                probes,
            } => {
                let secs = failing_for.as_secs_f64();
                log::info!(
                    "endpoint recovered endpoint={endpoint} failing_secs={secs:.1} probes={probes}"
                );
            }
            Notice::Switched { to: 0, host, .. } => {
                log::info!("endpoint back at its own address endpoint={endpoint} host={host}");
            }
            Notice::Switched { to, host, error } => {
                log::warn!(
                    "endpoint uses a fallback endpoint={endpoint} fallback={to} host={host} error={error:?}"
                );
            }
            Notice::StillSo(_) => {}
            Notice::Paused { after, error } => {
                let secs = after.as_secs();
                log::warn!("endpoint paused endpoint={endpoint} for_secs={secs} error={error:?}");
            }
            Notice::HoldsBack => {
                log::warn!(
                    "endpoint holds back, too many events wait for their own retry endpoint={endpoint}"
                );
            }
            Notice::TakesOn => log::info!("endpoint takes new events again endpoint={endpoint}"),
            Notice::Buried {
                count,
                id,
                attempts,
                error,
            } => {
                log::warn!(
                    "events buried endpoint={endpoint} count={count} last={id} attempts={attempts} error={error:?}"
                );
            }
            Notice::Stopped => {
                log::error!(
                    "endpoint stopped endpoint={endpoint} error=\"status 410 twice\": it is gone; `switchhook endpoints resume {endpoint}` when it is back"
                );
            }
            Notice::Unreadable { error } => {
                log::error!("queue unreadable endpoint={endpoint} error={error:?}")
            }
            Notice::GoesOnWithout { error } => {
                log::error!(
                    "events put off cannot be read, the others go on endpoint={endpoint} error={error:?}"
                )
            }
            Notice::Readable => log::info!("queue readable endpoint={endpoint}"),
            Notice::FellBehind { count } => log::warn!(
                "mirror fell behind, events passed it by endpoint={endpoint} count={count}"
            ),
            Notice::MirrorOver { of } => log::warn!(
                "mirror over, nothing more is sent endpoint={endpoint} mirror={of}; take its table out of the configuration"
            ),
        }
    }
}

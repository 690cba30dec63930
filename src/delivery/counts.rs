//! Counts: what has become of attempts and events since the start, per endpoint.

use super::latency::Percentiles;
use crate::clock::UnixMs;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What has become of an endpoint's attempts and events since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests sent and finished: as many as the receiver has seen or could have seen.
    pub attempts: u64,
    /// Of these, delivered.
    pub delivered: u64,
    /// Of these, refused.
    pub refused: u64,
    /// Of these, unavailable or gone.
    pub unavailable: u64,
    /// Attempts that did not deliver, by the class of what was seen: see
    /// [`CLASSES`](super::outcome::CLASSES).
    pub failures: BTreeMap<&'static str, u64>,
    /// Events given up.
    pub buried: u64,
    /// Events that were not for this endpoint.
    pub skipped: u64,
    /// Of these, events that no endpoint takes. One endpoint counts them for all.
    pub unrouted: u64,
    /// Events that wait for their own retry now.
    pub retrying: u64,
    /// How things stand with the endpoint now.
    pub state: EndpointState,
    /// What the last attempt that was not delivered came to.
    pub last_error: Option<String>,
    /// In one word what kind of failure that was: see [`Failure`](super::outcome::Failure).
    pub last_error_class: &'static str,
    /// How the answer to it began, without secrets; empty where there was none.
    pub last_answer: Vec<u8>,
    /// When that was.
    pub last_error_at: Option<UnixMs>,
    /// When an event was last delivered.
    pub last_success_at: Option<UnixMs>,
    /// For how long the endpoint has been failing, when it is.
    pub failing_for: Option<Duration>,
    /// Until something is sent again, when nothing is sent now.
    pub next_try: Option<Duration>,
    /// When the call happened that waits for longest, of the events in hand.
    pub oldest: Option<UnixMs>,
    /// How long attempts took in the last minutes.
    pub latency: Percentiles,
    /// Time of all attempts together.
    pub latency_sum: Duration,
    /// Time of the longest attempt.
    pub latency_max: Duration,
    /// The address in use, by its place: 0 is the endpoint's own, the fallbacks follow.
    pub address: usize,
    /// Times that another address came into use.
    pub switches: u64,
    /// Events given up because they were older than the endpoint's longest age.
    pub expired: u64,
    /// It has answered 410 once, and is asked once more before it is stopped.
    pub may_be_gone: bool,
    /// For how long the attempt has been under way that has been so for longest.
    pub longest: Option<Duration>,
    /// Attempts under way now.
    pub under_way: u64,
    /// How many may be.
    pub concurrency: u64,
}

/// How things stand with an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndpointState {
    /// It is sent what there is.
    #[default]
    Working,
    /// It does not take events; it is probed.
    Failing,
    /// It asked for a pause longer than the time between probes, and is left alone until then.
    Paused,
    /// The operator has paused it; nothing is sent until he resumes it.
    Held,
    /// It said twice that it is no more; nothing is sent until the operator resumes it.
    Stopped,
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Working => "working",
            Self::Failing => "failing",
            Self::Paused | Self::Held => "paused",
            Self::Stopped => "stopped",
        })
    }
}

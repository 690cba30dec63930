//! Attendant: what waits. Signals, the directory watch and the summary line, on one thread.

use super::service::Service;
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::ingest::Hint;
use crate::progress::Progress;
use crate::queue::{Ledger, Queue};
use crate::shutdown::Shutdown;
use crate::source::{Changed, Watch, WatchProblem};
use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How soon the attendant hears of a stop that did not come by a signal.
const STOP_POLL: Duration = Duration::from_millis(100);

/// Time between two lines of status for the service manager: an account costs a look at the queue.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Whether the process' signals are the agent's to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// SIGTERM and SIGINT stop the agent.
    Heed,
    /// They are somebody else's.
    Ignore,
}

/// What the attending thread needs.
#[derive(Debug)]
pub(super) struct Attendant {
    pub(super) globs: Vec<String>,
    pub(super) hint: Hint,
    pub(super) shutdown: Shutdown,
    pub(super) signals: Signals,
    pub(super) summary_every: Duration,
    pub(super) queue: Queue,
    pub(super) delivery: Arc<Delivery>,
    /// Told once signals are heard: before that they would end the process as they stand.
    pub(super) ready: mpsc::Sender<()>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) service: Arc<Service>,
    /// Whether the ingest pump goes on.
    pub(super) ingest: Progress,
}

impl Attendant {
    /// Attends until the stop is requested; requests it on a signal, and when there can be none.
    pub(super) fn run(self) {
        if let Err(error) = self.attend() {
            log::error!("stopping, the system gives no signals or no events error=\"{error}\"");
        }
        self.shutdown.request();
    }

    fn attend(&self) -> io::Result<()> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let heard = match self.signals {
                Signals::Heed => Some(Heard::register()?),
                Signals::Ignore => None,
            };
            // Whoever started the agent may have given up waiting.
            let _waited_for = self.ready.send(());
            tokio::select! {
                () = self.signalled(heard) => {}
                () = self.watched() => {}
                () = self.summaries() => {}
                () = self.watchdog() => {}
                () = self.statuses() => {}
                () = self.stopped() => {}
            }
            Ok(())
        })
    }

    /// Watches the directories; when that is not possible, the poll has to do.
    async fn watched(&self) {
        if let Err(error) = self.watch().await {
            log::warn!("found by polling only error=\"{error}\"");
        }
        std::future::pending::<()>().await;
    }

    /// Passes on what the kernel tells of the directories; without a watcher, the poll has to do.
    async fn watch(&self) -> io::Result<()> {
        let (watch, problems) = Watch::new(&self.globs);
        tell(&problems);
        let Some(watch) = watch else {
            return std::future::pending().await;
        };
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor may change; Watch keeps one"
        )]
        let mut watch = AsyncFd::with_interest(watch, Interest::READABLE)?;
        loop {
            let mut ready = watch.readable_mut().await?;
            // Before it is emptied: what comes meanwhile makes it readable again.
            ready.clear_ready();
            let mut changed = ready.get_inner_mut().changed();
            while changed != Changed::Nothing {
                if changed == Changed::Names {
                    tell(&ready.get_inner_mut().refresh());
                }
                self.hint.give(changed);
                changed = ready.get_inner_mut().changed();
            }
        }
    }

    /// Says how things stand, at every interval.
    async fn summaries(&self) {
        let mut ticks = interval(self.summary_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await; // The first is at once.
        loop {
            ticks.tick().await;
            summarise(&self.queue.ledger(), &self.delivery);
        }
    }

    /// Feeds the service manager's watchdog while both pumps go on, and says when one does not.
    async fn watchdog(&self) {
        let Some(feeding_time) = self.service.feeding_time() else {
            return std::future::pending().await;
        };
        let mut ticks = interval(feeding_time);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stalled = None;
        loop {
            ticks.tick().await;
            let pumps = [&self.ingest, self.delivery.progress()];
            let fed = self.service.feed(&pumps, self.clock.now());
            match (fed.err(), &stalled) {
                (None, None) => {}
                (None, Some(_)) => {
                    log::warn!("progress again");
                    stalled = None;
                }
                (Some(now), before) => {
                    if before.as_ref() != Some(&now) {
                        log::error!(
                            "no progress, the service manager is not told to wait any longer {now}"
                        );
                    }
                    stalled = Some(now);
                }
            }
        }
    }

    /// Tells the service manager how things stand.
    async fn statuses(&self) {
        let mut ticks = interval(STATUS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = String::new();
        while self.service.is_there() {
            ticks.tick().await;
            let now = standing(&self.queue.ledger(), self.globs.is_empty());
            if now != told {
                self.service.status(&now);
                told = now;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Ends on SIGTERM or SIGINT. SIGHUP is heard and changes nothing.
    async fn signalled(&self, heard: Option<Heard>) {
        let Some(mut heard) = heard else {
            return std::future::pending().await;
        };
        loop {
            tokio::select! {
                _ = heard.terminate.recv() => break,
                _ = heard.interrupt.recv() => break,
                _ = heard.hangup.recv() => {
                    self.service.reloading();
                    log::warn!("configuration not read again, restart the agent for that");
                    self.service.ready();
                }
            }
        }
        log::info!("stopping");
    }

    async fn stopped(&self) {
        while !self.shutdown.is_requested() {
            sleep(STOP_POLL).await;
        }
    }
}

/// The signals that are answered.
#[derive(Debug)]
struct Heard {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Heard {
    fn register() -> io::Result<Heard> {
        Ok(Heard {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

fn tell(problems: &[WatchProblem]) {
    for problem in problems {
        log::warn!("found by polling only error=\"{problem}\"");
    }
}

/// What an operator wants to know first, in one line.
fn standing(ledger: &Ledger, is_idle: bool) -> String {
    if is_idle {
        return "idle: no source and no endpoint is configured".to_string();
    }
    let rows: u64 = ledger
        .sources
        .iter()
        .map(|(_, kept)| kept.counts.rows)
        .sum();
    let (mut delivered, mut queued, mut dead) = (0, 0, 0);
    for kept in &ledger.endpoints {
        delivered += kept.delivered;
        queued += kept.queued + kept.waiting;
        dead += kept.dead;
    }
    format!("{rows} rows read, {delivered} delivered, {queued} waiting, {dead} dead letters")
}

/// One line per source and endpoint: how much has come and gone, and what is left.
fn summarise(ledger: &Ledger, delivery: &Delivery) {
    for (name, source) in &ledger.sources {
        let counts = source.counts;
        log::info!(
            "summary source={name} rows={} events={} set_aside={} filtered={} gaps={}",
            counts.rows,
            source.events,
            counts.rejected,
            counts.filtered,
            counts.gaps
        );
    }
    let counted = delivery.counts();
    for endpoint in &ledger.endpoints {
        let counts = counted
            .iter()
            .find(|(name, _)| *name == endpoint.name)
            .map(|(_, counts)| counts);
        let attempts = counts.map_or(0, |counts| counts.attempts);
        let state = counts.map_or_else(|| "off".to_string(), |counts| counts.state.to_string());
        let latency_ms = counts.map_or(0, |counts| {
            counts.latency_sum.as_millis() / u128::from(counts.attempts.max(1))
        });
        log::info!(
            "summary endpoint={} state={state} delivered={} queued={} waiting={} dead={} skipped={} dropped={} attempts={attempts} latency_ms={latency_ms}",
            endpoint.name,
            endpoint.delivered,
            endpoint.queued,
            endpoint.waiting,
            endpoint.dead,
            endpoint.skipped,
            endpoint.dropped,
        );
    }
}

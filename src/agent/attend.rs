//! Attendant: what waits. Signals, the directory watch, the summary line and the control socket,
//! on one thread.

use super::reload::Attended;
use super::service::Service;
use crate::clock::Clock;
use crate::control::desk::SAMPLE_EVERY;
use crate::control::server::CLIENTS_MAX;
use crate::control::status::Status;
use crate::control::{Desk, Server, metrics};
use crate::delivery::Delivery;
use crate::ingest::Hint;
use crate::progress::Progress;
use crate::queue::Ledger;
use crate::shutdown::Shutdown;
use crate::source::{Changed, Watch, WatchProblem};
use nix::sys::signal::SigSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

/// How soon the attendant hears of a stop that did not come by a signal.
const STOP_POLL: Duration = Duration::from_millis(100);

/// Threads for what takes time: one for each client, the reload of a signal, and the figures.
const WORKERS_MAX: usize = CLIENTS_MAX + 2;

/// Time from one hint of changed files to the next: a switch writes a row at a time, and to be woken
/// for each of a thousand a second costs more than reading them. The first is told at once, and ingest
/// commits no sooner again.
const WATCH_PAUSE: Duration = Duration::from_millis(4);

/// The same while ingest finds rows each time it looks, and needs no hint for it. What only a hint
/// tells, a file that came or was renamed, waits so long then.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Stack of these threads: they parse rows and configurations, whose buffers are on the heap.
const WORKER_STACK_BYTES: usize = 1 << 20;

/// How long a worker thread without work is kept.
const WORKER_IDLE: Duration = Duration::from_secs(2);

/// How long those at work may take to notice the stop: a step of a replay, a page of dead letters.
const WORKERS_GRACE: Duration = Duration::from_secs(5);

/// Time between two tries to listen at the control socket.
const LISTEN_AGAIN: Duration = Duration::from_secs(30);

/// Time between two versions of the file of figures.
const FIGURES_EVERY: Duration = Duration::from_secs(10);
/// Time between two lines of status for the service manager: an account costs a look at the queue.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Whether the process' signals are the agent's to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// SIGTERM and SIGINT stop the agent, SIGHUP has it read its configuration again.
    Heed,
    /// They are somebody else's.
    Ignore,
}

/// What the attending thread needs.
#[derive(Debug)]
pub(super) struct Attendant {
    pub(super) attended: watch::Receiver<Attended>,
    pub(super) hint: Hint,
    pub(super) shutdown: Shutdown,
    pub(super) signals: Signals,
    /// Where the control socket is to be.
    pub(super) socket: PathBuf,
    pub(super) desk: Arc<Desk>,
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
            .max_blocking_threads(WORKERS_MAX)
            .thread_stack_size(WORKER_STACK_BYTES)
            .thread_keep_alive(WORKER_IDLE)
            .thread_name("control")
            .build()?;
        let attended = runtime.block_on(async {
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
                () = self.controlled() => {}
                () = self.figures() => {}
                () = self.watchdog() => {}
                () = self.statuses() => {}
                () = self.stopped() => {}
            }
            Ok(())
        });
        // Workers end by the same word as everybody; until then they may use what is stopped next.
        self.shutdown.request();
        runtime.shutdown_timeout(WORKERS_GRACE);
        attended
    }

    /// Serves the control socket; where it cannot be had, tries again now and then.
    async fn controlled(&self) {
        let mut is_told = false;
        loop {
            match Server::bind(&self.socket) {
                Ok(server) => server.serve(&self.desk).await,
                Err(error) if !is_told => {
                    log::warn!(
                        "no control socket, status and other commands do not work path={:?} error=\"{error}\"",
                        self.socket
                    );
                    is_told = true;
                }
                Err(_) => {}
            }
            sleep(LISTEN_AGAIN).await;
        }
    }

    /// Takes samples for the rates, clears away what the store has done with, and writes the file
    /// of figures.
    async fn figures(&self) {
        let mut ticks = interval(SAMPLE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written_at = None;
        let mut is_failing = false;
        loop {
            ticks.tick().await;
            self.desk.sample();
            let now = self.desk.clock.now();
            let is_due = written_at.is_none_or(|at| now.since(at) >= FIGURES_EVERY);
            let textfile = self.desk.in_force().config.metrics_textfile.clone();
            let textfile = textfile.filter(|_| is_due);
            if textfile.is_some() {
                written_at = Some(now);
            }
            let desk = Arc::clone(&self.desk);
            let figures = spawn_blocking(move || {
                // What cannot be swept now is swept later, and not shown until then.
                while matches!(desk.queue.sweep_dead(), Ok(true)) {}
                textfile.map(|path| metrics::write(&path, &metrics::text(&Status::of(&desk))))
            });
            match figures.await {
                Ok(Some(Err(error))) if !is_failing => {
                    is_failing = true;
                    log::warn!("metrics not written error=\"{error}\"");
                }
                Ok(Some(Ok(()))) => is_failing = false,
                _ => {}
            }
        }
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
        let mut attended = self.attended.clone();
        loop {
            let globs = attended.borrow_and_update().globs.clone();
            tokio::select! {
                watched = self.watch_globs(&globs) => return watched,
                () = globs_changed(&mut attended, &globs) => {}
            }
            // Files of new sources are looked for by themselves; what happens meanwhile is not
            // missed for longer than a poll.
            self.hint.give(Changed::Names);
        }
    }

    async fn watch_globs(&self, globs: &[String]) -> io::Result<()> {
        let (watch, problems) = Watch::new(globs);
        tell(&problems);
        self.hint
            .is_complete(watch.as_ref().is_some_and(Watch::is_complete));
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
                    self.hint.is_complete(ready.get_inner().is_complete());
                }
                let given_at = Instant::now();
                self.hint.give(changed);
                if self.hint.is_spared() {
                    // In time or not, it is looked again.
                    let _awaited = timeout(BUSY_PAUSE, self.hint.awaited()).await;
                }
                sleep_until(given_at + WATCH_PAUSE).await;
                changed = ready.get_inner_mut().changed();
            }
        }
    }

    /// Says how things stand, at every interval.
    async fn summaries(&self) {
        let mut attended = self.attended.clone();
        loop {
            let every = attended.borrow_and_update().summary_every;
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await; // The first is at once.
            loop {
                tokio::select! {
                    _ = ticks.tick() => {
                        summarise(&self.desk.queue.ledger(), &self.desk.delivery);
                    }
                    changed = attended.changed() => {
                        if changed.is_err() || attended.borrow().summary_every != every {
                            break;
                        }
                    }
                }
            }
            if attended.has_changed().is_err() {
                return std::future::pending().await;
            }
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
            let pumps = [&self.ingest, self.desk.delivery.progress()];
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
            let is_idle = self.desk.in_force().config.sources.is_empty();
            let now = standing(&self.desk.queue.ledger(), is_idle);
            if now != told {
                self.service.status(&now);
                told = now;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Ends on SIGTERM or SIGINT; on SIGHUP the configuration is read again.
    async fn signalled(&self, heard: Option<Heard>) {
        let Some(mut heard) = heard else {
            return std::future::pending().await;
        };
        loop {
            tokio::select! {
                _ = heard.terminate.recv() => break,
                _ = heard.interrupt.recv() => break,
                _ = heard.hangup.recv() => {
                    let (desk, service) = (Arc::clone(&self.desk), Arc::clone(&self.service));
                    drop(spawn_blocking(move || {
                        service.reloading();
                        // It says itself what came of it.
                        let _told = desk.reload();
                        service.ready();
                    }));
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
        let heard = Heard {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        // What came since the start is answered now, by this thread.
        hangup().thread_unblock()?;
        Ok(heard)
    }
}

/// Has SIGHUP wait until it is answered: before that it would end the process. For the first thread, before
/// there are others, which do as it does.
///
/// # Errors
///
/// When the system refuses.
pub fn hold_hangups() -> io::Result<()> {
    Ok(hangup().thread_block()?)
}

fn hangup() -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(nix::sys::signal::SIGHUP);
    signals
}

/// Ends when other directories are to be watched.
async fn globs_changed(attended: &mut watch::Receiver<Attended>, globs: &[String]) {
    while attended.changed().await.is_ok() {
        if attended.borrow_and_update().globs != globs {
            return;
        }
    }
    std::future::pending().await
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

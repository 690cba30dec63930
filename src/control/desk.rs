//! Desk: the parts of the running agent that requests are answered from.

use super::listening::PushStatus;
use super::protocol::{Code, Progress, Refusal, Reply, Request};
use super::status::Status;
use super::{apply, dead_letters, places, replay, sources};
use crate::clock::{Clock, Moment, UnixMs};
use crate::config::Config;
use crate::config::place::listed;
use crate::delivery::Delivery;
use crate::ingest::{Mailbox, SourcesStatus};
use crate::listen::Gate;
use crate::logging::LoggingHandle;
use crate::queue::{Ledger, Queue};
use crate::shutdown::Shutdown;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Time between two samples of the ledger, from which rates are made.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// Samples kept: rates are over the last minute.
const SAMPLES_MAX: usize = 12;

/// Under this name and the endpoint's the queue remembers that the operator has paused it.
const PAUSED: &str = "paused/";

/// Replaces the configuration of the running agent.
pub trait Reload: Send + Sync + fmt::Debug {
    /// Replaces it whole, or leaves it as it is.
    ///
    /// # Errors
    ///
    /// Every reason why it stays as it is.
    fn reload(&self) -> Result<Vec<String>, Refusal>;
}

/// The configuration in force.
#[derive(Debug)]
pub struct InForce {
    /// What it says.
    pub config: Config,
    /// Since when.
    pub loaded_at: UnixMs,
}

/// The parts of the running agent.
#[derive(Debug)]
pub struct Desk {
    /// The queue.
    pub queue: Queue,
    /// The delivering pump.
    pub delivery: Arc<Delivery>,
    /// The way to the reading pump.
    pub mailbox: Mailbox,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The agent's stop.
    pub shutdown: Shutdown,
    /// What is shown of the sources' files.
    pub sources: SourcesStatus,
    /// The agent's log, where it is its own.
    pub log: Option<LoggingHandle>,
    /// When the agent was started.
    pub started_at: UnixMs,
    started: Moment,
    in_force: Mutex<Arc<InForce>>,
    reload_error: Mutex<Option<String>>,
    reloader: OnceLock<Arc<dyn Reload>>,
    /// The sources that are pushed to, and where their pushes come in.
    gates: OnceLock<Vec<(Arc<str>, Gate)>>,
    /// Held by the one who takes endpoints down and puts them up: two would put up two of a name.
    reloading: Mutex<()>,
    /// Held by the one configuration that is being applied.
    applying: Mutex<()>,
    /// Held by the one replay that is under way.
    pub(super) replaying: Mutex<()>,
    samples: Mutex<VecDeque<(Moment, Ledger)>>,
}

impl Desk {
    /// A desk in front of the running parts, with `config` in force from now on.
    pub fn new(
        config: Config,
        queue: Queue,
        delivery: Arc<Delivery>,
        (mailbox, sources): (Mailbox, SourcesStatus),
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
        log: Option<LoggingHandle>,
    ) -> Desk {
        let (wall, now) = (clock.wall(), clock.now());
        let in_force = InForce {
            config,
            loaded_at: wall,
        };
        Desk {
            queue,
            delivery,
            mailbox,
            sources,
            clock,
            shutdown,
            log,
            started_at: wall,
            started: now,
            in_force: Mutex::new(Arc::new(in_force)),
            reload_error: Mutex::default(),
            reloader: OnceLock::new(),
            gates: OnceLock::new(),
            reloading: Mutex::default(),
            applying: Mutex::default(),
            replaying: Mutex::default(),
            samples: Mutex::default(),
        }
    }

    /// Has `reloader` reload the configuration. Only the first one counts.
    pub fn reload_by(&self, reloader: Arc<dyn Reload>) {
        // A second one would be the same.
        let _first = self.reloader.set(reloader);
    }

    /// Shows what comes in at `gates`. Only the first ones count: they last as long as the agent.
    pub fn listen_at(&self, gates: Vec<(Arc<str>, Gate)>) {
        let _first = self.gates.set(gates);
    }

    /// What came to the sources that are pushed to, each by its name.
    pub fn pushes(&self) -> impl Iterator<Item = (&Arc<str>, PushStatus)> {
        let gates = self.gates.get().into_iter().flatten();
        gates.map(|(name, gate)| (name, PushStatus::of(gate)))
    }

    /// Why the source called `name` cannot be pushed to, when that is so.
    pub fn cannot_listen(&self, name: &str) -> Option<String> {
        let mut gates = self.gates.get().into_iter().flatten();
        let (_, gate) = gates.find(|(own, _)| **own == *name)?;
        gate.trouble()
    }

    /// The configuration in force.
    pub fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&lock(&self.in_force))
    }

    /// Notes that `config` is in force from now on.
    pub fn put_in_force(&self, config: Config) {
        *lock(&self.in_force) = Arc::new(InForce {
            config,
            loaded_at: self.clock.wall(),
        });
    }

    /// Why the last reload changed nothing, if it did not.
    pub fn reload_error(&self) -> Option<String> {
        lock(&self.reload_error).clone()
    }

    /// The file that was not good is not there any more.
    pub(super) fn forget_reload_error(&self) {
        *lock(&self.reload_error) = None;
    }

    /// Waits until no other configuration is being applied, and holds others up.
    pub(super) fn take_applying(&self) -> MutexGuard<'_, ()> {
        lock(&self.applying)
    }

    /// Waits until nobody else takes endpoints down or puts them up, and holds others up.
    pub(super) fn take_endpoints(&self) -> MutexGuard<'_, ()> {
        lock(&self.reloading)
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.clock.now().since(self.started)
    }

    /// Takes a sample of the ledger, for rates. To be called every [`SAMPLE_EVERY`].
    pub fn sample(&self) {
        let sample = (self.clock.now(), self.queue.ledger());
        let mut samples = lock(&self.samples);
        if samples.len() >= SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// How fast things have gone, from the oldest sample to `ledger`.
    pub fn rates<'l>(&self, ledger: &'l Ledger) -> Rates<'l> {
        let oldest = lock(&self.samples).front().cloned();
        let since = oldest.map(|(at, before)| (self.clock.now().since(at), before));
        Rates { ledger, since }
    }

    /// Answers a request with lines to `replies`; the last one is `done` or `refused`. May take
    /// as long as it takes, and ends early when nobody listens any more or the agent stops.
    pub fn answer(&self, request: Request, replies: &Replies) {
        let answered = match request {
            Request::Status => Ok(told(&Status::of(self))),
            Request::Sources { source } => sources::list(self, source.as_deref(), replies),
            Request::Pause { endpoint } => self.pause(&endpoint),
            Request::Resume { endpoint } => self.resume(&endpoint),
            Request::Forget { endpoint } => places::forget(self, &endpoint),
            Request::ForgetSource { source } => sources::forget(self, &source),
            Request::Adopt { old, new } => places::adopt(self, &old, &new),
            Request::Reload => self.reload().map(|changes| json!({ "changes": changes })),
            Request::Apply { text } => apply::take_on(self, &text),
            Request::DeadLetters {
                filter,
                payload,
                limit,
            } => dead_letters::list(self, &filter, payload, limit, replies),
            Request::DeadReplay { filter, per_second } => {
                dead_letters::replay(self, &filter, per_second, replies)
            }
            Request::DeadPurge { filter } => dead_letters::purge(self, &filter, replies),
            Request::Replay {
                source,
                from_unix_ms,
                to_unix_ms,
                file,
                dry_run,
                per_second,
            } => {
                let wish = replay::Wish {
                    source,
                    from: from_unix_ms.map(UnixMs),
                    to: to_unix_ms.map(UnixMs),
                    file,
                    dry_run,
                    per_second,
                };
                replay::replay(self, &wish, replies)
            }
            // The server answers it itself.
            Request::Tail { .. } => Err(Refusal::new(Code::Usage, "tail is not answered here")),
        };
        replies.send(match answered {
            Ok(value) => Reply::Done(value),
            Err(refusal) => Reply::Refused(refusal),
        });
    }

    /// Replaces the configuration with what its files say now; problems are logged and
    /// remembered.
    ///
    /// # Errors
    ///
    /// Why the old one stays.
    pub fn reload(&self) -> Result<Vec<String>, Refusal> {
        let _one_at_a_time = self.take_endpoints();
        let Some(reloader) = self.reloader.get() else {
            return Err(Refusal::new(
                Code::Configuration,
                "this agent cannot reload",
            ));
        };
        let reloaded = reloader.reload();
        let error = reloaded
            .as_ref()
            .err()
            .map(|refusal| refusal.message.clone());
        match &reloaded {
            Ok(changes) => log::info!("configuration reloaded changes={:?}", listed(changes)),
            Err(refusal) => {
                for problem in refusal.message.lines() {
                    log::error!("configuration not reloaded, the old one stays error={problem:?}");
                }
            }
        }
        *lock(&self.reload_error) = error.and_then(|text| text.lines().next().map(str::to_string));
        reloaded
    }

    /// Whether the operator has paused `endpoint`.
    ///
    /// What cannot be read is taken for no: sending too much is repaired by pausing again.
    pub fn is_paused(queue: &Queue, endpoint: &str) -> bool {
        let value = queue.state_get(&format!("{PAUSED}{endpoint}"));
        value.is_ok_and(|value| value.is_some_and(|value| !value.is_empty()))
    }

    /// Durable before it is done: a crash in between leaves it paused, which the answer would
    /// have said.
    fn pause(&self, endpoint: &str) -> Result<Value, Refusal> {
        self.check_endpoint(endpoint)?;
        self.remember_paused(endpoint, b"1")?;
        self.delivery.hold(endpoint);
        log::warn!("endpoint paused by the operator endpoint={endpoint}");
        Ok(json!({ "endpoint": endpoint, "state": "paused" }))
    }

    fn resume(&self, endpoint: &str) -> Result<Value, Refusal> {
        self.check_endpoint(endpoint)?;
        self.remember_paused(endpoint, b"")?;
        self.delivery.resume(endpoint);
        log::info!("endpoint resumed by the operator endpoint={endpoint}");
        Ok(json!({ "endpoint": endpoint, "state": "working" }))
    }

    fn remember_paused(&self, endpoint: &str, value: &[u8]) -> Result<(), Refusal> {
        let put = self.queue.state_put(&format!("{PAUSED}{endpoint}"), value);
        // An empty commit writes what was put.
        let written = put.and_then(|()| self.queue.commit(&[]));
        written.map(|_| ()).map_err(|error| store(&error))
    }

    pub(super) fn check_endpoint(&self, name: &str) -> Result<(), Refusal> {
        let in_force = self.in_force();
        let mut configured = in_force.config.endpoints.iter();
        if configured.any(|it| *it.endpoint.name == *name) {
            return Ok(());
        }
        Err(Refusal::new(Code::Usage, self.no_endpoint(name)))
    }

    /// Says that there is no endpoint `name`, and which there are.
    pub(super) fn no_endpoint(&self, name: &str) -> String {
        let in_force = self.in_force();
        let names = in_force.config.endpoints.iter().map(|it| &it.endpoint.name);
        format!("there is no endpoint {name:?}; there are {}", listed(names))
    }
}

/// How fast things go.
#[derive(Debug)]
pub struct Rates<'l> {
    ledger: &'l Ledger,
    since: Option<(Duration, Ledger)>,
}

impl Rates<'_> {
    /// Rows of a source in a second.
    pub fn rows(&self, source: &str) -> Option<f64> {
        let rows = |ledger: &Ledger| ledger.source(source).map_or(0, |it| it.counts.rows);
        self.rate(rows)
    }

    /// Events delivered to an endpoint in a second.
    pub fn delivered(&self, endpoint: &str) -> Option<f64> {
        let delivered = |ledger: &Ledger| ledger.endpoint(endpoint).map_or(0, |it| it.delivered);
        self.rate(delivered)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate has a few digits")]
    fn rate(&self, count: impl Fn(&Ledger) -> u64) -> Option<f64> {
        let (span, before) = self.since.as_ref().filter(|(span, _)| !span.is_zero())?;
        let more = count(self.ledger).saturating_sub(count(before));
        Some((more as f64 / span.as_secs_f64() * 10.0).round() / 10.0)
    }
}

/// Where the lines of an answer go.
#[derive(Debug)]
pub struct Replies(Sender<Reply>);

impl Replies {
    /// Lines to `sender`.
    pub fn new(sender: Sender<Reply>) -> Replies {
        Replies(sender)
    }

    /// Sends a line; false when nobody listens any more.
    pub fn send(&self, reply: Reply) -> bool {
        self.0.blocking_send(reply).is_ok()
    }

    /// Tells how far it has come; false when nobody listens any more.
    pub fn progress(&self, done: u64, total: Option<u64>, waiting_for: Option<&str>) -> bool {
        self.send(Reply::Progress(Progress {
            done,
            total,
            waiting_for: waiting_for.map(str::to_string),
        }))
    }
}

/// A refusal because of the store.
pub(super) fn store(error: &dyn fmt::Display) -> Refusal {
    Refusal::new(Code::Store, format!("the store cannot be used: {error}"))
}

fn told(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("what is told is JSON")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

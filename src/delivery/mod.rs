//! Pump 2: entry → signed request → outcome → settlement.
//!
//! Each endpoint has a lane (what is tried next), a transport, and a few threads that share both.
//! Each pass of a thread is five named steps: take, render, sign, send, settle. One thread more
//! writes down what became of the events of all endpoints.
//!
//! What is promised: every event an endpoint wants is delivered at least once, or becomes a dead
//! letter after its attempts; a repeat has the same id. What is not: order.

pub mod breaker;
pub mod counts;
mod crew;
pub mod endpoint;
pub mod entry;
pub mod event_queue;
pub mod lane;
pub mod memory;
pub mod notice;
pub mod outcome;
pub mod profile;
pub mod request;
pub mod retry;
pub mod settler;
pub mod signer;
pub mod transport;
pub mod url;
mod window;

use crate::clock::Clock;
use crate::progress::{Progress, Pulse};
use crate::shutdown::{Bell, Shutdown};
use counts::Counts;
use crew::Crew;
use endpoint::Endpoint;
use entry::Entry;
use event_queue::EventQueue;
use lane::Lane;
use outcome::Outcome;
use request::SignedRequest;
use settler::{Outbox, Settler};
use signer::Signer;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use transport::{Answer, Transport};

/// Stack of a sending thread, in bytes.
///
/// The deepest it gets is the check of a certificate. A handshake with one ECDSA certificate
/// needs between 48 and 64 KiB in a debug build (measured 2026-11, x86_64); longer chains and RSA
/// take more, so four times that. Only what is touched takes memory.
pub const STACK_BYTES: usize = 256 << 10;

/// Most bytes a thread keeps of its body's buffer: an event of the usual size fits many times.
const BODY_BYTES_KEPT: usize = 16 << 10;

/// Makes the transport of an endpoint.
pub type MakeTransport<'m> =
    dyn FnMut(&Endpoint) -> Result<Arc<dyn Transport>, transport::TlsError> + 'm;

/// The running pump.
#[derive(Debug)]
pub struct Delivery {
    crews: Vec<Arc<Crew>>,
    transports: Vec<Arc<dyn Transport>>,
    workers: Vec<JoinHandle<()>>,
    settler: Option<JoinHandle<()>>,
    outbox: Arc<Outbox>,
    leaving: Arc<Leaving>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    progress: Progress,
}

/// Delivery could not be started. Nothing runs.
#[derive(Debug)]
pub enum StartError {
    /// The transport of `endpoint` cannot be made.
    Transport {
        /// The endpoint.
        endpoint: Arc<str>,
        /// Why.
        source: transport::TlsError,
    },
    /// A thread could not be started.
    Thread {
        /// The thread's name.
        name: String,
        /// What the system says.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport { endpoint, .. } => write!(f, "endpoint {endpoint} cannot be set up"),
            Self::Thread { name, .. } => write!(
                f,
                "thread {name} cannot be started; look at the limit of tasks"
            ),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Transport { source, .. } => Some(source),
            Self::Thread { source, .. } => Some(source),
        }
    }
}

impl Delivery {
    /// Starts sending what `queue` holds for `endpoints`. When `shutdown` is requested, no new
    /// attempt begins; [`stop`](Delivery::stop) waits for those under way. A thread that panics
    /// requests it. `seed` decides all jitter.
    ///
    /// # Errors
    ///
    /// [`StartError`]; threads already started have ended.
    pub fn start(
        endpoints: Vec<Endpoint>,
        queue: Arc<dyn EventQueue>,
        clock: Arc<dyn Clock>,
        make_transport: &mut MakeTransport<'_>,
        shutdown: &Shutdown,
        seed: u64,
    ) -> Result<Delivery, StartError> {
        let mut delivery = Delivery {
            crews: Vec::new(),
            transports: Vec::new(),
            workers: Vec::new(),
            settler: None,
            outbox: Arc::default(),
            leaving: Arc::default(),
            clock,
            shutdown: shutdown.clone(),
            progress: Progress::default(),
        };
        let mut rng = fastrand::Rng::with_seed(seed);
        let started = delivery.start_settler(&queue).and_then(|known| {
            endpoints.into_iter().try_for_each(|endpoint| {
                let mates =
                    delivery.join(endpoint, &queue, make_transport, shutdown, rng.u64(..))?;
                write(&known).insert(Arc::clone(&mates.endpoint.name), Arc::clone(&mates.crew));
                delivery.start_workers(&mates)
            })
        });
        match started {
            Ok(()) => Ok(delivery),
            Err(error) => {
                delivery.stop(Duration::ZERO);
                Err(error)
            }
        }
    }

    /// Stops: no new attempt begins, those under way have `grace` to finish, and what became of
    /// them is committed. Attempts that take longer are abandoned; their events go out again
    /// after the restart, with the same ids. An attempt that is still connecting ends with its
    /// connect timeout.
    ///
    /// # Panics
    ///
    /// When a thread of delivery has panicked: that is a bug, and this passes it on.
    pub fn stop(mut self, grace: Duration) {
        self.crews.iter().for_each(|crew| crew.stop());
        let deadline = self.clock.now() + grace;
        let mut left = grace;
        while self.leaving.count() > 0 && !left.is_zero() {
            self.leaving.bell.wait(left);
            left = deadline.since(self.clock.now());
        }
        if self.leaving.count() > 0 {
            log::warn!("attempts abandoned count={}", self.leaving.count());
            self.leaving.is_abandoned.store(true, Ordering::SeqCst);
            self.transports
                .iter()
                .for_each(|transport| transport.abandon());
        }
        let mut panicked = None;
        for worker in self.workers.drain(..) {
            panicked = worker.join().err().or(panicked);
        }
        self.outbox.close();
        if let Some(settler) = self.settler.take() {
            panicked = settler.join().err().or(panicked);
        }
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
    }

    /// What has become of attempts and events, by endpoint in the order of the configuration.
    pub fn counts(&self) -> Vec<(Arc<str>, Counts)> {
        self.crews
            .iter()
            .map(|crew| (Arc::clone(crew.name()), crew.counts()))
            .collect()
    }

    /// Whether a thread has ended though nobody asked for the stop: events would stay queued.
    pub fn has_ended(&self) -> bool {
        // The order matters: threads end right after the stop was asked for.
        self.workers
            .iter()
            .chain(&self.settler)
            .any(JoinHandle::is_finished)
            && !self.shutdown.is_requested()
    }

    /// Whether the pump's threads go on.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Sends again to an endpoint that answered 410 twice. False when there is no such endpoint.
    pub fn resume(&self, endpoint: &str) -> bool {
        let crew = self.crews.iter().find(|crew| **crew.name() == *endpoint);
        crew.is_some_and(|crew| {
            crew.resume();
            true
        })
    }

    fn start_settler(&mut self, queue: &Arc<dyn EventQueue>) -> Result<Crews, StartError> {
        let crews = Crews::default();
        let known = Arc::clone(&crews);
        let pulse = (self.progress.pulse("settle"), Arc::clone(&self.clock));
        let settler = Settler::new(Arc::clone(queue), Arc::clone(&self.outbox)).with_pulse(pulse);
        let committed = move |endpoint: &str, count, cursor| {
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(crew) = known.get(endpoint) {
                crew.committed(count, cursor);
            }
        };
        let alarm = Alarm(self.shutdown.clone());
        self.settler = Some(spawn("settle".to_string(), move || {
            let _until_the_end = alarm;
            settler.run(committed);
        })?);
        Ok(crews)
    }

    /// Makes what the workers of `endpoint` share.
    fn join(
        &mut self,
        endpoint: Endpoint,
        queue: &Arc<dyn EventQueue>,
        make_transport: &mut MakeTransport<'_>,
        shutdown: &Shutdown,
        seed: u64,
    ) -> Result<Arc<Mates>, StartError> {
        let endpoint = Arc::new(endpoint);
        let transport = make_transport(&endpoint).map_err(|source| StartError::Transport {
            endpoint: Arc::clone(&endpoint.name),
            source,
        })?;
        let outbox = Arc::clone(&self.outbox);
        let lane = Lane::new(Arc::clone(&endpoint), Arc::clone(queue), outbox, seed);
        let crew = Crew::new(
            Arc::clone(&endpoint.name),
            lane,
            Arc::clone(&self.clock),
            shutdown.clone(),
        );
        queue.subscribe(crew.bell());
        shutdown.ring_at_stop(crew.bell());
        let crew = Arc::new(crew);
        self.crews.push(Arc::clone(&crew));
        self.transports.push(Arc::clone(&transport));
        let (clock, shutdown) = (Arc::clone(&self.clock), shutdown.clone());
        Ok(Arc::new(Mates {
            endpoint,
            crew,
            transport,
            clock,
            shutdown,
        }))
    }

    fn start_workers(&mut self, mates: &Arc<Mates>) -> Result<(), StartError> {
        for worker in 1..=mates.endpoint.concurrency.get() {
            let mates = Arc::clone(mates);
            let present = Present::enter(&self.leaving, &mates.shutdown);
            let name = format!("send-{}-{worker}", mates.endpoint.name);
            let pulse = self.progress.pulse(name.clone());
            self.workers.push(spawn(name, move || {
                mates.work(worker, &present, &pulse);
            })?);
        }
        Ok(())
    }
}

/// The crews by endpoint, for the settler.
type Crews = Arc<RwLock<HashMap<Arc<str>, Arc<Crew>>>>;

fn write(crews: &Crews) -> RwLockWriteGuard<'_, HashMap<Arc<str>, Arc<Crew>>> {
    crews.write().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let builder = thread::Builder::new()
        .name(name.clone())
        .stack_size(STACK_BYTES);
    builder
        .spawn(run)
        .map_err(|source| StartError::Thread { name, source })
}

/// Who has not left yet.
#[derive(Debug, Default)]
struct Leaving {
    present: AtomicUsize,
    is_abandoned: AtomicBool,
    /// Rung by each who leaves.
    bell: Bell,
}

impl Leaving {
    fn count(&self) -> usize {
        self.present.load(Ordering::SeqCst)
    }
}

/// Has the agent stop when the thread that holds it panics: with a worker missing, its event is
/// not sent again; without the settler, nothing is written down any more.
struct Alarm(Shutdown);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            log::error!(
                "thread of delivery panicked, stopping thread={}",
                thread::current().name().unwrap_or_default()
            );
            self.0.request();
        }
    }
}

/// A worker counts as present while it holds this, also when it panics.
struct Present {
    leaving: Arc<Leaving>,
    _alarm: Alarm,
}

impl Present {
    fn enter(leaving: &Arc<Leaving>, shutdown: &Shutdown) -> Present {
        leaving.present.fetch_add(1, Ordering::SeqCst);
        Present {
            leaving: Arc::clone(leaving),
            _alarm: Alarm(shutdown.clone()),
        }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.leaving.present.fetch_sub(1, Ordering::SeqCst);
        self.leaving.bell.ring();
    }
}

/// What the workers of one endpoint share.
#[derive(Debug)]
struct Mates {
    endpoint: Arc<Endpoint>,
    crew: Arc<Crew>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
}

impl Mates {
    fn work(&self, worker: usize, present: &Present, pulse: &Pulse) {
        let secrets = self
            .endpoint
            .secret
            .iter()
            .chain(&self.endpoint.previous_secret);
        let signer = Signer::new(self.endpoint.signature.clone(), secrets);
        let bell = Bell::default();
        self.shutdown.ring_at_stop(&bell);
        let mut body = Vec::new();
        while let Some(entry) = self.crew.next(worker, &bell, pulse) {
            // An attempt may take its time; only one that outlives it hangs.
            pulse.due(self.clock.now() + self.endpoint.timeout);
            self.pass(entry, &signer, &mut body, present);
        }
    }

    /// Makes one attempt. What it came to is durable when the settler has committed it.
    fn pass(&self, entry: Entry, signer: &Signer, body: &mut Vec<u8>, present: &Present) {
        body.clear();
        body.shrink_to(BODY_BYTES_KEPT);
        self.endpoint.body.render(&entry.queued, body);
        let wall = self.clock.wall();
        let request = SignedRequest::new(
            &self.endpoint,
            signer,
            &entry.queued,
            entry.request(),
            wall,
            body,
        );
        let answer = self.transport.send(&request);
        drop(request);
        let is_abandoned = present.leaving.is_abandoned.load(Ordering::SeqCst);
        if is_abandoned && matches!(answer, Answer::Trouble(_)) {
            // We ended it ourselves: that says nothing about the endpoint. The event stays queued.
            // An answer that came all the same counts.
            return;
        }
        let elapsed = answer.elapsed();
        let outcome = Outcome::of(
            answer,
            &self.endpoint.success,
            self.endpoint.retry_after_max,
            self.clock.wall(),
        );
        self.crew.finish(entry, outcome, elapsed);
    }
}

#[cfg(test)]
mod tests;

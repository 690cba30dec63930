//! Pump 2: entry → signed request → outcome → settlement.
//!
//! Each endpoint has a lane (what is tried next), a transport, and a few threads that share both.
//! Each pass of a thread is five named steps: take, render, sign, send, settle. One thread more
//! writes down what became of the events of all endpoints.
//!
//! What is promised: every event an endpoint wants is delivered at least once, or becomes a dead
//! letter after its attempts; a repeat has the same id. Order only where an endpoint asks for it;
//! see [`order`].

mod attempt;
pub mod batch;
pub mod breaker;
pub mod counts;
mod crew;
pub mod endpoint;
pub mod entry;
pub mod event_queue;
pub mod lane;
pub mod latency;
pub mod link;
pub mod login;
pub mod memory;
pub mod notice;
pub mod order;
pub mod outcome;
pub mod packing;
pub mod profile;
pub mod request;
pub mod retry;
pub mod route;
pub mod settler;
pub mod signer;
pub mod transport;
pub mod trial;
pub mod url;
mod window;

use crate::clock::{Clock, Moment, UnixMs};
use crate::event::Sequence;
use crate::progress::{Progress, Pulse};
use crate::shutdown::{Bell, Shutdown};
use crate::tap::{Attempt, Seen, Tap};
use counts::Counts;
use crew::Crew;
use endpoint::Endpoint;
use entry::Entry;
use event_queue::EventQueue;
use lane::Lane;
use outcome::Outcome;
use request::SignedRequest;
use route::standing::Standing;
use route::{Competitor, Mode, RouteTable, Routes};
use settler::{Outbox, Settler};
use signer::Signer;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
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

/// How long a lane that is taken down waits for its settlements to become durable. A disk that
/// takes longer is failing; what is not written then goes out again with the same ids.
const SETTLE_GRACE: Duration = Duration::from_secs(10);

/// The running pump.
#[derive(Debug)]
pub struct Delivery {
    posts: Mutex<Vec<Post>>,
    settler: Mutex<Option<JoinHandle<()>>>,
    /// The crews, for the settler.
    known: Crews,
    queue: Arc<dyn EventQueue>,
    routes: Routes,
    outbox: Arc<Outbox>,
    rng: Mutex<fastrand::Rng>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    tap: Arc<Tap>,
    progress: Progress,
}

/// One endpoint with those who work for it.
#[derive(Debug)]
struct Post {
    mates: Arc<Mates>,
    leaving: Arc<Leaving>,
    workers: Vec<JoinHandle<()>>,
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
    /// Starts sending what `queue` holds for `endpoints`, except to those that are held. When `shutdown` is requested, no new
    /// attempt begins; [`stop`](Delivery::stop) waits for those under way. A thread that panics
    /// requests it. `seed` decides all jitter.
    ///
    /// # Errors
    ///
    /// [`StartError`]; threads already started have ended.
    pub fn start(
        endpoints: Vec<(Endpoint, bool)>,
        queue: Arc<dyn EventQueue>,
        clock: Arc<dyn Clock>,
        make_transport: &mut MakeTransport<'_>,
        shutdown: &Shutdown,
        seed: u64,
    ) -> Result<Delivery, StartError> {
        let seats = endpoints.iter().map(|(endpoint, _)| Competitor {
            endpoint,
            is_enabled: true,
            standing: Standing::default(),
        });
        let routes = RouteTable::new(Mode::default(), seats);
        Delivery::start_routed(
            (endpoints, routes),
            queue,
            clock,
            make_transport,
            shutdown,
            seed,
        )
    }

    /// The same, with a table of who gets which event, in which every one of `endpoints` has its
    /// place.
    ///
    /// # Errors
    ///
    /// [`StartError`]; threads already started have ended.
    pub fn start_routed(
        (endpoints, routes): (Vec<(Endpoint, bool)>, RouteTable),
        queue: Arc<dyn EventQueue>,
        clock: Arc<dyn Clock>,
        make_transport: &mut MakeTransport<'_>,
        shutdown: &Shutdown,
        seed: u64,
    ) -> Result<Delivery, StartError> {
        let delivery = Delivery {
            posts: Mutex::default(),
            settler: Mutex::default(),
            known: Crews::default(),
            queue,
            routes: Routes::new(routes),
            outbox: Arc::default(),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            clock,
            shutdown: shutdown.clone(),
            tap: Arc::default(),
            progress: Progress::default(),
        };
        let started = delivery.start_settler().and_then(|()| {
            endpoints.into_iter().try_for_each(|(endpoint, is_held)| {
                let transport =
                    make_transport(&endpoint).map_err(|source| StartError::Transport {
                        endpoint: Arc::clone(&endpoint.name),
                        source,
                    })?;
                delivery.add(endpoint, transport, is_held)
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

    /// Begins to send to one more endpoint; not before it is [resumed](Delivery::resume) when it
    /// `is_held`. There must be none of its name.
    ///
    /// # Errors
    ///
    /// [`StartError::Thread`]; nothing runs for it then.
    pub fn add(
        &self,
        endpoint: Endpoint,
        transport: Arc<dyn Transport>,
        is_held: bool,
    ) -> Result<(), StartError> {
        let mates = self.mates(Arc::new(endpoint), transport);
        if is_held {
            mates.crew.hold();
        }
        let name = Arc::clone(&mates.endpoint.name);
        write(&self.known).insert(name, Arc::clone(&mates.crew));
        let mut post = Post {
            leaving: Arc::default(),
            workers: Vec::new(),
            mates,
        };
        let started = post.start_workers(&self.shutdown, &self.progress);
        if started.is_err() {
            self.take_down(post, Duration::ZERO);
        } else {
            lock(&self.posts).push(post);
        }
        started
    }

    /// Ends sending to an endpoint: no new attempt begins, those under way have `grace` to finish,
    /// and what became of them is committed. Its events stay in the queue. Attempts that take
    /// longer are abandoned; their events go out again when the endpoint is added again, with the
    /// same ids. False when there is no such endpoint.
    ///
    /// # Panics
    ///
    /// When a thread of the endpoint has panicked: that is a bug, and this passes it on.
    pub fn remove(&self, endpoint: &str, grace: Duration) -> bool {
        let post = {
            let mut posts = lock(&self.posts);
            let place = posts
                .iter()
                .position(|post| *post.mates.endpoint.name == *endpoint);
            place.map(|place| posts.remove(place))
        };
        post.is_some_and(|post| {
            self.take_down(post, grace);
            true
        })
    }

    /// Stops: no new attempt begins, those under way have `grace` to finish, and what became of
    /// them is committed. Attempts that take longer are abandoned; their events go out again
    /// after the restart, with the same ids. An attempt that is still connecting ends with its
    /// connect timeout.
    ///
    /// # Panics
    ///
    /// When a thread of delivery has panicked: that is a bug, and this passes it on.
    pub fn stop(&self, grace: Duration) {
        let posts = std::mem::take(&mut *lock(&self.posts));
        posts.iter().for_each(|post| post.mates.crew.stop());
        let deadline = self.clock.now() + grace;
        let abandoned: usize = posts
            .iter()
            .map(|post| post.wait_left(deadline, &*self.clock))
            .sum();
        if abandoned > 0 {
            log::warn!("attempts abandoned count={abandoned}");
        }
        posts.iter().for_each(Post::abandon);
        let mut panicked = None;
        for worker in posts.into_iter().flat_map(|post| post.workers) {
            panicked = worker.join().err().or(panicked);
        }
        self.outbox.close();
        if let Some(settler) = lock(&self.settler).take() {
            panicked = settler.join().err().or(panicked);
        }
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
    }

    /// What has become of attempts and events, by endpoint in the order they were added.
    pub fn counts(&self) -> Vec<(Arc<str>, Counts)> {
        let crews: Vec<Arc<Crew>> = lock(&self.posts)
            .iter()
            .map(|post| Arc::clone(&post.mates.crew))
            .collect();
        crews
            .iter()
            .map(|crew| (Arc::clone(crew.name()), crew.counts()))
            .collect()
    }

    /// Whether a thread has ended though nobody asked for the stop: events would stay queued.
    pub fn has_ended(&self) -> bool {
        // The order matters: threads end right after the stop was asked for.
        let posts = lock(&self.posts);
        let settler = lock(&self.settler);
        posts
            .iter()
            .flat_map(|post| &post.workers)
            .chain(settler.as_ref())
            .any(JoinHandle::is_finished)
            && !self.shutdown.is_requested()
    }

    /// Whether the pump's threads go on.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Sends again to an endpoint that is held or answered 410 twice. False when there is no such
    /// endpoint.
    pub fn resume(&self, endpoint: &str) -> bool {
        self.crew(endpoint).map(|crew| crew.resume()).is_some()
    }

    /// Sends nothing to an endpoint until it is resumed; attempts under way go on. This does not
    /// outlive the process. False when there is no such endpoint.
    pub fn hold(&self, endpoint: &str) -> bool {
        self.crew(endpoint).map(|crew| crew.hold()).is_some()
    }

    /// Tries events of an endpoint again that were put back among the waiting ones of the queue,
    /// each given by its due time and place there.
    /// False when there is no such endpoint; they are found when it is added.
    pub fn recall(&self, endpoint: &str, recalled: &[(UnixMs, Sequence)]) -> bool {
        self.crew(endpoint)
            .map(|crew| crew.recall(recalled))
            .is_some()
    }

    /// From now on `table` says who gets an event that was not tried yet. Endpoints without a place
    /// in it keep to the table before, until they are removed.
    pub fn reroute(&self, table: RouteTable) {
        self.routes.replace(table);
    }

    /// Who gets which event.
    pub fn routes(&self) -> Arc<RouteTable> {
        self.routes.current()
    }

    /// Where attempts can be watched.
    pub fn tap(&self) -> &Arc<Tap> {
        &self.tap
    }

    fn crew(&self, endpoint: &str) -> Option<Arc<Crew>> {
        let posts = lock(&self.posts);
        let mut crews = posts.iter().map(|post| &post.mates.crew);
        crews.find(|crew| **crew.name() == *endpoint).cloned()
    }

    fn start_settler(&self) -> Result<(), StartError> {
        let known = Arc::clone(&self.known);
        let pulse = (self.progress.pulse("settle"), Arc::clone(&self.clock));
        let settler =
            Settler::new(Arc::clone(&self.queue), Arc::clone(&self.outbox)).with_pulse(pulse);
        let committed = move |endpoint: &str, count, cursor| {
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(crew) = known.get(endpoint) {
                crew.committed(count, cursor);
            }
        };
        let alarm = Alarm(self.shutdown.clone());
        let settler = spawn("settle".to_string(), move || {
            let _until_the_end = alarm;
            settler.run(committed);
        })?;
        *lock(&self.settler) = Some(settler);
        Ok(())
    }

    /// Makes what the workers of `endpoint` share.
    fn mates(&self, endpoint: Arc<Endpoint>, transport: Arc<dyn Transport>) -> Arc<Mates> {
        let (queue, outbox) = (Arc::clone(&self.queue), Arc::clone(&self.outbox));
        let seed = lock(&self.rng).u64(..);
        let lane = Lane::new(Arc::clone(&endpoint), queue, outbox, seed).routed(&self.routes);
        let crew = Crew::new(
            Arc::clone(&endpoint.name),
            lane,
            Arc::clone(&self.clock),
            self.shutdown.clone(),
        );
        self.queue.subscribe(crew.bell());
        self.shutdown.ring_at_stop(crew.bell());
        Arc::new(Mates {
            endpoint,
            crew: Arc::new(crew),
            transport,
            clock: Arc::clone(&self.clock),
            shutdown: self.shutdown.clone(),
            tap: Arc::clone(&self.tap),
        })
    }

    /// Ends a post whose name is free afterwards.
    fn take_down(&self, post: Post, grace: Duration) {
        let (name, crew) = (&post.mates.endpoint.name, &post.mates.crew);
        crew.stop();
        let abandoned = post.wait_left(self.clock.now() + grace, &*self.clock);
        if abandoned > 0 {
            log::warn!("attempts abandoned endpoint={name} count={abandoned}");
        }
        post.abandon();
        let mut panicked = None;
        for worker in post.workers {
            panicked = worker.join().err().or(panicked);
        }
        // Whoever takes the endpoint over begins at what the queue says of it.
        if !crew.wait_settled(SETTLE_GRACE) {
            log::warn!("settlements not written in time, events may be repeated endpoint={name}");
        }
        write(&self.known).remove(name);
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
    }
}

impl Post {
    fn start_workers(
        &mut self,
        shutdown: &Shutdown,
        progress: &Progress,
    ) -> Result<(), StartError> {
        for worker in 1..=self.mates.endpoint.concurrency.get() {
            let mates = Arc::clone(&self.mates);
            let present = Present::enter(&self.leaving, shutdown);
            let name = format!("send-{}-{worker}", mates.endpoint.name);
            let pulse = progress.pulse(name.clone());
            self.workers.push(spawn(name, move || {
                mates.work(worker, &present, &pulse);
            })?);
        }
        Ok(())
    }

    /// Waits for those who leave, until `deadline`; how many have not.
    fn wait_left(&self, deadline: Moment, clock: &dyn Clock) -> usize {
        loop {
            let left = deadline.since(clock.now());
            let count = self.leaving.count();
            if count == 0 || left.is_zero() {
                return count;
            }
            self.leaving.bell.wait(left);
        }
    }

    /// Ends the attempts of those who have not left.
    fn abandon(&self) {
        if self.leaving.count() > 0 {
            self.leaving.is_abandoned.store(true, Ordering::SeqCst);
            self.mates.transport.abandon();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    tap: Arc<Tap>,
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
    fn pass(&self, mut entry: Entry, signer: &Signer, body: &mut Vec<u8>, present: &Present) {
        body.clear();
        body.shrink_to(BODY_BYTES_KEPT);
        self.render(&mut entry, body);
        let wall = self.clock.wall();
        let request = SignedRequest::of(&self.endpoint, signer, &entry, wall, body);
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
        let event = &entry.queued.event;
        attempt::log(
            &self.endpoint.name,
            batch::RequestId(&self.endpoint, &entry),
            &event.kind,
            entry.request(),
            &outcome,
            elapsed,
        );
        if self.tap.is_watched() {
            self.show(&entry, &outcome, elapsed);
            for other in &entry.others {
                self.show(other, &outcome, elapsed);
            }
        }
        self.crew.finish(entry, outcome, elapsed);
    }

    /// Renders the body of `entry`; what does not fit into it goes back.
    fn render(&self, entry: &mut Entry, body: &mut Vec<u8>) {
        match &self.endpoint.batch {
            None => self.endpoint.render(&entry.queued, body),
            Some(batch) => {
                if let Some(rest) = batch::render(&self.endpoint, batch, entry, body) {
                    self.crew.put_back(rest);
                }
            }
        }
    }

    fn show(&self, entry: &Entry, outcome: &Outcome, elapsed: Duration) {
        let (word, error) = attempt::words(outcome);
        self.tap.show(Seen::Attempt(Arc::new(Attempt {
            endpoint: Arc::clone(&self.endpoint.name),
            sequence: entry.queued.sequence,
            id: entry.queued.event.id,
            kind: Arc::clone(&entry.queued.event.kind),
            number: entry.request(),
            outcome: word,
            error: error.to_string(),
            elapsed,
        })));
    }
}

#[cfg(test)]
mod tests;

//! Pump 2: entry → signed request → outcome → settlement.
//!
//! Each endpoint has a lane (what is tried next), a transport for each of its addresses, and a few
//! threads that share them.
//! Each pass of a thread is five named steps: take, render, sign, send, settle. One thread more
//! writes down what became of the events of all endpoints.
//!
//! What is promised: every event an endpoint wants is delivered at least once, or becomes a dead
//! letter after its attempts; a repeat has the same id. Order only where an endpoint asks for it;
//! see [`order`].

pub mod agent_headers;
pub mod alert;
mod attempt;
pub mod batch;
pub mod blanket;
pub mod breaker;
pub mod concurrency;
pub mod counts;
mod crew;
mod echo;
pub mod endpoint;
pub mod entry;
pub mod event_queue;
pub mod fallback;
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
pub mod rate;
pub mod request;
pub mod retry;
pub mod route;
pub mod settler;
pub mod signer;
mod staff;
pub mod transport;
pub mod trial;
pub mod url;
mod watch;
mod window;

use crate::clock::{Clock, Moment, UnixMs};
use crate::event::Sequence;
use crate::ingest::{AlertBox, Told};
use crate::progress::{Progress, Pulse};
use crate::shutdown::{Bell, Shutdown};
use crate::tap::{Attempt, RECENT_MAX, Recent, Seen, Tap};
use alert::Raiser;
use counts::Counts;
use crew::{Crew, Made};
use endpoint::Endpoint;
use entry::Entry;
use event_queue::EventQueue;
use lane::Lane;
use memory::Share;
use outcome::Outcome;
use rate::Rate;
use request::SignedRequest;
use route::standing::Standing;
use route::{Competitor, Mode, RouteTable, Routes};
use settler::{Outbox, Settler};
use signer::Signer;
use staff::{Alarm, Panicked, Present, Staff, spawn};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use transport::{Answer, Transport};
use watch::Watch;

/// Stack of a sending thread, in bytes.
///
/// The deepest it gets is the check of a certificate. A handshake with one ECDSA certificate
/// needs between 48 and 64 KiB in a debug build (measured 2026-11, x86_64); longer chains and RSA
/// take more, so four times that. Only what is touched takes memory.
pub const STACK_BYTES: usize = 256 << 10;

/// Most bytes a thread keeps of its body's buffer: a batch of a hundred events of the usual size, in a
/// buffer that grew by doubling. Only what is touched takes memory.
const BODY_BYTES_KEPT: usize = 128 << 10;

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
    /// What endpoints were sent that have been taken down, as long as it counts.
    paces: Mutex<HashMap<Arc<str>, Rate>>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    tap: Arc<Tap>,
    progress: Progress,
    alerts: Option<AlertBox>,
}

/// One endpoint with those who work for it.
#[derive(Debug)]
struct Post {
    mates: Arc<Mates>,
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
    /// requests it. `seed` decides all jitter. What there is to tell of the endpoints is left in
    /// `alerts`.
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
        alerts: Option<AlertBox>,
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
            (seed, alerts),
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
        (seed, alerts): (u64, Option<AlertBox>),
    ) -> Result<Delivery, StartError> {
        let delivery = Delivery {
            posts: Mutex::default(),
            settler: Mutex::default(),
            known: Crews::default(),
            queue,
            routes: Routes::new(routes),
            outbox: Arc::default(),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            paces: Mutex::default(),
            clock,
            shutdown: shutdown.clone(),
            tap: Arc::default(),
            progress: Progress::default(),
            alerts,
        };
        let started = delivery.start_settler().and_then(|()| {
            endpoints.into_iter().try_for_each(|(endpoint, is_held)| {
                let made: Result<_, _> = fallback::addresses(&endpoint)
                    .iter()
                    .map(|at| make_transport(at))
                    .collect();
                let transports = made.map_err(|source| StartError::Transport {
                    endpoint: Arc::clone(&endpoint.name),
                    source,
                })?;
                delivery.add(endpoint, transports, is_held)
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

    /// Begins to send to one more endpoint, with a transport for each of its
    /// [addresses](fallback::addresses); not before it is [resumed](Delivery::resume) when it
    /// `is_held`. There must be none of its name.
    ///
    /// # Errors
    ///
    /// [`StartError::Thread`]; nothing runs for it then.
    pub fn add(
        &self,
        endpoint: Endpoint,
        transports: Vec<Arc<dyn Transport>>,
        is_held: bool,
    ) -> Result<(), StartError> {
        let mates = self.mates(Arc::new(endpoint), transports);
        if is_held {
            mates.crew.hold();
        }
        let name = Arc::clone(&mates.endpoint.name);
        write(&self.known).insert(name, Arc::clone(&mates.crew));
        // The others are taken on when there is something to do.
        mates.crew.begin();
        let started = mates.take_on();
        let post = Post { mates };
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

    /// The same for several at once: they share the `grace`. Names of no endpoint are left out.
    ///
    /// # Panics
    ///
    /// When a thread of one of them has panicked: that is a bug, and this passes it on.
    pub fn remove_all(&self, endpoints: &[Arc<str>], grace: Duration) {
        let removed = {
            let mut posts = lock(&self.posts);
            let is_removed = |post: &Post| endpoints.contains(&post.mates.endpoint.name);
            let (removed, stay): (Vec<Post>, _) = std::mem::take(&mut *posts)
                .into_iter()
                .partition(is_removed);
            *posts = stay;
            removed
        };
        removed.iter().for_each(|post| post.mates.crew.stop());
        let deadline = self.clock.now() + grace;
        for post in removed {
            self.take_down(post, deadline.since(self.clock.now()));
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
        for post in posts {
            panicked = post.join().or(panicked);
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
        (posts.iter().any(|post| post.mates.staff.has_ended())
            || settler.as_ref().is_some_and(JoinHandle::is_finished))
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

    /// Gives an endpoint another share of the memory; nothing else of it changes, and attempts under
    /// way go on. False when there is no such endpoint.
    pub fn reshare(&self, endpoint: &str, share: Share) -> bool {
        self.crew(endpoint)
            .map(|crew| crew.reshare(share))
            .is_some()
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

    /// Takes back what was told of an endpoint: it is given up, and another may come under its name.
    pub fn forget_told(&self, endpoint: &str) {
        if let Some(alerts) = &self.alerts {
            alerts.remember(&endpoint.into(), Told::default());
        }
    }

    /// Where attempts can be watched.
    pub fn tap(&self) -> &Arc<Tap> {
        &self.tap
    }

    /// The last attempts of an endpoint, oldest first; none of an endpoint that is not there.
    pub fn recent(&self, endpoint: &str) -> Vec<Arc<Attempt>> {
        let posts = lock(&self.posts);
        let mut mates = posts.iter().map(|post| &post.mates);
        mates
            .find(|mates| *mates.endpoint.name == *endpoint)
            .map_or(Vec::new(), |mates| mates.recent.kept())
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
    fn mates(&self, endpoint: Arc<Endpoint>, transports: Vec<Arc<dyn Transport>>) -> Arc<Mates> {
        let (queue, outbox) = (Arc::clone(&self.queue), Arc::clone(&self.outbox));
        let seed = lock(&self.rng).u64(..);
        let told = self.alerts.as_ref().map(|it| it.told(&endpoint.name));
        let pace = lock(&self.paces).remove(&endpoint.name);
        let lane = Lane::new(Arc::clone(&endpoint), queue, outbox, seed)
            .paced_after(pace.unwrap_or(Rate::new(None)))
            .routed(&self.routes)
            .told(told.unwrap_or_default());
        let crew = Crew::new(
            Arc::clone(&endpoint.name),
            lane,
            Arc::clone(&self.clock),
            self.shutdown.clone(),
        )
        .with_raiser(Raiser::new(
            Arc::clone(&endpoint),
            self.alerts.clone(),
            Arc::clone(&self.clock),
        ));
        self.queue.subscribe(crew.bell());
        self.shutdown.ring_at_stop(crew.bell());
        Arc::new(Mates {
            addresses: fallback::addresses(&endpoint)
                .into_iter()
                .zip(transports)
                .map(|(endpoint, transport)| Address {
                    endpoint,
                    transport,
                    watch: Watch::default(),
                })
                .collect(),
            endpoint,
            crew: Arc::new(crew),
            clock: Arc::clone(&self.clock),
            shutdown: self.shutdown.clone(),
            tap: Arc::clone(&self.tap),
            recent: Recent::default(),
            staff: Staff::new(self.progress.clone()),
        })
    }

    /// Ends a post whose name is free afterwards.
    fn take_down(&self, post: Post, grace: Duration) {
        let mates = Arc::clone(&post.mates);
        let (name, crew) = (&mates.endpoint.name, &mates.crew);
        crew.stop();
        let abandoned = post.wait_left(self.clock.now() + grace, &*self.clock);
        if abandoned > 0 {
            log::warn!("attempts abandoned endpoint={name} count={abandoned}");
        }
        post.abandon();
        let panicked = post.join();
        // Whoever takes the endpoint over begins at what the queue says of it.
        if !crew.wait_settled(SETTLE_GRACE) {
            log::warn!("settlements not written in time, events may be repeated endpoint={name}");
        }
        write(&self.known).remove(name);
        let now = self.clock.now();
        let mut paces = lock(&self.paces);
        paces.insert(Arc::clone(name), crew.pace());
        paces.retain(|_, pace| pace.counts_at(now));
        drop(paces);
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
    }
}

impl Post {
    /// Waits for those who leave, until `deadline`; how many have not.
    fn wait_left(&self, deadline: Moment, clock: &dyn Clock) -> usize {
        loop {
            let left = deadline.since(clock.now());
            let leaving = &self.mates.staff.leaving;
            let count = leaving.count();
            if count == 0 || left.is_zero() {
                return count;
            }
            leaving.bell.wait(left);
        }
    }

    /// Ends the attempts of those who have not left.
    fn abandon(&self) {
        let leaving = &self.mates.staff.leaving;
        if leaving.count() > 0 {
            leaving.is_abandoned.store(true, Ordering::SeqCst);
            let addresses = &self.mates.addresses;
            addresses
                .iter()
                .for_each(|address| address.transport.abandon());
        }
    }

    /// Waits for the end of all workers; what one of them panicked with, if one did.
    fn join(self) -> Option<Panicked> {
        self.mates.staff.join()
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

/// What the workers of one endpoint share.
#[derive(Debug)]
struct Mates {
    endpoint: Arc<Endpoint>,
    crew: Arc<Crew>,
    /// In the order in which they are tried.
    addresses: Vec<Address>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    tap: Arc<Tap>,
    recent: Recent,
    staff: Staff,
}

/// One address of an endpoint.
#[derive(Debug)]
struct Address {
    /// The endpoint as it is there.
    endpoint: Arc<Endpoint>,
    transport: Arc<dyn Transport>,
    watch: Watch,
}

impl Mates {
    /// Takes on a worker that counts already.
    fn take_on(self: &Arc<Mates>) -> Result<(), StartError> {
        let mates = Arc::clone(self);
        let started = self.staff.take_on(&self.endpoint.name, &self.shutdown, {
            move |worker, present: &Present, pulse: &Pulse| mates.work(worker, present, pulse)
        });
        if started.is_err() {
            self.crew.has_not_come();
        }
        started
    }

    fn work(self: &Arc<Mates>, worker: usize, present: &Present, pulse: &Pulse) {
        let secrets = self
            .endpoint
            .secret
            .iter()
            .chain(&self.endpoint.previous_secret);
        let signer = Signer::new(self.endpoint.signature.clone(), secrets);
        let bell = Bell::default();
        self.shutdown.ring_at_stop(&bell);
        let (mut body, mut made) = (Vec::new(), None);
        while let Some(task) = self.crew.next(worker, &bell, pulse, made) {
            if task.takes_on
                && let Err(error) = self.take_on()
            {
                // Those that are there do its work; a flood of lines would help nobody.
                log::debug!(
                    "worker not started endpoint={} error={error}",
                    self.endpoint.name
                );
            }
            // An attempt may take its time; only one that outlives it hangs.
            pulse.due(self.clock.now() + self.endpoint.timeout);
            made = self.pass(task.entry, &signer, &mut body, present);
        }
    }

    /// Makes one attempt, which is to be handed in; none when it was abandoned. What it came to is
    /// durable when the settler has committed it.
    fn pass(
        &self,
        mut entry: Entry,
        signer: &Signer,
        body: &mut Vec<u8>,
        present: &Present,
    ) -> Option<Made> {
        body.clear();
        body.shrink_to(BODY_BYTES_KEPT);
        // There is a transport for each address.
        let address = self.addresses.get(entry.address)?;
        self.render(&mut entry, body);
        let wall = self.clock.wall();
        let id = batch::RequestId(&self.endpoint, &entry).to_string();
        let subject = (&*id, &entry);
        let request = SignedRequest::of(&address.endpoint, signer, subject, wall, body);
        let answer = address.transport.send(&request);
        drop(request);
        let is_abandoned = present.leaving.is_abandoned.load(Ordering::SeqCst);
        if is_abandoned && matches!(answer, Answer::Trouble(_)) {
            // We ended it ourselves: that says nothing about the endpoint. The event stays queued.
            // An answer that came all the same counts.
            return None;
        }
        let elapsed = answer.elapsed();
        let wall = self.clock.wall();
        self.watch(address, &answer, wall);
        let mut outcome = Outcome::of(
            answer,
            &self.endpoint.success,
            self.endpoint.retry_after_max,
            wall,
        );
        if let Some(failure) = outcome.failure_mut() {
            echo::hide_secrets(&address.endpoint, &mut failure.answer_start);
        }
        let event = &entry.queued.event;
        attempt::log(
            &self.endpoint.name,
            &id,
            &event.kind,
            entry.request(),
            &outcome,
            elapsed,
        );
        self.show(&entry, &outcome, elapsed);
        Some(Made {
            entry,
            outcome,
            elapsed,
        })
    }

    /// Says what an answer tells beside its status.
    fn watch(&self, address: &Address, answer: &Answer, wall: UnixMs) {
        let (now, until) = (self.clock.now(), address.transport.valid_until());
        for what in address.watch.heard(answer, until, now, wall) {
            let host = address.endpoint.url.host().to_string();
            watch::log(&self.endpoint.name, &host, &what, wall);
            if let Some(raiser) = self.crew.raiser() {
                raiser.raise(host, what, wall);
            }
        }
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

    /// Keeps the attempts that a request was, one for each of its events, for whoever looks later, and
    /// shows them to those who watch. Without these, no more are made of a batch than are kept.
    fn show(&self, entry: &Entry, outcome: &Outcome, elapsed: Duration) {
        let (word, error) = attempt::words(outcome);
        let (at, is_watched) = (self.clock.wall(), self.tap.is_watched());
        let passed = match is_watched {
            true => 0,
            false => (1 + entry.others.len()).saturating_sub(RECENT_MAX),
        };
        for entry in std::iter::once(entry).chain(&entry.others).skip(passed) {
            let attempt = Arc::new(Attempt {
                endpoint: Arc::clone(&self.endpoint.name),
                sequence: entry.queued.sequence,
                id: entry.queued.event.id,
                kind: Arc::clone(&entry.queued.event.kind),
                number: entry.request(),
                outcome: word,
                error: error.to_string(),
                elapsed,
                at,
            });
            self.recent.keep(Arc::clone(&attempt));
            if is_watched {
                self.tap.show(Seen::Attempt(attempt));
            }
        }
    }
}

#[cfg(test)]
mod tests;

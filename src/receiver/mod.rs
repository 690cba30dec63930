//! The development receiver: stands where a customer's endpoint will, verifies, counts, and
//! misbehaves on request.
//!
//! ```text
//! connection ─worker→ request ─desk→ verify (raw body) → callback → faults → spool → account → answer
//!                                                                                  └→ relay, page
//! ```
//!
//! Signatures are looked for by the table of schemes that the agent signs by; that the table is right is
//! held by published vectors and by receivers written with other libraries. A callback is *accepted* when it was verified, understood
//! and entered in the account; that is what an oracle may rely on. A fault that strikes before
//! (status, hang, reset) leaves it unaccepted; `lost` strikes after, so that the sender does not
//! learn of it.

mod account;
mod arrival;
mod bad_tls;
mod callback;
mod content;
mod desk;
mod diagnosis;
mod fault;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod history;
mod misanswer;
mod page;
mod print;
mod relay;
mod saved;
mod spool;
mod tls;
mod verify;
mod worker;

pub use self::account::{
    Account, FaultsPlayed, IDS_KEEP, IDS_REMEMBERED_MAX, KINDS_MAX, OTHER_KINDS,
};
pub use self::arrival::{ARRIVALS_WAITING_MAX, Answer, Arrival, Entered};
pub use self::bad_tls::BadTls;
pub use self::callback::{Callback, Malformed};
pub use self::desk::{BODY_BYTES_MAX, PATH};
pub use self::diagnosis::{Cause, Diagnosis};
pub use self::fault::{
    DELAY_MAX, FAULTS_HELP, Fault, FaultError, FaultKind, REDIRECT_PATH, RetryAfter,
};
pub use self::history::{HISTORY_BYTES_MAX, HISTORY_MAX};
pub use self::misanswer::Misanswer;
pub use self::print::{
    Shown, arrival_json, arrival_line, detail_lines, payload_lines, relayed_json, relayed_line,
};
pub use self::relay::{RELAY_TIMEOUT, RELAY_WAITING_MAX, Relayed, TARGETS_MAX, Target};
pub use self::saved::{SAVED_BYTES_MAX, SavedError, SavedRequest, add_header};
pub use self::spool::{SPOOL_BYTES_DEFAULT, SPOOL_BYTES_MIN, SpoolError, SpoolSettings};
pub use self::tls::{Certificate, TlsError};
pub use self::verify::{Judged, Profile, Reject, SECRETS_MAX, SecretError, TOLERANCE, Verifier};
pub use self::worker::CONNECTIONS_MAX;

use self::account::Books;
use self::desk::{Back, Desk, Door};
use self::page::Page;
use self::relay::Relay;
use self::spool::Spool;
use self::tls::Tls;
use self::worker::Worker;
use crate::clock::{Clock, SystemClock};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most threads one receiver runs on: more than the machines it is developed on have.
pub const THREADS_MAX: usize = 16;

/// How a receiver listens, what it believes, and how it misbehaves.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// The certificate to answer HTTPS with; plain HTTP without one.
    pub certificate: Option<Certificate>,
    /// How callbacks are verified.
    pub verifier: Verifier,
    /// The faults to begin with.
    pub faults: Vec<Fault>,
    /// The seed of the faults' dice: the same requests in the same order meet the same faults.
    pub seed: u64,
    /// Threads to serve on, 1 to [`THREADS_MAX`]; beyond that is taken for the nearest of the
    /// two. Several share the port, and the system spreads connections over them.
    pub threads: usize,
    /// How many distinct ids are remembered to tell a repeat, at most [`IDS_REMEMBERED_MAX`].
    pub ids_remembered: usize,
    /// How long an id is remembered; [`IDS_KEEP`] unless told otherwise.
    pub ids_keep: Duration,
    /// Where callbacks are written before they are answered.
    pub spool: Option<SpoolSettings>,
    /// Who they are handed on to, at most [`TARGETS_MAX`].
    pub forwards: Vec<Target>,
    /// Whether the sender gets the targets' answer; otherwise it does not wait for them.
    pub answers_as_forwarded: bool,
    /// Where the page is served: [`listen`](Settings::listen) shares it with the callbacks.
    pub web: Option<SocketAddr>,
    /// What tells the time for stamps, and for the age of a signature.
    pub clock: Arc<dyn Clock>,
}

impl Settings {
    /// Plain HTTP on any free port of the loopback, one thread, no faults.
    pub fn new(verifier: Verifier) -> Settings {
        Settings {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            certificate: None,
            verifier,
            faults: Vec::new(),
            seed: 0,
            threads: 1,
            ids_remembered: IDS_REMEMBERED_MAX,
            ids_keep: IDS_KEEP,
            spool: None,
            forwards: Vec::new(),
            answers_as_forwarded: false,
            web: None,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

/// A receiver, listening or stopped. Dropping it stops it.
#[derive(Debug)]
pub struct Receiver {
    addr: SocketAddr,
    threads: usize,
    tls: Option<Tls>,
    desk: Arc<Desk>,
    workers: Vec<Worker>,
    /// What the callbacks' listener serves.
    door: Door,
    /// The page's own address, where it has one.
    web: Option<SocketAddr>,
    /// Its worker, while it listens.
    web_worker: Option<Worker>,
    relayed: Arc<Mutex<Option<mpsc::SyncSender<Relayed>>>>,
}

/// Why a receiver cannot listen.
#[derive(Debug)]
pub enum ReceiverError {
    /// The certificate or its key cannot be used.
    Tls(TlsError),
    /// The address cannot be listened on.
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The system refuses a thread or its runtime.
    Thread(io::Error),
    /// Callbacks cannot be spooled.
    Spool(SpoolError),
}

impl fmt::Display for ReceiverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Listen { addr, cause } => write!(f, "cannot listen on {addr}: {cause}"),
            Self::Spool(error) => error.fmt(f),
            Self::Thread(cause) => write!(f, "the system refuses a thread: {cause}"),
        }
    }
}

impl std::error::Error for ReceiverError {}

impl Receiver {
    /// Listens as `settings` say.
    ///
    /// # Errors
    ///
    /// When the certificate cannot be used, the address not be listened on, or the system
    /// refuses a thread. Nothing listens then.
    pub fn start(settings: Settings) -> Result<Receiver, ReceiverError> {
        let tls = settings
            .certificate
            .map(|certificate| Tls::load(certificate, settings.listen.ip()))
            .transpose()
            .map_err(ReceiverError::Tls)?;
        let mut books = Books::new(
            settings.ids_remembered.min(IDS_REMEMBERED_MAX),
            settings.ids_keep,
        );
        let spool = match settings.spool.as_ref().map(Spool::open) {
            None => None,
            Some(Ok((spool, remembered))) => {
                for (id, at) in remembered {
                    books.remember(id, at);
                }
                Some(spool)
            }
            Some(Err(error)) => return Err(ReceiverError::Spool(error)),
        };
        let page = settings.web.map(|addr| {
            let judged_by = settings.verifier.to_string();
            Arc::new(Page::new(addr.ip(), settings.clock.wall().0, judged_by))
        });
        let relayed = Arc::default();
        let relay = relay(&settings.forwards, page.clone(), Arc::clone(&relayed))?;
        let desk = Desk::new(
            settings.verifier,
            settings.clock,
            books,
            fastrand::Rng::with_seed(settings.seed),
            Back {
                spool,
                relay,
                answers_as_forwarded: settings.answers_as_forwarded,
                page,
            },
        );
        desk.set_faults(settings.faults);
        let is_shared = settings.web == Some(settings.listen);
        let mut receiver = Receiver {
            addr: settings.listen,
            threads: settings.threads.clamp(1, THREADS_MAX),
            tls,
            desk: Arc::new(desk),
            workers: Vec::new(),
            door: if is_shared {
                Door::Both
            } else {
                Door::Callbacks
            },
            web: settings.web.filter(|_| !is_shared),
            web_worker: None,
            relayed,
        };
        receiver.listen()?;
        Ok(receiver)
    }

    /// The address it listens on, with the port it was given; the same after a stop.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address to give to a sender on this machine: `http://127.0.0.1:40001/webhook`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{PATH}", reachable(self.addr))
    }

    /// The address of the page for a browser on this machine; none where it is not served.
    pub fn page_url(&self) -> Option<String> {
        match (self.door, self.web) {
            (Door::Both, _) => Some(self.url().trim_end_matches("webhook").to_string()),
            (_, Some(addr)) => Some(format!("http://{}/", reachable(addr))),
            (_, None) => None,
        }
    }

    /// From now on, what targets answer; an earlier channel of the same receiver ends. What is not
    /// taken from it is left out of it.
    pub fn relayed(&self) -> mpsc::Receiver<Relayed> {
        let (sender, results) = relay::channel();
        *self.relayed.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        results
    }

    /// The certificate a sender must trust, as PEM; none on plain HTTP.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.tls.as_ref().map(Tls::certificate_pem)
    }

    /// What has happened so far, stops and restarts included. It balances at every moment.
    pub fn account(&self) -> Account {
        self.desk.account()
    }

    /// From now on, every request that was read whole and addressed to [`PATH`].
    ///
    /// At most [`ARRIVALS_WAITING_MAX`] wait to be taken; beyond that they are skipped and
    /// counted in the account, because a slow reader must not slow the answers. An earlier
    /// channel of the same receiver ends.
    pub fn arrivals(&self) -> mpsc::Receiver<Arrival> {
        self.desk.watch()
    }

    /// Replaces the faults in force; an empty list ends them. Requests under way keep theirs.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.desk.set_faults(faults);
    }

    /// Stops listening and cuts every connection, answered or not. Safe to call twice.
    ///
    /// The account, the ids seen and the certificate stay for [`Receiver::listen`].
    pub fn stop(&mut self) {
        // Each is told before the first is waited for.
        let workers = self.workers.drain(..).chain(self.web_worker.take());
        let workers: Vec<_> = workers.map(Worker::stop).collect();
        for worker in workers {
            // A worker that panicked has said so on standard error already.
            let _panicked = worker.join();
        }
    }

    /// Listens again, on the same port, after [`Receiver::stop`]; no change while it listens.
    ///
    /// # Errors
    ///
    /// When somebody else took the port meanwhile, or the system refuses a thread. The receiver
    /// is stopped then.
    pub fn listen(&mut self) -> Result<(), ReceiverError> {
        while self.workers.len() < self.threads {
            let acceptors = self.tls.as_ref().map(Tls::acceptors);
            let shares_port = self.threads > 1;
            match Worker::start(self.addr, shares_port, acceptors, &self.desk, self.door) {
                Ok(worker) => {
                    self.addr = worker.addr();
                    self.workers.push(worker);
                }
                Err(error) => {
                    self.stop();
                    return Err(error);
                }
            }
        }
        if let Some(addr) = self.web.filter(|_| self.web_worker.is_none()) {
            match Worker::start(addr, false, None, &self.desk, Door::Page) {
                Ok(worker) => {
                    self.web = Some(worker.addr());
                    self.web_worker = Some(worker);
                }
                Err(error) => {
                    self.stop();
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Starts the relay, if there is somebody to hand callbacks on to.
fn relay(
    targets: &[Target],
    page: Option<Arc<Page>>,
    results: Arc<Mutex<Option<mpsc::SyncSender<Relayed>>>>,
) -> Result<Option<Relay>, ReceiverError> {
    if targets.is_empty() {
        return Ok(None);
    }
    let tell = move |relayed: Relayed| {
        if let Some(page) = &page {
            let mut history = page.history.lock().unwrap_or_else(PoisonError::into_inner);
            history.add_relayed(&relayed);
        }
        let results = results.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(results) = results.as_ref() {
            // Nobody who takes them is no reason to stop handing on.
            let _left_out = results.try_send(relayed);
        }
    };
    let relay = Relay::start(targets, Box::new(tell)).map_err(ReceiverError::Thread)?;
    Ok(Some(relay))
}

/// `addr` as it is reached from this machine.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    addr
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;

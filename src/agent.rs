//! The agent: builds the parts, starts the threads, stops them in order.

mod attend;
mod checkpoints;
mod live;
mod prepare;
mod reload;
mod route;
mod service;

pub use attend::{Signals, hold_hangups};

use crate::clock::{Clock, SystemClock};
use crate::config::live::Kind;
use crate::config::{Config, SourceConfig};
use crate::control::Desk;
use crate::delivery::transport::{HttpTransport, Transport};
use crate::delivery::{self, Delivery};
use crate::derive::Derive;
use crate::event::Maker;
use crate::ingest::{self, AlertBox, Alerts, Feed, Heartbeat, Hint, Ingest, IngestError, Mailbox};
use crate::listen;
use crate::logging::LoggingHandle;
use crate::parser::Parser;
use crate::queue::{Ledger, Queue, QueueError};
use crate::shutdown::{Bell, Shutdown};
use crate::source::Source;
use attend::Attendant;
use reload::{Attended, Reloader};
use service::Service;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::watch;

/// How long attempts under way may take to finish when the agent stops. Those that do not are
/// repeated after the next start, with the same id. Well below the 90 s after which service
/// managers kill.
pub const STOP_GRACE: Duration = Duration::from_secs(20);

/// Stack of the threads that pump and wait; the parser's and the store's buffers are on the heap.
const STACK_BYTES: usize = 1 << 20;

/// Longest wait for the attendant to hear signals.
const READY_WAIT: Duration = Duration::from_secs(5);

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    queue: Queue,
    shutdown: Shutdown,
    delivery: Arc<Delivery>,
    ingest: JoinHandle<()>,
    attendant: JoinHandle<()>,
    listening: Option<JoinHandle<()>>,
    service: Arc<Service>,
    checkpoints: JoinHandle<()>,
}

/// Why an agent cannot start.
#[derive(Debug)]
pub enum AgentError {
    /// The state directory could not be made.
    StateDir {
        /// Where it should be.
        directory: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The queue could not be opened or written.
    Queue(QueueError),
    /// Rows that do not fit have nowhere to be kept.
    Ingest(IngestError),
    /// An endpoint's transport or threads could not be set up.
    Delivery(delivery::StartError),
    /// A thread could not be had from the system.
    Thread(io::Error),
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StateDir { directory, .. } => {
                write!(f, "cannot make state_dir {}", directory.display())
            }
            Self::Queue(_) => f.write_str("the queue cannot be used"),
            Self::Ingest(error) => error.fmt(f),
            Self::Delivery(_) => f.write_str("delivery cannot start"),
            Self::Thread(_) => {
                f.write_str("the system refuses a thread; look at the limit of tasks")
            }
        }
    }
}

impl Error for AgentError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::StateDir { cause, .. } => Some(cause),
            Self::Queue(error) => Some(error),
            Self::Ingest(_) => None,
            Self::Delivery(error) => Some(error),
            Self::Thread(error) => Some(error),
        }
    }
}

impl Agent {
    /// Builds the agent that `config` describes and sets it to work. `log` is the process' log,
    /// where a later configuration may change it.
    ///
    /// # Errors
    ///
    /// When the queue cannot be opened, a source's rejects cannot be kept, or the system refuses a
    /// thread. Nothing has been sent then, or it will be repeated with the same id.
    pub fn start(
        config: Config,
        signals: Signals,
        log: Option<LoggingHandle>,
    ) -> Result<Agent, AgentError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let shutdown = Shutdown::default();
        let service = Arc::new(match signals {
            Signals::Heed => Service::of_this_process(),
            Signals::Ignore => Service::default(),
        });
        let queue = prepare::queue(&config)?;
        let bell = Bell::default();
        let mut feeds = Vec::new();
        let mut live = live::Live::default();
        for source in config.sources.clone() {
            let reserve_for = &config.queue.reserve_for;
            let added = match &source.kind {
                Kind::Files => {
                    feed(source, &config.node, &queue, reserve_for).map(|feed| feeds.push(feed))
                }
                _ => live.add(source, &config.node, &queue, &bell, &clock, reserve_for),
            };
            added.map_err(AgentError::Queue)?;
        }
        let alerts = AlertBox::of(&queue, bell.clone());
        let own = Alerts::new(Arc::clone(&config.node), alerts.clone(), queue.clone());
        live.intakes.push(Box::new(own));
        if let Some(every) = config.heartbeat_every {
            let beat = Heartbeat::new(Arc::clone(&config.node), every, &queue);
            live.intakes
                .push(Box::new(beat.map_err(AgentError::Queue)?));
        }
        let mut ingest = Ingest::new(
            feeds,
            queue.clone(),
            &config.state_dir,
            &config.queue.disk,
            Arc::clone(&clock),
        )
        .map_err(AgentError::Ingest)?
        .with_intakes(live.intakes);
        let endpoints = config
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.enabled)
            .map(|endpoint| endpoint.endpoint.clone())
            .map(|endpoint| {
                let is_held = Desk::is_paused(&queue, &endpoint.name);
                (endpoint, is_held)
            })
            .collect();
        let routes = route::table(&config, &queue, &*clock).map_err(AgentError::Queue)?;
        let mut make_transport = |endpoint: &delivery::endpoint::Endpoint| {
            let transport: Arc<dyn Transport> =
                Arc::new(HttpTransport::new(endpoint, Arc::clone(&clock))?);
            Ok(transport)
        };
        let delivery = Delivery::start_routed(
            (endpoints, routes),
            Arc::new(queue.clone()),
            Arc::clone(&clock),
            &mut make_transport,
            &shutdown,
            (fastrand::u64(..), Some(alerts)),
        )
        .map(Arc::new)
        .map_err(AgentError::Delivery)?;
        shutdown.ring_at_stop(&bell);
        let mailbox = Mailbox::new(bell.clone());
        ingest.connect(mailbox.clone(), Arc::clone(delivery.tap()));
        let hint = Hint::new(bell);
        let (attended, changed) = watch::channel(Attended::of(&config));
        let (path, socket) = (config.files.first().cloned(), config.control_socket.clone());
        let desk = Arc::new(Desk::new(
            config,
            queue.clone(),
            Arc::clone(&delivery),
            (mailbox, ingest.status()),
            Arc::clone(&clock),
            shutdown.clone(),
            log,
        ));
        let gates = live.listeners.iter();
        desk.listen_at(
            gates
                .map(|it| (Arc::clone(&it.source), it.gate.clone()))
                .collect(),
        );
        if let Some(path) = path {
            desk.reload_by(Arc::new(Reloader::new(&desk, path, attended)));
        }
        let (ready, attending) = mpsc::channel();
        let attendant = Attendant {
            attended: changed,
            hint: hint.clone(),
            shutdown: shutdown.clone(),
            signals,
            socket,
            desk,
            ready,
            clock: Arc::clone(&clock),
            service: Arc::clone(&service),
            ingest: ingest.progress().clone(),
        };
        let attendant = spawn("attend", move || attendant.run()).map_err(AgentError::Thread)?;
        let listening = match live.listeners {
            none if none.is_empty() => None,
            listeners => Some(
                listen::start(listeners, Arc::clone(&clock), shutdown.clone())
                    .map_err(AgentError::Thread)?,
            ),
        };
        let stopping = shutdown.clone();
        let ingest =
            spawn("ingest", move || ingest.run(&hint, &stopping)).map_err(AgentError::Thread)?;
        let (checkpointed, stopping) = (queue.clone(), shutdown.clone());
        let checkpoints = spawn("checkpoint", move || {
            checkpoints::run(&checkpointed, &stopping)
        })
        .map_err(AgentError::Thread)?;
        // Where signals cannot be had, the attendant has the agent stop; that is seen soon enough.
        let _ready = attending.recv_timeout(READY_WAIT);
        service.ready();
        Ok(Agent {
            queue,
            shutdown,
            delivery,
            ingest,
            attendant,
            listening,
            service,
            checkpoints,
        })
    }

    /// The account, as it is on disk.
    pub fn ledger(&self) -> Ledger {
        self.queue.ledger()
    }

    /// Waits until somebody asks for the stop: a signal, or a thread that has ended by itself.
    pub fn wait(&self) {
        while !self.shutdown.wait(Duration::from_millis(500)) {
            let listening = self.listening.as_ref();
            if self.ingest.is_finished()
                || listening.is_some_and(JoinHandle::is_finished)
                || self.attendant.is_finished()
                || self.checkpoints.is_finished()
                || self.delivery.has_ended()
            {
                return; // It panicked: the stop passes that on.
            }
        }
    }

    /// Stops in order: no new attempt and no new row, attempts under way finish within
    /// [`STOP_GRACE`] or are repeated after the next start, what was decided is made durable.
    ///
    /// # Errors
    ///
    /// When the queue could not be marked as closed in order; nothing is lost by that.
    ///
    /// # Panics
    ///
    /// When a thread has panicked: that is a bug, and this passes it on.
    pub fn stop(self) -> Result<Ledger, QueueError> {
        self.service.stopping();
        self.shutdown.request();
        let panicked = self.ingest.join().err();
        let panicked = self.attendant.join().err().or(panicked);
        let listened = self.listening.and_then(|listening| listening.join().err());
        let panicked = panicked.or(listened);
        let panicked = self.checkpoints.join().err().or(panicked);
        self.delivery.stop(STOP_GRACE);
        if let Some(payload) = panicked {
            std::panic::resume_unwind(payload);
        }
        self.queue.close()?;
        // The one before is at most a second old, so the stop need not fail with this.
        if let Err(error) = self.queue.checkpoint() {
            log::warn!("checkpoint not written error=\"{error}\"");
        }
        Ok(self.queue.ledger())
    }
}

/// What turns one source's bytes into events, going on where it left off.
fn feed(
    config: SourceConfig,
    node: &Arc<str>,
    queue: &Queue,
    reserve_for: &[Arc<str>],
) -> Result<Feed, QueueError> {
    let name = Arc::clone(&config.files.name);
    let (positions, seen_before) = (queue.positions(&name)?, ingest::is_known(queue, &name)?);
    let headers = Parser::new(config.parser.clone());
    let is_header = Arc::new(move |line: &[u8], at_start: bool| headers.is_header(line, at_start));
    let format = config.parser.format.clone();
    let maker = Maker::new(Arc::clone(node), Arc::clone(&name), config.calls);
    let stored = queue.states(&Derive::prefix(&name))?;
    let derive = Derive::new(config.derive, maker, &format, &stored);
    let is_reserved = |kind: &str| reserve_for.iter().any(|known| **known == *kind);
    let reserved = format.events().all(is_reserved);
    Ok(Feed {
        source: Source::open(config.files, is_header, positions, seen_before),
        parser: Parser::new(config.parser),
        derive,
        name,
        format,
        poll: config.poll,
        reserved,
    })
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new()
        .name(name.to_string())
        .stack_size(STACK_BYTES)
        .spawn(run)
}

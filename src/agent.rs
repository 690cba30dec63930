//! The agent: builds the parts, starts the threads, stops them in order.

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::delivery::Delivery;
use crate::ingest::{Ingest, IngestError};
use crate::queue::{Ledger, Queue, QueueError};
use crate::shutdown::{Bell, Shutdown};
use crate::source::Watch;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

/// How long attempts under way may take to finish when the agent stops. Those that do not are
/// repeated after the next start, with the same id. Below the 90 s after which service managers
/// kill.
pub const STOP_GRACE: Duration = Duration::from_secs(20);

/// Stack of the threads that only wait or pump; nothing in them recurses.
const STACK_BYTES: usize = 512 << 10;

/// Whether the process' signals are the agent's to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// SIGTERM and SIGINT stop the agent.
    Heed,
    /// They are somebody else's.
    Ignore,
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    queue: Queue,
    shutdown: Shutdown,
    delivery: Delivery,
    ingest: JoinHandle<()>,
    attendant: JoinHandle<()>,
}

/// Why an agent cannot start.
#[derive(Debug)]
pub enum AgentError {
    /// The queue could not be opened.
    Queue(QueueError),
    /// Rows have nowhere to be set aside, or a source cannot be set up.
    Ingest(IngestError),
    /// A thread, the signals or the runtime could not be had from the system.
    System(io::Error),
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(error) => error.fmt(f),
            Self::Ingest(error) => error.fmt(f),
            Self::System(error) => write!(f, "the system refuses a thread or a signal: {error}"),
        }
    }
}

impl std::error::Error for AgentError {}

impl Agent {
    /// Builds the agent that `config` describes and sets it to work.
    ///
    /// # Errors
    ///
    /// When the queue cannot be opened, a source's state cannot be kept, or the system refuses a
    /// thread. Nothing has been read or sent then.
    pub fn start(config: Config, signals: Signals) -> Result<Agent, AgentError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let shutdown = Shutdown::default();
        let queue = Queue::open(&config.state_dir, &config.node).map_err(AgentError::Queue)?;
        for endpoint in &config.endpoints {
            queue.attach(&endpoint.endpoint.name, endpoint.from).map_err(AgentError::Queue)?;
        }
        let globs: Vec<String> = config.sources.iter().flat_map(|source| source.files.files.clone()).collect();
        let summary_every = config.log.summary_every;
        let endpoints = config.endpoints.into_iter().filter(|endpoint| endpoint.enabled).map(|endpoint| endpoint.endpoint).collect();
        let delivery = Delivery::start(endpoints, queue.clone(), Arc::clone(&clock)).map_err(AgentError::System)?;
        let bell = Bell::default();
        shutdown.ring_at_stop(&bell);
        let ingest = {
            let feeds = config.sources.into_iter().map(|source| source.feed(&queue)).collect();
            let mut ingest = Ingest::new(feeds, queue.clone(), &config.state_dir, config.queue.disk_max, Arc::clone(&clock)).map_err(AgentError::Ingest)?;
            let (bell, shutdown) = (bell.clone(), shutdown.clone());
            spawn("ingest", move || ingest.run(&bell, &shutdown)).map_err(AgentError::System)?
        };
        let attendant = {
            let attendant = Attendant { globs, bell, shutdown: shutdown.clone(), signals, summary_every, queue: queue.clone(), counts: delivery.counts() };
            spawn("attend", move || attendant.run()).map_err(AgentError::System)?
        };
        Ok(Agent { queue, shutdown, delivery, ingest, attendant })
    }
}

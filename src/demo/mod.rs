//! Demo: the whole path on one machine, with nothing to prepare.
//!
//! ```text
//! small switch ─hourly files→ the agent as configured by a file ─HTTPS→ receiver on loopback
//! ```
//!
//! Everything is the real thing but the calls: the agent is the one `run` starts, reading its
//! configuration from a file, and the receiver is the one of `receive`, with a certificate made on
//! the spot. All of it lives in a temporary directory that is removed at the end.

mod switch;

use crate::agent::{Agent, AgentError, Signals};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Problems};
use crate::receiver::{
    Arrival, Certificate, Profile, Receiver, ReceiverError, SecretError, Settings, Verifier,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use switch::Switch;

/// Time from one call's end to the next.
const CALL_EVERY: Duration = Duration::from_millis(120);

/// Calls while all is well, before and after the hour turns.
const CALLS_BEFORE: usize = 16;

/// Calls while the receiver is down: a few seconds of them.
const CALLS_DURING: usize = 30;

/// Calls after it is back.
const CALLS_AFTER: usize = 10;

/// How long the last callbacks may take after the last call, before the account is drawn up.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// What there is to see.
#[derive(Debug)]
pub enum Scene<'a> {
    /// The stage is set.
    Set {
        /// The temporary directory.
        directory: &'a Path,
        /// The configuration the agent was started with.
        config: &'a str,
    },
    /// The switch goes on in a new file.
    NewFile(&'a Path),
    /// A callback was received.
    Arrived(&'a Arrival),
    /// The receiver goes down; calls go on.
    ReceiverDown,
    /// Calls that wait for it.
    Waiting {
        /// Rows written by the switch so far.
        written: u64,
        /// Events in the queue.
        queued: u64,
    },
    /// The receiver is back.
    ReceiverUp,
    /// The switch has stopped; the last callbacks are waited for.
    LastCall,
}

/// The account at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Rows the switch wrote.
    pub written: u64,
    /// Rows the agent read.
    pub read: u64,
    /// Rows it set aside.
    pub set_aside: u64,
    /// Events it delivered.
    pub delivered: u64,
    /// Events it gave up.
    pub dead: u64,
    /// Events it still has.
    pub queued: u64,
    /// Different events the receiver accepted.
    pub distinct: u64,
    /// Repeats the receiver recognised by their ids.
    pub duplicates: u64,
    /// Callbacks whose signature was wrong.
    pub bad_signatures: u64,
    /// Whether the agent's own ledger balances.
    pub ledger_balances: bool,
}

impl Balance {
    /// Whether every row written is an event delivered, and nothing else happened.
    pub fn is_even(&self) -> bool {
        let all = [self.read, self.delivered, self.distinct]
            .iter()
            .all(|count| *count == self.written);
        all && self.set_aside + self.dead + self.queued + self.bad_signatures == 0
            && self.ledger_balances
    }
}

/// Why the demo could not be played.
#[derive(Debug)]
pub enum DemoError {
    /// The temporary directory or a file in it.
    Disk(io::Error),
    /// The receiver.
    Receiver(ReceiverError),
    /// The secret made for it.
    Secret(SecretError),
    /// The configuration made for it.
    Configuration(Problems),
    /// The agent.
    Agent(AgentError),
    /// The agent's queue.
    Queue(crate::queue::QueueError),
    /// Random bytes.
    Random(getrandom::Error),
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => write!(
                f,
                "the temporary directory cannot be used: {error}; set TMPDIR to another one"
            ),
            Self::Receiver(error) => write!(f, "the receiver cannot start: {error}"),
            Self::Secret(error) => write!(f, "the secret cannot be used: {error}"),
            Self::Configuration(problems) => {
                write!(f, "the demo's own configuration is wrong: {problems}")
            }
            Self::Agent(error) => write!(f, "the agent cannot start: {error}"),
            Self::Queue(error) => write!(f, "the queue failed: {error}"),
            Self::Random(error) => write!(f, "the system gives no random bytes: {error}"),
        }
    }
}

impl std::error::Error for DemoError {}

impl From<io::Error> for DemoError {
    fn from(error: io::Error) -> DemoError {
        DemoError::Disk(error)
    }
}

/// Plays the demo, telling `audience` what there is to see; takes some 15 seconds.
///
/// # Errors
///
/// When something it needs cannot be had. An account that does not balance is no error here.
pub fn play(audience: &mut dyn FnMut(Scene<'_>)) -> Result<Balance, DemoError> {
    let stage = Stage::build()?;
    audience(Scene::Set {
        directory: &stage.directory.0,
        config: &stage.config,
    });
    let config = Config::load(&stage.directory.0.join("switchhook.toml"))
        .map_err(DemoError::Configuration)?;
    let agent = Agent::start(config, Signals::Ignore, None).map_err(DemoError::Agent)?;
    stage.play(agent, audience)
}

/// Everything but the agent.
struct Stage {
    receiver: Receiver,
    arrivals: mpsc::Receiver<Arrival>,
    switch: Switch,
    clock: SystemClock,
    config: String,
    directory: TemporaryDirectory,
}

impl Stage {
    fn build() -> Result<Stage, DemoError> {
        let directory = TemporaryDirectory::new()?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(DemoError::Random)?;
        let secret = format!("whsec_{}", STANDARD.encode(key));
        let verifier = Verifier::new(Profile::Standard, &[&secret]).map_err(DemoError::Secret)?;
        let mut settings = Settings::new(verifier);
        settings.certificate = Some(Certificate::SelfSigned {
            names: vec!["localhost".to_string()],
        });
        let receiver = Receiver::start(settings).map_err(DemoError::Receiver)?;
        let calls = directory.0.join("cdr");
        fs::create_dir(&calls)?;
        write_private(&directory.0.join("billing.secret"), &secret)?;
        write_private(
            &directory.0.join("receiver.pem"),
            receiver.certificate_pem().unwrap_or_default(),
        )?;
        let config = configuration(&directory.0, &receiver.url());
        write_private(&directory.0.join("switchhook.toml"), &config)?;
        let clock = SystemClock::new();
        let switch = Switch::new(
            &calls,
            clock.wall(),
            u64::from_be_bytes(*key.first_chunk().expect("32 bytes begin with 8")),
        );
        let arrivals = receiver.arrivals();
        Ok(Stage {
            receiver,
            arrivals,
            switch,
            clock,
            config,
            directory,
        })
    }

    fn play(
        mut self,
        agent: Agent,
        audience: &mut dyn FnMut(Scene<'_>),
    ) -> Result<Balance, DemoError> {
        self.calls(CALLS_BEFORE, &agent, true, audience)?;
        self.switch.turn_hour();
        self.calls(CALLS_BEFORE, &agent, true, audience)?;
        self.receiver.stop();
        audience(Scene::ReceiverDown);
        self.calls(CALLS_DURING, &agent, false, audience)?;
        self.receiver.listen().map_err(DemoError::Receiver)?;
        audience(Scene::ReceiverUp);
        self.calls(CALLS_AFTER, &agent, true, audience)?;
        audience(Scene::LastCall);
        self.drain(&agent, audience);
        let ledger = agent.stop().map_err(DemoError::Queue)?;
        self.receiver.stop();
        self.show_arrivals(Duration::ZERO, audience);
        let account = self.receiver.account();
        let source = ledger.source("cdr").copied().unwrap_or_default();
        let endpoint = ledger.endpoint("billing");
        Ok(Balance {
            written: self.switch.rows(),
            read: source.counts.rows,
            set_aside: source.counts.rejected,
            delivered: endpoint.map_or(0, |endpoint| endpoint.delivered),
            dead: endpoint.map_or(0, |endpoint| endpoint.dead),
            queued: endpoint.map_or(0, |endpoint| endpoint.queued + endpoint.waiting),
            distinct: account.distinct,
            duplicates: account.duplicates,
            bad_signatures: account.bad_signatures,
            ledger_balances: ledger.balances(),
        })
    }

    /// Plays some calls in real time, showing what arrives meanwhile.
    fn calls(
        &mut self,
        count: usize,
        agent: &Agent,
        is_up: bool,
        audience: &mut dyn FnMut(Scene<'_>),
    ) -> Result<(), DemoError> {
        for call in 0..count {
            let is_new = self.switch.is_between_files();
            let path = self.switch.call_ends(self.clock.wall())?.to_owned();
            if is_new {
                audience(Scene::NewFile(&path));
            }
            self.show_arrivals(CALL_EVERY, audience);
            if !is_up && call % 8 == 7 {
                let queued = agent
                    .ledger()
                    .endpoint("billing")
                    .map_or(0, |endpoint| endpoint.queued + endpoint.waiting);
                audience(Scene::Waiting {
                    written: self.switch.rows(),
                    queued,
                });
            }
        }
        Ok(())
    }

    /// Shows what arrives within `span`.
    fn show_arrivals(&self, span: Duration, audience: &mut dyn FnMut(Scene<'_>)) {
        let until = self.clock.now() + span;
        while let Ok(arrival) = self.arrivals.recv_timeout(until.since(self.clock.now())) {
            audience(Scene::Arrived(&arrival));
        }
    }

    /// Waits until everything has been delivered, or for as long as that may take.
    fn drain(&self, agent: &Agent, audience: &mut dyn FnMut(Scene<'_>)) {
        let until = self.clock.now() + DRAIN_MAX;
        while self.clock.now() < until {
            let delivered = agent
                .ledger()
                .endpoint("billing")
                .map_or(0, |endpoint| endpoint.delivered);
            if delivered >= self.switch.rows() {
                return;
            }
            self.show_arrivals(Duration::from_millis(50), audience);
        }
    }
}

fn configuration(directory: &Path, url: &str) -> String {
    let directory = directory.display();
    format!(
        "node = \"demo-switch\"\n\
         state_dir = \"{directory}/state\"\n\
         control_socket = \"{directory}/control.sock\"\n\
         \n\
         [[source]]\n\
         name = \"cdr\"\n\
         format = \"vos3000-csv\"\n\
         files = [\"{directory}/cdr/cdr_*.csv\"]\n\
         start = \"beginning\"\n\
         currency = \"USD\"\n\
         \n\
         [[endpoint]]\n\
         name = \"billing\"\n\
         url = \"{url}\"\n\
         events = [\"cdr\"]\n\
         secret_file = \"{directory}/billing.secret\"\n\
         ca_file = \"{directory}/receiver.pem\"\n\
         probe_max = \"1s\"\n"
    )
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}

/// A directory of the demo's own, removed with everything in it at the end.
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn new() -> io::Result<TemporaryDirectory> {
        let name = format!(
            "switchhook-demo-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        );
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(TemporaryDirectory(path))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the temporary directory.
        let _left = fs::remove_dir_all(&self.0);
    }
}

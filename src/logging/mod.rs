//! The agent's own words: records of the `log` facade, as lines for syslog or stderr.
//!
//! ```text
//! log::warn!(…) ─one_line→ bounded text ─message→ id ─bound→ admitted ─format→ datagram ─socket→ syslog daemon
//!                                                                     └───────────────────────→ stderr
//! ```
//!
//! Logging never stops the agent. A missing, full or restarted syslog daemon costs lines, which
//! are counted and reported by `log lines dropped count=N` as soon as a line gets through again.
//! Nothing a call record or an endpoint says can begin a line of its own: see [`one_line`].

mod attempts;
mod bound;
mod fields;
mod format;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod logger;
mod mask;
pub mod message;
mod one_line;
mod socket;
mod stderr;

pub use self::attempts::{Attempts, tells_attempt};
pub use self::format::Format;
pub use self::mask::mask_number;
pub use self::one_line::one_line;
pub use ::syslog::Facility;

use self::logger::Logger;
use crate::clock::Clock;
use log::{LevelFilter, SetLoggerError};
use std::path::PathBuf;
use std::sync::Arc;

/// The name under which lines appear in syslog.
pub const PROCESS_NAME: &str = "switchhook";

/// Where lines go and which of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where lines go.
    pub to: Destination,
    /// The least important level still written. Libraries are heard only from `warn` up: below
    /// that they tell about headers and addresses, which are not theirs to publish.
    pub level: LevelFilter,
    /// Which attempts to deliver get a line of their own.
    pub attempts: Attempts,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// To the local syslog daemon. It need not be there yet.
    Syslog(SyslogSettings),
    /// To standard error, coloured on a terminal: for a run by hand.
    Stderr,
}

/// How to speak to the local syslog daemon.
#[derive(Debug, Clone)]
pub struct SyslogSettings {
    /// The daemon's datagram socket, usually `/dev/log`.
    pub socket: PathBuf,
    /// How a line is laid out.
    pub format: Format,
    /// The facility lines are filed under, usually `daemon`.
    pub facility: Facility,
}

impl PartialEq for SyslogSettings {
    fn eq(&self, other: &SyslogSettings) -> bool {
        // The library's facility is a number that cannot be compared itself.
        let facility = |settings: &SyslogSettings| settings.facility as u32;
        self.socket == other.socket
            && self.format == other.format
            && facility(self) == facility(other)
    }
}

impl Default for SyslogSettings {
    fn default() -> SyslogSettings {
        SyslogSettings {
            socket: PathBuf::from("/dev/log"),
            format: Format::default(),
            facility: Facility::LOG_DAEMON,
        }
    }
}

/// The running log, for what is to be known about it or changed while it runs.
#[derive(Debug, Clone)]
pub struct LoggingHandle(Arc<Logger>);

impl LoggingHandle {
    /// Lines dropped since the start: over the rate bound, or refused by the daemon's socket.
    pub fn lines_dropped(&self) -> u64 {
        self.0.lines_dropped()
    }

    /// Changes the least important level still written.
    pub fn set_level(&self, level: LevelFilter) {
        log::set_max_level(level);
    }

    /// Changes where lines go and which of them.
    pub fn change(&self, settings: Settings) {
        self.0.redirect(settings.to);
        self.set_level(settings.level);
        attempts::set(settings.attempts);
    }
}

/// Makes `settings` the process' log.
///
/// # Errors
///
/// [`SetLoggerError`] when the process already has a log; that one goes on unchanged. A syslog
/// daemon that is not there is no error: the connection is tried again with later lines.
pub fn start(settings: Settings, clock: Arc<dyn Clock>) -> Result<LoggingHandle, SetLoggerError> {
    let logger = Arc::new(Logger::new(settings.to, clock));
    log::set_boxed_logger(Box::new(Arc::clone(&logger)))?;
    log::set_max_level(settings.level);
    attempts::set(settings.attempts);
    Ok(LoggingHandle(logger))
}

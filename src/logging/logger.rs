//! Logger: takes records, drops what is too much, and says how much that was.

use super::Destination;
use super::bound::Bound;
use super::format::Layout;
use super::message;
use super::one_line::one_line;
use super::socket::{DATAGRAM_BYTES_MAX, Socket};
use super::stderr;
use crate::clock::{Clock, Moment, UnixMs};
use log::{Level, Log, Metadata, Record};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shortest time between two reports of dropped lines, so that a flood is not answered by a
/// second one.
pub const REPORT_EVERY: Duration = Duration::from_secs(10);

/// The process' log.
#[derive(Debug)]
pub struct Logger {
    clock: Arc<dyn Clock>,
    lines: Mutex<Lines>,
}

impl Logger {
    /// A log that writes to `to`.
    pub fn new(to: Destination, clock: Arc<dyn Clock>) -> Logger {
        let lines = Lines {
            bound: Bound::new(clock.now()),
            way: Way::new(to, &clock),
            dropped: 0,
            unreported: 0,
            reported_at: None,
        };
        Logger {
            clock,
            lines: Mutex::new(lines),
        }
    }

    /// Lines dropped since the start.
    pub fn lines_dropped(&self) -> u64 {
        self.lines().dropped
    }

    /// Writes to `to` from now on.
    pub fn redirect(&self, to: Destination) {
        let way = Way::new(to, &self.clock);
        self.lines().way = way;
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The level is checked by the `log` macros, against `log::max_level`.
impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata.target()) || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Outside the lock: a value's `Display` may itself log. The bound is the datagram's for
        // stderr too: a longer text is a mistake at its origin.
        let text = one_line(record.args(), DATAGRAM_BYTES_MAX);
        let (wall, now) = (self.clock.wall(), self.clock.now());
        let message = match is_ours(record.target()) {
            true => message::of(&text),
            false => Some(&message::LIBRARY),
        };
        let id = message.map(|message| message.id);
        self.lines().write(record.level(), wall, now, id, &text);
    }

    fn flush(&self) {}
}

/// Whether a record comes from this program rather than from a library in it.
fn is_ours(target: &str) -> bool {
    let root = target.split("::").next();
    root == Some("switchhook")
}

#[derive(Debug)]
struct Lines {
    bound: Bound,
    way: Way,
    dropped: u64,
    unreported: u64,
    reported_at: Option<Moment>,
}

impl Lines {
    fn write(
        &mut self,
        level: Level,
        wall: UnixMs,
        now: Moment,
        id: Option<&'static str>,
        text: &str,
    ) {
        let passed = self.bound.admits(level, id == Some(message::ATTEMPT), now)
            && self.report_dropped(wall, now)
            && self.way.send(level, wall, id, text).is_ok();
        if !passed {
            self.dropped += 1;
            self.unreported += 1;
        }
    }

    /// Says how many lines were dropped, if it is time to; false when that did not get through.
    fn report_dropped(&mut self, wall: UnixMs, now: Moment) -> bool {
        let is_due = self
            .reported_at
            .is_none_or(|at| now.since(at) >= REPORT_EVERY);
        if self.unreported == 0 || !is_due {
            return true;
        }
        let text = format!("log lines dropped count={}", self.unreported);
        let id = message::of(&text).map(|message| message.id);
        if self.way.send(Level::Warn, wall, id, &text).is_err() {
            return false;
        }
        self.unreported = 0;
        self.reported_at = Some(now);
        true
    }
}

/// The way out, as far as a line is concerned.
enum Way {
    Syslog(syslog::Logger<Socket, Layout>),
    Stderr,
}

impl Way {
    fn new(to: Destination, clock: &Arc<dyn Clock>) -> Way {
        match to {
            Destination::Syslog(settings) => Way::Syslog(syslog::Logger::new(
                Socket::new(settings.socket, Arc::clone(clock)),
                Layout::new(settings.format, settings.facility),
            )),
            Destination::Stderr => Way::Stderr,
        }
    }

    fn send(
        &mut self,
        level: Level,
        wall: UnixMs,
        id: Option<&str>,
        text: &str,
    ) -> syslog::Result<()> {
        let line = (wall, id, text);
        match self {
            Way::Syslog(daemon) => match level {
                Level::Error => daemon.err(line),
                Level::Warn => daemon.warning(line),
                Level::Info => daemon.info(line),
                Level::Debug | Level::Trace => daemon.debug(line),
            },
            Way::Stderr => {
                let mut out = anstream::stderr().lock();
                stderr::write_line(&mut out, level, wall, id, text).map_err(syslog::Error::Write)
            }
        }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Syslog(daemon) => f.debug_tuple("Syslog").field(&daemon.backend).finish(),
            Way::Stderr => f.write_str("Stderr"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bound::{BURST_LINES_MAX, LINES_PER_SEC_MAX};
    use super::super::{Format, SyslogSettings};
    use super::*;
    use crate::clock::ManualClock;
    use std::fs;
    use std::os::unix::net::UnixDatagram;
    use std::path::{Path, PathBuf};
    use syslog::Facility;
    use tempfile::TempDir;

    /// A log in front of a daemon whose socket lies in a directory of its own.
    struct Bench {
        directory: TempDir,
        clock: Arc<ManualClock>,
        logger: Logger,
    }

    impl Bench {
        fn new() -> Bench {
            let directory = tempfile::tempdir().unwrap();
            let clock = Arc::new(ManualClock::at(UnixMs(1_775_745_045_120)));
            let settings = SyslogSettings {
                socket: directory.path().join("log"),
                format: Format::Rfc5424,
                facility: Facility::LOG_LOCAL0,
            };
            let logger = Logger::new(Destination::Syslog(settings), clock.clone());
            Bench {
                directory,
                clock,
                logger,
            }
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("log")
        }

        fn log(&self, level: Level, target: &str, text: &str) {
            self.logger.log(
                &Record::builder()
                    .level(level)
                    .target(target)
                    .args(format_args!("{text}"))
                    .build(),
            );
        }

        fn info(&self, text: &str) {
            self.log(Level::Info, "switchhook::agent", text);
        }
    }

    fn daemon(path: &Path) -> UnixDatagram {
        let daemon = UnixDatagram::bind(path).unwrap();
        daemon.set_nonblocking(true).unwrap();
        daemon
    }

    /// The texts waiting at the daemon, each with its priority.
    fn arrived(daemon: &UnixDatagram) -> Vec<String> {
        let mut bytes = [0; 4_096];
        let mut lines = Vec::new();
        while let Ok(length) = daemon.recv(&mut bytes) {
            let line = String::from_utf8(bytes[..length].to_vec()).unwrap();
            let (priority, rest) = line.split_once('>').unwrap();
            // `1 TIME HOST PROGRAM PID ID FIELDS TEXT`.
            let fields: Vec<&str> = rest.splitn(7, ' ').collect();
            let (id, rest) = (fields[5], fields[6]);
            let text = match rest.strip_prefix("- ") {
                Some(text) => text,
                None => rest.split_once("] ").unwrap().1,
            };
            let id = if id == "-" {
                String::new()
            } else {
                format!("{id} ")
            };
            lines.push(format!("{priority}>{id}{text}"));
        }
        lines
    }

    #[test]
    fn a_record_arrives_as_one_line_with_its_level() {
        let bench = Bench::new();
        let daemon = daemon(&bench.path());
        bench.log(Level::Error, "switchhook", "no room");
        bench.log(Level::Warn, "switchhook::ingest", "row says \"\nroot: in\"");
        assert_eq!(
            arrived(&daemon),
            ["<131>no room", r#"<132>row says "\nroot: in""#]
        );
    }

    #[test]
    fn libraries_are_heard_from_warnings_up() {
        let bench = Bench::new();
        let daemon = daemon(&bench.path());
        bench.log(Level::Info, "ureq::run", "POST with headers");
        bench.log(Level::Info, "switchhook_like", "not ours either");
        bench.log(Level::Warn, "sled::pagecache", "slow");
        assert_eq!(arrived(&daemon), ["<132>SH902 slow"]);
    }

    #[test]
    fn a_daemon_that_comes_back_hears_how_much_it_missed() {
        let bench = Bench::new();
        let first = daemon(&bench.path());
        bench.info("one");
        assert_eq!(arrived(&first), ["<134>one"]);

        drop(first);
        fs::remove_file(bench.path()).unwrap();
        bench.info("two");
        bench.info("three");

        let second = daemon(&bench.path());
        bench.clock.advance(Duration::from_secs(1));
        bench.info("four");
        bench.info("five");
        let expected = [
            "<132>SH901 log lines dropped count=2",
            "<134>four",
            "<134>five",
        ];
        assert_eq!(arrived(&second), expected);
        assert_eq!(bench.logger.lines_dropped(), 2);
    }

    #[test]
    fn a_daemon_that_never_reads_costs_lines_and_no_time() {
        let bench = Bench::new();
        let daemon = daemon(&bench.path());
        for _ in 0..2_000 {
            bench.clock.advance(Duration::from_secs(1));
            bench.info("x");
        }
        let queued = arrived(&daemon);
        assert!(queued.iter().all(|line| line == "<134>x"));
        assert_eq!(bench.logger.lines_dropped(), 2_000 - queued.len() as u64);

        bench.clock.advance(Duration::from_secs(1));
        bench.info("y");
        let report = format!(
            "<132>SH901 log lines dropped count={}",
            2_000 - queued.len()
        );
        assert_eq!(arrived(&daemon), [report.as_str(), "<134>y"]);
    }

    #[test]
    fn a_flood_is_cut_to_its_bound_and_counted() {
        let bench = Bench::new();
        let daemon = daemon(&bench.path());
        let mut passed = 0;
        for _ in 0..1_000 {
            bench.info("again");
            passed += arrived(&daemon).len();
        }
        assert_eq!(passed, BURST_LINES_MAX as usize);

        bench.clock.advance(Duration::from_secs(1));
        bench.info("later");
        let report = format!(
            "<132>SH901 log lines dropped count={}",
            1_000 - BURST_LINES_MAX
        );
        assert_eq!(arrived(&daemon), [report.as_str(), "<134>later"]);
        let steady = LINES_PER_SEC_MAX - 1;
        for _ in 0..steady {
            bench.info("steady");
        }
        bench.info("too much");
        bench.clock.advance(Duration::from_secs(1));
        bench.info("not reported again so soon");
        let lines = arrived(&daemon);
        assert!(
            !lines.iter().any(|line| line.contains("dropped")),
            "{lines:?}"
        );
    }
}

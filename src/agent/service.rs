//! The service manager: told when the agent is ready, reads its configuration again, stops, how it
//! is getting on, and that it makes progress.
//!
//! The protocol is a line per fact in a datagram to the socket that `NOTIFY_SOCKET` names, as
//! sd_notify(3) documents it. Without a service manager, or with one that does not listen, nothing
//! is sent and nothing waits.

use crate::clock::Moment;
use crate::progress::Progress;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Longest wait for room in the service manager's socket. It reads all the time; when it does not,
/// the machine has other troubles than a word that is missing.
const SEND_WAIT: Duration = Duration::from_secs(1);

/// The watchdog is fed this often per interval: one word that comes late or is lost is no stall.
const FEEDS_PER_INTERVAL: u32 = 4;

/// The watchdog is never fed more often than this, however short its interval.
const FEEDING_TIME_MIN: Duration = Duration::from_millis(10);

/// Most bytes of a status line; `systemctl status` shows one line.
const STATUS_BYTES_MAX: usize = 200;

/// The service manager's ear, where there is one.
#[derive(Debug, Default)]
pub(super) struct Service {
    socket: Option<UnixDatagram>,
    /// Time without a sign of life after which the service manager restarts the agent.
    watchdog: Option<Duration>,
}

impl Service {
    /// The one that started this process, as its environment says.
    pub(super) fn of_this_process() -> Service {
        let variable = |name: &str| std::env::var_os(name);
        let socket = variable("NOTIFY_SOCKET").and_then(|name| {
            connect(&name)
                .inspect_err(|error| {
                    log::warn!("service manager not told of anything error=\"{error}\"");
                })
                .ok()
        });
        let text = |name: &str| variable(name)?.into_string().ok();
        let is_meant = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = text("WATCHDOG_USEC")
            .filter(|_| is_meant && socket.is_some())
            .and_then(|micros| micros.parse().ok())
            .filter(|micros| *micros > 0)
            .map(Duration::from_micros);
        Service { socket, watchdog }
    }

    /// Whether anybody listens.
    pub(super) fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// The agent works: what was started after it may start.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being read again; [`ready`](Service::ready) ends that.
    pub(super) fn reloading(&self) {
        let micros = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
            .map(|now| Duration::from(now).as_micros());
        match micros {
            Ok(micros) => self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}")),
            Err(_) => self.tell("RELOADING=1"),
        }
    }

    /// The agent stops by itself or because it was told to.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// How things stand, in one line for the operator.
    pub(super) fn status(&self, text: &str) {
        let mut line = String::from("STATUS=");
        for letter in text.chars().filter(|letter| !letter.is_control()) {
            if line.len() + letter.len_utf8() > STATUS_BYTES_MAX {
                break;
            }
            line.push(letter);
        }
        self.tell(&line);
    }

    /// How often [`feed`](Service::feed) is to be called; none without a watchdog.
    pub(super) fn feeding_time(&self) -> Option<Duration> {
        Some((self.watchdog? / FEEDS_PER_INTERVAL).max(FEEDING_TIME_MIN))
    }

    /// Tells the watchdog of progress, if there is any in every one of `pumps`. A thread may take
    /// one interval for a step: an agent that hangs is restarted within two.
    pub(super) fn feed(&self, pumps: &[&Progress], now: Moment) -> Result<(), Stalled> {
        let Some(allowance) = self.watchdog else {
            return Ok(());
        };
        let stalled: Vec<String> = pumps
            .iter()
            .flat_map(|pump| pump.stalled(now, allowance))
            .collect();
        if !stalled.is_empty() {
            return Err(Stalled(stalled));
        }
        self.tell("WATCHDOG=1");
        Ok(())
    }

    fn tell(&self, facts: &str) {
        if let Some(socket) = &self.socket {
            // A service manager that is gone cannot be told so.
            let _heard = socket.send(facts.as_bytes());
        }
    }
}

/// Threads that have not turned in time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stalled(Vec<String>);

impl std::fmt::Display for Stalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        /// Names in one line of the log.
        const NAMED: usize = 3;
        let mut names = String::new();
        for name in self.0.iter().take(NAMED) {
            write!(names, "{}{name}", if names.is_empty() { "" } else { "," })?;
        }
        write!(f, "threads={names} count={}", self.0.len())
    }
}

/// A socket that sends to `name`: a path, or a name in the abstract space after an `@`.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(SEND_WAIT))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(watchdog: Option<Duration>) -> (Service, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let socket = Some(ours);
        (Service { socket, watchdog }, theirs)
    }

    fn heard(manager: &UnixDatagram) -> Option<String> {
        let mut bytes = [0; 1_024];
        let length = manager.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }

    #[test]
    fn the_watchdog_is_fed_by_progress_in_both_pumps_and_not_by_the_time() {
        let interval = Duration::from_secs(60);
        let (service, manager) = service(Some(interval));
        let (ingest, delivery) = (Progress::default(), Progress::default());
        let (reads, sends) = (ingest.pulse("ingest"), delivery.pulse("send-a-1"));
        let at = |secs| Moment(Duration::from_secs(secs));
        let pumps = [&ingest, &delivery];
        reads.due(at(100));
        sends.due(at(100));
        service.feed(&pumps, at(160)).unwrap();
        assert_eq!(heard(&manager).as_deref(), Some("WATCHDOG=1"));
        reads.due(at(161));
        let stalled = service.feed(&pumps, at(161)).unwrap_err();
        assert_eq!(stalled.to_string(), "threads=send-a-1 count=1");
        assert_eq!(heard(&manager), None, "no sign of life for half an agent");
        sends.due(at(161));
        service.feed(&pumps, at(161)).unwrap();
        assert_eq!(heard(&manager).as_deref(), Some("WATCHDOG=1"));
        assert_eq!(service.feeding_time(), Some(interval / FEEDS_PER_INTERVAL));
    }

    #[test]
    fn a_status_is_one_line_and_bounded() {
        let (service, manager) = service(None);
        service.status(&format!("two\nlines {}", "é".repeat(200)));
        let line = heard(&manager).unwrap();
        assert!(line.starts_with("STATUS=twolines é") && line.len() <= STATUS_BYTES_MAX);
        service.reloading();
        let facts = heard(&manager).unwrap();
        assert!(facts.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{facts}");
    }

    #[test]
    fn without_a_service_manager_nothing_is_sent_and_nothing_waits() {
        let service = Service::default();
        service.ready();
        service.stopping();
        assert_eq!(service.feeding_time(), None);
        assert_eq!(service.feed(&[], Moment::default()), Ok(()));
    }
}

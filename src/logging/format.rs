//! Format: one line as the local syslog daemon expects it.
//!
//! These are forms for the `syslog` crate's [`LogFormat`]. The crate's own two are not used: they
//! ask the time themselves, and its RFC 3164 stamp is UTC where every daemon reads local time,
//! and writes a zero where the standard has a space (`Nov  1`).

use super::{PROCESS_NAME, fields};
use crate::clock::UnixMs;
use crate::timestamp::Timestamp;
use jiff::tz::TimeZone;
use std::fs;
use std::io::Write;
use std::process;
use syslog::{Facility, LogFormat, Severity};

/// How a line is laid out for the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `<30>Nov  1 05:36:33 switchhook[4711]: SH301 text`, in the machine's own time zone, as the C
    /// library's `syslog` writes it. The default, because the local socket of rsyslog (seen
    /// with 8.2302 in its default settings) and of journald takes a line's beginning for this
    /// form: of an RFC 5424 line rsyslog makes a program called `1` and puts the rest of the
    /// header into the text.
    #[default]
    Rfc3164,
    /// `<30>1 2026-11-01T05:36:33.120Z host switchhook 4711 SH301 [switchhook@32473 endpoint="billing"]
    /// text`, for a daemon that was told to expect it (rsyslog: `SysSock.UseSpecialParser="off"`).
    Rfc5424,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 2] = [Format::Rfc3164, Format::Rfc5424];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rfc3164 => "rfc3164",
            Self::Rfc5424 => "rfc5424",
        }
    }
}

/// Lays out lines in a [`Format`].
#[derive(Debug)]
pub struct Layout {
    format: Format,
    facility: Facility,
    /// For RFC 5424; RFC 3164 on a local socket names no host.
    hostname: String,
    pid: u32,
    /// For RFC 3164, whose stamps carry no zone; RFC 5424 is in UTC.
    zone: TimeZone,
}

impl Layout {
    /// The layout for this process on this machine.
    pub fn new(format: Format, facility: Facility) -> Layout {
        Layout {
            format,
            facility,
            hostname: hostname(),
            pid: process::id(),
            zone: local_zone(),
        }
    }
}

/// What is laid out is a line's time, its id where it has one, and its text.
impl LogFormat<(UnixMs, Option<&str>, &str)> for Layout {
    fn format<W: Write>(
        &self,
        w: &mut W,
        severity: Severity,
        (wall, id, text): (UnixMs, Option<&str>, &str),
    ) -> syslog::Result<()> {
        let priority = self.facility as u8 | severity as u8;
        let (host, pid) = (&self.hostname, self.pid);
        // One `write!` is one datagram: see the socket.
        let written = match self.format {
            Format::Rfc3164 => {
                let stamp = local_stamp(wall, &self.zone);
                let (id, space) = id.map_or(("", ""), |id| (id, " "));
                write!(
                    w,
                    "<{priority}>{stamp} {PROCESS_NAME}[{pid}]: {id}{space}{text}"
                )
            }
            Format::Rfc5424 => {
                let stamp = Timestamp::from_millis(wall.0);
                // `-` stands for what is not there (section 6).
                let id = id.unwrap_or("-");
                let fields = fields::structured(text);
                write!(
                    w,
                    "<{priority}>1 {stamp} {host} {PROCESS_NAME} {pid} {id} {fields} {text}"
                )
            }
        };
        written.map_err(syslog::Error::Write)
    }
}

/// `Nov  1 05:36:33` (RFC 3164, section 4.1.2: the day is padded with a space).
fn local_stamp(wall: UnixMs, zone: &TimeZone) -> String {
    let instant = jiff::Timestamp::from_millisecond(wall.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let stamp = instant.to_zoned(zone.clone()).strftime("%b %e %H:%M:%S");
    stamp.to_string()
}

/// The machine's time zone; UTC where it has none or its file cannot be read.
fn local_zone() -> TimeZone {
    let rules = fs::read("/etc/localtime").unwrap_or_default();
    TimeZone::tzif("local", &rules).unwrap_or(TimeZone::UTC)
}

/// The machine's name, or `-` where it is not one that fits a header (RFC 5424, section 6.2.4).
fn hostname() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name = name.to_string_lossy();
    let fits = !name.is_empty() && name.len() <= 255 && name.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        name.into_owned()
    } else {
        "-".to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-01T05:36:33.120Z
    const WALL: UnixMs = UnixMs(1_793_511_393_120);

    #[track_caller]
    fn check(format: Format, zone: TimeZone, severity: Severity, expected: &str) {
        let layout = Layout {
            format,
            facility: Facility::LOG_DAEMON,
            hostname: "sw1.example.net".to_string(),
            pid: 4711,
            zone,
        };
        let mut line = Vec::new();
        let text = "endpoint failing endpoint=billing";
        let line_of = (WALL, Some("SH301"), text);
        layout.format(&mut line, severity, line_of).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn rfc_3164_has_local_time_a_padded_day_the_id_first_and_no_host() {
        check(
            Format::Rfc3164,
            TimeZone::get("Asia/Dhaka").unwrap(),
            Severity::LOG_WARNING,
            "<28>Nov  1 11:36:33 switchhook[4711]: SH301 endpoint failing endpoint=billing",
        );
    }

    #[test]
    fn rfc_5424_has_utc_milliseconds_host_id_and_fields() {
        check(
            Format::Rfc5424,
            TimeZone::get("Asia/Dhaka").unwrap(),
            Severity::LOG_INFO,
            "<30>1 2026-11-01T05:36:33.120Z sw1.example.net switchhook 4711 SH301 [switchhook@32473 endpoint=\"billing\"] endpoint failing endpoint=billing",
        );
    }

    #[test]
    fn an_impossible_time_does_not_silence_a_line() {
        assert_eq!(
            local_stamp(UnixMs(i64::MAX), &TimeZone::UTC),
            "Jan  1 00:00:00"
        );
    }
}

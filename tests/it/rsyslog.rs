//! The log as a real rsyslogd takes it, which is kept busy, goes away and comes back.

use crate::support::{Agent, Bench, has, receiver, row, skip, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use switchhook::receiver::Profile;

const WHY: &str = "rsyslogd is not installed";

/// Whether rsyslogd can be run; it does not exit with 0 for anything that only asks.
fn is_there() -> bool {
    has("rsyslogd", "-v")
}

/// A daemon with the default socket of its kind, `log`, and one for RFC 5424, `log5424`.
struct Daemon {
    child: Child,
    out: PathBuf,
}

impl Daemon {
    fn start(bench: &Bench) -> Daemon {
        let at = |name: &str| bench.path(name).display().to_string();
        let out = bench.path("daemon.out");
        let configuration = format!(
            "global(workDirectory=\"{dir}\" net.enableDNS=\"off\")\n\
             module(load=\"imuxsock\" SysSock.Name=\"{log}\" SysSock.UsePIDFromSystem=\"off\")\n\
             input(type=\"imuxsock\" Socket=\"{log5424}\" CreatePath=\"on\" UseSpecialParser=\"off\" ParseHostname=\"on\")\n\
             template(name=\"parts\" type=\"string\" string=\"%programname%|%procid%|%msgid%|%syslogseverity-text%|%syslogfacility-text%|%structured-data%|%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{out}\" template=\"parts\")\n",
            dir = at(""),
            log = at("log"),
            log5424 = at("log5424"),
            out = out.display(),
        );
        fs::write(bench.path("rsyslog.conf"), configuration).unwrap();
        let child = Command::new("rsyslogd")
            .args(["-n", "-i", &at("rsyslog.pid"), "-f", &at("rsyslog.conf")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Daemon { child, out };
        wait_until("rsyslogd to listen", || {
            bench.path("log").exists() && bench.path("log5424").exists()
        });
        daemon
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    /// The lines it has written, each with its parts.
    fn lines(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(&self.out).unwrap_or_default();
        let parts = |line: &str| line.splitn(7, '|').map(str::to_string).collect();
        text.lines().map(parts).collect()
    }

    #[track_caller]
    fn line_with(&self, words: &str) -> Vec<String> {
        let mut found = None;
        wait_until(&format!("rsyslogd to write {words:?}"), || {
            found = self
                .lines()
                .into_iter()
                .find(|parts| parts[6].contains(words));
            found.is_some()
        });
        found.unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn configure(bench: &Bench, socket: &str, more: &str, endpoint: &str) {
    let log = format!(
        "[log]\nto = \"syslog\"\nsocket = \"{}\"\nfacility = \"local3\"\nsummary_every = \"1s\"\n{more}\n",
        bench.path(socket).display()
    );
    bench.configure_with(&log, endpoint);
}

/// An address at which nobody listens.
const NOBODY: &str = "url = \"http://127.0.0.1:1/\"";

#[test]
fn rsyslogd_reads_ids_and_fields_of_rfc_5424_and_of_rfc_3164() {
    const TEST: &str = "rsyslog::rsyslogd_reads_ids_and_fields_of_rfc_5424_and_of_rfc_3164";
    if !is_there() {
        return skip(TEST, WHY);
    }
    let bench = Bench::new();
    let daemon = Daemon::start(&bench);
    configure(&bench, "log5424", "format = \"rfc5424\"", NOBODY);
    fs::write(bench.path("cdr/cdr_1.csv"), row(1)).unwrap();
    let agent = bench.agent();
    let pid = agent.pid().to_string();
    let failing = daemon.line_with("endpoint failing");
    assert_eq!(
        failing[..5],
        ["switchhook", &pid, "SH301", "warning", "local3"],
        "{failing:?}"
    );
    assert!(
        failing[5]
            .starts_with("[switchhook@32473 endpoint=\"billing\" attempts=\"3\" error=\"connect: "),
        "{failing:?}"
    );
    assert!(
        failing[6].starts_with("endpoint failing endpoint=billing"),
        "{failing:?}"
    );
    let attempt = daemon.line_with("attempt endpoint=billing outcome=unavailable number=1");
    assert_eq!(attempt[2..4], ["SH320", "info"], "{attempt:?}");
    assert!(
        attempt[5].contains(" type=\"cdr\" id=\"evt_"),
        "{attempt:?}"
    );
    assert_eq!(agent.stop(), 0);
    daemon.line_with("stopped queued=1");
    assert!(
        daemon
            .lines()
            .iter()
            .all(|parts| parts[2].starts_with("SH")),
        "{:?}",
        daemon.lines()
    );

    // The same on the socket that every daemon has, as old ones read it.
    let seen = daemon.lines().len();
    configure(
        &bench,
        "log",
        "format = \"rfc3164\"\nattempts = \"none\"",
        NOBODY,
    );
    let agent = bench.agent();
    let pid = agent.pid().to_string();
    wait_until("the line of the second agent", || {
        daemon
            .lines()
            .iter()
            .skip(seen)
            .any(|parts| parts[6].contains("SH301 endpoint failing"))
    });
    assert_eq!(agent.stop(), 0);
    let old = daemon.lines().split_off(seen);
    let failing = old
        .iter()
        .find(|parts| parts[6].contains("endpoint failing"))
        .unwrap();
    assert_eq!(failing[..2], ["switchhook", &pid], "{failing:?}");
    assert_eq!(failing[3..6], ["warning", "local3", "-"], "{failing:?}");
    assert!(
        failing[6]
            .trim_start()
            .starts_with("SH301 endpoint failing endpoint=billing"),
        "{failing:?}"
    );
    assert!(
        !old.iter().any(|parts| parts[6].contains("SH320")),
        "{old:?}"
    );
}

#[test]
fn rsyslogd_busy_restarted_or_without_its_socket_stops_nothing_and_hears_what_it_missed() {
    const TEST: &str = "rsyslog::rsyslogd_busy_restarted_or_without_its_socket_stops_nothing_and_hears_what_it_missed";
    if !is_there() {
        return skip(TEST, WHY);
    }
    let bench = Bench::new();
    let daemon = Daemon::start(&bench);
    let receiver = receiver(Profile::Standard, &[], 0);
    let endpoint = format!("url = \"{}\"", receiver.url());
    configure(&bench, "log", "attempts = \"all\"", &endpoint);
    let agent: Agent = bench.agent();
    daemon.line_with("SH002 started");
    let mut rows = 0;
    let mut deliver = |why: &str, count: u64| {
        let text: String = (rows..rows + count).map(row).collect();
        fs::write(bench.path(&format!("cdr/cdr_{rows}.csv")), text).unwrap();
        rows += count;
        wait_until(why, || receiver.account().distinct == rows);
    };
    deliver("a row to arrive", 1);
    daemon.line_with("SH320 attempt endpoint=billing outcome=delivered");

    // Kept busy: it does not read, and the socket fills.
    daemon.signal(Signal::SIGSTOP);
    deliver("rows to arrive while rsyslogd is held", 500);
    daemon.signal(Signal::SIGCONT);
    // More attempts than are told: what was left out is counted and said.
    daemon.line_with("SH901 log lines dropped count=");

    // Restarted: it removes its socket when it ends, and makes another one.
    daemon.signal(Signal::SIGTERM);
    wait_until("the socket to go", || !bench.path("log").exists());
    drop(daemon);
    deliver("a row to arrive without rsyslogd", 1);
    fs::remove_file(bench.path("daemon.out")).unwrap();
    let daemon = Daemon::start(&bench);
    daemon.line_with("SH010 summary endpoint=billing state=working delivered=502");

    // Its socket is removed under it, and made again by another one.
    fs::remove_file(bench.path("log")).unwrap();
    deliver("a row to arrive without a socket", 1);
    drop(daemon);
    fs::remove_file(bench.path("daemon.out")).unwrap();
    let daemon = Daemon::start(&bench);
    daemon.line_with("SH010 summary endpoint=billing state=working delivered=503");
    assert_eq!(agent.stop(), 0);
    daemon.line_with("SH004 stopped queued=0");
}

//! The agent under a service manager, which this test plays: what it is told, and when not.

use crate::support::{Bench, PATIENCE, receiver, row, skip, switchhook, wait_until};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use switchhook::receiver::Profile;

/// The watchdog's interval in these tests.
const INTERVAL: Duration = Duration::from_secs(1);

/// A service manager with one service.
struct Manager {
    socket: UnixDatagram,
    agent: Child,
}

impl Manager {
    fn start(bench: &Bench) -> Manager {
        let path = bench.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let log = fs::File::create(bench.path("agent.log")).unwrap();
        let agent = switchhook()
            .args(["run", "--config"])
            .arg(bench.path("switchhook.toml"))
            .env("NOTIFY_SOCKET", path)
            .env("WATCHDOG_USEC", INTERVAL.as_micros().to_string())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Manager { socket, agent }
    }

    /// The next fact that starts with `word`; none when none comes within `patience`.
    fn hear(&self, word: &str, patience: Duration) -> Option<String> {
        let until = Instant::now() + patience;
        let mut bytes = [0; 4_096];
        loop {
            let left = until.checked_duration_since(Instant::now())?;
            self.socket
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))
                .unwrap();
            let Ok(length) = self.socket.recv(&mut bytes) else {
                continue;
            };
            let facts = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if facts.lines().any(|fact| fact.starts_with(word)) {
                return Some(facts);
            }
        }
    }

    /// Whether the agent gives no sign of life for `patience`; earlier ones do not count.
    fn is_silent(&self, patience: Duration) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 4_096]).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
        self.hear("WATCHDOG=1", patience).is_none()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.agent.id()).unwrap())
    }

    /// The thread called `name`.
    fn thread(&self, name: &str) -> Pid {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.agent.id())).unwrap();
        let is_it = |task: &fs::DirEntry| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
        };
        let task = tasks.map(Result::unwrap).find(is_it).unwrap();
        Pid::from_raw(task.file_name().to_str().unwrap().parse().unwrap())
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ended = self.agent.kill();
        let _reaped = self.agent.wait();
    }
}

/// Holds one thread still, as a call that never returns would.
fn hold(thread: Pid) -> nix::Result<()> {
    ptrace::seize(thread, ptrace::Options::empty())?;
    ptrace::interrupt(thread)?;
    waitpid(thread, Some(WaitPidFlag::__WALL)).map(drop)
}

#[test]
fn the_service_manager_hears_of_start_state_reload_and_stop() {
    let bench = Bench::new();
    let billing = receiver(Profile::Standard, &[], 1);
    bench.configure(&format!("url = \"{}\"", billing.url()));
    fs::write(bench.path("cdr/cdr_1.csv"), [row(1), row(2)].concat()).unwrap();
    let mut manager = Manager::start(&bench);
    manager.hear("READY=1", PATIENCE).unwrap();
    let status = manager.hear("STATUS=", PATIENCE).unwrap();
    assert!(status.contains("rows read, "), "{status}");
    manager.hear("WATCHDOG=1", PATIENCE).unwrap();
    kill(manager.pid(), Signal::SIGHUP).unwrap();
    let reloading = manager.hear("RELOADING=1", PATIENCE).unwrap();
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    manager.hear("READY=1", PATIENCE).unwrap();
    kill(manager.pid(), Signal::SIGTERM).unwrap();
    manager.hear("STOPPING=1", PATIENCE).unwrap();
    assert!(manager.agent.wait().unwrap().success());
}

#[test]
fn an_agent_with_nothing_configured_runs_and_says_that_it_is_idle() {
    let bench = Bench::new();
    fs::write(
        bench.path("switchhook.toml"),
        "state_dir = \"state\"\n[log]\nto = \"stderr\"\n",
    )
    .unwrap();
    let mut manager = Manager::start(&bench);
    // How it stands is told beside whether it has started, and may come first.
    let mut facts = String::new();
    while !(facts.contains("READY=1") && facts.contains("STATUS=")) {
        facts += &manager.hear("", PATIENCE).unwrap();
        facts.push('\n');
    }
    assert!(facts.contains("idle: no source"), "{facts}");
    manager.hear("WATCHDOG=1", PATIENCE).unwrap();
    let log = fs::read_to_string(bench.path("agent.log")).unwrap();
    let word = "idle, no source and no endpoint configured: write both into ";
    assert!(log.contains(word), "{log}");
    kill(manager.pid(), Signal::SIGTERM).unwrap();
    assert!(manager.agent.wait().unwrap().success());
}

#[test]
fn a_pump_that_hangs_is_not_covered_up_by_the_other_one() {
    const TEST: &str = "service::a_pump_that_hangs_is_not_covered_up_by_the_other_one";
    let bench = Bench::new();
    // It never answers, so the one worker spends its time in attempts and not in waits.
    let billing = receiver(Profile::Standard, &["hang"], 1);
    bench.configure(&format!(
        "url = \"{}\"\nconcurrency = 1\ntimeout = \"1s\"\nprobe_max = \"100ms\"",
        billing.url()
    ));
    fs::write(bench.path("cdr/cdr_1.csv"), row(1)).unwrap();
    let manager = Manager::start(&bench);
    manager.hear("WATCHDOG=1", PATIENCE).unwrap();
    match hold(manager.pid()) {
        Err(Errno::EPERM) => {
            return skip(TEST, "this system lets no program hold another's thread");
        }
        held => held.unwrap(),
    }
    ptrace::detach(manager.pid(), None).unwrap();
    for name in ["ingest", "send-billing-1"] {
        let thread = manager.thread(name);
        // A thread that is held in the middle of a wait is not late before its end: once more then.
        wait_until("the watchdog to hear nothing any more", || {
            hold(thread).unwrap();
            // Its step may take an interval, the attempt one more.
            let until = Instant::now() + INTERVAL * 4;
            let mut is_silent = false;
            while !is_silent && Instant::now() < until {
                is_silent = manager.is_silent(INTERVAL);
            }
            ptrace::detach(thread, None).unwrap();
            is_silent
        });
        manager.hear("WATCHDOG=1", PATIENCE).unwrap();
    }
    let log = fs::read_to_string(bench.path("agent.log")).unwrap();
    for expected in [
        "no progress, the service manager is not told to wait any longer threads=ingest count=1",
        "threads=send-billing-1 count=1",
        "progress again",
    ] {
        assert!(log.contains(expected), "{expected:?} is not in {log}");
    }
}

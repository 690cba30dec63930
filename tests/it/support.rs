//! A bench to test on: a directory with a configuration, a switch that writes files, a receiver,
//! and the agent as a process.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use switchhook::queue::{Ledger, Queue};
use switchhook::receiver::{Fault, Profile, Receiver, Settings, Verifier};
use tempfile::TempDir;

/// The secret of all tests.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How long anything may take before a test fails: far more than it ever does.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The program under test.
pub fn switchhook() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchhook"));
    command.env("NO_COLOR", "1");
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    switchhook()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until `is_so`, looking often.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Says on the terminal itself, past the test runner, that a test did not run.
pub fn skip(test: &str, why: &str) {
    let line = format!("\nSKIPPED {test}: {why}; .ci/run installs it\n");
    let _told = std::io::stderr().write_all(line.as_bytes());
}

/// Whether `program` can be run.
pub fn has(program: &str, argument: &str) -> bool {
    let run = Command::new(program)
        .arg(argument)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

/// A directory with everything a test needs.
pub struct Bench {
    pub dir: TempDir,
}

impl Bench {
    pub fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("cdr")).unwrap();
        let bench = Bench { dir };
        let mut secret = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(bench.path("secret"))
            .unwrap();
        writeln!(secret, "{SECRET}").unwrap();
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the configuration: one source of VOS3000 rows, and the given endpoint keys.
    pub fn configure(&self, endpoint: &str) {
        self.configure_with("[log]\nto = \"stderr\"\n", endpoint);
    }

    pub fn configure_with(&self, top: &str, endpoint: &str) {
        let config = format!(
            "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n{top}\n\
             [[source]]\nname = \"cdr\"\nformat = \"vos3000-csv\"\nfiles = [\"{}/cdr/*.csv\"]\nstart = \"beginning\"\npoll = \"200ms\"\ncurrency = \"USD\"\n\n\
             [[endpoint]]\nname = \"billing\"\nevents = [\"cdr\"]\nsecret_file = \"secret\"\n{endpoint}\n",
            self.dir.path().display()
        );
        fs::write(self.path("switchhook.toml"), config).unwrap();
    }

    pub fn agent(&self) -> Agent {
        Agent::start(self)
    }

    /// Whether the running agent says that nothing is left to deliver, nor waits for a retry.
    pub fn is_drained(&self) -> bool {
        let mut command = switchhook();
        command.args(["status", "--json", "--config"]);
        let output = command.arg(self.path("switchhook.toml")).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let endpoints = status["endpoints"].as_array();
        endpoints.is_some_and(|endpoints| {
            let is_empty =
                |endpoint: &serde_json::Value| endpoint["queued"] == 0 && endpoint["waiting"] == 0;
            endpoints.iter().all(is_empty)
        })
    }

    /// The agent, with more in its environment.
    pub fn agent_with(&self, environment: &[(&str, &str)]) -> Agent {
        Agent::start_with(self, environment)
    }

    /// The ledger as the agent left it.
    pub fn ledger(&self) -> Ledger {
        let queue = Queue::open(&self.path("state"), "vos-1").unwrap();
        assert_eq!(queue.opened().mended, []);
        queue.ledger()
    }
}

/// The agent as a process; ended with the test.
pub struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    pub fn start(bench: &Bench) -> Agent {
        Agent::start_with(bench, &[])
    }

    pub fn start_with(bench: &Bench, environment: &[(&str, &str)]) -> Agent {
        let log = bench.path("agent.log");
        let errors = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = switchhook()
            .args(["run", "--config"])
            .arg(bench.path("switchhook.toml"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .unwrap();
        Agent { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as the kernel would, wherever it is.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, as a service manager would; returns its exit code.
    #[track_caller]
    pub fn stop(mut self) -> i32 {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let mut status = None;
        wait_until("the agent to stop", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code()).unwrap_or(-1)
    }

    /// Waits for its end; returns its exit code.
    pub fn wait(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A receiver that believes [`SECRET`].
pub fn receiver(profile: Profile, faults: &[&str], seed: u64) -> Receiver {
    let mut settings = Settings::new(Verifier::new(profile, &[SECRET]).unwrap());
    settings.faults = faults
        .iter()
        .map(|fault| fault.parse::<Fault>().unwrap())
        .collect();
    settings.seed = seed;
    Receiver::start(settings).unwrap()
}

/// A VOS3000 billing server's row for the call `flowno`.
pub fn row(flowno: u64) -> String {
    let start = 1_775_800_888_533 + flowno;
    let stop = start + 147_000;
    format!(
        "\"12025550117\",\"12025550117\",\"447700900999\",\"900447700900999\",\"192.0.2.12\",\"g729\",\"GW-IN-CLIENT002\",\
         \"Asterisk PBX\",\"12025550117\",1,\"203.0.113.22\",\"g729\",\"GW-OUT-UK-B\",\"\",\"447700900999\",1,1,5,0,{start},{stop},\
         8802,8502,147,\"\",180,0.0368,0.0,0.0,0,0.0,0.0,\"CLIENT002\",\"Client Two GmbH\",\"44\",0.0,0.0,0.0,0,\"\",\"\",{flowno},\
         \"MBX3000\",6288012166477870001,\"13b258a1@192.0.2.12\",\"13b258a8@203.0.113.5\",1,1,200,0,0,-1\n"
    )
}

/// The same with 500 characters in which lz4 finds little to shorten: ten rows of [`row`] take
/// hardly more than one.
pub fn wide_row(flowno: u64, random: &mut fastrand::Rng) -> String {
    let name: String = std::iter::repeat_with(|| random.alphanumeric())
        .take(500)
        .collect();
    row(flowno).replace("\"CLIENT002\"", &format!("\"{name}\""))
}

/// A switch that writes `rows` rows at `per_second`, into a new file every `per_file` rows; every
/// second file is renamed once it is full, and rows are torn at random places into two writes.
pub fn switch(
    directory: &Path,
    rows: u64,
    per_second: u64,
    per_file: u64,
    seed: u64,
) -> thread::JoinHandle<()> {
    let directory = directory.to_owned();
    thread::spawn(move || {
        let mut rng = fastrand::Rng::with_seed(seed);
        let began = Instant::now();
        let mut file: Option<(PathBuf, File)> = None;
        for number in 0..rows {
            if number % per_file == 0 {
                if let Some((path, _)) = file
                    .take()
                    .filter(|_| (number / per_file).is_multiple_of(2))
                {
                    fs::rename(&path, path.with_extension("rotated.csv")).unwrap();
                }
                let path = directory.join(format!("cdr_{:06}.csv", number / per_file));
                file = Some((
                    path.clone(),
                    OpenOptions::new()
                        .create(true)
                        .append(true)
                        .open(path)
                        .unwrap(),
                ));
            }
            let (_, file) = file.as_mut().unwrap();
            let row = row(330_000_000 + number);
            let cut = if rng.u8(..) < 8 {
                rng.usize(1..row.len())
            } else {
                row.len()
            };
            file.write_all(&row.as_bytes()[..cut]).unwrap();
            file.write_all(&row.as_bytes()[cut..]).unwrap();
            let due = Duration::from_micros((number + 1) * 1_000_000 / per_second);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
    })
}

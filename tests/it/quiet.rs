//! What the agent costs the switch: next to nothing where nothing happens, and nothing more where
//! everything fails at once.

use crate::support::{Bench, row, run, skip, wait_until};
use std::fs::{self, File};
use std::io::Write;
use std::thread;
use std::time::Duration;

/// Quiet files: a year of hourly ones and more.
const FILES: u64 = 10_000;

/// Rows of failed calls in the flood.
const FLOOD: u64 = 200_000;

/// Processor time the process has used so far, in hundredths of a second.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let field = |at: usize| -> u64 { fields.split(' ').nth(at).unwrap().parse().unwrap() };
    field(11) + field(12)
}

/// A number of `/proc/PID/status`: KiB of memory, or a count.
fn figure(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The process' threads, but for the store's own, of which it starts up to seven as it likes.
fn threads(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| !name.starts_with("sled"))
        .count()
}

fn rows_read(bench: &Bench) -> u64 {
    let config = bench.path("switchhook.toml").display().to_string();
    let output = run(&["status", "--json", "--config", &config]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    status["sources"][0]["rows"].as_u64().unwrap_or(0)
}

#[test]
fn ten_thousand_quiet_files_cost_no_more_than_a_hundred_and_a_new_row_is_still_found_at_once() {
    let bench = Bench::new();
    // Nobody listens there: the pump alone is looked at.
    bench.configure("url = \"http://127.0.0.1:9/\"");
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(7_200);
    for number in 0..FILES {
        let path = bench.path(&format!("cdr/cdr_{number:05}.csv"));
        let mut file = File::create(path).unwrap();
        file.write_all(row(number).as_bytes()).unwrap();
        let written = long_ago - Duration::from_secs(FILES - number);
        file.set_modified(written).unwrap();
    }
    let agent = bench.agent();
    wait_until("the files to be read", || rows_read(&bench) == FILES);
    thread::sleep(Duration::from_secs(2));
    let before = ticks(agent.pid());
    thread::sleep(Duration::from_secs(5));
    let used = ticks(agent.pid()) - before;
    println!("{used} hundredths of a second in 5 s");
    // Looking at all of them at each of the 25 polls took 82 (x86_64, 2026-11).
    assert!(used <= 25, "{used} hundredths of a second in 5 s");
    let old = bench.path("cdr/cdr_00017.csv");
    let mut old = File::options().append(true).open(old).unwrap();
    old.write_all(row(FILES).as_bytes()).unwrap();
    let new = bench.path("cdr/cdr_new.csv");
    fs::write(new, row(FILES + 1)).unwrap();
    wait_until("the new rows to be read", || rows_read(&bench) == FILES + 2);
    assert_eq!(agent.stop(), 0);
    assert!(bench.ledger().balances());
}

#[test]
fn rows_whose_events_the_kernel_dropped_arrive_without_waiting_for_the_poll() {
    let queued = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let queued: u64 = queued.trim().parse().unwrap();
    if queued > 100_000 {
        let why = format!("fs.inotify.max_queued_events is {queued}; set it to 16384");
        return skip(
            "quiet::rows_whose_events_the_kernel_dropped_arrive_without_waiting_for_the_poll",
            &why,
        );
    }
    let bench = Bench::new();
    bench.configure("url = \"http://127.0.0.1:9/\"");
    let config = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
    let config = config.replace("poll = \"200ms\"", "poll = \"1h\"");
    fs::write(bench.path("switchhook.toml"), config).unwrap();
    fs::write(bench.path("cdr/cdr_0.csv"), row(0)).unwrap();
    let agent = bench.agent();
    wait_until("the first row to be read", || rows_read(&bench) == 1);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(agent.pid()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    // Two events each, and no two alike in succession.
    let names = ["cdr/a.tmp", "cdr/b.tmp"].map(|name| bench.path(name));
    File::create(&names[0]).unwrap();
    for n in 0..usize::try_from(queued / 2 + 1_000).unwrap() {
        fs::rename(&names[n % 2], &names[(n + 1) % 2]).unwrap();
    }
    // These events are lost for certain.
    fs::write(bench.path("cdr/cdr_1.csv"), row(1)).unwrap();
    let mut old = File::options()
        .append(true)
        .open(bench.path("cdr/cdr_0.csv"))
        .unwrap();
    old.write_all(row(2).as_bytes()).unwrap();
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    wait_until("the rows to be read", || rows_read(&bench) == 3);
    assert_eq!(agent.stop(), 0);
    assert!(bench.ledger().balances());
}

#[test]
fn a_flood_of_failed_calls_changes_neither_memory_nor_threads() {
    let bench = Bench::new();
    // Nobody listens there: everything has to be kept.
    bench.configure("url = \"http://127.0.0.1:9/\"");
    let mut file = File::create(bench.path("cdr/cdr.csv")).unwrap();
    // As a call that fails at once: no duration and no fee.
    let failed = |number: u64| row(number).replace("147,\"\",180,0.0368", "0,\"\",0,0.0");
    for number in 0..1_000 {
        file.write_all(failed(number).as_bytes()).unwrap();
    }
    let agent = bench.agent_with(&[("MALLOC_ARENA_MAX", "1")]);
    wait_until("the first rows to be read", || rows_read(&bench) == 1_000);
    thread::sleep(Duration::from_secs(1));
    let pid = agent.pid();
    let (memory, before) = (figure(pid, "RssAnon:"), threads(pid));
    let text: String = (1_000..FLOOD).map(failed).collect();
    file.write_all(text.as_bytes()).unwrap();
    let (mut memory_most, mut threads_most) = (memory, before);
    wait_until("the flood to be read", || {
        memory_most = memory_most.max(figure(pid, "RssAnon:"));
        threads_most = threads_most.max(threads(pid));
        rows_read(&bench) == FLOOD
    });
    println!(
        "{memory} KiB before, {memory_most} at most; {before} threads, {threads_most} at most"
    );
    // Two groups of rows, one of them being committed while the other is read, and the generation
    // they are written to (src/ingest/group.rs); without the code, which a debug build has much of.
    // Measured: 20 to 22 MiB, 2026-11, x86_64.
    assert!(
        memory_most < memory + (24 << 10),
        "{memory} KiB before, {memory_most} at most"
    );
    // A question for the status has a thread of its own, and so has the commit of a full group.
    assert!(threads_most <= before + 3, "{before}, {threads_most}");
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert!(ledger.balances());
    let totals = ledger.source("cdr").unwrap();
    assert_eq!((totals.counts.rows, totals.counts.rejected), (FLOOD, 0));
}

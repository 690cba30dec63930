//! Bounds: memory, disk and open files of the running agent, sampled all the time, under a load
//! that reaches each of them.

use crate::support::{Bench, receiver, wait_until, wide_row};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use switchhook::receiver::Profile;

const DISK_MAX: u64 = 32 << 20;
const MEMORY_MAX: u64 = 16 << 20;
const OPEN_FILES_MAX: usize = 8;
const CONCURRENCY: usize = 4;

/// What the process allocates beside `memory_max`: its tables, the stacks of its threads, and three
/// or four open generations. The code is not counted, of which a debug build has 24 MiB. All of it
/// together was measured at 16 to 18 MiB in a debug build, 2026-11, x86_64.
const BASE_BYTES: u64 = 8 << 20;

/// Has the allocator of glibc give back what is freed: left to itself it keeps the database's
/// buffers of 512 KiB in pieces, 80 MiB in all after a hundred generations. The allocator of the
/// static binary gives back pieces of this size by itself.
const ALLOCATOR: [(&str, &str); 2] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
];

/// Descriptors beside `open_files_max` and one for each attempt: log, lock, inotify, signals,
/// and two for each open generation.
const BASE_FILES: usize = 32;

/// The most that was seen.
#[derive(Debug, Default)]
struct Most {
    disk: u64,
    memory: u64,
    files: usize,
    /// What was open when the most was.
    open: Vec<String>,
    samples: u32,
}

impl Most {
    fn sample(&mut self, state: &Path, pid: u32) {
        self.disk = self.disk.max(bytes_under(state));
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let anonymous = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kibibytes = anonymous.and_then(|text| text.split_whitespace().next()?.parse().ok());
        self.memory = self.memory.max(kibibytes.unwrap_or(0) << 10);
        let open = open_files(pid);
        if open.len() > self.files {
            (self.files, self.open) = (open.len(), open);
        }
        self.samples += 1;
    }
}

/// What each descriptor of the process stands for.
fn open_files(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let target = |entry: fs::DirEntry| fs::read_link(entry.path()).ok();
    let targets = entries.flatten().filter_map(target);
    targets.map(|path| path.display().to_string()).collect()
}

/// Bytes on disk of everything under `directory`, as `du` counts them.
fn bytes_under(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => found.blocks() * 512 + bytes_under(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

#[test]
fn memory_disk_and_open_files_stay_below_their_limits_while_all_of_them_are_reached() {
    const ROWS: u64 = 48_000;
    const FILES: u64 = 24;
    let bench = Bench::new();
    let mut receiver = receiver(
        Profile::Standard,
        &["status=422,rate=0.02", "status=503,rate=0.02"],
        3,
    );
    bench.configure_with(
        &format!(
            "[log]\nto = \"stderr\"\n[queue]\ndisk_max = \"{}MiB\"\nfree_min = \"1MiB\"\n[limits]\nmemory_max = \"{}MiB\"\nopen_files_max = {OPEN_FILES_MAX}\n",
            DISK_MAX >> 20,
            MEMORY_MAX >> 20
        ),
        &format!(
            "url = \"{}\"\nconcurrency = {CONCURRENCY}\nprobe_max = \"200ms\"\nattempts = 2\nbackoff_initial = \"100ms\"\nbackoff_max = \"1s\"",
            receiver.url()
        ),
    );
    // Rows that fit, and some that do not.
    let mut random = fastrand::Rng::with_seed(11);
    for file in 0..FILES {
        let path = bench.path(&format!("cdr/cdr_{file:03}.csv"));
        let mut file_of_rows = File::create(path).unwrap();
        for number in file * ROWS / FILES..(file + 1) * ROWS / FILES {
            let text = wide_row(number, &mut random);
            file_of_rows.write_all(text.as_bytes()).unwrap();
            if number % 50 == 0 {
                writeln!(file_of_rows, "not,a,row,{}", text.len()).unwrap();
            }
        }
    }
    receiver.stop();
    let agent = bench.agent_with(&ALLOCATOR);
    let (state, pid) = (bench.path("state"), agent.pid());
    let is_over = Arc::new(AtomicBool::new(false));
    let sampler = {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || {
            let mut most = Most::default();
            while !is_over.load(Ordering::SeqCst) {
                most.sample(&state, pid);
                thread::sleep(Duration::from_millis(100));
            }
            most
        })
    };
    wait_until("reading to pause", || {
        agent.log().contains("reading paused limit=\"disk_max\"")
    });
    receiver.listen().unwrap();
    // Refused ones are tried twice and become dead letters; the others all arrive.
    let settled = || receiver.account().distinct + 50 >= ROWS * 9 / 10;
    wait_until("the backlog to be delivered", settled);
    wait_until("reading to resume", || {
        agent.log().contains("reading resumed")
    });
    thread::sleep(Duration::from_secs(1)); // What is left is tried again within this.
    is_over.store(true, Ordering::SeqCst);
    let most = sampler.join().unwrap();
    println!("{most:?}");
    assert_eq!(agent.stop(), 0);
    assert!(most.samples > 20, "{most:?}");
    assert!(most.disk <= DISK_MAX, "{most:?}");
    // Reading has paused at the limit, see above: of the 32 MiB 6 are kept for reserved events, and some ten
    // for what dead letters, rows set aside and a commit may still take.
    assert!(most.disk > DISK_MAX / 3, "the limit was reached: {most:?}");
    assert!(most.memory <= MEMORY_MAX + BASE_BYTES, "{most:?}");
    assert!(
        most.files <= OPEN_FILES_MAX + CONCURRENCY + BASE_FILES,
        "{most:?}"
    );
    let ledger = bench.ledger();
    assert!(ledger.balances(), "{ledger:?}");
}

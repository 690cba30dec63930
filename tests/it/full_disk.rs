//! A disk that is full, out of inodes or read-only: the agent stays up, reading pauses, delivery
//! goes on as far as it can, and everything resumes alone.
//!
//! On real small file systems, mounted for the test.

use crate::support::{
    Agent, Bench, PATIENCE, receiver, run, skip, switch, text, wait_until, wide_row,
};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use switchhook::queue::Partition;
use switchhook::receiver::Profile;

/// A file system mounted on the bench's state directory; unmounted with the test.
struct Mounted(PathBuf);

impl Mounted {
    /// A file system in memory, of `options`.
    fn tmpfs(on: &Path, options: &str) -> Option<Mounted> {
        fs::create_dir_all(on).unwrap();
        let on = Mounted(on.to_owned());
        command("mount", &["-t", "tmpfs", "-o", options, "none"], &on.0).then_some(on)
    }

    /// An ext4 of `mebibytes` in a file.
    fn ext4(on: &Path, image: &Path, mebibytes: u64) -> Option<Mounted> {
        fs::create_dir_all(on).unwrap();
        File::create(image)
            .unwrap()
            .set_len(mebibytes << 20)
            .unwrap();
        let on = Mounted(on.to_owned());
        let made = command("mkfs.ext4", &["-q", "-F", "-m", "0"], image);
        (made && command("mount", &["-o", "loop", image.to_str()?], &on.0)).then_some(on)
    }

    /// The same again over itself, read-only.
    fn read_only(on: &Path) -> Option<Mounted> {
        let over = Mounted(on.to_owned());
        let bound = command("mount", &["--bind", on.to_str()?], on);
        (bound && command("mount", &["-o", "remount,bind,ro"], on)).then_some(over)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        command("umount", &["-l"], &self.0);
    }
}

fn command(program: &str, arguments: &[&str], path: &Path) -> bool {
    let run = Command::new(program)
        .args(arguments)
        .arg(path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

fn not_permitted(test: &str) {
    skip(
        &format!("full_disk::{test}"),
        "file systems cannot be mounted here, which takes root, mkfs.ext4 and loop devices",
    );
}

/// What others write: takes every byte that is left.
struct Filler(PathBuf);

impl Filler {
    fn all_of(directory: &Path) -> Filler {
        let filler = Filler(directory.join("somebody-else's"));
        let mut file = File::create(&filler.0).unwrap();
        let chunk = vec![7; 64 << 10];
        for bytes in [64 << 10, 4 << 10, 512] {
            while file.write_all(&chunk[..bytes]).is_ok() {}
        }
        let _written = file.sync_all();
        filler
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _removed = fs::remove_file(&self.0);
    }
}

/// A bench whose queue may take most of a partition of 64 MiB.
fn bench(receiver: &str) -> Bench {
    let bench = Bench::new();
    bench.configure_with(
        "[log]\nto = \"stderr\"\n[queue]\ndisk_max = \"48MiB\"\nfree_min = \"2MiB\"\nfree_inodes_min = 0\n",
        &format!("url = \"{receiver}\"\nprobe_max = \"200ms\""),
    );
    bench
}

fn said(agent: &Agent, what: &str) -> usize {
    agent.log().matches(what).count()
}

/// Waits until nothing has been written under `state` for a second: everything there is was read.
fn wait_until_quiet(state: &Path) {
    let mut free = 0;
    let mut since = Instant::now();
    wait_until("the state directory to be quiet", || {
        let now = Partition::of(state).unwrap().free_bytes;
        if std::mem::replace(&mut free, now) != now {
            since = Instant::now();
        }
        since.elapsed() > Duration::from_secs(1)
    });
}

fn append(bench: &Bench, rows: std::ops::Range<u64>) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(bench.path("cdr/cdr_1.csv"))
        .unwrap();
    let mut random = fastrand::Rng::with_seed(rows.start);
    let rows: String = rows.map(|number| wide_row(number, &mut random)).collect();
    file.write_all(rows.as_bytes()).unwrap();
}

/// Fills the partition before the start and again with a backlog, and looks at all of it.
fn survives_a_full_partition(bench: &Bench) {
    const FIRST: u64 = 2_000;
    const SECOND: u64 = 8_000;
    let mut receiver = receiver(Profile::Standard, &[], 0);
    let config = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
    let config = config.replace("http://receiver.invalid/", &receiver.url().to_string());
    fs::write(bench.path("switchhook.toml"), config).unwrap();
    let state = bench.path("state");
    let filler = Filler::all_of(&state);
    append(bench, 0..FIRST);
    let agent = bench.agent();
    wait_until("the agent to wait for the disk", || {
        said(&agent, "start waits for the disk") == 1
    });
    drop(filler);
    wait_until("the first rows to arrive", || {
        receiver.account().distinct == FIRST
    });
    // Now with a backlog that cannot be delivered.
    receiver.stop();
    append(bench, FIRST..FIRST + SECOND);
    wait_until("the outage to be seen", || {
        said(&agent, "endpoint failing") == 1
    });
    wait_until_quiet(&state);
    let filler = Filler::all_of(&state);
    append(bench, FIRST + SECOND..FIRST + SECOND + 100);
    let deadline = Instant::now() + PATIENCE;
    while said(&agent, "reading paused") != 1 {
        let free = Partition::of(&state).unwrap().free_bytes;
        assert!(
            Instant::now() < deadline,
            "reading did not pause once, {free} bytes are free: {}",
            agent.log()
        );
        thread::sleep(Duration::from_millis(20));
    }
    receiver.listen().unwrap();
    wait_until("the backlog to be delivered on a full disk", || {
        receiver.account().distinct == FIRST + SECOND
    });
    thread::sleep(Duration::from_secs(2)); // That nothing is read has to be given time.
    assert_eq!(receiver.account().distinct, FIRST + SECOND);
    assert_eq!(said(&agent, "reading resumed"), 0, "{}", agent.log());
    drop(filler);
    wait_until("reading to resume alone", || {
        receiver.account().distinct == FIRST + SECOND + 100
    });
    wait_until("that to be said", || said(&agent, "reading resumed") == 1);
    assert_eq!(said(&agent, "reading paused"), 1, "{}", agent.log());
    assert_eq!(agent.stop(), 0);
    let account = receiver.account();
    assert!(account.duplicates <= 4_096, "{account:?}");
    let ledger = bench.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    assert_eq!(ledger.endpoint("billing").unwrap().queued, 0);
    assert_eq!(
        ledger.source("cdr").unwrap().counts.rows,
        FIRST + SECOND + 100
    );
}

#[test]
fn a_full_partition_in_memory_pauses_reading_and_nothing_else() {
    let bench = bench("http://receiver.invalid/");
    match Mounted::tmpfs(&bench.path("state"), "size=64M") {
        Some(_mounted) => survives_a_full_partition(&bench),
        None => not_permitted("a_full_partition_in_memory_pauses_reading_and_nothing_else"),
    }
}

#[test]
fn a_full_ext4_pauses_reading_and_nothing_else() {
    let bench = bench("http://receiver.invalid/");
    match Mounted::ext4(&bench.path("state"), &bench.path("image"), 64) {
        Some(_mounted) => survives_a_full_partition(&bench),
        None => not_permitted("a_full_ext4_pauses_reading_and_nothing_else"),
    }
}

#[test]
fn a_partition_that_fills_and_empties_all_the_time_loses_nothing() {
    const TEST: &str = "a_partition_that_fills_and_empties_all_the_time_loses_nothing";
    const ROWS: u64 = 20_000;
    let receiver = receiver(Profile::Standard, &[], 0);
    let bench = bench(&receiver.url().to_string());
    let state = bench.path("state");
    let Some(_mounted) = Mounted::tmpfs(&state, "size=64M") else {
        return not_permitted(TEST);
    };
    let seed = fastrand::u64(..1_000_000);
    let mut rng = fastrand::Rng::with_seed(seed);
    println!("seed {seed}");
    let agent = bench.agent();
    wait_until("the agent to start", || said(&agent, " started") == 1);
    let switch = switch(&bench.path("cdr"), ROWS, 5_000, 5_000, seed);
    while !switch.is_finished() {
        let filler = Filler::all_of(&state);
        thread::sleep(Duration::from_millis(rng.u64(100..800)));
        drop(filler);
        thread::sleep(Duration::from_millis(rng.u64(100..800)));
    }
    switch.join().unwrap();
    wait_until("every row to arrive", || {
        receiver.account().distinct == ROWS
    });
    assert_eq!(agent.stop(), 0);
    let ledger = bench.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    assert_eq!(ledger.source("cdr").unwrap().counts.rows, ROWS);
}

#[test]
fn a_partition_without_inodes_pauses_reading_and_nothing_else() {
    const TEST: &str = "a_partition_without_inodes_pauses_reading_and_nothing_else";
    const ROWS: u64 = 3_000;
    let mut receiver = receiver(Profile::Standard, &[], 0);
    let bench = bench(&receiver.url().to_string());
    let state = bench.path("state");
    let Some(_mounted) = Mounted::tmpfs(&state, "size=64M,nr_inodes=60") else {
        return not_permitted(TEST);
    };
    let config = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
    let config = config.replace("free_inodes_min = 0", "free_inodes_min = 20");
    fs::write(bench.path("switchhook.toml"), config).unwrap();
    receiver.stop();
    append(&bench, 0..ROWS);
    let agent = bench.agent();
    wait_until("the outage to be seen", || {
        said(&agent, "endpoint failing") == 1
    });
    wait_until_quiet(&state);
    let others = state.join("others");
    fs::create_dir(&others).unwrap();
    let count = (0..).take_while(|number| File::create(others.join(number.to_string())).is_ok());
    assert!(count.count() > 10);
    assert_eq!(Partition::of(&state).unwrap().free_inodes, Some(0));
    append(&bench, ROWS..ROWS + 100);
    wait_until("reading to pause", || said(&agent, "reading paused") == 1);
    assert!(agent.log().contains("limit=\"free_inodes_min\""));
    receiver.listen().unwrap();
    wait_until("the backlog to be delivered", || {
        receiver.account().distinct == ROWS
    });
    fs::remove_dir_all(&others).unwrap();
    wait_until("reading to resume alone", || {
        receiver.account().distinct == ROWS + 100
    });
    assert_eq!(agent.stop(), 0);
    assert!(bench.ledger().balances());
}

#[test]
fn a_read_only_disk_is_waited_for() {
    const TEST: &str = "a_read_only_disk_is_waited_for";
    const ROWS: u64 = 12_000;
    let receiver = receiver(Profile::Standard, &[], 0);
    let bench = bench(&receiver.url().to_string());
    let state = bench.path("state");
    let Some(_mounted) = Mounted::tmpfs(&state, "size=64M") else {
        return not_permitted(TEST);
    };
    // Before the start.
    let read_only = Mounted::read_only(&state).expect("a mount could be made before");
    append(&bench, 0..10);
    let agent = bench.agent();
    wait_until("the agent to wait for the disk", || {
        said(&agent, "start waits for the disk") == 1
    });
    drop(read_only);
    wait_until("the first rows to arrive", || {
        receiver.account().distinct == 10
    });
    // In operation: what is open is written on, the next generation cannot be.
    let read_only = Mounted::read_only(&state).expect("a mount could be made before");
    append(&bench, 10..ROWS);
    wait_until("reading to pause", || said(&agent, "reading paused") == 1);
    drop(read_only);
    wait_until("every row to arrive", || {
        receiver.account().distinct == ROWS
    });
    assert_eq!(agent.stop(), 0);
    assert!(bench.ledger().balances());
}

#[test]
fn a_partition_with_less_than_free_min_is_reported_by_check_and_delivered_from() {
    const TEST: &str =
        "a_partition_with_less_than_free_min_is_reported_by_check_and_delivered_from";
    const ROWS: u64 = 100;
    let mut receiver = receiver(Profile::Standard, &[], 0);
    let bench = bench(&receiver.url().to_string());
    let Some(_mounted) = Mounted::tmpfs(&bench.path("state"), "size=64M") else {
        return not_permitted(TEST);
    };
    receiver.stop();
    append(&bench, 0..ROWS);
    let agent = bench.agent();
    wait_until("the outage to be seen", || {
        said(&agent, "endpoint failing") == 1
    });
    assert_eq!(agent.stop(), 0);
    let config = fs::read_to_string(bench.path("switchhook.toml")).unwrap();
    let config = config.replace("free_min = \"2MiB\"", "free_min = \"1GiB\"");
    fs::write(bench.path("switchhook.toml"), config).unwrap();
    let path = bench.path("switchhook.toml");
    let output = run(&["check", "--config", path.to_str().unwrap()]);
    let out = text(&output.stdout);
    assert!(
        out.contains("reading would pause (free_min): the partition has"),
        "{out}"
    );
    assert_eq!(output.status.code(), Some(78));
    receiver.listen().unwrap();
    append(&bench, ROWS..2 * ROWS);
    let agent = bench.agent();
    wait_until("what was queued to arrive", || {
        receiver.account().distinct == ROWS
    });
    assert!(
        agent
            .log()
            .contains("reading paused limit=\"free_min\" sources=all")
    );
    assert_eq!(agent.stop(), 0);
    assert_eq!(bench.ledger().source("cdr").unwrap().counts.rows, ROWS);
}

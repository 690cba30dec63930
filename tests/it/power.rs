//! The power of the agent's own disk cut while rows come in and go out; and a stop that is not
//! waited for.

use crate::disk::Disk;
use crate::support::{Agent, Bench, receiver, skip, switch, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;
use switchhook::queue::{Ledger, Queue};
use switchhook::receiver::Profile;

const TEST: &str = "power::every_row_arrives_whenever_the_power_of_the_agents_disk_is_cut";

/// Cuts in the default run; `SWITCHHOOK_CUTS` asks for more, `SWITCHHOOK_SEED` repeats a run.
const CUTS: u64 = 5;

const ROWS_PER_CUT: u64 = 1_500;

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn every_row_arrives_whenever_the_power_of_the_agents_disk_is_cut() {
    let disk = match Disk::new(128) {
        Ok(disk) => disk,
        Err(why) => return skip(TEST, &why),
    };
    let cuts = number("SWITCHHOOK_CUTS", CUTS);
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    println!("repeat with SWITCHHOOK_SEED={seed} SWITCHHOOK_CUTS={cuts}");
    let rows = cuts * ROWS_PER_CUT;
    let mut rng = fastrand::Rng::with_seed(seed);
    let bench = Bench::new();
    let receiver = receiver(Profile::Vos3000, &["delay=5ms,rate=0.1"], seed);
    let endpoint = format!(
        "url = \"{}\"\nprofile = \"vos3000\"\nprobe_max = \"500ms\"",
        receiver.url()
    );
    // The disk is far smaller than what is left free of a switch's own.
    let top = "[log]\nto = \"stderr\"\n[queue]\nfree_min = \"1MiB\"\nfree_inodes_min = 16\n";
    bench.configure_with(top, &endpoint);
    // Only the state is on the disk; the switch's files and the receiver outlive the cut.
    let state = disk.root().join("state");
    let config = bench.path("switchhook.toml");
    let text = fs::read_to_string(&config).unwrap();
    let moved = text.replace(
        "state_dir = \"state\"",
        &format!("state_dir = \"{}\"", state.display()),
    );
    assert_ne!(moved, text);
    fs::write(&config, moved).unwrap();
    let switch = switch(&bench.path("cdr"), rows, 3_000, 1_000, seed);
    for cut in 1..=cuts {
        let agent = bench.agent();
        let before = receiver.account().distinct;
        // A cut of an agent that has not begun would show nothing.
        wait_until("rows to arrive", || {
            let arrived = receiver.account().distinct;
            arrived > before || arrived == rows
        });
        thread::sleep(Duration::from_millis(rng.u64(..250)));
        disk.cut();
        // With a dead disk it may say what it likes, but nothing it says now can be taken back:
        // what it still sends is sent again after the restart.
        thread::sleep(Duration::from_millis(rng.u64(..50)));
        agent.kill();
        disk.power_on();
        let ledger = ledger(&state);
        assert!(ledger.balances(), "cut {cut}, seed {seed}: {ledger:?}");
    }
    switch.join().unwrap();
    let agent = bench.agent();
    wait_until("every row to arrive", || {
        receiver.account().distinct == rows
    });
    assert_eq!(agent.stop(), 0, "seed {seed}");
    let account = receiver.account();
    assert_eq!(
        (account.distinct, account.bad_signatures, account.malformed),
        (rows, 0, 0),
        "seed {seed}: {account:?}"
    );
    let ledger = ledger(&state);
    let source = ledger.source("cdr").unwrap();
    assert_eq!(
        (
            source.counts.rows,
            source.events,
            source.counts.rejected,
            source.counts.gaps
        ),
        (rows, rows, 0, 0),
        "seed {seed}"
    );
    let billing = ledger.endpoint("billing").unwrap();
    assert_eq!(
        (
            billing.delivered,
            billing.dead,
            billing.queued,
            billing.waiting
        ),
        (rows, 0, 0, 0),
        "seed {seed}"
    );
    assert!(ledger.balances(), "seed {seed}: {ledger:?}");
    // Repeated is what was sent after the last settlement that reached the disk.
    assert!(
        account.duplicates <= cuts * 512,
        "seed {seed}: {} repeats",
        account.duplicates
    );
}

fn ledger(state: &Path) -> Ledger {
    let queue = Queue::open(state, "vos-1").unwrap();
    assert_eq!(queue.opened().mended, []);
    queue.ledger()
}

#[test]
fn a_stop_that_is_not_waited_for_repeats_only_what_was_in_flight() {
    const ROUNDS: u64 = 6;
    const ROWS: u64 = 600;
    const CONCURRENCY: u64 = 4;
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    println!("repeat with SWITCHHOOK_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &["delay=20ms"], seed);
    bench.configure(&format!(
        "url = \"{}\"\nconcurrency = {CONCURRENCY}",
        receiver.url()
    ));
    let rows: String = (0..ROWS).map(crate::support::row).collect();
    fs::write(bench.path("cdr/cdr_1.csv"), rows).unwrap();
    for _ in 0..ROUNDS {
        let before = receiver.account().distinct;
        let agent = bench.agent();
        wait_until("some rows to arrive", || {
            receiver.account().distinct >= before + ROWS / 12
        });
        terminate(&agent);
        thread::sleep(Duration::from_millis(rng.u64(..60)));
        agent.kill();
    }
    let agent = bench.agent();
    wait_until("every row to arrive", || {
        receiver.account().distinct == ROWS
    });
    assert_eq!(agent.stop(), 0);
    let account = receiver.account();
    let ledger = bench.ledger();
    assert!(ledger.balances(), "seed {seed}: {ledger:?}");
    let billing = ledger.endpoint("billing").unwrap();
    assert_eq!(
        (billing.delivered, billing.queued),
        (ROWS, 0),
        "seed {seed}"
    );
    // In flight when it was asked to stop, or answered and about to be written down: with this
    // receiver no sender has more than one of each.
    assert!(
        account.duplicates <= ROUNDS * CONCURRENCY * 2,
        "seed {seed}: {} repeats",
        account.duplicates
    );
}

fn terminate(agent: &Agent) {
    kill(
        Pid::from_raw(i32::try_from(agent.pid()).unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
}

//! The agent killed at random moments: nothing is missing afterwards.

use crate::support::{Bench, receiver, switch, wait_until};
use std::fs;
use std::thread;
use std::time::Duration;
use switchhook::receiver::Profile;

/// Kills in the default run; `SWITCHHOOK_KILLS` asks for more, `SWITCHHOOK_SEED` repeats a run.
const KILLS: u64 = 12;

#[test]
fn nothing_is_missing_after_kills_at_random_moments() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let kills = number("SWITCHHOOK_KILLS", KILLS);
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    let rows = kills * 2_000;
    println!("repeat with SWITCHHOOK_SEED={seed} SWITCHHOOK_KILLS={kills}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let bench = Bench::new();
    let receiver = receiver(
        Profile::Vos3000,
        &["status=500,rate=0.02", "delay=5ms,rate=0.1"],
        seed,
    );
    bench.configure(&format!(
        "url = \"{}\"\nprofile = \"vos3000\"\nprobe_max = \"500ms\"",
        receiver.url()
    ));
    let switch = switch(&bench.path("cdr"), rows, 5_000, 3_000, seed);
    for _ in 0..kills {
        let agent = bench.agent();
        thread::sleep(Duration::from_millis(rng.u64(20..600)));
        agent.kill();
    }
    switch.join().unwrap();
    // Before it has started, a signal ends it as any other program.
    let starts = || {
        fs::read_to_string(bench.path("agent.log")).map_or(0, |log| log.matches(" started").count())
    };
    let starts_before = starts();
    let agent = bench.agent();
    let is_started = || starts() > starts_before;
    wait_until("the last agent to start", is_started);
    wait_until("every row to arrive", || {
        receiver.account().distinct == rows
    });
    // The last answers may have been lost, and wait for their retry.
    wait_until("nothing to be left", || bench.is_drained());
    assert_eq!(agent.stop(), 0, "{}", bench.path("agent.log").display());
    let account = receiver.account();
    assert_eq!(
        (account.distinct, account.bad_signatures),
        (rows, 0),
        "seed {seed}: {account:?}"
    );
    let ledger = bench.ledger();
    let source = ledger.source("cdr").unwrap();
    assert_eq!(
        (source.counts.rows, source.events, source.counts.rejected),
        (rows, rows, 0),
        "seed {seed}"
    );
    assert!(ledger.balances(), "seed {seed}: {ledger:?}");
    // A kill repeats what was under way or not yet written down: 10 ms' worth, 256 at most.
    assert!(
        account.duplicates <= kills * 512,
        "seed {seed}: {} repeats",
        account.duplicates
    );
}

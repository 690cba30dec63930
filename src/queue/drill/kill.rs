//! The process killed at any moment: whatever it was told to be done is there.

use super::number;
use super::round::{Drill, moment};
use super::worker::Point;
use std::thread;
use std::time::Duration;

/// Kills in the default run; `SWITCHHOOK_QUEUE_KILLS` asks for more, `SWITCHHOOK_SEED` repeats one.
const KILLS: u64 = 200;

/// Rounds before a queue is begun anew, so that what has to be compared stays small.
const ROUNDS_PER_QUEUE: u64 = 20;

/// Longest a worker runs; it starts within 30 ms.
const RUN_MAX: Duration = Duration::from_millis(120);

#[test]
fn whatever_returned_is_there_after_a_kill_at_any_moment() {
    let kills = number("SWITCHHOOK_QUEUE_KILLS", KILLS);
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    let repeat = format!("repeat with SWITCHHOOK_SEED={seed} SWITCHHOOK_QUEUE_KILLS={kills}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut done, mut steps) = (0, 0);
    while done < kills {
        let directory = tempfile::tempdir().unwrap();
        let group = [4, 40, 256, 1_024][rng.usize(..4)];
        let mut drill = Drill::new(directory.path(), rng.u64(..), group);
        for _ in 0..ROUNDS_PER_QUEUE.min(kills - done) {
            // Half of them at a place in a write where something could be torn.
            drill.order.end = rng
                .bool()
                .then(|| (rng.u64(..12), Point::ALL[rng.usize(..4)]));
            let mut worker = drill.start();
            if drill.order.end.is_none() {
                thread::sleep(moment(&mut rng, RUN_MAX));
                worker.kill().unwrap();
            }
            worker.wait().unwrap();
            done += 1;
            let checked = drill.check();
            assert_eq!(checked, Ok(()), "kill {done}, commits of {group}; {repeat}");
        }
        steps += drill.steps;
        super::say(&format!(
            "{done} kills, {steps} steps, commits of {group} events"
        ));
    }
    // Kills of a process that had hardly begun would show nothing.
    assert!(steps > kills, "{steps} steps; {repeat}");
}

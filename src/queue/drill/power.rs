//! The disk's power cut at any moment: the same is there.

use super::super::image::Disk;
use super::round::{Drill, moment};
use super::worker::Point;
use super::{number, skip};
use std::thread;
use std::time::Duration;

/// Cuts in the default run; `SWITCHHOOK_CUTS` asks for more, `SWITCHHOOK_SEED` repeats one.
const CUTS: u64 = 20;

/// Cuts before a disk is begun anew.
const ROUNDS_PER_DISK: u64 = 10;

/// Cuts by which an unsynced queue must have lost something; the first one does, as a rule.
const CUTS_UNSYNCED: u64 = 12;

/// Longest a worker runs.
const RUN_MAX: Duration = Duration::from_millis(300);

/// A sparse file; more than the histories of one disk ever fill.
const DISK_MIB: u64 = 512;

/// Cuts the power `rounds` times under one history, on a disk of its own; returns how many cuts
/// it took until something was not as it must be, and what.
fn cuts(
    rng: &mut fastrand::Rng,
    disk: &Disk,
    rounds: u64,
    group: u64,
    syncs: bool,
) -> Option<(u64, String)> {
    let mut drill = Drill::new(&disk.root().join("state"), rng.u64(..), group);
    drill.order.syncs = syncs;
    for round in 1..=rounds {
        // Half of them at a place in a write: above all between what the database wrote and the
        // sync, where some of a big batch is on disk in whatever order.
        drill.order.end = rng
            .bool()
            .then(|| (rng.u64(..24), Point::ALL[rng.usize(1..4)]));
        drill.order.cut = drill.order.end.map(|_| disk.root());
        let mut worker = drill.start();
        if drill.order.end.is_none() {
            thread::sleep(moment(rng, RUN_MAX));
            disk.cut();
            worker.kill().unwrap();
        }
        worker.wait().unwrap();
        disk.power_on();
        if let Err(what) = drill.check() {
            return Some((round, what));
        }
    }
    let (steps, state) = (drill.steps, if syncs { "synced" } else { "unsynced" });
    super::say(&format!(
        "{rounds} cuts of a queue that is {state}, {steps} steps, commits of {group} events"
    ));
    None
}

#[test]
fn whatever_returned_is_there_after_a_power_cut_at_any_moment() {
    let total = number("SWITCHHOOK_CUTS", CUTS);
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    let repeat = format!("repeat with SWITCHHOOK_SEED={seed} SWITCHHOOK_CUTS={total}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut left = total;
    // The biggest commits there are come first: they span segments of the database's log.
    for group in [1_024, 40, 1_024, 256].into_iter().cycle() {
        let rounds = left.min(ROUNDS_PER_DISK);
        if rounds == 0 {
            break;
        }
        let disk = match Disk::new(DISK_MIB) {
            Ok(disk) => disk,
            Err(why) => {
                return skip(
                    "power::whatever_returned_is_there_after_a_power_cut_at_any_moment",
                    &why,
                );
            }
        };
        let failed = cuts(&mut rng, &disk, rounds, group, true);
        assert_eq!(
            failed, None,
            "commits of {group}, {left} cuts left; {repeat}"
        );
        left -= rounds;
    }
}

#[test]
fn without_the_sync_a_power_cut_loses_what_had_returned() {
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..CUTS_UNSYNCED / 2 {
        let disk = match Disk::new(DISK_MIB) {
            Ok(disk) => disk,
            Err(why) => {
                return skip(
                    "power::without_the_sync_a_power_cut_loses_what_had_returned",
                    &why,
                );
            }
        };
        if let Some((cut, what)) = cuts(&mut rng, &disk, 2, 256, false) {
            super::say(&format!("cut {cut} of an unsynced queue: {what}"));
            return;
        }
    }
    panic!(
        "{CUTS_UNSYNCED} cuts lost nothing without a sync: the drill proves nothing; seed {seed}"
    );
}

//! What commits and settlements cost does not depend on what waits, nor for whom; and a sync that
//! fails is a commit that failed. Work is counted, not timed.

use super::probe::{Work, fail_syncs, work_of};
use super::tests::{batch, delivered, events};
use super::*;
use crate::clock::UnixMs;
use crate::source::{FileKey, FilePosition};
use std::path::PathBuf;
use tempfile::TempDir;

/// Counts and sequences in front of much work are some bytes longer.
const COUNTS_BYTES: usize = 64;

fn open(directory: &TempDir) -> Queue {
    Queue::open(directory.path(), "node").unwrap()
}

fn generations(directory: &TempDir) -> Vec<PathBuf> {
    let listed = fs::read_dir(directory.path().join("queue")).unwrap();
    listed.map(|entry| entry.unwrap().path()).collect()
}

/// A queue with `dead` endpoints that have had nothing of `generations`, and one that has had all.
fn queue(directory: &TempDir, dead: usize, generations: usize) -> Queue {
    let queue = open(directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    for number in 0..dead {
        queue
            .attach(&format!("dead-{number}"), AttachFrom::Now)
            .unwrap();
    }
    for _ in 0..generations {
        let first = queue.commit(&[batch(events(50, 200))]).unwrap().first;
        queue.settle(delivered(first.0..first.0 + 50)).unwrap();
        queue.roll_now().unwrap();
    }
    queue
}

/// What a commit of twenty events and their settlement cost.
fn costs(queue: &Queue) -> (Work, Work) {
    let next = queue.next_sequence().0;
    let events = batch(events(20, 200));
    let commit = work_of(|| {
        queue.commit(std::slice::from_ref(&events)).unwrap();
    });
    let settle = work_of(|| queue.settle(delivered(next..next + 20)).unwrap());
    (commit, settle)
}

#[test]
fn neither_a_backlog_nor_dead_endpoints_make_commits_and_settlements_dearer() {
    let (alone, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cheap = costs(&queue(&alone, 0, 1));
    let dear = costs(&queue(&beside, 60, 30));
    assert!(generations(&beside).len() > 30, "there is a backlog");
    for (cheap, dear) in [(cheap.0, dear.0), (cheap.1, dear.1)] {
        assert_eq!((cheap.batches, cheap.syncs), (1, 1));
        assert_eq!((dear.batches, dear.syncs), (1, 1));
        assert!(
            dear.bytes <= cheap.bytes + COUNTS_BYTES,
            "{dear:?} against {cheap:?}"
        );
    }
}

#[test]
fn a_stubborn_event_pins_no_generation_and_is_carried_alone() {
    let directory = tempfile::tempdir().unwrap();
    let queue = queue(&directory, 0, 0);
    queue.commit(&[batch(events(50, 200))]).unwrap();
    let stubborn = queue.read(Sequence(1), 1).unwrap().remove(0);
    let keep = |due| Settled {
        endpoint: "billing".into(),
        sequence: Sequence(1),
        settlement: Settlement::Keep {
            due: UnixMs(due),
            attempts: 1,
            reason: "422".into(),
            event: stubborn.clone(),
        },
    };
    queue.settle(vec![keep(1)]).unwrap();
    queue.settle(delivered(2..51)).unwrap();
    let first = work_of(|| queue.roll_now().unwrap());
    for due in 2..20 {
        costs(&queue);
        queue.settle(vec![keep(due)]).unwrap();
        let roll = work_of(|| queue.roll_now().unwrap());
        assert!(
            roll.bytes <= first.bytes + COUNTS_BYTES,
            "{roll:?} {first:?}"
        );
        queue.settle(vec![keep(due)]).unwrap();
        assert!(generations(&directory).len() <= 2);
    }
    assert_eq!(queue.waiting("billing", 9).unwrap()[0].queued, stubborn);
}

#[test]
fn settlements_behind_a_backlog_pile_up_no_generations() {
    let directory = tempfile::tempdir().unwrap();
    let queue = queue(&directory, 1, 2);
    let next = queue.next_sequence().0;
    queue.commit(&[batch(events(40, 200))]).unwrap();
    queue.roll_now().unwrap();
    let before = generations(&directory).len();
    for sequence in next..next + 40 {
        queue.settle(delivered(sequence..sequence + 1)).unwrap();
        queue.roll_now().unwrap();
        queue.settle(delivered(sequence..sequence + 1)).unwrap();
    }
    costs(&queue);
    assert!(
        generations(&directory).len() <= before + 1,
        "{:?}",
        generations(&directory)
    );
    assert_eq!(queue.ledger().endpoint("dead-0").unwrap().queued, 160);
    drop(queue);
    assert!(open(&directory).opened().mended.is_empty());
}

/// A commit whose sync fails is an error, and afterwards either all of it is there or nothing.
#[test]
fn a_sync_that_fails_once_is_a_commit_that_failed() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    let position = |offset| FilePosition {
        key: FileKey {
            device: 1,
            inode: 2,
        },
        path: "/cdr/a.txt".into(),
        offset,
        lines: None,
        first_row: None,
        head_bytes: 0,
        head: 0,
        tail: 0,
        tail_bytes: 0,
        life: 1,
        finished: None,
        unread_bytes: 0,
    };
    let mut group = batch(events(20, 200));
    group.positions.push(position(4_000));
    fail_syncs(1);
    let error = queue.commit(std::slice::from_ref(&group)).unwrap_err();
    assert!(
        matches!(error, QueueError::Disk { doing: "sync", .. }),
        "{error}"
    );
    let positions = queue.positions("cdr").unwrap();
    let had_happened = queue.next_sequence() != Sequence::FIRST;
    assert_eq!(positions.len(), usize::from(had_happened));
    queue.commit(std::slice::from_ref(&group)).unwrap();
    assert!(queue.ledger().balances());
    assert_eq!(queue.positions("cdr").unwrap(), [position(4_000)]);
    // A settlement that fails is repeated, and counts once.
    fail_syncs(1);
    assert!(queue.settle(delivered(1..11)).is_err());
    queue.settle(delivered(1..11)).unwrap();
    assert_eq!(queue.ledger().endpoint("billing").unwrap().delivered, 10);
    // So with a dead letter, and with the next generation.
    fail_syncs(3);
    assert!(queue.roll_now().is_err());
    fail_syncs(0);
    queue.commit(&[batch(events(1, 60))]).unwrap();
    drop(queue);
    let queue = open(&directory);
    assert!(queue.ledger().balances() && queue.opened().mended.is_empty());
    let totals = queue.ledger().endpoint("billing").unwrap().clone();
    assert!(totals.added >= 21 && totals.delivered == 10, "{totals:?}");
    let mut next = queue.cursor("billing");
    while let Some(last) = queue.read(next, 64).unwrap().last() {
        next = last.sequence.plus(1);
    }
    assert_eq!(next, queue.next_sequence());
}

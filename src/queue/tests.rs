//! The queue's promises, each on its own; random mixtures of them are in [`history`](super::history).

use super::generation::{Generation, Writes};
use super::*;
use crate::clock::UnixMs;
use crate::event::{EventId, Labels};
use crate::source::{FileKey, FilePosition};
use crate::timestamp::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

pub(super) fn open(directory: &TempDir) -> Queue {
    Queue::open(directory.path(), "node").unwrap()
}

/// An event of about `bytes` bytes in which lz4 finds little to shorten.
fn event(random: &mut fastrand::Rng, bytes: usize) -> Event {
    let digits: String = std::iter::repeat_with(|| random.digit(16))
        .take(bytes)
        .collect();
    Event {
        id: EventId(std::array::from_fn(|_| random.u8(..))),
        kind: "cdr".into(),
        time: Timestamp::from_secs(1_775_745_045),
        node: "node".into(),
        labels: Labels {
            account: Some("1001".into()),
            ..Labels::default()
        },
        data: format!("{{\"x\":\"{digits}\"}}").into_bytes().into(),
    }
}

pub(super) fn events(count: usize, bytes: usize) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| event(&mut random, bytes))
        .take(count)
        .collect()
}

pub(super) fn batch(events: Vec<Event>) -> SourceBatch {
    let counts = SourceCounts {
        rows: events.len() as u64,
        ..SourceCounts::default()
    };
    SourceBatch {
        source: "cdr".into(),
        events,
        positions: Vec::new(),
        forgotten: Vec::new(),
        counts,
    }
}

pub(super) fn settled(sequence: u64, settlement: Settlement) -> Settled {
    Settled {
        endpoint: "billing".into(),
        sequence: Sequence(sequence),
        settlement,
    }
}

pub(super) fn delivered(sequences: std::ops::Range<u64>) -> Vec<Settled> {
    sequences
        .map(|sequence| settled(sequence, Settlement::Delivered))
        .collect()
}

pub(super) fn letter(queued: Queued) -> DeadLetter {
    DeadLetter {
        queued,
        attempts: 5,
        status: Some(400),
        answer_start: b"bad".to_vec(),
        reason: "refused".into(),
        at: UnixMs(1),
    }
}

/// The only generation of a queue that is not open.
fn first_generation(directory: &TempDir) -> Generation {
    Generation::open(&directory.path().join("queue"), 1).unwrap()
}

pub(super) fn files_of(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_of(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn what_was_committed_is_there_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    let position = FilePosition {
        key: FileKey {
            device: 1,
            inode: 2,
        },
        path: "/cdr/a.txt".into(),
        offset: 4_096,
        lines: Some(40),
        first_row: Some([3; 32]),
        head_bytes: 100,
        head: 5,
        tail: 6,
        tail_bytes: 256,
        life: 1,
        finished: None,
        unread_bytes: 900,
    };
    let mut batch = batch(events(20, 600));
    batch.positions.push(position.clone());
    let committed = queue.commit(std::slice::from_ref(&batch)).unwrap();
    assert_eq!(
        committed,
        Committed {
            first: Sequence(1),
            events: 20
        }
    );
    drop(queue);
    let queue = open(&directory);
    assert!(!queue.opened().clean);
    assert_eq!(queue.positions("cdr").unwrap(), [position]);
    assert_eq!(queue.next_sequence(), Sequence(21));
    let read: Vec<Event> = queue
        .read(Sequence(1), 100)
        .unwrap()
        .iter()
        .map(|queued| (*queued.event).clone())
        .collect();
    assert_eq!(read, batch.events);
    assert!(queue.seen("cdr") && !queue.seen("other"));
}

#[test]
fn unsettled_events_are_read_again_after_a_crash_and_settled_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    queue.commit(&[batch(events(10, 60))]).unwrap();
    queue.settle(delivered(1..5)).unwrap();
    queue.settle(delivered(7..8)).unwrap();
    drop(queue);
    let queue = open(&directory);
    assert_eq!(queue.cursor("billing"), Sequence(5));
    let read = queue.read(queue.cursor("billing"), 100).unwrap();
    assert_eq!(read.first().unwrap().sequence, Sequence(5));
    queue.settle(delivered(5..7)).unwrap();
    assert_eq!(queue.cursor("billing"), Sequence(8));
    assert_eq!(queue.ledger().endpoint("billing").unwrap().delivered, 7);
}

#[test]
fn an_event_settled_twice_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    queue.commit(&[batch(events(3, 60))]).unwrap();
    queue.settle(delivered(1..3)).unwrap();
    queue
        .settle(vec![
            settled(2, Settlement::Skipped),
            settled(2, Settlement::Delivered),
        ])
        .unwrap();
    let ledger = queue.ledger();
    let totals = ledger.endpoint("billing").unwrap();
    assert_eq!((totals.delivered, totals.skipped, totals.queued), (2, 0, 1));
    assert!(ledger.balances());
}

#[test]
fn an_event_that_waits_comes_back_with_its_attempts_and_lets_its_generation_go() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    // Long enough to be stored in pieces.
    queue.commit(&[batch(events(2, 50_000))]).unwrap();
    let event = queue.read(Sequence(1), 1).unwrap().remove(0);
    let keep = |due, attempts| Settlement::Keep {
        due: UnixMs(due),
        attempts,
        reason: "503".into(),
        event: event.clone(),
    };
    queue
        .settle(vec![
            settled(1, keep(500, 1)),
            settled(2, Settlement::Delivered),
        ])
        .unwrap();
    queue.settle(vec![settled(1, keep(900, 2))]).unwrap();
    queue.roll_now().unwrap();
    queue
        .settle(vec![settled(2, Settlement::Delivered)])
        .unwrap();
    queue.commit(&[batch(events(1, 60))]).unwrap();
    drop(queue);
    let queue = open(&directory);
    assert!(!directory.path().join("queue/00000001").exists());
    let waiting = queue.waiting("billing", 10).unwrap();
    assert_eq!(
        waiting,
        [Waiting {
            due: UnixMs(900),
            attempts: 2,
            reason: "503".into(),
            queued: event
        }]
    );
    queue
        .settle(vec![settled(1, Settlement::Delivered)])
        .unwrap();
    assert_eq!(queue.waiting("billing", 10).unwrap(), []);
    let totals = queue.ledger().endpoint("billing").unwrap().clone();
    assert_eq!((totals.delivered, totals.waiting, totals.queued), (2, 0, 1));
}

#[test]
fn disk_comes_back_after_a_backlog_is_drained() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    let many = batch(figures::calls(1_000));
    let payload = 50
        * many
            .events
            .iter()
            .map(|event| event.data.len() as u64)
            .sum::<u64>();
    for _ in 0..50 {
        queue.commit(std::slice::from_ref(&many)).unwrap();
    }
    let full = queue.disk_bytes();
    assert!(
        full > payload / 3 && full < payload * 5 / 4,
        "{full} bytes for {payload}"
    );
    let mut next = Sequence(1);
    while let Some(last) = queue.read(next, 256).unwrap().last() {
        queue
            .settle(delivered(next.0..last.sequence.0 + 1))
            .unwrap();
        next = last.sequence.plus(1);
    }
    assert_eq!(next, Sequence(50_001));
    let drained = queue.disk_bytes();
    assert!(drained < 9 << 20, "{drained} bytes after draining");
    let on_disk = row::directory_bytes(&directory.path().join("queue"));
    assert!(on_disk < 9 << 20, "{on_disk} bytes found");
    assert!(queue.ledger().balances());
}

#[test]
fn without_an_endpoint_nothing_is_dropped_and_the_first_may_have_it_all() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    for _ in 0..3 {
        queue.commit(&[batch(events(5, 60))]).unwrap();
        queue.roll_now().unwrap();
    }
    queue.attach("billing", AttachFrom::Oldest).unwrap();
    queue.attach("billing", AttachFrom::Now).unwrap();
    assert_eq!(queue.cursor("billing"), Sequence(1));
    assert_eq!(queue.read(Sequence(1), 1).unwrap()[0].sequence, Sequence(1));
    queue.attach("late", AttachFrom::Now).unwrap();
    assert_eq!(queue.cursor("late"), Sequence(16));
    queue.detach("late").unwrap();
    assert!(queue.ledger().endpoint("late").is_none());
}

#[test]
fn an_opening_cut_short_hinders_no_later_one() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    queue.commit(&[batch(events(40, 60))]).unwrap();
    queue.roll_now().unwrap();
    drop(queue);
    // Killed while the database wrote its snapshot: of the head, and of a generation being read.
    for generation in ["00000001", "00000002"] {
        let half = directory.path().join("queue").join(generation);
        fs::write(half.join("snap.00000000000FFFFF.generating"), b"half").unwrap();
        fs::write(half.join("snap.0000000000000000.generating"), b"").unwrap();
    }
    let queue = open(&directory);
    assert_eq!(queue.opened().mended, []);
    assert_eq!(queue.read(Sequence(1), 100).unwrap().len(), 40);
}

#[test]
fn a_half_made_generation_is_removed_and_the_one_before_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.commit(&[batch(events(5, 60))]).unwrap();
    drop(queue);
    let half = Generation::create(&directory.path().join("queue"), 2).unwrap();
    first_generation(&directory)
        .carry(key::SOURCES, &half)
        .unwrap();
    drop(half);
    let queue = open(&directory);
    assert_eq!(queue.opened().half_made, [2]);
    assert_eq!(queue.read(Sequence(1), 10).unwrap().len(), 5);
    queue.roll_now().unwrap();
    assert_eq!(
        queue.commit(&[batch(events(1, 60))]).unwrap().first,
        Sequence(6)
    );
}

#[test]
fn a_second_agent_is_told_the_pid_of_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    let error = Queue::open(directory.path(), "node").unwrap_err();
    assert!(
        matches!(error, QueueError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
        "{error:?}"
    );
    drop(queue);
    open(&directory);
}

#[test]
fn a_newer_version_is_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.commit(&[batch(events(5, 60))]).unwrap();
    drop(queue);
    fs::write(directory.path().join("version"), "4\n").unwrap();
    let before = files_of(directory.path());
    let error = Queue::open(directory.path(), "node").unwrap_err();
    assert!(
        matches!(error, QueueError::NewerVersion { found: 4 }),
        "{error:?}"
    );
    assert_eq!(files_of(directory.path()), before);
}

#[test]
fn a_newer_generation_is_refused_even_without_the_version_file() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory));
    let mut writes = Writes::default();
    writes.put(key::META, &[0, 9, 1, 2, 3]);
    first_generation(&directory).write(writes).unwrap();
    let version = directory.path().join("version");
    fs::write(&version, "damaged").unwrap();
    let error = Queue::open(directory.path(), "node").unwrap_err();
    assert!(
        matches!(error, QueueError::NewerVersion { found: 9 }),
        "{error:?}"
    );
    assert_eq!(fs::read(&version).unwrap(), b"damaged", "not ours to write");
}

#[test]
fn a_close_is_seen_and_the_next_write_takes_the_mark_away() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    assert!(queue.opened().clean);
    queue.close().unwrap();
    drop(queue);
    let queue = open(&directory);
    assert!(queue.opened().clean);
    queue.commit(&[]).unwrap();
    drop(queue);
    assert!(!open(&directory).opened().clean);
}

#[test]
fn a_commit_of_events_rings_and_one_without_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    let bell = Bell::default();
    queue.subscribe(&bell);
    queue.commit(&[batch(Vec::new())]).unwrap();
    assert!(!bell.wait(Duration::ZERO));
    queue.commit(&[batch(events(1, 60))]).unwrap();
    assert!(bell.wait(Duration::ZERO));
}

#[test]
fn a_burial_cut_short_by_a_crash_is_undone() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    queue.commit(&[batch(events(3, 60))]).unwrap();
    let events = queue.read(Sequence(1), 3).unwrap();
    queue
        .settle(vec![settled(
            1,
            Settlement::Bury(letter(events[0].clone())),
        )])
        .unwrap();
    drop(queue);
    // What a crash between the letter's sync and the settlement leaves behind.
    let mut dead =
        dead_letter::DeadLetters::at(&directory.path().join("dead"), QUARANTINE_BYTES_DEFAULT);
    dead.bury(2, &[("billing".into(), letter(events[1].clone()))])
        .unwrap();
    drop(dead);
    let queue = open(&directory);
    let letters = queue.dead_letters("billing", None, 10).unwrap();
    assert_eq!(
        letters.iter().map(|(_, letter)| letter).collect::<Vec<_>>(),
        [&letter(events[0].clone())]
    );
    assert_eq!(queue.cursor("billing"), Sequence(2));
    queue
        .settle(vec![settled(
            2,
            Settlement::Bury(letter(events[1].clone())),
        )])
        .unwrap();
    drop(queue);
    let queue = open(&directory);
    assert_eq!(queue.count_dead("billing").unwrap(), 2);
    let (first, _) = letters[0];
    let page = queue.dead_letters("billing", Some(first), 10).unwrap();
    assert_eq!(
        page.iter()
            .map(|(place, _)| place.sequence)
            .collect::<Vec<_>>(),
        [Sequence(2)]
    );
}

#[test]
fn dead_letters_of_a_queue_that_was_lost_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    queue.commit(&[batch(events(1, 60))]).unwrap();
    let event = queue.read(Sequence(1), 1).unwrap().remove(0);
    queue
        .settle(vec![settled(1, Settlement::Bury(letter(event)))])
        .unwrap();
    drop(queue);
    fs::remove_dir_all(directory.path().join("queue")).unwrap();
    drop(open(&directory));
    let queue = open(&directory);
    assert_eq!(queue.count_dead("billing").unwrap(), 1);
}

#[test]
fn nothing_long_is_put_into_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let mut bytes_of = |bytes: usize| {
        let mut event = event(&mut random, 1);
        event.data = std::iter::repeat_with(|| random.u8(..))
            .take(bytes)
            .collect();
        event
    };
    let long: Vec<Event> = [700_000, 100_000, 6_000, 9_000]
        .into_iter()
        .map(&mut bytes_of)
        .collect();
    let wide: Vec<Event> = (0..400).map(|_| bytes_of(6_000)).collect();
    queue.commit(&[batch(long.clone()), batch(wide)]).unwrap();
    let read = queue.read(Sequence(1), 3).unwrap();
    assert_eq!(*read[0].event, long[0]);
    assert_eq!(*queue.read(Sequence(2), 1).unwrap()[0].event, long[1]);
    let keep = |queued: &Queued| Settlement::Keep {
        due: UnixMs(1),
        attempts: 1,
        reason: "x".repeat(600),
        event: queued.clone(),
    };
    queue.settle(vec![settled(1, keep(&read[0]))]).unwrap();
    queue.state_put("long", &vec![7; STATE_BYTES_MAX]).unwrap();
    queue.commit(&[]).unwrap();
    queue.roll_now().unwrap();
    drop(queue);
    for path in files_of(directory.path()).into_keys() {
        assert!(
            !path.to_string_lossy().contains("/blobs/"),
            "{}",
            path.display()
        );
    }
    let queue = open(&directory);
    assert_eq!(
        *queue.waiting("billing", 1).unwrap()[0].queued.event,
        long[0]
    );
    assert_eq!(
        queue.state_get("long").unwrap(),
        Some(vec![7; STATE_BYTES_MAX])
    );
}

#[test]
fn what_cannot_be_settled_is_refused_whole() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    queue.commit(&[batch(events(3, 60))]).unwrap();
    let mut settled = delivered(1..3);
    settled.extend(delivered(4..5));
    assert!(matches!(
        queue.settle(settled),
        Err(QueueError::OutsideWindow {
            sequence: Sequence(4),
            ..
        })
    ));
    assert_eq!(queue.cursor("billing"), Sequence(1));
    let unknown = Settled {
        endpoint: "gone".into(),
        sequence: Sequence(1),
        settlement: Settlement::Delivered,
    };
    queue.settle(vec![unknown]).unwrap();
}

#[test]
fn what_waits_already_may_be_kept_again_when_no_more_may_wait() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    let most = WAITING_MAX as u64;
    queue.commit(&[batch(events(WAITING_MAX + 1, 10))]).unwrap();
    let event = queue.read(Sequence(1), 1).unwrap().remove(0);
    let keep = |sequence| {
        let event = event.clone();
        settled(
            sequence,
            Settlement::Keep {
                due: UnixMs(5),
                attempts: 1,
                reason: "422".into(),
                event,
            },
        )
    };
    let mut all: Vec<Settled> = (1..=most).map(keep).collect();
    all.push(keep(1));
    queue.settle(all).unwrap();
    assert_eq!(queue.count_waiting("billing"), most);
    queue.settle(vec![keep(7), keep(7)]).unwrap();
    assert!(matches!(
        queue.settle(vec![keep(most + 1)]),
        Err(QueueError::WaitingFull { .. })
    ));
    queue.settle(delivered(9..10)).unwrap();
    queue.settle(vec![keep(9), keep(most + 1)]).unwrap();
    assert!(queue.ledger().balances());
}

#[test]
fn an_event_too_long_is_refused_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    let too_long = batch(events(1, EVENT_BYTES_MAX));
    assert!(matches!(
        queue.commit(&[batch(events(1, 60)), too_long]),
        Err(QueueError::TooLong { .. })
    ));
    assert_eq!(queue.next_sequence(), Sequence(1));
}

#[test]
fn after_a_failed_write_the_queue_reads_and_writes_on() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    queue.commit(&[batch(events(3, 60))]).unwrap();
    queue.fail_now().unwrap();
    assert_eq!(queue.read(Sequence(1), 10).unwrap().len(), 3);
    queue.fail_now().unwrap();
    assert_eq!(queue.positions("cdr").unwrap(), []);
    // It is said once, after a write that succeeds.
    assert!(locked(&queue.0.writer).opened_again.is_some());
    assert_eq!(
        queue.commit(&[batch(events(1, 60))]).unwrap().first,
        Sequence(4)
    );
    assert!(locked(&queue.0.writer).opened_again.is_none());
    queue.fail_now().unwrap();
    queue.settle(delivered(1..5)).unwrap();
    assert!(queue.ledger().balances());
}

#[test]
fn many_threads_commit_settle_and_read_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    let bell = Bell::default();
    queue.subscribe(&bell);
    std::thread::scope(|scope| {
        let ingest = queue.clone();
        scope.spawn(move || {
            for round in 0..40 {
                ingest.commit(&[batch(events(50, 100))]).unwrap();
                if round % 5 == 0 {
                    ingest.roll_now().unwrap();
                }
            }
        });
        scope.spawn(|| {
            let mut next = Sequence(1);
            while next < Sequence(2_001) {
                let some = queue.read(next, 30).unwrap();
                let Some(last) = some.last() else {
                    bell.wait(Duration::from_secs(10));
                    continue;
                };
                assert_eq!(some[0].sequence, next);
                queue
                    .settle(delivered(next.0..last.sequence.0 + 1))
                    .unwrap();
                next = last.sequence.plus(1);
            }
        });
        for seed in 0..3 {
            let reader = queue.clone();
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..200 {
                    let next = reader.next_sequence();
                    let cursor = reader.cursor("billing");
                    let from = Sequence(random.u64(cursor.0..=next.0));
                    let read = reader.read(from, 10).unwrap();
                    assert!(from == next || !read.is_empty());
                    assert!(reader.ledger().balances());
                }
            });
        }
    });
    assert_eq!(queue.ledger().endpoint("billing").unwrap().delivered, 2_000);
}

#[test]
fn state_changed_with_a_commit_is_there_after_a_roll_and_a_restart_and_can_be_removed() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    let change = |name: &str, value: Option<&[u8]>| StateChange {
        name: name.to_owned(),
        value: value.map(<[u8]>::to_vec),
    };
    let changes = [
        change("alarm/cdr/1", Some(b"one")),
        change("alarm/cdr/2", Some(b"two")),
        change("join/cdr/1", Some(b"three")),
    ];
    queue
        .commit_with(&[batch(events(1, 60))], &changes)
        .unwrap();
    queue
        .commit_with(&[], &[change("alarm/cdr/1", None)])
        .unwrap();
    queue.roll_now().unwrap();
    drop(queue);
    let queue = open(&directory);
    let kept = vec![("alarm/cdr/2".to_owned(), b"two".to_vec())];
    assert_eq!(queue.states("alarm/cdr/").unwrap(), kept);
    assert_eq!(queue.states("").unwrap().len(), 2);
    let long = [change("a", Some(&[0; STATE_BYTES_MAX + 1]))];
    assert!(matches!(
        queue.commit_with(&[batch(events(1, 60))], &long),
        Err(QueueError::TooLong { .. })
    ));
    assert_eq!(queue.next_sequence(), Sequence(2), "nothing of it happened");
}

#[test]
fn what_was_packed_before_the_commit_is_what_is_committed() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    let all = events(60, 300);
    // Later events of a batch, and later batches, come after some were packed.
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let cut = random.usize(..=all.len());
        let mut batches = vec![batch(all[..cut].to_vec())];
        let packed = Packed::of(&batches).unwrap();
        batches[0] = SourceBatch {
            events: std::mem::take(&mut batches[0].events),
            ..batch(all.clone())
        };
        batches[0].events.extend_from_slice(&all[cut..]);
        let mut second = batch(events(3, 90));
        second.source = "alarms".into();
        batches.push(second);
        let committed = queue.commit_packed(&batches, packed, &[]).unwrap();
        assert_eq!(committed.events, 63);
        let read = queue.read(committed.first, 63).unwrap();
        let read: Vec<Event> = read.iter().map(|queued| (*queued.event).clone()).collect();
        let expected = batches.iter().flat_map(|batch| batch.events.clone());
        assert_eq!(read, expected.collect::<Vec<_>>(), "seed {seed}");
    }
    assert!(queue.ledger().balances());
}

#[test]
fn an_event_too_long_to_pack_is_refused_by_the_commit() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    let batches = [batch(events(1, EVENT_BYTES_MAX + 1))];
    assert!(Packed::of(&batches).is_err());
    let refused = queue.commit_packed(&batches, Packed::default(), &[]);
    assert!(matches!(refused, Err(QueueError::TooLong { .. })));
    assert_eq!(queue.next_sequence(), Sequence(1));
}

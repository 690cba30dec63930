//! Outlived: dead letters beyond their limits of size and age, removed oldest first and counted.
//!
//! **Crash argument.** That the generations before a number are removed, and how many letters of
//! each endpoint that took, is one batch in the head, synced; only then does the directory go. A
//! crash in between leaves it to be removed on opening, counted once.

use super::error::QueueError;
use super::generation::Writes;
use super::write::Writer;
use super::{Queue, key};
use crate::clock::UnixMs;

impl Queue {
    /// Removes the dead letters that are older at `now` than they are kept, and the oldest while
    /// all of them together take more than they may: a generation at a time. Cheap when there is
    /// nothing to remove. What was removed is logged, and is in the
    /// [`ledger`](Queue::ledger). Durable after `Ok`.
    ///
    /// # Errors
    ///
    /// When they could not be read or the removal not be written; what was not removed is later.
    pub fn remove_outlived(&self, now: UnixMs) -> Result<(), QueueError> {
        self.remove_outlived_by(&mut *self.writer()?, Some(now))
    }

    /// The same for whoever has the writer; without a time, only for their size.
    pub(super) fn remove_outlived_by(
        &self,
        writer: &mut Writer,
        now: Option<UnixMs>,
    ) -> Result<(), QueueError> {
        while let Some(outlived) = writer.dead.outlived(now)? {
            let first = outlived.generation + 1;
            let mut writes = Writes::default();
            for (name, &count) in &outlived.letters {
                if let Some(endpoint) = writer.state.endpoints.get_mut(name) {
                    endpoint.letters_removed(count);
                    writes.put(&key::endpoint(name), &endpoint.encode());
                }
            }
            writer.state.dead_first = first;
            writes.put(key::DEAD_FIRST, &first.to_be_bytes());
            self.write(writer, writes)?;
            writer.dead.remove_before(first)?;
            for (name, count) in &outlived.letters {
                log::warn!(
                    "dead letters removed endpoint={name} count={count} limit={}",
                    outlived.limit
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, events};
    use super::*;
    use crate::event::Sequence;
    use crate::queue::{AttachFrom, DeadLetter, DiskLimits, Queued, Settled, Settlement};
    use std::sync::Arc;
    use std::time::Duration;
    use tempfile::TempDir;

    const DAY: i64 = 86_400_000;

    fn limits() -> DiskLimits {
        DiskLimits {
            dead_letters_max: 4 << 20,
            dead_letters_keep: Duration::from_secs(8 * 86_400),
            ..DiskLimits::default()
        }
    }

    fn open(directory: &TempDir) -> Queue {
        let queue = Queue::open(directory.path(), "node").unwrap();
        queue.limit(limits());
        queue.attach("billing", AttachFrom::Oldest).unwrap();
        queue
    }

    /// Buries `count` events of `bytes` bytes at `at`.
    fn bury(queue: &Queue, count: usize, bytes: usize, at: UnixMs) {
        let events = events(count, bytes);
        let first = queue.commit(&[batch(events.clone())]).unwrap().first;
        let settled = (0..).zip(events).map(|(place, event)| {
            let sequence = Sequence(first.0 + place);
            let queued = Queued {
                sequence,
                event: Arc::new(event),
            };
            Settled {
                endpoint: "billing".into(),
                sequence,
                settlement: Settlement::Bury(DeadLetter {
                    queued,
                    attempts: 1,
                    status: None,
                    answer_start: Vec::new(),
                    reason: "refused".into(),
                    at,
                }),
            }
        });
        queue.settle(settled.collect()).unwrap();
    }

    fn left(queue: &Queue) -> (u64, u64, u64) {
        let ledger = queue.ledger();
        assert!(ledger.balances());
        let totals = ledger.endpoint("billing").unwrap();
        (
            totals.dead,
            totals.dead_removed,
            queue.count_dead("billing").unwrap(),
        )
    }

    #[test]
    fn the_oldest_go_when_they_take_too_much_and_are_counted_over_a_crash() {
        let directory = tempfile::tempdir().unwrap();
        let queue = open(&directory);
        for _ in 0..40 {
            bury(&queue, 100, 2_000, UnixMs(DAY));
            queue.remove_outlived(UnixMs(DAY)).unwrap();
            let taken = super::super::row::directory_bytes(&directory.path().join("dead"));
            assert!(taken <= limits().dead_letters_max, "{taken}");
        }
        let (dead, removed, on_disk) = left(&queue);
        assert!(removed > 0 && on_disk > 0, "{removed} {on_disk}");
        assert_eq!((dead, removed + on_disk), (4_000, 4_000));
        drop(queue);
        assert_eq!(left(&open(&directory)), (dead, removed, on_disk));
    }

    #[test]
    fn those_older_than_they_are_kept_go_and_the_younger_stay() {
        let directory = tempfile::tempdir().unwrap();
        let queue = open(&directory);
        bury(&queue, 3, 60, UnixMs(DAY));
        bury(&queue, 2, 60, UnixMs(5 * DAY));
        queue.remove_outlived(UnixMs(9 * DAY)).unwrap();
        assert_eq!(left(&queue), (5, 0, 5));
        queue.remove_outlived(UnixMs(9 * DAY + 1)).unwrap();
        assert_eq!(left(&queue), (5, 3, 2));
        drop(queue);
        let queue = open(&directory);
        queue.remove_outlived(UnixMs(14 * DAY)).unwrap();
        assert_eq!(left(&queue), (5, 5, 0));
        // The numbers of what was removed are not given out again.
        bury(&queue, 1, 60, UnixMs(14 * DAY));
        drop(queue);
        assert_eq!(left(&open(&directory)), (6, 5, 1));
    }

    #[test]
    fn a_removal_cut_short_is_finished_and_counted_once() {
        let directory = tempfile::tempdir().unwrap();
        let queue = open(&directory);
        bury(&queue, 3, 60, UnixMs(DAY));
        let kept = tempfile::tempdir().unwrap();
        drop(queue);
        let generation = directory.path().join("dead/00000001");
        let copy = kept.path().join("00000001");
        std::fs::create_dir(&copy).unwrap();
        for file in std::fs::read_dir(&generation).unwrap() {
            let file = file.unwrap();
            if file.path().is_file() {
                std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
            }
        }
        let queue = open(&directory);
        queue.remove_outlived(UnixMs(20 * DAY)).unwrap();
        drop(queue);
        std::fs::rename(&copy, &generation).unwrap();
        let queue = open(&directory);
        assert!(!generation.exists());
        queue.remove_outlived(UnixMs(20 * DAY)).unwrap();
        assert_eq!(left(&queue), (3, 3, 0));
    }
}

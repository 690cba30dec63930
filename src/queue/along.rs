//! Along: settlements that go to disk with the next commit of rows, one sync for both.
//!
//! While rows come in, ingest commits some hundred times a second, and delivery settles about as
//! often what it has sent of them. Each of the two costs a write, two waits for the disk and a dozen
//! threads woken; nobody waits for a settlement. So while another commit is known to follow at once,
//! a few settlements wait for it.
//!
//! **Crash argument.** What waits here is on disk no sooner than the commit that takes it along, in
//! the same batch: all of it or nothing. Whoever brought it asks afterwards for what
//! [`settle`](super::Queue::settle) asks for anyway: that writes whatever is not settled by then, be
//! it that no commit came or that it failed, and nothing where all is. Until then the events count as
//! not settled, and a crash has them sent once more, with their ids: at most [`ALONG_MAX`] more than
//! without this.

use super::Queue;
use super::error::QueueError;
use super::generation::Writes;
use super::settle::{Settled, Settlement};
use super::write::Writer;
use crate::shutdown::Bell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Most settlements that wait for a commit. More of them come from a backlog that is sent off: there
/// are so many then that the sync is shared well enough.
pub(super) const ALONG_MAX: usize = 64;

/// Longest wait for a commit that is said to follow: several times the pause between two.
const PATIENCE: Duration = Duration::from_millis(25);

/// Who waits for a commit, and whether one is to come.
#[derive(Debug, Default)]
pub(super) struct Along {
    is_expected: AtomicBool,
    /// Rung for the one who waits.
    bell: Bell,
}

impl Queue {
    /// Takes in whether another [`commit`](Queue::commit) follows within some milliseconds.
    pub fn expect_commit(&self, is_expected: bool) {
        let was_expected = self
            .0
            .along
            .is_expected
            .swap(is_expected, Ordering::Relaxed);
        if was_expected && !is_expected {
            self.0.along.bell.ring();
        }
    }

    /// As [`settle`](Queue::settle), and where [a commit is to follow](Queue::expect_commit) in one
    /// write with that. Takes up to 25 ms longer; for one thread.
    ///
    /// # Errors
    ///
    /// As [`settle`](Queue::settle).
    pub fn settle_along(&self, settled: Vec<Settled>) -> Result<(), QueueError> {
        let along = &self.0.along;
        let is_plain = |settled: &Settled| {
            matches!(
                settled.settlement,
                Settlement::Delivered | Settlement::Skipped
            )
        };
        if along.is_expected.load(Ordering::Relaxed)
            && settled.len() <= ALONG_MAX
            && settled.iter().all(is_plain)
        {
            // Nobody waited for an older ring.
            along.bell.wait(Duration::ZERO);
            self.writer()?.along = settled.clone();
            along.bell.wait(PATIENCE);
            self.writer()?.along.clear();
        }
        self.settle(settled)
    }

    /// Adds what waits for a commit to the batch of one; whether there was anything.
    pub(super) fn take_along(&self, writer: &mut Writer, writes: &mut Writes) -> bool {
        let settled = std::mem::take(&mut writer.along);
        if settled.is_empty() {
            return false;
        }
        // Where they cannot be settled, whoever brought them hears of it by himself.
        if let Ok(put) = self.put_settled(writer, settled, writes) {
            writer.end_recalls(&put.ended, writes);
        }
        true
    }

    /// The commit that took something along is over, however it ended.
    pub(super) fn told_along(&self) {
        self.0.along.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::{fail_syncs, work_of};
    use super::super::tests::{batch, delivered, events, open, settled};
    use super::super::{AttachFrom, Queue, locked};
    use super::*;
    use std::thread;
    use std::time::Instant;

    /// A queue of ten events, of which the next ones are said to come soon.
    fn queue(directory: &tempfile::TempDir) -> Queue {
        let queue = open(directory);
        queue.attach("billing", AttachFrom::Now).unwrap();
        queue.commit(&[batch(events(10, 40))]).unwrap();
        queue.expect_commit(true);
        queue
    }

    fn delivered_count(queue: &Queue) -> u64 {
        queue.ledger().endpoint("billing").unwrap().delivered
    }

    /// Waits until something waits for a commit.
    fn until_aboard(queue: &Queue) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while locked(&queue.0.writer).along.is_empty() {
            assert!(Instant::now() < deadline, "nothing waits for a commit");
            thread::yield_now();
        }
    }

    #[test]
    fn a_commit_takes_along_what_is_settled_meanwhile_in_one_sync() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory);
        // The commit may come too late for the first ones on a busy machine.
        let is_taken_along = (1..=10).any(|sequence| {
            let work = thread::scope(|scope| {
                let settling = scope.spawn(|| {
                    work_of(|| {
                        queue
                            .settle_along(delivered(sequence..sequence + 1))
                            .unwrap()
                    })
                });
                until_aboard(&queue);
                let commit = work_of(|| _ = queue.commit(&[batch(events(1, 40))]).unwrap());
                assert_eq!((commit.batches, commit.syncs), (1, 1));
                settling.join().unwrap()
            });
            assert_eq!(delivered_count(&queue), sequence);
            work.syncs == 0
        });
        assert!(is_taken_along);
        drop(queue);
        assert!(delivered_count(&open(&directory)) > 0);
    }

    #[test]
    fn without_a_commit_a_settlement_is_written_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory);
        queue.settle_along(delivered(1..3)).unwrap();
        assert_eq!(delivered_count(&queue), 2);
        queue.expect_commit(false);
        queue.settle_along(delivered(3..4)).unwrap();
        assert_eq!(delivered_count(&queue), 3);
    }

    #[test]
    fn a_settlement_that_a_failed_commit_took_along_is_written_by_itself() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory);
        thread::scope(|scope| {
            let settling = scope.spawn(|| queue.settle_along(delivered(1..2)));
            until_aboard(&queue);
            fail_syncs(1);
            // Too late on a busy machine, it fails alone.
            queue.commit(&[batch(events(1, 40))]).unwrap_err();
            settling.join().unwrap().unwrap();
        });
        assert_eq!(delivered_count(&queue), 1);
    }

    #[test]
    fn many_settlements_and_those_of_events_that_are_kept_wait_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory);
        queue.commit(&[batch(events(ALONG_MAX, 40))]).unwrap();
        let began = Instant::now();
        let work = work_of(|| {
            queue
                .settle_along(delivered(1..ALONG_MAX as u64 + 2))
                .unwrap()
        });
        assert_eq!(work.syncs, 1);
        let outside = queue.settle_along(vec![settled(1_000_000, Settlement::Delivered)]);
        assert!(outside.is_err());
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

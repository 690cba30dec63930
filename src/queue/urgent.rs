//! Urgent: where the events are that may go out before what waits, so that nobody has to read the
//! whole backlog for them.
//!
//! An index by sequence, in the head's small state, written in the batch that adds the events and
//! carried on like the rest. It is a help for finding them and nothing else: an event that is not
//! in it goes out in its turn, and what it says of one that is settled, or is not of that type, is
//! found out by whoever reads it. So it may forget, and does when it is full.

use super::generation::Writes;
use super::state::State;
use super::{Queue, QueueError, SourceBatch, key, locked};
use crate::event::Sequence;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Most events in the index; the oldest are forgotten for others. Some 400 KiB of memory and, with
/// every new generation, 100 KiB of disk: alarms come in hundreds during the worst outage.
pub const URGENT_MAX: usize = 4_096;

/// Which events may overtake others.
#[derive(Debug, Default)]
pub(super) struct Urgent {
    /// Types that some endpoint wants first.
    kinds: BTreeSet<Arc<str>>,
    /// The events of these types that not every endpoint is done with, as far as is known.
    at: BTreeMap<Sequence, Arc<str>>,
}

impl Urgent {
    /// The events of `batches`, the first of which gets the sequence `first`, that belong in it.
    pub(super) fn found(
        &self,
        batches: &[SourceBatch],
        first: Sequence,
    ) -> Vec<(Sequence, Arc<str>)> {
        if self.kinds.is_empty() {
            return Vec::new();
        }
        let events = batches.iter().flat_map(|batch| &batch.events);
        let placed = (first.0..).map(Sequence).zip(events);
        let urgent = placed.filter(|(_, event)| self.kinds.contains(&event.kind));
        urgent
            .map(|(sequence, event)| (sequence, Arc::clone(&event.kind)))
            .collect()
    }

    /// Takes over what is durable now; returns what is forgotten for it.
    pub(super) fn add(&mut self, found: Vec<(Sequence, Arc<str>)>) {
        self.at.extend(found);
    }

    /// What is to be forgotten for `more` events to find room.
    fn make_room(&mut self, more: usize) -> Vec<Sequence> {
        let mut forgotten = Vec::new();
        while self.at.len() + more > URGENT_MAX
            && let Some((sequence, _)) = self.at.pop_first()
        {
            forgotten.push(sequence);
        }
        forgotten
    }

    /// Takes out what every endpoint is done with.
    fn take_before(&mut self, sequence: Sequence) -> Vec<Sequence> {
        let mut passed = Vec::new();
        while let Some(first) = self.at.first_entry().filter(|it| *it.key() < sequence) {
            passed.push(*first.key());
            first.remove();
        }
        passed
    }
}

impl Queue {
    /// Keeps a place for events of `kinds` from now on, beside those of earlier calls: they can
    /// be [found](Queue::urgent) without reading what lies before them.
    pub fn mark_urgent(&self, kinds: &[Box<str>]) {
        let mut urgent = locked(&self.0.urgent);
        let kinds = kinds.iter().map(|kind| Arc::from(&**kind));
        urgent.kinds.extend(kinds);
    }

    /// The first event of one of `kinds` at or behind `from` that is known of. It may be settled
    /// for the endpoint that asks, and after a write that failed it may be another event.
    pub fn urgent(&self, from: Sequence, kinds: &[Box<str>]) -> Option<Sequence> {
        let urgent = locked(&self.0.urgent);
        let mut behind = urgent.at.range(from..);
        let found = behind.find(|(_, kind)| kinds.iter().any(|own| **own == ***kind));
        found.map(|(sequence, _)| *sequence)
    }

    /// Has what is urgent of a commit written with it.
    pub(super) fn put_urgent(&self, found: &[(Sequence, Arc<str>)], writes: &mut Writes) {
        // Of more than there is room for, the last are kept.
        let kept = found.iter().rev().take(URGENT_MAX);
        for (sequence, kind) in kept {
            writes.put(&key::urgent(*sequence), kind.as_bytes());
        }
        if !found.is_empty() {
            let forgotten = locked(&self.0.urgent).make_room(found.len().min(URGENT_MAX));
            for sequence in forgotten {
                writes.remove(&key::urgent(sequence), 0);
            }
        }
    }

    /// Takes what no endpoint needs any more out of the index; what is to be removed.
    pub(super) fn take_passed_urgent(&self, state: &State) -> Vec<Vec<u8>> {
        let cursors = state.endpoints.values().map(|endpoint| endpoint.cursor());
        let Some(oldest) = cursors.min() else {
            return Vec::new();
        };
        let passed = locked(&self.0.urgent).take_before(oldest);
        passed.into_iter().map(key::urgent).collect()
    }

    /// Reads the index from the head.
    pub(super) fn load_urgent(&self) -> Result<(), QueueError> {
        let mut at = BTreeMap::new();
        let writer = self.writer()?;
        writer.head()?.scan(key::URGENT, key::URGENT, |found| {
            let kind = String::from_utf8_lossy(&found.value);
            if let Some(sequence) = key::read_urgent(&found.key) {
                at.insert(sequence, Arc::from(&*kind));
            }
            ControlFlow::Continue(())
        })?;
        locked(&self.0.urgent).at = at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, delivered, events};
    use super::*;
    use crate::clock::UnixMs;
    use crate::event::Event;
    use crate::queue::{Adopted, AttachFrom, Settled, Settlement};

    fn mixed(count: usize, urgent: &[usize]) -> Vec<Event> {
        let mut all = events(count, 60);
        for place in urgent {
            all[*place].kind = "alarm".into();
        }
        all
    }

    fn kinds() -> Vec<Box<str>> {
        vec!["alarm".into()]
    }

    fn all(queue: &Queue) -> Vec<u64> {
        let mut from = Sequence::FIRST;
        std::iter::from_fn(|| {
            let found = queue.urgent(from, &kinds())?;
            from = found.plus(1);
            Some(found.0)
        })
        .collect()
    }

    #[test]
    fn they_are_found_after_a_crash_and_a_roll_until_every_endpoint_has_passed_them() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::open(directory.path(), "node").unwrap();
        queue.attach("billing", AttachFrom::Now).unwrap();
        queue.commit(&[batch(mixed(5, &[1]))]).unwrap();
        assert_eq!(all(&queue), Vec::<u64>::new(), "nobody wanted them");
        queue.mark_urgent(&kinds());
        queue.commit(&[batch(mixed(10, &[2, 7]))]).unwrap();
        queue.roll_now().unwrap();
        queue.commit(&[batch(mixed(3, &[0]))]).unwrap();
        assert_eq!(all(&queue), [8, 13, 16]);
        assert_eq!(queue.urgent(Sequence(1), &["payment".into()]), None);
        drop(queue);
        let queue = Queue::open(directory.path(), "node").unwrap();
        assert_eq!(all(&queue), [8, 13, 16]);
        queue.settle(delivered(1..9)).unwrap();
        // What was passed goes with the next write.
        queue.settle(delivered(9..10)).unwrap();
        assert_eq!(all(&queue), [13, 16]);
        drop(queue);
        let queue = Queue::open(directory.path(), "node").unwrap();
        assert_eq!(all(&queue), [13, 16]);
        assert!(queue.ledger().balances());
    }

    #[test]
    fn what_overtakes_a_backlog_is_settled_for_good_and_the_account_balances() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::open(directory.path(), "node").unwrap();
        queue.attach("crm", AttachFrom::Now).unwrap();
        for _ in 0..6 {
            queue.commit(&[batch(events(1_000, 60))]).unwrap();
            queue.roll_now().unwrap();
        }
        let settled = |sequence: u64, settlement| Settled {
            endpoint: "crm".into(),
            sequence: Sequence(sequence),
            settlement,
        };
        let ahead = 5_500..5_503;
        let first = ahead.clone().map(|it| settled(it, Settlement::Delivered));
        queue.settle(first.collect()).unwrap();
        let keep = Settlement::Keep {
            due: UnixMs(5),
            attempts: 1,
            reason: "503".into(),
            event: queue.read(Sequence(5_600), 1).unwrap().remove(0),
        };
        queue.settle(vec![settled(5_600, keep)]).unwrap();
        drop(queue);
        let queue = Queue::open(directory.path(), "node").unwrap();
        let beyond: Vec<Sequence> = [5_500, 5_501, 5_502, 5_600].map(Sequence).into();
        assert_eq!(queue.settled_beyond("crm").unwrap(), beyond);
        let account = |queue: &Queue, name| {
            let ledger = queue.ledger();
            assert!(ledger.balances());
            let it = ledger.endpoint(name).unwrap().clone();
            (it.delivered, it.waiting, it.queued)
        };
        assert_eq!(account(&queue, "crm"), (3, 1, 5_996));
        assert!(matches!(
            queue.adopt("crm", "billing").unwrap(),
            Adopted::Done(_)
        ));
        assert_eq!(queue.settled_beyond("billing").unwrap(), beyond);
        for from in (1..6_001).step_by(1_000) {
            queue.settle(delivered(from..from + 1_000)).unwrap();
        }
        assert_eq!(account(&queue, "billing"), (6_000, 0, 0));
        assert_eq!(queue.cursor("billing"), Sequence(6_001));
        assert_eq!(queue.count_waiting("billing"), 0);
        drop(queue);
        let queue = Queue::open(directory.path(), "node").unwrap();
        assert_eq!(account(&queue, "billing"), (6_000, 0, 0));
        let older = directory.path().join("queue/00000002");
        assert!(!older.exists(), "its generations are gone");
    }

    #[test]
    fn the_index_forgets_the_oldest_when_it_is_full() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::open(directory.path(), "node").unwrap();
        queue.attach("billing", AttachFrom::Now).unwrap();
        queue.mark_urgent(&kinds());
        let every: Vec<usize> = (0..1_000).collect();
        for _ in 0..5 {
            queue.commit(&[batch(mixed(1_000, &every))]).unwrap();
        }
        let found = all(&queue);
        assert_eq!((found.len(), found[0]), (URGENT_MAX, 905));
        drop(queue);
        let queue = Queue::open(directory.path(), "node").unwrap();
        assert_eq!(all(&queue), found);
    }
}

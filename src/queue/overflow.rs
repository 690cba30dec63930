//! Overflow: the oldest events dropped, for the endpoints that still have to have them, to make
//! room for new ones.
//!
//! **Crash argument.** The cursors behind the dropped events and the counts are one batch, synced
//! as any settlement is; only then does the generation go. A crash before that drops nothing; one
//! in between leaves a generation that every endpoint is done with, which the next write drops.

use super::error::QueueError;
use super::generation::Writes;
use super::{Queue, key, locked};
use std::sync::Arc;

/// Events that were dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The generation they were in.
    pub generation: u32,
    /// How many, for each endpoint that had not had them.
    pub endpoints: Vec<(Arc<str>, u64)>,
}

impl Dropped {
    /// Why events are dropped, as counted.
    pub const REASON: &str = "full";
}

impl Queue {
    /// Drops the oldest generation, whoever still has to have its events; `None` when there is
    /// none but the head. What waits for its own retry, and what is under way, stays: an event
    /// that is delivered all the same is one that counts as dropped. Durable after `Ok`.
    ///
    /// # Errors
    ///
    /// When it could not be written, in which case it may have happened after all.
    pub fn drop_oldest(&self) -> Result<Option<Dropped>, QueueError> {
        let mut writer = self.writer()?;
        let [oldest, following, ..] = writer.state.spans[..] else {
            return Ok(None);
        };
        if writer.state.endpoints.is_empty() {
            // Kept for whoever is attached first; the agent never runs like that.
            return Ok(None);
        }
        let mut writes = Writes::default();
        let mut dropped = Dropped {
            generation: oldest.number,
            endpoints: Vec::new(),
        };
        let state = &mut writer.state;
        for (name, endpoint) in &mut state.endpoints {
            let count = endpoint.drop_before(following.first, &state.voids);
            if count > 0 {
                dropped.endpoints.push((Arc::clone(name), count));
            }
            writes.put(&key::endpoint(name), &endpoint.encode());
        }
        self.write(&mut writer, writes)?;
        drop(writer);
        self.measure_again();
        Ok(Some(dropped))
    }

    /// The first event that is still on disk, or the next to come.
    #[cfg(test)]
    pub(super) fn oldest(&self) -> crate::event::Sequence {
        let writer = self.writer().unwrap();
        writer.state.spans.first().unwrap().first
    }

    /// The last measurement is out of date.
    fn measure_again(&self) {
        locked(&self.0.disk).forget();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, delivered, events};
    use super::*;
    use crate::event::Sequence;
    use crate::queue::AttachFrom;

    #[test]
    fn the_oldest_go_with_a_count_and_the_ledger_balances_after_a_crash_too() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::open(directory.path(), "node").unwrap();
        queue.attach("billing", AttachFrom::Now).unwrap();
        queue.attach("crm", AttachFrom::Now).unwrap();
        queue.commit(&[batch(events(20, 60))]).unwrap();
        queue.roll_now().unwrap();
        queue.commit(&[batch(events(5, 60))]).unwrap();
        // Behind the others: 1 to 4 and 7 are had.
        queue.settle(delivered(1..5)).unwrap();
        queue.settle(delivered(7..8)).unwrap();
        let dropped = queue.drop_oldest().unwrap().unwrap();
        let expected = [("billing".into(), 15), ("crm".into(), 20)];
        assert_eq!(
            (dropped.generation, &dropped.endpoints[..]),
            (1, &expected[..])
        );
        assert!(!directory.path().join("queue/00000001").exists());
        assert_eq!(queue.drop_oldest().unwrap(), None, "the head stays");
        drop(queue);
        let queue = Queue::open(directory.path(), "node").unwrap();
        let ledger = queue.ledger();
        assert!(ledger.balances(), "{ledger:?}");
        let totals = ledger.endpoint("billing").unwrap();
        assert_eq!(
            (totals.delivered, totals.dropped, totals.queued),
            (5, 15, 5)
        );
        assert_eq!(
            queue.read(Sequence(1), 1).unwrap()[0].sequence,
            Sequence(21)
        );
        // What was under way when its event was dropped may still be settled.
        queue.settle(delivered(9..10)).unwrap();
        assert_eq!(queue.ledger().endpoint("billing").unwrap().delivered, 5);
    }
}

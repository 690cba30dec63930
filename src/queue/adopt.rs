//! Adopt: an endpoint's place, with what waits for it and its dead letters, under another name;
//! and forgetting one.

use super::error::QueueError;
use super::generation::Writes;
use super::ledger::EndpointTotals;
use super::{Queue, key};
use std::ops::ControlFlow;

/// What became of an [adoption](Queue::adopt).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// The new name has everything; how things stand with it now.
    Done(EndpointTotals),
    /// There is no endpoint of the old name.
    NoSuch,
    /// The endpoint of the new name has had events of its own: two places cannot become one.
    HasOwn(EndpointTotals),
}

impl Queue {
    /// Forgets an endpoint: what it has not had, and what waits for it, is given up. Returns how
    /// things stood with it; `None` when there is none of that name. Its dead letters stay until
    /// they outlive their limits. After `Ok` this survives loss of power.
    ///
    /// Whoever delivers to it stops that first. What is settled for it all the same is ignored.
    ///
    /// # Errors
    ///
    /// When it could not be written, in which case it may be forgotten after all.
    pub fn forget(&self, endpoint: &str) -> Result<Option<EndpointTotals>, QueueError> {
        let stood = self.ledger().endpoint(endpoint).cloned();
        self.detach(endpoint)?;
        Ok(stood)
    }

    /// Gives the place of the endpoint `old` to `new`: its cursor, its counts, what waits for its
    /// own retry, and its dead letters. After [`Adopted::Done`] this survives loss of power.
    ///
    /// An endpoint `new` that was attached but has had nothing gives way. Whoever delivers to
    /// either of them stops that first.
    ///
    /// **Crash argument.** The dead letters are renamed first, a generation at a time, each
    /// durably; then the rest is one batch. A crash in between leaves some letters under the new
    /// name and everything else under the old: adopting again finishes it.
    ///
    /// Memory taken is that of the events that wait, and of one generation's dead letters.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooLong`] for the new name; when something could not be read or written, in
    /// which case adopting again is harmless.
    pub fn adopt(&self, old: &str, new: &str) -> Result<Adopted, QueueError> {
        key::check_name(new)?;
        let mut guard = self.writer()?;
        let writer = &mut *guard;
        // What is done with would else be a dead letter again.
        while self.sweep_dead_by(writer)? {}
        let next = writer.state.next;
        if old == new || !writer.state.endpoints.contains_key(old) {
            return Ok(Adopted::NoSuch);
        }
        if let Some(own) = writer.state.endpoints.get(new)
            && !own.is_untouched(next)
        {
            return Ok(Adopted::HasOwn(own.totals(
                &new.into(),
                next,
                &writer.state.voids,
            )));
        }
        writer.dead.rename(old, new)?;
        let mut writes = Writes::default();
        let mut unread = None;
        let prefix = key::waiting_of(old);
        writer.head()?.scan(&prefix, &prefix, |found| {
            match key::read_waiting(&found.key) {
                Some((_, due, sequence)) => {
                    writes.remove(&found.key, found.pieces);
                    writes.put(&key::waiting(new, due, sequence), &found.value);
                }
                None => unread = Some(()),
            }
            ControlFlow::Continue(())
        })?;
        if unread.is_some() {
            return Err(QueueError::Damaged {
                generation: writer.head()?.number(),
                sequence: None,
                what: format!("an event that waits for endpoint {old} has no place"),
            });
        }
        let Some(adopted) = writer.state.endpoints.remove(old) else {
            return Ok(Adopted::NoSuch);
        };
        for (&number, run) in &adopted.runs {
            writes.remove(&key::run(old, number), 0);
            writes.put(&key::run(new, number), &run.encode());
        }
        writes.remove(&key::endpoint(old), 0);
        writes.put(&key::endpoint(new), &adopted.encode());
        let totals = adopted.totals(&new.into(), next, &writer.state.voids);
        writer.state.endpoints.insert(new.into(), adopted);
        if let Some(mut recalls) = writer.state.recalls.remove(old) {
            recalls.forget(old, &mut writes);
            recalls.store(new, &mut writes);
            writer.state.recalls.insert(new.into(), recalls);
        }
        self.write(writer, writes)?;
        Ok(Adopted::Done(totals))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{batch, delivered, events};
    use super::*;
    use crate::clock::UnixMs;
    use crate::event::Sequence;
    use crate::queue::{AttachFrom, DeadLetter, Settled, Settlement};

    /// A queue whose endpoint `billing` has had one event, has one that waits and one dead.
    fn queue(directory: &tempfile::TempDir) -> Queue {
        let queue = Queue::open(directory.path(), "node").unwrap();
        queue.attach("billing", AttachFrom::Now).unwrap();
        // Long enough to be stored in pieces.
        queue.commit(&[batch(events(4, 30_000))]).unwrap();
        queue.settle(delivered(1..2)).unwrap();
        let read = queue.read(Sequence(2), 2).unwrap();
        let settled = |sequence, settlement| Settled {
            endpoint: "billing".into(),
            sequence: Sequence(sequence),
            settlement,
        };
        let keep = Settlement::Keep {
            due: UnixMs(5),
            attempts: 2,
            reason: "503".into(),
            event: read[0].clone(),
        };
        let bury = Settlement::Bury(DeadLetter {
            queued: queue.read(Sequence(3), 1).unwrap().remove(0),
            attempts: 1,
            status: None,
            answer_start: Vec::new(),
            reason: "refused".into(),
            at: UnixMs(1),
        });
        queue
            .settle(vec![settled(2, keep), settled(3, bury)])
            .unwrap();
        queue
    }

    #[test]
    fn everything_goes_by_the_new_name_also_after_a_crash() {
        let directory = tempfile::tempdir().unwrap();
        let first = queue(&directory);
        let waiting = first.waiting("billing", 9).unwrap();
        let letters = first.dead_letters("billing", None, 9).unwrap();
        let before = first.ledger().endpoint("billing").unwrap().clone();
        // Attached by a start in between, with nothing to show for it.
        first.attach("invoices", AttachFrom::Now).unwrap();
        let Adopted::Done(totals) = first.adopt("billing", "invoices").unwrap() else {
            panic!("not adopted");
        };
        assert_eq!(first.adopt("billing", "invoices").unwrap(), Adopted::NoSuch);
        drop(first);
        let queue = Queue::open(directory.path(), "node").unwrap();
        let ledger = queue.ledger();
        assert!(ledger.balances() && ledger.endpoint("billing").is_none());
        let after = ledger.endpoint("invoices").unwrap().clone();
        assert_eq!(after, totals);
        assert_eq!(
            (
                after.since,
                after.cursor,
                after.delivered,
                after.dead,
                after.waiting,
                after.queued
            ),
            (before.since, before.cursor, 1, 1, 1, 1)
        );
        assert_eq!(queue.waiting("invoices", 9).unwrap(), waiting);
        assert_eq!(queue.dead_letters("invoices", None, 9).unwrap(), letters);
        assert_eq!(queue.waiting("billing", 9).unwrap(), []);
        assert_eq!(queue.count_dead("billing").unwrap(), 0);
    }

    #[test]
    fn an_endpoint_with_events_of_its_own_does_not_give_way() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory);
        queue.attach("invoices", AttachFrom::Now).unwrap();
        queue.commit(&[batch(events(1, 60))]).unwrap();
        let before = queue.ledger();
        assert!(matches!(
            queue.adopt("billing", "invoices").unwrap(),
            Adopted::HasOwn(own) if own.queued == 1
        ));
        assert_eq!(queue.ledger(), before);
        assert_eq!(queue.count_dead("billing").unwrap(), 1);
    }

    #[test]
    fn a_forgotten_endpoint_holds_nothing_back_and_late_settlements_are_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let queue = queue(&directory);
        queue.attach("crm", AttachFrom::Now).unwrap();
        queue.roll_now().unwrap();
        assert!(directory.path().join("queue/00000001").exists());
        let stood = queue.forget("billing").unwrap().unwrap();
        assert_eq!((stood.queued, stood.waiting, stood.dead), (1, 1, 1));
        assert_eq!(queue.forget("billing").unwrap(), None);
        assert!(!directory.path().join("queue/00000001").exists());
        queue.settle(delivered(4..5)).unwrap();
        drop(queue);
        let queue = Queue::open(directory.path(), "node").unwrap();
        assert!(queue.ledger().endpoint("billing").is_none());
        assert_eq!(queue.waiting("billing", 9).unwrap(), []);
        assert_eq!(queue.count_dead("billing").unwrap(), 1);
    }
}

//! Settler: writes down what became of events, many at a time.
//!
//! **Crash argument.** An event leaves an endpoint's queue only here, after its outcome is known.
//! Before the commit the queue still has the event: a crash between the answer and the commit
//! means that it is sent once more, with the same id, by which the receiver knows it. A commit
//! that fails is kept and repeated, which is harmless whether it had happened or not. After the
//! commit the event is gone for good. So the time between commits bounds the repeats, not what
//! is lost, which is nothing.

use super::event_queue::{EventQueue, Settled};
use crate::clock::Clock;
use crate::event::Sequence;
use crate::progress::Pulse;
use crate::shutdown::Bell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest time a settlement waits for company: a commit costs a sync of the disk, and a hundred
/// of them a second is what the slow disks of the market can bear.
pub const COMMIT_EVERY: Duration = Duration::from_millis(10);

/// Settlements at which a commit does not wait any longer.
pub const COMMIT_AT: usize = 256;

/// How long the settler waits after a commit that failed.
pub const FAILED_WAIT: Duration = Duration::from_secs(1);

/// How long an idle settler waits for its bell before it looks again by itself.
const IDLE_WAIT: Duration = Duration::from_secs(60);

/// What waits to be written down. Each lane stops when its window's worth is in here, so it is
/// bounded by the number of endpoints.
#[derive(Debug, Default)]
pub struct Outbox {
    contents: Mutex<Contents>,
    /// There is something to commit, or enough of it.
    bell: Bell,
    /// Nothing comes any more.
    closing: Bell,
}

#[derive(Debug, Default)]
struct Contents {
    settled: Vec<Settled>,
    is_closed: bool,
}

impl Outbox {
    /// Hands over a settlement.
    pub fn push(&self, settled: Settled) {
        let count = {
            let mut contents = self.contents();
            contents.settled.push(settled);
            contents.settled.len()
        };
        if count == 1 || count == COMMIT_AT {
            self.bell.ring();
        }
    }

    /// Nothing is handed over any more: the settler finishes and stops.
    pub fn close(&self) {
        self.contents().is_closed = true;
        self.bell.ring();
        self.closing.ring();
    }

    /// Takes what has been handed over, without waiting.
    #[cfg(test)]
    pub(super) fn drain(&self) -> Vec<Settled> {
        std::mem::take(&mut self.contents().settled)
    }

    /// What has been handed over, and whether more can come. Waits up to `idle_wait` for the
    /// first and then for company.
    fn collect(&self, idle_wait: Duration) -> (Vec<Settled>, bool) {
        let (is_empty, is_closed) = {
            let contents = self.contents();
            (contents.settled.is_empty(), contents.is_closed)
        };
        let first_wait = if is_empty && !is_closed {
            idle_wait
        } else {
            Duration::ZERO
        };
        // Also takes a ring that was meant for what is looked at next: left in place, it would end
        // the wait for company.
        self.bell.wait(first_wait);
        let is_waiting = {
            let contents = self.contents();
            !contents.settled.is_empty()
                && contents.settled.len() < COMMIT_AT
                && !contents.is_closed
        };
        if is_waiting {
            self.bell.wait(COMMIT_EVERY);
        }
        let mut contents = self.contents();
        (std::mem::take(&mut contents.settled), contents.is_closed)
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one thread that commits settlements.
#[derive(Debug)]
pub struct Settler {
    queue: Arc<dyn EventQueue>,
    outbox: Arc<Outbox>,
    /// Collected and not durable yet.
    pending: Vec<Settled>,
    /// Why the last commit failed, if it did.
    trouble: Option<String>,
    /// Where it says that it goes on.
    pulse: Option<(Pulse, Arc<dyn Clock>)>,
}

impl Settler {
    /// A settler that empties `outbox` into `queue`.
    pub fn new(queue: Arc<dyn EventQueue>, outbox: Arc<Outbox>) -> Settler {
        Settler {
            queue,
            outbox,
            pending: Vec::new(),
            trouble: None,
            pulse: None,
        }
    }

    /// The same, which says with `pulse` that it goes on.
    pub fn with_pulse(self, pulse: (Pulse, Arc<dyn Clock>)) -> Settler {
        let pulse = Some(pulse);
        Settler { pulse, ..self }
    }

    /// Commits until the outbox is closed and empty. `committed` hears, after each commit, of
    /// each endpoint in it: how many of its settlements became durable and where its cursor is.
    ///
    /// After the outbox is closed a commit that fails is tried once more and then left: the
    /// events are sent again after the restart.
    pub fn run(mut self, mut committed: impl FnMut(&str, u64, Sequence)) {
        loop {
            let idle_wait = if self.pending.is_empty() {
                IDLE_WAIT
            } else {
                Duration::ZERO
            };
            self.due_in(idle_wait + COMMIT_EVERY);
            let (collected, is_closed) = self.outbox.collect(idle_wait);
            self.pending.extend(collected);
            self.due_in(Duration::ZERO);
            let is_done = self.commit(&mut committed);
            if is_closed && (is_done || !self.commit(&mut committed)) {
                return;
            }
            if !is_done {
                self.outbox.closing.wait(FAILED_WAIT);
            }
        }
    }

    fn due_in(&self, wait: Duration) {
        if let Some((pulse, clock)) = &self.pulse {
            pulse.due(clock.now() + wait);
        }
    }

    /// Commits what is pending; true when nothing is left.
    fn commit(&mut self, committed: &mut impl FnMut(&str, u64, Sequence)) -> bool {
        if self.pending.is_empty() {
            return true;
        }
        match self.queue.settle(self.pending.clone()) {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    log::info!("settlements written again count={}", self.pending.len());
                }
            }
            Err(error) => {
                let error = error.to_string();
                if self.trouble.as_ref() != Some(&error) {
                    log::error!(
                        "settlements not written count={} error={error:?}",
                        self.pending.len()
                    );
                }
                self.trouble = Some(error);
                return false;
            }
        }
        let mut counts: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for settled in self.pending.drain(..) {
            *counts.entry(settled.endpoint).or_default() += 1;
        }
        for (endpoint, count) in counts {
            committed(&endpoint, count, self.queue.cursor(&endpoint));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::event_queue::Settlement;
    use crate::delivery::event_queue::memory::MemoryQueue;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    fn delivered(sequence: u64) -> Settled {
        Settled {
            endpoint: "a".into(),
            sequence: Sequence(sequence),
            settlement: Settlement::Delivered,
        }
    }

    fn settler(queue: &MemoryQueue) -> (Arc<Outbox>, Settler) {
        let outbox = Arc::new(Outbox::default());
        let settler = Settler::new(Arc::new(queue.clone()), Arc::clone(&outbox));
        (outbox, settler)
    }

    #[test]
    fn what_is_handed_over_is_written_and_told_with_the_cursor() {
        let queue = MemoryQueue::with(Vec::new());
        let (outbox, settler) = settler(&queue);
        for sequence in [2, 1, 4] {
            outbox.push(delivered(sequence));
        }
        outbox.close();
        let mut told = Vec::new();
        settler.run(|endpoint, count, cursor| told.push((endpoint.to_string(), count, cursor.0)));
        assert_eq!(told, [("a".to_string(), 3, 3)]);
        assert_eq!(queue.contents().delivered, [2, 1, 4].map(Sequence));
    }

    #[test]
    fn a_running_settler_writes_without_being_closed() {
        let queue = MemoryQueue::with(Vec::new());
        let (outbox, settler) = settler(&queue);
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || settler.run(|_, count, _| tell.send(count).unwrap()));
        let mut written = 0;
        for sequence in 1..=1_000 {
            outbox.push(delivered(sequence));
        }
        while written < 1_000 {
            written += told.recv().unwrap();
        }
        outbox.close();
        thread.join().unwrap();
        assert_eq!(queue.contents().cursor, 1_001);
    }

    #[test]
    fn a_commit_that_fails_is_kept_and_written_later() {
        let queue = MemoryQueue::with(Vec::new());
        let (outbox, mut settler) = settler(&queue);
        queue.contents().settle_fails = true;
        outbox.push(delivered(1));
        settler.pending = outbox.collect(IDLE_WAIT).0;
        assert!(!settler.commit(&mut |_, _, _| panic!("nothing was written")));
        outbox.push(delivered(2));
        settler.pending.extend(outbox.collect(IDLE_WAIT).0);
        queue.contents().settle_fails = false;
        let mut told = 0;
        assert!(settler.commit(&mut |_, count, _| told = count));
        assert_eq!((told, queue.contents().cursor), (2, 3));
    }

    #[test]
    fn what_came_during_a_commit_waits_for_company() {
        let queue = MemoryQueue::with(Vec::new());
        let (outbox, _) = settler(&queue);
        for first in [1, 3] {
            outbox.push(delivered(first));
            let started = Instant::now();
            let late = {
                let outbox = Arc::clone(&outbox);
                thread::spawn(move || outbox.push(delivered(first + 1)))
            };
            let collected = outbox.collect(IDLE_WAIT).0;
            assert!(started.elapsed() >= COMMIT_EVERY, "{:?}", started.elapsed());
            late.join().unwrap();
            assert_eq!(collected.len() + outbox.drain().len(), 2);
        }
    }

    #[test]
    fn what_could_not_be_written_is_not_left_until_something_new_comes() {
        let queue = MemoryQueue::with(Vec::new());
        let (outbox, settler) = settler(&queue);
        queue.contents().settle_fails = true;
        outbox.push(delivered(1));
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || settler.run(|_, count, _| tell.send(count).unwrap()));
        assert!(told.recv_timeout(FAILED_WAIT / 4).is_err());
        queue.contents().settle_fails = false;
        assert_eq!(told.recv_timeout(FAILED_WAIT * 10), Ok(1));
        outbox.close();
        thread.join().unwrap();
    }

    #[test]
    fn at_the_end_a_disk_that_does_not_write_is_not_waited_for() {
        let queue = MemoryQueue::with(Vec::new());
        let (outbox, settler) = settler(&queue);
        queue.contents().settle_fails = true;
        outbox.push(delivered(1));
        outbox.close();
        settler.run(|_, _, _| panic!("nothing was written"));
    }
}

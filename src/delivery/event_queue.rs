//! EventQueue: what delivery asks of the queue, so that lanes are tested against one in memory.

pub use crate::queue::{DeadLetter, PutOff, Settled, Settlement, Waiting};

use crate::clock::UnixMs;
use crate::event::Sequence;
use crate::queue::{Queue, Queued};
use crate::shutdown::Bell;
use std::error::Error;
use std::fmt;

/// The queue could not be read or written. Only reported, so its kind does not matter here.
pub type QueueTrouble = Box<dyn Error + Send + Sync>;

/// The queue as delivery sees it.
pub trait EventQueue: Send + Sync + fmt::Debug {
    /// About `count_max` events of about `bytes_max` bytes in order, beginning with the first at or behind `from`; whole
    /// blocks, so some more are possible. Empty when there is none yet.
    ///
    /// # Errors
    ///
    /// When the next event cannot be read.
    fn read(
        &self,
        from: Sequence,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Queued>, QueueTrouble>;

    /// The first event that is neither settled for the endpoint nor waits for its own retry.
    /// Everything below is so durably.
    fn cursor(&self, endpoint: &str) -> Sequence;

    /// The events above the cursor that are settled for the endpoint or wait for their own
    /// retry, durably: reading gives them out again, and they must not be sent again.
    fn settled_beyond(&self, endpoint: &str) -> Vec<Sequence>;

    /// Decides what becomes of events, all or nothing. Durable when `Ok`.
    ///
    /// # Errors
    ///
    /// When it could not be written. It may have been, or not; repeating it is harmless.
    fn settle(&self, settled: Vec<Settled>) -> Result<(), QueueTrouble>;

    /// Due time and place of the events that wait for the endpoint's own retry, earliest due first.
    ///
    /// # Errors
    ///
    /// When that cannot be read.
    fn waiting_places(&self, endpoint: &str) -> Result<Vec<(UnixMs, Sequence)>, QueueTrouble>;

    /// One of these events; `None` when it does not wait any more.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn waiting_event(
        &self,
        endpoint: &str,
        due: UnixMs,
        sequence: Sequence,
    ) -> Result<Option<Waiting>, QueueTrouble>;

    /// Puts events off that wait, each given by its due time and place: they leave the ones above
    /// until they are brought back. Says which did, durably; those that do not wait at that time do
    /// not, and none does where there is no room.
    ///
    /// # Errors
    ///
    /// When it could not be written. It may have been, or not.
    fn put_off(
        &self,
        endpoint: &str,
        places: &[(UnixMs, Sequence)],
    ) -> Result<Vec<Sequence>, QueueTrouble>;

    /// Brings back, durably, at most `count_max` of them that are due by the first time or not
    /// before the second; their due times and places.
    ///
    /// # Errors
    ///
    /// When they cannot be read or it could not be written. It may have been, or not.
    fn bring_back(
        &self,
        endpoint: &str,
        due: (UnixMs, UnixMs),
        count_max: usize,
    ) -> Result<Vec<(UnixMs, Sequence)>, QueueTrouble>;

    /// What is put off.
    ///
    /// # Errors
    ///
    /// When that cannot be read.
    fn put_off_now(&self, endpoint: &str) -> Result<PutOff, QueueTrouble>;

    /// Shows everything that is put off to `visit`, in no order.
    ///
    /// # Errors
    ///
    /// When some of it cannot be read for now: all the rest was shown.
    fn visit_put_off(
        &self,
        endpoint: &str,
        visit: &mut dyn FnMut(Waiting),
    ) -> Result<(), QueueTrouble>;

    /// Is done with everything that is put off, durably, as skipped; says how many that were.
    ///
    /// # Errors
    ///
    /// When it could not be written. It may have been, or not.
    fn skip_put_off(&self, endpoint: &str) -> Result<u64, QueueTrouble>;

    /// Rings `bell` after every commit that added events.
    fn subscribe(&self, bell: &Bell);

    /// From now on keeps in mind where events of `kinds` are.
    fn mark_urgent(&self, kinds: &[Box<str>]);

    /// The first event of one of `kinds` at or behind `from` that it has in mind. It may be
    /// settled, or another one after all.
    fn urgent(&self, from: Sequence, kinds: &[Box<str>]) -> Option<Sequence>;
}

impl EventQueue for Queue {
    fn read(
        &self,
        from: Sequence,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Queued>, QueueTrouble> {
        Ok(Queue::read_within(self, from, count_max, bytes_max)?)
    }

    fn cursor(&self, endpoint: &str) -> Sequence {
        Queue::cursor(self, endpoint)
    }

    fn settled_beyond(&self, endpoint: &str) -> Vec<Sequence> {
        // What cannot be read now is given out, and sent, again: the receiver knows it by its id.
        Queue::settled_beyond(self, endpoint).unwrap_or_default()
    }

    fn settle(&self, settled: Vec<Settled>) -> Result<(), QueueTrouble> {
        Ok(Queue::settle_along(self, settled)?)
    }

    fn waiting_places(&self, endpoint: &str) -> Result<Vec<(UnixMs, Sequence)>, QueueTrouble> {
        Ok(Queue::waiting_places(self, endpoint)?)
    }

    fn waiting_event(
        &self,
        endpoint: &str,
        due: UnixMs,
        sequence: Sequence,
    ) -> Result<Option<Waiting>, QueueTrouble> {
        Ok(Queue::waiting_event(self, endpoint, due, sequence)?)
    }

    fn put_off(
        &self,
        endpoint: &str,
        places: &[(UnixMs, Sequence)],
    ) -> Result<Vec<Sequence>, QueueTrouble> {
        Ok(Queue::put_off(self, endpoint, places)?)
    }

    fn bring_back(
        &self,
        endpoint: &str,
        due: (UnixMs, UnixMs),
        count_max: usize,
    ) -> Result<Vec<(UnixMs, Sequence)>, QueueTrouble> {
        Ok(Queue::bring_back(self, endpoint, due, count_max)?)
    }

    fn put_off_now(&self, endpoint: &str) -> Result<PutOff, QueueTrouble> {
        Ok(Queue::put_off_now(self, endpoint)?)
    }

    fn visit_put_off(
        &self,
        endpoint: &str,
        visit: &mut dyn FnMut(Waiting),
    ) -> Result<(), QueueTrouble> {
        Ok(Queue::visit_put_off(self, endpoint, visit)?)
    }

    fn skip_put_off(&self, endpoint: &str) -> Result<u64, QueueTrouble> {
        Ok(Queue::skip_put_off(self, endpoint)?)
    }

    fn subscribe(&self, bell: &Bell) {
        Queue::subscribe(self, bell);
    }

    fn mark_urgent(&self, kinds: &[Box<str>]) {
        Queue::mark_urgent(self, kinds);
    }

    fn urgent(&self, from: Sequence, kinds: &[Box<str>]) -> Option<Sequence> {
        Queue::urgent(self, from, kinds)
    }
}

#[cfg(test)]
pub(in crate::delivery) mod memory {
    use super::*;
    use crate::queue::{PASSED_MAX, WAITING_MAX, WINDOW};
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::sync::{Mutex, MutexGuard};

    /// A queue of one endpoint, in memory. A clone is the same queue: what a restart finds.
    #[derive(Debug, Clone, Default)]
    pub struct MemoryQueue(Arc<Mutex<Contents>>);

    #[derive(Debug, Default)]
    pub struct Contents {
        pub events: Vec<Queued>,
        pub cursor: u64,
        pub beyond: BTreeSet<Sequence>,
        pub waiting: BTreeMap<Sequence, Waiting>,
        pub put_off: BTreeMap<(UnixMs, Sequence), Waiting>,
        are_put_off: BTreeSet<Sequence>,
        lost: u64,
        /// The most that waited at a time and was not put off.
        pub waited_max: usize,
        pub dead: Vec<DeadLetter>,
        pub delivered: Vec<Sequence>,
        pub skipped: Vec<Sequence>,
        pub settle_fails: bool,
        /// There is no room for copies of events that are to wait.
        pub has_no_room: bool,
        /// Putting off and bringing back are done, and fail.
        pub moves_fail_late: bool,
        /// They fail, and so does reading what is put off.
        pub moves_fail: bool,
        pub settle_panics: bool,
        /// Where events are that are no calls, by sequence.
        urgent: BTreeMap<Sequence, Arc<str>>,
        bells: Vec<Bell>,
    }

    impl MemoryQueue {
        /// A queue with these events.
        pub fn with(events: Vec<Queued>) -> MemoryQueue {
            let queue = MemoryQueue::default();
            queue.contents().cursor = 1;
            events.iter().for_each(|event| queue.contents().mark(event));
            queue.contents().events = events;
            queue
        }

        /// Adds an event, as a commit does.
        pub fn add(&self, queued: Queued) {
            let mut contents = self.contents();
            contents.mark(&queued);
            contents.events.push(queued);
            contents.bells.iter().for_each(Bell::ring);
        }

        pub fn contents(&self) -> MutexGuard<'_, Contents> {
            self.0.lock().unwrap()
        }
    }

    impl Contents {
        /// Everything that is put off is lost to damage.
        pub fn lose_put_off(&mut self) -> Vec<Sequence> {
            self.put_off.clear();
            let lost = std::mem::take(&mut self.are_put_off);
            self.lost += lost.len() as u64;
            lost.into_iter().collect()
        }

        fn check_move(&self) -> Result<(), QueueTrouble> {
            match self.moves_fail {
                true => Err("the disk cannot be read".into()),
                false => Ok(()),
            }
        }

        fn moved<T>(&self, done: T) -> Result<T, QueueTrouble> {
            match self.moves_fail_late {
                true => Err("the disk is full".into()),
                false => Ok(done),
            }
        }

        fn mark(&mut self, queued: &Queued) {
            if *queued.event.kind != *"cdr" {
                let kind = Arc::clone(&queued.event.kind);
                self.urgent.insert(queued.sequence, kind);
            }
        }
    }

    impl EventQueue for MemoryQueue {
        fn read(
            &self,
            from: Sequence,
            count_max: usize,
            _: usize,
        ) -> Result<Vec<Queued>, QueueTrouble> {
            let contents = self.contents();
            let events = &contents.events;
            let before = events.partition_point(|queued| queued.sequence < from);
            let from = events.iter().skip(before);
            Ok(from.take(count_max + 15).cloned().collect())
        }

        fn cursor(&self, _: &str) -> Sequence {
            Sequence(self.contents().cursor)
        }

        fn settled_beyond(&self, _: &str) -> Vec<Sequence> {
            self.contents().beyond.iter().copied().collect()
        }

        fn settle(&self, settled: Vec<Settled>) -> Result<(), QueueTrouble> {
            let panics = self.contents().settle_panics;
            assert!(!panics, "a bug in the queue");
            let mut contents = self.contents();
            if contents.settle_fails {
                return Err("the disk is full".into());
            }
            for Settled {
                sequence,
                settlement,
                ..
            } in settled
            {
                let end = Sequence(contents.cursor + WINDOW);
                let passed = contents.beyond.range(end..).count();
                assert!(
                    sequence < end || passed < PASSED_MAX,
                    "{sequence} is beyond the window"
                );
                let is_put_off = contents.are_put_off.contains(&sequence);
                assert!(!is_put_off, "{sequence} is put off and settled");
                let waits = contents.waiting.contains_key(&sequence);
                if contents.has_no_room && !waits && matches!(settlement, Settlement::Keep { .. }) {
                    continue;
                }
                let waited = contents.waiting.remove(&sequence).is_some();
                if !waited {
                    assert!(sequence.0 >= contents.cursor, "{sequence} is settled twice");
                    assert!(
                        contents.beyond.insert(sequence),
                        "{sequence} is settled twice"
                    );
                }
                match settlement {
                    Settlement::Delivered => contents.delivered.push(sequence),
                    Settlement::Skipped => contents.skipped.push(sequence),
                    Settlement::Bury(letter) => contents.dead.push(letter),
                    Settlement::Keep {
                        due,
                        attempts,
                        reason,
                        event,
                    } => {
                        let waiting = Waiting {
                            due,
                            attempts,
                            reason,
                            queued: event,
                        };
                        contents.waiting.insert(sequence, waiting);
                        contents.waited_max = contents.waited_max.max(contents.waiting.len());
                        assert!(contents.waiting.len() <= WAITING_MAX, "too many wait");
                    }
                }
            }
            loop {
                let cursor = Sequence(contents.cursor);
                if !contents.beyond.remove(&cursor) {
                    return Ok(());
                }
                contents.cursor += 1;
            }
        }

        fn waiting_places(&self, _: &str) -> Result<Vec<(UnixMs, Sequence)>, QueueTrouble> {
            let contents = self.contents();
            let waiting = contents.waiting.iter();
            let mut places: Vec<(UnixMs, Sequence)> = waiting
                .map(|(&sequence, waiting)| (waiting.due, sequence))
                .collect();
            places.sort_unstable();
            Ok(places)
        }

        fn waiting_event(
            &self,
            _: &str,
            due: UnixMs,
            sequence: Sequence,
        ) -> Result<Option<Waiting>, QueueTrouble> {
            let contents = self.contents();
            let waiting = contents.waiting.get(&sequence);
            Ok(waiting.filter(|waiting| waiting.due == due).cloned())
        }

        fn put_off(
            &self,
            _: &str,
            places: &[(UnixMs, Sequence)],
        ) -> Result<Vec<Sequence>, QueueTrouble> {
            let mut contents = self.contents();
            contents.check_move()?;
            let mut gone = Vec::new();
            for &(due, sequence) in places {
                let waits = contents.waiting.get(&sequence);
                if waits.is_some_and(|waiting| waiting.due == due) {
                    let waiting = contents.waiting.remove(&sequence).unwrap();
                    contents.put_off.insert((due, sequence), waiting);
                    contents.are_put_off.insert(sequence);
                    gone.push(sequence);
                }
            }
            contents.moved(gone)
        }

        fn bring_back(
            &self,
            _: &str,
            (until, beyond): (UnixMs, UnixMs),
            count_max: usize,
        ) -> Result<Vec<(UnixMs, Sequence)>, QueueTrouble> {
            let mut contents = self.contents();
            contents.check_move()?;
            let due = contents.put_off.keys().copied();
            let due = due.filter(|(due, _)| *due <= until || *due > beyond);
            let back: Vec<(UnixMs, Sequence)> = due.take(count_max).collect();
            for place in &back {
                let waiting = contents.put_off.remove(place).unwrap();
                contents.are_put_off.remove(&place.1);
                contents.waiting.insert(place.1, waiting);
            }
            contents.moved(back)
        }

        fn put_off_now(&self, _: &str) -> Result<PutOff, QueueTrouble> {
            let contents = self.contents();
            Ok(PutOff {
                count: contents.put_off.len() as u64,
                next: contents.put_off.keys().next().map(|(due, _)| *due),
                lost: contents.lost,
            })
        }

        fn visit_put_off(
            &self,
            _: &str,
            visit: &mut dyn FnMut(Waiting),
        ) -> Result<(), QueueTrouble> {
            self.contents().check_move()?;
            let all: Vec<Waiting> = self.contents().put_off.values().cloned().collect();
            all.into_iter().for_each(visit);
            Ok(())
        }

        fn skip_put_off(&self, _: &str) -> Result<u64, QueueTrouble> {
            let mut contents = self.contents();
            let skipped = std::mem::take(&mut contents.are_put_off);
            contents.put_off.clear();
            contents.skipped.extend(&skipped);
            contents.moved(skipped.len() as u64)
        }

        fn subscribe(&self, bell: &Bell) {
            self.contents().bells.push(bell.clone());
        }

        fn mark_urgent(&self, _: &[Box<str>]) {}

        fn urgent(&self, from: Sequence, kinds: &[Box<str>]) -> Option<Sequence> {
            let contents = self.contents();
            let mut behind = contents.urgent.range(from..);
            let found = behind.find(|(_, kind)| kinds.iter().any(|own| **own == ***kind));
            found.map(|(sequence, _)| *sequence)
        }
    }
}

//! Window: the stretch of the queue an endpoint is working on, decoded and filtered.

mod overtake;

pub(super) use overtake::Overtaken;

use super::alert::Wanted;
use super::event_queue::{EventQueue, QueueTrouble};
use super::memory::Memory;
use super::route::Chooser;
use crate::event::Sequence;
use crate::queue::Queued;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Events decoded ahead at a time: some milliseconds of sending, 256 KiB of memory.
pub const PREFETCH_EVENTS: usize = 256;

/// How far beyond the durable cursor events are given out. The queue keeps what is settled there
/// as a bitmap of this size; reaching it means that one event is stuck or the disk is, and either
/// way nothing new is sent until the cursor moves.
pub const WINDOW_EVENTS: u64 = 4_096;

/// Bytes read at a time of what is passed by: they are dropped at once.
const PASSED_BYTES: usize = 256 << 10;

/// Who says which events an endpoint wants.
pub(super) trait Wants {
    /// Whether it wants this one.
    fn wants(&self, queued: &Queued) -> bool;
}

impl Wants for Chooser {
    fn wants(&self, queued: &Queued) -> bool {
        Chooser::wants(self, queued)
    }
}

/// The stretch of the queue an endpoint is working on.
#[derive(Debug)]
pub(super) struct Window {
    queue: Arc<dyn EventQueue>,
    endpoint: Box<str>,
    /// Everything below is settled durably.
    cursor: Sequence,
    /// Where reading goes on.
    next: Sequence,
    /// Settled above the cursor before this process began, or given out ahead of `next`.
    settled_before: BTreeSet<Sequence>,
    /// Where looking for events that may overtake goes on.
    looked: Sequence,
    /// Where the cursor was when no more could be given out beyond the window.
    full_at: Option<Sequence>,
    /// Decoded and wanted, in order. At most [`PREFETCH_EVENTS`] and a block.
    fresh: VecDeque<Queued>,
    /// Which alerts are wanted.
    alerts: Wanted,
}

impl Window {
    /// The window of `endpoint`, beginning at its durable cursor.
    pub(super) fn new(queue: Arc<dyn EventQueue>, endpoint: &str) -> Window {
        let cursor = queue.cursor(endpoint);
        let settled_before = queue.settled_beyond(endpoint).into_iter().collect();
        Window {
            queue,
            endpoint: endpoint.into(),
            cursor,
            next: cursor,
            settled_before,
            looked: cursor,
            full_at: None,
            fresh: VecDeque::new(),
            alerts: Wanted::default(),
        }
    }

    /// The same, with the alerts that are `wanted`.
    pub(super) fn with_alerts(self, wanted: Wanted) -> Window {
        Window {
            alerts: wanted,
            ..self
        }
    }

    /// The next event the endpoint wants; none when there is none yet, the window is at its end,
    /// or `memory` has no room for it. What it does not want is handed to `skip` on the way.
    ///
    /// # Errors
    ///
    /// When the queue cannot be read. Asking again is harmless.
    pub(super) fn next(
        &mut self,
        wanted: &impl Wants,
        memory: &mut Memory,
        mut skip: impl FnMut(Sequence),
    ) -> Result<Option<Queued>, QueueTrouble> {
        loop {
            let end = self.end();
            if self.fresh.front().is_some_and(|first| first.sequence < end) {
                return Ok(self.fresh.pop_front());
            }
            if !self.fresh.is_empty() || self.next >= end {
                // The queue moves a cursor by itself where events were dropped or lost to damage.
                let before = self.cursor;
                self.moved(self.queue.cursor(&self.endpoint));
                if self.cursor == before {
                    return Ok(None);
                }
                continue;
            }
            if memory.is_short() {
                return Ok(None);
            }
            let read = self.queue.read(self.next, PREFETCH_EVENTS, memory.room())?;
            if read.is_empty() {
                return Ok(None);
            }
            self.take(read, wanted, memory, &mut skip);
            if self.fresh.is_empty() && memory.was_refused() {
                return Ok(None);
            }
        }
    }

    /// Takes over what was read, as far as the window goes and memory has room.
    fn take(
        &mut self,
        read: Vec<Queued>,
        wanted: &impl Wants,
        memory: &mut Memory,
        skip: &mut impl FnMut(Sequence),
    ) {
        let end = self.end();
        // What is left out is read again when the window has moved, or there is room.
        for queued in read {
            let sequence = queued.sequence;
            if sequence >= end {
                // Before it there is nothing.
                self.next = sequence;
                return;
            }
            if self.settled_before.contains(&sequence) {
                self.settled_before.remove(&sequence);
            } else if !self.alerts.wants(wanted, &queued) {
                skip(sequence);
            } else if memory.take(&queued.event) {
                self.fresh.push_back(queued);
            } else {
                return;
            }
            self.next = sequence.plus(1);
        }
    }

    /// Asks again about what is decoded: what is not wanted any more is handed to `skip`.
    pub(super) fn reconsider(
        &mut self,
        wanted: &impl Wants,
        memory: &mut Memory,
        mut skip: impl FnMut(Sequence),
    ) {
        self.fresh.retain(|queued| {
            let stays = self.alerts.wants(wanted, queued);
            if !stays {
                memory.give_back(&queued.event);
                skip(queued.sequence);
            }
            stays
        });
    }

    /// Hands everything before `until` to `skip`, as far as the window goes.
    ///
    /// # Errors
    ///
    /// When the queue cannot be read. Asking again is harmless.
    pub(super) fn pass_by(
        &mut self,
        until: Sequence,
        memory: &mut Memory,
        mut skip: impl FnMut(Sequence),
    ) -> Result<(), QueueTrouble> {
        let passed = self.fresh.partition_point(|queued| queued.sequence < until);
        for queued in self.fresh.drain(..passed) {
            memory.give_back(&queued.event);
            skip(queued.sequence);
        }
        self.moved(self.queue.cursor(&self.endpoint));
        let until = until.min(self.end());
        while self.fresh.is_empty() && self.next < until {
            let read = self.queue.read(self.next, PREFETCH_EVENTS, PASSED_BYTES)?;
            if read.is_empty() {
                break;
            }
            for queued in read {
                // Before it there is nothing.
                self.next = queued.sequence.min(until);
                if queued.sequence >= until {
                    break;
                }
                if !self.settled_before.remove(&queued.sequence) {
                    skip(queued.sequence);
                }
                self.next = queued.sequence.plus(1);
            }
        }
        Ok(())
    }

    /// Everything before this is settled durably.
    pub(super) fn cursor(&self) -> Sequence {
        self.cursor
    }

    /// Whether the next event is decoded already.
    pub(super) fn has_fresh(&self) -> bool {
        self.fresh
            .front()
            .is_some_and(|first| first.sequence < self.end())
    }

    /// How many events are decoded and wanted.
    pub(super) fn fresh_count(&self) -> usize {
        self.fresh.len()
    }

    /// The next event, when it is decoded already.
    pub(super) fn first_fresh(&self) -> Option<&Queued> {
        self.fresh.front()
    }

    /// Whether it is the window, and not the queue, that is at its end.
    pub(super) fn is_at_end(&self) -> bool {
        self.fresh.front().map_or(self.next, |first| first.sequence) >= self.end()
    }

    /// The cursor has moved, durably.
    pub(super) fn moved(&mut self, cursor: Sequence) {
        self.cursor = self.cursor.max(cursor);
    }

    fn end(&self) -> Sequence {
        self.cursor.plus(WINDOW_EVENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::endpoint::EventFilter;
    use crate::delivery::event_queue::memory::MemoryQueue;
    use crate::delivery::memory::Share;
    use crate::delivery::profile::samples::queued;

    impl Wants for EventFilter {
        fn wants(&self, queued: &Queued) -> bool {
            EventFilter::wants(self, &queued.event.kind)
        }
    }

    fn taken(window: &mut Window, wanted: &impl Wants, skipped: &mut Vec<u64>) -> Vec<u64> {
        let mut skip = |sequence: Sequence| skipped.push(sequence.0);
        let mut memory = Memory::new(Share::default());
        std::iter::from_fn(|| window.next(wanted, &mut memory, &mut skip).unwrap())
            .map(|queued| queued.sequence.0)
            .collect()
    }

    #[test]
    fn nothing_is_given_out_beyond_the_window_until_the_cursor_moves() {
        let queue = MemoryQueue::with((1..=10_000).map(|n| queued(n, "cdr", "{}")).collect());
        let mut window = Window::new(Arc::new(queue), "a");
        let mut skipped = Vec::new();
        assert_eq!(
            taken(&mut window, &EventFilter::All, &mut skipped),
            (1..=4_096).collect::<Vec<_>>()
        );
        assert!(window.is_at_end());
        window.moved(Sequence(101));
        assert_eq!(
            taken(&mut window, &EventFilter::All, &mut skipped),
            (4_097..=4_196).collect::<Vec<_>>()
        );
        assert!(skipped.is_empty());
    }

    #[test]
    fn a_gap_longer_than_the_window_is_crossed_when_the_queue_moves_the_cursor() {
        let queue = MemoryQueue::with([1, 2, 50_000].map(|n| queued(n, "cdr", "{}")).into());
        let mut window = Window::new(Arc::new(queue.clone()), "a");
        let mut skipped = Vec::new();
        assert_eq!(taken(&mut window, &EventFilter::All, &mut skipped), [1, 2]);
        assert!(taken(&mut window, &EventFilter::All, &mut skipped).is_empty());
        queue.contents().cursor = 49_999;
        assert_eq!(
            taken(&mut window, &EventFilter::All, &mut skipped),
            [50_000]
        );
    }

    #[test]
    fn what_is_not_wanted_is_skipped_within_the_window() {
        let kind = |n| if n == 5_000 { "alarm" } else { "cdr" };
        let queue = MemoryQueue::with((1..=5_000).map(|n| queued(n, kind(n), "{}")).collect());
        let mut window = Window::new(Arc::new(queue), "a");
        let mut skipped = Vec::new();
        let alarms = EventFilter::Kinds(vec!["alarm".into()]);
        assert!(taken(&mut window, &alarms, &mut skipped).is_empty());
        assert_eq!(skipped, (1..=4_096).collect::<Vec<_>>());
        window.moved(Sequence(4_097));
        assert_eq!(taken(&mut window, &alarms, &mut skipped), [5_000]);
        assert_eq!(skipped.len(), 4_999);
    }

    #[test]
    fn what_is_not_wanted_any_more_is_handed_back() {
        let kind = |n| if n % 2 == 0 { "alarm" } else { "cdr" };
        let queue = MemoryQueue::with((1..=9).map(|n| queued(n, kind(n), "{}")).collect());
        let mut window = Window::new(Arc::new(queue), "a");
        let mut memory = Memory::new(Share::default());
        let first = window.next(&EventFilter::All, &mut memory, |_| {}).unwrap();
        memory.give_back(&first.unwrap().event);
        let calls = EventFilter::Kinds(vec!["cdr".into()]);
        let mut skipped = Vec::new();
        window.reconsider(&calls, &mut memory, |sequence| skipped.push(sequence.0));
        assert_eq!(skipped, [2, 4, 6, 8]);
        assert_eq!(taken(&mut window, &calls, &mut Vec::new()), [3, 5, 7, 9]);
    }

    #[test]
    fn what_is_passed_by_is_skipped_once_decoded_or_not() {
        let queue = MemoryQueue::with((1..=9_000).map(|n| queued(n, "cdr", "{}")).collect());
        queue.contents().beyond.insert(Sequence(300));
        let mut window = Window::new(Arc::new(queue.clone()), "a");
        let mut memory = Memory::new(Share::default());
        let first = window.next(&EventFilter::All, &mut memory, |_| {}).unwrap();
        memory.give_back(&first.unwrap().event);
        let mut skipped = Vec::new();
        let mut pass = |window: &mut Window, until| {
            window
                .pass_by(Sequence(until), &mut memory, |it| skipped.push(it.0))
                .unwrap();
        };
        pass(&mut window, 1_000);
        pass(&mut window, 1_000);
        pass(&mut window, u64::MAX);
        assert!(window.is_at_end());
        queue.contents().cursor = 4_097;
        pass(&mut window, 5_000);
        let expected: Vec<u64> = (2..5_000).filter(|n| *n != 300).collect();
        assert_eq!(skipped, expected);
        assert_eq!(
            taken(&mut window, &EventFilter::All, &mut Vec::new())[0],
            5_000
        );
        assert_eq!(window.cursor(), Sequence(4_097));
    }

    #[test]
    fn what_was_settled_beyond_the_cursor_before_a_restart_is_not_given_out() {
        let queue = MemoryQueue::with((1..=5).map(|n| queued(n, "cdr", "{}")).collect());
        queue.contents().beyond.extend([Sequence(2), Sequence(4)]);
        let mut window = Window::new(Arc::new(queue), "a");
        assert_eq!(
            taken(&mut window, &EventFilter::All, &mut Vec::new()),
            [1, 3, 5]
        );
    }
    #[test]
    fn no_more_is_held_than_there_is_memory_for_and_the_rest_comes_later() {
        let body = format!("\"{}\"", "x".repeat(100_000));
        let queue = MemoryQueue::with((1..=100).map(|n| queued(n, "cdr", &body)).collect());
        let mut window = Window::new(Arc::new(queue), "a");
        let mut memory = Memory::new(Share::smallest());
        let mut held = Vec::new();
        for expected in 1..=100 {
            while let Some(queued) = window.next(&EventFilter::All, &mut memory, |_| {}).unwrap() {
                held.push(queued);
            }
            assert!(memory.held() <= 256 << 10, "{}", memory.held());
            let first = held.remove(0);
            assert_eq!(first.sequence.0, expected);
            memory.give_back(&first.event);
        }
        assert_eq!((held.len(), memory.held()), (0, 0));
    }
}

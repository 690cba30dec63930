//! In turn: the few events of one commit, to a receiver that answers at once, are sent one after the
//! other by those who are sending already.
//!
//! While rows trickle in, each commit brings a handful of events. A worker called for each of them
//! costs more than sending it: a thread is woken, finds its connection cold, and sleeps again. So
//! nobody is called as long as those who are sending will have sent the rest within [`SOON`], as
//! answers have been lately. They are looked after: where no answer comes for [`PATIENCE`], the next
//! one who looks takes what is left.

use super::*;

/// Time in which the rest is expected to be sent, at most: what it adds to the latency of a row.
const SOON: Duration = Duration::from_millis(2);

/// How long what is left waits for an answer that takes longer than answers do. More than the time
/// between two commits of rows that trickle in: the second wakes the one who looks anyway.
const PATIENCE: Duration = Duration::from_millis(8);

/// Attempts over which a change of the receiver's pace is believed.
const REMEMBERED: u32 = 16;

/// How long answers take: a mean in which one that is slow counts for a while.
#[derive(Debug, Default)]
pub(super) struct Usual(Option<Duration>);

impl Usual {
    /// An event was delivered within `elapsed`.
    pub(super) fn taken(&mut self, elapsed: Duration) {
        let before = self.0.unwrap_or(elapsed);
        let mean = (before * (REMEMBERED - 1) + elapsed) / REMEMBERED;
        self.0 = Some(mean);
    }

    /// An attempt has not delivered: how long the next takes is not known.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

impl Lane {
    /// Until when what there is to send is left to those who are sending; none when there is
    /// nothing, or too much for them, or when it is not only events that were not tried yet.
    pub fn left_until(&self, now: Moment) -> Option<Moment> {
        let usual = self.usual.0?;
        let count = u32::try_from(self.window.fresh_count()).unwrap_or(u32::MAX);
        let is_all = self.first.is_empty()
            && self.suspects.is_empty()
            && self.ready.is_empty()
            && self.endpoint.batch.is_none()
            && self.next_due().is_none_or(|due| due > now);
        let senders = u32::try_from(self.out.len()).unwrap_or(1);
        if self.is_stopping || count == 0 || !is_all || usual.saturating_mul(count) > SOON * senders
        {
            return None;
        }
        let latest = self.out.values().map(|out| out.since).max()?;
        Some(latest + PATIENCE).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{busy, endpoint, events};
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::delivery::batch::Batch;
    use crate::delivery::event_queue::memory::MemoryQueue;
    use crate::delivery::profile::Profile;

    const QUICK: Duration = Duration::from_micros(100);

    struct Bench {
        lane: Lane,
        clock: ManualClock,
    }

    impl Bench {
        fn with(endpoint: Endpoint, count: u64) -> Bench {
            let queue = Arc::new(MemoryQueue::with(events(count)));
            let clock = ManualClock::at(UnixMs(1_775_745_045_000));
            let lane = Lane::new(Arc::new(endpoint), queue, Arc::default(), 1);
            Bench { lane, clock }
        }

        fn take(&mut self) -> Entry {
            match self.lane.take(self.clock.now(), self.clock.wall()) {
                Turn::Attempt(entry) => *entry,
                turn => panic!("{turn:?}"),
            }
        }

        fn finish(&mut self, entry: Entry, outcome: Outcome, elapsed: Duration) {
            let (now, wall) = (self.clock.now(), self.clock.wall());
            self.lane.finish(entry, outcome, elapsed, now, wall);
        }

        /// Whether what there is to send is left to the one who sends.
        fn is_left(&self) -> bool {
            let now = self.clock.now();
            let left = self.lane.left_until(now);
            if let Some(until) = left {
                assert_eq!(until, now + PATIENCE);
                assert!(!self.lane.has_more(now));
                assert!(self.lane.next_look(now).is_some_and(|look| look <= until));
            }
            left.is_some()
        }
    }

    /// Whether the events that are left of `count` are left to the one who sends the second, when the
    /// first has come to `outcome` within `elapsed`.
    #[track_caller]
    fn check(count: u64, outcome: Outcome, elapsed: Duration, expected: bool) {
        let mut bench = Bench::with(endpoint(Profile::Standard), count);
        let first = bench.take();
        assert!(!bench.is_left(), "how long it takes is not known yet");
        bench.finish(first, outcome, elapsed);
        let _second = bench.take();
        assert_eq!(bench.is_left(), expected, "{count} of {elapsed:?}");
        let (now, later) = (bench.clock.now(), bench.clock.now() + PATIENCE);
        assert_eq!(bench.lane.has_more(now), !expected && count > 2);
        assert!(bench.lane.left_until(later).is_none());
        assert_eq!(bench.lane.has_more(later), count > 2);
    }

    #[test]
    fn a_few_events_are_left_to_the_one_who_sends_while_answers_come_at_once() {
        let delivered = || Outcome::Delivered;
        check(6, delivered(), QUICK, true);
        check(2, delivered(), QUICK, false);
        check(100, delivered(), QUICK, false);
        check(6, delivered(), Duration::from_millis(50), false);
        check(6, busy(), QUICK, false);
    }

    #[test]
    fn no_more_are_called_than_have_to_be() {
        let mut bench = Bench::with(endpoint(Profile::Standard), 100);
        let first = bench.take();
        bench.finish(first, Outcome::Delivered, QUICK);
        let out: Vec<Entry> = (0..4).map(|_| bench.take()).collect();
        assert!(!bench.is_left(), "95 that take 9.5 ms, for four");
        let _fifth = bench.take();
        assert!(bench.is_left(), "for five");
        assert_eq!(out.len(), 4);
    }

    #[test]
    fn one_slow_answer_has_others_called_for_a_while() {
        let mut bench = Bench::with(endpoint(Profile::Standard), 200);
        for number in 0..195 {
            let entry = bench.take();
            let elapsed = match number {
                100 => Duration::from_millis(50),
                _ => QUICK,
            };
            bench.finish(entry, Outcome::Delivered, elapsed);
        }
        let _last = bench.take();
        assert!(bench.is_left(), "it is forgotten");
        let mut bench = Bench::with(endpoint(Profile::Standard), 6);
        for elapsed in [QUICK, Duration::from_millis(50)] {
            let entry = bench.take();
            bench.finish(entry, Outcome::Delivered, elapsed);
        }
        let _next = bench.take();
        assert!(!bench.is_left());
    }

    #[test]
    fn what_waits_for_company_or_failed_before_is_not_left() {
        let mut batched = endpoint(Profile::Standard);
        batched.batch = Some(Batch {
            max_events: 1,
            ..Batch::default()
        });
        let mut bench = Bench::with(batched, 6);
        let first = bench.take();
        bench.finish(first, Outcome::Delivered, QUICK);
        let _second = bench.take();
        assert!(!bench.is_left());

        let mut bench = Bench::with(endpoint(Profile::Standard), 6);
        let (first, suspect) = (bench.take(), bench.take());
        bench.finish(suspect, busy(), QUICK);
        bench.lane.usual.taken(QUICK);
        assert!(!bench.is_left(), "a suspect is another's");
        bench.finish(first, Outcome::Delivered, QUICK);
    }
}

//! What a lane does about routes, and differently for an endpoint that mirrors another one.
//!
//! A mirror is a guest: it must not cost the endpoint it looks at anything. Events it has not had
//! stay in the queue as any other's, so it may be behind the other endpoint by [`BEHIND_MAX`] and no
//! more; beyond that events pass it by. What it refuses is no dead letter, for that would push out
//! those of others. When its time is over it is done with everything that was still to come.

use super::{Entry, IDLE_WAIT, Lane, Settlement, Turn, UNREADABLE_WAIT};
use crate::clock::{Moment, UnixMs};
use crate::delivery::event_queue::QueueTrouble;
use crate::delivery::notice::Notice;
use crate::delivery::window::WINDOW_EVENTS;
use crate::event::Sequence;
use std::sync::Arc;
use std::time::Duration;

/// How many events a mirror may be behind the other endpoint: what a lane has in hand at most. More
/// would keep some megabytes of the queue's disk from being free again.
pub(super) const BEHIND_MAX: u64 = WINDOW_EVENTS;

/// Shortest time between two notices about events that passed it by.
const PASSED_NOTICE_EVERY: Duration = Duration::from_secs(60);

/// How things stand with a lane whose endpoint is a mirror.
#[derive(Debug, Default)]
pub(super) struct Mirroring {
    is_over: bool,
    passed_since_notice: u64,
    passed_noticed_at: Option<Moment>,
}

impl Lane {
    /// Takes over the table in force. What was decoded and not tried goes by the new one.
    pub(super) fn reroute(&mut self, wall: UnixMs) {
        if self.chooser.refresh(wall) {
            let mut skipped = Vec::new();
            self.window
                .reconsider(&self.chooser, &mut self.memory, |it| skipped.push(it));
            self.skip(skipped);
        }
    }

    /// Settles events that are not for the endpoint.
    pub(super) fn skip(&mut self, skipped: Vec<Sequence>) {
        self.counts.unrouted += self.chooser.take_unrouted();
        for sequence in skipped {
            self.counts.skipped += 1;
            self.settle(sequence, Settlement::Skipped);
        }
    }

    /// An event that was tried, or was to be, is not sent any more.
    pub(super) fn give_up(&mut self, entry: &Entry) {
        self.memory.give_back(&entry.queued.event);
        self.in_hand -= 1;
        self.skip(vec![entry.queued.sequence]);
    }

    /// What a mirror is to do because it is one; nothing for most lanes.
    pub(super) fn mirror_turn(&mut self, now: Moment, wall: UnixMs) -> Option<Turn> {
        let (of, ends_at) = self.chooser.mirror()?;
        if self.is_stopping || self.unsettled >= WINDOW_EVENTS {
            return None;
        }
        let of = Arc::clone(of);
        if ends_at <= wall && !std::mem::replace(&mut self.mirroring.is_over, true) {
            let of = of.to_string();
            self.notices.push(Notice::MirrorOver { of });
        }
        let done = if self.mirroring.is_over {
            self.finish_mirror(now, wall)
        } else {
            self.keep_up(&of, now)
        };
        match self.heard(done) {
            None => Some(Turn::Wait(UNREADABLE_WAIT)),
            Some(()) => self.mirroring.is_over.then_some(Turn::Wait(IDLE_WAIT)),
        }
    }

    /// A wait, but not beyond the end of the mirror's time.
    pub(super) fn until_mirror_ends(&self, turn: Turn, wall: UnixMs) -> Turn {
        match (turn, self.chooser.mirror()) {
            (Turn::Wait(span), Some((_, ends_at))) if ends_at > wall => {
                Turn::Wait(span.min(ends_at.since(wall)))
            }
            (turn, _) => turn,
        }
    }

    /// Lets pass by what the other endpoint has had long ago.
    fn keep_up(&mut self, of: &str, now: Moment) -> Result<(), QueueTrouble> {
        let other = self.queue.cursor(of);
        let before = self.counts.skipped;
        if self.window.cursor().plus(BEHIND_MAX) < other {
            // Half of it, so that this is not done for every single event.
            self.pass_by(Sequence(other.0.saturating_sub(BEHIND_MAX / 2)))?;
        }
        let mirroring = &mut self.mirroring;
        mirroring.passed_since_notice += self.counts.skipped - before;
        let is_quiet = mirroring
            .passed_noticed_at
            .is_some_and(|at| now.since(at) < PASSED_NOTICE_EVERY);
        if mirroring.passed_since_notice > 0 && !is_quiet {
            mirroring.passed_noticed_at = Some(now);
            let count = std::mem::take(&mut mirroring.passed_since_notice);
            self.notices.push(Notice::FellBehind { count });
        }
        Ok(())
    }

    /// Is done with everything there is, attempts under way excepted.
    fn finish_mirror(&mut self, now: Moment, wall: UnixMs) -> Result<(), QueueTrouble> {
        self.load_stored(now, wall)?;
        for entry in std::mem::take(&mut self.retries).into_values() {
            self.give_up(&entry);
        }
        let stored = std::mem::take(&mut self.stored);
        self.skip(stored.into_keys().map(|(_, sequence)| sequence).collect());
        self.counts.skipped += self.queue.skip_put_off(&self.endpoint.name)?;
        self.later.count = 0;
        self.pass_by(Sequence(u64::MAX))
    }

    /// Is done with what comes before `until`, as far as the window goes, and was not given to a
    /// worker; what waits for its own retry is not in the way.
    fn pass_by(&mut self, until: Sequence) -> Result<(), QueueTrouble> {
        let is_passed = |entry: &Entry| entry.queued.sequence < until;
        let (passed, first): (Vec<_>, Vec<_>) = self.first.drain(..).partition(is_passed);
        self.first = first.into();
        let (ready, kept): (Vec<_>, Vec<_>) = self.ready.drain(..).partition(is_passed);
        self.ready = kept.into();
        let suspects = std::mem::take(&mut self.suspects);
        let (suspects, kept): (Vec<_>, Vec<_>) = suspects
            .into_iter()
            .partition(|(_, entry)| is_passed(entry));
        self.suspects = kept;
        let suspects = suspects.into_iter().map(|(_, entry)| entry);
        for entry in passed.into_iter().chain(suspects).chain(ready) {
            self.give_up(&entry);
        }
        let mut skipped = Vec::new();
        let passed = self
            .window
            .pass_by(until, &mut self.memory, |it| skipped.push(it));
        self.skip(skipped);
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::endpoint::Endpoint;
    use crate::delivery::event_queue::memory::MemoryQueue;
    use crate::delivery::event_queue::{EventQueue, PutOff, Settled, Waiting};
    use crate::delivery::outcome::{Failure, Outcome};
    use crate::delivery::profile::Profile;
    use crate::delivery::profile::samples::queued;
    use crate::delivery::route::standing::Standing;
    use crate::delivery::route::{Competitor, Mirror, MirrorEnd, Mode, RouteTable, Routes};
    use crate::delivery::settler::Outbox;
    use crate::delivery::url::Url;
    use crate::queue::Queued;
    use crate::shutdown::Bell;
    use std::sync::atomic::{AtomicU64, Ordering};

    const WALL: UnixMs = UnixMs(1_775_745_045_000);

    /// The mirror's queue, and beside it how far the other endpoint is.
    #[derive(Debug, Clone)]
    struct Beside(MemoryQueue, Arc<AtomicU64>);

    impl EventQueue for Beside {
        fn read(
            &self,
            from: Sequence,
            most: usize,
            bytes: usize,
        ) -> Result<Vec<Queued>, QueueTrouble> {
            self.0.read(from, most, bytes)
        }
        fn cursor(&self, endpoint: &str) -> Sequence {
            match endpoint {
                "billing" => Sequence(self.1.load(Ordering::SeqCst)),
                own => self.0.cursor(own),
            }
        }
        fn settled_beyond(&self, endpoint: &str) -> Vec<Sequence> {
            self.0.settled_beyond(endpoint)
        }
        fn settle(&self, settled: Vec<Settled>) -> Result<(), QueueTrouble> {
            self.0.settle(settled)
        }
        fn waiting_places(&self, endpoint: &str) -> Result<Vec<(UnixMs, Sequence)>, QueueTrouble> {
            self.0.waiting_places(endpoint)
        }
        fn waiting_event(
            &self,
            endpoint: &str,
            due: UnixMs,
            sequence: Sequence,
        ) -> Result<Option<Waiting>, QueueTrouble> {
            self.0.waiting_event(endpoint, due, sequence)
        }
        fn put_off(
            &self,
            endpoint: &str,
            places: &[(UnixMs, Sequence)],
        ) -> Result<Vec<Sequence>, QueueTrouble> {
            self.0.put_off(endpoint, places)
        }
        fn bring_back(
            &self,
            endpoint: &str,
            due: (UnixMs, UnixMs),
            count_max: usize,
        ) -> Result<Vec<(UnixMs, Sequence)>, QueueTrouble> {
            self.0.bring_back(endpoint, due, count_max)
        }
        fn put_off_now(&self, endpoint: &str) -> Result<PutOff, QueueTrouble> {
            self.0.put_off_now(endpoint)
        }
        fn visit_put_off(
            &self,
            endpoint: &str,
            visit: &mut dyn FnMut(Waiting),
        ) -> Result<(), QueueTrouble> {
            self.0.visit_put_off(endpoint, visit)
        }
        fn skip_put_off(&self, endpoint: &str) -> Result<u64, QueueTrouble> {
            self.0.skip_put_off(endpoint)
        }
        fn subscribe(&self, bell: &Bell) {
            self.0.subscribe(bell);
        }
        fn mark_urgent(&self, kinds: &[Box<str>]) {
            self.0.mark_urgent(kinds);
        }
        fn urgent(&self, from: Sequence, kinds: &[Box<str>]) -> Option<Sequence> {
            self.0.urgent(from, kinds)
        }
    }

    struct Scene {
        lane: Lane,
        queue: Beside,
        outbox: Arc<Outbox>,
        now: Moment,
    }

    /// A mirror of `billing` for 10 s, and `count` events.
    fn scene(count: u64) -> Scene {
        scene_with(count, 10)
    }

    /// The same with so many attempts for an event.
    fn scene_with(count: u64, attempts: u32) -> Scene {
        let url = Url::parse("https://a.example/").unwrap();
        let billing = Endpoint::new("billing", url.clone(), Profile::Standard);
        let mut mirror = Endpoint::new("mirror", url, Profile::Standard);
        mirror.retries.attempts = attempts;
        mirror.route.mirror = Some(Mirror {
            of: "billing".into(),
            end: MirrorEnd::After(Duration::from_secs(10)),
        });
        let standing = Standing {
            since: Sequence(0),
            begun: WALL,
        };
        let seats = [&billing, &mirror].map(|endpoint| Competitor {
            endpoint,
            is_enabled: true,
            standing,
        });
        let routes = Routes::new(RouteTable::new(Mode::Override, seats));
        let events = (1..=count).map(|n| queued(n, "cdr", "{}")).collect();
        let queue = Beside(MemoryQueue::with(events), Arc::new(AtomicU64::new(1)));
        let outbox = Arc::new(Outbox::default());
        let beside = Arc::new(queue.clone());
        let lane = Lane::new(Arc::new(mirror), beside, Arc::clone(&outbox), 1).routed(&routes);
        let now = Moment::default();
        Scene {
            lane,
            queue,
            outbox,
            now,
        }
    }

    impl Scene {
        /// Commits what was decided.
        fn commit(&mut self) {
            let settled = self.outbox.drain();
            let count = settled.len() as u64;
            self.queue.settle(settled).unwrap();
            let cursor = self.queue.cursor("mirror");
            self.lane.committed(count, cursor);
        }

        fn take(&mut self) -> Turn {
            self.lane.take(
                self.now,
                UnixMs(WALL.0 + i64::try_from(self.now.0.as_millis()).unwrap()),
            )
        }

        /// Sends what there is, answered with `outcome`, until nothing is left to do at once.
        fn send(&mut self, outcome: &Outcome) -> Vec<u64> {
            let mut sent = Vec::new();
            while let Turn::Attempt(entry) = self.take() {
                sent.push(entry.queued.sequence.0);
                self.lane
                    .finish(*entry, outcome.clone(), Duration::ZERO, self.now, WALL);
                self.commit();
            }
            self.commit();
            sent
        }
    }

    fn busy() -> Outcome {
        Outcome::Unavailable {
            failure: Failure::default(),
            after: None,
        }
    }

    #[test]
    fn a_mirror_ends_by_itself_and_is_done_with_what_was_still_to_come() {
        let mut scene = scene(10_000);
        let refused = Outcome::Refused(Failure::default());
        let Turn::Attempt(first) = scene.take() else {
            panic!("nothing to send");
        };
        scene
            .lane
            .finish(*first, refused, Duration::ZERO, scene.now, WALL);
        scene.commit();
        assert_eq!(scene.queue.0.contents().waiting.len(), 1);
        let Turn::Attempt(_) = scene.take() else {
            panic!("nothing to send");
        };
        scene.now = Moment(Duration::from_secs(10));
        for _ in 0..4 {
            assert!(matches!(scene.take(), Turn::Wait(_)));
            scene.commit();
        }
        let contents = scene.queue.0.contents();
        // The one under way holds the cursor until its attempt is over.
        assert_eq!(contents.cursor, 2);
        assert_eq!(contents.waiting.len() + contents.dead.len(), 0);
        drop(contents);
        assert_eq!(scene.lane.notices().len(), 1);
        assert!(matches!(scene.take(), Turn::Wait(_)));
        assert!(scene.lane.notices().is_empty());
    }

    #[test]
    fn a_mirror_ends_at_once_however_much_of_it_is_put_off() {
        let mut scene = scene(5_000);
        let refused = Outcome::Refused(Failure::default());
        for _ in 0..40 {
            scene.send(&refused);
            let places = scene.queue.waiting_places("mirror").unwrap();
            scene.queue.put_off("mirror", &places).unwrap();
            scene.lane.stored.clear();
            scene.lane.retries.clear();
        }
        assert!(scene.queue.0.contents().put_off.len() > 2_000);
        scene.now = Moment(Duration::from_secs(10));
        for _ in 0..4 {
            assert!(matches!(scene.take(), Turn::Wait(_)));
            scene.commit();
        }
        let contents = scene.queue.0.contents();
        assert_eq!(contents.put_off.len() + contents.dead.len(), 0);
        assert_eq!(contents.skipped.len(), 5_000);
    }

    #[test]
    fn a_mirror_wakes_at_its_end() {
        let mut scene = scene(0);
        scene.now = Moment(Duration::from_secs(7));
        assert_eq!(scene.take(), Turn::Wait(Duration::from_secs(3)));
    }

    #[test]
    fn a_mirror_that_fails_is_never_far_behind_the_other() {
        let mut scene = scene(30_000);
        assert!(!scene.send(&busy()).is_empty());
        for other in (1..=30_000).step_by(1_000) {
            scene.queue.1.store(other, Ordering::SeqCst);
            scene.now = scene.now + Duration::from_millis(1);
            for _ in 0..4 {
                scene.send(&busy());
            }
            let behind = other.saturating_sub(scene.queue.cursor("mirror").0);
            assert!(behind <= BEHIND_MAX + 1_000, "{behind} behind at {other}");
        }
        let notices = scene.lane.notices();
        let passed = notices
            .iter()
            .filter(|it| matches!(it, Notice::FellBehind { .. }));
        assert_eq!(passed.count(), 1);
        assert!(scene.queue.0.contents().dead.is_empty());
    }

    #[test]
    fn what_a_mirror_refuses_is_no_dead_letter() {
        let mut scene = scene_with(3, 1);
        assert_eq!(scene.send(&Outcome::Refused(Failure::default())), [1, 2, 3]);
        let contents = scene.queue.0.contents();
        assert_eq!((contents.dead.len(), contents.skipped.len()), (0, 3));
    }
}

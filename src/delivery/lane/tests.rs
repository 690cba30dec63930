//! Lanes against a queue in memory, a scripted endpoint and a clock of their own: days run in
//! milliseconds, and a seed repeats a run exactly.

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::delivery::concurrency::Concurrency;
use crate::delivery::event_queue::memory::MemoryQueue;
use crate::delivery::profile::Profile;
use crate::delivery::profile::samples::queued;
use crate::delivery::url::Url;
use crate::queue::Queued;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::num::NonZeroUsize;

mod days;
mod ordering;

const START: UnixMs = UnixMs(1_775_745_045_000);
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// An endpoint that answers each sequence, at each moment, as the script says.
type Script<'s> = Box<dyn FnMut(u64, Moment) -> Outcome + 's>;

/// What an address answers.
type ByAddress<'s> = Box<dyn FnMut(usize, Moment) -> Outcome + 's>;

/// A lane with `concurrency` attempts under way, and the time they take.
pub(super) struct Scene<'s> {
    lane: Lane,
    queue: MemoryQueue,
    outbox: Arc<Outbox>,
    pub(super) clock: Arc<ManualClock>,
    script: Script<'s>,
    /// What each address answers, where there is more than one.
    pub(super) by_address: Option<ByAddress<'s>>,
    pub(super) concurrency: usize,
    under_way: BinaryHeap<Reverse<(Moment, u64)>>,
    entries: BTreeMap<u64, Entry>,
    /// Sequences in the order they were sent.
    pub(super) sent: Vec<u64>,
    pub(super) notices: Vec<Notice>,
}

pub(super) fn endpoint(profile: Profile) -> Endpoint {
    let url = Url::parse("https://api.example.com/").unwrap();
    let mut endpoint = Endpoint::new("billing", url, profile);
    // The scene says how many are under way.
    endpoint.concurrency = Concurrency::Fixed(NonZeroUsize::new(64).unwrap());
    endpoint
}

pub(super) fn events(count: u64) -> Vec<Queued> {
    (1..=count).map(|n| queued(n, "cdr", "{}")).collect()
}

pub(super) fn busy() -> Outcome {
    let failure = Failure {
        reason: "status 503".into(),
        class: "http",
        status: Some(503),
        answer_start: b"busy".to_vec(),
    };
    Outcome::Unavailable {
        failure,
        after: None,
    }
}

pub(super) fn refused() -> Outcome {
    Outcome::Refused(Failure {
        reason: "status 422".into(),
        class: "http",
        status: Some(422),
        answer_start: b"no".to_vec(),
    })
}

impl<'s> Scene<'s> {
    pub(super) fn new(
        endpoint: Endpoint,
        queue: &MemoryQueue,
        seed: u64,
        script: impl FnMut(u64, Moment) -> Outcome + 's,
    ) -> Self {
        let outbox = Arc::new(Outbox::default());
        let lane = Lane::new(
            Arc::new(endpoint),
            Arc::new(queue.clone()),
            Arc::clone(&outbox),
            seed,
        );
        Scene {
            lane,
            queue: queue.clone(),
            outbox,
            clock: Arc::new(ManualClock::at(START)),
            script: Box::new(script),
            by_address: None,
            concurrency: 16,
            under_way: BinaryHeap::new(),
            entries: BTreeMap::new(),
            sent: Vec::new(),
            notices: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(super) fn counts(&self) -> Counts {
        self.lane.counts(self.now())
    }

    /// Sends until `span` has passed.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end {
            self.step(end);
        }
    }

    /// Sends until every event is settled and none waits; panics after `at_most`.
    pub(super) fn drain(&mut self, at_most: Duration) {
        let end = self.now() + at_most;
        while !self.is_drained() {
            assert!(self.now() < end, "not drained: {:?}", self.counts());
            self.step(end);
        }
    }

    fn is_drained(&self) -> bool {
        let contents = self.queue.contents();
        contents.cursor > contents.events.len() as u64
            && contents.waiting.is_empty()
            && contents.put_off.is_empty()
    }

    /// Fills the free places, then moves the clock to whatever comes first.
    fn step(&mut self, end: Moment) {
        let mut wait = end.since(self.now());
        while self.entries.len() < self.concurrency {
            match self.lane.take(self.now(), self.clock.wall()) {
                Turn::Attempt(entry) => {
                    let sequence = entry.queued.sequence.0;
                    self.sent.push(sequence);
                    self.under_way
                        .push(Reverse((self.now() + ROUND_TRIP, sequence)));
                    assert!(
                        self.entries.insert(sequence, *entry).is_none(),
                        "{sequence} is sent twice at once"
                    );
                }
                Turn::Wait(span) => {
                    wait = wait.min(span.max(Duration::from_micros(1)));
                    break;
                }
                Turn::Stopped => panic!("nobody stopped the lane"),
            }
        }
        if let Some(Reverse((at, _))) = self.under_way.peek() {
            wait = wait.min(at.since(self.now()));
        }
        self.clock.advance(wait);
        while let Some(&Reverse((at, sequence))) = self.under_way.peek() {
            if at > self.now() {
                break;
            }
            self.under_way.pop();
            let entry = self.entries.remove(&sequence).unwrap();
            let now = self.now();
            let outcome = match &mut self.by_address {
                Some(answer) => answer(entry.address, now),
                None => (self.script)(sequence, now),
            };
            self.lane
                .finish(entry, outcome, ROUND_TRIP, self.now(), self.clock.wall());
        }
        self.commit();
        self.notices.extend(self.lane.notices());
    }

    fn commit(&mut self) {
        let settled = self.outbox.drain();
        let count = settled.len() as u64;
        if count > 0 {
            self.queue.settle(settled).unwrap();
            self.lane.committed(count, self.queue.cursor("billing"));
        }
    }

    /// The agent stops here and starts again: what was not durable is forgotten.
    fn restart(&mut self, profile: Profile, seed: u64) {
        self.outbox = Arc::new(Outbox::default());
        let (queue, outbox) = (Arc::new(self.queue.clone()), Arc::clone(&self.outbox));
        self.lane = Lane::new(Arc::new(endpoint(profile)), queue, outbox, seed);
        self.under_way.clear();
        self.entries.clear();
    }
}

pub(super) fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3_600)
}

pub(super) fn at_secs(secs: u64) -> Moment {
    Moment(Duration::from_secs(secs))
}

#[test]
fn an_outage_of_hours_spends_no_attempts_and_leaves_no_dead_letters() {
    let queue = MemoryQueue::with(events(10_000));
    let outage = at_secs(1)..at_secs(1 + 6 * 3_600);
    let script = |_, now| {
        if outage.contains(&now) {
            busy()
        } else {
            Outcome::Delivered
        }
    };
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, script);
    scene.concurrency = 4;
    scene.run(outage.end.0);
    let probes = scene.counts().unavailable;
    assert!(
        (4_000..20_000).contains(&probes),
        "one probe each 2.5 s on average, not {probes}"
    );
    scene.drain(Duration::from_secs(20));
    let contents = queue.contents();
    assert_eq!((contents.dead.len(), contents.delivered.len()), (0, 10_000));
    assert_eq!(scene.counts().buried, 0);
    let failing = scene
        .notices
        .iter()
        .filter(|notice| matches!(notice, Notice::Failing { .. }))
        .count();
    let recovered = scene
        .notices
        .iter()
        .filter(|notice| matches!(notice, Notice::Recovered { .. }))
        .count();
    assert_eq!(
        (failing, recovered, scene.notices.len()),
        (1, 1, 3),
        "{:?}",
        scene.notices
    );
}

#[test]
fn a_fresh_event_arrives_within_ten_seconds_of_the_fault_s_end() {
    for seed in 0..50 {
        let queue = MemoryQueue::with(events(1));
        let end = at_secs(600);
        let script = move |_, now| {
            if now < end {
                busy()
            } else {
                Outcome::Delivered
            }
        };
        let mut scene = Scene::new(endpoint(Profile::Standard), &queue, seed, script);
        scene.run(end.0);
        queue.add(queued(2, "cdr", "{}"));
        scene.drain(Duration::from_secs(10));
    }
}

#[test]
fn one_poison_event_is_buried_after_its_attempts_while_its_neighbours_pass() {
    let queue = MemoryQueue::with(events(1_000));
    let script = |sequence, _| {
        if sequence == 500 {
            busy()
        } else {
            Outcome::Delivered
        }
    };
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, script);
    scene.run(Duration::from_millis(300));
    assert_eq!(
        queue.contents().delivered.len(),
        999,
        "the neighbours do not wait"
    );
    // An answer about another event is what tells that the endpoint works.
    for sequence in 1_001..=3_000 {
        queue.add(queued(sequence, "cdr", "{}"));
        scene.run(Duration::from_secs(1));
    }
    let contents = queue.contents();
    assert_eq!(contents.delivered.len(), 2_999);
    let [letter] = contents.dead.as_slice() else {
        panic!("{:?}", contents.dead)
    };
    assert_eq!(
        (letter.queued.sequence.0, letter.attempts, letter.status),
        (500, 5, Some(503))
    );
    assert_eq!(
        (letter.reason.as_str(), letter.answer_start.as_slice()),
        ("status 503", &b"busy"[..])
    );
}

#[test]
fn a_refused_event_is_buried_after_exactly_its_attempts_within_its_days() {
    let queue = MemoryQueue::with(events(3));
    let script = |sequence, _| {
        if sequence == 2 {
            refused()
        } else {
            Outcome::Delivered
        }
    };
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 5, script);
    scene.drain(hours(24 * 7));
    assert_eq!(
        scene.sent.iter().filter(|sequence| **sequence == 2).count(),
        10
    );
    assert_eq!(queue.contents().dead[0].attempts, 10);
    assert!(scene.now() > Moment(hours(24)), "{:?}", scene.now());
    assert!(matches!(
        scene.notices.as_slice(),
        [Notice::Buried {
            count: 1,
            attempts: 10,
            ..
        }]
    ));
}

#[test]
fn two_failures_in_a_hundred_lose_nothing_repeat_nothing_and_cost_little_time() {
    let undisturbed = Duration::from_micros(100_000 / 16 * 1_000);
    for seed in 0..5 {
        let queue = MemoryQueue::with(events(100_000));
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut passed = BTreeSet::new();
        let script = |sequence, _| {
            if rng.u8(0..50) == 0 {
                return busy();
            }
            assert!(passed.insert(sequence), "{sequence} is delivered twice");
            Outcome::Delivered
        };
        let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, seed, script);
        scene.drain(undisturbed.mul_f64(1.25));
        let counts = scene.counts();
        assert_eq!((counts.delivered, counts.buried), (100_000, 0));
        assert_eq!(counts.attempts, counts.delivered + counts.unavailable);
        drop(scene);
        assert_eq!(passed.len(), 100_000);
    }
}

#[test]
fn a_failing_seed_repeats_exactly() {
    let run = |seed| {
        let queue = MemoryQueue::with(events(2_000));
        let mut rng = fastrand::Rng::with_seed(9);
        let script = move |_, _| {
            if rng.u8(0..4) == 0 {
                busy()
            } else {
                Outcome::Delivered
            }
        };
        let mut scene = Scene::new(endpoint(Profile::Standard), &queue, seed, script);
        scene.run(Duration::from_secs(60));
        (scene.sent, scene.notices)
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}

#[test]
fn an_endpoint_that_refuses_everything_does_not_turn_the_backlog_into_copies() {
    let queue = MemoryQueue::with(events(10_000));
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, |_, _| refused());
    scene.run(Duration::from_secs(600));
    let waiting = queue.contents().waiting.len();
    assert!(
        (KEPT_MAX..=KEPT_MAX + scene.concurrency).contains(&waiting),
        "{waiting}"
    );
    assert!(queue.contents().dead.is_empty());
}

#[test]
fn a_restart_keeps_the_attempts_and_the_times_of_retries() {
    let queue = MemoryQueue::with(events(2));
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, |_, _| refused());
    scene.run(Duration::from_secs(30));
    let before: BTreeMap<_, _> = queue.contents().waiting.clone();
    assert!(
        before.values().all(|waiting| waiting.attempts >= 2),
        "{before:?}"
    );
    scene.restart(Profile::Vos3000, 2);
    scene.sent.clear();
    scene.drain(hours(1));
    let left: u32 = before.values().map(|waiting| 5 - waiting.attempts).sum();
    assert_eq!(scene.sent.len(), left as usize);
    assert!(
        queue
            .contents()
            .dead
            .iter()
            .all(|letter| letter.attempts == 5)
    );
}

#[test]
fn a_wall_clock_that_was_set_delays_a_retry_by_its_longest_backoff_at_most() {
    let queue = MemoryQueue::with(events(1));
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, |_, _| refused());
    scene.run(Duration::from_millis(100));
    assert_eq!(queue.contents().waiting.len(), 1);
    scene.clock.set_wall(UnixMs(0));
    scene.restart(Profile::Vos3000, 2);
    let sent = scene.sent.len();
    scene.run(hours(1) + Duration::from_secs(1));
    assert!(scene.sent.len() > sent);
}

#[test]
fn a_crash_repeats_only_what_was_under_way_or_not_committed() {
    let queue = MemoryQueue::with(events(1_000));
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, |_, _| {
        Outcome::Delivered
    });
    for round in 0..20 {
        scene.run(Duration::from_millis(3));
        scene.restart(Profile::Standard, round);
    }
    scene.drain(Duration::from_secs(10));
    let repeats = scene.sent.len() - 1_000;
    assert!(repeats <= 20 * scene.concurrency, "{repeats}");
    assert_eq!(queue.contents().delivered.len(), 1_000);
}

#[test]
fn a_wish_for_a_pause_is_the_whole_endpoint_s() {
    let queue = MemoryQueue::with(events(100));
    let mut is_first = true;
    let script = |_, _| match std::mem::take(&mut is_first) {
        true => Outcome::Unavailable {
            failure: Failure::default(),
            after: Some(Duration::from_secs(120)),
        },
        false => Outcome::Delivered,
    };
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, script);
    scene.run(Duration::from_secs(119));
    assert_eq!(
        scene.sent.len(),
        16,
        "those under way when it was asked for"
    );
    scene.drain(Duration::from_secs(2));
}

#[test]
fn an_endpoint_that_says_gone_twice_is_left_alone_until_it_is_resumed() {
    let queue = MemoryQueue::with(events(100));
    let is_gone = std::cell::Cell::new(true);
    let gone = || {
        Outcome::Gone(Failure {
            reason: "status 410".into(),
            status: Some(410),
            ..Failure::default()
        })
    };
    let script = |_, _| {
        if is_gone.get() {
            gone()
        } else {
            Outcome::Delivered
        }
    };
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, script);
    scene.run(hours(5));
    assert_eq!(scene.sent.len(), 17, "sixteen at first and one to be sure");
    assert!(scene.notices.contains(&Notice::Stopped));
    is_gone.set(false);
    let now = scene.now();
    scene.lane.resume(now);
    scene.drain(Duration::from_secs(120));
    assert!(queue.contents().dead.is_empty());
}

#[test]
fn that_an_endpoint_is_gone_is_told_as_a_failure_and_so_is_its_end() {
    let queue = MemoryQueue::with(events(3));
    let is_gone = std::cell::Cell::new(true);
    let script = |_, _| match is_gone.get() {
        true => Outcome::Gone(Failure {
            reason: "status 410".into(),
            ..Failure::default()
        }),
        false => Outcome::Delivered,
    };
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, script);
    scene.concurrency = 1;
    scene.run(hours(1));
    assert_eq!(scene.sent.len(), 2, "three in a row there were not");
    let told = |scene: &Scene<'_>, of: fn(&Notice) -> bool| {
        scene.notices.iter().filter(|it| of(it)).count()
    };
    assert_eq!(told(&scene, |it| matches!(it, Notice::Failing { .. })), 1);
    is_gone.set(false);
    let now = scene.now();
    scene.lane.resume(now);
    scene.drain(Duration::from_secs(120));
    assert_eq!(told(&scene, |it| matches!(it, Notice::Recovered { .. })), 1);
}

#[test]
fn what_cannot_be_sent_is_given_up_at_once_and_says_nothing_about_the_endpoint() {
    let queue = MemoryQueue::with(events(20));
    let works_at = at_secs(30);
    let script = |sequence, now| match sequence {
        1 | 7 => Outcome::Refused(Failure {
            class: "request",
            ..Failure::default()
        }),
        _ if now < works_at => busy(),
        _ => Outcome::Delivered,
    };
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, script);
    scene.concurrency = 1;
    scene.run(Duration::from_secs(29));
    assert!(scene.counts().failing_for > Some(Duration::from_secs(20)));
    scene.drain(Duration::from_secs(20));
    let contents = queue.contents();
    assert_eq!((contents.dead.len(), contents.delivered.len()), (2, 18));
    let tries = |sequence| scene.sent.iter().filter(|it| **it == sequence).count();
    assert_eq!((tries(1), tries(7)), (1, 1));
}

#[test]
fn a_failure_that_lasts_is_told_twice_and_no_more() {
    let queue = MemoryQueue::with(events(3));
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, |_, _| busy());
    scene.run(ALERT_EVERY);
    let again = |scene: &Scene<'_>| {
        let notices = scene.notices.iter();
        notices
            .filter(|it| matches!(it, Notice::StillSo(_)))
            .count()
    };
    assert_eq!(again(&scene), 0);
    scene.run(hours(3));
    assert_eq!(again(&scene), 1);
}

#[test]
fn an_endpoint_that_flaps_delivers_everything_without_dead_letters() {
    let queue = MemoryQueue::with(events(5_000));
    let script = |_, now: Moment| {
        if (now.0.as_secs() / 7).is_multiple_of(2) {
            busy()
        } else {
            Outcome::Delivered
        }
    };
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, script);
    scene.concurrency = 1;
    scene.drain(Duration::from_secs(60));
    assert!(queue.contents().dead.is_empty());
}

#[test]
fn several_events_the_endpoint_cannot_digest_do_not_keep_it_failing() {
    let queue = MemoryQueue::with(events(1_000));
    let script = |sequence, _| {
        if sequence <= 8 {
            busy()
        } else {
            Outcome::Delivered
        }
    };
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, script);
    scene.concurrency = 1;
    scene.run(Duration::from_secs(60));
    assert_eq!(queue.contents().delivered.len(), 992);
}

#[test]
fn nothing_is_sent_while_a_window_of_settlements_waits_for_the_disk() {
    let queue = MemoryQueue::with(events(10_000));
    let mut lane = Lane::new(
        Arc::new(endpoint(Profile::Standard)),
        Arc::new(queue.clone()),
        Arc::new(Outbox::default()),
        1,
    );
    let mut sent = 0;
    while let Turn::Attempt(entry) = lane.take(Moment::default(), START) {
        lane.finish(
            *entry,
            Outcome::Delivered,
            ROUND_TRIP,
            Moment::default(),
            START,
        );
        sent += 1;
    }
    assert_eq!(sent, WINDOW_EVENTS);
    assert!(lane.committed(WINDOW_EVENTS, Sequence(WINDOW_EVENTS + 1)));
    assert!(matches!(
        lane.take(Moment::default(), START),
        Turn::Attempt(_)
    ));
}

#[test]
fn a_stopped_lane_gives_out_nothing() {
    let queue = MemoryQueue::with(events(10));
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, |_, _| {
        Outcome::Delivered
    });
    scene.lane.stop();
    assert_eq!(scene.lane.take(scene.now(), START), Turn::Stopped);
}

#[test]
fn one_failure_in_five_at_random_leaves_no_dead_letter_and_little_that_waits() {
    let queue = MemoryQueue::with(events(20_000));
    let mut rng = fastrand::Rng::with_seed(4);
    let script = move |_, _| {
        if rng.u8(0..5) == 0 {
            busy()
        } else {
            Outcome::Delivered
        }
    };
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 4, script);
    let mut most = 0;
    while !scene.is_drained() {
        scene.run(Duration::from_millis(20));
        most = most.max(scene.counts().retrying);
        assert!(scene.now() < at_secs(600), "{:?}", scene.counts());
    }
    assert!(most < KEPT_MAX as u64 / 2, "{most}");
    assert_eq!(
        (scene.counts().delivered, scene.counts().buried),
        (20_000, 0)
    );
    assert!(
        scene.notices.len() <= 2,
        "the breaker opens many times a second: {:?}",
        scene.notices
    );
}

#[test]
fn a_failure_is_said_after_a_second_and_with_its_recovery() {
    let queue = MemoryQueue::with(events(1_000));
    let script = |_, now: Moment| {
        if (at_secs(1)..at_secs(3)).contains(&now) || now < Moment(Duration::from_millis(20)) {
            busy()
        } else {
            Outcome::Delivered
        }
    };
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, script);
    scene.run(Duration::from_millis(1_000));
    assert_eq!(scene.notices, []);
    let mut more = 1_001..;
    let end = at_secs(6);
    while scene.now() < end {
        queue.add(queued(more.next().unwrap(), "cdr", "{}"));
        scene.run(Duration::from_millis(50));
        let is_said = !scene.notices.is_empty();
        assert!(is_said || scene.now() < Moment(Duration::from_millis(2_500)));
    }
    assert!(
        matches!(
            scene.notices.as_slice(),
            [
                Notice::Failing { error, .. },
                Notice::Recovered { failing_for, .. }
            ] if error == "status 503" && *failing_for >= Duration::from_millis(1_500)
        ),
        "{:?}",
        scene.notices
    );
}

#[test]
fn a_long_pause_and_a_stop_are_seen_and_said_once() {
    let queue = MemoryQueue::with(events(100));
    let pause = Duration::from_secs(120);
    let script = |_, now| {
        let failure = Failure {
            reason: "status 503".into(),
            ..Failure::default()
        };
        if now < at_secs(60) {
            let after = Some(pause);
            Outcome::Unavailable { failure, after }
        } else {
            Outcome::Gone(failure)
        }
    };
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, script);
    assert_eq!(scene.counts().state, EndpointState::Working);
    scene.run(Duration::from_secs(100));
    assert_eq!(scene.counts().state, EndpointState::Paused);
    let paused = |notice: &&Notice| matches!(notice, Notice::Paused { .. });
    assert_eq!(scene.notices.iter().filter(paused).count(), 1);
    scene.run(hours(1));
    assert_eq!(scene.counts().state, EndpointState::Stopped);
    let stopped = |notice: &&Notice| **notice == Notice::Stopped;
    assert_eq!(scene.notices.iter().filter(stopped).count(), 1);
    assert_eq!(scene.notices.iter().filter(paused).count(), 2);
    assert_eq!(EndpointState::Paused.to_string(), "paused");
}

#[test]
fn an_endpoint_that_holds_back_says_so_and_every_burial_is_told() {
    let queue = MemoryQueue::with(events(2_000));
    let script = |sequence, _| {
        if sequence <= 1_500 {
            refused()
        } else {
            Outcome::Delivered
        }
    };
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, script);
    scene.drain(hours(4));
    scene.run(Duration::from_secs(150));
    let holding: Vec<&Notice> = scene
        .notices
        .iter()
        .filter(|notice| matches!(notice, Notice::HoldsBack | Notice::TakesOn))
        .collect();
    assert_eq!(holding.first(), Some(&&Notice::HoldsBack));
    assert_eq!(holding.last(), Some(&&Notice::TakesOn));
    assert!(holding.len() <= 6, "{holding:?}");
    let told: u64 = scene
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Buried { count, .. } => Some(*count),
            _ => None,
        })
        .sum();
    assert_eq!((told, scene.counts().buried), (1_500, 1_500));
}

#[test]
fn an_attempt_that_hangs_holds_back_no_more_than_itself() {
    let queue = MemoryQueue::with(events(20_000));
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, |_, _| {
        Outcome::Delivered
    });
    let Turn::Attempt(hanging) = scene.lane.take(scene.now(), scene.clock.wall()) else {
        panic!("there are events to send");
    };
    assert_eq!(hanging.queued.sequence, Sequence(1));
    for _ in 0..8 {
        scene.run(Duration::from_secs(1));
    }
    assert_eq!(scene.queue.contents().delivered.len(), 19_999);
    assert_eq!(
        scene.queue.contents().cursor,
        20_001,
        "the cursor has gone on"
    );
    let parked = scene.queue.contents().waiting.contains_key(&Sequence(1));
    assert!(parked, "a restart would find it");
    let (now, wall) = (scene.now(), scene.clock.wall());
    let elapsed = Duration::from_secs(8);
    scene
        .lane
        .finish(*hanging, Outcome::Delivered, elapsed, now, wall);
    scene.drain(Duration::from_secs(1));
    assert_eq!(scene.queue.contents().delivered.len(), 20_000);
    assert!(scene.queue.contents().dead.is_empty());
    assert_eq!(scene.sent.len(), 19_999, "nothing was sent twice");
}

#[test]
fn big_events_that_wait_for_long_do_not_keep_others_out_of_memory() {
    let body = format!("\"{}\"", "x".repeat(60_000));
    let events = (1..=60).map(|n| queued(n, "cdr", &body)).collect();
    let queue = MemoryQueue::with(events);
    let mut endpoint = endpoint(Profile::Standard);
    endpoint.memory = crate::delivery::memory::Share::smallest();
    endpoint.retries = crate::delivery::retry::RetrySchedule::new(
        9,
        Duration::from_secs(10),
        Duration::from_secs(600),
    );
    // Every third is refused, and waits for its retry while the others are to pass.
    let mut scene = Scene::new(endpoint, &queue, 5, |sequence, at| {
        let long_after = at.since(Moment::default()) > Duration::from_secs(900);
        if sequence % 3 == 0 && !long_after {
            refused()
        } else {
            Outcome::Delivered
        }
    });
    scene.run(Duration::from_secs(60));
    assert_eq!(queue.contents().delivered.len(), 40);
    scene.drain(Duration::from_secs(3_600));
    let contents = queue.contents();
    assert_eq!(contents.delivered.len() + contents.dead.len(), 60);
    assert_eq!(scene.lane.memory.held(), 0);
}

/// Events left to the queue, which has no room for them, or does not say what became of them.
mod leaving {
    use super::*;
    use crate::delivery::order::{Order, OrderKey};

    /// A scene in which one event in `one_in` is refused for good, with so many of them that some are
    /// put off, and `order`.
    fn scene<'s>(queue: &MemoryQueue, one_in: u64, order: Order) -> Scene<'s> {
        let script = move |sequence: u64, _| match sequence.is_multiple_of(one_in) {
            true => refused(),
            false => Outcome::Delivered,
        };
        let mut endpoint = endpoint(Profile::Standard);
        endpoint.order = order;
        Scene::new(endpoint, queue, 1, script)
    }

    fn by_call() -> Order {
        Order::Key(OrderKey::named("call_id"))
    }

    /// An event; where the one before it is the fortieth, it is of the same call.
    fn call(n: u64) -> Queued {
        let call = n - u64::from(n % 40 == 1 && n > 1);
        queued(n, "cdr", &format!("{{\"call_id\":\"{call}\"}}"))
    }

    fn calls(count: u64) -> Vec<Queued> {
        (1..=count).map(call).collect()
    }

    /// Every event was delivered once or is a dead letter, and nothing is held any more.
    #[track_caller]
    fn check_done(scene: &Scene, queue: &MemoryQueue, refused: usize) {
        check_done_but(scene, queue, refused, 0);
    }

    /// The same, but for those that were lost.
    #[track_caller]
    fn check_done_but(scene: &Scene, queue: &MemoryQueue, refused: usize, lost: usize) {
        let lane = &scene.lane;
        let held = (lane.memory.held(), lane.in_hand, lane.lines.is_busy());
        assert_eq!(held, (0, 0, false));
        assert!(lane.stored.is_empty() && lane.settling.is_empty());
        let contents = queue.contents();
        let delivered: BTreeSet<Sequence> = contents.delivered.iter().copied().collect();
        assert_eq!(delivered.len(), contents.delivered.len());
        assert_eq!(contents.dead.len(), refused);
        assert_eq!(delivered.len() + refused + lost, contents.events.len());
    }

    #[test]
    fn what_the_queue_has_no_room_to_keep_is_tried_again_all_the_same() {
        for order in [Order::None, by_call()] {
            let queue = MemoryQueue::with(calls(3_000));
            queue.contents().has_no_room = true;
            let mut scene = scene(&queue, 10, order);
            scene.drain(hours(24 * 8));
            check_done(&scene, &queue, 300);
            let contents = queue.contents();
            assert_eq!(contents.waited_max, 0);
            assert!(contents.dead.iter().all(|letter| letter.attempts == 10));
            drop(contents);
            // Room again: what was not kept goes on from where it was.
            (3_001..=3_100).for_each(|n| queue.add(call(n)));
            scene.run(Duration::from_secs(1));
            queue.contents().has_no_room = false;
            scene.drain(hours(24 * 8));
            check_done(&scene, &queue, 310);
        }
    }

    /// Sends 12,000 events, a quarter of them refused for good, until some are put off.
    fn put_off<'s>(queue: &MemoryQueue, order: Order) -> Scene<'s> {
        let mut scene = scene(queue, 4, order);
        scene.run(Duration::from_secs(60));
        assert!(!queue.contents().put_off.is_empty(), "nothing was put off");
        scene
    }

    #[test]
    fn what_was_put_off_or_brought_back_and_said_to_have_failed_is_found_again() {
        for order in [Order::None, by_call()] {
            let queue = MemoryQueue::with(calls(12_000));
            queue.contents().moves_fail_late = true;
            let mut scene = put_off(&queue, order);
            scene.run(hours(3));
            for _ in 0..200 {
                let mut contents = queue.contents();
                contents.moves_fail_late = !contents.moves_fail_late;
                drop(contents);
                scene.run(Duration::from_secs(400));
            }
            scene.drain(hours(24 * 8));
            check_done(&scene, &queue, 3_000);
        }
    }

    #[test]
    fn what_cannot_be_brought_back_for_now_stops_nothing_else() {
        let queue = MemoryQueue::with(calls(12_000));
        let mut scene = put_off(&queue, Order::None);
        queue.contents().moves_fail = true;
        scene.run(hours(24));
        let before = queue.contents().delivered.len();
        for n in 12_001..=12_100 {
            queue.add(call(n));
        }
        scene.run(Duration::from_secs(5));
        assert_eq!(queue.contents().delivered.len(), before + 75);
        let is_unreadable = |notice: &Notice| matches!(notice, Notice::Unreadable { .. });
        assert!(!scene.notices.iter().any(is_unreadable));
        queue.contents().moves_fail = false;
        // Some were held back until then.
        scene.drain(hours(24 * 16));
        check_done(&scene, &queue, 3_025);
    }

    #[test]
    fn what_is_put_off_and_cannot_be_read_at_a_start_holds_an_order_up_for_a_minute_only() {
        let queue = MemoryQueue::with(calls(12_000));
        let mut scene = put_off(&queue, by_call());
        queue.contents().moves_fail = true;
        let endpoint = Arc::clone(&scene.lane.endpoint);
        let (queue_again, outbox) = (Arc::new(queue.clone()), Arc::clone(&scene.outbox));
        scene.commit();
        scene.lane = Lane::new(endpoint, queue_again, outbox, 2);
        scene.under_way.clear();
        scene.entries.clear();
        for n in 12_001..=12_100 {
            queue.add(call(n));
        }
        let before = scene.sent.len();
        scene.run(Duration::from_secs(59));
        assert_eq!(scene.sent.len(), before, "it may yet be readable");
        scene.run(Duration::from_secs(10));
        assert!(scene.sent.len() > before + 100, "{}", scene.sent.len());
        let said = |notice: &&Notice| matches!(notice, Notice::GoesOnWithout { .. });
        assert_eq!(scene.notices.iter().filter(said).count(), 1);
        queue.contents().moves_fail = false;
        scene.drain(hours(24 * 16));
        check_done(&scene, &queue, 3_025);
    }

    #[test]
    fn what_waits_behind_an_event_that_is_lost_goes_on() {
        let queue = MemoryQueue::with(calls(12_000));
        let mut scene = put_off(&queue, by_call());
        let lost = queue.contents().lose_put_off();
        let followed = |sequence: &&Sequence| sequence.0.is_multiple_of(40) && sequence.0 < 12_000;
        assert!(lost.iter().any(|it| followed(&it)));
        scene.drain(hours(24 * 8));
        check_done_but(&scene, &queue, 3_000 - lost.len(), lost.len());
        let contents = queue.contents();
        for sequence in lost.iter().filter(followed) {
            assert!(contents.delivered.contains(&sequence.plus(1)), "{sequence}");
        }
    }
}

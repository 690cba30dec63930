//! Lanes that keep an order or put events together, against a receiver that checks both.

use super::*;
use crate::delivery::batch::Batch;
use crate::delivery::memory::Share;
use crate::delivery::order::{OnRefused, Order, OrderKey};
use crate::delivery::retry::RetrySchedule;
use std::collections::BTreeMap;

/// What the endpoint does with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Takes,
    /// 503.
    IsBusy,
    /// The connection breaks before it has taken anything.
    Breaks,
    /// It takes all of it, and the answer is lost.
    LosesAnswer,
    /// 422.
    Refuses,
    /// 401.
    Denies,
}

/// Decides about a request by its sequences and the time.
type Deeds<'s> = Box<dyn FnMut(&[u64], Moment) -> Deed + 's>;

/// A lane, the endpoint it sends to, and the time requests take.
struct Stage<'s> {
    endpoint: Endpoint,
    lane: Lane,
    queue: MemoryQueue,
    outbox: Arc<Outbox>,
    clock: Arc<ManualClock>,
    rng: fastrand::Rng,
    deed: Deeds<'s>,
    under_way: BTreeMap<(Moment, u64), Entry>,
    /// When each event was first taken, as a count.
    taken: BTreeMap<u64, usize>,
    /// Requests as they were sent.
    requests: Vec<Vec<u64>>,
    given_up: BTreeSet<u64>,
}

fn keyed(sequence: u64, key: u64) -> Queued {
    queued(sequence, "cdr", &format!("{{\"call_id\":\"{key}\"}}"))
}

fn by_call() -> Order {
    Order::Key(OrderKey::named("call_id"))
}

/// An endpoint of the given order, whose attempts are over within minutes.
fn ordered(order: Order) -> Endpoint {
    Endpoint {
        order,
        ..endpoint(Profile::Vos3000)
    }
}

fn batched(max_events: usize) -> Endpoint {
    Endpoint {
        batch: Some(Batch {
            max_events,
            ..Batch::default()
        }),
        ..endpoint(Profile::Vos3000)
    }
}

fn places(entry: &Entry) -> Vec<u64> {
    entry.members().map(|queued| queued.sequence.0).collect()
}

impl<'s> Stage<'s> {
    fn new(
        endpoint: Endpoint,
        queue: &MemoryQueue,
        seed: u64,
        deed: impl FnMut(&[u64], Moment) -> Deed + 's,
    ) -> Stage<'s> {
        let outbox = Arc::new(Outbox::default());
        let lane = Lane::new(
            Arc::new(endpoint.clone()),
            Arc::new(queue.clone()),
            Arc::clone(&outbox),
            seed,
        );
        Stage {
            endpoint,
            lane,
            queue: queue.clone(),
            outbox,
            clock: Arc::new(ManualClock::at(START)),
            rng: fastrand::Rng::with_seed(seed),
            deed: Box::new(deed),
            under_way: BTreeMap::new(),
            taken: BTreeMap::new(),
            requests: Vec::new(),
            given_up: BTreeSet::new(),
        }
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn run(&mut self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end {
            self.step(end);
        }
    }

    #[track_caller]
    fn drain(&mut self, at_most: Duration) {
        let end = self.now() + at_most;
        while !self.is_drained() {
            assert!(
                self.now() < end,
                "not drained: {:?}",
                self.lane.counts(self.now())
            );
            self.step(end);
        }
        assert_eq!(self.lane.in_hand, 0);
        assert_eq!(self.lane.memory.held(), 0);
        assert!(!self.lane.lines.is_busy());
    }

    fn is_drained(&self) -> bool {
        let contents = self.queue.contents();
        contents.cursor > contents.events.len() as u64
            && contents.waiting.is_empty()
            && contents.put_off.is_empty()
    }

    fn step(&mut self, end: Moment) {
        let mut wait = end.since(self.now());
        while self.under_way.len() < 16 {
            match self.lane.take(self.now(), self.clock.wall()) {
                Turn::Attempt(entry) => {
                    let trip = Duration::from_micros(self.rng.u64(500..3_000));
                    let at = (self.now() + trip, entry.queued.sequence.0);
                    self.requests.push(places(&entry));
                    self.under_way.insert(at, *entry);
                }
                Turn::Wait(span) => {
                    wait = wait.min(span.max(Duration::from_micros(1)));
                    break;
                }
                Turn::Stopped => panic!("nobody stopped the lane"),
            }
        }
        if let Some((at, _)) = self.under_way.keys().next() {
            wait = wait.min(at.since(self.now()));
        }
        self.clock.advance(wait);
        while let Some(first) = self.under_way.first_entry() {
            if first.key().0 > self.clock.now() {
                break;
            }
            let entry = first.remove();
            self.answer(entry);
        }
        // The disk takes its time now and then.
        if self.rng.u8(0..3) > 0 {
            self.commit();
        }
    }

    fn answer(&mut self, entry: Entry) {
        let now = self.now();
        let sequences = places(&entry);
        let deed = (self.deed)(&sequences, now);
        if matches!(deed, Deed::Takes | Deed::LosesAnswer) {
            self.take(&sequences);
        }
        let denied = Failure {
            reason: "status 401".into(),
            status: Some(401),
            ..Failure::default()
        };
        let outcome = match deed {
            Deed::Takes => Outcome::Delivered,
            Deed::IsBusy | Deed::Breaks | Deed::LosesAnswer => busy(),
            Deed::Refuses => refused(),
            Deed::Denies => Outcome::Refused(denied),
        };
        self.lane
            .finish(entry, outcome, ROUND_TRIP, now, self.clock.wall());
    }

    /// The endpoint takes events, in this order.
    fn take(&mut self, sequences: &[u64]) {
        for sequence in sequences {
            let count = self.taken.len();
            self.taken.entry(*sequence).or_insert(count);
        }
    }

    fn commit(&mut self) {
        let settled = self.outbox.drain();
        self.note_given_up(&settled);
        let count = settled.len() as u64;
        if count > 0 {
            self.queue.settle(settled).unwrap();
            self.lane.committed(count, self.queue.cursor("billing"));
        }
    }

    fn note_given_up(&mut self, settled: &[Settled]) {
        for settled in settled {
            if matches!(settled.settlement, Settlement::Bury(_)) {
                self.given_up.insert(settled.sequence.0);
            }
        }
    }

    /// The agent is killed and starts again. Of the requests under way some reach the endpoint.
    fn crash(&mut self, seed: u64) {
        for (_, entry) in std::mem::take(&mut self.under_way) {
            if self.rng.bool() {
                self.take(&places(&entry));
            }
        }
        let lost = self.outbox.drain();
        self.note_given_up(&lost);
        self.outbox = Arc::new(Outbox::default());
        let (queue, outbox) = (Arc::new(self.queue.clone()), Arc::clone(&self.outbox));
        self.lane = Lane::new(Arc::new(self.endpoint.clone()), queue, outbox, seed);
    }

    /// No event was taken for the first time while an earlier one of its line was not, and had
    /// not been given up.
    #[track_caller]
    fn check_order(&self, line: impl Fn(u64) -> u64) {
        let mut latest: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
        for (&sequence, &at) in &self.taken {
            if self.given_up.contains(&sequence) {
                continue;
            }
            if let Some(&(before, earlier)) = latest.get(&line(sequence)) {
                assert!(before < at, "{sequence} came before {earlier}");
            }
            latest.insert(line(sequence), (at, sequence));
        }
    }
}

/// Chances in a hundred of each deed but taking.
fn at_random(seed: u64, chances: [(Deed, u8); 4]) -> impl FnMut(&[u64], Moment) -> Deed {
    let mut rng = fastrand::Rng::with_seed(seed);
    move |_, _| {
        let mut roll = rng.u8(0..100);
        for (deed, chance) in chances {
            if roll < chance {
                return deed;
            }
            roll -= chance;
        }
        Deed::Takes
    }
}

const ROUGH: [(Deed, u8); 4] = [
    (Deed::IsBusy, 12),
    (Deed::Breaks, 6),
    (Deed::LosesAnswer, 6),
    (Deed::Refuses, 4),
];

/// Random outcomes and kills: `line` says which events must keep their order.
fn rough_ride(endpoint: &Endpoint, keys: u64, line: impl Fn(u64) -> u64 + Copy) {
    const EVENTS: u64 = 400;
    for seed in 0..6 {
        let events = (1..=EVENTS).map(|n| keyed(n, n % keys)).collect();
        let queue = MemoryQueue::with(events);
        let mut stage = Stage::new(endpoint.clone(), &queue, seed, at_random(seed, ROUGH));
        for round in 0..15 {
            let span = stage.rng.u64(1..40);
            stage.run(Duration::from_millis(span));
            stage.crash(seed * 100 + round);
        }
        stage.drain(hours(12));
        let all = stage.taken.keys().chain(&stage.given_up);
        let all: BTreeSet<u64> = all.copied().collect();
        assert_eq!(all.len() as u64, EVENTS, "seed {seed}");
        stage.check_order(line);
    }
}

#[test]
fn a_strict_order_holds_through_failures_at_random_and_kills() {
    rough_ride(&ordered(Order::Strict), 7, |_| 0);
}

#[test]
fn the_order_of_each_key_holds_through_failures_at_random_and_kills() {
    rough_ride(&ordered(by_call()), 7, |sequence| sequence % 7);
    rough_ride(&ordered(by_call()), 200, |sequence| sequence % 200);
}

#[test]
fn a_strict_order_holds_in_batches_that_fail_and_split() {
    let endpoint = Endpoint {
        order: Order::Strict,
        ..batched(10)
    };
    rough_ride(&endpoint, 7, |_| 0);
}

#[test]
fn nothing_is_lost_in_batches_without_order() {
    rough_ride(&batched(10), 7, |sequence| sequence);
}

#[test]
fn a_strict_order_sends_one_event_at_a_time() {
    let queue = MemoryQueue::with(events(50));
    let mut stage = Stage::new(ordered(Order::Strict), &queue, 1, |_, _| Deed::Takes);
    while !stage.is_drained() {
        stage.step(hours_from_start(1));
        assert!(stage.under_way.len() <= 1);
        assert!(!stage.lane.has_more(stage.now()) || stage.under_way.is_empty());
    }
    let sent: Vec<u64> = stage.requests.concat();
    assert_eq!(sent, (1..=50).collect::<Vec<_>>());
}

fn hours_from_start(count: u64) -> Moment {
    Moment(hours(count))
}

#[test]
fn a_parked_event_that_is_due_does_not_keep_a_worker_awake_while_another_is_out() {
    let queue = MemoryQueue::with(events(3));
    let endpoint = Endpoint {
        on_refused: OnRefused::Park,
        ..ordered(Order::Strict)
    };
    let deed = |sequences: &[u64], _| match sequences {
        [1] => Deed::Refuses,
        _ => Deed::Takes,
    };
    let mut stage = Stage::new(endpoint, &queue, 3, deed);
    while stage.requests.is_empty() {
        stage.step(at_secs(1));
    }
    let (now, wall) = (stage.now(), stage.clock.wall());
    let Turn::Attempt(second) = stage.lane.take(now, wall) else {
        panic!("the first is parked");
    };
    stage.clock.advance(Duration::from_secs(10));
    let turn = stage.lane.take(stage.now(), stage.clock.wall());
    assert_eq!(turn, Turn::Wait(IDLE_WAIT));
    let now = stage.now();
    stage
        .lane
        .finish(*second, Outcome::Delivered, ROUND_TRIP, now, wall);
    stage.drain(hours(1));
}

#[test]
fn a_refused_event_holds_what_follows_until_it_is_given_up_or_is_parked() {
    for on_refused in [OnRefused::Block, OnRefused::Park] {
        let queue = MemoryQueue::with(events(10));
        let endpoint = Endpoint {
            on_refused,
            ..ordered(Order::Strict)
        };
        let deed = |sequences: &[u64], _| match sequences {
            [3] => Deed::Refuses,
            _ => Deed::Takes,
        };
        let mut stage = Stage::new(endpoint, &queue, 3, deed);
        stage.run(Duration::from_millis(50));
        let went_on = on_refused == OnRefused::Park;
        assert_eq!(stage.taken.contains_key(&4), went_on, "{on_refused:?}");
        stage.crash(4);
        stage.run(Duration::from_millis(50));
        assert_eq!(stage.taken.contains_key(&4), went_on, "after a restart");
        stage.drain(hours(1));
        assert_eq!(queue.contents().dead.len(), 1);
        assert_eq!(stage.taken.len(), 9);
    }
}

#[test]
fn what_waits_behind_a_blocked_key_holds_back_no_other_key() {
    // One event in three belongs to the call that is refused for an hour; more than a window.
    let key = |n: u64| if n.is_multiple_of(12) { 0 } else { n };
    let queue = MemoryQueue::with((1..=9_000).map(|n| keyed(n, key(n))).collect());
    let mut endpoint = ordered(by_call());
    endpoint.retries = RetrySchedule::new(300, Duration::from_secs(60), Duration::from_secs(60));
    let deed = |sequences: &[u64], now: Moment| {
        let is_blocked = sequences.iter().any(|sequence| sequence.is_multiple_of(12));
        if is_blocked && now < hours_from_start(1) {
            Deed::Refuses
        } else {
            Deed::Takes
        }
    };
    let mut stage = Stage::new(endpoint, &queue, 1, deed);
    stage.run(Duration::from_secs(300));
    assert_eq!(stage.taken.len(), 9_000 - 750, "all others have passed");
    assert!(queue.contents().waiting.len() > 300, "they are on disk too");
    stage.crash(2);
    stage.run(Duration::from_secs(300));
    let refused = stage.requests.iter().filter(|it| it[0].is_multiple_of(12));
    assert!(
        refused.clone().all(|it| it[0] == 12),
        "only the first is tried"
    );
    stage.drain(hours(2));
    assert!(queue.contents().dead.is_empty());
    stage.check_order(key);
}

#[test]
fn when_what_waits_behind_a_key_is_too_much_the_endpoint_holds_back_and_goes_on_later() {
    let key = |n: u64| u64::from(n > 2_000) * n;
    let queue = MemoryQueue::with((1..=3_000).map(|n| keyed(n, key(n))).collect());
    let mut endpoint = ordered(by_call());
    endpoint.retries = RetrySchedule::new(300, Duration::from_secs(60), Duration::from_secs(60));
    let deed = |sequences: &[u64], now: Moment| {
        if sequences[0] <= 2_000 && now < hours_from_start(1) {
            Deed::Refuses
        } else {
            Deed::Takes
        }
    };
    let mut stage = Stage::new(endpoint, &queue, 1, deed);
    stage.run(Duration::from_secs(600));
    assert!(stage.taken.is_empty());
    assert!(queue.contents().waiting.len() <= KEPT_MAX);
    assert!(stage.lane.in_hand <= KEPT_MAX + 1);
    let kept = stage.lane.counts(stage.now()).retrying;
    assert!(
        (KEPT_MAX as u64..=KEPT_MAX as u64 + 1).contains(&kept),
        "{kept}"
    );
    assert!(stage.lane.notices().contains(&Notice::HoldsBack));
    stage.drain(hours(2));
    stage.check_order(key);
}

#[test]
fn what_waits_behind_a_key_gives_its_memory_to_other_keys() {
    let body = "x".repeat(20_000);
    let keyed = |n: u64| {
        let key = if n.is_multiple_of(2) { 0 } else { n };
        queued(
            n,
            "cdr",
            &format!("{{\"call_id\":\"{key}\",\"x\":\"{body}\"}}"),
        )
    };
    let queue = MemoryQueue::with((1..=100).map(keyed).collect());
    let mut endpoint = ordered(by_call());
    endpoint.memory = Share::smallest();
    endpoint.retries = RetrySchedule::new(300, Duration::from_secs(60), Duration::from_secs(60));
    let deed = |sequences: &[u64], now: Moment| {
        if sequences[0].is_multiple_of(2) && now < hours_from_start(1) {
            Deed::Refuses
        } else {
            Deed::Takes
        }
    };
    let mut stage = Stage::new(endpoint, &queue, 1, deed);
    stage.run(Duration::from_secs(600));
    assert_eq!(stage.taken.len(), 50);
    assert!(stage.lane.memory.held() <= 256 << 10);
    stage.drain(hours(2));
    stage.check_order(|n| if n.is_multiple_of(2) { 0 } else { n });
}

#[test]
fn an_event_that_is_gone_from_the_queue_holds_back_nothing() {
    let queue = MemoryQueue::with(events(3));
    let is_over = std::cell::Cell::new(false);
    let deed = |_: &[u64], _| match is_over.get() {
        true => Deed::Takes,
        false => Deed::Refuses,
    };
    let mut stage = Stage::new(ordered(Order::Strict), &queue, 1, deed);
    stage.run(Duration::from_millis(20));
    assert!(queue.contents().waiting.contains_key(&Sequence(1)));
    stage.crash(2);
    let _looked = stage.lane.take(stage.now(), stage.clock.wall());
    queue.contents().waiting.clear();
    is_over.set(true);
    stage.drain(hours(1));
    assert_eq!(stage.taken.keys().copied().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_dead_letter_tried_again_takes_its_turn() {
    let queue = MemoryQueue::with(events(3));
    let refuses = std::cell::Cell::new(true);
    let deed = |sequences: &[u64], _| {
        if sequences == [1] && refuses.get() {
            Deed::Refuses
        } else {
            Deed::Takes
        }
    };
    let mut stage = Stage::new(ordered(Order::Strict), &queue, 1, deed);
    stage.drain(hours(1));
    refuses.set(false);
    let letter = queue.contents().dead.pop().unwrap();
    let waiting = crate::queue::Waiting {
        due: START,
        attempts: 0,
        reason: String::new(),
        queued: letter.queued,
    };
    queue.contents().waiting.insert(Sequence(1), waiting);
    let now = stage.now();
    stage.lane.recall(&[(START, Sequence(1))], now);
    stage.drain(hours(1));
    assert!(stage.taken.contains_key(&1));
}

#[test]
fn a_batch_is_full_or_has_waited() {
    let queue = MemoryQueue::with(events(25));
    let mut stage = Stage::new(batched(10), &queue, 1, |_, _| Deed::Takes);
    stage.run(Duration::from_millis(150));
    let sizes = |stage: &Stage<'_>| stage.requests.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&stage), [10, 10], "the rest waits for company");
    stage.run(Duration::from_millis(100));
    assert_eq!(sizes(&stage), [10, 10, 5]);
    stage.drain(Duration::from_secs(1));
    let counts = stage.lane.counts(stage.now());
    assert_eq!((counts.attempts, counts.delivered), (3, 3));
}

#[test]
fn a_batch_with_bad_events_splits_until_they_stand_alone() {
    let queue = MemoryQueue::with(events(100));
    let is_bad = |sequence: &u64| matches!(sequence, 17 | 18 | 90);
    let deed = |sequences: &[u64], _| {
        if sequences.iter().any(is_bad) {
            Deed::Refuses
        } else {
            Deed::Takes
        }
    };
    let mut stage = Stage::new(batched(100), &queue, 1, deed);
    stage.run(Duration::from_millis(500));
    assert_eq!(stage.taken.len(), 97, "the good ones do not wait");
    stage.drain(hours(1));
    let dead: Vec<_> = queue.contents().dead.iter().map(|it| it.attempts).collect();
    assert_eq!(dead, [5; 3], "a half's refusal is no attempt");
    for sequence in [17, 18, 90] {
        let alone = stage.requests.iter().filter(|it| **it == [sequence]);
        assert_eq!(alone.count(), 5);
    }
    let mut delivered: Vec<u64> = queue.contents().delivered.iter().map(|it| it.0).collect();
    delivered.sort_unstable();
    delivered.dedup();
    assert_eq!(delivered.len(), 97);
}

#[test]
fn a_batch_too_long_for_the_receiver_is_halved_until_it_fits() {
    let queue = MemoryQueue::with(events(64));
    let deed = |sequences: &[u64], _| {
        if sequences.len() > 5 {
            Deed::Refuses
        } else {
            Deed::Takes
        }
    };
    let mut stage = Stage::new(batched(64), &queue, 1, deed);
    stage.drain(Duration::from_secs(5));
    assert!(queue.contents().dead.is_empty());
}

#[test]
fn a_batch_that_finds_the_endpoint_down_is_sent_again_whole() {
    let queue = MemoryQueue::with(events(40));
    let deed = |_: &[u64], now: Moment| {
        if now < Moment(Duration::from_millis(400)) {
            Deed::IsBusy
        } else {
            Deed::Takes
        }
    };
    let mut stage = Stage::new(batched(10), &queue, 1, deed);
    stage.drain(Duration::from_secs(30));
    let sizes: BTreeSet<usize> = stage.requests.iter().map(Vec::len).collect();
    assert_eq!(sizes, BTreeSet::from([10]), "{:?}", stage.requests);
    assert!(queue.contents().dead.is_empty());
}

#[test]
fn a_batch_that_is_denied_keeps_its_events_together_and_its_attempts_bounded() {
    let queue = MemoryQueue::with(events(10_000));
    let deed = |_: &[u64], now: Moment| {
        if now < Moment(Duration::from_secs(2)) {
            Deed::Denies
        } else {
            Deed::Takes
        }
    };
    let mut stage = Stage::new(batched(100), &queue, 1, deed);
    stage.run(Duration::from_secs(2));
    let waiting = queue.contents().waiting.len();
    assert!(
        (KEPT_MAX..=company::IN_HAND_MAX).contains(&waiting),
        "{waiting}"
    );
    assert!(stage.taken.is_empty());
    stage.drain(hours(1));
    assert!(queue.contents().dead.is_empty());
    assert!(stage.requests.len() < 400, "{}", stage.requests.len());
}

#[test]
fn what_found_no_room_goes_out_next_and_in_order() {
    let queue = MemoryQueue::with(events(4));
    let endpoint = Endpoint {
        order: Order::Strict,
        ..batched(4)
    };
    let mut stage = Stage::new(endpoint, &queue, 1, |_, _| Deed::Takes);
    let (now, wall) = (stage.now(), stage.clock.wall());
    let Turn::Attempt(mut entry) = stage.lane.take(now, wall) else {
        panic!("there is a full batch");
    };
    let mut rest = entry.others.split_off(1);
    let mut first = rest.remove(0);
    first.others = rest;
    stage.lane.put_back(first, now);
    assert!(matches!(stage.lane.take(now, wall), Turn::Wait(_)));
    stage
        .lane
        .finish(*entry, Outcome::Delivered, ROUND_TRIP, now, wall);
    stage.drain(Duration::from_secs(1));
    assert_eq!(stage.requests, [[3, 4]]);
}

/// Calls, but for the given ones, which are alarms.
fn with_alarms(count: u64, is_alarm: impl Fn(u64) -> bool) -> MemoryQueue {
    let event = |n| queued(n, if is_alarm(n) { "alarm" } else { "cdr" }, "{}");
    MemoryQueue::with((1..=count).map(event).collect())
}

#[test]
fn alarms_go_first_when_an_endpoint_is_back_also_after_a_restart() {
    let is_alarm = |n: u64| n > 19_990 || n == 9_000;
    let queue = with_alarms(20_000, is_alarm);
    let up = at_secs(60);
    let deed = |_: &[u64], now: Moment| {
        if now < up { Deed::IsBusy } else { Deed::Takes }
    };
    let mut stage = Stage::new(endpoint(Profile::Vos3000), &queue, 1, deed);
    stage.run(Duration::from_secs(30));
    stage.crash(2);
    stage.run(Duration::from_secs(30));
    while stage.taken.len() < 400 {
        stage.step(hours_from_start(1));
    }
    let late = stage.taken.iter().filter(|(n, _)| is_alarm(**n));
    let late: Vec<usize> = late.map(|(_, at)| *at).collect();
    assert_eq!(late.len(), 11);
    // What met the endpoint as it failed comes back one by one, in as many round trips.
    assert!(late.iter().all(|at| *at < 11 * 20), "{late:?}");
    stage.crash(3);
    stage.drain(hours(1));
    assert_eq!(stage.taken.len(), 20_000);
    let contents = queue.contents();
    assert_eq!(contents.delivered.len(), 20_000, "each is settled once");
}

#[test]
fn an_alarm_overtakes_what_is_decoded_already_on_a_slow_endpoint() {
    let queue = with_alarms(200, |n| n == 150);
    let mut stage = Stage::new(endpoint(Profile::Vos3000), &queue, 1, |_, _| Deed::Takes);
    stage.step(at_secs(1));
    queue.add(queued(201, "alarm", "{}"));
    stage.drain(hours(1));
    assert!(
        stage.taken[&150] < 16 && stage.taken[&201] < 40,
        "{:?}",
        stage.taken
    );
}

#[test]
fn when_too_many_alarms_overtake_the_others_wait_for_the_backlog() {
    let queue = with_alarms(7_000, |n| n > 5_500);
    let mut stage = Stage::new(endpoint(Profile::Vos3000), &queue, 1, |_, _| Deed::Takes);
    while stage.taken.len() < 1_040 {
        stage.step(hours_from_start(1));
    }
    let alarms = stage.taken.keys().filter(|n| **n > 5_500).count();
    assert!((1_000..=1_024).contains(&alarms), "{alarms}");
    stage.crash(2);
    stage.drain(hours(1));
    assert_eq!(queue.contents().delivered.len(), 7_000);
}

#[test]
fn nothing_is_lost_when_alarms_overtake_in_a_rough_ride_and_the_key_is_turned_off_and_on() {
    for seed in 0..3 {
        let queue = with_alarms(9_000, |n| n.is_multiple_of(97));
        let mut stage = Stage::new(
            endpoint(Profile::Vos3000),
            &queue,
            seed,
            at_random(seed, ROUGH),
        );
        for round in 0..12 {
            let span = stage.rng.u64(1..60);
            stage.run(Duration::from_millis(span));
            stage.endpoint.priority = match round % 3 {
                0 => Vec::new(),
                1 => vec!["alarm".into()],
                _ => vec!["alarm".into(), "payment".into()],
            };
            stage.crash(seed * 100 + round);
        }
        stage.drain(hours(12));
        let all = stage.taken.keys().chain(&stage.given_up);
        let all: BTreeSet<u64> = all.copied().collect();
        assert_eq!(all.len(), 9_000, "seed {seed}");
    }
}

#[test]
fn an_alarm_goes_alone_and_at_once_where_others_wait_for_company() {
    let queue = with_alarms(5, |n| n == 5);
    let mut stage = Stage::new(batched(10), &queue, 1, |_, _| Deed::Takes);
    stage.run(Duration::from_millis(50));
    assert_eq!(stage.requests, [[5]]);
    stage.drain(Duration::from_secs(1));
    assert_eq!(stage.requests[1], [1, 2, 3, 4]);
}

#[test]
fn what_has_a_key_of_the_order_keeps_its_place() {
    let data = |n: u64| if n == 90 { "{}" } else { r#"{"call_id":"1"}"# };
    let event = |n| queued(n, if n > 80 { "alarm" } else { "cdr" }, data(n));
    let queue = MemoryQueue::with((1..=100).map(event).collect());
    let mut stage = Stage::new(ordered(by_call()), &queue, 1, |_, _| Deed::Takes);
    stage.drain(hours(1));
    assert!(stage.taken[&90] < 3);
    stage.check_order(|n| u64::from(n == 90));
}

mod together;

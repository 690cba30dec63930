//! Limits against receivers that are simulated: so many places, so long a time for each event, and
//! what waits for a place waits in line. Days run in milliseconds, and a seed repeats a run exactly.

use super::*;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// How long a receiver works on one event.
#[derive(Clone, Copy)]
enum Work {
    /// Always as long.
    Even,
    /// Up to a third more or less.
    Uneven,
    /// Mostly less, sometimes several times as long.
    Wild,
}

/// A receiver that works on `places` at a time.
struct Receiver {
    places: usize,
    time: Duration,
    work: Work,
    /// It answers 503 at once rather than let more than these wait.
    line_max: usize,
    /// Events that wait for a place: their number.
    line: VecDeque<u64>,
    busy: usize,
    rng: fastrand::Rng,
}

impl Receiver {
    fn new(places: usize, time_ms: f64, work: Work, seed: u64) -> Receiver {
        Receiver {
            places,
            time: Duration::from_secs_f64(time_ms / 1e3),
            work,
            line_max: usize::MAX,
            line: VecDeque::new(),
            busy: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    fn draw(&mut self) -> Duration {
        match self.work {
            Work::Even => self.time,
            Work::Uneven => self.time.mul_f64(0.67 + 0.66 * self.rng.f64()),
            Work::Wild => self.time.mul_f64(-(1.0 - self.rng.f64()).ln()),
        }
    }
}

/// A sender that always has something to send, and keeps to the limit.
struct Sender {
    limit: Limit,
    receiver: Receiver,
    now: Duration,
    next: u64,
    /// Under way: round and beginning, by number.
    out: std::collections::BTreeMap<u64, (u32, Duration)>,
    /// What ends when, and whether it was taken.
    ends: BinaryHeap<Reverse<(Duration, u64, bool)>>,
    delivered: u64,
    most: usize,
}

impl Sender {
    fn new(receiver: Receiver) -> Sender {
        Sender {
            limit: Limit::new(Concurrency::Learned),
            receiver,
            now: Duration::ZERO,
            next: 0,
            out: std::collections::BTreeMap::new(),
            ends: BinaryHeap::new(),
            delivered: 0,
            most: 0,
        }
    }

    /// Sends until so many more were delivered; returns how many that was in a second.
    fn deliver(&mut self, count: u64) -> f64 {
        let (began, end) = (self.now, self.delivered + count);
        while self.delivered < end {
            while self.out.len() < self.limit.now() {
                self.begin();
            }
            self.end_one();
        }
        count as f64 / (self.now - began).as_secs_f64()
    }

    fn begin(&mut self) {
        let number = self.next;
        self.next += 1;
        let round = self.limit.begun(self.out.len() + 1);
        self.out.insert(number, (round, self.now));
        self.most = self.most.max(self.out.len());
        let receiver = &mut self.receiver;
        if receiver.busy < receiver.places {
            receiver.busy += 1;
            let ends = self.now + receiver.draw();
            self.ends.push(Reverse((ends, number, true)));
        } else if receiver.line.len() < receiver.line_max {
            receiver.line.push_back(number);
        } else {
            let ends = self.now + Duration::from_micros(500);
            self.ends.push(Reverse((ends, number, false)));
        }
    }

    fn end_one(&mut self) {
        let Reverse((at, number, taken)) = self.ends.pop().unwrap();
        self.now = at;
        if taken {
            self.delivered += 1;
            self.receiver.busy -= 1;
            if self.receiver.busy < self.receiver.places
                && let Some(next) = self.receiver.line.pop_front()
            {
                self.receiver.busy += 1;
                let ends = self.now + self.receiver.draw();
                self.ends.push(Reverse((ends, next, true)));
            }
        }
        let (round, began) = self.out.remove(&number).unwrap();
        let sign = if taken { Sign::Taken } else { Sign::TooMuch };
        self.limit.ended(round, sign, self.now - began);
    }

    /// What the receiver could do at best, in a second.
    fn best(&self) -> f64 {
        self.receiver.places.min(CONCURRENCY_MAX) as f64 / self.receiver.time.as_secs_f64()
    }
}

/// Requests after which the best is nearly reached, whatever the receiver.
const LEARNED_WITHIN: u64 = 600;

#[track_caller]
fn check(places: usize, time_ms: f64, work: Work, least: f64) {
    for seed in 0..5 {
        let mut sender = Sender::new(Receiver::new(places, time_ms, work, seed));
        sender.deliver(LEARNED_WITHIN);
        let reached = sender.deliver(4_000) / sender.best();
        assert!(
            reached >= least,
            "{places} places, {time_ms} ms, seed {seed}: {:.0} % of the best at a limit of {}",
            reached * 100.0,
            sender.limit.now()
        );
        // Nothing waits for long where that is not harmless anyway.
        let limit = sender.limit.now();
        let harmless = if time_ms < 5.0 { 6 } else { 1 };
        let most = (3 * places + 1)
            .max(places * harmless * 5 / 4 + 1)
            .max(LIMIT_FIRST);
        assert!(
            limit <= most,
            "{places} places, {time_ms} ms, seed {seed}: {limit}"
        );
    }
}

#[test]
fn the_best_of_any_receiver_is_reached_within_some_hundred_requests() {
    for time_ms in [1.0, 50.0, 2_000.0] {
        for places in [1, 2, 3, 5, 10, 20, 40, 64, 1_000] {
            check(places, time_ms, Work::Even, 0.9);
            check(places, time_ms, Work::Uneven, 0.9);
        }
    }
}

#[test]
fn receivers_whose_times_vary_wildly_get_most_of_what_they_could_take() {
    let (mut sum, mut count) = (0.0, 0.0);
    for time_ms in [50.0, 2_000.0] {
        for places in [1, 2, 3, 5, 10, 20, 40, 64, 1_000] {
            for seed in 0..5 {
                let receiver = Receiver::new(places, time_ms, Work::Wild, seed);
                let mut sender = Sender::new(receiver);
                sender.deliver(LEARNED_WITHIN);
                let reached = sender.deliver(4_000) / sender.best();
                assert!(
                    reached >= 0.5,
                    "{places} places, {time_ms} ms, seed {seed}: {reached}"
                );
                (sum, count) = (sum + reached, count + 1.0);
            }
        }
    }
    assert!(sum / count >= 0.9, "{} on average", sum / count);
}

#[test]
fn receivers_with_room_for_all_are_found_in_a_hundred_requests() {
    for time_ms in [0.1, 1.0, 50.0, 2_000.0] {
        let mut sender = Sender::new(Receiver::new(1_000, time_ms, Work::Even, 1));
        sender.deliver(100);
        assert_eq!(sender.limit.now(), CONCURRENCY_MAX, "{time_ms} ms");
    }
}

#[test]
fn a_fast_receiver_with_few_places_is_not_sent_more_than_keeps_them_busy() {
    for places in [1, 2, 4, 8] {
        let mut sender = Sender::new(Receiver::new(places, 0.1, Work::Uneven, 1));
        sender.deliver(1_000);
        let reached = sender.deliver(20_000) / sender.best();
        let limit = sender.limit.now();
        assert!(
            (ENOUGH_FROM..=ENOUGH_FROM * 5 / 4).contains(&limit),
            "{places} places: {limit}"
        );
        assert!(reached >= 0.95, "{places} places: {reached}");
    }
}

#[test]
fn the_limit_follows_a_receiver_that_loses_half_of_its_places_and_gets_them_back() {
    for (places, time_ms) in [(8, 50.0), (20, 50.0), (40, 2_000.0), (64, 20.0)] {
        for seed in 0..5 {
            let mut sender = Sender::new(Receiver::new(places, time_ms, Work::Uneven, seed));
            sender.deliver(2_000);
            for fewer in [places / 2, places] {
                sender.receiver.places = fewer;
                sender.deliver(LEARNED_WITHIN);
                let reached = sender.deliver(3_000) / sender.best();
                let limit = sender.limit.now();
                assert!(
                    reached >= 0.9 && limit <= 3 * fewer + 1,
                    "{fewer} of {places} places, {time_ms} ms, seed {seed}: {:.0} % at {limit}",
                    reached * 100.0
                );
            }
        }
    }
}

#[test]
fn a_receiver_that_becomes_slower_or_faster_by_itself_keeps_its_places_busy() {
    let mut sender = Sender::new(Receiver::new(1_000, 50.0, Work::Uneven, 1));
    sender.deliver(1_000);
    for time_ms in [500.0, 20.0, 2_000.0, 50.0] {
        sender.receiver.time = Duration::from_secs_f64(time_ms / 1e3);
        sender.deliver(2_000);
        let reached = sender.deliver(2_000) / sender.best();
        assert!(
            reached >= 0.9,
            "{time_ms} ms: {reached} at {}",
            sender.limit.now()
        );
    }
}

#[test]
fn a_receiver_that_refuses_what_is_too_much_is_sent_what_it_takes() {
    for places in [2, 5, 10, 30] {
        let mut receiver = Receiver::new(places, 50.0, Work::Uneven, 3);
        receiver.line_max = 0;
        let mut sender = Sender::new(receiver);
        sender.deliver(LEARNED_WITHIN);
        let before = sender.next;
        let reached = sender.deliver(4_000) / sender.best();
        let refused = (sender.next - before) as f64 / 4_000.0 - 1.0;
        assert!(reached >= 0.8, "{places} places: {reached}");
        assert!(
            refused < 0.25,
            "{places} places: {refused} refused per delivered"
        );
    }
}

#[test]
fn failures_at_random_do_not_starve_a_healthy_receiver() {
    let mut limit = Limit::new(Concurrency::Learned);
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..20_000 {
        let round = limit.begun(limit.now());
        let sign = if rng.u8(0..50) == 0 {
            Sign::TooMuch
        } else {
            Sign::Taken
        };
        limit.ended(round, sign, Duration::from_millis(20));
    }
    assert!(limit.now() >= 32, "{}", limit.now());
}

#[test]
fn a_limit_that_is_not_reached_is_not_raised() {
    let mut limit = Limit::new(Concurrency::Learned);
    for _ in 0..1_000 {
        let round = limit.begun(1);
        limit.ended(round, Sign::Taken, Duration::from_millis(20));
    }
    assert_eq!(limit.now(), LIMIT_FIRST);
}

#[test]
fn a_fixed_limit_stays_as_it_is() {
    let mut limit = Limit::new(Concurrency::Fixed(NonZeroUsize::new(7).unwrap()));
    for _ in 0..1_000 {
        let round = limit.begun(7);
        limit.ended(round, Sign::TooMuch, Duration::from_secs(9));
    }
    limit.restart();
    assert_eq!(limit.now(), 7);
}

#[test]
fn no_more_are_under_way_than_there_is_room_for() {
    let quick = || Receiver::new(1_000, 50.0, Work::Even, 1);
    let mut sender = Sender::new(quick());
    sender.limit = Limit::new(Concurrency::Learned).at_most(5);
    sender.deliver(2_000);
    assert_eq!(sender.limit.now(), 5);
    sender.limit.restart();
    sender.deliver(2_000);
    assert_eq!(sender.limit.now(), 5);
    // With more room, it is found again; with less, it holds at once.
    sender.limit = sender.limit.at_most(CONCURRENCY_MAX);
    sender.deliver(2_000);
    assert_eq!(sender.limit.now(), CONCURRENCY_MAX);
    assert_eq!(sender.limit.at_most(2).now(), 2);
    let fixed = || Limit::new(Concurrency::Fixed(NonZeroUsize::new(7).unwrap()));
    assert_eq!(fixed().at_most(3).now(), 3);
    assert_eq!(fixed().at_most(3).at_most(9).now(), 7);
}

#[test]
fn after_an_outage_it_is_learned_anew() {
    let mut sender = Sender::new(Receiver::new(1_000, 50.0, Work::Even, 1));
    sender.deliver(200);
    let late = sender.limit.begun(1);
    sender.limit.restart();
    assert_eq!(sender.limit.now(), LIMIT_FIRST);
    for _ in 0..100 {
        sender.limit.ended(late, Sign::TooMuch, Duration::ZERO);
    }
    assert_eq!(
        sender.limit.now(),
        LIMIT_FIRST,
        "what began before says nothing"
    );
}

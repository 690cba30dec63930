//! What the pace of a lane promises: rate, concurrency, addresses, ages, refusals of everything.

use super::tests::{Scene, at_secs, busy, endpoint, events, hours, refused};
use super::*;
use crate::clock::Clock;
use crate::delivery::blanket::REFUSES_AFTER;
use crate::delivery::concurrency::Concurrency;
use crate::delivery::event_queue::memory::MemoryQueue;
use crate::delivery::order::Order;
use crate::delivery::profile::Profile;
use crate::delivery::profile::samples::queued;
use crate::delivery::rate::RateLimit;
use crate::delivery::url::Url;
use std::cell::Cell;
use std::cell::RefCell;

fn status(status: u16) -> Outcome {
    Outcome::Refused(Failure {
        reason: format!("status {status}"),
        class: "http",
        status: Some(status),
        ..Failure::default()
    })
}

#[test]
fn the_rate_holds_over_every_second_and_over_a_minute() {
    let queue = MemoryQueue::with(events(10_000));
    let at = RefCell::new(Vec::new());
    let script = |_, now: Moment| {
        at.borrow_mut().push(now.0);
        Outcome::Delivered
    };
    let mut endpoint = endpoint(Profile::Standard);
    endpoint.rate_max = RateLimit::parse("50/s");
    let mut scene = Scene::new(endpoint, &queue, 1, script);
    scene.run(Duration::from_secs(60));
    drop(scene);
    let at = at.into_inner();
    assert!(
        (2_990..=3_000).contains(&at.len()),
        "{} in a minute",
        at.len()
    );
    for (index, begin) in at.iter().enumerate() {
        let within = at[index..]
            .iter()
            .take_while(|at| **at < *begin + Duration::from_secs(1));
        assert!(within.count() <= 50, "from {begin:?}");
    }
}

#[test]
fn a_learned_concurrency_begins_small_and_grows_with_what_is_taken() {
    let queue = MemoryQueue::with(events(2_000));
    let mut endpoint = endpoint(Profile::Standard);
    endpoint.concurrency = Concurrency::Learned;
    let mut scene = Scene::new(endpoint, &queue, 1, |_, _| Outcome::Delivered);
    scene.concurrency = 64;
    scene.run(Duration::from_micros(500));
    assert_eq!(scene.counts().under_way, 4);
    scene.drain(Duration::from_secs(2));
    assert_eq!(scene.counts().concurrency, 64);
}

#[test]
fn after_an_outage_a_learned_concurrency_begins_anew() {
    let queue = MemoryQueue::with(events(20_000));
    let mut endpoint = endpoint(Profile::Standard);
    endpoint.concurrency = Concurrency::Learned;
    let is_down = Cell::new(false);
    let script = |_, _| match is_down.get() {
        true => busy(),
        false => Outcome::Delivered,
    };
    let mut scene = Scene::new(endpoint, &queue, 1, script);
    scene.concurrency = 64;
    scene.run(Duration::from_millis(50));
    assert_eq!(scene.counts().concurrency, 64);
    is_down.set(true);
    scene.run(Duration::from_secs(60));
    is_down.set(false);
    while scene.counts().state == EndpointState::Failing {
        scene.run(Duration::from_millis(1));
    }
    assert!(scene.counts().concurrency <= 8);
    scene.drain(Duration::from_secs(20));
    assert!(queue.contents().dead.is_empty());
}

/// An endpoint with this many fallbacks.
fn with_fallbacks(count: usize) -> Endpoint {
    let mut endpoint = endpoint(Profile::Vos3000);
    let url = |place| Url::parse(&format!("https://b{place}.example.com/")).unwrap();
    endpoint.fallback_urls = (1..=count).map(url).collect();
    endpoint
}

#[test]
fn what_a_fallback_did_not_take_is_sent_again_though_the_first_is_to_be_probed() {
    for (order, seed) in [Order::None, Order::Strict].iter().zip(1..) {
        let queue = MemoryQueue::with(events(400));
        let mut endpoint = with_fallbacks(1);
        endpoint.order = order.clone();
        let mut asked = 0_u32;
        let mut scene = Scene::new(endpoint, &queue, seed, |_, _| Outcome::Delivered);
        scene.concurrency = 1;
        scene.by_address = Some(Box::new(move |address, _| {
            asked += 1;
            match address == 0 || asked.is_multiple_of(7) {
                true => busy(),
                false => Outcome::Delivered,
            }
        }));
        scene.drain(Duration::from_secs(120));
        assert!(queue.contents().dead.is_empty());
    }
}

#[test]
fn a_fallback_gets_everything_while_the_first_is_failing_and_the_first_after() {
    let queue = MemoryQueue::with(Vec::new());
    let log = RefCell::new(Vec::new());
    let outage = at_secs(10)..at_secs(3_600);
    let script = |_, _| Outcome::Delivered;
    let mut scene = Scene::new(with_fallbacks(1), &queue, 1, script);
    scene.by_address = Some(Box::new(|address, now| {
        log.borrow_mut().push((address, now));
        match address == 0 && outage.contains(&now) {
            true => busy(),
            false => Outcome::Delivered,
        }
    }));
    for sequence in 1..=7_200 {
        queue.add(queued(sequence, "cdr", "{}"));
        scene.run(Duration::from_secs(1));
    }
    scene.drain(Duration::from_secs(10));
    let switched: Vec<usize> = scene
        .notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Switched { to, .. } => Some(*to),
            _ => None,
        })
        .collect();
    assert_eq!(
        (switched, scene.notices.len()),
        (vec![1, 0], 3),
        "{:?}",
        scene.notices
    );
    assert!(matches!(scene.notices[1], Notice::StillSo(_)));
    assert_eq!(scene.counts().switches, 2);
    drop(scene);
    let log = log.into_inner();
    let count = |address, span: std::ops::Range<Moment>| {
        let of = |(at, now): &&(usize, Moment)| *at == address && span.contains(now);
        log.iter().filter(of).count()
    };
    assert_eq!(
        count(1, at_secs(0)..at_secs(10)),
        0,
        "not while the first works"
    );
    // Each event goes to the fallback, and some have been a probe of the first before.
    assert!(count(1, outage.clone()) >= 3_580);
    let probes = count(0, outage);
    assert!((500..2_600).contains(&probes), "{probes} probes in an hour");
    let late = count(1, at_secs(3_606)..at_secs(8_000));
    assert_eq!(
        late, 0,
        "nothing goes to the fallback once the first is back"
    );
    let contents = queue.contents();
    assert_eq!((contents.delivered.len(), contents.dead.len()), (7_200, 0));
}

#[test]
fn fallbacks_are_tried_in_order_and_the_endpoint_fails_when_all_do() {
    let queue = MemoryQueue::with(events(5_000));
    let down = RefCell::new([true, true, false]);
    let mut scene = Scene::new(with_fallbacks(2), &queue, 3, |_, _| Outcome::Delivered);
    scene.by_address = Some(Box::new(|address, _| match down.borrow()[address] {
        true => busy(),
        false => Outcome::Delivered,
    }));
    scene.concurrency = 1;
    scene.run(Duration::from_secs(3));
    assert_eq!(
        (scene.counts().address, scene.counts().state),
        (2, EndpointState::Working)
    );
    *down.borrow_mut() = [true, true, true];
    scene.run(Duration::from_secs(60));
    assert_eq!(scene.counts().state, EndpointState::Failing);
    *down.borrow_mut() = [true, false, true];
    scene.run(Duration::from_secs(10));
    assert_eq!(
        (scene.counts().address, scene.counts().state),
        (1, EndpointState::Working)
    );
    scene.drain(Duration::from_secs(20));
    assert!(queue.contents().dead.is_empty());
}

#[test]
fn what_is_too_old_for_an_endpoint_that_is_failing_becomes_a_dead_letter() {
    let queue = MemoryQueue::with(events(3_000));
    let is_down = Cell::new(true);
    let script = |_, _| match is_down.get() {
        true => busy(),
        false => Outcome::Delivered,
    };
    let mut endpoint = endpoint(Profile::Standard);
    endpoint.max_age = hours(2);
    let mut scene = Scene::new(endpoint, &queue, 1, script);
    scene.run(Duration::from_secs(3_500));
    assert_eq!(queue.contents().dead.len(), 0, "younger than that");
    scene.run(hours(2));
    assert_eq!(queue.contents().dead.len(), 3_000);
    let fresh = Queued {
        event: Arc::new(crate::event::Event {
            time: crate::timestamp::Timestamp::from_millis(scene.clock.wall().0),
            ..(*queued(3_001, "cdr", "{}").event).clone()
        }),
        ..queued(3_001, "cdr", "{}")
    };
    queue.add(fresh);
    scene.run(Duration::from_secs(600));
    assert_eq!(scene.counts().expired, 3_000);
    is_down.set(false);
    scene.drain(Duration::from_secs(10));
    let contents = queue.contents();
    assert_eq!((contents.dead.len(), contents.delivered.len()), (3_000, 1));
    let reasons = contents
        .dead
        .iter()
        .all(|letter| letter.reason == "expired: status 503");
    assert!(reasons, "{}", contents.dead[0].reason);
}

#[test]
fn nothing_is_too_old_for_an_endpoint_that_works_or_is_down_for_minutes() {
    let queue = MemoryQueue::with(events(3_000));
    let script = |_, now: Moment| match now < at_secs(1_800) {
        true => busy(),
        false => Outcome::Delivered,
    };
    let mut endpoint = endpoint(Profile::Standard);
    endpoint.max_age = hours(72);
    let mut scene = Scene::new(endpoint, &queue, 1, script);
    // The events happened a year before they were read.
    scene
        .clock
        .set_wall(scene.clock.wall().after(hours(24 * 365)));
    scene.run(Duration::from_secs(1_800));
    scene.drain(Duration::from_secs(60));
    assert!(queue.contents().dead.is_empty());
}

#[test]
fn a_clock_that_is_set_forward_makes_nothing_old() {
    let queue = MemoryQueue::with(events(100));
    let mut scene = Scene::new(endpoint(Profile::Standard), &queue, 1, |_, _| busy());
    scene.run(hours(2));
    scene
        .clock
        .set_wall(scene.clock.wall().after(hours(24 * 365)));
    scene.run(hours(2));
    assert!(queue.contents().dead.is_empty());
}

#[test]
fn an_hour_of_401_loses_nothing_and_is_no_hot_loop() {
    for (count, status_code) in [(5, 401), (10_000, 401), (10_000, 404)] {
        let queue = MemoryQueue::with(events(count));
        let script = |_, now: Moment| match now < at_secs(3_600) {
            true => status(status_code),
            false => Outcome::Delivered,
        };
        let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, script);
        scene.run(Duration::from_secs(3_600));
        let sent = scene.sent.len();
        assert!(sent < 3_000, "{count} events: {sent} requests in an hour");
        assert!(queue.contents().waiting.len() <= 64, "most are untouched");
        assert_eq!(scene.counts().state, EndpointState::Failing);
        scene.drain(Duration::from_secs(300));
        let contents = queue.contents();
        assert_eq!(
            (contents.delivered.len() as u64, contents.dead.len()),
            (count, 0)
        );
    }
}

#[test]
fn a_poison_event_is_buried_among_good_ones_whatever_it_is_refused_with() {
    for refusal in [401, 403, 404, 422] {
        let queue = MemoryQueue::with(events(1_000));
        let script = |sequence, _| match sequence == 500 {
            true => status(refusal),
            false => Outcome::Delivered,
        };
        let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, script);
        // Others go on arriving.
        for sequence in 1_001..=1_400 {
            queue.add(queued(sequence, "cdr", "{}"));
            scene.run(Duration::from_secs(2));
        }
        scene.drain(Duration::from_secs(60));
        let contents = queue.contents();
        assert_eq!(contents.dead.len(), 1, "{refusal}");
        assert_eq!(contents.dead[0].attempts, 5);
    }
}

#[test]
fn a_poison_event_alone_waits_for_company_and_is_buried_then() {
    let queue = MemoryQueue::with(events(1));
    let script = |sequence, _| match sequence {
        1 => status(403),
        _ => Outcome::Delivered,
    };
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, script);
    scene.run(hours(12));
    assert!(queue.contents().dead.is_empty());
    queue.add(queued(2, "cdr", "{}"));
    scene.run(Duration::from_secs(30));
    scene.drain(Duration::from_secs(600));
    let contents = queue.contents();
    assert_eq!((contents.dead.len(), contents.delivered.len()), (1, 1));
}

#[test]
fn a_refusal_of_everything_is_said_and_ends_with_any_other_answer() {
    let queue = MemoryQueue::with(events(1_000));
    let script = |_, now: Moment| match now < at_secs(60) {
        true => status(403),
        false => refused(),
    };
    let mut scene = Scene::new(endpoint(Profile::Vos3000), &queue, 1, script);
    scene.run(Duration::from_secs(59));
    let error = scene.counts().last_error.unwrap();
    assert_eq!(error, "status 403: refuses everything");
    let said = |notice: &Notice| matches!(notice, Notice::Failing { .. });
    assert!(scene.notices.iter().any(said));
    assert!(scene.counts().refused >= u64::from(REFUSES_AFTER));
    scene.run(Duration::from_secs(20));
    assert_eq!(
        scene.counts().state,
        EndpointState::Working,
        "it judges each by itself now"
    );
}

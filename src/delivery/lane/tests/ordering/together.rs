//! Order, batches and priority beside ages, refusals of everything and alerts.

use super::*;
use crate::clock::UnixMs;
use crate::event::alert::{Alert, CLOCK_SKEW, What};

#[track_caller]
fn check_nothing_in_hand(stage: &Stage<'_>) {
    assert_eq!((stage.lane.in_hand, stage.lane.memory.held()), (0, 0));
    assert!(!stage.lane.lines.is_busy());
}

#[test]
fn what_is_too_old_is_given_up_at_once_and_in_order_whatever_it_stands_behind() {
    let strict_batches = Endpoint {
        order: Order::Strict,
        ..batched(10)
    };
    for mut endpoint in [ordered(Order::Strict), ordered(by_call()), strict_batches] {
        let order = endpoint.order.clone();
        let queue = MemoryQueue::with((1..=2_000).map(|n| keyed(n, 0)).collect());
        endpoint.max_age = hours(2);
        let mut stage = Stage::new(endpoint, &queue, 1, |_, _| Deed::IsBusy);
        stage.run(hours(2));
        assert_eq!(queue.contents().dead.len(), 0, "{order:?}");
        stage.run(Duration::from_secs(120));
        stage.commit();
        let contents = queue.contents();
        let given_up: Vec<u64> = contents
            .dead
            .iter()
            .map(|it| it.queued.sequence.0)
            .collect();
        assert_eq!(given_up, (1..=2_000).collect::<Vec<_>>(), "{order:?}");
        assert_eq!((contents.cursor, contents.waiting.len()), (2_001, 0));
        drop(contents);
        check_nothing_in_hand(&stage);
        assert_eq!(stage.lane.counts(stage.now()).expired, 2_000);
    }
}

#[test]
fn retries_that_are_too_old_are_given_up_too_when_the_endpoint_fails() {
    // Refused one by one for an hour, then down.
    let deed = |_: &[u64], now: Moment| match now < hours_from_start(1) {
        true => Deed::Refuses,
        false => Deed::IsBusy,
    };
    let queue = MemoryQueue::with(events(3_000));
    let mut endpoint = ordered(Order::None);
    endpoint.max_age = hours(4);
    endpoint.retries = RetrySchedule::new(300, Duration::from_secs(60), Duration::from_secs(60));
    let mut stage = Stage::new(endpoint, &queue, 1, deed);
    stage.run(hours(4));
    stage.run(Duration::from_secs(300));
    stage.commit();
    assert_eq!(queue.contents().dead.len(), 3_000);
    check_nothing_in_hand(&stage);
}

#[test]
fn what_is_written_down_behind_a_slow_event_does_not_overtake_it_after_a_kill() {
    let body = "x".repeat(20_000);
    let data = format!("{{\"call_id\":\"0\",\"x\":\"{body}\"}}");
    for is_refused_once in [false, true] {
        let queue = MemoryQueue::with((1..=40).map(|n| queued(n, "cdr", &data)).collect());
        let mut endpoint = ordered(by_call());
        endpoint.memory = Share::smallest();
        let mut stage = Stage::new(endpoint, &queue, 1, |_, _| Deed::Takes);
        let (now, wall) = (stage.now(), stage.clock.wall());
        let Turn::Attempt(first) = stage.lane.take(now, wall) else {
            panic!("there is something to send");
        };
        if is_refused_once {
            // It is a suspect when the others are written down.
            stage.lane.finish(*first, busy(), ROUND_TRIP, now, wall);
        }
        assert!(matches!(stage.lane.take(now, wall), Turn::Wait(_)));
        stage.commit();
        assert!(queue.contents().waiting.len() > 2);
        stage.crash(2);
        stage.drain(hours(1));
        assert_eq!(stage.taken.len(), 40);
        stage.check_order(|_| 0);
    }
}

#[test]
fn one_event_that_is_denied_takes_no_other_of_its_batch_with_it() {
    for (bad, is_strict) in [
        (Deed::Denies, false),
        (Deed::Denies, true),
        (Deed::Breaks, false),
    ] {
        let queue = MemoryQueue::with(events(200));
        let mut endpoint = batched(50);
        if is_strict {
            endpoint.order = Order::Strict;
        }
        let deed = |sequences: &[u64], _| match sequences.contains(&133) {
            true => bad,
            false => Deed::Takes,
        };
        let mut stage = Stage::new(endpoint, &queue, 1, deed);
        // Others go on arriving.
        for sequence in 201..=600 {
            queue.add(queued(sequence, "cdr", "{}"));
            stage.run(Duration::from_secs(2));
        }
        stage.drain(hours(2));
        let contents = queue.contents();
        let dead: Vec<u64> = contents
            .dead
            .iter()
            .map(|it| it.queued.sequence.0)
            .collect();
        assert_eq!(dead, [133], "{bad:?} {is_strict}");
        assert_eq!(stage.taken.len(), 599);
    }
}

#[test]
fn one_event_that_is_denied_holds_no_other_of_the_last_batch() {
    for order in [Order::None, Order::Strict] {
        let queue = MemoryQueue::with(events(50));
        let endpoint = Endpoint {
            order: order.clone(),
            ..batched(50)
        };
        let deed = |sequences: &[u64], _| match sequences.contains(&33) {
            true => Deed::Denies,
            false => Deed::Takes,
        };
        let mut stage = Stage::new(endpoint, &queue, 1, deed);
        stage.run(hours(3));
        let expected = if order.is_strict() { 32 } else { 49 };
        assert!(
            stage.taken.len() >= expected,
            "{order:?} {}",
            stage.taken.len()
        );
        assert!(stage.requests.len() < 2_000);
    }
}

#[test]
fn an_hour_of_401_loses_nothing_of_batches_and_orders() {
    let strict_batches = Endpoint {
        order: Order::Strict,
        ..batched(10)
    };
    let keyed_line = ordered(by_call());
    for endpoint in [
        batched(100),
        strict_batches,
        ordered(Order::Strict),
        keyed_line,
    ] {
        let order = endpoint.order.clone();
        let queue = MemoryQueue::with((1..=5_000).map(|n| keyed(n, n % 7)).collect());
        let deed = |_: &[u64], now: Moment| match now < hours_from_start(1) {
            true => Deed::Denies,
            false => Deed::Takes,
        };
        let mut stage = Stage::new(endpoint, &queue, 1, deed);
        stage.run(hours(1));
        assert!(stage.taken.is_empty() && queue.contents().dead.is_empty());
        assert!(stage.requests.len() < 3_000, "{}", stage.requests.len());
        stage.drain(hours(1));
        assert!(queue.contents().dead.is_empty());
        match order {
            Order::Strict => stage.check_order(|_| 0),
            Order::Key(_) => stage.check_order(|n| n % 7),
            Order::None => {}
        }
    }
}

#[test]
fn an_alert_that_is_a_priority_overtakes_the_backlog_and_none_about_itself_does() {
    let alert = |sequence, about: &str| {
        let alert = Alert {
            endpoint: about.into(),
            host: "a".to_string(),
            at: UnixMs(0),
            what: What::ClockSkew { ahead_secs: 61 },
        };
        Queued {
            event: Arc::new(alert.event(&"vos-1".into(), None)),
            ..queued(sequence, "cdr", "{}")
        }
    };
    let mut all = events(2_000);
    all.push(alert(2_001, "billing"));
    all.push(alert(2_002, "crm"));
    let queue = MemoryQueue::with(all);
    let mut endpoint = ordered(Order::None);
    endpoint.alerts.about = vec!["crm".into()];
    endpoint.priority = vec![CLOCK_SKEW.into()];
    let mut stage = Stage::new(endpoint, &queue, 1, |_, _| Deed::Takes);
    stage.drain(hours(1));
    assert_eq!(stage.requests[0], [2_002]);
    assert!(!stage.taken.contains_key(&2_001));
}

#[test]
fn a_dead_letter_that_was_found_before_it_is_recalled_is_sent_once() {
    let queue = MemoryQueue::with(events(1));
    let refuses = std::cell::Cell::new(true);
    let deed = |_: &[u64], _| match refuses.get() {
        true => Deed::Refuses,
        false => Deed::Takes,
    };
    let mut stage = Stage::new(ordered(Order::None), &queue, 1, deed);
    stage.run(Duration::from_millis(20));
    assert!(queue.contents().waiting.contains_key(&Sequence(1)));
    stage.crash(2);
    // It finds the event among those that wait, is due with it, and meets a busy endpoint.
    stage.clock.advance(hours(1));
    let (now, wall) = (stage.now(), stage.clock.wall());
    let Turn::Attempt(entry) = stage.lane.take(now, wall) else {
        panic!("it waits in the queue");
    };
    stage.lane.finish(*entry, busy(), ROUND_TRIP, now, wall);
    let places = queue.waiting_places("billing").unwrap();
    stage.lane.recall(&places, now);
    stage.requests.clear();
    refuses.set(false);
    stage.drain(hours(1));
    assert_eq!(stage.requests, [[1]]);
}

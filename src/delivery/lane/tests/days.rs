//! Days with an endpoint that does not take all of its events: what waits for days must cost the
//! others nothing. `SWITCHHOOK_DAYS=200000` is a switch with so many calls a day.

use super::*;
use crate::delivery::order::{Order, OrderKey};
use std::io::Write as _;

/// Time between two looks at how things stand.
const TICK: Duration = Duration::from_secs(20);

/// What becomes of the events that are not taken at once.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// They are refused for good.
    Permanent,
    /// They are refused for a day after they happened, and seven times in ten after that.
    Flapping,
}

/// Three days of events, of which `percent` in a hundred are not taken at once;
/// then as long as it takes.
#[track_caller]
fn check(percent: u64, fault: Fault, order: Order) {
    let a_day = std::env::var("SWITCHHOOK_DAYS").ok();
    let a_day = a_day.map(|events| events.parse::<u32>().unwrap());
    // So that more are refused in three days than there is room for.
    let fewest = Duration::from_secs(2 * percent);
    let every = a_day.map_or(fewest, |events| hours(24) / events);
    let is_ordered = order != Order::None;
    // One event in fifty has the key of the one before it.
    let key = |n: u64| n - u64::from(n.is_multiple_of(50));
    let offends =
        move |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0xffff < percent * 655;
    let mut rng = fastrand::Rng::with_seed(7);
    let happened = move |n: u64| Moment(every * u32::try_from(n).unwrap());
    let queue = MemoryQueue::with(Vec::new());
    let day = hours(24);
    let mut passed = BTreeSet::new();
    let script = |n, now: Moment| {
        let is_refused = match fault {
            Fault::Permanent => offends(n),
            Fault::Flapping => offends(n) && (now.since(happened(n)) < day || rng.u8(0..10) < 7),
        };
        if is_refused {
            return refused();
        }
        assert!(passed.insert(n), "{n} is delivered twice");
        Outcome::Delivered
    };
    let mut endpoint = endpoint(Profile::Standard);
    endpoint.order = order;
    let mut scene = Scene::new(endpoint, &queue, 1, script);
    let (mut added, mut most) = (0, 0);
    let is_healthy = |n: u64| !(offends(n) || is_ordered && offends(key(n)));
    let (mut healthy, mut seen, mut arrived) = (0, 0, 0);
    while scene.now() < Moment(3 * day) {
        while happened(added + 1) <= scene.now() {
            added += 1;
            healthy += u64::from(is_healthy(added));
            queue.add(queued(
                added,
                "cdr",
                &format!("{{\"call_id\":\"{}\"}}", key(added)),
            ));
        }
        scene.run(TICK);
        most = most.max(scene.counts().retrying);
        assert!(
            scene.lane.retries.len() < 256,
            "{}",
            scene.lane.retries.len()
        );
        assert!(scene.lane.memory.held() < 1 << 20);
        let contents = queue.contents();
        let fresh = contents.delivered.iter().skip(seen);
        arrived += fresh.filter(|sequence| is_healthy(sequence.0)).count() as u64;
        seen = contents.delivered.len();
        assert_eq!(arrived, healthy, "some wait after {:?}", scene.now());
    }
    assert!(scene.lane.later.count > 0, "nothing was put off");
    assert!(!scene.notices.contains(&Notice::HoldsBack));
    scene.drain(8 * day);
    let counts = scene.counts();
    let held = (
        scene.lane.memory.held(),
        scene.lane.in_hand,
        scene.lane.lines.is_busy(),
    );
    assert_eq!(held, (0, 0, false));
    drop(scene);
    let contents = queue.contents();
    let offending = (1..=added).filter(|n| offends(*n)).count();
    assert!(
        contents.waited_max <= KEPT_MAX + 64,
        "{}",
        contents.waited_max
    );
    assert_eq!(contents.delivered.len(), passed.len());
    assert_eq!(
        contents.delivered.len() + contents.dead.len(),
        usize::try_from(added).unwrap()
    );
    assert!(contents.dead.iter().all(|letter| letter.attempts == 10));
    match fault {
        Fault::Permanent => assert_eq!(contents.dead.len(), offending),
        Fault::Flapping => assert!(
            contents.dead.len() * 2 < offending,
            "{}",
            contents.dead.len()
        ),
    }
    let told = format!(
        "{percent} % {fault:?} ordered={is_ordered}: {added} events, {offending} refused, {most} waited at most, {} of them in the head; {} attempts, {} dead",
        contents.waited_max,
        counts.attempts,
        contents.dead.len()
    );
    if a_day.is_some() {
        let _told = writeln!(std::io::stderr(), "{told}");
    }
}

fn by_call() -> Order {
    Order::Key(OrderKey::named("call_id"))
}

#[test]
fn one_event_in_a_hundred_refused_for_days_holds_nothing_back() {
    check(1, Fault::Permanent, by_call());
}

#[test]
fn two_events_in_a_hundred_refused_for_days_hold_nothing_back() {
    check(2, Fault::Flapping, Order::None);
}

#[test]
fn one_event_in_ten_refused_for_days_holds_nothing_back() {
    check(10, Fault::Permanent, Order::None);
    check(10, Fault::Permanent, by_call());
    check(10, Fault::Flapping, Order::None);
    check(10, Fault::Flapping, by_call());
}

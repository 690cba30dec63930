//! RetrySchedule: when an event that was not taken is tried again, and when it is given up.
//!
//! The rest of this page tells what becomes of an event from its first attempt to its last, in the
//! order in which it happens, and which piece decides it. What an answer says is decided before, by
//! [`outcome`](super::outcome).
//!
//! # 1. It is the endpoint: unavailable
//!
//! 408, 425, 429, 5xx, 3xx, or no answer at all. The event keeps its attempts: they are spent only
//! while the endpoint is known to work, so an outage never turns a backlog into dead letters.
//!
//! * The first two in a row make *suspects* of their events. The next answer tells: a yes or a no to
//!   another event means that the endpoint works and that the failure was this event's alone (2.
//!   below). Without another event a suspect is itself tried again, within 0.25 s.
//! * The third in a row ([`OPEN_AFTER`]) opens the [breaker](super::breaker): the endpoint is
//!   *failing*. What is under way is not broken off. From then on one real event at a time goes out
//!   as a *probe*, the first at once, the next after waits drawn up to 0.25 s, 0.5 s, 1 s … and
//!   `probe_max` (5 s, if nothing else is written). Everything else waits. A probe that
//!   hangs holds back the next one for `probe_max` and no longer. The first answer to a probe, a yes
//!   or a no, ends it.
//! * After one second of that it is said, as `switchhook.endpoint_failing`; and when it is over, as
//!   `switchhook.endpoint_recovered`, with how long it took and how many events wait.
//! * **`Retry-After`** closes the whole endpoint for so long, at most `retry_after_max`, working or
//!   failing.
//! * **Fallbacks**: an address that has been failing for a second, or has asked for a longer pause
//!   than `probe_max`, is passed over, and the next of `fallback_urls` is sent to. It is probed on;
//!   the first probe it answers brings everything back to it ([`fallback`](super::fallback)). The
//!   endpoint is failing when all its addresses are.
//! * **410** pauses for a minute; a second one, with no other answer since and at least a minute
//!   later, stops the endpoint until `endpoints resume`. Its backlog is kept.
//! * **401, 403, 404, 405, 407** count against the event (2. below), but not when everything is
//!   answered so: twenty in a row, or a last attempt since whose first nothing has passed, and it is
//!   the endpoint after all ([`blanket`](super::blanket)).
//! * **`max_age`**: when the endpoint has been failing for an hour (or for `max_age`, where that is
//!   less), the events at its front that are older than `max_age` become dead letters, with the
//!   reason `expired`. An endpoint that works is sent everything, however old.
//!
//! # 2. It is the event: refused, or unavailable while others pass
//!
//! The event is retried on a schedule of its own, and its neighbours do not wait for it.
//!
//! * **Refused**: it is tried again after a wait drawn evenly from zero to a cap. The cap is
//!   `backoff_initial` after the first attempt, [`FACTOR`] times as long after each further one, and
//!   at most `backoff_max`. With the defaults of `standard` (10 attempts) the caps are 1 s, 8 s, 64 s,
//!   9 min, 68 min, 9 h, and three times 45 h, its `backoff_max`: three days in all on average.
//! * **Unavailable while others pass**: mostly an accident, so up to three *quick retries* come
//!   before that, after waits drawn up to 25, 100 and 400 ms. They spend no attempts.
//! * **A batch** that is refused with 400, 413 or 422 is halved, and each half sent again, until what
//!   offends stands alone; nothing is given up for the company it was in ([`batch`](super::batch)).
//! * **Order**: under `order = "strict"` or `"key"` the events behind it in its line wait with it
//!   (`on_refused = "block"`), or go on without it (`"park"`); see [`order`](super::order).
//! * `X-Switchhook-Attempt` is one more than what was counted against the event, quick retries
//!   included; in an outage it stays as it is.
//! * While it waits it is on disk, with its attempts and the last reason. What waits for long is not
//!   in memory at all ([`Queue::put_off`](crate::queue::Queue::put_off)); so what an endpoint never
//!   takes holds back nothing else, for as long as it takes the greater part.
//! * What cannot be sent at all, because its fields are longer than an address of a `GET` may be, is a
//!   dead letter at once; the endpoint is not concerned.
//! * After `attempts` it is a **dead letter**, with its last status and how that answer began.
//!   `attempts = 1` means that: neither a quick retry nor another.
//!
//! # 3. Clocks
//!
//! Waits go by the monotonic clock. What is on disk is due by the wall clock: where that was set
//! meanwhile, an event comes by as much too early, or at the latest after `backoff_max`. Signatures
//! carry the wall clock; when that is more than 60 s from a receiver's `Date`, it is said
//! (`switchhook.clock_skew`).
//!
//! # Why full jitter
//!
//! It spreads a crowd of retries best (Brooker, "Exponential Backoff And Jitter", 2015); on average
//! it halves the waits, which the profiles' figures allow for.
//!
//! [`OPEN_AFTER`]: super::breaker::OPEN_AFTER

use std::time::Duration;

/// How much longer each cap is than the one before.
///
/// The usual 2 cannot do what the `standard` profile promises: nine doublings from 1 s are nine
/// minutes, not three days.
pub const FACTOR: u32 = 8;

/// Cap of the wait before the first quick retry. The event holds the window back while it waits:
/// [`WINDOW_EVENTS`](super::window::WINDOW_EVENTS) are sent in some 100 ms to a receiver that is fast, and
/// of one that fails at random there is always one waiting nearly as long as it may.
const QUICK_INITIAL: Duration = Duration::from_millis(25);

/// How much longer the cap of each further quick retry is: few events come to it, and an accident
/// that lasts longer is not met by all of them.
const QUICK_FACTOR: u32 = 4;

/// Most quick retries of one event: one failure in 50 at random then leaves one event in six
/// million that has to wait for the schedule proper, so a drain does not end in a long tail.
const QUICK_MAX: u32 = 3;

/// When an event is tried again, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    /// Most attempts for one event. At least 1.
    pub attempts: u32,
    /// Cap of the first wait.
    pub initial: Duration,
    /// Cap of every wait.
    pub max: Duration,
}

/// What becomes of an event after an attempt that counts against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is tried again soon; not worth writing down, and no attempt is spent.
    Soon(Duration),
    /// It is kept, and tried again after this time.
    Keep(Duration),
    /// It has had its attempts.
    Bury,
}

impl RetrySchedule {
    /// A schedule of at least one attempt.
    pub fn new(attempts: u32, initial: Duration, max: Duration) -> RetrySchedule {
        RetrySchedule {
            attempts: attempts.max(1),
            initial,
            max,
        }
    }

    /// What follows an endpoint's "no" after `made` attempts: the schedule.
    pub fn after_refusal(&self, made: u32, rng: &mut fastrand::Rng) -> Next {
        if made >= self.attempts {
            return Next::Bury;
        }
        Next::Keep(draw(self.cap(made), rng))
    }

    /// What follows after `made` attempts and `quick` quick retries when the endpoint failed at
    /// this event while others passed: quick retries while there are any left, then the schedule.
    ///
    /// Mostly such a failure was an accident and the next attempt passes. Quick retries are no
    /// attempts of the schedule: an endpoint that fails at random, however often, would else use
    /// them up within a second, and its waits would grow with each. An event that may be tried
    /// once only is not tried again.
    pub fn after_accident(&self, made: u32, quick: u32, rng: &mut fastrand::Rng) -> Next {
        if self.attempts > 1 && quick < QUICK_MAX {
            let cap = QUICK_INITIAL.saturating_mul(QUICK_FACTOR.saturating_pow(quick));
            Next::Soon(draw(cap.min(self.max), rng))
        } else {
            self.after_refusal(made, rng)
        }
    }

    /// Cap of the wait after attempt number `made` (from 1).
    fn cap(&self, made: u32) -> Duration {
        let factor = FACTOR.saturating_pow(made.saturating_sub(1));
        self.initial.saturating_mul(factor).min(self.max)
    }
}

/// An even draw from zero to `cap`, to the microsecond.
pub(super) fn draw(cap: Duration, rng: &mut fastrand::Rng) -> Duration {
    Duration::from_micros(rng.u64(0..=u64::try_from(cap.as_micros()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::profile::Profile;

    fn of(profile: Profile) -> RetrySchedule {
        let defaults = profile.defaults();
        RetrySchedule::new(
            defaults.attempts,
            defaults.backoff_initial,
            defaults.backoff_max,
        )
    }

    /// All the waits of one event that is refused every time.
    fn waits(schedule: &RetrySchedule, rng: &mut fastrand::Rng) -> Vec<Duration> {
        let next = |made| match schedule.after_refusal(made, rng) {
            Next::Keep(wait) => Some(wait),
            Next::Bury => None,
            Next::Soon(wait) => panic!("a refusal is not retried after {wait:?}"),
        };
        (1..).map_while(next).collect()
    }

    #[track_caller]
    fn check_span(profile: Profile, waits_expected: usize, span: std::ops::Range<f64>) {
        let mut rng = fastrand::Rng::with_seed(7);
        let rounds = 2_000;
        let mut total = 0.0;
        for _ in 0..rounds {
            let waits = waits(&of(profile), &mut rng);
            assert_eq!(waits.len(), waits_expected);
            total += waits.iter().sum::<Duration>().as_secs_f64();
        }
        let mean_secs = total / f64::from(rounds);
        assert!(span.contains(&mean_secs), "{profile:?}: {mean_secs} s");
    }

    #[test]
    fn each_profile_s_attempts_span_what_it_promises() {
        let day = 86_400.0;
        check_span(Profile::Standard, 9, 2.9 * day..3.2 * day);
        check_span(Profile::Vos3000, 4, 270.0..310.0);
    }

    #[test]
    fn the_caps_of_the_standard_profile_are_those_told_above() {
        let schedule = of(Profile::Standard);
        let caps: Vec<u64> = (1..10).map(|made| schedule.cap(made).as_secs()).collect();
        let longest = 45 * 3_600;
        let told = [1, 8, 64, 512, 4_096, 32_768, longest, longest, longest];
        assert_eq!(caps, told);
    }

    #[test]
    fn no_wait_is_above_its_cap() {
        let schedule = RetrySchedule::new(6, Duration::from_secs(1), Duration::from_secs(100));
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..1_000 {
            let caps = [1, 8, 64, 100, 100].map(Duration::from_secs);
            for (wait, cap) in waits(&schedule, &mut rng).into_iter().zip(caps) {
                assert!(wait <= cap, "{wait:?} of {cap:?}");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let of_seed = |seed| waits(&of(Profile::Standard), &mut fastrand::Rng::with_seed(seed));
        assert_eq!(of_seed(3), of_seed(3));
        assert_ne!(of_seed(3), of_seed(4));
    }

    #[test]
    fn an_accident_is_retried_quickly_before_the_schedule_begins() {
        let mut rng = fastrand::Rng::with_seed(1);
        let schedule = of(Profile::Vos3000);
        for quick in 0..QUICK_MAX {
            let next = schedule.after_accident(1, quick, &mut rng);
            assert!(
                matches!(next, Next::Soon(wait) if wait <= Duration::from_millis(400)),
                "{quick}: {next:?}"
            );
        }
        for _ in 0..100 {
            let next = schedule.after_accident(1, QUICK_MAX, &mut rng);
            assert!(
                matches!(next, Next::Keep(wait) if wait <= Duration::from_secs(1)),
                "the schedule begins at its first wait: {next:?}"
            );
        }
        assert_eq!(schedule.after_accident(5, QUICK_MAX, &mut rng), Next::Bury);
    }

    #[test]
    fn the_last_wait_is_never_a_quick_one() {
        let mut rng = fastrand::Rng::with_seed(1);
        let two = RetrySchedule::new(2, Duration::from_secs(1), Duration::from_secs(60));
        assert!(matches!(two.after_accident(1, 2, &mut rng), Next::Soon(_)));
        assert!(matches!(two.after_accident(1, 3, &mut rng), Next::Keep(_)));
        assert_eq!(two.after_accident(2, 3, &mut rng), Next::Bury);
        let one = RetrySchedule::new(0, Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(one.after_accident(1, 0, &mut rng), Next::Bury);
    }
}

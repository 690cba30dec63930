//! Breaker: whether an endpoint works, as far as its answers tell.
//!
//! Attempts are spent only while an endpoint is known to work. After [`OPEN_AFTER`] answers in a
//! row that say "not now", it is *failing*: from then on a single event at a time goes out as a
//! probe, and everything else waits without losing attempts.
//!
//! The answers are counted as they come in, so with 16 attempts under way a random 2 % of
//! failures gives three in a row once in 125,000 answers. A breaker opened by such an accident
//! probes at once and is closed again after one round trip.

use super::retry::draw;
use crate::clock::Moment;
use std::time::Duration;

/// Unavailable answers in a row after which an endpoint is failing (the second published guide's
/// "circuit breaker after 3 consecutive failures").
pub const OPEN_AFTER: u32 = 3;

/// Cap of the wait before the second probe; the first goes out at once, and each further cap is
/// twice the one before, up to the endpoint's `probe_max`.
pub const PROBE_INITIAL: Duration = Duration::from_millis(250);

/// Whether an endpoint works, and when it may be sent something.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: State,
    /// The endpoint's own wish: nothing is sent before.
    paused_until: Moment,
    probe_max: Duration,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Working {
        /// Unavailable answers since the last other one. Below [`OPEN_AFTER`].
        run: u32,
    },
    Failing {
        since: Moment,
        /// The next probe goes out no earlier.
        probe_at: Moment,
        /// When the latest probe still under way went out.
        probing_since: Option<Moment>,
        /// Probes sent.
        probes: u32,
    },
}

/// What may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Anything.
    Open,
    /// One event, as a probe.
    Probe,
    /// Nothing before this moment.
    ShutUntil(Moment),
}

/// What an unavailable answer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// The endpoint still counts as working.
    Suspected,
    /// The endpoint is failing from now on.
    Opened,
    /// The endpoint was failing already.
    StillFailing,
}

/// An endpoint that was failing works again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// For how long it was failing.
    pub failing_for: Duration,
    /// How many probes that took.
    pub probes: u32,
}

impl Breaker {
    /// A breaker that takes the endpoint to work, and probes it at least every `probe_max` when
    /// it does not.
    pub fn new(probe_max: Duration) -> Breaker {
        Breaker {
            state: State::Working { run: 0 },
            paused_until: Moment::default(),
            probe_max,
        }
    }

    /// Whether the endpoint is failing.
    pub fn is_failing(&self) -> bool {
        matches!(self.state, State::Failing { .. })
    }

    /// Since when the endpoint is failing, if it is.
    pub fn failing_since(&self) -> Option<Moment> {
        match self.state {
            State::Working { .. } => None,
            State::Failing { since, .. } => Some(since),
        }
    }

    /// Whether the latest answer was one.
    pub fn is_sound(&self) -> bool {
        matches!(self.state, State::Working { run: 0 })
    }

    /// What may be sent at `now`.
    ///
    /// A probe that hangs holds the next one back for `probe_max` and no longer: else an endpoint
    /// that comes back while a probe waits for its 30 s timeout would be noticed 30 s late.
    pub fn gate(&self, now: Moment) -> Gate {
        let may_send_at = match self.state {
            State::Working { .. } => self.paused_until,
            State::Failing {
                probe_at,
                probing_since,
                ..
            } => {
                let answered_by = probing_since.map_or(probe_at, |since| since + self.probe_max);
                self.paused_until.max(probe_at).max(answered_by)
            }
        };
        if may_send_at > now {
            Gate::ShutUntil(may_send_at)
        } else if self.is_failing() {
            Gate::Probe
        } else {
            Gate::Open
        }
    }

    /// A probe goes out.
    pub fn probe_sent(&mut self, now: Moment) {
        if let State::Failing {
            probing_since,
            probes,
            ..
        } = &mut self.state
        {
            *probing_since = Some(now);
            *probes = probes.saturating_add(1);
        }
    }

    /// The endpoint answered, with a yes or a no to the event: it works.
    pub fn answered(&mut self, now: Moment) -> Option<Recovered> {
        let before = std::mem::replace(&mut self.state, State::Working { run: 0 });
        match before {
            State::Working { .. } => None,
            State::Failing { since, probes, .. } => Some(Recovered {
                failing_for: now.since(since),
                probes,
            }),
        }
    }

    /// The endpoint could not take an event. `after` is its own wish for a pause.
    pub fn unavailable(
        &mut self,
        now: Moment,
        was_probe: bool,
        after: Option<Duration>,
        rng: &mut fastrand::Rng,
    ) -> Unavailable {
        if let Some(after) = after {
            self.paused_until = self.paused_until.max(now + after);
        }
        match &mut self.state {
            State::Working { run } => {
                *run += 1;
                if *run < OPEN_AFTER {
                    return Unavailable::Suspected;
                }
                self.state = State::Failing {
                    since: now,
                    probe_at: now,
                    probing_since: None,
                    probes: 0,
                };
                Unavailable::Opened
            }
            State::Failing {
                probe_at,
                probing_since,
                probes,
                ..
            } => {
                if was_probe {
                    *probing_since = None;
                    let doublings = probes.saturating_sub(1).min(31);
                    let cap = PROBE_INITIAL
                        .saturating_mul(1_u32 << doublings)
                        .min(self.probe_max);
                    *probe_at = now + draw(cap, rng);
                }
                Unavailable::StillFailing
            }
        }
    }

    /// Whoever knows that the endpoint is back says so: it may be asked at once.
    pub fn resume(&mut self, now: Moment) {
        self.paused_until = Moment::default();
        if let State::Failing {
            probe_at,
            probing_since,
            ..
        } = &mut self.state
        {
            (*probe_at, *probing_since) = (now, None);
        }
    }

    /// The endpoint has shown that it takes nothing at all: no further answer is waited for.
    pub fn failed_at_once(
        &mut self,
        now: Moment,
        was_probe: bool,
        rng: &mut fastrand::Rng,
    ) -> Unavailable {
        if let State::Working { run } = &mut self.state {
            *run = OPEN_AFTER - 1;
        }
        self.unavailable(now, was_probe, None, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE_MAX: Duration = Duration::from_secs(5);

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    fn failing(now: Moment, rng: &mut fastrand::Rng) -> Breaker {
        let mut breaker = Breaker::new(PROBE_MAX);
        for expected in [
            Unavailable::Suspected,
            Unavailable::Suspected,
            Unavailable::Opened,
        ] {
            assert_eq!(breaker.unavailable(now, false, None, rng), expected);
        }
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut breaker = Breaker::new(PROBE_MAX);
        for _ in 0..100 {
            breaker.unavailable(at(0), false, None, &mut rng);
            breaker.unavailable(at(0), false, None, &mut rng);
            assert_eq!(breaker.answered(at(0)), None);
        }
        assert_eq!(breaker.gate(at(0)), Gate::Open);
        assert!(failing(at(0), &mut rng).is_failing());
    }

    #[test]
    fn the_first_probe_goes_out_at_once_and_alone() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut breaker = failing(at(10), &mut rng);
        assert_eq!(breaker.gate(at(10)), Gate::Probe);
        breaker.probe_sent(at(10));
        assert_eq!(breaker.gate(at(11)), Gate::ShutUntil(at(5_010)));
        assert_eq!(
            breaker.answered(at(90)),
            Some(Recovered {
                failing_for: Duration::from_millis(80),
                probes: 1
            })
        );
        assert_eq!(breaker.gate(at(90)), Gate::Open);
    }

    #[test]
    fn a_probe_that_hangs_does_not_hold_back_the_next_for_ever() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut breaker = failing(at(0), &mut rng);
        breaker.probe_sent(at(0));
        assert_eq!(breaker.gate(at(4_999)), Gate::ShutUntil(at(5_000)));
        assert_eq!(breaker.gate(at(5_000)), Gate::Probe);
    }

    #[test]
    fn waits_between_probes_grow_to_their_bound_and_stay_there() {
        let mut rng = fastrand::Rng::with_seed(9);
        let mut breaker = failing(at(0), &mut rng);
        let mut now = at(0);
        let mut longest = Duration::ZERO;
        for probe in 0..200_u32 {
            assert_eq!(breaker.gate(now), Gate::Probe);
            breaker.probe_sent(now);
            breaker.unavailable(now, true, None, &mut rng);
            let Gate::ShutUntil(next) = breaker.gate(now) else {
                continue;
            };
            let wait = next.since(now);
            let cap = PROBE_INITIAL
                .saturating_mul(2_u32.saturating_pow(probe))
                .min(PROBE_MAX);
            assert!(wait <= cap, "probe {probe}: {wait:?}");
            longest = longest.max(wait);
            now = next;
        }
        assert!(longest > Duration::from_secs(4), "{longest:?}");
    }

    #[test]
    fn late_failures_of_attempts_from_before_do_not_move_the_probe() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut breaker = failing(at(0), &mut rng);
        for _ in 0..13 {
            assert_eq!(
                breaker.unavailable(at(1), false, None, &mut rng),
                Unavailable::StillFailing
            );
        }
        assert_eq!(breaker.gate(at(1)), Gate::Probe);
    }

    #[test]
    fn a_wish_for_a_pause_holds_while_working_and_while_failing() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut breaker = Breaker::new(PROBE_MAX);
        breaker.unavailable(at(0), false, Some(Duration::from_secs(120)), &mut rng);
        assert_eq!(breaker.gate(at(1)), Gate::ShutUntil(at(120_000)));
        breaker.answered(at(2));
        assert_eq!(breaker.gate(at(3)), Gate::ShutUntil(at(120_000)));
        let mut breaker = failing(at(0), &mut rng);
        breaker.probe_sent(at(0));
        breaker.unavailable(at(0), true, Some(Duration::from_secs(60)), &mut rng);
        assert_eq!(breaker.gate(at(59_999)), Gate::ShutUntil(at(60_000)));
        assert_eq!(breaker.gate(at(60_000)), Gate::Probe);
    }
}

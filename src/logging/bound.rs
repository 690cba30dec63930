//! Bound: how many lines a second may leave, so that no fault can flood the switch's syslog.

use crate::clock::Moment;
use log::Level;
use std::time::Duration;

/// Lines that may leave at once after a quiet time: as many as rsyslog 7 takes from one process in
/// 5 s (`SysSock.RateLimit`) before it drops lines of its own choosing, and twice what a start
/// with 64 endpoints and 32 sources says.
pub const BURST_LINES_MAX: u32 = 200;

/// Lines a second that may leave for as long as it takes: with the burst this is 800 in 30 s, and
/// journald up to version 239 takes 1,000 from one service.
pub const LINES_PER_SEC_MAX: u32 = 20;

/// The same for lines of level error, apart from the others so that those cannot use it up: an
/// error is the operator's to act on, and there are few kinds of them.
pub const ERROR_BURST_LINES_MAX: u32 = 1_000;

/// Errors a second that may leave for as long as it takes.
pub const ERROR_LINES_PER_SEC_MAX: u32 = 100;

/// Lines of single attempts that may leave at once after a quiet time: they repeat what `endpoint
/// failing` and the summaries say, and with them all lines but errors are 1,000 in 30 s.
pub const ATTEMPT_BURST_LINES_MAX: u32 = 50;

/// Lines of single attempts a second that may leave for as long as it takes.
pub const ATTEMPT_LINES_PER_SEC_MAX: u32 = 5;

/// Three allowances that fill with time: for errors, for single attempts, for all other lines.
#[derive(Debug)]
pub struct Bound {
    errors: Allowance,
    attempts: Allowance,
    others: Allowance,
}

impl Bound {
    /// A bound with all allowances full.
    pub fn new(now: Moment) -> Bound {
        Bound {
            errors: Allowance::full(ERROR_BURST_LINES_MAX, ERROR_LINES_PER_SEC_MAX, now),
            attempts: Allowance::full(ATTEMPT_BURST_LINES_MAX, ATTEMPT_LINES_PER_SEC_MAX, now),
            others: Allowance::full(BURST_LINES_MAX, LINES_PER_SEC_MAX, now),
        }
    }

    /// Whether a line of `level`, or one of a single attempt, may leave now; if so, it is charged.
    pub fn admits(&mut self, level: Level, is_attempt: bool, now: Moment) -> bool {
        match level {
            _ if is_attempt => self.attempts.admits(now),
            Level::Error => self.errors.admits(now),
            _ => self.others.admits(now),
        }
    }
}

/// A token bucket that counts in time: a line costs the time in which its token grows.
#[derive(Debug)]
struct Allowance {
    saved: Duration,
    saved_max: Duration,
    line_cost: Duration,
    counted_at: Moment,
}

impl Allowance {
    fn full(burst: u32, per_sec: u32, now: Moment) -> Allowance {
        let line_cost = Duration::from_secs(1) / per_sec;
        Allowance {
            saved: line_cost * burst,
            saved_max: line_cost * burst,
            line_cost,
            counted_at: now,
        }
    }

    fn admits(&mut self, now: Moment) -> bool {
        let saved = self.saved.saturating_add(now.since(self.counted_at));
        self.saved = saved.min(self.saved_max);
        self.counted_at = now;
        match self.saved.checked_sub(self.line_cost) {
            Some(rest) => {
                self.saved = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(bound: &mut Bound, level: Level, lines: u32, now: Moment) -> u32 {
        (0..lines)
            .map(|_| u32::from(bound.admits(level, false, now)))
            .sum()
    }

    #[test]
    fn a_burst_passes_and_then_a_steady_trickle() {
        let mut bound = Bound::new(Moment::default());
        let start = Moment::default();
        assert_eq!(
            admitted(&mut bound, Level::Info, 5_000, start),
            BURST_LINES_MAX
        );
        for second in 1..=60 {
            let now = start + Duration::from_secs(second);
            assert_eq!(
                admitted(&mut bound, Level::Warn, 5_000, now),
                LINES_PER_SEC_MAX
            );
        }
    }

    #[test]
    fn attempts_use_up_nothing_but_their_own() {
        let mut bound = Bound::new(Moment::default());
        let start = Moment::default();
        let attempts = (0..5_000).filter(|_| bound.admits(Level::Info, true, start));
        assert_eq!(attempts.count(), ATTEMPT_BURST_LINES_MAX as usize);
        assert_eq!(
            admitted(&mut bound, Level::Info, 5_000, start),
            BURST_LINES_MAX
        );
    }

    #[test]
    fn a_flood_of_warnings_does_not_use_up_the_errors() {
        let mut bound = Bound::new(Moment::default());
        admitted(&mut bound, Level::Warn, 5_000, Moment::default());
        let errors = admitted(&mut bound, Level::Error, 5_000, Moment::default());
        assert_eq!(errors, ERROR_BURST_LINES_MAX);
    }

    #[test]
    fn a_long_quiet_time_saves_no_more_than_one_burst() {
        let mut bound = Bound::new(Moment::default());
        let later = Moment(Duration::from_secs(86_400));
        assert_eq!(
            admitted(&mut bound, Level::Info, 5_000, later),
            BURST_LINES_MAX
        );
    }
}

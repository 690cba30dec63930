//! Looks: when the files of a source are looked at whole.
//!
//! A look costs a `stat` for each file there is, however old: with a year of hourly files some ten
//! milliseconds. It may take a small share of the time only, as far as nothing waits too long for it.
//! Between two looks the open files are
//! glanced at, and the directory watch calls for a look when names change or a file that is not
//! open is written to.

use crate::clock::Moment;
use std::time::Duration;

/// Shortest time from one look to the next that something calls for.
pub const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// A look that is called for follows the last one after so many times what that took: where names
/// change all the time, a tenth of it goes into looking.
const CALLED_AFTER: u32 = 9;

/// The same for looks of the poll where nobody watches the directories: a fiftieth.
const UNWATCHED_AFTER: u32 = 49;

/// The same where the directories are watched, and a look finds only what the watch cannot see.
const WATCHED_AFTER: u32 = 1_999;

/// Longest wait of a look that is called for. On a machine that stands still a look seems dear, and
/// a rotation may delete meanwhile what was not seen.
const CALLED_MOST: Duration = Duration::from_secs(2);

/// Longest time between two looks, unless `poll` is longer: so late at most is found what a watch
/// cannot see, as the target of a link that is not the newest file.
const LOOK_AT_LEAST: Duration = Duration::from_secs(60);

/// When a source's files were looked at, and what that took.
#[derive(Debug, Clone, Copy)]
pub struct Looks {
    /// When the last look ended.
    ended_at: Moment,
    took: Duration,
    /// Something has happened since that only a look explains.
    is_called_for: bool,
}

impl Looks {
    /// None yet, at `now`.
    pub fn none(now: Moment) -> Looks {
        Looks {
            ended_at: now,
            took: Duration::ZERO,
            is_called_for: true,
        }
    }

    /// Takes in that a look began and ended.
    pub fn looked(&mut self, began: Moment, ended: Moment) {
        *self = Looks {
            ended_at: ended,
            took: ended.since(began),
            is_called_for: false,
        };
    }

    /// Something calls for a look; says when it may begin.
    pub fn call(&mut self) -> Moment {
        self.is_called_for = true;
        self.ended_at + LOOK_PAUSE.max((self.took * CALLED_AFTER).min(CALLED_MOST))
    }

    /// Whether the files have to be looked at when the poll is due at `now`; otherwise a glance at
    /// the open ones is enough. Where not all `is_settled`, the poll means a look.
    pub fn are_due(&self, now: Moment, is_watched: bool, is_settled: bool) -> bool {
        let after = match is_watched && is_settled {
            true => WATCHED_AFTER,
            false => UNWATCHED_AFTER,
        };
        let pause = (self.took * after).min(LOOK_AT_LEAST);
        self.is_called_for || now.since(self.ended_at) >= pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock, UnixMs};

    /// Whether a poll `after_ms` after a look that took `took_us` is another look.
    #[track_caller]
    fn check(took_us: u64, after_ms: u64, is_watched: bool, is_settled: bool, expected: bool) {
        let began = ManualClock::at(UnixMs(0)).now();
        let ended = began + Duration::from_micros(took_us);
        let mut looks = Looks::none(began);
        assert!(looks.are_due(began, is_watched, is_settled));
        looks.looked(began, ended);
        let now = ended + Duration::from_millis(after_ms);
        assert_eq!(
            looks.are_due(now, is_watched, is_settled),
            expected,
            "{looks:?}"
        );
        looks.call();
        assert!(looks.are_due(now, is_watched, is_settled));
    }

    #[test]
    fn a_cheap_look_is_made_at_each_poll_and_a_dear_one_takes_a_small_share_of_the_time() {
        check(100, 1_000, true, true, true);
        check(100, 1_000, false, true, true);
        check(20_000, 1_000, false, true, true);
        check(20_000, 900, false, true, false);
        check(20_000, 1_000, true, false, true);
        check(20_000, 1_000, true, true, false);
        check(20_000, 39_000, true, true, false);
        check(20_000, 40_000, true, true, true);
        check(200_000, 59_000, true, true, false);
        check(200_000, 60_000, true, true, true);
        check(3_000_000, 59_000, true, true, false);
        check(3_000_000, 60_000, true, true, true);
        check(60_000_000, 59_000, false, true, false);
        check(60_000_000, 60_000, false, true, true);
    }

    #[test]
    fn a_look_that_is_called_for_waits_for_a_moment_and_longer_where_looks_are_dear() {
        let began = ManualClock::at(UnixMs(0)).now();
        for (took_ms, wait_ms) in [(0, 50), (1, 50), (20, 180), (60_000, 2_000)] {
            let mut looks = Looks::none(began);
            let ended = began + Duration::from_millis(took_ms);
            looks.looked(began, ended);
            assert_eq!(looks.call(), ended + Duration::from_millis(wait_ms));
        }
    }
}

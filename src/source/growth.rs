//! Growth: how fast a file grows, for what may have been written and cut off between two looks.

use crate::clock::UnixMs;
use std::time::Duration;

/// Time over which growth is measured: long enough for a mean at a few rows a second, short enough
/// to follow the hours of a day.
const MEASURED_OVER: Duration = Duration::from_secs(2);

/// Shortest time that says how fast a file grows: below it one row more or less is most of it.
const MEASURED_OVER_MIN: Duration = Duration::from_millis(100);

/// How fast a file has grown of late, by what was seen of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Growth {
    /// A stretch of time that is over.
    before: Stretch,
    /// The one since.
    now: Stretch,
    /// When the file's size was last seen.
    seen_at: Option<UnixMs>,
    /// Bytes that were found by reading on since then.
    beyond: u64,
}

/// So many bytes in so much time.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    bytes: u64,
    lasted: Duration,
}

impl Growth {
    /// Takes in that the file is longer by `bytes`, or by none, than when it was seen before.
    pub fn seen(&mut self, bytes: u64, now: UnixMs) {
        if let Some(seen_at) = self.seen_at {
            self.now.bytes += bytes + std::mem::take(&mut self.beyond);
            self.now.lasted += now.since(seen_at);
            if self.now.lasted >= MEASURED_OVER {
                self.before = std::mem::take(&mut self.now);
            }
        }
        self.seen_at = Some(now);
    }

    /// Takes in that reading found the file longer by `bytes` than was known.
    pub fn read_on(&mut self, bytes: u64) {
        self.beyond += bytes;
    }

    /// Takes in that the file begins anew, and was seen as it is at `now`.
    pub fn begin_anew(&mut self, now: UnixMs) {
        (self.seen_at, self.beyond) = (Some(now), 0);
    }

    /// About how many bytes were written since the file was last seen and are not there any more,
    /// if it was cut off since and `left` bytes are in it at `now`.
    pub fn unseen(&self, left: u64, now: UnixMs) -> u64 {
        let Some(seen_at) = self.seen_at else {
            return 0;
        };
        let lasted = self.before.lasted + self.now.lasted;
        if lasted < MEASURED_OVER_MIN {
            return 0;
        }
        let bytes = u128::from(self.before.bytes + self.now.bytes);
        let written = bytes * now.since(seen_at).as_nanos() / lasted.as_nanos();
        let written = u64::try_from(written).unwrap_or(u64::MAX);
        written.saturating_sub(self.beyond).saturating_sub(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is looked at each 10 ms and has grown by `bytes` each time, for `looks` looks.
    fn steady(bytes: u64, looks: i64) -> Growth {
        let mut growth = Growth::default();
        (0..looks).for_each(|look| growth.seen(bytes, UnixMs(look * 10)));
        growth
    }

    #[track_caller]
    fn check(growth: Growth, left: u64, now_ms: i64, expected: u64) {
        assert_eq!(growth.unseen(left, UnixMs(now_ms)), expected, "{growth:?}");
    }

    #[test]
    fn what_a_steady_file_has_lost_is_what_it_would_have_grown_by() {
        let growth = steady(500, 101); // Seen last after 1,000 ms.
        check(growth, 0, 1_010, 500);
        check(growth, 200, 1_010, 300);
        check(growth, 900, 1_010, 0);
        check(growth, 0, 1_000, 0);
        let mut read_on = growth;
        read_on.read_on(100);
        check(read_on, 0, 1_010, 400);
    }

    #[test]
    fn growth_of_long_ago_says_nothing_of_now() {
        let mut growth = steady(500, 101);
        for second in 2..8 {
            growth.seen(0, UnixMs(second * 1_000));
        }
        check(growth, 0, 8_000, 0);
    }

    #[test]
    fn a_file_seen_for_a_moment_has_no_pace() {
        check(steady(500, 5), 0, 10_000, 0);
        check(Growth::default(), 0, 10_000, 0);
    }

    #[test]
    fn a_new_life_keeps_the_pace_and_owes_nothing() {
        let mut growth = steady(500, 101);
        growth.begin_anew(UnixMs(1_010));
        check(growth, 0, 1_010, 0);
        check(growth, 0, 1_020, 500);
    }
}

//! Latencies: how long an endpoint's attempts took of late, in a table of fixed size.

use crate::clock::Moment;
use std::time::Duration;

/// How long attempts are remembered at least; at most twice as long.
///
/// Long enough that a percentile of a quiet endpoint says something, short enough that it speaks
/// of now.
pub const KEPT_FOR: Duration = Duration::from_secs(300);

/// Buckets: four for each doubling, from 1 µs to beyond the longest time an attempt may take.
/// A reading is at most a quarter above the true value.
const BUCKETS: usize = 4 * 40;

/// How long attempts took of late: two tables, the older of which is dropped every [`KEPT_FOR`].
/// About 1.3 KiB.
#[derive(Debug, Clone)]
pub struct Latencies {
    current: Box<[u32; BUCKETS]>,
    before: Box<[u32; BUCKETS]>,
    /// The longest time in `current`, and in `before`.
    longest: [Duration; 2],
    since: Moment,
}

/// Percentiles of how long attempts took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// Attempts counted.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: Duration,
    /// 95 of a hundred took no longer.
    pub p95: Duration,
    /// 99 of a hundred took no longer.
    pub p99: Duration,
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies {
            current: Box::new([0; BUCKETS]),
            before: Box::new([0; BUCKETS]),
            longest: [Duration::ZERO; 2],
            since: Moment::default(),
        }
    }
}

impl Latencies {
    /// Counts an attempt that ended at `now` and took `elapsed`.
    pub fn note(&mut self, elapsed: Duration, now: Moment) {
        let age = now.since(self.since);
        if age >= KEPT_FOR {
            std::mem::swap(&mut self.current, &mut self.before);
            self.current.fill(0);
            self.longest = [Duration::ZERO, self.longest[0]];
            if age >= KEPT_FOR * 2 {
                self.before.fill(0);
                self.longest = [Duration::ZERO; 2];
            }
            self.since = now;
        }
        self.longest[0] = self.longest[0].max(elapsed);
        if let Some(count) = self.current.get_mut(bucket(elapsed)) {
            *count = count.saturating_add(1);
        }
    }

    /// The percentiles of what is remembered: never above the longest time that is.
    pub fn percentiles(&self) -> Percentiles {
        let counts = || {
            let pairs = self.current.iter().zip(self.before.iter());
            pairs.map(|(current, before)| u64::from(*current) + u64::from(*before))
        };
        let count: u64 = counts().sum();
        let longest = self.longest[0].max(self.longest[1]);
        let at = |hundredths: u64| {
            let rank = (count * hundredths).div_ceil(100).max(1);
            let mut seen = 0;
            let place = counts().position(|more| {
                seen += more;
                seen >= rank
            });
            place.map_or(Duration::ZERO, top).min(longest)
        };
        Percentiles {
            count,
            p50: at(50),
            p95: at(95),
            p99: at(99),
        }
    }
}

/// The bucket of a time: its highest bit, and the two below it.
fn bucket(elapsed: Duration) -> usize {
    let micros = u64::try_from(elapsed.as_micros())
        .unwrap_or(u64::MAX)
        .max(4);
    let high = micros.ilog2();
    let below = (micros >> (high - 2)) & 3;
    let place = (high as usize) * 4 + usize::try_from(below).unwrap_or(0);
    place.min(BUCKETS - 1)
}

/// The longest time of a bucket.
fn top(place: usize) -> Duration {
    let (high, below) = (place / 4, (place % 4) as u64);
    let step = 1_u64 << high.saturating_sub(2);
    Duration::from_micros((4 + below + 1) * step - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment(Duration::from_secs(secs))
    }

    #[test]
    fn a_percentile_is_never_below_the_truth_nor_a_quarter_above() {
        let mut latencies = Latencies::default();
        for millis in 1..=1_000 {
            latencies.note(Duration::from_millis(millis), at(1));
        }
        let found = latencies.percentiles();
        assert_eq!(found.count, 1_000);
        for (found, millis) in [(found.p50, 500), (found.p95, 950), (found.p99, 990)] {
            let truth = Duration::from_millis(millis);
            assert!(found >= truth && found <= truth * 5 / 4, "{found:?}");
        }
    }

    #[test]
    fn a_percentile_is_never_above_the_longest_time_that_was_seen() {
        let mut latencies = Latencies::default();
        let limit = Duration::from_secs(15);
        latencies.note(limit, at(1));
        let found = latencies.percentiles();
        assert_eq!((found.p50, found.p99), (limit, limit));
        // The longest goes with the table it is in.
        latencies.note(Duration::from_millis(1_500), at(301));
        assert_eq!(latencies.percentiles().p99, limit);
        latencies.note(Duration::from_millis(1_400), at(602));
        assert_eq!(latencies.percentiles().p99, Duration::from_millis(1_500));
        latencies.note(Duration::from_millis(1_300), at(5_000));
        assert_eq!(latencies.percentiles().p99, Duration::from_millis(1_300));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut latencies = Latencies::default();
        latencies.note(Duration::from_secs(9), at(1));
        latencies.note(Duration::from_millis(1), at(301));
        assert_eq!(latencies.percentiles().count, 2);
        latencies.note(Duration::from_millis(1), at(602));
        assert_eq!(latencies.percentiles().count, 2);
        assert!(latencies.percentiles().p99 < Duration::from_millis(2));
        latencies.note(Duration::from_millis(1), at(5_000));
        assert_eq!(latencies.percentiles().count, 1);
    }

    #[test]
    fn no_time_falls_out_of_the_table() {
        let mut latencies = Latencies::default();
        latencies.note(Duration::ZERO, at(0));
        latencies.note(Duration::MAX, at(0));
        assert_eq!(latencies.percentiles().count, 2);
        assert_eq!(Latencies::default().percentiles(), Percentiles::default());
    }
}

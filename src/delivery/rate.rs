//! Rate: how many requests an endpoint gets in a stretch of time, at most.
//!
//! Two rules, both of which a request has to meet:
//!
//! * a **bucket**: one token each interval, and at most a twentieth of
//!   the count saved up, so that a thread that wakes late is made up for and a quiet minute is not
//!   followed by a whole minute's requests in one burst;
//! * a **log** of the last `count` requests: the one that goes out now and the one `count` before
//!   it are at least `per` apart.
//!
//! So whatever stretch of length `per` a receiver counts in, it never sees more than `count`, to
//! the nanosecond; and of a stretch of sixty it sees sixty times that, but for the lateness of
//! threads, which the log cannot make up for. Probes and repeats count as any request does.
//!
//! The time comes in as a parameter; nothing here waits.

use crate::clock::Moment;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Most requests in a stretch: the log of them takes 16 bytes each, 160 KB an endpoint.
pub const RATE_COUNT_MAX: u32 = 10_000;

/// The share of the count that may be saved up, as a divisor: 50 ms of a second, longer than a
/// thread is late on a machine that is not overloaded.
const BURST_DIVISOR: u32 = 20;

/// At most `count` requests in any stretch of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests: 1 to [`RATE_COUNT_MAX`].
    pub count: u32,
    /// The stretch.
    pub per: Duration,
}

impl RateLimit {
    /// Reads `100/s`, `30/m` or `500/h`; `None` for anything else.
    pub fn parse(text: &str) -> Option<RateLimit> {
        let (count, unit) = text.split_once('/')?;
        let secs = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return None,
        };
        let limit = RateLimit {
            count: count.trim().parse().ok()?,
            per: Duration::from_secs(secs),
        };
        (1..=RATE_COUNT_MAX).contains(&limit.count).then_some(limit)
    }

    /// Time between two requests that are spread evenly, rounded up to the nanosecond.
    fn interval(&self) -> Duration {
        let nanos = self.per.as_nanos().div_ceil(u128::from(self.count.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// As it is written in the configuration.
impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            60 => "m",
            3_600 => "h",
            _ => "s",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// Keeps the requests of one endpoint within its limit; without one, lets everything pass.
#[derive(Debug)]
pub struct Rate {
    limit: Option<RateLimit>,
    /// When the next request would go out if all were spread evenly.
    next: Moment,
    /// When the last requests went out, the oldest first: at most the limit's count.
    sent: VecDeque<Moment>,
}

impl Rate {
    /// Begins with no token saved up.
    pub fn new(limit: Option<RateLimit>) -> Rate {
        Rate {
            limit,
            next: Moment::default(),
            sent: VecDeque::new(),
        }
    }

    /// When the next request may go out; none when that is at `now` or was before.
    pub fn shut_until(&self, now: Moment) -> Option<Moment> {
        let limit = self.limit?;
        let full = self.sent.len() >= limit.count as usize;
        let oldest = self.sent.front().filter(|_| full);
        let by_log = oldest.map_or(Moment::default(), |oldest| *oldest + limit.per);
        let open = self.next.max(by_log);
        (open > now).then_some(open)
    }

    /// The same requests as `before`, which another limit may have been for.
    pub fn after(limit: Option<RateLimit>, before: Rate) -> Rate {
        let mut rate = Rate::new(limit);
        let (Some(limit), Some(last)) = (limit, before.sent.back()) else {
            return rate;
        };
        rate.next = *last + limit.interval();
        rate.sent = before.sent;
        let more = rate.sent.len().saturating_sub(limit.count as usize);
        rate.sent.drain(..more);
        rate
    }

    /// Whether a request went out so late that it still counts at `now`.
    pub fn counts_at(&self, now: Moment) -> bool {
        let last = self.sent.back().zip(self.limit);
        last.is_some_and(|(last, limit)| *last + limit.per > now)
    }

    /// A request goes out at `now`.
    pub fn sent(&mut self, now: Moment) {
        let Some(limit) = self.limit else { return };
        let burst = match self.sent.is_empty() {
            // What went out before the first one is not known.
            true => 0,
            false => (limit.count / BURST_DIVISOR).max(1),
        };
        let earliest = Moment(now.0.saturating_sub(limit.interval() * burst));
        self.next = self.next.max(earliest) + limit.interval();
        if self.sent.len() >= limit.count as usize {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock, UnixMs};

    const MINUTE: Duration = Duration::from_secs(60);

    /// The moments at which requests go out in `span` when there is always one to send and the
    /// sender is late by up to `late` each time.
    fn run(limit: RateLimit, span: Duration, late: Duration, seed: u64) -> Vec<Duration> {
        let clock = ManualClock::at(UnixMs(0));
        let mut rate = Rate::new(Some(limit));
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut sent = Vec::new();
        while clock.now().0 < span {
            let now = clock.now();
            match rate.shut_until(now) {
                Some(open) => {
                    let late = Duration::from_nanos(rng.u64(0..=u64::from(late.subsec_nanos())));
                    clock.advance(open.since(now) + late);
                }
                None => {
                    rate.sent(now);
                    sent.push(now.0);
                }
            }
        }
        sent
    }

    /// The most that any stretch of `per` has seen, wherever it begins.
    fn most_within(sent: &[Duration], per: Duration) -> usize {
        let (mut most, mut first) = (0, 0);
        for (index, at) in sent.iter().enumerate() {
            while sent[first] + per <= *at {
                first += 1;
            }
            most = most.max(index + 1 - first);
        }
        most
    }

    #[test]
    fn no_stretch_sees_more_than_the_limit_and_a_minute_sees_all_of_it() {
        for (count, late_micros) in [
            (1, 0),
            (3, 500),
            (7, 0),
            (100, 0),
            (100, 200),
            (1_000, 100),
            (10_000, 10),
        ] {
            let limit = RateLimit {
                count,
                per: Duration::from_secs(1),
            };
            let late = Duration::from_micros(late_micros);
            let sent = run(limit, MINUTE, late, 1);
            assert!(most_within(&sent, limit.per) <= count as usize, "{limit}");
            let whole = 60 * count as usize;
            let least = if late_micros == 0 {
                whole - usize::from(1_000_000_000 % count != 0)
            } else {
                whole - whole / 500 - 1
            };
            assert!(
                (least..=whole).contains(&sent.len()),
                "{limit}: {} in a minute, late by up to {late:?}",
                sent.len()
            );
        }
    }

    #[test]
    fn slow_limits_count_over_a_minute_or_an_hour() {
        for text in ["30/m", "500/h"] {
            let limit = RateLimit::parse(text).unwrap();
            let sent = run(limit, limit.per * 3, Duration::ZERO, 1);
            assert!(most_within(&sent, limit.per) <= limit.count as usize);
            assert_eq!(sent.len(), limit.count as usize * 3, "{text}");
        }
    }

    #[test]
    fn a_quiet_time_saves_up_a_small_burst_and_no_more() {
        let mut rate = Rate::new(RateLimit::parse("100/s"));
        let now = Moment(Duration::from_secs(1_800));
        rate.sent(now);
        assert!(rate.shut_until(now).is_some(), "nothing at the beginning");
        let now = Moment(Duration::from_secs(3_600));
        let mut burst = 0;
        while rate.shut_until(now).is_none() {
            rate.sent(now);
            burst += 1;
        }
        assert_eq!(
            burst, 6,
            "a twentieth of a hundred, and the one whose time it is"
        );
    }

    #[test]
    fn what_went_out_counts_under_the_limit_that_follows() {
        let at = |millis| Moment(Duration::from_millis(millis));
        let mut rate = Rate::new(RateLimit::parse("10/s"));
        for tenth in 0..5 {
            rate.sent(at(tenth * 100));
        }
        assert!(rate.counts_at(at(1_399)) && !rate.counts_at(at(1_400)));
        let slower = Rate::after(RateLimit::parse("3/s"), rate);
        assert_eq!(
            (slower.sent.len(), slower.shut_until(at(500))),
            (3, Some(at(1_200)))
        );
        let faster = Rate::after(RateLimit::parse("20/s"), slower);
        assert_eq!(faster.shut_until(at(401)), Some(at(450)));
        assert_eq!(Rate::after(None, faster).shut_until(at(401)), None);
    }

    #[test]
    fn without_a_limit_everything_passes() {
        let mut rate = Rate::new(None);
        for _ in 0..100 {
            rate.sent(Moment::default());
        }
        assert_eq!(rate.shut_until(Moment::default()), None);
        assert!(rate.sent.is_empty(), "nothing is kept");
    }

    #[track_caller]
    fn check(text: &str, expected: Option<(u32, u64)>) {
        let limit = RateLimit::parse(text);
        let found = limit.map(|limit| (limit.count, limit.per.as_secs()));
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn limits_are_read_with_their_unit() {
        check("100/s", Some((100, 1)));
        check("30/m", Some((30, 60)));
        check(" 500 / h", Some((500, 3_600)));
        for text in [
            "", "100", "0/s", "-1/s", "10001/s", "1.5/s", "10/d", "x/s", "/s",
        ] {
            check(text, None);
        }
        assert_eq!(RateLimit::parse("30/m").unwrap().to_string(), "30/m");
    }
}

//! An instant as a switch wrote it, with no more digits than the switch knew.

use crate::clock::UnixMs;
use std::fmt;

/// When something happened, in UTC, with the precision of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix: UnixMs,
    /// How many digits of a second the source gave.
    pub precision: Precision,
}

/// How finely a source tells the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Whole seconds: printed as `2026-04-10T14:30:45Z`.
    Seconds,
    /// Milliseconds: printed as `2026-04-10T14:30:45.120Z`.
    Millis,
}

impl Timestamp {
    /// An instant known to the second.
    pub fn from_secs(unix_secs: i64) -> Timestamp {
        Timestamp {
            unix: UnixMs(unix_secs.saturating_mul(1_000)),
            precision: Precision::Seconds,
        }
    }

    /// An instant known to the millisecond.
    pub fn from_millis(unix_ms: i64) -> Timestamp {
        Timestamp {
            unix: UnixMs(unix_ms),
            precision: Precision::Millis,
        }
    }
}

/// RFC 3339 in UTC with `Z`. Instants outside the years -9999 to 9999 print as the nearest one inside.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (
            jiff::Timestamp::MIN.as_second(),
            jiff::Timestamp::MAX.as_second(),
        );
        let millis = self.unix.0.clamp(first * 1_000, last * 1_000);
        let instant = jiff::Timestamp::from_millisecond(millis).map_err(|_| fmt::Error)?;
        match self.precision {
            Precision::Seconds => write!(f, "{instant:.0}"),
            Precision::Millis => write!(f, "{instant:.3}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(timestamp: Timestamp, expected: &str) {
        assert_eq!(timestamp.to_string(), expected);
    }

    #[test]
    fn it_prints_the_digits_the_source_had_and_no_more() {
        check(Timestamp::from_secs(1_775_745_045), "2026-04-09T14:30:45Z");
        check(
            Timestamp::from_millis(1_775_745_045_000),
            "2026-04-09T14:30:45.000Z",
        );
        check(
            Timestamp::from_millis(1_775_745_045_120),
            "2026-04-09T14:30:45.120Z",
        );
        check(Timestamp::from_millis(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn an_impossible_instant_still_prints() {
        check(Timestamp::from_secs(i64::MAX), "9999-12-30T22:00:00Z");
    }
}

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

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The instants whose year has four digits: 0000-01-01T00:00:00Z up to 10000-01-01T00:00:00Z.
const FOUR_DIGITS: std::ops::Range<i64> = -719_528 * DAY_MS..2_932_897 * DAY_MS;

/// RFC 3339 in UTC with `Z`. Instants outside the years -9999 to 9999 print as the nearest one inside.
///
/// Each call prints three of them, and the library's printer, which can do much more, was a tenth of
/// the time that taking a row in took: what usually comes is written out here.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (
            jiff::Timestamp::MIN.as_second(),
            jiff::Timestamp::MAX.as_second(),
        );
        let millis = self.unix.0.clamp(first * 1_000, last * 1_000);
        if FOUR_DIGITS.contains(&millis) {
            return write_out(f, millis, self.precision);
        }
        let instant = jiff::Timestamp::from_millisecond(millis).map_err(|_| fmt::Error)?;
        match self.precision {
            Precision::Seconds => write!(f, "{instant:.0}"),
            Precision::Millis => write!(f, "{instant:.3}"),
        }
    }
}

/// Writes one of the instants of [`FOUR_DIGITS`].
fn write_out(f: &mut fmt::Formatter<'_>, unix_ms: i64, precision: Precision) -> fmt::Result {
    let (date, of_day) = (
        date_of(unix_ms.div_euclid(DAY_MS)),
        unix_ms.rem_euclid(DAY_MS),
    );
    let digit = |number: i64, unit: i64| b'0' + u8::try_from(number / unit % 10).unwrap_or(0);
    let (year, month, day) = date;
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
    let (length, behind_second) = match precision {
        Precision::Seconds => (20, b'Z'),
        Precision::Millis => (24, b'.'),
    };
    let text = [
        digit(year, 1_000),
        digit(year, 100),
        digit(year, 10),
        digit(year, 1),
        b'-',
        digit(month, 10),
        digit(month, 1),
        b'-',
        digit(day, 10),
        digit(day, 1),
        b'T',
        digit(hour, 10),
        digit(hour, 1),
        b':',
        digit(minute, 10),
        digit(minute, 1),
        b':',
        digit(second, 10),
        digit(second, 1),
        behind_second,
        digit(milli, 100),
        digit(milli, 10),
        digit(milli, 1),
        b'Z',
    ];
    let text = text.get(..length).unwrap_or(&text);
    f.write_str(std::str::from_utf8(text).map_err(|_| fmt::Error)?)
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Counted in eras of 400 years that begin on a 1st of March, so that the day that may be missing is
/// a year's last.
fn date_of(day: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    let day = day + 719_468;
    let of_era = day.rem_euclid(ERA_DAYS);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = day.div_euclid(ERA_DAYS) * 400 + year_of_era + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        check(Timestamp::from_secs(i64::MIN), "-009999-01-02T01:59:59Z");
    }

    #[test]
    fn the_days_around_which_a_calendar_goes_wrong_are_the_librarys() {
        let days = [
            -719_529, -719_528, -719_469, -719_468, -25_509, -1, 0, 11_016, 11_017, 47_540, 47_541,
            2_932_894,
        ];
        for day in days {
            for ms in [0, 1, DAY_MS - 1] {
                check_by_library(day * DAY_MS + ms);
            }
        }
    }

    proptest! {
        #[test]
        fn every_instant_prints_as_the_library_prints_it(unix_ms in -377_705_023_201_000_i64..=253_402_207_200_000) {
            check_by_library(unix_ms);
        }
    }

    #[track_caller]
    fn check_by_library(unix_ms: i64) {
        let instant = jiff::Timestamp::from_millisecond(unix_ms).unwrap();
        check(Timestamp::from_millis(unix_ms), &format!("{instant:.3}"));
        let precision = Precision::Seconds;
        let coarse = Timestamp {
            unix: UnixMs(unix_ms),
            precision,
        };
        check(coarse, &format!("{instant:.0}"));
    }
}

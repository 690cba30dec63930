//! Times of CDR rows, told apart by their shape.

use crate::clock::UnixMs;
use crate::timestamp::{Precision, Timestamp};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use std::borrow::Cow;

/// Why a text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeProblem {
    /// It has no shape known here, or a month 13.
    Shape,
    /// It is a local time, and the source has no time zone.
    NoZone,
    /// It names a zone by letters that are not those of the source's zone then.
    OtherZone,
}

/// A time, and whether its zone's clock showed it twice or not at all that day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The instant.
    pub at: Timestamp,
    /// The local time fell into the hour that is repeated or left out when summer time ends or
    /// begins; the earlier reading was taken.
    pub doubtful: bool,
    /// The later reading, where the clock showed the time twice.
    pub later: Option<Timestamp>,
}

/// A time as its text shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// An instant.
    Instant(Timestamp),
    /// What a clock showed, and of which zone where the text says so.
    Clock {
        civil: DateTime,
        precision: Precision,
        zone: Option<Named>,
    },
}

/// What a text says of the zone of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// How far it was from UTC.
    Offset(Offset),
    /// Letters like `CEST`, with blanks behind them. They name many zones, but in one of them there
    /// are at most two, and they say which of the two a time was in that its clock showed twice.
    Letters([u8; LETTERS_MAX]),
}

/// Most letters of a zone.
const LETTERS_MAX: usize = 5;

impl Named {
    fn letters(word: &str) -> Option<Named> {
        let is_name = (3..=LETTERS_MAX).contains(&word.len())
            && word.bytes().all(|letter| letter.is_ascii_uppercase());
        let mut letters = [b' '; LETTERS_MAX];
        let place = letters.get_mut(..word.len()).filter(|_| is_name)?;
        place.copy_from_slice(word.as_bytes());
        Some(Named::Letters(letters))
    }
}

impl Shown {
    /// The instant; what a clock showed is by that of `zone`, unless the text has its own.
    pub(super) fn told(self, zone: Option<&TimeZone>) -> Result<Told, TimeProblem> {
        match self {
            Shown::Instant(at) => Ok(Told {
                at,
                doubtful: false,
                later: None,
            }),
            Shown::Clock {
                civil,
                precision,
                zone: Some(Named::Offset(offset)),
            } => in_zone(civil, precision, Some(&TimeZone::fixed(offset))),
            Shown::Clock {
                civil,
                precision,
                zone: Some(Named::Letters(letters)),
            } => {
                let told = in_zone(civil, precision, zone)?;
                let has_name = |at: &Timestamp| {
                    let at = jiff::Timestamp::from_millisecond(at.unix.0).ok();
                    let info = at.zip(zone).map(|(at, zone)| zone.to_offset_info(at));
                    info.and_then(|info| Named::letters(info.abbreviation()))
                        == Some(Named::Letters(letters))
                };
                let at = [Some(told.at), told.later].into_iter().flatten();
                let at = at.into_iter().find(has_name);
                Ok(Told {
                    at: at.ok_or(TimeProblem::OtherZone)?,
                    doubtful: false,
                    later: None,
                })
            }
            Shown::Clock {
                civil, precision, ..
            } => in_zone(civil, precision, zone),
        }
    }

    /// How many whole seconds the clock showed less than in `earlier`; 0 where it did not, and of
    /// instants.
    pub(super) fn secs_before(self, earlier: Shown) -> i64 {
        match (self, earlier) {
            (Shown::Clock { civil, .. }, Shown::Clock { civil: before, .. }) => {
                before.duration_since(civil).as_secs().max(0)
            }
            _ => 0,
        }
    }

    /// The same hour of the next day, by the clock.
    pub(super) fn next_day(self) -> Result<Shown, TimeProblem> {
        match self {
            Shown::Instant(_) => Ok(self),
            Shown::Clock {
                civil,
                precision,
                zone,
            } => {
                let day = civil.date().tomorrow().map_err(|_| TimeProblem::Shape)?;
                Ok(Shown::Clock {
                    civil: day.to_datetime(civil.time()),
                    precision,
                    zone,
                })
            }
        }
    }
}

/// In which order a date's numbers stand.
///
/// A year of four digits in front needs no order; behind, day and month could be either. There it may
/// have two digits as well, of this century.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dates {
    /// Year, month, day.
    #[default]
    YearFirst,
    /// Day, month, year.
    DayFirst,
    /// Month, day, year.
    MonthFirst,
}

/// The words for the orders in `dates = "…"`.
pub const DATES: [(&str, Dates); 3] = [
    ("ymd", Dates::YearFirst),
    ("dmy", Dates::DayFirst),
    ("mdy", Dates::MonthFirst),
];

/// Reads a time as [`read`] does, or with the year behind day and month in the given order.
///
/// # Errors
///
/// See [`TimeProblem`].
pub fn read_dated(
    text: &str,
    dates: Dates,
    zone: Option<&TimeZone>,
) -> Result<Option<Told>, TimeProblem> {
    told(shown(text, dates)?, zone)
}

/// A time as `text` shows it, with the year behind in the order of `dates`; see [`read`].
pub(super) fn shown(text: &str, dates: Dates) -> Result<Option<Shown>, TimeProblem> {
    let text = western(text.trim());
    let text = without_weekday(&text);
    match year_in_front(text, dates) {
        Some(turned) => year_first(&turned),
        None => year_first(text),
    }
}

/// `text` without the day of the week, in English, before what begins with a digit.
fn without_weekday(text: &str) -> &str {
    const DAYS: [&str; 7] = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    if !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return text;
    }
    let Some((word, rest)) = text.split_once(' ') else {
        return text;
    };
    let word = word.trim_end_matches([',', '.']);
    let begins = |day: &&str| {
        let beginning = day.get(..word.len());
        word.len() >= 3 && beginning.is_some_and(|day| day.eq_ignore_ascii_case(word))
    };
    let rest = rest.trim_start();
    let is_numbers = rest.starts_with(|first: char| first.is_ascii_digit());
    match is_numbers && DAYS.iter().any(begins) {
        true => rest,
        false => text,
    }
}

/// `2026年4月10日 14时28分15秒` as `2026-4-10 14:28:15`, and blanks that do not break lines as others; any
/// other text as it is.
pub(super) fn western(text: &str) -> Cow<'_, str> {
    const BLANKS: [char; 3] = ['\u{A0}', '\u{2009}', '\u{202F}'];
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    if !text.contains('月') {
        return match text.contains(BLANKS) {
            true => Cow::Owned(text.replace(BLANKS, " ")),
            false => Cow::Borrowed(text),
        };
    }
    let numbers = text
        .replace(['年', '月'], "-")
        .replace(['日', '号'], " ")
        .replace(['时', '時', '点', '分'], ":")
        .replace('秒', "");
    let words: Vec<&str> = numbers.split_whitespace().collect();
    Cow::Owned(words.join(" ").trim_end_matches(':').to_owned())
}

/// Month, day, and all that follows the date, of a time that tells no year: `Apr 10 14:28:15`,
/// `Fri 10 Apr 14:28:15 CEST`, or `04-10 14:28:15` in the order of `dates`. Loggers leave it out.
pub(super) fn yearless(text: &str, dates: Dates) -> Option<(u8, u8, String)> {
    let numbers = || {
        let mut scan = Scan(text.as_bytes());
        let one = scan.number(1, 2)?;
        let between = scan.one_of(b"/.-")?;
        let two = scan.number(1, 2)?;
        if between == b'.' {
            scan.one_of(b".");
        }
        scan.one_of(b" T")?;
        let rest = std::str::from_utf8(scan.0).ok()?;
        let (month, day) = match dates {
            Dates::DayFirst => (two, one),
            Dates::YearFirst | Dates::MonthFirst => (one, two),
        };
        Some((
            u8::try_from(month).ok()?,
            u8::try_from(day).ok()?,
            rest.to_owned(),
        ))
    };
    numbers().or_else(|| {
        let words = words(text)?;
        let month = u8::try_from(words.month?).ok()?;
        let day = u8::try_from(words.day?).ok()?;
        (words.year.is_none()).then_some((month, day, words.rest()?))
    })
}

fn told(shown: Option<Shown>, zone: Option<&TimeZone>) -> Result<Option<Told>, TimeProblem> {
    shown.map(|shown| shown.told(zone)).transpose()
}

/// `text` with its date written year first, where it is a date with its year behind.
fn year_in_front(text: &str, dates: Dates) -> Option<String> {
    if dates == Dates::YearFirst {
        return None;
    }
    let mut scan = Scan(text.as_bytes());
    let one = scan.number(1, 2)?;
    let between = scan.one_of(b"/.-")?;
    let two = scan.number(1, 2)?;
    scan.one_of(&[between])?;
    // Of this century, where it has two digits.
    let year = scan.number(4, 4);
    let year = year.or_else(|| scan.number(2, 2).map(|year| 2_000 + year))?;
    let rest = std::str::from_utf8(scan.0).ok()?;
    let (month, day) = match dates {
        Dates::MonthFirst => (one, two),
        Dates::DayFirst | Dates::YearFirst => (two, one),
    };
    Some(format!("{year:04}-{month:02}-{day:02}{rest}"))
}

/// Reads a time: epoch microseconds (16 digits), milliseconds (13 digits) or seconds (10 digits,
/// with an optional fraction), `YYYYMMDDHHMMSS` (14 digits, with an optional fraction), `YYYY-MM-DD HH:MM:SS` with `T`, `/`, a comma and a blank or a blank between, `/`, `-`, `.` or nothing
/// between the date's numbers, one or two digits, an optional fraction, an optional `AM` or `PM`, and an optional `Z`, `±HH:MM`
/// or the letters of the source's zone; or the same with the month in English letters or Chinese signs.
///
/// Nothing, zeros, and a date of zeros mean that the switch has no time to tell: `Ok(None)`.
///
/// # Errors
///
/// See [`TimeProblem`].
pub fn read(text: &str, zone: Option<&TimeZone>) -> Result<Option<Told>, TimeProblem> {
    told(year_first(text)?, zone)
}

fn year_first(text: &str) -> Result<Option<Shown>, TimeProblem> {
    let text = text.trim();
    if text
        .bytes()
        .all(|byte| matches!(byte, b'0' | b'-' | b'/' | b':' | b' ' | b'.' | b'T'))
    {
        return if text.is_empty() || text.contains('0') {
            Ok(None)
        } else {
            Err(TimeProblem::Shape)
        };
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits(text).map(Some);
    }
    let begins_in_digits = || text.bytes().take(10).all(|byte| byte.is_ascii_digit());
    if matches!(text.as_bytes().get(10), Some(b'.' | b',')) && begins_in_digits() {
        return fractional(text).map(Some);
    }
    if let Some((14, fraction)) = text.split_once('.').map(|(date, rest)| (date.len(), rest)) {
        return compact(text, fraction);
    }
    let shown = civil(text).or_else(|| civil(&in_words(text)?));
    shown.map(Some).ok_or(TimeProblem::Shape)
}

/// The months, in numbers from 1, by the first letters of their English names.
pub(super) fn month_of(word: &str) -> Option<usize> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let begins = |name: &&str| {
        let beginning = name.get(..word.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(word))
    };
    let index = MONTHS.iter().position(begins);
    index.filter(|_| word.len() >= 3).map(|index| index + 1)
}

/// A time whose month is a word, in numbers, year first: `10-Apr-2026 08:01:05`, `Apr 10 2026
/// 08:01:05 AM`, `Fri, 10 Apr 2026 08:01:05 +0200`, `08:01:05.123 UTC Fri Apr 10 2026` (as SIP
/// devices log it), `Fri Apr 10 08:01:05 CEST 2026` (Java, `date`), `10/Apr/2026:08:01:05 +0200`; or one
/// whose date stands behind the hour: `08:01:05 EDT 2026-04-10`.
///
/// Whatever the order, there is one way to read it: the number with four digits is the year, of two
/// with fewer the first is the day.
fn in_words(text: &str) -> Option<String> {
    let words = words(text)?;
    let (year, month, day) = (words.year?, words.month?, words.day?);
    let rest = words.rest()?;
    Some(format!("{year:04}-{month:02}-{day:02} {rest}"))
}

/// The parts of a time whose month is a word.
#[derive(Default)]
struct Words<'t> {
    year: Option<u16>,
    month: Option<usize>,
    day: Option<u16>,
    clock: Option<&'t str>,
    half: &'t str,
    zone: &'t str,
}

impl Words<'_> {
    /// What is said of the time of the day.
    fn rest(&self) -> Option<String> {
        Some(
            format!("{}{} {}", self.clock?, self.half, self.zone)
                .trim_end()
                .to_owned(),
        )
    }
}

fn words(text: &str) -> Option<Words<'_>> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    // What is longer is no time, whatever its words.
    const WORDS_MAX: usize = 8;
    let mut told = Words::default();
    let words = text.split([' ', ',']).flat_map(|word| {
        // Where a month stands between them, a dash or a slash is no sign.
        let joined = word.bytes().filter(u8::is_ascii_alphabetic).count() >= 3;
        word.split(move |letter| joined && matches!(letter, '-' | '/'))
    });
    // Points end what is shortened and, in German, a day. Cisco's clocks have a point or an asterisk in
    // front where nothing sets them.
    let words = words.map(|word| word.trim_matches(['*', '.']));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if words.len() > WORDS_MAX {
        return None;
    }
    for word in words {
        let whole = |word: &str| word.parse().ok().filter(|_| !word.starts_with('+'));
        // A web server's log has no blank between the year and the hour.
        let year_and_clock = || {
            let (year, clock) = word.split_once(':')?;
            let year: Option<u16> = whole(year).filter(|_| year.len() == 4);
            Some((year?, clock))
        };
        let is_day = || {
            let short = word.get(..3).unwrap_or_default();
            DAYS.iter().any(|day| day.eq_ignore_ascii_case(short))
        };
        match (whole(word), word.len()) {
            (Some(number), 4) if told.year.is_none() => told.year = Some(number),
            (Some(number), 1 | 2) if told.day.is_none() => told.day = Some(number),
            // The century of telephone bills.
            (Some(number), 2) if told.year.is_none() => told.year = Some(2_000 + number),
            (Some(_), _) => return None,
            // Behind the hour and the zone, as Twilio exports it: `10:28:15 EDT 2026-04-10`.
            (None, 10)
                if told.clock.is_some()
                    && told.year.is_none()
                    && told.month.is_none()
                    && word.starts_with(|first: char| first.is_ascii_digit()) =>
            {
                let (year, rest) = word.split_once('-')?;
                let (month, day) = rest.split_once('-')?;
                told.year = whole(year).filter(|_| year.len() == 4);
                told.month = whole(month).map(usize::from);
                told.day = whole(day);
            }
            _ if word.contains(':') && told.clock.is_none() => match year_and_clock() {
                Some((year, clock)) if told.year.is_none() => {
                    (told.year, told.clock) = (Some(year), Some(clock));
                }
                _ => told.clock = Some(word),
            },
            _ if word.starts_with(['+', '-']) && told.zone.is_empty() => told.zone = word,
            _ if word.eq_ignore_ascii_case("am") || word.eq_ignore_ascii_case("pm") => {
                told.half = word;
            }
            _ if told.month.is_none() && month_of(word).is_some() => told.month = month_of(word),
            _ if is_day() => {}
            _ if told.zone.is_empty() && (word == "Z" || Named::letters(word).is_some()) => {
                told.zone = word;
            }
            _ => return None,
        }
    }
    Some(told)
}

fn digits(text: &str) -> Result<Shown, TimeProblem> {
    let number = || text.parse::<i64>().map_err(|_| TimeProblem::Shape);
    match text.len() {
        10 => Ok(Shown::Instant(Timestamp::from_secs(number()?))),
        13 => Ok(Shown::Instant(Timestamp::from_millis(number()?))),
        16 => Ok(Shown::Instant(Timestamp::from_millis(number()? / 1_000))),
        14 => {
            let part = |from: usize, to: usize| {
                text.get(from..to)
                    .and_then(|digits| digits.parse::<i16>().ok())
                    .unwrap_or(-1)
            };
            let small = |from: usize| i8::try_from(part(from, from + 2)).unwrap_or(-1);
            let civil = DateTime::new(
                part(0, 4),
                small(4),
                small(6),
                small(8),
                small(10),
                small(12),
                0,
            );
            Ok(Shown::Clock {
                civil: civil.map_err(|_| TimeProblem::Shape)?,
                precision: Precision::Seconds,
                zone: None,
            })
        }
        _ => Err(TimeProblem::Shape),
    }
}

/// `YYYYMMDDHHMMSS` with a fraction, as BroadWorks writes it: `20260410142815.335`.
fn compact(text: &str, fraction: &str) -> Result<Option<Shown>, TimeProblem> {
    let whole = text.get(..14).unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let nanos = Scan(text.as_bytes().get(14..).unwrap_or_default()).fraction();
    match (digits(whole), nanos) {
        (Ok(Shown::Clock { civil, .. }), Some(nanos))
            if is_number(whole) && is_number(fraction) =>
        {
            let civil = civil.with().subsec_nanosecond(nanos).build();
            Ok(Some(Shown::Clock {
                civil: civil.map_err(|_| TimeProblem::Shape)?,
                precision: Precision::Millis,
                zone: None,
            }))
        }
        _ => Err(TimeProblem::Shape),
    }
}

/// Epoch seconds with a fraction.
fn fractional(text: &str) -> Result<Shown, TimeProblem> {
    let mut scan = Scan(text.as_bytes().get(10..).unwrap_or_default());
    let nanos = scan.fraction().filter(|_| scan.0.is_empty());
    let secs = text
        .get(..10)
        .filter(|secs| secs.bytes().all(|byte| byte.is_ascii_digit()));
    let (Some(nanos), Some(Ok(secs))) = (nanos, secs.map(str::parse::<i64>)) else {
        return Err(TimeProblem::Shape);
    };
    let millis = secs * 1_000 + i64::from(nanos / 1_000_000);
    Ok(Shown::Instant(Timestamp::from_millis(millis)))
}

fn civil(text: &str) -> Option<Shown> {
    let mut scan = Scan(text.as_bytes());
    let read = |scan: &mut Scan<'_>| {
        let year = scan.number(4, 4)?;
        // `20260410T142815`: of numbers without anything between them all have two digits.
        let dash = scan.one_of(b"-/.");
        let least = 2 - usize::from(dash.is_some());
        let month = scan.number(least, 2)?;
        if let Some(dash) = dash {
            scan.one_of(&[dash])?;
        }
        let day = scan.number(least, 2)?;
        // `4/10/2026, 2:28:15 PM`, as JavaScript writes it for people.
        let is_comma = scan.one_of(b",").is_some();
        let between = scan.one_of(if is_comma { b" " } else { b" T/" })?;
        // An hour of one digit may be as wide as one of two.
        if between == b' ' {
            while scan.one_of(b" ").is_some() {}
        }
        let hour = scan.number(least, 2)?;
        let colon = scan.one_of(b":");
        if dash.is_some() {
            colon?;
        }
        let minute = scan.number(2, 2)?;
        let is_followed = match colon {
            Some(_) => scan.one_of(b":").is_some(),
            None => scan.0.first().is_some_and(u8::is_ascii_digit),
        };
        let second = if is_followed { scan.number(2, 2)? } else { 0 };
        let nanos = scan.fraction();
        let precision = if nanos.is_some() {
            Precision::Millis
        } else {
            Precision::Seconds
        };
        let hour = match scan.half_of_day() {
            None => hour,
            Some(_) if !(1..=12).contains(&hour) => return None,
            Some(half) => hour % 12 + half,
        };
        let small = |number: i16| i8::try_from(number).ok();
        let civil = DateTime::new(
            year,
            small(month)?,
            small(day)?,
            small(hour)?,
            small(minute)?,
            small(second)?,
            nanos.unwrap_or(0),
        );
        Some((civil.ok()?, precision))
    };
    let (civil, precision) = read(&mut scan)?;
    let zone = match scan.0 {
        b"" => None,
        rest => Some(zone(rest)?),
    };
    Some(Shown::Clock {
        civil,
        precision,
        zone,
    })
}

/// The beginning of the year 0000, the first one that RFC 3339 can write; in seconds since 1970.
const YEAR_0_UNIX_SECS: i64 = -62_167_219_200;

fn in_zone(
    civil: DateTime,
    precision: Precision,
    zone: Option<&TimeZone>,
) -> Result<Told, TimeProblem> {
    let ambiguous = zone
        .ok_or(TimeProblem::NoZone)?
        .to_ambiguous_timestamp(civil);
    let doubtful = ambiguous.is_ambiguous();
    let is_twice = matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. });
    let later = ambiguous.later().ok().filter(|_| is_twice);
    let instant = ambiguous.compatible().map_err(|_| TimeProblem::Shape)?;
    // In UTC it may be in a year before the first, which RFC 3339 cannot write.
    if instant.as_second() < YEAR_0_UNIX_SECS {
        return Err(TimeProblem::Shape);
    }
    let shown = |instant: jiff::Timestamp| Timestamp {
        unix: UnixMs(instant.as_millisecond()),
        precision,
    };
    Ok(Told {
        at: shown(instant),
        doubtful,
        later: later.map(shown),
    })
}

/// `Z`, `UTC`, `+06:00`, `+0600`, `+06`, or letters like `CEST`, after an optional blank.
fn zone(rest: &[u8]) -> Option<Named> {
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    if matches!(rest, b"Z" | b"UTC" | b"GMT") {
        return Some(Named::Offset(Offset::UTC));
    }
    if rest.first().is_some_and(u8::is_ascii_alphabetic) {
        return Named::letters(std::str::from_utf8(rest).ok()?);
    }
    let mut scan = Scan(rest);
    let sign = if scan.one_of(b"+-")? == b'-' { -1 } else { 1 };
    let hours = i32::from(scan.number(2, 2)?);
    let _colon = scan.one_of(b":");
    let minutes = if matches!(scan.0, [] | [b' ', ..]) {
        0
    } else {
        i32::from(scan.number(2, 2)?)
    };
    // Go writes the letters behind the offset: `+0200 CEST`, or the offset once more.
    let rest = scan.0.strip_prefix(b" ").unwrap_or_default();
    let is_named = rest.len() >= 3
        && rest.len() <= LETTERS_MAX
        && rest
            .iter()
            .all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-'));
    if !(scan.0.is_empty() || is_named) || minutes > 59 {
        return None;
    }
    let offset = Offset::from_seconds(sign * (hours * 3_600 + minutes * 60));
    offset.ok().map(Named::Offset)
}

/// What is left to read of a text.
struct Scan<'t>(&'t [u8]);

impl Scan<'_> {
    fn one_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        allowed.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn number(&mut self, least: usize, most: usize) -> Option<i16> {
        let count = self
            .0
            .iter()
            .take(most)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at_checked(count).filter(|_| count >= least)?;
        self.0 = rest;
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + i16::from(digit - b'0')),
        )
    }

    /// `AM` or `PM`, after an optional blank, or `a. m.` with points: the hours to add.
    fn half_of_day(&mut self) -> Option<i16> {
        let mut rest = Scan(self.0);
        rest.one_of(b" ");
        let hours = match rest.one_of(b"AaPp")? {
            b'A' | b'a' => 0,
            _ => 12,
        };
        let has_points = rest.one_of(b".").is_some();
        if has_points {
            rest.one_of(b" ");
        }
        rest.one_of(b"Mm")?;
        if has_points {
            rest.one_of(b".")?;
        }
        // `AMT` is a zone.
        if rest.0.first().is_some_and(u8::is_ascii_alphabetic) {
            return None;
        }
        self.0 = rest.0;
        Some(hours)
    }

    /// `.` or, as Java's loggers write it, `,` or `:` and up to nine digits, in nanoseconds.
    fn fraction(&mut self) -> Option<i32> {
        let (b'.' | b',' | b':', digits) = self.0.split_first()? else {
            return None;
        };
        let count = digits
            .iter()
            .take(9)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = digits.split_at_checked(count).filter(|_| count > 0)?;
        self.0 = rest;
        let scale = 10_i32.pow(u32::try_from(9 - count).unwrap_or(0));
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + i32::from(digit - b'0'))
                * scale,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, zone: &str, expected: &str) {
        let zone = TimeZone::get(zone).unwrap();
        let told = read(text, Some(&zone)).unwrap().expect("a time");
        assert_eq!(told.at.to_string(), expected, "{text}");
    }

    #[test]
    fn every_shape_a_switch_writes_is_read() {
        check("1775800888533", "UTC", "2026-04-10T06:01:28.533Z");
        check("1775800888", "UTC", "2026-04-10T06:01:28Z");
        check("1775802495104233", "UTC", "2026-04-10T06:28:15.104Z");
        check("1775802498.224", "UTC", "2026-04-10T06:28:18.224Z");
        check("20260410142815", "UTC", "2026-04-10T14:28:15Z");
        check("2026-04-10 14:01:28", "Asia/Dhaka", "2026-04-10T08:01:28Z");
        check(
            "2026-04-10T14:01:28",
            "Asia/Shanghai",
            "2026-04-10T06:01:28Z",
        );
        check(
            " 2026-04-10 14:01:28.25 ",
            "UTC",
            "2026-04-10T14:01:28.250Z",
        );
        check("2026-04-10 14:35:00,012", "UTC", "2026-04-10T14:35:00.012Z");
        check("2020/2/10 22:41", "UTC", "2020-02-10T22:41:00Z");
        check("2026-04-10T14:01:28Z", "Asia/Dhaka", "2026-04-10T14:01:28Z");
        check("2026-04-10 14:01:28+06:00", "UTC", "2026-04-10T08:01:28Z");
        check("2026-04-10 14:01:28 -0530", "UTC", "2026-04-10T19:31:28Z");
    }

    #[test]
    fn hours_up_to_twelve_are_read_with_their_half_of_the_day() {
        for (text, expected) in [
            ("2026-04-10 12:01:28 AM", "2026-04-10T00:01:28Z"),
            ("2026-04-10 12:01:28 pm", "2026-04-10T12:01:28Z"),
            ("2026-04-10 02:01PM", "2026-04-10T14:01:00Z"),
            ("2026-04-10 02:01:28.5 PM +0100", "2026-04-10T13:01:28.500Z"),
        ] {
            check(text, "UTC", expected);
        }
        let american = read_dated(
            "4/10/2026 2:01:28 PM",
            Dates::MonthFirst,
            Some(&TimeZone::UTC),
        );
        let at = american.unwrap().unwrap().at.to_string();
        assert_eq!(at, "2026-04-10T14:01:28Z");
    }

    #[test]
    fn a_day_of_the_week_and_blanks_beside_the_numbers_are_passed_over() {
        // RingCentral's export; systemd; Panasonic's exchanges, whose hours are as wide as two digits.
        for (text, dates) in [
            ("Fri 04/10/2026 9:05 AM", Dates::MonthFirst),
            ("Friday, 10.04.2026 09:05", Dates::DayFirst),
            ("Fri 2026-04-10 09:05:00 UTC", Dates::YearFirst),
            ("4/10/26  9:05AM", Dates::MonthFirst),
            ("2026-04-10  9:05:00", Dates::YearFirst),
            // What JavaScript has before the half of the day since ICU 72, and Spanish in it.
            ("4/10/2026, 9:05:00\u{202F}AM", Dates::MonthFirst),
            ("10/4/2026, 9:05:00 a.\u{A0}m.", Dates::DayFirst),
            ("10/04/2026 09:05 a.m.", Dates::DayFirst),
        ] {
            let told = read_dated(text, dates, Some(&TimeZone::UTC));
            let at = told.ok().flatten().map(|told| told.at.unix.unix_secs());
            assert_eq!(at, Some(1_775_811_900), "{text}");
        }
        let told = |text| read_dated(text, Dates::MonthFirst, Some(&TimeZone::UTC));
        for text in [
            "Foo 04/10/2026 09:05",
            "Fri",
            "Fri 10",
            "04/10/2026 9:05 a.",
            "04/10/2026 9:05 a.mt",
        ] {
            assert!(told(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_month_in_letters_is_read_in_any_order() {
        for text in [
            "10-Apr-2026 08:01:05",
            "10-APR-26 08:01:05",
            "10/Apr/2026 08:01:05",
            "Apr 10 2026 08:01:05 AM",
            "April 10, 2026 8:01:05am",
            "Fri Apr 10 08:01:05 2026",
            "Fri, 10 Apr 2026 10:01:05 +0200",
            "Fri Apr 10 10:01:05 +0200 2026",
            "08:01:05 UTC Friday April 10 2026",
            "2026-Apr-10 08:01:05 GMT",
            "10. Apr. 2026, 08:01:05",
            "*08:01:05 UTC Fri Apr 10 2026",
            ".08:01:05 UTC Fri Apr 10 2026",
        ] {
            check(text, "UTC", "2026-04-10T08:01:05Z");
        }
        check("10 Apr 2026 08:01:05", "Asia/Dhaka", "2026-04-10T02:01:05Z");
        check(
            "08:01:05.123 UTC Apr 10 2026",
            "Asia/Dhaka",
            "2026-04-10T08:01:05.123Z",
        );
        assert_eq!(read("10-Apr-2026 08:01:05", None), Err(TimeProblem::NoZone));
    }

    #[test]
    fn what_loggers_write_is_read() {
        for text in [
            "20260410T142815Z",
            "20260410 14:28:15 UTC",
            "2026.04.10 14:28:15 GMT",
            "10/Apr/2026:16:28:15 +0200",
            "2026年04月10日 14:28:15 UTC",
            "2026年4月10日14时28分15秒 UTC",
            "1775831295,0",
        ] {
            let at = read_dated(text, Dates::YearFirst, None)
                .unwrap()
                .unwrap()
                .at;
            assert_eq!(at.unix.unix_secs(), 1_775_831_295, "{text}");
        }
        let websphere = "4/10/26 14:28:15:123 UTC";
        let at = read_dated(websphere, Dates::MonthFirst, None)
            .unwrap()
            .unwrap()
            .at;
        assert_eq!(at.to_string(), "2026-04-10T14:28:15.123Z");
        let told = read_dated("26-04-10 14:28:15", Dates::YearFirst, Some(&TimeZone::UTC));
        assert_eq!(told, Err(TimeProblem::Shape), "it could be the 26th");
    }

    #[test]
    fn what_programs_of_billing_write_is_read() {
        // CGRateS, by Go's own form, and BroadWorks.
        for text in [
            "2026-04-10 14:28:15 +0000 UTC",
            "2026-04-10 16:28:15 +0200 CEST",
            "2026-04-10 11:28:15 -0300 -03",
        ] {
            check(text, "Asia/Dhaka", "2026-04-10T14:28:15Z");
        }
        check(
            "2026-04-10 14:28:15.123456789 +0000 UTC",
            "UTC",
            "2026-04-10T14:28:15.123Z",
        );
        check("20260410142815.335", "UTC", "2026-04-10T14:28:15.335Z");
        // Twilio.
        check(
            "10:28:15 EDT 2026-04-10",
            "America/New_York",
            "2026-04-10T14:28:15Z",
        );
        check("10:28:15 UTC 2026-04-10", "UTC", "2026-04-10T10:28:15Z");
        // Panels in JavaScript, and 2N's gateways.
        for (text, dates) in [
            ("4/10/2026, 2:28:15 PM", Dates::MonthFirst),
            ("10.4.2026, 14:28:15", Dates::DayFirst),
            ("10.04.26/14:28:15", Dates::DayFirst),
        ] {
            let told = read_dated(text, dates, Some(&TimeZone::UTC));
            let at = told.unwrap().unwrap().at.to_string();
            assert_eq!(at, "2026-04-10T14:28:15Z", "{text}");
        }
        for text in [
            "2026-04-10,14:28:15",
            "2026-04-10//14:28:15",
            "20260410142815.",
            "2026041014281x.335",
            "20260410142815.335x",
            "2026-04-10 14:28:15 +0000 utc",
            "2026-04-10 14:28:15 +0000 UTC UTC",
            "10:28:15 EDT 2026-13-10",
            "10:28:15 2026-04-1x",
        ] {
            let told = read(text, Some(&TimeZone::UTC));
            assert_eq!(told, Err(TimeProblem::Shape), "{text:?}");
        }
    }

    #[test]
    fn a_zone_by_letters_is_read_where_it_is_the_sources() {
        check(
            "Fri Apr 10 14:28:15 CEST 2026",
            "Europe/Berlin",
            "2026-04-10T12:28:15Z",
        );
        check(
            "2026-04-10 14:28:15 CST",
            "Asia/Shanghai",
            "2026-04-10T06:28:15Z",
        );
        check(
            "2026-04-10 02:28:15PM EDT",
            "America/New_York",
            "2026-04-10T18:28:15Z",
        );
        // What the clock shows twice, it says once.
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, at) in [
            ("2026-10-25 02:30:00 CEST", "2026-10-25T00:30:00Z"),
            ("2026-10-25 02:30:00 CET", "2026-10-25T01:30:00Z"),
        ] {
            let told = read(text, Some(&berlin)).unwrap().unwrap();
            assert_eq!((told.at.to_string().as_str(), told.doubtful), (at, false));
        }
        for (text, zone) in [
            ("2026-04-10 14:28:15 CST", "Europe/Berlin"),
            ("2026-04-10 14:28:15 CET", "Europe/Berlin"),
            ("2026-04-10 14:28:15 BDT", "Asia/Dhaka"),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            assert_eq!(
                read(text, Some(&zone)),
                Err(TimeProblem::OtherZone),
                "{text}"
            );
        }
        assert_eq!(
            read("2026-04-10 14:28:15 CST", None),
            Err(TimeProblem::NoZone)
        );
    }

    #[test]
    fn a_year_before_the_first_is_no_time_of_a_call() {
        check("0001-01-01 00:00:00 +06:00", "UTC", "0000-12-31T18:00:00Z");
        for text in ["0000-01-01 00:30:00 +06:00", "0000-01-01T00:00:01.5+01"] {
            assert_eq!(read(text, None), Err(TimeProblem::Shape), "{text}");
        }
    }

    #[test]
    fn a_year_behind_needs_the_order_of_day_and_month() {
        let utc = TimeZone::UTC;
        for (text, dates, expected) in [
            (
                "10/04/2026 14:01:28",
                Dates::DayFirst,
                Some("2026-04-10T14:01:28Z"),
            ),
            (
                "4/10/2026 14:01",
                Dates::MonthFirst,
                Some("2026-04-10T14:01:00Z"),
            ),
            (
                "10.04.2026 14:01:28",
                Dates::DayFirst,
                Some("2026-04-10T14:01:28Z"),
            ),
            (
                "2026-04-10 14:01:28",
                Dates::DayFirst,
                Some("2026-04-10T14:01:28Z"),
            ),
            (
                "10.04.26 14:01",
                Dates::DayFirst,
                Some("2026-04-10T14:01:00Z"),
            ),
            ("10/04/026 14:01:28", Dates::DayFirst, None),
            ("10/04/26 14:01:28", Dates::YearFirst, None),
            ("10/04/2026 14:01:28", Dates::YearFirst, None),
            ("13/13/2026 14:01:28", Dates::DayFirst, None),
        ] {
            let told = read_dated(text, dates, Some(&utc)).ok().flatten();
            let shown = told.map(|told| told.at.to_string());
            assert_eq!(shown.as_deref(), expected, "{text} {dates:?}");
        }
    }

    #[test]
    fn no_time_is_told_by_nothing_or_by_zeros() {
        for text in ["", "  ", "0", "0000000000000", "0000-00-00 00:00:00"] {
            assert_eq!(read(text, None), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "2026-13-45 14:01:28",
            "2026-04-10",
            "yesterday",
            "17758008885",
            "2026-04/10 14:01:28",
            "2026-04-10 14:01:28x",
            "-",
            "2026-04-10 14:61:28",
            "20261345142815",
            "1e9",
            "2026-04-10 14:01:28 PM",
            "2026-04-10 0:01:28 AM",
            "Apr 10 08:01:05",
            "10 Apr 2026",
            "Apr May 10 2026 08:01:05",
            "10 Apr 2026 08:01:05 cst",
            "10 Apr 2026 08:01:05 CST CST",
            "10/Apr/2026:2026:08:01:05",
            "202604101T142815",
            "20260410T1428155",
            "20260410T9:28:15",
            "10/04/126 14:28:15",
            "2026-04-10 14:28:15 AMTOOO",
            "10 Apr 2026 08:01:05 09:01:05",
            "10 Apr 2026 08:01:05 AM PM Z Z",
            "31-Feb-2026 08:01:05",
            "Ap 10 2026 08:01:05",
        ] {
            assert_eq!(
                read(text, Some(&TimeZone::UTC)),
                Err(TimeProblem::Shape),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_local_time_needs_the_sources_zone() {
        assert_eq!(read("2026-04-10 14:01:28", None), Err(TimeProblem::NoZone));
        assert!(read("2026-04-10 14:01:28Z", None).is_ok());
    }

    #[test]
    fn the_repeated_and_the_missing_hour_of_summer_time_are_marked() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, doubtful, at) in [
            ("2026-10-25 02:30:00", true, "2026-10-25T00:30:00Z"),
            ("2026-03-29 02:30:00", true, "2026-03-29T01:30:00Z"),
            ("2026-10-25 03:30:00", false, "2026-10-25T02:30:00Z"),
        ] {
            let told = read(text, Some(&berlin)).unwrap().unwrap();
            assert_eq!(
                (told.doubtful, told.at.to_string().as_str()),
                (doubtful, at),
                "{text}"
            );
        }
    }
}

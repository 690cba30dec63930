//! Ids as Asterisk gives them, and what they say of the times beside them: an id begins with the second
//! in which its channel was made, and a call's record with the time that the clock showed then.

use super::super::format::Meaning;
use super::super::record::Record;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use std::collections::BTreeMap;

/// How far the beginning of a record may be from its id: both are of the same moment, each cut to
/// seconds. Records that a dialplan divides begin later, and say nothing.
const CLOSE_SECS: i64 = 5;

/// Offsets of zones are multiples of a quarter of an hour, and no two are farther apart than 26 hours.
pub(super) const STEP_SECS: i64 = 900;
const APART_MAX_SECS: i64 = 26 * 3_600;

/// Whether `text` is an id as Asterisk gives them: seconds, a point and a count, perhaps behind the
/// system's name. A call that is dialled on has several rows with one.
pub(super) fn is_id(text: &str) -> bool {
    made_at(text).is_some()
}

/// Whether `text` is a UUID, as FreeSWITCH gives them.
pub(super) fn is_uuid(text: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    text.split('-').map(str::len).eq(GROUPS)
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// What the ids of calls look like in the files of `format`, where its switch gives all of one look.
pub(super) fn native(format: &str) -> Option<fn(&str) -> bool> {
    match format.split('-').next() {
        Some("asterisk") => Some(is_id),
        Some("freeswitch") => Some(is_uuid),
        _ => None,
    }
}

/// The second since 1970 in which the channel with the id `text` was made.
pub(super) fn made_at(text: &str) -> Option<i64> {
    let (secs, count) = text.rsplit('-').next()?.split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // Longer ones are dates without anything between their numbers.
    let is_id = (9..=10).contains(&secs.len()) && digits(secs) && digits(count);
    secs.parse().ok().filter(|_| is_id)
}

/// How far the times of records are from their ids.
#[derive(Debug, Clone, Default)]
pub struct IdClock {
    /// Records with such an id and a beginning.
    records: usize,
    /// For each distance that offsets may have: how many records have it, and when the last was made.
    apart: BTreeMap<i64, (usize, i64)>,
}

/// What ids say of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Says {
    /// How far the clock was from UTC.
    pub shown: Offset,
    /// How far the zone is by which its times were read.
    pub read: Offset,
    /// The day of which both are told, by that clock.
    pub day: Date,
}

impl IdClock {
    /// Takes in a record.
    pub fn add(&mut self, record: &Record<'_>) {
        let made = record.text_of(Meaning::CallId).and_then(made_at);
        let begun = record.time_of(Meaning::StartTime);
        let Some((made, begun)) = made.zip(begun) else {
            return;
        };
        self.records += 1;
        let apart = begun.unix.unix_secs().saturating_sub(made);
        let step = apart.saturating_add(STEP_SECS / 2).div_euclid(STEP_SECS) * STEP_SECS;
        if (apart - step).abs() <= CLOSE_SECS && step.abs() <= APART_MAX_SECS {
            let (count, last) = self.apart.entry(step).or_default();
            (*count, *last) = (*count + 1, made);
        }
    }

    /// What the ids say of a clock whose times were read as those of `zone`; nothing where fewer than
    /// half of the records agree.
    pub fn says(&self, zone: &TimeZone) -> Option<Says> {
        let (apart, (count, made)) = self.apart.iter().max_by_key(|(_, (count, _))| *count)?;
        if count * 2 < self.records {
            return None;
        }
        let at = |secs: i64| jiff::Timestamp::from_second(secs).ok();
        let read = zone.to_offset(at(made + apart)?);
        let shown = Offset::from_seconds(read.seconds() + i32::try_from(*apart).ok()?).ok()?;
        let day = shown.to_datetime(at(*made)?).date();
        Some(Says { shown, read, day })
    }
}

impl Says {
    /// Whether the zone has the offset that the clock showed.
    pub fn agrees(&self) -> bool {
        self.shown == self.read
    }
}

/// An offset as it is written behind a time: `+05:30`.
pub fn written(offset: Offset) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_seconds_a_point_and_a_count() {
        for (text, expected) in [
            ("1706368044.0", Some(1_706_368_044)),
            ("mainserver-dss-1706420300.15", Some(1_706_420_300)),
            ("1706368044", None),
            ("12.50", None),
            ("1706368044.", None),
            ("20260410142815.335", None),
            ("d80e22e0-4c15-11ea-97a0-9dd79410affb", None),
        ] {
            assert_eq!(made_at(text), expected, "{text}");
        }
    }

    #[test]
    fn offsets_are_written_with_hours_and_minutes() {
        for (secs, expected) in [(0, "+00:00"), (19_800, "+05:30"), (-12_600, "-03:30")] {
            assert_eq!(written(Offset::from_seconds(secs).unwrap()), expected);
        }
    }
}

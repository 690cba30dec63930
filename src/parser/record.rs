//! Record: one row, split into fields and checked against its layout.

use super::format::{CALL, Column, Format, Kind, Layout, Meaning, kind_of};
use super::reject::{Problem, Reject, shown};
use super::time;
use crate::clock::UnixMs;
use crate::timestamp::Timestamp;
use jiff::tz::TimeZone;
use std::borrow::Cow;

/// Largest whole number every JSON reader holds exactly: 2^53 - 1 (RFC 8259, section 6).
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// Longest length of time that a row can tell, in seconds: a year.
///
/// No call lasts so long. An instant in a column of lengths is a row of another layout that happens to
/// have as many columns.
pub const LENGTH_SECS_MAX: i64 = 366 * 86_400;

/// By how much a call may seem to end before it began, with no midnight between, in seconds: a clock
/// was set right meanwhile, or one of the times was rounded. No call lasts so nearly a whole day.
const SET_BACK_SECS_MAX: i64 = 60;

/// One row that fits its layout. Borrows the parser's buffers.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    layout: &'a Layout,
    fields: &'a Fields,
    values: &'a [Value],
    flawed: bool,
    doubtful: Option<UnixMs>,
}

/// A field's value as its column's type reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The field is empty, or says that there is nothing to tell.
    Nothing,
    /// Text; see [`Record::text`].
    Text,
    /// A whole number, or a length of time in its column's unit.
    Whole(i64),
    /// An instant.
    Time(Timestamp),
}

impl<'a> Record<'a> {
    /// The layout the row has.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// The text of the column at `index` (from 0) as written; empty where there is none.
    pub fn text(&self, index: usize) -> &'a str {
        self.fields.get(index)
    }

    /// The value of the column at `index` (from 0).
    pub fn value(&self, index: usize) -> Value {
        self.values.get(index).copied().unwrap_or(Value::Nothing)
    }

    /// The text of the column that means `meaning`; `None` where there is no such column, or
    /// nothing in it.
    pub fn text_of(&self, meaning: Meaning) -> Option<&'a str> {
        let index = self.layout.column_of(meaning)?;
        (self.value(index) != Value::Nothing).then(|| trimmed(self.text(index)))
    }

    /// The whole number in the column that means `meaning`.
    pub fn whole_of(&self, meaning: Meaning) -> Option<i64> {
        match self.value(self.layout.column_of(meaning)?) {
            Value::Whole(number) => Some(number),
            _ => None,
        }
    }

    /// The instant in the column that means `meaning`.
    pub fn time_of(&self, meaning: Meaning) -> Option<Timestamp> {
        match self.value(self.layout.column_of(meaning)?) {
            Value::Time(at) => Some(at),
            _ => None,
        }
    }

    /// Some bytes were not text in the source's encoding; U+FFFD stands for them.
    pub fn is_flawed(&self) -> bool {
        self.flawed
    }

    /// A local time that fell into the hour that summer time repeats or leaves out, if there is one
    /// that nothing else in the row decides.
    pub fn doubtful(&self) -> Option<UnixMs> {
        self.doubtful
    }
}

/// The fields of a row: their texts one after another, and where each ends.
#[derive(Debug, Default)]
pub struct Fields {
    pub(super) text: String,
    pub(super) ends: Vec<usize>,
}

impl Fields {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The field at `index`; empty where there is none.
    pub fn get(&self, index: usize) -> &str {
        let start = index
            .checked_sub(1)
            .map_or(Some(0), |before| self.ends.get(before).copied());
        let end = self.ends.get(index).copied();
        start
            .zip(end)
            .and_then(|(start, end)| self.text.get(start..end))
            .unwrap_or("")
    }

    /// All of them, in order.
    fn iter(&self) -> impl Iterator<Item = &str> {
        self.ends.iter().scan(0, |start, &end| {
            let field = self.text.get(*start..end).unwrap_or_default();
            *start = end;
            Some(field)
        })
    }

    /// Adds a field.
    pub(super) fn push(&mut self, field: &str) {
        self.text.push_str(field);
        self.ends.push(self.text.len());
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
}

/// Buffers that one parser uses again for every row.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) fields: Fields,
    values: Vec<Value>,
    layout: usize,
    pub(super) flawed: bool,
    doubtful: Option<UnixMs>,
    /// The places of the times that the clock showed twice, and their later readings.
    twice: Vec<(usize, Timestamp)>,
}

impl Scratch {
    /// The record in the buffers; only after [`Scratch::judge`] found that it is one.
    pub(super) fn record<'a>(&'a self, format: &'a Format) -> Record<'a> {
        let layout = format
            .layouts
            .get(self.layout)
            .expect("judge chose one of the layouts");
        Record {
            layout,
            fields: &self.fields,
            values: &self.values,
            flawed: self.flawed,
            doubtful: self.doubtful,
        }
    }

    /// Checks the fields against the layout that has as many columns and whose conditions hold;
    /// false where the row is one of those that the format passes over.
    pub(super) fn judge(
        &mut self,
        format: &Format,
        zone: Option<&TimeZone>,
    ) -> Result<bool, Reject> {
        if self.fields.text.trim().is_empty() && self.fields.count() > 1 {
            self.count_fits(format)?;
            return Err(Reject::row(Problem::Empty));
        }
        match self.choose(format)? {
            Some(index) => self.judge_as(format, index, zone).map(|()| true),
            None => Ok(false),
        }
    }

    /// The place of the layout for fields that are told apart by their places.
    fn choose(&self, format: &Format) -> Result<Option<usize>, Reject> {
        let usable = || {
            format
                .layouts
                .iter()
                .enumerate()
                .filter(|(_, layout)| !layout.only_by_name)
        };
        let holds = |layout: &Layout| layout.holds(|index| self.fields.get(index));
        let count = self.fields.count();
        if let Some((index, _)) = usable().find(|(_, layout)| layout.fits(count) && holds(layout)) {
            return Ok(Some(index));
        }
        self.count_fits(format)?;
        // A row of a kind that is told, but with another number of columns, must not get lost.
        match usable().any(|(_, layout)| !layout.when.is_empty() && holds(layout)) {
            true => Err(Reject::row(no_layout(format, count))),
            false => Ok(None),
        }
    }

    fn count_fits(&self, format: &Format) -> Result<(), Reject> {
        let count = self.fields.count();
        let mut usable = format.layouts.iter().filter(|layout| !layout.only_by_name);
        match usable.any(|layout| layout.fits(count)) {
            true => Ok(()),
            false => Err(Reject::row(no_layout(format, count))),
        }
    }

    /// Takes the values of the first layout whose conditions hold into the fields, and gives its
    /// place; `find` gives the value at a path.
    pub(super) fn fill<'t>(
        &mut self,
        format: &Format,
        mut find: impl FnMut(&str) -> Option<Cow<'t, str>>,
    ) -> Option<usize> {
        let mut value = |column: &Column| {
            let (last, others) = column.paths.split_last()?;
            // Where a value is written in several ways, zero means that this one is not.
            let told = |text: &Cow<'t, str>| !matches!(text.trim(), "" | "0");
            let first = others.iter().find_map(|path| find(path).filter(told));
            first.or_else(|| find(last))
        };
        let index = format.layouts.iter().position(|layout| {
            layout.when.iter().all(|(index, values)| {
                let found = layout.columns.get(*index).and_then(&mut value);
                meets(values, found.as_deref().unwrap_or_default())
            })
        })?;
        self.fields.clear();
        for column in &format.layouts.get(index)?.columns {
            self.fields.push(&value(column).unwrap_or_default());
        }
        Some(index)
    }

    /// Checks the fields that [`Scratch::fill`] took for the layout at `index`; false where it found
    /// none.
    pub(super) fn judge_filled(
        &mut self,
        format: &Format,
        index: Option<usize>,
        zone: Option<&TimeZone>,
    ) -> Result<bool, Reject> {
        let Some(index) = index else {
            return Ok(false);
        };
        if self.fields.text.trim().is_empty() {
            return Err(Reject::row(Problem::Empty));
        }
        self.judge_as(format, index, zone).map(|()| true)
    }

    /// Checks the fields against the layout at `index`.
    pub(super) fn judge_as(
        &mut self,
        format: &Format,
        index: usize,
        zone: Option<&TimeZone>,
    ) -> Result<(), Reject> {
        self.layout = index;
        let layout = format
            .layouts
            .get(index)
            .expect("the index is one of the layouts");
        self.values.clear();
        self.doubtful = None;
        self.twice.clear();
        let mut doubts = 0;
        let texts = self.fields.iter().chain(std::iter::repeat(""));
        for ((index, column), text) in layout.columns.iter().enumerate().zip(texts) {
            let text = trimmed(text);
            let mut doubt = None;
            let value = if format.is_nothing(text) {
                Ok(Value::Nothing)
            } else if let Some(date) = &column.date {
                let told = self.dated(format, layout, column, date, zone);
                value_of(told, &mut doubt)
            } else {
                read(column, text, format.dates, zone, &mut doubt)
            };
            self.values
                .push(value.map_err(|problem| at(index, column, self.fields.get(index), problem))?);
            if let Some(doubt) = doubt {
                doubts += 1;
                self.doubtful.get_or_insert(doubt.at.unix);
                self.twice.extend(doubt.later.map(|later| (index, later)));
            }
        }
        if !self.twice.is_empty() {
            let decided = self.decide(layout);
            self.doubtful = self.doubtful.filter(|_| decided < doubts);
        }
        let has = |meaning| {
            layout
                .column_of(meaning)
                .is_some_and(|index| matches!(self.values.get(index), Some(Value::Time(_))))
        };
        if layout.timed_by().iter().any(|meaning| has(*meaning)) {
            return Ok(());
        }
        Err(Reject::row(match &*layout.event {
            CALL => Problem::MissingTime,
            _ => Problem::Missing("time"),
        }))
    }

    /// Chooses among the two readings of each time of the call that the clock showed twice, as summer
    /// time ended, by what the row says beside: a call does not end before it began, and lasts as long
    /// as its lengths say. Gives how many times that decides; for the others the earlier reading stays.
    fn decide(&mut self, layout: &Layout) -> usize {
        let times = [Meaning::StartTime, Meaning::AnswerTime, Meaning::EndTime];
        let times = times.map(|meaning| layout.column_of(meaning));
        self.twice
            .retain(|(index, _)| times.contains(&Some(*index)));
        let whole = |meaning| match self.values.get(layout.column_of(meaning)?) {
            Some(Value::Whole(number)) => Some(*number),
            _ => None,
        };
        let held = whole(Meaning::HoldDuration).or(whole(Meaning::BillDuration));
        let duration = whole(Meaning::Duration);
        let later = |choice: usize| {
            let twice = self.twice.iter().enumerate();
            twice.filter_map(move |(bit, twice)| (choice >> bit & 1 == 1).then_some(twice))
        };
        // How many times are in the wrong order, and how far the lengths between them are from those told.
        let misfit = |choice: usize| {
            let [start, answer, end] = times.map(|column| {
                let mut later = later(choice).filter(|(index, _)| Some(*index) == column);
                let own = || match self.values.get(column?)? {
                    Value::Time(at) => Some(*at),
                    _ => None,
                };
                later.next().map(|(_, later)| *later).or_else(own)
            });
            let span = |from: Option<Timestamp>, to: Option<Timestamp>| {
                Some(to?.unix.0.saturating_sub(from?.unix.0))
            };
            let spans = [span(start, answer), span(answer, end), span(start, end)];
            let backwards = spans.iter().flatten().filter(|span| **span < 0).count();
            let of_all = duration.or(held.filter(|_| answer.is_none()));
            let far = |span: Option<i64>, secs: Option<i64>| {
                let apart = span
                    .zip(secs)
                    .map(|(span, secs)| span.abs_diff(secs * 1_000));
                apart.unwrap_or(0)
            };
            (backwards, far(spans[2], of_all) + far(spans[1], held))
        };
        let choices = 1 << self.twice.len();
        let Some(best) = (0..choices).min_by_key(|choice| misfit(*choice)) else {
            return 0;
        };
        let as_good = (0..choices).filter(|choice| misfit(*choice) == misfit(best));
        let decided = if as_good.count() == 1 {
            self.twice.len()
        } else {
            0
        };
        let chosen: Vec<_> = later(best).copied().collect();
        for (index, later) in chosen {
            if let Some(value) = self.values.get_mut(index) {
                *value = Value::Time(later);
            }
        }
        decided
    }

    /// The time of `column`, whose day is in the one called `date`.
    ///
    /// A call has one day in its row, that of its beginning: what is earlier than that by the clock
    /// was after midnight, on the next day of the clock, however long that day is.
    fn dated(
        &self,
        format: &Format,
        layout: &Layout,
        column: &Column,
        date: &str,
        zone: Option<&TimeZone>,
    ) -> Result<Option<time::Told>, time::TimeProblem> {
        let Some(shown) = self.joined(format, layout, column, date)? else {
            return Ok(None);
        };
        let told = shown.told(zone)?;
        let before: &[Meaning] = match column.meaning {
            Some(Meaning::AnswerTime) => &[Meaning::StartTime],
            Some(Meaning::EndTime) => &[Meaning::StartTime, Meaning::AnswerTime],
            _ => &[],
        };
        let begun = before.iter().find_map(|meaning| {
            let column = layout.columns.get(layout.column_of(*meaning)?)?;
            let is_same = column.date.as_deref() == Some(date);
            let shown = is_same.then(|| self.joined(format, layout, column, date));
            shown?.ok().flatten()
        });
        let Some(begun) = begun.filter(|begun| shown.secs_before(*begun) > SET_BACK_SECS_MAX)
        else {
            return Ok(Some(told));
        };
        // A call through the hour that summer time repeats ends earlier by the clock than it began.
        if told.doubtful && begun.told(zone)?.doubtful {
            return Ok(Some(told));
        }
        shown.next_day()?.told(zone).map(Some)
    }

    /// What `column` shows with the day that the column called `date` holds; nothing where either is
    /// missing.
    fn joined(
        &self,
        format: &Format,
        layout: &Layout,
        column: &Column,
        date: &str,
    ) -> Result<Option<time::Shown>, time::TimeProblem> {
        let text = |name: &str| {
            let place = layout.columns.iter().position(|column| column.name == name);
            place.map_or("", |index| trimmed(self.fields.get(index)))
        };
        let (day, hour) = (text(date), text(&column.name));
        let is_missing = |part: &str| part.is_empty() || format.is_nothing(part);
        match is_missing(day) || is_missing(hour) {
            true => Ok(None),
            false => time::shown(&format!("{day} {hour}"), format.dates),
        }
    }
}

fn no_layout(format: &Format, found: usize) -> Problem {
    let names = format.to_choose_from(found);
    if !names.is_empty() {
        let names = names.into_iter().map(str::to_string).collect();
        return Problem::LayoutNotChosen { found, names };
    }
    let usable = format.layouts.iter().filter(|layout| !layout.only_by_name);
    let mut expected: Vec<_> = usable.map(|layout| layout.columns.len()).collect();
    // Of as many there are, but for rows of another kind.
    expected.retain(|columns| *columns != found);
    expected.sort_unstable();
    expected.dedup();
    Problem::FieldCount { found, expected }
}

/// Whether `text` is one of `values`, of which one that ends in `*` stands for all that begin so.
pub(super) fn meets(values: &[String], text: &str) -> bool {
    let text = trimmed(text).as_bytes();
    values.iter().any(|value| match value.as_bytes() {
        [beginning @ .., b'*'] => text.starts_with(beginning),
        whole => text == whole,
    })
}

/// How many of the typed columns of `layout` hold something in `fields`, and how many of those fit.
///
/// A local time fits, whether or not the source has a time zone.
pub(super) fn fitting(
    layout: &Layout,
    fields: &Fields,
    dates: time::Dates,
    zone: Option<&TimeZone>,
) -> (usize, usize) {
    let (mut filled, mut fit) = (0, 0);
    for (index, column) in layout.columns.iter().enumerate() {
        let text = trimmed(fields.get(index));
        if column.kind == Kind::Text || column.date.is_some() || text.is_empty() {
            continue;
        }
        filled += 1;
        let read = read(column, text, dates, zone, &mut None);
        use time::TimeProblem::{NoZone, OtherZone};
        if matches!(read, Ok(_) | Err(Misfit::Time(NoZone | OtherZone))) {
            fit += 1;
        }
    }
    (filled, fit)
}

enum Misfit {
    Kind,
    Time(time::TimeProblem),
}

/// Reads the text of a column, without blanks around it.
fn read(
    column: &Column,
    text: &str,
    dates: time::Dates,
    zone: Option<&TimeZone>,
    doubtful: &mut Option<time::Told>,
) -> Result<Value, Misfit> {
    if text.is_empty() {
        return Ok(Value::Nothing);
    }
    let whole = |number: Option<i64>| number.map(Value::Whole).ok_or(Misfit::Kind);
    match column.kind {
        Kind::Text => Ok(Value::Text),
        Kind::Money if is_amount(text) => Ok(Value::Text),
        Kind::Money => Err(Misfit::Kind),
        Kind::Integer => whole(
            text.parse()
                .ok()
                .filter(|number: &i64| number.unsigned_abs() <= INTEGER_MAX.unsigned_abs()),
        ),
        Kind::Seconds => whole(seconds(text).filter(|secs| *secs <= LENGTH_SECS_MAX)),
        Kind::Minutes => whole(minutes(text).filter(|secs| *secs <= LENGTH_SECS_MAX)),
        Kind::Millis => {
            let millis = length(text).filter(|millis| millis / 1_000 <= LENGTH_SECS_MAX);
            let in_seconds = column.meaning.and_then(kind_of) == Some(Kind::Seconds);
            whole(millis.map(|millis| if in_seconds { millis / 1_000 } else { millis }))
        }
        Kind::Time => value_of(time::read_dated(text, dates, zone), doubtful),
    }
}

fn value_of(
    told: Result<Option<time::Told>, time::TimeProblem>,
    doubtful: &mut Option<time::Told>,
) -> Result<Value, Misfit> {
    match told {
        Ok(Some(told)) => {
            *doubtful = Some(told).filter(|told| told.doubtful);
            Ok(Value::Time(told.at))
        }
        Ok(None) => Ok(Value::Nothing),
        Err(problem) => Err(Misfit::Time(problem)),
    }
}

fn at(index: usize, column: &Column, value: &str, misfit: Misfit) -> Reject {
    let problem = match (misfit, column.kind) {
        (Misfit::Time(problem), _) => {
            return Reject::time(index, &column.name, value.trim(), problem);
        }
        (Misfit::Kind, Kind::Integer) => Problem::NotInteger(shown(value)),
        (Misfit::Kind, Kind::Money) => Problem::NotMoney(shown(value)),
        (Misfit::Kind, Kind::Seconds) if minutes(value.trim()).is_some() => {
            Problem::NotSeconds(shown(value))
        }
        (Misfit::Kind, _) => Problem::NotDuration(shown(value)),
    };
    Reject {
        column: Some((index + 1, column.name.clone())),
        problem,
    }
}

/// `text` without white space around it. Most of a switch's values have none, and to see that takes
/// a look at two bytes.
pub fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'] | [] => text,
        _ => text.trim(),
    }
}

/// Whether `text` is a decimal number: digits with an optional sign, fraction and exponent (Java
/// writes small amounts as `1.0E-4`).
pub fn is_amount(text: &str) -> bool {
    let is_signed = |text: &[u8]| matches!(text, [b'+' | b'-', ..]);
    let text = text.as_bytes();
    let number = text.get(usize::from(is_signed(text))..).unwrap_or_default();
    let Some(rest) = behind_digits(number) else {
        return false;
    };
    let rest = match rest {
        [b'.', fraction @ ..] => behind_digits(fraction),
        rest => Some(rest),
    };
    let rest = match rest {
        Some([b'e' | b'E', exponent @ ..]) => exponent
            .get(usize::from(is_signed(exponent))..)
            .and_then(behind_digits),
        rest => rest,
    };
    matches!(rest, Some([]))
}

/// What follows the digits that `text` begins with; `None` where it begins with none.
fn behind_digits(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.get(count..).filter(|_| count > 0)
}

/// A length of time in whole units; a fraction is cut off. Not below zero.
fn length(text: &str) -> Option<i64> {
    let rest = behind_digits(text.as_bytes())?;
    let is_number = match rest {
        [] => true,
        [b'.', fraction @ ..] => fraction.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let whole = text.get(..text.len() - rest.len())?;
    let number = whole.parse().ok().filter(|_| is_number)?;
    (number <= INTEGER_MAX).then_some(number)
}

/// A length of time in whole seconds, in digits or as a clock shows it: `147`, `147.6`, `0:02:27`, and
/// as the reports of Elastix and Issabel do: `147s (2m 27s)`; or as Go prints them: `2m27s`.
///
/// Two numbers with a colon could be minutes and seconds or hours and minutes, and are neither.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let Some((hours, rest)) = text.split_once(':') else {
        if let Some(told) = in_units(text) {
            return Some(told);
        }
        let told = text
            .split_once('s')
            .filter(|(_, rest)| rest.is_empty() || (rest.starts_with(" (") && rest.ends_with(')')));
        return length(told.map_or(text, |(told, _)| told));
    };
    let (minutes, seconds) = rest.split_once(':')?;
    let below_60 = |part: &str| {
        let number = length(part).filter(|number| *number < 60);
        number.filter(|_| {
            behind_digits(part.as_bytes()).is_some_and(|rest| part.len() - rest.len() == 2)
        })
    };
    let hours = length(hours).filter(|_| !hours.contains('.') && hours.len() <= 4)?;
    let minutes = below_60(minutes).filter(|_| minutes.len() == 2)?;
    Some((hours * 60 + minutes) * 60 + below_60(seconds)?)
}

/// A length of time that is written in minutes, in whole seconds: `2:27`, or `0:02:27` with hours; or with a
/// fraction, `2.45` or `2,45`, to the nearest second.
pub(super) fn minutes(text: &str) -> Option<i64> {
    /// More digits of a fraction are of no second.
    const DIGITS_MAX: u32 = 9;
    if let Some((minutes, rest)) = text.split_once(':') {
        if rest.contains(':') {
            return seconds(text);
        }
        let rest = length(rest).filter(|secs| *secs < 60 && rest.len() == 2)?;
        let minutes = length(minutes).filter(|_| !minutes.contains('.'))?;
        return minutes.checked_mul(60)?.checked_add(rest);
    }
    let (minutes, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let count = u32::try_from(fraction.len()).ok()?;
    if count > DIGITS_MAX || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let parts = 10_i64.pow(count);
    let fraction: i64 = match fraction {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    let minutes = length(minutes).filter(|_| !minutes.contains('.'))?;
    minutes
        .checked_mul(60)?
        .checked_add((fraction * 60 + parts / 2) / parts)
}

/// A length of time as Go prints one of a minute and more: `1h2m27.5s`, `2m27s`, `2m0s`.
fn in_units(text: &str) -> Option<i64> {
    let below_60 = |part: &str| length(part).filter(|number| *number < 60);
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    let (hours, minutes) = match minutes.split_once('h') {
        Some((hours, minutes)) => (length(hours).filter(|_| !hours.contains('.'))?, minutes),
        None => (0, minutes),
    };
    let minutes = below_60(minutes).filter(|_| !minutes.contains('.'))?;
    let whole = hours
        .checked_mul(60)?
        .checked_add(minutes)?
        .checked_mul(60)?;
    let whole = whole.checked_add(below_60(seconds)?)?;
    (whole <= INTEGER_MAX).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_a_clock_shows_them_too() {
        assert_eq!(seconds("147.6"), Some(147));
        assert_eq!(seconds("0:02:27"), Some(147));
        assert_eq!(seconds("00:02:27.900"), Some(147));
        assert_eq!(seconds("100:00:00"), Some(360_000));
        assert_eq!(seconds("147s (2m 27s)"), Some(147));
        assert_eq!(seconds("34s"), Some(34));
        assert_eq!(seconds("2m27s"), Some(147));
        assert_eq!(seconds("2m0s"), Some(120));
        assert_eq!(seconds("1h2m27.5s"), Some(3_747));
        for text in [
            "60m0s",
            "1m60s",
            "m27s",
            "2ms",
            "2m27",
            "1.5h2m27s",
            "-2m27s",
            "9223372036854775807h0m0s",
            "2:27",
            "00:60:00",
            "00:00:60",
            "0:2:7",
            "0:02:7",
            ":02:27",
            "0:02:",
            "-1:00:00",
            "1.5:00:00",
            "0:02.0:27",
            "99999:00:00",
            "0:02:27:00",
            "0:02:27 ",
            "s",
            "2m 27s",
            "34seconds",
            "147s (",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn lengths_in_minutes_are_told_in_seconds() {
        for (text, expected) in [
            ("2", 120),
            ("2:27", 147),
            ("000:10", 10),
            ("147:00", 8_820),
            ("0:02:27", 147),
            ("2.45", 147),
            ("2,45", 147),
            ("0.33", 20),
            ("0.0167", 1),
            ("2.", 120),
        ] {
            assert_eq!(minutes(text), Some(expected), "{text}");
        }
        for text in [
            "2:60",
            "2:7",
            ":27",
            "2:",
            "2:2.5",
            "-2:27",
            "2.5:27",
            "2.4.5",
            "1.234,5",
            ".5",
            "2,4a",
            "2.0000000001",
            "two",
            "9223372036854775807",
            "9007199254740991:00:00",
        ] {
            assert_eq!(minutes(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_are_decimal_numbers_and_nothing_else() {
        for text in [
            "0",
            "0.0",
            "12.3450",
            "-3.5",
            "+1",
            "1.0E-4",
            "99999999999999999999999.999",
        ] {
            assert!(is_amount(text), "{text}");
        }
        for text in [
            "", "-", ".5", "5.", "1,5", "NaN", "1e", "1e+", "0x1", "1.2.3", "1 ", "+-1", "1.e5",
        ] {
            assert!(!is_amount(text), "{text}");
        }
    }

    #[test]
    fn lengths_of_time_lose_their_fraction_and_are_not_negative() {
        assert_eq!(length("147.676"), Some(147));
        assert_eq!(length("0"), Some(0));
        assert_eq!(length("7."), Some(7));
        for text in ["", "-5", "1e3", ".5", "1.5s", "1.2.3", "99999999999999999"] {
            assert_eq!(length(text), None, "{text}");
        }
    }
}

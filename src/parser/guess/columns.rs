//! A format for a file that no preset fits: columns by their names, by their likeness to a preset's,
//! or by what their values look like.

use super::super::format::{
    Column, ColumnTable, FormatTable, Kind, LayoutTable, Meaning, kind_of, word_of,
};
use super::super::reader::Reader;
use super::super::record::{Fields, fitting, minutes, seconds};
use super::super::time::{self, DATES, Dates};
use super::super::{Header, presets, text_of};
use super::acc;
use super::ids;
use super::kinds::{Doubt, Looks, is_port, meaning_of, side_of, without_unit};
use super::shape::{self, Shape};
use super::{ROWS_MAX, Sample, may_be_id};
use jiff::tz::TimeZone;
use std::cmp::Ordering;
use std::collections::HashSet;

/// Fewest rows whose ids differ for the column to be proposed as their key: of fewer, those of
/// anything may, as of tenants, and a wrong key loses calls.
const KEY_ROWS_MIN: usize = 5;

/// Fewest digits of an extension.
const EXTENSION_DIGITS_MIN: usize = 3;

/// Values that are kept of each column, to be shown.
const SHOWN_MAX: usize = 3;

/// A format that a file may have, and where each part of it comes from.
#[derive(Debug, Clone)]
pub struct Guessed {
    /// The format as it would be written; one layout, called `own`.
    pub table: FormatTable,
    /// Whether the file begins with names.
    pub header: Header,
    /// Some times carry no zone.
    pub local_times: bool,
    /// Every date could have day and month in either order.
    pub doubtful_dates: bool,
    /// A column that is called a length of time and whose values could be minutes and seconds or hours
    /// and minutes.
    pub doubtful_length: Option<String>,
    /// The preset's layout that the columns are like, if any: its format and name, how many columns
    /// stand before its own, and how many of its columns the rows have.
    pub like: Option<Like>,
    /// For each column, what its values look like, and some of them.
    pub columns: Vec<(&'static str, Vec<String>)>,
}

/// A preset's layout that rows of another count are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Like {
    /// The preset.
    pub format: String,
    /// Its layout.
    pub layout: String,
    /// Columns of the rows before the layout's first.
    pub before: usize,
    /// Columns that the rows and the layout have in common.
    pub common: usize,
    /// Columns of the layout.
    pub of: usize,
}

/// The likeliest format of `sample`, where its rows come apart in one way at all.
pub fn guess(sample: Sample<'_>, zone: &TimeZone) -> Option<Guessed> {
    let complete = match sample.is_whole {
        true => sample.bytes.len(),
        false => memchr::memrchr(b'\n', sample.bytes).map_or(0, |end| end + 1),
    };
    let bytes = sample.bytes.get(..complete).unwrap_or_default();
    let texts: Vec<String> = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| text_of(line, &sample.decoder).0.into_owned())
        .filter(|text| !text.trim().is_empty())
        .take(ROWS_MAX)
        .collect();
    let lines: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut shape = shape::of(&lines)?;
    let nothing = take_nothing(&mut shape);
    let (dates, doubtful_dates) = dates(&shape);
    let named = shape.names.is_some() || take_header(&mut shape, dates);
    drop_totals(&mut shape, dates);
    let has_header = (named || shape.is_titled) && !shape.reader.has_names();
    let like = if named {
        None
    } else {
        like(&shape.rows, dates, zone)
    };
    let mut columns = columns(&shape, like.as_ref(), dates, zone);
    let is_acc = like.is_none() && acc::take(&mut columns, &shape.rows);
    let doubtful_length = doubtful_length(&columns, &shape.rows);
    let mut guessed = put_together(&shape, has_header, like, dates, columns);
    if is_acc {
        acc::finish(&mut guessed.table);
    }
    guessed.table.nothing = nothing;
    guessed.doubtful_dates = doubtful_dates;
    guessed.doubtful_length = doubtful_length;
    Some(guessed)
}

/// Empties the fields that say that there is nothing, as databases write it; and gives those words.
fn take_nothing(shape: &mut Shape) -> Vec<String> {
    const NOTHING: [&str; 6] = ["NULL", "\\N", "(null)", "null", "None", "N/A"];
    let mut words = Vec::new();
    for field in shape.rows.iter_mut().flatten() {
        if NOTHING.contains(&field.trim()) {
            let word = std::mem::take(field).trim().to_string();
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words
}

/// The order of the numbers of dates with the year behind, and whether it could be the other one: day
/// first, unless a second number is above 12 somewhere, or hours are told as Americans do and no first
/// number is; the default where there are no such dates.
fn dates(shape: &Shape) -> (Dates, bool) {
    let texts = || shape.rows.iter().flatten();
    let reads = |dates| {
        texts()
            .filter(|text| {
                let told = |dates| is_time(text, dates) || is_day(text, dates);
                told(dates) && !told(Dates::YearFirst)
            })
            .count()
    };
    let (day_first, month_first) = (reads(Dates::DayFirst), reads(Dates::MonthFirst));
    let is_half = |text: &String| {
        let end = text.len().saturating_sub(2);
        matches!(text.get(end..), Some("AM" | "PM" | "am" | "pm"))
    };
    let doubtful = day_first > 0 && day_first == month_first;
    let by_ids = if doubtful { dates_by_ids(shape) } else { None };
    if let Some(dates) = by_ids {
        return (dates, false);
    }
    // Of `26/04/10` the first could be the year too, where it is one in every row; with points between
    // them it never is.
    let short = |text: &String| {
        let day = text
            .split([' ', ','])
            .next()
            .unwrap_or_default()
            .to_string();
        let numbers: Vec<usize> = day.split(['/', '-']).map(str::len).collect();
        let is_short = matches!(numbers.as_slice(), [1 | 2, 1 | 2, 2]);
        let told = |dates| is_day(&day, dates);
        (is_short && (told(Dates::DayFirst) || told(Dates::MonthFirst))).then_some(day)
    };
    let short: Vec<String> = texts().filter_map(short).collect();
    let may_begin_with_year = |day: &String| {
        day.as_bytes()
            .get(2)
            .is_some_and(|one| !one.is_ascii_digit())
            && is_day(&format!("20{day}"), Dates::YearFirst)
    };
    let doubtful_year = !short.is_empty() && short.iter().all(may_begin_with_year);
    let dates = if month_first > day_first || (doubtful && texts().any(is_half)) {
        Dates::MonthFirst
    } else if day_first > 0 {
        Dates::DayFirst
    } else {
        Dates::YearFirst
    };
    (dates, doubtful || doubtful_year)
}

/// The order of the numbers in which more dates are of the day on which their row's id was made, where
/// Asterisk gave the ids.
fn dates_by_ids(shape: &Shape) -> Option<Dates> {
    const DAY_SECS: u64 = 86_400;
    let fits = |dates| {
        let of_its_day = |row: &&Vec<String>| {
            let Some(made) = row.iter().find_map(|text| ids::made_at(text.trim())) else {
                return false;
            };
            let near = |text: &String| {
                let told = time::read_dated(text, dates, Some(&TimeZone::UTC));
                let told = told.ok().flatten().map(|told| told.at.unix.unix_secs());
                // The id itself reads as seconds with a fraction.
                !ids::is_id(text.trim()) && told.is_some_and(|secs| secs.abs_diff(made) <= DAY_SECS)
            };
            row.iter().any(near)
        };
        shape.rows.iter().filter(of_its_day).count()
    };
    let (day_first, month_first) = (fits(Dates::DayFirst), fits(Dates::MonthFirst));
    match day_first.cmp(&month_first) {
        Ordering::Greater => Some(Dates::DayFirst),
        Ordering::Less => Some(Dates::MonthFirst),
        Ordering::Equal => None,
    }
}

/// Whether `text` tells an instant.
fn is_time(text: &str, dates: Dates) -> bool {
    let told = time::read_dated(text, dates, Some(&TimeZone::UTC));
    matches!(told, Ok(Some(_)) | Err(time::TimeProblem::OtherZone))
}

/// Whether `text` is a day without an hour.
fn is_day(text: &str, dates: Dates) -> bool {
    !is_time(text, dates) && is_time(&format!("{text} 00:00"), dates)
}

/// Whether `text` is an hour without a day.
fn is_hour(text: &str) -> bool {
    text.contains(':') && is_time(&format!("2000-01-01 {text}"), Dates::YearFirst)
}

/// What is known of one column while its meaning is sought.
pub(super) struct Guess {
    pub(super) name: String,
    looks: Looks,
    pub(super) meaning: Option<Meaning>,
    /// How sure the meaning is.
    doubt: Doubt,
    pub(super) kind: Kind,
    /// The column with the day.
    date: Option<String>,
}

/// Takes the first row for the columns' names where nothing in it looks like a value, and something
/// below it does. Jobs that add to a file write the names again each time: that is no row either.
fn take_header(shape: &mut Shape, dates: Dates) -> bool {
    let Some((first, rows)) = shape.rows.split_first() else {
        return false;
    };
    let rows: Vec<&Vec<String>> = rows.iter().filter(|row| *row != first).collect();
    let rows = rows.as_slice();
    let plain = |text: &String| {
        matches!(
            Looks::of(std::iter::once(text.as_str()), dates),
            Looks::Text | Looks::Empty
        )
    };
    let differs = (0..first.len()).any(|index| {
        let below = Looks::of(rows.iter().map(|row| field(row, index)), dates);
        let is_clock = |text: &str| is_day(text, dates) || is_hour(text);
        !matches!(below, Looks::Text | Looks::Empty) || all_filled(rows, index, is_clock)
    });
    let filled = first.iter().filter(|text| !text.trim().is_empty()).count();
    if !first.iter().all(plain) || !differs || filled * 2 <= first.len() {
        return false;
    }
    let names = shape.rows.remove(0);
    shape.rows.retain(|row| *row != names);
    shape.names = Some(names);
    true
}

/// Takes the last row for one of totals, and drops it, where it has text in the first column in which
/// all others have times.
fn drop_totals(shape: &mut Shape, dates: Dates) {
    const OTHERS_MIN: usize = 3;
    let Some((last, others)) = shape.rows.split_last() else {
        return;
    };
    let is_timed = |index: &usize| all_filled(others, *index, |text| is_time(text, dates));
    let first = (0..last.len()).find(is_timed);
    let is_text = |index: usize| {
        let text = field(last, index).trim();
        text.starts_with(char::is_alphabetic) && !is_time(text, dates)
    };
    if others.len() >= OTHERS_MIN && first.is_some_and(is_text) {
        shape.rows.pop();
    }
}

fn field(row: &[String], index: usize) -> &str {
    row.get(index).map_or("", String::as_str)
}

/// Fewest typed values in common with a layout, over all rows, and of one row on average.
const TYPED_MIN: usize = 4;

/// The preset's layout with the most columns that `rows` are like: all its columns behind at most two
/// others, or its first columns, where everything typed fits in nearly every row.
fn like(rows: &[Vec<String>], dates: Dates, zone: &TimeZone) -> Option<Like> {
    const BEFORE_MAX: usize = 2;
    let count = rows.first()?.len();
    let mut best: Option<((usize, bool, usize), Like)> = None;
    for format in presets::names().filter_map(presets::find) {
        if format.reader.has_names() || !format.layouts.iter().all(|layout| layout.when.is_empty())
        {
            continue;
        }
        for layout in &format.layouts {
            let of = layout.columns.len();
            for before in 0..=BEFORE_MAX.min(count) {
                let common = of.min(count - before);
                // A prefix counts where most of the layout is there.
                if common * 2 < of {
                    continue;
                }
                let (mut filled, mut fit) = (0, 0);
                for row in rows {
                    let mut fields = Fields::default();
                    row.iter()
                        .skip(before)
                        .take(common)
                        .for_each(|text| fields.push(text));
                    let (more, good) = fitting(layout, &fields, dates, Some(zone));
                    (filled, fit) = (filled + more, fit + good);
                }
                let nearly_all = fit * 100 >= filled * 98;
                let timed = layout.columns.iter().take(common).any(|column| {
                    matches!(column.meaning, Some(Meaning::StartTime | Meaning::EndTime))
                });
                // Of layouts with as much in common: one that is all there, and the shortest.
                let worth = (filled, common == of, usize::MAX - of);
                let is_best = best.as_ref().is_none_or(|(most, _)| worth > *most);
                let named = layout
                    .columns
                    .iter()
                    .take(common)
                    .position(|column| column.meaning == Some(Meaning::CallId));
                let is_native = ids::native(&format.name);
                let is_native = |index| is_native.is_none_or(|is| all_filled(rows, index, is));
                let named = named
                    .is_none_or(|index| has_ids(rows, before + index) && is_native(before + index));
                if nearly_all && timed && named && filled >= TYPED_MIN * rows.len() && is_best {
                    let like = Like {
                        format: format.name.clone(),
                        layout: layout.name.clone(),
                        before,
                        common,
                        of,
                    };
                    best = Some((worth, like));
                }
            }
        }
    }
    best.map(|(_, like)| like)
}

/// Whether the column at `index` may name calls: most of its values are ids, and not the same one.
///
/// Rows with the same id are told once: a column of something else there would lose calls.
fn has_ids(rows: &[Vec<String>], index: usize) -> bool {
    let filled = rows
        .iter()
        .map(|row| field(row, index).trim())
        .filter(|text| !text.is_empty());
    let ids: Vec<&str> = filled.clone().filter(|text| may_be_id(text)).collect();
    let different: HashSet<&str> = ids.iter().copied().collect();
    // Both legs of a call may have its id.
    ids.len() * 10 >= filled.count() * 9 && (rows.len() == 1 || different.len() * 2 >= ids.len())
}

fn columns(shape: &Shape, like: Option<&Like>, dates: Dates, zone: &TimeZone) -> Vec<Guess> {
    let count = shape.rows.first().map_or(0, Vec::len);
    let model = like.and_then(|like| {
        let format = presets::find(&like.format)?;
        let layout = format
            .layouts
            .iter()
            .find(|layout| layout.name == like.layout)?;
        Some((like.before, layout.columns.clone()))
    });
    let mut taken = HashSet::new();
    let mut guesses: Vec<Guess> = (0..count)
        .map(|index| {
            let looks = Looks::of(shape.rows.iter().map(|row| field(row, index)), dates);
            let known: Option<&Column> = model
                .as_ref()
                .and_then(|(before, columns)| columns.get(index.checked_sub(*before)?));
            let own = shape.names.as_ref().map_or("", |names| field(names, index));
            let name = match known {
                Some(column) => column.name.clone(),
                None => own.to_string(),
            };
            let (meaning, doubt) = match known {
                Some(column) => (column.meaning, Doubt::default()),
                None => meaning_of(own, looks)
                    .map_or((None, Doubt::default()), |(meaning, doubt)| {
                        (Some(meaning), doubt)
                    }),
            };
            let kind = known.map_or(looks.kind(meaning), |column| column.kind);
            let reads = |kind| match kind {
                Kind::Minutes => all_filled(&shape.rows, index, |text| minutes(text).is_some()),
                _ => all_filled(&shape.rows, index, |text| text.parse::<u64>().is_ok()),
            };
            let in_unit = without_unit(own)
                .filter(|(_, kind)| meaning.is_none() && known.is_none() && reads(*kind))
                .and_then(|(name, kind)| Some((meaning_of(name, Looks::Length)?, kind)))
                .filter(|((meaning, _), _)| kind_of(*meaning) == Some(Kind::Seconds));
            let (meaning, doubt, kind) = match in_unit {
                // The same length in seconds is surer.
                Some(((meaning, (sure, at)), kind)) => (Some(meaning), (sure + 1, at), kind),
                None => (meaning, doubt, kind),
            };
            Guess {
                name: unique(&name, index, &mut taken),
                looks,
                meaning,
                doubt,
                kind,
                date: None,
            }
        })
        .collect();
    once_each(&mut guesses, &shape.rows);
    if like.is_none() {
        days_and_hours(&mut guesses, &shape.rows, dates);
        ids_not_times(&mut guesses, &shape.rows);
        uuids_are_ids(&mut guesses, &shape.rows);
        by_asterisks_order(&mut guesses, &shape.rows);
        by_values(&mut guesses, &shape.rows, dates, zone);
        answers_of_failures(&mut guesses, &shape.rows);
        tell_answered(&mut guesses, &shape.rows);
    }
    guesses
}

/// A name that no column has yet, in no case.
fn unique(name: &str, index: usize, taken: &mut HashSet<String>) -> String {
    let name = name.trim();
    let usable = !name.is_empty() && !name.bytes().all(|byte| byte.is_ascii_digit());
    let mut name = if usable {
        name.to_string()
    } else {
        format!("field{}", index + 1)
    };
    while !taken.insert(name.to_ascii_lowercase()) {
        name = format!("{name}_{}", index + 1);
    }
    name
}

/// Takes a meaning from all columns but the likeliest that has it, and from those whose values are
/// not of its type or no ids of calls. Of several the one whose times carry a zone is likelier, then the one whose name
/// is surer, then the first; of names of parties, those with numbers below them are.
fn once_each(guesses: &mut [Guess], rows: &[Vec<String>]) {
    let is_party = |guess: &Guess| {
        matches!(
            guess.meaning,
            Some(Meaning::CallerId | Meaning::CalledId | Meaning::DialledId)
        )
    };
    let suits = |guess: &Guess, index: usize| {
        let kind = guess.meaning.and_then(kind_of);
        let names = guess.meaning != Some(Meaning::CallId) || has_ids(rows, index);
        let calls = !is_party(guess) || has_parties(rows, index);
        names && calls && kind.is_none_or(|kind| guess.kind.gives(kind))
    };
    let mut order: Vec<usize> = (0..guesses.len()).collect();
    order.sort_by_key(|index| {
        let guess = guesses.get(*index);
        guess.map(|guess| {
            let is_number = matches!(guess.looks, Looks::Number | Looks::Small);
            (
                guess.looks == Looks::Time { local: true },
                is_party(guess) && !is_number,
                guess.doubt,
            )
        })
    });
    let mut meant = HashSet::new();
    for index in order {
        let Some(guess) = guesses.get_mut(index) else {
            continue;
        };
        let suits = suits(guess, index);
        guess.meaning = guess
            .meaning
            .filter(|meaning| suits && meant.insert(*meaning));
        if guess.meaning.is_none() && guess.kind != Kind::Text {
            // A type without a use would only set rows aside.
            guess.kind = Kind::Text;
        }
    }
}

/// Whether the column at `index` may tell who calls or is called: a name of several words without a
/// digit is that of a country or a route.
fn has_parties(rows: &[Vec<String>], index: usize) -> bool {
    let is_party = |text: &str| {
        text.bytes().any(|byte| byte.is_ascii_digit()) || !text.contains(char::is_whitespace)
    };
    filled(rows, index).all(is_party)
}

/// The first column of UUIDs that differ names the calls, where none does by its name.
fn uuids_are_ids(guesses: &mut [Guess], rows: &[Vec<String>]) {
    let known = |guess: &Guess| guess.meaning == Some(Meaning::CallId);
    if guesses.iter().any(known) {
        return;
    }
    let found = guesses.iter_mut().enumerate().find(|(index, guess)| {
        let all_uuids = || {
            rows.iter()
                .all(|row| ids::is_uuid(field(row, *index).trim()))
        };
        guess.meaning.is_none() && all_uuids() && has_ids(rows, *index)
    });
    if let Some((_, guess)) = found {
        guess.meaning = Some(Meaning::CallId);
    }
}

/// The first column of days and the first of hours tell together when a call began, where no column
/// tells that alone; further ones behind them when it ended.
fn days_and_hours(guesses: &mut [Guess], rows: &[Vec<String>], dates: Dates) {
    let is_timed = |guess: &Guess| matches!(guess.looks, Looks::Time { .. });
    if guesses.iter().any(is_timed) {
        return;
    }
    let count = guesses.len();
    let all = |index: usize, is: &dyn Fn(&str) -> bool| {
        !rows.is_empty() && rows.iter().all(|row| is(field(row, index).trim()))
    };
    let day_from =
        |from: usize| (from..count).find(|index| all(*index, &|text| is_day(text, dates)));
    // Digits alone are an hour right behind a day of digits.
    let is_bare = |index: usize| {
        let is_day = |text: &str| text.len() == 8 && is_day(text, dates);
        let is_hour = |text: &str| text.len() == 6 && is_time(&format!("20000101 {text}"), dates);
        index > 0 && all(index - 1, &is_day) && all(index, &is_hour)
    };
    let first_hour = |guesses: &[Guess], mut places: std::ops::Range<usize>| {
        let is_free = |index: usize| {
            guesses
                .get(index)
                .is_some_and(|guess| guess.meaning.is_none())
        };
        places.find(|index| is_free(*index) && (all(*index, &is_hour) || is_bare(*index)))
    };
    let tell = |guesses: &mut [Guess], day: usize, hour: usize, meaning: Meaning| {
        let date = guesses.get(day).map(|guess| guess.name.clone());
        if let Some(guess) = guesses.get_mut(hour) {
            (guess.meaning, guess.kind) = (Some(meaning), Kind::Time);
            guess.looks = Looks::Time { local: true };
            guess.date = date;
        }
    };
    let Some(day) = day_from(0) else {
        return;
    };
    // Behind the day comes the hour; what comes later may be a length of time.
    let behind = first_hour(guesses, day + 1..count);
    let Some(hour) = behind.or_else(|| first_hour(guesses, 0..day)) else {
        return;
    };
    tell(guesses, day, hour, Meaning::StartTime);
    let ended = day_from(day.max(hour) + 1);
    let hour = ended.and_then(|day| first_hour(guesses, day + 1..count));
    if let (Some(day), Some(hour)) = (ended, hour) {
        tell(guesses, day, hour, Meaning::EndTime);
    }
}

/// Asterisk's call ids are seconds, a point and a count: beside dates they are no times.
fn ids_not_times(guesses: &mut [Guess], rows: &[Vec<String>]) {
    let is_date = |guess: &Guess| guess.looks == Looks::Time { local: true };
    if !guesses.iter().any(is_date) {
        return;
    }
    let mut known = guesses
        .iter()
        .any(|guess| guess.meaning == Some(Meaning::CallId));
    for (index, guess) in guesses.iter_mut().enumerate() {
        if guess.meaning.is_some() || !all_filled(rows, index, ids::is_id) {
            continue;
        }
        (guess.looks, guess.kind) = (Looks::Text, Kind::Text);
        // The first is the call's own; others say what it belongs to.
        if !std::mem::replace(&mut known, true) {
            guess.meaning = Some(Meaning::CallId);
        }
    }
}

/// Whether `text` is a word by which Asterisk or FreeSWITCH say how a call went.
fn is_disposition(text: &str) -> bool {
    const WORDS: [&str; 18] = [
        "ANSWERED",
        "NO ANSWER",
        "BUSY",
        "FAILED",
        "CONGESTION",
        "NORMAL_CLEARING",
        "NORMAL_UNSPECIFIED",
        "NORMAL_TEMPORARY_FAILURE",
        "USER_BUSY",
        "NO_ANSWER",
        "NO_USER_RESPONSE",
        "ORIGINATOR_CANCEL",
        "CALL_REJECTED",
        "UNALLOCATED_NUMBER",
        "RECOVERY_ON_TIMER_EXPIRE",
        "USER_NOT_REGISTERED",
        "DESTINATION_OUT_OF_ORDER",
        "INCOMPATIBLE_DESTINATION",
    ];
    WORDS.contains(&text)
}

/// Whether the column at `index` holds such words alone.
fn tells_how(rows: &[Vec<String>], index: usize) -> bool {
    all_filled(rows, index, is_disposition)
}

/// Whether something is in the column at `index`, and `is` true of all of it.
fn all_filled(rows: &[impl AsRef<[String]>], index: usize, is: impl Fn(&str) -> bool) -> bool {
    filled(rows, index).next().is_some() && filled(rows, index).all(is)
}

/// What is in the column at `index`, but for what is empty.
fn filled(rows: &[impl AsRef<[String]>], index: usize) -> impl Iterator<Item = &str> {
    let texts = rows
        .iter()
        .map(move |row| field(row.as_ref(), index).trim());
    texts.filter(|text| !text.is_empty())
}

/// The columns of Asterisk's table `cdr`, in whatever a database exports: its modules name them in one
/// order, in which the numbers stand before the first channel and the lengths before the disposition.
fn by_asterisks_order(guesses: &mut [Guess], rows: &[Vec<String>]) {
    let is_channel = |text: &str| {
        let technology = text
            .split_once('/')
            .map_or("", |(technology, _)| technology);
        technology.starts_with(|first: char| first.is_ascii_alphabetic())
            && technology.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let is_clid = |text: &str| text.ends_with('>') && text.contains('<');
    let columns = || 0..guesses.len();
    let how = columns().find(|index| tells_how(rows, *index));
    let channel = columns().find(|index| all_filled(rows, *index, is_channel));
    let (Some(how), Some(channel)) = (how, channel.filter(|channel| Some(*channel) < how)) else {
        return;
    };
    let back = |from: usize, by: usize| from.checked_sub(by);
    // Of a caller without a name there is the number alone.
    let has_clids = |index| filled(rows, index).any(is_clid);
    let clid = |by| back(channel, by).is_some_and(has_clids);
    let (caller, called) = match (clid(4), clid(1)) {
        (true, _) => (back(channel, 3), back(channel, 2)),
        (false, true) => (back(channel, 4), back(channel, 3)),
        (false, false) => (None, None),
    };
    let length = |index: Option<usize>, row: &[String]| seconds(field(row, index?).trim());
    let (whole, billed) = (back(how, 2), back(how, 1));
    let are_lengths = rows.iter().all(|row| {
        let (whole, billed) = (length(whole, row), length(billed, row));
        whole
            .zip(billed)
            .is_some_and(|(whole, billed)| whole >= billed)
    });
    let lengths = [
        (whole, Meaning::Duration, Kind::Seconds),
        (billed, Meaning::BillDuration, Kind::Seconds),
    ];
    let told = [
        (caller, Meaning::CallerId, Kind::Text),
        (called, Meaning::CalledId, Kind::Text),
        (Some(how), Meaning::DisconnectReason, Kind::Text),
    ];
    let lengths = lengths.into_iter().filter(|_| are_lengths);
    for (index, meaning, kind) in told.into_iter().chain(lengths) {
        give(guesses, index, meaning, kind);
    }
}

/// Gives `meaning` to the column at `index`, where neither has the other yet.
fn give(guesses: &mut [Guess], index: Option<usize>, meaning: Meaning, kind: Kind) {
    let has = guesses.iter().any(|guess| guess.meaning == Some(meaning));
    let free = index
        .and_then(|index| guesses.get_mut(index))
        .filter(|guess| !has && guess.meaning.is_none());
    if let Some(guess) = free {
        (guess.meaning, guess.kind) = (Some(meaning), kind);
    }
}

/// What the values themselves tell: the order of the times, lengths of time that are differences of
/// them, and numbers that telephones have.
fn by_values(guesses: &mut [Guess], rows: &[Vec<String>], dates: Dates, zone: &TimeZone) {
    let meant = |guesses: &[Guess], meaning| {
        guesses
            .iter()
            .position(|guess| guess.meaning == Some(meaning))
    };
    let times: Vec<usize> = (0..guesses.len())
        .filter(|index| {
            guesses.get(*index).is_some_and(|guess| {
                guess.meaning.is_none() && matches!(guess.looks, Looks::Time { .. })
            })
        })
        .collect();
    let at = |row: &[String], index: Option<usize>| {
        let told = time::read_dated(field(row, index?), dates, Some(zone))
            .ok()
            .flatten()?;
        Some(told.at.unix.unix_secs())
    };
    let is_local = |index: &usize| {
        let guess = guesses.get(*index);
        guess.is_some_and(|guess| guess.looks == Looks::Time { local: true })
    };
    // What is told by a zone and what is told by none cannot be set in order; letters that are those of
    // `zone` are one.
    let has_letters = |index: &usize| {
        let other = Err(time::TimeProblem::OtherZone);
        all_filled(rows, *index, |text| {
            time::read_dated(text, dates, Some(&TimeZone::UTC)) == other
                && time::read_dated(text, dates, Some(zone)).is_ok()
        })
    };
    let alike = times.iter().all(is_local)
        || !times
            .iter()
            .any(|index| is_local(index) && !has_letters(index));
    let times = in_order(times, alike, rows, |row, index| at(row, Some(index)));
    let timed = [Meaning::StartTime, Meaning::EndTime];
    if timed
        .iter()
        .all(|meaning| meant(guesses, *meaning).is_none())
    {
        // A call that nobody answered has begun all the same: what it lacks is the answer.
        let lacks = |index: usize, other: usize| {
            let is_lacking = |row: &&Vec<String>| {
                at(row, Some(index)).is_none() && at(row, Some(other)).is_some()
            };
            rows.iter().any(|row| is_lacking(&row))
        };
        // A call that lasted longer than from one to the other had not ended then: it was answered.
        let outlasts = |first: usize, last: usize| {
            let is_length = |index: &usize| {
                guesses
                    .get(*index)
                    .is_some_and(|guess| guess.looks == Looks::Length)
            };
            let longer = |row: &&Vec<String>, length: usize| {
                let span = Some(at(row, Some(last))? - at(row, Some(first))?);
                Some(seconds(field(row, length).trim())? > span? + 1)
            };
            (0..guesses.len()).filter(is_length).any(|length| {
                let longer = rows.iter().filter(|row| longer(row, length) == Some(true));
                longer.count() * 2 > rows.len()
            })
        };
        let (first, second) = match times.as_slice() {
            [first, last] if lacks(*first, *last) => (Meaning::AnswerTime, Meaning::EndTime),
            [first, last] if outlasts(*first, *last) => (Meaning::StartTime, Meaning::AnswerTime),
            _ => (Meaning::StartTime, Meaning::EndTime),
        };
        give(guesses, times.first().copied(), first, Kind::Time);
        if let [_, between @ .., last] = times.as_slice() {
            give(guesses, Some(*last), second, Kind::Time);
            if let [answer] = between {
                give(guesses, Some(*answer), Meaning::AnswerTime, Kind::Time);
            }
        }
    }
    let (start, answer, end) = (
        meant(guesses, Meaning::StartTime),
        meant(guesses, Meaning::AnswerTime),
        meant(guesses, Meaning::EndTime),
    );
    let kinds: Vec<Kind> = guesses.iter().map(|guess| guess.kind).collect();
    let length = |row: &[String], index: usize| {
        let text = field(row, index).trim();
        match kinds.get(index) {
            Some(Kind::Millis) => text.parse().ok().map(|millis: i64| millis / 1_000),
            Some(Kind::Minutes) => minutes(text),
            _ => seconds(text),
        }
    };
    // Rows whose length at `index` is the time from the one at `from` to the end, and all that tell both.
    let near = |index: usize, from: Option<usize>| {
        let spans = rows.iter().filter_map(|row| {
            let told = length(row, index)?;
            Some((at(row, end)? - at(row, from)?, told))
        });
        let spans: Vec<(i64, i64)> = spans.collect();
        let near = spans.iter().filter(|(span, told)| (span - told).abs() <= 1);
        (near.count(), spans.len())
    };
    for index in 0..guesses.len() {
        let is_small = guesses.get(index).is_some_and(|guess| {
            matches!(guess.looks, Looks::Small | Looks::Length) && guess.meaning.is_none()
        });
        let is_long =
            |row: &Vec<String>| seconds(field(row, index).trim()).is_some_and(|secs| secs > 1);
        let spans = |from: Option<usize>| {
            let (near, all) = near(index, from);
            near * 10 >= all * 9 && all > 0 && rows.iter().any(is_long)
        };
        if is_small && answer.is_some() && spans(answer) {
            give(guesses, Some(index), Meaning::BillDuration, Kind::Seconds);
        } else if is_small && spans(start) {
            // Without a time of answer, a length of time is what tells that a call was answered.
            let meaning = if answer.is_some() || has_ringing(rows, index) {
                Meaning::Duration
            } else {
                Meaning::HoldDuration
            };
            give(guesses, Some(index), meaning, Kind::Seconds);
        }
    }
    // Whatever it is called, a length from the answer on is the time connected, as Cisco's is.
    let is_billed = [Meaning::HoldDuration, Meaning::BillDuration]
        .iter()
        .any(|meaning| meant(guesses, *meaning).is_some());
    if let Some(length) =
        meant(guesses, Meaning::Duration).filter(|_| !is_billed && answer.is_some())
    {
        let ((connected, all), (whole, _)) = (near(length, answer), near(length, start));
        if connected > whole
            && connected * 2 > all
            && let Some(guess) = guesses.get_mut(length)
        {
            guess.meaning = Some(Meaning::HoldDuration);
        }
    }
    // A length as a clock shows it, the only one, is that of the call: nothing else is told so alone.
    let lengths: Vec<usize> = (0..guesses.len())
        .filter(|index| {
            let is_length = |guess: &Guess| guess.looks == Looks::Length && guess.meaning.is_none();
            guesses.get(*index).is_some_and(is_length)
        })
        .collect();
    let is_told = [
        Meaning::Duration,
        Meaning::HoldDuration,
        Meaning::BillDuration,
    ]
    .iter()
    .any(|meaning| meant(guesses, *meaning).is_some());
    if let ([only], false) = (lengths.as_slice(), is_told) {
        let meaning = match has_ringing(rows, *only) {
            true => Meaning::Duration,
            false => Meaning::HoldDuration,
        };
        give(guesses, Some(*only), meaning, Kind::Seconds);
    }
    let numbers = |guesses: &[Guess]| -> Vec<usize> {
        let is_day_of_another = |name: &String| {
            guesses
                .iter()
                .any(|guess| guess.date.as_ref() == Some(name))
        };
        let is_number = |index: &usize| {
            guesses.get(*index).is_some_and(|guess| {
                guess.looks == Looks::Number
                    && guess.meaning.is_none()
                    && !is_port(&guess.name)
                    && !is_day_of_another(&guess.name)
            }) && !is_count(rows, *index)
        };
        let all: Vec<usize> = (0..guesses.len()).filter(is_number).collect();
        // Where several have a plus in front, as numbers of the world have, the others are some ids.
        let of_the_world = |index: &usize| all_filled(rows, *index, |text| text.starts_with('+'));
        let of_the_world: Vec<usize> = all.iter().copied().filter(of_the_world).collect();
        let all = match of_the_world.len() {
            0 | 1 => all,
            _ => of_the_world,
        };
        // The switch's own number, or a trunk's, is in every row; and what goes up from row to row is
        // counted or a clock's.
        let mut others = all.clone();
        others.retain(|index| {
            let first = rows.first().map(|row| field(row, *index));
            rows.iter().any(|row| Some(field(row, *index)) != first)
        });
        let mut wandering = others.clone();
        wandering.retain(|index| !goes_up(rows, *index));
        let wanted = match meant(guesses, Meaning::CallerId) {
            None => 2,
            Some(_) => 1,
        };
        let enough = |found: &Vec<usize>| found.len() >= wanted;
        let found = [wandering, others].into_iter().find(enough);
        found.unwrap_or(all)
    };
    let found = numbers(guesses);
    let is_extension = |index: usize| {
        let free = guesses
            .get(index)
            .is_some_and(|guess| guess.meaning.is_none());
        free && all_filled(rows, index, |text| {
            text.len() >= EXTENSION_DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let name = |index: usize| guesses.get(index).map_or("", |guess| guess.name.as_str());
    let may_be = |index: &usize, party| side_of(name(*index)).is_none_or(|side| side == party);
    let (caller, called) = match found.as_slice() {
        // Beside the one number of the world stands an extension.
        [only] if only.checked_sub(1).is_some_and(is_extension) => {
            (only.checked_sub(1), Some(*only))
        }
        [only] if is_extension(only + 1) => (Some(*only), Some(only + 1)),
        found => {
            let mut found = found.iter().copied();
            (found.find(|index| may_be(index, Meaning::CallerId)), None)
        }
    };
    let caller = caller.filter(|index| may_be(index, Meaning::CallerId));
    let called = called.filter(|index| may_be(index, Meaning::CalledId));
    // The same number in another form is the same party.
    let differs = |index: usize, party: Option<usize>| {
        let same =
            |row: &&Vec<String>| party.is_some_and(|party| field(row, party) == field(row, index));
        rows.iter().filter(same).count() * 2 < rows.len()
    };
    let known = meant(guesses, Meaning::CalledId);
    let caller = caller.filter(|caller| differs(*caller, known));
    give(guesses, caller, Meaning::CallerId, Kind::Text);
    give(guesses, called, Meaning::CalledId, Kind::Text);
    // Switches tell the caller's number in several forms before they come to the called one.
    let caller = meant(guesses, Meaning::CallerId);
    let is_callers = |index: usize| {
        let name = guesses.get(index).map_or("", |guess| guess.name.as_str());
        let meant = meaning_of(name, Looks::Number).map(|(meaning, _)| meaning);
        meant.or(side_of(name)) == Some(Meaning::CallerId)
    };
    let mut others = numbers(guesses).into_iter();
    if let Some(next) = others.find(|index| differs(*index, caller) && !is_callers(*index)) {
        give(guesses, Some(next), Meaning::CalledId, Kind::Text);
    }
    if let Some(index) = (0..guesses.len()).find(|index| tells_how(rows, *index)) {
        give(guesses, Some(index), Meaning::DisconnectReason, Kind::Text);
    }
}

/// The first column without a meaning that is called a length of time and whose values have one colon.
fn doubtful_length(guesses: &[Guess], rows: &[Vec<String>]) -> Option<String> {
    let is_length = |name: &str| {
        let meant = meaning_of(name, Looks::Length).and_then(|(meaning, _)| kind_of(meaning));
        meant == Some(Kind::Seconds)
    };
    let has_one_colon = |text: &str| text.matches(':').count() == 1 && minutes(text).is_some();
    let mut guesses = guesses.iter().enumerate();
    let found = guesses.find(|(index, guess)| {
        guess.meaning.is_none() && is_length(&guess.name) && all_filled(rows, *index, has_one_colon)
    });
    found.map(|(_, guess)| guess.name.clone())
}

/// Where a length of time is all there is, it is what tells that a call was answered; unless calls
/// that were not have one.
fn tell_answered(guesses: &mut [Guess], rows: &[Vec<String>]) {
    let telling = [
        Meaning::AnswerTime,
        Meaning::BillDuration,
        Meaning::HoldDuration,
    ];
    let told = |guess: &Guess| {
        guess
            .meaning
            .is_some_and(|meaning| telling.contains(&meaning))
    };
    if guesses.iter().any(told) {
        return;
    }
    let outcome = guesses
        .iter()
        .position(|guess| guess.meaning == Some(Meaning::DisconnectReason));
    // In words that are not known calls may have failed, and where none has lasted no time, ringing counts.
    let is_unclear = |length: usize| {
        let differ = outcome.is_some_and(|outcome| {
            let words: HashSet<&str> = filled(rows, outcome).collect();
            words.len() > 1
        });
        differ && filled(rows, length).all(|text| seconds(text) != Some(0))
    };
    let mut lengths = guesses.iter_mut().enumerate();
    let length = lengths.find(|(_, guess)| guess.meaning == Some(Meaning::Duration));
    if let Some((index, length)) = length
        && !has_ringing(rows, index)
        && !is_unclear(index)
    {
        length.meaning = Some(Meaning::HoldDuration);
    }
}

/// A time of answer that calls have which failed, without a second of talk, as Grandstream's have and
/// PortaBilling's, says nothing of the answer: the length does. Where nothing else does, it tells the beginning.
fn answers_of_failures(guesses: &mut [Guess], rows: &[Vec<String>]) {
    let meant = |meaning| {
        guesses
            .iter()
            .position(|guess| guess.meaning == Some(meaning))
    };
    let lengths = [
        Meaning::HoldDuration,
        Meaning::BillDuration,
        Meaning::Duration,
    ];
    let length = lengths.into_iter().find_map(meant);
    let end = meant(Meaning::EndTime);
    let Some(answer) = meant(Meaning::AnswerTime) else {
        return;
    };
    let reason = meant(Meaning::EndReason).or(meant(Meaning::DisconnectReason));
    let is_refused = |row: &Vec<String>| {
        let code = reason.and_then(|reason| field(row, reason).trim().parse::<u16>().ok());
        code.is_some_and(|code| REFUSALS.contains(&code))
    };
    // FreeSWITCH writes 0 where there was no answer.
    let is_told = |text: &str| text.contains(|letter| matches!(letter, '1'..='9'));
    let has_no_talk = |row: &Vec<String>| match (length, end) {
        (Some(length), _) => seconds(field(row, length).trim()) == Some(0),
        (None, Some(end)) => field(row, answer) == field(row, end),
        (None, None) => false,
    };
    let is_empty = |row: &Vec<String>| {
        is_told(field(row, answer))
            && has_no_talk(row)
            && (is_refused(row) || row.iter().any(|text| is_failure(text)))
    };
    let begins = meant(Meaning::StartTime).is_none();
    if rows.iter().any(is_empty)
        && let Some(guess) = guesses.get_mut(answer)
    {
        (guess.meaning, guess.kind) = match begins {
            true => (Some(Meaning::StartTime), Kind::Time),
            false => (None, Kind::Text),
        };
    }
}

/// Columns of `times` without those that tell another one's moment once more, in the order of the
/// moments where they can be compared; a record's own time may stand before its call's.
fn in_order(
    times: Vec<usize>,
    can_compare: bool,
    rows: &[Vec<String>],
    at: impl Fn(&[String], usize) -> Option<i64>,
) -> Vec<usize> {
    /// Fewest rows in which two times are as far apart for both to be of one moment.
    const SAME_MIN: usize = 3;
    let apart = |one: usize, other: usize| -> Vec<i64> {
        let both = rows
            .iter()
            .filter_map(|row| Some(at(row, other)? - at(row, one)?));
        both.collect()
    };
    let is_epoch = |index: usize| {
        all_filled(rows, index, |text| {
            text.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let mut kept: Vec<usize> = Vec::new();
    for index in times {
        let is_same = |known: &&usize| {
            // In the same form it is another moment, as of a call that is answered at once.
            if is_epoch(**known) == is_epoch(index) {
                return false;
            }
            let apart = apart(**known, index);
            let first = apart.first().copied().unwrap_or_default();
            // Seconds are cut off from one and not from the other, and one may be without its zone.
            let is_zone = (first + 1).rem_euclid(ids::STEP_SECS) <= 2;
            let near = |secs: &i64| is_zone && (secs - first).abs() <= 1;
            apart.len() >= SAME_MIN && apart.len() == rows.len() && apart.iter().all(near)
        };
        if !kept.iter().any(|known| is_same(&known)) {
            kept.push(index);
        }
    }
    let whole: Vec<&Vec<String>> = rows
        .iter()
        .filter(|row| kept.iter().all(|index| at(row, *index).is_some()))
        .collect();
    if can_compare {
        // The sum is compared, and empty sums leave all as they are.
        kept.sort_by_key(|index| {
            let all = whole.iter().filter_map(|row| at(row, *index));
            all.fold(0_i64, i64::saturating_add)
        });
    }
    kept
}

/// Whether digits at `index` are nobody's number: those in front that go up row by row count the
/// records, and those that end in six zeros are lengths in nanoseconds.
fn is_count(rows: &[Vec<String>], index: usize) -> bool {
    const STEP_MAX: u64 = 9;
    const ROWS_MIN: usize = 3;
    let counted: Option<Vec<u64>> = filled(rows, index).map(|text| text.parse().ok()).collect();
    let counted = counted.unwrap_or_default();
    let goes_up = |pair: &[u64]| match pair {
        [one, next] => next
            .checked_sub(*one)
            .is_some_and(|step| (1..=STEP_MAX).contains(&step)),
        _ => false,
    };
    let is_round = |number: &u64| number.is_multiple_of(1_000_000);
    (index == 0 && counted.len() >= ROWS_MIN && counted.windows(2).all(goes_up))
        || (!counted.is_empty() && counted.iter().all(is_round))
}

/// Whether the digits at `index` are more in each row than in the one before.
fn goes_up(rows: &[Vec<String>], index: usize) -> bool {
    /// By chance the numbers of this many calls go up once in 24.
    const ROWS_MIN: usize = 4;
    let counted: Option<Vec<u64>> = filled(rows, index).map(|text| text.parse().ok()).collect();
    let counted = counted.unwrap_or_default();
    counted.len() >= ROWS_MIN && counted.is_sorted_by(|one, next| one < next)
}

/// Whether the lengths of time at `index` count the ringing too: a call that failed has one.
fn has_ringing(rows: &[Vec<String>], index: usize) -> bool {
    rows.iter().any(|row| {
        seconds(field(row, index).trim()).is_some_and(|secs| secs > 0)
            && row.iter().any(|text| is_failure(text))
    })
}

/// Whether `text` is a word by which switches say that a call failed.
fn is_failure(text: &str) -> bool {
    const FAILURES: [&str; 36] = [
        "BUSY",
        "USER BUSY",
        "NO ANSWER",
        "NOANSWER",
        "NOT ANSWERED",
        "UNANSWERED",
        "NO USER RESPONSE",
        "FAILED",
        "CONGESTION",
        "CANCEL",
        "CANCELED",
        "CANCELLED",
        "ORIGINATOR CANCEL",
        "CALL REJECTED",
        "MISSED",
        // As panels translate them.
        "OCUPADO",
        "SIN RESPUESTA",
        "NO CONTESTADO",
        "NO CONTESTADA",
        "FALLIDO",
        "FALLIDA",
        "SEM RESPOSTA",
        "NÃO ATENDIDA",
        "FALHA",
        "OCCUPÉ",
        "SANS RÉPONSE",
        "ÉCHEC",
        "BESETZT",
        "KEINE ANTWORT",
        "VERPASST",
        "OCCUPATO",
        "NON RISPOSTO",
        "ЗАНЯТО",
        "НЕТ ОТВЕТА",
        "ПРОПУЩЕН",
        "未接",
    ];
    let text = text.trim();
    // Some write the code behind: `USER_BUSY [17]`.
    let word = text.split(" [").next().unwrap_or(text);
    let word = word.replace(['_', '-'], " ");
    let word = word.to_uppercase();
    let known = |known: &&str| **known == word;
    FAILURES.iter().any(known) || is_refusal(text)
}

/// The codes of SIP by which a call fails.
const REFUSALS: std::ops::Range<u16> = 400..700;

/// Whether `text` is a SIP reply by which a call failed, as `486 Busy Here`.
fn is_refusal(text: &str) -> bool {
    let code = text.split_once(' ').filter(|(code, words)| {
        code.len() == 3 && words.starts_with(|first: char| first.is_ascii_alphabetic())
    });
    code.and_then(|(code, _)| code.parse::<u16>().ok())
        .is_some_and(|code| REFUSALS.contains(&code))
}

fn put_together(
    shape: &Shape,
    has_header: bool,
    like: Option<Like>,
    dates: Dates,
    guesses: Vec<Guess>,
) -> Guessed {
    let letter = |byte: u8| char::from(byte).to_string();
    let mut table = FormatTable {
        name: shape.reader.word().to_string(),
        reader: shape.reader.word().to_string(),
        ..FormatTable::default()
    };
    match shape.reader {
        Reader::Delimited(dialect) => {
            table.delimiter = Some(letter(dialect.delimiter));
            table.quote = dialect.quote.map(letter);
            table.quoting = dialect.lenient.then(|| "lenient".to_string());
        }
        Reader::KeyValue(pairs) => {
            table.delimiter = Some(letter(pairs.delimiter));
            table.quote = pairs.quote.map(letter);
        }
        Reader::JsonLines | Reader::Document(_) | Reader::Pattern => {}
    }
    if dates != Dates::default() {
        let word = DATES.iter().find(|(_, known)| *known == dates);
        table.dates = word.map(|(word, _)| (*word).to_string());
    }
    let model = like.as_ref().and_then(|like| presets::find(&like.format));
    if let Some(model) = model {
        let has = |key: &Vec<String>| {
            key.iter()
                .all(|name| guesses.iter().any(|guess| guess.name == *name))
        };
        table.id_keys = model
            .id_keys
            .iter()
            .filter(|key| has(key))
            .cloned()
            .collect();
        let answer = model.start_is == super::super::format::StartIs::Answer;
        table.start_is = answer.then(|| "answer".to_string());
    } else if let Some(index) = guesses
        .iter()
        .position(|guess| guess.meaning == Some(Meaning::CallId))
    {
        let mut seen = HashSet::new();
        let own = |row: &Vec<String>| {
            let text = field(row, index).trim();
            !text.is_empty() && text != "0" && seen.insert(text.to_string())
        };
        let name = |index: usize| guesses.get(index).map(|guess| guess.name.clone());
        let is_asterisks = all_filled(&shape.rows, index, ids::is_id);
        // Both legs of a call are of one session.
        let is_shared =
            name(index).is_some_and(|name| name.to_ascii_lowercase().contains("session"));
        // With it, and not alone, Asterisk's ids are of one row each.
        let sequence = guesses
            .iter()
            .position(|guess| guess.name.eq_ignore_ascii_case("sequence"))
            .filter(|sequence| *sequence != index);
        if is_asterisks {
            let key = sequence.and_then(|sequence| Some(vec![name(index)?, name(sequence)?]));
            table.id_keys = key.into_iter().collect();
        } else if !is_shared && shape.rows.iter().all(own) {
            table.id_keys = name(index).map(|name| vec![name]).into_iter().collect();
        }
    }
    if shape.rows.len() < KEY_ROWS_MIN {
        table.id_keys.clear();
    }
    let timed = |guess: &Guess| {
        guess.kind == Kind::Time && matches!(guess.looks, Looks::Time { local: true })
    };
    let local_times = guesses.iter().any(timed);
    let columns = guesses.iter().enumerate().map(|(index, guess)| {
        let filled = shape
            .rows
            .iter()
            .map(|row| field(row, index))
            .filter(|text| !text.trim().is_empty());
        (
            guess.looks.word(),
            filled.take(SHOWN_MAX).map(str::to_string).collect(),
        )
    });
    let columns = columns.collect();
    table.layout.push(LayoutTable {
        name: "own".to_string(),
        columns: guesses.iter().map(written).collect(),
        ..LayoutTable::default()
    });
    let header = if has_header {
        Header::Present
    } else {
        Header::Auto
    };
    Guessed {
        table,
        header,
        local_times,
        doubtful_dates: false,
        doubtful_length: None,
        like,
        columns,
    }
}

fn written(guess: &Guess) -> ColumnTable {
    ColumnTable {
        name: guess.name.clone(),
        kind: (guess.kind != Kind::Text).then(|| word_of(guess.kind).to_string()),
        meaning: guess.meaning.map(|meaning| meaning.word().to_string()),
        date: guess.date.clone(),
        ..ColumnTable::default()
    }
}

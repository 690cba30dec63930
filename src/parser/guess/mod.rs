//! Guess: which format a file of unknown make may have, and how well.
//!
//! A guess is for a person to look at before it is used: it tells what fits, in how many rows, and
//! what does not. Nothing of it is used to read rows that are delivered.

mod acc;
pub mod columns;
pub mod ids;
mod kinds;
mod shape;

pub use columns::{Guessed, guess};

use super::encoding::Decoder;
use super::format::{CALL, Format, Meaning};
use super::record::Record;
use super::{DocumentStep, Header, Parser, Settings, Step, Value, presets};
use jiff::tz::TimeZone;

/// Most rows of a file that are looked at.
pub const ROWS_MAX: usize = 1_000;

/// Most rows that may fail, in percent, for a format to count as the file's.
const BAD_PERCENT_MAX: usize = 20;

/// Fewest rows that fit for a single one that fails to count for little.
const GOOD_MIN: usize = 3;

/// What is known of the file.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Its first bytes, or all of it.
    pub bytes: &'a [u8],
    /// There is no more of it.
    pub is_whole: bool,
    /// Its name.
    pub name: &'a str,
    /// How its bytes become text.
    pub decoder: Decoder,
}

/// How the rows of a file went by one format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that fit.
    pub good: usize,
    /// Rows of kinds that are not told, and lines of others.
    pub unwanted: usize,
    /// Rows that do not fit.
    pub bad: usize,
    /// The first rows that do not fit: line and reason.
    pub reasons: Vec<(usize, String)>,
    /// Typed columns that held something, over all rows that fit: the more, the surer.
    typed: usize,
    /// Rows with a call id, less those with a column for one and nothing in it that may be one.
    named: isize,
    /// Rows whose call id is as the switches of the format give them.
    native: usize,
    /// The layout of the first row that fits.
    pub layout: Option<String>,
    /// How the calls are told.
    pub calls: CallForms,
}

/// In which forms calls are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallForms {
    /// In lines of their own for beginnings and ends, which are joined.
    begun: bool,
    ended: bool,
    /// The layout of rows that tell all of a call, and whether they name the lines they stand for.
    whole: Option<(Box<str>, bool)>,
}

impl CallForms {
    /// Takes in a record.
    pub fn add(&mut self, record: &Record<'_>) {
        let layout = record.layout();
        match record.text_of(Meaning::Method) {
            // A call that was refused is told in one line, beside dialogs that are told whole.
            Some(method) => {
                let code = record.whole_of(Meaning::EndReason);
                let is_good = code.is_some_and(|code| (200..300).contains(&code));
                self.begun |= is_good && method == "INVITE";
                self.ended |= is_good && method == "BYE";
            }
            None if &*layout.event == CALL => {
                let is_named = record.text_of(Meaning::FromTag).is_some();
                self.whole = Some((layout.name.as_str().into(), is_named));
            }
            None => {}
        }
    }

    /// The layout of the whole ones, where calls are told in both forms. One that names its tags takes
    /// the place of the line that began the call, but not of a call that lines have begun and ended.
    pub fn twice(&self) -> Option<&str> {
        let (layout, is_named) = self.whole.as_ref()?;
        let is_twice = match is_named {
            true => self.begun && self.ended,
            false => self.begun || self.ended,
        };
        is_twice.then_some(layout)
    }

    /// Whether calls are told in lines that are joined.
    pub fn are_joined(&self) -> bool {
        self.begun || self.ended
    }

    /// What is to be said where calls are told in both forms.
    pub fn warning(&self) -> Option<String> {
        self.twice().map(|layout| {
            format!("calls are told twice here: in lines for their beginning and end, and as whole dialogs; write columns = {layout:?} to have the whole ones alone")
        })
    }
}

/// One format, and how the rows of a file went by it.
#[derive(Debug, Clone)]
pub struct Fit {
    /// What to read by.
    pub settings: Settings,
    /// The layout that `columns` must name, where the format has several of one count.
    pub columns: Option<String>,
    /// How the rows went.
    pub tally: Tally,
}

impl Fit {
    /// Whether the file can be taken for one of this format.
    pub fn fits(&self) -> bool {
        let Tally { good, bad, .. } = self.tally;
        // One torn row of four says little against the others.
        let is_one_of_few = bad == 1 && good >= GOOD_MIN;
        good > 0 && (is_one_of_few || bad * 100 <= (good + bad) * BAD_PERCENT_MAX)
    }
}

/// How the rows of `sample` go by every preset, best first; those that no row fits are left out.
///
/// Local times are read as those of `zone`.
pub fn by_presets(sample: Sample<'_>, zone: &TimeZone) -> Vec<Fit> {
    let mut fits = Vec::new();
    for format in presets::names().filter_map(presets::find) {
        let by_name = format.layouts.iter().filter(|layout| layout.only_by_name);
        let choices = by_name.map(|layout| Some(layout.name.clone()));
        for columns in std::iter::once(None).chain(choices) {
            let chosen = match &columns {
                None => Ok(format.clone()),
                Some(name) => format.clone().with_layout(name),
            };
            let Ok(chosen) = chosen else {
                continue;
            };
            let fit = by_format(sample, chosen, columns, Header::Auto, zone);
            if fit.tally.good > 0 {
                fits.push(fit);
            }
        }
    }
    // The order of the list breaks ties: it is stable.
    fits.sort_by_key(|fit| {
        let Tally {
            good,
            typed,
            named,
            native,
            ..
        } = fit.tally;
        std::cmp::Reverse((fit.fits(), good, typed, named, native))
    });
    fits
}

/// How the rows of `sample` go by `format`.
pub fn by_format(
    sample: Sample<'_>,
    format: Format,
    columns: Option<String>,
    header: Header,
    zone: &TimeZone,
) -> Fit {
    let settings = Settings {
        format,
        decoder: sample.decoder,
        timezone: Some(zone.clone()),
        header,
    };
    let mut tally = Tally::default();
    let is_native = ids::native(&settings.format.name).unwrap_or(|_| false);
    each_row(sample, settings.clone(), |row| {
        if let Row::Good { record, .. } = &row {
            let id = record.text_of(Meaning::CallId);
            tally.native += usize::from(id.is_some_and(is_native));
        }
        tally.add(row);
    });
    Fit {
        settings,
        columns,
        tally,
    }
}

/// Whether rows of `sample` read by `settings` hold times that need a zone.
pub fn has_local_times(sample: Sample<'_>, settings: &Settings) -> bool {
    let good = |timezone: Option<TimeZone>| {
        let mut good = 0_usize;
        let settings = Settings {
            timezone,
            ..settings.clone()
        };
        each_row(sample, settings, |row| {
            good += usize::from(matches!(row, Row::Good { .. }));
        });
        good
    };
    good(None) < good(Some(TimeZone::UTC))
}

/// One row of a sample, and what came of it.
#[derive(Debug)]
pub enum Row<'a> {
    /// It fits: the record, its bytes, and where it begins.
    Good {
        /// The record.
        record: Record<'a>,
        /// Its bytes.
        raw: &'a [u8],
        /// Where it begins in the file.
        offset: usize,
    },
    /// It is of a kind that is not told.
    Unwanted,
    /// It does not fit: its line, from 1, and the reason.
    Bad(usize, String),
}

/// Gives the first [`ROWS_MAX`] rows of `sample` to `each`; a document is one row.
pub fn each_row(sample: Sample<'_>, settings: Settings, mut each: impl FnMut(Row<'_>)) {
    let mut parser = Parser::new(settings);
    if parser.format().reader.is_document() {
        let raw = sample.bytes;
        return match parser.document(raw, sample.name, sample.is_whole) {
            DocumentStep::Record(record) => each(Row::Good {
                record,
                raw,
                offset: 0,
            }),
            DocumentStep::Rejected(reject) => each(Row::Bad(1, reject.to_string())),
            DocumentStep::Incomplete => each(Row::Bad(1, "longer than what was read".to_string())),
        };
    }
    let (mut at, mut line, mut rows) = (0, 1, 0);
    while at < sample.bytes.len() && rows < ROWS_MAX {
        let rest = sample.bytes.get(at..).unwrap_or_default();
        let step = parser.next(rest, at == 0, sample.is_whole);
        let Some((bytes, lines)) = step.taken() else {
            break;
        };
        let row = match step {
            Step::Record { record, .. } => Some(Row::Good {
                record,
                raw: rest.get(..bytes).unwrap_or_default(),
                offset: at,
            }),
            Step::Unwanted { .. } => Some(Row::Unwanted),
            Step::Rejected { reject, .. } => Some(Row::Bad(line, reject.to_string())),
            Step::Skipped { .. } | Step::More => None,
        };
        rows += usize::from(row.is_some());
        row.into_iter().for_each(&mut each);
        (at, line) = (at + bytes, line + lines as usize);
    }
}

impl Tally {
    /// Reasons that are kept.
    const REASONS_MAX: usize = 3;

    fn add(&mut self, row: Row<'_>) {
        match row {
            Row::Good { record, .. } => {
                self.good += 1;
                self.typed += typed(&record);
                self.calls.add(&record);
                let has_column = record.layout().column_of(Meaning::CallId).is_some();
                self.named += match (has_column, record.text_of(Meaning::CallId)) {
                    (false, _) => 0,
                    (true, Some(id)) if may_be_id(id) => 1,
                    (true, _) => -1,
                };
                let name = || record.layout().name.clone();
                self.layout.get_or_insert_with(name);
            }
            Row::Unwanted => self.unwanted += 1,
            Row::Bad(line, reason) => {
                self.bad += 1;
                if self.reasons.len() < Self::REASONS_MAX {
                    self.reasons.push((line, reason));
                }
            }
        }
    }
}

/// Whether `text` may be a call's id: something counted or drawn, and not a remark.
fn may_be_id(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && !text.contains(char::is_whitespace)
}

fn typed(record: &Record<'_>) -> usize {
    let count = record.layout().columns.len();
    (0..count)
        .filter(|index| matches!(record.value(*index), Value::Whole(_) | Value::Time(_)))
        .count()
}

/// The encoding that `bytes` seem to be in, by its label: UTF-8, else GBK where all of them are, else
/// Windows' Cyrillic or Latin-1.
pub fn encoding(bytes: &[u8]) -> &'static str {
    // The last character may be cut off.
    let end = bytes.len() - bytes.len().min(4);
    match std::str::from_utf8(bytes) {
        Ok(_) => return "utf-8",
        Err(error) if error.valid_up_to() >= end && error.error_len().is_none() => return "utf-8",
        Err(_) => {}
    }
    let lines = || {
        bytes
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
    };
    let is_gbk = |line: &[u8]| Decoder::for_label("gbk").is_ok_and(|gbk| !gbk.decode(line).1);
    // Half of the lines in UTF-8 speak against another encoding for the whole file.
    let utf8 = lines()
        .filter(|line| !line.is_ascii() && std::str::from_utf8(line).is_ok())
        .count();
    let others = lines()
        .filter(|line| std::str::from_utf8(line).is_err())
        .count();
    // Bytes beyond ASCII stand in pairs in Chinese, but for rare ones, in whole words in Cyrillic, and
    // alone in languages with some accents: `ón` of `Duración` would be Chinese too.
    let runs = bytes.split(|byte| byte.is_ascii()).map(<[u8]>::len);
    let (beyond, runs) = runs
        .filter(|length| *length > 0)
        .fold((0, 0), |(all, runs), length| (all + length, runs + 1));
    match (utf8 >= others, lines().all(is_gbk)) {
        (true, _) => "utf-8",
        (false, true) if beyond * 2 >= runs * 3 => "gbk",
        (false, _) if beyond >= runs * 3 => "windows-1251",
        (false, _) => "latin1",
    }
}

/// Whether `bytes` begin like UTF-16, in which lines cannot be found.
pub fn is_utf16(bytes: &[u8]) -> bool {
    let first = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    super::encoding::is_utf16(first)
}

#[cfg(test)]
mod public_tests;
#[cfg(test)]
mod tests;

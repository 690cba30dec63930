//! Join: a call told in two lines, its answered INVITE and its BYE, as one `cdr`.
//!
//! Kamailio and OpenSIPS account for transactions: the line of a call's end says little of its
//! beginning. Lines are of one call when they have one call id and the same two tags, whichever
//! side sent the BYE.
//!
//! ```text
//! INVITE 2xx          held; told when its BYE comes, or without an end once that is given up
//! INVITE 3xx to 6xx   told at once, not connected; of a call that is held, or was told a moment ago,
//!                     a renegotiation that the other side refused: passed over
//! INVITE 401, 407     passed over: the caller is asked who it is and calls again
//! BYE                 ends the call that is held; alone, it is kept for a while in case the two
//!                     lines came in the wrong order; so is the mark that the call was told
//! a whole call        told as it is (OpenSIPS' `call ended`); one that is held is told by it
//! anything else       passed over
//! ```
//!
//! A call that is told becomes a row of a format of its own, read by the same parser as any other
//! row: its columns are those of the source's format, under the same meanings.

use super::standing::instant;
use super::table::{self, Key};
use crate::parser::format::{ColumnTable, FormatTable, LayoutTable, word_of};
use crate::parser::{Format, Layout, Meaning, Record, Value};
use crate::timestamp::{Precision, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Most lines held for one source: as many calls are up on a busy proxy. About 400 bytes each on
/// disk, and 600 in memory.
pub const HELD_MAX: usize = 20_000;

/// How long a BYE waits for an INVITE that was written after it: worker processes write their
/// lines through one daemon, a few seconds apart at most. For as long a call that was told is known:
/// its BYE may be repeated, and a renegotiation that it cut short comes to its end after it.
pub const BYE_WAITS: Duration = Duration::from_secs(60);

/// Why a call without a BYE is told to have ended: the mark of an end that nobody knows.
const BYE_MISSING: &str = "bye_missing";

/// The column that says that an attempt of the same call id and tags failed before the call was answered:
/// the attempt was told under the id that the call would have.
const RETRIED: &str = "@retried";

/// Meanings that the join itself gives; the others are taken over from the INVITE's line.
const GIVEN: [Meaning; 12] = [
    Meaning::Method,
    Meaning::EventTime,
    Meaning::StartTime,
    Meaning::AnswerTime,
    Meaning::EndTime,
    Meaning::Duration,
    Meaning::HoldDuration,
    Meaning::BillDuration,
    Meaning::EndReason,
    Meaning::EndDirection,
    Meaning::FromTag,
    Meaning::ToTag,
];

/// What the columns of a told call are called that have a meaning: never like one of the source's.
fn column_of(meaning: Meaning) -> String {
    format!("@{}", meaning.word())
}

/// The format of the calls told of lines of `source`; `None` where its lines are not joined.
pub fn format(source: &Format) -> Option<Format> {
    let of_lines = |layout: &&Layout| layout.column_of(Meaning::Method).is_some();
    let mut names = BTreeSet::new();
    let mut columns: Vec<ColumnTable> = GIVEN
        .iter()
        .skip(2)
        .chain(&[Meaning::CallId, Meaning::DisconnectReason])
        .map(|meaning| meant(*meaning))
        .collect();
    columns.push(ColumnTable {
        name: RETRIED.to_owned(),
        ..ColumnTable::default()
    });
    names.extend(columns.iter().map(|column| column.name.clone()));
    for column in source
        .layouts
        .iter()
        .filter(of_lines)
        .flat_map(|layout| &layout.columns)
    {
        let column = match column.meaning {
            Some(meaning) if GIVEN.contains(&meaning) => continue,
            Some(meaning) => meant(meaning),
            None => ColumnTable {
                name: column.name.clone(),
                ..ColumnTable::default()
            },
        };
        if names.insert(column.name.clone()) {
            columns.push(column);
        }
    }
    source.layouts.iter().find(of_lines)?;
    let key = |meanings: &[Meaning]| -> Vec<String> {
        meanings.iter().map(|meaning| column_of(*meaning)).collect()
    };
    let keys = [
        key(&[Meaning::CallId, Meaning::FromTag, Meaning::ToTag]),
        key(&[Meaning::CallId, Meaning::FromTag]),
        key(&[Meaning::CallId]),
    ];
    let retried = keys
        .iter()
        .map(|key| [&key[..], &[RETRIED.to_owned()]].concat());
    let table = FormatTable {
        name: source.name.clone(),
        reader: "json-lines".to_owned(),
        id_keys: retried.chain(keys.iter().cloned()).collect(),
        layout: vec![LayoutTable {
            name: "joined".to_owned(),
            columns,
            ..LayoutTable::default()
        }],
        ..FormatTable::default()
    };
    let format = Format::from_table(&table);
    Some(format.expect("columns of a format are columns of this one; a test reads each meaning"))
}

fn meant(meaning: Meaning) -> ColumnTable {
    let kind = crate::parser::format::kind_of(meaning);
    ColumnTable {
        name: column_of(meaning),
        kind: kind.map(|kind| word_of(kind).to_owned()),
        meaning: Some(meaning.word().to_owned()),
        ..ColumnTable::default()
    }
}

/// What a line says of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The call was answered.
    Answered,
    /// It was not.
    Failed,
    /// It ended.
    Bye,
    /// All of it.
    Whole,
    /// Nothing that is told.
    Other,
}

/// What `record`, a line with a method, says of its call.
pub fn kind(record: &Record<'_>) -> Kind {
    let has = |meaning| record.time_of(meaning).is_some();
    if has(Meaning::EndTime) || record.whole_of(Meaning::Duration).is_some() {
        return Kind::Whole;
    }
    let code = record.whole_of(Meaning::EndReason);
    let method = record.text_of(Meaning::Method).unwrap_or_default();
    match (method, code) {
        ("INVITE", Some(200..=299)) => Kind::Answered,
        ("INVITE", Some(401 | 407)) => Kind::Other,
        ("INVITE", Some(300..=699)) => Kind::Failed,
        // A BYE that was answered by an error has ended the call as well.
        ("BYE", _) => Kind::Bye,
        _ => Kind::Other,
    }
}

/// A line that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// It is a BYE; else an answered INVITE.
    pub bye: bool,
    /// It is the BYE of a call that was told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
    /// When its transaction was, in ms since 1970, and whether that is known to the millisecond.
    at: (i64, bool),
    /// When it was read, in ms since 1970.
    pub read_at: i64,
    /// The From tag.
    from: String,
    /// The values of the call it tells of, by column, as JSON: a third of the memory of a map.
    row: Box<str>,
}

impl Held {
    /// What of `record`, read at `read_at`, is to be held; `None` where it has no call id or no time.
    pub fn of(record: &Record<'_>, bye: bool, read_at: i64) -> Option<Held> {
        record.text_of(Meaning::CallId)?;
        let at = record
            .time_of(Meaning::EventTime)
            .or_else(|| record.time_of(Meaning::StartTime))?;
        let text = |meaning| record.text_of(meaning).unwrap_or_default().to_owned();
        let row = if bye { Map::new() } else { row(record) };
        let row = serde_json::to_string(&row).ok()?.into_boxed_str();
        Some(Held {
            bye,
            told: false,
            at: (at.unix.0, at.precision == Precision::Millis),
            read_at,
            from: text(Meaning::FromTag),
            row,
        })
    }

    /// The same line, of a call of which an attempt has failed before.
    pub fn retried(self) -> Held {
        let mut row: Map<String, Json> = serde_json::from_str(&self.row).unwrap_or_default();
        row.insert(RETRIED.to_owned(), Json::String("1".to_owned()));
        let row = serde_json::to_string(&row)
            .unwrap_or_default()
            .into_boxed_str();
        Held { row, ..self }
    }

    /// The row of the call whose INVITE this is; `end` is its BYE, where there was one.
    pub fn told(&self, end: Option<&Held>) -> Vec<u8> {
        let mut row: Map<String, Json> = serde_json::from_str(&self.row).unwrap_or_default();
        let mut put = |meaning, value: String| {
            row.insert(column_of(meaning), Json::String(value));
        };
        put(Meaning::AnswerTime, epoch(self.at));
        match end {
            Some(end) => {
                // Two processes' clocks are one machine's, but lines are stamped to the second.
                let ended = if end.at.0 < self.at.0 {
                    self.at
                } else {
                    end.at
                };
                let secs = (ended.0 - self.at.0) / 1_000;
                let by_callee = end.from != self.from && !end.from.is_empty();
                put(Meaning::EndTime, epoch(ended));
                put(Meaning::HoldDuration, secs.to_string());
                put(Meaning::EndDirection, u8::from(by_callee).to_string());
            }
            None => put(Meaning::DisconnectReason, BYE_MISSING.to_owned()),
        }
        line(row, self.at)
    }
}

/// The row of a call that was not answered; `None` where the line has no time.
pub fn failed(record: &Record<'_>) -> Option<Vec<u8>> {
    let at = record
        .time_of(Meaning::EventTime)
        .or_else(|| record.time_of(Meaning::StartTime))?;
    let at = (at.unix.0, at.precision == Precision::Millis);
    let mut row = row(record);
    row.insert(column_of(Meaning::EndTime), Json::String(epoch(at)));
    Some(line(row, at))
}

/// What the lines of one call are found by: the call id and both tags, whoever sent them.
pub fn key(record: &Record<'_>) -> Option<Key> {
    let text = |meaning| record.text_of(meaning).unwrap_or_default();
    let call = record.text_of(Meaning::CallId)?;
    let mut tags = [text(Meaning::FromTag), text(Meaning::ToTag)];
    tags.sort_unstable();
    let [one, other] = tags;
    Some(table::key([call, one, other]))
}

/// Whether `record` says by both tags which call it is of, and not by the call id alone: one that comes
/// a moment later is of the same call then.
pub fn names_one_call(record: &Record<'_>) -> bool {
    let has = |meaning| record.text_of(meaning).is_some_and(|tag| !tag.is_empty());
    has(Meaning::FromTag) && has(Meaning::ToTag)
}

/// What the record says of its call, by column of the told row.
fn row(record: &Record<'_>) -> Map<String, Json> {
    let mut row = Map::new();
    for (index, column) in record.layout().columns.iter().enumerate() {
        let name = match column.meaning {
            Some(Meaning::Method | Meaning::EventTime) => continue,
            Some(meaning) => column_of(meaning),
            None => column.name.clone(),
        };
        let text = match record.value(index) {
            Value::Nothing => continue,
            Value::Text => record.text(index).trim().to_owned(),
            Value::Whole(number) => number.to_string(),
            Value::Time(at) => time(at, column.meaning.is_some()),
        };
        row.insert(name, Json::String(text));
    }
    row
}

/// A time of a column with a meaning is read again, another one told as it is.
fn time(at: Timestamp, is_meant: bool) -> String {
    if is_meant {
        epoch((at.unix.0, at.precision == Precision::Millis))
    } else {
        at.to_string()
    }
}

/// An instant as the parser reads it: 13 digits of milliseconds, or 10 of seconds; what these do not
/// reach, before 1970 and after 2286, is written out.
fn epoch((unix_ms, is_fine): (i64, bool)) -> String {
    match unix_ms {
        1..=9_999_999_999_999 if is_fine => format!("{unix_ms:013}"),
        1..=9_999_999_999_999 => format!("{:010}", unix_ms.div_euclid(1_000)),
        _ => instant((unix_ms, is_fine)).to_string(),
    }
}

/// A told call as one line. A call whose set-up no column tells began with its transaction.
fn line(mut row: Map<String, Json>, at: (i64, bool)) -> Vec<u8> {
    row.entry(column_of(Meaning::StartTime))
        .or_insert_with(|| Json::String(epoch(at)));
    let mut line = serde_json::to_vec(&row).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::time;

    #[test]
    fn the_time_of_a_held_line_is_read_back_whatever_year_it_is() {
        for secs in [
            -62_135_596_800_i64,
            -1,
            0,
            1,
            1_775_745_045,
            9_999_999_999,
            10_000_000_000,
            253_370_764_800,
        ] {
            for (at, is_fine) in [(secs * 1_000, false), (secs * 1_000 + 120, true)] {
                let text = epoch((at, is_fine));
                let told = time::read(&text, None).unwrap().unwrap();
                assert_eq!(told.at, instant((at, is_fine)), "{text}");
            }
        }
    }

    #[test]
    fn every_meaning_can_be_a_column_of_a_told_call() {
        let columns = Meaning::ALL.iter().map(|(_, meaning)| meant(*meaning));
        let table = FormatTable {
            name: "all".to_owned(),
            reader: "json-lines".to_owned(),
            layout: vec![LayoutTable {
                name: "all".to_owned(),
                columns: columns.collect(),
                ..LayoutTable::default()
            }],
            ..FormatTable::default()
        };
        let all = Format::from_table(&table).unwrap();
        let joined = format(&all).unwrap();
        assert_eq!(joined.layouts[0].columns.len(), Meaning::ALL.len() - 1);
    }
}

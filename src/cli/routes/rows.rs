//! Rows of a file as the events they are, with nothing between them and the agent's own reading.

use crate::cli::reading::{self, Seen};
use crate::config::SourceConfig;
use crate::config::live::Kind;
use crate::derive::Fate;
use crate::event::Event;
use std::sync::Arc;

/// What became of a row, with its line, from 1.
#[derive(Debug)]
pub(super) enum Row {
    /// It is an event.
    Event(u64, Event),
    /// It is none, and that is as it should be.
    Unwanted(u64, String),
    /// It does not fit.
    Misfit(u64, String),
}

/// Reads `bytes`, a file called `name` of `source`.
pub(super) fn read(
    source: &SourceConfig,
    node: &Arc<str>,
    mut bytes: Vec<u8>,
    name: &str,
) -> Vec<Row> {
    // What `keep` leaves out is said to be.
    let keep = source.derive.keep.clone();
    let mut rows = Vec::new();
    if matches!(source.kind, Kind::Directory { .. }) {
        reading::document(source, node, keep, &bytes, name, |seen| {
            add(&mut rows, 1, seen);
        });
        return rows;
    }
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    reading::rows(source, node, keep, &bytes, true, |line, seen| {
        add(&mut rows, line, seen);
    });
    rows
}

fn add(rows: &mut Vec<Row>, line: u64, seen: Seen<'_>) {
    let without = match seen {
        Seen::Record(_, _, told) if !told.is_empty() => {
            rows.extend(told.into_iter().map(|event| Row::Event(line, event)));
            return;
        }
        Seen::Record(_, Fate::Misfit(reject), _) | Seen::Rejected(reject) => {
            Row::Misfit(line, reject.to_string())
        }
        Seen::Record(_, Fate::Joined, _) => {
            unwanted(line, "it makes an event together with another row")
        }
        Seen::Record(_, Fate::Repeated, _) => unwanted(line, "it says what was told already"),
        Seen::Record(_, Fate::Told | Fate::Filtered, _) => unwanted(line, "keep leaves it out"),
        Seen::Unwanted => unwanted(line, "it is of a kind that is not told"),
        Seen::Incomplete => Row::Misfit(line, "the document is not complete".to_string()),
    };
    rows.push(without);
}

fn unwanted(line: u64, why: &str) -> Row {
    Row::Unwanted(line, format!("no event: {why}"))
}

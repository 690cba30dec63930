//! Rows of a file as the events they are, with nothing between them and the agent's own reading.

use crate::clock::{Clock, SystemClock};
use crate::config::SourceConfig;
use crate::config::live::Kind;
use crate::derive::{self, Derive, Fate};
use crate::event::{Event, Maker, Origin};
use crate::parser::{DocumentStep, Parser, Step};
use crate::source::{FirstRow, HeaderTest};
use sha2::{Digest, Sha256};
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
    let maker = Maker::new(
        Arc::clone(node),
        Arc::clone(&source.files.name),
        source.calls.clone(),
    );
    if matches!(source.kind, Kind::Directory { .. }) {
        return vec![document(source, &maker, &bytes, name)];
    }
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    let format = &source.parser.format;
    let mut parser = Parser::new(source.parser.clone());
    // Rows of any time are tried, but what `keep` leaves out is said to be.
    let settings = derive::Settings {
        start: None,
        ..source.derive.clone()
    };
    let mut derive = Derive::new(settings, maker, format, &[]);
    let clock = SystemClock::new();
    let now = derive::Now {
        moment: clock.now(),
        wall: clock.wall(),
    };
    parser.set_circumstances(now.wall, true);
    let headers = Parser::new(source.parser.clone());
    let is_header: HeaderTest =
        Arc::new(move |line: &[u8], at_start: bool| headers.is_header(line, at_start));
    let first_row = FirstRow::among(&bytes, 0, &is_header).map_or([0; 32], |first| first.hash);
    let (mut at, mut line, mut rows) = (0, 1_u64, Vec::new());
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let (taken, lines) = match parser.next(rest, at == 0, true) {
            Step::Record {
                record,
                bytes,
                lines,
            } => {
                let origin = Origin {
                    first_row: &first_row,
                    offset: at as u64,
                    raw: rest.get(..bytes).unwrap_or_default(),
                };
                let mut told = Vec::new();
                let fate = derive.take(&record, format, origin, now, &mut told);
                let without = match fate {
                    _ if !told.is_empty() => None,
                    Fate::Misfit(reject) => Some(Row::Misfit(line, reject.to_string())),
                    Fate::Joined => Some(unwanted(
                        line,
                        "it makes an event together with another row",
                    )),
                    Fate::Repeated => Some(unwanted(line, "it says what was told already")),
                    Fate::Told | Fate::Filtered => Some(unwanted(line, "keep leaves it out")),
                };
                rows.extend(without);
                rows.extend(told.into_iter().map(|event| Row::Event(line, event)));
                (bytes, lines)
            }
            Step::Rejected {
                reject,
                bytes,
                lines,
            } => {
                rows.push(Row::Misfit(line, reject.to_string()));
                (bytes, lines)
            }
            Step::Skipped { bytes, lines } => (bytes, lines),
            Step::Unwanted { bytes, lines } => {
                rows.push(unwanted(line, "it is of a kind that is not told"));
                (bytes, lines)
            }
            Step::More => break,
        };
        at += taken;
        line += u64::from(lines);
    }
    rows
}

fn unwanted(line: u64, why: &str) -> Row {
    Row::Unwanted(line, format!("no event: {why}"))
}

fn document(source: &SourceConfig, maker: &Maker, bytes: &[u8], name: &str) -> Row {
    let mut parser = Parser::new(source.parser.clone());
    match parser.document(bytes, name, true) {
        DocumentStep::Record(record) => {
            let origin = Origin {
                first_row: &Sha256::digest(bytes).into(),
                offset: 0,
                raw: bytes,
            };
            Row::Event(1, maker.make(&record, &source.parser.format, origin))
        }
        DocumentStep::Incomplete => Row::Misfit(1, "the document is not complete".to_string()),
        DocumentStep::Rejected(reject) => Row::Misfit(1, reject.to_string()),
    }
}

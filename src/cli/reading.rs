//! Reading: a file as the agent's own source would read it, for commands that show what becomes of
//! its rows. Nothing is kept and nothing is delivered.

use crate::clock::{Clock, SystemClock};
use crate::config::SourceConfig;
use crate::derive::{self, Derive, Fate};
use crate::event::filter::Filter;
use crate::event::{Event, Maker, Origin};
use crate::parser::{DocumentStep, Parser, Record, Reject, Step};
use crate::source::{FirstRow, HeaderTest};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What one row, or one document, is.
#[derive(Debug)]
pub(super) enum Seen<'r> {
    /// A record, what became of it, and the events told of it.
    Record(&'r Record<'r>, Fate, Vec<Event>),
    /// It does not fit.
    Rejected(Reject),
    /// It is of a kind that the format passes over.
    Unwanted,
    /// A document that ends early.
    Incomplete,
}

/// The machines of `source` at `node` as they are at the first row, and the time that it is. Rows of
/// any time are read; `keep` says which are told.
fn derive(source: &SourceConfig, node: &Arc<str>, keep: Filter) -> (Derive, derive::Now) {
    let maker = Maker::new(
        Arc::clone(node),
        Arc::clone(&source.files.name),
        source.calls.clone(),
    );
    let settings = derive::Settings {
        start: None,
        keep,
        ..source.derive.clone()
    };
    let clock = SystemClock::new();
    let now = derive::Now {
        moment: clock.now(),
        wall: clock.wall(),
    };
    (
        Derive::new(settings, maker, &source.parser.format, &[]),
        now,
    )
}

/// Shows `see` each row of `bytes`, complete lines from a file's beginning, with its line, from 1. A
/// file that goes on behind them is not `is_whole`: the last record may go on with it.
///
/// Ids are those of the agent: they rest on the same first row.
pub(super) fn rows(
    source: &SourceConfig,
    node: &Arc<str>,
    keep: Filter,
    bytes: &[u8],
    is_whole: bool,
    mut see: impl FnMut(u64, Seen<'_>),
) {
    let format = &source.parser.format;
    let (mut derive, now) = derive(source, node, keep);
    let mut parser = Parser::new(source.parser.clone());
    parser.set_circumstances(now.wall, true);
    let headers = Parser::new(source.parser.clone());
    let is_header: HeaderTest =
        Arc::new(move |line: &[u8], at_start: bool| headers.is_header(line, at_start));
    let first_row = FirstRow::among(bytes, 0, &is_header).map_or([0; 32], |first| first.hash);
    let (mut at, mut line) = (0, 1_u64);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let step = parser.next(rest, at == 0, is_whole);
        let Some((bytes, lines)) = step.taken() else {
            break;
        };
        match step {
            Step::Record { record, .. } => {
                let origin = Origin {
                    first_row: &first_row,
                    offset: at as u64,
                    raw: rest.get(..bytes).unwrap_or_default(),
                };
                let mut told = Vec::new();
                let fate = derive.take(&record, format, origin, now, &mut told);
                see(line, Seen::Record(&record, fate, told));
            }
            Step::Rejected { reject, .. } => see(line, Seen::Rejected(reject)),
            Step::Unwanted { .. } => see(line, Seen::Unwanted),
            Step::Skipped { .. } | Step::More => {}
        }
        at += bytes;
        line += u64::from(lines);
    }
}

/// Shows `see` the document `bytes`, called `name`.
pub(super) fn document(
    source: &SourceConfig,
    node: &Arc<str>,
    keep: Filter,
    bytes: &[u8],
    name: &str,
    see: impl FnOnce(Seen<'_>),
) {
    let mut parser = Parser::new(source.parser.clone());
    match parser.document(bytes, name, true) {
        DocumentStep::Record(record) => {
            let (mut derive, now) = derive(source, node, keep);
            let origin = Origin {
                first_row: &Sha256::digest(bytes).into(),
                offset: 0,
                raw: bytes,
            };
            let mut told = Vec::new();
            let fate = derive.take(&record, &source.parser.format, origin, now, &mut told);
            see(Seen::Record(&record, fate, told));
        }
        DocumentStep::Incomplete => see(Seen::Incomplete),
        DocumentStep::Rejected(reject) => see(Seen::Rejected(reject)),
    }
}

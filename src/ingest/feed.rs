//! Steps 2 and 3 for one source: its lines, one after another, and the events each makes.

use crate::derive::{Derive, Fate, Now};
use crate::event::{Event, EventId, Origin};
use crate::parser::{Format, Parser, Problem, Reject, Step};
use crate::queue::{self, SourceCounts};
use crate::source::{Chunk, Source};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// One source with everything that turns its bytes into events.
#[derive(Debug)]
pub struct Feed {
    /// The source's name.
    pub name: Arc<str>,
    /// The files.
    pub source: Source,
    /// The format of their lines.
    pub format: Format,
    /// What reads them.
    pub parser: Parser,
    /// What is told of a record, of several together, and of time alone.
    pub derive: Derive,
    /// Time between two looks when nothing calls for one.
    pub poll: Duration,
    /// It makes only events that still fit when reading pauses for the others.
    pub reserved: bool,
}

impl Feed {
    /// Understands what begins `at` bytes into the chunk, adds what it tells to `events` unless that
    /// was `saved` from damage, and says how many bytes and lines that takes; `None` when it is not
    /// whole and more may follow.
    pub(super) fn understand(
        &mut self,
        chunk: &Chunk,
        at: usize,
        now: Now,
        saved: &HashSet<EventId>,
        events: &mut Vec<Event>,
    ) -> Option<(Understood, usize, u32)> {
        let rest = chunk.bytes.get(at..).unwrap_or_default();
        let offset = chunk.offset + at as u64;
        let (record, bytes, lines) = match self.parser.next(rest, offset == 0, chunk.last) {
            Step::Record {
                record,
                bytes,
                lines,
            } => (record, bytes, lines),
            Step::Skipped { bytes, lines } => return Some((Understood::Nothing, bytes, lines)),
            Step::Unwanted { bytes, lines } => {
                return Some((Understood::Row(Fate::Filtered), bytes, lines));
            }
            Step::Rejected {
                reject,
                bytes,
                lines,
            } => return Some((Understood::Row(Fate::Misfit(reject)), bytes, lines)),
            Step::More => return None,
        };
        let raw = rest.get(..bytes).unwrap_or_default();
        let origin = Origin {
            first_row: &chunk.first_row,
            offset,
            raw: lasting(&self.format, raw),
        };
        let before = events.len();
        let mut fate = self.derive.take(&record, &self.format, origin, now, events);
        let fits = events.iter().skip(before).all(queue::accepts);
        if !fits {
            events.truncate(before);
            fate = Fate::Misfit(Reject::row(Problem::TooLong));
        }
        if !saved.is_empty() {
            let mut made = events.split_off(before);
            made.retain(|event| !saved.contains(&event.id));
            events.append(&mut made);
        }
        if fate == Fate::Told && events.len() == before {
            fate = Fate::Repeated;
        }
        Some((Understood::Row(fate), bytes, lines))
    }
}

/// What the first line, or lines, of some bytes came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Understood {
    /// A row, and what became of it.
    Row(Fate),
    /// A blank line or a header.
    Nothing,
}

impl Understood {
    /// Counts a row of which `made` events were made.
    pub(super) fn count(&self, made: usize, counts: &mut SourceCounts) {
        let Understood::Row(fate) = self else {
            return;
        };
        counts.rows += 1;
        counts.derived += made as u64;
        match fate {
            // One of the events stands for the row.
            Fate::Told => counts.derived -= 1,
            Fate::Filtered => counts.filtered += 1,
            Fate::Repeated => counts.repeated += 1,
            Fate::Joined => counts.joined += 1,
            Fate::Misfit(_) => counts.rejected += 1,
        }
    }
}

/// What of a record of `format` its event's id is made of. How many lines continue a line may
/// depend on when it was read; its id must not.
pub fn lasting<'r>(format: &Format, raw: &'r [u8]) -> &'r [u8] {
    if !format.may_continue() {
        return raw;
    }
    let end = memchr::memchr(b'\n', raw).map_or(raw.len(), |end| end + 1);
    raw.get(..end).unwrap_or(raw)
}

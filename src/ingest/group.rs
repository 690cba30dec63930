//! What one commit will hold, and how lines get into it.

use super::feed::{Feed, Understood};
use super::following::Following;
use super::report::Report;
use super::set_aside::{self, Entry};
use crate::clock::UnixMs;
use crate::derive::{Fate, Now};
use crate::event::EventId;
use crate::parser::Reject;
use crate::queue::{Packed, SourceBatch, SourceCounts, StateChange};
use crate::source::{Change, Chunk, FilePosition, Looked, Oversized, Piece};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Most rows of one commit, set aside or not: where the cost of the sync is spread thin enough
/// (measured with 541-byte events: 112,000 a second at 64 per commit, 407,000 at this number), and
/// some hundred kilobytes of memory.
pub const GROUP_ROWS_MAX: usize = 1_024;

/// Most bytes of one commit's rows and the events made of them, beside [`GROUP_ROWS_MAX`]: bounds
/// memory with wide rows.
pub const GROUP_BYTES_MAX: usize = 2 << 20;

/// What one commit will hold.
#[derive(Debug, Default)]
pub struct Group {
    /// Once some of it is packed, batches are only added, and events at the end of one.
    pub(super) batches: Vec<SourceBatch>,
    pub(super) set_aside: Vec<Entry>,
    /// What was packed of them while the group before was committed.
    pub(super) packed: Packed,
    /// Small state that changes with it.
    pub(super) state: Vec<StateChange>,
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// Bytes that another group holds, of the most that both may.
    pub(super) bytes_elsewhere: usize,
    /// Events that were saved from damage; see [`super::Ingest`].
    pub(super) saved: Arc<HashSet<EventId>>,
}

impl Group {
    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.state.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= GROUP_ROWS_MAX || self.bytes + self.bytes_elsewhere >= GROUP_BYTES_MAX
    }

    /// The batch of the source called `name`.
    pub(super) fn batch(&mut self, name: &Arc<str>) -> &mut SourceBatch {
        let index = match self.batches.iter().position(|batch| batch.source == *name) {
            Some(index) => index,
            None => {
                let (events, positions, forgotten) = (Vec::new(), Vec::new(), Vec::new());
                self.batches.push(SourceBatch {
                    source: Arc::clone(name),
                    events,
                    positions,
                    forgotten,
                    counts: SourceCounts::default(),
                });
                self.batches.len() - 1
            }
        };
        self.batches
            .get_mut(index)
            .expect("the batch was found or added")
    }

    /// Notes what a look found.
    pub(super) fn note(&mut self, feed: &Feed, looked: Looked, wall: UnixMs, report: &mut Report) {
        let name = &feed.name;
        if !looked.positions.is_empty() || !looked.forgotten.is_empty() {
            let batch = self.batch(name);
            let is_forgotten = |position: &FilePosition| looked.forgotten.contains(&position.key);
            // Rows that were read ahead, before this look, may have one.
            batch.positions.retain(|known| !is_forgotten(known));
            batch.forgotten.extend(looked.forgotten);
            looked
                .positions
                .into_iter()
                .for_each(|position| remember(batch, position));
        }
        for change in looked.changes {
            report.changed(&change);
            if let Change::Gap(gap) = change {
                // In one commit with the position that passes over what is lost.
                let event = feed.derive.gap(&gap, wall);
                let batch = self.batch(name);
                batch.counts.gaps += 1;
                batch.counts.derived += 1;
                batch.events.push(event);
            }
        }
    }

    pub(super) fn understand(&mut self, following: &mut Following, piece: Piece, now: Now) {
        match piece {
            Piece::Lines(chunk) => self.understand_lines(following, &chunk, now),
            Piece::Oversized(oversized) => self.pass_over(following, oversized),
        }
    }

    /// A line too long to be one: counted, told and set aside without its bytes.
    pub(super) fn pass_over(&mut self, following: &mut Following, oversized: Oversized) {
        let reason = format!(
            "a line of {} bytes is longer than line_max",
            oversized.bytes
        );
        let line = (oversized.line > 0).then_some(oversized.line);
        let place = place(&oversized.path, line, oversized.offset);
        following.report.set_aside(&place, &reason);
        self.rows += 1;
        self.set_aside.push(Entry {
            source: following.feed.name.to_string(),
            file: oversized.path.display().to_string(),
            line,
            offset: oversized.offset,
            column: None,
            reason,
            row: String::new(),
            row_base64: None,
        });
        let batch = self.batch(&following.feed.name);
        batch.counts.rows += 1;
        batch.counts.rejected += 1;
        remember(batch, oversized.position);
    }

    pub(super) fn understand_lines(&mut self, following: &mut Following, chunk: &Chunk, now: Now) {
        if following.goes_back_before(chunk.file) {
            return;
        }
        let Following { feed, report, .. } = following;
        let (mut at, mut lines) = (0, 0);
        let (mut counts, mut events) = (SourceCounts::default(), Vec::new());
        let is_over = following.continued.is_over(chunk.file);
        feed.parser.set_circumstances(now.wall, is_over);
        let saved = Arc::clone(&self.saved);
        while !self.is_full() && at < chunk.bytes.len() {
            let before = events.len();
            let understood = feed.understand(chunk, at, now, &saved, &mut events);
            let Some((understood, bytes, taken)) = understood else {
                break;
            };
            understood.count(events.len() - before, &mut counts);
            let told = events.iter().skip(before);
            self.bytes += told.map(|event| event.data.len()).sum::<usize>();
            if let Understood::Row(Fate::Misfit(reject)) = understood {
                let line = (chunk.line > 0).then(|| chunk.line + u64::from(lines));
                let offset = chunk.offset + at as u64;
                report.set_aside(&place(&chunk.path, line, offset), &reject.to_string());
                let row = chunk.bytes.get(at..at + bytes).unwrap_or_default();
                self.set_aside
                    .push(entry(&feed.name, chunk, line, offset, &reject, row));
            }
            at += bytes;
            lines += taken;
            self.bytes += bytes;
            self.rows += 1;
        }
        if let Some((count, at)) = feed.parser.take_doubtful() {
            report.doubtful(&chunk.path, at, count);
        }
        let position = feed.source.consumed(chunk.file, at, lines);
        if at > 0 {
            let before = events.len();
            if counts.rows > 0 {
                feed.derive.rows_came(now, &mut events);
            }
            counts.derived += (events.len() - before) as u64;
            let batch = self.batch(&feed.name);
            batch.events.append(&mut events);
            batch.counts.rows += counts.rows;
            batch.counts.derived += counts.derived;
            batch.counts.rejected += counts.rejected;
            batch.counts.filtered += counts.filtered;
            batch.counts.repeated += counts.repeated;
            batch.counts.joined += counts.joined;
            remember(batch, position);
        }
        following.note_waiting(chunk, at, now.moment);
    }
}

/// The position of a file is the last one found in a group.
pub(super) fn remember(batch: &mut SourceBatch, position: FilePosition) {
    batch.positions.retain(|known| known.key != position.key);
    batch.positions.push(position);
}

fn entry(
    source: &str,
    chunk: &Chunk,
    line: Option<u64>,
    offset: u64,
    reject: &Reject,
    row: &[u8],
) -> Entry {
    Entry {
        source: source.to_owned(),
        file: chunk.path.display().to_string(),
        line,
        offset,
        column: reject.column.as_ref().map(|(column, _)| *column),
        reason: reject.to_string(),
        row: set_aside::row_text(row),
        row_base64: None,
    }
}

/// A row's place for a message: the file's name, and its line or, where that is not known, offset.
fn place(path: &Path, line: Option<u64>, offset: u64) -> String {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    line.map_or_else(
        || format!("{name} at byte {offset}"),
        |line| format!("{name}:{line}"),
    )
}

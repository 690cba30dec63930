//! Read: the next lines of the oldest file that has any.

use super::gunzip::Ending;
use super::identity::{self, FirstRow, HeaderTest, Likeness};
use super::known::{First, Known, Skipped, Skipping, Standing};
use super::lines::{self, Then};
use super::tail::{Content, TailError};
use super::window::Window;
use super::{FileKey, FilePosition, HEAD_BYTES_MAX, Handed, Source, SourceError};
use crate::clock::UnixMs;
use memchr::memchr;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Bytes read at a time while something is passed over.
const SKIP_BYTES: usize = 64 << 10;

/// Bytes that are asked for at a time; more only costs memory.
pub const READ_BYTES_USUAL: u64 = 128 << 10;

/// What a read comes to.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Complete lines. Answer with [`Source::consumed`].
    Lines(Chunk),
    /// A line too long to be one. It has been passed over; there is nothing to answer.
    Oversized(Oversized),
}

/// Bytes of complete lines of one file.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The file they come from, as [`FilePosition::key`] names it.
    pub file: FileKey,
    /// The file's path when it was last seen; for messages only.
    pub path: Arc<Path>,
    /// Offset of the first byte of `bytes` in the (uncompressed) file.
    pub offset: u64,
    /// Number of the first line of `bytes`, from 1, as an editor counts; 0 when it is not known
    /// (following began in the middle of a file too long to count).
    pub line: u64,
    /// SHA-256 of the file's first line that is neither blank nor a header, without its line end:
    /// part of the id of events that have no key of their own. Zeros while there is no such line
    /// up to the end of `bytes`.
    pub first_row: [u8; 32],
    /// The lines, each with its line end. Never empty.
    pub bytes: Vec<u8>,
    /// No more lines will follow these in this file, as far as can be told: it has been read to
    /// its end, has been quiet since and a newer file of the source exists; or what follows is too
    /// long to be a line; or nothing was consumed of lines that together are longer than one may
    /// be. An open quote will not be closed any more: the caller has to consume something, or the
    /// file rests until it changes.
    pub last: bool,
}

/// A line longer than [`Settings::line_max`](super::Settings::line_max).
#[derive(Debug, Clone)]
pub struct Oversized {
    /// The file, as [`FilePosition::key`] names it.
    pub file: FileKey,
    /// The file's path when it was last seen; for messages only.
    pub path: Arc<Path>,
    /// Offset of the line's first byte.
    pub offset: u64,
    /// The line's number, as [`Chunk::line`].
    pub line: u64,
    /// Its length with its line end.
    pub bytes: u64,
    /// The position after it, to be committed when the line has been reported.
    pub position: FilePosition,
}

impl Source {
    /// The next run of complete lines of the oldest file that has any: about `max_bytes` bytes,
    /// but at least one line. `None` when there is nothing now; then look again.
    ///
    /// A file that cannot be read is set aside, reported by the next look, and tried again later.
    ///
    /// # Errors
    ///
    /// [`SourceError::Exhausted`] when no file can be opened for want of descriptors or memory:
    /// nothing has moved, and it is worth trying again after a pause.
    pub fn read(&mut self, max_bytes: usize) -> Result<Option<Piece>, SourceError> {
        while let Some(key) = self.unread.first().map(|age| age.key) {
            match self.next_of(key, max_bytes) {
                Ok(Some(piece)) => {
                    self.tell_read(key);
                    return Ok(Some(piece));
                }
                Ok(None) | Err(TailError::Moved) => self.leave(key),
                Err(TailError::Unreadable(error)) => self.park(key, error),
                Err(TailError::Exhausted(error)) => return Err(SourceError::Exhausted(error)),
            }
        }
        Ok(None)
    }

    fn next_of(&mut self, key: FileKey, max_bytes: usize) -> Result<Option<Piece>, TailError> {
        let Some(known) = self.files.get_mut(&key) else {
            return Ok(None);
        };
        let mut content = self.tails.content(key, &known.path)?;
        // Also of a file that the last look found as it was: it may have been cut off and written
        // again since, and what follows would be joined to what was read before.
        let is_plain = content.ending().is_none();
        let is_to_compare = known.standing == Standing::Grown || !self.window.is_on(key);
        let is_other = is_to_compare
            && identity::compare_tail(&mut content, &known.position)? != Likeness::Same;
        let is_shown = self.window.still_shows(key, &mut content)?;
        if is_plain && (is_other || (!is_shown && known.standing != Standing::Grown)) {
            // Another life. The next look finds out more, and what was lost of this one.
            known.doubt_when_read();
            self.window.forget_file(key);
            return Ok(None);
        }
        if !is_shown {
            known.rewind();
            self.window.forget_file(key);
        }
        known.standing = Standing::Sure;
        if !self.window.is_on(key) {
            known.forget_unconsumed();
        }
        self.window.turn_to(key, known.read_from(), &mut content)?;
        let mut reading = Reading {
            window: &mut self.window,
            content,
            line_max: self.settings.line_max.max(1),
            is_header: &self.is_header,
            is_over: known.is_over(self.newest.as_ref(), self.looked_at),
            looked_at: self.looked_at,
            known,
        };
        let piece = reading.next(max_bytes.max(1))?;
        let ending = reading.content.ending();
        if piece.is_none() {
            self.take_ending(key, ending)?;
        }
        match &piece {
            Some(Piece::Lines(chunk)) => {
                let (bytes, last) = (chunk.bytes.len(), chunk.last);
                self.handed = Some(Handed { key, bytes, last });
            }
            Some(Piece::Oversized(_)) => self.supersede(key),
            None => {}
        }
        Ok(piece)
    }

    /// Takes in how a packed file ends in which there is no further line.
    fn take_ending(&mut self, key: FileKey, ending: Option<Ending>) -> Result<(), TailError> {
        let (Some(known), Some(ending)) = (self.files.get_mut(&key), ending) else {
            return Ok(());
        };
        let what = match ending {
            Ending::NotReached => return Ok(()),
            // Rows that nobody could use a byte of are not what is remembered as read.
            Ending::Complete if known.stuck.is_some() => {
                known.is_exhausted = true;
                return Ok(());
            }
            Ending::Complete => {
                known.finish();
                let position = known.kept();
                self.supersede(key);
                self.untold.positions.push(position);
                return Ok(());
            }
            Ending::Short => "ends in the middle of what gzip writes".to_owned(),
            Ending::Damaged(damage) => damage.to_string(),
        };
        known.is_exhausted = true;
        if !std::mem::replace(&mut known.told_unreadable, true) {
            let path = Arc::clone(&known.path);
            let error = io::Error::new(io::ErrorKind::InvalidData, what);
            self.tell_unreadable(path, error);
        }
        Ok(())
    }

    /// Takes the file out of those with something to read until it is longer.
    fn leave(&mut self, key: FileKey) {
        if let Some(age) = self
            .files
            .get_mut(&key)
            .and_then(|known| known.unread_as.take())
        {
            self.unread.remove(&age);
        }
        self.tails.set_needed(key, false);
    }

    /// Reports a file that was unreadable as readable again.
    pub(super) fn tell_read(&mut self, key: FileKey) {
        let Some(known) = self.files.get_mut(&key) else {
            return;
        };
        if std::mem::take(&mut known.told_unreadable) {
            let path = Arc::clone(&known.path);
            self.tell_readable(path);
        }
    }
}

/// One read of one file.
struct Reading<'a> {
    known: &'a mut Known,
    window: &'a mut Window,
    content: Content<'a>,
    line_max: usize,
    is_header: &'a HeaderTest,
    /// Nothing more is expected in the file.
    is_over: bool,
    looked_at: UnixMs,
}

impl Reading<'_> {
    fn next(&mut self, max_bytes: usize) -> io::Result<Option<Piece>> {
        loop {
            if let Some(skipping) = self.known.skipping {
                match self.skip_on(skipping)? {
                    Passed::Line(oversized) => return Ok(Some(Piece::Oversized(*oversized))),
                    Passed::Hole => {}
                    Passed::NotYet => return Ok(self.rest()),
                }
            }
            let stuck = self.known.stuck;
            let stuck_bytes = stuck.map_or(0, |stuck| stuck.bytes);
            let is_too_long = stuck_bytes > self.line_max;
            if is_too_long && stuck.is_some_and(|stuck| stuck.was_last) {
                return Ok(self.rest());
            }
            let most = stuck_bytes.saturating_add(max_bytes);
            let mut at_end = self.window.fill(&mut self.content, most)?;
            let mut run = lines::complete(self.window.bytes(), most, self.line_max);
            let is_short_of_a_line = run.bytes <= stuck_bytes && !at_end && run.then != Then::Long;
            if is_short_of_a_line {
                let most = stuck_bytes.saturating_add(self.line_max);
                at_end = self.window.fill(&mut self.content, most)?;
                run = lines::complete(self.window.bytes(), most, self.line_max);
            }
            if run.bytes == 0 && run.then == Then::Long {
                self.begin_skipping();
                continue;
            }
            let is_whole = at_end && run.then == Then::Partial;
            let is_over = match self.content.ending() {
                Some(ending) => ending == Ending::Complete,
                None => self.is_over,
            };
            let last = run.then == Then::Long || is_too_long || (is_whole && is_over);
            let was_said =
                stuck.is_some_and(|stuck| run.bytes <= stuck.bytes && (stuck.was_last || !last));
            if run.bytes == 0 || was_said {
                return Ok(self.rest());
            }
            return self
                .hand_out(run.bytes, last)
                .map(|chunk| Some(Piece::Lines(chunk)));
        }
    }

    /// Nothing more to hand out before the file is longer than what the window has seen of it.
    ///
    /// What was read beyond the last look is taken in as a look would, or the next one would see
    /// a file that changed without growing, and doubt it.
    fn rest(&mut self) -> Option<Piece> {
        let known = &mut *self.known;
        known.read_up_to(self.window.end());
        known.end_seen = self.window.end();
        if known.read_beyond_look
            && let Some(modified_ns) = self.content.modified_ns_at(known.size)
        {
            known.read_beyond_look = false;
            known.modified_ns = modified_ns;
            known.changed_at = self.looked_at;
        }
        None
    }

    fn hand_out(&mut self, bytes: usize, last: bool) -> io::Result<Chunk> {
        self.known.read_up_to(self.window.end());
        let lines = self.window.bytes().get(..bytes).unwrap_or_default();
        let position = &self.known.position;
        if position.first_row.is_none() && self.known.first.is_none() {
            self.known.first = first_of(lines, position.offset, &mut self.content, self.is_header)?;
        }
        let first_row = position
            .first_row
            .or(self.known.first.map(|first| first.row.hash));
        Ok(Chunk {
            file: position.key,
            path: Arc::clone(&self.known.path),
            offset: position.offset,
            line: line_number(position),
            first_row: first_row.unwrap_or_default(),
            bytes: lines.to_vec(),
            last,
        })
    }

    fn begin_skipping(&mut self) {
        let begins_with_nul = self.window.bytes().first() == Some(&0);
        let what = if begins_with_nul {
            Skipped::Hole
        } else {
            Skipped::LongLine
        };
        self.known.skipping = Some(Skipping { what, bytes: 0 });
    }

    /// Passes over what `skipping` says, one block in memory at a time. What was passed stays
    /// passed when the end is not there yet, so no byte is read twice.
    fn skip_on(&mut self, mut skipping: Skipping) -> io::Result<Passed> {
        loop {
            let held = self.window.bytes();
            let end = match skipping.what {
                Skipped::LongLine => memchr(b'\n', held).map(|at| at + 1),
                Skipped::Hole => held.iter().position(|&byte| byte != 0),
            };
            let passed = end.unwrap_or(held.len());
            self.window.pass(passed);
            skipping.bytes += passed as u64;
            self.known.skipping = Some(skipping);
            if end.is_some() {
                return Ok(self.passed_over(skipping));
            }
            self.window.fill(&mut self.content, SKIP_BYTES)?;
            if self.window.bytes().is_empty() {
                return Ok(Passed::NotYet);
            }
        }
    }

    fn passed_over(&mut self, skipping: Skipping) -> Passed {
        let before = self.known.position.clone();
        self.known.skipping = None;
        let is_line = skipping.what == Skipped::LongLine;
        self.known
            .advance(skipping.bytes, u64::from(is_line), self.window.recent());
        match skipping.what {
            Skipped::Hole => Passed::Hole,
            Skipped::LongLine => Passed::Line(Box::new(Oversized {
                file: before.key,
                path: Arc::clone(&self.known.path),
                offset: before.offset,
                line: line_number(&before),
                bytes: skipping.bytes,
                position: self.known.kept(),
            })),
        }
    }
}

/// What passing over came to.
enum Passed {
    Line(Box<Oversized>),
    Hole,
    /// Its end is not in the file yet.
    NotYet,
}

fn line_number(position: &FilePosition) -> u64 {
    position.lines.map_or(0, |lines| lines + 1)
}

fn first_of(
    lines: &[u8],
    offset: u64,
    content: &mut Content<'_>,
    is_header: &HeaderTest,
) -> io::Result<Option<First>> {
    let Some(row) = FirstRow::among(lines, offset, is_header) else {
        return Ok(None);
    };
    let head_bytes = row.end.min(HEAD_BYTES_MAX);
    let read_again;
    let head = match usize::try_from(head_bytes)
        .ok()
        .and_then(|count| lines.get(..count))
    {
        Some(head) if offset == 0 => head,
        _ => {
            read_again = identity::bytes_at(content, 0, head_bytes)?;
            &read_again
        }
    };
    Ok(Some(First {
        row,
        head_bytes,
        head: identity::short_hash(head),
    }))
}

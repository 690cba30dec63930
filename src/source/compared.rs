//! Compared: how the content of a file compares with those it may be a copy of.

use super::gunzip::Ending;
use super::identity::{self, FirstRow, HeaderTest};
use super::known::{Known, Mark, Marks, Presence};
use super::past::Past;
use super::read::READ_BYTES_USUAL;
use super::tail::Content;
use super::{FileKey, FilePosition, HEAD_BYTES_MAX, TAIL_BYTES_MAX, start};
use memchr::memrchr;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// Most marks that are looked for in one file.
const MARKS_COMPARED_MAX: usize = 64;

/// Bytes before a position that are held in memory while a file is open: where a copy that was
/// made a moment ago, or a file whose last rows an editor took away, ends in.
pub const RECENT_BYTES_MAX: usize = 4 << 10;

/// By what a file is found: its head.
pub type Head = (u64, u64);

/// A file, or a life of one, that others may be copies of.
#[derive(Debug, Clone)]
pub struct Parent {
    pub of: Of,
    pub path: Arc<Path>,
    pub position: FilePosition,
    pub is_alive: bool,
    /// A name leads to it.
    pub is_named: bool,
    /// It has the name of a generation.
    pub is_rotated: bool,
    /// It was not seen since the start, and may be on a disk that is mounted later.
    pub is_awaited: bool,
    pub marks: Marks,
    pub recent: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    File(FileKey),
    /// The place among the pasts is not lasting; the life of a file is.
    Past(FileKey, u32),
}

impl Parent {
    pub fn of(known: &Known) -> Parent {
        Parent {
            of: Of::File(known.position.key),
            path: Arc::clone(&known.path),
            position: known.position.clone(),
            is_alive: known.is_here(),
            is_named: known.presence == Presence::Listed,
            is_rotated: known.is_rotated,
            is_awaited: known.presence == Presence::Remembered,
            marks: known.marks.clone(),
            recent: known.recent.clone(),
        }
    }

    pub fn of_past(past: &Past) -> Parent {
        Parent {
            of: Of::Past(past.position.key, past.position.life),
            path: Arc::clone(&past.path),
            position: past.position.clone(),
            is_alive: false,
            is_named: false,
            is_rotated: false,
            is_awaited: false,
            marks: past.marks.clone(),
            recent: past.recent.clone(),
        }
    }
}

/// How the content of a file compares with those it may be a copy of.
#[derive(Debug)]
pub struct Compared {
    /// Those of them whose position holds in it, the last of them last.
    pub matched: Vec<usize>,
    /// How it ends, if it is packed.
    pub ending: Option<Ending>,
    /// Its length, unpacked; `None` while that is not known.
    pub length: Option<u64>,
    /// Its last bytes.
    pub end: Vec<u8>,
    /// The marks of the others that hold in it.
    pub marks: Vec<Mark>,
}

impl Compared {
    /// Goes through `content` once, forwards. Without anything to compare it with, that is done
    /// for a packed one that `may_grow` only, to learn how it ends.
    pub fn to(
        content: &mut Content<'_>,
        related: &[Parent],
        may_grow: bool,
    ) -> io::Result<Compared> {
        let mut compared = Compared {
            matched: Vec::new(),
            ending: None,
            length: None,
            end: Vec::new(),
            marks: Vec::new(),
        };
        let is_packed = matches!(content, Content::Packed { .. });
        if related.is_empty() && !(is_packed && may_grow) {
            return Ok(compared);
        }
        for (at, parent) in related.iter().enumerate() {
            if holds(content, Mark::of(&parent.position))? {
                compared.matched.push(at);
            }
        }
        let length = content.length()?;
        compared.ending = content.ending();
        compared.length =
            Some(length).filter(|_| matches!(compared.ending, None | Some(Ending::Complete)));
        let count = length.min(RECENT_BYTES_MAX as u64);
        compared.end = identity::bytes_at(content, length - count, count)?;
        let mut marks: Vec<Mark> = related
            .iter()
            .flat_map(|parent| parent.marks.iter().copied())
            .filter(|mark| mark.offset <= length)
            .collect();
        marks.sort_unstable_by_key(|mark| mark.offset);
        for mark in marks.into_iter().rev().take(MARKS_COMPARED_MAX) {
            // In a packed file only what is still held: a look further back would unpack it anew.
            let is_near = length - mark.offset < RECENT_BYTES_MAX as u64;
            let is_plain = compared.ending.is_none();
            if (is_plain || is_near) && holds(content, mark)? {
                compared.marks.push(mark);
                break;
            }
        }
        Ok(compared)
    }

    /// The end of its last line; `None` where it has none, or that is not among its last bytes.
    pub fn last_line(&self) -> Option<Mark> {
        let end_from = self.length? - self.end.len() as u64;
        let newline = memrchr(b'\n', &self.end)?;
        let bytes = self.end.get(..=newline)?;
        Some(Mark::after(bytes, end_from + bytes.len() as u64))
    }

    /// The last place up to which `parent` was read that is in the file, when the file ends before
    /// the parent's position does: it was copied before the last rows were read, or an editor has
    /// taken some away.
    pub fn mark_in(&self, parent: &Parent) -> Option<Mark> {
        let length = self.length?;
        let end_from = length - self.end.len() as u64;
        let recent_from = parent.position.offset - parent.recent.len() as u64;
        let mut upto = self.end.len();
        while let Some(newline) = memrchr(b'\n', self.end.get(..upto).unwrap_or_default()) {
            upto = newline;
            let bytes = self.end.get(..=newline).unwrap_or_default();
            let offset = end_from + bytes.len() as u64;
            let from = bytes.len().saturating_sub(usize::from(TAIL_BYTES_MAX));
            let tail = bytes.get(from..).unwrap_or_default();
            let is_enough =
                tail.len() == usize::from(TAIL_BYTES_MAX) || offset == tail.len() as u64;
            if !is_enough || offset < parent.position.head_bytes {
                break;
            }
            let there = (offset - tail.len() as u64).checked_sub(recent_from);
            let there = there.and_then(|at| usize::try_from(at).ok());
            let recent = there.and_then(|at| parent.recent.get(at..at + tail.len()));
            if recent == Some(tail) {
                return Some(Mark::after(tail, offset));
            }
        }
        let marks = self.marks.iter();
        let own = |mark: &&Mark| parent.marks.iter().any(|other| other == *mark);
        let mark = marks
            .copied()
            .filter(|mark| own(&mark))
            .max_by_key(|mark| mark.offset)?;
        // Between two marks lies what was consumed at once; the copy ends within.
        let is_close = length - mark.offset <= READ_BYTES_USUAL && length < parent.position.offset;
        let last_line = self.last_line().filter(|_| is_close);
        Some(last_line.unwrap_or(mark))
    }
}

/// Where the content of a file that has become shorter ends, if all of it is what was read.
///
/// # Errors
///
/// When the file cannot be read.
pub fn what_is_kept(content: &mut Content<'_>, known: &Known) -> io::Result<Option<Mark>> {
    let position = &known.position;
    let head = identity::bytes_at(content, 0, position.head_bytes)?;
    if position.first_row.is_none() || identity::short_hash(&head) != position.head {
        return Ok(None);
    }
    let own = Parent::of(known);
    let compared = Compared::to(content, std::slice::from_ref(&own), false)?;
    let line_end = compared.last_line().map(|mark| mark.offset);
    let mark = compared.mark_in(&own);
    Ok(mark.filter(|mark| Some(mark.offset) == line_end))
}

/// Whether the bytes before `mark` stand in `content` too.
///
/// # Errors
///
/// When the file cannot be read.
pub fn holds(content: &mut Content<'_>, mark: Mark) -> io::Result<bool> {
    let count = u64::from(mark.tail_bytes);
    let tail = identity::bytes_at(content, mark.offset.saturating_sub(count), count)?;
    Ok(tail.len() as u64 == count && (count == 0 || identity::short_hash(&tail) == mark.tail))
}

/// The last bytes of a file, and where they end; `None` for an empty one.
///
/// # Errors
///
/// When the file cannot be read.
pub fn end_of(content: &mut Content<'_>) -> io::Result<Option<Mark>> {
    let offset = content.length()?;
    let tail = identity::bytes_before(content, offset)?;
    Ok((!tail.is_empty()).then(|| Mark::after(&tail, offset)))
}

/// What a file without a complete row is known by: all that is in it, up to [`HEAD_BYTES_MAX`] bytes.
/// `None` for an empty one, and where there is room that a writer has made ahead: it will be other
/// bytes.
///
/// # Errors
///
/// When the file cannot be read.
pub fn half_head_of(content: &mut Content<'_>) -> io::Result<Option<Head>> {
    let head = identity::bytes_at(content, 0, HEAD_BYTES_MAX)?;
    let is_written = !head.is_empty() && !head.contains(&0);
    Ok(is_written.then(|| (head.len() as u64, identity::short_hash(&head))))
}

/// The head of `content` through its first row, and that; `None` when it is not there or is too far
/// in.
///
/// # Errors
///
/// When the file cannot be read.
pub fn head_of(
    content: &mut Content<'_>,
    is_header: &HeaderTest,
    line_max: usize,
) -> io::Result<Option<(Head, FirstRow)>> {
    content.seek(SeekFrom::Start(0))?;
    let most = HEAD_BYTES_MAX + line_max as u64;
    let first = start::first_row(
        &mut BufReader::new(content.by_ref().take(most)),
        is_header,
        line_max,
    )?;
    let Some(row) = first else {
        return Ok(None);
    };
    let head_bytes = row.end.min(HEAD_BYTES_MAX);
    let head = identity::bytes_at(content, 0, head_bytes)?;
    Ok(Some(((head_bytes, identity::short_hash(&head)), row)))
}

//! Overlap: files that begin within what another one ends with.
//!
//! `cp cdr.csv cdr.csv-2026; tail -n 1000 cdr.csv > t; mv t cdr.csv`, over and over, leaves a file and
//! copies of it each of which begins with the last rows of the one before. None has the head of another, so
//! none is known by it. Whichever is next is read on behind the last row of the one before it, and
//! waits until that has been read: whoever reads it from its start tells those rows a second time, under
//! other ids.

use super::compared::{Of, Parent, head_of};
use super::family::Families;
use super::identity;
use super::kin::{Heir, Verdict};
use super::known::{Known, Presence, Standing};
use super::past::{Lost, PASTS_MAX, Past};
use super::tail::{Content, TailError};
use super::{FileKey, GapCause, HeaderTest, Rotated, Source, SourceError, trimmed};
use memchr::memmem::Finder;
use memchr::memrchr;
use std::cmp::Reverse;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Most files in which the first row of another is looked for: those that were modified last before it.
const BEFORE_MAX: usize = 8;

/// How much of the end of each is gone through, in bytes: some milliseconds.
const OVERLAP_BYTES_MAX: u64 = 16 << 20;

/// Most bytes that one look goes through for it; what is beyond waits for the next one.
const LOOK_BYTES_MAX: u64 = 128 << 20;

/// Bytes read at a time.
const BLOCK_BYTES: u64 = 256 << 10;

/// Most states of files of one name, before rows were taken from their front, that copies are compared
/// with.
const UNTRIMMED_KEPT: usize = 8;

impl Source {
    /// What a file is that holds, at another place, what was read last of another one that has or had its
    /// name or that of a generation; `None` when it is none. What is unread of its `elders` it holds too.
    pub(super) fn judge_trimmed(
        &mut self,
        key: FileKey,
        elders: Vec<Of>,
    ) -> Result<Option<Verdict>, TailError> {
        let can_be = |known: &&Known| !known.is_long_packed() && !self.settings.rows_change;
        let Some(known) = self.files.get(&key).filter(can_be) else {
            return Ok(None);
        };
        let path = Arc::clone(&known.path);
        if self.begins_in_unread(key, true)? {
            return Ok(Some(Verdict::Wait));
        }
        let families = self.families();
        let names = families.names_of(&path);
        let members = families.members(&names);
        let is_one = |known: &&Known| {
            let has_name = known.path.as_os_str() == path.as_os_str();
            let is_named = known.presence == Presence::Listed;
            let is_read = known.position.offset > 0 && known.standing < Standing::Stranger;
            is_read && known.position.key != key && !(has_name && is_named)
        };
        let files = members.iter().filter_map(|of| self.files.get(of));
        let files: Vec<&Known> = files.filter(is_one).collect();
        let pasts = self.pasts.iter();
        let pasts: Vec<&Past> = pasts.filter(|past| names.contains(&past.path)).collect();
        let before = files.iter().map(|known| (&known.position, &known.marks));
        let before = before.chain(pasts.iter().map(|past| (&past.position, &past.marks)));
        let before: Vec<_> = before.collect();
        if before.is_empty() {
            return Ok(None);
        }
        let (is_header, line_max) = (&self.is_header, self.settings.line_max.max(1));
        let found = self.tails.with_content(key, &path, |content| {
            trimmed::find(content, &before, is_header, line_max)
        })?;
        let Some((at, trimmed)) = found else {
            return Ok(None);
        };
        let past = at.checked_sub(files.len()).and_then(|at| pasts.get(at));
        let file = files.get(at).map(|known| Parent::of(known));
        let Some(parent) = file.or_else(|| past.map(|past| Parent::of_past(past))) else {
            return Ok(None);
        };
        if self.has_unread(&parent) {
            return Ok(Some(Verdict::Wait));
        }
        Ok(Some(Verdict::Heir(Box::new(Heir {
            mark: trimmed.mark(&parent.position),
            length: Some(trimmed.length_before),
            parent,
            elders,
            trimmed: Some(trimmed),
        }))))
    }

    fn families(&mut self) -> Arc<Families> {
        let are_elsewhere = matches!(self.settings.rotated, Rotated::Given(_));
        let make = || Arc::new(Families::of(&self.files, &self.pasts, are_elsewhere));
        Arc::clone(self.families.get_or_insert_with(make))
    }

    /// Has new files, and files that were written anew in their place, be compared like generations where
    /// they begin within one of theirs: rows were taken from their front after it was made. Once this look
    /// has compared the generations, also where they hold what was read last of one, or have the head of one
    /// that waits.
    pub(super) fn raise_overlapping(&mut self, are_compared: bool) -> Result<(), SourceError> {
        if self.settings.rows_change {
            return Ok(());
        }
        let look = self.looks;
        let is_fresh = |known: &&Known| {
            // What an earlier run had seen, and read nothing of, is new to this one.
            let is_new = known.met_in == look || look == 1 || known.is_held;
            let is_unread = known.position.offset == 0 && known.standing <= Standing::Grown;
            is_new && is_unread && known.size > 0 && known.is_here() && !known.is_rotated
        };
        let fresh = self.files.values().filter(is_fresh);
        let fresh: Vec<FileKey> = fresh.map(|known| known.position.key).collect();
        for key in fresh {
            let begins_within = match self.begins_in_unread(key, are_compared) {
                Ok(false) if are_compared => self.holds_what_was_read(key),
                begins_within => begins_within,
            };
            match begins_within {
                Ok(true) => {
                    let known = self.files.get_mut(&key).into_iter();
                    known.for_each(|known| known.raise(Standing::Stranger));
                    self.distrust(key);
                }
                Err(TailError::Exhausted(error)) => return Err(SourceError::Exhausted(error)),
                // Whoever reads it will find out what is wrong with it.
                Ok(false) | Err(TailError::Moved | TailError::Unreadable(_)) => {}
            }
        }
        Ok(())
    }

    /// Whether the file holds what was read last of a generation of it, or all of one that is still to be read.
    fn holds_what_was_read(&mut self, key: FileKey) -> Result<bool, TailError> {
        let Some(path) = self.files.get(&key).map(|known| Arc::clone(&known.path)) else {
            return Ok(false);
        };
        let families = self.families();
        let members = families.members(&[Arc::clone(&path)]);
        let is_read = |known: &&Known| {
            let is_known = known.standing < Standing::Stranger && known.position.offset > 0;
            known.is_rotated && known.is_here() && is_known
        };
        let is_unread = |known: &&Known| {
            let is_known = known.standing < Standing::Stranger && known.may_have_rows();
            known.is_rotated && is_known && !known.is_long_packed()
        };
        let unread = members.iter().filter_map(|of| self.files.get(of));
        let mut unread: Vec<&Known> = unread.filter(is_unread).collect();
        unread.sort_by_cached_key(|known| Reverse(known.comes()));
        unread.truncate(BEFORE_MAX);
        let unread: Vec<Parent> = unread.into_iter().map(Parent::of).collect();
        for parent in unread {
            if self.ends_within(&parent, key, &path)? {
                return Ok(true);
            }
        }
        let read = members.iter().filter_map(|of| self.files.get(of));
        let read = read
            .filter(is_read)
            .map(|known| (&known.position, &known.marks));
        let read: Vec<_> = read.collect();
        if read.is_empty() {
            return Ok(false);
        }
        let (is_header, line_max) = (&self.is_header, self.settings.line_max.max(1));
        let found = self.tails.with_content(key, &path, |content| {
            trimmed::find(content, &read, is_header, line_max)
        })?;
        Ok(found.is_some())
    }

    /// Whether the file begins within what is still to be read, or to be known for what it is, of one that
    /// was modified before it and has, or had, its name or that of a generation. What has the same head as
    /// one that waits for that, begins there too: where those before it `are_compared`.
    fn begins_in_unread(&mut self, key: FileKey, are_compared: bool) -> Result<bool, TailError> {
        let Some(known) = self.files.get(&key) else {
            return Ok(false);
        };
        let (path, comes) = (Arc::clone(&known.path), known.comes());
        let (modified_ns, is_rotated) = (known.modified_ns, known.is_rotated);
        let is_before = |known: &&Known| {
            let is_other = known.position.key != key && known.is_here();
            let is_unknown = known.standing == Standing::Stranger && known.copy_of.is_none();
            let is_unread = known.may_have_rows() || (is_unknown && known.parked_at.is_none());
            let has_name = known.path.as_os_str() == path.as_os_str();
            let is_named = known.presence == Presence::Listed;
            let can_be = is_other && is_unread && !known.is_long_packed();
            can_be && !(has_name && is_named) && known.comes() < comes
        };
        let families = self.families();
        let members = families.members(&families.names_of(&path));
        let before = members.iter().filter_map(|of| self.files.get(of));
        let mut before: Vec<&Known> = before.filter(is_before).collect();
        before.sort_by_cached_key(|known| Reverse(known.comes()));
        let before: Vec<Before> = before
            .iter()
            .map(|known| Before {
                key: known.position.key,
                path: Arc::clone(&known.path),
                waits: are_compared && known.standing == Standing::Stranger,
                added_at: Some(known.position.offset).filter(|&offset| {
                    let has_grown = known.packed_bytes.is_some() || known.size_before == offset;
                    let is_tie = known.modified_ns == modified_ns && !is_rotated;
                    offset > 0 && has_grown && is_tie
                }),
            })
            .take(BEFORE_MAX)
            .collect();
        if before.is_empty() {
            return Ok(false);
        }
        let (is_header, line_max) = (&self.is_header, self.settings.line_max.max(1));
        let row = self.tails.with_content(key, &path, |content| {
            first_line(content, is_header, line_max)
        })?;
        let Some((row_at, row)) = row else {
            return Ok(false);
        };
        for other in before {
            if self.overlap_bytes > LOOK_BYTES_MAX {
                return Ok(true);
            }
            let least = if other.waits { 0 } else { row_at + 1 };
            let can_be = |place: u64| place >= least && Some(place) != other.added_at;
            let stands = self.tails.with_content(other.key, &other.path, |content| {
                stands_in(content, &row, can_be)
            });
            match stands {
                Ok((is_there, bytes)) => {
                    self.overlap_bytes += bytes;
                    if is_there {
                        return Ok(true);
                    }
                }
                Err(TailError::Exhausted(error)) => return Err(TailError::Exhausted(error)),
                // Whoever reads it will find out what is wrong with it.
                Err(TailError::Moved | TailError::Unreadable(_)) => {}
            }
        }
        Ok(false)
    }

    /// Keeps `parent`, from whose front rows were taken, for the copies that were made of it before. Of one
    /// name the last [`UNTRIMMED_KEPT`] are kept: some programs trim their log with each row.
    pub(super) fn keep_untrimmed(&mut self, parent: &Parent) {
        let past = Past {
            position: parent.position.clone(),
            path: Arc::clone(&parent.path),
            size: parent.position.offset,
            unseen_bytes: 0,
            marks: parent.marks.clone(),
            recent: parent.recent.clone(),
            since: self.looked_at,
            look: self.looks,
            is_awaited: false,
            was_trimmed: true,
            lost: Lost::Nothing,
            cause: GapCause::Truncated,
        };
        let is_one = |past: &Past| past.was_trimmed && past.path == parent.path;
        let kept = self.pasts.iter().filter(|past| is_one(past)).count();
        if kept >= UNTRIMMED_KEPT {
            // In the oldest's place: whoever goes through the pasts by their numbers goes on.
            let same = self.pasts.iter_mut().filter(|past| is_one(past));
            let oldest = same.min_by_key(|past| past.look);
            if let Some(oldest) = oldest {
                *oldest = past;
            }
        } else if self.pasts.len() < PASTS_MAX {
            self.pasts.push(past);
        }
    }
}

/// A file that another one may begin within.
struct Before {
    key: FileKey,
    path: Arc<Path>,
    /// It waits for one before it.
    waits: bool,
    /// Where the other begins if it was added to this one in the same tick of the clock, which is no overlap: this
    /// one is an archive, and waits for the other.
    added_at: Option<u64>,
}

/// Where the first row of `content` begins, and its line with the end; `None` while that is not there.
fn first_line(
    content: &mut Content<'_>,
    is_header: &HeaderTest,
    line_max: usize,
) -> io::Result<Option<(u64, Vec<u8>)>> {
    let Some((_, row)) = head_of(content, is_header, line_max)? else {
        return Ok(None);
    };
    let count = row.end.min(line_max as u64);
    let bytes = identity::bytes_at(content, row.end - count, count)?;
    let upto = bytes.len().saturating_sub(1);
    let from = memrchr(b'\n', bytes.get(..upto).unwrap_or_default());
    let line = bytes.get(from.map_or(0, |at| at + 1)..).unwrap_or_default();
    Ok(Some((row.end - line.len() as u64, line.to_vec())))
}

/// Whether `row` is a line in the last [`OVERLAP_BYTES_MAX`] bytes of `content`, at a place where it
/// `can_be`, and how many of them were gone through.
fn stands_in(
    content: &mut Content<'_>,
    row: &[u8],
    can_be: impl Fn(u64) -> bool,
) -> io::Result<(bool, u64)> {
    let length = content.length()?;
    let begin = length.saturating_sub(OVERLAP_BYTES_MAX);
    let finder = Finder::new(row);
    let (mut held, mut held_from, mut at) = (Vec::new(), begin, begin);
    loop {
        let block = identity::bytes_at(content, at, BLOCK_BYTES)?;
        if block.is_empty() {
            return Ok((false, at - begin));
        }
        at += block.len() as u64;
        held.extend_from_slice(&block);
        let is_line = |place: &usize| {
            let before = place.checked_sub(1).and_then(|before| held.get(before));
            before.map_or(held_from == 0, |&byte| byte == b'\n')
        };
        let mut places = finder.find_iter(&held).filter(is_line);
        if places.any(|place| can_be(held_from + place as u64)) {
            return Ok((true, at - begin));
        }
        // With the byte before the row.
        let passed = held.len().saturating_sub(row.len());
        held.drain(..passed);
        held_from += passed as u64;
    }
}

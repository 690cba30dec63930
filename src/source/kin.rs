//! Kin: whether a file that is not known by its inode is known by its content.
//!
//! A rotation that copies (`copytruncate`) or packs (`gzip`) leaves what was followed under a new
//! inode. Such a *copy* begins with the same head, through the same first row, and has the same
//! bytes before the place up to which the other was read; it is read on from there. While the
//! other file is still there to be read, the copy waits: what is in it will be read from the other.
//!
//! Only files with the name of a rotated generation, or with the name that a file which is gone
//! had (editors replace the file they save), are compared: anything else is read whole. A file
//! that is taken for a copy wrongly would have to agree with the other in its head, and in the 256
//! bytes before the place: the rows passed over would then have the same ids as those read.

use super::change::mean_line_bytes;
use super::gunzip::Ending;
use super::identity::{self, FirstRow, HeaderTest, Likeness};
use super::known::{CopyOf, Known, Mark, Marks, Owed, Presence, Standing};
use super::read::READ_BYTES_USUAL;
use super::tail::{Content, TailError};
use super::trimmed::{self, Trimmed};
use super::{Change, FileKey, FilePosition, Gap, GapCause, HEAD_BYTES_MAX, Source, SourceError};
use super::{Rotated, TAIL_BYTES_MAX, rotated, start};
use crate::clock::UnixMs;
use memchr::memrchr;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Most lives that are over and are remembered for their copies: one for each file that a
/// rotation of a whole source truncates at once.
const PASTS_MAX: usize = super::FILES_REMEMBERED_MAX;

/// How long they are remembered: a rotation that copies, truncates and then packs a gigabyte
/// takes minutes.
const PAST_KEPT: Duration = Duration::from_secs(3_600);

/// How long a packed file of more than [`PACKED_AT_ONCE`] must have been as it is before it is
/// looked into: gzip writes all the time while it works, and what it has not finished would be
/// unpacked again at every look.
const PACKED_SETTLED: Duration = Duration::from_secs(1);

/// Longest packed file that is looked into at once, in bytes: it takes some tenths of a second.
const PACKED_AT_ONCE: u64 = 4 << 20;

/// How long a file that may still be written is waited for: a packed one that ends too early, and
/// one without a complete first row.
const UNFINISHED_KEPT: Duration = Duration::from_secs(10);

/// Looks after the one that found a file cut off or gone, in which a copy is looked for before its
/// rows are told as lost: a directory in which files are being renamed is not always listed whole,
/// and what was listed is not always there to be opened.
const LOOKS_FOR_COPY: u64 = 3;

/// How long nothing is told as lost while there are files that may turn out to be copies.
const COPY_AWAITED: Duration = Duration::from_secs(15);

/// Most files at whose head is looked because nothing of them has been read, at each look with
/// strangers: beyond it a copy of one of them is read beside it, with the same ids.
const UNREAD_HEADS_MAX: usize = 1_000;

/// Most files that are compared before something is told as lost: one copy, and what else has its
/// name by chance.
const KIN_COMPARED_MAX: usize = 64;

/// A life of a file that is over.
#[derive(Debug)]
pub struct Past {
    /// How far it was read.
    pub position: FilePosition,
    /// Where it was.
    pub path: Arc<Path>,
    /// Bytes it had when it was last seen.
    pub size: u64,
    /// About how many were written after that; see [`Gap::unseen_bytes`].
    pub unseen_bytes: u64,
    /// What else is known of how it was read.
    pub marks: Marks,
    /// The last bytes before the position.
    pub recent: Vec<u8>,
    /// When it was over.
    pub since: UnixMs,
    /// The look that found out.
    pub look: u64,
    /// No copy was found so far, and one may have been missed: the file waits.
    pub is_awaited: bool,
    /// What was lost with it, unless a copy has it.
    pub lost: Lost,
    /// How.
    pub cause: GapCause,
}

/// What was lost with a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing, or it has been told.
    Nothing,
    /// So many bytes that were seen.
    Seen(u64),
    /// Nobody knows: the agent was not running.
    Unknown,
}

/// By what a file is found: its head.
pub type Head = (u64, u64);

/// A file, or a life of one, that others may be copies of.
#[derive(Debug, Clone)]
struct Parent {
    of: Of,
    path: Arc<Path>,
    position: FilePosition,
    is_alive: bool,
    /// A name leads to it.
    is_named: bool,
    marks: Marks,
    recent: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    File(FileKey),
    /// The place among the pasts is not lasting; the life of a file is.
    Past(FileKey, u32),
}

/// What a stranger turned out to be.
enum Verdict {
    /// It cannot be said yet.
    Wait,
    /// A file of its own, which has this head; none while its first row is not complete.
    New(Option<Head>),
    /// A copy of a file that is there.
    Copy(CopyOf),
    /// What remains of another one.
    Heir(Box<Heir>),
}

/// A file that goes on where another was read to.
struct Heir {
    parent: Parent,
    /// Up to where that was read.
    mark: Mark,
    /// How long it is, if that is known.
    length: Option<u64>,
    /// Earlier files of the same name that it holds as well and that cannot be read any more.
    elders: Vec<Of>,
    /// What was taken from the front of that is not in it.
    trimmed: Option<Trimmed>,
}

impl Source {
    /// Finds out what the strangers are that can be read, oldest first.
    pub(super) fn settle_strangers(&mut self) -> Result<(), SourceError> {
        let is_due = |known: &Known| {
            known.standing == Standing::Stranger
                && known.is_here()
                && known.parked_at.is_none()
                && !self.is_still_a_copy(known)
        };
        let due = self.files.values().filter(|known| is_due(known));
        let mut strangers: Vec<_> = due.map(|known| (known.age(), known.position.key)).collect();
        if strangers.is_empty() {
            return Ok(());
        }
        strangers.sort_unstable();
        let mut parents = self.parents()?;
        for (_, key) in strangers {
            match self.settle_stranger(key, &mut parents) {
                Ok(()) => self.tell_read(key),
                Err(TailError::Moved) => {}
                Err(TailError::Unreadable(error)) => self.park(key, error),
                Err(TailError::Exhausted(error)) => return Err(SourceError::Exhausted(error)),
            }
        }
        Ok(())
    }

    fn is_still_a_copy(&self, known: &Known) -> bool {
        known.copy_of.is_some_and(|copy_of| {
            let original = self.files.get(&copy_of.key);
            original.is_some_and(|known| known.is_here() && known.position.life == copy_of.life)
        })
    }

    /// Everything that a file may be a copy of, by its head.
    fn parents(&mut self) -> Result<HashMap<Head, Vec<Parent>>, SourceError> {
        let mut parents: HashMap<Head, Vec<Parent>> = HashMap::new();
        let mut unread = Vec::new();
        for (key, known) in &self.files {
            if known.standing >= Standing::Stranger {
                continue;
            }
            let is_gone = matches!(known.presence, Presence::Gone { .. });
            let position = &known.position;
            if position.first_row.is_some() && (known.is_here() || is_gone) {
                let head = (position.head_bytes, position.head);
                parents.entry(head).or_default().push(Parent::of(known));
            } else if known.is_here() && known.size > 0 && unread.len() < UNREAD_HEADS_MAX {
                unread.push(*key);
            }
        }
        for past in &self.pasts {
            let head = (past.position.head_bytes, past.position.head);
            parents.entry(head).or_default().push(Parent::of_past(past));
        }
        for key in unread {
            match self.head(key) {
                Ok(Some(head)) => {
                    let parent = self.files.get(&key).map(Parent::of);
                    parents.entry(head).or_default().extend(parent);
                }
                Err(TailError::Exhausted(error)) => return Err(SourceError::Exhausted(error)),
                // Whoever reads it will find out what is wrong with it.
                Ok(None) | Err(TailError::Moved | TailError::Unreadable(_)) => {}
            }
        }
        Ok(parents)
    }

    /// The head of a file through its first row.
    fn head(&mut self, key: FileKey) -> Result<Option<Head>, TailError> {
        let Some(known) = self.files.get(&key) else {
            return Ok(None);
        };
        let path = Arc::clone(&known.path);
        let (is_header, line_max) = (&self.is_header, self.settings.line_max.max(1));
        let head = self
            .tails
            .with_content(key, &path, |content| head_of(content, is_header, line_max))?;
        Ok(head.map(|(head, _)| head))
    }

    fn settle_stranger(
        &mut self,
        key: FileKey,
        parents: &mut HashMap<Head, Vec<Parent>>,
    ) -> Result<(), TailError> {
        let verdict = self.judge(key, parents)?;
        let Some(known) = self.files.get_mut(&key) else {
            return Ok(());
        };
        known.copy_of = None;
        match verdict {
            Verdict::Wait => {}
            Verdict::New(head) => {
                known.standing = Standing::Sure;
                known.rewind();
                self.newcomers.push(Newcomer::of(known, self.looks));
                // A stranger that is judged after it may be its copy.
                let own = head.map(|head| parents.entry(head).or_default());
                own.into_iter().for_each(|own| own.push(Parent::of(known)));
            }
            Verdict::Copy(copy_of) => {
                known.copy_of = Some(copy_of);
                self.newcomers.push(Newcomer::of(known, self.looks));
            }
            Verdict::Heir(heir) => {
                let parent = &heir.parent;
                let head = (parent.position.head_bytes, parent.position.head);
                if let Some(parents) = parents.get_mut(&head) {
                    parents.retain(|other| other.of != parent.of);
                    parents.retain(|other| !heir.elders.contains(&other.of));
                }
                self.inherit(key, &heir);
                for elder in &heir.elders {
                    self.leave_to(*elder, key, heir.length);
                }
                let heir = self.files.get(&key).map(Parent::of);
                parents.entry(head).or_default().extend(heir);
            }
        }
        Ok(())
    }

    fn judge(
        &mut self,
        key: FileKey,
        parents: &HashMap<Head, Vec<Parent>>,
    ) -> Result<Verdict, TailError> {
        let Some(known) = self.files.get(&key) else {
            return Ok(Verdict::Wait);
        };
        let quiet_for = self.looked_at.since(known.changed_at);
        let is_packed = known.packed_bytes.is_some();
        let is_empty = known.size == 0 && !is_packed;
        let is_long = known
            .packed_bytes
            .is_some_and(|bytes| bytes > PACKED_AT_ONCE);
        if is_empty || (is_long && quiet_for < PACKED_SETTLED) {
            return Ok(Verdict::Wait);
        }
        let is_fresh = quiet_for < UNFINISHED_KEPT;
        let path = Arc::clone(&known.path);
        let Some(head) = self.head(key)? else {
            let ending = self
                .tails
                .with_content(key, &path, |content| Ok(content.ending()))?;
            let may_grow = match ending {
                // What was unpacked for the head is all there is.
                Some(Ending::Complete) => false,
                Some(_) => is_fresh,
                None => is_fresh && !parents.is_empty(),
            };
            return Ok(match may_grow {
                true => Verdict::Wait,
                false => Verdict::New(None),
            });
        };
        let mut related: Vec<Parent> = parents.get(&head).cloned().unwrap_or_default();
        related.retain(|parent| parent.of != Of::File(key));
        related.sort_by_key(|parent| (parent.position.offset, !parent.is_alive));
        let compared = self.tails.with_content(key, &path, |content| {
            Compared::to(content, &related, is_fresh)
        })?;
        let is_unfinished = compared
            .ending
            .is_some_and(|ending| ending != Ending::Complete);
        let matched = || {
            compared
                .matched
                .iter()
                .filter_map(|&at| related.get(at))
                .filter(|parent| !parent.is_alive || *parent.path == *path)
        };
        // Another file has taken its name, and it has none: what was added to it is in both.
        if matched().any(|parent| self.has_unread(parent)) {
            return Ok(Verdict::Wait);
        }
        let is_last_over = |parent: &&Parent| {
            let last = compared.matched.last().and_then(|&at| related.get(at));
            last.is_some_and(|last| last.of == parent.of)
        };
        if let Some(parent) = matched().next_back().filter(is_last_over) {
            // What is there and goes on is what was copied, rather than what is over.
            let is_ahead = |other: &Parent| {
                let is_as_far = other.position.offset >= parent.position.offset;
                let is_other = other.is_alive && other.of != parent.of;
                is_other && (is_as_far || self.has_unread(other))
            };
            if is_unfinished && is_fresh && related.iter().any(is_ahead) {
                return Ok(Verdict::Wait);
            }
            let rivals = compared.matched.iter().filter_map(|&at| related.get(at));
            for rival in rivals.filter(|other| other.is_alive && other.of != parent.of) {
                let goes_on = self.has_unread(rival);
                if goes_on && let Some(verdict) = self.is_part_of(&compared, rival)? {
                    return Ok(verdict);
                }
                if goes_on && !rival.is_named {
                    return Ok(Verdict::Wait);
                }
            }
            let mark = Mark::of(&parent.position);
            let heir = Heir {
                mark,
                length: compared.length,
                parent: parent.clone(),
                elders: matched()
                    .filter(|elder| !elder.is_alive && *elder.path == *path)
                    .map(|elder| elder.of)
                    .collect(),
                trimmed: None,
            };
            return Ok(Verdict::Heir(Box::new(heir)));
        }
        if is_unfinished && is_fresh {
            return Ok(Verdict::Wait);
        }
        for parent in related.iter().rev().filter(|parent| parent.is_alive) {
            if let Some(verdict) = self.is_part_of(&compared, parent)? {
                return Ok(verdict);
            }
        }
        // One without a name was replaced by this one, which has been renamed and goes on beyond it.
        let mut replaced = compared.matched.iter().rev();
        let replaced = replaced.find_map(|&at| related.get(at).filter(|parent| !parent.is_named));
        if let Some(parent) = replaced {
            if self.has_unread(parent) {
                return Ok(Verdict::Wait);
            }
            return Ok(Verdict::Heir(Box::new(Heir {
                mark: Mark::of(&parent.position),
                length: compared.length,
                parent: parent.clone(),
                elders: Vec::new(),
                trimmed: None,
            })));
        }
        let shorter = related.into_iter().rev().find_map(|parent| {
            let is_over = !parent.is_alive || *parent.path == *path;
            let mark = is_over.then(|| compared.mark_in(&parent)).flatten()?;
            Some((parent, mark))
        });
        Ok(match shorter {
            Some((parent, mark)) => Verdict::Heir(Box::new(Heir {
                mark,
                length: compared.length,
                parent,
                elders: Vec::new(),
                trimmed: None,
            })),
            None => match self.judge_trimmed(key, parents)? {
                Some(verdict) => verdict,
                None => Verdict::New(Some(head)),
            },
        })
    }

    /// What a file is that has the name of one that is gone, and holds what was read last of that at
    /// another place; `None` when there is none.
    fn judge_trimmed(
        &mut self,
        key: FileKey,
        parents: &HashMap<Head, Vec<Parent>>,
    ) -> Result<Option<Verdict>, TailError> {
        let can_be = |known: &&Known| {
            let is_plain = known.packed_bytes.is_none() && !known.is_rotated;
            is_plain && !self.settings.rows_change
        };
        let Some(known) = self.files.get(&key).filter(can_be) else {
            return Ok(None);
        };
        let path = Arc::clone(&known.path);
        let has_name = |parent: &&Parent| {
            let is_it = parent.of == Of::File(key) || parent.is_named;
            !is_it && parent.path.as_os_str() == path.as_os_str()
        };
        let before: Vec<&Parent> = parents.values().flatten().filter(has_name).collect();
        let (is_header, line_max) = (&self.is_header, self.settings.line_max.max(1));
        let found = self.tails.with_content(key, &path, |content| {
            let before = before.iter().map(|it| (&it.position, &it.marks));
            trimmed::find(content, &before.collect::<Vec<_>>(), is_header, line_max)
        })?;
        let Some((parent, trimmed)) = found.and_then(|(at, it)| Some((*before.get(at)?, it)))
        else {
            return Ok(None);
        };
        if self.has_unread(parent) {
            return Ok(Some(Verdict::Wait));
        }
        Ok(Some(Verdict::Heir(Box::new(Heir {
            mark: trimmed.mark(&parent.position),
            length: Some(trimmed.length_before),
            parent: parent.clone(),
            elders: Vec::new(),
            trimmed: Some(trimmed),
        }))))
    }

    fn has_unread(&self, parent: &Parent) -> bool {
        let Of::File(key) = parent.of else {
            return false;
        };
        self.files.get(&key).is_some_and(Known::may_have_rows)
    }

    /// Has files that were cut off and then written again as they were, as `ed` saves one, go on
    /// where they were, and files from whose front rows were taken: their last life is not over. Only
    /// while they wait for a copy of it; later they are read from their start.
    pub(super) fn take_back_lives(&mut self) -> Result<(), SourceError> {
        let due: Vec<usize> = (0..self.pasts.len())
            .filter(|&at| self.may_be_taken_back(at))
            .collect();
        let earlier = self.earlier_at(&due);
        for at in due.into_iter().rev() {
            let Some((past, known)) = self.pasts.get(at).and_then(|past| {
                let known = self.files.get(&past.position.key)?;
                Some((past, known))
            }) else {
                continue;
            };
            let (key, position) = (past.position.key, &past.position);
            let path = Arc::clone(&known.path);
            let own = Of::Past(key, position.life);
            let others = earlier.get(&path).into_iter().flatten();
            let others = others.filter(|other| other.of != own);
            let before = std::iter::once((position, &past.marks));
            let before = before.chain(others.map(|other| (&other.position, &other.marks)));
            let (is_header, line_max) = (&self.is_header, self.settings.line_max.max(1));
            let rows_change = self.settings.rows_change;
            let found = self.tails.with_content(key, &path, |content| {
                if identity::compare(content, position)? == Likeness::Same {
                    return Ok(Some((0, None)));
                }
                if rows_change {
                    return Ok(None);
                }
                let before: Vec<_> = before.collect();
                let found = trimmed::find(content, &before, is_header, line_max)?;
                Ok(found.map(|(of, trimmed)| (of, Some(trimmed))))
            });
            // It may be shorter than it was only once whoever writes it has had time to.
            let is_whole = known.size >= past.size || self.looks >= past.look + LOOKS_FOR_COPY;
            let length = known.size;
            let trimmed = match found {
                Ok(Some((0, None))) if !is_whole => continue,
                Ok(Some((0, trimmed))) => trimmed,
                // It is another file under a used inode, and one that had its name was read further.
                Ok(Some(_)) => {
                    let known = self.files.get_mut(&key).into_iter();
                    known.for_each(|known| known.raise(Standing::Stranger));
                    let past = self.pasts.get_mut(at).into_iter();
                    past.for_each(|past| past.lost = Lost::Nothing);
                    continue;
                }
                Err(TailError::Exhausted(error)) => return Err(SourceError::Exhausted(error)),
                // Whoever reads it will find out what is wrong with it.
                Ok(None) | Err(TailError::Moved | TailError::Unreadable(_)) => continue,
            };
            let mut past = self.pasts.swap_remove(at);
            let length = trimmed.as_ref().map_or(length, |it| it.length_before);
            self.untold
                .changes
                .extend(past.lost_beside_copy(Some(length)));
            if let Some(trimmed) = trimmed {
                trimmed.move_position(&mut past.position);
                past.marks.clear();
            }
            self.distrust(key);
            self.supersede(key);
            let (from, offset) = (Arc::clone(&past.path), past.position.offset);
            if let Some(known) = self.files.get_mut(&key) {
                known.take_back(past);
            }
            self.untold
                .changes
                .push(Change::Continued { from, path, offset });
        }
        Ok(())
    }

    /// Whether the file of the past with that number may hold it, or what is left of it, again.
    fn may_be_taken_back(&self, at: usize) -> bool {
        let past = self.pasts.get(at).filter(|past| past.is_awaited);
        let past = past.filter(|past| past.position.head_bytes > 0);
        past.is_some_and(|past| {
            let known = self.files.get(&past.position.key);
            known.is_some_and(|known| {
                // A generation is compared with all it may be, with this life too.
                let is_plain = known.packed_bytes.is_none() && !known.is_rotated;
                let can_be = known.is_held && known.is_here() && known.size > 0;
                let is_it = known.position.life == past.position.life.saturating_add(1);
                is_plain && can_be && is_it && known.position.offset == 0
            })
        })
    }

    /// The files and lives that had the names of those of the pasts with these numbers, and have them no more.
    fn earlier_at(&self, due: &[usize]) -> HashMap<Arc<Path>, Vec<Parent>> {
        let mut earlier: HashMap<Arc<Path>, Vec<Parent>> = HashMap::new();
        for past in due.iter().filter_map(|&at| self.pasts.get(at)) {
            if let Some(known) = self.files.get(&past.position.key) {
                earlier.entry(Arc::clone(&known.path)).or_default();
            }
        }
        if earlier.is_empty() {
            return earlier;
        }
        for known in self.files.values() {
            let is_named = known.presence == Presence::Listed;
            if let Some(earlier) = earlier.get_mut(&known.path).filter(|_| !is_named) {
                earlier.push(Parent::of(known));
            }
        }
        for past in &self.pasts {
            if let Some(earlier) = earlier.get_mut(&past.path) {
                earlier.push(Parent::of_past(past));
            }
        }
        earlier
    }

    /// What a file is whose end stands at the same place in `parent`, which is there to be read;
    /// `None` when it does not.
    fn is_part_of(
        &mut self,
        compared: &Compared,
        parent: &Parent,
    ) -> Result<Option<Verdict>, TailError> {
        let (Of::File(key), Some(length)) = (parent.of, compared.length) else {
            return Ok(None);
        };
        let from = compared
            .end
            .len()
            .saturating_sub(usize::from(TAIL_BYTES_MAX));
        let end = compared.end.get(from..).unwrap_or_default();
        let found = self.tails.with_content(key, &parent.path, |content| {
            let likeness = identity::compare(content, &parent.position)?;
            let from = length - end.len() as u64;
            Ok((
                likeness,
                identity::bytes_at(content, from, end.len() as u64)?,
            ))
        });
        let life = parent.position.life;
        match found {
            Ok((Likeness::Same, found)) if found == end => {
                Ok(Some(Verdict::Copy(CopyOf { key, life })))
            }
            Ok((Likeness::Same, _)) => Ok(None),
            // It has become another one since it was looked at: the next look knows more.
            Ok(_) => {
                let known = self.files.get_mut(&key);
                known
                    .into_iter()
                    .for_each(|known| known.raise(Standing::Doubtful));
                Ok(Some(Verdict::Wait))
            }
            Err(TailError::Moved) => Ok(Some(Verdict::Wait)),
            Err(TailError::Exhausted(error)) => Err(TailError::Exhausted(error)),
            Err(TailError::Unreadable(_)) => Ok(None),
        }
    }

    /// Has the file known as `key` go on where `parent` was read to.
    fn inherit(&mut self, key: FileKey, heir: &Heir) {
        let Heir { parent, mark, .. } = heir;
        self.tell_last_life(key, parent.of);
        let Some(known) = self.files.get_mut(&key) else {
            return;
        };
        let is_whole = mark.offset == parent.position.offset;
        known.position = FilePosition {
            key,
            path: known.path.display().to_string(),
            offset: mark.offset,
            tail: mark.tail,
            tail_bytes: mark.tail_bytes,
            lines: parent.position.lines.filter(|_| is_whole),
            life: known.position.life,
            finished: None,
            ..parent.position.clone()
        };
        if let Some(trimmed) = &heir.trimmed {
            trimmed.move_position(&mut known.position);
        }
        known.first = None;
        known.rewind();
        known.standing = Standing::Sure;
        let position = known.kept();
        let path = Arc::clone(&known.path);
        self.supersede(key);
        self.untold.positions.push(position);
        self.untold.changes.push(Change::Continued {
            path: Arc::clone(&path),
            from: Arc::clone(&parent.path),
            offset: mark.offset,
        });
        match parent.of {
            Of::Past(..) => self.leave_to(parent.of, key, heir.length),
            // An editor's file has taken its name; it is read to its own end.
            Of::File(_) if parent.is_alive && parent.path == path => {}
            Of::File(of) if parent.is_alive => self.save_in_heir(of, heir.length),
            Of::File(_) => self.leave_to(parent.of, key, heir.length),
        }
        if parent.path == path {
            // Of others that had the name between the two, and perhaps this inode, nothing was read;
            // the last has it all.
            let head = |position: &FilePosition| (position.head_bytes, position.head);
            let own = head(&parent.position);
            let is_between = |known: &&mut Known| {
                let position = &known.position;
                let can_be = position.first_row.is_none() || head(position) == own;
                let is_in_it = heir.length.is_none_or(|length| length >= known.size);
                let was_between = position.offset == 0 && can_be && is_in_it;
                known.path == path && (position.key == key || was_between)
            };
            let between = self.files.values_mut().filter(is_between);
            between.for_each(|known| known.owed = None);
            let has_half = |known: &&Known| {
                let is_open = known.presence == Presence::Unlisted;
                is_open && known.unread_bytes() > 0 && known.path == path
            };
            let before = self.files.values().filter(has_half);
            let before: Vec<FileKey> = before.map(|known| known.position.key).collect();
            for key in before {
                self.save_in_successor(key);
            }
        }
    }

    /// Has what is unread of a file that nothing names count as saved where the one that goes on after
    /// it is as long.
    fn save_in_heir(&mut self, of: FileKey, length: Option<u64>) {
        let known = self.files.get_mut(&of);
        let known = known.filter(|known| known.presence == Presence::Unlisted);
        if let Some(known) = known.filter(|known| length.is_some_and(|length| length >= known.size))
        {
            self.untold.positions.push(known.save());
        }
    }

    /// Forgets a file that is gone, or a life, and what was lost with it: the one known as `heir`, `length`
    /// bytes long, holds it. Where that is shorter, it waits for what is missing.
    fn leave_to(&mut self, elder: Of, heir: FileKey, length: Option<u64>) {
        let of = match elder {
            Of::File(of) => of,
            Of::Past(of, life) => {
                let is_it = |past: &Past| (past.position.key, past.position.life) == (of, life);
                if let Some(at) = self.pasts.iter().position(is_it) {
                    let past = self.pasts.swap_remove(at);
                    let lost = past.lost_beside_copy(length);
                    self.untold.changes.extend(lost);
                }
                return;
            }
        };
        if let Some(gone) = self.files.get_mut(&of)
            && let Some(owed) = &mut gone.owed
            && length.is_some_and(|length| length < gone.size)
        {
            owed.goes_on_in = Some(heir);
            return;
        }
        self.forget_elder(of);
    }

    fn forget_elder(&mut self, of: FileKey) {
        self.tell_read(of);
        if let Some(gone) = self.files.remove(&of) {
            if let Some(age) = gone.unread_as {
                self.unread.remove(&age);
            }
            self.distrust(of);
            self.supersede(of);
            self.tails.set_packed(of, false);
            self.untold.forgotten.push(of);
        }
    }

    /// Takes in that a life of the file known as `key` is over. Its next life waits, and its
    /// position is not told, until a copy of this one was found or one more look found none: a
    /// directory in which files are being renamed is not always listed whole. So a crash finds
    /// the position in the old life, and the copy is known again.
    pub(super) fn end_life(&mut self, past: Past) {
        if self.pasts.len() >= PASTS_MAX {
            self.pasts.remove(0);
        }
        if let Some(known) = self.files.get_mut(&past.position.key) {
            known.is_held = true;
        }
        self.pasts.push(past);
    }

    /// Tells what was lost for good: with lives of which no copy was found by now, and with files
    /// that are gone since an earlier look and have not come back. Lets go of the files that have
    /// waited for that.
    ///
    /// A look that lists nothing at all finds no copy: where the whole directory is away for a moment,
    /// nothing is told for that long.
    pub(super) fn tell_gaps(&mut self, found_any: bool) {
        let (look, now) = (self.looks, self.looked_at);
        self.pasts.retain(|past| now.since(past.since) < PAST_KEPT);
        self.newcomers
            .retain(|newcomer| look <= newcomer.look + 2 * LOOKS_FOR_COPY);
        // Of a file that was listed and gone before it was opened nothing is known but its name and
        // length: a generation of that name that is read whole, or is a copy of one that is read, is
        // taken for it, and so is a file that has the name now.
        // Where a rotation cuts off thousands at once, most are not even compared.
        let mut newcomers = std::mem::take(&mut self.newcomers);
        newcomers.sort_by_cached_key(|newcomer| newcomer.name().to_vec());
        let is_elsewhere = matches!(self.settings.rotated, Rotated::Given(_));
        let is_read_whole = |position: &FilePosition, path: &Path, size: u64| {
            let mut beginnings = rotated::beginnings(path);
            position.offset == 0
                && position.head_bytes == 0
                && beginnings.any(|beginning| {
                    let mut named_so = named_from(&newcomers, &beginning);
                    named_so.any(|newcomer| newcomer.may_be(path, size, is_elsewhere))
                })
        };
        let owed = self.files.values().filter_map(|known| known.owed);
        let heirs = owed.filter_map(|owed| owed.goes_on_in);
        let size_of = |heir| Some((heir, self.files.get(&heir)?.size));
        let heirs: HashMap<FileKey, u64> = heirs.filter_map(size_of).collect();
        let is_waited_for = self.files.values().any(Known::may_be_a_copy);
        let is_clear = found_any && !is_waited_for;
        let is_due = |since: UnixMs| is_clear || now.since(since) >= COPY_AWAITED;
        for at in 0..self.pasts.len() {
            let Some(past) = self.pasts.get_mut(at).filter(|past| past.is_awaited) else {
                continue;
            };
            let (is_over, size) = (look >= past.look + LOOKS_FOR_COPY, past.size);
            if !is_over || !is_due(past.since) {
                // What is there now may be gone as well by then.
                let is_new = past.look == look && matches!(past.lost, Lost::Seen(_));
                let (position, path) = (past.position.clone(), Arc::clone(&past.path));
                if is_new && self.length_of_kin(&position, &path) >= Some(size) {
                    let past = self.pasts.get_mut(at);
                    past.into_iter().for_each(|past| past.lost = Lost::Nothing);
                }
                continue;
            }
            past.is_awaited = false;
            if past.lost == Lost::Nothing || is_read_whole(&past.position, &past.path, past.size) {
                past.lost = Lost::Nothing;
                continue;
            }
            self.tell_past(at);
        }
        let awaited = self.pasts.iter().filter(|past| past.is_awaited);
        let awaited: HashSet<FileKey> = awaited.map(|past| past.position.key).collect();
        let mut due = Vec::new();
        let mut new = Vec::new();
        for (key, known) in &mut self.files {
            if known.is_held && !awaited.contains(key) {
                known.is_held = false;
                self.untold.positions.push(known.kept());
            }
            let is_over = |owed: &Owed| look >= owed.look + LOOKS_FOR_COPY && is_due(owed.since);
            let is_new = |owed: &Owed| owed.look == look && !owed.was_open;
            new.extend(known.owed.filter(is_new).map(|_| *key));
            // It is back, and may be what it was, but could not be opened yet: that is found out first.
            let may_be_it = known.is_here() && known.standing == Standing::Doubtful;
            let owed = known.owed.take_if(|owed| !may_be_it && is_over(owed));
            let is_it = !is_read_whole(&known.position, &known.path, known.size);
            due.extend(owed.filter(|_| is_it).map(|owed| (*key, owed)));
        }
        for key in new {
            let Some(known) = self.files.get(&key) else {
                continue;
            };
            let (position, path, size) =
                (known.position.clone(), Arc::clone(&known.path), known.size);
            if self.length_of_kin(&position, &path) >= Some(size)
                && let Some(known) = self.files.get_mut(&key)
            {
                known.owed = None;
            }
        }
        for (key, owed) in due {
            let Some(known) = self.files.get(&key) else {
                continue;
            };
            let (position, path, size) =
                (known.position.clone(), Arc::clone(&known.path), known.size);
            let heir = owed.goes_on_in.and_then(|heir| heirs.get(&heir).copied());
            // What was open has been compared byte by byte.
            let kin = match owed.was_open {
                true => None,
                false => self.length_of_kin(&position, &path),
            };
            let from = heir
                .max(kin)
                .map_or(0, |length| length.max(position.offset));
            let bytes = owed.bytes.min(size.saturating_sub(from));
            if bytes > 0 {
                self.untold.changes.push(Change::Gap(Gap {
                    path,
                    position,
                    cause: owed.cause,
                    bytes: Some(bytes),
                    unseen_bytes: 0,
                }));
            }
        }
        self.newcomers = newcomers;
    }

    /// Tells what was lost with the past at that place.
    fn tell_past(&mut self, at: usize) {
        let Some(past) = self.pasts.get(at) else {
            return;
        };
        let (position, path) = (past.position.clone(), Arc::clone(&past.path));
        let length = self.length_of_kin(&position, &path);
        if let Some(past) = self.pasts.get_mut(at) {
            let gap = match length {
                Some(_) => past.lost_beside_copy(length),
                None => past.gap(),
            };
            past.lost = Lost::Nothing;
            self.untold.changes.extend(gap);
        }
    }

    /// The file known as `key` is about to go on where `parent` was read to, which the queue is told:
    /// what was lost with its own last life is told with it, for the queue knows nothing of that then.
    fn tell_last_life(&mut self, key: FileKey, parent: Of) {
        for at in 0..self.pasts.len() {
            let Some(past) = self.pasts.get_mut(at) else {
                continue;
            };
            let is_parent = parent == Of::Past(key, past.position.life);
            if past.position.key == key && past.is_awaited && !is_parent {
                past.is_awaited = false;
                self.tell_past(at);
            }
        }
    }

    /// How long the file is that holds what was read of one that is over and was at `path`, and goes on
    /// behind it: the longest of its kin. `None` where there is none.
    fn length_of_kin(&mut self, position: &FilePosition, path: &Path) -> Option<u64> {
        let mut longest = None;
        for (key, path) in self.kin_of(position, path) {
            let length = self.tails.with_content(key, &path, |content| {
                let likeness = identity::compare(content, position)?;
                if content.ending().is_some() {
                    io::copy(content, &mut io::sink())?;
                }
                let length = content.seek(SeekFrom::End(0))?;
                Ok((likeness == Likeness::Same).then_some(length))
            });
            longest = longest.max(length.unwrap_or(None));
        }
        longest
    }

    /// The files that may hold what another one held that was at `path`: those that have its name, and
    /// rotated generations, that begin as it does, as far as that is known.
    pub(super) fn kin_of(&self, position: &FilePosition, path: &Path) -> Vec<(FileKey, Arc<Path>)> {
        if position.head_bytes == 0 {
            return Vec::new();
        }
        let is_elsewhere = matches!(self.settings.rotated, Rotated::Given(_));
        let begins_so = |known: &Known| {
            let own = &known.position;
            (own.head_bytes, own.head) == (position.head_bytes, position.head)
        };
        let can_be = |known: &&Known| {
            let own = &known.position;
            let is_other = (own.key, own.life) != (position.key, position.life);
            let is_unknown = known.standing > Standing::Grown
                || own.first_row.is_none()
                || position.first_row.is_none();
            let is_empty = known.size == 0 && known.packed_bytes.is_none();
            known.presence == Presence::Listed
                && is_other
                && !is_empty
                && (is_unknown || begins_so(known))
                && (known.is_rotated || *known.path == *path)
        };
        let mut kin: Vec<&Known> = self.files.values().filter(can_be).collect();
        kin.sort_unstable_by_key(|known| {
            let is_old = known.standing <= Standing::Grown && !begins_so(known);
            let is_related = rotated::is_generation(&known.path, path, is_elsewhere);
            let place = (*known.path != *path, !is_related, is_old);
            (place, Reverse(known.modified_ns))
        });
        let kin = kin.into_iter().take(KIN_COMPARED_MAX);
        kin.map(|known| (known.position.key, Arc::clone(&known.path)))
            .collect()
    }

    /// Whether the next look is worth having soon: what the last one found can be understood only
    /// with it.
    pub fn is_in_doubt(&self) -> bool {
        let is_new = |past: &Past| past.is_awaited && self.looks < past.look + LOOKS_FOR_COPY;
        let is_doubtful = |known: &Known| {
            known.standing == Standing::Doubtful && known.is_here() && known.parked_at.is_none()
        };
        self.pasts.iter().any(is_new) || self.files.values().any(is_doubtful)
    }
}

/// A file that is read whole, or is a copy of one that is read, since the look that found it.
#[derive(Debug)]
pub struct Newcomer {
    path: Arc<Path>,
    /// Its length; `None` for a packed one, whose text has another.
    size: Option<u64>,
    look: u64,
}

impl Newcomer {
    fn of(known: &Known, look: u64) -> Newcomer {
        Newcomer {
            path: Arc::clone(&known.path),
            size: known.packed_bytes.is_none().then_some(known.size),
            look,
        }
    }

    fn name(&self) -> &[u8] {
        let name = self.path.file_name().unwrap_or_default();
        name.as_encoded_bytes()
    }

    /// Whether it may be what has become of a file of which nothing was read and that was at `path`
    /// and `size` bytes long. Where generations `are_elsewhere`, their directory says nothing.
    fn may_be(&self, path: &Path, size: u64, are_elsewhere: bool) -> bool {
        let is_long_enough = self.size.is_none_or(|own| own >= size);
        is_long_enough && rotated::is_generation(&self.path, path, are_elsewhere)
    }
}

/// Those of `newcomers`, which are in the order of their names, whose name has that `beginning`.
fn named_from<'a>(
    newcomers: &'a [Newcomer],
    beginning: &'a [u8],
) -> impl Iterator<Item = &'a Newcomer> {
    let from = newcomers.partition_point(|newcomer| newcomer.name() < beginning);
    let later = newcomers.get(from..).unwrap_or_default().iter();
    later.take_while(move |newcomer| newcomer.name().starts_with(beginning))
}

impl Past {
    /// What was lost with it, if there is no copy.
    fn gap(&self) -> Option<Change> {
        let bytes = match self.lost {
            Lost::Nothing => return None,
            Lost::Seen(bytes) => Some(bytes),
            Lost::Unknown => None,
        };
        Some(Change::Gap(Gap {
            path: Arc::clone(&self.path),
            position: self.position.clone(),
            cause: self.cause,
            bytes,
            unseen_bytes: self.unseen_bytes,
        }))
    }

    /// What was written after a copy of `length` bytes was made, not read, and cut off with the
    /// rest; `None` when that is less than a row, or when the length is not known.
    fn lost_beside_copy(&self, length: Option<u64>) -> Option<Change> {
        let Lost::Seen(_) = self.lost else {
            return None;
        };
        let saved = length?.max(self.position.offset);
        let seen = self.size.saturating_sub(saved);
        let saved_unseen = saved.saturating_sub(self.size);
        let mut gap = Gap {
            path: Arc::clone(&self.path),
            position: self.position.clone(),
            cause: self.cause,
            bytes: Some(seen),
            unseen_bytes: self.unseen_bytes.saturating_sub(saved_unseen),
        };
        if gap.unseen_bytes < mean_line_bytes(&gap.position).unwrap_or(1) {
            gap.unseen_bytes = 0;
        }
        (seen > 0 || gap.unseen_bytes > 0).then_some(Change::Gap(gap))
    }
}

impl Parent {
    fn of(known: &Known) -> Parent {
        Parent {
            of: Of::File(known.position.key),
            path: Arc::clone(&known.path),
            position: known.position.clone(),
            is_alive: known.is_here(),
            is_named: known.presence == Presence::Listed,
            marks: known.marks.clone(),
            recent: known.recent.clone(),
        }
    }

    fn of_past(past: &Past) -> Parent {
        Parent {
            of: Of::Past(past.position.key, past.position.life),
            path: Arc::clone(&past.path),
            position: past.position.clone(),
            is_alive: false,
            is_named: false,
            marks: past.marks.clone(),
            recent: past.recent.clone(),
        }
    }
}

/// How the content of a file compares with those it may be a copy of.
#[derive(Debug)]
struct Compared {
    /// Those of them whose position holds in it, the last of them last.
    matched: Vec<usize>,
    /// How it ends, if it is packed.
    ending: Option<Ending>,
    /// Its length, unpacked; `None` while that is not known.
    length: Option<u64>,
    /// Its last bytes.
    end: Vec<u8>,
    /// The marks of the others that hold in it.
    marks: Vec<Mark>,
}

impl Compared {
    /// Goes through `content` once, forwards. Without anything to compare it with, that is done
    /// for a packed one that `may_grow` only, to learn how it ends.
    fn to(content: &mut Content<'_>, related: &[Parent], may_grow: bool) -> io::Result<Compared> {
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
        let length = match content {
            Content::Plain { .. } => content.seek(SeekFrom::End(0))?,
            Content::Packed { .. } => {
                io::copy(content, &mut io::sink())?;
                content.seek(SeekFrom::End(0))?
            }
        };
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

    /// The last place up to which `parent` was read that is in the file, when the file ends before
    /// the parent's position does: it was copied before the last rows were read, or an editor has
    /// taken some away.
    fn mark_in(&self, parent: &Parent) -> Option<Mark> {
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
                return Some(Mark {
                    offset,
                    tail: identity::short_hash(tail),
                    tail_bytes: u16::try_from(tail.len()).unwrap_or(TAIL_BYTES_MAX),
                });
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
        let line_end = memrchr(b'\n', &self.end).map(|at| end_from + at as u64 + 1);
        let offset = line_end.filter(|_| is_close).unwrap_or(mark.offset);
        if offset == mark.offset {
            return Some(mark);
        }
        let upto = usize::try_from(offset - end_from).ok()?;
        let bytes = self.end.get(..upto)?;
        let tail = bytes.get(bytes.len().saturating_sub(usize::from(TAIL_BYTES_MAX))..)?;
        Some(Mark {
            offset,
            tail: identity::short_hash(tail),
            tail_bytes: u16::try_from(tail.len()).ok()?,
        })
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
    let Some(length) = compared.length else {
        return Ok(None);
    };
    let end_from = length - compared.end.len() as u64;
    let line_end = memrchr(b'\n', &compared.end).map(|at| end_from + at as u64 + 1);
    let mark = compared.mark_in(&own);
    Ok(mark.filter(|mark| Some(mark.offset) == line_end))
}

/// Most marks that are looked for in one file.
const MARKS_COMPARED_MAX: usize = 64;

/// Bytes before a position that are held in memory while a file is open: where a copy that was
/// made a moment ago, or a file whose last rows an editor took away, ends in.
pub const RECENT_BYTES_MAX: usize = 4 << 10;

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

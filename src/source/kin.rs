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

use super::compared::{self, Compared, Head, Of, Parent, head_of};
use super::gunzip::Ending;
use super::identity::{self, Likeness};
use super::known::{CopyOf, Known, Mark, Presence, Standing};
use super::losses::{LOOKS_FOR_COPY, Newcomer};
use super::past::Lost;
use super::tail::{Content, TailError};
use super::trimmed::{self, Trimmed};
use super::{Change, FileKey, FilePosition, Source, SourceError, TAIL_BYTES_MAX};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a packed file that is long must have been as it is before it is
/// looked into: gzip writes all the time while it works, and what it has not finished would be
/// unpacked again at every look.
const PACKED_SETTLED: Duration = Duration::from_secs(1);

/// How long a file that may still be written is waited for: a packed one that ends too early, and
/// one without a complete first row.
const UNFINISHED_KEPT: Duration = Duration::from_secs(10);

/// Most files at whose head is looked because nothing of them has been read, at each look with
/// strangers: beyond it a copy of one of them is read beside it, with the same ids.
const UNREAD_HEADS_MAX: usize = 1_000;

/// Most generations with the head of another one, and something to be read, whose ends are looked for in that.
const ENDS_COMPARED_MAX: usize = 64;

/// What a stranger turned out to be.
pub(super) enum Verdict {
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
pub(super) struct Heir {
    pub parent: Parent,
    /// Up to where that was read.
    pub mark: Mark,
    /// How long it is, if that is known.
    pub length: Option<u64>,
    /// Earlier files of the same name that it holds as well and that cannot be read any more.
    pub elders: Vec<Of>,
    /// What was taken from the front of that is not in it.
    pub trimmed: Option<Trimmed>,
}

impl Verdict {
    /// A file of that length that goes on behind `mark`, and holds nothing else.
    fn behind(mark: Mark, parent: &Parent, length: Option<u64>) -> Verdict {
        Verdict::Heir(Box::new(Heir {
            parent: parent.clone(),
            mark,
            length,
            elders: Vec::new(),
            trimmed: None,
        }))
    }
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
        let mut strangers: Vec<_> = due
            .map(|known| (known.comes(), known.position.key))
            .collect();
        if strangers.is_empty() {
            return Ok(());
        }
        strangers.sort_unstable();
        let mut parents = self.parents()?;
        let mut late = Vec::new();
        for (order, key) in strangers {
            if !self.settle_or_park(key, &mut parents, false)? {
                let size = self.files.get(&key).map(|known| known.size);
                late.push((Reverse(size), order, key));
            }
        }
        late.sort_unstable();
        for (_, _, key) in late {
            self.settle_or_park(key, &mut parents, true)?;
        }
        Ok(())
    }

    /// As [`Source::settle_stranger`]; one that cannot be read is parked.
    fn settle_or_park(
        &mut self,
        key: FileKey,
        parents: &mut HashMap<Head, Vec<Parent>>,
        is_late: bool,
    ) -> Result<bool, SourceError> {
        match self.settle_stranger(key, parents, is_late) {
            Ok(false) => return Ok(false),
            Ok(true) => self.tell_read(key),
            Err(TailError::Moved) => {}
            Err(TailError::Unreadable(error)) => self.park(key, error),
            Err(TailError::Exhausted(error)) => return Err(SourceError::Exhausted(error)),
        }
        Ok(true)
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
            let position = &known.position;
            if position.first_row.is_some() {
                let head = (position.head_bytes, position.head);
                parents.entry(head).or_default().push(Parent::of(known));
            } else if known.is_here()
                && !known.is_wiped
                && (known.size > 0 || known.packed_bytes.is_some())
                && unread.len() < UNREAD_HEADS_MAX
            {
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

    /// False where it is a copy that ends before the other did, and it is not `late` yet: another copy may have
    /// been made of that later, and hold this one.
    fn settle_stranger(
        &mut self,
        key: FileKey,
        parents: &mut HashMap<Head, Vec<Parent>>,
        is_late: bool,
    ) -> Result<bool, TailError> {
        let verdict = self.judge(key, parents)?;
        if !is_late && self.may_be_in_another(key, &verdict, parents) {
            return Ok(false);
        }
        let Some(known) = self.files.get_mut(&key) else {
            return Ok(true);
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
                // A copy that was made before rows were taken from its front is one of that still.
                if let Some(parents) = parents.get_mut(&head)
                    && heir.trimmed.is_none()
                {
                    parents.retain(|other| other.of != parent.of);
                    parents.retain(|other| !heir.elders.contains(&other.of));
                }
                let newcomer = Newcomer::of(known, self.looks);
                self.newcomers.push(newcomer);
                self.inherit(key, &heir);
                for elder in &heir.elders {
                    self.leave_to(*elder, key, heir.length);
                }
                // What it holds beyond that may have been added to it.
                self.pass_over_added(key)?;
                if let Some(heir) = self.files.get(&key).map(Parent::of) {
                    let head = (heir.position.head_bytes, heir.position.head);
                    parents.entry(head).or_default().push(heir);
                }
            }
        }
        Ok(true)
    }

    /// Whether another copy may hold it: it is none of what has its head, or ends before what it is of did.
    fn may_be_in_another(
        &self,
        key: FileKey,
        verdict: &Verdict,
        parents: &HashMap<Head, Vec<Parent>>,
    ) -> bool {
        match verdict {
            Verdict::New(Some(head)) => parents.get(head).is_some_and(|kin| !kin.is_empty()),
            Verdict::Heir(heir) if heir.trimmed.is_none() => {
                let parent = &heir.parent;
                let length = match parent.of {
                    Of::File(of) => self.files.get(&of).map(|known| known.size),
                    Of::Past(of, life) => {
                        let mut pasts = self.pasts.iter();
                        pasts.find(|past| past.is(of, life)).map(|past| past.size)
                    }
                };
                let length = length.max(Some(parent.position.offset));
                let is_rotated = self.files.get(&key).is_some_and(|known| known.is_rotated);
                is_rotated && !parent.is_alive && heir.length < length
            }
            Verdict::New(_) | Verdict::Heir(_) | Verdict::Wait | Verdict::Copy(_) => false,
        }
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
        if is_empty || (known.is_long_packed() && quiet_for < PACKED_SETTLED) {
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
        // Where rows tell how something stands, what has the same end may have other rows before it.
        let may_go_on = !self.settings.rows_change;
        let is_generation = |other: &Parent| other.is_alive && other.is_rotated && may_go_on;
        // Another file has taken its name, and it has none: what was added to it is in both.
        if matched().any(|parent| self.has_unread(parent)) {
            return Ok(Verdict::Wait);
        }
        // Where nothing was read of any of those, it may still be part of another one, or begin within it.
        let mut kin = compared.matched.iter().filter_map(|&at| related.get(at));
        if !compared.matched.is_empty() && kin.all(|parent| parent.position.offset == 0) {
            let is_read = |parent: &&Parent| parent.is_alive && parent.position.offset > 0;
            for parent in related.iter().rev().filter(is_read) {
                if let Some(verdict) = self.is_part_of(&compared, parent)? {
                    return Ok(verdict);
                }
            }
            let gone = matched().filter(|parent| !parent.is_alive);
            let gone = gone.map(|parent| parent.of).collect();
            if let Some(verdict) = self.judge_trimmed(key, gone)? {
                return Ok(verdict);
            }
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
                let is_as_far = rival.position.offset >= parent.position.offset;
                let may_be_in_it = goes_on && is_as_far && is_generation(rival);
                let is_in_it = may_be_in_it && self.ends_within(rival, key, &path)?;
                if (goes_on && !rival.is_named) || is_in_it {
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
        // What goes on beyond a generation was copied to it, or is a later copy.
        let others = related.iter().filter(|other| is_generation(other));
        let others: Vec<&Parent> = others.filter(|other| self.has_unread(other)).collect();
        for other in others.into_iter().rev().take(ENDS_COMPARED_MAX) {
            if self.ends_within(other, key, &path)? {
                return Ok(Verdict::Wait);
            }
        }
        let earlier = compared.matched.last().and_then(|&at| related.get(at));
        let earlier =
            earlier.filter(|earlier| earlier.position.offset > 0 && is_generation(earlier));
        if let Some(parent) = earlier {
            let mark = Mark::of(&parent.position);
            return Ok(Verdict::behind(mark, parent, compared.length));
        }
        // One without a name was replaced by this one, which has been renamed and goes on beyond it.
        let mut replaced = compared.matched.iter().rev();
        let replaced = replaced.find_map(|&at| related.get(at).filter(|parent| !parent.is_named));
        if let Some(replaced) = replaced {
            // A copy of it that is there may have been read further.
            let last = compared.matched.last().and_then(|&at| related.get(at));
            let is_further = |last: &&Parent| last.position.offset > replaced.position.offset;
            let parent = last.filter(is_further).unwrap_or(replaced);
            if self.has_unread(parent) || self.has_unread(replaced) {
                return Ok(Verdict::Wait);
            }
            let elder = Some(replaced.of).filter(|of| *of != parent.of && !replaced.is_alive);
            return Ok(Verdict::Heir(Box::new(Heir {
                mark: Mark::of(&parent.position),
                length: compared.length,
                parent: parent.clone(),
                elders: elder.into_iter().collect(),
                trimmed: None,
            })));
        }
        // What was found to be a copy of one that is over was read as far as that was.
        let known = self.files.get(&key);
        let unchanged = known.filter(|known| compared.length == Some(known.size));
        let copied = unchanged.and_then(|known| known.copy_of);
        let was_in = |parent: &Parent| {
            let is_it = copied.is_some_and(|it| it.is_of(parent.of, &parent.position));
            let mark = is_it.then(|| compared.last_line()).flatten();
            mark.filter(|mark| mark.offset <= parent.position.offset)
        };
        let shorter = related.into_iter().rev().find_map(|parent| {
            let is_over = !parent.is_alive || *parent.path == *path;
            let mark = is_over.then(|| was_in(&parent).or_else(|| compared.mark_in(&parent)));
            Some((parent, mark.flatten()?))
        });
        Ok(match shorter {
            Some((parent, mark)) => Verdict::behind(mark, &parent, compared.length),
            None => match self.judge_trimmed(key, Vec::new())? {
                Some(verdict) => verdict,
                None => Verdict::New(Some(head)),
            },
        })
    }

    /// Whether what `parent` ends with, which is there, stands at the same place in another file.
    pub(super) fn ends_within(
        &mut self,
        parent: &Parent,
        key: FileKey,
        path: &Path,
    ) -> Result<bool, TailError> {
        let Of::File(of) = parent.of else {
            return Ok(false);
        };
        if self.files.get(&of).is_some_and(Known::is_long_packed) {
            return Ok(false);
        }
        let end = self.tails.with_content(of, &parent.path, compared::end_of);
        match end {
            Ok(Some(end)) => {
                let holds = |content: &mut Content<'_>| compared::holds(content, end);
                self.tails.with_content(key, path, holds)
            }
            Err(TailError::Exhausted(error)) => Err(TailError::Exhausted(error)),
            // Whoever reads it will find out what is wrong with it.
            Ok(None) | Err(TailError::Moved | TailError::Unreadable(_)) => Ok(false),
        }
    }

    pub(super) fn has_unread(&self, parent: &Parent) -> bool {
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
            let is_shortened = past.is_shortened_to(&known.position);
            let found = self.tails.with_content(key, &path, |content| {
                if identity::compare(content, position)? == Likeness::Same {
                    return Ok(Some((0, None)));
                }
                if is_shortened {
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
                self.keep_untrimmed(&Parent::of_past(&past));
                trimmed.move_position(&mut past.position);
                past.position.life = past.position.life.saturating_add(1);
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

    /// Whether the file of the past with that number may hold it, or what is left of it, again. Where
    /// rows tell how something stands, one that was written anew never counts as what it was.
    pub(super) fn may_be_taken_back(&self, at: usize) -> bool {
        let is_log = !self.settings.rows_change;
        let past = self.pasts.get(at).filter(|past| is_log && past.is_awaited);
        let past = past.filter(|past| past.position.head_bytes > 0);
        past.is_some_and(|past| {
            let known = self.files.get(&past.position.key);
            known.is_some_and(|known| {
                // A generation is compared with all it may be, with this life too.
                let is_plain = known.packed_bytes.is_none() && !known.is_rotated;
                let is_known = known.standing < Standing::Stranger;
                let can_be = known.is_held && is_known && known.is_here() && known.size > 0;
                let is_next = known.position.life == past.position.life.saturating_add(1);
                let is_begun = is_next && known.position.offset == 0;
                is_plain && can_be && (is_begun || past.is_shortened_to(&known.position))
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
                self.doubt(key);
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
            Of::File(of) if parent.is_alive || parent.is_awaited => {
                self.save_in_heir(of, heir.length);
            }
            Of::File(_) => self.leave_to(parent.of, key, heir.length),
        }
        if heir.trimmed.is_some() && !parent.is_alive {
            self.keep_untrimmed(parent);
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

    /// Has what is unread of a file that nothing names, or whose disk may be mounted later, count as
    /// saved where the one that goes on after it is as long.
    fn save_in_heir(&mut self, of: FileKey, length: Option<u64>) {
        let known = self.files.get_mut(&of);
        let is_seen = |known: &&mut Known| {
            matches!(known.presence, Presence::Unlisted | Presence::Remembered)
        };
        let known = known.filter(is_seen);
        if let Some(known) = known.filter(|known| length.is_some_and(|length| length >= known.size))
        {
            self.untold.positions.push(known.save());
        }
    }

    /// Forgets a file that is gone, or a life, and what was lost with it: the one known as `heir`, `length`
    /// bytes long, holds it. Where that is shorter, it waits for what is missing.
    pub(super) fn leave_to(&mut self, elder: Of, heir: FileKey, length: Option<u64>) {
        let of = match elder {
            Of::File(of) => of,
            Of::Past(of, life) => {
                if let Some(at) = self.pasts.iter().position(|past| past.is(of, life)) {
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
}

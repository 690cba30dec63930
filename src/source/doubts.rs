//! Doubts: whether a file is what it was, and where to start in one that was there before the agent.

use super::identity::{self, Likeness};
use super::known::{Came, Known, Mark, Presence, Standing};
use super::past::{Lost, Past};
use super::tail::{Content, TailError};
use super::{Change, FileKey, FilePosition, GapCause, Looked, compared, noise};
use super::{Rewrite, Source, SourceError, Start, start};
use crate::clock::UnixMs;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Time between two tries of a file that could not be read.
const UNREADABLE_RETRY: Duration = Duration::from_secs(5);

/// How long before its truncation a file must have grown for it to be likely that rows were
/// written and cut off between two looks, with nothing of them seen.
const WRITTEN_LATELY: Duration = Duration::from_secs(2);

/// Most files of one name and one head with which one in doubt is compared, those read furthest: the
/// versions that an editor leaves within an hour.
const FURTHER_MAX: usize = 64;

impl Source {
    /// Compares the files that may not be what they were, and finds where to start in those that
    /// are there at the first look of all.
    pub(super) fn settle_doubts(&mut self) -> Result<(), SourceError> {
        let now = self.looked_at;
        let mut doubtful = Vec::new();
        for (key, known) in &mut self.files {
            let is_due = |parked: UnixMs| now < parked || now.since(parked) >= UNREADABLE_RETRY;
            known.parked_at = known.parked_at.filter(|parked| !is_due(*parked));
            if known.is_here() && known.parked_at.is_none() {
                let is_open = || self.tails.open_tail(*key).is_some();
                match known.standing {
                    Standing::Doubtful | Standing::Unplaced => doubtful.push(*key),
                    // One that is not open is compared when it is opened to be read.
                    Standing::Grown if is_open() => doubtful.push(*key),
                    Standing::Grown | Standing::Sure | Standing::Stranger => {}
                }
            }
        }
        // What was added to a generation is compared with files that are known for what they are.
        let is_rotated = |key: &FileKey| self.files.get(key).is_some_and(|known| known.is_rotated);
        doubtful.sort_by_key(is_rotated);
        let replaced = self.replaced(&doubtful);
        for key in doubtful {
            match self.settle(key) {
                Ok(()) => {
                    self.prefer_further(key, &replaced);
                    self.tell_read(key);
                }
                Err(TailError::Moved) => {}
                Err(TailError::Unreadable(error)) => {
                    self.keep_unplaced(key);
                    self.park(key, error);
                }
                Err(TailError::Exhausted(error)) => return Err(SourceError::Exhausted(error)),
            }
        }
        Ok(())
    }

    /// How far the files were read, by the names and the head they had, and by the head alone; of those
    /// with the same the ones read furthest, that one first. Only when there is a doubtful file, which
    /// may have taken such a name.
    fn replaced(&self, doubtful: &[FileKey]) -> HashMap<Replaced, Vec<Further>> {
        let mut replaced: HashMap<Replaced, Vec<Further>> = HashMap::new();
        if doubtful.is_empty() {
            return replaced;
        }
        for known in self.files.values() {
            if known.position.first_row.is_some() {
                let own = Further {
                    of: known.position.key,
                    mark: Mark::of(&known.position),
                    is_named: known.presence == Presence::Listed,
                    has_more: known.may_have_rows(),
                    size: known.size,
                };
                let names = known.came.from().into_iter().chain([&known.path]);
                let names = names.map(|name| Replaced::at(name, &known.position));
                for name in names.chain([Replaced::anywhere(&known.position)]) {
                    replaced.entry(name).or_default().push(own);
                }
            }
        }
        for same in replaced.values_mut() {
            same.sort_unstable_by_key(|further| Reverse(further.rank()));
            same.truncate(FURTHER_MAX);
        }
        replaced
    }

    /// A file that is replaced by longer copies of itself comes to have an inode again that an
    /// earlier copy had, and so does a generation that is made by copying, whatever the name was of
    /// what it was made of. What is remembered of that holds; but a later one was read further, or
    /// is about to be, and this one is compared with it.
    fn prefer_further(&mut self, key: FileKey, replaced: &HashMap<Replaced, Vec<Further>>) {
        let Some(known) = self.files.get_mut(&key) else {
            return;
        };
        let own = known.position.offset;
        let is_named = known.presence == Presence::Listed;
        let has_more = known.may_have_rows();
        let own_rank = (own, has_more, !is_named, known.size, key);
        // A generation may be made of a file of any name.
        let name = match known.is_rotated {
            true => Replaced::anywhere(&known.position),
            false => Replaced::at(&known.path, &known.position),
        };
        let is_further = |other: &&Further| {
            let there = other.mark.offset;
            // Of two that were read equally far and go on, one is read first.
            let rank = (there, other.has_more, !other.is_named, other.size, other.of);
            let is_first = rank > own_rank;
            other.of != key && there > 0 && (there > own || (other.has_more && is_first))
        };
        let further = replaced.get(&name).into_iter().flatten();
        let further: Vec<Further> = further.filter(is_further).copied().collect();
        let is_plain = known.packed_bytes.is_none() && known.position.first_row.is_some();
        let may_differ = self.settings.rows_change && !known.is_rotated;
        if further.is_empty() || !is_plain || may_differ || known.standing != Standing::Sure {
            return;
        }
        let (path, is_rotated) = (Arc::clone(&known.path), known.is_rotated);
        // The one read furthest may have been saved with other rows at its end; what came before it counts then.
        let held = self.tails.with_content(key, &path, |content| {
            for other in &further {
                if compared::holds(content, other.mark)? {
                    return Ok((true, None));
                }
            }
            // A generation may have been copied before the other was read so far: it ends within that.
            let end = match is_rotated && has_more {
                true => compared::end_of(content)?,
                false => None,
            };
            Ok((false, end))
        });
        let (holds, end) = held.unwrap_or((false, None));
        if holds || end.is_some_and(|end| self.is_end_within(end, &further)) {
            let Some(known) = self.files.get_mut(&key) else {
                return;
            };
            let path = std::mem::take(&mut known.position.path);
            known.position = FilePosition::start_of(key, path, known.position.life);
            known.forget_copies();
            known.rewind();
            known.standing = Standing::Stranger;
            self.distrust(key);
        }
    }

    /// Whether one of those that are plain and were read beyond `end` has the same bytes before that.
    fn is_end_within(&mut self, end: Mark, further: &[Further]) -> bool {
        further.iter().any(|other| {
            let known = self.files.get(&other.of);
            let known = known.filter(|known| known.is_here() && known.packed_bytes.is_none());
            let path = known.map(|known| Arc::clone(&known.path));
            path.filter(|_| other.mark.offset >= end.offset)
                .is_some_and(|path| {
                    let holds = |content: &mut Content<'_>| compared::holds(content, end);
                    self.tails
                        .with_content(other.of, &path, holds)
                        .unwrap_or(false)
                })
        })
    }

    /// Has the queue remember that it is still to be found where to start in the file, if it is:
    /// after a restart the file would be read from its beginning otherwise.
    fn keep_unplaced(&mut self, key: FileKey) {
        if let Some(known) = self.files.get_mut(&key)
            && known.standing == Standing::Unplaced
            && known.position.lines.take().is_some()
        {
            self.untold.positions.push(known.kept());
        }
    }

    /// Has the file be compared before it is read on.
    pub(super) fn doubt(&mut self, key: FileKey) {
        let known = self.files.get_mut(&key).into_iter();
        known.for_each(|known| known.raise(Standing::Doubtful));
    }

    pub(super) fn settle(&mut self, key: FileKey) -> Result<(), TailError> {
        let standing = self.files.get(&key).map(|known| known.standing);
        if standing == Some(Standing::Grown) && self.has_only_grown(key)? {
            return Ok(());
        }
        self.distrust(key);
        match standing {
            Some(Standing::Unplaced) => self.place(key),
            _ => self.recognise(key),
        }
    }

    /// Whether a file that has grown is still the one it was, and no more is to be found out.
    pub(super) fn has_only_grown(&mut self, key: FileKey) -> Result<bool, TailError> {
        let Some(known) = self.files.get_mut(&key) else {
            return Ok(true);
        };
        let window = &self.window;
        let path = Arc::clone(&known.path);
        let (likeness, is_shown) = self.tails.with_content(key, &path, |content| {
            let likeness = identity::compare_tail(content, &known.position)?;
            Ok((likeness, window.still_shows(key, content)?))
        })?;
        if likeness != Likeness::Same {
            return Ok(false);
        }
        if !is_shown {
            known.rewind();
            self.window.forget_file(key);
        }
        known.standing = Standing::Sure;
        Ok(true)
    }

    /// Finds where to start in a file that was there at the first look of all.
    fn place(&mut self, key: FileKey) -> Result<(), TailError> {
        let Some(known) = self.files.get_mut(&key) else {
            return Ok(());
        };
        let is_wanted_whole = match self.settings.start {
            Start::Now => false,
            Start::Beginning => true,
            Start::At(instant) => known.modified_ns / 1_000_000 >= instant.0,
        };
        if is_wanted_whole {
            known.standing = match known.is_rotated {
                true => Standing::Stranger,
                false => Standing::Sure,
            };
            known.position.lines = Some(0);
            return Ok(());
        }
        if known.packed_bytes.is_some() {
            // Nothing is added to it any more.
            known.position.lines = Some(0);
            known.finish();
        } else {
            let (is_header, line_max) = (&self.is_header, self.settings.line_max.max(1));
            let path = Arc::clone(&known.path);
            known.position = self.tails.with_content(key, &path, |content| {
                start::after_last_line(content, &known.position, is_header, line_max)
            })?;
            known.rewind();
        }
        known.standing = Standing::Sure;
        self.untold.positions.push(known.kept());
        Ok(())
    }

    /// Finds out whether a file is what it was.
    fn recognise(&mut self, key: FileKey) -> Result<(), TailError> {
        let Some(known) = self.files.get_mut(&key) else {
            return Ok(());
        };
        let begun = if known.is_rotated {
            Standing::Stranger
        } else {
            Standing::Sure
        };
        let path = Arc::clone(&known.path);
        known.is_wiped = false;
        let is_plain = known.is_rotated && known.packed_bytes.is_none();
        if known.position.offset == 0 && known.position.head_bytes == 0 && known.is_rotated {
            let may_be = is_plain && known.position.life > 0;
            known.is_wiped = may_be && self.tails.with_content(key, &path, noise::is_noise)?;
            known.rewind();
            known.standing = match known.is_wiped {
                true => Standing::Sure,
                false => begun,
            };
            return Ok(());
        }
        let is_of_another_kind = known.is_of_another_kind();
        let (likeness, kept, is_wiped) = self.tails.with_content(key, &path, |content| {
            let likeness = identity::compare(content, &known.position)?;
            let kept = match likeness {
                Likeness::Shorter if !is_of_another_kind => compared::what_is_kept(content, known)?,
                _ => None,
            };
            let may_be_wiped = is_plain && likeness != Likeness::Same;
            let is_wiped = may_be_wiped && noise::is_noise(content)?;
            Ok((likeness, kept, is_wiped))
        })?;
        let is_cut = likeness == Likeness::Same;
        let is_written_over = std::mem::take(&mut known.is_written_over);
        let may_differ = is_written_over && self.settings.rows_change && !known.is_rotated;
        let likeness = match likeness {
            // What is in it was read from another file, perhaps further: its copy is what it is.
            Likeness::Same if is_of_another_kind => Likeness::OtherHead,
            // Between its head and its end anything may be other than it was.
            Likeness::Same if may_differ && known.position.offset > 0 => Likeness::OtherTail,
            Likeness::Same if known.was_cut_unread() => Likeness::Shorter,
            likeness => likeness,
        };
        if likeness == Likeness::Same {
            known.owed = None;
            known.rewind();
            known.standing = match known.position.offset {
                0 => {
                    known.met_in = self.looks;
                    begun
                }
                _ => Standing::Sure,
            };
            let was_renamed = matches!(known.came, Came::Renamed { .. });
            if was_renamed && known.is_rotated && known.position.offset > 0 {
                self.untold.positions.push(known.kept());
            }
            // Of one of which nothing was read nothing says that it is not another one.
            if known.position.offset == 0 && known.came != Came::Stayed {
                self.reborn.push(key);
            }
            self.await_last_life(key);
            return self.pass_over_added(key);
        }
        // Of one of which nothing was read, and that has another beginning now, nothing is left.
        if known.position.offset == 0 && known.position.head_bytes > 0 && !is_cut {
            let kept = Some(known.position.unread_bytes).filter(|&bytes| bytes > 0);
            known.unread_before = known.unread_before.or(kept);
        }
        let has_moved = known.came != Came::Stayed;
        let past = match kept {
            Some(mark) => {
                known.standing = Standing::Sure;
                let mut past = Past {
                    position: known.position.clone(),
                    path: Arc::clone(&known.path),
                    size: known.size_before,
                    unseen_bytes: 0,
                    marks: std::mem::take(&mut known.marks),
                    recent: std::mem::take(&mut known.recent),
                    since: self.looked_at,
                    look: 0,
                    is_awaited: true,
                    was_trimmed: false,
                    lost: Lost::Nothing,
                    cause: GapCause::Truncated,
                };
                past.lost = shorten(known, mark, &mut self.untold);
                Some(past)
            }
            None => {
                (known.standing, known.met_in) = (begun, self.looks);
                let how = match likeness {
                    _ if is_wiped => Rewrite::Wiped,
                    Likeness::OtherHead => Rewrite::OtherHead,
                    Likeness::OtherTail => Rewrite::OtherTail,
                    Likeness::Shorter | Likeness::Same => Rewrite::Truncated,
                };
                let past = begin_new_life(known, how, &mut self.untold, self.looked_at);
                if is_wiped {
                    (known.is_wiped, known.standing) = (true, Standing::Sure);
                }
                if past.is_none() {
                    self.untold.positions.push(known.kept());
                }
                if has_moved {
                    self.reborn.push(key);
                }
                past
            }
        };
        if let Some(mut past) = past {
            past.look = self.looks;
            self.end_life(past);
        }
        Ok(())
    }
}

/// How far a file was read.
#[derive(Debug, Clone, Copy)]
struct Further {
    of: FileKey,
    mark: Mark,
    /// A name leads to it.
    is_named: bool,
    /// There may be rows beyond the mark.
    has_more: bool,
    /// Bytes, as far as is known.
    size: u64,
}

impl Further {
    /// What makes another one matter more: also a name that it has lost, for the file that is compared
    /// with it has it.
    fn rank(&self) -> (u64, bool, bool) {
        (self.mark.offset, !self.is_named, self.has_more)
    }
}

/// By what a file is known that another has replaced: its name and its head.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Replaced {
    /// None where any name will do.
    path: Option<Arc<Path>>,
    head_bytes: u64,
    head: u64,
}

impl Replaced {
    /// One that was at `path`.
    fn at(path: &Arc<Path>, position: &FilePosition) -> Replaced {
        Replaced {
            path: Some(Arc::clone(path)),
            ..Replaced::anywhere(position)
        }
    }

    /// One of any name.
    fn anywhere(position: &FilePosition) -> Replaced {
        Replaced {
            path: None,
            head_bytes: position.head_bytes,
            head: position.head,
        }
    }
}

/// Rows that had been read were taken off the end of the file; it goes on from what is left. Returns what
/// was lost with them, unless a copy has it.
fn shorten(known: &mut Known, mark: Mark, untold: &mut Looked) -> Lost {
    let unread_bytes = known.unread_before.unwrap_or(0);
    untold.changes.push(Change::Rewritten {
        path: Arc::clone(&known.path),
        how: Rewrite::Shortened,
        unread_bytes,
    });
    known.shorten(mark);
    if unread_bytes > 0 {
        // Its position is told with what was lost: whoever starts before that finds it shortened again.
        return Lost::Seen(unread_bytes);
    }
    untold.positions.push(known.kept());
    Lost::Nothing
}

/// The file is not what it was: reads it from its start from now on. Returns the life that is
/// over, if a copy of it could be known or something of it is lost.
///
/// One that has another path than at the last look is another file under a used inode; one that
/// kept its path was written anew.
fn begin_new_life(
    known: &mut Known,
    how: Rewrite,
    untold: &mut Looked,
    now: UnixMs,
) -> Option<Past> {
    let path = Arc::clone(&known.path);
    let owed = known.owed.take();
    let came = std::mem::replace(&mut known.came, Came::Stayed);
    let was_at = match &came {
        Came::Renamed { from } | Came::Back { from } => Arc::clone(from),
        Came::Stayed => Arc::clone(&path),
    };
    let was_written = now.since(known.changed_before) <= WRITTEN_LATELY;
    let lost = match (known.unread_before, &came) {
        (_, Came::Back { .. }) => owed.map_or(Lost::Nothing, |owed| Lost::Seen(owed.bytes)),
        (Some(bytes @ 1..), _) => Lost::Seen(bytes),
        // All that was seen had been read; what came after the last look nobody saw.
        // But nobody cuts off a generation: it is another one under its inode and its name.
        (Some(0), Came::Stayed) if was_written && !known.is_rotated => Lost::Seen(0),
        (None, Came::Stayed) if !known.is_rotated => Lost::Unknown,
        _ => Lost::Nothing,
    };
    let past = Past {
        position: known.position.clone(),
        path: was_at,
        size: known.size_before,
        // Nobody cuts off a generation: it is another one under its inode and its name. Nor is one cut off
        // whose inode another has: into one that is removed and not open nobody writes.
        unseen_bytes: match std::mem::take(&mut known.unseen_before) {
            _ if known.is_rotated || came != Came::Stayed => 0,
            unseen_bytes => unseen_bytes,
        },
        marks: std::mem::take(&mut known.marks),
        recent: std::mem::take(&mut known.recent),
        since: now,
        look: 0,
        is_awaited: true,
        was_trimmed: false,
        lost,
        cause: match came {
            Came::Stayed => GapCause::Truncated,
            Came::Renamed { .. } | Came::Back { .. } => GapCause::Deleted,
        },
    };
    match came {
        Came::Back { .. } => {}
        Came::Renamed { from } => {
            untold.changes.push(Change::Vanished {
                path: from,
                unread_bytes: known.unread_before,
            });
            untold.changes.push(Change::Appeared { path });
        }
        Came::Stayed => {
            untold.changes.push(Change::Rewritten {
                path,
                how,
                unread_bytes: known.unread_before.unwrap_or(0),
            });
        }
    }
    known.begin_new_life();
    let can_be_known = past.position.first_row.is_some();
    (can_be_known || past.lost != Lost::Nothing).then_some(past)
}

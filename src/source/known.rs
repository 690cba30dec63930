//! Known: what a source knows of one file between two looks.

use super::compared::Of;
use super::growth::Growth;
use super::identity::FirstRow;
use super::listing::Found;
use super::look::QUIET_KEPT_OPEN;
use super::order::Age;
use super::past::Past;
use super::{FileKey, FilePosition, Finished, GapCause, TAIL_BYTES_MAX, identity, rotated};
use crate::clock::{Moment, UnixMs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a file must have been quiet before its end is taken for the end of its last row: a
/// writer that writes a row in two pieces does so within milliseconds.
const QUIET_BEFORE_LAST: Duration = Duration::from_secs(2);

/// Longest packed file that is looked into at once, in bytes: it takes some tenths of a second.
const PACKED_AT_ONCE: u64 = 4 << 20;

/// One file of a source.
#[derive(Debug)]
pub struct Known {
    /// How far it has been consumed.
    pub position: FilePosition,
    /// The path last seen.
    pub path: Arc<Path>,
    /// How it came to its path.
    pub came: Came,
    /// Bytes, as far as is known: by the last look, or by reading beyond it.
    pub size: u64,
    /// Its last modification at the last look.
    pub modified_ns: i64,
    /// `size` comes from reading beyond the last look, and `modified_ns` does not.
    pub read_beyond_look: bool,
    /// Bytes that were there and unread before it last changed; `None` when that is not known.
    pub unread_before: Option<u64>,
    /// It was found to be another one by reading, and no look has seen how it changed.
    pub is_new_doubt: bool,
    /// It changed without growing, or came back otherwise than it was, since it was last compared.
    pub is_written_over: bool,
    /// When it was last seen changed; by the clock of the looks.
    pub changed_at: UnixMs,
    /// Where it is.
    pub presence: Presence,
    /// The number of the look that listed it last.
    pub listed_in: u64,
    /// The number of the look that met it, or found out that nothing was read of what it is now; 0 for one that
    /// is remembered from an earlier run.
    pub met_in: u64,
    /// What has to be done before it may be read.
    pub standing: Standing,
    /// End of the file when everything before it had been handed out but a partial line: there is
    /// something to read once the file is longer.
    pub end_seen: u64,
    /// The age it has in the order of files with something to read; `None` when it is not there.
    pub unread_as: Option<Age>,
    /// When it could not be read; `None` while it is read or tried again.
    pub parked_at: Option<UnixMs>,
    /// It was reported as unreadable and not as readable since.
    pub told_unreadable: bool,
    /// Something between two lines that is being passed over.
    pub skipping: Option<Skipping>,
    /// The first row, when it has been handed out.
    pub first: Option<First>,
    /// What the caller could not use a byte of; `None` once it consumed some.
    pub stuck: Option<Stuck>,
    /// When its partial line was first reported.
    pub partial_since: Option<Moment>,
    /// It has the name of a rotated generation.
    pub is_rotated: bool,
    /// It is a generation that was written over with noise: there is nothing to be read in it.
    pub is_wiped: bool,
    /// Of a packed file: its length as it stands. `size` is then that of its text, as far as it
    /// has been unpacked.
    pub packed_bytes: Option<u64>,
    /// Of a packed file: there is nothing more to read before it changes.
    pub is_exhausted: bool,
    /// A copy of another file, which is read itself.
    pub copy_of: Option<CopyOf>,
    /// Where it was consumed to before, for copies made then.
    pub marks: Marks,
    /// The last bytes before the position, while the file is open; for the same.
    pub recent: Vec<u8>,
    /// When it was last seen changed before the last change; by the clock of the looks.
    pub changed_before: UnixMs,
    /// It waits for a copy of its last life; see [`Source::end_life`](super::Source).
    pub is_held: bool,
    /// Bytes it had before it last changed.
    pub size_before: u64,
    /// How fast it grows.
    pub growth: Growth,
    /// About how many bytes were written and cut off unseen before it last changed, if it was cut
    /// off then.
    pub unseen_before: u64,
    /// Since when nothing names it although it is open, or was left with something to be read by an
    /// earlier run.
    pub unlisted_since: Option<UnixMs>,
    /// Since when there has been something to read all the time.
    pub behind_since: Option<UnixMs>,
    /// What was lost with it and has not been told.
    pub owed: Option<Owed>,
    /// So far its bytes are in the file that has taken its name too.
    pub saved_up_to: u64,
    /// When the queue was last asked to keep what there is to be read in it, beside a position that
    /// did not move; by the clock of the looks.
    pub kept_at: UnixMs,
}

/// Bytes lost with a file that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// How many were seen and not read.
    pub bytes: u64,
    /// The look that missed the file.
    pub look: u64,
    /// When that was.
    pub since: UnixMs,
    /// Why it was lost.
    pub cause: GapCause,
    /// It could be compared with what had taken its name when it was lost.
    pub was_open: bool,
    /// The file that goes on where this one was read to, but was shorter when it was found.
    pub goes_on_in: Option<FileKey>,
}

/// The file that another one is a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyOf {
    /// Its device and inode.
    pub key: FileKey,
    /// Its life.
    pub life: u32,
}

/// Most marks of a file: what a copy made while rows came in is known by, if it is found after
/// the file itself was truncated. At 5,000 rows a second and a commit each 4 ms, a quarter of a
/// second; older ones are thinned out.
const MARKS_MAX: usize = 64;

/// Places a file was consumed to, oldest first, each with the hash of the bytes before it.
#[derive(Debug, Clone, Default)]
pub struct Marks(Vec<Mark>);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// As [`FilePosition::offset`].
    pub offset: u64,
    /// As [`FilePosition::tail`].
    pub tail: u64,
    /// As [`FilePosition::tail_bytes`].
    pub tail_bytes: u16,
}

impl Marks {
    fn add(&mut self, position: &FilePosition) {
        if self.0.len() >= MARKS_MAX {
            let mut place = 0;
            self.0.retain(|_| {
                place += 1;
                place > MARKS_MAX / 2 || place % 2 == 0
            });
        }
        self.0.push(Mark::of(position));
    }

    /// Forgets them all: nobody has copied the file.
    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// They, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Mark> {
        self.0.iter()
    }
}

impl CopyOf {
    /// Whether `other`, or its life, with that position, is what it is a copy of.
    pub fn is_of(&self, other: Of, position: &FilePosition) -> bool {
        match other {
            Of::File(key) => (key, position.life) == (self.key, self.life),
            Of::Past(key, life) => (key, life) == (self.key, self.life),
        }
    }
}

impl Mark {
    /// The mark at `offset`, before which `bytes` stand: at most [`TAIL_BYTES_MAX`] of them count.
    pub fn after(bytes: &[u8], offset: u64) -> Mark {
        let from = bytes.len().saturating_sub(usize::from(TAIL_BYTES_MAX));
        let tail = bytes.get(from..).unwrap_or_default();
        Mark {
            offset,
            tail: identity::short_hash(tail),
            tail_bytes: u16::try_from(tail.len()).unwrap_or(TAIL_BYTES_MAX),
        }
    }

    /// The mark at a position.
    pub fn of(position: &FilePosition) -> Mark {
        Mark {
            offset: position.offset,
            tail: position.tail,
            tail_bytes: position.tail_bytes,
        }
    }
}

/// Where a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Remembered from an earlier run; not looked for yet.
    Remembered,
    /// The globs name it.
    Listed,
    /// Nothing names it any more, but it is open and can be read to its end.
    Unlisted,
    /// It cannot be read any more.
    Gone {
        /// The look that missed it first.
        since: UnixMs,
        /// Looks that found other files but not this one.
        looks: u32,
    },
}

/// How a file came to the path that the last look found it under. Names decide nothing, but the
/// messages are clearer for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// It had that path before.
    Stayed,
    /// It had another path.
    Renamed {
        /// The path before.
        from: Arc<Path>,
    },
    /// Nothing had that device and inode at the look before.
    Back {
        /// The path before.
        from: Arc<Path>,
    },
}

impl Came {
    /// The path before, if it had another one.
    pub fn from(&self) -> Option<&Arc<Path>> {
        match self {
            Self::Renamed { from } | Self::Back { from } => Some(from),
            Self::Stayed => None,
        }
    }
}

/// What has to be done before a file may be read; the later one includes the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing.
    Sure,
    /// It has grown: it may have been truncated and written again, so its tail is compared.
    Grown,
    /// It was met anew, shrank, or changed without growing: head and tail are compared.
    Doubtful,
    /// It has the name of a rotated generation and nothing was read of it: it may be a copy of
    /// another file, which its content says.
    Stranger,
    /// It was there at the first look of all: where to start is still to be found.
    Unplaced,
}

/// Bytes passed over with flat memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipping {
    /// What they are.
    pub what: Skipped,
    /// How many there were so far, from the position on.
    pub bytes: u64,
}

/// What is passed over with flat memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// A line too long to be one.
    LongLine,
    /// NUL bytes at the start of a line, where a writer went on at its old offset in a truncated
    /// file.
    Hole,
}

/// The first row of a file and the hash of the head that ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    /// The row.
    pub row: FirstRow,
    /// As [`FilePosition::head_bytes`].
    pub head_bytes: u64,
    /// As [`FilePosition::head`].
    pub head: u64,
}

/// A run of lines of which the caller could not use a byte: an open quote, most likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    /// Its length.
    pub bytes: usize,
    /// It was told that no more would follow.
    pub was_last: bool,
}

impl Known {
    /// A file met at a look.
    pub fn met(found: Found, standing: Standing, look: u64, now: UnixMs) -> Known {
        let position = FilePosition::start_of(found.key, found.path.display().to_string(), 0);
        let mut known = Known::remembered(position);
        known.presence = Presence::Listed;
        known.standing = standing;
        known.take_size(&found, now);
        known.is_rotated = found.is_rotated;
        known.path = found.path.into();
        known.listed_in = look;
        known.met_in = look;
        known
    }

    /// A file remembered from an earlier run.
    pub fn remembered(position: FilePosition) -> Known {
        let is_unplaced = position.offset == 0 && position.lines.is_none();
        Known {
            path: Path::new(&position.path).into(),
            came: Came::Stayed,
            size: position.offset.saturating_add(position.unread_bytes),
            modified_ns: 0,
            read_beyond_look: false,
            unread_before: None,
            is_new_doubt: false,
            is_written_over: false,
            changed_at: UnixMs::default(),
            presence: Presence::Remembered,
            listed_in: 0,
            met_in: 0,
            standing: if is_unplaced {
                Standing::Unplaced
            } else {
                Standing::Doubtful
            },
            end_seen: position.offset,
            unread_as: None,
            parked_at: None,
            told_unreadable: false,
            skipping: None,
            first: None,
            stuck: None,
            partial_since: None,
            is_rotated: false,
            is_wiped: false,
            packed_bytes: None,
            is_exhausted: false,
            copy_of: None,
            marks: Marks::default(),
            recent: Vec::new(),
            changed_before: UnixMs::default(),
            is_held: false,
            size_before: 0,
            growth: Growth::default(),
            unseen_before: 0,
            unlisted_since: None,
            behind_since: None,
            owed: None,
            saved_up_to: 0,
            kept_at: UnixMs::default(),
            position,
        }
    }

    /// The position to be kept by the queue, with what was seen behind it and is nowhere else.
    pub fn kept(&mut self) -> FilePosition {
        // While it may be another file than it was, its length says nothing of what was there.
        let is_saved = self.saved_up_to > 0 && self.saved_up_to >= self.size;
        if is_saved {
            self.position.unread_bytes = 0;
        } else if self.standing <= Standing::Grown {
            self.position.unread_bytes = self.unread_beyond_hole();
        } else if let (Standing::Doubtful, Some(before)) = (self.standing, self.unread_before) {
            self.position.unread_bytes = before;
        }
        self.position.clone()
    }

    /// Takes in that all its bytes are in the file that has taken its name too; returns the
    /// position to be kept.
    pub fn save(&mut self) -> FilePosition {
        self.saved_up_to = self.size;
        self.kept()
    }

    /// Whether it became shorter before anything of it was read, and more than the start of a row
    /// is gone: its content cannot say so.
    pub fn was_cut_unread(&self) -> bool {
        let had_unread = self.unread_before.is_some_and(|bytes| bytes > 0);
        let was_looked_into = self.end_seen >= self.size_before;
        let is_shorter = self.size < self.size_before;
        self.position.offset == 0 && had_unread && is_shorter && !was_looked_into
    }

    /// Whether the queue keeps that something was there to be read, of which nothing is left to be
    /// told.
    pub fn is_kept_as_owed(&self) -> bool {
        let is_gone = matches!(self.presence, Presence::Gone { .. });
        is_gone && self.owed.is_none() && self.position.unread_bytes > 0
    }

    fn take_size(&mut self, found: &Found, now: UnixMs) {
        self.packed_bytes = found.is_packed.then_some(found.size);
        self.size = match found.is_packed {
            true => self.position.offset,
            false => found.size,
        };
        self.modified_ns = found.modified_ns;
        self.changed_at = now.min(UnixMs(found.modified_ns / 1_000_000));
        self.behind_since = (self.unread_bytes() > 0).then_some(now);
        self.growth.begin_anew(now);
    }

    /// Whether it is a packed file that was read to its end as it is now.
    fn is_finished(&self) -> bool {
        let now = self.packed_bytes.map(|bytes| Finished {
            bytes,
            modified_ns: self.modified_ns,
        });
        now.is_some() && self.position.finished == now
    }

    /// Takes in that the text of the packed file has been read to its end.
    pub fn finish(&mut self) {
        self.is_exhausted = true;
        self.position.finished = self.packed_bytes.map(|bytes| Finished {
            bytes,
            modified_ns: self.modified_ns,
        });
    }

    /// Whether it has not changed since it was last seen.
    pub fn is_as_found(&self, found: &Found) -> bool {
        let size = self.packed_bytes.unwrap_or(self.size);
        (found.size, found.modified_ns) == (size, self.modified_ns)
    }

    /// Takes in what a look found. A new path by itself says nothing.
    pub fn listed(&mut self, found: Found, look: u64, now: UnixMs) {
        self.came = Came::Stayed;
        if *self.path != *found.path {
            let from = std::mem::replace(&mut self.path, found.path.as_path().into());
            let shown = found.path.display().to_string();
            // What is remembered of a path is only what of it is text.
            if self.position.path != shown {
                self.position.path = shown;
                self.came = Came::Renamed { from };
            }
        }
        if matches!(self.presence, Presence::Gone { .. }) {
            // Nothing was done to it while its directory was away.
            let is_as_it_was = self.is_as_found(&found) && !found.is_packed;
            if is_as_it_was {
                self.owed = None;
            }
            self.is_written_over |= !is_as_it_was;
            // Nothing says that it is the file it was, and a copy of that is none of this one.
            if self.position.offset == 0 {
                self.position.life = self.position.life.saturating_add(1);
            }
            self.came = Came::Back {
                from: match std::mem::replace(&mut self.came, Came::Stayed) {
                    Came::Renamed { from } => from,
                    Came::Back { .. } | Came::Stayed => Arc::clone(&self.path),
                },
            };
        }
        let was_here = self.is_here();
        let was_remembered = self.presence == Presence::Remembered;
        self.presence = Presence::Listed;
        self.listed_in = look;
        self.is_rotated = found.is_rotated;
        self.unlisted_since = None;
        if was_here && self.packed_bytes.is_some() == found.is_packed {
            self.observe(found.size, found.modified_ns, now);
            return;
        }
        // What it was a copy of says nothing about another file under its inode.
        self.copy_of = None;
        // Of a file of which nothing was read, it may have been room made ahead that was trimmed since.
        let may_be_trimmed = self.position.offset == 0 && found.size > 0;
        self.unread_before = match was_remembered && !may_be_trimmed {
            true => Some(self.unread_bytes()).filter(|&bytes| bytes > 0),
            false => None,
        };
        self.size_before = self.size;
        self.unseen_before = 0;
        self.take_size(&found, now);
        if self.is_finished() && self.standing <= Standing::Doubtful {
            self.standing = Standing::Sure;
            self.is_exhausted = true;
            self.owed = None;
        } else if self.standing == Standing::Stranger && self.position.head_bytes > 0 {
            // What it is known by says first whether it is what it was.
            self.standing = Standing::Doubtful;
        } else {
            self.raise(Standing::Doubtful);
        }
    }

    /// Takes in the size and time of modification it has now; returns whether they changed.
    pub fn observe(&mut self, size: u64, modified_ns: i64, now: UnixMs) -> bool {
        // A clock set back must not make a quiet file look busy for as long.
        self.changed_at = self.changed_at.min(now);
        let size_before = self.packed_bytes.unwrap_or(self.size);
        if (size, modified_ns) == (size_before, self.modified_ns) {
            self.growth.seen(0, now);
            return false;
        }
        if let Some(packed_bytes) = &mut self.packed_bytes {
            *packed_bytes = size;
            self.modified_ns = modified_ns;
            self.changed_at = now;
            self.copy_of = None;
            self.unread_before = Some(0);
            self.raise(Standing::Doubtful);
            return true;
        }
        let has_grown = size > self.size;
        let has_stayed = self.came == Came::Stayed;
        self.is_written_over |= !has_grown;
        self.copy_of = None;
        // What is in doubt already was another file, or another life, then: what was there before
        // is what it was when the doubt began.
        let is_new_doubt = std::mem::take(&mut self.is_new_doubt);
        let is_in_doubt = self.standing == Standing::Doubtful && self.unread_before.is_some();
        let is_in_doubt = is_in_doubt && !is_new_doubt;
        if !is_in_doubt {
            self.unread_before = Some(self.unread_bytes());
            self.unseen_before = self.growth.unseen(size, now);
            self.size_before = self.size;
        }
        match size.checked_sub(self.size) {
            Some(grown) => self.growth.seen(grown, now),
            None => self.growth.begin_anew(now),
        }
        // A generation of which nothing was read may be a copy that was made under its inode and name, and a
        // file that was cut off be written as it was.
        let is_blank = self.position.life > 0 && self.position.first_row.is_none();
        let may_be_another = self.is_rotated || (self.position.offset == 0 && is_blank);
        self.raise(if has_grown && has_stayed && !may_be_another {
            Standing::Grown
        } else {
            Standing::Doubtful
        });
        self.changed_before = std::mem::replace(&mut self.changed_at, now);
        self.read_beyond_look = false;
        self.size = size;
        self.modified_ns = modified_ns;
        if self.unread_bytes() > 0 {
            self.behind_since.get_or_insert(now);
        }
        true
    }

    /// Takes in that the file was read up to `end`, which may be beyond what the last look saw.
    pub fn read_up_to(&mut self, end: u64) {
        if end > self.size {
            self.growth.read_on(end - self.size);
            self.size = end;
            self.read_beyond_look = true;
        }
    }

    /// Takes in that reading found other bytes in it than were there: what it had was lost since the
    /// last look.
    pub fn doubt_when_read(&mut self) {
        if self.standing != Standing::Doubtful {
            self.unread_before = Some(self.unread_bytes());
            self.size_before = self.size;
            self.is_new_doubt = true;
        }
        self.raise(Standing::Doubtful);
    }

    /// Demands at least `standing`'s check before the next read.
    pub fn raise(&mut self, standing: Standing) {
        self.standing = self.standing.max(standing);
    }

    /// Whether there may be something to hand out.
    pub fn has_unread(&self) -> bool {
        let can_be_read = self.standing <= Standing::Grown && !self.is_held;
        can_be_read && self.is_readable() && self.has_more()
    }

    /// Whether there may be something to hand out sooner or later, when it is known what the file is
    /// or that nothing follows what nobody could use: closed, one without a name would lose it.
    pub fn may_have_rows(&self) -> bool {
        self.is_readable() && self.copy_of.is_none() && (self.has_more() || self.waits_for_more())
    }

    /// Whether it has lines that nobody could use so far, and that may be followed by others.
    pub fn waits_for_more(&self) -> bool {
        self.stuck.is_some_and(|stuck| !stuck.was_last)
    }

    fn is_readable(&self) -> bool {
        self.is_here() && self.parked_at.is_none()
    }

    fn has_more(&self) -> bool {
        match self.packed_bytes {
            Some(_) => !self.is_exhausted,
            None => self.size > self.end_seen && !self.is_wiped,
        }
    }

    /// Whether it is still to be found out whether it is a copy.
    pub fn may_be_a_copy(&self) -> bool {
        let is_stranger = self.standing == Standing::Stranger && self.copy_of.is_none();
        let is_empty = self.size == 0 && self.packed_bytes.is_none();
        is_stranger && !is_empty && self.is_here() && self.parked_at.is_none()
    }

    /// Whether nothing more is expected in it, at `now`, beside a file as young as `newest`.
    pub fn is_over(&self, newest: Option<&Age>, now: UnixMs) -> bool {
        let quiet_for = now.since(self.changed_at);
        let is_left = self.presence == Presence::Unlisted && quiet_for >= QUIET_KEPT_OPEN;
        let is_older = newest.is_some_and(|newest| self.age() < *newest);
        is_left || (is_older && quiet_for >= QUIET_BEFORE_LAST)
    }

    /// Whether it can be read at all.
    pub fn is_here(&self) -> bool {
        matches!(self.presence, Presence::Listed | Presence::Unlisted)
    }

    /// Its age, for the order in which files are read.
    pub fn age(&self) -> Age {
        Age {
            modified_ns: self.modified_ns,
            is_listed: self.presence == Presence::Listed,
            path: Arc::clone(&self.path),
            key: self.position.key,
        }
    }

    /// Whether it is packed, and too long to be looked into at once.
    pub fn is_long_packed(&self) -> bool {
        self.packed_bytes
            .is_some_and(|bytes| bytes > PACKED_AT_ONCE)
    }

    /// The order in which files are compared: as they are read, and of those written within one tick of the
    /// clock the generation first, which was made of the other.
    pub fn comes(&self) -> (i64, bool, Age) {
        (self.modified_ns, !self.is_rotated, self.age())
    }

    /// Where reading goes on: at the position, or beyond it within something skipped.
    pub fn read_from(&self) -> u64 {
        self.position.offset + self.skipping.map_or(0, |skipping| skipping.bytes)
    }

    /// Bytes that are there but not consumed.
    pub fn unread_bytes(&self) -> u64 {
        match self.is_wiped {
            true => 0,
            false => self.size.saturating_sub(self.position.offset),
        }
    }

    /// The same without what is known to be a hole: room that a writer has made ahead is no loss.
    pub fn unread_beyond_hole(&self) -> u64 {
        let hole = self
            .skipping
            .filter(|skipping| skipping.what == Skipped::Hole);
        self.unread_bytes()
            .saturating_sub(hole.map_or(0, |hole| hole.bytes))
    }

    /// Moves the position on by `bytes` in which `lines` lines end; `before` are the last bytes
    /// before the new position.
    pub fn advance(&mut self, bytes: u64, lines: u64, before: &[u8]) {
        let position = &mut self.position;
        position.offset += bytes;
        position.lines = position.lines.map(|known| known + lines);
        let from = before.len().saturating_sub(usize::from(TAIL_BYTES_MAX));
        let tail = before.get(from..).unwrap_or_default();
        position.tail_bytes = u16::try_from(tail.len()).unwrap_or(TAIL_BYTES_MAX);
        position.tail = if tail.is_empty() {
            0
        } else {
            identity::short_hash(tail)
        };
        if position.first_row.is_none()
            && let Some(first) = self.first
            && position.offset >= first.row.end
        {
            position.first_row = Some(first.row.hash);
            (position.head_bytes, position.head) = (first.head_bytes, first.head);
        }
        self.partial_since = None;
        if self.unread_bytes() == 0 {
            self.behind_since = None;
        }
        if !self.is_rotated {
            self.marks.add(&self.position);
            self.recent.clear();
            self.recent.extend_from_slice(before);
        }
    }

    /// Reads from the position on as if nothing beyond it had been seen.
    pub fn rewind(&mut self) {
        self.end_seen = self.position.offset;
        self.is_exhausted = false;
        self.skipping = None;
        self.partial_since = None;
        self.forget_unconsumed();
    }

    /// Forgets what was learnt from lines beyond the position, which may be others by now.
    pub fn forget_unconsumed(&mut self) {
        self.stuck = None;
        if self.position.first_row.is_none() {
            self.first = None;
        }
    }

    /// Goes back to the file's start: what it held before is another life.
    pub fn begin_new_life(&mut self) {
        let path = std::mem::take(&mut self.position.path);
        self.position = FilePosition::start_of(
            self.position.key,
            path,
            self.position.life.saturating_add(1),
        );
        if self.packed_bytes.is_some() {
            self.size = 0;
        }
        self.size_before = self.size;
        self.saved_up_to = 0;
        self.forget_copies();
        self.rewind();
    }

    /// Whether it was found under another name that says that it is packed, or no more: then it is
    /// another file under a used inode, whatever it holds.
    pub fn is_of_another_kind(&self) -> bool {
        let was_packed = |from| rotated::is_packed(from) || self.position.finished.is_some();
        let from = self.came.from();
        from.is_some_and(|from| was_packed(from) != self.packed_bytes.is_some())
    }

    /// Forgets what copies of it would be known by beside its position.
    pub fn forget_copies(&mut self) {
        self.marks.clear();
        self.recent = Vec::new();
    }

    /// The file holds its last life again, which `past` tells of: takes that up where it was left.
    pub fn take_back(&mut self, past: Past) {
        let path = std::mem::take(&mut self.position.path);
        self.position = FilePosition {
            path,
            ..past.position
        };
        (self.marks, self.recent) = (past.marks, past.recent);
        self.is_held = false;
        self.standing = Standing::Sure;
        self.rewind();
    }

    /// Goes back to `mark`, up to which the file is as it was.
    pub fn shorten(&mut self, mark: Mark) {
        let position = &mut self.position;
        (position.offset, position.lines) = (mark.offset, None);
        (position.tail, position.tail_bytes) = (mark.tail, mark.tail_bytes);
        self.forget_copies();
        self.rewind();
    }
}

//! Known: what a source knows of one file between two looks.

use super::identity::FirstRow;
use super::listing::Found;
use super::order::Age;
use super::{FilePosition, TAIL_BYTES_MAX, identity};
use crate::clock::{Moment, UnixMs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a file must have been quiet before its end is taken for the end of its last row: a
/// writer that writes a row in two pieces does so within milliseconds.
const QUIET_BEFORE_LAST: Duration = Duration::from_secs(2);

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
    /// When it was last seen changed; by the clock of the looks.
    pub changed_at: UnixMs,
    /// Where it is.
    pub presence: Presence,
    /// The number of the look that listed it last.
    pub listed_in: u64,
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
    Back,
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
        known.path = found.path.into();
        known.standing = standing;
        known.size = found.size;
        known.modified_ns = found.modified_ns;
        known.changed_at = now.min(UnixMs(found.modified_ns / 1_000_000));
        known.listed_in = look;
        known
    }

    /// A file remembered from an earlier run.
    pub fn remembered(position: FilePosition) -> Known {
        let is_unplaced = position.offset == 0 && position.lines.is_none();
        Known {
            path: Path::new(&position.path).into(),
            came: Came::Stayed,
            size: 0,
            modified_ns: 0,
            read_beyond_look: false,
            unread_before: None,
            changed_at: UnixMs::default(),
            presence: Presence::Remembered,
            listed_in: 0,
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
            position,
        }
    }

    /// Takes in what a look found. A new path by itself says nothing.
    pub fn listed(&mut self, found: Found, look: u64, now: UnixMs) {
        self.came = Came::Stayed;
        if *self.path != *found.path {
            self.position.path = found.path.display().to_string();
            self.came = Came::Renamed {
                from: std::mem::replace(&mut self.path, found.path.into()),
            };
        }
        if matches!(self.presence, Presence::Gone { .. }) {
            self.came = Came::Back;
        }
        let was_here = self.is_here();
        self.presence = Presence::Listed;
        self.listed_in = look;
        if was_here {
            self.observe(found.size, found.modified_ns, now);
        } else {
            self.raise(Standing::Doubtful);
            self.unread_before = None;
            (self.size, self.modified_ns) = (found.size, found.modified_ns);
            self.changed_at = now.min(UnixMs(found.modified_ns / 1_000_000));
        }
    }

    /// Takes in the size and time of modification it has now; returns whether they changed.
    pub fn observe(&mut self, size: u64, modified_ns: i64, now: UnixMs) -> bool {
        // A clock set back must not make a quiet file look busy for as long.
        self.changed_at = self.changed_at.min(now);
        if (size, modified_ns) == (self.size, self.modified_ns) {
            return false;
        }
        let has_grown = size > self.size;
        let has_stayed = self.came == Came::Stayed;
        self.unread_before = Some(self.unread_bytes());
        self.raise(if has_grown && has_stayed {
            Standing::Grown
        } else {
            Standing::Doubtful
        });
        self.changed_at = now;
        self.read_beyond_look = false;
        (self.size, self.modified_ns) = (size, modified_ns);
        true
    }

    /// Takes in that the file was read up to `end`, which may be beyond what the last look saw.
    pub fn read_up_to(&mut self, end: u64) {
        if end > self.size {
            self.size = end;
            self.read_beyond_look = true;
        }
    }

    /// Demands at least `standing`'s check before the next read.
    pub fn raise(&mut self, standing: Standing) {
        self.standing = self.standing.max(standing);
    }

    /// Whether there may be something to hand out.
    pub fn has_unread(&self) -> bool {
        let can_be_read =
            self.is_here() && self.standing <= Standing::Grown && self.parked_at.is_none();
        can_be_read && self.size > self.end_seen
    }

    /// Whether nothing more is expected in it, at `now`, beside a file as young as `newest`.
    pub fn is_over(&self, newest: Option<&Age>, now: UnixMs) -> bool {
        let is_quiet = now.since(self.changed_at) >= QUIET_BEFORE_LAST;
        is_quiet && newest.is_some_and(|newest| self.age() < *newest)
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

    /// Where reading goes on: at the position, or beyond it within something skipped.
    pub fn read_from(&self) -> u64 {
        self.position.offset + self.skipping.map_or(0, |skipping| skipping.bytes)
    }

    /// Bytes that are there but not consumed.
    pub fn unread_bytes(&self) -> u64 {
        self.size.saturating_sub(self.position.offset)
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
    }

    /// Reads from the position on as if nothing beyond it had been seen.
    pub fn rewind(&mut self) {
        self.end_seen = self.position.offset;
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
        self.rewind();
    }
}

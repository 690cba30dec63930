//! Status: how far behind a source is.

use super::known::{Known, Presence, Standing};
use super::{FileKey, Source};
use crate::clock::{Moment, UnixMs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How far one file was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLag {
    /// Device and inode.
    pub key: FileKey,
    /// The path last seen.
    pub path: Arc<Path>,
    /// Offset of the first byte not consumed.
    pub offset: u64,
    /// Bytes in the file, as far as is known.
    pub size_bytes: u64,
    /// Bytes at its end that are no complete line, or that the parser waits for the rest of.
    pub partial: Option<PartialLine>,
}

/// A line whose end is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialLine {
    /// Its length so far.
    pub bytes: u64,
    /// When it was first asked about.
    pub since: Moment,
}

/// How far a source is behind, over all its files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Files that can be read, without copies of them.
    pub files: usize,
    /// Bytes there and not consumed, partial lines included.
    pub unread_bytes: u64,
    /// Since when the partial line that is there for longest has been there.
    pub partial_since: Option<Moment>,
}

/// How long a file that is written no more may wait to be read before that is worth a warning:
/// rotations run by the hour at the soonest, and most keep a generation for days.
pub const WAITING_LONG: Duration = Duration::from_secs(600);

/// Files that are written no more and have waited to be read for so long that the switch's own
/// rotation may delete them first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The one that waits for longest.
    pub path: Arc<Path>,
    /// For how long.
    pub waited: Duration,
    /// How many there are; at least 1.
    pub files: usize,
    /// Bytes in them that were not read.
    pub bytes: u64,
}

/// One remembered file, as `sources` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// Device and inode.
    pub key: FileKey,
    /// How often this inode was found truncated or rewritten.
    pub life: u32,
    /// The path last seen.
    pub path: Arc<Path>,
    /// What is being done with it.
    pub state: FileState,
    /// Offset of the first byte not consumed, in the unpacked file.
    pub offset: u64,
    /// Lines before it; `None` when following began in the middle of a long file.
    pub lines: Option<u64>,
    /// Bytes in the file, unpacked; of a packed one, as far as it has been unpacked.
    pub size_bytes: u64,
    /// Bytes there and not consumed, a partial line included.
    pub unread_bytes: u64,
    /// About how many rows they are, by the mean length of those before; `None` when none were.
    pub unread_rows: Option<u64>,
    /// Since when there has been something to read all the time, by the wall clock of the looks.
    pub behind_since: Option<UnixMs>,
    /// Bytes at its end that are no complete line.
    pub partial: Option<PartialLine>,
}

/// What is being done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// It is followed, or waits for its turn.
    Followed,
    /// It is packed and has been read to its end.
    Finished,
    /// It is a copy of another file, which is read itself.
    Copy,
    /// It is not known yet whether it is another file than it was, or a copy.
    Doubtful,
    /// It has been deleted and is kept open to be read to its end.
    Deleted,
    /// It is gone; only its position is kept.
    Gone,
    /// It cannot be read; it is tried again.
    Unreadable,
}

impl FileState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Followed => "followed",
            Self::Finished => "finished",
            Self::Copy => "copy",
            Self::Doubtful => "doubtful",
            Self::Deleted => "deleted",
            Self::Gone => "gone",
            Self::Unreadable => "unreadable",
        }
    }

    fn of(known: &Known) -> FileState {
        match known.presence {
            Presence::Gone { .. } | Presence::Remembered => Self::Gone,
            _ if known.parked_at.is_some() || known.told_unreadable => Self::Unreadable,
            Presence::Unlisted => Self::Deleted,
            Presence::Listed if known.copy_of.is_some() => Self::Copy,
            Presence::Listed if known.standing > Standing::Grown => Self::Doubtful,
            Presence::Listed if known.position.finished.is_some() => Self::Finished,
            Presence::Listed => Self::Followed,
        }
    }
}

impl Source {
    /// The files that the switch's rotation may delete before they are read, as far as can be
    /// said: those older than the newest one that were behind for [`WAITING_LONG`].
    pub fn waiting_long(&self) -> Option<Waiting> {
        let newest = self.newest.as_ref().map(|age| age.key);
        let mut waiting: Option<Waiting> = None;
        for age in self.unread.iter().filter(|age| Some(age.key) != newest) {
            let known = self.files.get(&age.key);
            let since = known.and_then(|known| Some((known, known.behind_since?)));
            let Some((known, since)) = since else {
                continue;
            };
            let waited = self.looked_at.since(since);
            if waited < WAITING_LONG {
                continue;
            }
            let waiting = waiting.get_or_insert_with(|| Waiting {
                path: Arc::clone(&known.path),
                waited,
                files: 0,
                bytes: 0,
            });
            waiting.files += 1;
            waiting.bytes = waiting.bytes.saturating_add(known.unread_bytes());
        }
        waiting
    }

    /// Every remembered file, in no order. `now` becomes the age of the partial lines that are
    /// seen for the first time: ask regularly.
    pub fn statuses(&mut self, now: Moment) -> Vec<FileStatus> {
        let statuses = self.files.values_mut().map(|known| {
            let state = FileState::of(known);
            let is_read_through = known.is_here() && !known.has_unread();
            let unread_bytes = match state {
                FileState::Gone | FileState::Finished | FileState::Copy => 0,
                _ => known.unread_bytes(),
            };
            let is_partial = unread_bytes > 0 && is_read_through && state == FileState::Followed;
            let partial = is_partial.then(|| PartialLine {
                bytes: unread_bytes,
                since: *known.partial_since.get_or_insert(now),
            });
            let position = &known.position;
            let mean = position.lines.filter(|&lines| lines > 0);
            let mean = mean.map(|lines| (position.offset / lines).max(1));
            FileStatus {
                key: position.key,
                life: position.life,
                path: Arc::clone(&known.path),
                state,
                offset: position.offset,
                lines: position.lines,
                size_bytes: known.size,
                unread_bytes,
                unread_rows: match partial {
                    Some(_) => Some(0),
                    None => mean.map(|mean| unread_bytes.div_ceil(mean)),
                },
                behind_since: known
                    .behind_since
                    .filter(|_| unread_bytes > 0 && partial.is_none()),
                partial,
            }
        });
        statuses.collect()
    }

    /// How far each file that can be read was read, in the order in which they are read; a copy of
    /// another one is left out, for what is in it is read there, and so is one that was wiped. `now`
    /// becomes the age of the partial lines that are seen for the first time: ask regularly.
    pub fn files(&mut self, now: Moment) -> Vec<FileLag> {
        let mut files = Vec::new();
        for (key, known) in &mut self.files {
            let is_read_through = known.is_here() && !known.has_unread();
            let bytes = if is_read_through {
                known.unread_bytes()
            } else {
                0
            };
            let partial = (bytes > 0).then(|| PartialLine {
                bytes,
                since: *known.partial_since.get_or_insert(now),
            });
            if known.is_here() && known.copy_of.is_none() && !known.is_wiped {
                let path = Arc::clone(&known.path);
                let (offset, size_bytes) = (known.position.offset, known.size);
                files.push((
                    known.age(),
                    FileLag {
                        key: *key,
                        path,
                        offset,
                        size_bytes,
                        partial,
                    },
                ));
            }
        }
        files.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        files.into_iter().map(|(_, lag)| lag).collect()
    }

    /// The sum over [`Source::files`].
    pub fn lag(&mut self, now: Moment) -> Lag {
        let mut lag = Lag::default();
        for file in self.files(now) {
            lag.files += 1;
            lag.unread_bytes = lag
                .unread_bytes
                .saturating_add(file.size_bytes.saturating_sub(file.offset));
            let since = file.partial.map(|partial| partial.since);
            lag.partial_since = lag.partial_since.into_iter().chain(since).min();
        }
        lag
    }
}

//! Change: what a look has to tell.

use super::{FileKey, FilePosition};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a look found.
#[derive(Debug, Default)]
pub struct Looked {
    /// What is different now, each told once.
    pub changes: Vec<Change>,
    /// Positions to commit even though no row goes with them: where following begins in files
    /// whose earlier rows are not wanted, and the start of every new life.
    pub positions: Vec<FilePosition>,
    /// Files whose positions are not kept any more.
    pub forgotten: Vec<FileKey>,
}

/// Something about a source's files that is different now.
#[derive(Debug)]
pub enum Change {
    /// A file that was not known.
    Appeared {
        /// Where it is.
        path: Arc<Path>,
    },
    /// The file was truncated or written anew; it is read from its start.
    Rewritten {
        /// Where it is.
        path: Arc<Path>,
        /// How that was seen.
        how: Rewrite,
        /// Bytes that were seen there and not read. They are lost unless a copy of the file has
        /// them, which [`Change::Gap`] says.
        unread_bytes: u64,
    },
    /// The file is gone, as far as the globs can see.
    Vanished {
        /// Where it was.
        path: Arc<Path>,
        /// Bytes that were there and had not been read; `None` when it happened while the agent
        /// was not running, and none had been seen before.
        unread_bytes: Option<u64>,
    },
    /// Rows may have been lost before they could be read.
    Gap(Gap),
    /// A rotated generation is a copy of a file that was followed, and is read on from where that
    /// file was read to.
    Continued {
        /// Where it is.
        path: Arc<Path>,
        /// Where the file was.
        from: Arc<Path>,
        /// Offset it is read on from, in the unpacked file.
        offset: u64,
    },
    /// Files or directories cannot be read since this look. They are tried again every few seconds.
    Unreadable {
        /// The first of them.
        path: Arc<Path>,
        /// What the system says of it.
        error: io::Error,
        /// How many there are; at least 1.
        count: usize,
    },
    /// What was unreadable is not so any more, or is gone.
    Readable {
        /// The first of them.
        path: Arc<Path>,
        /// How many there are; at least 1.
        count: usize,
    },
    /// Paths that the globs name are passed over, now for this reason too.
    Skipped {
        /// Why.
        reason: Skip,
        /// How many there are.
        count: usize,
        /// One of them.
        path: PathBuf,
    },
    /// There are more files than [`FILES_FOLLOWED_MAX`](super::FILES_FOLLOWED_MAX).
    TooMany {
        /// How many of them, modified longest ago, are not followed.
        left_out: usize,
    },
}

/// Rows that may have been lost: from `offset` on, in a file that is not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The file's path when it was last seen.
    pub path: Arc<Path>,
    /// How far it had been read, and which file it was.
    pub position: FilePosition,
    /// Why it could not be read further.
    pub cause: GapCause,
    /// Bytes that were seen and not read; `None` when it happened while the agent was not running,
    /// and none had been seen before. What was written between the last look and the loss comes on
    /// top.
    pub bytes: Option<u64>,
    /// About how many bytes that was, by how fast the file grew: nobody has seen them.
    pub unseen_bytes: u64,
}

impl Gap {
    /// About how many rows are lost, seen or not, by the mean length of those that were read;
    /// `None` when one of the two is not known.
    pub fn rows(&self) -> Option<u64> {
        let line_bytes = mean_line_bytes(&self.position)?;
        let seen = self.bytes?.div_ceil(line_bytes);
        Some(seen + (self.unseen_bytes + line_bytes / 2) / line_bytes)
    }
}

/// Mean length of the lines before `position`, in bytes; at least 1. `None` where it is not known.
pub(super) fn mean_line_bytes(position: &FilePosition) -> Option<u64> {
    let lines = position.lines.filter(|&lines| lines > 0)?;
    Some((position.offset / lines).max(1))
}

/// Why a file could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// It was truncated or written anew, and no copy of it was found.
    Truncated,
    /// It was deleted, and no copy of it was found.
    Deleted,
    /// It was deleted, and was open for longer, or took more room, than `deleted_files_keep`
    /// allows.
    GivenUp,
}

impl GapCause {
    /// The word for it in events and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Deleted => "deleted",
            Self::GivenUp => "deleted_files_keep",
        }
    }
}

/// How it was seen that a file is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// It ends before the position.
    Truncated,
    /// Its head is another one.
    OtherHead,
    /// Rows were taken off its end, and what is left had been read. It is read on from there.
    Shortened,
    /// It is long enough, but other bytes stand before the position.
    OtherTail,
    /// It is a generation, and noise was written over it. It is not read.
    Wiped,
}

/// Why a path that the globs name is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// `exclude` names it.
    Excluded,
    /// It ends in `.tmp`: still being written.
    Temporary,
    /// It is a directory, a pipe, a socket or a device.
    NotRegular,
    /// Its name says that it is packed, by another program than gzip or not by a rotation.
    Compressed,
}

/// Why a source cannot go on at all.
#[derive(Debug)]
pub enum SourceError {
    /// A pattern cannot be understood.
    Glob {
        /// The pattern.
        glob: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The process or the system is out of descriptors or memory.
    Exhausted(io::Error),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glob { glob, problem } => {
                write!(f, "the pattern {glob:?} cannot be understood: {problem}")
            }
            Self::Exhausted(error) => {
                write!(
                    f,
                    "no file can be opened: {error}; look at open_files_max and the limits of the service"
                )
            }
        }
    }
}

impl std::error::Error for SourceError {}

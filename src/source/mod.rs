//! Source: which files of a switch are followed, in what order → [`Chunk`]s of complete lines.
//!
//! A source reads; it never writes, and it does not know what a line means. It hands out runs of
//! complete lines of one file at a time, oldest file first, and is told how many bytes of them
//! were understood. What it then calls a [`FilePosition`] is committed by ingest together with
//! the events of those bytes: only complete lines move a position, and only after their commit.

use std::path::Path;
use std::sync::Arc;

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
    /// part of the id of events that have no key of their own.
    pub first_row: [u8; 32],
    /// The lines, each with its line end. Never empty.
    pub bytes: Vec<u8>,
    /// No more lines will follow these in this file, as far as can be told: it has been read to
    /// its end and a newer file of the source exists. An open quote will not be closed any more.
    pub last: bool,
}

/// What a file is known by, whatever it is called: device and inode.
///
/// Not an identity by itself (inodes are used again): [`FilePosition`] holds the content hashes
/// that are checked with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileKey {
    /// Device number of the file system (`st_dev`).
    pub device: u64,
    /// Inode number (`st_ino`).
    pub inode: u64,
}

/// How far one file has been read: what makes the same file known again after a restart, a
/// rename or a rotation, and a different one with the same name or inode not mistaken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePosition {
    /// Device and inode.
    pub key: FileKey,
    /// The path last seen; for messages and `sources`, never for deciding.
    pub path: String,
    /// Offset of the first byte not yet consumed, in the uncompressed file.
    pub offset: u64,
    /// Lines before `offset`, counted from the file's start; `None` when following began in the
    /// middle of a file too long to count.
    pub lines: Option<u64>,
    /// SHA-256 of the first line that is neither blank nor a header, without its line end;
    /// `None` until that line is complete.
    pub first_row: Option<[u8; 32]>,
    /// Offset just after the first row: the part of the file `head` was taken over.
    pub head_bytes: u64,
    /// First 8 bytes of the SHA-256 of the file's first `head_bytes` bytes; zero while there are none.
    pub head: u64,
    /// First 8 bytes of the SHA-256 of the last `tail_bytes` bytes before `offset`.
    pub tail: u64,
    /// How many bytes `tail` was taken over: at most [`TAIL_BYTES_MAX`].
    pub tail_bytes: u16,
    /// How often this inode was found truncated or rewritten: its lives before this one.
    pub life: u32,
}

/// Bytes before a position that are remembered by their hash.
///
/// A rewritten file differs in its last row almost always; the shortest CDR row seen is 70 bytes,
/// so this covers at least three rows.
pub const TAIL_BYTES_MAX: u16 = 256;

/// Where following begins in files that are there when a source is seen for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After the last complete line that is there now.
    Now,
    /// At the first line of every file.
    Beginning,
    /// At the first row whose time is not before this instant (rows are judged by the parser's
    /// reader, whole files by their modification time).
    At(crate::clock::UnixMs),
}

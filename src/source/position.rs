//! Position: how far one file has been read, and what makes that file known again.

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
    /// middle of a file too long to count, and, with an offset of 0, when where to begin is still
    /// to be found because the file could not be read so far.
    pub lines: Option<u64>,
    /// SHA-256 of the first line that is neither blank nor a header nor longer than a line may
    /// be, without its line end, a UTF-8 byte order mark and leading NUL bytes; `None` until that
    /// line has been consumed, or looked at while the file waited to be read.
    pub first_row: Option<[u8; 32]>,
    /// Offset just after the first row, at most [`HEAD_BYTES_MAX`]: the part of the file `head`
    /// was taken over. Where only half a row is there, all of that.
    pub head_bytes: u64,
    /// First 8 bytes of the SHA-256 of the file's first `head_bytes` bytes; zero while there are none.
    pub head: u64,
    /// First 8 bytes of the SHA-256 of the last `tail_bytes` bytes before `offset`; zero while
    /// there are none.
    pub tail: u64,
    /// How many bytes `tail` was taken over: at most [`TAIL_BYTES_MAX`].
    pub tail_bytes: u16,
    /// How often this inode was found truncated or rewritten: its lives before this one.
    pub life: u32,
    /// The packed file whose text has been read to its end, as it was then; `None` for one that
    /// has not, and for files that are not packed.
    pub finished: Option<Finished>,
    /// Bytes that had been seen behind `offset` when this was written down: what is lost if the
    /// file turns out to be cut off, replaced or gone after a restart. Zero in records of an agent
    /// that did not keep it.
    pub unread_bytes: u64,
}

/// A packed file as it was when its text had been read to its end. While it is so, it is not
/// opened again: 400 days of hourly files cost a look at their directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Its length, packed.
    pub bytes: u64,
    /// Nanoseconds since 1970 of its last modification.
    pub modified_ns: i64,
}

impl FilePosition {
    /// The start of a file of which nothing has been read in this life.
    pub fn start_of(key: FileKey, path: String, life: u32) -> FilePosition {
        FilePosition {
            key,
            path,
            offset: 0,
            lines: Some(0),
            first_row: None,
            head_bytes: 0,
            head: 0,
            tail: 0,
            tail_bytes: 0,
            life,
            finished: None,
            unread_bytes: 0,
        }
    }

    /// Of a file that is a whole by itself, a document or a recording: when its status changed last,
    /// in nanoseconds since 1970. `None` for files of lines, whose tail has a length or is zero.
    pub fn whole_changed_ns(&self) -> Option<i64> {
        (self.tail_bytes == 0 && self.tail != 0).then_some(self.tail.cast_signed())
    }
}

/// Bytes before a position that are remembered by their hash.
///
/// A rewritten file differs in its last row almost always; the shortest CDR row seen is 70 bytes,
/// so this covers at least three rows.
pub const TAIL_BYTES_MAX: u16 = 256;

/// Bytes at the start of a file that are remembered by their hash.
///
/// The longest header known is 2,000 bytes and the widest row 1.1 KiB; a file that begins with
/// megabytes of junk must not cost that much reading each time it is recognised.
pub const HEAD_BYTES_MAX: u64 = 64 << 10;

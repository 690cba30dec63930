//! Source: which files of a switch are followed, in what order → [`Chunk`]s of complete lines.
//!
//! A source reads; it never writes, and it does not know what a line means. It hands out runs of
//! complete lines of one file at a time, oldest file first, and is told how many bytes of them
//! were understood. What it then calls a [`FilePosition`] is committed by ingest together with
//! the events of those bytes: only complete lines move a position, and only after their commit.

mod identity;
pub mod listing;
mod tail;
mod watch;

pub use watch::{Heard, Watch};

use crate::clock::{Moment, UnixMs};
use listing::Found;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tail::{Tail, Taken};

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
    /// The path last seen; for messages, never for deciding.
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
    At(UnixMs),
}

/// Longest line accepted where the configuration says nothing, in bytes with its line end.
///
/// The widest row known is 1.1 KiB; sixty times that, so only a broken file can reach it. A longer
/// line is set aside without ever being held in memory.
pub const LINE_BYTES_MAX_DEFAULT: usize = 64 << 10;

/// Most files held open by one source where the configuration says nothing.
pub const OPEN_FILES_MAX_DEFAULT: usize = 256;

/// How long a file that is gone is remembered: it may come back under a name that the globs match,
/// as when a rotation is under way, or a network file system has lost sight of it for a while.
const GONE_GRACE: Duration = Duration::from_secs(3_600);

/// What a source follows, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The source's name.
    pub name: Arc<str>,
    /// Globs of the files.
    pub files: Vec<String>,
    /// Globs of files to leave out.
    pub exclude: Vec<String>,
    /// Where following begins in files that are there when the source is new.
    pub start: Start,
    /// Longest line accepted, in bytes with its line end.
    pub line_max: usize,
    /// Most files held open at a time; at least 1.
    pub open_files_max: usize,
}

/// Tells whether a line holds column names; the second argument says that it is the file's first.
/// Asked for the lines before a file's first row.
pub type HeaderTest = Box<dyn Fn(&[u8], bool) -> bool + Send>;

/// What a source has to read.
#[derive(Debug)]
pub enum Piece {
    /// Complete lines; to be answered with [`Source::consumed`].
    Lines(Chunk),
    /// A line longer than allowed was passed over; its position is to be committed.
    Oversized {
        /// The file's path.
        path: Arc<Path>,
        /// Offset of the line's first byte.
        offset: u64,
        /// Its number, from 1, where it is known.
        line: Option<u64>,
        /// Its length in bytes, line end included.
        bytes: u64,
        /// The position behind it.
        position: FilePosition,
    },
}

/// Something an operator should hear about a file, once.
#[derive(Debug)]
pub enum Change {
    /// It was not there before.
    Appeared(PathBuf),
    /// It was truncated or rewritten and is read from its beginning; up to `gap_bytes` bytes may
    /// have been written and lost in between (0 when it is known that nothing was).
    Rewritten {
        /// The file's path.
        path: PathBuf,
        /// Bytes known to have been there and never read.
        gap_bytes: u64,
    },
    /// It was deleted with `unread_bytes` bytes that were never read.
    Lost {
        /// The file's path when it was last seen.
        path: PathBuf,
        /// Bytes never read.
        unread_bytes: u64,
    },
    /// It cannot be read now; it is tried again at every look.
    Unreadable {
        /// The file's path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It can be read again.
    Readable(PathBuf),
}

/// What a look at the files found.
#[derive(Debug, Default)]
pub struct Looked {
    /// What an operator should hear about.
    pub changes: Vec<Change>,
    /// Positions to be committed though no row was read.
    pub positions: Vec<FilePosition>,
    /// Files gone for long: their positions are to be removed.
    pub forgotten: Vec<FileKey>,
}

/// A configured set of files, being followed.
pub struct Source {
    settings: Settings,
    is_header: HeaderTest,
    known: HashMap<FileKey, Known>,
    /// Files that may have unread bytes, oldest first.
    ready: BTreeSet<Rank>,
    /// The newest file's rank: every older one will not grow any more, as far as can be told.
    newest: Option<Rank>,
    /// Descriptors open now.
    open: usize,
    /// Whether the source has been followed before: `start` then means nothing.
    seen_before: bool,
    /// Files opened so far; for measuring.
    opens: u64,
}

/// The order of files: by the time they were last written to when first seen, then by name.
type Rank = (i64, Arc<Path>, FileKey);

/// What is known of a file.
struct Known {
    position: FilePosition,
    path: Arc<Path>,
    rank: Rank,
    /// Size and time of writing when it was last looked at.
    size: u64,
    written_ns: i64,
    /// Whether its content was compared with the position since the agent started.
    verified: bool,
    tail: Option<Tail>,
    /// When it was last handed out; the least recent descriptors are closed first.
    used: u64,
    gone_since: Option<Moment>,
    troubled: bool,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("settings", &self.settings)
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}

impl Source {
    /// A source that goes on at the `remembered` positions. `seen_before` says that it has been
    /// followed before, so that every file without a position is new.
    pub fn open(
        settings: Settings,
        is_header: HeaderTest,
        remembered: Vec<FilePosition>,
        seen_before: bool,
    ) -> Source {
        let known = remembered.into_iter().map(|position| {
            let path: Arc<Path> = Arc::from(Path::new(&position.path));
            let rank = (0, Arc::clone(&path), position.key);
            let known = Known {
                path,
                rank,
                size: position.offset,
                written_ns: 0,
                verified: false,
                tail: None,
                used: 0,
                gone_since: None,
                troubled: false,
                position,
            };
            (known.position.key, known)
        });
        Source {
            settings,
            is_header,
            known: known.collect(),
            ready: BTreeSet::new(),
            newest: None,
            open: 0,
            seen_before,
            opens: 0,
        }
    }

    /// The source's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many files have been opened so far.
    pub fn opens(&self) -> u64 {
        self.opens
    }

    /// Looks at the files: which are new, which have grown, which are not what they were.
    ///
    /// Costs a listing and a `stat` per file; only files that changed are opened.
    pub fn look(&mut self, now: Moment) -> Looked {
        let mut looked = Looked::default();
        let found = listing::list(&self.settings.files, &self.settings.exclude);
        let here: HashSet<FileKey> = found.iter().map(|found| found.key).collect();
        for found in found {
            self.meet(found, &mut looked);
        }
        self.seen_before = true;
        self.look_for_the_gone(&here, now, &mut looked);
        let newest = self
            .known
            .values()
            .filter(|known| known.gone_since.is_none())
            .map(|known| known.rank.clone())
            .max();
        if newest != self.newest {
            // What waited for a quote to close may now be in a file that is finished.
            let waiting = self
                .known
                .values()
                .filter(|known| known.tail.is_some() && known.size > known.position.offset);
            self.ready.extend(waiting.map(|known| known.rank.clone()));
            self.newest = newest;
        }
        looked
    }

    /// Looks only at the files that are open and at the newest one, whose growth a [`Watch`] has
    /// told of. Costs nothing for all the others, however many there are.
    pub fn glance(&mut self) {
        let newest = self.newest.as_ref().map(|(_, _, key)| *key);
        for (key, known) in &mut self.known {
            let size = match &known.tail {
                Some(tail) if tail.is_still_there() => tail.size(),
                Some(_) => None, // Rewritten: a matter for the next look.
                None if newest == Some(*key) => std::fs::metadata(&known.path)
                    .ok()
                    .map(|metadata| metadata.len()),
                None => None,
            };
            if let Some(size) = size.filter(|size| *size > known.size && !known.troubled) {
                known.size = size;
                self.ready.insert(known.rank.clone());
            }
        }
    }

    /// Takes note of one file that the globs match.
    fn meet(&mut self, found: Found, looked: &mut Looked) {
        let Some(known) = self.known.get_mut(&found.key) else {
            self.meet_new(found, looked);
            return;
        };
        known.gone_since = None;
        let renamed = *known.path != *found.path;
        if renamed {
            known.path = Arc::clone(&found.path);
            known.position.path = shown(&found.path);
        }
        let unchanged = known.size == found.size && known.written_ns == found.written_ns;
        if known.verified && unchanged && !known.troubled {
            return;
        }
        if !known.verified {
            self.ready.remove(&known.rank);
            known.rank = (found.written_ns, Arc::clone(&found.path), found.key);
        }
        let same = if known
            .tail
            .as_ref()
            .is_some_and(Tail::holds_more_than_the_position)
            && found.size >= known.position.offset
        {
            Ok(true) // Bytes read ahead wait in memory; the content is compared again when they are gone.
        } else {
            self.opens += u64::from(known.tail.is_none());
            File::open(&*found.path)
                .and_then(|file| identity::is_same(&file, found.key, found.size, &known.position))
        };
        let same = match same {
            Ok(same) => same,
            Err(error) => {
                trouble(known, error, looked);
                return;
            }
        };
        if std::mem::take(&mut known.troubled) {
            looked
                .changes
                .push(Change::Readable(found.path.to_path_buf()));
        }
        if !same {
            let gap_bytes = if known.verified {
                known.size.saturating_sub(known.position.offset)
            } else {
                0
            };
            looked.changes.push(Change::Rewritten {
                path: found.path.to_path_buf(),
                gap_bytes,
            });
            let life = known.position.life + 1;
            known.position = FilePosition::beginning(found.key, &found.path, life);
            self.open -= usize::from(known.tail.take().is_some());
        }
        known.verified = true;
        known.size = found.size;
        known.written_ns = found.written_ns;
        if known.size > known.position.offset {
            self.ready.insert(known.rank.clone());
        }
    }

    fn meet_new(&mut self, found: Found, looked: &mut Looked) {
        let mut position = FilePosition::beginning(found.key, &found.path, 0);
        let mut troubled = false;
        if !self.seen_before {
            let skipped = match self.settings.start {
                Start::Beginning => None,
                Start::Now => Some(()),
                Start::At(instant) => (found.written_ns / 1_000_000 < instant.0).then_some(()),
            };
            if skipped.is_some() {
                self.opens += 1;
                match File::open(&*found.path).and_then(|file| {
                    identity::at_last_line_end(
                        &file,
                        found.size,
                        self.settings.line_max,
                        &self.is_header,
                    )
                }) {
                    Ok(end) => {
                        position = FilePosition {
                            key: found.key,
                            path: shown(&found.path),
                            ..end
                        };
                        looked.positions.push(position.clone());
                    }
                    Err(error) => {
                        // Read from the beginning once it can be: too much beats too little.
                        looked.changes.push(Change::Unreadable {
                            path: found.path.to_path_buf(),
                            error,
                        });
                        troubled = true;
                    }
                }
            }
        } else {
            looked
                .changes
                .push(Change::Appeared(found.path.to_path_buf()));
        }
        let rank = (found.written_ns, Arc::clone(&found.path), found.key);
        if found.size > position.offset && !troubled {
            self.ready.insert(rank.clone());
        }
        let known = Known {
            position,
            path: found.path,
            rank,
            size: found.size,
            written_ns: found.written_ns,
            verified: true,
            tail: None,
            used: 0,
            gone_since: None,
            troubled,
        };
        self.known.insert(found.key, known);
    }

    /// Files that no glob matches any more: read to their end while they are open, then forgotten.
    fn look_for_the_gone(&mut self, here: &HashSet<FileKey>, now: Moment, looked: &mut Looked) {
        let mut forgotten = Vec::new();
        for (key, known) in self.known.iter_mut().filter(|(key, _)| !here.contains(key)) {
            let since = *known.gone_since.get_or_insert(now);
            if let Some(size) = known.tail.as_ref().and_then(Tail::size) {
                known.size = size.max(known.position.offset);
                if known.size > known.position.offset {
                    self.ready.insert(known.rank.clone());
                    continue;
                }
            } else if since == now && known.verified && known.size > known.position.offset {
                let unread_bytes = known.size - known.position.offset;
                looked.changes.push(Change::Lost {
                    path: known.path.to_path_buf(),
                    unread_bytes,
                });
            }
            if now.since(since) >= GONE_GRACE {
                forgotten.push(*key);
            }
        }
        for key in forgotten {
            if let Some(known) = self.known.remove(&key) {
                self.ready.remove(&known.rank);
                self.open -= usize::from(known.tail.is_some());
                looked.forgotten.push(key);
            }
        }
    }

    /// The next complete lines of the oldest file that has any, about `bytes_max` bytes at most;
    /// `None` when there is nothing more to read now. Files that cannot be read are told in
    /// `looked`, and tried again after the next look.
    pub fn read(&mut self, bytes_max: usize, looked: &mut Looked) -> Option<Piece> {
        while let Some(rank) = self.ready.first().cloned() {
            match self.read_file(&rank, bytes_max) {
                Ok(Some(piece)) => return Some(piece),
                Ok(None) => {}
                Err(error) => {
                    if let Some(known) = self.known.get_mut(&rank.2) {
                        trouble(known, error, looked);
                    }
                }
            }
            self.ready.remove(&rank);
        }
        None
    }

    fn read_file(&mut self, rank: &Rank, bytes_max: usize) -> io::Result<Option<Piece>> {
        if self
            .known
            .get(&rank.2)
            .is_some_and(|known| known.tail.is_none())
        {
            self.close_the_least_recent();
        }
        let older = self.newest.as_ref().is_some_and(|newest| rank < newest);
        let Some(known) = self.known.get_mut(&rank.2) else {
            return Ok(None);
        };
        if known.tail.is_none() {
            self.opens += 1;
            self.open += 1;
            known.tail = Some(Tail::open(&known.path, &known.position)?);
        }
        known.used = self.opens;
        let Some(tail) = &mut known.tail else {
            return Ok(None);
        };
        let finished = older || known.gone_since.is_some();
        let taken = tail.take(
            bytes_max.max(self.settings.line_max + 1),
            self.settings.line_max,
            finished,
        )?;
        let Some(taken) = taken else {
            return Ok(None);
        };
        match taken {
            Taken::Lines { bytes, last } => {
                tail.learn_first_row(&bytes, &mut known.position, &self.is_header)?;
                let chunk = Chunk {
                    file: rank.2,
                    path: Arc::clone(&known.path),
                    offset: known.position.offset,
                    line: known.position.lines.map_or(0, |lines| lines + 1),
                    first_row: known.position.first_row.unwrap_or_default(),
                    bytes,
                    last,
                };
                Ok(Some(Piece::Lines(chunk)))
            }
            Taken::Oversized { bytes } => {
                let offset = known.position.offset;
                let line = known.position.lines.map(|lines| lines + 1);
                tail.pass(bytes, &mut known.position, 1)?;
                let position = known.position.clone();
                Ok(Some(Piece::Oversized {
                    path: Arc::clone(&known.path),
                    offset,
                    line,
                    bytes,
                    position,
                }))
            }
        }
    }

    /// The first `bytes` bytes, `lines` lines, of the last chunk of `file` were understood. The
    /// position behind them is to be committed; what remains is handed out again.
    pub fn consumed(&mut self, file: FileKey, bytes: usize, lines: u64) -> Option<FilePosition> {
        let known = self.known.get_mut(&file)?;
        known
            .tail
            .as_mut()?
            .consume(bytes, &mut known.position, lines);
        Some(known.position.clone())
    }

    /// Files known, and bytes not yet read of them.
    pub fn lag(&self) -> (usize, u64) {
        let unread = self
            .known
            .values()
            .map(|known| known.size.saturating_sub(known.position.offset))
            .sum();
        (self.known.len(), unread)
    }

    /// Makes room for one more descriptor: closes the one used least recently, unless its file is
    /// gone and could not be opened again.
    fn close_the_least_recent(&mut self) {
        while self.open >= self.settings.open_files_max.max(1) {
            let closable = |known: &&mut Known| known.tail.is_some();
            let least = self
                .known
                .values_mut()
                .filter(closable)
                .min_by_key(|known| (known.gone_since.is_some(), known.used));
            let Some(known) = least else { return };
            known.tail = None;
            self.open -= 1;
        }
    }
}

impl FilePosition {
    /// The beginning of a file that was never read.
    fn beginning(key: FileKey, path: &Path, life: u32) -> FilePosition {
        FilePosition {
            key,
            path: shown(path),
            offset: 0,
            lines: Some(0),
            first_row: None,
            head_bytes: 0,
            head: 0,
            tail: 0,
            tail_bytes: 0,
            life,
        }
    }
}

/// A path as text, for messages.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Notes that a file cannot be read, once.
fn trouble(known: &mut Known, error: io::Error, looked: &mut Looked) {
    known.tail = None;
    if !std::mem::replace(&mut known.troubled, true) {
        looked.changes.push(Change::Unreadable {
            path: known.path.to_path_buf(),
            error,
        });
    }
}

#[cfg(test)]
mod tests;

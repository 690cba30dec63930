//! Source: which files of a switch are followed, in what order → [`Chunk`]s of complete lines.
//!
//! A source reads; it never writes, and it does not know what a line means. It hands out runs of
//! complete lines of one file at a time, oldest file first, and is told how many bytes of them
//! were understood. What it then calls a [`FilePosition`] is committed by ingest together with
//! the events of those bytes: only complete lines move a position, and only after their commit.
//!
//! **Identity.** Names mean nothing. A file is known by device and inode, by the hash of its head
//! through its first row, and by the hash of the last bytes before its position; all three are
//! compared when a file is met after a start and when it changes without growing, the last of them
//! before each read of a file that has grown. A file that does not match begins a new life at 0.
//!
//! **What cannot be promised.** Rows written and truncated away between two looks were never seen;
//! while the agent runs, about how many is told by how fast the file grew.
//! A file truncated and written again with the same bytes before the position is taken for the
//! same file, and one overwritten in place between the check and the read for the old one. A copy
//! of a file has another inode. When it has the name of a rotated generation it is known by its
//! content and read on from where the file was read to; otherwise its rows are handed out again,
//! at the same offsets after the same first row, so that their events have the same ids.
//! A file from whose front rows were taken is known by the bytes before its position, which stand
//! elsewhere now; one of more than 16 MiB, or of the same rows over and over, is read from its start.

mod appended;
mod change;
mod compared;
mod doubts;
mod family;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod growth;
mod gunzip;
mod hidden;
mod hold;
mod identity;
mod kin;
mod known;
mod lines;
pub mod listing;
mod look;
mod losses;
mod noise;
mod order;
mod overlap;
mod past;
mod position;
mod read;
mod rewritten;
mod rotated;
mod start;
mod status;
mod tail;
mod trimmed;
mod walk;
mod watch;
mod window;

#[cfg(test)]
mod tests;

pub use change::{Change, Gap, GapCause, Looked, Rewrite, Skip, SourceError};
pub use identity::{FirstRow, HeaderTest};
pub use listing::FILES_FOLLOWED_MAX;
pub use look::FILES_REMEMBERED_MAX;
pub use position::{FileKey, FilePosition, Finished, HEAD_BYTES_MAX, TAIL_BYTES_MAX};
pub use read::{Chunk, Oversized, Piece};
pub use rotated::Rotated;
pub use status::{FileLag, FileState, FileStatus, Lag, PartialLine, WAITING_LONG, Waiting};
pub use watch::{Changed, WATCHES_MAX, Watch, WatchProblem};

use crate::clock::UnixMs;
use family::Families;
use hidden::Hidden;
use known::{Known, Presence};
use losses::Newcomer;
use order::Age;
use past::Past;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tail::Tails;
use window::Window;

/// Longest line unless the configuration says otherwise, in bytes, its line end included: the
/// widest CDR row known is 1.1 KiB, a JSON record with every variable of a call some 30 KiB.
pub const LINE_BYTES_MAX_DEFAULT: usize = 64 << 10;

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

/// Which files a source follows, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The source's name.
    pub name: Arc<str>,
    /// Globs of the files: `*`, `?`, `[]`, `**`.
    pub files: Vec<String>,
    /// Globs of paths to pass over; one without a `/` is compared with the file's name alone.
    pub exclude: Vec<String>,
    /// Where following begins in the files that are there at the first look of all.
    pub start: Start,
    /// Longest line in bytes, its line end included; at least 1. Longer ones are passed over.
    pub line_max: usize,
    /// Most files held open at a time; at least 1.
    pub open_files_max: usize,
    /// Where the generations that rotations leave behind are.
    pub rotated: Rotated,
    /// Rows tell how something stands, and are written again with what has changed, as an export of
    /// balances is: a file that is written anew is read from its start, for one of which the beginning
    /// and the end are what they were may have changed rows between them.
    pub rows_change: bool,
    /// How long a deleted file that has not been read to its end is kept open.
    pub deleted_keep: Duration,
    /// How many bytes such files may keep from the disk together.
    pub deleted_keep_bytes: u64,
}

/// A source's share of the files that all sources hold open together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// See [`Settings::open_files_max`].
    pub open_files_max: usize,
    /// See [`Settings::deleted_keep`].
    pub deleted_keep: Duration,
    /// See [`Settings::deleted_keep_bytes`].
    pub deleted_keep_bytes: u64,
}

/// How long a deleted but unread file is kept open unless the configuration says otherwise.
pub const DELETED_KEEP_DEFAULT: Duration = Duration::from_secs(3_600);

/// How many bytes deleted but unread files may keep from the disk unless the configuration says
/// otherwise.
pub const DELETED_KEEP_BYTES_DEFAULT: u64 = 256 << 20;

impl Settings {
    /// The source `name`, which follows `files` from now on, with all else as when the
    /// configuration says nothing.
    pub fn of(name: &str, files: Vec<String>) -> Settings {
        Settings {
            name: name.into(),
            files,
            exclude: Vec::new(),
            start: Start::Now,
            line_max: LINE_BYTES_MAX_DEFAULT,
            open_files_max: 256,
            rotated: Rotated::default(),
            rows_change: false,
            deleted_keep: DELETED_KEEP_DEFAULT,
            deleted_keep_bytes: DELETED_KEEP_BYTES_DEFAULT,
        }
    }

    /// Its share of the files held open.
    pub fn share(&self) -> Share {
        Share {
            open_files_max: self.open_files_max,
            deleted_keep: self.deleted_keep,
            deleted_keep_bytes: self.deleted_keep_bytes,
        }
    }

    /// Gives it another share of them.
    pub fn set_share(&mut self, share: Share) {
        self.open_files_max = share.open_files_max;
        self.deleted_keep = share.deleted_keep;
        self.deleted_keep_bytes = share.deleted_keep_bytes;
    }

    /// The globs of the generations that rotations leave behind.
    pub fn generations(&self) -> Vec<String> {
        match &self.rotated {
            Rotated::Given(globs) => globs.clone(),
            Rotated::Derived => {
                let files = self.files.iter();
                files.flat_map(|glob| rotated::derive(glob)).collect()
            }
        }
    }
}

/// A configured set of files, and how far each was read.
pub struct Source {
    settings: Settings,
    is_header: HeaderTest,
    files: HashMap<FileKey, Known>,
    /// The lives of files that are over, for the copies that rotations made of them.
    pasts: Vec<Past>,
    /// Files that were compared and are read whole, or are copies of what is read.
    newcomers: Vec<Newcomer>,
    /// Files that are new, or were found to be others under inodes that were known, and are still to
    /// be compared with those whose names they have.
    reborn: Vec<FileKey>,
    /// The files that may have something to hand out, oldest first. A read takes the first, so
    /// it costs the same however many files are known.
    unread: BTreeSet<Age>,
    /// There is room to have more kept than positions that move.
    has_room_to_keep: bool,
    /// The youngest file: those before it are complete once they are quiet.
    newest: Option<Age>,
    tails: Tails,
    window: Window,
    /// What was handed out and not answered for.
    handed: Option<Handed>,
    /// Looks that listed the files.
    looks: u64,
    /// When the last of them was.
    looked_at: UnixMs,
    /// New files are still subject to [`Settings::start`].
    start_applies: bool,
    /// What was out of sight at the first look of all and still is: what is found in it is subject
    /// to [`Settings::start`].
    unplaced_under: Hidden,
    /// To be told by the next look.
    untold: Looked,
    /// Likewise: the first of the files that became unreadable, and how many did. One message
    /// for each of a year of hourly files would hide every other.
    untold_unreadable: Option<(Arc<Path>, io::Error, usize)>,
    /// Likewise for those that became readable again.
    untold_readable: Option<(Arc<Path>, usize)>,
    /// What was reported and has not been mended.
    unreadable_paths: BTreeSet<PathBuf>,
    skips_told: BTreeSet<Skip>,
    too_many_told: bool,
    /// Which files are of one name, at this look.
    families: Option<Arc<Families>>,
    /// Bytes that it has gone through for files that begin within others.
    overlap_bytes: u64,
}

/// The lines handed out last.
#[derive(Debug, Clone, Copy)]
struct Handed {
    key: FileKey,
    bytes: usize,
    last: bool,
}

impl Source {
    /// A source that goes on from the `remembered` positions. Nothing is read before the first
    /// [`Source::look`].
    ///
    /// `seen_before` says that the queue knows the source, even if no position of it is left:
    /// otherwise [`Settings::start`] applies to the files that are there at the first look, and to
    /// those that were out of sight then, once they can be seen. Files that appear later are read
    /// from their beginning.
    pub fn open(
        settings: Settings,
        is_header: HeaderTest,
        remembered: Vec<FilePosition>,
        seen_before: bool,
    ) -> Source {
        let known = remembered
            .into_iter()
            .map(|position| (position.key, Known::remembered(position)));
        Source {
            files: known.collect(),
            pasts: Vec::new(),
            newcomers: Vec::new(),
            reborn: Vec::new(),
            unread: BTreeSet::new(),
            has_room_to_keep: true,
            newest: None,
            tails: Tails::new(settings.open_files_max),
            window: Window::default(),
            handed: None,
            looks: 0,
            looked_at: UnixMs::default(),
            start_applies: !seen_before,
            unplaced_under: Hidden::default(),
            untold: Looked::default(),
            untold_unreadable: None,
            untold_readable: None,
            unreadable_paths: BTreeSet::new(),
            skips_told: BTreeSet::new(),
            too_many_told: false,
            families: None,
            overlap_bytes: 0,
            settings,
            is_header,
        }
    }

    /// Gives it another share of the files held open. Those beyond it are closed, the ones that can be
    /// opened again first; all else goes on as it is.
    pub fn reshare(&mut self, share: Share) {
        self.settings.set_share(share);
        self.tails.set_most(share.open_files_max);
    }

    /// A second source that hands out what the file of `origin` holds behind it, and nothing of
    /// any other file; it has looked, at the time `wall`. This one is not touched by that.
    ///
    /// The file is the one that is known by everything `origin` remembers of it, whatever it is
    /// called by now. Where there is none, nothing is handed out.
    pub fn again(&self, origin: &FilePosition, wall: UnixMs) -> Source {
        let settings = self.settings.clone();
        let header = Arc::clone(&self.is_header);
        let mut again = Source::open(settings, header, vec![origin.clone()], true);
        // What cannot be listed hands out nothing; whoever asks says so.
        let _looked = again.look(wall);
        let is_it = |position: &FilePosition| {
            let same_head = position.head_bytes > 0
                && (position.head, position.head_bytes) == (origin.head, origin.head_bytes);
            position.key == origin.key || same_head
        };
        let others = again
            .files
            .iter()
            .filter(|(_, known)| !is_it(&known.position));
        let others: Vec<FileKey> = others.map(|(&key, _)| key).collect();
        for key in others {
            if let Some(age) = again.files.remove(&key).and_then(|known| known.unread_as) {
                again.unread.remove(&age);
            }
        }
        again
    }

    /// Takes in that the first `bytes` bytes of the lines handed out last, in which `lines` lines
    /// end, were understood; what remains is handed out again by the next read. Returns the
    /// position to commit together with what was made of those bytes.
    ///
    /// With 0 bytes the file rests until it has more lines, or until no more can be expected.
    ///
    /// # Panics
    ///
    /// When `file` was never handed out, or `bytes` is more than was.
    pub fn consumed(&mut self, file: FileKey, bytes: usize, lines: u32) -> FilePosition {
        self.supersede(file);
        let known = self
            .files
            .get_mut(&file)
            .expect("a file stays known while its lines are out");
        if let Some(handed) = self.handed.take_if(|handed| handed.key == file) {
            assert!(
                bytes <= handed.bytes,
                "{bytes} bytes consumed of {} handed out",
                handed.bytes
            );
            self.window.pass(bytes);
            known.advance(bytes as u64, u64::from(lines), self.window.recent());
            let nothing_consumed = bytes == 0;
            known.stuck = nothing_consumed.then_some(known::Stuck {
                bytes: handed.bytes,
                was_last: handed.last,
            });
        }
        known.kept()
    }

    /// Whether the file has made way for a newer one: it has the name of a rotated generation, or none
    /// any more.
    pub fn has_made_way(&self, file: FileKey) -> bool {
        let known = self.files.get(&file);
        known.is_some_and(|known| known.is_rotated || known.presence == Presence::Unlisted)
    }

    /// Has the next read hand out again what nothing was consumed of, as if the file were longer;
    /// false where there is no such file.
    pub fn hand_out_again(&mut self, file: FileKey) -> bool {
        let Some(known) = self.files.get_mut(&file) else {
            return false;
        };
        known.stuck = None;
        known.end_seen = known.position.offset;
        self.enqueue(file);
        true
    }

    /// Whether the source may count as seen from now on: false until [`Settings::start`] has been
    /// applied, which it has not while a directory that its globs begin with, or every file of it,
    /// is out of sight.
    ///
    /// An unreadable directory beside files that are followed does not hold this back: if it did,
    /// every start of the agent would be the first, and files that appeared while it was down
    /// would be passed over.
    pub fn is_placed(&self) -> bool {
        let hides_a_glob = || listing::hides_a_base(&self.unplaced_under, &self.settings.files);
        let is_in_sight =
            self.unplaced_under.is_empty() || !(self.files.is_empty() || hides_a_glob());
        !self.start_applies && is_in_sight
    }

    /// How often a file was opened so far: quiet files cost none.
    pub fn opens(&self) -> u64 {
        self.tails.opens()
    }

    /// Puts the file into its place among those with something to read, or takes it out.
    fn enqueue(&mut self, key: FileKey) {
        let Some(known) = self.files.get_mut(&key) else {
            return;
        };
        let wanted = known.has_unread().then(|| known.age());
        if known.presence == Presence::Unlisted {
            self.tails.set_needed(key, known.may_have_rows());
        }
        if known.unread_as != wanted {
            if let Some(age) = known.unread_as.take() {
                self.unread.remove(&age);
            }
            self.unread.extend(wanted.clone());
            known.unread_as = wanted;
        }
    }

    /// Sets the file aside until a later look tries it again; reports it unless that was done.
    fn park(&mut self, key: FileKey, error: io::Error) {
        if let Some(known) = self.files.get_mut(&key) {
            known.parked_at = Some(self.looked_at);
            if !std::mem::replace(&mut known.told_unreadable, true) {
                let path = Arc::clone(&known.path);
                self.tell_unreadable(path, error);
            }
        }
        self.enqueue(key);
    }

    /// Has the next look tell that `path` cannot be read.
    fn tell_unreadable(&mut self, path: Arc<Path>, error: io::Error) {
        match &mut self.untold_unreadable {
            Some((_, _, count)) => *count += 1,
            none => *none = Some((path, error, 1)),
        }
    }

    /// Has the next look tell that `path` can be read again, or is gone.
    fn tell_readable(&mut self, path: Arc<Path>) {
        match &mut self.untold_readable {
            Some((_, count)) => *count += 1,
            none => *none = Some((path, 1)),
        }
    }

    /// The caller gets a later position of the file than the one the next look would tell.
    fn supersede(&mut self, key: FileKey) {
        let positions = &mut self.untold.positions;
        positions.retain(|position| position.key != key);
    }

    /// What the window holds of the file, and what was handed out of it, may not be so any more.
    fn distrust(&mut self, key: FileKey) {
        self.window.forget_file(key);
        self.tails.forget_unpacked(key);
        self.handed = self.handed.take().filter(|handed| handed.key != key);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("settings", &self.settings)
            .field("files", &self.files.len())
            .field("unread", &self.unread)
            .field("tails", &self.tails)
            .finish_non_exhaustive()
    }
}

//! Tail: one open file of a source, and the bounded set of them.

use super::FileKey;
use super::gunzip::{Ending, Gunzip};
use super::listing::{key_of, modified_ns_of};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// One open file. It stays the same file however its name is changed or removed.
#[derive(Debug)]
pub struct Tail {
    file: Arc<File>,
    /// What is in it is packed.
    is_packed: bool,
    /// When it was last asked for, by count.
    used: u64,
    /// Its name is gone: closed, it could not be opened again.
    pub unlisted: bool,
    /// Its name is gone, and rows in it are still to be read.
    is_needed: bool,
}

/// Why a file was not opened, or could not be read.
#[derive(Debug)]
pub enum TailError {
    /// The path leads nowhere or to another file by now: the next look finds out more.
    Moved,
    /// This file cannot be read.
    Unreadable(io::Error),
    /// The process or the system is out of descriptors or memory: no file can be opened.
    Exhausted(io::Error),
}

impl Tail {
    /// Opens the file at `path`, the text of which `is_packed` or not, if it is still the one known as
    /// `key`. Never waits, whatever the path leads to by now.
    ///
    /// # Errors
    ///
    /// See [`TailError`].
    pub fn open(path: &Path, key: FileKey, is_packed: bool) -> Result<Tail, TailError> {
        let file = open_to_read(path)?;
        if key_of(&file.metadata()?) == key {
            Ok(Tail {
                file: Arc::new(file),
                is_packed,
                used: 0,
                unlisted: false,
                is_needed: false,
            })
        } else {
            Err(TailError::Moved)
        }
    }

    /// Bytes, and nanoseconds since 1970 of the last modification.
    ///
    /// # Errors
    ///
    /// When the system does not say, as on a network file system that is away.
    pub fn size_and_modified_ns(&self) -> io::Result<(u64, i64)> {
        let meta = self.file.metadata()?;
        Ok((meta.len(), modified_ns_of(&meta)))
    }
}

/// Never waits, whatever the path leads to by now.
fn open_to_read(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits()).open(path)
}

/// Whether the file at `path` begins as what gzip has packed does (RFC 1952, 2.3.1: two bytes for the
/// format, one for the method). No text begins so: the second is no character in any encoding that a
/// row has. One that cannot be read does not; nor does one that is empty.
///
/// # Errors
///
/// [`TailError::Exhausted`] alone.
pub fn begins_packed(path: &Path) -> Result<bool, TailError> {
    let mut start = [0; 3];
    let file = open_to_read(path).and_then(|file| file.read_exact_at(&mut start, 0));
    match file.map_err(TailError::from) {
        Err(TailError::Exhausted(error)) => Err(TailError::Exhausted(error)),
        Err(TailError::Moved | TailError::Unreadable(_)) => Ok(false),
        Ok(()) => Ok(start == [0x1f, 0x8b, 8]),
    }
}

/// What is in an open file: its bytes, or the text that is packed in them.
#[derive(Debug)]
pub enum Content<'a> {
    /// As it stands.
    Plain {
        /// The file.
        file: &'a File,
        /// Where [`Read`] goes on.
        at: u64,
    },
    /// Made by gzip.
    Packed {
        /// What unpacks it.
        gunzip: &'a mut Gunzip,
        /// Where [`Read`] goes on.
        at: u64,
    },
}

impl<'a> Content<'a> {
    /// What is in a file that is not packed.
    pub fn plain(file: &'a File) -> Content<'a> {
        Content::Plain { file, at: 0 }
    }

    fn packed(gunzip: &'a mut Gunzip) -> Content<'a> {
        Content::Packed { gunzip, at: 0 }
    }

    /// Reads what stands at `offset`; a read that gives less than asked for met the end.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Packed { gunzip, .. } => gunzip.read_at(buffer, offset),
            Self::Plain { file, .. } => loop {
                match file.read_at(buffer, offset) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => return result,
                }
            },
        }
    }

    /// How long it is; of a packed one its text, which is unpacked for that to where it ends.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn length(&mut self) -> io::Result<u64> {
        if matches!(self, Self::Packed { .. }) {
            io::copy(self, &mut io::sink())?;
        }
        self.seek(SeekFrom::End(0))
    }

    /// How a packed file ends, as far as it was read; `None` for one that is not packed.
    pub fn ending(&self) -> Option<Ending> {
        match self {
            Self::Plain { .. } => None,
            Self::Packed { gunzip, .. } => Some(gunzip.ending()),
        }
    }

    /// The last modification, in nanoseconds since 1970, of a file of `size` bytes; `None` for
    /// one of another size, and for a packed one.
    pub fn modified_ns_at(&self, size: u64) -> Option<i64> {
        let Self::Plain { file, .. } = self else {
            return None;
        };
        let meta = file.metadata().ok()?;
        (meta.len() == size).then(|| modified_ns_of(&meta))
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let from = match self {
            Self::Plain { at, .. } | Self::Packed { at, .. } => *at,
        };
        let count = self.read_at(buffer, from)?;
        match self {
            Self::Plain { at, .. } | Self::Packed { at, .. } => *at += count as u64,
        }
        Ok(count)
    }
}

/// The end of a packed file is where it has been unpacked to.
impl Seek for Content<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (end, at) = match self {
            Self::Plain { file, at } => (file.metadata()?.len(), at),
            Self::Packed { gunzip, at } => (gunzip.end(), at),
        };
        let moved = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(by) => end.checked_add_signed(by),
            SeekFrom::Current(by) => at.checked_add_signed(by),
        };
        *at = moved.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(*at)
    }
}

impl From<io::Error> for TailError {
    fn from(error: io::Error) -> TailError {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ESTALE) => TailError::Moved,
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => TailError::Exhausted(error),
            _ => TailError::Unreadable(error),
        }
    }
}

/// The open files of a source, at most so many.
#[derive(Debug)]
pub struct Tails {
    open: HashMap<FileKey, Tail>,
    /// The files whose text is packed, open or not.
    packed: HashSet<FileKey>,
    /// The packed file that was read last, and what unpacks it: one at a time, for it takes some
    /// 250 KiB.
    unpacking: Option<(FileKey, Gunzip)>,
    most: usize,
    uses: u64,
    opens: u64,
}

impl Tails {
    /// None open; never more than `most`, but at least one, and one more where those that are open
    /// are all needed.
    pub fn new(most: usize) -> Tails {
        Tails {
            open: HashMap::new(),
            packed: HashSet::new(),
            unpacking: None,
            most: most.max(1),
            uses: 0,
            opens: 0,
        }
    }

    /// Has no more than `most` be open from now on; see [`Tails::new`].
    pub fn set_most(&mut self, most: usize) {
        self.most = most.max(1);
        self.close_beyond(self.most);
    }

    /// Notes whether the text of the file known as `key` is packed.
    pub fn set_packed(&mut self, key: FileKey, is_packed: bool) {
        match is_packed {
            true => self.packed.insert(key),
            false => self.packed.remove(&key),
        };
        if let Some(tail) = self.open.get_mut(&key) {
            tail.is_packed = is_packed;
        }
    }

    /// The file known as `key`, opened at `path` unless it is open. When there is no room, the
    /// file used longest ago is closed; one whose name is gone only if there is no other, and none
    /// that is [needed](Tails::set_needed).
    ///
    /// # Errors
    ///
    /// See [`TailError`].
    pub fn tail(&mut self, key: FileKey, path: &Path) -> Result<&Tail, TailError> {
        if !self.open.contains_key(&key) {
            self.make_room();
            self.opens += 1;
            let tail = Tail::open(path, key, self.packed.contains(&key))?;
            self.open.insert(key, tail);
        }
        self.uses += 1;
        let tail = self.open.get_mut(&key).ok_or(TailError::Moved)?;
        tail.used = self.uses;
        Ok(tail)
    }

    /// What is in the file known as `key`, which is opened at `path` as [`Tails::tail`] does.
    ///
    /// # Errors
    ///
    /// See [`TailError`].
    pub fn content(&mut self, key: FileKey, path: &Path) -> Result<Content<'_>, TailError> {
        self.tail(key, path)?;
        let tail = self.open.get(&key).ok_or(TailError::Moved)?;
        if !tail.is_packed {
            return Ok(Content::plain(&tail.file));
        }
        if self.unpacking.as_ref().is_none_or(|(of, _)| *of != key) {
            self.unpacking = Some((key, Gunzip::new(Arc::clone(&tail.file))));
        }
        let (_, gunzip) = self.unpacking.as_mut().ok_or(TailError::Moved)?;
        Ok(Content::packed(gunzip))
    }

    /// Has `use_it` do something with what is in the file known as `key`, which need not stay open
    /// for it. When there is no room, the file used longest ago is closed, but none whose name is
    /// gone: for a moment there is one descriptor too many rather than rows that can never be read.
    /// A packed file does stay open: what was unpacked is most likely asked for again.
    ///
    /// # Errors
    ///
    /// See [`TailError`]; also when `use_it` fails.
    pub fn with_content<T>(
        &mut self,
        key: FileKey,
        path: &Path,
        use_it: impl FnOnce(&mut Content<'_>) -> io::Result<T>,
    ) -> Result<T, TailError> {
        let others_have_names = self.open.values().any(|tail| !tail.unlisted);
        let is_packed = self.packed.contains(&key);
        let is_kept_open = is_packed && (others_have_names || self.has_room());
        if is_kept_open || self.open.contains_key(&key) {
            return Ok(use_it(&mut self.content(key, path)?)?);
        }
        if others_have_names {
            self.make_room();
        }
        self.opens += 1;
        let tail = Tail::open(path, key, is_packed)?;
        if tail.is_packed {
            let mut gunzip = Gunzip::new(tail.file);
            return Ok(use_it(&mut Content::packed(&mut gunzip))?);
        }
        Ok(use_it(&mut Content::plain(&tail.file))?)
    }

    /// Has `look` look into the file known as `key`, which is not packed. Where it is not open it is
    /// only for that: for a moment there is one descriptor too many, rather than closing a file that
    /// was opened to be read.
    ///
    /// # Errors
    ///
    /// See [`TailError`]; also when `look` fails.
    pub fn peek<T>(
        &mut self,
        key: FileKey,
        path: &Path,
        look: impl FnOnce(&mut Content<'_>) -> io::Result<T>,
    ) -> Result<T, TailError> {
        if let Some(tail) = self.open.get(&key) {
            return Ok(look(&mut Content::plain(&tail.file))?);
        }
        self.opens += 1;
        let tail = Tail::open(path, key, false)?;
        Ok(look(&mut Content::plain(&tail.file))?)
    }

    /// The file known as `key` if it is open.
    pub fn open_tail(&self, key: FileKey) -> Option<&Tail> {
        self.open.get(&key)
    }

    /// Notes whether the name of the file known as `key` is gone; returns whether it is open.
    pub fn set_unlisted(&mut self, key: FileKey, unlisted: bool) -> bool {
        let tail = self.open.get_mut(&key);
        tail.map(|tail| {
            tail.unlisted = unlisted;
            tail.is_needed &= unlisted;
        })
        .is_some()
    }

    /// Notes whether rows are still to be read in the file known as `key`, whose name is gone: closed,
    /// they would be lost.
    pub fn set_needed(&mut self, key: FileKey, is_needed: bool) {
        if let Some(tail) = self.open.get_mut(&key) {
            tail.is_needed = is_needed;
        }
    }

    /// Closes the file known as `key`.
    pub fn close(&mut self, key: FileKey) {
        self.open.remove(&key);
        self.forget_unpacked(key);
    }

    /// Lets go of what was unpacked of the file known as `key`: it may have changed.
    pub fn forget_unpacked(&mut self, key: FileKey) {
        self.unpacking = self.unpacking.take().filter(|(of, _)| *of != key);
    }

    /// The keys of the open files.
    pub fn keys(&self) -> Vec<FileKey> {
        self.open.keys().copied().collect()
    }

    /// Whether another file can be opened without closing one.
    pub fn has_room(&self) -> bool {
        self.open.len() < self.most
    }

    /// How often a file was opened so far, for the tests and the figures of what a look costs.
    pub fn opens(&self) -> u64 {
        self.opens
    }

    fn make_room(&mut self) {
        self.close_beyond(self.most - 1);
    }

    fn close_beyond(&mut self, most: usize) {
        while self.open.len() > most {
            let oldest = self
                .open
                .iter()
                .filter(|(_, tail)| !tail.is_needed)
                .min_by_key(|(_, tail)| (tail.unlisted, tail.used));
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return;
            };
            self.close(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn write(dir: &Path, name: &str) -> (PathBuf, FileKey) {
        let path = dir.join(name);
        fs::write(&path, "1|a\n").unwrap();
        let key = key_of(&fs::metadata(&path).unwrap());
        (path, key)
    }

    #[test]
    fn the_file_used_longest_ago_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|name| write(dir.path(), name))
            .collect();
        let mut tails = Tails::new(2);
        for at in [0, 1, 0, 2] {
            tails.tail(files[at].1, &files[at].0).unwrap();
        }
        let open = |tails: &Tails| {
            files
                .iter()
                .map(|(_, key)| tails.open_tail(*key).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(open(&tails), [true, false, true]);
        assert_eq!(tails.opens(), 3);
        assert!(tails.set_unlisted(files[0].1, true));
        tails.tail(files[1].1, &files[1].0).unwrap();
        assert_eq!(
            open(&tails),
            [true, true, false],
            "a file without a name stays open"
        );
    }

    #[test]
    fn room_is_made_before_a_file_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| write(dir.path(), name));
        let held = || {
            let descriptors = fs::read_dir("/proc/self/fd").unwrap();
            descriptors
                .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
                .filter(|path| path.starts_with(dir.path()))
                .count()
        };
        let mut tails = Tails::new(1);
        tails.tail(a.1, &a.0).unwrap();
        let during = tails.with_content(b.1, &b.0, |_| Ok(held())).unwrap();
        assert_eq!(during, 1);
        tails.tail(a.1, &a.0).unwrap();
        let absent = tails.tail(b.1, &dir.path().join("absent"));
        assert!(matches!(absent, Err(TailError::Moved)));
        assert_eq!(held(), 0, "it was closed before the other was tried");
        tails.tail(a.1, &a.0).unwrap();
        tails.set_unlisted(a.1, true);
        tails.with_content(b.1, &b.0, |_| Ok(())).unwrap();
        assert_eq!(held(), 1, "a file without a name stays open");
    }

    #[test]
    fn another_file_under_the_same_path_is_not_opened_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let (path, key) = write(dir.path(), "a");
        let (other, _) = write(dir.path(), "b");
        fs::rename(&other, &path).unwrap();
        assert!(matches!(
            Tail::open(&path, key, false),
            Err(TailError::Moved)
        ));
        fs::remove_file(&path).unwrap();
        assert!(matches!(
            Tail::open(&path, key, false),
            Err(TailError::Moved)
        ));
    }

    #[test]
    fn being_out_of_descriptors_is_nobodys_fault() {
        for errno in [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM] {
            assert!(
                matches!(
                    TailError::from(io::Error::from(errno)),
                    TailError::Exhausted(_)
                ),
                "{errno}"
            );
        }
        for errno in [Errno::EACCES, Errno::EIO, Errno::ELOOP] {
            assert!(
                matches!(
                    TailError::from(io::Error::from(errno)),
                    TailError::Unreadable(_)
                ),
                "{errno}"
            );
        }
    }
}

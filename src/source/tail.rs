//! Tail: one open file of a source, and the bounded set of them.

use super::FileKey;
use super::listing::{key_of, modified_ns_of};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// One open file. It stays the same file however its name is changed or removed.
#[derive(Debug)]
pub struct Tail {
    file: File,
    /// When it was last asked for, by count.
    used: u64,
    /// Its name is gone: closed, it could not be opened again.
    pub unlisted: bool,
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
    /// Opens the file at `path` if it is still the one known as `key`. Never waits, whatever the
    /// path leads to by now.
    ///
    /// # Errors
    ///
    /// See [`TailError`].
    pub fn open(path: &Path, key: FileKey) -> Result<Tail, TailError> {
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits())
            .open(path)?;
        if key_of(&file.metadata()?) == key {
            Ok(Tail {
                file,
                used: 0,
                unlisted: false,
            })
        } else {
            Err(TailError::Moved)
        }
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
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
    most: usize,
    uses: u64,
    opens: u64,
}

impl Tails {
    /// None open; never more than `most`, but at least one.
    pub fn new(most: usize) -> Tails {
        Tails {
            open: HashMap::new(),
            most: most.max(1),
            uses: 0,
            opens: 0,
        }
    }

    /// The file known as `key`, opened at `path` unless it is open. When there is no room, the
    /// file used longest ago is closed; one whose name is gone only if there is no other.
    ///
    /// # Errors
    ///
    /// See [`TailError`].
    pub fn tail(&mut self, key: FileKey, path: &Path) -> Result<&Tail, TailError> {
        if !self.open.contains_key(&key) {
            self.make_room();
            self.opens += 1;
            let tail = Tail::open(path, key)?;
            self.open.insert(key, tail);
        }
        self.uses += 1;
        let tail = self.open.get_mut(&key).ok_or(TailError::Moved)?;
        tail.used = self.uses;
        Ok(tail)
    }

    /// Has `use_it` do something with the file known as `key` that need not stay open for it. When
    /// there is no room, the file used longest ago is closed, but none whose name is gone: for a
    /// moment there is one descriptor too many rather than rows that can never be read.
    ///
    /// # Errors
    ///
    /// See [`TailError`]; also when `use_it` fails.
    pub fn with_file<T>(
        &mut self,
        key: FileKey,
        path: &Path,
        use_it: impl FnOnce(&File) -> io::Result<T>,
    ) -> Result<T, TailError> {
        match self.open.get(&key) {
            Some(tail) => Ok(use_it(&tail.file)?),
            None => {
                if self.open.values().any(|tail| !tail.unlisted) {
                    self.make_room();
                }
                self.opens += 1;
                Ok(use_it(&Tail::open(path, key)?.file)?)
            }
        }
    }

    /// The file known as `key` if it is open.
    pub fn open_tail(&self, key: FileKey) -> Option<&Tail> {
        self.open.get(&key)
    }

    /// Notes whether the name of the file known as `key` is gone; returns whether it is open.
    pub fn set_unlisted(&mut self, key: FileKey, unlisted: bool) -> bool {
        let tail = self.open.get_mut(&key);
        tail.map(|tail| tail.unlisted = unlisted).is_some()
    }

    /// Closes the file known as `key`.
    pub fn close(&mut self, key: FileKey) {
        self.open.remove(&key);
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
        while !self.has_room() {
            let oldest = self
                .open
                .iter()
                .min_by_key(|(_, tail)| (tail.unlisted, tail.used));
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return;
            };
            self.open.remove(&key);
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
        let during = tails.with_file(b.1, &b.0, |_| Ok(held())).unwrap();
        assert_eq!(during, 1);
        tails.tail(a.1, &a.0).unwrap();
        let absent = tails.tail(b.1, &dir.path().join("absent"));
        assert!(matches!(absent, Err(TailError::Moved)));
        assert_eq!(held(), 0, "it was closed before the other was tried");
        tails.tail(a.1, &a.0).unwrap();
        tails.set_unlisted(a.1, true);
        tails.with_file(b.1, &b.0, |_| Ok(())).unwrap();
        assert_eq!(held(), 1, "a file without a name stays open");
    }

    #[test]
    fn another_file_under_the_same_path_is_not_opened_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let (path, key) = write(dir.path(), "a");
        let (other, _) = write(dir.path(), "b");
        fs::rename(&other, &path).unwrap();
        assert!(matches!(Tail::open(&path, key), Err(TailError::Moved)));
        fs::remove_file(&path).unwrap();
        assert!(matches!(Tail::open(&path, key), Err(TailError::Moved)));
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

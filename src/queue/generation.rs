//! Generation: one small database of the queue, in a directory of its own.
//!
//! # What makes a write durable
//!
//! `Db::flush` of sled 0.34 does not sync the device on Linux: it writes the log and calls
//! `sync_file_range`, which neither empties the disk's cache nor makes a longer file's length
//! durable (its issues 1351 and 1452). So the database's file is opened a second time here and
//! `fdatasync` is called on it after every flush. That call returning is the commit point.
//!
//! A batch is whole or absent after a crash at any moment: sled puts the end of the batch in
//! front of it and drops the batch on opening when the log does not reach that far.
//!
//! # Failing syncs
//!
//! After a failed `fdatasync` Linux marks the unwritten pages clean: a second call would succeed
//! without the data being anywhere but in memory. So a generation whose write failed is not
//! written again. It is closed and opened anew, and opening the head first syncs the file, which
//! reports what still cannot be written, and then drops its pages from the page cache: what is
//! read afterwards is what the disk holds. The same covers a killed agent, whose last write may
//! be in the page cache only.
//!
//! # Panics of the database
//!
//! sled panics on some kinds of damage, and in its destructor when a sync fails. Every call into
//! it runs where a panic is caught and becomes [`QueueError::Damaged`].

#[cfg(test)]
use super::drill;
use super::error::QueueError;
use super::{key, piece};
use crate::event::Sequence;
use crate::shutdown::Bell;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Memory a database keeps of its pages, in bytes. A generation is read from its start to its
/// end, so more would hold pages that are not asked for again.
const CACHE_BYTES: u64 = 1 << 20;

/// The database's lock is let go a moment after its last handle: by threads of its own that
/// still hold the file. Seen in 4 of 130 runs to last up to some milliseconds; a second is for a
/// busy machine.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// An open generation.
pub(super) struct Generation {
    number: u32,
    directory: PathBuf,
    /// `None` only while it is being dropped.
    db: Option<sled::Db>,
    /// The database's own file, for `fdatasync`.
    file: File,
}

/// What will be written in one batch.
#[derive(Debug, Default)]
pub(super) struct Writes {
    batch: sled::Batch,
    /// Keys and values put so far, in bytes.
    bytes: usize,
}

/// A value found by [`Generation::scan`].
#[derive(Debug)]
pub(super) struct Found {
    /// Its key.
    pub(super) key: sled::IVec,
    /// The value, put together.
    pub(super) value: Vec<u8>,
    /// How many further pieces it is stored in; removing it needs the number.
    pub(super) pieces: u16,
}

impl Writes {
    /// Stores a value; returns how many further pieces it takes.
    pub(super) fn put(&mut self, at: &[u8], value: &[u8]) -> u16 {
        let mut pieces = 0;
        for (number, row) in (0..).zip(piece::split(value)) {
            pieces = number;
            let key = if number == 0 {
                at.to_vec()
            } else {
                piece::key(at, number)
            };
            self.put_row(key, row);
        }
        pieces
    }

    /// Removes a value of `pieces` further pieces.
    pub(super) fn remove(&mut self, at: &[u8], pieces: u16) {
        self.batch.remove(at);
        for number in 1..=pieces {
            self.batch.remove(piece::key(at, number));
        }
    }

    /// Keys and values put so far, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Stores a row as the database has it.
    pub(super) fn put_row(&mut self, key: Vec<u8>, row: Vec<u8>) {
        self.bytes += key.len() + row.len();
        self.batch.insert(key, row);
    }
}

impl Generation {
    /// Makes an empty generation; what a half-made one left there is removed.
    ///
    /// Its directory survives a power cut afterwards. It counts only once a
    /// [`Meta`](super::meta::Meta) is in it.
    pub(super) fn create(parent: &Path, number: u32) -> Result<Generation, QueueError> {
        Generation::create_at(parent, directory(parent, number), number)
    }

    /// Makes an empty generation in a directory of `parent` that is to become its own.
    pub(super) fn create_at(
        parent: &Path,
        directory: PathBuf,
        number: u32,
    ) -> Result<Generation, QueueError> {
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(disk("remove", &directory))?;
        }
        fs::create_dir_all(&directory).map_err(disk("create", &directory))?;
        let generation = start(directory, number)?;
        // sled reads `conf` before anything else and does not sync it either.
        let conf = generation.directory.join("conf");
        File::open(&conf)
            .and_then(|conf| conf.sync_all())
            .map_err(disk("sync", &conf))?;
        generation.sync()?;
        sync_directory(&generation.directory)?;
        sync_directory(parent)?;
        Ok(generation)
    }

    /// Gives a new generation its number and the directory of that number.
    ///
    /// Its directory survives a power cut afterwards; before, it may have either name.
    pub(super) fn become_number(&mut self, parent: &Path, number: u32) -> Result<(), QueueError> {
        let place = directory(parent, number);
        if place.exists() {
            fs::remove_dir_all(&place).map_err(disk("remove", &place))?;
        }
        // The database opened its file before, and has no others: see `piece`.
        fs::rename(&self.directory, &place).map_err(disk("rename", &self.directory))?;
        (self.number, self.directory) = (number, place);
        sync_directory(parent)
    }

    /// Opens a generation as the disk has it, whatever the page cache has.
    pub(super) fn open_from_disk(parent: &Path, number: u32) -> Result<Generation, QueueError> {
        let path = file_of(&directory(parent, number));
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(disk("open", &path))?;
        forget_cached(&file).map_err(disk("sync", &path))?;
        Generation::open(parent, number)
    }

    /// Opens a generation that is sealed, for reading.
    pub(super) fn open(parent: &Path, number: u32) -> Result<Generation, QueueError> {
        let directory = directory(parent, number);
        Generation::open_at(directory, number)
    }

    /// Opens a generation wherever it lies.
    pub(super) fn open_at(directory: PathBuf, number: u32) -> Result<Generation, QueueError> {
        if !file_of(&directory).exists() {
            // sled would make a new, empty database here.
            let what = "its file is missing".into();
            return Err(QueueError::Damaged {
                generation: number,
                sequence: None,
                what,
            });
        }
        start(directory, number)
    }

    /// Its number.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Length of the database's file, in bytes.
    pub(super) fn file_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// The value at `key`.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, QueueError> {
        let mut value = None;
        self.scan(key, key, |found| {
            if *found.key == *key {
                value = Some(found.value);
            }
            ControlFlow::Break(())
        })?;
        Ok(value)
    }

    /// How many further pieces the value at `key` is stored in; `None` when there is none.
    pub(super) fn pieces_at(&self, key: &[u8]) -> Result<Option<u16>, QueueError> {
        let mut pieces = None;
        self.scan(key, key, |found| {
            if *found.key == *key {
                pieces = Some(found.pieces);
            }
            ControlFlow::Break(())
        })?;
        Ok(pieces)
    }

    /// Visits the values from `from` on whose keys start with `prefix`, in the order of keys.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        mut visit: impl FnMut(Found) -> ControlFlow<()>,
    ) -> Result<(), QueueError> {
        self.guarded("read", |db| {
            let mut rows = db.range(from..);
            while let Some((key, row)) = rows.next().transpose()? {
                if !key.starts_with(prefix) {
                    break;
                }
                let (pieces, start) = piece::start(&row).ok_or_else(|| torn(&key))?;
                let mut value = start.to_vec();
                for number in 1..=pieces {
                    match rows.next().transpose()? {
                        Some((further, row)) if *further == piece::key(&key, number) => {
                            value.extend_from_slice(&row)
                        }
                        _ => return Err(torn(&key)),
                    }
                }
                if visit(Found { key, value, pieces }).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Visits the rows whose keys start with `prefix` as the database has them, pieces and all.
    pub(super) fn rows(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), QueueError> {
        self.guarded("read", |db| {
            for row in db.scan_prefix(prefix) {
                let (key, row) = row?;
                visit(&key, &row);
            }
            Ok(())
        })
    }

    /// The first sequence of the block that holds `sequence`, if one does. It begins fewer than
    /// [`EVENTS_MAX`](super::block::EVENTS_MAX) events before, so it is found by a few looks
    /// forward: for looking back, sled carries a constant of 1 MiB into the program.
    pub(super) fn block_before(&self, sequence: Sequence) -> Result<Option<Sequence>, QueueError> {
        let furthest = super::block::EVENTS_MAX as u64 - 1;
        self.guarded("read", |db| {
            let mut found = None;
            let mut from = Sequence(sequence.0.saturating_sub(furthest));
            while let Some((key, _)) = db.range(key::block(from)..).next().transpose()? {
                let Some(first) = key::block_first(&key).filter(|first| *first <= sequence) else {
                    break;
                };
                found = Some(first);
                if first == sequence {
                    break;
                }
                from = first.plus(1);
            }
            Ok(found)
        })
    }

    /// Copies every row whose key starts with `prefix` into `to`, without making it durable.
    ///
    /// In batches of at most [`CARRY_BYTES`], so that a great many rows take little memory.
    pub(super) fn carry(&self, prefix: &[u8], to: &Generation) -> Result<(), QueueError> {
        let mut writes = Writes::default();
        let mut applied = Ok(());
        self.guarded("read", |db| {
            for row in db.scan_prefix(prefix) {
                let (key, row) = row?;
                writes.put_row(key.to_vec(), row.to_vec());
                if writes.bytes >= CARRY_BYTES {
                    applied = to.apply(std::mem::take(&mut writes));
                    if applied.is_err() {
                        break;
                    }
                }
            }
            Ok(())
        })?;
        applied?;
        to.apply(writes)
    }

    /// Writes a batch without making it durable: for what [`write`](Generation::write) follows.
    pub(super) fn apply(&self, writes: Writes) -> Result<(), QueueError> {
        #[cfg(test)]
        super::probe::wrote(writes.bytes);
        self.guarded("write", |db| db.apply_batch(writes.batch))
    }

    /// Writes a batch and makes it and everything applied before it durable.
    ///
    /// Power cut before the `fdatasync` returns: all of the batch is there or nothing. After it:
    /// all of it. After an error: all or nothing, and which of them shows only when the
    /// generation is opened again; this object must not be written any more.
    pub(super) fn write(&self, writes: Writes) -> Result<(), QueueError> {
        #[cfg(test)]
        super::probe::wrote(writes.bytes);
        #[cfg(test)]
        drill::reached(drill::Point::Begun, &self.directory);
        self.guarded("write", |db| {
            db.apply_batch(writes.batch)?;
            #[cfg(test)]
            drill::reached(drill::Point::Applied, &self.directory);
            db.flush()?;
            Ok(())
        })?;
        #[cfg(test)]
        drill::reached(drill::Point::Flushed, &self.directory);
        self.sync()?;
        #[cfg(test)]
        drill::reached(drill::Point::Synced, &self.directory);
        Ok(())
    }

    fn sync(&self) -> Result<(), QueueError> {
        #[cfg(test)]
        if !drill::syncs() {
            return Ok(());
        }
        #[cfg(test)]
        if super::probe::syncs() {
            let dying = nix::errno::Errno::EIO.into();
            return Err(disk("sync", &file_of(&self.directory))(dying));
        }
        #[cfg(feature = "slow-syncs")]
        let began = std::time::Instant::now();
        let synced = self.file.sync_data();
        #[cfg(feature = "slow-syncs")]
        super::slow::wait_from(began);
        synced.map_err(disk("sync", &file_of(&self.directory)))
    }

    fn guarded<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, QueueError> {
        let db = self.db.as_ref().expect("taken only when dropped");
        guarded(self.number, &self.directory, doing, || work(db))
    }
}

/// Most bytes of one batch of [`Generation::carry`]: half a segment of the database's log.
const CARRY_BYTES: usize = 256 << 10;

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // sled unwraps a sync in its destructor. Everything that counts was synced by `write`.
        let db = self.db.take();
        if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            log::warn!(
                "generation not closed in order generation={:08}",
                self.number
            );
        }
    }
}

/// Removes the database's snapshots, which only make opening faster: they are made anew. Returns
/// whether there were any.
pub(super) fn remove_snapshots(directory: &Path) -> Result<bool, QueueError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(disk("list", directory)(error)),
    };
    let mut removed = false;
    for entry in entries {
        let path = entry.map_err(disk("list", directory))?.path();
        let is_snapshot = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("snap.");
        if path.file_name().is_some_and(is_snapshot) {
            fs::remove_file(&path).map_err(disk("remove", &path))?;
            removed = true;
        }
    }
    Ok(removed)
}

/// The directory of generation `number`.
pub(super) fn directory(parent: &Path, number: u32) -> PathBuf {
    parent.join(format!("{number:08}"))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), QueueError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(disk("sync", directory))
}

/// An error of the operating system, with what it hindered.
pub(super) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> QueueError {
    move |source| QueueError::Disk {
        doing,
        path: path.to_owned(),
        source,
    }
}

fn start(directory: PathBuf, number: u32) -> Result<Generation, QueueError> {
    remove_half_snapshots(&directory).map_err(disk("clean", &directory))?;
    let db = guarded(number, &directory, "open", || open_unlocked(&directory))?;
    let path = file_of(&directory);
    let file = File::options()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(disk("open", &path))?;
    Ok(Generation {
        number,
        directory,
        db: Some(db),
        file,
    })
}

/// Removes what an opening that was cut short left of its snapshot.
///
/// sled writes one each time it opens a database, under a name that ends in `.generating` until
/// it is whole, and takes such a file for a snapshot the next time: it does not open then. What
/// is in it is in the log too.
fn remove_half_snapshots(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "generating")
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn open_unlocked(directory: &Path) -> sled::Result<sled::Db> {
    let mut tries = LOCK_TRIES;
    loop {
        // `mode` is left alone: nothing in sled 0.34.7 reads it.
        let config = sled::Config::new()
            .path(directory)
            .cache_capacity(CACHE_BYTES)
            .use_compression(false)
            .flush_every_ms(None);
        match config.open() {
            Err(sled::Error::Io(error))
                if tries > 0 && error.to_string().contains("could not acquire lock") =>
            {
                tries -= 1;
                Bell::default().wait(LOCK_PAUSE);
            }
            opened => return opened,
        }
    }
}

/// Syncs what only the page cache may have, then drops the file's pages from it.
fn forget_cached(file: &File) -> io::Result<()> {
    file.sync_data()?;
    posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).map_err(io::Error::from)
}

fn guarded<T>(
    number: u32,
    directory: &Path,
    doing: &'static str,
    work: impl FnOnce() -> sled::Result<T>,
) -> Result<T, QueueError> {
    let damaged = |what: String| QueueError::Damaged {
        generation: number,
        sequence: None,
        what,
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(sled::Error::Io(source))) => Err(disk(doing, directory)(source)),
        Ok(Err(error)) => Err(damaged(error.to_string())),
        Err(_) => Err(damaged(format!(
            "the database panicked while it was to {doing}"
        ))),
    }
}

fn torn(key: &[u8]) -> sled::Error {
    sled::Error::ReportableBug(format!("the value at {} is torn", key.escape_ascii()))
}

fn file_of(directory: &Path) -> PathBuf {
    directory.join("db")
}

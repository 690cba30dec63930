//! Ballast: a file that makes way when the partition is full, so that settlements can still be
//! written: they are what frees the disk.
//!
//! It holds nothing, so losing it or finding half of it after a crash means only that it is made
//! anew; nothing about it is synced.

use super::disk::{Disk, Partition};
use super::error::QueueError;
use nix::fcntl::{FallocateFlags, fallocate};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Its name under the state directory.
pub(super) const NAME: &str = "ballast";

/// Lets go of it after `error`, where that was for want of space; see [`release`].
pub(super) fn release_after(disk: &mut Disk, error: &QueueError) -> bool {
    let is_for_want = match error {
        QueueError::Disk { source, .. } if is_for_want_of_space(source) => true,
        QueueError::Disk { .. } | QueueError::Damaged { .. } => {
            Partition::of(&disk.directory).is_ok_and(|partition| partition.is_full())
        }
        _ => false,
    };
    is_for_want && release(disk)
}

/// Lets go of it. Returns whether that gave something back; removing it gives an inode back too.
///
/// Nothing is read until it is [restored](restore): what it gave is for settlements.
fn release(disk: &mut Disk) -> bool {
    disk.is_ballast_out = true;
    let path = disk.directory.join(NAME);
    let released = fs::remove_file(&path).is_ok();
    if released {
        log::warn!("ballast released, the partition is full path={path:?}");
    }
    released
}

/// Makes it where it is missing and the partition has room for it twice.
pub(super) fn restore(disk: &mut Disk) {
    let Some(bytes) = disk.limits().map(|limits| limits.ballast()) else {
        return;
    };
    let path = disk.directory.join(NAME);
    if fs::metadata(&path).is_ok_and(|found| found.len() >= bytes) {
        disk.is_ballast_out = false;
        return;
    }
    let has_room =
        Partition::of(&disk.directory).is_ok_and(|partition| partition.free_bytes >= 2 * bytes);
    if !has_room {
        return;
    }
    match make(&path, bytes) {
        Ok(()) => {
            if std::mem::take(&mut disk.is_ballast_out) {
                log::info!("ballast restored path={path:?}");
            }
        }
        Err(error) => {
            log::debug!("ballast not made path={path:?} error=\"{error}\"");
            let _half = fs::remove_file(&path);
            if !is_for_want_of_space(&error) {
                // Without it settlements may not fit on a full partition; that is all.
                disk.is_ballast_out = false;
            }
        }
    }
}

/// Whether nothing can be written at `directory` now: on such a disk the database fails as if it
/// were damaged, because it writes to what it opens, and nothing is to be mended.
pub(super) fn is_unwritable(directory: &Path) -> bool {
    Partition::of(directory).is_ok_and(|partition| partition.is_unwritable())
}

/// Whether the partition or the quota is full, of bytes or of inodes.
pub(super) fn is_for_want_of_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn make(path: &Path, bytes: u64) -> io::Result<()> {
    let file = File::create(path)?;
    let length = i64::try_from(bytes).map_err(io::Error::other)?;
    match fallocate(&file, FallocateFlags::empty(), 0, length) {
        Ok(()) => Ok(()),
        // Not every file system can; zeros take as much.
        Err(nix::errno::Errno::EOPNOTSUPP) => io::copy(
            &mut io::Read::take(io::repeat(0), bytes),
            &mut io::BufWriter::with_capacity(64 << 10, file),
        )
        .map(|_| ()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DiskLimits, Queue, generation};
    use super::*;

    #[test]
    fn it_is_made_released_only_for_want_of_space_and_restored() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::open(directory.path(), "node").unwrap();
        let limits = DiskLimits::of(64 << 20);
        queue.limit(limits);
        let path = directory.path().join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().len(), limits.ballast());
        assert!(super::super::row::directory_bytes(directory.path()) >= limits.ballast());
        let mut disk = super::super::locked(&queue.0.disk);
        let error = |errno| generation::disk("write", &path)(io::Error::from_raw_os_error(errno));
        assert!(!release_after(&mut disk, &error(5)));
        assert!(path.exists());
        assert!(release_after(&mut disk, &error(28)));
        assert!(!path.exists() && disk.is_ballast_out);
        restore(&mut disk);
        assert!(path.exists() && !disk.is_ballast_out);
    }
}

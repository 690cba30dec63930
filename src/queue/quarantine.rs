//! Quarantine: directories of damaged generations, set aside for somebody to look at.
//!
//! They are named like `00000017.bad-1775745045`, with the Unix time in seconds, and lie beside
//! the generations. Together they take no more than the configured share of the disk: the oldest
//! are removed first, and one that alone is too big is not kept at all.

use super::error::QueueError;
use super::generation::{disk, sync_directory};
use super::row::directory_bytes;
use crate::clock::{Clock, SystemClock};
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that directories set aside may take together, unless the configuration says otherwise:
/// four generations.
pub const QUARANTINE_BYTES_DEFAULT: u64 = 16 << 20;

/// Sets the directory of a damaged generation aside and keeps all that are set aside within
/// `bytes_max`. Returns where it is now; `None` when it was too big to keep.
///
/// After `Ok` the new name survives loss of power.
pub(super) fn set_aside(directory: &Path, bytes_max: u64) -> Result<Option<PathBuf>, QueueError> {
    let parent = directory.parent().unwrap_or(directory);
    let aside = free_name(directory);
    fs::rename(directory, &aside).map_err(disk("rename", directory))?;
    sync_directory(parent)?;
    let mut all = list(parent);
    let mut bytes: u64 = all.iter().map(|(_, path)| directory_bytes(path)).sum();
    all.sort();
    for (_, path) in all {
        if bytes <= bytes_max {
            break;
        }
        let freed = directory_bytes(&path);
        fs::remove_dir_all(&path).map_err(disk("remove", &path))?;
        log::warn!(
            "damaged generation removed, quarantine_max reached directory={} bytes={freed}",
            path.display()
        );
        bytes -= freed.min(bytes);
    }
    Ok(aside.exists().then_some(aside))
}

/// The directories that are set aside in `parent`, with when that was, in seconds since 1970.
pub(super) fn list(parent: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let (_, time) = name.to_str()?.split_once(".bad-")?;
            let seconds = time.split('-').next()?.parse().ok()?;
            Some((seconds, entry.path()))
        })
        .collect()
}

fn free_name(directory: &Path) -> PathBuf {
    let seconds = SystemClock::new().wall().unix_secs().max(0);
    let named = |suffix: String| directory.with_extension(suffix);
    let mut name = named(format!("bad-{seconds}"));
    for again in 2.. {
        if !name.exists() {
            break;
        }
        name = named(format!("bad-{seconds}-{again}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(parent: &Path, number: u32, bytes: usize) -> PathBuf {
        let directory = super::super::generation::directory(parent, number);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("db"), vec![7; bytes]).unwrap();
        directory
    }

    #[test]
    fn the_oldest_are_removed_when_they_take_too_much() {
        let parent = tempfile::tempdir().unwrap();
        let old = parent.path().join("00000001.bad-1000");
        fs::create_dir(&old).unwrap();
        fs::write(old.join("db"), vec![7; 100_000]).unwrap();
        let damaged = generation(parent.path(), 2, 100_000);
        let aside = set_aside(&damaged, 150_000).unwrap().unwrap();
        assert!(aside.exists() && !damaged.exists() && !old.exists());
        assert_eq!(list(parent.path()).len(), 1);
    }

    #[test]
    fn one_that_is_too_big_is_not_kept_and_names_do_not_clash() {
        let parent = tempfile::tempdir().unwrap();
        let first = set_aside(&generation(parent.path(), 1, 10), 1 << 20).unwrap();
        let second = set_aside(&generation(parent.path(), 1, 10), 1 << 20).unwrap();
        assert_ne!(first.unwrap(), second.unwrap());
        let big = generation(parent.path(), 1, 100_000);
        assert_eq!(set_aside(&big, 10_000).unwrap(), None);
        assert!(list(parent.path()).is_empty());
    }
}

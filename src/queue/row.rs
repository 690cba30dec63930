//! Row: the generations that lie in one directory, oldest to newest.
//!
//! The newest that holds a [`Meta`] is the head. A crash while a new one is made leaves it
//! without, and the one before it whole. Only when the new one is on disk is the old one
//! *sealed*; so an unfinished newest generation behind a sealed one is not a crash's leftover
//! but damage, and is never removed as if it were.

use super::error::QueueError;
use super::generation::{self, Found, Generation, disk, sync_directory};
use super::key;
use super::meta::{Meta, MetaError, Standing};
use super::next;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What a generation's directory is called while it is being removed.
const DROPPED: &str = "dropped";

/// What the copy of a damaged generation is called until it takes its place.
pub(super) const MENDED: &str = "mended";

/// The newest whole generation, and what was found around it.
#[derive(Debug)]
pub(super) struct Head {
    /// The generation.
    pub(super) generation: Generation,
    /// What it says about itself.
    pub(super) meta: Meta,
    /// Generations that a crash left half-made; they were removed.
    pub(super) half_made: Vec<u32>,
}

/// Lets the copies of damaged generations that have been set aside take their places, and removes
/// those of generations that are still there: their mending did not come that far.
pub(super) fn finish_mended(parent: &Path) -> Result<(), QueueError> {
    for path in paths(parent)? {
        if path.extension().is_none_or(|extension| extension != MENDED) {
            continue;
        }
        let place = path.with_extension("");
        if place.exists() {
            fs::remove_dir_all(&path).map_err(disk("remove", &path))?;
        } else {
            fs::rename(&path, &place).map_err(disk("rename", &path))?;
            sync_directory(parent)?;
        }
    }
    Ok(())
}

/// The numbers of the generations in `parent`, ascending. Finishes removals that a crash cut short,
/// and removes one that was made and never begun.
pub(super) fn list(parent: &Path) -> Result<Vec<u32>, QueueError> {
    for path in paths(parent)? {
        let is_dropped = path
            .extension()
            .is_some_and(|extension| extension == DROPPED);
        if is_dropped || path.file_name().is_some_and(|name| name == next::NAME) {
            fs::remove_dir_all(&path).map_err(disk("remove", &path))?;
        }
    }
    numbers(parent)
}

/// The numbers of the generations in `parent`, ascending; changes nothing.
pub(super) fn numbers(parent: &Path) -> Result<Vec<u32>, QueueError> {
    let paths = paths(parent)?;
    let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
    let mut numbers: Vec<u32> = names.filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Everything in `parent`; nothing when that is not there.
fn paths(parent: &Path) -> Result<Vec<PathBuf>, QueueError> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(disk("list", parent))?,
    };
    entries
        .map(|entry| Ok(entry.map_err(disk("list", parent))?.path()))
        .collect()
}

/// Opens the head; `None` when there is no generation yet.
///
/// # Errors
///
/// [`QueueError::Damaged`] when the newest generation has lost what was on disk,
/// [`QueueError::NewerVersion`], and [`QueueError::Disk`]. Nothing was removed then.
pub(super) fn head(parent: &Path) -> Result<Option<Head>, QueueError> {
    let mut half_made = Vec::new();
    for number in list(parent)?.into_iter().rev() {
        let Some((generation, meta)) = open_whole(parent, number)? else {
            half_made.push(number);
            continue;
        };
        if meta.standing == Standing::Sealed {
            let what = "it is empty or gone, though the one before it was sealed".into();
            return Err(QueueError::Damaged {
                generation: number.saturating_add(1),
                sequence: None,
                what,
            });
        }
        remove_half_made(parent, &half_made)?;
        return Ok(Some(Head {
            generation,
            meta,
            half_made,
        }));
    }
    if let Some(&number) = half_made.iter().find(|&&number| number != FIRST) {
        let what = "it is empty, and there is none before it".into();
        return Err(QueueError::Damaged {
            generation: number,
            sequence: None,
            what,
        });
    }
    remove_half_made(parent, &half_made)?;
    Ok(None)
}

/// The number of the first generation.
pub(super) const FIRST: u32 = 1;

/// Removes a generation for good.
///
/// It is renamed first: a crash while its files go leaves nothing that looks like a generation.
pub(super) fn remove(parent: &Path, number: u32) -> Result<(), QueueError> {
    let directory = generation::directory(parent, number);
    let dropped = directory.with_extension(DROPPED);
    match fs::rename(&directory, &dropped) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed.map_err(disk("rename", &directory))?,
    }
    sync_directory(parent)?;
    fs::remove_dir_all(&dropped).map_err(disk("remove", &dropped))
}

/// Bytes the files of a directory take on disk, its subdirectories included; what cannot be
/// looked at counts as nothing.
pub(super) fn directory_bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.flatten().map(|entry| bytes_of(&entry)).sum()
}

/// Bytes that one entry of a directory takes on disk, with everything under it.
pub(super) fn bytes_of(entry: &fs::DirEntry) -> u64 {
    match entry.metadata() {
        Ok(found) if found.is_dir() => blocks(&found) + directory_bytes(&entry.path()),
        Ok(found) => blocks(&found),
        Err(_) => 0,
    }
}

/// Bytes on disk of a file itself.
pub(super) fn blocks(found: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // The unit of `st_blocks` is 512 bytes on every file system.
    found.blocks() * 512
}

/// The number of the generation whose directory is called `name`.
pub(super) fn number(name: &str) -> Option<u32> {
    (name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| name.parse().ok())?
}

/// Opens a generation; `None` when it has no meta and holds nothing that comes after one.
fn open_whole(parent: &Path, number: u32) -> Result<Option<(Generation, Meta)>, QueueError> {
    let damaged = |what: &str| QueueError::Damaged {
        generation: number,
        sequence: None,
        what: what.into(),
    };
    if !generation::directory(parent, number).join("db").exists() {
        return Ok(None);
    }
    let generation = Generation::open_from_disk(parent, number)?;
    if let Some(value) = generation.get(key::META)? {
        return match Meta::decode(&value) {
            Ok(meta) => Ok(Some((generation, meta))),
            Err(MetaError::Newer(found)) => Err(QueueError::NewerVersion { found }),
            Err(MetaError::Damaged) => Err(damaged("what it says about itself cannot be read")),
        };
    }
    for prefix in [key::BLOCKS, key::DEAD] {
        let mut found = false;
        generation.scan(prefix, prefix, |_: Found| {
            found = true;
            ControlFlow::Break(())
        })?;
        if found {
            return Err(damaged("it holds events but not what it says about itself"));
        }
    }
    Ok(None)
}

fn remove_half_made(parent: &Path, half_made: &[u32]) -> Result<(), QueueError> {
    for &number in half_made {
        log::warn!("half-made generation removed generation={number:08}");
        remove(parent, number)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_eight_digits_name_a_generation() {
        assert_eq!(number("00000017"), Some(17));
        for other in ["17", "0000001x", "00000017.bad-5", "+0000017"] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn a_removal_cut_short_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let dropped = directory.path().join("00000003.dropped");
        fs::create_dir(&dropped).unwrap();
        fs::write(dropped.join("db"), b"x").unwrap();
        assert_eq!(list(directory.path()).unwrap(), Vec::<u32>::new());
        assert!(!dropped.exists());
    }
}

//! Checkpoint: a copy of the small state beside the queue, for when the head cannot be read.
//!
//! ```text
//! positions    8 bytes "swpos\0\0\1"
//!              per row: length of the key, 4 bytes big-endian; the key; the same of the value
//!              CRC-32C of all of it, 4 bytes big-endian
//! ```
//!
//! The rows are those that every generation starts with, the head's origins, and its meta, as the
//! database has them.
//!
//! **Crash argument.** It is written beside the old one, synced, and renamed over it, and the
//! directory is synced: at any moment there is a whole checkpoint, if any. It is made of what is
//! durable in the head, so it is never ahead of the queue; it lags behind by up to its interval,
//! and then rows are read and told again, with the same ids.

use super::encoding::Fields;
use super::error::QueueError;
use super::generation::{Generation, disk, sync_directory};
use super::meta::Meta;
use super::{Queue, key};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

/// Its name in the state directory.
pub(super) const NAME: &str = "positions";

/// Longest checkpoint, in bytes. 20,000 remembered files take 4 MB; events that wait for their
/// own retry are left out when they would not fit.
const BYTES_MAX: usize = 16 << 20;

/// The key under which the number of the head is kept here.
const HEAD: &[u8] = b"head";

pub(super) const MAGIC: &[u8; 8] = b"swpos\0\0\x01";

/// The small state of a queue as rows of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows(pub(super) BTreeMap<Vec<u8>, Vec<u8>>);

impl Rows {
    /// The small state in a generation.
    pub(super) fn of(generation: &Generation) -> Result<Rows, QueueError> {
        let mut rows = BTreeMap::new();
        let mut bytes = 0;
        for prefix in key::CARRIED.into_iter().chain([key::ORIGINS, key::META]) {
            let waiting = prefix == key::WAITING;
            generation.rows(prefix, |key, value| {
                bytes += key.len() + value.len() + 8;
                if !waiting || bytes < BYTES_MAX {
                    rows.insert(key.to_vec(), value.to_vec());
                }
            })?;
        }
        rows.insert(HEAD.to_vec(), generation.number().to_be_bytes().to_vec());
        if bytes >= BYTES_MAX - MAGIC.len() - 4 {
            rows.retain(|key, _| !key.starts_with(key::WAITING));
        }
        Ok(Rows(rows))
    }

    /// The generation they were the state of.
    pub(super) fn head(&self) -> Option<u32> {
        let number = self.0.get(HEAD)?;
        Some(u32::from_be_bytes(number[..].try_into().ok()?))
    }

    /// Whether `key` is that of [`Rows::head`], which is no row of the database.
    pub(super) fn is_head(key: &[u8]) -> bool {
        key == HEAD
    }

    /// What they say of the queue, when they can be read.
    pub(super) fn meta(&self) -> Option<Meta> {
        let row = self.0.get(key::META)?;
        let (0, value) = super::piece::start(row)? else {
            return None;
        };
        Meta::decode(value).ok()
    }

    /// Reads the checkpoint in a state directory; `None` when there is none, or not a whole one.
    pub(super) fn read(directory: &Path) -> Option<Rows> {
        let file = File::open(directory.join(NAME)).ok()?;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .ok()?;
        Rows::decode(&bytes)
    }

    /// Writes them into a state directory; returns how many bytes they take.
    pub(super) fn write(&self, directory: &Path) -> Result<u64, QueueError> {
        write(directory, &self.encode())
    }

    /// The file's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for part in self.0.iter().flat_map(|(key, value)| [key, value]) {
            let length = u32::try_from(part.len()).expect("no row is as long as a segment");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(part);
        }
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_be_bytes());
        out
    }

    /// Reads what [`encode`](Rows::encode) made.
    pub(super) fn decode(bytes: &[u8]) -> Option<Rows> {
        let (sealed, checksum) = bytes.split_last_chunk::<4>()?;
        if u32::from_be_bytes(*checksum) != crc32c::crc32c(sealed) {
            return None;
        }
        let mut fields = Fields(sealed.strip_prefix(MAGIC)?);
        let mut rows = BTreeMap::new();
        while !fields.0.is_empty() {
            let key = take(&mut fields)?.to_vec();
            rows.insert(key, take(&mut fields)?.to_vec());
        }
        Some(Rows(rows))
    }
}

fn take<'a>(fields: &mut Fields<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(fields.u32()?).ok()?;
    fields.take(length)
}

impl Queue {
    /// Writes the side checkpoint: what a head that cannot be read is made anew from. Returns its
    /// length, in bytes. After `Ok` it survives loss of power.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooLong`] with far more remembered files than two sources may have; when it
    /// cannot be written. The one before is left then. When the head cannot be read.
    pub fn checkpoint(&self) -> Result<u64, QueueError> {
        // The lock is held while rows are copied, lest a batch be in it by half, and not longer.
        let (rows, over) = {
            let mut writer = self.writer()?;
            let rows = Rows::of(writer.head()?)?;
            (rows, std::mem::take(&mut writer.runs_over))
        };
        let written = rows.write(&self.0.site.directory);
        match written {
            Ok(_) => self.remove_runs(&over),
            Err(_) => self.writer()?.runs_over.extend(over),
        }
        written
    }
}

fn write(directory: &Path, bytes: &[u8]) -> Result<u64, QueueError> {
    if bytes.len() > BYTES_MAX {
        return Err(QueueError::TooLong {
            what: "the checkpoint",
            bytes: bytes.len(),
            bytes_max: BYTES_MAX,
        });
    }
    let path = directory.join(NAME);
    let fresh = directory.join("positions.new");
    let written = || {
        let mut file = File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    written().map_err(disk("write", &path))?;
    sync_directory(directory)?;
    Ok(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_comes_back_as_it_was_or_not_at_all(
            rows in proptest::collection::btree_map(any::<Vec<u8>>(), any::<Vec<u8>>(), 0..9),
            at: proptest::sample::Index,
            bit in 0_u8..8,
        ) {
            let rows = Rows(rows);
            let mut bytes = rows.encode();
            prop_assert_eq!(Rows::decode(&bytes), Some(rows));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Rows::decode(&bytes), None);
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
            let _ = Rows::decode(&bytes);
        }
    }
}

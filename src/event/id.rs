//! The event's id: the same for the same line, after a crash, a rename, a loss of the state
//! directory, inside the `.gz`, and on replay.
//!
//! The first 128 bits of the SHA-256 over these parts, each preceded by its length in bytes as a
//! 32-bit big-endian number:
//!
//! ```text
//! node · source · "key"  · value of each column of the natural key
//! node · source · "line" · SHA-256 of the file's first row (32 bytes) · offset (u64 big-endian) · the row's bytes
//! node · source · "gap"  · device · inode · life · offset (u64 big-endian each) · SHA-256 of the first row, if one was read
//! ```

use super::EventId;
use crate::source::FilePosition;
use sha2::{Digest, Sha256};

/// Where a row stands, for the id of events that have no key of their own.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// SHA-256 of the file's first line that is neither blank nor a header, without its line end.
    pub first_row: &'a [u8; 32],
    /// Offset of the row's first byte in the uncompressed file.
    pub offset: u64,
    /// The row's bytes, with or without its line end.
    pub raw: &'a [u8],
}

impl<'a> Origin<'a> {
    /// The row's bytes without its line end.
    pub fn row(&self) -> &'a [u8] {
        let row = self.raw.strip_suffix(b"\n").unwrap_or(self.raw);
        row.strip_suffix(b"\r").unwrap_or(row)
    }
}

/// The id of a row with a natural key.
pub fn of_key<'k>(node: &str, source: &str, values: impl Iterator<Item = &'k str>) -> EventId {
    let mut hash = Parts::new(node, source, b"key");
    values.for_each(|value| hash.part(value.as_bytes()));
    hash.id()
}

/// The id of a row without one.
pub fn of_line(node: &str, source: &str, origin: Origin<'_>) -> EventId {
    let mut hash = Parts::new(node, source, b"line");
    hash.part(origin.first_row);
    hash.part(&origin.offset.to_be_bytes());
    hash.part(origin.row());
    hash.id()
}

/// The id of the event about what is behind `position` and was lost.
pub fn of_gap(node: &str, source: &str, position: &FilePosition) -> EventId {
    let mut hash = Parts::new(node, source, b"gap");
    let FilePosition {
        key, life, offset, ..
    } = position;
    for number in [key.device, key.inode, u64::from(*life), *offset] {
        hash.part(&number.to_be_bytes());
    }
    hash.part(position.first_row.as_ref().map_or(&[], |row| &row[..]));
    hash.id()
}

struct Parts(Sha256);

impl Parts {
    fn new(node: &str, source: &str, kind: &[u8]) -> Parts {
        let mut parts = Parts(Sha256::new());
        parts.part(node.as_bytes());
        parts.part(source.as_bytes());
        parts.part(kind);
        parts
    }

    fn part(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.update(length.to_be_bytes());
        self.0.update(bytes);
    }

    fn id(self) -> EventId {
        let digest: [u8; 32] = self.0.finalize().into();
        let (first, _) = digest.split_first_chunk().expect("32 bytes begin with 16");
        EventId(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin<'static> = Origin {
        first_row: &[7; 32],
        offset: 512,
        raw: b"a|b|c\r\n",
    };

    #[test]
    fn the_ids_are_pinned_for_ever() {
        // Computed apart from this code: sha256 over the parts of the module's doc.
        let key = of_key("vos-1", "cdr", ["330455201"].into_iter());
        assert_eq!(key.to_string(), "evt_7aebe06c99b12caad9bd13644eae8c23");
        assert_eq!(
            of_line("vos-1", "cdr", ORIGIN).to_string(),
            "evt_7634868ed01b68c28f90983fd77c1f54"
        );
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let one = of_key("a", "bc", ["d", "e"].into_iter());
        for (node, source, values) in [
            ("ab", "c", ["d", "e"]),
            ("a", "bc", ["de", ""]),
            ("a", "bc", ["", "de"]),
        ] {
            assert_ne!(of_key(node, source, values.into_iter()), one);
        }
    }

    #[test]
    fn the_line_end_is_no_part_of_a_row() {
        let plain = Origin {
            raw: b"a|b|c",
            ..ORIGIN
        };
        assert_eq!(of_line("n", "s", plain), of_line("n", "s", ORIGIN));
        let moved = Origin {
            offset: 513,
            ..ORIGIN
        };
        assert_ne!(of_line("n", "s", moved), of_line("n", "s", ORIGIN));
    }
}

//! Coverage: which bytes of which files the events of one generation were made of.
//!
//! While a generation is the head, an *origin* is kept for each file that moves: its position
//! before. When the generation is sealed, origins and ends go into its entry in the next head, so
//! that what a damaged generation has lost can be read again from the switch's own files. Where
//! they are too many for that, the files beyond are not known then, and the report of the damage
//! shows which are.
//!
//! A source of documents or recordings has a file for each event. Of those, one share of the source is
//! kept: between which times the files that told something changed last, and how many there were. They are handed out in
//! the order of these times, so that hardly any other file falls between.

use super::encoding::{Fields, put_bytes, put_count, put_option};
use super::{piece, position};
use crate::event::Sequence;
use crate::source::{FileKey, FilePosition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most files whose share of the head is remembered.
///
/// A generation holds some 5,000 to 8,000 events. A switch that writes 800 files a day has a few
/// dozen of them in one generation. Of a sealed generation, as many are remembered as fit into one
/// value that is never in pieces (6 KiB): 30 to 40.
pub(super) const COVERED_FILES_MAX: usize = 128;

const VERSION: u8 = 1;

/// The file key of the share of a source whose files are wholes: no file has that inode.
pub(super) const WHOLES: FileKey = FileKey {
    device: 0,
    inode: 0,
};

/// Files that are wholes, which events were made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wholes {
    /// When the status of the first of them changed, in nanoseconds since 1970.
    pub from_ns: i64,
    /// The same of the last.
    pub to_ns: i64,
    /// How many told something.
    pub count: u64,
    /// How many of these have been read again.
    pub done: u64,
}

/// Bytes of one file that events were made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The source that reads the file.
    pub source: Arc<str>,
    /// The file, positioned before the first of these bytes.
    pub origin: FilePosition,
    /// Offset behind the last of them, in the uncompressed file.
    pub to: u64,
    /// SHA-256 of the file's first row, as [`FilePosition::first_row`]: a file that begins with
    /// another one is not it.
    pub first_row: Option<[u8; 32]>,
}

/// What the head covers so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    files: BTreeMap<(Arc<str>, FileKey), Share>,
}

/// What events were made of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Share {
    origin: FilePosition,
    to: u64,
    first_row: Option<[u8; 32]>,
}

impl Coverage {
    /// Whether the share of a file is still to be begun, and there is room for it.
    pub(super) fn wants(&self, source: &Arc<str>, file: FileKey) -> bool {
        self.files.len() < COVERED_FILES_MAX
            && !self.files.contains_key(&(Arc::clone(source), file))
    }

    /// Begins the share of a file, which stood at `origin` before this generation.
    pub(super) fn begin(&mut self, source: &Arc<str>, origin: FilePosition) {
        let mut share = Share {
            to: origin.offset,
            first_row: origin.first_row,
            origin,
        };
        if share.origin.key == WHOLES {
            share.origin.offset = 0;
        }
        let key = (Arc::clone(source), share.origin.key);
        self.files.insert(key, share);
    }

    /// A file that is a whole, and changed last at `changed_ns`, told something. Returns the share of its
    /// source as it is stored, to be [begun](Coverage::begin) with after a start.
    pub(super) fn whole(&mut self, source: &Arc<str>, path: &str, changed_ns: i64) -> FilePosition {
        let share = self
            .files
            .entry((Arc::clone(source), WHOLES))
            .or_insert_with(|| Share {
                origin: wholes(path.to_owned(), changed_ns, changed_ns, 0),
                to: 0,
                first_row: None,
            });
        let origin = &mut share.origin;
        origin.tail = changed_ns.min(origin.tail.cast_signed()).cast_unsigned();
        origin.head = changed_ns.max(origin.head.cast_signed()).cast_unsigned();
        share.to += 1;
        FilePosition {
            offset: share.to,
            ..origin.clone()
        }
    }

    /// The file was read up to `position`.
    pub(super) fn moved(&mut self, source: &Arc<str>, position: &FilePosition) {
        let key = (Arc::clone(source), position.key);
        if let Some(share) = self.files.get_mut(&key) {
            if position.life == share.origin.life {
                share.to = share.to.max(position.offset);
            } else {
                // Another file under the same inode: what came before is gone from the disk.
                let path = position.path.clone();
                share.origin = FilePosition::start_of(position.key, path, position.life);
                share.to = position.offset;
            }
            share.first_row = position.first_row;
        }
    }

    /// The shares, without those of no bytes.
    pub(super) fn covered(&self) -> Vec<Covered> {
        let share = |((source, _), share): (&(Arc<str>, _), &Share)| Covered {
            source: Arc::clone(source),
            origin: share.origin.clone(),
            to: share.to,
            first_row: share.first_row,
        };
        self.files
            .iter()
            .map(share)
            .filter(|covered| covered.to > covered.origin.offset)
            .collect()
    }
}

/// A generation's entry: its first sequence, and what it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) first: Sequence,
    pub(super) covered: Vec<Covered>,
}

impl Entry {
    /// The value to store under the generation's number; with as many files as it has room for.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.first.0.to_be_bytes());
        for covered in &self.covered {
            let whole = out.len();
            put_covered(&mut out, covered);
            if out.len() > piece::WHOLE_BYTES_MAX {
                out.truncate(whole);
                break;
            }
        }
        out
    }

    /// Reads what [`encode`](Entry::encode) made.
    pub(super) fn decode(value: &[u8]) -> Option<Entry> {
        let mut fields = Fields(value);
        (fields.byte()? == VERSION).then_some(())?;
        let first = Sequence(fields.u64()?);
        let mut covered = Vec::new();
        while !fields.0.is_empty() {
            covered.push(take_covered(&mut fields)?);
        }
        Some(Entry { first, covered })
    }
}

/// The position that stands for files that are wholes, of which `done` are done with.
fn wholes(path: String, from_ns: i64, to_ns: i64, done: u64) -> FilePosition {
    FilePosition {
        offset: done,
        tail: from_ns.cast_unsigned(),
        head: to_ns.cast_unsigned(),
        ..FilePosition::start_of(WHOLES, path, 0)
    }
}

impl Covered {
    /// The files that are wholes, if it is about such.
    pub fn wholes(&self) -> Option<Wholes> {
        (self.origin.key == WHOLES).then_some(Wholes {
            from_ns: self.origin.tail.cast_signed(),
            to_ns: self.origin.head.cast_signed(),
            count: self.to,
            done: self.origin.offset,
        })
    }

    /// Where reading the wholes again goes on once `done` of them are done with: with those that changed at
    /// `from_ns`, or later.
    pub fn wholes_from(&self, from_ns: i64, done: u64) -> FilePosition {
        let path = self.origin.path.clone();
        wholes(path, from_ns, self.origin.head.cast_signed(), done)
    }

    /// The value to store for a task.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_covered(&mut out, self);
        out
    }

    /// Reads what [`encode`](Covered::encode) made.
    pub(super) fn decode(value: &[u8]) -> Option<Covered> {
        let mut fields = Fields(value);
        (fields.byte()? == VERSION).then_some(())?;
        let covered = take_covered(&mut fields)?;
        fields.end()?;
        Some(covered)
    }
}

fn put_covered(out: &mut Vec<u8>, covered: &Covered) {
    put_bytes(out, covered.source.as_bytes());
    // What the position is covered by does not matter here.
    put_bytes(out, &position::encode(&covered.origin, Sequence(0)));
    put_count(out, covered.to);
    put_option(out, covered.first_row, |out, hash| {
        out.extend_from_slice(&hash)
    });
}

fn take_covered(fields: &mut Fields<'_>) -> Option<Covered> {
    Some(Covered {
        source: fields.text()?.into(),
        origin: position::decode(fields.bytes()?)?.0,
        to: fields.count()?,
        first_row: fields.option(Fields::array)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::position::tests::any_position;
    use super::*;
    use proptest::prelude::*;

    fn at(offset: u64, life: u32) -> FilePosition {
        let key = FileKey {
            device: 1,
            inode: 2,
        };
        FilePosition {
            offset,
            ..FilePosition::start_of(key, "/cdr/a.txt".into(), life)
        }
    }

    #[test]
    fn a_share_begins_where_the_file_stood_and_ends_where_it_stands() {
        let source: Arc<str> = "cdr".into();
        let mut coverage = Coverage::default();
        coverage.begin(&source, at(100, 0));
        assert!(coverage.covered().is_empty());
        coverage.moved(&source, &at(250, 0));
        let covered = coverage.covered();
        assert_eq!((covered[0].origin.offset, covered[0].to), (100, 250));
        coverage.moved(&source, &at(30, 1));
        let covered = coverage.covered();
        assert_eq!((covered[0].origin.offset, covered[0].to), (0, 30));
    }

    #[test]
    fn wholes_are_one_share_of_their_source_which_outlives_a_restart() {
        let source: Arc<str> = "docs".into();
        let mut coverage = Coverage::default();
        let mut stored = None;
        for changed_ns in [500, 300, 900] {
            stored = Some(coverage.whole(&source, "/docs/a.json", changed_ns));
        }
        let mut again = Coverage::default();
        again.begin(&source, stored.unwrap());
        assert_eq!(again, coverage);
        again.whole(&source, "/docs/b.json", 1_000);
        let covered = again.covered().remove(0);
        let wholes = Wholes {
            from_ns: 300,
            to_ns: 1_000,
            count: 4,
            done: 0,
        };
        assert_eq!(covered.wholes(), Some(wholes));
        let later = Covered {
            origin: covered.wholes_from(700, 2),
            ..covered
        };
        let later = Covered::decode(&later.encode()).unwrap();
        let expected = Wholes {
            from_ns: 700,
            done: 2,
            ..wholes
        };
        assert_eq!(later.wholes(), Some(expected));
    }

    #[test]
    fn no_more_files_are_followed_than_said() {
        let source: Arc<str> = "cdr".into();
        let mut coverage = Coverage::default();
        for inode in 0..COVERED_FILES_MAX as u64 + 3 {
            let key = FileKey { device: 1, inode };
            if coverage.wants(&source, key) {
                coverage.begin(&source, FilePosition::start_of(key, String::new(), 0));
            }
        }
        assert_eq!(coverage.files.len(), COVERED_FILES_MAX);
    }

    #[test]
    fn an_entry_is_never_in_pieces() {
        let source: Arc<str> = "cdr".into();
        let far = "x".repeat(900);
        let covered = |inode| Covered {
            source: Arc::clone(&source),
            origin: FilePosition::start_of(FileKey { device: 1, inode }, far.clone(), 0),
            to: 7,
            first_row: Some([5; 32]),
        };
        let entry = Entry {
            first: Sequence(1),
            covered: (0..100).map(covered).collect(),
        };
        let value = entry.encode();
        assert!(value.len() <= piece::WHOLE_BYTES_MAX);
        let back = Entry::decode(&value).unwrap();
        assert!((3..100).contains(&back.covered.len()));
        assert_eq!(back.covered[..], entry.covered[..back.covered.len()]);
    }

    proptest! {
        #[test]
        fn an_entry_comes_back_as_it_was(origins in proptest::collection::vec(any_position(), 0..4), to: u64, first: u64, first_row: Option<[u8; 32]>) {
            let covered = origins.into_iter().map(|origin| Covered { source: "cdr".into(), origin, to, first_row }).collect();
            let entry = Entry { first: Sequence(first), covered };
            prop_assert_eq!(Entry::decode(&entry.encode()), Some(entry.clone()));
            for one in &entry.covered {
                prop_assert_eq!(Covered::decode(&one.encode()), Some(one.clone()));
            }
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
            let _ = (Entry::decode(&bytes), Covered::decode(&bytes));
        }
    }
}

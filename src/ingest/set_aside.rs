//! SetAside: rows that could not be understood, kept where an operator can read them.
//!
//! One JSON object per line in `set-aside.jsonl` under the state directory, mode 0600:
//!
//! ```json
//! {"source":"cdr","file":"/…/2026041014.txt","line":88412,"offset":9120034,"column":5,"reason":"…","row":"…"}
//! ```
//!
//! **Crash argument.** The entries of a group are written and synced before the group's positions
//! are committed. A crash between the two sets the same rows aside again, at the same place: an
//! entry may be there twice, but no row is ever passed over without one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Most bytes of one set-aside file. The file before it is kept as `set-aside.jsonl.1`, so twice
/// this is the most that bad rows can take: enough for some 20,000 rows, well before an operator
/// has long been told in the log that his format does not fit.
pub const SET_ASIDE_BYTES_MAX: u64 = 4 << 20;

/// Most bytes of a row that are kept: the widest row known is 1.1 KiB.
pub const ROW_BYTES_MAX: usize = 4 << 10;

/// Most bytes that are kept of what was pushed, for it is nowhere else: a document of a call takes some
/// 20 KiB.
pub const PUSH_BYTES_MAX: usize = 64 << 10;

/// One row that did not fit, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The source's name.
    pub source: String,
    /// The file's path when the row was read.
    pub file: String,
    /// The row's line, from 1; `None` when following began in the middle of the file.
    pub line: Option<u64>,
    /// Offset of the row's first byte in the file.
    pub offset: u64,
    /// The column that did not fit, from 1, where one can be named.
    pub column: Option<usize>,
    /// What did not fit.
    pub reason: String,
    /// The row's first [`ROW_BYTES_MAX`] bytes, of a push its first 64 KiB, with U+FFFD where they are not
    /// UTF-8.
    pub row: String,
    /// The same bytes in Base64, of what was pushed and is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_base64: Option<String>,
}

/// The file of rows set aside. It is opened by its path for every group, so that it may be removed
/// or rotated by others at any time.
#[derive(Debug)]
pub struct SetAside {
    path: PathBuf,
    bytes_max: u64,
}

impl SetAside {
    /// The file under `state_dir`, of at most `bytes_max` bytes and never more than
    /// [`SET_ASIDE_BYTES_MAX`]; checks that it can be written.
    ///
    /// # Errors
    ///
    /// When it can be neither opened nor made, unless that is for want of space or because the
    /// disk cannot be written now: that is seen, and waited for, when a row is to be set aside.
    pub fn open(state_dir: &Path, bytes_max: u64) -> io::Result<SetAside> {
        let path = state_dir.join("set-aside.jsonl");
        match append(&path) {
            Err(error) if !may_pass(&error) => return Err(error),
            _ => {}
        }
        Ok(SetAside {
            path,
            bytes_max: bytes_max.min(SET_ASIDE_BYTES_MAX),
        })
    }

    /// Adds `entries`; they survive loss of power after `Ok`.
    ///
    /// # Errors
    ///
    /// When they could not be written or synced: the rows must then not be counted as read. No half
    /// line of them is left in the file, as far as the system lets it be mended.
    pub fn add(&self, entries: &[Entry]) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for entry in entries {
            let before = text.len();
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
            // A byte that is no character of a line takes six in JSON: a group may be more than a file.
            if before > 0 && text.len() as u64 > self.bytes_max {
                let last = text.split_off(before);
                self.write(&text)?;
                text = last;
            }
        }
        self.write(&text)
    }

    /// Adds lines that are no more than a file may have, but for a single one.
    fn write(&self, text: &[u8]) -> io::Result<()> {
        let mut file = append(&self.path)?;
        let mut before = file.metadata()?.len();
        if before > 0 && before.saturating_add(text.len() as u64) > self.bytes_max {
            fs::rename(&self.path, self.before())?;
            file = append(&self.path)?;
            before = 0;
        }
        let written = file.write_all(text).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a line would spoil the file; the rows come again with the next try.
            let _cut = file.set_len(before);
        } else if before == 0 {
            // A file that was made now is found after a loss of power only once its directory is
            // synced too.
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        written
    }

    fn before(&self) -> PathBuf {
        self.path.with_extension("jsonl.1")
    }
}

/// The first [`ROW_BYTES_MAX`] bytes of `row`, as text.
pub fn row_text(row: &[u8]) -> String {
    text(row.get(..ROW_BYTES_MAX).unwrap_or(row))
}

/// What is kept of a push: its text, and its bytes in Base64 where they are no text.
pub fn push_text(push: &[u8]) -> (String, Option<String>) {
    let kept = push.get(..PUSH_BYTES_MAX).unwrap_or(push);
    let is_text = std::str::from_utf8(kept).is_ok();
    (text(kept), (!is_text).then(|| STANDARD.encode(kept)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim_end_matches(['\r', '\n'])
        .to_string()
}

/// Whether the disk is full or read-only now, and may be otherwise later.
fn may_pass(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(row: &str) -> Entry {
        Entry {
            source: "cdr".to_string(),
            file: "/var/cdr/2026041014.txt".to_string(),
            line: Some(7),
            offset: 1_204,
            column: Some(5),
            reason: "11 fields, expected 18".to_string(),
            row: row_text(row.as_bytes()),
            row_base64: None,
        }
    }

    #[test]
    fn a_row_set_aside_can_be_read_back_with_its_place_and_reason() {
        let dir = tempfile::tempdir().unwrap();
        let aside = SetAside::open(dir.path(), SET_ASIDE_BYTES_MAX).unwrap();
        aside.add(&[entry("a|b\"|c\r\n")]).unwrap();
        let text = fs::read_to_string(dir.path().join("set-aside.jsonl")).unwrap();
        assert_eq!(
            text,
            "{\"source\":\"cdr\",\"file\":\"/var/cdr/2026041014.txt\",\"line\":7,\"offset\":1204,\
             \"column\":5,\"reason\":\"11 fields, expected 18\",\"row\":\"a|b\\\"|c\"}\n"
        );
    }

    #[test]
    fn it_never_takes_more_than_two_files_of_the_cap() {
        let dir = tempfile::tempdir().unwrap();
        let aside = SetAside::open(dir.path(), SET_ASIDE_BYTES_MAX).unwrap();
        let group = vec![entry(&"x".repeat(2 * ROW_BYTES_MAX)); 64];
        for _ in 0..64 {
            aside.add(&group).unwrap();
        }
        // Six times as long in JSON, so that one group is more than both files.
        aside
            .add(&vec![entry(&"\u{1}".repeat(ROW_BYTES_MAX)); 512])
            .unwrap();
        let mut total = 0;
        for found in fs::read_dir(dir.path()).unwrap() {
            let size = found.unwrap().metadata().unwrap().len();
            assert!(size <= SET_ASIDE_BYTES_MAX, "{size}");
            total += size;
        }
        assert!(total > SET_ASIDE_BYTES_MAX, "{total}");
    }

    #[test]
    fn what_is_nowhere_else_is_kept_byte_by_byte() {
        assert_eq!(push_text(b"{}\n"), ("{}".to_owned(), None));
        let (text, base64) = push_text(b"{\"a\":\"\xCD\xF8\"}");
        assert_eq!(text, "{\"a\":\"\u{FFFD}\u{FFFD}\"}");
        assert_eq!(base64.as_deref(), Some("eyJhIjoizfgifQ=="));
        assert_eq!(
            push_text(&[b'x'; 2 * PUSH_BYTES_MAX]).0.len(),
            PUSH_BYTES_MAX
        );
    }

    #[test]
    fn it_goes_on_where_it_was_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        SetAside::open(dir.path(), SET_ASIDE_BYTES_MAX)
            .unwrap()
            .add(&[entry("one")])
            .unwrap();
        SetAside::open(dir.path(), SET_ASIDE_BYTES_MAX)
            .unwrap()
            .add(&[entry("two")])
            .unwrap();
        let text = fs::read_to_string(dir.path().join("set-aside.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn it_may_be_removed_at_any_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set-aside.jsonl");
        let aside = SetAside::open(dir.path(), SET_ASIDE_BYTES_MAX).unwrap();
        aside.add(&[entry("one")]).unwrap();
        fs::remove_file(&path).unwrap();
        aside.add(&[entry("two")]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("two") && text.lines().count() == 1, "{text}");
    }
}

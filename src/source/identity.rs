//! Identity: whether a file is still the one a position was taken in.
//!
//! Three things are checked together: device and inode (by the caller, who found the file by
//! them), the file's head through its first row, and the last bytes before the position. The head
//! alone is not enough: files of one source share their header, often their first row too. The
//! tail alone is not enough either: it says nothing before anything was consumed.

use super::position::{FilePosition, TAIL_BYTES_MAX};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Says whether a line is a header. It is given the line without its line end, a byte order mark
/// and leading NUL bytes, and whether it is its file's first.
pub type HeaderTest = Arc<dyn Fn(&[u8], bool) -> bool + Send + Sync>;

/// How the content of a file compares with a position taken under its device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// The position holds.
    Same,
    /// The file ends before the position: it was truncated, or is another file.
    Shorter,
    /// It begins with other bytes: another file, or rewritten from the start.
    OtherHead,
    /// Other bytes stand before the position: truncated and written again beyond it.
    OtherTail,
}

/// Compares the file's head and tail with `position`. Reads at most
/// [`HEAD_BYTES_MAX`](super::HEAD_BYTES_MAX) + [`TAIL_BYTES_MAX`] bytes.
///
/// # Errors
///
/// When the file cannot be read; nothing is known about it then.
pub fn compare<F: Read + Seek>(file: &mut F, position: &FilePosition) -> io::Result<Likeness> {
    let head = bytes_at(file, 0, position.head_bytes)?;
    if (head.len() as u64) < position.head_bytes {
        return Ok(Likeness::Shorter);
    }
    if position.head_bytes > 0 && short_hash(&head) != position.head {
        let is_shorter = file.seek(SeekFrom::End(0))? < position.offset;
        return Ok(if is_shorter {
            Likeness::Shorter
        } else {
            Likeness::OtherHead
        });
    }
    compare_tail(file, position)
}

/// Compares only the bytes before the position, or its head where there are none: the cheap check
/// before each read of a file that has grown.
///
/// # Errors
///
/// When the file cannot be read; nothing is known about it then.
pub fn compare_tail<F: Read + Seek>(file: &mut F, position: &FilePosition) -> io::Result<Likeness> {
    let count = u64::from(position.tail_bytes);
    if count == 0 && position.head_bytes > 0 {
        let head = bytes_at(file, 0, position.head_bytes)?;
        return Ok(if (head.len() as u64) < position.head_bytes {
            Likeness::Shorter
        } else if short_hash(&head) != position.head {
            Likeness::OtherHead
        } else {
            Likeness::Same
        });
    }
    let tail = bytes_at(file, position.offset.saturating_sub(count), count)?;
    Ok(if (tail.len() as u64) < count {
        Likeness::Shorter
    } else if count > 0 && short_hash(&tail) != position.tail {
        Likeness::OtherTail
    } else {
        Likeness::Same
    })
}

/// The last bytes before `offset`, at most [`TAIL_BYTES_MAX`]; fewer when the file is shorter.
///
/// # Errors
///
/// When the file cannot be read.
pub fn bytes_before<F: Read + Seek>(file: &mut F, offset: u64) -> io::Result<Vec<u8>> {
    let count = offset.min(u64::from(TAIL_BYTES_MAX));
    bytes_at(file, offset - count, count)
}

/// Up to `count` bytes from `offset` on; fewer at the end of the file.
///
/// # Errors
///
/// When the file cannot be read.
pub fn bytes_at<F: Read + Seek>(file: &mut F, offset: u64, count: u64) -> io::Result<Vec<u8>> {
    // With room for all of them it is one call of the system; without, four for the tail of a file.
    let room = usize::try_from(count.min(u64::from(TAIL_BYTES_MAX))).unwrap_or(0);
    let mut bytes = Vec::with_capacity(room);
    if count > 0 {
        file.seek(SeekFrom::Start(offset))?;
        file.take(count).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The first 8 bytes of the SHA-256 of `bytes`, as a big-endian number.
pub fn short_hash(bytes: &[u8]) -> u64 {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    hash.first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

/// A file's first row: part of the id of events that have no key of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstRow {
    /// SHA-256 of the row, as [`FilePosition::first_row`] defines it.
    pub hash: [u8; 32],
    /// Offset just after its line end.
    pub end: u64,
}

impl FirstRow {
    /// The first row among `lines`, which are complete and begin at `offset`.
    pub fn among(lines: &[u8], offset: u64, is_header: &HeaderTest) -> Option<FirstRow> {
        let mut end = offset;
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            let at_start = end == 0;
            end += line.len() as u64;
            if let Some(hash) = row_hash(line, at_start, is_header) {
                return Some(FirstRow { hash, end });
            }
        }
        None
    }
}

/// The hash of `line` as a first row; `None` when it is blank or a header.
pub fn row_hash(line: &[u8], at_start: bool, is_header: &HeaderTest) -> Option<[u8; 32]> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = if at_start {
        line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
    } else {
        line
    };
    let nuls = line.iter().take_while(|&&byte| byte == 0).count();
    let row = line.get(nuls..).unwrap_or_default();
    let is_row = !row.trim_ascii().is_empty() && !is_header(row, at_start);
    is_row.then(|| Sha256::digest(row).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileKey;
    use std::io::Cursor;

    fn is_header() -> HeaderTest {
        Arc::new(|line, _| line.starts_with(b"caller"))
    }

    /// The position after `consumed`, its head taken through the first row.
    fn position(consumed: &[u8]) -> FilePosition {
        let key = FileKey {
            device: 1,
            inode: 2,
        };
        let first = FirstRow::among(consumed, 0, &is_header());
        let head_bytes = first.map_or(0, |row| row.end);
        let tail = bytes_before(&mut Cursor::new(consumed), consumed.len() as u64).unwrap();
        FilePosition {
            offset: consumed.len() as u64,
            first_row: first.map(|row| row.hash),
            head_bytes,
            head: short_hash(&consumed[..usize::try_from(head_bytes).unwrap()]),
            tail: short_hash(&tail),
            tail_bytes: u16::try_from(tail.len()).unwrap(),
            ..FilePosition::start_of(key, String::new(), 0)
        }
    }

    #[track_caller]
    fn check(consumed: &str, now: &str, expected: Likeness) {
        let likeness = compare(
            &mut Cursor::new(now.as_bytes()),
            &position(consumed.as_bytes()),
        );
        assert_eq!(likeness.unwrap(), expected, "{consumed:?} then {now:?}");
    }

    #[test]
    fn a_file_is_the_same_only_with_the_same_head_and_the_same_tail() {
        check("", "", Likeness::Same);
        check("", "anything", Likeness::Same);
        check("caller\n1|a\n", "caller\n1|a\n", Likeness::Same);
        check("caller\n1|a\n", "caller\n1|a\n2|b\n", Likeness::Same);
        check("caller\n1|a\n2|b\n", "caller\n1|a\n", Likeness::Shorter);
        check("caller\n1|a\n", "", Likeness::Shorter);
        check(
            "caller\n1|a\n2|b\n",
            "caller\n1|x\n2|b\n",
            Likeness::OtherHead,
        );
        check(
            "caller\n1|a\n2|b\n",
            "caller\n1|a\n2|x\n3|c\n",
            Likeness::OtherTail,
        );
        check("caller\n\n", "caller\nx\n", Likeness::OtherTail);
    }

    #[test]
    fn a_head_beyond_the_tail_is_compared_too() {
        let filler = "f".repeat(2 * usize::from(TAIL_BYTES_MAX));
        let (before, after) = (format!("1|a\n{filler}\n"), format!("1|b\n{filler}\n"));
        check(&before, &after, Likeness::OtherHead);
    }

    #[track_caller]
    fn check_row(lines: &[u8], expected: Option<(&[u8], u64)>) {
        let found = FirstRow::among(lines, 0, &is_header());
        let expected = expected.map(|(row, end)| FirstRow {
            hash: Sha256::digest(row).into(),
            end,
        });
        assert_eq!(found, expected, "{}", lines.escape_ascii());
    }

    #[test]
    fn the_first_row_is_the_first_line_that_is_neither_blank_nor_a_header() {
        check_row(b"1|a\n2|b\n", Some((b"1|a", 4)));
        check_row(b"caller|x\r\n\r\n \n1|a\r\n2|b\n", Some((b"1|a", 19)));
        check_row(b"\xef\xbb\xbfcaller\n1|a\n", Some((b"1|a", 14)));
        check_row(b"\xef\xbb\xbf1|a\n", Some((b"1|a", 7)));
        check_row(b"\0\0\x001|a\n", Some((b"1|a", 7)));
        check_row(b"caller\n\n\0\0\n", None);
        check_row(b"", None);
    }
}

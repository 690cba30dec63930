//! Start: where following begins in a file whose earlier rows are not wanted.

use super::identity::{self, FirstRow, HeaderTest};
use super::{FilePosition, HEAD_BYTES_MAX};
use memchr::{memchr_iter, memrchr};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Longest file whose lines are counted when following begins at its end.
///
/// Line numbers are for messages only; a gigabyte is not worth reading for them, and 2,000 files
/// of this size would take some ten seconds, once.
pub const COUNT_BYTES_MAX: u64 = 8 << 20;

/// Bytes read at a time.
const BLOCK_BYTES: u32 = 64 << 10;

/// The position after the last complete line of `file`, which is known as `at_start` says.
///
/// Holds one line and one block in memory, however long the file and its lines are.
///
/// # Errors
///
/// When the file cannot be read.
pub fn after_last_line<F: Read + Seek>(
    file: &mut F,
    at_start: &FilePosition,
    is_header: &HeaderTest,
    line_max: usize,
) -> io::Result<FilePosition> {
    let size = file.seek(SeekFrom::End(0))?;
    let offset = end_of_last_line(file, size)?;
    let tail = identity::bytes_before(file, offset)?;
    let mut position = FilePosition {
        offset,
        lines: None,
        ..at_start.clone()
    };
    if !tail.is_empty() {
        position.tail = identity::short_hash(&tail);
        position.tail_bytes = u16::try_from(tail.len()).unwrap_or(super::TAIL_BYTES_MAX);
    }
    if offset <= COUNT_BYTES_MAX {
        position.lines = Some(count_lines(file, offset)?);
    }
    file.seek(SeekFrom::Start(0))?;
    if let Some(row) = first_row(&mut BufReader::new(file.take(offset)), is_header, line_max)? {
        position.first_row = Some(row.hash);
        position.head_bytes = row.end.min(HEAD_BYTES_MAX);
        position.head = identity::short_hash(&identity::bytes_at(file, 0, position.head_bytes)?);
    }
    Ok(position)
}

/// Offset just after the last line end before `size`; 0 when there is none.
fn end_of_last_line<F: Read + Seek>(file: &mut F, size: u64) -> io::Result<u64> {
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(u64::from(BLOCK_BYTES));
        let block = identity::bytes_at(file, start, end - start)?;
        if let Some(at) = memrchr(b'\n', &block) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn count_lines<F: Read + Seek>(file: &mut F, end: u64) -> io::Result<u64> {
    let (mut lines, mut at) = (0, 0);
    while at < end {
        let block = identity::bytes_at(file, at, u64::from(BLOCK_BYTES).min(end - at))?;
        if block.is_empty() {
            break;
        }
        lines += memchr_iter(b'\n', &block).count() as u64;
        at += block.len() as u64;
    }
    Ok(lines)
}

/// The same first row that reading the file from its start would find: lines longer than
/// `line_max` do not count, and NUL bytes that make a line longer than that are no part of it.
pub fn first_row<R: BufRead>(
    reader: &mut R,
    is_header: &HeaderTest,
    line_max: usize,
) -> io::Result<Option<FirstRow>> {
    let mut line = Vec::new();
    let mut start = 0;
    loop {
        let room = line_max.saturating_sub(line.len()) as u64;
        reader.by_ref().take(room).read_until(b'\n', &mut line)?;
        let nuls = line.iter().take_while(|&&byte| byte == 0).count();
        if line.ends_with(b"\n") {
            let end = start + line.len() as u64;
            if let Some(hash) = identity::row_hash(&line, start == 0, is_header) {
                return Ok(Some(FirstRow { hash, end }));
            }
            start = end;
            line.clear();
        } else if line.len() < line_max {
            return Ok(None);
        } else if nuls > 0 {
            line.drain(..nuls);
            start += nuls as u64;
            if line.is_empty() {
                start += skip_nuls(reader)?;
            }
        } else {
            start += line.len() as u64 + reader.skip_until(b'\n')? as u64;
            line.clear();
        }
    }
}

/// Passes NUL bytes; returns how many there were.
fn skip_nuls<R: BufRead>(reader: &mut R) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let held = reader.fill_buf()?;
        let nuls = held.iter().take_while(|&&byte| byte == 0).count();
        let is_over = nuls < held.len() || held.is_empty();
        reader.consume(nuls);
        skipped += nuls as u64;
        if is_over {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileKey;
    use std::io::Cursor;
    use std::sync::Arc;

    fn place(content: &[u8], line_max: usize) -> FilePosition {
        let at_start = FilePosition::start_of(
            FileKey {
                device: 1,
                inode: 1,
            },
            "a.txt".to_owned(),
            0,
        );
        let is_header: HeaderTest = Arc::new(|line, _| line.starts_with(b"caller"));
        after_last_line(&mut Cursor::new(content), &at_start, &is_header, line_max).unwrap()
    }

    #[track_caller]
    fn check(content: &str, offset: u64, lines: u64, head_bytes: u64) {
        let position = place(content.as_bytes(), 16);
        let found = (position.offset, position.lines, position.head_bytes);
        assert_eq!(found, (offset, Some(lines), head_bytes), "{content:?}");
        let likeness = identity::compare(&mut Cursor::new(content.as_bytes()), &position).unwrap();
        assert_eq!(likeness, identity::Likeness::Same, "{content:?}");
        assert_eq!(position.first_row.is_some(), head_bytes > 0, "{content:?}");
    }

    #[test]
    fn following_begins_after_the_last_complete_line_with_the_head_taken() {
        check("", 0, 0, 0);
        check("1|a", 0, 0, 0);
        check("1|a\n", 4, 1, 4);
        check("caller\n1|a\n2|b\n3", 15, 3, 11);
        check("caller\n", 7, 1, 0);
    }

    #[test]
    fn the_first_row_is_the_one_that_reading_from_the_start_would_find() {
        check("a line that is too long\n1|a\n", 28, 2, 28);
        check(&format!("{}1|a\n", "\0".repeat(40)), 44, 1, 44);
        check(
            &format!("{}a line that is too long\n1|a\n", "\0".repeat(5)),
            33,
            2,
            33,
        );
        check(
            &format!("{}fits in sixteen\n1|a\n", "\0".repeat(9)),
            29,
            2,
            25,
        );
    }

    #[test]
    fn a_long_file_is_not_counted_and_its_head_is_bounded() {
        let mut content = vec![b'x'; usize::try_from(HEAD_BYTES_MAX).unwrap() + 9];
        content.push(b'\n');
        content.resize(usize::try_from(COUNT_BYTES_MAX).unwrap() + 1, b'y');
        content.extend_from_slice(b"\nhalf a");
        let position = place(&content, 1 << 20);
        assert_eq!(
            (position.offset, position.lines),
            (content.len() as u64 - 6, None)
        );
        assert_eq!(position.head_bytes, HEAD_BYTES_MAX);
    }
}

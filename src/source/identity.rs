//! Identity: what makes a file the one a position was taken in: its inode, its first row, and the
//! last bytes read. Names mean nothing.

use super::{FileKey, FilePosition, HeaderTest, TAIL_BYTES_MAX};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Most bytes of a file's beginning that its hash is taken over: a header and a row are far less.
pub(super) const HEAD_BYTES_MAX: u64 = 128 << 10;

/// Most bytes whose lines are counted when following begins behind them; above it, line numbers of
/// that file are not known. Counting more would read a switch's whole archive into its page cache.
const COUNTED_BYTES_MAX: u64 = 16 << 20;

/// The first 8 bytes of the SHA-256 of `bytes`.
pub(super) fn short_hash(bytes: &[u8]) -> u64 {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let (first, _) = digest.split_first_chunk().expect("32 bytes begin with 8");
    u64::from_be_bytes(*first)
}

/// Whether `file`, of `size` bytes, is the one that `position` was taken in.
pub(super) fn is_same(
    file: &File,
    key: FileKey,
    size: u64,
    position: &FilePosition,
) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if (metadata.dev(), metadata.ino()) != (key.device, key.inode) {
        return Ok(false); // The name has been given to another file since it was listed.
    }
    if size < position.offset || size < position.head_bytes {
        return Ok(false);
    }
    let head = read_at(file, 0, position.head_bytes.min(HEAD_BYTES_MAX))?;
    if position.head_bytes > 0 && short_hash(&head) != position.head {
        return Ok(false);
    }
    let tail_bytes = u64::from(position.tail_bytes);
    let tail = read_at(file, position.offset.saturating_sub(tail_bytes), tail_bytes)?;
    Ok(tail_bytes == 0 || short_hash(&tail) == position.tail)
}

/// The position behind the last complete line among the first `size` bytes of `file`; its key and
/// path are the caller's to fill in.
pub(super) fn at_last_line_end(
    file: &File,
    size: u64,
    line_max: usize,
    is_header: &HeaderTest,
) -> io::Result<FilePosition> {
    let offset = last_line_end(file, size)?;
    let lines = if offset <= COUNTED_BYTES_MAX {
        Some(count_lines(file, offset)?)
    } else {
        None
    };
    let mut position = FilePosition {
        offset,
        lines,
        ..FilePosition::beginning(
            FileKey {
                device: 0,
                inode: 0,
            },
            Path::new(""),
            0,
        )
    };
    let head = read_at(file, 0, offset.min(HEAD_BYTES_MAX.max(line_max as u64)))?;
    learn_first_row(&head, 0, &mut position, is_header);
    position.head = short_hash(
        head.get(..usize::try_from(position.head_bytes.min(HEAD_BYTES_MAX)).unwrap_or(0))
            .unwrap_or_default(),
    );
    let tail_bytes = u64::from(TAIL_BYTES_MAX).min(offset);
    position.tail = short_hash(&read_at(file, offset - tail_bytes, tail_bytes)?);
    position.tail_bytes = u16::try_from(tail_bytes).unwrap_or(TAIL_BYTES_MAX);
    Ok(position)
}

/// Finds the first line of `bytes`, which stand at `offset`, that is neither blank nor a header;
/// returns whether there is one.
pub(super) fn learn_first_row(
    bytes: &[u8],
    offset: u64,
    position: &mut FilePosition,
    is_header: &HeaderTest,
) -> bool {
    let mut end = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let at_start = offset == 0 && end == 0;
        end += line.len();
        let row = row_of(line);
        if line.ends_with(b"\n")
            && !row
                .iter()
                .all(|byte| byte.is_ascii_whitespace() || *byte == 0)
            && !is_header(line, at_start)
        {
            position.first_row = Some(Sha256::digest(row).into());
            position.head_bytes = offset + end as u64;
            return true;
        }
    }
    false
}

/// A line without its line end and a byte order mark before it.
fn row_of(line: &[u8]) -> &[u8] {
    let row = line.strip_suffix(b"\n").unwrap_or(line);
    let row = row.strip_suffix(b"\r").unwrap_or(row);
    row.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(row)
}

fn last_line_end(file: &File, size: u64) -> io::Result<u64> {
    const STEP: u64 = 64 << 10;
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        if let Some(at) = memchr::memrchr(b'\n', &read_at(file, start, end - start)?) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn count_lines(file: &File, size: u64) -> io::Result<u64> {
    const STEP: u64 = 256 << 10;
    let (mut lines, mut at) = (0, 0);
    while at < size {
        let bytes = read_at(file, at, STEP.min(size - at))?;
        if bytes.is_empty() {
            break;
        }
        lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        at += bytes.len() as u64;
    }
    Ok(lines)
}

/// Up to `count` bytes of `file` from `offset`; fewer at its end.
pub(super) fn read_at(file: &File, offset: u64, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

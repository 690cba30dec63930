//! Trimmed: whether a file is another one from whose front rows were taken.
//!
//! `tail -n 1000 log > t && cat t > log`, `sed -i 1,500d log` and a program that keeps the last
//! megabyte of its log leave what was read at another offset, after another first row. The bytes
//! before the position are looked for in the file as it is now: whoever reads it from its start
//! tells of every row that was left a second time, under another id.

use super::identity;
use super::known::{Mark, Marks};
use super::start;
use super::tail::Content;
use super::{FilePosition, HEAD_BYTES_MAX, HeaderTest, TAIL_BYTES_MAX};
use memchr::memchr_iter;
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Longest file in which the place is looked for, in bytes: each of its lines is hashed with those before
/// it, some tenths of a second for as many. Who trims a file does it to keep it short.
const TRIMMED_BYTES_MAX: u64 = 16 << 20;

/// Bytes read at a time.
const BLOCK_BYTES: u64 = 64 << 10;

/// Where in a file stands what was read of the one it was.
#[derive(Debug, Clone)]
pub struct Trimmed {
    offset: u64,
    lines: u64,
    first_row: [u8; 32],
    head_bytes: u64,
    head: u64,
    /// How long it would be with what was taken away.
    pub length_before: u64,
}

impl Trimmed {
    /// Has `position`, which was taken before, hold in the file as it is now.
    pub fn move_position(&self, position: &mut FilePosition) {
        position.offset = self.offset;
        position.lines = Some(self.lines);
        position.first_row = Some(self.first_row);
        (position.head_bytes, position.head) = (self.head_bytes, self.head);
    }

    /// The place.
    pub fn mark(&self, position: &FilePosition) -> Mark {
        Mark {
            offset: self.offset,
            ..Mark::of(position)
        }
    }
}

/// Finds the place up to which `content` was read as another file, one of those with these
/// positions and marks; returns that one's number too. Of several it is the one of which most is in
/// `content`: it was read last.
///
/// It is one if the last [`TAIL_BYTES_MAX`] bytes before the position stand in `content` once,
/// before a line's end, no further from its start than they did, and every one of the marks
/// that can be in it is. A file with the same rows over and over has many such places, and is
/// none that can be known.
///
/// # Errors
///
/// When the file cannot be read.
pub fn find(
    content: &mut Content<'_>,
    before: &[(&FilePosition, &Marks)],
    is_header: &HeaderTest,
    line_max: usize,
) -> io::Result<Option<(usize, Trimmed)>> {
    let can_be = |position: &FilePosition| {
        position.first_row.is_some() && position.tail_bytes == TAIL_BYTES_MAX
    };
    let mut tails: HashMap<u64, usize> = HashMap::new();
    for (at, (position, _)) in before.iter().enumerate() {
        if can_be(position) {
            tails.entry(position.tail).or_insert(at);
        }
    }
    if tails.is_empty() {
        return Ok(None);
    }
    let length = content.length()?;
    if length < u64::from(TAIL_BYTES_MAX) || length > TRIMMED_BYTES_MAX {
        return Ok(None);
    }
    let mut places = places_of(content, &tails)?;
    places.retain(|place| place.count == 1);
    places.sort_unstable_by_key(|place| std::cmp::Reverse(place.offset));
    for Place {
        of, offset, lines, ..
    } in places
    {
        let Some((position, marks)) = before.get(of) else {
            continue;
        };
        let Some(taken) = position.offset.checked_sub(offset) else {
            continue;
        };
        if !marks_hold(content, marks, taken)? {
            continue;
        }
        content.seek(SeekFrom::Start(0))?;
        let read = &mut BufReader::new(content.by_ref().take(offset));
        let Some(row) = start::first_row(read, is_header, line_max)? else {
            continue;
        };
        let head_bytes = row.end.min(HEAD_BYTES_MAX);
        let head = identity::bytes_at(content, 0, head_bytes)?;
        let trimmed = Trimmed {
            offset,
            lines,
            first_row: row.hash,
            head_bytes,
            head: identity::short_hash(&head),
            length_before: length + taken,
        };
        return Ok(Some((of, trimmed)));
    }
    Ok(None)
}

/// Where the bytes with one of the hashes stand.
struct Place {
    of: usize,
    /// Just after them, at the first place.
    offset: u64,
    /// Lines before that.
    lines: u64,
    /// How many places there are.
    count: usize,
}

/// Goes through `content` once, and compares the bytes before each line's end.
fn places_of(content: &mut Content<'_>, tails: &HashMap<u64, usize>) -> io::Result<Vec<Place>> {
    let tail_bytes = usize::from(TAIL_BYTES_MAX);
    let mut places: Vec<Place> = Vec::new();
    let (mut held, mut held_from, mut lines) = (Vec::new(), 0, 0);
    loop {
        let fresh = held.len();
        let block = identity::bytes_at(content, held_from + fresh as u64, BLOCK_BYTES)?;
        if block.is_empty() {
            return Ok(places);
        }
        held.extend_from_slice(&block);
        for newline in memchr_iter(b'\n', &block) {
            lines += 1;
            let end = fresh + newline + 1;
            let tail = end.checked_sub(tail_bytes);
            let tail = tail.and_then(|from| held.get(from..end));
            let of = tail.and_then(|tail| tails.get(&identity::short_hash(tail)));
            let Some(&of) = of else {
                continue;
            };
            match places.iter_mut().find(|place| place.of == of) {
                Some(place) => place.count += 1,
                None => places.push(Place {
                    of,
                    offset: held_from + end as u64,
                    lines,
                    count: 1,
                }),
            }
        }
        let passed = held.len().saturating_sub(tail_bytes);
        held.drain(..passed);
        held_from += passed as u64;
    }
}

/// Whether all of the `marks` that are behind the `taken` bytes hold in `content`.
fn marks_hold(content: &mut Content<'_>, marks: &Marks, taken: u64) -> io::Result<bool> {
    for mark in marks.iter() {
        let there = mark.offset.checked_sub(taken);
        let there = there.filter(|&offset| offset >= u64::from(mark.tail_bytes));
        let Some(offset) = there else {
            continue;
        };
        if !super::compared::holds(content, Mark { offset, ..*mark })? {
            return Ok(false);
        }
    }
    Ok(true)
}

//! A door for the fuzz targets: each of these decodes bytes as an opening or a read would, and
//! panics when what was read does not come back the same once it is written again.

use super::block::{self, EVENT_BYTES_MAX};
use super::checkpoint::{MAGIC, Rows};
use super::coverage::{Covered, Entry};
use super::cursor::Cursor;
use super::dead_letter::DeadLetter;
use super::encoding::Fields;
use super::endpoint::Endpoint;
use super::ledger::SourceTotals;
use super::meta::Meta;
use super::recall::Recalls;
use super::void::Void;
use super::waiting::Waiting;
use super::{key, piece, position, row};
use crate::clock::UnixMs;
use crate::event::{Event, Sequence};
use crate::source::FilePosition;

const HERE: Sequence = Sequence(7);

/// A block as found on disk, one whose checksum is right whatever else is in it, and one in which
/// only the events are anything.
pub fn block(bytes: &[u8]) {
    let _ = block::count(bytes);
    let mut values = vec![bytes.to_vec(), block::sealed(HERE, bytes)];
    if let Some((&count, raw)) = bytes.split_first() {
        values.push(block::sealed_events(HERE, count, raw));
    }
    for value in values {
        let Some(events) = block::unpack(HERE, &value) else {
            continue;
        };
        let events: Vec<Event> = events
            .iter()
            .map(|queued| (*queued.event).clone())
            .collect();
        let mut back = Vec::new();
        let mut at = HERE;
        for packed in block::pack(&events).expect("it fitted a block before") {
            let (first, count) = (at, packed.count());
            at = at.plus(count);
            let unpacked = block::unpack(first, &packed.place(first)).expect("it was just packed");
            back.extend(unpacked.iter().map(|queued| (*queued.event).clone()));
        }
        assert_eq!(back, events);
    }
}

/// How far a file was read.
pub fn position(bytes: &[u8]) {
    if let Some((position, behind)) = position::decode(bytes)
        && fits(&position)
    {
        let written = position::encode(&position, behind);
        assert_eq!(position::decode(&written), Some((position, behind)));
    }
}

/// Which bytes of which files a generation's events came from.
pub fn coverage(bytes: &[u8]) {
    if let Some(covered) = Covered::decode(bytes)
        && fits(&covered.origin)
    {
        assert_eq!(Covered::decode(&covered.encode()), Some(covered));
    }
    if let Some(entry) = Entry::decode(bytes)
        && entry.covered.iter().all(|covered| fits(&covered.origin))
    {
        assert_eq!(Entry::decode(&entry.encode()), Some(entry));
    }
}

/// Sequences without an event.
pub fn void(bytes: &[u8]) {
    if let Some(void) = Void::decode(HERE, bytes) {
        assert_eq!(Void::decode(HERE, &void.encode()), Some(void));
    }
}

/// The side checkpoint, as found, with the beginning and checksum it should have, and with a row in
/// which it says something about itself.
pub fn checkpoint(bytes: &[u8]) {
    let sealed = [&MAGIC[..], bytes].concat();
    let checksum = crc32c::crc32c(&sealed).to_be_bytes();
    let about = Rows([(key::META.to_vec(), bytes.to_vec())].into());
    for file in [
        bytes.to_vec(),
        [&sealed[..], &checksum].concat(),
        about.encode(),
    ] {
        if let Some(rows) = Rows::decode(&file) {
            let _ = (rows.head(), rows.meta());
            let back = Rows::decode(&rows.encode()).expect("it was just written");
            assert_eq!(back.0, rows.0);
        }
    }
}

/// A cursor with its window.
pub fn cursor(bytes: &[u8]) {
    let mut fields = Fields(bytes);
    if let Some(mut cursor) = Cursor::take(&mut fields) {
        let mut written = Vec::new();
        cursor.put(&mut written);
        assert_eq!(Cursor::take(&mut Fields(&written)).as_ref(), Some(&cursor));
        assert_eq!(cursor.ahead().count() as u64, cursor.ahead_count());
        let next = cursor.next();
        assert!(cursor.settle(next) || next.0 == u64::MAX);
    }
}

/// What an endpoint has had.
pub fn endpoint(bytes: &[u8]) {
    if let Some(endpoint) = Endpoint::decode(bytes) {
        let back = Endpoint::decode(&endpoint.encode()).expect("it was just written");
        assert_eq!(back.settled_beyond(), endpoint.settled_beyond());
        assert_eq!(back.cursor(), endpoint.cursor());
    }
}

/// What a generation says about itself.
pub fn meta(bytes: &[u8]) {
    if let Ok(meta) = Meta::decode(bytes)
        && meta.node.len() <= key::NAME_BYTES_MAX
    {
        assert_eq!(Meta::decode(&meta.encode()), Ok(meta));
    }
}

/// An event that waits for its own retry, as found and with its block's checksum set right.
pub fn waiting(bytes: &[u8]) {
    for value in as_found_and_sealed(bytes) {
        if let Some(waiting) = Waiting::decode(UnixMs(1), HERE, &value)
            && waiting.reason.len() <= super::REASON_BYTES_MAX
        {
            let written = waiting.encode().expect("it fitted before");
            assert_eq!(Waiting::decode(UnixMs(1), HERE, &written), Some(waiting));
        }
    }
}

/// A dead letter, as found and with its block's checksum set right.
pub fn dead_letter(bytes: &[u8]) {
    for value in as_found_and_sealed(bytes) {
        if let Some(letter) = DeadLetter::decode(HERE, &value)
            && letter.reason.len() <= super::REASON_BYTES_MAX
            && letter.answer_start.len() <= super::ANSWER_BYTES_MAX
        {
            let written = letter.encode(3).expect("it fitted before");
            assert_eq!(DeadLetter::decode(HERE, &written), Some(letter));
        }
    }
}

/// What a source has brought, in numbers.
pub fn source_totals(bytes: &[u8]) {
    if let Some(totals) = SourceTotals::decode(bytes) {
        assert_eq!(SourceTotals::decode(&totals.encode()), Some(totals));
        let _ = totals.balances();
    }
}

/// Every reader of keys, and the first row of a value in pieces; the bytes as they are, and behind
/// what each kind of key begins with.
pub fn key(bytes: &[u8]) {
    let _ = piece::start(bytes);
    read_key(bytes);
    for prefix in key::CARRIED {
        read_key(&[prefix, bytes].concat());
    }
    for prefix in [
        key::BLOCKS,
        key::DEAD,
        key::SOURCES,
        key::MARKS,
        key::URGENT,
    ] {
        read_key(&[prefix, bytes].concat());
    }
}

/// What can be read of a key is written as that key.
fn read_key(bytes: &[u8]) {
    let _ = (key::block_first(bytes), key::read_task(bytes));
    let _ = (key::read_void(bytes), key::read_urgent(bytes));
    if let Some(number) = key::read_generation(bytes) {
        assert_eq!(key::generation(number), bytes);
    }
    for prefix in [key::SOURCES, key::ENDPOINTS] {
        if let Some(name) = key::read_name(prefix, bytes) {
            assert!(bytes.starts_with(prefix) && name.len() <= usize::from(u8::MAX));
        }
    }
    if let Some((name, due, sequence)) = key::read_waiting(bytes)
        && key::check_name(name).is_ok()
    {
        assert_eq!(key::waiting(name, due, sequence), bytes);
    }
    if let Some((name, sequence)) = key::read_dead(bytes)
        && key::check_name(name).is_ok()
    {
        assert_eq!(key::dead(name, sequence), bytes);
    }
    if let Some((name, sequence)) = key::read_mark(bytes)
        && key::check_name(name).is_ok()
    {
        assert_eq!(key::mark(name, sequence), bytes);
    }
}

/// A path longer than any path is cut when it is written.
fn fits(position: &FilePosition) -> bool {
    position.path.len() <= 4_096
}

/// What became of dead letters: counts, marks, and the names of generations.
pub fn recall(bytes: &[u8]) {
    let mut recalls = Recalls::default();
    if recalls.read_counts(bytes).is_some() {
        let mut again = Recalls::default();
        assert_eq!(again.read_counts(&recalls.encode()), Some(()));
        assert_eq!(again, recalls);
    }
    let mut marks = Recalls::default();
    if marks.read_mark(HERE, bytes).is_some() {
        assert_ne!(marks, Recalls::default());
    }
    if let Ok(name) = std::str::from_utf8(bytes)
        && let Some(number) = row::number(name)
    {
        assert_eq!(format!("{number:08}"), name);
    }
}

/// The bytes as they are; with their first byte telling how many of them are in front of a block,
/// which gets the checksum it should have; and in front of a block of one event that is the rest.
fn as_found_and_sealed(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut values = vec![bytes.to_vec()];
    if let Some((&front, rest)) = bytes.split_first()
        && rest.len() <= EVENT_BYTES_MAX
        && let Some((front, block)) = rest.split_at_checked(usize::from(front))
    {
        values.push([front, &block::sealed(HERE, block)].concat());
        values.push([front, &block::sealed_events(HERE, 1, block)].concat());
    }
    values
}

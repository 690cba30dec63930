//! Key: where each thing is inside a generation.
//!
//! | key | value |
//! |---|---|
//! | `b/` sequence of the first event, 8 bytes | a [`block`](super::block) |
//! | `p/` source, device 8 bytes, inode 8 bytes | how far one file was read |
//! | `c/` endpoint | what the endpoint has had |
//! | `r/` endpoint, due time 8 bytes, sequence 8 bytes | an event that waits for its own retry |
//! | `l/` endpoint, number 4 bytes | how far a run of events that are [put off](super::later) was read |
//! | `a/c/` source | what the source has brought, in numbers |
//! | `a/s/` key | a piece of durable small state |
//! | `a/r/` endpoint | how many of its dead letters were tried again, and how many removed |
//! | `a/m/` endpoint, sequence 8 bytes | where a letter lies that is tried again or to be removed |
//! | `a/u/` sequence, 8 bytes | the type of an event that may [overtake](super::urgent) others |
//! | `a/d` | the first generation of dead letters that was not removed, 4 bytes |
//! | `g/` generation, 4 bytes | the first sequence of a generation, and which bytes of files it [covers](super::coverage) |
//! | `o/` source, device 8 bytes, inode 8 bytes | where one file stood before this generation |
//! | `t/` number, 8 bytes | bytes of a file that are to be read again |
//! | `v/` sequence, 8 bytes | a [void](super::void): sequences without an event |
//! | `meta` | version, node, how far the sequence has come |
//! | `d/` endpoint, sequence 8 bytes | a dead letter (in the generations of dead letters only) |
//!
//! Numbers are big-endian, so the database's order of keys is the queue's order. A name is its
//! length in one byte, then its UTF-8: no name can be mistaken for a part of another key. The due
//! time has its sign bit turned over, so times before 1970 come first.

use super::encoding::Fields;
use super::error::QueueError;
use crate::clock::UnixMs;
use crate::event::Sequence;
use crate::source::FileKey;

/// Longest name of a source, an endpoint or a piece of state, in bytes.
///
/// Twenty keys of this length and twenty values of the longest piece still fit into one page that
/// the database keeps in its log; see `piece`.
pub const NAME_BYTES_MAX: usize = 128;

pub(super) const BLOCKS: &[u8] = b"b/";
pub(super) const POSITIONS: &[u8] = b"p/";
pub(super) const ENDPOINTS: &[u8] = b"c/";
pub(super) const WAITING: &[u8] = b"r/";
pub(super) const LATER: &[u8] = b"l/";
pub(super) const SOURCES: &[u8] = b"a/c/";
pub(super) const STATE: &[u8] = b"a/s/";
pub(super) const RECALLS: &[u8] = b"a/r/";
pub(super) const MARKS: &[u8] = b"a/m/";
pub(super) const URGENT: &[u8] = b"a/u/";
pub(super) const GENERATIONS: &[u8] = b"g/";
pub(super) const META: &[u8] = b"meta";
pub(super) const DEAD: &[u8] = b"d/";
pub(super) const DEAD_FIRST: &[u8] = b"a/d";
pub(super) const ORIGINS: &[u8] = b"o/";
pub(super) const TASKS: &[u8] = b"t/";
pub(super) const VOIDS: &[u8] = b"v/";

/// The kinds of keys a new generation starts with: all the small state of the one before.
pub(super) const CARRIED: [&[u8]; 8] = [
    b"a/",
    ENDPOINTS,
    GENERATIONS,
    LATER,
    POSITIONS,
    WAITING,
    TASKS,
    VOIDS,
];

/// Refuses a name that is longer than [`NAME_BYTES_MAX`].
pub(super) fn check_name(name: &str) -> Result<(), QueueError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(QueueError::TooLong {
            what: "a name",
            bytes: name.len(),
            bytes_max: NAME_BYTES_MAX,
        });
    }
    Ok(())
}

/// The block whose first event is `first`.
pub(super) fn block(first: Sequence) -> Vec<u8> {
    [BLOCKS, &first.0.to_be_bytes()].concat()
}

/// The first event of the block at `key`, or of the block whose piece is there.
pub(super) fn block_first(key: &[u8]) -> Option<Sequence> {
    Fields(key.strip_prefix(BLOCKS)?).u64().map(Sequence)
}

/// All positions of one source.
pub(super) fn positions(source: &str) -> Vec<u8> {
    named(POSITIONS, source)
}

/// The position of one file of a source.
pub(super) fn position(source: &str, file: FileKey) -> Vec<u8> {
    let mut key = positions(source);
    key.extend_from_slice(&file.device.to_be_bytes());
    key.extend_from_slice(&file.inode.to_be_bytes());
    key
}

/// Where one file of a source stood before the generation.
pub(super) fn origin(source: &str, file: FileKey) -> Vec<u8> {
    let mut key = named(ORIGINS, source);
    key.extend_from_slice(&file.device.to_be_bytes());
    key.extend_from_slice(&file.inode.to_be_bytes());
    key
}

/// The source in the key of a position or an origin.
pub(super) fn read_source<'a>(prefix: &[u8], key: &'a [u8]) -> Option<&'a str> {
    let mut fields = Fields(key.strip_prefix(prefix)?);
    let source = take_name(&mut fields)?;
    fields.take(16)?;
    fields.end()?;
    Some(source)
}

/// One void, by its first sequence.
pub(super) fn void(first: Sequence) -> Vec<u8> {
    [VOIDS, &first.0.to_be_bytes()].concat()
}

/// The first sequence of the void at `key`.
pub(super) fn read_void(key: &[u8]) -> Option<Sequence> {
    read_number(VOIDS, key).map(Sequence)
}

/// Bytes to be read again, by their number.
pub(super) fn task(number: u64) -> Vec<u8> {
    [TASKS, &number.to_be_bytes()].concat()
}

/// The number of the task at `key`.
pub(super) fn read_task(key: &[u8]) -> Option<u64> {
    read_number(TASKS, key)
}

fn read_number(prefix: &[u8], key: &[u8]) -> Option<u64> {
    let mut fields = Fields(key.strip_prefix(prefix)?);
    let number = fields.u64()?;
    fields.end()?;
    Some(number)
}

/// What one endpoint has had.
pub(super) fn endpoint(endpoint: &str) -> Vec<u8> {
    named(ENDPOINTS, endpoint)
}

/// All events of one endpoint that wait for their own retry.
pub(super) fn waiting_of(endpoint: &str) -> Vec<u8> {
    named(WAITING, endpoint)
}

/// One event that waits for its own retry.
pub(super) fn waiting(endpoint: &str, due: UnixMs, sequence: Sequence) -> Vec<u8> {
    let mut key = waiting_of(endpoint);
    key.extend_from_slice(&(due.0.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key.extend_from_slice(&sequence.0.to_be_bytes());
    key
}

/// Endpoint, due time and sequence of a waiting event.
pub(super) fn read_waiting(key: &[u8]) -> Option<(&str, UnixMs, Sequence)> {
    let mut fields = Fields(key.strip_prefix(WAITING)?);
    let endpoint = take_name(&mut fields)?;
    let due = UnixMs((fields.u64()? ^ (1 << 63)).cast_signed());
    let sequence = Sequence(fields.u64()?);
    fields.end()?;
    Some((endpoint, due, sequence))
}

/// One run of events of an endpoint that are put off.
pub(super) fn run(endpoint: &str, number: u32) -> Vec<u8> {
    let mut key = named(LATER, endpoint);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// Endpoint and number of such a run.
pub(super) fn read_run(key: &[u8]) -> Option<(&str, u32)> {
    let mut fields = Fields(key.strip_prefix(LATER)?);
    let endpoint = take_name(&mut fields)?;
    let number = fields.u32()?;
    fields.end()?;
    Some((endpoint, number))
}

/// The numbers of one source.
pub(super) fn source(source: &str) -> Vec<u8> {
    named(SOURCES, source)
}

/// One piece of state.
pub(super) fn state(key: &str) -> Vec<u8> {
    named(STATE, key)
}

/// What became of the dead letters of one endpoint.
pub(super) fn recalls(endpoint: &str) -> Vec<u8> {
    named(RECALLS, endpoint)
}

/// Where one letter lies that is tried again or to be removed.
pub(super) fn mark(endpoint: &str, sequence: Sequence) -> Vec<u8> {
    let mut key = named(MARKS, endpoint);
    key.extend_from_slice(&sequence.0.to_be_bytes());
    key
}

/// Endpoint and sequence of such a letter.
pub(super) fn read_mark(key: &[u8]) -> Option<(&str, Sequence)> {
    let mut fields = Fields(key.strip_prefix(MARKS)?);
    let endpoint = take_name(&mut fields)?;
    let sequence = Sequence(fields.u64()?);
    fields.end()?;
    Some((endpoint, sequence))
}

/// The type of an event that may overtake others.
pub(super) fn urgent(sequence: Sequence) -> Vec<u8> {
    [URGENT, &sequence.0.to_be_bytes()].concat()
}

/// The sequence of such an event.
pub(super) fn read_urgent(key: &[u8]) -> Option<Sequence> {
    read_number(URGENT, key).map(Sequence)
}

/// The entry of one generation.
pub(super) fn generation(number: u32) -> Vec<u8> {
    [GENERATIONS, &number.to_be_bytes()].concat()
}

/// The number of the generation whose entry is at `key`.
pub(super) fn read_generation(key: &[u8]) -> Option<u32> {
    let mut fields = Fields(key.strip_prefix(GENERATIONS)?);
    let number = fields.u32()?;
    fields.end()?;
    Some(number)
}

/// All dead letters of one endpoint.
pub(super) fn dead_of(endpoint: &str) -> Vec<u8> {
    named(DEAD, endpoint)
}

/// One dead letter.
pub(super) fn dead(endpoint: &str, sequence: Sequence) -> Vec<u8> {
    let mut key = dead_of(endpoint);
    key.extend_from_slice(&sequence.0.to_be_bytes());
    key
}

/// Endpoint and sequence of a dead letter.
pub(super) fn read_dead(key: &[u8]) -> Option<(&str, Sequence)> {
    let mut fields = Fields(key.strip_prefix(DEAD)?);
    let endpoint = take_name(&mut fields)?;
    let sequence = Sequence(fields.u64()?);
    fields.end()?;
    Some((endpoint, sequence))
}

/// The name in a key that holds nothing else behind `prefix`.
pub(super) fn read_name<'a>(prefix: &[u8], key: &'a [u8]) -> Option<&'a str> {
    let mut fields = Fields(key.strip_prefix(prefix)?);
    let name = take_name(&mut fields)?;
    fields.end()?;
    Some(name)
}

fn named(prefix: &[u8], name: &str) -> Vec<u8> {
    // A longer name was refused by `check_name`; cut here, it could only miss.
    let name = super::encoding::truncated(name, NAME_BYTES_MAX);
    let length = u8::try_from(name.len()).expect("NAME_BYTES_MAX fits a byte");
    let mut key = Vec::with_capacity(prefix.len() + 1 + name.len() + 16);
    key.extend_from_slice(prefix);
    key.push(length);
    key.extend_from_slice(name.as_bytes());
    key
}

fn take_name<'a>(fields: &mut Fields<'a>) -> Option<&'a str> {
    let length = fields.byte()?;
    str::from_utf8(fields.take(usize::from(length))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waiting_keys_sort_by_due_time_then_sequence(a: (i64, u64), b: (i64, u64)) {
            let key = |(due, sequence): (i64, u64)| waiting("billing", UnixMs(due), Sequence(sequence));
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            let key = key(a);
            prop_assert_eq!(read_waiting(&key), Some(("billing", UnixMs(a.0), Sequence(a.1))));
        }

        #[test]
        fn block_keys_sort_by_sequence(a: u64, b: u64) {
            prop_assert_eq!(block(Sequence(a)).cmp(&block(Sequence(b))), a.cmp(&b));
            prop_assert_eq!(block_first(&block(Sequence(a))), Some(Sequence(a)));
        }

        #[test]
        fn no_name_is_the_start_of_another(a in "[a-c]{0,4}", b in "[a-c]{0,4}") {
            prop_assume!(a != b);
            prop_assert!(!dead(&b, Sequence(1)).starts_with(&dead_of(&a)));
            let key = dead(&b, Sequence(1));
            prop_assert_eq!(read_dead(&key), Some((&b[..], Sequence(1))));
        }
    }

    #[test]
    fn a_name_too_long_is_refused() {
        assert!(check_name(&"x".repeat(NAME_BYTES_MAX)).is_ok());
        assert!(check_name(&"x".repeat(NAME_BYTES_MAX + 1)).is_err());
    }
}

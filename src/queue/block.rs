//! Block: a run of events as one value, dense in sequence.
//!
//! ```text
//! byte 0       version of this encoding, 1
//!      1       count of events, 1 to 16
//!      2..6    length of the events before compression, in bytes, big-endian
//!      6..n    the events, one lz4 block
//!      n..n+4  CRC-32C, big-endian, over the first event's sequence (8 bytes, big-endian: the
//!              block's key) and bytes 0..n
//! ```
//!
//! One event, before compression (shapes as in [`encoding`](super::encoding)):
//!
//! ```text
//! id           16 bytes
//! kind, node   texts
//! time         milliseconds since 1970, 8 bytes, signed
//! flags        1 byte: bit 0 the time has milliseconds; bits 1 to 5 which labels follow
//! labels       texts: account, gateway, callee gateway, application, route tag
//! data         bytes
//! ```
//!
//! The sequence is not stored, it is the key plus the place in the block; it is part of the
//! checksum so that a block that turns up under another key is seen as damage.

use super::Queued;
use super::encoding::{Fields, put_bytes};
use super::error::QueueError;
use crate::clock::UnixMs;
use crate::event::{Event, EventId, Labels, Sequence};
use crate::timestamp::{Precision, Timestamp};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use std::sync::Arc;

/// Most events of a block: with CDR events of 600 bytes about 8 KB before compression, where lz4
/// has most of its gain (measured) and a reader that wants one event decodes little for nothing.
pub(super) const EVENTS_MAX: usize = 16;

/// A block is closed when another event would make it longer than this before compression.
const RAW_BYTES_AIM: usize = 10 << 10;

/// Longest event accepted, in bytes as encoded (its `data`, names and labels together).
///
/// The widest row a source accepts is 64 KiB by default; this leaves room for an operator who
/// raises that, and is what bounds a reader's buffer.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 6;
const CHECKSUM_BYTES: usize = 4;

/// Longest lz4 can blow up one byte: a length byte of 255 stands for 255 bytes of match.
const LZ4_RATIO_MAX: usize = 255;

/// A block whose place in the sequence is not known yet.
#[derive(Debug)]
pub(super) struct Unplaced {
    count: u8,
    bytes: Vec<u8>,
}

impl Unplaced {
    /// How many events it holds.
    pub(super) fn count(&self) -> u64 {
        u64::from(self.count)
    }

    /// The value to store under `first`.
    pub(super) fn place(mut self, first: Sequence) -> Vec<u8> {
        let checksum = checksum(first, &self.bytes);
        self.bytes.extend_from_slice(&checksum.to_be_bytes());
        self.bytes
    }
}

/// Packs events into blocks, in order.
///
/// # Errors
///
/// [`QueueError::TooLong`] when an event is longer than [`EVENT_BYTES_MAX`].
pub(super) fn pack(events: &[Event]) -> Result<Vec<Unplaced>, QueueError> {
    let mut packer = Packer::default();
    let mut blocks = Vec::with_capacity(events.len().div_ceil(EVENTS_MAX));
    let mut raw = Vec::with_capacity(RAW_BYTES_AIM);
    let mut count = 0_u8;
    for event in events {
        let start = raw.len();
        put_event(&mut raw, event);
        let bytes = raw.len() - start;
        if bytes > EVENT_BYTES_MAX {
            return Err(QueueError::TooLong {
                what: "an event",
                bytes,
                bytes_max: EVENT_BYTES_MAX,
            });
        }
        if count > 0 && (raw.len() > RAW_BYTES_AIM || usize::from(count) == EVENTS_MAX) {
            blocks.push(packer.pack(count, raw.get(..start).unwrap_or_default()));
            raw.drain(..start);
            count = 0;
        }
        count += 1;
    }
    if count > 0 {
        blocks.push(packer.pack(count, &raw));
    }
    Ok(blocks)
}

/// Whether a commit would take the event: it is not longer than [`EVENT_BYTES_MAX`] as encoded.
pub fn accepts(event: &Event) -> bool {
    let label_bytes: usize = labels(&event.labels)
        .into_iter()
        .flatten()
        .map(str::len)
        .sum();
    let bytes = event.data.len() + event.kind.len() + event.node.len() + label_bytes;
    // What is added to these is far less than half: only a very long event is encoded for this.
    bytes <= EVENT_BYTES_MAX / 2 || {
        let mut raw = Vec::with_capacity(bytes);
        put_event(&mut raw, event);
        raw.len() <= EVENT_BYTES_MAX
    }
}

/// One event as a block of its own, in its place.
///
/// # Errors
///
/// [`QueueError::TooLong`] as for [`pack`].
pub(super) fn pack_one(queued: &Queued) -> Result<Vec<u8>, QueueError> {
    let blocks = pack(std::slice::from_ref(&*queued.event))?;
    Ok(blocks
        .into_iter()
        .next()
        .map(|block| block.place(queued.sequence))
        .unwrap_or_default())
}

/// What was sealed with the right checksum for `first`, whatever it is.
#[cfg(any(test, fuzzing))]
pub(super) fn sealed(first: Sequence, bytes: &[u8]) -> Vec<u8> {
    let (count, bytes) = (0, bytes.to_vec());
    Unplaced { count, bytes }.place(first)
}

/// `count` events that are the bytes `raw`, whatever these are, as a block in order otherwise.
#[cfg(any(test, fuzzing))]
pub(super) fn sealed_events(first: Sequence, count: u8, raw: &[u8]) -> Vec<u8> {
    Packer::default().pack(count, raw).place(first)
}

/// How many events the block holds, by its header alone.
pub(super) fn count(value: &[u8]) -> Option<u64> {
    match value {
        [VERSION, count, ..] if (1..=EVENTS_MAX).contains(&usize::from(*count)) => {
            Some(u64::from(*count))
        }
        _ => None,
    }
}

/// Whether the block is what was written under `first`, by its checksum.
pub(super) fn is_whole(first: Sequence, value: &[u8]) -> bool {
    sealed_part(first, value).is_some()
}

/// What the checksum of a block covers, when it is right.
fn sealed_part(first: Sequence, value: &[u8]) -> Option<&[u8]> {
    let (sealed, written) = value.split_at_checked(value.len().checked_sub(CHECKSUM_BYTES)?)?;
    let written = u32::from_be_bytes(written.try_into().ok()?);
    (written == checksum(first, sealed)).then_some(sealed)
}

/// Length of the events before compression, by the header alone; in bytes.
pub(super) fn raw_bytes(value: &[u8]) -> Option<usize> {
    let mut header = Fields(value.get(2..)?);
    usize::try_from(header.u32()?).ok()
}

/// The events of the block stored under `first`; `None` when it is not what was written there.
pub(super) fn unpack(first: Sequence, value: &[u8]) -> Option<Vec<Queued>> {
    let mut events = Vec::with_capacity(EVENTS_MAX);
    Unpacker::default().unpack(first, value, &mut events)?;
    Some(events)
}

/// Unpacks block after block in one buffer.
#[derive(Debug, Default)]
pub(super) struct Unpacker {
    /// The events of a block before compression, and what is left of longer ones behind them. At
    /// most [`EVENT_BYTES_MAX`].
    raw: Vec<u8>,
}

impl Unpacker {
    /// Appends the events of the block stored under `first` to `events`; `None` when it is not
    /// what was written there, and nothing is appended.
    pub(super) fn unpack(
        &mut self,
        first: Sequence,
        value: &[u8],
        events: &mut Vec<Queued>,
    ) -> Option<()> {
        let sealed = sealed_part(first, value)?;
        let count = count(sealed)?;
        let mut header = Fields(sealed.get(2..)?);
        let raw_bytes = usize::try_from(header.u32()?).ok()?;
        let compressed = sealed.get(HEADER_BYTES..)?;
        if raw_bytes > EVENT_BYTES_MAX.min(compressed.len().saturating_mul(LZ4_RATIO_MAX)) {
            return None;
        }
        if self.raw.len() < raw_bytes {
            self.raw.resize(raw_bytes.max(RAW_BYTES_AIM), 0);
        }
        let raw = self.raw.get_mut(..raw_bytes)?;
        let written = lz4_flex::block::decompress_into(compressed, raw).ok()?;
        let before = events.len();
        let taken = take_events(first, count, raw.get(..written)?, events);
        if taken.is_none() {
            events.truncate(before);
        }
        taken
    }
}

/// Packs block after block in one buffer: a commit has some 70, which would each take twice and thrice
/// their size from the system and give it back.
#[derive(Default)]
struct Packer {
    table: CompressTable,
    /// As long as the longest output of the longest block so far.
    room: Vec<u8>,
}

impl Packer {
    fn pack(&mut self, count: u8, raw: &[u8]) -> Unplaced {
        let most = get_maximum_output_size(raw.len());
        if self.room.len() < most {
            self.room.resize(most, 0);
        }
        let compressed = compress_into_with_table(raw, &mut self.room, &mut self.table)
            .expect("lz4's largest output was allocated");
        let compressed = self.room.get(..compressed).unwrap_or_default();
        let raw_bytes =
            u32::try_from(raw.len()).expect("an event was checked against EVENT_BYTES_MAX");
        let mut bytes = Vec::with_capacity(HEADER_BYTES + compressed.len() + CHECKSUM_BYTES);
        bytes.extend_from_slice(&[VERSION, count]);
        bytes.extend_from_slice(&raw_bytes.to_be_bytes());
        bytes.extend_from_slice(compressed);
        Unplaced { count, bytes }
    }
}

fn checksum(first: Sequence, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&first.0.to_be_bytes()), bytes)
}

fn put_event(out: &mut Vec<u8>, event: &Event) {
    out.extend_from_slice(&event.id.0);
    put_bytes(out, event.kind.as_bytes());
    put_bytes(out, event.node.as_bytes());
    out.extend_from_slice(&event.time.unix.0.to_be_bytes());
    let labels = labels(&event.labels);
    let mut flags = u8::from(event.time.precision == Precision::Millis);
    for (bit, label) in (1..).zip(&labels) {
        flags |= u8::from(label.is_some()) << bit;
    }
    out.push(flags);
    for label in labels.into_iter().flatten() {
        put_bytes(out, label.as_bytes());
    }
    put_bytes(out, &event.data);
}

fn labels(labels: &Labels) -> [Option<&str>; 5] {
    let Labels {
        account,
        gateway,
        callee_gateway,
        application,
        route_tag,
    } = labels;
    [account, gateway, callee_gateway, application, route_tag].map(Option::as_deref)
}

fn take_events(first: Sequence, count: u64, raw: &[u8], events: &mut Vec<Queued>) -> Option<()> {
    let mut fields = Fields(raw);
    let mut shared = Shared::default();
    for place in 0..count {
        let event = Arc::new(take_event(&mut fields, &mut shared)?);
        events.push(Queued {
            sequence: first.plus(place),
            event,
        });
    }
    fields.end()
}

/// Texts that are the same in most events of a block, kept once.
#[derive(Default)]
struct Shared {
    kind: Option<Arc<str>>,
    node: Option<Arc<str>>,
}

fn take_event(fields: &mut Fields<'_>, shared: &mut Shared) -> Option<Event> {
    let id = EventId(fields.array()?);
    let kind = once(&mut shared.kind, fields.text()?);
    let node = once(&mut shared.node, fields.text()?);
    let unix = UnixMs(fields.i64()?);
    let flags = fields.byte()?;
    let precision = if flags & 1 == 1 {
        Precision::Millis
    } else {
        Precision::Seconds
    };
    let mut label = |bit: u8| -> Option<Option<Box<str>>> {
        if flags & (1 << bit) == 0 {
            Some(None)
        } else {
            fields.text().map(|text| Some(text.into()))
        }
    };
    let labels = Labels {
        account: label(1)?,
        gateway: label(2)?,
        callee_gateway: label(3)?,
        application: label(4)?,
        route_tag: label(5)?,
    };
    let data = fields.bytes()?.into();
    Some(Event {
        id,
        kind,
        time: Timestamp { unix, precision },
        node,
        labels,
        data,
    })
}

fn once(last: &mut Option<Arc<str>>, text: &str) -> Arc<str> {
    match last {
        Some(last) if **last == *text => Arc::clone(last),
        _ => Arc::clone(last.insert(text.into())),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any event a source could make, small enough for a test.
    pub(crate) fn any_event() -> impl Strategy<Value = Event> {
        let label = || proptest::option::of("[ -~é]{0,12}");
        let labels = (label(), label(), label(), label(), label());
        let time = (any::<i64>(), any::<bool>());
        (
            any::<[u8; 16]>(),
            "[a-z_.]{1,9}",
            time,
            "[a-z]{1,5}",
            labels,
            any::<Vec<u8>>(),
        )
            .prop_map(
                |(
                    id,
                    kind,
                    (unix, millis),
                    node,
                    (account, gateway, callee_gateway, application, route_tag),
                    data,
                )| {
                    let own = |label: Option<String>| label.map(String::into_boxed_str);
                    Event {
                        id: EventId(id),
                        kind: kind.into(),
                        time: Timestamp {
                            unix: UnixMs(unix),
                            precision: if millis {
                                Precision::Millis
                            } else {
                                Precision::Seconds
                            },
                        },
                        node: node.into(),
                        labels: Labels {
                            account: own(account),
                            gateway: own(gateway),
                            callee_gateway: own(callee_gateway),
                            application: own(application),
                            route_tag: own(route_tag),
                        },
                        data: data.into(),
                    }
                },
            )
    }

    fn unpacked(first: Sequence, blocks: Vec<Unplaced>) -> Vec<Queued> {
        let mut at = first;
        let mut all = Vec::new();
        for block in blocks {
            let (here, count) = (at, block.count());
            at = at.plus(count);
            let value = block.place(here);
            assert_eq!(super::count(&value), Some(count));
            all.extend(unpack(here, &value).unwrap());
        }
        all
    }

    proptest! {
        #[test]
        fn events_come_back_as_they_were(events in proptest::collection::vec(any_event(), 0..40), first in 1_u64..1 << 60) {
            let first = Sequence(first);
            let back = unpacked(first, pack(&events).unwrap());
            let expected: Vec<Queued> = (0..).zip(events)
                .map(|(place, event)| Queued { sequence: first.plus(place), event: Arc::new(event) })
                .collect();
            prop_assert_eq!(back, expected);
        }

        #[test]
        fn a_changed_bit_is_seen(event in any_event(), at: proptest::sample::Index, bit in 0_u8..8) {
            let queued = Queued { sequence: Sequence(7), event: Arc::new(event) };
            let mut value = pack_one(&queued).unwrap();
            let at = at.index(value.len());
            value[at] ^= 1 << bit;
            prop_assert_eq!(unpack(Sequence(7), &value), None);
        }

        #[test]
        fn no_bytes_make_unpacking_panic(bytes: Vec<u8>) {
            let _ = take_events(Sequence(1), 16, &bytes, &mut Vec::new());
            let _ = unpack(Sequence(1), &bytes);
        }
    }

    #[test]
    fn a_block_under_another_key_is_damage() {
        let event = event_of_bytes(10);
        let value = pack_one(&Queued {
            sequence: Sequence(7),
            event: Arc::new(event),
        })
        .unwrap();
        assert!(unpack(Sequence(7), &value).is_some());
        assert_eq!(unpack(Sequence(8), &value), None);
    }

    #[test]
    fn a_raw_length_that_lies_is_damage_not_memory() {
        let mut bytes = vec![VERSION, 1];
        bytes.extend_from_slice(&u32::MAX.to_be_bytes());
        bytes.extend_from_slice(&[0; 20]);
        let value = Unplaced { count: 1, bytes }.place(Sequence(1));
        assert_eq!(unpack(Sequence(1), &value), None);
    }

    #[test]
    fn an_event_too_long_is_refused_and_the_longest_is_not() {
        let room = EVENT_BYTES_MAX - 16 - 4 - 5 - 8 - 1 - 3;
        let longest = event_of_bytes(room);
        assert!(accepts(&event_of_bytes(9)) && accepts(&longest));
        assert!(!accepts(&event_of_bytes(room + 1)));
        assert_eq!(unpacked(Sequence(1), pack(&[longest]).unwrap()).len(), 1);
        assert!(matches!(
            pack(&[event_of_bytes(room + 1)]),
            Err(QueueError::TooLong { .. })
        ));
    }

    fn event_of_bytes(data: usize) -> Event {
        Event {
            id: EventId([1; 16]),
            kind: "cdr".into(),
            time: Timestamp::from_secs(0),
            node: "node".into(),
            labels: Labels::default(),
            data: vec![b'x'; data].into(),
        }
    }
}

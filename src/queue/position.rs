//! Position: how far one file was read, as a value.
//!
//! With it stands the sequence behind the events of the commit that moved it: on opening, that a
//! position is never ahead of its events is *checked*.

use super::encoding::{Fields, put_bytes, put_count, put_option, truncated};
use crate::event::Sequence;
use crate::source::{FileKey, FilePosition, Finished};

/// What is written: version 1, behind it the packed file that was read to its end, if it is one,
/// and the bytes that had been seen and not read.
const VERSION: u8 = 3;

/// Version 1 with a packed file that was read to its end behind it; still read.
const VERSION_FINISHED: u8 = 2;

/// Still read.
const VERSION_PLAIN: u8 = 1;

/// Longest path kept with a position, in bytes: Linux' own limit. It only serves messages, so a
/// longer one is cut.
const PATH_BYTES_MAX: usize = 4_096;

/// The value to store for a position; every event before it has a sequence before `behind`.
pub(super) fn encode(position: &FilePosition, behind: Sequence) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&behind.0.to_be_bytes());
    out.extend_from_slice(&position.key.device.to_be_bytes());
    out.extend_from_slice(&position.key.inode.to_be_bytes());
    put_bytes(
        &mut out,
        truncated(&position.path, PATH_BYTES_MAX).as_bytes(),
    );
    put_count(&mut out, position.offset);
    put_option(&mut out, position.lines, put_count);
    put_option(&mut out, position.first_row, |out, hash| {
        out.extend_from_slice(&hash)
    });
    put_count(&mut out, position.head_bytes);
    out.extend_from_slice(&position.head.to_be_bytes());
    out.extend_from_slice(&position.tail.to_be_bytes());
    out.extend_from_slice(&position.tail_bytes.to_be_bytes());
    put_count(&mut out, u64::from(position.life));
    put_option(&mut out, position.finished, |out, finished| {
        put_count(out, finished.bytes);
        out.extend_from_slice(&finished.modified_ns.to_be_bytes());
    });
    put_count(&mut out, position.unread_bytes);
    out
}

/// The position a value stands for, and the sequence behind its events; `None` when it is damaged.
pub(super) fn decode(value: &[u8]) -> Option<(FilePosition, Sequence)> {
    let mut fields = Fields(value);
    let version = fields.byte()?;
    if !matches!(version, VERSION_PLAIN | VERSION_FINISHED | VERSION) {
        return None;
    }
    let behind = Sequence(fields.u64()?);
    let mut position = FilePosition {
        key: FileKey {
            device: fields.u64()?,
            inode: fields.u64()?,
        },
        path: fields.text()?.to_owned(),
        offset: fields.count()?,
        lines: fields.option(Fields::count)?,
        first_row: fields.option(Fields::array)?,
        head_bytes: fields.count()?,
        head: fields.u64()?,
        tail: fields.u64()?,
        tail_bytes: fields.u16()?,
        life: u32::try_from(fields.count()?).ok()?,
        finished: None,
        unread_bytes: 0,
    };
    match version {
        VERSION_PLAIN => {}
        VERSION_FINISHED => position.finished = Some(take_finished(&mut fields)?),
        _ => {
            position.finished = fields.option(take_finished)?;
            position.unread_bytes = fields.count()?;
        }
    }
    fields.end()?;
    Some((position, behind))
}

fn take_finished(fields: &mut Fields<'_>) -> Option<Finished> {
    Some(Finished {
        bytes: fields.count()?,
        modified_ns: fields.i64()?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any position of a file with one of a few keys.
    pub(crate) fn any_position() -> impl Strategy<Value = FilePosition> {
        let key = (0_u64..2, 0_u64..4).prop_map(|(device, inode)| FileKey { device, inode });
        let hashes = (
            any::<u64>(),
            any::<u64>(),
            any::<u16>(),
            any::<Option<[u8; 32]>>(),
        );
        (
            key,
            "[a-zé/]{0,20}",
            any::<u64>(),
            any::<Option<u64>>(),
            any::<u64>(),
            hashes,
            any::<u32>(),
            (any::<Option<(u64, i64)>>(), any::<u64>()),
        )
            .prop_map(
                |(
                    key,
                    path,
                    offset,
                    lines,
                    head_bytes,
                    (head, tail, tail_bytes, first_row),
                    life,
                    (finished, unread_bytes),
                )| FilePosition {
                    key,
                    path,
                    offset,
                    lines,
                    first_row,
                    head_bytes,
                    head,
                    tail,
                    tail_bytes,
                    life,
                    finished: finished.map(|(bytes, modified_ns)| Finished { bytes, modified_ns }),
                    unread_bytes,
                },
            )
    }

    proptest! {
        #[test]
        fn a_position_comes_back_as_it_was(position in any_position()) {
            let value = encode(&position, Sequence(9));
            prop_assert_eq!(decode(&value), Some((position, Sequence(9))));
        }

        #[test]
        fn a_position_of_an_older_version_is_read_and_had_nothing_unread(position in any_position()) {
            let of_now = FilePosition { unread_bytes: 0, ..position };
            let mut value = encode(&of_now, Sequence(9));
            // What stands at the end: whether it is finished, how, and what was unread.
            let end = value.len();
            value.remove(end - 1);
            match of_now.finished {
                None => {
                    value.remove(end - 2);
                    value[0] = VERSION_PLAIN;
                }
                Some(finished) => {
                    let mut how = Vec::new();
                    put_count(&mut how, finished.bytes);
                    value.remove(end - 2 - how.len() - 8);
                    value[0] = VERSION_FINISHED;
                }
            }
            prop_assert_eq!(decode(&value), Some((of_now, Sequence(9))));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}

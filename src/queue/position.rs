//! Position: how far one file was read, as a value.
//!
//! With it stands the sequence behind the events of the commit that moved it: on opening, that a
//! position is never ahead of its events is *checked*.

use super::encoding::{Fields, put_bytes, put_count, put_option, truncated};
use crate::event::Sequence;
use crate::source::{FileKey, FilePosition};

const VERSION: u8 = 1;

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
    out
}

/// The position a value stands for, and the sequence behind its events; `None` when it is damaged.
pub(super) fn decode(value: &[u8]) -> Option<(FilePosition, Sequence)> {
    let mut fields = Fields(value);
    if fields.byte()? != VERSION {
        return None;
    }
    let behind = Sequence(fields.u64()?);
    let position = FilePosition {
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
    };
    fields.end()?;
    Some((position, behind))
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
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}

//! Piece: a long value in parts, so that the database never puts it into a file of its own.
//!
//! sled 0.34 writes a page that is longer than a quarter of a segment (128 KiB) into a separate
//! file under `blobs/`, and syncs neither that file nor its directory; after a power cut the log
//! may point to nothing, and opening then *skips* that page in silence. A page is a leaf of up to
//! 17 values, 20 after a merge. So no value may be longer than a twentieth of that, and longer
//! ones are stored under further keys:
//!
//! ```text
//! key              number of further pieces, 2 bytes, big-endian; the start of the value
//! key, 1 2 bytes   the next part
//! key, 2 2 bytes   …
//! ```
//!
//! A piece's key sorts directly behind its value's key: keys whose values can be long end in
//! numbers of fixed width, so none of them is the start of another.

/// Longest part of a value under one key, with its two bytes in front:
/// 20 × (6 KiB + a key of at most 160 bytes) is less than 128 KiB.
const PIECE_BYTES: usize = 6 << 10;

const COUNT_BYTES: usize = 2;

/// Most further pieces of a value; the longest value, an event of 1 MiB that lz4 could not
/// shorten, takes 172.
const PIECES_MAX: u16 = 1_024;

/// Longest value that is never in pieces, in bytes.
pub(super) const WHOLE_BYTES_MAX: usize = PIECE_BYTES - COUNT_BYTES;

/// The rows a value takes: what is stored under its key, then under those of its pieces.
///
/// # Panics
///
/// When the value would take more than 1,024 pieces: everything stored has a bound far below.
pub(super) fn split(value: &[u8]) -> Vec<Vec<u8>> {
    let (start, rest) = value
        .split_at_checked(WHOLE_BYTES_MAX)
        .unwrap_or((value, &[]));
    let further = rest.chunks(PIECE_BYTES);
    let count = u16::try_from(further.len())
        .ok()
        .filter(|&count| count <= PIECES_MAX);
    let count = count.expect("no value is longer than an event and its reason");
    let mut rows = vec![[&count.to_be_bytes(), start].concat()];
    rows.extend(further.map(<[u8]>::to_vec));
    rows
}

/// How many further pieces the value has that starts with `row`, and its start; `None` when no
/// value was written like that.
pub(super) fn start(row: &[u8]) -> Option<(u16, &[u8])> {
    let (count, start) = row.split_first_chunk::<COUNT_BYTES>()?;
    let count = u16::from_be_bytes(*count);
    (count <= PIECES_MAX).then_some((count, start))
}

/// The key of piece `number`, from 1, of the value at `key`.
pub(super) fn key(key: &[u8], number: u16) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_is_the_sum_of_its_pieces(length in 0_usize..40_000) {
            let value: Vec<u8> = (0..=250).cycle().take(length).collect();
            let rows = split(&value);
            prop_assert!(rows.iter().all(|row| row.len() <= PIECE_BYTES));
            let (count, first) = start(&rows[0]).unwrap();
            prop_assert_eq!(usize::from(count), rows.len() - 1);
            prop_assert_eq!([first, &rows[1..].concat()].concat(), value);
        }
    }

    #[test]
    fn a_row_without_a_possible_count_is_refused() {
        assert_eq!(start(&[0]), None);
        assert_eq!(start(&[0xff, 0xff, 1]), None);
    }
}

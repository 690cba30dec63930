//! Cursor: which events an endpoint is done with.
//!
//! Everything before `next` is settled; of the [`WINDOW`] events from `next` on, a bit each says
//! whether it is. Events can so be settled in any order, and the memory of it stays half a
//! kilobyte however far the endpoint is behind.

use super::encoding::{Fields, put_bytes};
use crate::event::Sequence;

/// How far beyond its cursor an endpoint may have events under way.
///
/// Wide enough for 64 senders that each hold a batch of 64; the bits of it, 512 bytes, are
/// written with every settlement.
pub const WINDOW: u64 = 4_096;

const WORDS: usize = (WINDOW / 64) as usize;

/// Which events are settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    next: Sequence,
    /// One bit for each of the sequences `next .. next + WINDOW`, at its remainder by `WINDOW`.
    /// The bit of `next` itself is never set.
    ahead: Box<[u64; WORDS]>,
    /// How many bits are set.
    ahead_count: u64,
}

impl Cursor {
    /// A cursor before which everything is settled, and nothing after.
    pub(super) fn at(next: Sequence) -> Cursor {
        Cursor {
            next,
            ahead: Box::new([0; WORDS]),
            ahead_count: 0,
        }
    }

    /// The first event that is not settled.
    pub(super) fn next(&self) -> Sequence {
        self.next
    }

    /// How many events beyond `next` are settled.
    pub(super) fn ahead_count(&self) -> u64 {
        self.ahead_count
    }

    /// The events beyond `next` that are settled, in order.
    pub(super) fn ahead(&self) -> impl Iterator<Item = Sequence> {
        let most = if self.ahead_count == 0 { 0 } else { WINDOW };
        (0..most)
            .map(|beyond| self.next.plus(beyond))
            .filter(|sequence| self.bit(*sequence))
    }

    /// Whether the event may be settled now or has been already: it is before the window's end.
    pub(super) fn covers(&self, sequence: Sequence) -> bool {
        sequence.0.saturating_sub(self.next.0) < WINDOW
    }

    /// Whether the event is settled.
    pub(super) fn is_settled(&self, sequence: Sequence) -> bool {
        sequence < self.next || (self.covers(sequence) && self.bit(sequence))
    }

    /// Settles an event the cursor covers; returns false when it already was, or is not covered.
    pub(super) fn settle(&mut self, sequence: Sequence) -> bool {
        if !self.covers(sequence) || self.is_settled(sequence) {
            return false;
        }
        self.turn(sequence);
        self.ahead_count += 1;
        self.catch_up();
        true
    }

    /// Moves over what is settled from `next` on.
    fn catch_up(&mut self) {
        while self.bit(self.next) {
            self.turn(self.next);
            self.ahead_count -= 1;
            self.next = self.next.plus(1);
        }
    }

    /// Moves to `end`, whatever lies before it; returns how many of the events passed over were
    /// not settled.
    pub(super) fn pass(&mut self, end: Sequence) -> u64 {
        let passed = end.0.saturating_sub(self.next.0);
        let mut settled = 0;
        for beyond in 0..passed.min(WINDOW) {
            let sequence = self.next.plus(beyond);
            if self.bit(sequence) {
                self.turn(sequence);
                settled += 1;
            }
        }
        self.ahead_count -= settled;
        self.next = self.next.max(end);
        self.catch_up();
        passed - settled
    }

    /// Appends the cursor: `next`, then the bits from it on, without the zero bytes at their end.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next.0.to_be_bytes());
        let (mut bits, mut left) = (Vec::new(), self.ahead_count);
        for byte in 0..WINDOW / 8 {
            if left == 0 {
                break;
            }
            let byte = self.byte_from_next(byte);
            left = left.saturating_sub(u64::from(byte.count_ones()));
            bits.push(byte);
        }
        put_bytes(out, &bits);
    }

    /// Reads what [`put`](Cursor::put) wrote.
    pub(super) fn take(fields: &mut Fields<'_>) -> Option<Cursor> {
        let mut cursor = Cursor::at(fields.sequence()?);
        let bits = fields.bytes()?;
        if bits.len() as u64 > WINDOW / 8 || bits.first().is_some_and(|first| first & 1 == 1) {
            return None;
        }
        for (byte, bits) in (0..).zip(bits) {
            for bit in (0..8).filter(|bit| bits & (1 << bit) != 0) {
                cursor.turn(cursor.next.plus(byte * 8 + bit));
                cursor.ahead_count += 1;
            }
        }
        Some(cursor)
    }

    fn byte_from_next(&self, byte: u64) -> u8 {
        (0..8).fold(0, |bits, bit| {
            bits | u8::from(self.bit(self.next.plus(byte * 8 + bit))) << bit
        })
    }

    fn bit(&self, sequence: Sequence) -> bool {
        let (word, mask) = place(sequence);
        self.ahead.get(word).is_some_and(|word| word & mask != 0)
    }

    fn turn(&mut self, sequence: Sequence) {
        let (word, mask) = place(sequence);
        if let Some(word) = self.ahead.get_mut(word) {
            *word ^= mask;
        }
    }
}

fn place(sequence: Sequence) -> (usize, u64) {
    let bit = sequence.0 % WINDOW;
    let word = usize::try_from(bit / 64).expect("a window is a few thousand bits");
    (word, 1 << (bit % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[track_caller]
    fn check(settled: &[u64], next: u64, ahead: u64) {
        let mut cursor = Cursor::at(Sequence(100));
        for &sequence in settled {
            cursor.settle(Sequence(sequence));
        }
        assert_eq!(
            (cursor.next(), cursor.ahead_count()),
            (Sequence(next), ahead),
            "{settled:?}"
        );
    }

    #[test]
    fn it_moves_over_what_is_settled_and_no_further() {
        check(&[], 100, 0);
        check(&[100], 101, 0);
        check(&[101], 100, 1);
        check(&[102, 101, 100], 103, 0);
        check(&[103, 101, 100], 102, 1);
    }

    #[test]
    fn settling_twice_or_behind_changes_nothing() {
        check(&[101, 101], 100, 1);
        check(&[100, 100, 99, 0], 101, 0);
    }

    #[test]
    fn the_window_ends_where_it_says() {
        check(&[100 + WINDOW - 1], 100, 1);
        check(&[100 + WINDOW], 100, 0);
        check(&[u64::MAX], 100, 0);
    }

    #[test]
    fn passing_over_counts_what_was_not_settled() {
        let mut cursor = Cursor::at(Sequence(100));
        for sequence in [101, 103, 104, 110] {
            cursor.settle(Sequence(sequence));
        }
        assert_eq!(cursor.pass(Sequence(103)), 2);
        assert_eq!((cursor.next(), cursor.ahead_count()), (Sequence(105), 1));
        assert_eq!(cursor.pass(Sequence(100)), 0);
        assert_eq!(cursor.pass(Sequence(1_000_000)), 999_894);
        assert_eq!(
            (cursor.next(), cursor.ahead_count()),
            (Sequence(1_000_000), 0)
        );
        assert!(cursor.settle(Sequence(1_000_000 + WINDOW - 1)));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_and_comes_back_from_disk(settled in proptest::collection::vec(0_u64..5_000, 0..300), dense in 0_u64..5_000) {
            let mut cursor = Cursor::at(Sequence(0));
            let mut set = BTreeSet::new();
            for sequence in settled.into_iter().chain(0..dense) {
                let expected = cursor.covers(Sequence(sequence)) && set.insert(sequence);
                prop_assert_eq!(cursor.settle(Sequence(sequence)), expected);
            }
            let next = (0..).find(|sequence| !set.contains(sequence)).unwrap();
            prop_assert_eq!(cursor.next(), Sequence(next));
            prop_assert_eq!(cursor.ahead_count(), set.range(next..).count() as u64);
            let mut bytes = Vec::new();
            cursor.put(&mut bytes);
            prop_assert!(bytes.len() <= 8 + 2 + 512);
            prop_assert_eq!(Cursor::take(&mut Fields(&bytes)), Some(cursor));
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
            let _ = Cursor::take(&mut Fields(&bytes));
        }
    }
}

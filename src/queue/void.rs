//! Void: sequences without an event. Endpoints step over them, and count what they would have had.
//!
//! A void is made when a damaged generation is mended: for events that could not be saved, and
//! for sequences that are passed over so that none is given out twice. Cursors are moved over a
//! void when they come to it, by the settlement that brings them there.

use super::encoding::{Fields, put_count};
use crate::event::Sequence;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Most voids kept; with more, neighbours are made one. Each takes some dozen bytes, in memory
/// and in every new generation; a damaged generation of 4 MiB leaves at most some hundred.
pub(super) const VOIDS_MAX: usize = 4_096;

const VERSION: u8 = 1;

/// Why there is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoidCause {
    /// It was committed and cannot be read any more.
    Lost,
    /// None was ever there: the sequence was passed over, lest one be given out twice.
    Unused,
}

impl fmt::Display for VoidCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Unused => "unused",
        })
    }
}

/// A run of sequences without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Void {
    /// The first of them.
    pub first: Sequence,
    /// The one after the last of them; greater than `first`.
    pub end: Sequence,
    /// Why.
    pub cause: VoidCause,
}

impl Void {
    /// How many sequences it holds.
    pub fn len(&self) -> u64 {
        self.end.0.saturating_sub(self.first.0)
    }

    /// Whether it holds none, which no void on disk does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value to store under its first sequence.
    pub(super) fn encode(&self) -> Vec<u8> {
        let cause = match self.cause {
            VoidCause::Lost => 0,
            VoidCause::Unused => 1,
        };
        let mut out = vec![VERSION, cause];
        put_count(&mut out, self.len());
        out
    }

    /// Reads what [`encode`](Void::encode) made of the void that begins at `first`.
    pub(super) fn decode(first: Sequence, value: &[u8]) -> Option<Void> {
        let mut fields = Fields(value);
        (fields.byte()? == VERSION).then_some(())?;
        let cause = match fields.byte()? {
            0 => VoidCause::Lost,
            1 => VoidCause::Unused,
            _ => return None,
        };
        let end = Sequence(first.0.checked_add(fields.count()?)?);
        fields.end()?;
        (end > first).then_some(Void { first, end, cause })
    }
}

/// All voids that some endpoint may still come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Voids(BTreeMap<Sequence, Void>);

impl Voids {
    /// Adds a void. It must not overlap one that is there.
    pub(super) fn add(&mut self, void: Void) {
        if !void.is_empty() {
            self.0.insert(void.first, void);
        }
    }

    /// The void that `sequence` lies in.
    pub(super) fn at(&self, sequence: Sequence) -> Option<Void> {
        let (_, void) = self.0.range(..=sequence).next_back()?;
        (sequence < void.end).then_some(*void)
    }

    /// The first sequence at or behind `from` that is not in a void.
    pub(super) fn past(&self, mut from: Sequence) -> Sequence {
        while let Some(void) = self.at(from) {
            from = void.end;
        }
        from
    }

    /// Where the next void behind `from` begins.
    pub(super) fn next_after(&self, from: Sequence) -> Option<Sequence> {
        self.0.range(from..).next().map(|(&first, _)| first)
    }

    /// How many sequences of `range` never held an event.
    pub(super) fn unused_in(&self, range: Range<Sequence>) -> u64 {
        self.0
            .values()
            .filter(|void| void.cause == VoidCause::Unused)
            .map(|void| {
                let first = void.first.max(range.start);
                void.end.min(range.end).0.saturating_sub(first.0)
            })
            .sum()
    }

    /// Takes out the voids that end at or before `cursor`; returns where they began.
    pub(super) fn take_passed(&mut self, cursor: Sequence) -> Vec<Sequence> {
        let passed: Vec<Sequence> = self
            .0
            .values()
            .filter(|void| void.end <= cursor)
            .map(|void| void.first)
            .collect();
        for first in &passed {
            self.0.remove(first);
        }
        passed
    }

    /// The runs of `range` that no void covers.
    pub(super) fn uncovered(&self, range: Range<Sequence>) -> Vec<Range<Sequence>> {
        let mut runs = Vec::new();
        let mut from = self.past(range.start);
        while from < range.end {
            let end = self
                .next_after(from)
                .map_or(range.end, |first| first.min(range.end));
            runs.push(from..end);
            from = self.past(end);
        }
        runs
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn void(first: u64, end: u64, cause: VoidCause) -> Void {
        Void {
            first: Sequence(first),
            end: Sequence(end),
            cause,
        }
    }

    fn voids() -> Voids {
        let mut voids = Voids::default();
        voids.add(void(5, 8, VoidCause::Lost));
        voids.add(void(8, 20, VoidCause::Unused));
        voids.add(void(30, 31, VoidCause::Lost));
        voids
    }

    #[test]
    fn reading_goes_past_voids_that_touch() {
        let voids = voids();
        for (from, past) in [(4, 4), (5, 20), (19, 20), (20, 20), (30, 31)] {
            assert_eq!(voids.past(Sequence(from)), Sequence(past), "{from}");
        }
    }

    #[test]
    fn what_no_void_covers_is_found() {
        let runs = voids().uncovered(Sequence(1)..Sequence(40));
        let numbers: Vec<(u64, u64)> = runs.iter().map(|run| (run.start.0, run.end.0)).collect();
        assert_eq!(numbers, [(1, 5), (20, 30), (31, 40)]);
        assert!(voids().uncovered(Sequence(6)..Sequence(19)).is_empty());
    }

    #[test]
    fn only_unused_sequences_are_taken_from_the_account() {
        assert_eq!(voids().unused_in(Sequence(1)..Sequence(40)), 12);
        assert_eq!(voids().unused_in(Sequence(10)..Sequence(12)), 2);
    }

    #[test]
    fn a_void_goes_when_it_is_passed() {
        let mut voids = voids();
        assert_eq!(voids.take_passed(Sequence(19)), [Sequence(5)]);
        assert_eq!(voids.take_passed(Sequence(31)), [Sequence(8), Sequence(30)]);
        assert_eq!(voids.len(), 0);
    }

    #[test]
    fn a_void_comes_back_from_disk_and_garbage_does_not() {
        let one = void(7, 300, VoidCause::Unused);
        assert_eq!(Void::decode(Sequence(7), &one.encode()), Some(one));
        for value in [&[][..], &[1, 0, 0], &[1, 2, 5], &[2, 0, 5], &[1, 0, 5, 5]] {
            assert_eq!(Void::decode(Sequence(7), value), None, "{value:?}");
        }
        assert_eq!(Void::decode(Sequence(u64::MAX), &[1, 0, 1]), None);
    }
}

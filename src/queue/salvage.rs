//! Salvage: what can still be read of a damaged generation.

use super::error::QueueError;
use super::generation::{Generation, remove_snapshots};
use super::{block, key};
use crate::event::{EventId, Sequence};
use std::collections::{BTreeMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::path::Path;

/// How often reading goes on behind a place that cannot be read. Each costs one look-up, and a
/// generation has at most a thousand blocks.
const DETOURS_MAX: u32 = 1_024;

/// Sequences by which reading goes on behind a place that cannot be read: one block.
const DETOUR: u64 = block::EVENTS_MAX as u64;

/// The blocks of a generation that are what was written there.
#[derive(Debug, Default)]
pub(super) struct Salvage {
    /// By first sequence: the block and how many events it holds. They do not overlap.
    pub(super) blocks: BTreeMap<Sequence, (u64, Vec<u8>)>,
}

impl Salvage {
    /// The sequences of `range` that are not among the blocks.
    pub(super) fn holes(&self, range: Range<Sequence>) -> Vec<Range<Sequence>> {
        let mut holes = Vec::new();
        let mut expected = range.start;
        for (&first, &(count, _)) in &self.blocks {
            if first > expected {
                holes.push(expected..first.min(range.end));
            }
            expected = expected.max(first.plus(count));
        }
        if expected < range.end {
            holes.push(expected..range.end);
        }
        holes.retain(|hole| hole.start < hole.end);
        holes
    }

    /// The first event, if there is any.
    pub(super) fn first(&self) -> Option<Sequence> {
        self.blocks.keys().next().copied()
    }

    /// The sequence behind the last event, if there is any.
    pub(super) fn end(&self) -> Option<Sequence> {
        let (first, (count, _)) = self.blocks.last_key_value()?;
        Some(first.plus(*count))
    }

    /// How many events there are.
    pub(super) fn events(&self) -> u64 {
        self.blocks.values().map(|(count, _)| count).sum()
    }

    /// Their ids.
    pub(super) fn ids(&self) -> HashSet<EventId> {
        let mut ids = HashSet::new();
        for (&first, (_, value)) in &self.blocks {
            let events = block::unpack(first, value).unwrap_or_default();
            ids.extend(events.iter().map(|queued| queued.event.id));
        }
        ids
    }

    /// Drops what lies outside `range`: blocks that belong to another generation.
    pub(super) fn confine(&mut self, range: Range<Sequence>) {
        self.blocks
            .retain(|&first, (count, _)| first >= range.start && first.plus(*count) <= range.end);
    }

    /// Adds the readable blocks of `generation` from `range`. Places that cannot be read are
    /// passed over.
    pub(super) fn collect(&mut self, generation: &Generation, range: Range<Sequence>) {
        let mut from = range.start;
        for _ in 0..DETOURS_MAX {
            let mut last = from;
            let scanned = generation.scan(key::BLOCKS, &key::block(from), |found| {
                let Some(first) = key::block_first(&found.key) else {
                    return ControlFlow::Continue(());
                };
                if first >= range.end {
                    return ControlFlow::Break(());
                }
                last = first.plus(1);
                self.add(first, found.value);
                ControlFlow::Continue(())
            });
            if scanned.is_ok() {
                break;
            }
            from = last.max(from).plus(DETOUR);
            if from >= range.end {
                break;
            }
        }
    }

    /// Adds a block if it is whole and overlaps no other.
    fn add(&mut self, first: Sequence, value: Vec<u8>) {
        let Some(events) = block::unpack(first, &value) else {
            return;
        };
        let end = first.plus(events.len() as u64);
        let before = self.blocks.range(..end).next_back();
        if before.is_none_or(|(other, (count, _))| other.plus(*count) <= first) {
            self.blocks.insert(first, (events.len() as u64, value));
        }
    }
}

/// Opens a damaged generation as far as the database can: as it is, else without its snapshots.
///
/// # Errors
///
/// When it cannot be opened in either way.
pub(super) fn open(directory: &Path, number: u32) -> Result<Generation, QueueError> {
    match Generation::open_at(directory.to_owned(), number) {
        Err(QueueError::Damaged { .. }) => {
            remove_snapshots(directory)?;
            Generation::open_at(directory.to_owned(), number)
        }
        opened => opened,
    }
}

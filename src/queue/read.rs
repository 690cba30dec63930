//! Read: events in order, from the generation they are in.

use super::disk::HeadGrowth;
use super::error::QueueError;
use super::generation::Generation;
use super::ledger::Ledger;
use super::state::{Span, State};
use super::{Queue, Queued, block, key, locked};
use crate::event::Sequence;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// Older generations kept open for reading: endpoints that catch up after an outage are side by
/// side, and two places far apart can still be read in turn without opening anything again. Each
/// is a database of some megabytes of memory; opening one takes 4 to 7 ms.
const READERS_MAX: usize = 2;

/// Most bytes of blocks, as stored, that one read takes; with CDR events about 2,000 events. One
/// block is always read.
const READ_BYTES_MAX: usize = 512 << 10;

/// What readers see: as it is on disk, replaced after each sync.
#[derive(Debug)]
pub(super) struct View {
    /// `None` after a failed write, until the head is opened again.
    pub(super) head: Option<Arc<Generation>>,
    pub(super) ledger: Ledger,
    spans: Vec<Span>,
    /// Length of the head's file when everything carried over was in it, in bytes.
    carried_bytes: u64,
}

/// Older generations that are open, the one used last at the end.
#[derive(Debug, Default)]
pub(super) struct Readers {
    open: Vec<Arc<Generation>>,
    /// Opened since their sizes were asked for: the database writes to what it opens.
    touched: BTreeSet<u32>,
}

impl Default for View {
    fn default() -> View {
        let ledger = Ledger {
            next: Sequence::FIRST,
            sources: Vec::new(),
            endpoints: Vec::new(),
        };
        View {
            head: None,
            ledger,
            spans: Vec::new(),
            carried_bytes: 0,
        }
    }
}

impl View {
    /// Shows what a sync has made durable.
    pub(super) fn show(&mut self, head: &Arc<Generation>, state: &State) {
        self.head = Some(Arc::clone(head));
        self.ledger = state.ledger();
        // There is one for each generation of the backlog; they change by one at either end.
        let ends = |spans: &[Span]| (spans.len(), spans.first().copied(), spans.last().copied());
        if ends(&self.spans) != ends(&state.spans) {
            self.spans.clone_from(&state.spans);
        }
        self.carried_bytes = state.carried_bytes;
    }

    /// Which generation is the head, and how far it has grown.
    pub(super) fn head_growth(&self) -> HeadGrowth {
        HeadGrowth {
            number: self.spans.last().map(|head| head.number),
            file_bytes: self.head.as_ref().map_or(0, |head| head.file_bytes()),
            carried_bytes: self.carried_bytes,
        }
    }

    /// The generation that holds `from`, and the first event behind it.
    fn place_of(&self, from: Sequence) -> Option<(Span, Sequence)> {
        let following = self.spans.partition_point(|span| span.first <= from);
        let span = *self.spans.get(following.checked_sub(1)?)?;
        let end = self
            .spans
            .get(following)
            .map_or(self.ledger.next, |span| span.first);
        Some((span, end))
    }
}

impl Readers {
    /// An older generation, opened when it is not open; the one not used for longest makes room.
    fn reader(&mut self, parent: &Path, number: u32) -> Result<Arc<Generation>, QueueError> {
        let generation = match self.open.iter().position(|open| open.number() == number) {
            Some(at) => self.open.remove(at),
            None => {
                self.touched.insert(number);
                Arc::new(Generation::open(parent, number)?)
            }
        };
        if self.open.len() >= READERS_MAX {
            self.open.remove(0);
        }
        self.open.push(Arc::clone(&generation));
        Ok(generation)
    }

    /// Closes a generation that is about to be removed.
    pub(super) fn close(&mut self, number: u32) {
        self.open.retain(|open| open.number() != number);
    }

    /// The generations whose size may have changed since this was asked for.
    pub(super) fn take_touched(&mut self) -> BTreeSet<u32> {
        let open = self.open.iter().map(|open| open.number()).collect();
        // What is open now is still to be looked at once it is closed.
        let touched = std::mem::replace(&mut self.touched, open);
        touched.union(&self.touched).copied().collect()
    }
}

impl Queue {
    /// Events in order, beginning with the first at or behind `from` that is on disk; at least
    /// one, and about `count_max`: whole blocks of up to 16 events are decoded, and never more
    /// than fit the read buffer. Empty when there is none yet.
    ///
    /// # Errors
    ///
    /// [`QueueError::Damaged`] when the next event is not there or cannot be read: reading never
    /// goes past it by itself. [`QueueError::Disk`].
    pub fn read(&self, from: Sequence, count_max: usize) -> Result<Vec<Queued>, QueueError> {
        loop {
            let (span, end, head) = {
                let view = locked(&self.0.view);
                if from >= view.ledger.next {
                    return Ok(Vec::new());
                }
                let oldest = view.spans.first().map_or(from, |oldest| oldest.first);
                let Some((span, end)) = view.place_of(from.max(oldest)) else {
                    return Ok(Vec::new());
                };
                let is_head = view.spans.last() == Some(&span);
                (
                    span,
                    end,
                    if is_head {
                        Some(view.head.clone())
                    } else {
                        None
                    },
                )
            };
            let from = from.max(span.first);
            let generation = match head {
                Some(Some(head)) => head,
                Some(None) => {
                    // A write failed. Opening the head again is the writer's work.
                    drop(self.writer()?);
                    continue;
                }
                None => match locked(&self.0.readers).reader(&self.0.parent, span.number) {
                    Ok(generation) => generation,
                    // It was dropped since its place was looked up.
                    Err(_) if !self.has_span(span) => continue,
                    Err(error) => return Err(error),
                },
            };
            return read_blocks(&generation, from, end, count_max);
        }
    }

    fn has_span(&self, span: Span) -> bool {
        let view = locked(&self.0.view);
        view.spans.iter().any(|other| other.number == span.number)
    }
}

/// Events of one generation from `from` on, up to but not with `end`.
fn read_blocks(
    generation: &Generation,
    from: Sequence,
    end: Sequence,
    count_max: usize,
) -> Result<Vec<Queued>, QueueError> {
    let start = generation.block_before(from)?.unwrap_or(from);
    let mut blocks = Vec::new();
    let (mut bytes, mut count) = (0, 0);
    generation.scan(key::BLOCKS, &key::block(start), |found| {
        let Some(first) = key::block_first(&found.key).filter(|&first| first < end) else {
            return ControlFlow::Break(());
        };
        bytes += found.value.len();
        count += block::count(&found.value).map_or(0, |events| {
            match first.plus(events).0.checked_sub(from.0) {
                Some(behind) => behind.min(events),
                None => 0,
            }
        });
        blocks.push((first, found.value));
        let enough = count >= count_max as u64 || (count > 0 && bytes >= READ_BYTES_MAX);
        if enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    unpack(generation.number(), from, end, blocks)
}

fn unpack(
    generation: u32,
    from: Sequence,
    end: Sequence,
    blocks: Vec<(Sequence, Vec<u8>)>,
) -> Result<Vec<Queued>, QueueError> {
    let damaged = |sequence, what: &str| QueueError::Damaged {
        generation,
        sequence: Some(sequence),
        what: what.into(),
    };
    let mut events: Vec<Queued> = Vec::new();
    let mut expected = from;
    for (first, value) in blocks {
        if first > expected {
            break;
        }
        let Some(block) = block::unpack(first, &value) else {
            if events.is_empty() {
                return Err(damaged(expected, "its block cannot be read"));
            }
            break;
        };
        // Ahead of `from` lie events of the same block; at or behind `end` would be events that
        // were never committed there.
        let wanted = |queued: &Queued| queued.sequence >= expected && queued.sequence < end;
        events.extend(block.into_iter().filter(wanted));
        expected = events.last().map_or(expected, |last| last.sequence.plus(1));
    }
    if events.is_empty() {
        return Err(damaged(expected, "it is missing"));
    }
    Ok(events)
}

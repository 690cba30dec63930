//! Read: events in order, from the generation they are in.

use super::disk::HeadGrowth;
use super::error::QueueError;
use super::generation::Generation;
use super::ledger::Ledger;
use super::state::{Span, State};
use super::void::Voids;
use super::{Queue, Queued, ballast, block, key, locked};
use crate::event::Sequence;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// Older generations kept open for reading: endpoints that catch up after an outage are side by
/// side, and two places far apart can still be read in turn without opening anything again. Each
/// is a database of some megabytes of memory; opening one takes 4 to 7 ms.
const READERS_MAX: usize = 2;

/// Most bytes of blocks, decoded, that one read takes; with CDR events about 900 events. One block
/// is always read.
const READ_BYTES_MAX: usize = 512 << 10;

/// How often one read mends a generation before it gives up: a head that is made anew may leave
/// an older generation to be mended too.
const MENDS_MAX: u32 = 4;

/// Where an event is.
#[derive(Debug)]
struct Place {
    span: Span,
    /// The event.
    from: Sequence,
    /// Behind the last event of the generation.
    end: Sequence,
    /// The head, when it is there and open; `None` for an older generation.
    head: Option<Option<Arc<Generation>>>,
}

/// What readers see: as it is on disk, replaced after each sync.
#[derive(Debug)]
pub(super) struct View {
    /// `None` after a failed write, until the head is opened again.
    pub(super) head: Option<Arc<Generation>>,
    pub(super) ledger: Ledger,
    spans: Vec<Span>,
    /// Length of the head's file when everything carried over was in it, in bytes.
    carried_bytes: u64,
    voids: Voids,
    /// How often something was made durable since the start.
    pub(super) writes: u64,
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
            voids: Voids::default(),
            writes: 0,
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
        self.voids.clone_from(&state.voids);
        self.writes += 1;
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

    /// A generation's size has changed.
    pub(super) fn touch(&mut self, number: u32) {
        self.touched.insert(number);
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
    /// A generation that is damaged is mended on the way, and what is lost of it
    /// passed over.
    ///
    /// # Errors
    ///
    /// [`QueueError::Damaged`] when the next event cannot be read and mending did not help.
    /// [`QueueError::Disk`].
    pub fn read(&self, from: Sequence, count_max: usize) -> Result<Vec<Queued>, QueueError> {
        self.read_within(from, count_max, READ_BYTES_MAX)
    }

    /// The same, of blocks that are decoded to about `bytes_max` bytes together, and never more
    /// than fit the read buffer; one block, of one event or of 10 KiB, is always read.
    ///
    /// # Errors
    ///
    /// As [`read`](Queue::read).
    pub fn read_within(
        &self,
        from: Sequence,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Queued>, QueueError> {
        let bytes_max = bytes_max.min(READ_BYTES_MAX);
        let mut mends = 0;
        loop {
            let Some(place) = self.place(from) else {
                return Ok(Vec::new());
            };
            let found = match self.try_read(&place, count_max, bytes_max) {
                Ok(Some(read)) => return Ok(read),
                Ok(None) => continue,
                Err(error) => error,
            };
            // The database writes to what it opens.
            if ballast::release_after(&mut locked(&self.0.disk), &found) {
                continue;
            }
            let is_damage = matches!(found, QueueError::Damaged { .. });
            if !is_damage || mends >= MENDS_MAX || ballast::is_unwritable(&self.0.site.directory) {
                return Err(found);
            }
            mends += 1;
            self.mend(place.span.number, place.span.first..place.end, &found)?;
        }
    }

    /// Where the first event at or behind `from` is; `None` when there is none yet.
    fn place(&self, from: Sequence) -> Option<Place> {
        let view = locked(&self.0.view);
        let oldest = view.spans.first().map_or(from, |oldest| oldest.first);
        let from = view.voids.past(from.max(oldest));
        if from >= view.ledger.next {
            return None;
        }
        let (span, end) = view.place_of(from)?;
        let is_head = view.spans.last() == Some(&span);
        Some(Place {
            span,
            from: from.max(span.first),
            end,
            head: is_head.then(|| view.head.clone()),
        })
    }

    /// Reads from a place; `None` when it is not there any more, or the head had to be opened.
    fn try_read(
        &self,
        place: &Place,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Option<Vec<Queued>>, QueueError> {
        let generation = match &place.head {
            Some(Some(head)) => Arc::clone(head),
            Some(None) => {
                // A write failed. Opening the head again is the writer's work.
                drop(self.writer()?);
                return Ok(None);
            }
            None => {
                let reader = locked(&self.0.readers).reader(&self.0.site.parent, place.span.number);
                match reader {
                    Ok(generation) => generation,
                    // It was dropped since its place was looked up.
                    Err(_) if !self.has_span(place.span) => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
        };
        read_blocks(&generation, place.from, place.end, count_max, bytes_max).map(Some)
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
    bytes_max: usize,
) -> Result<Vec<Queued>, QueueError> {
    let mut run = Run {
        events: Vec::with_capacity(count_max.min(RESERVED_MAX) + block::EVENTS_MAX),
        next: from,
        end,
        is_broken: false,
    };
    // Whoever reads on is at the first event of a block, and one look finds it.
    run.read(generation, from, count_max, bytes_max)?;
    if run.is_empty()
        && let Some(start) = generation.block_before(from)?
    {
        run.read(generation, start, count_max, bytes_max)?;
    }
    if run.events.is_empty() {
        let what = match run.is_broken {
            true => "its block cannot be read",
            false => "it is missing",
        };
        return Err(QueueError::Damaged {
            generation: generation.number(),
            sequence: Some(run.next),
            what: what.into(),
        });
    }
    Ok(run.events)
}

/// Most places for events that are made before any is read.
const RESERVED_MAX: usize = 1_024;

/// Events without a gap between them.
struct Run {
    events: Vec<Queued>,
    /// The event behind the last.
    next: Sequence,
    end: Sequence,
    /// The block of `next` cannot be read.
    is_broken: bool,
}

impl Run {
    /// Whether nothing was found, be it damaged.
    fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.is_broken
    }

    /// Adds the blocks from the one stored under `start` on, about as many as asked for.
    fn read(
        &mut self,
        generation: &Generation,
        start: Sequence,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<(), QueueError> {
        let (mut unpacker, mut bytes) = (block::Unpacker::default(), 0);
        generation.scan(key::BLOCKS, &key::block(start), |found| {
            let Some(first) = key::block_first(&found.key).filter(|&first| first < self.end) else {
                return ControlFlow::Break(());
            };
            bytes += block::raw_bytes(&found.value).unwrap_or(0);
            let goes_on = self.add(first, &found.value, &mut unpacker) && self.next < self.end;
            let count = self.events.len();
            if !goes_on || count >= count_max || (count > 0 && bytes >= bytes_max) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    /// Adds what belongs to it of the block stored under `first`; false when it ends before.
    fn add(&mut self, first: Sequence, value: &[u8], unpacker: &mut block::Unpacker) -> bool {
        if first > self.next {
            return false;
        }
        let before = self.events.len();
        if unpacker.unpack(first, value, &mut self.events).is_none() {
            self.is_broken = true;
            return false;
        }
        // Ahead of `next` lie events that were read already, or are not asked for; at or behind `end`
        // would be events that were never committed there.
        let (next, end) = (self.next, self.end);
        let is_wanted = |queued: &Queued| queued.sequence >= next && queued.sequence < end;
        if !self.events.iter().skip(before).all(is_wanted) {
            let block = self.events.split_off(before);
            self.events.extend(block.into_iter().filter(is_wanted));
        }
        self.next = self
            .events
            .last()
            .map_or(self.next, |last| last.sequence.plus(1));
        true
    }
}

//! Write: the one writer, and what happens around a write: opening, rolling on, dropping.

use super::dead_letter::{DeadLetter, DeadLetters};
use super::disk::HeadGrowth;
use super::error::QueueError;
use super::generation::{Generation, Writes};
use super::meta::Standing;
use super::read::View;
use super::state::{Span, State};
use super::{Opened, Queue, ballast, key, locked, row};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, MutexGuard};

/// Growth of the head's file before rolling on is tried again after it failed, in bytes: one
/// segment of the database's log.
const ROLL_RETRY_BYTES: u64 = 512 << 10;

/// Whoever holds it writes the head; nobody else does.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` after a failed write, until it is opened again.
    head: Option<Arc<Generation>>,
    /// As in the head, and after a failed write perhaps ahead of it: it is then loaded again
    /// before it is used.
    pub(super) state: State,
    pub(super) dead: DeadLetters,
    /// State to go with the next commit. One value for each key its users have: thresholds by
    /// account, alarms by object.
    pub(super) staged: BTreeMap<String, Vec<u8>>,
    /// Opened again after a write that failed, and not written since: how many half-made
    /// generations were found on the way. Said when a write succeeds: on a full disk, every try
    /// opens it again.
    pub(super) opened_again: Option<usize>,
    /// Rolling on failed; not before the head's file has this length, in bytes.
    roll_again_at: u64,
}

impl Writer {
    /// A writer that has yet to be [opened](Writer::open).
    pub(super) fn new(node: &str, dead: &Path) -> Writer {
        Writer {
            head: None,
            state: State::empty(node),
            dead: DeadLetters::at(dead),
            staged: BTreeMap::new(),
            opened_again: None,
            roll_again_at: 0,
        }
    }

    /// The head, which [`Queue::writer`] has seen to.
    pub(super) fn head(&self) -> Result<&Arc<Generation>, QueueError> {
        self.head.as_ref().ok_or_else(|| QueueError::Damaged {
            generation: self
                .state
                .spans
                .last()
                .map_or(row::FIRST, |head| head.number),
            sequence: None,
            what: "it has to be opened again after a write failed".into(),
        })
    }

    /// Opens the head as the disk has it, or makes the first one, and shows it to readers.
    pub(super) fn open(
        &mut self,
        parent: &Path,
        node: &str,
        view: &mut View,
    ) -> Result<Opened, QueueError> {
        let mut opened = Opened {
            clean: true,
            ..Opened::default()
        };
        let head = match row::head(parent)? {
            Some(head) => {
                let (state, irregularities) =
                    State::load(parent, &head.generation, &head.meta, node)?;
                for irregularity in &irregularities {
                    log::warn!("{irregularity}");
                }
                let clean = head.meta.standing == Standing::Closed;
                opened = Opened {
                    clean,
                    half_made: head.half_made,
                    irregularities,
                };
                self.state = state;
                self.dead.reconcile(Some(self.state.burials))?;
                self.dead.remove_before(self.state.dead_first)?;
                head.generation
            }
            None => {
                self.state = State::empty(node);
                self.state.burials = self.dead.reconcile(None)?;
                first(parent, &mut self.state)?
            }
        };
        let head = Arc::new(head);
        view.show(&head, &self.state);
        self.head = Some(head);
        Ok(opened)
    }
}

impl Queue {
    /// The writer, its head opened again where a write had failed.
    pub(super) fn writer(&self) -> Result<MutexGuard<'_, Writer>, QueueError> {
        let mut writer = self.0.writer.lock().unwrap_or_else(|poisoned| {
            // A thread panicked between changing the state and writing it.
            self.0.writer.clear_poison();
            let mut writer = poisoned.into_inner();
            self.fail(&mut writer);
            writer
        });
        if writer.head.is_none() {
            let mut view = View::default();
            let opened = match writer.open(&self.0.parent, &self.0.node, &mut view) {
                Err(error) if ballast::release_after(&mut locked(&self.0.disk), &error) => {
                    writer.open(&self.0.parent, &self.0.node, &mut view)?
                }
                opened => opened?,
            };
            let half_made = writer.opened_again.unwrap_or(0) + opened.half_made.len();
            writer.opened_again = Some(half_made);
            *locked(&self.0.view) = view;
        }
        Ok(writer)
    }

    /// Writes a batch to the head, shows what it made durable, and rolls on or drops generations
    /// where that is due.
    ///
    /// The state in memory must be changed already; it is what the batch makes of the disk.
    pub(super) fn write(&self, writer: &mut Writer, mut writes: Writes) -> Result<(), QueueError> {
        writes.put(key::META, &writer.state.meta(Standing::Open).encode());
        for &number in &writer.state.dropped {
            writes.remove(&key::generation(number), 0);
        }
        let written = writer.head()?.write(writes);
        if let Err(error) = written {
            self.fail_for(writer, &error);
            return Err(error);
        }
        if let Some(half_made) = writer.opened_again.take() {
            log::info!("queue written again, opened after a failed write half_made={half_made}");
        }
        writer.state.dropped.clear();
        self.show(writer);
        self.roll_if_full(writer);
        self.drop_settled(writer);
        Ok(())
    }

    /// Writes dead letters, before the settlement that counts them.
    pub(super) fn bury(
        &self,
        writer: &mut Writer,
        letters: &[(Arc<str>, DeadLetter)],
    ) -> Result<(), QueueError> {
        writer.state.burials += 1;
        let buried = writer.dead.bury(writer.state.burials, letters);
        if let Err(error) = &buried {
            // The state in memory counts them as buried already.
            self.fail_for(writer, error);
        }
        buried
    }

    /// Writes that the queue was closed in order.
    pub(super) fn mark_closed(&self, writer: &mut Writer) -> Result<(), QueueError> {
        let mut writes = Writes::default();
        writes.put(key::META, &writer.state.meta(Standing::Closed).encode());
        let written = writer.head()?.write(writes);
        if let Err(error) = &written {
            self.fail_for(writer, error);
        }
        written
    }

    /// Begins the next generation now, however full the head is.
    #[cfg(test)]
    pub(super) fn roll_now(&self) -> Result<(), QueueError> {
        let mut writer = self.writer()?;
        let rolled = self.roll(&mut writer);
        if rolled.is_err() {
            self.fail(&mut writer);
        }
        rolled
    }

    /// Does what a failed write does, without one.
    #[cfg(test)]
    pub(super) fn fail_now(&self) -> Result<(), QueueError> {
        self.fail(&mut *self.writer()?);
        Ok(())
    }

    /// Lets go of a head that could not be written: the state in memory and the database's own
    /// may be ahead of the disk.
    fn fail(&self, writer: &mut Writer) {
        writer.head = None;
        locked(&self.0.view).head = None;
    }

    /// The same after `error`; where that was for want of space, the ballast makes way, so that the
    /// next settlement can be written.
    fn fail_for(&self, writer: &mut Writer, error: &QueueError) {
        self.fail(writer);
        ballast::release_after(&mut locked(&self.0.disk), error);
    }

    fn show(&self, writer: &Writer) {
        if let Some(head) = &writer.head {
            locked(&self.0.view).show(head, &writer.state);
        }
    }

    /// Rolls on when the head has grown enough. When it fails, what was written before is not touched by that: the
    /// head is opened again, whichever generation it is then.
    fn roll_if_full(&self, writer: &mut Writer) {
        let Some(head) = &writer.head else { return };
        let carried = writer.state.carried_bytes;
        let bytes = head.file_bytes();
        if bytes < HeadGrowth::rolls_at(carried).max(writer.roll_again_at) {
            return;
        }
        match self.roll(writer) {
            Ok(()) => writer.roll_again_at = 0,
            Err(error) => {
                log::warn!("next generation not begun error=\"{error}\"");
                writer.roll_again_at = bytes + ROLL_RETRY_BYTES;
                self.fail_for(writer, &error);
            }
        }
    }

    /// Makes the next generation, carries the small state over, seals the old head.
    fn roll(&self, writer: &mut Writer) -> Result<(), QueueError> {
        let old = Arc::clone(writer.head()?);
        let fresh = Generation::create(&self.0.parent, old.number() + 1)?;
        for prefix in key::CARRIED {
            old.carry(prefix, &fresh)?;
        }
        let state = &mut writer.state;
        let sealed = state.meta(Standing::Sealed);
        let mut writes = Writes::default();
        writes.put(
            &key::generation(old.number()),
            &sealed.first.0.to_be_bytes(),
        );
        for &number in &state.dropped {
            writes.remove(&key::generation(number), 0);
        }
        state.spans.push(Span {
            number: fresh.number(),
            first: state.next,
        });
        // The file grows in segments: what the last batch adds hardly ever shows in its length.
        state.carried_bytes = fresh.file_bytes();
        writes.put(key::META, &state.meta(Standing::Open).encode());
        // Power cut before this returns: no meta, and the old head is whole.
        fresh.write(writes)?;
        // Power cut before this returns: both are whole and say the same, the newer one counts.
        let mut seal = Writes::default();
        seal.put(key::META, &sealed.encode());
        old.write(seal)?;
        state.dropped.clear();
        writer.head = Some(Arc::new(fresh));
        // The old head is closed by that; whoever still reads it opens it again. Kept open for
        // nobody, it would cost a third more memory while a backlog builds up.
        self.show(writer);
        Ok(())
    }

    /// Drops the generations every endpoint is done with. The cursors that say so are on disk.
    fn drop_settled(&self, writer: &mut Writer) {
        if writer.head.is_none() {
            // Rolling on failed; the next write comes by here again.
            return;
        }
        let mut settled: Vec<u32> = Vec::new();
        settled.extend(writer.state.take_eventless_span().map(|span| span.number));
        while let Some(span) = writer.state.take_settled_span() {
            settled.push(span.number);
        }
        if settled.is_empty() {
            return;
        }
        // Readers no longer find them first.
        self.show(writer);
        for number in settled {
            locked(&self.0.readers).close(number);
            if let Err(error) = row::remove(&self.0.parent, number) {
                log::warn!(
                    "settled generation not removed generation={number:08} error=\"{error}\""
                );
            }
        }
    }
}

/// Makes the first generation of a new queue.
fn first(parent: &Path, state: &mut State) -> Result<Generation, QueueError> {
    let generation = Generation::create(parent, row::FIRST)?;
    state.spans.push(Span {
        number: row::FIRST,
        first: state.next,
    });
    state.carried_bytes = generation.file_bytes();
    let mut writes = Writes::default();
    writes.put(key::META, &state.meta(Standing::Open).encode());
    generation.write(writes)?;
    Ok(generation)
}

//! Write: the one writer, and what happens around a write: opening, rolling on, dropping.

use super::checkpoint::Rows;
use super::coverage::Entry;
use super::dead_letter::{DeadLetter, DeadLetters};
use super::disk::HeadGrowth;
use super::error::QueueError;
use super::generation::{self, Generation, Writes};
use super::mend::{self, Mended, Site};
use super::meta::Standing;
use super::next::Next;
use super::read::View;
use super::settle::Settled;
use super::state::{Irregularity, Span, State};
use super::{Opened, Queue, ballast, key, locked, quarantine, row};
use crate::event::EventId;
use std::collections::{BTreeMap, HashSet};
use std::fs;
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
    /// Settlements to go with the next commit: at most [`ALONG_MAX`](super::along::ALONG_MAX).
    pub(super) along: Vec<Settled>,
    /// Opened again after a write that failed, and not written since: how many half-made
    /// generations were found on the way. Said when a write succeeds: on a full disk, every try
    /// opens it again.
    pub(super) opened_again: Option<usize>,
    /// What was mended since the start.
    pub(super) mended: Vec<Mended>,
    /// Ids of events that were saved from damage since the start: as many as the damaged
    /// generations held, some thousand of 16 bytes each.
    pub(super) saved: Arc<HashSet<EventId>>,
    /// Number of the latest run of events that are put off.
    pub(super) last_run: u32,
    /// Runs that the head knows no more. A checkpoint may, until the next one is written.
    pub(super) runs_over: Vec<u32>,
    /// Rolling on failed; not before the head's file has this length, in bytes.
    roll_again_at: u64,
    /// What follows the head.
    pub(super) next: Next,
}

impl Writer {
    /// A writer that has yet to be [opened](Writer::open).
    pub(super) fn new(node: &str, dead: &Path, quarantine_max: u64) -> Writer {
        Writer {
            head: None,
            state: State::empty(node),
            dead: DeadLetters::at(dead, quarantine_max),
            staged: BTreeMap::new(),
            along: Vec::new(),
            opened_again: None,
            mended: Vec::new(),
            saved: Arc::default(),
            last_run: 0,
            runs_over: Vec::new(),
            roll_again_at: 0,
            next: Next::default(),
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

    /// Opens the head as the disk has it, or makes the first one, and shows it to readers. A head
    /// that is not as it was written is mended; see [`mend`].
    pub(super) fn open(
        &mut self,
        site: &Site,
        node: &str,
        view: &mut View,
    ) -> Result<Opened, QueueError> {
        fs::create_dir_all(&site.parent).map_err(generation::disk("create", &site.parent))?;
        row::finish_mended(&site.parent)?;
        let mut opened = match self.try_open(site, node) {
            Err(found @ QueueError::Damaged { .. }) if !ballast::is_unwritable(&site.directory) => {
                self.climb(site, node, &found)?
            }
            opened => opened?,
        };
        let missing = std::mem::take(&mut opened.missing);
        opened.mended.extend(self.give_up_missing(missing)?);
        for mended in &opened.mended {
            self.report(mended.clone());
        }
        view.show(self.head()?, &self.state);
        Ok(opened)
    }

    /// The ladder's rungs after the first.
    fn climb(&mut self, site: &Site, node: &str, found: &QueueError) -> Result<Opened, QueueError> {
        let newest = row::list(&site.parent)?.last().copied().unwrap_or(0);
        let directory = generation::directory(&site.parent, newest);
        if generation::remove_snapshots(&directory)? {
            match self.try_open(site, node) {
                Err(QueueError::Damaged { .. }) => {}
                Ok(mut opened) => {
                    opened.mended.push(Mended::without_snapshot(newest, found));
                    return Ok(opened);
                }
                error => return error,
            }
        }
        let last_burial = self.dead.reconcile(None)?;
        let (mended, saved) = mend::rebuild(site, node, found, last_burial)?;
        self.saved_ids(saved);
        let mut opened = self.try_open(site, node)?;
        opened.mended.insert(0, mended);
        Ok(opened)
    }

    /// Opens the head as it is.
    ///
    /// # Errors
    ///
    /// [`QueueError::Damaged`] when it is not as it was written; nothing was changed then.
    fn try_open(&mut self, site: &Site, node: &str) -> Result<Opened, QueueError> {
        let checkpoint = Rows::read(&site.directory).and_then(|rows| rows.meta());
        let Some(head) = row::head(&site.parent)? else {
            if checkpoint.is_some() || !row::list(&site.parent)?.is_empty() {
                return Err(QueueError::Damaged {
                    generation: row::FIRST,
                    sequence: None,
                    what: "there is a checkpoint, but no generation".into(),
                });
            }
            self.state = State::empty(node);
            self.state.burials = self.dead.reconcile(None)?;
            self.head = Some(Arc::new(first(&site.parent, &mut self.state)?));
            return Ok(Opened {
                clean: true,
                ..Opened::default()
            });
        };
        let number = head.generation.number();
        let (state, irregularities) =
            State::load(&site.parent, &head.generation, &head.meta, node)?;
        let mut missing = Vec::new();
        for irregularity in irregularities {
            match irregularity {
                Irregularity::Missing {
                    generation,
                    first,
                    last,
                } if generation != number => missing.push((generation, first..last.plus(1))),
                _ => return Err(irregularity.damage(number)),
            }
        }
        if let Some(outdated) = state.outdated_by(checkpoint) {
            return Err(outdated.damage(number));
        }
        self.state = state;
        self.dead.reconcile(Some(self.state.burials))?;
        self.dead.remove_before(self.state.dead_first)?;
        self.head = Some(Arc::new(head.generation));
        self.set_strays_aside(site)?;
        self.note_stray_runs(&site.directory)?;
        Ok(Opened {
            clean: head.meta.standing == Standing::Closed,
            half_made: head.half_made,
            missing,
            mended: Vec::new(),
        })
    }

    /// Sets generations aside that the head knows nothing of: a mending was cut short.
    fn set_strays_aside(&self, site: &Site) -> Result<(), QueueError> {
        for number in row::list(&site.parent)? {
            let is_known = |span: &Span| span.number == number;
            if !self.state.spans.iter().any(is_known) && !self.state.dropped.contains(&number) {
                let directory = generation::directory(&site.parent, number);
                log::warn!(
                    "generation set aside, the head does not know it generation={number:08}"
                );
                quarantine::set_aside(&directory, site.quarantine_max)?;
            }
        }
        Ok(())
    }

    /// Notes the ids of events that were saved from damage, so that their rows, when they are read
    /// again, are not told again.
    pub(super) fn saved_ids(&mut self, ids: HashSet<EventId>) {
        let mut all = (*self.saved).clone();
        all.extend(ids);
        self.saved = Arc::new(all);
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
            let opened = match writer.open(&self.0.site, &self.0.node, &mut view) {
                Err(error) if ballast::release_after(&mut locked(&self.0.disk), &error) => {
                    writer.open(&self.0.site, &self.0.node, &mut view)?
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
        for passed in writer.state.take_passed_voids() {
            writes.remove(&passed, 0);
        }
        for passed in self.take_passed_urgent(&writer.state) {
            writes.remove(&passed, 0);
        }
        let bytes = writes.bytes();
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
        self.roll_if_full(writer, bytes);
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
    pub(crate) fn roll_now(&self) -> Result<(), QueueError> {
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
    pub(super) fn fail(&self, writer: &mut Writer) {
        writer.head = None;
        writer.next = Next::default();
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

    /// Rolls on when the head has grown enough, of which the last batch was `written`. When it fails, what was
    /// written before is not touched by that: the head is opened again, whichever generation it is then.
    fn roll_if_full(&self, writer: &mut Writer, written: usize) {
        let Some(head) = &writer.head else { return };
        let carried = writer.state.carried_bytes;
        let bytes = head.file_bytes();
        let rolls_at = HeadGrowth::rolls_at(carried).max(writer.roll_again_at);
        if bytes < rolls_at {
            let parent = &self.0.site.parent;
            writer.next.make_in_time(parent, rolls_at - bytes, written);
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
        let parent = &self.0.site.parent;
        let fresh = writer.next.begin(parent, old.number() + 1)?;
        for prefix in key::CARRIED {
            old.carry(prefix, &fresh)?;
        }
        let state = &mut writer.state;
        let sealed = state.meta(Standing::Sealed);
        let mut writes = Writes::default();
        let entry = Entry {
            first: sealed.first,
            covered: std::mem::take(&mut state.coverage).covered(),
        };
        writes.put(&key::generation(old.number()), &entry.encode());
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
            if let Err(error) = row::remove(&self.0.site.parent, number) {
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

//! Commit: events, file positions and counts, in one step.

use super::block::{self, Unplaced};
use super::error::QueueError;
use super::generation::Writes;
use super::ledger::SourceCounts;
use super::state::State;
use super::write::Writer;
use super::{Queue, key, locked, piece, position};
use crate::event::{Event, Sequence};
use crate::source::{FileKey, FilePosition};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Longest value of a piece of state, in bytes: one that the database need not keep in pieces.
pub const STATE_BYTES_MAX: usize = piece::WHOLE_BYTES_MAX;

/// What one source adds in one commit.
#[derive(Debug, Clone)]
pub struct SourceBatch {
    /// The source's name; at most [`NAME_BYTES_MAX`](super::NAME_BYTES_MAX) bytes.
    pub source: Arc<str>,
    /// Its events, in order.
    pub events: Vec<Event>,
    /// How far its files have been read with that.
    pub positions: Vec<FilePosition>,
    /// Files that need not be remembered any more.
    pub forgotten: Vec<FileKey>,
    /// What became of the rows read.
    pub counts: SourceCounts,
}

/// The events of batches, compressed as they will be on disk: most of the processor's work in a
/// commit, done ahead of it.
#[derive(Debug, Default)]
pub struct Packed {
    /// For each batch, how many of its events, from the first, are in which blocks.
    batches: Vec<(usize, Vec<Unplaced>)>,
}

impl Packed {
    /// Packs the events that are in `batches`. More batches, and more events at the end of each, may
    /// come before the commit; nothing else may change.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooLong`] for an event; the commit says so, too.
    pub fn of(batches: &[SourceBatch]) -> Result<Packed, QueueError> {
        Packed::default().with(batches)
    }

    /// The same, and what has come since.
    fn with(mut self, batches: &[SourceBatch]) -> Result<Packed, QueueError> {
        self.batches.resize_with(batches.len(), Default::default);
        for ((count, blocks), batch) in self.batches.iter_mut().zip(batches) {
            blocks.extend(block::pack(batch.events.get(*count..).unwrap_or_default())?);
            *count = batch.events.len();
        }
        Ok(self)
    }
}

/// A change of one piece of small state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// What it is called; at most [`NAME_BYTES_MAX`](super::NAME_BYTES_MAX) bytes.
    pub name: String,
    /// What it says from now on, at most [`STATE_BYTES_MAX`] bytes; `None` removes it.
    pub value: Option<Vec<u8>>,
}

/// What a commit added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The sequence of its first event; where there was none, what that would have been.
    pub first: Sequence,
    /// How many events it added.
    pub events: u64,
}

impl Queue {
    /// Adds events in the order given, moves positions and counts rows: together or not at all.
    /// State that was [put](Queue::state_put) before goes with it.
    ///
    /// After `Ok` it survives loss of power. After a crash on the way all of it happened or none.
    /// Memory taken is about that of the events, so the caller bounds their number.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooLong`] for a name or an event, before anything is written. After
    /// [`QueueError::Disk`] or [`QueueError::Damaged`] it is not known whether it happened; the
    /// caller repeats it until it succeeds, which at worst queues the events twice with their ids.
    pub fn commit(&self, batches: &[SourceBatch]) -> Result<Committed, QueueError> {
        self.commit_with(batches, &[])
    }

    /// As [`commit`](Queue::commit), and changes small state with it: what a machine made of the
    /// rows is on disk exactly when its events and the rows' positions are.
    ///
    /// # Errors
    ///
    /// As [`commit`](Queue::commit); [`QueueError::TooLong`] also for a change whose name or value
    /// is too long.
    pub fn commit_with(
        &self,
        batches: &[SourceBatch],
        state: &[StateChange],
    ) -> Result<Committed, QueueError> {
        self.commit_packed(batches, Packed::default(), state)
    }

    /// As [`commit_with`](Queue::commit_with), with what was `packed` of these batches before.
    ///
    /// # Errors
    ///
    /// As [`commit_with`](Queue::commit_with).
    pub fn commit_packed(
        &self,
        batches: &[SourceBatch],
        packed: Packed,
        state: &[StateChange],
    ) -> Result<Committed, QueueError> {
        for change in state {
            check_state(&change.name, change.value.as_deref().unwrap_or_default())?;
        }
        self.commit_and(batches, packed, |_, writes| {
            for change in state {
                let at = key::state(&change.name);
                match &change.value {
                    Some(value) => _ = writes.put(&at, value),
                    None => writes.remove(&at, 0),
                }
            }
        })
    }

    /// Adds events as [`commit`](Queue::commit) does, of bytes that were to be
    /// [read again](Queue::to_read_again): those of `task` up to `position` have been with that,
    /// or all of them without one. Together or not at all.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Queue::commit).
    pub fn commit_again(
        &self,
        batches: &[SourceBatch],
        task: u64,
        position: Option<FilePosition>,
    ) -> Result<Committed, QueueError> {
        self.commit_and(batches, Packed::default(), |state, writes| {
            let at = key::task(task);
            match (position, state.tasks.get_mut(&task)) {
                (Some(position), Some(covered)) => {
                    covered.origin = position;
                    writes.put(&at, &covered.encode());
                }
                _ => {
                    state.tasks.remove(&task);
                    writes.remove(&at, 0);
                }
            }
        })
    }

    fn commit_and(
        &self,
        batches: &[SourceBatch],
        packed: Packed,
        also: impl FnOnce(&mut State, &mut Writes),
    ) -> Result<Committed, QueueError> {
        for batch in batches {
            key::check_name(&batch.source)?;
        }
        let packed = packed.with(batches)?;
        let mut writer = self.writer()?;
        let first = writer.state.next;
        let mut writes = Writes::default();
        for (batch, (_, blocks)) in batches.iter().zip(packed.batches) {
            for block in blocks {
                let (at, count) = (writer.state.next, block.count());
                writes.put(&key::block(at), &block.place(at));
                writer.state.next = at.plus(count);
            }
            if let Err(error) = put_positions(&mut writes, batch, &mut writer) {
                // The state in memory has moved on already.
                self.fail(&mut writer);
                return Err(error);
            }
            let totals = writer
                .state
                .sources
                .entry(Arc::clone(&batch.source))
                .or_default();
            totals.add(batch.counts, batch.events.len() as u64);
            writes.put(&key::source(&batch.source), &totals.encode());
        }
        also(&mut writer.state, &mut writes);
        let urgent = locked(&self.0.urgent).found(batches, first);
        self.put_urgent(&urgent, &mut writes);
        for (name, value) in &writer.staged {
            writes.put(&key::state(name), value);
        }
        let took_along = self.take_along(&mut writer, &mut writes);
        let events = writer.state.next.0 - first.0;
        let written = self.write(&mut writer, writes);
        if written.is_ok() {
            writer.staged.clear();
        }
        drop(writer);
        if took_along {
            self.told_along();
        }
        written?;
        locked(&self.0.urgent).add(urgent);
        if events > 0 {
            locked(&self.0.bells)
                .iter()
                .for_each(crate::shutdown::Bell::ring);
        }
        Ok(Committed { first, events })
    }

    /// Whether anything has ever been committed for the source.
    pub fn seen(&self, source: &str) -> bool {
        locked(&self.0.view).ledger.source(source).is_some()
    }

    /// How far the source's files have been read.
    ///
    /// # Errors
    ///
    /// When the head cannot be read.
    pub fn positions(&self, source: &str) -> Result<Vec<FilePosition>, QueueError> {
        let writer = self.writer()?;
        let head = writer.head()?;
        let prefix = key::positions(source);
        let mut positions = Vec::new();
        let mut damaged = false;
        head.scan(&prefix, &prefix, |found| {
            match position::decode(&found.value) {
                Some((position, _)) => {
                    positions.push(position);
                    ControlFlow::Continue(())
                }
                None => {
                    damaged = true;
                    ControlFlow::Break(())
                }
            }
        })?;
        if damaged {
            let what = format!("a file position of source {source} cannot be read");
            return Err(QueueError::Damaged {
                generation: head.number(),
                sequence: None,
                what,
            });
        }
        Ok(positions)
    }

    /// Puts a piece of small state; it becomes durable with the next commit, which may be of
    /// nothing else, and is what [`state_get`](Queue::state_get) says from now on.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooLong`] for a key of more than [`NAME_BYTES_MAX`](super::NAME_BYTES_MAX)
    /// or a value of more than [`STATE_BYTES_MAX`] bytes; when the head cannot be read.
    pub fn state_put(&self, name: &str, value: &[u8]) -> Result<(), QueueError> {
        check_state(name, value)?;
        self.writer()?
            .staged
            .insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    /// The pieces of small state on disk whose names begin with `prefix`, by name. Goes through all
    /// of the small state: for opening, not for looking something up.
    ///
    /// # Errors
    ///
    /// When the head cannot be read.
    pub fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, QueueError> {
        let writer = self.writer()?;
        let mut states = Vec::new();
        writer.head()?.scan(key::STATE, key::STATE, |found| {
            let name = key::read_name(key::STATE, &found.key);
            if let Some(name) = name.filter(|name| name.starts_with(prefix)) {
                states.push((name.to_owned(), found.value));
            }
            ControlFlow::Continue(())
        })?;
        Ok(states)
    }

    /// A piece of small state, when it was ever put.
    ///
    /// # Errors
    ///
    /// When the head cannot be read.
    pub fn state_get(&self, name: &str) -> Result<Option<Vec<u8>>, QueueError> {
        let writer = self.writer()?;
        match writer.staged.get(name) {
            Some(value) => Ok(Some(value.clone())),
            None => writer.head()?.get(&key::state(name)),
        }
    }
}

/// Refuses a piece of state whose name or value is too long.
fn check_state(name: &str, value: &[u8]) -> Result<(), QueueError> {
    key::check_name(name)?;
    if value.len() > STATE_BYTES_MAX {
        let (what, bytes) = ("a state value", value.len());
        return Err(QueueError::TooLong {
            what,
            bytes,
            bytes_max: STATE_BYTES_MAX,
        });
    }
    Ok(())
}

/// Puts what a batch says of files, and where those stood that had not moved in this generation.
fn put_positions(
    writes: &mut Writes,
    batch: &SourceBatch,
    writer: &mut Writer,
) -> Result<(), QueueError> {
    for &file in &batch.forgotten {
        writes.remove(&key::position(&batch.source, file), 0);
    }
    let mut share = None;
    for position in &batch.positions {
        let at = key::position(&batch.source, position.key);
        if let Some(changed_ns) = position.whole_changed_ns() {
            if position.lines == Some(1) {
                let coverage = &mut writer.state.coverage;
                share = Some(coverage.whole(&batch.source, &position.path, changed_ns));
            }
            writes.put(&at, &position::encode(position, writer.state.next));
            continue;
        }
        if writer.state.coverage.wants(&batch.source, position.key) {
            let origin = match writer.head()?.get(&at)? {
                Some(value) => position::decode(&value).map(|(origin, _)| origin),
                None => None,
            };
            let origin = origin.unwrap_or_else(|| {
                FilePosition::start_of(position.key, position.path.clone(), position.life)
            });
            let value = position::encode(&origin, writer.state.next);
            writes.put(&key::origin(&batch.source, position.key), &value);
            writer.state.coverage.begin(&batch.source, origin);
        }
        writer.state.coverage.moved(&batch.source, position);
        writes.put(&at, &position::encode(position, writer.state.next));
    }
    if let Some(share) = share {
        let value = position::encode(&share, writer.state.next);
        writes.put(&key::origin(&batch.source, share.key), &value);
    }
    Ok(())
}

//! Settle: deciding, on disk, what becomes of an event for an endpoint.

use super::dead_letter::{DeadLetter, DeadPlace};
use super::endpoint::{End, Endpoint, Place, WAITING_MAX};
use super::error::QueueError;
use super::generation::Writes;
use super::recall::Ended;
use super::state::State;
use super::waiting::Waiting;
use super::write::Writer;
use super::{Queue, Queued, key};
use crate::clock::UnixMs;
use crate::event::Sequence;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Which events an endpoint that is attached for the first time is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachFrom {
    /// Those committed from now on.
    Now,
    /// Those still on disk too.
    Oldest,
}

/// What becomes of one event for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The endpoint. For one that is not attached nothing happens.
    pub endpoint: Arc<str>,
    /// The event.
    pub sequence: Sequence,
    /// What becomes of it.
    pub settlement: Settlement,
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The endpoint has it.
    Delivered,
    /// It is not for this endpoint.
    Skipped,
    /// It waits for its own retry, beside the queue.
    Keep {
        /// Not before this.
        due: UnixMs,
        /// Attempts made so far.
        attempts: u32,
        /// What came of the last one.
        reason: String,
        /// The event; its sequence is the one settled.
        event: Queued,
    },
    /// It is given up; its sequence is the one settled.
    Bury(DeadLetter),
}

/// What settling came to in memory.
pub(super) struct Put {
    /// All of it was settled before.
    is_nothing: bool,
    /// The dead letters, each with its endpoint.
    buried: Vec<(Arc<str>, DeadLetter)>,
    /// The events that had waited for their own retry and do not any more.
    pub(super) ended: Vec<Ended>,
}

impl Queue {
    /// Attaches an endpoint: from now on nothing it has not had is dropped. One that is attached
    /// already stays where it is. After `Ok` this survives loss of power.
    ///
    /// # Errors
    ///
    /// [`QueueError::TooLong`] for its name; when it could not be written, in which case it may
    /// be attached after all.
    pub fn attach(&self, endpoint: &str, from: AttachFrom) -> Result<(), QueueError> {
        key::check_name(endpoint)?;
        let mut writer = self.writer()?;
        if writer.state.endpoints.contains_key(endpoint) {
            return Ok(());
        }
        let since = match from {
            AttachFrom::Now => writer.state.next,
            AttachFrom::Oldest => writer
                .state
                .spans
                .first()
                .map_or(Sequence::FIRST, |span| span.first),
        };
        let mut attached = Endpoint::new(since);
        attached.step_over(&writer.state.voids);
        let mut writes = Writes::default();
        writes.put(&key::endpoint(endpoint), &attached.encode());
        writer.state.endpoints.insert(endpoint.into(), attached);
        self.write(&mut writer, writes)
    }

    /// Forgets an endpoint: what it has not had, and what waits for it, is given up without
    /// being counted. Its dead letters stay. After `Ok` this survives loss of power.
    ///
    /// # Errors
    ///
    /// When it could not be written, in which case it may be forgotten after all.
    pub fn detach(&self, endpoint: &str) -> Result<(), QueueError> {
        // What is done with would else be a dead letter again.
        while self.sweep_dead()? {}
        let mut writer = self.writer()?;
        let Some(detached) = writer.state.endpoints.remove(endpoint) else {
            return Ok(());
        };
        let mut writes = Writes::default();
        writes.remove(&key::endpoint(endpoint), 0);
        for (sequence, place) in detached.waiting() {
            writes.remove(&key::waiting(endpoint, place.due, sequence), place.pieces);
        }
        for &number in detached.runs.keys() {
            writes.remove(&key::run(endpoint, number), 0);
        }
        if let Some(recalls) = writer.state.recalls.remove(endpoint) {
            recalls.forget(endpoint, &mut writes);
        }
        self.write(&mut writer, writes)?;
        writer.runs_over.extend(detached.runs.into_keys());
        Ok(())
    }

    /// Decides what becomes of events, in any order, of any endpoints: together or not at all.
    ///
    /// An event may come from the cursor, less than [`WINDOW`](super::WINDOW) beyond it, or be
    /// one that waits; up to [`PASSED_MAX`](super::PASSED_MAX) events may lie further beyond. One that is settled already is left as it is and counted once. After `Ok`
    /// this survives loss of power; after a crash on the way the events are given out again.
    ///
    /// Where `disk_max` leaves no room for the copy of an event that is to wait, the event stays
    /// where it is, unsettled: after a restart it is given out as one that was not tried yet.
    ///
    /// # Errors
    ///
    /// [`QueueError::OutsideWindow`], [`QueueError::WaitingFull`] and [`QueueError::TooLong`]
    /// before anything is written. After [`QueueError::Disk`] or [`QueueError::Damaged`] it is
    /// not known whether it happened; repeating it is harmless.
    pub fn settle(&self, settled: Vec<Settled>) -> Result<(), QueueError> {
        let mut writer = self.writer()?;
        let mut writes = Writes::default();
        let put = self.put_settled(&mut writer, settled, &mut writes)?;
        if put.is_nothing {
            return Ok(());
        }
        if put.buried.is_empty() {
            writer.end_recalls(&put.ended, &mut writes);
            return self.write(&mut writer, writes);
        }
        self.bury(&mut writer, &put.buried)?;
        writer.end_recalls(&put.ended, &mut writes);
        self.write(&mut writer, writes)?;
        if writer.dead.take_has_begun()
            && let Err(error) = self.remove_outlived_by(&mut writer, None)
        {
            // What was settled is; they are looked at again soon.
            log::debug!("dead letters not removed error=\"{error}\"");
        }
        Ok(())
    }

    /// Settles in memory, and adds what that changes on disk to `writes`. What it says was buried is
    /// to be written before them.
    ///
    /// # Errors
    ///
    /// As for [`settle`](Queue::settle) before anything is written; nothing has changed then.
    pub(super) fn put_settled(
        &self,
        writer: &mut Writer,
        settled: Vec<Settled>,
        writes: &mut Writes,
    ) -> Result<Put, QueueError> {
        check(&writer.state, &settled)?;
        let waiting = encode_waiting(&settled)?;
        let is_keep = |settled: &Settled| matches!(settled.settlement, Settlement::Keep { .. });
        let may_keep = !settled.iter().any(is_keep) || self.has_room_to_keep();
        let mut touched = BTreeSet::new();
        let mut buried = Vec::new();
        let mut ended = Vec::new();
        for (settled, waiting) in settled.into_iter().zip(waiting) {
            let is_copy = is_keep(&settled);
            let (name, sequence) = (settled.endpoint, settled.sequence);
            let Some(endpoint) = writer.state.endpoints.get_mut(&name) else {
                continue;
            };
            if is_copy && !may_keep && !endpoint.has_taken(sequence) {
                continue;
            }
            let Some(waited) = endpoint.take(sequence) else {
                continue;
            };
            if let Some(place) = waited {
                writes.remove(&key::waiting(&name, place.due, sequence), place.pieces);
                let is_kept = matches!(settled.settlement, Settlement::Keep { .. });
                if !is_kept {
                    ended.push(Ended {
                        endpoint: Arc::clone(&name),
                        sequence,
                        is_buried: matches!(settled.settlement, Settlement::Bury(_)),
                    });
                }
            }
            match settled.settlement {
                Settlement::Delivered => endpoint.end(End::Delivered),
                Settlement::Skipped => endpoint.end(End::Skipped),
                Settlement::Keep { due, .. } => {
                    let pieces = writes.put(&key::waiting(&name, due, sequence), &waiting);
                    endpoint.wait(sequence, Place { due, pieces });
                }
                Settlement::Bury(mut letter) => {
                    letter.queued.sequence = sequence;
                    endpoint.end(End::Dead);
                    buried.push((Arc::clone(&name), letter));
                }
            }
            touched.insert(name);
        }
        let is_nothing = touched.is_empty();
        if !is_nothing {
            touched.extend(writer.state.step_over_voids());
        }
        for name in touched {
            if let Some(endpoint) = writer.state.endpoints.get(&name) {
                writes.put(&key::endpoint(&name), &endpoint.encode());
            }
        }
        Ok(Put {
            is_nothing,
            buried,
            ended,
        })
    }

    /// Due time and place of the events that wait for the endpoint's own retry, earliest due first.
    ///
    /// # Errors
    ///
    /// When the queue has to be opened again after a failed write and cannot be.
    pub fn waiting_places(&self, endpoint: &str) -> Result<Vec<(UnixMs, Sequence)>, QueueError> {
        let writer = self.writer()?;
        let attached = writer.state.endpoints.get(endpoint).into_iter();
        let mut places: Vec<(UnixMs, Sequence)> = attached
            .flat_map(Endpoint::waiting)
            .map(|(sequence, place)| (place.due, sequence))
            .collect();
        places.sort_unstable();
        Ok(places)
    }

    /// The event that waits at `due` for the endpoint's own retry; `None` when it does not any more.
    ///
    /// # Errors
    ///
    /// When the head cannot be read.
    pub fn waiting_event(
        &self,
        endpoint: &str,
        due: UnixMs,
        sequence: Sequence,
    ) -> Result<Option<Waiting>, QueueError> {
        let writer = self.writer()?;
        let head = writer.head()?;
        let Some(value) = head.get(&key::waiting(endpoint, due, sequence))? else {
            return Ok(None);
        };
        match Waiting::decode(due, sequence, &value) {
            Some(waiting) => Ok(Some(waiting)),
            None => Err(QueueError::Damaged {
                generation: head.number(),
                sequence: Some(sequence),
                what: format!("an event that waits for endpoint {endpoint} cannot be read"),
            }),
        }
    }

    /// At most `count_max` events that wait for the endpoint's own retry, earliest due first.
    ///
    /// # Errors
    ///
    /// When the head cannot be read.
    pub fn waiting(&self, endpoint: &str, count_max: usize) -> Result<Vec<Waiting>, QueueError> {
        let writer = self.writer()?;
        let head = writer.head()?;
        let prefix = key::waiting_of(endpoint);
        let mut waiting = Vec::new();
        let mut damaged = None;
        head.scan(&prefix, &prefix, |found| {
            let Some((_, due, sequence)) = key::read_waiting(&found.key) else {
                return ControlFlow::Continue(());
            };
            if waiting.len() >= count_max {
                return ControlFlow::Break(());
            }
            match Waiting::decode(due, sequence, &found.value) {
                Some(event) => waiting.push(event),
                None => damaged = Some(sequence),
            }
            if damaged.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        match damaged {
            None => Ok(waiting),
            Some(_) => Err(QueueError::Damaged {
                generation: head.number(),
                sequence: damaged,
                what: format!("an event that waits for endpoint {endpoint} cannot be read"),
            }),
        }
    }

    /// How many events wait for the endpoint's own retry.
    pub fn count_waiting(&self, endpoint: &str) -> u64 {
        self.ledger()
            .endpoint(endpoint)
            .map_or(0, |endpoint| endpoint.waiting)
    }

    /// At most `count_max` dead letters of an endpoint, from the start or behind `after`.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn dead_letters(
        &self,
        endpoint: &str,
        after: Option<DeadPlace>,
        count_max: usize,
    ) -> Result<Vec<(DeadPlace, DeadLetter)>, QueueError> {
        self.writer()?
            .dead
            .page(endpoint, after, count_max, |_| true)
    }

    /// How many dead letters of an endpoint are on disk. Reads all of them: what was buried since
    /// the endpoint was attached is in the [`ledger`](Queue::ledger) at no cost.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn count_dead(&self, endpoint: &str) -> Result<u64, QueueError> {
        self.writer()?.dead.count(endpoint)
    }
}

/// Refuses what cannot be settled, before anything changes.
fn check(state: &State, settled: &[Settled]) -> Result<(), QueueError> {
    // What waits already, and what is settled, adds nothing to what waits; nor does a repeat.
    let mut kept: BTreeMap<&Arc<str>, BTreeSet<Sequence>> = BTreeMap::new();
    let mut beyond: BTreeMap<&Arc<str>, BTreeSet<Sequence>> = BTreeMap::new();
    for Settled {
        endpoint: name,
        sequence,
        settlement,
    } in settled
    {
        let Some(endpoint) = state.endpoints.get(name) else {
            continue;
        };
        let mut may_have = endpoint.can_have(*sequence, state.next);
        if may_have && endpoint.is_beyond(*sequence) {
            let beyond = beyond.entry(name).or_default();
            beyond.insert(*sequence);
            may_have = endpoint.may_pass(*sequence, beyond.len());
        }
        if !may_have {
            return Err(QueueError::OutsideWindow {
                endpoint: name.to_string(),
                sequence: *sequence,
            });
        }
        if matches!(settlement, Settlement::Keep { .. }) && !endpoint.has_taken(*sequence) {
            let kept = kept.entry(name).or_default();
            kept.insert(*sequence);
            if endpoint.waiting_count() + kept.len() > WAITING_MAX {
                return Err(QueueError::WaitingFull {
                    endpoint: name.to_string(),
                });
            }
        }
    }
    Ok(())
}

/// The value of each event that is to wait; an empty one for the others.
fn encode_waiting(settled: &[Settled]) -> Result<Vec<Vec<u8>>, QueueError> {
    let value = |settled: &Settled| match &settled.settlement {
        Settlement::Keep {
            due,
            attempts,
            reason,
            event,
        } => {
            let queued = Queued {
                sequence: settled.sequence,
                event: Arc::clone(&event.event),
            };
            Waiting {
                due: *due,
                attempts: *attempts,
                reason: reason.clone(),
                queued,
            }
            .encode()
        }
        _ => Ok(Vec::new()),
    };
    settled.iter().map(value).collect()
}

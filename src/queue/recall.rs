//! Recall: dead letters that are tried again, and those that are removed for good.
//!
//! A letter that is *recalled* is copied among the events that wait for their own retry; the
//! letter itself stays where it is. A *mark* in the head says so, with the generation the letter
//! lies in. Only when the event is settled is the letter *done with*, and removed.
//!
//! **Crash argument.**
//!
//! * The copy, the mark and the count are one batch: there is no moment at which the event is in
//!   neither place.
//! * The settlement turns the mark into "done" in its own batch; the letter is removed after
//!   that, by [`Queue::sweep_dead`], and the mark with the next write. A crash in between leaves a
//!   letter whose mark says "done": it is not shown, not recalled, and removed by the next sweep.
//! * An event that is given up again is buried anew before the settlement that says so. A crash in
//!   between takes the new letter back; where it lay in the old one's place the event is still
//!   among the waiting ones, and is buried a third time.

use super::dead_letter::{DeadLetter, DeadPlace};
use super::encoding::{Fields, put_count};
use super::endpoint::{Endpoint, Place, WAITING_MAX};
use super::error::QueueError;
use super::generation::Writes;
use super::waiting::Waiting;
use super::write::Writer;
use super::{Queue, key};
use crate::clock::UnixMs;
use crate::event::Sequence;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most recalled letters of one endpoint that wait at a time: an eighth of what may wait, so that
/// a replay leaves room for what fails meanwhile.
pub const RECALLED_MAX: usize = WAITING_MAX / 8;

const VERSION: u8 = 1;

/// What became of one endpoint's dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recalls {
    /// Letters put back among the waiting events.
    pub(super) recalled: u64,
    /// Letters that are not on disk any more, or will not be after the next sweep.
    pub(super) removed: u64,
    marks: BTreeMap<Sequence, Mark>,
}

/// Where a letter lies that is being tried again, or is to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    generation: u32,
    is_done: bool,
}

impl Recalls {
    /// The counts to store; marks have keys of their own.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_count(&mut out, self.recalled);
        put_count(&mut out, self.removed);
        out
    }

    /// Reads the counts.
    pub(super) fn read_counts(&mut self, value: &[u8]) -> Option<()> {
        let mut fields = Fields(value);
        (fields.byte()? == VERSION).then_some(())?;
        (self.recalled, self.removed) = (fields.count()?, fields.count()?);
        fields.end()
    }

    /// Reads a mark.
    pub(super) fn read_mark(&mut self, sequence: Sequence, value: &[u8]) -> Option<()> {
        let mut fields = Fields(value);
        (fields.byte()? == VERSION).then_some(())?;
        let mark = Mark {
            generation: fields.u32()?,
            is_done: fields.byte()? != 0,
        };
        fields.end()?;
        self.marks.insert(sequence, mark);
        Some(())
    }

    /// Forgets where letters lie whose generation is removed: their events are tried all the same.
    pub(super) fn forget_generation(&mut self, number: u32, endpoint: &str, writes: &mut Writes) {
        self.marks.retain(|&sequence, mark| {
            let stays = mark.generation != number;
            if !stays {
                writes.remove(&key::mark(endpoint, sequence), 0);
            }
            stays
        });
    }

    /// Stores everything there is of `endpoint`.
    pub(super) fn store(&mut self, endpoint: &str, writes: &mut Writes) {
        for (sequence, mark) in self.marks.clone() {
            self.put_mark(endpoint, sequence, mark, writes);
        }
        self.put_counts(endpoint, writes);
    }

    /// Removes everything that is stored of `endpoint`.
    pub(super) fn forget(&self, endpoint: &str, writes: &mut Writes) {
        writes.remove(&key::recalls(endpoint), 0);
        for &sequence in self.marks.keys() {
            writes.remove(&key::mark(endpoint, sequence), 0);
        }
    }

    fn put_mark(&mut self, endpoint: &str, sequence: Sequence, mark: Mark, writes: &mut Writes) {
        self.marks.insert(sequence, mark);
        let mut value = vec![VERSION];
        value.extend_from_slice(&mark.generation.to_be_bytes());
        value.push(u8::from(mark.is_done));
        writes.put(&key::mark(endpoint, sequence), &value);
    }

    /// Counts a letter that is not there any more, if it was given up since the endpoint was
    /// attached: of others the account does not speak.
    fn note_removed(&mut self, sequence: Sequence, since: Option<Sequence>) {
        self.removed += u64::from(since.is_some_and(|since| sequence >= since));
    }

    fn put_counts(&self, endpoint: &str, writes: &mut Writes) {
        writes.put(&key::recalls(endpoint), &self.encode());
    }

    fn waiting(&self) -> usize {
        self.marks.values().filter(|mark| !mark.is_done).count()
    }
}

/// An event that waited and is settled now.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) endpoint: Arc<str>,
    pub(super) sequence: Sequence,
    /// It was buried, in the newest generation of dead letters.
    pub(super) is_buried: bool,
}

impl Writer {
    /// Notes of each settled event that was a recalled letter that the letter is done with.
    pub(super) fn end_recalls(&mut self, ended: &[Ended], writes: &mut Writes) {
        let newest = self.dead.head_number();
        for Ended {
            endpoint,
            sequence,
            is_buried,
        } in ended
        {
            let Some(recalls) = self.state.recalls.get_mut(endpoint) else {
                continue;
            };
            let Some(mark) = recalls.marks.get(sequence).copied() else {
                continue;
            };
            let since = self.state.endpoints.get(endpoint).map(Endpoint::since);
            recalls.note_removed(*sequence, since);
            if *is_buried && newest == Some(mark.generation) {
                // The new letter lies where the old one was.
                recalls.marks.remove(sequence);
                writes.remove(&key::mark(endpoint, *sequence), 0);
            } else {
                let done = Mark {
                    is_done: true,
                    ..mark
                };
                recalls.put_mark(endpoint, *sequence, done, writes);
            }
            recalls.put_counts(endpoint, writes);
        }
    }
}

impl Queue {
    /// Tries dead letters of an endpoint again, as [`dead_page`](Queue::dead_page) gave them: puts
    /// their events among those that wait for their own retry, due at `due`, with all their
    /// attempts before them. Those that are being tried already are passed over; so is what would
    /// be more than [`RECALLED_MAX`] at a time. After `Ok` this survives loss of power; a letter
    /// goes when its event is settled.
    ///
    /// # Errors
    ///
    /// When they cannot be written; after [`QueueError::Disk`] they may have been put back after
    /// all.
    pub fn recall(
        &self,
        endpoint: &str,
        letters: &[(DeadPlace, DeadLetter)],
        due: UnixMs,
    ) -> Result<Vec<Waiting>, QueueError> {
        let mut guard = self.writer()?;
        let writer = &mut *guard;
        let Some((name, attached)) = writer.state.endpoints.get_key_value(endpoint) else {
            return Ok(Vec::new());
        };
        let name = Arc::clone(name);
        let room = WAITING_MAX.saturating_sub(attached.waiting_count());
        let recalls = writer.state.recalls.entry(Arc::clone(&name)).or_default();
        let room = room.min(RECALLED_MAX.saturating_sub(recalls.waiting()));
        let is_free = |sequence: &Sequence| {
            !recalls.marks.contains_key(sequence) && !attached.is_waiting(*sequence)
        };
        let free = letters
            .iter()
            .filter(|(place, _)| is_free(&place.sequence))
            .take(room);
        let mut writes = Writes::default();
        let mut values = Vec::new();
        for (place, letter) in free {
            let waiting = Waiting {
                due,
                attempts: 0,
                reason: letter.reason.clone(),
                queued: letter.queued.clone(),
            };
            values.push((*place, waiting.encode()?, waiting));
        }
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let mut recalled = Vec::new();
        for (place, value, waiting) in values {
            let sequence = place.sequence;
            let pieces = writes.put(&key::waiting(endpoint, due, sequence), &value);
            if let Some(attached) = writer.state.endpoints.get_mut(endpoint) {
                attached.wait(sequence, Place { due, pieces });
            }
            if let Some(recalls) = writer.state.recalls.get_mut(endpoint) {
                let mark = Mark {
                    generation: place.generation,
                    is_done: false,
                };
                recalls.put_mark(endpoint, sequence, mark, &mut writes);
                recalls.recalled += 1;
                recalls.put_counts(endpoint, &mut writes);
            }
            recalled.push(waiting);
        }
        self.write(writer, writes)?;
        Ok(recalled)
    }

    /// Removes the dead letters of an endpoint at `places` for good, except those that are being
    /// tried again; says how many. After `Ok` this survives loss of power, and
    /// [`sweep_dead`](Queue::sweep_dead) gives their room back.
    ///
    /// # Errors
    ///
    /// When it could not be written, in which case they may be removed after all.
    pub fn purge(&self, endpoint: &str, places: &[DeadPlace]) -> Result<u64, QueueError> {
        let mut guard = self.writer()?;
        let writer = &mut *guard;
        let name: Arc<str> = endpoint.into();
        let since = writer.state.endpoints.get(endpoint).map(Endpoint::since);
        let recalls = writer.state.recalls.entry(name).or_default();
        let mut writes = Writes::default();
        let mut count = 0;
        for place in places {
            if !recalls.marks.contains_key(&place.sequence) {
                let mark = Mark {
                    generation: place.generation,
                    is_done: true,
                };
                recalls.put_mark(endpoint, place.sequence, mark, &mut writes);
                recalls.note_removed(place.sequence, since);
                count += 1;
            }
        }
        recalls.put_counts(endpoint, &mut writes);
        if count > 0 {
            self.write(writer, writes)?;
        }
        Ok(count)
    }

    /// Removes letters that are done with from one generation of dead letters; false when there
    /// are none left. Whoever settles meanwhile waits for some milliseconds.
    ///
    /// # Errors
    ///
    /// When it could not be written. The letters are not shown any more even so.
    pub fn sweep_dead(&self) -> Result<bool, QueueError> {
        self.sweep_dead_by(&mut *self.writer()?)
    }

    /// The same for whoever has the writer.
    pub(super) fn sweep_dead_by(&self, writer: &mut Writer) -> Result<bool, QueueError> {
        let done = writer.state.recalls.iter().flat_map(|(name, recalls)| {
            let done = recalls.marks.iter().filter(|(_, mark)| mark.is_done);
            done.map(move |(sequence, mark)| (Arc::clone(name), *sequence, mark.generation))
        });
        let mut done: Vec<(Arc<str>, Sequence, u32)> = done.collect();
        let Some(generation) = done.iter().map(|(_, _, generation)| *generation).min() else {
            return Ok(false);
        };
        done.retain(|(_, _, other)| *other == generation);
        writer.dead.remove(generation, &done)?;
        let mut writes = Writes::default();
        for (name, sequence, _) in &done {
            writes.remove(&key::mark(name, *sequence), 0);
            if let Some(recalls) = writer.state.recalls.get_mut(name) {
                recalls.marks.remove(sequence);
            }
        }
        self.write(writer, writes)?;
        Ok(true)
    }

    /// How many recalled letters of an endpoint wait to be settled.
    ///
    /// # Errors
    ///
    /// When the queue has to be opened again after a failed write and cannot be.
    pub fn count_recalled(&self, endpoint: &str) -> Result<usize, QueueError> {
        let writer = self.writer()?;
        let recalls = writer.state.recalls.get(endpoint);
        Ok(recalls.map_or(0, Recalls::waiting))
    }

    /// At most `count_max` dead letters of an endpoint, from the start or behind `after`, each
    /// with whether it is being tried again.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn dead_page(
        &self,
        endpoint: &str,
        after: Option<DeadPlace>,
        count_max: usize,
    ) -> Result<Vec<(DeadPlace, DeadLetter, bool)>, QueueError> {
        let mut guard = self.writer()?;
        let writer = &mut *guard;
        let recalls = writer.state.recalls.get(endpoint);
        let mark = |place: &DeadPlace| {
            let mark = recalls.and_then(|recalls| recalls.marks.get(&place.sequence));
            mark.filter(|mark| mark.generation == place.generation)
        };
        let is_shown = |place: &DeadPlace| mark(place).is_none_or(|mark| !mark.is_done);
        let page = writer.dead.page(endpoint, after, count_max, is_shown)?;
        let page = page
            .into_iter()
            .map(|(place, letter)| (place, letter, mark(&place).is_some()));
        Ok(page.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::tests::{batch, delivered, events};
    use crate::queue::{AttachFrom, Queued, Settled, Settlement};
    use std::path::Path;

    fn opened(directory: &Path) -> Queue {
        Queue::open(directory, "node").unwrap()
    }

    /// A queue with `count` events, all of them dead letters of `billing`.
    fn with_dead(directory: &Path, count: u64) -> Queue {
        let queue = opened(directory);
        queue.attach("billing", AttachFrom::Now).unwrap();
        let count = usize::try_from(count).unwrap();
        queue.commit(&[batch(events(count, 300))]).unwrap();
        let mut read: Vec<Queued> = Vec::new();
        while read.len() < count {
            let from = read
                .last()
                .map_or(Sequence::FIRST, |last| last.sequence.plus(1));
            read.extend(queue.read(from, count).unwrap());
        }
        queue
            .settle(read.into_iter().map(|queued| bury(queued, 5)).collect())
            .unwrap();
        queue
    }

    fn bury(queued: Queued, attempts: u32) -> Settled {
        Settled {
            endpoint: "billing".into(),
            sequence: queued.sequence,
            settlement: Settlement::Bury(DeadLetter {
                queued,
                attempts,
                status: Some(422),
                answer_start: b"no".to_vec(),
                reason: "status 422".into(),
                at: UnixMs(1),
            }),
        }
    }

    fn letters(queue: &Queue) -> Vec<(DeadPlace, DeadLetter)> {
        let page = queue.dead_page("billing", None, usize::MAX).unwrap();
        page.into_iter()
            .map(|(place, letter, _)| (place, letter))
            .collect()
    }

    fn sequences(queue: &Queue) -> Vec<u64> {
        let letters = letters(queue);
        letters.iter().map(|(place, _)| place.sequence.0).collect()
    }

    #[track_caller]
    fn check(queue: &Queue, waiting: u64, letters: u64) {
        let ledger = queue.ledger();
        let billing = ledger.endpoint("billing").unwrap();
        assert!(billing.balances(), "{billing:?}");
        assert_eq!(
            (billing.waiting, billing.dead_letters()),
            (waiting, letters),
            "{billing:?}"
        );
    }

    #[test]
    fn a_letter_stays_until_its_event_is_delivered_also_over_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let queue = with_dead(dir.path(), 3);
        let all = letters(&queue);
        let recalled = queue.recall("billing", &all[..2], UnixMs(7)).unwrap();
        assert_eq!(recalled.len(), 2);
        assert_eq!(recalled[0].attempts, 0);
        check(&queue, 2, 3);
        drop(queue);
        let queue = opened(dir.path());
        assert_eq!(queue.waiting("billing", 9).unwrap(), recalled);
        assert_eq!(sequences(&queue), [1, 2, 3]);
        assert_eq!(queue.count_recalled("billing").unwrap(), 2);
        // What is under way is not recalled twice.
        assert_eq!(queue.recall("billing", &all[..2], UnixMs(8)).unwrap(), []);
        queue.settle(delivered(1..2)).unwrap();
        check(&queue, 1, 2);
        assert_eq!(sequences(&queue), [2, 3]);
        // A crash before the sweep: the letter is on disk and not shown.
        drop(queue);
        let queue = opened(dir.path());
        assert_eq!(sequences(&queue), [2, 3]);
        assert!(queue.sweep_dead().unwrap());
        assert!(!queue.sweep_dead().unwrap());
        queue.settle(delivered(2..3)).unwrap();
        assert!(queue.sweep_dead().unwrap());
        drop(queue);
        let queue = opened(dir.path());
        assert_eq!(sequences(&queue), [3]);
        check(&queue, 0, 1);
    }

    #[test]
    fn an_event_given_up_again_is_one_letter_and_not_two() {
        let dir = tempfile::tempdir().unwrap();
        let queue = with_dead(dir.path(), 2);
        let all = letters(&queue);
        let recalled = queue.recall("billing", &all, UnixMs(7)).unwrap();
        let again = bury(recalled[0].queued.clone(), 9);
        queue.settle(vec![again]).unwrap();
        check(&queue, 1, 2);
        let page = queue.dead_page("billing", None, 9).unwrap();
        let told: Vec<_> = page
            .iter()
            .map(|(place, letter, is_tried)| (place.sequence.0, letter.attempts, *is_tried))
            .collect();
        assert_eq!(told, [(1, 9, false), (2, 5, true)]);
        drop(queue);
        let queue = opened(dir.path());
        assert_eq!(queue.recall("billing", &all, UnixMs(8)).unwrap().len(), 1);
        queue.settle(delivered(1..3)).unwrap();
        while queue.sweep_dead().unwrap() {}
        assert_eq!(sequences(&queue), [0; 0]);
        check(&queue, 0, 0);
    }

    #[test]
    fn what_is_purged_is_gone_and_what_is_tried_is_not_purged() {
        let dir = tempfile::tempdir().unwrap();
        let queue = with_dead(dir.path(), 3);
        let all = letters(&queue);
        queue.recall("billing", &all[..1], UnixMs(7)).unwrap();
        let places: Vec<DeadPlace> = all.iter().map(|(place, _)| *place).collect();
        assert_eq!(queue.purge("billing", &places).unwrap(), 2);
        assert_eq!(sequences(&queue), [1]);
        while queue.sweep_dead().unwrap() {}
        drop(queue);
        let queue = opened(dir.path());
        assert_eq!(sequences(&queue), [1]);
        check(&queue, 1, 1);
    }

    #[test]
    fn no_more_are_recalled_at_a_time_than_there_is_room_for() {
        let dir = tempfile::tempdir().unwrap();
        let queue = with_dead(dir.path(), RECALLED_MAX as u64 + 10);
        let all = letters(&queue);
        let recalled = queue.recall("billing", &all, UnixMs(7)).unwrap();
        assert_eq!(recalled.len(), RECALLED_MAX);
        check(&queue, RECALLED_MAX as u64, RECALLED_MAX as u64 + 10);
    }
}

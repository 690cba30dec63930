//! Later: events whose retry is far off, left to the disk.
//!
//! What waits for its own retry has a fixed room, [`KEPT_MAX`]; when it is full, nothing new is
//! taken. An endpoint that never takes one event in a hundred would fill it within hours, as its
//! attempts span days. So the events that are due last are [put off](super::EventQueue::put_off):
//! they leave this room, and the queue's, for a file, and are brought back shortly before their
//! time. Of an event that is put off nothing is kept in memory, but where its order makes others
//! wait behind it.
//!
//! The room still has a purpose: an endpoint that takes next to nothing must not turn the whole
//! backlog into copies. Events are put off only in proportion to those that were delivered since
//! it was last done; without deliveries the endpoint is held back as before.

use super::{KEPT_MAX, Lane, MEMORY_WAIT};
use crate::clock::{Moment, UnixMs};
use crate::delivery::entry::Entry;
use crate::delivery::event_queue::{PutOff, QueueTrouble, Waiting};
use crate::delivery::order::{Line, OnRefused, Order};
use crate::event::Sequence;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many events waiting have some of them put off: three quarters of the room.
const PUT_OFF_AT: usize = KEPT_MAX / 4 * 3;

/// How many of those that are due first stay.
const NEAREST: usize = KEPT_MAX / 8;

/// Fewest events put off at a time: each time costs a file and three syncs.
const PUT_OFF_MIN: usize = KEPT_MAX / 8;

/// Most events put off for each that was delivered since the last time.
///
/// Every refused event is put off about six times until its attempts are over. Where one in three
/// is refused for good, three are put off for each that is delivered; beyond a little more than
/// that an endpoint is held back.
const PER_DELIVERED: u64 = 4;

/// Time between two tries to put off when there was little to put off, or no room on the disk.
const PUT_OFF_PAUSE: Duration = Duration::from_millis(250);

/// How long before its time an event is brought back. Whoever looks at the queue once in so long
/// brings back what is due until the next look.
const AHEAD: Duration = Duration::from_secs(2);

/// Fewest events that may be brought back whatever else waits: those behind a line's first must not
/// keep it away.
const ROOM_MIN: usize = KEPT_MAX / 8;

/// Longest time until the queue is asked again: the wall clock, by which the times there are
/// written, may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

/// Most events that wait for long and are kept in memory all the same: a retry of an endpoint that
/// refuses little costs no reading.
const HELD_MAX: usize = 64;

/// Share of an endpoint's memory that may go to lines whose first event is put off.
const LINES_SHARE: usize = 4;

/// What such a line takes, in bytes: its place in the table, which is half empty at worst.
const LINE_BYTES: usize = 112;

/// What of the endpoint's events is put off.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// How many.
    pub(super) count: u64,
    /// When the first of them is to be brought back.
    pub(super) next: Option<Moment>,
    /// Nothing is put off before.
    again_at: Moment,
    /// What had been delivered when events were last put off.
    delivered: u64,
}

impl Lane {
    /// Puts events off when much waits. What cannot be put off stays, and is tried again soon.
    pub(super) fn put_off(&mut self, now: Moment, wall: UnixMs) {
        if self.kept() < PUT_OFF_AT || now < self.later.again_at || self.is_lined_up() {
            return;
        }
        self.later.again_at = now + PUT_OFF_PAUSE;
        let delivered = self.counts.delivered - self.later.delivered;
        let most = usize::try_from(delivered.saturating_mul(PER_DELIVERED)).unwrap_or(usize::MAX);
        let soon = now + 2 * AHEAD;
        let far = self.stored.iter().skip(NEAREST);
        let far = far.filter(|((at, _), _)| *at > soon);
        let places: Vec<(UnixMs, Sequence)> =
            far.map(|((_, sequence), due)| (*due, *sequence)).collect();
        if places.len().min(most) < PUT_OFF_MIN {
            return;
        }
        // Those due last go.
        let places = places.get(places.len().saturating_sub(most)..);
        let places = places.unwrap_or_default();
        let gone = match self.queue.put_off(&self.endpoint.name, places) {
            Ok(gone) => gone,
            Err(error) => {
                // A disk that cannot be written is heard of by the settler.
                log::debug!("events not put off error=\"{error}\"");
                return;
            }
        };
        if gone.is_empty() {
            return;
        }
        let gone: BTreeSet<Sequence> = gone.into_iter().collect();
        self.stored
            .retain(|(_, sequence), _| !gone.contains(sequence));
        self.later.delivered = self.counts.delivered;
        if let Ok(left) = self.queue.put_off_now(&self.endpoint.name) {
            self.note_put_off(left, now, wall);
        }
    }

    /// Brings back what is due, as far as there is room.
    pub(super) fn bring_back(&mut self, now: Moment, wall: UnixMs) -> Result<(), QueueTrouble> {
        if self.next_brought_back().is_none_or(|next| next > now) {
            return Ok(());
        }
        let longest = self.endpoint.retries.max;
        let until = wall.after(AHEAD);
        let beyond = wall.after(longest + LOOK_AGAIN);
        let name = &self.endpoint.name;
        let back = self.queue.bring_back(name, (until, beyond), self.room())?;
        for (due, sequence) in back {
            let wait = match due > beyond {
                true => Duration::ZERO,
                false => due.since(wall),
            };
            self.stored.insert((now + wait, sequence), due);
        }
        let left = self.queue.put_off_now(name)?;
        self.note_put_off(left, now, wall);
        Ok(())
    }

    /// Notes what is put off.
    pub(super) fn note_put_off(&mut self, left: PutOff, now: Moment, wall: UnixMs) {
        self.later.count = left.count;
        self.later.next = left.next.map(|due| {
            let wait = due.since(wall).saturating_sub(AHEAD);
            // Not at once again: what there was room for has come.
            now + wait.clamp(MEMORY_WAIT, LOOK_AGAIN)
        });
    }

    /// When something is to be brought back for which there is room.
    pub(super) fn next_brought_back(&self) -> Option<Moment> {
        self.later.next.filter(|_| self.room() > 0)
    }

    fn room(&self) -> usize {
        let room = PUT_OFF_AT.saturating_sub(self.kept());
        room.max(ROOM_MIN.saturating_sub(self.stored.len()))
    }

    /// Whether events may come to wait behind one that is put off.
    pub(super) fn has_lines_put_off(&self) -> bool {
        self.endpoint.order != Order::None && self.endpoint.on_refused == OnRefused::Block
    }

    /// Whether so many lines have their first event put off that no more may.
    fn is_lined_up(&self) -> bool {
        let lines_max = self.endpoint.memory.bytes / LINES_SHARE / LINE_BYTES;
        self.has_lines_put_off() && self.later.count >= lines_max as u64
    }

    /// The lines of the events that are put off, where others may come to wait behind them.
    pub(super) fn lines_put_off(
        &self,
    ) -> Result<Vec<(Sequence, UnixMs, Option<Line>)>, QueueTrouble> {
        let mut lines = Vec::new();
        if self.has_lines_put_off() {
            let order = &self.endpoint.order;
            let mut visit = |waiting: Waiting| {
                let line = order.line(&waiting.queued.event);
                lines.push((waiting.queued.sequence, waiting.due, line));
            };
            self.queue.visit_put_off(&self.endpoint.name, &mut visit)?;
        }
        Ok(lines)
    }

    /// Keeps an event until its retry at `at`, which is written down as due at `due`: in memory, or
    /// only its place when that is long and others are there.
    pub(super) fn keep(&mut self, entry: Entry, at: Moment, due: UnixMs, now: Moment) {
        let sequence = entry.queued.sequence;
        let is_long = at > now + MEMORY_WAIT;
        if is_long && entry.others.is_empty() && self.retries.len() >= HELD_MAX {
            self.memory.give_back(&entry.queued.event);
            self.in_hand -= 1;
            self.stored.insert((at, sequence), due);
        } else {
            self.retries.insert((at, sequence), entry);
        }
    }
}

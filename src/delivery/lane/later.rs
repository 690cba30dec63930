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

use super::company::IN_HAND_MAX;
use super::{KEPT_MAX, Lane, MEMORY_WAIT};
use crate::clock::{Moment, UnixMs};
use crate::delivery::entry::Entry;
use crate::delivery::event_queue::{PutOff, QueueTrouble, Waiting};
use crate::delivery::notice::Notice;
use crate::delivery::order::{Line, OnRefused, Order};
use crate::event::Sequence;
use crate::queue::Queued;
use std::collections::BTreeSet;
use std::sync::Arc;
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

/// How long everything waits for what is put off and cannot be read: a disk that stutters is back by
/// then. After that it is taken to be beyond reading, and the endpoint goes on without it, as with
/// what is lost; it is told in its turn should it be readable again.
const UNREAD_PATIENCE: Duration = Duration::from_secs(60);

/// How long it must not have been seen, to be taken for another incident: what is put off is read in
/// doubt only, and at the latest when it is [looked at again](LOOK_AGAIN).
const UNREAD_APART: Duration = Duration::from_secs(3_600);

/// Most events that wait for long and are kept in memory all the same: a retry of an endpoint that
/// refuses little costs no reading.
const HELD_MAX: usize = 64;

/// Share of an endpoint's memory that may go to lines whose first event is put off.
const LINES_SHARE: usize = 4;

/// What such a line takes, in bytes: its place in the table, which is half empty at worst.
const LINE_BYTES: usize = 112;

/// An event that is left to the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    /// When it is due there.
    pub(super) due: UnixMs,
    /// Attempts it has had, where it is not known yet that the queue keeps it.
    attempts: u32,
}

impl Stored {
    /// One that waits in the queue, due there at `due`.
    pub(super) fn at(due: UnixMs) -> Stored {
        Stored { due, attempts: 0 }
    }
}

/// Of what is put off some cannot be read.
#[derive(Debug, Clone, Copy)]
struct Unread {
    /// Since when.
    since: Moment,
    /// When that was seen last.
    seen_at: Moment,
    /// It was said that the endpoint goes on without it.
    is_said: bool,
}

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
    /// How many events were lost, as of the last look.
    pub(super) lost: u64,
    /// Events were put off or brought back, or not: the queue is to be asked, and not before this.
    doubt: Option<Moment>,
    /// Some of it cannot be read.
    unread: Option<Unread>,
    /// Some were lost since the lines were last looked at: any may wait for one of them.
    are_lines_in_doubt: bool,
}

impl Lane {
    /// Puts events off when much waits. What cannot be put off stays, and is tried again soon.
    pub(super) fn put_off(&mut self, now: Moment, wall: UnixMs) {
        if self.kept() < PUT_OFF_AT
            || now < self.later.again_at
            || self.later.doubt.is_some()
            || self.is_lined_up()
        {
            return;
        }
        self.later.again_at = now + PUT_OFF_PAUSE;
        let delivered = self.counts.delivered - self.later.delivered;
        let most = usize::try_from(delivered.saturating_mul(PER_DELIVERED)).unwrap_or(usize::MAX);
        let soon = now + 2 * AHEAD;
        let far = self.stored.iter().skip(NEAREST);
        let far = far.filter(|((at, _), _)| *at > soon);
        let places: Vec<(UnixMs, Sequence)> = far
            .map(|((_, sequence), stored)| (stored.due, *sequence))
            .collect();
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
                self.doubt(now);
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
        self.later.again_at = now;
        match self.queue.put_off_now(&self.endpoint.name) {
            Ok(left) => self.note_put_off(left, now, wall),
            Err(_) => self.doubt(now),
        }
    }

    /// Brings back what is due, as far as there is room. What cannot be brought back now is tried
    /// again soon: everything else goes on without it.
    pub(super) fn bring_back(&mut self, now: Moment, wall: UnixMs) {
        let is_due = self.next_brought_back().is_some_and(|next| next <= now);
        if is_due && self.later.doubt.is_none() && self.try_bring_back(now, wall).is_err() {
            self.later.next = Some(now + MEMORY_WAIT);
            self.doubt(now);
        }
    }

    fn try_bring_back(&mut self, now: Moment, wall: UnixMs) -> Result<(), QueueTrouble> {
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
            self.stored.insert((now + wait, sequence), Stored::at(due));
        }
        let left = self.queue.put_off_now(name)?;
        self.note_put_off(left, now, wall);
        Ok(())
    }

    /// Notes what is put off.
    pub(super) fn note_put_off(&mut self, left: PutOff, now: Moment, wall: UnixMs) {
        self.later.count = left.count;
        if left.lost > self.later.lost {
            self.later.lost = left.lost;
            if self.lines.is_busy() {
                self.later.are_lines_in_doubt = true;
                self.doubt(now);
            }
        }
        self.later.next = left.next.map(|due| {
            let wait = due.since(wall).saturating_sub(AHEAD);
            // Not at once again: what there was room for has come.
            now + wait.clamp(MEMORY_WAIT, LOOK_AGAIN)
        });
    }

    /// When something is to be brought back for which there is room.
    pub(super) fn next_brought_back(&self) -> Option<Moment> {
        let next = self.later.next.filter(|_| self.room() > 0);
        self.later.doubt.or(next)
    }

    /// Has the queue asked soon what became of what was put off or brought back.
    fn doubt(&mut self, now: Moment) {
        self.later.doubt = Some(now + PUT_OFF_PAUSE);
    }

    /// Asks the queue, where that is due.
    pub(super) fn resolve_doubt(&mut self, now: Moment, wall: UnixMs) {
        if self.later.doubt.is_some_and(|at| at <= now) {
            self.later.doubt = None;
            if self.follow_queue(now, wall).is_err() {
                self.later.doubt = Some(now + MEMORY_WAIT);
            }
        }
    }

    /// Takes over from the queue what waits there, what is put off, and what is lost.
    fn follow_queue(&mut self, now: Moment, wall: UnixMs) -> Result<(), QueueTrouble> {
        let name = Arc::clone(&self.endpoint.name);
        let places = self.queue.waiting_places(&name)?;
        // What is decided and perhaps not durable waits there still, or not yet.
        let settling: BTreeSet<Sequence> = self.settling.iter().copied().collect();
        let mut elsewhere: BTreeSet<Sequence> =
            self.stored.keys().map(|(_, sequence)| *sequence).collect();
        for (_, sequence) in &places {
            elsewhere.remove(sequence);
        }
        let elsewhere: BTreeSet<Sequence> = elsewhere.difference(&settling).copied().collect();
        let lines: Vec<(Line, Sequence)> = match self.later.are_lines_in_doubt {
            true => self.lines.firsts().collect(),
            false => Vec::new(),
        };
        let mut put_off = BTreeSet::new();
        if !elsewhere.is_empty() || !lines.is_empty() {
            let firsts: BTreeSet<Sequence> = lines.iter().map(|(_, first)| *first).collect();
            let seen = self.queue.visit_put_off(&name, &mut |waiting| {
                let sequence = waiting.queued.sequence;
                if elsewhere.contains(&sequence) || firsts.contains(&sequence) {
                    put_off.insert(sequence);
                }
            });
            self.wait_for_unread(seen, now)?;
        }
        let left = self.queue.put_off_now(&name)?;
        self.stored.retain(|(_, it), _| !put_off.contains(it));
        let known = self.known();
        for (due, sequence) in places {
            if !known.contains(&sequence) && !settling.contains(&sequence) {
                let wait = due.since(wall).min(self.endpoint.retries.max);
                let key = (now + wait, sequence);
                self.stored.insert(key, Stored::at(due));
            }
        }
        let known = self.known();
        for (line, first) in lines {
            if !known.contains(&first) && !put_off.contains(&first) {
                self.step_forward(Some(line), first, now);
            }
        }
        self.later.are_lines_in_doubt = false;
        self.note_put_off(left, now, wall);
        Ok(())
    }

    /// What becomes of an event left to the queue that does not wait there.
    pub(super) fn fetch_missing(
        &mut self,
        key: (Moment, Sequence),
        stored: Stored,
        now: Moment,
    ) -> Result<Option<Entry>, QueueTrouble> {
        let sequence = key.1;
        if self.later.doubt.is_some() || self.settling.contains(&sequence) {
            // That it is to wait may not be on disk yet.
            self.stored.remove(&key);
            self.stored.insert((now + MEMORY_WAIT, sequence), stored);
            return Ok(None);
        }
        let Some(queued) = self.still_queued(sequence)? else {
            self.stored.remove(&key);
            let line = self.lines.line_of(sequence);
            self.step_forward(line, sequence, key.0);
            return Ok(None);
        };
        if !self.memory.take(&queued.event) {
            return Ok(None);
        }
        self.stored.remove(&key);
        let entry = Entry {
            attempts: stored.attempts,
            ..Entry::new(queued)
        };
        Ok(self.fetched(entry, false))
    }

    /// The event, if it is neither settled nor waits: there was no room on the disk for its copy.
    fn still_queued(&self, sequence: Sequence) -> Result<Option<Queued>, QueueTrouble> {
        let name = &self.endpoint.name;
        let is_taken = sequence < self.queue.cursor(name)
            || self.queue.settled_beyond(name).contains(&sequence);
        if is_taken {
            return Ok(None);
        }
        let read = self.queue.read(sequence, 1, 1)?;
        let mut read = read.into_iter();
        Ok(read.find(|queued| queued.sequence == sequence))
    }

    /// Has everything wait while some of what is put off cannot be read, but not for ever.
    fn wait_for_unread(
        &mut self,
        seen: Result<(), QueueTrouble>,
        now: Moment,
    ) -> Result<(), QueueTrouble> {
        let Err(error) = seen else {
            self.later.unread = None;
            return Ok(());
        };
        let fresh = Unread {
            since: now,
            seen_at: now,
            is_said: false,
        };
        let before = self.later.unread.take();
        let before = before.filter(|unread| now.since(unread.seen_at) < UNREAD_APART);
        let unread = self.later.unread.insert(Unread {
            seen_at: now,
            ..before.unwrap_or(fresh)
        });
        if now.since(unread.since) < UNREAD_PATIENCE {
            return Err(error);
        }
        if !std::mem::replace(&mut unread.is_said, true) {
            let error = error.to_string();
            self.notices.push(Notice::GoesOnWithout { error });
        }
        Ok(())
    }

    fn room(&self) -> usize {
        let room = PUT_OFF_AT.saturating_sub(self.kept());
        let room = room.max(ROOM_MIN.saturating_sub(self.stored.len()));
        room.min(IN_HAND_MAX.saturating_sub(self.in_hand + self.stored.len()))
    }

    /// Whether events may come to wait behind one that is put off.
    pub(super) fn has_lines_put_off(&self) -> bool {
        self.endpoint.order != Order::None && self.endpoint.on_refused == OnRefused::Block
    }

    /// Whether so many lines have their first event put off that no more may.
    fn is_lined_up(&self) -> bool {
        let lines_max = self.memory.share_bytes() / LINES_SHARE / LINE_BYTES;
        self.has_lines_put_off() && self.later.count >= lines_max as u64
    }

    /// The lines of the events that are put off, where others may come to wait behind them.
    pub(super) fn lines_put_off(
        &mut self,
        now: Moment,
    ) -> Result<Vec<(Sequence, UnixMs, Option<Line>)>, QueueTrouble> {
        let mut lines = Vec::new();
        if self.has_lines_put_off() {
            let order = &self.endpoint.order;
            let mut visit = |waiting: Waiting| {
                let line = order.line(&waiting.queued.event);
                lines.push((waiting.queued.sequence, waiting.due, line));
            };
            let seen = self.queue.visit_put_off(&self.endpoint.name, &mut visit);
            self.wait_for_unread(seen, now)?;
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
            let attempts = entry.attempts;
            self.stored.insert((at, sequence), Stored { due, attempts });
        } else {
            self.retries.insert((at, sequence), entry);
        }
    }
}

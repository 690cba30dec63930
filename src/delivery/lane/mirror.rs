//! What a lane does about routes, and differently for an endpoint that mirrors another one.
//!
//! A mirror is a guest: it must not cost the endpoint it looks at anything. Events it has not had
//! stay in the queue as any other's, so it may be behind the other endpoint by [`BEHIND_MAX`] and no
//! more; beyond that events pass it by. What it refuses is no dead letter, for that would push out
//! those of others. When its time is over it is done with everything that was still to come.

use super::{Entry, IDLE_WAIT, Lane, Settlement, Turn, UNREADABLE_WAIT};
use crate::clock::{Moment, UnixMs};
use crate::delivery::event_queue::QueueTrouble;
use crate::delivery::notice::Notice;
use crate::delivery::window::WINDOW_EVENTS;
use crate::event::Sequence;
use std::sync::Arc;
use std::time::Duration;

/// How many events a mirror may be behind the other endpoint: what a lane has in hand at most. More
/// would keep some megabytes of the queue's disk from being free again.
pub(super) const BEHIND_MAX: u64 = WINDOW_EVENTS;

/// Shortest time between two notices about events that passed it by.
const PASSED_NOTICE_EVERY: Duration = Duration::from_secs(60);

/// How things stand with a lane whose endpoint is a mirror.
#[derive(Debug, Default)]
pub(super) struct Mirroring {
    is_over: bool,
    passed_since_notice: u64,
    passed_noticed_at: Option<Moment>,
}

impl Lane {
    /// Takes over the table in force. What was decoded and not tried goes by the new one.
    pub(super) fn reroute(&mut self, wall: UnixMs) {
        if self.chooser.refresh(wall) {
            let mut skipped = Vec::new();
            self.window
                .reconsider(&self.chooser, &mut self.memory, |it| skipped.push(it));
            self.skip(skipped);
        }
    }

    /// Settles events that are not for the endpoint.
    pub(super) fn skip(&mut self, skipped: Vec<Sequence>) {
        self.counts.unrouted += self.chooser.take_unrouted();
        for sequence in skipped {
            self.counts.skipped += 1;
            self.settle(sequence, Settlement::Skipped);
        }
    }

    /// An event that was tried, or was to be, is not sent any more.
    pub(super) fn give_up(&mut self, entry: &Entry) {
        self.memory.give_back(&entry.queued.event);
        self.skip(vec![entry.queued.sequence]);
    }

    /// What a mirror is to do because it is one; nothing for most lanes.
    pub(super) fn mirror_turn(&mut self, now: Moment, wall: UnixMs) -> Option<Turn> {
        let (of, ends_at) = self.chooser.mirror()?;
        if self.is_stopping || self.unsettled >= WINDOW_EVENTS {
            return None;
        }
        let of = Arc::clone(of);
        if ends_at <= wall && !std::mem::replace(&mut self.mirroring.is_over, true) {
            let of = of.to_string();
            self.notices.push(Notice::MirrorOver { of });
        }
        let done = if self.mirroring.is_over {
            self.finish_mirror(now, wall)
        } else {
            self.keep_up(&of, now)
        };
        match self.heard(done) {
            None => Some(Turn::Wait(UNREADABLE_WAIT)),
            Some(()) => self.mirroring.is_over.then_some(Turn::Wait(IDLE_WAIT)),
        }
    }

    /// A wait, but not beyond the end of the mirror's time.
    pub(super) fn until_mirror_ends(&self, turn: Turn, wall: UnixMs) -> Turn {
        match (turn, self.chooser.mirror()) {
            (Turn::Wait(span), Some((_, ends_at))) if ends_at > wall => {
                Turn::Wait(span.min(ends_at.since(wall)))
            }
            (turn, _) => turn,
        }
    }

    /// Lets pass by what the other endpoint has had long ago.
    fn keep_up(&mut self, of: &str, now: Moment) -> Result<(), QueueTrouble> {
        let other = self.queue.cursor(of);
        let before = self.counts.skipped;
        if self.window.cursor().plus(BEHIND_MAX) < other {
            // Half of it, so that this is not done for every single event.
            self.pass_by(Sequence(other.0.saturating_sub(BEHIND_MAX / 2)))?;
        }
        let mirroring = &mut self.mirroring;
        mirroring.passed_since_notice += self.counts.skipped - before;
        let is_quiet = mirroring
            .passed_noticed_at
            .is_some_and(|at| now.since(at) < PASSED_NOTICE_EVERY);
        if mirroring.passed_since_notice > 0 && !is_quiet {
            mirroring.passed_noticed_at = Some(now);
            let count = std::mem::take(&mut mirroring.passed_since_notice);
            self.notices.push(Notice::FellBehind { count });
        }
        Ok(())
    }

    /// Is done with everything there is, attempts under way excepted.
    fn finish_mirror(&mut self, now: Moment, wall: UnixMs) -> Result<(), QueueTrouble> {
        self.load_stored(now, wall)?;
        for entry in std::mem::take(&mut self.retries).into_values() {
            self.give_up(&entry);
        }
        let stored = std::mem::take(&mut self.stored);
        self.skip(stored.into_keys().map(|(_, sequence)| sequence).collect());
        self.pass_by(Sequence(u64::MAX))
    }

    /// Is done with what comes before `until`, as far as the window goes, and was not given to a
    /// worker; what waits for its own retry is not in the way.
    fn pass_by(&mut self, until: Sequence) -> Result<(), QueueTrouble> {
        let is_passed = |entry: &Entry| entry.queued.sequence < until;
        let (passed, first): (Vec<_>, Vec<_>) = self.first.drain(..).partition(is_passed);
        self.first = first.into();
        let suspects = std::mem::take(&mut self.suspects);
        let (suspects, kept): (Vec<_>, Vec<_>) =
            suspects.into_iter().partition(|(_, entry)| is_passed(entry));
        self.suspects = kept;
        let suspects = suspects.into_iter().map(|(_, entry)| entry);
        for entry in passed.into_iter().chain(suspects) {
            self.give_up(&entry);
        }
        let mut skipped = Vec::new();
        let passed = self
            .window
            .pass_by(until, &mut self.memory, |it| skipped.push(it));
        self.skip(skipped);
        passed
    }
}

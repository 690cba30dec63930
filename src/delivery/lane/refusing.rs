//! An endpoint that refuses everything counts as unavailable: see [`blanket`](super::super::blanket).

use super::super::batch;
use super::super::breaker::OPEN_AFTER;
use super::super::order::OnRefused;
use super::super::outcome::Failure;
use super::{Entry, Lane};
use crate::clock::{Moment, UnixMs};

impl Lane {
    /// Whether a refusal is part of a refusal of everything.
    pub(super) fn is_refusing(&mut self, entry: &mut Entry, failure: &Failure) -> bool {
        let is_last = self.is_last_attempt(entry) || self.is_all_there_is(entry);
        let is_refusing =
            self.breaker
                .is_refusing(entry.address, failure, &mut entry.mark, is_last);
        // What was refused together was first refused together.
        let mark = entry.mark;
        for other in &mut entry.others {
            other.mark = other.mark.or(mark);
        }
        is_refusing
    }

    /// Whether nothing else is sent that could show whether it is this event or the endpoint: a strict
    /// order waits for it. By its own schedule that could come to be hours.
    fn is_all_there_is(&self, entry: &Entry) -> bool {
        self.endpoint.order.is_strict()
            && self.endpoint.on_refused == OnRefused::Block
            && entry.attempt() >= OPEN_AFTER
    }

    /// Whether one of the events of a request has had its attempts with this one.
    pub(super) fn is_last_attempt(&self, entry: &Entry) -> bool {
        let mut all = std::iter::once(entry).chain(&entry.others);
        all.any(|entry| entry.attempt() >= self.endpoint.retries.attempts)
    }

    /// It is: the event keeps its attempts, and waits with the others.
    ///
    /// Several that were refused together as a probe are halved. If it is one of them that offends,
    /// the others get through, and where nothing else is sent only that shows that the endpoint
    /// works.
    pub(super) fn refuses_everything(
        &mut self,
        entry: Entry,
        failure: Failure,
        now: Moment,
        wall: UnixMs,
    ) {
        self.gone_since = None;
        self.expiry.failed(now);
        let reason = format!("{}: refuses everything", failure.reason);
        let mut entry = self.failed(entry, Failure { reason, ..failure }, wall);
        if entry.is_probe
            && let Some(second) = batch::second_half(&mut entry)
        {
            self.goes_next(second, now);
        }
        let found =
            self.breaker
                .refuses_everything(entry.address, now, entry.is_probe, &mut self.rng);
        self.met(entry, found, now);
    }
}

//! An endpoint that refuses everything counts as unavailable: see [`blanket`](super::super::blanket).

use super::super::outcome::Failure;
use super::{Entry, Lane};
use crate::clock::{Moment, UnixMs};

impl Lane {
    /// Whether a refusal is part of a refusal of everything.
    pub(super) fn is_refusing(&mut self, entry: &mut Entry, failure: &Failure) -> bool {
        let is_last = entry.attempt() >= self.endpoint.retries.attempts;
        self.breaker
            .is_refusing(entry.address, failure, &mut entry.mark, is_last)
    }

    /// It is: the event keeps its attempts, and waits with the others.
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
        let entry = self.failed(entry, Failure { reason, ..failure }, wall);
        let found =
            self.breaker
                .refuses_everything(entry.address, now, entry.is_probe, &mut self.rng);
        self.met(entry, found, now);
    }
}

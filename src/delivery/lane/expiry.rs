//! Expiry: events that are too old to be waited for any longer, while their endpoint is failing.
//!
//! An endpoint that works is sent everything, however old. One that has been failing for
//! [`EXPIRE_AFTER`], or for its longest age where that is shorter, loses the events at its front,
//! and those whose retry is due, that are older than that: each becomes a dead letter, from which it
//! can be tried again. The time
//! before is for a backlog of old files that is read while the endpoint happens to be down. And it
//! must have failed a moment ago: one that nothing was sent to since, because nothing was left, is
//! asked with the next event, however old that is.
//!
//! The age is that of the event's own time. What the wall clock jumps while the agent runs does not
//! count, or a clock that is set wrong would empty the queue.

use super::super::outcome::Failure;
use super::{Entry, Lane, PROBED_MAX};
use crate::clock::{Moment, UnixMs};
use std::collections::VecDeque;
use std::time::Duration;

/// How long an endpoint must have been failing before anything is too old for it.
pub(super) const EXPIRE_AFTER: Duration = Duration::from_secs(60 * 60);

/// Most events given up in one pass; together with [`EXPIRE_PAUSE`] a thousand a second, which a
/// slow disk can write beside everything else.
pub(super) const EXPIRE_BATCH: usize = 256;

/// Time between two such passes.
pub(super) const EXPIRE_PAUSE: Duration = Duration::from_millis(250);

/// The clocks as they were when the lane began.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    began: Option<(Moment, UnixMs)>,
    /// When the endpoint last failed.
    failed_at: Moment,
}

impl Expiry {
    /// The endpoint has failed once more.
    pub(super) fn failed(&mut self, now: Moment) {
        self.failed_at = now;
    }

    /// The wall clock without its jumps.
    fn steady(&mut self, now: Moment, wall: UnixMs) -> UnixMs {
        let (began, wall) = *self.began.get_or_insert((now, wall));
        wall.after(now.since(began))
    }
}

impl Lane {
    /// Gives up what is too old for an endpoint that is failing; true when there may be more.
    pub(super) fn expire(&mut self, now: Moment, wall: UnixMs) -> bool {
        let steady = self.expiry.steady(now, wall);
        let max_age = self.endpoint.max_age;
        let Some(since) = self.breaker.failing_since() else {
            return false;
        };
        // Probes follow each other at least this fast.
        let is_stale = now.since(self.expiry.failed_at) > self.endpoint.probe_max * 2;
        if now.since(since) < EXPIRE_AFTER.min(max_age) || is_stale {
            return false;
        }
        let is_old = |entry: &Entry| {
            let mut members = entry.members();
            members.all(|queued| steady.since(queued.event.time.unix) > max_age)
        };
        let (old, first): (VecDeque<Entry>, _) = std::mem::take(&mut self.first)
            .into_iter()
            .partition(is_old);
        self.first = first;
        let mut given_up = 0;
        for entry in old {
            given_up += entry.count();
            self.expire_one(entry, now, wall);
        }
        // Each is given up before the next is looked for: that may stand behind it.
        while given_up < EXPIRE_BATCH && self.first.len() < PROBED_MAX {
            let next = match self.fresh(now, true) {
                Ok(None) => self.due_retry(now),
                fresh => fresh,
            };
            match self.heard(next).flatten() {
                Some(entry) if is_old(&entry) => {
                    given_up += entry.count();
                    self.expire_one(entry, now, wall);
                }
                // It is the next to be tried.
                Some(entry) => {
                    self.first.push_back(entry);
                    break;
                }
                None => break,
            }
        }
        given_up >= EXPIRE_BATCH
    }

    /// Gives up the events of one entry, in their order.
    fn expire_one(&mut self, mut entry: Entry, now: Moment, wall: UnixMs) {
        let others = std::mem::take(&mut entry.others);
        for entry in std::iter::once(entry).chain(others) {
            self.counts.expired += 1;
            let last_error = self.counts.last_error.as_deref().unwrap_or_default();
            let reason = match &*entry.last.reason {
                "" => format!("expired: {last_error}"),
                error => format!("expired: {error}"),
            };
            let last = Failure {
                reason,
                ..entry.last
            };
            self.bury(Entry { last, ..entry }, now, wall);
        }
    }
}

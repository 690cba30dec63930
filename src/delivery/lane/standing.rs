//! How much of the endpoint is used: attempts under way, and which of its addresses.

use super::super::alert::ALERT_EVERY;
use super::super::breaker::{Gate, Recovered};
use super::super::concurrency::Concurrency;
use super::super::notice::Notice;
use super::Lane;
use crate::clock::{Moment, UnixMs};
use std::time::Duration;

/// Shortest time between two notices about the address in use: a flapping network must not fill
/// the log. What is in use then is said when the time is over.
const SWITCH_NOTICE_EVERY: Duration = Duration::from_secs(10);

/// What was said of the address in use.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Requests under way.
    pub(super) under_way: usize,
    /// The address in use.
    pub(super) address: usize,
    /// The one that was said to be.
    said: usize,
    said_at: Option<Moment>,
    /// When that is to be said once more, should it last: it may not have become an alert.
    again_at: Option<Moment>,
}

impl Lane {
    /// Whether as many attempts are under way as may be.
    pub(super) fn is_at_limit(&self) -> bool {
        self.standing.under_way >= self.limit.now()
    }

    /// Most workers that can be of use: one for each attempt that may be under way, and one to look
    /// out where that is learned and may be one alone.
    pub(in crate::delivery) fn staff_max(&self) -> usize {
        match self.endpoint.concurrency {
            Concurrency::Learned => self.limit.now().max(2),
            Concurrency::Fixed(limit) => limit.get(),
        }
    }

    /// Whether the endpoint has asked to be left alone for long, and there is no other address.
    pub(super) fn is_paused(&self, now: Moment) -> bool {
        let is_shut = || matches!(self.breaker.gate(now).0, Gate::ShutUntil(_));
        self.paused_until > now && (self.breaker.is_single() || is_shut())
    }

    /// An address has answered: says so where the endpoint, or its own address, was told to be
    /// failing before this lane was made.
    pub(super) fn said_before(
        &mut self,
        address: usize,
        recovered: Option<Recovered>,
        wall: UnixMs,
    ) {
        if let Some(since) = self.told.failing.take() {
            // It did not work from then on, whatever this lane has seen of it.
            self.is_failing_said = false;
            self.notices.push(Notice::Recovered {
                failing_for: wall.since(since),
                probes: recovered.map_or(0, |recovered| recovered.probes),
            });
        }
        if address == 0 && self.told.on_fallback.take().is_some() && self.standing.said == 0 {
            self.notices.push(Notice::Switched {
                to: 0,
                host: self.endpoint.url.host().to_string(),
                error: String::new(),
            });
        }
    }

    /// Notes and says which address is in use.
    pub(super) fn observe_address(&mut self, now: Moment) {
        let Some(address) = self.breaker.in_use(now) else {
            return;
        };
        if address != self.standing.address {
            self.standing.address = address;
            self.counts.switches += 1;
        }
        let lately = |at: Moment| now.since(at) < SWITCH_NOTICE_EVERY;
        let is_new = address != self.standing.said;
        let is_again = !is_new && self.standing.again_at.is_some_and(|at| at <= now);
        if !is_again && (!is_new || self.standing.said_at.is_some_and(lately)) {
            return;
        }
        if is_new {
            (self.standing.said, self.standing.said_at) = (address, Some(now));
        }
        self.standing.again_at = (is_new && address > 0).then(|| now + ALERT_EVERY);
        let fallbacks = &self.endpoint.fallback_urls;
        let fallback = address
            .checked_sub(1)
            .and_then(|place| fallbacks.get(place));
        let notice = Notice::Switched {
            to: address,
            host: fallback.unwrap_or(&self.endpoint.url).host().to_string(),
            error: self.counts.last_error.clone().unwrap_or_default(),
        };
        self.notices.push(match is_again {
            true => Notice::StillSo(Box::new(notice)),
            false => notice,
        });
    }
}

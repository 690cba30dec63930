//! Addresses: an endpoint's own address and its fallbacks, and which of them is sent to.
//!
//! Kept for each address: its breaker with its probes and pauses, and what it has refused. Kept
//! for the endpoint, whatever the address: the events, their attempts and retries, the limits of
//! rate and concurrency, the latencies. So an event that failed at one address goes on at the next
//! where it was, with the same id; only a request whose answer was lost may be a repeat there.
//!
//! The addresses are tried in their order. One is *passed over* when it has been failing for
//! [`PASSED_AFTER`], or has asked for a pause longer than the time between its probes; the next one
//! is sent everything then. A breaker that opened by accident is closed again before that. An
//! address that is passed over and failing goes on being probed on its own schedule, each time with
//! one event of the queue, and as soon as a probe is taken everything goes there again. What was
//! under way elsewhere ends there.
//!
//! Only when all addresses are failing is the endpoint: it says so, and each is probed.

use super::blanket::{Blanket, Mark, is_blanket};
use super::breaker::{Breaker, Gate, Recovered, Unavailable};
use super::endpoint::Endpoint;
use super::outcome::Failure;
use super::transport::{HttpTransport, TlsError, Transport};
use crate::clock::{Clock, Moment};
use std::sync::Arc;
use std::time::Duration;

/// Most fallbacks of an endpoint: more places than anyone keeps a receiver at.
pub const FALLBACKS_MAX: usize = 7;

/// How long an address must have been failing before the next one is used.
pub const PASSED_AFTER: Duration = Duration::from_secs(1);

/// The endpoint as it is at each of its addresses, its own first.
pub fn addresses(endpoint: &Endpoint) -> Vec<Arc<Endpoint>> {
    let own = Arc::new(endpoint.clone());
    let others = endpoint.fallback_urls.iter().map(|url| {
        Arc::new(Endpoint {
            url: url.clone(),
            ..endpoint.clone()
        })
    });
    std::iter::once(own).chain(others).collect()
}

/// A transport for each of the endpoint's [addresses].
///
/// # Errors
///
/// [`TlsError`] when its extra certificates cannot be used.
pub fn transports(
    endpoint: &Endpoint,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Arc<dyn Transport>>, TlsError> {
    let all = addresses(endpoint);
    let made = all.iter().map(|at| {
        let transport = HttpTransport::new(at, Arc::clone(clock))?;
        Ok(Arc::new(transport) as Arc<dyn Transport>)
    });
    made.collect()
}

/// How the addresses of an endpoint stand.
#[derive(Debug)]
pub(super) struct Addresses {
    /// In their order; at least one.
    all: Vec<Address>,
    probe_max: Duration,
}

#[derive(Debug)]
struct Address {
    breaker: Breaker,
    /// The end of a pause it asked for that is longer than the time between probes.
    paused_until: Moment,
    blanket: Blanket,
}

impl Addresses {
    /// `count` addresses, each of which is taken to work.
    pub(super) fn new(count: usize, probe_max: Duration) -> Addresses {
        let address = || Address {
            breaker: Breaker::new(probe_max),
            paused_until: Moment::default(),
            blanket: Blanket::default(),
        };
        Addresses {
            all: std::iter::repeat_with(address).take(count.max(1)).collect(),
            probe_max,
        }
    }

    /// What may be sent at `now`, and to which address.
    pub(super) fn gate(&self, now: Moment) -> (Gate, usize) {
        let mut soonest = None;
        for (place, address) in self.all.iter().enumerate() {
            let gate = address.breaker.gate(now);
            if self.all.len() == 1 {
                return (gate, place);
            }
            match (gate, self.is_passed_over(address, now)) {
                (Gate::ShutUntil(until), true) => {
                    soonest = Some(soonest.map_or(until, |soonest: Moment| soonest.min(until)));
                }
                (Gate::ShutUntil(until), false) => {
                    // The next address may be sent to before.
                    let since = address.breaker.failing_since();
                    let passed = since.map_or(until, |since| since + PASSED_AFTER);
                    return (Gate::ShutUntil(until.min(passed)), place);
                }
                (gate, _) => return (gate, place),
            }
        }
        (Gate::ShutUntil(soonest.unwrap_or(now)), 0)
    }

    /// The address that is sent to; none when all are passed over.
    pub(super) fn in_use(&self, now: Moment) -> Option<usize> {
        self.all.len().checked_sub(2).map_or(Some(0), |_| {
            let mut all = self.all.iter();
            all.position(|address| !self.is_passed_over(address, now))
        })
    }

    /// Whether there is only one.
    pub(super) fn is_single(&self) -> bool {
        self.all.len() == 1
    }

    /// Since when the endpoint is failing: all of its addresses.
    pub(super) fn failing_since(&self) -> Option<Moment> {
        let since = self
            .all
            .iter()
            .map(|address| address.breaker.failing_since());
        since.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Whether the latest answer of `address` was one.
    pub(super) fn is_sound(&self, address: usize) -> bool {
        let address = self.all.get(address);
        address.is_none_or(|address| address.breaker.is_sound())
    }

    /// A probe goes out to `address`.
    pub(super) fn probe_sent(&mut self, address: usize, now: Moment) {
        if let Some(address) = self.all.get_mut(address) {
            address.breaker.probe_sent(now);
        }
    }

    /// `address` answered, with a yes or a no to the event: it works. Whether it was failing, and
    /// for how long the endpoint was.
    pub(super) fn answered(&mut self, address: usize, now: Moment) -> Option<Recovered> {
        let since = self.failing_since();
        let recovered = self.all.get_mut(address)?.breaker.answered(now)?;
        Some(Recovered {
            failing_for: since.map_or(Duration::ZERO, |since| now.since(since)),
            ..recovered
        })
    }

    /// `address` could not take an event. `after` is its own wish for a pause.
    pub(super) fn unavailable(
        &mut self,
        address: usize,
        now: Moment,
        was_probe: bool,
        after: Option<Duration>,
        rng: &mut fastrand::Rng,
    ) -> Unavailable {
        let probe_max = self.probe_max;
        let Some(address) = self.all.get_mut(address) else {
            return Unavailable::StillFailing;
        };
        if let Some(after) = after.filter(|after| *after > probe_max) {
            address.paused_until = address.paused_until.max(now + after);
        }
        address.breaker.unavailable(now, was_probe, after, rng)
    }

    /// `address` refuses everything.
    pub(super) fn refuses_everything(
        &mut self,
        address: usize,
        now: Moment,
        was_probe: bool,
        rng: &mut fastrand::Rng,
    ) -> Unavailable {
        let address = self.all.get_mut(address);
        address.map_or(Unavailable::StillFailing, |address| {
            address.breaker.failed_at_once(now, was_probe, rng)
        })
    }

    /// The endpoint is no more, whatever its addresses: each counts as failing.
    pub(super) fn gone(&mut self, now: Moment, rng: &mut fastrand::Rng) {
        let working = self.all.iter_mut().filter(|it| !it.breaker.is_failing());
        for address in working {
            address.breaker.failed_at_once(now, false, rng);
        }
    }

    /// Whoever knows that the endpoint is back says so: each address may be asked at once.
    pub(super) fn resume(&mut self, now: Moment) {
        for address in &mut self.all {
            address.paused_until = Moment::default();
            address.breaker.resume(now);
        }
    }

    /// `address` took an event.
    pub(super) fn taken(&mut self, address: usize) {
        if let Some(address) = self.all.get_mut(address) {
            address.blanket.passed();
        }
    }

    /// Whether what `address` has answered to an event, as to others, means that it refuses
    /// everything. See [`Blanket`].
    pub(super) fn is_refusing(
        &mut self,
        address: usize,
        failure: &Failure,
        mark: &mut Option<Mark>,
        is_last: bool,
    ) -> bool {
        let Some(Address { blanket, .. }) = self.all.get_mut(address) else {
            return false;
        };
        if !is_blanket(failure.status) {
            blanket.passed();
            return false;
        }
        blanket.is_refusing(address, mark, is_last)
    }

    fn is_passed_over(&self, address: &Address, now: Moment) -> bool {
        let since = address.breaker.failing_since();
        let is_failing = since.is_some_and(|since| now.since(since) >= PASSED_AFTER);
        is_failing || address.paused_until > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE_MAX: Duration = Duration::from_secs(5);

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    fn fail(addresses: &mut Addresses, address: usize, now: Moment) {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..3 {
            addresses.unavailable(address, now, false, None, &mut rng);
        }
    }

    #[test]
    fn the_first_that_works_is_used_and_the_ones_before_it_are_probed() {
        let mut addresses = Addresses::new(3, PROBE_MAX);
        assert_eq!(addresses.gate(at(0)), (Gate::Open, 0));
        fail(&mut addresses, 0, at(0));
        assert_eq!(
            addresses.gate(at(1)),
            (Gate::Probe, 0),
            "by accident, perhaps"
        );
        addresses.probe_sent(0, at(1));
        assert_eq!(addresses.gate(at(2)), (Gate::ShutUntil(at(1_000)), 0));
        assert_eq!(addresses.gate(at(1_000)), (Gate::Open, 1));
        assert_eq!(addresses.in_use(at(1_000)), Some(1));
        assert_eq!(addresses.failing_since(), None, "the endpoint works");
        // The probe that hangs is followed by another.
        assert_eq!(addresses.gate(at(5_001)), (Gate::Probe, 0));
        addresses.probe_sent(0, at(5_001));
        fail(&mut addresses, 1, at(5_500));
        assert_eq!(addresses.gate(at(5_501)), (Gate::Probe, 1));
        addresses.probe_sent(1, at(5_501));
        assert_eq!(addresses.gate(at(6_500)), (Gate::Open, 2));
        assert!(addresses.answered(0, at(6_600)).is_some());
        assert_eq!(
            addresses.gate(at(6_600)),
            (Gate::Open, 0),
            "back to the first"
        );
        assert_eq!(addresses.in_use(at(6_600)), Some(0));
    }

    #[test]
    fn when_all_fail_the_endpoint_does_and_each_is_probed() {
        let mut addresses = Addresses::new(2, PROBE_MAX);
        fail(&mut addresses, 0, at(0));
        fail(&mut addresses, 1, at(2_000));
        assert_eq!(addresses.failing_since(), Some(at(2_000)));
        assert_eq!(addresses.in_use(at(3_000)), None);
        assert_eq!(addresses.gate(at(3_000)), (Gate::Probe, 0));
        addresses.probe_sent(0, at(3_000));
        assert_eq!(addresses.gate(at(3_000)), (Gate::Probe, 1));
        addresses.probe_sent(1, at(3_000));
        assert_eq!(addresses.gate(at(3_001)).0, Gate::ShutUntil(at(8_000)));
        let recovered = addresses.answered(1, at(3_500)).unwrap();
        assert_eq!(recovered.failing_for, Duration::from_millis(1_500));
        assert_eq!(addresses.gate(at(3_501)), (Gate::Open, 1));
    }

    #[test]
    fn an_address_that_asks_for_a_long_pause_is_passed_over_until_then() {
        let mut addresses = Addresses::new(2, PROBE_MAX);
        let mut rng = fastrand::Rng::with_seed(1);
        let mut pause = |addresses: &mut Addresses, now, secs| {
            let after = Some(Duration::from_secs(secs));
            addresses.unavailable(0, now, false, after, &mut rng);
        };
        pause(&mut addresses, at(0), 2);
        assert_eq!(
            addresses.gate(at(1)),
            (Gate::ShutUntil(at(2_000)), 0),
            "a short one is waited for"
        );
        addresses.answered(0, at(2_000));
        pause(&mut addresses, at(3_000), 60);
        assert_eq!(addresses.gate(at(3_001)), (Gate::Open, 1));
        assert_eq!(addresses.gate(at(63_000)), (Gate::Open, 0));
    }

    #[test]
    fn one_address_alone_is_its_breaker() {
        let mut addresses = Addresses::new(1, PROBE_MAX);
        fail(&mut addresses, 0, at(0));
        assert_eq!(addresses.gate(at(10_000)), (Gate::Probe, 0));
        assert_eq!(addresses.in_use(at(10_000)), Some(0));
        assert_eq!(addresses.failing_since(), Some(at(0)));
    }
}

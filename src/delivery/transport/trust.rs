//! Trust: whether the idle connections to one address are still believed to lead anywhere.
//!
//! A firewall or a balancer that forgets a connection says nothing: what is sent over it is never
//! answered. It mostly forgets all of them at once, and an endpoint may keep as many as its
//! concurrency. So one request without a byte of an answer, over a connection that had answered
//! before, puts all others in doubt over which nothing has come since it was sent, and none of those
//! is used again; else each would cost an attempt and its whole time. A receiver that only hangs at
//! times has answered others meanwhile, and keeps the connections over which it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What is known of the connections to one address.
#[derive(Debug, Clone)]
pub(super) struct Trust(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Times are counted from here.
    start: Instant,
    /// When the latest request was sent that had no byte of an answer, in microseconds.
    silent_since: AtomicU64,
}

impl Default for Trust {
    fn default() -> Trust {
        Trust(Arc::new(Shared {
            start: Instant::now(),
            silent_since: AtomicU64::new(0),
        }))
    }
}

impl Trust {
    /// For a connection that is opened now.
    pub(super) fn in_new(&self) -> TrustIn {
        TrustIn {
            all: self.clone(),
            heard_at: self.micros(Instant::now()),
            has_answered: false,
        }
    }

    /// From 1 on: nothing was silent at 0.
    fn micros(&self, at: Instant) -> u64 {
        let micros = at.saturating_duration_since(self.0.start).as_micros();
        u64::try_from(micros).unwrap_or(u64::MAX - 1) + 1
    }
}

/// Whether one connection is trusted.
#[derive(Debug)]
pub(super) struct TrustIn {
    all: Trust,
    /// When it was opened, or something came over it last, in microseconds.
    heard_at: u64,
    /// An answer has come over it.
    has_answered: bool,
}

impl TrustIn {
    /// Whether it is.
    pub(super) fn holds(&self) -> bool {
        self.heard_at > self.all.0.silent_since.load(Ordering::Relaxed)
    }

    /// Something of an answer has come.
    pub(super) fn heard(&mut self) {
        self.heard_at = self.all.micros(Instant::now());
        self.has_answered = true;
    }

    /// A request that was `sent` over it had no byte of an answer in time. Over one that was just
    /// opened that says nothing of the others.
    pub(super) fn was_silent(&self, sent: Instant) {
        if self.has_answered {
            let sent = self.all.micros(sent);
            self.all.0.silent_since.fetch_max(sent, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_silent_one_puts_those_in_doubt_over_which_nothing_came_since() {
        let trust = Trust::default();
        let [mut forgotten, mut idle, mut busy] = [(); 3].map(|()| trust.in_new());
        for wire in [&mut forgotten, &mut idle, &mut busy] {
            wire.heard();
        }
        std::thread::sleep(Duration::from_millis(2));
        let sent = Instant::now();
        std::thread::sleep(Duration::from_millis(2));
        busy.heard();
        let new = trust.in_new();
        new.was_silent(Instant::now());
        assert!(
            idle.holds(),
            "one that never answered says nothing of others"
        );
        forgotten.was_silent(sent);
        assert!(!forgotten.holds() && !idle.holds());
        assert!(busy.holds() && new.holds());
        idle.heard();
        assert!(idle.holds());
    }
}

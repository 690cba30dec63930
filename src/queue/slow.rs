//! Slow: syncs that take as long as those of a slower disk. For the benchmark of ingest alone, by the
//! feature `slow-syncs`, which no package is built with.

use crate::shutdown::Bell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static TAKES_US: AtomicU64 = AtomicU64::new(0);

/// From now on every sync of a generation takes at least `takes`.
pub fn let_syncs_take(takes: Duration) {
    let micros = u64::try_from(takes.as_micros()).unwrap_or(u64::MAX);
    TAKES_US.store(micros, Ordering::Relaxed);
}

/// Waits for the rest of the time that a sync takes which `began` then.
pub(super) fn wait_from(began: Instant) {
    let takes = Duration::from_micros(TAKES_US.load(Ordering::Relaxed));
    Bell::default().wait(takes.saturating_sub(began.elapsed()));
}

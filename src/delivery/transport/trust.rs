//! Trust: whether the idle connections to one address are still believed to lead anywhere.
//!
//! A firewall or a balancer that forgets a connection says nothing: what is sent over it is never
//! answered. It mostly forgets all of them at once, and an endpoint may keep as many as its
//! concurrency. So one request without a byte of an answer puts all connections in doubt that were
//! open by then, and none of them is used again; else each would cost an attempt and its whole time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often the connections to one address were put in doubt.
#[derive(Debug, Clone, Default)]
pub(super) struct Trust(Arc<AtomicU64>);

impl Trust {
    /// No connection that is open now is used for another request.
    pub(super) fn lose(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// For a connection that is opened now.
    pub(super) fn in_new(&self) -> TrustIn {
        TrustIn {
            all: self.clone(),
            doubts: self.0.load(Ordering::Relaxed),
        }
    }
}

/// Whether one connection is trusted.
#[derive(Debug)]
pub(super) struct TrustIn {
    all: Trust,
    /// How many there had been when it was opened.
    doubts: u64,
}

impl TrustIn {
    /// Whether it is.
    pub(super) fn holds(&self) -> bool {
        self.all.0.load(Ordering::Relaxed) == self.doubts
    }
}

//! Validity: until when a receiver's certificate will verify, looked at now and then.

use super::tls;
use crate::clock::{Moment, UnixMs};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shortest time between two looks: one costs some thirty verifications.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// What was seen of the certificates of one address.
#[derive(Debug, Default)]
pub(super) struct Validity(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    looked_at: Option<Moment>,
    until: Option<UnixMs>,
}

impl Validity {
    /// Looks at the certificates that came with `connection`, if that is due.
    pub(super) fn look(
        &self,
        connection: &ClientConnection,
        name: &ServerName<'_>,
        extra_roots: &[Vec<u8>],
        (now, wall): (Moment, UnixMs),
    ) {
        {
            let mut seen = self.seen();
            if seen.looked_at.is_some_and(|at| now.since(at) < LOOK_EVERY) {
                return;
            }
            // Whoever connects meanwhile need not look too.
            seen.looked_at = Some(now);
        }
        let chain = connection.peer_certificates().unwrap_or_default();
        if chain.is_empty() {
            return;
        }
        let until = tls::valid_until(extra_roots, chain, name, wall);
        self.seen().until = until;
    }

    /// Until when they will verify, as far as that is known.
    pub(super) fn until(&self) -> Option<UnixMs> {
        self.seen().until
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

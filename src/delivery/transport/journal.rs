//! Journal: what each phase of one attempt took, for whoever tries out an endpoint.

use crate::clock::UnixMs;
use crate::delivery::link::Pin;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What each phase of an attempt took, as far as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phases {
    /// The addresses the name leads to (that of the proxy, where there is one), and the time to
    /// find them.
    pub resolved: Option<(Vec<SocketAddr>, Duration)>,
    /// The address that answered, and the time to connect.
    pub connected: Option<(SocketAddr, Duration)>,
    /// Time until the proxy had connected, where it is asked to.
    pub tunnelled: Option<Duration>,
    /// What was agreed on, where it is TLS.
    pub agreed: Option<Agreed>,
    /// Time from the start of the attempt to the end of the answer's headers.
    pub answered: Option<Duration>,
}

/// A TLS session as it was agreed on. The certificate was verified, its name included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Time of the handshake.
    pub elapsed: Duration,
    /// The version of TLS.
    pub version: String,
    /// The cipher suite.
    pub suite: String,
    /// Certificates the receiver sent.
    pub certificates: usize,
    /// Until when they will verify, all else being equal; at most a hundred years.
    pub valid_until: Option<UnixMs>,
    /// What `pin_sha256` would be for the receiver's certificate.
    pub pin: Option<Pin>,
}

/// Where the phases of an attempt are written down. Clones are the same journal.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Phases>>);

impl Journal {
    /// What has been written down.
    pub fn phases(&self) -> Phases {
        self.lock().clone()
    }

    /// Writes something down.
    pub(super) fn note(&self, write: impl FnOnce(&mut Phases)) {
        write(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Phases> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

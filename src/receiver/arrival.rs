//! Arrival: one request as somebody watching the receiver sees it.

use super::callback::Callback;
use super::verify::Reject;
use crate::clock::UnixMs;
use hyper::HeaderMap;
use hyper::body::Bytes;
use std::sync::mpsc;

/// Most arrivals that wait to be taken from the channel; a terminal that is scrolled back must
/// not fill the memory. At 1 KiB each this is 10 MB.
pub const ARRIVALS_WAITING_MAX: usize = 10_000;

/// One request, and what became of it.
#[derive(Debug)]
pub struct Arrival {
    /// When it was read whole.
    pub at: UnixMs,
    /// Whether its signature was believed.
    pub signature: Result<(), Reject>,
    /// What its body says about itself; none where it was not verified or is malformed.
    pub callback: Option<Callback<'static>>,
    /// Whether it was entered in the account, and as what.
    pub entered: Entered,
    /// What the sender got.
    pub answer: Answer,
    /// All headers of the request.
    pub headers: HeaderMap,
    /// The body as it was written: unpacked where it came compressed; of a GET the query.
    pub body: Bytes,
}

/// As what a request was entered in the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// Accepted, with an id not seen before.
    New,
    /// Accepted, with an id seen before.
    Duplicate,
    /// Not accepted.
    No,
}

/// What a sender got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An answer with this status.
    Status(u16),
    /// Nothing: the fault `hang`.
    Nothing,
    /// A reset connection: the faults `reset` and `lost`.
    Reset,
    /// The answer of this fault.
    Misanswer(&'static str),
}

/// The sending end of the channel; bounded by [`ARRIVALS_WAITING_MAX`].
pub type Onlooker = mpsc::SyncSender<Arrival>;

/// A new channel for arrivals.
pub fn channel() -> (Onlooker, mpsc::Receiver<Arrival>) {
    mpsc::sync_channel(ARRIVALS_WAITING_MAX)
}

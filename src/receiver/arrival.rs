//! Arrival: one request as somebody watching the receiver sees it.

use super::callback::Callback;
use super::diagnosis::Diagnosis;
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
    /// Its number in this run, from 1.
    pub number: u64,
    /// When it was read whole.
    pub at: UnixMs,
    /// Whether its signature was believed.
    pub signature: Result<(), Reject>,
    /// The same in words, with what is known of why.
    pub diagnosis: Diagnosis,
    /// What its body says about itself, of a batch its first; none where it was not verified or is
    /// malformed.
    pub callback: Option<Callback<'static>>,
    /// How many callbacks the body holds: 1, or those of a batch; 0 where it holds none.
    pub batch: usize,
    /// Why it was not taken although its signature is right.
    pub why: Option<String>,
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

#[cfg(test)]
pub mod tests {
    use super::super::Profile;
    use super::*;

    /// A believed arrival of profile `vos3000`, answered 200.
    pub fn arrival(body: &'static str) -> Arrival {
        let callback = Callback::parse(Profile::Vos3000, body.as_bytes()).ok();
        Arrival {
            number: 1,
            at: UnixMs(1_775_745_045_120),
            signature: Ok(()),
            diagnosis: Diagnosis::Believed { secret: 1, of: 1 },
            batch: usize::from(callback.is_some()),
            callback,
            why: None,
            entered: Entered::New,
            answer: Answer::Status(200),
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }
}

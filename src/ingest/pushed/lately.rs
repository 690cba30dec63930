//! Lately: what came a moment ago without a time of its own, so that a repeat is known for one.

use crate::clock::UnixMs;
use crate::ingest::Group;
use crate::queue::{Queue, QueueError, StateChange};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::time::Duration;

/// How long the same push about the same account is a repeat of the first.
///
/// A balance has no time and no number of its own. Whether a switch repeats a push that was not
/// answered is not documented; if it does, then at once or after a restart of either side. A
/// customer who tops up to the same amount again does so later than this.
const REPEAT_MAX: Duration = Duration::from_secs(300);

/// Most accounts remembered: nearly all that come within [`REPEAT_MAX`] at one a second. Beyond it
/// a repeat is told again, with another id.
const ACCOUNTS_MAX: usize = 250;

/// Bytes of one account in the stored state: whose, what, and when it first came.
const STORED_BYTES: usize = 24;

/// What came last about each account, oldest first; one piece of small state.
#[derive(Debug)]
pub(super) struct Lately {
    state: String,
    last: VecDeque<Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    whose: u64,
    what: u64,
    first: UnixMs,
}

impl Lately {
    /// What had come when the agent stopped.
    pub(super) fn load(source: &str, queue: &Queue) -> Result<Lately, QueueError> {
        let state = format!("push/{source}/lately");
        let stored = queue.state_get(&state)?.unwrap_or_default();
        let number = |bytes: Option<&[u8]>| {
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            u64::from_be_bytes(bytes.unwrap_or_default())
        };
        let last = stored.chunks_exact(STORED_BYTES).map(|entry| Last {
            whose: number(entry.get(..8)),
            what: number(entry.get(8..16)),
            first: UnixMs(number(entry.get(16..)).cast_signed()),
        });
        Ok(Lately {
            last: last.collect(),
            state,
        })
    }

    /// Whether a push about `whose` is not the one that came last about it. Remembered with the
    /// group.
    pub(super) fn is_first(
        &mut self,
        whose: &str,
        what: &str,
        arrived: UnixMs,
        group: &mut Group,
    ) -> bool {
        // A clock that was set back makes nothing older than it is.
        let is_recent =
            |last: &Last| last.first <= arrived && arrived.since(last.first) < REPEAT_MAX;
        self.last.retain(is_recent);
        let (whose, what) = (hash(whose), hash(what));
        if self
            .last
            .iter()
            .any(|last| last.whose == whose && last.what == what)
        {
            return false;
        }
        self.last.retain(|last| last.whose != whose);
        if self.last.len() == ACCOUNTS_MAX {
            self.last.pop_front();
        }
        self.last.push_back(Last {
            whose,
            what,
            first: arrived,
        });
        let mut value = Vec::with_capacity(self.last.len() * STORED_BYTES);
        for last in &self.last {
            value.extend(last.whose.to_be_bytes());
            value.extend(last.what.to_be_bytes());
            value.extend(last.first.0.to_be_bytes());
        }
        group.change(StateChange {
            name: self.state.clone(),
            value: Some(value),
        });
        true
    }
}

fn hash(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let (first, _) = digest.split_first_chunk().expect("32 bytes begin with 8");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_fits_a_piece_of_state() {
        const { assert!(ACCOUNTS_MAX * STORED_BYTES <= crate::queue::STATE_BYTES_MAX) };
    }
}

//! Balances: which balances came a moment ago, so that a repeated push is known for one.

use crate::clock::UnixMs;
use crate::event::vos3000_push::Money;
use crate::ingest::Group;
use crate::queue::{Queue, QueueError, StateChange};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::time::Duration;

/// How long the same balance of the same account is a repeat of the first push.
///
/// The push has no time and no number of its own. Whether a switch repeats one that was not
/// answered is not documented; if it does, then at once or after a restart of either side. A
/// customer who tops up to the same amount again does so later than this.
const REPEAT_MAX: Duration = Duration::from_secs(300);

/// Most balances remembered: all that come within [`REPEAT_MAX`] at one a second. Beyond it a
/// repeat is told again, with another id.
const BALANCES_MAX: usize = 300;

/// Bytes of one balance in the stored state: its hash and when it came.
const STORED_BYTES: usize = 16;

/// The balances that came lately, oldest first; one piece of small state.
#[derive(Debug)]
pub(super) struct Balances {
    state: String,
    lately: VecDeque<(u64, UnixMs)>,
}

impl Balances {
    /// What had come when the agent stopped.
    pub(super) fn load(source: &str, queue: &Queue) -> Result<Balances, QueueError> {
        let state = format!("push/{source}/balances");
        let stored = queue.state_get(&state)?.unwrap_or_default();
        let mut lately = VecDeque::new();
        for entry in stored.chunks_exact(STORED_BYTES) {
            let number = |bytes: Option<&[u8]>| {
                let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                u64::from_be_bytes(bytes.unwrap_or_default())
            };
            let first = number(entry.get(8..16)).cast_signed();
            lately.push_back((number(entry.get(..8)), UnixMs(first)));
        }
        Ok(Balances { state, lately })
    }

    /// When this balance first came, if that is now; `None` for a repeat. The change goes with
    /// the group.
    pub(super) fn first(
        &mut self,
        money: &Money,
        arrived: UnixMs,
        group: &mut Group,
    ) -> Option<UnixMs> {
        // A clock that was set back makes nothing older than it is.
        let is_recent = |first: UnixMs| {
            first <= arrived && arrived.since(first) < REPEAT_MAX
        };
        self.lately.retain(|(_, first)| is_recent(*first));
        let hash = hash(money);
        if self.lately.iter().any(|(known, _)| *known == hash) {
            return None;
        }
        if self.lately.len() == BALANCES_MAX {
            self.lately.pop_front();
        }
        self.lately.push_back((hash, arrived));
        let mut value = Vec::with_capacity(self.lately.len() * STORED_BYTES);
        for (hash, first) in &self.lately {
            value.extend(hash.to_be_bytes());
            value.extend(first.0.to_be_bytes());
        }
        group.change(StateChange {
            name: self.state.clone(),
            value: Some(value),
        });
        Some(arrived)
    }
}

fn hash(money: &Money) -> u64 {
    let mut hash = Sha256::new();
    hash.update(money.account.as_bytes());
    hash.update([0]);
    hash.update(money.money.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let (first, _) = digest.split_first_chunk().expect("32 bytes begin with 8");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_fits_a_piece_of_state() {
        const { assert!(BALANCES_MAX * STORED_BYTES <= crate::queue::STATE_BYTES_MAX) };
    }
}

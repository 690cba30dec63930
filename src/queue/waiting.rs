//! Waiting: an event that waits for its own retry, apart from its endpoint's cursor.
//!
//! It is a copy of the event: the generation the event came in need not stay for it.

use super::Queued;
use super::block;
use super::encoding::{Fields, put_bytes, put_count, truncated};
use super::error::QueueError;
use crate::clock::UnixMs;
use crate::event::Sequence;

/// Longest reason kept with a waiting event or a dead letter, in bytes; a longer one is cut.
pub const REASON_BYTES_MAX: usize = 512;

const VERSION: u8 = 1;

/// An event that waits for its own retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Not before this. Wall-clock time, so that it means the same after a restart; whoever waits
    /// for it must mind that clocks are set.
    pub due: UnixMs,
    /// Attempts made so far.
    pub attempts: u32,
    /// What came of the last one; at most [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
    /// The event.
    pub queued: Queued,
}

impl Waiting {
    /// The value to store; due time and sequence are in the key.
    pub(super) fn encode(&self) -> Result<Vec<u8>, QueueError> {
        let mut out = vec![VERSION];
        put_count(&mut out, u64::from(self.attempts));
        put_bytes(
            &mut out,
            truncated(&self.reason, REASON_BYTES_MAX).as_bytes(),
        );
        out.extend_from_slice(&block::pack_one(&self.queued)?);
        Ok(out)
    }

    /// Reads what [`encode`](Waiting::encode) made of the event `sequence`, due at `due`.
    pub(super) fn decode(due: UnixMs, sequence: Sequence, value: &[u8]) -> Option<Waiting> {
        let mut fields = Fields(value);
        if fields.byte()? != VERSION {
            return None;
        }
        let attempts = u32::try_from(fields.count()?).ok()?;
        let reason = fields.text()?.to_owned();
        let queued = block::unpack(sequence, fields.0)?.into_iter().next()?;
        Some(Waiting {
            due,
            attempts,
            reason,
            queued,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::tests::any_event;
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        #[test]
        fn it_comes_back_as_it_was(event in any_event(), due: i64, attempts: u32, reason in "[ -~é]{0,30}") {
            let queued = Queued { sequence: Sequence(5), event: Arc::new(event) };
            let waiting = Waiting { due: UnixMs(due), attempts, reason, queued };
            let value = waiting.encode().unwrap();
            prop_assert_eq!(Waiting::decode(UnixMs(due), Sequence(5), &value), Some(waiting));
            prop_assert_eq!(Waiting::decode(UnixMs(due), Sequence(6), &value), None);
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = Waiting::decode(UnixMs(0), Sequence(1), &bytes);
        }
    }
}

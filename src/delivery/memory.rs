//! Memory: how many bytes of events an endpoint may hold, and holds.
//!
//! The agent's budget is divided beforehand: each endpoint has a share of its own, so that one
//! that is down and full of events takes nothing from the others. An event counts twice, for
//! itself and for the body or the stored copy made of it. An endpoint whose share is used up
//! takes nothing new out of the queue until something it holds is settled.
//!
//! One event always fits: one that is bigger than a whole share may be held alone, by one
//! endpoint at a time, in [`LARGE_BYTES`] set apart for that.

use crate::event::Event;
use crate::queue::EVENT_BYTES_MAX;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an event takes beside its own bytes, in bytes: its other fields, the entry, its place in
/// tables. Counted on x86_64, 2026-11, and rounded up.
const EVENT_OVERHEAD_BYTES: usize = 512;

/// Set apart for one event that is bigger than a share: the longest there is.
pub const LARGE_BYTES: usize = 2 * EVENT_BYTES_MAX + EVENT_OVERHEAD_BYTES;

/// Smallest share, in bytes: some hundred events of the usual size, or any line of 64 KiB whose
/// characters need no escaping.
pub const SHARE_BYTES_MIN: usize = 256 << 10;

/// A share when nobody has divided anything.
const SHARE_BYTES_DEFAULT: usize = 16 << 20;

/// An endpoint's part of the agent's budget.
#[derive(Debug, Clone)]
pub struct Share {
    /// In bytes.
    pub bytes: usize,
    /// Whether somebody holds an event bigger than a share. The same for all endpoints.
    is_large_out: Arc<AtomicBool>,
}

impl PartialEq for Share {
    fn eq(&self, other: &Share) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Share {}

impl Default for Share {
    fn default() -> Share {
        Share {
            bytes: SHARE_BYTES_DEFAULT,
            is_large_out: Arc::default(),
        }
    }
}

impl Share {
    /// Equal shares of `bytes` for `count` endpoints; `None` when that is too little.
    pub fn of(bytes: usize, count: usize) -> Option<Share> {
        let each = bytes.checked_sub(LARGE_BYTES)? / count.max(1);
        (each >= SHARE_BYTES_MIN).then(|| Share {
            bytes: each,
            is_large_out: Arc::default(),
        })
    }

    /// The least that can be divided among `count` endpoints, in bytes.
    pub fn least(count: usize) -> usize {
        LARGE_BYTES + count.max(1) * SHARE_BYTES_MIN
    }
}

/// What an endpoint holds of its share.
#[derive(Debug)]
pub(super) struct Memory {
    share: Share,
    held: usize,
    has_large: bool,
    /// Something did not fit since something was given back.
    is_short: bool,
    /// What the settlements hold that are not known to be durable, in their order.
    settling: VecDeque<usize>,
}

impl Memory {
    /// Nothing held of `share`.
    pub(super) fn new(share: Share) -> Memory {
        Memory {
            share,
            held: 0,
            has_large: false,
            is_short: false,
            settling: VecDeque::new(),
        }
    }

    /// From now on `share` is all there is. What is held beyond it stays until it is settled.
    pub(super) fn reshare(&mut self, share: Share) {
        if self.has_large {
            self.share.is_large_out.store(false, Ordering::SeqCst);
            share.is_large_out.store(true, Ordering::SeqCst);
        }
        self.share = share;
        // What did not fit may now.
        self.is_short = false;
    }

    /// The share, in bytes.
    pub(super) fn share_bytes(&self) -> usize {
        self.share.bytes
    }

    /// Takes room for `event`, if there is any.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        let bytes = cost(event);
        let fits = self.held + bytes <= self.share.bytes;
        if !fits {
            let has_turn = self.held == 0 && !self.share.is_large_out.swap(true, Ordering::SeqCst);
            if !has_turn {
                self.is_short = true;
                return false;
            }
            self.has_large = true;
        }
        self.held += bytes;
        self.is_short = false;
        true
    }

    /// Gives back what `event` took.
    pub(super) fn give_back(&mut self, event: &Event) {
        self.release(cost(event));
    }

    /// A settlement was handed over; where it carries a copy of an event, that is held until the
    /// settlement is durable. It is the copy's bytes that are there already: this cannot fail.
    pub(super) fn settling(&mut self, copy: Option<&Event>) {
        let bytes = copy.map_or(0, cost);
        self.held += bytes;
        self.settling.push_back(bytes);
    }

    /// The `count` settlements handed over first are durable.
    pub(super) fn settled(&mut self, count: u64) {
        for _ in 0..count {
            let Some(bytes) = self.settling.pop_front() else {
                return;
            };
            self.release(bytes);
        }
    }

    /// Bytes that may be asked of the queue: half of what is left, because an event counts twice.
    pub(super) fn room(&self) -> usize {
        self.share.bytes.saturating_sub(self.held) / 2
    }

    /// Whether something did not fit beside what is held, and nothing was given back since.
    pub(super) fn is_short(&self) -> bool {
        self.is_short && self.held > 0
    }

    /// Whether the last event to be taken did not fit, be it because of another endpoint.
    pub(super) fn was_refused(&self) -> bool {
        self.is_short
    }

    /// Bytes held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn release(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
        if bytes > 0 {
            self.is_short = false;
        }
        if self.held == 0 && std::mem::take(&mut self.has_large) {
            self.share.is_large_out.store(false, Ordering::SeqCst);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.has_large {
            self.share.is_large_out.store(false, Ordering::SeqCst);
        }
    }
}

/// What an event takes.
fn cost(event: &Event) -> usize {
    2 * event.data.len() + EVENT_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::profile::samples::queued;

    fn event(bytes: usize) -> Arc<Event> {
        queued(1, "cdr", &"x".repeat(bytes)).event
    }

    #[test]
    fn a_share_is_never_exceeded_but_for_one_event_at_a_time() {
        let share = Share {
            bytes: 10_000,
            is_large_out: Arc::default(),
        };
        let (mut one, mut other) = (Memory::new(share.clone()), Memory::new(share));
        let (small, large) = (event(1_000), event(6_000));
        let taken = std::iter::from_fn(|| one.take(&small).then_some(())).count();
        assert_eq!((taken, one.held(), one.is_short()), (3, 7_536, true));
        assert!(!one.take(&large), "not beside others");
        assert!(other.take(&large) && other.held() > 10_000);
        for _ in 0..3 {
            one.give_back(&small);
        }
        assert!(!one.is_short() && !one.take(&large), "not both at once");
        other.give_back(&large);
        assert!(one.take(&large));
        drop(one);
        assert!(other.take(&large));
    }

    #[test]
    fn another_share_holds_for_what_comes_and_leaves_what_is_held() {
        let of = |bytes| Share {
            bytes,
            is_large_out: Arc::default(),
        };
        let (small, large) = (event(1_000), event(6_000));
        let mut memory = Memory::new(of(10_000));
        assert!(memory.take(&small) && memory.take(&small) && memory.take(&small));
        memory.reshare(of(3_000));
        assert_eq!((memory.held(), memory.room()), (7_536, 0));
        assert!(!memory.take(&small) && memory.is_short());
        memory.reshare(of(20_000));
        assert!(!memory.is_short() && memory.take(&small));
        let mut one = Memory::new(of(10_000));
        assert!(one.take(&large));
        let share = of(10_000);
        one.reshare(share.clone());
        let mut other = Memory::new(share);
        assert!(!other.take(&large), "one such event at a time");
        one.give_back(&large);
        assert!(other.take(&large));
    }

    #[test]
    fn a_copy_in_a_settlement_is_held_until_it_is_durable() {
        let mut memory = Memory::new(Share::default());
        let event = event(1_000);
        assert!(memory.take(&event));
        memory.settling(None);
        memory.settling(Some(&event));
        memory.give_back(&event);
        memory.settled(1);
        assert_eq!(memory.held(), cost(&event));
        memory.settled(5);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn what_is_too_little_to_divide_is_said() {
        assert!(Share::of(Share::least(64), 64).is_some());
        assert!(Share::of(Share::least(64) - 1, 64).is_none());
        assert_eq!(
            Share::of(LARGE_BYTES + (12 << 20), 3).unwrap().bytes,
            4 << 20
        );
    }
}

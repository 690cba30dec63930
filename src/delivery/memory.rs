//! Memory: how many bytes of events an endpoint may hold, and holds.
//!
//! The agent's budget is divided beforehand: each endpoint has a share of its own, so that one
//! that is down and full of events takes nothing from the others. An event counts twice, for
//! itself and for the body or the stored copy made of it. An endpoint whose share is used up
//! takes nothing new out of the queue until something it holds is settled.
//!
//! Attempts under way take of the budget too: each has a thread and a connection. So an endpoint's
//! share says how many of them it may have, of those that the budget has room for.
//!
//! One event always fits: one that is bigger than a whole share may be held alone, by one
//! endpoint at a time, in [`LARGE_BYTES`] set apart for that.

use super::concurrency::CONCURRENCY_MAX;
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

/// What an attempt under way takes beside its event, in bytes: what its thread touches of its stack,
/// its connection's buffers, the request and the answer. Measured with 3,855 of them, x86_64,
/// 2026-11: 51 KB each; rounded up.
pub const SENDER_BYTES: usize = 56 << 10;

/// A share when nobody has divided anything.
const SHARE_BYTES_DEFAULT: usize = 16 << 20;

/// An endpoint's part of the agent's budget.
#[derive(Debug, Clone)]
pub struct Share {
    /// For events, in bytes.
    pub bytes: usize,
    /// Most attempts under way at once: at least one.
    pub senders: usize,
    /// Whether somebody holds an event bigger than a share. The same for all endpoints.
    is_large_out: Arc<AtomicBool>,
}

impl PartialEq for Share {
    fn eq(&self, other: &Share) -> bool {
        (self.bytes, self.senders) == (other.bytes, other.senders)
    }
}

impl Eq for Share {}

impl Default for Share {
    fn default() -> Share {
        Share {
            bytes: SHARE_BYTES_DEFAULT,
            senders: CONCURRENCY_MAX,
            is_large_out: Arc::default(),
        }
    }
}

impl Share {
    /// Shares of `bytes` for endpoints that want so many attempts under way at most; `None` when that
    /// is too little.
    ///
    /// Attempts get no more than half of what the smallest shares leave, and where that is not enough
    /// for all, those endpoints fewer that want most. The rest is divided equally.
    pub fn divide(bytes: usize, wanted: &[usize]) -> Option<Vec<Share>> {
        let count = wanted.len().max(1);
        let to_spare = bytes.checked_sub(Share::least(count))?;
        let most = most_each(wanted, count + to_spare / 2 / SENDER_BYTES);
        let senders: Vec<usize> = wanted.iter().map(|wanted| *wanted.min(&most)).collect();
        let for_events = bytes - LARGE_BYTES - senders.iter().sum::<usize>() * SENDER_BYTES;
        let is_large_out = Arc::default();
        let share = |senders| Share {
            bytes: for_events / count,
            senders,
            is_large_out: Arc::clone(&is_large_out),
        };
        Some(senders.into_iter().map(share).collect())
    }

    /// The smallest there is, for an endpoint alone.
    #[cfg(test)]
    pub(super) fn smallest() -> Share {
        Share {
            bytes: SHARE_BYTES_MIN,
            ..Share::default()
        }
    }

    /// The least that can be divided among `count` endpoints, in bytes.
    pub fn least(count: usize) -> usize {
        LARGE_BYTES + count.max(1) * (SHARE_BYTES_MIN + SENDER_BYTES)
    }
}

/// Most that each may have of what is `wanted`, at least one, for all together to have no more than
/// `total`.
fn most_each(wanted: &[usize], total: usize) -> usize {
    let of = |most: usize| {
        wanted
            .iter()
            .map(|wanted| *wanted.min(&most))
            .sum::<usize>()
    };
    (1..=CONCURRENCY_MAX)
        .take_while(|&most| most == 1 || of(most) <= total)
        .last()
        .unwrap_or(1)
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
            senders: 1,
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
            senders: 1,
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
        assert!(Share::divide(Share::least(64), &[64; 64]).is_some());
        assert!(Share::divide(Share::least(64) - 1, &[64; 64]).is_none());
    }

    #[test]
    fn events_and_attempts_together_are_within_what_is_divided() {
        for (mib, wanted) in [
            (54, vec![64; 1]),
            (54, vec![64; 3]),
            (54, vec![64; 64]),
            (54, vec![1, 16, 64, 64]),
            (30, [vec![64; 20], vec![2; 20]].concat()),
            (500, vec![64; 64]),
        ] {
            let bytes = mib << 20;
            let shares = Share::divide(bytes, &wanted).unwrap();
            let taken: usize = shares
                .iter()
                .map(|share| share.bytes + share.senders * SENDER_BYTES)
                .sum();
            assert!(taken + LARGE_BYTES <= bytes, "{mib} MiB for {wanted:?}");
            let of_all = shares.iter().zip(&wanted);
            assert!(
                of_all
                    .clone()
                    .all(|(share, wanted)| share.senders <= *wanted)
            );
            assert!(shares.iter().all(|share| share.bytes >= SHARE_BYTES_MIN));
            assert!(shares.iter().all(|share| share.senders >= 1));
        }
    }

    #[test]
    fn a_few_endpoints_have_all_the_attempts_they_want_and_many_have_fewer() {
        let senders = |mib: usize, wanted: &[usize]| -> Vec<usize> {
            let shares = Share::divide(mib << 20, wanted).unwrap();
            shares.iter().map(|share| share.senders).collect()
        };
        assert_eq!(senders(54, &[64; 7]), [64; 7]);
        assert_eq!(senders(54, &[64; 64]), [5; 64]);
        // Who wants little has it.
        let mixed = [vec![1; 32], vec![64; 32]].concat();
        assert_eq!(senders(54, &mixed), [vec![1; 32], vec![10; 32]].concat());
        assert_eq!(senders(310, &[64; 64]), [42; 64]);
    }
}

//! Recent: the ids told a moment ago by a sender that repeats what was not answered.
//!
//! A repeat is told by nobody and counted for nothing: figures per gateway add up to the calls, not to
//! how often each was reported. What is remembered is small state, committed with the rows: a report
//! that was durable before a crash is a repeat after it too.
//!
//! ```text
//! name    derive/ source "/recent/" the piece's number modulo the pieces there are
//! value   the piece's number, 8 bytes big-endian, and its ids, 16 bytes each
//! ```
//!
//! Ids are numbered as they come; a commit writes the pieces that got new ones.

use crate::event::EventId;
use crate::queue::StateChange;
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Most ids remembered: what comes in four seconds at 1,000 a second. What is repeated later is told
/// again with the same id.
pub const IDS_MAX: usize = 4_096;

/// Ids of one piece: a commit of a single row writes a kibibyte at most.
const PIECE_IDS: usize = 64;

/// Pieces there are: one more than are whole, for the one that is being filled.
const PIECES: u64 = (IDS_MAX / PIECE_IDS) as u64 + 1;

/// The ids told lately, oldest first.
#[derive(Debug)]
pub struct Recent {
    prefix: String,
    order: VecDeque<EventId>,
    ids: HashSet<EventId>,
    /// How many there have been.
    count: u64,
    /// How many of them are committed.
    committed: u64,
}

impl Recent {
    /// Those of the source whose state begins with `prefix`, as `stored` has them.
    pub fn load(prefix: &str, stored: &[(String, Vec<u8>)]) -> Recent {
        let prefix = format!("{prefix}recent/");
        let pieces: BTreeMap<u64, Vec<EventId>> = stored
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix))
            .filter_map(|(_, value)| {
                let (number, ids) = value.split_first_chunk()?;
                let ids = ids.as_chunks().0.iter().map(|id| EventId(*id)).collect();
                Some((u64::from_be_bytes(*number), ids))
            })
            .collect();
        let (mut order, mut count) = (VecDeque::new(), 0);
        let mut expected = None;
        // From the newest back as far as they are whole.
        for (number, ids) in pieces.into_iter().rev() {
            match expected {
                None => count = number.saturating_mul(PIECE_IDS as u64) + ids.len() as u64,
                Some(next) if next == number && ids.len() == PIECE_IDS => {}
                Some(_) => break,
            }
            expected = number.checked_sub(1);
            ids.into_iter().rev().for_each(|id| order.push_front(id));
            if expected.is_none() {
                break;
            }
        }
        order.drain(..order.len().saturating_sub(IDS_MAX));
        Recent {
            ids: order.iter().copied().collect(),
            order,
            prefix,
            count,
            committed: count,
        }
    }

    /// Whether `id` was told lately.
    pub fn knows(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }

    /// Whether `id` was not told lately; from now on it was.
    pub fn is_new(&mut self, id: EventId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        self.count += 1;
        if self.order.len() > IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    /// The pieces that changed since the last call, to be committed with what told them.
    pub fn take_changes(&mut self, changes: &mut Vec<StateChange>) {
        let first = self.count.saturating_sub(self.order.len() as u64);
        let mut from = self.committed / PIECE_IDS as u64 * PIECE_IDS as u64;
        while self.committed < self.count && from < self.count {
            let skipped = usize::try_from(from.max(first) - first).unwrap_or(usize::MAX);
            let end = from + PIECE_IDS as u64;
            let ids = usize::try_from(end.saturating_sub(from.max(first))).unwrap_or(0);
            let number = from / PIECE_IDS as u64;
            let mut value = number.to_be_bytes().to_vec();
            for id in self.order.iter().skip(skipped).take(ids) {
                value.extend(id.0);
            }
            changes.push(StateChange {
                name: format!("{}{}", self.prefix, number % PIECES),
                value: Some(value),
            });
            from = end;
        }
        self.committed = self.count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::STATE_BYTES_MAX;

    fn id(number: u64) -> EventId {
        EventId(u128::from(number).to_be_bytes())
    }

    #[test]
    fn the_latest_ids_are_known_and_no_more_than_the_bound() {
        let mut recent = Recent::load("derive/s/", &[]);
        for number in 0..2 * IDS_MAX as u64 {
            assert!(recent.is_new(id(number)));
            assert!(!recent.is_new(id(number)));
        }
        assert_eq!((recent.order.len(), recent.ids.len()), (IDS_MAX, IDS_MAX));
        assert!(recent.is_new(id(0)));
        assert!(!recent.is_new(id(2 * IDS_MAX as u64 - 1)));
    }

    #[test]
    fn what_was_committed_is_known_after_a_restart_whenever_that_is() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut stored = BTreeMap::new();
        let mut recent = Recent::load("derive/s/", &[]);
        let mut next = 0;
        for _ in 0..400 {
            for _ in 0..rng.u64(0..200) {
                assert!(recent.is_new(id(next)), "{next}");
                next += 1;
            }
            let mut changes = Vec::new();
            recent.take_changes(&mut changes);
            for change in changes {
                let value = change.value.unwrap();
                assert!(value.len() <= STATE_BYTES_MAX);
                stored.insert(change.name, value);
            }
            if rng.u8(0..4) == 0 {
                // What comes before the next commit is lost with the crash.
                assert!(recent.is_new(id(u64::MAX)));
                let kept: Vec<_> = stored.clone().into_iter().collect();
                recent = Recent::load("derive/s/", &kept);
                let known = (next.saturating_sub(IDS_MAX as u64 - 64)..next).collect::<Vec<_>>();
                assert!(known.iter().all(|number| !recent.is_new(id(*number))));
            }
        }
        assert!(next > 4 * IDS_MAX as u64 && stored.len() as u64 == PIECES);
        // A piece that is damaged costs no more than what it and those before it knew.
        let damaged: Vec<_> = stored
            .into_iter()
            .map(|(name, value)| {
                let is_hit = name.ends_with("/9");
                (name, if is_hit { value[..100].to_vec() } else { value })
            })
            .collect();
        let mut recent = Recent::load("derive/s/", &damaged);
        assert!(!recent.is_new(id(next - 1)) && recent.is_new(id(next)));
    }
}

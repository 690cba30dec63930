//! Recent: the ids told a moment ago. A sender whose answer was lost repeats its push at once; its
//! receivers need not see that.

use crate::event::EventId;
use std::collections::{HashSet, VecDeque};

/// Most ids remembered, in memory only: what comes in four seconds at 1,000 a second. A repeat
/// after that, or after a restart, is told again with the same id.
const IDS_MAX: usize = 4_096;

/// The ids told lately, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    order: VecDeque<EventId>,
    ids: HashSet<EventId>,
}

impl Recent {
    /// Whether `id` was not told lately; from now on it was.
    pub(super) fn is_new(&mut self, id: EventId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_ids_are_known_and_no_more_than_the_bound() {
        let id = |number: usize| EventId((number as u128).to_be_bytes());
        let mut recent = Recent::default();
        for number in 0..2 * IDS_MAX {
            assert!(recent.is_new(id(number)));
            assert!(!recent.is_new(id(number)));
        }
        assert_eq!((recent.order.len(), recent.ids.len()), (IDS_MAX, IDS_MAX));
        assert!(recent.is_new(id(0)));
        assert!(!recent.is_new(id(2 * IDS_MAX - 1)));
    }
}

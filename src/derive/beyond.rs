//! Beyond: the accounts that the durable table has no room for. Bounded, and in memory only.
//!
//! Where most accounts of an export are below a threshold, as the cards are that nobody uses any more, each
//! export would push out of the table what the one before had put there, and every account would be told
//! with every export. So what is pushed out is kept here, in a form so short that there is room for many.
//!
//! **Crash argument.** Nothing of it is on disk: after a restart these accounts are unknown, and those still
//! below are told once more. That the durable table has lost them was committed with the row that took
//! their place.

use super::balance::{Account, THRESHOLDS_MAX, Threshold};
use super::table::Key;
use std::collections::HashMap;

/// Most accounts known beyond the durable ones: with those 131,072, in some 5 MB.
pub const BEYOND_MAX: usize = 7 << 14;

/// The accounts, by their keys in the durable table.
#[derive(Debug, Default)]
pub struct Beyond(HashMap<Key, Brief>);

/// What is known of an account: a bit for each of its thresholds, highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brief {
    /// It fell below this one and has not come up again.
    pub low: u16,
    /// That was told.
    pub told: u16,
    /// It was told of this one at some time.
    pub was_told: u16,
    /// When it was told last of any, in ms since 1970.
    pub told_at: i64,
}

const _: () = assert!(THRESHOLDS_MAX <= u16::BITS as usize);

impl Beyond {
    /// Keeps what is known of the account `key` by the `thresholds` of all that have none of their own.
    /// False where there is no room for it, or it has others.
    pub fn put(&mut self, key: Key, account: &Account, thresholds: &[Threshold]) -> bool {
        let Some(brief) = account.brief(thresholds) else {
            return false;
        };
        let has_room = self.0.len() < BEYOND_MAX || self.0.contains_key(&key);
        if has_room {
            self.0.insert(key, brief);
        }
        has_room
    }

    /// What is known of the account `key`, which has the `thresholds` of all.
    pub fn get(&self, key: Key, thresholds: &[Threshold]) -> Option<Account> {
        let brief = self.0.get(&key)?;
        Some(Account::of_brief(*brief, thresholds))
    }

    /// Forgets the account `key`.
    pub fn remove(&mut self, key: Key) {
        self.0.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::balance::{Rearm, judge};
    use super::super::table;
    use super::*;
    use crate::clock::UnixMs;
    use crate::event::amount::Amount;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(86_400);

    fn steps(texts: &[&str]) -> Vec<Threshold> {
        let parse = |text: &&str| Threshold::parse(text).unwrap();
        texts.iter().map(parse).collect()
    }

    /// What is known of an account of 15 with the thresholds 20 and 10.
    fn account() -> Account {
        let balance = Amount::parse("15").unwrap();
        let is_below = |it: &Threshold| Rearm::Share(1_000).is_below(it.amount, balance);
        judge(None, &steps(&["20", "10"]), is_below, UnixMs(5), DAY).0
    }

    #[test]
    fn what_is_known_in_short_is_what_was_known() {
        let (mut beyond, thresholds) = (Beyond::default(), steps(&["20.00", "10"]));
        let key = table::key(["A"]);
        assert!(beyond.put(key, &account(), &thresholds));
        let known = beyond.get(key, &steps(&["20", "10"])).unwrap();
        assert_eq!(known, account());
        beyond.remove(key);
        assert_eq!(beyond.get(key, &thresholds), None);
        assert!(
            !beyond.put(key, &account(), &steps(&["50"])),
            "it has thresholds of its own"
        );
    }

    #[test]
    fn it_is_bounded() {
        let (mut beyond, thresholds) = (Beyond::default(), steps(&["20", "10"]));
        let key = |number: usize| table::key([number.to_string().as_str()]);
        for number in 0..BEYOND_MAX {
            assert!(beyond.put(key(number), &account(), &thresholds));
        }
        assert!(!beyond.put(key(BEYOND_MAX), &account(), &thresholds));
        assert!(beyond.put(key(0), &account(), &thresholds), "it is there");
    }
}

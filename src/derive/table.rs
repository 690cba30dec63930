//! Table: what one machine remembers, by key. Bounded, and durable with the commit of the rows.
//!
//! Each entry is a piece of small state of its own, so a commit writes only what changed:
//!
//! ```text
//! name    machine "/" source "/" the key's hash, 32 hexadecimal digits
//! value   {"v":1,"t":instant in ms,"e":the entry}
//! ```

use crate::clock::UnixMs;
use crate::event::{EventId, id};
use crate::queue::{STATE_BYTES_MAX, StateChange};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Version of an entry on disk; entries of another one are not read.
const VERSION: u8 = 1;

/// What an entry is found by: a hash of the texts that identify it.
pub type Key = EventId;

/// The key of `parts`.
pub fn key<'p>(parts: impl IntoIterator<Item = &'p str>) -> Key {
    id::of_key("", "", parts.into_iter())
}

/// The entries of one machine of one source.
#[derive(Debug)]
pub struct Table<E> {
    prefix: String,
    max: usize,
    entries: HashMap<Key, (UnixMs, E)>,
    /// Which entries go before all others when there are too many.
    goes_first: fn(&E) -> bool,
    /// Those that go first, then the others; of both the oldest first.
    ages: BTreeSet<(Stays, UnixMs, Key)>,
    changed: BTreeMap<Key, Option<Vec<u8>>>,
    evicted: u64,
}

/// Whether an entry is none of those that go first.
type Stays = bool;

/// An entry on disk.
#[derive(Serialize, Deserialize)]
struct Kept<E> {
    v: u8,
    t: i64,
    e: E,
}

impl<E: Serialize + DeserializeOwned> Table<E> {
    /// The table called `prefix`, holding at most `max` entries, as `stored` has it; what cannot
    /// be read of it is counted as evicted.
    pub fn load(prefix: String, max: usize, stored: &[(String, Vec<u8>)]) -> Table<E> {
        Table::load_ranked(prefix, max, stored, |_| false)
    }

    /// The same, of which entries for which `goes_first` holds go before all others.
    pub fn load_ranked(
        prefix: String,
        max: usize,
        stored: &[(String, Vec<u8>)],
        goes_first: fn(&E) -> bool,
    ) -> Table<E> {
        let mut table = Table {
            prefix,
            max,
            entries: HashMap::new(),
            goes_first,
            ages: BTreeSet::new(),
            changed: BTreeMap::new(),
            evicted: 0,
        };
        for (name, value) in stored {
            let Some(rest) = name.strip_prefix(&table.prefix) else {
                continue;
            };
            let found = rest.strip_prefix('/').and_then(read_key).zip(
                serde_json::from_slice::<Kept<E>>(value)
                    .ok()
                    .filter(|kept| kept.v == VERSION),
            );
            match found {
                Some((key, kept)) => {
                    let stays = !goes_first(&kept.e);
                    table.ages.insert((stays, UnixMs(kept.t), key));
                    table.entries.insert(key, (UnixMs(kept.t), kept.e));
                }
                None => table.evicted += 1,
            }
        }
        table
    }

    /// The entry of `key`.
    pub fn get(&self, key: Key) -> Option<&E> {
        self.entries.get(&key).map(|(_, entry)| entry)
    }

    /// Remembers `entry`, last touched at `at`. Where that makes too many, the [oldest](Table::oldest) is
    /// forgotten and counted. False when the entry is too long to be kept: nothing is remembered then.
    pub fn put(&mut self, key: Key, entry: E, at: UnixMs) -> bool {
        let kept = Kept {
            v: VERSION,
            t: at.0,
            e: entry,
        };
        let value = serde_json::to_vec(&kept).unwrap_or_default();
        if value.is_empty() || value.len() > STATE_BYTES_MAX {
            self.remove(key);
            self.evicted += 1;
            return false;
        }
        let stays = !(self.goes_first)(&kept.e);
        if let Some((before, entry)) = self.entries.insert(key, (at, kept.e)) {
            self.ages.remove(&(!(self.goes_first)(&entry), before, key));
        }
        self.ages.insert((stays, at, key));
        self.changed.insert(key, Some(value));
        while self.entries.len() > self.max
            && let Some(&(.., oldest)) = self.ages.first()
        {
            self.remove(oldest);
            self.evicted += 1;
        }
        true
    }

    /// Forgets the entry of `key`; gives it back.
    pub fn remove(&mut self, key: Key) -> Option<E> {
        let (at, entry) = self.entries.remove(&key)?;
        self.ages.remove(&(!(self.goes_first)(&entry), at, key));
        self.changed.insert(key, None);
        Some(entry)
    }

    /// The entry that goes first: the one touched longest ago, of those that go before others if there
    /// are any.
    pub fn oldest(&self) -> Option<(UnixMs, Key, &E)> {
        let (_, at, key) = self.ages.first().copied()?;
        self.get(key).map(|entry| (at, key, entry))
    }

    /// All entries, in the order in which they would go.
    pub fn entries(&self) -> impl Iterator<Item = (Key, &E)> {
        self.ages
            .iter()
            .filter_map(|(.., key)| Some((*key, self.get(*key)?)))
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether another entry would push out the oldest.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= self.max
    }

    /// Entries forgotten for want of room, or that could not be read, since the last call.
    pub fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// What changed since the last call, to be committed with the rows that changed it.
    pub fn take_changes(&mut self, changes: &mut Vec<StateChange>) {
        for (key, value) in std::mem::take(&mut self.changed) {
            changes.push(StateChange {
                name: format!("{}/{}", self.prefix, hex(key)),
                value,
            });
        }
    }
}

fn hex(key: Key) -> String {
    key.to_string().trim_start_matches("evt_").to_owned()
}

fn read_key(text: &str) -> Option<Key> {
    let number = u128::from_str_radix(text, 16).ok()?;
    (text.len() == 32).then(|| EventId(number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(table: &mut Table<String>) -> Vec<(String, Vec<u8>)> {
        let mut changes = Vec::new();
        table.take_changes(&mut changes);
        changes
            .into_iter()
            .filter_map(|change| Some((change.name, change.value?)))
            .collect()
    }

    #[test]
    fn what_was_put_is_loaded_again_and_only_what_changed_is_written() {
        let mut table = Table::load("alarm/a".into(), 10, &[]);
        for name in ["x", "y"] {
            assert!(table.put(key([name]), name.to_owned(), UnixMs(7)));
        }
        let first = stored(&mut table);
        assert_eq!((first.len(), stored(&mut table).len()), (2, 0));
        let loaded: Table<String> = Table::load("alarm/a".into(), 10, &first);
        assert_eq!(loaded.get(key(["x"])).map(String::as_str), Some("x"));
        // Another source whose name begins like this one's.
        let other: Table<String> = Table::load("alarm/".into(), 10, &first);
        assert_eq!(other.count(), 0);
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many_and_is_counted() {
        let mut table = Table::load("t".into(), 2, &[]);
        for (name, at) in [("a", 3), ("b", 1), ("c", 2)] {
            table.put(key([name]), name.to_owned(), UnixMs(at));
        }
        assert_eq!((table.count(), table.take_evicted()), (2, 1));
        assert_eq!(table.get(key(["b"])), None);
        assert_eq!(table.oldest().map(|(at, ..)| at), Some(UnixMs(2)));
    }

    #[test]
    fn what_goes_first_goes_before_what_is_older() {
        let goes_first = |entry: &String| entry == "done";
        let mut table = Table::load_ranked("t".into(), 2, &[], goes_first);
        for (name, entry, at) in [("a", "", 1), ("b", "done", 2), ("c", "", 3)] {
            table.put(key([name]), entry.to_owned(), UnixMs(at));
        }
        assert_eq!((table.count(), table.get(key(["b"]))), (2, None));
        // Also after a restart, and once it is done with.
        let mut table = Table::load_ranked("t".into(), 2, &stored(&mut table), goes_first);
        table.put(key(["c"]), "done".to_owned(), UnixMs(3));
        table.put(key(["d"]), String::new(), UnixMs(4));
        assert_eq!((table.count(), table.get(key(["c"]))), (2, None));
        assert_eq!(table.entries().count(), 2);
    }

    #[test]
    fn an_entry_too_long_for_the_queue_is_never_given_to_it() {
        let mut table = Table::load("t".into(), 2, &[]);
        assert!(!table.put(key(["a"]), "x".repeat(STATE_BYTES_MAX), UnixMs(1)));
        assert_eq!((table.count(), table.take_evicted()), (0, 1));
        assert!(stored(&mut table).is_empty());
    }

    #[test]
    fn what_another_version_wrote_is_counted_and_passed_over() {
        let name = format!("t/{}", hex(key(["a"])));
        let value = b"{\"v\":9,\"t\":1,\"e\":\"x\"}".to_vec();
        let mut table: Table<String> = Table::load("t".into(), 2, &[(name, value)]);
        assert_eq!((table.count(), table.take_evicted()), (0, 1));
    }
}

//! Standing: the last list of alarms, which the next one is compared with.

use crate::event::vos3000_push::{Alarm, Edge};
use crate::ingest::Group;
use crate::queue::{Queue, QueueError, StateChange};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

/// The alarms that stand, by type, name and start.
///
/// Each is a piece of the queue's small state, changed in the commit of the event that tells of
/// it: after a crash the list is as old as the events, so that nothing is raised twice or never
/// cleared. At most [`ALARMS_MAX`](crate::event::vos3000_push::ALARMS_MAX) are read of a list.
#[derive(Debug)]
pub(super) struct Standing {
    prefix: String,
    alarms: BTreeMap<Key, Alarm>,
}

type Key = (String, String, i64);

/// What a list has changed.
#[derive(Debug)]
pub(super) struct Compared {
    /// What went, and then what came, in the order of the list.
    pub(super) edges: Vec<(Alarm, Edge)>,
    /// There are more changes than were asked for.
    pub(super) more: bool,
}

impl Standing {
    /// What stood when the agent stopped.
    pub(super) fn load(source: &str, queue: &Queue) -> Result<Standing, QueueError> {
        let prefix = format!("push/{source}/alarm/");
        let mut alarms = BTreeMap::new();
        for (name, value) in queue.states(&prefix)? {
            match serde_json::from_slice::<Alarm>(&value) {
                Ok(alarm) => drop(alarms.insert(key(&alarm), alarm)),
                // It is raised again by the next list that holds it, and never cleared otherwise.
                Err(error) => log::warn!("alarm not remembered state={name:?} error=\"{error}\""),
            }
        }
        Ok(Standing { prefix, alarms })
    }

    /// Takes `list` for what stands now, as far as that brings no more than `most` changes. The changes go
    /// with the group; the same list brings those that are left.
    pub(super) fn compare(&mut self, list: &[Alarm], most: usize, group: &mut Group) -> Compared {
        let mut edges = Vec::new();
        let mut listed: HashSet<Key> = list.iter().map(key).collect();
        let gone: Vec<Key> = self
            .alarms
            .keys()
            .filter(|key| !listed.contains(key))
            .take(most + 1)
            .cloned()
            .collect();
        for key in gone {
            if edges.len() == most {
                return Compared { edges, more: true };
            }
            if let Some(alarm) = self.alarms.remove(&key) {
                group.change(self.state(&key, None));
                edges.push((alarm, Edge::Cleared));
            }
        }
        for alarm in list {
            let key = key(alarm);
            if !listed.remove(&key) {
                continue; // Twice in one list.
            }
            let edge = match self.alarms.get(&key) {
                None => Some(Edge::Raised),
                Some(known) if known.level != alarm.level => Some(Edge::Changed),
                Some(_) => None,
            };
            if let Some(edge) = edge {
                if edges.len() == most {
                    return Compared { edges, more: true };
                }
                let value = serde_json::to_vec(alarm).expect("texts and a number are JSON");
                group.change(self.state(&key, Some(value)));
                edges.push((alarm.clone(), edge));
            }
            self.alarms.insert(key, alarm.clone());
        }
        Compared { edges, more: false }
    }

    /// Whether the alarm is one of those that stand.
    pub(super) fn has(&self, alarm: &Alarm) -> bool {
        self.alarms.contains_key(&key(alarm))
    }

    /// A change of the state that stands for the alarm of `key`; its name is of fixed length.
    fn state(&self, key: &Key, value: Option<Vec<u8>>) -> StateChange {
        let mut hash = Sha256::new();
        hash.update(key.0.as_bytes());
        hash.update([0]);
        hash.update(key.1.as_bytes());
        hash.update([0]);
        hash.update(key.2.to_be_bytes());
        let mut name = self.prefix.clone();
        for byte in hash.finalize().iter().take(16) {
            write!(name, "{byte:02x}").expect("a String takes everything");
        }
        StateChange { name, value }
    }
}

fn key(alarm: &Alarm) -> Key {
    (alarm.kind.clone(), alarm.name.clone(), alarm.start_ms)
}

#[cfg(test)]
mod tests {
    use crate::event::vos3000_push::ALARM_BYTES_MAX;
    use crate::queue::STATE_BYTES_MAX;

    #[test]
    fn an_alarm_that_is_read_fits_a_piece_of_state() {
        const { assert!(ALARM_BYTES_MAX <= STATE_BYTES_MAX) };
    }
}

//! Told: of which endpoints it was said that they fail, so that it is said when they work again.
//!
//! Written down with the alert that said it, so this outlives a reload that makes the endpoint anew
//! and a restart of the agent: who was told of the failure is told of its end, and how long it
//! lasted.

use crate::clock::UnixMs;
use crate::queue::{Queue, StateChange};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Begins the names of this state.
const PREFIX: &str = "told/";

const VERSION: u8 = 1;

/// What was said of an endpoint and is not over as far as anyone was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// That it is failing: since then.
    pub failing: Option<UnixMs>,
    /// That its own address is, and a fallback is in use: since then.
    pub on_fallback: Option<UnixMs>,
}

impl Told {
    fn encode(self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for since in [self.failing, self.on_fallback] {
            // No failure began in 1970.
            out.extend_from_slice(&since.unwrap_or_default().0.to_be_bytes());
        }
        out
    }

    fn decode(value: &[u8]) -> Option<Told> {
        let rest = value.strip_prefix(&[VERSION])?;
        let (failing, rest) = rest.split_first_chunk::<8>()?;
        let (on_fallback, rest) = rest.split_first_chunk::<8>()?;
        let since =
            |bytes: &[u8; 8]| Some(i64::from_be_bytes(*bytes)).filter(|millis| *millis != 0);
        rest.is_empty().then_some(Told {
            failing: since(failing).map(UnixMs),
            on_fallback: since(on_fallback).map(UnixMs),
        })
    }
}

/// What was said of each endpoint. At most one entry for each the queue knows.
#[derive(Debug, Default)]
pub(super) struct Sayings {
    told: BTreeMap<Arc<str>, Told>,
    /// Those whose entry is not on disk as it is here.
    changed: BTreeSet<Arc<str>>,
}

impl Sayings {
    /// What is written in `queue`, as far as it is of endpoints that the queue still knows. What
    /// cannot be read was not said.
    pub(super) fn load(queue: &Queue) -> Sayings {
        let mut sayings = Sayings::default();
        let ledger = queue.ledger();
        for (name, value) in queue.states(PREFIX).unwrap_or_default() {
            let Some(endpoint) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let told = Told::decode(&value).filter(|_| ledger.endpoint(endpoint).is_some());
            match told {
                Some(told) => drop(sayings.told.insert(endpoint.into(), told)),
                None => drop(sayings.changed.insert(endpoint.into())),
            }
        }
        sayings
    }

    /// What was said of an endpoint.
    pub(super) fn of(&self, endpoint: &str) -> Told {
        self.told.get(endpoint).copied().unwrap_or_default()
    }

    /// This was said of an endpoint, and nothing else.
    pub(super) fn say(&mut self, endpoint: &Arc<str>, told: Told) {
        if self.of(endpoint) == told {
            return;
        }
        if told == Told::default() {
            self.told.remove(endpoint);
        } else {
            self.told.insert(Arc::clone(endpoint), told);
        }
        self.changed.insert(Arc::clone(endpoint));
    }

    /// What is to be written down.
    pub(super) fn changes(&mut self) -> Vec<StateChange> {
        let changed = std::mem::take(&mut self.changed);
        let change = |endpoint: Arc<str>| StateChange {
            name: format!("{PREFIX}{endpoint}"),
            value: self.told.get(&endpoint).map(|told| told.encode()),
        };
        changed.into_iter().map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::AttachFrom;

    #[test]
    fn what_was_said_outlives_the_process_for_endpoints_that_are_still_there() {
        let directory = tempfile::tempdir().unwrap();
        let queue = Queue::open(directory.path(), "node").unwrap();
        queue.attach("billing", AttachFrom::Now).unwrap();
        let told = Told {
            failing: Some(UnixMs(1_775_745_045_000)),
            on_fallback: None,
        };
        let mut sayings = Sayings::load(&queue);
        for name in ["billing", "gone"] {
            sayings.say(&name.into(), told);
        }
        queue.commit_with(&[], &sayings.changes()).unwrap();
        assert!(sayings.changes().is_empty());
        drop(queue);
        let queue = Queue::open(directory.path(), "node").unwrap();
        let mut sayings = Sayings::load(&queue);
        assert_eq!(sayings.of("billing"), told);
        assert_eq!(sayings.of("gone"), Told::default());
        sayings.say(&"billing".into(), Told::default());
        queue.commit_with(&[], &sayings.changes()).unwrap();
        assert!(queue.states(PREFIX).unwrap().is_empty());
    }

    #[test]
    fn bytes_of_something_else_were_not_said() {
        for bytes in [&b""[..], b"\x02", b"\x01\0\0\0", &[1; 18]] {
            assert_eq!(Told::decode(bytes), None);
        }
    }
}

//! Model: the queue's promises without a disk, for histories to be compared with.

use super::{
    AttachFrom, DeadLetter, Queued, Settled, Settlement, SourceBatch, SourceTotals, Waiting,
};
use crate::event::{Event, Sequence};
use crate::source::{FileKey, FilePosition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything the queue should know.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) events: Vec<Arc<Event>>,
    pub(super) endpoints: BTreeMap<Arc<str>, ModelEndpoint>,
    pub(super) sources: BTreeMap<Arc<str>, SourceTotals>,
    pub(super) positions: BTreeMap<(Arc<str>, FileKey), FilePosition>,
    pub(super) dead: BTreeMap<(Arc<str>, Sequence), DeadLetter>,
    state: BTreeMap<String, Vec<u8>>,
    staged: BTreeMap<String, Vec<u8>>,
}

/// What one endpoint should have had.
#[derive(Debug)]
pub(super) struct ModelEndpoint {
    pub(super) since: Sequence,
    /// The first event without a fate.
    cursor: Sequence,
    pub(super) fates: BTreeMap<Sequence, Fate>,
}

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    Skipped,
    Dead,
    Dropped,
    Waits(Waiting),
}

impl Model {
    pub(super) fn next(&self) -> Sequence {
        Sequence::FIRST.plus(self.events.len() as u64)
    }

    pub(super) fn commit(&mut self, batch: &SourceBatch) {
        self.events
            .extend(batch.events.iter().cloned().map(Arc::new));
        for &file in &batch.forgotten {
            self.positions.remove(&(Arc::clone(&batch.source), file));
        }
        for position in &batch.positions {
            self.positions
                .insert((Arc::clone(&batch.source), position.key), position.clone());
        }
        let totals = self.sources.entry(Arc::clone(&batch.source)).or_default();
        totals.add(batch.counts, batch.events.len() as u64);
        self.state.append(&mut self.staged);
    }

    /// `oldest` is what the queue still has; it may have dropped what no endpoint needs.
    pub(super) fn attach(&mut self, endpoint: &Arc<str>, from: AttachFrom, oldest: Sequence) {
        let since = match from {
            AttachFrom::Now => self.next(),
            AttachFrom::Oldest => oldest,
        };
        let fresh = ModelEndpoint {
            since,
            cursor: since,
            fates: BTreeMap::new(),
        };
        self.endpoints.entry(Arc::clone(endpoint)).or_insert(fresh);
    }

    pub(super) fn detach(&mut self, endpoint: &str) {
        self.endpoints.remove(endpoint);
    }

    /// Whether `new` takes over from `old`.
    pub(super) fn adopt(&mut self, old: &Arc<str>, new: &Arc<str>) -> bool {
        let next = self.next();
        let gives_way = self.endpoints.get(new).is_none_or(|own| own.since == next);
        if old == new || !gives_way {
            return false;
        }
        let Some(endpoint) = self.endpoints.remove(old) else {
            return false;
        };
        self.endpoints.insert(Arc::clone(new), endpoint);
        for ((name, sequence), letter) in std::mem::take(&mut self.dead) {
            let name = if name == *old { Arc::clone(new) } else { name };
            self.dead.insert((name, sequence), letter);
        }
        true
    }

    /// Everything before `oldest` is gone.
    pub(super) fn drop_before(&mut self, oldest: Sequence) {
        for endpoint in self.endpoints.values_mut() {
            for sequence in endpoint.since.0..oldest.0 {
                let fate = endpoint.fates.entry(Sequence(sequence));
                fate.or_insert(Fate::Dropped);
            }
            endpoint.advance();
        }
    }

    pub(super) fn settle(&mut self, settled: Vec<Settled>) {
        for Settled {
            endpoint: name,
            sequence,
            settlement,
        } in settled
        {
            let Some(endpoint) = self.endpoints.get_mut(&name) else {
                continue;
            };
            let open = matches!(endpoint.fates.get(&sequence), None | Some(Fate::Waits(_)));
            if !open || sequence < endpoint.since {
                continue;
            }
            let fate = match settlement {
                Settlement::Delivered => Fate::Delivered,
                Settlement::Skipped => Fate::Skipped,
                Settlement::Keep {
                    due,
                    attempts,
                    reason,
                    event,
                } => Fate::Waits(Waiting {
                    due,
                    attempts,
                    reason,
                    queued: event,
                }),
                Settlement::Bury(letter) => {
                    self.dead.insert((name, sequence), letter);
                    Fate::Dead
                }
            };
            endpoint.fates.insert(sequence, fate);
            endpoint.advance();
        }
    }

    pub(super) fn state_put(&mut self, name: &str, value: &[u8]) {
        self.staged.insert(name.to_owned(), value.to_vec());
    }

    /// A piece of state, whether it was committed yet or not.
    pub(super) fn state_get(&self, name: &str) -> Option<Vec<u8>> {
        self.staged
            .get(name)
            .or_else(|| self.state.get(name))
            .cloned()
    }

    /// The process ended, in whatever way.
    pub(super) fn end(&mut self) {
        self.staged.clear();
    }

    /// All events from `from` on.
    pub(super) fn read(&self, from: Sequence) -> Vec<Queued> {
        let all = (0..)
            .map(|place| Sequence::FIRST.plus(place))
            .zip(&self.events);
        all.filter(|(sequence, _)| *sequence >= from)
            .map(|(sequence, event)| Queued {
                sequence,
                event: Arc::clone(event),
            })
            .collect()
    }
}

impl Model {
    /// One event that was committed.
    pub(super) fn read_one(&self, sequence: Sequence) -> Queued {
        let place = sequence.0 - Sequence::FIRST.0;
        let event = Arc::clone(&self.events[usize::try_from(place).unwrap()]);
        Queued { sequence, event }
    }
}

impl ModelEndpoint {
    /// The first event without a fate.
    pub(super) fn cursor(&self) -> Sequence {
        self.cursor
    }

    fn advance(&mut self) {
        while self.fates.contains_key(&self.cursor) {
            self.cursor = self.cursor.plus(1);
        }
    }

    pub(super) fn count(&self, of: impl Fn(&Fate) -> bool) -> u64 {
        self.fates.values().filter(|fate| of(fate)).count() as u64
    }

    /// The events that wait, earliest due first.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let mut waiting: Vec<Waiting> = self
            .fates
            .values()
            .filter_map(|fate| {
                if let Fate::Waits(waiting) = fate {
                    Some(waiting.clone())
                } else {
                    None
                }
            })
            .collect();
        waiting.sort_by_key(|waiting| (waiting.due, waiting.queued.sequence));
        waiting
    }
}

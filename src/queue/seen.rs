//! Seen: everything a queue tells about itself, and what the [`Model`] says it should tell.

use super::model::{Fate, Model, ModelEndpoint};
use super::{DeadLetter, Queue, QueueError, Queued, SourceTotals, Waiting};
use crate::event::Sequence;
use crate::source::FilePosition;
use std::sync::Arc;

/// What is seen of a queue from outside.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    next: Sequence,
    sources: Vec<(Arc<str>, SourceTotals)>,
    endpoints: Vec<SeenEndpoint>,
    /// Of each name asked about.
    positions: Vec<Vec<FilePosition>>,
    /// Of each name asked about, by sequence.
    dead: Vec<Vec<DeadLetter>>,
    /// Of each piece of state asked about.
    state: Vec<Option<Vec<u8>>>,
    /// All events from the earliest cursor on; without endpoints none are promised.
    events: Vec<Queued>,
}

#[derive(Debug, PartialEq)]
struct SeenEndpoint {
    name: Arc<str>,
    since: Sequence,
    cursor: Sequence,
    delivered: u64,
    skipped: u64,
    /// Given up, and not tried again since.
    dead: u64,
    recalled: u64,
    dropped: u64,
    lost: u64,
    waiting: Vec<Waiting>,
}

impl Seen {
    /// What the queue tells of the sources and endpoints called `names`, and of the state at `keys`.
    ///
    /// # Panics
    ///
    /// When the account does not balance.
    ///
    /// # Errors
    ///
    /// When something cannot be read.
    pub(super) fn of_queue(
        queue: &Queue,
        names: &[&str],
        keys: &[&str],
    ) -> Result<Seen, QueueError> {
        let ledger = queue.ledger();
        assert!(ledger.balances(), "{ledger:?}");
        let from = ledger
            .endpoints
            .iter()
            .map(|endpoint| endpoint.cursor)
            .min();
        let mut endpoints = Vec::new();
        for totals in &ledger.endpoints {
            let mut waiting = queue.waiting(&totals.name, usize::MAX)?;
            queue.visit_put_off(&totals.name, |event| waiting.push(event))?;
            waiting.sort_by_key(|waiting| (waiting.due, waiting.queued.sequence));
            assert_eq!(totals.waiting, waiting.len() as u64);
            endpoints.push(SeenEndpoint {
                name: Arc::clone(&totals.name),
                since: totals.since,
                cursor: totals.cursor,
                delivered: totals.delivered,
                skipped: totals.skipped,
                dead: totals.dead.saturating_sub(totals.recalled),
                recalled: totals.recalled,
                dropped: totals.dropped,
                lost: totals.lost,
                waiting,
            });
        }
        let dead = |name: &&str| {
            let page = queue.dead_page(name, None, usize::MAX)?;
            // Those that are done with are on disk until they are swept.
            assert!(queue.count_dead(name)? >= page.len() as u64);
            let mut letters: Vec<_> = page.into_iter().map(|(_, letter, _)| letter).collect();
            letters.sort_by_key(|letter| letter.queued.sequence);
            Ok(letters)
        };
        Ok(Seen {
            next: queue.next_sequence(),
            endpoints,
            sources: ledger.sources.clone(),
            positions: names
                .iter()
                .map(|name| queue.positions(name))
                .collect::<Result<_, _>>()?,
            dead: names.iter().map(dead).collect::<Result<_, QueueError>>()?,
            state: keys
                .iter()
                .map(|key| queue.state_get(key))
                .collect::<Result<_, _>>()?,
            events: from.map_or_else(|| Ok(Vec::new()), |from| read_all(queue, from))?,
        })
    }

    /// What the queue should tell.
    pub(super) fn of_model(model: &Model, names: &[&str], keys: &[&str]) -> Seen {
        let from = model.endpoints.values().map(ModelEndpoint::cursor).min();
        let endpoints = model.endpoints.iter().map(|(name, endpoint)| SeenEndpoint {
            name: Arc::clone(name),
            since: endpoint.since,
            cursor: endpoint.cursor(),
            delivered: endpoint.count(|fate| *fate == Fate::Delivered),
            skipped: endpoint.count(|fate| *fate == Fate::Skipped),
            dead: endpoint.count(|fate| *fate == Fate::Dead),
            recalled: endpoint.recalled,
            dropped: endpoint.count(|fate| *fate == Fate::Dropped),
            lost: 0,
            waiting: endpoint.waiting(),
        });
        let positions = |name: &&str| {
            let of_name = model
                .positions
                .iter()
                .filter(|((source, _), _)| **source == **name);
            of_name.map(|(_, position)| position.clone()).collect()
        };
        let dead = |name: &&str| {
            let of_name = model
                .dead
                .iter()
                .filter(|((endpoint, _), _)| **endpoint == **name);
            of_name.map(|(_, letter)| letter.clone()).collect()
        };
        Seen {
            next: model.next(),
            sources: model
                .sources
                .iter()
                .map(|(name, totals)| (Arc::clone(name), *totals))
                .collect(),
            endpoints: endpoints.collect(),
            positions: names.iter().map(positions).collect(),
            dead: names.iter().map(dead).collect(),
            state: keys.iter().map(|key| model.state_get(key)).collect(),
            events: from.map_or_else(Vec::new, |from| model.read(from)),
        }
    }

    /// Where it first differs from `other`, in a few words: both sides whole are too much to read.
    pub(super) fn difference(&self, other: &Seen) -> Option<String> {
        let differs = |what: &str, a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| {
            let cut = |text: String| text.chars().take(600).collect::<String>();
            Some(format!(
                "{what}: {} is not {}",
                cut(format!("{a:?}")),
                cut(format!("{b:?}"))
            ))
        };
        if self.next != other.next {
            return differs("next", &self.next, &other.next);
        }
        if self.sources != other.sources {
            return differs("sources", &self.sources, &other.sources);
        }
        if let Some((a, b)) = self
            .endpoints
            .iter()
            .zip(&other.endpoints)
            .find(|(a, b)| a != b)
        {
            return differs("endpoint", a, b);
        }
        if self.positions != other.positions {
            return differs("positions", &self.positions, &other.positions);
        }
        if self.state != other.state {
            return differs("state", &self.state, &other.state);
        }
        if let Some((a, b)) = self.events.iter().zip(&other.events).find(|(a, b)| a != b) {
            return differs("event", a, b);
        }
        (self != other).then(|| {
            format!(
                "lengths: {:?} are not {:?}",
                self.lengths(),
                other.lengths()
            )
        })
    }

    fn lengths(&self) -> [usize; 3] {
        [
            self.endpoints.len(),
            self.events.len(),
            self.dead.iter().map(Vec::len).sum(),
        ]
    }
}

/// All events from `from` on, read in small pieces first and then in ever bigger ones.
fn read_all(queue: &Queue, from: Sequence) -> Result<Vec<Queued>, QueueError> {
    let mut all: Vec<Queued> = Vec::new();
    for doubled in 0_u32.. {
        let next = all.last().map_or(from, |last| last.sequence.plus(1));
        let some = queue.read(next, 7 << doubled.min(7))?;
        if some.is_empty() {
            break;
        }
        all.extend(some);
    }
    Ok(all)
}

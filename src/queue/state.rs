//! State: what of the head generation is held in memory, and how it is read at opening.

use super::endpoint::{Endpoint, Place};
use super::error::QueueError;
use super::generation::{self, Found, Generation};
use super::ledger::{Ledger, SourceTotals};
use super::meta::{Meta, Standing};
use super::recall::Recalls;
use super::row::directory_bytes;
use super::{block, key};
use crate::event::Sequence;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// What of the head is held in memory: nothing that grows with the backlog but one [`Span`] for
/// each generation of some thousand events.
#[derive(Debug)]
pub(super) struct State {
    pub(super) node: String,
    /// The sequence the next event gets.
    pub(super) next: Sequence,
    pub(super) endpoints: BTreeMap<Arc<str>, Endpoint>,
    pub(super) sources: BTreeMap<Arc<str>, SourceTotals>,
    /// What became of dead letters, by endpoint.
    pub(super) recalls: BTreeMap<Arc<str>, Recalls>,
    /// The generations, oldest first. Never empty: the last one is the head.
    pub(super) spans: Vec<Span>,
    /// Generations that are gone, whose entry the next write removes.
    pub(super) dropped: Vec<u32>,
    /// How many settlements with dead letters there have been.
    pub(super) burials: u64,
    /// Length of the head's file when everything carried over was in it, in bytes.
    pub(super) carried_bytes: u64,
}

/// One generation's share of the sequence: from `first` up to the next one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) number: u32,
    pub(super) first: Sequence,
    /// Bytes on disk; of the head, 0.
    pub(super) bytes: u64,
}

/// Something about the sequence on disk that should not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Irregularity {
    /// Events that were committed are not there.
    Missing {
        /// The generation they were in.
        generation: u32,
        /// The first of them.
        first: Sequence,
        /// The last of them.
        last: Sequence,
    },
    /// Events are there that were not committed at this place, or that were there before.
    Returned {
        /// The generation they are in.
        generation: u32,
        /// The first of them.
        first: Sequence,
    },
}

impl fmt::Display for Irregularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing {
                generation,
                first,
                last,
            } => {
                write!(
                    f,
                    "events missing generation={generation:08} first={first} last={last}"
                )
            }
            Self::Returned { generation, first } => {
                write!(
                    f,
                    "events returned generation={generation:08} first={first}"
                )
            }
        }
    }
}

impl State {
    /// The state of a queue that has had no event.
    pub(super) fn empty(node: &str) -> State {
        State {
            node: node.to_owned(),
            next: Sequence::FIRST,
            endpoints: BTreeMap::new(),
            sources: BTreeMap::new(),
            recalls: BTreeMap::new(),
            spans: Vec::new(),
            dropped: Vec::new(),
            burials: 0,
            carried_bytes: 0,
        }
    }

    /// Reads the state out of the head, and says what is not as it should be.
    pub(super) fn load(
        parent: &Path,
        head: &Generation,
        meta: &Meta,
        node: &str,
    ) -> Result<(State, Vec<Irregularity>), QueueError> {
        let mut state = State {
            next: meta.next,
            burials: meta.burials,
            carried_bytes: meta.carried_bytes,
            ..State::empty(node)
        };
        state.load_sources(head)?;
        state.load_endpoints(head)?;
        state.load_recalls(head)?;
        state.load_spans(parent, head, meta)?;
        let mut irregularities = state.settle_missing(parent);
        irregularities.extend(state.check_blocks(head, meta)?);
        Ok((state, irregularities))
    }

    /// The meta to write with the next batch.
    pub(super) fn meta(&self, standing: Standing) -> Meta {
        let first = self.spans.last().map_or(self.next, |head| head.first);
        Meta {
            node: self.node.clone(),
            first,
            next: self.next,
            burials: self.burials,
            carried_bytes: self.carried_bytes,
            standing,
        }
    }

    /// The account.
    pub(super) fn ledger(&self) -> Ledger {
        Ledger {
            next: self.next,
            sources: self
                .sources
                .iter()
                .map(|(name, &totals)| (Arc::clone(name), totals))
                .collect(),
            endpoints: self
                .endpoints
                .iter()
                .map(|(name, endpoint)| {
                    let mut totals = endpoint.totals(name, self.next);
                    if let Some(recalls) = self.recalls.get(name) {
                        totals.recalled = recalls.recalled;
                        totals.removed = recalls.removed;
                    }
                    totals
                })
                .collect(),
        }
    }

    /// Takes out the oldest generation when it is not the head and every endpoint is done with
    /// all of it. Without endpoints nothing is: the first one attached may want everything.
    pub(super) fn take_settled_span(&mut self) -> Option<Span> {
        let oldest_cursor = self.endpoints.values().map(Endpoint::cursor).min()?;
        match self.spans[..] {
            [oldest, following, ..] if following.first <= oldest_cursor => {
                self.spans.remove(0);
                self.dropped.push(oldest.number);
                Some(oldest)
            }
            _ => None,
        }
    }

    fn load_sources(&mut self, head: &Generation) -> Result<(), QueueError> {
        each(head, key::SOURCES, |found| {
            let name = key::read_name(key::SOURCES, &found.key)?;
            self.sources
                .insert(name.into(), SourceTotals::decode(&found.value)?);
            Some(())
        })
    }

    fn load_endpoints(&mut self, head: &Generation) -> Result<(), QueueError> {
        each(head, key::ENDPOINTS, |found| {
            let name = key::read_name(key::ENDPOINTS, &found.key)?;
            self.endpoints
                .insert(name.into(), Endpoint::decode(&found.value)?);
            Some(())
        })?;
        each(head, key::WAITING, |found| {
            let (name, due, sequence) = key::read_waiting(&found.key)?;
            let endpoint = self.endpoints.get_mut(name)?;
            endpoint.wait(
                sequence,
                Place {
                    due,
                    pieces: found.pieces,
                },
            );
            Some(())
        })
    }

    fn load_recalls(&mut self, head: &Generation) -> Result<(), QueueError> {
        each(head, key::RECALLS, |found| {
            let name = key::read_name(key::RECALLS, &found.key)?;
            let recalls = self.recalls.entry(name.into()).or_default();
            recalls.read_counts(&found.value)
        })?;
        each(head, key::MARKS, |found| {
            let (name, sequence) = key::read_mark(&found.key)?;
            let recalls = self.recalls.entry(name.into()).or_default();
            recalls.read_mark(sequence, &found.value)
        })
    }

    fn load_spans(
        &mut self,
        parent: &Path,
        head: &Generation,
        meta: &Meta,
    ) -> Result<(), QueueError> {
        each(head, key::GENERATIONS, |found| {
            let number = key::read_generation(&found.key)?;
            let first = Sequence(u64::from_be_bytes(found.value[..].try_into().ok()?));
            let bytes = directory_bytes(&generation::directory(parent, number));
            self.spans.push(Span {
                number,
                first,
                bytes,
            });
            Some(())
        })?;
        self.spans.push(Span {
            number: head.number(),
            first: meta.first,
            bytes: 0,
        });
        Ok(())
    }

    /// Strikes generations off whose directory is gone: rightly, when a crash came between
    /// removing them and noting it; otherwise their events are missing.
    fn settle_missing(&mut self, parent: &Path) -> Vec<Irregularity> {
        while let Some(&Span { number, .. }) = self.spans.first()
            && !generation::directory(parent, number).exists()
            && self.take_settled_span().is_some()
        {}
        let pairs = self.spans.iter().zip(self.spans.iter().skip(1));
        pairs
            .filter(|(span, _)| !generation::directory(parent, span.number).exists())
            .map(|(span, following)| Irregularity::Missing {
                generation: span.number,
                first: span.first,
                last: Sequence(following.first.0.saturating_sub(1)),
            })
            .collect()
    }

    /// Follows the head's blocks from its first sequence to the next one to be given out.
    fn check_blocks(
        &mut self,
        head: &Generation,
        meta: &Meta,
    ) -> Result<Vec<Irregularity>, QueueError> {
        let generation = head.number();
        let mut irregularities = Vec::new();
        let mut expected = meta.first;
        each(head, key::BLOCKS, |found| {
            let first = key::block_first(&found.key)?;
            let count = block::count(&found.value)?;
            if first > expected {
                let last = Sequence(first.0 - 1);
                irregularities.push(Irregularity::Missing {
                    generation,
                    first: expected,
                    last,
                });
            } else if first < expected {
                irregularities.push(Irregularity::Returned { generation, first });
            }
            expected = expected.max(first.plus(count));
            Some(())
        })?;
        if expected < self.next {
            let last = Sequence(self.next.0 - 1);
            irregularities.push(Irregularity::Missing {
                generation,
                first: expected,
                last,
            });
        } else if expected > self.next {
            irregularities.push(Irregularity::Returned {
                generation,
                first: self.next,
            });
            // Whatever they are, their sequences are not given out a second time.
            self.next = expected;
        }
        Ok(irregularities)
    }
}

/// Visits all values under `prefix`; one that `visit` cannot read is damage.
fn each(
    head: &Generation,
    prefix: &[u8],
    mut visit: impl FnMut(&Found) -> Option<()>,
) -> Result<(), QueueError> {
    let mut damaged = None;
    head.scan(prefix, prefix, |found| match visit(&found) {
        Some(()) => ControlFlow::Continue(()),
        None => {
            damaged = Some(found.key);
            ControlFlow::Break(())
        }
    })?;
    match damaged {
        None => Ok(()),
        Some(key) => Err(QueueError::Damaged {
            generation: head.number(),
            sequence: key::block_first(&key),
            what: format!("the value at {} cannot be read", key.escape_ascii()),
        }),
    }
}

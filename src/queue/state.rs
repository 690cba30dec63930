//! State: what of the head generation is held in memory, and how it is read at opening.

use super::coverage::{Coverage, Covered, Entry};
use super::endpoint::{Endpoint, Place};
use super::error::QueueError;
use super::generation::{self, Found, Generation};
use super::later::Run;
use super::ledger::{Ledger, SourceTotals};
use super::meta::{Meta, Standing};
use super::recall::Recalls;
use super::void::{Void, Voids};
use super::{block, key, position};
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
    /// Generations of dead letters before this one are removed, or are to be.
    pub(super) dead_first: u32,
    /// Length of the head's file when everything carried over was in it, in bytes.
    pub(super) carried_bytes: u64,
    /// Sequences without an event.
    pub(super) voids: Voids,
    /// Which bytes of files the head's events were made of.
    pub(super) coverage: Coverage,
    /// Bytes of files that are to be read again.
    pub(super) tasks: BTreeMap<u64, Covered>,
}

/// One generation's share of the sequence: from `first` up to the next one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) number: u32,
    pub(super) first: Sequence,
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
    /// A file's position is ahead of the events it covers.
    Ahead {
        /// The generation the position is in.
        generation: u32,
        /// The sequence behind the events the position covers.
        behind: Sequence,
        /// The sequence behind the last event that is there.
        next: Sequence,
    },
    /// What was on disk a moment before the last stop is not there: the store is older than its
    /// own checkpoint.
    Outdated {
        /// The generation.
        generation: u32,
        /// The sequence behind the last event that is there.
        next: Sequence,
        /// The sequence behind the last event by the checkpoint.
        checkpoint: Sequence,
    },
}

impl Irregularity {
    /// The same as an error of opening generation `number`.
    pub(super) fn damage(&self, number: u32) -> QueueError {
        QueueError::Damaged {
            generation: number,
            sequence: None,
            what: self.to_string(),
        }
    }
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
            Self::Ahead {
                generation,
                behind,
                next,
            } => write!(
                f,
                "file position ahead of its events generation={generation:08} behind={behind} next={next}"
            ),
            Self::Outdated {
                generation,
                next,
                checkpoint,
            } => write!(
                f,
                "store older than its checkpoint generation={generation:08} next={next} checkpoint={checkpoint}"
            ),
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
            dead_first: 0,
            carried_bytes: 0,
            voids: Voids::default(),
            coverage: Coverage::default(),
            tasks: BTreeMap::new(),
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
        let dead_first = head.get(key::DEAD_FIRST)?;
        state.dead_first = dead_first
            .and_then(|value| value.try_into().ok())
            .map_or(0, u32::from_be_bytes);
        state.load_voids(head)?;
        state.load_sources(head)?;
        state.load_endpoints(head)?;
        state.load_runs(head)?;
        state.load_recalls(head)?;
        state.load_spans(head, meta)?;
        let mut irregularities = state.settle_missing(parent);
        irregularities.extend(state.check_blocks(head, meta)?);
        irregularities.extend(state.load_coverage(head)?);
        Ok((state, irregularities))
    }

    /// Whether the side checkpoint knows of events that are not there.
    pub(super) fn outdated_by(&self, checkpoint: Option<Meta>) -> Option<Irregularity> {
        let checkpoint = checkpoint.filter(|checkpoint| checkpoint.next > self.next)?;
        Some(Irregularity::Outdated {
            generation: self.spans.last().map_or(0, |head| head.number),
            next: self.next,
            checkpoint: checkpoint.next,
        })
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
                    let mut totals = endpoint.totals(name, self.next, &self.voids);
                    if let Some(recalls) = self.recalls.get(name) {
                        totals.recalled = recalls.recalled;
                        totals.removed = recalls.removed;
                    }
                    totals
                })
                .collect(),
        }
    }

    /// Takes out the generation before the head when no event is in it: settlements alone filled
    /// it, and behind a backlog such generations would fill the disk.
    pub(super) fn take_eventless_span(&mut self) -> Option<Span> {
        let [.., before, head] = self.spans[..] else {
            return None;
        };
        if before.first != head.first {
            return None;
        }
        self.spans.remove(self.spans.len() - 2);
        self.dropped.push(before.number);
        Some(before)
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

    /// Takes out the voids that every endpoint has passed and that lie before every event on disk;
    /// returns their keys.
    pub(super) fn take_passed_voids(&mut self) -> Vec<Vec<u8>> {
        let cursors = self.endpoints.values().map(Endpoint::cursor);
        let oldest = self.spans.first().map_or(self.next, |span| span.first);
        let passed = cursors.min().unwrap_or(Sequence::FIRST).min(oldest);
        let passed = self.voids.take_passed(passed);
        passed.into_iter().map(key::void).collect()
    }

    /// Moves every endpoint over the voids its cursor has come to; returns which of them moved.
    pub(super) fn step_over_voids(&mut self) -> Vec<Arc<str>> {
        let voids = &self.voids;
        self.endpoints
            .iter_mut()
            .filter_map(|(name, endpoint)| endpoint.step_over(voids).then(|| Arc::clone(name)))
            .collect()
    }

    fn load_voids(&mut self, head: &Generation) -> Result<(), QueueError> {
        each(head, key::VOIDS, |found| {
            let void = Void::decode(key::read_void(&found.key)?, &found.value)?;
            self.voids.add(void);
            Some(())
        })?;
        each(head, key::TASKS, |found| {
            let number = key::read_task(&found.key)?;
            self.tasks.insert(number, Covered::decode(&found.value)?);
            Some(())
        })
    }

    /// Loads which bytes the head covers, and follows the positions: none may be ahead of the
    /// events that are there.
    fn load_coverage(&mut self, head: &Generation) -> Result<Option<Irregularity>, QueueError> {
        each(head, key::ORIGINS, |found| {
            let source = key::read_source(key::ORIGINS, &found.key)?;
            let (origin, _) = position::decode(&found.value)?;
            self.coverage.begin(&source.into(), origin);
            Some(())
        })?;
        let mut furthest = Sequence::FIRST;
        each(head, key::POSITIONS, |found| {
            let source = key::read_source(key::POSITIONS, &found.key)?;
            let (position, behind) = position::decode(&found.value)?;
            self.coverage.moved(&source.into(), &position);
            furthest = furthest.max(behind);
            Some(())
        })?;
        let ahead = Irregularity::Ahead {
            generation: head.number(),
            behind: furthest,
            next: self.next,
        };
        self.next = self.next.max(furthest);
        Ok(
            matches!(ahead, Irregularity::Ahead { behind, next, .. } if behind > next)
                .then_some(ahead),
        )
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

    fn load_runs(&mut self, head: &Generation) -> Result<(), QueueError> {
        each(head, key::LATER, |found| {
            let (name, number) = key::read_run(&found.key)?;
            let endpoint = self.endpoints.get_mut(name)?;
            endpoint.runs.insert(number, Run::decode(&found.value)?);
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

    fn load_spans(&mut self, head: &Generation, meta: &Meta) -> Result<(), QueueError> {
        each(head, key::GENERATIONS, |found| {
            let number = key::read_generation(&found.key)?;
            let first = Entry::decode(&found.value)?.first;
            self.spans.push(Span { number, first });
            Some(())
        })?;
        self.spans.push(Span {
            number: head.number(),
            first: meta.first,
        });
        Ok(())
    }

    /// Strikes generations off whose directory is gone: rightly, when a crash came between
    /// removing them and noting it; otherwise their events are missing.
    fn settle_missing(&mut self, parent: &Path) -> Vec<Irregularity> {
        let firsts: Vec<Sequence> = self.spans.iter().skip(1).map(|span| span.first).collect();
        let mut following = firsts.into_iter();
        let gone = &mut self.dropped;
        self.spans.retain(|span| {
            let is_eventless = following.next() == Some(span.first);
            let is_gone = is_eventless && !generation::directory(parent, span.number).exists();
            if is_gone {
                gone.push(span.number);
            }
            !is_gone
        });
        while let Some(&Span { number, .. }) = self.spans.first()
            && !generation::directory(parent, number).exists()
            && self.take_settled_span().is_some()
        {}
        let gone = |number| !generation::directory(parent, number).exists();
        let mut missing = Vec::new();
        let pairs = self.spans.iter().zip(self.spans.iter().skip(1));
        for (span, following) in pairs.filter(|(span, _)| gone(span.number)) {
            for run in self.voids.uncovered(span.first..following.first) {
                missing.push(Irregularity::Missing {
                    generation: span.number,
                    first: run.start,
                    last: Sequence(run.end.0 - 1),
                });
            }
        }
        missing
    }

    /// Follows the head's blocks from its first sequence to the next one to be given out.
    fn check_blocks(
        &mut self,
        head: &Generation,
        meta: &Meta,
    ) -> Result<Vec<Irregularity>, QueueError> {
        let generation = head.number();
        let mut irregularities = Vec::new();
        let mut expected = self.voids.past(meta.first);
        each(head, key::BLOCKS, |found| {
            let first = key::block_first(&found.key)?;
            if !block::is_whole(first, &found.value) {
                return Some(()); // A hole, then.
            }
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
            expected = self.voids.past(expected.max(first.plus(count)));
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

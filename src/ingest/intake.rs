//! Intake: a source that is not lines of files.
//!
//! It adds to the group that is about to be committed, and hears what became of it. What it owes
//! to the outside (an acknowledgement, the removal of a file) it does in
//! [`committed`](Intake::committed), never before.

use super::{Entry, Group, remember, set_aside};
use crate::clock::{Moment, UnixMs};
use crate::event::Event;
use crate::queue::{self, StateChange};
use crate::source::FilePosition;
use std::fmt;
use std::sync::Arc;

/// A source that is not lines of files.
pub trait Intake: fmt::Debug + Send {
    /// Adds what there is, as far as the group has room.
    fn take(&mut self, at: At, group: &mut Group);

    /// Everything that was added is durable.
    fn committed(&mut self, now: Moment);

    /// Nothing can be made durable now. What was added before is kept and tried again; what is
    /// still outside has to wait there.
    fn turned_away(&mut self);

    /// When [`take`](Intake::take) should be called again, if nothing calls for it before.
    fn due(&self, now: Moment) -> Moment;
}

/// When a pass takes place.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// For waits and ages.
    pub now: Moment,
    /// For what is written down.
    pub wall: UnixMs,
    /// Something happened in the watched directories.
    pub hinted: bool,
}

/// What one row, pushed or in a file of its own, came to.
#[derive(Debug)]
pub(super) enum Came {
    /// These events; a row can tell several things, but not none.
    Told(Vec<Event>),
    /// What was told before.
    Repeated,
    /// What the configuration does not want.
    Filtered,
    /// Nothing that can be understood.
    Misfit {
        /// Why not.
        reason: String,
        /// The column at fault, from 1.
        column: Option<usize>,
    },
}

impl Came {
    /// Why it is set aside, if it is.
    pub(super) fn misfit(&self) -> Option<&str> {
        match self {
            Self::Misfit { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

impl Group {
    /// Adds what one row of `source` came to, and counts it. `place` says where a row that does
    /// not fit was found, `row` what its bytes were.
    pub(super) fn add(&mut self, source: &Arc<str>, place: &str, row: &[u8], came: Came) {
        self.rows += 1;
        self.bytes += row.len();
        let came = match came {
            Came::Told(events) if !events.iter().all(queue::accepts) => Came::Misfit {
                reason: "too long for an event".to_string(),
                column: None,
            },
            came => came,
        };
        let counts = &mut self.batch(source).counts;
        counts.rows += 1;
        match came {
            Came::Told(events) => {
                counts.derived += events.len().saturating_sub(1) as u64;
                self.batch(source).events.extend(events);
            }
            Came::Repeated => counts.repeated += 1,
            Came::Filtered => counts.filtered += 1,
            Came::Misfit { reason, column } => {
                counts.rejected += 1;
                self.set_aside.push(Entry {
                    source: source.to_string(),
                    file: place.to_string(),
                    line: None,
                    offset: 0,
                    column,
                    reason,
                    row: set_aside::row_text(row),
                });
            }
        }
    }

    /// Remembers how far a file of `source` was read, together with what was added.
    pub(super) fn remember(&mut self, source: &Arc<str>, position: FilePosition) {
        remember(self.batch(source), position);
    }

    /// Whether there is anything of `source` in it.
    pub(super) fn has(&self, source: &str) -> bool {
        self.batches.iter().any(|batch| *batch.source == *source)
    }

    /// Changes small state together with what was added.
    pub(super) fn change(&mut self, change: StateChange) {
        self.state.retain(|known| known.name != change.name);
        self.state.push(change);
    }
}

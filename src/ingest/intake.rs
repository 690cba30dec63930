//! Intake: a source that is not lines of files.
//!
//! It adds to the group that is about to be committed, and hears what became of it. What it owes
//! to the outside (an acknowledgement, the removal of a file) it does in
//! [`committed`](Intake::committed), never before.

use super::feed::Understood;
use super::group::{Group, remember};
use super::reread::{Reading, Reread};
use super::set_aside::{self, Entry};
use crate::clock::{Moment, UnixMs};
use crate::derive::{Derive, Fate, Now};
use crate::event::{Event, EventId};
use crate::folder::FolderStatus;
use crate::parser::{Problem, Reject};
use crate::queue::{self, Covered, SourceBatch, StateChange, Wholes};
use crate::source::FilePosition;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

impl At {
    /// The same for the machines.
    pub(super) fn machine(self) -> Now {
        Now {
            moment: self.now,
            wall: self.wall,
        }
    }
}

/// Longest time to the next pass where time alone brings something.
const TICK_PAUSE: Duration = Duration::from_secs(1);

/// When a source with these machines is due, if it is not before.
pub(super) fn due_with(derive: &Derive, due: Moment, now: Moment) -> Moment {
    match derive.needs_ticks() {
        true => due.min(now + TICK_PAUSE),
        false => due,
    }
}

/// A source that is not lines of files.
pub trait Intake: fmt::Debug + Send {
    /// Adds what there is, as far as the group has room.
    fn take(&mut self, at: At, group: &mut Group);

    /// Everything that was added is durable.
    fn committed(&mut self, now: Moment);

    /// Nothing can be made durable now. What was added before is kept and tried again; what is
    /// still outside has to wait there.
    fn turned_away(&mut self);

    /// Whether it is the source called `name`.
    fn is_source(&self, name: &str) -> bool;

    /// The source's name and how far it is in its directory, if it has one.
    fn folder(&self) -> Option<InFolder> {
        None
    }

    /// The files that are wholes and told what the queue has lost, to be read again; `None` where nothing
    /// stays that could be.
    fn again(&self, _wholes: Wholes) -> Option<Reread> {
        None
    }

    /// Reads some of them again, and adds what they tell but what was `saved`.
    fn read_again(
        &mut self,
        _reread: &mut Reread,
        _covered: &Covered,
        _saved: &HashSet<EventId>,
        _at: At,
        _batch: &mut SourceBatch,
    ) -> Reading {
        Reading::Over
    }

    /// Whether some of what it takes makes only events that still fit when reading pauses for the
    /// others; see `At::reserved_only`.
    fn has_reserved(&self) -> bool {
        false
    }

    /// Whether it waits where the group has no room left; what has few and small events does not.
    fn waits_for_room(&self) -> bool {
        true
    }

    /// When [`take`](Intake::take) should be called again, if nothing calls for it before.
    fn due(&self, now: Moment) -> Moment;
}

/// How far a source is in a directory of files that are wholes.
#[derive(Debug, Clone)]
pub struct InFolder {
    /// The source's name.
    pub source: Arc<str>,
    /// Its directory.
    pub folder: FolderStatus,
    /// The name of the file that was set aside last, and why; since the agent's start.
    pub last_set_aside: Option<String>,
    /// Which files cannot be read and why, when some cannot.
    pub unreadable: Option<String>,
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
    /// Only what makes nothing but reserved types of events may be taken.
    pub reserved_only: bool,
}

/// What one row, pushed or in a file of its own, came to.
#[derive(Debug)]
pub(super) struct Came {
    /// What became of it.
    pub(super) fate: Fate,
    /// What it told: one event at least where it is [`Fate::Told`].
    pub(super) told: Vec<Event>,
    /// Why it does not fit, in other words than the fate's.
    pub(super) reason: Option<String>,
}

impl Came {
    /// A row that told these events; none of them says that it repeats what was told.
    pub(super) fn told(told: Vec<Event>) -> Came {
        let fate = match told.is_empty() {
            true => Fate::Repeated,
            false => Fate::Told,
        };
        Came {
            fate,
            told,
            reason: None,
        }
    }

    /// A row that told nothing.
    pub(super) fn of(fate: Fate) -> Came {
        Came {
            fate,
            told: Vec::new(),
            reason: None,
        }
    }

    /// A row that is no row, for `reason`.
    pub(super) fn misfit(reason: String) -> Came {
        Came {
            reason: Some(reason),
            ..Came::of(Fate::Misfit(Reject::row(Problem::Empty)))
        }
    }

    /// Why it is set aside, if it is.
    pub(super) fn why_not(&self) -> Option<String> {
        match &self.fate {
            Fate::Misfit(reject) => Some(self.reason.clone().unwrap_or_else(|| reject.to_string())),
            _ => None,
        }
    }
}

impl Came {
    /// Adds what a file that is read again told, but what was `saved`; `None` for one that told nothing
    /// the first time either.
    pub(super) fn told_again(
        self,
        saved: &HashSet<EventId>,
        batch: &mut SourceBatch,
    ) -> Option<Understood> {
        if self.fate != Fate::Told || !self.told.iter().all(queue::accepts) {
            return None;
        }
        let mut told = self.told;
        told.retain(|event| !saved.contains(&event.id));
        let fate = match told.is_empty() {
            true => Fate::Repeated,
            false => Fate::Told,
        };
        batch.events.extend(told);
        Some(Understood::Row(fate))
    }
}

impl Group {
    /// Adds what one row of `source` came to, and counts it. `place` says where a row that does
    /// not fit was found, `row` what its bytes were.
    pub(super) fn add(&mut self, source: &Arc<str>, place: &str, row: &[u8], came: Came) {
        self.add_row(source, place, row, came, |row| {
            (set_aside::row_text(row), None)
        });
    }

    /// The same of a row whose bytes are nowhere else.
    pub(super) fn add_pushed(&mut self, source: &Arc<str>, place: &str, row: &[u8], came: Came) {
        self.add_row(source, place, row, came, set_aside::push_text);
    }

    fn add_row(
        &mut self,
        source: &Arc<str>,
        place: &str,
        row: &[u8],
        came: Came,
        text: impl Fn(&[u8]) -> (String, Option<String>),
    ) {
        self.rows += 1;
        self.bytes += row.len();
        let came = match came.told.iter().all(queue::accepts) {
            true => came,
            false => Came::of(Fate::Misfit(Reject::row(Problem::TooLong))),
        };
        if let Some(reason) = came.why_not() {
            let column = match &came.fate {
                Fate::Misfit(reject) => reject.column.as_ref().map(|(column, _)| *column),
                _ => None,
            };
            let (text, base64) = text(row);
            self.set_aside.push(Entry {
                source: source.to_string(),
                file: place.to_string(),
                line: None,
                offset: 0,
                column,
                reason,
                row: text,
                row_base64: base64,
            });
        }
        let told_bytes = came.told.iter().map(|event| event.data.len());
        self.bytes += told_bytes.sum::<usize>();
        let batch = self.batch(source);
        Understood::Row(came.fate).count(came.told.len(), &mut batch.counts);
        batch.events.extend(came.told);
    }

    /// Adds events that no row of their own stands for.
    pub(super) fn tell(&mut self, source: &Arc<str>, told: Vec<Event>) {
        let batch = self.batch(source);
        batch.counts.derived += told.len() as u64;
        batch.events.extend(told);
    }

    /// Adds what time alone brings to the machines of `source`, and what changed of their state;
    /// `caught_up` says that every row there is has been read. Returns how many things they forgot for
    /// want of room.
    pub(super) fn derive(
        &mut self,
        source: &Arc<str>,
        derive: &mut Derive,
        now: Now,
        caught_up: bool,
    ) -> u64 {
        if derive.needs_ticks() {
            let mut told = Vec::new();
            derive.tick(now, caught_up, &mut told);
            if !told.is_empty() {
                self.tell(source, told);
            }
        }
        derive.take_changes(&mut self.state);
        derive.take_forgotten()
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

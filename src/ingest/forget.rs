//! Forget: what is kept of a source that is not configured any more, given up.
//!
//! **Crash argument.** Positions and state go in one commit, with a mark that the source is to be
//! taken for a new one; before it nothing has changed, and it can be repeated.

use super::documents::watermark_name;
use super::pushed;
use crate::derive::Derive;
use crate::queue::{Queue, QueueError, SourceBatch, SourceCounts, StateChange};
use std::fmt;
use std::sync::Arc;

/// What was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// Positions in files.
    pub positions: usize,
    /// Calls, alarms, balances, sums and marks of time.
    pub states: usize,
}

impl fmt::Display for Forgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { positions, states } = self;
        write!(f, "{positions} positions and {states} pieces of state")
    }
}

/// Under this name and the source's the queue keeps that it was forgotten.
fn mark(source: &str) -> String {
    format!("forgotten/{source}")
}

/// Gives up how far the files of the source called `name` were read, and what is remembered of its
/// rows. Its counts stay, or the account would not balance; its events are not touched. Under that
/// name a source is a new one from then on: `start` applies to it. `None` when the queue knows no
/// such source.
///
/// Whoever asks makes sure that it is not configured.
///
/// # Errors
///
/// When the queue cannot be read or written.
pub fn forget(queue: &Queue, name: &str) -> Result<Option<Forgotten>, QueueError> {
    if queue.ledger().source(name).is_none() {
        return Ok(None);
    }
    let positions = queue.positions(name)?;
    let mut names = vec![watermark_name(name)];
    for prefix in [Derive::prefix(name), pushed::prefix(name)] {
        names.extend(queue.states(&prefix)?.into_iter().map(|(name, _)| name));
    }
    let mut state = Vec::new();
    for name in names {
        if queue.state_get(&name)?.is_some() {
            state.push(StateChange { name, value: None });
        }
    }
    let forgotten = Forgotten {
        positions: positions.len(),
        states: state.len(),
    };
    state.push(StateChange {
        name: mark(name),
        value: Some(Vec::new()),
    });
    let batch = SourceBatch {
        source: Arc::from(name),
        events: Vec::new(),
        positions: Vec::new(),
        forgotten: positions.iter().map(|position| position.key).collect(),
        counts: SourceCounts::default(),
    };
    queue.commit_with(&[batch], &state)?;
    Ok(Some(forgotten))
}

/// Whether the queue has heard of the source, and has not forgotten it since.
///
/// # Errors
///
/// When the queue cannot be read.
pub fn is_known(queue: &Queue, name: &str) -> Result<bool, QueueError> {
    Ok(queue.seen(name) && queue.state_get(&mark(name))?.is_none())
}

/// Takes the mark away: the source is known from now on.
pub(super) fn known(name: &str) -> StateChange {
    StateChange {
        name: mark(name),
        value: None,
    }
}

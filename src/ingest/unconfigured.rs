//! Unconfigured: what is kept of a source that is not configured any more goes by itself in the end.
//!
//! What counts is the time the agent has run without the source, an hour at a time, and not the
//! wall clock: one that leaps ahead, or was at 1970 while the machine started, gives up nothing. A
//! source that is configured again begins to count anew when it is taken out once more.
//!
//! **Crash argument.** The count goes with the next commit; lost, an hour is counted once more. What
//! is given up goes in one commit, see [`forget`](super::forget()); before it nothing has changed.

use super::forget::{forget, is_known};
use crate::clock::Moment;
use crate::event::alert;
use crate::queue::{Queue, QueueError, StateChange};
use std::sync::Arc;
use std::time::Duration;

/// How long what is kept of a source outlives its configuration, in hours that the agent has run:
/// thirty days. Longer than a table is commented out for a repair or a holiday, and as long as
/// switches keep their files.
pub const KEPT_HOURS: u32 = 30 * 24;

const HOUR: Duration = Duration::from_secs(3_600);

/// The hours of each source are counted while the agent runs.
#[derive(Debug, Default)]
pub(super) struct Unconfigured {
    counted_at: Option<Moment>,
    /// Those configured now are known to count anew.
    has_reset: bool,
}

/// Under this name the queue keeps for how many hours the source has not been configured.
fn count_name(source: &str) -> String {
    format!("unconfigured/{source}")
}

fn hours_of(stored: Option<&[u8]>) -> u32 {
    let bytes = stored.and_then(|stored| stored.try_into().ok());
    bytes.map_or(0, u32::from_be_bytes)
}

impl Unconfigured {
    /// Counts one more hour of the sources that the queue knows and that are not configured, if it
    /// is over, and gives up what is kept of those that have had enough of them. Adds to `state`
    /// what is to be committed.
    ///
    /// # Errors
    ///
    /// When the queue cannot be read or written; it is tried again an hour later.
    pub(super) fn count(
        &mut self,
        queue: &Queue,
        now: Moment,
        is_configured: impl Fn(&str) -> bool,
        state: &mut Vec<StateChange>,
    ) -> Result<(), QueueError> {
        let reset = std::mem::replace(&mut self.has_reset, true);
        let since = *self.counted_at.get_or_insert(now);
        let is_over = now.since(since) >= HOUR;
        if reset && !is_over {
            return Ok(());
        }
        if is_over {
            self.counted_at = Some(now);
        }
        let ledger = queue.ledger();
        let names = ledger.sources.iter().map(|(name, _)| name);
        let counted = names.filter(|name| ***name != *alert::SOURCE).map(|name| {
            match is_over || is_configured(name) {
                true => count_one(queue, name, is_configured(name), state),
                false => Ok(()),
            }
        });
        // One that cannot be read holds up no other.
        counted.fold(Ok(()), Result::and)
    }

    /// The configuration has changed: what is configured now counts anew.
    pub(super) fn reconfigured(&mut self) {
        self.has_reset = false;
    }
}

/// Counts one more hour of the source called `name`, or begins anew if it `is_configured`.
fn count_one(
    queue: &Queue,
    name: &Arc<str>,
    is_configured: bool,
    state: &mut Vec<StateChange>,
) -> Result<(), QueueError> {
    let stored = queue.state_get(&count_name(name))?;
    let change = |value: Option<Vec<u8>>| StateChange {
        name: count_name(name),
        value,
    };
    if is_configured || !is_known(queue, name)? {
        state.extend(stored.map(|_| change(None)));
        return Ok(());
    }
    let hours = hours_of(stored.as_deref()).saturating_add(1);
    if hours < KEPT_HOURS {
        state.push(change(Some(hours.to_be_bytes().to_vec())));
        return Ok(());
    }
    if let Some(forgotten) = forget(queue, name)? {
        log::warn!(
            "source forgotten, it has not been configured for long source={name} hours={hours} what=\"{forgotten}\""
        );
    }
    state.push(change(None));
    Ok(())
}

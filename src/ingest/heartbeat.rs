//! Heartbeat: that the agent is there is told in every interval, whatever its sources do.
//!
//! It is an event as any other: it waits in the queue behind what it comes after, so that one that arrives says
//! that everything before it has arrived. It is made also while reading pauses for want of room.
//!
//! **Crash argument.** The interval that was told is committed with its event: a restart repeats none. What
//! passed while the agent was down is not told later: that is what a receiver is to see.

use super::Group;
use super::intake::{At, Intake};
use crate::clock::{Moment, UnixMs};
use crate::derive;
use crate::event::alert::SOURCE;
use crate::event::own;
use crate::queue::{Queue, QueueError, StateChange};
use std::sync::Arc;
use std::time::Duration;

/// Under this name the queue keeps which interval was told last.
const STATE: &str = "own/heartbeat";

/// Longest time between two looks at the clock, which may be set.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The heartbeat of the agent.
#[derive(Debug)]
pub struct Heartbeat {
    source: Arc<str>,
    node: Arc<str>,
    every: Duration,
    /// The beginning of the interval told last.
    told: Option<UnixMs>,
}

impl Heartbeat {
    /// A heartbeat of the agent at `node` in each interval of `every`, which goes on from what `queue` knows.
    ///
    /// # Errors
    ///
    /// When the queue cannot be read.
    pub fn new(node: Arc<str>, every: Duration, queue: &Queue) -> Result<Heartbeat, QueueError> {
        let told = queue.state_get(STATE)?;
        let told = told.and_then(|stored| stored.try_into().ok());
        Ok(Heartbeat {
            source: SOURCE.into(),
            node,
            every,
            told: told.map(|stored| UnixMs(i64::from_be_bytes(stored))),
        })
    }
}

impl Intake for Heartbeat {
    fn has_reserved(&self) -> bool {
        true
    }

    fn is_source(&self, _: &str) -> bool {
        false
    }

    fn take(&mut self, at: At, group: &mut Group) {
        let interval = derive::interval(at.wall, self.every);
        // One of another length, before the configuration was changed, is as good as its own.
        let is_told = |told| derive::has_in_interval(interval, self.every, told);
        if self.told.is_some_and(is_told) {
            return;
        }
        self.told = Some(interval);
        let beat = own::heartbeat(&self.node, self.every, interval);
        group.tell(&self.source, vec![beat]);
        group.change(StateChange {
            name: STATE.to_owned(),
            value: Some(interval.0.to_be_bytes().to_vec()),
        });
    }

    fn waits_for_room(&self) -> bool {
        false
    }

    fn committed(&mut self, _: Moment) {}

    fn turned_away(&mut self) {}

    fn due(&self, now: Moment) -> Moment {
        now + self.every.min(LOOK_PAUSE)
    }
}

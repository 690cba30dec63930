//! Crew: the workers of one endpoint around its lane, and which of them is woken for what.
//!
//! Only one idle worker, the *lookout*, waits for the queue's bell and for the lane's own times;
//! the others wait to be called, and the one that waited least is called first. So an event that
//! arrives wakes two threads and not all of them, and at a low rate the same few connections
//! stay warm.

use super::counts::Counts;
use super::entry::Entry;
use super::lane::{IDLE_WAIT, Lane, Turn};
use super::notice::Notice;
use super::outcome::Outcome;
use crate::clock::{Clock, Moment};
use crate::event::Sequence;
use crate::shutdown::{Bell, Shutdown};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The workers of one endpoint around its lane.
#[derive(Debug)]
pub(super) struct Crew {
    name: Arc<str>,
    lane: Mutex<Lane>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    /// Heard by the lookout.
    bell: Bell,
    roster: Mutex<Roster>,
}

#[derive(Debug, Default)]
struct Roster {
    /// When the lookout looks again by itself; none while there is no lookout.
    lookout_until: Option<Moment>,
    /// The idle others with their bells, the one that waited least last. At most all workers.
    idle: Vec<(usize, Bell)>,
    is_stopping: bool,
}

impl Crew {
    /// A crew around `lane`.
    pub(super) fn new(
        name: Arc<str>,
        lane: Lane,
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
    ) -> Crew {
        let (lane, bell, roster) = (Mutex::new(lane), Bell::default(), Mutex::default());
        Crew {
            name,
            lane,
            clock,
            shutdown,
            bell,
            roster,
        }
    }

    /// To be rung when the lane may have something to do.
    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Waits for something to send; none when there is nothing any more. `bell` is the worker's
    /// own.
    pub(super) fn next(&self, worker: usize, bell: &Bell) -> Option<Entry> {
        while !self.shutdown.is_requested() {
            let now = self.clock.now();
            let (turn, has_more, notices) = {
                let mut lane = self.lane();
                let turn = lane.take(now, self.clock.wall());
                (turn, lane.has_more(now), lane.notices())
            };
            self.log(&notices);
            match turn {
                Turn::Stopped => return None,
                Turn::Attempt(entry) => {
                    self.call(has_more);
                    return Some(*entry);
                }
                Turn::Wait(span) => self.wait(worker, bell, now + span),
            }
        }
        None
    }

    /// Hands in what an attempt came to.
    pub(super) fn finish(&self, entry: Entry, outcome: Outcome, elapsed: Duration) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let notices = {
            let mut lane = self.lane();
            lane.finish(entry, outcome, elapsed, now, wall);
            lane.notices()
        };
        self.log(&notices);
    }

    /// Hears of settlements that became durable.
    pub(super) fn committed(&self, count: u64, cursor: Sequence) {
        if self.lane().committed(count, cursor) {
            self.bell.ring();
        }
    }

    /// Sends every worker home after the attempt it has under way.
    pub(super) fn stop(&self) {
        self.lane().stop();
        self.bell.ring();
        let idle = {
            let mut roster = self.roster();
            roster.is_stopping = true;
            std::mem::take(&mut roster.idle)
        };
        idle.iter().for_each(|(_, bell)| bell.ring());
    }

    /// Sends again to an endpoint that was gone.
    pub(super) fn resume(&self) {
        self.lane().resume();
        self.bell.ring();
    }

    /// What has become of attempts and events.
    pub(super) fn counts(&self) -> Counts {
        self.lane().counts()
    }

    /// The endpoint's name.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// A worker leaves to send. If there is more to send, someone else is called for it; if
    /// nobody is on the lookout, someone is called to be. When nobody is idle either, the bell
    /// keeps the call for a worker that has looked already and is about to wait.
    fn call(&self, has_more: bool) {
        let called = {
            let mut roster = self.roster();
            match roster.lookout_until {
                Some(_) if has_more => Some(self.bell.clone()),
                Some(_) => None,
                None => match roster.idle.pop() {
                    Some((_, bell)) => Some(bell),
                    None => has_more.then(|| self.bell.clone()),
                },
            }
        };
        if let Some(bell) = called {
            bell.ring();
        }
    }

    fn wait(&self, worker: usize, bell: &Bell, until: Moment) {
        let is_lookout = {
            let mut roster = self.roster();
            match roster.lookout_until {
                _ if roster.is_stopping => return,
                None => {
                    roster.lookout_until = Some(until);
                    true
                }
                Some(lookout_until) => {
                    roster.idle.push((worker, bell.clone()));
                    if until < lookout_until {
                        // The lookout does not know of the earlier time yet.
                        self.bell.ring();
                    }
                    false
                }
            }
        };
        if is_lookout {
            self.bell.wait(until.since(self.clock.now()));
            self.roster().lookout_until = None;
        } else {
            bell.wait(IDLE_WAIT);
            self.roster().idle.retain(|(idle, _)| *idle != worker);
        }
    }

    fn log(&self, notices: &[Notice]) {
        notices.iter().for_each(|notice| notice.log(&self.name));
    }

    fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

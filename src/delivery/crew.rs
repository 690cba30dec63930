//! Crew: the workers of one endpoint around its lane, and which of them is woken for what.
//!
//! Only one idle worker, the *lookout*, waits for the queue's bell and for the lane's own times;
//! the others wait to be called, and the one that waited least is called first. So an event that
//! arrives wakes two threads and not all of them, and at a low rate the same few connections
//! stay warm.
//!
//! Workers are taken on when they are needed: when one leaves to send, somebody must stay to look,
//! up to as many as may send at once. One that nobody has called for [`IDLE_WAIT`] goes home, so a
//! crew is as large as its endpoint was busy of late.

use super::alert::Raiser;
use super::counts::Counts;
use super::entry::Entry;
use super::lane::{IDLE_WAIT, Lane, Turn};
use super::notice::Notice;
use super::outcome::Outcome;
use crate::clock::{Clock, Moment, UnixMs};
use crate::event::Sequence;
use crate::progress::Pulse;
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
    /// Rung when settlements have become durable.
    settled: Bell,
    roster: Mutex<Roster>,
    /// Hears of what is to be said.
    raiser: Option<Raiser>,
    /// How long a worker stays that nobody calls for.
    stays_for: Duration,
}

#[derive(Debug, Default)]
struct Roster {
    /// When the lookout looks again by itself; none while there is no lookout.
    lookout_until: Option<Moment>,
    /// The idle others with their bells, the one that waited least last. At most all workers.
    idle: Vec<(usize, Bell)>,
    is_stopping: bool,
    /// Workers that are there, or on their way.
    staff: usize,
    /// Nobody is left to look, and there may be one more.
    is_short: bool,
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
            settled: Bell::default(),
            roster,
            raiser: None,
            stays_for: IDLE_WAIT,
        }
    }

    /// The same, which raises alerts.
    pub(super) fn with_raiser(self, raiser: Raiser) -> Crew {
        let raiser = Some(raiser);
        Crew { raiser, ..self }
    }

    /// Where alerts are raised.
    pub(super) fn raiser(&self) -> Option<&Raiser> {
        self.raiser.as_ref()
    }

    /// Whether one more worker is to be taken on; it counts as there from now on.
    pub(super) fn takes_on(&self) -> bool {
        let mut roster = self.roster();
        let takes = std::mem::take(&mut roster.is_short) && !roster.is_stopping;
        roster.staff += usize::from(takes);
        takes
    }

    /// The first worker is there.
    pub(super) fn begin(&self) {
        self.roster().staff += 1;
    }

    /// A worker that was to be taken on could not be had.
    pub(super) fn has_not_come(&self) {
        let mut roster = self.roster();
        roster.staff = roster.staff.saturating_sub(1);
    }

    /// To be rung when the lane may have something to do.
    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Waits for something to send; none when there is nothing any more, or for long was not. `bell` is the worker's
    /// own, and so is `pulse`, which tells that it goes on.
    pub(super) fn next(&self, worker: usize, bell: &Bell, pulse: &Pulse) -> Option<Entry> {
        while !self.shutdown.is_requested() {
            let now = self.clock.now();
            pulse.due(now);
            let (turn, has_more, next_look, notices, staff_max) = {
                let mut lane = self.lane();
                let turn = lane.take(now, self.clock.wall());
                let (has_more, next_look) = (lane.has_more(now), lane.next_look(now));
                let staff_max = lane.staff_max();
                (turn, has_more, next_look, lane.notices(), staff_max)
            };
            self.log(&notices);
            match turn {
                Turn::Stopped => return None,
                Turn::Attempt(entry) => {
                    self.call(has_more, next_look, staff_max);
                    return Some(*entry);
                }
                Turn::Wait(span) => {
                    // Whoever is not on the lookout waits this long.
                    pulse.due(now + span.max(IDLE_WAIT));
                    if !self.wait(worker, bell, now + span) {
                        return None;
                    }
                }
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

    /// Gives back what found no room in a request.
    pub(super) fn put_back(&self, rest: Entry) {
        self.lane().put_back(rest, self.clock.now());
        self.bell.ring();
    }

    /// Hears of settlements that became durable.
    pub(super) fn committed(&self, count: u64, cursor: Sequence) {
        let goes_on = self.lane().committed(count, cursor);
        self.settled.ring();
        if goes_on {
            self.bell.ring();
        }
    }

    /// Sends every worker home after the attempt it has under way.
    pub(super) fn stop(&self) {
        let notices = {
            let mut lane = self.lane();
            lane.stop();
            lane.notices()
        };
        self.log(&notices);
        let idle = {
            let mut roster = self.roster();
            roster.is_stopping = true;
            std::mem::take(&mut roster.idle)
        };
        // Nobody goes on the lookout any more: this is heard by the last who did.
        self.bell.ring();
        idle.iter().for_each(|(_, bell)| bell.ring());
    }

    /// Sends again to an endpoint that was gone or held.
    pub(super) fn resume(&self) {
        self.lane().resume(self.clock.now());
        self.bell.ring();
    }

    /// Sends nothing until it is resumed.
    pub(super) fn hold(&self) {
        self.lane().hold();
    }

    /// Tries events again that have been put back among the waiting ones.
    pub(super) fn recall(&self, recalled: &[(UnixMs, Sequence)]) {
        self.lane().recall(recalled, self.clock.now());
        self.bell.ring();
    }

    /// Waits up to `patience` until everything decided is durable; whether that came true.
    pub(super) fn wait_settled(&self, patience: Duration) -> bool {
        let deadline = self.clock.now() + patience;
        loop {
            if self.lane().is_settled() {
                return true;
            }
            let left = deadline.since(self.clock.now());
            if left.is_zero() {
                return false;
            }
            self.settled.wait(left);
        }
    }

    /// What has become of attempts and events.
    pub(super) fn counts(&self) -> Counts {
        self.lane().counts(self.clock.now())
    }

    /// The endpoint's name.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// A worker leaves to send. If there is more to send, someone else is called for it; if there
    /// will be at `next_look`, the lookout is called when it does not know of that yet; if nobody is on the lookout, someone is called to be. When nobody is idle either, the bell
    /// keeps the call for a worker that has looked already and is about to wait.
    fn call(&self, has_more: bool, next_look: Option<Moment>, staff_max: usize) {
        let called = {
            let mut roster = self.roster();
            match roster.lookout_until {
                Some(until) if has_more || next_look.is_some_and(|look| look < until) => {
                    Some(self.bell.clone())
                }
                Some(_) => None,
                None => match roster.idle.pop() {
                    Some((_, bell)) => Some(bell),
                    None => {
                        roster.is_short = roster.staff < staff_max;
                        has_more.then(|| self.bell.clone())
                    }
                },
            }
        };
        if let Some(bell) = called {
            bell.ring();
        }
    }

    /// Waits to be called, or on the lookout; false when nobody has called for long.
    fn wait(&self, worker: usize, bell: &Bell, until: Moment) -> bool {
        let is_lookout = {
            let mut roster = self.roster();
            match roster.lookout_until {
                _ if roster.is_stopping => return true,
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
            return true;
        }
        let is_called = bell.wait(self.stays_for);
        let mut roster = self.roster();
        let before = roster.idle.len();
        roster.idle.retain(|(idle, _)| *idle != worker);
        // Who is not on the list any more is being called.
        let goes = !is_called && roster.idle.len() < before && !roster.is_stopping;
        roster.staff -= usize::from(goes);
        !goes
    }

    fn log(&self, notices: &[Notice]) {
        for notice in notices {
            match &self.raiser {
                Some(raiser) => raiser.notice(notice),
                None => notice.log(&self.name),
            }
        }
    }

    fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::delivery::endpoint::Endpoint;
    use crate::delivery::event_queue::memory::MemoryQueue;
    use crate::delivery::outcome::Failure;
    use crate::delivery::profile::Profile;
    use crate::delivery::profile::samples::queued;
    use crate::delivery::url::Url;
    use crate::progress::Progress;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_worker_is_taken_on_when_nobody_is_left_to_look_and_goes_home_when_nobody_calls() {
        let queue = MemoryQueue::with(vec![queued(1, "cdr", "{}")]);
        let url = Url::parse("https://a/").unwrap();
        let endpoint = Arc::new(Endpoint::new("a", url, Profile::Standard));
        let name = Arc::clone(&endpoint.name);
        let lane = Lane::new(endpoint, Arc::new(queue), Arc::default(), 1);
        let clock = Arc::new(SystemClock::new());
        let mut crew = Crew::new(name, lane, clock, Shutdown::default());
        crew.stays_for = Duration::from_millis(20);
        let crew = Arc::new(crew);
        let progress = Progress::default();
        crew.begin();
        assert!(!crew.takes_on());
        let bell = Bell::default();
        crew.next(1, &bell, &progress.pulse("1")).unwrap();
        assert!(
            crew.takes_on() && !crew.takes_on(),
            "one, to be the lookout"
        );
        let lookout = {
            let (crew, pulse) = (Arc::clone(&crew), progress.pulse("2"));
            thread::spawn(move || crew.next(2, &Bell::default(), &pulse))
        };
        while crew.roster().lookout_until.is_none() {
            bell.wait(Duration::from_millis(1));
        }
        // The first has come back: there is nothing to do, and somebody looks already.
        assert_eq!(crew.next(1, &bell, &progress.pulse("1")), None);
        assert_eq!(crew.roster().staff, 1);
        crew.stop();
        assert_eq!(lookout.join().unwrap(), None);
    }

    #[test]
    fn a_stop_is_rung_when_nobody_goes_on_the_lookout_any_more() {
        let url = Url::parse("https://a/").unwrap();
        let endpoint = Arc::new(Endpoint::new("a", url, Profile::Standard));
        let name = Arc::clone(&endpoint.name);
        let queue = Arc::new(MemoryQueue::default());
        let lane = Lane::new(endpoint, queue, Arc::default(), 1);
        let clock = Arc::new(SystemClock::new());
        let crew = Arc::new(Crew::new(name, lane, clock, Shutdown::default()));
        let roster = crew.roster();
        let stopping = {
            let crew = Arc::clone(&crew);
            thread::spawn(move || crew.stop())
        };
        // A ring before that would be taken by one, and another take its place.
        assert!(!crew.bell.wait(Duration::from_millis(100)));
        drop(roster);
        assert!(crew.bell.wait(Duration::from_secs(10)));
        assert!(crew.wait(1, &Bell::default(), crew.clock.now() + IDLE_WAIT));
        stopping.join().unwrap();
    }

    #[test]
    fn the_lookout_does_not_sleep_past_a_retry_of_a_worker_that_is_sending() {
        let queue = MemoryQueue::with(vec![queued(1, "cdr", "{}")]);
        let url = Url::parse("https://a/").unwrap();
        let endpoint = Arc::new(Endpoint::new("a", url, Profile::Standard));
        let name = Arc::clone(&endpoint.name);
        let lane = Lane::new(endpoint, Arc::new(queue.clone()), Arc::default(), 1);
        let clock = Arc::new(SystemClock::new());
        let crew = Arc::new(Crew::new(name, lane, clock, Shutdown::default()));
        let bell = Bell::default();
        let progress = Progress::default();
        let (pulse, other) = (progress.pulse("1"), progress.pulse("2"));
        let first = crew.next(1, &bell, &pulse).unwrap();
        let (tell, told) = mpsc::channel();
        let lookout = {
            let crew = Arc::clone(&crew);
            thread::spawn(move || tell.send(crew.next(2, &Bell::default(), &other)).unwrap())
        };
        while crew.roster().lookout_until.is_none() {
            bell.wait(Duration::from_millis(1));
        }
        let busy = Outcome::Unavailable {
            failure: Failure::default(),
            after: None,
        };
        crew.finish(first, busy, Duration::ZERO);
        // Nobody rings for this one: the lookout sleeps on.
        queue.add(queued(2, "cdr", "{}"));
        let next = crew.next(1, &bell, &pulse).unwrap();
        assert_eq!(next.queued.sequence, Sequence(2));
        let again = told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(again.unwrap().queued.sequence, Sequence(1));
        lookout.join().unwrap();
    }
}

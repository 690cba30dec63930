//! Crew: the workers of one endpoint around its lane, and which of them is woken for what.
//!
//! Only one idle worker, the *lookout*, waits for the queue's bell and for the lane's own times;
//! the others wait to be called, and the one that waited least is called first. So an event that
//! arrives wakes two threads and not all of them, and at a low rate the same few connections
//! stay warm.
//!
//! A worker hands in what its attempt came to and takes the next event in one step: were its place
//! free in between, another one would be woken for it, and find it taken. Who comes to look leaves him
//! the few events that he will have sent at once ([`Lane::left_until`]).
//!
//! Workers are taken on when they are needed: when one leaves to send, somebody must stay to look,
//! up to as many as may send at once. One that nobody has called for [`IDLE_WAIT`] goes home, so a
//! crew is as large as its endpoint was busy of late.

use super::alert::Raiser;
use super::counts::Counts;
use super::entry::Entry;
use super::lane::{IDLE_WAIT, Lane, Turn};
use super::memory::Share;
use super::notice::Notice;
use super::outcome::Outcome;
use super::rate::Rate;
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
    deck: Mutex<Deck>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    /// Heard by the lookout.
    bell: Bell,
    /// Rung when settlements have become durable.
    settled: Bell,
    /// Hears of what is to be said.
    raiser: Option<Raiser>,
    /// How long a worker stays that nobody calls for.
    stays_for: Duration,
}

/// What the workers share.
#[derive(Debug)]
struct Deck {
    lane: Lane,
    roster: Roster,
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
}

/// What a worker is to do.
#[derive(Debug)]
pub(super) struct Task {
    /// What it is to send.
    pub(super) entry: Entry,
    /// Before that it is to take on one more, who counts as there from now on.
    pub(super) takes_on: bool,
}

/// An attempt that was made.
#[derive(Debug)]
pub(super) struct Made {
    /// What was sent.
    pub(super) entry: Entry,
    /// What it came to.
    pub(super) outcome: Outcome,
    /// How long it took.
    pub(super) elapsed: Duration,
}

impl Crew {
    /// A crew around `lane`.
    pub(super) fn new(
        name: Arc<str>,
        lane: Lane,
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
    ) -> Crew {
        let roster = Roster::default();
        Crew {
            name,
            deck: Mutex::new(Deck { lane, roster }),
            clock,
            shutdown,
            bell: Bell::default(),
            settled: Bell::default(),
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

    /// The first worker is there.
    pub(super) fn begin(&self) {
        self.deck().roster.staff += 1;
    }

    /// A worker that was to be taken on could not be had.
    pub(super) fn has_not_come(&self) {
        let roster = &mut self.deck().roster;
        roster.staff = roster.staff.saturating_sub(1);
    }

    /// To be rung when the lane may have something to do.
    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Hands in the attempt the worker `made`, if it did, and waits for something to send; none when there is
    /// nothing any more, or for long was not. `bell` is the worker's own, and so is `pulse`, which
    /// tells that it goes on.
    pub(super) fn next(
        &self,
        worker: usize,
        bell: &Bell,
        pulse: &Pulse,
        mut made: Option<Made>,
    ) -> Option<Task> {
        loop {
            let (now, wall) = (self.clock.now(), self.clock.wall());
            pulse.due(now);
            let (turn, call, notices) = {
                let mut deck = self.deck();
                let left_until = match &made {
                    Some(_) => None,
                    None => deck.lane.left_until(now),
                };
                if let Some(made) = made.take() {
                    let (entry, outcome) = (made.entry, made.outcome);
                    deck.lane.finish(entry, outcome, made.elapsed, now, wall);
                }
                let turn = match left_until {
                    _ if self.shutdown.is_requested() => Turn::Stopped,
                    // Whoever comes from sending goes on with it.
                    Some(until) => Turn::Wait(until.since(now)),
                    None => deck.lane.take(now, wall),
                };
                let call = match turn {
                    Turn::Attempt(_) => self.call(&mut deck, now),
                    Turn::Wait(_) | Turn::Stopped => Call::default(),
                };
                (turn, call, deck.lane.notices())
            };
            if let Some(called) = call.called {
                called.ring();
            }
            self.log(&notices);
            match turn {
                Turn::Stopped => return None,
                Turn::Attempt(entry) => {
                    return Some(Task {
                        entry: *entry,
                        takes_on: call.takes_on,
                    });
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
    }

    /// Gives back what found no room in a request.
    pub(super) fn put_back(&self, rest: Entry) {
        self.deck().lane.put_back(rest, self.clock.now());
        self.bell.ring();
    }

    /// Hears of settlements that became durable.
    pub(super) fn committed(&self, count: u64, cursor: Sequence) {
        let goes_on = self.deck().lane.committed(count, cursor);
        self.settled.ring();
        if goes_on {
            self.bell.ring();
        }
    }

    /// Sends every worker home after the attempt it has under way.
    pub(super) fn stop(&self) {
        let (notices, idle) = {
            let mut deck = self.deck();
            deck.lane.stop();
            deck.roster.is_stopping = true;
            (deck.lane.notices(), std::mem::take(&mut deck.roster.idle))
        };
        self.log(&notices);
        // Nobody goes on the lookout any more: this is heard by the last who did.
        self.bell.ring();
        idle.iter().for_each(|(_, bell)| bell.ring());
    }

    /// Sends again to an endpoint that was gone or held.
    pub(super) fn resume(&self) {
        self.deck().lane.resume(self.clock.now());
        self.bell.ring();
    }

    /// Sends nothing until it is resumed.
    pub(super) fn hold(&self) {
        self.deck().lane.hold();
    }

    /// Has another share of the memory from now on.
    pub(super) fn reshare(&self, share: Share) {
        self.deck().lane.reshare(share);
        self.bell.ring();
    }

    /// Tries events again that have been put back among the waiting ones.
    pub(super) fn recall(&self, recalled: &[(UnixMs, Sequence)]) {
        self.deck().lane.recall(recalled, self.clock.now());
        self.bell.ring();
    }

    /// What the endpoint was sent of late, for the crew after this one, which has stopped.
    pub(super) fn pace(&self) -> Rate {
        self.deck().lane.pace()
    }

    /// Waits up to `patience` until everything decided is durable; whether that came true.
    pub(super) fn wait_settled(&self, patience: Duration) -> bool {
        let deadline = self.clock.now() + patience;
        loop {
            if self.deck().lane.is_settled() {
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
        self.deck().lane.counts(self.clock.now())
    }

    /// The endpoint's name.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// A worker leaves to send. If there is more to send, someone else is called for it; if there
    /// will be, the lookout is called when it does not know of that time yet; if nobody is on the
    /// lookout, someone is called to be, or taken on. When nobody is idle either, the bell keeps the
    /// call for a worker that has looked already and is about to wait.
    fn call(&self, deck: &mut Deck, now: Moment) -> Call {
        let Deck { lane, roster } = deck;
        let is_earlier = |until| lane.next_look(now).is_some_and(|look| look < until);
        match roster.lookout_until {
            Some(until) if lane.has_more(now) || is_earlier(until) => Call::of(self.bell.clone()),
            Some(_) => Call::default(),
            None => match roster.idle.pop() {
                Some((_, bell)) => Call::of(bell),
                None => {
                    let takes_on = roster.staff < lane.staff_max() && !roster.is_stopping;
                    roster.staff += usize::from(takes_on);
                    Call {
                        called: lane.has_more(now).then(|| self.bell.clone()),
                        takes_on,
                    }
                }
            },
        }
    }

    /// Waits to be called, or on the lookout; false when nobody has called for long.
    fn wait(&self, worker: usize, bell: &Bell, until: Moment) -> bool {
        let is_lookout = {
            let roster = &mut self.deck().roster;
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
            self.deck().roster.lookout_until = None;
            return true;
        }
        let is_called = bell.wait(self.stays_for);
        let roster = &mut self.deck().roster;
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

    fn deck(&self) -> MutexGuard<'_, Deck> {
        self.deck.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is called when a worker leaves.
#[derive(Debug, Default)]
struct Call {
    called: Option<Bell>,
    /// Nobody is there to be called, and there may be one more.
    takes_on: bool,
}

impl Call {
    fn of(bell: Bell) -> Call {
        Call {
            called: Some(bell),
            takes_on: false,
        }
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
    use std::time::Instant;

    fn crew_of(queue: MemoryQueue) -> Crew {
        let url = Url::parse("https://a/").unwrap();
        let endpoint = Arc::new(Endpoint::new("a", url, Profile::Standard));
        let name = Arc::clone(&endpoint.name);
        let lane = Lane::new(endpoint, Arc::new(queue), Arc::default(), 1);
        let clock = Arc::new(SystemClock::new());
        Crew::new(name, lane, clock, Shutdown::default())
    }

    #[test]
    fn a_worker_is_taken_on_when_nobody_is_left_to_look_and_goes_home_when_nobody_calls() {
        let queue = MemoryQueue::with(vec![queued(1, "cdr", "{}")]);
        let mut crew = crew_of(queue);
        crew.stays_for = Duration::from_millis(20);
        let crew = Arc::new(crew);
        let progress = Progress::default();
        crew.begin();
        let bell = Bell::default();
        let task = crew.next(1, &bell, &progress.pulse("1"), None).unwrap();
        assert!(task.takes_on, "one, to be the lookout");
        let lookout = {
            let (crew, pulse) = (Arc::clone(&crew), progress.pulse("2"));
            thread::spawn(move || crew.next(2, &Bell::default(), &pulse, None))
        };
        while crew.deck().roster.lookout_until.is_none() {
            bell.wait(Duration::from_millis(1));
        }
        // The first has come back: there is nothing to do, and somebody looks already.
        assert!(crew.next(1, &bell, &progress.pulse("1"), None).is_none());
        assert_eq!(crew.deck().roster.staff, 1);
        crew.stop();
        assert!(lookout.join().unwrap().is_none());
    }

    #[test]
    fn a_stop_is_rung_when_nobody_goes_on_the_lookout_any_more() {
        let crew = Arc::new(crew_of(MemoryQueue::default()));
        let deck = crew.deck();
        let stopping = {
            let crew = Arc::clone(&crew);
            thread::spawn(move || crew.stop())
        };
        // A ring before that would be taken by one, and another take its place.
        assert!(!crew.bell.wait(Duration::from_millis(100)));
        drop(deck);
        assert!(crew.bell.wait(Duration::from_secs(10)));
        assert!(crew.wait(1, &Bell::default(), crew.clock.now() + IDLE_WAIT));
        stopping.join().unwrap();
    }

    #[test]
    fn the_lookout_does_not_sleep_past_a_retry_of_a_worker_that_is_sending() {
        let queue = MemoryQueue::with(vec![queued(1, "cdr", "{}")]);
        let crew = Arc::new(crew_of(queue.clone()));
        let bell = Bell::default();
        let progress = Progress::default();
        let (pulse, other) = (progress.pulse("1"), progress.pulse("2"));
        let first = crew.next(1, &bell, &pulse, None).unwrap().entry;
        let (tell, told) = mpsc::channel();
        let lookout = {
            let crew = Arc::clone(&crew);
            thread::spawn(move || {
                tell.send(crew.next(2, &Bell::default(), &other, None))
                    .unwrap()
            })
        };
        while crew.deck().roster.lookout_until.is_none() {
            bell.wait(Duration::from_millis(1));
        }
        let busy = Outcome::Unavailable {
            failure: Failure::default(),
            after: None,
        };
        // Nobody rings for this one: the lookout sleeps on.
        queue.add(queued(2, "cdr", "{}"));
        let made = Made {
            entry: first,
            outcome: busy,
            elapsed: Duration::ZERO,
        };
        let next = crew.next(1, &bell, &pulse, Some(made)).unwrap().entry;
        assert_eq!(next.queued.sequence, Sequence(2));
        let again = told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(again.unwrap().entry.queued.sequence, Sequence(1));
        lookout.join().unwrap();
    }

    #[test]
    fn who_comes_to_look_leaves_a_few_events_to_the_one_who_sends_until_that_takes_too_long() {
        let queue = MemoryQueue::with((1..=4).map(|n| queued(n, "cdr", "{}")).collect());
        let crew = Arc::new(crew_of(queue));
        let bell = Bell::default();
        let progress = Progress::default();
        let (pulse, other) = (progress.pulse("1"), progress.pulse("2"));
        let first = crew.next(1, &bell, &pulse, None).unwrap().entry;
        let made = Made {
            entry: first,
            outcome: Outcome::Delivered,
            elapsed: Duration::from_micros(100),
        };
        let began = Instant::now();
        let second = crew.next(1, &bell, &pulse, Some(made)).unwrap().entry;
        assert_eq!(second.queued.sequence, Sequence(2));
        // It is never answered.
        let third = crew.next(2, &Bell::default(), &other, None).unwrap().entry;
        assert_eq!(third.queued.sequence, Sequence(3));
        assert!(began.elapsed() >= Duration::from_millis(8));
    }
}

//! Lane: an endpoint's place in the queue, and what of it is tried next.
//!
//! An event is in one of these places until it is settled:
//!
//! * the **window**: not tried yet;
//! * **first**: met a failing endpoint, or was under way when it began to fail. Has lost no
//!   attempt, and goes out before what is new, but one at a time and not after a failure: if it
//!   is these events that the endpoint cannot digest, the answers to others in between show it;
//! * **suspects**: found the endpoint unavailable, and it is not known yet whether that was the
//!   endpoint or the event. The next answer tells: a yes or no to another event means that the
//!   endpoint works, and the suspect has lost an attempt; one more failure, and the endpoint is
//!   failing;
//! * **retries**: has lost attempts and waits for its own time. What waits longer than a moment
//!   is also kept on disk, and where many do only its place is kept here; those that wait for
//!   long are put off, and are not kept here at all;
//! * **ready**: was put back, or waited behind another that is done: goes out next;
//! * **gathering**: waits for company, where an endpoint takes several events in one request;
//! * behind another event of its [line](super::order), where the endpoint asks for order;
//! * under way, with a worker.
//!
//! So an outage spends no attempts and makes no dead letters, and an event that alone does harm
//! is given up after its attempts while its neighbours pass.
//!
//! Everything here is decided under one short lock, without network; the time comes in as a
//! parameter.

mod company;
mod express;
mod in_turn;
mod later;
mod mirror;

use super::alert::{ALERT_EVERY, Wanted};
use super::batch::Gathering;
use super::breaker::{Gate, OPEN_AFTER, Unavailable};
use super::concurrency::{Limit, Sign};
use super::counts::{Counts, EndpointState};
use super::endpoint::Endpoint;
use super::entry::Entry;
use super::event_queue::{DeadLetter, EventQueue, QueueTrouble, Settled, Settlement};
use super::fallback::Addresses;
use super::latency::Latencies;
use super::memory::{Memory, Share};
use super::notice::Notice;
use super::order::Lines;
use super::outcome::{Failure, Outcome};
use super::rate::Rate;
use super::retry::{Next, draw};
use super::route::{Chooser, Routes};
use super::settler::Outbox;
use super::window::{WINDOW_EVENTS, Window};
use crate::clock::{Moment, UnixMs};
use crate::event::Sequence;
use crate::ingest::Told;
use crate::queue::Queued;
use expiry::{EXPIRE_PAUSE, Expiry};
use in_turn::Usual;
use later::{Later, Stored};
use mirror::Mirroring;
use standing::Standing;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Most events that wait for their own retry, those that are put off aside, before
/// nothing new is taken.
///
/// Each is a copy beside the queue and about 1 KiB here. An endpoint that refuses everything
/// would else turn the whole backlog into copies; with this it is stopped after so many until
/// some are delivered or given up, and the rest waits in the queue untried.
pub const KEPT_MAX: usize = 1_024;

/// Most events tried as probes during one failure. Beyond a few it is not the events; they take
/// turns then, so that no single one that the endpoint cannot digest keeps it failing.
const PROBED_MAX: usize = 16;

/// Cap of the wait before a suspect is tried again when no other answer decides about it.
const SUSPECT_WAIT: Duration = Duration::from_millis(250);

/// How long two 410s must be apart to be believed.
const GONE_APART: Duration = Duration::from_secs(60);

/// Shortest time between two notices about dead letters: the network must not fill the log.
const BURIED_NOTICE_EVERY: Duration = Duration::from_secs(60);

/// How long the endpoint must have been failing, or the lane have held back, before that is said.
/// Failures at random open the breaker, for a round trip, many times a second.
const SAID_AFTER: Duration = Duration::from_secs(1);

/// How long a lane with nothing to do waits for its bell before it looks again by itself.
pub const IDLE_WAIT: Duration = Duration::from_secs(60);

/// How long an attempt at the front of a full window may take before its event is written down as
/// waiting, so that the cursor, and everything behind it, goes on.
///
/// Healthy receivers answer well within it; one event that hangs would else hold back all others
/// for the endpoint's whole timeout.
const PARK_AFTER: Duration = Duration::from_secs(1);

/// How long a lane waits for memory that another one holds.
const MEMORY_WAIT: Duration = Duration::from_secs(1);

/// How long a lane waits when the queue cannot be read.
const UNREADABLE_WAIT: Duration = Duration::from_secs(1);

/// What a worker is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Send this, then [`finish`](Lane::finish) it.
    Attempt(Box<Entry>),
    /// Nothing for this long, unless the bell rings.
    Wait(Duration),
    /// Nothing any more.
    Stopped,
}

/// An endpoint's place in the queue.
#[derive(Debug)]
pub struct Lane {
    endpoint: Arc<Endpoint>,
    queue: Arc<dyn EventQueue>,
    outbox: Arc<Outbox>,
    rng: fastrand::Rng,
    breaker: Addresses,
    limit: Limit,
    rate: Rate,
    expiry: Expiry,
    standing: Standing,
    chooser: Chooser,
    mirroring: Mirroring,
    window: Window,
    /// At most what was under way when the endpoint began to fail, and [`PROBED_MAX`].
    first: VecDeque<Entry>,
    /// One of `first` is under way.
    is_doubt_out: bool,
    /// Fewer than [`OPEN_AFTER`], each with the time at which it is tried again at the latest.
    suspects: Vec<(Moment, Entry)>,
    /// At most [`KEPT_MAX`] and what was under way.
    retries: BTreeMap<(Moment, Sequence), Entry>,
    /// What waits in the queue only: when, and its due time there. The events themselves stay there
    /// until then. At most what the queue lets wait.
    stored: BTreeMap<(Moment, Sequence), Stored>,
    has_loaded_stored: bool,
    later: Later,
    /// At most what was put back by those under way, and stepped forward since.
    ready: VecDeque<Entry>,
    gathering: Gathering,
    lines: Lines,
    /// Events out of the queue and not settled for good: at most [`IN_HAND_MAX`](company::IN_HAND_MAX).
    in_hand: usize,
    memory: Memory,
    /// What is under way, by its place: at most the endpoint's concurrency.
    out: BTreeMap<Sequence, Out>,
    /// Settlements handed to the outbox and not known to be durable.
    unsettled: u64,
    /// Their events, in order.
    settling: VecDeque<Sequence>,
    gone_since: Option<Moment>,
    is_gone: bool,
    /// The operator has paused it.
    is_held: bool,
    is_stopping: bool,
    is_unreadable: bool,
    is_failing_said: bool,
    /// When that is to be said once more, should it last: it may not have become an alert.
    failing_again_at: Option<Moment>,
    /// What was told of the endpoint before this lane was made, and is not known to be over.
    told: Told,
    /// The end of a pause, asked for by the endpoint, that is longer than its time between probes.
    paused_until: Moment,
    /// Nothing new is taken since then, because of [`KEPT_MAX`].
    held_since: Option<Moment>,
    is_held_said: bool,
    buried_since_notice: u64,
    /// The latest of these: its id, attempts and error.
    buried_last: (String, u32, String),
    buried_noticed_at: Option<Moment>,
    notices: Vec<Notice>,
    counts: Counts,
    latencies: Latencies,
    usual: Usual,
}

/// What is under way.
#[derive(Debug)]
struct Out {
    queued: Queued,
    attempts: u32,
    since: Moment,
    /// It is written down as waiting, and holds nothing back.
    is_parked: bool,
}

impl Lane {
    /// The lane of `endpoint`, from its durable place in the queue on. `seed` decides its jitter.
    pub fn new(
        endpoint: Arc<Endpoint>,
        queue: Arc<dyn EventQueue>,
        outbox: Arc<Outbox>,
        seed: u64,
    ) -> Lane {
        let memory = endpoint.memory.clone();
        queue.mark_urgent(&endpoint.priority);
        Lane {
            rng: fastrand::Rng::with_seed(seed),
            breaker: Addresses::new(1 + endpoint.fallback_urls.len(), endpoint.probe_max),
            limit: Limit::new(endpoint.concurrency).at_most(endpoint.memory.senders),
            rate: Rate::new(endpoint.rate_max),
            expiry: Expiry::default(),
            standing: Standing::default(),
            chooser: Chooser::alone(&endpoint),
            mirroring: Mirroring::default(),
            window: Window::new(Arc::clone(&queue), &endpoint.name)
                .with_alerts(Wanted::of(&endpoint)),
            endpoint,
            queue,
            outbox,
            first: VecDeque::new(),
            is_doubt_out: false,
            suspects: Vec::new(),
            retries: BTreeMap::new(),
            stored: BTreeMap::new(),
            has_loaded_stored: false,
            later: Later::default(),
            ready: VecDeque::new(),
            gathering: Gathering::default(),
            lines: Lines::default(),
            in_hand: 0,
            memory: Memory::new(memory),
            out: BTreeMap::new(),
            unsettled: 0,
            settling: VecDeque::new(),
            gone_since: None,
            is_gone: false,
            is_held: false,
            is_stopping: false,
            is_unreadable: false,
            is_failing_said: false,
            failing_again_at: None,
            told: Told::default(),
            paused_until: Moment::default(),
            held_since: None,
            is_held_said: false,
            buried_since_notice: 0,
            buried_last: Default::default(),
            buried_noticed_at: None,
            notices: Vec::new(),
            counts: Counts::default(),
            latencies: Latencies::default(),
            usual: Usual::default(),
        }
    }

    /// The same lane, with `routes` deciding which events are its endpoint's.
    pub fn routed(mut self, routes: &Routes) -> Lane {
        self.chooser.follow(routes.clone());
        self
    }

    /// The same lane, whose endpoint was sent requests before.
    pub fn paced_after(mut self, before: Rate) -> Lane {
        self.rate = Rate::after(self.endpoint.rate_max, before);
        self
    }

    /// What the endpoint was sent of late, for the lane after this one.
    pub fn pace(&mut self) -> Rate {
        std::mem::replace(&mut self.rate, Rate::new(None))
    }

    /// The same lane, of whose endpoint this was told before: that it is over will be said.
    pub fn told(self, told: Told) -> Lane {
        Lane { told, ..self }
    }

    /// What to do at `now`.
    pub fn take(&mut self, now: Moment, wall: UnixMs) -> Turn {
        let turn = self.mirror_turn(now, wall);
        let turn = turn.unwrap_or_else(|| self.turn(now, wall));
        self.until_mirror_ends(turn, wall)
    }

    fn turn(&mut self, now: Moment, wall: UnixMs) -> Turn {
        if self.is_stopping {
            return Turn::Stopped;
        }
        self.observe(now);
        if self.is_held || self.is_gone || self.unsettled >= WINDOW_EVENTS {
            return Turn::Wait(IDLE_WAIT);
        }
        if self.expire(now, wall) {
            return Turn::Wait(EXPIRE_PAUSE);
        }
        let (gate, address) = self.breaker.gate(now);
        let is_probe = match gate {
            Gate::Open => false,
            Gate::Probe => true,
            Gate::ShutUntil(moment) => return Turn::Wait(self.look_by(moment).since(now)),
        };
        if let Some(open) = self.rate.shut_until(now) {
            return Turn::Wait(self.look_by(open).since(now));
        }
        if !is_probe && self.is_at_limit() {
            return Turn::Wait(IDLE_WAIT); // Whoever finishes looks again.
        }
        let picked = self
            .load_stored(now, wall)
            .and_then(|()| {
                self.reroute(wall);
                self.resolve_doubt(now, wall);
                self.bring_back(now, wall);
                self.put_off(now, wall);
                self.pick(now, is_probe, address)
            })
            .and_then(|picked| match picked {
                None if self.let_go(now)? => self.pick(now, is_probe, address),
                picked => Ok(picked),
            });
        match self.heard(picked) {
            None => Turn::Wait(UNREADABLE_WAIT),
            Some(None) => {
                self.park(now, wall);
                self.write_down(now, wall);
                let next = self.next_due().into_iter().chain(self.next_park()).min();
                let most = if self.memory.was_refused() {
                    MEMORY_WAIT
                } else {
                    IDLE_WAIT
                };
                Turn::Wait(next.map_or(most, |next| next.since(now).min(most)))
            }
            Some(Some(mut entry)) => {
                self.goes_out(&entry, now);
                for other in &entry.others {
                    self.goes_out(other, now);
                }
                self.rate.sent(now);
                self.standing.under_way += 1;
                entry.address = address;
                entry.round = self.limit.begun(self.standing.under_way);
                if is_probe {
                    self.breaker.probe_sent(address, now);
                    entry.was_probe = true;
                }
                entry.is_probe = is_probe;
                Turn::Attempt(Box::new(entry))
            }
        }
    }

    /// What an attempt came to, after `elapsed`.
    ///
    /// Nothing is durable yet: the settlement is in the outbox. Until it is committed, a crash
    /// means that the event goes out again, with the same id.
    pub fn finish(
        &mut self,
        mut entry: Entry,
        outcome: Outcome,
        elapsed: Duration,
        now: Moment,
        wall: UnixMs,
    ) {
        if std::mem::take(&mut entry.is_doubtful) {
            self.is_doubt_out = false;
        }
        for queued in entry.members() {
            self.out.remove(&queued.sequence);
        }
        self.standing.under_way = self.standing.under_way.saturating_sub(1);
        self.observe(now);
        self.counts.attempts += 1;
        self.counts.latency_sum += elapsed;
        self.counts.latency_max = self.counts.latency_max.max(elapsed);
        self.latencies.note(elapsed, now);
        self.limit.ended(entry.round, Sign::of(&outcome), elapsed);
        match outcome {
            Outcome::Delivered => self.usual.taken(elapsed),
            _ => self.usual.forget(),
        }
        match outcome {
            Outcome::Delivered => {
                self.counts.delivered += 1;
                self.counts.last_success_at = Some(wall);
                self.breaker.taken(entry.address);
                self.answered(entry.address, now, wall);
                self.delivered(entry, now);
            }
            Outcome::Refused(failure) => {
                self.counts.refused += 1;
                if failure.was_never_sent() {
                    let entry = self.failed(entry, failure, wall);
                    return self.charge(entry, Next::Bury, now, wall);
                }
                if self.is_refusing(&mut entry, &failure) {
                    return self.refuses_everything(entry, failure, now, wall);
                }
                self.answered(entry.address, now, wall);
                let entry = self.failed(entry, failure, wall);
                let Some(entry) = self.split(entry, now) else {
                    return;
                };
                let next = self
                    .endpoint
                    .retries
                    .after_refusal(entry.attempt(), &mut self.rng);
                self.charge(entry, next, now, wall);
            }
            Outcome::Unavailable { failure, after } => {
                self.counts.unavailable += 1;
                self.gone_since = None;
                self.unavailable(entry, failure, after, now, wall);
            }
            Outcome::Gone(failure) => {
                self.counts.unavailable += 1;
                self.gone(entry, failure, now, wall);
            }
        }
    }

    /// `count` settlements are durable, and the cursor is at `cursor`. True when that lets
    /// something go on.
    pub fn committed(&mut self, count: u64, cursor: Sequence) -> bool {
        let was_held_up =
            self.unsettled >= WINDOW_EVENTS || self.window.is_at_end() || self.memory.was_refused();
        self.memory.settled(count);
        self.unsettled = self.unsettled.saturating_sub(count);
        for _ in 0..count {
            self.settling.pop_front();
        }
        self.window.moved(cursor);
        was_held_up
    }

    /// Whether another worker would find something to send at `now` that is not
    /// [left](Lane::left_until) to those who are sending.
    pub fn has_more(&self, now: Moment) -> bool {
        self.rate.shut_until(now).is_none() && self.has_work(now) && self.left_until(now).is_none()
    }

    /// The same, were it not for the rate.
    fn has_work(&self, now: Moment) -> bool {
        !self.is_held
            && self.breaker.gate(now).0 == Gate::Open
            && !self.is_at_limit()
            && !self.is_one_out()
            && (!self.first.is_empty() && !self.is_doubt_out
                || !self.ready.is_empty()
                || self.window.has_fresh() && self.kept() < KEPT_MAX
                || self.next_due().is_some_and(|due| due <= now))
    }

    /// When there may be something to send next, as far as is known at `now`; none when that
    /// depends on something else than time.
    pub fn next_look(&self, now: Moment) -> Option<Moment> {
        if self.is_stopping || self.is_gone || self.is_held {
            return None;
        }
        if let Some(open) = self.rate.shut_until(now).filter(|_| self.has_work(now)) {
            return Some(open);
        }
        match self.breaker.gate(now).0 {
            Gate::ShutUntil(moment) => Some(self.look_by(moment)),
            Gate::Open | Gate::Probe => {
                let due = self.next_due().into_iter().chain(self.next_park());
                due.chain(self.left_until(now)).min()
            }
        }
    }

    /// Gives out nothing any more.
    pub fn stop(&mut self) {
        self.is_stopping = true;
        self.buried_noticed_at = None;
        self.tell_buried(Moment::default());
    }

    /// Sends again to an endpoint that was gone or held, or asked for a pause, without waiting any
    /// longer.
    pub fn resume(&mut self, now: Moment) {
        (self.is_gone, self.gone_since) = (false, None);
        self.is_held = false;
        self.paused_until = Moment::default();
        self.breaker.resume(now);
    }

    /// Holds no more than `share` of events and attempts, as soon as what is beyond it is settled.
    pub fn reshare(&mut self, share: Share) {
        let limit = std::mem::replace(&mut self.limit, Limit::new(self.endpoint.concurrency));
        self.limit = limit.at_most(share.senders);
        self.memory.reshare(share);
    }

    /// Sends nothing until it is resumed; attempts under way go on.
    pub fn hold(&mut self) {
        self.is_held = true;
    }

    /// Takes over events that have been put among those that wait in the queue since it was read:
    /// dead letters that are tried again. They are due at `now`.
    pub fn recall(&mut self, recalled: &[(UnixMs, Sequence)], now: Moment) {
        if !self.has_loaded_stored {
            return; // They are found with the others.
        }
        // One may have been read with the others before this is heard.
        let known = self.known();
        for &(due, sequence) in recalled {
            if !known.contains(&sequence) {
                self.stored.insert((now, sequence), Stored::at(due));
            }
        }
    }

    /// The events that have a place here, those of the window aside.
    fn known(&self) -> BTreeSet<Sequence> {
        let in_hand = self.entries().chain(self.lines.entries());
        let in_hand = in_hand.flat_map(Entry::members);
        let mut known: BTreeSet<Sequence> = in_hand.map(|queued| queued.sequence).collect();
        known.extend(self.stored.keys().map(|(_, sequence)| *sequence));
        known.extend(self.out.keys());
        known.extend(self.lines.sequences_behind());
        known
    }

    /// Whether everything decided is durable.
    pub fn is_settled(&self) -> bool {
        self.unsettled == 0
    }

    /// What there is to log since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What has become of attempts and events since the start, and how things stand at `now`.
    pub fn counts(&self, now: Moment) -> Counts {
        let state = match () {
            () if self.is_held => EndpointState::Held,
            () if self.is_gone => EndpointState::Stopped,
            () if self.is_paused(now) => EndpointState::Paused,
            () if self.breaker.failing_since().is_some() => EndpointState::Failing,
            () => EndpointState::Working,
        };
        Counts {
            retrying: self.kept() as u64 + self.later.count,
            state,
            failing_for: self.breaker.failing_since().map(|since| now.since(since)),
            next_try: self.next_try(now),
            oldest: self.oldest(),
            latency: self.latencies.percentiles(),
            address: self.standing.address,
            may_be_gone: self.gone_since.is_some(),
            longest: self.out.values().map(|out| now.since(out.since)).max(),
            under_way: self.standing.under_way as u64,
            concurrency: self.limit.now() as u64,
            ..self.counts.clone()
        }
    }

    fn next_try(&self, now: Moment) -> Option<Duration> {
        if self.is_held || self.is_gone {
            return None;
        }
        match self.breaker.gate(now).0 {
            Gate::ShutUntil(moment) => Some(moment.since(now)),
            Gate::Open | Gate::Probe => None,
        }
    }

    /// What is in hand, neither with a worker nor behind another.
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let suspects = self.suspects.iter().map(|(_, entry)| entry);
        self.first
            .iter()
            .chain(suspects)
            .chain(self.retries.values())
            .chain(&self.ready)
            .chain(self.gathering.iter())
    }

    fn oldest(&self) -> Option<UnixMs> {
        let entries = self.entries().map(|entry| &entry.queued);
        let out = self.out.values().map(|out| &out.queued);
        let all = entries.chain(out).chain(self.window.first_fresh());
        all.map(|queued| queued.event.time.unix).min()
    }

    /// Says what has gone on for long enough to be said.
    fn observe(&mut self, now: Moment) {
        let is_failing = self
            .breaker
            .failing_since()
            .is_some_and(|since| now.since(since) >= SAID_AFTER);
        let is_said_again = self.failing_again_at.is_some_and(|at| at <= now);
        if is_failing && (!self.is_failing_said || is_said_again) {
            let notice = Notice::Failing {
                attempts: OPEN_AFTER,
                error: self.counts.last_error.clone().unwrap_or_default(),
            };
            let (again_at, notice) = match std::mem::replace(&mut self.is_failing_said, true) {
                false => (Some(now + ALERT_EVERY), notice),
                true => (None, Notice::StillSo(Box::new(notice))),
            };
            self.failing_again_at = again_at;
            self.notices.push(notice);
        }
        if self.kept() >= KEPT_MAX {
            let since = *self.held_since.get_or_insert(now);
            if now.since(since) >= SAID_AFTER && !std::mem::replace(&mut self.is_held_said, true) {
                self.notices.push(Notice::HoldsBack);
            }
        } else if self.kept() <= KEPT_MAX / 2 {
            self.held_since = None;
            if std::mem::take(&mut self.is_held_said) {
                self.notices.push(Notice::TakesOn);
            }
        }
        self.tell_buried(now);
        self.observe_address(now);
    }

    /// `moment`, or earlier when there is something to say before.
    fn look_by(&self, moment: Moment) -> Moment {
        let Some(since) = self.breaker.failing_since() else {
            return moment;
        };
        let say_at = match self.is_failing_said {
            false => Some(since + SAID_AFTER),
            true => self.failing_again_at,
        };
        say_at.map_or(moment, |at| moment.min(at))
    }

    fn pick(
        &mut self,
        now: Moment,
        is_probe: bool,
        address: usize,
    ) -> Result<Option<Entry>, QueueTrouble> {
        if self.is_one_out() {
            return Ok(None);
        }
        if is_probe {
            return self.pick_probe(now);
        }
        if let Some(entry) = self.express()? {
            return Ok(Some(entry));
        }
        // What has failed before goes first, but not right after a failure: the answer to an event
        // that has not failed yet says more.
        if !self.breaker.is_sound(address)
            && let Some(entry) = self.fresh(now, false)?
        {
            return Ok(Some(entry));
        }
        let again = self
            .due_again(now)?
            .or_else(|| self.doubtful())
            .or_else(|| self.due_suspect(now));
        match again {
            Some(entry) => Ok(Some(entry)),
            None => self.fresh(now, false),
        }
    }

    /// An event that was no probe yet, if there is one, else the one whose turn it is longest.
    fn pick_probe(&mut self, now: Moment) -> Result<Option<Entry>, QueueTrouble> {
        // One is enough: as probes they would come to wait for each other's answers.
        if !self.first.iter().any(|entry| self.is_urgent(entry))
            && let Some(entry) = self.express()?
        {
            return Ok(Some(entry));
        }
        let is_untried = self.first.front().is_some_and(|entry| !entry.was_probe);
        if !is_untried
            && self.first.len() < PROBED_MAX
            && let Some(entry) = self.fresh(now, true)?
        {
            return Ok(Some(entry));
        }
        if let Some(entry) = self.first.pop_front() {
            return Ok(Some(entry));
        }
        // A suspect of the address in use may be all there is; that one is not asked before this one.
        let again = self.due_retry(now)?;
        Ok(again.or_else(|| self.due_suspect(now)))
    }

    fn due_retry(&mut self, now: Moment) -> Result<Option<Entry>, QueueTrouble> {
        let held = self.retries.first_entry();
        let stored = self.stored.first_key_value();
        let stored = stored.map(|(key, stored)| (*key, *stored));
        match (held, stored) {
            (Some(held), stored)
                if held.key().0 <= now && stored.is_none_or(|(key, _)| *held.key() < key) =>
            {
                Ok(Some(held.remove()))
            }
            (_, Some((key, stored))) if key.0 <= now && !self.memory.is_short() => {
                self.fetch(key, stored, now)
            }
            _ => Ok(None),
        }
    }

    /// Takes what waited in the queue out of it, if there is room for it.
    fn fetch(
        &mut self,
        key: (Moment, Sequence),
        stored: Stored,
        now: Moment,
    ) -> Result<Option<Entry>, QueueTrouble> {
        let name = &self.endpoint.name;
        let Some(waiting) = self.queue.waiting_event(name, stored.due, key.1)? else {
            return self.fetch_missing(key, stored, now);
        };
        if !self.memory.take(&waiting.queued.event) {
            return Ok(None);
        }
        self.stored.remove(&key);
        Ok(self.fetched(Entry::waited(waiting), true))
    }

    /// Leaves the events that wait for long to the disk, where they are too, when there is no memory
    /// for others; true when that gave something back.
    ///
    /// Only while everything decided is durable: what waits on disk is then what it says there.
    fn let_go(&mut self, now: Moment) -> Result<bool, QueueTrouble> {
        let soon = now + MEMORY_WAIT;
        let waits_long = |(due, _): &(Moment, Sequence)| *due > soon;
        let is_worth_it =
            self.retries.keys().next_back().is_some_and(waits_long) || self.lines.has_written();
        if !self.memory.is_short() || self.unsettled > 0 || !is_worth_it {
            return Ok(false);
        }
        let places = self.queue.waiting_places(&self.endpoint.name)?;
        let on_disk: BTreeMap<Sequence, UnixMs> = places
            .into_iter()
            .map(|(due, sequence)| (sequence, due))
            .collect();
        let before = self.in_hand;
        let (memory, stored) = (&mut self.memory, &mut self.stored);
        self.retries.retain(|key, entry| {
            let due = on_disk.get(&key.1).filter(|_| waits_long(key));
            if let Some(&due) = due {
                memory.give_back(&entry.queued.event);
                stored.insert(*key, Stored::at(due));
                self.in_hand -= 1;
            }
            due.is_none()
        });
        let due = |sequence| on_disk.get(&sequence).copied();
        self.lines.let_go(due, |entry| {
            memory.give_back(&entry.queued.event);
            self.in_hand -= 1;
        });
        Ok(self.in_hand < before)
    }

    /// How many events wait for their own retry, or behind one that does.
    fn kept(&self) -> usize {
        self.retries.len() + self.stored.len() + self.lines.behind()
    }

    fn doubtful(&mut self) -> Option<Entry> {
        if self.is_doubt_out {
            return None;
        }
        let entry = self.first.pop_front()?;
        self.is_doubt_out = true;
        Some(Entry {
            is_doubtful: true,
            ..entry
        })
    }

    fn due_suspect(&mut self, now: Moment) -> Option<Entry> {
        let place = self.suspects.iter().position(|(due, _)| *due <= now)?;
        Some(self.suspects.swap_remove(place).1)
    }

    /// Writes down as waiting what holds the cursor back for long, so that the window moves on.
    ///
    /// The attempt goes on; whatever it comes to settles the event as any other. A crash before
    /// that means that the event goes out again, with the same id, as it would have anyway.
    fn park(&mut self, now: Moment, wall: UnixMs) {
        if !self.window.is_at_end() {
            return;
        }
        let due = wall.after(self.endpoint.timeout);
        let mut parked = Vec::new();
        for (sequence, out) in &mut self.out {
            if !out.is_parked && now.since(out.since) >= PARK_AFTER {
                out.is_parked = true;
                let settlement = Settlement::Keep {
                    due,
                    attempts: out.attempts,
                    reason: "still under way".to_string(),
                    event: out.queued.clone(),
                };
                parked.push((*sequence, settlement));
            }
        }
        for (sequence, settlement) in parked {
            self.settle(sequence, settlement);
        }
    }

    /// When there is something to park next.
    fn next_park(&self) -> Option<Moment> {
        if !self.window.is_at_end() {
            return None;
        }
        let waiting = self.out.values().filter(|out| !out.is_parked);
        waiting.map(|out| out.since + PARK_AFTER).min()
    }

    fn next_due(&self) -> Option<Moment> {
        if self.is_one_out() {
            return None; // Whoever brings it back looks again.
        }
        let retry = self.retries.first_key_value().map(|((due, _), _)| *due);
        let stored = self.stored.first_key_value().map(|((due, _), _)| *due);
        // What has no room comes when something is given back.
        let stored = stored.filter(|_| !self.memory.was_refused());
        let suspect = self.suspects.iter().map(|(due, _)| *due).min();
        let due = retry.into_iter().chain(stored).chain(suspect);
        let due = due.chain(self.next_brought_back());
        due.chain(self.gathering_due()).min()
    }

    /// Notes what waits in the queue for its own retry, once.
    ///
    /// Due times on disk are of the wall clock, which may have been set since: one far ahead
    /// waits for the longest backoff and no longer.
    fn load_stored(&mut self, now: Moment, wall: UnixMs) -> Result<(), QueueTrouble> {
        if self.has_loaded_stored {
            return Ok(());
        }
        let places = self.queue.waiting_places(&self.endpoint.name)?;
        let put_off = self.queue.put_off_now(&self.endpoint.name)?;
        for (due, sequence) in self.queue_up(places, now)? {
            let wait = due.since(wall).min(self.endpoint.retries.max);
            self.stored.insert((now + wait, sequence), Stored::at(due));
        }
        self.later.lost = put_off.lost;
        self.note_put_off(put_off, now, wall);
        self.has_loaded_stored = true;
        Ok(())
    }

    fn heard<T>(&mut self, result: Result<T, QueueTrouble>) -> Option<T> {
        match result {
            Ok(value) => {
                if std::mem::take(&mut self.is_unreadable) {
                    self.notices.push(Notice::Readable);
                }
                Some(value)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_unreadable, true) {
                    self.notices.push(Notice::Unreadable {
                        error: error.to_string(),
                    });
                }
                None
            }
        }
    }

    /// The endpoint said yes or no to an event: it works, and what it had no answer for stands
    /// alone.
    fn answered(&mut self, address: usize, now: Moment, wall: UnixMs) {
        self.gone_since = None;
        let recovered = self.breaker.answered(address, now);
        self.said_before(address, recovered, wall);
        if let Some(recovered) = recovered {
            let (failing_for, probes) = (recovered.failing_for, recovered.probes);
            self.failing_again_at = None;
            if std::mem::take(&mut self.is_failing_said) {
                self.limit.restart();
                self.notices.push(Notice::Recovered {
                    failing_for,
                    probes,
                });
            }
            // Probes took turns; what is sent now goes in its order again.
            let mut first = std::mem::take(&mut self.first);
            first
                .make_contiguous()
                .sort_by_key(|entry| (!self.is_urgent(entry), entry.queued.sequence));
            self.first = first;
            self.first
                .iter_mut()
                .for_each(|entry| entry.was_probe = false);
        }
        let (here, elsewhere) = std::mem::take(&mut self.suspects)
            .into_iter()
            .partition(|(_, entry)| entry.address == address);
        self.suspects = elsewhere;
        let here: Vec<(Moment, Entry)> = here;
        for (_, entry) in here {
            // What may be tried once only is not tried again.
            let entry = match self.endpoint.retries.attempts {
                1 => Some(entry),
                _ => self.split(entry, now),
            };
            let Some(entry) = entry else { continue };
            let next =
                self.endpoint
                    .retries
                    .after_accident(entry.attempt(), entry.quick, &mut self.rng);
            self.charge(entry, next, now, wall);
        }
    }

    fn unavailable(
        &mut self,
        entry: Entry,
        failure: Failure,
        after: Option<Duration>,
        now: Moment,
        wall: UnixMs,
    ) {
        let entry = self.failed(entry, failure, wall);
        if let Some(after) = after.filter(|after| *after > self.endpoint.probe_max) {
            if self.paused_until <= now && !self.is_gone {
                let error = entry.last.reason.clone();
                self.notices.push(Notice::Paused { after, error });
            }
            self.paused_until = self.paused_until.max(now + after);
        }
        self.expiry.failed(now);
        let found =
            self.breaker
                .unavailable(entry.address, now, entry.is_probe, after, &mut self.rng);
        self.met(entry, found, now);
    }

    /// Where an event goes that met an address in this state.
    fn met(&mut self, entry: Entry, found: Unavailable, now: Moment) {
        match found {
            Unavailable::Suspected => self
                .suspects
                .push((now + draw(SUSPECT_WAIT, &mut self.rng), entry)),
            Unavailable::StillFailing => self.first.push_back(entry),
            Unavailable::Opened => {
                self.first
                    .extend(self.suspects.drain(..).map(|(_, suspect)| suspect));
                self.first.push_back(entry);
            }
        }
    }

    /// One 410 may be a mistake of a deployment: the endpoint is left alone for a while and asked
    /// again.
    fn gone(&mut self, entry: Entry, failure: Failure, now: Moment, wall: UnixMs) {
        let since = *self.gone_since.get_or_insert(now);
        if now.since(since) < GONE_APART || self.is_gone {
            return self.unavailable(entry, failure, Some(GONE_APART), now, wall);
        }
        self.is_gone = true;
        self.notices.push(Notice::Stopped);
        // Who is told of failures is told of this one, and of its end.
        self.breaker.gone(now, &mut self.rng);
        let entry = self.failed(entry, failure, wall);
        self.met(entry, Unavailable::Opened, now);
    }

    fn failed(&mut self, entry: Entry, failure: Failure, wall: UnixMs) -> Entry {
        self.counts.last_error = Some(failure.reason.clone());
        self.counts.last_error_class = failure.class;
        *self.counts.failures.entry(failure.class).or_default() += 1;
        self.counts.last_answer.clone_from(&failure.answer_start);
        self.counts.last_error_at = Some(wall);
        Entry {
            last: failure,
            ..entry
        }
    }

    /// The failure was the event's: an attempt counts against it, or a quick retry is used up.
    fn charge(&mut self, entry: Entry, next: Next, now: Moment, wall: UnixMs) {
        let mut entry = Entry {
            is_probe: false,
            was_probe: false,
            ..entry
        };
        if !matches!(next, Next::Soon(_)) {
            entry = self.part(entry, next, now, wall);
        }
        let sequence = entry.queued.sequence;
        match next {
            Next::Soon(wait) => {
                entry.quick = entry.quick.saturating_add(1);
                self.retries.insert((now + wait, sequence), entry);
            }
            Next::Keep(wait) => {
                entry.attempts = entry.attempt();
                let keep = Settlement::Keep {
                    due: wall.after(wait),
                    attempts: entry.attempts,
                    reason: entry.last.reason.clone(),
                    event: entry.queued.clone(),
                };
                self.settle(sequence, keep);
                self.set_aside(entry, now + wait, wall.after(wait), now);
            }
            Next::Bury => {
                entry.attempts = entry.attempt();
                self.bury(entry, now, wall);
            }
        }
    }

    fn bury(&mut self, entry: Entry, now: Moment, wall: UnixMs) {
        if self.chooser.mirror().is_some() {
            return self.give_up(&entry);
        }
        let Entry {
            queued,
            attempts,
            last,
            line,
            ..
        } = entry;
        let sequence = queued.sequence;
        self.counts.buried += 1;
        self.memory.give_back(&queued.event);
        self.in_hand -= 1;
        self.buried_since_notice += 1;
        self.buried_last = (queued.event.id.to_string(), attempts, last.reason.clone());
        self.tell_buried(now);
        let letter = DeadLetter {
            attempts,
            status: last.status,
            answer_start: last.answer_start,
            reason: last.reason,
            at: wall,
            queued,
        };
        self.settle(sequence, Settlement::Bury(letter));
        self.step_forward(line, sequence, now);
    }

    fn tell_buried(&mut self, now: Moment) {
        let is_quiet = self
            .buried_noticed_at
            .is_some_and(|at| now.since(at) < BURIED_NOTICE_EVERY);
        if is_quiet || self.buried_since_notice == 0 {
            return;
        }
        self.buried_noticed_at = Some(now);
        let (id, attempts, error) = std::mem::take(&mut self.buried_last);
        self.notices.push(Notice::Buried {
            count: std::mem::take(&mut self.buried_since_notice),
            id,
            attempts,
            error,
        });
    }

    fn settle(&mut self, sequence: Sequence, settlement: Settlement) {
        self.unsettled += 1;
        self.settling.push_back(sequence);
        self.memory.settling(match &settlement {
            Settlement::Delivered | Settlement::Skipped => None,
            Settlement::Keep { event, .. } => Some(&event.event),
            Settlement::Bury(letter) => Some(&letter.queued.event),
        });
        self.outbox.push(Settled {
            endpoint: Arc::clone(&self.endpoint.name),
            sequence,
            settlement,
        });
    }
}

mod expiry;
mod refusing;
mod standing;

#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod tests;

//! Company: what goes out beside, behind or together with other events of the same endpoint.

use super::*;
use crate::delivery::batch::{self, Batch};
use crate::delivery::blanket::Mark;
use crate::delivery::order::{Behind, Line, OnRefused, Order};

/// Most events out of the queue and not settled for good.
///
/// Each may come to wait in the queue for its retry, which lets no more than `WAITING_MAX` wait;
/// a quarter of that is left to what waits there for other reasons. Only batches come near it.
pub(super) const IN_HAND_MAX: usize = 3 * KEPT_MAX;

/// Why an event is written down that was not tried.
const BEHIND: &str = "waits behind an earlier event";

impl Lane {
    /// The next event not tried yet, or several; none when there is none, nothing new is taken,
    /// or what there is waits for company.
    pub(super) fn fresh(
        &mut self,
        now: Moment,
        is_probe: bool,
    ) -> Result<Option<Entry>, QueueTrouble> {
        if let Some(entry) = self.ready.pop_front() {
            return Ok(Some(entry));
        }
        let is_strict = self.endpoint.order.is_strict();
        if is_strict && self.lines.is_busy() {
            return Ok(None);
        }
        let entry = match self.endpoint.batch {
            None => self.fresh_one()?,
            Some(_) if is_probe => match self.gathering.take_one() {
                None => self.fresh_one()?,
                gathered => gathered,
            },
            Some(batch) => self.gathered(&batch, now)?,
        };
        match entry {
            Some(entry) if is_strict => Ok(self.lines.admit(entry, false)),
            entry => Ok(entry),
        }
    }

    /// The next event of the window that need not wait behind another.
    fn fresh_one(&mut self) -> Result<Option<Entry>, QueueTrouble> {
        while self.takes_more() {
            let mut skipped = Vec::new();
            let next = self
                .window
                .next(&self.chooser, &mut self.memory, |sequence| {
                    skipped.push(sequence)
                });
            self.skip(skipped);
            let Some(mut entry) = next?.map(Entry::new) else {
                return Ok(None);
            };
            self.in_hand += 1;
            entry.line = self.endpoint.order.line(&entry.queued.event);
            if self.endpoint.order.is_strict() {
                return Ok(Some(entry));
            }
            if let Some(entry) = self.lines.admit(entry, false) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn takes_more(&self) -> bool {
        self.kept() < KEPT_MAX && self.in_hand + self.stored.len() < IN_HAND_MAX
    }

    /// A request of several events, when there are enough or they have waited long enough.
    fn gathered(&mut self, batch: &Batch, now: Moment) -> Result<Option<Entry>, QueueTrouble> {
        while !self.gathering.is_full(batch)
            && let Some(entry) = self.fresh_one()?
        {
            self.gathering.add(entry, now);
        }
        // What there is no room for does not come before this has gone.
        let may_grow = self.takes_more() && !self.window.is_at_end() && !self.memory.was_refused();
        let has_waited = self.gathering.due(batch).is_some_and(|due| due <= now);
        if has_waited || !may_grow || self.gathering.is_full(batch) {
            return Ok(self.gathering.take(batch));
        }
        Ok(None)
    }

    /// When what waits for company has waited long enough.
    pub(super) fn gathering_due(&self) -> Option<Moment> {
        let batch = self.endpoint.batch.as_ref()?;
        if self.endpoint.order.is_strict() && self.lines.is_busy() {
            return None;
        }
        self.gathering.due(batch)
    }

    /// The next retry that is due; where the endpoint takes several events in one request, with
    /// others that are due too.
    pub(super) fn due_again(&mut self, now: Moment) -> Result<Option<Entry>, QueueTrouble> {
        let Some(mut entry) = self.due_retry(now)? else {
            return Ok(None);
        };
        let Some(batch) = self.endpoint.batch else {
            return Ok(Some(entry));
        };
        if entry.is_alone || entry.count() > 1 {
            return Ok(Some(entry));
        }
        let goes_along = |entry: &Entry, next: &Entry| !next.is_alone && batch.takes(entry, next);
        if let Some(line) = entry.line {
            while let Some(next) = self.lines.accompany(line, |next| goes_along(&entry, next)) {
                entry.others.push(next);
            }
            return Ok(Some(entry));
        }
        // What cannot be read now is due later.
        while let Ok(Some(next)) = self.due_retry(now) {
            if next.count() > 1 || !goes_along(&entry, &next) {
                self.ready.push_back(next);
                break;
            }
            entry.others.push(next);
        }
        Ok(Some(entry))
    }

    /// Whether the order lets nothing go out beside what is under way.
    pub(super) fn is_one_out(&self) -> bool {
        self.endpoint.order.is_strict() && !self.out.is_empty()
    }

    /// An event goes out.
    pub(super) fn goes_out(&mut self, entry: &Entry, now: Moment) {
        let out = Out {
            queued: entry.queued.clone(),
            attempts: entry.attempts,
            since: now,
            is_parked: false,
        };
        self.out.insert(entry.queued.sequence, out);
    }

    /// Takes back what found no room in a request: it goes out next.
    pub(in crate::delivery) fn put_back(&mut self, rest: Entry, now: Moment) {
        for queued in rest.members() {
            self.out.remove(&queued.sequence);
        }
        self.goes_next(rest, now);
    }

    pub(super) fn goes_next(&mut self, entry: Entry, now: Moment) {
        match entry.line {
            Some(line) => self.lines.follow(line, entry, now, false),
            None => self.ready.push_front(entry),
        }
    }

    /// An event that was left to the queue, and waits there if it `is_written`, is in hand again;
    /// none when it has to wait on, behind another.
    pub(super) fn fetched(&mut self, mut entry: Entry, is_written: bool) -> Option<Entry> {
        self.in_hand += 1;
        entry.is_alone = entry.attempts > 0;
        entry.mark = (entry.attempts > 0).then(Mark::of_old);
        if !self.is_set_aside(entry.attempts) {
            entry.line = self.endpoint.order.line(&entry.queued.event);
        }
        self.lines.admit(entry, is_written)
    }

    /// Whether an event with so many attempts has lost its place in the order.
    fn is_set_aside(&self, attempts: u32) -> bool {
        attempts > 0 && self.endpoint.on_refused == OnRefused::Park
    }

    /// Finds the lines of the events that wait in the queue; those that come back are not behind
    /// others.
    pub(super) fn queue_up(
        &mut self,
        places: Vec<(UnixMs, Sequence)>,
        now: Moment,
    ) -> Result<Vec<(UnixMs, Sequence)>, QueueTrouble> {
        if self.endpoint.order == Order::None {
            return Ok(places);
        }
        // All are read before any is put into its place: asking again begins anew.
        let mut lines: Vec<_> = self.lines_put_off(now)?;
        let put_off: BTreeSet<Sequence> = lines.iter().map(|(sequence, ..)| *sequence).collect();
        for (due, sequence) in places {
            let waiting = self
                .queue
                .waiting_event(&self.endpoint.name, due, sequence)?;
            if let Some(waiting) = waiting {
                let line = (!self.is_set_aside(waiting.attempts))
                    .then(|| self.endpoint.order.line(&waiting.queued.event));
                lines.push((sequence, due, line.flatten()));
            }
        }
        lines.sort_unstable_by_key(|(sequence, ..)| *sequence);
        let mut first = Vec::new();
        for (sequence, due, line) in lines {
            let is_first = line.is_none_or(|line| self.lines.admit_stored(line, sequence, due));
            if is_first && !put_off.contains(&sequence) {
                first.push((due, sequence));
            }
        }
        Ok(first)
    }

    /// Writes down as waiting what stands behind others, so that the window, or what there is no
    /// memory for, moves on.
    ///
    /// A crash before that is durable means that they are read again from the queue, and stand
    /// behind the same ones. Those are written down before them, where they were not: what waits in
    /// the queue goes out before what is read again, and would overtake them.
    pub(super) fn write_down(&mut self, now: Moment, wall: UnixMs) {
        let is_stuck = self.window.is_at_end() || self.memory.is_short();
        if self.endpoint.order.is_strict() || !is_stuck {
            return;
        }
        let mut written: Vec<_> = self
            .lines
            .write_down_firsts()
            .into_iter()
            .filter_map(|sequence| Some((sequence, self.kept_first(sequence, now, wall)?)))
            .collect();
        self.lines.write_down(|entry| {
            let keep = Settlement::Keep {
                due: wall,
                attempts: entry.attempts,
                reason: BEHIND.to_string(),
                event: entry.queued.clone(),
            };
            written.push((entry.queued.sequence, keep));
        });
        for (sequence, keep) in written {
            self.settle(sequence, keep);
        }
    }

    /// The first of a line, as waiting.
    fn kept_first(&mut self, sequence: Sequence, now: Moment, wall: UnixMs) -> Option<Settlement> {
        if let Some(out) = self.out.get_mut(&sequence) {
            out.is_parked = true;
            return Some(Settlement::Keep {
                due: wall.after(self.endpoint.timeout),
                attempts: out.attempts,
                reason: "still under way".to_string(),
                event: out.queued.clone(),
            });
        }
        let suspects = self.suspects.iter().map(|(_, entry)| entry);
        let soon = self.first.iter().chain(&self.ready).chain(suspects);
        let soon = soon.map(|entry| (now, entry));
        let later = self.retries.iter().map(|((due, _), entry)| (*due, entry));
        let mut all = soon.chain(later);
        let (due, entry) = all.find(|(_, entry)| entry.queued.sequence == sequence)?;
        Some(Settlement::Keep {
            due: wall.after(due.since(now)),
            attempts: entry.attempts,
            reason: entry.last.reason.clone(),
            event: entry.queued.clone(),
        })
    }

    /// The endpoint has everything that went out together.
    pub(super) fn delivered(&mut self, entry: Entry, now: Moment) {
        for queued in entry.members() {
            self.memory.give_back(&queued.event);
            self.in_hand -= 1;
            self.settle(queued.sequence, Settlement::Delivered);
        }
        self.step_forward(entry.line, entry.queued.sequence, now);
    }

    /// The first of a line is done: the next one's turn has come.
    pub(super) fn step_forward(&mut self, line: Option<Line>, sequence: Sequence, now: Moment) {
        match self.lines.release(line, sequence) {
            None => {}
            Some((sequence, Behind::Stored(due))) => {
                self.stored.insert((now, sequence), Stored::at(due));
            }
            Some((sequence, Behind::Held { entry, due, .. })) if due > now => {
                self.retries.insert((due, sequence), entry);
            }
            Some((_, Behind::Held { entry, .. })) => self.ready.push_back(entry),
        }
    }

    /// Halves what was refused for something in it, so that this comes to stand alone; what is
    /// alone, or was refused for another reason, comes back.
    ///
    /// Whatever the reason, nothing is given up for the company it was in: what would be is halved
    /// before, without another attempt being counted.
    pub(super) fn split(&mut self, mut entry: Entry, now: Moment) -> Option<Entry> {
        let is_over = entry.count() > 1 && self.is_last_attempt(&entry);
        if self.endpoint.batch.is_none() || !(is_over || batch::is_split_by(&entry.last)) {
            return Some(entry);
        }
        let Some(second) = batch::second_half(&mut entry) else {
            entry.is_alone = true;
            return Some(entry);
        };
        (entry.is_probe, entry.was_probe) = (false, false);
        self.goes_next(second, now);
        self.ready.push_front(entry);
        None
    }

    /// Counts an attempt against every further event of a request, as `next` says of its first,
    /// which comes back alone: from now on each has its own place.
    pub(super) fn part(
        &mut self,
        mut entry: Entry,
        next: Next,
        now: Moment,
        wall: UnixMs,
    ) -> Entry {
        for other in std::mem::take(&mut entry.others) {
            let mut other = Entry {
                last: entry.last.clone(),
                ..other
            };
            let made = other.attempt();
            let next = match next {
                Next::Keep(wait) if made < self.endpoint.retries.attempts => Next::Keep(wait),
                _ => self.endpoint.retries.after_refusal(made, &mut self.rng),
            };
            other.attempts = made;
            let Next::Keep(wait) = next else {
                self.bury(other, now, wall);
                continue;
            };
            let sequence = other.queued.sequence;
            let keep = Settlement::Keep {
                due: wall.after(wait),
                attempts: made,
                reason: other.last.reason.clone(),
                event: other.queued.clone(),
            };
            self.settle(sequence, keep);
            match entry.line {
                Some(line) if !self.is_set_aside(made) => {
                    self.lines.follow(line, other, now + wait, true);
                }
                _ => self.set_aside(other, now + wait, wall.after(wait), now),
            }
        }
        entry
    }

    /// An event that waits for its own retry until `at`, and is written down as due at `due`.
    pub(super) fn set_aside(&mut self, mut entry: Entry, at: Moment, due: UnixMs, now: Moment) {
        let sequence = entry.queued.sequence;
        let line = match self.is_set_aside(entry.attempts) {
            true => entry.line.take(),
            false => None,
        };
        self.keep(entry, at, due, now);
        self.step_forward(line, sequence, now);
    }
}

//! Endpoint: what one endpoint has had of the events, and which of them wait for their own retry.

use super::cursor::{Cursor, WINDOW};
use super::encoding::{Fields, put_count};
use super::later::Run;
use super::ledger::EndpointTotals;
use super::void::{VoidCause, Voids};
use crate::clock::UnixMs;
use crate::event::Sequence;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most events of one endpoint that may wait for their own retry in the head.
///
/// Each is a copy of its event that every new generation carries on; delivery keeps them to a
/// quarter of this, and has those that are due last [put off](super::Queue::put_off).
pub const WAITING_MAX: usize = 4_096;

/// Most events of one endpoint that are settled beyond its window: those that overtook others.
///
/// They are written with every settlement, in two or three bytes each as the backlog is long; so
/// many and the window's bits stay within one value that the database does not take apart.
pub const PASSED_MAX: usize = 1_024;

const VERSION: u8 = 1;

/// Of a value that has events settled beyond the window at its end.
const VERSION_PASSED: u8 = 2;

/// One endpoint, as the queue keeps it in memory.
#[derive(Debug)]
pub(super) struct Endpoint {
    since: Sequence,
    cursor: Cursor,
    delivered: u64,
    skipped: u64,
    dead: u64,
    dropped: u64,
    dead_removed: u64,
    /// Events it was to have that could not be saved from damage.
    lost: u64,
    /// Sequences it stepped over that never held an event.
    unused: u64,
    /// Settled, or taken to wait, beyond the cursor's window. At most [`PASSED_MAX`].
    passed: BTreeSet<Sequence>,
    /// Where the events that wait are found; the cursor counts them as settled.
    waiting: BTreeMap<Sequence, Place>,
    /// Where more events that wait are found, by the number of their file: at most
    /// [`RUNS_MAX`](super::later::RUNS_MAX). The cursor counts those as settled too.
    pub(super) runs: BTreeMap<u32, Run>,
}

/// Where a waiting event is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its due time, which is part of its key.
    pub(super) due: UnixMs,
    /// Its further pieces.
    pub(super) pieces: u16,
}

/// How an event ends for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Delivered,
    Skipped,
    Dead,
}

impl Endpoint {
    /// An endpoint that is to have everything from `since` on.
    pub(super) fn new(since: Sequence) -> Endpoint {
        let cursor = Cursor::at(since);
        Endpoint {
            since,
            cursor,
            delivered: 0,
            skipped: 0,
            dead: 0,
            dropped: 0,
            dead_removed: 0,
            lost: 0,
            unused: 0,
            passed: BTreeSet::new(),
            waiting: BTreeMap::new(),
            runs: BTreeMap::new(),
        }
    }

    /// The first event it is to have.
    pub(super) fn since(&self) -> Sequence {
        self.since
    }

    /// The first event that is not settled and does not wait.
    pub(super) fn cursor(&self) -> Sequence {
        self.cursor.next()
    }

    /// The events beyond [`cursor`](Endpoint::cursor) that are settled or wait.
    pub(super) fn settled_beyond(&self) -> Vec<Sequence> {
        let passed = self.passed.iter().copied();
        self.cursor.ahead().chain(passed).collect()
    }

    /// Whether the event can have been given to the endpoint, `next` being the first that is not
    /// committed yet.
    pub(super) fn can_have(&self, sequence: Sequence, next: Sequence) -> bool {
        sequence < next && (self.cursor.covers(sequence) || self.may_pass(sequence, 1))
    }

    /// Whether the event lies beyond the window and was not taken there yet.
    pub(super) fn is_beyond(&self, sequence: Sequence) -> bool {
        !self.cursor.covers(sequence) && !self.passed.contains(&sequence)
    }

    /// Whether there is room for `count` events beyond the window, one of them this one.
    pub(super) fn may_pass(&self, sequence: Sequence, count: usize) -> bool {
        self.passed.contains(&sequence) || self.passed.len() + count <= PASSED_MAX
    }

    /// Whether the event is settled or waits.
    pub(super) fn has_taken(&self, sequence: Sequence) -> bool {
        self.cursor.is_settled(sequence) || self.passed.contains(&sequence)
    }

    /// Whether nothing was committed since it was attached, `next` being the sequence the next
    /// event gets.
    pub(super) fn is_untouched(&self, next: Sequence) -> bool {
        self.since == next
    }

    /// How many events wait in the head.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the event waits.
    pub(super) fn is_waiting(&self, sequence: Sequence) -> bool {
        self.waiting.contains_key(&sequence)
    }

    /// Where the event is stored, when it waits in the head.
    pub(super) fn place(&self, sequence: Sequence) -> Option<Place> {
        self.waiting.get(&sequence).copied()
    }

    /// The event waits elsewhere from now on.
    pub(super) fn moved_out(&mut self, sequence: Sequence) {
        self.waiting.remove(&sequence);
    }

    /// How many events wait outside of the head.
    pub(super) fn put_off_count(&self) -> u64 {
        self.runs.values().map(|run| u64::from(run.left)).sum()
    }

    /// Where the events that wait in the head are stored.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (Sequence, Place)> {
        self.waiting
            .iter()
            .map(|(&sequence, &place)| (sequence, place))
    }

    /// Takes an event that is not done out of the cursor or the waiting ones; where it waited,
    /// when it did. `None` when the endpoint is done with it.
    pub(super) fn take(&mut self, sequence: Sequence) -> Option<Option<Place>> {
        if let Some(place) = self.waiting.remove(&sequence) {
            return Some(Some(place));
        }
        let is_taken = if self.cursor.covers(sequence) {
            self.cursor.settle(sequence)
        } else {
            self.passed.len() < PASSED_MAX && self.passed.insert(sequence)
        };
        self.absorb();
        is_taken.then_some(None)
    }

    /// Has the cursor take over what its window has come to.
    fn absorb(&mut self) {
        while let Some(&first) = self.passed.first()
            && self.cursor.covers(first)
        {
            self.passed.pop_first();
            self.cursor.settle(first);
        }
    }

    /// Moves the cursor to `end`, whatever lies before it; returns how many of the events passed
    /// over were not settled.
    fn pass(&mut self, end: Sequence) -> u64 {
        let beyond = self.passed.split_off(&end);
        let settled = std::mem::replace(&mut self.passed, beyond).len() as u64;
        let unsettled = self.cursor.pass(end).saturating_sub(settled);
        self.absorb();
        unsettled
    }

    /// Counts how an event that was [taken](Endpoint::take) ended.
    pub(super) fn end(&mut self, end: End) {
        match end {
            End::Delivered => self.delivered += 1,
            End::Skipped => self.skipped += 1,
            End::Dead => self.dead += 1,
        }
    }

    /// Counts events that were put off, and are not any more, as skipped.
    pub(super) fn skip(&mut self, count: u64) {
        self.skipped += count;
    }

    /// Gives up what comes before `first` and is not settled nor waits; how many events that was.
    pub(super) fn drop_before(&mut self, first: Sequence, voids: &Voids) -> u64 {
        let before = self.dropped;
        self.step_over(voids);
        while self.cursor.next() < first {
            let void = voids.next_after(self.cursor.next());
            let end = void.map_or(first, |void| void.min(first));
            self.dropped += self.pass(end);
            self.step_over(voids);
        }
        self.dropped - before
    }

    /// Dead letters of it were removed from the disk.
    pub(super) fn letters_removed(&mut self, count: u64) {
        self.dead_removed += count;
    }

    /// Notes that an event that was [taken](Endpoint::take) waits at `place`.
    pub(super) fn wait(&mut self, sequence: Sequence, place: Place) {
        self.waiting.insert(sequence, place);
    }

    /// Moves over the voids the cursor has come to; returns whether there were any.
    pub(super) fn step_over(&mut self, voids: &Voids) -> bool {
        let before = self.cursor.next();
        while let Some(void) = voids.at(self.cursor.next()) {
            let unsettled = self.pass(void.end);
            match void.cause {
                VoidCause::Lost => self.lost += unsettled,
                VoidCause::Unused => self.unused += unsettled,
            }
        }
        self.cursor.next() > before
    }

    /// Counts `missing` events as lost: those that the account of a rebuilt queue cannot place, and
    /// those that were put off and cannot be read.
    pub(super) fn lose(&mut self, missing: u64) {
        self.lost += missing;
    }

    /// The account, `next` being the sequence the next event gets.
    pub(super) fn totals(&self, name: &Arc<str>, next: Sequence, voids: &Voids) -> EndpointTotals {
        let cursor = self.cursor.next();
        let unused_ahead = voids.unused_in(cursor..next);
        let to_come = next.0.saturating_sub(cursor.0) - unused_ahead;
        let added = next.0.saturating_sub(self.since.0);
        EndpointTotals {
            name: Arc::clone(name),
            since: self.since,
            cursor,
            added: added.saturating_sub(self.unused + unused_ahead),
            lost: self.lost,
            delivered: self.delivered,
            skipped: self.skipped,
            dead: self.dead,
            recalled: 0,
            removed: 0,
            dropped: self.dropped,
            dead_removed: self.dead_removed,
            waiting: self.waiting.len() as u64 + self.put_off_count(),
            queued: to_come.saturating_sub(self.cursor.ahead_count() + self.passed.len() as u64),
        }
    }

    /// The value to store. The events that wait have keys of their own.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![match self.passed.is_empty() {
            true => VERSION,
            false => VERSION_PASSED,
        }];
        out.extend_from_slice(&self.since.0.to_be_bytes());
        for count in [
            self.delivered,
            self.skipped,
            self.dead,
            self.dropped,
            self.dead_removed,
            self.lost,
            self.unused,
        ] {
            put_count(&mut out, count);
        }
        self.cursor.put(&mut out);
        if !self.passed.is_empty() {
            put_count(&mut out, self.passed.len() as u64);
            let mut before = self.cursor.next();
            for &sequence in &self.passed {
                put_count(&mut out, sequence.0.saturating_sub(before.0));
                before = sequence;
            }
        }
        out
    }

    /// Reads what [`encode`](Endpoint::encode) made.
    pub(super) fn decode(value: &[u8]) -> Option<Endpoint> {
        let mut fields = Fields(value);
        let version = fields.byte()?;
        if !matches!(version, VERSION | VERSION_PASSED) {
            return None;
        }
        let mut endpoint = Endpoint {
            since: fields.sequence()?,
            delivered: fields.tally()?,
            skipped: fields.tally()?,
            dead: fields.tally()?,
            dropped: fields.tally()?,
            dead_removed: fields.tally()?,
            lost: fields.tally()?,
            unused: fields.tally()?,
            cursor: Cursor::take(&mut fields)?,
            passed: BTreeSet::new(),
            waiting: BTreeMap::new(),
            runs: BTreeMap::new(),
        };
        if version == VERSION_PASSED {
            endpoint.passed = take_passed(&mut fields, endpoint.cursor.next())?;
        }
        fields.end()?;
        Some(endpoint)
    }
}

/// Reads the events settled beyond the window of a cursor at `next`.
fn take_passed(fields: &mut Fields<'_>, next: Sequence) -> Option<BTreeSet<Sequence>> {
    let count = usize::try_from(fields.count()?).ok()?;
    if count > PASSED_MAX {
        return None;
    }
    let mut passed = BTreeSet::new();
    let mut before = next;
    for _ in 0..count {
        let sequence = Sequence(before.0.checked_add(fields.tally()?)?);
        let is_new = sequence.0.checked_sub(next.0)? >= WINDOW && passed.insert(sequence);
        is_new.then_some(())?;
        before = sequence;
    }
    Some(passed)
}

#[cfg(test)]
mod tests {
    use super::super::void::Void;
    use super::*;
    use proptest::prelude::*;

    /// What settling, passing over and coming back from disk do to an endpoint.
    #[derive(Debug, Clone)]
    enum Move {
        Settle(u64),
        Drop(u64),
        Reopen,
    }

    fn any_move() -> impl Strategy<Value = Move> {
        prop_oneof![
            6 => (0..40_u64).prop_map(Move::Settle),
            6 => (3_000..20_000_u64).prop_map(Move::Settle),
            1 => (0..9_000_u64).prop_map(Move::Drop),
            1 => Just(Move::Reopen),
        ]
    }

    proptest! {
        #[test]
        fn whatever_overtakes_it_agrees_with_a_set_and_balances(
            moves in proptest::collection::vec(any_move(), 0..120),
            dense in 0..6_000_u64,
        ) {
            const END: u64 = 20_000;
            let mut endpoint = Endpoint::new(Sequence(0));
            let mut settled = BTreeSet::new();
            let (mut dropped, mut before) = (0, 0);
            let dense = (0..dense).map(|it| (Move::Settle(it), false));
            let moves = moves.into_iter().map(|it| (it, true)).chain(dense);
            for (act, is_checked) in moves.chain([(Move::Reopen, true)]) {
                match act {
                    Move::Settle(sequence) => {
                        let is_new = sequence >= before && settled.insert(sequence);
                        prop_assert_eq!(endpoint.take(Sequence(sequence)), is_new.then_some(None));
                        if is_new {
                            endpoint.end(End::Delivered);
                        }
                    }
                    Move::Drop(first) => {
                        let first = first.max(before);
                        let open = (before..first).filter(|it| !settled.contains(it));
                        let count = open.count() as u64;
                        dropped += count;
                        before = first;
                        prop_assert_eq!(endpoint.drop_before(Sequence(first), &Voids::default()), count);
                    }
                    Move::Reopen => {
                        let bytes = endpoint.encode();
                        prop_assert!(bytes.len() < super::super::piece::WHOLE_BYTES_MAX);
                        endpoint = Endpoint::decode(&bytes).unwrap();
                    }
                }
                if is_checked {
                    let next = (before..).find(|it| !settled.contains(it)).unwrap();
                    prop_assert_eq!(endpoint.cursor(), Sequence(next));
                }
            }
            let totals = endpoint.totals(&"billing".into(), Sequence(END), &Voids::default());
            prop_assert!(totals.balances(), "{:?}", totals);
            prop_assert_eq!((totals.delivered, totals.dropped), (settled.len() as u64, dropped));
            let ahead: BTreeSet<u64> = endpoint.settled_beyond().iter().map(|it| it.0).collect();
            let cursor = endpoint.cursor().0;
            prop_assert_eq!(ahead, settled.split_off(&cursor));
        }

        #[test]
        fn no_bytes_make_reading_one_panic(bytes: Vec<u8>) {
            let _ = Endpoint::decode(&bytes);
        }
    }

    #[test]
    fn no_more_overtake_than_are_written_down() {
        let mut endpoint = Endpoint::new(Sequence(1));
        let far = |n: usize| Sequence(1_000_000 + 1_000_000 * n as u64);
        for n in 0..PASSED_MAX {
            assert!(endpoint.can_have(far(n), Sequence(u64::MAX)));
            assert_eq!(endpoint.take(far(n)), Some(None));
        }
        assert!(
            endpoint.can_have(far(0), Sequence(u64::MAX)),
            "it is repeated"
        );
        assert_eq!(endpoint.take(far(0)), None);
        assert!(!endpoint.can_have(far(PASSED_MAX), Sequence(u64::MAX)));
        assert_eq!(endpoint.take(far(PASSED_MAX)), None);
        let bytes = endpoint.encode();
        assert!(bytes.len() < super::super::piece::WHOLE_BYTES_MAX);
        let back = Endpoint::decode(&bytes).unwrap();
        assert_eq!(back.passed, endpoint.passed);
    }

    #[test]
    fn it_balances_whatever_ends_how() {
        let mut endpoint = Endpoint::new(Sequence(5));
        for (sequence, end) in [(5, End::Delivered), (7, End::Skipped), (8, End::Dead)] {
            assert_eq!(endpoint.take(Sequence(sequence)), Some(None));
            endpoint.end(end);
        }
        endpoint.take(Sequence(9)).unwrap();
        endpoint.wait(
            Sequence(9),
            Place {
                due: UnixMs(1),
                pieces: 0,
            },
        );
        let totals = endpoint.totals(&"billing".into(), Sequence(12), &Voids::default());
        assert_eq!((totals.added, totals.queued, totals.waiting), (7, 3, 1));
        assert!(totals.balances());
    }

    #[test]
    fn an_event_is_taken_once_and_one_that_waits_once_more() {
        let mut endpoint = Endpoint::new(Sequence(1));
        let place = Place {
            due: UnixMs(9),
            pieces: 2,
        };
        assert_eq!(endpoint.take(Sequence(1)), Some(None));
        assert_eq!(endpoint.take(Sequence(1)), None);
        endpoint.wait(Sequence(1), place);
        assert_eq!(endpoint.take(Sequence(1)), Some(Some(place)));
        assert_eq!(endpoint.take(Sequence(1)), None);
    }

    #[test]
    fn what_a_void_took_is_counted_and_the_account_balances() {
        let mut voids = Voids::default();
        for (first, end, cause) in [(6, 9, VoidCause::Lost), (9, 1_000, VoidCause::Unused)] {
            let (first, end) = (Sequence(first), Sequence(end));
            voids.add(Void { first, end, cause });
        }
        let mut endpoint = Endpoint::new(Sequence(5));
        let name = "billing".into();
        let ahead = endpoint.totals(&name, Sequence(1_002), &voids);
        assert_eq!((ahead.added, ahead.queued, ahead.lost), (6, 6, 0));
        assert!(ahead.balances() && !endpoint.step_over(&voids));
        for sequence in [7, 5] {
            endpoint.take(Sequence(sequence)).unwrap();
            endpoint.end(End::Delivered);
        }
        assert!(endpoint.step_over(&voids));
        let after = endpoint.totals(&name, Sequence(1_002), &voids);
        assert_eq!((after.added, after.queued, after.lost), (6, 2, 2));
        assert_eq!(after.cursor, Sequence(1_000));
        assert!(after.balances());
        let back = Endpoint::decode(&endpoint.encode()).unwrap();
        assert_eq!(back.totals(&name, Sequence(1_002), &voids), after);
    }

    #[test]
    fn it_comes_back_from_disk() {
        let mut endpoint = Endpoint::new(Sequence(3));
        for sequence in [3, 4, 9] {
            endpoint.take(Sequence(sequence)).unwrap();
            endpoint.end(End::Delivered);
        }
        let back = Endpoint::decode(&endpoint.encode()).unwrap();
        let name = "billing".into();
        assert_eq!(
            back.totals(&name, Sequence(20), &Voids::default()),
            endpoint.totals(&name, Sequence(20), &Voids::default())
        );
        assert_eq!(Endpoint::decode(&[VERSION, 0]).map(|_| ()), None);
    }
}

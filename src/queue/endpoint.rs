//! Endpoint: what one endpoint has had of the events, and which of them wait for their own retry.

use super::cursor::Cursor;
use super::encoding::{Fields, put_count};
use super::ledger::EndpointTotals;
use super::void::{VoidCause, Voids};
use crate::clock::UnixMs;
use crate::event::Sequence;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most events of one endpoint that may wait for their own retry.
///
/// Each is a copy of its event that every new generation carries on; delivery stops taking new
/// events at a quarter of this.
pub const WAITING_MAX: usize = 4_096;

const VERSION: u8 = 1;

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
    /// Where the events that wait are found; the cursor counts them as settled.
    waiting: BTreeMap<Sequence, Place>,
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
            waiting: BTreeMap::new(),
        }
    }

    /// The first event that is not settled and does not wait.
    pub(super) fn cursor(&self) -> Sequence {
        self.cursor.next()
    }

    /// The events beyond [`cursor`](Endpoint::cursor) that are settled or wait.
    pub(super) fn settled_beyond(&self) -> Vec<Sequence> {
        self.cursor.ahead().collect()
    }

    /// Whether the event can have been given to the endpoint, `next` being the first that is not
    /// committed yet.
    pub(super) fn can_have(&self, sequence: Sequence, next: Sequence) -> bool {
        sequence < next && self.cursor.covers(sequence)
    }

    /// Whether the event is settled or waits.
    pub(super) fn has_taken(&self, sequence: Sequence) -> bool {
        self.cursor.is_settled(sequence)
    }

    /// Whether nothing was committed since it was attached, `next` being the sequence the next
    /// event gets.
    pub(super) fn is_untouched(&self, next: Sequence) -> bool {
        self.since == next
    }

    /// How many events wait.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// Where the events that wait are stored.
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
        self.cursor.settle(sequence).then_some(None)
    }

    /// Counts how an event that was [taken](Endpoint::take) ended.
    pub(super) fn end(&mut self, end: End) {
        match end {
            End::Delivered => self.delivered += 1,
            End::Skipped => self.skipped += 1,
            End::Dead => self.dead += 1,
        }
    }

    /// Gives up what comes before `first` and is not settled nor waits; how many events that was.
    pub(super) fn drop_before(&mut self, first: Sequence, voids: &Voids) -> u64 {
        let before = self.dropped;
        self.step_over(voids);
        while self.cursor.next() < first {
            let void = voids.next_after(self.cursor.next());
            let end = void.map_or(first, |void| void.min(first));
            self.dropped += self.cursor.pass(end);
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
            let unsettled = self.cursor.pass(void.end);
            match void.cause {
                VoidCause::Lost => self.lost += unsettled,
                VoidCause::Unused => self.unused += unsettled,
            }
        }
        self.cursor.next() > before
    }

    /// Counts `missing` events as lost that the account of a rebuilt queue cannot place.
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
            dropped: self.dropped,
            dead_removed: self.dead_removed,
            waiting: self.waiting.len() as u64,
            queued: to_come.saturating_sub(self.cursor.ahead_count()),
        }
    }

    /// The value to store. The events that wait have keys of their own.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
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
        out
    }

    /// Reads what [`encode`](Endpoint::encode) made.
    pub(super) fn decode(value: &[u8]) -> Option<Endpoint> {
        let mut fields = Fields(value);
        if fields.byte()? != VERSION {
            return None;
        }
        let endpoint = Endpoint {
            since: fields.sequence()?,
            delivered: fields.tally()?,
            skipped: fields.tally()?,
            dead: fields.tally()?,
            dropped: fields.tally()?,
            dead_removed: fields.tally()?,
            lost: fields.tally()?,
            unused: fields.tally()?,
            cursor: Cursor::take(&mut fields)?,
            waiting: BTreeMap::new(),
        };
        fields.end()?;
        Some(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::super::void::Void;
    use super::*;

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

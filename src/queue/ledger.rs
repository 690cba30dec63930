//! Ledger: the account that shows nothing was lost. It is kept in the same commits as what it
//! counts, so it is exact after a crash too.

use super::encoding::{Fields, put_count};
use crate::event::Sequence;
use std::sync::Arc;

const VERSION: u8 = 1;

/// What became of a source's rows; in a commit, of the rows that commit covers.
///
/// `rows + derived = events + rejected + filtered + repeated + joined`, where `events` is counted by the
/// queue itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceCounts {
    /// Complete rows read, blank lines and headers not counted.
    pub rows: u64,
    /// Events that no row of their own stands for: a balance alert beside the call that caused it.
    pub derived: u64,
    /// Rows set aside because they could not be understood.
    pub rejected: u64,
    /// Rows the configuration does not want (`keep`, `start`).
    pub filtered: u64,
    /// Rows that repeat what was told already: a standing alarm, a known natural key.
    pub repeated: u64,
    /// Rows that are one event together with a later one: a call's beginning, told with its end.
    pub joined: u64,
    /// Times that rows may have been lost before they could be read.
    pub gaps: u64,
}

impl SourceCounts {
    fn add(&mut self, more: SourceCounts) {
        self.rows += more.rows;
        self.derived += more.derived;
        self.rejected += more.rejected;
        self.filtered += more.filtered;
        self.repeated += more.repeated;
        self.joined += more.joined;
        self.gaps += more.gaps;
    }
}

/// All that one source has brought since the queue was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceTotals {
    /// What became of its rows.
    pub counts: SourceCounts,
    /// Events queued.
    pub events: u64,
}

impl SourceTotals {
    /// Whether every row is accounted for.
    pub fn balances(&self) -> bool {
        let SourceCounts {
            rows,
            derived,
            rejected,
            filtered,
            repeated,
            joined,
            gaps: _,
        } = self.counts;
        rows + derived == self.events + rejected + filtered + repeated + joined
    }

    /// Adds what one commit covers.
    pub(super) fn add(&mut self, counts: SourceCounts, events: u64) {
        self.counts.add(counts);
        self.events += events;
    }

    /// The value to store.
    pub(super) fn encode(&self) -> Vec<u8> {
        let SourceCounts {
            rows,
            derived,
            rejected,
            filtered,
            repeated,
            joined,
            gaps,
        } = self.counts;
        let mut out = vec![VERSION];
        for count in [
            rows,
            derived,
            rejected,
            filtered,
            repeated,
            gaps,
            joined,
            self.events,
        ] {
            put_count(&mut out, count);
        }
        out
    }

    /// Reads what [`encode`](SourceTotals::encode) made.
    pub(super) fn decode(value: &[u8]) -> Option<SourceTotals> {
        let mut fields = Fields(value);
        if fields.byte()? != VERSION {
            return None;
        }
        let totals = SourceTotals {
            counts: SourceCounts {
                rows: fields.tally()?,
                derived: fields.tally()?,
                rejected: fields.tally()?,
                filtered: fields.tally()?,
                repeated: fields.tally()?,
                gaps: fields.tally()?,
                joined: fields.tally()?,
            },
            events: fields.tally()?,
        };
        fields.end()?;
        Some(totals)
    }
}

/// What one endpoint has had, and what it still is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointTotals {
    /// The endpoint's name.
    pub name: Arc<str>,
    /// The first event it is to have: where it was attached.
    pub since: Sequence,
    /// Everything before this is settled for it, on disk.
    pub cursor: Sequence,
    /// Events added since it was attached; sequences that were passed over unused do not count.
    pub added: u64,
    /// Events it has.
    pub delivered: u64,
    /// Events that were not for it.
    pub skipped: u64,
    /// Events given up.
    pub dead: u64,
    /// Events dropped because the queue was full; see [`Dropped`](super::Dropped).
    pub dropped: u64,
    /// Of its dead letters, those that outlived `dead_letters_max` or `dead_letters_keep`.
    pub dead_removed: u64,
    /// Events that damage to the store took before they were settled. The rows they came from
    /// are read again where their files are still there, and count as added once more.
    pub lost: u64,
    /// Events that wait for their own retry.
    pub waiting: u64,
    /// Events not settled in any way yet.
    pub queued: u64,
}

impl EndpointTotals {
    /// Whether every event is accounted for.
    pub fn balances(&self) -> bool {
        self.added == self.accounted()
    }

    /// Events added of which nothing is known: none, but in a queue that is being mended.
    pub(super) fn unaccounted(&self) -> u64 {
        self.added.saturating_sub(self.accounted())
    }

    fn accounted(&self) -> u64 {
        let settled = self.delivered + self.skipped + self.dead + self.dropped + self.lost;
        settled + self.waiting + self.queued
    }
}

/// The account at one moment, as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// The sequence the next event gets.
    pub next: Sequence,
    /// Per source, by name.
    pub sources: Vec<(Arc<str>, SourceTotals)>,
    /// Per endpoint, by name.
    pub endpoints: Vec<EndpointTotals>,
}

impl Ledger {
    /// The account of one endpoint, when it is attached.
    pub fn endpoint(&self, name: &str) -> Option<&EndpointTotals> {
        self.endpoints
            .iter()
            .find(|endpoint| *endpoint.name == *name)
    }

    /// The account of one source, when it has ever been committed for.
    pub fn source(&self, name: &str) -> Option<&SourceTotals> {
        self.sources
            .iter()
            .find(|(source, _)| **source == *name)
            .map(|(_, totals)| totals)
    }

    /// Whether every row and every event is accounted for.
    pub fn balances(&self) -> bool {
        self.sources.iter().all(|(_, totals)| totals.balances())
            && self.endpoints.iter().all(EndpointTotals::balances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_balances_only_when_every_row_has_a_fate() {
        let mut totals = SourceTotals::default();
        let counts = SourceCounts {
            rows: 5,
            derived: 1,
            rejected: 1,
            filtered: 2,
            repeated: 1,
            joined: 1,
            gaps: 3,
        };
        totals.add(counts, 1);
        assert!(totals.balances());
        assert_eq!(SourceTotals::decode(&totals.encode()), Some(totals));
        totals.add(
            SourceCounts {
                rows: 1,
                ..SourceCounts::default()
            },
            0,
        );
        assert!(!totals.balances());
    }

    #[test]
    fn an_endpoint_balances_only_when_every_event_has_a_fate() {
        let mut totals = EndpointTotals {
            name: "billing".into(),
            since: Sequence(1),
            cursor: Sequence(3),
            added: 12,
            delivered: 3,
            skipped: 2,
            dead: 1,
            dropped: 0,
            dead_removed: 0,
            lost: 2,
            waiting: 1,
            queued: 3,
        };
        assert!(totals.balances());
        totals.queued = 2;
        assert!(!totals.balances());
    }
}

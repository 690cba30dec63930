//! Summary: what a gateway did in a stretch of time, from counters. Pure.
//!
//! A call counts in the interval of its own time, not of its arrival: a night's calls that are read
//! in one go after an outage would else all stand in one interval, and no figure of that night
//! would be true. Intervals are multiples of their length since 1970, so they begin at the hour.
//!
//! A call that arrives after its interval was told is told in another summary of the same
//! interval: every call is in exactly one, and their counts add up.

use crate::clock::UnixMs;
use crate::event::amount::Amount;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How summaries are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummarySettings {
    /// Length of an interval.
    pub every: Duration,
    /// What there is a summary for each of.
    pub by: By,
    /// How long after an interval's end its last calls may come; a file that appears every 15
    /// minutes brings them that late.
    pub wait: Duration,
}

/// What calls are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The gateway they came from.
    Gateway,
    /// The gateway they went to.
    CalleeGateway,
    /// The account.
    Account,
}

/// What by is called, in the configuration and in `data`.
pub const BY: [(&str, By); 3] = [
    ("gateway", By::Gateway),
    ("callee_gateway", By::CalleeGateway),
    ("account", By::Account),
];

impl By {
    /// Its word.
    pub fn word(self) -> &'static str {
        BY.iter()
            .find(|(_, by)| *by == self)
            .map_or("", |(word, _)| word)
    }
}

/// One call, as far as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted<'c> {
    /// Whether it was answered, where its row says.
    pub answered: Option<bool>,
    /// Seconds billed; 0 where nothing says.
    pub bill_secs: i64,
    /// The post-dial delay in milliseconds, where it is told.
    pub pdd_ms: Option<i64>,
    /// The fee, where there is one.
    pub cost: Option<&'c str>,
}

/// The counters of one gateway in one interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Where the interval begins, in ms since 1970.
    pub start: i64,
    /// The gateway; empty for calls that name none.
    pub of: String,
    /// Calls.
    pub calls: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those whose rows do not say; with one of them there, nothing is true of what is counted by it.
    /// Older releases counted none.
    #[serde(default)]
    pub untold: u64,
    /// Seconds billed.
    pub bill_secs: i64,
    /// Sum of the post-dial delays, in ms, and how many there are.
    pub pdd_ms: (i64, u64),
    /// Sum of the fees, exactly; `None` when one of them is no amount or they are more than one
    /// holds.
    pub cost: Option<String>,
    /// Fees in that sum.
    pub costs: u64,
    /// What is counted by, and the length of the interval in milliseconds: those of the configuration
    /// may be others when it is told. Not known of counters that an older release kept.
    #[serde(default)]
    pub settings: Option<(By, u64)>,
}

impl Cell {
    /// Counters of `of` in the interval from `start`, as `settings` say.
    pub fn new(start: UnixMs, of: &str, settings: &SummarySettings) -> Cell {
        let length = u64::try_from(settings.every.as_millis()).unwrap_or(u64::MAX);
        Cell {
            start: start.0,
            of: of.to_owned(),
            calls: 0,
            answered: 0,
            untold: 0,
            bill_secs: 0,
            pdd_ms: (0, 0),
            cost: Some("0".to_owned()),
            costs: 0,
            settings: Some((settings.by, length)),
        }
    }

    /// What it counts by, and how long its interval is, where `settings` hold now.
    pub fn counted(&self, settings: &SummarySettings) -> (By, Duration) {
        match self.settings {
            Some((by, length)) => (by, Duration::from_millis(length)),
            None => (settings.by, settings.every),
        }
    }

    /// Counts a call.
    pub fn count(&mut self, call: Counted<'_>) {
        self.calls += 1;
        self.answered += u64::from(call.answered == Some(true));
        self.untold += u64::from(call.answered.is_none());
        self.bill_secs = self.bill_secs.saturating_add(call.bill_secs.max(0));
        if let Some(pdd_ms) = call.pdd_ms {
            self.pdd_ms.0 = self.pdd_ms.0.saturating_add(pdd_ms);
            self.pdd_ms.1 += 1;
        }
        if let Some(cost) = call.cost {
            self.costs += 1;
            let sum = self.cost.as_deref().and_then(Amount::parse);
            let more = sum.and_then(|sum| sum.plus(Amount::parse_cut(cost)?));
            self.cost = more.map(|sum| sum.to_string());
        }
    }

    /// Answered calls; `None` where a row did not say.
    pub fn answered(&self) -> Option<u64> {
        (self.untold == 0).then_some(self.answered)
    }

    /// Answered calls of a hundred, with two digits; `None` without calls, or where a row did not say.
    pub fn asr_percent(&self) -> Option<String> {
        let hundredths = rounded(self.answered()?.checked_mul(10_000)?, self.calls)?;
        Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
    }

    /// Seconds billed per answered call, rounded.
    pub fn acd_secs(&self) -> Option<u64> {
        rounded(u64::try_from(self.bill_secs).ok()?, self.answered()?)
    }

    /// The mean post-dial delay in ms, rounded.
    pub fn pdd_mean_ms(&self) -> Option<u64> {
        rounded(u64::try_from(self.pdd_ms.0).ok()?, self.pdd_ms.1)
    }

    /// Minutes billed, with two digits; `None` where a row did not say.
    pub fn minutes(&self) -> Option<String> {
        self.answered()?;
        let secs = u64::try_from(self.bill_secs).unwrap_or(0);
        let hundredths = rounded(secs.saturating_mul(100), 60).unwrap_or(0);
        Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
    }

    /// The fees; `None` where there are none, or they cannot be added.
    pub fn cost(&self) -> Option<&str> {
        self.cost.as_deref().filter(|_| self.costs > 0)
    }
}

/// The beginning of the interval that `at` is in.
pub fn start_of(at: UnixMs, every: Duration) -> UnixMs {
    let length = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    UnixMs(at.0.saturating_sub(at.0.rem_euclid(length)))
}

/// Whether `at` is in the interval of length `every` that begins at `start`.
pub fn has_in(start: UnixMs, every: Duration, at: UnixMs) -> bool {
    start <= at && at < start.after(every)
}

/// `sum` / `count`, rounded half up.
fn rounded(sum: u64, count: u64) -> Option<u64> {
    sum.checked_mul(2)?
        .checked_add(count)?
        .checked_div(count.checked_mul(2)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY_GATEWAY: SummarySettings = SummarySettings {
        every: Duration::from_secs(900),
        by: By::Gateway,
        wait: Duration::ZERO,
    };

    const CALL: Counted<'static> = Counted {
        answered: Some(true),
        bill_secs: 147,
        pdd_ms: Some(2_000),
        cost: Some("0.0368"),
    };

    #[test]
    fn the_figures_are_exact() {
        let mut cell = Cell::new(UnixMs(0), "GW", &BY_GATEWAY);
        let failed = Counted {
            answered: Some(false),
            bill_secs: 0,
            pdd_ms: None,
            cost: None,
        };
        for call in [
            CALL,
            failed,
            failed,
            Counted {
                cost: Some("0.1"),
                pdd_ms: Some(1_001),
                ..CALL
            },
        ] {
            cell.count(call);
        }
        cell.count(failed);
        cell.count(failed);
        assert_eq!(cell.asr_percent().as_deref(), Some("33.33"));
        assert_eq!(
            (cell.acd_secs(), cell.pdd_mean_ms()),
            (Some(147), Some(1_501))
        );
        assert_eq!(
            (cell.minutes().as_deref(), cell.cost()),
            (Some("4.90"), Some("0.1368"))
        );
    }

    #[test]
    fn what_floating_point_leaves_over_spoils_no_sum() {
        let mut cell = Cell::new(UnixMs(0), "", &BY_GATEWAY);
        for cost in ["0.25", "1.3877787807814457E-25", "0.5"] {
            let cost = Some(cost);
            cell.count(Counted { cost, ..CALL });
        }
        assert_eq!(cell.cost(), Some("0.75"));
    }

    #[test]
    fn nothing_is_made_up_where_there_is_nothing() {
        let mut cell = Cell::new(UnixMs(0), "", &BY_GATEWAY);
        assert_eq!(
            (cell.asr_percent(), cell.acd_secs(), cell.pdd_mean_ms()),
            (None, None, None)
        );
        assert_eq!(cell.cost(), None);
        cell.count(Counted {
            cost: Some("free"),
            ..CALL
        });
        cell.count(CALL);
        assert_eq!(
            cell.cost(),
            None,
            "a sum without one of its parts is no sum"
        );
        assert_eq!(cell.asr_percent().as_deref(), Some("100.00"));
        cell.count(Counted {
            answered: None,
            ..CALL
        });
        assert_eq!(
            (cell.answered(), cell.asr_percent()),
            (None, None),
            "a row that does not say whether its call was answered is no failed call"
        );
        assert_eq!((cell.acd_secs(), cell.minutes()), (None, None));
    }

    #[test]
    fn intervals_begin_at_the_hour_also_before_1970() {
        let quarter = Duration::from_secs(900);
        assert_eq!(
            start_of(UnixMs(1_775_800_888_533), quarter),
            UnixMs(1_775_800_800_000)
        );
        assert_eq!(start_of(UnixMs(-1), quarter), UnixMs(-900_000));
        assert_eq!(start_of(UnixMs(900_000), quarter), UnixMs(900_000));
    }
}

//! Balance: which thresholds an account's balance has crossed, and which of that is news. Pure.
//!
//! ```text
//!        balance below the threshold          balance above it by `rearm`
//! above  low: told `low_balance`, unless      nothing
//!        told within `repeat_every`
//! low    told once it is due, where it        above: told `recovered`,
//!        was not told                         where `low_balance` was
//! ```
//!
//! Between the threshold and that much above it nothing changes: a balance that swings around a
//! threshold is told once. An account seen for the first time counts as having been above.

use super::beyond::Brief;
use super::standing::is_over;
use crate::clock::UnixMs;
use crate::event::amount::Amount;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// Most thresholds of one account: an escalation has a handful of steps.
pub const THRESHOLDS_MAX: usize = 16;

/// Longest threshold as text, in bytes.
pub const THRESHOLD_BYTES_MAX: usize = 40;

/// How far above a threshold a balance must come before it counts as recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rearm {
    /// By this share of the threshold's size, in hundredths of a percent.
    Share(u32),
    /// By this amount.
    By(Amount),
}

impl Rearm {
    /// Whether `balance` is below `threshold`, or has recovered from it; nothing in between.
    pub fn is_below(&self, threshold: Amount, balance: Amount) -> Option<bool> {
        match balance < threshold {
            true => Some(true),
            false => (balance >= self.above(threshold)).then_some(false),
        }
    }

    /// The balance from which on one that fell below `threshold` has recovered.
    pub fn above(&self, threshold: Amount) -> Amount {
        let above = match self {
            Rearm::Share(share) => threshold.share(*share),
            Rearm::By(amount) => *amount,
        };
        threshold.plus(above).unwrap_or(threshold)
    }
}

/// When accounts are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thresholds {
    /// For accounts not named below; highest first.
    pub all: Vec<Threshold>,
    /// By account; highest first.
    pub by_account: HashMap<String, Vec<Threshold>>,
    /// What it takes to count as recovered.
    pub rearm: Rearm,
    /// Shortest time between two alerts of one account and threshold.
    pub repeat_every: Duration,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            all: Vec::new(),
            by_account: HashMap::new(),
            rearm: Rearm::Share(1_000),
            repeat_every: Duration::from_secs(86_400),
        }
    }
}

impl Thresholds {
    /// Those of `account`, highest first.
    pub fn of(&self, account: &str) -> &[Threshold] {
        self.by_account.get(account).unwrap_or(&self.all)
    }

    /// Whether `account` has thresholds of its own.
    pub fn names(&self, account: &str) -> bool {
        self.by_account.contains_key(account)
    }
}

/// One threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// As it was written.
    pub text: String,
    /// What it is worth.
    pub amount: Amount,
}

impl Threshold {
    /// Reads a threshold; `None` where the text is no amount.
    pub fn parse(text: &str) -> Option<Threshold> {
        let text = text.trim();
        let amount = Amount::parse(text).filter(|_| text.len() <= THRESHOLD_BYTES_MAX)?;
        Some(Threshold {
            text: text.to_owned(),
            amount,
        })
    }
}

/// What is known of one account; nothing for one that is above all of its thresholds and has not
/// been told of lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// By threshold.
    steps: Vec<Step>,
}

impl Account {
    /// Nothing has to be remembered.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The same in short, by the account's `thresholds`; `None` where a step is of none of these.
    pub fn brief(&self, thresholds: &[Threshold]) -> Option<Brief> {
        let mut brief = Brief {
            low: 0,
            told: 0,
            was_told: 0,
            told_at: i64::MIN,
        };
        for step in &self.steps {
            let mut places = thresholds.iter().take(THRESHOLDS_MAX);
            let bit = 1 << places.position(|threshold| step.is_of(threshold))?;
            brief.low |= if step.low { bit } else { 0 };
            brief.told |= if step.told { bit } else { 0 };
            if let Some(told_at) = step.told_at {
                brief.was_told |= bit;
                brief.told_at = brief.told_at.max(told_at);
            }
        }
        Some(brief)
    }

    /// What `brief` says in short of an account with these `thresholds`. A threshold told before another one
    /// counts as told with it, and so rather later again than too soon.
    pub fn of_brief(brief: Brief, thresholds: &[Threshold]) -> Account {
        let steps = thresholds.iter().take(THRESHOLDS_MAX).enumerate();
        let steps = steps.filter_map(|(index, threshold)| {
            let is_set = |bits: u16| bits & (1 << index) != 0;
            is_set(brief.low | brief.was_told).then(|| Step {
                at: threshold.text.clone(),
                low: is_set(brief.low),
                told: is_set(brief.told),
                told_at: is_set(brief.was_told).then_some(brief.told_at),
            })
        });
        Account {
            steps: steps.collect(),
        }
    }
}

/// What is known of one threshold of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Step {
    /// The threshold as it was written when the step was judged last.
    at: String,
    /// The balance fell below it and has not come up again.
    low: bool,
    /// That was told.
    told: bool,
    /// When it was told last, in ms since 1970.
    told_at: Option<i64>,
}

impl Step {
    /// Whether it is of `threshold`, however that is written now: `50` is `50.00`.
    fn is_of(&self, threshold: &Threshold) -> bool {
        self.at == threshold.text || Amount::parse(&self.at) == Some(threshold.amount)
    }
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert<'t> {
    /// The threshold.
    pub threshold: &'t Threshold,
    /// Its place among the account's, from 1, the highest.
    pub level: usize,
    /// The balance is below it; else it has recovered.
    pub low: bool,
}

/// The thresholds that the switch itself has for an account, highest first: those it told of before
/// and are remembered, and the one it tells now.
pub fn own(known: Option<&Account>, told: Option<Threshold>) -> Vec<Threshold> {
    let steps = known.map_or(&[][..], |known| &known.steps);
    let mut own: Vec<Threshold> = steps
        .iter()
        .filter_map(|step| Threshold::parse(&step.at))
        .collect();
    let is_known = |told: &Threshold| own.iter().any(|own| own.amount == told.amount);
    own.extend(told.filter(|told| !is_known(told)));
    own.sort_by_key(|own| std::cmp::Reverse(own.amount));
    own
}

/// Judges what is seen of an account's `thresholds`, highest first, at `at`: `is_below` says whether the
/// balance is below one, or has recovered from it; nothing where neither is known.
pub fn judge<'t>(
    known: Option<&Account>,
    thresholds: &'t [Threshold],
    is_below: impl Fn(&Threshold) -> Option<bool>,
    at: UnixMs,
    repeat_every: Duration,
) -> (Account, Vec<Alert<'t>>) {
    let (mut next, mut alerts) = (Account::default(), Vec::new());
    for (index, threshold) in thresholds.iter().take(THRESHOLDS_MAX).enumerate() {
        let mut steps = known.map_or(&[][..], |known| &known.steps).iter();
        let mut step = steps.find(|step| step.is_of(threshold)).cloned();
        let step = step.get_or_insert_with(|| Step {
            at: threshold.text.clone(),
            low: false,
            told: false,
            told_at: None,
        });
        step.at.clone_from(&threshold.text);
        let is_due = step
            .told_at
            .is_none_or(|told_at| is_over(told_at, at, repeat_every));
        // The latest rows of an export may be its first: what was before the alert ends nothing.
        let is_older = step.told_at.is_some_and(|told_at| at.0 < told_at) && !is_due;
        let mut tell = |low| {
            alerts.push(Alert {
                threshold,
                level: index + 1,
                low,
            })
        };
        match is_below(threshold) {
            Some(true) => {
                step.low = true;
                if !step.told && is_due {
                    (step.told, step.told_at) = (true, Some(at.0));
                    tell(true);
                }
            }
            Some(false) if step.low && !is_older => {
                if step.told {
                    tell(false);
                }
                (step.low, step.told) = (false, false);
            }
            _ => {}
        }
        if step.low || !is_due || step.told_at == Some(at.0) {
            next.steps.push(step.clone());
        }
    }
    (next, alerts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const HOUR_MS: i64 = 3_600_000;

    /// Runs balances at hours; says what was told of each: `L2@20` for level 2 low at 20.
    #[track_caller]
    fn check(thresholds: &[&str], balances: &[(i64, &str)], expected: &[&str]) {
        let thresholds: Vec<_> = thresholds
            .iter()
            .map(|text| Threshold::parse(text).unwrap())
            .collect();
        let mut known = None;
        let mut told = Vec::new();
        for (hour, balance) in balances {
            // Through what is on disk, as after a restart.
            let kept = known.map(|known| serde_json::to_string(&known).unwrap());
            let known_again = kept.map(|kept| serde_json::from_str::<Account>(&kept).unwrap());
            let balance = Amount::parse(balance).unwrap();
            let (next, alerts) = judge(
                known_again.as_ref(),
                &thresholds,
                |it| Rearm::Share(1_000).is_below(it.amount, balance),
                UnixMs(hour * HOUR_MS),
                DAY,
            );
            let told_now: Vec<_> = alerts
                .iter()
                .map(|alert| {
                    let kind = if alert.low { "L" } else { "R" };
                    format!("{kind}{}@{}", alert.level, alert.threshold.text)
                })
                .collect();
            told.push(told_now.join(" "));
            known = Some(next);
        }
        assert_eq!(told, expected);
    }

    #[test]
    fn each_threshold_fires_once_when_it_is_crossed_downwards() {
        check(
            &["50", "20", "10"],
            &[
                (0, "60"),
                (1, "49.99"),
                (2, "30"),
                (3, "19"),
                (4, "18"),
                (5, "9.9999"),
                (6, "1"),
            ],
            &["", "L1@50", "", "L2@20", "", "L3@10", ""],
        );
        check(
            &["50", "20", "10"],
            &[(0, "60"), (1, "8")],
            &["", "L1@50 L2@20 L3@10"],
        );
        check(
            &["20.00"],
            &[(0, "20"), (1, "20.00"), (2, "19.99")],
            &["", "", "L1@20.00"],
        );
    }

    #[test]
    fn a_balance_that_swings_around_a_threshold_is_told_once() {
        check(
            &["20"],
            &[(0, "19"), (1, "21"), (2, "19"), (3, "21.99"), (4, "19")],
            &["L1@20", "", "", "", ""],
        );
    }

    #[test]
    fn a_recovery_is_told_and_the_next_crossing_only_after_a_day() {
        check(
            &["20"],
            &[
                (0, "19"),
                (1, "22"),
                (2, "19"),
                (3, "30"),
                (23, "19"),
                (24, "18"),
                (25, "17"),
                (26, "25"),
            ],
            &["L1@20", "R1@20", "", "", "", "L1@20", "", "R1@20"],
        );
        check(
            &["20"],
            &[(0, "19"), (1, "22"), (30, "19")],
            &["L1@20", "R1@20", "L1@20"],
        );
    }

    #[test]
    fn a_balance_from_before_the_alert_is_no_recovery() {
        check(
            &["20"],
            &[(9, "19"), (8, "50"), (7, "18"), (9, "50"), (10, "60")],
            &["L1@20", "", "", "R1@20", ""],
        );
        // A clock that was wrong by more than a day does not keep it low for ever.
        check(&["20"], &[(100, "19"), (10, "50")], &["L1@20", "R1@20"]);
    }

    #[test]
    fn a_threshold_that_is_written_in_another_way_is_the_same() {
        let at = |known: Option<&Account>, threshold: &str, hour: i64| {
            let thresholds = [Threshold::parse(threshold).unwrap()];
            let (balance, at) = (Amount::parse("19").unwrap(), UnixMs(hour * HOUR_MS));
            let is_below = |it: &Threshold| Rearm::Share(1_000).is_below(it.amount, balance);
            let (next, alerts) = judge(known, &thresholds, is_below, at, DAY);
            (next, alerts.len())
        };
        let (first, told) = at(None, "20", 0);
        let (second, told_again) = at(Some(&first), "20.00", 1);
        assert_eq!((told, told_again), (1, 0));
        assert_eq!(at(Some(&second), "2E1", 48).1, 0);
        assert_eq!(at(Some(&second), "20.01", 48).1, 1);
    }

    #[test]
    fn thresholds_at_and_below_zero_work() {
        check(
            &["0", "-20"],
            &[(0, "5"), (1, "-0.01"), (2, "-20.5"), (3, "-18"), (4, "0")],
            &["", "L1@0", "L2@-20", "R2@-20", "R1@0"],
        );
    }

    #[test]
    fn an_account_above_its_thresholds_needs_no_memory_after_a_day() {
        let thresholds = [Threshold::parse("20").unwrap()];
        let at = |known: Option<&Account>, hour: i64, balance: &str| {
            let balance = Amount::parse(balance).unwrap();
            let at = UnixMs(hour * HOUR_MS);
            let is_below = |it: &Threshold| Rearm::Share(1_000).is_below(it.amount, balance);
            judge(known, &thresholds, is_below, at, DAY).0
        };
        assert!(at(None, 0, "100").is_empty());
        let low = at(None, 0, "1");
        let up = at(Some(&low), 1, "100");
        assert!(!up.is_empty());
        assert!(at(Some(&up), 24, "100").is_empty());
    }
}

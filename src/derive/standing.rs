//! Standing: whether a report of something that begins and ends is news. Pure.
//!
//! ```text
//!            raise                     clear
//! nothing    told `raised`             told `cleared`, without a beginning
//! raised     counted; told `repeated`  told `cleared`
//!            once `repeat_every` is over,
//!            `raised` with another level
//! cleared    told `raised`             counted; told once `repeat_every` is over
//! ```
//!
//! Time is the reports' own, so that rows read again, or late, are judged as they were.

use crate::clock::UnixMs;
use crate::timestamp::{Precision, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is known of one thing that begins and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// It is raised; else it was cleared.
    pub raised: bool,
    /// When it began, in ms since 1970, and whether that is known to the millisecond.
    pub since: Option<(i64, bool)>,
    /// The time of the report told last, in ms since 1970.
    pub told_at: i64,
    /// Reports since the beginning that said nothing new.
    pub repeats: u64,
    /// How often it was raised anew since it was raised first with this beginning: a line with bad
    /// contacts comes and goes within one second of a log. Older releases counted none.
    #[serde(default)]
    pub flaps: u64,
    /// How grave it was by the last report that said so, while it is raised. Older releases kept none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// How many reports of the same time were told of before the one told last: a log whose times are of
    /// seconds may tell another level, and the first one again, within one. Older releases counted none.
    #[serde(default)]
    pub turns: u64,
}

/// What a report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It is so.
    Raised,
    /// It is so no more.
    Cleared,
}

impl Report {
    /// Its word in `data`, which the words for a state in the configuration are mapped to.
    pub fn named(word: &str) -> Option<Report> {
        match word {
            "raised" | "raise" => Some(Report::Raised),
            "cleared" | "clear" => Some(Report::Cleared),
            _ => None,
        }
    }
}

/// What is told of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// `raised`, `repeated` or `cleared`.
    pub state: &'static str,
    /// When it began, where that is known.
    pub since: Option<Timestamp>,
    /// Reports since then that said nothing new.
    pub repeats: u64,
    /// How often it was raised before with the same beginning.
    pub flaps: u64,
    /// It stands, and is as grave now as it was not before.
    pub is_other_level: bool,
    /// Reports of the same time that were told of before.
    pub turns: u64,
}

/// Judges a report of the time `at`; `began` is when it says that the thing began, `level` how grave
/// it says that it is. Gives what is known from now on, and what is told; `None` where the report is
/// only counted.
pub fn judge(
    known: Option<&Standing>,
    report: Report,
    at: Timestamp,
    began: Option<Timestamp>,
    level: Option<&str>,
    repeat_every: Duration,
) -> (Standing, Option<Told>) {
    let is_due = |known: &Standing| is_over(known.told_at, at.unix, repeat_every);
    let (state, since, repeats) = match (known, report) {
        (Some(known), Report::Raised) if known.raised => {
            let before = known.level.as_deref();
            let is_other_level = level.is_some() && before.is_some() && level != before;
            let mut next = Standing {
                repeats: known.repeats + 1,
                level: level.or(before).map(str::to_owned),
                ..known.clone()
            };
            if !is_due(known) && !is_other_level {
                return (next, None);
            }
            next.turns = match known.told_at == at.unix.0 {
                true => known.turns + 1,
                false => 0,
            };
            next.told_at = at.unix.0;
            let told = Told {
                state: if is_other_level { "raised" } else { "repeated" },
                since: next.since.map(instant),
                repeats: next.repeats,
                flaps: next.flaps,
                is_other_level,
                turns: next.turns,
            };
            return (next, Some(told));
        }
        (Some(known), Report::Cleared) if !known.raised => {
            let repeats = known.repeats + 1;
            if !is_due(known) {
                let next = Standing {
                    repeats,
                    ..known.clone()
                };
                return (next, None);
            }
            ("cleared", began, repeats)
        }
        (known, Report::Cleared) => {
            let since = known.and_then(|known| known.since).map(instant).or(began);
            ("cleared", since, known.map_or(0, |known| known.repeats))
        }
        (_, Report::Raised) => ("raised", Some(began.unwrap_or(at)), 0),
    };
    let since_ms = since.map(|since| (since.unix.0, since.precision == Precision::Millis));
    let same = known.filter(|known| since_ms.is_some() && known.since == since_ms);
    // What is older than the end of it is a row that is read again: it keeps its id.
    let anew = |known: &Standing| report == Report::Raised && known.told_at <= at.unix.0;
    let flaps = same.map_or(0, |known| known.flaps + u64::from(anew(known)));
    let next = Standing {
        raised: report == Report::Raised,
        since: since_ms,
        told_at: at.unix.0,
        repeats: if report == Report::Raised { repeats } else { 0 },
        flaps,
        level: level
            .filter(|_| report == Report::Raised)
            .map(str::to_owned),
        turns: 0,
    };
    let told = Told {
        state,
        since,
        repeats,
        flaps,
        is_other_level: false,
        turns: 0,
    };
    (next, Some(told))
}

/// Whether `span` lies between two instants. Also when the clock went back by that much: a time
/// far in the future, written once by mistake, must not keep everything quiet until then.
pub fn is_over(told_at: i64, at: UnixMs, span: Duration) -> bool {
    let apart = Duration::from_millis(told_at.abs_diff(at.0));
    apart >= span
}

/// An instant as it was kept.
pub fn instant((unix_ms, is_fine): (i64, bool)) -> Timestamp {
    if is_fine {
        Timestamp::from_millis(unix_ms)
    } else {
        Timestamp {
            unix: UnixMs(unix_ms),
            precision: Precision::Seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// Runs reports at seconds; says what was told of each: `raised@0`, `-` where nothing was.
    #[track_caller]
    fn check(reports: &[(i64, Report)], expected: &str) {
        let mut known = None;
        let mut told = Vec::new();
        for (secs, report) in reports {
            let (next, tell) = judge(
                known.as_ref(),
                *report,
                Timestamp::from_secs(*secs),
                None,
                None,
                HOUR,
            );
            told.push(tell.map_or("-".to_owned(), |told| {
                let since = told
                    .since
                    .map_or("?".to_owned(), |at| at.unix.unix_secs().to_string());
                format!("{}@{since}x{}", told.state, told.repeats)
            }));
            known = Some(next);
        }
        assert_eq!(told.join(" "), expected);
    }

    use Report::{Cleared, Raised};

    #[test]
    fn a_raise_is_told_once_and_its_clear_once() {
        check(&[(0, Raised), (60, Cleared)], "raised@0x0 cleared@0x0");
        check(
            &[(0, Raised), (60, Cleared), (61, Raised), (62, Cleared)],
            "raised@0x0 cleared@0x0 raised@61x0 cleared@61x0",
        );
    }

    #[test]
    fn repeats_are_counted_and_told_when_they_are_due_and_at_the_clear() {
        check(
            &[
                (0, Raised),
                (60, Raised),
                (120, Raised),
                (3_600, Raised),
                (3_700, Raised),
                (3_800, Cleared),
            ],
            "raised@0x0 - - repeated@0x3 - cleared@0x4",
        );
    }

    #[test]
    fn what_stands_and_grows_worse_is_no_repeat() {
        let mut known = None;
        let mut told = Vec::new();
        for (secs, level) in [
            (0, None),
            (1, Some("minor")),
            (2, Some("critical")),
            (3, None),
            (4, Some("critical")),
            (5, Some("minor")),
        ] {
            let at = Timestamp::from_secs(secs);
            let (next, tell) = judge(known.as_ref(), Raised, at, None, level, HOUR);
            told.push(tell.map_or("-", |told| told.state));
            known = Some(next);
        }
        assert_eq!(told.join(" "), "raised - raised - - raised");
    }

    #[test]
    fn a_clear_without_a_raise_is_told_without_a_beginning_but_not_over_and_over() {
        check(
            &[
                (0, Cleared),
                (60, Cleared),
                (3_600, Cleared),
                (3_700, Raised),
            ],
            "cleared@?x0 - cleared@?x2 raised@3700x0",
        );
    }

    #[test]
    fn a_time_from_the_future_does_not_keep_repeats_quiet_for_ever() {
        check(
            &[(2_000_000_000, Raised), (0, Raised), (60, Raised)],
            "raised@2000000000x0 repeated@2000000000x1 -",
        );
    }
}

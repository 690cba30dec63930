//! Watch: what an address's answers tell beside their status: how long its certificate will be
//! good, and how far its clock is from ours.
//!
//! Both are looked at now and then, in the middle of other work, and said at most once a day.

use super::transport::Answer;
use crate::clock::{Moment, UnixMs};
use crate::event::alert::What;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A certificate that is good for less is told of: two weeks, in which someone is back from leave.
pub const EXPIRING_WITHIN: Duration = Duration::from_secs(14 * 86_400);

/// Clocks that are further apart are told of: receivers refuse signatures whose time is minutes
/// off, and a second or two is the way of the answer.
pub const SKEW_MAX: Duration = Duration::from_secs(60);

/// Shortest time between two reports of the same thing.
const SAID_EVERY: Duration = Duration::from_secs(86_400);

/// Shortest time between two looks at a `Date`.
const LOOKED_EVERY: Duration = Duration::from_secs(60);

/// What is watched of one address.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    date_looked_at: Option<Moment>,
    skew_said_at: Option<Moment>,
    expiry_said_at: Option<Moment>,
}

impl Watch {
    /// What an `answer` that came at `now` and `wall` tells that was not said lately.
    /// `valid_until` is when the address's certificate expires, as far as that is known.
    pub(super) fn heard(
        &self,
        answer: &Answer,
        valid_until: Option<UnixMs>,
        now: Moment,
        wall: UnixMs,
    ) -> Vec<What> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let skew = state.skew(answer, now, wall);
        let expiry = state.expiry(valid_until, now, wall);
        skew.into_iter().chain(expiry).collect()
    }
}

impl State {
    fn skew(&mut self, answer: &Answer, now: Moment, wall: UnixMs) -> Option<What> {
        if is_within(self.date_looked_at, LOOKED_EVERY, now) {
            return None;
        }
        let Answer::Status(response) = answer else {
            return None;
        };
        let date = response.date.as_deref()?;
        self.date_looked_at = Some(now);
        let date = date_of(date)?;
        // It was written at some moment of the attempt, and has whole seconds.
        let (ahead, behind) = (wall.since(date), date.since(wall));
        let slack = response.elapsed + Duration::from_secs(1);
        if ahead.saturating_sub(slack).max(behind) <= SKEW_MAX
            || is_within(self.skew_said_at, SAID_EVERY, now)
        {
            return None;
        }
        self.skew_said_at = Some(now);
        let ahead_secs = wall.0.saturating_sub(date.0) / 1_000;
        Some(What::ClockSkew { ahead_secs })
    }

    fn expiry(&mut self, until: Option<UnixMs>, now: Moment, wall: UnixMs) -> Option<What> {
        let until = until?;
        if until.since(wall) > EXPIRING_WITHIN || is_within(self.expiry_said_at, SAID_EVERY, now) {
            return None;
        }
        self.expiry_said_at = Some(now);
        Some(What::CertificateExpiring { until })
    }
}

fn is_within(at: Option<Moment>, span: Duration, now: Moment) -> bool {
    at.is_some_and(|at| now.since(at) < span)
}

/// Reads the `Date` of an answer.
fn date_of(text: &str) -> Option<UnixMs> {
    super::outcome::http_date(text)
}

/// Writes what was heard to the log.
pub(super) fn log(endpoint: &str, host: &str, what: &What, wall: UnixMs) {
    match what {
        What::ClockSkew { ahead_secs } => log::warn!(
            "clock skew endpoint={endpoint} host={host} ahead_secs={ahead_secs}; signatures carry this machine's time: look at its NTP"
        ),
        What::CertificateExpiring { until } => {
            let days = until.since(wall).as_secs() / 86_400;
            log::warn!(
                "certificate expires soon endpoint={endpoint} host={host} days={days}; its receiver should renew it"
            );
        }
        What::Failing { .. } | What::Recovered { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::transport::Response;

    const WALL: UnixMs = UnixMs(1_775_745_045_000); // Thu, 09 Apr 2026 14:30:45 GMT
    const DAY: Duration = Duration::from_secs(86_400);

    fn dated(date: &str) -> Answer {
        Answer::Status(Response {
            status: 200,
            date: Some(date.to_string()),
            ..Response::default()
        })
    }

    #[track_caller]
    fn check_skew(date: &str, expected: Option<i64>) {
        let heard = Watch::default().heard(&dated(date), None, Moment::default(), WALL);
        let expected: Vec<What> = expected
            .map(|ahead_secs| What::ClockSkew { ahead_secs })
            .into_iter()
            .collect();
        assert_eq!(heard, expected, "{date}");
    }

    #[test]
    fn clocks_more_than_a_minute_apart_are_told_of() {
        check_skew("Thu, 09 Apr 2026 14:30:45 GMT", None);
        check_skew("Thu, 09 Apr 2026 14:29:44 GMT", None);
        check_skew("Thu, 09 Apr 2026 14:29:43 GMT", Some(62));
        check_skew("Thu, 09 Apr 2026 14:31:45 GMT", None);
        check_skew("Thu, 09 Apr 2026 14:31:46 GMT", Some(-61));
        check_skew("Wed, 09 Apr 2025 14:30:45 GMT", Some(365 * 86_400));
        check_skew("yesterday", None);
    }

    #[test]
    fn each_is_said_once_a_day() {
        let watch = Watch::default();
        let answer = dated("Thu, 09 Apr 2026 13:30:45 GMT");
        let until = Some(WALL.after(DAY * 13));
        let mut said = 0;
        for minute in 0..3 * 24 * 60 {
            let now = Moment(Duration::from_secs(minute * 60));
            said += watch.heard(&answer, until, now, WALL).len();
        }
        assert_eq!(said, 6);
    }

    #[test]
    fn a_certificate_is_told_of_in_its_last_two_weeks() {
        for (days, expected) in [(400, 0), (15, 0), (14, 1), (1, 1), (0, 1)] {
            let until = Some(WALL.after(DAY * days));
            let heard = Watch::default().heard(&dated(""), until, Moment::default(), WALL);
            assert_eq!(heard.len(), expected, "{days} days");
        }
    }
}

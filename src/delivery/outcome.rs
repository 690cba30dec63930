//! Outcome: what an attempt came to, decided by one pure function, [`Outcome::of`], that is also the
//! documentation of the status table.
//!
//! | what came back | outcome | who is to blame |
//! |---|---|---|
//! | a status that the endpoint's `success` names (2xx, or 200 alone, by the profile) | [delivered](Outcome::Delivered) | |
//! | 408, 425, 429, 5xx | [unavailable](Outcome::Unavailable) | the endpoint |
//! | no complete answer: no address, an address that is not allowed, no connection, no TLS, a proxy that refuses, a time that is over, bytes that are no HTTP | unavailable | the endpoint |
//! | 3xx: never followed, the reason names the host it leads to | unavailable | the endpoint |
//! | 101, and what is no status of HTTP (below 200, above 599) | unavailable | the endpoint |
//! | 410 | [gone](Outcome::Gone) | the endpoint |
//! | nothing, for no request can be made of the event: its fields do not fit into the address of a `GET` | refused, and [never sent](Failure::was_never_sent) | the event |
//! | any other 4xx, and a 2xx that `success` does not name | [refused](Outcome::Refused) | the event; of 401, 403, 404, 405 and 407 the endpoint, when it answers everything so ([`blanket`](super::blanket)) |
//!
//! The rule of success comes first: an endpoint whose `success` names 409 or 410 has the event then.
//! An answer is one when its status line and headers are read; of its body at most 64 KiB are read
//! after that, never decoded, and however the body ends, it changes nothing.
//!
//! `Retry-After`, in seconds or as a date, is heard with every unavailable *status*, and means the
//! endpoint and not the event: nothing is sent for so long, up to `retry_after_max`. A time that
//! is over, or that makes no sense, is no wish. With any other answer it is not heard: one that is
//! delivered or refused goes on as told here, and 410 pauses for its minute, whatever it asks for.
//!
//! What follows from an outcome, for the event and for the endpoint, is told in
//! [`retry`](super::retry), from the first attempt to the last.

use super::transport::{Answer, Response, TroubleClass};
use crate::clock::UnixMs;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What one attempt to deliver an event came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint has the event.
    Delivered,
    /// The endpoint could not take it: this says nothing about the event. `after` is the
    /// endpoint's own wish (`Retry-After`), within its bound.
    Unavailable {
        /// What was seen.
        failure: Failure,
        /// How long nothing shall be sent.
        after: Option<Duration>,
    },
    /// The endpoint works, and did not want this event.
    Refused(Failure),
    /// The endpoint says that it is no more (410).
    Gone(Failure),
}

/// The classes of what is seen of an attempt that did not deliver, in the order of its way.
pub const CLASSES: [&str; 8] = [
    "request", "dns", "address", "tcp", "proxy", "tls", "timeout", "http",
];

/// What was seen of an attempt that did not deliver.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// In words, for log and dead letter.
    pub reason: String,
    /// In one word, of [`CLASSES`]: `request` is one that cannot be made, `address` is one an endpoint may not have. Empty when it is
    /// not known.
    pub class: &'static str,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// How the answer's body began, undecoded: at most 1 KiB.
    pub answer_start: Vec<u8>,
}

/// Which statuses mean that the event arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessRule(Vec<RangeInclusive<u16>>);

impl SuccessRule {
    /// 200 to 299.
    pub fn any_2xx() -> SuccessRule {
        SuccessRule(vec![200..=299])
    }

    /// One status and no other.
    pub fn only(status: u16) -> SuccessRule {
        SuccessRule(vec![status..=status])
    }

    /// Any status in one of `ranges`.
    pub fn any_of(ranges: Vec<RangeInclusive<u16>>) -> SuccessRule {
        SuccessRule(ranges)
    }

    /// The statuses that mean it.
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.0
    }

    /// Whether an answer with `status` means that the event arrived.
    pub fn is_met_by(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Outcome {
    /// Judges an answer that came at `wall`, by the table above, from top to bottom.
    pub fn of(
        answer: Answer,
        success: &SuccessRule,
        retry_after_max: Duration,
        wall: UnixMs,
    ) -> Outcome {
        let response = match answer {
            Answer::Status(response) => response,
            Answer::Trouble(trouble) => {
                let failure = Failure {
                    reason: trouble.to_string(),
                    class: trouble.class.word(),
                    ..Failure::default()
                };
                if failure.was_never_sent() {
                    return Outcome::Refused(failure);
                }
                return Outcome::Unavailable {
                    failure,
                    after: None,
                };
            }
        };
        let status = response.status;
        if success.is_met_by(status) {
            return Outcome::Delivered;
        }
        let after = response
            .retry_after
            .as_deref()
            .and_then(|text| retry_after(text, wall));
        let failure = Failure::from(response);
        match status {
            410 => Outcome::Gone(failure),
            408 | 425 | 429 => Outcome::Unavailable {
                failure,
                after: after.map(|span| span.min(retry_after_max)),
            },
            200..=299 | 400..=499 => Outcome::Refused(failure),
            _ => Outcome::Unavailable {
                failure,
                after: after.map(|span| span.min(retry_after_max)),
            },
        }
    }
}

impl Outcome {
    /// What was seen, of an attempt that did not deliver.
    pub fn failure_mut(&mut self) -> Option<&mut Failure> {
        match self {
            Outcome::Delivered => None,
            Outcome::Unavailable { failure, .. }
            | Outcome::Refused(failure)
            | Outcome::Gone(failure) => Some(failure),
        }
    }
}

impl Failure {
    /// Whether nothing was sent, because no request can be made of the event: it says nothing about
    /// the endpoint, and no further attempt would be another.
    pub fn was_never_sent(&self) -> bool {
        self.class == TroubleClass::Request.word()
    }
}

impl From<Response> for Failure {
    fn from(response: Response) -> Failure {
        let status = response.status;
        let reason = match response.location_host {
            Some(host) => format!("status {status}: redirects to {host} are not followed"),
            None if matches!(status, 301..=303 | 307 | 308) => {
                format!("status {status}: redirects are not followed")
            }
            None => format!("status {status}"),
        };
        Failure {
            reason,
            class: "http",
            status: Some(status),
            answer_start: response.body_start,
        }
    }
}

/// Reads `Retry-After` (RFC 9110 section 10.2.3): whole seconds, or a date. What is neither, or
/// lies in the past, is no wish.
fn retry_after(text: &str, wall: UnixMs) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than 64 bits hold is still a wish for a long pause.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let span = http_date(text)?.since(wall);
    (!span.is_zero()).then_some(span)
}

/// Reads a date in any of the three forms a receiver may write (RFC 9110 section 5.6.7), the two
/// of old included.
pub(super) fn http_date(text: &str) -> Option<UnixMs> {
    let modern = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    let date = modern.or_else(|error| {
        let old = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
        let mut read = old
            .iter()
            .map(|form| jiff::civil::DateTime::strptime(form, text));
        let found = read.find_map(Result::ok).ok_or(error)?;
        found
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map(|at| at.timestamp())
    });
    Some(UnixMs(date.ok()?.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::transport::Trouble;

    const WALL: UnixMs = UnixMs(1_775_745_045_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        Answer::Status(Response {
            status,
            retry_after: retry_after.map(str::to_string),
            ..Response::default()
        })
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Kind {
        Delivered,
        Unavailable,
        Refused,
        Gone,
    }

    #[track_caller]
    fn check(rule: &SuccessRule, status: u16, expected: Kind) {
        let kind = match Outcome::of(answer(status, None), rule, HOUR, WALL) {
            Outcome::Delivered => Kind::Delivered,
            Outcome::Unavailable { .. } => Kind::Unavailable,
            Outcome::Refused(_) => Kind::Refused,
            Outcome::Gone(_) => Kind::Gone,
        };
        assert_eq!(kind, expected, "status {status}");
    }

    #[test]
    fn the_status_table_holds() {
        let rule = SuccessRule::any_2xx();
        for status in [200, 201, 204, 299] {
            check(&rule, status, Kind::Delivered);
        }
        for status in [
            101, 300, 301, 302, 307, 308, 399, 408, 425, 429, 500, 503, 599, 999,
        ] {
            check(&rule, status, Kind::Unavailable);
        }
        for status in [400, 401, 403, 404, 413, 422, 499] {
            check(&rule, status, Kind::Refused);
        }
        check(&rule, 410, Kind::Gone);
    }

    #[test]
    fn a_2xx_outside_the_rule_is_refused_and_the_rule_comes_first() {
        let rule = SuccessRule::only(200);
        check(&rule, 200, Kind::Delivered);
        check(&rule, 202, Kind::Refused);
        let rule = SuccessRule::any_of(vec![200..=204, 409..=410]);
        check(&rule, 410, Kind::Delivered);
        check(&rule, 409, Kind::Delivered);
        check(&rule, 205, Kind::Refused);
    }

    #[test]
    fn trouble_on_the_way_is_the_endpoint_s() {
        let trouble = Trouble {
            class: TroubleClass::Connect,
            text: "connection refused".into(),
            elapsed: Duration::ZERO,
        };
        let outcome = Outcome::of(
            Answer::Trouble(trouble),
            &SuccessRule::any_2xx(),
            HOUR,
            WALL,
        );
        let failure = Failure {
            reason: "connect: connection refused".into(),
            class: "tcp",
            ..Failure::default()
        };
        assert_eq!(
            outcome,
            Outcome::Unavailable {
                failure,
                after: None
            }
        );
    }

    #[test]
    fn what_cannot_be_sent_is_the_event_s() {
        let trouble = Trouble {
            class: TroubleClass::Request,
            text: "an address of 70000 bytes cannot be sent".into(),
            elapsed: Duration::ZERO,
        };
        let rule = SuccessRule::any_2xx();
        let outcome = Outcome::of(Answer::Trouble(trouble), &rule, HOUR, WALL);
        let Outcome::Refused(failure) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(failure.was_never_sent() && failure.status.is_none());
    }

    #[track_caller]
    fn check_pause(text: &str, expected: Option<u64>) {
        let outcome = Outcome::of(answer(503, Some(text)), &SuccessRule::any_2xx(), HOUR, WALL);
        let Outcome::Unavailable { after, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(after, expected.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn a_wish_to_wait_is_heard_within_its_bound() {
        check_pause("0", Some(0));
        check_pause(" 120 ", Some(120));
        check_pause("86400", Some(3_600));
        check_pause("99999999999999999999999", Some(3_600));
        check_pause("Thu, 09 Apr 2026 14:32:45 GMT", Some(120));
        check_pause("Fri, 10 Apr 2026 14:30:45 GMT", Some(3_600));
        check_pause("Thursday, 09-Apr-26 14:32:45 GMT", Some(120));
        check_pause("Thu Apr  9 14:32:45 2026", Some(120));
    }

    #[test]
    fn a_wish_that_makes_no_sense_is_not_heard() {
        for text in [
            "-5",
            "soon",
            "",
            "1.5",
            "12s",
            "Thu, 09 Apr 2026 14:30:44 GMT",
            "2026-04-09",
        ] {
            check_pause(text, None);
        }
    }

    #[test]
    fn a_redirect_names_the_host_it_was_sent_to() {
        let response = Response {
            status: 302,
            location_host: Some("evil.example".into()),
            ..Response::default()
        };
        let failure = Failure::from(response);
        assert_eq!(
            failure.reason,
            "status 302: redirects to evil.example are not followed"
        );
    }
}

//! Limits: how long each phase of an attempt may take. All of them lie within the whole attempt's
//! time, and each that is over says which it was.

use super::{Phase, Trouble, TroubleClass};
use crate::delivery::endpoint::Endpoint;
use std::time::Duration;

/// Longest time to hand a request to the system's socket. A request of the usual size fits its
/// buffer at once; the longest batch of 1 MiB takes this long at 1 Mbit/s. A receiver that takes
/// it any slower does not read.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// What the HTTP client is told beyond the time there is. So it is always the dialler or the wire
/// that notices that a time is over: they know the phase, the client between two reads does not.
pub(super) const SLACK: Duration = Duration::from_secs(1);

/// The limits of one endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    resolve: (Duration, &'static str),
    connect: Duration,
    tls: (Duration, &'static str),
    answer: Option<Duration>,
    whole: Duration,
}

/// The time one phase has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    phase: Phase,
    /// From now.
    pub(super) within: Duration,
    /// The limit it comes from, and what that is called.
    limit: Duration,
    name: &'static str,
}

impl Limits {
    pub(super) fn of(endpoint: &Endpoint) -> Limits {
        let (connect, link) = (endpoint.connect_timeout, &endpoint.link);
        let own = |own: Option<Duration>, name| {
            own.map_or((connect, "connect_timeout"), |own| (own, name))
        };
        Limits {
            resolve: own(link.resolve_timeout, "resolve_timeout"),
            connect,
            tls: own(link.tls_timeout, "tls_timeout"),
            answer: link.answer_timeout,
            whole: endpoint.timeout,
        }
    }

    /// The time of a whole attempt.
    pub(super) fn whole(&self) -> Duration {
        self.whole
    }

    /// What is left of the attempt when the client says `told`.
    pub(super) fn left(&self, told: Duration) -> Duration {
        told.saturating_sub(SLACK).min(self.whole)
    }

    /// What `phase`, which begins now, has of the `left` that the attempt has.
    pub(super) fn span(&self, phase: Phase, left: Duration) -> Span {
        self.span_since(phase, Duration::ZERO, left)
    }

    /// What `phase`, which began `ago`, has of the `left` that the attempt has.
    pub(super) fn span_since(&self, phase: Phase, ago: Duration, left: Duration) -> Span {
        let whole = (self.whole, "timeout");
        let (limit, name) = match phase {
            Phase::Resolve => self.resolve,
            Phase::Connect | Phase::Proxy => (self.connect, "connect_timeout"),
            Phase::Tls => self.tls,
            Phase::Send => (SEND_TIMEOUT, "the limit of sending"),
            Phase::Answer => self
                .answer
                .map_or(whole, |answer| (answer, "answer_timeout")),
            Phase::Headers => whole,
        };
        let within = limit.saturating_sub(ago);
        if within <= left {
            Span {
                phase,
                within,
                limit,
                name,
            }
        } else {
            Span {
                phase,
                within: left,
                limit: self.whole,
                name: "timeout",
            }
        }
    }
}

impl Span {
    /// The trouble of its being over.
    pub(super) fn over(&self, what: &str) -> Trouble {
        Trouble {
            class: TroubleClass::Timeout(self.phase),
            text: format!(
                "{what} within {} s ({})",
                self.limit.as_secs_f32(),
                self.name
            ),
            elapsed: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::profile::Profile;
    use crate::delivery::url::Url;

    const SEC: Duration = Duration::from_secs(1);

    fn endpoint() -> Endpoint {
        let mut endpoint = Endpoint::new("a", Url::parse("https://a/").unwrap(), Profile::Standard);
        endpoint.timeout = SEC * 15;
        endpoint.connect_timeout = SEC * 5;
        endpoint
    }

    #[track_caller]
    fn check(endpoint: &Endpoint, phase: Phase, left: Duration, expected: Duration, name: &str) {
        let span = Limits::of(endpoint).span(phase, left);
        assert_eq!(span.within, expected, "{phase:?}");
        let trouble = span.over("nothing");
        assert_eq!(trouble.class, TroubleClass::Timeout(phase));
        assert!(trouble.text.ends_with(&format!("({name})")), "{trouble}");
    }

    #[test]
    fn each_phase_has_its_own_limit_within_the_whole() {
        let mut endpoint = endpoint();
        check(
            &endpoint,
            Phase::Resolve,
            SEC * 15,
            SEC * 5,
            "connect_timeout",
        );
        check(&endpoint, Phase::Tls, SEC * 15, SEC * 5, "connect_timeout");
        check(&endpoint, Phase::Answer, SEC * 14, SEC * 14, "timeout");
        endpoint.link.resolve_timeout = Some(SEC * 2);
        endpoint.link.tls_timeout = Some(SEC * 3);
        endpoint.link.answer_timeout = Some(SEC * 4);
        check(
            &endpoint,
            Phase::Resolve,
            SEC * 15,
            SEC * 2,
            "resolve_timeout",
        );
        check(
            &endpoint,
            Phase::Connect,
            SEC * 15,
            SEC * 5,
            "connect_timeout",
        );
        check(
            &endpoint,
            Phase::Proxy,
            SEC * 15,
            SEC * 5,
            "connect_timeout",
        );
        check(&endpoint, Phase::Tls, SEC * 15, SEC * 3, "tls_timeout");
        check(
            &endpoint,
            Phase::Send,
            SEC * 15,
            SEND_TIMEOUT,
            "the limit of sending",
        );
        check(
            &endpoint,
            Phase::Answer,
            SEC * 15,
            SEC * 4,
            "answer_timeout",
        );
        check(&endpoint, Phase::Headers, SEC * 9, SEC * 9, "timeout");
        // What is left of the whole comes first.
        check(&endpoint, Phase::Tls, SEC, SEC, "timeout");
    }
}

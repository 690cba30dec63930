//! What the agent tells of its own endpoints: the `data` of the events, keys and order fixed.

use super::json::Object;
use super::shape::Field;
use super::{Event, Labels, id};
use crate::clock::UnixMs;
use crate::timestamp::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// An endpoint does not work any more, or its own address does not.
pub const ENDPOINT_FAILING: &str = "switchhook.endpoint_failing";

/// It works again.
pub const ENDPOINT_RECOVERED: &str = "switchhook.endpoint_recovered";

/// A receiver's certificate expires soon.
pub const CERTIFICATE_EXPIRING: &str = "switchhook.certificate_expiring";

/// This machine's clock and a receiver's differ.
pub const CLOCK_SKEW: &str = "switchhook.clock_skew";

/// The types of these events.
pub const KINDS: [&str; 4] = [
    ENDPOINT_FAILING,
    ENDPOINT_RECOVERED,
    CERTIFICATE_EXPIRING,
    CLOCK_SKEW,
];

/// The types with the members of their `data`.
pub const FIELDS: [(&str, &[Field]); 4] = [
    (ENDPOINT_FAILING, &FAILING),
    (ENDPOINT_RECOVERED, &RECOVERED),
    (CERTIFICATE_EXPIRING, &EXPIRING),
    (CLOCK_SKEW, &SKEW),
];

const NAME: Field = Field::text("endpoint", "The endpoint's name in the configuration.").always();

const HOST: Field = Field::text("host", "The host of the address it is about.").always();

const WAITING: Field = Field::whole(
    "waiting",
    "Events that wait for it; null where that is not known.",
);

const FAILING: [Field; 5] = [
    NAME,
    HOST,
    Field::text("error", "What came of the last attempt.").always(),
    Field::text(
        "fallback",
        "The host of the fallback that is used now; null without one that works.",
    ),
    WAITING,
];

const RECOVERED: [Field; 4] = [
    NAME,
    HOST,
    Field::whole("failing_secs", "Seconds for which it did not work.").always(),
    WAITING,
];

const EXPIRING: [Field; 4] = [
    NAME,
    HOST,
    Field::time("expires_at", "When its certificate expires.").always(),
    Field::whole("days_left", "Whole days until then.").always(),
];

const SKEW: [Field; 3] = [
    NAME,
    HOST,
    Field::whole(
        "ahead_secs",
        "Seconds by which the agent's clock is ahead of the receiver's; negative when it is behind.",
    )
    .always(),
];

/// What these events have in the place of a source; no source can be called so.
pub const SOURCE: &str = "(agent)";

/// Something about an endpoint that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The endpoint it is about.
    pub endpoint: Arc<str>,
    /// The host of the address it is about.
    pub host: String,
    /// When it was noticed.
    pub at: UnixMs,
    /// What it is.
    pub what: What,
}

/// What there is to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It does not work any more.
    Failing {
        /// What came of the last attempt.
        error: String,
        /// The host of the fallback that is used now, if there is one that works.
        fallback: Option<String>,
    },
    /// It works again.
    Recovered {
        /// For how long it did not.
        failing_for: Duration,
    },
    /// Its certificate expires soon.
    CertificateExpiring {
        /// When.
        until: UnixMs,
    },
    /// The clocks differ.
    ClockSkew {
        /// By so much this machine's is ahead; negative when it is behind.
        ahead_secs: i64,
    },
}

impl Alert {
    /// The event's type.
    pub fn kind(&self) -> &'static str {
        match self.what {
            What::Failing { .. } => ENDPOINT_FAILING,
            What::Recovered { .. } => ENDPOINT_RECOVERED,
            What::CertificateExpiring { .. } => CERTIFICATE_EXPIRING,
            What::ClockSkew { .. } => CLOCK_SKEW,
        }
    }

    /// The event, at `node`; `waiting` is how many events wait for the endpoint.
    pub fn event(&self, node: &Arc<str>, waiting: Option<u64>) -> Event {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let fields: &[Field] = match self.what {
            What::Failing { .. } => &FAILING,
            What::Recovered { .. } => &RECOVERED,
            What::CertificateExpiring { .. } => &EXPIRING,
            What::ClockSkew { .. } => &SKEW,
        };
        let mut data = Object::shaped(fields, 256);
        data.text("endpoint", Some(&self.endpoint));
        data.text("host", Some(&self.host));
        match &self.what {
            What::Failing { error, fallback } => {
                data.text("error", Some(error));
                data.text("fallback", fallback.as_deref());
                data.whole("waiting", waiting.map(whole));
            }
            What::Recovered { failing_for } => {
                data.whole("failing_secs", Some(whole(failing_for.as_secs())));
                data.whole("waiting", waiting.map(whole));
            }
            What::CertificateExpiring { until } => {
                let expires = Timestamp::from_secs(until.unix_secs()).to_string();
                data.text("expires_at", Some(&expires));
                let left = until.since(self.at).as_secs() / 86_400;
                data.whole("days_left", Some(whole(left)));
            }
            What::ClockSkew { ahead_secs } => data.whole("ahead_secs", Some(*ahead_secs)),
        }
        let at = self.at.0.to_string();
        let key = [self.kind(), &self.endpoint, &at];
        Event {
            id: id::of_key(node, SOURCE, key.into_iter()),
            kind: self.kind().into(),
            time: Timestamp::from_millis(self.at.0),
            node: Arc::clone(node),
            labels: Labels {
                application: Some((&*self.endpoint).into()),
                ..Labels::default()
            },
            data: data.finish(),
        }
    }
}

/// Whether an event of `kind` is one of these.
pub fn is_alert(kind: &str) -> bool {
    KINDS.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixMs = UnixMs(1_775_745_045_250);

    #[track_caller]
    fn check(what: What, kind: &str, expected: &str) {
        let alert = Alert {
            endpoint: "billing".into(),
            host: "api.example.com".to_string(),
            at: AT,
            what,
        };
        let event = alert.event(&"vos-1".into(), Some(41));
        assert_eq!((&*event.kind, event.time.unix), (kind, AT));
        assert_eq!(String::from_utf8_lossy(&event.data), expected);
        assert_eq!(event.labels.application.as_deref(), Some("billing"));
        assert!(super::super::is_kind(&event.kind) && is_alert(&event.kind));
    }

    #[test]
    fn each_says_what_an_operator_needs() {
        check(
            What::Failing {
                error: "status 503".to_string(),
                fallback: None,
            },
            "switchhook.endpoint_failing",
            r#"{"endpoint":"billing","host":"api.example.com","error":"status 503","fallback":null,"waiting":41}"#,
        );
        check(
            What::Recovered {
                failing_for: Duration::from_millis(90_900),
            },
            "switchhook.endpoint_recovered",
            r#"{"endpoint":"billing","host":"api.example.com","failing_secs":90,"waiting":41}"#,
        );
        check(
            What::CertificateExpiring {
                until: AT.after(Duration::from_secs(10 * 86_400 + 5)),
            },
            "switchhook.certificate_expiring",
            r#"{"endpoint":"billing","host":"api.example.com","expires_at":"2026-04-19T14:30:50Z","days_left":10}"#,
        );
        check(
            What::ClockSkew { ahead_secs: -75 },
            "switchhook.clock_skew",
            r#"{"endpoint":"billing","host":"api.example.com","ahead_secs":-75}"#,
        );
    }
}

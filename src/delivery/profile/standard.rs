//! `standard`: the body Standard Webhooks recommends, `{"type","timestamp","data"}`.
//!
//! The id travels in `webhook-id`; it is repeated first in `data`, with the sequence, for
//! receivers that keep only the body.

use super::Defaults;
use super::layout::{Member, Value, always, sequence, time};
use crate::delivery::outcome::SuccessRule;
use crate::delivery::signer::SignatureScheme;
use std::time::Duration;

/// Ten attempts over three days: with a factor of 8 the waits are at most 1, 8, 64, 512, 4,096
/// and 32,768 s and then three times 45 h, together 145.4 h; full jitter halves that on average
/// to 72.7 h. Doubling from 1 s to 1 h, the usual choice, would be over in nine minutes.
pub(super) fn defaults() -> Defaults {
    Defaults {
        signature: SignatureScheme::standard(),
        success: SuccessRule::any_2xx(),
        timeout: Duration::from_secs(15),
        attempts: 10,
        backoff_initial: Duration::from_secs(1),
        backoff_max: Duration::from_secs(45 * 60 * 60),
    }
}

/// The body.
pub(super) const LAYOUT: &[Member] = &[
    always("type", Value::Kind, "What kind of event it is."),
    time("timestamp"),
    always(
        "data",
        Value::WholeAfter(&[
            always(
                "id",
                Value::Id,
                "The event's lasting id: the same in every repeat. Also in webhook-id.",
            ),
            sequence("sequence"),
        ]),
        "What happened.",
    ),
];

#[cfg(test)]
mod tests {
    use crate::delivery::profile::Profile;
    use crate::delivery::profile::samples::queued;

    #[track_caller]
    fn check(data: &str, expected: &str) {
        let mut body = Vec::new();
        Profile::Standard.render(&queued(7, "cdr", data), &mut body);
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn data_begins_with_id_and_sequence() {
        check(
            r#"{"call_id":"12345678"}"#,
            r#"{"type":"cdr","timestamp":"2026-04-09T14:30:45Z","data":{"id":"evt_00000000000000000000000000000007","sequence":7,"call_id":"12345678"}}"#,
        );
    }

    #[test]
    fn an_event_without_facts_still_has_its_id() {
        check(
            "{}",
            r#"{"type":"cdr","timestamp":"2026-04-09T14:30:45Z","data":{"id":"evt_00000000000000000000000000000007","sequence":7}}"#,
        );
    }
}

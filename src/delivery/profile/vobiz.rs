//! `vobiz`: the flat body of the Vobiz webhook guide, `{"event","timestamp","call_id","from","to",…}`.

use super::Defaults;
use super::layout::{Member, Value, When, always, id, sequence, time, when};
use super::names::Guide;
use crate::delivery::outcome::SuccessRule;
use crate::delivery::signer::SignatureScheme;
use std::time::Duration;

/// The guide asks for an answer within 3 s, for 200 and nothing else, and tries 3 times with
/// exponential backoff. The two waits are at most 1 and 8 s.
pub(super) fn defaults() -> Defaults {
    Defaults {
        signature: SignatureScheme::vobiz(),
        success: SuccessRule::only(200),
        timeout: Duration::from_secs(3),
        attempts: 3,
        backoff_initial: Duration::from_secs(1),
        backoff_max: Duration::from_secs(60 * 60),
    }
}

/// The body: the guide's members first; the others follow under their own names.
pub(super) const LAYOUT: &[Member] = &[
    always(
        "event",
        Value::Name(Guide::Vobiz),
        "What the guide calls this kind of event; ours where it has no name for it.",
    ),
    time("timestamp"),
    when(When::Has("call_id"), "call_id", Value::Data("call_id"), ""),
    when(
        When::CallOrHas("caller_id"),
        "from",
        Value::Data("caller_id"),
        "",
    ),
    when(
        When::CallOrHas("caller_id"),
        "to",
        Value::Data("called_id"),
        "",
    ),
    when(
        When::Call,
        "status",
        Value::CallStatus,
        "failed when the call was not answered, else completed.",
    ),
    when(When::Call, "duration", Value::Data("duration"), ""),
    when(
        When::Call,
        "bill_duration",
        Value::Data("bill_duration"),
        "",
    ),
    when(When::Call, "account_id", Value::Data("account_id"), ""),
    id("id"),
    sequence("sequence"),
    always("", Value::Rest(&["caller_id", "called_id", "call_id"]), ""),
];

#[cfg(test)]
mod tests {
    use crate::delivery::profile::Profile;
    use crate::delivery::profile::samples::queued;

    #[track_caller]
    fn check(kind: &str, data: &str, expected: &str) {
        let mut body = Vec::new();
        Profile::Vobiz.render(&queued(7, kind, data), &mut body);
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn a_call_has_the_guide_s_members_in_front() {
        check(
            "cdr",
            r#"{"call_id":"12345678","caller_id":"12025550101","called_id":"442079460101","duration":125,"bill_duration":120,"cost":"0.50","account_id":"1001","connected":true}"#,
            r#"{"event":"call.completed","timestamp":"2026-04-09T14:30:45Z","call_id":"12345678","from":"12025550101","to":"442079460101","status":"completed","duration":125,"bill_duration":120,"account_id":"1001","id":"evt_00000000000000000000000000000007","sequence":7,"cost":"0.50","connected":true}"#,
        );
    }

    #[test]
    fn another_event_is_flat_too_and_its_own_members_cannot_replace_the_envelope() {
        check(
            "alarm",
            r#"{"event":"x","Timestamp":"y","level":"major"}"#,
            r#"{"event":"alarm","timestamp":"2026-04-09T14:30:45Z","id":"evt_00000000000000000000000000000007","sequence":7,"level":"major"}"#,
        );
    }
}

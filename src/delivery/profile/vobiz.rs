//! `vobiz`: the flat body of the Vobiz webhook guide, `{"event","timestamp","call_id","from","to",…}`.

use super::members::{Members, Writer};
use super::{Defaults, names};
use crate::delivery::outcome::SuccessRule;
use crate::delivery::signer::SignatureScheme;
use crate::queue::Queued;
use std::time::Duration;

/// What the guide's members are made of; the others follow under their own names.
const TAKEN: [&str; 3] = ["caller_id", "called_id", "call_id"];

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

pub(super) fn render(queued: &Queued, body: &mut Vec<u8>) {
    let event = &queued.event;
    let data = Members::of(&event.data);
    let mut out = Writer::begin(body);
    out.text("event", Some(names::vobiz(&event.kind, &data)));
    out.text("timestamp", Some(&event.time.to_string()));
    if data.has("call_id") {
        out.raw("call_id", data.raw("call_id"));
    }
    if &*event.kind == "cdr" {
        out.raw("from", data.raw("caller_id"));
        out.raw("to", data.raw("called_id"));
        out.text("status", Some(names::call_status(&data)));
        out.raw("duration", data.raw("duration"));
        out.raw("bill_duration", data.raw("bill_duration"));
        out.raw("account_id", data.raw("account_id"));
    } else if data.has("caller_id") {
        out.raw("from", data.raw("caller_id"));
        out.raw("to", data.raw("called_id"));
    }
    out.text("id", Some(&event.id.to_string()));
    out.raw("sequence", &queued.sequence.to_string());
    out.rest(&data, &TAKEN);
    out.end();
}

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

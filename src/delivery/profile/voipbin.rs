//! `voipbin`: the body of the VoIPBIN webhook guide, `{"type":"call_hangup","data":{…}}`.

use super::Defaults;
use super::layout::{Member, Value, When, always, id, sequence, time, when};
use super::names::Guide;
use crate::delivery::outcome::SuccessRule;
use crate::delivery::signer::SignatureScheme;
use std::time::Duration;

/// The guide asks for 200 within 5 s. It gives no number of attempts; three, as in the guides
/// beside it.
pub(super) fn defaults() -> Defaults {
    Defaults {
        signature: SignatureScheme::voipbin(),
        success: SuccessRule::only(200),
        timeout: Duration::from_secs(5),
        attempts: 3,
        backoff_initial: Duration::from_secs(1),
        backoff_max: Duration::from_secs(60 * 60),
    }
}

/// The body.
pub(super) const LAYOUT: &[Member] = &[
    always(
        "type",
        Value::Name(Guide::Voipbin),
        "What the guide calls this kind of event; ours where it has no name for it.",
    ),
    always(
        "data",
        Value::Object(DATA),
        "The resource, and what happened to it.",
    ),
];

/// The resource: the guide's members first; the others follow under their own names. Receivers tell
/// repeats by the type and the id of the resource.
const DATA: &[Member] = &[
    always(
        "id",
        Value::DataOrId("call_id"),
        "The call's identifier on the switch; of what is no call, the event's id.",
    ),
    when(
        When::Call,
        "status",
        Value::Literal("hangup"),
        "The state of the call.",
    ),
    when(
        When::Call,
        "hangup_reason",
        Value::Data("disconnect_reason"),
        "",
    ),
    // Who ended a call is told by the switch as a number, if at all.
    when(When::Call, "hangup_by", Value::Data("end_direction"), ""),
    when(
        When::Call,
        "source",
        Value::Object(&[TEL, always("target", Value::Data("caller_id"), "")]),
        "Who called.",
    ),
    when(
        When::Call,
        "destination",
        Value::Object(&[TEL, always("target", Value::Data("called_id"), "")]),
        "Who was called.",
    ),
    when(When::Call, "tm_create", Value::Data("start_time"), ""),
    when(When::Call, "tm_progressing", Value::Data("answer_time"), ""),
    when(When::Call, "tm_hangup", Value::Data("end_time"), ""),
    id("event_id"),
    time("timestamp"),
    sequence("sequence"),
    when(
        When::Call,
        "",
        Value::Rest(&[
            "call_id",
            "caller_id",
            "called_id",
            "disconnect_reason",
            "start_time",
            "answer_time",
            "end_time",
        ]),
        "",
    ),
    when(When::NoCall, "", Value::Rest(&[]), ""),
];

const TEL: Member = always("type", Value::Literal("tel"), "What kind of address it is.");

#[cfg(test)]
mod tests {
    use crate::delivery::profile::Profile;
    use crate::delivery::profile::samples::queued;

    #[track_caller]
    fn check(kind: &str, data: &str, expected: &str) {
        let mut body = Vec::new();
        Profile::Voipbin.render(&queued(7, kind, data), &mut body);
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn a_call_is_a_resource_with_its_own_id() {
        check(
            "cdr",
            r#"{"call_id":"12345678","caller_id":"1202","called_id":"4420","start_time":"a","answer_time":null,"end_time":"c","duration":9,"disconnect_reason":"busy"}"#,
            r#"{"type":"call_hangup","data":{"id":"12345678","status":"hangup","hangup_reason":"busy","hangup_by":null,"source":{"type":"tel","target":"1202"},"destination":{"type":"tel","target":"4420"},"tm_create":"a","tm_progressing":null,"tm_hangup":"c","event_id":"evt_00000000000000000000000000000007","timestamp":"2026-04-09T14:30:45Z","sequence":7,"duration":9}}"#,
        );
    }

    #[test]
    fn what_is_no_call_has_the_event_s_id() {
        check(
            "alarm",
            r#"{"level":"major"}"#,
            r#"{"type":"alarm","data":{"id":"evt_00000000000000000000000000000007","event_id":"evt_00000000000000000000000000000007","timestamp":"2026-04-09T14:30:45Z","sequence":7,"level":"major"}}"#,
        );
    }
}

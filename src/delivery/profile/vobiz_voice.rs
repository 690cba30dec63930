//! `vobiz-voice`: the flat body of the Vobiz voice callbacks, `{"Event":"Hangup","timestamp",…}`.

use super::Defaults;
use super::layout::{Member, Value, When, always, id, sequence, time, when};
use super::names::Guide;

/// As for `vobiz`: the guide gives one set of rules for both.
pub(super) fn defaults() -> Defaults {
    super::vobiz::defaults()
}

/// The body: the guide's members first; the others follow under their own names, unless they
/// differ from one of the guide's only in case.
pub(super) const LAYOUT: &[Member] = &[
    always(
        "Event",
        Value::Name(Guide::VobizVoice),
        "What the guide calls this kind of event; ours where it has no name for it.",
    ),
    time("timestamp"),
    always("auth_id", Value::Data("account_id"), ""),
    when(When::Has("call_id"), "CallUUID", Value::Data("call_id"), ""),
    when(When::Has("caller_id"), "From", Value::Data("caller_id"), ""),
    when(When::Has("caller_id"), "To", Value::Data("called_id"), ""),
    when(
        When::Has("caller_id"),
        "Direction",
        Value::Nothing,
        "Always null: a switch between carriers has no direction of its own.",
    ),
    when(
        When::Call,
        "CallStatus",
        Value::CallStatus,
        "failed when the call was not answered, else completed.",
    ),
    when(When::Call, "Duration", Value::Data("duration"), ""),
    when(When::Call, "BillDuration", Value::Data("bill_duration"), ""),
    when(
        When::Call,
        "HangupCause",
        Value::Data("disconnect_reason"),
        "",
    ),
    id("id"),
    sequence("sequence"),
    always(
        "",
        Value::Rest(&[
            "call_id",
            "caller_id",
            "called_id",
            "account_id",
            "disconnect_reason",
        ]),
        "",
    ),
];

#[cfg(test)]
mod tests {
    use crate::delivery::profile::Profile;
    use crate::delivery::profile::samples::queued;

    #[test]
    fn a_call_is_a_hangup_with_the_guide_s_capitals_and_no_key_twice() {
        let data = r#"{"call_id":"12345678","caller_id":"12025550101","called_id":"442079460101","duration":5,"bill_duration":0,"account_id":"1001","disconnect_reason":"busy","connected":false}"#;
        let mut body = Vec::new();
        Profile::VobizVoice.render(&queued(7, "cdr", data), &mut body);
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"Event":"Hangup","timestamp":"2026-04-09T14:30:45Z","auth_id":"1001","CallUUID":"12345678","From":"12025550101","To":"442079460101","Direction":null,"CallStatus":"failed","Duration":5,"BillDuration":0,"HangupCause":"busy","id":"evt_00000000000000000000000000000007","sequence":7,"bill_duration":0,"connected":false}"#
        );
    }
}

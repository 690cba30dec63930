//! `vobiz-voice`: the flat body of the Vobiz voice callbacks, `{"Event":"Hangup","timestamp",…}`.

use super::members::{Members, Writer};
use super::{Defaults, names};
use crate::queue::Queued;

/// What the guide's members are made of; the others follow under their own names, unless they
/// differ from one of the guide's only in case.
const TAKEN: [&str; 5] = [
    "call_id",
    "caller_id",
    "called_id",
    "account_id",
    "disconnect_reason",
];

/// As for `vobiz`: the guide gives one set of rules for both.
pub(super) fn defaults() -> Defaults {
    super::vobiz::defaults()
}

pub(super) fn render(queued: &Queued, body: &mut Vec<u8>) {
    let event = &queued.event;
    let data = Members::of(&event.data);
    let mut out = Writer::begin(body);
    out.text("Event", Some(names::vobiz_voice(&event.kind, &data)));
    out.text("timestamp", Some(&event.time.to_string()));
    out.raw("auth_id", data.raw("account_id"));
    if data.has("call_id") {
        out.raw("CallUUID", data.raw("call_id"));
    }
    if data.has("caller_id") {
        out.raw("From", data.raw("caller_id"));
        out.raw("To", data.raw("called_id"));
        // A switch between carriers has no direction of its own.
        out.raw("Direction", "null");
    }
    if &*event.kind == "cdr" {
        out.text("CallStatus", Some(names::call_status(&data)));
        out.raw("Duration", data.raw("duration"));
        out.raw("BillDuration", data.raw("bill_duration"));
        out.raw("HangupCause", data.raw("disconnect_reason"));
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

//! `voipbin`: the body of the VoIPBIN webhook guide, `{"type":"call_hangup","data":{…}}`.

use super::members::{Members, Writer};
use super::{Defaults, names};
use crate::delivery::outcome::SuccessRule;
use crate::delivery::signer::SignatureScheme;
use crate::queue::Queued;
use std::time::Duration;

/// What the guide's members are made of; the others follow under their own names.
const TAKEN: [&str; 7] = [
    "call_id",
    "caller_id",
    "called_id",
    "disconnect_reason",
    "start_time",
    "answer_time",
    "end_time",
];

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

pub(super) fn render(queued: &Queued, body: &mut Vec<u8>) {
    let event = &queued.event;
    let data = Members::of(&event.data);
    let mut out = Writer::begin(body);
    out.text("type", Some(names::voipbin(&event.kind, &data)));
    out.object("data", |out| {
        // Receivers tell repeats by the type and the id of the resource.
        if data.has("call_id") {
            out.raw("id", data.raw("call_id"));
        } else {
            out.text("id", Some(&event.id.to_string()));
        }
        if &*event.kind == "cdr" {
            call(&data, out);
        }
        out.text("event_id", Some(&event.id.to_string()));
        out.text("timestamp", Some(&event.time.to_string()));
        out.raw("sequence", &queued.sequence.to_string());
        let taken: &[&str] = if &*event.kind == "cdr" { &TAKEN } else { &[] };
        out.rest(&data, taken);
    });
    out.end();
}

fn call(data: &Members<'_>, out: &mut Writer<'_>) {
    out.text("status", Some("hangup"));
    out.raw("hangup_reason", data.raw("disconnect_reason"));
    // Who ended a call is told by the switch as a number, if at all.
    out.raw("hangup_by", data.raw("end_direction"));
    for (key, number) in [("source", "caller_id"), ("destination", "called_id")] {
        out.object(key, |out| {
            out.text("type", Some("tel"));
            out.raw("target", data.raw(number));
        });
    }
    out.raw("tm_create", data.raw("start_time"));
    out.raw("tm_progressing", data.raw("answer_time"));
    out.raw("tm_hangup", data.raw("end_time"));
}

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

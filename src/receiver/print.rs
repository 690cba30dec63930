//! Print: an arrival as one line for a terminal. The lines are styled and carry no line end;
//! printing them, and taking the styles away where nobody sees them, is the command line's.

use super::arrival::{Answer, Arrival, Entered};
use crate::logging::{mask_number, one_line};
use crate::timestamp::Timestamp;
use anstyle::{AnsiColor, Style};
use serde_json::Value;

/// Longest value shown in a line, in bytes.
const VALUE_BYTES_MAX: usize = 64;

/// Longest body shown, in bytes; four times a usual one.
const PAYLOAD_BYTES_MAX: usize = 4_096;

/// The arrival in one line: when, what was answered, signature, event, and of a call the masked
/// numbers, duration and cost.
pub fn arrival_line(arrival: &Arrival) -> String {
    let mut words = vec![Timestamp::from_millis(arrival.at.0).to_string()];
    words.push(answer(arrival.answer));
    words.push(match &arrival.signature {
        Ok(()) => styled(AnsiColor::Green, "signature ok"),
        Err(reject) => styled(AnsiColor::Red, &format!("signature bad ({reject})")),
    });
    if let Some(callback) = &arrival.callback {
        words.push(value(&callback.kind));
        words.push(value(&callback.id));
        words.extend(callback.sequence.map(|sequence| format!("#{sequence}")));
        if callback.kind == "cdr" {
            words.extend(call(&arrival.body));
        }
    }
    if arrival.entered == Entered::Duplicate {
        words.push(styled(AnsiColor::Yellow, "duplicate"));
    }
    words.join(" ")
}

/// The arrival's body in one line, cut after 4 KiB. It shows telephone numbers in full.
pub fn payload_line(arrival: &Arrival) -> String {
    let dimmed = Style::new().dimmed();
    let body = one_line(String::from_utf8_lossy(&arrival.body), PAYLOAD_BYTES_MAX);
    format!("{dimmed}{body}{dimmed:#}")
}

fn answer(answer: Answer) -> String {
    match answer {
        Answer::Status(status @ 200..=299) => styled(AnsiColor::Green, &status.to_string()),
        Answer::Status(status) => styled(AnsiColor::Red, &status.to_string()),
        Answer::Nothing => styled(AnsiColor::Red, "hangs"),
        Answer::Reset => styled(AnsiColor::Red, "reset"),
        Answer::Misanswer(name) => styled(AnsiColor::Red, name),
    }
}

/// `…23 → …01 125 s cost 0.0313 USD`, as far as the body tells. Both profiles have the call
/// under `data`.
fn call(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name: &str| body.get("data").and_then(|data| data.get(name));
    let text = |name: &str| field(name).and_then(Value::as_str);
    let mut words = Vec::new();
    if let (Some(caller), Some(called)) = (text("caller_id"), text("called_id")) {
        words.push(format!("{} → {}", mask_number(caller), mask_number(called)));
    }
    if let Some(secs) = field("duration").and_then(Value::as_u64) {
        words.push(format!("{secs} s"));
    }
    if let Some(cost) = text("cost") {
        let currency = text("currency").unwrap_or_default();
        words.push(value(format!("cost {cost} {currency}").trim_end()));
    }
    words
}

/// A sender's text, made harmless for the terminal.
fn value(text: &str) -> String {
    one_line(text, VALUE_BYTES_MAX)
}

fn styled(colour: AnsiColor, text: &str) -> String {
    let style = colour.on_default();
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::super::{Callback, Profile, Reject};
    use super::*;
    use crate::clock::UnixMs;
    use hyper::HeaderMap;
    use hyper::body::Bytes;

    fn arrival(body: &'static str, answer: Answer) -> Arrival {
        let callback = Callback::parse(Profile::Vos3000, body.as_bytes()).ok();
        Arrival {
            at: UnixMs(1_775_745_045_120),
            signature: Ok(()),
            callback,
            entered: Entered::New,
            answer,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[track_caller]
    fn check(arrival: &Arrival, expected: &str) {
        let plain = anstream::adapter::strip_str(&arrival_line(arrival)).to_string();
        assert_eq!(plain, expected);
    }

    #[test]
    fn a_call_shows_its_masked_numbers_duration_and_cost() {
        let mut arrival = arrival(
            r#"{"event":"cdr","timestamp":"t","data":{"caller_id":"+447700900123","called_id":"442079460101","duration":125,"cost":"0.0313","currency":"USD"},"id":"evt_1","sequence":42}"#,
            Answer::Status(200),
        );
        let expected = "2026-04-09T14:30:45.120Z 200 signature ok cdr evt_1 #42 \
                        …23 → …01 125 s cost 0.0313 USD";
        check(&arrival, expected);
        arrival.entered = Entered::Duplicate;
        check(&arrival, &format!("{expected} duplicate"));
    }

    #[test]
    fn a_call_of_which_little_is_known_shows_that_little() {
        let body = r#"{"event":"cdr","data":{"caller_id":null,"duration":3},"id":"evt_1"}"#;
        let expected = "2026-04-09T14:30:45.120Z hangs signature ok cdr evt_1 3 s";
        check(&arrival(body, Answer::Nothing), expected);
    }

    #[test]
    fn a_bad_signature_shows_why_and_nothing_of_the_body() {
        let mut arrival = arrival("{}", Answer::Status(401));
        arrival.signature = Err(Reject::Header("webhook-id"));
        arrival.callback = None;
        check(
            &arrival,
            "2026-04-09T14:30:45.120Z 401 signature bad (header webhook-id is missing)",
        );
    }

    #[test]
    fn a_sender_cannot_drive_the_terminal() {
        let body = r#"{"event":"\u001b[2J","id":"a\nb"}"#;
        let expected = r"2026-04-09T14:30:45.120Z 200 signature ok \u{1b}[2J a\nb";
        check(&arrival(body, Answer::Status(200)), expected);
        let payload = payload_line(&arrival("\u{1b}[2J\n", Answer::Status(400)));
        assert_eq!(
            anstream::adapter::strip_str(&payload).to_string(),
            r"\u{1b}[2J\n"
        );
    }
}

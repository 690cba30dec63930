//! Print: an arrival as one line for a terminal. The lines are styled and carry no line end;
//! printing them, and taking the styles away where nobody sees them, is the command line's.

use super::arrival::{Answer, Arrival, Entered};
use super::diagnosis::Diagnosis;
use super::relay::Relayed;
use super::saved::text_of;
use crate::logging::{mask_number, one_line};
use crate::timestamp::Timestamp;
use anstyle::{AnsiColor, Style};
use hyper::header::{HeaderName, HeaderValue};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Longest value shown in a line, in bytes.
const VALUE_BYTES_MAX: usize = 64;

/// Longest line of a body shown, in bytes; four times a usual body.
const PAYLOAD_BYTES_MAX: usize = 4_096;

/// Longest body that is indented on a terminal, in bytes: some hundred lines of it.
const PRETTY_BYTES_MAX: usize = 16_384;

/// Longest explanation or header shown, in bytes.
const DETAIL_BYTES_MAX: usize = 512;

/// Most bytes of a body in JSON and on the page: the longest event.
pub const BODY_SHOWN_MAX: usize = 64 << 10;

/// How much of a request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// What it is and what became of it.
    Outline,
    /// Its headers and its body as well, which hold telephone numbers.
    All,
}

/// The arrival in one line: when, what was answered, signature, event, and of a call the masked
/// numbers, duration and cost.
pub fn arrival_line(arrival: &Arrival) -> String {
    let mut words = vec![Timestamp::from_millis(arrival.at.0).to_string()];
    words.push(answer(arrival.answer));
    words.push(match &arrival.diagnosis {
        Diagnosis::Believed { .. } => styled(AnsiColor::Green, &arrival.diagnosis.to_string()),
        Diagnosis::Unsigned => styled(AnsiColor::Yellow, "not signed"),
        Diagnosis::Refused { cause, .. } => {
            styled(AnsiColor::Red, &format!("signature bad ({cause})"))
        }
    });
    if let Some(callback) = &arrival.callback {
        words.push(value(&callback.kind));
        words.push(value(&callback.id));
        words.extend(callback.sequence.map(|sequence| format!("#{sequence}")));
        if callback.kind == "cdr" && arrival.batch == 1 {
            words.extend(call(&arrival.body));
        }
    }
    if arrival.batch > 1 {
        words.push(format!("and {} more in this batch", arrival.batch - 1));
    }
    if arrival.entered == Entered::Duplicate {
        words.push(styled(AnsiColor::Yellow, "repeat"));
    }
    words.join(" ")
}

/// What is to be said about the arrival beyond its line: why it was not taken.
pub fn detail_lines(arrival: &Arrival) -> Vec<String> {
    let mut lines = Vec::new();
    if let Diagnosis::Refused { detail, .. } = &arrival.diagnosis {
        lines.push(format!("    {}", one_line(detail, DETAIL_BYTES_MAX)));
    }
    if let Some(why) = &arrival.why {
        lines.push(format!("    {}", one_line(why, DETAIL_BYTES_MAX)));
    }
    lines
}

/// The arrival's headers and its body, indented; a body that is no JSON in one line, cut after
/// 4 KiB. It shows telephone numbers in full.
pub fn payload_lines(arrival: &Arrival) -> Vec<String> {
    let dimmed = Style::new().dimmed();
    let header = |(name, content): (&HeaderName, &HeaderValue)| {
        format!(
            "    {name}: {}",
            one_line(text_of(content), DETAIL_BYTES_MAX)
        )
    };
    let mut lines: Vec<String> = arrival.headers.iter().map(header).collect();
    match serde_json::from_slice::<Box<RawValue>>(&arrival.body) {
        Ok(json) if arrival.body.len() <= PRETTY_BYTES_MAX => {
            let indented = indented(json.get());
            lines.extend(
                indented
                    .lines()
                    .map(|line| format!("    {}", one_line(line, PAYLOAD_BYTES_MAX))),
            );
        }
        _ => {
            let body = one_line(String::from_utf8_lossy(&arrival.body), PAYLOAD_BYTES_MAX);
            lines.push(format!("    {body}"));
        }
    }
    lines
        .iter()
        .map(|line| format!("{dimmed}{line}{dimmed:#}"))
        .collect()
}

/// What a target answered, in one line.
pub fn relayed_line(relayed: &Relayed) -> String {
    let outcome = match &relayed.outcome {
        Ok(status @ 200..=299) => styled(AnsiColor::Green, &status.to_string()),
        Ok(status) => styled(AnsiColor::Red, &status.to_string()),
        Err(why) => styled(AnsiColor::Red, &one_line(why, DETAIL_BYTES_MAX)),
    };
    format!(
        "    → {} {outcome} in {} ms ({})",
        relayed.target,
        relayed.elapsed.as_millis(),
        value(&relayed.id)
    )
}

/// The arrival as a JSON object, the same for scripts and for the page.
pub fn arrival_json(arrival: &Arrival, shown: Shown) -> Value {
    let callback = arrival.callback.as_ref();
    let cause = match &arrival.diagnosis {
        Diagnosis::Believed { .. } | Diagnosis::Unsigned => None,
        Diagnosis::Refused { cause, .. } => Some(cause.to_string()),
    };
    let mut told = json!({
        "number": arrival.number,
        "at": Timestamp::from_millis(arrival.at.0).to_string(),
        "answer": match arrival.answer {
            Answer::Status(status) => json!(status),
            Answer::Nothing => json!("hangs"),
            Answer::Reset => json!("reset"),
            Answer::Misanswer(name) => json!(name),
        },
        "signature": {
            "valid": arrival.diagnosis.is_believed(),
            "cause": cause,
            "words": arrival.diagnosis.to_string(),
        },
        "type": callback.map(|callback| &callback.kind),
        "id": callback.map(|callback| &callback.id),
        "sequence": callback.and_then(|callback| callback.sequence),
        "batch": arrival.batch,
        "repeat": arrival.entered == Entered::Duplicate,
        "why": arrival.why,
        "body_bytes": arrival.body.len(),
    });
    if shown == Shown::All
        && let Some(told) = told.as_object_mut()
    {
        let headers = arrival.headers.iter();
        let headers: Vec<Value> = headers
            .map(|(name, content)| json!([name.as_str(), text_of(content)]))
            .collect();
        let body = arrival.body.get(..BODY_SHOWN_MAX).unwrap_or(&arrival.body);
        told.insert("headers".to_string(), headers.into());
        told.insert("body".to_string(), String::from_utf8_lossy(body).into());
        told.insert(
            "body_cut".to_string(),
            (body.len() < arrival.body.len()).into(),
        );
        told.insert("forwards".to_string(), json!([]));
    }
    told
}

/// What a target answered, as a JSON object.
pub fn relayed_json(relayed: &Relayed) -> Value {
    let millis = u64::try_from(relayed.elapsed.as_millis()).unwrap_or(u64::MAX);
    json!({
        "number": relayed.number,
        "id": relayed.id,
        "target": relayed.target,
        "status": relayed.outcome.as_ref().ok(),
        "error": relayed.outcome.as_ref().err(),
        "ms": millis,
    })
}

/// `json` over several lines; its numbers and texts stay as they are written.
pub(super) fn indented(json: &str) -> String {
    /// Deepest indentation: nothing real is nested so far, and each level costs every line in it.
    const DEPTH_MAX: usize = 64;

    let mut depth = 0_usize;
    let mut out = String::new();
    let turn = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth.min(DEPTH_MAX)));
    };
    for token in Tokens(json) {
        match token {
            "{" | "[" => {
                out.push_str(token);
                depth += 1;
                turn(&mut out, depth);
            }
            "}" | "]" => {
                depth = depth.saturating_sub(1);
                // Nothing inside stays on one line.
                let line = out.trim_ascii_end().len();
                match out.get(..line).is_some_and(|all| all.ends_with(['{', '['])) {
                    true => out.truncate(line),
                    false => turn(&mut out, depth),
                }
                out.push_str(token);
            }
            "," => {
                out.push_str(token);
                turn(&mut out, depth);
            }
            ":" => out.push_str(": "),
            token => out.push_str(token),
        }
    }
    out
}

/// `json` on one line, with these signs between items and behind keys.
pub(super) fn spaced(json: &str, item: &str, key: &str) -> String {
    Tokens(json)
        .map(|token| match token {
            "," => item,
            ":" => key,
            token => token,
        })
        .collect()
}

/// The tokens of valid JSON, without the white space between them.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_ascii_start();
        let mut signs = rest.char_indices();
        let (_, first) = signs.next()?;
        let length = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            '"' => loop {
                match signs.next() {
                    Some((_, '\\')) => drop(signs.next()),
                    Some((at, '"')) => break at + 1,
                    Some(_) => {}
                    None => break rest.len(),
                }
            },
            _ => rest
                .find(|sign: char| "{}[],:\"".contains(sign) || sign.is_ascii_whitespace())
                .unwrap_or(rest.len()),
        };
        let (token, rest) = rest.split_at(length);
        self.0 = rest;
        Some(token)
    }
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
    use super::super::Cause;
    use super::super::arrival::tests::arrival;
    use super::*;
    use std::time::Duration;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[track_caller]
    fn check(arrival: &Arrival, expected: &str) {
        assert_eq!(plain(&arrival_line(arrival)), expected);
    }

    #[test]
    fn a_call_shows_its_masked_numbers_duration_and_cost() {
        let mut arrival = arrival(
            r#"{"event":"cdr","timestamp":"t","data":{"caller_id":"+447700900123","called_id":"442079460101","duration":125,"cost":"0.0313","currency":"USD"},"id":"evt_1","sequence":42}"#,
        );
        let expected = "2026-04-09T14:30:45.120Z 200 signature ok cdr evt_1 #42 \
                        …23 → …01 125 s cost 0.0313 USD";
        check(&arrival, expected);
        arrival.entered = Entered::Duplicate;
        check(&arrival, &format!("{expected} repeat"));
    }

    #[test]
    fn a_call_of_which_little_is_known_shows_that_little() {
        let mut arrival =
            arrival(r#"{"event":"cdr","data":{"caller_id":null,"duration":3},"id":"evt_1"}"#);
        arrival.answer = Answer::Nothing;
        check(
            &arrival,
            "2026-04-09T14:30:45.120Z hangs signature ok cdr evt_1 3 s",
        );
    }

    #[test]
    fn a_bad_signature_shows_why_and_nothing_of_the_body() {
        let mut arrival = arrival("{}");
        arrival.answer = Answer::Status(401);
        arrival.diagnosis = Diagnosis::Refused {
            cause: Cause::HeaderMissing,
            detail: "webhook-id is missing\n".to_string(),
        };
        arrival.callback = None;
        check(
            &arrival,
            "2026-04-09T14:30:45.120Z 401 signature bad (header missing)",
        );
        assert_eq!(detail_lines(&arrival), [r"    webhook-id is missing\n"]);
    }

    #[test]
    fn a_sender_cannot_drive_the_terminal() {
        let hostile = arrival(r#"{"event":"\u001b[2J","id":"a\nb"}"#);
        let expected = r"2026-04-09T14:30:45.120Z 200 signature ok \u{1b}[2J a\nb";
        check(&hostile, expected);
        let lines = payload_lines(&arrival("\u{1b}[2J\n"));
        assert_eq!(plain(&lines.join("\n")), r"    \u{1b}[2J\n");
    }

    #[test]
    fn a_body_is_indented_with_every_digit_as_it_came() {
        let body = r#"{"a":"x{\",}","b":[1.50,{"c":12345678901234567890}],"d":[],"e":{ }}"#;
        let expected = "{\n  \"a\": \"x{\\\",}\",\n  \"b\": [\n    1.50,\n    {\n      \"c\": 12345678901234567890\n    }\n  ],\n  \"d\": [],\n  \"e\": {}\n}";
        assert_eq!(indented(body), expected);
        let compact = body.replace("{ }", "{}");
        assert_eq!(spaced(&indented(body), ",", ":"), compact);
    }

    #[test]
    fn scripts_get_headers_and_body_only_when_they_ask() {
        let arrival = arrival(r#"{"event":"cdr","id":"evt_1","sequence":7}"#);
        let outline = arrival_json(&arrival, Shown::Outline);
        assert_eq!(outline["id"], "evt_1");
        assert_eq!(outline["signature"]["valid"], true);
        assert_eq!((outline.get("body"), outline.get("headers")), (None, None));
        let all = arrival_json(&arrival, Shown::All);
        assert_eq!(all["body"], r#"{"event":"cdr","id":"evt_1","sequence":7}"#);
        assert_eq!(all["body_cut"], false);
    }

    #[test]
    fn a_forward_shows_what_it_came_to() {
        let relayed = |outcome| Relayed {
            number: 3,
            id: "evt_3".to_string(),
            target: "http://127.0.0.1:3000/".to_string(),
            outcome,
            elapsed: Duration::from_millis(12),
        };
        let line = plain(&relayed_line(&relayed(Ok(204))));
        assert_eq!(line, "    → http://127.0.0.1:3000/ 204 in 12 ms (evt_3)");
        let line = plain(&relayed_line(&relayed(Err("no connection".to_string()))));
        assert!(line.contains("no connection"), "{line}");
    }
}

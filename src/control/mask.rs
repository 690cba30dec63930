//! What of a call's data may be shown: everything but telephone numbers.

use crate::logging::{mask_number, one_line};
use serde_json::Value;

/// Fewest digits of a text that is taken for a telephone number wherever it stands: shorter ones
/// are codes and extensions.
const NUMBER_DIGITS_MIN: usize = 7;

/// The fields whose texts are telephone numbers, however short.
const NUMBERS: [&str; 5] = ["caller_id", "called_id", "dialled_id", "from", "to"];

/// The fields whose digits are no telephone number: an operator looks for calls by them.
const NO_NUMBERS: [&str; 5] = ["id", "call_id", "sequence", "flowno", "uniqueid"];

/// `data` of an event with telephone numbers shortened to their last two digits. What is not JSON
/// becomes `null`.
pub fn masked(data: &[u8]) -> Value {
    let mut value = serde_json::from_slice(data).unwrap_or_default();
    mask_at("", &mut value);
    value
}

/// A text in which every run of digits as long as a telephone number's is shortened, behind a `+` also
/// one in groups: for answers of receivers, which like to repeat what they did not understand.
pub fn masked_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c == '+' || c.is_ascii_digit()) {
        let (before, from) = rest.split_at(begin);
        out.push_str(before);
        let is_grouped = from.starts_with('+');
        let belongs = |c: char| c.is_ascii_digit() || is_grouped && "+ -.()".contains(c);
        let run = from
            .split_once(|c| !belongs(c))
            .map_or(from, |(run, _)| run);
        let end = run
            .rfind(|c: char| c.is_ascii_digit())
            .map_or(1, |at| at + 1);
        let (run, after) = from.split_at(end);
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        if digits >= NUMBER_DIGITS_MIN {
            out.push_str(&mask_number(run));
        } else {
            out.push_str(run);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A receiver's own words, the start of its answer's body, on one line of at most `bytes_max` bytes:
/// numbers shortened, and nothing in it that could drive a terminal. None where it said nothing.
pub fn words(answer: &[u8], bytes_max: usize) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = one_line(masked_text(&text), bytes_max);
    (!line.is_empty()).then_some(line)
}

fn mask_at(key: &str, value: &mut Value) {
    match value {
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(key, value)| mask_at(key, value)),
        Value::Array(items) => items.iter_mut().for_each(|value| mask_at(key, value)),
        // The whole line, as it was: nothing of it can be told apart.
        Value::String(text) if key == "raw_base64" => *text = "…".to_string(),
        Value::String(text) if is_number(key, text) => *text = mask_number(text),
        _ => {}
    }
}

fn is_number(key: &str, text: &str) -> bool {
    if NO_NUMBERS.contains(&key) || key.ends_with("_time") {
        return false;
    }
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let looks_like_one = digits >= NUMBER_DIGITS_MIN
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || "+#*-() @:.".contains(c) || c.is_ascii_alphabetic());
    !text.is_empty() && (NUMBERS.contains(&key) || looks_like_one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_shortened_wherever_they_stand_and_the_call_can_still_be_found() {
        let data = json!({
            "call_id": "330000001", "caller_id": "112", "called_id": "447700900999",
            "end_time": "2026-04-14T01:43:55.534Z", "cost": "0.0368", "duration": 155,
            "extra": {"callere164": "12025550117", "codec": "g729"}, "raw_base64": "AAAA"
        });
        let masked = masked(data.to_string().as_bytes());
        assert_eq!(
            masked,
            json!({
                "call_id": "330000001", "caller_id": "…12", "called_id": "…99",
                "end_time": "2026-04-14T01:43:55.534Z", "cost": "0.0368", "duration": 155,
                "extra": {"callere164": "…17", "codec": "g729"}, "raw_base64": "…"
            })
        );
    }

    #[test]
    fn what_a_receiver_says_is_one_harmless_line() {
        let answer = b"<html>\r\n  no route to\t447700900999\x1b[2J</html>\n";
        let expected = r"<html> no route to \u{2026}99\u{1b}[2J</html>";
        let expected = expected.replacen(r"\u{2026}", "…", 1);
        assert_eq!(words(answer, 99), Some(expected));
        assert_eq!(words(&[b'x'; 1_024], 9).as_deref(), Some("xxxxxx…"));
        assert_eq!(words(b" \r\n", 99), None);
    }

    #[test]
    fn an_answer_that_repeats_a_number_is_shortened_too() {
        assert_eq!(
            masked_text("no route to 447700900999, code 42"),
            "no route to …99, code 42"
        );
        assert_eq!(masked_text("1234\x00567890 x\0"), "1234\x00567890 x\0");
        assert_eq!(
            masked_text("+44 (7700) 900-999, 1 + 1 at 2026-04-10 12:00 é+"),
            "…99, 1 + 1 at 2026-04-10 12:00 é+"
        );
        assert_eq!(super::masked(b"no json"), Value::Null);
    }
}

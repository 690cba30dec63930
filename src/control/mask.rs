//! What of a call's data may be shown: everything but telephone numbers.

use crate::logging::mask_number;
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

/// A text in which every run of digits as long as a telephone number's is shortened: for answers
/// of receivers, which like to repeat what they did not understand.
pub fn masked_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().map(Some).chain(std::iter::once(None)) {
        if let Some(digit) = c.filter(char::is_ascii_digit) {
            run.push(digit);
            continue;
        }
        if run.len() >= NUMBER_DIGITS_MIN {
            out.push_str(&mask_number(&run));
        } else {
            out.push_str(&run);
        }
        run.clear();
        out.extend(c);
    }
    out
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
    fn an_answer_that_repeats_a_number_is_shortened_too() {
        assert_eq!(
            masked_text("no route to 447700900999, code 42"),
            "no route to …99, code 42"
        );
        assert_eq!(masked_text("1234\x00567890 x\0"), "1234\x00567890 x\0");
        assert_eq!(super::masked(b"no json"), Value::Null);
    }
}

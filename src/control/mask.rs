//! What of a call's data may be shown: everything but telephone numbers.

use crate::logging::{mask_number, one_line};
use serde_json::Value;
use std::net::Ipv4Addr;

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

/// A text in which every telephone number is shortened, also one in groups: for answers of
/// receivers, which like to repeat what they did not understand.
///
/// Dates, times of day, IPv4 addresses and the groups of an identifier (a word that has letters
/// too) are not taken together for a number.
pub fn masked_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(before) = rest.find(|c: char| c == '+' || c.is_ascii_digit()) else {
            out.push_str(rest);
            break;
        };
        let (before, from) = rest.split_at(before);
        out.push_str(before);
        at += before.len();
        let (shown, length) = match spelled_out(text, at) {
            Some(length) => (true, length),
            None => (false, number(text, at)),
        };
        let run = from.get(..length).unwrap_or(from);
        if !shown && digits(run) >= NUMBER_DIGITS_MIN {
            out.push_str(&mask_number(run));
        } else {
            out.push_str(run);
        }
        at += run.len();
    }
    out
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Bytes of what could be a number at `at` of `text`, where a digit or a `+` stands; it ends with a
/// digit, or is a `+` alone.
fn number(text: &str, at: usize) -> usize {
    let from = text.get(at..).unwrap_or_default();
    if from.starts_with('+') {
        let end = from.find(|c: char| !c.is_ascii_digit() && !"+ -.()".contains(c));
        let run = from.get(..end.unwrap_or(from.len())).unwrap_or_default();
        return run
            .rfind(|c: char| c.is_ascii_digit())
            .map_or(1, |it| it + 1);
    }
    let mut end = group(from);
    if is_in_identifier(text, at) {
        return end;
    }
    let first = end;
    while let Some(rest) = from.get(end..) {
        let joint = joint(rest);
        let next = rest.get(joint..).unwrap_or_default();
        let length = group(next);
        let is_number = joint > 0
            && length > 0
            && spelled_out(text, at + end + joint).is_none()
            && !is_in_identifier(text, at + end + joint);
        if !is_number {
            break;
        }
        end += joint + length;
    }
    // `0.036800` is an amount.
    let is_fraction = first == 1
        && from.get(first..end).is_some_and(|rest| {
            rest.strip_prefix('.')
                .is_some_and(|rest| group(rest) == rest.len() && rest.len() < NUMBER_DIGITS_MIN)
        });
    if is_fraction { first } else { end }
}

/// How many digits `text` begins with.
fn group(text: &str) -> usize {
    let end = text.find(|c: char| !c.is_ascii_digit());
    end.unwrap_or(text.len())
}

/// Bytes of what stands between two groups of one number: a blank, dash or dot, a closing bracket
/// before it, an opening one behind it; 0 where nothing of it does.
fn joint(text: &str) -> usize {
    let mut rest = text.strip_prefix(')').unwrap_or(text);
    rest = rest.strip_prefix([' ', '-', '.']).unwrap_or(rest);
    rest = rest.strip_prefix('(').unwrap_or(rest);
    text.len() - rest.len()
}

/// Whether the word at `at` of `text` has letters too, as `order-2026-000123` and UUIDs do.
fn is_in_identifier(text: &str, at: usize) -> bool {
    let is_outside = |c: char| !c.is_alphanumeric() && !"-_".contains(c);
    let (before, from) = text.split_at_checked(at).unwrap_or((text, ""));
    let begin = before.rfind(is_outside);
    let begin = begin.map_or(0, |it| it + before.get(it..).map_or(0, first_bytes));
    let (outside, inside) = before.split_at_checked(begin).unwrap_or((before, ""));
    // The letters of `\n` and `\u003e` are none of a word's.
    let escaped = match (outside.ends_with('\\'), inside.starts_with('u')) {
        (true, true) => 5,
        (true, false) => 1,
        (false, _) => 0,
    };
    let end = from.find(is_outside).unwrap_or(from.len());
    let from = from.get(..end).unwrap_or_default();
    let mut word = inside.chars().skip(escaped).chain(from.chars());
    word.any(|c| c.is_alphabetic() || c == '_')
}

fn first_bytes(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// Bytes of the date, time of day or IPv4 address that begins at `at` of `text`. None begins behind
/// another group: `23.45.67.89` in `01.23.45.67.89` is part of a number.
fn spelled_out(text: &str, at: usize) -> Option<usize> {
    let (before, from) = text.split_at_checked(at)?;
    let group_before = before.strip_suffix(['.', '-']);
    if group_before.is_some_and(|it| it.ends_with(|c: char| c.is_ascii_digit())) {
        return None;
    }
    date(from)
        .or_else(|| time_of_day(from))
        .or_else(|| ipv4(from))
}

/// `2026-04-10`, `10.04.2026` and the like, of this century or the one before it.
fn date(text: &str) -> Option<usize> {
    let bytes = text.as_bytes().get(..10)?;
    let separator = |at: usize| bytes.get(at).copied().filter(|it| b"-./".contains(it));
    let value = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        (group(digits) == digits.len()).then(|| digits.parse::<u16>().ok())?
    };
    let (year, between, others) = match value(0, 4) {
        Some(year) => (year, [4, 7], [value(5, 7)?, value(8, 10)?]),
        None => (value(6, 10)?, [2, 5], [value(0, 2)?, value(3, 5)?]),
    };
    let is_one = separator(between[0])? == separator(between[1])?
        && (1900..2100).contains(&year)
        && others.iter().all(|it| (1..=31).contains(it))
        && others.iter().any(|it| *it <= 12)
        && group(text.get(10..)?) == 0;
    is_one.then_some(10)
}

/// `12:30` or `12:30:45`.
fn time_of_day(text: &str) -> Option<usize> {
    let (hour, rest) = text.split_at_checked(group(text))?;
    let is_one = |part: &str, max: u8| {
        (1..=2).contains(&part.len()) && part.parse::<u8>().is_ok_and(|it| it <= max)
    };
    if !is_one(hour, 24) {
        return None;
    }
    let sixtieth = |rest: &str| {
        let part = rest.strip_prefix(':')?;
        let part = part.get(..group(part))?;
        (part.len() == 2 && is_one(part, 60)).then_some(1 + part.len())
    };
    let minutes = sixtieth(rest)?;
    let seconds = sixtieth(rest.get(minutes..)?).unwrap_or(0);
    let end = hour.len() + minutes + seconds;
    // Fractions of a second are not the begin of a number.
    let fraction = text.get(end..)?.strip_prefix(['.', ',']).map_or(0, group);
    let is_fraction = seconds > 0 && (1..NUMBER_DIGITS_MIN).contains(&fraction);
    Some(end + if is_fraction { 1 + fraction } else { 0 })
}

fn ipv4(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let address = text.get(..end.unwrap_or(text.len()))?;
    let address = address.trim_end_matches('.');
    address.parse::<Ipv4Addr>().ok().map(|_| address.len())
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

    #[test]
    fn a_number_in_groups_is_shortened_and_what_is_none_stays() {
        for (text, expected) in [
            ("call (202) 555-0142 now", "call (…42 now"),
            ("0171 123 45 67", "…67"),
            ("202-555-0142", "…42"),
            ("202.555.0142.", "…42."),
            ("555-0142", "…42"),
            ("01.23.45.67.89", "…89"),
            ("01-23.45.67.89", "…89"),
            ("\"0171-1234567\"", "\"…67\""),
            ("1 (202) 555 0142", "…42"),
            ("030 (0) 123-456", "…56"),
            (r"unknown:\n202-555-0142", r"unknown:\n…42"),
            (r"\u003e202-555-0142\u003c", r"\u003e…42\u003c"),
            (r"\u002B44 7700 900999", r"\u002B…99"),
            ("at 12:30 0171 123 45 67", "at 12:30 …67"),
            ("2026-04-10 202-555-0142", "2026-04-10 …42"),
            ("code 42 2026-04-10", "code 42 2026-04-10"),
            ("2025-55-0142", "…42"),
            ("0171-12-12 567", "…67"),
            // Groups with more than one blank or line between them are several numbers.
            ("555  0142, 555, 0142", "555  0142, 555, 0142"),
        ] {
            assert_eq!(masked_text(text), expected, "{text}");
        }
        for text in [
            "2026-04-10 12:00:45.123456, 10.04.2026 12:30, 04/10/2026",
            "12:30:45,123 1042 failed",
            "cdr.2026-04-10.csv, cdr-2026-04-10_12.csv",
            "2026-04-14T01:43:55.534Z, 2026/04/14 01:43:55",
            "from 192.168.100.200 5060, 10.20.30.40:5060, 10.11.12.13.",
            "ab123456-1234-4321-8123-abcdefabcdef",
            "order-2026-000123 of req_1234-5678",
            "costs 0.036800, took 3.14159",
            "555-014, code 42, 5060 60",
            "00:11:22:33:44:55",
        ] {
            assert_eq!(masked_text(text), text);
        }
    }
}

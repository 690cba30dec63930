//! Fields: the `key=value` pairs of a line, as RFC 5424's structured data.

use std::fmt::Write;

/// The name of the element. The number is the one set aside for examples (RFC 5612): none was
/// asked for, and the standard wants one.
const ELEMENT: &str = "switchhook@32473";

/// Longest structured data, in bytes: half a datagram, so that it is never what is cut off. The
/// pairs beyond are in the text.
pub const FIELDS_BYTES_MAX: usize = 1_024;

/// Longest value, in bytes; a longer one is in the text only.
const VALUE_BYTES_MAX: usize = 400;

/// The pairs of `text` as one element, or `-` where there are none.
pub fn structured(text: &str) -> String {
    let mut element = format!("[{ELEMENT}");
    let mut is_empty = true;
    for (key, value) in pairs(text) {
        let mut pair = String::new();
        let _written = write!(pair, " {key}=\"");
        for character in value.chars() {
            // Section 6.3.3: these three are escaped.
            if matches!(character, '"' | '\\' | ']') {
                pair.push('\\');
            }
            pair.push(character);
        }
        pair.push('"');
        if value.len() <= VALUE_BYTES_MAX && element.len() + pair.len() < FIELDS_BYTES_MAX {
            element.push_str(&pair);
            is_empty = false;
        }
    }
    element.push(']');
    if is_empty { "-".to_string() } else { element }
}

/// The pairs of a line: `key=word` and `key="text"`, the text with its quotes escaped or not.
pub fn pairs(text: &str) -> Vec<(&str, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        let (before, after) = rest.split_at(at);
        let after = after.get(1..).unwrap_or_default();
        let key = before.rsplit(' ').next().unwrap_or_default();
        let is_key = !key.is_empty()
            && key.len() <= 32
            && key
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit());
        if !is_key {
            rest = after;
            continue;
        }
        let (value, end) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = closing(quoted);
                (unescaped(quoted.get(..end).unwrap_or(quoted)), end + 2)
            }
            None => {
                let end = after.find([' ', ';', ',']).unwrap_or(after.len());
                (after.get(..end).unwrap_or(after).to_string(), end)
            }
        };
        pairs.push((key, value));
        rest = after.get(end..).unwrap_or_default();
    }
    pairs
}

/// Where a quoted text ends: at a quote that is not escaped and has no word behind it. Some values
/// are not escaped, and have quotes in them.
fn closing(quoted: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => {
                let rest = quoted.get(at + 1..).unwrap_or_default();
                if rest.is_empty() || rest.starts_with([' ', ';', ':', ',']) {
                    return at;
                }
            }
            _ => {}
        }
    }
    quoted.len()
}

/// The text with `\"` and `\\` as they were before they were escaped.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        if character == '\\' && matches!(next, Some('"' | '\\')) {
            plain.extend(characters.next());
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(structured(text), expected, "{text}");
    }

    #[test]
    fn pairs_become_parameters_and_words_stay_words() {
        check("started", "-");
        check(
            "endpoint failing endpoint=billing attempts=3 error=\"tcp: refused\"",
            "[switchhook@32473 endpoint=\"billing\" attempts=\"3\" error=\"tcp: refused\"]",
        );
        check(
            "summary endpoint=a latency_ms=12",
            "[switchhook@32473 endpoint=\"a\" latency_ms=\"12\"]",
        );
        check(
            "dropped endpoint=a count=2 endpoint=b count=5; raise disk_max",
            "[switchhook@32473 endpoint=\"a\" count=\"2\" endpoint=\"b\" count=\"5\"]",
        );
    }

    #[test]
    fn a_value_cannot_end_its_quotes_or_the_element() {
        check(
            r#"x error="a \"b\" c]" count=1"#,
            r#"[switchhook@32473 error="a \"b\" c\]" count="1"]"#,
        );
        check(
            r#"x error="no such file "a b" here" count=1"#,
            r#"[switchhook@32473 error="no such file \"a b" count="1"]"#,
        );
        check(
            r#"x path="C:\\a\n""#,
            r#"[switchhook@32473 path="C:\\a\\n"]"#,
        );
        check(
            "x error=\"never closed",
            "[switchhook@32473 error=\"never closed\"]",
        );
    }

    #[test]
    fn long_values_are_left_to_the_text_and_the_whole_is_bounded() {
        let long = "v".repeat(VALUE_BYTES_MAX + 1);
        check(&format!("x a={long} b=1"), "[switchhook@32473 b=\"1\"]");
        let many: String = (0..200).map(|n| format!(" k{n}=vvvvvvvvvv")).collect();
        let element = structured(&format!("x{many}"));
        assert!(element.len() <= FIELDS_BYTES_MAX, "{}", element.len());
        assert!(element.ends_with("\"]"), "{element}");
        check(&format!("x {}=1", "k".repeat(33)), "-");
    }
}

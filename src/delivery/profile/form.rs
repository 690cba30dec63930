//! Form: a body's members as form fields.
//!
//! `application/x-www-form-urlencoded` as the WHATWG URL standard writes it, in the order of the
//! members: text as it is, numbers and truths as JSON has them, `null` as an empty value. What is
//! inside a member stands in brackets behind its name, `data[call_id]`, items of a list by their
//! number, `dids[0]`, as PHP and the query parser of Express read it; an empty object or list is an
//! empty value.

use super::members::Members;
use serde_json::value::RawValue;
use std::fmt::Write as _;

/// The members of the JSON object `json` as form fields.
pub fn urlencoded(json: &[u8]) -> String {
    let mut fields = Fields::default();
    for (key, value) in Members::of(json).iter() {
        fields.add(key.to_string(), value);
    }
    fields.0
}

#[derive(Default)]
struct Fields(String);

impl Fields {
    fn add(&mut self, name: String, json: &str) {
        match json.as_bytes().first() {
            Some(b'{') => {
                let members = Members::of(json.as_bytes());
                for (key, value) in members.iter() {
                    self.add(format!("{name}[{key}]"), value);
                }
                if members.iter().next().is_none() {
                    self.put(&name, "");
                }
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
                for (number, item) in items.iter().enumerate() {
                    self.add(format!("{name}[{number}]"), item.get());
                }
                if items.is_empty() {
                    self.put(&name, "");
                }
            }
            Some(b'"') => {
                let text: String = serde_json::from_str(json).unwrap_or_default();
                self.put(&name, &text);
            }
            Some(b'n') => self.put(&name, ""),
            _ => self.put(&name, json),
        }
    }

    fn put(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.encode(name);
        self.0.push('=');
        self.encode(value);
    }

    /// The WHATWG URL standard, `application/x-www-form-urlencoded` serializing.
    fn encode(&mut self, text: &str) {
        for byte in text.bytes() {
            if byte == b' ' {
                self.0.push('+');
            } else if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
                self.0.push(char::from(byte));
            } else {
                let _infallible = write!(self.0, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        assert_eq!(urlencoded(json.as_bytes()), expected, "{json}");
    }

    #[test]
    fn members_become_fields_in_their_order() {
        check(
            r#"{"Event":"Hangup","From":"+1 202","Duration":5,"x":null,"connected":false}"#,
            "Event=Hangup&From=%2B1+202&Duration=5&x=&connected=false",
        );
        check("{}", "");
    }

    #[test]
    fn what_is_inside_stands_in_brackets() {
        check(
            r#"{"data":{"call_id":"a&b","in":{"é":"=%"}},"dids":["1","2"],"none":[],"empty":{}}"#,
            "data%5Bcall_id%5D=a%26b&data%5Bin%5D%5B%C3%A9%5D=%3D%25&dids%5B0%5D=1&dids%5B1%5D=2&none=&empty=",
        );
    }

    #[test]
    fn escapes_of_json_do_not_reach_the_form() {
        check(r#"{"a":"\"\\\u0001\u00e9\n"}"#, "a=%22%5C%01%C3%A9%0A");
    }
}

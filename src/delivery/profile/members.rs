//! Members: the facts of an event one by one, for bodies that arrange them anew.
//!
//! Values are carried over byte for byte, so that money stays as the switch wrote it and the body
//! is what a JavaScript receiver prints when it parses and prints it.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

/// The members of an event's data, in their order.
#[derive(Debug, Default)]
pub(super) struct Members<'d>(Vec<(Cow<'d, str>, &'d RawValue)>);

impl<'d> Members<'d> {
    /// Reads an event's data; what is no JSON object has no members.
    pub(super) fn of(data: &'d [u8]) -> Members<'d> {
        let mut deserializer = serde_json::Deserializer::from_slice(data);
        deserializer.deserialize_map(Collect).unwrap_or_default()
    }

    /// Whether there is a member called `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    /// The value of a member as it stands; `null` where there is none.
    pub(super) fn raw(&self, key: &str) -> &'d str {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map_or("null", |(_, value)| value.get())
    }

    /// The text of a member that is text; `None` for anything else.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.raw(key)).ok()
    }

    /// The members in their order, with their values as they stand.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'d str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_ref(), value.get()))
    }
}

struct Collect;

impl<'d> Visitor<'d> for Collect {
    type Value = Members<'d>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<Members<'d>, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(name), value)) = map.next_entry::<Key<'d>, &'d RawValue>()? {
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// A key that is borrowed where nothing in it is escaped.
#[derive(serde::Deserialize)]
struct Key<'d>(#[serde(borrow)] Cow<'d, str>);

/// A JSON object in its final bytes, whose values are JSON already.
#[derive(Debug)]
pub(super) struct Writer<'b> {
    body: &'b mut Vec<u8>,
    empty: bool,
}

impl<'b> Writer<'b> {
    /// Begins an object at the end of `body`.
    pub(super) fn begin(body: &'b mut Vec<u8>) -> Writer<'b> {
        body.push(b'{');
        Writer { body, empty: true }
    }

    /// Adds a value that is JSON as it stands.
    pub(super) fn raw(&mut self, key: &str, json: &str) {
        self.bytes(key, json.as_bytes());
    }

    /// Adds a value that is JSON as it stands.
    pub(super) fn bytes(&mut self, key: &str, json: &[u8]) {
        self.key(key);
        self.body.extend_from_slice(json);
    }

    /// Adds text, or `null`.
    pub(super) fn text(&mut self, key: &str, text: Option<&str>) {
        self.key(key);
        match text {
            Some(text) => put_text(self.body, text),
            None => self.body.extend_from_slice(b"null"),
        }
    }

    /// Adds text whose characters need no escaping: an id, an instant, digits.
    pub(super) fn shown(&mut self, key: &str, plain: &impl fmt::Display) {
        self.key(key);
        let _infallible = write!(self.body, "\"{plain}\"");
    }

    /// Adds a whole number.
    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        let _infallible = write!(self.body, "{number}");
    }

    /// Adds members that are JSON as they stand, with commas between them.
    pub(super) fn members(&mut self, members: &[u8]) {
        self.comma();
        self.body.extend_from_slice(members);
    }

    /// Adds the members that are not in `taken` and whose keys are not in `own`, nor there twice,
    /// in any case: some receivers do not tell cases apart.
    pub(super) fn rest(&mut self, members: &Members<'_>, taken: &[&str], own: &[&str]) {
        for key in rest_of(members.iter().map(|(key, _)| key), taken, own) {
            self.raw(key, members.raw(key));
        }
    }

    fn comma(&mut self) {
        if !std::mem::replace(&mut self.empty, false) {
            self.body.push(b',');
        }
    }

    fn key(&mut self, key: &str) {
        self.comma();
        put_text(self.body, key);
        self.body.push(b':');
    }

    /// Adds an object whose members `fill` writes.
    pub(super) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Writer<'_>)) {
        self.raw(key, "");
        let mut inner = Writer::begin(self.body);
        fill(&mut inner);
        inner.end();
    }

    /// Ends the object.
    pub(super) fn end(self) {
        self.body.push(b'}');
    }
}

/// Those of `keys` that are not in `taken`, and that no key of `own` or before them equals, in any
/// case.
pub(super) fn rest_of<'k>(
    keys: impl Iterator<Item = &'k str>,
    taken: &[&str],
    own: &[&str],
) -> Vec<&'k str> {
    let mut rest: Vec<&str> = Vec::new();
    for key in keys.filter(|key| !taken.contains(key)) {
        let mut there = own.iter().chain(&rest);
        if !there.any(|other| other.eq_ignore_ascii_case(key)) {
            rest.push(key);
        }
    }
    rest
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(body, text).expect("text is JSON, and a Vec takes it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_were_written() {
        let data =
            br#"{"rate":"0.0150","a\"b":1,"note":"Zo\u00eb 1.0","none":null,"inner":{"x":[1,2]}}"#;
        let members = Members::of(data);
        assert_eq!(members.raw("rate"), "\"0.0150\"");
        assert_eq!(members.raw("inner"), r#"{"x":[1,2]}"#);
        assert_eq!(members.raw("gone"), "null");
        assert_eq!(members.text("note").as_deref(), Some("Zoë 1.0"));
        assert_eq!(members.text("inner"), None);
        assert_eq!(members.iter().nth(1), Some(("a\"b", "1")));
        assert_eq!(Members::of(b"[1]").iter().count(), 0);
    }

    #[test]
    fn no_two_keys_differ_only_in_case() {
        let members = Members::of(br#"{"from":1,"duration":2,"Extra":3,"extra":4,"used":5}"#);
        let mut body = Vec::new();
        let mut writer = Writer::begin(&mut body);
        writer.raw("From", "0");
        writer.rest(&members, &["used"], &["From"]);
        writer.end();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"From":0,"duration":2,"Extra":3}"#
        );
    }
}

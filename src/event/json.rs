//! Object: writes an ordered JSON object in its final bytes.
//!
//! What is written is byte for byte what `JSON.stringify(JSON.parse(text))` gives in JavaScript:
//! compact, nothing escaped that need not be, keys that JavaScript does not put into another order,
//! and no number that changes when it is printed again. Some receivers verify over a body they have
//! parsed and printed.

use super::shape::{Field, Holds};
use crate::parser::record::INTEGER_MAX;
use serde::Serialize;

/// A JSON object under construction.
#[derive(Debug)]
pub struct Object {
    text: Vec<u8>,
    /// The members that are to come, where a table says which.
    shape: Option<std::slice::Iter<'static, Field>>,
}

impl Object {
    /// An object with room for about `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Object {
        let mut text = Vec::with_capacity(bytes);
        text.push(b'{');
        Object { text, shape: None }
    }

    /// An object whose members are those of `fields`, in their order, and after them what has no
    /// table: with room for about `bytes` bytes.
    ///
    /// The table is what receivers are told of the object. That each member is the table's next one
    /// is checked wherever debug assertions are on, so by every test; what is shipped trusts it.
    pub fn shaped(fields: &'static [Field], bytes: usize) -> Object {
        Object {
            shape: Some(fields.iter()),
            ..Object::with_capacity(bytes)
        }
    }

    /// Adds text, or `null`.
    pub fn text(&mut self, key: &str, value: Option<&str>) {
        self.expect(key, value.is_none(), |holds| match holds {
            Holds::Word(words) => value.is_none_or(|value| words.contains(&value)),
            Holds::Text | Holds::Level | Holds::Amount | Holds::Time => true,
            _ => false,
        });
        self.key(key);
        match value {
            Some(value) => write_text(&mut self.text, value),
            None => self.text.extend_from_slice(b"null"),
        }
    }

    /// Adds a whole number, or `null`; one beyond what JavaScript holds exactly becomes text.
    pub fn whole(&mut self, key: &str, value: Option<i64>) {
        self.expect(key, value.is_none(), |holds| holds == Holds::Whole);
        match value.filter(|number| number.unsigned_abs() > INTEGER_MAX.unsigned_abs()) {
            Some(number) => self.put(key, &number.to_string()),
            None => self.put(key, &value),
        }
    }

    /// Adds true or false.
    pub fn truth(&mut self, key: &str, value: bool) {
        self.expect(key, false, |holds| holds == Holds::Truth);
        self.put(key, &value);
    }

    /// Adds true, false or `null`.
    pub fn truth_or_null(&mut self, key: &str, value: Option<bool>) {
        self.expect(key, value.is_none(), |holds| holds == Holds::Truth);
        self.put(key, &value);
    }

    /// Adds a list of texts.
    pub fn texts(&mut self, key: &str, values: &[String]) {
        self.expect(key, false, |holds| holds == Holds::Texts);
        self.put(key, &values);
    }

    /// Adds an object.
    pub fn object(&mut self, key: &str, value: Object) {
        self.expect(key, false, |holds| holds == Holds::Columns);
        self.key(key);
        self.text.extend_from_slice(&value.finish());
    }

    /// The object's bytes.
    pub fn finish(mut self) -> Box<[u8]> {
        debug_assert!(
            self.shape
                .as_ref()
                .is_none_or(|rest| rest.clone().all(|field| field.is_optional)),
            "members are missing: {:?}",
            self.shape
        );
        self.text.push(b'}');
        self.text.into_boxed_slice()
    }

    /// Takes the next member off the table.
    #[inline]
    fn expect(&mut self, key: &str, is_null: bool, may_be: impl Fn(Holds) -> bool) {
        let Some(shape) = self.shape.as_mut().filter(|_| cfg!(debug_assertions)) else {
            return;
        };
        let field = shape.find(|field| field.key == key || !field.is_optional);
        // Behind the table stands what the configuration adds.
        let Some(field) = field else { return };
        assert_eq!(field.key, key, "the table has another member here");
        assert!(
            if is_null {
                field.is_nullable
            } else {
                may_be(field.holds)
            },
            "{key} is not what the table says"
        );
    }

    fn put(&mut self, key: &str, value: &impl Serialize) {
        self.key(key);
        serde_json::to_writer(&mut self.text, value)
            .expect("text, numbers and truths are JSON, and a Vec takes them");
    }

    fn key(&mut self, key: &str) {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        write_text(&mut self.text, key);
        self.text.push(b':');
    }
}

/// Writes text as JSON. What has nothing to escape, as nearly all that a switch writes, is copied in
/// one go: an event has some forty texts, keys counted.
fn write_text(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("text is JSON, and a Vec takes it");
    }
}

/// Whether JSON has nothing to escape in `text`: no quote, no backslash, no control character. Looks
/// at eight bytes at a time.
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // Not zero exactly where one of the eight bytes is below `bound`, which is at most 0x80.
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGHS;
    let escaped = |word: u64| {
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        below(word, 0x20) | below(quote, 1) | below(backslash, 1)
    };
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [b' '; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let found = words
        .iter()
        .fold(escaped(u64::from_ne_bytes(last)), |found, word| {
            found | escaped(u64::from_ne_bytes(*word))
        });
    found == 0
}

/// Whether JavaScript keeps a key where it stands: it moves those that look like array indexes to
/// the front.
pub fn keeps_its_place(key: &str) -> bool {
    key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_is_compact_and_in_order() {
        let mut object = Object::with_capacity(64);
        object.text("z", Some("a\"/\\\n\u{1}\u{2028}é"));
        object.text("a", None);
        object.whole("n", Some(-7));
        object.whole("big", Some(i64::MAX));
        object.truth("t", true);
        let mut inner = Object::with_capacity(8);
        inner.text("k", Some(""));
        object.object("o", inner);
        let expected = "{\"z\":\"a\\\"/\\\\\\n\\u0001\u{2028}é\",\"a\":null,\"n\":-7,\"big\":\"9223372036854775807\",\"t\":true,\"o\":{\"k\":\"\"}}";
        assert_eq!(std::str::from_utf8(&object.finish()).unwrap(), expected);
    }

    #[test]
    fn a_byte_to_escape_is_seen_wherever_it_stands() {
        for byte in 0..=0x7F_u8 {
            for (before, behind) in [(0, 0), (7, 0), (0, 7), (8, 3), (13, 9)] {
                let text = [vec![b'~'; before], vec![byte], vec![0xC3; behind]].concat();
                let is_plain_by_one = byte >= 0x20 && byte != b'"' && byte != b'\\';
                assert_eq!(
                    is_plain(&text),
                    is_plain_by_one,
                    "{byte:#x} behind {before}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn text_is_written_as_the_library_writes_it(text in "(?s).*") {
            let mut written = Vec::new();
            write_text(&mut written, &text);
            prop_assert_eq!(written, serde_json::to_vec(&text).unwrap());
        }

        #[test]
        fn whatever_text_goes_in_comes_out_again(key in ".*", value in ".*", number in any::<i32>()) {
            let mut object = Object::with_capacity(16);
            object.text(&key, Some(&value));
            object.whole("number", Some(number.into()));
            let parsed: serde_json::Value = serde_json::from_slice(&object.finish()).unwrap();
            prop_assert_eq!(parsed["number"].as_i64(), Some(number.into()));
            if key != "number" {
                prop_assert_eq!(parsed[&key].as_str(), Some(value.as_str()));
            }
        }
    }
}

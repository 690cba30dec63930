//! The family of JSON: one object per line or per document, columns by dotted path.

use super::reject::{Problem, Reject};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// One JSON object, looked into by dotted paths.
///
/// Numbers are taken over as they are written, never through binary floating point. `null` is
/// nothing; objects and lists are their JSON text. Objects on the way to a value are read once.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    root: Object<'t>,
    /// What stands below, by where its text begins.
    inner: HashMap<usize, Inner<'t>>,
}

type Object<'t> = BTreeMap<Cow<'t, str>, &'t RawValue>;

#[derive(Debug, Clone)]
enum Inner<'t> {
    Object(Object<'t>),
    List(Vec<&'t RawValue>),
    Leaf,
}

/// Why a text is not an object.
#[derive(Debug)]
pub(super) struct NotObject {
    /// The text ends before the object does.
    pub(super) unfinished: bool,
    /// What to say of it.
    pub(super) reject: Reject,
}

impl<'t> Tree<'t> {
    /// Reads the object that `text` is.
    pub(super) fn read(text: &'t str) -> Result<Tree<'t>, NotObject> {
        let root = serde_json::from_str(text).map_err(|error| NotObject {
            unfinished: error.is_eof() || is_at_end(&error, text),
            reject: Reject::row(Problem::NotJson(place(&error))),
        })?;
        let inner = HashMap::new();
        Ok(Tree { root, inner })
    }

    /// The text of the value at the dotted `path`; a key that holds a dot itself goes before a path
    /// of two, and a number is a place in a list, from 0; what is no list is one of one.
    pub(super) fn find(&mut self, path: &str) -> Option<Cow<'t, str>> {
        let value = match self.root.get(path).copied() {
            Some(value) => Some(value),
            None if !path.contains('.') => None,
            None => self.below(path),
        };
        value.and_then(as_text)
    }

    /// The texts of the object at the dotted `path`.
    pub(super) fn texts_below(&mut self, path: &str) -> Vec<&'t str> {
        let Some(object) = self.root.get(path).copied() else {
            return Vec::new();
        };
        match self.look_into(object) {
            Inner::Object(object) => object.values().map(|value| value.get()).collect(),
            Inner::List(_) | Inner::Leaf => Vec::new(),
        }
    }

    fn below(&mut self, path: &str) -> Option<&'t RawValue> {
        for (dot, _) in path.match_indices('.') {
            let (key, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
            if let Some(outer) = self.root.get(key).copied()
                && let Some(found) = self.within(outer, rest)
            {
                return Some(found);
            }
        }
        None
    }

    fn within(&mut self, outer: &'t RawValue, path: &str) -> Option<&'t RawValue> {
        let direct = match self.look_into(outer) {
            Inner::Object(object) => object.get(path).copied(),
            Inner::List(list) => path
                .parse()
                .ok()
                .and_then(|place: usize| list.get(place))
                .copied(),
            Inner::Leaf => return None,
        };
        if direct.is_some() {
            return direct;
        }
        for (dot, _) in path.match_indices('.') {
            let (key, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
            let next = match self.look_into(outer) {
                // Older releases write one where later ones write a list.
                Inner::Object(object) => object
                    .get(key)
                    .copied()
                    .or_else(|| (key == "0").then_some(outer)),
                Inner::List(list) => key
                    .parse()
                    .ok()
                    .and_then(|place: usize| list.get(place))
                    .copied(),
                Inner::Leaf => None,
            };
            if let Some(next) = next
                && let Some(found) = self.within(next, rest)
            {
                return Some(found);
            }
        }
        None
    }

    fn look_into(&mut self, value: &'t RawValue) -> &Inner<'t> {
        let text = value.get();
        self.inner
            .entry(text.as_ptr() as usize)
            .or_insert_with(|| match text.as_bytes().first() {
                Some(b'{') => serde_json::from_str(text).map_or(Inner::Leaf, Inner::Object),
                Some(b'[') => serde_json::from_str(text).map_or(Inner::Leaf, Inner::List),
                _ => Inner::Leaf,
            })
    }
}

fn as_text(value: &RawValue) -> Option<Cow<'_, str>> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => {
            // What holds nothing escaped stands in the text as it is.
            let plain = text.get(1..text.len() - 1)?;
            if memchr::memchr(b'\\', plain.as_bytes()).is_none() {
                return Some(Cow::Borrowed(plain));
            }
            match serde_json::from_str(text) {
                Ok(Value::String(text)) => Some(Cow::Owned(text)),
                // A lone half of a surrogate pair is no text; the JSON text of it is.
                _ => Some(Cow::Borrowed(text)),
            }
        }
        Some(b'n') => None,
        _ => Some(Cow::Borrowed(text)),
    }
}

/// Whether the reader stopped at the last byte of `text`: a number cut behind its point is no
/// number to it.
fn is_at_end(error: &serde_json::Error, text: &str) -> bool {
    let (before, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let lines =
        memchr::memchr_iter(b'\n', before.as_bytes()).count() + usize::from(text.contains('\n'));
    error.line() == lines + 1 && error.column() >= last.len()
}

/// Where the reader stopped, without a piece of the row.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} error at byte {}", error.classify(), error.column()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        const TEXT: &str = r#"{"a":{"b":{"c":1.50}},"a.x":"dot","l":[{"n":"first"},{"n":"sec\"ond"}],"z":null,"o":{"k.k":"v"}}"#;
        let found = Tree::read(TEXT).unwrap().find(path);
        assert_eq!(found.as_deref(), expected, "{path}");
    }

    #[test]
    fn values_are_found_by_their_paths_and_kept_as_written() {
        check("a.b.c", Some("1.50"));
        check("a.b", Some(r#"{"c":1.50}"#));
        check("a.x", Some("dot"));
        check("o.k.k", Some("v"));
        check("l.0.n", Some("first"));
        check("l.1.n", Some("sec\"ond"));
        check("a.0.b.c", Some("1.50"));
        for path in ["a.1.b.c", "l.2.n", "z", "a.b.d", "q", "a.b.c.d", ""] {
            check(path, None);
        }
    }

    #[test]
    fn a_text_that_ends_early_is_told_from_one_that_is_wrong() {
        for (text, unfinished) in [
            ("{\"a\":{\"b\":1", true),
            ("{", true),
            ("{\"a\" 1}", false),
            ("[1]", false),
            ("{\"a\":0.", true),
            ("{\"a\":[\n1.", true),
            ("{} xy", false),
        ] {
            assert_eq!(
                Tree::read(text).unwrap_err().unfinished,
                unfinished,
                "{text}"
            );
        }
    }
}

//! XML documents: the texts at wanted paths, and nothing else.
//!
//! No document type is read and no entity is known but the five of the standard and numbers, so a
//! document cannot grow while it is read.

use super::reject::{Problem, Reject};
use quick_xml::Reader;
use quick_xml::errors::Error;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use std::collections::{HashMap, HashSet};

/// Deepest nesting read. A call record of FreeSWITCH has five levels; the path of an element is
/// kept while it is open, and must not grow with the document.
pub(super) const DEPTH_MAX: usize = 32;

/// Longest path of an element, in bytes, for the same reason; FreeSWITCH's are below 100.
const PATH_BYTES_MAX: usize = 1_024;

/// Why a text is not a document.
#[derive(Debug)]
pub(super) struct NotXml {
    /// The text ends before the document does.
    pub(super) unfinished: bool,
    /// What to say of it.
    pub(super) reject: Reject,
}

/// The texts of one document's elements and attributes, by dotted path below the root.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// The first text at each path that holds any.
    texts: HashMap<String, String>,
    /// Whether a text below the asked path cannot be percent-encoded.
    pub(super) plain: bool,
}

impl Texts {
    /// Reads the texts at the `wanted` paths of the document `text`. `is_plain` tells of a text
    /// below `under` that it cannot be percent-encoded.
    pub(super) fn read(
        text: &str,
        wanted: &HashSet<String>,
        under: Option<&str>,
        is_plain: impl Fn(&str) -> bool,
    ) -> Result<Texts, NotXml> {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        let mut walk = Walk::new(wanted);
        loop {
            match reader.read_event() {
                Ok(Event::Start(element)) => walk.open(&element)?,
                Ok(Event::End(_)) => {
                    let (path, value) = walk.close();
                    let below = under.is_some_and(|under| {
                        path.strip_prefix(under)
                            .is_some_and(|rest| rest.starts_with('.'))
                    });
                    walk.texts.plain |= below && is_plain(&value);
                    walk.put(path, value);
                }
                Ok(Event::Text(text)) => walk.add(&text.xml10_content()),
                Ok(Event::CData(text)) => walk.add(&text.xml10_content()),
                Ok(Event::GeneralRef(entity)) => {
                    let letter = entity.resolve_char_ref().ok().flatten();
                    match (letter, resolve_xml_entity(&entity)) {
                        (Some(letter), _) => walk.add(letter.encode_utf8(&mut [0; 4])),
                        (None, Some(text)) => walk.add(text),
                        (None, None) => {
                            return Err(bad("an entity that XML does not define"));
                        }
                    }
                }
                Ok(Event::Eof) if walk.done && walk.open.is_empty() => return Ok(walk.texts),
                Ok(Event::Eof) => return Err(unfinished("it ends early")),
                Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_)) => {}
                Ok(Event::Empty(_)) => {}
                // The reader tells what is left open at the end from what closes wrongly.
                Err(Error::Syntax(_)) => return Err(unfinished("it ends inside a mark")),
                Err(_) => {
                    let at = reader.error_position();
                    return Err(bad(&format!("it is not well formed at byte {at}")));
                }
            }
        }
    }

    /// The text at `path`.
    pub(super) fn find(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }
}

/// The elements that are open, and what was found so far.
#[derive(Debug)]
struct Walk<'w> {
    wanted: &'w HashSet<String>,
    texts: Texts,
    /// For each open element the length of the path before it, and its text so far.
    open: Vec<(usize, String)>,
    path: String,
    /// The root has been closed.
    done: bool,
}

impl Walk<'_> {
    fn new(wanted: &HashSet<String>) -> Walk<'_> {
        Walk {
            wanted,
            texts: Texts::default(),
            open: Vec::new(),
            path: String::new(),
            done: false,
        }
    }

    fn put(&mut self, path: String, value: String) {
        if self.wanted.contains(&path) && !value.trim().is_empty() {
            self.texts.texts.entry(path).or_insert(value);
        }
    }

    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), NotXml> {
        if self.done {
            return Err(bad("it holds more than one element"));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(bad("it is nested too deeply"));
        }
        let before = self.path.len();
        // The root's name is no part of a path.
        if !self.open.is_empty() {
            if before > 0 {
                self.path.push('.');
            }
            self.path.push_str(element.local_name().as_ref());
        }
        if self.path.len() > PATH_BYTES_MAX {
            return Err(bad("it is nested too deeply"));
        }
        self.open.push((before, String::new()));
        for attribute in element.attributes().with_checks(false).flatten() {
            let name = attribute.key.local_name();
            let path = match self.path.as_str() {
                "" => name.as_ref().to_string(),
                path => format!("{path}.{}", name.as_ref()),
            };
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
            self.put(path, value.unwrap_or_default().into_owned());
        }
        Ok(())
    }

    fn add(&mut self, text: &str) {
        if let Some((_, value)) = self.open.last_mut() {
            value.push_str(text);
        }
    }

    /// The path and text of the element that closes.
    fn close(&mut self) -> (String, String) {
        let path = self.path.clone();
        let (before, value) = self.open.pop().unwrap_or_default();
        self.path.truncate(before);
        self.done = self.open.is_empty();
        (path, value)
    }
}

fn unfinished(what: &str) -> NotXml {
    NotXml {
        unfinished: true,
        ..bad(what)
    }
}

fn bad(what: &str) -> NotXml {
    NotXml {
        unfinished: false,
        reject: Reject::row(Problem::NotXml(what.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Texts, NotXml> {
        let wanted = ["core", "v.a", "v.b", "f.c", "f.n"]
            .map(str::to_string)
            .into();
        Texts::read(text, &wanted, Some("v"), |text| text.contains(' '))
    }

    #[test]
    fn texts_and_attributes_are_found_by_their_paths() {
        let text = "<?xml version=\"1.0\"?>\n<cdr core=\"x\"><v><a>1 &amp; 2</a><b/></v><f n=\"7\"><c>&#65;<![CDATA[<B>]]></c></f><f><c>no</c></f></cdr>\n";
        let texts = read(text).unwrap();
        for (path, expected) in [
            ("core", Some("x")),
            ("v.a", Some("1 & 2")),
            ("v.b", None),
            ("f.c", Some("A<B>")),
            ("f.n", Some("7")),
        ] {
            assert_eq!(texts.find(path), expected, "{path}");
        }
        assert!(texts.plain);
    }

    #[test]
    fn a_text_that_ends_early_is_told_from_one_that_is_wrong() {
        let whole = "<cdr><v><a>1</a></v></cdr>";
        for end in 0..whole.len() {
            let part = &whole[..end];
            assert!(read(part).unwrap_err().unfinished, "{part}");
        }
        assert!(read(whole).is_ok());
        for text in ["<a></b>", "<a>&nbsp;</a>", "<a/><b/>"] {
            assert!(!read(text).unwrap_err().unfinished, "{text}");
        }
    }

    #[test]
    fn nothing_grows_and_nothing_is_fetched() {
        let deep = "<a>".repeat(100_000);
        assert!(!read(&deep).unwrap_err().unfinished);
        let bomb = "<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\"><!ENTITY y \"&x;&x;\">]><a>&y;</a>";
        assert!(!read(bomb).unwrap_err().unfinished);
    }
}

//! Documents: one record in a whole file or body, as FreeSWITCH writes one file per call.
//!
//! A file is not written at once: a document that ends early is [`DocumentStep::Incomplete`] until
//! the caller knows that no more will come. What FreeSWITCH leaves in `err-log-dir` is the same
//! document as the form it failed to post: percent-encoded or in Base64, behind `cdr=` or not.

use super::format::Format;
use super::json::Tree;
use super::record::Record;
use super::reject::{Problem, Reject};
use super::xml::Texts;
use super::{Apart, Parser, text_of};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::borrow::Cow;
use std::collections::HashSet;

/// Longest document, in bytes.
///
/// FreeSWITCH's documents take 5 to 50 KiB, and grow with every application a call went through.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// What the bytes of a document came to.
#[derive(Debug)]
pub enum DocumentStep<'a> {
    /// A record; it borrows the parser until the next document.
    Record(Record<'a>),
    /// The document ends early, and its writer may not be done.
    Incomplete,
    /// It does not fit; to be set aside.
    Rejected(Reject),
}

/// Why a text is not a record.
#[derive(Debug)]
pub(super) struct Fault {
    /// The text ends before the document does.
    unfinished: bool,
    /// What to say of it.
    pub(super) reject: Reject,
}

impl Parser {
    /// Reads the one record of a document: `bytes` are all there is of it now, from a file or a body
    /// called `file_name` (for columns with the path `file.name`, `file.stem` or `file.leg`).
    /// `complete` says that no more will come; then the answer is never `Incomplete`.
    ///
    /// For formats whose reader is a document reader ([`super::reader::Reader::is_document`]).
    pub fn document(&mut self, bytes: &[u8], file_name: &str, complete: bool) -> DocumentStep<'_> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return DocumentStep::Rejected(Reject::row(Problem::DocumentTooLong));
        }
        let (text, flawed) = text_of(bytes, &self.settings.decoder);
        self.scratch.flawed = flawed;
        match self.read_document(&text, file_name) {
            Ok(true) => DocumentStep::Record(self.scratch.record(&self.settings.format)),
            Ok(false) => DocumentStep::Rejected(Reject::row(Problem::NoLayout)),
            Err(fault) if fault.unfinished && !complete => DocumentStep::Incomplete,
            Err(fault) => DocumentStep::Rejected(fault.reject),
        }
    }

    /// Reads the document that `text` is into the scratch; false when no layout is for it.
    pub(super) fn read_document(&mut self, text: &str, file_name: &str) -> Result<bool, Fault> {
        let format = &self.settings.format;
        let zone = self.settings.timezone.as_ref();
        let first = if matches!(self.apart, Apart::Xml(_)) {
            '<'
        } else {
            '{'
        };
        let (text, flawed) = posted(text.trim(), first);
        self.scratch.flawed |= flawed;
        if text.is_empty() {
            return Err(Fault {
                unfinished: true,
                reject: Reject::row(Problem::Empty),
            });
        }
        let mut flawed = false;
        let index = match &self.apart {
            Apart::Xml(wanted) => {
                let under = format.encoded_under.as_deref();
                let texts = Texts::read(&text, wanted, under, is_plain).map_err(|not| Fault {
                    unfinished: not.unfinished,
                    reject: not.reject,
                })?;
                let plain = texts.plain;
                self.scratch
                    .fill(format, |path| match named(file_name, path) {
                        Some(name) => Some(name),
                        None => texts.find(&unlisted(path)).map(|value| {
                            decoded(format, path, Cow::Borrowed(value), plain, &mut flawed)
                        }),
                    })
            }
            _ => {
                let mut tree = Tree::read(&text).map_err(|not| Fault {
                    unfinished: not.unfinished,
                    reject: not.reject,
                })?;
                let under = format.encoded_under.as_deref();
                let plain = under.is_none_or(|under| {
                    tree.texts_below(under).into_iter().any(|text| {
                        let inside = text
                            .strip_prefix('"')
                            .and_then(|text| text.strip_suffix('"'));
                        inside.is_some_and(is_plain)
                    })
                });
                self.scratch
                    .fill(format, |path| match named(file_name, path) {
                        Some(name) => Some(name),
                        None => tree
                            .find(path)
                            .map(|value| decoded(format, path, value, plain, &mut flawed)),
                    })
            }
        };
        self.scratch.flawed |= flawed;
        let judged = self.scratch.judge_filled(format, index, zone);
        judged.map_err(|reject| Fault {
            unfinished: false,
            reject,
        })
    }
}

/// The paths that the columns of `format` want, as they stand in XML.
pub(super) fn paths(format: &Format) -> HashSet<String> {
    let columns = format.layouts.iter().flat_map(|layout| &layout.columns);
    let paths = columns.flat_map(|column| &column.paths);
    paths.map(|path| unlisted(path).into_owned()).collect()
}

/// `path` without places in a list: of elements with one name, the first counts.
fn unlisted(path: &str) -> Cow<'_, str> {
    if path.contains(".0.") {
        Cow::Owned(path.replace(".0.", "."))
    } else {
        Cow::Borrowed(path)
    }
}

/// What the file's name says at `path`: `file.name` whole, with the directories below the source's;
/// `file.stem` without these, its leg and its ending; `file.leg` `a` or `b` where the name itself
/// begins so.
fn named<'t>(file_name: &str, path: &str) -> Option<Cow<'t, str>> {
    let part = path.strip_prefix("file.")?;
    let bare = file_name.rsplit('/').next().unwrap_or_default();
    let leg = ["a", "b"].into_iter().find(|leg| {
        bare.strip_prefix(leg)
            .is_some_and(|rest| rest.starts_with('_'))
    });
    let text = match part {
        "name" => file_name,
        "leg" => leg.unwrap_or_default(),
        "stem" => {
            let stem = leg.map_or(bare, |_| bare.get(2..).unwrap_or_default());
            stem.split('.').next().unwrap_or_default()
        }
        _ => return None,
    };
    Some(Cow::Owned(text.to_string()))
}

/// The document in `text`, which begins with `first` unless it was encoded for a form.
fn posted(text: &str, first: char) -> (Cow<'_, str>, bool) {
    if text.starts_with(first) {
        return (Cow::Borrowed(text), false);
    }
    let body = text.strip_prefix("cdr=").unwrap_or(text);
    if body.starts_with(first) {
        return (Cow::Borrowed(body), false);
    }
    if body.starts_with('%') {
        // A document ends in a bracket: what looks like the first half of a pair is a cut.
        let cut = body.trim_end_matches(|letter: char| letter.is_ascii_hexdigit());
        let whole = match cut.strip_suffix('%') {
            Some(whole) if body.len() - whole.len() < 3 => whole,
            _ => body,
        };
        return unescaped(whole, body.len() != text.len());
    }
    if "cdr=".starts_with(text) {
        return (Cow::Borrowed(""), false);
    }
    let digits: Vec<u8> = body
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=')
        .collect();
    // Four digits are three bytes; of a document that ends early one digit may stand alone.
    let whole = digits.len() - usize::from(digits.len() % 4 == 1);
    let bytes = STANDARD_NO_PAD.decode(digits.get(..whole).unwrap_or_default());
    match bytes.map(String::from_utf8) {
        Ok(Ok(decoded)) if decoded.trim_start().starts_with(first) => (Cow::Owned(decoded), false),
        _ => (Cow::Borrowed(text), false),
    }
}

/// A value that FreeSWITCH would have percent-encoded, had it encoded any: it holds one of the
/// characters that are always encoded (`SWITCH_URL_UNSAFE` in its `switch_utils.h`, beside `%`), or
/// one beyond ASCII.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .any(|byte| !byte.is_ascii() || b"\r\n #&+:;<=>?@[\\]^`{|}\"".contains(&byte))
}

/// `value` with its percent-encoding taken off where the document has any.
fn decoded<'t>(
    format: &Format,
    path: &str,
    value: Cow<'t, str>,
    plain: bool,
    flawed: &mut bool,
) -> Cow<'t, str> {
    let below = format.encoded_under.as_deref().is_some_and(|under| {
        path.strip_prefix(under)
            .is_some_and(|rest| rest.starts_with('.'))
    });
    if plain || !below || !value.contains('%') {
        return value;
    }
    let (text, bad) = unescaped(&value, false);
    *flawed |= bad;
    Cow::Owned(text.into_owned())
}

/// `text` with `%XX` taken for bytes, and `+` for a blank in a form; what is no such pair stays.
/// Also whether the bytes were not text.
fn unescaped(text: &str, form: bool) -> (Cow<'_, str>, bool) {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let digit = |at: usize| {
            behind
                .get(at)
                .and_then(|digit| char::from(*digit).to_digit(16))
        };
        match (byte, digit(0).zip(digit(1))) {
            (b'%', Some((high, low))) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = behind.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', _) if form => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
        rest = behind;
    }
    match String::from_utf8(bytes) {
        Ok(text) => (Cow::Owned(text), false),
        Err(error) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (Cow::Owned(text), true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_that_encodes_nothing_stays() {
        for (text, form, expected) in [
            ("a%20b", false, "a b"),
            ("100%", false, "100%"),
            ("%zz+", false, "%zz+"),
            ("a+b%2B", true, "a b+"),
            ("%E9", false, "\u{FFFD}"),
        ] {
            assert_eq!(unescaped(text, form).0, expected, "{text}");
        }
    }

    #[test]
    fn a_form_is_taken_off_however_it_was_encoded() {
        for text in [
            "{\"a\":1}",
            "cdr={\"a\":1}",
            "cdr=%7B%22a%22%3A1%7D",
            "%7B%22a%22%3A1%7D",
            "cdr=eyJhIjoxfQ==",
            "eyJh\nIjoxfQ",
        ] {
            assert_eq!(posted(text, '{').0, "{\"a\":1}", "{text}");
        }
        assert_eq!(posted("nonsense", '{').0, "nonsense");
    }

    #[test]
    fn the_name_of_a_file_gives_its_leg_and_stem() {
        let name = "a_5f6a.cdr.json";
        assert_eq!(named(name, "file.leg").as_deref(), Some("a"));
        assert_eq!(named(name, "file.stem").as_deref(), Some("5f6a"));
        assert_eq!(named("5f6a.cdr.xml", "file.stem").as_deref(), Some("5f6a"));
        assert_eq!(named("5f6a.cdr.xml", "file.leg").as_deref(), Some(""));
        // In a directory of FreeSWITCH's `rotate`.
        let below = "2026-04-10-14-00-00/a_5f6a.cdr.json";
        assert_eq!(named(below, "file.leg").as_deref(), Some("a"));
        assert_eq!(named(below, "file.stem").as_deref(), Some("5f6a"));
        assert_eq!(named(below, "file.name").as_deref(), Some(below));
        assert_eq!(named(name, "variables.uuid"), None);
    }
}

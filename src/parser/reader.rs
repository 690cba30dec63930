//! Reader: the families of formats, and what each lets a format choose.

use super::format::FormatTable;

/// A family of formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Fields between delimiters.
    Delimited(Dialect),
    /// One JSON object per line.
    JsonLines,
    /// Pairs of a name and a value on a line.
    KeyValue(Pairs),
    /// One document per file or body.
    Document(Markup),
    /// Lines that a regular expression matches.
    Pattern,
}

/// How fields are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The byte between fields; ASCII.
    pub delimiter: u8,
    /// The byte around text, doubled inside; ASCII. `None`: quotes mean nothing.
    pub quote: Option<u8>,
    /// Where a row cannot be read strictly, quotes inside values are taken as they stand.
    pub lenient: bool,
    /// The byte before a delimiter that is part of a value; only without a quote. ASCII.
    pub escape: Option<u8>,
}

/// How pairs, and the name and value of each, are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pairs {
    /// The byte between pairs; ASCII.
    pub delimiter: u8,
    /// The byte between a name and its value; ASCII.
    pub assign: u8,
    /// The byte that may stand around a value; ASCII.
    pub quote: Option<u8>,
}

/// What a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// JSON, possibly percent-encoded or in Base64, as a form leaves it.
    Json,
    /// XML, possibly encoded in the same ways.
    Xml,
}

/// The words for the families in `format = "…"`.
const DELIMITED: &str = "delimited";
const JSON_LINES: &str = "json-lines";
const KEY_VALUE: &str = "key-value";
const JSON_DOCUMENT: &str = "json-document";
const XML_DOCUMENT: &str = "xml-document";

/// The word for the family of text logs.
pub const PATTERN: &str = "pattern";

/// The general formats, which take columns of the operator's own: the word for each, and what it
/// reads.
pub const GENERAL: [(&str, &str); 6] = [
    (
        DELIMITED,
        "fields between delimiters, with columns of your own",
    ),
    (
        JSON_LINES,
        "one JSON object per line, with columns of your own",
    ),
    (KEY_VALUE, "pairs like name=value, with columns of your own"),
    (
        JSON_DOCUMENT,
        "one JSON object per file, with columns of your own",
    ),
    (
        XML_DOCUMENT,
        "one XML element per file, with columns of your own",
    ),
    (PATTERN, "a text log, by regular expressions of your own"),
];

impl Reader {
    /// Its word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Reader::Delimited(_) => DELIMITED,
            Reader::JsonLines => JSON_LINES,
            Reader::KeyValue(_) => KEY_VALUE,
            Reader::Document(Markup::Json) => JSON_DOCUMENT,
            Reader::Document(Markup::Xml) => XML_DOCUMENT,
            Reader::Pattern => PATTERN,
        }
    }

    /// Whether values are found by their names, not by their places.
    pub fn has_names(self) -> bool {
        !matches!(self, Reader::Delimited(_))
    }

    /// Whether a record is a whole file or body: see [`super::Parser::document`].
    pub fn is_document(self) -> bool {
        matches!(self, Reader::Document(_))
    }

    /// Whether an open quote may be closed in `line`.
    ///
    /// The byte of a quote may also be half of a character; it is never missing from a line that
    /// holds one.
    pub(super) fn may_close_quote(self, line: &[u8]) -> bool {
        match self {
            Reader::Delimited(Dialect {
                quote: Some(quote), ..
            }) => memchr::memchr(quote, line).is_some(),
            _ => false,
        }
    }
}

/// The reader that `table` describes.
pub(super) fn reader(
    table: &FormatTable,
    problem: &mut impl FnMut(&'static str, String),
) -> Option<Reader> {
    let allowed: &[&str] = match table.reader.as_str() {
        DELIMITED => &["delimiter", "quote", "quoting", "escape"],
        KEY_VALUE => &["delimiter", "quote", "assign", "after"],
        _ => &[],
    };
    for (key, given) in [
        ("delimiter", table.delimiter.is_some()),
        ("quote", table.quote.is_some()),
        ("quoting", table.quoting.is_some()),
        ("escape", table.escape.is_some()),
        ("assign", table.assign.is_some()),
        ("after", !table.after.is_empty()),
    ] {
        if given && !allowed.contains(&key) {
            problem(key, format!("{} has no {key}; leave it out", table.reader));
        }
    }
    if table.after.iter().any(|text| text.trim().is_empty()) {
        problem(
            "after",
            "a text is empty; write like [\"ACC: call ended: \"]".to_string(),
        );
    }
    match table.reader.as_str() {
        DELIMITED => delimited(table, problem),
        KEY_VALUE => key_value(table, problem),
        JSON_LINES => Some(Reader::JsonLines),
        JSON_DOCUMENT => Some(Reader::Document(Markup::Json)),
        XML_DOCUMENT => Some(Reader::Document(Markup::Xml)),
        other => {
            let words = GENERAL.map(|(word, _)| format!("{word:?}")).join(", ");
            problem(
                "format",
                format!("{other:?} is not known; write one of {words}"),
            );
            None
        }
    }
}

fn delimited(
    table: &FormatTable,
    problem: &mut impl FnMut(&'static str, String),
) -> Option<Reader> {
    let delimiter = table.delimiter.as_deref().and_then(byte);
    if delimiter.is_none() {
        problem(
            "delimiter",
            "one ASCII character is needed here; write delimiter = \",\", \"|\" or \"\\t\""
                .to_string(),
        );
    }
    let quote = quote(table, &[delimiter], problem);
    let escape = table.escape.as_deref().and_then(byte);
    if table.escape.is_some() && (escape.is_none() || escape == delimiter || quote.is_some()) {
        problem("escape", "one ASCII character other than the delimiter is needed here, and no quote; write escape = '\\'".to_string());
    }
    let lenient = match table.quoting.as_deref() {
        None | Some("strict") => false,
        Some("lenient") if quote.is_some() => true,
        Some("lenient") => {
            problem(
                "quoting",
                "there is no quote to be lenient about; write quote = '\"'".to_string(),
            );
            false
        }
        Some(other) => {
            problem(
                "quoting",
                format!("{other:?} is not known; write \"strict\" or \"lenient\""),
            );
            false
        }
    };
    Some(Reader::Delimited(Dialect {
        delimiter: delimiter?,
        quote,
        lenient,
        escape,
    }))
}

fn key_value(
    table: &FormatTable,
    problem: &mut impl FnMut(&'static str, String),
) -> Option<Reader> {
    let delimiter = byte(table.delimiter.as_deref().unwrap_or(";"));
    if delimiter.is_none() {
        problem(
            "delimiter",
            "one ASCII character is needed here; write delimiter = \";\" or \" \"".to_string(),
        );
    }
    let assign =
        byte(table.assign.as_deref().unwrap_or("=")).filter(|assign| Some(*assign) != delimiter);
    if assign.is_none() {
        problem("assign", "one ASCII character other than the delimiter is needed here; write assign = \"=\" or \":\"".to_string());
    }
    let quote = quote(table, &[delimiter, assign], problem);
    Some(Reader::KeyValue(Pairs {
        delimiter: delimiter?,
        assign: assign?,
        quote,
    }))
}

fn quote(
    table: &FormatTable,
    others: &[Option<u8>],
    problem: &mut impl FnMut(&'static str, String),
) -> Option<u8> {
    let text = table.quote.as_deref().filter(|text| *text != "none")?;
    let quote = byte(text).filter(|quote| !others.contains(&Some(*quote)));
    if quote.is_none() {
        problem("quote", "one ASCII character other than the delimiter is needed here; write quote = '\"', or \"none\"".to_string());
    }
    quote
}

fn byte(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(*byte),
        _ => None,
    }
}

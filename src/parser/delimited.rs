//! The family of delimited formats: fields between delimiters, with or without quotes.

use super::format::{Dialect, Format, Reader};
use super::record::Scratch;
use super::reject::Problem;
use csv_core::{ReadRecordResult, ReaderBuilder, Terminator};
use jiff::tz::TimeZone;

/// How a text came apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// Into whole fields, which are in the scratch now.
    Whole,
    /// A quote is open at its end.
    Open,
    /// Its quotes can be read in more than one way.
    Torn(Problem),
}

/// A line that holds the names of a layout's columns, as many as half of them, is a header.
const HEADER_SHARE: usize = 2;

/// Fewest typed fields that must all fail before a line with no known name is taken for a header.
const HEADER_MISFITS_MIN: usize = 3;

/// The fields of one line of comma-separated text; for small tables beside the rows.
pub fn fields_of(line: &str) -> Vec<String> {
    let mut scratch = Scratch::default();
    let dialect = Dialect { delimiter: b',', quote: Some(b'"') };
    match split(dialect, line, &mut scratch) {
        Split::Whole => (0..scratch.fields.count()).map(|index| scratch.fields.get(index).to_string()).collect(),
        Split::Open | Split::Torn(_) => vec![line.to_string()],
    }
}

/// Splits `text`, one row without its last line end, into the scratch's fields.
pub(super) fn split(dialect: Dialect, text: &str, scratch: &mut Scratch) -> Split {
    let mut reader = ReaderBuilder::new()
        .delimiter(dialect.delimiter)
        .quote(dialect.quote.unwrap_or(0))
        .quoting(dialect.quote.is_some())
        .terminator(Terminator::Any(b'\n'))
        .build();
    scratch.fields.clear();
    // A field is never longer than the text, and there is at most one more than delimiters.
    let mut output = std::mem::take(&mut scratch.bytes);
    output.resize(text.len() + 1, 0);
    let most = memchr::memchr_iter(dialect.delimiter, text.as_bytes()).count() + 1;
    scratch.fields.ends.resize(most + 1, 0);
    let (result, used, written, ended) =
        reader.read_record(text.as_bytes(), &mut output, &mut scratch.fields.ends);
    let (mut result, mut written, mut ended) = (result, written, ended);
    if matches!(result, ReadRecordResult::InputEmpty) && used == text.len() {
        // The line end that was taken off ends the record, unless a quote is open.
        let rest = output.get_mut(written..).unwrap_or_default();
        let ends = scratch.fields.ends.get_mut(ended..).unwrap_or_default();
        let (last, _, more, one) = reader.read_record(b"\n", rest, ends);
        (result, written, ended) = (last, written + more, ended + one);
    }
    scratch.fields.ends.truncate(ended);
    let whole = match result {
        ReadRecordResult::Record => std::str::from_utf8(output.get(..written).unwrap_or_default())
            .is_ok_and(|fields| {
                scratch.fields.text.push_str(fields);
                true
            }),
        _ => false,
    };
    scratch.bytes = output;
    match (whole, dialect.quote) {
        (false, _) => Split::Open,
        (true, Some(quote)) if !is_only_reading(dialect.delimiter, quote, text, scratch) => {
            Split::Torn(Problem::QuoteInside)
        }
        (true, _) => Split::Whole,
    }
}

/// Whether writing the fields again, each plain or quoted as it stands there, gives `text`.
///
/// The library reads `"a"b"` somehow; a bill should not depend on how.
fn is_only_reading(delimiter: u8, quote: u8, text: &str, scratch: &Scratch) -> bool {
    let mut rest = text.as_bytes();
    for index in 0..scratch.fields.count() {
        if index > 0 {
            let Some(behind) = rest.strip_prefix(&[delimiter]) else {
                return false;
            };
            rest = behind;
        }
        let field = scratch.fields.get(index).as_bytes();
        let Some(behind) = (match rest.strip_prefix(&[quote]) {
            Some(inside) => strip_quoted(inside, field, quote),
            None if field.contains(&quote) => None,
            None => rest.strip_prefix(field),
        }) else {
            return false;
        };
        rest = behind;
    }
    rest.is_empty()
}

/// What follows `field`, its quotes doubled, and a closing quote.
fn strip_quoted<'t>(text: &'t [u8], field: &[u8], quote: u8) -> Option<&'t [u8]> {
    let mut rest = text;
    let mut parts = field.split(|byte| *byte == quote).peekable();
    while let Some(part) = parts.next() {
        rest = rest.strip_prefix(part)?;
        if parts.peek().is_some() {
            rest = rest.strip_prefix(&[quote, quote])?;
        }
    }
    rest.strip_prefix(&[quote])
}

/// Whether `text` is a line of column names.
pub(super) fn is_header(
    format: &Format,
    text: &str,
    scratch: &mut Scratch,
    zone: Option<&TimeZone>,
) -> bool {
    let Reader::Delimited(dialect) = format.reader else {
        return false;
    };
    if split(dialect, text, scratch) != Split::Whole {
        return false;
    }
    format.layouts.iter().any(|layout| {
        let named =
            |index: usize, name: &str| scratch.fields.get(index).trim().eq_ignore_ascii_case(name);
        let names = layout
            .columns
            .iter()
            .enumerate()
            .filter(|(index, column)| named(*index, &column.name))
            .count();
        if names * HEADER_SHARE >= layout.columns.len() {
            return true;
        }
        let (filled, fit) = scratch.fitting(layout, zone);
        layout.columns.len() == scratch.fields.count() && filled >= HEADER_MISFITS_MIN && fit == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: Dialect = Dialect {
        delimiter: b',',
        quote: Some(b'"'),
    };
    const PIPE: Dialect = Dialect {
        delimiter: b'|',
        quote: None,
    };

    #[track_caller]
    fn check(dialect: Dialect, text: &str, expected: &[&str]) {
        let mut scratch = Scratch::default();
        assert_eq!(split(dialect, text, &mut scratch), Split::Whole, "{text}");
        let fields: Vec<_> = (0..scratch.fields.count())
            .map(|index| scratch.fields.get(index))
            .collect();
        assert_eq!(fields, expected, "{text}");
    }

    #[test]
    fn fields_are_split_with_their_quotes_taken_off() {
        check(PIPE, "a|b||d", &["a", "b", "", "d"]);
        check(PIPE, "a\"|\"b", &["a\"", "\"b"]);
        check(PIPE, "||", &["", "", ""]);
        check(PIPE, "one", &["one"]);
        check(CSV, "\"a\",1,,\"\"", &["a", "1", "", ""]);
        check(CSV, "\"a,b\",\"c\"\"d\"", &["a,b", "c\"d"]);
        check(CSV, "\"\"\"x\"\" <1>\",\"y\nz\"", &["\"x\" <1>", "y\nz"]);
        check(CSV, "\"百融\",\"é\"", &["百融", "é"]);
    }

    #[test]
    fn an_open_quote_asks_for_more() {
        for text in ["\"a", "\"a\",\"b", "\"a\",\"b\"\"", "\"a\nb"] {
            assert_eq!(
                split(CSV, text, &mut Scratch::default()),
                Split::Open,
                "{text}"
            );
        }
    }

    #[test]
    fn quotes_that_can_be_read_in_two_ways_are_not_read() {
        for text in [
            "\"1202\"5550101\",\"x\"",
            "a\"b,c",
            "\"a\" ,b",
            " \"a\",b",
            "\"say \"hi\" now\",b",
        ] {
            assert_eq!(
                split(CSV, text, &mut Scratch::default()),
                Split::Torn(Problem::QuoteInside),
                "{text}"
            );
        }
    }
}

//! The family of delimited formats: fields between delimiters, with or without quotes.

use super::format::{Column, Dialect, Format};
use super::record::{Fields, fitting};
use super::reject::{Problem, Reject};
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
    let mut fields = Fields::default();
    let dialect = Dialect {
        delimiter: b',',
        quote: Some(b'"'),
        lenient: false,
        escape: None,
    };
    match Splitter::new(dialect).split_strictly(line, &mut fields) {
        Split::Whole => (0..fields.count())
            .map(|index| fields.get(index).to_string())
            .collect(),
        Split::Open | Split::Torn(_) => vec![line.to_string()],
    }
}

/// Splits rows of one dialect.
#[derive(Debug)]
pub(super) struct Splitter {
    dialect: Dialect,
    /// Its tables are built once: building them costs more than splitting a row.
    reader: csv_core::Reader,
}

impl Splitter {
    /// A splitter for `dialect`.
    pub(super) fn new(dialect: Dialect) -> Splitter {
        let reader = ReaderBuilder::new()
            .delimiter(dialect.delimiter)
            .quote(dialect.quote.unwrap_or(0))
            .quoting(dialect.quote.is_some())
            .terminator(Terminator::Any(b'\n'))
            .build();
        Splitter { dialect, reader }
    }

    /// Splits `text`, one row of `format` without its last line end, into `fields`; leniently where
    /// the dialect says so and there is no strict way.
    pub(super) fn split(&mut self, text: &str, fields: &mut Fields, format: &Format) -> Split {
        let strict = self.split_strictly(text, fields);
        let fits = |count| format.layouts.iter().any(|layout| layout.fits(count));
        if !self.dialect.lenient || (strict == Split::Whole && fits(fields.count())) {
            return strict;
        }
        match self.split_lenient(text, fields, fits) {
            Split::Torn(_) if strict == Split::Whole => self.split_strictly(text, fields),
            lenient => lenient,
        }
    }

    /// Splits `text`, one row without its last line end, into `fields`.
    pub(super) fn split_strictly(&mut self, text: &str, fields: &mut Fields) -> Split {
        fields.clear();
        let Some(quote) = self.dialect.quote else {
            match self.dialect.escape {
                None => split_plain(self.dialect.delimiter, text, fields),
                Some(escape) => split_escaped(self.dialect.delimiter, escape, text, fields),
            }
            return Split::Whole;
        };
        if split_at_once(self.dialect.delimiter, quote, text, fields) {
            return Split::Whole;
        }
        fields.clear();
        let whole = self.split_quoted(text, fields);
        match is_only_reading(self.dialect.delimiter, quote, text, fields, whole) {
            false => Split::Torn(Problem::QuoteInside),
            true if whole => Split::Whole,
            true => Split::Open,
        }
    }

    /// Splits `text` leniently, whatever the number of its fields; false where that can be read in two
    /// ways.
    pub(super) fn split_by_quotes(&self, text: &str, fields: &mut Fields) -> bool {
        let ends = |blank: &str| {
            let between = |quote: char| format!("{quote}{}{blank}{quote}", self.delimiter());
            let between = self.quote().map(between);
            between.map_or(0, |between| text.matches(&between).count())
        };
        let most = ends("") + ends(" ") + 1;
        self.split_all_quoted(text, fields, |count| count == most) == Split::Whole
            || self.split_some_quoted(text, fields)
    }

    fn quote(&self) -> Option<char> {
        self.dialect.quote.map(char::from)
    }

    fn delimiter(&self) -> char {
        char::from(self.dialect.delimiter)
    }

    /// Splits `text` leniently: as a row with a quote before and behind each value, else as one with
    /// some values in quotes and some without.
    fn split_lenient(
        &self,
        text: &str,
        fields: &mut Fields,
        fits: impl Fn(usize) -> bool,
    ) -> Split {
        let all = self.split_all_quoted(text, fields, &fits);
        if all == Split::Whole || !self.split_some_quoted(text, fields) {
            return all;
        }
        // Behind a last delimiter a value may go on in the next line.
        match all {
            _ if fits(fields.count()) => Split::Whole,
            Split::Open if text.ends_with(char::from(self.dialect.delimiter)) => Split::Open,
            _ => Split::Torn(Problem::QuoteInside),
        }
    }

    /// Splits `text`, a row with values in quotes, which may hold quotes as they are, and values without
    /// quotes around or in them; false where it is none such. A value in quotes ends with the first
    /// quote that a delimiter follows: MySQL's tools export like that.
    fn split_some_quoted(&self, text: &str, fields: &mut Fields) -> bool {
        let Some(quote) = self.quote() else {
            return false;
        };
        let delimiter = self.delimiter();
        let between = format!("{quote}{delimiter}");
        let (mut rest, mut plain) = (text, 0);
        fields.clear();
        loop {
            let (value, behind) = if let Some(inside) = rest.strip_prefix(quote) {
                match (inside.split_once(&between), inside.strip_suffix(quote)) {
                    (Some((value, behind)), _) => (value, Some(behind)),
                    (None, Some(value)) => (value, None),
                    (None, None) => return false,
                }
            } else {
                plain += 1;
                let (value, behind) = match rest.split_once(delimiter) {
                    Some((value, behind)) => (value, Some(behind)),
                    None => (rest, None),
                };
                if value.contains(quote) {
                    return false;
                }
                (value, behind)
            };
            fields.push(value);
            match behind {
                Some(behind) => rest = behind,
                None => return plain > 0,
            }
        }
    }

    /// Splits `text`, a row whose values are quoted but stand there as they are, with quotes inside
    /// them: between quote, delimiter and quote, as the switch wrote them. `fits` says whether a row
    /// can have so many fields.
    ///
    /// FreeSWITCH's built-in template has a blank before its last opening quote, and the one it ships
    /// for Snom's telephones before one in the middle: a delimiter with a blank behind it counts too,
    /// in the last place, or wherever there is one. Whatever could be read in two ways is not read.
    fn split_all_quoted(
        &self,
        text: &str,
        fields: &mut Fields,
        fits: impl Fn(usize) -> bool,
    ) -> Split {
        let torn = Split::Torn(Problem::QuoteInside);
        let Some(quote) = self.quote() else {
            return torn;
        };
        let Some(inside) = text.strip_prefix(quote) else {
            return torn;
        };
        let Some(inside) = inside.trim_end_matches(' ').strip_suffix(quote) else {
            return Split::Open;
        };
        let delimiter = self.delimiter();
        let between = format!("{quote}{delimiter}{quote}");
        let spaced = format!("{quote}{delimiter} {quote}");
        let (count, last) = (
            inside.matches(&between).count() + 1,
            inside.rsplit(&between).next().unwrap_or(inside),
        );
        // A value may hold what looks like the end of another: then either number of fields fits.
        let split_last = last.matches(&spaced).count() == 1;
        let blanks = inside.matches(&spaced).count();
        let fits_all = blanks > 0 && fits(count + blanks);
        let last_pair = match (fits(count), split_last && fits(count + 1)) {
            (true, false) => None,
            (false, true) => last.split_once(&spaced),
            (false, false) if fits_all && !(1..blanks).any(|some| fits(count + some)) => {
                fields.clear();
                let values = inside.split(&between);
                let values = values.flat_map(|value| value.split(&spaced));
                values.for_each(|value| fields.push(value));
                return Split::Whole;
            }
            (true, true) | (false, false) => return torn,
        };
        fields.clear();
        for value in inside.split(&between).take(count - 1) {
            fields.push(value);
        }
        match last_pair {
            None => fields.push(last),
            Some((one, other)) => {
                fields.push(one);
                fields.push(other);
            }
        }
        Split::Whole
    }

    /// Takes the quotes off; false when one is open at the end of `text`.
    fn split_quoted(&mut self, text: &str, fields: &mut Fields) -> bool {
        self.reader.reset();
        // A field is never longer than the text, and there is at most one more than delimiters.
        let mut output = std::mem::take(&mut fields.text).into_bytes();
        output.resize(text.len() + 1, 0);
        let most = memchr::memchr_iter(self.dialect.delimiter, text.as_bytes()).count() + 1;
        fields.ends.resize(most + 1, 0);
        let (mut result, used, mut written, mut ended) =
            self.reader
                .read_record(text.as_bytes(), &mut output, &mut fields.ends);
        if matches!(result, ReadRecordResult::InputEmpty) && used == text.len() {
            // The line end that was taken off ends the record, unless a quote is open.
            let rest = output.get_mut(written..).unwrap_or_default();
            let ends = fields.ends.get_mut(ended..).unwrap_or_default();
            let (last, _, more, one) = self.reader.read_record(b"\n", rest, ends);
            (result, written, ended) = (last, written + more, ended + one);
        }
        output.truncate(written);
        fields.ends.truncate(ended);
        fields.text = String::from_utf8(output)
            .expect("delimiter and quote are ASCII: what stands between them is whole characters");
        matches!(result, ReadRecordResult::Record)
    }
}

fn split_plain(delimiter: u8, text: &str, fields: &mut Fields) {
    let mut start = 0;
    for end in memchr::memchr_iter(delimiter, text.as_bytes()) {
        fields.push(text.get(start..end).unwrap_or_default());
        start = end + 1;
    }
    fields.push(text.get(start..).unwrap_or_default());
}

/// Splits a row whose fields are all plain or quoted with no quote inside, as nearly all rows are;
/// false where there is any other, and `fields` hold nothing of use then.
///
/// Such a row can be read in one way only, so the library would give the same fields, and they need
/// not be [compared](is_only_reading) with the row: both together take three times as long.
fn split_at_once(delimiter: u8, quote: u8, text: &str, fields: &mut Fields) -> bool {
    let (bytes, mut start) = (text.as_bytes(), 0);
    if bytes.is_empty() {
        return false;
    }
    loop {
        let rest = bytes.get(start..).unwrap_or_default();
        let (from, to, next) = match rest {
            [first, inside @ ..] if *first == quote => match memchr::memchr(quote, inside) {
                Some(length) => (start + 1, start + 1 + length, start + 2 + length),
                None => return false,
            },
            _ => {
                let ends = |byte: &u8| {
                    matches!(*byte, b'\n' | b'\r') || *byte == delimiter || *byte == quote
                };
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                (start, start + length, start + length)
            }
        };
        let Some(field) = text.get(from..to) else {
            return false;
        };
        fields.push(field);
        match bytes.get(next) {
            Some(byte) if *byte == delimiter => start = next + 1,
            Some(_) => return false,
            None => return true,
        }
    }
}

/// As [`split_plain`], where `escape` before any character takes its meaning.
fn split_escaped(delimiter: u8, escape: u8, text: &str, fields: &mut Fields) {
    if memchr::memchr(escape, text.as_bytes()).is_none() {
        return split_plain(delimiter, text, fields);
    }
    let (mut field, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        if letter == char::from(delimiter) {
            fields.push(&field);
            field.clear();
        } else if letter == char::from(escape) {
            field.push(letters.next().unwrap_or(letter));
        } else {
            field.push(letter);
        }
    }
    fields.push(&field);
}

/// Whether writing the fields again, each plain or quoted as it stands there, gives `text`; where a
/// quote is open at its end (not `whole`), its beginning as far as there are fields.
///
/// The library reads `"a"b"` somehow; a bill should not depend on how. That such a quote is seen at
/// once also keeps a file full of them from being read for its end again and again.
fn is_only_reading(delimiter: u8, quote: u8, text: &str, fields: &Fields, whole: bool) -> bool {
    let mut rest = text.as_bytes();
    for index in 0..fields.count() {
        if index > 0 {
            let Some(behind) = rest.strip_prefix(&[delimiter]) else {
                return false;
            };
            rest = behind;
        }
        let field = fields.get(index).as_bytes();
        let Some(behind) = (match rest.strip_prefix(&[quote]) {
            Some(inside) => strip_quoted(inside, field, quote),
            None if field.contains(&quote) => None,
            None => rest.strip_prefix(field),
        }) else {
            return false;
        };
        rest = behind;
    }
    !whole || rest.is_empty()
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

/// Whether `fields` are a line of column names: as many as half of a layout's columns are named in
/// their places; or, where the line is a file's first (`at_start`), it has a layout's count and
/// nothing in it fits a typed column, as in a header in another language.
///
/// The second rule counts at the start only: further down the same line is a damaged row, and a row
/// must not be passed over uncounted.
pub(super) fn is_header(
    format: &Format,
    fields: &Fields,
    at_start: bool,
    zone: Option<&TimeZone>,
) -> bool {
    format.layouts.iter().any(|layout| {
        let named = |(index, column): &(usize, &Column)| {
            fields.get(*index).trim().eq_ignore_ascii_case(&column.name)
        };
        let names = layout.columns.iter().enumerate().filter(named).count();
        if names * HEADER_SHARE >= layout.columns.len() {
            return true;
        }
        let (filled, fit) = fitting(layout, fields, format.dates, zone);
        let counted = layout.fits(fields.count());
        at_start && counted && filled >= HEADER_MISFITS_MIN && fit == 0
    })
}

/// Why rows below the column names `fields` would be read wrongly: two names or more are those of the
/// format's columns in other places, in every layout that has as many.
pub(super) fn elsewhere(format: &Format, fields: &Fields) -> Option<Reject> {
    let usable = format.layouts.iter().filter(|it| !it.only_by_name);
    let mut first = None;
    for layout in usable.filter(|it| it.fits(fields.count())) {
        let place_of = |name: &str| {
            let mut names = layout.columns.iter().map(|column| &column.name);
            names.position(|known| known.eq_ignore_ascii_case(name))
        };
        let mut moved = (0..fields.count()).filter_map(|index| {
            let name = fields.get(index).trim();
            Some((index, name, place_of(name)?)).filter(|(index, _, place)| index != place)
        });
        let (found, _) = moved.next().zip(moved.next())?;
        first.get_or_insert(found);
    }
    let (index, name, place) = first?;
    Some(Reject {
        column: Some((index + 1, name.to_owned())),
        problem: Problem::Elsewhere(place + 1),
    })
}

/// Whether `fields` stand beside column names and are no row: the types of the columns, as Cisco's
/// Unified CM writes them below the names, or the delimiter, as spreadsheets want it told (`sep=;`).
pub(super) fn is_preamble(fields: &Fields) -> bool {
    const TYPES: [&str; 9] = [
        "INTEGER",
        "VARCHAR",
        "UNIQUEIDENTIFIER",
        "BIGINT",
        "SMALLINT",
        "CHAR",
        "TEXT",
        "DATETIME",
        "TIMESTAMP",
    ];
    let is_type = |text: &str| {
        let word = text.split('(').next().unwrap_or_default();
        TYPES.iter().any(|known| known.eq_ignore_ascii_case(word))
    };
    let count = fields.count();
    if let Some(told) = fields.get(0).trim().strip_prefix("sep=") {
        return told.len() <= 1 && count <= 2 && fields.get(1).is_empty();
    }
    count >= HEADER_MISFITS_MIN && (0..count).all(|index| is_type(fields.get(index).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CSV: Dialect = Dialect {
        delimiter: b',',
        quote: Some(b'"'),
        lenient: false,
        escape: None,
    };
    const PIPE: Dialect = Dialect {
        delimiter: b'|',
        quote: None,
        lenient: false,
        escape: None,
    };

    #[track_caller]
    fn check(dialect: Dialect, text: &str, expected: &[&str]) {
        let mut fields = Fields::default();
        assert_eq!(
            Splitter::new(dialect).split_strictly(text, &mut fields),
            Split::Whole,
            "{text}"
        );
        let fields: Vec<_> = (0..fields.count()).map(|index| fields.get(index)).collect();
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

    proptest! {
        /// Of the bytes that mean something, so that every order of them comes up.
        #[test]
        fn a_row_split_at_once_is_split_as_the_library_does(text in "[\"\",,a\n\r é]{0,24}") {
            let (mut once, mut library) = (Fields::default(), Fields::default());
            if split_at_once(b',', b'"', &text, &mut once) {
                let mut splitter = Splitter::new(CSV);
                let whole = splitter.split_quoted(&text, &mut library);
                prop_assert!(whole && is_only_reading(b',', b'"', &text, &library, whole));
                let list = |fields: &Fields| -> Vec<String> {
                    (0..fields.count()).map(|index| fields.get(index).to_string()).collect()
                };
                prop_assert_eq!(list(&once), list(&library));
            }
        }
    }

    #[test]
    fn types_and_delimiters_beside_the_names_are_no_rows() {
        for (text, expected) in [
            ("INTEGER,INTEGER,VARCHAR(50),UNIQUEIDENTIFIER", true),
            ("integer,\"varchar(1)\",text", true),
            ("sep=;", true),
            ("sep=,", true),
            ("INTEGER,INTEGER", false),
            ("INTEGER,INTEGER,", false),
            ("INTEGER,7,INTEGER", false),
            ("sep=,a", false),
            ("sep=ab", false),
            ("", false),
        ] {
            let mut fields = Fields::default();
            Splitter::new(CSV).split_strictly(text, &mut fields);
            assert_eq!(is_preamble(&fields), expected, "{text}");
        }
    }

    #[test]
    fn an_open_quote_asks_for_more() {
        for text in ["\"a", "\"a\",\"b", "\"a\",\"b\"\"", "\"a\nb"] {
            assert_eq!(
                Splitter::new(CSV).split_strictly(text, &mut Fields::default()),
                Split::Open,
                "{text}"
            );
        }
    }

    #[test]
    fn values_with_and_without_quotes_are_read_leniently_where_the_count_fits() {
        let lenient = Dialect {
            lenient: true,
            ..CSV
        };
        let split = |text: &str| {
            let mut fields = Fields::default();
            let splitter = Splitter::new(lenient);
            let split = splitter.split_lenient(text, &mut fields, |count| count == 4);
            let fields = (0..fields.count()).map(|index| fields.get(index).to_string());
            (split, fields.collect::<Vec<_>>().join("|"))
        };
        let torn = Split::Torn(Problem::QuoteInside);
        for (text, expected) in [
            ("1,\"\"Al\" <1>\",x,\"a,b\"", "1|\"Al\" <1>|x|a,b"),
            ("\"\"\" <1>\",,\"\",2", "\"\" <1>|||2"),
            ("\"a\"b\",\"c\",\"d\",", "a\"b|c|d|"),
        ] {
            assert_eq!(split(text), (Split::Whole, expected.to_string()), "{text}");
        }
        for text in [
            "1,\"a\"b\",\"c\"",
            "1,\"a\"b\",\"c\",\"d\",5",
            "1,a\"b,\"c\",d",
            "\"a\"b\",\"c\",\"d\",5,6",
        ] {
            assert_eq!(split(text).0, torn, "{text}");
        }
        for text in ["\"a\"b\",\"c", "\"a\"b\",1,\"c", "\"say \"hi\","] {
            assert_eq!(split(text).0, Split::Open, "{text}");
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
            // However it goes on, it has no one reading.
            "\"1202\"5550101\",\"open",
        ] {
            assert_eq!(
                Splitter::new(CSV).split_strictly(text, &mut Fields::default()),
                Split::Torn(Problem::QuoteInside),
                "{text}"
            );
        }
    }
}

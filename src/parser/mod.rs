//! Parser: bytes of complete lines → one [`Record`], or the reason why not.
//!
//! A format is data: a [`Format`] says which columns there are, of what type, and what each means.
//! A preset is such a description shipped with the agent; an operator can write the same in the
//! configuration. There is one reader per *family* of formats.
//!
//! Columns never shift: a row whose count fits no layout is set aside, and quotes that could be
//! read in two ways are not read at all.

pub mod delimited;
pub mod document;
pub mod encoding;
pub mod format;
pub mod guess;
mod json;
mod key_value;
pub mod mapping;
pub mod pattern;
pub mod presets;
pub mod reader;
pub mod record;
pub mod reject;
pub mod template;
pub mod time;
mod xml;

pub use document::DocumentStep;
pub use format::{Column, Format, Layout, Meaning};
pub use record::{Record, Value};
pub use reject::{Problem, Reject};

use crate::clock::UnixMs;
use delimited::{Split, Splitter};
use encoding::Decoder;
use jiff::tz::TimeZone;
use key_value::Pairing;
use reader::{Dialect, Markup, Reader};
use record::{Fields, Scratch};
use std::borrow::Cow;
use std::collections::HashSet;

/// Most lines one record may span through an open quote.
///
/// Only free text spans lines (a user field, a caller's name); dozens of lines in one are a quote
/// that was never closed.
pub const RECORD_LINES_MAX: u32 = 64;

/// Whether files begin with a line of column names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Header {
    /// A line that holds column names, or nothing that fits the typed columns, is one.
    #[default]
    Auto,
    /// The first line of every file is one, and what is one for [`Header::Auto`].
    Present,
    /// No line is one.
    Absent,
}

/// What a parser needs to know beside the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Columns, types and meanings.
    pub format: Format,
    /// How bytes become text; before they are split.
    pub decoder: Decoder,
    /// The zone of times that carry none; rows with such times are set aside without it.
    pub timezone: Option<TimeZone>,
    /// Whether files begin with a line of column names.
    pub header: Header,
}

/// What the first of the given lines came to. `bytes` and `lines` are what it takes.
#[derive(Debug)]
pub enum Step<'a> {
    /// A record; it borrows the parser until the next step.
    Record {
        /// The record.
        record: Record<'a>,
        /// Bytes it takes, line ends included.
        bytes: usize,
        /// Lines it takes.
        lines: u32,
    },
    /// A blank line or a header: nothing was lost.
    Skipped {
        /// Bytes it takes.
        bytes: usize,
        /// Lines it takes.
        lines: u32,
    },
    /// A row of a kind that the format passes over, or a line that is none of its rows (another
    /// program's in the same log): not bad, not told, to be counted.
    Unwanted {
        /// Bytes it takes.
        bytes: usize,
        /// Lines it takes.
        lines: u32,
    },
    /// A row that does not fit; to be set aside.
    Rejected {
        /// What does not fit, and where in the row.
        reject: Reject,
        /// Bytes it takes.
        bytes: usize,
        /// Lines it takes.
        lines: u32,
    },
    /// A quote is open at the end of the lines given, and more may follow.
    More,
}

impl Step<'_> {
    /// Bytes and lines it takes; none when it waits for more.
    pub fn taken(&self) -> Option<(usize, u32)> {
        match *self {
            Self::Record { bytes, lines, .. }
            | Self::Skipped { bytes, lines }
            | Self::Unwanted { bytes, lines }
            | Self::Rejected { bytes, lines, .. } => Some((bytes, lines)),
            Self::More => None,
        }
    }
}

/// Reads records out of lines, by one format.
#[derive(Debug)]
pub struct Parser {
    settings: Settings,
    apart: Apart,
    scratch: Scratch,
    /// About when the lines were written: for dates without a year.
    reference: UnixMs,
    /// Lines that may continue a record are not waited for any more.
    impatient: bool,
    /// Records with a doubtful local time since the last question, and the first of these times.
    doubtful: Option<(u64, UnixMs)>,
}

/// What takes rows apart, by the format's family.
#[derive(Debug)]
enum Apart {
    Delimited(Box<Splitter>),
    Json,
    Pairs(Pairing),
    /// The paths of the values that any column wants.
    Xml(HashSet<String>),
    /// The format's own.
    Patterns,
}

/// How a candidate for a record turned out.
enum Reading {
    Good,
    Unwanted,
    Open,
    Bad(Reject),
}

/// How a record with an open quote goes on.
enum Further {
    /// With these bytes and lines; the last of them holds a quote.
    Lines { bytes: usize, lines: u32 },
    /// With lines that are not there yet.
    Later,
    /// Not at all: it is no record.
    Never,
}

impl Parser {
    /// A parser that reads by `settings`.
    pub fn new(settings: Settings) -> Parser {
        let apart = match settings.format.reader {
            Reader::Delimited(dialect) => Apart::Delimited(Box::new(Splitter::new(dialect))),
            Reader::JsonLines | Reader::Document(Markup::Json) => Apart::Json,
            Reader::KeyValue(pairs) => Apart::Pairs(Pairing::new(pairs)),
            Reader::Document(Markup::Xml) => Apart::Xml(document::paths(&settings.format)),
            Reader::Pattern => Apart::Patterns,
        };
        Parser {
            settings,
            apart,
            scratch: Scratch::default(),
            doubtful: None,
            reference: UnixMs::default(),
            impatient: false,
        }
    }

    /// Takes in about when the lines to come were written, for dates without a year; and whether a
    /// record that is whole as it stands is given out even where lines that continue it may follow.
    pub fn set_circumstances(&mut self, reference: UnixMs, impatient: bool) {
        self.reference = reference;
        self.impatient = impatient;
    }

    /// How many records since the last question had a local time in the hour that summer time
    /// repeats or leaves out and nothing else in the row decides, and the first of these times.
    pub fn take_doubtful(&mut self) -> Option<(u64, UnixMs)> {
        self.doubtful.take()
    }

    /// The format it reads by.
    pub fn format(&self) -> &Format {
        &self.settings.format
    }

    /// Reads the first record of `bytes`: complete lines, each with its line end. `at_start` says
    /// that they are the file's first; `last`, that none will follow them.
    ///
    /// A caller that can hold no more bytes than these must say `last` too, or [`Step::More`] will
    /// be the answer for ever.
    pub fn next(&mut self, bytes: &[u8], at_start: bool, last: bool) -> Step<'_> {
        let first = line_end(bytes);
        let line = bytes.get(..first).unwrap_or(bytes);
        let skipped = Step::Skipped {
            bytes: first,
            lines: 1,
        };
        if self.settings.format.reader == Reader::Pattern {
            return if is_blank(line) {
                skipped
            } else {
                self.next_by_pattern(bytes, last)
            };
        }
        let is_delimited = matches!(self.apart, Apart::Delimited(_));
        let announced = self.settings.header == Header::Present && at_start && is_delimited;
        if is_blank(line) {
            return skipped;
        }
        // What every row below would be read by, all of them wrongly.
        let header = |parser: &Parser| match parser.names_elsewhere(line) {
            Some(reject) => Step::Rejected {
                reject,
                bytes: first,
                lines: 1,
            },
            None => Step::Skipped {
                bytes: first,
                lines: 1,
            },
        };
        if announced {
            return header(self);
        }
        let (mut taken, mut lines) = (first, 1);
        let reject = loop {
            match self.read(bytes.get(..taken).unwrap_or(bytes)) {
                Reading::Good => {
                    let record = self.scratch.record(&self.settings.format);
                    note_doubtful(&mut self.doubtful, &record);
                    return Step::Record {
                        record,
                        bytes: taken,
                        lines,
                    };
                }
                Reading::Unwanted => {
                    return Step::Unwanted {
                        bytes: taken,
                        lines,
                    };
                }
                // What cannot be a record may be a line of names.
                Reading::Bad(reject) if lines == 1 && self.was_header(&reject, at_start) => {
                    return header(self);
                }
                Reading::Bad(reject) => break reject,
                Reading::Open => {}
            }
            let rest = bytes.get(taken..).unwrap_or_default();
            match self.further(rest, lines, last) {
                Further::Lines {
                    bytes: more,
                    lines: count,
                } => {
                    (taken, lines) = (taken + more, lines + count);
                }
                Further::Later => return Step::More,
                Further::Never => break Reject::row(Problem::QuoteNotClosed),
            }
        };
        // The first line alone is at fault; what follows it may be whole rows.
        let reject = match encoding::is_utf16(line) {
            true => Reject::row(Problem::Utf16),
            false => reject,
        };
        Step::Rejected {
            reject,
            bytes: first,
            lines: 1,
        }
    }

    /// Reads the first record of `bytes` by the format's patterns.
    fn next_by_pattern(&mut self, bytes: &[u8], last: bool) -> Step<'_> {
        let format = &self.settings.format;
        let zone = self.settings.timezone.as_ref();
        let first = line_end(bytes);
        let (line, mut flawed) =
            text_of(bytes.get(..first).unwrap_or(bytes), &self.settings.decoder);
        let line = pattern::without_colours(&line);
        let found = format
            .patterns
            .as_ref()
            .and_then(|patterns| Some((patterns, patterns.find(&line)?)));
        let Some((patterns, index)) = found else {
            return Step::Unwanted {
                bytes: first,
                lines: 1,
            };
        };
        let (mut taken, mut lines, mut text) = (first, 1, Cow::Borrowed(&*line));
        while patterns.can_continue(index) && lines < RECORD_LINES_MAX {
            let rest = bytes.get(taken..).unwrap_or_default();
            if rest.is_empty() && !last && !self.impatient {
                return Step::More;
            }
            let next = rest.get(..line_end(rest)).unwrap_or(rest);
            let (more, is_flawed) = text_of(next, &self.settings.decoder);
            let more = pattern::without_colours(&more);
            if next.is_empty() || patterns.continues(index, &more) != Some(true) {
                break;
            }
            (taken, lines) = (taken + next.len(), lines + 1);
            flawed |= is_flawed;
            let text = text.to_mut();
            text.push('\n');
            text.push_str(&more);
        }
        self.scratch.flawed = flawed;
        let Some(layout) = format.layouts.get(index) else {
            return Step::Unwanted {
                bytes: first,
                lines: 1,
            };
        };
        let fields = &mut self.scratch.fields;
        let written = pattern::Written {
            line: &line,
            text: &text,
            reference: self.reference,
            zone,
            dates: format.dates,
        };
        patterns.fill(index, &written, layout, fields);
        match self.scratch.judge_as(format, index, zone) {
            Ok(()) => {
                let record = self.scratch.record(format);
                note_doubtful(&mut self.doubtful, &record);
                Step::Record {
                    record,
                    bytes: taken,
                    lines,
                }
            }
            Err(reject) => Step::Rejected {
                reject,
                bytes: taken,
                lines,
            },
        }
    }

    /// How a record whose quote is open after `lines` lines goes on in `rest`: up to the next line
    /// that holds a quote.
    fn further(&mut self, rest: &[u8], lines: u32, last: bool) -> Further {
        let (mut taken, mut count) = (0, 0);
        loop {
            let open = rest.get(taken..).unwrap_or_default();
            let next = open.get(..line_end(open)).unwrap_or(open);
            if lines + count >= RECORD_LINES_MAX || (next.is_empty() && last) {
                return Further::Never;
            }
            if next.is_empty() {
                return Further::Later;
            }
            // A whole row stands where the text would go on: the quote was never meant to be open.
            if matches!(self.read(next), Reading::Good | Reading::Unwanted) {
                return Further::Never;
            }
            (taken, count) = (taken + next.len(), count + 1);
            if self.settings.format.reader.may_close_quote(next) {
                return Further::Lines {
                    bytes: taken,
                    lines: count,
                };
            }
        }
    }

    /// Whether `line` holds column names instead of a row; `at_start` says that it is the file's
    /// first.
    ///
    /// The first row of a file, which ids and file positions are made of, is the first line for
    /// which this is false.
    pub fn is_header(&self, line: &[u8], at_start: bool) -> bool {
        let Reader::Delimited(dialect) = self.settings.format.reader else {
            return false;
        };
        match self.settings.header {
            Header::Absent => false,
            Header::Present if at_start => true,
            Header::Present | Header::Auto => self
                .split_strictly(line, dialect)
                .is_some_and(|fields| self.names(&fields, at_start)),
        }
    }

    /// What is wrong with column names that are those of the format in other places.
    fn names_elsewhere(&self, line: &[u8]) -> Option<Reject> {
        let Reader::Delimited(dialect) = self.settings.format.reader else {
            return None;
        };
        let fields = self.split_strictly(line, dialect)?;
        delimited::elsewhere(&self.settings.format, &fields)
    }

    fn split_strictly(&self, line: &[u8], dialect: Dialect) -> Option<Fields> {
        let (text, _) = text_of(line, &self.settings.decoder);
        let mut fields = Fields::default();
        let split = Splitter::new(dialect).split_strictly(&text, &mut fields);
        (split == Split::Whole).then_some(fields)
    }

    /// Whether the line just refused for `reject` holds column names. The same as
    /// [`Parser::is_header`], without splitting it again.
    fn was_header(&self, reject: &Reject, at_start: bool) -> bool {
        self.settings.header != Header::Absent
            && matches!(self.apart, Apart::Delimited(_))
            && reject.problem != Problem::QuoteInside
            && self.names(&self.scratch.fields, at_start)
    }

    /// Whether `fields` are column names, or stand beside them.
    fn names(&self, fields: &Fields, at_start: bool) -> bool {
        let zone = self.settings.timezone.as_ref();
        delimited::is_preamble(fields)
            || delimited::is_header(&self.settings.format, fields, at_start, zone)
    }

    fn read(&mut self, bytes: &[u8]) -> Reading {
        let (text, flawed) = text_of(bytes, &self.settings.decoder);
        self.scratch.flawed = flawed;
        let format = &self.settings.format;
        let zone = self.settings.timezone.as_ref();
        let read = match &mut self.apart {
            Apart::Delimited(splitter) => {
                match splitter.split(&text, &mut self.scratch.fields, format) {
                    Split::Open => return Reading::Open,
                    Split::Torn(problem) => Err(Reject::row(problem)),
                    Split::Whole => self.scratch.judge(format, zone),
                }
            }
            Apart::Pairs(pairing) => match key_value::pairs_of(&text, &format.after) {
                None => Ok(false),
                Some((lead, pairs)) => pairing.split(pairs).map_err(Reject::row).and_then(|()| {
                    let index = self.scratch.fill(format, |name| match name {
                        key_value::LEAD if !lead.is_empty() => Some(Cow::Borrowed(lead)),
                        name => pairing.find(pairs, name).map(Cow::Borrowed),
                    });
                    self.scratch.judge_filled(format, index, zone)
                }),
            },
            // Those are read by `next_by_pattern`.
            Apart::Patterns => Ok(false),
            Apart::Json | Apart::Xml(_) => {
                return match self.read_document(&text, "") {
                    Ok(true) => Reading::Good,
                    Ok(false) => Reading::Unwanted,
                    Err(fault) => Reading::Bad(fault.reject),
                };
            }
        };
        match read {
            Ok(true) => Reading::Good,
            Ok(false) => Reading::Unwanted,
            Err(reject) => Reading::Bad(reject),
        }
    }
}

/// Counts a record with a doubtful local time.
fn note_doubtful(noted: &mut Option<(u64, UnixMs)>, record: &Record<'_>) {
    if let Some(at) = record.doubtful() {
        noted.get_or_insert((0, at)).0 += 1;
    }
}

/// The mark some programs put before text in Unicode.
const BOM: char = '\u{FEFF}';

/// Bytes of the first line of `bytes`, its line end included.
fn line_end(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1)
}

fn is_blank(line: &[u8]) -> bool {
    let line = line.strip_prefix(encoding::UTF8_BOM).unwrap_or(line);
    line.iter()
        .all(|byte| byte.is_ascii_whitespace() || *byte == 0)
}

/// The text of some lines without the last line end, a byte order mark, or the NUL bytes that a
/// truncated file begins with; and whether any byte could not be decoded.
fn text_of<'b>(bytes: &'b [u8], decoder: &Decoder) -> (Cow<'b, str>, bool) {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let nuls = line.iter().take_while(|byte| **byte == 0).count();
    let (text, flawed) = decoder.decode(line.get(nuls..).unwrap_or_default());
    // Judged after decoding: in GBK the three bytes of the UTF-8 mark begin an ordinary character.
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(BOM).unwrap_or(text)),
        Cow::Owned(text) if text.starts_with(BOM) => Cow::Owned(text.chars().skip(1).collect()),
        Cow::Owned(text) => Cow::Owned(text),
    };
    (text, flawed)
}

#[cfg(test)]
mod document_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod tests;

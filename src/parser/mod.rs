//! Parser: bytes of complete lines → one [`Record`], or the reason why not.
//!
//! A format is data: a [`Format`] says which columns there are, of what type, and what each means.
//! A preset is such a description shipped with the agent; an operator can write the same in the
//! configuration. There is one reader per *family* of formats.
//!
//! Columns never shift: a row whose count fits no layout is set aside, and quotes that could be
//! read in two ways are not read at all.

pub mod delimited;
pub mod encoding;
pub mod format;
pub mod json_lines;
pub mod presets;
pub mod record;
pub mod reject;
pub mod time;

pub use format::{Column, Format, Layout, Meaning};
pub use record::{Record, Value};
pub use reject::{Problem, Reject};

use encoding::Decoder;
use format::Reader;
use jiff::tz::TimeZone;
use record::Scratch;
use std::borrow::Cow;

/// Most lines one record may span through an open quote.
///
/// Only free text spans lines (a user field, a caller's name); dozens of lines in one are a quote
/// that was never closed.
pub const RECORD_LINES_MAX: usize = 64;

/// Whether files begin with a line of column names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Header {
    /// A line that holds column names, or nothing that fits the typed columns, is one.
    #[default]
    Auto,
    /// The first line of every file is one.
    Present,
    /// No line is one.
    Absent,
}

/// What a parser needs to know beside the bytes.
#[derive(Debug, Clone)]
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

/// Reads records out of lines, by one format.
#[derive(Debug)]
pub struct Parser {
    settings: Settings,
    scratch: Scratch,
}

/// How a candidate for a record turned out.
enum Reading {
    Good,
    Open,
    Bad(Reject),
}

impl Parser {
    /// A parser that reads by `settings`.
    pub fn new(settings: Settings) -> Parser {
        Parser {
            settings,
            scratch: Scratch::default(),
        }
    }

    /// The format it reads by.
    pub fn format(&self) -> &Format {
        &self.settings.format
    }

    /// Reads the first record of `bytes`: complete lines, each with its line end. `at_start` says
    /// that they are the file's first; `last`, that none will follow them.
    pub fn next(&mut self, bytes: &[u8], at_start: bool, last: bool) -> Step<'_> {
        let first = line_end(bytes);
        let line = bytes.get(..first).unwrap_or(bytes);
        let header = self.settings.header == Header::Present && at_start;
        if header || is_blank(line) {
            return Step::Skipped {
                bytes: first,
                lines: 1,
            };
        }
        let mut taken = first;
        let mut lines = 1;
        loop {
            match self.read(bytes.get(..taken).unwrap_or(bytes)) {
                Reading::Good => {
                    return Step::Record {
                        record: self.scratch.record(&self.settings.format),
                        bytes: taken,
                        lines,
                    };
                }
                // What cannot be a record may be a line of names.
                Reading::Bad(_) if lines == 1 && self.is_header(line) => {
                    return Step::Skipped {
                        bytes: first,
                        lines: 1,
                    };
                }
                Reading::Bad(reject) => {
                    return Step::Rejected {
                        reject,
                        bytes: first,
                        lines: 1,
                    };
                }
                Reading::Open => {}
            }
            let rest = bytes.get(taken..).unwrap_or_default();
            if rest.is_empty() && !last && (lines as usize) < RECORD_LINES_MAX {
                return Step::More;
            }
            let next = rest.get(..line_end(rest)).unwrap_or(rest);
            let resume = !next.is_empty() && matches!(self.read(next), Reading::Good);
            if rest.is_empty() || resume || lines as usize >= RECORD_LINES_MAX {
                // A whole row stands where the text would go on, or the quote is never closed:
                // the first line alone is at fault.
                return Step::Rejected {
                    reject: Reject::row(Problem::QuoteNotClosed),
                    bytes: first,
                    lines: 1,
                };
            }
            taken += next.len();
            lines += 1;
        }
    }

    /// Whether `line` holds column names instead of a row.
    pub fn is_header(&mut self, line: &[u8]) -> bool {
        match self.settings.header {
            Header::Absent | Header::Present => false,
            Header::Auto => {
                let text = text_of(line, &self.settings.decoder);
                delimited::is_header(
                    &self.settings.format,
                    &text.0,
                    &mut self.scratch,
                    self.settings.timezone.as_ref(),
                )
            }
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Reading {
        let (text, flawed) = text_of(bytes, &self.settings.decoder);
        self.scratch.flawed = flawed;
        let zone = self.settings.timezone.as_ref();
        let read = match &self.settings.format.reader {
            Reader::Delimited(dialect) => {
                match delimited::split(*dialect, &text, &mut self.scratch) {
                    delimited::Split::Open => return Reading::Open,
                    delimited::Split::Torn(problem) => Err(Reject::row(problem)),
                    delimited::Split::Whole => self.scratch.judge(&self.settings.format, zone),
                }
            }
            Reader::JsonLines => json_lines::read(&self.settings.format, &text, &mut self.scratch)
                .and_then(|()| self.scratch.judge(&self.settings.format, zone)),
        };
        match read {
            Ok(()) => Reading::Good,
            Err(reject) => Reading::Bad(reject),
        }
    }
}

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
    let line = line.get(nuls..).unwrap_or_default();
    let line = line.strip_prefix(encoding::UTF8_BOM).unwrap_or(line);
    decoder.decode(line)
}

#[cfg(test)]
mod tests;

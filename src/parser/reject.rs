//! Reject: why a row is not a record. The row is set aside; reading goes on.

use super::time::TimeProblem;
use std::fmt;

/// Most characters of a value that a message shows.
const SHOWN_CHARS_MAX: usize = 24;

/// What does not fit, and in which column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The column, from 1, and its name in the format; `None` when the row as a whole is at fault.
    pub column: Option<(usize, String)>,
    /// What does not fit.
    pub problem: Problem,
}

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The row has `found` fields, where the format has one of `expected`.
    FieldCount {
        /// Fields of the row.
        found: usize,
        /// Field counts of the format's layouts.
        expected: Vec<usize>,
    },
    /// The row has as many fields as several layouts, and none of them is chosen.
    LayoutNotChosen {
        /// Fields of the row.
        found: usize,
        /// The layouts' names.
        names: Vec<String>,
    },
    /// The name of the format's column of this number, from 1, stands above another one.
    Elsewhere(usize),
    /// Every field is empty.
    Empty,
    /// A quote is opened and never closed.
    QuoteNotClosed,
    /// A quote stands inside a field without being doubled: the row could be read in two ways.
    QuoteInside,
    /// The value, shortened and masked, is not a whole number.
    NotInteger(String),
    /// The value, shortened and masked, is not an amount.
    NotMoney(String),
    /// The value, shortened and masked, is not a length of time.
    NotDuration(String),
    /// The value, shortened and masked, may be minutes and seconds, or hours and minutes.
    NotSeconds(String),
    /// The value, shortened and masked, is not a time.
    NotTime(String),
    /// The value, shortened and masked, names a zone by letters that are not the source's.
    OtherZone(String),
    /// The value is a local time, and the source has no time zone.
    NoTimeZone,
    /// There is neither a beginning nor an end: nothing says when it happened.
    MissingTime,
    /// The value, shortened and masked, is no state of an alarm.
    NotState(String),
    /// The row lacks what its event cannot be without: the word for it.
    Missing(&'static str),
    /// What would be told of the row is longer than the queue keeps.
    TooLong,
    /// The line is not a JSON object; what the reader says of it.
    NotJson(String),
    /// The text is not an XML document; what the reader says of it.
    NotXml(String),
    /// The document is longer than [`super::document::DOCUMENT_BYTES_MAX`].
    DocumentTooLong,
    /// No layout of the format is for such a document.
    NoLayout,
    /// The bytes are UTF-16.
    Utf16,
}

impl Reject {
    /// The row as a whole is at fault.
    pub fn row(problem: Problem) -> Reject {
        Reject {
            column: None,
            problem,
        }
    }

    /// The value of the column at `index` (from 0), called `name`, is no time.
    pub fn time(index: usize, name: &str, value: &str, problem: TimeProblem) -> Reject {
        let problem = match problem {
            TimeProblem::Shape => Problem::NotTime(shown(value)),
            TimeProblem::NoZone => Problem::NoTimeZone,
            TimeProblem::OtherZone => Problem::OtherZone(shown(value)),
        };
        Reject {
            column: Some((index + 1, name.to_owned())),
            problem,
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((column, name)) = &self.column {
            write!(f, "field {column} ({name}): ")?;
        }
        self.problem.fmt(f)
    }
}

/// Whether `value` begins with a date of three numbers with its year behind.
fn has_year_behind(value: &str) -> bool {
    let day = value.split([' ', ',']).next().unwrap_or_default();
    let is_number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = day.split(['/', '-', '.']).collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    parts.iter().all(is_number) && matches!(lengths.as_slice(), [1 | 2, 1 | 2, 2 | 4])
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldCount { found, expected } => {
                let counts: Vec<String> = expected.iter().map(ToString::to_string).collect();
                write!(f, "{found} fields, expected {}", counts.join(" or "))
            }
            Self::LayoutNotChosen { found, names } => {
                let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                let names = names.join(" or ");
                write!(
                    f,
                    "{found} fields fit more than one layout; write columns = {names}"
                )
            }
            Self::Elsewhere(column) => write!(
                f,
                "the format has that name as field {column}: the rows below are read by their places, and wrongly; write them in the format's order, or columns in theirs"
            ),
            Self::Empty => f.write_str("every field is empty"),
            Self::QuoteNotClosed => f.write_str("a quote is opened and not closed"),
            Self::QuoteInside => f.write_str("a quote stands inside a field without being doubled"),
            Self::NotInteger(value) => write!(f, "{value:?} is not a whole number"),
            Self::NotMoney(value) => write!(f, "{value:?} is not an amount"),
            Self::NotDuration(value) => write!(f, "{value:?} is not a length of time"),
            Self::NotSeconds(value) => write!(
                f,
                "{value:?} is not a length of time in seconds: of minutes and seconds write type = \"minutes\""
            ),
            Self::NotTime(value) if has_year_behind(value) => write!(
                f,
                "{value:?} is not a time: where the year stands behind write dates = \"dmy\" or \"mdy\", whichever it is"
            ),
            Self::NotTime(value) => write!(f, "{value:?} is not a time"),
            Self::OtherZone(value) => write!(
                f,
                "{value:?} names a time zone by letters that the source's timezone does not have then: write the switch's own, like timezone = \"America/New_York\" for EDT"
            ),
            Self::NoTimeZone => f.write_str("a local time, but the source has no timezone"),
            Self::MissingTime => f.write_str("neither a beginning nor an end of the call"),
            Self::NotState(value) => write!(
                f,
                "{value:?} is neither raised nor cleared; the state = {{ … = \"raised\" }} of a pattern says what it means"
            ),
            Self::Missing(what) => write!(f, "there is no {what}"),
            Self::TooLong => f.write_str("too long for an event"),
            Self::NotJson(what) => write!(f, "not a JSON object: {what}"),
            Self::NotXml(what) => write!(f, "not an XML document: {what}"),
            Self::DocumentTooLong => f.write_str("the document is longer than 1 MiB"),
            Self::NoLayout => f.write_str("no layout of the format is for such a document"),
            Self::Utf16 => f.write_str(
                "the file is UTF-16, in which lines cannot be found; have it written as UTF-8",
            ),
        }
    }
}

impl std::error::Error for Reject {}

/// A short piece of `value` that is fit for a log: of seven digits in a row and more only the last
/// two are shown, for they may be somebody's number.
pub fn shown(value: &str) -> String {
    let mut text = String::new();
    for (count, letter) in value.chars().enumerate() {
        if count == SHOWN_CHARS_MAX {
            text.push('…');
            break;
        }
        let rest = value
            .chars()
            .skip(count)
            .take_while(char::is_ascii_digit)
            .count();
        let before = value.chars().take(count).collect::<Vec<_>>();
        let behind = before
            .iter()
            .rev()
            .take_while(|letter| letter.is_ascii_digit())
            .count();
        let hidden = rest > 2 && rest + behind >= 7;
        text.push(if hidden { '*' } else { letter });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telephone_number_in_a_wrong_column_is_not_shown() {
        assert_eq!(shown("+442079460101"), "+**********01");
        assert_eq!(shown("12.5x"), "12.5x");
        assert_eq!(shown(&"ab".repeat(40)), format!("{}…", "ab".repeat(12)));
    }

    #[test]
    fn a_date_with_its_year_behind_is_answered_with_the_key_that_reads_it() {
        for (text, is_hinted) in [
            ("03/13/2024 09:15:22", true),
            ("13.3.24, 09:15", true),
            ("2024-13-45 14:01:28", false),
            ("Totals", false),
            ("192.0.2.1", false),
            ("13/Mar/2024", false),
        ] {
            let said = Problem::NotTime(text.to_string()).to_string();
            assert_eq!(said.contains("dates = "), is_hinted, "{said}");
        }
    }

    #[test]
    fn a_reject_names_the_column_as_an_operator_counts() {
        let reject = Reject::time(2, "startTime", "2026-13-45 14:01:28", TimeProblem::Shape);
        assert_eq!(
            reject.to_string(),
            "field 3 (startTime): \"2026-13-45 14:01:28\" is not a time"
        );
    }
}

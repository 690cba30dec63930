//! One table of a configuration file while it is being checked: reads its keys, and notes every
//! problem with its line.

use super::file::Loaded;
use super::problem::Problems;
use super::value;
use super::written::{Key, Written};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where keys are being read, and where their problems go.
#[derive(Debug)]
pub struct Place<'a> {
    loaded: &'a Loaded,
    /// `endpoint "billing"`, or empty at the top of the file.
    table: String,
    /// Where the table begins, where that is known: the line of what is missing in it.
    begins: Option<usize>,
    problems: &'a mut Problems,
}

/// The one of `known` that differs from `name` in the fewest letters, if those are few.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let known = known.map(|other| (strsim::damerau_levenshtein(other, name), other));
    let near = known.filter(|(distance, other)| *distance <= 3 && *distance * 2 < other.len());
    near.min().map(|(_, other)| other)
}

impl<'a> Place<'a> {
    /// The table called `table` of `loaded`.
    pub fn new(
        loaded: &'a Loaded,
        table: impl Into<String>,
        problems: &'a mut Problems,
    ) -> Place<'a> {
        Place {
            loaded,
            table: table.into(),
            begins: None,
            problems,
        }
    }

    /// The same, of the table with this `index` in the list called `list`.
    pub fn of_list(self, list: &str, index: usize) -> Place<'a> {
        Place {
            begins: self.loaded.table_line(list, index),
            ..self
        }
    }

    /// How many problems there are so far, in all tables.
    pub fn problems(&self) -> usize {
        self.problems.0.len()
    }

    /// Notes a problem with `key`, at the line of `written` where it is there.
    pub fn problem<T>(&mut self, key: &str, written: &Key<T>, what: impl Into<String>) {
        let line = written
            .as_ref()
            .map(|spanned| self.loaded.line(spanned.span().start))
            .or(self.begins);
        let key = match (self.table.is_empty(), key.is_empty()) {
            (true, _) => key.to_string(),
            (false, true) => self.table.clone(),
            (false, false) => format!("{}: {key}", self.table),
        };
        self.problems.add(&self.loaded.path, line, key, what);
    }

    /// The key's value where it is there and of its type; `like` is an example of one.
    pub fn given<'k, T>(&mut self, key: &str, written: &'k Key<T>, like: &str) -> Option<&'k T> {
        match written.as_ref()?.get_ref() {
            Written::As(value) => Some(value),
            Written::Not(found) => {
                self.problem(
                    key,
                    written,
                    format!("{found} does not belong here; write {key} = {like}"),
                );
                None
            }
        }
    }

    /// The key's value; a problem where it is missing.
    pub fn required<'k, T>(&mut self, key: &str, written: &'k Key<T>, like: &str) -> Option<&'k T> {
        if written.is_none() {
            self.problem(key, written, format!("missing; write {key} = {like}"));
        }
        self.given(key, written, like)
    }

    /// A time with its unit, within `range`.
    pub fn duration(
        &mut self,
        key: &str,
        written: &Key<String>,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        self.with_unit(key, written, default, range, value::duration, |span| {
            value::show_duration(*span)
        })
    }

    /// A size with its unit, in bytes, within `range`.
    pub fn bytes(
        &mut self,
        key: &str,
        written: &Key<String>,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> u64 {
        self.with_unit(key, written, default, range, value::bytes, |size| {
            value::show_bytes(*size)
        })
    }

    /// A whole number within `range`.
    pub fn number(
        &mut self,
        key: &str,
        written: &Key<i64>,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> i64 {
        let Some(number) = self.given(key, written, &default.to_string()).copied() else {
            return default;
        };
        self.within(key, written, number, &range, i64::to_string)
            .unwrap_or(default)
    }

    /// One of a few words.
    pub fn choice<T: Copy>(
        &mut self,
        key: &str,
        written: &Key<String>,
        default: T,
        choices: &[(&str, T)],
    ) -> T {
        let words = choices
            .iter()
            .map(|(word, _)| format!("{word:?}"))
            .collect::<Vec<_>>()
            .join(" or ");
        let Some(text) = self.given(key, written, &words) else {
            return default;
        };
        match choices.iter().find(|(word, _)| word == text) {
            Some((_, choice)) => *choice,
            None => {
                self.problem(
                    key,
                    written,
                    format!("{text:?} is not known; write {words}"),
                );
                default
            }
        }
    }

    /// True or false.
    pub fn truth(&mut self, key: &str, written: &Key<bool>, default: bool) -> bool {
        self.given(key, written, &default.to_string())
            .copied()
            .unwrap_or(default)
    }

    /// A path; a relative one is taken from the directory of the configuration file.
    pub fn path(&mut self, key: &str, written: &Key<String>, like: &str) -> Option<PathBuf> {
        let text = self.given(key, written, like)?;
        Some(self.resolve(text))
    }

    /// The configuration file.
    pub fn file(&self) -> &Path {
        &self.loaded.path
    }

    /// `text` as a path from the directory of the configuration file.
    pub fn resolve(&self, text: &str) -> PathBuf {
        self.loaded
            .path
            .parent()
            .unwrap_or_else(|| Path::new(""))
            .join(text)
    }

    fn with_unit<T: PartialOrd>(
        &mut self,
        key: &str,
        written: &Key<String>,
        default: T,
        range: RangeInclusive<T>,
        read: fn(&str) -> Result<T, String>,
        show: fn(&T) -> String,
    ) -> T {
        // A bare number is of the wrong type, but deserves the same advice as one in quotes.
        let text = match written.as_ref().map(toml::Spanned::get_ref) {
            None => return default,
            Some(Written::As(text)) => text.clone(),
            Some(Written::Not(found)) => match found.strip_prefix("the number ") {
                Some(number) => number.to_string(),
                None => {
                    self.problem(
                        key,
                        written,
                        format!(
                            "{found} does not belong here; write {key} = \"{}\"",
                            show(&default)
                        ),
                    );
                    return default;
                }
            },
        };
        match read(&text) {
            Ok(value) => self
                .within(key, written, value, &range, show)
                .unwrap_or(default),
            Err(advice) => {
                self.problem(
                    key,
                    written,
                    format!("{text:?} has no meaning here; {advice}"),
                );
                default
            }
        }
    }

    fn within<T: PartialOrd, K>(
        &mut self,
        key: &str,
        written: &Key<K>,
        value: T,
        range: &RangeInclusive<T>,
        show: fn(&T) -> String,
    ) -> Option<T> {
        if range.contains(&value) {
            return Some(value);
        }
        let what = format!(
            "{} is out of range; write {} to {}",
            show(&value),
            show(range.start()),
            show(range.end())
        );
        self.problem(key, written, what);
        None
    }
}

/// The label of a table in messages: `endpoint "billing"`, or `endpoint 2` while it has no name.
pub fn label(kind: &str, name: &Key<String>, index: usize) -> String {
    match name.as_ref().map(toml::Spanned::get_ref) {
        Some(Written::As(name)) => format!("{kind} {name:?}"),
        _ => format!("{kind} {}", index + 1),
    }
}

/// Whether a name can be used for a source or an endpoint: in keys of the queue, in log lines and
/// as an argument. Letters, digits, `.`, `_` and `-`; at most [`NAME_BYTES_MAX`] bytes.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed)
}

/// Longest name of a source or an endpoint, in bytes: a column of `status` and a thread's name.
pub const NAME_BYTES_MAX: usize = 64;

/// A list as it reads in a sentence.
pub fn listed<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

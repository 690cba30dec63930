//! The family of text logs: a line is a record when one of the format's patterns matches it.
//!
//! A pattern is a regular expression with named groups, and says what its lines tell: the first one
//! that matches counts, a line that none matches is passed over and counted. Matching takes time in
//! proportion to the line, whatever the expression is. Classes like `\w` and `\d` mean ASCII.

use super::format::{
    CALL, Column, ColumnTable, Format, FormatProblem, FormatTable, Layout, LayoutTable, Meaning,
    Reader, StartIs, check_column, check_event, dates, layout,
};
use super::record::Fields;
use super::time::{self, Dates};
use crate::clock::UnixMs;
use jiff::tz::TimeZone;
use regex_lite::{Captures, Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most patterns of one source: every line that none of them wants is tried with each.
pub const PATTERNS_MAX: usize = 64;

/// Longest expression, in bytes, and most memory one takes once compiled.
const MATCH_BYTES_MAX: usize = 4 << 10;
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Most fields of one pattern.
const FIELDS_MAX: usize = 64;

/// Most bytes of a record with its continuation lines that its `$text` holds: a stack trace.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The field that holds the first line, and the one that holds it with all that continue it.
const LINE: &str = "line";
const TEXT: &str = "text";

/// A pattern as written: nothing checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternTable {
    /// The expression, with named groups.
    #[serde(rename = "match")]
    pub expression: String,
    /// Type of the events.
    pub event: String,
    /// What `data` holds, by key: `"$group"`, a literal text, or a [`FieldKeys`] table. Groups not
    /// named here are fields under their own names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, FieldTable>,
    /// Expression of the lines that belong to the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<String>,
    /// `raised` or `cleared`, or what else happened, like `started`; or such words by the words of
    /// the field `state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateTable>,
    /// The fields by which raise and clear, or repeats, are known to be about the same thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Vec<String>>,
    /// Time within which a repeat is counted and not told, with its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_every: Option<String>,
}

/// A field as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FieldTable {
    /// `"$group"`, or a literal.
    Text(String),
    /// With a type, or with a map.
    Keys(FieldKeys),
}

/// A field with more to say of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldKeys {
    /// The group, without `$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// A literal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The type, as of a column.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What to tell instead of some texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<String, String>,
}

/// The state as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StateTable {
    /// Of every line of the pattern.
    Always(String),
    /// By the words of the field `state`.
    ByWord(BTreeMap<String, String>),
}

/// How reports of one thing belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// The columns that tell one thing from another.
    pub key: Vec<usize>,
    /// Time within which a repeat is counted and not told; `None` until the configuration, which
    /// knows how times are written, has said so.
    pub repeat_every: Option<Duration>,
}

/// A record as it stands in a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'a> {
    /// Its first line.
    pub(super) line: &'a str,
    /// All of its lines.
    pub(super) text: &'a str,
    /// About when it was written.
    pub(super) reference: UnixMs,
    /// The zone of times that carry none.
    pub(super) zone: Option<&'a TimeZone>,
    /// The order of a date's numbers.
    pub(super) dates: Dates,
}

/// The patterns of a format, each with the layout at the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

#[derive(Debug, Clone)]
struct Pattern {
    table: PatternTable,
    expression: Regex,
    /// What every matching line holds: looked for first, because the expression would look at every
    /// place of a line that cannot match.
    literal: Option<String>,
    continues: Option<Regex>,
    fields: Vec<Field>,
}

/// Compiled from equal tables, patterns are equal.
impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.table == other.table
    }
}

impl Eq for Pattern {}

#[derive(Debug, Clone)]
struct Field {
    from: From,
    map: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    Group(String),
    Literal(String),
    Line,
    Text,
}

impl Patterns {
    /// The place of the first pattern that matches `line`.
    pub(super) fn find(&self, line: &str) -> Option<usize> {
        self.0.iter().position(|pattern| pattern.matches(line))
    }

    /// Whether `line` continues a record of the pattern at `index`; `None` where none ever does.
    pub(super) fn continues(&self, index: usize, line: &str) -> Option<bool> {
        let continues = self.0.get(index)?.continues.as_ref()?;
        Some(continues.is_match(line))
    }

    /// Whether lines can continue a record of the pattern at `index`.
    pub(super) fn can_continue(&self, index: usize) -> bool {
        self.0
            .get(index)
            .is_some_and(|pattern| pattern.continues.is_some())
    }

    /// Takes the fields of what the pattern at `index` matches out of it, for the columns of `layout`.
    pub(super) fn fill(
        &self,
        index: usize,
        written: &Written<'_>,
        layout: &Layout,
        fields: &mut Fields,
    ) {
        let Written { line, text, .. } = *written;
        fields.clear();
        let Some(pattern) = self.0.get(index) else {
            return;
        };
        let captures = pattern.expression.captures(line);
        for (field, column) in pattern.fields.iter().zip(&layout.columns) {
            let found = field.value(captures.as_ref(), line, text);
            let told = field.map.get(found.trim()).map_or(found, String::as_str);
            if column.kind == super::format::Kind::Time {
                fields.push(&with_year(told, written));
            } else {
                fields.push(told);
            }
        }
    }

    /// The tables they were made of.
    pub fn tables(&self) -> impl Iterator<Item = &PatternTable> {
        self.0.iter().map(|pattern| &pattern.table)
    }

    /// Whether any of them has continuation lines.
    pub fn may_continue(&self) -> bool {
        self.0.iter().any(|pattern| pattern.continues.is_some())
    }
}

impl Pattern {
    fn matches(&self, line: &str) -> bool {
        let holds =
            |literal: &String| memchr::memmem::find(line.as_bytes(), literal.as_bytes()).is_some();
        self.literal.as_ref().is_none_or(holds) && self.expression.is_match(line)
    }
}

impl Field {
    fn value<'t>(
        &'t self,
        captures: Option<&Captures<'t>>,
        line: &'t str,
        text: &'t str,
    ) -> &'t str {
        match &self.from {
            From::Group(name) => captures
                .and_then(|captures| captures.name(name))
                .map_or("", |group| group.as_str()),
            From::Literal(literal) => literal,
            From::Line => line,
            From::Text => shortened(text, TEXT_BYTES_MAX),
        }
    }
}

/// The format that the patterns of `table` describe.
///
/// # Errors
///
/// Everything that stands in the way, at once. A problem's pattern is named in its text, from 1.
pub(super) fn format(table: &FormatTable) -> Result<Format, Vec<FormatProblem>> {
    let mut problems = Vec::new();
    if table.pattern.is_empty() {
        problems.push(FormatProblem {
            key: "pattern",
            what: "there are no patterns; add [[source.pattern]] with match and event".to_string(),
        });
    }
    if table.pattern.len() > PATTERNS_MAX {
        problems.push(FormatProblem {
            key: "pattern",
            what: format!(
                "there are more than {PATTERNS_MAX} patterns; put some into another source"
            ),
        });
    }
    let dates = dates(table, &mut |key, what| {
        problems.push(FormatProblem { key, what });
    });
    let (mut patterns, mut layouts) = (Vec::new(), Vec::new());
    for (index, written) in table.pattern.iter().enumerate() {
        match compile(written, index) {
            Ok((pattern, layout)) => {
                patterns.push(pattern);
                layouts.push(layout);
            }
            Err(found) => problems.extend(found.into_iter().map(|problem| FormatProblem {
                what: format!("pattern {}: {}", index + 1, problem.what),
                ..problem
            })),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Format {
        name: table.name.clone(),
        title: table.title.clone(),
        provisional: table.provisional,
        notes: table.notes.clone(),
        event: layouts
            .first()
            .map_or(String::new(), |layout: &Layout| layout.event.to_string()),
        reader: Reader::Pattern,
        id_keys: Vec::new(),
        start_is: StartIs::Setup,
        after: Vec::new(),
        encoded_under: None,
        nothing: Vec::new(),
        local_times: table.local_times,
        dates,
        patterns: Some(Patterns(patterns)),
        layouts,
    })
}

/// Compiles one pattern, the one at `index`, with the layout of what it tells.
///
/// # Errors
///
/// Everything that stands in the way; each problem's key is a key of [`PatternTable`].
pub fn compile_one(table: &PatternTable, index: usize) -> Result<(), Vec<FormatProblem>> {
    compile(table, index).map(|_| ())
}

fn compile(table: &PatternTable, index: usize) -> Result<(Pattern, Layout), Vec<FormatProblem>> {
    let mut problems = Vec::new();
    let mut problem = |key, what: String| problems.push(FormatProblem { key, what });
    let expression = expression("match", &table.expression, &mut problem);
    let continues = table
        .continues
        .as_ref()
        .and_then(|text| self::expression("continues", text, &mut problem));
    // Without its groups nothing more can be said of a pattern.
    let Some(expression) = expression else {
        return Err(problems);
    };
    let groups: Vec<String> = expression
        .capture_names()
        .flatten()
        .map(str::to_owned)
        .collect();
    if groups.is_empty() {
        let what = "it has no named groups, and so tells nothing; write like '^(?<time>\\S+ \\S+) (?<message>.*)'";
        problem("match", what.to_string());
        return Err(problems);
    }
    let mut written = wanted(table, &groups);
    let fixed_state = match &table.state {
        Some(StateTable::Always(word)) => {
            let text = FieldTable::Text(word.clone());
            written.retain(|(key, _)| key != Meaning::State.word());
            written.push((Meaning::State.word().to_owned(), text));
            vec![word]
        }
        Some(StateTable::ByWord(words)) => words.values().collect(),
        None => Vec::new(),
    };
    let tells_edges = fixed_state
        .iter()
        .all(|word| *word == "raised" || *word == "cleared");
    let pairs = is_paired(table, tells_edges);
    for word in fixed_state.into_iter().filter(|_| pairs) {
        if word != "raised" && word != "cleared" {
            problem(
                "state",
                format!(
                    "{word:?} is no state; write \"raised\" or \"cleared\", or a map like {{ down = \"raised\", up = \"cleared\" }}"
                ),
            );
        }
    }
    if written.len() > FIELDS_MAX {
        problem("fields", format!("there are more than {FIELDS_MAX} fields"));
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (key, field) in &written {
        let (mut field, kind) = read_field(key, field, &groups, &mut problem);
        let meaning = Meaning::ALL
            .iter()
            .find(|(word, _)| word == key)
            .map(|(_, meaning)| *meaning);
        if let (Some(StateTable::ByWord(words)), Some(Meaning::State)) = (&table.state, meaning) {
            field.map.clone_from(words);
        }
        let needed = meaning.and_then(super::format::kind_of);
        let column = ColumnTable {
            name: key.clone(),
            kind: kind.or_else(|| needed.map(|kind| super::format::word_of(kind).to_owned())),
            meaning: meaning.map(|meaning| meaning.word().to_owned()),
            ..ColumnTable::default()
        };
        let reader = Some(Reader::Pattern);
        columns.push(check_column(&column, reader, &mut |_, what| {
            problem("fields", what)
        }));
        fields.push(field);
    }
    if matches!(table.state, Some(StateTable::ByWord(_)))
        && !written.iter().any(|(key, _)| key == Meaning::State.word())
    {
        problem(
            "state",
            "there is no field called state to be mapped; name a group (?<state>…)".to_string(),
        );
    }
    let pairing = pairs
        .then(|| pairing(table, &columns, &mut problem))
        .flatten();
    let named = LayoutTable {
        name: format!("pattern {}", index + 1),
        event: Some(table.event.clone()),
        ..LayoutTable::default()
    };
    let mut described = layout(
        &named,
        columns,
        &FormatTable::default(),
        &table.event,
        &mut |_, what| problem("fields", what),
    );
    described.pairing = pairing;
    // Of a call, `time` is when its line was written.
    let group = match table.event == CALL {
        true => "name a group (?<start_time>…), or a field",
        false => "name a group (?<time>…), or a field",
    };
    check_event(std::slice::from_ref(&described), &mut |_, what: String| {
        let what = what
            .replace("no column says", "no field says")
            .replace("mark one with type = \"time\", as =", group)
            .replace("or as = \"event_time\"", "or call the group (?<time>…)")
            .replace(
                "a column for it; mark one as =",
                "a field for it; name a group or a field",
            );
        problem("fields", what);
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    let pattern = Pattern {
        literal: required_literal(&table.expression),
        table: table.clone(),
        expression,
        continues,
        fields,
    };
    Ok((pattern, described))
}

/// The fields in the order in which they are told: groups as they stand in the expression, then
/// what comes from elsewhere, by key.
fn wanted(table: &PatternTable, groups: &[String]) -> Vec<(String, FieldTable)> {
    let group_of = |field: &FieldTable| match field {
        FieldTable::Text(text) => text.strip_prefix('$').map(str::to_owned),
        FieldTable::Keys(keys) => keys.group.clone(),
    };
    let mut wanted = Vec::new();
    for group in groups {
        let mut named = table
            .fields
            .iter()
            .filter(|(_, field)| group_of(field).as_ref() == Some(group))
            .peekable();
        if named.peek().is_none() {
            let key = key_of(group, &table.event);
            // A field of that name from elsewhere counts before the group.
            if !table.fields.contains_key(key) {
                wanted.push((key.to_owned(), FieldTable::Text(format!("${group}"))));
            }
        }
        wanted.extend(named.map(|(key, field)| (key.clone(), field.clone())));
    }
    for (key, field) in &table.fields {
        if group_of(field).is_none_or(|group| !groups.contains(&group)) {
            wanted.push((key.clone(), field.clone()));
        }
    }
    wanted
}

/// The key of a group that no field names: its own name, but for the short names of what every
/// alarm or balance has.
fn key_of<'g>(group: &'g str, event: &str) -> &'g str {
    match (event, group) {
        (_, "time") => Meaning::EventTime.word(),
        ("alarm", "type") => Meaning::AlarmType.word(),
        ("alarm", "name") => Meaning::AlarmObject.word(),
        ("balance_alert" | "account" | "payment", "account") => Meaning::AccountId.word(),
        ("balance_alert" | "account" | "payment", "balance") => Meaning::Balance.word(),
        ("balance_alert", "threshold") => Meaning::Threshold.word(),
        _ => group,
    }
}

fn read_field(
    key: &str,
    written: &FieldTable,
    groups: &[String],
    problem: &mut impl FnMut(&'static str, String),
) -> (Field, Option<String>) {
    let keys = match written {
        FieldTable::Text(text) => match text.strip_prefix('$') {
            Some(group) => FieldKeys {
                group: Some(group.to_owned()),
                ..FieldKeys::default()
            },
            None => FieldKeys {
                text: Some(text.clone()),
                ..FieldKeys::default()
            },
        },
        FieldTable::Keys(keys) => keys.clone(),
    };
    let from = match (keys.group, keys.text) {
        (Some(group), None) if groups.contains(&group) => From::Group(group),
        (Some(group), None) if group == LINE => From::Line,
        (Some(group), None) if group == TEXT => From::Text,
        (None, Some(text)) => From::Literal(text),
        (Some(group), None) => {
            let known = groups
                .iter()
                .map(String::as_str)
                .chain([LINE, TEXT])
                .map(|name| format!("${name}"))
                .collect::<Vec<_>>()
                .join(", ");
            problem(
                "fields",
                format!("{key}: match has no group {group:?}; write one of {known}"),
            );
            From::Line
        }
        _ => {
            problem(
                "fields",
                format!(
                    "{key}: write either \"$group\" or a text, or {{ group = \"…\", type = \"…\" }}"
                ),
            );
            From::Line
        }
    };
    let field = Field {
        from,
        map: keys.map,
    };
    (field, keys.kind)
}

/// Whether lines of the pattern belong together: raise and clear, or what repeats. A state of other
/// words, like `started`, only says what happened.
fn is_paired(table: &PatternTable, tells_edges: bool) -> bool {
    let has_edges = table.state.is_some() && tells_edges;
    let is_alarm = table.event == super::format::ALARM;
    is_alarm || has_edges || table.key.is_some() || table.repeat_every.is_some()
}

fn pairing(
    table: &PatternTable,
    columns: &[Column],
    problem: &mut impl FnMut(&'static str, String),
) -> Option<Pairing> {
    let is_alarm = table.event == super::format::ALARM;
    let place = |word: &str| columns.iter().position(|column| column.name == word);
    let words = match &table.key {
        Some(words) => words.clone(),
        None if is_alarm => [Meaning::AlarmType, Meaning::AlarmObject]
            .into_iter()
            .map(|meaning| meaning.word().to_owned())
            .filter(|word| place(word).is_some())
            .collect(),
        None => {
            problem("key", "which lines are about the same thing cannot be known; write key = [\"…\"] with the names of fields".to_string());
            Vec::new()
        }
    };
    let mut key = Vec::new();
    for word in &words {
        match place(word) {
            Some(index) => key.push(index),
            None => problem(
                "key",
                format!("no field is called {word:?}; write names of fields"),
            ),
        }
    }
    Some(Pairing {
        key,
        repeat_every: None,
    })
}

fn expression(
    key: &'static str,
    text: &str,
    problem: &mut impl FnMut(&'static str, String),
) -> Option<Regex> {
    if text.is_empty() || text.len() > MATCH_BYTES_MAX {
        problem(
            key,
            format!(
                "an expression has 1 to {MATCH_BYTES_MAX} bytes; write like '^(?<time>\\S+ \\S+) (?<message>.*)'"
            ),
        );
        return None;
    }
    match RegexBuilder::new(text)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
    {
        Ok(regex) => Some(regex),
        Err(error) => {
            problem(
                key,
                format!(
                    "{error}; write an expression like '^(?<time>\\S+ \\S+) (?<message>.*)', in single quotes"
                ),
            );
            None
        }
    }
}

/// The longest text that every line the expression matches must hold, where that is easily seen:
/// among what stands outside of groups, classes and alternatives and is not optional.
fn required_literal(expression: &str) -> Option<String> {
    let (mut best, mut run, mut depth) = (String::new(), String::new(), 0_usize);
    let mut letters = expression.chars().peekable();
    let mut end = |run: &mut String| {
        if run.len() > best.len() {
            best.clone_from(run);
        }
        run.clear();
    };
    while let Some(letter) = letters.next() {
        match letter {
            '|' if depth == 0 => return None,
            // Flags change what letters mean.
            '(' if has_flags(letters.clone()) => return None,
            '(' => {
                end(&mut run);
                depth += 1;
            }
            ')' => {
                depth = depth.saturating_sub(1);
                end(&mut run);
            }
            '[' => {
                end(&mut run);
                // A class: up to its end, in which brackets may be nested or escaped.
                let mut open = 1;
                let mut is_first = true;
                while open > 0 {
                    match letters.next()? {
                        '\\' => _ = letters.next(),
                        '[' => open += 1,
                        ']' if !is_first => open -= 1,
                        '^' if is_first => continue,
                        _ => {}
                    }
                    is_first = false;
                }
            }
            '?' | '*' | '{' => {
                // What stands before may be missing.
                run.pop();
                end(&mut run);
                if letter == '{' {
                    letters.by_ref().find(|letter| *letter == '}');
                }
            }
            '+' | '.' | '^' | '$' => end(&mut run),
            '\\' => match letters.next()? {
                escaped if escaped.is_ascii_punctuation() && depth == 0 => run.push(escaped),
                'p' | 'P' | 'x' | 'u' | 'U' => return None,
                _ => end(&mut run),
            },
            letter if depth == 0 => run.push(letter),
            _ => {}
        }
    }
    end(&mut run);
    (best.len() >= 3).then_some(best)
}

/// Whether what stands behind an opening bracket are flags.
fn has_flags(mut letters: impl Iterator<Item = char>) -> bool {
    letters.next() == Some('?') && !matches!(letters.next(), Some(':' | '<' | 'P'))
}

/// The longest start of `text` that takes at most `bytes_max` bytes.
fn shortened(text: &str, bytes_max: usize) -> &str {
    let ends = (0..=bytes_max.min(text.len())).rev();
    ends.into_iter()
        .find_map(|end| text.get(..end))
        .unwrap_or_default()
}

/// `text` with the year that its month, day and time most likely mean, where it has none: the
/// last year in which it was not later than a day after `written` was. Loggers leave it out.
fn with_year<'t>(text: &'t str, written: &Written<'_>) -> Cow<'t, str> {
    const DAY: Duration = Duration::from_secs(86_400);
    let Some((month, day, rest)) = time::yearless(&time::western(text.trim()), written.dates)
    else {
        return Cow::Borrowed(text);
    };
    let Ok(latest) = jiff::Timestamp::from_millisecond(written.reference.after(DAY).0) else {
        return Cow::Borrowed(text);
    };
    let latest = latest.to_zoned(written.zone.cloned().unwrap_or(TimeZone::UTC));
    let (last, year) = ((latest.month(), latest.day()), latest.year());
    let small = |number: u8| i8::try_from(number).unwrap_or(i8::MAX);
    let is_later = (small(month), small(day)) > last;
    let year = year - i16::from(is_later);
    Cow::Owned(format!("{year:04}-{month:02}-{day:02} {rest}"))
}

/// `text` without the sequences that colour a terminal.
pub(super) fn without_colours(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' && letters.next_if_eq(&'[').is_some() {
            while letters
                .next_if(|letter| matches!(letter, '0'..='?' | ' '..='/'))
                .is_some()
            {}
            letters.next();
        } else if letter != '\u{1b}' {
            plain.push(letter);
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_literal(expression: &str, expected: Option<&str>) {
        assert_eq!(
            required_literal(expression).as_deref(),
            expected,
            "{expression}"
        );
    }

    #[test]
    fn the_text_looked_for_first_is_one_that_every_match_holds() {
        check_literal(
            r"^(?<time>\S+ \S+) WARN +\[AlarmManager\] type=(?<type>\d+)",
            Some("[AlarmManager] type="),
        );
        check_literal(r"^\[(?<time>[^\]]+)\] NOTICE", Some("] NOTICE"));
        check_literal(r"abc|def", None);
        check_literal(r"(?i)unreachable", None);
        check_literal(r"abcd?e", Some("abc"));
        check_literal(r"abcd*xyz\d", Some("abc"));
        check_literal(r"a{3}bcd", Some("bcd"));
        check_literal(r"[]abcde]fgh", Some("fgh"));
        check_literal(r"(abc|def) ok(?: never)?", Some(" ok"));
        check_literal(r"落地网关ASR 网关=(?<name>\S+)", Some("落地网关ASR 网关="));
        check_literal(r"\d+", None);
    }

    proptest::proptest! {
        #[test]
        fn what_an_expression_of_its_own_matches_holds_its_literal(parts in proptest::collection::vec(0_usize..12, 1..8), text in "[abc =x0-9|]{0,12}") {
            const PARTS: [&str; 12] = ["abc", "x?", "(a|b)", r"\d+", " = ", "[ab]", "c*", "(?:xyz)?", ".*", r"\|", "b+", "a{2}"];
            let expression: String = parts.iter().map(|part| PARTS[*part]).collect();
            let regex = Regex::new(&expression).unwrap();
            for line in [text.clone(), format!("abc = aa{text}"), format!("{text}aa|bbb7")] {
                if let Some(literal) = required_literal(&expression).filter(|_| regex.is_match(&line)) {
                    proptest::prop_assert!(line.contains(&literal), "{expression:?} {line:?} {literal:?}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_in_a_log_every_line_comes_to_something(lines in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
                proptest::strategy::Just(b"2026-04-10 14:35:00|20007|2|A|15.50||20.00|raise".to_vec()),
                proptest::strategy::Just(b"2026-13-10 14:35:00|20007|2|A|15.50||20.00|raise".to_vec()),
            ],
            0..12,
        )) {
            use super::super::{Header, Parser, Settings, Step, encoding::Decoder, presets};
            let bytes: Vec<u8> = lines.iter().flat_map(|line| [&line[..], b"\n"].concat()).collect();
            let mut parser = Parser::new(Settings {
                format: presets::find("vos3000-alarm").unwrap(),
                decoder: Decoder::UTF_8,
                timezone: Some(TimeZone::UTC),
                header: Header::Auto,
            });
            let (mut at, mut taken_lines) = (0, 0);
            while at < bytes.len() {
                let (taken, lines) = match parser.next(&bytes[at..], at == 0, true) {
                    Step::Record { bytes, lines, .. }
                    | Step::Skipped { bytes, lines }
                    | Step::Unwanted { bytes, lines }
                    | Step::Rejected { bytes, lines, .. } => (bytes, lines as usize),
                    Step::More => panic!("the lines are complete"),
                };
                proptest::prop_assert!(taken > 0);
                (at, taken_lines) = (at + taken, taken_lines + lines);
            }
            proptest::prop_assert_eq!(taken_lines, memchr::memchr_iter(b'\n', &bytes).count());
        }
    }

    #[test]
    fn a_date_without_a_year_is_of_the_last_one_that_fits() {
        let at = |text: &str| UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        for (text, reference, expected) in [
            (
                "Apr 10 14:28:15",
                "2026-04-10T15:00:00Z",
                "2026-04-10 14:28:15",
            ),
            (
                "Apr  9 14:28:15",
                "2026-04-10T15:00:00Z",
                "2026-04-09 14:28:15",
            ),
            (
                "Dec 31 23:59:59",
                "2027-01-01T00:00:05Z",
                "2026-12-31 23:59:59",
            ),
            (
                "Jan  1 00:00:01",
                "2026-12-31T23:59:59Z",
                "2027-01-01 00:00:01",
            ),
            (
                "2026-04-10 14:28:15",
                "2026-04-10T15:00:00Z",
                "2026-04-10 14:28:15",
            ),
            (
                "10 Apr 14:28:15.5",
                "2026-04-10T15:00:00Z",
                "2026-04-10 14:28:15.5",
            ),
            (
                "Fri Apr 10 14:28:15 CEST",
                "2026-04-10T15:00:00Z",
                "2026-04-10 14:28:15 CEST",
            ),
            (
                "*Apr 10 14:28:15 UTC",
                "2026-04-10T15:00:00Z",
                "2026-04-10 14:28:15 UTC",
            ),
            (
                "Apr 10 *14:28:15 UTC",
                "2026-04-10T15:00:00Z",
                "2026-04-10 14:28:15 UTC",
            ),
            (
                "04-10 14:28:15,123",
                "2026-04-10T15:00:00Z",
                "2026-04-10 14:28:15,123",
            ),
            (
                "4月10日 14:28:15",
                "2027-01-01T00:00:00Z",
                "2026-04-10 14:28:15",
            ),
            ("Apr 10", "2026-04-10T15:00:00Z", "Apr 10"),
            ("10-04-26 14:28", "2026-04-10T15:00:00Z", "10-04-26 14:28"),
        ] {
            let written = |dates| Written {
                line: text,
                text,
                reference: at(reference),
                zone: None,
                dates,
            };
            assert_eq!(with_year(text, &written(Dates::YearFirst)), expected);
            assert_eq!(with_year(text, &written(Dates::MonthFirst)), expected);
        }
        let written = Written {
            line: "",
            text: "",
            reference: at("2026-04-10T15:00:00Z"),
            zone: None,
            dates: Dates::DayFirst,
        };
        let day_first = with_year("10.04. 14:28:15", &written);
        assert_eq!(day_first, "2026-04-10 14:28:15");
    }

    #[test]
    fn colours_are_no_text() {
        assert_eq!(
            without_colours("\u{1b}[31;1mred\u{1b}[0m plain"),
            "red plain"
        );
        assert_eq!(without_colours("\u{1b}[3"), "");
    }
}

//! Format: a family's reader, its layouts, and what each column means. Data, not code.
//!
//! [`FormatTable`] is the TOML as written, the same for the presets shipped with the agent and for
//! what an operator writes; [`Format`] is what can be used.

use super::pattern::{self, Pairing, PatternTable, Patterns};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// The type of events that are calls.
pub const CALL: &str = "cdr";

/// The type of events that are alarms.
pub const ALARM: &str = "alarm";

/// A format as written: nothing checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormatTable {
    /// What it is called in `format = "…"`.
    pub name: String,
    /// One line about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Parts of it are unproven: no file of a real switch has confirmed them.
    #[serde(default)]
    pub provisional: bool,
    /// Where its facts come from, and how sure each is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Type of the events (default: `cdr`).
    pub event: Option<String>,
    /// `delimited` or `json-lines`.
    pub reader: String,
    /// The character between fields (`delimited`).
    pub delimiter: Option<String>,
    /// The character around text, or `none` (`delimited`; default: none).
    pub quote: Option<String>,
    /// Lists of columns that identify a row; the first list that a row has whole counts.
    #[serde(default)]
    pub id_keys: Vec<Vec<String>>,
    /// What the start column means: `setup` (default) or `answer`.
    pub start_is: Option<String>,
    /// The layouts.
    #[serde(default)]
    pub layout: Vec<LayoutTable>,
    /// The patterns (`pattern`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pattern: Vec<PatternTable>,
}

/// A layout as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayoutTable {
    /// What it is called in `columns = "…"`.
    pub name: String,
    /// A layout above whose columns come first.
    pub extends: Option<String>,
    /// Another layout has as many columns: used only when `columns` names it.
    #[serde(default)]
    pub only_by_name: bool,
    /// Type of the events of such rows (default: the format's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The columns, in order.
    pub columns: Vec<ColumnTable>,
}

/// A column as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnTable {
    /// Its name; for `json-lines` the dotted path of the value.
    pub name: String,
    /// `text` (default), `integer`, `money`, `seconds`, `milliseconds` or `time`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it means for the event.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
}

/// A format that can be read by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// What it is called.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// Parts of it are unproven.
    pub provisional: bool,
    /// Where its facts come from.
    pub notes: String,
    /// Type of the events it makes.
    pub event: String,
    /// The family.
    pub reader: Reader,
    /// Columns that together identify a row, by name; the first list a row has whole counts.
    pub id_keys: Vec<Vec<String>>,
    /// What the start column means.
    pub start_is: StartIs,
    /// The patterns of a text log, each with the layout at the same place.
    pub patterns: Option<Patterns>,
    /// The layouts; never empty.
    pub layouts: Vec<Layout>,
}

/// A family of formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Fields between delimiters.
    Delimited(Dialect),
    /// One JSON object per line.
    JsonLines,
    /// Lines that a regular expression matches.
    Pattern,
}

impl Reader {
    /// Whether an open quote may be closed in `line`.
    ///
    /// The byte of a quote may also be half of a character; it is never missing from a line that
    /// holds one.
    pub(super) fn may_close_quote(&self, line: &[u8]) -> bool {
        match self {
            Reader::Delimited(Dialect {
                quote: Some(quote), ..
            }) => memchr::memchr(*quote, line).is_some(),
            _ => false,
        }
    }
}

/// How fields are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The byte between fields; ASCII.
    pub delimiter: u8,
    /// The byte around text, doubled inside; ASCII. `None`: quotes mean nothing.
    pub quote: Option<u8>,
}

/// What the start column of a call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartIs {
    /// When the call was set up.
    #[default]
    Setup,
    /// When it was answered, for calls that were; the set-up is earlier by the post-dial delay.
    Answer,
}

/// One order of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What it is called in `columns = "…"`.
    pub name: String,
    /// Used only when `columns` names it.
    pub only_by_name: bool,
    /// The columns, in order; never empty.
    pub columns: Vec<Column>,
    /// Type of the events its rows make.
    pub event: Arc<str>,
    /// How its rows belong together, where they tell of things that begin and end or repeat.
    pub pairing: Option<Pairing>,
    /// For each of [`Meaning::ALL`], the column that has it.
    meanings: Vec<Option<usize>>,
    /// For each of the format's `id_keys` that the layout has whole, its columns.
    pub keys: Vec<Vec<usize>>,
}

impl Layout {
    /// The column that means `meaning`, from 0.
    pub fn column_of(&self, meaning: Meaning) -> Option<usize> {
        self.meanings.get(meaning as usize).copied().flatten()
    }

    /// The meanings of which a row must have at least one, so that it says when it happened.
    pub fn timed_by(&self) -> &'static [Meaning] {
        timed_by(&self.event)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, or its dotted path.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// What it means for the event.
    pub meaning: Option<Meaning>,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Text,
    /// A whole number that JSON readers can hold: within ±(2^53 - 1).
    Integer,
    /// An amount; kept exactly as written.
    Money,
    /// A length of time in seconds; a fraction is cut off.
    Seconds,
    /// A length of time in milliseconds.
    Millis,
    /// An instant; see [`super::time::read`].
    Time,
}

const KINDS: [(&str, Kind); 6] = [
    ("text", Kind::Text),
    ("integer", Kind::Integer),
    ("money", Kind::Money),
    ("seconds", Kind::Seconds),
    ("milliseconds", Kind::Millis),
    ("time", Kind::Time),
];

/// Declares [`Meaning`] with the words for it in one place.
macro_rules! meanings {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What a column means for an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Meaning { $($(#[$doc])* $name,)* }

        impl Meaning {
            /// All of them, each with its word in the configuration, in the order of the enum.
            pub const ALL: &'static [(&'static str, Meaning)] = &[$(($word, Meaning::$name),)*];
        }
    };
}

meanings! {
    /// The call's identifier.
    CallId = "call_id",
    /// The caller's number.
    CallerId = "caller_id",
    /// The called number.
    CalledId = "called_id",
    /// The beginning; see [`StartIs`].
    StartTime = "start_time",
    /// The answer.
    AnswerTime = "answer_time",
    /// The end.
    EndTime = "end_time",
    /// Seconds from beginning to end, ringing included.
    Duration = "duration",
    /// Seconds billed.
    BillDuration = "bill_duration",
    /// Seconds connected.
    HoldDuration = "hold_duration",
    /// The fee.
    Cost = "cost",
    /// The price of a minute.
    Rate = "rate",
    /// The currency.
    Currency = "currency",
    /// The customer's account.
    AccountId = "account_id",
    /// The gateway the call came from.
    GatewayId = "gateway_id",
    /// The gateway the call went to.
    CalleeGatewayId = "callee_gateway_id",
    /// Why the call ended, in words.
    DisconnectReason = "disconnect_reason",
    /// Why the call ended, as the switch's number.
    EndReason = "end_reason",
    /// Which side ended the call, as the switch's number.
    EndDirection = "end_direction",
    /// The number as dialled.
    DialledId = "dialled_id",
    /// The caller's address.
    CallerIp = "caller_ip",
    /// The called side's address.
    CalleeIp = "callee_ip",
    /// The post-dial delay.
    PddMs = "pdd_ms",
    /// The codec.
    Codec = "codec",
    /// Context or service: for routing.
    Application = "application",
    /// A route named by the line: for routing.
    RouteTag = "route_tag",
    /// When it happened, for events other than calls, and for the lines of a call that is told in
    /// several.
    EventTime = "event_time",
    /// The SIP method of the line's transaction (`INVITE`, `BYE`, …): lines that have one are
    /// joined into calls, see `derive::join`. The answer's code is the end reason, its phrase the
    /// disconnect reason.
    Method = "method",
    /// The tag of the From header.
    FromTag = "from_tag",
    /// The tag of the To header; empty where no dialog came to be.
    ToTag = "to_tag",
    /// The alarm's type, as number or name.
    AlarmType = "alarm_type",
    /// The alarm's type in words.
    AlarmName = "alarm_name",
    /// How grave it is.
    AlarmLevel = "level",
    /// What the alarm is about: a gateway, an account, a disk.
    AlarmObject = "object",
    /// The value that caused it.
    AlarmValue = "value",
    /// The bound it went above.
    AlarmUpper = "upper",
    /// The bound it went below.
    AlarmLower = "lower",
    /// `raised` or `cleared`.
    State = "state",
    /// What the line says, for people.
    Message = "message",
    /// The account's balance.
    Balance = "current_balance",
    /// The threshold the switch itself compares the balance with.
    Threshold = "alert_threshold",
    /// `prepaid` or `postpaid`, as written.
    AccountType = "account_type",
    /// How far below zero the balance may go.
    CreditLimit = "credit_limit",
}

impl Meaning {
    /// Its word in the configuration.
    pub fn word(self) -> &'static str {
        Meaning::ALL.get(self as usize).map_or("", |(word, _)| word)
    }
}

/// One thing that keeps a table from being a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatProblem {
    /// The key at fault.
    pub key: &'static str,
    /// What is wrong; what to write.
    pub what: String,
}

impl Format {
    /// Turns a table into a format.
    ///
    /// # Errors
    ///
    /// Everything that stands in the way, at once.
    pub fn from_table(table: &FormatTable) -> Result<Format, Vec<FormatProblem>> {
        if table.reader == PATTERN {
            return pattern::format(table);
        }
        let mut problems = Vec::new();
        let mut problem = |key, what: String| problems.push(FormatProblem { key, what });
        let reader = reader(table, &mut problem);
        let event = table.event.clone().unwrap_or_else(|| CALL.to_string());
        let start_is = match table.start_is.as_deref() {
            None | Some("setup") => StartIs::Setup,
            Some("answer") => StartIs::Answer,
            Some(other) => {
                problem(
                    "start_is",
                    format!("{other:?} is not known; write \"setup\" or \"answer\""),
                );
                StartIs::Setup
            }
        };
        let mut layouts: Vec<Layout> = Vec::new();
        for written in &table.layout {
            let base = written
                .extends
                .as_ref()
                .map(|name| layouts.iter().find(|layout| layout.name == *name));
            if matches!(base, Some(None)) {
                problem(
                    "columns",
                    format!("layout {:?} extends one that is not above it", written.name),
                );
            }
            let mut columns = base
                .flatten()
                .map(|layout| layout.columns.clone())
                .unwrap_or_default();
            columns.extend(
                written
                    .columns
                    .iter()
                    .map(|column| check_column(column, reader, &mut problem)),
            );
            layouts.push(layout(written, columns, table, &event, &mut problem));
        }
        if layouts.is_empty() {
            problem("columns", "there are no columns; write columns = [{ name = \"caller\", as = \"caller_id\" }, …]".to_string());
        }
        for key in &table.id_keys {
            let known = |name: &String| {
                table
                    .layout
                    .iter()
                    .any(|layout| layout.columns.iter().any(|column| column.name == *name))
            };
            if key.is_empty() {
                problem(
                    "id_keys",
                    "a list of columns is empty; write like [[\"flowno\"]]".to_string(),
                );
            }
            for name in key.iter().filter(|name| !known(name)) {
                problem(
                    "id_keys",
                    format!("no column is called {name:?}; write names of columns"),
                );
            }
        }
        check_event(&layouts, &mut problem);
        check_choice(reader, &layouts, &mut problem);
        match (reader, problems.is_empty()) {
            (Some(reader), true) => Ok(Format {
                name: table.name.clone(),
                title: table.title.clone(),
                provisional: table.provisional,
                notes: table.notes.clone(),
                event,
                reader,
                id_keys: table.id_keys.clone(),
                start_is,
                patterns: None,
                layouts,
            }),
            _ => Err(problems),
        }
    }

    /// The same format with only the layout called `name`.
    ///
    /// # Errors
    ///
    /// The names to choose from.
    pub fn with_layout(mut self, name: &str) -> Result<Format, Vec<String>> {
        let names = self
            .layouts
            .iter()
            .map(|layout| layout.name.clone())
            .collect();
        self.layouts.retain(|layout| layout.name == name);
        self.layouts
            .iter_mut()
            .for_each(|layout| layout.only_by_name = false);
        if self.layouts.is_empty() {
            Err(names)
        } else {
            Ok(self)
        }
    }

    /// The layout of a row with `count` columns, by its place in `layouts`.
    pub fn layout_for(&self, count: usize) -> Option<usize> {
        self.layouts
            .iter()
            .position(|layout| !layout.only_by_name && layout.columns.len() == count)
    }

    /// Names of layouts with as many columns as another one in use: what they call those columns
    /// in `extra` cannot be known without a choice.
    pub fn equals(&self) -> Vec<&str> {
        let twins = |one: &&Layout| {
            self.layouts
                .iter()
                .filter(|other| other.columns.len() == one.columns.len())
                .count()
                > 1
        };
        self.layouts
            .iter()
            .filter(twins)
            .map(|layout| layout.name.as_str())
            .collect()
    }

    /// Names of the layouts that rows of `count` columns can have, but none is used before
    /// `columns` names it.
    pub fn to_choose_from(&self, count: usize) -> Vec<&str> {
        self.layouts
            .iter()
            .filter(|layout| layout.only_by_name && layout.columns.len() == count)
            .map(|layout| layout.name.as_str())
            .collect()
    }

    /// Whether a record that is whole may be continued by lines that are not there yet.
    pub fn may_continue(&self) -> bool {
        self.patterns.as_ref().is_some_and(Patterns::may_continue)
    }

    /// The types of events that its rows make.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        self.layouts.iter().map(|layout| &*layout.event)
    }
}

/// The word for the family of text logs.
pub const PATTERN: &str = "pattern";

fn reader(table: &FormatTable, problem: &mut impl FnMut(&'static str, String)) -> Option<Reader> {
    let byte = |text: &str| match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(*byte),
        _ => None,
    };
    match table.reader.as_str() {
        "json-lines" => {
            for (key, given) in [("delimiter", &table.delimiter), ("quote", &table.quote)] {
                if given.is_some() {
                    problem(
                        key,
                        "json-lines has no delimiters; leave it out".to_string(),
                    );
                }
            }
            Some(Reader::JsonLines)
        }
        "delimited" => {
            let delimiter = table.delimiter.as_deref().and_then(byte);
            if delimiter.is_none() {
                problem(
                    "delimiter",
                    "one ASCII character is needed here; write delimiter = \",\", \"|\" or \"\\t\""
                        .to_string(),
                );
            }
            let quote = match table.quote.as_deref() {
                None | Some("none") => None,
                Some(text) => {
                    let quote = byte(text).filter(|quote| Some(*quote) != delimiter);
                    if quote.is_none() {
                        problem("quote", "one ASCII character other than the delimiter is needed here; write quote = '\"', or \"none\"".to_string());
                    }
                    quote
                }
            };
            Some(Reader::Delimited(Dialect {
                delimiter: delimiter?,
                quote,
            }))
        }
        other => {
            problem(
                "format",
                format!("{other:?} is not known; write \"delimited\" or \"json-lines\""),
            );
            None
        }
    }
}

pub(super) fn check_column(
    written: &ColumnTable,
    reader: Option<Reader>,
    problem: &mut impl FnMut(&'static str, String),
) -> Column {
    let name = written.name.clone();
    if name.is_empty() {
        problem("columns", "a column has no name".to_string());
    }
    // A JSON object whose keys look like numbers is put into another order by JavaScript. The path
    // of a column with a meaning never becomes a key.
    let is_path = reader == Some(Reader::JsonLines) && written.meaning.is_some();
    if !is_path && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        problem(
            "columns",
            format!("{name:?} looks like a number; write a name like \"field{name}\""),
        );
    }
    let kind = match written.kind.as_deref() {
        None => Kind::Text,
        Some(word) => KINDS.iter().find(|(name, _)| *name == word).map_or_else(
            || {
                let words = KINDS.map(|(name, _)| name).join(", ");
                problem(
                    "columns",
                    format!("{word:?} is no type of a column; write one of {words}"),
                );
                Kind::Text
            },
            |(_, kind)| *kind,
        ),
    };
    let meaning = written.meaning.as_deref().and_then(|word| {
        let found = Meaning::ALL
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, meaning)| *meaning);
        if found.is_none() {
            let words: Vec<_> = Meaning::ALL.iter().map(|(name, _)| *name).collect();
            problem(
                "columns",
                format!(
                    "as = {word:?} is not known; write one of {}",
                    words.join(", ")
                ),
            );
        }
        found
    });
    let needed = meaning.and_then(kind_of);
    if let Some(needed) = needed.filter(|needed| *needed != kind) {
        problem(
            "columns",
            format!(
                "column {name:?} cannot be that without type = {:?}",
                word_of(needed)
            ),
        );
    }
    Column {
        name,
        kind,
        meaning,
    }
}

/// The type that the values of a meaning must have, where it matters.
pub fn kind_of(meaning: Meaning) -> Option<Kind> {
    match meaning {
        Meaning::StartTime | Meaning::AnswerTime | Meaning::EndTime | Meaning::EventTime => {
            Some(Kind::Time)
        }
        Meaning::Duration | Meaning::BillDuration | Meaning::HoldDuration => Some(Kind::Seconds),
        Meaning::PddMs => Some(Kind::Millis),
        Meaning::Cost
        | Meaning::Rate
        | Meaning::Balance
        | Meaning::Threshold
        | Meaning::CreditLimit => Some(Kind::Money),
        Meaning::EndReason | Meaning::EndDirection => Some(Kind::Integer),
        _ => None,
    }
}

/// A type's word in the configuration.
pub fn word_of(kind: Kind) -> &'static str {
    KINDS
        .iter()
        .find(|(_, known)| *known == kind)
        .map_or("text", |(word, _)| word)
}

pub(super) fn layout(
    written: &LayoutTable,
    columns: Vec<Column>,
    table: &FormatTable,
    event: &str,
    problem: &mut impl FnMut(&'static str, String),
) -> Layout {
    let mut names = HashSet::new();
    for column in columns
        .iter()
        .filter(|column| !names.insert(column.name.as_str()))
    {
        problem(
            "columns",
            format!("two columns are called {:?}", column.name),
        );
    }
    let mut meanings = vec![None; Meaning::ALL.len()];
    for (index, column) in columns.iter().enumerate() {
        let place = column
            .meaning
            .and_then(|meaning| meanings.get_mut(meaning as usize));
        if place.is_some_and(|place| place.replace(index).is_some()) {
            problem(
                "columns",
                format!(
                    "two columns are as = {:?}",
                    column.meaning.map_or("", Meaning::word)
                ),
            );
        }
    }
    if columns.is_empty() {
        problem(
            "columns",
            format!("layout {:?} has no columns", written.name),
        );
    }
    let find = |name: &String| columns.iter().position(|column| column.name == *name);
    let keys = table
        .id_keys
        .iter()
        .filter_map(|key| key.iter().map(find).collect())
        .collect();
    Layout {
        name: written.name.clone(),
        only_by_name: written.only_by_name,
        event: written.event.as_deref().unwrap_or(event).into(),
        pairing: None,
        columns,
        meanings,
        keys,
    }
}

/// A row must not fit two layouts, nor a name stand for two.
fn check_choice(
    reader: Option<Reader>,
    layouts: &[Layout],
    problem: &mut impl FnMut(&'static str, String),
) {
    let mut names = HashSet::new();
    for layout in layouts.iter().filter(|layout| !names.insert(&layout.name)) {
        problem(
            "columns",
            format!("two layouts are called {:?}", layout.name),
        );
    }
    let mut counts = HashSet::new();
    for layout in layouts.iter().filter(|layout| !layout.only_by_name) {
        let count = layout.columns.len();
        if !counts.insert(count) {
            problem(
                "columns",
                format!("two layouts have {count} columns; mark one only_by_name = true"),
            );
        }
    }
    // Objects are told apart by nothing: each has the columns of the one layout.
    let chosen = layouts.iter().all(|layout| !layout.only_by_name);
    if reader == Some(Reader::JsonLines) && (layouts.len() > 1 || !chosen) {
        problem("columns", "json-lines has one layout only".to_string());
    }
}

/// An event needs something that says when it happened, and no key of its `data` may stand twice.
pub(super) fn check_event(layouts: &[Layout], problem: &mut impl FnMut(&'static str, String)) {
    for layout in layouts {
        // In a call's data, the columns' own names stand apart, in `extra`.
        if &*layout.event != CALL {
            check_keys(layout, problem);
        }
        let needed = layout.timed_by();
        if needed
            .iter()
            .all(|meaning| layout.column_of(*meaning).is_none())
        {
            let words: Vec<_> = needed.iter().map(|meaning| meaning.word()).collect();
            problem(
                "columns",
                format!(
                    "no column says when it happened; mark one with type = \"time\", as = {:?}",
                    words.join("\" or \"")
                ),
            );
        }
    }
}

/// Of an event that is no call, each column is a key: its meaning's word, else its name.
fn check_keys(layout: &Layout, problem: &mut impl FnMut(&'static str, String)) {
    let meant = layout.columns.iter().filter_map(|column| column.meaning);
    let mut taken: HashSet<&str> = meant.map(Meaning::word).collect();
    taken.insert("raw_base64");
    let plain = layout
        .columns
        .iter()
        .filter(|column| column.meaning.is_none());
    for column in plain.filter(|column| taken.contains(column.name.as_str())) {
        problem(
            "columns",
            format!(
                "{:?} is a key of data already; give the column another name",
                column.name
            ),
        );
    }
}

/// The meanings of which a row must have at least one.
fn timed_by(event: &str) -> &'static [Meaning] {
    match event {
        // A line of a call told in several says when its own transaction was.
        CALL => &[Meaning::StartTime, Meaning::EndTime, Meaning::EventTime],
        _ => &[Meaning::EventTime],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &str) -> FormatTable {
        let text = format!(
            "name = \"own\"\nreader = \"delimited\"\ndelimiter = \"|\"\n[[layout]]\nname = \"own\"\ncolumns = [{columns}]"
        );
        toml::from_str(&text).unwrap()
    }

    #[track_caller]
    fn check(columns: &str, expected: &str) {
        let problems = Format::from_table(&table(columns)).unwrap_err();
        let texts: Vec<_> = problems
            .iter()
            .map(|problem| problem.what.as_str())
            .collect();
        assert!(
            texts.iter().any(|text| text.contains(expected)),
            "{texts:?}"
        );
    }

    #[test]
    fn what_would_make_a_wrong_event_is_refused() {
        const TIME: &str = "{ name = \"t\", type = \"time\", as = \"start_time\" }";
        check("", "no columns");
        check("{ name = \"a\" }", "when it happened");
        check(&format!("{TIME}, {TIME}"), "two columns are called");
        check(
            &format!("{TIME}, {{ name = \"u\", type = \"time\", as = \"start_time\" }}"),
            "two columns are as",
        );
        check(
            &format!("{TIME}, {{ name = \"12\" }}"),
            "looks like a number",
        );
        check(
            &format!("{TIME}, {{ name = \"a\", type = \"float\" }}"),
            "no type of a column",
        );
        check(
            &format!("{TIME}, {{ name = \"a\", as = \"price\" }}"),
            "is not known",
        );
        check(
            "{ name = \"t\", as = \"start_time\" }",
            "without type = \"time\"",
        );
    }

    #[track_caller]
    fn check_table(text: &str, expected: &str) {
        let table: FormatTable = toml::from_str(text).unwrap();
        let problems = Format::from_table(&table).unwrap_err();
        let texts: Vec<_> = problems
            .iter()
            .map(|problem| problem.what.as_str())
            .collect();
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].contains(expected), "{texts:?}");
    }

    #[test]
    fn a_row_that_could_be_read_in_two_ways_is_refused_beforehand() {
        const PIPE: &str = "name = \"own\"\nreader = \"delimited\"\ndelimiter = \"|\"\n";
        const TIME: &str = "{ name = \"t\", type = \"time\", as = \"start_time\" }";
        let layout = |name: &str, more: &str| {
            format!("[[layout]]\nname = \"{name}\"\n{more}columns = [{TIME}]\n")
        };
        let (a, b) = (layout("a", ""), layout("b", ""));
        check_table(&format!("{PIPE}{a}{b}"), "two layouts have 1 columns");
        check_table(
            &format!("{PIPE}{a}{}", layout("a", "only_by_name = true\n")),
            "two layouts are called",
        );
        let json = "name = \"own\"\nreader = \"json-lines\"\n";
        let longer = "[[layout]]\nname = \"b\"\nextends = \"a\"\ncolumns = [{ name = \"u\" }]\n";
        check_table(&format!("{json}{a}{longer}"), "one layout only");
    }

    #[test]
    fn no_key_of_an_events_data_stands_twice_or_moves() {
        const JSON: &str = "name = \"own\"\nreader = \"json-lines\"\nevent = \"payment\"\n[[layout]]\nname = \"own\"\n";
        const TIME: &str = "{ name = \"7\", type = \"time\", as = \"event_time\" }";
        let columns = |more: &str| format!("{JSON}columns = [{TIME}, {more}]");
        check_table(
            &columns("{ name = \"a\", as = \"account_id\" }, { name = \"account_id\" }"),
            "is a key of data already",
        );
        check_table(
            &columns("{ name = \"raw_base64\" }"),
            "is a key of data already",
        );
        check_table(&columns("{ name = \"12\" }"), "looks like a number");
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let mut table = table("{ name = \"12\", as = \"price\" }");
        table.delimiter = None;
        table.start_is = Some("ring".to_string());
        let keys: Vec<_> = Format::from_table(&table)
            .unwrap_err()
            .iter()
            .map(|problem| problem.key)
            .collect();
        assert_eq!(
            keys,
            ["delimiter", "start_is", "columns", "columns", "columns"]
        );
    }

    #[test]
    fn the_words_and_the_meanings_stand_in_one_order() {
        for (word, meaning) in Meaning::ALL {
            assert_eq!(meaning.word(), *word);
        }
    }
}

//! Format: a family's reader, its layouts, and what each column means. Data, not code.
//!
//! [`FormatTable`] is the TOML as written, the same for the presets shipped with the agent and for
//! what an operator writes; [`Format`] is what can be used.

use super::pattern::{self, Pairing, PatternTable, Patterns};
use super::reader;
use super::record::meets;
use super::time::{DATES, Dates};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

pub use super::reader::{Dialect, Markup, PATTERN, Pairs, Reader};

/// The type of events that are calls.
pub const CALL: &str = "cdr";

/// The type of events that are alarms.
pub const ALARM: &str = "alarm";

/// The type of events about balances.
pub const BALANCE: &str = "balance_alert";

/// The type of events about accounts.
pub const ACCOUNT: &str = "account";

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
    /// `delimited`, `json-lines`, `key-value`, `json-document` or `xml-document`.
    pub reader: String,
    /// The character between fields (`delimited`) or pairs (`key-value`; default there: `;`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// The character around text, or `none` (`delimited`, `key-value`; default: none).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// `strict` (default), or `lenient` where the switch writes values with the quotes inside them
    /// as they are (`delimited`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quoting: Option<String>,
    /// The character before a delimiter that is part of a value (`delimited` without quotes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<String>,
    /// The character between a name and its value (`key-value`; default: `=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assign: Option<String>,
    /// The texts behind which the pairs of a line begin (`key-value`); lines without one are no
    /// rows. Which one it was is the column `lead`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// The path below which values may be percent-encoded (documents).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoded_under: Option<String>,
    /// Texts that a value has where the switch has nothing to tell, as `NONE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nothing: Vec<String>,
    /// `ymd` (default), `dmy` or `mdy`: the order of a date's numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dates: Option<String>,
    /// Times are the switch's local ones and carry no zone: a source must name it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub local_times: bool,
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
    #[serde(default, skip_serializing_if = "is_false")]
    pub only_by_name: bool,
    /// The layout is only for rows with one of these values in these columns. A value may end in
    /// `*`. The first layout whose conditions hold counts; rows for which none hold are no events.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, Vec<String>>,
    /// Type of the events of such rows (default: the format's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What such a row says of its subject: the key `state` of the events' `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Columns behind this many may be missing at the end of a row (`delimited`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<usize>,
    /// The columns, in order.
    pub columns: Vec<ColumnTable>,
}

/// A column as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with its name")]
pub struct ColumnTable {
    /// Its name; for formats whose values have names, that name or the value's dotted path.
    pub name: String,
    /// The names or dotted paths of the value, where the column itself is called otherwise; the
    /// first one with a value counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// `text` (default), `integer`, `money`, `seconds`, `minutes`, `milliseconds` or `time`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it means for the event.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// The column with the day, where this one's times say the hour alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// It is read, for `when`, and not told.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drop: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(truth: &bool) -> bool {
    !truth
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
    /// Texts behind which the pairs of a line begin; empty: at its beginning.
    pub after: Vec<String>,
    /// The path below which a document's values may be percent-encoded.
    pub encoded_under: Option<String>,
    /// Texts that a value has where there is nothing to tell.
    pub nothing: Vec<String>,
    /// The order of a date's numbers.
    pub dates: Dates,
    /// Times are local ones and carry no zone.
    pub local_times: bool,
    /// The patterns of a text log, each with the layout at the same place.
    pub patterns: Option<Patterns>,
    /// The layouts; never empty.
    pub layouts: Vec<Layout>,
}

impl Format {
    /// Whether `text`, without blanks around it, says that there is nothing to tell.
    pub(super) fn is_nothing(&self, text: &str) -> bool {
        self.nothing.iter().any(|nothing| text == nothing)
    }

    /// Gives the column called `column` a meaning, in every layout that has it and in which it has
    /// none yet.
    ///
    /// # Errors
    ///
    /// The columns that could have been meant, when there is none; nothing has changed then.
    pub fn set_meaning(&mut self, column: &str, meaning: Meaning) -> Result<(), Vec<String>> {
        let mut is_set = false;
        for layout in &mut self.layouts {
            let found = layout.columns.iter_mut().enumerate();
            let free =
                |it: &&mut (usize, &mut Column)| it.1.name == column && it.1.meaning.is_none();
            let mut found: Vec<(usize, &mut Column)> = found.collect();
            let place = layout.meanings.get_mut(meaning as usize);
            if let Some((index, column)) = found.iter_mut().find(free)
                && let Some(place @ None) = place
            {
                column.meaning = Some(meaning);
                *place = Some(*index);
                is_set = true;
            }
        }
        if is_set {
            return Ok(());
        }
        let columns = self.layouts.iter().flat_map(|layout| &layout.columns);
        let free = columns.filter(|column| column.meaning.is_none() && !column.drop);
        let names: BTreeSet<String> = free.map(|column| column.name.clone()).collect();
        Err(names.into_iter().collect())
    }
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
    /// What its rows say of their subject.
    pub state: Option<String>,
    /// Columns by place, and the values one of which each must have, for the layout to count.
    pub when: Vec<(usize, Vec<String>)>,
    /// Fewest columns of a row.
    pub at_least: usize,
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

    /// Whether a row of `count` columns can have it.
    pub fn fits(&self, count: usize) -> bool {
        (self.at_least..=self.columns.len()).contains(&count)
    }

    /// Whether a row whose column at a place is what `field` gives meets the layout's conditions.
    pub fn holds<'f>(&self, field: impl Fn(usize) -> &'f str) -> bool {
        self.when
            .iter()
            .all(|(column, values)| meets(values, field(*column)))
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
    /// The names or dotted paths of its value, for formats whose values have names; never empty.
    pub paths: Vec<String>,
    /// The column with the day, where this one's times say the hour alone.
    pub date: Option<String>,
    /// It is read and not told.
    pub drop: bool,
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
    /// A length of time in minutes, as a clock shows it or with a fraction; told in seconds.
    Minutes,
    /// A length of time in milliseconds; told in seconds, cut off, where the event's key is in seconds.
    Millis,
    /// An instant; see [`super::time::read`].
    Time,
}

impl Kind {
    /// Whether values of this type are what `needed` asks for: lengths are seconds, in whatever unit they
    /// are written.
    pub(super) fn gives(self, needed: Kind) -> bool {
        let is_length = matches!(self, Kind::Minutes | Kind::Millis);
        self == needed || (is_length && needed == Kind::Seconds)
    }
}

/// The types of columns, each with its word in the configuration.
pub const KINDS: [(&str, Kind); 7] = [
    ("text", Kind::Text),
    ("integer", Kind::Integer),
    ("money", Kind::Money),
    ("seconds", Kind::Seconds),
    ("minutes", Kind::Minutes),
    ("milliseconds", Kind::Millis),
    ("time", Kind::Time),
];

/// Declares [`Meaning`] with the words for it in one place.
macro_rules! meanings {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal,)*) => {
        /// What a column means for an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Meaning { $($(#[doc = $doc])* $name,)* }

        impl Meaning {
            /// All of them, each with its word in the configuration, in the order of the enum.
            pub const ALL: &'static [(&'static str, Meaning)] = &[$(($word, Meaning::$name),)*];

            /// What it is, for people.
            pub fn about(self) -> &'static str {
                match self { $(Meaning::$name => concat!($($doc),*).trim_ascii(),)* }
            }
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
        let reader = reader::reader(table, &mut problem);
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
        let dates = dates(table, &mut problem);
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
                after: table.after.clone(),
                encoded_under: table.encoded_under.clone(),
                nothing: table.nothing.clone(),
                dates,
                local_times: table.local_times,
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

    /// The types of events that its rows make.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        self.layouts.iter().map(|layout| &*layout.event)
    }

    /// Whether some of its rows tell how something stands, and not what happened: such files are
    /// written anew with what has changed. What patterns read is a log, which is added to.
    pub fn tells_states(&self) -> bool {
        let mut events = self.events();
        self.patterns.is_none() && events.any(|event| [ACCOUNT, BALANCE].contains(&event))
    }

    /// Names of layouts with as many columns as another one in use: what they call those columns
    /// in `extra` cannot be known without a choice.
    pub fn equals(&self) -> Vec<&str> {
        let twins = |one: &&Layout| {
            self.layouts
                .iter()
                .filter(|other| other.columns.len() == one.columns.len())
                .filter(|other| other.when == one.when)
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
}

/// The order of the parts of dates that `table` states.
pub(super) fn dates(table: &FormatTable, problem: &mut impl FnMut(&'static str, String)) -> Dates {
    let written = table.dates.as_deref().unwrap_or("ymd");
    let dates = DATES.iter().find(|(word, _)| *word == written);
    if dates.is_none() {
        problem(
            "dates",
            format!("{written:?} is not known; write \"ymd\", \"dmy\" or \"mdy\""),
        );
    }
    dates.map_or(Dates::YearFirst, |(_, dates)| *dates)
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
    let is_path = reader.is_some_and(Reader::has_names) && written.meaning.is_some();
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
    if let Some(needed) = needed.filter(|needed| !kind.gives(*needed)) {
        problem(
            "columns",
            format!(
                "column {name:?} cannot be that without type = {:?}",
                word_of(needed)
            ),
        );
    }
    let mut paths = written.path.clone();
    if paths.is_empty() {
        paths.push(name.clone());
    }
    if written.date.is_some() && kind != Kind::Time {
        problem(
            "columns",
            format!("column {name:?} cannot have a date without type = \"time\""),
        );
    }
    Column {
        name,
        paths,
        date: written.date.clone(),
        drop: written.drop,
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
            format!(
                "two columns are called {:?}; give each a name of its own",
                column.name
            ),
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
                    "two columns are as = {:?}; leave it at the one to be told",
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
    for name in columns.iter().filter_map(|column| column.date.as_ref()) {
        if find(name).is_none() {
            let what = format!("date: no column is called {name:?}; write the name of one");
            problem("columns", what);
        }
    }
    let keys = table
        .id_keys
        .iter()
        .filter_map(|key| key.iter().map(find).collect())
        .collect();
    let mut when = Vec::new();
    for (name, values) in &written.when {
        match find(name) {
            Some(index) if !values.is_empty() => when.push((index, values.clone())),
            Some(_) => problem(
                "layout",
                format!(
                    "when: no value is given for {name:?}; write like when = {{ {name} = [\"ANSWER\"] }}"
                ),
            ),
            None => problem(
                "layout",
                format!(
                    "when: no column of layout {:?} is called {name:?}",
                    written.name
                ),
            ),
        }
    }
    let at_least = written.at_least.unwrap_or(columns.len());
    if at_least == 0 || at_least > columns.len() {
        problem(
            "layout",
            format!(
                "at_least = {at_least}: write a number from 1 to the number of columns, {}",
                columns.len()
            ),
        );
    }
    let event = written.event.as_deref().unwrap_or(event);
    Layout {
        name: written.name.clone(),
        only_by_name: written.only_by_name,
        event: event.into(),
        state: written.state.clone(),
        when,
        at_least,
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
    let counted = reader.is_some_and(|reader| !reader.has_names());
    let free = |layout: &&Layout| counted && !layout.only_by_name && layout.when.is_empty();
    for layout in layouts.iter().filter(free) {
        let count = layout.columns.len();
        if !counts.insert(count) {
            problem(
                "columns",
                format!("two layouts have {count} columns; mark one only_by_name = true"),
            );
        }
    }
    // Without conditions, rows of names are told apart by nothing: what stands below is never used.
    let free = layouts.iter().position(|layout| layout.when.is_empty());
    let chosen = layouts.iter().all(|layout| !layout.only_by_name);
    let hidden = free.is_some_and(|free| free + 1 < layouts.len());
    if reader.is_some_and(Reader::has_names) && (hidden || !chosen) {
        problem(
            "columns",
            "only the last layout of rows with names can be without `when`".to_string(),
        );
    }
}

/// An event needs something that says when it happened, and no key of its `data` may stand twice.
pub(super) fn check_event(layouts: &[Layout], problem: &mut impl FnMut(&'static str, String)) {
    for layout in layouts {
        check_keys(layout, problem);
        let lacks = |meaning: Meaning| layout.column_of(meaning).is_none();
        let wanted: &[Meaning] = match &*layout.event {
            ALARM => &[Meaning::AlarmType],
            BALANCE => &[Meaning::AccountId, Meaning::Balance],
            _ => &[],
        };
        for meaning in wanted.iter().filter(|meaning| lacks(**meaning)) {
            problem(
                "columns",
                format!(
                    "events of type {:?} need a column for it; mark one as = {:?}",
                    layout.event,
                    meaning.word()
                ),
            );
        }
        let needed = layout.timed_by();
        if needed
            .iter()
            .all(|meaning| layout.column_of(*meaning).is_none())
        {
            let words: Vec<_> = needed.iter().map(|meaning| meaning.word()).collect();
            let of_calls = timed_by(CALL).iter();
            let told = of_calls
                .copied()
                .find(|meaning| layout.column_of(*meaning).is_some());
            // The type's name may be a slip, as `cdrs`.
            let what = match told {
                Some(meaning) => format!(
                    "as = {:?} says when a call was, and these are events of type {:?}; write event = {CALL:?}, or as = \"{}\"",
                    meaning.word(),
                    layout.event,
                    words.join("\" or \"")
                ),
                None => format!(
                    "no column says when it happened; mark one with type = \"time\", as = \"{}\"",
                    words.join("\" or \"")
                ),
            };
            problem("columns", what);
        }
    }
}

/// Of an event that is no call, each column is a key: its meaning's word, else its name. In a call's
/// data, the columns' own names stand apart, in `extra`. Some receivers do not tell cases apart, so
/// no two keys may differ in that alone.
fn check_keys(layout: &Layout, problem: &mut impl FnMut(&'static str, String)) {
    let mut taken: HashSet<String> = HashSet::new();
    if &*layout.event != CALL {
        let meant = layout.columns.iter().filter_map(|column| column.meaning);
        taken.extend(meant.map(|meaning| meaning.word().to_string()));
        taken.insert("raw_base64".to_string());
        let is_alarm = &*layout.event == ALARM;
        if layout.state.is_some() {
            taken.insert("state".to_string());
        }
        if is_alarm || layout.pairing.is_some() {
            taken.extend(OF_REPORTS.map(str::to_string));
        }
        if is_alarm {
            taken.extend(OF_ALARMS.map(|meaning| meaning.word().to_string()));
        }
    }
    let is_plain = |column: &&Column| column.meaning.is_none() && !column.drop;
    let plain: Vec<&Column> = layout.columns.iter().filter(is_plain).collect();
    for (index, column) in plain.iter().enumerate() {
        // The same name twice is said by itself.
        let is_twin = plain.iter().take(index).any(|other| {
            other.name != column.name && other.name.eq_ignore_ascii_case(&column.name)
        });
        if taken.contains(&column.name.to_ascii_lowercase()) {
            problem(
                "columns",
                format!(
                    "{:?} is a key of data already; give the column another name",
                    column.name
                ),
            );
        } else if is_twin {
            problem(
                "columns",
                format!(
                    "another column differs from {:?} only in case, and some receivers do not tell the two apart; give one another name",
                    column.name
                ),
            );
        }
    }
}

/// The keys that every report of something that begins and ends has beside its columns.
const OF_REPORTS: [&str; 4] = ["state", "started_at", "cleared_at", "repeats"];

/// What every alarm tells, whether it has a column for it or not.
const OF_ALARMS: [Meaning; 8] = [
    Meaning::AlarmType,
    Meaning::AlarmName,
    Meaning::AlarmLevel,
    Meaning::AlarmObject,
    Meaning::AlarmValue,
    Meaning::AlarmUpper,
    Meaning::AlarmLower,
    Meaning::Message,
];

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
        check(
            &format!("{TIME}, {TIME}"),
            "two columns are called \"t\"; give each",
        );
        check(
            &format!("{TIME}, {{ name = \"u\", type = \"time\", as = \"start_time\" }}"),
            "two columns are as = \"start_time\"; leave it",
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
        check_table(&format!("{json}{a}{longer}"), "only the last layout");
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
        check_table(
            &columns("{ name = \"Sum\" }, { name = \"sum\" }"),
            "only in case",
        );
        check_table(&columns("{ name = \"Raw_Base64\" }"), "key of data already");
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

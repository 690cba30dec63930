//! What is told of something that begins and ends: the `data` of an `alarm`, and of the kinds that
//! an operator's own patterns name.

use super::general::{self, put_column};
use super::json::Object;
use super::shape::{self, Field, RAW_BASE64};
use crate::parser::format::{Column, Layout};
use crate::parser::{Meaning, Record};
use crate::timestamp::Timestamp;

/// What VOS3000 calls its types of alarms (the vendor's web interface manual, 3.46).
const VOS3000_ALARMS: [(&str, &str); 26] = [
    ("20000", "out-gateway ASR"),
    ("20001", "out-gateway ACD"),
    ("20002", "out-gateway concurrency drop"),
    ("20003", "CPU"),
    ("20004", "memory"),
    ("20005", "disk"),
    ("20006", "pending CDRs"),
    (BALANCE_ALARM, "account balance"),
    ("20009", "received packets"),
    ("20010", "received bytes"),
    ("20011", "sent packets"),
    ("20012", "sent bytes"),
    ("20013", "in-gateway ASR"),
    ("20014", "in-gateway ACD"),
    ("20015", "in-gateway concurrency drop"),
    ("20016", "call duration"),
    ("20017", "database"),
    ("20018", "process terminated"),
    ("20019", "standby activated"),
    ("20020", "illegal call"),
    ("20021", "clock offset"),
    ("20022", "out-gateway concurrency rise"),
    ("20023", "in-gateway concurrency rise"),
    ("20026", "login MAC restricted"),
    ("20027", "primary database service"),
    ("20028", "standby database service"),
];

/// The type of VOS3000's alarm about an account's balance: the object is the account, the value
/// its balance, the lower bound the threshold.
pub const BALANCE_ALARM: &str = "20007";

/// VOS3000's levels, by number.
pub const LEVELS: [(&str, &str); 4] = [
    ("0", "normal"),
    ("1", "minor"),
    ("2", "major"),
    ("3", "critical"),
];

/// What an alarm is about, as a switch reports it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alarm<'a> {
    /// The type, as number or name. Never empty.
    pub alarm_type: &'a str,
    /// The type in words, where the report says it.
    pub name: Option<&'a str>,
    /// How grave it is, as number or word.
    pub level: Option<&'a str>,
    /// What it is about.
    pub object: Option<&'a str>,
    /// The value that caused it.
    pub value: Option<&'a str>,
    /// The bound it went above.
    pub upper: Option<&'a str>,
    /// The bound it went below.
    pub lower: Option<&'a str>,
    /// What the report says, for people.
    pub message: Option<&'a str>,
}

impl<'a> Alarm<'a> {
    /// The alarm that `record` reports.
    pub fn of(record: &Record<'a>) -> Alarm<'a> {
        let text = |meaning| record.text_of(meaning);
        Alarm {
            alarm_type: text(Meaning::AlarmType).unwrap_or_default(),
            name: text(Meaning::AlarmName),
            level: text(Meaning::AlarmLevel),
            object: text(Meaning::AlarmObject),
            value: text(Meaning::AlarmValue),
            upper: text(Meaning::AlarmUpper),
            lower: text(Meaning::AlarmLower),
            message: text(Meaning::Message),
        }
    }

    /// Its type in words: the report's own, else VOS3000's for the number.
    pub fn type_name(&self) -> Option<&'a str> {
        self.name
            .or_else(|| named(&VOS3000_ALARMS, self.alarm_type))
    }
}

fn named(names: &[(&str, &'static str)], number: &str) -> Option<&'static str> {
    let found = names.iter().find(|(known, _)| *known == number)?;
    Some(found.1)
}

/// How a report came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// `raised`, `cleared` or `repeated`.
    pub state: &'static str,
    /// When it began, where that is known.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub cleared_at: Option<Timestamp>,
    /// Reports since it began that said nothing new.
    pub repeats: u64,
}

/// The members of an alarm's `data`, in order; columns that mean nothing for it follow.
pub const ALARM_FIELDS: [Field; 12] = [
    Field::text("alarm_type", "The type, as the switch's number or name.").always(),
    Field::text("alarm_name", "The type in words."),
    Field::level(
        "level",
        "normal, minor, major or critical for the switch's numbers 0 to 3; else as written.",
    ),
    Field::text("object", "What it is about: a gateway, an account, a disk."),
    Field::text("value", "The value that caused it, as written."),
    Field::text("upper", "The bound it went above."),
    Field::text("lower", "The bound it went below."),
    STATE,
    STARTED_AT,
    CLEARED_AT,
    Field::text("message", "What the report says, for people."),
    REPEATS,
];

const STATE: Field = Field::word(
    "state",
    &["raised", "cleared", "repeated"],
    "What it did: with repeated it was raised before, and is so still.",
)
.always();
const STARTED_AT: Field = Field::time("started_at", "When it began, where that is known.");
const CLEARED_AT: Field = Field::time("cleared_at", "When it ended; null while it lasts.");
const REPEATS: Field = Field::whole(
    "repeats",
    "Reports since it began that said nothing new and were counted instead of told.",
);

/// The members of the `data` of reports whose rows have `layout`.
pub fn fields(layout: &Layout) -> Vec<Field<String>> {
    let told = |column: &&Column, is_alarm: bool| match is_alarm {
        true => !is_of_alarm(column),
        false => column.meaning != Some(Meaning::State),
    };
    let is_alarm = &*layout.event == "alarm";
    let columns = layout.columns.iter();
    let columns = columns.filter(|column| told(column, is_alarm));
    let columns = columns
        .map(|column| shape::of_column(general::key(column), column.kind, general::about(column)));
    let mut fields = Vec::new();
    if is_alarm {
        fields.extend(ALARM_FIELDS.map(Field::owned));
        fields.extend(columns);
    } else {
        fields.extend(columns);
        fields.extend([STATE, STARTED_AT, CLEARED_AT, REPEATS].map(Field::owned));
    }
    fields.push(RAW_BASE64.owned());
    fields
}

/// Whether a column is told among the alarm's own members, if at all.
fn is_of_alarm(column: &Column) -> bool {
    column.meaning.is_some_and(|meaning| {
        !matches!(
            meaning,
            Meaning::AccountId | Meaning::GatewayId | Meaning::CalleeGatewayId
        )
    })
}

/// The `data` of an `alarm`; `record` adds what its columns say beside the alarm.
pub fn alarm(
    alarm: &Alarm<'_>,
    outcome: Outcome,
    record: Option<&Record<'_>>,
    raw_base64: Option<&str>,
) -> Box<[u8]> {
    let mut data = Object::shaped(&ALARM_FIELDS, 384);
    let level = alarm
        .level
        .map(|level| named(&LEVELS, level).unwrap_or(level));
    data.text("alarm_type", Some(alarm.alarm_type));
    data.text("alarm_name", alarm.type_name());
    data.text("level", level);
    data.text("object", alarm.object);
    data.text("value", alarm.value);
    data.text("upper", alarm.upper);
    data.text("lower", alarm.lower);
    put_outcome(&mut data, outcome);
    data.text("message", alarm.message);
    data.whole("repeats", i64::try_from(outcome.repeats).ok());
    if let Some(record) = record {
        put_columns(&mut data, record, is_of_alarm);
    }
    if let Some(raw) = raw_base64 {
        data.text("raw_base64", Some(raw));
    }
    data.finish()
}

/// The `data` of another kind: the record's columns, with the outcome in the place of its state.
pub fn other(record: &Record<'_>, outcome: Outcome, raw_base64: Option<&str>) -> Box<[u8]> {
    let mut data = Object::with_capacity(384);
    put_columns(&mut data, record, |column| {
        column.meaning == Some(Meaning::State)
    });
    put_outcome(&mut data, outcome);
    data.whole("repeats", i64::try_from(outcome.repeats).ok());
    if let Some(raw) = raw_base64 {
        data.text("raw_base64", Some(raw));
    }
    data.finish()
}

fn put_outcome(data: &mut Object, outcome: Outcome) {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    data.text("state", Some(outcome.state));
    data.text("started_at", time(outcome.started_at).as_deref());
    data.text("cleared_at", time(outcome.cleared_at).as_deref());
}

/// Every column but those to be left out.
fn put_columns(data: &mut Object, record: &Record<'_>, leave_out: impl Fn(&Column) -> bool) {
    let columns = record.layout().columns.iter().enumerate();
    for (index, column) in columns.filter(|(_, column)| !leave_out(column)) {
        put_column(data, record, index, column);
    }
}

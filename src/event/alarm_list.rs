//! VOS3000's `AlarmCurrentReport`: the alarms that stand now → events for what came and went.
//!
//! *documented* (the vendor's web interface manual, version 05, chapter 4 and the alarm object): the
//! fields, epoch milliseconds, UTF-8, the type numbers. *inferred*: the list is the state and not a
//! change of it, so raise and clear come from comparing it with the last one.
//!
//! # Ids
//!
//! The natural key of an alarm's event is the page, its type, name and start time, and `raised` or
//! `cleared`; of one that only changed its level, the level too. A balance alert made of an alarm
//! adds `balance`. So a list that is pushed again gives the same ids.

use super::json::Object;
use super::{Event, Labels, id};
use crate::clock::UnixMs;
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The page the list is posted to.
pub const PAGE: &str = "AlarmCurrentReport";

/// The types of events that a list becomes.
pub const KINDS: [&str; 2] = ["alarm", "balance_alert"];

/// Most alarms that can stand at once: a whole list of them fits a body, and their state the queue.
pub const ALARMS_MAX: usize = 1_024;

/// Longest text of one field, in bytes: the manual's longest is a memo of some hundred.
const TEXT_BYTES_MAX: usize = 1_024;

/// The type of an account's balance falling below its bound.
const BALANCE_ALARM: &str = "20007";

/// Names for the alarm types that the manual lists.
const ALARM_NAMES: [(u32, &str); 26] = [
    (20_000, "outbound gateway ASR"),
    (20_001, "outbound gateway ACD"),
    (20_002, "outbound gateway concurrency drop"),
    (20_003, "CPU"),
    (20_004, "memory"),
    (20_005, "disk"),
    (20_006, "pending CDRs"),
    (20_007, "account balance"),
    (20_009, "received packets"),
    (20_010, "received bytes"),
    (20_011, "sent packets"),
    (20_012, "sent bytes"),
    (20_013, "inbound gateway ASR"),
    (20_014, "inbound gateway ACD"),
    (20_015, "inbound gateway concurrency drop"),
    (20_016, "call duration"),
    (20_017, "database"),
    (20_018, "process terminated"),
    (20_019, "standby activated"),
    (20_020, "illegal call"),
    (20_021, "clock offset"),
    (20_022, "outbound gateway concurrency rise"),
    (20_023, "inbound gateway concurrency rise"),
    (20_026, "login MAC restricted"),
    (20_027, "primary database service"),
    (20_028, "standby database service"),
];

/// One alarm that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its type's number, as written.
    pub kind: String,
    /// What it is about: a gateway, an account, a disk.
    pub name: String,
    /// When it began, in epoch milliseconds.
    pub start_ms: i64,
    /// 0 to 3, as written.
    pub level: Option<String>,
    /// The figure that raised it, as written.
    pub value: Option<String>,
    /// The upper bound, as written.
    pub upper: Option<String>,
    /// The lower bound, as written.
    pub lower: Option<String>,
    /// A note.
    #[serde(skip)]
    pub memo: Option<String>,
}

/// Whether an alarm came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// It was not there before.
    Raised,
    /// It was there, at another level.
    Changed,
    /// It is there no more.
    Cleared,
}

/// Why a list cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListError {
    /// No JSON object in UTF-8; where it goes wrong.
    NotJson(String),
    /// A field that has to be there is not.
    Missing(&'static str),
    /// A field is not what it should be.
    Field(&'static str, &'static str),
    /// More alarms than [`ALARMS_MAX`].
    TooManyAlarms(usize),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(place) => write!(f, "not a JSON object: {place}"),
            Self::Missing(field) => write!(f, "{field} is missing"),
            Self::Field(field, what) => write!(f, "{field} is {what}"),
            Self::TooManyAlarms(count) => {
                write!(f, "{count} alarms at once, at most {ALARMS_MAX} are taken")
            }
        }
    }
}

impl std::error::Error for ListError {}

/// Reads a list.
///
/// # Errors
///
/// What keeps it from being read; nothing of it is told then.
pub fn read(body: &[u8]) -> Result<Vec<Alarm>, ListError> {
    let fields = Fields::of(body)?;
    const LIST: &str = "infoAlarmCurrents";
    let list = fields.0.get(LIST).ok_or(ListError::Missing(LIST))?;
    let list: Vec<&RawValue> = serde_json::from_str(list.get())
        .map_err(|_| ListError::Field(LIST, "not a list"))?;
    if list.len() > ALARMS_MAX {
        return Err(ListError::TooManyAlarms(list.len()));
    }
    list.into_iter()
        .map(|alarm| {
            let fields = Fields::of(alarm.get().as_bytes())?;
            Ok(Alarm {
                kind: fields.required("type")?,
                name: fields.text("name")?.unwrap_or_default(),
                start_ms: fields.millis("startTime")?,
                level: fields.text("level")?,
                value: fields.text("value")?,
                upper: fields.text("upper")?,
                lower: fields.text("lower")?,
                memo: fields.text("memo")?,
            })
        })
        .collect()
}

/// The fields of an object, each as it is written.
struct Fields<'t>(BTreeMap<String, &'t RawValue>);

impl<'t> Fields<'t> {
    fn of(body: &'t [u8]) -> Result<Fields<'t>, ListError> {
        let not_json = |error: serde_json::Error| {
            let place = format!("{:?} error at byte {}", error.classify(), error.column());
            ListError::NotJson(place.to_lowercase())
        };
        serde_json::from_slice(body).map(Fields).map_err(not_json)
    }

    /// The text of a field, a number as it is written; nothing where it is empty or `null`.
    fn text(&self, name: &'static str) -> Result<Option<String>, ListError> {
        let Some(raw) = self.0.get(name) else {
            return Ok(None);
        };
        let text = match raw.get().chars().next() {
            Some('"') => serde_json::from_str(raw.get())
                .map_err(|_| ListError::Field(name, "not text"))?,
            Some('{' | '[') => return Err(ListError::Field(name, "neither text nor a number")),
            Some('n') => return Ok(None),
            _ => raw.get().to_string(),
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(ListError::Field(name, "too long"));
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn required(&self, name: &'static str) -> Result<String, ListError> {
        self.text(name)?.ok_or(ListError::Missing(name))
    }

    fn whole(&self, name: &'static str) -> Result<Option<i64>, ListError> {
        let number = self.text(name)?.map(|text| text.parse());
        number
            .transpose()
            .map_err(|_| ListError::Field(name, "not a whole number"))
    }

    /// Epoch milliseconds; 0 and less are what a switch writes for no time.
    fn millis(&self, name: &'static str) -> Result<i64, ListError> {
        self.whole(name)?
            .filter(|millis| *millis > 0)
            .ok_or(ListError::Missing(name))
    }
}

/// Makes the events of one source of lists.
#[derive(Debug)]
pub struct AlarmMaker {
    /// The switch's name.
    pub node: Arc<str>,
    /// The source's name.
    pub source: Arc<str>,
    /// Currency of balances.
    pub currency: Option<String>,
}

impl AlarmMaker {
    /// The events of an alarm that came or went; `at` is when the list came that shows it. A
    /// balance below its bound is told as an alarm and as a balance alert.
    pub fn alarm(&self, alarm: &Alarm, edge: Edge, at: UnixMs) -> Vec<Event> {
        let (state, cleared_ms) = match edge {
            Edge::Raised | Edge::Changed => ("raised", None),
            Edge::Cleared => ("cleared", Some(at.0)),
        };
        // A list does not say when an alarm that is missing from it ended.
        let time = Timestamp::from_millis(cleared_ms.unwrap_or(alarm.start_ms));
        let start = alarm.start_ms.to_string();
        let level = alarm.level.as_deref();
        let mut key = vec![PAGE, &alarm.kind, &alarm.name, &start, state];
        if edge == Edge::Changed {
            key.extend(level);
        }
        let is_balance = alarm.kind == BALANCE_ALARM && !alarm.name.is_empty();
        let account = is_balance.then_some(&*alarm.name);
        let shown = |millis: i64| Timestamp::from_millis(millis).to_string();
        let mut data = Object::with_capacity(256);
        data.text("alarm_type", Some(&alarm.kind));
        data.text("alarm_name", alarm_name(&alarm.kind));
        data.text("level", level.map(level_word));
        data.text("object", Some(&*alarm.name).filter(|name| !name.is_empty()));
        data.text("value", alarm.value.as_deref());
        data.text("upper", alarm.upper.as_deref());
        data.text("lower", alarm.lower.as_deref());
        data.text("state", Some(state));
        data.text("started_at", Some(&shown(alarm.start_ms)));
        data.text("cleared_at", cleared_ms.map(shown).as_deref());
        data.text("message", alarm.memo.as_deref());
        let labels = Labels {
            account: account.map(Box::from),
            ..Labels::default()
        };
        let mut events = vec![self.event("alarm", &key, time, labels.clone(), data)];
        if let Some(account) = account.filter(|_| edge != Edge::Changed) {
            key.push("balance");
            let alert_type = match edge {
                Edge::Cleared => "recovered",
                _ => "low_balance",
            };
            let mut data = Object::with_capacity(256);
            data.text("account_id", Some(account));
            data.text("account_type", None);
            // What the balance is after the alarm went, the list does not say.
            let balance = alarm.value.as_deref().filter(|_| edge != Edge::Cleared);
            data.text("current_balance", balance);
            data.text("currency", self.currency.as_deref());
            data.text("alert_threshold", alarm.lower.as_deref());
            data.text("alert_type", Some(alert_type));
            data.text("credit_limit", None);
            data.whole("level", Some(1));
            events.push(self.event("balance_alert", &key, time, labels, data));
        }
        events
    }

    fn event(
        &self,
        kind: &str,
        key: &[&str],
        time: Timestamp,
        labels: Labels,
        data: Object,
    ) -> Event {
        Event {
            id: id::of_key(&self.node, &self.source, key.iter().copied()),
            kind: kind.into(),
            time,
            node: Arc::clone(&self.node),
            labels,
            data: data.finish(),
        }
    }
}

fn alarm_name(kind: &str) -> Option<&'static str> {
    let number: u32 = kind.parse().ok()?;
    let (_, name) = ALARM_NAMES.iter().find(|(known, _)| *known == number)?;
    Some(name)
}

/// The word for a level's number; another text as it is.
fn level_word(level: &str) -> &str {
    match level {
        "0" => "normal",
        "1" => "minor",
        "2" => "major",
        "3" => "critical",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Alarm> {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/vos3000/outbound-post/AlarmCurrentReport.json"
        );
        read(&std::fs::read(path).unwrap()).unwrap()
    }

    fn maker() -> AlarmMaker {
        AlarmMaker {
            node: "vos-1".into(),
            source: "push".into(),
            currency: Some("USD".to_string()),
        }
    }

    #[track_caller]
    fn check(event: &Event, kind: &str, time: &str, data: &str) {
        assert_eq!(String::from_utf8_lossy(&event.data), data);
        assert_eq!((&*event.kind, &*event.time.to_string()), (kind, time));
    }

    #[test]
    fn an_alarm_that_came_is_told_with_its_names_and_figures_as_written() {
        let alarms = sample();
        assert_eq!(alarms.len(), 3);
        let events = maker().alarm(&alarms[0], Edge::Raised, UnixMs(0));
        check(&events[0], "alarm", "2026-04-10T06:35:00.000Z", "{\"alarm_type\":\"20007\",\"alarm_name\":\"account balance\",\"level\":\"major\",\"object\":\"CLIENT001\",\"value\":\"15.5\",\"upper\":null,\"lower\":\"20.0\",\"state\":\"raised\",\"started_at\":\"2026-04-10T06:35:00.000Z\",\"cleared_at\":null,\"message\":null}");
        check(&events[1], "balance_alert", "2026-04-10T06:35:00.000Z", "{\"account_id\":\"CLIENT001\",\"account_type\":null,\"current_balance\":\"15.5\",\"currency\":\"USD\",\"alert_threshold\":\"20.0\",\"alert_type\":\"low_balance\",\"credit_limit\":null,\"level\":1}");
        assert_ne!(events[0].id, events[1].id);
        assert_eq!(events[0].labels.account.as_deref(), Some("CLIENT001"));
    }

    #[test]
    fn an_alarm_that_went_is_told_at_the_time_of_the_list_without_it() {
        let events = maker().alarm(&sample()[2], Edge::Cleared, UnixMs(1_775_803_105_000));
        assert_eq!(events.len(), 1);
        check(&events[0], "alarm", "2026-04-10T06:38:25.000Z", "{\"alarm_type\":\"20005\",\"alarm_name\":\"disk\",\"level\":\"critical\",\"object\":\"/\",\"value\":\"93.0\",\"upper\":\"90.0\",\"lower\":null,\"state\":\"cleared\",\"started_at\":\"2026-04-10T06:37:00.000Z\",\"cleared_at\":\"2026-04-10T06:38:25.000Z\",\"message\":null}");
    }

    #[test]
    fn the_same_edge_has_the_same_id_whenever_the_list_comes() {
        let alarm = &sample()[0];
        let id = |edge, at| maker().alarm(alarm, edge, UnixMs(at))[0].id;
        assert_eq!(id(Edge::Cleared, 1), id(Edge::Cleared, 2));
        assert_ne!(id(Edge::Raised, 1), id(Edge::Cleared, 1));
        assert_ne!(id(Edge::Raised, 1), id(Edge::Changed, 1));
    }

    #[track_caller]
    fn check_error(body: &str, expected: &str) {
        let error = read(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{body}");
    }

    #[test]
    fn what_cannot_be_read_says_why_without_its_content() {
        check_error("", "not a JSON object: eof error at byte 0");
        check_error("{}", "infoAlarmCurrents is missing");
        check_error("{\"infoAlarmCurrents\":null}", "infoAlarmCurrents is not a list");
        check_error("{\"infoAlarmCurrents\":[{\"type\":20003}]}", "startTime is missing");
        check_error("{\"infoAlarmCurrents\":[{\"type\":{}}]}", "type is neither text nor a number");
        check_error("{\"infoAlarmCurrents\":[{\"type\":1,\"startTime\":\"now\"}]}", "startTime is not a whole number");
        let many = format!("{{\"infoAlarmCurrents\":[{}0]}}", "0,".repeat(ALARMS_MAX));
        check_error(&many, "1025 alarms at once, at most 1024 are taken");
        let long = format!("{{\"infoAlarmCurrents\":[{{\"type\":\"{}\"}}]}}", "x".repeat(2_000));
        check_error(&long, "type is too long");
        assert!(read(b"{\"infoAlarmCurrents\":\"\xff\"}").is_err());
    }
}

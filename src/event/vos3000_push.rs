//! What VOS3000 pushes to `OUT_POST_URL`: its pages → what each tells → events.
//!
//! *documented* (the vendor's web interface manual, version 05, chapter 4): the pages, their fields,
//! epoch milliseconds, UTF-8. *inferred*: `AlarmCurrentReport` is the list of alarms that stand
//! now, not a change of it, so raise and clear come from comparing it with the last one.
//! *documented*: `CustomerMoneyChange` comes on recharges and on deductions other than for calls,
//! never on a call's charge, and carries no time.
//!
//! # Ids
//!
//! A push that is repeated gives the same id, or no event at all. The natural key is, in this order and
//! after the page's name:
//!
//! | page | key |
//! |---|---|
//! | `AlarmCurrentReport` | type, name, start time, `raised` or `cleared`, arrival of the list that showed it in milliseconds |
//! | `CustomerMoneyChange` | account, money, arrival of the first of its repeats in milliseconds |
//! | `CallStateReport` | call id, SIP Call-ID, call state, event time |
//! | `PhoneOnline` | number, online, event time |
//!
//! Times in keys are epoch milliseconds as pushed. An alarm needs the arrival: its level can go up and
//! down, and a switch that begins anew may post an empty list before the one with the same alarm and
//! the same start. Without it a receiver would take the second of two such changes for a repeat of the
//! first, and an alarm that stands for cleared. A list that is repeated changes nothing, so it makes
//! no event.

use super::amount::Amount;
use super::json::Object;
use super::report::{self, Outcome};
use super::shape::Field;
use super::{CallSettings, Event, Labels, id};
use crate::clock::UnixMs;
use crate::parser::record::is_amount;
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The pages that are taken. `PushDtmfInfo` and its like want an answer that steers a call.
pub const PAGES: [&str; 4] = [ALARMS, MONEY, CALL, PHONE];

const ALARMS: &str = "AlarmCurrentReport";
const MONEY: &str = "CustomerMoneyChange";
const CALL: &str = "CallStateReport";
const PHONE: &str = "PhoneOnline";

/// The types of events that the pages become.
pub const KINDS: [&str; 5] = ["alarm", "balance_alert", "account", "call", "phone"];

/// The types of events that `page`, one of [`PAGES`], becomes.
pub fn kinds_of(page: &str) -> &'static [&'static str] {
    match page {
        ALARMS => &["alarm", "balance_alert"],
        MONEY => &["account", "balance_alert"],
        CALL => &["call"],
        PHONE => &["phone"],
        _ => &[],
    }
}

/// The members of the `data` of what is pushed, by the type of the event; none of other types.
pub fn fields_of(kind: &str) -> &'static [Field] {
    match kind {
        "alarm" => &report::ALARM_FIELDS,
        "account" => &MONEY_FIELDS,
        "call" => &CALL_FIELDS,
        "phone" => &PHONE_FIELDS,
        _ => &[],
    }
}

/// Most alarms that can stand at once: a switch with a lower bound for each of its accounts has one for
/// each that ran dry, for as long as nobody pays. A whole list of them fits a body, and their state the
/// queue.
pub const ALARMS_MAX: usize = 8_192;

/// Most bytes of one alarm as it is remembered, in JSON: what the queue takes as one piece of state. A
/// longer one could never be committed, nor anything that came with it.
pub const ALARM_BYTES_MAX: usize = 6_000;

/// Longest text of one field, in bytes: the manual's longest is a memo of some hundred.
const TEXT_BYTES_MAX: usize = 1_024;

/// What one push tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The alarms that stand now.
    Alarms(Alarms),
    /// An account's balance after a change that was no call.
    Money(Money),
    /// A call went into another state.
    Call(CallState),
    /// A telephone came or went.
    Phone(Phone),
}

/// A list of alarms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarms {
    /// Those that stand.
    pub standing: Vec<Alarm>,
    /// Those that cannot be read, as they were written, and why. The others are told in spite of them.
    pub odd: Vec<(String, PushError)>,
}

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
    /// A note; not remembered over a restart.
    #[serde(skip)]
    pub memo: Option<String>,
}

impl Alarm {
    /// The account whose balance it is about, if it is one of those.
    pub fn balance_of(&self) -> Option<&str> {
        let is_balance = self.kind == report::BALANCE_ALARM && !self.name.is_empty();
        is_balance.then_some(&*self.name)
    }
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

/// An account's balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money {
    /// The account.
    pub account: String,
    /// The balance, as written.
    pub money: String,
}

/// A call in a new state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallState {
    /// The softswitch's number of the call.
    pub call: String,
    /// The state's number.
    pub state: i64,
    /// When, in epoch milliseconds.
    pub time_ms: i64,
    fields: BTreeMap<&'static str, String>,
}

/// A telephone that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// Its number.
    pub number: String,
    /// It is there.
    pub online: bool,
    /// When, in epoch milliseconds.
    pub time_ms: i64,
    /// Numbers that ring it.
    pub dids: Vec<String>,
    local_port: Option<i64>,
    fields: BTreeMap<&'static str, String>,
}

/// Why a push tells nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushError {
    /// No JSON object in UTF-8; where it goes wrong.
    NotJson(String),
    /// A field that has to be there is not.
    Missing(&'static str),
    /// A field is not what it should be.
    Field(&'static str, &'static str),
    /// More alarms than [`ALARMS_MAX`].
    TooManyAlarms(usize),
    /// No such page.
    Page,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(place) => write!(f, "not a JSON object: {place}"),
            Self::Missing(field) => write!(f, "{field} is missing"),
            Self::Field(field, what) => write!(f, "{field} is {what}"),
            Self::TooManyAlarms(count) => {
                write!(f, "{count} alarms at once, at most {ALARMS_MAX} are taken")
            }
            Self::Page => f.write_str("no such page"),
        }
    }
}

impl std::error::Error for PushError {}

/// Reads what was pushed to `page`.
///
/// # Errors
///
/// What keeps it from being read; nothing of it is told then. Of a list, an alarm that cannot be read
/// is [odd](Alarms::odd) for itself.
pub fn read(page: &str, body: &[u8]) -> Result<Told, PushError> {
    let fields = Fields::of(body)?;
    match page {
        ALARMS => alarms(&fields).map(Told::Alarms),
        MONEY => Ok(Told::Money(Money {
            account: fields.required("account")?,
            money: fields.amount("money")?.ok_or(PushError::Missing("money"))?,
        })),
        CALL => call(&fields).map(Told::Call),
        PHONE => phone(&fields).map(Told::Phone),
        _ => Err(PushError::Page),
    }
}

fn alarms(fields: &Fields<'_>) -> Result<Alarms, PushError> {
    const LIST: &str = "infoAlarmCurrents";
    let list = fields.0.get(LIST).ok_or(PushError::Missing(LIST))?;
    let list: Vec<&RawValue> =
        serde_json::from_str(list.get()).map_err(|_| PushError::Field(LIST, "not a list"))?;
    if list.len() > ALARMS_MAX {
        return Err(PushError::TooManyAlarms(list.len()));
    }
    let mut alarms = Alarms::default();
    for written in list {
        match alarm(written.get()) {
            Ok(alarm) => alarms.standing.push(alarm),
            Err(error) => alarms.odd.push((written.get().to_owned(), error)),
        }
    }
    Ok(alarms)
}

fn alarm(written: &str) -> Result<Alarm, PushError> {
    let fields = Fields::of(written.as_bytes())?;
    let alarm = Alarm {
        kind: fields.required("type")?,
        name: fields.text("name")?.unwrap_or_default(),
        start_ms: fields.millis("startTime")?,
        level: fields.text("level")?,
        value: fields.text("value")?,
        upper: fields.text("upper")?,
        lower: fields.text("lower")?,
        memo: fields.text("memo")?,
    };
    match serde_json::to_vec(&alarm) {
        Ok(kept) if kept.len() <= ALARM_BYTES_MAX => Ok(alarm),
        _ => Err(PushError::Field("the alarm", "too long")),
    }
}

fn call(fields: &Fields<'_>) -> Result<CallState, PushError> {
    Ok(CallState {
        call: fields.required("callId")?,
        state: fields
            .whole("callState")?
            .ok_or(PushError::Missing("callState"))?,
        time_ms: fields.millis("eventTime")?,
        fields: fields.texts(&[
            "callerE164",
            "calleeE164",
            "callerGatewayId",
            "calleeGatewayId",
            "callerIp",
            "calleeIp",
            "transactionId",
            "callIdentifier",
        ])?,
    })
}

fn phone(fields: &Fields<'_>) -> Result<Phone, PushError> {
    let online = fields.required("online")?;
    Ok(Phone {
        number: fields.required("e164")?,
        online: match online.as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return Err(PushError::Field("online", "neither true nor false")),
        },
        time_ms: fields.millis("eventTime")?,
        dids: fields.list("dids")?,
        local_port: fields.whole("localPort")?,
        fields: fields.texts(&["localIp", "remoteIp", "productId"])?,
    })
}

/// The fields of an object, each as it is written.
struct Fields<'t>(BTreeMap<String, &'t RawValue>);

impl<'t> Fields<'t> {
    fn of(body: &'t [u8]) -> Result<Fields<'t>, PushError> {
        let not_json = |error: serde_json::Error| {
            let place = format!("{:?} error at byte {}", error.classify(), error.column());
            PushError::NotJson(place.to_lowercase())
        };
        serde_json::from_slice(body).map(Fields).map_err(not_json)
    }

    /// The text of a field, a number as it is written; nothing where it is empty or `null`.
    fn text(&self, name: &'static str) -> Result<Option<String>, PushError> {
        match self.0.get(name) {
            Some(raw) => text_of(name, raw),
            None => Ok(None),
        }
    }

    /// The texts of a list, numbers as they are written; none where it is empty, an empty text or `null`.
    fn list(&self, name: &'static str) -> Result<Vec<String>, PushError> {
        const NONE: [&str; 2] = ["null", "\"\""];
        let Some(raw) = self.0.get(name).filter(|raw| !NONE.contains(&raw.get())) else {
            return Ok(Vec::new());
        };
        let not_texts = || PushError::Field(name, "not a list of texts");
        let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| not_texts())?;
        let text = |raw: &&RawValue| text_of(name, raw).map_err(|_| not_texts());
        let texts: Result<Vec<Option<String>>, PushError> = list.iter().map(text).collect();
        Ok(texts?.into_iter().flatten().collect())
    }

    fn required(&self, name: &'static str) -> Result<String, PushError> {
        self.text(name)?.ok_or(PushError::Missing(name))
    }

    fn amount(&self, name: &'static str) -> Result<Option<String>, PushError> {
        let text = self.text(name)?;
        match text.as_deref().is_none_or(is_amount) {
            true => Ok(text),
            false => Err(PushError::Field(name, "not an amount")),
        }
    }

    fn whole(&self, name: &'static str) -> Result<Option<i64>, PushError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        // JSON knows one kind of numbers: 1775803105456 is written as 1.775803105456E12 too.
        let number = text.parse().ok();
        let number = number.or_else(|| Amount::parse(&text)?.to_whole());
        number
            .map(Some)
            .ok_or(PushError::Field(name, "not a whole number"))
    }

    /// Epoch milliseconds; 0 and less are what a switch writes for no time.
    fn millis(&self, name: &'static str) -> Result<i64, PushError> {
        self.whole(name)?
            .filter(|millis| *millis > 0)
            .ok_or(PushError::Missing(name))
    }

    fn texts(&self, names: &[&'static str]) -> Result<BTreeMap<&'static str, String>, PushError> {
        let mut texts = BTreeMap::new();
        for name in names {
            if let Some(text) = self.text(name)? {
                texts.insert(*name, text);
            }
        }
        Ok(texts)
    }
}

/// The text of the field `name`, whose value is `raw`; a number or a truth as it is written.
fn text_of(name: &'static str, raw: &RawValue) -> Result<Option<String>, PushError> {
    let text = match raw.get().chars().next() {
        Some('"') => {
            serde_json::from_str(raw.get()).map_err(|_| PushError::Field(name, "not text"))?
        }
        Some('{' | '[') => return Err(PushError::Field(name, "neither text nor a number")),
        Some('n') => return Ok(None),
        _ => raw.get().to_string(),
    };
    if text.len() > TEXT_BYTES_MAX {
        return Err(PushError::Field(name, "too long"));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

impl CallState {
    /// The word for its state; `None` for those that a receiver is not told (set-up,
    /// authentication, and numbers the manual does not explain).
    pub fn word(&self) -> Option<&'static str> {
        match self.state {
            -5 | -11 => Some("ringing"),
            -6 | -12 => Some("answered"),
            -13 => Some("hangup"),
            _ => None,
        }
    }
}

/// The members of the `data` of a pushed balance, in order.
pub const MONEY_FIELDS: [Field; 4] = [
    Field::text("account_id", "The account.").always(),
    Field::amount(
        "current_balance",
        "Its balance, exactly as the switch wrote it.",
    )
    .always(),
    Field::text("currency", "Its currency, from the configuration."),
    Field::word("change", &["balance"], "What changed.").always(),
];

/// The members of the `data` of a pushed call state, in order.
pub const CALL_FIELDS: [Field; 13] = [
    Field::text("call_id", "The call's identifier on the switch.").always(),
    Field::word(
        "state",
        &["ringing", "answered", "hangup"],
        "What the call does.",
    )
    .always(),
    Field::time("time", "Since when.").always(),
    Field::text("caller_id", "The caller's number."),
    Field::text("called_id", "The called number."),
    Field::text("account_id", "The customer's account."),
    Field::text("gateway_id", "The gateway (trunk) the call comes from."),
    Field::text("callee_gateway_id", "The gateway (trunk) the call goes to."),
    Field::text("caller_ip", "The caller's address."),
    Field::text("callee_ip", "The called side's address."),
    Field::text("sip_call_id", "The SIP Call-ID."),
    Field::text("transaction_id", "The switch's number of the transaction."),
    Field::whole(
        "call_state",
        "The switch's number for the state, unchanged.",
    )
    .always(),
];

/// The members of the `data` of a pushed telephone, in order.
pub const PHONE_FIELDS: [Field; 8] = [
    Field::text("phone_id", "The telephone's number.").always(),
    Field::truth("online", "Whether it is registered."),
    Field::time("time", "Since when.").always(),
    Field::texts("dids", "Numbers that lead to it."),
    Field::text("local_ip", "The switch's address it is registered at."),
    Field::whole("local_port", "The port there."),
    Field::text("remote_ip", "Its own address."),
    Field::text("product_id", "What it says it is."),
];

/// Makes the events of one source of pushes.
#[derive(Debug)]
pub struct PushMaker {
    /// The switch's name.
    pub node: Arc<str>,
    /// The source's name.
    pub source: Arc<str>,
    /// Currency, and accounts by gateway.
    pub settings: CallSettings,
}

impl PushMaker {
    /// The event of an alarm that came or went; `at` is when the list came that shows it.
    pub fn alarm(&self, alarm: &Alarm, edge: Edge, at: UnixMs) -> Event {
        let (state, cleared_ms) = match edge {
            Edge::Raised | Edge::Changed => ("raised", None),
            Edge::Cleared => ("cleared", Some(at.0)),
        };
        let (start, arrival) = (alarm.start_ms.to_string(), at.0.to_string());
        let key = [ALARMS, &alarm.kind, &alarm.name, &start, state, &arrival];
        let outcome = Outcome {
            state,
            started_at: Some(Timestamp::from_millis(alarm.start_ms)),
            cleared_at: cleared_ms.map(Timestamp::from_millis),
            repeats: 0,
        };
        let told = report::Alarm {
            alarm_type: &alarm.kind,
            name: None,
            level: alarm.level.as_deref(),
            object: Some(&*alarm.name).filter(|name| !name.is_empty()),
            value: alarm.value.as_deref(),
            upper: alarm.upper.as_deref(),
            lower: alarm.lower.as_deref(),
            message: alarm.memo.as_deref(),
        };
        let labels = Labels {
            account: alarm.balance_of().map(Box::from),
            ..Labels::default()
        };
        // A list does not say when an alarm that is missing from it ended.
        let time = Timestamp::from_millis(cleared_ms.unwrap_or(alarm.start_ms));
        let data = report::alarm(&told, outcome, None, None);
        self.event("alarm", &key, time, labels, data)
    }

    /// The event of a balance that first came at `first`.
    pub fn money(&self, money: &Money, first: UnixMs) -> Event {
        let arrival = first.0.to_string();
        let mut data = Object::shaped(&MONEY_FIELDS, 128);
        data.text("account_id", Some(&money.account));
        data.text("current_balance", Some(&money.money));
        data.text("currency", self.settings.currency.as_deref());
        data.text("change", Some("balance"));
        let labels = Labels {
            account: Some(money.account.as_str().into()),
            ..Labels::default()
        };
        let key = [MONEY, &money.account, &money.money, &arrival];
        self.event(
            "account",
            &key,
            Timestamp::from_millis(first.0),
            labels,
            data.finish(),
        )
    }

    /// The event of a call in a state that has a [word](CallState::word).
    pub fn call(&self, call: &CallState, word: &str) -> Event {
        let field = |name: &str| call.fields.get(name).map(String::as_str);
        let gateway = field("callerGatewayId");
        let account = gateway.and_then(|gateway| self.settings.accounts.get(gateway));
        let time = Timestamp::from_millis(call.time_ms);
        let mut data = Object::shaped(&CALL_FIELDS, 384);
        data.text("call_id", Some(&call.call));
        data.text("state", Some(word));
        data.text("time", Some(&time.to_string()));
        data.text("caller_id", field("callerE164"));
        data.text("called_id", field("calleeE164"));
        data.text("account_id", account.map(String::as_str));
        data.text("gateway_id", gateway);
        data.text("callee_gateway_id", field("calleeGatewayId"));
        data.text("caller_ip", field("callerIp"));
        data.text("callee_ip", field("calleeIp"));
        data.text("sip_call_id", field("callIdentifier"));
        data.text("transaction_id", field("transactionId"));
        data.whole("call_state", Some(call.state));
        let labels = Labels {
            account: account.map(|account| account.as_str().into()),
            gateway: gateway.map(Box::from),
            callee_gateway: field("calleeGatewayId").map(Box::from),
            ..Labels::default()
        };
        let (state, millis) = (call.state.to_string(), call.time_ms.to_string());
        let sip = field("callIdentifier").unwrap_or_default();
        let key = [CALL, &call.call, sip, &state, &millis];
        self.event("call", &key, time, labels, data.finish())
    }

    /// The event of a telephone that came or went.
    pub fn phone(&self, phone: &Phone) -> Event {
        let field = |name: &str| phone.fields.get(name).map(String::as_str);
        let time = Timestamp::from_millis(phone.time_ms);
        let mut data = Object::shaped(&PHONE_FIELDS, 256);
        data.text("phone_id", Some(&phone.number));
        data.truth("online", phone.online);
        data.text("time", Some(&time.to_string()));
        data.texts("dids", &phone.dids);
        data.text("local_ip", field("localIp"));
        data.whole("local_port", phone.local_port);
        data.text("remote_ip", field("remoteIp"));
        data.text("product_id", field("productId"));
        let (online, millis) = (phone.online.to_string(), phone.time_ms.to_string());
        let key = [PHONE, &phone.number, &online, &millis];
        self.event("phone", &key, time, Labels::default(), data.finish())
    }

    fn event(
        &self,
        kind: &str,
        key: &[&str],
        time: Timestamp,
        labels: Labels,
        data: Box<[u8]>,
    ) -> Event {
        Event {
            id: id::of_key(&self.node, &self.source, key.iter().copied()),
            kind: kind.into(),
            time,
            node: Arc::clone(&self.node),
            labels,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/vos3000/outbound-post/"
    );

    fn sample(name: &str) -> Vec<u8> {
        std::fs::read(format!("{SAMPLES}{name}.json")).unwrap()
    }

    fn maker() -> PushMaker {
        PushMaker {
            node: "vos-1".into(),
            source: "push".into(),
            settings: CallSettings {
                currency: Some("USD".to_string()),
                accounts: [("GW-IN-CLIENT001".to_string(), "CLIENT001".to_string())].into(),
                ..CallSettings::default()
            },
        }
    }

    #[track_caller]
    fn check(event: &Event, kind: &str, time: &str, data: &str) {
        assert_eq!(String::from_utf8_lossy(&event.data), data);
        assert_eq!((&*event.kind, &*event.time.to_string()), (kind, time));
    }

    #[test]
    fn every_page_of_the_manual_is_read() {
        let Ok(Told::Call(call)) = read(CALL, &sample(CALL)) else {
            panic!("a call state");
        };
        let event = maker().call(&call, call.word().unwrap());
        check(
            &event,
            "call",
            "2026-04-10T06:38:25.456Z",
            "{\"call_id\":\"771\",\"state\":\"answered\",\"time\":\"2026-04-10T06:38:25.456Z\",\"caller_id\":\"12025550101\",\"called_id\":\"442079460101\",\"account_id\":\"CLIENT001\",\"gateway_id\":\"GW-IN-CLIENT001\",\"callee_gateway_id\":\"GW-OUT-UK-A\",\"caller_ip\":\"192.0.2.11\",\"callee_ip\":\"203.0.113.21\",\"sip_call_id\":\"13b24a08@192.0.2.11\",\"transaction_id\":null,\"call_state\":-12}",
        );
        assert_eq!(event.labels.account.as_deref(), Some("CLIENT001"));
        let Ok(Told::Money(money)) = read(MONEY, &sample(MONEY)) else {
            panic!("a balance");
        };
        let event = maker().money(&money, UnixMs(1_775_803_105_000));
        check(
            &event,
            "account",
            "2026-04-10T06:38:25.000Z",
            "{\"account_id\":\"CLIENT001\",\"current_balance\":\"115.5\",\"currency\":\"USD\",\"change\":\"balance\"}",
        );
        let Ok(Told::Phone(phone)) = read(PHONE, &sample(PHONE)) else {
            panic!("a telephone");
        };
        let event = maker().phone(&phone);
        check(
            &event,
            "phone",
            "2026-04-10T06:38:20.123Z",
            "{\"phone_id\":\"12025550101\",\"online\":false,\"time\":\"2026-04-10T06:38:20.123Z\",\"dids\":[],\"local_ip\":\"192.0.2.5\",\"local_port\":5060,\"remote_ip\":\"198.51.100.77\",\"product_id\":\"softphone\"}",
        );
        let Ok(Told::Alarms(alarms)) = read(ALARMS, &sample(ALARMS)) else {
            panic!("alarms");
        };
        let alarms = alarms.standing;
        assert_eq!(alarms.len(), 3);
        let event = maker().alarm(&alarms[0], Edge::Raised, UnixMs(0));
        check(
            &event,
            "alarm",
            "2026-04-10T06:35:00.000Z",
            "{\"alarm_type\":\"20007\",\"alarm_name\":\"account balance\",\"level\":\"major\",\"object\":\"CLIENT001\",\"value\":\"15.5\",\"upper\":null,\"lower\":\"20.0\",\"state\":\"raised\",\"started_at\":\"2026-04-10T06:35:00.000Z\",\"cleared_at\":null,\"message\":null,\"repeats\":0}",
        );
        assert_eq!(event.labels.account.as_deref(), Some("CLIENT001"));
        let event = maker().alarm(&alarms[2], Edge::Cleared, UnixMs(1_775_803_105_000));
        check(
            &event,
            "alarm",
            "2026-04-10T06:38:25.000Z",
            "{\"alarm_type\":\"20005\",\"alarm_name\":\"disk\",\"level\":\"critical\",\"object\":\"/\",\"value\":\"93.0\",\"upper\":\"90.0\",\"lower\":null,\"state\":\"cleared\",\"started_at\":\"2026-04-10T06:37:00.000Z\",\"cleared_at\":\"2026-04-10T06:38:25.000Z\",\"message\":null,\"repeats\":0}",
        );
    }

    #[track_caller]
    fn check_error(page: &str, body: &str, expected: &str) {
        let error = read(page, body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{page} {body}");
    }

    /// How many alarms are read of a list, and why the others are not.
    fn read_alarms(body: &str) -> (usize, Vec<String>) {
        match read(ALARMS, body.as_bytes()) {
            Ok(Told::Alarms(alarms)) => {
                let odd = alarms.odd.iter().map(|(_, error)| error.to_string());
                (alarms.standing.len(), odd.collect())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_alarm_that_cannot_be_read_hides_none_of_the_others() {
        const GOOD: &str = "{\"type\":20003,\"name\":\"a\",\"startTime\":1}";
        for (odd, why) in [
            ("{\"type\":20003}", "startTime is missing"),
            ("{\"type\":20003,\"startTime\":0}", "startTime is missing"),
            ("7", "not a JSON object: data error at byte 1"),
            (
                "{\"type\":1,\"startTime\":1,\"level\":[1]}",
                "level is neither text nor a number",
            ),
        ] {
            let body = format!("{{\"infoAlarmCurrents\":[{odd},{GOOD}]}}");
            assert_eq!(read_alarms(&body), (1, vec![why.to_owned()]), "{odd}");
        }
    }

    #[test]
    fn an_alarm_that_the_queue_could_not_remember_is_refused() {
        let list = |name: &str| {
            format!(
                "{{\"infoAlarmCurrents\":[{{\"type\":1,\"name\":\"{name}\",\"startTime\":1}}]}}"
            )
        };
        // Each of these is six bytes in JSON, and one in the text.
        let long = list(&"\\u0001".repeat(TEXT_BYTES_MAX));
        assert_eq!(
            read_alarms(&long),
            (0, vec!["the alarm is too long".to_owned()])
        );
        let short = list(&"x".repeat(TEXT_BYTES_MAX));
        assert_eq!(read_alarms(&short), (1, Vec::new()));
    }

    #[test]
    fn what_cannot_be_read_says_why_without_its_content() {
        check_error(MONEY, "", "not a JSON object: eof error at byte 0");
        check_error(MONEY, "[1]", "not a JSON object: data error at byte 0");
        check_error(
            MONEY,
            "{\"account\":\"A\"",
            "not a JSON object: eof error at byte 14",
        );
        check_error(MONEY, "{\"account\":\"A\"}", "money is missing");
        check_error(
            MONEY,
            "{\"account\":\"A\",\"money\":null}",
            "money is missing",
        );
        check_error(
            MONEY,
            "{\"account\":\"\",\"money\":1}",
            "account is missing",
        );
        check_error(
            MONEY,
            "{\"account\":\"A\",\"money\":\"ten\"}",
            "money is not an amount",
        );
        check_error(
            MONEY,
            "{\"account\":{},\"money\":1}",
            "account is neither text nor a number",
        );
        check_error(ALARMS, "{}", "infoAlarmCurrents is missing");
        check_error(
            ALARMS,
            "{\"infoAlarmCurrents\":null}",
            "infoAlarmCurrents is not a list",
        );
        check_error(
            CALL,
            "{\"callId\":1,\"callState\":\"up\"}",
            "callState is not a whole number",
        );
        check_error(
            CALL,
            "{\"callId\":1,\"callState\":-5.5}",
            "callState is not a whole number",
        );
        check_error(
            PHONE,
            "{\"e164\":\"1\",\"online\":\"yes\"}",
            "online is neither true nor false",
        );
        check_error("PushDtmfInfo", "{}", "no such page");
        let many = format!("{{\"infoAlarmCurrents\":[{}0]}}", "0,".repeat(ALARMS_MAX));
        check_error(ALARMS, &many, "8193 alarms at once, at most 8192 are taken");
        let long = format!("{{\"account\":\"{}\",\"money\":1}}", "x".repeat(2_000));
        check_error(MONEY, &long, "account is too long");
        assert!(read(MONEY, b"{\"account\":\"\xff\",\"money\":1}").is_err());
    }

    #[test]
    fn a_telephone_is_read_whichever_way_a_release_writes_its_truths_and_numbers() {
        let phone = |rest: &str| {
            let body = format!("{{\"e164\":12025550101,\"eventTime\":\"1\",{rest}}}");
            match read(PHONE, body.as_bytes()) {
                Ok(Told::Phone(phone)) => (phone.online, phone.dids.join(" ")),
                other => panic!("{rest}: {other:?}"),
            }
        };
        for (rest, online, dids) in [
            ("\"online\":true", true, ""),
            ("\"online\":\"true\",\"dids\":null", true, ""),
            ("\"online\":1,\"dids\":\"\"", true, ""),
            ("\"online\":0,\"dids\":[]", false, ""),
            (
                "\"online\":false,\"dids\":[442079460101,\"4420\",null]",
                false,
                "442079460101 4420",
            ),
        ] {
            assert_eq!(phone(rest), (online, dids.to_owned()), "{rest}");
        }
        check_error(
            PHONE,
            "{\"e164\":1,\"online\":true,\"eventTime\":1,\"dids\":[{}]}",
            "dids is not a list of texts",
        );
    }

    #[test]
    fn the_same_push_gives_the_same_id_and_another_one_another() {
        let call = |body: &str| match read(CALL, body.as_bytes()) {
            Ok(Told::Call(call)) => maker().call(&call, "ringing").id,
            other => panic!("{other:?}"),
        };
        let one = call("{\"callId\":1,\"callState\":-5,\"eventTime\":1775803105456}");
        let same = call(
            "{ \"eventTime\":1775803105456, \"callState\":-5, \"callId\":\"1\", \"callerIp\":\"\" }",
        );
        assert_eq!(one, same);
        let floats = call("{\"callId\":1,\"callState\":-5.0,\"eventTime\":1.775803105456E12}");
        assert_eq!(one, floats);
        for other in [
            "{\"callId\":2,\"callState\":-5,\"eventTime\":1775803105456}",
            "{\"callId\":1,\"callState\":-11,\"eventTime\":1775803105456}",
            "{\"callId\":1,\"callState\":-5,\"eventTime\":1775803105457}",
            "{\"callId\":1,\"callState\":-5,\"eventTime\":1775803105456,\"callIdentifier\":\"x\"}",
        ] {
            assert_ne!(call(other), one, "{other}");
        }
    }

    #[test]
    fn call_states_have_the_words_of_the_manual() {
        let word = |state| {
            let body = format!("{{\"callId\":1,\"callState\":{state},\"eventTime\":1}}");
            match read(CALL, body.as_bytes()) {
                Ok(Told::Call(call)) => call.word(),
                other => panic!("{other:?}"),
            }
        };
        for (states, expected) in [
            (&[-5, -11][..], Some("ringing")),
            (&[-6, -12], Some("answered")),
            (&[-13], Some("hangup")),
            (&[-1, -18, 0, 7, -99], None),
        ] {
            for state in states {
                assert_eq!(word(*state), expected, "{state}");
            }
        }
    }
}

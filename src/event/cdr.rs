//! What is told of a call: the `data` of a `cdr`, keys and order fixed.

use super::json::Object;
use super::shape::{Field, RAW_BASE64};
use super::{CallSettings, Labels};
use crate::clock::UnixMs;
use crate::parser::format::{Format, Kind, StartIs};
use crate::parser::{Meaning, Record, Value};
use crate::timestamp::{Precision, Timestamp};

/// Digits after the point that a computed rate has at most.
const RATE_DIGITS: u32 = 6;

/// The members of a call's `data`, in order.
pub const FIELDS: [Field; 25] = [
    Field::text("call_id", "The call's identifier on the switch."),
    Field::text("caller_id", "The caller's number."),
    Field::text("called_id", "The called number."),
    Field::time("start_time", "When the call was set up."),
    Field::time("answer_time", "When it was answered; null when it was not, or the row does not say."),
    Field::time("end_time", "When it ended."),
    Field::whole("duration", "Seconds from set-up to end, ringing included."),
    Field::whole(
        "bill_duration",
        "Seconds billed; 0 when the call was not answered, null when the row does not say.",
    ),
    Field::amount(
        "rate",
        "The price of a minute: the switch's own, else computed from cost and billed seconds; null where it cannot be.",
    ),
    Field::amount("cost", "The fee, exactly as the switch wrote it."),
    Field::text("currency", "Currency of rate and cost, from the configuration."),
    Field::text("account_id", "The customer's account."),
    Field::text("gateway_id", "The gateway (trunk) the call came from."),
    Field::text(
        "disconnect_reason",
        "Why it ended: the operator's text for the switch's number, else the switch's text or number.",
    ),
    Field::text("codec", "The codec."),
    Field::text("callee_gateway_id", "The gateway (trunk) the call went to."),
    Field::whole("end_reason", "The switch's number for why it ended, unchanged."),
    Field::whole("end_direction", "The switch's number for which side ended it, unchanged."),
    Field::text("dialled_id", "The number as it was dialled."),
    Field::text("caller_ip", "The caller's address."),
    Field::text("callee_ip", "The called side's address."),
    Field::whole("pdd_ms", "The post-dial delay in milliseconds."),
    Field::truth(
        "connected",
        "Whether the call was answered; null when no column of the row says.",
    )
    .or_null(),
    Field::columns(
        "extra",
        "Every further column of the switch's row, under its own name; only where the source has extra = true.",
    )
    .optional(),
    RAW_BASE64,
];

/// The keys that every call's `data` has, in order.
pub fn keys() -> impl Iterator<Item = &'static str> {
    let always = FIELDS.iter().filter(|field| !field.is_optional);
    always.map(|field| field.key)
}

/// A call, as its row tells it.
#[derive(Debug)]
pub struct Call<'r> {
    record: &'r Record<'r>,
    settings: &'r CallSettings,
    start: Option<Timestamp>,
    answer: Option<Timestamp>,
    end: Option<Timestamp>,
    /// `None` where the row of a call that may have been answered does not say.
    bill_secs: Option<i64>,
    /// `None` where no column says whether a call was answered, or for how long.
    connected: Option<bool>,
}

impl<'r> Call<'r> {
    /// Reads the call that `record` of `format` tells.
    pub fn new(record: &'r Record<'r>, format: &Format, settings: &'r CallSettings) -> Call<'r> {
        let held = record.whole_of(Meaning::HoldDuration);
        let billed = record.whole_of(Meaning::BillDuration);
        let answered = record.time_of(Meaning::AnswerTime);
        let has = |meaning| record.layout().column_of(meaning).is_some();
        let connected = if has(Meaning::AnswerTime) {
            Some(answered.is_some())
        } else if has(Meaning::HoldDuration) || has(Meaning::BillDuration) {
            Some(held.or(billed).unwrap_or(0) > 0)
        } else {
            None
        };
        let told_start = record.time_of(Meaning::StartTime);
        let (start, answer) = match (format.start_is, connected) {
            (StartIs::Answer, Some(true)) => (
                told_start.map(|at| before(at, record.whole_of(Meaning::PddMs))),
                answered.or(told_start),
            ),
            (_, Some(true)) => (told_start, answered),
            (_, Some(false) | None) => (told_start, None),
        };
        // Some switches write the answer and the time since then instead of the end.
        let told_end = record.time_of(Meaning::EndTime);
        let end = told_end.or_else(|| Some(after(answered?, held?)));
        let bill_secs = match connected {
            Some(false) => Some(0),
            Some(true) | None => billed.or(held),
        };
        Call {
            record,
            settings,
            start,
            answer,
            end,
            bill_secs,
            connected,
        }
    }

    /// When it happened: the end, else the beginning, else the time of the row's own transaction; a
    /// row that is a record has one of them.
    pub fn time(&self) -> Timestamp {
        let own = || self.record.time_of(Meaning::EventTime);
        let time = self.end.or(self.start).or_else(own);
        time.expect("a record says when it happened: its parser saw to it")
    }

    /// Whether it was answered, where the row says.
    pub fn is_connected(&self) -> Option<bool> {
        self.connected
    }

    /// Seconds billed, where the row says.
    pub fn bill_secs(&self) -> Option<i64> {
        self.bill_secs
    }

    /// What routing matches on.
    pub fn labels(&self) -> Labels {
        Labels::of(self.record, self.account())
    }

    /// The `data` object, with `raw_base64` where the row's bytes were not text.
    pub fn data(&self, raw_base64: Option<&str>) -> Box<[u8]> {
        let mut data = Object::shaped(&FIELDS, 640);
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        data.text("call_id", self.text(Meaning::CallId));
        data.text("caller_id", self.text(Meaning::CallerId));
        data.text("called_id", self.text(Meaning::CalledId));
        data.text("start_time", time(self.start).as_deref());
        data.text("answer_time", time(self.answer).as_deref());
        data.text("end_time", time(self.end).as_deref());
        data.whole("duration", self.duration_secs());
        data.whole("bill_duration", self.bill_secs);
        data.text("rate", self.rate().as_deref());
        data.text("cost", self.text(Meaning::Cost));
        data.text(
            "currency",
            self.text(Meaning::Currency)
                .or(self.settings.currency.as_deref()),
        );
        data.text("account_id", self.account());
        data.text("gateway_id", self.text(Meaning::GatewayId));
        data.text("disconnect_reason", self.disconnect_reason().as_deref());
        data.text("codec", self.text(Meaning::Codec));
        data.text("callee_gateway_id", self.text(Meaning::CalleeGatewayId));
        data.whole("end_reason", self.record.whole_of(Meaning::EndReason));
        data.whole("end_direction", self.record.whole_of(Meaning::EndDirection));
        data.text("dialled_id", self.text(Meaning::DialledId));
        data.text("caller_ip", self.text(Meaning::CallerIp));
        data.text("callee_ip", self.text(Meaning::CalleeIp));
        data.whole("pdd_ms", self.record.whole_of(Meaning::PddMs));
        data.truth_or_null("connected", self.connected);
        if self.settings.extra {
            data.object("extra", extra(self.record));
        }
        if let Some(raw) = raw_base64 {
            data.text("raw_base64", Some(raw));
        }
        data.finish()
    }

    fn text(&self, meaning: Meaning) -> Option<&'r str> {
        self.record.text_of(meaning)
    }

    /// The account of the row, else the one its gateway belongs to.
    fn account(&self) -> Option<&str> {
        self.text(Meaning::AccountId).or_else(|| {
            let gateway = self.text(Meaning::GatewayId)?;
            self.settings.accounts.get(gateway).map(String::as_str)
        })
    }

    /// The format's own figure, else end minus start; whole seconds, not below zero.
    fn duration_secs(&self) -> Option<i64> {
        let told = self.record.whole_of(Meaning::Duration);
        told.or_else(|| {
            let millis = self.end?.unix.0.saturating_sub(self.start?.unix.0);
            Some(millis.max(0) / 1_000)
        })
    }

    /// The row's own rate, else the fee of a minute; `None` where nothing was billed.
    fn rate(&self) -> Option<String> {
        let told = self.text(Meaning::Rate).map(str::to_string);
        told.or_else(|| per_minute(self.text(Meaning::Cost)?, self.bill_secs?))
    }

    /// The operator's text for the number, else the row's own text, else the number.
    fn disconnect_reason(&self) -> Option<String> {
        let number = self.record.whole_of(Meaning::EndReason);
        let own = number.and_then(|number| self.settings.reasons.get(&number).cloned());
        own.or_else(|| self.text(Meaning::DisconnectReason).map(str::to_string))
            .or_else(|| number.map(|number| number.to_string()))
    }
}

/// Every column that means nothing to the keys above, by name.
fn extra(record: &Record<'_>) -> Object {
    let mut extra = Object::with_capacity(512);
    for (index, column) in record
        .layout()
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.meaning.is_none() && !column.drop)
    {
        match (record.value(index), column.kind) {
            (Value::Whole(number), _) => extra.whole(&column.name, Some(number)),
            (Value::Time(at), _) => extra.text(&column.name, Some(&at.to_string())),
            (Value::Text, Kind::Text) => extra.text(&column.name, Some(record.text(index))),
            (Value::Text, _) => extra.text(&column.name, Some(record.text(index).trim())),
            (Value::Nothing, _) => extra.text(&column.name, None),
        }
    }
    extra
}

/// The instant `secs` after `at`.
fn after(at: Timestamp, secs: i64) -> Timestamp {
    let unix = UnixMs(at.unix.0.saturating_add(secs.saturating_mul(1_000)));
    Timestamp { unix, ..at }
}

/// The instant `millis` before `at`, told no more finely than `at` itself.
fn before(at: Timestamp, millis: Option<i64>) -> Timestamp {
    let unix = UnixMs(at.unix.0.saturating_sub(millis.unwrap_or(0).max(0)));
    match at.precision {
        Precision::Seconds => Timestamp::from_secs(unix.unix_secs()),
        Precision::Millis => Timestamp { unix, ..at },
    }
}

/// `fee` x 60 / `secs` in decimal arithmetic, rounded half up to [`RATE_DIGITS`] digits, without
/// needless zeros; `None` where it cannot be computed exactly enough.
fn per_minute(fee: &str, secs: i64) -> Option<String> {
    if secs <= 0 || fee.starts_with('-') {
        return None;
    }
    let (digits, scale) = decimal(fee)?;
    // fee = digits / 10^scale; the rate in millionths is digits * 60 * 10^6 / (secs * 10^scale).
    let numerator = digits
        .checked_mul(60)?
        .checked_mul(10_i128.pow(RATE_DIGITS))?;
    let denominator = i128::from(secs).checked_mul(10_i128.checked_pow(scale)?)?;
    let millionths =
        numerator.checked_mul(2)?.checked_add(denominator)? / denominator.checked_mul(2)?;
    let unit = 10_u64.pow(RATE_DIGITS);
    let mut text = match u64::try_from(millionths) {
        // Nearly all: numbers of the machine's own size are printed at a fraction of the cost.
        Ok(millionths) => format!("{}.{:06}", millionths / unit, millionths % unit),
        Err(_) => {
            let unit = i128::from(unit);
            format!("{}.{:06}", millionths / unit, millionths % unit)
        }
    };
    let length = text.trim_end_matches('0').trim_end_matches('.').len();
    text.truncate(length);
    Some(text)
}

/// The digits of a decimal number without its point, and how many stand behind it.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = whole
        .bytes()
        .chain(fraction.bytes())
        .try_fold(0_i128, |digits, byte| {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            digits.checked_mul(10)?.checked_add(digit)
        })?;
    let scale = i64::try_from(fraction.len())
        .ok()?
        .checked_sub(exponent.parse().ok()?)?;
    match u32::try_from(scale) {
        Ok(scale) => Some((digits, scale)),
        Err(_) => Some((
            digits.checked_mul(10_i128.checked_pow(u32::try_from(-scale).ok()?)?)?,
            0,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fee: &str, secs: i64, expected: Option<&str>) {
        assert_eq!(
            per_minute(fee, secs).as_deref(),
            expected,
            "{fee} for {secs} s"
        );
    }

    #[test]
    fn the_rate_of_a_minute_is_computed_in_decimal_digits() {
        check("0.0150", 60, Some("0.015"));
        check("0.0368", 147, Some("0.01502"));
        check("1", 7, Some("8.571429"));
        check("0.1", 6, Some("1"));
        check("0.0", 60, Some("0"));
        check("1.0E-4", 60, Some("0.0001"));
        check("2E2", 60, Some("200"));
        check("0.0000005", 60, Some("0.000001"));
        check("123456789012.123456", 1, Some("7407407340727.40736"));
    }

    #[test]
    fn no_rate_is_better_than_a_guessed_one() {
        check("0.0150", 0, None);
        check("-0.0150", 60, None);
        check("99999999999999999999999999999999999999", 60, None);
        check("1E99", 60, None);
    }
}

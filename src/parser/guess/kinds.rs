//! What the values of an unknown column are, and what they may mean.

use super::super::format::{Kind, Meaning};
use super::super::record::{INTEGER_MAX, is_amount, seconds};
use super::super::time::{self, Dates};
use jiff::tz::TimeZone;

/// Earliest and latest second of a time that a call record can tell: 2000 to 2100.
const SECONDS: std::ops::Range<i64> = 946_684_800..4_102_444_800;

/// Epoch seconds from which on ten digits are a number: those of North America begin with 201, which
/// is May 2033.
const NUMBERS_FROM: i64 = 2_010_000_000;

/// What all the values of one column have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looks {
    /// Nothing in it.
    Empty,
    /// An instant, with or without zone.
    Time { local: bool },
    /// Whole numbers that are small enough for lengths of time and codes.
    Small,
    /// Whole numbers, some negative.
    Signed,
    /// Decimal numbers with a point.
    Amount,
    /// Lengths of time as a clock shows them.
    Length,
    /// Digits, perhaps behind a plus sign or 3CX's `Ext.`, as many as telephone numbers have.
    Number,
    /// Addresses of the internet.
    Address,
    /// Anything.
    Text,
}

impl Looks {
    /// What `values` look like.
    ///
    /// Dates with the year behind are those of `dates`.
    pub(super) fn of<'v>(values: impl Iterator<Item = &'v str>, dates: Dates) -> Looks {
        let mut seen: Option<Looks> = None;
        let told = |value: &&str| !value.is_empty() && !is_zero_date(value);
        for value in values.map(str::trim).filter(told) {
            let one = look(value, dates);
            seen = Some(match seen {
                None => one,
                Some(before) => before.with(one),
            });
        }
        seen.unwrap_or(Looks::Empty)
    }

    fn with(self, other: Looks) -> Looks {
        use Looks::{Amount, Length, Number, Signed, Small, Text, Time};
        match (self, other) {
            (one, other) if one == other => one,
            (Time { local: a }, Time { local: b }) => Time { local: a || b },
            // A zero stands for no time in a column of times.
            (Time { local }, Small) | (Small, Time { local }) => Time { local },
            (Small, Length) | (Length, Small) => Length,
            (Small | Signed, Small | Signed) => Signed,
            (Small | Signed | Amount, Small | Signed | Amount) => Amount,
            // Extensions are short, numbers of the world long.
            (Small | Number, Small | Number) => Number,
            _ => Text,
        }
    }

    /// The column's type, where its values are surely of one.
    pub(super) fn kind(self, meaning: Option<Meaning>) -> Kind {
        match (self, meaning) {
            (
                Looks::Time { .. },
                Some(Meaning::StartTime | Meaning::AnswerTime | Meaning::EndTime),
            )
            | (Looks::Empty, Some(Meaning::AnswerTime)) => Kind::Time,
            (Looks::Amount | Looks::Small, Some(Meaning::Cost | Meaning::Rate)) => Kind::Money,
            (
                Looks::Small | Looks::Amount | Looks::Length,
                Some(Meaning::Duration | Meaning::BillDuration | Meaning::HoldDuration),
            ) => Kind::Seconds,
            (Looks::Small, Some(Meaning::PddMs)) => Kind::Millis,
            (Looks::Small | Looks::Signed, Some(Meaning::EndReason | Meaning::EndDirection)) => {
                Kind::Integer
            }
            _ => Kind::Text,
        }
    }

    /// Its word for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Looks::Empty => "empty",
            Looks::Time { local: true } => "local time",
            Looks::Time { local: false } => "time",
            Looks::Small => "whole number",
            Looks::Signed => "signed number",
            Looks::Amount => "decimal",
            Looks::Length => "length of time",
            Looks::Number => "digits",
            Looks::Address => "address",
            Looks::Text => "text",
        }
    }
}

/// Whether `value` is a date of zeros, which databases keep where there is none.
fn is_zero_date(value: &str) -> bool {
    const ZERO: &[u8] = b"0000-00-00 00:00:00";
    value.len() >= 10 && ZERO.starts_with(value.as_bytes())
}

fn look(value: &str, dates: Dates) -> Looks {
    let told = time::read_dated(value, dates, Some(&TimeZone::UTC));
    if told == Err(time::TimeProblem::OtherZone) {
        return Looks::Time { local: true };
    }
    let is_ten_digits = value.len() == 10 && value.bytes().all(|byte| byte.is_ascii_digit());
    let seconds_end = match is_ten_digits {
        true => NUMBERS_FROM,
        false => SECONDS.end,
    };
    if let Ok(Some(told)) = told
        && (SECONDS.start..seconds_end).contains(&told.at.unix.unix_secs())
    {
        let local = time::read_dated(value, dates, None) == Err(time::TimeProblem::NoZone);
        return Looks::Time { local };
    }
    let bare = value.strip_prefix('+').or(value.strip_prefix("Ext."));
    let digits = bare.unwrap_or(value);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits && (digits.len() > 6 || bare.is_some()) {
        return Looks::Number;
    }
    if all_digits {
        return Looks::Small;
    }
    if value
        .parse::<i64>()
        .is_ok_and(|number| number.abs() <= INTEGER_MAX)
    {
        return Looks::Signed;
    }
    if is_amount(value) {
        return Looks::Amount;
    }
    if seconds(value).is_some() {
        return Looks::Length;
    }
    let host = value.rsplit_once(':').map_or(value, |(host, _)| host);
    if host.parse::<std::net::IpAddr>().is_ok() || value.parse::<std::net::IpAddr>().is_ok() {
        return Looks::Address;
    }
    Looks::Text
}

/// Words in the names of columns, and what such a column means; the first that is found counts.
///
/// A name is taken in lower case without anything but letters and digits.
const NAMES: &[(&str, Meaning)] = &[
    ("uniqueid", Meaning::CallId),
    ("callid", Meaning::CallId),
    ("callsid", Meaning::CallId),
    ("calluuid", Meaning::CallId),
    ("cdruuid", Meaning::CallId),
    ("uuid", Meaning::CallId),
    // Before the number of the record, which Kamailio's table of whole calls begins with.
    ("sipcallid", Meaning::CallId),
    ("flowno", Meaning::CallId),
    ("cdrid", Meaning::CallId),
    ("sessionid", Meaning::CallId),
    ("pkid", Meaning::CallId),
    ("通话标识", Meaning::CallId),
    ("流水号", Meaning::CallId),
    ("confid", Meaning::CallId),
    ("callergateway", Meaning::GatewayId),
    ("origtrunk", Meaning::GatewayId),
    ("ingresstrunk", Meaning::GatewayId),
    ("inboundtrunk", Meaning::GatewayId),
    ("calleegateway", Meaning::CalleeGatewayId),
    ("termtrunk", Meaning::CalleeGatewayId),
    ("egresstrunk", Meaning::CalleeGatewayId),
    ("outboundtrunk", Meaning::CalleeGatewayId),
    ("sourcetrunk", Meaning::GatewayId),
    ("destinationtrunk", Meaning::CalleeGatewayId),
    ("主叫经由路由", Meaning::GatewayId),
    ("被叫经由路由", Meaning::CalleeGatewayId),
    ("主叫网关", Meaning::GatewayId),
    ("被叫网关", Meaning::CalleeGatewayId),
    ("落地网关", Meaning::CalleeGatewayId),
    ("calleripaddress", Meaning::CallerIp),
    ("callerip", Meaning::CallerIp),
    ("sourceip", Meaning::CallerIp),
    ("srcip", Meaning::CallerIp),
    ("calleeip", Meaning::CalleeIp),
    ("calledip", Meaning::CalleeIp),
    ("主叫ip", Meaning::CallerIp),
    ("被叫ip", Meaning::CalleeIp),
    ("destinationip", Meaning::CalleeIp),
    ("destip", Meaning::CalleeIp),
    ("dstip", Meaning::CalleeIp),
    // Before the connecting that its name has inside.
    ("disconnecttime", Meaning::EndTime),
    ("datetimeconnect", Meaning::AnswerTime),
    ("answerepoch", Meaning::AnswerTime),
    ("answeruepoch", Meaning::AnswerTime),
    ("answer", Meaning::AnswerTime),
    ("connecttime", Meaning::AnswerTime),
    ("connectat", Meaning::AnswerTime),
    ("应答时间", Meaning::AnswerTime),
    ("billsec", Meaning::BillDuration),
    ("billingsec", Meaning::BillDuration),
    ("feeduration", Meaning::BillDuration),
    ("billduration", Meaning::BillDuration),
    ("billedduration", Meaning::BillDuration),
    ("billedsec", Meaning::BillDuration),
    ("feetime", Meaning::BillDuration),
    ("chargedduration", Meaning::BillDuration),
    ("计费时长", Meaning::BillDuration),
    ("holdtime", Meaning::HoldDuration),
    ("talktime", Meaning::HoldDuration),
    ("talking", Meaning::HoldDuration),
    ("conversation", Meaning::HoldDuration),
    ("connectduration", Meaning::HoldDuration),
    ("lengthinsec", Meaning::HoldDuration),
    ("sessiontime", Meaning::HoldDuration),
    ("通话时长", Meaning::HoldDuration),
    ("talkduration", Meaning::HoldDuration),
    // As Yeastar writes it.
    ("talkduraction", Meaning::HoldDuration),
    ("callduraction", Meaning::Duration),
    ("duration", Meaning::Duration),
    ("period", Meaning::Duration),
    ("duración", Meaning::Duration),
    ("duracion", Meaning::Duration),
    ("duração", Meaning::Duration),
    ("durée", Meaning::Duration),
    ("dauer", Meaning::Duration),
    ("длительность", Meaning::Duration),
    ("时长", Meaning::Duration),
    ("disposition", Meaning::DisconnectReason),
    ("hangupcause", Meaning::DisconnectReason),
    ("disconnectcause", Meaning::DisconnectReason),
    ("disconnectreason", Meaning::DisconnectReason),
    ("releasecause", Meaning::DisconnectReason),
    ("endreason", Meaning::EndReason),
    ("终止原因", Meaning::EndReason),
    ("enddirection", Meaning::EndDirection),
    ("destcausevalue", Meaning::EndReason),
    ("disconnectcode", Meaning::EndReason),
    ("lastsipresponsenum", Meaning::EndReason),
    ("lastsipresponse", Meaning::DisconnectReason),
    ("callstatus", Meaning::DisconnectReason),
    ("status", Meaning::DisconnectReason),
    ("result", Meaning::DisconnectReason),
    ("reason", Meaning::DisconnectReason),
    ("estado", Meaning::DisconnectReason),
    ("статус", Meaning::DisconnectReason),
    ("starttime", Meaning::StartTime),
    ("startstamp", Meaning::StartTime),
    ("setuptime", Meaning::StartTime),
    ("begintime", Meaning::StartTime),
    ("calldate", Meaning::StartTime),
    ("initiationtime", Meaning::StartTime),
    ("起始时间", Meaning::StartTime),
    ("开始时间", Meaning::StartTime),
    ("startepoch", Meaning::StartTime),
    ("startuepoch", Meaning::StartTime),
    ("startedat", Meaning::StartTime),
    ("datetimeorigination", Meaning::StartTime),
    ("start", Meaning::StartTime),
    ("endtime", Meaning::EndTime),
    ("stoptime", Meaning::EndTime),
    ("endstamp", Meaning::EndTime),
    ("hanguptime", Meaning::EndTime),
    ("终止时间", Meaning::EndTime),
    ("结束时间", Meaning::EndTime),
    ("endepoch", Meaning::EndTime),
    ("enduepoch", Meaning::EndTime),
    ("endedat", Meaning::EndTime),
    ("releasetime", Meaning::EndTime),
    ("datetimedisconnect", Meaning::EndTime),
    ("end", Meaning::EndTime),
    ("date", Meaning::StartTime),
    ("datetime", Meaning::StartTime),
    ("customeraccount", Meaning::AccountId),
    ("accountcode", Meaning::AccountId),
    ("accountid", Meaning::AccountId),
    ("account", Meaning::AccountId),
    ("账户号码", Meaning::AccountId),
    ("账户", Meaning::AccountId),
    ("priceunit", Meaning::Currency),
    ("cost", Meaning::Cost),
    ("fee", Meaning::Cost),
    ("charge", Meaning::Cost),
    ("amount", Meaning::Cost),
    ("price", Meaning::Cost),
    ("sessionbill", Meaning::Cost),
    ("费用", Meaning::Cost),
    ("rate", Meaning::Rate),
    ("费率", Meaning::Rate),
    ("currency", Meaning::Currency),
    ("codec", Meaning::Codec),
    ("pdd", Meaning::PddMs),
    ("calleridnumber", Meaning::CallerId),
    ("callernumber", Meaning::CallerId),
    ("callere164", Meaning::CallerId),
    ("callingnumber", Meaning::CallerId),
    ("callingparty", Meaning::CallerId),
    ("sourcenumber", Meaning::CallerId),
    ("anumber", Meaning::CallerId),
    ("srcusername", Meaning::CallerId),
    ("srcuser", Meaning::CallerId),
    ("srcnumber", Meaning::CallerId),
    ("srcuri", Meaning::CallerId),
    ("callfrom", Meaning::CallerId),
    ("fromnumber", Meaning::CallerId),
    ("origen", Meaning::CallerId),
    ("origem", Meaning::CallerId),
    ("fuente", Meaning::CallerId),
    ("источник", Meaning::CallerId),
    ("主叫号码", Meaning::CallerId),
    ("caller", Meaning::CallerId),
    ("calling", Meaning::CallerId),
    ("source", Meaning::CallerId),
    ("src", Meaning::CallerId),
    ("ani", Meaning::CallerId),
    ("cli", Meaning::CallerId),
    ("from", Meaning::CallerId),
    ("主叫", Meaning::CallerId),
    ("finalcalledpartynumber", Meaning::CalledId),
    ("originalcalledpartynumber", Meaning::DialledId),
    ("calleeidnumber", Meaning::CalledId),
    ("callto", Meaning::CalledId),
    ("tonumber", Meaning::CalledId),
    ("numberdialed", Meaning::CalledId),
    ("destino", Meaning::CalledId),
    ("назначение", Meaning::CalledId),
    ("destinationnumber", Meaning::CalledId),
    ("callednumber", Meaning::CalledId),
    ("calleenumber", Meaning::CalledId),
    ("calleee164", Meaning::CalledId),
    ("calledparty", Meaning::CalledId),
    ("dialednumber", Meaning::CalledId),
    ("phonenumber", Meaning::CalledId),
    ("bnumber", Meaning::CalledId),
    ("dstusername", Meaning::CalledId),
    ("dstousername", Meaning::DialledId),
    ("dstouser", Meaning::DialledId),
    ("dstuser", Meaning::CalledId),
    ("dstnumber", Meaning::CalledId),
    ("dsturi", Meaning::CalledId),
    ("被叫号码", Meaning::CalledId),
    ("callee", Meaning::CalledId),
    ("called", Meaning::CalledId),
    ("destination", Meaning::CalledId),
    ("dnis", Meaning::CalledId),
    ("dst", Meaning::CalledId),
    ("to", Meaning::CalledId),
    ("被叫", Meaning::CalledId),
];

/// Shortest word that counts inside a longer name; a shorter one must be the whole name.
const INSIDE_CHARS_MIN: usize = 5;

/// How sure it is that a column's name means something: the less, the surer.
///
/// In this order: the whole name is a word for it, the last part of a path is, the name ends with it, or
/// the word stands inside the name; then the place of the word in the list.
pub(super) type Doubt = (u8, usize);

/// The letters and digits of `name`, in lower case.
pub(super) fn bare(name: &str) -> String {
    name.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// What a column called `name` may mean, where its values `look` like it, and how sure that is.
pub(super) fn meaning_of(name: &str, looks: Looks) -> Option<(Meaning, Doubt)> {
    let (whole, last) = (bare(name), bare(name.rsplit('.').next().unwrap_or(name)));
    let is_inside =
        |word: &str| (word.len() >= INSIDE_CHARS_MIN || !word.is_ascii()) && whole.contains(word);
    // The last word of a name says what it is: a `talk fee` is a fee, a `fee rate` a rate; behind it stands
    // a unit or a zone.
    let unitless = name.rsplit_once(" (").map_or(name, |(name, _)| name);
    let told = bare(unitless);
    let end = bare(unitless.rsplit([' ', '_', '-', '.']).next().unwrap_or(name));
    let is_at_end =
        |word: &str| end == *word || (is_inside(word) && word.is_ascii() && told.ends_with(word));
    // Whose number a column has is told by its name; who that is, is in another, and so is a port.
    // A `hangup source` is a side, and a `source id` the record's in a list of customers.
    let others = [
        "name",
        "sourceid",
        "destinationid",
        "hangupsource",
        "releasesource",
        "port",
    ];
    let is_name = |meaning| {
        matches!(meaning, Meaning::CallerId | Meaning::CalledId)
            && others.iter().any(|other| whole.ends_with(other))
    };
    let position = |matches: &dyn Fn(&(&str, Meaning)) -> bool| NAMES.iter().position(matches);
    let found = position(&|(word, _)| whole == *word).map(|index| (0, index));
    let found = found.or_else(|| position(&|(word, _)| last == *word).map(|index| (1, index)));
    let at_end = || position(&|(word, meaning)| is_at_end(word) && !is_name(*meaning));
    let inside = || position(&|(word, meaning)| is_inside(word) && !is_name(*meaning));
    let found = found.or_else(|| at_end().map(|index| (2, index)));
    let doubt = found.or_else(|| inside().map(|index| (3, index)))?;
    // Both legs of a call are of one session: whatever else names calls does so more surely.
    let doubt = match NAMES.get(doubt.1) {
        Some(("sessionid", _)) => (3, NAMES.len()),
        _ => doubt,
    };
    // A reason in words is no code.
    let meaning = match NAMES.get(doubt.1) {
        None => Meaning::CallId,
        Some((_, Meaning::EndReason)) if looks == Looks::Text => Meaning::DisconnectReason,
        Some((_, meaning)) => *meaning,
    };
    let is_length = matches!(
        meaning,
        Meaning::Duration | Meaning::BillDuration | Meaning::HoldDuration
    );
    // Lengths are seconds; of those in another unit see [`without_unit`].
    let other_unit = [
        "ms",
        "msec",
        "msecs",
        "millis",
        "milliseconds",
        "usec",
        "min",
        "mins",
        "minutes",
        "hours",
    ];
    let is_other = is_length
        && (whole == "uduration"
            || whole.ends_with("id")
            || other_unit.iter().any(|unit| whole.ends_with(unit)));
    // A number under a name that is only like one for it is some other state: callSecuredStatus.
    let is_state = meaning == Meaning::DisconnectReason
        && matches!(looks, Looks::Small | Looks::Signed)
        && doubt.0 >= 2
        && !whole.contains("cause");
    let is_known = suits(meaning, looks) && !is_other && !is_state;
    is_known.then_some((meaning, doubt))
}

/// Whether values that `look` so can mean `meaning`.
fn suits(meaning: Meaning, looks: Looks) -> bool {
    match meaning {
        Meaning::StartTime | Meaning::EndTime | Meaning::EventTime => {
            matches!(looks, Looks::Time { .. })
        }
        // Nobody may have answered in the rows looked at.
        Meaning::AnswerTime => matches!(looks, Looks::Time { .. } | Looks::Empty),
        // Asterisk's looks like a decimal number.
        Meaning::CallId => !matches!(looks, Looks::Time { local: true }),
        Meaning::Duration | Meaning::BillDuration | Meaning::HoldDuration => {
            matches!(looks, Looks::Small | Looks::Amount | Looks::Length)
        }
        Meaning::PddMs => matches!(looks, Looks::Small),
        Meaning::Cost | Meaning::Rate => matches!(looks, Looks::Small | Looks::Amount),
        Meaning::EndReason | Meaning::EndDirection => {
            matches!(looks, Looks::Small | Looks::Signed)
        }
        Meaning::CallerIp | Meaning::CalleeIp => matches!(looks, Looks::Address | Looks::Empty),
        Meaning::CallerId | Meaning::CalledId => {
            !matches!(looks, Looks::Time { .. } | Looks::Address)
        }
        Meaning::Codec => matches!(looks, Looks::Text | Looks::Empty),
        _ => !matches!(looks, Looks::Time { .. } | Looks::Amount),
    }
}

/// What `name` says without the unit behind it, where that is another than seconds; and the type that
/// reads lengths in it.
pub(super) fn without_unit(name: &str) -> Option<(&str, Kind)> {
    const UNITS: [(&str, Kind); 15] = [
        ("(minutes)", Kind::Minutes),
        ("(min.)", Kind::Minutes),
        ("(mins)", Kind::Minutes),
        ("(min)", Kind::Minutes),
        (" minutes", Kind::Minutes),
        ("_minutes", Kind::Minutes),
        (" min", Kind::Minutes),
        ("_min", Kind::Minutes),
        ("(milliseconds)", Kind::Millis),
        ("(ms)", Kind::Millis),
        ("milliseconds", Kind::Millis),
        ("millis", Kind::Millis),
        ("msecs", Kind::Millis),
        ("msec", Kind::Millis),
        ("ms", Kind::Millis),
    ];
    let name = name.trim();
    let of = |(unit, kind): &(&str, Kind)| {
        let at = name.len().checked_sub(unit.len())?;
        let (rest, end) = name.split_at_checked(at)?;
        let rest = rest.trim_end_matches([' ', '_', '-']);
        (end.eq_ignore_ascii_case(unit) && !rest.is_empty()).then_some((rest, *kind))
    };
    UNITS.iter().find_map(of)
}

/// Whose side of a call the `name` of a column begins with, whatever it says of it: [`Meaning::CallerId`]
/// or [`Meaning::CalledId`].
pub(super) fn side_of(name: &str) -> Option<Meaning> {
    const CALLER: [&str; 5] = ["src", "source", "caller", "calling", "主叫"];
    const CALLED: [&str; 5] = ["dst", "dest", "called", "callee", "被叫"];
    let name = bare(name);
    let begins = |sides: &[&str]| sides.iter().any(|side| name.starts_with(side));
    if begins(&CALLED) {
        return Some(Meaning::CalledId);
    }
    begins(&CALLER).then_some(Meaning::CallerId)
}

/// Whether a column called `name` holds ports, which look like extensions.
pub(super) fn is_port(name: &str) -> bool {
    name.trim().to_ascii_lowercase().ends_with("port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_tell_what_they_are() {
        let check = |values: &[&str], expected: Looks| {
            assert_eq!(
                Looks::of(values.iter().copied(), Dates::DayFirst),
                expected,
                "{values:?}"
            );
        };
        check(&["2026-04-10 14:28:15", ""], Looks::Time { local: true });
        check(&["1775800888533", "0"], Looks::Time { local: false });
        check(&["10/04/2026 14:28:15"], Looks::Time { local: true });
        check(&["12025550101", "+442079460101"], Looks::Number);
        check(&["101", "12025550101"], Looks::Number);
        check(&["0", "147"], Looks::Small);
        check(&["486", "-7"], Looks::Signed);
        check(&["0.0150", "0"], Looks::Amount);
        check(&["00:02:27", "0"], Looks::Length);
        check(&["14:28"], Looks::Text);
        check(&["192.0.2.1", "192.0.2.1:5060"], Looks::Address);
        check(
            &["2026-04-10 14:28:15", "0000-00-00 00:00:00"],
            Looks::Time { local: true },
        );
        check(&["0000-00-00"], Looks::Empty);
        check(&["a", "1"], Looks::Text);
        check(&["", " "], Looks::Empty);
    }

    #[test]
    fn names_tell_what_columns_mean_where_the_values_agree() {
        let check = |name: &str, looks: Looks, expected: Option<Meaning>| {
            let found = meaning_of(name, looks).map(|(meaning, _)| meaning);
            assert_eq!(found, expected, "{name}");
        };
        let time = Looks::Time { local: true };
        check("Start Time", time, Some(Meaning::StartTime));
        check("start_time", Looks::Text, None);
        check("Caller Number", Looks::Number, Some(Meaning::CallerId));
        check("DST", Looks::Number, Some(Meaning::CalledId));
        check("主叫号码", Looks::Number, Some(Meaning::CallerId));
        check("total_amount_usd", Looks::Amount, Some(Meaning::Cost));
        check("variables.uuid", Looks::Text, Some(Meaning::CallId));
        check("Caller Name", Looks::Text, None);
        check("Source Trunk", Looks::Text, Some(Meaning::GatewayId));
        check("tomato", Looks::Text, None);
        check("Talk fee", Looks::Amount, Some(Meaning::Cost));
        check("Sell Rate", Looks::Amount, Some(Meaning::Rate));
        check("Fee duration", Looks::Small, Some(Meaning::BillDuration));
        check("duration_ms", Looks::Small, None);
        check("destConversationId", Looks::Small, None);
        check("callSecuredStatus", Looks::Small, None);
        check(
            "releaseCause",
            Looks::Small,
            Some(Meaning::DisconnectReason),
        );
        check("origVideoCap_Codec", Looks::Small, None);
        check("Duration (min)", Looks::Amount, None);
        check("uduration", Looks::Number, None);
    }
}

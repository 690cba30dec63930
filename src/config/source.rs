//! `[[source]]` as written → [`SourceConfig`].

use super::derive;
use super::endpoint::name;
use super::file::SourceTable;
use super::format;
use super::live::{self, Kind};
use super::place::{Place, listed, nearest};
use super::route;
use super::value;
use super::written::{Key, Written};
use crate::event::CallSettings;
use crate::parser::encoding::Decoder;
use crate::parser::format::{CALL, PATTERN};
use crate::parser::{self, Format, Header, Meaning, presets};
use crate::source::{self, LINE_BYTES_MAX_DEFAULT, Rotated, Start, listing};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// Time between two looks where the configuration says nothing.
const POLL_DEFAULT: Duration = Duration::from_secs(1);

/// Shortest and longest time between two looks.
const POLLS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(3_600);

/// Shortest and longest line that can be allowed, in bytes. Every byte of a row may take six in
/// JSON, and an event may have 1 MiB.
const LINES: RangeInclusive<u64> = 1_024..=(96 << 10);

/// Longest currency, in bytes: ISO 4217 has three, operators' own units a few more.
const CURRENCY_BYTES_MAX: usize = 16;

/// Most bytes of a file of reasons or accounts.
const TABLE_BYTES_MAX: u64 = 8 << 20;

/// A source, ready to be followed.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Which files, and how.
    pub files: source::Settings,
    /// How their lines are read.
    pub parser: parser::Settings,
    /// What is told beside what the rows say.
    pub calls: CallSettings,
    /// What rows mean together, and with time.
    pub derive: crate::derive::Settings,
    /// Time between two looks beside inotify.
    pub poll: Duration,
    /// The layout chosen by name.
    pub layout: Option<String>,
    /// What it is; [`files`](SourceConfig::files) holds no globs for what is not files.
    pub kind: Kind,
    /// The column that carries the route tag, where `route_tag` names it.
    pub route_tag: Option<String>,
}

/// Checks one table; `None` where something stands in the way, which is then noted.
pub fn source(table: &SourceTable, place: &mut Place<'_>) -> Option<SourceConfig> {
    let before = place.problems();
    let name = name("cdr", &table.name, place);
    let kind = live::kind(table, place);
    let files = match kind {
        Some(Kind::Files) => globs(
            "files",
            place.required(
                "files",
                &table.files,
                "[\"/home/kunshi/mbx3000/cdr/*.txt\"]",
            ),
            &table.files,
            place,
        ),
        _ => Vec::new(),
    };
    let exclude = place
        .given("exclude", &table.exclude, "[\"*.old\"]")
        .cloned()
        .unwrap_or_default();
    let rotated = rotated(table, place);
    let start = match &kind {
        Some(kind) if kind.has_start() => start(table, place),
        _ => Start::Beginning,
    };
    let (mut format, layout) = match &kind {
        Some(Kind::Recordings { .. }) => (Some(live::recording_format()), None),
        Some(kind) => match live::push_format(kind, &table.format) {
            Some(format) => (Some(format), None),
            None => format::format(table, place),
        },
        // What it is has to be said first.
        None => (None, None),
    };
    let route_tag = route::tag(table, format.as_mut(), place);
    if let Some((kind, format)) = kind.as_ref().zip(format.as_ref()) {
        live::check_format(kind, format, table, place);
    }
    let timezone = timezone(table, format.as_ref(), place);
    let decoder = decoder(table, place);
    let header = place.choice(
        "header",
        &table.header,
        Header::Auto,
        &[
            ("auto", Header::Auto),
            ("present", Header::Present),
            ("absent", Header::Absent),
        ],
    );
    let line_max = place.bytes(
        "line_max",
        &table.line_max,
        LINE_BYTES_MAX_DEFAULT as u64,
        LINES,
    );
    let poll = place.duration("poll", &table.poll, POLL_DEFAULT, POLLS);
    let calls = calls(table, place);
    if let Some(format) = &format {
        check_calls(table, &calls, format, place);
    }
    let derive = derive::settings(table, format.as_ref(), start, place);
    if let Some(format) = format
        .as_ref()
        .filter(|format| calls.extra && !format.equals().is_empty())
    {
        let choices = format
            .layouts
            .iter()
            .map(|layout| format!("{:?}", layout.name))
            .collect::<Vec<_>>()
            .join(", ");
        place.problem("extra", &table.extra, format!("some layouts of this format have equally many columns under different names; choose with columns = one of {choices}"));
    }
    (place.problems() == before).then_some(())?;
    Some(SourceConfig {
        files: source::Settings {
            name: name?.into(),
            files,
            exclude,
            start,
            line_max: usize::try_from(line_max).ok()?,
            rotated,
            rows_change: format.as_ref()?.tells_states(),
            ..source::Settings::of("", Vec::new())
        },
        parser: parser::Settings {
            format: format?,
            decoder,
            timezone,
            header,
        },
        calls,
        derive,
        poll,
        layout,
        kind: kind?,
        route_tag,
    })
}

fn globs(
    key: &str,
    texts: Option<&Vec<String>>,
    written: &Key<Vec<String>>,
    place: &mut Place<'_>,
) -> Vec<String> {
    let Some(texts) = texts.cloned() else {
        return Vec::new();
    };
    if texts.is_empty() {
        place.problem(key, written, "the list is empty, so nothing would be read; write like [\"/home/kunshi/mbx3000/cdr/*.txt\"]");
    }
    for text in &texts {
        if let Err(what) = listing::check_glob(text) {
            place.problem(key, written, what);
        }
    }
    texts
}

fn rotated(table: &SourceTable, place: &mut Place<'_>) -> Rotated {
    const LIKE: &str = "[\"/var/log/old/cdr.csv.*\"]";
    let Some(globs) = place.given("rotated", &table.rotated, LIKE) else {
        return Rotated::Derived;
    };
    for glob in globs {
        if let Err(what) = listing::check_glob(glob) {
            place.problem("rotated", &table.rotated, what);
        }
    }
    Rotated::Given(globs.clone())
}

fn start(table: &SourceTable, place: &mut Place<'_>) -> Start {
    const LIKE: &str = "\"now\", \"beginning\" or a time like \"2026-04-10T00:00:00+06:00\"";
    match place
        .required("start", &table.start, LIKE)
        .map(String::as_str)
    {
        Some("beginning") => Start::Beginning,
        Some("now") | None => Start::Now,
        Some(text) => match text.parse::<jiff::Timestamp>() {
            Ok(instant) => Start::At(crate::clock::UnixMs(instant.as_millisecond())),
            Err(_) => {
                place.problem(
                    "start",
                    &table.start,
                    format!("{text:?} is no time with a zone; write {LIKE}"),
                );
                Start::Now
            }
        },
    }
}

fn timezone(
    table: &SourceTable,
    format: Option<&Format>,
    place: &mut Place<'_>,
) -> Option<TimeZone> {
    const LIKE: &str = "\"Asia/Dhaka\", \"Europe/Berlin\" or \"UTC\"";
    let Some(name) = place.given("timezone", &table.timezone, LIKE) else {
        // Whether an operator's own columns hold times with a zone only the rows can tell, and those
        // without one are set aside saying so.
        if table.timezone.is_none() && format.is_some_and(|format| format.local_times) {
            place.problem("timezone", &table.timezone, format!("missing; this format's times may carry no zone: write timezone = {LIKE}, the zone the switch's clock shows"));
        }
        return None;
    };
    match TimeZone::get(name) {
        Ok(zone) => Some(zone),
        Err(_) => {
            place.problem(
                "timezone",
                &table.timezone,
                match zones_like(name).as_slice() {
                    [] => format!("{name:?} is no zone of the IANA database; write like {LIKE}"),
                    like => format!(
                        "{name:?} is no zone of the IANA database; did you mean {}?",
                        like.join(" or ")
                    ),
                },
            );
            None
        }
    }
}

/// Zones of a city called `name`, or spelled nearly so; at most three, quoted.
///
/// Never one with an offset in its name: `Etc/GMT+6` is six hours *behind*.
fn zones_like(name: &str) -> Vec<String> {
    if name.contains(|letter: char| letter.is_ascii_digit()) {
        return Vec::new();
    }
    let all = || {
        let zones = jiff::tz::db().available().map(|zone| zone.to_string());
        zones.filter(|zone| !zone.contains(|letter: char| letter.is_ascii_digit()))
    };
    let city = |zone: &String| {
        let city = zone.rsplit('/').next().unwrap_or(zone);
        city.eq_ignore_ascii_case(name)
    };
    let mut like: Vec<String> = all().filter(city).collect();
    if like.is_empty() {
        let zones: Vec<String> = all().collect();
        like.extend(nearest(name, zones.iter().map(String::as_str)).map(str::to_string));
    }
    like.truncate(3);
    like.iter().map(|zone| format!("{zone:?}")).collect()
}

fn decoder(table: &SourceTable, place: &mut Place<'_>) -> Decoder {
    let Some(label) = place.given("encoding", &table.encoding, "\"utf-8\"") else {
        return Decoder::UTF_8;
    };
    Decoder::for_label(label).unwrap_or_else(|what| {
        place.problem("encoding", &table.encoding, what);
        Decoder::UTF_8
    })
}

fn calls(table: &SourceTable, place: &mut Place<'_>) -> CallSettings {
    let currency = place.given("currency", &table.currency, "\"USD\"").cloned();
    if currency
        .as_ref()
        .is_some_and(|currency| currency.is_empty() || currency.len() > CURRENCY_BYTES_MAX)
    {
        place.problem(
            "currency",
            &table.currency,
            format!("a currency has 1 to {CURRENCY_BYTES_MAX} letters; write like \"USD\""),
        );
    }
    let reasons = map(
        "reasons",
        &table.reasons,
        "reasons_file",
        &table.reasons_file,
        "{ 486 = \"Busy\" }",
        place,
    );
    let mut numbered = HashMap::new();
    for (number, text) in reasons {
        match number.trim().parse() {
            Ok(number) => {
                numbered.insert(number, text);
            }
            Err(_) => {
                let what = format!("{number:?} is no number of an end reason");
                let own = table.reasons.as_ref().map(toml::Spanned::get_ref);
                match matches!(own, Some(Written::As(own)) if own.contains_key(&number)) {
                    true => {
                        let what = format!("{what}; write like {{ 486 = \"Busy\" }}");
                        place.problem("reasons", &table.reasons, what);
                    }
                    false => {
                        let what = format!("{what}; write a line like 486,Busy");
                        place.problem("reasons_file", &table.reasons_file, what);
                    }
                }
            }
        }
    }
    let accounts = map(
        "accounts",
        &table.accounts,
        "accounts_file",
        &table.accounts_file,
        "{ GW-IN-1 = \"CLIENT001\" }",
        place,
    );
    let extra = place.truth("extra", &table.extra, false);
    CallSettings {
        currency,
        extra,
        reasons: numbered,
        accounts,
    }
}

/// Keys about calls mean nothing where no row could be meant.
fn check_calls(table: &SourceTable, calls: &CallSettings, format: &Format, place: &mut Place<'_>) {
    let is_push = live::is_push(format);
    let of_calls = || format.layouts.iter().filter(|it| &*it.event == CALL);
    let tells = |meaning| of_calls().any(|it| it.column_of(meaning).is_some());
    let in_file = |file: &Key<String>| file.is_some();
    if !calls.reasons.is_empty() && !tells(Meaning::EndReason) {
        let what = "no row of this source tells a call's end reason as a number; mark its column as = \"end_reason\" with type = \"integer\", or leave it out";
        match in_file(&table.reasons_file) {
            true => place.problem("reasons_file", &table.reasons_file, what),
            false => place.problem("reasons", &table.reasons, what),
        }
    }
    let mut accounts = |what: &str| match in_file(&table.accounts_file) {
        true => place.problem("accounts_file", &table.accounts_file, what),
        false => place.problem("accounts", &table.accounts, what),
    };
    if !calls.accounts.is_empty() && !is_push && !tells(Meaning::GatewayId) {
        accounts(
            "no row of this source tells a call's gateway; mark its column as = \"gateway_id\", or leave it out",
        );
    }
    if calls.accounts.keys().any(|gateway| gateway.ends_with('*')) {
        accounts("names of gateways are compared whole; write each of them, without an asterisk");
    }
    if calls.accounts.values().any(String::is_empty) {
        accounts("a gateway has an account without a name; write like { GW-IN-1 = \"CLIENT001\" }");
    }
    if calls.extra && of_calls().next().is_none() {
        place.problem(
            "extra",
            &table.extra,
            "is for calls; what rows of this source say is told whole already, leave it out",
        );
    }
}

/// A map of texts, from the configuration and from a CSV file of two columns; the configuration
/// counts where both have a key.
fn map(
    key: &str,
    written: &Key<BTreeMap<String, String>>,
    file_key: &str,
    file: &Key<String>,
    like: &str,
    place: &mut Place<'_>,
) -> HashMap<String, String> {
    let mut entries = HashMap::new();
    if let Some(path) = place.path(file_key, file, "\"/etc/switchhook/table.csv\"") {
        match read_pairs(&path) {
            Ok(pairs) => entries.extend(pairs),
            Err(what) => place.problem(file_key, file, what),
        }
    }
    if let Some(own) = place.given(key, written, like) {
        entries.extend(own.iter().map(|(key, text)| (key.clone(), text.clone())));
    }
    entries
}

fn read_pairs(path: &Path) -> Result<Vec<(String, String)>, String> {
    let shown = path.display();
    let size = path
        .metadata()
        .map_err(|error| format!("cannot read {shown}: {error}"))?
        .len();
    if size > TABLE_BYTES_MAX {
        return Err(format!(
            "{shown} is longer than {}",
            value::show_bytes(TABLE_BYTES_MAX)
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("{shown} is not written in UTF-8; save it so"))?;
    // Spreadsheets put one before UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut pairs = Vec::new();
    let mut lines: HashMap<String, (usize, String)> = HashMap::new();
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let [key, value] =
            parser::delimited::fields_of(line)
                .try_into()
                .map_err(|fields: Vec<String>| {
                    let between = match fields.len() == 1 && line.contains([';', '\t']) {
                        true => "; write a comma between them",
                        false => "",
                    };
                    format!(
                        "{shown}:{}: {} columns, expected 2: key,text{between}",
                        index + 1,
                        fields.len()
                    )
                })?;
        let (key, value) = (key.trim().to_string(), value.trim().to_string());
        let before = lines.insert(key.clone(), (index + 1, value.clone()));
        if let Some((line, _)) = before.filter(|(_, before)| *before != value) {
            return Err(format!(
                "{shown}:{}: {key:?} stands in line {line} too, with another text; leave one of them out",
                index + 1
            ));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// A source's settings in force, as they would be written.
pub fn show(config: &SourceConfig) -> toml::Table {
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| table.insert(key.to_string(), value);
    let texts = |texts: &[String]| toml::Value::from(texts.to_vec());
    put("name", config.files.name.to_string().into());
    if let Kind::Files = config.kind {
        put("files", texts(&config.files.files));
        put("rotated", texts(&config.files.generations()));
        put("exclude", texts(&config.files.exclude));
    }
    live::show(&config.kind, &mut |key, value| _ = put(key, value));
    let is_stand_in = live::is_stand_in(&config.kind, &config.parser.format);
    if !matches!(config.kind, Kind::Recordings { .. }) {
        put("format", config.parser.format.name.clone().into());
    }
    if !is_stand_in {
        put(
            "event",
            listed(config.parser.format.events().collect::<BTreeSet<_>>()).into(),
        );
    }
    if let Some(layout) = &config.layout {
        put("columns", layout.clone().into());
    }
    let format = &config.parser.format;
    if format.name != PATTERN
        && !is_stand_in
        && let Some(layout) = format.layouts.first()
        && presets::find(&format.name)
            .is_none_or(|preset| preset.layouts.iter().all(|known| known.name != layout.name))
    {
        // The operator's own columns, as they were understood.
        let own = presets::as_source(format, &layout.name).unwrap_or_default();
        let own = own.replace("[[source.layout]]", "[[layout]]");
        for (key, value) in own.parse::<toml::Table>().unwrap_or_default() {
            put(&key, value);
        }
    }
    let start = match config.files.start {
        Start::Now => "now".to_string(),
        Start::Beginning => "beginning".to_string(),
        Start::At(instant) => crate::timestamp::Timestamp::from_millis(instant.0).to_string(),
    };
    put("start", start.into());
    if let Some(zone) = config
        .parser
        .timezone
        .as_ref()
        .and_then(TimeZone::iana_name)
    {
        put("timezone", zone.into());
    }
    put(
        "encoding",
        config.parser.decoder.name().to_lowercase().into(),
    );
    let header = match config.parser.header {
        Header::Auto => "auto",
        Header::Present => "present",
        Header::Absent => "absent",
    };
    put("header", header.into());
    put(
        "line_max",
        value::show_bytes(config.files.line_max as u64).into(),
    );
    put("poll", value::show_duration(config.poll).into());
    if let Some(currency) = &config.calls.currency {
        put("currency", currency.clone().into());
    }
    put("extra", config.calls.extra.into());
    if let Some(column) = &config.route_tag {
        put("route_tag", column.clone().into());
    }
    put(
        "reasons",
        format!("{} texts", config.calls.reasons.len()).into(),
    );
    put(
        "accounts",
        format!("{} gateways", config.calls.accounts.len()).into(),
    );
    derive::show(config, &mut |key, value| {
        table.insert(key.to_string(), value);
    });
    table
}

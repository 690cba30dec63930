//! The keys of `[[source]]` about what rows mean together, and with time → [`Settings`].

use super::file::{PatternKeys, SourceTable, SummaryTable};
use super::live;
use super::place::{Place, listed};
use super::source::SourceConfig;
use super::value;
use super::written::{Key, Written};
use crate::clock::UnixMs;
use crate::derive::Settings;
use crate::derive::balance::{Rearm, THRESHOLDS_MAX, Threshold, Thresholds};
use crate::derive::summary::{BY, By, SummarySettings};
use crate::event::amount::Amount;
use crate::event::balance::BALANCE_ALERT;
use crate::event::filter::Filter;
use crate::event::shape::{self, Field, Holds};
use crate::event::{self, balance, cdr, recording};
use crate::parser::format::{ALARM, CALL, Format, FormatTable, PATTERN};
use crate::parser::pattern::{self, PatternTable};
use crate::parser::{Layout, Meaning};
use crate::source::Start;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;

/// Shortest and longest time within which repeats are counted.
const REPEATS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(400 * 86_400);

/// Shortest and longest wait for a BYE.
const BYES: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(30 * 86_400);

/// Shortest and longest silence, and time between heartbeats.
pub const SILENCES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(400 * 86_400);

/// Shortest and longest interval of a summary.
const INTERVALS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(31 * 86_400);

/// Longest wait for an interval's last calls.
const WAITS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(86_400);

/// How long an interval's last calls may come where the configuration says nothing.
const WAIT_DEFAULT: Duration = Duration::from_secs(60);

/// Checks the keys of one source.
pub fn settings(
    table: &SourceTable,
    format: Option<&Format>,
    start: Start,
    place: &mut Place<'_>,
) -> Settings {
    let default = Settings::default();
    let repeat_every = place.duration(
        "repeat_every",
        &table.repeat_every,
        default.repeat_every,
        REPEATS,
    );
    let bye_within = place.duration("bye_within", &table.bye_within, default.bye_within, BYES);
    let mut span = |key: &str, written: &Key<String>| {
        let given = place.duration(key, written, Duration::ZERO, SILENCES);
        (!given.is_zero()).then_some(given)
    };
    let silent_after = span("silent_after", &table.silent_after);
    let heartbeat_every = span("heartbeat_every", &table.heartbeat_every);
    let thresholds = thresholds(table, format, place);
    let summary = summary(table, format, place);
    Settings {
        start: match start {
            Start::At(UnixMs(start)) => Some(UnixMs(start)),
            Start::Now | Start::Beginning => None,
        },
        keep: keep(table, format, place),
        repeat_every,
        thresholds,
        bye_within,
        summary,
        silent_after,
        heartbeat_every,
    }
}

fn keep(table: &SourceTable, format: Option<&Format>, place: &mut Place<'_>) -> Filter {
    const LIKE: &str = "{ connected = true, duration = \">=1\" }";
    let Some(written) = place.given("keep", &table.keep, LIKE) else {
        return Filter::default();
    };
    if format.is_some_and(live::is_push) {
        let what = "means nothing beside vos3000-push, whose pages are told whole; choose by the endpoint's events and where";
        place.problem("keep", &table.keep, what);
        return Filter::default();
    }
    let filter = match Filter::from_table(written) {
        Ok(filter) => filter,
        Err(problems) => {
            for (key, what) in problems {
                place.problem("keep", &table.keep, format!("{key}: {what}"));
            }
            return Filter::default();
        }
    };
    let Some(format) = format else {
        return filter;
    };
    let mut known: BTreeMap<String, Vec<Holds>> = BTreeMap::new();
    for field in format.layouts.iter().flat_map(fields_of_layout) {
        known.entry(field.key).or_default().push(field.holds);
    }
    if table.recordings.is_some() {
        let keys = keys_of_recordings(table).into_iter();
        known.extend(keys.map(|key| (key, Vec::new())));
    }
    let holds = |key: &str| known.get(key).map_or(&[][..], Vec::as_slice);
    for what in filter.misfits(holds) {
        place.problem("keep", &table.keep, what);
    }
    for key in filter.keys() {
        let is_extra = key
            .split_once('.')
            .is_some_and(|(outer, _)| outer == "extra");
        if !known.contains_key(key) && !is_extra {
            let what = format!(
                "no event of this source has {key:?}; write one of {}",
                listed(known.keys())
            );
            place.problem("keep", &table.keep, what);
        }
    }
    filter
}

/// The keys of the data of a recording's event.
fn keys_of_recordings(table: &SourceTable) -> Vec<String> {
    let keys = recording::KEYS.map(str::to_owned);
    let parts = match table.name_parts.as_ref().map(Spanned::get_ref) {
        Some(Written::As(text)) => text.parse::<recording::NameParts>().ok(),
        _ => None,
    };
    let names = parts.iter().flat_map(recording::NameParts::names);
    keys.into_iter().chain(names.map(str::to_owned)).collect()
}

/// The members of the data of the events that rows of `layout` make, but for those that are not
/// always there.
pub(super) fn fields_of_layout(layout: &Layout) -> impl Iterator<Item = Field<String>> {
    let owned = |fields: &[Field]| fields.iter().map(|field| field.owned()).collect();
    let fields: Vec<_> = match shape::of_layout(layout, "") {
        Some(shape) => shape.fields,
        None if &*layout.event == CALL => owned(&cdr::FIELDS),
        None => owned(&balance::FIELDS),
    };
    fields.into_iter().filter(|field| !field.is_optional)
}

fn thresholds(table: &SourceTable, format: Option<&Format>, place: &mut Place<'_>) -> Thresholds {
    const LIKE: &str = "{ \"*\" = [\"50\", \"20\", \"10\"], CLIENT001 = [\"100\"] }";
    let mut thresholds = Thresholds::default();
    // What VOS3000 posts tells balances too, read by code of its own.
    let tells_balance = format
        .is_some_and(|format| live::is_push(format) || format.layouts.iter().any(can_tell_balance));
    let Some(written) = place.given("thresholds", &table.thresholds, LIKE).cloned() else {
        let own = |layout: &Layout| {
            &*layout.event != BALANCE_ALERT || layout.column_of(Meaning::Threshold).is_some()
        };
        if table.thresholds.is_none()
            && format.is_some_and(|format| !format.layouts.iter().all(own))
        {
            place.problem("thresholds", &table.thresholds, format!("missing; nothing says below which balance to alert: write thresholds = {LIKE}, or tell the switch's own in a column or field alert_threshold"));
        }
        return thresholds;
    };
    if format.is_some() && !tells_balance {
        place.problem("thresholds", &table.thresholds, "no row of this source tells a balance; mark its columns as = \"account_id\" and as = \"current_balance\" with type = \"money\"");
    }
    for (key, value) in &written {
        match key.as_str() {
            "rearm" => match value.as_str().and_then(rearm) {
                Some(rearm) => thresholds.rearm = rearm,
                None => place.problem("thresholds", &table.thresholds, format!("rearm: {value} has no meaning here; write how far above a threshold a balance has recovered, like \"10%\" or \"5.00\"")),
            },
            "repeat_every" => {
                let read = value.as_str().map_or_else(
                    || Err("write a time with its unit, like \"24h\"".to_owned()),
                    value::duration,
                );
                match read {
                    Ok(span) if REPEATS.contains(&span) => thresholds.repeat_every = span,
                    Ok(_) => place.problem("thresholds", &table.thresholds, "repeat_every is out of range; write \"1s\" to \"400d\""),
                    Err(what) => place.problem("thresholds", &table.thresholds, format!("repeat_every: {value} has no meaning here; {what}")),
                }
            }
            account => match steps(value) {
                Ok(steps) if account == "*" => thresholds.all = steps,
                Ok(_) if account.ends_with('*') => place.problem("thresholds", &table.thresholds, format!("{account}: names of accounts are compared whole; write each of them, and \"*\" for all others")),
                Ok(steps) => drop(thresholds.by_account.insert(account.to_owned(), steps)),
                Err(what) => place.problem("thresholds", &table.thresholds, format!("{account}: {what}")),
            },
        }
    }
    thresholds
}

/// Whether rows of the layout can tell an account's balance.
fn can_tell_balance(layout: &Layout) -> bool {
    let has = |meaning| layout.column_of(meaning).is_some();
    (has(Meaning::AccountId) && has(Meaning::Balance))
        || (&*layout.event == ALARM && has(Meaning::AlarmObject) && has(Meaning::AlarmValue))
}

/// The thresholds of one account, highest first.
fn steps(value: &toml::Value) -> Result<Vec<Threshold>, String> {
    const LIKE: &str = "write a list of amounts in quotes, like [\"50\", \"20\", \"10\"]";
    let toml::Value::Array(values) = value else {
        return Err(format!("{value} is no list; {LIKE}"));
    };
    let mut steps = Vec::new();
    for value in values {
        // A number in binary floating point may not be the one that was meant.
        let text = value.as_str().map(str::to_owned);
        let text = text.or_else(|| value.as_integer().map(|number| number.to_string()));
        let step = text.as_deref().and_then(Threshold::parse);
        steps.push(step.ok_or_else(|| format!("{value} is no amount; {LIKE}"))?);
    }
    steps.sort_by_key(|step| std::cmp::Reverse(step.amount));
    let twice = |pair: &[Threshold]| {
        pair.first()
            .zip(pair.last())
            .is_some_and(|(a, b)| a.amount == b.amount)
    };
    if steps.is_empty() || steps.len() > THRESHOLDS_MAX {
        return Err(format!("1 to {THRESHOLDS_MAX} thresholds go here; {LIKE}"));
    }
    if steps.windows(2).any(twice) {
        return Err(format!("two thresholds are equal; {LIKE}"));
    }
    Ok(steps)
}

/// `"10%"`, with up to two digits behind the point, or an amount that is not below zero.
fn rearm(text: &str) -> Option<Rearm> {
    let Some(percent) = text.trim().strip_suffix('%') else {
        let amount = Amount::parse(text)?;
        return (amount >= Amount::ZERO).then_some(Rearm::By(amount));
    };
    let (whole, fraction) = percent
        .trim()
        .split_once('.')
        .unwrap_or((percent.trim(), "0"));
    let hundredths: u32 = format!("{fraction:0<2}")
        .parse()
        .ok()
        .filter(|_| fraction.len() <= 2)?;
    let share = whole
        .parse::<u32>()
        .ok()?
        .checked_mul(100)?
        .checked_add(hundredths)?;
    (share <= 1_000_000).then_some(Rearm::Share(share))
}

fn summary(
    table: &SourceTable,
    format: Option<&Format>,
    place: &mut Place<'_>,
) -> Option<SummarySettings> {
    let written: &SummaryTable = table.summary.as_ref()?;
    if format.is_some_and(|format| format.events().all(|event| event != CALL)) {
        place.problem(
            "summary",
            &written.every,
            "the rows of this source are no calls; leave it out",
        );
    }
    place.required("summary.every", &written.every, "\"15m\"");
    let every = place.duration(
        "summary.every",
        &written.every,
        Duration::from_secs(900),
        INTERVALS,
    );
    let by = place.choice("summary.by", &written.by, By::Gateway, &BY);
    let wait = place.duration("summary.wait", &written.wait, WAIT_DEFAULT, WAITS);
    Some(SummarySettings { every, by, wait })
}

/// The format that a source's own patterns make.
pub fn own_patterns(table: &SourceTable, place: &mut Place<'_>) -> Option<Format> {
    let before = place.problems();
    let patterns: Vec<_> = table
        .pattern
        .iter()
        .enumerate()
        .map(|(index, written)| pattern(written, index, place))
        .collect();
    if table.pattern.is_empty() {
        place.problem("pattern", &table.format, "there are no patterns; add [[source.pattern]] tables below this one, with match and event");
    }
    if place.problems() > before {
        return None;
    }
    let described = FormatTable {
        name: PATTERN.to_owned(),
        reader: PATTERN.to_owned(),
        pattern: patterns,
        dates: place.given("dates", &table.dates, "\"dmy\"").cloned(),
        ..FormatTable::default()
    };
    match Format::from_table(&described) {
        Ok(mut format) => {
            set_repeats(&mut format);
            Some(format)
        }
        Err(problems) => {
            for problem in problems {
                match problem.key {
                    "dates" => place.problem("dates", &table.dates, problem.what),
                    _ => place.problem("pattern", &table.format, problem.what),
                }
            }
            None
        }
    }
}

/// One pattern as written; what is wrong with it is noted.
fn pattern(written: &PatternKeys, index: usize, place: &mut Place<'_>) -> PatternTable {
    let before = place.problems();
    let label = |key: &str| format!("pattern {}: {key}", index + 1);
    let expression = place
        .required(
            &label("match"),
            &written.expression,
            "'^(?<time>\\S+ \\S+) (?<message>.*)'",
        )
        .cloned();
    let event = place
        .required(&label("event"), &written.event, "\"alarm\"")
        .cloned();
    if let Some(kind) = event
        .as_ref()
        .filter(|kind| !event::is_kind(kind) || kind.starts_with("switchhook."))
    {
        place.problem(&label("event"), &written.event, format!("{kind:?} is no event type; write lower-case letters, digits, '_' and '.', like alarm"));
    }
    let repeat_every = written.repeat_every.as_ref().map(|_| {
        let default = Settings::default().repeat_every;
        let span = place.duration(
            &label("repeat_every"),
            &written.repeat_every,
            default,
            REPEATS,
        );
        value::show_duration(span)
    });
    let table = PatternTable {
        expression: expression.unwrap_or_default(),
        event: event.unwrap_or_default(),
        fields: place
            .given(
                &label("fields"),
                &written.fields,
                "{ object = \"$name\", message = \"$line\" }",
            )
            .cloned()
            .unwrap_or_default(),
        continues: place
            .given(&label("continues"), &written.continues, "'^\\s'")
            .cloned(),
        state: place
            .given(
                &label("state"),
                &written.state,
                "{ down = \"raised\", up = \"cleared\" }",
            )
            .cloned(),
        key: place
            .given(&label("key"), &written.key, "[\"object\"]")
            .cloned(),
        repeat_every,
    };
    if place.problems() > before {
        return table;
    }
    for problem in pattern::compile_one(&table, index)
        .err()
        .unwrap_or_default()
    {
        let (key, what) = (label(problem.key), problem.what);
        match problem.key {
            "match" => place.problem(&key, &written.expression, what),
            "continues" => place.problem(&key, &written.continues, what),
            "state" => place.problem(&key, &written.state, what),
            "key" => place.problem(&key, &written.key, what),
            _ if written.fields.is_some() => place.problem(&key, &written.fields, what),
            _ => place.problem(&key, &written.expression, what),
        }
    }
    table
}

/// Takes the patterns' own times of repetition over into their layouts.
pub fn set_repeats(format: &mut Format) {
    let Some(patterns) = &format.patterns else {
        return;
    };
    let spans: Vec<Option<Duration>> = patterns
        .tables()
        .map(|table| value::duration(table.repeat_every.as_deref()?).ok())
        .collect();
    for (layout, span) in format.layouts.iter_mut().zip(spans) {
        if let Some(pairing) = &mut layout.pairing {
            pairing.repeat_every = span;
        }
    }
}

impl SourceConfig {
    /// The types of events that the source is set up to make: somebody has to want each.
    pub fn makes(&self) -> BTreeSet<String> {
        let mut kinds: BTreeSet<String> = self.parser.format.events().map(str::to_owned).collect();
        if live::is_push(&self.parser.format) {
            // A switch pushes many kinds of things; who wants none of some says so by that.
            kinds.clear();
        }
        let derive = &self.derive;
        let mut add = |kind: &str, made: bool| {
            if made {
                kinds.insert(kind.to_owned());
            }
        };
        let thresholds = &derive.thresholds;
        add(
            BALANCE_ALERT,
            !thresholds.all.is_empty() || !thresholds.by_account.is_empty(),
        );
        add("switchhook.summary", derive.summary.is_some());
        add("switchhook.source_silent", derive.silent_after.is_some());
        add("switchhook.heartbeat", derive.heartbeat_every.is_some());
        kinds
    }

    /// The types of events that it may make: an endpoint may ask for them.
    pub fn may_make(&self) -> BTreeSet<String> {
        let mut kinds = self.makes();
        if live::is_push(&self.parser.format) {
            kinds.extend(live::KINDS.map(str::to_owned));
        }
        if self.parser.format.layouts.iter().any(can_tell_balance) {
            kinds.insert(BALANCE_ALERT.to_owned());
        }
        kinds
    }
}

/// The settings in force, as they would be written.
pub fn show(config: &SourceConfig, put: &mut impl FnMut(&str, toml::Value)) {
    let derive = &config.derive;
    put(
        "repeat_every",
        value::show_duration(derive.repeat_every).into(),
    );
    let spans = [
        ("silent_after", derive.silent_after),
        ("heartbeat_every", derive.heartbeat_every),
    ];
    for (key, span) in spans {
        if let Some(span) = span {
            put(key, value::show_duration(span).into());
        }
    }
    let joins = |layout: &Layout| layout.column_of(Meaning::Method).is_some();
    if config.parser.format.layouts.iter().any(joins) {
        put("bye_within", value::show_duration(derive.bye_within).into());
    }
    let keep = format!("keep = {}", derive.keep.written());
    if let Ok(mut table) = keep.parse::<toml::Table>()
        && let Some(keep) = table.remove("keep")
    {
        put("keep", keep);
    }
    if let Some(patterns) = &config.parser.format.patterns {
        let tables = patterns
            .tables()
            .filter_map(|table| toml::Value::try_from(table).ok());
        put("pattern", tables.collect::<Vec<_>>().into());
    }
    if let Some(summary) = &derive.summary {
        let mut table = toml::Table::new();
        table.insert(
            "every".to_owned(),
            value::show_duration(summary.every).into(),
        );
        table.insert("by".to_owned(), summary.by.word().into());
        table.insert("wait".to_owned(), value::show_duration(summary.wait).into());
        put("summary", table.into());
    }
    let thresholds = &derive.thresholds;
    if config.makes().contains(BALANCE_ALERT) {
        let mut table = toml::Table::new();
        let texts = |steps: &[Threshold]| -> toml::Value {
            steps
                .iter()
                .map(|step| toml::Value::from(step.text.clone()))
                .collect::<Vec<_>>()
                .into()
        };
        if !thresholds.all.is_empty() {
            table.insert("*".to_owned(), texts(&thresholds.all));
        }
        for (account, steps) in &thresholds.by_account {
            table.insert(account.clone(), texts(steps));
        }
        let rearm = match &thresholds.rearm {
            Rearm::Share(share) => format!("{}.{:02}%", share / 100, share % 100),
            Rearm::By(amount) => amount.to_string(),
        };
        table.insert("rearm".to_owned(), rearm.into());
        table.insert(
            "repeat_every".to_owned(),
            value::show_duration(thresholds.repeat_every).into(),
        );
        put("thresholds", table.into());
    }
}

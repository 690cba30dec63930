//! The keys that say which events an endpoint gets, and what it is told of them → [`Route`],
//! [`Redaction`].

use super::derive::fields_of_layout;
use super::file::{EndpointTable, Loaded, SourceTable};
use super::live::{self, Kind};
use super::place::{Place, label, listed};
use super::problem::Problems;
use super::value;
use super::written::{Key, Written};
use super::{Config, EndpointConfig, SourceConfig};
use crate::clock::{Clock, SystemClock, UnixMs};
use crate::delivery::endpoint::{Endpoint, EventFilter};
use crate::delivery::profile::{Body, Profile, Redaction};
use crate::delivery::route::standing::Standing;
use crate::delivery::route::{
    Carried, Competitor, Level, MATCHES_MAX, MIRROR_MAX, Mirror, MirrorEnd, Mode, Route,
    RouteTable, Sample,
};
use crate::event::balance::{self, BALANCE_ALERT};
use crate::event::filter::Filter;
use crate::event::shape::{Field, Holds};
use crate::event::{alert, own, vos3000_push};
use crate::parser::{Format, Meaning};
use crate::timestamp::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// Shortest and longest time of a mirror.
const MIRRORS: RangeInclusive<Duration> = Duration::from_secs(1)..=MIRROR_MAX;

/// Most fields of `mask` and `omit` together: each is looked for in every field of an event.
const FIELDS_MAX: usize = 64;

/// Names nearer than this many changed letters are taken for slips.
const NEAR: usize = 3;

impl Config {
    /// The table of who gets which event; `standing` says since when.
    pub fn route_table(&self, standing: impl FnMut(&Endpoint) -> Standing) -> RouteTable {
        table_of(self.routing, &self.endpoints, standing)
    }
}

fn table_of(
    mode: Mode,
    endpoints: &[EndpointConfig],
    mut standing: impl FnMut(&Endpoint) -> Standing,
) -> RouteTable {
    let competitors = endpoints.iter().map(|config| Competitor {
        endpoint: &config.endpoint,
        is_enabled: config.enabled,
        standing: standing(&config.endpoint),
    });
    RouteTable::new(mode, competitors)
}

/// `[routing]`.
pub(super) fn mode(loaded: Option<&Loaded>, problems: &mut Problems) -> Mode {
    let table = loaded.and_then(|loaded| Some((loaded, loaded.file.routing.as_ref()?)));
    let Some((loaded, table)) = table else {
        return Mode::default();
    };
    let mut place = Place::new(loaded, "routing", problems);
    place.choice("mode", &table.mode, Mode::default(), &Mode::ALL)
}

/// A mirror's table with what it takes over from the other endpoint where it says nothing itself:
/// everything that requests are made of, and what is hidden in them.
///
/// So a request of the mirror differs from the other's in its address, in what its own secret signs,
/// and in the time of the attempt. `headers`, `token` and logins are not taken over: they are
/// secrets between the agent and the other receiver. Nor is `batch`: what is in which batch is a
/// matter of milliseconds, so a mirror shows the events one by one.
pub(super) fn with_other<'t>(
    table: &EndpointTable,
    mut others: impl Iterator<Item = &'t EndpointTable>,
) -> EndpointTable {
    let mut table = table.clone();
    let Some(of) = text(&table.mirror) else {
        return table;
    };
    let Some(other) = others.find(|other| text(&other.name).is_some_and(|name| name == of)) else {
        return table;
    };
    macro_rules! take_over {
        ($($key:ident),*) => {
            $(if table.$key.is_none() { table.$key.clone_from(&other.$key); })*
        };
    }
    let has_shape = table.profile.is_some() || table.body.is_some() || table.fields.is_some();
    if !has_shape {
        take_over!(profile, body, fields);
        let keys = [&table.secret, &table.secret_file, &table.secret_env];
        let has_secret = keys.into_iter().chain([&table.secret_credential]);
        let has_secret = has_secret.into_iter().any(Option::is_some);
        let is_unsigned = other.signature.as_ref().is_some_and(|signature| {
            matches!(signature.get_ref(), Written::As(toml::Value::String(word)) if word == "none")
        });
        if has_secret != is_unsigned {
            take_over!(signature);
        }
        // One of these can rule out another, so they come together or not at all.
        let is_packed = [&table.method, &table.content, &table.compress];
        let is_packed = is_packed.into_iter().chain([&table.signature_over]);
        if !is_packed.into_iter().any(Option::is_some) {
            take_over!(method, content, compress, signature_over);
        }
    }
    take_over!(mask, omit, agent_headers);
    table
}

fn text(written: &Key<String>) -> Option<&String> {
    match written.as_ref()?.get_ref() {
        Written::As(text) => Some(text),
        Written::Not(_) => None,
    }
}

/// Checks the keys of one endpoint.
pub(super) fn endpoint(table: &EndpointTable, endpoint: &mut Endpoint, place: &mut Place<'_>) {
    endpoint.route = route(table, place);
    endpoint.redaction = redaction(table, &endpoint.body, place);
}

fn route(table: &EndpointTable, place: &mut Place<'_>) -> Route {
    let mirror = mirror(table, place);
    if table.mirror.is_some() {
        refuse_beside_mirror(table, place);
        return Route {
            mirror,
            ..Route::default()
        };
    }
    for (key, written) in [
        ("mirror_until", &table.mirror_until),
        ("mirror_for", &table.mirror_for),
    ] {
        if written.is_some() {
            place.problem(
                key,
                written,
                "it goes with mirror; write mirror = \"billing\" too, the endpoint to look at",
            );
        }
    }
    let level = place.choice("level", &table.level, Level::Default, &Level::ALL);
    Route {
        level,
        matches: matches(level, table, place),
        filter: filter(table, place),
        sample: sample(table, place),
        mirror: None,
    }
}

fn matches(level: Level, table: &EndpointTable, place: &mut Place<'_>) -> Vec<Box<str>> {
    let like = match level {
        Level::Call => "[\"gold\"]",
        Level::Application => "[\"callcentre\"]",
        Level::Trunk => "[\"GW-OUT-1\"]",
        Level::Account | Level::Default => "[\"CLIENT001\"]",
    };
    if level == Level::Default {
        if table.matches.is_some() {
            place.problem("matches", &table.matches, format!("the default level has no names; write level = \"account\" (or call, application, trunk) for matches = {like}"));
        }
        return Vec::new();
    }
    let Some(names) = place.required("matches", &table.matches, like) else {
        return Vec::new();
    };
    if names.is_empty() || names.len() > MATCHES_MAX {
        place.problem(
            "matches",
            &table.matches,
            format!(
                "{} names; write 1 to {MATCHES_MAX}, like {like}",
                names.len()
            ),
        );
    }
    for name in names {
        let what = if name.trim() != name || name.is_empty() {
            "names have no space around them, and are not empty"
        } else if name.contains('*') {
            "names are compared whole; for a beginning write where = { gateway_id = \"GW-OUT-*\" }"
        } else if level == Level::Call && name.contains("://") {
            "a tag is the name of a route, never an address; the address is this endpoint's url"
        } else {
            continue;
        };
        place.problem("matches", &table.matches, format!("{name:?}: {what}"));
    }
    let mut names: Vec<Box<str>> = names.iter().map(|name| name.as_str().into()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn filter(table: &EndpointTable, place: &mut Place<'_>) -> Filter {
    const LIKE: &str = "{ connected = true, duration = \">=1\" }";
    let Some(written) = place.given("where", &table.conditions, LIKE) else {
        return Filter::default();
    };
    if written.is_empty() {
        return Filter::default();
    }
    Filter::from_table(written).unwrap_or_else(|problems| {
        for (key, what) in problems {
            place.problem("where", &table.conditions, format!("{key}: {what}"));
        }
        Filter::default()
    })
}

fn sample(table: &EndpointTable, place: &mut Place<'_>) -> Option<Sample> {
    let written = place.given("sample_percent", &table.sample_percent, "10")?;
    let hundredths = match written {
        toml::Value::Integer(percent) => percent.checked_mul(100),
        toml::Value::Float(percent) => whole(percent * 100.0),
        _ => None,
    };
    let sample = hundredths
        .and_then(|hundredths| u16::try_from(hundredths).ok())
        .and_then(Sample::of);
    if sample.is_none() {
        let what = format!(
            "{written} is no share of events; write 0.01 to 100, with two digits behind the point at most"
        );
        place.problem("sample_percent", &table.sample_percent, what);
    }
    sample
}

/// A number that is whole but for how it is held.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is beyond a few thousand is refused"
)]
fn whole(number: f64) -> Option<i64> {
    let rounded = number.round();
    let is_whole = (number - rounded).abs() < 1e-6 && rounded.abs() < 1e9;
    is_whole.then_some(rounded as i64)
}

fn mirror(table: &EndpointTable, place: &mut Place<'_>) -> Option<Mirror> {
    const LIKE: &str = "\"billing\"";
    let of = place.given("mirror", &table.mirror, LIKE)?.as_str().into();
    let end = match (&table.mirror_until, &table.mirror_for) {
        (Some(_), Some(_)) => {
            place.problem(
                "mirror_for",
                &table.mirror_for,
                "mirror_until says when it ends already; keep one of the two",
            );
            return None;
        }
        (None, None) => {
            let most = value::show_duration(MIRROR_MAX);
            place.problem("mirror", &table.mirror, format!("a mirror has an end; write mirror_for = \"24h\" or mirror_until = \"2026-04-10T00:00:00Z\", at most {most} away"));
            return None;
        }
        (Some(_), None) => MirrorEnd::At(until(table, place)?),
        (None, Some(_)) => {
            let default = Duration::from_secs(86_400);
            let span = place.duration("mirror_for", &table.mirror_for, default, MIRRORS);
            MirrorEnd::After(span)
        }
    };
    Some(Mirror { of, end })
}

/// An instant that lies in the past is none to complain of: a mirror that is over is no reason for
/// an agent not to start.
fn until(table: &EndpointTable, place: &mut Place<'_>) -> Option<UnixMs> {
    const LIKE: &str = "\"2026-04-10T00:00:00+06:00\"";
    let text = place.given("mirror_until", &table.mirror_until, LIKE)?;
    let Ok(instant) = text.parse::<jiff::Timestamp>() else {
        let what = format!("{text:?} is no time with a zone; write like {LIKE}");
        place.problem("mirror_until", &table.mirror_until, what);
        return None;
    };
    let instant = UnixMs(instant.as_millisecond());
    if instant.since(SystemClock::new().wall()) > MIRROR_MAX {
        let most = value::show_duration(MIRROR_MAX);
        let what = format!(
            "{text} is more than {most} away; write a time within that, or an endpoint of its own"
        );
        place.problem("mirror_until", &table.mirror_until, what);
    }
    Some(instant)
}

/// Notes the keys that say what the other endpoint says already.
fn refuse_beside_mirror(table: &EndpointTable, place: &mut Place<'_>) {
    macro_rules! refuse {
        ($($key:literal: $field:ident),*) => {
            $(if table.$field.is_some() {
                place.problem($key, &table.$field, "a mirror gets what the other endpoint gets; leave this out");
            })*
        };
    }
    refuse!(
        "events": events,
        "level": level,
        "matches": matches,
        "where": conditions,
        "sample_percent": sample_percent
    );
}

fn redaction(table: &EndpointTable, body: &Body, place: &mut Place<'_>) -> Redaction {
    let (mut mask, mut omit) = (Vec::new(), Vec::new());
    for (key, written, fields) in [
        ("mask", &table.mask, &mut mask),
        ("omit", &table.omit, &mut omit),
    ] {
        let Some(names) = place.given(key, written, "[\"caller_id\", \"called_id\"]") else {
            continue;
        };
        if names.len() > FIELDS_MAX {
            let what = format!(
                "{} fields are too many; write {FIELDS_MAX} at most",
                names.len()
            );
            place.problem(key, written, what);
        }
        for name in names {
            let names_events = matches!(
                body,
                Body::Of(Profile::Vobiz | Profile::VobizVoice | Profile::Voipbin)
            );
            if names_events && matches!(name.as_str(), "connected" | "state") {
                let what = format!(
                    "{name:?}: this profile names its events by it, and would call every call failed; leave it out of the list, or write another profile"
                );
                place.problem(key, written, what);
            }
            fields.push(Box::from(name.as_str()));
        }
    }
    Redaction::new(mask, omit)
}

/// The column of a source's rows that carries the route tag.
pub(super) fn tag(
    table: &SourceTable,
    format: Option<&mut Format>,
    place: &mut Place<'_>,
) -> Option<String> {
    let column = place.given("route_tag", &table.route_tag, "\"userfield\"")?;
    let format = format?;
    if let Err(free) = format.set_meaning(column, Meaning::RouteTag) {
        let what = if free.is_empty() {
            format!(
                "{column:?} is no column of this format, and it has none to spare; leave it out"
            )
        } else {
            format!(
                "{column:?} is no column of this format, or means something already; write one of {}",
                listed(&free)
            )
        };
        place.problem("route_tag", &table.route_tag, what);
    }
    Some(column.clone())
}

/// What events of a source can carry.
pub(super) fn carried(source: &SourceConfig) -> Carried {
    let format = &source.parser.format;
    let mut carried = Carried::default();
    if live::is_push(format) {
        carried.add(Level::Trunk);
        carried.add(Level::Account);
        return carried;
    }
    if matches!(source.kind, Kind::Recordings { .. }) {
        carried.add(Level::Account);
        return carried;
    }
    let tells = |meaning| {
        let mut layouts = format.layouts.iter();
        layouts.any(|layout| layout.column_of(meaning).is_some())
    };
    for (meaning, level) in [
        (Meaning::RouteTag, Level::Call),
        (Meaning::Application, Level::Application),
        (Meaning::GatewayId, Level::Trunk),
        (Meaning::CalleeGatewayId, Level::Trunk),
        (Meaning::AccountId, Level::Account),
    ] {
        if tells(meaning) {
            carried.add(level);
        }
    }
    if !source.calls.accounts.is_empty() && tells(Meaning::GatewayId) {
        carried.add(Level::Account);
    }
    carried
}

/// Notes event types that a source makes and no endpoint can get.
pub(super) fn check_takers(
    mode: Mode,
    sources: &[SourceConfig],
    endpoints: &[EndpointConfig],
    path: &Path,
    problems: &mut Problems,
) {
    let table = table_of(mode, endpoints, |_| Standing::default());
    let mut told = BTreeSet::new();
    for source in sources {
        let carried = carried(source);
        // Of a log that tells several things some may be all that is wanted; `check` names the rest.
        let of_format: BTreeSet<&str> = source.parser.format.events().collect();
        let is_part = |kind: &String| {
            let mut others = of_format.iter().filter(|other| *other != kind);
            of_format.contains(kind.as_str()) && others.any(|other| table.may_take(other, carried))
        };
        for kind in source.makes() {
            if table.may_take(&kind, carried) || is_part(&kind) || !told.insert(kind.clone()) {
                continue;
            }
            let what = if table.may_take(&kind, Carried::ANYTHING) {
                format!(
                    "the {kind:?} events of source {:?} carry nothing at the level of the endpoints that want them; add an endpoint of level = \"default\"",
                    source.files.name
                )
            } else {
                format!(
                    "no endpoint wants the {kind:?} events of source {:?}; add {kind:?} to the events of one",
                    source.files.name
                )
            };
            problems.add(path, None, "endpoint", what);
        }
    }
}

/// Types of events of which some may go to no endpoint at all, for want of a name, a `where` that
/// holds, or by a sample: that may be meant.
pub fn partly_taken(config: &Config) -> BTreeSet<String> {
    let table = config.route_table(|_| Standing::default());
    let made = config.sources.iter().flat_map(SourceConfig::makes);
    made.filter(|kind| !table.takes_all(kind)).collect()
}

/// Checks, with every table at hand, that an endpoint's names mean something: the endpoint it
/// mirrors, the level it listens at, the fields it hides or compares.
pub(super) fn check_names(
    loaded: &[Loaded],
    sources: &[SourceConfig],
    endpoints: &[EndpointConfig],
    problems: &mut Problems,
) {
    for file in loaded {
        for (index, table) in file.file.endpoint.iter().enumerate() {
            let name = text(&table.name);
            let mut built = endpoints.iter().map(|config| &config.endpoint);
            let Some(endpoint) = built.find(|it| name.is_some_and(|name| *it.name == **name))
            else {
                continue;
            };
            let mut place = Place::new(file, label("endpoint", &table.name, index), problems);
            check_mirror(table, endpoint, endpoints, &mut place);
            check_level(table, endpoint, sources, &mut place);
            check_fields(table, endpoint, sources, &mut place);
        }
    }
}

fn check_mirror(
    table: &EndpointTable,
    endpoint: &Endpoint,
    endpoints: &[EndpointConfig],
    place: &mut Place<'_>,
) {
    let Some(mirror) = &endpoint.route.mirror else {
        return;
    };
    let other = endpoints
        .iter()
        .find(|other| other.endpoint.name == mirror.of);
    let what = match other {
        Some(other) if other.endpoint.name == endpoint.name => {
            "an endpoint cannot mirror itself; write the name of another one".to_owned()
        }
        Some(other) if other.endpoint.route.mirror.is_some() => format!(
            "{:?} is a mirror itself; write the endpoint that it mirrors",
            mirror.of
        ),
        Some(_) => return,
        None => {
            let names = endpoints.iter().map(|other| &*other.endpoint.name);
            let advice = advice(&mirror.of, names.filter(|name| *name != &*endpoint.name));
            format!("there is no endpoint {:?}; {advice}", mirror.of)
        }
    };
    place.problem("mirror", &table.mirror, what);
}

fn check_level(
    table: &EndpointTable,
    endpoint: &Endpoint,
    sources: &[SourceConfig],
    place: &mut Place<'_>,
) {
    let level = endpoint.route.level;
    if sources.is_empty() || sources.iter().any(|source| carried(source).has(level)) {
        return;
    }
    let what = match level {
        Level::Call => {
            "no source says which column carries the tag; write route_tag = \"userfield\" in a [[source]], the name of a column, or mark one of your own with as = \"route_tag\""
        }
        Level::Application => {
            "no source has a column of the application; mark one of your own with as = \"application\""
        }
        Level::Trunk => {
            "no source has a column of a gateway; mark one of your own with as = \"gateway_id\" or as = \"callee_gateway_id\""
        }
        _ => {
            "no source has a column of the account; mark one of your own with as = \"account_id\", or write accounts = { GW-IN-1 = \"CLIENT001\" } in a [[source]]"
        }
    };
    place.problem("level", &table.level, what);
}

fn check_fields(
    table: &EndpointTable,
    endpoint: &Endpoint,
    sources: &[SourceConfig],
    place: &mut Place<'_>,
) {
    let Some(known) = fields_of(&endpoint.events, sources) else {
        return;
    };
    let is_known = |field: &str| {
        let outer = field.split_once('.').map_or(field, |(outer, _)| outer);
        known.contains_key(outer) || known.contains_key(field)
    };
    let unknown = |field: &str| {
        let advice = advice(field, known.keys().map(String::as_str));
        format!("no event of this endpoint has {field:?}; {advice}")
    };
    for field in endpoint.route.filter.keys().filter(|it| !is_known(it)) {
        place.problem("where", &table.conditions, unknown(field));
    }
    let holds = |field: &str| known.get(field).map_or(&[][..], Vec::as_slice);
    for what in endpoint.route.filter.misfits(holds) {
        place.problem("where", &table.conditions, what);
    }
    // A mirror's may be the other one's, and are checked there.
    for (key, written, fields) in [
        ("mask", &table.mask, endpoint.redaction.masked()),
        ("omit", &table.omit, endpoint.redaction.omitted()),
    ] {
        if written.is_some() {
            for field in fields.iter().filter(|it| !is_known(it)) {
                place.problem(key, written, unknown(field));
            }
        }
    }
}

/// What to write instead of a name that is not there.
fn advice<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = known
        .iter()
        .map(|other| (strsim::damerau_levenshtein(other, name), *other))
        .filter(|(distance, other)| *distance <= NEAR && *distance < other.len())
        .min();
    match near {
        Some((_, other)) => format!("did you mean {other}?"),
        None => format!("write one of {}", listed(known)),
    }
}

/// Every field that an event of these types may have, with what may stand there; `None` where that is
/// not known of one.
fn fields_of(
    events: &EventFilter,
    sources: &[SourceConfig],
) -> Option<BTreeMap<String, Vec<Holds>>> {
    let mut fields: BTreeMap<String, Vec<Holds>> = BTreeMap::new();
    let mut add = |field: Field<String>| fields.entry(field.key).or_default().push(field.holds);
    add(Field::columns("extra", "").owned());
    for source in sources {
        let format = &source.parser.format;
        let made = source.may_make();
        let mut wanted = made.iter().filter(|kind| events.wants(kind));
        if matches!(source.kind, Kind::Recordings { .. }) && wanted.next().is_some() {
            return None;
        }
        if live::is_push(format) {
            let pushed = wanted.flat_map(|kind| vos3000_push::fields_of(kind));
            pushed.for_each(|field| add(field.owned()));
        }
        for layout in &format.layouts {
            if events.wants(&layout.event) {
                fields_of_layout(layout).for_each(&mut add);
            }
        }
    }
    let own = own::FIELDS.iter().chain(&alert::FIELDS).copied();
    for (_, more) in [(BALANCE_ALERT, &balance::FIELDS[..])]
        .into_iter()
        .chain(own)
        .filter(|(kind, _)| events.wants(kind))
    {
        more.iter().for_each(|field| add(field.owned()));
    }
    Some(fields)
}

/// The settings in force, as they would be written.
pub(super) fn show(endpoint: &Endpoint, table: &mut toml::Table) {
    let texts = |texts: &[Box<str>]| {
        let texts = texts.iter().map(|text| toml::Value::from(&**text));
        toml::Value::from(texts.collect::<Vec<_>>())
    };
    let mut put = |key: &str, value: toml::Value| table.insert(key.to_owned(), value);
    let Route {
        level,
        matches,
        filter,
        sample,
        mirror,
    } = &endpoint.route;
    if !endpoint.redaction.masked().is_empty() {
        put("mask", texts(endpoint.redaction.masked()));
    }
    if !endpoint.redaction.omitted().is_empty() {
        put("omit", texts(endpoint.redaction.omitted()));
    }
    if let Some(mirror) = mirror {
        put("mirror", mirror.of.to_string().into());
        match mirror.end {
            MirrorEnd::At(instant) => {
                let until = Timestamp::from_secs(instant.unix_secs()).to_string();
                put("mirror_until", until.into())
            }
            MirrorEnd::After(span) => put("mirror_for", value::show_duration(span).into()),
        };
        table.remove("events");
        return;
    }
    put("level", level.word().into());
    if *level != Level::Default {
        put("matches", texts(matches));
    }
    let conditions = format!("where = {}", filter.written());
    if let Ok(mut conditions) = conditions.parse::<toml::Table>()
        && let Some(conditions) = conditions.remove("where")
    {
        put("where", conditions);
    }
    if let Some(sample) = sample {
        put("sample_percent", shown_percent(*sample));
    }
}

/// A share as it would be written.
pub fn shown_percent(sample: Sample) -> toml::Value {
    let hundredths = sample.hundredths();
    if hundredths.is_multiple_of(100) {
        i64::from(hundredths / 100).into()
    } else {
        (f64::from(hundredths) / 100.0).into()
    }
}

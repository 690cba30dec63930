//! `[[endpoint]]` as written → [`EndpointConfig`].

use super::access::{self, Access};
use super::agent_headers;
use super::file::EndpointTable;
use super::link::{self, IdentityFiles};
use super::order;
use super::pace;
use super::packing;
use super::place::{self, Place};
use super::rotation::{self, Rotation};
use super::route;
use super::secret::{self, Found, SecretKeys};
use super::signature::{self, Signing};
use super::value;
use super::written::{Key, Written};
use crate::delivery::endpoint::{Endpoint, EventFilter};
use crate::delivery::outcome::SuccessRule;
use crate::delivery::profile::{Body, FieldMap, Profile};
use crate::delivery::signer::{Secret, SecretError};
use crate::delivery::url::Url;
use crate::queue::AttachFrom;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Shortest and longest time an attempt, a connection or a wait may be given.
const TIMES: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(7 * 86_400);

/// Shortest and longest time to connect: one that is connecting cannot be stopped before it is over.
const CONNECTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);

/// Most attempts: ten a day over the 30 days that dead letters are kept.
const ATTEMPTS_MAX: i64 = 300;

/// An endpoint, and how the agent starts with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    /// Where and how to deliver.
    pub endpoint: Endpoint,
    /// Whether it is delivered to; its cursor is kept either way.
    pub enabled: bool,
    /// What it gets of the events already queued when it is new.
    pub from: AttachFrom,
    /// The endpoint in the queue whose place it takes over.
    pub adopt: Option<String>,
    /// Two secrets are in force.
    pub rotation: Option<Rotation>,
    /// Files of its secrets; for `check`.
    pub secret_files: Vec<PathBuf>,
    /// File of the extra certificate authorities; for `check`.
    pub ca_file: Option<PathBuf>,
    /// What is shown to the endpoint; for `check`.
    pub access: access::Shown,
    /// Files of the agent's own certificate; for `check`.
    pub identity: IdentityFiles,
}

/// Checks one table; `None` where something stands in the way, which is then noted.
pub fn endpoint(table: &EndpointTable, place: &mut Place<'_>) -> Option<EndpointConfig> {
    let before = place.problems();
    let name = name("billing", &table.name, place);
    let (profile, is_custom) = profile(table, place);
    let signing = signature::signing(table, place);
    if is_custom && signing == Signing::OfProfile && table.signature.is_none() {
        place.problem("signature", &table.signature, "profile = \"custom\" has no signature of its own; write signature = \"github\", another scheme, a table of its parts, or \"none\"");
    }
    let fields = fields(table, place);
    let Access {
        url,
        token,
        headers,
        shown: access,
    } = access::access(table, place);
    // A mirror gets what the other endpoint gets.
    let events = match table.mirror {
        Some(_) => None,
        None => events(table, place),
    };
    let (secret, previous) = secrets(table, profile, &signing, place);
    let ca_file = place.path("ca_file", &table.ca_file, "\"/etc/ssl/own-ca.pem\"");
    let extra_roots = roots(ca_file.as_deref(), table, place);
    // Without a name or an address nothing is built, but the rest is checked all the same.
    let stand_in = Url::parse("https://unnamed.invalid/").expect("an address");
    let is_tls = url.as_ref().is_none_or(Url::is_tls);
    let mut endpoint = Endpoint::new(name.unwrap_or("?"), url.unwrap_or(stand_in), profile);
    if let Some(fields) = fields {
        endpoint.body = Body::Fields(fields);
    }
    route::endpoint(table, &mut endpoint, place);
    if let Signing::Own(scheme) = signing {
        endpoint.signature = scheme;
    }
    packing::packing(table, &mut endpoint, place);
    endpoint.events = events.unwrap_or(EventFilter::All);
    endpoint.secret = secret;
    endpoint.previous_secret = previous;
    endpoint.headers = headers;
    endpoint.extra_roots = extra_roots;
    if let Some(success) = success(table, place) {
        endpoint.success = success;
    }
    endpoint.timeout = place.duration("timeout", &table.timeout, endpoint.timeout, TIMES);
    endpoint.connect_timeout = place.duration(
        "connect_timeout",
        &table.connect_timeout,
        endpoint.connect_timeout,
        CONNECTS,
    );
    let (link, identity) = link::link(
        table,
        is_tls,
        endpoint.connect_timeout,
        endpoint.timeout,
        place,
    );
    endpoint.link = link;
    endpoint.idle_timeout = place.duration(
        "idle_timeout",
        &table.idle_timeout,
        endpoint.idle_timeout,
        TIMES,
    );
    endpoint.retries.initial = place.duration(
        "backoff_initial",
        &table.backoff_initial,
        endpoint.retries.initial,
        TIMES,
    );
    endpoint.retries.max = place.duration(
        "backoff_max",
        &table.backoff_max,
        endpoint.retries.max,
        TIMES,
    );
    endpoint.probe_max = place.duration("probe_max", &table.probe_max, endpoint.probe_max, TIMES);
    endpoint.retry_after_max = place.duration(
        "retry_after_max",
        &table.retry_after_max,
        endpoint.retry_after_max,
        TIMES,
    );
    let attempts = place.number(
        "attempts",
        &table.attempts,
        i64::from(endpoint.retries.attempts),
        1..=ATTEMPTS_MAX,
    );
    endpoint.retries.attempts = u32::try_from(attempts).unwrap_or(endpoint.retries.attempts);
    pace::apply(table, token.as_ref(), &mut endpoint, place);
    agent_headers::agent_headers(table, &mut endpoint, place);
    endpoint.allow_private = place.truth("allow_private", &table.allow_private, false);
    order::order(table, &mut endpoint, place);
    let from = place.choice(
        "from",
        &table.from,
        AttachFrom::Now,
        &[("now", AttachFrom::Now), ("oldest", AttachFrom::Oldest)],
    );
    let adopt = adopt(name, table, place);
    let enabled = place.truth("enabled", &table.enabled, true);
    (place.problems() == before).then_some(EndpointConfig {
        endpoint,
        enabled,
        from,
        adopt,
        rotation: rotation::rotation(secret_keys(table), previous_keys(table), place),
        secret_files: secret_files(table, place),
        ca_file,
        access,
        identity,
    })
}

/// The name the endpoint had before.
fn adopt(name: Option<&str>, table: &EndpointTable, place: &mut Place<'_>) -> Option<String> {
    let old = place.given("adopt", &table.adopt, "\"the-old-name\"")?;
    if !place::is_name(old) || name == Some(old) {
        place.problem(
            "adopt",
            &table.adopt,
            format!("{old:?} cannot be adopted; write the name this endpoint had before"),
        );
    }
    Some(old.clone())
}

/// The profile, and whether the endpoint is called `custom`, with `body` as its model.
fn profile(table: &EndpointTable, place: &mut Place<'_>) -> (Profile, bool) {
    const CUSTOM: &str = "custom";
    let is_custom = place
        .given("profile", &table.profile, "\"standard\"")
        .is_some_and(|name| name == CUSTOM);
    if is_custom {
        let body = place.choice("body", &table.body, Profile::Standard, &Profile::ALL);
        return (body, true);
    }
    if table.body.is_some() {
        place.problem(
            "body",
            &table.body,
            "it goes with profile = \"custom\"; another profile has its own body",
        );
    }
    let name = table.profile.as_ref();
    let known = Profile::ALL.map(|(name, _)| name);
    let profile = match place.given("profile", &table.profile, "\"standard\"") {
        Some(name) => Profile::named(name),
        None => Some(Profile::Standard),
    };
    if profile.is_none() && name.is_some() {
        let what = format!("no such profile; write {}, or {CUSTOM}", known.join(", "));
        place.problem("profile", &table.profile, what);
    }
    (profile.unwrap_or(Profile::Standard), false)
}

/// The body of the operator's own.
fn fields(table: &EndpointTable, place: &mut Place<'_>) -> Option<FieldMap> {
    let written = place.given(
        "fields",
        &table.fields,
        "{ call = \"call_id\", at = \"$time\" }",
    )?;
    let pairs = written
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    match FieldMap::parse(pairs) {
        Ok(fields) => Some(fields),
        Err(error) => {
            place.problem("fields", &table.fields, error.to_string());
            None
        }
    }
}

/// The name of a source or an endpoint.
pub fn name<'k>(like: &str, written: &'k Key<String>, place: &mut Place<'_>) -> Option<&'k str> {
    let name = place.required("name", written, &format!("{like:?}"))?;
    if !place::is_name(name) {
        let what = format!(
            "{name:?} cannot be used; write letters, digits, '.', '_' and '-', at most {} of them",
            place::NAME_BYTES_MAX
        );
        place.problem("name", written, what);
        return None;
    }
    Some(name)
}

fn events(table: &EndpointTable, place: &mut Place<'_>) -> Option<EventFilter> {
    let kinds = place.required("events", &table.events, "[\"cdr\"], or [\"*\"] for all")?;
    if kinds.is_empty() {
        place.problem(
            "events",
            &table.events,
            "the list is empty, so nothing would ever be sent; write the types, or [\"*\"] for all",
        );
        return None;
    }
    for kind in kinds {
        if kind != "*" && !crate::event::is_kind(kind) {
            place.problem(
                "events",
                &table.events,
                format!("{kind:?} is no event type; types are like cdr, alarm, payment"),
            );
            return None;
        }
    }
    if kinds.iter().any(|kind| kind == "*") {
        return Some(EventFilter::All);
    }
    Some(EventFilter::Kinds(
        kinds.iter().map(|kind| kind.as_str().into()).collect(),
    ))
}

fn secrets(
    table: &EndpointTable,
    profile: Profile,
    signing: &Signing,
    place: &mut Place<'_>,
) -> (Option<Secret>, Option<Secret>) {
    let (current, previous) = (secret_keys(table), previous_keys(table));
    let found = secret::fetch(current, place);
    match (&found, signing) {
        (Found::Nothing, Signing::OfProfile | Signing::Own(_)) => {
            let what = "there is no secret to sign with; write secret_file = \"/etc/switchhook/billing.secret\" (make one with `switchhook secret generate`), or signature = \"none\"";
            place.problem("secret_file", &table.secret_file, what);
        }
        (Found::Secret(_), Signing::Unsigned) => {
            place.problem(
                "signature",
                &table.signature,
                "a secret is given, but signature = \"none\"; keep one of the two",
            );
        }
        _ => {}
    }
    let usable = |found: Found, keys: SecretKeys<'_>, place: &mut Place<'_>| match found {
        Found::Secret(text) => match read_secret(&text, profile, signing) {
            Ok(secret) => Some(secret),
            Err(error) => {
                let key = format!("{}secret", keys.prefix);
                place.problem(
                    &key,
                    keys.written(),
                    format!("{error}; make one with `switchhook secret generate`"),
                );
                None
            }
        },
        Found::Nothing | Found::Unusable => None,
    };
    let secret = usable(found, current, place);
    let takes_two = match signing {
        Signing::Own(scheme) => scheme.separator.is_some(),
        _ => profile.takes_two_signatures(),
    };
    if !takes_two && previous.written().is_some() {
        let key = "previous_secret";
        let what = format!(
            "receivers of the profile {} compare one signature; change the secret on both sides at once",
            profile.name()
        );
        place.problem(key, previous.written(), what);
    }
    let found = secret::fetch(previous, place);
    let previous = usable(found, previous, place);
    (secret, previous)
}

fn secret_files(table: &EndpointTable, place: &Place<'_>) -> Vec<PathBuf> {
    [&table.secret_file, &table.previous_secret_file]
        .into_iter()
        .filter_map(|written| match written.as_ref()?.get_ref() {
            Written::As(text) => Some(place.resolve(text)),
            Written::Not(_) => None,
        })
        .collect()
}

fn secret_keys(table: &EndpointTable) -> SecretKeys<'_> {
    SecretKeys {
        literal: &table.secret,
        file: &table.secret_file,
        env: &table.secret_env,
        credential: &table.secret_credential,
        prefix: "",
    }
}

fn previous_keys(table: &EndpointTable) -> SecretKeys<'_> {
    SecretKeys {
        literal: &table.previous_secret,
        file: &table.previous_secret_file,
        env: &table.previous_secret_env,
        credential: &table.previous_secret_credential,
        prefix: "previous_",
    }
}

/// Reads a secret as the receivers of the endpoint do.
fn read_secret(text: &str, profile: Profile, signing: &Signing) -> Result<Secret, SecretError> {
    match signing {
        Signing::Own(scheme) => scheme.secret(text),
        Signing::OfProfile | Signing::Unsigned => profile.secret(text),
    }
}

fn roots(path: Option<&Path>, table: &EndpointTable, place: &mut Place<'_>) -> Vec<Vec<u8>> {
    let Some(path) = path else {
        return Vec::new();
    };
    let read = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>());
    match read {
        Ok(certificates) if !certificates.is_empty() => {
            for (index, certificate) in certificates.iter().enumerate() {
                if let Err(error) = RootCertStore::empty().add(certificate.clone()) {
                    let what = format!(
                        "certificate {} of {} cannot be trusted: {error}; leave it out",
                        index + 1,
                        path.display()
                    );
                    place.problem("ca_file", &table.ca_file, what);
                }
            }
            certificates
                .iter()
                .map(|certificate| certificate.to_vec())
                .collect()
        }
        Ok(_) => {
            place.problem(
                "ca_file",
                &table.ca_file,
                format!(
                    "{} holds no certificate; it needs -----BEGIN CERTIFICATE----- blocks",
                    path.display()
                ),
            );
            Vec::new()
        }
        Err(error) => {
            place.problem(
                "ca_file",
                &table.ca_file,
                format!("cannot read certificates from {}: {error}", path.display()),
            );
            Vec::new()
        }
    }
}

fn success(table: &EndpointTable, place: &mut Place<'_>) -> Option<SuccessRule> {
    let items = place.given("success", &table.success, "[200, \"202-204\"]")?;
    let mut ranges = Vec::new();
    for item in items {
        let range = match item {
            toml::Value::Integer(status) => status_range(*status, *status),
            toml::Value::String(text) => text.split_once('-').and_then(|(from, to)| {
                status_range(from.trim().parse().ok()?, to.trim().parse().ok()?)
            }),
            _ => None,
        };
        match range {
            Some(range) => ranges.push(range),
            None => {
                place.problem("success", &table.success, format!("{item} is no status or range of statuses from 200 to 299; write like [200, \"202-204\"]"));
                return None;
            }
        }
    }
    if ranges.is_empty() {
        place.problem("success", &table.success, "the list is empty, so nothing would ever count as delivered; write like [200, \"202-204\"]");
        return None;
    }
    Some(SuccessRule::any_of(ranges))
}

fn status_range(from: i64, to: i64) -> Option<RangeInclusive<u16>> {
    let allowed = 200..=299;
    if !allowed.contains(&from) || !allowed.contains(&to) || from > to {
        return None;
    }
    Some(u16::try_from(from).ok()?..=u16::try_from(to).ok()?)
}

/// An endpoint's settings in force, as they would be written.
pub fn show(config: &EndpointConfig) -> toml::Table {
    let endpoint = &config.endpoint;
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| table.insert(key.to_string(), value);
    put("name", endpoint.name.to_string().into());
    put("url", endpoint.url.to_string().into());
    put("profile", endpoint.profile.name().into());
    if let Body::Fields(fields) = &endpoint.body {
        let pairs = fields.shown();
        let pairs = pairs.map(|(key, value)| (key.to_string(), toml::Value::from(value)));
        put("fields", pairs.collect::<toml::Table>().into());
    }
    for (key, value) in packing::show(endpoint) {
        put(key, value);
    }
    put("events", kinds(&endpoint.events).into());
    put("enabled", config.enabled.into());
    put(
        "from",
        match config.from {
            AttachFrom::Now => "now",
            AttachFrom::Oldest => "oldest",
        }
        .into(),
    );
    if let Some(old) = &config.adopt {
        put("adopt", old.clone().into());
    }
    match &endpoint.secret {
        Some(_) => {
            put("secret", "(hidden)".into());
            put("signature", signature::show(&endpoint.signature))
        }
        None => put("signature", "none".into()),
    };
    if endpoint.previous_secret.is_some() {
        put("previous_secret", "(hidden)".into());
    }
    put("success", statuses(&endpoint.success).into());
    put("timeout", value::show_duration(endpoint.timeout).into());
    put(
        "connect_timeout",
        value::show_duration(endpoint.connect_timeout).into(),
    );
    put(
        "idle_timeout",
        value::show_duration(endpoint.idle_timeout).into(),
    );
    put("attempts", i64::from(endpoint.retries.attempts).into());
    put(
        "backoff_initial",
        value::show_duration(endpoint.retries.initial).into(),
    );
    put(
        "backoff_max",
        value::show_duration(endpoint.retries.max).into(),
    );
    put("probe_max", value::show_duration(endpoint.probe_max).into());
    put(
        "retry_after_max",
        value::show_duration(endpoint.retry_after_max).into(),
    );
    pace::show(endpoint, |key, value| {
        put(key, value);
    });
    order::show(endpoint, &mut |key, value| _ = put(key, value));
    put(
        "agent_headers",
        agent_headers::show(&endpoint.agent_headers),
    );
    if let Some(path) = &config.ca_file {
        put("ca_file", path.display().to_string().into());
    }
    put("allow_private", endpoint.allow_private.into());
    config.access.put(&endpoint.headers, &mut table);
    link::show(endpoint, &config.identity, &mut table);
    route::show(endpoint, &mut table);
    table
}

fn kinds(events: &EventFilter) -> Vec<toml::Value> {
    match events {
        EventFilter::All => vec!["*".into()],
        EventFilter::Kinds(kinds) => kinds.iter().map(|kind| kind.to_string().into()).collect(),
    }
}

fn statuses(success: &SuccessRule) -> Vec<toml::Value> {
    let shown = |range: &RangeInclusive<u16>| match (*range.start(), *range.end()) {
        (from, to) if from == to => i64::from(from).into(),
        (from, to) => format!("{from}-{to}").into(),
    };
    success.ranges().iter().map(shown).collect()
}

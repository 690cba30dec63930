//! How fast an endpoint is sent to, where else, how long its events may wait, and who is told.

use super::access::{Token, checked_url};
use super::endpoint::EndpointConfig;
use super::file::EndpointTable;
use super::place::{Place, listed};
use super::problem::Problems;
use super::value;
use crate::delivery::concurrency::{CONCURRENCY_MAX, Concurrency};
use crate::delivery::endpoint::{Endpoint, EventFilter};
use crate::delivery::fallback::FALLBACKS_MAX;
use crate::delivery::rate::{RATE_COUNT_MAX, RateLimit};
use crate::delivery::url::Url;
use crate::event::alert;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Shortest and longest age at which events are given up.
const AGES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(366 * 86_400);

/// The word for a concurrency that is learned.
const AUTO: &str = "auto";

/// Puts what the table says into `endpoint`.
///
/// Its fallbacks get the `token` of its own address.
pub fn apply(
    table: &EndpointTable,
    token: Option<&Token>,
    endpoint: &mut Endpoint,
    place: &mut Place<'_>,
) {
    endpoint.concurrency = concurrency(table, place);
    endpoint.rate_max = rate_max(table, place);
    endpoint.max_age = place.duration("max_age", &table.max_age, endpoint.max_age, AGES);
    endpoint.fallback_urls = fallback_urls(table, place)
        .into_iter()
        .map(|url| match token {
            Some(token) => token.at(url),
            None => url,
        })
        .collect();
    let to = place.given("alert_to", &table.alert_to, "\"pager\"");
    endpoint.alerts.to = to.map(|name| name.as_str().into());
}

fn concurrency(table: &EndpointTable, place: &mut Place<'_>) -> Concurrency {
    let written = &table.concurrency;
    let Some(value) = place.given("concurrency", written, "\"auto\"") else {
        return Concurrency::default();
    };
    let fixed = match value {
        toml::Value::String(word) if word == AUTO => return Concurrency::Learned,
        toml::Value::Integer(number) => usize::try_from(*number)
            .ok()
            .filter(|number| *number <= CONCURRENCY_MAX)
            .and_then(NonZeroUsize::new),
        _ => None,
    };
    if fixed.is_none() {
        let what = format!(
            "{value} cannot be; write \"auto\", which learns what suits the receiver, or a number from 1 to {CONCURRENCY_MAX}"
        );
        place.problem("concurrency", written, what);
    }
    fixed.map_or(Concurrency::default(), Concurrency::Fixed)
}

fn rate_max(table: &EndpointTable, place: &mut Place<'_>) -> Option<RateLimit> {
    let written = &table.rate_max;
    let value = place.given("rate_max", written, "100")?;
    let limit = match value {
        toml::Value::Integer(count) => RateLimit::parse(&format!("{count}/s")),
        toml::Value::String(text) => RateLimit::parse(text),
        _ => None,
    };
    if limit.is_none() {
        let what = format!(
            "{value} is no rate; write requests per second, from 1 to {RATE_COUNT_MAX}, or like \"30/m\" or \"500/h\""
        );
        place.problem("rate_max", written, what);
    }
    limit
}

fn fallback_urls(table: &EndpointTable, place: &mut Place<'_>) -> Vec<Url> {
    let written = &table.fallback_urls;
    let like = "[\"https://backup.example.com/webhook\"]";
    let Some(texts) = place.given("fallback_urls", written, like) else {
        return Vec::new();
    };
    if texts.len() > FALLBACKS_MAX {
        let what = format!(
            "{} addresses are too many; write {FALLBACKS_MAX} at most",
            texts.len()
        );
        place.problem("fallback_urls", written, what);
    }
    // Whether it is true or false has been looked at with `url`.
    let plain_allowed = place.truth("allow_plain_http", &table.allow_plain_http, false);
    let mut urls = Vec::new();
    for (number, text) in (1..).zip(texts) {
        match checked_url(text, plain_allowed) {
            Ok((url, None)) => urls.push(url),
            Ok((_, Some(_))) => {
                let what = "has a user and password; write them in basic_auth_file, all addresses are shown what is there";
                place.problem("fallback_urls", written, format!("address {number} {what}"));
            }
            Err(what) => place.problem(
                "fallback_urls",
                written,
                format!("address {number}: {what}"),
            ),
        }
    }
    urls
}

/// Has each endpoint know of whom it is told, and which alerts are listed by others.
pub fn route_alerts(endpoints: &mut [EndpointConfig], path: &Path, problems: &mut Problems) {
    let named: Vec<(Arc<str>, bool)> = endpoints
        .iter()
        .map(|config| (Arc::clone(&config.endpoint.name), config.enabled))
        .collect();
    let mut pairs = Vec::new();
    for config in endpoints.iter().filter(|config| config.enabled) {
        let name = &config.endpoint.name;
        let Some(to) = &config.endpoint.alerts.to else {
            continue;
        };
        let key = format!("endpoint {name:?}: alert_to");
        let others = named.iter().map(|(name, _)| name);
        let others = listed(others.filter(|other| *other != name));
        match named.iter().find(|(other, _)| other == to) {
            _ if to == name => problems.add(
                path,
                None,
                key,
                "an endpoint that fails cannot be told of it; write the name of another",
            ),
            None => problems.add(
                path,
                None,
                key,
                format!("there is no endpoint {to:?}; write the name of another: {others}"),
            ),
            Some((_, false)) => problems.add(
                path,
                None,
                key,
                format!("endpoint {to:?} is not enabled; write the name of one that is"),
            ),
            Some(_) => pairs.push((Arc::clone(name), Arc::clone(to))),
        }
    }
    let lists = |config: &EndpointConfig, kind: &str| match &config.endpoint.events {
        EventFilter::All => false,
        filter @ EventFilter::Kinds(_) => config.enabled && filter.wants(kind),
    };
    let listed: Vec<(Arc<str>, &str)> = endpoints
        .iter()
        .flat_map(|config| {
            let kinds = alert::KINDS.into_iter().filter(|kind| lists(config, kind));
            kinds.map(|kind| (Arc::clone(&config.endpoint.name), kind))
        })
        .collect();
    for config in endpoints {
        let endpoint = &mut config.endpoint;
        let about = pairs.iter().filter(|(_, to)| *to == endpoint.name);
        endpoint.alerts.about = about.map(|(about, _)| Arc::clone(about)).collect();
        let by_others = |kind: &&str| {
            let mut all = listed.iter();
            all.any(|(name, listed)| listed == kind && *name != endpoint.name)
        };
        let kinds = alert::KINDS.into_iter().filter(by_others);
        endpoint.alerts.listed = kinds.map(Into::into).collect();
    }
}

/// What is in force, as it would be written.
pub fn show(endpoint: &Endpoint, mut put: impl FnMut(&str, toml::Value)) {
    let concurrency = match endpoint.concurrency {
        Concurrency::Learned => AUTO.into(),
        Concurrency::Fixed(limit) => i64::try_from(limit.get()).unwrap_or(i64::MAX).into(),
    };
    put("concurrency", concurrency);
    if let Some(limit) = &endpoint.rate_max {
        put("rate_max", limit.to_string().into());
    }
    put("max_age", value::show_duration(endpoint.max_age).into());
    if !endpoint.fallback_urls.is_empty() {
        let urls = endpoint.fallback_urls.iter();
        let urls: Vec<toml::Value> = urls.map(|url| url.to_string().into()).collect();
        put("fallback_urls", urls.into());
    }
    if let Some(to) = &endpoint.alerts.to {
        put("alert_to", to.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use crate::clock::UnixMs;
    use crate::delivery::fallback::addresses;
    use crate::delivery::request::SignedRequest;
    use crate::delivery::signer::Signer;
    use crate::event::sample::{TEST_KIND, sample};
    use crate::event::{EventId, Sequence};
    use crate::queue::Queued;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// The configuration with these keys for `billing`, and beside it the endpoint `pager`.
    fn load(keys: &str, pager: &str) -> Result<Config, Problems> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("switchhook.toml");
        let text = format!(
            "[[source]]\nname = \"cdr\"\nformat = \"vos3000-csv\"\nfiles = [\"/var/cdr/*.csv\"]\nstart = \"now\"\n\
             [[endpoint]]\nname = \"billing\"\nurl = \"https://a.example/\"\nevents = [\"cdr\"]\nsignature = \"none\"\n{keys}\n\
             [[endpoint]]\nname = \"pager\"\nurl = \"https://b.example/\"\nsignature = \"none\"\n{pager}\n"
        );
        fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    fn endpoint(keys: &str) -> Endpoint {
        let config = load(keys, "events = [\"*\"]").unwrap();
        config.endpoints[0].endpoint.clone()
    }

    #[track_caller]
    fn check_problem(keys: &str, pager: &str, expected: &str) {
        let problems = load(keys, pager).unwrap_err().to_string();
        assert!(problems.contains(expected), "{keys}: {problems}");
    }

    const ALL: &str = "events = [\"*\"]";

    #[test]
    fn a_fallback_is_shown_the_token_and_signed_for_as_the_address_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        fs::write(&token, "hush\n").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let of = |urls: &str| {
            let keys = "profile = \"vos3000\"\nevents = [\"cdr\"]\nmethod = \"GET\"\nsecret = \"hush\"\n\
                        signature = { header = \"X-Sign\", signed = [\"url\", \"body\"] }\nproxy = \"http://127.0.0.1:3128\"";
            let token = token.display();
            let text = format!(
                "[[source]]\nname = \"cdr\"\nformat = \"vos3000-csv\"\nfiles = [\"/var/cdr/*.csv\"]\nstart = \"now\"\n\
                 [[endpoint]]\nname = \"billing\"\ntoken_file = \"{token}\"\n{keys}\n{urls}\n"
            );
            let path = dir.path().join("switchhook.toml");
            fs::write(&path, text).unwrap();
            let config = Config::load(&path).unwrap();
            addresses(&config.endpoints[0].endpoint)
        };
        let request = |endpoint: &Endpoint| {
            let signer = Signer::new(endpoint.signature.clone(), &endpoint.secret);
            let event = sample(TEST_KIND, &"vos-1".into(), EventId([7; 16]), UnixMs(0), &[]);
            let queued = Queued {
                sequence: Sequence(1),
                event: Arc::new(event.unwrap()),
            };
            let body = br#"{"a":1}"#;
            let request = SignedRequest::new(
                endpoint,
                &signer,
                &queued,
                1,
                UnixMs(1_614_265_330_999),
                body,
            );
            let sign = request.headers.iter().find(|(name, _)| *name == "X-Sign");
            (request.url.clone(), sign.unwrap().1.to_string())
        };
        let both =
            of("url = \"https://a.example/\"\nfallback_urls = [\"https://b.example/x?y=1\"]");
        let alone = of("url = \"https://b.example/x?y=1\"");
        assert_eq!(request(&both[1]), request(&alone[0]));
        let url = "https://b.example/x?y=1&token=hush&a=1";
        assert_eq!(request(&both[1]).0.as_deref(), Some(url));
        assert_ne!(request(&both[0]).1, request(&both[1]).1);
        assert_eq!(both[1].link, both[0].link);
    }

    #[test]
    fn the_keys_are_read_and_shown_with_their_defaults() {
        let plain = endpoint("");
        assert_eq!(plain.concurrency, Concurrency::Learned);
        assert_eq!(
            (plain.rate_max, plain.max_age.as_secs()),
            (None, 72 * 3_600)
        );
        let keys = "concurrency = 7\nrate_max = \"30/m\"\nmax_age = \"2d\"\nalert_to = \"pager\"\n\
                    fallback_urls = [\"https://c.example/x?token=hush\", \"http://127.0.0.1:9/\"]";
        let config = load(keys, ALL).unwrap();
        let endpoint = &config.endpoints[0].endpoint;
        assert_eq!(endpoint.rate_max.unwrap().to_string(), "30/m");
        assert_eq!(endpoint.fallback_urls.len(), 2);
        assert_eq!(
            config.endpoints[1].endpoint.alerts.about,
            ["billing".into()]
        );
        let shown = config.show();
        for line in [
            "concurrency = 7",
            "rate_max = \"30/m\"",
            "max_age = \"2d\"",
            "alert_to = \"pager\"",
            "fallback_urls = [\"https://c.example/x?..\", \"http://127.0.0.1:9/\"]",
            "concurrency = \"auto\"",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        assert!(!shown.contains("hush"));
    }

    #[test]
    fn an_endpoint_that_is_told_of_others_need_get_nothing_else() {
        // The sources make calls, and the example of the manual lists alarms.
        let alarms = "events = [\"alarm\"]";
        assert!(load("alert_to = \"pager\"", alarms).is_ok());
        check_problem("", alarms, "no source makes any of these");
    }

    #[test]
    fn what_cannot_be_is_said_with_what_to_write() {
        for wrong in ["0", "65", "\"fast\"", "1.5", "true"] {
            check_problem(
                &format!("concurrency = {wrong}"),
                ALL,
                "write \"auto\", which learns what suits the receiver, or a number from 1 to 64",
            );
        }
        for wrong in ["0", "10001", "\"5/d\"", "1.5"] {
            check_problem(&format!("rate_max = {wrong}"), ALL, "is no rate; write");
        }
        check_problem("max_age = 72", ALL, "max_age");
        check_problem(
            "fallback_urls = [\"https://c.example/\", \"http://c.example/\"]",
            ALL,
            "fallback_urls: address 2: http:// would send call records in the clear",
        );
        let many = "fallback_urls = [\"https://c.example/\",\"https://c.example/\",\"https://c.example/\",\"https://c.example/\",\
                    \"https://c.example/\",\"https://c.example/\",\"https://c.example/\",\"https://c.example/\"]";
        check_problem(many, ALL, "8 addresses are too many");
        check_problem(
            "alert_to = \"nobody\"",
            ALL,
            "there is no endpoint \"nobody\"; write the name of another: pager",
        );
        check_problem("alert_to = \"billing\"", ALL, "cannot be told of it");
        let disabled = "events = [\"*\"]\nenabled = false";
        check_problem("alert_to = \"pager\"", disabled, "is not enabled");
    }

    #[test]
    fn an_endpoint_may_live_on_alerts_alone() {
        let pager = "events = [\"switchhook.endpoint_failing\"]";
        let config = load("", pager).unwrap();
        let listed = &config.endpoints[0].endpoint.alerts.listed;
        assert_eq!(*listed, ["switchhook.endpoint_failing".into()]);
        assert!(config.endpoints[1].endpoint.alerts.listed.is_empty());
    }
}

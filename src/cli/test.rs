//! `switchhook test`: one signed event to one endpoint, and everything that is seen of it.

use super::{CONFIG_DEFAULT, Exit, screen, signing};
use crate::clock::{Clock, SystemClock, UnixMs};
use crate::config::{self, Config, EndpointConfig, signature};
use crate::control::mask::words;
use crate::delivery::blanket;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::fallback::addresses;
use crate::delivery::link::{Pin, TlsMin};
use crate::delivery::outcome::{Failure, Outcome};
use crate::delivery::packing::{Method, SignedOver};
use crate::delivery::transport::{Answer, Phase, Phases, TroubleClass};
use crate::delivery::trial::{Trial, try_out};
use crate::event::sample::{TEST_KIND, sample};
use crate::event::{EventId, Sequence};
use crate::queue::Queued;
use crate::timestamp::Timestamp;
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an answer that are shown.
const ANSWER_SHOWN: usize = 300;

/// A certificate that ends sooner is shown as something to do.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 86_400);

/// Most that the receiver's clock and this one may differ: receivers refuse signatures older
/// than five minutes.
const SKEW_MAX: Duration = Duration::from_secs(60);

/// The name of an endpoint that is in no configuration, and of the switch it hears from.
const ALONE: &str = "test";

/// The arguments of `test`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the configuration and not the agent, and with --url neither; the queue is not touched. The
event really goes out: signed with the endpoint's secret, over its own transport; with fallback_urls
once to each of its addresses. Ends with 0 when it was delivered everywhere; else with 65 when the
first receiver that did not take it refused it, 69 when that could not be reached.

Example: switchhook test billing
Example: switchhook test billing --event cdr --set duration=125 --set caller_id=12025550142 --curl
Example: switchhook test --url http://127.0.0.1:3000/webhook --secret-file F --profile vos3000 --event cdr")]
pub struct TestArguments {
    /// The endpoint's name.
    #[arg(required_unless_present = "url", conflicts_with = "url")]
    endpoint: Option<String>,
    /// Send it here instead, to a receiver that is in no configuration yet.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The profile of that receiver [default: standard].
    #[arg(long, requires = "url")]
    profile: Option<String>,
    /// How it expects to find requests signed, where that is not its profile's way: stripe, github,
    /// none, or a template as in a configuration.
    #[arg(long, value_name = "SCHEME", requires = "url")]
    scheme: Option<String>,
    /// The file with the secret to sign with.
    #[arg(long, value_name = "FILE", requires = "url")]
    secret_file: Option<PathBuf>,
    /// Type of the event; of `cdr`, `alarm` and `balance_alert` a whole sample is sent.
    #[arg(long, value_name = "TYPE", default_value = TEST_KIND)]
    event: String,
    /// Set a field of its data, like duration=125. May be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Show the same request as a curl command, without what may be a password.
    #[arg(long)]
    curl: bool,
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_DEFAULT, conflicts_with = "url")]
    config: PathBuf,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.to_string(), value.to_string())),
        None => Err("write KEY=VALUE".to_string()),
    }
}

/// Sends the event and shows what came of it.
pub fn test(arguments: &TestArguments) -> Exit {
    if let Some(url) = &arguments.url {
        return match alone(arguments, url) {
            Ok(endpoint) => send_and_show(arguments, &endpoint, &ALONE.into()),
            Err(what) => {
                screen::complaint(what);
                Exit::Usage
            }
        };
    }
    let name = arguments.endpoint.as_deref().unwrap_or_default();
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(problems) => {
            screen::complaint(problems);
            return Exit::Configuration;
        }
    };
    match signing::configured(&config, name) {
        Ok(endpoint) => send_and_show(arguments, endpoint, &config.node),
        Err(names) => {
            let what = format_args!("there is no endpoint {name:?}; there are {names}");
            screen::complaint(what);
            Exit::Usage
        }
    }
}

/// An endpoint made of what the command line says.
fn alone(arguments: &TestArguments, url: &str) -> Result<EndpointConfig, String> {
    if arguments.secret_file.is_none() && arguments.scheme.as_deref() != Some("none") {
        return Err(
            "there is no secret to sign with; give --secret-file FILE, or --scheme none"
                .to_string(),
        );
    }
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| table.insert(key.to_string(), value);
    put("name", ALONE.into());
    put("url", url.into());
    put("events", vec!["*"].into());
    put("allow_private", true.into());
    if let Some(profile) = &arguments.profile {
        put("profile", profile.as_str().into());
    }
    if let Some(scheme) = &arguments.scheme {
        put("signature", signature::value(scheme)?);
    }
    if let Some(path) = &arguments.secret_file {
        put("secret_file", path.display().to_string().into());
    }
    config::endpoint_alone(table).map_err(|problems| problems.to_string())
}

fn send_and_show(arguments: &TestArguments, endpoint: &EndpointConfig, node: &Arc<str>) -> Exit {
    match send(endpoint, node, &arguments.event, &arguments.set) {
        Ok((queued, trials)) => {
            let exit = show_all(endpoint, &queued, &trials);
            if arguments.curl {
                for (at, trial) in &trials {
                    screen::line("");
                    screen::line(curl(at, endpoint.ca_file.as_deref(), trial));
                }
            }
            exit
        }
        Err(what) => {
            screen::complaint(what);
            Exit::Usage
        }
    }
}

/// Sends a test event to an endpoint and shows what came of it: for `check --deep`.
pub fn probe(endpoint: &EndpointConfig, node: &Arc<str>) -> Exit {
    match send(endpoint, node, TEST_KIND, &[]) {
        Ok((queued, trials)) => show_all(endpoint, &queued, &trials),
        Err(what) => {
            screen::line(screen::styled(screen::BAD, what));
            Exit::Configuration
        }
    }
}

/// What came of each of the endpoint's addresses, in their order.
type Trials = Vec<(Arc<Endpoint>, Trial)>;

/// Sends the event to each of the endpoint's addresses, its own first.
fn send(
    endpoint: &EndpointConfig,
    node: &Arc<str>,
    kind: &str,
    set: &[(String, String)],
) -> Result<(Queued, Trials), String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| format!("no random numbers: {error}"))?;
    let event = sample(kind, node, EventId(id), clock.wall(), set);
    let queued = Queued {
        // No event of the queue has it.
        sequence: Sequence(0),
        event: Arc::new(event.map_err(|error| error.to_string())?),
    };
    let mut trials = Vec::new();
    for at in addresses(&endpoint.endpoint) {
        let trial = try_out(&at, &queued, &clock).map_err(|error| error.to_string())?;
        trials.push((at, trial));
    }
    Ok((queued, trials))
}

/// Shows what came of each address; the exit of the first that does not take events.
fn show_all(endpoint: &EndpointConfig, queued: &Queued, trials: &[(Arc<Endpoint>, Trial)]) -> Exit {
    for (place, (at, trial)) in trials.iter().enumerate() {
        if place > 0 {
            screen::line("");
        }
        show(at, place, queued, trial);
    }
    let taken = trials
        .iter()
        .filter(|(_, it)| it.outcome == Outcome::Delivered);
    let taken = taken.count();
    if trials.len() > 1 {
        let name = &endpoint.endpoint.name;
        let style = if taken == trials.len() {
            screen::GOOD
        } else {
            screen::BAD
        };
        let told = format_args!(
            "{taken} of the {} addresses of {name} take events",
            trials.len()
        );
        screen::line("");
        screen::line(screen::styled(style, told));
    }
    let mut exits = trials.iter().map(|(_, trial)| exit_of(&trial.outcome));
    exits
        .find(|exit| *exit != Exit::Success)
        .unwrap_or(Exit::Success)
}

fn exit_of(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Delivered => Exit::Success,
        Outcome::Refused(_) => Exit::Data,
        Outcome::Unavailable { .. } | Outcome::Gone(_) => Exit::Unhealthy,
    }
}

/// Shows what came of the address at `place`: 0 is the endpoint's own.
fn show(settings: &Endpoint, place: usize, queued: &Queued, trial: &Trial) {
    let (name, url) = (&settings.name, &settings.url);
    let head = match place {
        0 => format!(
            "# endpoint {name:?}, profile {}, {url}",
            settings.profile.name()
        ),
        _ => format!("# fallback {place} of endpoint {name:?}, {url}"),
    };
    screen::line(screen::styled(screen::HEAD, head));
    line(
        "event",
        format_args!("{} {}", queued.event.kind, queued.event.id),
    );
    if settings.secret.is_none() {
        line(
            "",
            screen::styled(screen::WAIT, "unsigned: there is no secret"),
        );
    }
    if let Some(proxy) = &settings.link.proxy {
        line(
            "proxy",
            format_args!("{proxy}  resolves and connects in our place"),
        );
    }
    show_phases(&trial.phases, SystemClock::new().wall());
    match &trial.answer {
        Answer::Status(response) => {
            let took = trial.phases.answered.unwrap_or(response.elapsed);
            line(
                "answer",
                format_args!("{}  status {}", ms(took), response.status),
            );
            if let Some(said) = words(&response.body_start, ANSWER_SHOWN) {
                line("", said);
            }
            if let Some(skew) = skew(response.date.as_deref()) {
                line(
                    "",
                    screen::styled(
                        screen::BAD,
                        format_args!(
                            "the clocks of the receiver and of this machine are {} s apart: signatures may be refused as too old",
                            skew.as_secs()
                        ),
                    ),
                );
            }
        }
        Answer::Trouble(trouble) => line(
            "failed",
            screen::styled(
                screen::BAD,
                format_args!(
                    "after {}: [{}] {trouble}",
                    ms(trouble.elapsed),
                    trouble.class.word()
                ),
            ),
        ),
    }
    let (style, verdict) = match &trial.outcome {
        Outcome::Delivered => match speaks_of_failure(&trial.answer) {
            false => (screen::GOOD, "delivered".to_string()),
            true => (
                screen::WAIT,
                "delivered: its status says so, whatever its words say; where it has not stored the event it has to answer 503"
                    .to_string(),
            ),
        },
        Outcome::Refused(failure) => (screen::BAD, refused(failure)),
        Outcome::Unavailable { failure, .. } => (
            screen::BAD,
            format!(
                "unavailable: events would wait, and no attempts be spent{}",
                cause_of_unavailable(failure, &trial.answer)
            ),
        ),
        Outcome::Gone(_) => (
            screen::BAD,
            "gone, it says: asked once more after a minute, then the endpoint is stopped; correct its url".to_string(),
        ),
    };
    line("verdict", screen::styled(style, verdict));
}

/// Whether an answer that counts as success says in its body that it is none, in one of the usual ways.
fn speaks_of_failure(answer: &Answer) -> bool {
    let Answer::Status(response) = answer else {
        return false;
    };
    let Ok(Value::Object(body)) = serde_json::from_slice(&response.body_start) else {
        return false;
    };
    let is_false = |key: &str| body.get(key).is_some_and(|value| *value == false);
    let error = body.get("error").or_else(|| body.get("errors"));
    let has_error = error.is_some_and(|error| match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    });
    let word = body.get("status").and_then(Value::as_str);
    let is_bad_word = word.is_some_and(|word| matches!(word, "error" | "failed" | "fail"));
    is_false("success") || is_false("ok") || has_error || is_bad_word
}

/// What an endpoint that is not there, or not well, mostly suffers from; nothing where its own words say
/// all there is to say.
fn cause_of_unavailable(failure: &Failure, answer: &Answer) -> String {
    match (failure.status, answer) {
        (Some(300..=399), _) => format!(
            "; {}: write the address it leads to as url",
            failure.reason
        ),
        (None, Answer::Trouble(trouble)) => match trouble.class {
            TroubleClass::Closed => {
                "; it took the request and hung up without an answer: look at its own log"
            }
            TroubleClass::Timeout(Phase::Answer) => {
                "; it has to store the event and answer, and work afterwards; a longer timeout only hides it"
            }
            _ => "",
        }
        .to_string(),
        _ => String::new(),
    }
}

/// What a refusal means for events, and what it mostly comes from.
fn refused(failure: &Failure) -> String {
    if failure.was_never_sent() {
        return "refused: such an event would be a dead letter at once; method = \"POST\" has room for it"
            .to_string();
    }
    if !blanket::is_blanket(failure.status) {
        return "refused: such an event would be tried again by itself, then be a dead letter"
            .to_string();
    }
    let cause = match failure.status {
        Some(404 | 405) => "look at the path in url",
        Some(407) => "look at the login in proxy",
        _ => {
            "look at the secret, at the clocks, at a token or login that it may want, and whether it verifies the raw body before it parses it: `switchhook receive` in its place says which"
        }
    };
    format!("refused: if it refuses everything, events wait as in an outage; {cause}")
}

fn show_phases(phases: &Phases, wall: UnixMs) {
    if let Some((addresses, took)) = &phases.resolved {
        let addresses: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
        line(
            "resolve",
            format_args!("{}  {}", ms(*took), addresses.join(", ")),
        );
    }
    if let Some((address, took)) = &phases.connected {
        line("connect", format_args!("{}  {address}", ms(*took)));
    }
    if let Some(took) = phases.tunnelled {
        line(
            "tunnel",
            format_args!("{}  the proxy has connected", ms(took)),
        );
    }
    let Some(agreed) = &phases.agreed else { return };
    line(
        "tls",
        format_args!(
            "{}  {} {}, name and chain of {} verified",
            ms(agreed.elapsed),
            agreed.version,
            agreed.suite,
            agreed.certificates
        ),
    );
    if let Some(pin) = agreed.pin {
        line("", format_args!("pin_sha256 = [\"{pin}\"]"));
    }
    if let Some(until) = agreed.valid_until {
        let left = until.since(wall);
        let style = if left < EXPIRES_SOON {
            screen::BAD
        } else {
            screen::GOOD
        };
        let until = Timestamp::from_secs(until.unix_secs());
        line(
            "",
            screen::styled(
                style,
                format_args!(
                    "the certificate is valid until {until}, {} days",
                    left.as_secs() / 86_400
                ),
            ),
        );
    }
}

/// How far the receiver's clock is from this one, when that is too far.
fn skew(date: Option<&str>) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date?)
        .ok()?;
    let (theirs, ours) = (UnixMs(date.as_millisecond()), SystemClock::new().wall());
    let apart = theirs.since(ours).max(ours.since(theirs));
    (apart > SKEW_MAX).then_some(apart)
}

fn line(label: &str, text: impl std::fmt::Display) {
    screen::line(format_args!("{label:<9}{text}"));
}

fn ms(span: Duration) -> String {
    format!("{:>8.1} ms", span.as_secs_f64() * 1_000.0)
}

/// The same request for curl. What the operator put into headers and the URL's query may be
/// passwords: variables stand for them.
fn curl(settings: &Endpoint, ca_file: Option<&Path>, trial: &Trial) -> String {
    let mut notes = Vec::new();
    let url = settings.url.as_str();
    let url = match url.split_once('?') {
        Some((before, _)) => {
            notes.push("# QUERY is what follows the ? of the endpoint's url".to_string());
            format!("{}?\"$QUERY\"", quoted(before))
        }
        None => quoted(url),
    };
    let method = settings.packing.method;
    let fields = trial.url.as_deref().and_then(|whole| {
        let fields = whole.strip_prefix(settings.url.as_str())?;
        Some(quoted(fields))
    });
    let url = format!("{url}{}", fields.unwrap_or_default());
    let mut parts = vec![format!("curl -sS -i -X {} {url}", method.as_str())];
    for (name, value) in &trial.headers {
        let is_own = settings.headers.iter().any(|own| own.name() == name);
        if is_own {
            let variable: String = name
                .chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() {
                        c.to_ascii_uppercase()
                    } else {
                        '_'
                    }
                })
                .collect();
            notes.push(format!("# H_{variable} is the value of the header {name}"));
            parts.push(format!("-H \"{name}: $H_{variable}\""));
        } else {
            parts.push(format!("-H {}", quoted(&format!("{name}: {value}"))));
        }
    }
    if let Some(path) = ca_file {
        parts.push(format!("--cacert {}", quoted(&path.display().to_string())));
    }
    parts.extend(curl_link(settings));
    parts.push(format!("--max-time {}", settings.timeout.as_secs().max(1)));
    let content = quoted(&String::from_utf8_lossy(&trial.content));
    let is_compressed = trial
        .headers
        .iter()
        .any(|(name, _)| name == "Content-Encoding");
    match method {
        Method::Get => {}
        _ if is_compressed => {
            if settings.packing.signed == SignedOver::Sent {
                let note = "# the signature is over the agent's own compressed bytes; those of gzip(1) may differ";
                notes.push(note.to_string());
            }
            parts.push("--data-binary @-".to_string());
            if let Some(first) = parts.first_mut() {
                *first = format!("printf %s {content} | gzip -nc | {first}");
            }
        }
        _ => parts.push(format!("--data-binary {content}")),
    }
    notes.push(parts.join(" \\\n  "));
    notes.join("\n")
}

/// What curl is told of how the connection is made. The agent's own certificate and its key, and
/// the login of a proxy, are the operator's to fill in.
fn curl_link(settings: &Endpoint) -> Vec<String> {
    let link = &settings.link;
    let mut parts = Vec::new();
    if let Some(proxy) = &link.proxy {
        parts.push(format!("--proxy {}", quoted(&proxy.to_string())));
        if proxy.authorization().is_some() {
            parts.push("--proxy-user \"$PROXY_USER\"".to_string());
        }
    }
    if let Some(address) = link.source_address {
        parts.push(format!("--interface {address}"));
    }
    if link.tls_min == TlsMin::Tls13 {
        parts.push("--tlsv1.3".to_string());
    }
    if !link.pins.is_empty() {
        let pins: Vec<String> = link.pins.iter().map(Pin::to_string).collect();
        parts.push(format!("--pinnedpubkey {}", quoted(&pins.join(";"))));
    }
    if link.identity.is_some() {
        parts.push("--cert \"$CLIENT_CERT_FILE\" --key \"$CLIENT_KEY_FILE\"".to_string());
    }
    parts
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::transport::Response;

    #[test]
    fn a_word_of_a_shell_stays_one() {
        assert_eq!(quoted("it's $x"), r"'it'\''s $x'");
    }

    #[test]
    fn a_success_whose_words_deny_it_is_noticed() {
        let speaks = |body: &str| {
            let response = Response {
                status: 200,
                retry_after: None,
                location_host: None,
                body_read: 0,
                date: None,
                body_start: body.as_bytes().to_vec(),
                elapsed: Duration::ZERO,
            };
            speaks_of_failure(&Answer::Status(response))
        };
        for body in [
            r#"{"success":false}"#,
            r#"{"ok":false,"why":"x"}"#,
            r#"{"error":"database is down"}"#,
            r#"{"errors":[{}]}"#,
            r#"{"status":"error"}"#,
        ] {
            assert!(speaks(body), "{body}");
        }
        for body in [
            "",
            "OK",
            "[]",
            r#"{"status":"received"}"#,
            r#"{"success":true,"error":null}"#,
            r#"{"errors":[],"error":""}"#,
        ] {
            assert!(!speaks(body), "{body}");
        }
    }

    #[test]
    fn only_clocks_far_apart_are_worth_a_word() {
        assert_eq!(skew(None), None);
        assert_eq!(skew(Some("nonsense")), None);
        let old = skew(Some("Tue, 14 Apr 2020 01:43:55 GMT")).unwrap();
        assert!(old > Duration::from_secs(86_400));
    }
}

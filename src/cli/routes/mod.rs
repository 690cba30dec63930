//! `switchhook routes`: which events go where, as a table; and for given events, with the reasons.

mod rows;
mod trial;

use super::{CONFIG_DEFAULT, Exit, screen};
use crate::config::place::listed;
use crate::config::route::{partly_taken, shown_percent};
use crate::config::{Config, EndpointConfig, value};
use crate::delivery::endpoint::EventFilter;
use crate::delivery::route::{Level, MirrorEnd, Mode};
use crate::timestamp::Timestamp;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Names of one endpoint that a line shows.
const NAMES_SHOWN: usize = 4;

/// The arguments of `routes`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Of the endpoints that take an event (their name at their level, its type, where, sample) those of
the most specific level get it: call, application, trunk, account, default. With mode = \"all\" in
[routing] all of them do.

Examples:
  switchhook routes
  switchhook routes try --file /home/kunshi/mbx3000/cdr/2026041014.txt")]
pub struct RoutesArguments {
    #[command(subcommand)]
    command: Option<RoutesCommand>,
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum RoutesCommand {
    /// Say of rows, or of an event, where each would go, and why not elsewhere.
    Try(trial::TryArguments),
}

/// Does what `arguments` say.
pub fn routes(arguments: &RoutesArguments) -> Exit {
    if let Some(RoutesCommand::Try(arguments)) = &arguments.command {
        return trial::try_out(arguments);
    }
    let config = match load(&arguments.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if arguments.json {
        screen::line(as_json(&config));
        return Exit::Success;
    }
    let what = match config.routing {
        Mode::Override => "an event goes to the endpoints of the most specific level that takes it",
        Mode::All => "an event goes to every endpoint that takes it",
    };
    screen::line(screen::styled(
        screen::HEAD,
        format_args!("# routing mode {:?}: {what}", config.routing.word()),
    ));
    for endpoint in by_level(&config) {
        screen::line(row(endpoint));
    }
    remark(&config);
    Exit::Success
}

/// Says which events may go nowhere; nothing where all go somewhere.
pub(super) fn remark(config: &Config) {
    let kinds = partly_taken(config);
    if !kinds.is_empty() {
        let what = format!(
            "of the types {} events may go to no endpoint: they are counted as unrouted. An endpoint of level \"default\" without where and sample_percent would get them",
            listed(kinds)
        );
        screen::line(screen::styled(screen::WAIT, what));
    }
}

fn load(path: &Path) -> Result<Config, Exit> {
    Config::load(path).map_err(|problems| {
        screen::complaint(problems);
        Exit::Configuration
    })
}

/// The endpoints, the most specific level first, mirrors last.
fn by_level(config: &Config) -> Vec<&EndpointConfig> {
    let mut endpoints: Vec<&EndpointConfig> = config.endpoints.iter().collect();
    endpoints.sort_by_key(|config| {
        let route = &config.endpoint.route;
        (route.mirror.is_some(), route.level)
    });
    endpoints
}

fn row(config: &EndpointConfig) -> String {
    let endpoint = &config.endpoint;
    let route = &endpoint.route;
    let mut parts = Vec::new();
    let level = match &route.mirror {
        Some(mirror) => {
            parts.push(format!(
                "all that {:?} gets, {}",
                mirror.of,
                end(mirror.end)
            ));
            "mirror"
        }
        None => route.level.word(),
    };
    if route.level != Level::Default {
        let shown = route.matches.iter().take(NAMES_SHOWN);
        let more = match route.matches.len().saturating_sub(NAMES_SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        parts.push(format!("matches {}{more}", listed(shown)));
    }
    if route.mirror.is_none() {
        parts.push(match &endpoint.events {
            EventFilter::All => "every type".to_string(),
            EventFilter::Kinds(kinds) => format!("events {}", listed(kinds)),
        });
    }
    if !route.filter.written().is_empty() {
        parts.push(format!("where {}", route.filter.written()));
    }
    if let Some(sample) = route.sample {
        parts.push(format!("{} % of them", shown_percent(sample)));
    }
    let hidden = [
        ("masks", endpoint.redaction.masked()),
        ("omits", endpoint.redaction.omitted()),
    ];
    for (word, fields) in hidden.iter().filter(|(_, fields)| !fields.is_empty()) {
        parts.push(format!("{word} {}", listed(*fields)));
    }
    if !config.enabled {
        parts.push("not enabled: its events wait".to_string());
    }
    format!("{level:<12} {:<20} {}", endpoint.name, parts.join("; "))
}

fn end(end: MirrorEnd) -> String {
    match end {
        MirrorEnd::At(instant) => {
            format!("until {}", Timestamp::from_secs(instant.unix_secs()))
        }
        MirrorEnd::After(span) => {
            format!("for {} from its first start", value::show_duration(span))
        }
    }
}

fn as_json(config: &Config) -> Value {
    let endpoints = by_level(config).into_iter().map(|config| {
        let endpoint = &config.endpoint;
        let route = &endpoint.route;
        let events = match &endpoint.events {
            EventFilter::All => json!(["*"]),
            EventFilter::Kinds(kinds) => json!(kinds),
        };
        json!({
            "endpoint": &*endpoint.name,
            "level": route.mirror.is_none().then_some(route.level.word()),
            "matches": route.matches,
            "events": route.mirror.is_none().then_some(events),
            "where": (!route.filter.written().is_empty()).then_some(route.filter.written()),
            "sample_percent": route.sample.map(|sample| f64::from(sample.hundredths()) / 100.0),
            "mask": endpoint.redaction.masked(),
            "omit": endpoint.redaction.omitted(),
            "mirror": route.mirror.as_ref().map(|mirror| &*mirror.of),
            "mirror_ends": route.mirror.as_ref().map(|mirror| end(mirror.end)),
            "enabled": config.enabled,
        })
    });
    json!({
        "mode": config.routing.word(),
        "endpoints": endpoints.collect::<Vec<_>>(),
        "may_go_nowhere": partly_taken(config),
    })
}

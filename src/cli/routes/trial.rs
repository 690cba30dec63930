//! `switchhook routes try`: where given events would go, and why not elsewhere.

use super::rows::{self, Row};
use super::{Exit, load, screen};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::live::{self, Kind};
use crate::config::place::listed;
use crate::config::{SourceConfig, value};
use crate::delivery::route::standing::Standing;
use crate::delivery::route::{Judgement, Level, RouteTable, Verdict};
use crate::event::{Event, EventId, Labels, Sequence, is_kind};
use crate::queue::Queued;
use crate::timestamp::Timestamp;
use clap::Args;
use glob::Pattern;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a file that are read: thousands of rows.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Which rows or which event.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the configuration and the rows; nothing is sent, and no agent has to run. Each event is named
by its id, which is the one delivered where the format has a key of its own.

Examples:
  switchhook routes try --file /var/log/asterisk/cdr-csv/Master.csv
  tail -n 1 cdr.csv | switchhook routes try --source cdr --file -
  switchhook routes try --event '{\"type\":\"cdr\",\"account\":\"CLIENT001\",\"data\":{\"connected\":true}}'

Exit code 0, or 65 when a row does not fit its format.")]
pub(super) struct TryArguments {
    /// A file of rows, as the switch writes them; - for standard input.
    #[arg(long, value_name = "ROWS", required_unless_present = "event")]
    file: Option<PathBuf>,
    /// The source they are rows of (default: the one that follows the file, or the only one).
    #[arg(long, value_name = "NAME", requires = "file")]
    source: Option<String>,
    /// An event instead: type and data, and as far as they matter account, gateway,
    /// callee_gateway, application, route_tag and id.
    #[arg(long, value_name = "JSON", conflicts_with = "file")]
    event: Option<String>,
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = super::CONFIG_DEFAULT)]
    config: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// An event as it is written by hand, or by `store export`.
#[derive(Debug, Deserialize)]
struct Written {
    r#type: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    account: Option<Box<str>>,
    #[serde(default)]
    gateway: Option<Box<str>>,
    #[serde(default)]
    callee_gateway: Option<Box<str>>,
    #[serde(default)]
    application: Option<Box<str>>,
    #[serde(default)]
    route_tag: Option<Box<str>>,
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

/// Does what `arguments` say.
pub(super) fn try_out(arguments: &TryArguments) -> Exit {
    let config = match load(&arguments.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let rows = match &arguments.event {
        Some(text) => read_event(text, &config).map(|event| vec![Row::Event(1, event)]),
        None => read_rows(arguments, &config),
    };
    let rows = match rows {
        Ok(rows) => rows,
        Err((what, exit)) => {
            screen::complaint(screen::styled(screen::BAD, what));
            return exit;
        }
    };
    let wall = SystemClock::new().wall();
    let standing = Standing {
        begun: wall,
        ..Standing::default()
    };
    let view = View {
        table: config.route_table(|_| standing),
        config: &config,
        json: arguments.json,
    };
    let mut exit = Exit::Success;
    for row in &rows {
        match row {
            Row::Event(line, event) => view.event(*line, event, wall),
            Row::Unwanted(line, why) => view.no_event(*line, why, screen::WAIT),
            Row::Misfit(line, why) => {
                view.no_event(*line, why, screen::BAD);
                exit = Exit::Data;
            }
        }
    }
    if rows.is_empty() {
        screen::complaint("there is no row");
        exit = Exit::Data;
    }
    exit
}

fn read_event(text: &str, config: &Config) -> Result<Event, (String, Exit)> {
    let wrong = |what: String| (what, Exit::Usage);
    let written: Written = serde_json::from_str(text).map_err(|error| {
        wrong(format!("{error}; write like {{\"type\":\"cdr\",\"account\":\"CLIENT001\",\"data\":{{\"connected\":true}}}}"))
    })?;
    if !is_kind(&written.r#type) {
        let what = format!(
            "{:?} is no event type; types are like cdr, alarm",
            written.r#type
        );
        return Err(wrong(what));
    }
    let id = written.id.as_deref().map(|id| {
        read_id(id).ok_or_else(|| {
            wrong(format!(
                "{id:?} is no id; ids are evt_ and 32 hexadecimal digits"
            ))
        })
    });
    let data = written
        .data
        .map_or("{}".to_string(), |data| data.get().to_string());
    Ok(Event {
        id: id.transpose()?.unwrap_or(EventId([0; 16])),
        kind: written.r#type.into(),
        time: Timestamp::from_millis(SystemClock::new().wall().0),
        node: Arc::clone(&config.node),
        labels: Labels {
            account: written.account,
            gateway: written.gateway,
            callee_gateway: written.callee_gateway,
            application: written.application,
            route_tag: written.route_tag,
        },
        data: data.into_bytes().into(),
    })
}

fn read_id(text: &str) -> Option<EventId> {
    let digits = text.strip_prefix("evt_").filter(|it| it.len() == 32)?;
    // A sign is no digit, though a number may begin with one.
    let digits = Some(digits).filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let number = u128::from_str_radix(digits, 16).ok()?;
    Some(EventId(number.to_be_bytes()))
}

fn read_rows(arguments: &TryArguments, config: &Config) -> Result<Vec<Row>, (String, Exit)> {
    let path = arguments.file.as_deref().unwrap_or(Path::new("-"));
    let source =
        source_of(arguments.source.as_deref(), path, config).map_err(|what| (what, Exit::Usage))?;
    if !is_of_rows(source) {
        let what = format!(
            "what source {:?} gets is no file of rows; write the event itself with --event",
            source.files.name
        );
        return Err((what, Exit::Usage));
    }
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        (
            format!("{} cannot be read: {error}", path.display()),
            Exit::Data,
        )
    })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let most = value::show_bytes(FILE_BYTES_MAX);
        let what = format!(
            "more than {most} of rows; take some of them: tail -n 100 FILE | switchhook routes try --file -"
        );
        return Err((what, Exit::Data));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(rows::read(source, &config.node, bytes, &name))
}

/// Whether a file can hold what the source gets.
fn is_of_rows(source: &SourceConfig) -> bool {
    match source.kind {
        Kind::Files | Kind::Directory { .. } => true,
        Kind::Listen(_) => !live::is_push(&source.parser.format),
        Kind::Recordings { .. } => false,
    }
}

/// The source that rows of the file at `path` are of.
fn source_of<'c>(
    name: Option<&str>,
    path: &Path,
    config: &'c Config,
) -> Result<&'c SourceConfig, String> {
    let names = || listed(config.sources.iter().map(|source| &source.files.name));
    if let Some(name) = name {
        let mut sources = config.sources.iter();
        let found = sources.find(|source| *source.files.name == *name);
        return found.ok_or_else(|| format!("there is no source {name:?}; there are {}", names()));
    }
    let able: Vec<&SourceConfig> = config.sources.iter().filter(|it| is_of_rows(it)).collect();
    if let [only] = able.as_slice() {
        return Ok(only);
    }
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let follows = |source: &&&SourceConfig| {
        let mut globs = source.files.files.iter();
        globs.any(|glob| Pattern::new(glob).is_ok_and(|glob| glob.matches_path(&whole)))
    };
    let mut following = able.iter().filter(follows);
    match (following.next(), following.next()) {
        (Some(source), None) => Ok(source),
        _ => Err(format!(
            "which source are these rows of? write --source with one of {}",
            names()
        )),
    }
}

/// How verdicts are shown.
struct View<'c> {
    table: RouteTable,
    config: &'c Config,
    json: bool,
}

impl View<'_> {
    fn no_event(&self, line: u64, why: &str, style: anstyle::Style) {
        if self.json {
            screen::line(json!({ "line": line, "event": null, "why": why }));
        } else {
            screen::line(screen::styled(style, format_args!("line {line}: {why}")));
        }
    }

    fn event(&self, line: u64, event: &Event, wall: crate::clock::UnixMs) {
        let queued = Queued {
            sequence: Sequence(u64::MAX),
            event: Arc::new(event.clone()),
        };
        let judged = self.table.explain(&queued, wall);
        if self.json {
            screen::line(self.as_json(line, event, &judged));
            return;
        }
        let carried: Vec<String> = labels(&event.labels)
            .into_iter()
            .filter_map(|(word, name)| Some(format!(" {word}={:?}", name?)))
            .collect();
        screen::line(screen::styled(
            screen::HEAD,
            format_args!(
                "line {line}: {} {}{}",
                event.kind,
                event.id,
                carried.concat()
            ),
        ));
        let (gets, not): (Vec<_>, Vec<_>) = judged.iter().partition(|judged| gets(judged));
        for judged in &gets {
            let why = self.why(judged, event);
            let text = format!("  → {:<20} {why}", judged.endpoint);
            screen::line(screen::styled(screen::GOOD, text));
        }
        if gets.is_empty() {
            screen::line(screen::styled(
                screen::WAIT,
                "  → nowhere: it is counted as unrouted",
            ));
        }
        for judged in &not {
            let why = self.why(judged, event);
            screen::line(format_args!("    {:<20} {why}", judged.endpoint));
        }
    }

    fn as_json(&self, line: u64, event: &Event, judged: &[Judgement<'_>]) -> Value {
        let endpoints = judged.iter().map(|judged| {
            json!({
                "endpoint": judged.endpoint,
                "gets": gets(judged),
                "level": judged.level.word(),
                "mirror": judged.mirrors,
                "enabled": judged.is_enabled,
                "reason": word(judged.verdict),
                "why": self.why(judged, event),
            })
        });
        let carried = labels(&event.labels).into_iter();
        let carried = carried.map(|(word, name)| (word.to_string(), json!(name)));
        json!({
            "line": line,
            "event": { "id": event.id.to_string(), "type": &*event.kind, "time": event.time.to_string() },
            "labels": carried.collect::<serde_json::Map<_, _>>(),
            "endpoints": endpoints.collect::<Vec<_>>(),
        })
    }

    fn why(&self, judged: &Judgement<'_>, event: &Event) -> String {
        let mut configs = self.config.endpoints.iter();
        let name = judged.mirrors.unwrap_or(judged.endpoint);
        let route = configs
            .find(|config| *config.endpoint.name == *name)
            .map(|config| &config.endpoint.route);
        let level = judged.level;
        let carries: Vec<String> = level
            .names(&event.labels)
            .map(|name| format!("{name:?}"))
            .collect();
        let carries = carries.join(" and ");
        let mut why = match judged.verdict {
            Verdict::Gets if level == Level::Default => "default: it takes every event".to_string(),
            Verdict::Gets => format!("{}: {carries} is among its names", level.word()),
            Verdict::Kind => format!("no: {:?} is not among its events", &*event.kind),
            Verdict::Unnamed => format!("no: the event carries no {}", level_name(level)),
            Verdict::OtherName => {
                format!("no: {} {carries} is not among its names", level_name(level))
            }
            Verdict::Sample => "no: the event is not in its sample".to_string(),
            Verdict::Where => {
                let written = route.map_or("", |route| route.filter.written());
                format!("no: where {written} does not hold")
            }
            Verdict::Overridden(above) => format!(
                "no: {} is more specific than {}, and an endpoint there takes it",
                above.word(),
                level.word()
            ),
            Verdict::MirrorOver => "no: the time of the mirror is over".to_string(),
        };
        if let Some(other) = judged.mirrors {
            why = format!("mirrors {other:?}: {why}");
        }
        if judged.verdict == Verdict::Gets && !judged.is_enabled {
            why += "; it is not enabled, so the event waits for it";
        }
        why
    }
}

fn gets(judged: &Judgement<'_>) -> bool {
    judged.verdict == Verdict::Gets
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Gets => "gets",
        Verdict::Kind => "events",
        Verdict::Unnamed | Verdict::OtherName => "level",
        Verdict::Sample => "sample",
        Verdict::Where => "where",
        Verdict::Overridden(_) => "overridden",
        Verdict::MirrorOver => "mirror_over",
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Call => "route tag",
        Level::Application => "application",
        Level::Trunk => "gateway",
        Level::Account => "account",
        Level::Default => "name",
    }
}

fn labels(labels: &Labels) -> [(&'static str, Option<&str>); 5] {
    [
        ("route_tag", labels.route_tag.as_deref()),
        ("application", labels.application.as_deref()),
        ("gateway", labels.gateway.as_deref()),
        ("callee_gateway", labels.callee_gateway.as_deref()),
        ("account", labels.account.as_deref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_printed() {
        let id = EventId(*b"0123456789abcdef");
        assert_eq!(read_id(&id.to_string()), Some(id));
        for text in [
            "evt_12",
            "0123456789abcdef0123456789abcdef",
            "evt_+123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(read_id(text), None, "{text}");
        }
    }
}

//! Config: settings the agent can use as they stand.
//!
//! What was typed is [`file::ConfigFile`]; what comes out of here cannot be built wrong. Every
//! problem is reported in one go, each with its line and with what to write instead.

pub mod access;
mod agent_headers;
pub mod apply;
pub mod control;
pub mod derive;
pub mod endpoint;
pub mod file;
mod format;
mod limits;
pub mod link;
pub mod live;
pub mod order;
mod pace;
mod packing;
pub mod place;
pub mod problem;
pub mod queue;
pub mod rotation;
pub mod route;
pub mod secret;
pub mod signature;
pub mod source;
pub mod value;
pub mod written;

pub use endpoint::EndpointConfig;
pub use limits::DeletedKeep;
pub use problem::{Problem, Problems};
pub use queue::QueueConfig;
pub use source::SourceConfig;

use crate::delivery::endpoint::EventFilter;
use crate::delivery::memory::Share;
use crate::delivery::route::Mode;
use crate::event::own::HEARTBEAT_KIND;
use crate::ingest;
use crate::logging;
use file::Loaded;
use live::Kind;
use place::{Place, label, listed};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, IsTerminal};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use written::Written;

/// Where the queue is kept when the configuration says nothing.
const STATE_DIR_DEFAULT: &str = "/var/lib/switchhook";

/// Time between summary lines when the configuration says nothing.
const SUMMARY_DEFAULT: Duration = Duration::from_secs(300);

/// Shortest and longest time between summary lines.
const SUMMARIES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);

/// Most files held open by all sources together when the configuration says nothing: a quarter of
/// the 1,024 descriptors a service gets on old systems.
const OPEN_FILES_MAX_DEFAULT: usize = 256;

/// Memory for rows and events under way when the configuration says nothing.
const MEMORY_MAX_DEFAULT: u64 = 64 << 20;

/// Least and most memory for rows and events under way.
const MEMORY_MAX: RangeInclusive<u64> = (16 << 20)..=(16 << 30);

/// Fewest files a source can hold open: the one being read and the newest, before and after a turn.
const OPEN_FILES_EACH_MIN: usize = 4;

/// Most bytes of one configuration file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The switch's name in every event and event id.
    pub node: Arc<str>,
    /// Where the queue is kept.
    pub state_dir: PathBuf,
    /// Where the agent listens for `switchhook status` and its like.
    pub control_socket: PathBuf,
    /// Time between heartbeats of the agent itself.
    pub heartbeat_every: Option<Duration>,
    /// File of figures that is written anew every 10 s.
    pub metrics_textfile: Option<PathBuf>,
    /// What the queue may take, and what happens then.
    pub queue: QueueConfig,
    /// Memory for rows and events under way, in bytes: what reading takes, and a share for each
    /// endpoint, which is in its settings.
    pub memory_max: u64,
    /// The sources.
    pub sources: Vec<SourceConfig>,
    /// The endpoints.
    pub endpoints: Vec<EndpointConfig>,
    /// Who gets an event that endpoints of several levels take.
    pub routing: Mode,
    /// Where log lines go and which of them.
    pub log: logging::Settings,
    /// Time between two summary lines.
    pub summary_every: Duration,
    /// The files it was read from.
    pub files: Vec<PathBuf>,
    /// How long, and in how much room, deleted but unread files are kept open.
    pub deleted_keep: DeletedKeep,
}

impl Config {
    /// Reads the file at `path` and, beside it, `conf.d/*.toml` in the order of their names.
    ///
    /// # Errors
    ///
    /// Everything that stands in the way.
    pub fn load(path: &Path) -> Result<Config, Problems> {
        let mut problems = Problems::default();
        let mut loaded = Vec::new();
        for path in files_of(path, &mut problems) {
            match read(&path) {
                Ok(text) => loaded.extend(Loaded::parse(&path, &text, &mut problems)),
                Err(what) => problems.add(&path, None, "", what),
            }
        }
        let config = build(&loaded, path, &mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems.sorted()),
        }
    }

    /// Reads `text` as that of a file at `path`, alone.
    ///
    /// # Errors
    ///
    /// Everything that stands in the way.
    #[cfg(any(test, fuzzing))]
    pub fn of_text(path: &Path, text: &str) -> Result<Config, Problems> {
        let mut problems = Problems::default();
        let loaded = Vec::from_iter(Loaded::parse(path, text, &mut problems));
        let config = build(&loaded, path, &mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems.sorted()),
        }
    }

    /// Nothing is to be followed and nothing delivered: what a fresh installation has. The agent
    /// runs and waits for a configuration.
    pub fn is_idle(&self) -> bool {
        self.sources.is_empty() && self.endpoints.is_empty()
    }

    /// The configuration in force with every default, as it would be written; secrets are hidden.
    pub fn show(&self) -> String {
        let mut top = toml::Table::new();
        top.insert("node".to_string(), self.node.to_string().into());
        top.insert(
            "state_dir".to_string(),
            self.state_dir.display().to_string().into(),
        );
        top.insert(
            "control_socket".to_string(),
            self.control_socket.display().to_string().into(),
        );
        if let Some(every) = self.heartbeat_every {
            let every = value::show_duration(every);
            top.insert("heartbeat_every".to_string(), every.into());
        }
        if let Some(path) = &self.metrics_textfile {
            let path = path.display().to_string();
            let metrics = toml::Table::from_iter([("textfile".to_string(), path.into())]);
            top.insert("metrics".to_string(), metrics.into());
        }
        top.insert("queue".to_string(), queue::show(&self.queue).into());
        let mut limits = limits::show(self.deleted_keep);
        limits.insert(
            "memory_max".to_string(),
            value::show_bytes(self.memory_max).into(),
        );
        top.insert("limits".to_string(), limits.into());
        top.insert("log".to_string(), self.show_log().into());
        let mode = ("mode".to_string(), self.routing.word().into());
        top.insert("routing".to_string(), toml::Table::from_iter([mode]).into());
        let tables = |tables: Vec<toml::Table>| {
            toml::Value::from(
                tables
                    .into_iter()
                    .map(toml::Value::from)
                    .collect::<Vec<_>>(),
            )
        };
        top.insert(
            "source".to_string(),
            tables(self.sources.iter().map(source::show).collect()),
        );
        top.insert(
            "endpoint".to_string(),
            tables(self.endpoints.iter().map(endpoint::show).collect()),
        );
        toml::to_string(&top).expect("texts, numbers and tables are TOML")
    }

    fn show_log(&self) -> toml::Table {
        let mut table = toml::Table::new();
        let mut put = |key: &str, value: String| table.insert(key.to_string(), value.into());
        match &self.log.to {
            logging::Destination::Stderr => put("to", "stderr".to_string()),
            logging::Destination::Syslog(syslog) => {
                put("socket", syslog.socket.display().to_string());
                put("format", syslog.format.name().to_string());
                put("to", "syslog".to_string())
            }
        };
        put("level", self.log.level.to_string().to_lowercase());
        put("attempts", self.log.attempts.name().to_string());
        put("summary_every", value::show_duration(self.summary_every));
        table
    }
}

/// An endpoint by the keys of its table alone, outside any configuration: files named in it are looked
/// for from where the program was started.
///
/// # Errors
///
/// Everything that stands in the way.
pub fn endpoint_alone(table: toml::Table) -> Result<EndpointConfig, Problems> {
    let tables = toml::Value::from(vec![table]);
    let file = toml::Table::from_iter([("endpoint".to_string(), tables)]);
    let text = toml::to_string(&file).expect("texts, numbers and tables are TOML");
    let mut problems = Problems::default();
    let loaded = Loaded::parse(Path::new("command line"), &text, &mut problems);
    let endpoint = loaded.and_then(|loaded| {
        let table = loaded.file.endpoint.first()?;
        let mut place = Place::new(&loaded, "endpoint", &mut problems);
        endpoint::endpoint(table, &mut place)
    });
    endpoint
        .filter(|_| problems.is_empty())
        .ok_or_else(|| problems.sorted())
}

/// The file itself, then those of `conf.d` beside it. A directory that cannot be read is a problem:
/// the agent's user would run with half a configuration.
fn files_of(path: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let directory = path
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .join("conf.d");
    let read = fs::read_dir(&directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = read.unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            problems.add(
                &directory,
                None,
                "",
                format!("cannot be read: {error}; let the agent's user read it"),
            );
        }
        Vec::new()
    });
    let mut files: Vec<PathBuf> = entries
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    files.insert(0, path.to_owned());
    files
}

fn read(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path)
        .map_err(|error| format!("cannot be read: {error}; name another file with --config"))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(format!(
            "is longer than {}",
            value::show_bytes(FILE_BYTES_MAX)
        ));
    }
    fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

fn build(loaded: &[Loaded], path: &Path, problems: &mut Problems) -> Option<Config> {
    let node = only_one(
        loaded,
        "node",
        |loaded| loaded.file.node.is_some(),
        problems,
    );
    let state_dir = only_one(
        loaded,
        "state_dir",
        |loaded| loaded.file.state_dir.is_some(),
        problems,
    );
    let queue = only_one(
        loaded,
        "queue",
        |loaded| loaded.file.queue.is_some(),
        problems,
    );
    let limits = only_one(
        loaded,
        "limits",
        |loaded| loaded.file.limits.is_some(),
        problems,
    );
    let log = only_one(loaded, "log", |loaded| loaded.file.log.is_some(), problems);
    let open_files_max = limits.map_or(OPEN_FILES_MAX_DEFAULT, |loaded| {
        let mut place = Place::new(loaded, "limits", problems);
        let written = loaded
            .file
            .limits
            .as_ref()
            .map_or(&None, |limits| &limits.open_files_max);
        let default = i64::try_from(OPEN_FILES_MAX_DEFAULT).unwrap_or(i64::MAX);
        let most = place.number("open_files_max", written, default, 4..=65_536);
        usize::try_from(most).unwrap_or(OPEN_FILES_MAX_DEFAULT)
    });
    let memory_max = memory_max(limits, problems);
    let deleted_keep = limits::deleted_keep(limits, problems);
    let node = node.and_then(|loaded| {
        let mut place = Place::new(loaded, "", problems);
        let name = place.given("node", &loaded.file.node, "\"vos-1\"")?;
        if name.is_empty() || name.len() > place::NAME_BYTES_MAX {
            place.problem(
                "node",
                &loaded.file.node,
                format!(
                    "a node's name has 1 to {} bytes; write like \"vos-1\"",
                    place::NAME_BYTES_MAX
                ),
            );
        }
        Some(name.clone())
    });
    let state_dir = state_dir.and_then(|loaded| {
        let mut place = Place::new(loaded, "", problems);
        place.path(
            "state_dir",
            &loaded.file.state_dir,
            "\"/var/lib/switchhook\"",
        )
    });
    let queue = queue.and_then(|loaded| queue::of_file(loaded, problems));
    let (log, summary_every) = log_settings(log, problems);
    let control = only_one(
        loaded,
        "control_socket",
        |loaded| loaded.file.control_socket.is_some(),
        problems,
    );
    let control_socket = control::socket(control, problems);
    let heartbeat = only_one(
        loaded,
        "heartbeat_every",
        |loaded| loaded.file.heartbeat_every.is_some(),
        problems,
    );
    let heartbeat_every = heartbeat.map(|loaded| {
        let written = &loaded.file.heartbeat_every;
        let mut place = Place::new(loaded, "", problems);
        place.duration(
            "heartbeat_every",
            written,
            derive::SILENCES.start().to_owned(),
            derive::SILENCES,
        )
    });
    let metrics = only_one(
        loaded,
        "metrics",
        |loaded| loaded.file.metrics.is_some(),
        problems,
    );
    let metrics_textfile = metrics.and_then(|loaded| control::textfile(loaded, problems));
    let routing = only_one(
        loaded,
        "routing",
        |loaded| loaded.file.routing.is_some(),
        problems,
    );
    let routing = route::mode(routing, problems);
    let mut sources = Vec::new();
    let mut endpoints = Vec::new();
    let tables = || loaded.iter().flat_map(|loaded| &loaded.file.endpoint);
    for loaded in loaded {
        for (index, table) in loaded.file.source.iter().enumerate() {
            let mut place = Place::new(loaded, label("source", &table.name, index), problems)
                .of_list("source", index);
            sources.extend(source::source(table, &mut place));
        }
        for (index, table) in loaded.file.endpoint.iter().enumerate() {
            let mut place = Place::new(loaded, label("endpoint", &table.name, index), problems)
                .of_list("endpoint", index);
            let table = route::with_other(table, tables());
            endpoints.extend(endpoint::endpoint(&table, &mut place));
        }
    }
    share(open_files_max, deleted_keep, &mut sources);
    divide(memory_max, limits, &mut endpoints, path, problems);
    pace::route_alerts(&mut endpoints, path, problems);
    check_names(loaded, problems);
    if problems.is_empty() {
        let has_heartbeat = heartbeat_every.is_some();
        check_whole(routing, &sources, &endpoints, has_heartbeat, path, problems);
        route::check_names(loaded, &sources, &endpoints, problems);
    }
    Some(Config {
        node: node.unwrap_or_else(host_name).into(),
        state_dir: state_dir.unwrap_or_else(|| PathBuf::from(STATE_DIR_DEFAULT)),
        control_socket,
        heartbeat_every,
        metrics_textfile,
        queue: queue.unwrap_or_default(),
        memory_max,
        sources,
        endpoints,
        routing,
        log,
        deleted_keep,
        summary_every,
        files: loaded.iter().map(|loaded| loaded.path.clone()).collect(),
    })
}

fn memory_max(limits: Option<&Loaded>, problems: &mut Problems) -> u64 {
    let Some(loaded) = limits else {
        return MEMORY_MAX_DEFAULT;
    };
    let written = loaded.file.limits.as_ref();
    let written = written.map_or(&None, |limits| &limits.memory_max);
    let mut place = Place::new(loaded, "limits", problems);
    place.bytes("memory_max", written, MEMORY_MAX_DEFAULT, MEMORY_MAX)
}

/// Gives each source of lines of files its share of the files that the agent holds open. One of another
/// kind has none, and is the same however many there are: a reload of the others does not touch it.
fn share(open_files_max: usize, deleted_keep: DeletedKeep, sources: &mut [SourceConfig]) {
    let of_files = |source: &&mut SourceConfig| source.kind == Kind::Files;
    let count = sources.iter_mut().filter(of_files).count().max(1);
    for source in sources.iter_mut().filter(of_files) {
        source.files.set_share(crate::source::Share {
            open_files_max: (open_files_max / count).max(OPEN_FILES_EACH_MIN),
            deleted_keep: deleted_keep.time,
            deleted_keep_bytes: deleted_keep.bytes / count as u64,
        });
    }
}

/// Gives each endpoint that is delivered to its share of the memory that reading leaves.
fn divide(
    memory_max: u64,
    limits: Option<&Loaded>,
    endpoints: &mut [EndpointConfig],
    path: &Path,
    problems: &mut Problems,
) {
    let enabled = || endpoints.iter().filter(|endpoint| endpoint.enabled);
    let wanted: Vec<usize> = enabled()
        .map(|endpoint| endpoint.endpoint.concurrency.most())
        .collect();
    let count = wanted.len();
    let total = usize::try_from(memory_max).unwrap_or(usize::MAX);
    let left = total.saturating_sub(ingest::MEMORY_BYTES);
    let Some(shares) = Share::divide(left, &wanted) else {
        let least = (ingest::MEMORY_BYTES + Share::least(count)).div_ceil(1 << 20);
        let what = format!("is too little for {count} endpoints; write at least \"{least}MiB\"");
        let path = limits.map_or(path, |loaded| &loaded.path);
        problems.add(path, None, "limits: memory_max", what);
        return;
    };
    let enabled = endpoints.iter_mut().filter(|endpoint| endpoint.enabled);
    for (endpoint, share) in enabled.zip(shares) {
        endpoint.endpoint.memory = share;
    }
}

/// The one file that has a key or table; a problem where there are more.
fn only_one<'l>(
    loaded: &'l [Loaded],
    key: &str,
    has: impl Fn(&Loaded) -> bool,
    problems: &mut Problems,
) -> Option<&'l Loaded> {
    let mut having = loaded.iter().filter(|loaded| has(loaded));
    let first = having.next();
    for second in having {
        let here = first.map_or_else(String::new, |first| first.path.display().to_string());
        problems.add(
            &second.path,
            None,
            key,
            format!("is given in {here} already; keep one of the two"),
        );
    }
    first
}

fn log_settings(loaded: Option<&Loaded>, problems: &mut Problems) -> (logging::Settings, Duration) {
    let by_hand = std::io::stderr().is_terminal();
    let nothing = file::LogTable::default();
    let table = loaded
        .and_then(|loaded| loaded.file.log.as_ref())
        .unwrap_or(&nothing);
    let mut syslog = logging::SyslogSettings::default();
    let (mut to_syslog, mut level, mut summary_every) =
        (!by_hand, log::LevelFilter::Info, SUMMARY_DEFAULT);
    let mut attempts = logging::Attempts::default();
    if let Some(loaded) = loaded {
        let mut place = Place::new(loaded, "log", problems);
        to_syslog = place.choice(
            "to",
            &table.to,
            to_syslog,
            &[("syslog", true), ("stderr", false)],
        );
        syslog.socket = place
            .path("socket", &table.socket, "\"/dev/log\"")
            .unwrap_or(syslog.socket);
        syslog.format = place.choice(
            "format",
            &table.format,
            syslog.format,
            &logging::Format::ALL.map(|format| (format.name(), format)),
        );
        let levels = ["error", "warn", "info", "debug", "trace"]
            .map(|word| (word, word.parse().unwrap_or(log::LevelFilter::Info)));
        level = place.choice("level", &table.level, level, &levels);
        summary_every = place.duration(
            "summary_every",
            &table.summary_every,
            summary_every,
            SUMMARIES,
        );
        attempts = place.choice(
            "attempts",
            &table.attempts,
            attempts,
            &logging::Attempts::ALL,
        );
        if let Some(name) = place.given("facility", &table.facility, "\"daemon\"") {
            match name.parse() {
                Ok(facility) => syslog.facility = facility,
                Err(()) => place.problem(
                    "facility",
                    &table.facility,
                    format!("{name:?} is no syslog facility; write daemon, or local0 to local7"),
                ),
            }
        }
    }
    let to = if to_syslog {
        logging::Destination::Syslog(syslog)
    } else {
        logging::Destination::Stderr
    };
    let settings = logging::Settings {
        to,
        level,
        attempts,
    };
    (settings, summary_every)
}

/// No two sources and no two endpoints have one name.
fn check_names(loaded: &[Loaded], problems: &mut Problems) {
    let mut seen: BTreeMap<(&str, String), PathBuf> = BTreeMap::new();
    for loaded in loaded {
        let sources = loaded
            .file
            .source
            .iter()
            .map(|table| ("source", &table.name));
        let endpoints = loaded
            .file
            .endpoint
            .iter()
            .map(|table| ("endpoint", &table.name));
        for (kind, written) in sources.chain(endpoints) {
            // A name that is missing or no text has been reported with its table.
            let Some(Written::As(name)) = written.as_ref().map(toml::Spanned::get_ref) else {
                continue;
            };
            if let Some(first) = seen.insert((kind, name.clone()), loaded.path.clone()) {
                let what = format!(
                    "the {kind} {name:?} is in {} already; give this one another name",
                    first.display()
                );
                Place::new(loaded, kind, problems).problem("name", written, what);
            }
        }
    }
}

/// What only the whole can show: every event goes somewhere, and every endpoint gets some.
fn check_whole(
    routing: Mode,
    sources: &[SourceConfig],
    endpoints: &[EndpointConfig],
    has_heartbeat: bool,
    path: &Path,
    problems: &mut Problems,
) {
    if sources.is_empty() && endpoints.is_empty() {
        return; // Idle: half a configuration is a mistake, none at all is a fresh installation.
    }
    if sources.is_empty() {
        problems.add(
            path,
            None,
            "source",
            "there is nothing to follow; add a [[source]] table with name, files, format and start",
        );
    }
    if endpoints.is_empty() {
        problems.add(path, None, "endpoint", "there is nowhere to deliver to; add an [[endpoint]] table with name, url, events and secret_file");
    }
    let made: BTreeSet<String> = sources.iter().flat_map(SourceConfig::makes).collect();
    let mut possible: BTreeSet<String> = sources.iter().flat_map(SourceConfig::may_make).collect();
    if has_heartbeat {
        possible.insert(HEARTBEAT_KIND.to_owned());
    }
    let wanted = |kind: &str| {
        let mut lasting = endpoints
            .iter()
            .filter(|endpoint| endpoint.endpoint.route.mirror.is_none());
        lasting.any(|endpoint| endpoint.endpoint.events.wants(kind))
    };
    if has_heartbeat && !endpoints.is_empty() && !wanted(HEARTBEAT_KIND) {
        problems.add(
            path,
            None,
            "heartbeat_every",
            format!("no endpoint wants {HEARTBEAT_KIND:?}; add it to the events of one, or leave heartbeat_every out"),
        );
    }
    live::check_addresses(sources, path, problems);
    for source in sources {
        let is_push = live::is_push(&source.parser.format);
        if is_push && !live::KINDS.iter().any(|kind| wanted(kind)) {
            let name = &source.files.name;
            problems.add(
                path,
                None,
                format!("source {name:?}"),
                format!(
                    "no endpoint wants any of what is pushed; add some of {} to the events of one",
                    listed(live::KINDS)
                ),
            );
        }
    }
    route::check_takers(routing, sources, endpoints, path, problems);
    for endpoint in endpoints {
        if let Some(old) = &endpoint.adopt
            && endpoints.iter().any(|other| *other.endpoint.name == **old)
        {
            let key = format!("endpoint {:?}: adopt", endpoint.endpoint.name);
            problems.add(
                path,
                None,
                key,
                format!(
                    "endpoint {old:?} is still configured; take its table out, or leave adopt out"
                ),
            );
        }
        // One that is told of others gets that, whatever else it was meant for.
        if let EventFilter::Kinds(kinds) = &endpoint.endpoint.events
            && endpoint.endpoint.alerts.about.is_empty()
            && !kinds.iter().any(|kind| {
                possible.contains(&**kind)
                    || **kind == *crate::event::gap::SOURCE_GAP
                    || crate::event::alert::is_alert(kind)
            })
        {
            let key = format!("endpoint {:?}: events", endpoint.endpoint.name);
            problems.add(
                path,
                None,
                key,
                format!(
                    "no source makes any of these; the sources make {}",
                    listed(&made)
                ),
            );
        }
    }
}

fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_string())
}

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod route_tests;
#[cfg(test)]
mod tests;

//! `switchhook check`: the configuration in force, and one row of each source beside what becomes
//! of it. Reads only; a running agent is not disturbed.

mod live;
mod times;

use super::reading::{self, Seen};
use super::{CONFIG_DEFAULT, Exit, deep, routes, screen};
use crate::config::{Config, SourceConfig, order, value};
use crate::derive::Fate;
use crate::event::Event;
use crate::event::filter::Filter;
use crate::parser::format::CALL;
use crate::parser::guess::CallForms;
use crate::parser::{Record, Reject};
use crate::queue::{Partition, Size};
use crate::source::listing;
use clap::Args;
use memchr::memmem::Finder;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// Bytes of a sample file that are read: the first rows are in there.
const SAMPLE_BYTES: u64 = 256 << 10;

/// What the data of a call that was answered holds.
static ANSWERED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"connected\":true"));

/// Rejected rows shown per source.
const REJECTS_SHOWN: usize = 3;

/// The arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "\
With --deep a signed switchhook.test event goes to every endpoint, and the files are looked at as
the service's user will see them.

Example: switchhook check --config switchhook.toml
Example: switchhook check --deep")]
pub struct CheckArguments {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
    /// Try every endpoint too, and look at files, clock and disk.
    #[arg(long)]
    deep: bool,
    /// The user the agent runs as.
    #[arg(long, value_name = "NAME", default_value = deep::SERVICE_USER)]
    user: String,
}

/// Checks a configuration.
pub fn check(arguments: &CheckArguments) -> Exit {
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(problems) => {
            screen::complaint(&problems);
            screen::complaint(screen::styled(
                screen::BAD,
                format_args!(
                    "{}; nothing was started or changed",
                    screen::counted(problems.0.len(), "problem")
                ),
            ));
            return Exit::Configuration;
        }
    };
    let files: Vec<String> = config
        .files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    screen::line(screen::styled(
        screen::HEAD,
        format_args!("# in force, from {}", files.join(", ")),
    ));
    screen::line(config.show().trim_end());
    routes::remark(&config);
    remarks(&config);
    let disk = disk(&config);
    let mut worst = Sample::Fits;
    for source in &config.sources {
        screen::line("");
        worst = worst.max(sample(source, &config));
    }
    shared(&config);
    let deep = if arguments.deep {
        deep::deep(&config, &arguments.user)
    } else {
        Exit::Success
    };
    screen::line("");
    if config.is_idle() {
        screen::line(screen::styled(
            screen::WAIT,
            format_args!("idle, {}", super::run::idle(&arguments.config)),
        ));
        return Exit::Success;
    }
    if disk == Exit::Configuration {
        screen::line(screen::styled(
            screen::BAD,
            "the disk of state_dir has too little room: see above",
        ));
        return disk;
    }
    let (style, verdict, exit) = match worst {
        Sample::Fits | Sample::Mistimed if deep != Exit::Success => (
            screen::BAD,
            "the configuration is good, but not everything around it: see above",
            deep,
        ),
        Sample::Fits => (screen::GOOD, "the configuration is good", Exit::Success),
        Sample::Mistimed => (
            screen::WAIT,
            "the configuration is good, but the time zone seems to be another: see above",
            Exit::Success,
        ),
        Sample::Misfits => (
            screen::BAD,
            "the configuration is good, but rows do not fit their format: see above",
            Exit::Data,
        ),
        Sample::Deaf => (
            screen::BAD,
            "the configuration is good, but an address cannot be listened on: see above",
            Exit::Data,
        ),
        Sample::Unreadable => (
            screen::BAD,
            "the configuration is good, but files cannot be read: see above",
            Exit::Data,
        ),
    };
    screen::line(screen::styled(style, verdict));
    exit
}

/// Shows what is allowed and may surprise.
fn remarks(config: &Config) {
    for endpoint in &config.endpoints {
        for remark in order::remarks(endpoint) {
            let name = &endpoint.endpoint.name;
            let remark = format!("endpoint {name:?}: {remark}");
            screen::line(screen::styled(screen::WAIT, remark));
        }
    }
}

/// Shows what the disk of the state directory has for the queue.
///
/// Too little is answered as a wrong configuration, because the agent would start with reading
/// paused. It does start: one that is in operation must not be kept down by what others write.
fn disk(config: &Config) -> Exit {
    let limits = &config.queue.disk;
    // The directory is made by the agent; what is there of its path is on the same disk.
    let there = config.state_dir.ancestors().find(|path| path.exists());
    let there = there.unwrap_or(Path::new("/"));
    screen::line("");
    screen::line(format_args!(
        "of disk_max {} events can take {}, the rest is kept for dead letters, rows set aside and settlements",
        value::show_bytes(limits.disk_max),
        Size(limits.for_events())
    ));
    let shortage = match Partition::of(there) {
        Ok(partition) => partition.shortage(limits, 0, false),
        Err(error) => {
            let what = format!("{} cannot be looked at: {error}", there.display());
            screen::line(screen::styled(screen::BAD, what));
            return Exit::Success;
        }
    };
    let Some(shortage) = shortage else {
        return Exit::Success;
    };
    let what = format!(
        "state_dir {}: reading would pause ({}): {shortage}",
        config.state_dir.display(),
        shortage.limit()
    );
    screen::line(screen::styled(screen::BAD, what));
    Exit::Configuration
}

/// How a source's files look, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sample {
    /// The rows looked at fit, or there are none yet.
    Fits,
    /// They do, but their times seem to be of another zone.
    Mistimed,
    /// Some do not.
    Misfits,
    /// Nothing that is pushed would be heard.
    Deaf,
    /// Files or directories cannot be read.
    Unreadable,
}

/// Points out a file from which two sources make calls: their ids differ, so each call is told twice.
fn shared(config: &Config) {
    let mut followed: HashMap<PathBuf, &str> = HashMap::new();
    let makes_calls =
        |source: &&SourceConfig| source.parser.format.events().any(|kind| kind == CALL);
    for source in config.sources.iter().filter(makes_calls) {
        let name = &*source.files.name;
        let found = listing::list(&source.files).map_or(Vec::new(), |listing| listing.found);
        let other = found.into_iter().find_map(|found| {
            let other = *followed.entry(found.path.clone()).or_insert(name);
            (other != name).then_some((other, found.path))
        });
        if let Some((other, path)) = other {
            let what = format!(
                "sources {other:?} and {name:?} both follow {}: unless keep divides its rows between them, each call is told twice",
                path.display()
            );
            screen::line("");
            screen::line(screen::styled(screen::WAIT, what));
        }
    }
}

/// Shows one row of a source.
fn sample(source: &SourceConfig, config: &Config) -> Sample {
    let format = &source.parser.format;
    let mark = if format.provisional {
        screen::styled(screen::WAIT, " (provisional: compare with your own files)")
    } else {
        String::new()
    };
    screen::line(screen::styled(
        screen::HEAD,
        format_args!(
            "# source {:?}, format {}{mark}",
            source.files.name, format.name
        ),
    ));
    if let Some(sample) = live::sample(source, config) {
        return sample;
    }
    let listing = match listing::list(&source.files) {
        Ok(listing) => listing,
        Err(error) => {
            screen::line(screen::styled(screen::BAD, error));
            return Sample::Unreadable;
        }
    };
    for (path, error) in &listing.unreadable {
        let what = format!("{} cannot be read: {}", path.display(), told(error));
        screen::line(screen::styled(screen::BAD, what));
    }
    let filled = listing.found.iter().filter(|found| found.size > 0);
    let Some(newest) = filled.max_by_key(|found| (found.modified_ns, &found.path)) else {
        // What cannot be looked into may hold files.
        if !listing.unreadable.is_empty() {
            return Sample::Unreadable;
        }
        return absent(&source.files.files);
    };
    screen::line(format_args!(
        "{}; sample from {}",
        match listing.found.len() {
            1 => "1 file matches".to_string(),
            many => format!("{many} files match"),
        },
        newest.path.display()
    ));
    let mut bytes = Vec::new();
    let read =
        File::open(&newest.path).and_then(|file| file.take(SAMPLE_BYTES).read_to_end(&mut bytes));
    if let Err(error) = read {
        let what = format!("cannot be read: {}", told(&error));
        screen::line(screen::styled(screen::BAD, what));
        return Sample::Unreadable;
    }
    let complete = memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
    bytes.truncate(complete);
    // A sample that was cut off may end in the middle of a record.
    let is_whole = newest.size < SAMPLE_BYTES;
    let mut tally = Tally::default();
    let shown = tally.read(source, &config.node, &bytes, is_whole);
    if let Some((rows, event)) = shown {
        for row in rows {
            screen::line(row);
        }
        show(&event);
    }
    screen::line(format_args!(
        "of the first rows {} fit, {} do not",
        tally.good, tally.bad
    ));
    if tally.unwanted > 0 {
        let what = format!("{} are of a kind that is not told", tally.unwanted);
        let what = match tally.good + tally.bad {
            0 => format!(
                "{what}, and no other is there: where there ought to be, look at a line of it beside what the source wants"
            ),
            _ => what,
        };
        screen::line(screen::styled(screen::WAIT, what));
    }
    for reject in &tally.rejects {
        screen::line(screen::styled(screen::BAD, reject));
    }
    if tally.bad > 0 {
        screen::line(format_args!(
            "`switchhook formats try {}` finds a format that fits, or columns to adjust",
            newest.path.display()
        ));
    }
    let remark = times::remark(source, config, newest, &bytes, is_whole);
    if let Some(what) = &remark {
        screen::line(screen::styled(screen::BAD, what));
    }
    if let Some(what) = tally.calls.warning() {
        screen::line(screen::styled(screen::WAIT, what));
    }
    match remark {
        _ if tally.bad > 0 => Sample::Misfits,
        Some(_) => Sample::Mistimed,
        None => Sample::Fits,
    }
}

/// Says that no file with rows matches `globs`, and where that is a mistake, what is there instead.
fn absent(globs: &[String]) -> Sample {
    let directories = globs.iter().filter(|glob| Path::new(glob).is_dir());
    let directories: Vec<&String> = directories.collect();
    for directory in &directories {
        let base = directory.trim_end_matches('/');
        let what = format!(
            "{directory} is a directory; write files = [\"{base}/*\"], or name one file{}",
            neighbours(Path::new(base))
        );
        screen::line(screen::styled(screen::BAD, what));
    }
    if !directories.is_empty() {
        return Sample::Unreadable;
    }
    let remarks: Vec<String> = globs.iter().map(|glob| missing(glob)).collect();
    let what = format!(
        "no file with rows matches {} now; the source waits for one{}",
        globs.join(", "),
        remarks.concat()
    );
    screen::line(screen::styled(screen::WAIT, what));
    Sample::Fits
}

/// The first directory on the way to the files of `glob` that is not there, or what else is in the
/// last one.
fn missing(glob: &str) -> String {
    let is_plain = |path: &&Path| !path.to_string_lossy().contains(['*', '?', '[']);
    let directories: Vec<&Path> = Path::new(glob)
        .ancestors()
        .skip(1)
        .filter(is_plain)
        .collect();
    let is_missing = |path: &&Path| matches!(path.try_exists(), Ok(false));
    match directories.iter().copied().rev().find(is_missing) {
        Some(missing) => format!("; {} does not exist", missing.display()),
        None => directories
            .first()
            .map_or(String::new(), |directory| neighbours(directory)),
    }
}

/// Some of the files with something in them in `directory`.
fn neighbours(directory: &Path) -> String {
    const SHOWN_MAX: usize = 5;
    let entries = fs::read_dir(directory).into_iter().flatten();
    let filled = entries.filter_map(Result::ok).filter(|entry| {
        let about = entry.metadata();
        about.is_ok_and(|about| about.is_file() && about.len() > 0)
    });
    let mut names: Vec<String> = filled
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(SHOWN_MAX);
    names.truncate(SHOWN_MAX);
    match (names.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!("; in {}: {}", directory.display(), names.join(", ")),
        (false, more) => format!(
            "; in {}: {} and {more} more",
            directory.display(),
            names.join(", ")
        ),
    }
}

/// An error, and what to do about it.
fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{error}; whoever reads it must be in its group, as the agent's user must")
        }
        _ => error.to_string(),
    }
}

/// Shows the event that a row makes, below its columns.
fn show(event: &Event) {
    screen::line(format_args!(
        "event {} {} at {}",
        event.kind, event.id, event.time
    ));
    screen::line(String::from_utf8_lossy(&event.data));
}

/// How the rows of a sample fit.
#[derive(Debug, Default)]
struct Tally {
    good: usize,
    bad: usize,
    unwanted: usize,
    rejects: Vec<String>,
    calls: CallForms,
}

impl Tally {
    /// Reads `bytes`, complete lines from a file's beginning; gives the first good row, a line per
    /// column, with its event: of calls the first that was answered, which has most to compare.
    fn read(
        &mut self,
        source: &SourceConfig,
        node: &Arc<str>,
        bytes: &[u8],
        is_whole: bool,
    ) -> Option<(Vec<String>, Event)> {
        let mut shown = None;
        let mut is_answered = false;
        // A row is shown whether or not it would be told.
        let keep = Filter::default();
        reading::rows(
            source,
            node,
            keep,
            bytes,
            is_whole,
            |line, seen| match seen {
                Seen::Record(record, fate, told) => {
                    self.calls.add(record);
                    match fate {
                        Fate::Misfit(reject) => self.misfit(line, &reject),
                        _ => self.good += 1,
                    }
                    // Of a call told in two lines, the second is shown.
                    if let Some(event) = told.into_iter().next()
                        && !is_answered
                    {
                        is_answered = ANSWERED.find(&event.data).is_some();
                        if is_answered || shown.is_none() {
                            shown = Some((columns(record), event));
                        }
                    }
                }
                Seen::Rejected(reject) => self.misfit(line, &reject),
                Seen::Unwanted => self.unwanted += 1,
                Seen::Incomplete => {}
            },
        );
        shown
    }

    /// Counts a row that does not fit.
    fn misfit(&mut self, line: u64, reject: &Reject) {
        self.bad += 1;
        if self.rejects.len() < REJECTS_SHOWN {
            self.rejects.push(format!("line {line}: {reject}"));
        }
    }
}

/// A row's columns: number, name, raw text, and what it means.
fn columns(record: &Record<'_>) -> Vec<String> {
    let layout = record.layout();
    let mut rows = vec![format!("layout {:?}", layout.name)];
    for (index, column) in layout.columns.iter().enumerate() {
        let meaning = column
            .meaning
            .map_or(String::new(), |meaning| format!("→ {}", meaning.word()));
        let row = format!(
            "{:>3}  {:<21} {:<31} {meaning}",
            index + 1,
            column.name,
            record.text(index)
        );
        rows.push(row.trim_end().to_string());
    }
    rows
}

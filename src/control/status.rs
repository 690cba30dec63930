//! Status: how everything stands, as `switchhook status --json` prints it.
//!
//! The field names below are the schema, told to operators in `docs/status.md`; they are kept, and new ones may be added. Times are RFC
//! 3339 in UTC, spans and sizes carry their unit in the name, and what is unknown is `null`.

use super::desk::Desk;
use super::health;
use super::listening::PushStatus;
use super::mask::words;
use crate::clock::UnixMs;
use crate::config::EndpointConfig;
use crate::delivery::counts::{Counts, EndpointState};
use crate::ingest::{InFolder, Lately, SourceStanding, Standing};
use crate::queue::{EndpointTotals, Ledger, SourceTotals};
use crate::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The version of this schema.
pub const SCHEMA: u32 = 1;

/// Most bytes shown of what a receiver said to an attempt: two lines of a screen.
pub const ANSWER_BYTES_MAX: usize = 150;

/// How long reading may take to say how it stands. Only a disk that takes seconds to sync makes
/// it silent for longer.
const STANDING_WAIT: Duration = Duration::from_secs(3);

/// How everything stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The agent's version.
    pub version: String,
    /// The switch's name.
    pub node: String,
    /// The agent's process.
    pub pid: u32,
    /// When this was so.
    pub now: String,
    /// When the agent was started.
    pub started_at: String,
    /// Seconds since then.
    pub uptime_secs: u64,
    /// Whether there is nothing that an operator has to repair.
    pub healthy: bool,
    /// What there is to repair, one sentence each; empty when `healthy`.
    pub problems: Vec<String>,
    /// What waits for an operator's decision, one sentence each: events that were given up.
    #[serde(default)]
    pub undecided: Vec<String>,
    /// The configuration in force.
    pub config: ConfigStatus,
    /// The sources, in the order of the configuration; those that are gone follow.
    pub sources: Vec<SourceStatus>,
    /// The endpoints, likewise.
    pub endpoints: Vec<EndpointStatus>,
    /// The state directory and its partition.
    pub disk: DiskStatus,
    /// The agent's memory.
    pub memory: MemoryStatus,
    /// The agent's log.
    pub log: LogStatus,
    /// Events that no endpoint takes, since the agent started; they are among what each skipped.
    #[serde(default)]
    pub unrouted: u64,
    /// Whether every row and every event is accounted for.
    pub ledger_balanced: bool,
}

/// The configuration in force.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The files it was read from.
    pub files: Vec<String>,
    /// When it came into force.
    pub loaded_at: String,
    /// Why the last reload changed nothing, if it did not.
    pub reload_error: Option<String>,
}

/// One source. `rows + derived = events + set_aside + filtered + repeated + joined`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Its format; `null` when it is not in the configuration any more.
    pub format: Option<String>,
    /// Complete rows read, ever.
    pub rows: u64,
    /// Events that no row read by following stands for: replays, alerts.
    pub derived: u64,
    /// Events queued.
    pub events: u64,
    /// Rows set aside because they did not fit.
    pub set_aside: u64,
    /// Rows that the configuration does not want.
    pub filtered: u64,
    /// Rows that repeat what was told.
    pub repeated: u64,
    /// Rows that are one event together with another.
    #[serde(default)]
    pub joined: u64,
    /// Times that rows may have been lost before they could be read.
    pub gaps: u64,
    /// Rows in a second, over the last minute.
    pub rows_per_sec: Option<f64>,
    /// Files that can be read.
    pub files: Option<usize>,
    /// Bytes that are there and not read.
    pub unread_bytes: Option<u64>,
    /// For how long half a line has been there.
    pub partial_secs: Option<u64>,
    /// When a row was last read, since the agent started.
    pub last_row_at: Option<String>,
    /// For how long there has been no row: since `last_row_at`, or the agent's start.
    pub silent_secs: u64,
    /// From how long on that is a problem: `silent_after`; `null` without it.
    #[serde(default)]
    pub silent_after_secs: Option<u64>,
    /// Why it cannot go on, when it cannot.
    pub trouble: Option<String>,
    /// Which files or directories cannot be read and why, when some cannot.
    #[serde(default)]
    pub unreadable: Option<String>,
    /// Why half of the latest rows or more do not fit, with the place of one.
    #[serde(default)]
    pub misfit: Option<String>,
    /// What was pushed to it; `null` for a source that is not pushed to.
    pub pushes: Option<PushStatus>,
}

/// One endpoint. `added + recalled = delivered + skipped + dead + dropped + lost + waiting + queued`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// Its name.
    pub name: String,
    /// The host it sends to; `null` when it is not in the configuration any more.
    pub host: Option<String>,
    /// The host of the fallback that is used, when one is.
    #[serde(default)]
    pub fallback_host: Option<String>,
    /// The address in use by its place: 0 is its own, the fallbacks follow.
    #[serde(default)]
    pub address: u64,
    /// Times that another address came into use, since the agent started.
    #[serde(default)]
    pub switches: u64,
    /// Attempts under way.
    #[serde(default)]
    pub under_way: u64,
    /// For how long the one has been under way that has been so for longest.
    #[serde(default)]
    pub under_way_secs: Option<u64>,
    /// How many may be: configured, or learned.
    #[serde(default)]
    pub concurrency: u64,
    /// Most requests in a second, by `rate_max`; `null` without one.
    #[serde(default)]
    pub rate_max_per_sec: Option<f64>,
    /// Events given up since the agent started because they were too old.
    #[serde(default)]
    pub expired: u64,
    /// `working`, `failing`, `paused`, `stopped` (it answered 410 twice), `disabled` (by the
    /// configuration) or `removed` (it is not in the configuration any more; its backlog is kept).
    pub state: String,
    /// Why it is paused: `operator`, `receiver` (`Retry-After`), or `gone` (it answered 410 once).
    pub paused_by: Option<String>,
    /// For how long it has been failing.
    pub failing_secs: Option<u64>,
    /// Seconds until something is sent again, when nothing is sent now.
    pub next_try_secs: Option<u64>,
    /// Events added since it was attached.
    pub added: u64,
    /// Events not settled in any way.
    pub queued: u64,
    /// Events that wait for their own retry.
    pub waiting: u64,
    /// Age of the call that waits for longest, from the time in its row.
    pub oldest_secs: Option<u64>,
    /// Events delivered, ever.
    pub delivered: u64,
    /// Events that were not for it.
    pub skipped: u64,
    /// Events given up, ever.
    pub dead: u64,
    /// Events dropped because the queue was full.
    pub dropped: u64,
    /// Events that damage to the store took.
    pub lost: u64,
    /// Dead letters that were put back into the queue, ever.
    pub recalled: u64,
    /// Dead letters on disk.
    pub dead_letters: u64,
    /// Attempts since the agent started.
    pub attempts: u64,
    /// Those that did not deliver, by the class of what was seen (as in `last_error`), where
    /// there was one.
    #[serde(default)]
    pub failures: BTreeMap<String, u64>,
    /// Share of them that delivered, 0 to 1.
    pub success_share: Option<f64>,
    /// Events delivered in a second, over the last minute.
    pub per_sec: Option<f64>,
    /// Percentiles of how long attempts took in the last minutes; `null` without any.
    pub latency_ms: Option<LatencyStatus>,
    /// When an event was last delivered, since the agent started.
    #[serde(default)]
    pub last_success_at: Option<String>,
    /// The last attempt that did not deliver.
    pub last_error: Option<ErrorStatus>,
    /// Two secrets are in force, and both signatures are sent.
    pub rotation: Option<RotationStatus>,
}

/// Since when two secrets are in force.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RotationStatus {
    /// When the younger of the two was written, at the latest the agent's start.
    pub since: String,
    /// How long ago that is.
    pub age_secs: u64,
    /// What tells it: `secret file`, `configuration file` or `agent's start`.
    pub told_by: String,
}

/// Percentiles in milliseconds; each at most a quarter above the true one.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct LatencyStatus {
    /// The median.
    pub p50: f64,
    /// 95 of a hundred took no longer.
    pub p95: f64,
    /// 99 of a hundred took no longer.
    pub p99: f64,
}

/// What came of an attempt that did not deliver.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ErrorStatus {
    /// One of [`CLASSES`](crate::delivery::outcome::CLASSES).
    pub class: String,
    /// In words.
    pub text: String,
    /// When.
    pub at: Option<String>,
    /// How the receiver's answer began, on one line of at most [`ANSWER_BYTES_MAX`] bytes, without
    /// secrets and numbers; `null` where it said nothing.
    #[serde(default)]
    pub answer: Option<String>,
}

/// The state directory and its partition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DiskStatus {
    /// The state directory.
    pub state_dir: String,
    /// Bytes it takes.
    pub used_bytes: u64,
    /// Bytes at which reading pauses.
    pub max_bytes: u64,
    /// Bytes free on its partition.
    pub free_bytes: Option<u64>,
    /// Reading is paused: the state directory is full, or rows cannot be made durable.
    pub reading_paused: bool,
    /// Which sources that is so for, the limit that was met, and what to do.
    #[serde(default)]
    pub paused_because: Option<String>,
}

/// The agent's memory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// Resident bytes.
    pub rss_bytes: Option<u64>,
}

/// The agent's log.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LogStatus {
    /// Lines dropped since the start.
    pub lines_dropped: u64,
}

impl ErrorStatus {
    /// What happened, and what the receiver said to it.
    pub fn told(&self) -> String {
        let answer = self.answer.as_ref();
        let said = answer.map_or(String::new(), |said| format!("; its receiver says: {said}"));
        format!("{}{said}", self.text)
    }
}

impl Status {
    /// How everything stands at `desk`. Takes milliseconds; waits for nothing but a word from
    /// the reading thread.
    pub fn of(desk: &Desk) -> Status {
        let standing = desk.mailbox.standing(STANDING_WAIT);
        let ledger = desk.queue.ledger();
        let now = desk.clock.wall();
        let in_force = desk.in_force();
        let rates = desk.rates(&ledger);
        let counted = desk.delivery.counts();
        let sources = sources(desk, &ledger, standing.as_ref())
            .map(|mut source| {
                source.rows_per_sec = rates.rows(&source.name);
                let mut configured = in_force.config.sources.iter();
                let config = configured.find(|it| *it.files.name == *source.name);
                let silent_after = config.and_then(|it| it.derive.silent_after);
                source.silent_after_secs = silent_after.map(|span| span.as_secs());
                source
            })
            .collect();
        let endpoints = endpoints(&in_force.config.endpoints, &ledger)
            .map(|(name, config, totals)| {
                let counts = counted.iter().find(|(counted, _)| *counted == name);
                let mut endpoint = endpoint(&name, config, totals, counts.map(|(_, it)| it), now);
                endpoint.per_sec = rates.delivered(&name);
                endpoint.rotation = config.and_then(|it| rotation(it, desk.started_at, now));
                if endpoint.oldest_secs.is_none() && endpoint.queued > 0 {
                    endpoint.oldest_secs = oldest_queued(desk, &name, now);
                }
                endpoint
            })
            .collect();
        let config = &in_force.config;
        let mut status = Status {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_string(),
            node: config.node.to_string(),
            pid: std::process::id(),
            now: time(now),
            started_at: time(desk.started_at),
            uptime_secs: desk.uptime().as_secs(),
            healthy: true,
            problems: Vec::new(),
            undecided: Vec::new(),
            config: ConfigStatus {
                files: config
                    .files
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect(),
                loaded_at: time(in_force.loaded_at),
                reload_error: desk.reload_error(),
            },
            sources,
            endpoints,
            disk: DiskStatus {
                state_dir: config.state_dir.display().to_string(),
                used_bytes: desk.queue.disk_bytes() + set_aside_bytes(&config.state_dir),
                max_bytes: config.queue.disk.disk_max,
                free_bytes: free_bytes(&config.state_dir),
                reading_paused: standing.as_ref().is_none_or(|it| it.paused_by.is_some()),
                paused_because: standing.as_ref().and_then(|it| it.paused_by.clone()),
            },
            memory: MemoryStatus {
                rss_bytes: rss_bytes(),
            },
            log: LogStatus {
                lines_dropped: desk.log.as_ref().map_or(0, |log| log.lines_dropped()),
            },
            unrouted: counted.iter().map(|(_, counts)| counts.unrouted).sum(),
            ledger_balanced: ledger.balances(),
        };
        status.problems = health::problems(&status);
        status.healthy = status.problems.is_empty();
        status.undecided = health::undecided(&status);
        status
    }
}

fn sources<'a>(
    desk: &'a Desk,
    ledger: &'a Ledger,
    standing: Option<&'a Standing>,
) -> impl Iterator<Item = SourceStatus> + 'a {
    let in_force = desk.in_force();
    let configured: Vec<(Arc<str>, String)> = in_force
        .config
        .sources
        .iter()
        .map(|source| {
            let name = Arc::clone(&source.files.name);
            (name, source.parser.format.name.to_string())
        })
        .collect();
    let gone: Vec<Arc<str>> = ledger
        .sources
        .iter()
        .map(|(name, _)| Arc::clone(name))
        .filter(|name| !configured.iter().any(|(known, _)| known == name))
        .filter(|name| **name != *crate::event::alert::SOURCE)
        .collect();
    let configured = configured
        .into_iter()
        .map(|(name, format)| (name, Some(format)));
    let all = configured.chain(gone.into_iter().map(|name| (name, None)));
    all.map(move |(name, format)| {
        let totals = ledger.source(&name).copied().unwrap_or_default();
        let own = standing.and_then(|all| all.sources.iter().find(|own| own.name == name));
        let lately = standing.and_then(|all| all.lately.get(&name));
        source(desk, &name, format, totals, (own, lately))
    })
}

fn source(
    desk: &Desk,
    name: &str,
    format: Option<String>,
    totals: SourceTotals,
    (standing, lately): (Option<&SourceStanding>, Option<&Lately>),
) -> SourceStatus {
    let folder = in_folder(desk, name);
    let last_row_at = lately.and_then(|lately| lately.last_row_at);
    let now = desk.clock.wall();
    let silent_since = lately.and_then(Lately::silent_since);
    let silent = silent_since.map_or(desk.uptime(), |at| now.since(at));
    SourceStatus {
        name: name.to_string(),
        format,
        rows: totals.counts.rows,
        derived: totals.counts.derived,
        events: totals.events,
        set_aside: totals.counts.rejected,
        filtered: totals.counts.filtered,
        repeated: totals.counts.repeated,
        joined: totals.counts.joined,
        gaps: totals.counts.gaps,
        rows_per_sec: None,
        files: standing.map(|standing| standing.files),
        unread_bytes: standing.map(|standing| standing.unread_bytes),
        partial_secs: standing
            .and_then(|standing| standing.partial_for)
            .map(|span| span.as_secs()),
        last_row_at: last_row_at.map(time),
        silent_secs: silent.as_secs(),
        silent_after_secs: None,
        trouble: standing
            .and_then(|standing| standing.trouble.clone())
            .or_else(|| desk.cannot_listen(name))
            .or_else(|| folder.as_ref()?.folder.trouble.clone()),
        unreadable: standing
            .and_then(|standing| standing.unreadable.clone())
            .or_else(|| folder.as_ref()?.unreadable.clone()),
        misfit: lately.and_then(Lately::misfit).map(str::to_string),
        pushes: desk
            .pushes()
            .find(|(own, _)| ***own == *name)
            .map(|(_, pushes)| pushes),
    }
}

/// How far the source called `name` is in its directory, if it has one.
fn in_folder(desk: &Desk, name: &str) -> Option<Arc<InFolder>> {
    let latest = desk.sources.latest().into_iter();
    let mut folders = latest.filter_map(|source| source.folder);
    folders.find(|it| *it.source == *name)
}

/// The endpoints of the configuration, then those that only the queue knows.
fn endpoints<'a>(
    configured: &'a [EndpointConfig],
    ledger: &'a Ledger,
) -> impl Iterator<
    Item = (
        Arc<str>,
        Option<&'a EndpointConfig>,
        Option<&'a EndpointTotals>,
    ),
> + 'a {
    let known = configured.iter().map(|config| {
        let name = Arc::clone(&config.endpoint.name);
        let totals = ledger.endpoint(&name);
        (name, Some(config), totals)
    });
    let gone = ledger.endpoints.iter().filter(|totals| {
        !configured
            .iter()
            .any(|config| config.endpoint.name == totals.name)
    });
    known.chain(gone.map(|totals| (Arc::clone(&totals.name), None, Some(totals))))
}

fn endpoint(
    name: &str,
    config: Option<&EndpointConfig>,
    totals: Option<&EndpointTotals>,
    counts: Option<&Counts>,
    now: UnixMs,
) -> EndpointStatus {
    let mut status = EndpointStatus {
        name: name.to_string(),
        host: config.map(host),
        rate_max_per_sec: config.and_then(|config| {
            let rate = config.endpoint.rate_max?;
            Some(f64::from(rate.count) / rate.per.as_secs_f64())
        }),
        state: match config {
            None => "removed".to_string(),
            Some(_) => "disabled".to_string(),
        },
        ..EndpointStatus::default()
    };
    if let Some(totals) = totals {
        status.added = totals.added;
        status.queued = totals.queued;
        status.waiting = totals.waiting;
        status.delivered = totals.delivered;
        status.skipped = totals.skipped;
        status.dead = totals.dead;
        status.lost = totals.lost;
        status.dropped = totals.dropped;
        status.recalled = totals.recalled;
        status.dead_letters = totals.dead_letters();
    }
    let Some(counts) = counts else {
        return status;
    };
    status.state = counts.state.to_string();
    status.paused_by = match counts.state {
        EndpointState::Held => Some("operator".to_string()),
        EndpointState::Paused if counts.may_be_gone => Some("gone".to_string()),
        EndpointState::Paused => Some("receiver".to_string()),
        _ => None,
    };
    let fallback = counts.address.checked_sub(1);
    let fallbacks = config.map(|config| &config.endpoint.fallback_urls);
    let used = fallback.and_then(|place| fallbacks?.get(place));
    status.fallback_host = used.map(|url| url.host().to_string());
    status.address = counts.address as u64;
    status.switches = counts.switches;
    status.last_success_at = counts.last_success_at.map(time);
    status.under_way = counts.under_way;
    status.under_way_secs = counts.longest.map(|span| span.as_secs());
    status.concurrency = counts.concurrency;
    status.expired = counts.expired;
    status.failing_secs = counts.failing_for.map(|span| span.as_secs());
    status.next_try_secs = counts
        .next_try
        .map(|span| span.as_millis().div_ceil(1_000))
        .and_then(|secs| u64::try_from(secs).ok());
    status.oldest_secs = counts.oldest.map(|at| now.since(at).as_secs());
    status.attempts = counts.attempts;
    let failures = counts.failures.iter();
    status.failures = failures
        .map(|(class, count)| (class.to_string(), *count))
        .collect();
    status.success_share = (counts.attempts > 0).then(|| share(counts.delivered, counts.attempts));
    status.latency_ms = (counts.latency.count > 0).then(|| LatencyStatus {
        p50: millis(counts.latency.p50),
        p95: millis(counts.latency.p95),
        p99: millis(counts.latency.p99),
    });
    status.last_error = counts.last_error.as_ref().map(|text| ErrorStatus {
        class: counts.last_error_class.to_string(),
        text: text.clone(),
        at: counts.last_error_at.map(time),
        answer: words(&counts.last_answer, ANSWER_BYTES_MAX),
    });
    status
}

fn rotation(config: &EndpointConfig, started_at: UnixMs, now: UnixMs) -> Option<RotationStatus> {
    let rotation = config.rotation?;
    let since = rotation.since.unwrap_or(started_at);
    Some(RotationStatus {
        since: time(since),
        age_secs: now.since(since).as_secs(),
        told_by: rotation.told_by.word().to_string(),
    })
}

fn host(config: &EndpointConfig) -> String {
    let url = &config.endpoint.url;
    let scheme = if url.is_tls() { "https" } else { "http" };
    // The path may hold a token.
    format!("{scheme}://{}:{}", url.host(), url.port())
}

/// Age of the call at the front of an endpoint's queue; `None` when it cannot be read.
fn oldest_queued(desk: &Desk, endpoint: &str, now: UnixMs) -> Option<u64> {
    let first = desk.queue.read(desk.queue.cursor(endpoint), 1).ok()?;
    Some(now.since(first.first()?.event.time.unix).as_secs())
}

/// An instant in text.
pub(super) fn time(at: UnixMs) -> String {
    Timestamp::from_millis(at.0).to_string()
}

fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 10_000.0).round() / 10.0
}

/// `part` of `whole`, rounded down, so that 1 means all.
#[expect(
    clippy::cast_precision_loss,
    reason = "a share has four digits; a count of 2^53 attempts is out of reach"
)]
fn share(part: u64, whole: u64) -> f64 {
    (part as f64 / whole as f64 * 10_000.0).floor() / 10_000.0
}

fn set_aside_bytes(state_dir: &Path) -> u64 {
    ["set-aside.jsonl", "set-aside.jsonl.1"]
        .iter()
        .filter_map(|name| fs::metadata(state_dir.join(name)).ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// Bytes free to the agent on the partition of `directory`.
pub fn free_bytes(directory: &Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(directory).ok()?;
    #[allow(clippy::useless_conversion, reason = "the types differ by target")]
    let bytes =
        u64::from(found.blocks_available()).saturating_mul(u64::from(found.fragment_size()));
    Some(bytes)
}

/// Resident bytes of this process.
fn rss_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}

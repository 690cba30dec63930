//! The TOML exactly as written: nothing checked, nothing filled in.
//!
//! The second type, [`super::Config`], is what the agent uses.

use super::problem::Problems;
use super::written::Key;
use crate::parser::pattern::{FieldTable, StateTable};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// One configuration file.
#[derive(Debug, Default, Deserialize)]
pub struct ConfigFile {
    /// The switch's name in every event (default: the host name).
    pub node: Key<String>,
    /// Where the queue is kept (default: `/var/lib/switchhook`).
    pub state_dir: Key<String>,
    /// Socket through which `switchhook status` and its like speak to the agent (default:
    /// `/run/switchhook/control.sock`).
    pub control_socket: Key<String>,
    /// Time between heartbeats of the agent itself, with its unit (default: none).
    pub heartbeat_every: Key<String>,
    /// `[queue]`.
    pub queue: Option<QueueTable>,
    /// `[limits]`.
    pub limits: Option<LimitsTable>,
    /// `[log]`.
    pub log: Option<LogTable>,
    /// `[metrics]`.
    pub metrics: Option<MetricsTable>,
    /// `[routing]`.
    pub routing: Option<RoutingTable>,
    /// `[[source]]`.
    #[serde(default)]
    pub source: Vec<SourceTable>,
    /// `[[endpoint]]`.
    #[serde(default)]
    pub endpoint: Vec<EndpointTable>,
}

/// The `[queue]` table as written.
#[derive(Debug, Default, Deserialize)]
pub struct QueueTable {
    /// All the bytes the state directory may take, with its unit (default: `"512MiB"`).
    pub disk_max: Key<String>,
    /// Bytes always left free in the partition, with their unit (default: `"1GiB"`).
    pub free_min: Key<String>,
    /// Inodes always left free in the partition (default: 10,000).
    pub free_inodes_min: Key<i64>,
    /// `pause` reading or `drop_oldest` events at `disk_max` (default: `pause`).
    pub when_full: Key<String>,
    /// Event types that still fit when reading pauses for the others (default: alarms).
    pub reserve_for: Key<Vec<String>>,
    /// All the bytes dead letters may take, with their unit (default: an eighth of `disk_max`, `"64MiB"` at most).
    pub dead_letters_max: Key<String>,
    /// How long dead letters are kept, with its unit (default: `"30d"`).
    pub dead_letters_keep: Key<String>,
    /// All the bytes that parts set aside of a damaged store may take (default: a 32nd of `disk_max`, `"16MiB"` at most).
    pub quarantine_max: Key<String>,
}

/// The `[limits]` table as written.
#[derive(Debug, Default, Deserialize)]
pub struct LimitsTable {
    /// Most files held open by each source, and one more while deleted ones with unread rows take all the room (default: 256).
    pub open_files_max: Key<i64>,
    /// How long a deleted but unread file is kept open, and how much room all of them may take,
    /// each with its unit (default: `["1h", "256MiB"]`).
    pub deleted_files_keep: Key<Vec<String>>,
    /// Memory for rows, events and attempts under way, with its unit (default: `"64MiB"`).
    pub memory_max: Key<String>,
}

/// The `[log]` table as written.
#[derive(Debug, Default, Deserialize)]
pub struct LogTable {
    /// `syslog` or `stderr` (default: `stderr` on a terminal, else `syslog`).
    pub to: Key<String>,
    /// The daemon's socket (default: `/dev/log`).
    pub socket: Key<String>,
    /// Syslog facility (default: `daemon`).
    pub facility: Key<String>,
    /// `error`, `warn`, `info`, `debug` or `trace` (default: `info`).
    pub level: Key<String>,
    /// `rfc3164` or `rfc5424`.
    pub format: Key<String>,
    /// `failures`, `all` or `none`: attempts to deliver that get a line of their own (default:
    /// `failures`).
    pub attempts: Key<String>,
    /// Time between summary lines, with its unit (default: `"5m"`).
    pub summary_every: Key<String>,
}

/// The `[metrics]` table as written.
#[derive(Debug, Default, Deserialize)]
pub struct MetricsTable {
    /// File that is written anew every 10 s, in Prometheus' text format (default: none).
    pub textfile: Key<String>,
}

/// The `[routing]` table as written.
#[derive(Debug, Default, Deserialize)]
pub struct RoutingTable {
    /// Who gets an event that endpoints of several levels take: `override`, those of the most
    /// specific level, or `all` of them (default: `override`).
    pub mode: Key<String>,
}

/// A `[[source]]` table as written.
#[derive(Debug, Default, Deserialize)]
pub struct SourceTable {
    /// What the source is called in logs, positions and event ids. Required.
    pub name: Key<String>,
    /// Globs of the files to follow. This, or one of the four keys below, is required.
    pub files: Key<Vec<String>>,
    /// A directory in which each file is one document.
    pub directory: Key<String>,
    /// An address that is posted to.
    pub http: Option<ListenTable>,
    /// An address that gets a datagram for each row.
    pub udp: Option<ListenTable>,
    /// A directory in which each finished file is a recording.
    pub recordings: Key<String>,
    /// Globs of the names of files in a directory (default: by the format; `["*.wav"]`).
    pub names: Key<Vec<String>>,
    /// Globs of directories below, one for each level: `"*/*"` (default: none).
    pub subdirectories: Key<String>,
    /// What becomes of a document once it is durable: `keep`, `delete` or `move_to` (default:
    /// `keep`).
    pub after_read: Key<String>,
    /// Where to, for `after_read = "move_to"`.
    pub move_to: Key<String>,
    /// How long a document may stay half-written, with its unit (default: `"60s"`).
    pub incomplete_max: Key<String>,
    /// How long a finished recording was not written to, with its unit (default: `"10s"`).
    pub settle: Key<String>,
    /// How the names of recordings are made: `"{caller_id}-{call_id}.wav"`.
    pub name_parts: Key<String>,
    /// Globs of the generations that rotations leave behind (default: `.1`, `-20260410`, `.gz`
    /// behind the names of `files`, `.1` and `-20260410` before their endings too); an empty list for none.
    pub rotated: Key<Vec<String>>,
    /// Globs of files to leave out.
    pub exclude: Key<Vec<String>>,
    /// A preset, or `delimited`, `json-lines`, `key-value`, `json-document`, `xml-document`. Required.
    pub format: Key<String>,
    /// `now`, `beginning`, or a time with its zone. Required.
    pub start: Key<String>,
    /// IANA name of the zone of times without one.
    pub timezone: Key<String>,
    /// Character encoding (default: `utf-8`).
    pub encoding: Key<String>,
    /// Longest line, with its unit (default: `"64KiB"`).
    pub line_max: Key<String>,
    /// Time between two looks at the files beside inotify, with its unit (default: `"1s"`).
    pub poll: Key<String>,
    /// `auto`, `present` or `absent` (default: `auto`).
    pub header: Key<String>,
    /// Currency of the amounts: no switch file holds it.
    pub currency: Key<String>,
    /// Whether `data` gets every remaining column too (default: false).
    pub extra: Key<bool>,
    /// Texts for the switch's numbers of end reasons.
    pub reasons: Key<BTreeMap<String, String>>,
    /// The same from a CSV file: number, text.
    pub reasons_file: Key<String>,
    /// Accounts by gateway, for formats without an account column.
    pub accounts: Key<BTreeMap<String, String>>,
    /// The same from a CSV file: gateway, account.
    pub accounts_file: Key<String>,
    /// The name of one of the format's layouts, or a list of columns, each with `name`, `type`, `as`,
    /// `path`, `drop`, and for times whose day is in another column that one's name: `date`.
    pub columns: Key<toml::Value>,
    /// Layouts for rows of several kinds, each with `when`, `event`, `state` and `columns`.
    pub layout: Key<Vec<toml::Value>>,
    /// FreeSWITCH's own template, as cdr_csv.conf.xml has it (`freeswitch-csv`); Asterisk's mapping, as
    /// cdr_custom.conf or cel_custom.conf has it (`asterisk-cdr-custom`, `asterisk-cel`): its line, or an
    /// advanced one's `fields`, or that one's whole section in three single quotes.
    pub template: Key<String>,
    /// One character between fields (`delimited`) or pairs (`key-value`; default there: `;`).
    pub delimiter: Key<String>,
    /// One character around text, or `none` (`delimited`, `key-value`).
    pub quote: Key<String>,
    /// `strict` or `lenient`: whether bare quotes inside values are read where there is one way to
    /// (`delimited`; default: `strict`).
    pub quoting: Key<String>,
    /// One character before a delimiter that is part of a value (`delimited` without quotes).
    pub escape: Key<String>,
    /// One character between a name and its value (`key-value`; default: `=`).
    pub assign: Key<String>,
    /// Texts behind which a line's pairs begin; other lines are no rows (`key-value`).
    pub after: Key<Vec<String>>,
    /// The path below which values may be percent-encoded (documents).
    pub encoded_under: Key<String>,
    /// The order of a date's numbers: `ymd`, `dmy` or `mdy` (default: `ymd`).
    pub dates: Key<String>,
    /// Texts that a value has where there is nothing to tell, like `NONE`.
    pub nothing: Key<Vec<String>>,
    /// Type of the events (default: `cdr`).
    pub event: Key<String>,
    /// Lists of columns that together identify a row, the first usable one counts.
    pub id_keys: Key<Vec<Vec<String>>>,
    /// The column that carries the tag by which endpoints of level `call` are chosen (default: none).
    pub route_tag: Key<String>,
    /// What the start column means: `setup` or `answer` (default: `setup`).
    pub start_is: Key<String>,
    /// Conditions on the events' values; events for which one does not hold are filtered out.
    pub keep: Key<toml::Table>,
    /// Time within which a repeated alarm is counted and not told, with its unit (default: `"1h"`).
    pub repeat_every: Key<String>,
    /// How long an answered call may wait for its BYE line, with its unit (default: `"12h"`).
    pub bye_within: Key<String>,
    /// Time without a row after which that is told, with its unit (default: never).
    pub silent_after: Key<String>,
    /// Time between heartbeats, with its unit (default: none).
    pub heartbeat_every: Key<String>,
    /// `[source.thresholds]`: balances to alert at, by account or `"*"`; `rearm` (default: `"10%"`)
    /// and `repeat_every` (default: `"24h"`).
    pub thresholds: Key<toml::Table>,
    /// `[source.summary]`.
    pub summary: Option<SummaryTable>,
    /// `[[source.pattern]]`.
    #[serde(default)]
    pub pattern: Vec<PatternKeys>,
}

/// The `[source.summary]` table as written.
#[derive(Debug, Default, Deserialize)]
pub struct SummaryTable {
    /// Length of an interval, with its unit; the first began with 1970 in UTC, and so do days. Required.
    pub every: Key<String>,
    /// `gateway`, `callee_gateway` or `account` (default: `gateway`).
    pub by: Key<String>,
    /// How long an interval's last calls may come, with its unit (default: `"1m"`).
    pub wait: Key<String>,
}

/// A `[[source.pattern]]` table as written.
#[derive(Debug, Default, Deserialize)]
pub struct PatternKeys {
    /// Regular expression with named groups. Required.
    #[serde(rename = "match")]
    pub expression: Key<String>,
    /// Type of the events. Required.
    pub event: Key<String>,
    /// What `data` holds, by key: `"$group"`, a text, or `{ group = "…", type = "…", map = {…} }`.
    pub fields: Key<BTreeMap<String, FieldTable>>,
    /// Regular expression of the lines that belong to the one before.
    pub continues: Key<String>,
    /// `raised` or `cleared`, or what else happened; or such words by the words of the field `state`.
    pub state: Key<StateTable>,
    /// The fields by which reports are known to be about the same thing.
    pub key: Key<Vec<String>>,
    /// Time within which a repeat is counted and not told, with its unit (default: the source's).
    pub repeat_every: Key<String>,
}

/// What a source listens on, as written.
#[derive(Debug, Default, Deserialize)]
pub struct ListenTable {
    /// Address and port. Required.
    pub listen: Key<String>,
    /// Addresses and networks that are listened to (default: this machine's own; required where
    /// others can reach the address).
    pub allow: Key<Vec<String>>,
    /// Pushes a second that are taken (default: 5000).
    pub rate_max: Key<i64>,
    /// The path before the page (`http`; default: `/`).
    pub path: Key<String>,
}

/// An `[[endpoint]]` table as written.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct EndpointTable {
    /// What the endpoint is called in logs and in the queue. Required.
    pub name: Key<String>,
    /// Where to send. Required.
    pub url: Key<String>,
    /// `standard`, `vos3000`, `vobiz`, `vobiz-voice`, `voipbin`, `cloudevents` or `custom` (default:
    /// `standard`).
    pub profile: Key<String>,
    /// Of a `custom` endpoint: the profile whose body it has (default: `standard`).
    pub body: Key<String>,
    /// A body of your own: keys, and under each a field of the event, `$id`, `$type`, `$time`,
    /// `$sequence`, `$node` or `=text`. In the order of the keys' letters.
    pub fields: Key<BTreeMap<String, String>>,
    /// `POST`, `PUT` or `GET`, whose fields are in the address (default: `POST`).
    pub method: Key<String>,
    /// `json` or `form`: the body as form fields (default: `json`).
    pub content: Key<String>,
    /// `off` or `gzip`, for bodies of 1 KiB and more (default: `off`).
    pub compress: Key<String>,
    /// Of a compressed body, what is signed: `content`, as it is before, or `sent` (default:
    /// `content`).
    pub signature_over: Key<String>,
    /// Event types, or `["*"]`. Required.
    pub events: Key<Vec<String>>,
    /// Where in an event it looks for its names: `call`, `application`, `trunk`, `account`, or
    /// `default` for every event (default: `default`).
    pub level: Key<String>,
    /// Its names at that level. Required beside a level other than `default`.
    pub matches: Key<Vec<String>>,
    /// Conditions on the events' values, all of which have to hold.
    #[serde(rename = "where")]
    pub conditions: Key<toml::Table>,
    /// The share of events it gets, 0.01 to 100, chosen by their ids (default: 100).
    pub sample_percent: Key<toml::Value>,
    /// Fields of which the last two digits are told.
    pub mask: Key<Vec<String>>,
    /// Fields that are not told.
    pub omit: Key<Vec<String>>,
    /// Another endpoint: this one gets exactly what that one gets, instead of what `events` and the
    /// keys above say.
    pub mirror: Key<String>,
    /// The end of that, with its zone; at most a week away.
    pub mirror_until: Key<String>,
    /// How long that lasts, with its unit, from the first start with it on; at most `"7d"`.
    pub mirror_for: Key<String>,
    /// Whether it is delivered to (default: true).
    pub enabled: Key<bool>,
    /// `now` or `oldest`: what a new endpoint gets of the events already queued (default: `now`).
    pub from: Key<String>,
    /// The name it had before: it takes over that one's place, backlog and dead letters.
    pub adopt: Key<String>,
    /// A scheme of another profile, `stripe`, `github`, a table of the parts of your own, or `none`
    /// to send unsigned.
    pub signature: Key<toml::Value>,
    /// The signing secret itself; prefer a file.
    pub secret: Key<String>,
    /// A file that holds the secret.
    pub secret_file: Key<String>,
    /// An environment variable that holds the secret.
    pub secret_env: Key<String>,
    /// A systemd credential that holds the secret.
    pub secret_credential: Key<String>,
    /// The secret before, while receivers change over.
    pub previous_secret: Key<String>,
    /// A file that holds the secret before.
    pub previous_secret_file: Key<String>,
    /// An environment variable that holds the secret before.
    pub previous_secret_env: Key<String>,
    /// A systemd credential that holds the secret before.
    pub previous_secret_credential: Key<String>,
    /// Statuses that mean delivered: numbers or ranges like `"200-299"`.
    pub success: Key<Vec<toml::Value>>,
    /// Time for one attempt, connection included, with its unit.
    pub timeout: Key<String>,
    /// Time to connect, with its unit; a proxy has as much again to do so.
    pub connect_timeout: Key<String>,
    /// Time to find the address of a name, with its unit (default: that to connect).
    pub resolve_timeout: Key<String>,
    /// Time for the TLS handshake, with its unit (default: that to connect).
    pub tls_timeout: Key<String>,
    /// Time from the end of the request to the first byte of the answer, with its unit (default:
    /// `timeout`).
    pub answer_timeout: Key<String>,
    /// How long an unused connection is kept, with its unit.
    pub idle_timeout: Key<String>,
    /// Attempts before an event becomes a dead letter.
    pub attempts: Key<i64>,
    /// The first wait between attempts, with its unit.
    pub backoff_initial: Key<String>,
    /// The longest wait between attempts, with its unit.
    pub backoff_max: Key<String>,
    /// The longest wait between probes of a failing endpoint, with its unit.
    pub probe_max: Key<String>,
    /// The longest wait a receiver may ask for, with its unit.
    pub retry_after_max: Key<String>,
    /// Attempts under way at once: `auto`, which is learned, or 1 to 64 (default: `auto`); fewer where
    /// `memory_max` has no room for those of all endpoints.
    pub concurrency: Key<toml::Value>,
    /// Requests per second, or a text like `"30/m"` (default: no limit).
    pub rate_max: Key<toml::Value>,
    /// Where requests go while `url` is failing, in this order.
    pub fallback_urls: Key<Vec<String>>,
    /// Age at which an event is given up while the endpoint is failing, with its unit (default:
    /// `"72h"`).
    pub max_age: Key<String>,
    /// The endpoint that is told when this one is failing, or about to.
    pub alert_to: Key<String>,
    /// `none`, `key` or `strict`: in which order it is told events (default: `none`).
    pub order: Key<String>,
    /// With `order = "key"`: a key of `data`, or `account`, `gateway`, `callee_gateway` or
    /// `application` (default: `call_id`).
    pub order_key: Key<String>,
    /// With an order: `block` or `park` what follows a refused event (default: `block`).
    pub on_refused: Key<String>,
    /// Several events in one request: `{ max_events = 100, max_bytes = "1MiB", max_wait = "200ms" }`
    /// (default: one each).
    pub batch: Key<toml::Table>,
    /// Event types that go out before what waits (default: `["alarm", "balance_alert"]`; none where
    /// the order is strict).
    pub priority: Key<Vec<String>>,
    /// Headers of your own: a text, or `{ file = "…" }` for one that is secret.
    pub headers: Key<BTreeMap<String, toml::Value>>,
    /// `user:password`, sent as Basic authentication; prefer a file. The same may stand in `url`.
    pub basic_auth: Key<String>,
    /// A file that holds `user:password`.
    pub basic_auth_file: Key<String>,
    /// A file that holds a token, sent as `Authorization: Bearer …`.
    pub bearer_file: Key<String>,
    /// A file that holds a token, sent in the query of the address.
    pub token_file: Key<String>,
    /// What that token's parameter is called (default: `token`).
    pub token_param: Key<String>,
    /// Whether the `X-Switchhook-…` headers are sent, or what they are called, like
    /// `{ id = "X-Request-Id", sequence = "off", attempt = "off", node = "off" }` (default: true).
    pub agent_headers: Key<toml::Value>,
    /// PEM file of certificate authorities to trust beside the built-in ones.
    pub ca_file: Key<String>,
    /// PEM file of the certificate to show to a receiver that asks for one.
    pub client_cert_file: Key<String>,
    /// PEM file of its private key.
    pub client_key_file: Key<String>,
    /// SHA-256 of the public keys of which the receiver's certificate must have one.
    pub pin_sha256: Key<Vec<String>>,
    /// `1.2` or `1.3`: the oldest version of TLS that will do (default: `1.2`).
    pub tls_min: Key<String>,
    /// The HTTP proxy on the way, like `http://user:password@proxy.example:3128`.
    pub proxy: Key<String>,
    /// The address of this machine that connections come from.
    pub source_address: Key<String>,
    /// Allows `http://` to other machines.
    pub allow_plain_http: Key<bool>,
    /// Allows a name that resolves to a private address.
    pub allow_private: Key<bool>,
}

/// A file that was read, with what is needed to say where in it something stands.
#[derive(Debug)]
pub struct Loaded {
    /// The file's path.
    pub path: PathBuf,
    /// What it says.
    pub file: ConfigFile,
    lines: LineIndex,
    /// Where each table of the lists `source` and `endpoint` begins: list, line.
    tables: Vec<(&'static str, usize)>,
}

impl Loaded {
    /// Reads the text of the file at `path`; unknown keys and syntax errors go to `problems`.
    ///
    /// `None` where the text is not TOML, or a table stands where a list of tables should.
    pub fn parse(path: &Path, text: &str, problems: &mut Problems) -> Option<Loaded> {
        let lines = LineIndex::new(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut told = BTreeSet::new();
        for error in &errors {
            let line = error.span().map(|span| lines.line(span.start));
            // One mistake in a line makes several errors.
            if line.is_some_and(|line| !told.insert(line)) {
                continue;
            }
            let written = line.and_then(|line| text.lines().nth(line.checked_sub(1)?));
            let said = error.message();
            let what = if let Some(quoted) = written.and_then(quoted) {
                format!("a text stands in quotes; write {quoted}")
            } else if let Some(quoted) = written.and_then(in_single_quotes) {
                format!(
                    "{said}; what has quotes or backslashes of its own stands in single quotes: write {quoted}"
                )
            } else if said.contains("escaped value") {
                format!("{said}; a text with backslashes stands in single quotes")
            } else if said.starts_with("missing comma") {
                format!(
                    "{said}; write a comma between two of a list: [{{ name = \"a\" }}, {{ name = \"b\" }}]"
                )
            } else if written.is_some_and(|written| written.contains('{')) {
                format!(
                    "{said}; values stand in quotes, and names with other letters than A-Z, 0-9, - and _ too: write like {{ \"gateway 1\" = \"CLIENT001\" }}"
                )
            } else {
                said.to_string()
            };
            problems.add(path, line, "", what);
        }
        if !errors.is_empty() {
            return None;
        }
        let mut unknown = BTreeSet::new();
        let deserializer = toml::Deserializer::from(table.clone());
        let file = serde_ignored::deserialize(deserializer, |key| {
            unknown.insert(key.to_string());
        });
        for key in &unknown {
            report_unknown(path, key, table.get_ref(), &lines, problems);
        }
        match file {
            Ok(file) => Some(Loaded {
                path: path.to_owned(),
                file,
                tables: tables(table.get_ref(), &lines),
                lines,
            }),
            Err(error) => {
                let line = error.span().map(|span| lines.line(span.start));
                let advice = if error.message().contains("ListenTable") {
                    "write like http = { listen = \"127.0.0.1:8731\" }"
                } else {
                    "sources and endpoints are lists: write [[source]] and [[endpoint]]"
                };
                let what = format!("{}; {advice}", error.message());
                problems.add(path, line, "", what);
                None
            }
        }
    }

    /// The line of the table with this `index` in the list called `list`.
    pub fn table_line(&self, list: &str, index: usize) -> Option<usize> {
        let mut of_list = self.tables.iter().filter(|(own, _)| *own == list);
        of_list.nth(index).map(|(_, line)| *line)
    }

    /// The line of a byte of the file's text, from 1.
    pub fn line(&self, byte: usize) -> usize {
        self.lines.line(byte)
    }
}

/// The `line` as it would be with its text in quotes, where that is what it lacks.
fn quoted(line: &str) -> Option<String> {
    const LISTS: [&str; 2] = ["files", "events"];
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.split(" #").next()?.trim());
    // Editors and web pages make others of straight quotes.
    let value = value.trim_matches([
        '\u{201C}', '\u{201D}', '\u{201E}', '\u{2018}', '\u{2019}', '\u{AB}', '\u{BB}',
    ]);
    let is_key = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let is_text = !value.is_empty()
        && !value.contains(['"', '\''])
        && !value.starts_with(['[', '{'])
        && DeTable::parse(&format!("value = {value}")).is_err();
    if key.is_empty() || !key.chars().all(is_key) || !is_text {
        return None;
    }
    // What has a dollar sign is a template, in which quotes would be doubled.
    let quote = if value.contains(['$', '\\']) {
        '\''
    } else {
        '"'
    };
    let text = format!("{quote}{}{quote}", shown(key, value));
    Some(match LISTS.contains(&key) {
        true => format!("{key} = [{text}]"),
        false => format!("{key} = {text}"),
    })
}

/// The `line` with its text in single quotes, where it has quotes or backslashes within double ones.
fn in_single_quotes(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let value = value.trim().strip_prefix('"')?;
    let value = value.strip_suffix('"').unwrap_or(value);
    let is_own = !value.is_empty() && value.contains(['"', '\\']) && !value.contains('\'');
    let key = key.trim();
    is_own.then(|| format!("{key} = '{}'", shown(key, value)))
}

/// The `value` as a message may show it: what may hold a secret or a login, as any header of an endpoint
/// may, is not shown.
fn shown<'v>(key: &str, value: &'v str) -> &'v str {
    const SHOWN: [&str; 45] = [
        "accounts_file",
        "backoff_initial",
        "backoff_max",
        "bye_within",
        "continues",
        "control_socket",
        "currency",
        "delimiter",
        "directory",
        "disk_max",
        "encoding",
        "event",
        "events",
        "every",
        "exclude",
        "files",
        "format",
        "free_min",
        "heartbeat_every",
        "level",
        "line_max",
        "listen",
        "match",
        "max_age",
        "memory_max",
        "move_to",
        "name",
        "node",
        "order",
        "poll",
        "profile",
        "quote",
        "reasons_file",
        "recordings",
        "repeat_every",
        "rotated",
        "secret_file",
        "settle",
        "silent_after",
        "start",
        "state_dir",
        "template",
        "timeout",
        "timezone",
        "wait",
    ];
    match SHOWN.contains(&key) {
        true => value,
        false => "...",
    }
}

/// Where each line of a text begins.
#[derive(Debug)]
struct LineIndex(Vec<usize>);

impl LineIndex {
    fn new(text: &str) -> LineIndex {
        let starts = memchr::memchr_iter(b'\n', text.as_bytes()).map(|end| end + 1);
        LineIndex(std::iter::once(0).chain(starts).collect())
    }

    fn line(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte)
    }
}

/// Reports the unknown key at `dotted`, like `endpoint.0.timout`, with the nearest known one.
fn report_unknown(
    path: &Path,
    dotted: &str,
    table: &DeTable<'_>,
    lines: &LineIndex,
    problems: &mut Problems,
) {
    // A table that need not be there is a step of its own.
    let dotted = &dotted.replace(".?", "");
    let line = find(table, dotted).map(|byte| lines.line(byte));
    let (parent, key) = dotted.rsplit_once('.').unwrap_or(("", dotted));
    let owner = parent.split('.').next().unwrap_or("");
    // The innermost table with a name of its own.
    let inner = parent
        .rsplit('.')
        .find(|part| part.parse::<usize>().is_err())
        .unwrap_or("");
    let known = known_keys(if matches!(inner, "pattern" | "summary" | "http" | "udp") {
        inner
    } else {
        owner
    });
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, key), *name))
        .filter(|(distance, name)| *distance <= 3 && *distance < name.len())
        .min();
    let advice = match near {
        Some((_, name)) => format!("did you mean {name}?"),
        None => format!("the keys here are {}", known.join(", ")),
    };
    let place = if owner.is_empty() {
        key.to_string()
    } else {
        format!("{owner}: {key}")
    };
    problems.add(path, line, place, format!("no such key; {advice}"));
}

/// Where each table of the lists begins.
fn tables(table: &DeTable<'_>, lines: &LineIndex) -> Vec<(&'static str, usize)> {
    let mut found = Vec::new();
    for list in ["source", "endpoint"] {
        let value = table.iter().find(|(key, _)| key.get_ref().as_ref() == list);
        if let Some((_, value)) = value
            && let DeValue::Array(items) = value.get_ref()
        {
            found.extend(
                items
                    .iter()
                    .map(|item| (list, lines.line(item.span().start))),
            );
        }
    }
    found
}

fn find(table: &DeTable<'_>, dotted: &str) -> Option<usize> {
    let (first, rest) = match dotted.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (dotted, None),
    };
    let (key, value) = table
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == first)?;
    let Some(rest) = rest else {
        return Some(key.span().start);
    };
    match value.get_ref() {
        DeValue::Table(inner) => find(inner, rest),
        DeValue::Array(items) => {
            let (index, rest) = rest.split_once('.')?;
            match items.get(index.parse::<usize>().ok()?)?.get_ref() {
                DeValue::Table(inner) => find(inner, rest),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The keys of a table, as its type names them.
fn known_keys(owner: &str) -> &'static [&'static str] {
    match owner {
        "queue" => fields::<QueueTable>(),
        "limits" => fields::<LimitsTable>(),
        "log" => fields::<LogTable>(),
        "metrics" => fields::<MetricsTable>(),
        "routing" => fields::<RoutingTable>(),
        "source" => fields::<SourceTable>(),
        "http" | "udp" => fields::<ListenTable>(),
        "pattern" => fields::<PatternKeys>(),
        "summary" => fields::<SummaryTable>(),
        "endpoint" => fields::<EndpointTable>(),
        _ => fields::<ConfigFile>(),
    }
}

/// The field names serde gives a derived structure: asks it to read itself and listens.
fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    struct Listener<'a>(&'a mut &'static [&'static str]);

    impl<'de> serde::Deserializer<'de> for Listener<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: serde::de::Visitor<'de>>(
            self,
            _: V,
        ) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("only the field names are wanted"))
        }

        fn deserialize_struct<V: serde::de::Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
            unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names: &'static [&'static str] = &[];
    // The error is the listener's own way of stopping; what it heard is what was wanted.
    let _stopped = T::deserialize(Listener(&mut names));
    names
}

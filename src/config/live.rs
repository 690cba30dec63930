//! What a source is, beside the lines of files → [`Kind`].

use super::file::{ListenTable, SourceTable};
use super::place::Place;
use super::problem::Problems;
use super::source::SourceConfig;
use super::value;
use super::written::{Key, Written};
use crate::event::recording::NameParts;
pub use crate::event::vos3000_push::KINDS;
use crate::event::vos3000_push::PAGES;
use crate::folder;
use crate::ingest::After;
use crate::listen::{self, Network, Pages, Protocol, RATE_MAX_DEFAULT};
use crate::parser::format::{ColumnTable, Format, FormatTable, LayoutTable};
use crate::source::Start;
use glob::Pattern;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The format of VOS3000's pushes.
const PUSH: &str = "vos3000-push";

/// How long a document may be half-written: a switch writes one in milliseconds.
const INCOMPLETE_DEFAULT: Duration = Duration::from_secs(60);

/// How long a recording must not have been written to: silence is written as well, so a pause in
/// the talk is none in the file.
const SETTLE_DEFAULT: Duration = Duration::from_secs(10);

const PATIENCE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);

/// Most levels of directories below a folder's.
const LEVELS_MAX: usize = 8;

/// What a source is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Lines of files.
    Files,
    /// Documents, one per file.
    Directory {
        /// Which files.
        folder: Folder,
        /// What becomes of them.
        after: After,
    },
    /// Recordings.
    Recordings {
        /// Which files.
        folder: Folder,
        /// How their names are read.
        parts: Option<NameParts>,
    },
    /// What is pushed.
    Listen(listen::Settings),
}

/// The files of a directory, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    directory: PathBuf,
    names: Vec<Pattern>,
    levels: Vec<Pattern>,
    patience: Duration,
    /// See [`folder::Settings::redo`].
    redo: bool,
}

impl Folder {
    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// With what the rest of the table says.
    pub fn settings(&self, source: &Arc<str>, start: Start, poll: Duration) -> folder::Settings {
        folder::Settings {
            source: Arc::clone(source),
            directory: self.directory.clone(),
            names: self.names.clone(),
            levels: self.levels.clone(),
            start,
            poll,
            patience: self.patience,
            redo: self.redo,
        }
    }
}

impl Kind {
    /// Whether its format may be one whose records are documents.
    pub fn takes_documents(&self) -> bool {
        match self {
            Self::Directory { .. } => true,
            Self::Listen(settings) => matches!(settings.protocol, Protocol::Http(_)),
            Self::Files | Self::Recordings { .. } => false,
        }
    }

    /// The directory it reads the files of, where it does not follow their lines.
    pub fn folder(&self) -> Option<&Folder> {
        match self {
            Self::Directory { folder, .. } | Self::Recordings { folder, .. } => Some(folder),
            Self::Files | Self::Listen(_) => None,
        }
    }

    /// Whether it begins somewhere.
    pub fn has_start(&self) -> bool {
        !matches!(self, Self::Listen(_))
    }
}

/// What the table is; exactly one of the keys says so.
pub fn kind(table: &SourceTable, place: &mut Place<'_>) -> Option<Kind> {
    let given = [
        ("files", table.files.is_some()),
        ("directory", table.directory.is_some()),
        ("http", table.http.is_some()),
        ("udp", table.udp.is_some()),
        ("recordings", table.recordings.is_some()),
    ];
    let mut given = given
        .iter()
        .filter(|(_, given)| *given)
        .map(|(key, _)| *key);
    let (first, second) = (given.next(), given.next());
    if let (Some(first), Some(second)) = (first, second) {
        let what = format!(
            "there is {second} too; a source is one of files, directory, http, udp and recordings: make two [[source]] tables of it"
        );
        place.problem::<()>(first, &None, what);
        return None;
    }
    only_with(table, first.unwrap_or("files"), place);
    match first {
        Some("directory") => directory(table, place),
        Some("recordings") => recordings(table, place),
        Some("http") => listen(table, table.http.as_ref()?, true, place),
        Some("udp") => listen(table, table.udp.as_ref()?, false, place),
        _ => Some(Kind::Files),
    }
}

/// The text of a key, if it is one.
fn word(written: &Key<String>) -> Option<&str> {
    match written.as_ref()?.get_ref() {
        Written::As(text) => Some(text),
        Written::Not(_) => None,
    }
}

/// Complains of a key that means nothing for a source of this `kind`, but for others.
fn only<T>(key: &str, written: &Key<T>, kind: &str, place: &mut Place<'_>, kinds: &[&str]) {
    if written.is_some() && !kinds.contains(&kind) {
        let kinds = kinds.join(" or ");
        let what = format!("means nothing beside {kind}; it goes with {kinds}, leave it out");
        place.problem(key, written, what);
    }
}

/// Complains of keys that mean nothing for this kind.
fn only_with(table: &SourceTable, kind: &str, place: &mut Place<'_>) {
    const FOLDERS: &[&str] = &["directory", "recordings"];
    only("exclude", &table.exclude, kind, place, &["files"]);
    only("header", &table.header, kind, place, &["files"]);
    only("line_max", &table.line_max, kind, place, &["files"]);
    only("names", &table.names, kind, place, FOLDERS);
    only(
        "subdirectories",
        &table.subdirectories,
        kind,
        place,
        FOLDERS,
    );
    only("after_read", &table.after_read, kind, place, &["directory"]);
    only("move_to", &table.move_to, kind, place, &["directory"]);
    only(
        "incomplete_max",
        &table.incomplete_max,
        kind,
        place,
        &["directory"],
    );
    only("settle", &table.settle, kind, place, &["recordings"]);
    only(
        "name_parts",
        &table.name_parts,
        kind,
        place,
        &["recordings"],
    );
    // Of a recording only its name is read.
    const READ: &[&str] = &["files", "directory", "http", "udp"];
    only("format", &table.format, kind, place, READ);
    only("columns", &table.columns, kind, place, READ);
    only("timezone", &table.timezone, kind, place, READ);
    only("encoding", &table.encoding, kind, place, READ);
    let sought = &["files", "directory", "recordings"];
    only("start", &table.start, kind, place, sought);
    only("poll", &table.poll, kind, place, sought);
}

fn directory(table: &SourceTable, place: &mut Place<'_>) -> Option<Kind> {
    let patience = place.duration(
        "incomplete_max",
        &table.incomplete_max,
        INCOMPLETE_DEFAULT,
        PATIENCE,
    );
    let is_xml = word(&table.format).is_some_and(|format| format.contains("xml"));
    let default = if is_xml { "*.xml" } else { "*.json" };
    let folder = folder(
        "directory",
        &table.directory,
        default,
        patience,
        table,
        place,
    );
    let after = after(table, place)?;
    let folder = Folder {
        redo: after != After::Keep,
        ..folder?
    };
    Some(Kind::Directory { folder, after })
}

fn after(table: &SourceTable, place: &mut Place<'_>) -> Option<After> {
    let move_to = place.path("move_to", &table.move_to, "\"/var/spool/cdr-done\"");
    let word = place.choice(
        "after_read",
        &table.after_read,
        "keep",
        &[
            ("keep", "keep"),
            ("delete", "delete"),
            ("move_to", "move_to"),
        ],
    );
    match (word, move_to) {
        ("delete", None) => Some(After::Delete),
        ("move_to", Some(directory)) => {
            if !directory.is_dir() {
                let shown = directory.display();
                place.problem(
                    "move_to",
                    &table.move_to,
                    format!("{shown} is no directory; make it, where the agent's user may write"),
                );
                return None;
            }
            Some(After::MoveTo(directory))
        }
        ("move_to", None) => {
            place.problem(
                "move_to",
                &table.move_to,
                "missing; write move_to = \"/var/spool/cdr-done\", a directory",
            );
            None
        }
        (_, Some(_)) => {
            place.problem(
                "move_to",
                &table.move_to,
                "means nothing without after_read = \"move_to\"; write that too",
            );
            None
        }
        _ => Some(After::Keep),
    }
}

fn recordings(table: &SourceTable, place: &mut Place<'_>) -> Option<Kind> {
    let patience = place.duration("settle", &table.settle, SETTLE_DEFAULT, PATIENCE);
    let folder = folder(
        "recordings",
        &table.recordings,
        "*.wav",
        patience,
        table,
        place,
    );
    let parts = match place.given(
        "name_parts",
        &table.name_parts,
        "\"{caller_id}-{called_id}-{call_id}.wav\"",
    ) {
        None => None,
        Some(text) => match text.parse::<NameParts>() {
            Ok(parts) => Some(parts),
            Err(what) => {
                place.problem("name_parts", &table.name_parts, what);
                return None;
            }
        },
    };
    Some(Kind::Recordings {
        folder: folder?,
        parts,
    })
}

fn folder(
    key: &str,
    written: &Key<String>,
    names_default: &str,
    patience: Duration,
    table: &SourceTable,
    place: &mut Place<'_>,
) -> Option<Folder> {
    let directory = place.path(key, written, "\"/var/log/freeswitch/json_cdr\"")?;
    let names = place
        .given("names", &table.names, "[\"*.cdr.json\"]")
        .cloned()
        .unwrap_or_else(|| vec![names_default.to_string()]);
    if names.is_empty() {
        place.problem(
            "names",
            &table.names,
            "the list is empty, so nothing would be read; write like [\"*.cdr.json\"]",
        );
    }
    let mut globs = Vec::new();
    for name in names {
        match one_name(&name) {
            Some(glob) => globs.push(glob),
            None => place.problem(
                "names",
                &table.names,
                format!("{name:?} is no glob of a file's name; write like \"*.cdr.json\""),
            ),
        }
    }
    let below = place.given("subdirectories", &table.subdirectories, "\"*\"");
    let below: Vec<&str> = below.map_or(Vec::new(), |below| below.split('/').collect());
    if below.len() > LEVELS_MAX {
        place.problem(
            "subdirectories",
            &table.subdirectories,
            format!("at most {LEVELS_MAX} levels are looked into; write like \"*/*\""),
        );
    }
    let mut levels = Vec::new();
    for level in below {
        match one_name(level) {
            Some(glob) => levels.push(glob),
            None => place.problem("subdirectories", &table.subdirectories, format!("{level:?} is no glob of a directory's name; write one for each level, like \"*/*\"")),
        }
    }
    Some(Folder {
        directory,
        names: globs,
        levels,
        patience,
        redo: false,
    })
}

/// A glob of one name: without a `/`, and with `*` alone for any part of it.
fn one_name(text: &str) -> Option<Pattern> {
    let is_one = !text.is_empty() && !text.contains('/') && !text.contains("**");
    Pattern::new(text).ok().filter(|_| is_one)
}

fn listen(
    table: &SourceTable,
    own: &ListenTable,
    is_http: bool,
    place: &mut Place<'_>,
) -> Option<Kind> {
    let key = if is_http { "http" } else { "udp" };
    let named = |name: &str| format!("{key}.{name}");
    let like = if is_http {
        "\"127.0.0.1:8731\""
    } else {
        "\"127.0.0.1:8732\""
    };
    let text = place.required(&named("listen"), &own.listen, like)?;
    let address = match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => address,
        _ => {
            place.problem(
                &named("listen"),
                &own.listen,
                format!("{text:?} is no address with a port; write like {like}"),
            );
            return None;
        }
    };
    let allow = allow(&named("allow"), own, address, place);
    let rate_max = place.number(
        &named("rate_max"),
        &own.rate_max,
        i64::from(RATE_MAX_DEFAULT),
        1..=1_000_000,
    );
    let path = place
        .given(&named("path"), &own.path, "\"/\"")
        .cloned()
        .unwrap_or_else(|| "/".to_string());
    if own.path.is_some() && (!is_http || !path.starts_with('/') || path.contains(['?', '#', ' ']))
    {
        place.problem(
            &named("path"),
            &own.path,
            "write the path of the address that is posted to, like \"/vos\"; datagrams have none",
        );
    }
    let protocol = if is_http {
        let names = if word(&table.format) == Some(PUSH) {
            PAGES.map(str::to_string).to_vec()
        } else {
            Vec::new()
        };
        Protocol::Http(Pages { path, names })
    } else {
        Protocol::Udp
    };
    Some(Kind::Listen(listen::Settings {
        listen: address,
        allow: allow?,
        rate_max: u32::try_from(rate_max).ok()?,
        protocol,
    }))
}

fn allow(
    key: &str,
    own: &ListenTable,
    address: SocketAddr,
    place: &mut Place<'_>,
) -> Option<Vec<Network>> {
    const LIKE: &str = "[\"192.0.2.7\", \"198.51.100.0/24\"]";
    let Some(texts) = place.given(key, &own.allow, LIKE) else {
        if own.allow.is_none() && !address.ip().is_loopback() {
            place.problem(key, &own.allow, format!("missing; {address} can be reached from other machines, and whoever reaches it can make events: write allow = {LIKE}, the switch's addresses"));
        }
        return own.allow.is_none().then(|| Network::LOOPBACK.to_vec());
    };
    if texts.is_empty() {
        place.problem(
            key,
            &own.allow,
            format!("the list is empty, so nothing would be taken; write like {LIKE}"),
        );
    }
    let mut networks = Vec::new();
    for text in texts {
        match text.parse::<Network>() {
            Ok(network) => networks.push(network),
            Err(what) => place.problem(key, &own.allow, format!("{text:?} is no network; {what}")),
        }
    }
    Some(networks)
}

/// Complains of a format that does not go with what the source is.
pub fn check_format(kind: &Kind, format: &Format, table: &SourceTable, place: &mut Place<'_>) {
    let (is_document, name) = (format.reader.is_document(), &format.name);
    let what = match kind {
        Kind::Files if is_document => {
            "holds one record per file; write directory = \"…\" instead of files"
        }
        Kind::Directory { .. } if !is_document => {
            "holds lines; write files = [\"…\"] instead of directory, or a format like freeswitch-json"
        }
        Kind::Listen(settings) if settings.protocol == Protocol::Udp && is_document => {
            "does not come in datagrams; write format = \"vos3000-udp\""
        }
        _ => return,
    };
    place.problem("format", &table.format, format!("{name} {what}"));
}

/// The format of VOS3000's pushes, for a source that gets them: its pages are told apart by code,
/// because alarms come as a list to be compared.
pub fn push_format(kind: &Kind, written: &Key<String>) -> Option<Format> {
    let is_http = matches!(kind, Kind::Listen(settings) if settings.protocol != Protocol::Udp);
    (is_http && word(written) == Some(PUSH)).then(|| stand_in(PUSH, "call"))
}

/// What is said of `PUSH` where it is none; `None` for any other word.
pub fn no_push(written: &str) -> Option<String> {
    let what = "is what VOS3000 posts; write http = { listen = \"127.0.0.1:8731\" } beside it";
    (written == PUSH).then(|| format!("{written} {what}"))
}

/// Whether the rows are read by code of their own: `format` only stands for that.
pub fn is_stand_in(kind: &Kind, format: &Format) -> bool {
    matches!(kind, Kind::Recordings { .. }) || is_push(format)
}

/// The format of recordings, which have none.
pub fn recording_format() -> Format {
    stand_in("recordings", "recording")
}

/// What the rest of the program knows a source by whose rows are read by code of their own.
fn stand_in(name: &str, event: &str) -> Format {
    let column = ColumnTable {
        name: "time".to_string(),
        kind: Some("time".to_string()),
        meaning: Some("event_time".to_string()),
        ..ColumnTable::default()
    };
    let layout = LayoutTable {
        name: name.to_string(),
        columns: vec![column],
        ..LayoutTable::default()
    };
    let table = FormatTable {
        name: name.to_string(),
        event: Some(event.to_string()),
        reader: "json-document".to_string(),
        layout: vec![layout],
        ..FormatTable::default()
    };
    Format::from_table(&table).expect("it has a column with a time")
}

/// Whether `format` is the one of VOS3000's pushes.
pub fn is_push(format: &Format) -> bool {
    format.name == PUSH
}

/// Complains of two sources that listen in one place.
pub fn check_addresses(sources: &[SourceConfig], path: &Path, problems: &mut Problems) {
    let mut seen: Vec<(bool, SocketAddr, &str)> = Vec::new();
    for source in sources {
        let Kind::Listen(settings) = &source.kind else {
            continue;
        };
        let is_udp = settings.protocol == Protocol::Udp;
        let (address, name) = (settings.listen, &*source.files.name);
        let is_same = |(udp, known, _): &&(bool, SocketAddr, &str)| {
            *udp == is_udp
                && known.port() == address.port()
                && (known.ip() == address.ip()
                    || known.ip().is_unspecified()
                    || address.ip().is_unspecified())
        };
        if let Some((_, _, other)) = seen.iter().find(is_same) {
            let what = format!(
                "{address} is listened on by source {other:?} already; give this one another port"
            );
            problems.add(
                path,
                None,
                format!("source {name:?}: {}.listen", settings.protocol),
                what,
            );
        }
        seen.push((is_udp, address, name));
    }
}

/// The keys in force that say what the source is, as they would be written.
pub fn show(kind: &Kind, put: &mut dyn FnMut(&str, toml::Value)) {
    let texts = |texts: &[Pattern]| {
        let texts = texts.iter().map(|glob| glob.as_str().to_string());
        toml::Value::from(texts.collect::<Vec<_>>())
    };
    let mut show_folder = |folder: &Folder, key: &str, patience: &str| {
        put(key, folder.directory.display().to_string().into());
        put("names", texts(&folder.names));
        if !folder.levels.is_empty() {
            let levels: Vec<&str> = folder.levels.iter().map(Pattern::as_str).collect();
            put("subdirectories", levels.join("/").into());
        }
        put(patience, value::show_duration(folder.patience).into());
    };
    match kind {
        Kind::Files => {}
        Kind::Directory { folder, after } => {
            show_folder(folder, "directory", "incomplete_max");
            put("after_read", after.word().into());
            if let After::MoveTo(directory) = after {
                put("move_to", directory.display().to_string().into());
            }
        }
        Kind::Recordings { folder, parts } => {
            show_folder(folder, "recordings", "settle");
            if let Some(parts) = parts {
                put("name_parts", parts.to_string().into());
            }
        }
        Kind::Listen(settings) => {
            let mut table = toml::Table::new();
            table.insert("listen".to_string(), settings.listen.to_string().into());
            let allow: Vec<String> = settings.allow.iter().map(ToString::to_string).collect();
            table.insert("allow".to_string(), allow.into());
            table.insert("rate_max".to_string(), i64::from(settings.rate_max).into());
            if let Protocol::Http(pages) = &settings.protocol {
                table.insert("path".to_string(), pages.path.clone().into());
            }
            put(&settings.protocol.to_string(), table.into());
        }
    }
}

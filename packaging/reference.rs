//! The reference of the configuration and of the log's lines, from the code that reads and says them.
//!
//! What keys there are and what they mean is in `src/config/file.rs`. What may be written is asked of
//! the reader itself: each key is given something that cannot be right, and the reader's own words say
//! the type, the default and the range. A key that is added to the file is in here by itself.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use switchhook::config::{Config, Problem};
use switchhook::logging::message::{LIBRARY, MESSAGES};

/// The structure that stands for the whole file.
const FILE: &str = "ConfigFile";

/// What stands above the tables.
const INTRODUCTION: &str = "\
# Configuration reference

Written by `cargo run --example pages -- --docs` from the code that reads the configuration; a test compares it.

One file, `/etc/switchhook/switchhook.toml`; files in `conf.d/*.toml` beside it add whole tables. An unknown key is an error. Times
and sizes are texts with a unit: `\"250ms\"`, `\"30s\"`, `\"5m\"`, `\"1h\"`, `\"30d\"`; `\"64KiB\"`, `\"512MiB\"`, `\"1GiB\"`. Relative paths begin
at the file's own directory. `switchhook check` shows what is in force, and every mistake with its line; `switchhook reload` takes
it on whole, or not at all.

Where no default is named there is none: the key is required, or what it is about stays off. A range that follows another key is shown for that key's
default, and the defaults of an endpoint's times and attempts for `profile = \"standard\"`.
";

/// A table of the configuration: a structure of `file.rs`.
struct Table {
    name: String,
    keys: Vec<Key>,
}

/// A field of one.
struct Key {
    name: String,
    /// The Rust type, without the `Key<…>` around it.
    kind: String,
    doc: String,
}

/// The text of `docs/configuration.md`.
pub fn configuration() -> Result<String, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/file.rs");
    let tables = tables(&fs::read_to_string(path)?);
    let probe = Probe::new()?;
    let mut text = INTRODUCTION.to_string();
    for (place, table) in places(&tables) {
        let below = |kind: &str| tables.iter().any(|table| table.name == inner(kind));
        let heading = match (place.as_str(), place.contains("http")) {
            ("", _) => "At the top of the file".to_string(),
            (_, true) => "`http = { … }` and `udp = { … }` of `[[source]]`".to_string(),
            (place, _) => format!("`{}`", bracketed(place, &tables)),
        };
        write!(
            text,
            "\n## {heading}\n\n| key | what | what may be written |\n|---|---|---|\n"
        )?;
        for key in table.keys.iter().filter(|key| !below(&key.kind)) {
            let may = probe.may_be(&place, key)?;
            writeln!(
                text,
                "| `{}` | {} | {} |",
                key.name,
                cell(&key.doc),
                cell(&may)
            )?;
        }
    }
    Ok(text)
}

/// What stands above the messages.
const MESSAGES_INTRODUCTION: &str = "\
# Log lines

Written by `cargo run --example pages -- --docs` from the table in the program; a test compares it. `switchhook messages` prints the same, `--json` for
a machine.

Every line has an id that never changes, though its words may. It is RFC 5424's MSGID, with the line's `key=value` pairs as structured
data in the element `switchhook@32473` (an enterprise number set aside for examples: there is none of our own). With `format = \"rfc3164\"`, the
default on the local socket, and on a terminal it stands first in the text:

```text
<28>Nov  1 05:36:33 switchhook[4711]: SH301 endpoint failing endpoint=billing attempts=3 error=\"connect: 203.0.113.5:443: Connection refused (os error 111)\"
<28>1 2026-11-01T05:36:33.120Z sw1 switchhook 4711 SH301 [switchhook@32473 endpoint=\"billing\" attempts=\"3\" error=\"connect: 203.0.113.5:443: Connection refused (os error 111)\"] endpoint failing endpoint=billing attempts=3 error=\"connect: 203.0.113.5:443: Connection refused (os error 111)\"
```

How many lines leave is bounded: 200 at once and 20 a second, errors 1,000 and 100, single attempts (SH320) 50 and 5. What is beyond is counted,
and told as SH901. A line says a change, once, not a state again and again; the state is in `switchhook status`.

To have rsyslog understand RFC 5424 on a socket of its own, and file by id:

```rsyslog
module(load=\"imuxsock\" SysSock.Use=\"off\")
input(type=\"imuxsock\" Socket=\"/run/switchhook/log\" CreatePath=\"on\" UseSpecialParser=\"off\" ParseHostname=\"on\")
if $msgid == \"SH301\" or $msgid == \"SH307\" then action(type=\"omfile\" file=\"/var/log/switchhook-endpoints.log\")
```

```toml
[log]
to = \"syslog\"
socket = \"/run/switchhook/log\"
format = \"rfc5424\"
```
";

/// The text of `docs/messages.md`.
pub fn messages() -> String {
    let mut text = MESSAGES_INTRODUCTION.to_string();
    text.push_str("\n| id | level | who | line | what to do |\n|---|---|---|---|---|\n");
    for message in MESSAGES.iter().chain([&LIBRARY]) {
        let line = match message.lead {
            "" => "(a library\u{2019}s words)".to_string(),
            lead => code(lead),
        };
        text.push_str(&format!(
            "| {} | {} | {} | {line} | {} |\n",
            message.id,
            message.level.to_string().to_lowercase(),
            message.who.word(),
            cell(message.what)
        ));
    }
    text
}

/// Reads the structures and their fields.
fn tables(code: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let (mut doc, mut renamed) = (String::new(), None);
    for line in code.lines().map(str::trim) {
        if let Some(more) = line.strip_prefix("/// ") {
            if !doc.is_empty() {
                doc.push(' ');
            }
            doc.push_str(more);
        } else if let Some(rest) = line.strip_prefix("pub struct ") {
            let name = rest.split([' ', '(', '<']).next().unwrap_or_default();
            doc.clear();
            tables.push(Table {
                name: name.to_string(),
                keys: Vec::new(),
            });
        } else if let Some(rest) = line.strip_prefix("#[serde(rename = \"") {
            renamed = rest.split('"').next().map(str::to_string);
        } else if let (Some((name, kind)), Some(table)) = (field(line), tables.last_mut()) {
            table.keys.push(Key {
                name: renamed.take().unwrap_or(name),
                kind,
                doc: std::mem::take(&mut doc),
            });
        } else if !line.starts_with("#[") {
            doc.clear();
        }
    }
    tables
}

/// `pub name: Key<String>,` as its name and `String`.
fn field(line: &str) -> Option<(String, String)> {
    let (name, kind) = line
        .strip_prefix("pub ")?
        .strip_suffix(',')?
        .split_once(": ")?;
    let inner = kind
        .strip_prefix("Key<")
        .and_then(|kind| kind.strip_suffix('>'));
    Some((name.to_string(), inner.unwrap_or(kind).to_string()))
}

/// `SourceTable` of `Vec<SourceTable>`.
fn inner(kind: &str) -> &str {
    let kind = kind
        .strip_prefix("Vec<")
        .or(kind.strip_prefix("Option<"))
        .unwrap_or(kind);
    kind.trim_end_matches('>')
}

/// Every table that can be reached from the file, with its place: `source.pattern`. The same structure is
/// told once.
fn places(tables: &[Table]) -> Vec<(String, &Table)> {
    let named = |name: &str| tables.iter().find(|table| table.name == name);
    let mut found: Vec<(String, &Table)> = Vec::new();
    let mut next: VecDeque<_> = named(FILE)
        .map(|table| (String::new(), table))
        .into_iter()
        .collect();
    while let Some((place, table)) = next.pop_front() {
        if found.iter().any(|(_, known)| known.name == table.name) {
            continue;
        }
        let below = table.keys.iter().filter_map(|key| {
            let place = format!("{place}.{}", key.name);
            Some((
                place.trim_start_matches('.').to_string(),
                named(inner(&key.kind))?,
            ))
        });
        // What is below a table follows it at once.
        let mut deeper: VecDeque<_> = below.collect();
        found.push((place, table));
        deeper.append(&mut next);
        next = deeper;
    }
    found
}

/// `[source.summary]` or `[[source.pattern]]`, as the structure above says that it is a list.
fn bracketed(place: &str, tables: &[Table]) -> String {
    let (above, last) = place.rsplit_once('.').unwrap_or(("", place));
    let owner = places(tables).into_iter().find(|(known, _)| known == above);
    let key = owner.and_then(|(_, table)| table.keys.iter().find(|key| key.name == last));
    if key.is_some_and(|key| key.kind.starts_with("Vec<")) {
        format!("[[{place}]]")
    } else {
        format!("[{place}]")
    }
}

/// Asks the reader of the configuration what a key may be.
struct Probe(tempfile::TempDir);

/// Sources that are right, as beginnings: keys that one of them has no use for another may have.
const SOURCES: [&str; 9] = [
    "name = \"cdr\"\nformat = \"vos3000-csv\"\nfiles = [\"/nowhere/*.csv\"]\nstart = \"now\"\ntimezone = \"UTC\"",
    "name = \"cdr\"\nformat = \"delimited\"\nfiles = [\"/nowhere/*.csv\"]\nstart = \"now\"\ntimezone = \"UTC\"\ndelimiter = \",\"\ncolumns = [{ name = \"a\", as = \"call_id\" }]",
    "name = \"cdr\"\nformat = \"key-value\"\nfiles = [\"/nowhere/*.log\"]\nstart = \"now\"\ntimezone = \"UTC\"\ncolumns = [{ name = \"a\", as = \"call_id\" }]",
    "name = \"cdr\"\nformat = \"json-document\"\ndirectory = \"/nowhere\"\nstart = \"now\"\ntimezone = \"UTC\"\ncolumns = [{ name = \"a\", as = \"call_id\" }]",
    "name = \"cdr\"\nformat = \"freeswitch-json\"\ndirectory = \"/nowhere\"\nstart = \"now\"",
    "name = \"cdr\"\nformat = \"kamailio-acc\"\nfiles = [\"/nowhere/*.log\"]\nstart = \"now\"\ntimezone = \"UTC\"",
    "name = \"rec\"\nrecordings = \"/nowhere\"\nstart = \"now\"",
    "name = \"push\"\nformat = \"vos3000-push\"",
    "name = \"cdr\"\nformat = \"pattern\"\nfiles = [\"/nowhere/*.log\"]\nstart = \"now\"\ntimezone = \"UTC\"",
];

/// Endpoints that are right.
const ENDPOINTS: [&str; 2] = [
    "name = \"billing\"\nurl = \"https://api.example.com/webhook\"\nevents = [\"*\"]\nsignature = \"none\"",
    "name = \"billing\"\nurl = \"https://api.example.com/webhook\"\nevents = [\"*\"]\nsignature = \"none\"\nprofile = \"custom\"",
];

/// Where the reader's advice begins.
const ADVICE: &str = "write ";

impl Probe {
    fn new() -> Result<Probe, Box<dyn Error>> {
        Ok(Probe(tempfile::tempdir()?))
    }

    /// What the reader says about `key` of the table at `place`, in words and code.
    fn may_be(&self, place: &str, key: &Key) -> Result<String, Box<dyn Error>> {
        let ask = |value: &str, with: &str| self.advice(place, &key.name, value, with);
        let (kind, wrong, beyond): (_, _, &[&str]) = match key.kind.as_str() {
            "String" => (
                "text",
                "{ wrong = true }",
                &["\"0ms\"", "\"99999999d\"", "\"0B\"", "\"9999999GiB\""],
            ),
            "i64" => (
                "number",
                "\"wrong\"",
                &["-9223372036854775808", "9223372036854775807"],
            ),
            "bool" => ("`true` or `false`", "\"wrong\"", &[]),
            "toml::Value" => ("as described", "1", &[]),
            "Vec<String>" => ("list of texts", "1", &[]),
            "Vec<Vec<String>>" => ("list of lists of texts", "1", &[]),
            kind if kind.starts_with("Vec<") => ("list", "1", &[]),
            "toml::Table" => ("table", "1", &[]),
            kind if kind.starts_with("BTreeMap<") => ("table", "1", &[]),
            _ => ("", "1", &[]),
        };
        let mut range = None;
        for value in beyond {
            range = range.or(ask(value, "is out of range")?);
        }
        let like = ask(wrong, "does not belong here")?.map(|advice| {
            // Everything but the value itself has been said: `pattern 1: match = …`.
            let value = advice.split_once(&format!("{} = ", key.name));
            value.map_or(advice.clone(), |(_, value)| value.to_string())
        });
        if let Some(range) = range {
            return Ok(match like {
                // Nothing is what is off when nothing is said.
                Some(off) if off == "\"0s\"" => range,
                Some(default) => format!("{range}; default {}", code(&default)),
                None => range,
            });
        }
        if key.kind == "String"
            && let Some(words) = ask("\"?\"", "is not known")?
        {
            let words = words
                .split([',', ' '])
                .filter(|word| !matches!(*word, "" | "or"));
            return Ok(format!(
                "one of {}",
                words.map(code).collect::<Vec<_>>().join(", ")
            ));
        }
        Ok(match (key.kind.as_str(), like) {
            ("bool", Some(default)) => format!("`true` or `false`; default {}", code(&default)),
            (_, Some(like)) if kind.is_empty() => code(&like),
            (_, Some(like)) => format!("{kind}, like {}", code(&like)),
            (_, None) => kind.to_string(),
        })
    }

    /// The reader's advice on `value`, where its complaint has the words `about`.
    fn advice(
        &self,
        place: &str,
        key: &str,
        value: &str,
        about: &str,
    ) -> Result<Option<String>, Box<dyn Error>> {
        for text in around(place, key, value) {
            let file = self.0.path().join("probe.toml");
            fs::write(&file, text)?;
            let Err(problems) = Config::load(&file) else {
                continue;
            };
            let is_about = |problem: &&Problem| {
                problem.key.rsplit([' ', '.']).next() == Some(key) && problem.what.contains(about)
            };
            if let Some(problem) = problems.0.iter().find(is_about) {
                let advice = problem
                    .what
                    .split_once(ADVICE)
                    .map(|(_, advice)| advice.to_string());
                return Ok(advice);
            }
        }
        Ok(None)
    }
}

/// Configurations that are right but for `key` of the table at `place`.
fn around(place: &str, key: &str, value: &str) -> Vec<String> {
    let without = |base: &str| {
        let kept = base
            .lines()
            .filter(|line| line.split(' ').next() != Some(key));
        kept.collect::<Vec<_>>().join("\n")
    };
    let (owner, below) = place.split_once('.').unwrap_or((place, ""));
    let bases: &[&str] = match owner {
        "source" => &SOURCES,
        "endpoint" => &ENDPOINTS,
        "" => return vec![format!("{key} = {value}\n")],
        owner => return vec![format!("[{owner}]\n{key} = {value}\n")],
    };
    let written = bases.iter().map(|base| match below {
        "" => format!("[[{owner}]]\n{key} = {value}\n{}\n", without(base)),
        "pattern" => {
            let pattern = without("match = '^(?<object>.*)$'\nevent = \"call\"");
            format!(
                "[[{owner}]]\n{}\n[[{place}]]\n{pattern}\n{key} = {value}\n",
                base.replace("delimited", "pattern")
            )
        }
        below => {
            let own = without("listen = \"127.0.0.1:8731\"\nevery = \"1h\"");
            let own = own
                .lines()
                .filter(|line| line.starts_with("listen") == (below != "summary"));
            let own = own.collect::<Vec<_>>().join("\n");
            format!("[[{owner}]]\n{base}\n[{place}]\n{own}\n{key} = {value}\n")
        }
    });
    written.collect()
}

/// Text as code, also where it has code in it.
fn code(text: &str) -> String {
    if text.contains('`') {
        format!("``{text}``")
    } else {
        format!("`{text}`")
    }
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

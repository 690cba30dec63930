//! What `formats show` says of the general formats: keys of a source to paste, with everything in them that
//! a file of columns or a text log needs.

use crate::parser::reader::{GENERAL, PATTERN};

/// The keys before the columns, which are the same for all.
const BEFORE: [(&str, &str); 5] = [
    (
        "delimited",
        "delimiter = \",\"   # or \";\", \"|\", \"\\t\"\nquote = '\"'   # or \"none\"\nheader = \"auto\"   # or \"present\", \"absent\"; columns are in the order of the file's\n",
    ),
    (
        "key-value",
        "delimiter = \";\"   # between pairs\nassign = \"=\"   # between a name and its value\n",
    ),
    ("json-lines", ""),
    (
        "json-document",
        "# beside directory = \"…\", in which each file is one object\n",
    ),
    (
        "xml-document",
        "# beside directory = \"…\", in which each file is one element\n",
    ),
];

const COLUMNS: &str = r#"timezone = "UTC"   # the zone that the switch's clock shows
columns = [
  { name = "id", as = "call_id" },
  { name = "caller", as = "caller_id" },
  { name = "callee", as = "called_id" },
  { name = "begun", type = "time", as = "start_time" },
  { name = "talked", type = "seconds", as = "hold_duration" },
  { name = "result", as = "disconnect_reason" },
]"#;

const PATTERNS: &str = r#"timezone = "UTC"   # the zone that the log's clock shows

[[source.pattern]]   # a call in a line
match = '^(?<start_time>\S+ \S+) from (?<caller_id>\S+) to (?<called_id>\S+) lasted (?<hold_duration>\S+)$'
event = "cdr"

[[source.pattern]]   # what is wrong until it is right again
match = '^(?<time>\S+ \S+) gateway (?<name>\S+) is (?<state>down|up)$'
event = "alarm"
fields = { alarm_type = "gateway" }
state = { down = "raised", up = "cleared" }"#;

/// Of the general format called `name`: what it reads, and the keys to paste.
pub fn keys(name: &str) -> Option<(&'static str, String)> {
    let (_, what) = GENERAL.iter().find(|(word, _)| *word == name)?;
    let format = format!("format = {name:?}\n");
    if name == PATTERN {
        return Some((what, format + PATTERNS));
    }
    let (_, before) = BEFORE.iter().find(|(word, _)| *word == name)?;
    Some((what, format + before + COLUMNS))
}

//! `switchhook support-bundle`: one file with everything that helps to find out what is wrong,
//! and nothing that is nobody's business.

use super::ask::AgentArgument;
use super::{Exit, screen};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::control::client::{Client, ClientError};
use crate::control::mask::masked_text;
use crate::control::protocol::{DeadFilter, Reply, Request};
use crate::control::status::Status;
use crate::queue::Size;
use crate::timestamp::Timestamp;
use clap::Args;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Most bytes of one part: a status of 64 endpoints takes some 64 KiB.
const PART_BYTES_MAX: usize = 256 << 10;

/// Dead letters looked at for the count of reasons.
const LETTERS_MAX: usize = 1_000;

/// Bytes at the end of the set-aside file that are looked at for the count of reasons.
const SET_ASIDE_BYTES: u64 = 256 << 10;

/// Files named of the state directory.
const FILES_MAX: usize = 500;

/// Reasons told.
const REASONS_MAX: usize = 20;

/// The arguments of `support-bundle`.
#[derive(Debug, Args)]
#[command(after_help = "\
Holds: versions, the status, the configuration in force with every secret hidden, the reasons of
dead letters and of rows set aside (not the rows), the files of the state directory, and facts of
this machine. Telephone numbers and secrets are not in it; read it before you send it.

Example: switchhook support-bundle --output /tmp/switchhook.txt")]
pub struct BundleArguments {
    #[command(flatten)]
    agent: AgentArgument,
    /// The file to write, mode 0600; there must be none of this name.
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "switchhook-support.txt"
    )]
    output: PathBuf,
}

/// Writes the bundle.
pub fn bundle(arguments: &BundleArguments) -> Exit {
    let text = gather(arguments);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&arguments.output)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            screen::line(format_args!(
                "{} written, {}; read it before you send it",
                arguments.output.display(),
                Size(text.len() as u64)
            ));
            Exit::Success
        }
        Err(error) => {
            screen::complaint(format_args!(
                "cannot write {}: {error}; name another file with --output",
                arguments.output.display()
            ));
            Exit::Usage
        }
    }
}

fn gather(arguments: &BundleArguments) -> String {
    let mut out = String::new();
    let now = SystemClock::new().wall();
    let head = format!(
        "switchhook {} support bundle, {}\n",
        env!("CARGO_PKG_VERSION"),
        Timestamp::from_secs(now.unix_secs())
    );
    out.push_str(&head);
    part(&mut out, "this machine", &machine());
    let agent = &arguments.agent;
    match asked(agent) {
        Ok(status) => {
            let json = serde_json::to_string_pretty(&status).unwrap_or_default();
            part(&mut out, "status", &json);
        }
        Err(error) => part(&mut out, "status", &error.to_string()),
    }
    part(&mut out, "reasons of dead letters", &dead_letters(agent));
    match Config::load(agent.config()) {
        Ok(config) => {
            part(
                &mut out,
                "configuration in force, secrets hidden",
                &config.show(),
            );
            let state_dir = &config.state_dir;
            part(&mut out, "reasons of rows set aside", &set_aside(state_dir));
            part(&mut out, "state directory", &listing(state_dir));
        }
        // Problems name keys and what to write, and never a secret.
        Err(problems) => part(&mut out, "configuration", &problems.to_string()),
    }
    out
}

fn asked(agent: &AgentArgument) -> Result<Status, ClientError> {
    let mut client = Client::ask(&agent.socket(), &Request::Status)?;
    loop {
        if let Reply::Done(value) = client.read()? {
            return serde_json::from_value(value)
                .map_err(|error| ClientError::Silent(error.into()));
        }
    }
}

/// How many dead letters there are of each endpoint and reason.
fn dead_letters(agent: &AgentArgument) -> String {
    let request = Request::DeadLetters {
        filter: DeadFilter::default(),
        payload: false,
        limit: LETTERS_MAX,
    };
    let mut reasons = BTreeMap::new();
    let counted = Client::ask(&agent.socket(), &request).and_then(|mut client| {
        loop {
            match client.read()? {
                Reply::Item(item) => {
                    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or("-");
                    let key = format!("{}: {}", text("endpoint"), masked_text(text("reason")));
                    *reasons.entry(key).or_insert(0_u64) += 1;
                }
                Reply::Done(_) => return Ok(()),
                _ => {}
            }
        }
    });
    match counted {
        Ok(()) => counts(reasons),
        Err(error) => error.to_string(),
    }
}

/// How many of the latest rows set aside have each reason.
fn set_aside(state_dir: &Path) -> String {
    let path = state_dir.join("set-aside.jsonl");
    let read = fs::File::open(&path).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SET_ASIDE_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(SET_ASIDE_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => return format!("{}: {error}", path.display()),
    };
    let mut reasons = BTreeMap::new();
    let lines = bytes.split(|byte| *byte == b'\n');
    for entry in lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok()) {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("-");
        let key = format!("{}: {}", text("source"), masked_text(text("reason")));
        *reasons.entry(key).or_insert(0_u64) += 1;
    }
    counts(reasons)
}

fn counts(reasons: BTreeMap<String, u64>) -> String {
    let mut reasons: Vec<(String, u64)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let lines = reasons
        .iter()
        .take(REASONS_MAX)
        .map(|(reason, count)| format!("{count:>8}  {reason}"));
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        "none".to_string()
    } else {
        lines.join("\n")
    }
}

fn listing(directory: &Path) -> String {
    let mut lines = Vec::new();
    if let Err(error) = list_into(directory, directory, &mut lines) {
        lines.push(format!("{}: {error}", directory.display()));
    }
    lines.sort();
    lines.join("\n")
}

fn list_into(root: &Path, directory: &Path, lines: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if lines.len() >= FILES_MAX {
            return Ok(());
        }
        let metadata = entry.metadata()?;
        let path = entry.path();
        if metadata.is_dir() {
            list_into(root, &path, lines)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path);
            lines.push(format!("{}  {} bytes", name.display(), metadata.len()));
        }
    }
    Ok(())
}

/// Kernel, distribution, limits, memory and disks.
fn machine() -> String {
    let mut out = String::new();
    for path in [
        "/proc/version",
        "/etc/os-release",
        "/proc/loadavg",
        "/proc/self/limits",
    ] {
        let text = fs::read_to_string(path).unwrap_or_else(|error| error.to_string());
        // A String takes everything.
        let _ok = writeln!(out, "{path}:\n{}\n", text.trim_end());
    }
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory: Vec<&str> = memory.lines().take(3).collect();
    let _ok = write!(out, "/proc/meminfo:\n{}", memory.join("\n"));
    out
}

fn part(out: &mut String, title: &str, text: &str) {
    let end = (0..=PART_BYTES_MAX.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    let shown = text.get(..end).unwrap_or_default();
    let _ok = write!(out, "\n===== {title} =====\n{}\n", shown.trim_end());
    if shown.len() < text.len() {
        let _ok = writeln!(out, "(cut: {} bytes in all)", text.len());
    }
}

//! `switchhook sources`: every file the agent remembers, and how far it has read it.

use super::ask::AgentArgument;
use super::{Exit, endpoints, screen};
use crate::config::Config;
use crate::control::protocol::Request;
use crate::ingest;
use crate::queue::{Queue, QueueError, Size};
use clap::{Args, Subcommand};
use serde_json::Value;

/// The arguments of `sources`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  switchhook sources\n  switchhook sources --source cdr --behind\n\n\
    A file is known by device, inode and content, whatever it is called by now. `rows` is an estimate."
)]
pub struct SourcesArguments {
    #[command(subcommand)]
    command: Option<SourcesCommand>,
    #[command(flatten)]
    agent: AgentArgument,
    /// Only the files of this source.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only files with something that was not read yet.
    #[arg(long)]
    behind: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// What else can be done with sources.
#[derive(Debug, Subcommand)]
pub enum SourcesCommand {
    /// Give up the positions and the state of a source that is not configured any more.
    #[command(
        after_help = "Works with the running agent and without one. Its counts and its events stay. A source of that name begins anew: `start` applies to it.\n\nExample: switchhook sources forget old-vos"
    )]
    Forget {
        /// The source's name.
        name: String,
        #[command(flatten)]
        agent: AgentArgument,
    },
}

fn forget_one(queue: &Queue, config: &Config, name: &str) -> Result<Exit, QueueError> {
    if config.sources.iter().any(|it| *it.files.name == *name) {
        screen::complaint(format_args!(
            "source {name} is configured; take its table out of the configuration first"
        ));
        return Ok(Exit::Usage);
    }
    let Some(forgotten) = ingest::forget(queue, name)? else {
        screen::complaint(format_args!("the queue knows no source {name}"));
        return Ok(Exit::Usage);
    };
    screen::line(format_args!(
        "source {name} forgotten: {forgotten} given up; its counts and events stay"
    ));
    Ok(Exit::Success)
}

/// Lists the files, or does what else is said.
pub fn sources(arguments: &SourcesArguments) -> Exit {
    if let Some(SourcesCommand::Forget { name, agent }) = &arguments.command {
        let request = Request::ForgetSource {
            source: name.clone(),
        };
        return endpoints::or_stopped(agent, &request, || {
            endpoints::with_queue(agent.config(), |queue, config| {
                forget_one(queue, config, name)
            })
        });
    }
    let request = Request::Sources {
        source: arguments.source.clone(),
    };
    let mut files: Vec<Value> = Vec::new();
    if let Err(exit) = arguments.agent.ask(&request, |file| files.push(file)) {
        return exit;
    }
    let unread = |file: &Value| {
        file.get("unread_bytes")
            .and_then(Value::as_u64)
            .unwrap_or(0)
    };
    files.retain(|file| !arguments.behind || unread(file) > 0);
    let name = |file: &Value, key: &str| file.get(key).and_then(Value::as_str).map(str::to_string);
    files.sort_by_key(|file| (name(file, "source"), name(file, "path")));
    if arguments.json {
        files.iter().for_each(screen::line);
        return Exit::Success;
    }
    if files.is_empty() {
        screen::line("no file");
    }
    let mut source = None;
    for file in &files {
        let of = name(file, "source");
        if source != of {
            screen::line(screen::styled(
                screen::HEAD,
                format_args!("# source {:?}", of.as_deref().unwrap_or_default()),
            ));
            source = of;
        }
        screen::line(line(file));
    }
    Exit::Success
}

fn line(file: &Value) -> String {
    let whole = |key: &str| file.get(key).and_then(Value::as_u64);
    let text = |key: &str| file.get(key).and_then(Value::as_str).unwrap_or_default();
    if file.get("pushes").is_some() {
        return text("shown").to_string();
    }
    let mut line = format!(
        "{}  {}  {} of {}",
        text("path"),
        text("state"),
        Size(whole("offset").unwrap_or(0)),
        Size(whole("size_bytes").unwrap_or(0)),
    );
    if let Some(unread) = whole("unread_bytes").filter(|unread| *unread > 0) {
        let rows = whole("unread_rows").map_or_else(String::new, |rows| format!(", {rows} rows"));
        line.push_str(&format!("  unread {}{rows}", Size(unread)));
    }
    if let Some(secs) = whole("behind_secs") {
        line.push_str(&format!("  behind for {secs} s"));
    }
    if let Some(partial) = whole("partial_bytes") {
        line.push_str(&format!("  partial line of {partial} bytes"));
    }
    let (device, inode) = (whole("device").unwrap_or(0), whole("inode").unwrap_or(0));
    line.push_str(&format!("  inode {device}:{inode}"));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_says_what_is_known_and_no_more() {
        let mut file = json!({
            "source": "cdr", "path": "/cdr/a.txt", "state": "followed", "device": 8, "inode": 7,
            "offset": 2_048, "size_bytes": 4_096, "unread_bytes": 2_048, "unread_rows": 6,
            "behind_secs": 3, "partial_bytes": 12,
        });
        assert_eq!(
            line(&file),
            "/cdr/a.txt  followed  2.0 KiB of 4.0 KiB  unread 2.0 KiB, 6 rows  behind for 3 s  partial line of 12 bytes  inode 8:7"
        );
        for key in ["unread_rows", "behind_secs", "partial_bytes"] {
            file[key] = Value::Null;
        }
        file["unread_bytes"] = json!(0);
        assert_eq!(
            line(&file),
            "/cdr/a.txt  followed  2.0 KiB of 4.0 KiB  inode 8:7"
        );
    }
}

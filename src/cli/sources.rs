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
    A file is known by device, inode and content, whatever it is called by now. `rows` is an estimate. \
    Of a directory with one document or recording a file there is one line."
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
        let of = |key| file.get(key).and_then(Value::as_u64);
        of("unread_bytes").or(of("files_unread")).unwrap_or(0)
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
    if file.get("files_read").is_some() {
        return directory(file);
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
        let secs = whole("partial_secs").map_or_else(String::new, |secs| format!(" for {secs} s"));
        line.push_str(&format!("  partial line of {partial} bytes{secs}"));
    }
    let (device, inode) = (whole("device").unwrap_or(0), whole("inode").unwrap_or(0));
    line.push_str(&format!("  inode {device}:{inode}"));
    line
}

/// The line of a directory of documents or recordings.
fn directory(it: &Value) -> String {
    let whole = |key: &str| it.get(key).and_then(Value::as_u64).unwrap_or(0);
    let text = |key: &str| it.get(key).and_then(Value::as_str);
    let mut line = format!(
        "{}  directory  {} read, {} set aside, {} gone before they were read  {} remembered",
        text("path").unwrap_or_default(),
        whole("files_read"),
        whole("files_set_aside"),
        whole("files_gone_unread"),
        whole("files_remembered"),
    );
    let unread = whole("files_unread");
    if unread > 0 {
        let incomplete = whole("files_incomplete");
        line.push_str(&format!(
            "  unread {unread}, {incomplete} of them unfinished"
        ));
    }
    if let (Some(file), Some(at)) = (text("last_file"), text("last_file_changed_at")) {
        line.push_str(&format!("  last {file} of {at}"));
    }
    if let Some(set_aside) = text("last_set_aside") {
        line.push_str(&format!("  last set aside {set_aside}"));
    }
    if let Some(unreadable) = text("unreadable") {
        line.push_str(&format!("  cannot read {unreadable}"));
    }
    if let Some(trouble) = text("trouble") {
        line.push_str(&format!("  {trouble}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_line_of_a_directory_says_how_many_files_and_which_was_the_last() {
        let mut it = json!({
            "source": "fs", "path": "/fs/json_cdr", "state": "directory", "files_read": 12,
            "files_set_aside": 1, "files_gone_unread": 0, "files_remembered": 4, "files_unread": 3,
            "files_incomplete": 1, "last_file": "/fs/json_cdr/a.json",
            "last_file_changed_at": "2026-04-10T14:30:45Z", "last_set_aside": "b.json: no JSON",
        });
        let counts = "/fs/json_cdr  directory  12 read, 1 set aside, 0 gone before they were read  4 remembered";
        let last = "  last /fs/json_cdr/a.json of 2026-04-10T14:30:45Z";
        assert_eq!(
            line(&it),
            format!(
                "{counts}  unread 3, 1 of them unfinished{last}  last set aside b.json: no JSON"
            )
        );
        it["files_unread"] = json!(0);
        it["last_file"] = Value::Null;
        it["last_set_aside"] = Value::Null;
        assert_eq!(line(&it), counts);
    }

    #[test]
    fn a_line_says_what_is_known_and_no_more() {
        let mut file = json!({
            "source": "cdr", "path": "/cdr/a.txt", "state": "followed", "device": 8, "inode": 7,
            "offset": 2_048, "size_bytes": 4_096, "unread_bytes": 2_048, "unread_rows": 6,
            "behind_secs": 3, "partial_bytes": 12, "partial_secs": 90,
        });
        assert_eq!(
            line(&file),
            "/cdr/a.txt  followed  2.0 KiB of 4.0 KiB  unread 2.0 KiB, 6 rows  behind for 3 s  partial line of 12 bytes for 90 s  inode 8:7"
        );
        for key in [
            "unread_rows",
            "behind_secs",
            "partial_bytes",
            "partial_secs",
        ] {
            file[key] = Value::Null;
        }
        file["unread_bytes"] = json!(0);
        assert_eq!(
            line(&file),
            "/cdr/a.txt  followed  2.0 KiB of 4.0 KiB  inode 8:7"
        );
    }
}

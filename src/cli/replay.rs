//! `switchhook replay`: rows of the switch's own files told once more.

use super::ask::AgentArgument;
use super::{Exit, screen};
use crate::control::protocol::Request;
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

/// The arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
The events have the same ids as before, so a receiver that keeps ids tells a repeat from a call it
has not seen. They go to every endpoint that wants them.

Example: switchhook replay --source cdr --from 2026-04-10T00:00:00+06:00 --to 2026-04-10T06:00:00+06:00 --dry-run
Example: switchhook replay --source cdr --file /home/kunshi/mbx3000/cdr/2026041014.txt")]
pub struct ReplayArguments {
    /// The source whose format and name the rows have.
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Rows not before this time, with its zone.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<jiff::Timestamp>,
    /// Rows before this time, with its zone.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<jiff::Timestamp>,
    /// The rows of this file, instead of all files of the source.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only count.
    #[arg(long)]
    dry_run: bool,
    /// Most rows told in a second.
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    rate: u32,
    #[command(flatten)]
    agent: AgentArgument,
}

/// A time with its zone.
fn time(text: &str) -> Result<jiff::Timestamp, String> {
    text.parse().map_err(|_| {
        "write it with its zone, like 2026-04-10T14:00:00+06:00 or 2026-04-10T08:00:00Z".to_string()
    })
}

/// Has the agent tell rows again.
pub fn replay(arguments: &ReplayArguments) -> Exit {
    let wrong = match (&arguments.file, arguments.from, arguments.to) {
        (None, None, None) => Some("say which rows: --file, or --from and --to"),
        (_, Some(from), Some(to)) if from >= to => Some("--from is not before --to"),
        _ => None,
    };
    if let Some(wrong) = wrong {
        screen::complaint(wrong);
        return Exit::Usage;
    }
    // The agent has a directory of its own.
    let file = arguments
        .file
        .as_ref()
        .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let request = Request::Replay {
        source: arguments.source.clone(),
        from_unix_ms: arguments.from.map(|at| at.as_millisecond()),
        to_unix_ms: arguments.to.map(|at| at.as_millisecond()),
        file: file.map(|path| path.display().to_string()),
        dry_run: arguments.dry_run,
        per_second: arguments.rate,
    };
    let answer = match arguments.agent.ask(&request, |_| {}) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    let count = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
    let counted = |key: &str, one: &str| {
        screen::counted(usize::try_from(count(key)).unwrap_or(usize::MAX), one)
    };
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    let what = match arguments.dry_run {
        true => "would be told again",
        false => "told again",
    };
    let range = match (text("first"), text("last")) {
        (Some(first), Some(last)) => format!(", from {first} to {last}"),
        _ => String::new(),
    };
    screen::line(format_args!(
        "{} of {} {what}{range}; {} outside the range, {} do not fit",
        counted("rows", "row"),
        counted("files", "file"),
        count("outside_the_range"),
        count("misfits"),
    ));
    let none_fits = count("rows") == 0 && count("misfits") > 0;
    if none_fits {
        let what = "none fits the source's format; `switchhook formats try FILE` says which does";
        screen::complaint(screen::styled(screen::BAD, what));
    }
    let unreadable = answer.get("unreadable").and_then(Value::as_array);
    let unreadable: Vec<&str> = unreadable
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for file in &unreadable {
        screen::complaint(screen::styled(
            screen::BAD,
            format_args!("not read: {file}"),
        ));
    }
    if unreadable.is_empty() && !none_fits {
        Exit::Success
    } else {
        Exit::Data
    }
}

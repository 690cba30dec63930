//! `switchhook dead-letters`: events given up, to be looked at, tried again or removed.

use super::ask::AgentArgument;
use super::status::{cut, span};
use super::{Exit, screen};
use crate::clock::{Clock, SystemClock, UnixMs};
use crate::config::value;
use crate::control::protocol::{DeadFilter, Request};
use crate::logging::one_line;
use crate::queue::ANSWER_BYTES_MAX;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::io::{self, IsTerminal};

/// Most bytes of a line about a letter: an answer of [`ANSWER_BYTES_MAX`] that is all control
/// characters, each written as `\u{1b}`.
const SHOWN_BYTES_MAX: usize = 6 * ANSWER_BYTES_MAX;

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// One line for each, those given up first first.
    #[command(after_help = "\
Example: switchhook dead-letters list --endpoint billing --newer-than 1d
Example: switchhook dead-letters list --reason 422 --json")]
    List {
        #[command(flatten)]
        which: Which,
        /// Most letters shown.
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
        /// A JSON object on each line.
        #[arg(long)]
        json: bool,
        /// With telephone numbers.
        #[arg(long)]
        payload: bool,
        #[command(flatten)]
        agent: AgentArgument,
    },
    /// Everything about one event: why it was given up, the last answer, its data.
    #[command(after_help = "\
Example: switchhook dead-letters show evt_7aebe06c99b12caad9bd13644eae8c23")]
    Show {
        /// The event's id.
        id: String,
        /// With telephone numbers.
        #[arg(long)]
        payload: bool,
        #[command(flatten)]
        agent: AgentArgument,
    },
    /// Try them again. A letter goes when its event is delivered, not before.
    #[command(after_help = "\
Say which: --id, --endpoint, --reason, an age, or --all.

Example: switchhook dead-letters replay --endpoint billing --reason 'status 401'
Example: switchhook dead-letters replay --all --rate 20")]
    Replay {
        #[command(flatten)]
        which: Which,
        /// All of them.
        #[arg(long)]
        all: bool,
        /// Most letters put back in a second.
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        rate: u32,
        #[command(flatten)]
        agent: AgentArgument,
    },
    /// Remove them for good.
    #[command(after_help = "\
Say which: --id, --endpoint, --reason, an age, or --all. Asks before it does it.

Example: switchhook dead-letters purge --endpoint old-crm --older-than 30d")]
    Purge {
        #[command(flatten)]
        which: Which,
        /// All of them.
        #[arg(long)]
        all: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        agent: AgentArgument,
    },
}

/// Which letters: those that meet every condition.
#[derive(Debug, Args)]
pub struct Which {
    /// Of this endpoint.
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// With this event id.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Whose reason contains this text.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Given up longer ago than this, like 12h or 30d.
    #[arg(long, value_name = "TIME")]
    older_than: Option<String>,
    /// Given up less long ago than this.
    #[arg(long, value_name = "TIME")]
    newer_than: Option<String>,
}

impl Which {
    fn filter(&self) -> Result<DeadFilter, Exit> {
        let secs = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => value::duration(text)
                .map(|span| Some(span.as_secs()))
                .map_err(|advice| {
                    screen::complaint(format_args!("{text:?} is no time: {advice}"));
                    Exit::Usage
                }),
        };
        Ok(DeadFilter {
            endpoint: self.endpoint.clone(),
            id: self.id.clone(),
            reason: self.reason.clone(),
            older_than_secs: secs(&self.older_than)?,
            newer_than_secs: secs(&self.newer_than)?,
        })
    }

    /// The filter, where some condition or `all` was given.
    fn filter_or(&self, all: bool) -> Result<DeadFilter, Exit> {
        let filter = self.filter()?;
        if filter == DeadFilter::default() && !all {
            screen::complaint(
                "say which dead letters: --id, --endpoint, --reason, --older-than, --newer-than, or --all",
            );
            return Err(Exit::Usage);
        }
        Ok(filter)
    }
}

/// Does what `command` says.
pub fn dead_letters(command: &DeadLettersCommand) -> Exit {
    let done = match command {
        DeadLettersCommand::List {
            which,
            limit,
            json,
            payload,
            agent,
        } => which
            .filter()
            .and_then(|filter| list(agent, filter, *limit, *json, *payload)),
        DeadLettersCommand::Show { id, payload, agent } => show(agent, id, *payload),
        DeadLettersCommand::Replay {
            which,
            all,
            rate,
            agent,
        } => which
            .filter_or(*all)
            .and_then(|filter| replay(agent, filter, *rate)),
        DeadLettersCommand::Purge {
            which,
            all,
            yes,
            agent,
        } => which
            .filter_or(*all)
            .and_then(|filter| purge(agent, filter, *yes)),
    };
    done.unwrap_or_else(|exit| exit)
}

fn list(
    agent: &AgentArgument,
    filter: DeadFilter,
    limit: usize,
    json: bool,
    payload: bool,
) -> Result<Exit, Exit> {
    let request = Request::DeadLetters {
        filter,
        payload,
        limit,
    };
    let now = SystemClock::new().wall();
    let mut is_first = true;
    let end = agent.ask(&request, |item| {
        if json {
            screen::line(item);
            return;
        }
        if std::mem::take(&mut is_first) {
            let head = format!(
                "{:<37}{:<13}{:>8}{:>5}  {}",
                "ID", "endpoint", "age", "no.", "reason"
            );
            screen::line(screen::styled(screen::HEAD, head));
        }
        screen::line(line_of(&item, now));
    })?;
    if json {
        return Ok(Exit::Success);
    }
    if is_first {
        screen::line("there are no such dead letters");
    } else if end.get("more").and_then(Value::as_bool) == Some(true) {
        screen::line(format_args!(
            "(there are more; --limit shows more than {limit})"
        ));
    }
    Ok(Exit::Success)
}

fn line_of(item: &Value, now: UnixMs) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or("-");
    let age = text("given_up_at").parse::<jiff::Timestamp>().map(|at| {
        let at = UnixMs(at.as_millisecond());
        span(now.since(at).as_secs())
    });
    let attempts = item.get("attempts").and_then(Value::as_u64).unwrap_or(0);
    let is_tried = item.get("being_tried").and_then(Value::as_bool) == Some(true);
    let reason = if is_tried {
        "being tried again"
    } else {
        text("reason")
    };
    let line = format!(
        "{:<37}{:<13}{:>8}{:>5}  {reason}",
        text("id"),
        cut(text("endpoint"), 12),
        age.unwrap_or_default(),
        attempts
    );
    line.trim_end().to_string()
}

fn show(agent: &AgentArgument, id: &str, payload: bool) -> Result<Exit, Exit> {
    let filter = DeadFilter {
        id: Some(id.to_string()),
        ..DeadFilter::default()
    };
    let request = Request::DeadLetters {
        filter,
        payload,
        limit: usize::MAX,
    };
    let mut count = 0;
    agent.ask(&request, |item| {
        if count > 0 {
            screen::line("");
        }
        count += 1;
        describe(&item);
    })?;
    if count == 0 {
        screen::complaint(format_args!(
            "no dead letter has the id {id:?}; `switchhook dead-letters list` shows those there are"
        ));
        return Ok(Exit::Data);
    }
    Ok(Exit::Success)
}

fn describe(item: &Value) {
    let value = |key: &str| match item.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_string(),
        Some(other) => other.to_string(),
    };
    for (label, key) in [
        ("id", "id"),
        ("endpoint", "endpoint"),
        ("sequence", "sequence"),
        ("type", "type"),
        ("happened", "time"),
        ("given up", "given_up_at"),
        ("attempts", "attempts"),
        ("reason", "reason"),
        ("status", "status"),
        ("answer", "answer"),
    ] {
        let shown = one_line(value(key), SHOWN_BYTES_MAX);
        screen::line(format_args!("{label:<10}{shown}"));
    }
    if item.get("being_tried").and_then(Value::as_bool) == Some(true) {
        screen::line("          it is being tried again now");
    }
    let data = item.get("data").cloned().unwrap_or_default();
    let pretty = serde_json::to_string_pretty(&data).unwrap_or_default();
    screen::line(format_args!("data      {pretty}"));
}

fn replay(agent: &AgentArgument, filter: DeadFilter, per_second: u32) -> Result<Exit, Exit> {
    let answer = agent.ask(&Request::DeadReplay { filter, per_second }, |_| {})?;
    let count = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
    let (given_up, waiting) = (count("given_up_again"), count("waiting"));
    screen::line(format_args!(
        "{} tried again: {} delivered, {given_up} given up again, {waiting} still waiting",
        count("put_back"),
        count("delivered"),
    ));
    if waiting > 0 {
        screen::line("those that wait go out as soon as their endpoint takes them");
    }
    Ok(if given_up > 0 {
        Exit::Data
    } else {
        Exit::Success
    })
}

fn purge(agent: &AgentArgument, filter: DeadFilter, yes: bool) -> Result<Exit, Exit> {
    if !yes {
        let request = Request::DeadLetters {
            filter: filter.clone(),
            payload: false,
            limit: usize::MAX,
        };
        let mut count = 0_u64;
        agent.ask(&request, |_| count += 1)?;
        if count == 0 {
            screen::line("there are no such dead letters");
            return Ok(Exit::Success);
        }
        if !io::stdin().is_terminal() {
            screen::complaint(format_args!(
                "{count} dead letters would be removed for good; say --yes to do it without being asked"
            ));
            return Ok(Exit::Usage);
        }
        screen::complaint(format_args!(
            "{count} dead letters will be removed for good, and nothing brings them back but a replay from the switch's files. Type yes to do it:"
        ));
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        if read.is_err() || answer.trim() != "yes" {
            screen::complaint("nothing was removed");
            return Ok(Exit::Success);
        }
    }
    let answer = agent.ask(&Request::DeadPurge { filter }, |_| {})?;
    let count = answer.get("purged").and_then(Value::as_u64).unwrap_or(0);
    screen::line(format_args!("{count} dead letters removed"));
    Ok(Exit::Success)
}

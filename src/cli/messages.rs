//! `switchhook messages`: every kind of line the log has, and what to do about it.

use super::{Exit, screen};
use crate::logging::message::{LIBRARY, MESSAGES, Message};
use clap::Args;
use serde_json::json;

/// The arguments of `messages`.
#[derive(Debug, Args)]
#[command(after_help = "\
The id of a line never changes; its words may.

Example: switchhook messages SH301
Example: switchhook messages --json")]
pub struct MessagesArguments {
    /// Only these ids, or those that begin like this.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// A JSON object on each line.
    #[arg(long)]
    json: bool,
}

/// Prints the table.
pub fn messages(arguments: &MessagesArguments) -> Exit {
    // As it stands in the log, or as it is read out over the telephone.
    let ids: Vec<String> = arguments
        .ids
        .iter()
        .map(|id| id.to_ascii_uppercase())
        .collect();
    let begins = |message: &Message, id: &str| {
        let number = message.id.trim_start_matches("SH");
        message.id.starts_with(id) || (!id.is_empty() && number.starts_with(id))
    };
    let is_wanted = |message: &&Message| ids.is_empty() || ids.iter().any(|id| begins(message, id));
    let mut found = false;
    for message in MESSAGES.iter().chain([&LIBRARY]).filter(is_wanted) {
        found = true;
        let level = message.level.to_string().to_lowercase();
        if arguments.json {
            screen::line(json!({
                "id": message.id,
                "level": level,
                "text": message.lead,
                "who": message.who.word(),
                "what": message.what,
            }));
        } else {
            screen::line(format_args!(
                "{} {level:<5} {:<8} {}",
                message.id,
                message.who.word(),
                message.lead
            ));
            screen::line(format_args!("                     {}", message.what));
        }
    }
    if found {
        Exit::Success
    } else {
        screen::complaint("no message has such an id; `switchhook messages` prints all of them");
        Exit::Usage
    }
}

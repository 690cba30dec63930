//! `switchhook schema`: what a receiver gets, as JSON Schema.

use super::{Exit, screen};
use crate::delivery::profile::{Profile, kinds, schema};
use clap::Args;

/// The arguments of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "\
The schema is made from the tables that bodies are written by. It covers the events of the agent
itself and of the formats that come with it; a format or pattern of your own adds its columns.

Example: switchhook schema vos3000 --event cdr
Example: switchhook schema --list")]
pub struct SchemaArguments {
    /// The profile: standard, vos3000, vobiz, vobiz-voice, voipbin or cloudevents.
    #[arg(value_name = "PROFILE", required_unless_present = "list")]
    profile: Option<String>,
    /// Only of events of this type.
    #[arg(long, value_name = "TYPE")]
    event: Option<String>,
    /// Show the profiles, and the types of events that have a schema.
    #[arg(long)]
    list: bool,
}

/// Prints a schema, or which there are.
pub fn schema_of(arguments: &SchemaArguments) -> Exit {
    let profiles = Profile::ALL.map(|(name, _)| name);
    if arguments.list {
        screen::line(format_args!("profiles: {}", profiles.join(" ")));
        screen::line(format_args!("events: {}", kinds().join(" ")));
        return Exit::Success;
    }
    let name = arguments.profile.as_deref().unwrap_or_default();
    let Some(profile) = Profile::named(name) else {
        screen::complaint(format_args!(
            "there is no profile {name:?}; there are {}",
            profiles.join(", ")
        ));
        return Exit::Usage;
    };
    match schema(profile, arguments.event.as_deref()) {
        Some(text) => {
            screen::line(text.trim_end());
            Exit::Success
        }
        None => {
            screen::complaint(format_args!(
                "no schema for events of type {:?}; there are {}",
                arguments.event.as_deref().unwrap_or_default(),
                kinds().join(", ")
            ));
            Exit::Usage
        }
    }
}

//! `switchhook schema`: what a receiver gets, as JSON Schema.

use super::{CONFIG_DEFAULT, Exit, screen, signing};
use crate::config::{Config, EndpointConfig};
use crate::delivery::profile::{Profile, kinds, redacted, schema, schema_of};
use crate::event::shape::{self, Shape};
use clap::Args;
use std::path::PathBuf;

/// The arguments of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "\
The schema is made from the tables that bodies are written by. By profile it covers the events of the
agent itself and of the formats that come with it. By endpoint it covers the events that endpoint asks
for, in the body it has, without what is hidden from it, with the columns of the configuration's own
formats and patterns.

Example: switchhook schema vos3000 --event cdr
Example: switchhook schema --endpoint billing
Example: switchhook schema --list")]
pub struct SchemaArguments {
    /// The profile: standard, vos3000, vobiz, vobiz-voice, voipbin or cloudevents.
    #[arg(value_name = "PROFILE", required_unless_present_any = ["list", "endpoint"])]
    profile: Option<String>,
    /// Only of events of this type.
    #[arg(long, value_name = "TYPE")]
    event: Option<String>,
    /// Of an endpoint of the configuration instead of a profile.
    #[arg(long, value_name = "NAME", conflicts_with = "profile")]
    endpoint: Option<String>,
    /// Show the profiles, and the types of events that have a schema.
    #[arg(long)]
    list: bool,
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
}

/// Prints a schema, or which there are.
pub fn schema_command(arguments: &SchemaArguments) -> Exit {
    let profiles = Profile::ALL.map(|(name, _)| name);
    if arguments.list {
        screen::line(format_args!("profiles: {}", profiles.join(" ")));
        screen::line(format_args!("events: {}", kinds().join(" ")));
        return Exit::Success;
    }
    if let Some(name) = &arguments.endpoint {
        return of_endpoint(name, arguments);
    }
    let name = arguments.profile.as_deref().unwrap_or_default();
    let Some(profile) = Profile::named(name) else {
        screen::complaint(format_args!(
            "there is no profile {name:?}; there are {}",
            profiles.join(", ")
        ));
        return Exit::Usage;
    };
    let event = arguments.event.as_deref();
    print(schema(profile, event), event, &kinds())
}

fn of_endpoint(name: &str, arguments: &SchemaArguments) -> Exit {
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(problems) => {
            screen::complaint(problems);
            return Exit::Configuration;
        }
    };
    let Ok(endpoint) = signing::configured(&config, name) else {
        screen::complaint(format_args!("there is no endpoint {name:?}"));
        return Exit::Usage;
    };
    let shapes = shapes_for(endpoint, &config);
    let mut known: Vec<String> = shapes.iter().map(|shape| shape.kind.to_string()).collect();
    known.dedup();
    let event = arguments.event.as_deref();
    let schema = schema_of(&endpoint.endpoint.body, shapes, event);
    print(schema, event, &known)
}

/// The shapes of the events that the endpoint asks for, those of the configuration's own formats
/// among them.
fn shapes_for(endpoint: &EndpointConfig, config: &Config) -> Vec<Shape> {
    let mut shapes = shape::all();
    for source in &config.sources {
        let format = &source.parser.format;
        let own = format.layouts.iter();
        for shape in own.filter_map(|layout| shape::of_layout(layout, &format.name)) {
            let is_known =
                |known: &Shape| (&known.kind, &known.fields) == (&shape.kind, &shape.fields);
            if !shapes.iter().any(is_known) {
                shapes.push(shape);
            }
        }
    }
    shapes.retain(|shape| endpoint.endpoint.events.wants(&shape.kind));
    let hidden = &endpoint.endpoint.redaction;
    let told = shapes.into_iter().map(|shape| redacted(shape, hidden));
    told.collect()
}

fn print(schema: Option<String>, event: Option<&str>, known: &[String]) -> Exit {
    match schema {
        Some(text) => {
            screen::line(text.trim_end());
            Exit::Success
        }
        None => {
            screen::complaint(format_args!(
                "no schema for events of type {:?}; there are {}",
                event.unwrap_or_default(),
                known.join(", ")
            ));
            Exit::Usage
        }
    }
}

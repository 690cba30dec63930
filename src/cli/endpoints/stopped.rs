//! The same while the agent does not run: on the queue itself.

use super::super::{Exit, screen};
use crate::clock::{Clock, SystemClock, UnixMs};
use crate::config::Config;
use crate::queue::{Adopted, EndpointTotals, Queue, QueueError};
use std::path::Path;
use std::time::Duration;

/// Lists the endpoints in the queue of the configuration at `path`.
pub fn list(path: &Path) -> Exit {
    with_queue(path, list_all)
}

/// Gives up what is queued for an endpoint that is not configured.
pub fn forget(path: &Path, name: &str) -> Exit {
    with_queue(path, |queue, config| forget_one(queue, config, name))
}

/// Gives the place of one endpoint to another.
pub fn adopt(path: &Path, old: &str, new: &str) -> Exit {
    with_queue(path, |queue, config| adopt_one(queue, config, old, new))
}

/// Opens the queue that the configuration at `path` names, where there is one.
pub fn with_queue(
    path: &Path,
    work: impl FnOnce(&Queue, &Config) -> Result<Exit, QueueError>,
) -> Exit {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(problems) => {
            screen::complaint(problems);
            return Exit::Configuration;
        }
    };
    if !has_queue(&config.state_dir) {
        screen::complaint(format_args!(
            "there is no queue in {} yet; the agent makes it when it runs",
            config.state_dir.display()
        ));
        return Exit::Store;
    }
    let done = Queue::open(&config.state_dir, &config.node).and_then(|queue| {
        queue.limit(config.queue.disk);
        let exit = work(&queue, &config)?;
        queue.close()?;
        Ok(exit)
    });
    match done {
        Ok(exit) => exit,
        Err(QueueError::InUse { pid, .. }) => {
            let pid = pid.map_or_else(|| "unknown".to_string(), |pid| pid.to_string());
            screen::complaint(format_args!(
                "the agent runs, process {pid}; stop it first, its queue can only be changed here while it does not"
            ));
            Exit::Unavailable
        }
        Err(error) => {
            let what = super::super::chain(&error);
            screen::complaint(format_args!("the queue cannot be used: {what}"));
            Exit::Store
        }
    }
}

fn has_queue(state_dir: &Path) -> bool {
    state_dir.join("queue").is_dir()
}

fn list_all(queue: &Queue, config: &Config) -> Result<Exit, QueueError> {
    let wall = SystemClock::new().wall();
    screen::line(format_args!(
        "{:<24} {:<16} {:>10} {:>8} {:>8} {:>8} {:>10}",
        "NAME", "STATE", "QUEUED", "WAITING", "DEAD", "DROPPED", "OLDEST"
    ));
    let ledger = queue.ledger();
    for endpoint in &ledger.endpoints {
        let age = match oldest(queue, endpoint)? {
            Some(time) => age(wall.since(time)),
            None => "-".to_string(),
        };
        screen::line(format_args!(
            "{:<24} {:<16} {:>10} {:>8} {:>8} {:>8} {age:>10}",
            endpoint.name,
            state(config, &endpoint.name),
            endpoint.queued,
            endpoint.waiting,
            endpoint.dead_letters(),
            endpoint.dropped,
        ));
    }
    let is_new = |name: &str| ledger.endpoint(name).is_none();
    for configured in &config.endpoints {
        let name = &configured.endpoint.name;
        if is_new(name) {
            screen::line(format_args!("{name:<24} {:<16}", "new"));
        }
    }
    Ok(Exit::Success)
}

/// What the configuration says of an endpoint that the queue knows.
fn state(config: &Config, name: &str) -> &'static str {
    let configured = config
        .endpoints
        .iter()
        .find(|configured| *configured.endpoint.name == *name);
    match configured {
        Some(endpoint) if endpoint.enabled => "enabled",
        Some(_) => "not enabled",
        None => "not configured",
    }
}

/// When the event happened that the endpoint has yet to have first.
fn oldest(queue: &Queue, endpoint: &EndpointTotals) -> Result<Option<UnixMs>, QueueError> {
    if endpoint.queued == 0 {
        return Ok(None);
    }
    let read = queue.read(endpoint.cursor, 1)?;
    Ok(read.first().map(|queued| queued.event.time.unix))
}

/// A span in its largest two units.
fn age(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m{:02}s", secs / 60, secs % 60),
        3_600..86_400 => format!("{}h{:02}m", secs / 3_600, secs / 60 % 60),
        _ => format!("{}d{:02}h", secs / 86_400, secs / 3_600 % 24),
    }
}

fn forget_one(queue: &Queue, config: &Config, name: &str) -> Result<Exit, QueueError> {
    if state(config, name) != "not configured" {
        screen::complaint(format_args!(
            "endpoint {name} is configured; take its table out of the configuration first, or it would begin anew at the next start"
        ));
        return Ok(Exit::Usage);
    }
    let Some(stood) = queue.forget(name)? else {
        return Ok(unknown(queue, name));
    };
    screen::line(format_args!(
        "endpoint {name} forgotten: {} queued and {} waiting events given up; {} dead letters stay until dead_letters_keep",
        stood.queued,
        stood.waiting,
        stood.dead_letters()
    ));
    Ok(Exit::Success)
}

fn adopt_one(queue: &Queue, config: &Config, old: &str, new: &str) -> Result<Exit, QueueError> {
    if state(config, old) != "not configured" {
        screen::complaint(format_args!(
            "endpoint {old} is configured; rename its table first, or both names would be delivered to"
        ));
        return Ok(Exit::Usage);
    }
    if state(config, new) == "not configured" {
        screen::complaint(format_args!(
            "endpoint {new} is not configured; write its table first, or nobody would deliver to it"
        ));
        return Ok(Exit::Usage);
    }
    match queue.adopt(old, new)? {
        Adopted::Done(totals) => {
            screen::line(format_args!(
                "endpoint {new} takes over from {old}: {} queued, {} waiting, {} dead letters",
                totals.queued,
                totals.waiting,
                totals.dead_letters()
            ));
            Ok(Exit::Success)
        }
        Adopted::NoSuch => Ok(unknown(queue, old)),
        Adopted::HasOwn(own) => {
            screen::complaint(format_args!(
                "endpoint {new} has had {} events under that name already, so it has a place of its own; deliver what is queued for {old} under its old name, or give it up with `switchhook endpoints forget {old}`",
                own.added
            ));
            Ok(Exit::Usage)
        }
    }
}

fn unknown(queue: &Queue, name: &str) -> Exit {
    let ledger = queue.ledger();
    let names: Vec<&str> = ledger
        .endpoints
        .iter()
        .map(|endpoint| &*endpoint.name)
        .collect();
    screen::complaint(format_args!(
        "the queue knows no endpoint {name}; it knows {}",
        if names.is_empty() {
            "none".to_string()
        } else {
            names.join(", ")
        }
    ));
    Exit::Usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_shown_in_its_largest_two_units() {
        for (secs, expected) in [
            (7, "7s"),
            (61, "1m01s"),
            (7_260, "2h01m"),
            (90_000, "1d01h"),
        ] {
            assert_eq!(age(Duration::from_secs(secs)), expected);
        }
    }
}

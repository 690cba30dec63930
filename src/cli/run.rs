//! `switchhook run`: the agent, until it is told to stop.

use super::{Exit, chain, screen};
use crate::agent::{Agent, AgentError, Signals, hold_hangups};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::delivery::concurrency::Concurrency;
use crate::logging::{self, Destination, LoggingHandle};
use crate::queue::QueueError;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;

/// Runs the agent that the file at `path` describes.
pub fn run(path: &Path) -> Exit {
    // At worst one that comes early ends it, as before.
    let _held = hold_hangups();
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(problems) => {
            screen::complaint(problems);
            return Exit::Configuration;
        }
    };
    if let Destination::Syslog(syslog) = &config.log.to
        && !syslog.socket.exists()
    {
        let socket = syslog.socket.display();
        screen::complaint(format_args!(
            "the log goes to syslog, and {socket} is not there; [log] to = \"stderr\" writes it here"
        ));
    }
    let is_elsewhere = matches!(config.log.to, Destination::Syslog(_));
    let Ok(log) = logging::start(config.log.clone(), Arc::new(SystemClock::new())) else {
        screen::complaint("this process has a log already");
        return Exit::Bug;
    };
    log::info!(
        "starting version={} node={} sources={} endpoints={} state_dir={:?}",
        env!("CARGO_PKG_VERSION"),
        config.node,
        config.sources.len(),
        config.endpoints.len(),
        config.state_dir
    );
    if config.is_idle() {
        log::warn!("idle, {}", idle(path));
    }
    for endpoint in &config.endpoints {
        if endpoint.endpoint.secret.is_none() {
            log::warn!(
                "endpoint without a secret, receivers cannot verify endpoint={}",
                endpoint.endpoint.name
            );
        }
        let has = endpoint.endpoint.memory.senders;
        if let Concurrency::Fixed(wanted) = endpoint.endpoint.concurrency
            && wanted.get() > has
        {
            log::warn!(
                "fewer attempts at once than the endpoint wants, memory_max has no room endpoint={} wanted={wanted} has={has}",
                endpoint.endpoint.name
            );
        }
    }
    // The text of a bug belongs where the operator looks; what the queue catches on a damaged
    // store is said there too.
    panic::set_hook(Box::new(|bug| log::error!("bug: {bug}")));
    // A bug anywhere ends the process with its own exit code; the service manager restarts it.
    panic::catch_unwind(AssertUnwindSafe(|| attend(config, log, is_elsewhere))).unwrap_or(Exit::Bug)
}

/// What an agent without anything to do says of itself.
pub fn idle(path: &Path) -> String {
    format!(
        "no source and no endpoint configured: write both into {}, see them with 'switchhook check', then restart",
        path.display()
    )
}

/// Runs the agent to its end. What keeps it from starting is said on the screen too where the log `is_elsewhere`.
fn attend(config: Config, log: LoggingHandle, is_elsewhere: bool) -> Exit {
    let agent = match Agent::start(config, Signals::Heed, Some(log)) {
        Ok(agent) => agent,
        Err(error) => {
            log::error!("cannot start error={:?}", chain(&error));
            if is_elsewhere {
                screen::complaint(format_args!("cannot start: {}", chain(&error)));
            }
            return match error {
                // Tried again by the service manager, the other one may be gone.
                AgentError::Queue(QueueError::InUse { .. }) => Exit::Unavailable,
                AgentError::StateDir { .. } | AgentError::Queue(_) | AgentError::Ingest(_) => {
                    Exit::Store
                }
                AgentError::Delivery(_) | AgentError::Thread(_) => Exit::Bug,
            };
        }
    };
    log::info!("started");
    agent.wait();
    match agent.stop() {
        Ok(ledger) => {
            let queued: u64 = ledger
                .endpoints
                .iter()
                .map(|endpoint| endpoint.queued + endpoint.waiting)
                .sum();
            log::info!("stopped queued={queued}");
            Exit::Success
        }
        Err(error) => {
            log::error!("queue not closed in order error={:?}", chain(&error));
            Exit::Store
        }
    }
}

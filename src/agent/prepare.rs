//! Prepare: the queue as the configuration wants it, before anything runs.

use super::AgentError;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, EndpointConfig};
use crate::delivery::route::standing;
use crate::queue::{Adopted, Partition, Queue, QueueError};
use crate::shutdown::Shutdown;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

/// Wait before a disk that cannot be written is tried again.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// The queue, with its limits set and every endpoint in its place.
///
/// A disk that is full or read-only is waited for, however long it takes: restarting would change
/// nothing, and ends with a service manager that has given up. Signals end the process meanwhile;
/// nothing has begun.
///
/// # Errors
///
/// When the queue cannot be opened or written for another reason.
pub(super) fn queue(config: &Config) -> Result<Queue, AgentError> {
    let mut is_said = false;
    loop {
        match attempt(config) {
            Err(error) if is_for_want_of_a_disk(&error, &config.state_dir) => {
                if !std::mem::replace(&mut is_said, true) {
                    let cause = std::error::Error::source(&error)
                        .and_then(|cause| cause.source())
                        .map_or_else(String::new, |cause| format!(": {cause}"));
                    log::error!(
                        "start waits for the disk state_dir={:?} error=\"{error}{cause}\"; make room there, or mount it to be written",
                        config.state_dir
                    );
                }
                Shutdown::default().wait(DISK_PAUSE);
            }
            prepared => return prepared,
        }
    }
}

fn attempt(config: &Config) -> Result<Queue, AgentError> {
    // Calls are nobody else's business. A directory that is there keeps the mode it was given.
    let private = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.state_dir);
    private.map_err(|cause| AgentError::StateDir {
        directory: config.state_dir.clone(),
        cause,
    })?;
    let quarantine_max = config.queue.disk.quarantine_max;
    let queue = Queue::open_within(&config.state_dir, &config.node, quarantine_max)
        .map_err(AgentError::Queue)?;
    queue.limit(config.queue.disk);
    for endpoint in &config.endpoints {
        adopt(&queue, endpoint)
            .and_then(|()| queue.attach(&endpoint.endpoint.name, endpoint.from))
            .map_err(AgentError::Queue)?;
    }
    // Here, where a disk that cannot be written is waited for; it is there when it is asked for.
    let endpoints = config.endpoints.iter().map(|config| &config.endpoint);
    standing::note(&queue, endpoints, SystemClock::new().wall()).map_err(AgentError::Queue)?;
    warn_of_backlogs(&queue, config);
    Ok(queue)
}

fn is_for_want_of_a_disk(error: &AgentError, state_dir: &Path) -> bool {
    let cause = match error {
        AgentError::StateDir { cause, .. } => cause,
        AgentError::Queue(QueueError::Disk { source, .. }) => source,
        // The database does not pass on every error of the system as one.
        AgentError::Queue(QueueError::Damaged { .. }) => {
            return Partition::of(state_dir).is_ok_and(|partition| partition.is_unwritable());
        }
        _ => return false,
    };
    matches!(
        cause.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// An endpoint that was renamed takes its place, its backlog and its dead letters along.
fn adopt(queue: &Queue, config: &EndpointConfig) -> Result<(), QueueError> {
    let Some(old) = &config.adopt else {
        return Ok(());
    };
    let name = &config.endpoint.name;
    match queue.adopt(old, name)? {
        Adopted::Done(totals) => log::info!(
            "endpoint adopted old={old} endpoint={name} queued={} waiting={} dead={}",
            totals.queued,
            totals.waiting,
            totals.dead
        ),
        // So it is after the start that adopted it.
        Adopted::NoSuch => {}
        Adopted::HasOwn(_) => log::warn!(
            "endpoint not adopted old={old} endpoint={name} error=\"it has had events under its new name already\"; deliver what is queued for {old} under its old name first, or give it up with `switchhook endpoints forget {old}`"
        ),
    }
    Ok(())
}

/// What waits for endpoints that get nothing now takes room that the others need.
pub(super) fn warn_of_backlogs(queue: &Queue, config: &Config) {
    for kept in &queue.ledger().endpoints {
        let (name, queued) = (&kept.name, kept.queued + kept.waiting);
        let configured = config
            .endpoints
            .iter()
            .find(|endpoint| endpoint.endpoint.name == *name);
        match configured {
            None => log::warn!(
                "endpoint not configured any more, its backlog is kept endpoint={name} queued={queued}; configure it again, or give it up with `switchhook endpoints forget {name}`"
            ),
            Some(endpoint) if !endpoint.enabled => log::warn!(
                "endpoint not enabled, its backlog grows endpoint={name} queued={queued}"
            ),
            Some(_) => {}
        }
    }
}

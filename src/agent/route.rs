//! Route: the table of who gets which event, on top of what the queue remembers of it.

use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::route::{RouteTable, standing};
use crate::queue::{Queue, QueueError};
use crate::timestamp::Timestamp;

/// The table that `config` describes. Every endpoint is attached, and no lane of one whose route has
/// changed runs.
///
/// # Errors
///
/// When what it rests on cannot be read or written.
pub(super) fn table(
    config: &Config,
    queue: &Queue,
    clock: &dyn Clock,
) -> Result<RouteTable, QueueError> {
    let endpoints = config.endpoints.iter().map(|config| &config.endpoint);
    let mut standings = standing::note(queue, endpoints, clock.wall())?.into_iter();
    let now = clock.wall();
    // In the order of the endpoints, each once.
    Ok(config.route_table(|endpoint: &Endpoint| {
        let standing = standings.next().unwrap_or_default();
        if let Some(mirror) = &endpoint.route.mirror {
            let ends_at = mirror.ends_at(standing);
            if ends_at > now {
                let until = Timestamp::from_secs(ends_at.unix_secs());
                let (name, of) = (&endpoint.name, &mirror.of);
                log::info!("mirror endpoint={name} mirror={of} until={until}");
            }
        }
        standing
    }))
}

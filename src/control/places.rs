//! Places: what the queue keeps for names that are not configured any more.

use super::desk::{Desk, store};
use super::protocol::{Code, Refusal};
use crate::delivery::fallback;
use crate::queue::Adopted;
use serde_json::{Value, json};
use std::time::Duration;

/// How long attempts of the endpoint that takes over may take to finish.
const GRACE: Duration = Duration::from_secs(20);

/// Gives up what is queued for an endpoint that is not configured any more.
pub(super) fn forget(desk: &Desk, name: &str) -> Result<Value, Refusal> {
    let _one_at_a_time = desk.take_endpoints();
    refuse_configured(desk, name, "take its table out of the configuration first")?;
    let stood = desk.queue.forget(name).map_err(|error| store(&error))?;
    let Some(stood) = stood else {
        return Err(unknown(desk, name));
    };
    desk.delivery.forget_told(name);
    log::warn!(
        "endpoint forgotten by the operator endpoint={name} queued={} waiting={}",
        stood.queued,
        stood.waiting
    );
    let told = format!(
        "endpoint {name} forgotten: {} queued and {} waiting events given up; {} dead letters stay until dead_letters_keep",
        stood.queued,
        stood.waiting,
        stood.dead_letters()
    );
    Ok(json!({ "endpoint": name, "told": told }))
}

/// Gives the place of an endpoint that is not configured any more to one that is. The latter is
/// taken down meanwhile, and goes on at the place it then has.
pub(super) fn adopt(desk: &Desk, old: &str, new: &str) -> Result<Value, Refusal> {
    let _one_at_a_time = desk.take_endpoints();
    refuse_configured(desk, old, "rename its table first")?;
    desk.check_endpoint(new)?;
    let is_running = desk.delivery.remove(new, GRACE);
    let adopted = desk.queue.adopt(old, new);
    if is_running {
        put_up(desk, new)?;
    }
    match adopted.map_err(|error| store(&error))? {
        Adopted::Done(totals) => {
            desk.delivery.forget_told(old);
            log::warn!("endpoint adopted by the operator old={old} endpoint={new}");
            let told = format!(
                "endpoint {new} takes over from {old}: {} queued, {} waiting, {} dead letters",
                totals.queued,
                totals.waiting,
                totals.dead_letters()
            );
            Ok(json!({ "endpoint": new, "told": told }))
        }
        Adopted::NoSuch => Err(unknown(desk, old)),
        Adopted::HasOwn(own) => {
            let message = format!(
                "endpoint {new} has had {} events under that name already, so it has a place of its own; deliver what is queued for {old} under its old name, or give it up with `switchhook endpoints forget {old}`",
                own.added
            );
            Err(Refusal::new(Code::Usage, message))
        }
    }
}

/// Puts a configured endpoint up again.
fn put_up(desk: &Desk, name: &str) -> Result<(), Refusal> {
    let in_force = desk.in_force();
    let mut configured = in_force.config.endpoints.iter();
    let Some(config) = configured.find(|it| *it.endpoint.name == *name) else {
        return Ok(());
    };
    let endpoint = config.endpoint.clone();
    let transports = fallback::transports(&endpoint, &desk.clock)
        .map_err(|error| Refusal::new(Code::Configuration, error.to_string()))?;
    let is_held = Desk::is_paused(&desk.queue, name);
    desk.delivery
        .add(endpoint, transports, is_held)
        .map_err(|error| Refusal::new(Code::Store, error.to_string()))
}

fn refuse_configured(desk: &Desk, name: &str, instead: &str) -> Result<(), Refusal> {
    let in_force = desk.in_force();
    let mut configured = in_force.config.endpoints.iter();
    if configured.any(|it| *it.endpoint.name == *name) {
        let message = format!("endpoint {name} is configured; {instead}");
        return Err(Refusal::new(Code::Usage, message));
    }
    Ok(())
}

fn unknown(desk: &Desk, name: &str) -> Refusal {
    let ledger = desk.queue.ledger();
    let names: Vec<&str> = ledger.endpoints.iter().map(|it| &*it.name).collect();
    let message = format!(
        "the queue knows no endpoint {name}; it knows {}",
        names.join(", ")
    );
    Refusal::new(Code::Usage, message)
}

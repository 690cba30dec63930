//! Health: what there is for an operator to do.

use super::status::{EndpointStatus, SourceStatus, Status};

/// Share of `disk_max` from which the state directory is a matter for the operator.
const DISK_SHARE: u64 = 90;

/// What there is to do, a sentence each; empty when there is nothing.
///
/// Dead letters are none of it: they wait for a decision, not for the night shift.
pub fn problems(status: &Status) -> Vec<String> {
    let mut problems = Vec::new();
    for endpoint in &status.endpoints {
        problems.extend(of_endpoint(endpoint));
    }
    for source in &status.sources {
        problems.extend(of_source(source));
    }
    let disk = &status.disk;
    if disk.reading_paused {
        problems.push(
            "reading is paused: the state directory is full, or cannot be written".to_string(),
        );
    } else if disk.used_bytes >= disk.max_bytes / 100 * DISK_SHARE {
        problems.push(format!(
            "the state directory has reached {DISK_SHARE} % of disk_max; at 100 % reading pauses"
        ));
    }
    if !status.ledger_balanced {
        problems.push(
            "the ledger does not balance: a bug; please report it with a support bundle"
                .to_string(),
        );
    }
    if let Some(error) = &status.config.reload_error {
        problems.push(format!("the last reload changed nothing: {error}"));
    }
    problems
}

fn of_endpoint(endpoint: &EndpointStatus) -> Option<String> {
    let name = &endpoint.name;
    let error = || {
        endpoint
            .last_error
            .as_ref()
            .map_or(String::new(), |error| format!(": {}", error.text))
    };
    match endpoint.state.as_str() {
        "failing" => Some(format!("endpoint {name} is failing{}", error())),
        "stopped" => Some(format!(
            "endpoint {name} answered 410 twice and is sent nothing; `switchhook endpoints resume {name}` when it is back"
        )),
        "paused" if endpoint.paused_by.as_deref() == Some("operator") => Some(format!(
            "endpoint {name} is paused; `switchhook endpoints resume {name}`"
        )),
        "paused" => Some(format!("endpoint {name} asked for a pause{}", error())),
        "working" if endpoint.fallback_host.is_some() => {
            Some(format!("endpoint {name} uses its fallback{}", error()))
        }
        "forgotten" if endpoint.queued + endpoint.waiting > 0 => Some(format!(
            "endpoint {name} is not configured any more and {} events are kept for it",
            endpoint.queued + endpoint.waiting
        )),
        _ => None,
    }
}

fn of_source(source: &SourceStatus) -> Option<String> {
    let name = &source.name;
    let error = source.trouble.as_ref()?;
    Some(format!("source {name} cannot be read: {error}"))
}

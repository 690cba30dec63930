//! Tail: events and attempts as they pass, as items of an answer.

use super::desk::Desk;
use super::mask::masked;
use super::protocol::{Code, Reply};
use super::server::Out;
use super::status::time;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::route::Verdict;
use crate::event::Event;
use crate::queue::Queued;
use crate::tap::{Attempt, RecvError, Seen};
use serde_json::{Value, json};
use std::sync::Arc;

/// Sends what passes until the client is gone; first, where `has_recent`, the last attempts of the
/// endpoint. A client that is slow misses some and is told.
pub(super) async fn tail(
    desk: &Arc<Desk>,
    endpoint: Option<&str>,
    (payload, has_recent): (bool, bool),
    out: &mut Out,
) {
    let in_force = desk.in_force();
    let filter = match endpoint {
        None => None,
        Some(name) => {
            let configured = in_force.config.endpoints.iter();
            match configured
                .map(|it| &it.endpoint)
                .find(|it| *it.name == *name)
            {
                Some(endpoint) => Some(endpoint),
                None => return out.refuse(Code::Usage, desk.no_endpoint(name)).await,
            }
        }
    };
    // Watched before they are read: one that ends in between is told twice, not never.
    let mut watcher = desk.delivery.tap().watch();
    if let Some(endpoint) = filter.filter(|_| has_recent) {
        for attempt in desk.delivery.recent(&endpoint.name) {
            if !out.send(&Reply::Item(attempt_item(&attempt))).await {
                return;
            }
        }
    }
    loop {
        let item = match watcher.next().await {
            Ok(Seen::Event {
                source,
                sequence,
                event,
            }) => {
                let queued = Queued {
                    sequence,
                    event: Arc::clone(&event),
                };
                if filter.is_some_and(|endpoint| !gets(desk, endpoint, &queued)) {
                    continue;
                }
                event_item(&source, sequence.0, &event, payload)
            }
            Ok(Seen::Attempt(attempt)) => {
                if filter.is_some_and(|endpoint| endpoint.name != attempt.endpoint) {
                    continue;
                }
                attempt_item(&attempt)
            }
            Err(RecvError::Lagged(count)) => json!({"seen": "missed", "count": count}),
            Err(RecvError::Closed) => return,
        };
        if !out.send(&Reply::Item(item)).await {
            return;
        }
    }
}

/// Whether the routes in force give an event to an endpoint.
fn gets(desk: &Desk, endpoint: &Endpoint, queued: &Queued) -> bool {
    let routes = desk.delivery.routes();
    let seat = routes.seat_of(&endpoint.name);
    seat.is_some_and(|seat| routes.judge(seat, queued, desk.clock.wall()) == Verdict::Gets)
}

fn event_item(source: &str, sequence: u64, event: &Event, payload: bool) -> Value {
    let data = if payload {
        serde_json::from_slice(&event.data).unwrap_or_default()
    } else {
        let masked = masked(&event.data);
        let shown = |key: &str| masked.get(key).cloned().unwrap_or_default();
        json!({
            "caller_id": shown("caller_id"),
            "called_id": shown("called_id"),
            "duration": shown("duration"),
        })
    };
    json!({
        "seen": "event",
        "at": event.time.to_string(),
        "source": source,
        "sequence": sequence,
        "id": event.id.to_string(),
        "type": &*event.kind,
        "data": data,
    })
}

fn attempt_item(attempt: &Attempt) -> Value {
    json!({
        "seen": "attempt",
        "at": time(attempt.at),
        "endpoint": &*attempt.endpoint,
        "sequence": attempt.sequence.0,
        "id": attempt.id.to_string(),
        "type": &*attempt.kind,
        "number": attempt.number,
        "outcome": attempt.outcome,
        "error": (!attempt.error.is_empty()).then_some(&attempt.error),
        "elapsed_ms": u64::try_from(attempt.elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

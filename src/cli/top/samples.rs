//! Samples: what an agent could answer, at its longest, for the tests of this directory.

use crate::control::status::Status;
use serde_json::{Value, json};

/// A status with so many endpoints and sources.
pub fn status(endpoints: usize, sources: usize) -> Status {
    let endpoint = |number: usize| {
        json!({
            "name": format!("endpoint-{number:02}"), "host": "https://callbacks.example.com:443",
            "state": "failing", "paused_by": null, "failing_secs": 86_399, "next_try_secs": 5,
            "added": 1, "queued": 99_999_999 - number, "waiting": 0, "oldest_secs": 8_640_000,
            "delivered": 1, "skipped": 0, "dead": 0, "dropped": 0, "lost": 0, "recalled": 0,
            "dead_letters": number, "attempts": 5, "success_share": 0.5, "per_sec": 1234.5,
            "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 30_000.0 + number as f64},
            "last_error": {"class": "tls", "text": "x".repeat(200), "at": "2026-04-09T14:30:45.000Z"}
        })
    };
    let source = |number: usize| {
        json!({
            "name": format!("source-{number:02}"), "format": "vos3000-csv", "rows": 999_999_999, "derived": 0, "events": 0,
            "set_aside": 9_999_999, "filtered": 0, "repeated": 0, "gaps": 0, "rows_per_sec": 1234.5,
            "files": 1, "unread_bytes": 1_u64 << 50, "partial_secs": null, "last_row_at": null,
            "silent_secs": 0, "trouble": null
        })
    };
    let endpoints: Vec<Value> = (0..endpoints).map(endpoint).collect();
    let sources: Vec<Value> = (0..sources).map(source).collect();
    let status = json!({
        "schema": 1, "version": "0.1.0", "node": "a-switch-with-a-very-long-name", "pid": 1,
        "now": "", "started_at": "", "uptime_secs": 8_640_000, "healthy": false,
        "problems": ["y".repeat(200), "z"],
        "config": {"files": [], "loaded_at": "", "reload_error": null},
        "sources": sources, "endpoints": endpoints,
        "disk": {"state_dir": "", "used_bytes": 1, "max_bytes": 2, "free_bytes": 3, "reading_paused": false},
        "memory": {"rss_bytes": 1}, "log": {"lines_dropped": 0}, "ledger_balanced": true
    });
    serde_json::from_value(status).unwrap()
}

/// An attempt that did not deliver.
pub fn attempt(sequence: u64) -> Value {
    json!({
        "seen": "attempt", "at": "2026-04-09T14:30:45.000Z", "endpoint": "endpoint-00",
        "sequence": sequence, "id": format!("evt_{sequence:032x}"), "type": "cdr", "number": 3,
        "outcome": "unavailable", "error": "status 503", "elapsed_ms": 12
    })
}

/// A dead letter.
pub fn dead_letter(sequence: u64) -> Value {
    json!({
        "endpoint": "endpoint-00", "id": format!("evt_{sequence:032x}"), "sequence": sequence,
        "type": "cdr", "time": "2026-04-09T14:28:45.000Z", "given_up_at": "2026-04-09T14:30:45.000Z",
        "attempts": 12, "status": 422, "reason": "w".repeat(99), "answer": "no such customer",
        "being_tried": false, "data": {"caller_id": "…17", "called_id": "…99", "duration": 155}
    })
}

//! Metrics: a status as Prometheus' text format, for the socket and for a text file.

use super::status::Status;
use std::fmt::{Display, Write as _};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// `status` in Prometheus' text format 0.0.4.
pub fn text(status: &Status) -> String {
    let mut out = Families(String::with_capacity(4 << 10));
    out.one("up", "gauge", "Whether the agent runs.", 1);
    out.one(
        "healthy",
        "gauge",
        "Whether there is nothing for an operator to do.",
        u8::from(status.healthy),
    );
    out.one(
        "uptime_seconds",
        "counter",
        "Time since the start.",
        status.uptime_secs,
    );
    out.one(
        "unrouted_events_total",
        "counter",
        "Events that no endpoint takes, since the start.",
        status.unrouted,
    );
    out.one(
        "ledger_balanced",
        "gauge",
        "Whether every row and event is accounted for.",
        u8::from(status.ledger_balanced),
    );
    let sources = |value: fn(&super::status::SourceStatus) -> Option<f64>| {
        status
            .sources
            .iter()
            .map(move |source| (source.name.as_str(), value(source)))
            .collect::<Vec<_>>()
    };
    let rows = "Complete rows read.";
    out.many(
        "source",
        "source_rows_total",
        "counter",
        rows,
        sources(|it| count(it.rows)),
    );
    out.many(
        "source",
        "source_events_total",
        "counter",
        "Events queued.",
        sources(|it| count(it.events)),
    );
    out.many(
        "source",
        "source_rows_set_aside_total",
        "counter",
        "Rows that did not fit.",
        sources(|it| count(it.set_aside)),
    );
    out.many(
        "source",
        "source_gaps_total",
        "counter",
        "Times that rows may have been lost before they were read.",
        sources(|it| count(it.gaps)),
    );
    out.many(
        "source",
        "source_unread_bytes",
        "gauge",
        "Bytes that are there and not read.",
        sources(|it| it.unread_bytes.and_then(count)),
    );
    out.many(
        "source",
        "source_silent_seconds",
        "gauge",
        "Time without a row.",
        sources(|it| count(it.silent_secs)),
    );
    out.many(
        "source",
        "source_pushes_taken_total",
        "counter",
        "Pushes handed on to be read since the start.",
        sources(|it| it.pushes.as_ref().and_then(|pushes| count(pushes.taken))),
    );
    out.many(
        "source",
        "source_pushes_refused_total",
        "counter",
        "Pushes not taken since the start, for whatever reason.",
        sources(|it| {
            it.pushes
                .as_ref()
                .and_then(|pushes| count(pushes.refused()))
        }),
    );
    out.many(
        "source",
        "source_pushes_refused_full_total",
        "counter",
        "Pushes not taken because nothing could be kept.",
        sources(|it| {
            it.pushes
                .as_ref()
                .and_then(|pushes| count(pushes.refused_full))
        }),
    );
    let endpoints = |value: fn(&super::status::EndpointStatus) -> Option<f64>| {
        status
            .endpoints
            .iter()
            .map(move |endpoint| (endpoint.name.as_str(), value(endpoint)))
            .collect::<Vec<_>>()
    };
    out.many(
        "endpoint",
        "endpoint_working",
        "gauge",
        "Whether the endpoint takes events.",
        endpoints(|it| Some(f64::from(u8::from(it.state == "working")))),
    );
    out.many(
        "endpoint",
        "endpoint_queued",
        "gauge",
        "Events not delivered yet.",
        endpoints(|it| count(it.queued + it.waiting)),
    );
    out.many(
        "endpoint",
        "endpoint_oldest_seconds",
        "gauge",
        "Age of the call that waits for longest.",
        endpoints(|it| it.oldest_secs.and_then(count)),
    );
    out.many(
        "endpoint",
        "endpoint_delivered_total",
        "counter",
        "Events delivered.",
        endpoints(|it| count(it.delivered)),
    );
    out.many(
        "endpoint",
        "endpoint_attempts_total",
        "counter",
        "Attempts since the start.",
        endpoints(|it| count(it.attempts)),
    );
    out.many(
        "endpoint",
        "endpoint_dead_letters",
        "gauge",
        "Dead letters on disk.",
        endpoints(|it| count(it.dead_letters)),
    );
    out.many(
        "endpoint",
        "endpoint_latency_p99_seconds",
        "gauge",
        "99 of a hundred attempts of the last minutes took no longer.",
        endpoints(|it| it.latency_ms.map(|latency| latency.p99 / 1_000.0)),
    );
    out.one(
        "disk_used_bytes",
        "gauge",
        "Bytes the state directory takes.",
        status.disk.used_bytes,
    );
    out.one(
        "disk_max_bytes",
        "gauge",
        "Bytes at which reading pauses.",
        status.disk.max_bytes,
    );
    out.one(
        "reading_paused",
        "gauge",
        "Whether reading is paused.",
        u8::from(status.disk.reading_paused),
    );
    if let Some(bytes) = status.memory.rss_bytes {
        out.one("memory_rss_bytes", "gauge", "Resident memory.", bytes);
    }
    out.one(
        "log_lines_dropped_total",
        "counter",
        "Log lines dropped since the start.",
        status.log.lines_dropped,
    );
    out.0
}

/// Replaces the file at `path` with `text`, in one step: a reader sees the old or the new one.
///
/// # Errors
///
/// When it cannot be written; the old one stays.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&new, path)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the format's values are 64-bit floating point"
)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "beside values that may be missing"
)]
fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}

struct Families(String);

impl Families {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ok = writeln!(
            self.0,
            "# HELP switchhook_{name} {help}\n# TYPE switchhook_{name} {kind}"
        );
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        let _ok = writeln!(self.0, "switchhook_{name} {value}");
    }

    /// Names of sources and endpoints need no quoting: they have letters, digits, dots and dashes.
    fn many(
        &mut self,
        label: &str,
        name: &str,
        kind: &str,
        help: &str,
        values: Vec<(&str, Option<f64>)>,
    ) {
        self.head(name, kind, help);
        for (of, value) in values {
            if let Some(value) = value {
                let _ok = writeln!(self.0, "switchhook_{name}{{{label}=\"{of}\"}} {value}");
            }
        }
    }
}

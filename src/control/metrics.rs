//! Metrics: a status as Prometheus' text format, for the socket and for a text file.
//!
//! `docs/metrics.md` lists the families; a test compares it with what is written here.

use super::status::{EndpointStatus, Status};
use crate::delivery::outcome::CLASSES;
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
        "Whether there is nothing that an operator has to repair.",
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
    out.states(&status.endpoints);
    out.many(
        "endpoint",
        "endpoint_failing_seconds",
        "gauge",
        "For how long the endpoint has been failing; 0 when it is not.",
        endpoints(|it| count(it.failing_secs.unwrap_or(0))),
    );
    out.addresses(&status.endpoints);
    out.many(
        "endpoint",
        "endpoint_address_switches_total",
        "counter",
        "Times that another address came into use, since the start.",
        endpoints(|it| count(it.switches)),
    );
    out.many(
        "endpoint",
        "endpoint_concurrency_limit",
        "gauge",
        "How many attempts may be under way now: configured, or learned.",
        endpoints(|it| count(it.concurrency)),
    );
    out.many(
        "endpoint",
        "endpoint_attempts_under_way",
        "gauge",
        "How many are.",
        endpoints(|it| count(it.under_way)),
    );
    out.many(
        "endpoint",
        "endpoint_rate_limit_per_second",
        "gauge",
        "Most requests in a second by rate_max; absent without one.",
        endpoints(|it| it.rate_max_per_sec),
    );
    out.many(
        "endpoint",
        "endpoint_last_success_timestamp_seconds",
        "gauge",
        "When an event was last delivered, in Unix time; absent when none was since the start.",
        endpoints(|it| it.last_success_at.as_deref().and_then(unix_seconds)),
    );
    out.many(
        "endpoint",
        "endpoint_waiting",
        "gauge",
        "Of the events not delivered yet, those that wait for a retry of their own.",
        endpoints(|it| count(it.waiting)),
    );
    out.many(
        "endpoint",
        "endpoint_expired_total",
        "counter",
        "Events given up because they were older than max_age, since the start.",
        endpoints(|it| count(it.expired)),
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
    out.failures(&status.endpoints);
    out.many(
        "endpoint",
        "endpoint_dead_letters",
        "gauge",
        "Dead letters on disk.",
        endpoints(|it| count(it.dead_letters)),
    );
    out.latencies(&status.endpoints);
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

/// A time of the status in seconds since 1970.
#[expect(
    clippy::cast_precision_loss,
    reason = "the format's values are 64-bit floating point"
)]
fn unix_seconds(text: &str) -> Option<f64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(at.as_millisecond() as f64 / 1_000.0)
}

/// The states an endpoint can be in, as the status names them.
const STATES: [&str; 6] = [
    "working", "failing", "paused", "stopped", "disabled", "removed",
];

/// The host of a status' `host`, which has the scheme and the port too.
fn host_alone(host: &str) -> &str {
    let host = host.split_once("://").map_or(host, |(_, host)| host);
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

struct Families(String);

impl Families {
    /// One value for each state, of which one is 1.
    fn states(&mut self, endpoints: &[EndpointStatus]) {
        let help = "1 for the state the endpoint is in, 0 for the others.";
        self.head("endpoint_state", "gauge", help);
        for EndpointStatus { name, state, .. } in endpoints {
            for other in STATES {
                let is = u8::from(state == other);
                let _ok = writeln!(
                    self.0,
                    "switchhook_endpoint_state{{endpoint=\"{name}\",state=\"{other}\"}} {is}"
                );
            }
        }
    }

    /// Attempts that did not deliver, by class; those that never were are 0, so that a first one is
    /// an increase.
    fn failures(&mut self, endpoints: &[EndpointStatus]) {
        let help = "Attempts since the start that did not deliver, by what went wrong.";
        self.head("endpoint_attempts_failed_total", "counter", help);
        for EndpointStatus { name, failures, .. } in endpoints {
            for class in CLASSES {
                let count = failures.get(class).unwrap_or(&0);
                let _ok = writeln!(
                    self.0,
                    "switchhook_endpoint_attempts_failed_total{{endpoint=\"{name}\",class=\"{class}\"}} {count}"
                );
            }
        }
    }

    /// How long attempts took, as quantiles of the last minutes.
    fn latencies(&mut self, endpoints: &[EndpointStatus]) {
        let help = "How long attempts of the last minutes took: this share of them no longer.";
        self.head("endpoint_latency_seconds", "gauge", help);
        for endpoint in endpoints {
            let Some(latency) = endpoint.latency_ms else {
                continue;
            };
            let name = &endpoint.name;
            for (share, millis) in [(0.5, latency.p50), (0.95, latency.p95), (0.99, latency.p99)] {
                let _ok = writeln!(
                    self.0,
                    "switchhook_endpoint_latency_seconds{{endpoint=\"{name}\",quantile=\"{share}\"}} {}",
                    millis / 1_000.0
                );
            }
        }
    }

    /// The address in use.
    fn addresses(&mut self, endpoints: &[EndpointStatus]) {
        let help = "The address in use, by its host and its place: 0 is the endpoint's own, the fallbacks follow.";
        self.head("endpoint_address_info", "gauge", help);
        for endpoint in endpoints {
            let own = endpoint.host.as_deref().map(host_alone);
            if let Some(host) = endpoint.fallback_host.as_deref().or(own) {
                let (name, place) = (&endpoint.name, endpoint.address);
                let _ok = writeln!(
                    self.0,
                    "switchhook_endpoint_address_info{{endpoint=\"{name}\",host=\"{host}\",place=\"{place}\"}} 1"
                );
            }
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::SourceStatus;
    use std::collections::BTreeSet;

    fn status() -> Status {
        let empty = serde_json::json!({
            "schema": 1, "version": "0", "node": "n", "pid": 1, "now": "", "started_at": "",
            "uptime_secs": 0, "healthy": true, "problems": [],
            "config": {"files": [], "loaded_at": "", "reload_error": null},
            "sources": [], "endpoints": [],
            "disk": {"state_dir": "", "used_bytes": 0, "max_bytes": 0, "free_bytes": null, "reading_paused": false},
            "memory": {"rss_bytes": 5}, "log": {"lines_dropped": 0}, "ledger_balanced": true
        });
        let mut status: Status = serde_json::from_value(empty).unwrap();
        status.sources.push(SourceStatus {
            name: "cdr".into(),
            ..SourceStatus::default()
        });
        status.endpoints.push(EndpointStatus {
            name: "billing".into(),
            host: Some("https://a.example:443".into()),
            fallback_host: Some("b.example".into()),
            address: 1,
            switches: 3,
            concurrency: 16,
            under_way: 2,
            rate_max_per_sec: Some(0.5),
            state: "failing".into(),
            failing_secs: Some(77),
            last_success_at: Some("2026-04-09T14:30:45.250Z".into()),
            waiting: 4,
            ..EndpointStatus::default()
        });
        status.endpoints.push(EndpointStatus {
            name: "crm".into(),
            host: Some("http://[::1]:8080".into()),
            state: "working".into(),
            ..EndpointStatus::default()
        });
        status
    }

    #[test]
    fn how_an_endpoint_stands_is_in_the_figures() {
        let text = text(&status());
        for line in [
            "endpoint_state{endpoint=\"billing\",state=\"failing\"} 1",
            "endpoint_state{endpoint=\"billing\",state=\"working\"} 0",
            "endpoint_state{endpoint=\"crm\",state=\"working\"} 1",
            "endpoint_failing_seconds{endpoint=\"billing\"} 77",
            "endpoint_failing_seconds{endpoint=\"crm\"} 0",
            "endpoint_address_info{endpoint=\"billing\",host=\"b.example\",place=\"1\"} 1",
            "endpoint_address_info{endpoint=\"crm\",host=\"[::1]\",place=\"0\"} 1",
            "endpoint_address_switches_total{endpoint=\"billing\"} 3",
            "endpoint_concurrency_limit{endpoint=\"billing\"} 16",
            "endpoint_attempts_under_way{endpoint=\"billing\"} 2",
            "endpoint_rate_limit_per_second{endpoint=\"billing\"} 0.5",
            "endpoint_last_success_timestamp_seconds{endpoint=\"billing\"} 1775745045.25",
            "endpoint_waiting{endpoint=\"billing\"} 4",
        ] {
            let line = format!("\nswitchhook_{line}\n");
            assert!(text.contains(&line), "{line}: {text}");
        }
        let absent = ["rate_limit_per_second", "last_success_timestamp_seconds"];
        for family in absent {
            let line = format!("switchhook_endpoint_{family}{{endpoint=\"crm\"}}");
            assert!(!text.contains(&line), "{line}");
        }
    }

    /// The families as the page has them: name, type, meaning.
    fn rows(text: &str) -> Vec<String> {
        let lines: Vec<&str> = text.lines().collect();
        let pairs = lines.windows(2);
        let heads = pairs.filter_map(|pair| {
            let (name, help) = pair[0].strip_prefix("# HELP ")?.split_once(' ')?;
            let kind = pair[1].rsplit(' ').next()?;
            Some(format!("| `{name}` | {kind} | {help} |"))
        });
        heads.collect()
    }

    #[test]
    fn every_family_is_described_in_the_documents_and_named_as_prometheus_wants_it() {
        let text = text(&status());
        let rows = rows(&text);
        let page = include_str!("../../docs/metrics.md");
        let described: Vec<&str> = page.lines().filter(|it| it.starts_with("| `s")).collect();
        assert_eq!(
            described,
            rows,
            "docs/metrics.md should have:\n{}",
            rows.join("\n")
        );
        let names: BTreeSet<&str> = rows
            .iter()
            .filter_map(|row| row.split('`').nth(1))
            .collect();
        assert_eq!(names.len(), rows.len(), "a family is there twice");
        for row in &rows {
            let is_total = row.contains("_total`");
            let is_counter = row.contains("| counter |") && !row.contains("uptime_seconds`");
            assert_eq!(is_total, is_counter, "{row}");
        }
        // Every sample belongs to the family above it.
        let mut family = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap().to_string();
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(name, family, "{line}");
                assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok());
            }
        }
    }
}

//! View: what is shown, as lines that fit the screen. Asks nothing and nobody.

use super::super::screen::{self, styled};
use super::super::status::{cut, size, span};
use super::history::{History, READINGS_MAX, curve};
use crate::control::status::{EndpointStatus, Status};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::VecDeque;

/// Columns of the narrowest terminal that is served.
pub const COLUMNS_MIN: usize = 80;

/// Rows of the lowest terminal that is served.
pub const ROWS_MIN: usize = 24;

/// Lines of sources, beside those of endpoints.
const SOURCES_MAX: usize = 5;

/// What is being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// All endpoints and sources.
    Endpoints,
    /// The dead letters of one endpoint.
    DeadLetters,
    /// The attempts of one endpoint.
    Attempts,
}

/// What endpoints are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Their names.
    Name,
    /// What waits for them, most first.
    Waiting,
    /// How slow they are, slowest first.
    Latency,
    /// Dead letters, most first.
    Dead,
}

impl Sort {
    /// The next one.
    pub fn next(self) -> Sort {
        match self {
            Sort::Name => Sort::Waiting,
            Sort::Waiting => Sort::Latency,
            Sort::Latency => Sort::Dead,
            Sort::Dead => Sort::Name,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Sort::Name => "name",
            Sort::Waiting => "waiting",
            Sort::Latency => "latency",
            Sort::Dead => "dead letters",
        }
    }
}

/// Everything there is to show.
pub struct Shown<'a> {
    pub status: &'a Status,
    pub trouble: Option<&'a str>,
    pub history: &'a History,
    pub page: Page,
    pub sort: Sort,
    pub chosen: &'a str,
    pub scroll: usize,
    pub said: &'a str,
    pub items: &'a VecDeque<Value>,
}

/// The endpoints in the order in which they are shown.
pub fn sorted(status: &Status, sort: Sort) -> Vec<&EndpointStatus> {
    let mut endpoints: Vec<&EndpointStatus> = status.endpoints.iter().collect();
    endpoints.sort_by(|a, b| a.name.cmp(&b.name));
    match sort {
        Sort::Name => {}
        Sort::Waiting => endpoints.sort_by_key(|it| Reverse(it.queued + it.waiting)),
        Sort::Latency => endpoints.sort_by(|a, b| p99(b).total_cmp(&p99(a))),
        Sort::Dead => endpoints.sort_by_key(|it| Reverse(it.dead_letters)),
    }
    endpoints
}

/// The lines of a screen of that size.
pub fn lines(shown: &Shown<'_>, columns: usize, rows: usize) -> Vec<String> {
    let mut lines = vec![head(shown.status)];
    lines.extend(curves(shown.history));
    let problem = match (shown.trouble, shown.status.problems.as_slice()) {
        (Some(trouble), _) => format!("! {trouble}"),
        (None, []) => String::new(),
        (None, [only]) => format!("! {only}"),
        (None, [first, rest @ ..]) => format!("! {first} (and {} more)", rest.len()),
    };
    lines.push(styled(screen::BAD, cut(&problem, columns)));
    // The last line belongs to the keys.
    let room = rows.saturating_sub(lines.len() + 1);
    let body = match shown.page {
        Page::Endpoints => overview(shown, room),
        Page::DeadLetters => {
            let title = format!("dead letters of {}: {}", shown.chosen, shown.items.len());
            items(shown, room, &title, dead_letter)
        }
        Page::Attempts => {
            let title = format!("attempts of {}, the latest first", shown.chosen);
            items(shown, room, &title, attempt)
        }
    };
    lines.extend(body.into_iter().take(room));
    lines.resize(rows.saturating_sub(1), String::new());
    let keys = match shown.page {
        Page::Endpoints => format!(
            "q quit  p pause  r resume  d dead letters  a attempts  s sort ({})",
            shown.sort.word()
        ),
        _ => "q quit  Esc back  up down scroll".to_string(),
    };
    let last = if shown.said.is_empty() {
        styled(screen::DIM, cut(&keys, columns))
    } else {
        styled(screen::WAIT, cut(shown.said, columns))
    };
    lines.push(last);
    lines
}

fn head(status: &Status) -> String {
    let (style, word) = match (status.healthy, status.problems.len()) {
        (true, _) => (screen::GOOD, "healthy".to_string()),
        (false, 1) => (screen::BAD, "1 problem".to_string()),
        (false, count) => (screen::BAD, format!("{count} problems")),
    };
    let balanced = match status.ledger_balanced {
        true => "ledger balanced",
        false => "LEDGER NOT BALANCED",
    };
    format!(
        "switchhook {:<8} {:<16} up {:<8} {:<19} {}",
        cut(&status.version, 8),
        cut(&status.node, 16),
        span(status.uptime_secs),
        balanced,
        styled(style, word)
    )
}

fn curves(history: &History) -> [String; 3] {
    let line = |label: &str, readings: &VecDeque<f64>| {
        let latest = readings.back().copied().unwrap_or(0.0);
        format!("{label:<8}{} {latest:>9.1}", curve(readings, READINGS_MAX))
    };
    [
        line("rows/s", &history.rows),
        line("sent/s", &history.sent),
        line("p50 ms", &history.latency),
    ]
}

fn overview(shown: &Shown<'_>, room: usize) -> Vec<String> {
    let heading = format!(
        "  {:<18}{:<10}{:>9}{:>9}{:>8}{:>7}{:>8}{:>7}",
        "ENDPOINT", "state", "waiting", "oldest", "sent/s", "ok %", "p99 ms", "dead"
    );
    let mut lines = vec![styled(screen::HEAD, heading)];
    let status = shown.status;
    let sources = status.sources.len().min(SOURCES_MAX);
    let endpoints = sorted(status, shown.sort);
    let places = room.saturating_sub(sources + 5).max(1);
    let at = endpoints
        .iter()
        .position(|it| it.name == shown.chosen)
        .unwrap_or(0);
    let skip = (at + 1).saturating_sub(places);
    for endpoint in endpoints.iter().skip(skip).take(places) {
        lines.push(endpoint_line(endpoint, endpoint.name == shown.chosen));
    }
    let chosen = endpoints.get(at);
    let error = chosen.and_then(|it| it.last_error.as_ref());
    lines.push(error.map_or(String::new(), |error| {
        let text = format!("  last error: [{}] {}", error.class, error.text);
        styled(screen::WAIT, cut(&text, COLUMNS_MIN))
    }));
    let heading = format!(
        "  {:<18}{:>12}{:>10}{:>11}{:>9}{:>7}",
        "SOURCE", "rows", "rows/s", "unread", "set as.", "gaps"
    );
    lines.push(styled(screen::HEAD, heading));
    for source in status.sources.iter().take(SOURCES_MAX) {
        lines.push(format!(
            "  {:<18}{:>12}{:>10}{:>11}{:>9}{:>7}",
            cut(&source.name, 17),
            source.rows,
            source
                .rows_per_sec
                .map_or("-".to_string(), |it| it.to_string()),
            source.unread_bytes.map_or("?".to_string(), size),
            source.set_aside,
            source.gaps
        ));
    }
    let disk = &status.disk;
    lines.push(format!(
        "  disk {} of {}, memory {}",
        size(disk.used_bytes),
        size(disk.max_bytes),
        status.memory.rss_bytes.map_or("?".to_string(), size)
    ));
    lines
}

fn endpoint_line(endpoint: &EndpointStatus, is_chosen: bool) -> String {
    let style = match endpoint.state.as_str() {
        "working" => screen::GOOD,
        "failing" | "stopped" => screen::BAD,
        _ => screen::WAIT,
    };
    let share = endpoint.success_share.map_or("-".to_string(), |share| {
        format!("{:.1}", (share * 1_000.0).floor() / 10.0)
    });
    format!(
        "{} {:<18}{}{:>9}{:>9}{:>8}{:>7}{:>8}{:>7}",
        if is_chosen { ">" } else { " " },
        cut(&endpoint.name, 17),
        styled(style, format_args!("{:<10}", cut(&endpoint.state, 9))),
        endpoint.queued + endpoint.waiting,
        endpoint.oldest_secs.map_or("-".to_string(), span),
        endpoint
            .per_sec
            .map_or("-".to_string(), |it| it.to_string()),
        share,
        endpoint
            .latency_ms
            .map_or("-".to_string(), |it| format!("{:.0}", it.p99)),
        endpoint.dead_letters
    )
}

fn p99(endpoint: &EndpointStatus) -> f64 {
    endpoint.latency_ms.map_or(0.0, |it| it.p99)
}

fn items(shown: &Shown<'_>, room: usize, title: &str, line: fn(&Value) -> String) -> Vec<String> {
    let mut lines = vec![styled(screen::HEAD, cut(title, COLUMNS_MIN))];
    let visible = shown.items.iter().skip(shown.scroll).take(room);
    lines.extend(visible.map(|item| cut(&line(item), COLUMNS_MIN)));
    if shown.items.is_empty() {
        lines.push("none so far".to_string());
    }
    lines
}

fn dead_letter(item: &Value) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or("-");
    format!(
        "{}  {}  {}",
        text("id"),
        text("given_up_at"),
        text("reason")
    )
}

fn attempt(item: &Value) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or("");
    let number = |key: &str| item.get(key).and_then(Value::as_u64).unwrap_or(0);
    format!(
        "{}  #{:<10}{:>6} ms  {} {}",
        text("at"),
        number("sequence"),
        number("elapsed_ms"),
        text("outcome"),
        text("error")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(endpoints: usize) -> Status {
        let endpoint = |number: usize| {
            json!({
                "name": format!("endpoint-with-a-long-name-{number:02}"), "host": null,
                "state": "failing", "paused_by": null, "failing_secs": 86_399, "next_try_secs": 5,
                "added": 1, "queued": 99_999_999 - number, "waiting": 0, "oldest_secs": 8_640_000,
                "delivered": 1, "skipped": 0, "dead": 0, "dropped": 0, "lost": 0, "recalled": 0,
                "dead_letters": number, "attempts": 5, "success_share": 0.5, "per_sec": 1234.5,
                "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 30_000.0 + number as f64},
                "last_error": {"class": "tls", "text": "x".repeat(200), "at": null}
            })
        };
        let source = json!({
            "name": "cdr", "format": "f", "rows": 999_999_999, "derived": 0, "events": 0,
            "set_aside": 9_999_999, "filtered": 0, "repeated": 0, "gaps": 0, "rows_per_sec": 1234.5,
            "files": 1, "unread_bytes": 1_u64 << 50, "partial_secs": null, "last_row_at": null,
            "silent_secs": 0, "trouble": null
        });
        let all: Vec<Value> = (0..endpoints).map(endpoint).collect();
        let status = json!({
            "schema": 1, "version": "0.1.0", "node": "a-switch-with-a-very-long-name", "pid": 1,
            "now": "", "started_at": "", "uptime_secs": 8_640_000, "healthy": false,
            "problems": ["y".repeat(200), "z"],
            "config": {"files": [], "loaded_at": "", "reload_error": null},
            "sources": [source.clone(), source], "endpoints": all,
            "disk": {"state_dir": "", "used_bytes": 1, "max_bytes": 2, "free_bytes": 3, "reading_paused": false},
            "memory": {"rss_bytes": 1}, "log": {"lines_dropped": 0}, "ledger_balanced": true
        });
        serde_json::from_value(status).unwrap()
    }

    fn plain(status: &Status, page: Page, chosen: &str, items: &VecDeque<Value>) -> Vec<String> {
        let shown = Shown {
            status,
            trouble: None,
            history: &History::default(),
            page,
            sort: Sort::Name,
            chosen,
            scroll: 0,
            said: "",
            items,
        };
        let lines = lines(&shown, COLUMNS_MIN, ROWS_MIN);
        let strip = |line: &String| anstream::adapter::strip_str(line).to_string();
        lines.iter().map(strip).collect()
    }

    #[test]
    fn every_page_fits_eighty_columns_and_twenty_four_rows() {
        let letters = VecDeque::from(vec![
            json!({"id": "evt_7aebe06c99b12caad9bd13644eae8c23", "given_up_at": "2026-04-09T14:30:45.000Z", "reason": "w".repeat(99)});
            60
        ]);
        for count in [0, 1, 64] {
            let status = status(count);
            for page in [Page::Endpoints, Page::DeadLetters, Page::Attempts] {
                let lines = plain(&status, page, "endpoint-with-a-long-name-63", &letters);
                assert_eq!(lines.len(), ROWS_MIN, "{lines:#?}");
                for line in &lines {
                    assert!(line.chars().count() <= COLUMNS_MIN, "{line:?}");
                }
                assert!(lines[ROWS_MIN - 1].starts_with("q quit"));
            }
        }
    }

    #[test]
    fn the_chosen_endpoint_is_marked_and_always_in_sight() {
        let lines = plain(
            &status(64),
            Page::Endpoints,
            "endpoint-with-a-long-name-63",
            &VecDeque::new(),
        );
        assert_eq!(
            lines.iter().filter(|line| line.starts_with("> ")).count(),
            1
        );
        let text = lines.join("\n");
        assert!(
            text.contains("SOURCE") && text.contains("last error: [tls]"),
            "{text}"
        );
    }

    #[test]
    fn endpoints_are_sorted_by_what_is_asked_for() {
        let status = status(3);
        let first = |sort| sorted(&status, sort)[0].name.clone();
        assert!(first(Sort::Name).ends_with("00") && first(Sort::Waiting).ends_with("00"));
        assert!(first(Sort::Latency).ends_with("02") && first(Sort::Dead).ends_with("02"));
    }
}

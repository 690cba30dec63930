//! Details: what is known of one endpoint or source, the most telling first.

use super::{BAD, GOOD, HEAD, PLAIN, WAIT};
use crate::cli::status::{span, wrapped};
use crate::control::status::{EndpointStatus, SourceStatus};
use crate::queue::Size;
use ratatui_core::style::Style;

/// An endpoint, a fact a line. The first line says all that matters when there is room for one.
pub fn endpoint(it: &EndpointStatus) -> Vec<(Style, String)> {
    let mut lines = vec![stands(it)];
    if let Some(error) = &it.last_error {
        let at = error
            .at
            .as_deref()
            .map_or(String::new(), |at| format!(" at {at}"));
        let text = format!("  last error{at}: [{}] {}", error.class, error.told());
        lines.push((WAIT, text));
    }
    let mut plain = |text: String| lines.push((PLAIN, text));
    if let Some(host) = &it.host {
        let fallback = it.fallback_host.as_ref();
        let fallback = fallback.map_or(String::new(), |host| format!(", in its place {host}"));
        plain(format!(
            "  {host}{fallback}; {} of {} attempts under way",
            it.under_way, it.concurrency
        ));
    }
    plain(format!(
        "  {} queued, {} wait for a retry; {} delivered, {} not for it",
        it.queued, it.waiting, it.delivered, it.skipped
    ));
    plain(format!(
        "  {} dead letters on disk; {} given up, {} dropped, {} lost, {} put back",
        it.dead_letters, it.dead, it.dropped, it.lost, it.recalled
    ));
    let share = it.success_share.map_or(String::new(), |share| {
        format!(", {:.1} % delivered", (share * 1_000.0).floor() / 10.0)
    });
    let latency = it.latency_ms.map_or(String::new(), |it| {
        format!(
            "; p50 {:.0}, p95 {:.0}, p99 {:.0} ms",
            it.p50, it.p95, it.p99
        )
    });
    plain(format!(
        "  {} attempts since the start{share}{latency}",
        it.attempts
    ));
    if let Some(rotation) = &it.rotation {
        plain(format!(
            "  two secrets in force for {}",
            span(rotation.age_secs)
        ));
    }
    lines
}

/// How an endpoint stands, in a sentence.
pub fn stands(it: &EndpointStatus) -> (Style, String) {
    let (style, state) = state(it);
    (style, format!("{}: {state}", it.name))
}

fn state(it: &EndpointStatus) -> (Style, String) {
    let next = it.next_try_secs.map_or(String::new(), |secs| {
        format!(", next try in {}", span(secs))
    });
    let since = it
        .failing_secs
        .map_or(String::new(), |secs| format!(" for {}", span(secs)));
    match (it.state.as_str(), it.paused_by.as_deref()) {
        ("working", _) => (GOOD, "working".to_string()),
        ("failing", _) => (BAD, format!("failing{since}{next}")),
        ("paused", Some("operator")) => (
            WAIT,
            "paused by the operator; events wait until r resumes it".to_string(),
        ),
        ("paused", _) => (WAIT, format!("paused by its receiver{next}")),
        ("stopped", _) => (
            BAD,
            "stopped: it answered 410 twice; r sends again".to_string(),
        ),
        ("disabled", _) => (WAIT, "disabled by the configuration".to_string()),
        ("removed", _) => (
            WAIT,
            "not in the configuration any more; its backlog is kept".to_string(),
        ),
        (other, _) => (WAIT, other.to_string()),
    }
}

/// A source, a fact a line; the first line as above.
pub fn source(it: &SourceStatus) -> Vec<(Style, String)> {
    let mut lines = Vec::new();
    let format = it.format.as_deref();
    match &it.trouble {
        Some(trouble) => lines.push((BAD, format!("{}: {trouble}", it.name))),
        None => lines.push((
            PLAIN,
            format!(
                "{}: {}, last row {}",
                it.name,
                format.unwrap_or("not configured any more"),
                it.last_row_at
                    .as_deref()
                    .unwrap_or("before the agent's start")
            ),
        )),
    }
    let mut plain = |text: String| lines.push((PLAIN, text));
    let files = it.files.map_or("?".to_string(), |files| files.to_string());
    let unread = it
        .unread_bytes
        .map_or("?".to_string(), |bytes| Size(bytes).to_string());
    plain(format!(
        "  files: {files}, {unread} unread; silent for {}",
        span(it.silent_secs)
    ));
    if let Some(secs) = it.partial_secs {
        plain(format!("  half a row has been there for {}", span(secs)));
    }
    plain(format!(
        "  {} rows and {} derived: {} events, {} set aside, {} filtered, {} repeated; {} gaps",
        it.rows, it.derived, it.events, it.set_aside, it.filtered, it.repeated, it.gaps
    ));
    lines
}

/// A heading for a page.
pub fn heading(text: String) -> (Style, String) {
    (HEAD, text)
}

/// A line in as many rows of `width` as it needs; all but the first are indented further.
pub fn hung(style: Style, line: &str, width: usize) -> Vec<(Style, String)> {
    let indent = line.len() - line.trim_start().len();
    let rows = wrapped(line, width.saturating_sub(indent + 2));
    let row = |(at, row): (usize, String)| {
        let further = if at == 0 { 0 } else { 2 };
        (style, format!("{}{row}", " ".repeat(indent + further)))
    };
    rows.into_iter().enumerate().map(row).collect()
}

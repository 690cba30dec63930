//! `switchhook status`: how everything stands, on one screen of 80 columns.

use super::ask::AgentArgument;
use super::{Exit, screen};
use crate::control::listening::PushStatus;
use crate::control::metrics;
use crate::control::protocol::Request;
use crate::control::status::{EndpointStatus, SourceStatus, Status};
use crate::queue::Size;
use crate::shutdown::Shutdown;
use anstyle::Style;
use clap::Args;
use std::fmt::Write as _;
use std::time::Duration;

/// Columns of the narrowest terminal that is served.
const COLUMNS: usize = 80;

/// Time between two looks of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Seconds without an answer from which an attempt is worth a word, long before it has failed.
const SLOW_SECS: u64 = 3;

/// The arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Ends with 0 when there is nothing to do, 69 when something has to be repaired, 65 when all works
and events that were given up wait for a decision (replay or purge), 75 when the agent is not
running: for cron and monit. Each reason is listed first.

Example: switchhook status --watch
Example: switchhook status --json | jq '.endpoints[] | select(.state != \"working\")'")]
pub struct StatusArguments {
    #[command(flatten)]
    agent: AgentArgument,
    /// As JSON; the fields are listed in docs/status.md.
    #[arg(long, conflicts_with_all = ["prometheus", "watch"])]
    json: bool,
    /// As figures in Prometheus' text format.
    #[arg(long, conflicts_with = "watch")]
    prometheus: bool,
    /// Show it again every two seconds.
    #[arg(long)]
    watch: bool,
}

/// Shows how everything stands.
pub fn status(arguments: &StatusArguments) -> Exit {
    loop {
        let status = match fetch(&arguments.agent) {
            Ok(status) => status,
            Err(exit) => return exit,
        };
        if arguments.json {
            let text = serde_json::to_string_pretty(&status).expect("a status is JSON");
            screen::line(text);
        } else if arguments.prometheus {
            screen::line(metrics::text(&status).trim_end());
        } else if arguments.watch {
            screen::line(format_args!("\x1b[H\x1b[2J{}", text(&status)));
        } else {
            screen::line(text(&status));
        }
        if !arguments.watch {
            return exit_of(&status);
        }
        Shutdown::default().wait(WATCH_EVERY);
    }
}

fn exit_of(status: &Status) -> Exit {
    match (status.healthy, status.undecided.is_empty()) {
        (true, true) => Exit::Success,
        (true, false) => Exit::Data,
        (false, _) => Exit::Unhealthy,
    }
}

/// Asks the agent how everything stands.
pub fn fetch(agent: &AgentArgument) -> Result<Status, Exit> {
    let value = agent.ask(&Request::Status, |_| {})?;
    serde_json::from_value(value).map_err(|error| {
        screen::complaint(format_args!(
            "the agent's answer is not understood ({error}); use the program of its version"
        ));
        Exit::Bug
    })
}

/// The whole screen.
pub fn text(status: &Status) -> String {
    let mut out = String::new();
    let (style, word) = match (status.healthy, status.undecided.is_empty()) {
        (true, true) => (screen::GOOD, "healthy"),
        (true, false) => (screen::WAIT, "to be decided"),
        (false, _) => (screen::BAD, "needs you"),
    };
    let head = format!(
        "switchhook {}  node {}  up {}  pid {}  ",
        status.version,
        status.node,
        span(status.uptime_secs),
        status.pid
    );
    push(&mut out, &format!("{head}{}", screen::styled(style, word)));
    let problems = status.problems.iter().map(|it| (screen::BAD, '!', it));
    let undecided = status.undecided.iter().map(|it| (screen::WAIT, '?', it));
    for (style, mark, sentence) in problems.chain(undecided) {
        for line in wrapped(sentence, COLUMNS - 2) {
            push(
                &mut out,
                &screen::styled(style, format_args!("{mark} {line}")),
            );
        }
    }
    head_line(
        &mut out,
        &format!(
            "{:<16}{:>12}{:>9}{:>10}{:>9}{:>10}{:>14}",
            "SOURCE", "rows", "rows/s", "unread", "set as.", "gaps", "last row"
        ),
    );
    for source in &status.sources {
        push(&mut out, &source_line(source));
        for line in source_notes(source) {
            push(&mut out, &line);
        }
    }
    head_line(
        &mut out,
        &format!(
            "{:<16}{:<9}{:>9}{:>8}{:>8}{:>6}{:>24}",
            "ENDPOINT", "state", "waiting", "oldest", "sent/s", "ok %", "p50/p95/p99 ms"
        ),
    );
    for endpoint in &status.endpoints {
        push(&mut out, &endpoint_line(endpoint));
        for line in endpoint_notes(endpoint) {
            push(&mut out, &line);
        }
    }
    out.push('\n');
    let disk = &status.disk;
    let free = disk.free_bytes.map_or(String::new(), |free| {
        format!(", {} free on its partition", Size(free))
    });
    push(
        &mut out,
        &format!(
            "disk    {} of {}{free}",
            Size(disk.used_bytes),
            Size(disk.max_bytes)
        ),
    );
    let memory = status
        .memory
        .rss_bytes
        .map_or("?".to_string(), |bytes| Size(bytes).to_string());
    let dropped = status.log.lines_dropped;
    push(
        &mut out,
        &format!("memory  {memory}, {dropped} log lines dropped"),
    );
    let (style, word) = match status.ledger_balanced {
        true => (screen::GOOD, "balanced"),
        false => (screen::BAD, "NOT BALANCED"),
    };
    let sum = |count: fn(&EndpointStatus) -> u64| status.endpoints.iter().map(count).sum::<u64>();
    let rows: u64 = status.sources.iter().map(|source| source.rows).sum();
    push(
        &mut out,
        &format!("ledger  {}: {rows} rows read", screen::styled(style, word)),
    );
    push(
        &mut out,
        &format!(
            "events  {} delivered, {} waiting, {} dead letters",
            sum(|it| it.delivered),
            sum(|it| it.queued + it.waiting),
            sum(|it| it.dead_letters),
        ),
    );
    if status.unrouted > 0 {
        let count = status.unrouted;
        push(
            &mut out,
            &format!("        {count} went to no endpoint: see `switchhook routes`"),
        );
    }
    out.truncate(out.trim_end().len());
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

fn head_line(out: &mut String, line: &str) {
    out.push('\n');
    push(out, &screen::styled(screen::HEAD, line));
}

fn source_line(source: &SourceStatus) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_string(), |value| format!("{value}"));
    let last = match &source.last_row_at {
        Some(_) => format!("{} ago", span(source.silent_secs)),
        None => "-".to_string(),
    };
    format!(
        "{:<16}{:>12}{:>9}{:>10}{:>9}{:>10}{:>14}",
        cut(&source.name, 15),
        source.rows,
        number(source.rows_per_sec),
        source
            .unread_bytes
            .map_or("?".to_string(), |bytes| Size(bytes).to_string()),
        source.set_aside,
        source.gaps,
        last
    )
}

fn source_notes(source: &SourceStatus) -> Vec<String> {
    let mut notes = Vec::new();
    if source.format.is_none() {
        notes.push("not in the configuration any more".to_string());
    }
    if let Some(trouble) = &source.trouble {
        notes.push(trouble.clone());
    }
    if source.files == Some(0) && source.trouble.is_none() && source.unreadable.is_none() {
        notes.push("no file matches `files` now; it waits for one".to_string());
    }
    let passed = [(source.filtered, "filtered"), (source.repeated, "repeated")];
    let passed = passed.iter().filter(|(count, _)| *count > 0);
    let passed: Vec<String> = passed
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if !passed.is_empty() {
        notes.push(format!("of its rows {}", passed.join(", ")));
    }
    if let Some(secs) = source.partial_secs.filter(|secs| *secs >= 10) {
        notes.push(format!(
            "half a line has been at its end for {}",
            span(secs)
        ));
    }
    notes.extend(source.pushes.as_ref().map(PushStatus::to_string));
    indented(&notes, screen::WAIT)
}

fn endpoint_line(endpoint: &EndpointStatus) -> String {
    let style = match endpoint.state.as_str() {
        "working" => screen::GOOD,
        "failing" | "stopped" => screen::BAD,
        _ => screen::WAIT,
    };
    let state = screen::styled(style, format_args!("{:<9}", cut(&endpoint.state, 9)));
    let latency = endpoint.latency_ms.map_or("-".to_string(), |latency| {
        format!("{:.0}/{:.0}/{:.0}", latency.p50, latency.p95, latency.p99)
    });
    let share = endpoint.success_share.map_or("-".to_string(), |share| {
        format!("{:.1}", (share * 1_000.0).floor() / 10.0)
    });
    format!(
        "{:<16}{state}{:>9}{:>8}{:>8}{:>6}{:>24}",
        cut(&endpoint.name, 15),
        endpoint.queued + endpoint.waiting,
        endpoint.oldest_secs.map_or("-".to_string(), span),
        endpoint
            .per_sec
            .map_or("-".to_string(), |rate| rate.to_string()),
        share,
        latency
    )
}

fn endpoint_notes(endpoint: &EndpointStatus) -> Vec<String> {
    let mut notes = Vec::new();
    match endpoint.paused_by.as_deref() {
        Some("operator") => notes.push("paused by the operator".to_string()),
        Some("gone") => {
            notes.push("it answered 410, is asked once more and then stopped".to_string())
        }
        Some(_) => notes.push("it asked for a pause (Retry-After)".to_string()),
        None => {}
    }
    let slow = endpoint.under_way_secs.filter(|secs| *secs >= SLOW_SECS);
    if let Some(secs) = slow.filter(|_| endpoint.state == "working") {
        notes.push(format!(
            "no answer yet to {}, the first sent {} ago",
            screen::counted(
                usize::try_from(endpoint.under_way).unwrap_or(usize::MAX),
                "attempt"
            ),
            span(secs)
        ));
    }
    if let Some(secs) = endpoint.failing_secs {
        notes.push(format!("failing for {}", span(secs)));
    }
    if let Some(secs) = endpoint.next_try_secs {
        notes.push(format!("next try in {}", span(secs)));
    }
    let mut lines = Vec::new();
    if !notes.is_empty() {
        lines.push(notes.join(", "));
    }
    if let Some(rotation) = &endpoint.rotation {
        lines.push(format!(
            "two secrets in force since {} ({}, by the {}): leave previous_secret out once receivers have the new one",
            rotation.since,
            span(rotation.age_secs),
            rotation.told_by
        ));
    }
    if let Some(error) = &endpoint.last_error {
        let at = error
            .at
            .as_deref()
            .map_or(String::new(), |at| format!(" at {at}"));
        lines.push(format!(
            "last error{at}: [{}] {}",
            error.class,
            error.told()
        ));
    }
    indented(&lines, screen::WAIT)
}

fn indented(notes: &[String], style: Style) -> Vec<String> {
    let lines = notes.iter().flat_map(|note| wrapped(note, COLUMNS - 4));
    lines
        .map(|line| screen::styled(style, format_args!("    {line}")))
        .collect()
}

/// `text` in lines of at most `width` characters, broken between words where there are any. A command
/// between backquotes stays whole where a line holds it, so that it can be copied.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in &pieces(text, width) {
        let Some(line) = lines.last_mut() else { break };
        let length = line.chars().count() + 1 + word.chars().count();
        if line.is_empty() {
            line.push_str(word);
        } else if length <= width {
            let _ok = write!(line, " {word}");
        } else {
            lines.push(word.to_string());
        }
    }
    lines.into_iter().map(|line| cut(&line, width)).collect()
}

/// The words of `text`, those between two backquotes together.
fn pieces(text: &str, width: usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let is_open = |piece: &String| piece.matches('`').count() % 2 == 1;
        let fits = |piece: &String| piece.chars().count() + 1 + word.chars().count() <= width;
        match pieces.last_mut().filter(|it| is_open(it) && fits(it)) {
            Some(command) => {
                command.push(' ');
                command.push_str(word);
            }
            None => pieces.push(word.to_string()),
        }
    }
    pieces
}

/// The first `width` characters of `text`, the last of them `…` where there are more.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A span of time in at most four characters or so.
pub fn span(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m{:02}s", secs / 60, secs % 60),
        3_600..86_400 => format!("{}h{:02}m", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{}d{:02}h", secs / 86_400, secs % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::{
        ConfigStatus, DiskStatus, ErrorStatus, LatencyStatus, LogStatus, MemoryStatus, SCHEMA,
    };

    fn worst() -> Status {
        let endpoint = EndpointStatus {
            name: "billing-with-a-very-long-name-that-goes-on".into(),
            state: "failing".into(),
            failing_secs: Some(86_399),
            next_try_secs: Some(59),
            queued: 999_999_999,
            oldest_secs: Some(8_640_000),
            success_share: Some(0.9999),
            per_sec: Some(12_345.6),
            dead_letters: 123_456,
            under_way: 64,
            under_way_secs: Some(29),
            latency_ms: Some(LatencyStatus {
                p50: 12_345.0,
                p95: 29_999.0,
                p99: 30_000.0,
            }),
            last_error: Some(ErrorStatus {
                class: "tls".into(),
                text: "tls: invalid peer certificate: certificate expired: verification time 1775745045 (UNIX), but certificate is not valid after 1775745044".into(),
                at: Some("2026-04-09T14:30:45.000Z".into()),
                answer: Some("{\"error\":\"no such account\"}".repeat(5)),
            }),
            ..EndpointStatus::default()
        };
        let source = SourceStatus {
            name: "cdr".into(),
            format: Some("vos3000-pipe".into()),
            rows: 999_999_999_999,
            rows_per_sec: Some(12_345.6),
            unread_bytes: Some(1 << 50),
            set_aside: 99_999_999,
            last_row_at: Some("2026-04-09T14:30:45.000Z".into()),
            silent_secs: 86_399,
            partial_secs: Some(600),
            files: Some(0),
            filtered: 999_999_999_999,
            repeated: 7,
            ..SourceStatus::default()
        };
        Status {
            schema: SCHEMA,
            version: "0.1.0".into(),
            node: "vos-1".into(),
            pid: 4_194_304,
            now: String::new(),
            started_at: String::new(),
            uptime_secs: 8_640_000,
            healthy: false,
            problems: vec!["endpoint billing is failing: ".repeat(4)],
            undecided: vec!["endpoint billing was not told of 3 events: ".repeat(4)],
            config: ConfigStatus::default(),
            sources: vec![source],
            endpoints: vec![endpoint],
            disk: DiskStatus {
                used_bytes: 1 << 29,
                max_bytes: 1 << 30,
                free_bytes: Some(1 << 40),
                ..DiskStatus::default()
            },
            memory: MemoryStatus {
                rss_bytes: Some(9 << 20),
            },
            log: LogStatus::default(),
            unrouted: 9_999_999,
            ledger_balanced: false,
        }
    }

    #[test]
    fn even_the_worst_fits_eighty_columns() {
        let text = anstream::adapter::strip_str(&text(&worst())).to_string();
        for line in text.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line:?}");
        }
        for expected in [
            "needs you",
            "[tls] tls: invalid peer",
            "its receiver says: {\"error\"",
            "NOT BALANCED",
            "1.0 GiB",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn the_exit_code_tells_what_is_to_be_repaired_from_what_is_to_be_decided() {
        let mut status = worst();
        assert_eq!(exit_of(&status), Exit::Unhealthy);
        status.healthy = true;
        assert_eq!(exit_of(&status), Exit::Data);
        assert!(text(&status).contains("to be decided"));
        status.undecided.clear();
        assert_eq!(exit_of(&status), Exit::Success);
        assert!(text(&status).contains("healthy"));
    }

    #[test]
    fn a_command_stays_on_one_line_where_a_line_holds_it() {
        let text = "it is failing; `switchhook test billing` shows each step";
        assert_eq!(
            wrapped(text, 30),
            [
                "it is failing;",
                "`switchhook test billing`",
                "shows each step"
            ]
        );
        assert_eq!(
            wrapped(text, 20),
            [
                "it is failing;",
                "`switchhook test",
                "billing` shows each",
                "step"
            ]
        );
        assert_eq!(
            wrapped("an `open one stays", 11),
            ["an", "`open one", "stays"]
        );
    }

    #[test]
    fn an_endpoint_that_hangs_is_seen_before_its_attempts_have_failed() {
        let mut endpoint = EndpointStatus {
            state: "working".into(),
            under_way: 16,
            under_way_secs: Some(12),
            ..EndpointStatus::default()
        };
        let told = endpoint_notes(&endpoint).concat();
        let told = anstream::adapter::strip_str(&told).to_string();
        assert_eq!(
            told.trim(),
            "no answer yet to 16 attempts, the first sent 12s ago"
        );
        endpoint.under_way_secs = Some(SLOW_SECS - 1);
        assert!(endpoint_notes(&endpoint).is_empty());
    }

    #[test]
    fn spans_are_short() {
        let spans = [
            (5, "5s"),
            (65, "1m05s"),
            (3_700, "1h01m"),
            (90_000, "1d01h"),
        ];
        for (secs, expected) in spans {
            assert_eq!(span(secs), expected);
        }
    }
}

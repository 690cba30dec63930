//! Overview: all endpoints and sources.

use super::plan::Plan;
use super::table::{Field, Table};
use super::{BAD, GOOD, PLAIN, Rows, WAIT, curves, details, head, problem};
use crate::cli::status::span;
use crate::cli::top::board::{Board, Pane};
use crate::cli::top::order::{Column, unsettled};
use crate::control::status::{EndpointStatus, SourceStatus, Status};
use crate::queue::Size;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use ratatui_core::text::Line;
use std::time::Instant;

/// Rows for what is chosen, where there is room. However many it needs, so that nothing moves when
/// another line is chosen.
const DETAILS: usize = 8;

/// Draws everything but the keys.
pub fn draw(buffer: &mut Buffer, board: &mut Board, now: Instant) {
    let Some(status) = &board.status else { return };
    let area = buffer.area;
    let width = usize::from(area.width);
    let facts = match board.pane {
        Pane::Endpoints => board.endpoint().map(details::endpoint),
        Pane::Sources => board.source().map(details::source),
    };
    let facts: Vec<(Style, String)> = facts.unwrap_or_default();
    let hung: Vec<(Style, String)> = facts
        .iter()
        .flat_map(|(style, line)| details::hung(*style, line, width))
        .collect();
    let plan = Plan::of(
        area.height.into(),
        status.endpoints.len(),
        status.sources.len(),
        DETAILS,
        board.pane,
    );
    let mut lines = vec![
        head(board, status, now),
        problem(board, status, now, area.width),
    ];
    let figures = lines.len();
    let endpoints = Table {
        heading: "ENDPOINT",
        lines: &board.order.of(&status.endpoints),
        name: |it| &it.name,
        fields: &ENDPOINT,
        order: Some(board.order),
        is_used: board.pane == Pane::Endpoints,
    };
    let shown = endpoints.lines(&mut board.endpoints, plan.endpoints, width);
    lines.extend(filled(shown, plan.endpoints, "  no endpoint is configured"));
    let mut facts = match hung.len() > plan.details {
        true => brief(&facts, plan.details, width),
        false => hung,
    };
    facts.resize(plan.details, (PLAIN, String::new()));
    let facts = facts.into_iter();
    lines.extend(facts.map(|(style, line)| Line::styled(line, style)));
    let sources: Vec<&SourceStatus> = status.sources.iter().collect();
    let sources = Table {
        heading: "SOURCE",
        lines: &sources,
        name: |it| &it.name,
        fields: &SOURCE,
        order: None,
        is_used: board.pane == Pane::Sources,
    };
    let shown = sources.lines(&mut board.sources, plan.sources, width);
    lines.extend(filled(shown, plan.sources, "  no source is configured"));
    if plan.disk > 0 {
        lines.push(disk(status));
    }
    // The figures stand between the head and the lists.
    let rows = (3 * plan.curve).max(1);
    let (above, below) = lines.split_at(figures);
    let mut filled = Rows::new(buffer, area);
    above.iter().for_each(|line| filled.put(line.clone()));
    let at = filled.area;
    let below_at = Rect {
        y: at.y + u16::try_from(rows).unwrap_or(0),
        // The last row belongs to the keys.
        height: at
            .height
            .saturating_sub(u16::try_from(rows + 1).unwrap_or(0)),
        ..at
    };
    curves::draw(buffer, at, &board.history, plan.curve);
    let mut filled = Rows::new(buffer, below_at);
    below.iter().for_each(|line| filled.put(line.clone()));
}

/// The lines of a table, or a word that there are none.
fn filled(mut lines: Vec<Line<'static>>, places: usize, none: &'static str) -> Vec<Line<'static>> {
    if lines.len() == 1 && places > 0 {
        lines.push(Line::raw(none));
    }
    lines
}

/// The first facts, a row each.
fn brief(facts: &[(Style, String)], rows: usize, width: usize) -> Vec<(Style, String)> {
    let cut = |(style, line): &(Style, String)| (*style, crate::cli::status::cut(line, width));
    facts.iter().take(rows).map(cut).collect()
}

fn disk(status: &Status) -> Line<'static> {
    let disk = &status.disk;
    let mut text = format!(
        "  disk {} of {}, memory {}",
        Size(disk.used_bytes),
        Size(disk.max_bytes),
        status
            .memory
            .rss_bytes
            .map_or("?".to_string(), |bytes| Size(bytes).to_string())
    );
    if disk.reading_paused {
        text += ", READING PAUSED";
    }
    if status.unrouted > 0 {
        text += &format!(", {} events of no endpoint", status.unrouted);
    }
    if status.log.lines_dropped > 0 {
        text += &format!(", {} log lines dropped", status.log.lines_dropped);
    }
    let style = if disk.reading_paused { BAD } else { PLAIN };
    Line::styled(text, style)
}

fn or_dash<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or("-".to_string(), text)
}

fn state_style(endpoint: &EndpointStatus) -> Style {
    match endpoint.state.as_str() {
        "working" => GOOD,
        "failing" | "stopped" => BAD,
        _ => WAIT,
    }
}

const ENDPOINT: [Field<EndpointStatus>; 10] = [
    Field {
        heading: "state",
        width: 10,
        rank: 0,
        column: Some(Column::State),
        text: |it| it.state.clone(),
        style: Some(state_style),
    },
    Field {
        heading: "waiting",
        width: 9,
        rank: 1,
        column: Some(Column::Waiting),
        text: |it| unsettled(it).to_string(),
        style: None,
    },
    Field {
        heading: "oldest",
        width: 9,
        rank: 3,
        column: Some(Column::Oldest),
        text: |it| or_dash(it.oldest_secs, span),
        style: None,
    },
    Field {
        heading: "sent/s",
        width: 8,
        rank: 6,
        column: Some(Column::Sent),
        text: |it| or_dash(it.per_sec, curves::figure),
        style: None,
    },
    Field {
        heading: "ok %",
        width: 7,
        rank: 4,
        column: Some(Column::Share),
        // Rounded down, so that 100 means all.
        text: |it| {
            or_dash(it.success_share, |share| {
                format!("{:.1}", (share * 1_000.0).floor() / 10.0)
            })
        },
        style: None,
    },
    Field {
        heading: "p99 ms",
        width: 8,
        rank: 5,
        column: Some(Column::Latency),
        text: |it| or_dash(it.latency_ms, |it| format!("{:.0}", it.p99)),
        style: None,
    },
    Field {
        heading: "dead",
        width: 8,
        rank: 2,
        column: Some(Column::Dead),
        text: |it| it.dead_letters.to_string(),
        style: None,
    },
    Field {
        heading: "p50 ms",
        width: 8,
        rank: 7,
        column: None,
        text: |it| or_dash(it.latency_ms, |it| format!("{:.0}", it.p50)),
        style: None,
    },
    Field {
        heading: "delivered",
        width: 11,
        rank: 8,
        column: None,
        text: |it| it.delivered.to_string(),
        style: None,
    },
    Field {
        heading: "last error",
        width: 0,
        rank: 9,
        column: None,
        text: |it| {
            let error = it.last_error.as_ref();
            error.map_or(String::new(), |it| format!("[{}] {}", it.class, it.told()))
        },
        style: None,
    },
];

const SOURCE: [Field<SourceStatus>; 8] = [
    Field {
        heading: "rows",
        width: 12,
        rank: 1,
        column: None,
        text: |it| it.rows.to_string(),
        style: None,
    },
    Field {
        heading: "rows/s",
        width: 9,
        rank: 3,
        column: None,
        text: |it| or_dash(it.rows_per_sec, curves::figure),
        style: None,
    },
    Field {
        heading: "unread",
        width: 11,
        rank: 0,
        column: None,
        text: |it| {
            it.unread_bytes
                .map_or("?".to_string(), |bytes| Size(bytes).to_string())
        },
        style: None,
    },
    Field {
        heading: "set aside",
        width: 11,
        rank: 2,
        column: None,
        text: |it| it.set_aside.to_string(),
        style: None,
    },
    Field {
        heading: "gaps",
        width: 6,
        rank: 4,
        column: None,
        text: |it| it.gaps.to_string(),
        style: None,
    },
    Field {
        heading: "silent",
        width: 9,
        rank: 5,
        column: None,
        text: |it| span(it.silent_secs),
        style: None,
    },
    Field {
        heading: "format",
        width: 22,
        rank: 6,
        column: None,
        text: |it| it.format.clone().unwrap_or("(not configured)".to_string()),
        style: Some(|_| PLAIN),
    },
    Field {
        heading: "trouble",
        width: 0,
        rank: 7,
        column: None,
        text: |it| it.trouble.clone().unwrap_or_default(),
        style: None,
    },
];

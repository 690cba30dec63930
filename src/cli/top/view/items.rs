//! Items: the dead letters or attempts of an endpoint, as a list and one by one.

use super::{BAD, CHOSEN, GOOD, HEAD, PLAIN, Rows, details, text};
use crate::cli::status::cut;
use crate::cli::top::board::{Board, Page};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use ratatui_core::text::{Line, Span};
use serde_json::Value;

/// Draws the list of the open page.
pub fn list(buffer: &mut Buffer, area: Rect, board: &mut Board) {
    let (width, name) = (usize::from(area.width), board.endpoints.chosen());
    let is_dead = board.page == Page::DeadLetters;
    let count = board.items.len();
    let (title, heading, none) = match is_dead {
        true => (
            match board.endpoint().filter(|_| board.has_more) {
                Some(it) => format!(
                    "dead letters of {name}: the oldest {count} of {}",
                    it.dead_letters
                ),
                None => format!("dead letters of {name}: {count}"),
            },
            "  given up (UTC)   tries  answer  reason",
            "  none",
        ),
        false => (
            format!("attempts of {name}, the latest first"),
            "  at (UTC)      event         try       ms  outcome",
            "  none yet: they are shown as they end",
        ),
    };
    let stands = board.endpoint().map(details::stands);
    let places = usize::from(area.height).saturating_sub(3);
    let sight = board.item.sight(places, count);
    let mut title = title;
    if count > places && places > 0 {
        title += &format!("  ({}-{})", sight.start + 1, sight.end);
    }
    let mut rows = Rows::new(buffer, area);
    if let Some((style, sentence)) = stands {
        rows.put(Line::styled(cut(&sentence, width), style));
    }
    rows.put(Line::styled(cut(&title, width), HEAD));
    if count == 0 {
        return rows.put(none);
    }
    rows.put(Line::styled(cut(heading, width), HEAD));
    for (at, item) in board
        .items
        .iter()
        .enumerate()
        .take(sight.end)
        .skip(sight.start)
    {
        let (when, style, rest) = if is_dead {
            dead_letter(item)
        } else {
            attempt(item)
        };
        let (mark, chosen) = match at == board.item.at() {
            true => ("> ", CHOSEN),
            false => ("  ", PLAIN),
        };
        let room = width.saturating_sub(2 + when.chars().count());
        rows.put(Line::from_iter([
            Span::raw(mark),
            Span::styled(when, chosen),
            Span::styled(cut(&rest, room), style),
        ]));
    }
}

fn string<'a>(item: &'a Value, key: &str) -> &'a str {
    item.get(key).and_then(Value::as_str).unwrap_or("")
}

fn number(item: &Value, key: &str) -> u64 {
    item.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// Day and time of an instant in RFC 3339, without the year and what is below seconds.
fn day_and_time(at: &str) -> String {
    let (day, time) = at.split_once('T').unwrap_or(("", at));
    let day = day.split_once('-').map_or(day, |(_, day)| day);
    format!("{day} {}", time.get(..8).unwrap_or(time))
}

fn dead_letter(item: &Value) -> (String, Style, String) {
    let answer = item.get("status").and_then(Value::as_u64);
    let answer = answer.map_or("-".to_string(), |status| status.to_string());
    let again = match item.get("being_tried").and_then(Value::as_bool) {
        Some(true) => "(being tried again) ",
        _ => "",
    };
    let rest = format!(
        "{:>8}  {answer:>6}  {again}{}",
        number(item, "attempts"),
        string(item, "reason")
    );
    (day_and_time(string(item, "given_up_at")), PLAIN, rest)
}

fn attempt(item: &Value) -> (String, Style, String) {
    let outcome = string(item, "outcome");
    let style = if outcome == "delivered" { GOOD } else { BAD };
    let at = string(item, "at");
    let time = at.split_once('T').map_or(at, |(_, time)| time);
    let event = format!("#{}", number(item, "sequence"));
    let rest = format!(
        "  {event:<12}{:>5} {:>8}  {outcome} {}",
        number(item, "number"),
        number(item, "elapsed_ms"),
        string(item, "error")
    );
    (time.trim_end_matches('Z').to_string(), style, rest)
}

/// Draws all that is known of the chosen one.
pub fn one(buffer: &mut Buffer, area: Rect, board: &mut Board) {
    let Some(item) = board.items.get(board.item.at()) else {
        return;
    };
    let title = match board.page {
        Page::DeadLetter => "a dead letter; `switchhook dead-letters replay` tries it again",
        _ => "an attempt",
    };
    let mut lines = vec![details::heading(title.to_string())];
    facts(item, "", &mut lines);
    text(buffer, area, board, &lines);
}

/// Every field of `item` that says something, a line each; those that hold others come last.
fn facts(item: &Value, indent: &str, lines: &mut Vec<(Style, String)>) {
    let fields = || item.as_object().into_iter().flatten();
    for (key, value) in fields() {
        match value {
            Value::Null | Value::Object(_) => {}
            Value::String(text) if key == "seen" || text.is_empty() => {}
            Value::String(text) => lines.push((PLAIN, format!("{indent}{key}: {text}"))),
            other => lines.push((PLAIN, format!("{indent}{key}: {other}"))),
        }
    }
    for (key, value) in fields().filter(|(_, value)| value.is_object()) {
        lines.push((PLAIN, format!("{indent}{key}:")));
        facts(value, &format!("{indent}  "), lines);
    }
}

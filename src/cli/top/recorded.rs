//! The picture of `top` in the README: a minute of the real program (`tests/record-top.py`), drawn by
//! the program's own view.

use super::board::{Answer, Board};
use super::history::History;
use super::keys::Key;
use super::list::Step;
use super::text_lines;
use super::view::{self, COLUMNS, ROWS};
use crate::control::status::Status;
use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::style::{Color, Modifier};
use ratatui_core::terminal::Terminal;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Width and height of a character, in pixels.
const CELL: (f32, f32) = (8.4, 17.0);

/// What curves are made of, an eighth to eight.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The screen at the end of the recording.
fn screen() -> Buffer {
    let text = fs::read_to_string(repository("tests/fixtures/top.json")).unwrap();
    let recorded: Value = serde_json::from_str(&text).unwrap();
    let status: Status = serde_json::from_value(recorded["status"].clone()).unwrap();
    let mut history = History::default();
    let began = Instant::now();
    for look in recorded["looks"].as_array().unwrap() {
        // The sums are what the curves are made of, whoever they come from.
        let mut then = status.clone();
        then.sources.truncate(1);
        then.endpoints.truncate(1);
        (then.sources[0].rows, then.sources[0].derived) = (look["rows"].as_u64().unwrap(), 0);
        then.endpoints[0].delivered = look["delivered"].as_u64().unwrap();
        if let Some(latency) = &mut then.endpoints[0].latency_ms {
            latency.p50 = look["p50_ms"].as_f64().unwrap();
        }
        history.note(
            &then,
            began + Duration::from_millis(look["at_ms"].as_u64().unwrap()),
        );
    }
    let mut board = Board::new(began);
    board.take(Answer::Stands(Ok(Box::new(status))), began);
    board.history = history;
    while board.endpoints.chosen() != "archive" {
        board.press(Key::Move(Step::Down), began);
    }
    let screen = TestBackend::new(COLUMNS, ROWS);
    let mut terminal = Terminal::new(screen).unwrap();
    let drawn = terminal.draw(|frame| view::draw(frame.buffer_mut(), &mut board, began));
    drawn.unwrap().buffer.clone()
}

/// The class of a cell's style, as the picture's style sheet has it.
fn class(cell: &Cell) -> String {
    let colour = match cell.fg {
        Color::Red => "bad",
        Color::Green => "good",
        Color::Yellow => "wait",
        _ if cell.modifier.contains(Modifier::BOLD) => "head",
        _ if cell.modifier.contains(Modifier::DIM) => "dim",
        _ => "",
    };
    let marks = [
        (Modifier::UNDERLINED, " line"),
        (Modifier::REVERSED, " back"),
    ];
    let has = |(flag, _): &(Modifier, &str)| cell.modifier.contains(*flag);
    let marks: String = marks.iter().filter(|it| has(it)).map(|it| it.1).collect();
    (colour.to_string() + &marks).trim_start().to_string()
}

/// A row's pieces, each with the class of its style and its first column. Curves are pieces of
/// their own: they are drawn, because the blocks of a font do not meet.
fn pieces(row: &[Cell]) -> Vec<(String, u8, String)> {
    let mut pieces: Vec<(String, u8, String)> = Vec::new();
    for (cell, column) in row.iter().zip(0..) {
        let is_block = cell.symbol().contains(BLOCKS);
        let class = if is_block {
            "curve".to_string()
        } else {
            class(cell)
        };
        match pieces.last_mut() {
            Some((last, _, text)) if *last == class => text.push_str(cell.symbol()),
            _ => pieces.push((class, column, cell.symbol().to_string())),
        }
    }
    pieces
}

/// The columns of a curve, as the path of their outlines.
fn bars(x: f32, top: f32, text: &str) -> String {
    let mut path = String::new();
    for (block, at) in text.chars().zip(0_u8..) {
        let found = BLOCKS.iter().position(|it| *it == block).unwrap();
        let eighths = f32::from(u8::try_from(found + 1).unwrap());
        let (x, height) = (x + CELL.0 * f32::from(at), CELL.1 * eighths / 8.0);
        let (y, width) = (top + CELL.1 - height, CELL.0);
        write!(path, "M{x:.1} {y:.1}h{width:.1}v{height:.1}h-{width:.1}z").unwrap();
    }
    path
}

fn picture(screen: &Buffer) -> String {
    let (width, height) = (CELL.0 * 80.0 + 20.0, CELL.1 * 24.0 + 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n\
         <style>text{{font:14px monospace;fill:#d0d0d0;white-space:pre}}.bad{{fill:#ff6b6b;font-weight:bold}}.good{{fill:#6bd06b}}.wait{{fill:#e0c050}}.head{{fill:#fff;font-weight:bold}}.dim{{fill:#888}}.line{{text-decoration:underline}}.back{{fill:#16181d}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#16181d\"/>\n"
    );
    for (row, cells) in screen.content.chunks(COLUMNS.into()).enumerate() {
        let top = 10.0 + CELL.1 * f32::from(u8::try_from(row).unwrap());
        let y = top + CELL.1 * 0.8;
        for (class, column, text) in pieces(cells) {
            if text.trim().is_empty() {
                continue;
            }
            // Blanks at the end would only be stretched.
            let text = if class.is_empty() {
                text.trim_end()
            } else {
                &text
            };
            let count = u8::try_from(text.chars().count()).unwrap();
            let (x, length) = (10.0 + CELL.0 * f32::from(column), CELL.0 * f32::from(count));
            if class == "curve" {
                let path = bars(x, top, text);
                writeln!(svg, "<path fill=\"#d0d0d0\" d=\"{path}\"/>").unwrap();
                continue;
            }
            if class.ends_with("back") {
                let tall = CELL.1;
                writeln!(svg, "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{tall:.1}\" fill=\"#d0d0d0\"/>").unwrap();
            }
            let escaped = text
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            let class = if class.is_empty() {
                String::new()
            } else {
                format!(" class=\"{class}\"")
            };
            writeln!(svg, "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" xml:space=\"preserve\">{escaped}</text>").unwrap();
        }
    }
    svg + "</svg>\n"
}

#[test]
fn the_picture_in_the_readme_is_what_the_program_shows() {
    let screen = screen();
    let plain = text_lines(&screen).join("\n");
    assert!(plain.contains("> archive"), "{plain}");
    let (path, drawn) = (repository("docs/top.svg"), picture(&screen));
    if std::env::var_os("SWITCHHOOK_DRAW").is_some() {
        fs::write(&path, &drawn).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == drawn,
        "docs/top.svg is not what top shows any more: run SWITCHHOOK_DRAW=1 cargo test --lib cli::top::recorded"
    );
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    assert!(readme.contains("](docs/top.svg)"));
}

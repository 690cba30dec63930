//! The picture of `top` in the README: a minute of the real program (`tests/record-top.py`), drawn by
//! the program's own view.

use super::history::History;
use super::view::{self, COLUMNS_MIN, Page, ROWS_MIN, Shown, Sort};
use crate::control::status::Status;
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Width and height of a character, in pixels.
const CELL: (f32, f32) = (8.4, 17.0);

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The lines of the screen, with their colours.
fn screen() -> Vec<String> {
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
    let shown = Shown {
        status: &status,
        trouble: None,
        history: &history,
        page: Page::Endpoints,
        sort: Sort::Name,
        chosen: "archive",
        scroll: 0,
        said: "",
        items: &VecDeque::new(),
    };
    view::lines(&shown, COLUMNS_MIN, ROWS_MIN)
}

/// A line's pieces, each with the class of its style.
fn pieces(line: &str) -> Vec<(&'static str, String)> {
    let mut pieces = Vec::new();
    for piece in line.split('\x1b') {
        let (class, text) = match piece
            .strip_prefix('[')
            .and_then(|rest| rest.split_once('m'))
        {
            Some((codes, text)) => {
                let has = |code: &str| codes.split(';').any(|it| it == code);
                let class = match () {
                    () if has("31") => "bad",
                    () if has("32") => "good",
                    () if has("33") => "wait",
                    () if has("1") => "head",
                    () if has("2") => "dim",
                    () => "",
                };
                (class, text)
            }
            None => ("", piece),
        };
        // Two codes in a row, bold and red, are one style: the later class wins unless there is none.
        if !text.is_empty() {
            pieces.push((class, text.to_string()));
        }
    }
    pieces
}

fn picture(lines: &[String]) -> String {
    let (width, height) = (CELL.0 * 80.0 + 20.0, CELL.1 * 24.0 + 20.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\">\n\
         <style>text{{font:14px monospace;fill:#d0d0d0;white-space:pre}}.bad{{fill:#ff6b6b;font-weight:bold}}.good{{fill:#6bd06b}}.wait{{fill:#e0c050}}.head{{fill:#fff;font-weight:bold}}.dim{{fill:#888}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#16181d\"/>\n"
    );
    for (row, line) in lines.iter().enumerate() {
        let y = 10.0 + CELL.1 * (f32::from(u8::try_from(row).unwrap()) + 0.8);
        let mut column = 0_u8;
        for (class, text) in pieces(line) {
            let count = u8::try_from(text.chars().count()).unwrap();
            let x = 10.0 + CELL.0 * f32::from(column);
            let escaped = text
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            if !text.trim().is_empty() {
                let length = CELL.0 * f32::from(count);
                let class = if class.is_empty() {
                    String::new()
                } else {
                    format!(" class=\"{class}\"")
                };
                writeln!(svg, "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" xml:space=\"preserve\">{escaped}</text>").unwrap();
            }
            column += count;
        }
    }
    svg + "</svg>\n"
}

#[test]
fn the_picture_in_the_readme_is_what_the_program_shows() {
    let lines = screen();
    let plain: Vec<String> = lines
        .iter()
        .map(|line| anstream::adapter::strip_str(line).to_string())
        .collect();
    assert_eq!(plain.len(), ROWS_MIN);
    assert!(
        plain.iter().all(|line| line.chars().count() <= COLUMNS_MIN),
        "{plain:#?}"
    );
    assert!(plain.join("\n").contains("> archive"), "{plain:#?}");
    let (path, drawn) = (repository("docs/top.svg"), picture(&lines));
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

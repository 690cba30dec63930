use super::*;
use crate::cli::top::board::{Answer, Trouble};
use crate::cli::top::keys::Key;
use crate::cli::top::list::Step;
use crate::cli::top::samples::{attempt, dead_letter, status};
use crate::cli::top::{glyphs, text_lines};
use ratatui_core::backend::TestBackend;
use ratatui_core::terminal::Terminal;
use std::time::Duration;

/// The screens that it is drawn on: the one it is made for, a small and a wide one, and the least.
const SCREENS: [(u16, u16); 4] = [(80, 24), (60, 20), (120, 40), (COLUMNS_MIN, ROWS_MIN)];

fn board(endpoints: usize, sources: usize) -> (Board, Instant) {
    let now = Instant::now();
    let mut board = Board::new(now);
    for second in 0..90 {
        let mut status = status(endpoints, sources);
        if let Some(source) = status.sources.first_mut() {
            source.rows = 1_000 + second * second;
        }
        let then = now + Duration::from_secs(second);
        board.take(Answer::Stands(Ok(Box::new(status))), then);
    }
    (board, now + Duration::from_secs(90))
}

/// What ratatui shows on a terminal of that size.
fn shown(board: &mut Board, now: Instant, (columns, rows): (u16, u16)) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let drawn = terminal.draw(|frame| draw(frame.buffer_mut(), board, now));
    text_lines(drawn.unwrap().buffer)
}

/// Opens a page about the first endpoint.
fn open(board: &mut Board, page: Page, now: Instant) {
    board.page = Page::Overview;
    match page {
        Page::Overview => {}
        Page::Details => assert_eq!(board.press(Key::Open, now), None),
        Page::Problems => assert_eq!(board.press(Key::Problems, now), None),
        Page::DeadLetters | Page::DeadLetter => {
            board.press(Key::DeadLetters, now);
            let letters = (0..60).map(dead_letter).collect();
            board.take(Answer::DeadLetters(Ok((letters, true))), now);
        }
        Page::Attempts | Page::Attempt => {
            board.press(Key::Attempts, now);
            let name = board.endpoints.chosen().to_string();
            for number in 0..60 {
                board.take(Answer::Attempt(name.clone(), attempt(number)), now);
            }
        }
    }
    if matches!(page, Page::DeadLetter | Page::Attempt) {
        board.press(Key::Open, now);
    }
}

const PAGES: [Page; 7] = [
    Page::Overview,
    Page::Details,
    Page::Problems,
    Page::DeadLetters,
    Page::DeadLetter,
    Page::Attempts,
    Page::Attempt,
];

#[test]
fn every_page_is_drawn_on_every_screen_with_its_head_and_its_keys() {
    for (endpoints, sources) in [(0, 0), (1, 1), (64, 100)] {
        for page in PAGES {
            let (mut board, now) = board(endpoints, sources);
            open(&mut board, page, now);
            for screen in SCREENS {
                let lines = shown(&mut board, now, screen);
                let case = format!("{endpoints} {page:?} {screen:?} {lines:#?}");
                assert!(lines[0].starts_with("a-switch-with-"), "{case}");
                assert!(lines[0].contains("2 problems"), "{case}");
                assert!(lines[1].starts_with("! yyy"), "{case}");
                let last = lines.last().unwrap();
                assert!(last.starts_with("? help  q quit"), "{case}");
            }
        }
    }
}

#[test]
fn no_screen_is_too_small_to_be_drawn_on_and_a_very_small_one_says_so() {
    let (mut board, now) = board(64, 100);
    for page in PAGES {
        open(&mut board, page, now);
        for columns in [1, 2, 20, 39, 40, 41, 55, 56, 60, 79, 80, 99, 100, 130, 250] {
            for rows in [1, 2, 3, 7, 8, 9, 13, 24, 50] {
                shown(&mut board, now, (columns, rows));
            }
        }
        board.press(Key::Help, now);
        for (columns, rows) in [(40, 8), (41, 9), (44, 12), (80, 24), (200, 60)] {
            shown(&mut board, now, (columns, rows));
        }
        board.press(Key::Back, now);
    }
    let small = shown(&mut board, now, (30, 7)).join(" ");
    assert!(small.starts_with("too small: 30 x 7, top needs"), "{small}");
    assert!(small.contains("q quits"), "{small}");
}

#[test]
fn the_overview_has_everything_an_operator_looks_for_on_each_screen() {
    let always = [
        "ENDPOINT",
        "SOURCE",
        "> endpoint-00",
        "failing",
        "waiting",
        "rows/s",
    ];
    let table: [(&[&str], (u16, u16)); 4] = [
        (
            &[
                "oldest",
                "sent/s",
                "ok %",
                "p99 ms",
                "dead",
                "max",
                "█",
                "last error",
                "silent",
                "disk",
            ],
            (80, 24),
        ),
        (&["oldest", "dead", "█", "disk", "set aside"], (60, 20)),
        (
            &[
                "p50 ms",
                "delivered  last error",
                "last error",
                "format",
                "attempts under way",
                "vos3000-csv",
            ],
            (120, 40),
        ),
        (
            &["ENDPOINT 1/3", "SOURCE 1/2", "unread"],
            (COLUMNS_MIN, ROWS_MIN),
        ),
    ];
    for (expected, screen) in table {
        let (mut board, now) = board(3, 2);
        let text = shown(&mut board, now, screen).join("\n");
        for word in always.iter().chain(expected) {
            assert!(text.contains(word), "{word} on {screen:?}:\n{text}");
        }
    }
}

#[test]
fn long_lists_scroll_and_say_which_part_is_seen() {
    let (mut board, now) = board(64, 100);
    let text = shown(&mut board, now, (80, 24)).join("\n");
    assert!(
        text.contains("1-10/64") && text.contains("1-4/100"),
        "{text}"
    );
    board.press(Key::Move(Step::Last), now);
    let text = shown(&mut board, now, (80, 24)).join("\n");
    assert!(
        text.contains("55-64/64") && text.contains("> endpoint-63"),
        "{text}"
    );
    board.press(Key::Turn, now);
    board.press(Key::Move(Step::PageDown), now);
    let text = shown(&mut board, now, (80, 24)).join("\n");
    assert!(
        text.contains("> source-04") && text.contains("1-10/100"),
        "{text}"
    );
    assert!(!text.contains("> endpoint"), "{text}");
}

#[test]
fn the_heading_of_what_is_sorted_by_has_an_arrow() {
    let (mut board, now) = board(3, 1);
    let mut heading = |key: Key| {
        board.press(key, now);
        let lines = shown(&mut board, now, (80, 24));
        let said = lines.last().unwrap().clone();
        let heading = lines
            .into_iter()
            .find(|it| it.contains("ENDPOINT"))
            .unwrap();
        (heading, said)
    };
    for (name, words) in [
        ("↓state", "sorted by state, the worst first"),
        ("↓waiting", "sorted by waiting, most first"),
        ("↓oldest", "sorted by oldest, oldest first"),
        ("↓sent/s", "sorted by sent/s, most first"),
        ("↑ok %", "sorted by ok %, lowest first"),
        ("↓p99 ms", "sorted by p99 ms, slowest first"),
        ("↓dead", "sorted by dead, most first"),
    ] {
        let (heading, said) = heading(Key::SortNext);
        assert!(heading.contains(name), "{heading}");
        assert_eq!(said, words);
    }
    let (heading, said) = heading(Key::Reverse);
    assert!(heading.contains("↑dead"), "{heading}");
    assert_eq!(said, "sorted by dead, least first");
}

#[test]
fn an_agent_that_is_gone_is_told_in_words_with_the_age_of_what_is_shown() {
    let (mut board, now) = board(3, 1);
    let trouble = Trouble {
        word: "NOT RUNNING",
        text: "the agent is not running".to_string(),
    };
    board.take(Answer::Stands(Err(trouble)), now);
    for page in PAGES {
        open(&mut board, page, now);
        let lines = shown(&mut board, now + Duration::from_secs(41), (80, 24));
        assert!(lines[0].contains("NOT RUNNING"), "{lines:#?}");
        assert_eq!(
            lines[1],
            "! the agent is not running: this is how it stood 42s ago"
        );
    }
    board.page = Page::Overview;
    let text = shown(&mut board, now, (80, 24)).join("\n");
    assert!(text.contains('·'), "a gap in the curves: {text}");
}

#[test]
fn every_screen_is_told_in_ascii_alone() {
    for page in PAGES {
        let (mut board, now) = board(64, 100);
        open(&mut board, page, now);
        for has_help in [false, true] {
            board.has_help = has_help;
            for (columns, rows) in SCREENS {
                let area = Rect::new(0, 0, columns, rows);
                let mut buffer = Buffer::empty(area);
                draw(&mut buffer, &mut board, now);
                glyphs::to_ascii(&mut buffer);
                let text = text_lines(&buffer).join("\n");
                assert!(text.is_ascii(), "{text}");
                // Only what an operator wrote could be beyond a glyph that has a substitute.
                let expected = text.matches('?').count();
                assert!(expected <= 3, "{text}");
            }
        }
    }
}

#[test]
fn help_names_every_key_and_scrolls_where_it_does_not_fit() {
    let (mut board, now) = board(3, 1);
    board.press(Key::Help, now);
    let text = shown(&mut board, now, (80, 24)).join("\n");
    for word in [
        "p   ",
        "r   ",
        "d   ",
        "a   ",
        "s, right",
        "Ctrl-Z",
        "q, Ctrl-C",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let text = shown(&mut board, now, (60, 12)).join("\n");
    assert!(
        text.contains("more below") && !text.contains("Ctrl-Z"),
        "{text}"
    );
    board.press(Key::Move(Step::Last), now);
    let text = shown(&mut board, now, (60, 12)).join("\n");
    assert!(text.contains("q, Ctrl-C"), "{text}");
}

#[test]
fn a_dead_letter_is_shown_with_all_that_is_known_and_numbers_stay_masked() {
    let (mut board, now) = board(1, 1);
    let mut more = status(1, 1);
    more.endpoints[0].dead_letters = 16_023;
    board.take(Answer::Stands(Ok(Box::new(more))), now);
    open(&mut board, Page::DeadLetters, now);
    let text = shown(&mut board, now, (80, 24)).join("\n");
    assert!(
        text.contains("dead letters of endpoint-00: the oldest 60 of 16023"),
        "{text}"
    );
    assert!(
        text.contains("> 04-09 14:30:45      12     422  www"),
        "{text}"
    );
    board.press(Key::Open, now);
    let text = shown(&mut board, now, (80, 24)).join("\n");
    for word in [
        "id: evt_0",
        "attempts: 12",
        "status: 422",
        "answer: no such customer",
        "caller_id: …17",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn an_endpoint_says_in_a_sentence_how_it_stands() {
    let table = [
        ("working", None, "endpoint-00: working"),
        (
            "failing",
            None,
            "endpoint-00: failing for 23h59m, next try in 5s",
        ),
        (
            "paused",
            Some("operator"),
            "endpoint-00: paused by the operator; events wait until r",
        ),
        (
            "paused",
            Some("receiver"),
            "endpoint-00: paused by its receiver, next try in 5s",
        ),
        (
            "stopped",
            None,
            "endpoint-00: stopped: it answered 410 twice; r sends again",
        ),
        (
            "disabled",
            None,
            "endpoint-00: disabled by the configuration",
        ),
        (
            "removed",
            None,
            "endpoint-00: not in the configuration any more; its backlog is kept",
        ),
    ];
    for (state, by, expected) in table {
        let (mut board, now) = board(1, 1);
        let mut status = status(1, 1);
        status.endpoints[0].state = state.to_string();
        status.endpoints[0].paused_by = by.map(str::to_string);
        board.take(Answer::Stands(Ok(Box::new(status))), now);
        let text = shown(&mut board, now, (80, 24)).join("\n");
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

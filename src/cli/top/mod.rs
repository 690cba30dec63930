//! `switchhook top`: how everything stands, live, with keys to pause, resume and look closer.
//!
//! Written for a terminal of 80 x 24 over a slow line. [`board`] is what is known and looked at,
//! changed by keys and answers alone; [`view`] draws it with ratatui on a buffer of any size, for
//! the terminal, for `--once` and for the picture in the README alike; [`pen`] sends what changed.

mod asking;
mod board;
mod glyphs;
mod history;
mod keys;
mod list;
mod order;
mod pen;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod samples;
mod terminal;
mod view;

use super::ask::{AgentArgument, complain};
use super::{Exit, screen};
use crate::shutdown::Shutdown;
use anstream::{AutoStream, ColorChoice};
use asking::{Asking, LOOK_EVERY, look};
use board::{Answer, Ask, Board};
use clap::Args;
use keys::Key;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use std::env;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use terminal::{Heard, Terminal};

/// Time between two screens that only show another attempt: a busy endpoint ends hundreds in a
/// second, and a slow line has room for two screens.
const ATTEMPTS_EVERY: Duration = Duration::from_millis(500);

/// The arguments of `top`.
#[derive(Debug, Args)]
#[command(after_help = "\
Keys: up, down: choose; Tab: endpoints or sources; Enter: all about it; p: pause, r: resume the
endpoint; d: its dead letters; a: its attempts as they end; !: every problem; s, S: sort by another
column, the other way round; ?: help; Esc: back; q: quit.

Example: switchhook top
Example: switchhook top --once > screen.txt")]
pub struct TopArguments {
    #[command(flatten)]
    agent: AgentArgument,
    /// Print everything as text, after two looks, and end.
    #[arg(long)]
    once: bool,
    /// Draw with ASCII alone, whatever the locale says.
    #[arg(long)]
    ascii: bool,
}

/// Shows how everything stands until it is told to quit.
pub fn top(arguments: &TopArguments) -> Exit {
    let variable = |name: &str| env::var(name).ok();
    let has_utf8 = !arguments.ascii && glyphs::has_utf8(variable);
    if arguments.once {
        return once(&arguments.agent, has_utf8);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        screen::complaint("top needs a terminal; `switchhook top --once` prints it as text");
        return Exit::Usage;
    }
    let term = variable("TERM").unwrap_or_default();
    if term.is_empty() || term == "dumb" {
        screen::complaint(format_args!(
            "nothing can be drawn on this terminal (TERM={term}); `switchhook top --once` prints it as text"
        ));
        return Exit::Usage;
    }
    let mut board = Board::new(Instant::now());
    match look(&arguments.agent.socket()) {
        Ok(status) => board.take(Answer::Stands(Ok(status)), Instant::now()),
        Err(error) => return complain(&error),
    };
    match run(&arguments.agent, &mut board, has_utf8) {
        Ok(()) => Exit::Success,
        Err(error) => {
            screen::complaint(format_args!("the terminal cannot be used: {error}"));
            Exit::Usage
        }
    }
}

/// Prints every endpoint and source once.
fn once(agent: &AgentArgument, has_utf8: bool) -> Exit {
    let mut board = Board::new(Instant::now());
    for is_first in [true, false] {
        if !is_first {
            Shutdown::default().wait(LOOK_EVERY);
        }
        match look(&agent.socket()) {
            Ok(status) => board.take(Answer::Stands(Ok(status)), Instant::now()),
            Err(error) => return complain(&error),
        };
    }
    let mut buffer = Buffer::empty(Rect::new(0, 0, view::COLUMNS, rows_of_all(&board)));
    view::draw(&mut buffer, &mut board, Instant::now());
    if !has_utf8 {
        glyphs::to_ascii(&mut buffer);
    }
    let mut lines = text_lines(&buffer);
    // Nobody presses keys on paper.
    lines.pop();
    for line in lines {
        screen::line(line);
    }
    Exit::Success
}

/// Rows that hold every endpoint and every source.
fn rows_of_all(board: &Board) -> u16 {
    let status = board.status.as_ref();
    let lines = status.map_or(0, |it| it.endpoints.len() + it.sources.len());
    // One of each is on the lowest screen; the rest of a screen is for what is not a list.
    let rows = u16::try_from(lines).unwrap_or(u16::MAX);
    rows.saturating_add(view::ROWS)
}

/// What is drawn, as lines of text without a style.
fn text_lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width).max(1);
    let rows = buffer.content.chunks(width);
    rows.map(|row| {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_string()
    })
    .collect()
}

fn run(agent: &AgentArgument, board: &mut Board, has_utf8: bool) -> io::Result<()> {
    let (bell, rung) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    rung.set_nonblocking(true)?;
    let has_colour = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
    let mut terminal = Terminal::take(rung, has_colour, has_utf8)?;
    let mut asking = Asking::start(agent.clone(), bell)?;
    let mut shown_at = Instant::now();
    let mut is_urgent = true;
    loop {
        let now = Instant::now();
        let since = now.saturating_duration_since(shown_at);
        let left = match is_urgent {
            true => Duration::ZERO,
            false => ATTEMPTS_EVERY.saturating_sub(since),
        };
        if left.is_zero() {
            terminal.show(|buffer| view::draw(buffer, board, now))?;
            shown_at = now;
        }
        let patience = if left.is_zero() { LOOK_EVERY } else { left };
        let heard = terminal.wait(patience, left.is_zero())?;
        if !terminal.is_ours() {
            return Err(io::Error::other("a part of top has failed"));
        }
        if heard.keys.contains(&Key::Redraw) {
            terminal.redraw()?;
        }
        match take_in(heard, &mut asking, board, Instant::now()) {
            ControlFlow::Break(()) => return Ok(()),
            ControlFlow::Continue(has_news) => is_urgent = has_news,
        }
    }
}

/// Gives the board what was heard, and asks what comes of it; whether it has to be shown at once,
/// or the end.
fn take_in(
    heard: Heard,
    asking: &mut Asking,
    board: &mut Board,
    now: Instant,
) -> ControlFlow<(), bool> {
    if heard.is_over {
        return ControlFlow::Break(());
    }
    let mut is_urgent = heard.is_stirred || !heard.has_answers;
    for key in heard.keys {
        if key == Key::Quit && !board.has_help {
            return ControlFlow::Break(());
        }
        is_urgent = true;
        let ask = board.press(key, now);
        send(asking, board, ask, now);
    }
    let answers: Vec<Answer> = asking.answers().collect();
    for answer in answers {
        // Only attempts can wait for their turn.
        is_urgent |= !matches!(answer, Answer::Attempt(..));
        let ask = board.take(answer, now);
        send(asking, board, ask, now);
    }
    if !board.page.is_watching() {
        asking.leave();
    }
    ControlFlow::Continue(is_urgent)
}

fn send(asking: &mut Asking, board: &mut Board, ask: Option<Ask>, now: Instant) {
    if let Some(Err(why)) = ask.map(|ask| asking.ask(ask)) {
        board.say(why, now);
    }
}

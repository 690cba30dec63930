//! `switchhook top`: how everything stands, live, with keys to pause, resume and look closer.
//!
//! Written for a terminal of 80 x 24 over a slow line: only lines that changed are sent. It draws
//! by itself, because a library for that would take more room than the program has left, and all
//! it needs are lines.

mod history;
mod keys;
#[cfg(test)]
mod recorded;
mod terminal;
mod view;

use super::ask::{AgentArgument, complain};
use super::{Exit, screen};
use crate::control::client::{Client, ClientError, HangUp};
use crate::control::protocol::{DeadFilter, Reply, Request};
use crate::control::status::Status;
use clap::Args;
use history::History;
use keys::Key;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};
use terminal::Terminal;
use view::{Page, Sort};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Attempts and dead letters held for their pages.
const ITEMS_MAX: usize = 200;

/// The arguments of `top`.
#[derive(Debug, Args)]
#[command(after_help = "\
Keys: up, down: choose an endpoint; p: pause, r: resume; d: its dead letters; a: its attempts as
they end; s: sort by another column; Esc: back; q: quit.

Example: switchhook top
Example: switchhook top --once > screen.txt")]
pub struct TopArguments {
    #[command(flatten)]
    agent: AgentArgument,
    /// Print one screen as text, after two looks, and end.
    #[arg(long)]
    once: bool,
}

/// Shows how everything stands until it is told to quit.
pub fn top(arguments: &TopArguments) -> Exit {
    let mut top = Top {
        agent: &arguments.agent,
        status: None,
        trouble: None,
        history: History::default(),
        page: Page::Endpoints,
        sort: Sort::Name,
        chosen: String::new(),
        scroll: 0,
        said: String::new(),
        items: VecDeque::new(),
        attempts: None,
    };
    if arguments.once {
        return top.once();
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        screen::complaint("top needs a terminal; `switchhook status` prints the same as text");
        return Exit::Usage;
    }
    if let Err(error) = top.look() {
        return complain(&error);
    }
    match Terminal::take() {
        Ok(mut terminal) => {
            let ended = top.run(&mut terminal);
            drop(terminal);
            match ended {
                Ok(()) => Exit::Success,
                Err(error) => {
                    screen::complaint(format_args!("the terminal is gone: {error}"));
                    Exit::Usage
                }
            }
        }
        Err(error) => {
            screen::complaint(format_args!("the terminal cannot be used: {error}"));
            Exit::Usage
        }
    }
}

/// What is shown, and what of it is looked at.
struct Top<'a> {
    agent: &'a AgentArgument,
    status: Option<Status>,
    /// Why there is no newer status.
    trouble: Option<String>,
    history: History,
    page: Page,
    sort: Sort,
    /// The endpoint that keys are about.
    chosen: String,
    scroll: usize,
    /// What came of the last key.
    said: String,
    /// What the page of dead letters or attempts shows.
    items: VecDeque<Value>,
    /// Attempts as they end, while that page is open.
    attempts: Option<(Receiver<Value>, HangUp)>,
}

impl Top<'_> {
    fn once(&mut self) -> Exit {
        for look in 0..2 {
            if look > 0 {
                crate::shutdown::Shutdown::default().wait(LOOK_EVERY);
            }
            if let Err(error) = self.look() {
                return complain(&error);
            }
        }
        let lines = self.lines(view::COLUMNS_MIN, view::ROWS_MIN);
        lines.iter().for_each(|line| screen::line(line.trim_end()));
        Exit::Success
    }

    fn run(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        let mut look_at = Instant::now() + LOOK_EVERY;
        loop {
            self.take_attempts();
            let (columns, rows) = terminal.size();
            terminal.show(&self.lines(columns, rows))?;
            let left = look_at.saturating_duration_since(Instant::now());
            for key in terminal.keys(left)? {
                if key == Key::Quit {
                    return Ok(());
                }
                self.press(key);
            }
            if Instant::now() >= look_at {
                look_at = Instant::now() + LOOK_EVERY;
                // What went wrong is shown until it goes well again.
                let _seen = self.look();
            }
        }
    }

    fn lines(&self, columns: usize, rows: usize) -> Vec<String> {
        let Some(status) = &self.status else {
            return Vec::new();
        };
        let shown = view::Shown {
            status,
            trouble: self.trouble.as_deref(),
            history: &self.history,
            page: self.page,
            sort: self.sort,
            chosen: &self.chosen,
            scroll: self.scroll,
            said: &self.said,
            items: &self.items,
        };
        view::lines(&shown, columns, rows)
    }

    /// Asks how everything stands now.
    fn look(&mut self) -> Result<(), ClientError> {
        match done(&self.agent.socket(), &Request::Status) {
            Ok(value) => {
                let status: Status = serde_json::from_value(value)
                    .map_err(|error| ClientError::Silent(error.into()))?;
                self.history.note(&status, Instant::now());
                if self.chosen.is_empty() {
                    self.step(0, &status);
                }
                self.status = Some(status);
                self.trouble = None;
                Ok(())
            }
            Err(error) => {
                self.trouble = Some(error.to_string());
                Err(error)
            }
        }
    }

    fn press(&mut self, key: Key) {
        self.said.clear();
        match key {
            Key::Up | Key::Down if self.page == Page::Endpoints => {
                if let Some(status) = self.status.clone() {
                    self.step(if key == Key::Up { -1 } else { 1 }, &status);
                }
            }
            Key::Up => self.scroll = self.scroll.saturating_sub(1),
            Key::Down => self.scroll = (self.scroll + 1).min(self.items.len().saturating_sub(1)),
            Key::Sort => self.sort = self.sort.next(),
            Key::Pause => self.order("pause"),
            Key::Resume => self.order("resume"),
            Key::DeadLetters => self.open_dead_letters(),
            Key::Attempts => self.open_attempts(),
            Key::Back => self.page = Page::Endpoints,
            Key::Quit => {}
        }
    }

    /// Chooses the endpoint `by` lines further on.
    fn step(&mut self, by: isize, status: &Status) {
        let names = view::sorted(status, self.sort);
        let at = names.iter().position(|it| it.name == self.chosen);
        let last = names.len().saturating_sub(1);
        let to = at.map_or(0, |at| at.saturating_add_signed(by).min(last));
        self.chosen = names.get(to).map_or(String::new(), |it| it.name.clone());
    }

    /// Pauses or resumes the chosen endpoint.
    fn order(&mut self, verb: &str) {
        let endpoint = self.chosen.clone();
        let request = match verb {
            "pause" => Request::Pause { endpoint },
            _ => Request::Resume { endpoint },
        };
        self.said = match done(&self.agent.socket(), &request) {
            Ok(_) => format!("{verb}d {}", self.chosen),
            Err(error) => error.to_string(),
        };
        // The next look shows it; a failure is shown by that.
        let _seen = self.look();
    }

    fn open_dead_letters(&mut self) {
        let request = Request::DeadLetters {
            filter: DeadFilter {
                endpoint: Some(self.chosen.clone()),
                ..DeadFilter::default()
            },
            payload: false,
            limit: ITEMS_MAX,
        };
        let mut items = VecDeque::new();
        let listed = Client::ask(&self.agent.socket(), &request).and_then(|mut client| {
            loop {
                match client.read()? {
                    Reply::Item(item) => items.push_back(item),
                    Reply::Done(_) => return Ok(()),
                    _ => {}
                }
            }
        });
        match listed {
            Ok(()) => {
                (self.page, self.scroll, self.items) = (Page::DeadLetters, 0, items);
            }
            Err(error) => self.said = error.to_string(),
        }
    }

    /// Watches attempts from now on; the one before, if any, ends with its channel.
    fn open_attempts(&mut self) {
        let request = Request::Tail {
            endpoint: Some(self.chosen.clone()),
            payload: false,
            recent: false,
        };
        let asked = Client::ask(&self.agent.socket(), &request)
            .and_then(|client| Ok((client.hang_up().map_err(ClientError::Silent)?, client)));
        match asked {
            Ok((hang_up, client)) => {
                let (sender, receiver) = mpsc::sync_channel(ITEMS_MAX);
                let watcher = thread::Builder::new().name("watch".to_string());
                if let Err(error) = watcher.spawn(move || watch(client, &sender)) {
                    self.said = format!("no thread to watch with: {error}");
                    return;
                }
                self.attempts = Some((receiver, hang_up));
                self.items.clear();
                (self.page, self.scroll) = (Page::Attempts, 0);
            }
            Err(error) => self.said = error.to_string(),
        }
    }

    fn take_attempts(&mut self) {
        if self.page != Page::Attempts {
            self.attempts = None;
            return;
        }
        for item in self.attempts.iter().flat_map(|(seen, _)| seen.try_iter()) {
            if item.get("seen").and_then(Value::as_str) == Some("attempt") {
                self.items.push_front(item);
                self.items.truncate(ITEMS_MAX);
            }
        }
    }
}

/// Passes on what is seen, until nobody wants it any more.
fn watch(mut client: Client, sender: &SyncSender<Value>) {
    client.wait_for_ever();
    while let Ok(reply) = client.read() {
        let Reply::Item(item) = reply else { continue };
        match sender.try_send(item) {
            // A screen that is behind has newer ones to show.
            Ok(()) | Err(mpsc::TrySendError::Full(_)) => {}
            Err(mpsc::TrySendError::Disconnected(_)) => return,
        }
    }
}

/// The end of the answer to `request`.
fn done(socket: &std::path::Path, request: &Request) -> Result<Value, ClientError> {
    let mut client = Client::ask(socket, request)?;
    loop {
        if let Reply::Done(value) = client.read()? {
            return Ok(value);
        }
    }
}

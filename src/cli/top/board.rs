//! Board: what `top` knows and what is looked at. Keys and answers change it; it asks nobody
//! itself and draws nothing.

use super::history::History;
use super::keys::Key;
use super::list::{List, Scroll, Step};
use super::order::Order;
use crate::control::client::ClientError;
use crate::control::status::{EndpointStatus, SourceStatus, Status};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Attempts and dead letters held for their pages: some hundred kilobytes.
pub const ITEMS_MAX: usize = 200;

/// How long what came of a key is shown in the place of the keys.
const SAID_FOR: Duration = Duration::from_secs(8);

/// How old an answer may be before it is said: three looks.
const STALE_AFTER: Duration = Duration::from_secs(3);

/// What is being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// All endpoints and sources.
    Overview,
    /// What is known of the chosen endpoint or source.
    Details,
    /// Every problem in full.
    Problems,
    /// The dead letters of the chosen endpoint.
    DeadLetters,
    /// The attempts of the chosen endpoint.
    Attempts,
    /// One dead letter.
    DeadLetter,
    /// One attempt.
    Attempt,
}

impl Page {
    fn before(self) -> Page {
        match self {
            Page::DeadLetter => Page::DeadLetters,
            Page::Attempt => Page::Attempts,
            _ => Page::Overview,
        }
    }

    /// Whether attempts are watched for it.
    pub fn is_watching(self) -> bool {
        matches!(self, Page::Attempts | Page::Attempt)
    }
}

/// The list that the keys move in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// The endpoints.
    Endpoints,
    /// The sources.
    Sources,
}

/// What the agent is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Pause this endpoint.
    Pause(String),
    /// Resume this endpoint.
    Resume(String),
    /// The dead letters of this endpoint.
    DeadLetters(String),
    /// The attempts of this endpoint: the last ones, and from now on.
    Attempts(String),
}

/// What the agent has answered, or why it has not.
#[derive(Debug)]
pub enum Answer {
    /// How everything stands.
    Stands(Result<Box<Status>, Trouble>),
    /// What came of pausing or resuming.
    Ordered(Ask, Result<(), String>),
    /// The dead letters that were asked for last, and whether there are more.
    DeadLetters(Result<(Vec<Value>, bool), String>),
    /// An attempt at an endpoint has ended.
    Attempt(String, Value),
    /// The attempts of an endpoint are not told any more.
    AttemptsEnd(String),
}

/// Why there is no newer status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// In two words.
    pub word: &'static str,
    /// In a sentence.
    pub text: String,
}

impl From<&ClientError> for Trouble {
    fn from(error: &ClientError) -> Trouble {
        let (word, text) = match error {
            ClientError::NotRunning(_) => ("NOT RUNNING", "the agent is not running".to_string()),
            ClientError::NotAllowed(_) => ("NOT ALLOWED", error.to_string()),
            ClientError::Refused(refusal) => ("REFUSED", refusal.message.clone()),
            ClientError::Silent(_) => ("NO ANSWER", error.to_string()),
        };
        Trouble { word, text }
    }
}

/// Everything that is shown, and what of it is looked at.
#[derive(Debug)]
pub struct Board {
    /// The latest status; before the first there is nothing to show.
    pub status: Option<Status>,
    /// The figures of the last minutes.
    pub history: History,
    /// The page that is open.
    pub page: Page,
    /// The list that the keys move in.
    pub pane: Pane,
    /// The order of the endpoints.
    pub order: Order,
    /// The endpoints.
    pub endpoints: List,
    /// The sources, in the order of the configuration.
    pub sources: List,
    /// Dead letters, or attempts with the latest first.
    pub items: VecDeque<Value>,
    /// The choice among them.
    pub item: List,
    /// Whether there are more dead letters than are held.
    pub has_more: bool,
    /// How far the open text is scrolled.
    pub scroll: Scroll,
    /// Whether the keys are explained.
    pub has_help: bool,
    trouble: Option<Trouble>,
    answered_at: Instant,
    said: Option<(String, Instant)>,
    /// Whether attempts are told, for the page that shows them.
    is_watched: bool,
    /// Whether dead letters are waited for: not when another key was pressed since.
    awaits_letters: bool,
}

impl Board {
    /// Nothing is known yet.
    pub fn new(now: Instant) -> Board {
        Board {
            status: None,
            history: History::default(),
            page: Page::Overview,
            pane: Pane::Endpoints,
            order: Order::default(),
            endpoints: List::default(),
            sources: List::default(),
            items: VecDeque::new(),
            item: List::default(),
            has_more: false,
            scroll: Scroll::default(),
            has_help: false,
            trouble: None,
            answered_at: now,
            said: None,
            is_watched: false,
            awaits_letters: false,
        }
    }

    /// The endpoint that keys are about.
    pub fn endpoint(&self) -> Option<&EndpointStatus> {
        let endpoints = self.status.iter().flat_map(|it| &it.endpoints);
        endpoints
            .into_iter()
            .find(|it| it.name == self.endpoints.chosen())
    }

    /// The chosen source.
    pub fn source(&self) -> Option<&SourceStatus> {
        let sources = self.status.iter().flat_map(|it| &it.sources);
        sources
            .into_iter()
            .find(|it| it.name == self.sources.chosen())
    }

    /// What came of the last key, while it is news.
    pub fn said(&self, now: Instant) -> Option<&str> {
        let (text, at) = self.said.as_ref()?;
        (now.saturating_duration_since(*at) < SAID_FOR).then_some(text)
    }

    /// Why what is shown is not how things stand now, and how old it is.
    pub fn stale(&self, now: Instant) -> Option<(Trouble, Duration)> {
        let age = now.saturating_duration_since(self.answered_at);
        let silent = || Trouble {
            word: "NO ANSWER",
            text: "the agent does not answer".to_string(),
        };
        match &self.trouble {
            Some(trouble) => Some((trouble.clone(), age)),
            None => (age >= STALE_AFTER).then(|| (silent(), age)),
        }
    }

    /// Takes an answer; what is to be asked because of it.
    pub fn take(&mut self, answer: Answer, now: Instant) -> Option<Ask> {
        match answer {
            Answer::Stands(Ok(status)) => return self.stands(*status, now),
            Answer::Stands(Err(trouble)) => {
                self.history.miss(now);
                self.trouble = Some(trouble);
            }
            Answer::Ordered(ask, result) => self.ordered(&ask, result, now),
            Answer::DeadLetters(result) if self.awaits_letters => match result {
                Ok((letters, has_more)) => {
                    (self.items, self.has_more) = (letters.into(), has_more);
                    (self.page, self.item) = (Page::DeadLetters, List::default());
                    (self.said, self.awaits_letters) = (None, false);
                    self.settle_items();
                }
                Err(error) => self.say(error, now),
            },
            Answer::DeadLetters(_) => {}
            Answer::Attempt(endpoint, attempt) => {
                if self.is_about_attempts(&endpoint) {
                    self.attempted(attempt);
                }
            }
            Answer::AttemptsEnd(endpoint) => {
                if self.is_about_attempts(&endpoint) {
                    self.is_watched = false;
                }
            }
        }
        None
    }

    fn is_about_attempts(&self, endpoint: &str) -> bool {
        self.page.is_watching() && endpoint == self.endpoints.chosen()
    }

    fn stands(&mut self, status: Status, now: Instant) -> Option<Ask> {
        self.history.note(&status, now);
        let before = self.status.as_ref();
        if before.is_some_and(|before| before.started_at != status.started_at) {
            self.say("the agent was started again".to_string(), now);
        } else if self.trouble.is_some() {
            self.say("the agent answers again".to_string(), now);
        }
        self.status = Some(status);
        (self.trouble, self.answered_at) = (None, now);
        let chosen = self.endpoints.chosen().to_string();
        self.settle();
        let is_gone = !chosen.is_empty() && chosen != self.endpoints.chosen();
        if is_gone && self.page != Page::Overview && self.page != Page::Problems {
            // Another endpoint must not slip under the hands of whoever looks at this one.
            self.page = Page::Overview;
            self.say(format!("endpoint {chosen} is not there any more"), now);
        }
        // The watch ended with the agent that it was held with.
        if self.page.is_watching() && !self.is_watched {
            self.is_watched = true;
            return Some(Ask::Attempts(self.endpoints.chosen().to_string()));
        }
        None
    }

    fn ordered(&mut self, ask: &Ask, result: Result<(), String>, now: Instant) {
        let text = match (ask, result) {
            (_, Err(error)) => error,
            (Ask::Pause(name), Ok(())) => {
                format!("paused {name}: its events wait until r resumes it")
            }
            (Ask::Resume(name), Ok(())) => format!("resumed {name}"),
            _ => return,
        };
        self.say(text, now);
    }

    /// Says `text` in the place of the keys, for a while.
    pub fn say(&mut self, text: String, now: Instant) {
        self.said = Some((text, now));
    }

    fn attempted(&mut self, attempt: Value) {
        // Those that ended as the watch began are told twice.
        let part = |item: &Value, key: &str| item.get(key).cloned();
        let is_same = |it: &Value| {
            ["id", "number"]
                .iter()
                .all(|key| part(it, key) == part(&attempt, key))
        };
        if self.items.iter().any(is_same) {
            return;
        }
        // Whoever looks at the latest goes on doing so.
        let follows = self.item.at() == 0 && self.page == Page::Attempts;
        self.items.push_front(attempt);
        self.items.truncate(ITEMS_MAX);
        self.settle_items();
        if follows {
            self.step_items(Step::First);
        }
    }

    /// Takes a key; what is to be asked because of it.
    pub fn press(&mut self, key: Key, now: Instant) -> Option<Ask> {
        (self.said, self.awaits_letters) = (None, false);
        if self.has_help {
            match key {
                Key::Move(step) => self.scroll.step(step),
                _ => {
                    self.has_help = false;
                    self.scroll = Scroll::default();
                }
            }
            return None;
        }
        match key {
            Key::Move(step) => self.step(step),
            Key::Open => self.open(),
            Key::Turn => self.change_pane(),
            Key::Back => self.show(self.page.before()),
            Key::Problems => self.show(Page::Problems),
            Key::SortNext => self.sort(self.order.moved(1), now),
            Key::SortBefore => self.sort(self.order.moved(-1), now),
            Key::Reverse => self.sort(self.order.reversed(), now),
            Key::Help => {
                self.has_help = true;
                self.scroll = Scroll::default();
            }
            Key::Pause | Key::Resume | Key::DeadLetters | Key::Attempts => {
                return self.ask(key, now);
            }
            Key::Redraw | Key::Quit | Key::Unknown => {}
        }
        None
    }

    fn ask(&mut self, key: Key, now: Instant) -> Option<Ask> {
        if self.pane == Pane::Sources && matches!(self.page, Page::Overview | Page::Details) {
            self.say("that is for endpoints: Tab goes to them".to_string(), now);
            return None;
        }
        let name = self.endpoint()?.name.clone();
        Some(match key {
            Key::Pause => {
                self.say(format!("pausing {name}"), now);
                Ask::Pause(name)
            }
            Key::Resume => {
                self.say(format!("resuming {name}"), now);
                Ask::Resume(name)
            }
            Key::DeadLetters => {
                self.say(format!("reading the dead letters of {name}"), now);
                self.awaits_letters = true;
                Ask::DeadLetters(name)
            }
            _ => {
                self.items.clear();
                self.item = List::default();
                self.show(Page::Attempts);
                self.is_watched = true;
                Ask::Attempts(name)
            }
        })
    }

    fn show(&mut self, page: Page) {
        self.page = page;
        self.scroll = Scroll::default();
    }

    fn open(&mut self) {
        match self.page {
            Page::Overview => self.show(Page::Details),
            Page::DeadLetters if !self.items.is_empty() => self.show(Page::DeadLetter),
            Page::Attempts if !self.items.is_empty() => self.show(Page::Attempt),
            _ => {}
        }
    }

    fn change_pane(&mut self) {
        if matches!(self.page, Page::Overview | Page::Details) {
            self.show(Page::Overview);
            self.pane = match self.pane {
                Pane::Endpoints => Pane::Sources,
                Pane::Sources => Pane::Endpoints,
            };
        }
    }

    fn sort(&mut self, order: Order, now: Instant) {
        if self.page == Page::Overview {
            self.order = order;
            self.settle();
            self.say(order.words(), now);
        }
    }

    fn step(&mut self, step: Step) {
        match (self.page, self.pane) {
            (Page::Overview, Pane::Endpoints) => {
                let names = endpoint_names(self.order, self.status.as_ref());
                self.endpoints.step(step, &names);
            }
            (Page::Overview, Pane::Sources) => {
                let names = source_names(self.status.as_ref());
                self.sources.step(step, &names);
            }
            (Page::DeadLetters | Page::Attempts, _) => self.step_items(step),
            _ => self.scroll.step(step),
        }
    }

    fn settle(&mut self) {
        let names = endpoint_names(self.order, self.status.as_ref());
        self.endpoints.settle(&names);
        let names = source_names(self.status.as_ref());
        self.sources.settle(&names);
    }

    fn settle_items(&mut self) {
        let names: Vec<String> = self.items.iter().map(item_name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.item.settle(&names);
    }

    fn step_items(&mut self, step: Step) {
        let names: Vec<String> = self.items.iter().map(item_name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.item.step(step, &names);
    }
}

fn endpoint_names(order: Order, status: Option<&Status>) -> Vec<&str> {
    let endpoints = status.map_or(&[][..], |it| &it.endpoints);
    let sorted = order.of(endpoints).into_iter();
    sorted.map(|it| it.name.as_str()).collect()
}

fn source_names(status: Option<&Status>) -> Vec<&str> {
    let sources = status.iter().flat_map(|it| &it.sources);
    sources.map(|it| it.name.as_str()).collect()
}

/// What tells an attempt or a dead letter from the others of its endpoint.
fn item_name(item: &Value) -> String {
    let part = |key: &str| item.get(key).cloned().unwrap_or_default();
    format!("{} {}", part("id"), part("number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::samples::{attempt, dead_letter, status};
    use crate::control::status::Status;

    fn board(status: Status) -> (Board, Instant) {
        let now = Instant::now();
        let mut board = Board::new(now);
        assert_eq!(board.take(Answer::Stands(Ok(Box::new(status))), now), None);
        (board, now)
    }

    fn trouble() -> Trouble {
        Trouble {
            word: "NOT RUNNING",
            text: "the agent is not running".to_string(),
        }
    }

    #[test]
    fn the_choice_stays_on_its_endpoint_when_the_order_changes() {
        let (mut board, now) = board(status(4, 1));
        let down = Key::Move(Step::Down);
        assert_eq!(board.press(down, now), None);
        assert_eq!(board.endpoints.chosen(), "endpoint-01");
        board.press(Key::SortNext, now);
        board.press(Key::SortNext, now);
        assert_eq!(board.endpoints.chosen(), "endpoint-01");
        let mut later = status(4, 1);
        later.endpoints[1].queued = 1_000_000_000;
        board.take(Answer::Stands(Ok(Box::new(later))), now);
        assert_eq!(
            (board.endpoints.chosen(), board.endpoints.at()),
            ("endpoint-01", 0)
        );
        assert_eq!(
            board.press(Key::Pause, now),
            Some(Ask::Pause("endpoint-01".to_string()))
        );
        assert_eq!(board.said(now), Some("pausing endpoint-01"));
        let done = Answer::Ordered(Ask::Pause("endpoint-01".to_string()), Ok(()));
        board.take(done, now);
        assert!(board.said(now).unwrap().starts_with("paused endpoint-01"));
        assert_eq!(board.said(now + SAID_FOR), None);
    }

    #[test]
    fn keys_for_endpoints_do_nothing_among_sources_and_say_why() {
        let (mut board, now) = board(status(2, 2));
        board.press(Key::Turn, now);
        board.press(Key::Move(Step::Down), now);
        assert_eq!((board.sources.at(), board.endpoints.at()), (1, 0));
        for key in [Key::Pause, Key::Resume, Key::DeadLetters, Key::Attempts] {
            assert_eq!(board.press(key, now), None);
            assert!(board.said(now).unwrap().contains("Tab"));
        }
        board.press(Key::Turn, now);
        assert!(board.press(Key::Resume, now).is_some());
    }

    #[test]
    fn without_endpoints_no_key_asks_anything() {
        let (mut board, now) = board(status(0, 0));
        for key in [Key::Pause, Key::Attempts, Key::DeadLetters, Key::Open] {
            assert_eq!(board.press(key, now), None);
        }
    }

    #[test]
    fn an_agent_that_stops_and_starts_again_is_told_of_and_goes_on() {
        let (mut board, now) = board(status(2, 1));
        board.press(Key::Attempts, now);
        let late = now + Duration::from_secs(2);
        board.take(Answer::Stands(Err(trouble())), late);
        board.take(Answer::AttemptsEnd("endpoint-00".to_string()), late);
        let (seen, age) = board.stale(late).unwrap();
        assert_eq!((seen, age), (trouble(), Duration::from_secs(2)));
        let mut again = status(2, 1);
        again.started_at = "later".to_string();
        // What is watched is watched at the new agent.
        assert_eq!(
            board.take(Answer::Stands(Ok(Box::new(again))), late),
            Some(Ask::Attempts("endpoint-00".to_string()))
        );
        assert_eq!(board.said(late), Some("the agent was started again"));
        assert_eq!(board.stale(late), None);
        // One that hangs is not taken for one that answers.
        let (seen, _) = board.stale(late + STALE_AFTER).unwrap();
        assert_eq!(seen.word, "NO ANSWER");
    }

    #[test]
    fn attempts_come_latest_first_and_a_closer_look_holds_still() {
        let (mut board, now) = board(status(1, 1));
        let come = |board: &mut Board, number: u64| {
            let answer = Answer::Attempt("endpoint-00".to_string(), attempt(number));
            assert_eq!(board.take(answer, now), None);
        };
        come(&mut board, 1);
        assert!(board.items.is_empty(), "nobody looks at attempts");
        board.press(Key::Attempts, now);
        (1..=3).for_each(|number| come(&mut board, number));
        assert_eq!(board.item.at(), 0);
        board.press(Key::Move(Step::Down), now);
        come(&mut board, 4);
        assert_eq!(board.item.at(), 2);
        assert_eq!(board.items[2]["sequence"], 2);
        board.press(Key::Open, now);
        come(&mut board, 5);
        assert_eq!((board.page, board.item.at()), (Page::Attempt, 3));
        come(&mut board, 5);
        assert_eq!(board.items.len(), 5, "the same once more");
        (6..300).for_each(|number| come(&mut board, number));
        assert_eq!(board.items.len(), ITEMS_MAX);
        board.press(Key::Back, now);
        assert_eq!(board.page, Page::Attempts);
        board.press(Key::Back, now);
        assert_eq!(board.page, Page::Overview);
    }

    #[test]
    fn dead_letters_open_no_page_when_another_key_was_pressed_meanwhile() {
        let (mut board, now) = board(status(2, 1));
        let letters = || Answer::DeadLetters(Ok((vec![dead_letter(1)], false)));
        let name = "endpoint-00".to_string();
        let asked = Some(Ask::DeadLetters(name));
        assert_eq!(board.press(Key::DeadLetters, now), asked);
        board.press(Key::Move(Step::Down), now);
        board.take(letters(), now);
        assert_eq!(board.page, Page::Overview);
        board.press(Key::DeadLetters, now);
        board.take(letters(), now);
        assert_eq!((board.page, board.items.len()), (Page::DeadLetters, 1));
    }

    #[test]
    fn a_page_about_an_endpoint_that_is_gone_is_left() {
        let (mut board, now) = board(status(2, 1));
        board.press(Key::Open, now);
        let mut later = status(2, 1);
        later.endpoints.remove(0);
        board.take(Answer::Stands(Ok(Box::new(later))), now);
        assert_eq!(board.page, Page::Overview);
        assert!(board.said(now).unwrap().contains("endpoint-00"));
    }

    #[test]
    fn help_lies_over_every_page_and_any_key_but_a_move_ends_it() {
        let (mut board, now) = board(status(2, 1));
        board.press(Key::Help, now);
        board.press(Key::Move(Step::Down), now);
        assert!(board.has_help);
        assert_eq!(board.press(Key::Pause, now), None);
        assert!(!board.has_help);
    }
}

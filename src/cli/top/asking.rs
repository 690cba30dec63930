//! Asking: the agent is asked by threads, so that keys work while it does not answer.

use super::board::{Answer, Ask, ITEMS_MAX, Trouble};
use crate::cli::ask::AgentArgument;
use crate::control::client::{Client, ClientError, HangUp};
use crate::control::protocol::{DeadFilter, Reply, Request};
use crate::control::status::Status;
use crate::shutdown::Bell;
use serde_json::Value;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

/// Time between two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Answers that wait for the screen. Whoever has a look to tell waits when there are more: a
/// screen at the end of a slow line gets no backlog of old ones.
const ANSWERS_MAX: usize = 64;

/// Keys pressed while the agent does not answer.
const ASKS_MAX: usize = 4;

/// The threads that ask. They end with the process: one that waits for an agent that hangs
/// cannot be waited for.
#[derive(Debug)]
pub struct Asking {
    /// Where it listens is looked up each time: its configuration may be edited meanwhile.
    agent: AgentArgument,
    answers: Receiver<(Watch, Answer)>,
    teller: Teller,
    orders: SyncSender<Ask>,
    watching: Option<HangUp>,
    watch: Watch,
}

/// Which watch an answer belongs to: what an ended one still tells is not for the page that is
/// open now.
type Watch = Option<u64>;

/// Tells answers to the screen and rings its bell.
#[derive(Debug, Clone)]
struct Teller {
    sender: SyncSender<(Watch, Answer)>,
    bell: Arc<UnixStream>,
    watch: Watch,
}

impl Teller {
    /// Waits for room; false when nobody listens any more.
    fn tell(&self, answer: Answer) -> bool {
        self.sender
            .send((self.watch, answer))
            .is_ok_and(|()| self.ring())
    }

    /// Without room the answer is dropped: a screen that is behind has newer ones to show.
    fn tell_in_passing(&self, answer: Answer) -> bool {
        match self.sender.try_send((self.watch, answer)) {
            Ok(()) => self.ring(),
            Err(TrySendError::Full(_)) => true,
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    fn ring(&self) -> bool {
        // A bell that is full of rings is loud enough.
        let _rung = (&*self.bell).write(&[1]);
        true
    }
}

impl Asking {
    /// Starts to look, each second and after every order. `bell` must not block.
    ///
    /// # Errors
    ///
    /// When the system has no thread left.
    pub fn start(agent: AgentArgument, bell: UnixStream) -> io::Result<Asking> {
        let (sender, answers) = mpsc::sync_channel(ANSWERS_MAX);
        let (orders, ordered) = mpsc::sync_channel(ASKS_MAX);
        let teller = Teller {
            sender,
            bell: Arc::new(bell),
            watch: None,
        };
        let look_now = Bell::default();
        let (at, tell, now) = (agent.clone(), teller.clone(), look_now.clone());
        thread::Builder::new()
            .name("look".to_string())
            .spawn(move || {
                while tell.tell(Answer::Stands(
                    look(&at.socket()).map_err(|it| (&it).into()),
                )) {
                    now.wait(LOOK_EVERY);
                }
            })?;
        let (at, tell) = (agent.clone(), teller.clone());
        thread::Builder::new()
            .name("ask".to_string())
            .spawn(move || {
                for ask in ordered {
                    let answer = answered(&at.socket(), ask);
                    look_now.ring();
                    if answer.is_some_and(|answer| !tell.tell(answer)) {
                        return;
                    }
                }
            })?;
        Ok(Asking {
            agent,
            answers,
            teller,
            orders,
            watching: None,
            watch: Some(0),
        })
    }

    /// The answers that are there.
    pub fn answers(&self) -> impl Iterator<Item = Answer> {
        let there = self.answers.try_iter();
        there
            .filter(|(watch, _)| watch.is_none() || *watch == self.watch)
            .map(|(_, answer)| answer)
    }

    /// Asks; the answer comes later.
    ///
    /// # Errors
    ///
    /// Why it cannot be asked, in words.
    pub fn ask(&mut self, ask: Ask) -> Result<(), String> {
        match ask {
            Ask::Attempts(endpoint) => self.watch(endpoint),
            ask => self.orders.try_send(ask).map_err(|_full| {
                "the agent has not answered the keys before; this one is passed over".to_string()
            }),
        }
    }

    /// Watches attempts from now on; the watch before ends.
    fn watch(&mut self, endpoint: String) -> Result<(), String> {
        self.leave();
        let tell = Teller {
            watch: self.watch,
            ..self.teller.clone()
        };
        let request = Request::Tail {
            endpoint: Some(endpoint.clone()),
            payload: false,
            recent: true,
        };
        let asked = Client::ask(&self.agent.socket(), &request)
            .and_then(|client| Ok((client.hang_up().map_err(ClientError::Silent)?, client)));
        let (hang_up, client) = match asked {
            Ok(asked) => asked,
            Err(error) => {
                // It is tried again after a look that is answered.
                tell.tell_in_passing(Answer::AttemptsEnd(endpoint));
                return Err(Trouble::from(&error).text);
            }
        };
        self.watching = Some(hang_up);
        let watcher = thread::Builder::new().name("watch".to_string());
        let spawned = watcher.spawn(move || attempts(client, endpoint, &tell));
        spawned.map_or_else(
            |error| Err(format!("no thread to watch with: {error}")),
            |_| Ok(()),
        )
    }

    /// Ends the watch, if there is one.
    pub fn leave(&mut self) {
        self.watching = None;
        self.watch = self.watch.map(|number| number + 1);
    }
}

/// Asks how everything stands.
///
/// # Errors
///
/// [`ClientError`] when there is no answer.
pub fn look(socket: &Path) -> Result<Box<Status>, ClientError> {
    let value = done(socket, &Request::Status, |_| {})?;
    serde_json::from_value(value)
        .map(Box::new)
        .map_err(|error| ClientError::Silent(error.into()))
}

fn answered(socket: &Path, ask: Ask) -> Option<Answer> {
    let text = |error: ClientError| Trouble::from(&error).text;
    let request = match &ask {
        Ask::Pause(endpoint) => Request::Pause {
            endpoint: endpoint.clone(),
        },
        Ask::Resume(endpoint) => Request::Resume {
            endpoint: endpoint.clone(),
        },
        Ask::DeadLetters(endpoint) => {
            let letters = dead_letters(socket, endpoint).map_err(text);
            return Some(Answer::DeadLetters(letters));
        }
        // Those have a thread of their own.
        Ask::Attempts(_) => return None,
    };
    let done = done(socket, &request, |_| {});
    Some(Answer::Ordered(ask, done.map(drop).map_err(text)))
}

fn dead_letters(socket: &Path, endpoint: &str) -> Result<(Vec<Value>, bool), ClientError> {
    let request = Request::DeadLetters {
        filter: DeadFilter {
            endpoint: Some(endpoint.to_string()),
            ..DeadFilter::default()
        },
        payload: false,
        limit: ITEMS_MAX,
    };
    let mut letters = Vec::new();
    let done = done(socket, &request, |letter| letters.push(letter))?;
    let has_more = done.get("more").and_then(Value::as_bool).unwrap_or(false);
    Ok((letters, has_more))
}

/// Passes on the attempts that end, until nobody wants them any more or the agent is gone.
fn attempts(mut client: Client, endpoint: String, tell: &Teller) {
    client.wait_for_ever();
    while let Ok(reply) = client.read() {
        let Reply::Item(item) = reply else { continue };
        let is_attempt = item.get("seen").and_then(Value::as_str) == Some("attempt");
        if is_attempt && !tell.tell_in_passing(Answer::Attempt(endpoint.clone(), item)) {
            return;
        }
    }
    tell.tell(Answer::AttemptsEnd(endpoint));
}

/// The end of the answer to `request`; its parts go to `item`.
fn done(
    socket: &Path,
    request: &Request,
    mut item: impl FnMut(Value),
) -> Result<Value, ClientError> {
    let mut client = Client::ask(socket, request)?;
    loop {
        match client.read()? {
            Reply::Item(part) => item(part),
            Reply::Done(value) => return Ok(value),
            Reply::Progress(_) | Reply::Refused(_) => {}
        }
    }
}

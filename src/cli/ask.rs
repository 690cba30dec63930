//! What the commands that ask the running agent have in common: where it is, and what is said
//! when it is not there.

use super::{CONFIG_DEFAULT, Exit, screen};
use crate::config::control;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Code, Progress, Reply, Request};
use clap::Args;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Which agent is asked.
#[derive(Debug, Clone, Args)]
pub struct AgentArgument {
    /// The configuration file of the agent; only its control_socket is read.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
    /// The agent's control socket, when the configuration cannot be read.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl AgentArgument {
    /// Where the agent listens.
    pub fn socket(&self) -> PathBuf {
        match &self.socket {
            Some(path) => path.clone(),
            None => control::socket_of(&self.config),
        }
    }

    /// The configuration file of the agent.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Begins a question.
    pub fn begin(&self, request: &Request) -> Result<Client, Exit> {
        Client::ask(&self.socket(), request).map_err(|error| {
            let exit = complain(&error);
            self.own_up();
            exit
        })
    }

    /// Says that the configuration named could not be read, where the usual socket was tried instead.
    fn own_up(&self) {
        if self.socket.is_none()
            && self.config != Path::new(CONFIG_DEFAULT)
            && let Err(error) = std::fs::metadata(&self.config)
        {
            let named = self.config.display();
            screen::complaint(format_args!("{named} cannot be read: {error}"));
        }
    }

    /// Asks, hands the parts of the answer to `item`, shows progress, and gives the end of the
    /// answer.
    pub fn ask(&self, request: &Request, mut item: impl FnMut(Value)) -> Result<Value, Exit> {
        let mut client = self.begin(request)?;
        let mut line = ProgressLine::default();
        loop {
            match client.read() {
                Ok(Reply::Item(value)) => item(value),
                Ok(Reply::Progress(progress)) => line.show(&progress),
                Ok(Reply::Done(value)) => {
                    line.clear();
                    return Ok(value);
                }
                Ok(Reply::Refused(_)) => {}
                Err(error) => {
                    line.clear();
                    return Err(complain(&error));
                }
            }
        }
    }
}

/// Says why there is no answer; how the process ends.
pub fn complain(error: &ClientError) -> Exit {
    screen::complaint(error);
    match error {
        ClientError::NotRunning(_) | ClientError::Silent(_) => Exit::Unavailable,
        ClientError::NotAllowed(_) => Exit::NotAllowed,
        ClientError::Refused(_) => match error.code() {
            Some(Code::Forbidden) => Exit::NotAllowed,
            Some(Code::Configuration) => Exit::Configuration,
            Some(Code::Store) => Exit::Store,
            Some(Code::Busy | Code::Stopping) => Exit::Unavailable,
            _ => Exit::Usage,
        },
    }
}

/// One line on a terminal that is written over as things go on.
#[derive(Debug, Default)]
struct ProgressLine {
    is_shown: bool,
}

impl ProgressLine {
    fn show(&mut self, progress: &Progress) {
        if !io::stderr().is_terminal() {
            return;
        }
        self.is_shown = true;
        let text = line_of(progress);
        let mut out = io::stderr().lock();
        // A terminal that is gone sees nothing of it.
        let _shown = write!(out, "\r\x1b[K{text}").and_then(|()| out.flush());
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let mut out = io::stderr().lock();
            let _shown = write!(out, "\r\x1b[K").and_then(|()| out.flush());
        }
    }
}

/// Marks of a full bar.
const BAR: usize = 30;

fn line_of(progress: &Progress) -> String {
    let mut text = match progress.total {
        Some(total) if total > 0 => {
            let share = u128::from(progress.done) * 100 / u128::from(total);
            let percent = usize::try_from(share).unwrap_or(100).min(100);
            let full = BAR * percent / 100;
            format!(
                "[{}{}] {percent:>3} %",
                "#".repeat(full),
                ".".repeat(BAR - full)
            )
        }
        _ => progress.done.to_string(),
    };
    if let Some(what) = &progress.waiting_for {
        text.push_str(&format!("  waits for {what}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_progress_line_says_how_much_is_done_and_what_is_waited_for() {
        let mut progress = Progress {
            done: 50,
            total: Some(200),
            waiting_for: None,
        };
        assert_eq!(line_of(&progress), "[#######.......................]  25 %");
        progress.total = None;
        progress.waiting_for = Some("room".into());
        assert_eq!(line_of(&progress), "50  waits for room");
    }
}

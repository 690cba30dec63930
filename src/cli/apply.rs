//! `switchhook apply`: a whole configuration into its file and into force, or neither.
//!
//! The file is written by whoever runs this, not by the agent: its user need not be allowed to.

use super::ask::AgentArgument;
use super::{Exit, reload, screen};
use crate::config::apply::{self, ApplyError};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::Request;
use clap::Args;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Most bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The arguments of `apply`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is checked as `check` would where it is going to be, put in the place of the configuration
file, and taken on as `reload` would. What the agent refuses is taken back. The file before is kept
as switchhook.toml.previous. Without a running agent it is in force at the next start.

Example: switchhook apply new.toml --dry-run
Example: switchhook apply new.toml")]
pub struct ApplyArguments {
    /// The new configuration; - for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only check it.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    agent: AgentArgument,
}

/// Applies a configuration.
pub fn apply(arguments: &ApplyArguments) -> Exit {
    let text = match read(&arguments.file) {
        Ok(text) => text,
        Err(error) => {
            let file = arguments.file.display();
            screen::complaint(format_args!("{file} cannot be read: {error}"));
            return Exit::Usage;
        }
    };
    let path = arguments.agent.config();
    if arguments.dry_run {
        return match apply::check(path, &text) {
            Ok(_) => {
                screen::line("the configuration is good; nothing was changed");
                Exit::Success
            }
            Err(error) => refuse(&error, &arguments.file),
        };
    }
    let applied = match apply::apply(path, &text) {
        Ok(applied) => applied,
        Err(error) => return refuse(&error, &arguments.file),
    };
    if let Some(previous) = &applied.previous {
        let previous = previous.display();
        screen::line(format_args!("the file before is kept as {previous}"));
    }
    // What else may be wrong with the agent is said by the question that follows.
    let asked = Client::ask(&arguments.agent.socket(), &Request::Status);
    if matches!(asked, Err(ClientError::NotRunning(_))) {
        screen::line("no agent runs: it is in force when one starts");
        return Exit::Success;
    }
    drop(asked);
    let exit = reload::reload(&arguments.agent);
    if exit == Exit::Success {
        return exit;
    }
    if let Err(error) = applied.undo() {
        let path = path.display();
        screen::complaint(format_args!("{path} could not be put back: {error}"));
        return exit;
    }
    screen::complaint(format_args!("{} is as it was", path.display()));
    if exit == Exit::Configuration {
        // The agent has seen a file that is not there any more; it looks at the one that is.
        let _again = Client::ask(&arguments.agent.socket(), &Request::Reload)
            .and_then(|mut client| client.read());
    }
    exit
}

fn refuse(error: &ApplyError, file: &Path) -> Exit {
    screen::complaint(error);
    match error {
        ApplyError::Problems(_) => {
            // Problems name the place that the text would have.
            let file = file.display();
            screen::complaint(format_args!(
                "the lines are those of {file}; nothing was changed"
            ));
            Exit::Configuration
        }
        ApplyError::File { .. } => {
            screen::complaint("nothing was changed; run it as a user who may write there");
            Exit::NotAllowed
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let limit = FILE_BYTES_MAX + 1;
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_string(&mut text)?
    } else {
        File::open(path)?.take(limit).read_to_string(&mut text)?
    };
    if read as u64 > FILE_BYTES_MAX {
        let what = "it is longer than a configuration may be (4 MiB)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(text)
}

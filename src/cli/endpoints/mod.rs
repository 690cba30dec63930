//! `switchhook endpoints`: where events go, and whether they may.

mod stopped;

pub(super) use stopped::with_queue;

use super::ask::{AgentArgument, complain};
use super::status::{cut, span};
use super::{Exit, screen};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Reply, Request};
use crate::control::status::Status;
use clap::Subcommand;
use serde_json::Value;

/// What can be done with endpoints.
#[derive(Debug, Subcommand)]
pub enum EndpointsCommand {
    /// One line for each endpoint.
    #[command(after_help = "Example: switchhook endpoints list")]
    List(AgentArgument),
    /// Send nothing to an endpoint until it is resumed, also after a restart. Its events wait.
    #[command(after_help = "Example: switchhook endpoints pause billing")]
    Pause {
        /// The endpoint's name.
        name: String,
        #[command(flatten)]
        agent: AgentArgument,
    },
    /// Send to an endpoint again that was paused, or that answered 410 twice.
    #[command(after_help = "Example: switchhook endpoints resume billing")]
    Resume {
        /// The endpoint's name.
        name: String,
        #[command(flatten)]
        agent: AgentArgument,
    },
    /// Give up what is queued for an endpoint that is not configured any more.
    #[command(
        after_help = "Works with the running agent and without one.\n\nExample: switchhook endpoints forget old-crm"
    )]
    Forget {
        /// The endpoint's name.
        name: String,
        #[command(flatten)]
        agent: AgentArgument,
    },
    /// Give an endpoint's place, backlog and dead letters to another name.
    #[command(
        after_help = "Works with the running agent and without one.\n\nExample: switchhook endpoints adopt crm crm-eu\n\nThe same at the next start: adopt = \"crm\" in the endpoint's table."
    )]
    Adopt {
        /// The name it had.
        old: String,
        /// The name it has now.
        new: String,
        #[command(flatten)]
        agent: AgentArgument,
    },
}

/// Does what `command` says.
pub fn endpoints(command: &EndpointsCommand) -> Exit {
    let (agent, request, told) = match command {
        EndpointsCommand::List(agent) => return list(agent),
        EndpointsCommand::Forget { name, agent } => {
            let request = Request::Forget {
                endpoint: name.clone(),
            };
            return or_stopped(agent, &request, || stopped::forget(agent.config(), name));
        }
        EndpointsCommand::Adopt { old, new, agent } => {
            let request = Request::Adopt {
                old: old.clone(),
                new: new.clone(),
            };
            return or_stopped(agent, &request, || stopped::adopt(agent.config(), old, new));
        }
        EndpointsCommand::Pause { name, agent } => {
            let request = Request::Pause {
                endpoint: name.clone(),
            };
            let told = format!(
                "endpoint {name} is paused, also after a restart; its events wait until `switchhook endpoints resume {name}`"
            );
            (agent, request, told)
        }
        EndpointsCommand::Resume { name, agent } => {
            let request = Request::Resume {
                endpoint: name.clone(),
            };
            (agent, request, format!("endpoint {name} is sent to again"))
        }
    };
    match agent.ask(&request, |_| {}) {
        Ok(_) => {
            screen::line(told);
            Exit::Success
        }
        Err(exit) => exit,
    }
}

/// Asks the agent and prints its `told`; without one, does `without` on the queue itself.
pub(super) fn or_stopped(
    agent: &AgentArgument,
    request: &Request,
    without: impl FnOnce() -> Exit,
) -> Exit {
    match done(agent, request) {
        Ok(answer) => {
            screen::line(answer.get("told").and_then(Value::as_str).unwrap_or("done"));
            Exit::Success
        }
        Err(ClientError::NotRunning(_)) => without(),
        Err(error) => complain(&error),
    }
}

/// The end of the agent's answer.
fn done(agent: &AgentArgument, request: &Request) -> Result<Value, ClientError> {
    let mut client = Client::ask(&agent.socket(), request)?;
    loop {
        if let Reply::Done(value) = client.read()? {
            return Ok(value);
        }
    }
}

fn list(agent: &AgentArgument) -> Exit {
    let status = match done(agent, &Request::Status) {
        Ok(value) => serde_json::from_value::<Status>(value),
        Err(ClientError::NotRunning(_)) => return stopped::list(agent.config()),
        Err(error) => return complain(&error),
    };
    let Ok(status) = status else {
        screen::complaint("the agent's answer is not understood; use the program of its version");
        return Exit::Bug;
    };
    let head = format!(
        "{:<20}{:<11}{:>10}{:>8}{:>9}  {}",
        "NAME", "state", "waiting", "oldest", "dead", "host"
    );
    screen::line(screen::styled(screen::HEAD, head));
    for endpoint in &status.endpoints {
        screen::line(format_args!(
            "{:<20}{:<11}{:>10}{:>8}{:>9}  {}",
            cut(&endpoint.name, 19),
            endpoint.state,
            endpoint.queued + endpoint.waiting,
            endpoint.oldest_secs.map_or("-".to_string(), span),
            endpoint.dead_letters,
            endpoint.host.as_deref().unwrap_or("-"),
        ));
    }
    Exit::Success
}

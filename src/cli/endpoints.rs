//! `switchhook endpoints`: where events go, and whether they may.

use super::ask::AgentArgument;
use super::status::{cut, fetch, span};
use super::{Exit, screen};
use crate::control::protocol::Request;
use clap::Subcommand;

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
}

/// Does what `command` says.
pub fn endpoints(command: &EndpointsCommand) -> Exit {
    let (agent, request, told) = match command {
        EndpointsCommand::List(agent) => return list(agent),
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

fn list(agent: &AgentArgument) -> Exit {
    let status = match fetch(agent) {
        Ok(status) => status,
        Err(exit) => return exit,
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

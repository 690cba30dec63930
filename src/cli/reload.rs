//! `switchhook reload`: the configuration replaced while the agent runs.

use super::ask::AgentArgument;
use super::{Exit, screen};
use crate::control::protocol::Request;
use serde_json::Value;

/// Has the agent read its configuration again.
pub fn reload(agent: &AgentArgument) -> Exit {
    let answer = match agent.ask(&Request::Reload, |_| {}) {
        Ok(answer) => answer,
        Err(exit) => {
            if exit == Exit::Configuration {
                screen::complaint(
                    "nothing was changed; the agent goes on with the old configuration",
                );
            }
            return exit;
        }
    };
    let changes = answer.get("changes").and_then(Value::as_array);
    let changes: Vec<&str> = changes
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if changes.is_empty() {
        screen::line("the configuration is in force as it was: nothing has changed in it");
    } else {
        screen::line("the new configuration is in force:");
        changes
            .iter()
            .for_each(|change| screen::line(format_args!("  {change}")));
    }
    Exit::Success
}

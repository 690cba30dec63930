//! Apply: a whole configuration from a client, into the configuration's file and into force, or neither.

use super::desk::Desk;
use super::protocol::{Code, Refusal};
use crate::config::apply::{ApplyError, apply};
use serde_json::{Value, json};

/// Replaces the configuration's file with `text` and takes it on.
pub(super) fn take_on(desk: &Desk, text: &str) -> Result<Value, Refusal> {
    let _one_at_a_time = desk.take_applying();
    let in_force = desk.in_force();
    let Some(path) = in_force.config.files.first() else {
        let message = "this agent has no configuration file";
        return Err(Refusal::new(Code::Configuration, message));
    };
    let applied = apply(path, text).map_err(|error| {
        let message = match &error {
            ApplyError::Problems(_) => error.to_string(),
            ApplyError::File { .. } => format!(
                "{error}; the agent's user may not replace the file, use `switchhook apply` as root"
            ),
        };
        Refusal::new(Code::Configuration, message)
    })?;
    let previous = applied.previous.clone();
    match desk.reload() {
        Ok(changes) => Ok(json!({ "changes": changes, "previous": previous })),
        Err(mut refusal) => {
            match applied.undo() {
                // The file is again the one in force.
                Ok(()) => desk.forget_reload_error(),
                Err(error) => refusal.message.push_str(&format!(
                    "\nthe file could not be put back: {error}; it is kept as {previous:?}"
                )),
            }
            Err(refusal)
        }
    }
}

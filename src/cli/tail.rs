//! `switchhook tail`: events and attempts as they pass.

use super::ask::{self, AgentArgument};
use super::{Exit, screen};
use crate::control::client::ClientError;
use crate::control::protocol::{Reply, Request};
use crate::event;
use clap::Args;
use serde_json::Value;

/// The arguments of `tail`.
#[derive(Debug, Args)]
#[command(after_help = "\
Telephone numbers are shortened to their last two digits, unless --payload is given. Runs until
Ctrl-C. Nothing is kept: what passed before is in the log and in `dead-letters`.

Example: switchhook tail --endpoint billing --failed
Example: switchhook tail --type alarm --type balance_alert
Example: switchhook tail --json | jq 'select(.outcome != \"delivered\")'")]
pub struct TailArguments {
    #[command(flatten)]
    agent: AgentArgument,
    /// Only attempts of this endpoint, and events it wants.
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Only events of this type, and attempts at them; may be given several times.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only attempts that did not deliver.
    #[arg(long)]
    failed: bool,
    /// A JSON object on each line.
    #[arg(long)]
    json: bool,
    /// With the data of each event, telephone numbers included.
    #[arg(long)]
    payload: bool,
}

/// Shows what passes, until it is ended or the agent stops.
pub fn tail(arguments: &TailArguments) -> Exit {
    if let Some(kind) = arguments.types.iter().find(|kind| !event::is_kind(kind)) {
        screen::complaint(format_args!(
            "--type: {kind:?} is no event type; types are like cdr, alarm, switchhook.source_gap"
        ));
        return Exit::Usage;
    }
    let request = Request::Tail {
        endpoint: arguments.endpoint.clone(),
        payload: arguments.payload,
        recent: false,
    };
    let mut client = match arguments.agent.begin(&request) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    client.wait_for_ever();
    loop {
        match client.read() {
            Ok(Reply::Item(item)) if !arguments.wants(&item) => {}
            Ok(Reply::Item(item)) if arguments.json => screen::line(item),
            Ok(Reply::Item(item)) => screen::line(line_of(&item)),
            Ok(_) => {}
            Err(ClientError::Silent(_)) => {
                screen::complaint("the agent has stopped");
                return Exit::Unavailable;
            }
            Err(error) => return ask::complain(&error),
        }
    }
}

impl TailArguments {
    /// Whether the item is among those asked for. That some were missed is always said.
    fn wants(&self, item: &Value) -> bool {
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_attempt = match text("seen") {
            "event" => false,
            "attempt" => true,
            _ => return true,
        };
        let is_type = self.types.is_empty() || self.types.iter().any(|own| own == text("type"));
        let is_failed = !self.failed || is_attempt && text("outcome") != "delivered";
        is_type && is_failed
    }
}

/// One item in one line.
fn line_of(item: &Value) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or("-");
    let number = |key: &str| item.get(key).and_then(Value::as_u64).unwrap_or(0);
    let at = text("at");
    let (sequence, kind) = (number("sequence"), text("type"));
    match text("seen") {
        "event" => {
            let data = item.get("data").cloned().unwrap_or_default();
            let source = text("source");
            let line = format!(
                "{at}  event    {source} #{sequence} {kind} {}",
                summary(&data)
            );
            line.trim_end().to_string()
        }
        "attempt" => {
            let style = match text("outcome") {
                "delivered" => screen::GOOD,
                _ => screen::BAD,
            };
            let error = match item.get("error").and_then(Value::as_str) {
                Some(error) => format!(": {error}"),
                None => String::new(),
            };
            format!(
                "{at}  attempt  {} #{sequence} {kind} no. {} {} in {} ms{error}",
                text("endpoint"),
                number("number"),
                screen::styled(style, text("outcome")),
                number("elapsed_ms"),
            )
        }
        _ => screen::styled(
            screen::WAIT,
            format_args!(
                "({} more that this terminal was too slow for)",
                number("count")
            ),
        ),
    }
}

/// The two ends of a call and how long it took, or all of the data where that is not what it is.
fn summary(data: &Value) -> String {
    let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or("-");
    let is_brief = data.as_object().is_some_and(|fields| fields.len() == 3);
    if !is_brief {
        return data.to_string();
    }
    // What is no call has neither.
    if ["caller_id", "called_id"]
        .iter()
        .all(|end| data[end].is_null())
    {
        return String::new();
    }
    let duration = data.get("duration").and_then(Value::as_u64);
    let duration = duration.map_or(String::new(), |secs| format!(" {secs} s"));
    format!("{} → {}{duration}", text("caller_id"), text("called_id"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        tail: TailArguments,
    }

    #[test]
    fn what_passes_is_filtered_by_type_and_failure() {
        let items = [
            json!({"seen": "event", "source": "cdr", "type": "cdr"}),
            json!({"seen": "event", "source": "log", "type": "alarm"}),
            json!({"seen": "attempt", "type": "cdr", "outcome": "delivered"}),
            json!({"seen": "attempt", "type": "alarm", "outcome": "refused"}),
            json!({"seen": "missed", "count": 3}),
        ];
        for (arguments, expected) in [
            (&["tail"][..], &[0, 1, 2, 3, 4][..]),
            (&["tail", "--type", "alarm"], &[1, 3, 4]),
            (
                &["tail", "--type", "alarm", "--type", "cdr"],
                &[0, 1, 2, 3, 4],
            ),
            (&["tail", "--failed"], &[3, 4]),
            (&["tail", "--failed", "--type", "cdr"], &[4]),
        ] {
            let tail = Line::parse_from(arguments).tail;
            let shown = items
                .iter()
                .enumerate()
                .filter(|(_, item)| tail.wants(item));
            let shown: Vec<usize> = shown.map(|(at, _)| at).collect();
            assert_eq!(shown, expected, "{arguments:?}");
        }
    }

    #[test]
    fn an_item_is_one_line() {
        let event = json!({
            "seen": "event", "at": "T", "source": "cdr", "sequence": 7, "type": "cdr",
            "data": {"caller_id": "…17", "called_id": "…99", "duration": 155}
        });
        assert_eq!(line_of(&event), "T  event    cdr #7 cdr …17 → …99 155 s");
        let silence = json!({
            "seen": "event", "at": "T", "source": "cdr", "sequence": 8,
            "type": "switchhook.source_silent",
            "data": {"caller_id": null, "called_id": null, "duration": null}
        });
        let line = line_of(&silence);
        assert_eq!(line, "T  event    cdr #8 switchhook.source_silent");
        let attempt = json!({
            "seen": "attempt", "at": "T", "endpoint": "billing", "sequence": 7, "type": "cdr",
            "number": 2, "outcome": "refused", "error": "status 422", "elapsed_ms": 12
        });
        let line = anstream::adapter::strip_str(&line_of(&attempt)).to_string();
        assert_eq!(
            line,
            "T  attempt  billing #7 cdr no. 2 refused in 12 ms: status 422"
        );
    }
}

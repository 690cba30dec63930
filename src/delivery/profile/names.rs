//! Names: what each product calls an event. Where it has no name for one, ours stands.

use super::members::Members;

/// Our name of a finished call.
pub(super) const CALL: &str = "cdr";

/// A guide with names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guide {
    /// The Vobiz webhooks.
    Vobiz,
    /// The Vobiz voice callbacks.
    VobizVoice,
    /// VoIPBIN.
    Voipbin,
}

/// Which events of a type a row of [`NAMES`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    /// All that no row above is about.
    Any,
    /// Calls that were not connected.
    Failed,
    /// Those with this `state`.
    State(&'static str),
}

/// Our type of event; which of them; what the guides, in the order of [`Guide`], call it: nothing
/// where they have no name for it. The first row that fits counts.
const NAMES: [(&str, Case, [&str; 3]); 16] = [
    (CALL, Case::Failed, ["call.failed", "Hangup", "call_hangup"]),
    (CALL, Case::Any, ["call.completed", "Hangup", "call_hangup"]),
    (
        "call",
        Case::State("ringing"),
        ["call.initiated", "Ring", "call_ringing"],
    ),
    (
        "call",
        Case::State("answered"),
        ["call.answered", "StartApp", "call_progressing"],
    ),
    ("call", Case::State("hangup"), ["", "Hangup", "call_hangup"]),
    (
        "recording",
        Case::Any,
        [
            "recording.completed",
            "recording.completed",
            "recording_finished",
        ],
    ),
    (
        "conference",
        Case::State("started"),
        [
            "conference.started",
            "conference.started",
            "conference_created",
        ],
    ),
    (
        "conference",
        Case::State("ended"),
        ["conference.ended", "conference.ended", "conference_deleted"],
    ),
    (
        "conference",
        Case::State("join"),
        ["", "", "confbridge_joined"],
    ),
    (
        "conference",
        Case::State("leave"),
        ["", "", "confbridge_leaved"],
    ),
    ("queue", Case::State("join"), ["", "", "queuecall_waiting"]),
    (
        "queue",
        Case::State("connect"),
        ["", "", "queuecall_serviced"],
    ),
    (
        "queue",
        Case::State("abandon"),
        ["", "", "queuecall_abandoned"],
    ),
    (
        "queue",
        Case::State("timeout"),
        ["", "", "queuecall_abandoned"],
    ),
    (
        "agent_state",
        Case::State("pause"),
        ["", "", "agent_status_updated"],
    ),
    (
        "agent_state",
        Case::State("unpause"),
        ["", "", "agent_status_updated"],
    ),
];

/// The same for types that only VoIPBIN names, whatever happened.
const ACCOUNT: (&str, &str) = ("account", "account_updated");

impl Guide {
    /// What it calls an event of `kind` with `data`.
    pub(super) fn name<'n>(self, kind: &'n str, data: &Members<'_>) -> &'n str {
        self.of(kind, has_failed(data), &state(data))
    }

    fn of<'n>(self, kind: &'n str, has_failed: bool, state: &str) -> &'n str {
        if kind == ACCOUNT.0 && self == Guide::Voipbin {
            return ACCOUNT.1;
        }
        let row = NAMES.iter().find(|(known, case, _)| {
            *known == kind
                && match case {
                    Case::Any => true,
                    Case::Failed => has_failed,
                    Case::State(known) => *known == state,
                }
        });
        let [vobiz, vobiz_voice, voipbin] = row.map_or([""; 3], |(_, _, names)| *names);
        let name = match self {
            Guide::Vobiz => vobiz,
            Guide::VobizVoice => vobiz_voice,
            Guide::Voipbin => voipbin,
        };
        if name.is_empty() { kind } else { name }
    }

    /// Every name an event of `kind` can have, whose `state` is one of `states`, or anything.
    pub(super) fn all<'n>(self, kind: &'n str, states: Option<&[&str]>) -> Vec<&'n str> {
        let known = NAMES.iter().filter_map(|(_, case, _)| match case {
            Case::State(state) => Some(*state),
            _ => None,
        });
        let states = match states {
            Some(states) => states.to_vec(),
            None => known.chain([""]).collect(),
        };
        let mut names = Vec::new();
        for state in states {
            for has_failed in [false, true] {
                let name = self.of(kind, has_failed, state);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }
}

/// What the Vobiz guides call the end of a call, whether it was connected or not.
pub(super) const CALL_STATUSES: [&str; 2] = ["completed", "failed"];

/// What the Vobiz guides call the end of this call.
pub(super) fn call_status(data: &Members<'_>) -> &'static str {
    let [completed, failed] = CALL_STATUSES;
    if has_failed(data) { failed } else { completed }
}

/// Whether a call was not connected, as its row told; a call whose row does not say has ended, and
/// nothing says that it failed.
fn has_failed(data: &Members<'_>) -> bool {
    data.raw("connected") == "false"
}

fn state(data: &Members<'_>) -> String {
    data.text("state").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, data: &str, expected: [&str; 3]) {
        let members = Members::of(data.as_bytes());
        let guides = [Guide::Vobiz, Guide::VobizVoice, Guide::Voipbin];
        let names = guides.map(|guide| guide.name(kind, &members));
        assert_eq!(names, expected, "{kind} {data}");
        let listed =
            guides.map(|guide| guide.all(kind, None).contains(&guide.name(kind, &members)));
        assert_eq!(listed, [true; 3], "{kind} {data}");
    }

    /// The table of the contract, a row each: kind, data, then the names of the three guides.
    #[test]
    fn the_guides_names_are_used_and_ours_where_they_have_none() {
        let own = |kind: &'static str| [kind; 3];
        let state = |state: &str| format!("{{\"state\":\"{state}\"}}");
        check(
            "cdr",
            "{\"connected\":true}",
            ["call.completed", "Hangup", "call_hangup"],
        );
        check(
            "cdr",
            "{\"connected\":false}",
            ["call.failed", "Hangup", "call_hangup"],
        );
        check(
            "cdr",
            "{\"connected\":null}",
            ["call.completed", "Hangup", "call_hangup"],
        );
        check(
            "call",
            &state("ringing"),
            ["call.initiated", "Ring", "call_ringing"],
        );
        check(
            "call",
            &state("answered"),
            ["call.answered", "StartApp", "call_progressing"],
        );
        check("call", &state("hangup"), ["call", "Hangup", "call_hangup"]);
        check("call", &state("bridged"), own("call"));
        check(
            "recording",
            "{}",
            [
                "recording.completed",
                "recording.completed",
                "recording_finished",
            ],
        );
        check(
            "conference",
            &state("started"),
            [
                "conference.started",
                "conference.started",
                "conference_created",
            ],
        );
        check(
            "conference",
            &state("ended"),
            ["conference.ended", "conference.ended", "conference_deleted"],
        );
        check(
            "conference",
            &state("join"),
            ["conference", "conference", "confbridge_joined"],
        );
        check(
            "conference",
            &state("leave"),
            ["conference", "conference", "confbridge_leaved"],
        );
        check(
            "queue",
            &state("join"),
            ["queue", "queue", "queuecall_waiting"],
        );
        check(
            "queue",
            &state("connect"),
            ["queue", "queue", "queuecall_serviced"],
        );
        check(
            "queue",
            &state("abandon"),
            ["queue", "queue", "queuecall_abandoned"],
        );
        check(
            "queue",
            &state("timeout"),
            ["queue", "queue", "queuecall_abandoned"],
        );
        check("queue", &state("complete"), own("queue"));
        check(
            "agent_state",
            &state("pause"),
            ["agent_state", "agent_state", "agent_status_updated"],
        );
        check(
            "agent_state",
            &state("unpause"),
            ["agent_state", "agent_state", "agent_status_updated"],
        );
        check("agent_state", &state("login"), own("agent_state"));
        check("account", "{}", ["account", "account", "account_updated"]);
        for kind in [
            "alarm",
            "balance_alert",
            "payment",
            "phone",
            "switchhook.test",
        ] {
            check(kind, "{}", own(kind));
        }
    }
}

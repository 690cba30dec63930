//! Names: what each product calls an event. Where it has no name for one, ours stands.

use super::members::Members;

/// What the guide of the Vobiz webhooks calls an event.
pub(super) fn vobiz<'n>(kind: &'n str, data: &Members<'_>) -> &'n str {
    match (kind, state(data).as_str()) {
        ("cdr", _) if is_connected(data) => "call.completed",
        ("cdr", _) => "call.failed",
        ("call", "ringing") => "call.initiated",
        ("call", "answered") => "call.answered",
        ("recording", _) => "recording.completed",
        ("conference", "started") => "conference.started",
        ("conference", "ended") => "conference.ended",
        _ => kind,
    }
}

/// What the guide of the Vobiz voice callbacks calls an event.
pub(super) fn vobiz_voice<'n>(kind: &'n str, data: &Members<'_>) -> &'n str {
    match (kind, state(data).as_str()) {
        ("cdr", _) | ("call", "hangup") => "Hangup",
        ("call", "ringing") => "Ring",
        ("call", "answered") => "StartApp",
        _ => vobiz(kind, data),
    }
}

/// What the VoIPBIN guide calls an event.
pub(super) fn voipbin<'n>(kind: &'n str, data: &Members<'_>) -> &'n str {
    match (kind, state(data).as_str()) {
        ("cdr", _) | ("call", "hangup") => "call_hangup",
        ("call", "ringing") => "call_ringing",
        ("call", "answered") => "call_progressing",
        ("recording", _) => "recording_finished",
        ("conference", "started") => "conference_created",
        ("conference", "ended") => "conference_deleted",
        ("conference", "join") => "confbridge_joined",
        ("conference", "leave") => "confbridge_leaved",
        ("queue", "join") => "queuecall_waiting",
        ("queue", "connect") => "queuecall_serviced",
        ("queue", "abandon" | "timeout") => "queuecall_abandoned",
        ("agent_state", "pause" | "unpause") => "agent_status_updated",
        ("account", _) => "account_updated",
        _ => kind,
    }
}

/// What the Vobiz guides call the end of a call.
pub(super) fn call_status(data: &Members<'_>) -> &'static str {
    if is_connected(data) {
        "completed"
    } else {
        "failed"
    }
}

/// Whether a call was connected, as its row told.
pub(super) fn is_connected(data: &Members<'_>) -> bool {
    data.raw("connected") == "true"
}

fn state(data: &Members<'_>) -> String {
    data.text("state").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the contract, a row each: kind, data, then the names of the three guides.
    #[test]
    fn the_guides_names_are_used_and_ours_where_they_have_none() {
        for (kind, data, expected) in [
            (
                "cdr",
                r#"{"connected":true}"#,
                ["call.completed", "Hangup", "call_hangup"],
            ),
            (
                "cdr",
                r#"{"connected":false}"#,
                ["call.failed", "Hangup", "call_hangup"],
            ),
            (
                "call",
                r#"{"state":"ringing"}"#,
                ["call.initiated", "Ring", "call_ringing"],
            ),
            (
                "call",
                r#"{"state":"answered"}"#,
                ["call.answered", "StartApp", "call_progressing"],
            ),
            (
                "recording",
                "{}",
                [
                    "recording.completed",
                    "recording.completed",
                    "recording_finished",
                ],
            ),
            (
                "conference",
                r#"{"state":"started"}"#,
                [
                    "conference.started",
                    "conference.started",
                    "conference_created",
                ],
            ),
            (
                "conference",
                r#"{"state":"ended"}"#,
                ["conference.ended", "conference.ended", "conference_deleted"],
            ),
            (
                "conference",
                r#"{"state":"leave"}"#,
                ["conference", "conference", "confbridge_leaved"],
            ),
            (
                "queue",
                r#"{"state":"join"}"#,
                ["queue", "queue", "queuecall_waiting"],
            ),
            (
                "queue",
                r#"{"state":"connect"}"#,
                ["queue", "queue", "queuecall_serviced"],
            ),
            (
                "queue",
                r#"{"state":"timeout"}"#,
                ["queue", "queue", "queuecall_abandoned"],
            ),
            (
                "agent_state",
                r#"{"state":"pause"}"#,
                ["agent_state", "agent_state", "agent_status_updated"],
            ),
            ("alarm", "{}", ["alarm", "alarm", "alarm"]),
            ("account", "{}", ["account", "account", "account_updated"]),
        ] {
            let members = Members::of(data.as_bytes());
            let names = [vobiz, vobiz_voice, voipbin].map(|name| name(kind, &members));
            assert_eq!(names, expected, "{kind} {data}");
        }
    }
}

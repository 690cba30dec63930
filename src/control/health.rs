//! Health: what there is for an operator to do.

use super::status::{EndpointStatus, SourceStatus, Status};
use crate::config::value::show_duration;
use std::time::Duration;

/// Share of `disk_max` from which the state directory is a matter for the operator.
const DISK_SHARE: u64 = 90;

/// What there is to repair, a sentence each; empty when there is nothing.
///
/// Dead letters are none of it: they wait for a decision, not for the night shift. See
/// [`undecided`].
pub fn problems(status: &Status) -> Vec<String> {
    let mut problems = Vec::new();
    for endpoint in &status.endpoints {
        problems.extend(of_endpoint(endpoint));
    }
    for source in &status.sources {
        problems.extend(of_source(source));
    }
    let disk = &status.disk;
    if disk.reading_paused {
        problems.push(match &disk.paused_because {
            Some(because) => format!("reading is paused {because}"),
            None => "reading does not answer: the disk of the state directory is slow".to_string(),
        });
    } else if disk.used_bytes >= disk.max_bytes / 100 * DISK_SHARE {
        problems.push(format!(
            "the state directory has reached {DISK_SHARE} % of disk_max; at 100 % reading pauses"
        ));
    }
    if !status.ledger_balanced {
        problems.push(
            "the ledger does not balance: a bug; please report it with a support bundle"
                .to_string(),
        );
    }
    if let Some(error) = &status.config.reload_error {
        problems.push(format!("the last reload changed nothing: {error}"));
    }
    problems
}

/// What waits for a decision, a sentence each: events that were given up. Nothing more becomes of
/// them by itself but their end, after `dead_letters_keep`.
pub fn undecided(status: &Status) -> Vec<String> {
    let endpoints = status.endpoints.iter().filter(|it| it.dead_letters > 0);
    endpoints.map(given_up).collect()
}

fn given_up(endpoint: &EndpointStatus) -> String {
    let (name, count) = (&endpoint.name, endpoint.dead_letters);
    let events = if count == 1 { "event" } else { "events" };
    let then = match endpoint.state.as_str() {
        "removed" => format!(
            "it is not in the configuration any more, so nothing can be replayed to it: `switchhook dead-letters purge --endpoint {name}` removes them"
        ),
        "disabled" => "then purge them, or replay them once the endpoint is enabled".to_string(),
        _ => "then replay or purge them".to_string(),
    };
    format!(
        "endpoint {name} was not told of {count} {events}, given up; `switchhook dead-letters list --endpoint {name}` says why; {then}"
    )
}

fn of_endpoint(endpoint: &EndpointStatus) -> Option<String> {
    let name = &endpoint.name;
    let error = || {
        endpoint
            .last_error
            .as_ref()
            .map_or(String::new(), |error| format!(": {}", error.told()))
    };
    match endpoint.state.as_str() {
        "failing" => Some(format!(
            "endpoint {name} is failing{}; `switchhook test {name}` shows each step of an attempt",
            error()
        )),
        "stopped" => Some(format!(
            "endpoint {name} answered 410 twice and is sent nothing; `switchhook endpoints resume {name}` when it is back"
        )),
        "paused" if endpoint.paused_by.as_deref() == Some("operator") => Some(format!(
            "endpoint {name} is paused; `switchhook endpoints resume {name}`"
        )),
        "paused" if endpoint.paused_by.as_deref() == Some("gone") => Some(format!(
            "endpoint {name} answered 410, which says that it is gone: it is asked once more and then stopped; correct its url, or have its receiver answer"
        )),
        "paused" => Some(format!("endpoint {name} asked for a pause{}", error())),
        "working" if endpoint.fallback_host.is_some() => {
            Some(format!("endpoint {name} uses its fallback{}", error()))
        }
        "removed" if endpoint.queued + endpoint.waiting > 0 => Some(format!(
            "endpoint {name} is not in the configuration any more and {} events are kept for it: `switchhook endpoints adopt {name} NEW` hands them to another, `endpoints forget {name}` gives them up",
            endpoint.queued + endpoint.waiting
        )),
        _ => None,
    }
}

/// What to do about files that cannot be read, by what the system said of one of them.
fn remedy(what: &str) -> &'static str {
    if what.contains("(os error 13)") {
        "; put the agent's user into the file's group and restart it, `switchhook check --deep` says which"
    } else if what.contains("(os error 2)") {
        "; a link that leads to no file is followed once there is one"
    } else if what.contains("(os error 24)") {
        "; raise the service's LimitNOFILE, or lower open_files_max"
    } else {
        ""
    }
}

fn of_source(source: &SourceStatus) -> Vec<String> {
    let name = &source.name;
    let trouble = source.trouble.as_ref();
    let trouble = trouble.map(|error| format!("source {name} has trouble: {error}"));
    let unreadable = source.unreadable.as_ref();
    let unreadable =
        unreadable.map(|what| format!("source {name} cannot read {what}{}", remedy(what)));
    let misfit = source.misfit.as_ref().map(|what| {
        format!(
            "rows of source {name} do not fit its format and are set aside, {what}; `switchhook formats try FILE` finds one that fits"
        )
    });
    let after = source.silent_after_secs;
    let silence = after.filter(|after| source.silent_secs >= *after).map(|after| {
        let after = show_duration(Duration::from_secs(after));
        format!(
            "source {name} has brought no row for longer than {after} (silent_after): does the switch write, and where `files` looks? `switchhook sources` names what is followed"
        )
    });
    [trouble, unreadable, misfit, silence]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_brings_nothing_says_why_and_what_to_do() {
        let source = SourceStatus {
            name: "cdr".into(),
            ..SourceStatus::default()
        };
        assert!(of_source(&source).is_empty());
        let source = SourceStatus {
            unreadable: Some("/cdr: Permission denied (os error 13), and 2 more".into()),
            misfit: Some("Master.csv:14: 20 fields, expected 18".into()),
            silent_secs: 600,
            silent_after_secs: Some(600),
            ..source
        };
        let told = of_source(&source).join("\n");
        for expected in [
            "cannot read /cdr: Permission denied (os error 13), and 2 more; put",
            "has brought no row for longer than 10m (silent_after): ",
            "set aside, Master.csv:14: 20 fields, expected 18; `switchhook formats try",
        ] {
            assert!(told.contains(expected), "{told}");
        }
        for (what, then) in [
            (
                "/cdr/current: No such file or directory (os error 2)",
                "a link",
            ),
            ("/cdr: Too many open files (os error 24)", "LimitNOFILE"),
            ("/cdr/x: Input/output error (os error 5)", ""),
        ] {
            let told = remedy(what);
            assert!(told.contains(then) && !told.contains("group"), "{told}");
        }
    }

    #[test]
    fn what_is_to_be_decided_can_be_done() {
        for (state, then) in [
            ("working", "says why; then replay or purge them"),
            (
                "disabled",
                "then purge them, or replay them once the endpoint is enabled",
            ),
            (
                "removed",
                "`switchhook dead-letters purge --endpoint old-crm` removes them",
            ),
        ] {
            let endpoint = EndpointStatus {
                name: "old-crm".into(),
                state: state.into(),
                dead_letters: 3,
                ..EndpointStatus::default()
            };
            let told = given_up(&endpoint);
            assert!(told.ends_with(then), "{state}: {told}");
        }
    }

    #[test]
    fn an_endpoint_that_may_be_gone_has_not_asked_for_a_pause() {
        let mut endpoint = EndpointStatus {
            name: "billing".into(),
            state: "paused".into(),
            paused_by: Some("gone".into()),
            ..EndpointStatus::default()
        };
        assert!(of_endpoint(&endpoint).unwrap().contains("answered 410"));
        endpoint.paused_by = Some("receiver".into());
        assert!(
            of_endpoint(&endpoint)
                .unwrap()
                .contains("asked for a pause")
        );
    }
}

//! Conference: when its first member comes and its last one leaves, from rows that tell each of them.
//! Pure.
//!
//! ```text
//!            join                    leave
//! unknown    told `started`          nothing
//! known      counted                 counted; told `ended` with the last one
//! ```
//!
//! A row that tells the beginning itself, as Asterisk 1.8 to 11 write one, is the only one that does:
//! nothing is told beside it. A join in another bridge than before is of another conference by that
//! name: the switch was killed meanwhile, and nobody left.

use serde::{Deserialize, Serialize};

/// The type of the events.
pub const CONFERENCE: &str = "conference";

/// Most conferences under way that are remembered of one source.
pub const CONFERENCES_MAX: usize = 4_096;

/// The word for the beginning.
pub const STARTED: &str = "started";

/// The word for the end.
pub const ENDED: &str = "ended";

/// What is known of a conference that is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conference {
    /// Members that came and have not left.
    pub members: u32,
    /// The bridge they are in; empty where rows do not say.
    pub bridge: String,
    /// Its beginning was in a row of its own, and so its end will be.
    pub is_told: bool,
}

/// Judges a row that says `state` of a conference in `bridge`: gives what is known of it from now on,
/// nothing once it is over, and the word for what that is the beginning or the end of.
pub fn judge(
    known: Option<&Conference>,
    state: &str,
    bridge: &str,
) -> (Option<Conference>, Option<&'static str>) {
    let same = |known: &&Conference| {
        known.bridge == bridge || known.bridge.is_empty() || bridge.is_empty()
    };
    let known = known.cloned();
    match (state, known.as_ref().filter(same)) {
        ("join", Some(same)) => {
            let members = same.members.saturating_add(1);
            let next = Conference {
                members,
                ..same.clone()
            };
            (Some(next), None)
        }
        ("join", None) => {
            let next = Conference {
                members: 1,
                bridge: bridge.to_owned(),
                is_told: false,
            };
            (Some(next), Some(STARTED))
        }
        ("leave", Some(same)) if same.members <= 1 && !same.is_told => (None, Some(ENDED)),
        ("leave", Some(same)) => {
            let members = same.members.saturating_sub(1);
            let next = Conference {
                members,
                ..same.clone()
            };
            (Some(next), None)
        }
        (STARTED, _) => {
            let next = Conference {
                members: 0,
                bridge: bridge.to_owned(),
                is_told: true,
            };
            (Some(next), None)
        }
        (ENDED, _) => (None, None),
        _ => (known, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs rows of a state and a bridge; says what each told, `-` where that was nothing.
    #[track_caller]
    fn check(rows: &[(&str, &str)], expected: &str) {
        let mut known = None;
        let mut told = Vec::new();
        for (state, bridge) in rows {
            let (next, edge) = judge(known.as_ref(), state, bridge);
            known = next;
            told.push(edge.unwrap_or("-"));
        }
        assert_eq!(told.join(" "), expected, "{rows:?}");
    }

    #[test]
    fn the_first_to_come_starts_a_conference_and_the_last_to_leave_ends_it() {
        let (come, leave) = (("join", "b1"), ("leave", "b1"));
        check(&[come, come, leave, leave], "started - - ended");
        check(&[come, leave, come, leave], "started ended started ended");
        // Those who were in it before anybody looked.
        check(&[leave, come, leave, leave], "- started ended -");
    }

    #[test]
    fn after_the_switch_was_killed_the_next_to_come_starts_another_one() {
        let rows = [
            ("join", "b1"),
            ("join", "b1"),
            ("join", "b2"),
            ("leave", "b1"),
        ];
        check(&rows, "started - started -");
        check(
            &[("join", ""), ("join", "b1"), ("leave", "")],
            "started - -",
        );
    }

    #[test]
    fn what_has_a_row_of_its_own_is_not_told_beside_it() {
        let rows = [
            ("started", ""),
            ("join", ""),
            ("leave", ""),
            ("ended", ""),
            ("join", ""),
        ];
        check(&rows, "- - - - started");
    }
}

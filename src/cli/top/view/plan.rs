//! Plan: how the rows of a screen are shared out.

use crate::cli::top::board::Pane;

/// Rows that are always there: the head, the problem, two headings, the keys.
const FIXED: usize = 5;

/// Rows of a screen from which on figures have curves.
const CURVES_FROM: usize = 18;

/// Rows of a screen from which on there is a row about the disk.
const DISK_FROM: usize = 14;

/// Rows of a screen from which on there is a row about what is chosen.
const DETAILS_FROM: usize = 12;

/// Highest curve, in rows.
const CURVE_ROWS_MAX: usize = 4;

/// Rows for each part of the overview.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// For each of three curves; 0 when their figures share one row.
    pub curve: usize,
    /// For endpoints.
    pub endpoints: usize,
    /// For what is known of the chosen line.
    pub details: usize,
    /// For sources.
    pub sources: usize,
    /// For the disk.
    pub disk: usize,
}

impl Plan {
    /// Shares out `rows`, at least 8, among so many endpoints and sources and so many lines of
    /// details. Every list has a row, however long the other is; the one in use has the most.
    pub fn of(rows: usize, endpoints: usize, sources: usize, details: usize, pane: Pane) -> Plan {
        let (endpoints, sources) = (endpoints.max(1), sources.max(1));
        let mut plan = Plan {
            curve: usize::from(rows >= CURVES_FROM),
            endpoints,
            details: usize::from(rows >= DETAILS_FROM).min(details),
            sources,
            disk: usize::from(rows >= DISK_FROM),
        };
        let figures = if plan.curve > 0 { 3 } else { 1 };
        let taken = FIXED + figures + plan.details + plan.disk;
        let room = rows.saturating_sub(taken);
        let Some(spare) = room.checked_sub(endpoints + sources) else {
            (plan.endpoints, plan.sources) = match pane {
                Pane::Endpoints => shares(room, endpoints, sources),
                Pane::Sources => {
                    let (sources, endpoints) = shares(room, sources, endpoints);
                    (endpoints, sources)
                }
            };
            return plan;
        };
        if plan.details > 0 {
            plan.details += spare.min(details - plan.details);
        }
        if plan.curve > 0 {
            let left = rows - FIXED - 3 - plan.disk - plan.details - endpoints - sources;
            plan.curve = (1 + left / 3).min(CURVE_ROWS_MAX);
        }
        plan
    }
}

/// `room` for a list in use and another, of which one at least is too long: the other has a third.
fn shares(room: usize, used: usize, other: usize) -> (usize, usize) {
    let least = (room / 3).max(room.saturating_sub(used)).max(1);
    let other = other.min(least);
    (room.saturating_sub(other), other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(plan: &Plan) -> usize {
        let figures = (3 * plan.curve).max(1);
        FIXED + figures + plan.endpoints + plan.details + plan.sources + plan.disk
    }

    #[test]
    fn no_screen_is_overfilled_and_no_list_is_without_a_row() {
        for rows in 8..70 {
            for endpoints in [0, 1, 3, 20, 64] {
                for sources in [0, 1, 5, 100] {
                    for pane in [Pane::Endpoints, Pane::Sources] {
                        let plan = Plan::of(rows, endpoints, sources, 9, pane);
                        let case = format!("{rows} {endpoints} {sources} {plan:?}");
                        assert!(used(&plan) <= rows, "{case}");
                        assert!(plan.endpoints >= 1 && plan.sources >= 1, "{case}");
                        assert!(plan.details <= 9 && plan.curve <= CURVE_ROWS_MAX, "{case}");
                        let is_cut = plan.endpoints < endpoints || plan.sources < sources;
                        assert!(!is_cut || used(&plan) == rows, "room is left: {case}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_list_in_use_has_the_most_and_a_roomy_screen_has_details_and_high_curves() {
        let plan = Plan::of(24, 64, 100, 9, Pane::Endpoints);
        assert_eq!((plan.endpoints, plan.sources, plan.curve), (10, 4, 1));
        let plan = Plan::of(24, 64, 100, 9, Pane::Sources);
        assert_eq!((plan.endpoints, plan.sources), (4, 10));
        let plan = Plan::of(24, 64, 1, 9, Pane::Endpoints);
        assert_eq!((plan.endpoints, plan.sources), (13, 1));
        let plan = Plan::of(24, 3, 1, 9, Pane::Endpoints);
        assert_eq!((plan.endpoints, plan.details, plan.curve), (3, 9, 1));
        let plan = Plan::of(40, 3, 1, 9, Pane::Endpoints);
        assert_eq!((plan.details, plan.curve), (9, 4));
        let plan = Plan::of(8, 64, 100, 9, Pane::Endpoints);
        assert_eq!((plan.endpoints, plan.sources, plan.details), (1, 1, 0));
    }
}

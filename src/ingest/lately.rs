//! Lately: what became of each source's latest rows, whatever kind of source it is.

use super::Entry;
use crate::clock::UnixMs;
use crate::queue::SourceCounts;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Latest rows that are looked at together: a wrong format shows from its first row on, and a row
/// in a hundred that is odd is no matter of the format.
const ROWS: u64 = 100;

/// What became of a source's latest rows, since the agent's start or a changed configuration of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lately {
    /// When a row was last made durable.
    pub last_row_at: Option<UnixMs>,
    /// When it was put into the configuration, if the agent ran already.
    since: Option<UnixMs>,
    rows: u64,
    misfits: u64,
    /// Place and reason of the last row that did not fit.
    last_misfit: Option<String>,
}

/// The sources, by name: as many as the configuration has.
pub type BySource = BTreeMap<Arc<str>, Lately>;

impl Lately {
    /// Of a source that was put into the configuration at `wall`, or changed, of which that was
    /// known `before`.
    pub(super) fn begun(wall: UnixMs, before: Option<&Lately>) -> Lately {
        Lately {
            last_row_at: before.and_then(|before| before.last_row_at),
            since: before.map_or(Some(wall), |before| before.since),
            ..Lately::default()
        }
    }

    /// Since when there has been no row; `None` for one since the agent's start.
    pub fn silent_since(&self) -> Option<UnixMs> {
        self.last_row_at.or(self.since)
    }

    /// Why rows do not fit, with the place of one, when that holds for half of the latest rows or more.
    pub fn misfit(&self) -> Option<&str> {
        let is_format = self.misfits > 0 && self.misfits.saturating_mul(2) >= self.rows;
        self.last_misfit.as_deref().filter(|_| is_format)
    }

    /// A row was set aside.
    pub(super) fn set_aside(&mut self, entry: &Entry) {
        let file = Path::new(&entry.file);
        let name = file.file_name().unwrap_or(file.as_os_str());
        let line = entry.line.map_or(String::new(), |line| format!(":{line}"));
        let place = name.to_string_lossy();
        self.last_misfit = Some(format!("{place}{line}: {}", entry.reason));
    }

    /// Rows were made durable at `wall`.
    pub(super) fn count(&mut self, counts: &SourceCounts, wall: UnixMs) {
        if counts.rows == 0 {
            return;
        }
        self.last_row_at = Some(wall);
        self.rows = self.rows.saturating_add(counts.rows);
        self.misfits = self.misfits.saturating_add(counts.rejected);
        if self.rows > ROWS {
            // What came before weighs less and less.
            let kept = ROWS.saturating_sub(counts.rows);
            let before = (self.rows - counts.rows).max(1);
            let earlier =
                (self.misfits - counts.rejected.min(self.misfits)).saturating_mul(kept) / before;
            (self.rows, self.misfits) = (kept + counts.rows, earlier + counts.rejected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(groups: &[(u64, u64)]) -> Lately {
        let mut lately = Lately::default();
        for &(rows, rejected) in groups {
            if rejected > 0 {
                lately.set_aside(&Entry {
                    source: "cdr".into(),
                    file: "/cdr/Master.csv".into(),
                    line: Some(14),
                    offset: 0,
                    column: None,
                    reason: "20 fields, expected 18".into(),
                    row: String::new(),
                    row_base64: None,
                });
            }
            let counts = SourceCounts {
                rows,
                rejected,
                ..SourceCounts::default()
            };
            lately.count(&counts, UnixMs(7));
        }
        lately
    }

    #[test]
    fn a_format_that_does_not_fit_is_told_from_a_row_that_does_not() {
        let cases: [(&[(u64, u64)], bool); 8] = [
            (&[], false),
            (&[(1, 1)], true),
            (&[(14, 14)], true),
            (&[(1_000, 1)], false),
            (&[(1_000_000, 0), (200, 200)], true),
            // The release was changed in the middle: told after the fiftieth such row, or so.
            (&[(1_000_000, 0), (30, 30)], false),
            (&[(1_000_000, 0), (30, 30), (40, 40)], true),
            // It fits again.
            (&[(500, 500), (150, 0)], false),
        ];
        for (groups, expected) in cases {
            assert_eq!(after(groups).misfit().is_some(), expected, "{groups:?}");
        }
        let told = after(&[(3, 3)]);
        assert_eq!(told.misfit(), Some("Master.csv:14: 20 fields, expected 18"));
        assert_eq!(told.last_row_at, Some(UnixMs(7)));
        assert_eq!(after(&[(0, 0)]).last_row_at, None);
    }

    #[test]
    fn a_changed_source_is_as_silent_as_it_was_and_a_new_one_since_it_is_there() {
        let (row_at, changed_at) = (UnixMs(1_000), UnixMs(9_000));
        let before = Lately {
            last_row_at: Some(row_at),
            ..after(&[(3, 3)])
        };
        let changed = Lately::begun(changed_at, Some(&before));
        assert_eq!(changed.silent_since(), Some(row_at));
        assert_eq!(changed.misfit(), None, "another format is judged anew");
        let new = Lately::begun(changed_at, None);
        assert_eq!(
            (new.silent_since(), new.last_row_at),
            (Some(changed_at), None)
        );
        assert_eq!(Lately::default().silent_since(), None);
    }
}

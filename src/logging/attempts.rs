//! Attempts: which attempts get a line of their own. One setting for the process, like its level.

use std::sync::atomic::{AtomicU8, Ordering};

/// Which attempts to deliver get a line of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Attempts {
    /// None; endpoints that fail and recover are told all the same.
    None,
    /// Those that did not deliver.
    #[default]
    Failures,
    /// Every one, as far as the bound on such lines allows.
    All,
}

impl Attempts {
    /// All of them, by their names in the configuration.
    pub const ALL: [(&'static str, Attempts); 3] = [
        ("failures", Attempts::Failures),
        ("all", Attempts::All),
        ("none", Attempts::None),
    ];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Failures => "failures",
            Self::All => "all",
        }
    }

    /// Whether an attempt that delivered, or one that did not, is told.
    pub fn tells(self, is_delivered: bool) -> bool {
        self == Self::All || (self == Self::Failures && !is_delivered)
    }
}

/// What is told now. Nothing before the log is started.
static TOLD: AtomicU8 = AtomicU8::new(Attempts::None as u8);

/// Tells these from now on.
pub fn set(attempts: Attempts) {
    TOLD.store(attempts as u8, Ordering::Relaxed);
}

/// Whether an attempt that delivered, or one that did not, is told.
pub fn tells_attempt(is_delivered: bool) -> bool {
    let told = TOLD.load(Ordering::Relaxed);
    Attempts::ALL
        .iter()
        .any(|(_, attempts)| *attempts as u8 == told && attempts.tells(is_delivered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_unless_none_are_and_deliveries_only_with_all() {
        let told = |attempts: Attempts| (attempts.tells(false), attempts.tells(true));
        assert_eq!(told(Attempts::None), (false, false));
        assert_eq!(told(Attempts::Failures), (true, false));
        assert_eq!(told(Attempts::All), (true, true));
        for (name, attempts) in Attempts::ALL {
            assert_eq!(attempts.name(), name);
        }
    }
}

//! Meta: what a generation says about itself. It is written with every commit, so it also shows
//! when commits after it are missing.

use super::encoding::{Fields, put_bytes, truncated};
use super::key::NAME_BYTES_MAX;
use crate::event::Sequence;

/// Version of everything the queue writes. A directory of a newer version is refused untouched.
///
/// It goes up whenever an older agent would take what is written for damage, or overlook it; the
/// versions inside of single values are for telling them apart and protect nobody.
///
/// | version | new in it |
/// |---|---|
/// | 3 | positions with what was seen and not read |
/// | 2 | events settled beyond an endpoint's window; events that are put off |
/// | 1 | |
pub const FORMAT_VERSION: u16 = 3;

/// Oldest version that is read. What it lacks is nothing that has to be written anew: a directory of
/// it becomes one of [`FORMAT_VERSION`] by being opened.
pub(super) const OLDEST_VERSION: u16 = 1;

/// What a generation says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meta {
    /// The node's name when this was written.
    pub(super) node: String,
    /// The first sequence that may be in this generation.
    pub(super) first: Sequence,
    /// The sequence the next event gets.
    pub(super) next: Sequence,
    /// How many settlements with dead letters there have been.
    pub(super) burials: u64,
    /// Length of the database's file when everything carried over was in it, in bytes.
    pub(super) carried_bytes: u64,
    /// What may come after it.
    pub(super) standing: Standing,
}

/// What may come after a [`Meta`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// More writes of the same process.
    Open,
    /// Nothing: the queue was closed in order.
    Closed,
    /// Nothing: the next generation is whole and on disk.
    Sealed,
}

/// Why a meta cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetaError {
    /// It was written by a newer version of the agent.
    Newer(u16),
    /// It is not what any version writes.
    Damaged,
}

impl Meta {
    /// The value to store: the version, 2 bytes big-endian, comes first in every version.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = FORMAT_VERSION.to_be_bytes().to_vec();
        put_bytes(&mut out, truncated(&self.node, NAME_BYTES_MAX).as_bytes());
        out.extend_from_slice(&self.first.0.to_be_bytes());
        out.extend_from_slice(&self.next.0.to_be_bytes());
        out.extend_from_slice(&self.burials.to_be_bytes());
        out.extend_from_slice(&self.carried_bytes.to_be_bytes());
        out.push(match self.standing {
            Standing::Open => 0,
            Standing::Closed => 1,
            Standing::Sealed => 2,
        });
        out
    }

    /// Reads what [`encode`](Meta::encode) made.
    pub(super) fn decode(value: &[u8]) -> Result<Meta, MetaError> {
        let mut fields = Fields(value);
        match fields.u16() {
            Some(OLDEST_VERSION..=FORMAT_VERSION) => take(fields).ok_or(MetaError::Damaged),
            Some(newer) if newer > FORMAT_VERSION => Err(MetaError::Newer(newer)),
            _ => Err(MetaError::Damaged),
        }
    }
}

fn take(mut fields: Fields<'_>) -> Option<Meta> {
    let meta = Meta {
        node: fields.text()?.to_owned(),
        first: fields.sequence()?,
        next: fields.sequence()?,
        burials: fields.u64()?,
        carried_bytes: fields.u64()?,
        standing: match fields.byte()? {
            0 => Standing::Open,
            1 => Standing::Closed,
            2 => Standing::Sealed,
            _ => return None,
        },
    };
    fields.end()?;
    Some(meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(standing: Standing) {
        let meta = Meta {
            node: "switch-1".into(),
            first: Sequence(8),
            next: Sequence(9),
            burials: 6,
            carried_bytes: 7,
            standing,
        };
        assert_eq!(Meta::decode(&meta.encode()), Ok(meta));
    }

    #[test]
    fn a_meta_comes_back_as_it_was() {
        check(Standing::Open);
        check(Standing::Closed);
        check(Standing::Sealed);
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        assert_eq!(Meta::decode(&[0, 4, 99, 99]), Err(MetaError::Newer(4)));
        assert_eq!(Meta::decode(&[0, 1, 99]), Err(MetaError::Damaged));
        assert_eq!(Meta::decode(&[0, 2, 99]), Err(MetaError::Damaged));
        assert_eq!(Meta::decode(&[0, 3, 99]), Err(MetaError::Damaged));
        assert_eq!(Meta::decode(&[0, 0, 99]), Err(MetaError::Damaged));
        assert_eq!(Meta::decode(&[]), Err(MetaError::Damaged));
    }
}

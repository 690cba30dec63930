//! Lines: where a run of complete lines ends in a buffer.

use memchr::{memchr, memrchr};

/// What stands at the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Bytes of the complete lines, line ends included; 0 when there are none.
    pub bytes: usize,
    /// What comes after them.
    pub then: Then,
}

/// What follows a run of complete lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// More complete lines, beyond the limit asked for.
    More,
    /// The beginning of a line, or nothing.
    Partial,
    /// A line longer than a line may be, whether its end is there or not.
    Long,
}

/// Finds the complete lines at the start of `buffer`: as many as fit in `limit` bytes, but at
/// least one if there is one. Each is at most `line_max` bytes long, its line end included.
///
/// It jumps from the last line end of one stretch of `line_max` bytes to the next, so lines that
/// are short cost no look of their own.
pub fn complete(buffer: &[u8], limit: usize, line_max: usize) -> Run {
    let mut bytes = 0;
    loop {
        let rest = buffer.get(bytes..).unwrap_or_default();
        let stretch = rest.get(..line_max).unwrap_or(rest);
        let Some(end) = memrchr(b'\n', stretch).map(|at| at + 1) else {
            let then = if rest.len() >= line_max {
                Then::Long
            } else {
                Then::Partial
            };
            return Run { bytes, then };
        };
        if bytes + end <= limit {
            bytes += end;
            continue;
        }
        let room = stretch
            .get(..limit.saturating_sub(bytes))
            .unwrap_or_default();
        let fitting = memrchr(b'\n', room).map(|at| at + 1);
        let first = || {
            if bytes == 0 {
                memchr(b'\n', stretch).map(|at| at + 1)
            } else {
                None
            }
        };
        bytes += fitting.or_else(first).unwrap_or(0);
        return Run {
            bytes,
            then: Then::More,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(buffer: &str, limit: usize, line_max: usize, bytes: usize, then: Then) {
        let run = complete(buffer.as_bytes(), limit, line_max);
        assert_eq!(
            run,
            Run { bytes, then },
            "{buffer:?} limit {limit} line_max {line_max}"
        );
    }

    #[test]
    fn a_run_ends_with_the_last_complete_line() {
        check("", 100, 10, 0, Then::Partial);
        check("ab", 100, 10, 0, Then::Partial);
        check("ab\n", 100, 10, 3, Then::Partial);
        check("ab\ncd\nef", 100, 10, 6, Then::Partial);
        check("ab\r\n\n\nef\n", 100, 4, 9, Then::Partial);
    }

    #[test]
    fn a_limit_is_kept_unless_not_even_one_line_fits() {
        check("ab\ncd\nef\n", 7, 10, 6, Then::More);
        check("ab\ncd\nef\n", 6, 10, 6, Then::More);
        check("ab\ncd\nef\n", 9, 10, 9, Then::Partial);
        check("abcdef\ngh\n", 3, 10, 7, Then::More);
    }

    #[test]
    fn a_line_longer_than_the_limit_ends_the_run_whether_it_is_complete_or_not() {
        check("abc\n", 100, 4, 4, Then::Partial);
        check("abcd\n", 100, 4, 0, Then::Long);
        check("abcd", 100, 4, 0, Then::Long);
        check("ab\nabcdefgh\nij\n", 100, 4, 3, Then::Long);
        check("ab\nabc\nabcdefgh", 100, 4, 7, Then::Long);
    }

    /// The same by looking at each line on its own.
    fn one_by_one(buffer: &[u8], limit: usize, line_max: usize) -> Run {
        let mut bytes = 0;
        for line in buffer.split_inclusive(|&byte| byte == b'\n') {
            if line.len() > line_max || (line.len() == line_max && !line.ends_with(b"\n")) {
                return Run {
                    bytes,
                    then: Then::Long,
                };
            }
            if !line.ends_with(b"\n") {
                break;
            }
            if bytes > 0 && bytes + line.len() > limit {
                return Run {
                    bytes,
                    then: Then::More,
                };
            }
            bytes += line.len();
        }
        Run {
            bytes,
            then: Then::Partial,
        }
    }

    proptest::proptest! {
        #[test]
        fn jumping_finds_what_looking_at_each_line_finds(
            buffer in "[ab\n]{0,40}", limit in 1_usize..50, line_max in 1_usize..12,
        ) {
            let (found, expected) = (
                complete(buffer.as_bytes(), limit, line_max),
                one_by_one(buffer.as_bytes(), limit, line_max),
            );
            proptest::prop_assert_eq!(found.bytes, expected.bytes);
            if found.then != Then::More {
                proptest::prop_assert_eq!(found.then, expected.then);
            }
        }
    }
}

//! Head: the header lines of a request, on their way past the HTTP client to its connection.
//!
//! The client keeps headers in a hash table of names and values that are allocated one by one, and
//! prints them with the formatter: nineteen of the 77 allocations of an event, ingest included
//! (measured 2026-11, eleven headers). So it is given a request without any. It writes the request
//! line, `Content-Length` and `Host`; the [`Wire`](super::wire::Wire) puts these lines behind them.

use super::dial::carried;
use super::{Trouble, TroubleClass};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most bytes kept for the lines of the next request: those of the agent and of the longest
/// signature scheme are less than a quarter of it.
const KEPT_BYTES: usize = 4 << 10;

/// The header lines of one request at a time, for the connection of one of the client's agents.
#[derive(Clone, Default)]
pub(super) struct Head(Arc<Mutex<Vec<u8>>>);

impl Head {
    /// Puts the lines of the next request in the place of those before. Names are written as they are
    /// given: there are receivers that look for `X-VOS3000-Signature` letter by letter.
    ///
    /// # Errors
    ///
    /// When a name is none, or a value could break out of its line. Nothing is to be sent then.
    pub(super) fn set<'h>(
        &self,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
    ) -> Result<(), ureq::Error> {
        let mut lines = self.lines();
        lines.clear();
        lines.shrink_to(KEPT_BYTES);
        for (name, value) in headers {
            if name.is_empty() || breaks_out(name) || name.contains(':') || breaks_out(value) {
                lines.clear();
                return Err(carried(Trouble {
                    class: TroubleClass::Protocol,
                    text: "a header cannot be sent".to_string(),
                    elapsed: Duration::ZERO,
                }));
            }
            lines.extend_from_slice(name.as_bytes());
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value.as_bytes());
            lines.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// Hands the lines to `put`, once.
    pub(super) fn take<T>(&self, put: impl FnOnce(&[u8]) -> T) -> T {
        let mut lines = self.lines();
        let put = put(&lines);
        lines.clear();
        put
    }

    fn lines(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Values may be passwords: none is shown.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Head(..)")
    }
}

/// Whether a text would not stay within its line. What else a header may not have is refused where it
/// comes from: the configuration, or a constant.
fn breaks_out(text: &str) -> bool {
    memchr::memchr3(b'\r', b'\n', b'\0', text.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Option<&str>) {
        let head = Head::default();
        head.set([("X-Before", "1")].into_iter()).unwrap();
        let is_set = head.set(headers.iter().copied()).is_ok();
        let taken = head.take(|lines| String::from_utf8(lines.to_vec()).unwrap());
        assert_eq!(
            (is_set, &*taken),
            (expected.is_some(), expected.unwrap_or(""))
        );
        assert!(head.take(<[u8]>::is_empty), "they are handed out once");
    }

    #[test]
    fn lines_are_those_of_one_request_and_names_as_they_are_written() {
        check(
            &[("Content-Type", "a/b"), ("X-Two", "t\t~")],
            Some("Content-Type: a/b\r\nX-Two: t\t~\r\n"),
        );
        check(&[], Some(""));
    }

    #[test]
    fn what_could_break_out_of_its_line_is_not_sent() {
        for value in ["a\r\nHost: evil", "a\n", "a\r", "a\0"] {
            check(&[("X-One", "1"), ("X-Two", value)], None);
        }
        for name in ["", "X:Two", "X-Two\r\n", "X\nY"] {
            check(&[(name, "1")], None);
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let head = Head::default();
        head.set([("Authorization", "hush")].into_iter()).unwrap();
        assert!(!format!("{head:?}").contains("hush"));
    }
}

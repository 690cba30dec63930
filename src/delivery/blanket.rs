//! Blanket: whether it is the endpoint that refuses everything, or an event that is refused.
//!
//! 401, 403, 404, 405 and 407 mostly mean that a key was changed, a path was moved, a firewall was
//! told something new: no event is to blame, and giving each up after its attempts would bury a
//! night's calls within minutes. But one event alone may be answered so too, by a filter that
//! takes offence at its contents, and must not keep its neighbours waiting.
//!
//! What tells the two apart is whether anything else passes:
//!
//! * after [`REFUSES_AFTER`] such answers in a row the endpoint counts as unavailable: it is failing,
//!   a single event at a time goes out as a probe, nothing loses attempts, nothing is given up;
//! * an event that has had its attempts is given up only if something passed since it was first
//!   refused. Where nothing has, however few the answers, the endpoint counts as unavailable too;
//! * under a strict order nothing else is sent that could pass, so the third such answer to an event
//!   that others wait for is enough;
//! * the first event that passes, or is refused for a reason of its own (400, 422, …), ends that.
//!
//! This goes beyond the table of outcomes, by which every other 4xx counts against its event.

/// Such answers in a row after which it is the endpoint.
///
/// Many more than a few odd events in a row, and few enough that their retries are forgotten as
/// soon as the endpoint works again.
pub const REFUSES_AFTER: u32 = 20;

/// Whether `status` may mean that everything is refused.
pub fn is_blanket(status: Option<u16>) -> bool {
    matches!(status, Some(401 | 403 | 404 | 405 | 407))
}

/// What an address has answered of late.
#[derive(Debug, Clone, Default)]
pub struct Blanket {
    /// Answers in a row that may mean that everything is refused.
    run: u32,
    /// Events that passed, or were refused for a reason of their own.
    passed: u64,
}

/// How much had passed at which address when an event was first refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    address: usize,
    passed: u64,
}

impl Mark {
    /// Of an event that was first refused before it was left to the disk: whatever has passed in
    /// this process passed after that, as far as is known.
    pub fn of_old() -> Mark {
        Mark {
            address: 0,
            passed: 0,
        }
    }
}

impl Blanket {
    /// An event passed, or was refused for a reason of its own.
    pub fn passed(&mut self) {
        self.run = 0;
        self.passed = self.passed.saturating_add(1);
    }

    /// An event was refused by `address` in a way that may mean everything; true when it does.
    /// `mark` is the event's, and `is_last` whether it would be given up now, or held up others.
    pub fn is_refusing(&mut self, address: usize, mark: &mut Option<Mark>, is_last: bool) -> bool {
        self.run = self.run.saturating_add(1);
        let now = Mark {
            address,
            passed: self.passed,
        };
        let first = mark.filter(|mark| mark.address == address);
        let first = *mark.insert(first.unwrap_or(now));
        if is_last && first.passed == self.passed {
            self.run = self.run.max(REFUSES_AFTER);
        }
        self.run >= REFUSES_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_in_a_row_are_the_endpoint_until_something_passes() {
        let mut blanket = Blanket::default();
        for answer in 1..=40 {
            let refusing = blanket.is_refusing(0, &mut None, false);
            assert_eq!(refusing, answer >= REFUSES_AFTER, "answer {answer}");
        }
        blanket.passed();
        assert!(!blanket.is_refusing(0, &mut None, false));
    }

    #[test]
    fn a_poison_event_is_given_up_once_something_else_has_passed() {
        let mut blanket = Blanket::default();
        let mut mark = None;
        assert!(!blanket.is_refusing(0, &mut mark, false));
        blanket.passed();
        assert!(!blanket.is_refusing(0, &mut mark, true));
    }

    #[test]
    fn nothing_is_given_up_where_nothing_has_passed() {
        let mut blanket = Blanket::default();
        blanket.passed();
        let mut mark = None;
        for last in [false, false, true, true] {
            assert_eq!(blanket.is_refusing(0, &mut mark, last), last);
        }
        // What another address has let pass says nothing about this one.
        let mut elsewhere = Blanket::default();
        assert!(elsewhere.is_refusing(1, &mut mark, true));
        assert_eq!(mark.unwrap().address, 1);
    }

    #[test]
    fn only_what_is_about_the_way_in_counts() {
        for status in [401, 403, 404, 405, 407] {
            assert!(is_blanket(Some(status)));
        }
        for status in [200, 400, 402, 406, 409, 413, 422, 451] {
            assert!(!is_blanket(Some(status)));
        }
        assert!(!is_blanket(None));
    }
}

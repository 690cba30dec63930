//! `vos3000`: the body of the VOS3000 callback guide, `{"event","timestamp","data"}`, and after
//! it the id and the sequence, which a receiver written from the guide does not look at.

use super::Defaults;
use super::layout::{Member, Value, always, id, sequence, time};
use crate::delivery::outcome::SuccessRule;
use crate::delivery::signer::SignatureScheme;
use std::time::Duration;

/// The guide asks for a 30 s timeout, for 200 and nothing else, and for 3 to 5 attempts with
/// exponential backoff. Four waits of at most 1, 8, 64 and 512 s are five minutes on average.
pub(super) fn defaults() -> Defaults {
    Defaults {
        signature: SignatureScheme::vos3000(),
        success: SuccessRule::only(200),
        timeout: Duration::from_secs(30),
        attempts: 5,
        backoff_initial: Duration::from_secs(1),
        backoff_max: Duration::from_secs(60 * 60),
    }
}

/// The body.
pub(super) const LAYOUT: &[Member] = &[
    always("event", Value::Kind, "What kind of event it is."),
    time("timestamp"),
    always("data", Value::Whole, "What happened."),
    id("id"),
    sequence("sequence"),
];

#[cfg(test)]
mod tests {
    use crate::delivery::profile::Profile;
    use crate::delivery::profile::samples::queued;

    #[test]
    fn the_guide_s_members_come_first() {
        let mut body = Vec::new();
        Profile::Vos3000.render(&queued(7, "cdr", r#"{"call_id":"12345678"}"#), &mut body);
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"event":"cdr","timestamp":"2026-04-09T14:30:45Z","data":{"call_id":"12345678"},"id":"evt_00000000000000000000000000000007","sequence":7}"#
        );
    }
}

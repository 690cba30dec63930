//! `vos3000`: the body of the VOS3000 callback guide, `{"event","timestamp","data"}`, and after
//! it the id and the sequence, which a receiver written from the guide does not look at.

use super::{Defaults, FRAME_BYTES};
use crate::delivery::outcome::SuccessRule;
use crate::delivery::signer::SignatureScheme;
use crate::queue::Queued;
use std::io::Write as _;
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

pub(super) fn render(queued: &Queued, body: &mut Vec<u8>) {
    let event = &queued.event;
    body.reserve(event.data.len() + FRAME_BYTES);
    let _infallible = write!(
        body,
        r#"{{"event":"{}","timestamp":"{}","data":"#,
        event.kind, event.time
    );
    body.extend_from_slice(&event.data);
    let _infallible = write!(
        body,
        r#","id":"{}","sequence":{}}}"#,
        event.id, queued.sequence
    );
}

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

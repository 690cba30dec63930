//! The lines over the control socket, both ways.

use crate::control::mask::{masked, masked_text};
use crate::control::protocol::{Envelope, Reply, Request, VERSION};
use crate::control::server;
use crate::control::status::Status;

/// A line of a client: a request is written again as one that is the same.
pub(super) fn request(data: &[u8]) {
    let lines = [
        data.to_vec(),
        [b"{\"v\":1,\"request\":", data, b"}"].concat(),
    ];
    for line in lines {
        match server::read_request(&line) {
            Ok(request) => {
                let request_json = serde_json::value::to_raw_value(&request).expect("it is JSON");
                let envelope = Envelope {
                    v: VERSION,
                    request: request_json,
                };
                let written = serde_json::to_vec(&envelope).expect("it is JSON");
                let again: Result<Request, _> = server::read_request(&written);
                assert_eq!(again.ok(), Some(request));
            }
            Err(refusal) => assert!(!refusal.message.is_empty()),
        }
    }
}

/// A line of an agent, and what is shown of it: in a masked text no telephone number is left.
pub(super) fn reply(data: &[u8]) {
    if let Ok(reply) = serde_json::from_slice::<Reply>(data) {
        let written = serde_json::to_vec(&reply).expect("it is JSON");
        let again = serde_json::from_slice::<Reply>(&written);
        assert!(again.is_ok(), "it was just written");
    }
    if let Ok(status) = serde_json::from_slice::<Status>(data) {
        let shown = crate::cli::status::text(&status);
        assert!(!shown.is_empty());
    }
    let _ = masked(data).to_string();
    let text = masked_text(&String::from_utf8_lossy(data));
    let runs = text.split(|c: char| !c.is_ascii_digit());
    assert!(runs.max_by_key(|run| run.len()).map_or(0, str::len) < 7);
}

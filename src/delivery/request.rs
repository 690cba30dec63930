//! SignedRequest: the exact bytes to send.

use super::agent_headers::Told;
use super::batch;
use super::endpoint::Endpoint;
use super::entry::Entry;
use super::packing::{Content, FORM, Method, SignedOver};
use super::signer::{Header, Message, Signer};
use crate::clock::UnixMs;
use crate::queue::Queued;
use std::borrow::Cow;

/// What every request says about its sender.
pub const USER_AGENT: &str = concat!("switchhook/", env!("CARGO_PKG_VERSION"));

/// A request to the endpoint's address as it goes out. Only what the transfer itself needs is
/// added: `Host` and `Content-Length`.
///
/// No header's value can be built from what a switch wrote. Names are fixed or the operator's; values
/// are constants, the event's id (hexadecimal digits), its sequence, the attempt and times (numbers),
/// signatures (hexadecimal or Base64), the node, which is the configuration's and reduced to
/// printable ASCII, and the operator's own ([`OwnHeader`](super::endpoint::OwnHeader)), checked when
/// they are read and not filled in from anything. There is no template.
#[derive(Debug)]
pub struct SignedRequest<'a> {
    /// Names and values in the order they are sent.
    pub headers: Vec<Header<'a>>,
    /// The method.
    pub method: Method,
    /// The whole address, where it is not the endpoint's own: a `GET` has its fields there.
    pub url: Option<String>,
    /// The body; of a `GET` empty.
    pub body: Cow<'a, [u8]>,
}

/// Headers of the agent and of the longest signature scheme together, so that the list is
/// allocated once.
const HEADERS_CAPACITY: usize = 12;

impl<'a> SignedRequest<'a> {
    /// Packs and signs the JSON `body` for `endpoint` as request number `attempt` (from 1), made at `wall`.
    pub fn new(
        endpoint: &'a Endpoint,
        signer: &'a Signer,
        queued: &'a Queued,
        attempt: u32,
        wall: UnixMs,
        body: &'a [u8],
    ) -> SignedRequest<'a> {
        let id = Cow::Owned(queued.event.id.to_string());
        SignedRequest::with_id(endpoint, signer, (id, queued), attempt, wall, body)
    }

    /// The same for `entry`, which may be several events and is known by `id`: that of the batch
    /// then; the sequence is that of its first event.
    pub fn of(
        endpoint: &'a Endpoint,
        signer: &'a Signer,
        (id, entry): (&'a str, &'a Entry),
        wall: UnixMs,
        body: &'a [u8],
    ) -> SignedRequest<'a> {
        let subject = (Cow::Borrowed(id), &entry.queued);
        SignedRequest::with_id(endpoint, signer, subject, entry.request(), wall, body)
    }

    fn with_id(
        endpoint: &'a Endpoint,
        signer: &'a Signer,
        (id, queued): (Cow<'a, str>, &'a Queued),
        attempt: u32,
        wall: UnixMs,
        body: &'a [u8],
    ) -> SignedRequest<'a> {
        let mut headers: Vec<Header<'a>> =
            Vec::with_capacity(HEADERS_CAPACITY + endpoint.headers.len());
        let packing = endpoint.packing;
        let packed = packing.pack(endpoint.url.as_str(), body);
        let content_type = match packing.content {
            Content::Form => FORM,
            Content::Json if endpoint.batch.is_some() => batch::content_type(&endpoint.body),
            Content::Json => endpoint.body.content_type(),
        };
        if packing.method != Method::Get {
            headers.push(("Content-Type", Cow::Borrowed(content_type)));
        }
        if packed.content.is_some() {
            headers.push(("Content-Encoding", Cow::Borrowed("gzip")));
        }
        headers.push(("User-Agent", Cow::Borrowed(USER_AGENT)));
        headers.push(("Accept-Encoding", Cow::Borrowed("identity")));
        let message = Message {
            id: &id,
            unix_secs: wall.unix_secs(),
            method: packing.method.as_str(),
            url: packed.url.as_deref().unwrap_or(endpoint.url.as_str()),
            body: match &packed.content {
                Some(content) if packing.signed == SignedOver::Content => content,
                _ => &packed.body,
            },
        };
        signer.sign(message, &id, &mut headers);
        for (told, name) in endpoint.agent_headers.iter() {
            let value = match told {
                Told::Id => id.clone(),
                Told::Sequence => Cow::Owned(queued.sequence.to_string()),
                Told::Attempt if attempt == 1 => Cow::Borrowed("1"),
                Told::Attempt => Cow::Owned(attempt.to_string()),
                Told::Node => header_text(&queued.event.node),
            };
            headers.push((name, value));
        }
        let own = endpoint.headers.iter();
        if !endpoint.headers.is_empty() {
            // One of a name is sent: receivers do not agree on which of two counts.
            let is_own = |name: &str| {
                let mut own = own.clone();
                own.any(|own| own.name().eq_ignore_ascii_case(name))
            };
            headers.retain(|(name, _)| !is_own(name));
        }
        headers.extend(own.map(|own| (own.name(), Cow::Borrowed(own.value()))));
        SignedRequest {
            headers,
            method: packing.method,
            url: packed.url,
            body: packed.body,
        }
    }
}

/// A node may have any name; a header carries printable ASCII. What is outside becomes `?`.
fn header_text(text: &str) -> Cow<'_, str> {
    let is_safe = |c: char| matches!(c, ' '..='~');
    if text.chars().all(is_safe) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|c| if is_safe(c) { c } else { '?' })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::agent_headers::AgentHeaders;
    use crate::delivery::endpoint::OwnHeader;
    use crate::delivery::profile::Profile;
    use crate::delivery::profile::samples::queued;
    use crate::delivery::signer::Secret;
    use crate::delivery::url::Url;
    use std::sync::Arc;

    fn lines(endpoint: &Endpoint, queued: &Queued) -> Vec<String> {
        let signer = Signer::new(endpoint.signature.clone(), &endpoint.secret);
        let request = SignedRequest::new(
            endpoint,
            &signer,
            queued,
            2,
            UnixMs(1_614_265_330_999),
            b"{}",
        );
        request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect()
    }

    #[test]
    fn headers_come_in_their_order_and_the_operator_s_last() {
        let mut endpoint = Endpoint::new("a", Url::parse("https://a/").unwrap(), Profile::Standard);
        endpoint.secret = Some(Secret::parse("key").unwrap());
        endpoint.headers = vec![OwnHeader::new("X-Token", "t").unwrap()];
        let lines = lines(&endpoint, &queued(7, "cdr", "{}"));
        let names: Vec<&str> = lines
            .iter()
            .map(|line| line.split(':').next().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "Content-Type",
                "User-Agent",
                "Accept-Encoding",
                "webhook-id",
                "webhook-timestamp",
                "webhook-signature",
                "X-Switchhook-Id",
                "X-Switchhook-Sequence",
                "X-Switchhook-Attempt",
                "X-Switchhook-Node",
                "X-Token"
            ]
        );
        assert!(lines.contains(&"webhook-timestamp: 1614265330".to_string()));
        assert!(lines.contains(&"webhook-id: evt_00000000000000000000000000000007".to_string()));
        assert!(lines.contains(&"X-Switchhook-Attempt: 2".to_string()));
    }

    #[test]
    fn the_agent_s_own_headers_can_be_left_out() {
        let mut endpoint = Endpoint::new("a", Url::parse("https://a/").unwrap(), Profile::Vos3000);
        endpoint.agent_headers = AgentHeaders::none();
        assert_eq!(lines(&endpoint, &queued(7, "cdr", "{}")).len(), 3);
    }

    #[test]
    fn the_agent_s_headers_go_by_the_names_that_are_asked_for() {
        let mut endpoint = Endpoint::new("a", Url::parse("https://a/").unwrap(), Profile::Vos3000);
        let headers = &mut endpoint.agent_headers;
        headers.call(Told::Id, Some("X-Request-Id".into()));
        headers.call(Told::Sequence, None);
        headers.call(Told::Node, None);
        let id = "X-Request-Id: evt_00000000000000000000000000000007";
        let lines = lines(&endpoint, &queued(7, "cdr", "{}"));
        assert_eq!(lines[3..], [id, "X-Switchhook-Attempt: 2"]);
    }

    #[test]
    fn an_operator_s_header_takes_the_place_of_the_agent_s() {
        let mut endpoint = Endpoint::new("a", Url::parse("https://a/").unwrap(), Profile::Vos3000);
        endpoint.agent_headers = AgentHeaders::none();
        let own = [("user-agent", "us/1"), ("Content-Type", "text/plain")];
        endpoint.headers = own
            .map(|(name, value)| OwnHeader::new(name, value).unwrap())
            .into();
        assert_eq!(
            lines(&endpoint, &queued(7, "cdr", "{}")),
            [
                "Accept-Encoding: identity",
                "user-agent: us/1",
                "Content-Type: text/plain"
            ]
        );
    }

    #[test]
    fn s2_whatever_is_in_an_event_no_header_but_the_signature_differs() {
        let mut endpoint = Endpoint::new("a", Url::parse("https://a/").unwrap(), Profile::Standard);
        endpoint.secret = Some(Secret::parse("key").unwrap());
        endpoint.headers = vec![OwnHeader::new("X-Own", "$call_id {caller_id} %s").unwrap()];
        let of = |queued: &Queued| {
            let mut lines = lines(&endpoint, queued);
            lines.retain(|line| !line.starts_with("webhook-signature"));
            lines
        };
        let plain = of(&queued(7, "cdr", "{}"));
        for data in [
            "{\"call_id\":\"\\r\\nX-Evil: 1\"}",
            "{\"\\r\\n\":\"\u{1}\u{1f4a5}\"}",
        ] {
            let mut evil = queued(7, "cdr\r\nX-Evil: 1", data);
            let event = Arc::get_mut(&mut evil.event).unwrap();
            event.node = queued(7, "cdr", "{}").event.node.clone();
            assert_eq!(of(&evil), plain, "{data}");
        }
    }

    #[test]
    fn a_node_s_name_cannot_break_out_of_its_line() {
        let endpoint = Endpoint::new("a", Url::parse("https://a/").unwrap(), Profile::Vos3000);
        let mut queued = queued(7, "cdr", "{}");
        Arc::get_mut(&mut queued.event).unwrap().node = "Zoë\r\nHost: evil".into();
        assert!(
            lines(&endpoint, &queued).contains(&"X-Switchhook-Node: Zo???Host: evil".to_string())
        );
    }
}

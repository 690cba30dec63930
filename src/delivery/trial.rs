//! Trial: one attempt at an endpoint outside the queue, with everything that was seen of it.

use super::batch;
use super::echo::hide_secrets;
use super::endpoint::Endpoint;
use super::entry::Entry;
use super::outcome::Outcome;
use super::request::SignedRequest;
use super::signer::Signer;
use super::transport::{Answer, HttpTransport, Journal, Phases, TlsError, Transport};
use crate::clock::Clock;
use crate::queue::Queued;
use std::sync::Arc;

/// An attempt and what came of it.
#[derive(Debug)]
pub struct Trial {
    /// The headers as they went out, the signature among them.
    pub headers: Vec<(String, String)>,
    /// The whole address, where it is not the endpoint's own.
    pub url: Option<String>,
    /// The body as it was before it was compressed, if it was.
    pub content: Vec<u8>,
    /// What each phase took.
    pub phases: Phases,
    /// What came back.
    pub answer: Answer,
    /// What that means by the endpoint's rules.
    pub outcome: Outcome,
}

/// Sends `queued` to `endpoint` once, exactly as delivery would, whatever events it wants.
///
/// # Errors
///
/// [`TlsError`] when the endpoint's extra certificates cannot be used; nothing was sent then.
pub fn try_out(
    endpoint: &Endpoint,
    queued: &Queued,
    clock: &Arc<dyn Clock>,
) -> Result<Trial, TlsError> {
    let journal = Journal::default();
    let transport = HttpTransport::recording(endpoint, Arc::clone(clock), journal.clone())?;
    let secrets = endpoint.secret.iter().chain(&endpoint.previous_secret);
    let signer = Signer::new(endpoint.signature.clone(), secrets);
    let mut body = Vec::new();
    let mut entry = Entry::new(queued.clone());
    match &endpoint.batch {
        None => endpoint.render(queued, &mut body),
        // One event always fits.
        Some(batch) => _ = batch::render(endpoint, batch, &mut entry, &mut body),
    }
    let id = batch::RequestId(endpoint, &entry).to_string();
    let subject = (&*id, &entry);
    let request = SignedRequest::of(endpoint, &signer, subject, clock.wall(), &body);
    let headers = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let mut answer = transport.send(&request);
    drop(request);
    if let Answer::Status(response) = &mut answer {
        hide_secrets(endpoint, &mut response.body_start);
    }
    let packed = endpoint.packing.pack(endpoint.url.as_str(), &body);
    let outcome = Outcome::of(
        answer.clone(),
        &endpoint.success,
        endpoint.retry_after_max,
        clock.wall(),
    );
    Ok(Trial {
        headers,
        url: packed.url,
        content: packed.content.unwrap_or(packed.body).into_owned(),
        phases: journal.phases(),
        answer,
        outcome,
    })
}

//! Pump 2: entry → signed request → outcome → settlement.
//!
//! Each endpoint has a lane (what is tried next), a transport, and a few threads that share both.
//! Each pass of a thread is five named steps: take, render, sign, send, settle. One thread more
//! writes down what became of the events of all endpoints.
//!
//! What is promised: every event an endpoint wants is delivered at least once, or becomes a dead
//! letter after its attempts; a repeat has the same id. What is not: order.

pub mod breaker;
pub mod counts;
pub mod endpoint;
pub mod entry;
pub mod event_queue;
pub mod lane;
pub mod notice;
pub mod outcome;
pub mod profile;
pub mod request;
pub mod retry;
pub mod settler;
pub mod signer;
pub mod transport;
pub mod url;
mod window;

/// Stack of a sending thread, in bytes.
///
/// The deepest it gets is the check of a certificate. A handshake with one ECDSA certificate
/// needs between 48 and 64 KiB in a debug build (measured 2026-11, x86_64); longer chains and RSA
/// take more, so four times that. Only what is touched takes memory.
pub const STACK_BYTES: usize = 256 << 10;

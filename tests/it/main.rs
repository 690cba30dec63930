//! The one integration binary: the agent as its users meet it, a process with files and sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(missing_docs, reason = "the names of the tests are the documentation")]

mod agent;
mod cli;
mod crash;
mod interop;
mod support;
mod syslog;

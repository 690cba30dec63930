//! The one integration binary: the agent as its users meet it, a process with files and sockets.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]
#![allow(clippy::print_stdout, reason = "a failing run says how it is repeated")]
#![allow(missing_docs, reason = "the names of the tests are the documentation")]

mod access;
mod agent;
mod apply;
mod bounds;
mod cli;
mod contracts;
mod contracts_page;
mod control;
mod crash;
mod damage;
mod days;
mod derive;
mod disk;
mod docs;
mod endpoints;
mod faults;
mod forget;
mod formats;
mod full_disk;
mod inspector;
mod interop;
mod live;
mod ordering;
mod pace;
mod packaging;
mod pages;
mod power;
mod quiet;
mod receivers;
mod resolved;
mod rotation;
mod routing;
mod rsyslog;
mod service;
mod shape;
mod signatures;
mod strace;
mod strangers;
mod support;
mod syslog;
mod together;
mod top;
mod walk;
mod wire;
mod words;

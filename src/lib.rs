//! Tells HTTP endpoints about the calls a softswitch writes into its files, at least once each.
//!
//! # The path of one call
//!
//! ```text
//! CDR file ─source→ Chunk of lines ─parser→ Record ─derive→ Event ─ingest→ queue (durable from here on)
//! queue ─lane→ Entry ─profile→ body ─signer→ SignedRequest ─transport→ Answer ─outcome→ settled
//! ```
//!
//! Two pumps share nothing but the queue: **ingest** (one thread: follow, parse, commit) and
//! **delivery** (a few threads per endpoint: take, render, sign, send, settle).
//!
//! `control` answers the operator's questions to the running agent, over a socket of its own; what it
//! asks of the pumps they answer between two passes.
//!
//! # Invariants
//!
//! * `use` runs down the list of modules below, never up.
//! * Only `queue` names the database; only `delivery::transport` names the HTTP client.
//! * `parser`, `event`, `derive` and, of `delivery`, `profile`, `signer`, `request`, `outcome`, `retry` and
//!   `breaker` do no I/O and ask no clock.
//! * A file position is committed together with the events it covers, never before them.
//! * An event leaves an endpoint's queue only by a settlement, after its outcome is known.
//! * Time comes in through [`clock::Clock`], waiting through [`shutdown::Shutdown`], chance through
//!   a seeded generator, the network through [`delivery::transport::Transport`].
//! * Who gets an event is decided in `delivery::route`; what of it, in `Endpoint::render`.
//! * Every buffer, table and thread count has a bound with a name.
#![cfg_attr(not(test), forbid(unsafe_code))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;

pub mod cli;
pub mod demo;

pub mod agent;
pub mod control;

pub mod config;
pub mod receiver;

pub mod delivery;
pub mod ingest;

pub mod derive;
pub mod queue;

pub mod tap;

pub mod event;
pub mod parser;

pub mod folder;
pub mod listen;
pub mod source;

pub mod logging;
pub mod progress;
pub mod shutdown;
pub mod timestamp;

pub mod clock;

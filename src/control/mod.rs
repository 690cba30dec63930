//! Control: what an operator can ask of the running agent, over a socket on the same machine.
//!
//! A client connects, sends one request as a line of JSON, and reads lines until the last one.
//! The socket belongs to the agent's user alone, and who connects is asked for by the kernel's
//! word: root and that user are served, everybody else is told why not.
//!
//! Nothing here holds up the pumps: requests and clients are bounded, a client that does not read
//! is cut off, and what takes time runs in threads of its own, in small steps.

mod apply;
pub mod client;
mod dead_letters;
pub mod desk;
mod health;
pub mod listening;
pub mod mask;
pub mod metrics;
mod places;
pub mod protocol;
mod replay;
pub mod server;
mod sources;
pub mod status;
mod tail;

pub use desk::{Desk, Reload};
pub use server::Server;

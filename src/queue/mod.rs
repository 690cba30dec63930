//! Queue: events on disk, what each endpoint has had of them, and how far each file was read.
//!
//! The only place that names the database.

use crate::event::{Event, Sequence};
use std::sync::Arc;

/// One event in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its place.
    pub sequence: Sequence,
    /// What the receiver is told.
    pub event: Arc<Event>,
}

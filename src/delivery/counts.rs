//! Counts: what has become of attempts and events since the start, per endpoint.

use std::fmt;
use std::time::Duration;

/// What has become of an endpoint's attempts and events since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests sent and finished: as many as the receiver has seen or could have seen.
    pub attempts: u64,
    /// Of these, delivered.
    pub delivered: u64,
    /// Of these, refused.
    pub refused: u64,
    /// Of these, unavailable or gone.
    pub unavailable: u64,
    /// Events given up.
    pub buried: u64,
    /// Events that were not for this endpoint.
    pub skipped: u64,
    /// Events that wait for their own retry now.
    pub retrying: u64,
    /// How things stand with the endpoint now.
    pub state: EndpointState,
    /// What the last attempt that was not delivered came to.
    pub last_error: Option<String>,
    /// Time of all attempts together.
    pub latency_sum: Duration,
    /// Time of the longest attempt.
    pub latency_max: Duration,
}

/// How things stand with an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndpointState {
    /// It is sent what there is.
    #[default]
    Working,
    /// It does not take events; it is probed.
    Failing,
    /// It asked for a pause longer than the time between probes, and is left alone until then.
    Paused,
    /// It said twice that it is no more; nothing is sent until the agent is restarted.
    Stopped,
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Working => "working",
            Self::Failing => "failing",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

//! AgentHeaders: what the headers are called by which a request says what the agent knows of it.

use std::borrow::Cow;

/// What the agent says of a request beside its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The event's id, or the batch's.
    Id,
    /// The event's sequence; of a batch that of its first.
    Sequence,
    /// The number of the attempt, from 1.
    Attempt,
    /// The switch.
    Node,
}

impl Told {
    /// All of them in the order they are sent, with their words in the configuration and what their
    /// headers are called unless it says otherwise.
    pub const ALL: [(&'static str, Told, &'static str); 4] = [
        ("id", Told::Id, "X-Switchhook-Id"),
        ("sequence", Told::Sequence, "X-Switchhook-Sequence"),
        ("attempt", Told::Attempt, "X-Switchhook-Attempt"),
        ("node", Told::Node, "X-Switchhook-Node"),
    ];
}

/// The headers that are sent, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentHeaders(Vec<(Told, Cow<'static, str>)>);

impl Default for AgentHeaders {
    /// All of them, by their own names.
    fn default() -> AgentHeaders {
        let all = Told::ALL.into_iter();
        AgentHeaders(all.map(|(_, told, name)| (told, name.into())).collect())
    }
}

impl AgentHeaders {
    /// None at all.
    pub fn none() -> AgentHeaders {
        AgentHeaders(Vec::new())
    }

    /// Has what is `told` go by `name`, which is a header's, or not at all.
    pub fn call(&mut self, told: Told, name: Option<String>) {
        match name {
            None => self.0.retain(|(own, _)| *own != told),
            Some(name) => {
                let mut all = self.0.iter_mut();
                if let Some((_, own)) = all.find(|(own, _)| *own == told) {
                    *own = name.into();
                }
            }
        }
    }

    /// What is told, and under which name.
    pub fn iter(&self) -> impl Iterator<Item = (Told, &str)> {
        self.0.iter().map(|(told, name)| (*told, &**name))
    }
}

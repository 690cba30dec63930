//! Layout: the members of a profile's body, in order, as a table.
//!
//! Bodies are written by it ([`render`]) and described by it ([`super::schema`]), so that the two
//! cannot differ.

use super::members::{Members, Writer};
use super::names::{self, Guide};
use crate::queue::Queued;
use std::cell::OnceCell;
use std::fmt::Write as _;

/// One member of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// Its key; of [`Value::Rest`] none.
    pub key: &'static str,
    /// Which events have it.
    pub when: When,
    /// What stands under it.
    pub value: Value,
    /// What it says, for people; empty where the data's own member says it.
    pub about: &'static str,
}

/// Which events have a member.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// All.
    Always,
    /// Finished calls.
    Call,
    /// All but finished calls.
    NoCall,
    /// Those whose data has this member.
    Has(&'static str),
    /// Finished calls, and those whose data has this member.
    CallOrHas(&'static str),
}

/// What stands under a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// The event's id.
    Id,
    /// Our own name of its type.
    Kind,
    /// A guide's name of its type.
    Name(Guide),
    /// When it happened.
    Time,
    /// Its place in the node's sequence.
    Sequence,
    /// The same as text.
    SequenceText,
    /// The node as a URI reference.
    Source,
    /// Always this text.
    Literal(&'static str),
    /// Always `null`.
    Nothing,
    /// What the Vobiz guides call the end of a call.
    CallStatus,
    /// A member of the data as it stands; `null` where there is none.
    Data(&'static str),
    /// The same; the event's id where there is none.
    DataOrId(&'static str),
    /// An object.
    Object(&'static [Member]),
    /// The data, byte for byte.
    Whole,
    /// The data, with these members before it.
    WholeAfter(&'static [Member]),
    /// The data's members that are not among these and whose keys are not there yet, in any case.
    Rest(&'static [&'static str]),
}

/// A member that every event has.
pub(super) const fn always(key: &'static str, value: Value, about: &'static str) -> Member {
    Member {
        key,
        when: When::Always,
        value,
        about,
    }
}

/// The event's id, under `key`.
pub(super) const fn id(key: &'static str) -> Member {
    let about = "The event's lasting id: the same in every repeat.";
    always(key, Value::Id, about)
}

/// The event's place in the sequence of its node, under `key`.
pub(super) const fn sequence(key: &'static str) -> Member {
    let about = "Grows with every event of the node, never used twice.";
    always(key, Value::Sequence, about)
}

/// The event's time, under `key`.
pub(super) const fn time(key: &'static str) -> Member {
    let about = "When it happened; not when it was sent.";
    always(key, Value::Time, about)
}

/// A member that some events have.
pub(super) const fn when(
    when: When,
    key: &'static str,
    value: Value,
    about: &'static str,
) -> Member {
    Member {
        key,
        when,
        value,
        about,
    }
}

/// Appends the body that `layout` describes for `queued`.
pub(super) fn render(layout: &[Member], queued: &Queued, body: &mut Vec<u8>) {
    body.reserve(queued.event.data.len() + FRAME_BYTES);
    let page = Page {
        queued,
        data: OnceCell::new(),
    };
    let mut out = Writer::begin(body);
    page.write(layout, &mut out);
    out.end();
}

/// Bytes around the data of an event: names, id, time, sequence. Measured 150 at most where the
/// data is not taken apart, for the longest kind; the body is allocated once.
const FRAME_BYTES: usize = 256;

/// An event on its way into a body.
struct Page<'q> {
    queued: &'q Queued,
    /// Its data taken apart, for the layouts that need that.
    data: OnceCell<Members<'q>>,
}

impl<'q> Page<'q> {
    fn data(&self) -> &Members<'q> {
        self.data
            .get_or_init(|| Members::of(&self.queued.event.data))
    }

    fn has(&self, member: &Member) -> bool {
        let is_call = &*self.queued.event.kind == names::CALL;
        match member.when {
            When::Always => true,
            When::Call => is_call,
            When::NoCall => !is_call,
            When::Has(key) => self.data().has(key),
            When::CallOrHas(key) => is_call || self.data().has(key),
        }
    }

    fn write(&self, layout: &[Member], out: &mut Writer<'_>) {
        let event = &self.queued.event;
        for member in layout.iter().filter(|member| self.has(member)) {
            let key = member.key;
            match member.value {
                Value::Id => out.shown(key, &event.id),
                Value::Kind => out.text(key, Some(&event.kind)),
                Value::Name(guide) => out.text(key, Some(guide.name(&event.kind, self.data()))),
                Value::Time => out.shown(key, &event.time),
                Value::Sequence => out.number(key, self.queued.sequence.0),
                Value::SequenceText => out.shown(key, &self.queued.sequence),
                Value::Source => out.text(key, Some(&source(&event.node))),
                Value::Literal(text) => out.text(key, Some(text)),
                Value::Nothing => out.raw(key, "null"),
                Value::CallStatus => out.text(key, Some(names::call_status(self.data()))),
                Value::Data(name) => out.raw(key, self.data().raw(name)),
                Value::DataOrId(name) if self.data().has(name) => {
                    out.raw(key, self.data().raw(name));
                }
                Value::DataOrId(_) => out.shown(key, &event.id),
                Value::Object(inner) => out.object(key, |out| self.write(inner, out)),
                Value::Whole => out.bytes(key, &event.data),
                Value::WholeAfter(inner) => out.object(key, |out| {
                    self.write(inner, out);
                    self.write_after(inner, out);
                }),
                Value::Rest(taken) => {
                    let own = layout.iter().filter(|member| self.has(member));
                    let own: Vec<&str> = own.map(|member| member.key).collect();
                    out.rest(self.data(), taken, &own);
                }
            }
        }
    }

    /// The data's members behind those of `layout`: copied where none of them can have a key that
    /// is there already, which is so for every format that comes with the agent.
    fn write_after(&self, layout: &[Member], out: &mut Writer<'_>) {
        let data = &self.queued.event.data;
        if may_have_one(data, layout) {
            let own: Vec<&str> = layout.iter().map(|member| member.key).collect();
            out.rest(self.data(), &[], &own);
        } else if let Some(members) = data.strip_prefix(b"{")
            && members != b"}"
        {
            out.members(members.strip_suffix(b"}").unwrap_or(members));
        }
    }
}

/// Whether `data`, which is compact JSON, may have a member called as one of `layout`, in any case:
/// false only where it has none.
fn may_have_one(data: &[u8], layout: &[Member]) -> bool {
    // A key ends in a quote and a colon; there are far fewer of these than of quotes.
    memchr::memchr_iter(b':', data).any(|at| {
        let quote = at.checked_sub(1);
        let Some(end) = quote.filter(|end| data.get(*end) == Some(&b'"')) else {
            return false;
        };
        let begun = data.get(..end).unwrap_or_default();
        layout.iter().any(|member| {
            let key = member.key.as_bytes();
            let before = begun.len().checked_sub(key.len() + 1);
            before.is_some_and(|before| {
                begun.get(before) == Some(&b'"')
                    && begun
                        .get(before + 1..)
                        .unwrap_or_default()
                        .eq_ignore_ascii_case(key)
            })
        })
    })
}

/// The node as a URI reference: what no path segment may hold is percent-encoded.
fn source(node: &str) -> String {
    let mut source = String::from(SOURCE_PREFIX);
    for byte in node.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            source.push(char::from(byte));
        } else {
            let _infallible = write!(source, "%{byte:02X}");
        }
    }
    source
}

/// What every node's URI reference begins with.
pub(super) const SOURCE_PREFIX: &str = "/switchhook/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_any_name_is_a_uri_reference() {
        assert_eq!(source("vos 1/é"), "/switchhook/vos%201%2F%C3%A9");
    }

    #[test]
    fn a_key_that_is_there_is_always_noticed() {
        let may_have = |data: &str| {
            let layout = [sequence("sequence"), id("id")];
            may_have_one(data.as_bytes(), &layout)
        };
        for data in [
            r#"{"a":1,"ID":2}"#,
            r#"{"id":2}"#,
            r#"{"Sequence":2,"b":"x:y"}"#,
            r#"{"a\":1,"id":2}"#,
        ] {
            assert!(may_have(data), "{data}");
        }
        for data in [
            r#"{"call_id":"ids","identity":1,"at":"10:20:30"}"#,
            r#"{"i"#,
            r#":":id":"#,
            r#"id":1"#,
            "{}",
        ] {
            assert!(!may_have(data), "{data}");
        }
    }
}

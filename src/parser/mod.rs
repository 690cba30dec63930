//! Parser: bytes of complete lines → one [`Record`], or the reason why not.
//!
//! A format is data: a [`format::Format`] says which columns there are, of what type, and what
//! each means for an event. A preset is such a description shipped with the agent; an operator can
//! write the same in the configuration. There is one reader per *family* of formats.

pub mod format;

//! Schema: JSON Schema (2020-12) of every body, from the tables that bodies are written by.

use super::fields::{Field as OwnField, FieldMap};
use super::layout::{Member, SOURCE_PREFIX, Value, When};
use super::members::rest_of;
use super::names;
use super::tree::{Node, Tree};
use super::{Body, Profile, Redaction};
use crate::event::shape::{self, Field, Holds, RAW_BASE64, Shape};
use crate::parser::record::INTEGER_MAX;

/// What an instant looks like, in every body.
const TIME_PATTERN: &str =
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?Z$";

/// What an event's id looks like.
const ID_PATTERN: &str = "^evt_[0-9a-f]{32}$";

/// What an amount looks like: digits as the switch wrote them, Java's `1.0E-4` included.
const AMOUNT_PATTERN: &str = "^[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?$";

/// The types of events that have a schema, each once.
pub fn kinds() -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for shape in shape::all() {
        if !kinds.iter().any(|kind| *kind == shape.kind) {
            kinds.push(shape.kind.into_owned());
        }
    }
    kinds
}

/// The JSON Schema of the bodies of `profile` for events of type `kind`, or of all types that have
/// one; `None` where `kind` has none.
///
/// The keys stand in the order in which bodies have them.
pub fn schema(profile: Profile, kind: Option<&str>) -> Option<String> {
    schema_of(&Body::Of(profile), shape::all(), kind)
}

/// The same of any body, for events of these shapes.
pub fn schema_of(body: &Body, mut shapes: Vec<Shape>, kind: Option<&str>) -> Option<String> {
    shapes.retain(|shape| kind.is_none_or(|kind| shape.kind == kind));
    if shapes.is_empty() {
        return None;
    }
    let of = kind.map_or_else(|| "events".to_string(), |kind| format!("{kind} events"));
    let whose = match body {
        Body::Of(profile) => format!("profile {}", profile.name()),
        Body::Fields(_) => "fields of the endpoint's own".to_string(),
    };
    let mut ways: Vec<Tree> = shapes.iter().map(|shape| way(body, shape)).collect();
    ways.dedup_by(|a, b| a.without("title") == b.without("title"));
    let head = Tree::default()
        .with("$schema", "https://json-schema.org/draft/2020-12/schema")
        .with("title", format!("Bodies of {of}, {whose}").as_str());
    let tree = match <[Tree; 1]>::try_from(ways) {
        Ok([only]) => head.followed_by(only.without("title")),
        Err(ways) => {
            let ways: Vec<Node> = ways.into_iter().map(Node::from).collect();
            head.with("anyOf", ways)
        }
    };
    Some(tree.print())
}

/// `shape` as an endpoint is told it that some of it is hidden from.
pub fn redacted(mut shape: Shape, redaction: &Redaction) -> Shape {
    let is_in = |list: &[Box<str>], field: &Field<String>| list.iter().any(|it| **it == field.key);
    if redaction.masked().is_empty() && redaction.omitted().is_empty() {
        return shape;
    }
    // The row's own bytes would tell what is hidden.
    shape
        .fields
        .retain(|field| !is_in(redaction.omitted(), field) && field.key != RAW_BASE64.key);
    let hidden = redaction.masked().iter().chain(redaction.omitted());
    if hidden.into_iter().any(|field| **field == *"state") {
        shape.state = None;
    }
    for field in &mut shape.fields {
        if is_in(redaction.masked(), field) {
            field.is_nullable = true;
            if matches!(field.holds, Holds::Word(_) | Holds::Amount | Holds::Time) {
                field.holds = Holds::Text;
            }
        }
    }
    shape
}

/// The body of an event of `shape`.
fn way(body: &Body, shape: &Shape) -> Tree {
    let mut object = ObjectSchema::default();
    match body {
        Body::Of(profile) => members(profile.layout(), shape, &mut object),
        Body::Fields(fields) => {
            for (key, value) in fields.members(shape) {
                object.add(key, value, true);
            }
        }
    }
    let title = format!("{}: {}", shape.kind, shape.of);
    Tree::default()
        .with("title", title.as_str())
        .followed_by(object.finish())
}

impl FieldMap {
    /// What stands under each of its keys, of events of `shape`.
    fn members(&self, shape: &Shape) -> Vec<(&str, Tree)> {
        let of = |field: &OwnField| match field {
            OwnField::Data(name) => data(shape, name, ""),
            OwnField::Literal(literal) => text("").with("const", literal.as_str()),
            OwnField::Id => text(ID_SAYS).with("pattern", ID_PATTERN),
            OwnField::Kind => text("").with("const", &*shape.kind),
            OwnField::Time => time(text("When it happened; not when it was sent.")),
            OwnField::Sequence => typed("integer", "").with("minimum", 0),
            OwnField::Node => text("The node's name."),
        };
        self.fields().map(|(key, field)| (key, of(field))).collect()
    }
}

/// What an event's id is, for people.
const ID_SAYS: &str = "The event's lasting id: the same in every repeat.";

/// Adds the members that an event of `shape` has in `layout`.
fn members(layout: &[Member], shape: &Shape, object: &mut ObjectSchema) {
    for member in layout {
        let Some(is_required) = presence(member.when, shape) else {
            continue;
        };
        let key = member.key;
        let mut add = |json: Tree| object.add(key, json, is_required);
        let about = member.about;
        match member.value {
            Value::Id => add(text(about).with("pattern", ID_PATTERN)),
            Value::Kind => add(text(about).with("const", &*shape.kind)),
            Value::Name(guide) => {
                let states = shape.states();
                let names = guide.all(&shape.kind, states.as_deref());
                add(one_of(text(about), &names));
            }
            Value::Time => add(time(text(about))),
            Value::Sequence => add(typed("integer", about).with("minimum", 0)),
            Value::SequenceText => add(text(about).with("pattern", "^[0-9]+$")),
            Value::Source => {
                let pattern = format!("^{SOURCE_PREFIX}[A-Za-z0-9._~%-]*$");
                add(text(about)
                    .with("format", "uri-reference")
                    .with("pattern", pattern.as_str()));
            }
            Value::Literal(literal) => add(text(about).with("const", literal)),
            Value::Nothing => add(typed("null", about)),
            Value::CallStatus => add(one_of(text(about), &names::CALL_STATUSES)),
            Value::Data(name) => add(data(shape, name, about)),
            Value::DataOrId(name) => match shape.field(name) {
                Some(field) => add(described(field)),
                None if shape.is_open => add(text(about)),
                None => add(text(about).with("pattern", ID_PATTERN)),
            },
            Value::Object(inner) => {
                let mut own = ObjectSchema::default();
                members(inner, shape, &mut own);
                add(said(about, own.finish()));
            }
            Value::Whole => {
                let mut own = ObjectSchema::default();
                rest(shape, &[], &mut own);
                add(said(about, own.finish()));
            }
            Value::WholeAfter(inner) => {
                let mut own = ObjectSchema::default();
                members(inner, shape, &mut own);
                rest(shape, &[], &mut own);
                add(said(about, own.finish()));
            }
            Value::Rest(taken) => rest(shape, taken, object),
        }
    }
}

/// Whether an event of `shape` has a member at all, and whether always.
fn presence(when: When, shape: &Shape) -> Option<bool> {
    let is_call = shape.kind == names::CALL;
    let has = |key: &str| match shape.field(key) {
        Some(field) => Some(!field.is_optional),
        None => shape.is_open.then_some(false),
    };
    match when {
        When::Always => Some(true),
        When::Call => is_call.then_some(true),
        When::NoCall => (!is_call).then_some(true),
        When::Has(key) => has(key),
        When::CallOrHas(_) if is_call => Some(true),
        When::CallOrHas(key) => has(key),
    }
}

/// The data's members that no other one has taken.
fn rest(shape: &Shape, taken: &[&str], object: &mut ObjectSchema) {
    let own: Vec<String> = object.keys();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let keys = shape.fields.iter().map(|field| field.key.as_str());
    for key in rest_of(keys, taken, &own) {
        if let Some(field) = shape.field(key) {
            let json = match &shape.state {
                Some(state) if key == "state" => text(field.about).with("const", state.as_str()),
                _ => described(field),
            };
            object.add(key, json, !field.is_optional);
        }
    }
    object.is_open = shape.is_open;
}

/// What stands under a key that repeats the data's member `name`.
fn data(shape: &Shape, name: &str, about: &str) -> Tree {
    match shape.field(name) {
        Some(field) if about.is_empty() => described(&Field {
            // Where the data has no such member, null stands in its place.
            is_nullable: field.is_nullable || field.is_optional,
            ..field.clone()
        }),
        Some(field) => said(about, described(field).without("description")),
        None if shape.is_open => Tree::default().with("type", ["string", "null"].as_slice()),
        None => typed("null", "These events do not tell it."),
    }
}

fn described(field: &Field<String>) -> Tree {
    let name = match field.holds {
        Holds::Text | Holds::Level | Holds::Word(_) | Holds::Amount | Holds::Time => "string",
        Holds::Whole => "integer",
        Holds::Truth => "boolean",
        Holds::Texts => "array",
        Holds::Columns => "object",
    };
    let json = match field.is_nullable {
        true => Tree::default().with("type", [name, "null"].as_slice()),
        false => Tree::default().with("type", name),
    };
    let json = said(field.about, json);
    match field.holds {
        Holds::Text | Holds::Level | Holds::Truth => json,
        Holds::Amount => json.with("pattern", AMOUNT_PATTERN),
        Holds::Time => time(json),
        Holds::Whole => json
            .with("minimum", -INTEGER_MAX)
            .with("maximum", INTEGER_MAX),
        Holds::Word(words) if field.is_nullable => {
            let words = words
                .iter()
                .map(|word| Node::from(*word))
                .chain([Node::Null]);
            json.with("enum", words.collect::<Vec<_>>())
        }
        Holds::Word(words) => one_of(json, words),
        Holds::Texts => json.with("items", typed("string", "")),
        Holds::Columns => {
            let any = Tree::default().with("type", ["string", "integer", "null"].as_slice());
            json.with("additionalProperties", any)
        }
    }
}

fn text(about: &str) -> Tree {
    typed("string", about)
}

fn typed(name: &str, about: &str) -> Tree {
    said(about, Tree::default().with("type", name))
}

/// `json` with what it says, for people.
fn said(about: &str, json: Tree) -> Tree {
    match about {
        "" => json,
        about => Tree::default().with("description", about).followed_by(json),
    }
}

fn one_of(json: Tree, words: &[&str]) -> Tree {
    match words {
        [only] => json.with("const", *only),
        words => json.with("enum", words),
    }
}

fn time(json: Tree) -> Tree {
    json.with("format", "date-time")
        .with("pattern", TIME_PATTERN)
}

/// The schema of an object under construction.
#[derive(Default)]
struct ObjectSchema {
    properties: Tree,
    required: Vec<String>,
    is_open: bool,
}

impl ObjectSchema {
    fn add(&mut self, key: &str, json: Tree, is_required: bool) {
        self.properties.put(key, json);
        if is_required {
            self.required.push(key.to_string());
        }
    }

    fn keys(&self) -> Vec<String> {
        self.properties.keys().map(str::to_string).collect()
    }

    fn finish(self) -> Tree {
        let required: Vec<&str> = self.required.iter().map(String::as_str).collect();
        let others = match self.is_open {
            true => Node::from(
                Tree::default().with("type", ["string", "integer", "boolean", "null"].as_slice()),
            ),
            false => Node::from(false),
        };
        Tree::default()
            .with("type", "object")
            .with("required", required.as_slice())
            .with("properties", self.properties)
            .with("additionalProperties", others)
    }
}

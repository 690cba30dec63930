//! Tree: JSON whose keys stay in their order, printed for people.

use std::fmt::Write as _;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Null,
    Truth(bool),
    Whole(i64),
    Text(String),
    List(Vec<Node>),
    Object(Tree),
}

/// A JSON object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tree(Vec<(String, Node)>);

impl Tree {
    /// Adds a member.
    pub(super) fn put(&mut self, key: &str, value: impl Into<Node>) {
        self.0.push((key.to_string(), value.into()));
    }

    /// The same with one member more.
    pub(super) fn with(mut self, key: &str, value: impl Into<Node>) -> Tree {
        self.put(key, value);
        self
    }

    /// The same with the members of another one behind.
    pub(super) fn followed_by(mut self, other: Tree) -> Tree {
        self.0.extend(other.0);
        self
    }

    /// The same without one member.
    pub(super) fn without(&self, key: &str) -> Tree {
        let others = self.0.iter().filter(|(other, _)| other != key);
        Tree(others.cloned().collect())
    }

    /// The keys, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The text, each member on a line of its own.
    pub(super) fn print(self) -> String {
        let mut text = String::new();
        Node::Object(self).write(0, &mut text);
        text.push('\n');
        text
    }
}

impl Node {
    fn write(&self, depth: usize, out: &mut String) {
        let inner = depth + 1;
        match self {
            Node::Null => out.push_str("null"),
            Node::Truth(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Node::Whole(number) => {
                let _infallible = write!(out, "{number}");
            }
            Node::Text(text) => out.push_str(&quoted(text)),
            Node::List(items) if items.iter().all(Node::is_short) => {
                out.push('[');
                for (number, item) in items.iter().enumerate() {
                    out.push_str(if number > 0 { ", " } else { "" });
                    item.write(inner, out);
                }
                out.push(']');
            }
            Node::List(items) => {
                let items = items.iter().map(|item| (String::new(), item));
                write_lines(['[', ']'], items, depth, out);
            }
            Node::Object(tree) => {
                let members = tree.0.iter();
                let members = members.map(|(key, value)| (format!("{}: ", quoted(key)), value));
                write_lines(['{', '}'], members, depth, out);
            }
        }
    }

    fn is_short(&self) -> bool {
        !matches!(self, Node::List(_) | Node::Object(_))
    }
}

fn write_lines<'n>(
    [open, close]: [char; 2],
    lines: impl Iterator<Item = (String, &'n Node)>,
    depth: usize,
    out: &mut String,
) {
    out.push(open);
    let mut is_empty = true;
    for (before, node) in lines {
        out.push_str(if is_empty { "\n" } else { ",\n" });
        is_empty = false;
        out.push_str(&"  ".repeat(depth + 1));
        out.push_str(&before);
        node.write(depth + 1, out);
    }
    if !is_empty {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(close);
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl From<bool> for Node {
    fn from(truth: bool) -> Node {
        Node::Truth(truth)
    }
}

impl From<i64> for Node {
    fn from(number: i64) -> Node {
        Node::Whole(number)
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Node {
        Node::Text(text.to_string())
    }
}

impl From<Vec<Node>> for Node {
    fn from(items: Vec<Node>) -> Node {
        Node::List(items)
    }
}

impl From<&[&str]> for Node {
    fn from(texts: &[&str]) -> Node {
        Node::List(texts.iter().map(|text| Node::from(*text)).collect())
    }
}

impl From<Tree> for Node {
    fn from(tree: Tree) -> Node {
        Node::Object(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_printed_in_its_order_and_is_json() {
        let tree = Tree::default()
            .with("z", "a\"b")
            .with("a", ["x", "y"].as_slice())
            .with("n", -7)
            .with("o", Tree::default().with("t", true))
            .with("l", vec![Node::Object(Tree::default()), Node::Null]);
        let keys: Vec<&str> = tree.keys().collect();
        assert_eq!(keys, ["z", "a", "n", "o", "l"]);
        let text = tree.print();
        assert!(
            text.starts_with("{\n  \"z\": \"a\\\"b\",\n  \"a\": [\"x\", \"y\"],\n"),
            "{text}"
        );
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            parsed.to_string(),
            r#"{"a":["x","y"],"l":[{},null],"n":-7,"o":{"t":true},"z":"a\"b"}"#
        );
    }
}

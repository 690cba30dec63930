//! How the rows of an unknown file come apart: by delimiters, as JSON, or as pairs.

use super::super::delimited::{Split, Splitter, is_preamble};
use super::super::json::Tree;
use super::super::key_value::Pairing;
use super::super::reader::{Dialect, Pairs, Reader};
use super::super::record::Fields;
use std::collections::BTreeMap;

/// Delimiters that are tried, the likelier first.
const DELIMITERS: [u8; 6] = *b",;\t|^~";

/// Fewest columns of rows that are taken for rows of values.
const COLUMNS_MIN: usize = 3;

/// Most columns of rows that are taken for rows of values.
const COLUMNS_MAX: usize = 512;

/// Rows taken apart: how, the names where rows have some, and the fields of each.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) reader: Reader,
    /// Names of the columns, where every row has names.
    pub(super) names: Option<Vec<String>>,
    pub(super) rows: Vec<Vec<String>>,
    /// Rows that came apart otherwise.
    pub(super) others: usize,
    /// The first line is no row: a sentence, or names of other columns than the rows have.
    pub(super) is_titled: bool,
}

/// Whether `fields`, of a first line that comes apart otherwise than the rows, are words alone: what is
/// left of a row has digits.
fn is_title(fields: &[String]) -> bool {
    let is_sentence = |text: &str| {
        text.starts_with(|first: char| first.is_alphabetic()) && text.split_whitespace().count() > 1
    };
    let is_name = |text: &String| {
        text.is_empty() || (text.contains(char::is_alphabetic) && !text.contains(char::is_numeric))
    };
    match fields {
        [only] => is_sentence(only),
        names => {
            names.iter().all(is_name)
                && names.iter().filter(|name| !name.is_empty()).count() * 2 > names.len()
        }
    }
}

/// How `lines` come apart, where most of them do in one way.
pub(super) fn of(lines: &[&str]) -> Option<Shape> {
    json(lines).or_else(|| {
        let pairs = pairs(lines);
        let delimited = delimited(lines);
        match (pairs, delimited) {
            (Some(pairs), Some(delimited)) if delimited.rows.len() > pairs.rows.len() => {
                Some(delimited)
            }
            (pairs, delimited) => pairs.or(delimited),
        }
    })
}

/// Most of the rows: more than half of all.
fn is_most(part: usize, all: usize) -> bool {
    part * 2 > all
}

fn json(lines: &[&str]) -> Option<Shape> {
    let objects: Vec<BTreeMap<String, serde_json::Value>> = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    if !is_most(objects.len(), lines.len()) || objects.iter().all(BTreeMap::is_empty) {
        return None;
    }
    let mut names = Vec::new();
    for object in &objects {
        for (key, value) in object {
            paths(key, value, DEPTH_MAX, &mut names);
        }
        dedup(&mut names);
    }
    let rows = lines
        .iter()
        .filter_map(|line| Tree::read(line).ok())
        .map(|mut tree| {
            let text = |name: &String| tree.find(name).unwrap_or_default().into_owned();
            names.iter().map(text).collect()
        });
    let rows: Vec<Vec<String>> = rows.collect();
    let others = lines.len() - rows.len();
    let reader = Reader::JsonLines;
    Some(Shape {
        reader,
        names: Some(names),
        rows,
        others,
        is_titled: false,
    })
}

/// Most objects inside each other that are gone through: what is deeper is one value.
const DEPTH_MAX: usize = 4;

/// Adds the paths of the values in `value`, which stands at `path`, to `names`.
fn paths(path: &str, value: &serde_json::Value, depth: usize, names: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(inner) if depth > 0 => {
            for (key, value) in inner {
                paths(&format!("{path}.{key}"), value, depth - 1, names);
            }
        }
        _ => names.push(path.to_string()),
    }
}

/// Keeps the first of names that are equal but for their case, as a format wants it, and no more than
/// fit one.
fn dedup(names: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.to_ascii_lowercase()));
    names.truncate(COLUMNS_MAX);
}

fn pairs(lines: &[&str]) -> Option<Shape> {
    let tried = [b';', b',', b'|', b'\t', b'&', b' ']
        .into_iter()
        .filter_map(|delimiter| {
            let pairs = Pairs {
                delimiter,
                assign: b'=',
                quote: Some(b'"'),
            };
            let mut names: Vec<String> = Vec::new();
            let named: Vec<&&str> = lines
                .iter()
                .filter(|line| {
                    let pieces: Vec<&str> = line.split(char::from(delimiter)).collect();
                    let names = pieces.iter().filter_map(|piece| name_of(piece)).count();
                    names >= COLUMNS_MIN
                        && is_most(
                            names,
                            pieces
                                .iter()
                                .filter(|piece| !piece.trim().is_empty())
                                .count(),
                        )
                })
                .collect();
            if !is_most(named.len(), lines.len()) {
                return None;
            }
            for line in &named {
                let pieces = line.split(char::from(delimiter));
                names.extend(pieces.filter_map(name_of).map(str::to_string));
                dedup(&mut names);
            }
            let mut pairing = Pairing::new(pairs);
            let mut rows = Vec::new();
            for line in named {
                if pairing.split(line).is_ok() {
                    let text =
                        |name: &String| pairing.find(line, name).unwrap_or_default().to_string();
                    rows.push(names.iter().map(text).collect());
                }
            }
            let others = lines.len() - rows.len();
            Some(Shape {
                reader: Reader::KeyValue(pairs),
                names: Some(names),
                rows,
                others,
                is_titled: false,
            })
        });
    tried.max_by_key(|shape| (shape.rows.len(), shape.names.as_ref().map_or(0, Vec::len)))
}

/// The name in a piece like `name=value`.
fn name_of(piece: &str) -> Option<&str> {
    let (name, _) = piece.split_once('=')?;
    let name = name.trim();
    let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    (!name.is_empty() && name.len() <= 40 && name.chars().all(plain)).then_some(name)
}

fn delimited(lines: &[&str]) -> Option<Shape> {
    let has = |quote: char| lines.iter().any(|line| line.contains(quote));
    let begins = lines.iter().filter(|line| line.starts_with('\'')).count();
    let mut best: Option<(usize, Shape)> = None;
    for delimiter in DELIMITERS {
        let plain = Dialect {
            delimiter,
            quote: None,
            lenient: false,
            escape: None,
        };
        // Where nothing is quoted yet, a comma is quoted once it is part of a value.
        let double = (has('"') || delimiter == b',').then_some(b'"');
        let single = is_most(begins, lines.len()).then_some(b'\'');
        let quoted = |quote: Option<u8>| quote.map(|_| Dialect { quote, ..plain });
        let lenient = quoted(double).map(|dialect| Dialect {
            lenient: true,
            ..dialect
        });
        // The strict and the lenient reading of the same quotes are compared by what they read.
        let quotings = [
            [quoted(single), None],
            [quoted(double), lenient],
            [Some(plain), None],
        ];
        for dialects in quotings {
            let mut is_read = false;
            for dialect in dialects.into_iter().flatten() {
                let Some(shape) = split(lines, dialect) else {
                    continue;
                };
                let columns = shape.rows.first().map_or(0, Vec::len);
                // Every field of every row speaks for a delimiter, a row that does not fit against it.
                let score = (shape.rows.len() * columns).saturating_sub(shape.others * columns);
                is_read |= shape.others * 10 <= lines.len();
                let is_whole = shape.others == 0;
                if best.as_ref().is_none_or(|(best, _)| score > *best) {
                    best = Some((score, shape));
                }
                if is_whole {
                    break;
                }
            }
            // What is read with its quotes in nearly every row is not to be read without them.
            if is_read {
                break;
            }
        }
    }
    best.map(|(_, shape)| shape)
}

/// The rows that have as many fields as most.
fn split(lines: &[&str], dialect: Dialect) -> Option<Shape> {
    let mut splitter = Splitter::new(dialect);
    let mut fields = Fields::default();
    let mut take = |line: &&str| {
        let strict = splitter.split_strictly(line, &mut fields) == Split::Whole;
        let whole = strict || (dialect.lenient && splitter.split_by_quotes(line, &mut fields));
        (whole && !is_preamble(&fields)).then(|| {
            (0..fields.count())
                .map(|index| fields.get(index).to_string())
                .collect()
        })
    };
    let rows: Vec<Vec<String>> = lines.iter().filter_map(&mut take).collect();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    rows.iter()
        .for_each(|row| *counts.entry(row.len()).or_default() += 1);
    let (columns, _) = counts
        .into_iter()
        .max_by_key(|(columns, rows)| (*rows, *columns))?;
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .filter(|row| row.len() == columns)
        .collect();
    let fits = (COLUMNS_MIN..=COLUMNS_MAX).contains(&columns) && is_most(rows.len(), lines.len());
    let others = lines.len() - rows.len();
    let first = lines.first().and_then(&mut take);
    let is_titled = first.is_some_and(|first| first.len() != columns && is_title(&first));
    let reader = Reader::Delimited(dialect);
    fits.then_some(Shape {
        reader,
        names: None,
        rows,
        others,
        is_titled,
    })
}

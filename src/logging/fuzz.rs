//! A door for the fuzz targets: what a text from anywhere can do to a line's fields.

use super::fields::{FIELDS_BYTES_MAX, structured as of};

/// The fields of a line: one element that nothing in it ends early.
pub fn structured(text: &str) {
    let element = of(text);
    assert!(element.len() <= FIELDS_BYTES_MAX);
    let mut is_quoted = false;
    let mut characters = element.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if is_quoted => drop(characters.next()),
            '"' => is_quoted = !is_quoted,
            ']' => assert!(!is_quoted && characters.as_str().is_empty(), "{element}"),
            _ => {}
        }
    }
    assert!(!is_quoted);
}

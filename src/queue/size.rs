//! Size: bytes as an operator reads them.

use std::fmt;

/// So many bytes, in at most nine characters: `512 MiB`, `1.5 KiB`. Rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"];
        let (mut value, mut unit) = (self.0, 0);
        let mut tenth = 0;
        while value >= 1_024 && unit + 1 < units.len() {
            tenth = value % 1_024 * 10 / 1_024;
            value /= 1_024;
            unit += 1;
        }
        let name = units.get(unit).unwrap_or(&"B");
        if unit == 0 || value >= 100 {
            write!(f, "{value} {name}")
        } else {
            write!(f, "{value}.{tenth} {name}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let sizes = [(0, "0 B"), (1_536, "1.5 KiB"), (512 << 20, "512 MiB")];
        for (bytes, expected) in sizes {
            assert_eq!(Size(bytes).to_string(), expected);
        }
    }
}

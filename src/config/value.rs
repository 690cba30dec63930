//! Durations and sizes as an operator writes them: a number with its unit.

use std::time::Duration;

/// Units of time, longest name first where one ends in another.
const TIME_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Units of size. `KB`, `MB` and `GB` are refused: half of all readers take them for 1000.
const SIZE_UNITS: [(&str, u64); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

/// Reads a time with its unit: `"30s"`, `"250ms"`, `"5m"`, `"1h"`, `"30d"`.
///
/// # Errors
///
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let millis = amount(text, &TIME_UNITS).ok_or_else(|| {
        if is_bare_number(text) {
            format!(
                "write \"{0}s\" for seconds or \"{0}ms\" for milliseconds",
                text.trim()
            )
        } else {
            "write a whole number with its unit: ms, s, m, h or d, like \"30s\"".to_string()
        }
    })?;
    Ok(Duration::from_millis(millis))
}

/// Reads a size with its unit: `"64KiB"`, `"512MiB"`, `"1GiB"`; in bytes.
///
/// # Errors
///
/// What to write instead.
pub fn bytes(text: &str) -> Result<u64, String> {
    amount(text, &SIZE_UNITS).ok_or_else(|| {
        if is_bare_number(text) {
            format!(
                "write \"{0}MiB\" for mebibytes or \"{0}B\" for bytes",
                text.trim()
            )
        } else {
            "write a whole number with its unit: B, KiB, MiB or GiB, like \"512MiB\"".to_string()
        }
    })
}

/// Prints a time as [`duration`] reads it, in the largest unit that leaves a whole number.
pub fn show_duration(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    show(millis, &TIME_UNITS, "s")
}

/// Prints a size as [`bytes`] reads it, in the largest unit that leaves a whole number.
pub fn show_bytes(size: u64) -> String {
    show(size, &SIZE_UNITS, "B")
}

fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let (unit, size) = units.iter().find(|(unit, _)| {
        text.strip_suffix(unit)
            .is_some_and(|number| number.trim_end().ends_with(|c: char| c.is_ascii_digit()))
    })?;
    let number = text.strip_suffix(unit)?.trim_end();
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(*size)
}

fn show(amount: u64, units: &[(&str, u64)], zero: &str) -> String {
    let largest = units
        .iter()
        .filter(|(_, size)| amount >= *size && amount.is_multiple_of(*size))
        .max_by_key(|(_, size)| *size);
    match largest {
        Some((unit, size)) => format!("{}{unit}", amount / size),
        None => format!("0{zero}"),
    }
}

fn is_bare_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_duration(text: &str, millis: u64) {
        let span = duration(text).unwrap();
        assert_eq!(span, Duration::from_millis(millis), "{text}");
        assert_eq!(duration(&show_duration(span)).unwrap(), span, "{text}");
    }

    #[track_caller]
    fn check_bytes(text: &str, expected: u64) {
        assert_eq!(bytes(text).unwrap(), expected, "{text}");
        assert_eq!(bytes(&show_bytes(expected)).unwrap(), expected, "{text}");
    }

    #[test]
    fn every_unit_is_read_and_printed_back() {
        check_duration("0s", 0);
        check_duration("250ms", 250);
        check_duration("30s", 30_000);
        check_duration("5 m", 300_000);
        check_duration("1h", 3_600_000);
        check_duration("30d", 2_592_000_000);
        check_bytes("0B", 0);
        check_bytes("64KiB", 65_536);
        check_bytes("512 MiB", 536_870_912);
        check_bytes("1GiB", 1_073_741_824);
    }

    #[test]
    fn a_bare_number_is_refused_with_the_two_likely_readings() {
        assert_eq!(
            duration("30").unwrap_err(),
            "write \"30s\" for seconds or \"30ms\" for milliseconds"
        );
        assert_eq!(
            bytes("64").unwrap_err(),
            "write \"64MiB\" for mebibytes or \"64B\" for bytes"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "s",
            "-5s",
            "1.5h",
            "5 minutes",
            "99999999999999999999s",
            "1d2h",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        for text in ["", "MiB", "1MB", "-1KiB", "99999999999GiB"] {
            assert!(bytes(text).is_err(), "{text:?}");
        }
    }
}

//! Amount: a decimal number as a switch writes money, compared and added exactly.

use crate::parser::record::is_amount;
use std::fmt;

/// Digits behind the point that are held: a Java double prints 17 at most.
const FRACTION_DIGITS: usize = 20;

/// Digits before the point that are held: more than there is money.
const WHOLE_DIGITS_MAX: usize = 17;

/// One, in the unit of an amount.
const ONE: i128 = 10_i128.pow(20);

/// A decimal number of at most 17 digits before and 20 behind the point; never binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Amount(i128);

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount(0);

    /// Reads digits with an optional sign, fraction and exponent; `None` for anything else, and
    /// for what has more digits than an amount holds.
    pub fn parse(text: &str) -> Option<Amount> {
        Amount::read(text, false)
    }

    /// The same, but what lies more than 20 digits behind the point is cut off: what is left over of
    /// sums in binary floating point, like `1.3877787807814457E-17`, is as good as nothing.
    pub fn parse_cut(text: &str) -> Option<Amount> {
        Amount::read(text, true)
    }

    fn read(text: &str, is_cut: bool) -> Option<Amount> {
        let text = text.trim();
        if !is_amount(text) {
            return None;
        }
        let negative = text.starts_with('-');
        let text = text.trim_start_matches(['+', '-']);
        let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let exponent: isize = exponent.parse().ok()?;
        let digits = format!("{whole}{fraction}");
        let point = isize::try_from(whole.len()).ok()?.checked_add(exponent)?;
        let trimmed = digits.trim_end_matches('0');
        let leading = digits.len() - digits.trim_start_matches('0').len();
        if trimmed.is_empty() || trimmed.len() <= leading {
            return Some(Amount::ZERO);
        }
        // The digit at `index` stands for 10^(point - 1 - index).
        let behind = isize::try_from(trimmed.len()).ok()?.checked_sub(point)?;
        let before = point.checked_sub(isize::try_from(leading).ok()?)?;
        let places = isize::try_from(FRACTION_DIGITS).ok()?.checked_sub(behind)?;
        if before > isize::try_from(WHOLE_DIGITS_MAX).ok()? || (places < 0 && !is_cut) {
            return None;
        }
        let held = trimmed.len().checked_add_signed(places.min(0));
        let held = held.and_then(|held| trimmed.get(..held));
        let Some(held) = held.filter(|held| !held.is_empty()) else {
            return Some(Amount::ZERO);
        };
        let digits: i128 = held.parse().ok()?;
        let scale = 10_i128.checked_pow(u32::try_from(places.max(0)).ok()?)?;
        let value = digits.checked_mul(scale)?;
        Some(Amount(if negative { -value } else { value }))
    }

    /// The sum; `None` where it is more than an amount holds.
    pub fn plus(self, other: Amount) -> Option<Amount> {
        self.0.checked_add(other.0).map(Amount)
    }

    /// `basis_points` hundredths of a percent of the amount's size, never below zero; what lies
    /// more than 16 digits behind the point is cut off.
    pub fn share(self, basis_points: u32) -> Amount {
        Amount((self.0.abs() / 10_000).saturating_mul(i128::from(basis_points)))
    }

    /// The whole number that it is; `None` where it has a fraction.
    pub fn to_whole(self) -> Option<i64> {
        (self.0 % ONE == 0).then(|| i64::try_from(self.0 / ONE).ok())?
    }

    /// A whole number.
    pub fn whole(number: i64) -> Option<Amount> {
        i128::from(number).checked_mul(ONE).map(Amount)
    }
}

/// Without needless zeros.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (size, one) = (self.0.unsigned_abs(), ONE.unsigned_abs());
        write!(f, "{sign}{}", size / one)?;
        let fraction = format!("{:020}", size % one);
        match fraction.trim_end_matches('0') {
            "" => Ok(()),
            digits => write!(f, ".{digits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let amount = Amount::parse(text).expect(text);
        assert_eq!(amount.to_string(), expected, "{text}");
    }

    #[test]
    fn what_a_switch_writes_is_read_exactly() {
        check("0", "0");
        check("0.000", "0");
        check("-0.0", "0");
        check("15.50", "15.5");
        check("-3.05", "-3.05");
        check("+1", "1");
        check("1.0E-4", "0.0001");
        check("2E2", "200");
        check("100", "100");
        check("0.30000000000000004", "0.30000000000000004");
        check("00000000000000000000000000012.5", "12.5");
        check(
            "99999999999999999.99999999999999999999",
            "99999999999999999.99999999999999999999",
        );
    }

    #[test]
    fn what_does_not_fit_is_no_amount() {
        for text in [
            "",
            "abc",
            "1e99",
            "1E-99",
            "100000000000000000",
            "0.000000000000000000001",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn digits_that_are_not_held_can_be_cut_off() {
        for (text, expected) in [
            ("-2.7755575615628914E-17", "-0.00000000000000002775"),
            ("1.2345678901234567E-5", "0.00001234567890123456"),
            ("0.000000000000000000001", "0"),
            ("1E-99", "0"),
            ("15.50", "15.5"),
        ] {
            let amount = Amount::parse_cut(text).map(|amount| amount.to_string());
            assert_eq!(amount.as_deref(), Some(expected), "{text}");
        }
        assert_eq!(Amount::parse_cut("1e99"), None);
    }

    #[test]
    fn a_tenth_of_a_threshold_is_exact() {
        let threshold = Amount::parse("20.05").unwrap();
        let rearmed = threshold.plus(threshold.share(1_000)).unwrap();
        assert_eq!(rearmed.to_string(), "22.055");
        assert_eq!(Amount::parse("-20").unwrap().share(1_000).to_string(), "2");
    }

    proptest! {
        #[test]
        fn amounts_compare_and_add_as_whole_numbers_do(a in -1_000_000_000_i64..1_000_000_000, b in -1_000_000_000_i64..1_000_000_000) {
            let money = |cents: i64| {
                let sign = if cents < 0 { "-" } else { "" };
                Amount::parse(&format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)).unwrap()
            };
            prop_assert_eq!(money(a).cmp(&money(b)), a.cmp(&b));
            prop_assert_eq!(money(a).plus(money(b)).unwrap(), money(a + b));
        }
    }
}

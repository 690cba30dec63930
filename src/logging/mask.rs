//! Telephone numbers as logs and screens may show them.

/// Shortens a telephone number to its last two digits: `+447700900123` becomes `…23`.
///
/// Two digits tell a call from its neighbours once its file and line are known, and tell nobody
/// who was called. A text of fewer than three digits becomes `…`: two digits would be all of it.
pub fn mask_number(number: &str) -> String {
    let mut digits = number.chars().rev().filter(char::is_ascii_digit);
    match (digits.next(), digits.next(), digits.next()) {
        (Some(last), Some(before_last), Some(_)) => format!("…{before_last}{last}"),
        _ => "…".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: &str, expected: &str) {
        assert_eq!(mask_number(number), expected, "{number:?}");
    }

    #[test]
    fn only_the_last_two_digits_of_a_number_are_shown() {
        check("+447700900123", "…23");
        check("7777#61491570006", "…06");
        check("sip:12025550142@gw", "…42");
        check("112", "…12");
    }

    #[test]
    fn a_text_of_two_digits_or_none_is_hidden_whole() {
        check("23", "…");
        check("anonymous", "…");
        check("", "…");
        check("٠١٢٣", "…");
    }
}

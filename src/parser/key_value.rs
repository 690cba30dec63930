//! The family of key and value: pairs on a line, behind a text that says what the line is.

use super::reader::Pairs;
use super::reject::Problem;
use std::ops::Range;

/// The column that holds the text behind which a line's pairs begin.
pub(super) const LEAD: &str = "lead";

/// Takes lines apart into pairs; its buffers are used again for every line.
#[derive(Debug)]
pub(super) struct Pairing {
    pairs: Pairs,
    /// Where in the line the names and values stand.
    found: Vec<(Range<usize>, Range<usize>)>,
}

impl Pairing {
    /// Takes apart pairs written as `pairs` says.
    pub(super) fn new(pairs: Pairs) -> Pairing {
        let found = Vec::new();
        Pairing { pairs, found }
    }

    /// Takes `text`, the pairs of one line, apart.
    ///
    /// A piece without a name goes on with the value before it: nothing is escaped in such lines,
    /// and a delimiter inside a value is the likelier reading.
    pub(super) fn split(&mut self, text: &str) -> Result<(), Problem> {
        self.found.clear();
        let mut at = 0;
        while at < text.len() {
            let rest = text.as_bytes().get(at..).unwrap_or_default();
            let end = match self.quoted(rest) {
                Some(Quoted::Ends(end)) => at + end,
                Some(Quoted::Open) => return Err(Problem::QuoteNotClosed),
                None => {
                    memchr::memchr(self.pairs.delimiter, rest).map_or(text.len(), |end| at + end)
                }
            };
            self.add(text, at..end);
            at = end + 1;
        }
        Ok(())
    }

    /// The value of the first pair called `name`: a later one may be part of a value that came from
    /// outside.
    pub(super) fn find<'t>(&self, text: &'t str, name: &str) -> Option<&'t str> {
        let named = |range: &Range<usize>| text.get(range.clone()) == Some(name);
        let (_, value) = self.found.iter().find(|(known, _)| named(known))?;
        let value = text.get(value.clone())?;
        let inside = self.pairs.quote.and_then(|quote| {
            let quote = char::from(quote);
            value.trim().strip_prefix(quote)?.strip_suffix(quote)
        });
        Some(inside.unwrap_or(value))
    }

    /// Where a piece ends whose value begins with a quote.
    fn quoted(&self, piece: &[u8]) -> Option<Quoted> {
        let quote = self.pairs.quote?;
        let assign = memchr::memchr2(self.pairs.assign, self.pairs.delimiter, piece)
            .filter(|at| piece.get(*at) == Some(&self.pairs.assign))?;
        if piece.get(assign + 1) != Some(&quote) {
            return None;
        }
        let begin = assign + 2;
        let inside = piece.get(begin..).unwrap_or_default();
        for end in memchr::memchr_iter(quote, inside) {
            match inside.get(end + 1) {
                None => return Some(Quoted::Ends(piece.len())),
                Some(next) if *next == self.pairs.delimiter => {
                    return Some(Quoted::Ends(begin + end + 1));
                }
                Some(_) => {}
            }
        }
        Some(Quoted::Open)
    }

    fn add(&mut self, text: &str, piece: Range<usize>) {
        let bytes = text.as_bytes().get(piece.clone()).unwrap_or_default();
        match memchr::memchr(self.pairs.assign, bytes) {
            Some(assign) => {
                let name = trimmed(text, piece.start..piece.start + assign);
                self.found.push((name, piece.start + assign + 1..piece.end));
            }
            None if bytes.trim_ascii().is_empty() => {}
            None => {
                if let Some((_, value)) = self.found.last_mut() {
                    value.end = piece.end;
                }
            }
        }
    }
}

/// How a piece with a quote goes on.
enum Quoted {
    Ends(usize),
    Open,
}

/// The first of `after` in `text`, the longest of those that begin there, and what stands behind
/// it; without any `after` the whole text.
pub(super) fn pairs_of<'t, 'a>(text: &'t str, after: &'a [String]) -> Option<(&'a str, &'t str)> {
    if after.is_empty() {
        return Some(("", text));
    }
    let found = after.iter().filter_map(|lead| {
        let at = text.find(lead.as_str())?;
        Some((at, lead))
    });
    let (at, lead) = found.min_by_key(|(at, lead)| (*at, usize::MAX - lead.len()))?;
    text.get(at + lead.len()..)
        .map(|pairs| (lead.as_str(), pairs))
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = text.get(range.clone()).unwrap_or_default();
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSLOG: Pairs = Pairs {
        delimiter: b';',
        assign: b'=',
        quote: None,
    };
    const LOGFMT: Pairs = Pairs {
        delimiter: b' ',
        assign: b'=',
        quote: Some(b'"'),
    };

    #[track_caller]
    fn check(pairs: Pairs, text: &str, name: &str, expected: Option<&str>) {
        let mut pairing = Pairing::new(pairs);
        pairing.split(text).unwrap();
        assert_eq!(pairing.find(text, name), expected, "{text}");
    }

    #[test]
    fn the_first_of_two_values_counts() {
        check(SYSLOG, "code=503;ua=evil;code=200", "code", Some("503"));
    }

    #[test]
    fn a_piece_without_a_name_belongs_to_the_value_before_it() {
        check(
            SYSLOG,
            "ua=x; compatible;user=7",
            "ua",
            Some("x; compatible"),
        );
        check(SYSLOG, "a=1;b=2; ", "b", Some("2"));
        check(SYSLOG, "nothing", "nothing", None);
    }

    #[test]
    fn a_value_may_be_quoted_where_the_format_says_so() {
        check(LOGFMT, "a=1 b=\"x y=2\" c=3", "b", Some("x y=2"));
        check(LOGFMT, "a=1 b=\"x y=2\" c=3", "c", Some("3"));
        check(LOGFMT, "a=1  c=", "c", Some(""));
        assert_eq!(
            Pairing::new(LOGFMT).split("a=\"x"),
            Err(Problem::QuoteNotClosed)
        );
    }

    #[test]
    fn the_pairs_begin_behind_the_earliest_and_longest_lead() {
        let after = ["ACC: ".to_string(), "ACC: call ended: ".to_string()];
        assert_eq!(
            pairs_of("x ACC: call ended: a=1", &after),
            Some(("ACC: call ended: ", "a=1"))
        );
        assert_eq!(pairs_of("last message repeated", &after), None);
    }
}

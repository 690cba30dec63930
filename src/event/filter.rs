//! Filter: which events are wanted, by the values in their `data`.

use super::amount::Amount;
use super::report::LEVELS;
use super::shape::Holds;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Most conditions of one filter.
pub const CONDITIONS_MAX: usize = 32;

/// Conditions that all have to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    conditions: Vec<(String, Vec<Test>)>,
    /// As it was written, in TOML.
    written: String,
}

/// One test of a value; of several for one key, one has to hold, and each that excludes a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// The same text, number or truth; without any text, that there is no value.
    Is(String),
    BeginsWith(String),
    /// None of the two above.
    Not(Box<Test>),
    Compare(Order, Amount),
    /// Two comparisons that both have to hold.
    Between(Box<[Test; 2]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

const ORDERS: [(&str, Order); 4] = [
    (">=", Order::MoreOrEqual),
    ("<=", Order::LessOrEqual),
    (">", Order::More),
    ("<", Order::Less),
];

impl Filter {
    /// Reads a table of conditions: a truth, a number, a text (`"x"`, `"x*"`, `"!=x"`, `"!=x*"`,
    /// `">=1"`), or a list of such of which one has to hold. Of `"!=x"` in a list each has to: it names
    /// what is not wanted. Two bounds behind each other that some number is between, `">=10", "<=20"`, have
    /// to hold together: by itself one or the other holds of every number.
    ///
    /// # Errors
    ///
    /// For each condition that has no meaning, its key and what to write.
    pub fn from_table(table: &toml::Table) -> Result<Filter, Vec<(String, String)>> {
        let (mut conditions, mut problems) = (Vec::new(), Vec::new());
        for (key, value) in flat(table) {
            let values = match value {
                toml::Value::Array(values) if values.is_empty() => {
                    let what = "the list is empty, so nothing would be kept; write like [486, 503]";
                    problems.push((key, what.to_owned()));
                    continue;
                }
                toml::Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            match values.iter().map(test).collect() {
                Ok(tests) => conditions.push((key, ranges(tests))),
                Err(what) => problems.push((key, what)),
            }
        }
        if conditions.len() > CONDITIONS_MAX {
            let what = format!("there are more than {CONDITIONS_MAX} conditions");
            problems.push((String::new(), what));
        }
        if problems.is_empty() {
            let written = toml::Value::from(table.clone()).to_string();
            Ok(Filter {
                conditions,
                written,
            })
        } else {
            Err(problems)
        }
    }

    /// Whether an event with this `data` is wanted.
    pub fn wants(&self, data: &[u8]) -> bool {
        if self.conditions.is_empty() {
            return true;
        }
        let Ok(data) = serde_json::from_slice::<Object<'_>>(data) else {
            return false;
        };
        self.conditions.iter().all(|(key, tests)| {
            let value = find(&data, key);
            let value = value.as_deref();
            let (excluding, others): (Vec<_>, Vec<_>) =
                tests.iter().partition(|test| matches!(test, Test::Not(_)));
            let is_one = others.is_empty() || others.iter().any(|test| test.holds(value));
            is_one && excluding.iter().all(|test| test.holds(value))
        })
    }

    /// The conditions as they were written, as TOML in one line; empty without any.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The conditions that ask for what can never stand under their keys, with what to write; `holds`
    /// gives what may stand under a key, nothing where that is not known.
    pub fn misfits<'h>(&self, holds: impl Fn(&str) -> &'h [Holds]) -> Vec<String> {
        let mut misfits = Vec::new();
        for (key, tests) in &self.conditions {
            let possible = holds(key);
            let Some(likely) = possible.first() else {
                continue;
            };
            let never = |test: &&Test| !possible.iter().any(|holds| test.fits(holds));
            if let Some(test) = tests.iter().find(never) {
                misfits.push(format!("{key}: {test} {}", likely.to_compare_with()));
            }
        }
        misfits
    }

    /// The keys it looks at.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().map(|(key, _)| key.as_str())
    }
}

/// The values by dotted key: `extra.lastapp = "Dial"` is a table in a table.
fn flat(table: &toml::Table) -> Vec<(String, &toml::Value)> {
    let mut values = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => values.extend(
                flat(inner)
                    .into_iter()
                    .map(|(inner, value)| (format!("{key}.{inner}"), value)),
            ),
            value => values.push((key.clone(), value)),
        }
    }
    values
}

type Object<'t> = BTreeMap<Cow<'t, str>, &'t RawValue>;

/// The value of `key`, which may be in an object: `extra.lastapp`. Nothing stands for `null` and for
/// a key that is not there.
fn find<'t>(data: &Object<'t>, key: &str) -> Option<Cow<'t, str>> {
    if let Some(value) = data.get(key) {
        return match value.get() {
            "null" => None,
            text if text.starts_with('"') => serde_json::from_str(text).ok().map(Cow::Owned),
            text => Some(Cow::Borrowed(text)),
        };
    }
    let (outer, inner) = key.split_once('.')?;
    let object: Object<'t> = serde_json::from_str(data.get(outer)?.get()).ok()?;
    find(&object, inner)
}

/// Bounds behind each other that there is something between, each pair as one test.
fn ranges(tests: Vec<Test>) -> Vec<Test> {
    let mut ranges: Vec<Test> = Vec::with_capacity(tests.len());
    for test in tests {
        match ranges.pop_if(|before| before.is_other_end_of(&test)) {
            Some(before) => ranges.push(Test::Between(Box::new([before, test]))),
            None => ranges.push(test),
        }
    }
    ranges
}

impl Test {
    /// Whether the two are the bounds of a range that is not empty.
    fn is_other_end_of(&self, other: &Test) -> bool {
        use Order::{Less, LessOrEqual, More, MoreOrEqual};
        let (Test::Compare(order, bound), Test::Compare(other_order, other_bound)) = (self, other)
        else {
            return false;
        };
        let (lower, upper) = match (order, other_order) {
            (More | MoreOrEqual, Less | LessOrEqual) => (bound, other_bound),
            (Less | LessOrEqual, More | MoreOrEqual) => (other_bound, bound),
            _ => return false,
        };
        let is_closed = |order: &Order| matches!(order, LessOrEqual | MoreOrEqual);
        lower < upper || (lower == upper && is_closed(order) && is_closed(other_order))
    }

    fn holds(&self, found: Option<&str>) -> bool {
        let compared = |text: &str| is_same(text, found.unwrap_or_default());
        match self {
            Test::Is(text) => compared(text),
            Test::Not(test) => !test.holds(found),
            Test::BeginsWith(text) => found.is_some_and(|found| found.starts_with(text)),
            Test::Between(both) => both.iter().all(|test| test.holds(found)),
            Test::Compare(order, bound) => {
                found
                    .and_then(Amount::parse)
                    .is_some_and(|found| match order {
                        Order::Less => found < *bound,
                        Order::LessOrEqual => found <= *bound,
                        Order::More => found > *bound,
                        Order::MoreOrEqual => found >= *bound,
                    })
            }
        }
    }
}

impl Test {
    /// Whether it can ever hold, or not hold, of what stands there.
    fn fits(&self, holds: &Holds) -> bool {
        match (self, holds) {
            (Test::Not(test), holds) => test.fits(holds),
            // What holds of a level's number does not of its word, which stands there instead.
            (Test::Is(_) | Test::Compare(..) | Test::Between(_), Holds::Level) => {
                !LEVELS.iter().any(|(number, _)| self.holds(Some(number)))
            }
            (Test::Between(both), holds) => both.iter().all(|test| test.fits(holds)),
            // Without any text: there is no value.
            (Test::Is(text), _) if text.is_empty() => true,
            (Test::Is(text), Holds::Truth) => matches!(text.as_str(), "true" | "false"),
            (Test::Is(text), Holds::Whole | Holds::Amount) => Amount::parse(text).is_some(),
            (Test::Is(text), Holds::Word(words)) => words.contains(&text.as_str()),
            (Test::Compare(..), Holds::Truth | Holds::Time | Holds::Word(_)) => false,
            _ => true,
        }
    }
}

/// As it was written.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Is(text) => write!(f, "{text:?}"),
            Test::BeginsWith(text) => write!(f, "\"{text}*\""),
            Test::Not(test) => write!(f, "not {test}"),
            Test::Between(both) => {
                let [one, other] = &**both;
                write!(f, "{one}, {other}")
            }
            Test::Compare(order, bound) => {
                let sign = ORDERS.iter().find(|(_, known)| known == order);
                write!(f, "\"{}{bound}\"", sign.map_or("", |(sign, _)| sign))
            }
        }
    }
}

impl Holds {
    /// What a condition on it is to be like.
    fn to_compare_with(self) -> String {
        let like = match self {
            Holds::Truth => "true or false",
            Holds::Whole | Holds::Amount => "5, \"0.5\" or \">=1\"",
            Holds::Time => "\"2026-04-10T*\"",
            Holds::Word(words) => return format!("is never there; write one of {words:?}"),
            Holds::Level => {
                let [words @ .., last] = LEVELS.map(|(_, word)| word);
                return format!(
                    "is never there, for 0 to 3 are told as {} and {last}; write like [\"major\", \"critical\"]",
                    words.join(", ")
                );
            }
            Holds::Text | Holds::Texts | Holds::Columns => "\"text\" or \"begin*\"",
        };
        format!("is never there; write like {like}")
    }
}

/// The same text, or the same number: `0.10` is `0.1`. What begins as no number is written, as
/// telephone numbers and names do, is text: `0112` is not `112`, and neither is `+112`.
fn is_same(wanted: &str, found: &str) -> bool {
    let number = |text: &str| {
        let digits = text.trim_start_matches('-').as_bytes();
        let is_plain = !matches!(digits, [b'+', ..] | [b'0', b'0'..=b'9', ..]);
        Amount::parse(text).filter(|_| is_plain)
    };
    wanted == found || number(wanted).is_some_and(|wanted| Some(wanted) == number(found))
}

fn test(value: &toml::Value) -> Result<Test, String> {
    const LIKE: &str = "write true, a number, a text, \"!=text\", \"begin*\", \"!=begin*\" or a comparison like \">=1\"";
    match value {
        toml::Value::Boolean(truth) => Ok(Test::Is(truth.to_string())),
        toml::Value::Integer(number) => Ok(Test::Is(number.to_string())),
        toml::Value::String(text) => {
            if let Some(text) = text.strip_prefix("!=") {
                return Ok(Test::Not(Box::new(named(text.trim()))));
            }
            // Signs of other languages, which as texts would be equal to nothing.
            if text.starts_with(['=', '!', '~', '^']) {
                return Err(format!("{text:?} begins like no comparison; {LIKE}"));
            }
            let order = ORDERS
                .iter()
                .find_map(|(sign, order)| Some((text.strip_prefix(sign)?, *order)));
            match order {
                Some((bound, order)) => Amount::parse(bound)
                    .map(|bound| Test::Compare(order, bound))
                    .ok_or_else(|| format!("{:?} is no number; {LIKE}", bound.trim())),
                None => Ok(named(text)),
            }
        }
        _ => Err(format!("{value} has no meaning here; {LIKE}")),
    }
}

/// A text as it is, or with an asterisk behind it what begins so.
fn named(text: &str) -> Test {
    match text.strip_suffix('*') {
        None => Test::Is(text.to_owned()),
        Some(beginning) => Test::BeginsWith(beginning.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = r#"{"caller_id":"12025550101","duration":125,"cost":"0.10","connected":true,"codec":null,"gateway_id":"GW-\"A\"","extra":{"lastapp":"Dial","a.b":"1"}}"#;

    #[track_caller]
    fn check(conditions: &str, expected: bool) {
        let table = conditions.parse::<toml::Table>().unwrap();
        let filter = Filter::from_table(&table).unwrap();
        assert_eq!(filter.wants(DATA.as_bytes()), expected, "{conditions}");
    }

    #[test]
    fn values_are_compared_by_what_they_are() {
        check("connected = true", true);
        check("connected = false", false);
        check("duration = \">=125\"", true);
        check("duration = \">125\"", false);
        check("duration = \"<125.5\"", true);
        check("duration = 125", true);
        check("cost = \"0.1\"", true);
        check("cost = \"> 0.0999999999999999999\"", true);
        check("cost = \"<=0.09\"", false);
        check("caller_id = \"1202*\"", true);
        check("caller_id = \"!=12025550101\"", false);
        check("gateway_id = ['GW-\"A\"', 'GW-B']", true);
        check("gateway_id = ['GW-C', 'GW-B']", false);
        check("duration = [1, \">=100\"]", true);
        check("connected = true\nduration = 1", false);
        check("extra.lastapp = \"Dial\"", true);
        check("\"extra.lastapp\" = \"Dial\"\n\"extra.a.b\" = 1", true);
    }

    #[test]
    fn two_bounds_with_something_between_are_a_range() {
        check("duration = [\">=100\", \"<=125\"]", true);
        check("duration = [\"<=125\", \">=125\"]", true);
        check("duration = [\">=10\", \"<=20\"]", false);
        check("duration = [\"<125\", \">=1\"]", false);
        check("duration = [\">=1\", \"<=5\", \">=100\", \"<200\"]", true);
        check("duration = [\">=1\", \"<=5\", 125]", true);
        check("codec = [\">=1\", \"<=5\"]", false);
        // Nothing is between these: it is one or the other.
        check("duration = [\"<10\", \">100\"]", true);
        check("duration = [\"<100\", \">200\"]", false);
        check("duration = [\"<125\", \">=125\"]", true);
    }

    #[test]
    fn a_truth_may_be_written_as_text() {
        check("connected = \"true\"", true);
        check("connected = \"false\"", false);
        check("connected = \"!=true\"", false);
        check("connected = \"!=false\"", true);
    }

    #[test]
    fn of_values_that_are_not_wanted_none_may_be_there() {
        check("duration = [\"!=16\", \"!=17\"]", true);
        check("duration = [\"!=16\", \"!=125\"]", false);
        check("duration = [\"!=125\", \">1\"]", false);
        check("duration = [\"!=16\", 1, 125]", true);
        check("duration = [\"!=16\", 1, 2]", false);
    }

    #[test]
    fn what_begins_in_a_way_can_be_left_out() {
        check("caller_id = \"!=1202*\"", false);
        check("caller_id = \"!=49*\"", true);
        check("caller_id = [\"!=49*\", \"!=1202*\"]", false);
        check("codec = \"!=g7*\"", true);
        check("codec = \"!=*\"", true);
        check("caller_id = \"!=*\"", false);
    }

    #[test]
    fn a_condition_that_can_never_hold_is_seen() {
        const WORDS: Holds = Holds::Word(&["low_balance", "recovered"]);
        let misfits = |condition: &str, holds: &[Holds]| {
            let table = condition.parse::<toml::Table>().unwrap();
            Filter::from_table(&table).unwrap().misfits(|_| holds)
        };
        for (condition, holds) in [
            ("a = \"yes\"", Holds::Truth),
            ("a = 1", Holds::Truth),
            ("a = \">0\"", Holds::Truth),
            ("a = \"!=yes\"", Holds::Truth),
            ("a = [5, \"1m\"]", Holds::Whole),
            ("a = \"free\"", Holds::Amount),
            ("a = \">2026\"", Holds::Time),
            ("a = \"low\"", WORDS),
            ("a = \">=2\"", Holds::Level),
            ("a = 3", Holds::Level),
            ("a = \"!=0\"", Holds::Level),
            ("a = [\">1\", \"<=5\"]", Holds::Level),
        ] {
            assert_eq!(misfits(condition, &[holds]).len(), 1, "{condition}");
            assert_eq!(misfits(condition, &[holds, Holds::Text]).len(), 0);
            assert_eq!(misfits(condition, &[]).len(), 0);
        }
        for (condition, holds) in [
            ("a = \"false\"", Holds::Truth),
            ("a = \"\"", Holds::Truth),
            ("a = [\"5*\", \"!=503\", 1, \">2\"]", Holds::Whole),
            ("a = \"0.10\"", Holds::Amount),
            ("a = \"2026-04*\"", Holds::Time),
            ("a = \"!=recovered\"", WORDS),
            ("a = [\"major\", \"WARNING\", \"\"]", Holds::Level),
            // Of a scale with more than four steps.
            ("a = [\">=5\", \"<=7\", 8]", Holds::Level),
        ] {
            assert!(misfits(condition, &[holds]).is_empty(), "{condition}");
        }
        let told = misfits("a = \"yes\"", &[Holds::Truth]);
        assert_eq!(
            told,
            ["a: \"yes\" is never there; write like true or false"]
        );
    }

    #[test]
    fn telephone_numbers_are_no_numbers() {
        check("caller_id = \"012025550101\"", false);
        check("caller_id = \"+12025550101\"", false);
        check("caller_id = \"!=012025550101\"", true);
        assert!(is_same("-0.50", "-0.5") && is_same("0", "0.0") && is_same("1E2", "100"));
        assert!(!is_same("0112", "112") && !is_same("112", "+112") && is_same("0112", "0112"));
    }

    #[test]
    fn whether_there_is_a_value_can_be_asked() {
        check("codec = \"\"", true);
        check("codec = \"!=\"", false);
        check("codec = \"*\"", false);
        check("caller_id = \"\"", false);
        check("caller_id = \"!=\"", true);
        check("caller_id = \"*\"", true);
    }

    #[test]
    fn what_is_not_there_is_equal_to_nothing() {
        check("codec = \"g729\"", false);
        check("codec = \"!=g729\"", true);
        check("codec = \">0\"", false);
        check("gone = true", false);
        check("gone = \"!=x\"", true);
    }

    #[test]
    fn conditions_without_a_meaning_are_refused() {
        for text in [
            "duration = \">=x\"",
            "duration = []",
            "duration = 1.5",
            "duration = 1979-05-27",
            "duration = \"=>5\"",
            "duration = \"==5\"",
            "duration = \"<>5\"",
            "gateway_id = \"!GW\"",
        ] {
            let table = text.parse::<toml::Table>().unwrap();
            assert!(Filter::from_table(&table).is_err(), "{text}");
        }
    }
}

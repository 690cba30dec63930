//! Order: what endpoints are sorted by.

use crate::control::status::EndpointStatus;
use std::cmp::Ordering;

/// A column that endpoints can be sorted by, in the order in which the columns stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Their names, from a to z.
    Name,
    /// How they stand, the worst first.
    State,
    /// What is not settled, most first.
    Waiting,
    /// The call that waits for longest, oldest first.
    Oldest,
    /// Events delivered in a second, most first.
    Sent,
    /// Share of attempts that deliver, lowest first.
    Share,
    /// The slowest hundredth of attempts, slowest first.
    Latency,
    /// Dead letters, most first.
    Dead,
}

const COLUMNS: [Column; 8] = [
    Column::Name,
    Column::State,
    Column::Waiting,
    Column::Oldest,
    Column::Sent,
    Column::Share,
    Column::Latency,
    Column::Dead,
];

impl Column {
    /// The column in words, and what comes first in it.
    pub fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Column::Name => ("name", "a to z", "z to a"),
            Column::State => ("state", "the worst first", "the best first"),
            Column::Waiting => ("waiting", "most first", "least first"),
            Column::Oldest => ("oldest", "oldest first", "youngest first"),
            Column::Sent => ("sent/s", "most first", "least first"),
            Column::Share => ("ok %", "lowest first", "highest first"),
            Column::Latency => ("p99 ms", "slowest first", "fastest first"),
            Column::Dead => ("dead", "most first", "least first"),
        }
    }

    /// Whether what comes first is the largest: the arrow points down then.
    fn begins_high(self) -> bool {
        !matches!(self, Column::Name | Column::Share)
    }

    fn compare(self, a: &EndpointStatus, b: &EndpointStatus) -> Ordering {
        match self {
            Column::Name => a.name.cmp(&b.name),
            Column::State => severity(&b.state).cmp(&severity(&a.state)),
            Column::Waiting => unsettled(b).cmp(&unsettled(a)),
            Column::Oldest => b.oldest_secs.cmp(&a.oldest_secs),
            Column::Sent => figure(b.per_sec).total_cmp(&figure(a.per_sec)),
            Column::Share => share(a).total_cmp(&share(b)),
            Column::Latency => p99(b).total_cmp(&p99(a)),
            Column::Dead => b.dead_letters.cmp(&a.dead_letters),
        }
    }
}

/// The order of the endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub column: Column,
    /// The other way round.
    pub is_reversed: bool,
}

impl Default for Order {
    fn default() -> Order {
        Order {
            column: Column::Name,
            is_reversed: false,
        }
    }
}

impl Order {
    /// By the column `by` places further on, in the order that is natural to it.
    pub fn moved(self, by: isize) -> Order {
        let at = COLUMNS.iter().position(|it| *it == self.column);
        let count = COLUMNS.len().cast_signed();
        let to = (at.unwrap_or(0).cast_signed() + by).rem_euclid(count);
        let column = COLUMNS.get(to.unsigned_abs()).copied();
        Order {
            column: column.unwrap_or(Column::Name),
            is_reversed: false,
        }
    }

    /// The other way round.
    pub fn reversed(self) -> Order {
        Order {
            is_reversed: !self.is_reversed,
            ..self
        }
    }

    /// `endpoints` in this order; equal ones by name.
    pub fn of(self, endpoints: &[EndpointStatus]) -> Vec<&EndpointStatus> {
        let mut sorted: Vec<&EndpointStatus> = endpoints.iter().collect();
        sorted.sort_by(|a, b| {
            let ordering = self.column.compare(a, b);
            let ordering = match self.is_reversed {
                true => ordering.reverse(),
                false => ordering,
            };
            ordering.then_with(|| a.name.cmp(&b.name))
        });
        sorted
    }

    /// The order in words.
    pub fn words(self) -> String {
        let (name, natural, reversed) = self.column.words();
        let first = if self.is_reversed { reversed } else { natural };
        format!("sorted by {name}, {first}")
    }

    /// An arrow for the column's heading: down when the largest is on top.
    pub fn arrow(self) -> char {
        match self.column.begins_high() == self.is_reversed {
            true => '↑',
            false => '↓',
        }
    }
}

/// What is not settled of an endpoint.
pub fn unsettled(endpoint: &EndpointStatus) -> u64 {
    endpoint.queued.saturating_add(endpoint.waiting)
}

fn severity(state: &str) -> u8 {
    match state {
        "stopped" => 5,
        "failing" => 4,
        "paused" => 3,
        "disabled" | "removed" => 2,
        "working" => 0,
        _ => 1,
    }
}

/// Nothing is less than none.
fn figure(figure: Option<f64>) -> f64 {
    figure.unwrap_or(-1.0)
}

/// An endpoint without attempts has nothing to be looked at: it comes after all others.
fn share(endpoint: &EndpointStatus) -> f64 {
    endpoint.success_share.unwrap_or(2.0)
}

fn p99(endpoint: &EndpointStatus) -> f64 {
    figure(endpoint.latency_ms.map(|it| it.p99))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::LatencyStatus;

    fn endpoint(name: &str, state: &str, figure: u8, share: Option<f64>) -> EndpointStatus {
        EndpointStatus {
            name: name.into(),
            state: state.into(),
            queued: figure.into(),
            waiting: 1,
            oldest_secs: (figure > 0).then_some(figure.into()),
            per_sec: Some(figure.into()),
            success_share: share,
            latency_ms: (figure > 0).then_some(LatencyStatus {
                p99: figure.into(),
                ..LatencyStatus::default()
            }),
            dead_letters: figure.into(),
            ..EndpointStatus::default()
        }
    }

    #[test]
    fn every_column_sorts_what_needs_a_look_to_the_top_and_the_other_way_round() {
        let endpoints = [
            endpoint("b", "failing", 2, Some(0.5)),
            endpoint("a", "working", 2, Some(1.0)),
            endpoint("d", "paused", 9, None),
            endpoint("c", "stopped", 0, Some(0.0)),
        ];
        let names = |order: Order| -> String {
            let sorted = order.of(&endpoints);
            sorted.iter().map(|it| it.name.as_str()).collect()
        };
        let table = [
            (Column::Name, "abcd", "dcba"),
            (Column::State, "cbda", "adbc"),
            (Column::Waiting, "dabc", "cabd"),
            (Column::Oldest, "dabc", "cabd"),
            (Column::Sent, "dabc", "cabd"),
            (Column::Share, "cbad", "dabc"),
            (Column::Latency, "dabc", "cabd"),
            (Column::Dead, "dabc", "cabd"),
        ];
        let mut order = Order::default();
        for (column, natural, reversed) in table {
            assert_eq!(order.column, column);
            assert_eq!(names(order), natural, "{column:?}");
            assert_eq!(names(order.reversed()), reversed, "{column:?}");
            assert_eq!(order.moved(1).moved(-1), order);
            order = order.moved(1);
        }
        assert_eq!(order, Order::default(), "after the last comes the first");
        assert_eq!(order.moved(-1).column, Column::Dead);
    }

    #[test]
    fn the_arrow_and_the_words_say_what_is_on_top() {
        let waiting = Order::default().moved(2);
        assert_eq!(
            (waiting.arrow(), waiting.words().as_str()),
            ('↓', "sorted by waiting, most first")
        );
        let least = waiting.reversed();
        assert_eq!(
            (least.arrow(), least.words().as_str()),
            ('↑', "sorted by waiting, least first")
        );
        assert_eq!(Order::default().arrow(), '↑');
        assert_eq!(Order::default().reversed().arrow(), '↓');
    }
}

//! History: the last arrivals, kept for the page.

use super::arrival::Arrival;
use super::print::{Shown, arrival_json, relayed_json};
use super::relay::Relayed;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Most arrivals kept: more than anybody looks through in a browser.
pub const HISTORY_MAX: usize = 500;

/// Most bytes of arrivals kept, as JSON: 500 usual ones are below 2 MB.
pub const HISTORY_BYTES_MAX: usize = 16 << 20;

/// Most bytes handed out at once, but for a single arrival; what is left is fetched at once after it.
pub const NEWS_BYTES_MAX: usize = 1 << 20;

/// The last arrivals, each with what has become of it since.
#[derive(Debug)]
pub struct History {
    /// Tells one run of the receiver from another: its start in milliseconds.
    run: i64,
    /// What is looked for in a request, in words.
    judged_by: String,
    items: VecDeque<Item>,
    bytes: usize,
    /// Grows with every change; each item carries that of its last one.
    revision: u64,
    /// The number from which on arrivals are kept.
    oldest: u64,
    /// What targets answered to arrivals that have not been added yet: with `--forward-answer` they
    /// are asked first.
    early: VecDeque<Relayed>,
}

#[derive(Debug)]
struct Item {
    number: u64,
    revision: u64,
    shown: Value,
    bytes: usize,
}

impl History {
    /// An empty history of the run that began at `run`, in milliseconds, whose requests are looked at
    /// for `judged_by`.
    pub fn new(run: i64, judged_by: String) -> History {
        History {
            run,
            judged_by,
            items: VecDeque::new(),
            bytes: 0,
            revision: 0,
            oldest: 0,
            early: VecDeque::new(),
        }
    }

    /// Adds `arrival`, at the cost of the oldest where there is no room.
    pub fn add(&mut self, arrival: &Arrival) {
        let mut shown = arrival_json(arrival, Shown::All);
        let early = self.early.iter();
        let early = early.filter(|relayed| relayed.number == arrival.number);
        let early: Value = early.map(relayed_json).collect();
        if let Some(forwards) = shown.get_mut("forwards") {
            *forwards = early;
        }
        self.early
            .retain(|relayed| relayed.number != arrival.number);
        self.revision += 1;
        let bytes = shown.to_string().len();
        self.bytes += bytes;
        self.items.push_back(Item {
            number: arrival.number,
            revision: self.revision,
            shown,
            bytes,
        });
        while (self.items.len() > HISTORY_MAX || self.bytes > HISTORY_BYTES_MAX)
            && self.items.len() > 1
            && let Some(oldest) = self.items.pop_front()
        {
            self.bytes -= oldest.bytes;
        }
        self.oldest = self.items.front().map_or(0, |item| item.number);
    }

    /// Adds what a target answered to the arrival it belongs to, if that is still kept.
    pub fn add_relayed(&mut self, relayed: &Relayed) {
        let found = self
            .items
            .iter_mut()
            .rfind(|item| item.number == relayed.number);
        let Some(item) = found else {
            if relayed.number >= self.oldest {
                self.early.push_back(relayed.clone());
            }
            if self.early.len() > HISTORY_MAX {
                self.early.pop_front();
            }
            return;
        };
        if let Some(forwards) = item.shown.get_mut("forwards").and_then(Value::as_array_mut) {
            self.revision += 1;
            item.revision = self.revision;
            forwards.push(relayed_json(relayed));
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.oldest = self
            .items
            .back()
            .map_or(self.oldest, |item| item.number + 1);
        self.items.clear();
        self.bytes = 0;
        self.revision += 1;
    }

    /// What has changed since revision `after`, as the page asks for it.
    pub fn since(&self, after: u64) -> Value {
        let mut changed: Vec<&Item> = self
            .items
            .iter()
            .filter(|item| item.revision > after)
            .collect();
        changed.sort_by_key(|item| item.revision);
        let mut bytes = 0;
        let fits = |item: &&&Item| {
            let is_first = bytes == 0;
            bytes += item.bytes;
            is_first || bytes <= NEWS_BYTES_MAX
        };
        let news: Vec<&Item> = changed.iter().take_while(fits).copied().collect();
        let is_all = news.len() == changed.len();
        let revision = match news.last() {
            Some(last) if !is_all => last.revision,
            _ => self.revision,
        };
        json!({
            "run": self.run,
            "judged_by": self.judged_by,
            "revision": revision,
            "oldest": self.oldest,
            "more": !is_all,
            "items": news.iter().map(|item| &item.shown).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::arrival::tests::arrival;
    use super::*;
    use std::time::Duration;

    fn numbers(news: &Value) -> Vec<u64> {
        let items = news["items"].as_array().unwrap().iter();
        items.map(|item| item["number"].as_u64().unwrap()).collect()
    }

    fn add(history: &mut History, number: u64, bytes: usize) {
        let mut arrival = arrival("{}");
        arrival.number = number;
        arrival.body = "x".repeat(bytes).into();
        history.add(&arrival);
    }

    #[test]
    fn what_is_asked_for_is_what_has_changed() {
        let mut history = History::new(1, String::new());
        add(&mut history, 1, 2);
        add(&mut history, 2, 2);
        let news = history.since(0);
        assert_eq!(numbers(&news), [1, 2]);
        let after = news["revision"].as_u64().unwrap();
        assert!(numbers(&history.since(after)).is_empty());
        history.add_relayed(&relayed(1));
        let news = history.since(after);
        assert_eq!(numbers(&news), [1]);
        assert_eq!(news["items"][0]["forwards"][0]["status"], 204);
    }

    fn relayed(number: u64) -> Relayed {
        Relayed {
            number,
            id: "evt_1".to_string(),
            target: "http://127.0.0.1:3000/".to_string(),
            outcome: Ok(204),
            elapsed: Duration::from_millis(3),
        }
    }

    #[test]
    fn an_answer_that_comes_before_its_arrival_is_kept_for_it() {
        let mut history = History::new(1, String::new());
        history.add_relayed(&relayed(1));
        add(&mut history, 1, 2);
        let news = history.since(0);
        assert_eq!(news["items"][0]["forwards"][0]["status"], 204);
        assert!(history.early.is_empty());
        for number in 2..2_000 {
            history.add_relayed(&relayed(number));
        }
        assert_eq!(history.early.len(), HISTORY_MAX);
    }

    #[test]
    fn a_cleared_history_says_from_where_on_it_goes_on() {
        let mut history = History::new(1, String::new());
        add(&mut history, 1, 2);
        add(&mut history, 2, 2);
        history.clear();
        assert_eq!(history.since(0)["oldest"], 3);
        add(&mut history, 3, 2);
        let news = history.since(0);
        assert_eq!((numbers(&news), &news["oldest"]), (vec![3], &json!(3)));
    }

    #[test]
    fn it_is_bounded_in_number_and_in_bytes() {
        let mut history = History::new(1, String::new());
        for number in 0..HISTORY_MAX as u64 + 7 {
            add(&mut history, number, 2);
        }
        assert_eq!(history.items.len(), HISTORY_MAX);
        assert_eq!(history.since(0)["oldest"], 7);
        for number in 1_000..1_500 {
            add(&mut history, number, 1 << 20);
            assert!(history.bytes <= HISTORY_BYTES_MAX);
        }
        assert!(
            history.items.len() > 100,
            "long bodies are cut before they are kept"
        );
    }

    #[test]
    fn much_is_handed_out_in_parts_that_follow_each_other() {
        let mut history = History::new(1, String::new());
        for number in 0..60 {
            add(&mut history, number, 60_000);
        }
        let mut after = 0;
        let mut all = Vec::new();
        loop {
            let news = history.since(after);
            assert!(news.to_string().len() < NEWS_BYTES_MAX + 1_000);
            all.extend(numbers(&news));
            after = news["revision"].as_u64().unwrap();
            if news["more"] == false {
                break;
            }
        }
        assert_eq!(all, (0..60).collect::<Vec<_>>());
    }
}

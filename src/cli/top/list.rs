//! List: which line is chosen, and which part of many lines is in sight.

use std::ops::Range;

/// A list whose lines have names. The choice is of a name, so it stays when the order changes.
#[derive(Debug, Default)]
pub struct List {
    chosen: String,
    at: usize,
    first: usize,
    places: usize,
}

/// A step through a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To the line before.
    Up,
    /// To the next line.
    Down,
    /// As many lines up as are in sight.
    PageUp,
    /// As many lines down as are in sight.
    PageDown,
    /// To the first line.
    First,
    /// To the last line.
    Last,
}

impl List {
    /// The name of the chosen line; empty in an empty list.
    pub fn chosen(&self) -> &str {
        &self.chosen
    }

    /// Where the chosen line is.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The list's lines are `names` now. A choice whose line is gone goes to the line that took
    /// its place.
    pub fn settle(&mut self, names: &[&str]) {
        let found = names.iter().position(|name| *name == self.chosen);
        self.choose(found.unwrap_or(self.at), names);
    }

    /// Chooses another line of `names`.
    pub fn step(&mut self, step: Step, names: &[&str]) {
        self.settle(names);
        let page = self.places.max(1);
        let to = match step {
            Step::Up => self.at.saturating_sub(1),
            Step::Down => self.at.saturating_add(1),
            Step::PageUp => self.at.saturating_sub(page),
            Step::PageDown => self.at.saturating_add(page),
            Step::First => 0,
            Step::Last => usize::MAX,
        };
        self.choose(to, names);
    }

    fn choose(&mut self, at: usize, names: &[&str]) {
        self.at = at.min(names.len().saturating_sub(1));
        let name = names.get(self.at).copied().unwrap_or_default();
        if name != self.chosen {
            self.chosen = name.to_string();
        }
    }

    /// The part of `count` lines that is shown in `places`: it moves no further than the chosen
    /// line makes it, and leaves no place empty that could show one.
    pub fn sight(&mut self, places: usize, count: usize) -> Range<usize> {
        self.places = places;
        let lowest = (self.at + 1).saturating_sub(places);
        let highest = self.at.min(count.saturating_sub(places));
        self.first = self.first.clamp(lowest.min(highest), highest);
        self.first..(self.first + places).min(count)
    }
}

/// How far a text is scrolled.
#[derive(Debug, Default)]
pub struct Scroll {
    first: usize,
    places: usize,
}

impl Scroll {
    /// Scrolls; [`Scroll::sight`] keeps it within the text.
    pub fn step(&mut self, step: Step) {
        let page = self.places.max(1);
        self.first = match step {
            Step::Up => self.first.saturating_sub(1),
            Step::Down => self.first.saturating_add(1),
            Step::PageUp => self.first.saturating_sub(page),
            Step::PageDown => self.first.saturating_add(page),
            Step::First => 0,
            Step::Last => usize::MAX,
        };
    }

    /// The part of `count` lines that is shown in `places`.
    pub fn sight(&mut self, places: usize, count: usize) -> Range<usize> {
        self.places = places;
        self.first = self.first.min(count.saturating_sub(places));
        self.first..(self.first + places).min(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_follows_its_name_and_then_its_place() {
        let mut list = List::default();
        list.settle(&["a", "b", "c"]);
        assert_eq!(list.chosen(), "a");
        list.step(Step::Down, &["a", "b", "c"]);
        list.settle(&["c", "x", "y", "b"]);
        assert_eq!((list.chosen(), list.at()), ("b", 3));
        list.settle(&["c", "x"]);
        assert_eq!((list.chosen(), list.at()), ("x", 1));
        list.settle(&[]);
        assert_eq!((list.chosen(), list.at()), ("", 0));
        list.settle(&["d"]);
        assert_eq!(list.chosen(), "d");
    }

    #[test]
    fn the_chosen_line_is_always_in_sight_and_no_place_is_wasted() {
        let names: Vec<String> = (0..64).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut list = List::default();
        list.settle(&names);
        assert_eq!(list.sight(10, 64), 0..10);
        list.step(Step::PageDown, &names);
        assert_eq!((list.at(), list.sight(10, 64)), (10, 1..11));
        // Going back up moves the choice first, and the lines only when it has to.
        list.step(Step::Up, &names);
        assert_eq!((list.at(), list.sight(10, 64)), (9, 1..11));
        list.step(Step::Last, &names);
        assert_eq!((list.at(), list.sight(10, 64)), (63, 54..64));
        assert_eq!(list.sight(20, 64), 44..64);
        assert_eq!(list.sight(99, 64), 0..64);
        list.step(Step::First, &names);
        assert_eq!((list.at(), list.sight(1, 64)), (0, 0..1));
        assert_eq!(list.sight(0, 64), 0..0);
        list.settle(&[]);
        assert_eq!(list.sight(10, 0), 0..0);
    }

    #[test]
    fn a_text_scrolls_to_its_end_and_no_further() {
        let mut scroll = Scroll::default();
        assert_eq!(scroll.sight(5, 12), 0..5);
        scroll.step(Step::Last);
        assert_eq!(scroll.sight(5, 12), 7..12);
        scroll.step(Step::Up);
        scroll.step(Step::PageUp);
        assert_eq!(scroll.sight(5, 12), 1..6);
        assert_eq!(scroll.sight(20, 12), 0..12);
    }
}

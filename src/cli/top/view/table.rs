//! Table: lines of fields, as many of them as the width has room for.

use super::{CHOSEN, HEAD, PLAIN};
use crate::cli::status::cut;
use crate::cli::top::list::List;
use crate::cli::top::order::{Column, Order};
use ratatui_core::style::{Modifier, Style};
use ratatui_core::text::{Line, Span};

/// Columns before a name: which line is chosen.
const MARK: usize = 2;

/// Columns of a name on a screen of 80, and of a narrow one.
const NAME: usize = 19;
const NAME_NARROW: usize = 14;

/// Columns of the longest name that is shown whole where there is room.
const NAME_MAX: usize = 40;

/// Columns of a screen that has room for names of 18; and from which on longer ones are shown.
const NAME_FROM: usize = 56;
const NAME_LONG_FROM: usize = 100;

/// Columns that a field of any length needs, to be shown at all.
const REST_MIN: usize = 20;

/// A field of a line about a `T`.
pub struct Field<T> {
    /// Its heading.
    pub heading: &'static str,
    /// Its columns, one of them a gap; 0 takes what is left.
    pub width: usize,
    /// Narrow screens show the fields with the lowest.
    pub rank: u8,
    /// The order it stands for.
    pub column: Option<Column>,
    /// Its text.
    pub text: fn(&T) -> String,
    /// How its text looks; a field of words, not of figures.
    pub style: Option<fn(&T) -> Style>,
}

impl<T> Field<T> {
    /// `text` in `width` columns. Words stand at the left, figures at the right; words behind a
    /// figure need a gap of their own.
    fn padded(
        &self,
        text: &str,
        width: usize,
        style: Style,
        is_figure: &mut bool,
    ) -> Vec<Span<'static>> {
        let is_left = self.style.is_some() || self.width == 0;
        let gap = if is_left && *is_figure { 2 } else { 0 };
        *is_figure = !is_left;
        let mut spans = vec![Span::raw(" ".repeat(gap))];
        spans.extend(padded(text, width.saturating_sub(gap), style, is_left));
        spans
    }
}

/// A table of lines about `T`s.
pub struct Table<'a, T> {
    /// The heading of names.
    pub heading: &'a str,
    /// A line each, in the order in which they are shown.
    pub lines: &'a [&'a T],
    /// The name of a line.
    pub name: fn(&T) -> &str,
    /// All there is to say.
    pub fields: &'a [Field<T>],
    /// What the lines are sorted by.
    pub order: Option<Order>,
    /// Whether the keys move in this table.
    pub is_used: bool,
}

impl<T> Table<'_, T> {
    /// The heading and as many lines as `places`, in `width` columns.
    pub fn lines(&self, list: &mut List, places: usize, width: usize) -> Vec<Line<'static>> {
        let sight = list.sight(places, self.lines.len());
        let name = self.name_width(width);
        let fields = chosen_fields(self.fields, width.saturating_sub(MARK + name));
        let mut heading = self.heading.to_string();
        if self.lines.len() > places && places > 0 {
            let part = match places {
                1 => format!("{}/{}", sight.end, self.lines.len()),
                _ => format!("{}-{}/{}", sight.start + 1, sight.end, self.lines.len()),
            };
            // Beside an arrow and a gap.
            heading = match heading.len() + part.len() + 2 < name {
                true => format!("{heading} {part}"),
                false => part,
            };
        }
        let mut lines = vec![self.head(&heading, name, &fields)];
        for line in self.lines.get(sight).unwrap_or_default() {
            let is_chosen = self.is_used && (self.name)(line) == list.chosen();
            lines.push(self.line(line, is_chosen, name, &fields));
        }
        lines
    }

    fn name_width(&self, width: usize) -> usize {
        let longest = self.lines.iter().map(|it| (self.name)(it).chars().count());
        match width {
            NAME_LONG_FROM.. => (longest.max().unwrap_or(0) + 1).clamp(NAME, NAME_MAX),
            NAME_FROM.. => NAME,
            _ => NAME_NARROW,
        }
    }

    fn head(&self, heading: &str, name: usize, fields: &[(&Field<T>, usize)]) -> Line<'static> {
        let arrow = |column: Option<Column>| {
            let order = self.order.filter(|order| column == Some(order.column));
            order.map_or(String::new(), |order| order.arrow().to_string())
        };
        let sorted = |column: Option<Column>| match arrow(column).is_empty() {
            true => HEAD,
            false => HEAD.add_modifier(Modifier::UNDERLINED),
        };
        let mut spans = vec![Span::styled("  ", HEAD)];
        let by_name = arrow(Some(Column::Name)) + heading;
        spans.extend(padded(&by_name, name, sorted(Some(Column::Name)), true));
        let mut is_figure = false;
        for (field, width) in fields {
            let text = arrow(field.column) + field.heading;
            let style = sorted(field.column);
            spans.extend(field.padded(&text, *width, style, &mut is_figure));
        }
        Line::from(spans)
    }

    fn line(
        &self,
        line: &T,
        is_chosen: bool,
        name: usize,
        fields: &[(&Field<T>, usize)],
    ) -> Line<'static> {
        let (mark, style) = if is_chosen {
            ("> ", CHOSEN)
        } else {
            ("  ", PLAIN)
        };
        let mut spans = vec![Span::raw(mark)];
        spans.extend(padded((self.name)(line), name, style, true));
        let mut is_figure = false;
        for (field, width) in fields {
            let style = field.style.map_or(PLAIN, |style| style(line));
            let text = (field.text)(line);
            spans.extend(field.padded(&text, *width, style, &mut is_figure));
        }
        Line::from(spans)
    }
}

/// `text` in `width` columns, one of them a gap that has no style.
fn padded(text: &str, width: usize, style: Style, is_left: bool) -> [Span<'static>; 2] {
    let text = cut(text, width.saturating_sub(1));
    let gap = " ".repeat(width.saturating_sub(text.chars().count()));
    match is_left {
        true => [Span::styled(text, style), Span::raw(gap)],
        false => [Span::raw(gap), Span::styled(text, style)],
    }
}

/// The fields that `room` columns hold, the most telling first, in the order of the table.
fn chosen_fields<T>(fields: &[Field<T>], room: usize) -> Vec<(&Field<T>, usize)> {
    let mut ranks: Vec<&Field<T>> = fields.iter().collect();
    ranks.sort_by_key(|field| field.rank);
    let mut left = room;
    let mut last_rank = None;
    for field in ranks {
        let width = if field.width == 0 {
            REST_MIN
        } else {
            field.width
        };
        let Some(rest) = left.checked_sub(width) else {
            break;
        };
        last_rank = Some(field.rank);
        if field.width > 0 {
            left = rest;
        }
    }
    let shown = fields
        .iter()
        .filter(|field| last_rank.is_some_and(|last| field.rank <= last));
    shown
        .map(|field| (field, if field.width == 0 { left } else { field.width }))
        .collect()
}

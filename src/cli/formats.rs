//! `switchhook formats`: the formats there are, and what each says of its columns.

use super::{Exit, formats_try, general, screen};
use crate::parser::format::{Format, Layout, word_of};
use crate::parser::presets;
use crate::parser::reader::GENERAL;
use clap::Subcommand;

/// What can be asked of formats.
#[derive(Debug, Subcommand)]
pub enum FormatsCommand {
    /// One line for each format.
    List,
    /// A format's facts and how sure they are, its columns, and a table to paste and change.
    ///
    /// vos3000-pipe is PROVISIONAL: no public sample of that file exists, and some of its fields
    /// are unknown.
    #[command(after_help = "Example: switchhook formats show vos3000-csv --layout 53")]
    Show {
        /// The format's name, as `formats list` gives it.
        name: String,
        /// Show the table of this layout only (default: the first).
        #[arg(long, value_name = "NAME")]
        layout: Option<String>,
    },
    /// Which format a file has: its columns, the first events, and a table to paste.
    Try(formats_try::TryArguments),
}

/// Does what `command` says.
pub fn formats(command: &FormatsCommand) -> Exit {
    match command {
        FormatsCommand::List => {
            list();
            Exit::Success
        }
        FormatsCommand::Show { name, layout } => show(name, layout.as_deref()),
        FormatsCommand::Try(arguments) => formats_try::try_file(arguments),
    }
}

fn list() {
    for name in presets::names() {
        let format = presets::find(name).expect("a preset has the name it is listed under");
        let mark = if format.provisional {
            screen::styled(screen::WAIT, " (provisional)")
        } else {
            String::new()
        };
        screen::line(format_args!(
            "{}{}{mark}",
            screen::styled(screen::HEAD, format_args!("{name:<20}")),
            format.title
        ));
    }
    for (word, what) in GENERAL {
        let head = screen::styled(screen::HEAD, format_args!("{word:<20}"));
        screen::line(format_args!("{head}{what}"));
    }
}

/// What stands above keys to paste.
const TO_PASTE: &str = "as keys of a [[source]], to paste and change";

fn show(name: &str, wanted: Option<&str>) -> Exit {
    if let Some((what, keys)) = general::keys(name) {
        screen::line(format_args!(
            "{}  {what}",
            screen::styled(screen::HEAD, name)
        ));
        screen::line("");
        screen::line(screen::styled(screen::HEAD, TO_PASTE));
        screen::line(keys);
        return Exit::Success;
    }
    let Some(format) = presets::find(name) else {
        let general = GENERAL.iter().map(|(word, _)| *word);
        let names = presets::names().chain(general).collect::<Vec<_>>();
        screen::complaint(format_args!(
            "there is no format {name:?}; the formats are {}",
            names.join(", ")
        ));
        return Exit::Usage;
    };
    let layout = match wanted {
        None => format.layouts.first(),
        Some(name) => format.layouts.iter().find(|layout| layout.name == name),
    };
    let Some(layout) = layout else {
        let names = format
            .layouts
            .iter()
            .map(|layout| layout.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        screen::complaint(format_args!(
            "{name} has no layout {:?}; its layouts are {names}",
            wanted.unwrap_or_default()
        ));
        return Exit::Usage;
    };
    describe(&format, layout);
    Exit::Success
}

fn describe(format: &Format, layout: &Layout) {
    let mark = if format.provisional {
        screen::styled(screen::WAIT, " PROVISIONAL")
    } else {
        String::new()
    };
    screen::line(format_args!(
        "{}{mark}  {}",
        screen::styled(screen::HEAD, &format.name),
        format.title
    ));
    screen::line(format.notes.trim_end());
    screen::line("");
    for layout in &format.layouts {
        let by_name = if layout.only_by_name {
            format!("  only with columns = {:?}", layout.name)
        } else {
            String::new()
        };
        screen::line(format_args!(
            "layout {:?}: {} columns{by_name}{}",
            layout.name,
            layout.columns.len(),
            told(layout)
        ));
    }
    screen::line("");
    screen::line(screen::styled(
        screen::HEAD,
        format_args!("columns of layout {:?}", layout.name),
    ));
    for (index, column) in layout.columns.iter().enumerate() {
        let meaning = match column.meaning {
            Some(meaning) => meaning.word(),
            None if column.drop => "(not told)",
            None => "",
        };
        screen::line(
            format!(
                "{:>3}  {:<22}{:<14}{meaning}",
                index + 1,
                column.name,
                word_of(column.kind)
            )
            .trim_end(),
        );
    }
    screen::line("");
    screen::line(screen::styled(screen::HEAD, TO_PASTE));
    screen::line(
        presets::as_source(format, &layout.name)
            .unwrap_or_default()
            .trim_end(),
    );
}

/// Which rows have a layout and what they become, where rows choose theirs by what is in them.
fn told(layout: &Layout) -> String {
    if layout.when.is_empty() {
        return String::new();
    }
    let conditions = layout.when.iter().filter_map(|(index, values)| {
        let column = layout.columns.get(*index)?;
        Some(format!("{} is {}", column.name, values.join(" or ")))
    });
    let conditions = conditions.collect::<Vec<_>>().join(" and ");
    let state = layout
        .state
        .as_ref()
        .map_or(String::new(), |state| format!(" {state}"));
    format!("; {}{state}, where {conditions}", layout.event)
}

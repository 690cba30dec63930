//! `switchhook formats try`: which format a file has, its columns, the first events, and a table to
//! paste. Reads the one file; nothing is delivered or changed.

use super::{Exit, no_rows, screen};
use crate::event::{CallSettings, Event, Maker, Origin};
use crate::parser::encoding::Decoder;
use crate::parser::format::{CALL, KINDS, Kind, Meaning, word_of};
use crate::parser::guess::ids::{IdClock, Says, written};
use crate::parser::guess::{self, Fit, Guessed, Row, Sample};
use crate::parser::reader::Reader;
use crate::parser::{Format, Header, Record, Settings, presets};
use clap::Args;
use glob::Pattern;
use jiff::tz::TimeZone;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of the file that are read: a document whole, and thousands of rows.
const SAMPLE_BYTES: u64 = 1 << 20;

/// Files of a directory of which one is taken: of documents none but the last is half-written.
const NEWEST_MAX: usize = 5;

/// Events shown, each of another type or state, or answered where the others were not.
const EVENTS_MAX: usize = 4;

/// Formats shown that fit some rows only.
const NEAR_MAX: usize = 3;

/// Letters of a value that are shown.
const VALUE_CHARS_MAX: usize = 36;

/// Fewest digits in a row that may be somebody's number; the same as for reasons in the log.
const NUMBER_DIGITS_MIN: usize = 7;

/// Which file, and what is known of it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  switchhook formats try /var/log/asterisk/cdr-csv/Master.csv --timezone Europe/Berlin\n  switchhook formats try export.csv --encoding gbk\n\nExit code 0: a format fits, and the table printed can be pasted; 65: none does."
)]
pub struct TryArguments {
    /// A file that a switch wrote, or a directory: then the newest file in it.
    file: PathBuf,
    /// Try this preset only.
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// The zone of times without one, as `Asia/Dhaka`; without it they are read as UTC.
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// The character encoding (default: found out).
    #[arg(long, value_name = "LABEL")]
    encoding: Option<String>,
    /// Show telephone numbers whole.
    #[arg(long)]
    payload: bool,
}

/// Does what `arguments` say.
pub fn try_file(arguments: &TryArguments) -> Exit {
    match attempt(arguments) {
        Ok(true) => Exit::Success,
        Ok(false) => Exit::Data,
        Err((what, exit)) => {
            screen::complaint(screen::styled(screen::BAD, what));
            exit
        }
    }
}

/// The file and how it is to be shown.
struct View<'a> {
    sample: Sample<'a>,
    path: &'a Path,
    encoding: &'a str,
    zone: TimeZone,
    /// The zone's name, where one was given.
    zone_name: Option<&'a str>,
    payload: bool,
}

/// Whether a format fits.
fn attempt(arguments: &TryArguments) -> Result<bool, (String, Exit)> {
    let zone_name = arguments.timezone.as_deref();
    let zone = TimeZone::get(zone_name.unwrap_or("UTC")).map_err(|_| {
        let what = format!(
            "{:?} is no zone of the IANA database; write like Asia/Dhaka",
            zone_name.unwrap_or_default()
        );
        (what, Exit::Usage)
    })?;
    let preset = arguments.format.as_deref().map(|name| {
        presets::find(name).ok_or_else(|| {
            let names = presets::names().collect::<Vec<_>>().join(", ");
            let what = format!("there is no preset {name:?}; the presets are {names}");
            (what, Exit::Usage)
        })
    });
    let preset = preset.transpose()?;
    let path = match arguments.file.is_dir() {
        true => newest(&arguments.file).map_err(|what| (what, Exit::Data))?,
        false => arguments.file.clone(),
    };
    let (bytes, is_whole) = read(&path).map_err(|what| (what, Exit::Data))?;
    let encoding = arguments
        .encoding
        .as_deref()
        .unwrap_or_else(|| guess::encoding(&bytes));
    let decoder = Decoder::for_label(encoding).map_err(|what| (what, Exit::Usage))?;
    let name = path.file_name().map(|name| name.to_string_lossy());
    let name = name.unwrap_or_default();
    let view = View {
        sample: Sample {
            bytes: &bytes,
            is_whole,
            name: &name,
            decoder,
        },
        path: &path,
        encoding,
        zone,
        zone_name,
        payload: arguments.payload,
    };
    Ok(match preset {
        Some(format) => view.one(format),
        None => view.any(),
    })
}

/// The file in `directory` that was written last, unless a preset fits only one of those before it:
/// the last document may be half-written yet.
fn newest(directory: &Path) -> Result<PathBuf, String> {
    let shown = directory.display();
    let entries =
        fs::read_dir(directory).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let files = entries.filter_map(Result::ok).filter_map(|entry| {
        let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((about.modified().ok()?, entry.path()))
    });
    let mut files: Vec<_> = files.collect();
    files.sort_unstable();
    let mut paths: Vec<PathBuf> = files.into_iter().rev().map(|(_, path)| path).collect();
    paths.truncate(NEWEST_MAX);
    let whole = paths.iter().position(|path| is_known(path)).unwrap_or(0);
    match whole < paths.len() {
        true => Ok(paths.swap_remove(whole)),
        false => Err(format!(
            "{shown} is a directory with no file in it; name one file"
        )),
    }
}

/// Whether a preset fits the file at `path`.
fn is_known(path: &Path) -> bool {
    let Ok((bytes, is_whole)) = read(path) else {
        return false;
    };
    let Ok(decoder) = Decoder::for_label(guess::encoding(&bytes)) else {
        return false;
    };
    let sample = Sample {
        bytes: &bytes,
        is_whole,
        name: &path.file_name().unwrap_or_default().to_string_lossy(),
        decoder,
    };
    let fits = guess::by_presets(sample, &TimeZone::UTC);
    fits.first().is_some_and(guess::Fit::fits)
}

/// The beginning of the file at `path`, in complete lines, and whether that is all of it.
fn read(path: &Path) -> Result<(Vec<u8>, bool), String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| {
        let is_file = file.metadata()?.is_file();
        file.take(SAMPLE_BYTES).read_to_end(&mut bytes)?;
        Ok(is_file)
    });
    match opened {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(format!(
                "{shown} cannot be read: {error}; run this as root, or as a user in the file's group"
            ));
        }
        Err(error) => return Err(format!("{shown} cannot be read: {error}")),
        Ok(false) => return Err(format!("{shown} is no file; name one file")),
        Ok(true) => {}
    }
    if let Some(why) = no_rows::why(&shown, &bytes) {
        return Err(why);
    }
    let is_whole = (bytes.len() as u64) < SAMPLE_BYTES;
    if !is_whole {
        let complete = memchr::memrchr(b'\n', &bytes).map_or(bytes.len(), |end| end + 1);
        bytes.truncate(complete);
    }
    Ok((bytes, is_whole))
}

impl View<'_> {
    /// Tries one format.
    fn one(&self, format: Format) -> bool {
        let name = format.name.clone();
        let fit = guess::by_format(self.sample, format, None, Header::Auto, &self.zone);
        if fit.fits() {
            self.show(&fit, &[]);
            return true;
        }
        head(format_args!("{name} does not fit"));
        self.near(&[fit]);
        false
    }

    /// Tries every preset, then what can be guessed.
    fn any(&self) -> bool {
        let fits = guess::by_presets(self.sample, &self.zone);
        if let Some((best, others)) = fits.split_first().filter(|(best, _)| best.fits()) {
            self.show(best, others);
            return true;
        }
        head(format_args!("no preset fits {}", self.path.display()));
        self.near(&fits);
        if let Some(what) = no_rows::are_parts(self.sample.bytes) {
            screen::line(what);
            return false;
        }
        let guessed = match self.is_one_json() || self.list_inside().is_some() {
            true => None,
            false => guess::guess(self.sample, &self.zone),
        };
        if let Some(name) = self.behind_heads() {
            screen::line(format_args!(
                "behind the head of each line are rows of {name}: take the file that the switch itself writes, in which they have none; of these lines format = \"pattern\" makes calls, with a group for each value"
            ));
            return false;
        }
        if has_json_behind_heads(self.sample.bytes) {
            screen::line(
                "behind the head of each line is JSON: have syslog write the messages alone, in a file of their own, for format = \"json-lines\"; of rsyslog by template(name=\"bare\" type=\"string\" string=\"%msg:2:$%\\n\")",
            );
            return false;
        }
        let Some(guessed) = guessed else {
            screen::line(self.without_columns());
            return false;
        };
        self.own(&guessed)
    }

    /// Whether the file is one piece of JSON, and no line of it is a call of its own.
    fn is_one_json(&self) -> bool {
        let is_json = |bytes| serde_json::from_slice::<serde::de::IgnoredAny>(bytes);
        let bytes = self.sample.bytes.trim_ascii();
        let line = bytes
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let whole = is_json(bytes).map_or_else(|error| error.is_eof(), |_| true);
        let is_line = line.first() == Some(&b'{') && is_json(line).is_ok();
        matches!(bytes.first(), Some(b'{' | b'[')) && whole && !is_line
    }

    /// The preset that the rows fit without what stands before the first quote of each line, as syslog
    /// puts date, host and program there.
    fn behind_heads(&self) -> Option<String> {
        let lines = self.sample.bytes.split_inclusive(|byte| *byte == b'\n');
        let rows = lines.filter_map(|line| {
            let start = memchr::memmem::find(line, b": \"")? + 2;
            line.get(start..)
        });
        let rows: Vec<u8> = rows.flatten().copied().collect();
        let sample = Sample {
            bytes: &rows,
            ..self.sample
        };
        let best = guess::by_presets(sample, &self.zone).into_iter().next();
        let is_split = |best: &Fit| matches!(best.settings.format.reader, Reader::Delimited(_));
        let best = best.filter(|best| best.fits() && is_split(best));
        best.map(|best| best.settings.format.name)
    }

    /// Where the calls of a page are, see [`list_inside`].
    fn list_inside(&self) -> Option<String> {
        list_inside(&serde_json::from_slice(self.sample.bytes).ok()?)
    }

    /// What to do with a file in which nothing comes apart.
    fn without_columns(&self) -> Cow<'static, str> {
        let first = self.sample.bytes.trim_ascii_start().first();
        let first = first.filter(|first| **first == b'<' || self.is_one_json());
        if let Some(list) = self.list_inside() {
            return format!(
                "its calls are in a list inside; have each in a line of its own, for format = \"json-lines\": jq -c '{list}' FILE > rows"
            )
            .into();
        }
        let what = match first {
            Some(b'[') => {
                "it is one JSON list; have each of its calls in a line of its own, for format = \"json-lines\": jq -c '.[]' FILE > rows"
            }
            Some(b'{') => {
                "it is JSON over several lines: with a document in each file, directory = \"…\" and format = \"json-document\" with columns of your own; what VOS3000 posts is taken by http = { listen = \"127.0.0.1:8731\" } and format = \"vos3000-push\""
            }
            Some(b'<') => {
                "it is XML: with a document in each file, directory = \"…\" and format = \"xml-document\" with columns of your own"
            }
            _ if is_db_text(self.sample.bytes) => {
                "it is a table of Kamailio's or OpenSIPS' db_text: format = \"delimited\", delimiter = \":\", quote = \"none\", escape = '\\', header = \"present\", and columns of your own, in the order of its first line"
            }
            _ => {
                "its lines do not come apart into columns either: for free text write patterns; `switchhook formats show pattern` prints one of calls and one of alarms to change, with format = \"pattern\""
            }
        };
        what.into()
    }

    /// Says which formats fit some of the rows.
    fn near(&self, fits: &[Fit]) {
        let mut told = HashSet::new();
        let first = |fit: &&Fit| told.insert(fit.settings.format.name.clone());
        for fit in fits.iter().filter(first).take(NEAR_MAX) {
            let tally = &fit.tally;
            let layout = tally.layout.as_deref().unwrap_or_default();
            let rows = tally.good + tally.bad;
            let what = format!(
                "fits {} {layout} in {} of {rows} rows:",
                fit.settings.format.name, tally.good
            );
            screen::line(screen::styled(screen::WAIT, what));
            self.reasons(fit);
        }
    }

    fn reasons(&self, fit: &Fit) {
        for (line, reason) in &fit.tally.reasons {
            screen::line(format_args!("  line {line}: {reason}"));
        }
    }

    /// Shows a preset that fits.
    fn show(&self, fit: &Fit, others: &[Fit]) {
        let format = &fit.settings.format;
        self.verdict(fit);
        if format.provisional {
            let what = "PROVISIONAL: parts of this format are unproven; compare every column with your own files";
            screen::line(screen::styled(screen::WAIT, what));
        }
        let equal = |other: &&Fit| other.fits() && other.tally.good >= fit.tally.good;
        for other in others.iter().filter(equal).take(NEAR_MAX) {
            let layout = other.tally.layout.as_deref().unwrap_or_default();
            let what = format!(
                "{} {layout} fits as many rows: compare the columns, `switchhook formats show {}`",
                other.settings.format.name, other.settings.format.name
            );
            screen::line(screen::styled(screen::WAIT, what));
        }
        if let Some(what) = fit.tally.calls.warning() {
            screen::line(screen::styled(screen::WAIT, what));
        }
        let rows = String::from_utf8_lossy(self.sample.bytes);
        if format.name == "acc-flatstore" && rows.lines().any(tells_whole_call) {
            let what = "answered calls are whole here, with setuptime, created, duration and ms_duration at the end, as OpenSIPS' do_accounting(\"db\", \"cdr\") has them, and would wait for a BYE that never comes: write the two layouts of docs/opensips.md instead";
            screen::line(screen::styled(screen::WAIT, what));
        }
        // A file of CEL has seconds, or dates where its configuration says so.
        let local_times = format.local_times || guess::has_local_times(self.sample, &fit.settings);
        let says = self.columns_and_events(&fit.settings, local_times);
        say_joined(fit);
        screen::line("");
        head("to paste and adjust");
        let name = match kinds(format).contains(&CALL) {
            true => CALL,
            false => &format.name,
        };
        self.source(
            name,
            &format.name,
            local_times.then_some(says),
            format.reader.is_document(),
        );
        if let Some(columns) = &fit.columns {
            screen::line(format_args!("columns = {columns:?}"));
        } else if let Some(layout) = fit.tally.calls.twice() {
            screen::line(format_args!(
                "columns = {layout:?}   # whole calls alone; those never connected come only if the switch writes a whole one for them"
            ));
        }
        let kinds = kinds(format);
        screen::line(format_args!(
            "# an endpoint gets these with events = {kinds:?}"
        ));
        let name = &format.name;
        screen::line(format_args!(
            "# to change a column: `switchhook formats show {name}` prints them to paste instead of the format"
        ));
    }

    fn verdict(&self, fit: &Fit) {
        let (format, tally) = (&fit.settings.format, &fit.tally);
        let layout = tally.layout.as_deref().unwrap_or_default();
        let style = if tally.bad == 0 {
            screen::GOOD
        } else {
            screen::WAIT
        };
        let mut what = format!(
            "{} fits {}: {} of {} rows, the first of layout {layout:?}",
            format.name,
            self.path.display(),
            tally.good,
            tally.good + tally.bad
        );
        if tally.unwanted > 0 {
            what += &format!(", {} passed over", tally.unwanted);
        }
        screen::line(screen::styled(style, what));
        self.reasons(fit);
    }

    /// Shows a format made of what the file itself tells; whether its rows fit that.
    fn own(&self, guessed: &Guessed) -> bool {
        if let Some(like) = &guessed.like {
            let what = format!(
                "its {} columns are like {} {:?}: {} of that layout's {}, behind {} others; GUESSED, check each",
                guessed.columns.len(),
                like.format,
                like.layout,
                like.common,
                like.of,
                like.before
            );
            screen::line(screen::styled(screen::WAIT, what));
        } else {
            let what = "the columns below are GUESSED from their names and values; check each";
            screen::line(screen::styled(screen::WAIT, what));
        }
        let Ok(format) = Format::from_table(&guessed.table) else {
            self.untimed(guessed);
            return false;
        };
        let fit = guess::by_format(self.sample, format, None, guessed.header, &self.zone);
        self.verdict(&fit);
        if guessed.doubtful_dates {
            let what = "no date here tells day, month and year apart: compare dates = with what the switch writes, \"dmy\" or \"mdy\"";
            screen::line(screen::styled(screen::WAIT, what));
        }
        let format = &fit.settings.format;
        let tells = |meaning| {
            format
                .layouts
                .iter()
                .any(|layout| layout.column_of(meaning).is_some())
        };
        let of_answers = [
            Meaning::AnswerTime,
            Meaning::BillDuration,
            Meaning::HoldDuration,
            // Lines of a call's beginning and end are joined.
            Meaning::Method,
        ];
        if !of_answers.into_iter().any(tells) {
            let what = "no column is known to say whether a call was answered, so connected and bill_duration are null: mark one, as = \"answer_time\", \"bill_duration\" or \"hold_duration\"";
            screen::line(screen::styled(screen::WAIT, what));
        }
        if let Some(name) = &guessed.doubtful_length {
            let what = format!(
                "{name:?} could be in minutes and seconds, or in hours and minutes: if the first, write type = \"minutes\", and as = \"hold_duration\", or \"duration\" with the ringing"
            );
            screen::line(screen::styled(screen::WAIT, what));
        }
        for (meaning, who) in [
            (Meaning::CallerId, "called"),
            (Meaning::CalledId, "was called"),
        ] {
            if !tells(meaning) {
                let what = format!(
                    "no column is known to say who {who}: mark one, as = {:?}",
                    meaning.word()
                );
                screen::line(screen::styled(screen::WAIT, what));
            }
        }
        let says = self.columns_and_events(&fit.settings, guessed.local_times);
        say_joined(&fit);
        screen::line("");
        head("to paste and adjust");
        self.source(CALL, "", guessed.local_times.then_some(says), false);
        if guessed.header == Header::Present {
            screen::line("header = \"present\"");
        }
        if format.id_keys.is_empty() {
            screen::line(
                "# id_keys = [[\"…\"]]: a column, or several, that no two rows share; without it a row is known by its place in the file",
            );
        }
        // Those of a call.
        let all = Meaning::ALL.iter();
        let of_calls = all.take_while(|(_, meaning)| *meaning != Meaning::EventTime);
        let words = of_calls.map(|(word, _)| *word);
        let words: Vec<&str> = words.collect();
        screen::line(format_args!("# as: {}", words.join(", ")));
        let types: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
        screen::line(format_args!("# type: {}", types.join(", ")));
        let pasted = presets::as_source(format, "own").unwrap_or_default();
        screen::line(pasted.trim_end());
        fit.fits()
    }

    /// Shows the columns of a file in which nothing says when something happened.
    fn untimed(&self, guessed: &Guessed) {
        let what = "no column says when a call happened, so there is no event yet; mark one with type = \"time\", as = \"start_time\", and a zone if it has none";
        screen::line(screen::styled(screen::BAD, what));
        screen::line("");
        let columns = guessed
            .table
            .layout
            .iter()
            .flat_map(|layout| &layout.columns);
        for (index, (column, (looks, values))) in columns.zip(&guessed.columns).enumerate() {
            let values: Vec<String> = values.iter().map(|value| self.shown(value)).collect();
            let row = format!(
                "{:>3}  {:<24} {looks:<15}{}",
                index + 1,
                column.name,
                values.join("  ")
            );
            screen::line(row.trim_end());
        }
    }

    /// The first row beside its meanings, and the first events of each type; and what the ids of the
    /// calls say of the clock, where that matters.
    fn columns_and_events(&self, settings: &Settings, local_times: bool) -> Option<Says> {
        let calls = CallSettings::default();
        let maker = Maker::new("node".into(), "cdr".into(), calls);
        let (mut rows, mut events, mut kinds) = (Vec::new(), Vec::new(), HashSet::new());
        let (mut of, mut is_answered) = ("first row", false);
        let mut ids = IdClock::default();
        guess::each_row(self.sample, settings.clone(), |row| {
            let Row::Good {
                record,
                raw,
                offset,
            } = row
            else {
                return;
            };
            ids.add(&record);
            let layout = record.layout();
            if events.len() == EVENTS_MAX {
                return;
            }
            let first_row = &[0; 32];
            let offset = offset as u64;
            let origin = Origin {
                first_row,
                offset,
                raw,
            };
            let event = maker.make(&record, &settings.format, origin);
            let answered = event.data.ends_with(b"true}");
            // A call that was answered has a value in most of its columns.
            if rows.is_empty() || (answered && !is_answered) {
                if !rows.is_empty() {
                    of = "first answered call";
                }
                rows = self.columns(&record);
                is_answered = answered;
            }
            if kinds.insert((layout.event.clone(), layout.state.clone(), answered)) {
                events.push(event);
            }
        });
        screen::line("");
        head(format_args!(
            "columns of the {of}: name, type, value, key of the event"
        ));
        rows.iter().for_each(screen::line);
        screen::line("");
        head("the first events");
        for event in &events {
            self.event(event);
        }
        if !local_times {
            return None;
        }
        if self.zone_name.is_none() {
            screen::line("# local times are read as UTC here; give --timezone");
        }
        let says = ids.says(&self.zone);
        if let (Some(zone), Some(says)) = (self.zone_name, says.filter(|says| !says.agrees())) {
            let what = format!(
                "its call ids say that the clock showed {} on {}, and {zone} has {}: is that the switch's zone?",
                written(says.shown),
                says.day,
                written(says.read)
            );
            screen::line(screen::styled(screen::BAD, what));
        }
        says
    }

    fn columns(&self, record: &Record<'_>) -> Vec<String> {
        let columns = record.layout().columns.iter().enumerate();
        let rows = columns.map(|(index, column)| {
            let text = record.text(index);
            let value = match column.kind {
                Kind::Time => cut(text),
                _ => self.shown(text),
            };
            let key = match column.meaning {
                Some(meaning) => format!("→ {}", meaning.word()),
                None if column.drop => "(not told)".to_string(),
                None if &*record.layout().event == CALL => "(with extra = true)".to_string(),
                None => format!("→ {}", column.name),
            };
            let kind = word_of(column.kind);
            let row = format!(
                "{:>3}  {:<24} {kind:<13} {value:<38}{key}",
                index + 1,
                column.name
            );
            row.trim_end().to_string()
        });
        rows.collect()
    }

    fn event(&self, event: &Event) {
        screen::line(screen::styled(
            screen::DIM,
            format_args!("{} at {}", event.kind, event.time),
        ));
        let data = String::from_utf8_lossy(&event.data).into_owned();
        screen::line(if self.payload { data } else { masked(&data) });
    }

    /// The keys of a `[[source]]` that say where its files are, and for local `times`, of whose clock
    /// ids say something or nothing, the zone.
    fn source(&self, name: &str, format: &str, times: Option<Option<Says>>, is_document: bool) {
        let path = self
            .path
            .canonicalize()
            .unwrap_or_else(|_| self.path.to_owned());
        screen::line(format_args!("[[source]]\nname = {name:?}"));
        if !format.is_empty() {
            screen::line(format_args!("format = {format:?}"));
        }
        let directory = path
            .parent()
            .unwrap_or(Path::new("/"))
            .display()
            .to_string();
        if is_document {
            screen::line(format_args!("directory = {}", toml::Value::from(directory)));
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let directory = Pattern::escape(directory.trim_end_matches('/'));
            let glob = format!("{directory}/{}", dated(&name));
            screen::line(format_args!("files = {}", toml::Value::from(vec![glob])));
        }
        screen::line("start = \"now\"");
        if let Some(says) = times {
            let zone = self.zone_name.unwrap_or("UTC");
            let remark = match (self.zone_name, says) {
                (None, Some(says)) => format!(
                    "   # change it to the zone that the switch's clock shows: by its call ids one with {} on {}",
                    written(says.shown),
                    says.day
                ),
                (None, None) => {
                    "   # change it to the zone that the switch's clock shows".to_string()
                }
                (Some(_), Some(says)) if says.agrees() => "   # its call ids agree".to_string(),
                (Some(_), _) => String::new(),
            };
            screen::line(format_args!("timezone = {zone:?}{remark}"));
        }
        if !self.encoding.eq_ignore_ascii_case("utf-8") {
            // Those whose bytes look alike.
            let others = match self.encoding {
                "gbk" => "big5, shift_jis or euc-kr",
                "windows-1251" => "koi8-r or windows-1256",
                _ => "windows-1250, windows-1254 or gbk",
            };
            screen::line(format_args!(
                "encoding = {:?}   # found by its bytes; where names look wrong, try --encoding with another, as {others}",
                self.encoding
            ));
        }
    }

    /// A value as a screen may show it: short, in one line, and unless all is wanted without
    /// telephone numbers.
    fn shown(&self, value: &str) -> String {
        cut(&if self.payload {
            value.to_string()
        } else {
            masked(value)
        })
    }
}

/// Where the objects of a list are inside a page of an interface, as jq writes it; nothing where the
/// page is a call itself, which has other objects beside its lists.
fn list_inside(page: &serde_json::Value) -> Option<String> {
    use serde_json::Value::{Array, Object};
    match page {
        Array(pages) if pages.len() == 1 => Some(format!(".[]{}", list_inside(pages.first()?)?)),
        Object(members) => {
            let is_full = |value: &&serde_json::Value| matches!(value, Array(_) | Object(_));
            let mut full = members.iter().filter(|(_, value)| is_full(value));
            let ((name, value), None) = (full.next()?, full.next()) else {
                return None;
            };
            match value {
                Array(items) => {
                    let item = items.first()?.as_object()?;
                    (!item.is_empty()).then(|| format!(".{name}[]"))
                }
                inner => Some(format!(".{name}{}", list_inside(inner)?)),
            }
        }
        _ => None,
    }
}

/// Says that calls are told in lines that are joined, where that is so.
fn say_joined(fit: &Fit) {
    if fit.tally.calls.are_joined() {
        screen::line(
            "# each line alone; the agent joins a call's beginning and end and tells it once: `switchhook check` shows it so",
        );
    }
}

/// Whether most lines of `bytes` are JSON behind what syslog puts before a message.
fn has_json_behind_heads(bytes: &[u8]) -> bool {
    let is_behind = |line: &&[u8]| {
        let start = memchr::memmem::find(line, b": {").and_then(|at| line.get(at + 2..));
        !line.starts_with(b"{")
            && start.is_some_and(|json| {
                serde_json::from_slice::<serde::de::IgnoredAny>(json.trim_ascii()).is_ok()
            })
    };
    let lines = || {
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
    };
    lines().filter(is_behind).count() * 2 > lines().count()
}

/// Whether `bytes` begin with the names and types of a table of db_text: `id(int,auto) method(string)`.
fn is_db_text(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == b'\n').next();
    let first = first.map(String::from_utf8_lossy).unwrap_or_default();
    let mut names = first.split_whitespace().peekable();
    let is_named = |name: &str| name.ends_with(')') && name.find('(').is_some_and(|at| at > 0);
    names.peek().is_some() && names.all(is_named)
}

/// Whether `row` of the table `acc` tells a whole call, as OpenSIPS has it by `do_accounting("db", "cdr")`:
/// its last four columns are the seconds until the answer, the beginning, and the length in seconds and
/// in milliseconds.
fn tells_whole_call(row: &str) -> bool {
    const TIME: usize = 6;
    let fields: Vec<&str> = row.trim_end().split('|').collect();
    let number = |text: &str| text.parse::<i64>().ok();
    let (Some(time), [_, .., setup, created, secs, millis]) = (fields.get(TIME), fields.as_slice())
    else {
        return false;
    };
    let told = [*time, setup, created, secs, millis].map(number);
    let [
        Some(time),
        Some(setup),
        Some(created),
        Some(secs),
        Some(millis),
    ] = told
    else {
        return false;
    };
    fields.len() >= TIME + 5
        && created > 0
        && (time - created - setup).abs() <= 1
        && (millis / 1_000 - secs).abs() <= 1
}

/// The types of events that `format` makes, each once.
fn kinds(format: &Format) -> Vec<&str> {
    let mut kinds: Vec<&str> = format.events().collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn head(text: impl std::fmt::Display) {
    screen::line(screen::styled(screen::HEAD, text));
}

fn cut(value: &str) -> String {
    let mut text: String = value
        .chars()
        .take(VALUE_CHARS_MAX)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if value.chars().nth(VALUE_CHARS_MAX).is_some() {
        text.push('…');
    }
    text
}

/// `text` with all but the last two of many digits in a row hidden.
fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, digits) = rest.split_at(start);
        let end = digits
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(digits.len());
        let (number, behind) = digits.split_at(end);
        shown.push_str(before);
        match number.split_at_checked(number.len().saturating_sub(2)) {
            Some((hidden, last)) if number.len() >= NUMBER_DIGITS_MIN => {
                shown.extend(hidden.chars().map(|_| '*'));
                shown.push_str(last);
            }
            _ => shown.push_str(number),
        }
        rest = behind;
    }
    shown + rest
}

/// A glob for files called as `name` but of another date: digits that may be a date are `*`.
fn dated(name: &str) -> String {
    const DATE_DIGITS_MIN: usize = 6;
    let mut glob = String::new();
    let mut rest = name;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, digits) = rest.split_at(start);
        let end = digits
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(digits.len());
        let (number, behind) = digits.split_at(end);
        glob.push_str(&Pattern::escape(before));
        glob.push_str(if number.len() >= DATE_DIGITS_MIN {
            "*"
        } else {
            number
        });
        rest = behind;
    }
    glob + &Pattern::escape(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_digits_in_a_row_are_hidden_but_for_two() {
        assert_eq!(masked("+442079460101 for 147 s"), "+**********01 for 147 s");
        assert_eq!(masked("é7777#61491570006"), "é7777#*********06");
        assert_eq!(masked("2026-04-10T14:28:15Z"), "2026-04-10T14:28:15Z");
    }

    #[test]
    fn the_date_in_a_name_becomes_a_star() {
        for (name, expected) in [
            ("cdr_20260410143000.csv", "cdr_*.csv"),
            ("2026041014.txt", "*.txt"),
            ("Master.csv", "Master.csv"),
            ("cdr39.csv", "cdr39.csv"),
            ("cdr[1] 20260410.csv", "cdr[[]1[]] *.csv"),
        ] {
            assert_eq!(dated(name), expected);
        }
    }
}

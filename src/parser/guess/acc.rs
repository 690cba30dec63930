//! Rows of the table `acc` of Kamailio and OpenSIPS, however they were exported: the beginning of a call
//! and its end are rows of their own, which the agent joins.

use super::super::format::{FormatTable, Kind, Meaning};
use super::super::record::seconds;
use super::columns::Guess;
use super::kinds::bare;

/// The columns of the table (`acc-create.sql` of both), by their letters and digits in lower case.
const NAMES: [(&str, Meaning, Kind); 6] = [
    ("method", Meaning::Method, Kind::Text),
    ("fromtag", Meaning::FromTag, Kind::Text),
    ("totag", Meaning::ToTag, Kind::Text),
    ("callid", Meaning::CallId, Kind::Text),
    ("sipcode", Meaning::EndReason, Kind::Integer),
    ("sipreason", Meaning::DisconnectReason, Kind::Text),
];

/// The column of the time of such a row.
const TIME: &str = "time";

/// The methods of rows that tell of calls.
const METHODS: [&str; 2] = ["INVITE", "BYE"];

fn length(row: &[String], index: usize) -> Option<i64> {
    seconds(row.get(index)?.trim())
}

/// Gives the columns the meanings that they have in the table `acc`, where all of it are there; whether
/// they are. Rows of OpenSIPS that tell of a whole call, with a length, are left as they are.
pub(super) fn take(guesses: &mut [Guess], rows: &[Vec<String>]) -> bool {
    let place =
        |guesses: &[Guess], name: &str| guesses.iter().position(|guess| bare(&guess.name) == name);
    let told = NAMES.map(|(name, meaning, kind)| Some((place(guesses, name)?, meaning, kind)));
    let Some(time) = place(guesses, TIME) else {
        return false;
    };
    let is_whole = place(guesses, "duration")
        .is_some_and(|index| rows.iter().any(|row| length(row, index) > Some(0)));
    if is_whole || told.iter().any(Option::is_none) {
        return false;
    }
    for guess in guesses.iter_mut() {
        let is_of_calls = matches!(
            guess.meaning,
            Some(
                Meaning::StartTime
                    | Meaning::AnswerTime
                    | Meaning::EndTime
                    | Meaning::Duration
                    | Meaning::HoldDuration
                    | Meaning::BillDuration
            )
        );
        let is_taken = NAMES
            .iter()
            .any(|(_, meaning, _)| guess.meaning == Some(*meaning));
        if is_of_calls || is_taken {
            (guess.meaning, guess.kind) = (None, Kind::Text);
        }
    }
    let time = Some((time, Meaning::EventTime, Kind::Time));
    for (index, meaning, kind) in told.into_iter().chain([time]).flatten() {
        if let Some(guess) = guesses.get_mut(index) {
            (guess.meaning, guess.kind) = (Some(meaning), kind);
        }
    }
    true
}

/// Has `table`, whose one layout is of such rows, read those of calls alone, each once.
pub(super) fn finish(table: &mut FormatTable) {
    let Some(layout) = table.layout.first_mut() else {
        return;
    };
    let name_of = |meaning: Meaning| {
        let column = layout
            .columns
            .iter()
            .find(|column| column.meaning.as_deref() == Some(meaning.word()));
        column.map(|column| column.name.clone())
    };
    let key = [
        Meaning::CallId,
        Meaning::FromTag,
        Meaning::ToTag,
        Meaning::Method,
        Meaning::EndReason,
        Meaning::EventTime,
    ];
    table.id_keys = vec![key.into_iter().filter_map(name_of).collect()];
    let methods = METHODS.map(str::to_owned).to_vec();
    let method = name_of(Meaning::Method).map(|name| (name, methods));
    layout.when.extend(method);
}

#![no_main]

//! Formats as operators write them: the text up to a line of dashes, and rows behind it.

mod drive;

use libfuzzer_sys::fuzz_target;
use switchhook::parser::Format;
use switchhook::parser::format::FormatTable;

fuzz_target!(|data: &[u8]| {
    let at = data.windows(5).position(|part| part == b"\n---\n");
    let Some((table, rows)) = at.map(|at| (&data[..at], &data[at + 5..])) else {
        return;
    };
    let Ok(table) = std::str::from_utf8(table) else {
        return;
    };
    if let Ok(table) = toml::from_str::<FormatTable>(table)
        && let Ok(format) = Format::from_table(&table)
    {
        drive::read(&drive::Input::new(rows), format);
    }
});

#![no_main]

use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use switchhook::parser::encoding::Decoder;
use switchhook::parser::guess::{self, Sample};
use switchhook::parser::Format;

fuzz_target!(|data: &[u8]| {
    let decoder = Decoder::for_label(guess::encoding(data)).unwrap();
    let sample = Sample { bytes: data, is_whole: true, name: "x", decoder };
    let _ = guess::by_presets(sample, &TimeZone::UTC);
    if let Some(guessed) = guess::guess(sample, &TimeZone::UTC)
        && let Ok(format) = Format::from_table(&guessed.table)
    {
        let _ = guess::by_format(sample, format, None, guessed.header, &TimeZone::UTC);
    }
});

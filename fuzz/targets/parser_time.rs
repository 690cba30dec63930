#![no_main]

//! Times of rows, and templates of FreeSWITCH: texts of a line.

use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use switchhook::parser::{Format, presets, template, time};

static PRESET: LazyLock<Format> = LazyLock::new(|| presets::find(template::PRESET).unwrap());

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        for zone in [None, Some(&TimeZone::UTC)] {
            if let Ok(Some(told)) = time::read(text, zone) {
                let _ = told.at.to_string();
            }
        }
        let _ = template::format(&PRESET, text);
    }
});

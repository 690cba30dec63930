#![no_main]

mod drive;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| drive::presets(data, |format| format.reader.is_document()));

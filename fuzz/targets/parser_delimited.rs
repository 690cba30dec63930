#![no_main]

mod drive;

use libfuzzer_sys::fuzz_target;
use switchhook::parser::reader::Reader;

fuzz_target!(|data: &[u8]| drive::presets(data, |format| matches!(format.reader, Reader::Delimited(_))));

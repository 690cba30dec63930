#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchhook::fuzz::run("derive_rows", bytes));

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchhook::queue::fuzz::key(bytes));

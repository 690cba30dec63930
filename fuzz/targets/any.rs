//! The target that `FUZZ_TARGET` names: all of them in one program, which takes one link instead of
//! forty.

#![no_main]

use std::sync::LazyLock;

static NAME: LazyLock<String> =
    LazyLock::new(|| std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchhook::fuzz::run(&NAME, bytes));

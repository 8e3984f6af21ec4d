//! See `gob_fuzz::framer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gob_fuzz::framer(bytes));

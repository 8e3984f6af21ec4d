//! See `gob_fuzz::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gob_fuzz::request(bytes));

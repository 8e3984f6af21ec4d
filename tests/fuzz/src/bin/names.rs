//! See `gob_fuzz::names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gob_fuzz::names(bytes));

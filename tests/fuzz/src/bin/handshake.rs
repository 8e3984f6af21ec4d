//! See `gob_fuzz::handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gob_fuzz::handshake(bytes));

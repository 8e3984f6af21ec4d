//! Tries bytes that are made by chance from the golden frames against the properties of `tests/fuzz`.
//!
//! `GOB_FUZZ_RUNS=N` tries this many per property; a failure prints its seed, and `GOB_FUZZ_SEED=S` tries
//! that one alone.
#![allow(missing_docs, reason = "a test has no interface")]

#[path = "../fuzz/src/lib.rs"]
mod properties;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const RUNS: u64 = 20_000;

/// Fragments that a parser may stumble over.
const PARTS: [&[u8]; 20] = [
    b"\n",
    b"\r\n",
    b"{",
    b"}",
    b"[",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"1e400",
    b"-0",
    b"null",
    b"..",
    b"/",
    b"~2E",
    b"\xff",
    b"\xe2\x82",
    b"\0",
    b"{\"ready\":true,\"port\":1}\n",
    b"\"id\":18446744073709551615",
    b"\"type\":\"nuke\"",
];

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/golden");
    let mut files: Vec<_> = fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Sorted so that seeds mean the same everywhere.
    files.sort();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "jsonl"));
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Returns a frame of the corpus, changed in a few places.
fn bytes(corpus: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut bytes = corpus[dice.below(corpus.len())].clone();
    // A prefix that tells properties how to cut the rest.
    let prefix: Vec<u8> = (0..4).map(|_| dice.below(256) as u8).collect();
    if dice.below(2) == 0 {
        bytes.splice(0..0, prefix);
    }
    for _ in 0..dice.below(8) {
        let at = dice.below(bytes.len() + 1);
        let to = (at + dice.below(20)).min(bytes.len());
        match dice.below(5) {
            0 => drop(bytes.drain(at..to)),
            1 => drop(bytes.splice(at..at, PARTS[dice.below(PARTS.len())].iter().copied())),
            2 => bytes[at..to].reverse(),
            3 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len() + 1);
                let piece = &other[from..(from + dice.below(40)).min(other.len())];
                drop(bytes.splice(at..to, piece.iter().copied()));
            }
            _ if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            _ => bytes.push(dice.below(256) as u8),
        }
    }
    bytes
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn hold(property: fn(&[u8])) {
    let corpus = corpus();
    if let Some(seed) = number("GOB_FUZZ_SEED") {
        let bytes = bytes(&corpus, seed);
        eprintln!("{:?}", String::from_utf8_lossy(&bytes));
        property(&bytes);
        return;
    }
    for seed in 0..number("GOB_FUZZ_RUNS").unwrap_or(RUNS) {
        let bytes = bytes(&corpus, seed);
        let held = catch_unwind(AssertUnwindSafe(|| property(&bytes)));
        assert!(
            held.is_ok(),
            "{:?}\ntry it again with GOB_FUZZ_SEED={seed}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn framer() {
    hold(properties::framer);
}

#[test]
fn request() {
    hold(properties::request);
}

#[test]
fn handshake() {
    hold(properties::handshake);
}

#[test]
fn names() {
    hold(properties::names);
}

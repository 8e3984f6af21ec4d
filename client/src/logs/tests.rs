//! Tests of reading logs. Those of following them are in `following`, those of windows and panes in `windows`.

mod following;
mod windows;

use super::*;
use gob_protocol::Timestamp;
use gob_protocol::logindex::Record;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// Writes like the supervisor: data, then its record; on a rotation the files move up, then a mark.
struct Writer {
    dir: PathBuf,
    run: u64,
    offsets: [u64; 2],
    time: i64,
}

impl Writer {
    fn new(test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("gob-logs-{test}-{}", std::process::id()));
        std::fs::remove_dir_all(&dir).ok();
        std::fs::create_dir_all(&dir).unwrap();
        Self { dir, run: 1, offsets: [0, 0], time: 0 }
    }

    fn append(&self, name: String, bytes: &[u8]) {
        let path = self.dir.join(name);
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    fn log(&self, stream: Stream) -> PathBuf {
        self.dir.join(format!("{}.{}.log", self.run, stream.as_str()))
    }

    fn record(&mut self, stream: Stream, len: Option<u32>) {
        self.time += 1;
        let offset = self.offsets[usize::from(stream == Stream::Stderr)];
        let record = Record { time: Timestamp(self.time), stream, offset, len };
        self.append(format!("{}.idx", self.run), &record.to_bytes());
    }

    fn data_only(&self, stream: Stream, text: &str) {
        self.append(format!("{}.{}.log", self.run, stream.as_str()), text.as_bytes());
    }

    fn write(&mut self, stream: Stream, text: &str) {
        self.data_only(stream, text);
        self.record(stream, Some(u32::try_from(text.len()).unwrap()));
        self.offsets[usize::from(stream == Stream::Stderr)] += text.len() as u64;
    }

    fn rotate(&mut self, stream: Stream, keep: u32) {
        let log = self.log(stream);
        let numbered = |n: u32| PathBuf::from(format!("{}.{n}", log.display()));
        std::fs::remove_file(numbered(keep)).ok();
        for n in (1..keep).rev() {
            std::fs::rename(numbered(n), numbered(n + 1)).ok();
        }
        std::fs::rename(&log, numbered(1)).unwrap();
        // The next bytes create the new file.
        self.record(stream, None);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

fn text(pieces: &[Piece]) -> String {
    let shown = |piece: &Piece| {
        let stream = if piece.stream == Stream::Stdout { 'o' } else { 'e' };
        let start = if piece.starts_line { ':' } else { '+' };
        format!("{stream}{start}{}", String::from_utf8_lossy(&piece.bytes))
    };
    pieces.iter().map(shown).collect()
}

fn rest(run: &mut Run) -> String {
    let mut pieces = Vec::new();
    while let Some(piece) = run.next_piece().unwrap() {
        pieces.push(piece);
    }
    text(&pieces)
}

#[test]
fn lines_come_in_the_order_in_which_they_ended() {
    let mut writer = Writer::new("order");
    writer.write(Stream::Stdout, "a\nb");
    writer.write(Stream::Stderr, "x\n");
    writer.write(Stream::Stdout, "b\nc");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(rest(&mut run), "o:a\ne:x\no:bb\n");
    assert_eq!(text(&run.unfinished()), "o:c");
    writer.write(Stream::Stdout, "c\n");
    assert_eq!(rest(&mut run), "o+c\n", "what comes later continues it");
    let mut only = Run::open(&writer.dir, 1, &[Stream::Stderr]).unwrap();
    assert_eq!(rest(&mut only), "e:x\n");
    assert_eq!(runs(&writer.dir).unwrap(), [1]);
}

#[test]
fn reading_goes_on_across_rotations() {
    let mut writer = Writer::new("rotate");
    writer.write(Stream::Stdout, "1\n");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(rest(&mut run), "o:1\n");
    for n in 2..9 {
        writer.write(Stream::Stdout, &format!("{n}a\n"));
        writer.rotate(Stream::Stdout, 3);
        writer.write(Stream::Stdout, &format!("{n}b\n"));
        writer.write(Stream::Stderr, "e\n");
        assert_eq!(rest(&mut run), format!("o:{n}a\no:{n}b\ne:e\n"));
    }
    let mut fresh = Run::open(&writer.dir, 1, &[Stream::Stdout]).unwrap();
    assert_eq!(rest(&mut fresh), "o:5b\no:6a\no:6b\no:7a\no:7b\no:8a\no:8b\n", "older ones are gone");
}

#[test]
fn a_file_that_comes_after_its_mark_is_read() {
    let mut writer = Writer::new("after");
    writer.write(Stream::Stdout, "1\n");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    writer.rotate(Stream::Stdout, 3);
    assert_eq!(rest(&mut run), "o:1\n", "the mark is read, and there is no file for it");
    writer.write(Stream::Stdout, "2\n");
    writer.write(Stream::Stdout, "3\n");
    assert_eq!(rest(&mut run), "o:2\no:3\n");
    writer.rotate(Stream::Stdout, 3);
    assert_eq!(rest(&mut run), "");
    writer.data_only(Stream::Stdout, "4\n");
    assert!(run.take_rest().unwrap(), "no record came");
    assert_eq!(rest(&mut run), "o:4\n");
}

#[test]
fn a_reader_that_fell_behind_gets_all_that_is_left() {
    let mut writer = Writer::new("behind");
    writer.write(Stream::Stdout, "1\n");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(rest(&mut run), "o:1\n");
    for n in 2..5 {
        writer.rotate(Stream::Stdout, 5);
        writer.write(Stream::Stdout, &format!("{n}\n"));
    }
    assert_eq!(rest(&mut run), "o:2\no:3\no:4\n");
}

#[test]
fn a_half_done_rotation_is_waited_for() {
    let mut writer = Writer::new("half");
    writer.write(Stream::Stdout, "1\n");
    writer.rotate(Stream::Stdout, 5);
    writer.write(Stream::Stdout, "22\n");
    // Moved, and no mark yet; the new file is missing too.
    let log = writer.log(Stream::Stdout);
    let numbered = |n: u32| PathBuf::from(format!("{}.{n}", log.display()));
    std::fs::rename(numbered(1), numbered(2)).unwrap();
    std::fs::rename(&log, numbered(1)).unwrap();
    let mut without = Run::open(&writer.dir, 1, &BOTH).unwrap();
    File::create(&log).unwrap();
    let mut with = Run::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(rest(&mut without), "o:1\no:22\n");
    assert_eq!(rest(&mut with), "o:1\no:22\n");
    writer.record(Stream::Stdout, None);
    writer.write(Stream::Stdout, "3\n");
    assert_eq!(rest(&mut without), "o:3\n");
    assert_eq!(rest(&mut with), "o:3\n");
}

#[test]
fn a_rewritten_index_is_followed() {
    let mut writer = Writer::new("anew");
    for n in 0..3 {
        writer.write(Stream::Stdout, &format!("{n}\n"));
        writer.write(Stream::Stderr, "e\n");
        writer.rotate(Stream::Stdout, 2);
    }
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(rest(&mut run), "e:e\no:1\ne:e\no:2\ne:e\n");
    let (old, new) = (writer.dir.join("1.idx"), writer.dir.join("1.idx.new"));
    let records = std::fs::read(&old).unwrap();
    std::fs::write(&new, &records[24..]).unwrap();
    std::fs::rename(&new, &old).unwrap();
    writer.write(Stream::Stdout, "3\n");
    assert_eq!(rest(&mut run), "o:3\n");
}

#[test]
fn the_last_lines() {
    let mut writer = Writer::new("tail");
    for n in 0..2000 {
        writer.write(Stream::Stdout, &format!("line {n}\n"));
        if n % 100 == 0 {
            writer.rotate(Stream::Stdout, 50);
        }
    }
    writer.write(Stream::Stderr, "be");
    writer.write(Stream::Stdout, "last\n");
    for _ in 0..700 {
        writer.write(Stream::Stderr, "e");
    }
    let last = |count: usize| text(&Run::open(&writer.dir, 1, &BOTH).unwrap().last_lines(count).unwrap());
    let open = format!("e:be{}", "e".repeat(700));
    assert_eq!(last(1), open);
    assert_eq!(last(3), format!("o:line 1999\no:last\n{open}"));
    assert_eq!(last(0), "");
    assert!(last(100_000).starts_with("o:line 0\no:line 1\n"));
    let mut run = Run::open(&writer.dir, 1, &[Stream::Stdout]).unwrap();
    assert_eq!(text(&run.last_lines(2).unwrap()), "o:line 1999\no:last\n");
    writer.write(Stream::Stdout, "more\n");
    assert_eq!(rest(&mut run), "o:more\n");
}

#[test]
fn the_end_is_read_within_a_number_of_lines_and_of_bytes() {
    let mut writer = Writer::new("within");
    for n in 0..1000 {
        writer.write(Stream::Stdout, &format!("line {n}\n"));
    }
    let end = |count, bytes| {
        let (pieces, is_cut) = Run::open(&writer.dir, 1, &BOTH).unwrap().last_within(count, bytes).unwrap();
        (text(&pieces), is_cut)
    };
    assert_eq!(end(2, 999), ("o:line 998\no:line 999\n".to_owned(), true));
    assert_eq!(end(9, 12), ("o:line 999\n".to_owned(), true), "two of them have more bytes");
    assert_eq!(end(0, 99), (String::new(), true));
    let (all, is_cut) = end(1000, 1 << 20);
    assert!(!is_cut && all.starts_with("o:line 0\n"), "{is_cut}");
    // A worker that writes no line feed at all.
    for _ in 0..40 {
        writer.write(Stream::Stderr, &"e".repeat(32 << 10));
    }
    let (pieces, is_cut) = Run::open(&writer.dir, 1, &BOTH).unwrap().last_within(5, 100 << 10).unwrap();
    let bytes: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    assert!(is_cut && bytes > 0 && bytes <= 100 << 10, "{bytes} bytes");
}

#[test]
fn what_comes_behind_the_end_of_one_moment_is_left_for_later() {
    let mut writer = Writer::new("bounded");
    let mut unindexed = Writer::new("bounded-unindexed");
    writer.write(Stream::Stdout, "a\nb\n");
    writer.data_only(Stream::Stderr, "e\n");
    unindexed.data_only(Stream::Stdout, "a\n");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    run.end_here().unwrap();
    let mut other = Run::open(&unindexed.dir, 1, &BOTH).unwrap();
    other.end_here().unwrap();
    writer.record(Stream::Stderr, Some(2));
    writer.offsets[1] = 2;
    for n in 0..3000 {
        writer.write(Stream::Stdout, &format!("later {n}\n"));
        writer.write(Stream::Stderr, "later\n");
    }
    writer.rotate(Stream::Stdout, 2);
    writer.write(Stream::Stdout, "behind\n");
    unindexed.write(Stream::Stdout, "later\n");
    assert_eq!(rest(&mut run), "o:a\no:b\n");
    assert!(run.take_rest().unwrap());
    assert_eq!(rest(&mut run), "e:e\n");
    assert!(!run.take_rest().unwrap() && run.unfinished().is_empty());
    run.go_on();
    let all = rest(&mut run);
    assert!(all.starts_with("o:later 0\ne:later\n") && all.ends_with("e:later\no:behind\n"), "{}", all.len());
    assert_eq!(other.last_within(9, 99).unwrap().0.len(), 1, "without an index its end is that of the file");
}

#[test]
fn the_beginning_of_an_open_line_is_looked_for_across_a_rotation() {
    let mut writer = Writer::new("open-rotated");
    writer.write(Stream::Stderr, "early\nearlier ");
    writer.rotate(Stream::Stderr, 5);
    writer.write(Stream::Stderr, "half\nope");
    for n in 0..1000 {
        writer.write(Stream::Stdout, &format!("line {n}\n"));
    }
    writer.write(Stream::Stderr, "n\n");
    let last = Run::open(&writer.dir, 1, &BOTH).unwrap().last_lines(2).unwrap();
    assert_eq!(text(&last), "o:line 999\ne:open\n");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    run.skip_to_time(Timestamp(1000)).unwrap();
    assert!(rest(&mut run).ends_with("o:line 999\ne:open\n"));
}

#[test]
fn without_an_index_and_behind_it() {
    let mut writer = Writer::new("noindex");
    writer.data_only(Stream::Stdout, "a\nb");
    writer.data_only(Stream::Stderr, "x\n");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(rest(&mut run), "o:a\ne:x\n");
    writer.data_only(Stream::Stdout, "b\n");
    assert_eq!(rest(&mut run), "o:bb\n");
    writer.run = 2;
    writer.write(Stream::Stdout, "a\n");
    writer.data_only(Stream::Stdout, "lost record\n");
    let mut run = Run::open(&writer.dir, 2, &BOTH).unwrap();
    assert_eq!(rest(&mut run), "o:a\n");
    assert!(run.take_rest().unwrap());
    assert_eq!(rest(&mut run), "o:lost record\n");
    assert!(!run.take_rest().unwrap());
    assert_eq!(runs(&writer.dir).unwrap(), [1, 2]);
}

#[test]
fn a_line_without_end_comes_in_parts() {
    let mut writer = Writer::new("long");
    for _ in 0..3 {
        writer.write(Stream::Stdout, &"x".repeat(60_000));
    }
    writer.write(Stream::Stdout, "\nnext\n");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    let parts: Vec<Piece> = std::iter::from_fn(|| run.next_piece().unwrap()).collect();
    let whole: usize = parts.iter().map(|piece| piece.bytes.len()).sum();
    assert_eq!(whole, 180_006);
    assert_eq!(parts.iter().filter(|piece| piece.starts_line).count(), 2);
    assert!(parts.iter().all(|piece| piece.bytes.len() < 128 * 1024));
}

#[test]
fn a_damaged_index_does_not_stop_reading() {
    let mut writer = Writer::new("damaged");
    writer.write(Stream::Stdout, "a\n");
    writer.append("1.idx".to_owned(), &[0xff; 24]);
    writer.write(Stream::Stdout, "b\n");
    writer.append("1.idx".to_owned(), &[1; 7]);
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(rest(&mut run), "o:a\no:b\n");
}

fn texts(run: &mut Run) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(piece) = run.next_piece().unwrap() {
        texts.push(String::from_utf8(piece.bytes).unwrap());
    }
    texts
}

#[test]
fn reading_begins_with_the_line_that_was_open_at_a_time() {
    let mut writer = Writer::new("since");
    writer.write(Stream::Stdout, "early\nop");
    writer.write(Stream::Stderr, "early too\n");
    writer.write(Stream::Stdout, "en\n");
    writer.write(Stream::Stdout, "late\n");
    writer.data_only(Stream::Stderr, "unknown\n");
    let open = |since: i64| {
        let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
        run.skip_to_time(Timestamp(since)).unwrap();
        let mut texts = texts(&mut run);
        run.take_rest().unwrap();
        texts.extend(self::texts(&mut run));
        texts
    };
    assert_eq!(open(0), ["early\n", "early too\n", "open\n", "late\n", "unknown\n"]);
    assert_eq!(open(3), ["open\n", "late\n", "unknown\n"]);
    assert_eq!(open(4), ["late\n", "unknown\n"]);
    assert_eq!(open(9), ["unknown\n"], "bytes without a record have no time");
}

#[test]
fn a_clock_that_was_set_back_hides_no_late_line() {
    let mut writer = Writer::new("clock");
    writer.write(Stream::Stdout, "one\n");
    writer.time = 100;
    writer.write(Stream::Stdout, "late\n");
    writer.time = 50;
    writer.write(Stream::Stderr, "set back\n");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    run.skip_to_time(Timestamp(100)).unwrap();
    assert_eq!(texts(&mut run), ["late\n"]);
}

#[test]
fn a_long_line_is_cut_between_characters() {
    let mut writer = Writer::new("characters");
    let line = format!("x{}\n", "é€𝄞".repeat(20_000));
    writer.write(Stream::Stdout, &line);
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(texts(&mut run).concat(), line);
}

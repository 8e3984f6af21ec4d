//! Tests of windows on a run and of the pane that shows them.

use super::super::reader::Reader;
use super::super::window::{Line, Window};
use super::*;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

fn shown(reader: &Reader) -> Vec<&str> {
    reader.window().lines().iter().map(|line| line.text.as_str()).collect()
}

fn numbered(writer: &mut Writer, from: usize, to: usize) {
    for n in from..to {
        let stream = if n % 3 == 0 { Stream::Stderr } else { Stream::Stdout };
        writer.write(stream, &format!("line {n}\n"));
    }
}

fn lines(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("line {n}")).collect()
}

const NEVER: &dyn Fn() -> bool = &|| false;

#[test]
fn a_window_moves_to_the_beginning_and_back_without_a_gap() {
    let mut writer = Writer::new("window");
    numbered(&mut writer, 0, 7000);
    let mut reader = Reader::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(shown(&reader), lines(5000, 7000));
    assert!(reader.has_older() && !reader.has_newer() && reader.follows());
    let first = reader.window().first();
    while reader.has_older() {
        reader.older().unwrap();
        assert!(reader.window().lines().len() <= Window::MAX_LINES);
    }
    assert_eq!(shown(&reader), lines(0, 2000));
    assert!(reader.has_newer() && !reader.follows());
    assert_eq!(reader.window().first(), first - 5000, "numbers stay");
    while reader.has_newer() {
        reader.newer().unwrap();
    }
    assert_eq!(shown(&reader), lines(5000, 7000));
}

#[test]
fn a_held_window_does_not_move_and_tells_that_there_is_more() {
    let mut writer = Writer::new("held");
    numbered(&mut writer, 0, 10);
    writer.write(Stream::Stdout, "unfini");
    let mut reader = Reader::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(shown(&reader).last(), Some(&"unfini"));
    reader.follow(false).unwrap();
    assert!(reader.has_newer(), "the unfinished line is left out");
    reader.newer().unwrap();
    assert_eq!((shown(&reader).last(), reader.has_newer()), (Some(&"unfini"), false));
    writer.write(Stream::Stdout, "shed\n");
    assert!(reader.catch_up().unwrap() && reader.has_newer());
    assert!(!reader.catch_up().unwrap(), "it is told once");
    assert_eq!(shown(&reader).last(), Some(&"unfini"));
    reader.newer().unwrap();
    assert_eq!(shown(&reader).last(), Some(&"unfinished"));
    reader.follow(true).unwrap();
    writer.write(Stream::Stdout, "on\n");
    assert!(reader.catch_up().unwrap());
    assert_eq!(shown(&reader).last(), Some(&"on"));
}

#[test]
fn a_reader_that_follows_a_flood_skips_to_its_end() {
    let mut writer = Writer::new("flood");
    numbered(&mut writer, 0, 3);
    let mut reader = Reader::open(&writer.dir, 1, &BOTH).unwrap();
    let block: String = (0..4000).map(|n| format!("flood {n}\n")).collect();
    for _ in 0..100 {
        writer.write(Stream::Stdout, &block);
        writer.rotate(Stream::Stdout, 3);
    }
    writer.write(Stream::Stdout, "last\n");
    assert!(reader.catch_up().unwrap());
    assert_eq!(shown(&reader).last(), Some(&"last"));
    assert!(reader.window().lines().len() <= Window::MAX_LINES && reader.has_older());
    reader.older().unwrap();
    let texts = shown(&reader);
    let number = |text: &str| text.trim_start_matches("flood ").parse::<usize>().unwrap_or(4000);
    for (before, after) in texts.iter().zip(texts.iter().skip(1)) {
        assert_eq!((number(before) + 1) % 4000, number(after) % 4000, "{before}, {after}");
    }
}

#[test]
fn a_search_shows_the_lines_around_and_goes_on() {
    let mut writer = Writer::new("search");
    numbered(&mut writer, 0, 9000);
    let mut reader = Reader::open(&writer.dir, 1, &BOTH).unwrap();
    let pattern = Pattern::typed("line .*77$").unwrap();
    let find = |reader: &mut Reader, direction, from| {
        let found = reader.find(&pattern, direction, from, NEVER).unwrap();
        found.map(|number| {
            let index = reader.window().index_of(number).unwrap();
            (number, reader.window().lines()[index].text.clone())
        })
    };
    let mut from = None;
    for n in (0..90).rev() {
        let (number, text) = find(&mut reader, Direction::Older, from).unwrap();
        assert_eq!(text, format!("line {}", n * 100 + 77));
        from = Some(number);
    }
    assert_eq!(find(&mut reader, Direction::Older, from), None);
    assert!(!reader.follows());
    for n in 1..90 {
        let (number, text) = find(&mut reader, Direction::Newer, from).unwrap();
        assert_eq!(text, format!("line {}", n * 100 + 77));
        from = Some(number);
    }
    assert_eq!(find(&mut reader, Direction::Newer, from), None);
    reader.follow(true).unwrap();
    let nothing = Pattern::typed("absent").unwrap();
    assert_eq!(reader.find(&nothing, Direction::Older, None, NEVER).unwrap(), None);
    assert!(reader.follows(), "a search without a result changes nothing");
    assert_eq!(reader.find(&pattern, Direction::Older, Some(-8000), &|| true).unwrap(), None, "interrupted");
}

#[test]
fn places_are_found_again_in_an_index_that_was_written_anew() {
    let mut writer = Writer::new("window-anew");
    numbered(&mut writer, 0, 5000);
    let mut reader = Reader::open(&writer.dir, 1, &BOTH).unwrap();
    let (old, new) = (writer.dir.join("1.idx"), writer.dir.join("1.idx.new"));
    let records = std::fs::read(&old).unwrap();
    std::fs::write(&new, &records[24 * 1000..]).unwrap();
    std::fs::rename(&new, &old).unwrap();
    reader.older().unwrap();
    assert_eq!(shown(&reader), lines(2500, 4500));
    while reader.has_older() {
        reader.older().unwrap();
    }
    assert_eq!(shown(&reader), lines(1000, 3000));
}

#[test]
fn output_without_an_index_or_a_record_is_shown_once() {
    let mut writer = Writer::new("window-untold");
    writer.data_only(Stream::Stdout, "a\nb\n");
    let mut reader = Reader::open(&writer.dir, 1, &BOTH).unwrap();
    reader.older().unwrap();
    assert_eq!(shown(&reader), ["a", "b"]);
    writer.run = 2;
    numbered(&mut writer, 0, 3);
    writer.data_only(Stream::Stdout, "lost record\n");
    let mut reader = Reader::open(&writer.dir, 2, &BOTH).unwrap();
    assert!(reader.has_untold().unwrap());
    reader.take_untold().unwrap();
    assert_eq!(shown(&reader), ["line 0", "line 1", "line 2", "lost record"]);
    reader.older().unwrap();
    reader.newer().unwrap();
    assert_eq!(shown(&reader), ["line 0", "line 1", "line 2", "lost record"]);
}

#[test]
fn lines_longer_than_a_part_are_one_line_of_the_window() {
    let mut writer = Writer::new("window-long");
    numbered(&mut writer, 0, 2);
    for _ in 0..5 {
        writer.write(Stream::Stdout, &"x".repeat(60_000));
        writer.write(Stream::Stderr, "between\n");
    }
    writer.write(Stream::Stdout, "\nend\n");
    let mut reader = Reader::open(&writer.dir, 1, &BOTH).unwrap();
    let long = reader.window().lines().iter().filter(|line| line.is_cut).count();
    assert_eq!((long, shown(&reader).len()), (1, 9));
    assert!(reader.window().lines().iter().all(|line| line.text.len() <= Line::MAX_BYTES));
    reader.older().unwrap();
    reader.newer().unwrap();
    assert_eq!(shown(&reader).len(), 9);
}

proptest! {
    /// The window is a stretch of the output that a reader of the whole run sees, after any writes, rotations and moves.
    #[test]
    fn a_window_is_always_a_stretch_of_the_run(
        writes in prop::collection::vec((any::<bool>(), "[ab]{0,3}\n?[c\n]{0,4}", any::<bool>(), 0..8_u8), 1..60),
        moves in prop::collection::vec(0..4_u8, 0..12),
        test in any::<u64>(),
    ) {
        let mut writer = Writer::new(&format!("window-any-{test}"));
        let mut reader = Reader::open(&writer.dir, 1, &BOTH).unwrap();
        let mut moves = moves.into_iter();
        for (is_stderr, text, is_moved, rotates) in writes {
            let stream = if is_stderr { Stream::Stderr } else { Stream::Stdout };
            if !text.is_empty() {
                writer.write(stream, &text);
            }
            if rotates == 0 && writer.log(stream).exists() {
                writer.rotate(stream, 1000);
            }
            if let Some(step) = moves.next().filter(|_| is_moved) {
                match step {
                    0 => reader.older().unwrap(),
                    1 => reader.newer().unwrap(),
                    2 => reader.follow(true).unwrap(),
                    _ => drop(reader.catch_up().unwrap()),
                }
            }
        }
        reader.newer().unwrap();
        let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
        let (mut ended, mut unfinished) = (texts(&mut run), Vec::new());
        for piece in run.unfinished() {
            unfinished.push(String::from_utf8(piece.bytes).unwrap());
        }
        for line in &mut ended {
            line.pop();
        }
        let mut all = shown(&reader);
        let open = all.split_off(all.len() - unfinished.len());
        // A follower shows an unfinished line where it began; a reader of the whole run where it ended.
        all.sort_unstable();
        ended.sort_unstable();
        prop_assert_eq!(all, ended);
        prop_assert_eq!(open, unfinished);
    }
}

/// A pane whose wakes are counted.
fn pane() -> (Pane, Receiver<()>) {
    let (sender, wakes) = sync_channel(1);
    let pane = Pane::open(move || {
        sender.try_send(()).ok();
    })
    .unwrap();
    (pane, wakes)
}

fn page_when(pane: &Pane, wakes: &Receiver<()>, is_wanted: impl Fn(&Page) -> bool) -> Arc<Page> {
    loop {
        let page = pane.page();
        if is_wanted(&page) {
            return page;
        }
        wakes.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}

fn last(page: &Page) -> Option<&str> {
    page.lines.last().map(|line| line.text.as_str())
}

#[test]
fn a_pane_follows_the_latest_run_and_searches() {
    let mut writer = Writer::new("pane");
    let (pane, wakes) = pane();
    let dir = writer.dir.clone();
    pane.show(Some(Target { dir, run: None, streams: Streams::Both }));
    page_when(&pane, &wakes, |page| page.run.is_none() && page.follows);
    numbered(&mut writer, 0, 100);
    let page = page_when(&pane, &wakes, |page| last(page) == Some("line 99"));
    assert_eq!((page.run, page.lines.len()), (Some(1), 100));
    pane.find("line 5$", Direction::Older, None);
    let page = page_when(&pane, &wakes, |page| page.searched.is_some());
    assert_eq!(page.found().map(|index| page.lines[index].text.clone()), Some("line 5".to_owned()));
    pane.find("line (", Direction::Older, None);
    page_when(&pane, &wakes, |page| matches!(page.searched, Some(Searched::Invalid(_))));
    writer.run = 2;
    writer.offsets = [0, 0];
    writer.write(Stream::Stdout, "second run\n");
    pane.follow(true);
    let page = page_when(&pane, &wakes, |page| page.run == Some(2));
    assert_eq!(last(&page), Some("second run"));
    pane.show(None);
    page_when(&pane, &wakes, |page| page.lines.is_empty());
}

#[test]
fn a_pane_shows_what_no_record_tells_and_a_directory_that_is_removed() {
    let writer = Writer::new("pane-untold");
    let (pane, wakes) = pane();
    let mut writer = writer;
    writer.write(Stream::Stdout, "told\n");
    let dir = writer.dir.clone();
    pane.show(Some(Target { dir: dir.clone(), run: None, streams: Streams::Stdout }));
    page_when(&pane, &wakes, |page| last(page) == Some("told"));
    writer.data_only(Stream::Stdout, "untold\n");
    page_when(&pane, &wakes, |page| last(page) == Some("untold"));
    std::fs::remove_dir_all(&dir).unwrap();
    page_when(&pane, &wakes, |page| page.run.is_none());
}

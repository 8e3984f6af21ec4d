//! Tests of following logs: the changes that a watch wakes for, and files that rotate, are deleted or are emptied meanwhile.

use super::*;

#[test]
fn a_watch_wakes_for_a_directory_that_comes_later() {
    let writer = Writer::new("watch");
    let dir = writer.dir.join("deep/demo");
    let watch = Watch::new(vec![dir.clone()]).unwrap();
    let thread = std::thread::spawn(move || {
        while !dir.join("1.idx").exists() {
            watch.wait().unwrap();
        }
    });
    std::fs::create_dir_all(writer.dir.join("deep/demo")).unwrap();
    File::create(writer.dir.join("deep/demo/1.idx")).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_follower_loses_and_doubles_nothing_while_files_rotate() {
    let mut writer = Writer::new("race");
    let dir = writer.dir.clone();
    let watch = Watch::new(vec![dir.clone()]).unwrap();
    let thread = std::thread::spawn(move || {
        for n in 0..3000 {
            writer.write(Stream::Stdout, &format!("{n}\n"));
            if n % 7 == 0 {
                writer.rotate(Stream::Stdout, 1000);
            }
        }
        writer
    });
    let mut run = Run::open(&dir, 1, &BOTH).unwrap();
    let mut next = 0;
    while next < 3000 {
        while let Some(piece) = run.next_piece().unwrap() {
            assert_eq!(String::from_utf8_lossy(&piece.bytes), format!("{next}\n"));
            next += 1;
        }
        if next < 3000 {
            watch.wait().unwrap();
        }
    }
    drop(thread.join().unwrap());
}

#[test]
fn a_file_that_was_deleted_while_it_was_empty_is_followed_in_its_new_place() {
    let mut writer = Writer::new("deleted-empty");
    writer.data_only(Stream::Stderr, "");
    writer.write(Stream::Stdout, "a\n");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(rest(&mut run), "o:a\n");
    std::fs::remove_file(writer.log(Stream::Stderr)).unwrap();
    writer.data_only(Stream::Stderr, "");
    writer.record(Stream::Stderr, None);
    writer.write(Stream::Stderr, "x\n");
    assert_eq!(rest(&mut run), "e:x\n");
}

#[test]
fn a_file_that_was_emptied_is_a_hole_among_those_that_are_still_there() {
    let mut writer = Writer::new("hole");
    writer.write(Stream::Stdout, "kept\n");
    writer.rotate(Stream::Stdout, 5);
    writer.write(Stream::Stdout, "lost\n");
    let log = writer.log(Stream::Stdout);
    File::create(&log).unwrap().set_len(5).unwrap();
    writer.rotate(Stream::Stdout, 5);
    writer.write(Stream::Stdout, "next\n");
    let mut run = Run::open(&writer.dir, 1, &BOTH).unwrap();
    assert_eq!(rest(&mut run), "o:kept\no:next\n");
}

#[test]
fn a_watch_goes_on_when_its_directory_was_moved_away_and_made_anew() {
    // The directory itself, the one above it, and one above that.
    for moved in ["logs/deep/demo", "logs/deep", "logs"] {
        let writer = Writer::new(&format!("moved-{}", moved.len()));
        let dir = writer.dir.join("logs/deep/demo");
        std::fs::create_dir_all(&dir).unwrap();
        let watch = Watch::new(vec![dir.clone()]).unwrap();
        let (seen, told) = std::sync::mpsc::channel();
        let watched = dir.clone();
        std::thread::spawn(move || {
            for name in ["1.idx", "2.idx"] {
                while !watched.join(name).exists() {
                    watch.wait().unwrap();
                }
                seen.send(name).unwrap();
            }
        });
        std::fs::rename(writer.dir.join(moved), writer.dir.join("aside")).unwrap();
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["1.idx", "2.idx"] {
            File::create(dir.join(name)).unwrap();
            let heard = told.recv_timeout(std::time::Duration::from_secs(20));
            assert_eq!(heard, Ok(name), "{moved} was moved");
        }
    }
}

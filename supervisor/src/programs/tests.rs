//! What becomes of the programs of runs, with real files and the kernel's reports.

use super::*;
use crate::mailbox::{self, Happened};
use crate::scratch::Scratch;
use std::fs;
use std::path::Path;
use tokio::sync::mpsc::Receiver;

fn key(name: &str, run: u64) -> RunKey {
    RunKey { name: gob_protocol::Name::any(name).unwrap(), run }
}

/// Programs, the queue that they report to, and what they have told.
struct World {
    programs: Programs,
    mailbox: Receiver<Happened>,
    told: BTreeMap<RunKey, bool>,
}

impl World {
    /// Takes the next news; returns whether a file was looked at.
    async fn next(&mut self, what: &str) -> bool {
        let next = tokio::time::timeout(Duration::from_secs(10), self.mailbox.recv()).await;
        let Ok(Some(Happened::Programs(news))) = next else { panic!("{what}: {:?}", self.told) };
        let is_look = matches!(news, News::Seen(..));
        for (key, is_other) in self.programs.take(news) {
            assert_ne!(self.told.insert(key, is_other), Some(is_other), "{what}: told twice");
        }
        is_look
    }

    /// Takes news until all of them together say this; one change may be looked at more than once.
    async fn tells(&mut self, what: &str, wanted: &[(RunKey, bool)]) {
        while wanted.iter().any(|(key, is_other)| self.told.get(key) != Some(is_other)) {
            self.next(what).await;
        }
    }
}

fn run(test: impl AsyncFnOnce(World)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (to_loop, mailbox) = mailbox::mailbox();
        let programs = Programs::new(Disks::new(), Post::new(&to_loop, Happened::Programs));
        test(World { programs, mailbox, told: BTreeMap::new() }).await;
    });
}

fn replace(path: &Path, bytes: &str) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn a_program_that_is_replaced_removed_or_written_is_told_of_those_that_run_it() {
    let dir = Scratch::new("replaced");
    let path = dir.join("program");
    fs::write(&path, "1").unwrap();
    run(async |mut world| {
        let (old, new) = (key("a", 1), key("b", 1));
        world.programs.begin(old.clone(), Program::at(&path));
        world.tells("it begins", &[(old.clone(), false)]).await;
        replace(&path, "22");
        world.tells("replaced by a rename", &[(old.clone(), true)]).await;
        world.programs.begin(new.clone(), Program::at(&path));
        fs::remove_file(&path).unwrap();
        // Nothing newer lies there until then.
        tokio::time::sleep(Duration::from_millis(30)).await;
        fs::write(&path, "333").unwrap();
        world.tells("removed, and made anew", &[(old.clone(), true), (new.clone(), true)]).await;
        world.programs.end(&old);
        let last = key("c", 1);
        world.programs.begin(last.clone(), Program::at(&path));
        fs::write(&path, "4444").unwrap();
        world.tells("written in place", &[(new.clone(), true), (last.clone(), true)]).await;
        world.programs.end(&new);
        world.programs.end(&last);
        assert!(world.programs.places.is_empty() && world.programs.runs.is_empty());
    });
}

#[test]
fn a_link_to_another_file_is_another_program_and_a_copy_of_the_same_is_not() {
    let dir = Scratch::new("linked");
    let [one, two, link] = ["one", "two", "link"].map(|name| dir.join(name));
    fs::write(&one, "1").unwrap();
    fs::write(&two, "22").unwrap();
    std::os::unix::fs::symlink(&one, &link).unwrap();
    run(async |mut world| {
        let run = key("a", 1);
        world.programs.begin(run.clone(), Program::at(&link));
        world.tells("it begins", &[(run.clone(), false)]).await;
        let flip = |to: &Path| {
            let new = dir.join("new");
            std::os::unix::fs::symlink(to, &new).unwrap();
            fs::rename(new, &link).unwrap();
        };
        flip(&two);
        world.tells("it leads elsewhere", &[(run.clone(), true)]).await;
        flip(&one);
        world.tells("back again", &[(run.clone(), false)]).await;
        let (copy, at) = (dir.join("copy"), fs::metadata(&one).unwrap().modified().unwrap());
        fs::copy(&one, &copy).unwrap();
        fs::File::options().write(true).open(&copy).unwrap().set_modified(at).unwrap();
        fs::rename(&copy, &one).unwrap();
        while !world.next("a copy").await {}
        assert_eq!(world.told, BTreeMap::from([(run, false)]));
    });
}

#[test]
fn another_program_of_the_supervisor_goes_on_with_them_and_looks_at_once() {
    let dir = Scratch::new("handed");
    let path = dir.join("program");
    fs::write(&path, "1").unwrap();
    run(async |mut world| {
        world.programs.begin(key("a", 3), Program::at(&path));
        world.tells("it begins", &[(key("a", 3), false)]).await;
        let mut bytes = Vec::new();
        ciborium::into_writer(&world.programs.hand_over(), &mut bytes).unwrap();
        replace(&path, "22");
        let handed: Vec<(RunKey, Program)> = ciborium::from_reader(&bytes[..]).unwrap();
        world.programs.runs.clear();
        world.programs.places.clear();
        world.programs.resume(handed);
        world.tells("it goes on", &[(key("a", 3), true)]).await;
    });
}

#[test]
fn a_thousand_runs_of_one_program_are_looked_at_once_after_an_upgrade() {
    let dir = Scratch::new("many");
    let path = dir.join("program");
    fs::write(&path, "1").unwrap();
    let runs: Vec<(RunKey, Program)> = (0..1_000).map(|run| (key("a", run), Program::at(&path))).collect();
    run(async |mut world| {
        world.programs.resume(runs.clone());
        assert!(world.next("the first look").await);
        assert_eq!(world.told.len(), 1_000);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(world.mailbox.try_recv().is_err(), "one look is enough");
    });
}

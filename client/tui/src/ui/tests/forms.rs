//! Forms, the palette, the keys and the project's jobs.

use super::*;
use crate::project::ProjectJob;
use gob_client::call::Add;
use gob_client::protocol::request::{OnLastLease, Wait};

/// Answers the latest request of a form or a button.
fn answer(stage: &mut Stage, answer: Result<Answer, Trouble>) -> Vec<Ask> {
    let asks: Vec<_> = stage.wishes().into_iter().filter_map(as_ask).collect();
    let (id, _) = asks.last().expect("a request");
    stage.ui.answered(*id, answer, stage.now);
    stage.draw();
    asks.into_iter().map(|(_, ask)| ask).collect()
}

#[test]
fn a_graph_is_started_with_a_kind_that_is_chosen() {
    let mut stage = Stage::of(vec![], 80, 24);
    stage.keys("npapers");
    stage.key(KeyCode::Tab);
    stage.key(KeyCode::Down);
    stage.key(KeyCode::Down);
    stage.key(KeyCode::Enter);
    assert!(stage.draw().contains("oxigraph"));
    stage.key(KeyCode::Enter);
    let done = Answer::Done { said: "started papers".to_owned(), shows: Some(name("papers")), holds: false };
    let asked = answer(&mut stage, Ok(done));
    assert_eq!(asked, [Ask::Start { name: name("papers"), kind: Some("oxigraph".to_owned()) }]);
    let screen = stage.draw();
    assert!(screen.contains("started papers") && !screen.contains("Enter: Start"), "{screen}");
}

#[test]
fn a_mistake_and_a_refusal_stay_in_the_form() {
    let mut stage = Stage::of(vec![], 80, 24);
    stage.keys("N");
    stage.key(KeyCode::Enter);
    assert!(stage.draw().contains("the command is empty"));
    stage.with(|ui, _, scene| ui.input(&Event::Paste("npm run 'a b'\n".to_owned()), scene));
    stage.key(KeyCode::Enter);
    let command = ["npm", "run", "a b"].map(str::to_owned).to_vec();
    let add = Add { command, cwd: "/home/ada".to_owned(), wait: Some(Wait::Spawned), ..Add::default() };
    assert_eq!(answer(&mut stage, Err(refusal())), [Ask::Add(Box::new(add))]);
    let screen = stage.draw();
    assert!(screen.contains("server-owned-by-other") && screen.contains("npm run 'a b'"), "{screen}");
    stage.key(KeyCode::Esc);
    assert!(!stage.draw().contains("Run a command"));
}

#[test]
fn a_removal_and_a_hand_over_ask_first() {
    let mut stage = Stage::of(vec![view("old", json!({"state": "idle", "pid": null}))], 80, 24);
    stage.keys("d");
    assert!(stage.draw().contains("Remove old?"));
    assert_eq!(stage.asked(), []);
    stage.key(KeyCode::Esc);
    assert_eq!(stage.asked(), []);
    stage.keys("d");
    stage.key(KeyCode::Enter);
    assert_eq!(stage.asked(), [Ask::Remove { name: name("old") }]);
    stage.key(KeyCode::Esc);
    stage.keys("oagent");
    stage.key(KeyCode::Enter);
    assert_eq!(stage.asked(), [Ask::HandOver { name: name("old"), to: Owner::new("agent").unwrap() }]);
}

#[test]
fn the_palette_finds_commands_and_workers() {
    let mut stage = Stage::of(vec![view("notes", json!({})), view("web", json!({}))], 80, 24);
    stage.keys(":restart");
    assert!(stage.draw().contains("restart notes  (r)"));
    stage.key(KeyCode::Enter);
    assert_eq!(stage.asked(), [Ask::Restart { name: name("notes") }]);
    stage.keys(":web");
    stage.key(KeyCode::Enter);
    assert_eq!(stage.selected(), "web");
    stage.keys(":nothing like it");
    assert!(stage.draw().contains("No command and no worker"));
    stage.key(KeyCode::Enter);
    assert!(!stage.draw().contains("No command"));
}

#[test]
fn every_key_of_one_letter_is_a_command_and_is_listed() {
    let mut stage = Stage::of(vec![view("notes", json!({}))], 100, 60);
    stage.keys("?");
    let screen = stage.draw();
    let all = super::super::keys::COMMANDS.iter().chain(&super::super::keys::MORE);
    for (key, what) in all {
        assert!(screen.contains(what), "{key}: {what}\n{screen}");
    }
    stage.keys("q");
    assert!(!stage.draw().contains("Esc closes"));
    assert_eq!(stage.wishes(), []);
}

#[test]
fn pasted_text_is_no_command() {
    let mut stage = Stage::of(vec![view("notes", json!({}))], 80, 24);
    stage.with(|ui, _, scene| ui.input(&Event::Paste("sSq".to_owned()), scene));
    assert_eq!(stage.wishes(), []);
}

fn project() -> Project {
    let job = |label: &str, waves: &[&[usize]], blocked: Option<&str>| ProjectJob {
        label: label.to_owned(),
        about: format!("about {label}"),
        blocked: blocked.map(str::to_owned),
        add: Add { command: vec![label.to_owned()], cwd: "/p".to_owned(), ..Add::default() },
        waves: waves.iter().map(|wave| wave.to_vec()).collect(),
    };
    let jobs = vec![
        job("db", &[&[0]], None),
        job("web", &[&[0], &[1]], None),
        job("old", &[&[2]], Some("it is broken")),
    ];
    Project { path: "/p/.config/gobfile.toml".to_owned(), jobs: Ok(jobs) }
}

/// Returns the programs of jobs that are started under a lease that they end with.
fn leased(asks: &[Ask]) -> Vec<String> {
    let program = |ask: &'_ Ask| {
        let Ask::Add(add) = ask else { panic!("{ask:?}") };
        assert!(add.lease && add.on_last_lease == Some(OnLastLease::Stop), "{add:?}");
        add.command.first().cloned().unwrap_or_default()
    };
    asks.iter().map(program).collect()
}

#[test]
fn a_job_of_the_project_is_started_behind_those_that_it_needs() {
    let mut stage = Stage::of(vec![], 80, 24);
    stage.project = Some(project());
    stage.keys("uj");
    stage.key(KeyCode::Enter);
    let done = |name: &str| {
        Ok(Answer::Done { said: format!("started {name}"), shows: Name::any(name).ok(), holds: true })
    };
    let asked = answer(&mut stage, done("db"));
    assert_eq!(leased(&asked), ["db"]);
    let asked = answer(&mut stage, done("web"));
    assert_eq!(leased(&asked), ["web"]);
    assert_eq!(stage.asked(), []);
    assert!(stage.ui.shared.ends.contains(&name("db")) && stage.ui.shared.ends.contains(&name("web")));
    stage.key(KeyCode::Enter);
    answer(&mut stage, Err(refusal()));
    assert_eq!(stage.asked(), [], "what needs it is not started");
    stage.keys("j");
    stage.key(KeyCode::Enter);
    assert!(stage.draw().contains(" old: it is broken"));
    assert_eq!(stage.asked(), []);
}

#[test]
fn a_project_that_is_not_trusted_says_so() {
    let mut stage = Stage::of(vec![], 80, 24);
    stage.keys("u");
    assert!(stage.draw().contains("There is no project file here"));
    stage.project =
        Some(Project { path: "/p".to_owned(), jobs: Err("/p is not trusted\ngobctl trust".to_owned()) });
    let screen = stage.draw();
    assert!(screen.contains("/p is not trusted") && screen.contains("gobctl trust"), "{screen}");
}

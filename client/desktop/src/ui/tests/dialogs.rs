//! Dialogs and settings.

use super::*;
use gob_client::call::Add;
use gob_client::protocol::request::Wait;

fn type_into(window: &mut Window, label: &str, text: &str) {
    let field = window.get_by_role_and_label(Role::TextInput, label);
    field.focus();
    field.type_text(text);
    settle(window);
}

#[test]
fn a_graph_is_started_from_its_name_and_kind() {
    let mut window = window(vec![]);
    keys(&mut window, "n");
    let graph = json!({"graph": "notes", "kind": "oxigraph", "root_dir": "/g", "path": "/g/notes", "size_bytes": null, "last_used_at": null, "state": null});
    answer(&mut window, Ok(Answer::Graphs(vec![serde_json::from_value(graph).unwrap()])));
    press(&mut window, "Start");
    assert_eq!(asked(&mut window), [], "it has no name yet");
    type_into(&mut window, "Name of the graph", "no");
    window.get_by_label_contains("an empty one is made");
    press(&mut window, "notes");
    press(&mut window, "Start");
    let start = Ask::Start { name: name("notes"), kind: None };
    assert_eq!(asked(&mut window), std::slice::from_ref(&start));
    press(&mut window, "Start");
    assert_eq!(asked(&mut window), [], "it waits for the answer");
    answer(&mut window, Err(refusal()));
    window.get_by_label_contains("server-owned-by-other");
    press(&mut window, "Start");
    assert_eq!(asked(&mut window), [start]);
    let done = Answer::Done { said: "started notes".to_owned(), shows: Some(name("notes")), holds: false };
    answer(&mut window, Ok(done));
    assert!(!window.state().desk.has_dialog());
    assert_eq!(window.state().desk.shared.list.selected(), Some(&name("notes")));
}

#[test]
fn the_kind_of_a_new_graph_is_chosen() {
    let mut window = window(vec![]);
    press(&mut window, "Start a graph…");
    type_into(&mut window, "Name of the graph", "papers");
    press(&mut window, "oxigraph");
    press(&mut window, "Start");
    let kind = Some("oxigraph".to_owned());
    assert_eq!(asked(&mut window), [Ask::Start { name: name("papers"), kind }]);
}

#[test]
fn a_job_is_made_of_the_words_of_its_command() {
    let mut window = window(vec![]);
    press(&mut window, "Make a job…");
    press(&mut window, "Run");
    window.get_by_label("the command is empty");
    type_into(&mut window, "Command", "npm run 'a b");
    press(&mut window, "Run");
    window.get_by_label("a quote in the command has no end");
    type_into(&mut window, "Command", "'");
    type_into(&mut window, "Name (optional)", "web");
    press(&mut window, "Run");
    let command = ["npm", "run", "a b"].map(str::to_owned).to_vec();
    let (cwd, wait) = ("/home/ada".to_owned(), Some(Wait::Spawned));
    let add = Add { command, cwd, name: Some(name("web")), wait, ..Add::default() };
    let add = Ask::Add(Box::new(add));
    assert_eq!(asked(&mut window), [add]);
}

#[test]
fn a_signal_a_hand_over_and_a_removal_ask_first() {
    let mut window = window(vec![view("demo", json!({}))]);
    press(&mut window, "Signal…");
    press(&mut window, "USR1");
    press(&mut window, "Send");
    assert_eq!(asked(&mut window), [Ask::Signal { name: name("demo"), signal: "USR1".to_owned() }]);
    press(&mut window, "Cancel");
    press(&mut window, "Hand over…");
    press(&mut window, "agent");
    press(&mut window, "Hand over");
    let to = Owner::new("agent").unwrap();
    assert_eq!(asked(&mut window), [Ask::HandOver { name: name("demo"), to }]);
    window.key_press(egui::Key::Escape);
    settle(&mut window);
    window.state_mut().known = known(vec![view("demo", json!({"state": "idle", "pid": null}))]);
    press(&mut window, "Remove…");
    window.get_by_label_contains("Data of a graph stays");
    press(&mut window, "Cancel");
    assert_eq!(asked(&mut window), []);
    keys(&mut window, "d");
    press(&mut window, "Remove");
    assert_eq!(asked(&mut window), [Ask::Remove { name: name("demo") }]);
}

#[test]
fn a_dialog_is_used_by_the_keyboard_alone() {
    let mut window = window(vec![view("demo", json!({}))]);
    keys(&mut window, "n");
    // The first field has the keyboard, and no letter is a command.
    for letter in ["s", "q"] {
        window.event(egui::Event::Text(letter.to_owned()));
        settle(&mut window);
    }
    assert_eq!(asked(&mut window), []);
    window.key_press(egui::Key::Enter);
    assert_eq!(asked(&mut window), [Ask::Start { name: name("sq"), kind: None }]);
    window.key_press(egui::Key::Escape);
    settle(&mut window);
    assert!(!window.state().desk.has_dialog());
}

#[test]
fn settings_take_effect_at_once_and_notifications_are_off_at_first() {
    let mut window = window(vec![view("demo", json!({}))]);
    window.state_mut().file_trouble = Some("desktop.toml is not in effect: line 1: why");
    press(&mut window, "Settings…");
    window.get_by_label("There is no tray: no D-Bus.");
    window.get_by_label("The last notification could not be shown: no service.");
    window.get_by_label_contains("is not in effect");
    assert!(window.state().desk.settings.notify.is_empty());
    press(&mut window, "dark");
    assert_eq!(wanted(&mut window), [Intent::Save]);
    press(&mut window, "Larger texts");
    window.get_by_role_and_label(Role::CheckBox, "demo").click();
    assert_eq!(wanted(&mut window), [Intent::Save, Intent::Save]);
    let settings = &window.state().desk.settings;
    assert_eq!((settings.theme, settings.text_size), (crate::settings::Theme::Dark, 125));
    assert!(settings.notify.contains(&name("demo")));
    press(&mut window, "Close");
    assert!(!window.state().desk.has_dialog());
}

#[test]
fn the_palette_finds_commands_and_workers_by_words() {
    let mut window = window(vec![
        view("notes", json!({"owner": "desktop", "owned": true})),
        view("web", json!({"owner": "cli", "owned": false})),
    ]);
    keys(&mut window, ":");
    window.get_by_role_and_label(Role::TextInput, "Words of a command, or the name of a worker");
    keys(&mut window, "rest");
    window.key_press(egui::Key::Enter);
    assert_eq!(asked(&mut window), [Ask::Restart { name: name("notes") }]);
    keys(&mut window, ":");
    keys(&mut window, "go web");
    window.key_press(egui::Key::Enter);
    settle(&mut window);
    assert_eq!(window.state().desk.shared.list.selected(), Some(&name("web")));
    keys(&mut window, ":");
    keys(&mut window, "stop");
    window.get_by_label("stop web  (s)").click();
    assert_eq!(asked(&mut window), []);
    window.get_by_label_contains("Stop: it is owned by cli");
    keys(&mut window, ":");
    keys(&mut window, "nothing of this");
    window.get_by_label("No command and no worker has these words.");
    window.key_press(egui::Key::Escape);
    settle(&mut window);
    assert!(window.query_by_label("Commands").is_none());
}

#[test]
fn a_refused_dialog_keeps_the_keyboard_and_a_click_beside_it_keeps_the_text() {
    let mut window = window(vec![view("demo", json!({}))]);
    keys(&mut window, "o");
    window.key_press(egui::Key::Enter);
    settle(&mut window);
    window.get_by_label("an owner has a name, such as cli");
    keys(&mut window, "agent");
    for pressed in [true, false] {
        let (pos, button) = (egui::pos2(5.0, 5.0), egui::PointerButton::Primary);
        window.event(egui::Event::PointerButton { pos, button, pressed, modifiers: egui::Modifiers::NONE });
        settle(&mut window);
    }
    press(&mut window, "Hand over");
    let to = Owner::new("agent").unwrap();
    assert_eq!(asked(&mut window), [Ask::HandOver { name: name("demo"), to }]);
}

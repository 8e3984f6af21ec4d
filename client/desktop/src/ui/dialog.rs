//! Dialogs: what an action asks before it is done.

use super::commands::Palette;
use super::parts::{button, trouble};
use super::{Desk, Focus, Purpose, Scene, keys, settings};
use crate::asks::{Ask, AskId};
use eframe::egui::{self, Key, Modal, Ui};
use gob_client::screen::{Trouble, text};
use gob_client::{Name, Owner};

/// An open dialog.
#[derive(Debug)]
pub(super) struct Dialog {
    form: Form,
    /// Why it can't be sent as it is.
    wrong: Option<String>,
    /// The answer to it as it was sent.
    pub(super) refused: Option<Trouble>,
    /// The request that was sent and is not answered yet.
    pub(super) asked: Option<AskId>,
}

#[derive(Debug)]
enum Form {
    StartGraph { name: String, kind: Option<String> },
    NewJob { command: String, cwd: String, name: String },
    Signal { worker: Name, signal: String },
    HandOver { worker: Name, to: String },
    Remove { worker: Name },
    Settings,
    Help,
    Palette(Palette),
}

/// Owners that a worker is handed to most often.
const OWNERS: [&str; 3] = ["cli", "agent", "electron"];
/// Signals that programs are sent most often.
const SIGNALS: [&str; 4] = ["HUP", "USR1", "USR2", "INT"];
/// Graphs that a dialog offers.
const OFFERED: usize = 8;

impl Dialog {
    const fn of(form: Form) -> Self {
        Self { form, wrong: None, refused: None, asked: None }
    }

    pub(super) const fn start_graph() -> Self {
        Self::of(Form::StartGraph { name: String::new(), kind: None })
    }

    pub(super) fn new_job(home: &str) -> Self {
        Self::of(Form::NewJob { command: String::new(), cwd: home.to_owned(), name: String::new() })
    }

    pub(super) const fn signal(worker: Name) -> Self {
        Self::of(Form::Signal { worker, signal: String::new() })
    }

    pub(super) const fn hand_over(worker: Name) -> Self {
        Self::of(Form::HandOver { worker, to: String::new() })
    }

    pub(super) const fn remove(worker: Name) -> Self {
        Self::of(Form::Remove { worker })
    }

    pub(super) const fn settings() -> Self {
        Self::of(Form::Settings)
    }

    pub(super) const fn help() -> Self {
        Self::of(Form::Help)
    }

    pub(super) fn palette() -> Self {
        Self::of(Form::Palette(Palette::default()))
    }

    fn title(&self) -> String {
        match &self.form {
            Form::StartGraph { .. } => "Start a graph".to_owned(),
            Form::NewJob { .. } => "Run a command in the background".to_owned(),
            Form::Signal { worker, .. } => format!("Send a signal to {}", text::name(worker.as_str())),
            Form::HandOver { worker, .. } => format!("Hand {} over", text::name(worker.as_str())),
            Form::Remove { worker } => format!("Remove {}?", text::name(worker.as_str())),
            Form::Settings => "Settings".to_owned(),
            Form::Help => "Keys".to_owned(),
            Form::Palette(_) => "Commands".to_owned(),
        }
    }

    /// Returns the label of the button that sends it.
    const fn verb(&self) -> Option<&'static str> {
        match self.form {
            Form::StartGraph { .. } => Some("Start"),
            Form::NewJob { .. } => Some("Run"),
            Form::Signal { .. } => Some("Send"),
            Form::HandOver { .. } => Some("Hand over"),
            Form::Remove { .. } => Some("Remove"),
            Form::Settings | Form::Help | Form::Palette(_) => None,
        }
    }

    /// Returns the request, or what is wrong with it.
    fn request(&self) -> Result<Ask, String> {
        match &self.form {
            Form::StartGraph { name, kind } => {
                let name = Name::graph(name.trim()).map_err(|error| error.to_string())?;
                Ok(Ask::Start { name, kind: kind.clone() })
            }
            Form::NewJob { command, cwd, name } => {
                let command = shlex::split(command).ok_or("a quote in the command has no end")?;
                if command.is_empty() {
                    return Err("the command is empty".to_owned());
                }
                if !cwd.starts_with('/') {
                    return Err("the directory has to begin with /".to_owned());
                }
                let name = Some(name.trim()).filter(|name| !name.is_empty());
                let name = name.map(Name::job).transpose().map_err(|error| error.to_string())?;
                Ok(Ask::Add { command, cwd: cwd.clone(), name })
            }
            Form::Signal { worker, signal } => {
                if signal.trim().is_empty() {
                    return Err("a signal has a name, such as HUP".to_owned());
                }
                Ok(Ask::Signal { name: worker.clone(), signal: signal.trim().to_owned() })
            }
            Form::HandOver { worker, to } => {
                if to.trim().is_empty() {
                    return Err("an owner has a name, such as cli".to_owned());
                }
                let to = Owner::new(to.trim()).map_err(|error| error.to_string())?;
                Ok(Ask::HandOver { name: worker.clone(), to })
            }
            Form::Remove { worker } => Ok(Ask::Remove { name: worker.clone() }),
            Form::Settings | Form::Help | Form::Palette(_) => Err(String::new()),
        }
    }
}

impl Desk {
    /// Returns whether a dialog is open, which takes all keys.
    pub(super) const fn has_dialog(&self) -> bool {
        self.dialog.is_some()
    }

    /// Adds the open dialog.
    pub(super) fn dialogs(&mut self, egui: &egui::Context, scene: &Scene<'_>) {
        let Some(mut dialog) = self.dialog.take() else { return };
        let response = Modal::new(egui::Id::unique("dialog")).show(egui, |ui| {
            ui.set_width(460.0_f32.min(ui.ctx().content_rect().width() - 40.0));
            ui.heading(dialog.title());
            ui.add_space(4.0);
            // With large texts a small window has no room for all of it; its buttons stay in sight.
            let room = (ui.ctx().content_rect().height() - 150.0).max(80.0);
            let area = egui::ScrollArea::vertical().id_salt("form").max_height(room);
            let is_chosen = area.show(ui, |ui| self.form(ui, scene, &mut dialog.form)).inner;
            if let Some(wrong) = &dialog.wrong {
                ui.colored_label(ui.visuals().error_fg_color, wrong);
            }
            if let Some(refused) = &dialog.refused {
                trouble(ui, refused);
            }
            ui.add_space(8.0);
            self.dialog_buttons(ui, &mut dialog) || is_chosen
        });
        // A click beside it does not close it: what was typed would be lost.
        let escapes = egui.input(|input| input.key_pressed(Key::Escape));
        if !(response.inner || escapes) {
            self.dialog = Some(dialog);
        }
    }

    /// Adds the buttons; true when it is to be closed.
    fn dialog_buttons(&mut self, ui: &mut Ui, dialog: &mut Dialog) -> bool {
        let Some(verb) = dialog.verb() else {
            let close = ui.button("Close");
            self.take_focus(&close);
            return close.clicked();
        };
        let mut closes = false;
        ui.horizontal(|ui| {
            let waits = dialog.asked.map(|_| "it was sent, and waits for its answer");
            let send = button(ui, verb, waits);
            // Nothing to type: the button that does no harm is the first.
            let cancel = ui.button("Cancel");
            self.take_focus(&cancel);
            let enters =
                ui.input(|input| input.key_pressed(Key::Enter)) && !cancel.has_focus() && !send.has_focus();
            if send.clicked() || (enters && waits.is_none()) {
                self.send(dialog);
            }
            closes = cancel.clicked();
        });
        closes
    }

    /// Gives a control the keyboard if no earlier one of a new dialog took it.
    pub(super) fn take_focus(&mut self, response: &egui::Response) {
        if self.focus == Some(Focus::Dialog) {
            response.request_focus();
            self.focus = None;
        }
    }

    fn send(&mut self, dialog: &mut Dialog) {
        dialog.refused = None;
        match dialog.request() {
            Ok(ask) => {
                dialog.wrong = None;
                dialog.asked = Some(self.next_id);
                self.ask_for(Purpose::Dialog, ask);
            }
            Err(wrong) => {
                dialog.wrong = Some(wrong);
                // Enter has taken the keyboard from the field.
                self.focus = Some(Focus::Dialog);
            }
        }
    }

    /// Adds the form; true when it is done with.
    fn form(&mut self, ui: &mut Ui, scene: &Scene<'_>, form: &mut Form) -> bool {
        match form {
            Form::StartGraph { name, kind } => self.start_graph(ui, scene, name, kind),
            Form::NewJob { command, cwd, name } => {
                self.field(ui, "Command", command, "such as npm run dev");
                ui.label("Words are divided as a shell does it; no shell runs it. For pipes: sh -c 'a | b'.");
                self.field(ui, "Directory", cwd, "such as /home/you/project");
                self.field(ui, "Name (optional)", name, "such as web");
            }
            Form::Signal { signal, .. } => {
                ui.label("A program that does not handle the signal ends by it.");
                self.field(ui, "Signal", signal, "such as HUP");
                choices(ui, &SIGNALS, signal);
            }
            Form::HandOver { to, .. } => {
                ui.label("Its new owner may stop and restart it, and you may only use it. Only programs of that owner can hand it back.");
                self.field(ui, "New owner", to, "such as cli");
                choices(ui, &OWNERS, to);
            }
            Form::Remove { .. } => {
                ui.label("gob forgets it: its entry, its history and its logs go. Data of a graph stays.");
            }
            Form::Settings => settings::show(self, ui, scene),
            Form::Help => keys::help(ui),
            Form::Palette(palette) => return self.palette(ui, scene, palette),
        }
        false
    }

    fn start_graph(&mut self, ui: &mut Ui, scene: &Scene<'_>, name: &mut String, kind: &mut Option<String>) {
        self.field(ui, "Name of the graph", name, "such as notes");
        let typed = name.to_lowercase();
        let offered = self.graphs.iter().filter(|graph| {
            let known = graph.graph.as_str().to_lowercase();
            known.contains(&typed) && known != typed
        });
        let offered: Vec<String> =
            offered.take(OFFERED).map(|graph| graph.graph.as_str().to_owned()).collect();
        if !offered.is_empty() {
            ui.label("Graphs on this machine:");
            ui.horizontal_wrapped(|ui| {
                for graph in offered {
                    if ui.button(text::name(&graph)).clicked() {
                        *name = graph;
                    }
                }
            });
        }
        if !self.graphs.iter().any(|graph| graph.graph.as_str() == name) && !name.is_empty() {
            ui.label("There is no graph of this name yet: an empty one is made.");
        }
        let usual = "the graph's own, or the default";
        let shown = kind.clone().unwrap_or_else(|| usual.to_owned());
        let label = ui.label("Kind");
        let of_graphs = self.graphs.iter().filter_map(|graph| graph.kind.as_deref());
        let mut kinds: Vec<&str> = scene.kinds.iter().map(String::as_str).chain(of_graphs).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let list = egui::ComboBox::from_id_salt("kind").selected_text(shown).show_ui(ui, |ui| {
            ui.selectable_value(kind, None, usual);
            for of in kinds {
                ui.selectable_value(kind, Some(of.to_owned()), text::escape(of));
            }
        });
        list.response.labelled_by(label.id);
    }

    fn field(&mut self, ui: &mut Ui, label: &str, value: &mut String, hint: &str) {
        let label = ui.label(label);
        let field = egui::TextEdit::singleline(value).hint_text(hint).desired_width(f32::INFINITY);
        let field = ui.add(field).labelled_by(label.id);
        self.take_focus(&field);
    }
}

fn choices(ui: &mut Ui, all: &[&str], value: &mut String) {
    ui.horizontal_wrapped(|ui| {
        for choice in all {
            if ui.selectable_label(value == choice, *choice).clicked() {
                *value = (*choice).to_owned();
            }
        }
    });
}

//! Dialogs: what an action asks before it is done, the palette, the keys, the project's jobs. An open one has all keys.

mod draw;

use super::field::LineField;
use super::hits::Hit;
use super::keys::{COMMANDS, MORE};
use super::paint::{cells, line_of, prose, put, put_at};
use super::{Intent, Scene, Scroll, Ui};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use gob_client::screen::{self, Row, Tone, Trouble, text};
use gob_client::surface::{AskId, Choice, Form, offers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, Clear, Widget};

/// The width of a dialog, where there is room.
const WIDTH: u16 = 72;
/// Texts that are offered for a field at once.
const OFFERED: usize = 6;

/// An open dialog.
#[derive(Debug)]
pub(super) enum Dialog {
    Form(Box<Filled>),
    /// The palette, and the line that Enter takes.
    Palette(Box<LineField>, usize),
    Help(Scroll),
    /// The jobs of the project file, and the selected one.
    Project(usize),
    /// Jobs of the project that would stop with the screen.
    Quit(Vec<String>),
}

/// A form as it is filled in.
#[derive(Debug)]
pub(super) struct Filled {
    form: Form,
    fields: Vec<LineField>,
    /// The field that has the keys, and the text that is chosen for it.
    at: usize,
    choice: Option<usize>,
    /// Why it can't be sent as it is.
    wrong: Option<String>,
    /// The answer to it as it was sent.
    refused: Option<Trouble>,
    /// The request that was sent and is not answered yet.
    asked: Option<AskId>,
}

impl Dialog {
    pub(super) fn form(mut form: Form) -> Self {
        let fields = form.fields().iter().map(|field| LineField::new(field.value)).collect();
        Self::Form(Box::new(Filled {
            form,
            fields,
            at: 0,
            choice: None,
            wrong: None,
            refused: None,
            asked: None,
        }))
    }

    pub(super) fn palette() -> Self {
        Self::Palette(Box::new(LineField::new("")), 0)
    }

    pub(super) fn help() -> Self {
        Self::Help(Scroll::default())
    }

    /// Returns the request of a form that waits for its answer.
    pub(super) fn asked(&self) -> Option<AskId> {
        match self {
            Self::Form(filled) => filled.asked,
            Self::Palette(..) | Self::Help(_) | Self::Project(_) | Self::Quit(_) => None,
        }
    }

    /// The request of a form is refused.
    pub(super) fn refuse(&mut self, trouble: Trouble) {
        if let Self::Form(filled) = self {
            (filled.asked, filled.refused) = (None, Some(trouble));
        }
    }
}

impl Filled {
    fn fill(&mut self) {
        for (field, typed) in self.form.fields().into_iter().zip(&self.fields) {
            typed.text().clone_into(field.value);
        }
    }

    fn choices(&self, ui: &Ui, scene: &Scene<'_>) -> Vec<String> {
        let mut choices = self.form.choices(self.at, &ui.shared.me, (scene.kinds, &ui.shared.graphs));
        choices.truncate(OFFERED);
        choices
    }

    fn choose(&mut self, choice: &str) {
        if let Some(field) = self.fields.get_mut(self.at) {
            *field = LineField::new(choice);
        }
        self.choice = None;
        self.fill();
    }

    fn step(&mut self, by: isize) {
        let count = self.fields.len().max(1);
        self.at = self.at.saturating_add_signed(by.rem_euclid(isize::try_from(count).unwrap_or(1))) % count;
        self.choice = None;
    }

    /// Sends it, or says what is wrong.
    fn send(&mut self, ui: &mut Ui) {
        if self.asked.is_some() {
            return;
        }
        (self.wrong, self.refused) = (None, None);
        match self.form.request() {
            Ok(ask) => self.asked = Some(ui.shared.send(ask)),
            Err(wrong) => self.wrong = Some(wrong),
        }
    }
}

impl Ui {
    /// Takes a key for the open dialog; false where there is none.
    pub(super) fn dialog_key(&mut self, key: KeyEvent, scene: &Scene<'_>) -> bool {
        let Some(dialog) = self.dialog.take() else { return false };
        let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if key.code == KeyCode::Esc || is_interrupt {
            return true;
        }
        let next = match dialog {
            Dialog::Form(filled) => Some(Dialog::Form(self.form_key(filled, key, scene))),
            Dialog::Palette(field, at) => self.palette_key(field, at, key, scene),
            Dialog::Help(scroll) => help_key(scroll, key),
            Dialog::Project(at) => self.project_key(at, key, scene),
            Dialog::Quit(_) if key.code == KeyCode::Enter => {
                self.intents.push(Intent::Quit);
                None
            }
            Dialog::Quit(jobs) => Some(Dialog::Quit(jobs)),
        };
        // A key may have opened another one.
        self.dialog = self.dialog.take().or(next);
        true
    }

    /// Takes pasted text for the open dialog; false where there is none.
    pub(super) fn dialog_paste(&mut self, text: &str) -> bool {
        match &mut self.dialog {
            Some(Dialog::Form(filled)) => {
                if let Some(field) = filled.fields.get_mut(filled.at) {
                    field.paste(text);
                }
                filled.fill();
            }
            Some(Dialog::Palette(field, _)) => field.paste(text),
            Some(Dialog::Help(_) | Dialog::Project(_) | Dialog::Quit(_)) => {}
            None => return false,
        }
        true
    }

    fn form_key(&mut self, mut filled: Box<Filled>, key: KeyEvent, scene: &Scene<'_>) -> Box<Filled> {
        let choices = filled.choices(self, scene);
        let chosen = filled.choice.and_then(|at| choices.get(at));
        match (key.code, chosen) {
            (KeyCode::Enter | KeyCode::Tab, Some(choice)) => filled.choose(choice),
            (KeyCode::Enter, None) => filled.send(self),
            (KeyCode::Tab, None) => filled.step(1),
            (KeyCode::BackTab, _) => filled.step(-1),
            (KeyCode::Down, _) if !choices.is_empty() => {
                filled.choice = Some(filled.choice.map_or(0, |at| (at + 1).min(choices.len() - 1)));
            }
            (KeyCode::Down, _) => filled.step(1),
            (KeyCode::Up, Some(_)) => filled.choice = filled.choice.and_then(|at| at.checked_sub(1)),
            (KeyCode::Up, None) => filled.step(-1),
            _ => {
                if filled.fields.get_mut(filled.at).is_some_and(|field| field.key(key)) {
                    filled.choice = None;
                    filled.fill();
                }
            }
        }
        filled
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has a hundred keys")]
    fn palette_key(
        &mut self,
        mut field: Box<LineField>,
        at: usize,
        key: KeyEvent,
        scene: &Scene<'_>,
    ) -> Option<Dialog> {
        let lines = self.palette_lines(field.text(), scene);
        let at = match key.code {
            KeyCode::Enter => {
                let (choice, _) = lines.into_iter().nth(at)?;
                self.fulfil(choice, scene);
                return None;
            }
            KeyCode::Down => (at + 1).min(lines.len().saturating_sub(1)),
            KeyCode::Up => at.saturating_sub(1),
            _ if field.key(key) => 0,
            _ => at,
        };
        Some(Dialog::Palette(field, at))
    }

    fn palette_lines(&self, typed: &str, scene: &Scene<'_>) -> Vec<(Choice, String)> {
        offers(typed, &COMMANDS, scene.known.model.workers(), self.shared.list.selected())
    }

    /// Does what was chosen in the palette.
    fn fulfil(&mut self, choice: Choice, scene: &Scene<'_>) {
        match choice {
            Choice::Key(key) => self.command(key, scene),
            Choice::Select(name) => {
                self.shared.list.filter.clear();
                self.shared.list.select(name);
                self.go_to(super::Pane::Workers);
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has a hundred keys")]
    fn project_key(&mut self, at: usize, key: KeyEvent, scene: &Scene<'_>) -> Option<Dialog> {
        let jobs =
            scene.project.and_then(|project| project.jobs.as_ref().ok()).map_or(&[][..], Vec::as_slice);
        let at = match key.code {
            KeyCode::Char('j') | KeyCode::Down => (at + 1).min(jobs.len().saturating_sub(1)),
            KeyCode::Char('k') | KeyCode::Up => at.saturating_sub(1),
            KeyCode::Char('q') => return None,
            KeyCode::Enter => {
                self.start_project_job(at, scene);
                at
            }
            _ => at,
        };
        Some(Dialog::Project(at))
    }

    /// A click on a line of the dialog.
    pub(super) fn dialog_line(&mut self, line: usize, scene: &Scene<'_>) {
        let enter = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
        match &mut self.dialog {
            Some(Dialog::Palette(_, at) | Dialog::Project(at)) => {
                *at = line;
                self.dialog_key(enter, scene);
            }
            Some(Dialog::Form(filled)) => {
                filled.at = line.min(filled.fields.len().saturating_sub(1));
                filled.choice = None;
            }
            Some(Dialog::Help(_) | Dialog::Quit(_)) | None => {}
        }
    }

    /// Scrolls the dialog; false where there is none.
    pub(super) fn scroll_dialog(&mut self, by: isize) -> bool {
        if let Some(Dialog::Help(scroll)) = &mut self.dialog {
            scroll.by(by);
        }
        self.dialog.is_some()
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has a hundred keys")]
fn help_key(mut scroll: Scroll, key: KeyEvent) -> Option<Dialog> {
    let page = isize::try_from(scroll.page).unwrap_or(isize::MAX);
    match key.code {
        KeyCode::Char('j') | KeyCode::Down => scroll.by(1),
        KeyCode::Char('k') | KeyCode::Up => scroll.by(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => scroll.by(page),
        KeyCode::PageUp => scroll.by(-page),
        KeyCode::Char('q' | '?') | KeyCode::Enter => return None,
        _ => {}
    }
    Some(Dialog::Help(scroll))
}

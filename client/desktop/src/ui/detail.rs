//! One worker: its state, how to reach it, what may be done about it, and its history.

use super::parts::{button, code, dot, section};
use super::{Desk, Focus, Intent, Lower, Scene};
use crate::palette::Palette;
use eframe::egui::{self, RichText};
use gob_client::View;
use gob_client::screen::{self, Badge, Link, Row, Tone, text, times};
use gob_client::surface::Ask;

/// Facts that have a place of their own above the list of the others.
const ELSEWHERE: [&str; 6] = ["owner", "state", "reason", "endpoint", "lease", "port"];

/// The width of the names of facts.
const KEY: f32 = 80.0;

impl Desk {
    pub(super) fn detail(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>, worker: &View) {
        egui::ScrollArea::vertical().id_salt("details").auto_shrink(false).show(ui, |ui| {
            self.head(ui, scene, worker);
            self.failure(ui, worker);
            self.endpoint(ui, worker);
            ui.add_space(6.0);
            self.actions(ui, scene, worker);
            leases(ui, worker);
            self.ports(ui, scene, worker);
            self.run_rows(ui, scene, worker);
            facts(ui, scene, worker);
        });
    }

    fn head(&self, ui: &mut egui::Ui, scene: &Scene<'_>, worker: &View) {
        let row = Row::from(worker);
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(text::name(worker.name.as_str())).heading());
            ui.label(RichText::new(text::escape(&worker.kind)).weak());
        });
        ui.horizontal_wrapped(|ui| {
            dot(ui, screen::tone(worker));
            ui.colored_label(Palette::of(ui).tone(screen::tone(worker)), row.state(scene.now));
            ui.label(format!("owned by {}", screen::owner(worker, &self.shared.me)));
            for badge in screen::badges(worker).iter().filter(|badge| **badge != Badge::NotYours) {
                ui.label(RichText::new(text::escape(&badge.to_string())).weak());
            }
        });
        if let Some(about) = &worker.description {
            ui.label(text::escape(about));
        }
    }

    /// Says why a worker is as it is, and offers its log where something is wrong.
    fn failure(&mut self, ui: &mut egui::Ui, worker: &View) {
        let failure = screen::failure(worker);
        let is_bad = failure.is_some();
        let Some(reason) = failure.or_else(|| worker.reason.clone()) else { return };
        let palette = Palette::of(ui);
        let fill = if is_bad { palette.raised } else { palette.ground };
        egui::Frame::new().fill(fill).inner_margin(8).corner_radius(4).show(ui, |ui| {
            let color = if is_bad { palette.bad } else { palette.text };
            ui.add(egui::Label::new(RichText::new(text::escape(&reason)).color(color)).wrap());
            if is_bad && button(ui, "Show its log", None).clicked() {
                self.lower = Lower::Log;
                self.log.run = None;
                self.focus = Some(Focus::Log);
            }
        });
    }

    fn endpoint(&mut self, ui: &mut egui::Ui, worker: &View) {
        let Some(endpoint) = &worker.endpoint else { return };
        ui.horizontal_wrapped(|ui| {
            code(ui, &text::escape(endpoint));
            let copy = ui.button("Copy").accessible_name("Copy the endpoint");
            if copy.on_hover_text("Copy the endpoint").clicked() {
                self.intents.push(Intent::Copy(endpoint.to_string()));
                self.toasts.say("the endpoint is on the clipboard".to_owned());
            }
        });
    }

    fn ports(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>, worker: &View) {
        if !worker.state.is_live() {
            return;
        }
        section(ui, "Ports");
        for port in &worker.ports {
            code(ui, &format!("{}/{}   pid {}", port.port, text::escape(&port.protocol), port.pid));
        }
        ui.horizontal(|ui| {
            if worker.ports.is_empty() {
                ui.label(RichText::new("none seen").weak());
            }
            let away = (!scene.known.link.is_up()).then_some(Link::AWAY);
            if button(ui, "Look again", away).clicked() {
                self.shared.ask(Ask::Ports { name: worker.name.clone() });
            }
        });
    }

    fn run_rows(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>, worker: &View) {
        let of_worker = self.shared.runs_of(&worker.name);
        let Some(runs) = of_worker.filter(|runs| !runs.runs.is_empty()) else { return };
        section(ui, "Runs");
        let palette = Palette::of(ui);
        let mut chosen = None;
        egui::Grid::new("runs").striped(true).spacing([16.0, 4.0]).show(ui, |ui| {
            for run in &runs.runs {
                ui.label(format!("#{}", run.run));
                ui.label(scene.clock.stamp(run.started_at, scene.now));
                let took = screen::run_duration(run, scene.now);
                ui.label(took.map_or_else(|| "-".to_owned(), times::short_duration));
                let end = RichText::new(text::escape(&screen::run_end(run)));
                let is_bad = screen::run_tone(run) == Tone::Bad;
                ui.label(if is_bad { end.color(palette.bad) } else { end });
                ui.label(RichText::new(text::escape(&run.actor.to_string())).weak());
                let name = format!("Log of run {}", run.run);
                if ui.button("Log").accessible_name(name).clicked() {
                    chosen = Some(run.run);
                }
                ui.end_row();
            }
        });
        if runs.more {
            ui.label(RichText::new("older ones: gobctl runs lists them").weak());
        }
        if let Some(run) = chosen {
            self.lower = Lower::Log;
            // The latest one goes on with the run that follows it.
            self.log.run = Some(run).filter(|run| *run != worker.run);
        }
    }
}

fn leases(ui: &mut egui::Ui, worker: &View) {
    if worker.leases == 0 {
        return;
    }
    section(ui, &Badge::Leased(worker.leases).to_string());
    for holder in &worker.lease_holders {
        ui.label(text::escape(&holder.to_string()));
    }
    let named = u32::try_from(worker.lease_holders.len()).unwrap_or(u32::MAX);
    if worker.leases > named {
        ui.label(format!("and {} more", worker.leases - named));
    }
}

fn facts(ui: &mut egui::Ui, scene: &Scene<'_>, worker: &View) {
    section(ui, "All about it");
    let facts = screen::worker(worker, scene.now);
    for (key, value) in facts.into_iter().filter(|(key, _)| !ELSEWHERE.contains(key)) {
        ui.horizontal_top(|ui| {
            let size = egui::vec2(KEY, ui.spacing().interact_size.y);
            let left = egui::Layout::left_to_right(egui::Align::Min);
            ui.allocate_ui_with_layout(size, left, |ui| {
                ui.set_min_width(KEY);
                ui.label(RichText::new(key).weak());
            });
            code(ui, &text::escape(&value));
        });
    }
}

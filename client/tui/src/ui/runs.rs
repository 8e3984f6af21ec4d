//! The latest runs of the selected worker, the newest first. The log shows the one that is chosen.

use super::hits::Hit;
use super::paint::{cells, line_of, put, put_at};
use super::{Pane, Scene, Ui};
use gob_client::View;
use gob_client::protocol::RunRecord;
use gob_client::screen::{self, Tone, text, times};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

impl Ui {
    pub(super) fn runs_list(&mut self, buf: &mut Buffer, area: Rect, worker: &View, scene: &Scene<'_>) {
        let look = self.look;
        let Some(runs) = self.shared.runs_of(&worker.name) else {
            return put(buf, area, "The history is not known yet.", look.faint());
        };
        if runs.runs.is_empty() {
            return put(buf, area, "No run is in the history.", look.faint());
        }
        let height = usize::from(area.height).max(1);
        self.run_at = self.run_at.min(runs.runs.len() - 1);
        let first = (self.run_at + 1).saturating_sub(height);
        let rows: Vec<_> = runs.runs.iter().map(|run| self.run_texts(run, worker, scene)).collect();
        let widths: Vec<u16> = (0..5)
            .map(|at| {
                rows.iter().filter_map(|row| row.get(at)).map(|(text, _)| cells(text)).max().unwrap_or(0)
            })
            .collect();
        let more = runs.more;
        for (line, row) in rows.iter().skip(first).take(height).enumerate() {
            let place = line_of(area, line);
            let mut column = 0;
            for ((text, style), width) in row.iter().zip(&widths) {
                put_at(buf, place, column, text, *style);
                column += width + 2;
            }
            self.hits.add(place, Hit::Run(first + line));
            if first + line == self.run_at {
                buf.set_style(place, look.selected(self.focus == Pane::Details));
            }
        }
        if more {
            put(buf, line_of(area, rows.len() - first), "older ones: gobctl runs lists them", look.faint());
        }
    }

    fn run_texts(&self, run: &RunRecord, worker: &View, scene: &Scene<'_>) -> [(String, Style); 5] {
        let look = self.look;
        let took = screen::run_duration(run, scene.now).map_or_else(|| "-".to_owned(), times::short_duration);
        let shown = self.log.run.unwrap_or(worker.run);
        let mark = if shown == run.run { ">" } else { " " };
        let tone = screen::run_tone(run);
        let of_end = if tone == Tone::Bad { look.tone(tone) } else { Style::new() };
        [
            (format!("{mark}#{}", run.run), Style::new()),
            (scene.clock.stamp(run.started_at, scene.now), look.faint()),
            (took, Style::new()),
            (text::escape(&screen::run_end(run)), of_end),
            (text::escape(&run.actor.to_string()), look.faint()),
        ]
    }

    /// Shows the log of the selected run.
    pub(super) fn choose_run(&mut self, worker: &View) {
        let Some(runs) = self.shared.runs_of(&worker.name) else { return };
        let Some(run) = runs.runs.get(self.run_at).map(|run| run.run) else { return };
        // The latest one goes on with the run that follows it.
        self.log.run = Some(run).filter(|run| *run != worker.run);
        self.lower = Pane::Log;
    }

    /// Moves the selection among the runs.
    pub(super) fn step_run(&mut self, by: isize) {
        self.run_at = self.run_at.saturating_add_signed(by);
    }
}

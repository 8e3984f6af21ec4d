//! Answers to what was asked for. A sentence goes after some seconds; a trouble stays until it is closed.

use super::Ui;
use super::paint::{line_of, prose, put};
use gob_client::Name;
use gob_client::screen::{Tone, Trouble};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Troubles that are kept; older ones go.
const MOST: usize = 4;
/// Time for which a sentence is shown.
const SHOWN: Duration = Duration::from_secs(6);

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Said {
    sentence: Option<(String, Instant)>,
    /// The worker that the sentence is about, and with whose selection it goes.
    about: Option<Name>,
    troubles: VecDeque<Trouble>,
}

impl Said {
    pub(super) fn say(&mut self, said: String, now: Instant) {
        (self.sentence, self.about) = (Some((said, now + SHOWN)), None);
    }

    /// Says why something about a worker is not done.
    pub(super) fn refuse(&mut self, worker: &Name, why: String, now: Instant) {
        self.say(why, now);
        self.about = Some(worker.clone());
    }

    /// This worker is selected now.
    pub(super) fn selected(&mut self, worker: Option<&Name>) {
        if self.about.as_ref().is_some_and(|about| Some(about) != worker) {
            (self.sentence, self.about) = (None, None);
        }
    }

    pub(super) fn tell(&mut self, trouble: Trouble) {
        // The same once more tells nothing.
        self.troubles.retain(|other| other.code != trouble.code || other.message != trouble.message);
        self.troubles.push_back(trouble);
        while self.troubles.len() > MOST {
            self.troubles.pop_front();
        }
    }

    /// Closes what is shown; false where there is nothing.
    pub(super) fn close(&mut self) -> bool {
        self.troubles.pop_back().is_some() || self.sentence.take().is_some()
    }

    /// Returns the sentence, as long as it is shown.
    pub(super) fn sentence(&mut self, now: Instant) -> Option<&str> {
        self.sentence.take_if(|(_, until)| *until <= now);
        self.sentence.as_ref().map(|(said, _)| said.as_str())
    }

    /// Returns the time at which the sentence goes.
    pub(super) fn until(&self) -> Option<Instant> {
        self.sentence.as_ref().map(|(_, until)| *until)
    }
}

impl Ui {
    /// Draws the latest trouble above the lower corner.
    pub(super) fn troubles(&self, buf: &mut Buffer, all: Rect) {
        let Some(trouble) = self.said.troubles.back() else { return };
        let look = self.look;
        let width = all.width.saturating_sub(4).min(76);
        let room = usize::from(width.saturating_sub(4));
        let mut lines = Vec::new();
        let message = format!("{} ({})", trouble.message, trouble.code);
        lines.extend(prose(&message, room).into_iter().map(|line| (line, look.tone(Tone::Bad))));
        for more in [&trouble.cause, &trouble.hint].into_iter().flatten() {
            lines.extend(prose(more, room).into_iter().map(|line| (line, ratatui::style::Style::new())));
        }
        let more = self.said.troubles.len() - 1;
        let more = if more > 0 { format!("; {more} more") } else { String::new() };
        lines.push((format!("Esc closes it{more}"), look.faint()));
        let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(all.height.saturating_sub(2));
        let area = Rect {
            x: all.right().saturating_sub(width + 1),
            y: all.bottom().saturating_sub(height + 1),
            width,
            height,
        };
        Clear.render(area, buf);
        let block = Block::bordered().border_set(look.border(true)).border_style(look.tone(Tone::Bad));
        let inner = block.inner(area);
        block.render(area, buf);
        for (at, (line, style)) in lines.iter().enumerate() {
            let place = line_of(inner, at);
            put(buf, Rect { x: place.x + 1, width: place.width.saturating_sub(1), ..place }, line, *style);
        }
    }
}

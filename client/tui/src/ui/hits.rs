//! The parts of the last frame that a click does something with.

use super::{Last, Pane, Side};
use gob_client::Name;
use gob_client::logs::Streams;
use ratatui::layout::Rect;

/// The effect of a click.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hit {
    /// That of a key.
    Key(&'static str),
    /// The selection of a worker.
    Worker(Name),
    /// The selection of a run.
    Run(usize),
    /// A side of the details.
    Side(Side),
    /// A list of the last pane.
    Last(Last),
    /// The streams of the log.
    Streams(Streams),
    /// A line of the dialog.
    Line(usize),
}

/// All of them; the last one at a place is the uppermost.
#[derive(Debug, Default)]
pub(super) struct Hits(Vec<(Rect, Hit)>);

impl Hits {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn add(&mut self, area: Rect, hit: Hit) {
        self.0.push((area, hit));
    }

    pub(super) fn at(&self, x: u16, y: u16) -> Option<&Hit> {
        self.0.iter().rev().find(|(area, _)| area.contains((x, y).into())).map(|(_, hit)| hit)
    }
}

impl Hit {
    /// Returns the pane that a click gives the keys to, where it is not the one around it.
    pub(super) const fn is_of(&self, pane: Pane) -> bool {
        match self {
            Self::Worker(_) => matches!(pane, Pane::Workers),
            Self::Run(_) | Self::Side(_) => matches!(pane, Pane::Details),
            Self::Last(_) => matches!(pane, Pane::Events),
            Self::Streams(_) => matches!(pane, Pane::Log),
            Self::Key(_) | Self::Line(_) => true,
        }
    }
}

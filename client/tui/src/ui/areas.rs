//! The places of the panes, by the size of the terminal. Pure.

use super::Pane;
use gob_client::screen::Banner;
use ratatui::layout::Rect;

/// The least size that anything is shown in.
const LEAST: (u16, u16) = (20, 6);
/// Below this a screen has one pane.
const SMALL: (u16, u16) = (60, 16);
/// From here on the log and the events are seen side by side.
const WIDE: u16 = 150;
/// The width of the list of workers.
const LIST: (u16, u16) = (34, 90);

/// The places of everything; an empty one is not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Areas {
    pub(super) all: Rect,
    pub(super) top: Rect,
    pub(super) banner: Rect,
    pub(super) workers: Rect,
    pub(super) details: Rect,
    pub(super) log: Rect,
    pub(super) events: Rect,
    pub(super) bottom: Rect,
}

impl Areas {
    /// Divides the terminal.
    pub(super) fn of(all: Rect, banner: Option<&Banner>, focus: Pane, lower: Pane, is_zoomed: bool) -> Self {
        let mut areas = Self { all, ..Self::default() };
        if all.width < LEAST.0 || all.height < LEAST.1 {
            return areas;
        }
        let rest;
        (areas.top, rest) = split(all, 1);
        let lines = banner.map_or(0, |banner| banner.lines.len() + 2);
        let lines = u16::try_from(lines).unwrap_or(u16::MAX).min(rest.height / 3);
        let rest = {
            let (banner, rest) = split(rest, lines);
            areas.banner = banner;
            rest
        };
        let rest = {
            let (rest, bottom) = split(rest, rest.height - 1);
            areas.bottom = bottom;
            rest
        };
        if is_zoomed || all.width < SMALL.0 || all.height < SMALL.1 {
            *areas.pane_mut(focus) = rest;
            return areas;
        }
        let (upper, under) = split(rest, rest.height / 2);
        let list = (upper.width * 2 / 5).clamp(LIST.0, LIST.1);
        (areas.workers, areas.details) = beside(upper, list);
        if all.width >= WIDE {
            (areas.log, areas.events) = beside(under, under.width * 3 / 5);
        } else {
            *areas.pane_mut(lower) = under;
        }
        areas
    }

    /// Returns the places, unless there is no room for anything.
    pub(super) fn fitting(&self) -> Option<Self> {
        (!self.top.is_empty()).then_some(*self)
    }

    /// Returns the place of a pane.
    pub(super) const fn of_pane(&self, pane: Pane) -> Option<Rect> {
        let area = match pane {
            Pane::Workers => self.workers,
            Pane::Details => self.details,
            Pane::Log => self.log,
            Pane::Events => self.events,
        };
        if area.is_empty() { None } else { Some(area) }
    }

    const fn pane_mut(&mut self, pane: Pane) -> &mut Rect {
        match pane {
            Pane::Workers => &mut self.workers,
            Pane::Details => &mut self.details,
            Pane::Log => &mut self.log,
            Pane::Events => &mut self.events,
        }
    }

    /// Returns the pane at a place.
    pub(super) fn pane_at(&self, x: u16, y: u16) -> Option<Pane> {
        Pane::ALL
            .into_iter()
            .find(|pane| self.of_pane(*pane).is_some_and(|area| area.contains((x, y).into())))
    }
}

/// Returns the first lines of an area, and the rest.
fn split(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    (Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area })
}

/// Returns the first columns of an area, and the rest.
fn beside(area: Rect, width: u16) -> (Rect, Rect) {
    let width = width.min(area.width);
    (Rect { width, ..area }, Rect { x: area.x + width, width: area.width - width, ..area })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(width: u16, height: u16) -> Areas {
        Areas::of(Rect::new(0, 0, width, height), None, Pane::Workers, Pane::Log, false)
    }

    fn seen(areas: &Areas) -> Vec<Pane> {
        Pane::ALL.into_iter().filter(|pane| areas.of_pane(*pane).is_some()).collect()
    }

    #[test]
    fn a_wide_screen_has_every_pane_and_a_small_one_has_one() {
        assert_eq!(seen(&of(200, 50)), Pane::ALL);
        assert_eq!(seen(&of(80, 24)), [Pane::Workers, Pane::Details, Pane::Log]);
        assert_eq!(seen(&of(50, 24)), [Pane::Workers]);
        assert_eq!(of(19, 24).fitting(), None);
    }

    #[test]
    fn panes_fill_the_screen_and_never_overlap() {
        for (width, height) in [(20, 6), (59, 40), (80, 24), (120, 40), (150, 30), (300, 80)] {
            for banner in [None, gob_client::screen::Link::Away.banner(true)] {
                let all = Rect::new(0, 0, width, height);
                let areas = Areas::of(all, banner.as_ref(), Pane::Workers, Pane::Events, false);
                let parts = [
                    areas.top,
                    areas.banner,
                    areas.workers,
                    areas.details,
                    areas.log,
                    areas.events,
                    areas.bottom,
                ];
                let sum: u32 = parts.iter().map(|area| area.area()).sum();
                assert_eq!(sum, all.area(), "{width}x{height}");
                for (at, part) in parts.iter().enumerate() {
                    assert!(parts.iter().skip(at + 1).all(|other| !part.intersects(*other)), "{areas:?}");
                }
            }
        }
    }
}

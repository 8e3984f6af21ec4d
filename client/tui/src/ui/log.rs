//! The output of the selected worker: the lines that the pane has room for, laid out as they are drawn.

mod draw;

use super::hits::Hit;
use super::paint::{self, Title, line_of, put, put_at, put_parts};
use super::{Intent, Pane, Scene, Shown, Ui};
use crate::line::{Part, from_cell, parts, rows};
use crate::look::Look;
use gob_client::View;
use gob_client::logs::{Direction, Line, Page, Pattern, Searched, Stream, Streams};
use gob_client::screen::{Tone, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// The width of a pane from which on lines have their times.
const WIDE: u16 = 100;
/// Cells that one step to the side moves.
const STEP: usize = 8;

/// A row: a line by its number, and which of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    line: i64,
    row: usize,
}

/// The log as the person wants it.
#[derive(Debug, Default)]
pub(super) struct LogView {
    pub(super) streams: Streams,
    /// A run that was chosen; else the latest.
    pub(super) run: Option<u64>,
    pub(super) pattern: String,
    pub(super) wraps: bool,
    /// Lines have their times; by the width of the pane where the person did not say.
    times: Option<bool>,
    /// Cells that are out of sight at the left.
    across: usize,
    /// The first row, while the log is held; of this generation.
    top: Option<(u64, Place)>,
    /// The log is to be held from that row on, and the pane does not know of it yet.
    holds: bool,
    /// The output that is shown now.
    shown: Option<Shown>,
    /// The page of which older or newer lines were asked for.
    asked: Option<(u64, i64, usize)>,
    /// The found line that was brought into sight; the next search goes on from it.
    revealed: Option<(u64, i64)>,
    /// The page at which a search was asked for: its own match, if it has one, is that of an earlier search.
    asked_at: Option<usize>,
    /// The direction of the search.
    direction: Option<Direction>,
    /// Where a search that finds nothing below goes on: above this line.
    above: Option<i64>,
    /// Rows, and cells of a line's text, as they were drawn last.
    height: usize,
    width: usize,
}

impl LogView {
    /// Forgets the run that was chosen, and where the log was.
    pub(super) fn forget(&mut self) {
        (self.run, self.top, self.across) = (None, None, 0);
    }

    /// Takes the output that is wanted; true where it is another one.
    pub(super) fn show(&mut self, wanted: &Option<Shown>) -> bool {
        if self.shown == *wanted {
            return false;
        }
        self.shown.clone_from(wanted);
        (self.top, self.asked, self.revealed, self.holds) = (None, None, None, false);
        true
    }

    /// Returns the number of rows of a line.
    fn rows_of(&self, page: &Page, line: i64) -> usize {
        if !self.wraps {
            return 1;
        }
        let line = line_at(page, line);
        line.map_or(1, |line| rows(parts(line, PLAIN), self.width).len())
    }

    /// Returns the place so many rows above, or as far as there are lines.
    fn above(&self, page: &Page, mut place: Place, mut by: usize) -> Place {
        while by > place.row && place.line > page.first {
            by -= place.row + 1;
            place.line -= 1;
            place.row = self.rows_of(page, place.line) - 1;
        }
        Place { row: place.row.saturating_sub(by), ..place }
    }

    /// Returns the place so many rows below, or as far as there are lines.
    fn below(&self, page: &Page, mut place: Place, mut by: usize) -> Place {
        loop {
            let left = self.rows_of(page, place.line) - 1 - place.row;
            if by <= left || place.line >= last(page) {
                return Place { row: place.row + by.min(left), ..place };
            }
            by -= left + 1;
            place = Place { line: place.line + 1, row: 0 };
        }
    }

    /// Returns the first row at which the last one is at the lower end.
    fn end(&self, page: &Page) -> Place {
        let line = last(page);
        let place = Place { line, row: self.rows_of(page, line).saturating_sub(1) };
        self.above(page, place, self.height.saturating_sub(1))
    }

    /// Returns the first row that is seen.
    fn top(&mut self, page: &Page) -> Place {
        let end = self.end(page);
        let is_answered = self.asked_at.take_if(|at| *at != std::ptr::from_ref(page).addr()).is_some();
        if is_answered {
            self.revealed = None;
        }
        if let Some(Searched::Found(line)) = page.searched
            && self.asked_at.is_none()
            && self.revealed != Some((page.generation, line))
            && line_at(page, line).is_some()
        {
            self.revealed = Some((page.generation, line));
            self.reveal_across(page, line);
            let found = self.above(page, Place { line, row: 0 }, self.height / 3);
            self.top = Some((page.generation, found.min(end)));
        }
        self.holds &= page.follows;
        if page.follows && !self.holds {
            self.top = None;
            return end;
        }
        let held = self.top.filter(|(generation, _)| *generation == page.generation).map(|(_, place)| place);
        let first = Place { line: page.first, row: 0 };
        let mut top = held.unwrap_or(end).clamp(first, end.max(first));
        top.row = top.row.min(self.rows_of(page, top.line).saturating_sub(1));
        self.top = Some((page.generation, top));
        top
    }

    /// Brings the place of a match into sight, where the line goes on beyond the sides.
    fn reveal_across(&mut self, page: &Page, line: i64) {
        let text = line_at(page, line).map(|line| text::output(&line.text)).unwrap_or_default();
        let found = Pattern::typed(&self.pattern).ok().and_then(|pattern| pattern.places(&text).next());
        let Some(before) = found.and_then(|place| text.get(..place.start)) else { return };
        let column = usize::from(paint::cells(before));
        if !self.wraps && !(self.across..self.across + self.width.saturating_sub(STEP)).contains(&column) {
            self.across = column.saturating_sub(self.width / 3);
        }
    }

    /// Scrolls by rows; returns what has to be asked of the pane for it.
    fn scroll(&mut self, page: &Page, by: isize) -> Option<Intent> {
        if page.lines.is_empty() {
            return None;
        }
        let (top, end) = (self.top(page), self.end(page));
        let to = if by < 0 {
            self.above(page, top, by.unsigned_abs())
        } else {
            self.below(page, top, by.unsigned_abs())
        };
        let to = to.min(end);
        if page.follows {
            self.top = Some((page.generation, to));
            let is_new = !std::mem::replace(&mut self.holds, to != end);
            return (is_new && self.holds).then_some(Intent::Follow(false));
        }
        self.top = Some((page.generation, to));
        if by > 0 && top == end && !page.has_newer {
            return Some(Intent::Follow(true));
        }
        let key = (page.generation, page.first, page.lines.len());
        let near = |line: i64, other: i64| line.abs_diff(other) <= self.height as u64;
        let wanted = if by < 0 && page.has_older && near(to.line, page.first) {
            Intent::Older
        } else if by > 0 && page.has_newer && near(to.line, end.line) {
            Intent::Newer
        } else {
            return None;
        };
        (self.asked.replace(key) != Some(key)).then_some(wanted)
    }
}

/// A line is laid out in the same rows whatever its colours are.
const PLAIN: Look = Look { colours: crate::look::Colours::None, unicode: true };

const fn last(page: &Page) -> i64 {
    page.first + page.lines.len() as i64 - 1
}

fn line_at(page: &Page, number: i64) -> Option<&Line> {
    let at = usize::try_from(number.checked_sub(page.first)?).ok()?;
    page.lines.get(at).map(|line| &**line)
}

impl Ui {
    /// Follows the log, or holds it where it is.
    pub(super) fn toggle_follow(&mut self, page: &Page) {
        let follows = page.follows && !self.log.holds;
        if follows {
            self.log.top = Some((page.generation, self.log.top(page)));
        }
        self.log.holds = follows;
        self.intents.push(Intent::Follow(!follows));
    }

    /// Scrolls the log by rows.
    pub(super) fn scroll_log(&mut self, by: isize, scene: &Scene<'_>) {
        let wanted = self.log.scroll(scene.page, by);
        self.intents.extend(wanted);
    }

    /// Goes to the first line that is there, or follows the last one.
    pub(super) fn log_end(&mut self, is_last: bool, scene: &Scene<'_>) {
        if is_last {
            (self.log.top, self.log.holds) = (None, false);
            return self.intents.push(Intent::Follow(true));
        }
        self.scroll_log(isize::MIN / 2, scene);
    }

    /// Moves the view to the side, while lines are not broken.
    pub(super) fn scroll_across(&mut self, right: bool) {
        if !self.log.wraps {
            self.log.across =
                if right { self.log.across + STEP } else { self.log.across.saturating_sub(STEP) }
                    .min(Line::MAX_BYTES);
        }
    }

    /// Begins to search for a pattern: from the end upwards while the log is followed, else from what is seen downwards.
    pub(super) fn search(&mut self, pattern: &str, page: &Page) {
        pattern.clone_into(&mut self.log.pattern);
        if pattern.is_empty() {
            return;
        }
        let follows = page.follows && !self.log.holds;
        let direction = if follows { Direction::Older } else { Direction::Newer };
        let from = (!follows && !page.lines.is_empty()).then(|| self.log.top(page).line - 1);
        self.log.above = from.map(|line| line + 1);
        self.log.direction = Some(direction);
        self.log.asked_at = Some(std::ptr::from_ref(page).addr());
        self.intents.push(Intent::Find(self.log.pattern.clone(), direction, from));
    }

    /// Goes on above with a search that has found nothing below.
    pub(super) fn search_on(&mut self, page: &Page) {
        if self.log.asked_at == Some(std::ptr::from_ref(page).addr()) {
            return;
        }
        match (&page.searched, self.log.above) {
            (Some(Searched::NotFound), Some(line)) => {
                self.log.direction = Some(Direction::Older);
                self.log.asked_at = Some(std::ptr::from_ref(page).addr());
                self.intents.push(Intent::Find(self.log.pattern.clone(), Direction::Older, Some(line)));
            }
            (Some(_), Some(_)) => {}
            (_, None) | (None, _) => return,
        }
        self.log.above = None;
    }

    /// Finds the next match in the direction of the search, or against it, from the one that was found last.
    pub(super) fn find_next(&mut self, onwards: bool, page: &Page) {
        let direction = match (self.log.direction, onwards) {
            (Some(Direction::Newer), true) | (Some(Direction::Older) | None, false) => Direction::Newer,
            (Some(Direction::Newer), false) | (Some(Direction::Older) | None, true) => Direction::Older,
        };
        let found = self.log.revealed.filter(|(generation, _)| *generation == page.generation);
        let from = found.map(|(_, line)| line);
        self.log.asked_at = Some(std::ptr::from_ref(page).addr());
        self.intents.push(Intent::Find(self.log.pattern.clone(), direction, from));
    }

    /// Breaks long lines, or does not.
    pub(super) fn toggle_wrap(&mut self) {
        self.log.wraps = !self.log.wraps;
        self.log.across = 0;
    }

    /// Shows the times of lines, or does not.
    pub(super) fn toggle_times(&mut self) {
        let has_times = self.log.times.unwrap_or(self.areas.log.width >= WIDE + 2);
        self.log.times = Some(!has_times);
    }

    /// Shows the next choice of streams.
    pub(super) fn next_streams(&mut self) {
        self.log.streams = match self.log.streams {
            Streams::Both => Streams::Stdout,
            Streams::Stdout => Streams::Stderr,
            Streams::Stderr => Streams::Both,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A page of lines that are as long as their numbers say.
    fn page(first: i64, lengths: &[usize]) -> Page {
        let lines =
            lengths.iter().map(|length| Arc::new(Line::of(Stream::Stdout, &"x".repeat(*length)))).collect();
        Page { first, lines, generation: 1, ..Page::default() }
    }

    fn view(height: usize, wraps: bool) -> LogView {
        LogView { height, width: 10, wraps, ..LogView::default() }
    }

    fn at(line: i64, row: usize) -> Place {
        Place { line, row }
    }

    #[test]
    fn it_begins_at_the_end_and_stays_there_while_it_follows() {
        let mut log = view(3, false);
        let mut page = Page { follows: true, ..page(7, &[1; 9]) };
        assert_eq!(log.top(&page), at(13, 0));
        page.lines.push(Arc::new(Line::of(Stream::Stdout, "x")));
        assert_eq!(log.top(&page), at(14, 0));
        assert_eq!(log.top(&self::page(7, &[1, 1])), at(7, 0), "there is less than a pane of them");
    }

    #[test]
    fn a_broken_line_counts_its_rows() {
        let mut log = view(3, true);
        let page = page(0, &[5, 25, 5, 15]);
        assert_eq!(log.end(&page), at(2, 0), "one row, and two of the last line");
        assert_eq!(log.above(&page, at(2, 0), 1), at(1, 2));
        assert_eq!(log.above(&page, at(2, 0), 4), at(0, 0));
        assert_eq!(log.above(&page, at(2, 0), 99), at(0, 0));
        assert_eq!(log.below(&page, at(0, 0), 3), at(1, 2));
        assert_eq!(log.below(&page, at(0, 0), 99), at(3, 1));
        log.width = 30;
        assert_eq!(log.end(&page), at(1, 0));
    }

    #[test]
    fn scrolling_away_holds_the_log_and_scrolling_past_the_end_follows_it() {
        let mut log = view(3, false);
        let follows = Page { follows: true, has_older: true, ..page(0, &[1; 20]) };
        assert_eq!(log.scroll(&follows, 1), None);
        assert_eq!(log.scroll(&follows, -2), Some(Intent::Follow(false)));
        let held = Page { follows: false, ..follows };
        assert_eq!(log.top(&held), at(15, 0));
        assert_eq!(log.scroll(&held, 2), None);
        assert_eq!(log.top(&held), at(17, 0));
        assert_eq!(log.scroll(&held, 1), Some(Intent::Follow(true)));
    }

    #[test]
    fn older_lines_are_asked_for_once_and_the_view_stays_on_its_line() {
        let mut log = view(3, false);
        let held = Page { has_older: true, ..page(0, &[1; 20]) };
        log.top = Some((1, at(4, 0)));
        assert_eq!(log.scroll(&held, -2), Some(Intent::Older));
        assert_eq!(log.scroll(&held, -1), None, "they are on their way");
        let more = Page { has_older: true, ..page(-10, &[1; 30]) };
        assert_eq!(log.top(&more), at(1, 0));
        assert_eq!(log.scroll(&more, -1), None);
        let other = Page { generation: 2, ..page(0, &[1; 5]) };
        assert_eq!(log.top(&other), at(2, 0), "these lines have nothing to do with the earlier ones");
    }

    #[test]
    fn a_found_line_is_brought_into_sight_once() {
        let mut log = view(3, false);
        let found = Page { searched: Some(Searched::Found(4)), ..page(0, &[1; 20]) };
        assert_eq!(log.top(&found), at(3, 0));
        log.scroll(&found, 5);
        assert_eq!(log.top(&found), at(8, 0));
    }

    #[test]
    fn an_empty_log_is_scrolled_nowhere() {
        let mut log = view(3, true);
        assert_eq!(log.scroll(&Page::default(), -1), None);
        assert_eq!(log.scroll(&Page::default(), 1), None);
    }
}

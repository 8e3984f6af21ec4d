//! A window on one run: at its end and following it, or held anywhere in it.
//!
//! Owns the open run and the lines of the window. A reader that is held reads nothing, however much the worker writes; one
//! that follows a flood skips to its end, so that each call costs as much as a window.

use super::pattern::Pattern;
use super::place::Place;
use super::run::Run;
use super::window::{Line, Window};
use gob_protocol::logindex::Stream;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Unread bytes beyond which a reader that follows skips to the end.
const MAX_BACKLOG: u64 = 1 << 20;
/// Bytes after which reading pauses, so that a worker that writes faster than it is read delays no page and no order.
const MAX_TURN: usize = 4 << 20;
/// Lines that are put before a found one.
const CONTEXT: usize = 500;
/// Lines that one step towards either end adds.
const STEP: usize = 500;

/// The direction of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards the first line.
    Older,
    /// Towards the last line.
    Newer,
}

/// A run that is read in windows.
#[derive(Debug)]
pub(super) struct Reader {
    run: Run,
    window: Window,
    follows: bool,
    has_older: bool,
    has_newer: bool,
    /// The end of the output as it was last seen while the window was held.
    seen: u64,
    /// The last turn ended before the output did.
    is_behind: bool,
    /// New whenever the lines are others than before, instead of more.
    generation: u64,
    /// The openings of the index when the window was filled.
    openings: u64,
}

impl Reader {
    /// Opens a run, at its end and following it.
    pub(super) fn open(dir: &Path, number: u64, streams: &[Stream]) -> io::Result<Self> {
        let run = Run::open(dir, number, streams)?;
        let mut reader = Self {
            run,
            window: Window::default(),
            follows: true,
            has_older: false,
            has_newer: false,
            seen: 0,
            is_behind: false,
            generation: 0,
            openings: 0,
        };
        reader.show_end()?;
        Ok(reader)
    }

    pub(super) const fn number(&self) -> u64 {
        self.run.number()
    }

    pub(super) const fn window(&self) -> &Window {
        &self.window
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) const fn follows(&self) -> bool {
        self.follows
    }

    pub(super) const fn has_older(&self) -> bool {
        self.has_older
    }

    pub(super) const fn has_newer(&self) -> bool {
        self.has_newer
    }

    /// Returns whether there is more to take in without a further change of the files.
    pub(super) const fn is_behind(&self) -> bool {
        self.follows && self.is_behind
    }

    pub(super) fn is_removed(&self) -> io::Result<bool> {
        self.run.is_removed()
    }

    /// Returns whether there are bytes without a record, which [`Reader::take_untold`] takes.
    pub(super) fn has_untold(&self) -> io::Result<bool> {
        Ok(self.follows && !self.is_behind && self.run.has_untold()?)
    }

    /// Takes in bytes without a record.
    pub(super) fn take_untold(&mut self) -> io::Result<()> {
        while self.run.take_rest()? {
            self.read_on()?;
        }
        Ok(())
    }

    /// Takes in what was written; returns whether that changed anything that is shown.
    pub(super) fn catch_up(&mut self) -> io::Result<bool> {
        if !self.follows {
            let end = self.run.end()?;
            let is_news = end > self.seen && !self.has_newer;
            self.has_newer |= is_news;
            return Ok(is_news);
        }
        let is_anew = self.run.openings != self.openings && self.run.index.is_some();
        if is_anew || self.run.backlog()? > MAX_BACKLOG {
            self.show_end()?;
            return Ok(true);
        }
        self.read_on()
    }

    /// Follows from now on, or holds the lines that are shown.
    pub(super) fn follow(&mut self, follows: bool) -> io::Result<()> {
        match (self.follows, follows) {
            (false, true) => self.show_end(),
            (true, false) => self.hold(),
            (true, true) | (false, false) => Ok(()),
        }
    }

    /// Adds earlier lines.
    pub(super) fn older(&mut self) -> io::Result<()> {
        self.hold()?;
        let (lines, is_first) = self.lines_before(self.edge(|at, best| best.reaches(at)), STEP)?;
        self.has_older = !is_first && !lines.is_empty();
        self.has_newer |= self.window.push_front(lines.into_iter());
        Ok(())
    }

    /// Adds later lines.
    pub(super) fn newer(&mut self) -> io::Result<()> {
        self.hold()?;
        let Some(last) = self.seek_last()? else {
            self.show_end()?;
            self.follows = false;
            self.seen = self.run.end()?;
            return Ok(());
        };
        let first = self.window.first();
        let mut added = 0;
        while added < STEP {
            match self.take_behind(last)? {
                Some(()) => added += 1,
                None => return self.end_here(first),
            }
        }
        self.has_older |= self.window.first() > first;
        self.has_newer = true;
        Ok(())
    }

    /// Searches from a line of the window, or else from its end in that direction; the line itself is left out. Shows the
    /// lines around the found one, and returns its number. `is_interrupted` is asked between steps; an interrupted
    /// search finds nothing.
    pub(super) fn find(
        &mut self,
        pattern: &Pattern,
        direction: Direction,
        from: Option<i64>,
        is_interrupted: &dyn Fn() -> bool,
    ) -> io::Result<Option<i64>> {
        let followed = self.follows;
        self.hold()?;
        let found = match (self.find_shown(pattern, direction, from), direction) {
            (Some(found), _) => Some(found),
            (None, Direction::Older) => self.find_older(pattern, is_interrupted)?,
            (None, Direction::Newer) => self.find_newer(pattern, is_interrupted)?,
        };
        if found.is_none() && followed {
            self.show_end()?;
        }
        Ok(found)
    }

    fn find_shown(&self, pattern: &Pattern, direction: Direction, from: Option<i64>) -> Option<i64> {
        let first = self.window.first();
        let mut lines = (first..).zip(self.window.lines());
        let is_found = |(_, line): &(i64, &Arc<Line>)| line.shows(pattern);
        let found = match direction {
            Direction::Newer => lines.find(|line| from.is_none_or(|from| line.0 > from) && is_found(line)),
            Direction::Older => {
                lines.filter(|line| from.is_none_or(|from| line.0 < from) && is_found(line)).last()
            }
        };
        found.map(|(number, _)| number)
    }

    fn find_older(
        &mut self,
        pattern: &Pattern,
        is_interrupted: &dyn Fn() -> bool,
    ) -> io::Result<Option<i64>> {
        let mut edge = self.edge(|at, best| best.reaches(at));
        while edge.is_some() && !is_interrupted() {
            let (lines, is_first) = self.lines_before(edge, Window::MAX_LINES - CONTEXT)?;
            let found = lines.iter().rposition(|line| line.shows(pattern));
            if let Some(index) = found {
                self.show_anew();
                self.has_older = !is_first;
                self.has_newer = true;
                self.window.push_front(lines.into_iter());
                return Ok(i64::try_from(index).ok().map(|index| self.window.first() + index));
            }
            edge = lines.first().and_then(|line| line.place).filter(|_| !is_first);
        }
        Ok(None)
    }

    fn find_newer(
        &mut self,
        pattern: &Pattern,
        is_interrupted: &dyn Fn() -> bool,
    ) -> io::Result<Option<i64>> {
        let Some(last) = self.seek_last()? else { return Ok(None) };
        // Lines that come while it is searched are left to the next search.
        let end = self.run.records()?;
        let mut found = Window::default();
        let mut read = 0_u32;
        while let Some((piece, place)) = self.next()? {
            if place.is_none_or(|place| !place.is_before(end)) {
                break;
            }
            read += 1;
            if read.is_multiple_of(1024) && is_interrupted() {
                return Ok(None);
            }
            if place.is_some_and(|place| last.reaches(&place)) {
                continue;
            }
            found.push(&piece, place);
            let line = found.lines().back().filter(|_| piece.ends_line());
            if line.is_some_and(|line| line.shows(pattern)) {
                found.keep_last(CONTEXT);
                self.show_anew();
                self.has_older = true;
                self.window.push_front(found.lines().iter().cloned());
                let number = self.window.first() + i64::try_from(self.window.lines().len()).unwrap_or(1) - 1;
                self.newer()?;
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Empties the window for lines that do not adjoin those that it has, and holds it.
    fn show_anew(&mut self) {
        self.window.clear();
        self.follows = false;
        self.generation += 1;
        self.openings = self.run.openings;
    }

    /// Fills the window with the last lines, and follows from there.
    fn show_end(&mut self) -> io::Result<()> {
        self.show_anew();
        self.run.renew()?;
        self.has_older = self.run.skip_to_last(Window::MAX_LINES)?;
        (self.follows, self.has_newer) = (true, false);
        self.read_on()?;
        self.openings = self.run.openings;
        Ok(())
    }

    /// Takes in what there is, or as much as a turn may; returns whether there was anything.
    fn read_on(&mut self) -> io::Result<bool> {
        let first = self.window.first();
        let mut bytes = 0;
        self.is_behind = false;
        while let Some((piece, place)) = self.next()? {
            bytes += piece.bytes.len();
            self.window.push(&piece, place);
            if bytes > MAX_TURN {
                self.is_behind = true;
                break;
            }
        }
        let mut any = bytes > 0;
        if !self.is_behind {
            for piece in self.run.unfinished() {
                self.window.push(&piece, None);
                any = true;
            }
        }
        self.has_older |= self.window.first() > first;
        Ok(any)
    }

    /// Stops following. Lines that may come again when the window goes on behind its last place are left to that.
    fn hold(&mut self) -> io::Result<()> {
        let dropped = self.window.keep_placed(self.run.index.is_none());
        if self.follows {
            self.follows = false;
            self.has_newer = self.run.backlog()? > 0;
            self.seen = self.run.end()?;
        }
        self.has_newer |= dropped;
        Ok(())
    }

    /// The window ends with the last line that there is.
    fn end_here(&mut self, first: i64) -> io::Result<()> {
        self.take_untold()?;
        self.read_on()?;
        self.has_older |= self.window.first() > first;
        self.has_newer = false;
        self.seen = self.run.end()?;
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<(super::Piece, Option<Place>)>> {
        let piece = self.run.next_piece()?;
        Ok(piece.map(|piece| (piece, self.run.place)))
    }

    /// Returns the place of the first or of the last line in the order of their ends.
    fn edge(&self, is_further: impl Fn(&Place, &Place) -> bool) -> Option<Place> {
        let places = self.window.lines().iter().filter_map(|line| line.place);
        places.reduce(|best, at| if is_further(&at, &best) { at } else { best })
    }

    /// Reads on behind the last line of the window; `None` where its place is not known or gone.
    fn seek_last(&mut self) -> io::Result<Option<Place>> {
        self.run.renew()?;
        let last = self.edge(Place::reaches);
        let last = last.map_or(Ok(None), |last| self.run.locate(last))?;
        if let Some(last) = last {
            self.run.seek_to(last)?;
        }
        Ok(last)
    }

    /// Takes the next piece that is behind a place; `None` at the end.
    fn take_behind(&mut self, last: Place) -> io::Result<Option<()>> {
        while let Some((piece, place)) = self.next()? {
            if place.is_some_and(|place| last.reaches(&place)) {
                continue;
            }
            self.window.push(&piece, place);
            return Ok(Some(()));
        }
        Ok(None)
    }

    /// Returns up to `count` lines before a place, and whether there are none before them.
    fn lines_before(&mut self, place: Option<Place>, count: usize) -> io::Result<(Vec<Arc<Line>>, bool)> {
        self.run.renew()?;
        let place = place.map_or(Ok(None), |place| self.run.locate(place))?;
        let Some(place) = place else { return Ok((Vec::new(), true)) };
        let mut writes = 64;
        loop {
            let is_first = self.run.seek_before(place, writes)?;
            let mut before = Window::default();
            while let Some((piece, at)) = self.next()? {
                if at.is_none_or(|at| at.reaches(&place)) {
                    break;
                }
                before.push(&piece, at);
                before.keep_last(count);
            }
            before.keep_placed(false);
            let has_more = before.first() > 0;
            if has_more || is_first {
                return Ok((before.lines().iter().cloned().collect(), !has_more));
            }
            writes *= 4;
        }
    }
}

//! The emulator: bytes in, a screen out, and what else a terminal was asked for.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::time::Instant;
use vt100::{Callbacks, MouseProtocolMode, Parser};

const BEGIN: &[u8] = b"\x1b[?2026h";
const COMMIT: &[u8] = b"\x1b[?2026l";
/// Times of frames that are kept.
const FRAMES: usize = 4096;

/// A terminal.
pub struct Emulator {
    parser: Parser<Asked>,
    /// Bytes of a frame that is not whole yet.
    waiting: Vec<u8>,
    frames: VecDeque<Instant>,
    last_read: Instant,
}

/// Requests to a terminal that change nothing on its screen.
#[derive(Debug, Default)]
struct Asked {
    copied: Vec<Vec<u8>>,
    /// Everything that neither the screen of gob nor a shell has a use for.
    strange: Vec<String>,
}

/// The modes of a screen; the default ones are those of a shell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Modes {
    /// The screen is the one for whole-screen programs.
    pub other_screen: bool,
    /// No cursor is shown.
    pub no_cursor: bool,
    /// Pasted text comes in brackets.
    pub bracketed_paste: bool,
    /// The mouse is told of.
    pub mouse: bool,
    /// Later text would be coloured.
    pub coloured: bool,
}

impl Emulator {
    pub(super) fn new(size: (u16, u16)) -> Self {
        let (columns, rows) = cells(size);
        Self {
            parser: Parser::new_with_callbacks(rows, columns, 0, Asked::default()),
            waiting: Vec::new(),
            frames: VecDeque::new(),
            last_read: Instant::now(),
        }
    }

    pub(super) fn resize(&mut self, size: (u16, u16)) {
        let (columns, rows) = cells(size);
        self.parser.set_size(rows, columns);
    }

    /// Takes output; a frame is shown once it is whole.
    pub(super) fn read(&mut self, bytes: &[u8], now: Instant) {
        self.waiting.extend_from_slice(bytes);
        self.last_read = now;
        let find = |bytes: &[u8], mark: &[u8]| memchr::memmem::find(bytes, mark);
        loop {
            let begin = find(&self.waiting, BEGIN);
            let commit = begin.and_then(|at| Some(at + find(&self.waiting[at..], COMMIT)? + COMMIT.len()));
            match (begin, commit) {
                (_, Some(end)) => {
                    self.parser.process(&self.waiting[..end]);
                    self.waiting.drain(..end);
                    self.frames.push_back(now);
                    if self.frames.len() > FRAMES {
                        self.frames.pop_front();
                    }
                }
                (Some(begin), None) => {
                    self.parser.process(&self.waiting[..begin]);
                    self.waiting.drain(..begin);
                    return;
                }
                (None, None) => {
                    // The first bytes of a mark may be the last ones that came.
                    let kept = (1..BEGIN.len()).rev().find(|len| self.waiting.ends_with(&BEGIN[..*len]));
                    let end = self.waiting.len() - kept.unwrap_or(0);
                    self.parser.process(&self.waiting[..end]);
                    self.waiting.drain(..end);
                    return;
                }
            }
        }
    }

    /// Shows all that is left, at the end.
    pub(super) fn rest(&mut self) {
        let rest = std::mem::take(&mut self.waiting);
        self.parser.process(&rest);
    }

    /// Returns the time of the latest output.
    #[must_use]
    pub fn last_read(&self) -> Instant {
        self.last_read
    }

    /// Returns the times of whole frames, the latest thousands.
    pub fn frames(&self) -> impl Iterator<Item = Instant> + '_ {
        self.frames.iter().copied()
    }

    /// Returns the screen.
    #[must_use]
    pub fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Returns the screen as text: a line for each row, without blanks at its end.
    #[must_use]
    pub fn text(&self) -> String {
        let columns = self.screen().size().1.get();
        self.screen().rows(0, columns).map(|row| format!("{}\n", row.trim_end())).collect()
    }

    /// Returns the column and the row of a text.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<(u16, u16)> {
        let (rows, columns) = self.screen().size();
        (0..rows.get()).find_map(|row| {
            let cells: Vec<(u16, &str)> = (0..columns.get())
                .filter_map(|column| Some((column, self.screen().cell(row, column)?)))
                .filter(|(_, cell)| !cell.is_wide_continuation())
                .map(|(column, cell)| (column, if cell.has_contents() { cell.contents() } else { " " }))
                .collect();
            let line: String = cells.iter().map(|(_, text)| *text).collect();
            let mut left = line.find(text)?;
            let (column, _) = cells.iter().find(|(_, text)| {
                let is_there = left == 0;
                left = left.saturating_sub(text.len());
                is_there
            })?;
            Some((*column, row))
        })
    }

    /// Returns the modes of the screen.
    #[must_use]
    pub fn modes(&self) -> Modes {
        let screen = self.screen();
        Modes {
            other_screen: screen.alternate_screen(),
            no_cursor: screen.hide_cursor(),
            bracketed_paste: screen.bracketed_paste(),
            mouse: screen.mouse_protocol_mode() != MouseProtocolMode::None,
            coloured: screen.fgcolor() != vt100::Color::Default
                || screen.bgcolor() != vt100::Color::Default
                || screen.bold()
                || screen.dim()
                || screen.inverse()
                || screen.underline(),
        }
    }

    /// Returns the texts that were put on the clipboard, in the encoding of OSC 52.
    #[must_use]
    pub fn copied(&self) -> Vec<String> {
        self.parser.callbacks().copied.iter().map(|data| String::from_utf8_lossy(data).into_owned()).collect()
    }

    /// Returns the sequences that no screen of gob has a use for: titles, bells, questions.
    #[must_use]
    pub fn strange(&self) -> &[String] {
        &self.parser.callbacks().strange
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

fn cells((columns, rows): (u16, u16)) -> (NonZeroU16, NonZeroU16) {
    let cells = |count| NonZeroU16::new(count).expect("a size above nothing");
    (cells(columns), cells(rows))
}

impl Asked {
    fn strange(&mut self, what: impl Into<String>) {
        self.strange.push(what.into());
    }
}

impl Callbacks for Asked {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.strange("bell");
    }

    fn visual_bell(&mut self, _: &mut vt100::Screen) {
        self.strange("bell");
    }

    fn resize(&mut self, _: &mut vt100::Screen, request: (u16, u16)) {
        self.strange(format!("resize {request:?}"));
    }

    fn set_window_icon_name(&mut self, _: &mut vt100::Screen, name: &[u8]) {
        self.strange(format!("icon {}", String::from_utf8_lossy(name)));
    }

    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.strange(format!("title {}", String::from_utf8_lossy(title)));
    }

    fn copy_to_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8], data: &[u8]) {
        self.copied.push(data.to_vec());
    }

    fn paste_from_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8]) {
        self.strange("reads the clipboard");
    }

    fn unhandled_control(&mut self, _: &mut vt100::Screen, byte: u8) {
        self.strange(format!("control {byte}"));
    }

    fn unhandled_escape(&mut self, _: &mut vt100::Screen, _: Option<u8>, _: Option<u8>, byte: u8) {
        self.strange(format!("escape {}", char::from(byte)));
    }

    fn unhandled_csi(
        &mut self,
        _: &mut vt100::Screen,
        first: Option<u8>,
        second: Option<u8>,
        params: &[&[u16]],
        last: char,
    ) {
        // The marks of a frame, and the colour of lines below text, which no cell of the emulator has.
        if (first, second, last) == (None, None, 'm')
            && params.iter().all(|param| matches!(param, [58 | 59, ..]))
        {
            return;
        }
        if (first, last, params) != (Some(b'?'), 'h', &[&[2026]])
            && (first, last, params) != (Some(b'?'), 'l', &[&[2026]])
        {
            self.strange(format!("CSI {first:?} {second:?} {params:?} {last}"));
        }
    }

    fn unhandled_osc(&mut self, _: &mut vt100::Screen, params: &[&[u8]]) {
        self.strange(format!("OSC {params:?}"));
    }
}

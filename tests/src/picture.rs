//! The README's picture of the terminal's screen: drawn from a real one, in a world of its own.
//!
//! Pids, times and paths are fixed ones ([`normal`]), so that the picture changes only when the screen does.

use crate::gob::{Gob, Worker};
use crate::screen::{Run, Screen, Style, normal};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use vt100::Color;

/// Columns and rows of the screen.
pub const SIZE: (u16, u16) = (110, 34);
/// Width and height of a cell, and the margin.
const CELL: (f32, f32) = (8.0, 17.0);
const MARGIN: f32 = 14.0;

/// The colours of a terminal.
#[derive(Debug)]
pub struct Palette {
    /// The end of the picture's file name.
    pub name: &'static str,
    text: &'static str,
    background: &'static str,
    named: [&'static str; 16],
}

/// A terminal with light text, and one with dark text.
pub const PALETTES: [Palette; 2] = [
    Palette {
        name: "dark",
        text: "#d8dee9",
        background: "#1b1f27",
        named: [
            "#3b4252", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d8dee9",
            "#6b7385", "#ff7b86", "#b5e890", "#ffd68a", "#82c4ff", "#de9bf0", "#7fd5df", "#ffffff",
        ],
    },
    Palette {
        name: "light",
        text: "#24292f",
        background: "#ffffff",
        named: [
            "#24292f", "#c41a26", "#1a7f37", "#8a5a00", "#0860ca", "#8250df", "#0f6b75", "#6e7781",
            "#57606a", "#a40e26", "#2da44e", "#a87400", "#218bff", "#a475f9", "#2a8a94", "#8c959f",
        ],
    },
];

/// A worker's output in the picture.
const SITE: &str = "printf 'watching \\033[36msrc\\033[0m for changes\\n'; \
    printf '\\033[32mready\\033[0m in 212 steps: http://localhost:5173\\n'; \
    for page in / /about /notes/7 /assets/logo.svg; do printf 'GET \\033[1m%s\\033[0m 200\\n' $page; done; \
    sleep 0.1; echo 'warning: /favicon.ico is missing' >&2; exec sleep 100000";

/// Shows some workers on a screen, and returns what is seen of it, with fixed values.
///
/// # Panics
/// When the screen does not come to it.
#[must_use]
pub fn rows() -> Vec<Vec<Run>> {
    let gob = Gob::with(Worker::Real);
    let home = gob.dir().join("home");
    let add = |name: &str, script: &str| {
        gob.ctl(["add", "--name", name, "--", "sh", "-c", script]).cwd(&home).ok();
    };
    fs::write(home.join("serve"), SITE).expect("a file");
    fs::write(home.join("migrate"), "echo 'error: no such table: users' >&2; exit 3").expect("a file");
    add("migrate", "sh migrate");
    gob.ctl(["wait", "migrate"]).run();
    gob.ctl(["start", "notes"]).ok();
    gob.ctl(["start", "journal", "--owner", "desktop"]).ok();
    gob.ctl(["start", "archive"]).ok();
    gob.ctl(["stop", "archive"]).ok();
    gob.ctl(["add", "--name", "tests", "--owner", "agent", "--", "sleep", "100000"]).cwd(&home).ok();
    add("site", "sh serve");
    let mut call = gob.ctl(["tui"]);
    call.env("TERM", "xterm-256color").env("TZ", "UTC").cwd(&home);
    let mut screen = Screen::open(call, SIZE);
    screen.wait_for("tests");
    screen.keys(":site\r");
    screen.wait_for("favicon");
    let dir = gob.dir().to_str().expect("a path in UTF-8");
    let rows = screen.runs().into_iter().map(|runs| fixed(runs, dir)).collect();
    screen.keys("q");
    screen.end();
    rows
}

/// Replaces the values of this run in a row.
fn fixed(mut runs: Vec<Run>, dir: &str) -> Vec<Run> {
    let line: String = runs.iter().map(|run| run.text.as_str()).collect();
    let line = normal(&line, dir);
    let mut left = line.chars();
    for run in &mut runs {
        run.text = left.by_ref().take(run.text.chars().count()).collect();
    }
    runs
}

/// Draws a picture of rows.
#[must_use]
pub fn svg(rows: &[Vec<Run>], palette: &Palette) -> String {
    let width = f32::from(SIZE.0) * CELL.0 + 2.0 * MARGIN;
    let height = f32::from(SIZE.1) * CELL.1 + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"The screen of gobctl tui: workers, the selected one, its output\">\n\
         <style>text{{font:13px \"DejaVu Sans Mono\",Menlo,Consolas,monospace;fill:{text};white-space:pre}}\
         .b{{font-weight:bold}}.d{{opacity:.62}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{background}\"{edge}/>\n",
        text = palette.text,
        background = palette.background,
        edge = if palette.name == "light" { " stroke=\"#d0d7de\"" } else { "" },
    );
    for (row, runs) in rows.iter().enumerate() {
        let top = MARGIN + row as f32 * CELL.1;
        for run in runs {
            draw(&mut svg, run, top, palette);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, run: &Run, top: f32, palette: &Palette) {
    let Style { colours: (text, background), bold, dim, inverse, underline: _ } = run.style;
    let (mut front, mut back) = (palette.of(text, palette.text), palette.of(background, palette.background));
    if inverse {
        std::mem::swap(&mut front, &mut back);
    }
    let left = MARGIN + f32::from(run.column) * CELL.0;
    let width = f32::from(run.cells) * CELL.0;
    if back != palette.background {
        writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{}\" fill=\"{back}\"/>",
            CELL.1
        )
        .expect("a text");
    }
    if run.text.trim().is_empty() {
        return;
    }
    let class = match (bold, dim) {
        (false, false) => "",
        (true, false) => " class=\"b\"",
        (false, true) => " class=\"d\"",
        (true, true) => " class=\"b d\"",
    };
    let fill = if front == palette.text { String::new() } else { format!(" style=\"fill:{front}\"") };
    let text = run.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let base = top + 13.0;
    writeln!(
        svg,
        "<text x=\"{left}\" y=\"{base}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\"{class}{fill}>{text}</text>"
    )
    .expect("a text");
}

impl Palette {
    fn of(&self, color: Color, default: &'static str) -> &'static str {
        match color {
            Color::Idx(index) => self.named.get(usize::from(index)).copied().unwrap_or(default),
            Color::Default | Color::Rgb(..) => default,
        }
    }

    /// Returns the picture's file below the top of the repository.
    #[must_use]
    pub fn file(&self) -> String {
        format!("docs/pictures/tui-{}.svg", self.name)
    }
}

/// Writes both pictures below a directory.
///
/// # Errors
/// Those of the files.
pub fn write(top: &Path) -> std::io::Result<()> {
    let rows = rows();
    fs::create_dir_all(top.join("docs/pictures"))?;
    PALETTES.iter().try_for_each(|palette| fs::write(top.join(palette.file()), svg(&rows, palette)))
}

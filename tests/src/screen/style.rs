//! A screen as stretches of one style.

use vt100::Color;

/// The style of a stretch of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Its colour, and that of its background.
    pub colours: (Color, Color),
    /// Bold text.
    pub bold: bool,
    /// Dim text.
    pub dim: bool,
    /// Text and background change places.
    pub inverse: bool,
    /// Underlined text.
    pub underline: bool,
}

/// A stretch of text in one style, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The first column, from 0.
    pub column: u16,
    /// Its cells.
    pub cells: u16,
    /// Its text.
    pub text: String,
    /// Its style.
    pub style: Style,
}

/// Returns the stretches of each row.
#[must_use]
pub fn runs(screen: &vt100::Screen) -> Vec<Vec<Run>> {
    let (rows, columns) = screen.size();
    (0..rows.get()).map(|row| row_runs(screen, row, columns.get())).collect()
}

fn row_runs(screen: &vt100::Screen, row: u16, columns: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column) else { continue };
        if cell.is_wide_continuation() {
            if let Some(run) = runs.last_mut() {
                run.cells += 1;
            }
            continue;
        }
        let style = Style {
            colours: (cell.fgcolor(), cell.bgcolor()),
            bold: cell.bold(),
            dim: cell.dim(),
            inverse: cell.inverse(),
            underline: cell.underline(),
        };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        match runs.last_mut() {
            Some(run) if run.style == style => {
                run.text.push_str(text);
                run.cells += 1;
            }
            _ => runs.push(Run { column, cells: 1, text: text.to_owned(), style }),
        }
    }
    runs
}

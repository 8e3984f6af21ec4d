//! Aligned columns. Widths are what a terminal shows, so that a name in another script keeps the columns straight.

use unicode_width::UnicodeWidthStr;

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// To the left.
    Left,
    /// To the right.
    Right,
}

/// Lays rows out, two spaces between columns, nothing behind the last. Cells have to be escaped already.
pub(crate) fn layout<const N: usize>(align: [Align; N], rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |row: &[String; N]| {
        let mut out = String::new();
        for ((cell, width), align) in row.iter().zip(widths).zip(align) {
            let pad = " ".repeat(width - cell.width().min(width));
            match align {
                Align::Left => out.extend([cell, pad.as_str(), "  "]),
                Align::Right => out.extend([pad.as_str(), cell, "  "]),
            }
        }
        out.truncate(out.trim_end().len());
        out
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_straight() {
        let rows =
            [["NAME", "N", "E"], ["日本", "10", "-"], ["demo2", "1", ""]].map(|row| row.map(str::to_owned));
        let got = layout([Align::Left, Align::Right, Align::Left], &rows);
        assert_eq!(got, ["NAME    N  E", "日本   10  -", "demo2   1"]);
    }
}

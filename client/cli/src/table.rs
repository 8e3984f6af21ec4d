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
            *width = (*width).max(width_of(cell));
        }
    }
    let line = |row: &[String; N]| {
        let mut out = String::new();
        for ((cell, width), align) in row.iter().zip(widths).zip(align) {
            let pad = std::iter::repeat_n(' ', width - width_of(cell).min(width));
            match align {
                Align::Left => {
                    out.push_str(cell);
                    out.extend(pad);
                }
                Align::Right => {
                    out.extend(pad);
                    out.push_str(cell);
                }
            }
            out.push_str("  ");
        }
        out.truncate(out.trim_end().len());
        out
    };
    rows.iter().map(line).collect()
}

/// What a terminal shows of it, in columns.
fn width_of(cell: &str) -> usize {
    if cell.is_ascii() { cell.len() } else { cell.width() }
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

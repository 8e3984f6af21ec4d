//! Aligned columns. Widths are those on a terminal, so that a name in another script keeps the columns
//! straight.

use crate::terminal::{cells, cut};

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Left.
    Left,
    /// Right.
    Right,
}

/// A step that makes a table narrower; steps are taken in order until the table fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Narrower {
    /// Leaves this column out.
    Without(usize),
    /// Cuts the cells of this column, but leaves at least this many cells.
    Cut(usize, usize),
}

/// Cells between two columns.
const GAP: usize = 2;

/// Lays out rows, two spaces between columns, nothing behind the last. Cells must be escaped already.
pub(crate) fn layout<const N: usize>(align: [Align; N], rows: &[[String; N]]) -> Vec<String> {
    fitted(align, rows, None, &[])
}

/// As [`layout`], in lines of at most `width` cells where that is limited.
pub(crate) fn fitted<const N: usize>(
    align: [Align; N],
    rows: &[[String; N]],
    width: Option<usize>,
    steps: &[Narrower],
) -> Vec<String> {
    let mut widths = widths(rows).map(Some);
    let Some(width) = width else { return rows.iter().map(|row| line(row, &align, &widths)).collect() };
    for step in steps {
        let over = total(&widths).saturating_sub(width);
        match *step {
            _ if over == 0 => break,
            Narrower::Without(column) => {
                if let Some(column) = widths.get_mut(column) {
                    *column = None;
                }
            }
            Narrower::Cut(column, least) => {
                if let Some(Some(column)) = widths.get_mut(column) {
                    *column = column.saturating_sub(over).max(least.min(*column));
                }
            }
        }
    }
    rows.iter().map(|row| cut(&line(row, &align, &widths), width)).collect()
}

/// Returns the widest cell of each column.
fn widths<const N: usize>(rows: &[[String; N]]) -> [usize; N] {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cells(cell));
        }
    }
    widths
}

fn total(widths: &[Option<usize>]) -> usize {
    let shown: Vec<usize> = widths.iter().copied().flatten().collect();
    shown.iter().sum::<usize>() + GAP * shown.len().saturating_sub(1)
}

/// Formats one row; columns without a width are left out.
fn line<const N: usize>(row: &[String; N], align: &[Align; N], widths: &[Option<usize>; N]) -> String {
    let mut out = String::new();
    for ((cell, width), align) in row.iter().zip(widths).zip(align) {
        let Some(width) = width else { continue };
        let cell = cut(cell, *width);
        let pad = std::iter::repeat_n(' ', width.saturating_sub(cells(&cell)));
        match align {
            Align::Left => {
                out.push_str(&cell);
                out.extend(pad);
            }
            Align::Right => {
                out.extend(pad);
                out.push_str(&cell);
            }
        }
        out.extend(std::iter::repeat_n(' ', GAP));
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [[String; 3]; 3] {
        [["NAME", "N", "E"], ["日本", "10", "-"], ["demo2", "1", ""]].map(|row| row.map(str::to_owned))
    }

    #[test]
    fn columns_stand_straight() {
        let got = layout([Align::Left, Align::Right, Align::Left], &rows());
        assert_eq!(got, ["NAME    N  E", "日本   10  -", "demo2   1"]);
    }

    #[test]
    fn a_table_drops_and_cuts_columns_until_it_fits() {
        let steps = [Narrower::Without(1), Narrower::Cut(0, 3), Narrower::Cut(2, 1)];
        let fit = |width| fitted([Align::Left, Align::Right, Align::Left], &rows(), width, &steps);
        assert_eq!(fit(None), layout([Align::Left, Align::Right, Align::Left], &rows()));
        assert_eq!(fit(Some(12)), fit(None));
        assert_eq!(fit(Some(11)), ["NAME   E", "日本   -", "demo2"]);
        assert_eq!(fit(Some(7)), ["NAME  E", "日本  -", "dem…"]);
        assert_eq!(fit(Some(6)), ["NA…  E", "日…  -", "de…"]);
        assert_eq!(fit(Some(2)), ["N…", "…", "d…"]);
    }
}

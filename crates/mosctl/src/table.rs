//! Tables that fit a terminal.

/// Widest table in characters.
pub(crate) const WIDTH: usize = 100;

/// Space between columns.
const GAP: usize = 2;

/// Narrowest that a column is cut to.
const NARROWEST: usize = 8;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; it has a cell for every column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// The table as lines of at most [`WIDTH`] characters: the widest column gives way first, and `…` shows where.
    pub(crate) fn render(&self) -> String {
        let widths = self.widths();
        let header: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let mut text = self.line(&header, &widths);
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            text.push_str(&self.line(&cells, &widths));
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let cell_width = |n: usize| {
            self.rows
                .iter()
                .map(move |r| r[n].chars().count())
                .max()
                .unwrap_or(0)
        };
        let natural = self
            .columns
            .iter()
            .enumerate()
            .map(|(n, (name, _))| cell_width(n).max(name.chars().count()));
        shrink(
            natural.collect(),
            WIDTH.saturating_sub(GAP * self.columns.len().saturating_sub(1)),
        )
    }

    fn line(&self, cells: &[&str], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            let cell = cut(cell, *width);
            match align {
                Align::Left => line.push_str(&format!("{cell:<width$}")),
                Align::Right => line.push_str(&format!("{cell:>width$}")),
            }
            line.push_str(&" ".repeat(GAP));
        }
        format!("{}\n", line.trim_end())
    }
}

/// Takes from the widest column until all fit, or until none can give any more.
fn shrink(mut widths: Vec<usize>, room: usize) -> Vec<usize> {
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().max().filter(|w| **w > NARROWEST) else {
            break;
        };
        *widest -= 1;
    }
    widths
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_blanks() {
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("FPS", Align::Right),
            ("NOTE", Align::Left),
        ]);
        table.row(vec!["front".into(), "30.0".into(), String::new()]);
        table.row(vec!["a".into(), "5.0".into(), "dark".into()]);
        assert_eq!(
            table.render(),
            "NAME    FPS  NOTE\nfront  30.0\na       5.0  dark\n"
        );
    }

    #[test]
    fn a_long_cell_gives_way_and_the_line_fits() {
        let mut table = Table::new(&[
            ("ID", Align::Left),
            ("MODEL", Align::Left),
            ("N", Align::Right),
        ]);
        table.row(vec![
            "usb:046d:0825:4F2A11".into(),
            "ä".repeat(200),
            "7".into(),
        ]);
        let text = table.render();
        let line = text.lines().nth(1).unwrap();
        assert_eq!(line.chars().count(), WIDTH);
        assert!(
            line.starts_with("usb:046d:0825:4F2A11  ää") && line.ends_with("ä…  7"),
            "{line}"
        );
    }

    #[test]
    fn many_long_cells_share_the_loss_down_to_the_narrowest() {
        assert_eq!(shrink(vec![60, 50, 10], 90), [40, 40, 10]);
        assert_eq!(shrink(vec![9, 9, 9], 3), [8, 8, 8]);
        assert_eq!(shrink(vec![], 0), Vec::<usize>::new());
    }
}

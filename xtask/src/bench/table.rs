//! Tables that read well in a terminal and as Markdown.

use std::fmt;

/// A table; `Display` prints it as aligned Markdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Columns of text, at the left; the others hold numbers and are aligned to the right.
    text: usize,
}

impl Table {
    /// An empty table with these columns, of which the first `text` hold words.
    pub(super) fn new(header: &[&str], text: usize) -> Self {
        let header = header.iter().map(|&name| name.to_owned()).collect();
        Self { header, rows: Vec::new(), text }
    }

    /// Adds a row, cut or filled up with empty cells to the width of the header.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = String>) {
        let cells = row.into_iter().chain(std::iter::repeat_with(String::new));
        self.rows.push(cells.take(self.header.len()).collect());
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.header).chain(&self.rows)
    }

    /// One line of padded cells.
    fn line(&self, cells: &[String], widths: &[usize], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
            if column < self.text {
                write!(f, "| {cell:<width$} ")?;
            } else {
                write!(f, "| {cell:>width$} ")?;
            }
        }
        writeln!(f, "|")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.lines().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> =
            (0..self.header.len()).map(|column| width(column).unwrap_or(0).max(4)).collect();
        self.line(&self.header, &widths, f)?;
        for (column, width) in widths.iter().enumerate() {
            let dashes = "-".repeat(width - 1);
            let rule = if column < self.text { dashes + "-" } else { dashes + ":" };
            write!(f, "| {rule} ")?;
        }
        writeln!(f, "|")?;
        self.rows.iter().try_for_each(|row| self.line(row, &widths, f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_markdown() {
        let mut table = Table::new(&["solver", "n", "seconds"], 1);
        table.push(["srht", "64", "0.5"].map(String::from));
        table.push(["arc-cosine", "16384"].map(String::from));
        let expected = "| solver     |     n | seconds |\n\
                        | ---------- | ----: | ------: |\n\
                        | srht       |    64 |     0.5 |\n\
                        | arc-cosine | 16384 |         |\n";
        assert_eq!(table.to_string(), expected);
    }
}

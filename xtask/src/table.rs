//! Plain text tables, for the end of a run.

use std::io::{self, Write};

/// Writes `rows` under `head`, each column as wide as its longest cell and the last one unpadded.
///
/// # Errors
/// Passes on what `out` answers.
pub fn write<const N: usize>(out: &mut impl Write, head: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, title)| {
            rows.iter().filter_map(|row| row.get(column)).map(String::len).fold(title.len(), usize::max)
        })
        .collect();
    line(out, head.iter().copied(), &widths)?;
    rows.iter().try_for_each(|row| line(out, row.iter().map(String::as_str), &widths))
}

fn line<'a>(out: &mut impl Write, cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> io::Result<()> {
    let padded: Vec<String> = cells.zip(widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
    writeln!(out, "{}", padded.join("  ").trim_end())
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_aligned_and_lines_end_without_blanks() {
        let mut out = Vec::new();
        let rows = [["unit".to_owned(), "12".to_owned(), String::new()], ["postgres".into(), "3".into(), "why".into()]];
        super::write(&mut out, ["tier", "passed", "note"], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "tier      passed  note\nunit      12\npostgres  3       why\n");
    }
}

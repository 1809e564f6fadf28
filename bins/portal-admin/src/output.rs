//! Output of a command, as text or as JSON.

use std::io::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use serde_json::{Value, json};

/// Output of a command.
pub(crate) enum Output {
    /// One thing.
    Record(Fields),
    /// Several things of a kind: the member that holds them in JSON, the columns, and a row each.
    List { member: &'static str, columns: &'static [&'static str], rows: Vec<Vec<Value>> },
    /// A document of another program, and what is worth knowing about it.
    Document { member: &'static str, document: Value, notes: Vec<String> },
}

/// Names and values, in the order in which they are shown.
pub(crate) type Fields = Vec<(&'static str, Value)>;

impl Output {
    /// Several things of a kind, each with a value per column.
    pub(crate) fn list(member: &'static str, columns: &'static [&'static str], rows: Vec<Vec<Value>>) -> Self {
        Self::List { member, columns, rows }
    }

    /// Writes the answer to standard output.
    pub(crate) fn print(&self, json: bool) -> std::io::Result<()> {
        let mut output = std::io::stdout().lock();
        if json {
            serde_json::to_writer_pretty(&mut output, &self.json())?;
            return writeln!(output);
        }
        output.write_all(self.text().as_bytes())
    }

    fn json(&self) -> Value {
        match self {
            Self::Record(fields) => object(fields.iter().cloned()),
            Self::List { member, columns, rows } => {
                let row = |row: &Vec<Value>| object(columns.iter().copied().zip(row.iter().cloned()));
                json!({ *member: rows.iter().map(row).collect::<Vec<_>>() })
            }
            Self::Document { member, document, notes } => json!({ *member: document, "notes": notes }),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Record(fields) => {
                aligned(&fields.iter().flat_map(|(name, value)| lines(name, value)).collect::<Vec<_>>())
            }
            Self::List { columns, rows, .. } => {
                let head = columns.iter().map(|column| column.to_uppercase()).collect();
                let body = rows.iter().map(|row| row.iter().map(cell).collect());
                aligned(&std::iter::once(head).chain(body).collect::<Vec<Vec<String>>>())
            }
            Self::Document { document, notes, .. } => {
                // JSON escapes control characters itself.
                let notes = notes.iter().map(|note| cell(&note.as_str().into()));
                let lines: Vec<String> = std::iter::once(format!("{document:#}")).chain(notes).collect();
                lines.join("\n") + "\n"
            }
        }
    }
}

/// A field of a record: its name and value; of an array a line each.
fn lines(name: &str, value: &Value) -> Vec<Vec<String>> {
    match value {
        Value::Array(values) if !values.is_empty() => {
            let names = std::iter::once(format!("{name}:")).chain(std::iter::repeat(String::new()));
            names.zip(values).map(|(name, value)| vec![name, cell(value)]).collect()
        }
        Value::Array(_) => vec![vec![format!("{name}:"), cell(&Value::Null)]],
        one => vec![vec![format!("{name}:"), cell(one)]],
    }
}

fn object(fields: impl Iterator<Item = (&'static str, Value)>) -> Value {
    fields.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A value for a terminal. Control characters stay out of it, whoever chose the value.
fn cell(value: &Value) -> String {
    match value {
        // An empty cell would shift the eye to the next column.
        Value::Null => "-".to_owned(),
        Value::String(text) => {
            text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
        }
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Returns lines whose cells are aligned in columns.
fn aligned(lines: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for line in lines {
        table.add_row(line);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    format!("{}\n", table.trim_fmt())
}

/// A time, as the portal writes it everywhere.
pub(crate) fn time(at: DateTime<Utc>) -> Value {
    Value::from(at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// A text or a number as it is.
pub(crate) fn plain(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Output;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = vec![vec![json!("al"), Value::Null], vec![json!("Änne"), json!(["a", 1])]];
        let answer = Output::list("things", &["id", "more"], rows);
        assert_eq!(answer.text(), "ID    MORE\nal    -\nÄnne  a, 1\n");
        assert_eq!(answer.json(), json!({"things": [{"id": "al", "more": null}, {"id": "Änne", "more": ["a", 1]}]}));
    }

    #[test]
    fn ten_thousand_rows_are_written_in_one_walk() {
        let row = |number: u32| vec![json!(format!("friend-{number}")), json!(number)];
        let answer = Output::list("friends", &["id", "number"], (0..10_000).map(row).collect());
        let started = std::time::Instant::now();
        let text = answer.text();
        assert_eq!(text.lines().count(), 10_001);
        assert!(text.ends_with("friend-9999  9999\n"), "columns are as wide as their widest cell");
        assert!(started.elapsed().as_secs() < 5, "it took {:?}", started.elapsed());
    }

    #[test]
    fn nobody_writes_to_the_operators_terminal_by_their_name() {
        let answer = Output::Record(vec![("name", json!("\u{1b}[2Jalice\n"))]);
        assert_eq!(answer.text(), "name:  \u{fffd}[2Jalice\u{fffd}\n");
    }
}

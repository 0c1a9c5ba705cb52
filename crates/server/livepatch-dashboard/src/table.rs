//! A table as a value: the same rows as HTML for people, as CSV for spreadsheets, as JSON for programs.

use crate::words;
use maud::{Markup, html};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// How something fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Trouble.
    Bad,
    /// Neither.
    Quiet,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name in CSV and JSON.
    pub key: &'static str,
    /// Its heading.
    pub title: Cow<'static, str>,
    /// Whether it holds numbers, which stand at the right.
    pub numeric: bool,
    /// Where the table in this column's order is.
    pub sort: Option<String>,
    /// Whether it is in this column's order now.
    pub sorted: bool,
    /// Whether it is in CSV and JSON only: the page says the same elsewhere.
    pub in_files_only: bool,
}

/// A field.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What CSV and JSON say.
    value: Value,
    /// What the page says.
    shown: Markup,
}

/// Rows and their headings.
#[derive(Clone, Debug)]
pub struct Table {
    /// What it shows, for those who do not see it.
    pub caption: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows; each has a cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// Where the CSV and the JSON form are: the part before and the part behind the `.csv`.
    pub export: Option<(String, String)>,
}

impl Column {
    /// A column of text.
    pub fn text(key: &'static str, title: impl Into<Cow<'static, str>>) -> Self {
        Self { key, title: title.into(), numeric: false, sort: None, sorted: false, in_files_only: false }
    }

    /// A column of CSV and JSON that the page does not have.
    pub fn in_files(key: &'static str) -> Self {
        Self { in_files_only: true, ..Self::text(key, "") }
    }

    /// A column of numbers.
    pub fn number(key: &'static str, title: impl Into<Cow<'static, str>>) -> Self {
        Self { numeric: true, ..Self::text(key, title) }
    }
}

impl Cell {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { shown: html! { (text) }, value: Value::String(text) }
    }

    /// Text that programs read, too: a name, a digest.
    pub fn code(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { shown: html! { code { (text) } }, value: Value::String(text) }
    }

    /// A number.
    pub fn number(number: impl Into<i64>) -> Self {
        let number = number.into();
        Self { shown: html! { (words::number(number)) }, value: number.into() }
    }

    /// Text that leads somewhere.
    pub fn link(text: impl Into<String>, address: &str) -> Self {
        let text = text.into();
        let shown = html! { a href=(address) { (if text.is_empty() { words::NAMELESS } else { &text }) } };
        Self { shown, value: Value::String(text) }
    }

    /// A word with a colour.
    pub fn badge(word: &str, tone: Tone) -> Self {
        Self { shown: badge(word, tone), value: Value::String(word.to_owned()) }
    }

    /// One thing for programs, another for people.
    pub(crate) fn shown(value: impl Into<Value>, shown: Markup) -> Self {
        Self { value: value.into(), shown }
    }

    /// Nothing.
    pub fn none() -> Self {
        Self { value: Value::Null, shown: html! { span.none { "–" } } }
    }

    /// What the page says, outside of a table.
    pub(crate) fn markup(&self) -> &Markup {
        &self.shown
    }
}

/// A word with a colour; the colour says nothing that the word does not.
pub(crate) fn badge(word: &str, tone: Tone) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (word) } }
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }
}

impl Table {
    /// As HTML. On narrow screens each row becomes a card; the cells then carry their headings.
    pub fn to_html(&self) -> Markup {
        html! {
            div.table-wrap {
                table {
                    caption.hidden { (self.caption) }
                    thead { tr { @for column in self.columns.iter().filter(|column| !column.in_files_only) { (heading(column)) } } }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (cell, column) in row.iter().zip(&self.columns).filter(|(_, column)| !column.in_files_only) {
                                    td class=[column.numeric.then_some("number")] data-label=(column.title) { (cell.shown) }
                                }
                            }
                        }
                    }
                }
            }
            @if let Some((address, query)) = &self.export {
                p.export {
                    (words::EXPORT) " "
                    a href={ (address) ".csv" (query) } { "CSV" } " "
                    a href={ (address) ".json" (query) } { "JSON" }
                }
            }
        }
    }

    /// As CSV (RFC 4180), with a header line.
    pub fn to_csv(&self) -> String {
        let header = self.columns.iter().map(|column| column.key.to_owned());
        let mut text = csv_line(header);
        text.push_str(&self.csv_rows());
        text
    }

    /// The lines of the rows alone.
    pub fn csv_rows(&self) -> String {
        let field = |cell: &Cell| match &cell.value {
            Value::Null => String::new(),
            Value::String(text) => harmless(text),
            other => other.to_string(),
        };
        self.rows.iter().map(|row| csv_line(row.iter().map(field))).collect()
    }

    /// As a JSON array of objects.
    pub fn to_json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let fields = row.iter().zip(&self.columns);
            let fields: Map<String, Value> =
                fields.map(|(cell, column)| (column.key.to_owned(), cell.value.clone())).collect();
            Value::Object(fields)
        };
        Value::Array(self.rows.iter().map(object).collect())
    }
}

fn heading(column: &Column) -> Markup {
    let sorted = column.sorted.then_some("ascending");
    html! {
        th scope="col" class=[column.numeric.then_some("number")] aria-sort=[sorted] {
            @match &column.sort {
                Some(address) => a href=(address) { (column.title) @if column.sorted { span aria-hidden="true" { " ↑" } } },
                None => (column.title),
            }
        }
    }
}

fn csv_line(fields: impl Iterator<Item = String>) -> String {
    let quoted = fields.map(|field| {
        let special = field.contains([',', '"', '\n', '\r']);
        if special { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

/// Spreadsheets take what begins like a formula for one; an apostrophe in front makes it text (OWASP, CSV injection).
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Table {
        Table {
            caption: "Machines".into(),
            columns: vec![Column::text("host", "Host"), Column::number("count", "Count")],
            rows: vec![vec![Cell::text(name), Cell::number(12_345)]],
            export: None,
        }
    }

    #[test]
    fn the_same_rows_in_three_forms() {
        let table = table("web-1, \"front\"");
        assert_eq!(table.to_csv(), "host,count\r\n\"web-1, \"\"front\"\"\",12345\r\n");
        assert_eq!(table.to_json().to_string(), r#"[{"count":12345,"host":"web-1, \"front\""}]"#);
        assert!(table.to_html().into_string().contains("web-1, &quot;front&quot;"));
    }

    #[test]
    fn hostile_text_stays_text() {
        let table = table("=HYPERLINK(\"http://evil\")<script>");
        assert!(table.to_csv().contains("\"'=HYPERLINK("));
        assert!(!table.to_html().into_string().contains("<script"));
    }
}

//! A JSON document as YAML. Scalars are written as JSON writes them, which YAML 1.2 reads alike, so nothing is ever taken for
//! something else (`no`, `1e3`, a date).

use serde_json::Value;

/// The document, ended by a newline.
pub(crate) fn from_json(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.trim_start_matches('\n').to_owned()
}

fn write(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                indent(depth, text);
                text.push_str(&key_text(key));
                text.push(':');
                write(value, depth + 1, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(depth, text);
                text.push('-');
                write(item, depth + 1, text);
            }
        }
        scalar => {
            if depth > 0 {
                text.push(' ');
            }
            text.push_str(&scalar.to_string());
        }
    }
}

fn indent(depth: usize, text: &mut String) {
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
}

/// Keys of our documents are plain words; any other is quoted.
fn key_text(key: &str) -> String {
    let plain = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
            .contains(&key.to_ascii_lowercase().as_str());
    if plain { key.to_owned() } else { Value::from(key).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_of_every_kind() {
        let document = json!({
            "a": 1, "b": "no", "c": [], "d": {}, "e": [1, {"f": null, "g": [true]}], "no": "x: y\n", "h i": 2.5
        });
        let expected = "\
a: 1
b: \"no\"
c: []
d: {}
e:
  - 1
  -
    f: null
    g:
      - true
\"no\": \"x: y\\n\"
\"h i\": 2.5
";
        let text = from_json(&document);
        let mut lines: Vec<&str> = text.lines().collect();
        let mut wanted: Vec<&str> = expected.lines().collect();
        lines.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(lines, wanted, "{text}");
        assert_eq!(from_json(&json!("x")), "\"x\"\n");
    }
}

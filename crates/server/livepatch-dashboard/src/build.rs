//! What the publisher says of the build that a livepatch came from. The documents come from outside: what is missing or of
//! another form is left out, and never an error.

use crate::{Cell, Column, LivepatchView, Table, Tone, moment, paths, table::badge, words};
use livepatch_api::BuildDocumentKind as Kind;
use maud::{Markup, html};
use serde_json::Value;

/// Characters of a text that the page holds; the whole of it is one link away.
const SHOWN: usize = 100_000;
/// Rows of a table.
const ROWS: usize = 200;

/// A document of a build.
#[derive(Clone, Debug)]
pub struct BuildDocument {
    /// What is known of it.
    pub summary: livepatch_api::BuildDocumentSummary,
    /// Its text.
    pub text: String,
}

/// All that was handed in about a livepatch.
pub(crate) fn documents(view: &LivepatchView, now: crate::Seconds) -> Markup {
    html! {
        section {
            h2 { (words::BUILD_DOCUMENTS) }
            @if view.documents.is_empty() {
                p.empty { (words::NO_BUILD_DOCUMENTS) }
                (crate::frame::command(words::BUILD_DOCUMENTS_COMMAND))
            } @else {
                p { (words::BUILD_DOCUMENTS_MEANING) }
                @for document in &view.documents { (one(view, document, now)) }
            }
        }
    }
}

fn one(view: &LivepatchView, document: &BuildDocument, now: crate::Seconds) -> Markup {
    let summary = &document.summary;
    let name = &view.livepatch.manifest.name;
    let address = format!("{}/documents/{}", paths::one(paths::LIVEPATCHES, name), summary.kind.as_str());
    let read = || serde_json::from_str::<Value>(&document.text).unwrap_or_default();
    html! {
        h3 { (words::build_document(summary.kind)) }
        p.hint {
            (words::binding(summary.kind)) " " (words::handed_in(&summary.actor)) " " (moment::moment_of(&summary.added, now)) " "
            a href=(address) { (words::WHOLE_TEXT) } " " span.digest { (summary.sha256.short()) }
        }
        @match summary.kind {
            Kind::Report => (report(&read())),
            Kind::Provenance => (provenance(&read())),
            Kind::BootTest => (boot_test(&read())),
            Kind::Console => (folded(words::CONSOLE, &document.text)),
            Kind::Patch => (patch(&document.text)),
        }
    }
}

fn report(report: &Value) -> Markup {
    let units = list(report, "units");
    let notes: Vec<&str> = list(report, "notes").iter().filter_map(Value::as_str).collect();
    html! {
        details open { summary { (words::FUNCTIONS_OF_UNITS) } (functions(units)) }
        details open { summary { (words::PROOF_OF_BASE) } (proofs(units)) }
        details open { summary { (words::JUDGEMENT) } (findings(list(report, "findings"))) }
        @if !notes.is_empty() {
            details { summary { (words::NOTES) } ul { @for note in notes.iter().take(ROWS) { li { (note) } } } }
        }
    }
}

/// Each function that changed, with why.
fn functions(units: &[Value]) -> Markup {
    let rows = units.iter().flat_map(|unit| {
        let kinds = [
            ("changed", words::CHANGED),
            ("added", words::ADDED),
            ("redirected", words::REDIRECTED),
            ("removed", words::REMOVED),
        ];
        let whys = list(unit, "why");
        kinds.into_iter().flat_map(move |(kind, word)| {
            list(unit, kind).iter().filter_map(Value::as_str).map(move |function| {
                let why = whys.iter().find(|why| text(why, "function") == function);
                vec![
                    Cell::code(text(unit, "source")),
                    Cell::code(text(unit, "object")),
                    Cell::code(function),
                    Cell::text(word),
                    Cell::text(why.map(|why| text(why, "why")).unwrap_or_default()),
                ]
            })
        })
    });
    let columns = vec![
        Column::text("source", words::SOURCE_FILE),
        Column::text("object", words::OBJECT),
        Column::text("function", words::FUNCTION),
        Column::text("what", words::WHAT),
        Column::text("why", words::WHY),
    ];
    table(words::FUNCTIONS_OF_UNITS, columns, rows)
}

/// How each unit compares with the distribution's binary.
fn proofs(units: &[Value]) -> Markup {
    let rows = units.iter().filter_map(|unit| {
        let proof = unit.get("proof")?;
        let differing: Vec<String> = list(proof, "differs").iter().map(pair).collect();
        let is_whole = differing.is_empty() && count(proof, "unchecked") == 0;
        Some(vec![
            Cell::code(text(unit, "source")),
            Cell::number(count(proof, "functions")),
            Cell::number(count(proof, "identical")),
            Cell::number(count(proof, "fields")),
            Cell::number(count(proof, "unchecked")),
            if is_whole {
                Cell::badge(words::NONE_DIFFERS, Tone::Good)
            } else {
                Cell::text(differing.join("; "))
            },
        ])
    });
    let columns = vec![
        Column::text("source", words::SOURCE_FILE),
        Column::number("functions", words::FUNCTIONS),
        Column::number("identical", words::IDENTICAL),
        Column::number("fields", words::FIELDS),
        Column::number("unchecked", words::UNCHECKED),
        Column::text("differs", words::DIFFERS),
    ];
    table(words::PROOF_OF_BASE, columns, rows)
}

/// `["name", "what"]` as one text.
fn pair(value: &Value) -> String {
    let parts = value.as_array().map(Vec::as_slice).unwrap_or_default();
    parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(": ")
}

fn findings(findings: &[Value]) -> Markup {
    if findings.is_empty() {
        return html! { p.empty { (words::NO_FINDINGS) } };
    }
    let rows = findings.iter().map(|one| {
        let severity = text(one, "severity");
        let accepted = one.get("accepted").and_then(Value::as_bool).unwrap_or_default();
        let tone = match severity {
            "refuse" if !accepted => Tone::Bad,
            "note" => Tone::Quiet,
            _ => Tone::Warn,
        };
        let line = one.get("line").and_then(Value::as_u64).map(|line| format!(":{line}")).unwrap_or_default();
        let shown =
            html! { (badge(severity, tone)) @if accepted { " " (badge(words::ACCEPTED, Tone::Quiet)) } };
        vec![
            Cell::shown(severity, shown),
            Cell::code(text(one, "code")),
            Cell::code(text(one, "subject")),
            Cell::code(format!("{}{line}", text(one, "file"))),
            Cell::text(text(one, "message")),
            Cell::text(text(one, "advice")),
        ]
    });
    let columns = vec![
        Column::text("severity", words::SEVERITY),
        Column::text("code", words::CODE),
        Column::text("subject", words::SUBJECT_OF_FINDING),
        Column::text("at", words::SOURCE_FILE),
        Column::text("message", words::MESSAGE),
        Column::text("advice", words::ADVICE),
    ];
    table(words::JUDGEMENT, columns, rows)
}

fn boot_test(test: &Value) -> Markup {
    let passed = test.get("passed").and_then(Value::as_bool).unwrap_or_default();
    let warnings: Vec<&str> = list(test, "warnings").iter().filter_map(Value::as_str).collect();
    let rows = list(test, "steps").iter().map(|step| {
        let passed = step.get("passed").and_then(Value::as_bool).unwrap_or_default();
        let seconds = step.get("seconds").and_then(Value::as_f64).unwrap_or_default();
        vec![
            Cell::text(text(step, "step")),
            verdict(passed),
            Cell::text(format!("{seconds:.1} s")),
            Cell::text(text(step, "detail")),
        ]
    });
    let columns = vec![
        Column::text("step", words::STEP),
        Column::text("passed", words::RESULT),
        Column::number("seconds", words::TOOK),
        Column::text("detail", words::HOW),
    ];
    html! {
        p { (verdict(passed).markup()) " " (text(test, "release")) }
        details { summary { (words::STEPS) } (table(words::STEPS, columns, rows)) }
        @if !warnings.is_empty() { (folded(words::NEW_WARNINGS, &warnings.join("\n"))) }
    }
}

fn verdict(passed: bool) -> Cell {
    if passed { Cell::badge(words::PASSED, Tone::Good) } else { Cell::badge(words::FAILED, Tone::Bad) }
}

fn provenance(statement: &Value) -> Markup {
    let definition = statement.pointer("/predicate/buildDefinition").unwrap_or(&Value::Null);
    let builder =
        statement.pointer("/predicate/runDetails/builder/id").and_then(Value::as_str).unwrap_or_default();
    let compiler =
        definition.pointer("/internalParameters/compiler").and_then(Value::as_str).unwrap_or_default();
    let rows = list(definition, "resolvedDependencies").iter().map(|one| {
        let digests = one.get("digest").and_then(Value::as_object);
        let digests = digests
            .into_iter()
            .flatten()
            .map(|(kind, digest)| format!("{kind} {}", digest.as_str().unwrap_or_default()));
        let name = [text(one, "name"), text(one, "uri")]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default();
        vec![
            Cell::code(name),
            Cell::shown(
                digests.clone().collect::<Vec<_>>().join(", "),
                html! { span.digest { (digests.collect::<Vec<_>>().join(", ")) } },
            ),
        ]
    });
    let columns = vec![Column::text("name", words::NAME), Column::text("digest", words::DIGEST)];
    html! {
        dl.facts { dt { (words::BUILDER) } dd { (builder) } dt { (words::COMPILER) } dd { (compiler) } }
        details { summary { (words::DEPENDENCIES) } (table(words::DEPENDENCIES, columns, rows)) }
    }
}

/// A patch with its lines in colours; signs at the beginning of lines say the same.
fn patch(text: &str) -> Markup {
    let (shown, is_cut) = cut(text);
    html! {
        details {
            summary { (words::PATCH_LINES) }
            pre.preview.patch tabindex="0" {
                @for line in shown.lines() {
                    @match line.as_bytes().first() {
                        Some(b'+') => ins { (line) },
                        Some(b'-') => del { (line) },
                        Some(b'@') => b { (line) },
                        _ => (line),
                    }
                    "\n"
                }
            }
            @if is_cut { p.hint { (words::CUT_TEXT) } }
        }
    }
}

fn folded(title: &str, text: &str) -> Markup {
    let (shown, is_cut) = cut(text);
    html! {
        details {
            summary { (title) }
            pre.preview tabindex="0" { (shown) }
            @if is_cut { p.hint { (words::CUT_TEXT) } }
        }
    }
}

/// The beginning of a text, and whether there is more.
fn cut(text: &str) -> (&str, bool) {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => (text.get(..at).unwrap_or_default(), true),
        None => (text, false),
    }
}

fn table(caption: &str, columns: Vec<Column>, rows: impl Iterator<Item = Vec<Cell>>) -> Markup {
    let mut rows: Vec<Vec<Cell>> = rows.take(ROWS + 1).collect();
    let is_cut = rows.len() > ROWS;
    rows.truncate(ROWS);
    if rows.is_empty() {
        return html! { p.empty { (words::NOTHING_SAID) } };
    }
    let table = Table { caption: caption.to_owned(), columns, rows, export: None };
    html! { (table.to_html()) @if is_cut { p.hint { (words::CUT_TEXT) } } }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn count(value: &Value, key: &str) -> i64 {
    value.get(key).and_then(Value::as_i64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_of_any_form_make_a_page_without_markup_of_their_own() {
        let evil = "<script>alert(1)</script>";
        let odd = [
            json!(null),
            json!(evil),
            json!({"units": evil, "findings": [evil, {"severity": evil, "code": evil, "line": -1}], "notes": [evil, 3]}),
            json!({"units": [{"source": evil, "changed": [evil], "why": [{"function": evil, "why": evil}],
                "proof": {"functions": evil, "differs": [[evil, evil], evil, [3]]}}]}),
            json!({"passed": evil, "steps": [{"step": evil, "seconds": evil, "detail": evil}], "warnings": [evil]}),
            json!({"predicate": {"buildDefinition": {"resolvedDependencies": [{"name": evil, "digest": {"sha256": evil, "x": 1}}, evil]}}}),
        ];
        for value in &odd {
            for page in [report(value), boot_test(value), provenance(value)] {
                assert!(!page.into_string().contains("<script"), "{value}");
            }
        }
        assert!(!patch(&format!("+{evil}\n-{evil}\n@@{evil}")).into_string().contains("<script"));
    }

    #[test]
    fn long_texts_are_cut_where_a_character_ends() {
        let (shown, is_cut) = cut("é");
        assert_eq!((shown, is_cut), ("é", false));
        let long = "é".repeat(SHOWN + 1);
        let (shown, is_cut) = cut(&long);
        assert_eq!((shown.chars().count(), is_cut), (SHOWN, true));
    }
}

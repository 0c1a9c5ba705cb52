//! A folder of `tests/cases` is one judgement: `original.c`, `patched.c`, and in the first lines of the latter what must be
//! found.
//!
//! Directives, each `// WORD: TEXT`: `finding: SEVERITY CODE SUBJECT` for each finding, and no others may come; `says: TEXT`
//! must occur in a message, `advises: TEXT` in an advice, `attaches: TEXT` in attached code, `at: LINE` as a finding's place
//! (in the code below the directives); `why: FUNCTION: TEXT` explains a changed function; `nothing` stands alone.

use crate::compile::compile;
use livepatch_diff::{Difference, Object};
use livepatch_judge::{Case, DebugInfo, DebugSections, Judgement, SourceFile, half_fix, judge};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_folder_is_judged_as_its_directives_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 25, "only {} cases were found", names.len());
    let failures: Vec<String> = names
        .iter()
        .filter_map(|name| check(&folder.join(name)).err().map(|error| format!("{name}:\n{error}")))
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), names.len(), failures.join("\n"));
}

/// Original and patched text of a case, without the directives, and these.
pub(crate) fn texts(folder: &Path) -> (String, String, Vec<(String, String)>) {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let (original, patched) = (read("original.c"), read("patched.c"));
    let head = patched.lines().take_while(|line| line.starts_with("// ")).count();
    let directive = |line: &str| {
        let text = line.trim_start_matches("// ");
        let (word, rest) = text.split_once(": ").unwrap_or((text, ""));
        (word.to_owned(), rest.to_owned())
    };
    let directives = patched.lines().take(head).map(directive).collect();
    let code = patched.lines().skip(head).map(|line| format!("{line}\n")).collect();
    (original, code, directives)
}

/// Judges a pair of texts.
pub(crate) fn judged(original: &str, patched: &str, debug: &[&str]) -> Judgement {
    let (old, new) = (compile(original, debug), compile(patched, debug));
    let files = [SourceFile::new("unit.c", original, patched)];
    let mut judgement = judge_objects(&old, &new, &files).unwrap();
    judgement.findings.extend(half_fix(&files));
    judgement
}

/// Judges a pair of objects; `None` when they cannot be read.
pub(crate) fn judge_objects(old: &[u8], new: &[u8], files: &[SourceFile]) -> Option<Judgement> {
    let (original, patched) = (Object::read(old).ok()?, Object::read(new).ok()?);
    let difference = Difference::new(&original, &patched, &livepatch_diff::EntrySizes::new()).ok()?;
    let (old, new) = (DebugSections::read(old).ok()?, DebugSections::read(new).ok()?);
    let (old, new) = (DebugInfo::read(&old).ok()?, DebugInfo::read(&new).ok()?);
    let case = Case { source: "unit.c", difference: &difference, original: &old, patched: &new, files };
    Some(judge(&case))
}

fn check(folder: &Path) -> Result<(), String> {
    let (original, patched, directives) = texts(folder);
    let judgement = judged(&original, &patched, &["-g"]);
    let (mut expected, mut problems) = (BTreeSet::new(), Vec::new());
    let line = |number: &Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    for (word, text) in &directives {
        let found = &judgement.findings;
        let holds = match word.as_str() {
            "finding" => expected.insert(text.clone()),
            "says" => found.iter().any(|finding| finding.message.contains(text)),
            "advises" => found.iter().any(|finding| finding.advice.contains(text)),
            "attaches" => found
                .iter()
                .any(|finding| finding.code_to_use.as_ref().is_some_and(|code| code.contains(text))),
            "at" => found.iter().any(|finding| line(&finding.line) == *text),
            "why" => judgement.whys.iter().any(|why| format!("{}: {}", why.function, why.why).contains(text)),
            "nothing" => directives.len() == 1,
            _ => return Err(format!("no such directive: {word}")),
        };
        if !holds {
            problems.push(format!("  not so: {word}: {text}"));
        }
    }
    let severity = |finding: &livepatch_judge::Finding| format!("{:?}", finding.severity).to_lowercase();
    let found: BTreeSet<String> = judgement
        .findings
        .iter()
        .map(|finding| format!("{} {} {}", severity(finding), finding.code, finding.subject))
        .collect();
    if found != expected {
        problems.push(format!("  expected {expected:?}\n  found    {found:?}"));
    }
    if problems.is_empty() { Ok(()) } else { Err(format!("{}\n{judgement:#?}", problems.join("\n"))) }
}

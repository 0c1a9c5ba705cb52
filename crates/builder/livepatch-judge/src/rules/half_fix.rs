//! A patch that brings a helper which nothing calls.

use crate::finding::{Finding, Rule, Severity};
use crate::source::{SourceFile, has_word};

pub(super) const RULE: Rule = Rule {
    code: "half-fix",
    severity: Severity::Warn,
    acceptable: false,
    meaning: "the patch adds or declares a function that nothing in it calls: the part that uses it may be missing",
    example: "export.h declares exp_release_rcu(), and no file of the patch uses it",
    advice: "look whether the fix has more commits or files than the patch, such as one whose hunks were left out",
};

/// Judges the patch as a whole: all files that it touches.
pub fn half_fix(files: &[SourceFile]) -> Vec<Finding> {
    let introduced = files
        .iter()
        .flat_map(|file| file.added().filter_map(move |(line, text)| Some((file, line, declared(text)?))));
    let mut findings: Vec<Finding> = Vec::new();
    for (file, line, name) in introduced {
        let known = files.iter().any(|file| file.had(name));
        if known || is_used(files, name) || findings.iter().any(|finding| finding.subject == name) {
            continue;
        }
        let message = format!("the patch adds '{name}', which nothing in the patched files calls");
        let advice = format!("look for the part of the fix that calls '{name}'");
        findings.push(Finding::new(&RULE, name, message, advice).at(Some((file.path.clone(), line))));
    }
    findings
}

/// The function that a line at the left margin declares or begins to define.
fn declared(line: &str) -> Option<&str> {
    let first = line.bytes().next()?;
    if !(first == b'_' || first.is_ascii_alphabetic()) || line.contains('=') {
        return None;
    }
    let head = &line[..line.find('(')?];
    let head = head.trim_end();
    let start = head.rfind(|c: char| c != '_' && !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    let name = &head[start..];
    // A word alone is a macro such as EXPORT_SYMBOL(), unless the type stands on the line above, which the kernel's style avoids.
    let typed = start > 0 && !head[..start].trim().is_empty();
    let sound = name.bytes().next().is_some_and(|byte| byte == b'_' || byte.is_ascii_lowercase());
    (typed && sound && !head.starts_with("typedef") && !name.starts_with("__attribute")).then_some(name)
}

/// Whether a name occurs anywhere but at the left margin, where declarations and definitions begin.
fn is_used(files: &[SourceFile], name: &str) -> bool {
    files.iter().flat_map(SourceFile::lines).any(|(_, line)| {
        let indented = line.starts_with(['\t', ' ', '#']);
        let in_comment = line.trim_start().starts_with(['*', '/']);
        let as_macro =
            !indented && line.contains('(') && declared(line).is_none() && !line.starts_with("EXPORT_SYMBOL");
        ((indented && !in_comment) || as_macro) && has_word(line, name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "int f(void)\n{\n\treturn 0;\n}\n";

    fn subjects(new: &str) -> Vec<String> {
        half_fix(&[SourceFile::new("x.c", OLD, new)]).into_iter().map(|finding| finding.subject).collect()
    }

    #[test]
    fn a_helper_that_nothing_calls_is_half_a_fix() {
        assert_eq!(subjects(&format!("static int helper(int a)\n{{\n\treturn a;\n}}\n\n{OLD}")), ["helper"]);
        assert_eq!(subjects(&format!("int later(int a);\n{OLD}")), ["later"]);
    }

    #[test]
    fn a_helper_that_is_called_or_registered_is_not() {
        let called =
            "static int helper(int a)\n{\n\treturn a;\n}\n\nint f(void)\n{\n\treturn helper(0);\n}\n";
        assert_eq!(subjects(called), Vec::<String>::new());
        let registered = format!("static int helper(void)\n{{\n\treturn 1;\n}}\nmodule_init(helper);\n{OLD}");
        assert_eq!(subjects(&registered), Vec::<String>::new());
    }
}

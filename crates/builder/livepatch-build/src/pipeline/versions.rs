//! Versions of exported symbols: what modules that exist already know of their types.
//!
//! A kernel with CONFIG_MODVERSIONS gives each exported symbol a checksum over its type and all types that this one leads to.
//! kbuild's own program (scripts/genksyms) makes it from the preprocessed text; `Module.symvers` has those of the kernel that
//! runs. Where the patched text gives another, modules were built for something else than the patch makes of the symbol.

use super::compare::Parts;
use super::compile::Compiled;
use super::{Build, BuildError, file_error};
use crate::objects::{Job, Objects};
use crate::overlay::Overlay;
use livepatch_diff::Exports;
use livepatch_judge::{Finding, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The judgement's rule that this is a case of.
const RULE: &str = "exported-contract";
/// The rule that says more about a changed structure.
const LAYOUT_RULE: &str = "layout-changed";

/// What the program says of a text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Versions {
    /// Checksums by symbol.
    checksums: BTreeMap<String, u32>,
    /// Types by which symbols differ from the reference, those aside that a text merely did not spell out before.
    causes: BTreeMap<String, BTreeSet<String>>,
}

impl Build<'_> {
    /// Compares the versions of what the patched units export with those of the running kernel.
    pub(super) fn compare_versions(
        &self,
        units: &[Compiled],
        overlay: &Overlay,
        exports: &Exports,
        parts: &mut Parts,
    ) -> Result<(), BuildError> {
        let program = self.kernel.source().join("scripts/genksyms/genksyms");
        let patched = units.iter().filter(|unit| !unit.is_source() && unit.touched.like.is_none());
        for unit in patched.filter(|unit| exports_something(unit, exports) && program.is_file()) {
            let changed = self.changed_versions(&program, unit, overlay, exports)?;
            let findings = findings(&unit.touched.source, &changed, &parts.findings);
            self.take(findings, parts);
        }
        Ok(())
    }

    /// Exported symbols whose version changes, with the types that are why.
    fn changed_versions(
        &self,
        program: &Path,
        unit: &Compiled,
        overlay: &Overlay,
        exports: &Exports,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, BuildError> {
        let (new, types) = (self.work.join("versions.i"), self.work.join("versions.types"));
        let flags = ["-D__GENKSYMS__".to_owned()];
        let (objects, headers) = (Objects::of(self.kernel), self.headers());
        let original = Job::of_original(&unit.command, &unit.touched.source, &flags);
        objects.preprocess(&Job { overlay: Some(overlay), include: Some(&headers), ..original }, &new)?;
        let versions = self.versions(program, &new, Path::new("/dev/null"), None)?;
        let differs = |(symbol, checksum): (&String, &u32)| {
            exports.version(symbol).is_some_and(|version| version != *checksum)
        };
        if !versions.checksums.iter().any(differs) {
            return Ok(BTreeMap::new());
        }
        let old = self.work.join("original.i");
        objects.preprocess(&original, &old)?;
        let before = self.versions(program, &old, Path::new("/dev/null"), Some(&types))?;
        let after = self.versions(program, &new, &types, None)?;
        let changed = after.causes.into_iter().filter(|(symbol, _)| {
            before.checksums.get(symbol) != after.checksums.get(symbol) && exports.version(symbol).is_some()
        });
        Ok(changed.collect())
    }

    /// Runs the program on a preprocessed text; `reference` is what an earlier run wrote to `types`.
    fn versions(
        &self,
        program: &Path,
        text: &Path,
        reference: &Path,
        types: Option<&PathBuf>,
    ) -> Result<Versions, BuildError> {
        let mut command = Command::new(program);
        command.arg("-w").arg("-r").arg(reference);
        if let Some(types) = types {
            command.arg("-T").arg(types);
        }
        command.stdin(Stdio::from(File::open(text).map_err(file_error(text))?));
        let output = command.output().map_err(file_error(program))?;
        Ok(parse(&String::from_utf8_lossy(&output.stdout), &String::from_utf8_lossy(&output.stderr)))
    }
}

/// Whether a unit exports anything that has a version.
fn exports_something(unit: &Compiled, exports: &Exports) -> bool {
    let labels = ["__ksymtab_", "__export_symbol_"];
    let names = unit.original.symbols.iter();
    let exported = names.filter_map(|symbol| labels.iter().find_map(|label| symbol.name.strip_prefix(label)));
    exported.into_iter().any(|name| exports.version(name).is_some())
}

/// Reads what the program prints: `#SYMVER SYMBOL CHECKSUM` (before Linux 5.19 `__crc_SYMBOL = CHECKSUM;`), and among its warnings
/// `SYMBOL: modversion changed because of changes in TYPE, TYPE (became defined)` (scripts/genksyms/genksyms.c).
fn parse(output: &str, warnings: &str) -> Versions {
    let mut versions = Versions::default();
    for line in output.lines() {
        let pair = line.strip_prefix("#SYMVER ").and_then(|rest| rest.split_once(' '));
        let pair = pair.or_else(|| line.strip_prefix("__crc_")?.strip_suffix(';')?.split_once(" = "));
        let Some((symbol, checksum)) = pair else { continue };
        let digits = checksum.trim().trim_start_matches("0x");
        if let Ok(checksum) = u32::from_str_radix(digits, 16) {
            versions.checksums.insert(symbol.to_owned(), checksum);
        }
    }
    for line in warnings.lines() {
        let Some((before, types)) = line.split_once(": modversion changed because of changes in ") else {
            continue;
        };
        let symbol = before.rsplit(": ").next().unwrap_or_default();
        let causes = types.split(", ").filter(|cause| !cause.ends_with("(became defined)"));
        let causes: BTreeSet<String> = causes.map(|cause| cause.trim().to_owned()).collect();
        // A header that is newly included spells types out; they are what they were.
        if !causes.is_empty() {
            versions.causes.insert(symbol.to_owned(), causes);
        }
    }
    versions
}

/// One finding for all symbols that change for the same reason. What the judgement says of a structure's layout says more.
fn findings(source: &str, changed: &BTreeMap<String, BTreeSet<String>>, known: &[Finding]) -> Vec<Finding> {
    let bare = |name: &str| name.rsplit(' ').next().unwrap_or_default().to_owned();
    let told: BTreeSet<String> = known
        .iter()
        .filter(|finding| finding.code == LAYOUT_RULE)
        .map(|finding| bare(&finding.subject))
        .collect();
    let Some(rule) = livepatch_judge::rules().iter().find(|rule| rule.code == RULE) else {
        return Vec::new();
    };
    let mut by_cause: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (symbol, causes) in changed {
        let causes: Vec<&str> =
            causes.iter().filter(|cause| !told.contains(&bare(cause))).map(String::as_str).collect();
        if !causes.is_empty() {
            by_cause.entry(causes.join(", ")).or_default().push(symbol);
        }
    }
    let finding = |(cause, symbols): (String, Vec<&str>)| {
        let message = format!(
            "the version of exported {} changes with {cause}: modules that are built already know the old type",
            quoted(&symbols)
        );
        let found = Finding::new(rule, symbols[0], message, rule.advice).weighing(Severity::Refuse);
        found.at(Some((source.to_owned(), 0)))
    };
    by_cause.into_iter().map(finding).collect()
}

/// The first few names, as a sentence has them.
fn quoted(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(4).map(|name| format!("'{name}'")).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn both_forms_of_checksums_are_read() {
        let versions = parse("#SYMVER one 0x8b618d08\n__crc_two = 0x7171121c;\nrubbish\n", "");
        let expected = [("one".to_owned(), 0x8b61_8d08), ("two".to_owned(), 0x7171_121c)];
        assert_eq!(versions.checksums, expected.into());
    }

    #[test]
    fn a_type_that_is_newly_spelt_out_is_no_cause() {
        let start = "<stdin>:3: warning: ";
        let middle = ": modversion changed because of changes in ";
        let warnings = format!(
            "<stdin>:1: redefinition of strlen\n{start}f{middle}struct a (became defined), struct b\n{start}g{middle}struct a (became defined)\n"
        );
        let expected = [("f".to_owned(), causes(&["struct b"]))];
        assert_eq!(parse("", &warnings).causes, expected.into());
    }

    #[test]
    fn symbols_share_a_finding_and_layouts_speak_for_themselves() {
        let changed = BTreeMap::from([
            ("f".to_owned(), causes(&["struct b"])),
            ("g".to_owned(), causes(&["struct b"])),
            ("h".to_owned(), causes(&["struct laid_out"])),
        ]);
        let layout = livepatch_judge::rules().iter().find(|rule| rule.code == LAYOUT_RULE);
        let known: Vec<Finding> =
            layout.map(|rule| Finding::new(rule, "struct laid_out", "", "")).into_iter().collect();
        let found = findings("fs/x.c", &changed, &known);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].subject.as_str(), found[0].severity), ("f", Severity::Refuse));
        assert!(found[0].message.contains("'f', 'g' changes with struct b"), "{}", found[0].message);
    }
}

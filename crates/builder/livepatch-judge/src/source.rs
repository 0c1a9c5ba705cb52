//! Source files before and after the patch: which definitions it edits, and on which lines.
//!
//! The kernel's style is what makes this simple and sure: a definition of a function begins at the left margin, and its body
//! ends with the first closing brace there.

use similar::{DiffOp, TextDiff};
use std::collections::{BTreeMap, BTreeSet};

/// A file that the patch touches.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path within the tree.
    pub path: String,
    /// Lines after the patch, `#line` directives aside.
    lines: Vec<String>,
    /// Lines before the patch.
    old_lines: Vec<String>,
    /// The number that the compiler gives to each line after the patch.
    numbers: Vec<u32>,
    /// Definitions of functions after the patch.
    functions: Vec<Extent>,
    /// Names of edited functions with the first line that is edited, in the patched file.
    edited: BTreeMap<String, u32>,
    /// Edited macros likewise.
    macros: BTreeMap<String, u32>,
    /// Lines that the patch adds: their indices.
    added: Vec<usize>,
}

/// A function's definition: its name, first and last line (indices from 0, last one included).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Name; of a system call, that of the function that does it (`__do_sys_NAME`).
    pub name: String,
    /// Index of its first line.
    pub first: usize,
    /// Index of its last line.
    pub last: usize,
}

impl SourceFile {
    /// Compares two texts of a file. The patched one may carry `#line NUMBER` directives.
    pub fn new(path: &str, original: &str, patched: &str) -> Self {
        let old_lines: Vec<String> = original.lines().map(str::to_owned).collect();
        let (lines, numbers) = without_directives(patched);
        let mut file = Self {
            path: path.to_owned(),
            functions: functions(&lines),
            lines,
            old_lines,
            numbers,
            edited: BTreeMap::new(),
            macros: BTreeMap::new(),
            added: Vec::new(),
        };
        file.find_edits();
        file
    }

    fn find_edits(&mut self) {
        let old: Vec<&str> = self.old_lines.iter().map(String::as_str).collect();
        let new: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        let operations: Vec<DiffOp> = TextDiff::from_slices(&old, &new)
            .ops()
            .iter()
            .filter(|op| op.tag() != similar::DiffTag::Equal)
            .copied()
            .collect();
        let old_functions = functions(&self.old_lines);
        for operation in operations {
            let (before, after) = (operation.old_range(), operation.new_range());
            self.added.extend(after.clone());
            let line = u32::try_from(after.start + 1).unwrap_or(0);
            let matters = |line: &String| !line.trim().is_empty();
            if !self.old_lines[before.clone()].iter().chain(&self.lines[after.clone()]).any(matters) {
                continue;
            }
            let of_old = old_functions.iter().filter(|extent| touches(extent, &before));
            let of_new = self.functions.iter().filter(|extent| touches(extent, &after));
            for name in of_old.chain(of_new).map(|extent| extent.name.clone()).collect::<BTreeSet<_>>() {
                self.edited.entry(name).or_insert(line);
            }
            let of_old = before.clone().filter_map(|index| macro_at(&self.old_lines, index));
            let of_new = after.clone().filter_map(|index| macro_at(&self.lines, index));
            for name in of_old.chain(of_new).collect::<BTreeSet<_>>() {
                self.macros.entry(name).or_insert(line);
            }
        }
    }

    /// The line where a function's text is edited; `None` when it is not.
    pub fn edit_of(&self, function: &str) -> Option<u32> {
        self.edited.get(function).copied()
    }

    /// Names of edited functions.
    pub fn edited(&self) -> impl Iterator<Item = &str> {
        self.edited.keys().map(String::as_str)
    }

    /// Edited macros, each with its line.
    pub fn macros(&self) -> impl Iterator<Item = (&str, u32)> {
        self.macros.iter().map(|(name, line)| (name.as_str(), *line))
    }

    /// The definition of a function after the patch.
    pub fn function(&self, name: &str) -> Option<&Extent> {
        self.functions.iter().find(|extent| extent.name == name)
    }

    /// The lines of a definition, each with its number.
    pub fn text_of(&self, extent: &Extent) -> impl Iterator<Item = (u32, &str)> {
        let lines = self.lines.iter().enumerate().take(extent.last + 1).skip(extent.first);
        lines.map(|(index, line)| (u32::try_from(index + 1).unwrap_or(0), line.as_str()))
    }

    /// All lines after the patch, each with its number.
    pub fn lines(&self) -> impl Iterator<Item = (u32, &str)> {
        self.lines
            .iter()
            .enumerate()
            .map(|(index, line)| (u32::try_from(index + 1).unwrap_or(0), line.as_str()))
    }

    /// Lines that the patch adds, each with its number.
    pub fn added(&self) -> impl Iterator<Item = (u32, &str)> {
        self.added.iter().map(|&index| (u32::try_from(index + 1).unwrap_or(0), self.lines[index].as_str()))
    }

    /// Whether a word occurred before the patch.
    pub fn had(&self, word: &str) -> bool {
        self.old_lines.iter().any(|line| has_word(line, word))
    }

    /// The line of the patched file that the compiler gives a number to. `#line` makes the numbers around an edit
    /// ambiguous: a line of the given definition is preferred.
    pub fn line_of(&self, number: u32, within: Option<&Extent>) -> u32 {
        let is_it = |index: &usize| self.numbers[*index] == number;
        let inside = within.and_then(|extent| {
            (extent.first..=extent.last.min(self.numbers.len().saturating_sub(1))).find(is_it)
        });
        let index = inside.or_else(|| (0..self.numbers.len()).find(is_it));
        index.and_then(|index| u32::try_from(index + 1).ok()).unwrap_or(number)
    }

    /// Whether a word occurs in a definition.
    pub fn mentions(&self, extent: &Extent, word: &str) -> bool {
        self.text_of(extent).any(|(_, line)| has_word(line, word))
    }
}

/// Whether an identifier occurs in a line.
pub fn has_word(line: &str, word: &str) -> bool {
    let part_of_word =
        |byte: Option<u8>| byte.is_some_and(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    line.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).map(|before| line.as_bytes()[before]);
        !part_of_word(before) && !part_of_word(line.as_bytes().get(at + word.len()).copied())
    })
}

fn touches(extent: &Extent, lines: &std::ops::Range<usize>) -> bool {
    // A pure removal lies between two lines: it is in what surrounds it.
    if lines.is_empty() {
        return extent.first < lines.start && lines.start <= extent.last;
    }
    lines.start <= extent.last && lines.end > extent.first
}

fn without_directives(text: &str) -> (Vec<String>, Vec<u32>) {
    let (mut lines, mut numbers) = (Vec::new(), Vec::new());
    let mut number = 1u32;
    for line in text.lines() {
        let directive =
            line.strip_prefix("#line ").and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        if let Some(next) = directive {
            number = next;
            continue;
        }
        lines.push(line.to_owned());
        numbers.push(number);
        number = number.saturating_add(1);
    }
    (lines, numbers)
}

/// Definitions of functions, in order.
fn functions(lines: &[String]) -> Vec<Extent> {
    let mut found = Vec::new();
    let mut head: Option<usize> = None;
    let mut body: Option<(String, usize)> = None;
    for (index, line) in lines.iter().enumerate() {
        if let Some((name, first)) = body.take() {
            if line.starts_with('}') {
                found.push(Extent { name, first, last: index });
                head = None;
            } else {
                body = Some((name, first));
            }
            continue;
        }
        let starts = line.bytes().next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic());
        if line.trim().is_empty() || line.starts_with(['#', '/', '*', '}']) || line.starts_with(" *") {
            head = None;
        } else if starts && head.is_none() {
            head = Some(index);
        }
        let Some(first) = head else { continue };
        let opens = line.starts_with('{') || (line.trim_end().ends_with('{') && !line.contains('='));
        if opens {
            let text = lines[first..=index].join(" ");
            match defined_name(&text) {
                Some(name) if !line.contains('}') => body = Some((name, first)),
                _ => head = None,
            }
        } else if line.trim_end().ends_with(';') {
            head = None;
        }
    }
    found
}

/// The name before the first parenthesis that is no attribute's.
fn defined_name(head: &str) -> Option<String> {
    let mut rest = head;
    loop {
        let open = rest.find('(')?;
        let before = rest[..open].trim_end();
        let start = before.rfind(|c: char| c != '_' && !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
        let name = &before[start..];
        let inner = &rest[open + 1..];
        if name.starts_with("SYSCALL_DEFINE") || name.starts_with("COMPAT_SYSCALL_DEFINE") {
            let call = inner.split([',', ')']).next()?.trim();
            let kind = if name.starts_with("COMPAT") { "__do_compat_sys_" } else { "__do_sys_" };
            return Some(format!("{kind}{call}"));
        }
        if name.starts_with("__attribute")
            || matches!(
                name,
                "__aligned" | "__section" | "__acquires" | "__releases" | "__must_hold" | "__printf"
            )
        {
            rest = &rest[open + 1 + inner.find(')')? + 1..];
            continue;
        }
        let is_word = name.bytes().next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic());
        return (is_word && !matches!(name, "if" | "while" | "for" | "switch" | "struct"))
            .then(|| name.to_owned());
    }
}

/// The macro whose definition a line belongs to.
fn macro_at(lines: &[String], index: usize) -> Option<String> {
    let mut first = index;
    while first > 0 && lines.get(first - 1)?.ends_with('\\') {
        first -= 1;
    }
    let rest = lines.get(first)?.trim_start().strip_prefix('#')?.trim_start().strip_prefix("define")?;
    let name: String =
        rest.trim_start().chars().take_while(|c| *c == '_' || c.is_ascii_alphanumeric()).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "#define LIMIT 4\n\nstatic int\nhelper(int a)\n{\n\treturn a;\n}\n\nint f(int a)\n{\n\treturn helper(a) + LIMIT;\n}\n\nSYSCALL_DEFINE1(thing, int, a)\n{\n\treturn 0;\n}\n";

    #[test]
    fn definitions_are_found_by_their_names() {
        let file = SourceFile::new("x.c", OLD, OLD);
        let names: Vec<&str> = file.functions.iter().map(|extent| extent.name.as_str()).collect();
        assert_eq!(names, ["helper", "f", "__do_sys_thing"]);
        assert_eq!(file.edited().count(), 0);
    }

    #[test]
    fn edits_belong_to_functions_and_macros() {
        let new = OLD.replace("return a;", "return a + 1;").replace("LIMIT 4", "LIMIT 5");
        let file = SourceFile::new("x.c", OLD, &new);
        assert_eq!(file.edited().collect::<Vec<_>>(), ["helper"]);
        assert_eq!(file.edit_of("helper"), Some(6));
        assert_eq!(file.macros().collect::<Vec<_>>(), [("LIMIT", 1)]);
    }

    #[test]
    fn a_removed_line_is_an_edit_of_what_surrounds_it() {
        let old = "int f(void)\n{\n\ta();\n\tb();\n}\n";
        let file = SourceFile::new("x.c", old, &old.replace("\tb();\n", ""));
        assert_eq!(file.edited().collect::<Vec<_>>(), ["f"]);
    }

    #[test]
    fn compiler_numbers_lead_back_to_lines() {
        let patched = "int f(void)\n{\n\tnew();\n#line 3\n\told();\n}\n";
        let file = SourceFile::new("x.c", "int f(void)\n{\n\told();\n}\n", patched);
        assert_eq!(file.line_of(4, None), 5);
        assert_eq!(file.lines().nth(3), Some((4, "\told();")));
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("a = spin_lock(&x);", "spin_lock"));
        assert!(!has_word("a = raw_spin_lock_irq(&x);", "spin_lock"));
    }
}

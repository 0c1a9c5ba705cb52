//! Reading a tracker file.

use super::{Entry, PatchLine, StateLine, TrackerFile};
use crate::{Fault, Problem, problem::shortened};
use std::collections::HashSet;

impl TrackerFile {
    /// Reads a file. Faults are reported with their line and never stop the reading; what cannot be understood is kept, so that
    /// it is written again.
    ///
    /// `document` names the file in the problems.
    pub fn read(document: &str, bytes: &[u8]) -> (Self, Vec<Problem>) {
        let mut reader =
            Reader { document, file: Self::default(), problems: Vec::new(), seen: HashSet::new() };
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            reader.line(at + 1, line);
        }
        if reader.file.entries.last() == Some(&Entry::Blank) {
            reader.file.entries.pop();
        }
        (reader.file, reader.problems)
    }
}

struct Reader<'a> {
    document: &'a str,
    file: TrackerFile,
    problems: Vec<Problem>,
    /// The keys so far.
    seen: HashSet<String>,
}

impl Reader<'_> {
    fn line(&mut self, number: usize, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            self.fault(number, Fault::NotText);
        }
        let line = text.trim_end();
        match line.chars().next() {
            None => self.blank(),
            Some('#') => self.file.entries.push(Entry::Comment(line.to_owned())),
            Some(' ' | '\t') => self.continuation(number, &line[1..]),
            Some(_) => self.key(number, line),
        }
    }

    fn fault(&mut self, line: usize, fault: Fault) {
        self.problems.push(Problem::new(self.document, line, fault));
    }

    fn blank(&mut self) {
        if !matches!(self.file.entries.last(), None | Some(Entry::Blank)) {
            self.file.entries.push(Entry::Blank);
        }
    }

    /// A line that belongs to the entry before it.
    fn continuation(&mut self, number: usize, text: &str) {
        match self.file.entries.last_mut() {
            Some(Entry::Field { more, .. }) => more.push(text.to_owned()),
            Some(Entry::Priority { reason, .. }) => reason.push(text.to_owned()),
            Some(Entry::Patches { patches, .. }) => patches.push(PatchLine(text.to_owned())),
            _ => self.unreadable(number, &format!(" {text}")),
        }
    }

    fn unreadable(&mut self, number: usize, line: &str) {
        self.fault(number, Fault::Unreadable(shortened(line)));
        self.file.entries.push(Entry::Unreadable(line.to_owned()));
    }

    /// `Key: value`.
    fn key(&mut self, number: usize, line: &str) {
        let Some((key, value)) = line.split_once(':').filter(|(key, _)| is_key(key)) else {
            return self.unreadable(number, line);
        };
        let value = value.trim();
        if !self.seen.insert(key.to_owned()) {
            self.fault(number, Fault::Repeated(shortened(key)));
        }
        let entry = if let Some(package) = key.strip_prefix("Patches_") {
            Entry::Patches { package: package.to_owned(), value: value.to_owned(), patches: Vec::new() }
        } else if key == "Priority" || key.starts_with("Priority_") {
            self.priority(number, key, value)
        } else if let Some((release, package)) = state_key(key) {
            match state(release, package, value) {
                Some(state) => self.checked(number, state),
                None => {
                    self.fault(number, Fault::State(shortened(value)));
                    Entry::Unreadable(if value.is_empty() {
                        format!("{key}:")
                    } else {
                        format!("{key}: {value}")
                    })
                }
            }
        } else {
            Entry::Field { name: key.to_owned(), value: value.to_owned(), more: Vec::new() }
        };
        self.file.entries.push(entry);
    }

    fn priority(&mut self, number: usize, key: &str, value: &str) -> Entry {
        let priority = value.parse().ok();
        if priority.is_none() && !matches!(value, "" | "untriaged") {
            self.fault(number, Fault::Priority(shortened(value)));
        }
        let scope = key.strip_prefix("Priority_").map(str::to_owned);
        Entry::Priority { scope, priority, word: value.to_owned(), reason: Vec::new() }
    }

    fn checked(&mut self, number: usize, state: StateLine) -> Entry {
        if let Some(Err(version)) = state.version() {
            self.fault(number, Fault::Version(shortened(&version)));
        }
        Entry::State(state)
    }
}

/// No blanks in a key.
pub(super) fn is_key(key: &str) -> bool {
    !key.is_empty() && !key.contains(char::is_whitespace)
}

/// Release and package of a state's key. Head fields start with a capital; releases do not.
fn state_key(key: &str) -> Option<(&str, &str)> {
    let (release, package) = key.split_once('_')?;
    (release.starts_with(|c: char| c.is_ascii_lowercase()) && !package.is_empty())
        .then_some((release, package))
}

/// `released (4.15.0-65.74)`.
fn state(release: &str, package: &str, value: &str) -> Option<StateLine> {
    let (word, rest) = value.split_once(' ').unwrap_or((value, ""));
    let rest = rest.trim();
    let note = match rest {
        "" => None,
        rest => Some(rest.strip_prefix('(')?.strip_suffix(')')?),
    };
    Some(StateLine {
        release: release.to_owned(),
        package: package.to_owned(),
        state: word.parse().ok()?,
        note: note.filter(|note| !note.is_empty()).map(str::to_owned),
    })
}

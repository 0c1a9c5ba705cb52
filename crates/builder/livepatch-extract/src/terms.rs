//! Subjects and changes as comparable words.
//!
//! A kernel subject reads `subsystem: driver: what happens in some_function()`. Before the last colon stand names that
//! mostly occur in paths; after it, names of functions, and plain words that often are parts of identifiers.

use crate::change::{Change, FileChange};
use crate::changelog::Entry;
use std::collections::BTreeSet;

/// Prefixes that name a subsystem otherwise than its folder does (MAINTAINERS and long custom), and words of the folder.
const ALIASES: [(&str, &[&str]); 28] = [
    ("alsa", &["sound"]),
    ("asoc", &["sound", "soc"]),
    ("wifi", &["wireless", "mac80211"]),
    ("ksmbd", &["smb", "server"]),
    ("cifs", &["smb", "client"]),
    ("smb3", &["smb", "client"]),
    ("hwrng", &["random"]),
    ("rdma", &["infiniband"]),
    ("ib", &["infiniband"]),
    ("svcrdma", &["xprtrdma", "svc", "rdma"]),
    ("xprtrdma", &["xprtrdma"]),
    ("pnfs", &["nfs", "pnfs"]),
    ("nfsv4", &["nfs", "nfs4proc"]),
    ("genetlink", &["netlink", "genetlink"]),
    ("packet", &["packet"]),
    ("vsock", &["vmw", "vsock"]),
    ("nvmet", &["nvme", "target"]),
    ("kvm", &["kvm"]),
    ("svm", &["svm"]),
    ("vmx", &["vmx"]),
    ("dm", &["md", "dm"]),
    ("vfs", &["fs"]),
    ("of", &["of"]),
    ("timers", &["time", "timer"]),
    ("tracing", &["trace"]),
    ("tun", &["tun"]),
    ("ipvs", &["ipvs"]),
    ("sched", &["sched"]),
];

/// Words that tell nothing about a place in the source.
const COMMON: [&str; 88] = [
    "a",
    "an",
    "and",
    "the",
    "of",
    "in",
    "on",
    "to",
    "for",
    "from",
    "with",
    "without",
    "when",
    "if",
    "is",
    "are",
    "be",
    "by",
    "at",
    "as",
    "or",
    "not",
    "no",
    "do",
    "don",
    "does",
    "it",
    "its",
    "into",
    "after",
    "before",
    "during",
    "while",
    "fix",
    "fixes",
    "fixed",
    "add",
    "avoid",
    "prevent",
    "use",
    "uses",
    "using",
    "make",
    "ensure",
    "handle",
    "check",
    "checks",
    "validate",
    "missing",
    "possible",
    "potential",
    "instead",
    "correct",
    "incorrect",
    "wrong",
    "bug",
    "issue",
    "error",
    "leak",
    "race",
    "null",
    "pointer",
    "dereference",
    "deref",
    "out",
    "bounds",
    "access",
    "read",
    "write",
    "free",
    "uaf",
    "oob",
    "overflow",
    "underflow",
    "memory",
    "path",
    "paths",
    "revert",
    "convert",
    "only",
    "all",
    "can",
    "more",
    "that",
    "this",
    "than",
    "set",
    "s",
];

/// What an entry's subject says.
#[derive(Clone, Debug, Default)]
pub(crate) struct SubjectTerms {
    /// Names from before the last colon, one set a part, each with the words that a path may have for it.
    pub(crate) places: Vec<Vec<String>>,
    /// Identifiers, such as function names.
    pub(crate) identifiers: Vec<String>,
    /// Other words.
    pub(crate) words: Vec<String>,
}

impl SubjectTerms {
    /// Takes a subject apart.
    pub(crate) fn new(entry: &Entry) -> Self {
        let mut subject = entry.subject.as_str();
        while let Some(inner) = subject.strip_prefix("Revert \"") {
            subject = inner.trim_end_matches('"');
        }
        let (prefix, rest) = prefix_of(subject);
        let mut terms = Self::default();
        for part in prefix.split([':', '/', ' ', ',', '-', '_', '.']).filter(|part| !part.is_empty()) {
            let part = part.to_ascii_lowercase();
            let alias = ALIASES.iter().find(|(name, _)| *name == part).map(|(_, words)| *words);
            let mut words: Vec<String> =
                alias.unwrap_or_default().iter().map(|word| (*word).to_owned()).collect();
            if !words.contains(&part) {
                words.push(part);
            }
            terms.places.push(words);
        }
        for raw in rest.split(|letter: char| letter.is_whitespace() || ",;:'\"`[]".contains(letter)) {
            terms.take(raw);
        }
        for raw in prefix.split([':', ' ', ',', '/']).filter(|raw| raw.contains('_')) {
            terms.identifiers.push(raw.to_ascii_lowercase());
        }
        terms.identifiers.sort();
        terms.identifiers.dedup();
        terms
    }

    fn take(&mut self, raw: &str) {
        let is_call = raw.contains("()");
        for piece in raw.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')) {
            let lower = piece.to_ascii_lowercase();
            if lower.is_empty() {
                continue;
            }
            if piece.trim_matches('_').contains('_') || is_call && piece.len() > 2 {
                self.identifiers.push(lower.clone());
            }
            self.words.extend(parts(&lower).filter(|part| !COMMON.contains(&part.as_str())));
        }
    }
}

/// The part of a subject before the last colon that still belongs to its prefix, and the rest.
fn prefix_of(subject: &str) -> (&str, &str) {
    let mut end = 0;
    while let Some(at) = subject[end..].find(": ") {
        let part = &subject[end..end + at];
        // More than three words are a sentence with a colon in it.
        if part.split_whitespace().count() > 3 {
            break;
        }
        end += at + 2;
    }
    (subject[..end].trim_end_matches(": "), &subject[end..])
}

/// What a change says, as sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangeTerms {
    /// Whole identifiers of the changed lines and the functions around.
    pub(crate) identifiers: BTreeSet<String>,
    /// Parts of these.
    pub(crate) words: BTreeSet<String>,
    /// Names of the functions around, whole.
    pub(crate) scopes: BTreeSet<String>,
}

impl ChangeTerms {
    /// Adds what a change says.
    pub(crate) fn take(&mut self, file: &FileChange, change: &Change) {
        for scope in &change.scopes {
            let scope = scope.name.to_ascii_lowercase();
            self.words.extend(parts(&scope));
            self.identifiers.insert(scope.clone());
            self.scopes.insert(scope);
        }
        let (old, new) = file.lines(change);
        for line in old.iter().chain(&new) {
            for identifier in identifiers(line) {
                let lower = identifier.to_ascii_lowercase();
                self.words.extend(parts(&lower));
                self.identifiers.insert(lower);
            }
        }
    }
}

/// Words of a path: folders and file name, and what they consist of.
pub(crate) fn path_words(path: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let (stem, _) = path.rsplit_once('.').unwrap_or((path, ""));
    for component in stem.split('/') {
        let component = component.to_ascii_lowercase();
        words
            .extend(component.split(['-', '_', '.', '+']).filter(|part| !part.is_empty()).map(str::to_owned));
        words.insert(component);
    }
    words
}

/// Identifiers of a line of C.
pub(crate) fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| word.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_'))
}

/// Parts of an identifier, plural and the like taken off.
fn parts(lower: &str) -> impl Iterator<Item = String> {
    lower.split('_').filter(|part| part.len() > 1).map(|part| stem(part).to_owned())
}

fn stem(word: &str) -> &str {
    let ending = ["ing", "ed", "es", "s"]
        .iter()
        .find(|ending| word.len() > ending.len() + 3 && word.ends_with(**ending));
    ending.map_or(word, |ending| &word[..word.len() - ending.len()])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use crate::changelog::Origin;

    fn terms(subject: &str) -> SubjectTerms {
        let entry = Entry {
            subject: subject.into(),
            cves: Vec::new(),
            architectures: Vec::new(),
            origin: Origin::Stable("6.1.2".into()),
        };
        SubjectTerms::new(&entry)
    }

    #[test]
    fn a_subject_has_places_identifiers_and_words() {
        let terms = terms("smb: client: fix OOB read/write from unvalidated DataOffset in coalesce_t2()");
        assert_eq!(terms.places, [vec!["smb"], vec!["client"]]);
        assert_eq!(terms.identifiers, ["coalesce_t2"]);
        assert!(terms.words.contains(&"dataoffset".to_owned()) && !terms.words.contains(&"fix".to_owned()));
    }

    #[test]
    fn custom_names_lead_to_folders() {
        assert_eq!(terms("ALSA: usb-audio: clamp").places[0], ["sound", "alsa"]);
        assert_eq!(terms("Revert \"esp: do not unref\"").places[0], ["esp"]);
        assert!(terms("a sentence of words: more of it").places.is_empty());
    }

    #[test]
    fn paths_are_words() {
        let words = path_words("drivers/hid/hid-sony.c");
        assert!(["drivers", "hid", "sony", "hid-sony"].iter().all(|word| words.contains(*word)));
    }
}

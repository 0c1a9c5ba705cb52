//! The patch of one entry.

use crate::assign::{self, Ownership};
use crate::change::{FileChange, Scope};
use crate::changelog::Entry;
use crate::groups::{self, Group};
use crate::links::{self, Needs};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// An entry that has this share of a group owns it.
const OWNS: f64 = 0.5;
/// From this share on there is no doubt; below what is left of it there is none either.
const SURE: f64 = 0.75;

/// Weight below which a place is no guess worth making.
const PLAUSIBLE: f64 = 5.0;
/// Weights that differ by less are as good as each other.
const NEAR: f64 = 1.0;

/// How sure it is that a patch is the fix and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// The files changed between the two versions for this fix alone.
    Clean,
    /// Files changed for several fixes; their changes were told apart by function, words and what needs what.
    Split,
    /// Changes that may be this fix's or another's: the patch has all that may be its own.
    Mixed,
    /// No changed line fits the entry.
    None,
}

/// The patch for one CVE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Candidate {
    /// CVE id.
    pub cve: String,
    /// Subjects of the entries that name it.
    pub subjects: Vec<String>,
    /// Files that the patch changes.
    pub files: Vec<String>,
    /// What the changed lines lie in or begin, by file: functions, and other definitions at the margin.
    pub touches: BTreeMap<String, Vec<Scope>>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Why, in a sentence.
    pub why: String,
    /// Subjects of other entries whose changes the patch has too: they stand in the same functions, or it needs them.
    pub also: Vec<String>,
    /// The patch, a unified diff.
    #[serde(skip)]
    pub patch: String,
}

/// All that changed between two versions, and who owns what.
#[derive(Debug)]
pub struct Update {
    entries: Vec<Entry>,
    files: Vec<FileChange>,
    groups: Vec<Group>,
    needs: Needs,
    ownership: Ownership,
}

impl Update {
    /// Settles which entry owns which change.
    pub fn new(entries: Vec<Entry>, files: Vec<FileChange>) -> Self {
        let groups = groups::groups(&files);
        let links = links::links(&files, &groups);
        let ownership = assign::assign(&entries, &files, &groups, &links);
        Self { entries, files, groups, needs: links.needs, ownership }
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All CVEs that the entries name, in their order.
    pub fn cves(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        self.entries
            .iter()
            .flat_map(|entry| &entry.cves)
            .map(String::as_str)
            .filter(|cve| seen.insert(*cve))
            .collect()
    }

    /// The patch for a CVE; `None` when no entry names it.
    pub fn candidate(&self, cve: &str) -> Option<Candidate> {
        let entries: BTreeSet<usize> = (0..self.entries.len())
            .filter(|entry| self.entries[*entry].cves.iter().any(|named| named == cve))
            .collect();
        if entries.is_empty() {
            return None;
        }
        let choice = Choice::new(self, &entries);
        Some(Candidate {
            cve: cve.to_owned(),
            subjects: entries.iter().map(|entry| self.entries[*entry].subject.clone()).collect(),
            files: choice.files().into_iter().map(|file| self.files[file].path.clone()).collect(),
            touches: choice.touches(),
            confidence: choice.confidence,
            why: choice.why(),
            also: choice.also(),
            patch: choice.patch(),
        })
    }

    /// Where the entries fit best, whoever else does.
    fn best_places(&self, entries: &BTreeSet<usize>) -> BTreeSet<usize> {
        let weight = |group: &usize| {
            let weights = &self.ownership.weights[*group];
            entries.iter().filter_map(|entry| weights.get(entry).copied()).fold(0.0, f64::max)
        };
        let live = || (0..self.groups.len()).filter(|group| !self.groups[*group].is_inert);
        let best = live().map(|group| weight(&group)).fold(0.0, f64::max);
        live().filter(|group| best >= PLAUSIBLE && weight(group) >= best - NEAR).collect()
    }

    fn share(&self, group: usize, entries: &BTreeSet<usize>) -> f64 {
        let claims = self.ownership.claims[group].iter();
        claims.filter(|(entry, _)| entries.contains(entry)).map(|(_, share)| share).sum()
    }
}

/// The groups that make a patch.
struct Choice<'a> {
    update: &'a Update,
    entries: &'a BTreeSet<usize>,
    taken: BTreeSet<usize>,
    confidence: Confidence,
}

impl<'a> Choice<'a> {
    fn new(update: &'a Update, entries: &'a BTreeSet<usize>) -> Self {
        let live = || (0..update.groups.len()).filter(|group| !update.groups[*group].is_inert);
        let shares: BTreeMap<usize, f64> =
            live().map(|group| (group, update.share(group, entries))).collect();
        let owned: BTreeSet<usize> =
            shares.iter().filter(|(_, share)| **share >= OWNS).map(|(group, _)| *group).collect();
        // Where nobody is sure of the best that there is, the entry's best place is all that can be said.
        let owned = if owned.is_empty() { update.best_places(entries) } else { owned };
        let mut choice = Self { update, entries, taken: owned.clone(), confidence: Confidence::None };
        if owned.is_empty() {
            return choice;
        }
        choice.close();
        let files = choice.files();
        let in_files = |group: &usize| files.contains(&update.groups[*group].file);
        let is_whole = live().filter(in_files).all(|group| choice.taken.contains(&group));
        let doubtful = live().filter(in_files).any(|group| {
            let share = shares.get(&group).copied().unwrap_or(0.0);
            match owned.contains(&group) {
                true => share < SURE && !choice.is_alone(group),
                false => share > 1.0 - SURE,
            }
        });
        choice.confidence = match (is_whole && choice.also().is_empty(), doubtful) {
            (true, false) => Confidence::Clean,
            (_, false) => Confidence::Split,
            (_, true) => Confidence::Mixed,
        };
        if doubtful {
            // What may be the fix's own is taken along; better a neighbour's change too many than half a fix.
            let claimed = |group: &usize| shares.get(group).is_some_and(|share| *share > 1.0 - SURE);
            choice.taken.extend(live().filter(in_files).filter(claimed));
            choice.close();
        }
        choice
    }

    /// Nobody else wants the group.
    fn is_alone(&self, group: usize) -> bool {
        let claims = &self.update.ownership.claims[group];
        claims.iter().all(|(entry, share)| self.entries.contains(entry) || *share < 1.0 - SURE)
    }

    /// Takes what the taken groups need.
    fn close(&mut self) {
        let mut pending: Vec<usize> = self.taken.iter().copied().collect();
        while let Some(group) = pending.pop() {
            for needed in &self.update.needs[group] {
                if self.taken.insert(*needed) {
                    pending.push(*needed);
                }
            }
        }
    }

    fn files(&self) -> BTreeSet<usize> {
        self.taken.iter().map(|group| self.update.groups[*group].file).collect()
    }

    fn touches(&self) -> BTreeMap<String, Vec<Scope>> {
        let mut touched: BTreeMap<String, Vec<Scope>> = BTreeMap::new();
        for group in self.taken.iter().map(|group| &self.update.groups[*group]) {
            let file = &self.update.files[group.file];
            let scopes = touched.entry(file.path.clone()).or_default();
            for scope in group.changes.iter().flat_map(|change| &file.changes[*change].scopes) {
                if !scopes.contains(scope) {
                    scopes.push(scope.clone());
                }
            }
        }
        touched
    }

    /// Other entries that own something of it.
    fn also(&self) -> Vec<String> {
        let owner = |group: &usize| {
            let (entry, share) = self.update.ownership.claims[*group].first()?;
            (*share >= OWNS && !self.entries.contains(entry)).then_some(*entry)
        };
        let others: BTreeSet<usize> = self.taken.iter().filter_map(owner).collect();
        others.into_iter().map(|entry| self.update.entries[entry].subject.clone()).collect()
    }

    fn why(&self) -> String {
        let files = self.files();
        let list: Vec<&str> = files.iter().map(|file| self.update.files[*file].path.as_str()).collect();
        let list = list.join(", ");
        match self.confidence {
            Confidence::None => "no changed line fits what the changelog says: an architecture or a part that the source package does not change, or a fix that was taken back".into(),
            Confidence::Clean => format!("{list} changed for this entry alone"),
            Confidence::Split => {
                let in_files = self.update.groups.iter().filter(|group| files.contains(&group.file) && !group.is_inert);
                format!("{} of {} places in {list}, by function, words and what needs what", self.taken.len(), in_files.count())
            }
            Confidence::Mixed => format!("{list} changed for several entries, some of whose changes cannot be told apart"),
        }
    }

    /// The patch: what is taken, and the comments and includes of these files that are not another's.
    fn patch(&self) -> String {
        let mut by_file: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for group in &self.taken {
            let group = &self.update.groups[*group];
            by_file.entry(group.file).or_default().extend(&group.changes);
        }
        for group in self.update.groups.iter().filter(|group| group.is_inert) {
            if let Some(changes) = by_file.get_mut(&group.file) {
                changes.extend(&group.changes);
            }
        }
        let mut patch = String::new();
        for (file, changes) in by_file {
            patch.push_str(&self.update.files[file].patch(&changes));
        }
        patch
    }
}

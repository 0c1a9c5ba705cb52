//! Who owns what: entries against groups of changes.
//!
//! Every pair gets a weight from the words that they share, rare words counting more. Then the pairs compete: what a group
//! gives is shared out among the entries that want it, an entry that got nothing yet bids higher, until both settle
//! (Sinkhorn's scaling). So an entry that nothing else explains gets what is left over in its place: elimination.

use crate::change::FileChange;
use crate::changelog::Entry;
use crate::groups::Group;
use crate::links::{Links, Needs};
use crate::terms::{SubjectTerms, path_words};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Weight that differs by this is e times as likely.
const TEMPERATURE: f64 = 1.5;
/// Weight of 'no entry tells of it': distributions leave out what they find irrelevant.
const NOBODY: f64 = 4.0;
/// Pairs below this share nothing but the most general words.
const LEAST: f64 = 2.0;
/// A pair must have this part of the entry's best weight: what fits a place far better does not want the next one too.
const WORTH: f64 = 0.4;
/// A path must fit this well, compared with the one that fits best: of `sched/rt`, `nft_rt.c` has but the one half.
const SAME_PLACE: f64 = 0.6;
/// How much an entry may raise its bids.
const LARGEST_RAISE: f64 = 400.0;
const ROUNDS: usize = 40;

/// Shares of the entries in the groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ownership {
    /// For each group, who claims it: entry and share, largest first; the shares and nobody's sum up to 1.
    pub(crate) claims: Vec<Vec<(usize, f64)>>,
    /// Weight of each pair, as it was before the competition.
    pub(crate) weights: Vec<BTreeMap<usize, f64>>,
}

/// Settles who owns what.
pub(crate) fn assign(entries: &[Entry], files: &[FileChange], groups: &[Group], links: &Links) -> Ownership {
    let subjects: Vec<SubjectTerms> = entries.iter().map(SubjectTerms::new).collect();
    let mut weights = Weights::new(files, groups).all(&subjects);
    for (group, operation) in &links.follows {
        weights[*group] = weights[*operation].clone();
    }
    let first = compete(&weights, entries.len());
    // Changes that need each other mostly come from one commit: let the neighbours vote.
    let voted = with_votes(&weights, &first, &links.needs);
    let claims = compete(&voted, entries.len());
    Ownership { claims, weights }
}

struct Weights<'a> {
    groups: &'a [Group],
    /// Files by word of their path.
    places: BTreeMap<String, BTreeSet<usize>>,
    file_count: f64,
    groups_of_file: Vec<Vec<usize>>,
    scopes: HashMap<&'a str, Vec<usize>>,
    identifiers: HashMap<&'a str, Vec<usize>>,
    words: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Weights<'a> {
    fn new(files: &[FileChange], groups: &'a [Group]) -> Self {
        let mut places: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            for word in path_words(&file.path) {
                places.entry(word).or_default().insert(index);
            }
        }
        let mut groups_of_file = vec![Vec::new(); files.len()];
        let (mut scopes, mut identifiers, mut words) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (index, group) in groups.iter().enumerate() {
            groups_of_file[group.file].push(index);
            fill(&mut scopes, &group.terms.scopes, index);
            fill(&mut identifiers, &group.terms.identifiers, index);
            fill(&mut words, &group.terms.words, index);
        }
        let file_count = files.len() as f64;
        Self { groups, places, file_count, groups_of_file, scopes, identifiers, words }
    }

    /// For each group, the weight of each entry.
    fn all(&self, subjects: &[SubjectTerms]) -> Vec<BTreeMap<usize, f64>> {
        let mut weights = vec![BTreeMap::new(); self.groups.len()];
        for (entry, subject) in subjects.iter().enumerate() {
            let own = self.of(subject);
            let best = own.values().copied().fold(0.0, f64::max);
            for (group, weight) in own {
                if weight >= LEAST.max(best * WORTH) {
                    weights[group].insert(entry, weight);
                }
            }
        }
        weights
    }

    fn of(&self, subject: &SubjectTerms) -> BTreeMap<usize, f64> {
        let mut weights: BTreeMap<usize, f64> = BTreeMap::new();
        let by_place = self.by_place(subject);
        for (file, weight) in &by_place {
            for group in &self.groups_of_file[*file] {
                weights.insert(*group, *weight);
            }
        }
        for identifier in &subject.identifiers {
            let scopes = self.scopes.get(identifier.as_str()).map(Vec::as_slice).unwrap_or_default();
            for group in scopes {
                *weights.entry(*group).or_default() += 3.0 + self.rarity(scopes.len());
            }
            let plain = self.identifiers.get(identifier.as_str()).map(Vec::as_slice).unwrap_or_default();
            for group in plain.iter().filter(|group| !scopes.contains(group)) {
                *weights.entry(*group).or_default() += 1.0 + 0.7 * self.rarity(plain.len());
            }
        }
        // Plain words decide among what place or identifiers have named; alone they prove nothing.
        for word in &subject.words {
            let found = self.words.get(word.as_str()).map(Vec::as_slice).unwrap_or_default();
            for group in found {
                if let Some(weight) = weights.get_mut(group) {
                    let length = 1.0 + self.groups[*group].terms.words.len() as f64 / 60.0;
                    *weight += 0.5 * self.rarity(found.len()) / length.sqrt();
                }
            }
        }
        weights
    }

    fn by_place(&self, subject: &SubjectTerms) -> BTreeMap<usize, f64> {
        let mut weights: BTreeMap<usize, f64> = BTreeMap::new();
        let mut total = 0.0;
        for part in &subject.places {
            let mut best: BTreeMap<usize, f64> = BTreeMap::new();
            for files in part.iter().filter_map(|word| self.places.get(word)) {
                let rarity = (self.file_count / files.len() as f64).ln();
                for file in files {
                    let weight = best.entry(*file).or_default();
                    *weight = weight.max(rarity);
                }
            }
            total += best.values().copied().fold(0.0, f64::max) * 0.5;
            for (file, weight) in best {
                *weights.entry(file).or_default() += 1.5 * weight;
            }
        }
        weights.values_mut().for_each(|weight| *weight -= total);
        let best = weights.values().copied().fold(0.0, f64::max);
        weights.retain(|_, weight| *weight > best * SAME_PLACE);
        weights
    }

    fn rarity(&self, count: usize) -> f64 {
        (self.groups.len() as f64 / count.max(1) as f64).ln()
    }
}

fn fill<'a>(index: &mut HashMap<&'a str, Vec<usize>>, terms: &'a BTreeSet<String>, group: usize) {
    for term in terms {
        index.entry(term).or_default().push(group);
    }
}

fn with_votes(
    weights: &[BTreeMap<usize, f64>],
    claims: &[Vec<(usize, f64)>],
    needs: &Needs,
) -> Vec<BTreeMap<usize, f64>> {
    let mut voted = weights.to_vec();
    for (group, needed) in needs.iter().enumerate() {
        for other in needed {
            for (of, to) in [(group, *other), (*other, group)] {
                for (entry, share) in claims[of].iter().filter(|(_, share)| *share > 0.3) {
                    let weight = voted[to].entry(*entry).or_default();
                    // A vote of many neighbours counts once.
                    let plain = weights[to].get(entry).copied().unwrap_or(LEAST);
                    *weight = weight.max(plain + 4.0 * share);
                }
            }
        }
    }
    voted
}

fn compete(weights: &[BTreeMap<usize, f64>], entries: usize) -> Vec<Vec<(usize, f64)>> {
    let likely: Vec<Vec<(usize, f64)>> = weights
        .iter()
        .map(|weights| weights.iter().map(|(entry, weight)| (*entry, (weight / TEMPERATURE).exp())).collect())
        .collect();
    let nobody = (NOBODY / TEMPERATURE).exp();
    let mut raise = vec![1.0_f64; entries];
    let mut claims = shares(&likely, &raise, nobody);
    for _ in 0..ROUNDS {
        let mut got = vec![0.0; entries];
        for (entry, share) in claims.iter().flatten() {
            got[*entry] += share;
        }
        for (raise, got) in raise.iter_mut().zip(&got) {
            if *got < 1.0 {
                *raise = (*raise / got.max(0.05)).min(LARGEST_RAISE);
            }
        }
        claims = shares(&likely, &raise, nobody);
    }
    for claims in &mut claims {
        claims.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    }
    claims
}

fn shares(likely: &[Vec<(usize, f64)>], raise: &[f64], nobody: f64) -> Vec<Vec<(usize, f64)>> {
    let of_group = |bids: &Vec<(usize, f64)>| {
        let sum: f64 = nobody + bids.iter().map(|(entry, bid)| bid * raise[*entry]).sum::<f64>();
        bids.iter().map(|(entry, bid)| (*entry, bid * raise[*entry] / sum)).collect()
    };
    likely.iter().map(of_group).collect()
}

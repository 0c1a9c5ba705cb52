//! Mitigations: which are issued for this machine, which its owner wants, which hold, and which have done their work. Pure.

use crate::cves::{CveList, CveState};
use livepatch_cve::{Measure, Mitigation};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What `livepatch mitigation list --format json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MitigationList {
    /// Always 1.
    pub schema: u32,
    /// The mitigations, by name.
    pub mitigations: Vec<MitigationStatus>,
}

/// A mitigation on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MitigationStatus {
    /// Its name.
    pub name: String,
    /// How the machine stands to it.
    pub state: MitigationState,
    /// One sentence.
    pub sentence: String,
    /// What the owner should do.
    pub next_step: String,
    /// What is done, and whether it holds.
    pub measures: Vec<MeasureStatus>,
    /// As the signed document has it; absent when it is not issued any more.
    #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Value>"))]
    pub issued: Option<Mitigation>,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MeasureStatus {
    /// In words.
    pub sentence: String,
    /// Whether it holds now.
    pub holds: bool,
}

/// How a machine stands to a mitigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MitigationState {
    /// It would help, and nobody has agreed to it.
    Offered,
    /// It is agreed to, and does not hold yet, or not in full.
    Wanted,
    /// It holds.
    InForce,
    /// It is in place, and nothing needs it any more, or the owner does not want it.
    ToRetire,
    /// The machine has none of the vulnerabilities.
    NotNeeded,
}

/// What is known.
pub(crate) struct MitigationFacts<'a> {
    /// Those that are issued for the running kernel's family; none when that cannot be told.
    pub(crate) issued: Option<Vec<&'a Mitigation>>,
    /// The vulnerabilities, as if there were no mitigations.
    pub(crate) cves: &'a CveList,
    /// What the owner decided: wanted or not.
    pub(crate) decided: &'a BTreeMap<String, bool>,
    /// Whether those that the owner did not decide on are wanted.
    pub(crate) by_policy: bool,
    /// Those that have files on this machine.
    pub(crate) in_place: &'a BTreeSet<String>,
    /// Whether a measure of a mitigation holds.
    pub(crate) holds: &'a dyn Fn(&Mitigation, &Measure) -> bool,
}

/// Lists them.
pub(crate) fn list(facts: &MitigationFacts<'_>) -> MitigationList {
    let issued_here = facts.issued.as_deref().unwrap_or_default();
    let known: BTreeSet<&str> = issued_here.iter().map(|one| one.name.as_str()).collect();
    let issued = issued_here.iter().map(|mitigation| issued(facts, mitigation));
    let left = facts.in_place.iter().filter(|name| !known.contains(name.as_str()));
    let mut mitigations: Vec<MitigationStatus> =
        issued.chain(left.map(|name| left_over(facts, name))).collect();
    mitigations.sort_by(|one, two| one.name.cmp(&two.name));
    MitigationList { schema: 1, mitigations }
}

fn issued(facts: &MitigationFacts<'_>, mitigation: &Mitigation) -> MitigationStatus {
    let measure = |measure: &Measure| MeasureStatus {
        sentence: measure.to_string(),
        holds: (facts.holds)(mitigation, measure),
    };
    let measures: Vec<MeasureStatus> = mitigation.measures.iter().map(measure).collect();
    let name = &mitigation.name;
    let found = facts.cves.cves.iter().filter(|cve| helps(mitigation, &cve.id));
    let needed = found.clone().any(|cve| cve.state.is_open());
    let agreed = facts.decided.get(name).copied().unwrap_or(facts.by_policy);
    let in_place = facts.in_place.contains(name);
    let holds = in_place && measures.iter().all(|measure| measure.holds);
    // Nothing goes that protects a machine of which it is not known whether it is mended.
    let unsure = in_place && found.count() < mitigation.cves.len();
    let state = match (agreed && (needed || unsure), holds) {
        (true, true) => MitigationState::InForce,
        (true, false) => MitigationState::Wanted,
        (false, _) if in_place => MitigationState::ToRetire,
        (false, _) if needed => MitigationState::Offered,
        (false, _) => MitigationState::NotNeeded,
    };
    let (sentence, next_step) = words(state, name, needed);
    MitigationStatus {
        name: name.clone(),
        state,
        sentence,
        next_step,
        measures,
        issued: Some(mitigation.clone()),
    }
}

fn helps(mitigation: &Mitigation, cve: &str) -> bool {
    cve.parse().is_ok_and(|cve| mitigation.cves.contains(&cve))
}

/// One that is in place and not issued for this kernel, as far as that is known. What is in place goes only when it is known not to be
/// issued, or when the owner says so.
fn left_over(facts: &MitigationFacts<'_>, name: &str) -> MitigationStatus {
    let unwanted = facts.decided.get(name) == Some(&false);
    let (state, sentence, next_step) = match (facts.issued.is_some(), unwanted) {
        (true, _) => {
            (MitigationState::ToRetire, "it is in place, and is not issued any more", SETTLE.to_owned())
        }
        (false, true) => {
            (MitigationState::ToRetire, "it is in place, and you do not want it", SETTLE.to_owned())
        }
        (false, false) => (
            MitigationState::InForce,
            "it is in place; whether it is still issued is not known here",
            format!("livepatch mitigation retire {name}"),
        ),
    };
    MitigationStatus {
        name: name.to_owned(),
        state,
        sentence: sentence.to_owned(),
        next_step,
        measures: Vec::new(),
        issued: None,
    }
}

const SETTLE: &str = "livepatch mitigation settle";

fn words(state: MitigationState, name: &str, needed: bool) -> (String, String) {
    let (sentence, next_step) = match state {
        MitigationState::Offered => (
            "it makes an open vulnerability harmless, and waits for your consent",
            format!("livepatch mitigation apply {name}"),
        ),
        MitigationState::Wanted => ("it is agreed to, and does not hold", SETTLE.to_owned()),
        MitigationState::InForce => ("it holds", "nothing".to_owned()),
        MitigationState::ToRetire if needed => ("it is in place, and you do not want it", SETTLE.to_owned()),
        MitigationState::ToRetire => {
            ("it has done its work: the vulnerability is mended here", SETTLE.to_owned())
        }
        MitigationState::NotNeeded => ("this machine does not need it", "nothing".to_owned()),
    };
    (sentence.to_owned(), next_step)
}

/// The vulnerabilities with what mitigations do about them.
pub(crate) fn with_mitigations(mut list: CveList, mitigations: &MitigationList) -> CveList {
    for cve in list.cves.iter_mut().filter(|cve| cve.state.is_open()) {
        let helping =
            |one: &&MitigationStatus| one.issued.as_ref().is_some_and(|issued| helps(issued, &cve.id));
        let mut against = mitigations.mitigations.iter().filter(helping);
        let holds = against.clone().find(|one| one.state == MitigationState::InForce);
        if let Some(holds) = holds {
            cve.state = CveState::Mitigated;
            cve.sentence = format!("harmless by the mitigation {}; {}", holds.name, cve.sentence);
        } else if let Some(offered) = against.find(|one| one.state == MitigationState::Offered) {
            cve.sentence += &format!("; `{}` makes it harmless", offered.next_step);
        }
    }
    list
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use crate::cves::CveStatus;
    use MitigationState::{InForce, NotNeeded, Offered, ToRetire, Wanted};

    fn kettle() -> Mitigation {
        serde_json::from_value(serde_json::json!({
            "name": "no-kettle", "cves": ["CVE-2026-1002"], "families": ["debian/bookworm/linux"],
            "about": "Kettles are not heated.", "measures": [{"measure": "deny-module", "module": "kettle"}]}))
        .unwrap()
    }

    fn cves(state: CveState) -> CveList {
        let cve = CveStatus { id: "CVE-2026-1002".into(), state, sentence: "open".into(), notice: None };
        CveList { schema: 1, basis: "verdicts".into(), cves: vec![cve] }
    }

    /// The vulnerability's state, the owner's word, the policy, files and measure in place.
    fn state(open: CveState, decided: Option<bool>, by_policy: bool, in_place: bool) -> MitigationState {
        let decided = decided.into_iter().map(|wanted| ("no-kettle".to_owned(), wanted)).collect();
        let in_place = if in_place { ["no-kettle".to_owned()].into() } else { BTreeSet::new() };
        let (kettle, cves) = (kettle(), cves(open));
        let holds = |_: &Mitigation, _: &Measure| !in_place.is_empty();
        let facts = MitigationFacts {
            issued: Some(vec![&kettle]),
            cves: &cves,
            decided: &decided,
            by_policy,
            in_place: &in_place,
            holds: &holds,
        };
        list(&facts).mitigations[0].state
    }

    #[test]
    fn consent_or_policy_and_the_need_decide() {
        let open = CveState::NeedsReboot;
        assert_eq!(state(open, None, false, false), Offered);
        assert_eq!(state(open, Some(true), false, false), Wanted);
        assert_eq!(state(open, None, true, false), Wanted);
        assert_eq!(state(open, Some(false), true, false), Offered, "the owner's no goes before the policy");
        assert_eq!(state(open, Some(true), false, true), InForce);
        assert_eq!(state(open, Some(false), true, true), ToRetire);
        for mended in [CveState::Livepatched, CveState::FixedInKernel, CveState::NotAffected] {
            assert_eq!(state(mended, Some(true), true, true), ToRetire, "{mended:?}");
            assert_eq!(state(mended, Some(true), true, false), NotNeeded, "{mended:?}");
        }
    }

    #[test]
    fn what_is_not_issued_any_more_goes_and_what_is_not_known_stays() {
        let in_place = ["old".to_owned()].into();
        let state = |issued, wanted| {
            let facts = MitigationFacts {
                issued,
                cves: &cves(CveState::Open),
                decided: &[("old".to_owned(), wanted)].into(),
                by_policy: true,
                in_place: &in_place,
                holds: &|_, _| true,
            };
            list(&facts).mitigations[0].state
        };
        assert_eq!(state(Some(Vec::new()), true), ToRetire);
        assert_eq!(state(None, true), InForce);
        assert_eq!(state(None, false), ToRetire, "the owner's word");
    }

    #[test]
    fn without_verdicts_nothing_is_taken_from_a_machine() {
        let (kettle, in_place) = (kettle(), ["no-kettle".to_owned()].into());
        let state = |in_place: &BTreeSet<String>, holds| {
            let facts = MitigationFacts {
                issued: Some(vec![&kettle]),
                cves: &CveList { schema: 1, basis: "livepatches".into(), cves: vec![] },
                decided: &BTreeMap::new(),
                by_policy: true,
                in_place,
                holds: &|_, _| holds,
            };
            list(&facts).mitigations[0].state
        };
        assert_eq!(state(&in_place, true), InForce);
        assert_eq!(state(&in_place, false), Wanted);
        assert_eq!(state(&BTreeSet::new(), false), NotNeeded, "and nothing is done to it");
    }

    #[test]
    fn a_vulnerability_is_harmless_only_while_the_mitigation_holds() {
        let status = |state| {
            let status = MitigationStatus {
                name: "no-kettle".into(),
                state,
                sentence: String::new(),
                next_step: "livepatch mitigation apply no-kettle".into(),
                measures: Vec::new(),
                issued: Some(kettle()),
            };
            MitigationList { schema: 1, mitigations: vec![status] }
        };
        let after = |known, state| with_mitigations(cves(known), &status(state)).cves.remove(0);
        assert_eq!(after(CveState::NeedsReboot, InForce).state, CveState::Mitigated);
        for waiting in [Offered, Wanted, ToRetire] {
            assert_eq!(after(CveState::Open, waiting).state, CveState::Open);
        }
        assert!(after(CveState::Open, Offered).sentence.contains("`livepatch mitigation apply no-kettle`"));
        assert_eq!(after(CveState::Livepatched, InForce).state, CveState::Livepatched);
    }
}

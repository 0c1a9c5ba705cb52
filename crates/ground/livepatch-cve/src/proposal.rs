//! A priority proposed by rules. Each rule has a name and one reason; a person decides.

use crate::Priority;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The rules, in the order in which they are asked; the first that applies proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleName {
    /// Anybody on the network takes the machine over.
    RemoteTakeover,
    /// It is used in attacks (CISA's list).
    KnownExploited,
    /// Attacks are likely soon (EPSS).
    LikelyExploited,
    /// Needs to touch the machine, or a radio neighbour's hardware.
    PhysicalAccess,
    /// Only those who already command the machine can use it.
    NeedsPrivilege,
    /// Anybody on the network stops the machine.
    RemoteStop,
    /// A local user takes the machine over.
    LocalTakeover,
    /// The victim must help.
    NeedsVictim,
    /// A local user stops the machine or reads its secrets.
    LocalHarm,
    /// Part of the effect at most.
    LittleHarm,
    /// No effect on secrecy, integrity or availability.
    NoHarm,
}

/// A proposed priority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// What the rule proposes.
    pub priority: Priority,
    /// The rule.
    pub rule: RuleName,
    /// Why, as a sentence that a reviewer can keep.
    pub reason: &'static str,
}

/// What the rules look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signals<'a> {
    /// A CVSS vector of version 3.0, 3.1 or 4.0.
    pub cvss: Option<&'a str>,
    /// It is in CISA's list of known exploited vulnerabilities.
    pub exploited: bool,
    /// EPSS: the chance, from 0 to 1, that it is exploited within 30 days.
    pub epss: Option<f64>,
}

/// The one in a hundred: EPSS publishes that a tenth of all CVEs is above 0.1 and about one in a hundred above this.
const LIKELY: f64 = 0.5;

/// Proposes a priority; none when there is nothing to go by.
pub fn propose(signals: Signals<'_>) -> Option<Proposal> {
    let metrics = signals.cvss.and_then(Metrics::parse);
    RULES
        .iter()
        .find(|(rule, ..)| applies(*rule, &signals, metrics.as_ref()))
        .map(|(rule, priority, reason)| Proposal { priority: *priority, rule: *rule, reason })
}

const RULES: [(RuleName, Priority, &str); 11] = [
    (
        RuleName::RemoteTakeover,
        Priority::Critical,
        "Anybody who reaches the machine over the network takes it over, without an account and without help.",
    ),
    (RuleName::KnownExploited, Priority::High, "It is exploited in real attacks."),
    (RuleName::LikelyExploited, Priority::High, "Attacks within 30 days are more likely than not (EPSS)."),
    (RuleName::PhysicalAccess, Priority::Low, "The attacker must touch the machine."),
    (RuleName::NeedsPrivilege, Priority::Low, "Only somebody who already has high privileges can use it."),
    (
        RuleName::RemoteStop,
        Priority::High,
        "Anybody who reaches the machine over the network stops it, without an account and without help.",
    ),
    (RuleName::LocalTakeover, Priority::High, "A local user without privileges takes the machine over."),
    (RuleName::NeedsVictim, Priority::Low, "The victim has to take part."),
    (
        RuleName::LocalHarm,
        Priority::Medium,
        "A user with an account stops the machine or reads what is not theirs.",
    ),
    (RuleName::LittleHarm, Priority::Low, "Its effect is small."),
    (RuleName::NoHarm, Priority::Negligible, "It has no effect on secrecy, integrity or availability."),
];

fn applies(rule: RuleName, signals: &Signals<'_>, metrics: Option<&Metrics<'_>>) -> bool {
    let scored = |test: &dyn Fn(&Metrics<'_>) -> bool| metrics.is_some_and(test);
    match rule {
        RuleName::RemoteTakeover => {
            scored(&|m| m.unaided_remote() && m.is("AC", "L") && m.high("C") && m.high("I"))
        }
        RuleName::KnownExploited => signals.exploited,
        RuleName::LikelyExploited => signals.epss.is_some_and(|chance| chance >= LIKELY),
        RuleName::PhysicalAccess => scored(&|m| m.is("AV", "P")),
        RuleName::NeedsPrivilege => scored(&|m| m.is("PR", "H")),
        RuleName::RemoteStop => scored(&|m| m.unaided_remote() && m.is("AC", "L") && m.high("A")),
        RuleName::LocalTakeover => scored(&|m| m.unaided() && m.is("AC", "L") && m.high("C") && m.high("I")),
        RuleName::NeedsVictim => scored(&|m| !m.unaided()),
        RuleName::LocalHarm => scored(&|m| ["C", "I", "A"].iter().any(|of| m.high(of))),
        RuleName::LittleHarm => scored(&|m| ["C", "I", "A"].iter().any(|of| m.impact(of) != "N")),
        RuleName::NoHarm => metrics.is_some(),
    }
}

/// A CVSS vector's metrics (first.org, specifications of 3.1 and 4.0).
struct Metrics<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Metrics<'a> {
    /// None when it is no vector of version 3 or 4 with the base metrics.
    fn parse(vector: &'a str) -> Option<Self> {
        let vector = vector.split_whitespace().next()?;
        let mut parts = vector.split('/');
        let version = parts.next()?.strip_prefix("CVSS:")?;
        if !version.starts_with(['3', '4']) {
            return None;
        }
        let metrics = Self(parts.filter_map(|part| part.split_once(':')).collect());
        let has = |names: &[&str]| names.iter().all(|name| metrics.0.contains_key(name));
        let impacts = has(&["C", "I", "A"]) || has(&["VC", "VI", "VA"]);
        (impacts && has(&["AV", "AC", "PR", "UI"])).then_some(metrics)
    }

    fn is(&self, metric: &str, value: &str) -> bool {
        self.0.get(metric) == Some(&value)
    }

    /// The effect on `C`, `I` or `A` of the vulnerable system: version 4 puts a `V` before it.
    fn impact(&self, of: &str) -> &str {
        let four = self.0.iter().find(|(name, _)| name.strip_prefix('V') == Some(of));
        four.or_else(|| self.0.get_key_value(of)).map_or("N", |(_, value)| value)
    }

    fn high(&self, of: &str) -> bool {
        self.impact(of) == "H"
    }

    fn unaided(&self) -> bool {
        self.is("UI", "N")
    }

    fn unaided_remote(&self) -> bool {
        self.is("AV", "N") && self.is("PR", "N") && self.unaided()
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RemoteTakeover => "remote-takeover",
            Self::KnownExploited => "known-exploited",
            Self::LikelyExploited => "likely-exploited",
            Self::PhysicalAccess => "physical-access",
            Self::NeedsPrivilege => "needs-privilege",
            Self::RemoteStop => "remote-stop",
            Self::LocalTakeover => "local-takeover",
            Self::NeedsVictim => "needs-victim",
            Self::LocalHarm => "local-harm",
            Self::LittleHarm => "little-harm",
            Self::NoHarm => "no-harm",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(cvss: &str) -> Option<(RuleName, Priority)> {
        propose(Signals { cvss: Some(cvss), ..Signals::default() }).map(|found| (found.rule, found.priority))
    }

    #[test]
    fn each_rule_by_a_vector() {
        for (vector, name, priority) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", RuleName::RemoteTakeover, Priority::Critical),
            ("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", RuleName::PhysicalAccess, Priority::Low),
            ("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H", RuleName::NeedsPrivilege, Priority::Low),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", RuleName::RemoteStop, Priority::High),
            (
                "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H [7.8 HIGH]",
                RuleName::LocalTakeover,
                Priority::High,
            ),
            ("CVSS:3.1/AV:L/AC:L/PR:L/UI:R/S:U/C:H/I:H/A:H", RuleName::NeedsVictim, Priority::Low),
            ("CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:N/I:N/A:H", RuleName::LocalHarm, Priority::Medium),
            ("CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N", RuleName::LittleHarm, Priority::Low),
            ("CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:N/I:N/A:N", RuleName::NoHarm, Priority::Negligible),
            (
                "CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
                RuleName::LocalTakeover,
                Priority::High,
            ),
        ] {
            assert_eq!(rule(vector), Some((name, priority)), "{vector}");
        }
    }

    #[test]
    fn exploitation_outranks_a_mild_score() {
        let mild = Some("CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N");
        let found = propose(Signals { cvss: mild, exploited: true, epss: None });
        assert_eq!(found.map(|found| found.rule), Some(RuleName::KnownExploited));
        let found = propose(Signals { cvss: mild, exploited: false, epss: Some(0.7) });
        assert_eq!(found.map(|found| found.rule), Some(RuleName::LikelyExploited));
    }

    #[test]
    fn nothing_to_go_by() {
        assert_eq!(propose(Signals::default()), None);
        for vector in ["", "AV:N/AC:L", "CVSS:2.0/AV:N", "CVSS:3.1/AV:N", "CVSS:3.1"] {
            assert_eq!(rule(vector), None, "{vector}");
        }
    }
}

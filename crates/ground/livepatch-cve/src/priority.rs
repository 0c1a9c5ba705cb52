//! The five priorities, what each means, who decided one, and which are livepatched.

use crate::{CveId, RuleName};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// How bad a vulnerability is, by its effect on real installations. This is our own scale, no external score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Theoretical; not fixed on its own.
    Negligible,
    /// Hard to use, or little harm; fixed together with others.
    Low,
    /// A real problem for many people; fixed soon.
    Medium,
    /// A real problem for many in a default installation.
    High,
    /// Nearly everybody in a default installation, at once.
    Critical,
}

impl Priority {
    /// All, the least first.
    pub const ALL: [Self; 5] = [Self::Negligible, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// What the priority means: the qualification that a reviewer rates by.
    pub fn definition(self) -> &'static str {
        match self {
            Self::Negligible => {
                "Technically a security problem, but only in theory, in a very special situation, for almost no \
                 installation, or without real damage. Upstream tends not to backport the fix."
            }
            Self::Low => {
                "A security problem that is hard to exploit because of its environment, needs the victim's help, has a \
                 small install base, or does very little damage. Fixed when something more important causes an update, or \
                 when many such have built up."
            }
            Self::Medium => {
                "A real security problem, exploitable for many people: denial of service over the network, gaining the \
                 rights of another user. An update should come soon."
            }
            Self::High => {
                "A real problem, exploitable for many people in a default installation: serious remote denial of service, \
                 local root, loss of data."
            }
            Self::Critical => {
                "A world-burning problem, exploitable for nearly everybody in a default installation: remote root, massive \
                 loss of data."
            }
        }
    }

    /// The word for it, in lower case.
    pub fn word(self) -> &'static str {
        match self {
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// The text is not one of the five words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is no priority: negligible, low, medium, high or critical expected")]
pub struct PriorityError(pub String);

impl FromStr for Priority {
    type Err = PriorityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|priority| priority.word() == text);
        found.ok_or_else(|| PriorityError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A priority with its reason. A feed's rating names no reviewer; ours does ([`Rating::decided`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    /// The priority.
    pub priority: Priority,
    /// Why; empty when the source gives no reason.
    pub reason: String,
    /// The person who decided; none for a rating out of a feed.
    pub reviewer: Option<String>,
    /// When it was decided; none for a rating out of a feed.
    pub date: Option<Date>,
    /// The rule that proposed this priority, when the person followed a proposal.
    pub rule: Option<RuleName>,
}

/// A decision without what makes it one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecisionError {
    /// No reason.
    #[error("a rating needs a reason: write why this priority and no other")]
    NoReason,
    /// No reviewer.
    #[error("a rating is decided by a person: name the reviewer")]
    NoReviewer,
}

impl Rating {
    /// A person's decision.
    ///
    /// # Errors
    /// When the reason or the reviewer is blank.
    pub fn decided(
        priority: Priority,
        reason: &str,
        reviewer: &str,
        date: Date,
        rule: Option<RuleName>,
    ) -> Result<Self, DecisionError> {
        if reason.trim().is_empty() {
            return Err(DecisionError::NoReason);
        }
        if reviewer.trim().is_empty() {
            return Err(DecisionError::NoReviewer);
        }
        Ok(Self {
            priority,
            reason: reason.trim().to_owned(),
            reviewer: Some(reviewer.trim().to_owned()),
            date: Some(date),
            rule,
        })
    }

    /// A rating out of a feed.
    pub fn from_feed(priority: Priority, reason: String) -> Self {
        Self { priority, reason, reviewer: None, date: None, rule: None }
    }

    /// Whether a person of ours stands behind it.
    pub fn is_decided(&self) -> bool {
        self.reviewer.is_some()
    }
}

/// Which vulnerabilities a site livepatches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivepatchPolicy {
    /// Priorities that are livepatched.
    pub priorities: BTreeSet<Priority>,
    /// CVEs that are livepatched whatever their priority.
    #[serde(default)]
    pub named: BTreeSet<CveId>,
}

/// High and critical.
impl Default for LivepatchPolicy {
    fn default() -> Self {
        Self { priorities: [Priority::High, Priority::Critical].into(), named: BTreeSet::new() }
    }
}

impl LivepatchPolicy {
    /// Whether a vulnerability is to be livepatched; one without a priority only by name.
    pub fn covers(&self, id: CveId, priority: Option<Priority>) -> bool {
        self.named.contains(&id) || priority.is_some_and(|priority| self.priorities.contains(&priority))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn five_words_in_order() {
        assert!(Priority::Negligible < Priority::Low && Priority::High < Priority::Critical);
        for priority in Priority::ALL {
            assert_eq!(priority.word().parse::<Priority>().unwrap(), priority);
            assert!(priority.definition().ends_with('.'));
        }
        assert!("untriaged".parse::<Priority>().is_err());
    }

    #[test]
    fn a_decision_has_a_reason_and_a_person() {
        let day = date(2026, 11, 24);
        let decide = |reason, reviewer| Rating::decided(Priority::High, reason, reviewer, day, None);
        assert_eq!(decide(" ", "rk").unwrap_err(), DecisionError::NoReason);
        assert_eq!(decide("local root by default", "").unwrap_err(), DecisionError::NoReviewer);
        assert!(decide("local root by default", "rk").unwrap().is_decided());
        assert!(!Rating::from_feed(Priority::High, String::new()).is_decided());
    }

    #[test]
    fn the_default_policy() {
        let id: CveId = "CVE-2024-26740".parse().unwrap();
        let mut policy = LivepatchPolicy::default();
        assert!(policy.covers(id, Some(Priority::High)) && policy.covers(id, Some(Priority::Critical)));
        assert!(!policy.covers(id, Some(Priority::Medium)) && !policy.covers(id, None));
        policy.named.insert(id);
        assert!(policy.covers(id, None));
    }
}

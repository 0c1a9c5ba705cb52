//! One verdict: which evidence counts first.
//!
//! 1. An identifier that stands for no vulnerability affects nothing.
//! 2. The distribution's word about its package, when it says fixed or not affected.
//! 3. The kernel's own configuration and the files that were compiled into it: what is not there has no fault. They are facts
//!    about this very build, but who knows which options and files a fault needs is human; the distribution's word goes first
//!    where it is as definite.
//! 4. The upstream version that the build is made from, unless the distribution says that the package needs the fix.
//! 5. What can be done: a livepatch, a reason why there can be none, a mitigation.

use super::exposure::{Exposure, Stance};
use super::{KernelBuild, NotAffected, Pending, Verdict};
use crate::{Base, Name, UpstreamAnswer};
use livepatch_kernel::PackageVersion;
use std::collections::HashSet;

/// What can be done about a CVE in a family, beside a livepatch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Remedies<'a> {
    /// The builder's reason code, when there can be no livepatch.
    pub(super) refusal: Option<&'a Name>,
    /// A mitigation.
    pub(super) mitigation: Option<&'a Name>,
}

/// One CVE and one build, with all that bears on them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    /// The CVE.
    pub(super) exposure: &'a Exposure,
    /// What the distribution says of the build's family.
    pub(super) stance: Option<&'a Stance>,
    /// The build.
    pub(super) build: &'a KernelBuild,
    /// The upstream version that the build is made from.
    pub(super) base: Option<Base>,
    /// Whether the build is as new as the version that the stance names.
    pub(super) reached: bool,
    /// What can be done.
    pub(super) remedies: Remedies<'a>,
}

impl Case<'_> {
    /// The verdict; none when the distribution says that there is no such package.
    pub(super) fn decide(&self) -> Option<Verdict> {
        let Self { exposure, build, reached, .. } = *self;
        if exposure.void {
            return Some(not_affected(NotAffected::NoVulnerability, ""));
        }
        let mut first_safe = None;
        let mut open = Pending::NotTriaged;
        match self.stance {
            Some(Stance::Absent) => return None,
            Some(Stance::NotAffected { from: Some(from), .. }) if !reached => first_safe = Some(from.clone()),
            Some(Stance::NotAffected { why, evidence, .. }) => {
                return Some(Verdict::NotAffected { why: *why, evidence: evidence.clone() });
            }
            Some(Stance::Fixed(first) | Stance::Prepared { version: first, .. }) if reached => {
                return Some(Verdict::FixedInBuild { first: first.clone() });
            }
            Some(Stance::Fixed(first)) => first_safe = Some(first.clone()),
            Some(Stance::Prepared { otherwise, .. }) => open = *otherwise,
            Some(Stance::FixedSomewhere) => open = Pending::FixAvailable,
            Some(Stance::Open(why)) => open = *why,
            None => {}
        }
        if let Some(option) = left_out(&exposure.configuration, build.configuration.as_deref()) {
            return Some(Verdict::NotAffected { why: NotAffected::Configuration, evidence: option });
        }
        if let Some(file) = left_out(&exposure.files, build.files.as_deref()) {
            return Some(Verdict::NotAffected { why: NotAffected::NotBuilt, evidence: file });
        }
        // A package that is known to need the fix needs it whatever its version says; so does a build before the fixed one.
        let said_to_be_affected = first_safe.is_some() || open == Pending::Planned;
        if !said_to_be_affected && let Some(verdict) = self.by_base() {
            return Some(verdict);
        }
        Some(open_verdict(exposure, build, self.remedies, open, first_safe))
    }

    fn by_base(&self) -> Option<Verdict> {
        match self.exposure.upstream.as_ref()?.answer(self.base?) {
            UpstreamAnswer::NotYetIntroduced => {
                Some(not_affected(NotAffected::Version, "older than the fault"))
            }
            UpstreamAnswer::Fixed => {
                Some(not_affected(NotAffected::Version, "made from a version with the fix"))
            }
            UpstreamAnswer::Affected => None,
        }
    }
}

/// A verdict for a fault that the build has.
fn open_verdict(
    exposure: &Exposure,
    build: &KernelBuild,
    remedies: Remedies<'_>,
    why: Pending,
    first_safe: Option<PackageVersion>,
) -> Verdict {
    if let Some(version) = build.livepatched.get(&exposure.cve) {
        return Verdict::Livepatched { version: *version };
    }
    let mitigation = remedies.mitigation.cloned();
    match (remedies.refusal, mitigation) {
        (Some(reason), mitigation) => {
            Verdict::CannotBeLivepatched { reason: reason.clone(), first_safe, mitigation }
        }
        (None, Some(mitigation)) => Verdict::Mitigated { mitigation, first_safe },
        (None, None) => {
            let why = if first_safe.is_some() { Pending::FixAvailable } else { why };
            Verdict::Pending { why, first_safe }
        }
    }
}

fn not_affected(why: NotAffected, evidence: &str) -> Verdict {
    Verdict::NotAffected { why, evidence: Name::from(evidence) }
}

/// What the fault needs and the build does not have; none when it has any of it, or either is unknown.
fn left_out(needed: &[Name], present: Option<&HashSet<Name>>) -> Option<Name> {
    let present = present?;
    let missing = !needed.is_empty() && needed.iter().all(|need| !present.contains(need));
    missing.then(|| needed.first().cloned()).flatten()
}

//! Must the kernel be updated and the machine rebooted? The answer from sets of CVEs: what the kernel that boots next has
//! mended, against what the running kernel has, in its code and live; and from support windows. Pure.
//!
//! Where the repository has signed verdicts they decide. Where it has none, the fixes of the livepatches that it offers are
//! all that is known: then an answer about another kernel would be a guess, and is not given.

use crate::coverage::{KernelState, KernelStatus};
use livepatch_cve::verdict::{BuildNumber, Verdict, VerdictFile};
use livepatch_host::{InstalledKernel, NextBoot};
use livepatch_kernel::{KernelIdentity, KernelRelease, PackageVersion};
use livepatch_manifest::Manifest;
use serde::{Deserialize, Serialize};

/// The answer. Its numbers are the exit statuses of `livepatch kernel-upgrade-required`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UpgradeAnswer {
    /// Update where needed, and reboot.
    Required = 0,
    /// A reboot can wait.
    CanWait = 1,
    /// Not enough is known.
    CannotTell = 2,
}

/// What `livepatch kernel-upgrade-required --format json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Upgrade {
    /// Always 1.
    pub schema: u32,
    /// In a word.
    pub answer: UpgradeAnswer,
    /// One sentence.
    pub sentence: String,
    /// Every reason, for the answer or against a better one.
    pub reasons: Vec<UpgradeReason>,
    /// The running kernel.
    pub running: KernelRelease,
    /// The kernel that boots next; absent when that cannot be told.
    pub next_boot: Option<KernelRelease>,
    /// Why that one, or why it cannot be told.
    pub next_boot_why: String,
    /// What the answer rests on: `verdicts` (signed, complete) or `livepatches` (the fixes of what is offered).
    pub basis: String,
    /// What the owner should do.
    pub next_step: String,
}

/// A reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpgradeReason {
    /// Stable: `window-over`, `series-ended`, `cannot-be-livepatched`, `missing-fixes`, `livepatch-not-applied`,
    /// `next-boot-older`, `next-boot-unknown`, `no-verdicts`.
    pub code: String,
    /// One sentence.
    pub sentence: String,
    /// The CVEs that it is about.
    pub cves: Vec<String>,
}

/// What is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpgradeFacts<'a> {
    pub(crate) kernel: &'a KernelIdentity,
    pub(crate) coverage: &'a KernelStatus,
    /// The version of our livepatch in the kernel.
    pub(crate) applied: Option<u32>,
    /// What the repository offers for this build, greatest version first.
    pub(crate) offered: &'a [Manifest],
    pub(crate) next_boot: &'a NextBoot,
    pub(crate) installed: &'a [InstalledKernel],
    /// Signed verdicts of the running kernel's family.
    pub(crate) verdicts: Option<&'a VerdictFile>,
    /// The running kernel's flavour and architecture as verdict files name them.
    pub(crate) flavour: &'a str,
    pub(crate) architecture: &'a str,
}

/// Answers.
pub(crate) fn judge(facts: &UpgradeFacts<'_>) -> Upgrade {
    let mut reasons: Vec<UpgradeReason> = windows(facts.coverage).into_iter().collect();
    let next = match facts.next_boot {
        NextBoot::Kernel { release, .. } => Some(release),
        NextBoot::Uncertain { .. } => None,
    };
    let (next_boot_why, basis) = match facts.next_boot {
        NextBoot::Kernel { why, .. } | NextBoot::Uncertain { why } => {
            (why.clone(), if running_build(facts).is_some() { "verdicts" } else { "livepatches" })
        }
    };
    reasons.extend(unpatchable(facts));
    reasons.extend(not_applied(facts));
    reasons.extend(of_next_boot(facts, next));
    let answer = answer(&reasons);
    Upgrade {
        schema: 1,
        answer,
        sentence: sentence(answer, &reasons, next == Some(&facts.kernel.release)),
        next_step: next_step(answer, &reasons, next, facts),
        reasons,
        running: facts.kernel.release.clone(),
        next_boot: next.cloned(),
        next_boot_why,
        basis: basis.to_owned(),
    }
}

/// Reasons that leave no doubt; the others only say why it cannot be told.
const DECISIVE: [&str; 5] =
    ["window-over", "series-ended", "cannot-be-livepatched", "missing-fixes", "livepatch-not-applied"];

fn answer(reasons: &[UpgradeReason]) -> UpgradeAnswer {
    if reasons.iter().any(|reason| DECISIVE.contains(&reason.code.as_str())) {
        UpgradeAnswer::Required
    } else if reasons
        .iter()
        .any(|reason| ["next-boot-unknown", "no-verdicts"].contains(&reason.code.as_str()))
    {
        UpgradeAnswer::CannotTell
    } else {
        UpgradeAnswer::CanWait
    }
}

fn reason(code: &str, sentence: String, cves: Vec<String>) -> UpgradeReason {
    UpgradeReason { code: code.to_owned(), sentence, cves }
}

fn windows(coverage: &KernelStatus) -> Option<UpgradeReason> {
    let code = match coverage.state {
        KernelState::WindowOver => "window-over",
        KernelState::SeriesEnded => "series-ended",
        _ => return None,
    };
    Some(reason(code, coverage.sentence.clone(), Vec::new()))
}

/// The running build in the verdict file.
fn running_build<'a>(facts: &UpgradeFacts<'a>) -> Option<(BuildNumber, &'a PackageVersion)> {
    let version = facts.coverage.package_version.as_ref()?;
    let build = facts.verdicts?.build(version, facts.flavour, facts.architecture)?;
    Some((build, version))
}

/// CVEs that the signed verdicts call impossible to livepatch in this build.
fn unpatchable(facts: &UpgradeFacts<'_>) -> Option<UpgradeReason> {
    let (file, (build, _)) = (facts.verdicts?, running_build(facts)?);
    let impossible = |verdict: &&Verdict| matches!(verdict, Verdict::CannotBeLivepatched { .. });
    let found = file.of_build(build).filter(|(_, verdict)| impossible(verdict));
    let cves: Vec<String> = found.map(|(cve, _)| cve.to_string()).collect();
    (!cves.is_empty()).then(|| {
        let sentence = format!(
            "{} cannot be mended by a livepatch",
            count(cves.len(), "vulnerability", "vulnerabilities")
        );
        reason("cannot-be-livepatched", sentence, cves)
    })
}

/// Fixes of offered livepatches that the kernel does not have.
fn not_applied(facts: &UpgradeFacts<'_>) -> Option<UpgradeReason> {
    let best =
        facts.offered.first().filter(|best| facts.applied.is_none_or(|version| version < best.version))?;
    let has =
        facts.applied.and_then(|version| facts.offered.iter().find(|offered| offered.version == version));
    let missing =
        best.fixes.iter().filter(|fix| !has.is_some_and(|has| has.fixes.iter().any(|own| own.id == fix.id)));
    let cves: Vec<String> = missing.map(|fix| fix.id.clone()).collect();
    (!cves.is_empty())
        .then(|| reason("livepatch-not-applied", format!("{} is offered and not applied", best.name), cves))
}

fn of_next_boot(facts: &UpgradeFacts<'_>, next: Option<&KernelRelease>) -> Option<UpgradeReason> {
    let Some(next) = next else {
        return Some(reason(
            "next-boot-unknown",
            "which kernel boots next cannot be told".to_owned(),
            Vec::new(),
        ));
    };
    if *next == facts.kernel.release {
        return same_release(facts);
    }
    if *next < facts.kernel.release && next.flavour() == facts.kernel.release.flavour() {
        let text =
            format!("{next}, which boots next, is older than the running kernel: a reboot would lose fixes");
        return Some(reason("next-boot-older", text, Vec::new()));
    }
    match missing_fixes(facts, next) {
        Some(cves) if cves.is_empty() => None,
        Some(cves) => {
            let what = count(cves.len(), "vulnerability", "vulnerabilities");
            Some(reason("missing-fixes", format!("{next} mends {what} that this kernel still has"), cves))
        }
        None => {
            let text = format!("{next} boots next, and no signed verdicts say what it mends");
            Some(reason("no-verdicts", text, Vec::new()))
        }
    }
}

/// Distributions put a rebuilt kernel under the same release: then the package's version differs from what runs.
fn same_release(facts: &UpgradeFacts<'_>) -> Option<UpgradeReason> {
    let running = facts.coverage.package_version.as_ref()?;
    let installed = facts.installed.iter().find(|kernel| kernel.release == facts.kernel.release)?;
    let newer = installed.version.as_ref().filter(|version| *version > running)?;
    match missing_between(facts, newer) {
        Some(cves) if cves.is_empty() => None,
        Some(cves) => Some(reason(
            "missing-fixes",
            format!("the installed {newer} mends what {running} still has"),
            cves,
        )),
        None => Some(reason("no-verdicts", format!("{newer} is installed and {running} runs"), Vec::new())),
    }
}

fn missing_fixes(facts: &UpgradeFacts<'_>, next: &KernelRelease) -> Option<Vec<String>> {
    let installed = facts.installed.iter().find(|kernel| kernel.release == *next)?;
    missing_between(facts, installed.version.as_ref()?)
}

/// What a build of the family has mended and the running one has not, neither in its code nor live; none without verdicts
/// of both.
fn missing_between(facts: &UpgradeFacts<'_>, version: &PackageVersion) -> Option<Vec<String>> {
    let file = facts.verdicts?;
    let (running, _) = running_build(facts)?;
    let next = file.build(version, facts.flavour, facts.architecture)?;
    let live = |verdict: &Verdict| match verdict {
        Verdict::Livepatched { version } => facts.applied.is_some_and(|applied| applied >= *version),
        other => other.is_safe_unpatched(),
    };
    let open = file.of_build(running).filter(|(_, verdict)| !live(verdict));
    let mended = open.filter(|(cve, _)| file.get(*cve, next).is_some_and(Verdict::is_safe_unpatched));
    Some(mended.map(|(cve, _)| cve.to_string()).collect())
}

fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

fn sentence(answer: UpgradeAnswer, reasons: &[UpgradeReason], same: bool) -> String {
    let because = || reasons.iter().map(|reason| reason.sentence.as_str()).collect::<Vec<_>>().join("; ");
    match answer {
        UpgradeAnswer::Required => format!("the kernel must be updated: {}", because()),
        UpgradeAnswer::CannotTell => format!("whether a reboot is needed cannot be told: {}", because()),
        UpgradeAnswer::CanWait if same => {
            "no reboot is needed: the kernel that boots next is the one that runs".to_owned()
        }
        UpgradeAnswer::CanWait if reasons.is_empty() => {
            "a reboot can wait: what the next kernel mends is mended here".to_owned()
        }
        UpgradeAnswer::CanWait => format!("a reboot can wait: {}", because()),
    }
}

fn next_step(
    answer: UpgradeAnswer,
    reasons: &[UpgradeReason],
    next: Option<&KernelRelease>,
    facts: &UpgradeFacts<'_>,
) -> String {
    let has = |code: &str| reasons.iter().any(|reason| reason.code == code);
    let only_unapplied = reasons
        .iter()
        .all(|reason| !DECISIVE.contains(&reason.code.as_str()) || reason.code == "livepatch-not-applied");
    match answer {
        UpgradeAnswer::Required if only_unapplied => {
            "run `livepatch refresh --apply`; where that fails, update the kernel and reboot".to_owned()
        }
        UpgradeAnswer::Required if has("missing-fixes") => "reboot at your next chance".to_owned(),
        UpgradeAnswer::Required if next.is_some_and(|next| *next > facts.kernel.release) => {
            "reboot; the newer kernel is installed".to_owned()
        }
        UpgradeAnswer::Required => "install the newest kernel of your distribution and reboot".to_owned(),
        UpgradeAnswer::CanWait if has("next-boot-older") => {
            "before you reboot, make the boot loader choose the newest kernel".to_owned()
        }
        UpgradeAnswer::CanWait => "nothing".to_owned(),
        UpgradeAnswer::CannotTell if has("next-boot-unknown") => {
            "if a newer kernel was installed, plan a reboot; the boot loader's choice decides".to_owned()
        }
        UpgradeAnswer::CannotTell => {
            "plan a reboot with your next maintenance, or ask your operator to publish verdicts".to_owned()
        }
    }
}

#[cfg(test)]
mod tests;

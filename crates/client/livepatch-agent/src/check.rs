//! May this machine be livepatched? One finding for each thing that it takes, each with how to mend it. Pure.

use crate::{
    coverage::{KernelState, KernelStatus},
    secure_boot::{Prediction, SecureBootStatus},
    time_check::can_be_right,
};
use jiff::Timestamp;
use livepatch_host::{KernelConfig, LoadedLivepatch, Surroundings, TracingUser};
use livepatch_kernel::{KernelIdentity, Taint};
use serde::{Deserialize, Serialize};

/// What `livepatch check --format json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Eligibility {
    /// Always 1.
    pub schema: u32,
    /// Whether nothing stands in the way.
    pub eligible: bool,
    /// The running kernel.
    pub kernel: KernelIdentity,
    /// Every finding, in a fixed order.
    pub findings: Vec<Finding>,
}

/// One thing that livepatching takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// Stable: `container`, `livepatch-support`, `kernel-config`, `kernel-covered`, `module-loading`, `signing-key`,
    /// `other-livepatch`, `tracing`, `taint`, `memory`, `clock`.
    pub name: String,
    /// How it stands.
    pub result: FindingResult,
    /// One sentence.
    pub sentence: String,
    /// How to mend it; absent when there is nothing to mend.
    pub mend: Option<String>,
}

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FindingResult {
    /// Good.
    Good,
    /// Livepatching works, and something is worth knowing.
    Warning,
    /// Livepatching does not work.
    Bad,
    /// It cannot be told.
    Unknown,
}

/// What is known of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EligibilityFacts<'a> {
    pub(crate) kernel: &'a KernelIdentity,
    pub(crate) config: Option<&'a KernelConfig>,
    pub(crate) supports_livepatch: bool,
    pub(crate) surroundings: &'a Surroundings,
    pub(crate) coverage: &'a KernelStatus,
    pub(crate) secure_boot: &'a SecureBootStatus,
    pub(crate) taint: Taint,
    /// Livepatches in the kernel that are not this client's.
    pub(crate) foreign: &'a [LoadedLivepatch],
    /// Who traces functions that the newest offered livepatch replaces.
    pub(crate) tracing: &'a [TracingUser],
    pub(crate) now: Timestamp,
}

/// Options that livepatching takes (kernel/livepatch/Kconfig, and the consistency model's need to remove and identify code).
const OPTIONS: [&str; 5] =
    ["CONFIG_LIVEPATCH", "CONFIG_MODULES", "CONFIG_SYSFS", "CONFIG_KALLSYMS_ALL", "CONFIG_DYNAMIC_FTRACE"];
/// One of these makes stacks reliable; without them transitions wait for every task to leave the kernel by itself.
const RELIABLE_STACKS: [&str; 2] = ["CONFIG_HAVE_RELIABLE_STACKTRACE", "CONFIG_UNWINDER_ORC"];
/// A module, its verification and a TUF update; less than this risks the client's life in a memory shortage.
const MEMORY_KIB: u64 = 64 * 1024;

/// Looks at everything.
pub(crate) fn judge(facts: &EligibilityFacts<'_>) -> Eligibility {
    let findings = vec![
        container(facts),
        support(facts),
        configuration(facts),
        covered(facts),
        module_loading(facts),
        signing_key(facts),
        other_livepatch(facts),
        tracing(facts),
        taint(facts),
        memory(facts),
        clock(facts),
    ];
    Eligibility {
        schema: 1,
        eligible: findings.iter().all(|finding| finding.result != FindingResult::Bad),
        kernel: facts.kernel.clone(),
        findings,
    }
}

fn good(name: &str, sentence: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), result: FindingResult::Good, sentence: sentence.into(), mend: None }
}

fn not_good(
    name: &str,
    result: FindingResult,
    sentence: impl Into<String>,
    mend: impl Into<String>,
) -> Finding {
    Finding { name: name.to_owned(), result, sentence: sentence.into(), mend: Some(mend.into()) }
}

fn container(facts: &EligibilityFacts<'_>) -> Finding {
    match &facts.surroundings.container {
        None => good("container", "the machine has a kernel of its own"),
        Some(kind) => not_good(
            "container",
            FindingResult::Bad,
            format!("this is a container ({kind}): its kernel is its host's"),
            "enable livepatching on the host",
        ),
    }
}

fn support(facts: &EligibilityFacts<'_>) -> Finding {
    if facts.supports_livepatch {
        return good("livepatch-support", "the kernel can be livepatched (/sys/kernel/livepatch)");
    }
    not_good(
        "livepatch-support",
        FindingResult::Bad,
        "this kernel was built without CONFIG_LIVEPATCH",
        "boot a kernel with CONFIG_LIVEPATCH=y, such as your distribution's generic one",
    )
}

fn configuration(facts: &EligibilityFacts<'_>) -> Finding {
    let Some(config) = facts.config.filter(|config| !config.is_empty()) else {
        return not_good(
            "kernel-config",
            FindingResult::Unknown,
            "the kernel's configuration is not installed (/boot/config-RELEASE)",
            "nothing: what counts is tested when a livepatch is applied",
        );
    };
    let missing: Vec<&str> = OPTIONS.into_iter().filter(|option| !config.is_built_in(option)).collect();
    if !missing.is_empty() {
        let sentence = format!("the kernel lacks {}", missing.join(", "));
        return not_good(
            "kernel-config",
            FindingResult::Bad,
            sentence,
            "boot a kernel that has them built in",
        );
    }
    if !RELIABLE_STACKS.iter().any(|option| config.is_built_in(option)) {
        return not_good(
            "kernel-config",
            FindingResult::Warning,
            "the kernel has no reliable stack traces: applying may take long",
            "boot a kernel with CONFIG_UNWINDER_ORC (x86), where there is one",
        );
    }
    good("kernel-config", "the kernel is configured for livepatching")
}

fn covered(facts: &EligibilityFacts<'_>) -> Finding {
    let coverage = facts.coverage;
    let result = match coverage.state {
        KernelState::Supported => FindingResult::Good,
        KernelState::SupportedUntil if coverage.next_step == "nothing" => FindingResult::Good,
        KernelState::SupportedUntil | KernelState::NotCovered => FindingResult::Warning,
        KernelState::SeriesEnded | KernelState::WindowOver => FindingResult::Bad,
        KernelState::Unknown => FindingResult::Unknown,
    };
    let mend = (result != FindingResult::Good).then(|| coverage.next_step.clone());
    Finding { name: "kernel-covered".to_owned(), result, sentence: coverage.sentence.clone(), mend }
}

fn module_loading(facts: &EligibilityFacts<'_>) -> Finding {
    if facts.secure_boot.modules_allowed {
        return good("module-loading", "the kernel takes modules");
    }
    not_good(
        "module-loading",
        FindingResult::Bad,
        &*facts.secure_boot.sentence,
        &*facts.secure_boot.next_step,
    )
}

fn signing_key(facts: &EligibilityFacts<'_>) -> Finding {
    let secure_boot = facts.secure_boot;
    let result = match secure_boot.prediction {
        Prediction::Accepted => FindingResult::Good,
        Prediction::AcceptedWithTaint => FindingResult::Warning,
        Prediction::Refused => FindingResult::Bad,
        Prediction::Uncertain => FindingResult::Unknown,
    };
    let mend = (result != FindingResult::Good).then(|| secure_boot.next_step.clone());
    Finding { name: "signing-key".to_owned(), result, sentence: secure_boot.sentence.clone(), mend }
}

fn other_livepatch(facts: &EligibilityFacts<'_>) -> Finding {
    if facts.foreign.is_empty() {
        return good("other-livepatch", "no livepatch of another vendor is loaded");
    }
    let names: Vec<&str> = facts.foreign.iter().map(|livepatch| livepatch.name.as_str()).collect();
    not_good(
        "other-livepatch",
        FindingResult::Bad,
        format!("a livepatch of another vendor is loaded: {}", names.join(", ")),
        "disable the other vendor's client, and reboot or unload its livepatch",
    )
}

fn tracing(facts: &EligibilityFacts<'_>) -> Finding {
    if facts.tracing.is_empty() {
        return good("tracing", "nobody who can be seen traces a function that a livepatch replaces");
    }
    let users: Vec<String> = facts.tracing.iter().map(ToString::to_string).collect();
    let mend = if facts.tracing.iter().all(TracingUser::survives_livepatching) {
        "nothing: what hangs at a function's entry goes on firing"
    } else {
        "attach what is inside of a function again once the livepatch is applied; `livepatch config explain tracing_users`"
    };
    let sentence = format!("functions that a livepatch replaces are traced: {}", users.join(", "));
    not_good("tracing", FindingResult::Warning, sentence, mend)
}

/// Flags after which the kernel's own state is in doubt.
const SHAKEN: [u8; 5] = [1, 3, 4, 5, Taint::DIED];

fn taint(facts: &EligibilityFacts<'_>) -> Finding {
    let own = if facts.taint.has(Taint::LIVEPATCH) { facts.taint.from_livepatch() } else { Taint(0) };
    let flags: Vec<String> =
        facts.taint.since(own).flags().map(|flag| format!("{}: {}", flag.letter, flag.meaning)).collect();
    if flags.is_empty() {
        return good("taint", "the kernel is not tainted by anything but livepatches");
    }
    let shaken = facts.taint.flags().any(|flag| SHAKEN.contains(&flag.bit));
    let mend = if shaken {
        "reboot at your next chance: the kernel has been in trouble before"
    } else {
        "nothing: these do not keep livepatches out"
    };
    not_good("taint", FindingResult::Warning, format!("the kernel is tainted: {}", flags.join("; ")), mend)
}

fn memory(facts: &EligibilityFacts<'_>) -> Finding {
    match facts.surroundings.memory_available_kib {
        None => not_good(
            "memory",
            FindingResult::Unknown,
            "/proc/meminfo does not say how much memory is free",
            "nothing",
        ),
        Some(kib) if kib < MEMORY_KIB => not_good(
            "memory",
            FindingResult::Warning,
            format!("only {} MiB of memory are available", kib / 1024),
            "free some memory: 64 MiB are enough",
        ),
        Some(kib) => good("memory", format!("{} MiB of memory are available", kib / 1024)),
    }
}

fn clock(facts: &EligibilityFacts<'_>) -> Finding {
    if can_be_right(facts.now) {
        return good("clock", "the clock can be right");
    }
    not_good(
        "clock",
        FindingResult::Bad,
        format!("the clock says {}, which is before this program was written", facts.now),
        "set the clock: without it, out-of-date metadata cannot be told from current ones",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use livepatch_host::{Lockdown, TracingKind};

    struct Machine {
        config: Option<KernelConfig>,
        supports_livepatch: bool,
        surroundings: Surroundings,
        coverage: KernelStatus,
        secure_boot: SecureBootStatus,
        taint: Taint,
        foreign: Vec<LoadedLivepatch>,
        tracing: Vec<TracingUser>,
        now: Timestamp,
    }

    impl Machine {
        fn good() -> Self {
            let options: String =
                OPTIONS.iter().chain(&RELIABLE_STACKS).map(|option| format!("{option}=y\n")).collect();
            Self {
                config: Some(KernelConfig::parse(&options)),
                supports_livepatch: true,
                surroundings: Surroundings { memory_available_kib: Some(1 << 20), ..Surroundings::default() },
                coverage: KernelStatus {
                    state: KernelState::Supported,
                    sentence: "covered".into(),
                    next_step: "nothing".into(),
                    distribution: None,
                    package_version: None,
                    until: None,
                    days_left: None,
                },
                secure_boot: SecureBootStatus {
                    schema: 1,
                    efi: false,
                    secure_boot: None,
                    lockdown: Lockdown::None,
                    signatures_enforced: false,
                    modules_allowed: true,
                    certificates: Vec::new(),
                    prediction: Prediction::Accepted,
                    sentence: "known".into(),
                    next_step: "nothing".into(),
                },
                taint: Taint(0),
                foreign: Vec::new(),
                tracing: Vec::new(),
                now: "2026-11-24T12:00:00Z".parse().unwrap(),
            }
        }

        fn judge(&self) -> Eligibility {
            let kernel = KernelIdentity {
                release: "6.1.0-55-cloud-amd64".parse().unwrap(),
                build_id: "ab".repeat(20).parse().unwrap(),
                arch: "x86_64".into(),
            };
            judge(&EligibilityFacts {
                kernel: &kernel,
                config: self.config.as_ref(),
                supports_livepatch: self.supports_livepatch,
                surroundings: &self.surroundings,
                coverage: &self.coverage,
                secure_boot: &self.secure_boot,
                taint: self.taint,
                foreign: &self.foreign,
                tracing: &self.tracing,
                now: self.now,
            })
        }

        /// Names of what is not good.
        fn complaints(&self) -> (bool, Vec<String>) {
            let found = self.judge();
            let bad = found.findings.iter().filter(|finding| finding.result != FindingResult::Good);
            let names = bad.map(|finding| format!("{} {:?}", finding.name, finding.result)).collect();
            (found.eligible, names)
        }
    }

    #[test]
    fn nothing_stands_in_the_way() {
        assert_eq!(Machine::good().complaints(), (true, vec![]));
    }

    #[test]
    fn each_obstacle_is_named_and_can_be_mended() {
        type Change = fn(&mut Machine);
        let cases: [(Change, &str, bool); 13] = [
            (|m| m.surroundings.container = Some("lxc".into()), "container Bad", false),
            (|m| m.supports_livepatch = false, "livepatch-support Bad", false),
            (|m| m.config = Some(KernelConfig::parse("CONFIG_LIVEPATCH=y\n")), "kernel-config Bad", false),
            (|m| m.config = None, "kernel-config Unknown", true),
            (|m| m.coverage.state = KernelState::WindowOver, "kernel-covered Bad", false),
            (|m| m.coverage.state = KernelState::NotCovered, "kernel-covered Warning", true),
            (|m| m.secure_boot.modules_allowed = false, "module-loading Bad", false),
            (|m| m.secure_boot.prediction = Prediction::Refused, "signing-key Bad", false),
            (|m| m.taint = Taint(1 << 7), "taint Warning", true),
            (|m| m.surroundings.memory_available_kib = Some(1000), "memory Warning", true),
            (|m| m.now = Timestamp::UNIX_EPOCH, "clock Bad", false),
            (
                |m| {
                    let (function, detail) = ("fifo_open".to_owned(), "+0x10".to_owned());
                    m.tracing = vec![TracingUser { function, kind: TracingKind::KprobeInside, detail }];
                },
                "tracing Warning",
                true,
            ),
            (
                |m| {
                    let name = "kpatch_x".to_owned();
                    m.foreign =
                        vec![LoadedLivepatch { name, enabled: true, transition: false, objects: vec![] }];
                },
                "other-livepatch Bad",
                false,
            ),
        ];
        for (change, complaint, eligible) in cases {
            let mut machine = Machine::good();
            change(&mut machine);
            assert_eq!(machine.complaints(), (eligible, vec![complaint.to_owned()]));
            let mends = machine.judge().findings;
            assert!(
                mends.iter().all(|finding| finding.result == FindingResult::Good || finding.mend.is_some())
            );
        }
    }
}

//! The questions that anybody may ask, answered from the kernel, the firmware and the records. Nothing here changes
//! anything or talks to the network.

use crate::{
    advice::with_upgrade,
    check::{self, Eligibility, EligibilityFacts},
    config::{Config, MitigationPolicy},
    coverage::{self, CoverageFacts, KernelStatus, debian_architecture},
    cves::{self, CveFacts, CveList},
    decide::{applied_version, own_version},
    documents::{self, verdicts_name},
    facts::Snapshot,
    history::History,
    mitigations::{self, MitigationFacts, MitigationList, with_mitigations},
    records::MitigationDecisions,
    refusal::Refusal,
    secure_boot::{self, SecureBootStatus},
    state_dir::StateDir,
    status::{Status, known_manifest, patch_state, status_of},
    telemetry::CheckInPreview,
    upgrade::{self, Upgrade, UpgradeFacts},
    verify::Anchor,
};
use jiff::Timestamp;
use livepatch_cve::verdict::{VerdictFile, flavour_name};
use livepatch_host::{Host, InstalledKernel, KernelPackage, Surroundings, TracingUser};
use livepatch_kernel::KernelIdentity;
use livepatch_manifest::Manifest;
use livepatch_module::Certificate;

/// Whether the kernel will take a module signed by one of these certificates, as far as this process sees: the kernel shows its
/// keys to root alone, so root may know more than the daemon does.
pub fn look_at_secure_boot(
    host: &Host,
    kernel: &KernelIdentity,
    certificates: &[Certificate],
) -> SecureBootStatus {
    let enforcement = host.enforcement(host.kernel_config(kernel.release.as_str()).as_ref());
    secure_boot::judge(&host.firmware(), enforcement, &host.kernel_keys(), certificates)
}

/// The machine at one moment, for one question.
pub(crate) struct Answers<'a> {
    state: &'a StateDir,
    host: &'a Host,
    config: &'a Config,
    now: Timestamp,
    snapshot: Snapshot,
    package: Option<KernelPackage>,
    surroundings: Surroundings,
}

impl<'a> Answers<'a> {
    /// Reads what every answer needs.
    ///
    /// # Errors
    /// [`Refusal::State`], [`Refusal::Machine`].
    pub(crate) fn take(
        state: &'a StateDir,
        host: &'a Host,
        config: &'a Config,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            snapshot: Snapshot::take(state, host, config, now)?,
            package: host.kernel_package().ok(),
            surroundings: host.surroundings(),
            state,
            host,
            config,
            now,
        })
    }

    pub(crate) fn status(&self) -> Status {
        with_upgrade(status_of(&self.snapshot, self.config, self.coverage()), &self.upgrade())
    }

    pub(crate) fn coverage(&self) -> KernelStatus {
        coverage::judge(&CoverageFacts {
            kernel: &self.snapshot.kernel,
            package: self.package.as_ref(),
            surroundings: &self.surroundings,
            catalogue: &documents::catalogue(self.state),
            offered: !self.offered().is_empty(),
            today: coverage::day(self.now),
        })
    }

    /// What the repository offers for the running build, greatest version first.
    fn offered(&self) -> &[Manifest] {
        let catalogue = self.snapshot.catalogue.as_ref();
        let here = catalogue.filter(|catalogue| catalogue.build_id == self.snapshot.kernel.build_id);
        here.map_or(&[], |catalogue| &catalogue.livepatches)
    }

    fn applied(&self) -> Option<u32> {
        applied_version(&self.snapshot.facts(self.config))
    }

    fn verdicts(&self, installed: &[InstalledKernel]) -> Option<VerdictFile> {
        let name =
            verdicts_name(&self.snapshot.kernel, self.package.as_ref(), &self.surroundings, installed)?;
        documents::verdicts(self.state, &name)
    }

    pub(crate) fn upgrade(&self) -> Upgrade {
        let installed = self.host.installed_kernels();
        let architecture = debian_architecture(&self.snapshot.kernel.arch);
        upgrade::judge(&UpgradeFacts {
            kernel: &self.snapshot.kernel,
            coverage: &self.coverage(),
            applied: self.applied(),
            offered: self.offered(),
            next_boot: &self.host.next_boot(),
            installed: &installed,
            verdicts: self.verdicts(&installed).as_ref(),
            flavour: flavour_name(self.snapshot.kernel.release.flavour(), architecture),
            architecture,
        })
    }

    /// The vulnerabilities, with what mitigations do about them.
    pub(crate) fn cves(&self) -> CveList {
        with_mitigations(self.bare_cves(), &self.mitigations())
    }

    pub(crate) fn mitigations(&self) -> MitigationList {
        let name = verdicts_name(
            &self.snapshot.kernel,
            self.package.as_ref(),
            &self.surroundings,
            &self.host.installed_kernels(),
        );
        let family = name.as_deref().and_then(documents::family_of);
        let all = documents::mitigations(self.state);
        let decided = self.state.load::<MitigationDecisions>().ok().flatten().unwrap_or_default();
        mitigations::list(&MitigationFacts {
            issued: all.as_ref().zip(family).map(|(all, family)| all.of_family(family).collect()),
            cves: &self.bare_cves(),
            decided: &decided.decided,
            by_policy: self.config.mitigations == MitigationPolicy::Apply,
            in_place: &self.host.mitigations_in_place(),
            holds: &|mitigation, measure| self.host.holds(&mitigation.name, measure),
        })
    }

    /// The vulnerabilities, as if there were no mitigations.
    fn bare_cves(&self) -> CveList {
        let architecture = debian_architecture(&self.snapshot.kernel.arch);
        let own = self.snapshot.livepatches.iter().filter(|livepatch| livepatch.enabled);
        let own = own.max_by_key(|livepatch| own_version(&livepatch.name, &self.snapshot.kernel));
        cves::list(&CveFacts {
            applied: self.applied(),
            offered: self.offered(),
            in_kernel: own.and_then(|own| known_manifest(&self.snapshot, own)),
            verdicts: self.verdicts(&self.host.installed_kernels()).as_ref(),
            version: self.package.as_ref().and_then(|package| package.version.as_ref()),
            flavour: flavour_name(self.snapshot.kernel.release.flavour(), architecture),
            architecture,
        })
    }

    pub(crate) fn secure_boot(&self) -> SecureBootStatus {
        let anchor = self.state.trust_anchor().ok().flatten().and_then(|bytes| Anchor::parse(&bytes).ok());
        let certificates = anchor.map(|anchor| anchor.certificates).unwrap_or_default();
        look_at_secure_boot(self.host, &self.snapshot.kernel, &certificates)
    }

    /// Who traces what the newest offered livepatch replaces.
    fn tracing_users(&self) -> Vec<TracingUser> {
        let objects = self.offered().first().into_iter().flat_map(|manifest| &manifest.objects);
        let functions: Vec<&str> =
            objects.flat_map(|object| &object.functions).map(|function| function.name.as_str()).collect();
        if functions.is_empty() { Vec::new() } else { self.host.tracing_users(&functions) }
    }

    /// The certificates that sign livepatches, in PEM: public, and what an enrolment needs.
    pub(crate) fn certificates(&self) -> Vec<String> {
        let anchor = self.state.trust_anchor().ok().flatten().and_then(|bytes| Anchor::parse(&bytes).ok());
        let certificates = anchor.map(|anchor| anchor.certificates).unwrap_or_default();
        certificates.iter().map(|certificate| certificate.to_pem().to_owned()).collect()
    }

    pub(crate) fn eligibility(&self) -> Eligibility {
        let config = self.host.kernel_config(self.snapshot.kernel.release.as_str());
        let foreign = self.snapshot.livepatches.iter().filter(|livepatch| livepatch.enabled);
        let foreign =
            foreign.filter(|livepatch| own_version(&livepatch.name, &self.snapshot.kernel).is_none());
        check::judge(&EligibilityFacts {
            kernel: &self.snapshot.kernel,
            config: config.as_ref(),
            supports_livepatch: self.host.supports_livepatch(),
            surroundings: &self.surroundings,
            coverage: &self.coverage(),
            secure_boot: &self.secure_boot(),
            taint: self.snapshot.taint,
            foreign: &foreign.cloned().collect::<Vec<_>>(),
            tracing: &self.tracing_users(),
            now: self.now,
        })
    }

    pub(crate) fn history(&self) -> Result<History, Refusal> {
        Ok(self.state.load()?.unwrap_or_default())
    }

    pub(crate) fn check_in(&self) -> CheckInPreview {
        let state = patch_state(&self.snapshot.facts(self.config), self.snapshot.check.as_ref());
        self.config.telemetry.preview(&self.snapshot, state)
    }

    /// What a report for `canonical-livepatch status` needs beside the status.
    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    pub(crate) fn uptime(&self) -> std::time::Duration {
        self.snapshot.uptime
    }
}

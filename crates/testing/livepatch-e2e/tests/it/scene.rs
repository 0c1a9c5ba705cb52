//! What every scenario starts from: a server with the example's signing key trusted, and a machine with the client.

use livepatch_e2e::{Client, KernelState, Machine, Prepared, Programs, Site};
use livepatch_manifest::Manifest;
use livepatch_trust::{Lifetimes, Publisher};
use livepatch_vm::Output;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The tier that the machines of the scenarios are in.
pub(crate) const TIER: &str = "stable";

/// A stage for one scenario; everything goes with it.
pub(crate) struct Scene {
    pub(crate) programs: Programs,
    pub(crate) prepared: Prepared,
    pub(crate) directory: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let programs = Programs::find().unwrap();
        let prepared = Prepared::get(&programs).unwrap();
        Self { programs, prepared, directory: tempfile::tempdir().unwrap() }
    }

    /// The server, started on the scene's data; the first time with fresh keys and the example's certificate.
    pub(crate) fn site(&self) -> Site {
        self.site_trusting(&self.prepared.certificate())
    }

    /// The same with another certificate.
    pub(crate) fn site_trusting(&self, certificate: &Path) -> Site {
        self.started(certificate, Site::start)
    }

    /// As [`Scene::site`]; it tells machines of news, as servers do unless a test wants them silent.
    pub(crate) fn site_that_tells(&self) -> Site {
        self.site_with(&[])
    }

    /// As [`Scene::site`], with these arguments in the place of the silence.
    pub(crate) fn site_with(&self, more: &[&str]) -> Site {
        let start =
            |programs: &Programs, data: &Path, log: &Path| Site::start_with(programs, data, log, more);
        self.started(&self.prepared.certificate(), start)
    }

    /// The same, started as a scenario needs it.
    pub(crate) fn started(
        &self,
        certificate: &Path,
        start: impl FnOnce(&Programs, &Path, &Path) -> anyhow::Result<Site>,
    ) -> Site {
        let first = !self.data().exists();
        let site = start(&self.programs, &self.data(), &self.directory.path().join("server.log")).unwrap();
        if first {
            site.add_certificate(certificate).unwrap();
        }
        site
    }

    /// Another livepatch for the same kernel, trusted by machines that enrol from now on.
    pub(crate) fn livepatch(&self, site: &Site, patch: &str, version: u32) -> Prepared {
        let prepared = self.unpublished(patch, version);
        site.add_certificate(&prepared.certificate()).unwrap();
        prepared
    }

    /// Another livepatch for the same kernel, whose key nobody trusts.
    pub(crate) fn unpublished(&self, patch: &str, version: u32) -> Prepared {
        let patch = Path::new("crates/testing/livepatch-e2e/tests/patches").join(patch);
        self.that_mends("example-test", &patch, version)
    }

    /// One from the patch at this place in the workspace, said to mend this fault, whose key nobody trusts.
    pub(crate) fn that_mends(&self, fault: &str, patch: &Path, version: u32) -> Prepared {
        let patch = livepatch_e2e::workspace_root().join(patch);
        let fix = format!("{fault}=what the test needs");
        Prepared::of_patch(&self.programs, self.prepared.kernel.clone(), &patch, &fix, version).unwrap()
    }

    /// A machine with the kernel that the example was built for.
    pub(crate) fn machine(&self) -> Machine {
        let builder = Machine::builder(&self.prepared.kernel, self.directory.path().join("guest"));
        Machine::boot(builder, Client::Programs(&self.programs)).unwrap()
    }

    /// The repository's publisher, past the server and its checks. The server must be stopped: the keys are locked.
    pub(crate) fn publisher(&self, lifetimes: Lifetimes) -> Publisher {
        Publisher::open(&self.data().join("repository"), &self.data().join("keys"), lifetimes).unwrap()
    }

    /// Publishes the example past the server's checks.
    pub(crate) fn publish_unchecked(&self, module: &[u8], manifest: &Manifest) {
        let mut publisher = self.publisher(Lifetimes::default());
        publisher.stage(module, manifest, &[TIER.to_owned()]).unwrap();
        publisher.commit(std::time::SystemTime::now()).unwrap();
    }

    /// The server's data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("site")
    }
}

/// The command was refused with this code, the status says so too, the kernel is as it was, the daemon lives.
#[track_caller]
pub(crate) fn assert_refused(machine: &Machine, output: &Output, code: &str) {
    let said = format!("{}{}", output.stdout, output.stderr);
    assert_ne!(output.status, 0, "a refusal is no success: {said}");
    assert!(said.contains(code), "expected {code}: {said}\n{}", machine.daemon_log());
    let status = machine.status().unwrap();
    let known: Vec<&str> = ["/last_check/code", "/last_failure/code"]
        .iter()
        .filter_map(|path| status.pointer(path)?.as_str())
        .collect();
    assert!(known.contains(&code), "the status must name {code}: {status:#}");
    assert_untouched(machine);
}

/// No livepatch ever came near the kernel, and the machine does its work.
#[track_caller]
pub(crate) fn assert_untouched(machine: &Machine) {
    let state = machine.kernel_state().unwrap();
    assert!(state.is_untouched(), "the kernel was touched: {state:?}");
    assert!(!command_line(machine).contains("livepatched"));
    assert_eq!(machine.guest().oops(), None);
}

/// The example is in the kernel, whole, and works.
#[track_caller]
pub(crate) fn assert_applied(machine: &Machine, manifest: &Manifest, output: &Output) -> KernelState {
    let said = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(output.status, 0, "{said}\n{}", machine.daemon_log());
    let state = machine.kernel_state().unwrap();
    let [livepatch] = state.livepatches.as_slice() else {
        panic!("one livepatch expected: {state:?}\n{said}")
    };
    assert_eq!(livepatch.name, manifest.name);
    assert!(livepatch.enabled && !livepatch.transition, "{livepatch:?}");
    assert!(command_line(machine).ends_with(" livepatched"), "the patched function must run");
    state
}

/// What the patched function of the example writes.
pub(crate) fn command_line(machine: &Machine) -> String {
    machine.guest().read_file("/proc/cmdline").unwrap().trim_end().to_owned()
}

/// A field of the client's status.
pub(crate) fn field(machine: &Machine, pointer: &str) -> Value {
    machine.status().unwrap().pointer(pointer).cloned().unwrap_or_default()
}

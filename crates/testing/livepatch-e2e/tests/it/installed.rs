//! What the scenarios on a Debian system start from: a server, the client's package, and a machine that has neither.

use crate::{
    scene::{Scene, TIER},
    series_6_12::newest_offered,
};
use livepatch_e2e::{Builder, Machine, Prepared, Programs, Site, System, client_package};
use livepatch_vm::{CachedKernel, GuestBuilder};
use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// Software emulation on a busy host.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(120);

/// A stage with a Debian system.
pub(crate) struct Stage {
    pub(crate) scene: Scene,
    pub(crate) system: System,
    pub(crate) package: PathBuf,
}

impl Stage {
    /// On the kernel of the scenarios.
    pub(crate) fn new() -> Self {
        Self::of(Scene::new())
    }

    /// On the newest prepared kernel of a series, else on the newest that is offered.
    pub(crate) fn of_series(series: &str) -> Self {
        let programs = Programs::find().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let prepared = CachedKernel::all(&livepatch_vm::cache_directory())
            .into_iter()
            .map(|kernel| kernel.release)
            .rfind(|release| release.starts_with(&format!("{series}.")));
        let release = prepared.unwrap_or_else(|| {
            let release = newest_offered(series).unwrap();
            let log = directory.path().join("builder.log");
            Builder::new(&programs, log, &|_| {}).add_kernel(&release).unwrap();
            release
        });
        let prepared = Prepared::for_kernel(&programs, Some(&release)).unwrap();
        Self::of(Scene { programs, prepared, directory })
    }

    fn of(scene: Scene) -> Self {
        let directory = scene.directory.path();
        let package =
            client_package(&scene.programs.path(""), directory, &directory.join("package.log")).unwrap();
        let system = System::new(&scene.prepared.kernel, &directory.join("system")).unwrap();
        Self { scene, system, package }
    }

    /// The machine with the package, whose new livepatches are watched for this many seconds.
    pub(crate) fn install(&self, soak: u32) -> Machine {
        self.install_with(soak, |builder| builder, "true")
    }

    /// The same with other hardware, and a command to be run before the package comes.
    pub(crate) fn install_with(
        &self,
        soak: u32,
        more: impl FnOnce(GuestBuilder) -> GuestBuilder,
        prepare: &str,
    ) -> Machine {
        self.install_configured(&format!("soak_seconds = {soak}\n"), more, prepare)
    }

    /// The same with this configuration.
    pub(crate) fn install_configured(
        &self,
        configuration: &str,
        more: impl FnOnce(GuestBuilder) -> GuestBuilder,
        prepare: &str,
    ) -> Machine {
        let more = |builder: GuestBuilder| {
            more(builder).contents("/etc/livepatch/livepatchd.toml", 0o644, configuration)
        };
        self.system.install_with(&self.package, more, prepare).unwrap()
    }
}

/// Enrols the machine, and its livepatch is applied.
#[track_caller]
pub(crate) fn enable(machine: &Machine, site: &Site) {
    let output = machine.enable(&site.create_token(TIER).unwrap(), &site.guest_url()).unwrap();
    assert_eq!(output.status, 0, "{output:?}\n{}", machine.daemon_log());
}

/// Waits until the status says so.
#[track_caller]
pub(crate) fn wait_for_state(machine: &Machine, state: &str) {
    let start = Instant::now();
    loop {
        let status = machine.status().unwrap();
        if status["state"] == state {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{state} expected: {status:#}\n{}", machine.daemon_log());
        thread::sleep(Duration::from_millis(500));
    }
}

/// The names of the livepatches that are in the kernel and enabled.
pub(crate) fn in_kernel(machine: &Machine) -> Vec<String> {
    let state = machine.kernel_state().unwrap();
    assert!(
        state.livepatches.iter().all(|livepatch| livepatch.enabled && !livepatch.transition),
        "{state:?}"
    );
    state.livepatches.into_iter().map(|livepatch| livepatch.name).collect()
}

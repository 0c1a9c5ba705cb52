//! A Debian system that the client's package is installed on, as its owner would do it; it outlives its boots.

use crate::Machine;
use anyhow::{Context as _, Result, ensure};
use livepatch_vm::{CachedKernel, Disk, Exit, GuestBuilder, RootFileSystem};
use std::{
    cell::Cell,
    path::{Path, PathBuf},
    time::Duration,
};

/// `apt` by software emulation on a busy host.
const INSTALL: Duration = Duration::from_secs(300);
const SHUTDOWN: Duration = Duration::from_secs(120);
const PACKAGE: &str = "/root/livepatch.deb";

/// A machine that is off: its kernel and its disk.
pub struct System {
    kernel: CachedKernel,
    disk: Disk,
    directory: PathBuf,
    boots: Cell<u32>,
}

impl System {
    /// A fresh Debian system; disk and consoles go below `directory`.
    ///
    /// # Errors
    /// When there is no root file system and none can be made.
    pub fn new(kernel: &CachedKernel, directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let disk = RootFileSystem::get()?.disk(directory.join("root.qcow2"))?;
        Ok(Self { kernel: kernel.clone(), disk, directory: directory.to_owned(), boots: Cell::new(0) })
    }

    /// Boots it.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn boot(&self) -> Result<Machine> {
        self.boot_with(|builder| builder)
    }

    /// Boots it with something more than its disk.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn boot_with(&self, more: impl FnOnce(GuestBuilder) -> GuestBuilder) -> Result<Machine> {
        let number = self.boots.get() + 1;
        self.boots.set(number);
        let artefacts = self.directory.join(format!("boot-{number}"));
        let builder = Machine::builder(&self.kernel, artefacts).root_disk(&self.disk);
        Ok(Machine::with_package(more(builder).boot()?))
    }

    /// Boots it and installs the client's package with `apt`, which starts the daemon.
    ///
    /// # Errors
    /// When it does not come up, or `apt` fails.
    pub fn install(&self, package: &Path) -> Result<Machine> {
        self.install_with(package, |builder| builder, "")
    }

    /// As [`System::install`], on a machine with something more than its disk, after a command that prepares it.
    ///
    /// # Errors
    /// When it does not come up, or a command fails.
    pub fn install_with(
        &self,
        package: &Path,
        more: impl FnOnce(GuestBuilder) -> GuestBuilder,
        prepare: &str,
    ) -> Result<Machine> {
        let machine = self.boot_with(|builder| more(builder.file(package, PACKAGE, 0o644)))?;
        if !prepare.is_empty() {
            machine.guest().check(prepare, INSTALL)?;
        }
        // A configuration that is there already is the owner's.
        let apt = format!(
            "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
             -o Dpkg::Options::=--force-confold {PACKAGE} && sync"
        );
        machine.guest().check(&apt, INSTALL).context("the package cannot be installed")?;
        Ok(machine)
    }

    /// Shuts a machine of this system down in order and boots it again.
    ///
    /// # Errors
    /// When it hangs on the way down, or does not come up.
    pub fn reboot(&self, machine: Machine) -> Result<Machine> {
        self.shut_down(machine)?;
        self.boot()
    }

    /// Shuts a machine of this system down in order.
    ///
    /// # Errors
    /// When it hangs on the way down, or ends otherwise than by switching itself off.
    pub fn shut_down(&self, machine: Machine) -> Result<()> {
        let exit = machine.into_guest().shutdown_in_order(SHUTDOWN)?;
        ensure!(exit == Exit::PoweredOff, "the machine did not switch itself off: {exit:?}");
        Ok(())
    }

    /// Its kernel.
    pub fn kernel(&self) -> &CachedKernel {
        &self.kernel
    }
}

//! The machine owner's side: a guest with `livepatchd` and `livepatch` in it.

use crate::{KernelState, Programs};
use anyhow::{Context as _, Result};
use livepatch_vm::{CachedKernel, Guest, GuestBuilder, Output};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Enrolment, a TUF update and a transition, by software emulation on a busy host.
const CYCLE: Duration = Duration::from_secs(180);
const SHORT: Duration = Duration::from_secs(60);
const SOCKET: &str = "/run/livepatch/livepatchd.sock";
const DAEMON_LOG: &str = "/var/log/livepatchd.log";
const JOURNAL: &str = "journalctl --no-pager -q -o cat -b -u livepatchd";

/// How the client gets into the guest.
#[derive(Clone, Copy, Debug)]
pub enum Client<'a> {
    /// The programs as cargo built them.
    Programs(&'a Programs),
    /// An unpacked package, as its user would install it.
    Package(&'a Path),
}

/// A guest with the client installed and its daemon started.
pub struct Machine {
    guest: Guest,
    has_systemd: bool,
}

impl Machine {
    /// A guest of this kernel with the network on; add what the scenario needs.
    pub fn builder(kernel: &CachedKernel, artefacts: impl Into<PathBuf>) -> GuestBuilder {
        GuestBuilder::for_kernel(kernel).network(true).artefacts(artefacts)
    }

    /// Boots the guest and starts the daemon in it.
    ///
    /// # Errors
    /// When the guest does not boot or the daemon's socket does not appear.
    pub fn boot(builder: GuestBuilder, client: Client<'_>) -> Result<Self> {
        let builder = match client {
            Client::Programs(programs) => builder
                .program(programs.path("livepatchd"), "/usr/sbin/livepatchd")
                .program(programs.path("livepatch"), "/usr/bin/livepatch"),
            Client::Package(directory) => builder.tree(directory)?,
        };
        let machine = Self { guest: builder.boot()?, has_systemd: false };
        machine.start_daemon()?;
        Ok(machine)
    }

    /// A booted Debian system that has, or will get, the client's package.
    pub(crate) fn with_package(guest: Guest) -> Self {
        Self { guest, has_systemd: true }
    }

    /// Starts the daemon as its unit would: as root, with its state and runtime directories there.
    ///
    /// # Errors
    /// When its socket does not appear; the message holds its log.
    pub fn start_daemon(&self) -> Result<()> {
        self.guest
            .check("mkdir -p /var/lib/livepatch /run/livepatch && chmod 700 /var/lib/livepatch", SHORT)?;
        self.guest.spawn("exec /usr/sbin/livepatchd", DAEMON_LOG)?;
        let wait = format!("for _ in $(seq 300); do [ -S {SOCKET} ] && exit 0; usleep 100000; done; exit 1");
        if self.guest.check(&wait, SHORT).is_ok() {
            return Ok(());
        }
        anyhow::bail!("livepatchd did not open {SOCKET}:\n{}", self.daemon_log());
    }

    /// Ends the daemon and forgets the enrolment, as a fresh installation.
    ///
    /// # Errors
    /// When the guest does not answer.
    pub fn reset(&self) -> Result<()> {
        let command = format!("killall livepatchd; usleep 300000; rm -rf /var/lib/livepatch/* {SOCKET}");
        self.guest.check(&command, SHORT)?;
        self.start_daemon()
    }

    /// `livepatch enable TOKEN --server URL`.
    ///
    /// # Errors
    /// When the guest does not answer; the command's own failure is in the output.
    pub fn enable(&self, token: &str, url: &str) -> Result<Output> {
        self.livepatch(&format!("enable {token} --server {url}"))
    }

    /// Any `livepatch` command.
    ///
    /// # Errors
    /// When the guest does not answer.
    pub fn livepatch(&self, arguments: &str) -> Result<Output> {
        Ok(self.guest.run(&format!("/usr/bin/livepatch {arguments}"), CYCLE)?)
    }

    /// `livepatch status --format json`.
    ///
    /// # Errors
    /// When it does not give JSON. Its exit status is not judged: it stands for the state.
    pub fn status(&self) -> Result<Value> {
        let output = self.livepatch("status --format json")?;
        serde_json::from_str(&output.stdout)
            .with_context(|| format!("no status: {output:?}\n{}", self.daemon_log()))
    }

    /// What the guest's kernel says.
    ///
    /// # Errors
    /// When the guest does not answer.
    pub fn kernel_state(&self) -> Result<KernelState> {
        KernelState::read(&self.guest)
    }

    /// What the daemon logged.
    pub fn daemon_log(&self) -> String {
        if self.has_systemd {
            return self.guest.check(JOURNAL, SHORT).unwrap_or_default();
        }
        self.guest.read_file(DAEMON_LOG).unwrap_or_default()
    }

    /// The guest itself.
    pub fn guest(&self) -> &Guest {
        &self.guest
    }
    pub(crate) fn into_guest(self) -> Guest {
        self.guest
    }

    /// Cuts the power: what is not on a disk is lost.
    pub fn cut_power(self) {
        self.guest.cut_power();
    }
}

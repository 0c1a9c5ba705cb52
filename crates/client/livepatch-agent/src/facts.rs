//! Everything that the kernel and the records say at one moment.

use crate::{
    config::Config,
    decide::Facts,
    policy::{Circumstances, Policy},
    records::{
        Attempt, Blocked, Catalogue, Check, Complaints, Confirmed, Identity, Intent, Schedule, Spool, Undone,
    },
    refusal::Refusal,
    soak::KernelWords,
    state_dir::StateDir,
};
use jiff::Timestamp;
use livepatch_host::{Host, LoadedLivepatch, LoadedModule, ModeSetting};
use livepatch_kernel::{KernelIdentity, Taint};
use std::time::Duration;

/// The machine at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The running kernel.
    pub kernel: KernelIdentity,
    /// This boot.
    pub boot_id: String,
    /// Time since boot.
    pub uptime: Duration,
    /// The kernel's taint mask.
    pub taint: Taint,
    /// The kernel's livepatches.
    pub livepatches: Vec<LoadedLivepatch>,
    /// The kernel's modules.
    pub modules: Vec<LoadedModule>,
    /// The emergency switch.
    pub mode: ModeSetting,
    /// What the owner allows.
    pub(crate) policy: Policy,
    pub(crate) circumstances: Circumstances,
    pub(crate) identity: Option<Identity>,
    pub(crate) intent: Option<Intent>,
    pub(crate) catalogue: Option<Catalogue>,
    pub(crate) blocked: Blocked,
    pub(crate) undone: Option<Undone>,
    pub(crate) confirmed: Confirmed,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) check: Option<Check>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) spool: Spool,
    pub(crate) complaints: Complaints,
}

impl Snapshot {
    /// Reads everything.
    ///
    /// # Errors
    /// [`Refusal::State`], [`Refusal::Machine`].
    pub fn take(state: &StateDir, host: &Host, config: &Config, now: Timestamp) -> Result<Self, Refusal> {
        let mode = host.mode();
        let boot_id = host.boot_id()?;
        let attempt = state.load::<Attempt>()?.filter(|attempt| attempt.boot_id == boot_id);
        Ok(Self {
            kernel: host.kernel()?,
            boot_id,
            uptime: host.uptime()?,
            taint: host.taint()?,
            livepatches: host.livepatches()?,
            modules: host.modules()?,
            policy: config.policy(),
            circumstances: Circumstances::ordinary(now, mode.mode),
            mode,
            identity: state.load()?,
            intent: state.load()?,
            catalogue: state.load()?,
            blocked: state.load()?.unwrap_or_default(),
            undone: state.load()?,
            confirmed: state.load()?.unwrap_or_default(),
            attempt,
            check: state.load()?,
            schedule: state.load()?,
            spool: state.load()?.unwrap_or_default(),
            complaints: state.load()?.unwrap_or_default(),
        })
    }

    /// The same for the pure core; nothing is due.
    pub fn facts<'a>(&'a self, config: &Config) -> Facts<'a> {
        Facts {
            kernel: &self.kernel,
            boot_id: &self.boot_id,
            uptime: self.uptime,
            taint: self.taint,
            livepatches: &self.livepatches,
            modules: &self.modules,
            enabled: self.identity.is_some(),
            intent: self.intent.as_ref(),
            catalogue: self.catalogue.as_ref(),
            blocked: &self.blocked,
            undone: self.undone.as_ref(),
            confirmed: &self.confirmed,
            attempt: self.attempt.as_ref(),
            stuck_modules: &[],
            words: KernelWords::default(),
            policy: &self.policy,
            circumstances: &self.circumstances,
            crash_names_it: false,
            refresh_due: false,
            report_due: false,
            soak: config.soak(),
            transition_deadline: config.transition_deadline(),
        }
    }
}

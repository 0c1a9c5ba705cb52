//! The edge: what the agent changes and waits for, behind traits so that tests can stand in for a kernel and a clock.

use crate::{hooks::Hooks, service::Service};
use jiff::Timestamp;
use livepatch_host::{Host, LoadError, ModuleLoader};
use std::time::Duration;

/// Everything outside of the agent.
pub struct Environment {
    /// What the kernel shows.
    pub host: Host,
    /// What changes the kernel.
    pub kernel: Box<dyn KernelControl>,
    /// The server.
    pub service: Box<dyn Service>,
    /// The clock.
    pub clock: Box<dyn Clock>,
    /// Who is told of events.
    pub hooks: Hooks,
}

/// Changes the kernel; see [`ModuleLoader`], which is the real one.
pub trait KernelControl: Send {
    /// Loads a livepatch module.
    ///
    /// # Errors
    /// [`LoadError`]; the kernel is unchanged.
    fn load(&self, name: &str, module: &[u8]) -> Result<(), LoadError>;

    /// Starts the transition back.
    ///
    /// # Errors
    /// [`LoadError`].
    fn disable(&self, name: &str) -> Result<(), LoadError>;

    /// Removes a module.
    ///
    /// # Errors
    /// [`LoadError`].
    fn remove(&self, name: &str) -> Result<(), LoadError>;
}

impl KernelControl for ModuleLoader {
    fn load(&self, name: &str, module: &[u8]) -> Result<(), LoadError> {
        Self::load(self, name, module)
    }

    fn disable(&self, name: &str) -> Result<(), LoadError> {
        Self::disable(self, name)
    }

    fn remove(&self, name: &str) -> Result<(), LoadError> {
        Self::remove(self, name)
    }
}

/// Time.
pub trait Clock: Send {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Waits.
    fn sleep(&self, time: Duration);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// One line of a running operation, for whoever waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Stable: `check-in`, `check`, `fetch`, `verify`, `load`, `transition`, …
    pub name: &'static str,
    /// A sentence for people.
    pub text: String,
}

/// Takes the steps of a running operation.
pub trait Progress {
    /// One more step.
    fn step(&mut self, step: Step);
}

impl<F: FnMut(Step)> Progress for F {
    fn step(&mut self, step: Step) {
        self(step);
    }
}

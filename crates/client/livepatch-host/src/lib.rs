//! This machine, as its kernel shows it: identity, taint, livepatches, modules, tasks.
//!
//! Everything is read below a root directory that the caller names, so that tests use recorded trees. Nothing is
//! remembered: each call asks the kernel again. Only [`ModuleLoader`] changes anything, and no other crate of the
//! project calls the module-loading system calls or writes to `/sys/kernel/livepatch`.

mod error;
mod host;
mod livepatches;
mod loader;
mod modules;
mod tasks;

pub use error::HostError;
pub use host::Host;
pub use livepatches::{LivepatchObject, LoadedLivepatch};
pub use loader::{LoadError, ModuleLoader};
pub use modules::{LoadedModule, parse_modules};
pub use tasks::BlockingTask;

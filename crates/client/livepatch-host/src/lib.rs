//! This machine, as its kernel shows it: identity, taint, livepatches, modules, tasks, keys; and what it could boot next.
//!
//! Everything is read below a root directory that the caller names, so that tests use recorded trees. Nothing is
//! remembered: each call asks the kernel again. Only [`ModuleLoader`] changes the kernel, [`Host::request_enrolment`] EFI variables,
//! [`Host::put_in_force`] and [`Host::take_back`] what mitigations are made of, and no other crate of the
//! project calls the module-loading system calls or writes to `/sys/kernel/livepatch`.

mod efi;
mod enforcement;
mod error;
mod grub;
mod host;
mod incident;
mod installed;
mod kernel_config;
mod kernel_log;
mod kernel_package;
mod keyring;
mod livepatches;
mod loader;
mod mitigation;
mod mode;
mod modules;
mod mok;
mod network;
mod next_boot;
mod pstore;
mod surroundings;
mod tasks;
mod tracing_users;

pub use efi::{Firmware, certificates};
pub use enforcement::{Enforcement, Lockdown};
pub use error::HostError;
pub use host::Host;
pub use incident::{Blame, Frame, Incident, IncidentKind, find_incidents};
pub use installed::InstalledKernel;
pub use kernel_config::KernelConfig;
pub use kernel_log::{KernelLog, LogPart, LogRecord, parse_log};
pub use kernel_package::KernelPackage;
pub use keyring::{KernelKey, KernelKeys};
pub use livepatches::{LivepatchObject, LoadedLivepatch};
pub use loader::{LoadError, ModuleLoader};
pub use mitigation::MitigationFault;
pub use mode::{Mode, ModeSetting};
pub use modules::{LoadedModule, parse_modules};
pub use mok::EnrolmentError;
pub use next_boot::NextBoot;
pub use pstore::CrashLog;
pub use surroundings::Surroundings;
pub use tasks::BlockingTask;
pub use tracing_users::{TracingKind, TracingUser, parse_enabled_functions, parse_kprobes};

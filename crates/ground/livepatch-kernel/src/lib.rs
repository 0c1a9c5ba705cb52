//! What a kernel is: its release string, its package version, its build id, its flavour and its taint.
//!
//! Pure: no I/O, no clock. Everything that names a kernel in the project goes through these types, since a release
//! string alone does not identify the code that runs (a module for 6.1.0-55-cloud loads on 6.1.0-56-cloud): the GNU
//! build id does.

mod build_id;
mod identity;
mod release;
mod taint;
mod version;

pub use build_id::{BuildId, BuildIdError};
pub use identity::KernelIdentity;
pub use release::{KernelRelease, ReleaseError};
pub use taint::{Taint, TaintFlag};
pub use version::{PackageVersion, VersionError};

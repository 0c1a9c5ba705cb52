//! The full name of a kernel.

use crate::{BuildId, KernelRelease};
use serde::{Deserialize, Serialize};

/// A kernel as machine, server and livepatch name it. Two kernels are the same only when the build ids are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub struct KernelIdentity {
    /// `uname -r`.
    pub release: KernelRelease,
    /// The GNU build id of the image.
    pub build_id: BuildId,
    /// `uname -m`, such as `x86_64`.
    pub arch: String,
}

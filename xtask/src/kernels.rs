//! Which kernels the package index offers whole: image, headers, debug symbols and matching source.

use crate::apt;
use anyhow::Result;
use livepatch_kernel::KernelRelease;
use livepatch_vm::{CachedKernel, cache_directory};

/// The source package of the kernels that we start with.
pub(crate) const SOURCE: &str = "linux-source-6.1";
const IMAGE_PREFIX: &str = "linux-image-6.1.0-";
const FLAVOUR: &str = "-cloud-amd64";

/// A kernel that can be fetched whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    /// `6.1.0-55-cloud-amd64`.
    pub(crate) release: String,
    /// Version of its packages, such as `6.1.192-1`.
    pub(crate) version: String,
}

/// The version with which every package of this kernel is offered; none when one of them is not there.
///
/// # Errors
/// When apt-cache cannot be run.
pub(crate) fn offered_version(release: &str) -> Result<Option<String>> {
    let sources = apt::versions(SOURCE)?;
    let images = apt::versions(&format!("linux-image-{release}"))?;
    let debug = apt::versions(&format!("linux-image-{release}-dbg"))?;
    let headers = apt::versions(&format!("linux-headers-{release}"))?;
    Ok(images
        .into_iter()
        .find(|version| [&sources, &debug, &headers].iter().all(|list| list.contains(version))))
}

/// The newest kernel of the cloud flavour that is offered whole.
///
/// # Errors
/// When apt-cache cannot be run.
pub(crate) fn newest_offered() -> Result<Option<Offered>> {
    let mut releases: Vec<KernelRelease> = apt::names(IMAGE_PREFIX)?
        .iter()
        .filter_map(|name| name.strip_prefix("linux-image-"))
        .filter(|release| release.ends_with(FLAVOUR))
        .filter_map(|release| release.parse().ok())
        .collect();
    releases.sort();
    for release in releases.into_iter().rev().map(|release| release.to_string()) {
        if let Some(version) = offered_version(&release)? {
            return Ok(Some(Offered { release, version }));
        }
    }
    Ok(None)
}

/// The newest kernel of the 6.1 series that is prepared already; the tests prefer it to a download. Tests about other
/// series choose theirs by themselves.
pub(crate) fn newest_prepared() -> Option<CachedKernel> {
    let release = IMAGE_PREFIX.trim_start_matches("linux-image-");
    CachedKernel::all(&cache_directory()).into_iter().rev().find(|kernel| kernel.release.starts_with(release))
}

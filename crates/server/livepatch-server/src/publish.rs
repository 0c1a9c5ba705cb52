//! What may be published. Pure: the module's bytes, its manifest, the registered certificates and what is published
//! already go in; a plan or a refusal comes out.

use crate::{Tiers, refusal::Refusal};
use livepatch_api::ErrorCode;
use livepatch_manifest::{Digest, Manifest};
use livepatch_module::{Certificate, Module};
use livepatch_trust::Published;

/// The only architecture that modules are built for.
const ARCH: &str = "x86_64";

/// What a publish request comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Publish to these tiers.
    Publish(Vec<String>),
    /// The very same is published already: the answer to the first request may have been lost.
    Repeated,
}

/// Splits the body of a publish request: a JSON line, then the module.
pub(crate) fn split_body(body: &[u8]) -> Result<(Manifest, String, &[u8]), Refusal> {
    #[derive(serde::Deserialize)]
    struct Header {
        manifest: serde_json::Value,
        tier: String,
    }
    let end = body.iter().position(|byte| *byte == b'\n');
    let end = end.ok_or_else(|| Refusal::invalid("the body must be one line of JSON, then the module"))?;
    let (line, module) = (&body[..end], &body[end + 1..]);
    let header: Header = serde_json::from_slice(line)
        .map_err(|error| Refusal::invalid(format!("the body's first line: {error}")))?;
    // Through the manifest's own reader, which checks more than the shape.
    let manifest = serde_json::to_vec(&header.manifest).map_err(|error| Refusal::internal(&error))?;
    let manifest =
        Manifest::parse(&manifest).map_err(|error| Refusal::invalid(crate::refusal::chain(&error)))?;
    Ok((manifest, header.tier, module))
}

/// Checks that the module is what its manifest says, and signed by a registered key.
pub(crate) fn check_module(
    module: &[u8],
    manifest: &Manifest,
    trusted: &[Certificate],
) -> Result<(), Refusal> {
    let (size, digest) = (module.len() as u64, Digest::of(module));
    if (size, &digest) != (manifest.module.size, &manifest.module.sha256) {
        return Err(Refusal::module(format!(
            "the manifest describes another file: it says {} bytes with digest {}, the module has {size} with {digest}; \
             sign the build again",
            manifest.module.size, manifest.module.sha256
        )));
    }
    let signer = livepatch_module::verify(module, trusted).map_err(|error| {
        Refusal::module(format!("{error}; livepatch-admin certificate add registers a certificate"))
    })?;
    let signer = hex::encode(signer.fingerprint);
    if manifest.module.signer.as_ref().map(Digest::as_str) != Some(signer.as_str()) {
        return Err(Refusal::module(format!(
            "the manifest must name the signer, {signer}: livepatch-build sign fills it in"
        )));
    }
    check_kernel(module, manifest)
}

/// The module's own word against the manifest's: name, kernel, and that it is a livepatch at all.
fn check_kernel(bytes: &[u8], manifest: &Manifest) -> Result<(), Refusal> {
    let refused = |what: &str, module: &str, manifest: &str| {
        Err(Refusal::module(format!("{what}: the module says '{module}', the manifest '{manifest}'")))
    };
    let module = Module::parse(bytes).map_err(|error| Refusal::module(error.to_string()))?;
    if !module.is_livepatch() {
        return Err(Refusal::module("the module is no livepatch: its modinfo lacks livepatch=Y"));
    }
    let name = module.name().map_err(|error| Refusal::module(error.to_string()))?;
    if name != manifest.name {
        return refused("name", name, &manifest.name);
    }
    let build_id = module.build_id().map(|id| id.to_string()).unwrap_or_default();
    if build_id != manifest.kernel.build_id.to_string() {
        return refused("kernel build id", &build_id, &manifest.kernel.build_id.to_string());
    }
    let release = module.release().map(|release| release.to_string()).unwrap_or_default();
    if release != manifest.kernel.release.as_str() {
        return refused("kernel release", &release, manifest.kernel.release.as_str());
    }
    // The kernel's own line ends in a blank; whether the manifest keeps it says nothing.
    let vermagic = module.vermagic().unwrap_or_default();
    if vermagic.trim_end() != manifest.module.vermagic.trim_end() {
        return refused("vermagic", vermagic, &manifest.module.vermagic);
    }
    if manifest.kernel.arch != ARCH {
        return refused("architecture", ARCH, &manifest.kernel.arch);
    }
    Ok(())
}

/// Checks the livepatch against the tiers and against what is published.
pub(crate) fn plan<'a>(
    manifest: &Manifest,
    tier: &str,
    tiers: &Tiers,
    mut published: impl Iterator<Item = &'a Published> + Clone,
) -> Result<Plan, Refusal> {
    let available = known_tier(tiers, tier)?;
    if let Some(same) = published.clone().find(|other| other.manifest.name == manifest.name) {
        let everywhere = available.iter().all(|tier| same.tiers.contains(tier));
        return match (same.manifest == *manifest, everywhere) {
            (true, true) => Ok(Plan::Repeated),
            (true, false) => Err(Refusal::conflict(format!(
                "{0} is published already; livepatch-admin promote {0} --to {tier} makes it available there",
                manifest.name
            ))),
            (false, _) => Err(Refusal::conflict(format!(
                "another livepatch named {} is published; build with a greater version",
                manifest.name
            ))),
        };
    }
    let newer = published.find(|other| {
        other.manifest.kernel.build_id == manifest.kernel.build_id
            && other.manifest.version >= manifest.version
    });
    if let Some(newer) = newer {
        return Err(Refusal::conflict(format!(
            "version {} is not greater than the published {} ({}); build with a greater version",
            manifest.version, newer.manifest.version, newer.manifest.name
        )));
    }
    Ok(Plan::Publish(available.to_vec()))
}

/// This tier and those before it.
pub(crate) fn known_tier<'a>(tiers: &'a Tiers, tier: &str) -> Result<&'a [String], Refusal> {
    let unknown =
        || Refusal::new(ErrorCode::Invalid, format!("there is no tier '{tier}'; the tiers are {tiers}"));
    tiers.up_to(tier).ok_or_else(unknown)
}

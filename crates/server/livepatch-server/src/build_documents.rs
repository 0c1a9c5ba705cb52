//! Whether a document of a build is about a module. Pure.

use crate::refusal::Refusal;
use livepatch_api::BuildDocumentKind;
use livepatch_manifest::{Digest, Manifest};
use serde_json::Value;

/// Checks that a document belongs to a published module: what names a module must name this one, as it was signed or as it
/// was before; patches must be those that the signed manifest names.
pub(crate) fn check(
    kind: BuildDocumentKind,
    text: &str,
    module: &[u8],
    manifest: &Manifest,
) -> Result<(), Refusal> {
    let of_another = |said: &str| {
        Err(Refusal::conflict(format!(
            "the {} is of another module than {}: it says {said}; hand in the one that stands beside the module",
            kind.as_str(),
            manifest.name
        )))
    };
    let body = livepatch_module::split(module).map_err(|error| Refusal::module(error.to_string()))?.body;
    let own = [manifest.module.sha256.to_string(), Digest::of(body).to_string()];
    match kind {
        BuildDocumentKind::Report | BuildDocumentKind::BootTest => {
            let said = read(kind, text)?;
            match said.get("module_sha256").and_then(Value::as_str) {
                Some(said) if own.iter().any(|own| own == said) => Ok(()),
                said => of_another(said.unwrap_or("none")),
            }
        }
        BuildDocumentKind::Provenance => {
            let said = read(kind, text)?;
            let subjects =
                said.get("subject").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let digests = subjects.iter().filter_map(|one| one.pointer("/digest/sha256")?.as_str());
            if digests.into_iter().any(|said| own.iter().any(|own| own == said)) {
                Ok(())
            } else {
                of_another("others")
            }
        }
        BuildDocumentKind::Patch => {
            let said = Digest::of(text.as_bytes());
            let is_own = said == manifest.provenance.patch_sha256;
            if is_own {
                Ok(())
            } else {
                of_another(&format!("{said}, and the manifest {}", manifest.provenance.patch_sha256))
            }
        }
        // A console names nothing.
        BuildDocumentKind::Console => Ok(()),
    }
}

fn read(kind: BuildDocumentKind, text: &str) -> Result<Value, Refusal> {
    let broken = |error: String| Refusal::invalid(format!("the {} cannot be read: {error}", kind.as_str()));
    let value: Value = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
    if value.is_object() { Ok(value) } else { Err(broken("it is no JSON object".to_owned())) }
}

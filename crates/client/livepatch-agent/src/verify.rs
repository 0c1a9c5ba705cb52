//! Whether a module may be handed to the kernel: digest, signature, and that it was built for this very kernel.
//!
//! The kernel checks none of this reliably (vermagic's release part is ignored with symbol versions, and without
//! enforcement a signature by any key is good enough), so all of it is checked here. Pure.

use crate::refusal::Refusal;
use livepatch_api::TrustAnchor;
use livepatch_kernel::KernelIdentity;
use livepatch_manifest::{Digest, Manifest};
use livepatch_module::{Certificate, Module, ModuleError, verify};
use livepatch_trust::PinnedOrigin;

/// The only schema of trust anchors that this client reads.
const ANCHOR_SCHEMA: u32 = 1;

/// A trust anchor that was read and understood.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// The TUF root document.
    pub tuf_root: String,
    /// The certificates whose keys may sign modules.
    pub certificates: Vec<Certificate>,
    /// Sites whose livepatches come through this server, which cannot alter them.
    pub origins: Vec<PinnedOrigin>,
}

impl Anchor {
    /// Reads the bytes that a token pinned.
    ///
    /// # Errors
    /// [`Refusal::TrustAnchorUnusable`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let unusable = |reason: String| Refusal::TrustAnchorUnusable(reason);
        let anchor: TrustAnchor =
            serde_json::from_slice(bytes).map_err(|error| unusable(error.to_string()))?;
        if anchor.schema != ANCHOR_SCHEMA {
            return Err(unusable(format!("it has schema {}: update this client", anchor.schema)));
        }
        let certificates = anchor.module_certificates.iter().map(|pem| Certificate::from_pem(pem));
        let certificates =
            certificates.collect::<Result<_, _>>().map_err(|error| unusable(error.to_string()))?;
        let origins = anchor.origins.into_iter().map(|origin| PinnedOrigin {
            id: origin.site,
            root: origin.tuf_root.into_bytes(),
            certificates: origin.certificates,
        });
        Ok(Self { tuf_root: anchor.tuf_root, certificates, origins: origins.collect() })
    }
}

/// Checks that these bytes are the livepatch that the manifest describes, signed by a trusted key, for this kernel.
///
/// # Errors
/// The first check that fails, in this order: kernel by the manifest, digest, signature, kernel by the module itself.
pub fn verify_module(
    bytes: &[u8],
    manifest: &Manifest,
    trusted: &[Certificate],
    running: &KernelIdentity,
) -> Result<(), Refusal> {
    check_manifest(manifest, running)?;
    let found = Digest::of(bytes);
    if found != manifest.module.sha256 {
        return Err(Refusal::ModuleAltered { expected: manifest.module.sha256.clone(), found });
    }
    let signer: String =
        verify(bytes, trusted)?.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    // Whose word counts for a livepatch depends on the certificate, so it must be the one that the manifest names.
    if manifest.module.signer.as_ref().is_some_and(|named| named.as_str() != signer) {
        return Err(Refusal::ModuleMalformed("it is signed by another key than its manifest names".into()));
    }
    check_module(bytes, manifest, running)
}

fn check_manifest(manifest: &Manifest, running: &KernelIdentity) -> Result<(), Refusal> {
    let kernel = &manifest.kernel;
    same("the manifest's build id", Some(&kernel.build_id), &running.build_id)?;
    same("the manifest's release", Some(&kernel.release), &running.release)?;
    same("the manifest's architecture", Some(&kernel.arch), &running.arch)
}

fn check_module(bytes: &[u8], manifest: &Manifest, running: &KernelIdentity) -> Result<(), Refusal> {
    let malformed = |error: ModuleError| Refusal::ModuleMalformed(error.to_string());
    let module = Module::parse(bytes).map_err(malformed)?;
    if !module.is_livepatch() {
        return Err(Refusal::ModuleMalformed("it is no livepatch module".into()));
    }
    let name = module.name().map_err(malformed)?;
    if name != manifest.name {
        return Err(Refusal::ModuleMalformed(format!("it is called {name} instead of {}", manifest.name)));
    }
    same("the module's build id", module.build_id().as_ref(), &running.build_id)?;
    same("the module's release", module.release().as_ref(), &running.release)?;
    let vermagic_release = module.vermagic().and_then(|vermagic| vermagic.split(' ').next());
    same("the module's vermagic", vermagic_release, running.release.as_str())
}

fn same<T: PartialEq + ToString + ?Sized>(
    what: &'static str,
    found: Option<&T>,
    running: &T,
) -> Result<(), Refusal> {
    if found == Some(running) {
        return Ok(());
    }
    Err(Refusal::WrongKernel {
        what,
        found: found.map_or_else(|| "missing".to_owned(), ToString::to_string),
        running: running.to_string(),
    })
}

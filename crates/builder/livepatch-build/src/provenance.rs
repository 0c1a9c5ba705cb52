//! Where a module comes from, as an in-toto statement with SLSA's provenance, beside the module.
//!
//! The forms are those of in-toto's Statement v1 (<https://in-toto.io/Statement/v1>) and SLSA's Provenance v1
//! (<https://slsa.dev/spec/v1.0/provenance>), so that tools which know nothing of livepatches can check it. It holds no
//! time and no path: the same input gives the same bytes.

use crate::kernel::{Kernel, Origin};
use crate::pipeline::{BuildError, Request, Source, file_error};
use livepatch_manifest::{Digest, Manifest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// File name of the provenance in a build folder.
pub const PROVENANCE: &str = "provenance.json";

/// The kind of statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The kind of predicate.
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// What the parameters mean: documented in this module's types.
const BUILD_TYPE: &str = "https://github.com/open-livepatch/open-livepatch/build/v1";
/// Who builds.
const BUILDER: &str = "https://github.com/open-livepatch/open-livepatch/livepatch-build";

/// An in-toto statement about a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
pub struct Statement {
    /// Always in-toto's Statement v1.
    #[serde(rename = "_type")]
    pub kind: String,
    /// The module; once it is signed, also as it was before (its name then ends in `.unsigned`).
    pub subject: Vec<Resource>,
    /// Always SLSA's provenance v1.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// How it was made.
    pub predicate: Predicate,
}

/// A file or package, by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
pub struct Resource {
    /// File name, path within the kernel's tree, or package name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Digests by algorithm: `sha256`; of a kernel image `gnuBuildId`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
}

/// SLSA's provenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicate {
    /// What was built from what.
    pub build_definition: BuildDefinition,
    /// By whom.
    pub run_details: RunDetails,
}

/// What was built from what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// How the parameters are to be understood.
    pub build_type: String,
    /// What the author chose.
    pub external_parameters: ExternalParameters,
    /// What follows from the kernel.
    pub internal_parameters: InternalParameters,
    /// Everything that went in: source package, touched files, patches, configuration, exports, kernel image.
    pub resolved_dependencies: Vec<Resource>,
}

/// What the author chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalParameters {
    /// Release of the kernel.
    pub kernel: String,
    /// Cumulative version.
    pub livepatch_version: u32,
    /// File names of the patches, in the order in which they apply.
    pub patches: Vec<String>,
    /// Livepatch sources in C: file name, and `=UNIT` for one that stands in a unit's place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// What they mend.
    pub fixes: Vec<String>,
    /// Findings that the author accepts: `CODE`, or `CODE:SUBJECT`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
}

/// What follows from the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InternalParameters {
    /// The compiler's own version line.
    pub compiler: String,
    /// Machine.
    pub architecture: String,
}

/// By whom it was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
pub struct RunDetails {
    /// The builder.
    pub builder: BuilderIdentity,
}

/// The builder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema, Deserialize)]
pub struct BuilderIdentity {
    /// Its name.
    pub id: String,
    /// Versions of what it consists of.
    pub version: BTreeMap<String, String>,
}

/// The statement about a module that was just built. `sources` are the touched files, as paths within the tree.
pub(crate) fn statement(
    kernel: &Kernel,
    request: &Request,
    manifest: &Manifest,
    sources: &BTreeSet<String>,
) -> Result<Statement, BuildError> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut dependencies = vec![source_package(kernel), image(kernel)];
    for path in &request.patches {
        dependencies.push(file(name(path), path)?);
    }
    for source in &request.sources {
        dependencies.push(file(name(&source.file), &source.file)?);
    }
    for inside in [".config", "Module.symvers"].into_iter().map(str::to_owned).chain(sources.iter().cloned())
    {
        let path = kernel.source().join(&inside);
        // A file that the patch adds is not in the tree.
        if path.is_file() {
            dependencies.push(file(inside, &path)?);
        }
    }
    let builder = BuilderIdentity {
        id: BUILDER.into(),
        version: BTreeMap::from([("livepatch-build".into(), env!("CARGO_PKG_VERSION").into())]),
    };
    Ok(Statement {
        kind: STATEMENT.into(),
        subject: vec![digested(manifest.file_name(), &manifest.module.sha256)],
        predicate_type: PREDICATE.into(),
        predicate: Predicate {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.into(),
                external_parameters: ExternalParameters {
                    kernel: kernel.identity.release.to_string(),
                    livepatch_version: request.version,
                    patches: request.patches.iter().map(|path| name(path)).collect(),
                    sources: request.sources.iter().map(source_parameter).collect(),
                    fixes: request.fixes.iter().map(|fix| fix.id.clone()).collect(),
                    accept: request.accept.iter().map(ToString::to_string).collect(),
                },
                internal_parameters: InternalParameters {
                    compiler: kernel.compiler_version.clone(),
                    architecture: kernel.identity.arch.clone(),
                },
                resolved_dependencies: dependencies,
            },
            run_details: RunDetails { builder },
        },
    })
}

impl Statement {
    /// The same statement about the signed module; the unsigned one stays as a second subject.
    pub(crate) fn signed(mut self, file_name: &str, signed: &Digest) -> Self {
        for subject in &mut self.subject {
            if subject.name.as_deref() == Some(file_name) {
                subject.name = Some(format!("{file_name}.unsigned"));
            }
        }
        self.subject.insert(0, digested(file_name.to_owned(), signed));
        self
    }

    /// Whether the statement is about a file with this name and digest.
    pub fn is_about(&self, file_name: &str, digest: &Digest) -> bool {
        self.subject.contains(&digested(file_name.to_owned(), digest))
    }

    /// Readable JSON, always the same for the same statement.
    ///
    /// # Errors
    /// None that a statement made here can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

fn source_parameter(source: &Source) -> String {
    let name = source.file.file_name().unwrap_or_default().to_string_lossy();
    source.unit.as_ref().map_or_else(|| name.clone().into_owned(), |unit| format!("{name}={unit}"))
}

fn digested(name: String, digest: &Digest) -> Resource {
    let digest = BTreeMap::from([("sha256".to_owned(), digest.to_string())]);
    Resource { name: Some(name), uri: None, digest }
}

fn file(name: String, path: &Path) -> Result<Resource, BuildError> {
    Ok(digested(name, &Digest::of(&std::fs::read(path).map_err(file_error(path))?)))
}

/// The package that the tree was unpacked from, with its digest where the package is at hand.
fn source_package(kernel: &Kernel) -> Resource {
    let digest = kernel.source_digest().map(|digest| ("sha256".to_owned(), digest.to_string()));
    let distribution = match kernel.origin {
        Origin::Debian => Some("debian"),
        Origin::Ubuntu => Some("ubuntu"),
        Origin::Tree { .. } => None,
    };
    let version = kernel.version.replace('%', "%25").replace('+', "%2B").replace(':', "%3A");
    let uri = distribution
        .map(|distribution| format!("pkg:deb/{distribution}/{}@{version}?arch=all", kernel.source_package));
    let name = match uri {
        Some(_) => kernel.source_package.clone(),
        // Where it stands is of no use to anybody else.
        None => "build tree".to_owned(),
    };
    Resource { name: Some(name), uri, digest: digest.into_iter().collect() }
}

fn image(kernel: &Kernel) -> Resource {
    let build_id = kernel.identity.build_id.to_string();
    Resource {
        name: Some("vmlinux".into()),
        uri: None,
        digest: BTreeMap::from([("gnuBuildId".to_owned(), build_id)]),
    }
}

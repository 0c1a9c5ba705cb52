//! What a livepatch module says about itself, whoever built it.

use livepatch_manifest::Digest;
use livepatch_module::{Module, ModuleError, TableForm, VerifyError, split, verify};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// An account of a module.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Inspection {
    /// Always 1.
    pub schema: u32,
    /// Name, as sysfs will have it.
    pub name: String,
    /// Whether it declares itself a livepatch.
    pub livepatch: bool,
    /// Who wrote its tables, when that is known.
    pub form: Option<Form>,
    /// Release that it was built for, from our own modinfo or from vermagic.
    pub release: Option<String>,
    /// Build id of the kernel that it was built for; only our own modules have it.
    pub build_id: Option<String>,
    /// Size of the file in bytes.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// What it does to each kernel object.
    pub objects: Vec<InspectedObject>,
    /// Its signature.
    pub signature: InspectedSignature,
    /// All strings of its modinfo, by key, in file order.
    pub modinfo: BTreeMap<String, Vec<String>>,
}

/// Who wrote the tables of a livepatch module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// `struct klp_patch` in C: ours, the kernel's samples, or written by hand.
    KlpPatch,
    /// kpatch.
    Kpatch,
    /// klp-build.
    KlpBuild,
}

/// What a module does to a kernel object.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct InspectedObject {
    /// `vmlinux` or a module's name.
    pub name: String,
    /// Functions that it replaces.
    pub functions: Vec<InspectedFunction>,
    /// Callbacks: which one, and its function.
    pub callbacks: Vec<InspectedCallback>,
    /// How many places the livepatch core patches in for it.
    pub relocations: usize,
    /// Symbols of the running kernel that these places refer to, as `OBJECT.NAME,POSITION`.
    pub symbols: Vec<String>,
}

/// A replaced function.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct InspectedFunction {
    /// Name in the running kernel.
    pub name: String,
    /// 0 when the name is unique in the object, else which of the symbols of that name, from 1.
    pub position: u64,
    /// Name of the new code in the module; empty when it has no symbol.
    pub new: String,
}

/// A callback.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct InspectedCallback {
    /// `pre_patch`, `post_patch`, `pre_unpatch` or `post_unpatch`.
    pub kind: String,
    /// The function.
    pub function: String,
}

/// A module's signature, as far as it can be read without a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum InspectedSignature {
    /// There is none.
    None,
    /// One that kernels take; whether it is right only the signer's certificate can tell.
    Signed {
        /// Issuer of the signer's certificate.
        issuer: String,
        /// Its serial number, in hexadecimal.
        serial: String,
    },
    /// One that cannot be read, or that not every supported kernel takes.
    Unusable {
        /// Why.
        reason: String,
    },
}

/// Reads a module.
///
/// # Errors
/// [`ModuleError`] when it is no module or damaged.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, ModuleError> {
    let module = Module::parse(bytes)?;
    let (form, objects) = objects(&module)?;
    let mut modinfo: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in module.modinfo_pairs() {
        modinfo.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    let from_vermagic = module.vermagic().and_then(|text| text.split(' ').next());
    let release = module.modinfo("livepatch_release").or(from_vermagic);
    Ok(Inspection {
        schema: 1,
        name: module.name()?.to_owned(),
        livepatch: module.modinfo("livepatch").is_some(),
        form,
        release: release.map(str::to_owned),
        build_id: module.modinfo("livepatch_build_id").map(str::to_owned),
        size: bytes.len() as u64,
        sha256: Digest::of(bytes),
        objects,
        signature: signature(bytes)?,
        modinfo,
    })
}

/// The objects of the tables, then those that have relocations only.
fn objects(module: &Module<'_>) -> Result<(Option<Form>, Vec<InspectedObject>), ModuleError> {
    let (form, mut objects) = match module.replacements()? {
        Some((form, tables)) => (Some(form), tables.iter().map(table).collect()),
        None => (None, Vec::new()),
    };
    let form = form.map(|form| match form {
        TableForm::KlpPatch => Form::KlpPatch,
        TableForm::Kpatch => Form::Kpatch,
        TableForm::KlpBuild => Form::KlpBuild,
    });
    for section in module.klp_relocations()? {
        let index = objects.iter().position(|object: &InspectedObject| object.name == section.object);
        let index = index.unwrap_or_else(|| {
            objects.push(InspectedObject { name: section.object.to_owned(), ..InspectedObject::default() });
            objects.len() - 1
        });
        let known: BTreeSet<String> = std::mem::take(&mut objects[index].symbols).into_iter().collect();
        let named = section
            .entries
            .iter()
            .map(|entry| format!("{}.{},{}", entry.symbol.object, entry.symbol.name, entry.symbol.position));
        objects[index].symbols =
            known.into_iter().chain(named).collect::<BTreeSet<_>>().into_iter().collect();
        objects[index].relocations += section.entries.len();
    }
    Ok((form, objects))
}

fn table(table: &livepatch_module::Replacements<'_>) -> InspectedObject {
    let function = |function: &livepatch_module::Replacement<'_>| InspectedFunction {
        name: function.name.to_owned(),
        position: function.position,
        new: function.new.to_owned(),
    };
    let callback = |&(kind, function): &(&str, &str)| InspectedCallback {
        kind: kind.to_owned(),
        function: function.to_owned(),
    };
    InspectedObject {
        name: table.object.to_owned(),
        functions: table.functions.iter().map(function).collect(),
        callbacks: table.callbacks.iter().map(callback).collect(),
        ..InspectedObject::default()
    }
}

/// Without a certificate every signer is unknown, and the error says who it is.
fn signature(bytes: &[u8]) -> Result<InspectedSignature, ModuleError> {
    if split(bytes).map_err(ModuleError::Signature)?.pkcs7.is_none() {
        return Ok(InspectedSignature::None);
    }
    Ok(match verify(bytes, &[]) {
        Err(VerifyError::UnknownKey { issuer, serial }) => InspectedSignature::Signed { issuer, serial },
        Err(error) => InspectedSignature::Unusable { reason: error.to_string() },
        Ok(signer) => {
            InspectedSignature::Unusable { reason: format!("unexpectedly trusted: {}", signer.subject) }
        }
    })
}

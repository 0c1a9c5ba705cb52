//! The difference between two objects by itself: what a livepatch made of them would hold, and what it would need.
//!
//! With a kernel, the distribution's own binary says where each needed symbol is. Without one, the original object is the
//! symbol table: it knows positions among its own symbols, and of all others only that they are elsewhere.

use crate::kernel::{Kernel, Vmlinux};
use crate::link::Symbols;
use crate::pipeline::{BuildError, file_error};
use crate::report::RefusalReport;
use livepatch_diff::reference::{Reference, Resolved, references};
use livepatch_diff::{
    Base, BaseError, Definition, Difference, Exports, Object, ObjectError, Owner, Refusal, Role, SymbolIndex,
    SymbolKind, Unit, entry_sizes_of,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// What differs between two objects.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DiffReport {
    /// Always 1.
    pub schema: u32,
    /// The machine that the objects are for, as `uname -m` says it.
    pub architecture: String,
    /// Existing functions that a livepatch would replace.
    pub changed: Vec<String>,
    /// New functions.
    pub added: Vec<String>,
    /// Functions that are gone.
    pub removed: Vec<String>,
    /// Data that the livepatch would carry.
    pub data: Vec<String>,
    /// What the livepatch core would patch in: each place once.
    pub klp_relocations: Vec<DiffRelocation>,
    /// Symbols of other objects that the code refers to and that need no livepatch relocation, or of which only the
    /// kernel could say whether they do.
    pub externals: Vec<String>,
    /// What forbids a livepatch.
    pub refusals: Vec<RefusalReport>,
}

/// A reference to something that only the running kernel has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct DiffRelocation {
    /// The function or object that refers to it; a section's name for data without one.
    pub from: String,
    /// Byte offset within that.
    pub offset: u64,
    /// Relocation type, as the machine's ELF supplement numbers it.
    pub kind: u32,
    /// `vmlinux` or the module that has the symbol.
    pub object: String,
    /// The symbol.
    pub name: String,
    /// 0 when its name is unique in the object, else which of the symbols of that name, from 1.
    pub position: u32,
    /// Name of the livepatch symbol: `.klp.sym.OBJECT.NAME,POSITION`.
    pub symbol: String,
}

/// Compares two objects, with the original as the symbol table. `object` is what the unit is linked into: `vmlinux`, or a
/// module.
///
/// # Errors
/// [`BuildError`] when they cannot be read or compared.
pub fn without_kernel(original: &[u8], patched: &[u8], object: &str) -> Result<DiffReport, BuildError> {
    let (original, patched) = (Object::read(original)?, Object::read(patched)?);
    let sizes = entry_sizes_of(&[&original, &patched]);
    let difference = Difference::new(&original, &patched, &sizes)?;
    let exported = |name: &str| {
        let mark = format!("__ksymtab_{name}");
        original.symbols.iter().any(|symbol| symbol.name == mark)
    };
    let owner = |name: &str, symbol: Option<SymbolIndex>| {
        let Some(symbol) = symbol else { return Some(Owner::Exported) };
        if exported(name) {
            return Some(Owner::Exported);
        }
        Some(Owner::Running { object: object.to_owned(), position: position(&original, symbol) })
    };
    Ok(report(&difference, owner))
}

/// Compares two objects for a prepared kernel. `object` is what the unit is linked into: `vmlinux`, or a module.
///
/// # Errors
/// [`BuildError`] when they cannot be read or compared, or the kernel has no such module.
pub fn with_kernel(
    kernel: &Kernel,
    original: &[u8],
    patched: &[u8],
    object: &str,
) -> Result<DiffReport, BuildError> {
    let (original, patched) = (Object::read(original)?, Object::read(patched)?);
    let difference = Difference::new(&original, &patched, &kernel.entry_sizes)?;
    let vmlinux = Vmlinux::open(&kernel.vmlinux())?;
    let image = vmlinux.image()?;
    let symvers = kernel.source().join("Module.symvers");
    let exports = Exports::parse(&std::fs::read_to_string(&symvers).map_err(file_error(&symvers))?);
    let not_built = |detail: String| {
        let source_file = original.file_name().unwrap_or("the unit").to_owned();
        RefusalReport::from(&Refusal::NotBuilt { source_file, detail })
    };
    let base = match object {
        "vmlinux" => Base::Image(&image),
        module => match kernel.module(module)? {
            Some(bytes) => Base::module(module, &bytes)?,
            None => {
                let mut report = report(&difference, |_, _| Some(Owner::Exported));
                report.refusals.push(not_built(format!("it has no module {module}")));
                return Ok(report);
            }
        },
    };
    let unit = match base.unit(&original) {
        Ok(unit) => unit,
        Err(BaseError::NoUnit { detail, .. }) => {
            let mut report = report(&difference, |_, _| Some(Owner::Exported));
            report.refusals.push(not_built(detail));
            return Ok(report);
        }
        Err(other) => return Err(ObjectError::Unusable(other.to_string()).into()),
    };
    let own: BTreeSet<String> = difference.added().map(|index| patched.symbols[index].name.clone()).collect();
    let symbols = Symbols { image: &image, exports: &exports, own: &own };
    let owner = |name: &str, symbol: Option<SymbolIndex>| {
        symbols.owner(&base, unit, name, symbol.map(|index| &original.symbols[index]))
    };
    let mut report = report(&difference, owner);
    report.refusals.extend(unproven(&base, unit, kernel, &difference)?);
    Ok(report)
}

/// Changed functions whose original is not what runs.
fn unproven(
    base: &Base<'_>,
    unit: Unit,
    kernel: &Kernel,
    difference: &Difference<'_>,
) -> Result<Vec<RefusalReport>, BuildError> {
    let original = difference.original;
    let proofs = base
        .prove_all(unit, original, &kernel.entry_sizes)
        .map_err(|error| ObjectError::Unusable(error.to_string()))?;
    let differs = proofs.into_iter().filter_map(|(index, proof)| match proof {
        livepatch_diff::Proof::Differs(what) => Some((index, what)),
        livepatch_diff::Proof::Identical { .. } => None,
    });
    Ok(differs
        .filter(|(index, _)| difference.changed.iter().any(|(changed, _)| changed == index))
        .map(|(index, what)| {
            let function = original.symbols[index].name.clone();
            RefusalReport::from(&what.refusal(function))
        })
        .collect())
}

/// Position among the original's own symbols of that name, in table order.
fn position(original: &Object, index: SymbolIndex) -> u32 {
    let name = &original.symbols[index].name;
    let namesakes: Vec<SymbolIndex> = (0..original.symbols.len())
        .filter(|&other| {
            let symbol = &original.symbols[other];
            symbol.name == *name && matches!(symbol.definition, Definition::Section(_))
        })
        .collect();
    let place = namesakes.iter().position(|&other| other == index).unwrap_or(0);
    if namesakes.len() < 2 { 0 } else { u32::try_from(place + 1).unwrap_or(u32::MAX) }
}

fn report(
    difference: &Difference<'_>,
    owner: impl Fn(&str, Option<SymbolIndex>) -> Option<Owner>,
) -> DiffReport {
    let (original, patched) = (difference.original, difference.patched);
    let old = |index: SymbolIndex| original.symbols[index].name.clone();
    let new = |index: SymbolIndex| patched.symbols[index].name.clone();
    let is_data = |index: &&SymbolIndex| patched.symbols[**index].kind != SymbolKind::Function;
    let mut report = DiffReport {
        schema: 1,
        architecture: original.architecture.name().to_owned(),
        changed: difference.changed.iter().map(|&(index, _)| old(index)).collect(),
        added: difference.added().map(new).collect(),
        removed: difference.removed.iter().map(|&index| old(index)).collect(),
        data: difference.included.iter().filter(is_data).map(|&index| new(index)).collect(),
        klp_relocations: Vec::new(),
        externals: Vec::new(),
        refusals: difference.refusals.iter().map(RefusalReport::from).collect(),
    };
    let (mut needed, mut externals) = (BTreeSet::new(), BTreeSet::new());
    for place in places(difference) {
        let Some((name, symbol)) = target(difference, &place) else { continue };
        match owner(&name, symbol) {
            Some(Owner::Running { object, position }) => {
                let symbol = format!(".klp.sym.{object}.{name},{position}");
                let kind = place.resolved.relocation.kind;
                let (from, offset) = (place.name, place.offset);
                needed.insert(DiffRelocation { from, offset, kind, object, name, position, symbol });
            }
            Some(Owner::Exported) => {
                externals.insert(name);
            }
            Some(Owner::Livepatch) => {}
            None => {
                let unknown = Refusal::UnknownSymbol { symbol: name, from: place.name };
                report.refusals.push(RefusalReport::from(&unknown));
            }
        }
    }
    report.klp_relocations = needed.into_iter().collect();
    report.externals = externals.into_iter().collect();
    report
}

/// A reference of something that the livepatch carries.
struct Place {
    from: Option<SymbolIndex>,
    name: String,
    offset: u64,
    resolved: Resolved,
}

fn places(difference: &Difference<'_>) -> Vec<Place> {
    let patched = difference.patched;
    let mut places = Vec::new();
    for &index in &difference.included {
        let symbol = &patched.symbols[index];
        let section = patched.section_of(index);
        for resolved in section.map_or_else(Vec::new, |at| references(patched, at, symbol.value, symbol.size))
        {
            let offset = resolved.relocation.offset - symbol.value;
            places.push(Place { from: Some(index), name: symbol.name.clone(), offset, resolved });
        }
        for entry in difference.tables.of(index) {
            for resolved in &entry.references {
                let (name, offset) =
                    (patched.sections[entry.section].name.clone(), resolved.relocation.offset);
                places.push(Place { from: Some(index), name, offset, resolved: *resolved });
            }
        }
    }
    for &(section, start, size) in &difference.pieces {
        for resolved in references(patched, section, start, size) {
            let (name, offset) = (patched.sections[section].name.clone(), resolved.relocation.offset);
            places.push(Place { from: None, name, offset, resolved });
        }
    }
    places
}

/// What a reference needs of the running kernel, with the original's symbol when it is one of this unit.
fn target(difference: &Difference<'_>, place: &Place) -> Option<(String, Option<SymbolIndex>)> {
    match place.resolved.reference {
        Reference::External(symbol, _) => Some((difference.patched.symbols[symbol].name.clone(), None)),
        Reference::Symbol(symbol, _) => match difference.role(place.from, &place.resolved, symbol) {
            Role::Original(original) => {
                Some((difference.original.symbols[original].name.clone(), Some(original)))
            }
            Role::Copy(_) => None,
        },
        Reference::Section(..) => None,
    }
}

/// Reads both objects and compares them.
///
/// # Errors
/// [`BuildError`] when a file cannot be read, or the objects cannot be compared.
pub fn of_files(
    kernel: Option<&Kernel>,
    original: &Path,
    patched: &Path,
    object: &str,
) -> Result<DiffReport, BuildError> {
    let read = |path: &Path| std::fs::read(path).map_err(file_error(path));
    let (original, patched) = (read(original)?, read(patched)?);
    match kernel {
        Some(kernel) => with_kernel(kernel, &original, &patched, object),
        None => without_kernel(&original, &patched, object),
    }
}

//! Proves that the compiled originals are what runs.

use crate::kernel::Kernel;
use crate::objects::{Job, Objects};
use crate::pipeline::{BuildError, Compiled, file_error};
use crate::report::ProofReport;
use livepatch_diff::{
    Base, BaseError, Difference, EntrySizes, Object, ObjectError, Proof, Refusal, SymbolIndex, Unit, Unproven,
};
use std::collections::{BTreeMap, BTreeSet};

/// Compares every function of the original with what runs. Section flags alone change some code (a jump that the
/// assembler can no longer shorten), so one that differs may still be proven by an object made with
/// the exact flags. A function that is replaced and that neither proves is a reason to refuse.
pub(crate) fn prove(
    kernel: &Kernel,
    base: &Base<'_>,
    found: Unit,
    unit: &Compiled,
    difference: &Difference<'_>,
    refusals: &mut Vec<Refusal>,
) -> Result<ProofReport, BuildError> {
    let proofs = prove_all(base, found, &unit.original, &kernel.entry_sizes)?;
    let mut exact: Option<BTreeMap<String, Proof>> = None;
    let mut report = ProofReport { functions: proofs.len(), ..ProofReport::default() };
    let ours = [&difference.changed, &difference.redirected, &difference.carried];
    let replaced: BTreeSet<SymbolIndex> = ours.into_iter().flatten().map(|&(original, _)| original).collect();
    for (index, proof) in proofs {
        let name = &unit.original.symbols[index].name;
        let proof = match proof {
            // No flags make another definition of the weak one.
            Proof::Differs(Unproven::Overridden) => proof,
            Proof::Differs(_) => {
                let exact = match &mut exact {
                    Some(exact) => exact,
                    empty => empty.insert(exact_proofs(kernel, base, found, unit)?),
                };
                let proven = exact.get(name).filter(|proof| matches!(proof, Proof::Identical { .. }));
                proven.cloned().unwrap_or(proof)
            }
            identical => identical,
        };
        match proof {
            Proof::Identical { unchecked, fields } => {
                report.identical += 1;
                report.fields += fields;
                report.unchecked += unchecked;
            }
            Proof::Differs(what) if replaced.contains(&index) => {
                refusals.push(what.refusal(name.clone()));
            }
            Proof::Differs(what) => report.differs.push((name.clone(), what.to_string())),
        }
    }
    Ok(report)
}

fn exact_proofs(
    kernel: &Kernel,
    base: &Base<'_>,
    found: Unit,
    unit: &Compiled,
) -> Result<BTreeMap<String, Proof>, BuildError> {
    let path = unit.files.0.with_extension("exact.o");
    let flags = ["-g0".to_owned()];
    let job = Job::of_original(&unit.command, &unit.touched.source, &flags);
    Objects::of(kernel).compile(&job, &path)?;
    let exact = Object::read(&std::fs::read(&path).map_err(file_error(&path))?)?;
    let proofs = prove_all(base, found, &exact, &kernel.entry_sizes)?;
    Ok(proofs.into_iter().map(|(index, proof)| (exact.symbols[index].name.clone(), proof)).collect())
}

fn prove_all(
    base: &Base<'_>,
    found: Unit,
    object: &Object,
    sizes: &EntrySizes,
) -> Result<Vec<(SymbolIndex, Proof)>, BuildError> {
    base.prove_all(found, object, sizes).map_err(|error| match error {
        BaseError::Object(error) => error.into(),
        BaseError::Table(error) => error.into(),
        BaseError::NoUnit { detail, .. } => ObjectError::Unusable(detail).into(),
        BaseError::Machine(_) => ObjectError::Unusable(error.to_string()).into(),
    })
}

//! Proves the base, takes the differences, and writes the objects that the module is linked from.

use super::compile::Compiled;
use super::late_keys::keep_to_the_patch;
use super::{Build, BuildError, file_error, notices};
use crate::glue::{Callback, Objects, Replaced};
use crate::link::{LateBranch, Symbols};
use crate::narrate::step;
use crate::prove;
use crate::report::{ProofReport, RefusalReport, Timings, UnitReport};
use livepatch_diff::{
    Base, BaseError, Binding, CallbackKind, Difference, Exports, Extracted, Facts, Image, ObjectError, Owner,
    Refusal, Symbol, SymbolIndex, SymbolKind, Unit, drop_late_entries, extract, name_symbols, refuse_sealed,
};
use livepatch_judge::{Finding, FunctionWhy, Severity};
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::time::Instant;

/// What the units add up to.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) notes: Vec<String>,
    pub(super) reports: Vec<UnitReport>,
    /// Reasons against a livepatch that no finding stands for.
    pub(super) refusals: Vec<Refusal>,
    pub(super) findings: Vec<Finding>,
    pub(super) own: BTreeSet<String>,
    pub(super) units: Vec<String>,
    pub(super) objects: Objects,
    pub(super) namespaces: BTreeSet<String>,
    /// Units with branches on static keys that are not there yet, by place in the list.
    pub(super) late: BTreeSet<usize>,
}

impl Parts {
    /// All reasons against a livepatch.
    pub(super) fn all_refusals(&self) -> Vec<RefusalReport> {
        let found = self.findings.iter().filter(|finding| finding.severity == Severity::Refuse);
        self.refusals.iter().map(RefusalReport::from).chain(found.map(RefusalReport::from)).collect()
    }

    fn register(&mut self, object: &str, kind: CallbackKind, callback: Callback) {
        let callbacks = &mut self.objects.entry(object.to_owned()).or_default().callbacks;
        match callbacks.entry(kind) {
            Entry::Vacant(empty) => {
                empty.insert(callback);
            }
            Entry::Occupied(taken) => self.refusals.push(Refusal::CallbackTwice {
                object: object.to_owned(),
                kind: kind.member().to_owned(),
                first: taken.get().function.clone(),
                second: callback.function,
            }),
        }
    }

    /// Whether there is any.
    pub(super) fn is_refused(&self) -> bool {
        !self.refusals.is_empty() || self.findings.iter().any(|finding| finding.severity == Severity::Refuse)
    }

    fn summary(&self) -> String {
        let names = |pick: fn(&UnitReport) -> &Vec<String>| {
            self.reports.iter().flat_map(pick).cloned().collect::<Vec<_>>().join(", ")
        };
        match (self.all_refusals().len(), names(|unit| &unit.changed), names(|unit| &unit.added)) {
            (0, changed, _) if changed.is_empty() => "nothing that runs changes".into(),
            (0, changed, added) if added.is_empty() => format!("changed: {changed}"),
            (0, changed, added) => format!("changed: {changed}; new: {added}"),
            (count, _, _) => format!("{count} reasons against a livepatch"),
        }
    }
}

impl Build<'_> {
    /// Proves the base, takes the differences, and writes the objects.
    pub(super) fn differ(
        &self,
        image: &Image<'_>,
        exports: &Exports,
        units: &[Compiled],
        parts: &mut Parts,
        timings: &mut Timings,
    ) -> Result<(), BuildError> {
        let step = step("compare");
        let sources = self.sources()?;
        self.judge_patch(&sources, parts);
        let mut judged = Vec::new();
        for (index, unit) in units.iter().enumerate() {
            let Some(base) = self.base(image, unit)? else {
                let source_file = unit.touched.source.clone();
                let module = unit.command.module_name().unwrap_or_default();
                parts
                    .refusals
                    .push(Refusal::NotBuilt { source_file, detail: format!("it has no module {module}") });
                continue;
            };
            let found = match base.unit(&unit.original) {
                _ if unit.stands_alone() => Unit::NoLocals,
                Ok(found) => found,
                Err(BaseError::NoUnit { detail, .. }) => {
                    let source_file = unit.touched.source.clone();
                    parts.refusals.push(Refusal::NotBuilt { source_file, detail });
                    continue;
                }
                Err(BaseError::Object(error)) => return Err(error.into()),
                Err(BaseError::Table(error)) => return Err(error.into()),
                Err(error @ BaseError::Machine(_)) => {
                    return Err(ObjectError::Unusable(error.to_string()).into());
                }
            };
            let start = Instant::now();
            let traced = |function: SymbolIndex| base.is_traced(found, &unit.original.symbols[function]);
            let facts =
                Facts { traced: Some(&traced), in_module: Some(unit.command.module_name().is_some()) };
            let compare = if unit.is_source() { Difference::of_source } else { Difference::with };
            let sizes = &self.kernel.entry_sizes;
            let mut difference = compare(&unit.original, &unit.patched, sizes, facts)?;
            if let Some(branching) = &unit.branching {
                keep_to_the_patch(&mut difference, branching, sizes, facts)?;
            }
            timings.difference += start.elapsed().as_secs_f64();
            let start = Instant::now();
            let proof = match unit.stands_alone() {
                true => ProofReport::default(),
                false => prove::prove(self.kernel, &base, found, unit, &difference, &mut parts.refusals)?,
            };
            timings.proof += start.elapsed().as_secs_f64();
            parts.own.extend(new_globals(&difference));
            let start = Instant::now();
            let whys = if unit.is_source() {
                self.take_source(unit, &difference, parts)?;
                Vec::new()
            } else {
                self.judge(unit, &sources, &mut difference, parts)?
            };
            timings.judgement += start.elapsed().as_secs_f64();
            let name = unit.source_name();
            parts.reports.push(unit_report(name, base.name(), &difference, whys, proof));
            judged.push((index, unit, difference, base, found));
        }
        let start = Instant::now();
        for (index, unit, difference, base, found) in &judged {
            let own = parts.own.clone();
            let symbols = Symbols { image, exports, own: &own };
            if take_late_branches(&symbols.late_branches(base, *found, difference), parts)
                && !unit.is_source()
            {
                parts.late.insert(*index);
            }
            parts.refusals.extend(refuse_sealed(image, base, *found, difference));
            if !parts.is_refused() && !difference.included.is_empty() {
                self.extract(&symbols, unit, difference, base, *found, parts)?;
            }
        }
        timings.difference += start.elapsed().as_secs_f64();
        step.done(parts.summary());
        Ok(())
    }

    /// The binary that a unit is linked into; `None` when it is a module that this kernel does not have.
    fn base<'b>(&self, image: &'b Image<'b>, unit: &Compiled) -> Result<Option<Base<'b>>, BuildError> {
        let Some(name) = unit.command.module_name() else { return Ok(Some(Base::Image(image))) };
        match self.kernel.module(&name)? {
            Some(bytes) => Ok(Some(Base::module(&name, &bytes)?)),
            None => Ok(None),
        }
    }

    fn extract(
        &self,
        symbols: &Symbols<'_>,
        unit: &Compiled,
        difference: &Difference<'_>,
        base: &Base<'_>,
        found: Unit,
        parts: &mut Parts,
    ) -> Result<(), BuildError> {
        let number = parts.units.len();
        let extracted = extract(difference, number)?;
        let owners = match owners(symbols, base, found, difference, &extracted) {
            Ok(owners) => owners,
            Err(unknown) => {
                parts.refusals.extend(unknown);
                return Ok(());
            }
        };
        let folder = self.work.join("module");
        std::fs::create_dir_all(&folder).map_err(file_error(&folder))?;
        let file = format!("unit{number}.o");
        let path = folder.join(&file);
        std::fs::write(&path, &extracted.bytes).map_err(file_error(&path))?;
        unit.command.objtool(&self.kernel.source(), &path, self.kernel.objtool.as_deref())?;
        let bytes = std::fs::read(&path).map_err(file_error(&path))?;
        let owner = |name: &str| owners.get(name).cloned();
        let (bytes, _) = drop_late_entries(&bytes, &self.kernel.entry_sizes, owner)?;
        let named = name_symbols(&bytes, base.name(), owner)?;
        std::fs::write(&path, named).map_err(file_error(&path))?;
        for (alias, original) in extracted.replaced {
            let symbol = &unit.original.symbols[original];
            let Some(position) = base.position(found, symbol) else { continue };
            let source = unit.source_name();
            let replaced = Replaced { name: symbol.name.clone(), position, alias, source };
            parts.objects.entry(base.name().to_owned()).or_default().functions.push(replaced);
        }
        for (kind, alias, function) in extracted.callbacks {
            parts.register(base.name(), kind, Callback { function, alias });
        }
        parts.namespaces.extend(base.imported_namespaces());
        let exported = owners.iter().filter(|(_, owner)| **owner == Owner::Exported);
        let namespaces = exported.filter_map(|(name, _)| symbols.exports.namespace(name));
        parts.namespaces.extend(namespaces.map(str::to_owned));
        parts.units.push(file);
        Ok(())
    }
}

/// A trace point may stay off; any other branch would go the wrong way. Whether there is such a one.
fn take_late_branches(branches: &[LateBranch], parts: &mut Parts) -> bool {
    let mut wrong = false;
    for branch in branches {
        let LateBranch { function, key, module } = branch.clone();
        if branch.is_trace_point() {
            parts.findings.push(notices::trace_point_off(&function, &key, &module));
        } else {
            parts.refusals.push(Refusal::StaticKeyInModule { function, key, module });
            wrong = true;
        }
    }
    wrong
}

fn owners(
    symbols: &Symbols<'_>,
    base: &Base<'_>,
    found: Unit,
    difference: &Difference<'_>,
    extracted: &Extracted,
) -> Result<BTreeMap<String, Owner>, Vec<Refusal>> {
    let mut owners = BTreeMap::new();
    let mut unknown = Vec::new();
    for (name, (original, from)) in &extracted.needed {
        // A livepatch source may mean a static of the unit in whose place it stands.
        let named = || difference.original.symbols.iter().position(|symbol| is_local_named(symbol, name));
        let symbol = original.or_else(named).map(|index| &difference.original.symbols[index]);
        match symbols.owner(base, found, name, symbol) {
            Some(owner) => {
                owners.insert(name.clone(), owner);
            }
            None => unknown.push(Refusal::UnknownSymbol { symbol: name.clone(), from: from.clone() }),
        }
    }
    if unknown.is_empty() { Ok(owners) } else { Err(unknown) }
}

fn is_local_named(symbol: &Symbol, name: &str) -> bool {
    symbol.name == name
        && symbol.binding == Binding::Local
        && matches!(symbol.kind, SymbolKind::Function | SymbolKind::Object)
}

fn new_globals(difference: &Difference<'_>) -> Vec<String> {
    let new = difference.included.iter().filter(|&&index| {
        difference.correlation.original_of(index).is_none()
            && difference.patched.symbols[index].binding != Binding::Local
    });
    new.map(|&index| difference.patched.symbols[index].name.clone()).collect()
}

fn unit_report(
    source: String,
    object: &str,
    difference: &Difference<'_>,
    why: Vec<FunctionWhy>,
    proof: ProofReport,
) -> UnitReport {
    let patched = |index: SymbolIndex| difference.patched.symbols[index].name.clone();
    let original = |index: SymbolIndex| difference.original.symbols[index].name.clone();
    let is_data = |index: &&SymbolIndex| difference.patched.symbols[**index].kind != SymbolKind::Function;
    UnitReport {
        source,
        object: object.to_owned(),
        changed: difference.changed.iter().map(|&(index, _)| original(index)).collect(),
        why,
        added: difference.added().map(patched).collect(),
        removed: difference.removed.iter().map(|&index| original(index)).collect(),
        redirected: difference.redirected.iter().map(|&(index, _)| original(index)).collect(),
        data: difference.included.iter().filter(is_data).map(|&index| patched(index)).collect(),
        proof,
    }
}

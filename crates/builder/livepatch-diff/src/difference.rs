//! The difference between two objects: what changed, what a livepatch must carry along, and what forbids one.

use crate::annotations::Annotations;
use crate::arch::Architecture;
use crate::compare::{Sides, piece};
use crate::correlate::Correlation;
use crate::names::{cold_parent, is_never_shared};
use crate::notice::Notice;
use crate::object::{Definition, Object, SectionIndex, SymbolIndex, SymbolKind};
use crate::redirect::{Facts, is_init, redirect, traced_functions};
use crate::reference::{Reference, Resolved, references};
use crate::refusal::Refusal;
use crate::replace::pair_replaced;
use crate::sections::{compare_sections, is_syscall_metadata};
use crate::tables::{EntrySizes, TableError, Tables};
use std::collections::{BTreeMap, BTreeSet};

/// A stretch of anonymous data or code: section, start, size.
pub type Piece = (SectionIndex, u64, u64);

/// Something that the livepatch carries and whose references are still to be followed: on a list, since pieces may be
/// chained however long.
enum Carried {
    Symbol(SymbolIndex),
    Piece(Piece),
}

/// Why two objects cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DifferenceError {
    /// They are for different machines.
    #[error("the original is for {original}, the patched object for {patched}")]
    Machines {
        /// The original's machine.
        original: Architecture,
        /// The patched object's machine.
        patched: Architecture,
    },
    /// A special section cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// What must be put in the place of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The copy that the livepatch carries.
    Copy(SymbolIndex),
    /// The running kernel's own, as the original object names it.
    Original(SymbolIndex),
}

/// The outcome of comparing two objects.
#[derive(Debug)]
pub struct Difference<'a> {
    /// The original object.
    pub original: &'a Object,
    /// The patched object.
    pub patched: &'a Object,
    /// The patched object's tables.
    pub tables: Tables,
    /// Which symbol is which.
    pub correlation: Correlation,
    /// Existing functions whose code changed, as (original, patched); cold parts are not listed by themselves.
    pub changed: Vec<(SymbolIndex, SymbolIndex)>,
    /// Existing functions that the livepatch redirects: those changed that have a trace site, and in place of the others
    /// their nearest callers that have one.
    pub redirected: Vec<(SymbolIndex, SymbolIndex)>,
    /// Existing functions without a trace site that the livepatch carries, called by its own functions only.
    pub carried: Vec<(SymbolIndex, SymbolIndex)>,
    /// Functions of the original that are gone.
    pub removed: Vec<SymbolIndex>,
    /// Patched functions and objects that the livepatch carries: changed, new, and fresh copies of statics.
    pub included: BTreeSet<SymbolIndex>,
    /// Anonymous data and code that the livepatch carries.
    pub pieces: BTreeSet<Piece>,
    /// Everything that forbids a livepatch; empty when there is none.
    pub refusals: Vec<Refusal>,
    /// What does not come with the livepatch although nothing forbids the rest.
    pub notices: Vec<Notice>,
    /// What the author tells by macros, callbacks among it.
    pub annotations: Annotations,
    /// Refusals that the comparison found, as opposed to the selection.
    compared: Vec<Refusal>,
    /// Notices of the comparison.
    told: Vec<Notice>,
    /// Functions of the original with a trace site.
    traced: BTreeSet<SymbolIndex>,
    in_module: Option<bool>,
}

/// What a comparison finds.
struct Found {
    changed: Vec<(SymbolIndex, SymbolIndex)>,
    removed: Vec<SymbolIndex>,
    refusals: Vec<Refusal>,
    told: Vec<Notice>,
    traced: BTreeSet<SymbolIndex>,
    in_module: Option<bool>,
}

fn same_machine(original: &Object, patched: &Object) -> Result<(), DifferenceError> {
    if original.architecture == patched.architecture {
        return Ok(());
    }
    let (original, patched) = (original.architecture, patched.architecture);
    Err(DifferenceError::Machines { original, patched })
}

impl<'a> Difference<'a> {
    /// Compares two objects of the same translation unit, of which nothing else is known.
    ///
    /// # Errors
    /// As [`Difference::with`].
    pub fn new(
        original: &'a Object,
        patched: &'a Object,
        sizes: &EntrySizes,
    ) -> Result<Self, DifferenceError> {
        Self::with(original, patched, sizes, Facts::default())
    }

    /// Compares two objects of the same translation unit, with what is known of the kernel that runs.
    ///
    /// # Errors
    /// [`DifferenceError`] when the objects are for different machines, or when a special section cannot be read. What
    /// makes a livepatch impossible is no error but a [`Refusal`] in the result.
    pub fn with(
        original: &'a Object,
        patched: &'a Object,
        sizes: &EntrySizes,
        facts: Facts<'_>,
    ) -> Result<Self, DifferenceError> {
        same_machine(original, patched)?;
        let original_tables = Tables::read(original, sizes)?;
        let tables = Tables::read(patched, sizes)?;
        let correlation = Correlation::new(original, patched);
        let sides = Sides {
            original: (original, &original_tables),
            patched: (patched, &tables),
            correlation: &correlation,
        };
        let annotations = Annotations::read(patched);
        let mut changed = changed_functions(&sides);
        let mut told = pass_over(&sides, &annotations, &mut changed);
        let mut refusals = refuse_functions(&sides, &changed);
        refusals.extend(refuse_data(&sides, &changed, &annotations));
        let (registered, notices) = compare_sections(&sides, &annotations);
        refusals.extend(registered);
        told.extend(notices);
        let traced = traced_functions(original, &original_tables, facts);
        let removed = removed_functions(original, &correlation);
        let found = Found { changed, removed, refusals, told, traced, in_module: facts.in_module };
        Ok(Self::from_parts((original, patched), tables, correlation, annotations, found))
    }

    /// Takes a livepatch source for what it is: everything in it is new, but for the functions that it says replace those
    /// of `unit`.
    ///
    /// # Errors
    /// As [`Difference::with`].
    pub fn of_source(
        unit: &'a Object,
        source: &'a Object,
        sizes: &EntrySizes,
        facts: Facts<'_>,
    ) -> Result<Self, DifferenceError> {
        same_machine(unit, source)?;
        let (unit_tables, tables) = (Tables::read(unit, sizes)?, Tables::read(source, sizes)?);
        let annotations = Annotations::read(source);
        let (changed, mut refusals) = pair_replaced(unit, source, &annotations.replaced);
        let correlation = Correlation::of_pairs(&changed);
        let nothing = Object::from_parts(source.architecture, Vec::new(), Vec::new());
        let sides = Sides {
            original: (&nothing, &Tables::default()),
            patched: (source, &tables),
            correlation: &Correlation::default(),
        };
        let (registered, told) = compare_sections(&sides, &annotations);
        refusals.extend(registered);
        let traced = traced_functions(unit, &unit_tables, facts);
        let removed = Vec::new();
        let found = Found { changed, removed, refusals, told, traced, in_module: facts.in_module };
        Ok(Self::from_parts((unit, source), tables, correlation, annotations, found))
    }

    fn from_parts(
        (original, patched): (&'a Object, &'a Object),
        tables: Tables,
        correlation: Correlation,
        annotations: Annotations,
        mut found: Found,
    ) -> Self {
        let forced = annotations.forced.iter();
        found.refusals.extend(forced.map(|function| Refusal::ForceUnsafe { function: function.clone() }));
        let mut difference = Self {
            original,
            patched,
            tables,
            correlation,
            changed: found.changed,
            redirected: Vec::new(),
            carried: Vec::new(),
            removed: found.removed,
            included: BTreeSet::new(),
            pieces: BTreeSet::new(),
            refusals: Vec::new(),
            notices: Vec::new(),
            annotations,
            compared: found.refusals,
            told: found.told,
            traced: found.traced,
            in_module: found.in_module,
        };
        difference.select();
        difference
    }

    /// Leaves changed functions out, by the original's symbol: the livepatch is made as if they had stayed as they were.
    pub fn leave_out(&mut self, left_out: impl Fn(&str) -> bool) {
        let original = self.original;
        self.changed.retain(|&(index, _)| !left_out(&original.symbols[index].name));
        self.compared.retain(|refusal| !matches!(refusal, Refusal::InitCode { name, .. } if left_out(name)));
        self.select();
    }

    /// Nothing changed that would run differently.
    pub fn is_empty(&self) -> bool {
        self.included.is_empty() && self.refusals.is_empty()
    }

    /// New functions that the livepatch carries.
    pub fn added(&self) -> impl Iterator<Item = SymbolIndex> + '_ {
        self.included.iter().copied().filter(|&index| {
            self.patched.symbols[index].kind == SymbolKind::Function
                && self.correlation.original_of(index).is_none()
                && cold_parent(&self.patched.symbols[index].name).is_none()
        })
    }

    /// What must be put in the place of a reference from `from` (a function or object; `None`: anonymous data) to a
    /// symbol of the same object.
    pub fn role(&self, from: Option<SymbolIndex>, resolved: &Resolved, target: SymbolIndex) -> Role {
        let Some(original) = self.correlation.original_of(target) else { return Role::Copy(target) };
        let is_function = self.patched.symbols[target].kind == SymbolKind::Function;
        // The running kernel's old one is not redirected, so everything here means the new one.
        if self.carried.iter().any(|&(_, carried)| carried == target) {
            return Role::Copy(target);
        }
        // Tables, jump tables and cold parts mean places of the very code that they were made with.
        let within = matches!(resolved.reference, Reference::Symbol(_, into) if into != 0)
            || cold_parent(&self.patched.symbols[target].name).is_some();
        let copied = if from.is_some_and(|from| self.family(from) == self.family(target)) {
            !is_function || within || resolved.branch || !resolved.in_code
        } else {
            is_function && (within || resolved.branch) && self.carries_family(target)
        };
        // A call goes straight to the new copy; an address that is taken stays the original's, so that callbacks
        // registered now survive the livepatch being undone.
        if copied { Role::Copy(target) } else { Role::Original(original) }
    }

    /// Whether the livepatch carries a function, or the function that a cold part belongs to.
    fn carries_family(&self, target: SymbolIndex) -> bool {
        self.included.contains(&target)
            || cold_parent(&self.patched.symbols[target].name).is_some_and(|parent| {
                self.included.iter().any(|&index| self.patched.symbols[index].name == parent)
            })
    }

    /// A function and its cold part are one.
    fn family(&self, index: SymbolIndex) -> &str {
        let name = self.patched.symbols[index].name.as_str();
        cold_parent(name).unwrap_or(name)
    }

    /// Collects what the livepatch must carry: the changed functions, new global functions, and all that they refer to
    /// and that the running kernel does not have.
    fn select(&mut self) {
        self.refusals = self.compared.clone();
        self.included.clear();
        self.pieces.clear();
        let found = redirect(self.original, &self.correlation, &self.changed, &self.traced, self.in_module);
        self.refusals.extend(found.refusals);
        self.notices = self.told.iter().cloned().chain(found.notices).collect();
        (self.redirected, self.carried) = (found.redirected, found.carried);
        let ours = self.redirected.iter().chain(&self.carried);
        let mut roots: Vec<SymbolIndex> = ours.map(|&(_, patched)| patched).collect();
        roots.extend(self.new_globals());
        roots.extend(self.annotations.callbacks.iter().map(|&(_, function)| function));
        self.included.extend(roots.iter().copied());
        let mut queue: Vec<Carried> = roots.into_iter().map(Carried::Symbol).collect();
        while let Some(carried) = queue.pop() {
            let (from, found) = match carried {
                Carried::Symbol(index) => (Some(index), self.references_of(index)),
                Carried::Piece((section, start, size)) => {
                    (None, references(self.patched, section, start, size))
                }
            };
            for resolved in found {
                self.follow(from, &resolved, &mut queue);
            }
        }
    }

    fn new_globals(&self) -> Vec<SymbolIndex> {
        let wanted = |index: &SymbolIndex| {
            let symbol = &self.patched.symbols[*index];
            symbol.binding != crate::object::Binding::Local
                && matches!(symbol.kind, SymbolKind::Function | SymbolKind::Object)
                && matches!(symbol.definition, Definition::Section(_))
                && self.correlation.original_of(*index).is_none()
                && !is_never_shared(&symbol.name)
                && !self.in_noted_section(*index)
                && !self.annotations.is_note(*index)
                && self.patched.first_alias(*index) == *index
        };
        (0..self.patched.symbols.len()).filter(wanted).collect()
    }

    fn in_noted_section(&self, index: SymbolIndex) -> bool {
        self.patched
            .section_of(index)
            .is_some_and(|section| self.patched.sections[section].name.starts_with(".discard."))
    }

    /// All references of a function or object, those of its table entries included.
    pub fn references_of(&self, index: SymbolIndex) -> Vec<Resolved> {
        let symbol = &self.patched.symbols[index];
        let Definition::Section(section) = symbol.definition else { return Vec::new() };
        let mut all = references(self.patched, section, symbol.value, symbol.size);
        for entry in self.tables.of(index) {
            all.extend(&entry.references);
        }
        all
    }

    fn follow(&mut self, from: Option<SymbolIndex>, resolved: &Resolved, queue: &mut Vec<Carried>) {
        let name =
            from.map_or_else(|| "unnamed data".to_owned(), |from| self.patched.symbols[from].name.clone());
        if self.patched.architecture.field_size(resolved.relocation.kind).is_none() {
            self.refusals.push(Refusal::UnknownRelocation { from: name, kind: resolved.relocation.kind });
            return;
        }
        match resolved.reference {
            Reference::Symbol(target, _) => {
                if let Role::Copy(target) = self.role(from, resolved, target) {
                    self.include(target, queue);
                }
            }
            Reference::Section(section, at) => self.include_piece(&name, section, at, queue),
            Reference::External(..) => {}
        }
    }

    fn include(&mut self, target: SymbolIndex, queue: &mut Vec<Carried>) {
        if !self.included.insert(target) {
            return;
        }
        let symbol = &self.patched.symbols[target];
        let writable = self
            .patched
            .section_of(target)
            .is_some_and(|section| self.patched.sections[section].is_writable());
        if writable && self.correlation.is_ambiguous(target) {
            self.refusals.push(Refusal::AmbiguousStatic { object: symbol.name.clone() });
        }
        queue.push(Carried::Symbol(target));
    }

    fn include_piece(&mut self, from: &str, section: SectionIndex, at: i64, queue: &mut Vec<Carried>) {
        let holder = &self.patched.sections[section];
        let unnamed = || Refusal::UnnamedData { from: from.to_owned(), section: holder.name.clone() };
        let fixed = !holder.is_writable() || self.patched.architecture.address_pool(&holder.name).is_some();
        let place = u64::try_from(at).ok().filter(|_| fixed && holder.is_allocated());
        let Some(found) = place.and_then(|place| piece_or_end(self.patched, section, place)) else {
            self.refusals.push(unnamed());
            return;
        };
        let piece = (section, found.0, found.1);
        if self.pieces.insert(piece) {
            queue.push(Carried::Piece(piece));
        }
    }
}

/// As [`piece`], and an empty piece for the end of code: an alternative that removes an instruction has a replacement of no bytes.
pub(crate) fn piece_or_end(object: &Object, section: SectionIndex, at: u64) -> Option<(u64, u64)> {
    let holder = &object.sections[section];
    if holder.is_code() && at == holder.size {
        return Some((at, 0));
    }
    piece(object, section, at)
}

fn functions<'a>(sides: &'a Sides<'_>) -> impl Iterator<Item = (SymbolIndex, SymbolIndex)> + 'a {
    sides
        .correlation
        .pairs()
        .filter(|&(original, _)| sides.original.0.symbols[original].kind == SymbolKind::Function)
}

/// Functions that changed; a cold part that changed makes its parent a changed function.
fn changed_functions(sides: &Sides<'_>) -> Vec<(SymbolIndex, SymbolIndex)> {
    let patched = sides.patched.0;
    let by_name: BTreeMap<&str, SymbolIndex> = (0..patched.symbols.len())
        .filter(|&index| patched.symbols[index].kind == SymbolKind::Function)
        .map(|index| (patched.symbols[index].name.as_str(), index))
        .collect();
    let mut changed = BTreeSet::new();
    for (original, index) in functions(sides).filter(|&(old, new)| !sides.same_function(old, new)) {
        let parent = cold_parent(&patched.symbols[index].name).and_then(|name| by_name.get(name));
        match parent.and_then(|&parent| Some((sides.correlation.original_of(parent)?, parent))) {
            Some(pair) => changed.insert(pair),
            None => changed.insert((original, index)),
        };
    }
    // Further names of the same code say nothing new.
    let alias = |pair: &(SymbolIndex, SymbolIndex)| {
        let first = sides.original.0.first_alias(pair.0);
        let other = sides.correlation.patched_of(first);
        first != pair.0 && other.is_some_and(|other| changed.contains(&(first, other)))
    };
    changed.iter().copied().filter(|pair| !alias(pair)).collect()
}

/// Takes out the functions whose changes the author says do not matter.
fn pass_over(
    sides: &Sides<'_>,
    annotations: &Annotations,
    changed: &mut Vec<(SymbolIndex, SymbolIndex)>,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    changed.retain(|&(_, patched)| {
        let symbol = &sides.patched.0.symbols[patched];
        let section = sides.patched.0.section_of(patched);
        let section = section.map_or("", |section| sides.patched.0.sections[section].name.as_str());
        let passed = annotations.ignored_functions.contains(&symbol.name)
            || annotations.ignored_sections.contains(section);
        if passed {
            notices.push(Notice::PassedOver { name: symbol.name.clone() });
        }
        !passed
    });
    notices
}

fn removed_functions(original: &Object, correlation: &Correlation) -> Vec<SymbolIndex> {
    let gone = |index: &SymbolIndex| {
        let symbol = &original.symbols[*index];
        symbol.kind == SymbolKind::Function
            && matches!(symbol.definition, Definition::Section(_))
            && cold_parent(&symbol.name).is_none()
            && correlation.patched_of(*index).is_none()
    };
    (0..original.symbols.len()).filter(gone).collect()
}

/// Ordinary code may move between hot and cold without meaning anything.
fn code_class(section: &str) -> &str {
    if section == ".text" || section.starts_with(".text.") { ".text" } else { section }
}

fn refuse_functions(sides: &Sides<'_>, changed: &[(SymbolIndex, SymbolIndex)]) -> Vec<Refusal> {
    let section = |object: &Object, index: SymbolIndex| {
        object.section_of(index).map(|section| object.sections[section].name.clone()).unwrap_or_default()
    };
    let mut refusals = Vec::new();
    for &(original, _) in changed {
        let name = sides.original.0.symbols[original].name.clone();
        let from = section(sides.original.0, original);
        if is_init(&from) {
            refusals.push(Refusal::InitCode { name, section: from });
        }
    }
    // A function that moves to a section with rules of its own has changed even when its bytes have not.
    for (original, patched) in functions(sides) {
        let (from, to) = (section(sides.original.0, original), section(sides.patched.0, patched));
        if code_class(&from) != code_class(&to) {
            let function = sides.original.0.symbols[original].name.clone();
            refusals.push(Refusal::SectionMoved { function, from, to });
        }
    }
    refusals
}

fn refuse_data(
    sides: &Sides<'_>,
    changed: &[(SymbolIndex, SymbolIndex)],
    annotations: &Annotations,
) -> Vec<Refusal> {
    let original = sides.original.0;
    let data =
        sides.correlation.pairs().filter(|&(old, _)| original.symbols[old].kind != SymbolKind::Function);
    let mut refusals = Vec::new();
    let same = |old, new| sides.same_data(old, new) && !holds_labels(sides.patched.0, new, changed);
    for (old, _) in data.filter(|&(old, new)| !same(old, new)) {
        let object = original.symbols[old].name.clone();
        let section = original.section_of(old).map_or("", |section| original.sections[section].name.as_str());
        if is_syscall_metadata(&object) || annotations.ignored_sections.contains(section) {
            continue;
        }
        refusals.push(if is_init(section) {
            Refusal::InitCode { name: object, section: section.to_owned() }
        } else {
            Refusal::DataChanged { object, section: section.to_owned() }
        });
    }
    refusals
}

/// Whether data points into the middle of a changed function: labels for a computed goto. The running kernel's own would
/// lead the new code back into the old.
fn holds_labels(patched: &Object, data: SymbolIndex, changed: &[(SymbolIndex, SymbolIndex)]) -> bool {
    let symbol = &patched.symbols[data];
    let Some(section) = patched.section_of(data) else { return false };
    references(patched, section, symbol.value, symbol.size).iter().any(|resolved| match resolved.reference {
        Reference::Symbol(target, into) => into != 0 && changed.iter().any(|&(_, new)| new == target),
        _ => false,
    })
}

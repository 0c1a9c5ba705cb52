//! What the author of a patch tells the builder in the source, by the macros of kpatch (`kpatch-macros.h`) and of the
//! kernel (`linux/livepatch_helpers.h`): callbacks, functions and sections to pass over, functions to replace.
//!
//! The macros leave pointers behind: callbacks in variables whose names begin with the kernel's own prefixes
//! (include/linux/livepatch_external.h, Linux 6.19), all else in sections with kpatch's names. None of it reaches the module.

use crate::object::{Object, SymbolIndex, SymbolKind};
use crate::reference::{Reference, references, stretch};
use serde::Serialize;
use std::collections::BTreeSet;

/// When the kernel calls a function of the livepatch (`struct klp_callbacks`, include/linux/livepatch.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallbackKind {
    /// Before an object is patched; may refuse.
    PrePatch,
    /// After an object is patched.
    PostPatch,
    /// Before the patch is undone.
    PreUnpatch,
    /// After the patch is undone.
    PostUnpatch,
}

impl CallbackKind {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 4] = [Self::PrePatch, Self::PostPatch, Self::PreUnpatch, Self::PostUnpatch];

    /// The member of `struct klp_callbacks`.
    pub fn member(self) -> &'static str {
        match self {
            Self::PrePatch => "pre_patch",
            Self::PostPatch => "post_patch",
            Self::PreUnpatch => "pre_unpatch",
            Self::PostUnpatch => "post_unpatch",
        }
    }

    /// The kind of callback that a variable names, by its prefix or by the section that it is in.
    fn of(variable: &str, section: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            let prefix = format!("__klp_{}_callback_", kind.member());
            variable.starts_with(&prefix) || section == format!(".kpatch.callbacks.{}", kind.member())
        })
    }
}

/// Names of functions to pass over.
const IGNORED_FUNCTIONS: &str = ".kpatch.ignore.functions";
/// Names of sections to pass over.
const IGNORED_SECTIONS: &str = ".kpatch.ignore.sections";
/// Functions that are to be patched while they run.
const FORCED: &str = ".kpatch.force";
/// Functions of a livepatch source that replace existing ones.
const REPLACED: &str = ".livepatch.replace";

/// What the author tells.
#[derive(Debug, Default)]
pub struct Annotations {
    /// Callbacks: when, and the function, in the object's order.
    pub callbacks: Vec<(CallbackKind, SymbolIndex)>,
    /// Names of functions whose changes are passed over.
    pub ignored_functions: BTreeSet<String>,
    /// Names of sections whose changes are passed over.
    pub ignored_sections: BTreeSet<String>,
    /// Functions that are to be patched while they run, which is refused.
    pub forced: BTreeSet<String>,
    /// Functions that replace existing ones.
    pub replaced: Vec<SymbolIndex>,
    /// The variables that say so.
    notes: BTreeSet<SymbolIndex>,
}

impl Annotations {
    /// Reads what the macros left in a patched object.
    pub fn read(object: &Object) -> Self {
        let mut all = Self::default();
        for index in 0..object.symbols.len() {
            if object.symbols[index].kind == SymbolKind::Object {
                all.read_variable(object, index);
            }
        }
        all
    }

    /// Whether a symbol is a note of the author's, and nothing that the module needs.
    pub(crate) fn is_note(&self, index: SymbolIndex) -> bool {
        self.notes.contains(&index)
    }

    fn read_variable(&mut self, object: &Object, index: SymbolIndex) {
        let Some(section) = object.section_of(index) else { return };
        let (variable, section_name) = (&object.symbols[index].name, object.sections[section].name.as_str());
        let (start, size) = (object.symbols[index].value, object.symbols[index].size);
        let targets = || references(object, section, start, size).into_iter().map(|found| found.reference);
        let functions = || {
            targets().filter_map(|target| match target {
                Reference::Symbol(function, 0) if object.symbols[function].kind == SymbolKind::Function => {
                    Some(function)
                }
                _ => None,
            })
        };
        let names = || functions().map(|function| object.symbols[function].name.clone());
        match (CallbackKind::of(variable, section_name), section_name) {
            (Some(kind), _) => self.callbacks.extend(functions().map(|function| (kind, function))),
            (None, IGNORED_FUNCTIONS) => self.ignored_functions.extend(names()),
            (None, FORCED) => self.forced.extend(names()),
            (None, REPLACED) => self.replaced.extend(functions()),
            (None, IGNORED_SECTIONS) => {
                self.ignored_sections.extend(targets().filter_map(|target| string_at(object, target)));
            }
            _ => return,
        }
        self.notes.insert(index);
    }
}

/// The text that a reference leads to.
fn string_at(object: &Object, reference: Reference) -> Option<String> {
    let (section, at) = match reference {
        Reference::Section(section, at) => (section, u64::try_from(at).ok()?),
        Reference::Symbol(index, into) => {
            let start = object.symbols[index].value.checked_add(u64::try_from(into).ok()?)?;
            (object.section_of(index)?, start)
        }
        Reference::External(..) => return None,
    };
    let holder = &object.sections[section];
    let bytes = stretch(&holder.data, at, holder.size.saturating_sub(at));
    let text = bytes.split(|&byte| byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Whether a section holds nothing but notes of the author's.
pub(crate) fn is_note_section(name: &str) -> bool {
    name.starts_with(".kpatch.") || name.starts_with(".livepatch.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_of_macros_are_known() {
        let of = CallbackKind::of;
        assert_eq!(of("__klp_pre_patch_callback_vmlinux", ".discard.x"), Some(CallbackKind::PrePatch));
        assert_eq!(of("anything", ".kpatch.callbacks.post_unpatch"), Some(CallbackKind::PostUnpatch));
        assert_eq!(of("klp_pre_patch_callback_x", ".data"), None);
    }
}

//! Finds out where each needed symbol is, and has kbuild link the module.

use crate::glue::FRAME;
use crate::kernel::Kernel;
use crate::run::{self, RunError};
use livepatch_diff::reference::{Reference, Resolved};
use livepatch_diff::{Base, Binding, Difference, Exports, Image, Owner, Role, Symbol, SymbolIndex};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The one symbol that the frame needs from the running kernel and that is not exported.
pub const BUILD_ID_SYMBOL: &str = "vmlinux_build_id";

/// Everything that knows where symbols are.
pub struct Symbols<'a> {
    /// vmlinux.
    pub image: &'a Image<'a>,
    /// `Module.symvers`.
    pub exports: &'a Exports,
    /// New global symbols that translation units of this livepatch define.
    pub own: &'a BTreeSet<String>,
}

impl Symbols<'_> {
    /// Where a needed symbol is; `original` is the original object's symbol when it is one of the same translation unit.
    pub fn owner(
        &self,
        base: &Base<'_>,
        unit: livepatch_diff::Unit,
        name: &str,
        original: Option<&livepatch_diff::Symbol>,
    ) -> Option<Owner> {
        let running = |object: &str, position: u32| Owner::Running { object: object.to_owned(), position };
        if let Some(symbol) = original {
            let exported = symbol.binding != Binding::Local
                && base.name() == "vmlinux"
                && self.exports.exporter(name) == Some("vmlinux");
            return if exported {
                Some(Owner::Exported)
            } else {
                base.position(unit, symbol).map(|position| running(base.name(), position))
            };
        }
        if base.name() != "vmlinux"
            && let Some(position) = base.position_of_global(name)
        {
            return Some(running(base.name(), position));
        }
        match self.exports.exporter(name) {
            Some("vmlinux") => return Some(Owner::Exported),
            // An exported name is unique among the globals of its module; statics of that name elsewhere do not count.
            Some(module) => return Some(running(module, 0)),
            None => {}
        }
        if let Some(position) = Base::Image(self.image).position_of_global(name) {
            return Some(running("vmlinux", position));
        }
        self.own.contains(name).then_some(Owner::Livepatch)
    }

    /// Static branches of carried functions on keys of modules, which cannot be set up before the module is there.
    pub fn late_branches(
        &self,
        base: &Base<'_>,
        unit: livepatch_diff::Unit,
        difference: &Difference<'_>,
    ) -> Vec<LateBranch> {
        let mut found = Vec::new();
        for &function in &difference.included {
            let entries = difference.tables.of(function).iter();
            let branches =
                entries.filter(|entry| difference.patched.sections[entry.section].name == "__jump_table");
            for resolved in branches.flat_map(|entry| &entry.references) {
                let Some((name, original)) = target(difference, function, resolved) else { continue };
                if let Some(Owner::Running { object, .. }) = self.owner(base, unit, name, original)
                    && object != "vmlinux"
                {
                    let function = difference.patched.symbols[function].name.clone();
                    found.push(LateBranch { function, key: name.to_owned(), module: object });
                }
            }
        }
        found
    }
}

/// What a reference of a carried function leads to outside the livepatch: its name, and the original object's symbol when
/// it is one of the same unit.
fn target<'d>(
    difference: &'d Difference<'_>,
    function: SymbolIndex,
    resolved: &Resolved,
) -> Option<(&'d str, Option<&'d Symbol>)> {
    match resolved.reference {
        Reference::Symbol(target, _) => match difference.role(Some(function), resolved, target) {
            Role::Original(original) => {
                let symbol = &difference.original.symbols[original];
                Some((symbol.name.as_str(), Some(symbol)))
            }
            Role::Copy(_) => None,
        },
        Reference::External(target, _) => Some((difference.patched.symbols[target].name.as_str(), None)),
        Reference::Section(..) => None,
    }
}

/// A static branch on a key of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateBranch {
    /// The function with the branch.
    pub function: String,
    /// The key.
    pub key: String,
    /// The module that has the key.
    pub module: String,
}

impl LateBranch {
    /// Whether it is a trace point's, which may as well stay off.
    pub fn is_trace_point(&self) -> bool {
        self.key.starts_with("__tracepoint_")
    }
}

/// Has kbuild link frame and units into `NAME.ko`; answers its path. `folder` holds the units' objects already; `table` is
/// the frame's header ([`crate::glue::table`]).
///
/// # Errors
/// [`RunError`] when a file cannot be written or make fails.
pub fn kbuild(
    kernel: &Kernel,
    name: &str,
    folder: &Path,
    units: &[String],
    table: &str,
    log: &Path,
) -> Result<PathBuf, RunError> {
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        std::fs::write(&path, text).map_err(|source| RunError::File { path, source })
    };
    write("glue.c", FRAME)?;
    write("livepatch_table.h", table)?;
    let list = units.join(" ");
    let mut makefile = format!("obj-m := {name}.o\n{name}-y := glue.o {list}\n");
    if kernel.objtool.is_some() {
        // This kernel's kbuild runs objtool on the linked module (scripts/Makefile.build, `objtool-enabled`). The units have
        // been through it, while their symbols still had the names that it knows: only the frame has not.
        let _ = writeln!(makefile, "$(obj)/glue.o: override private objtool-enabled := y");
        let _ = writeln!(makefile, "$(obj)/{name}.o: override private objtool-enabled :=");
    }
    write("Kbuild", &makefile)?;
    for unit in units {
        // kbuild expects a note beside every object, also beside one that it did not make.
        write(&format!(".{unit}.cmd"), "")?;
    }
    let lock = kernel.lock_tree_shared();
    let _lock = lock.map_err(|source| RunError::File { path: kernel.folder.clone(), source })?;
    let mut make = Command::new("make");
    make.arg("-s").arg("-C").arg(kernel.source()).arg(format!("M={}", folder.display()));
    // The folder's path must not get into the module: the same input gives the same bytes wherever it is built. The
    // linker's build id covers debug information too, so there is none.
    make.arg(format!("KCFLAGS=-g0 -fmacro-prefix-map={}/=", folder.display()));
    // BTF of a livepatch module is dropped in the end; where a vmlinux is in the tree, kbuild would make it and fail for
    // lack of debug information.
    make.arg("CONFIG_DEBUG_INFO_BTF_MODULES=");
    make.args(kernel.make_variables()).arg("modules");
    run::logged(&mut make, log)?;
    Ok(folder.join(format!("{name}.ko")))
}

//! What the builder adds in C: the frame of every livepatch module, its table, and the headers for patches that tell the
//! builder something (callbacks above all).

use crate::kernel::Kernel;
use livepatch_diff::CallbackKind;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The frame of every livepatch module.
pub const FRAME: &str = include_str!("../glue/glue.c");

/// Headers on the include path of patched units.
const HEADERS: [(&str, &str); 5] = [
    ("livepatch_notes.h", include_str!("../glue/include/livepatch_notes.h")),
    ("livepatch_static_keys.h", include_str!("../glue/include/livepatch_static_keys.h")),
    ("kpatch-macros.h", include_str!("../glue/include/kpatch-macros.h")),
    ("kpatch-syscall.h", include_str!("../glue/include/kpatch-syscall.h")),
    ("linux/livepatch_helpers.h", include_str!("../glue/include/linux/livepatch_helpers.h")),
];

/// A replaced function, as the frame registers it.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// Name in the running kernel.
    pub name: String,
    /// Position among its namesakes: 0 when unique.
    pub position: u32,
    /// The alias of the new function.
    pub alias: String,
    /// Source file.
    pub source: String,
}

/// A callback, as the frame registers it.
#[derive(Clone, Debug)]
pub struct Callback {
    /// The function's name.
    pub function: String,
    /// Its alias.
    pub alias: String,
}

/// What is registered for a kernel object.
#[derive(Clone, Debug, Default)]
pub struct ObjectTable {
    /// Replaced functions.
    pub functions: Vec<Replaced>,
    /// Callbacks: one of a kind.
    pub callbacks: BTreeMap<CallbackKind, Callback>,
}

/// What is registered, by kernel object: `vmlinux` or a module's name.
pub type Objects = BTreeMap<String, ObjectTable>;

/// Writes the headers below `folder`, the one to put on the include path.
///
/// # Errors
/// The path that cannot be written, and why.
pub fn write_headers(folder: &Path) -> Result<(), (PathBuf, std::io::Error)> {
    for (name, text) in HEADERS {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| (path, error))?;
    }
    Ok(())
}

/// The frame's header: what is replaced by what, who is called when, and the namespaces that are imported.
pub fn table(kernel: &Kernel, objects: &Objects, namespaces: &BTreeSet<String>) -> String {
    let mut text = String::new();
    let bytes: Vec<String> =
        kernel.identity.build_id.as_bytes().iter().map(|byte| format!("{byte:#04x}")).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "#define LIVEPATCH_BUILD_ID {{ {} }}", bytes.join(", "));
    let _ = writeln!(text, "#define LIVEPATCH_BUILD_ID_TEXT \"{}\"", kernel.identity.build_id);
    let _ = writeln!(text, "#define LIVEPATCH_RELEASE \"{}\"\n", kernel.identity.release);
    for namespace in namespaces {
        let _ = writeln!(text, "MODULE_INFO(import_ns, \"{namespace}\");");
    }
    for (index, object) in objects.values().enumerate() {
        write_functions(&mut text, index, &object.functions);
        for (kind, callback) in &object.callbacks {
            let result = if *kind == CallbackKind::PrePatch { "int" } else { "void" };
            let _ = writeln!(text, "{result} {}(struct klp_object *);", callback.alias);
        }
    }
    text.push_str("static struct klp_object objects[] = {\n");
    for (index, (name, object)) in objects.iter().enumerate() {
        let name = if name == "vmlinux" { "NULL".to_owned() } else { format!("\"{name}\"") };
        let _ = write!(text, "\t{{ .name = {name}, .funcs = functions_{index}");
        for (kind, callback) in &object.callbacks {
            let _ = write!(text, ", .callbacks.{} = {}", kind.member(), callback.alias);
        }
        text.push_str(" },\n");
    }
    text.push_str("\t{ }\n};\n");
    text
}

fn write_functions(text: &mut String, index: usize, functions: &[Replaced]) {
    for function in functions {
        let _ = writeln!(text, "void {}(void);", function.alias);
    }
    let _ = writeln!(text, "static struct klp_func functions_{index}[] = {{");
    for function in functions {
        let _ = writeln!(
            text,
            "\t{{ .old_name = \"{}\", .new_func = {}, .old_sympos = {} }},",
            function.name, function.alias, function.position
        );
    }
    text.push_str("\t{ }\n};\n\n");
}

//! The compiler commands of objects, for whole folders at a time.
//!
//! Starting the kernel's make takes most of a second, whatever it is asked for. So it is asked for all units of a folder
//! at once, with `-n`: it says what it would do and does nothing. What it says is kept beside the kernel, a file for each
//! folder, and asked for once.

use crate::compile::{CompileError, SavedCommand, make_object, saved_command};
use crate::kernel::Kernel;
use crate::overlay::Overlay;
use crate::run::{self, RunError};
use crate::units::Units;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Noted commands, by object.
type Notes = BTreeMap<String, String>;

/// The commands of some objects, in the same order.
///
/// # Errors
/// [`CompileError`] when make fails or what it says is not understood.
pub fn commands_of(
    kernel: &Kernel,
    units: &Units,
    objects: &[String],
    log: &Path,
) -> Result<Vec<SavedCommand>, CompileError> {
    let folders: BTreeSet<&str> = objects.iter().map(|object| folder_of(object)).collect();
    let mut known = Notes::new();
    for folder in &folders {
        known.extend(read(&path_of(kernel, folder)));
    }
    // An object that is there already is no work for make: it would say nothing of it, and kbuild's note is beside it.
    let is_unknown =
        |object: &&String| !known.contains_key(*object) && saved_command(&kernel.source(), object).is_err();
    let missing: BTreeSet<&str> = objects.iter().filter(is_unknown).map(|object| folder_of(object)).collect();
    if !missing.is_empty() {
        known.extend(ask(kernel, units, &missing, objects, log)?);
    }
    objects.iter().map(|object| command_of(kernel, &known, object, log)).collect()
}

/// Compiles, and where that fails has make compile the object first: it makes the generated files that a unit needs.
///
/// # Errors
/// The compiler's error, when make cannot help.
pub fn with_generated<T>(
    kernel: &Kernel,
    object: &str,
    log: &Path,
    compile: impl Fn() -> Result<T, CompileError>,
) -> Result<T, CompileError> {
    let path = kernel.source().join(object);
    after_making(|| path.exists(), || make_object(kernel, object, log), compile)
}

/// Compiles a patched unit that failed once more, in a mirror that shows the files that were generated since the first one was
/// made, and has make generate them where nobody did: the original may have been compiled long ago and kept.
///
/// # Errors
/// The compiler's error, when make cannot help.
pub fn anew<T>(
    kernel: &Kernel,
    overlay: &Overlay,
    object: &str,
    log: &Path,
    compile: impl Fn() -> Result<T, CompileError>,
) -> Result<T, CompileError> {
    with_generated(kernel, object, log, || {
        overlay.renew();
        compile()
    })
}

/// Whether make may help is asked before the compiler is: while it fails here, make may bring the object for another unit, and
/// with it what was missing.
fn after_making<T>(
    is_there: impl Fn() -> bool,
    make: impl FnOnce() -> Result<(), RunError>,
    compile: impl Fn() -> Result<T, CompileError>,
) -> Result<T, CompileError> {
    let was_there = is_there();
    match compile() {
        Err(CompileError::Run(RunError::Failed { .. })) if !was_there => {
            make()?;
            compile()
        }
        other => other,
    }
}

fn command_of(
    kernel: &Kernel,
    known: &Notes,
    object: &str,
    log: &Path,
) -> Result<SavedCommand, CompileError> {
    if let Some(command) = known.get(object).and_then(|noted| SavedCommand::parse(noted, object)) {
        return Ok(command);
    }
    if let Ok(command) = saved_command(&kernel.source(), object) {
        return Ok(command);
    }
    make_object(kernel, object, log)?;
    saved_command(&kernel.source(), object)
}

/// Asks make for the commands of all units in some folders, and keeps them.
fn ask(
    kernel: &Kernel,
    units: &Units,
    folders: &BTreeSet<&str>,
    also: &[String],
    log: &Path,
) -> Result<Notes, CompileError> {
    let of_folder =
        |folder: &&str| -> Vec<String> { units.in_folder(folder).filter_map(object_of).collect() };
    let mut objects: BTreeSet<String> = folders.iter().flat_map(of_folder).collect();
    objects.extend(also.iter().filter(|object| folders.contains(folder_of(object))).cloned());
    // With nothing to make, make would make everything.
    if objects.is_empty() {
        return Ok(Notes::new());
    }
    let lock = kernel.lock_tree_shared();
    let _lock = lock.map_err(|source| RunError::File { path: kernel.folder.clone(), source })?;
    let mut make = Command::new("make");
    make.args(["-n", "-s", "-k", "-o", "prepare", "-C"]).arg(kernel.source());
    make.args(kernel.make_variables()).args(&objects).stderr(Stdio::null());
    // What it cannot make it leaves out: that is asked for again, alone, and then fails with make's own words.
    let (_, text) = run::output(&mut make)?;
    let notes = parse(&text);
    for folder in folders {
        let of_folder: Notes = notes
            .iter()
            .filter(|(object, _)| folder_of(object) == *folder)
            .map(|(a, b)| (a.clone(), b.clone()))
            .collect();
        keep(&path_of(kernel, folder), &of_folder, log);
    }
    Ok(notes)
}

/// What make -n says of each object: the arguments of fixdep are the dependency file, the object and, quoted for the shell,
/// the command for the note (scripts/Kbuild.include, `cmd_and_fixdep`).
fn parse(text: &str) -> Notes {
    let mut notes = Notes::new();
    for line in text.lines().filter(|line| line.contains("fixdep ")) {
        let Some((_, call)) = line.rsplit_once("scripts/basic/fixdep ") else { continue };
        let mut words = call.splitn(3, ' ');
        let (Some(_), Some(object), Some(rest)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let Some((quoted, _)) = rest.rsplit_once("' > ") else { continue };
        let Some(quoted) = quoted.strip_prefix('\'') else { continue };
        notes.insert(object.to_owned(), quoted.replace("'\\''", "'"));
    }
    notes
}

/// `fs/x.o` of `fs/x.c`.
fn object_of(source: &str) -> Option<String> {
    source.strip_suffix(".c").map(|stem| format!("{stem}.o"))
}

fn folder_of(object: &str) -> &str {
    object.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn path_of(kernel: &Kernel, folder: &str) -> PathBuf {
    kernel.folder.join("commands").join(format!("{}.json", folder.replace('/', "%")))
}

/// Nothing when they were never kept, or are damaged.
fn read(path: &Path) -> Notes {
    std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// What cannot be kept is asked for again the next time.
fn keep(path: &Path, notes: &Notes, log: &Path) {
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(path.parent().unwrap_or(path))?;
        let mut all = read(path);
        all.extend(notes.clone());
        crate::sign::replace(path, &serde_json::to_vec(&all)?)
    };
    if let Err(error) = write() {
        run::note(log, &format!("cannot keep {}: {error}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A compiler that misses a header until make has run.
    fn compiled(make_has_run: &std::cell::Cell<bool>) -> Result<(), CompileError> {
        if make_has_run.get() {
            return Ok(());
        }
        let status = std::os::unix::process::ExitStatusExt::from_raw(256);
        let (program, words, log) = ("gcc".to_owned(), "no such file".to_owned(), PathBuf::new());
        Err(RunError::Failed { program, status, words, log }.into())
    }

    #[test]
    fn a_unit_is_tried_again_also_when_another_one_had_its_object_made_meanwhile() {
        let made = std::cell::Cell::new(false);
        let looked = std::cell::Cell::new(0);
        // There as soon as it was looked for once: somebody else is at it.
        let is_there = || looked.replace(looked.get() + 1) > 0;
        let make = || {
            made.set(true);
            Ok(())
        };
        assert!(after_making(is_there, make, || compiled(&made)).is_ok());
        let in_vain = std::cell::Cell::new(false);
        let make = || panic!("an object that was there is not made again");
        assert!(after_making(|| true, make, || compiled(&in_vain)).is_err());
    }

    #[test]
    fn answers_of_make_are_read() {
        let text = "make -f x\nset -e; exec >/dev/null; gcc -c -o fs/x.o fs/x.c; scripts/basic/fixdep fs/.x.o.d fs/x.o 'gcc -Wp,-MMD,fs/.x.o.d -DA='\\''\"x\"'\\'' -DM -DKBUILD_MODNAME='\\''\"x\"'\\'' -DB=$$C -c -o fs/x.o fs/x.c   ; ./tools/objtool/objtool --orc   fs/x.o' > fs/.x.o.cmd; rm -f fs/.x.o.d\n";
        let notes = parse(text);
        let command =
            SavedCommand::parse(&notes["fs/x.o"], "fs/x.o").map(|command| command.text().to_owned());
        let wanted =
            "gcc -Wp,-MMD,fs/.x.o.d -DA='\"x\"' -DM -DKBUILD_MODNAME='\"x\"' -DB=$C -c -o fs/x.o fs/x.c";
        assert_eq!(command.as_deref(), Some(wanted));
        assert!(parse("scripts/basic/fixdep a\nfixdep\n").is_empty());
    }
}

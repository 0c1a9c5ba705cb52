//! Compiles single translation units with the kernel's own commands.
//!
//! kbuild notes the command of every object that it makes in a file beside it (`.NAME.o.cmd`; scripts/Kbuild.include,
//! `cmd_and_fixdep`). The first time, make compiles the object once and so writes that note; from then on the
//! command is run directly, with another input and output.

use crate::kernel::Kernel;
use crate::run::{self, RunError};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Flags that give every function and object a section of its own, and debug information of types, functions and
/// variables. Where variables are at each instruction is left out: nothing asks for it, and it would cost the compiler as
/// much as a quarter of its time. No flag for debug information changes the code (gcc: `-fcompare-debug`).
pub const SECTION_FLAGS: [&str; 7] = [
    "-ffunction-sections",
    "-fdata-sections",
    "-g",
    "-gz=none",
    "-fno-var-tracking",
    "-fno-var-tracking-assignments",
    "-gno-statement-frontiers",
];

/// Why a unit cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// kbuild left no usable note.
    #[error("kbuild's note of how {object} is compiled is not understood: {reason}")]
    Note {
        /// Object path.
        object: String,
        /// Why.
        reason: String,
    },
    /// objtool does not understand the code that goes into the module.
    #[error("the kernel's objtool objects to the extracted code of {}:\n{words}", object.display())]
    Objtool {
        /// The object.
        object: PathBuf,
        /// What it says.
        words: String,
    },
    /// make or the compiler failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The tree with the patched files cannot be made.
    #[error("cannot show the compiler the patched files")]
    Overlay(#[from] std::io::Error),
}

/// How kbuild compiles one object.
#[derive(Clone, Debug)]
pub struct SavedCommand {
    compiler: String,
    /// Input as the command names it.
    input: String,
    /// `-o` argument as the command names it.
    output: String,
    objtool: Option<String>,
}

/// Has make compile an object in the tree, with whatever generated files it needs.
///
/// # Errors
/// [`RunError`] when make fails.
pub fn make_object(kernel: &Kernel, object: &str, log: &Path) -> Result<(), RunError> {
    let _lock =
        kernel.lock_tree().map_err(|source| RunError::File { path: kernel.folder.clone(), source })?;
    let mut make = Command::new("make");
    // `kernel add` has prepared the tree; not asking again halves the time that make needs before it compiles.
    make.args(["-s", "-o", "prepare", "-C"]).arg(kernel.source()).args(kernel.make_variables()).arg(object);
    run::logged(&mut make, log)
}

/// The command that kbuild noted for an object.
///
/// # Errors
/// [`CompileError::Note`] when there is no note or it is not understood.
pub fn saved_command(source: &Path, object: &str) -> Result<SavedCommand, CompileError> {
    let wrong = |reason: String| CompileError::Note { object: object.to_owned(), reason };
    let text =
        std::fs::read_to_string(note_path(source, object)).map_err(|error| wrong(error.to_string()))?;
    parse_note(&text, object).ok_or_else(|| wrong("its form is unknown".into()))
}

fn note_path(source: &Path, object: &str) -> PathBuf {
    let path = Path::new(object);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    source.join(path.with_file_name(format!(".{name}.cmd")))
}

fn parse_note(text: &str, object: &str) -> Option<SavedCommand> {
    let (key, command) = text.lines().next()?.split_once(" := ")?;
    if key != format!("cmd_{object}") && key != format!("savedcmd_{object}") {
        return None;
    }
    SavedCommand::parse(command, object)
}

impl SavedCommand {
    /// Reads a command as kbuild writes it into a note (scripts/Kbuild.include, `make-cmd`).
    pub(crate) fn parse(noted: &str, object: &str) -> Option<Self> {
        let command = noted.replace("$$", "$").replace("$(pound)", "#").replace("\\#", "#");
        let (compiler, after) = command.split_once(" ; ").unwrap_or((&command, ""));
        let compiler = compiler.trim();
        let objtool = after.trim().strip_suffix(object).map(|objtool| objtool.trim().to_owned());
        let objtool = objtool.filter(|objtool| objtool.contains("objtool"));
        let input = compiler.rsplit(' ').next()?.to_owned();
        let output = format!(" -o {object} ");
        let sound = input.ends_with(".c") && compiler.contains(&output);
        sound.then(|| Self { compiler: compiler.to_owned(), input, output, objtool })
    }

    /// The same command for another unit of the same folder and object.
    pub(crate) fn for_another(&self, source: &str, object: &str) -> Self {
        let base = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name.rsplit_once('.').map_or(name, |(stem, _)| stem).replace(['-', ','], "_")
        };
        let named = |path: &str| format!("-DKBUILD_BASENAME='\"{}\"'", base(path));
        let words = self.compiler.strip_suffix(&self.input).unwrap_or(&self.compiler);
        let output = format!(" -o {object} ");
        let words = words.replace(&self.output, &output).replace(&named(&self.input), &named(source));
        Self {
            compiler: format!("{words}{source}"),
            input: source.to_owned(),
            output,
            objtool: self.objtool.clone(),
        }
    }

    /// The compiler's part of the command, as kbuild has it.
    pub fn text(&self) -> &str {
        &self.compiler
    }

    /// The module that the object belongs to, as the kernel names it; `None` when it is built into vmlinux.
    pub fn module_name(&self) -> Option<String> {
        let is_module = self.compiler.split(' ').any(|flag| flag == "-DMODULE");
        is_module.then(|| self.definition("KBUILD_MODNAME")).flatten()
    }

    fn definition(&self, name: &str) -> Option<String> {
        let start = format!("-D{name}='\"");
        let rest = &self.compiler[self.compiler.find(&start)? + start.len()..];
        Some(rest[..rest.find('"')?].to_owned())
    }

    /// Compiles `input` to `output` with this command and further flags, in a folder that is or looks like the tree.
    ///
    /// # Errors
    /// [`RunError`] with the compiler's last words.
    pub fn compile(
        &self,
        folder: &Path,
        input: &Path,
        output: &Path,
        flags: &[String],
        log: &Path,
    ) -> Result<(), RunError> {
        let words = self.compiler.strip_suffix(&self.input).unwrap_or(&self.compiler);
        // Paths come as arguments of the shell, so that no character in them means anything.
        let script = format!("{} \"$@\"", without_dependencies(words).replace(&self.output, " "));
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).args(flags).arg("-o").arg(output).arg(input).current_dir(folder);
        run::logged(&mut command, log)
    }

    /// The objtool command in the note itself, without the object's name.
    pub fn own_objtool(&self) -> Option<&str> {
        self.objtool.as_deref()
    }

    /// Only preprocesses; the output has no line marks.
    ///
    /// # Errors
    /// [`RunError`] with the preprocessor's last words.
    pub fn preprocess(
        &self,
        folder: &Path,
        input: &Path,
        output: &Path,
        flags: &[String],
        log: &Path,
    ) -> Result<(), RunError> {
        let flags: Vec<String> =
            ["-E", "-P"].map(str::to_owned).into_iter().chain(flags.iter().cloned()).collect();
        // The last of -c, -S and -E would not win: gcc takes -E from wherever it stands.
        self.compile(folder, input, output, &flags, log)
    }

    /// Runs the kernel's objtool on an object that goes into a module, as kbuild would: with the command of the unit's own
    /// note, else with `late`, that for whole modules. It reports what it does not understand as a warning and then leaves
    /// its tables out, so any word of it is an error here.
    ///
    /// # Errors
    /// [`CompileError::Objtool`] when it has anything to say.
    pub fn objtool(&self, source: &Path, object: &Path, late: Option<&str>) -> Result<(), CompileError> {
        let Some(objtool) = self.own_objtool().or(late) else { return Ok(()) };
        let module = if objtool.split(' ').any(|flag| flag == "--module") { "" } else { " --module" };
        let script = format!("{objtool}{module} \"$1\" 2>&1");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).arg(object).current_dir(source);
        let (succeeded, words) = run::output(&mut command)?;
        if succeeded && words.trim().is_empty() {
            return Ok(());
        }
        Err(CompileError::Objtool { object: object.to_owned(), words })
    }
}

/// kbuild has the compiler write what the object depends on beside it: not in a tree that is not written to.
fn without_dependencies(words: &str) -> String {
    let words: Vec<&str> = words.split(' ').filter(|word| !word.starts_with("-Wp,-MMD,")).collect();
    words.join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    const NOTE: &str = "cmd_fs/x/y.o := gcc-12 -Wp,-MMD,fs/x/.y.o.d -DMODULE -DKBUILD_MODNAME='\"y_z\"' -c -o fs/x/y.o fs/x/y.c   ; ./tools/objtool/objtool --orc --uaccess   fs/x/y.o\n";

    #[test]
    fn note_tells_module_and_objtool() {
        let command = parse_note(NOTE, "fs/x/y.o").unwrap();
        assert_eq!(command.module_name().as_deref(), Some("y_z"));
        assert_eq!(command.objtool.as_deref(), Some("./tools/objtool/objtool --orc --uaccess"));
    }

    #[test]
    fn note_of_another_object_is_refused() {
        assert!(parse_note(NOTE, "fs/x/z.o").is_none());
        assert!(parse_note("", "fs/x/y.o").is_none());
        assert!(parse_note("cmd_fs/x/y.o := as -o fs/x/y.o fs/x/y.S", "fs/x/y.o").is_none());
    }
}

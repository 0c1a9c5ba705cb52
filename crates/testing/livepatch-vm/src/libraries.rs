//! Which shared libraries a program of the host needs.

use crate::VmError;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The files that the dynamic loader would map for this program, loader included; none for a static one.
///
/// `ldd` runs the loader, so this is for trusted programs only, which is what a test puts into a guest.
pub(crate) fn closure(program: &Path) -> Result<Vec<PathBuf>, VmError> {
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .map_err(|source| VmError::Spawn { program: "ldd", source })?;
    if !output.status.success() {
        return Ok(Vec::new()); // "not a dynamic executable"
    }
    parse(&String::from_utf8_lossy(&output.stdout))
        .map_err(|library| VmError::NoLibrary { program: program.to_owned(), library })
}

/// Lines are `NAME => PATH (0x…)`, `PATH (0x…)` for the loader, `NAME (0x…)` for the kernel's vDSO.
fn parse(text: &str) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, rest) = line.split_once(" => ").unwrap_or((line, line));
        if rest.starts_with("not found") {
            return Err(name.to_owned());
        }
        let path = rest.split(" (").next().unwrap_or(rest);
        if path.starts_with('/') {
            paths.push(PathBuf::from(path));
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_and_libraries_are_found_and_the_vdso_is_not_a_file() {
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(parse(text), Ok(expected.to_vec()));
    }

    #[test]
    fn a_missing_library_is_named() {
        assert_eq!(parse("\tlibx.so => not found\n"), Err("libx.so".to_owned()));
        assert_eq!(parse("\tstatically linked\n"), Ok(vec![]));
    }
}

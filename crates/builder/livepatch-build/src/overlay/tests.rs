//! What a compiler sees in the mirrored tree.

use super::*;
use std::process::Command;

/// A tree with a header in `fs/nfsd`, which `fs/other/unit.c` reaches in ways of its own.
fn tree(folder: &Path, unit: &str) -> PathBuf {
    let source = folder.join("source");
    let files = [
        ("include/linux/a.h", "#define A 1\n"),
        (
            "fs/nfsd/export.h",
            "#include <linux/a.h>\n#define EXPORT A\nstatic const char *const where = __FILE__;\n",
        ),
        ("fs/nfsd/inner.h", "#include \"export.h\"\n"),
        ("fs/other/unit.c", unit),
    ];
    for (name, text) in files {
        let path = source.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    source
}

/// Compiles the unit as kbuild would, with relative paths; answers the bytes of the object and what was read.
fn gcc(tree: &Path, output: &Path) -> io::Result<(Vec<u8>, Vec<String>)> {
    let dependencies = output.with_extension("d");
    let mut gcc = Command::new("gcc");
    gcc.args(["-Iinclude", "-O1", "-c", "-MD", "-MF"]).arg(&dependencies).arg("-o").arg(output);
    assert!(gcc.arg("fs/other/unit.c").current_dir(tree).status()?.success());
    let read = crate::objects::dependencies(&std::fs::read_to_string(dependencies)?);
    Ok((std::fs::read(output)?, read))
}

fn overlay(folder: &Path, source: &Path, files: &[(&str, &str)]) -> Overlay {
    let texts = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    Overlay::write(source, &folder.join("work"), &texts).unwrap()
}

fn compiled(folder: &Path, overlay: &Overlay) -> Vec<u8> {
    let mut object = Vec::new();
    let compiler = |tree: &Path| {
        let (bytes, read) = gcc(tree, &folder.join("patched.o"))?;
        object = bytes;
        Ok::<_, io::Error>(read)
    };
    overlay.compile(compiler).unwrap();
    object
}

const EXPORT: &str = "#include <linux/a.h>\n#define EXPORT A\nstatic const char *const where = __FILE__;\n";

#[test]
fn what_was_generated_since_is_seen_in_a_new_mirror() {
    let folder = tempfile::tempdir().unwrap();
    let source = tree(folder.path(), "int value;\n");
    let overlay = overlay(folder.path(), &source, &[("fs/other/unit.c", "int patched;\n")]);
    let sees = || {
        let mut seen = false;
        let compiler = |tree: &Path| {
            seen = tree.join("fs/other/flask.h").exists();
            Ok::<_, io::Error>(Vec::new())
        };
        overlay.compile(compiler).unwrap();
        seen
    };
    assert!(!sees());
    std::fs::write(source.join("fs/other/flask.h"), "").unwrap();
    assert!(!sees(), "others may be at work in the mirror, so it stays as it is");
    overlay.renew();
    assert!(sees());
}

#[test]
fn patched_header_is_seen_however_it_is_included() {
    for include in ["\"../nfsd/export.h\"", "\"../nfsd/inner.h\"", "\"../../fs/other/../nfsd/inner.h\""] {
        let folder = tempfile::tempdir().unwrap();
        let unit =
            format!("#include {include}\nint value = EXPORT; const char *f(void) {{ return where; }}\n");
        let source = tree(folder.path(), &unit);
        let changed = EXPORT.replace("EXPORT A", "EXPORT 0x5a5a5a5a");
        let overlay = overlay(folder.path(), &source, &[("fs/nfsd/export.h", &changed)]);
        let object = compiled(folder.path(), &overlay);
        assert!(object.windows(4).any(|word| word == [0x5a; 4]), "{include}");
    }
}

#[test]
fn unpatched_text_compiles_to_the_very_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let unit = "#include \"../nfsd/inner.h\"\nint value = EXPORT; const char *f(void) { return where; }\nconst char *g(void) { return __FILE__; }\n";
    let source = tree(folder.path(), unit);
    let (original, _) = gcc(&source, &folder.path().join("original.o")).unwrap();
    // The same text, but as a patched file, beside another that is patched too.
    let files = [("fs/nfsd/export.h", EXPORT), ("fs/other/unit.c", unit), ("include/linux/new.h", "\n")];
    let overlay = overlay(folder.path(), &source, &files);
    assert_eq!(compiled(folder.path(), &overlay), original);
    assert!(!source.join("include/linux/new.h").exists());
}

#[test]
fn digest_tells_texts_and_names_apart() {
    let folder = tempfile::tempdir().unwrap();
    let source = tree(folder.path(), "");
    let digest = |files: &[(&str, &str)]| overlay(folder.path(), &source, files).digest().to_owned();
    let one = digest(&[("fs/a.c", "x")]);
    assert_eq!(one, digest(&[("fs/a.c", "x")]));
    assert_ne!(one, digest(&[("fs/a.c", "y")]));
    assert_ne!(one, digest(&[("fs/b.c", "x")]));
}

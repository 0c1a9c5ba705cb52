//! What is kept, and when it is made again.

use super::*;
use std::collections::BTreeMap;

struct Tree {
    folder: tempfile::TempDir,
    command: SavedCommand,
}

impl Tree {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = Self { folder, command: SavedCommand::parse(COMMAND, "fs/x.o").unwrap() };
        tree.write("fs/x.c", "#include <a.h>\nint f(void) { return VALUE; }\n");
        tree.write("include/a.h", "#define VALUE 1\nstatic inline int unused(void) { return 1; }\n");
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(&format!("source/{name}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn objects(&self) -> Objects {
        Objects::at(&self.path("objects"), &self.path("source"), "gcc of the test")
    }

    /// Whether the compiler ran, and what it made.
    fn compile(&self, job: &Job<'_>) -> (bool, Vec<u8>) {
        let output = self.path("out.o");
        let ran = self.objects().compile(job, &output).unwrap() > 0.0;
        (ran, std::fs::read(output).unwrap())
    }

    fn overlay(&self, header: &str) -> Overlay {
        let texts = BTreeMap::from([("include/a.h".to_owned(), header.as_bytes().to_vec())]);
        let work = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        Overlay::write(&self.path("source"), &work, &texts).unwrap()
    }
}

const COMMAND: &str = "gcc -Wp,-MMD,fs/.x.o.d -Iinclude -O1 -DMODULE -c -o fs/x.o fs/x.c   ";

#[test]
fn original_is_compiled_once_and_again_when_what_it_reads_changes() {
    let tree = Tree::new();
    let job = Job::of_original(&tree.command, "fs/x.c", &[]);
    let (ran, first) = tree.compile(&job);
    assert!(ran && tree.compile(&job) == (false, first.clone()));
    let flags = ["-g".to_owned()];
    assert!(
        tree.compile(&Job::of_original(&tree.command, "fs/x.c", &flags)).0,
        "other flags are another entry"
    );
    tree.write("include/a.h", "#define VALUE 0x5a5a5a5a\n");
    let (ran, second) = tree.compile(&job);
    assert!(ran && second != first);
    // Nothing was written to the tree.
    assert!(!tree.path("source/fs/x.o").exists() && !tree.path("source/fs/.x.o.d").exists());
}

#[test]
fn damaged_entries_are_made_again() {
    let tree = Tree::new();
    let job = Job::of_original(&tree.command, "fs/x.c", &[]);
    let (_, first) = tree.compile(&job);
    let entries = || std::fs::read_dir(tree.path("objects")).unwrap().map(|entry| entry.unwrap().path());
    for damage in ["", "{", "words that are neither an object nor a note"] {
        for entry in entries() {
            std::fs::write(entry, damage).unwrap();
            assert_eq!(tree.compile(&job), (true, first.clone()), "{damage}");
            assert_eq!(tree.compile(&job), (false, first.clone()));
        }
    }
}

#[test]
fn patched_texts_are_entries_of_their_own_wherever_they_lie() {
    let tree = Tree::new();
    let original = tree.compile(&Job::of_original(&tree.command, "fs/x.c", &[])).1;
    let patched = |header: &str| {
        let overlay = tree.overlay(header);
        tree.compile(&Job { overlay: Some(&overlay), ..Job::of_original(&tree.command, "fs/x.c", &[]) })
    };
    let (ran, changed) = patched("#define VALUE 2\n");
    assert!(ran && changed != original);
    assert_eq!(patched("#define VALUE 2\n"), (false, changed));
    assert_eq!(patched("#define VALUE 1 /* as it was */\n"), (true, original));
}

#[test]
fn relevant_text_leaves_out_what_nothing_is_made_of() {
    let tree = Tree::new();
    let relevant = |header: &str| {
        let overlay = tree.overlay(header);
        let job = Job { overlay: Some(&overlay), ..Job::of_original(&tree.command, "fs/x.c", &[]) };
        tree.objects().relevant(&job, &tree.path("scratch")).unwrap()
    };
    let original = tree
        .objects()
        .relevant(&Job::of_original(&tree.command, "fs/x.c", &[]), &tree.path("scratch"))
        .unwrap();
    assert_eq!(relevant("#define VALUE 1\nstatic inline int unused(void) { return 2; }\n"), original);
    assert_ne!(relevant("#define VALUE 2\nstatic inline int unused(void) { return 1; }\n"), original);
}

#[test]
fn failing_compiler_leaves_no_entry() {
    let tree = Tree::new();
    tree.write("fs/x.c", "int f(void) {");
    let job = Job::of_original(&tree.command, "fs/x.c", &[]);
    let error = tree.objects().compile(&job, &tree.path("out.o")).unwrap_err();
    assert!(error.to_string().contains("error:"), "{error}");
    assert!(!tree.path("objects").exists());
}

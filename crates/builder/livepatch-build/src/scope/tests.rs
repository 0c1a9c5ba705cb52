//! From patches to units, on a small kernel of the test's own.

use super::*;
use livepatch_kernel::KernelIdentity;
use std::path::PathBuf;

/// Units that the small kernel is built from.
const UNITS: [&str; 5] = ["fs/user.c", "fs/holder.c", "fs/other.c", "mm/pasting.c", "mm/part_user.c"];

struct Small {
    folder: tempfile::TempDir,
    kernel: Kernel,
    units: Units,
}

fn files() -> [(&'static str, &'static str); 9] {
    [
        (
            "include/linux/thing.h",
            "struct thing {\n\tint a;\n\tint b;\n};\n\nstatic inline int thing_sum(struct thing *t)\n{\n\treturn t->a + t->b;\n}\n\nstatic inline int thing_unused(int a)\n{\n\treturn a;\n}\n",
        ),
        (
            "include/linux/wrap.h",
            "#include <linux/thing.h>\n#define SUM(t) thing_sum(t)\nstruct holder {\n\tstruct thing inner;\n};\n",
        ),
        ("fs/user.c", "#include <linux/wrap.h>\nint user(struct thing *t) { return SUM(t); }\n"),
        ("fs/holder.c", "#include <linux/wrap.h>\nint holder_size(void) { return sizeof(struct holder); }\n"),
        ("fs/other.c", "#include <linux/wrap.h>\nint other(void) { return 1; }\n"),
        (
            "mm/pasting.c",
            "#include <linux/thing.h>\n#define CALL(a, b) a##_##b\nint pasting(void *t) { return CALL(thing, sum)(t); }\n",
        ),
        ("mm/part_user.c", "#include \"part.c\"\nint part_user(void) { return part(); }\n"),
        ("mm/part.c", "static int part(void)\n{\n\treturn 1;\n}\n"),
        ("fs/Makefile", "obj-y := user.o holder.o other.o\n"),
    ]
}

impl Small {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("kernels/6.1.0-1-test");
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for (name, text) in files() {
            write(&format!("source/{name}"), text);
        }
        for part in ["fs", "mm"] {
            let in_part =
                UNITS.iter().filter(|unit| unit.starts_with(part)).map(|unit| unit.trim_end_matches(".c"));
            let notes: BTreeMap<String, String> = in_part
                .map(|stem| (format!("{stem}.o"), format!("gcc -Iinclude -O1 -c -o {stem}.o {stem}.c")))
                .collect();
            write(&format!("commands/{part}.json"), &serde_json::to_string(&notes).unwrap());
        }
        let kernel = Kernel {
            identity: KernelIdentity {
                release: "6.1.0-1-test".parse().unwrap(),
                build_id: "3b43fad53b43fad53b43fad53b43fad53b43fad5".parse().unwrap(),
                arch: "x86_64".into(),
            },
            version: "1".into(),
            source_package: "linux-source-6.1".into(),
            compiler: "gcc".into(),
            compiler_version: "gcc of the test".into(),
            entry_sizes: Default::default(),
            objtool: Default::default(),
            make_variables: Vec::new(),
            origin: Default::default(),
            folder: root,
        };
        Self { folder, kernel, units: Units::with("vmlinux", &UNITS) }
    }

    /// Applies the replacements as a patch; answers what it comes down to.
    fn scope(&self, changes: &[(&str, &str, &str)]) -> Result<Scope, ScopeError> {
        let mut patch = String::new();
        for (file, from, to) in changes {
            let old = std::fs::read_to_string(self.kernel.source().join(file)).unwrap_or_default();
            let new = if from.is_empty() { format!("{to}{old}") } else { old.replace(from, to) };
            let diff = similar::TextDiff::from_lines(&old, &new);
            let name = if old.is_empty() { "/dev/null".to_owned() } else { format!("a/{file}") };
            patch += &diff.unified_diff().header(&name, &format!("b/{file}")).to_string();
        }
        self.scope_of(&patch)
    }

    fn scope_of(&self, patch: &str) -> Result<Scope, ScopeError> {
        let work = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let path: PathBuf = work.join("fix.patch");
        std::fs::write(&path, patch).unwrap();
        let patched = apply(&self.kernel.source(), &[path])?;
        let never = |first: &[Touched], _: &Overlay| panic!("asked about {first:?}");
        find(&self.kernel, &self.units, patched, MOST, (&work, &work.join("log")), never)
    }

    fn touched(&self, changes: &[(&str, &str, &str)]) -> Vec<String> {
        self.scope(changes).unwrap().touched.into_iter().map(|unit| unit.source).collect()
    }
}

const MOST: usize = 2 * SAMPLE;
const HEADER: &str = "include/linux/thing.h";

#[test]
fn changed_inline_function_reaches_its_users_through_macros_and_pasted_names() {
    let small = Small::new();
    assert_eq!(small.touched(&[(HEADER, "t->a + t->b", "t->a - t->b")]), ["fs/user.c", "mm/pasting.c"]);
}

#[test]
fn new_member_reaches_whoever_is_made_of_it() {
    let small = Small::new();
    let touched = small.touched(&[(HEADER, "\tint b;\n", "\tint b;\n\tint c;\n")]);
    assert_eq!(touched, ["fs/holder.c", "fs/user.c", "mm/pasting.c"]);
}

#[test]
fn what_nobody_uses_and_blank_lines_reach_nobody() {
    let small = Small::new();
    assert!(small.touched(&[(HEADER, "int thing_unused(int a)", "int thing_unused(long a)")]).is_empty());
    assert!(small.touched(&[(HEADER, "", "\n")]).is_empty());
    assert!(small.touched(&[(HEADER, "", "/* words */\n"), ("include/linux/wrap.h", "", "\n")]).is_empty());
}

#[test]
fn change_that_the_text_does_not_tell_is_told_by_the_preprocessor() {
    let small = Small::new();
    let scope = small.scope_of("--- a/include/linux/wrap.h\n+++ b/include/linux/wrap.h\n@@ -1,2 +1,3 @@\n #include <linux/thing.h>\n+#undef SUM\n #define SUM(t) thing_sum(t)\n").unwrap();
    assert!(scope.touched.is_empty(), "{:?}", scope.touched);
    let included = small.scope_of("--- a/include/linux/wrap.h\n+++ b/include/linux/wrap.h\n@@ -1 +1,2 @@\n #include <linux/thing.h>\n+#include \"extra.h\"\n--- /dev/null\n+++ b/include/linux/extra.h\n@@ -0,0 +1 @@\n+#define other another\n").unwrap();
    assert_eq!(included.touched.len(), 1, "{:?}", included.touched);
    assert_eq!(included.touched[0].source, "fs/other.c");
}

#[test]
fn included_c_file_is_taken_for_a_header_and_an_unused_one_is_refused() {
    let small = Small::new();
    assert_eq!(small.touched(&[("mm/part.c", "return 1", "return 2")]), ["mm/part_user.c"]);
    std::fs::write(small.kernel.source().join("mm/absent.c"), "int absent;\n").unwrap();
    let refused = small.scope(&[("mm/absent.c", "int absent", "int present")]);
    assert!(matches!(&refused, Err(ScopeError::File(refusal)) if refusal.code == "not-built"), "{refused:?}");
    let both =
        small.scope(&[("mm/absent.c", "int absent", "int present"), ("fs/other.c", "return 1", "return 2")]);
    let both = both.unwrap();
    assert_eq!(both.touched.len(), 1);
    assert!(both.notes.iter().any(|note| note.contains("mm/absent.c")), "{:?}", both.notes);
}

#[test]
fn new_file_is_compiled_as_a_unit_beside_it() {
    let small = Small::new();
    let scope = small
        .scope(&[
            ("fs/new.c", "", "int new(void) { return 1; }\n"),
            ("fs/Makefile", "other.o", "other.o new.o"),
        ])
        .unwrap();
    let unit = &scope.touched[0];
    assert_eq!((unit.source.as_str(), unit.like.as_deref()), ("fs/new.c", Some("fs/user.o")));
    let alone = small.scope(&[("fs/new.c", "", "int new(void) { return 1; }\n")]);
    assert!(matches!(&alone, Err(ScopeError::File(refusal)) if refusal.code == "not-built"), "{alone:?}");
}

#[test]
fn header_of_a_kernel_whose_units_are_not_all_known_is_refused() {
    let mut small = Small::new();
    small.units = Units::default();
    let refused = small.scope(&[(HEADER, "int b;", "long b;")]);
    assert!(
        matches!(&refused, Err(ScopeError::File(refusal)) if refusal.code == "units-unknown"),
        "{refused:?}"
    );
}

#[test]
fn wide_header_is_left_at_the_first_units_when_these_refuse_the_patch() {
    let mut small = Small::new();
    let many: Vec<String> = (0..=WIDE).map(|number| format!("fs/many{number}.c")).collect();
    for (number, name) in many.iter().enumerate() {
        let text =
            format!("#include <linux/wrap.h>\nint many{number}(struct thing *t) {{ return SUM(t); }}\n");
        std::fs::write(small.kernel.source().join(name), text).unwrap();
    }
    let all: Vec<&str> = UNITS.iter().copied().chain(many.iter().map(String::as_str)).collect();
    small.units = Units::with("vmlinux", &all);
    let refused = |patch: &str| {
        let work = tempfile::tempdir_in(small.folder.path()).unwrap().keep();
        std::fs::write(work.join("fix.patch"), patch).unwrap();
        let patched = apply(&small.kernel.source(), &[work.join("fix.patch")]).unwrap();
        let yes = |_: &[Touched], _: &Overlay| Ok::<_, ScopeError>(true);
        find(&small.kernel, &small.units, patched, MOST, (&work, &work.join("log")), yes).unwrap()
    };
    let header = "--- a/include/linux/thing.h\n+++ b/include/linux/thing.h\n@@ -2,2 +2,3 @@\n \tint a;\n \tint b;\n+\tint c;\n";
    let named = "--- a/fs/other.c\n+++ b/fs/other.c\n@@ -2 +2 @@\n-int other(void) { return 1; }\n+int other(void) { return 2; }\n";
    let sources =
        |scope: Scope| -> Vec<String> { scope.touched.into_iter().map(|unit| unit.source).collect() };
    // What the patch names itself, or else the shortest of what it reaches.
    let scope = refused(&format!("{header}{named}"));
    assert!(scope.notes[0].contains("fs/other.c alone will not be livepatched"), "{:?}", scope.notes);
    assert_eq!(sources(scope), ["fs/other.c"]);
    assert_eq!(sources(refused(header)), ["fs/other.c", "fs/user.c", "fs/many0.c", "fs/many1.c"]);
}

#[test]
fn header_that_more_units_see_than_a_livepatch_may_have_is_refused_by_a_sample() {
    let mut small = Small::new();
    let many: Vec<String> = (0..=MOST).map(|number| format!("fs/many{number}.c")).collect();
    let mut notes = BTreeMap::new();
    for (number, name) in many.iter().enumerate() {
        // Every other one uses what changes.
        let body = if number % 2 == 0 { "t->b" } else { "thing_unused(1)" };
        let text =
            format!("#include <linux/thing.h>\nint many{number}(struct thing *t) {{ return {body}; }}\n");
        std::fs::write(small.kernel.source().join(name), text).unwrap();
        let stem = name.trim_end_matches(".c");
        notes.insert(format!("{stem}.o"), format!("gcc -Iinclude -O1 -c -o {stem}.o {stem}.c"));
    }
    let noted = small.kernel.folder.join("commands/fs.json");
    std::fs::write(noted, serde_json::to_string(&notes).unwrap()).unwrap();
    small.units = Units::with("vmlinux", &many.iter().map(String::as_str).collect::<Vec<_>>());
    let header = "--- a/include/linux/thing.h\n+++ b/include/linux/thing.h\n@@ -2,2 +2,3 @@\n \tint a;\n \tint b;\n+\tint c;\n";
    let find_up_to = |most: usize| {
        let work = tempfile::tempdir_in(small.folder.path()).unwrap().keep();
        std::fs::write(work.join("fix.patch"), header).unwrap();
        let patched = apply(&small.kernel.source(), &[work.join("fix.patch")]).unwrap();
        let no = |_: &[Touched], _: &Overlay| Ok::<_, ScopeError>(false);
        find(&small.kernel, &small.units, patched, most, (&work, &work.join("log")), no)
    };
    let refused = find_up_to(10);
    assert!(
        matches!(&refused, Err(ScopeError::File(refusal)) if refusal.code == "wide-header"),
        "{refused:?}"
    );
    assert!(find_up_to(many.len()).unwrap().touched.len() > 10);
}

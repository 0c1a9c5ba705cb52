//! What debug information is read as, in each version of DWARF that kernels have.

use crate::compile::compile;
use livepatch_judge::debug::Type;
use livepatch_judge::{DebugInfo, DebugSections};

const TEXT: &str = "struct flags { unsigned a:3; unsigned b:5; long long wide:40; };\n\
    struct list { struct list *next; struct flags flags; int (*call)(struct list *, const char *, ...); char name[4][2]; };\n\
    extern int use(struct list *);\n\
    int counter = 3;\n\
    static inline __attribute__((always_inline)) int inner(struct list *list)\n{\n\treturn use(list);\n}\n\
    int outer(struct list *list)\n{\n\tstatic int calls;\n\treturn inner(list) + ++calls + counter;\n}\n";

#[test]
fn every_version_of_the_format_tells_the_same() {
    for version in ["-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5"] {
        let bytes = compile(TEXT, &["-g", version, "-gno-strict-dwarf"]);
        let sections = DebugSections::read(&bytes).unwrap();
        let info = DebugInfo::read(&sections).unwrap();
        check_types(&info, version);
        check_functions(&info, version);
        let mut variables: Vec<(&str, bool)> =
            info.variables.iter().map(|variable| (variable.name, variable.function.is_some())).collect();
        variables.sort_unstable();
        assert_eq!(variables, [("calls", true), ("counter", false)], "{version}");
        assert!(info.variables.iter().all(|variable| variable.data.is_some()), "{version}");
    }
}

fn check_types(info: &DebugInfo<'_>, version: &str) {
    let composite = |tag: &str| {
        let found = info.types().find_map(|(_, kind)| match kind {
            Type::Composite(composite) if composite.tag == Some(tag) => Some(composite.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("{version}: no {tag}"))
    };
    let flags = composite("flags");
    let bits: Vec<(u64, Option<u64>)> =
        flags.members.iter().map(|member| (member.offset, member.bits)).collect();
    assert_eq!(bits, [(0, Some(3)), (3, Some(5)), (8, Some(40))], "{version}");
    assert_eq!(flags.size, Some(8));
    let list = composite("list");
    let spelled: Vec<String> =
        list.members.iter().map(|member| info.declare(member.of, member.name.unwrap())).collect();
    let expected = [
        "struct list *next",
        "struct flags flags",
        "int (*call)(struct list *, const char *, ...)",
        "char name[4][2]",
    ];
    assert_eq!(spelled, expected, "{version}");
    assert_eq!(info.path(list.place), "unit.c", "{version}");
    assert_eq!(list.place.line, 2, "{version}");
}

fn check_functions(info: &DebugInfo<'_>, version: &str) {
    let outer = (0..info.functions.len()).find(|&id| info.name_of(id) == "outer").unwrap();
    let function = &info.functions[outer];
    assert!(function.external && function.code.is_some(), "{version}");
    assert_eq!(info.prototype(&function.prototype, "outer"), "int outer(struct list *)", "{version}");
    let inlined: Vec<(&str, u32)> =
        function.inlined.iter().map(|call| (info.name_at(call.origin), call.call.line)).collect();
    assert_eq!(inlined, [("inner", 12)], "{version}");
}

#[test]
fn objects_without_debug_information_say_so() {
    let bytes = compile(TEXT, &["-g0"]);
    assert_eq!(DebugSections::read(&bytes).unwrap_err().to_string(), "the object has no debug information");
    let compressed = compile(TEXT, &["-g", "-gz=zlib"]);
    assert_eq!(
        DebugSections::read(&compressed).unwrap_err().to_string(),
        "the debug information is compressed"
    );
    assert!(DebugSections::read(b"\x7fELF").is_err());
}

//! The tables of replaced functions, in each form that is known.
#![allow(clippy::unwrap_used)] // a failed expectation is the test's answer

mod fixture;

use livepatch_module::{Module, Replacement, Replacements, TableForm};

fn expected() -> Vec<Replacements<'static>> {
    let function = |name, position, new| Replacement { name, position, new };
    vec![
        Replacements {
            object: "vmlinux",
            functions: vec![
                function("vfs_open", 0, "livepatched_open"),
                function("user_read", 2, "livepatched_read"),
            ],
            callbacks: vec![("pre_patch", "before"), ("post_unpatch", "after")],
        },
        Replacements {
            object: "loop",
            functions: vec![function("show_dio", 1, "livepatched_show")],
            callbacks: vec![],
        },
    ]
}

#[test]
fn every_form_tells_the_same() {
    for (bytes, form) in [
        (&*fixture::KLP_PATCH, TableForm::KlpPatch),
        (&*fixture::KPATCH, TableForm::Kpatch),
        (&*fixture::KLP_BUILD, TableForm::KlpBuild),
    ] {
        let module = Module::parse(bytes).unwrap();
        assert_eq!(module.replacements().unwrap(), Some((form, expected())), "{form:?}");
    }
}

#[test]
fn module_without_tables_replaces_nothing() {
    assert_eq!(Module::parse(&fixture::MODULE).unwrap().replacements().unwrap(), None);
}

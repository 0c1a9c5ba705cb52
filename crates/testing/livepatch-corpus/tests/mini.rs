//! Three real fixes along the whole road: one in vmlinux, one in a module, and one that must be refused.
#![allow(clippy::unwrap_used, missing_docs)] // a failed expectation is the test's answer

use livepatch_corpus::{Class, Options, run};
use livepatch_e2e::{Builder, Programs};

const RELEASE: &str = "6.1.0-54-cloud-amd64";

#[test]
fn three_fixes_come_out_as_they_must() {
    let directory = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let log = directory.path().join("kernel.log");
    if let Err(error) = Builder::new(&programs, &log, &|_| {}).add_kernel(RELEASE) {
        let text = format!("{error:#}");
        assert!(text.contains("package index"), "{text}");
        eprintln!("passed over: the package index no longer offers {RELEASE}");
        return;
    }
    let options = Options {
        from: "6.1.190-1".into(),
        to: "6.1.192-1".into(),
        package: "linux-source-6.1".into(),
        flavour: "cloud-amd64".into(),
        only: ["CVE-2026-93146", "CVE-2026-98969", "CVE-2025-21872"].map(str::to_owned).into(),
        first: None,
        jobs: 2,
        keep_built: false,
        no_build: true,
        no_boot: false,
        known: false,
        output: directory.path().join("corpus.tsv"),
    };
    let table = run(&options).unwrap();
    let row = |cve: &str| table.rows.iter().find(|row| row.cve == cve).unwrap();

    let namespace = row("CVE-2026-93146");
    assert_eq!((namespace.outcome, namespace.class), ("built", Class::Bodies), "{namespace:?}");
    assert_eq!(namespace.functions, ["proc_timens_set_offset"]);
    let text = row("CVE-2026-98969");
    assert_eq!((text.outcome, text.reason.as_str()), ("built", "loaded and unloaded"), "{text:?}");
    let boot = row("CVE-2025-21872");
    assert_eq!((boot.outcome, boot.class), ("refused", Class::Init), "{boot:?}");
    assert!(table.rows.iter().all(|row| row.build_cpu_s > 0.0), "{table:?}");
}

//! One fix for several kernels by one command: two of each series that is prepared.

use livepatch_e2e::{Programs, workspace_root};
use livepatch_kernel::KernelRelease;
use livepatch_manifest::Manifest;
use livepatch_vm::{CachedKernel, cache_directory};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn one_command_builds_for_two_kernels_of_each_series() {
    let (programs, directory) = (Programs::find().unwrap(), tempfile::tempdir().unwrap());
    let kernels = two_of_each_series();
    assert!(!kernels.is_empty(), "no kernel is prepared");
    let mut command = programs.command("livepatch-build");
    command.args(["build", "--format", "json", "--fix", "example=an example of ours", "--patch"]);
    command.arg(workspace_root().join("examples/patches/proc-cmdline.patch"));
    command.arg("--output").arg(directory.path());
    for kernel in &kernels {
        command.args(["--kernel", &kernel.release]);
    }
    let answer = command.output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    if kernels.len() == 1 {
        return;
    }
    let summary: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(summary["kernels"].as_array().unwrap().len(), kernels.len());
    for (kernel, entry) in kernels.iter().zip(summary["kernels"].as_array().unwrap()) {
        assert_eq!(
            (&entry["release"], &entry["outcome"]),
            (&kernel.release.as_str().into(), &"built".into())
        );
        let folder = directory.path().join(&kernel.release);
        let manifest = Manifest::parse(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest.kernel.release.as_str(), kernel.release);
        assert_eq!(manifest.objects[0].functions[0].name, "cmdline_proc_show");
        let module = std::fs::read(folder.join(manifest.file_name())).unwrap();
        let build_id = livepatch_module::Module::parse(&module).unwrap().build_id();
        assert_eq!(build_id, Some(manifest.kernel.build_id));
    }
}

fn two_of_each_series() -> Vec<CachedKernel> {
    let mut by_series: BTreeMap<String, Vec<CachedKernel>> = BTreeMap::new();
    for kernel in CachedKernel::all(&cache_directory()) {
        let release: KernelRelease = kernel.release.parse().unwrap();
        by_series.entry(release.series().to_owned()).or_default().push(kernel);
    }
    by_series.into_values().flat_map(|kernels| kernels.into_iter().take(2)).collect()
}

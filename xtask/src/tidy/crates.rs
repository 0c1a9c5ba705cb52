//! Rules about crates: who may depend on whom, and on what.
//!
//! Crates are grouped by who runs them (`crates/GROUP/NAME`). Groups meet only in `ground`, so that no program drags
//! another's world in, and each large library is named by one crate, so that it can be exchanged there.

use crate::workspace::cargo;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::PathBuf};

const GROUND: &str = "ground";
const TESTING: &str = "testing";
const XTASK: &str = "xtask";

/// A library, and the only crates that may name it.
const OWNED: [(&str, &[&str]); 9] = [
    ("tough", &["livepatch-trust"]),
    ("sqlx", &["livepatch-store"]),
    ("axum", &["livepatch-server"]),
    ("aide", &["livepatch-server"]),
    ("rusty-s3", &["livepatch-bucket"]),
    ("maud", &["livepatch-dashboard"]),
    // The ELF library: one crate reads published modules, the others take kernels and objects apart.
    ("object", &["livepatch-module", "livepatch-diff", "livepatch-judge", "livepatch-build"]),
    ("gimli", &["livepatch-judge"]),
    ("rsa", &["livepatch-module"]),
];

/// Crates that a group may use though they belong to another. The builder's boot test and the project's own tests boot
/// the same machines, so that an author sees what the project would see; the server's tests start real services.
const SHARED: [(&str, &str); 2] = [("builder", "livepatch-vm"), ("server", "livepatch-services")];

/// Ground crates do no input or output over a network and run on no executor; only TUF's library wants one.
const NOT_IN_GROUND: [&str; 4] = ["tokio", "ureq", "axum", "sqlx"];
const GROUND_EXCEPTIONS: [(&str, &str); 1] = [("livepatch-trust", "tokio")];

/// A crate of the workspace.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Its directory.
    pub(super) directory: PathBuf,
    /// `ground`, `builder`, `server`, `client`, `testing` or `xtask`.
    pub(super) group: String,
    has_library: bool,
    inherits_lints: bool,
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// The crates, from `cargo metadata`.
pub(super) fn members() -> Result<Vec<Member>> {
    let output = cargo().args(["metadata", "--format-version", "1", "--no-deps", "--locked"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata's answer")?;
    let root = metadata.workspace_root;
    metadata.packages.into_iter().map(|package| member(&root, package)).collect()
}

fn member(root: &std::path::Path, package: Package) -> Result<Member> {
    let manifest = fs::read_to_string(&package.manifest_path)?;
    let directory = package.manifest_path.parent().unwrap_or(root).to_owned();
    let inside = directory.strip_prefix(root).unwrap_or(&directory);
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let group = match parts.as_slice() {
        [crates, group, _] if crates == "crates" => group.clone(),
        _ => XTASK.to_owned(),
    };
    Ok(Member {
        name: package.name,
        directory,
        group,
        has_library: package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "lib")),
        inherits_lints: manifest.contains("[lints]\nworkspace = true"),
        dependencies: package.dependencies.into_iter().map(|dependency| dependency.name).collect(),
    })
}

/// Every violation, one line each.
pub(super) fn check(members: &[Member]) -> Vec<String> {
    let by_name: BTreeMap<&str, &Member> =
        members.iter().map(|member| (member.name.as_str(), member)).collect();
    let mut wrong = Vec::new();
    for member in members {
        if !member.inherits_lints {
            wrong.push(format!("{}: Cargo.toml lacks '[lints] workspace = true'", member.name));
        }
        for dependency in &member.dependencies {
            let problem = match by_name.get(dependency.as_str()) {
                Some(other) => direction(member, other),
                None => foreign(member, dependency),
            };
            wrong
                .extend(problem.map(|problem| format!("{} depends on {dependency}: {problem}", member.name)));
        }
    }
    wrong
}

/// Ground ← own group ← programs; the harness and the tasks stand above everything they test.
fn direction(from: &Member, to: &Member) -> Option<String> {
    let allowed = to.group == GROUND
        || (from.group == to.group && from.group != GROUND)
        || (from.group == XTASK && to.group == TESTING)
        || SHARED.contains(&(from.group.as_str(), to.name.as_str()));
    if !allowed {
        return Some(format!("{} may not depend on {}; groups meet only in ground", from.group, to.group));
    }
    (!to.has_library).then(|| "it is a program without a library".to_owned())
}

fn foreign(member: &Member, dependency: &str) -> Option<String> {
    if let Some((_, owners)) = OWNED.iter().find(|(library, _)| *library == dependency)
        && !owners.contains(&member.name.as_str())
    {
        return Some(format!("only {} may name it", owners.join(", ")));
    }
    let excepted = GROUND_EXCEPTIONS.contains(&(member.name.as_str(), dependency));
    (member.group == GROUND && NOT_IN_GROUND.contains(&dependency) && !excepted)
        .then(|| "ground crates have no network and no executor".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, group: &str, dependencies: &[&str]) -> Member {
        Member {
            name: name.into(),
            directory: PathBuf::new(),
            group: group.into(),
            has_library: true,
            inherits_lints: true,
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn workspace(extra: Member) -> Vec<Member> {
        vec![
            member("livepatch-kernel", GROUND, &[]),
            member("livepatch-trust", GROUND, &["tough", "tokio", "livepatch-kernel"]),
            member("livepatch-agent", "client", &["livepatch-trust"]),
            extra,
        ]
    }

    #[test]
    fn the_plan_s_own_shape_passes() {
        let livepatch = member("livepatch", "client", &["livepatch-agent", "livepatch-kernel"]);
        assert_eq!(check(&workspace(livepatch)), Vec::<String>::new());
    }

    #[test]
    fn the_builder_boots_machines_and_nobody_else_does() {
        let mut members = workspace(member("livepatch-build", "builder", &["livepatch-vm"]));
        members.push(member("livepatch-vm", TESTING, &["livepatch-kernel"]));
        assert_eq!(check(&members), Vec::<String>::new());
        members.push(member("livepatch-server", "server", &["livepatch-vm"]));
        assert!(check(&members)[0].contains("server may not depend on testing"));
    }

    #[test]
    fn each_rule_bites() {
        for (name, group, dependency, word) in [
            ("livepatch-server", "server", "livepatch-agent", "groups meet only in ground"),
            ("livepatch-cve", GROUND, "livepatch-agent", "groups meet only in ground"),
            ("livepatch-server", "server", "tough", "only livepatch-trust"),
            ("livepatch-cve", GROUND, "tokio", "no executor"),
        ] {
            let wrong = check(&workspace(member(name, group, &[dependency])));
            assert!(wrong.len() == 1 && wrong[0].contains(word), "{name} → {dependency}: {wrong:?}");
        }
    }

    #[test]
    fn programs_are_no_libraries() {
        let mut program = member("livepatch-admin", "server", &[]);
        program.has_library = false;
        let mut members = workspace(program);
        members.push(member("livepatch-server", "server", &["livepatch-admin"]));
        assert!(check(&members)[0].contains("program without a library"));
    }
}

//! The examples that come with the package do what they promise: cloud-init's steps on a Debian system, Ansible's playbook as
//! far as Ansible checks it without a machine that has Python.

use crate::{
    installed::{LIMIT, Stage, wait_for_state},
    scene::TIER,
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Brings a parser for YAML along.
const ANSIBLE: &str = "ansible-core==2.16.14";

#[test]
#[ignore = "long: cargo xtask test --long"]
fn cloud_init_installs_and_enrols_a_machine() {
    let stage = Stage::new();
    let site = stage.scene.site();
    site.publish(&stage.scene.prepared.build(), TIER).unwrap();
    let token = site.create_token(TIER).unwrap();
    let config = read(&example("cloud-init.yaml"));
    let machine =
        stage.system.boot_with(|builder| builder.file(&stage.package, "/root/livepatch.deb", 0o644)).unwrap();
    let guest = machine.guest();
    for file in config["write_files"].as_array().unwrap() {
        let path = text(&file["path"]);
        let content = text(&file["content"])
            .replace("https://LIVEPATCH.EXAMPLE.COM", &site.guest_url())
            .replace("ENROLMENT-TOKEN", &token);
        let write = format!(
            "mkdir -p $(dirname {path}) && cat > {path} << 'END'\n{}\nEND\nchmod {} {path}",
            content.trim_end(),
            text(&file["permissions"])
        );
        guest.check(&write, LIMIT).unwrap();
    }
    let steps = config["runcmd"].as_array().unwrap();
    for (number, step) in steps.iter().enumerate() {
        let words: Vec<&str> = step.as_array().unwrap().iter().map(text).collect();
        if words[0] == "curl" {
            // The package comes from nearer.
            let place = words[words.iter().position(|word| *word == "--output").unwrap() + 1];
            guest.check(&format!("cp /root/livepatch.deb {place}"), LIMIT).unwrap();
            continue;
        }
        let quoted: Vec<String> =
            words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        let command = format!("DEBIAN_FRONTEND=noninteractive {}", quoted.join(" "));
        guest.check(&command, 3 * LIMIT).unwrap_or_else(|error| panic!("step {number}: {error}"));
    }
    wait_for_state(&machine, "soaking");
    // The token's secret part is in no file that stays, and in no log.
    let secret = token.split('.').nth(1).unwrap();
    let search =
        format!("[ ! -e /run/livepatch-token ] && ! grep -rqF '{secret}' /var/log /run/log /etc /var/lib");
    guest.check(&search, LIMIT).unwrap();
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn ansible_takes_the_playbook() {
    let directory = tempfile::tempdir().unwrap();
    let inventory = directory.path().join("inventory");
    std::fs::write(&inventory, "[livepatched]\nguest ansible_connection=local\n").unwrap();
    for check in [["--syntax-check"], ["--list-tasks"]] {
        let mut command = Command::new(tools().join("ansible-playbook"));
        command.arg("-i").arg(&inventory).args(check).arg(example("ansible.yaml"));
        let output = command.env("ANSIBLE_LOCALHOST_WARNING", "0").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("playbook:"), "{said}");
    }
}

fn example(name: &str) -> PathBuf {
    livepatch_e2e::workspace_root().join("packaging/examples").join(name)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn read(path: &Path) -> Value {
    let program = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = Command::new(tools().join("python3")).args(["-c", program]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The programs of a Python environment with Ansible, which is made once in the cache.
fn tools() -> PathBuf {
    let environment = livepatch_vm::cache_directory().join("tools").join(ANSIBLE);
    let programs = environment.join("bin");
    if !programs.join("ansible-playbook").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        run(Command::new(programs.join("pip")).args(["install", "--quiet", ANSIBLE]));
    }
    programs
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

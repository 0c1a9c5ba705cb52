//! Mitigations on this machine: which are in place, whether each measure holds, putting one in force, taking it back.
//!
//! What is to last stands in files that name the mitigation, below `/etc/modprobe.d` (modprobe.d(5)) and `/etc/sysctl.d`
//! (sysctl.d(5)), so that it holds from the next boot on too, and that anybody can see where it comes from. A sysctl's value from
//! before stands beside the new one, for the way back.

use crate::{Host, LoadError, ModuleLoader};
use livepatch_cve::{Measure, Mitigation};
use std::{collections::BTreeSet, fs, io, path::PathBuf};

const MODPROBE: &str = "etc/modprobe.d";
const SYSCTL: &str = "etc/sysctl.d";
const PREFIX: &str = "livepatch-mitigation-";
const BEFORE: &str = "# before: ";

/// Why a mitigation was not put in force or taken back.
#[derive(Debug, thiserror::Error)]
pub enum MitigationFault {
    /// A file cannot be read, written or removed.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A module stays in the kernel.
    #[error("the module {module} is in use: stop what uses it, then try again")]
    Unload {
        /// Its name.
        module: String,
        /// What the kernel said.
        #[source]
        source: LoadError,
    },
}

impl Host {
    /// The names of the mitigations that have files here.
    pub fn mitigations_in_place(&self) -> BTreeSet<String> {
        let entries = [MODPROBE, SYSCTL].into_iter().flat_map(|folder| fs::read_dir(self.path(folder)));
        let names = entries.flatten().filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            Some(name.strip_prefix(PREFIX)?.strip_suffix(".conf")?.to_owned())
        });
        names.collect()
    }

    /// Whether the kernel and the files show that a measure of this mitigation holds.
    pub fn holds(&self, mitigation: &str, measure: &Measure) -> bool {
        match measure {
            Measure::DenyModule { module } => {
                let text = fs::read_to_string(self.mitigation_file(MODPROBE, mitigation)).unwrap_or_default();
                text.lines().any(|line| line == denial(module))
            }
            // A module that is built in has a folder, and is not in the list.
            Measure::UnloadModule { module } => !self.path("sys/module").join(module).exists(),
            Measure::Sysctl { key, value } => {
                self.sysctl(key).is_ok_and(|found| words(&found).eq(words(value)))
            }
        }
    }

    /// Does what a mitigation says, in its order; what holds already is left as it is.
    ///
    /// # Errors
    /// [`MitigationFault`]; what was done before stays, and the next try goes on from there.
    pub fn put_in_force(&self, mitigation: &Mitigation) -> Result<(), MitigationFault> {
        self.write_denials(mitigation)?;
        self.write_sysctls(mitigation)?;
        for measure in &mitigation.measures {
            match measure {
                _ if self.holds(&mitigation.name, measure) => {}
                Measure::DenyModule { .. } => {}
                Measure::UnloadModule { module } => ModuleLoader::new(self.clone())
                    .remove(module)
                    .map_err(|source| MitigationFault::Unload { module: module.clone(), source })?,
                Measure::Sysctl { key, value } => self.set_sysctl(key, value)?,
            }
        }
        Ok(())
    }

    /// Takes a mitigation's files away and brings its sysctls back to where they were. Modules come back by themselves when they
    /// are wanted. Gives the sysctls that the kernel does not take back before it reboots.
    ///
    /// # Errors
    /// [`MitigationFault::File`].
    pub fn take_back(&self, mitigation: &str) -> Result<Vec<String>, MitigationFault> {
        let path = self.mitigation_file(SYSCTL, mitigation);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut stay = Vec::new();
        for (key, value) in text.lines().filter_map(before) {
            if self.set_sysctl(key, value).is_err() {
                stay.push(key.to_owned());
            }
        }
        for path in [path, self.mitigation_file(MODPROBE, mitigation)] {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(MitigationFault::File { operation: "remove", path, source });
                }
                _ => {}
            }
        }
        Ok(stay)
    }

    fn write_denials(&self, mitigation: &Mitigation) -> Result<(), MitigationFault> {
        let denied = mitigation.measures.iter().filter_map(|measure| match measure {
            Measure::DenyModule { module } => Some(format!("blacklist {module}\n{}\n", denial(module))),
            _ => None,
        });
        let lines: String = denied.collect();
        if lines.is_empty() { Ok(()) } else { self.write_mitigation(MODPROBE, mitigation, &lines) }
    }

    fn write_sysctls(&self, mitigation: &Mitigation) -> Result<(), MitigationFault> {
        let known = fs::read_to_string(self.mitigation_file(SYSCTL, &mitigation.name)).unwrap_or_default();
        let mut lines = String::new();
        for measure in &mitigation.measures {
            let Measure::Sysctl { key, value } = measure else { continue };
            // The value from before the first try is the one to come back to.
            let first = known.lines().filter_map(before).find(|(known, _)| known == key);
            let old = first.map(|(_, value)| value.to_owned()).or_else(|| self.sysctl(key).ok());
            if let Some(old) = old {
                lines += &format!("{BEFORE}{key} = {}\n", words(&old).collect::<Vec<_>>().join(" "));
            }
            lines += &format!("{key} = {value}\n");
        }
        if lines.is_empty() { Ok(()) } else { self.write_mitigation(SYSCTL, mitigation, &lines) }
    }

    fn write_mitigation(
        &self,
        folder: &str,
        mitigation: &Mitigation,
        lines: &str,
    ) -> Result<(), MitigationFault> {
        let Mitigation { name, about, cves, .. } = mitigation;
        let cves: Vec<String> = cves.iter().map(ToString::to_string).collect();
        let text = format!(
            "# Mitigation {name} for {}: {about}\n# 'livepatch mitigation retire {name}' takes it back.\n{lines}",
            cves.join(", ")
        );
        let path = self.mitigation_file(folder, name);
        let failed = |source| MitigationFault::File { operation: "write", path: path.clone(), source };
        fs::create_dir_all(self.path(folder)).map_err(failed)?;
        let fresh = path.with_extension("new");
        fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &path)).map_err(failed)
    }

    fn mitigation_file(&self, folder: &str, mitigation: &str) -> PathBuf {
        self.path(folder).join(format!("{PREFIX}{mitigation}.conf"))
    }

    fn sysctl(&self, key: &str) -> io::Result<String> {
        fs::read_to_string(self.sysctl_path(key))
    }

    fn set_sysctl(&self, key: &str, value: &str) -> Result<(), MitigationFault> {
        let path = self.sysctl_path(key);
        // Not made when it is missing: then this kernel does not have it.
        let written = fs::File::options().write(true).truncate(true).open(&path);
        written
            .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()))
            .map_err(|source| MitigationFault::File { operation: "set", path, source })
    }

    fn sysctl_path(&self, key: &str) -> PathBuf {
        self.path("proc/sys").join(key.replace('.', "/"))
    }
}

/// What makes modprobe fail instead of loading it, also for who asks by name.
fn denial(module: &str) -> String {
    format!("install {module} /bin/false")
}

fn words(value: &str) -> std::str::SplitWhitespace<'_> {
    value.split_whitespace()
}

/// A line with a value from before.
fn before(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix(BEFORE)?.split_once(" = ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn kettle() -> Mitigation {
        serde_json::from_value(serde_json::json!({
            "name": "no-kettle", "cves": ["CVE-2026-1002"], "families": ["debian/bookworm/linux"],
            "about": "Kettles are not heated.",
            "measures": [{"measure": "deny-module", "module": "kettle"}, {"measure": "unload-module", "module": "kettle"},
                {"measure": "sysctl", "key": "dev.kettle.heat", "value": "0 1"}]}))
        .unwrap()
    }

    fn machine() -> (tempfile::TempDir, Host) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("proc/sys/dev/kettle")).unwrap();
        fs::write(directory.path().join("proc/sys/dev/kettle/heat"), "7\t8\n").unwrap();
        let host = Host::new(directory.path());
        (directory, host)
    }

    #[test]
    fn a_mitigation_comes_holds_and_goes() {
        let (directory, host) = machine();
        let kettle = kettle();
        let holds =
            || kettle.measures.iter().map(|measure| host.holds("no-kettle", measure)).collect::<Vec<_>>();
        assert_eq!((holds(), host.mitigations_in_place().len()), (vec![false, true, false], 0));
        host.put_in_force(&kettle).unwrap();
        // Once more changes nothing, and does not take the new value for the old one.
        host.put_in_force(&kettle).unwrap();
        assert_eq!(holds(), [true, true, true]);
        assert_eq!(host.mitigations_in_place(), ["no-kettle".to_owned()].into());
        let denials =
            fs::read_to_string(directory.path().join("etc/modprobe.d/livepatch-mitigation-no-kettle.conf"));
        assert!(denials.unwrap().contains("\nblacklist kettle\ninstall kettle /bin/false\n"));
        assert_eq!(host.take_back("no-kettle").unwrap(), [""; 0]);
        assert_eq!((holds(), host.mitigations_in_place().len()), (vec![false, true, false], 0));
        assert_eq!(fs::read_to_string(directory.path().join("proc/sys/dev/kettle/heat")).unwrap(), "7 8");
    }

    #[test]
    fn what_cannot_be_done_is_an_error_and_not_forgotten() {
        let (directory, host) = machine();
        fs::create_dir_all(directory.path().join("sys/module/kettle")).unwrap();
        let fault = host.put_in_force(&kettle()).unwrap_err();
        assert!(matches!(fault, MitigationFault::Unload { .. }), "{fault}");
        assert!(!host.holds("no-kettle", &kettle().measures[1]), "it is still loaded");
        fs::remove_file(directory.path().join("proc/sys/dev/kettle/heat")).unwrap();
        fs::remove_dir(directory.path().join("sys/module/kettle")).unwrap();
        assert!(matches!(host.put_in_force(&kettle()), Err(MitigationFault::File { operation: "set", .. })));
        assert_eq!(host.take_back("no-kettle").unwrap(), ["dev.kettle.heat"], "the kernel has it no more");
    }
}

//! Mitigations: what makes a fault harmless until it is mended, in a form that a machine can carry out, verify and take back.
//!
//! They travel as one signed document. Each measure is of a kind whose effect is known and whose end brings the machine back to
//! where it was; nothing in it names a program to run.

use crate::{CveId, Family};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// The schema version that is read and written.
const SCHEMA: u32 = 1;
/// Characters of a name: it becomes part of file names.
const LONGEST_NAME: usize = 48;
/// Characters of the text for people.
const LONGEST_ABOUT: usize = 1000;
/// The kernel has no such long names of modules (`MODULE_NAME_LEN`) and of sysctls.
const LONGEST_WORD: usize = 56;

/// The signed document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mitigations {
    /// Always 1.
    schema: u32,
    /// The mitigations that are issued, by name.
    pub mitigations: Vec<Mitigation>,
}

/// A mitigation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mitigation {
    /// Its name: small letters, digits and hyphens.
    pub name: String,
    /// The vulnerabilities that it makes harmless.
    pub cves: BTreeSet<CveId>,
    /// The kernel families that it is for: `debian/bookworm/linux`.
    pub families: BTreeSet<String>,
    /// What it does, and what stops working while it is in force.
    pub about: String,
    /// What is done, in order.
    pub measures: Vec<Measure>,
}

/// One thing that is done to a machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "measure", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Measure {
    /// The module is not loaded any more, by itself or on demand (modprobe.d(5)).
    DenyModule {
        /// As `/proc/modules` names it.
        module: String,
    },
    /// The module is taken out of the kernel when nothing uses it.
    UnloadModule {
        /// As `/proc/modules` names it.
        module: String,
    },
    /// A setting of the kernel has this value (sysctl(8)).
    Sysctl {
        /// `kernel.unprivileged_bpf_disabled`.
        key: String,
        /// One or more whole numbers.
        value: String,
    },
}

/// Why a mitigation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MitigationError {
    /// Not JSON, or of another form.
    #[error("this is no document of mitigations")]
    Form(#[source] serde_json::Error),
    /// Another schema version.
    #[error("the mitigations have schema {0}; this program reads schema {SCHEMA}")]
    Schema(u32),
    /// A part of a mitigation is not as it must be.
    #[error("mitigation {name}: {what}")]
    Part {
        /// Its name.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Two have the same name.
    #[error("there are two mitigations {0}")]
    Twice(String),
}

impl Mitigations {
    /// The document of these.
    ///
    /// # Errors
    /// [`MitigationError`] when one of them cannot be used.
    pub fn new(mut mitigations: Vec<Mitigation>) -> Result<Self, MitigationError> {
        mitigations.sort_by(|one, two| one.name.cmp(&two.name));
        let twice = mitigations.windows(2).find(|pair| pair[0].name == pair[1].name);
        if let Some(pair) = twice {
            return Err(MitigationError::Twice(pair[0].name.clone()));
        }
        mitigations.iter().try_for_each(Mitigation::check)?;
        Ok(Self { schema: SCHEMA, mitigations })
    }

    /// Reads the document.
    ///
    /// # Errors
    /// [`MitigationError`] when anything in it is not as it must be: what is half understood is not carried out.
    pub fn read(bytes: &[u8]) -> Result<Self, MitigationError> {
        let read: Self = serde_json::from_slice(bytes).map_err(MitigationError::Form)?;
        if read.schema != SCHEMA {
            return Err(MitigationError::Schema(read.schema));
        }
        Self::new(read.mitigations)
    }

    /// Its bytes; the same mitigations give the same bytes.
    ///
    /// # Errors
    /// [`MitigationError::Form`], which does not happen: every text can be written as JSON.
    pub fn write(&self) -> Result<Vec<u8>, MitigationError> {
        serde_json::to_vec(self).map_err(MitigationError::Form)
    }

    /// Those for a family of kernels.
    pub fn of_family<'a>(&'a self, family: &'a str) -> impl Iterator<Item = &'a Mitigation> {
        self.mitigations.iter().filter(move |one| one.families.contains(family))
    }
}

impl Mitigation {
    /// Whether a machine could carry it out.
    ///
    /// # Errors
    /// [`MitigationError::Part`].
    pub fn check(&self) -> Result<(), MitigationError> {
        let wrong = |what| Err(MitigationError::Part { name: self.name.chars().take(80).collect(), what });
        if !is_word(&self.name, LONGEST_NAME, b"-") || self.name.starts_with('-') {
            return wrong("a name has small letters, digits and hyphens, at most 48");
        }
        if self.cves.is_empty() || self.measures.is_empty() {
            return wrong("it needs a vulnerability and a measure");
        }
        if self.families.is_empty() || self.families.iter().any(|family| family.parse::<Family>().is_err()) {
            return wrong("it needs kernel families such as debian/bookworm/linux");
        }
        if self.about.trim().is_empty()
            || self.about.chars().count() > LONGEST_ABOUT
            || self.about.contains(char::is_control)
        {
            return wrong("it needs a sentence or two, on one line, that says what it does and costs");
        }
        match self.measures.iter().find_map(Measure::fault) {
            Some(what) => wrong(what),
            None => Ok(()),
        }
    }
}

impl Measure {
    fn fault(&self) -> Option<&'static str> {
        match self {
            Self::DenyModule { module } | Self::UnloadModule { module } => {
                let sound = is_word(&module.to_ascii_lowercase(), LONGEST_WORD, b"_");
                (!sound).then_some("a module's name has letters, digits and underscores")
            }
            Self::Sysctl { key, value } => {
                let parts: Vec<&str> = key.split('.').collect();
                let sound_key =
                    parts.len() >= 2 && parts.iter().all(|part| is_word(part, LONGEST_WORD, b"_-"));
                let sound_value =
                    !value.is_empty() && value.split(' ').all(|part| part.parse::<i64>().is_ok());
                match (sound_key, sound_value) {
                    (false, _) => Some("a sysctl's key is like kernel.unprivileged_bpf_disabled"),
                    (_, false) => Some("a sysctl's value is one or more whole numbers"),
                    _ => None,
                }
            }
        }
    }
}

/// Small letters, digits and what is in `marks`, not too many.
fn is_word(text: &str, longest: usize, marks: &[u8]) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || marks.contains(&b);
    (1..=longest).contains(&text.len()) && text.bytes().all(allowed)
}

/// For people.
impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DenyModule { module } => write!(f, "the module {module} is not loaded any more"),
            Self::UnloadModule { module } => write!(f, "the module {module} is taken out of the kernel"),
            Self::Sysctl { key, value } => write!(f, "{key} is set to {value}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use serde_json::json;

    fn kettle() -> serde_json::Value {
        json!({"schema": 1, "mitigations": [{
            "name": "no-kettle", "cves": ["CVE-2026-1002"], "families": ["debian/bookworm/linux"],
            "about": "Kettles are not heated.",
            "measures": [{"measure": "deny-module", "module": "kettle"}, {"measure": "unload-module", "module": "kettle"},
                {"measure": "sysctl", "key": "dev.kettle.heat", "value": "0"}]}]})
    }

    fn read(value: &serde_json::Value) -> Result<Mitigations, MitigationError> {
        Mitigations::read(value.to_string().as_bytes())
    }

    #[test]
    fn a_document_reads_back() {
        let document = read(&kettle()).unwrap();
        assert_eq!(Mitigations::read(&document.write().unwrap()).unwrap(), document);
        assert_eq!(document.of_family("debian/bookworm/linux").count(), 1);
        assert_eq!(document.of_family("debian/trixie/linux").count(), 0);
        let texts: Vec<String> = document.mitigations[0].measures.iter().map(ToString::to_string).collect();
        assert_eq!(texts[2], "dev.kettle.heat is set to 0");
    }

    #[test]
    fn what_could_do_something_else_is_no_mitigation() {
        let changed = |path: &str, value: serde_json::Value| {
            let mut document = kettle();
            *document.pointer_mut(path).unwrap() = value;
            read(&document).is_err()
        };
        for (path, values) in [
            ("/mitigations/0/name", ["../x", "", "-x", "A b"]),
            ("/mitigations/0/about", ["", " ", "two\nlines", "\u{1b}[2J"]),
            ("/mitigations/0/measures/0/module", ["", "a b", "../x", "kettle\ninstall x /bin/sh"]),
            ("/mitigations/0/measures/2/key", ["kernel", "kernel..x", "../etc/passwd", "kernel.x/../y"]),
            ("/mitigations/0/measures/2/value", ["", "|/bin/sh", "1 ", "1\n2"]),
        ] {
            for value in values {
                assert!(changed(path, value.into()), "{path} {value:?}");
            }
        }
        assert!(changed("/schema", 2.into()));
        assert!(changed("/mitigations/0/measures", json!([])) && changed("/mitigations/0/cves", json!([])));
        assert!(changed("/mitigations/0/measures/0/measure", "run-program".into()));
        assert!(changed("/mitigations/0/families", json!(["debian"])));
        let one = kettle()["mitigations"][0].clone();
        assert!(matches!(
            read(&json!({"schema": 1, "mitigations": [one, one]})),
            Err(MitigationError::Twice(_))
        ));
    }
}

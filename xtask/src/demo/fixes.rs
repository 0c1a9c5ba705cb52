//! The fixes that the demo can show, best first, and the choice among them by what Debian's package index offers.

use crate::{
    apt,
    kernels::{self, SOURCE},
};
use anyhow::{Result, bail};
use livepatch_manifest::FixSource;

/// A fix with something to see.
#[derive(Clone, Debug)]
pub(crate) struct Fix {
    /// CVE or distribution bug.
    pub(crate) id: &'static str,
    /// One line.
    pub(crate) summary: &'static str,
    /// Where its patch comes from.
    pub(crate) origin: Origin,
    /// The script in `examples/reproducers` that shows it.
    pub(crate) reproducer: &'static str,
    /// What the script needs besides busybox.
    pub(crate) needs: Needs,
}

/// Where a patch comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// The difference of one file between two versions of [`SOURCE`]; the first is the kernel's own.
    Packages {
        /// The kernel that has the bug.
        release: &'static str,
        /// Its version.
        from: &'static str,
        /// The version with the fix.
        to: &'static str,
        /// The file.
        file: &'static str,
        /// A word of the line in the changelog that belongs to the fix.
        changelog_mark: &'static str,
    },
    /// A patch of ours, for whatever kernel there is.
    Example {
        /// In `examples/patches`.
        patch: &'static str,
    },
}

/// What a reproducer needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// Kernel modules.
    pub(crate) modules: &'static [&'static str],
    /// Programs of the host.
    pub(crate) programs: &'static [&'static str],
    /// An ext4 image of 16 MiB as first argument.
    pub(crate) ext4_image: bool,
}

/// What the demo shows.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// The fix.
    pub(crate) fix: Fix,
    /// The kernel.
    pub(crate) release: String,
    /// The kernel's package version.
    pub(crate) version: String,
    /// Why this one.
    pub(crate) why: String,
}

impl Fix {
    /// The source packages whose difference it is; none for an example of ours.
    pub(crate) fn source(&self) -> Option<FixSource> {
        let Origin::Packages { from, to, .. } = self.origin else {
            return None;
        };
        Some(FixSource { package: SOURCE.to_owned(), from: from.to_owned(), to: to.to_owned() })
    }
}

const PERL: Needs = Needs { modules: &["loop"], programs: &["/usr/bin/perl"], ext4_image: false };

/// Every fix, best first.
pub(crate) fn known() -> [Fix; 4] {
    [
        Fix {
            id: "debian-bug-1154101",
            summary: "ext4: NULL pointer dereference when blocks are freed whose bitmap left the page cache",
            origin: Origin::Packages {
                release: "6.1.0-55-cloud-amd64",
                from: "6.1.192-1",
                to: "6.1.192-2",
                file: "fs/ext4/mballoc.c",
                changelog_mark: "#1154101",
            },
            reproducer: "ext4-mballoc.sh",
            needs: Needs { modules: &["loop"], programs: &[], ext4_image: true },
        },
        Fix {
            id: "CVE-2026-93146",
            summary: "time namespaces: nanoseconds of an offset are not validated",
            origin: Origin::Packages {
                release: "6.1.0-54-cloud-amd64",
                from: "6.1.190-1",
                to: "6.1.192-1",
                file: "kernel/time/namespace.c",
                changelog_mark: "CVE-2026-93146",
            },
            reproducer: "timens-offsets.sh",
            needs: PERL,
        },
        Fix {
            id: "CVE-2025-38709",
            summary: "loop: anyone changes the block size under an exclusive owner",
            origin: Origin::Packages {
                release: "6.1.0-54-cloud-amd64",
                from: "6.1.190-1",
                to: "6.1.192-1",
                file: "drivers/block/loop.c",
                changelog_mark: "CVE-2025-38709",
            },
            reproducer: "loop-block-size.sh",
            needs: PERL,
        },
        Fix {
            id: "example-proc-cmdline",
            summary: "our own example: /proc/cmdline says that the kernel is livepatched",
            origin: Origin::Example { patch: "proc-cmdline.patch" },
            reproducer: "proc-cmdline.sh",
            needs: Needs { modules: &[], programs: &[], ext4_image: false },
        },
    ]
}

/// The first fix for which the index offers everything, or the one that is `wanted`.
///
/// # Errors
/// When there is none; the message says what is missing for each.
pub(crate) fn choose(wanted: Option<&str>) -> Result<Choice> {
    let mut refused = Vec::new();
    for fix in known().into_iter().filter(|fix| wanted.is_none_or(|id| fix.id == id)) {
        match kernel_for(&fix)? {
            Ok((release, version)) => {
                let why = reason(wanted, &refused);
                return Ok(Choice { fix, release, version, why });
            }
            Err(missing) => refused.push(format!("{}: {missing}", fix.id)),
        }
    }
    if refused.is_empty() {
        bail!("no such fix; known are {}", known().map(|fix| fix.id).join(", "));
    }
    bail!(
        "Debian's package index does not offer what the demo needs (bookworm and bookworm-security, amd64):\n  {}",
        refused.join("\n  ")
    );
}

fn reason(wanted: Option<&str>, refused: &[String]) -> String {
    match (wanted, refused) {
        (Some(_), _) => "asked for with --fix".to_owned(),
        (None, []) => "first choice, and the package index offers all of it".to_owned(),
        (None, _) => format!("the package index lacks the better ones ({})", refused.join("; ")),
    }
}

/// The kernel to show a fix on, or what the index lacks.
fn kernel_for(fix: &Fix) -> Result<Result<(String, String), String>> {
    match fix.origin {
        Origin::Packages { release, from, to, .. } => {
            if kernels::offered_version(release)?.as_deref() != Some(from) {
                return Ok(Err(format!(
                    "image, headers, dbg and {SOURCE} of {release} ({from}) are not all offered"
                )));
            }
            if !apt::versions(SOURCE)?.iter().any(|version| version == to) {
                return Ok(Err(format!("{SOURCE} {to} is not offered")));
            }
            Ok(Ok((release.to_owned(), from.to_owned())))
        }
        Origin::Example { .. } => Ok(match kernels::newest_offered()? {
            Some(kernel) => Ok((kernel.release, kernel.version)),
            None => Err("no 6.1 cloud kernel is offered with image, headers, dbg and source".to_owned()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livepatch_e2e::workspace_root;

    #[test]
    fn every_fix_has_its_files() {
        for fix in known() {
            assert!(
                workspace_root().join("examples/reproducers").join(fix.reproducer).is_file(),
                "{}",
                fix.id
            );
            if let Origin::Example { patch } = fix.origin {
                assert!(workspace_root().join("examples/patches").join(patch).is_file(), "{}", fix.id);
            }
        }
    }

    #[test]
    fn the_reason_names_what_is_missing() {
        assert!(reason(None, &["debian-bug-1: gone".into()]).contains("debian-bug-1: gone"));
        assert!(reason(None, &[]).contains("first choice"));
    }
}

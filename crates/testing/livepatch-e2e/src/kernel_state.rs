//! What a guest's kernel says about itself, read from the kernel alone.

use anyhow::{Context as _, Result};
use livepatch_kernel::{BuildId, Taint};
use livepatch_vm::Guest;
use serde::Serialize;
use std::time::Duration;

/// One line an item, so that one command reads everything at one moment. The build id is a note of 20 bytes.
const READ: &str = r#"
echo "release $(uname -r)"
echo "notes $(od -An -v -tx1 /sys/kernel/notes | tr -d ' \n')"
echo "taint $(cat /proc/sys/kernel/tainted)"
for patch in /sys/kernel/livepatch/*/; do
    [ -d "$patch" ] || continue
    echo "livepatch $(basename "$patch") $(cat "$patch/enabled") $(cat "$patch/transition")"
    for function in "$patch"*/*,*/; do
        [ -d "$function" ] && echo "function $(basename "$(dirname "$function")") $(basename "$function")"
    done
done
sed -n 's/^\([^ ]*\) .*(.*K.*)$/module \1/p' /proc/modules
true
"#;

/// The state of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelState {
    /// `uname -r`.
    pub release: String,
    /// From `/sys/kernel/notes`.
    pub build_id: BuildId,
    /// `/proc/sys/kernel/tainted`.
    pub tainted: Taint,
    /// The same as letters.
    pub taint_letters: String,
    /// `/sys/kernel/livepatch`.
    pub livepatches: Vec<LivepatchState>,
    /// Livepatch modules in `/proc/modules`, enabled or not.
    pub modules: Vec<String>,
}

/// One directory of `/sys/kernel/livepatch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LivepatchState {
    /// Module name.
    pub name: String,
    /// `enabled`.
    pub enabled: bool,
    /// `transition`.
    pub transition: bool,
    /// Patched functions as `OBJECT/FUNCTION,SYMPOS`.
    pub functions: Vec<String>,
}

impl KernelState {
    /// Asks the guest's kernel.
    ///
    /// # Errors
    /// When the guest does not answer, or not in this form.
    pub fn read(guest: &Guest) -> Result<Self> {
        let text = guest.check(READ, Duration::from_secs(30))?;
        Self::parse(&text).with_context(|| format!("unexpected kernel state:\n{text}"))
    }

    /// Whether no livepatch ever came near this kernel: none enabled, none loaded, nothing tainted.
    pub fn is_untouched(&self) -> bool {
        self.livepatches.is_empty() && self.modules.is_empty() && self.tainted == Taint(0)
    }

    fn parse(text: &str) -> Option<Self> {
        let (mut release, mut notes, mut taint) = (None, None, None);
        let (mut livepatches, mut modules) = (Vec::<LivepatchState>::new(), Vec::new());
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["release", value] => release = Some(value.to_owned()),
                ["notes", value] => notes = bytes(value),
                ["taint", value] => taint = Some(Taint(value.parse().ok()?)),
                ["livepatch", name, enabled, transition] => livepatches.push(LivepatchState {
                    name: name.to_owned(),
                    enabled: enabled == "1",
                    transition: transition == "1",
                    functions: Vec::new(),
                }),
                ["function", object, function] => {
                    livepatches.last_mut()?.functions.push(format!("{object}/{function}"))
                }
                ["module", name] => modules.push(name.to_owned()),
                _ => return None,
            }
        }
        let (build_id, tainted) = (BuildId::from_notes(&notes?).ok()?, taint?);
        Some(Self {
            release: release?,
            build_id,
            tainted,
            taint_letters: tainted.to_string(),
            livepatches,
            modules,
        })
    }
}

/// Hex digits to bytes.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn the_guest_s_words_are_understood() {
        let notes = format!("040000001400000003000000474e5500{}", "3b".repeat(20));
        let text = format!(
            "release 6.1.0-55-cloud-amd64\nnotes {notes}\ntaint 45056\nlivepatch lp_1 1 0\n\
             function vmlinux ext4_mb_load_buddy_gfp,0\nmodule lp_1\n"
        );
        let state = KernelState::parse(&text).unwrap();
        assert_eq!(state.build_id.to_string(), "3b".repeat(20));
        assert_eq!(state.taint_letters, "OEK");
        assert_eq!(state.livepatches[0].functions, ["vmlinux/ext4_mb_load_buddy_gfp,0"]);
        assert!(!state.is_untouched());
        assert!(KernelState::parse("release x\ntaint 0\n").is_none(), "no build id");
    }
}

//! The owner's emergency switch: `livepatch.mode=` on the kernel's command line, or the file `/etc/livepatch/mode`; the names that
//! `canonical-livepatch` uses are understood too. Read anew each time, so a change counts at once.

use crate::Host;
use serde::{Deserialize, Serialize};
use std::fmt;

const PARAMETERS: [&str; 2] = ["livepatch.mode", "canonical_livepatch_mode"];
const FILES: [&str; 2] = ["etc/livepatch/mode", "var/local/canonical_livepatch_mode"];

/// What the client may do by itself, least restricted first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything.
    #[default]
    Normal,
    /// Nothing is asked of the server; what proved good on this machine is applied again after a reboot.
    NoRefresh,
    /// The repository is read and reports are sent, and nothing is applied.
    NoApply,
    /// Nothing at all; a livepatch that is on its way in or out is still seen to its end.
    Stop,
}

impl Mode {
    /// Whether the repository is read and the server told.
    pub fn may_ask(self) -> bool {
        matches!(self, Self::Normal | Self::NoApply)
    }

    /// Whether livepatches are applied.
    pub fn may_apply(self) -> bool {
        matches!(self, Self::Normal | Self::NoRefresh)
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "normal" => Some(Self::Normal),
            "no-refresh" => Some(Self::NoRefresh),
            "no-apply" => Some(Self::NoApply),
            "stop" => Some(Self::Stop),
            _ => None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::NoRefresh => "no-refresh",
            Self::NoApply => "no-apply",
            Self::Stop => "stop",
        })
    }
}

/// The mode, and who set it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeSetting {
    /// The most restricted of all that are set.
    pub mode: Mode,
    /// `the kernel's command line` or a file's path; absent when nobody set it.
    pub set_by: Option<String>,
    /// A word that is no mode, which counts as `no-apply`: whoever writes into the switch wants less, not more.
    pub unknown: Option<String>,
}

pub(crate) fn read(host: &Host) -> ModeSetting {
    let command_line = host.text("proc/cmdline").unwrap_or_default();
    // The last one counts, as with the kernel's own parameters.
    let parameters = PARAMETERS.iter().filter_map(|name| {
        let words = command_line.split_ascii_whitespace();
        words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')).next_back()
    });
    let parameters =
        parameters.map(|word| ("the kernel's command line".to_owned(), word.trim_matches('"').to_owned()));
    let files = FILES.iter().filter_map(|file| Some((format!("/{file}"), host.line(file).ok()?)));
    parameters.chain(files).fold(ModeSetting::default(), |so_far, (set_by, word)| {
        let parsed = Mode::parse(&word);
        let mode = parsed.unwrap_or(Mode::NoApply);
        let unknown = parsed.is_none().then(|| word.chars().take(40).collect());
        if so_far.set_by.is_some() && so_far.mode >= mode {
            return so_far;
        }
        ModeSetting { mode, set_by: Some(set_by), unknown }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use std::fs;

    fn mode(command_line: &str, file: &str) -> ModeSetting {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc")).unwrap();
        fs::create_dir_all(root.path().join("etc/livepatch")).unwrap();
        fs::write(root.path().join("proc/cmdline"), command_line).unwrap();
        fs::write(root.path().join("etc/livepatch/mode"), file).unwrap();
        read(&Host::new(root.path()))
    }

    #[test]
    fn the_strictest_counts_and_is_named() {
        assert_eq!(mode("quiet\n", ""), ModeSetting::default());
        let set = mode("quiet livepatch.mode=no-apply\n", "no-refresh\n");
        assert_eq!((set.mode, set.set_by.as_deref()), (Mode::NoApply, Some("the kernel's command line")));
        let set = mode("canonical_livepatch_mode=no-apply\n", "stop\n");
        assert_eq!((set.mode, set.set_by.as_deref()), (Mode::Stop, Some("/etc/livepatch/mode")));
        assert_eq!(mode("livepatch.mode=stop livepatch.mode=normal\n", "").mode, Mode::Normal);
        assert_eq!(mode("xlivepatch.mode=stop\n", "").mode, Mode::Normal);
    }

    #[test]
    fn a_misspelt_switch_is_no_permission() {
        let set = mode("", "of\n");
        assert_eq!((set.mode, set.unknown.as_deref()), (Mode::NoApply, Some("of")));
    }

    #[test]
    fn what_each_mode_allows() {
        let allows = |mode: Mode| (mode.may_ask(), mode.may_apply());
        assert_eq!(allows(Mode::Normal), (true, true));
        assert_eq!(allows(Mode::NoApply), (true, false));
        assert_eq!(allows(Mode::NoRefresh), (false, true));
        assert_eq!(allows(Mode::Stop), (false, false));
    }
}

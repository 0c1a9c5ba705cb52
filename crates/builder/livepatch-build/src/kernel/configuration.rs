//! The configuration that a kernel was built with: what it must say, and the compiler that it names.

use super::error::KernelError;
use crate::run;
use livepatch_kernel::KernelRelease;
use std::collections::BTreeSet;
use std::process::Command;

/// Configuration that must be so, and why.
const NEEDED: [(&str, &str); 4] = [
    ("CONFIG_LIVEPATCH=y", "it is built without CONFIG_LIVEPATCH"),
    ("CONFIG_KALLSYMS_ALL=y", "it is built without CONFIG_KALLSYMS_ALL"),
    ("CONFIG_X86_64=y", "only x86-64 is supported so far"),
    ("CONFIG_CC_IS_GCC=y", "it was not built by gcc"),
];

/// Configuration that must not be so, and why.
const FORBIDDEN: [(&str, &str); 2] = [
    ("CONFIG_LTO_CLANG=y", "link-time optimisation is not supported"),
    ("CONFIG_RANDSTRUCT=y", "randomised structures are not supported"),
];

/// Whether this builder can make livepatches for a kernel of that configuration.
///
/// # Errors
/// [`KernelError::Unsupported`] with the first reason why not.
pub(super) fn check(release: &KernelRelease, configuration: &str) -> Result<(), KernelError> {
    let has = |wanted: &str| configuration.lines().any(|line| line == wanted);
    let missing = NEEDED.iter().find(|(option, _)| !has(option));
    let present = FORBIDDEN.iter().find(|(option, _)| has(option));
    match missing.or(present) {
        Some((_, reason)) => {
            Err(KernelError::Unsupported { release: release.clone(), reason: (*reason).into() })
        }
        None => Ok(()),
    }
}

/// The text of an option, such as `CONFIG_CC_VERSION_TEXT`; empty when it is not set.
pub(super) fn text_of<'a>(configuration: &'a str, option: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(option)?.strip_prefix("=\"")?.strip_suffix('"');
    configuration.lines().find_map(value).unwrap_or_default()
}

/// The compiler that the configuration names and its version line, once it has proven to be that very version.
///
/// # Errors
/// [`KernelError::Compiler`] when it is another, or none is installed.
pub(super) fn check_compiler(configuration: &str) -> Result<(String, String), KernelError> {
    let wanted = text_of(configuration, "CONFIG_CC_VERSION_TEXT").to_owned();
    let program = wanted.split(' ').next().filter(|program| !program.is_empty()).unwrap_or("gcc");
    let program = program.trim_start_matches("x86_64-linux-gnu-").to_owned();
    let Ok((_, text)) = run::output(Command::new(&program).arg("--version")) else {
        return Err(KernelError::Compiler { program, wanted, found: "is not installed".into() });
    };
    let found = text.lines().next().unwrap_or_default().to_owned();
    let version = |line: &str| line.split_once(' ').map(|(_, version)| version.to_owned());
    if version(&wanted).is_none() || version(&wanted) != version(&found) {
        return Err(KernelError::Compiler { program, wanted, found: format!("says '{found}'") });
    }
    Ok((program, found))
}

/// Beginnings of options that say which tools are installed and decide nothing about C code: the compiler's text is
/// compared by [`check_compiler`], and Rust is at hand or not (init/Kconfig). Whether Rust is used is another option.
const TOOLS: [&str; 6] = [
    "CONFIG_CC_VERSION_TEXT=",
    "CONFIG_RUSTC_VERSION",
    "CONFIG_RUSTC_LLVM_VERSION=",
    "CONFIG_RUSTC_HAS_",
    "CONFIG_RUST_IS_AVAILABLE=",
    "CONFIG_BINDGEN_VERSION_TEXT=",
];

/// The first option that two configurations do not share, those aside that only tell about tools.
pub(super) fn first_change(one: &str, other: &str) -> Option<String> {
    let counts = |line: &&str| {
        line.starts_with("CONFIG_") && !TOOLS.iter().any(|beginning| line.starts_with(beginning))
    };
    let options =
        |text: &str| -> BTreeSet<String> { text.lines().filter(counts).map(str::to_owned).collect() };
    options(one).symmetric_difference(&options(other)).next().cloned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn kernel_that_cannot_be_compiled_unit_by_unit_is_refused() {
        let release: KernelRelease = "6.1.0-1-amd64".parse().unwrap();
        let sound = "CONFIG_LIVEPATCH=y\nCONFIG_KALLSYMS_ALL=y\nCONFIG_X86_64=y\nCONFIG_CC_IS_GCC=y\n";
        check(&release, sound).unwrap();
        for (option, word) in [("CONFIG_LTO_CLANG=y", "link-time"), ("CONFIG_RANDSTRUCT=y", "randomised")] {
            let error = check(&release, &format!("{sound}{option}\n")).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let without = sound.replace("CONFIG_LIVEPATCH=y", "# CONFIG_LIVEPATCH is not set");
        assert!(check(&release, &without).unwrap_err().to_string().contains("CONFIG_LIVEPATCH"));
    }

    #[test]
    fn lost_option_is_found_and_comments_do_not_count() {
        let given = "# Linux\nCONFIG_A=y\nCONFIG_DEBUG_INFO_BTF=y\n";
        assert_eq!(first_change(given, "CONFIG_DEBUG_INFO_BTF=y\nCONFIG_A=y\n# other\n"), None);
        assert_eq!(first_change(given, "CONFIG_A=y\n").as_deref(), Some("CONFIG_DEBUG_INFO_BTF=y"));
    }

    #[test]
    fn tools_at_hand_do_not_count_but_what_is_made_with_them() {
        let given = "CONFIG_CC_VERSION_TEXT=\"x86_64-linux-gnu-gcc-12 12.2.0\"\nCONFIG_RUSTC_VERSION=0\n";
        let here =
            "CONFIG_CC_VERSION_TEXT=\"gcc-12 12.2.0\"\nCONFIG_RUSTC_VERSION=109500\nCONFIG_RUSTC_HAS_X=y\n";
        assert_eq!(first_change(given, here), None);
        let with_rust = format!("{here}CONFIG_RUST=y\n");
        assert_eq!(first_change(given, &with_rust).as_deref(), Some("CONFIG_RUST=y"));
    }

    #[test]
    fn text_is_that_of_the_option_and_not_of_a_longer_one() {
        let configuration = "CONFIG_CC_X=\"no\"\nCONFIG_CC=\"gcc 12\"\n";
        assert_eq!((text_of(configuration, "CONFIG_CC"), text_of(configuration, "CONFIG_D")), ("gcc 12", ""));
    }
}

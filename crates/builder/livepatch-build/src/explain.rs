//! What each refusal means: the text behind `livepatch-build explain`.

use livepatch_diff::Refusal;
use schemars::JsonSchema;
use serde::Serialize;

/// A refusal's code with its meaning and advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    /// The stable code.
    pub code: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// A case of it; empty where the meaning says it all.
    pub example: &'static str,
    /// What to do instead.
    pub advice: &'static str,
    /// Whether `build --accept` may turn the refusal into a warning.
    pub acceptable: bool,
}

/// The code for a patch that changes nothing that runs.
pub const NO_FUNCTIONAL_CHANGE: &str = "no-functional-change";

/// Refusals of the patch itself, before anything is compiled (see [`crate::scope`]): code, meaning, advice.
const OF_THE_PATCH: [(&str, &str, &str); 10] = [
    (
        NO_FUNCTIONAL_CHANGE,
        "the patch changes nothing that runs: the compiled code is the same with it and without",
        "nothing to do for this kernel; when a change was expected, look whether it is compiled at all in this configuration",
    ),
    (
        "bad-path",
        "the patch names a file outside the kernel tree",
        "make the patch with paths below a/ and b/",
    ),
    ("no-such-file", "the patch names a file that this kernel's source does not have", "take the part out"),
    (
        "file-removed",
        "the patch removes a file, but a livepatch cannot take its functions out of the running kernel",
        "leave the removal out and change what calls into the file; or reboot into the fixed kernel",
    ),
    (
        "file-renamed",
        "the patch renames a file, but the running kernel knows its functions by the old one",
        "make the change in the file where it is",
    ),
    (
        "units-unknown",
        "the patch touches a header, but the kernel was prepared without its modules' debug information, so which files include the header is not known",
        "remove the kernel and add it from packages, the debug package among them, or from a tree with its modules built",
    ),
    (
        "wide-header",
        "the patch changes a header in a way that hundreds of units see: an enumeration that nearly all include, say. Most of them may compile to the same code, but that takes compiling them",
        "move what the fix needs into its C files, with a name of its own; or allow more units by --most-units, and have patience; or reboot into the fixed kernel",
    ),
    (
        "build-file",
        "the patch changes how the kernel is built, otherwise than by adding an object to a list",
        "leave the build file out of the patch when the fix does not need it; or reboot into the fixed kernel",
    ),
    (
        "assembly-patch",
        "the patch touches assembly, which has no functions that could be redirected",
        "reboot into the fixed kernel",
    ),
    ("not-code", "the patch touches a file that is not compiled", "leave the file out of the patch"),
];

/// All codes: first those of the patch, then those of the difference, then those of the judgement, which says more about
/// some of the difference's.
pub fn all() -> Vec<Explanation> {
    let plain = |code, meaning, advice| Explanation { code, meaning, example: "", advice, acceptable: false };
    let of_the_patch = OF_THE_PATCH.map(|(code, meaning, advice)| plain(code, meaning, advice));
    let of_the_difference = Refusal::samples()
        .into_iter()
        .filter(|sample| livepatch_judge::rules().iter().all(|rule| rule.code != sample.code()))
        .map(|sample| plain(sample.code(), sample.meaning(), sample.advice()));
    let rules = livepatch_judge::rules().iter().chain(&crate::pipeline::RULES);
    let of_the_judgement = rules.map(|rule| Explanation {
        code: rule.code,
        meaning: rule.meaning,
        example: rule.example,
        advice: rule.advice,
        acceptable: rule.acceptable,
    });
    of_the_patch.into_iter().chain(of_the_difference).chain(of_the_judgement).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_there_once_and_is_explained() {
        let all = all();
        let codes: BTreeSet<&str> = all.iter().map(|entry| entry.code).collect();
        assert_eq!(codes.len(), all.len());
        assert!(all.iter().all(|entry| !entry.meaning.is_empty() && !entry.advice.is_empty()));
    }
}

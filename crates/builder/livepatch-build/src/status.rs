//! The exit status of the program: one number for each kind of end, so that scripts need not read messages.

use crate::compile::CompileError;
use crate::kernel::KernelError;
use crate::pipeline::BuildError;
use crate::report::{Outcome, RefusalReport, Report};
use crate::run::RunError;
use livepatch_diff::Refusal;
use std::error::Error;

/// How a run of the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// What was asked for was done; a livepatch was built.
    Done = 0,
    /// No livepatch can be made of the patch; the report says why.
    Refused = 3,
    /// The compiled original is not the code that the kernel runs, so nothing else that was found counts.
    BaseMismatch = 4,
    /// make, the compiler or objtool failed, or is not the one that the kernel was built with.
    Toolchain = 5,
    /// Anything else went wrong.
    Failed = 1,
}

impl Status {
    /// The list for help and man page. Usage errors (2) are found before anything runs.
    pub const HELP: &str = "\
Exit status:
  0  done: the livepatch is built, the check passed
  1  failed: a file, a package or something else is missing or unusable
  2  wrong usage
  3  refused: no livepatch can be made of the patch, or a check did not pass; the reasons are printed, each
     with its code ('no-functional-change' when the patch changes nothing that runs)
  4  base mismatch: what was compiled without the patch is not the code that the kernel runs
  5  toolchain: make, the compiler or objtool failed, or is not the one that the kernel was built with";

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// From the best to the worst.
    const ALL: [Self; 5] = [Self::Done, Self::Refused, Self::BaseMismatch, Self::Toolchain, Self::Failed];

    /// The status of a number; one that this program does not give counts as failed.
    pub fn from_code(code: u8) -> Self {
        Self::ALL.into_iter().find(|status| status.code() == code).unwrap_or(Self::Failed)
    }

    /// The worst of several ends; done when there is none.
    pub fn worst(ends: impl IntoIterator<Item = Self>) -> Self {
        let ends: Vec<Self> = ends.into_iter().collect();
        Self::ALL.into_iter().rfind(|status| ends.contains(status)).unwrap_or(Self::Done)
    }

    /// What came of a build.
    pub fn of_report(report: &Report) -> Self {
        match report.outcome {
            Outcome::Built => Self::Done,
            Outcome::Refused => Self::worst([Self::Refused, Self::of_refusals(&report.refusals)]),
        }
    }

    /// What refusals mean; done when there is none.
    pub fn of_refusals(refusals: &[RefusalReport]) -> Self {
        let mismatch = Refusal::BaseMismatch { function: String::new(), difference: String::new() };
        match refusals {
            [] => Self::Done,
            some if some.iter().any(|refusal| refusal.code == mismatch.code()) => Self::BaseMismatch,
            _ => Self::Refused,
        }
    }

    /// What an error means. The first of its causes that is an error of this crate's steps decides: behind it may be a
    /// program that failed without being part of the toolchain, such as `patch`.
    pub fn of_error(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            match is_toolchain(error) {
                Some(true) => return Self::Toolchain,
                Some(false) => return Self::Failed,
                None => cause = error.source(),
            }
        }
        Self::Failed
    }
}

/// Whether make, a compiler or objtool is to blame; `None` when the error is not one of those that know.
fn is_toolchain(error: &(dyn Error + 'static)) -> Option<bool> {
    if let Some(error) = error.downcast_ref::<BuildError>() {
        return Some(match error {
            BuildError::Kernel(error) => of_kernel(error),
            BuildError::Compile(error) => of_compile(error),
            BuildError::Run(error) => of_run(error),
            _ => false,
        });
    }
    error.downcast_ref().map(of_kernel).or_else(|| error.downcast_ref().map(of_compile))
}

fn of_kernel(error: &KernelError) -> bool {
    match error {
        KernelError::Compiler { .. } | KernelError::Configuration { .. } => true,
        KernelError::Run(error) => of_run(error),
        _ => false,
    }
}

fn of_compile(error: &CompileError) -> bool {
    match error {
        CompileError::Note { .. } | CompileError::Objtool { .. } => true,
        CompileError::Overlay(_) => false,
        CompileError::Run(error) => of_run(error),
    }
}

fn of_run(error: &RunError) -> bool {
    match error {
        RunError::Start { .. } | RunError::Failed { .. } => true,
        RunError::File { .. } | RunError::DiskFull { .. } => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use crate::scope::ScopeError;
    use std::path::Path;
    use std::process::Command;

    fn failure() -> RunError {
        let folder = tempfile::tempdir().unwrap();
        crate::run::logged(&mut Command::new("false"), &folder.path().join("log")).unwrap_err()
    }

    #[test]
    fn a_failing_compiler_is_told_from_a_failing_patch_and_a_missing_file() {
        let status = |error: BuildError| Status::of_error(&error);
        assert_eq!(status(failure().into()), Status::Toolchain);
        assert_eq!(status(CompileError::Run(failure()).into()), Status::Toolchain);
        assert_eq!(status(KernelError::Run(failure()).into()), Status::Toolchain);
        assert_eq!(status(ScopeError::Apply(Vec::new()).into()), Status::Failed);
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(status(crate::pipeline::file_error(Path::new("x"))(missing)), Status::Failed);
    }

    #[test]
    fn the_worst_end_counts_and_numbers_read_back() {
        assert_eq!(Status::worst([]), Status::Done);
        assert_eq!(
            Status::worst([Status::Done, Status::BaseMismatch, Status::Refused]),
            Status::BaseMismatch
        );
        assert_eq!(Status::worst([Status::Failed, Status::Toolchain]), Status::Failed);
        assert!(Status::ALL.into_iter().all(|status| Status::from_code(status.code()) == status));
    }

    #[test]
    fn context_around_an_error_does_not_change_its_status() {
        let wrapped = anyhow::Error::from(BuildError::from(failure())).context("cannot build");
        assert_eq!(Status::of_error(wrapped.as_ref()), Status::Toolchain);
    }
}

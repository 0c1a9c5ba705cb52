//! From a source fix to a livepatch module, for one prepared kernel.
//!
//! The road, a module of this crate each:
//!
//! 1. [`kernel`] fetches a distribution's kernel once and prepares its tree ([`packages`] knows the package index, [`cache`] the
//!    place where it is kept).
//! 2. [`scope`] applies the patch beside the tree and finds the translation units; [`units`] knows those of the kernel.
//! 3. [`kbuild`] gets the kernel's own commands, [`compile`] runs them; [`overlay`] shows the compiler the patched files in
//!    their places, [`objects`] keeps what it made.
//! 4. `livepatch-diff` proves the base and takes the difference; [`link`] finds out where each needed symbol is, and has kbuild
//!    link the module.
//! 5. [`pipeline`] strings these together with a timing for each step and writes [`report`], manifest and [`provenance`].
//!    [`matrix`] does so for many kernels at once, [`series`] reads the fixes of a cumulative livepatch.
//! 6. [`sign`] makes keys and signs, also with a key in a [`token`].
//!
//! [`boot`] tests a built livepatch in a virtual machine.
//! [`inspect`] and [`verify`] read modules, [`diff`] compares two objects by themselves.
//! [`status`] is the exit status of all that; [`explain`] says what each refusal means; [`extract`] takes fixes out of two versions of a source package, which [`sources`] keeps unpacked.

pub mod boot;
pub mod cache;
pub mod compile;
pub mod diff;
pub mod explain;
pub mod extract;
pub mod glue;
pub mod inspect;
pub mod kbuild;
pub mod kernel;
pub mod link;
pub mod matrix;
pub mod narrate;
pub mod objects;
pub mod overlay;
pub mod packages;
pub mod pipeline;
mod prove;
pub mod provenance;
pub mod report;
pub mod run;
pub mod scope;
pub mod series;
pub mod sign;
pub mod sources;
pub mod status;
pub mod token;
pub mod units;
pub mod verify;

//! `livepatch-admin rollout`.

pub(crate) mod arguments;
mod orders;
mod simulate;
mod window;

pub(crate) use orders::run;
pub(crate) use simulate::{show_profile, simulate};

//! `livepatch-admin rollout`.

pub(crate) mod arguments;
mod simulate;

pub(crate) use simulate::{show_profile, simulate};

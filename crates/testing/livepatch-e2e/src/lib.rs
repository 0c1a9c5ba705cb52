//! The road of a fix, driven through the public commands only: builder, server, operator, machine.
//!
//! [`Programs`] finds the built programs, [`Builder`] makes livepatches, [`Site`] is a running server with its operator,
//! [`Machine`] a guest with the client in it, [`System`] a Debian system with the client's
//! package, [`KernelState`] what a guest's kernel says. The scenarios in `tests/it`
//! use them, one file a scenario, and so does `cargo xtask demo`. [`Prepared`] is the livepatch that the scenarios share.

mod builder;
mod kernel_state;
mod machine;
mod package;
mod prepared;
mod programs;
mod site;
mod system;

pub use builder::{BuildRequest, Builder, FixRequest};
pub use kernel_state::{KernelState, LivepatchState};
pub use machine::{Client, Machine};
pub use package::{client_package, server_package};
pub use prepared::{KERNEL_VARIABLE, Prepared};
pub use programs::{Programs, run_logged, workspace_root};
pub use site::Site;
pub use system::System;

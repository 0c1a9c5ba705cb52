//! The operators' web pages. Pure: what is to be shown goes in, HTML, SVG, CSV or JSON comes out; no file, no network, no
//! clock.
//!
//! A page is a function of its [`Frame`] (who looks, when, in which colours) and of what it shows. Everything that came
//! from outside (host names, log lines, notes) goes through `maud`, which escapes it; nothing is ever put into a page as
//! markup. There is no inline script and no inline style, so that [`CONTENT_SECURITY_POLICY`] can forbid both. Every page
//! can be read without JavaScript; `assets/dashboard.js` only adds to it.
//!
//! All words stand in [`words`]; tables are values ([`Table`]) that render as HTML, CSV and JSON alike; pictures are SVG
//! ([`chart`]).

mod administration;
mod assets;
mod build;
mod chart;
mod clock;
mod confirm;
mod cves;
mod frame;
mod livepatches;
mod machine;
mod machines;
mod moment;
mod neighbours;
mod notices;
mod overview;
pub mod paths;
mod public;
mod rollouts;
mod sign_in;
mod simulator;
mod support;
mod table;
mod users;
mod words;

pub use administration::{Audit, audit, audit_table, created_secret, key_table, keys, token_table, tokens};
pub use assets::{Asset, asset};
pub use build::BuildDocument;
pub use clock::{ClockList, clock, clock_table};
pub use confirm::{Question, confirm};
pub use cves::{CveFilter, CveList, CveView, cve, cve_table, cves};
pub use frame::{CONTENT_SECURITY_POLICY, Done, Frame, Theme, refusal};
pub use livepatches::{LivepatchView, Support, livepatch, livepatch_table, livepatches, support_table};
pub use machine::{BlockedLivepatch, MachineVerdict, MachineView, PastTransition, Waiting, machine};
pub use machines::{
    Grouping, MachineFilter, MachineGroup, MachineList, machine_group_table, machine_groups, machine_table,
    machines,
};
pub use moment::{length, text as moment_text};
pub use neighbours::{hook_made, hook_table, hooks, synced, upstream_table, upstreams};
pub use notices::{Channel, NoticeDesk, NoticeList, NoticeRow, edited, notice, notice_table, notices};
pub use overview::{Exposure, Overview, Protection, Trouble, overview};
pub use public::{not_livepatchable, public_cve, public_cves};
pub use rollouts::{RolloutPage, rollout, rollout_live, rollout_table, rollouts};
pub use sign_in::{SignIn, sign_in, signed_in, use_login};
pub use simulator::{Curve, Point, Simulated, Wish, simulator};
pub use support::{SupportedKernel, SupportedSeries, build_table, kernels};
pub use table::{Cell, Column, Table, Tone};
pub use users::{set_password, user_table, users};

/// Seconds since 1970, UTC.
pub type Seconds = i64;

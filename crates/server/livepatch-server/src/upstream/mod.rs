//! Passing on what other sites published: over the network or, across an air gap, in bundles.
//!
//! A site follows an upstream whose trust anchor an operator pinned. Its repository is loaded and verified as by a
//! machine ([`sync`]); what is selected ([`choose`]) is taken over as it is, with the word of the site that published it,
//! and comes under this site's own tiers and rollouts. Nothing of it can be altered here without every machine noticing;
//! it can be held back. An upstream may pass on others' livepatches itself, so chains need nothing of their own.

mod bundle;
mod choose;
mod fetch;
mod follow;
mod sync;

pub(crate) use bundle::{Description, Unpacked, write as write_bundle};
pub(crate) use fetch::HttpFetch;
pub(crate) use follow::{Upstream, anchor_parts, upstreams};
pub(crate) use sync::{Source, keep_synced, sync};

//! Livepatch Security Notices on a live site: generated from what is known, edited and reviewed by people, published for
//! everybody, corrected by revisions.

mod draft;
mod page;
mod workflow;

pub(crate) use draft::{Names, draft};
pub(crate) use page::{index, page, whole};
pub(crate) use workflow::{Desk, parse_number, read, seen, unknown};

//! Livepatch Security Notices: one document, every channel.
//!
//! A [`Notice`] announces a livepatch, or alerts that there can be none. From the one document come the mail's text ([`mail`]), the
//! page's HTML ([`html_fragment`]), the feeds ([`rss`], [`atom`]), and the forms that scanners read ([`osv`], [`csaf`], [`openvex`]).
//! JSON is the document itself. Pure: no I/O, no clock; the same notice gives the same bytes.

mod escape;
mod feed;
mod html;
mod machine;
mod mail;
mod notice;
mod number;

pub use escape::markup;
pub use feed::{Feed, atom, rss};
pub use html::html_fragment;
pub use machine::{Publisher, csaf, openvex, osv};
pub use mail::{Mail, mail};
pub use notice::{Affected, Alert, Detail, Instruction, Kind, Notice, NoticeError, Revision};
pub use number::{LsnNumber, LsnNumberError};

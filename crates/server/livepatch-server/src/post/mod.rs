//! Mail: published notices to everybody on the list, over SMTP, from a queue in the database.

mod message;
mod queue;

pub(crate) use message::is_address;
pub use message::{Mailbox, MailboxError};
pub(crate) use queue::{Post, keep_sending};

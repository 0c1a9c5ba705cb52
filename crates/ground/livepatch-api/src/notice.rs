//! Livepatch Security Notices on their way: draft, review, publication, mail.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How far a revision of a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NoticeState {
    /// It is being written.
    Draft,
    /// Somebody else has read it.
    Reviewed,
    /// Everybody can read it; it never changes again.
    Published,
}

/// Begin a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NoticeDraft {
    /// The vulnerabilities that it announces a livepatch for, or that none is possible for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cves: Vec<String>,
    /// Instead: correct this published notice, `LSN-0123`, by its next revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revise: Option<String>,
    /// What the revision changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A notice as operators see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NoticeView {
    /// `LSN-0123-1`.
    pub number: String,
    /// How far it is.
    pub state: NoticeState,
    /// Who wrote it last.
    pub author: String,
    /// Who reviewed it as it is.
    pub reviewer: Option<String>,
    /// When it was published, RFC 3339.
    pub published: Option<String>,
    /// What must be mended before it can be published; absent: nothing.
    pub problem: Option<String>,
    /// The notice.
    pub notice: Value,
    /// What became of its mails.
    pub mails: Vec<MailReport>,
}

/// A page of published notices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NoticePage {
    /// The notices, newest first.
    pub notices: Vec<Value>,
    /// What to ask for the next page with (`cursor`); absent: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MailReport {
    /// The notice's revision.
    pub revision: u32,
    /// To whom.
    pub address: String,
    /// `queued`, `sent` or `refused`.
    pub state: String,
    /// Attempts so far.
    pub attempts: u32,
    /// The last answer of the mail server.
    pub detail: String,
}

/// Put an address on the mailing list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubscriberRequest {
    /// The address.
    pub address: String,
}

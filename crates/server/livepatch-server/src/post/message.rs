//! A notice as a mail (RFC 5322), with the one-click way off the list (RFC 8058). A signature (DKIM) is the relay's, which
//! holds the domain's key; the headers that it should cover are all there when the mail leaves.

use lettre::{
    Address, Message,
    message::{
        Mailbox as Box, SinglePart,
        header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue},
    },
};
use livepatch_notice::{Notice, mail};
use std::{fmt, str::FromStr};

/// The sender of the mails, such as `Livepatch notices <notices@example.org>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox(Box);

/// The text is no mail address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no mail address")]
pub struct MailboxError(String);

impl FromStr for Mailbox {
    type Err = MailboxError;

    fn from_str(text: &str) -> Result<Self, MailboxError> {
        text.parse().map(Self).map_err(|_| MailboxError(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether this is one plain address.
pub(crate) fn is_address(text: &str) -> bool {
    text.len() <= 254 && text.parse::<Address>().is_ok()
}

/// A header whose value is made by us and ASCII.
macro_rules! header {
    ($name:ident, $text:literal) => {
        #[derive(Clone)]
        struct $name(String);

        impl Header for $name {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($text)
            }

            fn parse(value: &str) -> Result<Self, std::boxed::Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(value.to_owned()))
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.clone())
            }
        }
    };
}

header!(ListUnsubscribe, "List-Unsubscribe");
header!(ListUnsubscribePost, "List-Unsubscribe-Post");
header!(ListId, "List-Id");
header!(AutoSubmitted, "Auto-Submitted");

/// The mail of a notice to one address. `way_off`: the address that takes it off the list.
pub(crate) fn message(
    notice: &Notice,
    from: &Mailbox,
    to: &str,
    way_off: &str,
) -> Result<Message, lettre::error::Error> {
    let content = mail(notice);
    let domain = from.0.email.domain();
    let to = to.parse::<Address>().map_err(|_| lettre::error::Error::MissingTo)?;
    let footer = format!("-- \nTo get no more of these mails: {way_off}\n");
    let body = SinglePart::builder()
        .header(ContentType::TEXT_PLAIN)
        .header(ContentTransferEncoding::QuotedPrintable)
        .body(format!("{}\n{footer}", content.text));
    Message::builder()
        .from(from.0.clone())
        .to(Box::new(None, to))
        .subject(content.subject)
        .message_id(Some(format!("<{}.{}@{domain}>", notice.number, uuid::Uuid::new_v4())))
        .date_now()
        .header(ListId(format!("Livepatch Security Notices <notices.{domain}>")))
        .header(ListUnsubscribe(format!("<{way_off}>")))
        .header(ListUnsubscribePost("List-Unsubscribe=One-Click".to_owned()))
        .header(AutoSubmitted("auto-generated".to_owned()))
        .singlepart(body)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert!("Notices <notices@example.org>".parse::<Mailbox>().is_ok());
        assert!("notices".parse::<Mailbox>().is_err());
        assert!(is_address("reader@example.org"));
        for text in ["", "reader", "a@b\r\nBcc: c@d", "Reader <reader@example.org>", "a@b, c@d"] {
            assert!(!is_address(text), "{text}");
        }
    }
}

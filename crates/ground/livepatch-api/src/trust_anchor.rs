//! What a machine trusts before it has met the server, and the token that pins it.
//!
//! An enrolment token carries the SHA-256 of a trust anchor beside its secret. The machine fetches the anchor from the
//! server and accepts it only when the digest agrees, so a hostile server or network cannot put its own keys in.

use livepatch_manifest::Digest;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The keys that a machine starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrustAnchor {
    /// Always 1.
    pub schema: u32,
    /// The TUF root metadata document (`N.root.json`), whole, as text.
    pub tuf_root: String,
    /// PEM certificates of the keys that may sign modules.
    pub module_certificates: Vec<String>,
    /// What the site is called among others: SHA-256 of its first root document. Absent in anchors of older servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Digest>,
    /// Sites whose livepatches this one passes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<AnchoredOrigin>,
}

/// A site whose livepatches come through others: what it published, no mirror can alter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnchoredOrigin {
    /// SHA-256 of its first root document.
    pub site: Digest,
    /// A TUF root metadata document of its, whole, as text.
    pub tuf_root: String,
    /// SHA-256 of the certificates (DER), among the anchor's, that its modules are signed with.
    pub certificates: Vec<Digest>,
}

/// What the machine owner types: `lp1.SECRET.DIGEST`.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// The bearer secret for enrolment.
    pub secret: String,
    /// SHA-256 of the trust anchor's bytes.
    pub trust_anchor: Digest,
}

/// Why a text is no enrolment token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// The shape is wrong; the text is not repeated, since it may hold a secret.
    #[error("this is not an enrolment token: lp1.SECRET.DIGEST expected, as livepatch-admin printed it")]
    Malformed,
}

impl TrustAnchor {
    /// The bytes that are served and whose digest tokens carry.
    ///
    /// # Errors
    /// Never for an anchor that was built from text; the signature is serde's.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

impl FromStr for EnrolmentToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim().split('.');
        let (Some("lp1"), Some(secret), Some(digest), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Malformed);
        };
        let sound = (16..=128).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_alphanumeric());
        match digest.parse() {
            Ok(trust_anchor) if sound => Ok(Self { secret: secret.to_owned(), trust_anchor }),
            _ => Err(TokenError::Malformed),
        }
    }
}

impl fmt::Display for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lp1.{}.{}", self.secret, self.trust_anchor)
    }
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrolmentToken(secret withheld, {:?})", self.trust_anchor)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn token_reads_back_and_hides_its_secret() {
        let token = EnrolmentToken { secret: "s".repeat(32), trust_anchor: Digest::of(b"anchor") };
        assert_eq!(token.to_string().parse::<EnrolmentToken>().unwrap(), token);
        assert!(!format!("{token:?}").contains("ssss"));
    }

    #[test]
    fn broken_tokens_are_refused() {
        for text in
            ["", "lp1", "lp1.short.aa", &format!("lp2.{}.{}", "s".repeat(32), "a".repeat(64)), "lp1....."]
        {
            assert_eq!(text.parse::<EnrolmentToken>(), Err(TokenError::Malformed));
        }
    }
}

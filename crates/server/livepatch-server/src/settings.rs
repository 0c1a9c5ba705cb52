//! What the program is started with.

use crate::{Mailbox, OpenIdSettings, Rates};
use livepatch_bucket::Bucket;
use livepatch_trust::Lifetimes;
use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

/// How a server runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything is kept.
    pub data: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Speak TLS on that address; absent: a proxy in front does, or nobody.
    pub tls: Option<TlsFiles>,
    /// Another address, for `/metrics` beside `/healthz` and `/readyz`; absent: all are at `listen`.
    pub metrics_listen: Option<SocketAddr>,
    /// The tiers, first to get a livepatch first, until operators change them.
    pub tiers: Tiers,
    /// Tiers that nothing comes to by one person's word.
    pub two_people_for: Vec<String>,
    /// How many requests are answered.
    pub rates: Rates,
    /// How long signed metadata last.
    pub lifetimes: Lifetimes,
    /// How often the server looks whether metadata must be signed again.
    pub refresh_every: Duration,
    /// How often rollouts are looked at; trouble is looked at as it is reported.
    pub look_every: Duration,
    /// How many machines may wait at once to be told of news; a connection takes some 20 KiB.
    pub most_waiting: u32,
    /// A PostgreSQL database instead of the file in the data directory.
    pub database: Option<String>,
    /// A bucket for the repository and the trust anchors instead of the data directory.
    pub objects: Option<Bucket>,
    /// What people and scanners reach the server by, without a slash at the end; absent: the address it listens on.
    pub public_url: Option<String>,
    /// The mail server that takes notices, such as `smtps://USER:PASSWORD@HOST`; absent: no mail is sent.
    pub smtp: Option<String>,
    /// Who the mails are from.
    pub mail_from: Option<Mailbox>,
    /// How long a message that a web-hook did not take waits the first time; twice as long the next time, and so on.
    pub hook_retry: Duration,
    /// How long a mail that was deferred waits the first time; twice as long the next time, and so on.
    pub mail_retry: Duration,
    /// Where people sign in to the dashboard; absent: with keys and passwords alone.
    pub openid: Option<OpenIdSettings>,
}

impl Settings {
    /// Where the repository is when it is in the data directory.
    pub(crate) fn repository(&self) -> PathBuf {
        self.data.join("repository")
    }

    /// The server's address for readers.
    pub fn public_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let own = || format!("{scheme}://{}", self.listen);
        self.public_url.as_ref().map_or_else(own, |url| url.trim_end_matches('/').to_owned())
    }
}

/// The server's own certificate, for browsers and machines, in PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and the authority that browsers know.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Ordered tiers. A livepatch that is available to one is available to all before it, so no tier ever gets what an
/// earlier one did not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiers(Vec<String>);

/// Why a text names no tiers.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// A name is empty, too long or of other characters.
    #[error("'{0}' is no tier name: lower-case letters, digits and dashes, at most 32")]
    TierName(String),
    /// The same name twice.
    #[error("the tier {0} is named twice")]
    TierTwice(String),
}

impl Tiers {
    /// The names, first to get a livepatch first.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// This tier and all before it; `None` when there is no such tier.
    pub fn up_to(&self, tier: &str) -> Option<&[String]> {
        let last = self.0.iter().position(|name| name == tier)?;
        self.0.get(..=last)
    }
}

impl Default for Tiers {
    fn default() -> Self {
        Self(["edge", "beta", "candidate", "stable"].map(str::to_owned).to_vec())
    }
}

impl FromStr for Tiers {
    type Err = SettingsError;

    /// Reads `edge,beta,stable`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut names: Vec<String> = Vec::new();
        for name in text.split(',').map(str::trim) {
            let sound = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !sound || name.is_empty() || name.len() > 32 {
                return Err(SettingsError::TierName(name.to_owned()));
            }
            if names.iter().any(|other| other == name) {
                return Err(SettingsError::TierTwice(name.to_owned()));
            }
            names.push(name.to_owned());
        }
        Ok(Self(names))
    }
}

impl fmt::Display for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn a_tier_includes_those_before_it() {
        let tiers = Tiers::default();
        assert_eq!(tiers.up_to("edge").unwrap(), ["edge"]);
        assert_eq!(tiers.up_to("candidate").unwrap(), ["edge", "beta", "candidate"]);
        assert_eq!(tiers.up_to("nightly"), None);
    }

    #[test]
    fn names_are_checked() {
        assert_eq!("a, b-2".parse::<Tiers>().unwrap().names(), ["a", "b-2"]);
        assert_eq!("a,a".parse::<Tiers>(), Err(SettingsError::TierTwice("a".into())));
        for text in ["", "a,", "Edge", "a/b", &"x".repeat(33)] {
            assert!(matches!(text.parse::<Tiers>(), Err(SettingsError::TierName(_))), "{text}");
        }
    }
}

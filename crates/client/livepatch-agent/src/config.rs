//! `/etc/livepatch/livepatchd.toml`.

use crate::{
    connection::Connection,
    policy::{Policy, parse_delay},
    telemetry::Telemetry,
    window::Window,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// The daemon's configuration; every key may be left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The server for `livepatch enable` without `--server`.
    pub server: Option<Url>,
    /// Minutes between two looks at the repository, 1 to 10080 (a week).
    pub refresh_minutes: u32,
    /// Seconds for which a new livepatch is watched before it counts as good.
    pub soak_seconds: u32,
    /// Seconds after which a transition that does not end is reverted. The kernel itself nudges sleeping tasks after
    /// 15 seconds, so less than 20 gives up too early.
    pub transition_deadline_seconds: u32,
    /// Whether no livepatch that is new to this machine is applied. What proved good here is applied again after a reboot.
    pub hold: bool,
    /// RFC 3339: nothing that was published later is applied.
    pub cutoff_date: Option<Timestamp>,
    /// How long a livepatch must have been published before it is applied: a number with s, m, h, d or w.
    pub patch_delay: String,
    /// When livepatches that are new to this machine are applied, such as `Sat 01:00-05:00`; none: at any time.
    pub maintenance_windows: Vec<Window>,
    /// What to do when kprobes, BPF programs or other users of ftrace are on a function that is to be replaced.
    pub tracing_users: TracingPolicy,
    /// What to do about mitigations that the owner did not decide on.
    pub mitigations: MitigationPolicy,
    /// URL of a proxy for all requests, `http://[USER:PASSWORD@]HOST:PORT`; absent: what the environment says.
    pub proxy: Option<String>,
    /// A file with certificates in PEM that are trusted beside the system's, for servers of a private authority.
    pub ca_file: Option<PathBuf>,
    /// Where the repository is read instead of at the server: a mirror's URL, or the `file:` URL of a directory.
    pub mirror: Option<Url>,
    /// Whether the server is asked to say at once when there is something new.
    pub push: bool,
    /// The tier of a machine whose server is a directory (`file:` URL); servers say the tier themselves.
    pub tier: String,
    /// What the server is told.
    pub telemetry: Telemetry,
    /// Whether desktop tools that know the Canonical client are answered at its sockets.
    pub canonical_sockets: bool,
}

/// What to do about users of ftrace on functions that are to be replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TracingPolicy {
    /// Apply, and say who is there and whether they still fire.
    #[default]
    Warn,
    /// Try again at each look until they are gone, for a day at most; then as `warn`.
    Wait,
    /// Do not apply while they are there.
    Refuse,
}

/// What to do about mitigations: what makes a vulnerability harmless until a livepatch or an update mends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MitigationPolicy {
    /// Show them; the owner agrees to each.
    #[default]
    Ask,
    /// Agree to all.
    Apply,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration")]
    Read(#[source] io::Error),
    /// It is not what it should be.
    #[error("the configuration is wrong: {0}")]
    Content(String),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: None,
            refresh_minutes: 60,
            soak_seconds: 600,
            transition_deadline_seconds: 120,
            hold: false,
            cutoff_date: None,
            patch_delay: "0".to_owned(),
            maintenance_windows: Vec::new(),
            tracing_users: TracingPolicy::Warn,
            mitigations: MitigationPolicy::Ask,
            proxy: None,
            ca_file: None,
            mirror: None,
            push: true,
            tier: "stable".to_owned(),
            telemetry: Telemetry::default(),
            canonical_sockets: false,
        }
    }
}

impl Config {
    /// Reads the file; when it does not exist, the defaults hold.
    ///
    /// # Errors
    /// [`ConfigError`] for an unreadable file, an unknown key or a value out of range.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(ConfigError::Read(error)),
        }
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// [`ConfigError::Content`] for an unknown key or a value out of range.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::Content(error.to_string()))?;
        let wrong = |text: &str| Err(ConfigError::Content(text.to_owned()));
        if !(1..=10_080).contains(&config.refresh_minutes) {
            return wrong("refresh_minutes is 1 to 10080");
        }
        if config.transition_deadline_seconds == 0 {
            return wrong("transition_deadline_seconds is at least 1");
        }
        if parse_delay(&config.patch_delay).is_none() {
            return wrong("patch_delay is a number with a unit: 90s, 30m, 12h, 3d or 2w");
        }
        if config.server.as_ref().is_some_and(|server| !is_server_url(server)) {
            return wrong("server is an http, https or file URL");
        }
        if config.mirror.as_ref().is_some_and(|mirror| !is_server_url(mirror)) {
            return wrong("mirror is an http, https or file URL");
        }
        Ok(config)
    }

    /// [`Config::refresh_minutes`].
    pub fn refresh_interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.refresh_minutes) * 60)
    }

    /// The way to the server.
    pub fn connection(&self) -> Connection {
        Connection {
            proxy: self.proxy.clone(),
            ca_file: self.ca_file.clone(),
            mirror: self.mirror.clone(),
            tier: self.tier.clone(),
        }
    }

    /// What decides whether a livepatch may be applied now.
    pub fn policy(&self) -> Policy {
        Policy {
            hold: self.hold,
            cutoff: self.cutoff_date,
            delay: parse_delay(&self.patch_delay).unwrap_or_default(),
            windows: self.maintenance_windows.clone(),
        }
    }

    /// [`Config::soak_seconds`].
    pub fn soak(&self) -> Duration {
        Duration::from_secs(self.soak_seconds.into())
    }

    /// [`Config::transition_deadline_seconds`].
    pub fn transition_deadline(&self) -> Duration {
        Duration::from_secs(self.transition_deadline_seconds.into())
    }
}

/// Whether the client can talk to a server at this URL.
pub(crate) fn is_server_url(url: &Url) -> bool {
    match url.scheme() {
        "http" | "https" => url.has_host(),
        "file" => url.to_file_path().is_ok(),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn nothing_gives_the_defaults() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        assert_eq!(Config::load(Path::new("/nonexistent/x.toml")).unwrap(), Config::default());
    }

    #[test]
    fn the_packaged_example_is_valid() {
        let example = include_str!("../../../../packaging/livepatchd.toml");
        assert_eq!(Config::parse(example).unwrap(), Config::default());
        let uncommented: String =
            example.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
        let config = Config::parse(&uncommented).unwrap();
        assert!(config.server.is_some());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("refresh_minute = 5", "refresh_minute"),
            ("refresh_minutes = 0", "refresh_minutes"),
            ("server = 'ftp://example.com'", "server"),
            ("mirror = 'rsync://example.com'", "mirror"),
            ("tracing_users = 'ignore'", "tracing_users"),
            ("transition_deadline_seconds = 0", "transition_deadline"),
            ("patch_delay = '3 fortnights'", "patch_delay"),
            ("maintenance_windows = ['Saturday']", "no maintenance window"),
            ("cutoff_date = 'soon'", "cutoff_date"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}

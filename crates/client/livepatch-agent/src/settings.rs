//! The keys of `livepatchd.toml` one by one, for `livepatch config`: what each means, how a value is written, and the change
//! of a file's text that keeps everything else in it. Pure.

use crate::config::{Config, ConfigError};

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the file, such as `refresh_minutes`. On the command line dashes do as well.
    pub key: &'static str,
    /// What the Canonical client calls it, where it has it.
    pub canonical: Option<&'static str>,
    /// How values are written.
    pub kind: SettingKind,
    /// What it is for and what it takes, in a few sentences.
    pub meaning: &'static str,
}

/// How a value is written in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// In quotes.
    Text,
    /// As it is.
    Number,
    /// `true` or `false`.
    Switch,
    /// Values between semicolons, each in quotes.
    List,
}

/// Why a setting was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// There is no such key.
    #[error("there is no setting '{0}': see `livepatch config explain`")]
    Unknown(String),
    /// The configuration would be wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

const fn setting(
    key: &'static str,
    canonical: Option<&'static str>,
    kind: SettingKind,
    meaning: &'static str,
) -> Setting {
    Setting { key, canonical, kind, meaning }
}

/// Every key of [`Config`].
pub const SETTINGS: &[Setting] = &[
    setting(
        "server",
        Some("remote-server"),
        SettingKind::Text,
        "The server that `livepatch enable TOKEN` uses without --server: an http or https URL. No default.",
    ),
    setting(
        "refresh_minutes",
        Some("check-interval"),
        SettingKind::Number,
        "Minutes between two looks at the repository, 1 to 10080. Default 60.",
    ),
    setting(
        "soak_seconds",
        None,
        SettingKind::Number,
        "Seconds for which a newly applied livepatch is watched before it counts as good. Default 600.",
    ),
    setting(
        "transition_deadline_seconds",
        None,
        SettingKind::Number,
        "Seconds after which a transition that does not end is reverted. Default 120; keep it above 20.",
    ),
    setting(
        "hold",
        None,
        SettingKind::Switch,
        "Whether no livepatch that is new to this machine is applied. What proved good here is applied again after a reboot. Default false.",
    ),
    setting(
        "cutoff_date",
        Some("cutoff-date"),
        SettingKind::Text,
        "Nothing that was published after this moment (RFC 3339) is applied. No default.",
    ),
    setting(
        "patch_delay",
        Some("patch-delay"),
        SettingKind::Text,
        "How long a livepatch must have been published before it is applied by itself: a number with s, m, h, d or w. Default 0.",
    ),
    setting(
        "maintenance_windows",
        None,
        SettingKind::List,
        "When livepatches that are new to this machine are applied by themselves, in its time zone: DAYS HH:MM-HH:MM, several between semicolons, such as `Mon-Fri 22:00-04:00; Sat,Sun 01:00-05:00`. None: at any time.",
    ),
    setting(
        "tracing_users",
        None,
        SettingKind::Text,
        "What to do when kprobes, BPF programs or other users of ftrace are on a function that is to be replaced: `warn`, `wait` or `refuse`. Default warn.",
    ),
    setting(
        "mitigations",
        None,
        SettingKind::Text,
        "What to do about mitigations, which make a vulnerability harmless until it is mended and switch something off meanwhile: `ask` (show them, `livepatch mitigation apply` agrees) or `apply` (agree to all; `livepatch mitigation settle` carries out what is agreed to, as root). Default ask.",
    ),
    setting(
        "proxy",
        Some("https-proxy"),
        SettingKind::Text,
        "A proxy for all requests: http://[USER:PASSWORD@]HOST:PORT. Without it the usual environment variables count.",
    ),
    setting(
        "ca_file",
        Some("ca-certs"),
        SettingKind::Text,
        "A file with certificates in PEM that are trusted beside the system's, for a server of a private authority. No default.",
    ),
    setting(
        "mirror",
        None,
        SettingKind::Text,
        "Where the repository is read instead of at the server: a mirror's URL, or the file: URL of a directory. No default.",
    ),
    setting(
        "push",
        None,
        SettingKind::Switch,
        "Whether the server is asked to say at once when there is something new, over a connection that is kept open between the looks. With a mirror it is not asked. Default true.",
    ),
    setting(
        "tier",
        None,
        SettingKind::Text,
        "The tier of a machine whose server is a directory. Default stable.",
    ),
    setting(
        "telemetry",
        None,
        SettingKind::Text,
        "What the server is told: `off` (nothing), `minimal` (kernel and state), `full` (also host name, taint and details of events). Default full; `livepatch check-in --show` prints what would be sent.",
    ),
    setting(
        "canonical_sockets",
        None,
        SettingKind::Switch,
        "Whether desktop tools that know the Canonical client are answered at its sockets below /var/snap/canonical-livepatch. Default false; takes effect when livepatchd starts.",
    ),
];

impl Setting {
    /// The setting of this name: the file's, with dashes, or the Canonical client's.
    ///
    /// # Errors
    /// [`SettingError::Unknown`].
    pub fn find(name: &str) -> Result<&'static Self, SettingError> {
        let plain = name.replace('-', "_");
        let found = SETTINGS.iter().find(|setting| setting.key == plain || setting.canonical == Some(name));
        found.ok_or_else(|| SettingError::Unknown(name.chars().take(64).collect()))
    }

    /// Its value in a configuration, as it is typed; empty when it has none.
    pub fn value(&self, config: &Config) -> String {
        let all = serde_json::to_value(config).unwrap_or_default();
        text_of(&all[self.key])
    }

    /// The text of a configuration file with this setting changed to `value`, or taken out for none. Comments and other
    /// keys stay as they are.
    ///
    /// # Errors
    /// [`SettingError::Config`] when the configuration would be wrong.
    pub fn change(&self, text: &str, value: Option<&str>) -> Result<String, SettingError> {
        let line = value.map(|value| format!("{} = {}", self.key, self.written(value)));
        let mut lines: Vec<&str> = text.lines().collect();
        let at = lines
            .iter()
            .take_while(|line| !line.trim_start().starts_with('['))
            .position(|line| self.is_line(line));
        match (at, &line) {
            (Some(at), Some(line)) => lines[at] = line,
            (Some(at), None) => drop(lines.remove(at)),
            (None, Some(line)) => {
                let end =
                    lines.iter().position(|line| line.trim_start().starts_with('[')).unwrap_or(lines.len());
                lines.insert(end, line);
            }
            (None, None) => {}
        }
        let changed = lines.join("\n") + "\n";
        Config::parse(&changed)?;
        Ok(changed)
    }

    fn is_line(&self, line: &str) -> bool {
        line.split_once('=').is_some_and(|(key, _)| key.trim() == self.key)
    }

    fn written(&self, value: &str) -> String {
        // JSON's strings are TOML's basic strings.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self.kind {
            SettingKind::Text => quoted(value),
            SettingKind::Number | SettingKind::Switch => value.trim().to_owned(),
            SettingKind::List => {
                let items: Vec<String> =
                    value.split(';').map(str::trim).filter(|item| !item.is_empty()).map(quoted).collect();
                format!("[{}]", items.join(", "))
            }
        }
    }
}

fn text_of(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_configuration_is_explained_and_no_other() {
        let config = serde_json::to_value(Config::default()).unwrap();
        let mut keys: Vec<&str> = config.as_object().unwrap().keys().map(String::as_str).collect();
        let mut explained: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        keys.sort_unstable();
        explained.sort_unstable();
        assert_eq!(keys, explained);
    }

    #[test]
    fn names_of_three_kinds() {
        for name in ["refresh_minutes", "refresh-minutes", "check-interval"] {
            assert_eq!(Setting::find(name).unwrap().key, "refresh_minutes");
        }
        assert!(matches!(Setting::find("refresh"), Err(SettingError::Unknown(_))));
    }

    #[test]
    fn a_change_keeps_everything_else() {
        let text = "# mine\nserver = \"https://a.example\"\n\nrefresh_minutes = 5 # often\n";
        let setting = Setting::find("refresh_minutes").unwrap();
        let changed = setting.change(text, Some("30")).unwrap();
        assert_eq!(changed, "# mine\nserver = \"https://a.example\"\n\nrefresh_minutes = 30\n");
        assert_eq!(setting.value(&Config::parse(&changed).unwrap()), "30");
        assert_eq!(setting.change(text, None).unwrap(), "# mine\nserver = \"https://a.example\"\n\n");
        let server = Setting::find("remote-server").unwrap();
        let changed = server.change("", Some("https://b.example/")).unwrap();
        assert_eq!(server.value(&Config::parse(&changed).unwrap()), "https://b.example/");
    }

    #[test]
    fn lists_have_semicolons_since_days_have_commas() {
        let setting = Setting::find("maintenance-windows").unwrap();
        let text = setting.change("", Some("Sat,Sun 01:00-05:00; daily 22:00-04:00")).unwrap();
        assert_eq!(text, "maintenance_windows = [\"Sat,Sun 01:00-05:00\", \"daily 22:00-04:00\"]\n");
        let value = setting.value(&Config::parse(&text).unwrap());
        assert_eq!(value, "Sat,Sun 01:00-05:00; daily 22:00-04:00");
        assert!(setting.change("", Some("some day")).is_err());
        let cutoff = Setting::find("cutoff-date").unwrap();
        let text = cutoff.change("", Some("2026-11-01T00:00:00Z")).unwrap();
        assert_eq!(cutoff.value(&Config::parse(&text).unwrap()), "2026-11-01T00:00:00Z");
    }

    #[test]
    fn a_value_that_cannot_be_changes_nothing() {
        for (name, value) in
            [("refresh_minutes", "0"), ("refresh_minutes", "5\nserver = 'x'"), ("telemetry", "some")]
        {
            assert!(Setting::find(name).unwrap().change("", Some(value)).is_err(), "{name} {value}");
        }
    }
}

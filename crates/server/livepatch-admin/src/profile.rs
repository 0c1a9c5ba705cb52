//! Named servers: a file with an address and a key file for each, so that one word says which server is meant.
//!
//! ```toml
//! default = "lab"
//!
//! [profiles.lab]
//! server = "https://livepatch.lab.example.org"
//! key-file = "lab.key"
//! ```

use crate::{
    arguments::{Arguments, Format},
    output,
};
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
};
use url::Url;

/// Where a server listens when nobody says anything else.
const USUAL_SERVER: &str = "http://127.0.0.1:8080";

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Show the profiles of the file.
    List,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Profiles {
    /// The profile that is meant when no server is named.
    #[serde(default)]
    default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// A server, and the key to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Profile {
    server: Url,
    /// From the file's own folder on.
    #[serde(default)]
    key_file: Option<PathBuf>,
}

/// Which server is meant, and the file with its key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) key_file: Option<PathBuf>,
}

/// What the command line says goes before the profile that it names. The default profile is for a command line that names
/// no server: its key goes to no other one.
pub(crate) fn target(arguments: &Arguments) -> Result<Target> {
    let wanted = match &arguments.profile {
        Some(name) => Some(named(name)?),
        None if arguments.server.is_none() => usual()?,
        None => None,
    };
    let (server, key) = wanted.map_or((None, None), |profile| (Some(profile.server), profile.key_file));
    let url = match arguments.server.clone().or(server) {
        Some(url) => url,
        None => USUAL_SERVER.parse().context("the usual server")?,
    };
    Ok(Target { url, key_file: arguments.key_file.clone().or(key) })
}

fn named(name: &str) -> Result<Profile> {
    let file = file()?;
    let mut known = read(&file)?.profiles;
    let names: Vec<String> = known.keys().cloned().collect();
    known.remove(name).with_context(|| {
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("there is no profile {name}; {} has {names}", file.display())
    })
}

fn usual() -> Result<Option<Profile>> {
    // Without a home there is no file, and nobody asked for one.
    let Ok(file) = file() else { return Ok(None) };
    match read(&file)?.default {
        Some(name) => named(&name).map(Some),
        None => Ok(None),
    }
}

/// Where the file is (XDG Base Directory Specification).
fn file() -> Result<PathBuf> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let settings = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
    let settings = settings.context("profiles are kept below HOME or XDG_CONFIG_HOME; neither is set")?;
    Ok(settings.join("livepatch/admin.toml"))
}

/// Without a file there are no profiles.
fn read(file: &Path) -> Result<Profiles> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Profiles::default()),
        text => text.with_context(|| format!("{} cannot be read", file.display()))?,
    };
    let mut profiles: Profiles =
        toml::from_str(&text).with_context(|| format!("{} is no file of profiles", file.display()))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    for profile in profiles.profiles.values_mut() {
        profile.key_file = profile.key_file.take().map(|key| folder.join(key));
    }
    Ok(profiles)
}

pub(crate) fn run(format: Format, command: &ProfileCommand) -> Result<()> {
    let ProfileCommand::List = command;
    let file = file()?;
    let known = read(&file)?;
    if let Some(name) = known.default.as_ref().filter(|name| !known.profiles.contains_key(*name)) {
        bail!("the default of {} is {name}, and there is no such profile", file.display());
    }
    if format == Format::Json {
        return output::json(&known);
    }
    let rows = known.profiles.iter().map(|(name, profile)| {
        let mark = if known.default.as_ref() == Some(name) { "default" } else { "" };
        let key = profile.key_file.as_ref().map_or_else(|| "-".to_owned(), |key| key.display().to_string());
        vec![name.clone(), profile.server.to_string(), key, mark.to_owned()]
    });
    let empty = format!("There are no profiles; {} is where they are kept.", file.display());
    output::table(&["profile", "server", "key file", ""], rows.collect(), &empty)
}

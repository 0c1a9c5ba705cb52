//! `livepatch config`: shows and changes livepatchd.toml, and tells the daemon.

use crate::{
    arguments::{Arguments, ConfigArguments, ConfigCommand},
    exit::Exit,
    output,
};
use anyhow::Context as _;
use livepatch_agent::{Client, ClientError, Config, Request, SETTINGS, Setting, SettingError};
use serde_json::{Map, Value, json};
use std::{fs, io, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path};

/// Does what was asked.
pub(crate) fn run(arguments: &Arguments, config: &ConfigArguments) -> anyhow::Result<Exit> {
    match &config.command {
        None => show(arguments, &config.file, None),
        Some(ConfigCommand::Get { key }) => show(arguments, &config.file, key.as_deref()),
        Some(ConfigCommand::Explain { key }) => explain(arguments, key.as_deref()),
        Some(ConfigCommand::Unset { keys }) => {
            let changes = keys.iter().map(|key| (key.clone(), None)).collect();
            change(arguments, &config.file, changes)
        }
        Some(ConfigCommand::Set { assignments }) => match changes(assignments)? {
            Some(changes) => change(arguments, &config.file, changes),
            None => Ok(Exit::Usage),
        },
        Some(ConfigCommand::Telemetry { level }) => {
            change(arguments, &config.file, vec![("telemetry".to_owned(), Some(level.clone()))])
        }
    }
}

/// A setting's name, and its new value; none takes it back to its default.
type Change = (String, Option<String>);

/// What `KEY=VALUE` and `KEY=@stdin` say; none when one has another shape, which is told here.
pub(crate) fn changes(assignments: &[String]) -> anyhow::Result<Option<Vec<Change>>> {
    let mut changes = Vec::new();
    for assignment in assignments {
        let Some((key, value)) = assignment.split_once('=') else {
            eprintln!("error[malformed-setting]: '{assignment}' is not KEY=VALUE");
            return Ok(None);
        };
        let value = match value {
            "" => None,
            "@stdin" => Some(
                io::read_to_string(io::stdin()).context("standard input cannot be read")?.trim().to_owned(),
            ),
            value => Some(value.to_owned()),
        };
        changes.push((key.to_owned(), value));
    }
    Ok(Some(changes))
}

fn show(arguments: &Arguments, file: &Path, key: Option<&str>) -> anyhow::Result<Exit> {
    let config = Config::load(file).with_context(|| format!("{} cannot be used", file.display()))?;
    let Some(settings) = chosen(key) else { return Ok(Exit::Usage) };
    let values: Map<String, Value> =
        settings.iter().map(|setting| (setting.key.to_owned(), json!(setting.value(&config)))).collect();
    output::document(arguments.format, &values, || match settings.as_slice() {
        [setting] if key.is_some() => setting.value(&config),
        all => all.iter().map(|setting| format!("{} = {}\n", setting.key, setting.value(&config))).collect(),
    })?;
    Ok(Exit::Fine)
}

fn explain(arguments: &Arguments, key: Option<&str>) -> anyhow::Result<Exit> {
    let Some(settings) = chosen(key) else { return Ok(Exit::Usage) };
    let explained: Vec<Value> = settings
        .iter()
        .map(
            |setting| json!({"key": setting.key, "canonical": setting.canonical, "meaning": setting.meaning}),
        )
        .collect();
    output::document(arguments.format, &explained, || {
        let explain = |setting: &&Setting| {
            let also = setting
                .canonical
                .map(|name| format!(" (in the Canonical client: {name})"))
                .unwrap_or_default();
            format!("{}{also}\n  {}\n", setting.key, setting.meaning)
        };
        settings.iter().map(explain).collect()
    })?;
    Ok(Exit::Fine)
}

/// The setting of this name, or all; none for an unknown name, which is told here.
fn chosen(key: Option<&str>) -> Option<Vec<&'static Setting>> {
    match key.map(Setting::find) {
        None => Some(SETTINGS.iter().collect()),
        Some(Ok(setting)) => Some(vec![setting]),
        Some(Err(error)) => {
            tell_wrong(&error);
            None
        }
    }
}

/// Changes the file as a whole or not at all, and has the daemon read it.
pub(crate) fn change(arguments: &Arguments, file: &Path, changes: Vec<Change>) -> anyhow::Result<Exit> {
    let mut text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return cannot(file, error),
    };
    for (key, value) in changes {
        let changed = Setting::find(&key).and_then(|setting| setting.change(&text, value.as_deref()));
        match changed {
            Ok(changed) => text = changed,
            Err(error) => {
                tell_wrong(&error);
                return Ok(Exit::Usage);
            }
        }
    }
    if let Err(error) = replace(file, &text) {
        return cannot(file, error);
    }
    reload(arguments)
}

fn tell_wrong(error: &SettingError) {
    let code = match error {
        SettingError::Unknown(_) => "unknown-setting",
        SettingError::Config(_) => "malformed-setting",
    };
    eprintln!("error[{code}]: {error}");
}

fn cannot(file: &Path, error: io::Error) -> anyhow::Result<Exit> {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Err(ClientError::PermissionDenied.into());
    }
    Err(error).with_context(|| format!("{} cannot be changed", file.display()))
}

/// Writes beside and renames: a full disk leaves the file as it was.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let mode = fs::metadata(file).map_or(0o644, |old| old.permissions().mode() & 0o777);
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    Ok(())
}

fn reload(arguments: &Arguments) -> anyhow::Result<Exit> {
    match Client::connect(&arguments.socket) {
        Ok(mut client) => {
            client.ask(&Request::Reload, |_, _| {})?;
            Ok(Exit::Fine)
        }
        Err(ClientError::NotRunning { .. }) => {
            if !arguments.quiet {
                eprintln!("note: livepatchd does not run; the change counts when it starts");
            }
            Ok(Exit::Fine)
        }
        Err(error) => Err(error.into()),
    }
}

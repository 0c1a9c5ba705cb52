//! This program as `canonical-livepatch`: the commands, texts and exit codes that Ubuntu Pro, Landscape and scripts rely on.

use crate::{arguments::Arguments, configure, exit::Exit, output::print, yaml};
use clap::{Parser, Subcommand, ValueEnum};
use livepatch_agent::{
    Client, DEFAULT_CONFIG, NOT_ENABLED, Question, Request, Setting, Upgrade, canonical_yaml,
};
use livepatch_api::PatchState;
use serde_json::Value;
use std::path::Path;

/// Live kernel patching, by the names of the Canonical client
#[derive(Debug, Parser)]
#[command(name = "canonical-livepatch", version)]
struct Canonical {
    #[command(subcommand)]
    command: CanonicalCommand,
}

#[derive(Debug, Subcommand)]
enum CanonicalCommand {
    /// Enable livepatching with a token
    Enable {
        /// The token
        token: String,
    },
    /// Disable livepatching
    Disable,
    /// Show the state
    Status {
        /// The output's format
        #[arg(long, value_enum, default_value_t = CanonicalFormat::Humane)]
        format: CanonicalFormat,
        /// More
        #[arg(long)]
        verbose: bool,
        /// Less
        #[arg(long)]
        summary: bool,
        /// Taken and not obeyed: no secret is ever shown
        #[arg(long)]
        show_secrets: bool,
    },
    /// Check now
    Refresh,
    /// Show or change settings: KEY, KEY=VALUE, KEY=, KEY=@stdin
    Config {
        /// Settings
        settings: Vec<String>,
    },
    /// Whether the kernel must be updated: the exit status is the answer
    KernelUpgradeRequired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CanonicalFormat {
    Humane,
    Json,
    Yaml,
}

/// Runs one of its commands; `arguments` are those behind the program's name.
pub(crate) fn run(outer: &Arguments, arguments: &[String]) -> anyhow::Result<Exit> {
    let name = "canonical-livepatch".to_owned();
    let parsed = Canonical::try_parse_from(std::iter::once(&name).chain(arguments));
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return Ok(if error.use_stderr() { Exit::Usage } else { Exit::Fine });
        }
    };
    match parsed.command {
        CanonicalCommand::Enable { token } => change(outer, &Request::Enable { token, server: None }),
        CanonicalCommand::Disable => change(outer, &Request::Disable),
        CanonicalCommand::Refresh => change(outer, &Request::Refresh { apply: false }),
        CanonicalCommand::Status { format, verbose, summary, .. } => {
            status(outer, format, verbose && !summary)
        }
        CanonicalCommand::Config { settings } => config(outer, &settings),
        CanonicalCommand::KernelUpgradeRequired => {
            let upgrade: Upgrade = Client::connect(&outer.socket)?.question(Question::KernelUpgrade)?;
            Ok(Exit::Upgrade(upgrade.answer))
        }
    }
}

fn change(outer: &Arguments, request: &Request) -> anyhow::Result<Exit> {
    let answer = Client::connect(&outer.socket)?.ask(request, |_, _| {});
    // The two texts that Ubuntu Pro recognises are kept; everything else it passes on as it is.
    match answer {
        Err(livepatch_agent::ClientError::Refused(failure)) => {
            let text = match failure.code.as_str() {
                "unknown-token" | "malformed-token" => format!("Unknown Auth-Token: {}", failure.message),
                "kernel-unsupported" => format!("unsupported kernel: {}", failure.message),
                _ => failure.message,
            };
            eprintln!("{text}");
            Ok(Exit::Failed)
        }
        Err(error) => Err(error.into()),
        Ok(answer) => {
            if let Some(failure) = answer.failure {
                eprintln!("{}", failure.message);
            }
            Ok(Exit::Fine)
        }
    }
}

fn status(outer: &Arguments, format: CanonicalFormat, verbose: bool) -> anyhow::Result<Exit> {
    let status = Client::connect(&outer.socket)?.ask(&Request::GetStatus, |_, _| {})?.status;
    if status.is_none_or(|status| status.state == PatchState::Disabled) {
        eprintln!("{NOT_ENABLED}");
        return Ok(Exit::Failed);
    }
    let document: Value = Client::connect(&outer.socket)?.question(Question::Canonical)?;
    match format {
        CanonicalFormat::Json => print(&serde_json::to_string(&document)?)?,
        CanonicalFormat::Yaml => print(&yaml::from_json(&canonical_yaml(&document)))?,
        CanonicalFormat::Humane => print(&humane(&document, verbose))?,
    }
    Ok(Exit::Fine)
}

/// The form for people, line by line as Landscape splits it.
pub(crate) fn humane(document: &Value, verbose: bool) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kernel, livepatch) = (&document["Status"][0], &document["Status"][0]["Livepatch"]);
    let mut lines = vec![
        format!("last check: {}", text(&document["Last-Check"])),
        format!("kernel: {}", text(&kernel["Kernel"])),
        format!(
            "server check-in: {}",
            if livepatch["CheckState"] == "check-failed" { "failed" } else { "succeeded" }
        ),
        format!("kernel state: {}", text(&kernel["Supported"])),
        format!("patch state: {}", text(&livepatch["State"])),
    ];
    if livepatch["Version"] != "" {
        lines.push(format!("patch version: {}", text(&livepatch["Version"])));
    }
    lines.push(format!("tier: {}", text(&document["tier"])));
    lines.push(format!("machine id: {}", text(&document["Machine-Id"])));
    if verbose {
        for (label, key) in [
            ("client version", "Client-Version"),
            ("architecture", "Architecture"),
            ("cpu model", "CPU-Model"),
            ("boot time", "Boot-Time"),
            ("uptime", "Uptime"),
        ] {
            lines.push(format!("{label}: {}", text(&document[key])));
        }
        let fixes = livepatch["Fixes"].as_array().into_iter().flatten();
        lines.extend(fixes.map(|fix| format!("fixed: {} {}", text(&fix["Name"]), text(&fix["Description"]))));
    }
    lines.join("\n")
}

fn config(outer: &Arguments, settings: &[String]) -> anyhow::Result<Exit> {
    let file = std::env::var("LIVEPATCH_CONFIG").unwrap_or_else(|_| DEFAULT_CONFIG.to_owned());
    let file = Path::new(&file);
    if settings.iter().any(|setting| setting.contains('=')) {
        return match configure::changes(settings)? {
            Some(changes) => configure::change(outer, file, changes),
            None => Ok(Exit::Usage),
        };
    }
    let config = livepatch_agent::Config::load(file)?;
    let known = livepatch_agent::SETTINGS.iter().filter_map(|setting| Some((setting.canonical?, setting)));
    let all: Vec<(&str, &Setting)> = known.collect();
    for (name, setting) in all {
        if settings.is_empty() || settings.iter().any(|wanted| wanted == name) {
            print(&format!("{name}: {}", setting.value(&config)))?;
        }
    }
    Ok(Exit::Fine)
}

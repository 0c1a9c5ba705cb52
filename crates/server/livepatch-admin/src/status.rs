//! `livepatch-admin server`: how the server itself is, and its API as a document.

use crate::{arguments::Format, output, server::Server};
use anyhow::Result;
use clap::Subcommand;
use livepatch_api::paths;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Say whether the server serves, its database answers and its signed metadata are good; exit status 1 when not.
    Status,
    /// Print what the server counts, in Prometheus's text form. Fails where the server has --metrics-listen.
    Metrics,
    /// Print the API as a document, OpenAPI 3.1.
    Api,
}

pub(crate) fn run(server: &Server, format: Format, command: &ServerCommand) -> Result<()> {
    match command {
        ServerCommand::Status => {
            let words = [server.text(paths::HEALTH)?, server.text(paths::READY)?];
            let [health, ready] = words.each_ref().map(|word| word.trim());
            match format {
                Format::Json => output::json(&json!({"health": health, "ready": ready})),
                Format::Text => output::line(&format!("{}: {health}, {ready}", server.url())),
            }
        }
        ServerCommand::Metrics => {
            let page = server.text(paths::METRICS)?;
            match format {
                Format::Json => output::json(&json!({"metrics": page})),
                Format::Text => output::line(page.trim_end()),
            }
        }
        ServerCommand::Api => output::json(&server.get::<Value>(paths::OPENAPI)?),
    }
}

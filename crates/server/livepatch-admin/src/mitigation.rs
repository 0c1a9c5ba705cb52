//! `livepatch-admin mitigation`: what makes vulnerabilities harmless until they are mended.

use crate::{
    access::act_on,
    arguments::{Format, MitigationCommand, MitigationIssue},
    output,
    server::Server,
};
use anyhow::{Context as _, Result};
use livepatch_api::{MitigationView, paths};
use livepatch_cve::{Measure, Mitigation, Mitigations};

pub(crate) fn run(server: &Server, format: Format, command: &MitigationCommand) -> Result<()> {
    let list = match command {
        MitigationCommand::List { public: true } => {
            return show_public(format, &server.get(paths::MITIGATIONS)?);
        }
        MitigationCommand::Issue(wish) => server.post(paths::ADMIN_MITIGATIONS, &mitigation(wish)?)?,
        MitigationCommand::Retire { name } => {
            server.post(&act_on(paths::ADMIN_MITIGATIONS, name, "retire"), &[(); 0])?
        }
        MitigationCommand::List { public: false } => server.get(paths::ADMIN_MITIGATIONS)?,
    };
    show(format, list)
}

fn mitigation(wish: &MitigationIssue) -> Result<Mitigation> {
    let modules = wish.modules.iter().flat_map(|module| {
        [Measure::DenyModule { module: module.clone() }, Measure::UnloadModule { module: module.clone() }]
    });
    let sysctls = wish.sysctls.iter().map(|sysctl| {
        let (key, value) = sysctl.split_once('=').with_context(|| format!("'{sysctl}' is not KEY=VALUE"))?;
        Ok(Measure::Sysctl { key: key.trim().to_owned(), value: value.trim().to_owned() })
    });
    let mitigation = Mitigation {
        name: wish.name.clone(),
        cves: wish.cves.iter().map(|cve| cve.parse()).collect::<Result<_, _>>()?,
        families: wish.families.iter().cloned().collect(),
        about: wish.about.clone(),
        measures: modules.map(Ok).chain(sysctls).collect::<Result<_>>()?,
    };
    mitigation.check()?;
    Ok(mitigation)
}

/// The document that machines read, where a person reads a table.
fn show_public(format: Format, document: &serde_json::Value) -> Result<()> {
    if format == Format::Json {
        return output::json(document);
    }
    let read: Mitigations = serde_json::from_value(document.clone()).context("the server's answer")?;
    let rows = read.mitigations.iter().map(cells).collect();
    output::table(&COLUMNS, rows, "No mitigation is issued.")
}

const COLUMNS: [&str; 5] = ["name", "cves", "families", "what is done", "about"];

fn cells(one: &Mitigation) -> Vec<String> {
    let cves: Vec<String> = one.cves.iter().map(ToString::to_string).collect();
    let measures: Vec<String> = one.measures.iter().map(ToString::to_string).collect();
    let families: Vec<String> = one.families.iter().cloned().collect();
    vec![one.name.clone(), cves.join(", "), families.join(", "), measures.join("; "), one.about.clone()]
}

fn show(format: Format, list: Vec<MitigationView>) -> Result<()> {
    if format == Format::Json {
        return output::json(&list);
    }
    let row = |view: MitigationView| -> Result<Vec<String>> {
        let one: Mitigation = serde_json::from_value(view.mitigation).context("the server's answer")?;
        Ok([cells(&one), vec![view.issued_by]].concat())
    };
    let rows = list.into_iter().map(row).collect::<Result<Vec<_>>>()?;
    output::table(&[&COLUMNS[..], &["issued by"]].concat(), rows, "No mitigation is issued.")
}

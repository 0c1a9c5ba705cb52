//! `livepatch-admin key`, `audit`, `machine show`: who may do what, who did what, and what a machine reported.

use crate::{
    arguments::{AuditCommand, Format, KeyCommand},
    output,
    server::Server,
};
use anyhow::{Result, bail};
use livepatch_api::{
    ApiKeyCreated, ApiKeyRequest, ApiKeySummary, AuditEntry, LoginCreated, MachineDetail, paths,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The body of a request that needs none.
pub(crate) const NOTHING: [(); 0] = [];

pub(crate) fn keys(server: &Server, format: Format, command: &KeyCommand) -> Result<()> {
    match command {
        KeyCommand::Create { name, role, expires } => {
            let expires_after = expires.map(|period| period.0);
            let request = ApiKeyRequest { name: name.clone(), role: *role, expires_after };
            let created: ApiKeyCreated = server.post(paths::ADMIN_KEYS, &request)?;
            if format == Format::Json {
                return output::json(&created);
            }
            // The key alone, so that it can go into a file.
            output::line(&created.key)?;
            output::note(&format!("key {} of {name}, {role}, shown this once", created.id));
            Ok(())
        }
        KeyCommand::List => list(format, server.get(paths::ADMIN_KEYS)?),
        KeyCommand::Revoke { id } => {
            list(format, server.post(&act_on(paths::ADMIN_KEYS, id, "revoke"), &NOTHING)?)
        }
    }
}

fn list(format: Format, keys: Vec<ApiKeySummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&keys);
    }
    let rows = keys.into_iter().map(|key| {
        let expires = match key.revoked {
            Some(_) => "revoked".to_owned(),
            None => key.expires.unwrap_or_else(|| "never".to_owned()),
        };
        let used = key.used.unwrap_or_else(|| "never".to_owned());
        vec![key.id, key.name, key.role.to_string(), expires, used]
    });
    let header = ["id", "name", "role", "expires", "last used"];
    output::table(&header, rows.collect(), "There are no API keys; admin.key holds always.")
}

/// Whoever opens the address first is signed in.
pub(crate) fn login(server: &Server, format: Format) -> Result<()> {
    let created: LoginCreated = server.post(paths::ADMIN_LOGINS, &NOTHING)?;
    if format == Format::Json {
        return output::json(&created);
    }
    // The address alone, so that xdg-open "$(livepatch-admin dashboard login)" works.
    output::line(&format!("{}{}", server.url(), created.path))?;
    output::note(&format!("it signs in once, until {}", created.expires));
    Ok(())
}

pub(crate) fn audit(server: &Server, format: Format, command: &AuditCommand) -> Result<()> {
    let log = whole_log(server)?;
    match command {
        AuditCommand::List if format == Format::Json => output::json(&log),
        AuditCommand::List => {
            let rows = log.into_iter().map(|entry| {
                vec![
                    entry.id.to_string(),
                    entry.at.to_string(),
                    entry.actor,
                    entry.action,
                    entry.subject,
                    entry.detail,
                ]
            });
            let header = ["entry", "seconds since 1970", "who", "did", "to", "how"];
            output::table(&header, rows.collect(), "Nobody did anything yet.")
        }
        AuditCommand::Verify { since } => verify(format, &log, since.as_deref()),
    }
}

fn verify(format: Format, log: &[AuditEntry], since: Option<&str>) -> Result<()> {
    let head = AuditEntry::verify_chain(log.iter())?;
    if let Some(since) = since
        && !log.iter().any(|entry| entry.hash == since)
    {
        bail!("the audit log does not hold the hash {since} any more: it was cut off or rewritten since");
    }
    match format {
        Format::Json => output::json(&serde_json::json!({"entries": log.len(), "hash": head})),
        Format::Text => output::line(&format!("{} entries, nothing altered; hash {head}", log.len())),
    }
}

fn whole_log(server: &Server) -> Result<Vec<AuditEntry>> {
    let mut log: Vec<AuditEntry> = Vec::new();
    loop {
        let after = log.last().map_or(0, |last| last.id);
        let more: Vec<AuditEntry> = server.get(&format!("{}?after={after}", paths::ADMIN_AUDIT))?;
        // A server that does not count on would keep us here for ever.
        if more.first().is_none_or(|first| first.id <= after) {
            return Ok(log);
        }
        log.extend(more);
    }
}

pub(crate) fn machine(format: Format, detail: &MachineDetail) -> Result<()> {
    if format == Format::Json {
        return output::json(detail);
    }
    let machine = &detail.machine;
    let applied = machine.applied.as_ref().map_or("nothing", |applied| applied.name.as_str());
    let revoked = machine.revoked.as_ref().map(|at| format!(", revoked {at}")).unwrap_or_default();
    output::line(&format!(
        "{} ({}), tier {}, {}, {applied} applied, last heard of {}{revoked}",
        machine.machine_id,
        machine.hostname.replace(char::is_control, " "),
        machine.tier,
        machine.kernel.release,
        machine.last_seen
    ))?;
    let rows = detail.events.iter().map(|event| {
        let kind = serde_json::to_value(event.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
        vec![event.at.clone(), kind.unwrap_or_default(), event.detail.clone()]
    });
    output::table(&["at", "what", "detail"], rows.collect(), "It has reported no event.")
}

/// All but what an id has as it is in a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

/// The address of one thing in a list.
pub(crate) fn one_of(list: &str, id: &str) -> String {
    // An id may come from a typing error: nothing of it may leave its place in the path.
    format!("{list}/{}", utf8_percent_encode(id, ESCAPED))
}

/// The address of an act on one thing in a list.
pub(crate) fn act_on(list: &str, id: &str, act: &str) -> String {
    format!("{}/{act}", one_of(list, id))
}

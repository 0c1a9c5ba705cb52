//! `livepatch-admin notice` and `subscriber`: security notices from the draft to the last mail.

use crate::{
    access::{NOTHING, act_on, one_of},
    arguments::{Format, NoticeCommand, SubscriberCommand},
    output,
    server::Server,
};
use anyhow::{Context as _, Result, bail};
use livepatch_api::{NoticeDraft, NoticeState, NoticeView, SubscriberRequest, paths};
use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::Command,
};

/// What edits a notice when nobody names another program.
const EDITOR: &str = "editor";

pub(crate) fn run(server: &Server, format: Format, command: &NoticeCommand) -> Result<()> {
    match command {
        NoticeCommand::Draft { cves, revise, note } => {
            let request = NoticeDraft { cves: cves.clone(), revise: revise.clone(), note: note.clone() };
            show(format, &server.post(paths::ADMIN_NOTICES, &request)?)
        }
        NoticeCommand::List => list(format, server.get(paths::ADMIN_NOTICES)?),
        NoticeCommand::Show { number } => show(format, &server.get(&one_of(paths::ADMIN_NOTICES, number))?),
        NoticeCommand::Edit { number, file } => edit(server, format, number, file.as_deref()),
        NoticeCommand::Review { number } => act(server, format, number, "review"),
        NoticeCommand::Publish { number } => act(server, format, number, "publish"),
    }
}

fn act(server: &Server, format: Format, number: &str, act: &str) -> Result<()> {
    show(format, &server.post(&act_on(paths::ADMIN_NOTICES, number, act), &NOTHING)?)
}

fn edit(server: &Server, format: Format, number: &str, file: Option<&Path>) -> Result<()> {
    let path = one_of(paths::ADMIN_NOTICES, number);
    let text = match file {
        Some(file) if file == Path::new("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            text
        }
        Some(file) => {
            fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?
        }
        None => in_editor(&server.get(&path)?)?,
    };
    let notice: serde_json::Value =
        serde_json::from_str(&text).context("the text is no JSON any more; nothing was changed")?;
    show(format, &server.post(&path, &notice)?)
}

/// The notice's text, as the operator's editor leaves it.
fn in_editor(view: &NoticeView) -> Result<String> {
    let mut file = tempfile::Builder::new().prefix("notice-").suffix(".json").tempfile()?;
    file.write_all(serde_json::to_string_pretty(&view.notice)?.as_bytes())?;
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR"));
    let editor = editor.unwrap_or_else(|_| EDITOR.to_owned());
    // As a shell would: EDITOR may have arguments.
    let status = Command::new("sh").args(["-c", "exec $0 \"$1\"", &editor]).arg(file.path()).status();
    if !status.with_context(|| format!("{editor} cannot be run"))?.success() {
        bail!("{editor} failed; nothing was changed");
    }
    fs::read_to_string(file.path()).context("the edited text cannot be read")
}

fn word(state: NoticeState) -> &'static str {
    match state {
        NoticeState::Draft => "draft",
        NoticeState::Reviewed => "reviewed",
        NoticeState::Published => "published",
    }
}

fn list(format: Format, notices: Vec<NoticeView>) -> Result<()> {
    if format == Format::Json {
        return output::json(&notices);
    }
    let rows = notices.into_iter().map(|view| {
        let text = |field: &str| {
            view.notice.get(field).and_then(|text| text.as_str()).unwrap_or_default().to_owned()
        };
        let (title, summary) = (text("title"), text("summary"));
        let date = view.published.unwrap_or_else(|| "-".to_owned());
        vec![view.number, word(view.state).to_owned(), date, format!("{title}: {summary}")]
    });
    let empty = "There are no notices; livepatch-admin notice draft CVE begins one.";
    output::table(&["notice", "state", "published", "what"], rows.collect(), empty)
}

fn show(format: Format, view: &NoticeView) -> Result<()> {
    if format == Format::Json {
        return output::json(view);
    }
    let reviewer = view.reviewer.as_ref().map(|who| format!(", reviewed by {who}")).unwrap_or_default();
    output::line(&format!("{}, {}, written by {}{reviewer}", view.number, word(view.state), view.author))?;
    if let Some(problem) = &view.problem {
        output::line(&format!("before it can be published: {problem}"))?;
    }
    output::line(&serde_json::to_string_pretty(&view.notice)?)?;
    if view.mails.is_empty() {
        return Ok(());
    }
    let rows = view.mails.iter().map(|mail| {
        vec![
            mail.revision.to_string(),
            mail.address.clone(),
            mail.state.clone(),
            mail.attempts.to_string(),
            mail.detail.clone(),
        ]
    });
    output::table(&["revision", "address", "mail", "attempts", "answer"], rows.collect(), "")
}

pub(crate) fn subscribers(server: &Server, format: Format, command: &SubscriberCommand) -> Result<()> {
    let addresses: Vec<String> = match command {
        SubscriberCommand::Add { address } => {
            server.post(paths::ADMIN_SUBSCRIBERS, &SubscriberRequest { address: address.clone() })?
        }
        SubscriberCommand::List => server.get(paths::ADMIN_SUBSCRIBERS)?,
    };
    if format == Format::Json {
        return output::json(&addresses);
    }
    let rows = addresses.into_iter().map(|address| vec![address]).collect();
    output::table(&["address"], rows, "Nobody gets notices by mail.")
}

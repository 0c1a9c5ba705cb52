//! `livepatch-admin notice` and `subscriber`: security notices from the draft to the last mail.

use crate::{
    access::{NOTHING, act_on, one_of},
    arguments::Format,
    output,
    server::Server,
};
use anyhow::{Context as _, Result, bail};
use clap::{Subcommand, ValueEnum};
use livepatch_api::{NoticeDraft, NoticePage, NoticeState, NoticeView, SubscriberRequest, paths};
use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

/// What edits a notice when nobody names another program.
const EDITOR: &str = "editor";

#[derive(Debug, Subcommand)]
pub(crate) enum NoticeCommand {
    /// Begin a notice: that there is a livepatch for these vulnerabilities, or, when they cannot be livepatched, that there is
    /// none. Or begin the next revision of a published one.
    Draft {
        /// The vulnerabilities.
        #[arg(value_name = "CVE", required_unless_present = "revise")]
        cves: Vec<String>,
        /// Correct this published notice, such as LSN-0123.
        #[arg(long, value_name = "NOTICE", requires = "note", conflicts_with = "cves")]
        revise: Option<String>,
        /// What the revision changes, for readers.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Show the notices.
    List {
        /// Only those that are published, as everybody reads them.
        #[arg(long)]
        public: bool,
    },
    /// Show one, and what became of its mails.
    Show {
        /// LSN-0123, or LSN-0123-1 for a revision.
        #[arg(value_name = "NOTICE")]
        number: String,
    },
    /// Print a published one for programs, as everybody can fetch it.
    Export {
        /// LSN-0123, or LSN-0123-1 for a revision.
        #[arg(value_name = "NOTICE")]
        number: String,
        /// The form; the notice itself by default.
        #[arg(long, value_enum, value_name = "FORM")]
        form: Option<NoticeForm>,
    },
    /// Change one that is not published, in $EDITOR or from a file; it must then be reviewed again.
    Edit {
        /// LSN-0123.
        #[arg(value_name = "NOTICE")]
        number: String,
        /// The whole notice, JSON; - for standard input.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Say that you have read it and it may go out. Whoever wrote it cannot, but for the holder of admin.key.
    Review {
        /// LSN-0123.
        #[arg(value_name = "NOTICE")]
        number: String,
    },
    /// Publish a reviewed one on every channel. It never changes again; revisions correct it.
    Publish {
        /// LSN-0123.
        #[arg(value_name = "NOTICE")]
        number: String,
    },
}

/// A form that scanners read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NoticeForm {
    /// OSV, the Open Source Vulnerability format.
    Osv,
    /// CSAF 2.0 VEX.
    Csaf,
    /// OpenVEX.
    Openvex,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubscriberCommand {
    /// Put an address on the list; its owner must have asked for that.
    Add {
        /// Such as reader@example.org.
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
    /// Show who is on the list.
    List,
}

pub(crate) fn run(server: &Server, format: Format, command: &NoticeCommand) -> Result<()> {
    match command {
        NoticeCommand::Draft { cves, revise, note } => {
            let request = NoticeDraft { cves: cves.clone(), revise: revise.clone(), note: note.clone() };
            show(format, &server.post(paths::ADMIN_NOTICES, &request)?)
        }
        NoticeCommand::List { public: false } => list(format, server.get(paths::ADMIN_NOTICES)?),
        NoticeCommand::List { public: true } => list_published(server, format),
        NoticeCommand::Export { number, form } => {
            let notice = one_of(paths::NOTICES, number);
            let form = form.and_then(|form| form.to_possible_value());
            let path = form.map_or_else(|| notice.clone(), |form| format!("{notice}/{}", form.get_name()));
            // A document for programs in either format.
            output::json(&server.get::<serde_json::Value>(&path)?)
        }
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

/// All pages of what everybody reads.
fn list_published(server: &Server, format: Format) -> Result<()> {
    let mut notices: Vec<serde_json::Value> = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let query = next.map(|next| format!("?cursor={next}")).unwrap_or_default();
        let page: NoticePage = server.get(&format!("{}{query}", paths::NOTICES))?;
        let is_empty = page.notices.is_empty();
        notices.extend(page.notices);
        next = page.next.filter(|_| !is_empty);
        if next.is_none() {
            break;
        }
    }
    if format == Format::Json {
        return output::json(&notices);
    }
    let rows = notices.iter().map(|notice| {
        let text =
            |field: &str| notice.get(field).and_then(|text| text.as_str()).unwrap_or_default().to_owned();
        vec![text("number"), text("published"), format!("{}: {}", text("title"), text("summary"))]
    });
    output::table(&["notice", "published", "what"], rows.collect(), "No notice is published.")
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

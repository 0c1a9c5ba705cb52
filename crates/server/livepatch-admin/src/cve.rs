//! `livepatch-admin cve` and `verdicts`: documents about vulnerabilities in, priorities, and signed verdicts out.

use crate::{
    access::{act_on, one_of},
    arguments::{CveCommand, CveImportArguments, Format, VerdictsCommand},
    output,
    server::Server,
};
use anyhow::{Context as _, Result, bail};
use livepatch_api::{
    ClockPage, ClockStep, CveClock, CveDetail, CveImport, CveImportDocument, CveImported, CvePage, CveRating,
    CveRefusal, CveRefusalRequest, CveSummary, VerdictRequest, VerdictsPublished, paths,
};
use livepatch_cve::{
    Names,
    feeds::{self, RecordSplitter},
};
use std::{fs, io::Read as _, path::Path};

/// Text that goes into one request; the server takes some ten times as much.
const BATCH: usize = 4 << 20;
/// A larger document is none: tracker files have some KiB, EPSS's whole list 10 MiB.
const LARGEST_DOCUMENT: u64 = 32 << 20;

pub(crate) fn run(server: &Server, format: Format, command: &CveCommand) -> Result<()> {
    match command {
        CveCommand::Import(wish) => import(server, format, wish),
        CveCommand::List { livepatched } => list(server, format, *livepatched),
        CveCommand::Show { cve } => show(format, &server.get(&one_of(paths::ADMIN_CVES, cve))?),
        CveCommand::Rate { cve, priority, reason } => {
            let request = CveRating { priority: priority.clone(), reason: reason.clone() };
            show(format, &server.post(&act_on(paths::ADMIN_CVES, cve, "rating"), &request)?)
        }
        CveCommand::Refuse { cve, family, code, reason, mitigation } => {
            let request = CveRefusalRequest {
                family: family.clone(),
                code: code.clone(),
                reason: reason.clone(),
                mitigation: mitigation.clone(),
            };
            show(format, &server.post(&act_on(paths::ADMIN_CVES, cve, "refusal"), &request)?)
        }
        CveCommand::Clock => clock(server, format),
        CveCommand::Refused => refused(format, server.get(paths::NOT_LIVEPATCHABLE)?),
    }
}

fn import(server: &Server, format: Format, wish: &CveImportArguments) -> Result<()> {
    let mut sender = Sender { server, wish, waiting: Vec::new(), size: 0, done: CveImported::default() };
    for path in &wish.paths {
        if path.is_dir() {
            let entries = fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))?;
            let mut files: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
            files.sort();
            for file in files.iter().filter(|file| file.is_file()) {
                sender.file(file)?;
            }
        } else {
            sender.file(path)?;
        }
    }
    sender.send()?;
    let done = sender.done;
    if format == Format::Json {
        return output::json(&done);
    }
    for problem in &done.problems {
        output::note(problem);
    }
    output::line(&format!(
        "{} documents imported, {} as before, {} problems",
        done.imported,
        done.unchanged,
        done.problems.len()
    ))
}

struct Sender<'a> {
    server: &'a Server,
    wish: &'a CveImportArguments,
    waiting: Vec<CveImportDocument>,
    size: usize,
    done: CveImported,
}

impl Sender<'_> {
    fn file(&mut self, path: &Path) -> Result<()> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if self.wish.records {
            return self.feed(path, &name);
        }
        let cannot = || format!("{} cannot be read", path.display());
        let size = fs::metadata(path).with_context(cannot)?.len();
        if size > LARGEST_DOCUMENT {
            bail!("{} has {size} bytes; a feed of many records needs --records", path.display());
        }
        let bytes = fs::read(path).with_context(cannot)?;
        self.add(name, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A feed of many records, however long: each is a document of its own, so that one that is as before costs nothing.
    fn feed(&mut self, path: &Path, name: &str) -> Result<()> {
        let read = match self.wish.source.as_str() {
            "cve-record" => feeds::cve_json,
            "osv" => feeds::osv,
            other => bail!("a feed of records is of source cve-record or osv, not {other}"),
        };
        let mut file = fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut splitter = RecordSplitter::new(name);
        let (mut names, mut piece) = (Names::default(), vec![0; 1 << 20]);
        loop {
            let length =
                file.read(&mut piece).with_context(|| format!("{} cannot be read", path.display()))?;
            if length == 0 {
                break;
            }
            let mut records = Vec::new();
            splitter.push(piece.get(..length).unwrap_or_default(), &mut |line, record| {
                records.push((line, record.to_vec()));
            });
            for (line, record) in records {
                match read(name, &record, &mut names).key {
                    Some(key) => {
                        self.add(format!("{name}#{key}"), String::from_utf8_lossy(&record).into_owned())?;
                    }
                    None => self.done.problems.push(format!("{name}:{line}: a record without an identifier")),
                }
            }
        }
        self.done.problems.extend(splitter.finish().iter().map(ToString::to_string));
        Ok(())
    }

    fn add(&mut self, name: String, text: String) -> Result<()> {
        self.size += text.len();
        self.waiting.push(CveImportDocument { name, text });
        if self.size >= BATCH { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let request = CveImport {
            source: self.wish.source.clone(),
            family: self.wish.family.clone(),
            documents: std::mem::take(&mut self.waiting),
        };
        self.size = 0;
        let done: CveImported = self.server.post(paths::ADMIN_CVE_DOCUMENTS, &request)?;
        self.done.imported += done.imported;
        self.done.unchanged += done.unchanged;
        self.done.problems.extend(done.problems);
        Ok(())
    }
}

fn list(server: &Server, format: Format, livepatched: bool) -> Result<()> {
    let mut cves: Vec<CveSummary> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let page: CvePage = server.get(&format!("{}{query}", paths::ADMIN_CVES))?;
        let is_empty = page.cves.is_empty();
        cves.extend(page.cves);
        after = page.next.filter(|_| !is_empty);
        if after.is_none() {
            break;
        }
    }
    cves.retain(|cve| !livepatched || cve.livepatch);
    if format == Format::Json {
        return output::json(&cves);
    }
    let rows = cves.into_iter().map(|cve| {
        let decided = if cve.decided { "" } else { " (not decided)" };
        let priority = cve.priority.map_or_else(|| "not rated".to_owned(), |word| format!("{word}{decided}"));
        let marks =
            [(cve.livepatch, "livepatched"), (cve.exploited, "exploited"), (cve.rejected, "rejected")];
        let marks: Vec<&str> = marks.iter().filter(|(holds, _)| *holds).map(|(_, mark)| *mark).collect();
        vec![cve.id, priority, marks.join(", "), cve.title]
    });
    let empty = "No vulnerability is known; livepatch-admin cve import takes documents in.";
    output::table(&["cve", "priority", "marks", "title"], rows.collect(), empty)
}

fn show(format: Format, detail: &CveDetail) -> Result<()> {
    if format == Format::Json {
        return output::json(detail);
    }
    let plain = |text: &str| text.replace(char::is_control, " ");
    let cve = &detail.summary;
    output::line(&format!("{}  {}", cve.id, plain(&cve.title)))?;
    let rating = detail.record.pointer("/rating/0/value");
    let said = |field: &str| rating.and_then(|rating| rating.get(field)?.as_str()).map(plain);
    let by =
        said("reviewer").map(|who| format!(", decided by {who} on {}", said("date").unwrap_or_default()));
    let priority = cve.priority.as_deref().unwrap_or("not rated");
    output::line(&format!(
        "priority {priority}{}: {}",
        by.unwrap_or_default(),
        said("reason").unwrap_or_default()
    ))?;
    if let Some(proposal) = &detail.proposal {
        output::line(&format!("proposed {} ({}): {}", proposal.priority, proposal.rule, proposal.reason))?;
    }
    if !detail.contested.is_empty() {
        output::line(&format!("sources differ about: {}", detail.contested.join(", ")))?;
    }
    for (_, source, name) in &detail.documents {
        output::line(&format!("said by  {source}: {}", plain(name)))?;
    }
    let rows = detail
        .verdicts
        .iter()
        .map(|one| vec![one.family.clone(), one.first.clone(), one.last.clone(), one.sentence.clone()]);
    let empty = "No kernel of the catalogue is concerned.";
    output::table(&["family", "from build", "to build", "verdict"], rows.collect(), empty)
}

fn refused(format: Format, refusals: Vec<CveRefusal>) -> Result<()> {
    if format == Format::Json {
        return output::json(&refusals);
    }
    let rows = refusals.into_iter().map(|one| {
        vec![
            one.cve,
            one.family,
            one.code,
            one.reason,
            one.mitigation.unwrap_or_else(|| "-".to_owned()),
            one.decided_by,
        ]
    });
    let header = ["cve", "family", "code", "why", "until then", "said by"];
    output::table(&header, rows.collect(), "Nothing is known that cannot be livepatched.")
}

/// All pages of clocks.
fn clock(server: &Server, format: Format) -> Result<()> {
    let mut clocks: Vec<CveClock> = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let query = before.map(|before| format!("?before={before}")).unwrap_or_default();
        let page: ClockPage = server.get(&format!("{}{query}", paths::CLOCK))?;
        let is_empty = page.clocks.is_empty();
        clocks.extend(page.clocks);
        before = page.next.filter(|_| !is_empty);
        if before.is_none() {
            break;
        }
    }
    if format == Format::Json {
        return output::json(&clocks);
    }
    let step = |step: Option<ClockStep>| step.map_or_else(|| "-".to_owned(), |step| after(&step));
    let rows = clocks.into_iter().map(|clock| {
        let percent =
            clock.protected_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent} %"));
        vec![
            clock.cve,
            clock.public.unwrap_or_else(|| "-".to_owned()),
            step(clock.mitigation),
            step(clock.livepatch),
            step(clock.first_machine),
            step(clock.machines_50),
            step(clock.machines_95),
            step(clock.machines_99),
            percent,
        ]
    });
    let header =
        ["cve", "public", "mitigation", "livepatch", "first machine", "50 %", "95 %", "99 %", "protected"];
    output::table(&header, rows.collect(), "No vulnerability has a clock yet.")
}

/// Hours after the news, or the moment where the day of the news is not known.
fn after(step: &ClockStep) -> String {
    let Some(seconds) = step.after else { return step.at.clone() };
    let tenths = seconds / 360;
    format!("{}{}.{} h", if tenths < 0 { "-" } else { "" }, tenths.abs() / 10, tenths.abs() % 10)
}

pub(crate) fn verdicts(server: &Server, format: Format, command: &VerdictsCommand) -> Result<()> {
    let VerdictsCommand::Publish { catalogue } = command;
    let read = |path: &std::path::PathBuf| -> Result<serde_json::Value> {
        let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is no kernel catalogue", path.display()))
    };
    let request = VerdictRequest { catalogue: catalogue.as_ref().map(read).transpose()? };
    let published: VerdictsPublished = server.post(paths::ADMIN_VERDICTS, &request)?;
    if format == Format::Json {
        return output::json(&published);
    }
    let rows = published.families.iter().map(|one| {
        vec![
            one.family.clone(),
            one.builds.to_string(),
            one.cves.to_string(),
            one.bytes.to_string(),
            one.document.clone(),
        ]
    });
    let empty = "The kernel catalogue has no builds, so there is nothing to give a verdict on.";
    output::table(&["family", "builds", "cves", "bytes", "document"], rows.collect(), empty)?;
    let signed = if published.changed { "signed" } else { "nothing changed:" };
    output::note(&format!("{signed} targets version {}", published.targets_version));
    Ok(())
}

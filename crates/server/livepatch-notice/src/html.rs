//! The page's content: an HTML fragment of headings, tables and lists, without style and script.

use crate::{Kind, Notice, escape::link, escape::markup};
use std::fmt::Write as _;

/// The notice as an `<article>`. Everything from outside is escaped; addresses become links only when they are of the web.
pub fn html_fragment(notice: &Notice) -> String {
    let mut html = String::new();
    let number = notice.number;
    let _ = write!(
        html,
        "<article class=\"notice\" id=\"{number}\">\n<h1>{number}: {}</h1>\n<p><time datetime=\"{}\">{}</time></p>\n<h2>Summary</h2>\n<p>{}</p>\n",
        markup(&notice.title),
        notice.updated(),
        notice.updated(),
        markup(&notice.summary),
    );
    if let Kind::Alert(alert) = &notice.kind {
        let _ = write!(
            html,
            "<section class=\"alert\">\n<h2>{}</h2>\n<p>{} (<code>{}</code>)</p>\n<p>{}</p>\n",
            alert.headline(),
            markup(&alert.reason),
            markup(&alert.code),
            alert.advice(),
        );
        if let Some(mitigation) = &alert.mitigation {
            let _ = writeln!(html, "<p>Until then: {}</p>", markup(mitigation));
        }
        html.push_str("</section>\n");
    }
    affected(&mut html, notice);
    html.push_str("<h2>Details</h2>\n<dl>\n");
    for detail in &notice.details {
        let _ = writeln!(
            html,
            "<dt id=\"{0}\">{0} <span class=\"priority {1}\">{1}</span></dt>\n<dd>{2}</dd>",
            detail.cve,
            detail.priority,
            markup(&detail.text)
        );
    }
    html.push_str("</dl>\n");
    instructions(&mut html, notice);
    html.push_str("<h2>References</h2>\n<ul>\n");
    for reference in &notice.references {
        let _ = match link(reference) {
            Some(address) => writeln!(html, "<li><a href=\"{address}\">{address}</a></li>"),
            None => writeln!(html, "<li>{}</li>", markup(reference)),
        };
    }
    html.push_str("</ul>\n</article>\n");
    html
}

fn affected(html: &mut String, notice: &Notice) {
    let rows = notice.affected.iter().map(|row| {
        vec![row.release.clone(), row.series.clone(), row.architecture.clone(), row.flavours.join(", ")]
    });
    table(html, "Affected kernels", &["Release", "Base kernel", "Architecture", "Flavours"], rows);
}

fn instructions(html: &mut String, notice: &Notice) {
    let rows = notice.instructions.iter().map(|one| {
        let text = |version: &Option<livepatch_kernel::PackageVersion>| {
            version.as_ref().map_or_else(|| "none yet".to_owned(), ToString::to_string)
        };
        let cves: Vec<String> = one.cves.iter().map(ToString::to_string).collect();
        let mut cells =
            vec![one.release.clone(), one.package.clone(), one.flavour.clone(), one.architecture.clone()];
        if !notice.is_alert() {
            cells.push(one.livepatch.map_or_else(String::new, |version| version.to_string()));
            cells.push(text(&one.lowest_build));
        }
        cells.extend([text(&one.fixed_build), cves.join(", ")]);
        cells
    });
    let head: &[&str] = if notice.is_alert() {
        &["Release", "Kernel", "Flavour", "Architecture", "Fixed from build", "CVEs"]
    } else {
        &[
            "Release",
            "Kernel",
            "Flavour",
            "Architecture",
            "Livepatch version",
            "Lowest build",
            "Fixed from build",
            "CVEs",
        ]
    };
    table(html, "Update instructions", head, rows);
}

/// A heading and the table that it names. Each cell names its column, for screens on which a row does not fit.
fn table(html: &mut String, name: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let id = name.to_lowercase().replace(' ', "-");
    let _ = write!(html, "<h2 id=\"{id}\">{name}</h2>\n<table aria-labelledby=\"{id}\">\n<thead><tr>");
    for name in head {
        let _ = write!(html, "<th scope=\"col\">{name}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (cell, column) in row.iter().zip(head) {
            let _ = write!(html, "<td data-column=\"{column}\">{}</td>", markup(cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n");
}

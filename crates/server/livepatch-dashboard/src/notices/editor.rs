//! The words of a notice, to be changed by a person. Kernels and versions come from the verdicts and are not in the form.

use super::NoticeDesk;
use crate::{Frame, frame::command, words};
use livepatch_cve::Priority;
use livepatch_notice::{Kind, Notice};
use maud::{Markup, html};

pub(super) fn editor(frame: &Frame, desk: &NoticeDesk, address: &str) -> Markup {
    let notice = &desk.notice;
    html! {
        form.stacked.editor action={ (address) "/edit" } method="post" {
            (frame.csrf_field())
            input type="hidden" name="seen" value=(desk.seen);
            label for="title" { (words::TITLE) }
            input #title type="text" name="title" required maxlength="200" value=(notice.title) autocomplete="off";
            (area("summary", words::SUMMARY, words::SUMMARY_HINT, &notice.summary, 3))
            @if let Kind::Alert(alert) = &notice.kind {
                (area("reason", words::ALERT_REASON, "", &alert.reason, 2))
                (area("mitigation", words::MITIGATION, "", alert.mitigation.as_deref().unwrap_or_default(), 2))
            }
            @for detail in &notice.details {
                @let cve = detail.cve.to_string();
                fieldset {
                    legend { (cve) }
                    (area(&format!("text-{cve}"), &words::text_of(&cve), words::DETAIL_HINT, &detail.text, 4))
                    label for={ "priority-" (cve) } { (words::PRIORITY) }
                    select id={ "priority-" (cve) } name={ "priority-" (cve) } {
                        @for one in Priority::ALL.into_iter().rev() {
                            option value=(one.word()) selected[one == detail.priority] { (one.word()) }
                        }
                    }
                }
            }
            (area("references", words::REFERENCES, words::REFERENCES_HINT, &notice.references.join("\n"), 3))
            p.hint { (words::SAVE_HINT) }
            div.buttons { button type="submit" { (words::SAVE) } }
        }
        p.hint { (words::KERNELS_FROM_RECORDS) }
        (command(&format!("livepatch-admin notice edit {} --file notice.json", notice.number)))
    }
}

fn area(name: &str, word: &str, hint: &str, text: &str, rows: u32) -> Markup {
    let described = (!hint.is_empty()).then(|| format!("{name}-hint"));
    html! {
        label for=(name) { (word) }
        textarea id=(name) name=(name) rows=(rows) aria-describedby=[described.as_ref()] { (text) }
        @if let Some(id) = &described { p.hint id=(id) { (hint) } }
    }
}

/// The notice with the words of a form that [`super::notice`] has made; `field` gives a field's value, empty when it is
/// missing. Line ends come as browsers send them and are made plain.
pub fn edited(notice: &Notice, field: impl Fn(&str) -> String) -> Notice {
    let words = |name: &str| field(name).replace("\r\n", "\n").trim().to_owned();
    let mut after = notice.clone();
    after.title = words("title");
    after.summary = words("summary");
    if let Kind::Alert(alert) = &mut after.kind {
        alert.reason = words("reason");
        alert.mitigation = Some(words("mitigation")).filter(|text| !text.is_empty());
    }
    for detail in &mut after.details {
        detail.text = words(&format!("text-{}", detail.cve));
        if let Ok(priority) = words(&format!("priority-{}", detail.cve)).parse() {
            detail.priority = priority;
        }
    }
    let references = words("references");
    after.references =
        references.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    after
}

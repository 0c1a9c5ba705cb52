//! What people read: numbers, the check before publishing, mail, page, feeds.

use crate::samples::{alert, livepatch};
use livepatch_notice::{Feed, LsnNumber, Notice, NoticeError, atom, html_fragment, mail, rss};
use proptest::prelude::*;

#[test]
fn numbers() {
    for (text, written) in
        [("LSN-0123-1", "LSN-0123-1"), ("LSN-120-1", "LSN-0120-1"), ("LSN-12345-99", "LSN-12345-99")]
    {
        assert_eq!(text.parse::<LsnNumber>().unwrap().to_string(), written);
    }
    for text in ["", "LSN-0-1", "LSN-1-0", "USN-1-1", "LSN-123456-1", "LSN-1", "LSN-1-+1"] {
        assert!(text.parse::<LsnNumber>().is_err(), "{text}");
    }
}

#[test]
fn what_cannot_be_published() {
    assert_eq!((livepatch().check(), alert().check()), (Ok(()), Ok(())));
    let broken = |change: &dyn Fn(&mut Notice)| {
        let mut notice = livepatch();
        change(&mut notice);
        notice.check().unwrap_err()
    };
    assert_eq!(broken(&|notice| notice.summary = " ".into()), NoticeError::Blank("summary"));
    assert_eq!(broken(&|notice| drop(notice.revisions.pop())), NoticeError::Revisions(2));
    assert!(matches!(broken(&|notice| drop(notice.details.pop())), NoticeError::Unexplained(_)));
    assert!(matches!(
        broken(&|notice| notice.details.push(notice.details[0].clone())),
        NoticeError::Repeated(_)
    ));
    assert!(matches!(broken(&|notice| notice.instructions[0].cves.clear()), NoticeError::Unused(_)));
    assert!(matches!(
        broken(&|notice| notice.instructions[0].lowest_build = None),
        NoticeError::NoLivepatch(_)
    ));
    let mut wrong = alert();
    wrong.instructions[0].livepatch = Some(1);
    assert!(matches!(wrong.check(), Err(NoticeError::Livepatch(_))));
}

#[test]
fn the_mail_of_a_livepatch() {
    let mail = mail(&livepatch());
    assert_eq!(mail.subject, "[LSN-0123-2] Linux kernel vulnerabilities");
    let parts = [
        "Kernel Live Patch Security Notice LSN-0123-2\n2026-11-24",
        "| Release ",
        "Summary\n-------",
        "Details\n-------",
        "Update instructions\n",
        "References\n",
    ];
    let places: Vec<usize> = parts
        .iter()
        .map(|part| mail.text.find(part).unwrap_or_else(|| panic!("{part}\n{}", mail.text)))
        .collect();
    assert!(places.is_sorted());
    assert!(
        mail.text.contains("| 22.04   | linux  | generic | amd64 | 7       | 5.15.0-100.110 |\n"),
        "{}",
        mail.text
    );
    let prose = mail.text.lines().filter(|line| !line.starts_with('|'));
    assert!(prose.clone().all(|line| line.chars().count() <= 74), "{}", mail.text);
}

#[test]
fn the_mail_of_an_alert() {
    let text = mail(&alert()).text;
    for part in [
        "cannot be livepatched (changed-data)",
        "Update the kernel and reboot",
        "Until then: Do not load the module",
        "| 5.15.0-179.189 |",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("Lowest build"));
}

#[test]
fn the_page_escapes_everything() {
    let html = html_fragment(&livepatch());
    assert!(
        html.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;poured&quot;")
            && !html.contains("<script")
    );
    assert!(
        html.contains("<a href=\"https://www.example.org/tea\">") && !html.contains("href=\"javascript:")
    );
    assert!(html_fragment(&alert()).contains("<h2>No livepatch: update and reboot</h2>"));
}

fn feed() -> Feed<'static> {
    Feed {
        title: "Tea & <notices>",
        pages: "https://livepatch.example.org/notices/",
        address: "https://livepatch.example.org/notices.xml",
        updated: "2026-11-24T10:00:00Z".parse().unwrap(),
    }
}

#[test]
fn feeds() {
    let rss = rss(&feed(), &[alert(), livepatch()]);
    assert!(rss.contains("<pubDate>Fri, 20 Nov 2026 09:30:00 +0000</pubDate>"), "{rss}");
    assert_eq!(rss.matches("<item>").count(), 2);
    assert!(
        rss.contains("<guid isPermaLink=\"true\">https://livepatch.example.org/notices/LSN-0123-2</guid>")
    );
    let atom = atom(&feed(), &[livepatch()]);
    assert!(
        atom.contains("<id>https://livepatch.example.org/notices/LSN-0123</id>")
            && atom.contains("<title>Tea &amp; &lt;notices&gt;</title>")
    );
    assert!(atom.contains("<updated>2026-11-24T00:00:00Z</updated>"));
}

/// Whether every `<` begins a tag of ours, and every tag is closed in order.
fn well_formed(markup: &str) -> bool {
    let mut open = Vec::new();
    for part in markup.split('<').skip(1) {
        let Some((tag, text)) = part.split_once('>') else { return false };
        if text.contains('>') {
            return false;
        }
        match tag.strip_prefix('/') {
            Some(name) if open.pop() == Some(name) => {}
            Some(_) => return false,
            None if tag.ends_with('/') || tag.starts_with('?') => {}
            None => open.push(tag.split_whitespace().next().unwrap_or_default()),
        }
    }
    open.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_anywhere(text in "[<>&\"' a\\n\\x00\\x1b|/:-]{0,20}", address in ".{0,20}") {
        let mut notice = alert();
        notice.title = text.clone();
        notice.summary = text.clone();
        notice.details[0].text = text.clone();
        notice.affected[0].release = text.clone();
        notice.instructions[0].package = text;
        notice.references = vec![address];
        let html = html_fragment(&notice);
        prop_assert!(well_formed(&html), "{}", html);
        prop_assert!(well_formed(&rss(&feed(), std::slice::from_ref(&notice))) && well_formed(&atom(&feed(), std::slice::from_ref(&notice))));
        let mail = mail(&notice);
        prop_assert!(!mail.subject.contains(['\n', '\r', '\x1b']) && !mail.text.contains('\x1b'));
    }
}

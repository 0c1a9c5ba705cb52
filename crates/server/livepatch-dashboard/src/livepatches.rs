//! Livepatches and kernels: the matrix, and one livepatch.

use crate::{
    BuildDocument, Cell, Column, Frame, Seconds, Table, Tone, build,
    frame::{Place, command, page},
    moment, paths,
    table::badge,
    words,
};
use livepatch_api::{LivepatchSummary, Role};
use livepatch_manifest::PatchedObject;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Until when a kernel of the fleet gets livepatches.
#[derive(Clone, Debug)]
pub struct Support {
    /// Its release.
    pub kernel: String,
    /// How many machines run it.
    pub machines: u32,
    /// The last day.
    pub last_day: String,
    /// Days until then; negative: it has passed.
    pub days: i64,
}

/// A livepatch.
#[derive(Clone, Debug)]
pub struct LivepatchView {
    /// Its manifest, and where it is available.
    pub livepatch: LivepatchSummary,
    /// When it was published.
    pub published: Option<Seconds>,
    /// The rollout that brings it, if one does.
    pub release: Option<String>,
    /// Whether a withdrawal forbids it.
    pub denied: bool,
    /// Machines on which this version is applied, and machines with its kernel.
    pub machines: (u32, u32),
    /// Tiers that it is not in.
    pub further_tiers: Vec<String>,
    /// What the publisher says of its build.
    pub documents: Vec<BuildDocument>,
}

/// All of them; `tiers` in the operator's order.
pub fn livepatches(frame: &Frame, all: &[LivepatchSummary], tiers: &[String], support: &[Support]) -> String {
    let body = html! {
        @if all.is_empty() {
            p.empty { (words::NO_LIVEPATCHES) }
            (command(words::STEP_PUBLISH_COMMAND))
        } @else {
            section { h2 { (words::MATRIX) } p { (words::MATRIX_MEANING) } (matrix(all, tiers).to_html()) }
            section { h2 { (words::ALL_LIVEPATCHES) } (livepatch_table(all).to_html()) }
        }
        @if !support.is_empty() {
            section {
                h2 { (words::SUPPORT) }
                (support_table(support).to_html())
                p.hint { a href={ (paths::KERNELS) "#time-line" } { (words::ALL_WINDOWS) } }
            }
        }
    };
    page(frame, Place::Livepatches, words::LIVEPATCHES, &body)
}

/// Kernels down, tiers across, in each field the newest version there.
fn matrix(all: &[LivepatchSummary], tiers: &[String]) -> Table {
    let mut kernels: BTreeMap<_, Vec<&LivepatchSummary>> = BTreeMap::new();
    for one in all {
        let kernel = &one.manifest.kernel;
        kernels.entry((kernel.release.as_str(), &kernel.build_id)).or_default().push(one);
    }
    let rows = kernels.into_iter().map(|((release, build), livepatches)| {
        let newest = |tier: &String| {
            let here = livepatches.iter().filter(|one| one.tiers.contains(tier));
            match here.max_by_key(|one| one.manifest.version) {
                Some(one) => Cell::link(
                    words::version(one.manifest.version),
                    &paths::one(paths::LIVEPATCHES, &one.manifest.name),
                ),
                None => Cell::none(),
            }
        };
        let kernel = html! { (release) br; span.digest { (build) } };
        [Cell::shown(release, kernel)].into_iter().chain(tiers.iter().map(newest)).collect()
    });
    let tiers = tiers.iter().map(|tier| Column::text("tier", tier.clone()));
    let columns = [Column::text("kernel", words::KERNEL)].into_iter().chain(tiers);
    Table {
        caption: words::MATRIX.to_owned(),
        columns: columns.collect(),
        rows: rows.collect(),
        export: None,
    }
}

/// The list as a table.
pub fn livepatch_table(all: &[LivepatchSummary]) -> Table {
    let rows = all.iter().map(|one| {
        let manifest = &one.manifest;
        let fixes: Vec<&str> = manifest.fixes.iter().map(|fix| fix.id.as_str()).collect();
        vec![
            Cell::link(&manifest.name, &paths::one(paths::LIVEPATCHES, &manifest.name)),
            Cell::number(manifest.version),
            Cell::text(manifest.kernel.release.as_str()),
            Cell::text(one.tiers.join(", ")),
            Cell::text(fixes.join(", ")),
            Cell::number(i64::try_from(manifest.module.size).unwrap_or(i64::MAX)),
        ]
    });
    Table {
        caption: words::ALL_LIVEPATCHES.to_owned(),
        columns: vec![
            Column::text("name", words::NAME),
            Column::number("version", words::VERSION),
            Column::text("kernel", words::KERNEL),
            Column::text("tiers", words::TIERS),
            Column::text("fixes", words::FIXES),
            Column::number("size", words::SIZE),
        ],
        rows: rows.collect(),
        export: Some((paths::LIVEPATCHES.to_owned(), String::new())),
    }
}

/// Support windows as a table, the first to end first.
pub fn support_table(support: &[Support]) -> Table {
    let rows = support.iter().map(|one| {
        let (word, tone) = match one.days {
            ..0 => (words::ENDED, Tone::Bad),
            0..60 => (words::ENDS_SOON, Tone::Warn),
            _ => (words::SUPPORTED, Tone::Good),
        };
        vec![
            Cell::link(
                &one.kernel,
                &format!("{}{}", paths::MACHINES, paths::query(&[("kernel", &one.kernel)])),
            ),
            Cell::number(one.machines),
            Cell::text(&one.last_day),
            Cell::badge(word, tone),
        ]
    });
    Table {
        caption: words::SUPPORT.to_owned(),
        columns: vec![
            Column::text("kernel", words::KERNEL),
            Column::number("machines", words::MACHINES),
            Column::text("last_day", words::LAST_DAY),
            Column::text("state", words::STATE),
        ],
        rows: rows.collect(),
        export: None,
    }
}

/// One livepatch.
pub fn livepatch(frame: &Frame, view: &LivepatchView) -> String {
    let LivepatchSummary { manifest, tiers, .. } = &view.livepatch;
    let address = paths::one(paths::LIVEPATCHES, &manifest.name);
    let (applied, all) = view.machines;
    let body = html! {
        @if view.denied { p.notice.bad { (words::DENIED) } }
        dl.facts {
            dt { (words::KERNEL) } dd { (manifest.kernel.release.as_str()) " " (manifest.kernel.arch) ", " (words::BUILD_ID) " " span.digest { (manifest.kernel.build_id) } }
            dt { (words::VERSION) } dd { (manifest.version) }
            dt { (words::TIERS) } dd { (tiers.join(", ")) }
            @if let Some(published) = view.published { dt { (words::PUBLISHED) } dd { (moment::moment(published, frame.now)) } }
            @if let Some(release) = &view.release {
                dt { (words::ROLLOUT) } dd { a href=(paths::one(paths::ROLLOUTS, release)) { (release) } }
            }
            dt { (words::APPLIED) } dd { (words::count_of(applied, all)) }
        }
        section { h2 { (words::FIXES) } (fixes(view)) }
        section { h2 { (words::CHANGED_FUNCTIONS) } (objects(&manifest.objects)) }
        section {
            h2 { (words::PROVENANCE) }
            dl.facts {
                dt { (words::SOURCE) } dd { (manifest.provenance.source) }
                dt { (words::COMPILER) } dd { (manifest.provenance.compiler) }
                dt { (words::BUILDER) } dd { "livepatch-build " (manifest.provenance.builder) }
                dt { (words::PATCH) } dd { span.digest { (manifest.provenance.patch_sha256) } }
                dt { (words::MODULE) } dd { span.digest { (manifest.module.sha256) } ", " (words::bytes(manifest.module.size)) }
                @if let Some(signer) = &manifest.module.signer { dt { (words::SIGNER) } dd { span.digest { (signer) } } }
                dt { "vermagic" } dd { code { (manifest.module.vermagic) } }
            }
        }
        (build::documents(view, frame.now))
        @if frame.may(Role::Releaser) && view.release.is_none() && !view.denied && !view.further_tiers.is_empty() {
            section {
                h2 { (words::PROMOTE) }
                p { (words::PROMOTE_MEANING) }
                form.inline action={ (address) "/promote" } method="get" {
                    label for="tier" { (words::TIER) }
                    select #tier name="tier" { @for tier in &view.further_tiers { option value=(tier) { (tier) } } }
                    button type="submit" { (words::PROMOTE_BUTTON) }
                }
            }
        }
    };
    page(frame, Place::Livepatches, &manifest.name, &body)
}

fn fixes(view: &LivepatchView) -> Markup {
    html! {
        ul.fixes {
            @for fix in &view.livepatch.manifest.fixes {
                li {
                    (badge(&fix.id, Tone::Good)) " " (fix.summary)
                    @if let Some(notice) = &fix.notice { " – " (notice) }
                    @if let Some(source) = &fix.source { p.hint { (source.package) " " (source.from) " → " (source.to) } }
                }
            }
        }
    }
}

fn objects(objects: &[PatchedObject]) -> Markup {
    if objects.iter().all(|object| object.functions.is_empty()) {
        return html! { p.empty { (words::NO_FUNCTIONS) } };
    }
    let rows = objects.iter().flat_map(|object| {
        object.functions.iter().map(|function| {
            vec![
                Cell::code(&object.name),
                Cell::code(&function.name),
                Cell::number(function.sympos),
                Cell::code(&function.source),
            ]
        })
    });
    let table = Table {
        caption: words::CHANGED_FUNCTIONS.to_owned(),
        columns: vec![
            Column::text("object", words::OBJECT),
            Column::text("function", words::FUNCTION),
            Column::number("sympos", words::SYMPOS),
            Column::text("source", words::SOURCE_FILE),
        ],
        rows: rows.collect(),
        export: None,
    };
    table.to_html()
}

//! The kernels that get livepatches, and until when: for everybody.

use crate::{
    Cell, Column, Table, Tone,
    chart::{self, Span, SpanLane},
    paths,
    public::page,
    table::badge,
    words,
};
use jiff::{ToSpan as _, civil::Date};
use livepatch_api::paths as api;
use maud::{Markup, html};

/// A row of the support matrix, with one of its builds.
#[derive(Clone, Debug)]
pub struct SupportedKernel {
    /// `Debian 12`.
    pub release: String,
    /// `6.1`.
    pub series: String,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// Its flavours.
    pub flavours: Vec<String>,
    /// A build of it.
    pub build: String,
    /// The day on which that build was released.
    pub released: Date,
    /// The build's last day with livepatches; absent: none is set.
    pub last_day: Option<Date>,
}

/// A kernel series of a release for an architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedSeries {
    /// `Debian 12`.
    pub release: String,
    /// `6.1`.
    pub series: String,
    /// Whether it is a later kernel than the release's own.
    pub is_hwe: bool,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// Its flavours.
    pub flavours: Vec<String>,
    /// Months for which each build gets livepatches.
    pub months: Option<u8>,
    /// When support of the series ends, whatever the build.
    pub ends: Option<Date>,
    /// Its known builds: version, day of release, last day.
    pub builds: Vec<(String, Date, Option<Date>)>,
}

impl SupportedSeries {
    /// The last day on which a known build gets livepatches; that of the series where no build is known.
    pub fn last_day(&self) -> Option<Date> {
        self.builds.iter().filter_map(|(_, _, last)| *last).max().or(self.ends)
    }

    fn name(&self) -> String {
        format!("{}, {} {}", self.release, self.series, self.architecture)
    }
}

/// The kernels; of the series, what ends soon comes first.
pub fn kernels(all: &[SupportedKernel], series: &[SupportedSeries], today: Date) -> String {
    let sorted = soonest_first(series, today);
    let body = html! {
        p { (words::KERNELS_MEANING) " " a href=(api::CALENDAR) { (words::AS_CALENDAR) } }
        @if series.is_empty() {
            p.empty { (words::NO_KERNELS) }
        } @else {
            section #time-line {
                h2 { (words::TIME_LINE) }
                (time_line(&sorted, today))
                (series_table(&sorted, today).to_html())
            }
            section {
                h2 { (words::BUILDS_OF_KERNELS) }
                @if all.is_empty() { p.empty { (words::NO_BUILDS) } } @else { (build_table(all, today).to_html()) }
            }
        }
    };
    page(paths::KERNELS, words::KERNELS, &body)
}

/// Those that go on first, by their last day; then those without one; then those that are over, the last to end first.
fn soonest_first(series: &[SupportedSeries], today: Date) -> Vec<&SupportedSeries> {
    let mut sorted: Vec<&SupportedSeries> = series.iter().collect();
    sorted.sort_by_key(|one| match one.last_day() {
        Some(last) if last >= today => (0, days(last), one.name()),
        None => (1, 0, one.name()),
        Some(last) => (2, -days(last), one.name()),
    });
    sorted
}

/// Days since 1970.
fn days(date: Date) -> i64 {
    date.since(jiff::civil::date(1970, 1, 1)).map(|span| i64::from(span.get_days())).unwrap_or_default()
}

/// Each series with known days: a bar for each of its builds.
fn time_line(sorted: &[&SupportedSeries], today: Date) -> Markup {
    let lanes: Vec<SpanLane> = sorted
        .iter()
        .filter(|one| !one.builds.is_empty())
        .map(|one| SpanLane {
            label: one.name(),
            spans: one
                .builds
                .iter()
                .map(|(version, first, last)| Span {
                    words: words::build_span(version, *first, *last),
                    start: days(*first),
                    end: last.map(days),
                    tone: tone(*last, today),
                })
                .collect(),
        })
        .collect();
    if lanes.is_empty() {
        return html! { p.empty { (words::NO_BUILDS) } };
    }
    chart::time_line(words::TIME_LINE, days(today), &months(&lanes, today), &lanes)
}

/// The first days of months between the first and the last day of the picture, at most a dozen, with their names.
fn months(lanes: &[SpanLane], today: Date) -> Vec<(i64, String)> {
    let spans = || lanes.iter().flat_map(|lane| &lane.spans);
    let first = spans().map(|span| span.start).min().unwrap_or_default();
    let last = spans().filter_map(|span| span.end).max().unwrap_or_default().max(days(today));
    let every = ((last - first) / 365).max(1);
    let start = today.saturating_sub((days(today) - first).days()).first_of_month();
    let all = (0..600).map(|month: i64| start.saturating_add((month * every).months()));
    let shown = all.skip_while(|day| days(*day) < first).take_while(|day| days(*day) <= last);
    shown.map(|day| (days(day), format!("{}-{:02}", day.year(), day.month()))).take(60).collect()
}

fn tone(last: Option<Date>, today: Date) -> Tone {
    match last.map(|last| days(last) - days(today)) {
        Some(..0) => Tone::Quiet,
        Some(0..60) => Tone::Warn,
        _ => Tone::Good,
    }
}

fn series_table(sorted: &[&SupportedSeries], today: Date) -> Table {
    let rows = sorted.iter().map(|one| {
        let window = one.months.map_or_else(|| words::WITHOUT_END.to_owned(), words::months_of_build);
        let (word, tone) = match tone(one.last_day(), today) {
            Tone::Quiet => (words::ENDED, Tone::Bad),
            Tone::Warn => (words::ENDS_SOON, Tone::Warn),
            _ => (words::SUPPORTED, Tone::Good),
        };
        vec![
            Cell::text(&one.release),
            Cell::text(&one.series),
            Cell::text(if one.is_hwe { words::HWE } else { words::GA }),
            Cell::text(&one.architecture),
            Cell::text(one.flavours.join(", ")),
            Cell::text(window),
            one.last_day().map_or_else(Cell::none, day_cell),
            Cell::badge(word, tone),
        ]
    });
    Table {
        caption: words::TIME_LINE.to_owned(),
        columns: vec![
            Column::text("release", words::DISTRIBUTION),
            Column::text("series", words::SERIES),
            Column::text("track", words::TRACK),
            Column::text("architecture", words::ARCHITECTURE),
            Column::text("flavours", words::FLAVOURS),
            Column::text("window", words::WINDOW),
            Column::text("last_day", words::LAST_DAY),
            Column::text("state", words::STATE),
        ],
        rows: rows.collect(),
        export: None,
    }
}

/// A day, on one line.
fn day_cell(day: Date) -> Cell {
    let text = day.to_string();
    Cell::shown(text.clone(), html! { time datetime=(text) { (text) } })
}

/// The builds as a table.
pub fn build_table(all: &[SupportedKernel], today: Date) -> Table {
    let rows = all.iter().map(|one| {
        let last = match one.last_day {
            Some(day) if day < today => {
                let day = day.to_string();
                Cell::shown(day.clone(), html! { (day) " " (badge(words::ENDED, Tone::Bad)) })
            }
            Some(day) => day_cell(day),
            None => Cell::none(),
        };
        vec![
            Cell::text(&one.release),
            Cell::text(&one.series),
            Cell::text(&one.architecture),
            Cell::text(one.flavours.join(", ")),
            Cell::code(&one.build),
            day_cell(one.released),
            last,
        ]
    });
    Table {
        caption: words::KERNELS.to_owned(),
        columns: vec![
            Column::text("release", words::DISTRIBUTION),
            Column::text("series", words::SERIES),
            Column::text("architecture", words::ARCHITECTURE),
            Column::text("flavours", words::FLAVOURS),
            Column::text("build", words::BUILD),
            Column::text("released", words::RELEASED),
            Column::text("last_day", words::LAST_DAY),
        ],
        rows: rows.collect(),
        export: Some((paths::KERNELS.to_owned(), String::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn series(name: &str, ends: Option<Date>, builds: &[(Date, Option<Date>)]) -> SupportedSeries {
        SupportedSeries {
            release: name.into(),
            series: "6.1".into(),
            is_hwe: false,
            architecture: "amd64".into(),
            flavours: vec!["generic".into()],
            months: Some(13),
            ends,
            builds: builds.iter().map(|(first, last)| ("1".to_owned(), *first, *last)).collect(),
        }
    }

    #[test]
    fn what_ends_soon_comes_first() {
        let (today, first) = (date(2026, 12, 1), date(2026, 1, 1));
        let all = [
            series("open", None, &[]),
            series("over", None, &[(first, Some(date(2026, 11, 30)))]),
            series("later", None, &[(first, Some(date(2027, 2, 1))), (first, Some(date(2027, 12, 1)))]),
            series("soon", None, &[(first, Some(date(2026, 12, 1)))]),
            series("by the series", Some(date(2027, 1, 1)), &[]),
        ];
        let names: Vec<_> = soonest_first(&all, today).into_iter().map(|one| one.release.as_str()).collect();
        assert_eq!(names, ["soon", "by the series", "later", "open", "over"]);
        let page = kernels(&[], &all, today);
        assert!(page.contains("2026-12") && page.contains("<svg") && !page.contains("NaN"), "{page}");
    }

    #[test]
    fn marks_stay_few_however_long_the_line() {
        let today = date(2026, 12, 1);
        for (first, last) in
            [(date(2026, 11, 30), date(2026, 12, 2)), (date(1971, 1, 1), date(2199, 1, 1)), (today, today)]
        {
            let span =
                Span { words: String::new(), start: days(first), end: Some(days(last)), tone: Tone::Good };
            let marks = months(&[SpanLane { label: String::new(), spans: vec![span] }], today);
            assert!(
                marks.len() <= 60 && marks.iter().all(|(day, _)| (days(first)..=days(last)).contains(day))
            );
        }
    }
}

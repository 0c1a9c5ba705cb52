//! Puts the hunks of a patch on a text, and says where a hunk that does not fit would.

use crate::patch::{FilePatch, Hunk, Line};

/// A patched text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The text.
    pub text: Vec<u8>,
    /// Hunks that were found elsewhere than the patch says: number from 1, and by how many lines.
    pub moved: Vec<(usize, isize)>,
}

/// A hunk that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hunk {number} of {count} (line {patch_line} of the patch) does not fit at line {line}{}", hint(.would))]
pub struct HunkFailure {
    /// Number of the hunk, from 1.
    pub number: usize,
    /// Hunks for this file.
    pub count: usize,
    /// Line of the patch that its header is on.
    pub patch_line: usize,
    /// Line of the file where it was expected.
    pub line: usize,
    /// Where it would.
    pub would: Would,
}

/// Where a hunk that does not fit would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Would {
    /// What it makes is there already, at this line.
    IsThere(usize),
    /// With so many outer lines of its context left out, at this line.
    WithLessContext {
        /// Line of the file.
        line: usize,
        /// Lines of context left out at either end.
        fuzz: usize,
    },
    /// Several places fit equally well: lines of the file.
    Ambiguous(Vec<usize>),
    /// Nowhere.
    Nowhere,
}

fn hint(would: &Would) -> String {
    match would {
        Would::IsThere(line) => format!("; its change is already there, at line {line}"),
        Would::WithLessContext { line, fuzz } => format!(
            "; it would at line {line} with {fuzz} line{} of context less: check it there and make the patch anew",
            if *fuzz == 1 { "" } else { "s" }
        ),
        Would::Ambiguous(lines) => {
            let lines: Vec<String> = lines.iter().map(usize::to_string).collect();
            format!("; it fits equally well at lines {}: give it more context", lines.join(" and "))
        }
        Would::Nowhere => "; nowhere in the file are the lines that it changes".into(),
    }
}

/// Lines of context that the search for a place may leave out, to name it; nothing is applied that way.
const FUZZ: usize = 2;

/// Applies all hunks of a file's patch to its text. Context must match exactly; where it matches may move, to the
/// nearest place, as with git and patch.
///
/// # Errors
/// [`HunkFailure`] for the first hunk that does not fit.
pub fn apply(text: &[u8], patch: &FilePatch) -> Result<Applied, HunkFailure> {
    let target: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    match apply_lines(&target, &patch.hunks) {
        Err(_) if patch.is_all_crlf() => apply_lines(&target, &without_carriage_returns(&patch.hunks)),
        other => other,
    }
}

fn apply_lines(target: &[&[u8]], hunks: &[Hunk]) -> Result<Applied, HunkFailure> {
    let mut result = Vec::new();
    let (mut done, mut shift) = (0usize, 0isize);
    let mut moved = Vec::new();
    for (index, hunk) in hunks.iter().enumerate() {
        let old = hunk.before();
        // An empty range names the line before it.
        let named = if old.is_empty() { hunk.old_start } else { hunk.old_start.saturating_sub(1) };
        let wanted = named.saturating_add_signed(shift);
        let place = nearest(target, &old, wanted, done);
        let place = place.map_err(|would| HunkFailure {
            number: index + 1,
            count: hunks.len(),
            patch_line: hunk.line,
            line: wanted + 1,
            would: would.unwrap_or_else(|| elsewhere(target, hunk, wanted)),
        })?;
        let offset = place as isize - named as isize;
        if offset != shift {
            moved.push((index + 1, offset));
            shift = offset;
        }
        result.extend(target[done..place].iter().flat_map(|line| line.iter().copied()));
        for line in &hunk.lines {
            if !matches!(line, Line::Removed(_)) {
                result.extend_from_slice(line.text());
            }
        }
        done = place + old.len();
    }
    result.extend(target[done..].iter().flat_map(|line| line.iter().copied()));
    Ok(Applied { text: result, moved })
}

/// The place nearest to the wanted line, not before `from`. Two at the same distance are one too many.
fn nearest(target: &[&[u8]], old: &[&[u8]], wanted: usize, from: usize) -> Result<usize, Option<Would>> {
    let last = target.len().checked_sub(old.len()).ok_or(None)?;
    let fits = |place: usize| place >= from && place <= last && target[place..place + old.len()] == *old;
    if old.is_empty() {
        return if fits(wanted) { Ok(wanted) } else { Err(None) };
    }
    for distance in 0..=target.len().max(wanted) {
        let above = wanted.checked_sub(distance).filter(|&place| fits(place));
        let below = wanted.checked_add(distance).filter(|&place| distance > 0 && fits(place));
        match (above, below) {
            (Some(above), Some(below)) => return Err(Some(Would::Ambiguous(vec![above + 1, below + 1]))),
            (Some(place), None) | (None, Some(place)) => return Ok(place),
            (None, None) => {}
        }
    }
    Err(None)
}

/// Where a hunk that fits nowhere would fit after all.
fn elsewhere(target: &[&[u8]], hunk: &Hunk, wanted: usize) -> Would {
    let new = hunk.after();
    if let Ok(place) = nearest(target, &new, wanted, 0)
        && !new.is_empty()
    {
        return Would::IsThere(place + 1);
    }
    let old = hunk.before();
    let context = |lines: &mut dyn Iterator<Item = &Line>| {
        lines.take_while(|line| matches!(line, Line::Context(_))).count()
    };
    let (head, tail) = (context(&mut hunk.lines.iter()), context(&mut hunk.lines.iter().rev()));
    for fuzz in 1..=FUZZ {
        let (top, bottom) = (fuzz.min(head), fuzz.min(tail));
        let Some(core) = old.get(top..old.len().saturating_sub(bottom)) else { continue };
        if core.iter().all(|line| line.trim_ascii().is_empty()) {
            continue;
        }
        if let Ok(place) = nearest(target, core, wanted + top, 0) {
            return Would::WithLessContext { line: place + 1, fuzz };
        }
    }
    Would::Nowhere
}

fn without_carriage_returns(hunks: &[Hunk]) -> Vec<Hunk> {
    let plain = |text: &[u8]| {
        let mut text = text.to_vec();
        if text.ends_with(b"\r\n") {
            text.truncate(text.len() - 2);
            text.push(b'\n');
        }
        text
    };
    let line = |line: &Line| match line {
        Line::Context(text) => Line::Context(plain(text)),
        Line::Removed(text) => Line::Removed(plain(text)),
        Line::Added(text) => Line::Added(plain(text)),
    };
    let of = |hunk: &Hunk| Hunk { lines: hunk.lines.iter().map(line).collect(), ..hunk.clone() };
    hunks.iter().map(of).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests;

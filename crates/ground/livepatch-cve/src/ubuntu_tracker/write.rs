//! Writing a tracker file, and the normal form on its own.

use super::{Entry, TrackerFile, TrackerState, read::is_key};
use std::fmt::{self, Display, Formatter};

/// The file in normal form (see the module's head).
impl Display for TrackerFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.entries.iter().try_for_each(|entry| entry.write(f))
    }
}

impl Entry {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => writeln!(f),
            Self::Comment(line) | Self::Unreadable(line) => writeln!(f, "{line}"),
            Self::Field { name, value, more } => {
                key(f, format_args!("{name}"), value)?;
                more.iter().try_for_each(|line| writeln!(f, " {line}"))
            }
            Self::Priority { scope, word, reason, .. } => {
                match scope {
                    Some(scope) => key(f, format_args!("Priority_{scope}"), word)?,
                    None => key(f, format_args!("Priority"), word)?,
                }
                reason.iter().try_for_each(|line| writeln!(f, " {line}"))
            }
            Self::Patches { package, value, patches } => {
                key(f, format_args!("Patches_{package}"), value)?;
                patches.iter().try_for_each(|line| writeln!(f, " {}", line.0))
            }
            Self::State(line) => {
                write!(f, "{}_{}: {}", line.release, line.package, line.state.word())?;
                match &line.note {
                    Some(note) => writeln!(f, " ({note})"),
                    None => writeln!(f),
                }
            }
        }
    }
}

fn key(f: &mut Formatter<'_>, name: fmt::Arguments<'_>, value: &str) -> fmt::Result {
    if value.is_empty() { writeln!(f, "{name}:") } else { writeln!(f, "{name}: {value}") }
}

/// A file's text in normal form, by the rules alone and without understanding it: what an export must equal.
pub fn normal_form(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut blank_before = true;
    for line in text.split('\n').map(str::trim_end) {
        if line.is_empty() {
            if !blank_before {
                normal.push('\n');
            }
            blank_before = true;
            continue;
        }
        blank_before = false;
        normal.push_str(&normal_line(line));
        normal.push('\n');
    }
    let content = normal.trim_end_matches('\n').len();
    normal.truncate(content);
    if !normal.is_empty() {
        normal.push('\n');
    }
    normal
}

fn normal_line(line: &str) -> String {
    if let Some(rest) = line.strip_prefix('\t') {
        return format!(" {rest}");
    }
    if line.starts_with([' ', '#']) {
        return line.to_owned();
    }
    let Some((name, value)) = line.split_once(':').filter(|(name, _)| is_key(name)) else {
        return line.to_owned();
    };
    let value = value.trim();
    // An empty note is no note; only states have notes.
    let value = match value.strip_suffix("()") {
        Some(state) if name.contains('_') && state.trim_end().parse::<TrackerState>().is_ok() => {
            state.trim_end()
        }
        _ => value,
    };
    if value.is_empty() { format!("{name}:") } else { format!("{name}: {value}") }
}

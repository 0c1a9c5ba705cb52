//! What a file includes, as its text says, whatever the conditions around it.

/// An `#include` line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Include {
    /// `"name"`: searched beside the including file first.
    Quoted(String),
    /// `<name>`.
    Angled(String),
    /// A macro that gives the name: the file that defines the macro is taken to include what it names. Headers of trace
    /// events, which include themselves once more by such a macro (include/trace/define_trace.h), are included already.
    Computed,
}

/// The `#include` lines of a text, each once, in order of their names.
pub fn includes(text: &[u8]) -> Vec<Include> {
    let mut found: Vec<Include> = text
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii_start)
        .filter(|line| line.starts_with(b"#"))
        .filter_map(include_of)
        .collect();
    found.sort();
    found.dedup();
    found
}

fn include_of(line: &[u8]) -> Option<Include> {
    let directive = line.strip_prefix(b"#")?.trim_ascii_start();
    let included = directive
        .strip_prefix(b"include_next")
        .or(directive.strip_prefix(b"include"))
        .or(directive.strip_prefix(b"import"));
    match included {
        Some(rest) => match rest.trim_ascii_start().first()? {
            b'"' | b'<' => named(rest),
            byte if byte.is_ascii_alphabetic() || *byte == b'_' => Some(Include::Computed),
            _ => None,
        },
        // `#define NAME <file>`: for an include of NAME somewhere.
        None => {
            let rest = directive.strip_prefix(b"define")?.trim_ascii_start();
            let at = rest.iter().position(|&byte| !byte.is_ascii_alphanumeric() && byte != b'_')?;
            named(&rest[at..]).filter(|include| match include {
                Include::Quoted(name) | Include::Angled(name) => name.ends_with(".h"),
                Include::Computed => false,
            })
        }
    }
}

/// `"name"` or `<name>`.
fn named(rest: &[u8]) -> Option<Include> {
    let rest = rest.trim_ascii_start();
    let (end, include): (u8, fn(String) -> Include) = match rest.first()? {
        b'"' => (b'"', Include::Quoted),
        b'<' => (b'>', Include::Angled),
        _ => return None,
    };
    let size = rest[1..].iter().position(|&byte| byte == end)?;
    Some(include(String::from_utf8_lossy(&rest[1..=size]).into_owned()))
}

/// A path within the tree with `.` and `..` resolved; `None` when it leads out of it.
pub fn normalised(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether an `#include` in `includer` may mean `file`. Which folders are searched depends on the unit, so any whose
/// path makes the name lead to the file counts; but what lies beside the including file always comes first.
pub fn may_mean(include: &Include, includer: &str, file: &str, exists: &dyn Fn(&str) -> bool) -> bool {
    let (name, quoted) = match include {
        Include::Computed => return false,
        Include::Quoted(name) => (name, true),
        Include::Angled(name) => (name, false),
    };
    let folder = includer.rsplit_once('/').map_or("", |(folder, _)| folder);
    if quoted && let Some(beside) = normalised(&format!("{folder}/{name}")) {
        if beside == file {
            return true;
        }
        if exists(&beside) {
            return false;
        }
    }
    // Whatever folder it is searched from, the part behind the last `..` stays.
    let tail = name.rsplit("../").next().unwrap_or(name).trim_start_matches("./");
    file == tail || file.strip_suffix(tail).is_some_and(|before| before.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_whatever_their_spacing() {
        let text = b"#define FILE_OF_IT <linux/genl.h>\n#define OTHER(x) \"y.h\"\n#define TEXT \"words\"\n#include <a/b.h>\n  #  include \"c.h\" /* x */\n#include_next <d.h>\n#include NAME(x)\n// #include\nint include;\n#include <a/b.h>\n";
        let wanted = [
            Include::Quoted("c.h".into()),
            Include::Angled("a/b.h".into()),
            Include::Angled("d.h".into()),
            Include::Angled("linux/genl.h".into()),
            Include::Computed,
        ];
        assert_eq!(includes(text), wanted);
    }

    #[test]
    fn file_beside_the_includer_comes_first() {
        let quoted = Include::Quoted("export.h".into());
        let exists = |path: &str| path == "fs/nfsd/export.h";
        assert!(may_mean(&quoted, "fs/nfsd/a.c", "fs/nfsd/export.h", &exists));
        assert!(!may_mean(&quoted, "fs/nfsd/a.c", "include/linux/export.h", &exists));
        assert!(may_mean(&quoted, "fs/other/a.c", "include/linux/export.h", &exists));
        let angled = Include::Angled("linux/export.h".into());
        assert!(may_mean(&angled, "fs/nfsd/a.c", "include/linux/export.h", &exists));
        assert!(!may_mean(&angled, "fs/nfsd/a.c", "include/notlinux/export.h", &exists));
        let up = Include::Quoted("../nfsd/export.h".into());
        assert!(may_mean(&up, "fs/other/a.c", "fs/nfsd/export.h", &exists));
        assert!(may_mean(&up, "lib/sub/a.c", "fs/nfsd/export.h", &exists));
    }

    #[test]
    fn paths_are_normalised_within_the_tree() {
        assert_eq!(normalised("a/./b/../c.h").as_deref(), Some("a/c.h"));
        assert_eq!(normalised("../a"), None);
    }
}

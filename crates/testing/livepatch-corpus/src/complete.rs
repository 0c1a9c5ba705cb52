//! What a part of an update lacks to compile, told by the compiler: the files that it stumbles in, and the headers that
//! change what it misses.

use crate::options::Options;
use livepatch_vm::cache_directory;
use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Folders whose headers any unit may include.
const SHARED: [&str; 2] = ["include", "arch/x86/include"];

/// The two trees of an update.
#[derive(Debug)]
pub(crate) struct Update {
    old: PathBuf,
    new: PathBuf,
    shared: OnceCell<Headers>,
}

/// Changed headers, and the words of the lines that come.
type Headers = BTreeMap<String, BTreeSet<String>>;

impl Update {
    /// Of the source packages that a run compares, as the builder has unpacked them.
    pub(crate) fn of(options: &Options) -> Self {
        let tree =
            |version: &str| cache_directory().join("sources").join(format!("{}_{version}", options.package));
        Self { old: tree(&options.from), new: tree(&options.to), shared: OnceCell::new() }
    }

    /// Files of the update that are not among `files` yet, and which a compiler's errors ask for.
    pub(crate) fn lacking(&self, errors: &str, files: &BTreeSet<String>) -> BTreeSet<String> {
        let complaint = Complaint::read(errors);
        let mut headers: Vec<(String, BTreeSet<String>)> = Vec::new();
        let shared = self.shared.get_or_init(|| {
            SHARED.iter().flat_map(|folder| self.changed_headers(Path::new(folder))).collect()
        });
        headers.extend(shared.iter().map(|(path, words)| (path.clone(), words.clone())));
        let homes: BTreeSet<PathBuf> = files.iter().map(|file| home(file)).collect();
        let homes = homes.into_iter().filter(|home| !SHARED.iter().any(|folder| home.starts_with(folder)));
        headers.extend(homes.flat_map(|home| self.changed_headers(&home)));
        let missing = headers.into_iter().filter(|(_, words)| !words.is_disjoint(&complaint.names));
        let mut lacking: BTreeSet<String> = missing.map(|(path, _)| path).collect();
        lacking.extend(complaint.files.into_iter().filter(|file| self.is_changed(file)));
        lacking.retain(|file| !files.contains(file));
        lacking
    }

    /// Changed C files that are not among `files` yet and name one of these functions.
    pub(crate) fn naming(&self, functions: &[String], files: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(self.new.join(&folder)).into_iter().flatten().flatten() {
                let path = folder.join(entry.file_name());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    pending.push(path);
                } else if path.extension().is_some_and(|end| end == "c") {
                    let text = fs::read(self.new.join(&path)).unwrap_or_default();
                    let text = String::from_utf8_lossy(&text);
                    let file = path.display().to_string();
                    let is_named = functions.iter().any(|function| text.contains(&format!("{function}(")));
                    if is_named && !files.contains(&file) && self.is_changed(&file) {
                        found.insert(file);
                    }
                }
            }
        }
        found
    }

    fn is_changed(&self, file: &str) -> bool {
        match (fs::read(self.old.join(file)), fs::read(self.new.join(file))) {
            (Ok(old), Ok(new)) => old != new,
            (old, new) => old.is_ok() || new.is_ok(),
        }
    }

    /// Of a folder and all below it.
    fn changed_headers(&self, folder: &Path) -> Headers {
        let mut found = Headers::new();
        let mut pending = vec![folder.to_owned()];
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(self.new.join(&folder)).into_iter().flatten().flatten() {
                let path = folder.join(entry.file_name());
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => pending.push(path),
                    Ok(kind) if kind.is_file() && path.extension().is_some_and(|end| end == "h") => {
                        let words = self.new_words(&path);
                        if !words.is_empty() {
                            found.insert(path.display().to_string(), words);
                        }
                    }
                    _ => {}
                }
            }
        }
        found
    }

    /// Words of the declarations whose lines a file has now and had not before.
    fn new_words(&self, file: &Path) -> BTreeSet<String> {
        let text = |root: &Path| fs::read(root.join(file)).unwrap_or_default();
        let (old, new) = (text(&self.old), text(&self.new));
        if old == new {
            return BTreeSet::new();
        }
        let (old, new) = (String::from_utf8_lossy(&old), String::from_utf8_lossy(&new));
        // The same line may stand in several structures: one time more is a new line.
        let mut before: BTreeMap<&str, usize> = BTreeMap::new();
        for line in old.lines() {
            *before.entry(line).or_default() += 1;
        }
        let (mut found, mut declaration) = (BTreeSet::new(), Vec::new());
        for line in new.lines() {
            declaration.push(line);
            let is_new = match before.get_mut(line) {
                Some(left @ 1..) => {
                    *left -= 1;
                    false
                }
                _ => true,
            };
            if is_new {
                found.extend(declaration.iter().flat_map(|line| words(line)).map(str::to_owned));
            }
            let text = line.trim_end();
            if text.is_empty() || text.starts_with('#') || text.ends_with([';', '{', '}', '/']) {
                declaration.clear();
            }
        }
        found
    }
}

/// The part of the tree that shares private headers with a file: two folders deep, such as `fs/smb`.
fn home(file: &str) -> PathBuf {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    folder.components().take(2).collect()
}

/// What a compiler's errors are about.
#[derive(Debug, Default)]
struct Complaint {
    files: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Complaint {
    /// Reads gcc's errors. The line that it shows below an error tells which member an unfit function was to be set to.
    fn read(errors: &str) -> Self {
        let mut complaint = Self::default();
        let mut is_unfit = false;
        for line in errors.lines() {
            if let Some((place, message)) = line.split_once(": error: ") {
                let path = place.split(':').next().unwrap_or_default().trim();
                complaint.files.insert(within_tree(path).to_owned());
                complaint.names.extend(quoted(message).filter_map(name).map(str::to_owned));
                is_unfit = message.contains("incompatible pointer type");
            } else if let (true, Some((_, shown))) = (is_unfit, line.split_once(" | ")) {
                complaint.names.extend(members(shown).map(str::to_owned));
                is_unfit = false;
            }
        }
        complaint
    }
}

/// The path within the tree: the compiler may name a mirror of it.
fn within_tree(path: &str) -> &str {
    let after = |mark: &str| path.rsplit_once(mark).map(|(_, rest)| rest);
    let path = after("/work/overlay/").or_else(|| after("/work/tree/")).unwrap_or(path);
    path.strip_prefix("./").unwrap_or(path)
}

/// What stands in quotes, plain or typographic.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split(['\'', '‘', '’']).skip(1).step_by(2)
}

/// The name in a quotation: a name by itself, the last member of a chain, a tag.
fn name(quotation: &str) -> Option<&str> {
    let last = quotation.rsplit("->").next()?.rsplit('.').next()?;
    let last = ["struct ", "union ", "enum "].iter().find_map(|tag| last.strip_prefix(tag)).unwrap_or(last);
    let is_name = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(last)
}

/// Members that a line of code names: `.member` and `->member`.
fn members(code: &str) -> impl Iterator<Item = &str> {
    let after = code.split(['.', '>']).skip(1);
    after.filter_map(|rest| words(rest).next().filter(|word| rest.starts_with(word)))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn errors_name_files_and_what_is_missing_in_them() {
        let errors = "./fs/notify/mark.c:689:34: error: 'FSNOTIFY_DESTROYING' undeclared (first use in this function); did you mean 'FSNOTIFY_HAS_FSID'?
/tmp/x/work/overlay/fs/smb/misc.c:898:67: error: ‘struct cifsInodeInfo’ has no member named ‘time_last_write’
net/nft_compat.c:825:19: error: assignment to 'int (*)(struct sk_buff *)' from incompatible pointer type 'int (*)(struct sk_buff *, bool)'
  825 |         ops->dump = nft_match_dump;
      |                   ^
net/nf_tables_api.c:6255:42: error: passing argument 4 of 'set->ops->insert' from incompatible pointer type [-Werror=incompatible-pointer-types]
";
        let complaint = Complaint::read(errors);
        let files: Vec<&str> = complaint.files.iter().map(String::as_str).collect();
        assert_eq!(files, ["fs/notify/mark.c", "fs/smb/misc.c", "net/nf_tables_api.c", "net/nft_compat.c"]);
        for name in ["FSNOTIFY_DESTROYING", "cifsInodeInfo", "time_last_write", "dump", "insert"] {
            assert!(complaint.names.contains(name), "{name}: {:?}", complaint.names);
        }
        assert!(!complaint.names.contains("sk_buff") && !complaint.names.contains("nft_match_dump"));
    }

    #[test]
    fn headers_that_change_what_is_missing_are_asked_for_and_so_are_the_files_of_errors() {
        let folder = tempfile::tempdir().unwrap();
        let write = |side: &str, file: &str, text: &str| {
            let path = folder.path().join(side).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (file, old, new) in [
            ("include/net/ops.h", "int (*dump)(int a);\n", "int (*dump)(int a, bool reset);\n"),
            ("include/net/same.h", "int (*dump)(int a);\n", "int (*dump)(int a);\n"),
            ("fs/x/deep/x.h", "int fresh(int a,\n\tint b);\n", "int fresh(int a,\n\tlong b);\n"),
            (
                "fs/x/again.h",
                "struct a {\n\tint list;\n};\n",
                "struct b {\n\tint list;\n};\nstruct a {\n\tint list;\n};\n",
            ),
            ("fs/x/y.c", "one\n", "two\n"),
            ("fs/x/z.c", "one\n", "one\n"),
            ("mm/defines.c", "", "bool is_odd(int a)\n"),
            ("mm/as_before.c", "is_odd(1);\n", "is_odd(1);\n"),
        ] {
            write("old", file, old);
            write("new", file, new);
        }
        let update = Update {
            old: folder.path().join("old"),
            new: folder.path().join("new"),
            shared: OnceCell::new(),
        };
        let errors = "fs/x/y.c:1:1: error: 'fresh' undeclared\nfs/x/z.c:1:1: error: passing argument 1 of 'ops->dump' from incompatible pointer type\nfs/x/z.c:1:1: error: 'struct b' has no member named 'list'\n";
        let known: BTreeSet<String> = ["fs/x/z.c".to_owned()].into();
        let lacking: Vec<String> = update.lacking(errors, &known).into_iter().collect();
        assert_eq!(lacking, ["fs/x/again.h", "fs/x/deep/x.h", "fs/x/y.c", "include/net/ops.h"]);
        let naming: Vec<String> = update.naming(&["is_odd".to_owned()], &known).into_iter().collect();
        assert_eq!(naming, ["mm/defines.c"]);
    }
}

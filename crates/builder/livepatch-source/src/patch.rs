//! Reads patches: plain unified diffs, git's format, and mails with them, one or many in a text.
//!
//! Formats: GNU diff's unified format ("Detailed Unified" in diffutils' manual), git's extended headers (git-diff(1),
//! "Generating patch text with -p") and mbox as git-format-patch(1) writes it. Text that is no patch, such as a mail's
//! words, is passed over; inside a hunk the counts of its header decide what belongs to it.

/// A change to one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePatch {
    /// Path before, as the patch has it without its first component; `None` when the patch makes the file.
    pub old: Option<String>,
    /// Path after; `None` when the patch removes the file.
    pub new: Option<String>,
    /// The paths with their first component, for patches to apply with `-p0`.
    pub unstripped: (Option<String>, Option<String>),
    /// The changes, in order.
    pub hunks: Vec<Hunk>,
    /// Its file mode becomes another.
    pub mode_changes: bool,
    /// Line of the patch at which it starts, from 1.
    pub line: usize,
}

impl FilePatch {
    /// The path that a person would call it by.
    pub fn path(&self) -> &str {
        self.new.as_deref().or(self.old.as_deref()).unwrap_or_default()
    }

    /// Whether every line of every hunk ends with a carriage return, as mail programs leave it.
    pub fn is_all_crlf(&self) -> bool {
        let mut lines = self.hunks.iter().flat_map(|hunk| &hunk.lines).peekable();
        lines.peek().is_some() && lines.all(|line| line.text().ends_with(b"\r\n"))
    }
}

/// A run of lines with a change in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hunk {
    /// First line before, from 1; for an empty range the line after which it is, from 0.
    pub old_start: usize,
    /// First line after.
    pub new_start: usize,
    /// Its lines.
    pub lines: Vec<Line>,
    /// Line of the patch that its header is on, from 1.
    pub line: usize,
}

/// A line of a hunk, with its end of line if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Stays.
    Context(Vec<u8>),
    /// Goes.
    Removed(Vec<u8>),
    /// Comes.
    Added(Vec<u8>),
}

impl Line {
    /// The line itself.
    pub fn text(&self) -> &[u8] {
        match self {
            Self::Context(text) | Self::Removed(text) | Self::Added(text) => text,
        }
    }

    fn text_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Context(text) | Self::Removed(text) | Self::Added(text) => text,
        }
    }
}

impl Hunk {
    /// The lines before the change.
    pub fn before(&self) -> Vec<&[u8]> {
        let stays = |line: &&Line| !matches!(line, Line::Added(_));
        self.lines.iter().filter(stays).map(Line::text).collect()
    }

    /// The lines after the change.
    pub fn after(&self) -> Vec<&[u8]> {
        let stays = |line: &&Line| !matches!(line, Line::Removed(_));
        self.lines.iter().filter(stays).map(Line::text).collect()
    }
}

/// The patches of one text, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// Changes to files, in order; a file that several mails change is there several times.
    pub files: Vec<FilePatch>,
}

/// Why a text is no usable patch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// No file header in it.
    #[error("it is no unified diff: no line starts with +++")]
    NoFiles,
    /// A hunk's header or body is damaged.
    #[error("line {line}: {reason}")]
    Hunk {
        /// Line of the patch, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// git's format for binary files.
    #[error("line {line}: {file} is a binary file")]
    Binary {
        /// Line of the patch.
        line: usize,
        /// The file.
        file: String,
    },
    /// The older format with lines of `***`.
    #[error("line {line}: this is a context diff; make a unified one (diff -u)")]
    ContextDiff {
        /// Line of the patch.
        line: usize,
    },
    /// A mail body in a transfer encoding.
    #[error(
        "line {line}: the mail is in {encoding}; decode it first (git mailinfo, or save it as git am would)"
    )]
    Encoded {
        /// Line of the patch.
        line: usize,
        /// base64 or quoted-printable.
        encoding: String,
    },
}

impl Series {
    /// Reads all patches of a text.
    ///
    /// # Errors
    /// [`PatchError`] with the line.
    pub fn parse(text: &[u8]) -> Result<Self, PatchError> {
        let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
        Reader { lines, at: 0, series: Self::default(), git: None }.run()
    }
}

struct Reader<'a> {
    lines: Vec<&'a [u8]>,
    at: usize,
    series: Series,
    /// git's headers of a file whose hunks, if any, are still to come.
    git: Option<FilePatch>,
}

impl Reader<'_> {
    fn run(mut self) -> Result<Series, PatchError> {
        while let Some(line) = self.lines.get(self.at) {
            let line = trimmed(line).to_owned();
            self.read_line(&line)?;
        }
        self.end_git_file();
        if self.series.files.is_empty() {
            return Err(PatchError::NoFiles);
        }
        Ok(self.series)
    }

    fn read_line(&mut self, line: &[u8]) -> Result<(), PatchError> {
        let number = self.at + 1;
        if let Some(names) = line.strip_prefix(b"diff --git ") {
            self.end_git_file();
            self.git = Some(git_file(names, number));
        } else if line.starts_with(b"--- ") && self.starts_with(self.at + 1, b"+++ ") {
            return self.read_file();
        } else if line.starts_with(b"*** ") && self.starts_with(self.at + 1, b"--- ") {
            return Err(PatchError::ContextDiff { line: number });
        } else if let Some(encoding) = transfer_encoding(line) {
            return Err(PatchError::Encoded { line: number, encoding });
        } else if self.git.is_some() {
            self.read_git_header(line)?;
        }
        self.at += 1;
        Ok(())
    }

    fn starts_with(&self, at: usize, start: &[u8]) -> bool {
        self.lines.get(at).is_some_and(|line| line.starts_with(start))
    }

    fn read_git_header(&mut self, line: &[u8]) -> Result<(), PatchError> {
        let Some(file) = &mut self.git else { return Ok(()) };
        let path = |bytes: &[u8]| Some(unquoted(bytes));
        if line.starts_with(b"new file mode") {
            (file.old, file.unstripped.0) = (None, None);
        } else if line.starts_with(b"deleted file mode") {
            (file.new, file.unstripped.1) = (None, None);
        } else if line.starts_with(b"new mode") {
            file.mode_changes = true;
        } else if let Some(from) = line.strip_prefix(b"rename from ").or(line.strip_prefix(b"copy from ")) {
            file.old = path(from);
        } else if let Some(to) = line.strip_prefix(b"rename to ").or(line.strip_prefix(b"copy to ")) {
            file.new = path(to);
        } else if line == b"GIT binary patch" || line.starts_with(b"Binary files ") {
            let file = file.path().to_owned();
            return Err(PatchError::Binary { line: self.at + 1, file });
        }
        Ok(())
    }

    /// A file of git's format may have no hunks: made empty, renamed, or another mode.
    fn end_git_file(&mut self) {
        if let Some(file) = self.git.take() {
            self.series.files.push(file);
        }
    }

    /// From `---` and `+++` on to the end of the last hunk.
    fn read_file(&mut self) -> Result<(), PatchError> {
        let mut file =
            self.git.take().unwrap_or_else(|| FilePatch { line: self.at + 1, ..FilePatch::default() });
        let side = |line: &[u8], start: usize| file_name(trimmed(line).get(start..).unwrap_or_default());
        let (old, new) = (side(self.lines[self.at], 4), side(self.lines[self.at + 1], 4));
        (file.old, file.new) = (old.as_deref().map(without_first), new.as_deref().map(without_first));
        file.unstripped = (old, new);
        self.at += 2;
        while self.starts_with(self.at, b"@@ ") {
            let hunk = self.read_hunk()?;
            file.hunks.push(hunk);
        }
        if file.hunks.is_empty() {
            return Err(PatchError::Hunk {
                line: self.at + 1,
                reason: "no hunk (a line of @@) follows".into(),
            });
        }
        // GNU diff names a file that is not there by its name and the epoch; the range 0,0 is what tells.
        if let [hunk] = file.hunks.as_slice() {
            if hunk.old_start == 0
                && hunk.before().is_empty()
                && file.old.as_ref().is_some_and(|_| hunk.new_start == 1)
            {
                file.old = None;
                file.unstripped.0 = None;
            }
            if hunk.new_start == 0 && hunk.after().is_empty() && hunk.old_start == 1 {
                file.new = None;
                file.unstripped.1 = None;
            }
        }
        self.series.files.push(file);
        Ok(())
    }

    fn read_hunk(&mut self) -> Result<Hunk, PatchError> {
        let line = self.at + 1;
        let wrong = |line: usize, reason: &str| PatchError::Hunk { line, reason: reason.into() };
        let header = trimmed(self.lines[self.at]);
        let ranges = ranges(header).ok_or_else(|| wrong(line, "the hunk's header is damaged"))?;
        let [(old_start, mut old_left), (new_start, mut new_left)] = ranges;
        let mut hunk = Hunk { old_start, new_start, lines: Vec::new(), line };
        self.at += 1;
        while old_left > 0 || new_left > 0 {
            let number = self.at + 1;
            let cut = || {
                wrong(number, "the hunk is shorter than its header says: the patch is cut off or was edited")
            };
            let text = *self.lines.get(self.at).ok_or_else(cut)?;
            let rest = text.get(1..).unwrap_or_default().to_vec();
            let (in_old, in_new, parsed) = match text.first() {
                Some(b' ') => (1, 1, Line::Context(rest)),
                // Mail programs and editors strip the blank of an empty context line.
                Some(b'\n' | b'\r') => (1, 1, Line::Context(text.to_vec())),
                Some(b'-') => (1, 0, Line::Removed(rest)),
                Some(b'+') => (0, 1, Line::Added(rest)),
                Some(b'\\') => {
                    self.drop_newline(&mut hunk);
                    continue;
                }
                _ => return Err(cut()),
            };
            old_left = usize::checked_sub(old_left, in_old).ok_or_else(cut)?;
            new_left = usize::checked_sub(new_left, in_new).ok_or_else(cut)?;
            hunk.lines.push(parsed);
            self.at += 1;
        }
        if self.starts_with(self.at, b"\\ ") {
            self.drop_newline(&mut hunk);
        }
        if hunk.lines.last().is_some_and(|line| !line.text().ends_with(b"\n")) && self.at >= self.lines.len()
        {
            self.mend_end_of_text(&mut hunk);
        }
        Ok(hunk)
    }

    /// `\ No newline at end of file` is said of the line before it.
    fn drop_newline(&mut self, hunk: &mut Hunk) {
        if let Some(last) = hunk.lines.last_mut() {
            let text = last.text_mut();
            if text.ends_with(b"\n") {
                text.pop();
            }
        }
        self.at += 1;
    }

    /// The patch itself lacks its last newline: that says nothing of the file.
    fn mend_end_of_text(&self, hunk: &mut Hunk) {
        let said = self.lines.last().is_some_and(|line| line.starts_with(b"\\"));
        if let (false, Some(last)) = (said, hunk.lines.last_mut()) {
            last.text_mut().push(b'\n');
        }
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// `a/OLD b/NEW` of git's first header line. Where blanks make it ambiguous the later lines say it again.
fn git_file(names: &[u8], line: usize) -> FilePatch {
    let text = String::from_utf8_lossy(names).into_owned();
    let half = text.len() / 2;
    let (old, new) = match (text.get(..half), text.get(half + 1..)) {
        // The common case: the same name twice.
        (Some(old), Some(new)) if without_first(old) == without_first(new) => {
            (old.to_owned(), new.to_owned())
        }
        _ => text.split_once(' ').map_or((text.clone(), text.clone()), |(old, new)| (old.into(), new.into())),
    };
    let (old, new) = (unquoted(old.as_bytes()), unquoted(new.as_bytes()));
    FilePatch {
        old: Some(without_first(&old)),
        new: Some(without_first(&new)),
        unstripped: (Some(old), Some(new)),
        line,
        ..FilePatch::default()
    }
}

/// A name after `---` or `+++`, without a time stamp; `None` for a file that is not there.
fn file_name(rest: &[u8]) -> Option<String> {
    let name = if rest.starts_with(b"\"") {
        rest
    } else {
        rest.split(|&byte| byte == b'\t').next().unwrap_or_default()
    };
    let name = unquoted(name.trim_ascii());
    (name != "/dev/null").then_some(name)
}

fn without_first(name: &str) -> String {
    name.split_once('/').map_or(name, |(_, rest)| rest).to_owned()
}

/// git quotes names with unusual characters as C strings.
fn unquoted(name: &[u8]) -> String {
    let inner = name.strip_prefix(b"\"").and_then(|rest| rest.split(|&byte| byte == b'"').next());
    let Some(inner) = inner else { return String::from_utf8_lossy(name).into_owned() };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        at += 1;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let octal = inner.get(at..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                at += 3;
            }
            None => {
                bytes.extend(inner.get(at));
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn transfer_encoding(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?.to_ascii_lowercase();
    let value = text.strip_prefix("content-transfer-encoding:")?.trim();
    matches!(value, "base64" | "quoted-printable").then(|| value.to_owned())
}

/// `@@ -START[,COUNT] +START[,COUNT] @@`.
fn ranges(header: &[u8]) -> Option<[(usize, usize); 2]> {
    let text = String::from_utf8_lossy(header);
    let inner = text.strip_prefix("@@ -")?.split(" @@").next()?.to_owned();
    let (old, new) = inner.split_once(" +")?;
    let range = |text: &str| -> Option<(usize, usize)> {
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse().ok()?, count.parse().ok()?))
    };
    Some([range(old)?, range(new)?])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests;

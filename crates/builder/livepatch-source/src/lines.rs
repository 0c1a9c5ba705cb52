//! Keeps the line numbers that the compiler sees, with `#line` where lines move.

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// The patched text with `#line` directives such that unchanged lines keep the number that they had: otherwise every
/// warning below an edit would look changed.
pub fn keep_lines(old: &[u8], new: &[u8]) -> Vec<u8> {
    let lines = |text: &'_ [u8]| -> Vec<Vec<u8>> {
        text.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
    };
    let (old, new) = (lines(old), lines(new));
    let mut text = Vec::new();
    let mut scanner = Scanner::default();
    let mut shift = 0isize;
    for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
        let unchanged_from = match op {
            DiffOp::Equal { old_index, .. } => Some(old_index),
            _ => None,
        };
        for (offset, index) in op.new_range().enumerate() {
            if let Some(from) = unchanged_from {
                let wanted = (from + offset) as isize - index as isize;
                if wanted != shift && scanner.at_line_of_code() {
                    text.extend_from_slice(format!("#line {}\n", from + offset + 1).as_bytes());
                    shift = wanted;
                }
            }
            scanner.read(&new[index]);
            text.extend_from_slice(&new[index]);
        }
    }
    text
}

/// Follows comments and continued lines, so that no directive lands inside one.
#[derive(Default)]
struct Scanner {
    in_comment: bool,
    continued: bool,
}

impl Scanner {
    fn at_line_of_code(&self) -> bool {
        !self.in_comment && !self.continued
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut at = 0;
        let mut quote = None;
        while at < bytes.len() {
            let pair = (bytes[at], bytes.get(at + 1).copied().unwrap_or(0));
            match (self.in_comment, quote, pair) {
                (true, _, (b'*', b'/')) => {
                    self.in_comment = false;
                    at += 1;
                }
                (true, _, _) => {}
                (false, Some(_), (b'\\', _)) => at += 1,
                (false, Some(open), (byte, _)) if byte == open => quote = None,
                (false, Some(_), _) => {}
                (false, None, (b'/', b'*')) => {
                    self.in_comment = true;
                    at += 1;
                }
                (false, None, (b'/', b'/')) => break,
                (false, None, (b'"' | b'\'', _)) => quote = Some(bytes[at]),
                _ => {}
            }
            at += 1;
        }
        self.continued = bytes.trim_ascii_end().ends_with(b"\\");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(old: &str, new: &str) -> String {
        String::from_utf8_lossy(&keep_lines(old.as_bytes(), new.as_bytes())).into_owned()
    }

    #[test]
    fn unchanged_lines_keep_their_numbers() {
        let old = "a\nb\nc\nd\n";
        assert_eq!(kept(old, "a\nx\nb\nc\nd\n"), "a\nx\n#line 2\nb\nc\nd\n");
        assert_eq!(kept(old, "a\nd\n"), "a\n#line 4\nd\n");
        assert_eq!(kept(old, "a\nB\nc\nd\n"), "a\nB\nc\nd\n");
        assert_eq!(kept(old, "\na\nb\nc\nd\n"), "\n#line 1\na\nb\nc\nd\n");
    }

    #[test]
    fn no_directive_in_comment_or_continued_line() {
        let old = "/* a\n b */\nc\n";
        assert_eq!(kept(old, "/* new\n a\n b */\nc\n"), "/* new\n a\n b */\n#line 3\nc\n");
        let old = "#define M \\\n 1\nc\n";
        assert_eq!(kept(old, "#define M \\\n 0 + \\\n 1\nc\n"), "#define M \\\n 0 + \\\n 1\n#line 3\nc\n");
    }

    #[test]
    fn bytes_that_are_no_utf8_stay_as_they_are() {
        assert_eq!(keep_lines(b"\xe9\n", b"x\n\xe9\n"), b"x\n#line 1\n\xe9\n");
    }
}

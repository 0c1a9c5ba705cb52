//! A unified diff as one part a file, as far as leaving out files goes.

/// The parts of a patch: path and text, in order.
pub(crate) fn parts(patch: &str) -> Vec<(String, String)> {
    let mut parts: Vec<(String, String)> = Vec::new();
    let mut lines = patch.split_inclusive('\n').peekable();
    // Lines of the hunk at hand that are still to come, on the old and the new side: a removed line may read '-- x'.
    let (mut old_left, mut new_left) = (0_usize, 0_usize);
    while let Some(line) = lines.next() {
        let in_hunk = old_left + new_left > 0;
        if !in_hunk && let (Some(old), Some(new)) = (line.strip_prefix("--- "), lines.peek()) {
            let new = new.strip_prefix("+++ ").unwrap_or_default();
            let side = if new.trim_end() == "/dev/null" { old } else { new };
            let path = side.trim_end().split_once('/').map_or("", |(_, path)| path).to_owned();
            parts.push((path, String::new()));
        }
        if let Some((old, new)) = hunk_lengths(line).filter(|_| !in_hunk) {
            (old_left, new_left) = (old, new);
        } else if in_hunk {
            match line.as_bytes().first() {
                Some(b'-') => old_left = old_left.saturating_sub(1),
                Some(b'+') => new_left = new_left.saturating_sub(1),
                Some(b'\\') => {}
                _ => (old_left, new_left) = (old_left.saturating_sub(1), new_left.saturating_sub(1)),
            }
        }
        if let Some((_, text)) = parts.last_mut() {
            text.push_str(line);
        }
    }
    parts
}

/// Lengths in a hunk's heading, `@@ -12,7 +12,9 @@`; one line when no length is given.
fn hunk_lengths(line: &str) -> Option<(usize, usize)> {
    let mut ranges = line.strip_prefix("@@ -")?.split_once(" @@")?.0.split(" +");
    let mut length = || {
        let range = ranges.next()?;
        range.split_once(',').map_or(Some(1), |(_, length)| length.parse().ok())
    };
    Some((length()?, length()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATCH: &str = "--- a/x/one.c\n+++ b/x/one.c\n@@ -1,2 +1,2 @@\n--- a decrement\n+++ an increment\n same\n\
                         --- /dev/null\n+++ b/two.h\n@@ -0,0 +1 @@\n+int a;\n--- a/gone.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-int b;\n";

    #[test]
    fn each_file_is_a_part() {
        let parts = parts(PATCH);
        let paths: Vec<&str> = parts.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["x/one.c", "two.h", "gone.c"]);
        assert_eq!(parts.into_iter().map(|(_, text)| text).collect::<String>(), PATCH);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[-+@ a0,/\n\\\\]{0,300}") {
            let _ = parts(&text);
        }
    }
}

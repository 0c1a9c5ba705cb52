//! Cuts C text into tokens (C11, section 6.4), comments and blanks left out. What is no C passes as single characters:
//! nothing here fails.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Identifier or keyword.
    Word,
    /// Number.
    Number,
    /// String or character constant.
    Text,
    /// `##`.
    Paste,
    /// Any other single character.
    Mark,
    /// A whole preprocessor line with its continuations, from `#` on.
    Directive,
}

/// A token of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its characters.
    pub text: &'a [u8],
}

impl Token<'_> {
    /// Whether it is this mark.
    pub fn is(&self, mark: u8) -> bool {
        self.kind == Kind::Mark && self.text == [mark]
    }

    /// Whether it is one of these words.
    pub fn is_word(&self, words: &[&str]) -> bool {
        self.kind == Kind::Word && words.iter().any(|word| word.as_bytes() == self.text)
    }
}

/// The tokens of a text.
pub fn tokens(text: &[u8]) -> Vec<Token<'_>> {
    Lexer { text, at: 0, line_start: true, tokens: Vec::with_capacity(text.len() / 5) }.run()
}

/// The tokens of a preprocessor line, `#` left out.
pub fn directive_tokens(line: &[u8]) -> Vec<Token<'_>> {
    let text = line.strip_prefix(b"#").unwrap_or(line);
    Lexer { text, at: 0, line_start: false, tokens: Vec::new() }.run()
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line_start: bool,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn run(mut self) -> Vec<Token<'a>> {
        while let Some(&byte) = self.text.get(self.at) {
            match (byte, self.peek(1)) {
                (b'\n', _) => {
                    self.line_start = true;
                    self.at += 1;
                    continue;
                }
                (b'\\', b'\n') => self.at += 2,
                (b'\\', b'\r') if self.peek(2) == b'\n' => self.at += 3,
                (b' ' | b'\t' | b'\r' | 0x0b | 0x0c, _) => self.at += 1,
                (b'/', b'*') => self.at = self.end_of_comment(self.at),
                (b'/', b'/') => self.at = self.end_of_line(self.at),
                (b'#', _) if self.line_start => self.take_directive(),
                _ => self.take_token(byte),
            }
        }
        self.tokens
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: Kind, end: usize) {
        let end = end.min(self.text.len());
        self.tokens.push(Token { kind, text: &self.text[self.at..end] });
        self.at = end;
        self.line_start = false;
    }

    fn take_token(&mut self, byte: u8) {
        let run = |is: fn(u8) -> bool| {
            self.text[self.at..]
                .iter()
                .position(|&byte| !is(byte))
                .map_or(self.text.len(), |count| self.at + count)
        };
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'$' | 0x80.. => {
                let end = run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..));
                // A prefix of a string belongs to it: L"x".
                let is_prefix = matches!(&self.text[self.at..end], b"L" | b"u" | b"U" | b"u8");
                match self.text.get(end) {
                    Some(&quote @ (b'"' | b'\'')) if is_prefix => {
                        self.push(Kind::Text, self.end_of_text(end, quote))
                    }
                    _ => self.push(Kind::Word, end),
                }
            }
            b'0'..=b'9' => self
                .push(Kind::Number, run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))),
            b'"' | b'\'' => self.push(Kind::Text, self.end_of_text(self.at, byte)),
            b'#' if self.peek(1) == b'#' => self.push(Kind::Paste, self.at + 2),
            _ => self.push(Kind::Mark, self.at + 1),
        }
    }

    /// A directive goes on over continued lines and over comments, as after `#define X /* …`.
    fn take_directive(&mut self) {
        let mut end = self.at;
        while let Some(&byte) = self.text.get(end) {
            let next = self.text.get(end + 1).copied().unwrap_or(0);
            end = match (byte, next) {
                (b'\n', _) => break,
                (b'\\', b'\n') => end + 2,
                (b'\\', b'\r') => end + 3,
                (b'/', b'*') => self.end_of_comment(end),
                (b'/', b'/') => self.end_of_line(end),
                (b'"', _) => self.end_of_text(end, b'"'),
                _ => end + 1,
            };
        }
        self.push(Kind::Directive, end);
    }

    fn end_of_comment(&self, start: usize) -> usize {
        let from = (start + 2).min(self.text.len());
        let found = self.text[from..].windows(2).position(|pair| pair == b"*/");
        found.map_or(self.text.len(), |count| from + count + 2)
    }

    /// The line break itself stays; a continued line goes on.
    fn end_of_line(&self, start: usize) -> usize {
        let mut at = start;
        while let Some(count) = self.text[at..].iter().position(|&byte| byte == b'\n') {
            let end = at + count;
            if !self.text[start..end].trim_ascii_end().ends_with(b"\\") {
                return end;
            }
            at = end + 1;
        }
        self.text.len()
    }

    /// The end of a string or character constant; at the end of the line at the latest.
    fn end_of_text(&self, start: usize, quote: u8) -> usize {
        let mut at = start + 1;
        while let Some(&byte) = self.text.get(at) {
            match byte {
                b'\\' => at += 2,
                b'\n' => return at,
                _ if byte == quote => return at + 1,
                _ => at += 1,
            }
        }
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<(Kind, String)> {
        let owned = |token: &Token<'_>| (token.kind, String::from_utf8_lossy(token.text).into_owned());
        tokens(text.as_bytes()).iter().map(owned).collect()
    }

    fn texts(text: &str) -> Vec<String> {
        cut(text).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn comments_and_blanks_vanish_and_strings_stay_whole() {
        assert_eq!(texts("a/* b */c // d\n\"x /* y */\" L'\\''"), ["a", "c", "\"x /* y */\"", "L'\\''"]);
        assert_eq!(texts("x->y+=0x1fUL;"), ["x", "-", ">", "y", "+", "=", "0x1fUL", ";"]);
    }

    #[test]
    fn directives_are_one_token_with_their_continuations() {
        let found = cut("int a;\n # define X(a) \\\n a##b /* c\n d */ e\nint b;");
        let directives: Vec<&String> =
            found.iter().filter(|(kind, _)| *kind == Kind::Directive).map(|(_, text)| text).collect();
        assert_eq!(directives, ["# define X(a) \\\n a##b /* c\n d */ e"]);
        let inner: Vec<&[u8]> =
            directive_tokens(directives[0].as_bytes()).iter().map(|token| token.text).collect();
        let wanted: [&[u8]; 9] = [b"define", b"X", b"(", b"a", b")", b"a", b"##", b"b", b"e"];
        assert_eq!(inner, wanted);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_and_nothing_is_invented(text in "[a-c0\"'/*#\\\\ \n\r(){};]{0,40}") {
            let kept: usize = tokens(text.as_bytes()).iter().map(|token| token.text.len()).sum();
            prop_assert!(kept <= text.len());
        }
    }
}

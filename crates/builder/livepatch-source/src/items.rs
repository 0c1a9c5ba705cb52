//! Cuts C text into its top-level items: declarations, definitions and preprocessor lines.

use crate::lex::{Kind, Token, tokens};
use std::ops::Range;

/// A text in tokens and items.
#[derive(Clone, Debug)]
pub struct Text<'a> {
    /// All tokens.
    pub tokens: Vec<Token<'a>>,
    /// The items, in order.
    pub items: Vec<Item>,
    /// Braces do not match up, as when they stand in several branches of a condition.
    pub unbalanced: bool,
}

/// A top-level item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// What it is.
    pub shape: Shape,
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A preprocessor line.
    Directive,
    /// A function with its body.
    Function,
    /// Everything else: ends with a semicolon.
    Declaration,
}

const KEYWORDS: [&str; 54] = [
    "auto",
    "break",
    "case",
    "char",
    "const",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "float",
    "for",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "typedef",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
    "_Bool",
    "_Alignas",
    "_Alignof",
    "_Noreturn",
    "_Static_assert",
    "_Thread_local",
    "__inline",
    "__inline__",
    "__const",
    "__volatile__",
    "__extension__",
    "typeof",
    "__typeof__",
    "__typeof",
    "asm",
    "__asm__",
    "__attribute__",
    "__attribute",
    "__signed__",
    "__int128",
];
const TAGGED: [&str; 3] = ["struct", "union", "enum"];
const ATTRIBUTE: [&str; 2] = ["__attribute__", "__attribute"];
const ASSEMBLY: [&str; 3] = ["asm", "__asm__", "__asm"];
/// Macros of the kernel (include/linux/compiler_attributes.h and its like) that stand for an attribute with arguments.
const ATTRIBUTE_MACROS: [&str; 22] = [
    "__printf",
    "__scanf",
    "__aligned",
    "__section",
    "__acquires",
    "__releases",
    "__must_hold",
    "__acquire",
    "__release",
    "__alloc_size",
    "__assume_aligned",
    "__nonnull",
    "__mode",
    "__diagnose_as",
    "__alias",
    "__malloc",
    "__realloc_size",
    "__compiletime_error",
    "__compiletime_warning",
    "__cond_acquires",
    "__counted_by",
    "__attribute_const",
];

/// Whether a token is an identifier that the program chose.
pub fn is_name(token: &Token<'_>) -> bool {
    token.kind == Kind::Word && !token.is_word(&KEYWORDS)
}

/// Cuts a text into items.
pub fn cut(text: &[u8]) -> Text<'_> {
    let tokens = tokens(text);
    let (mut items, mut unbalanced) = (Vec::new(), false);
    let (mut start, mut nest, mut in_body) = (0usize, 0usize, false);
    for (index, token) in tokens.iter().enumerate() {
        match (token.kind, token.text) {
            (Kind::Directive, _) => {
                // Inside an item the line belongs to it.
                if start == index {
                    items.push(Item { tokens: index..index + 1, shape: Shape::Directive });
                    start = index + 1;
                }
                continue;
            }
            (Kind::Mark, b"(" | b"[") => nest += 1,
            (Kind::Mark, b"{") => {
                in_body |= nest == 0 && opens_body(&tokens[start..index]);
                nest += 1;
            }
            (Kind::Mark, b")" | b"]" | b"}") => {
                unbalanced |= nest == 0;
                nest = nest.saturating_sub(1);
            }
            _ => {}
        }
        let shape = match (nest, token.kind, token.text) {
            (0, Kind::Mark, b"}") if in_body => Shape::Function,
            (0, Kind::Mark, b";") => Shape::Declaration,
            _ => continue,
        };
        items.push(Item { tokens: start..index + 1, shape });
        (start, in_body) = (index + 1, false);
    }
    if start < tokens.len() {
        items.push(Item { tokens: start..tokens.len(), shape: Shape::Declaration });
    }
    Text { tokens, items, unbalanced: unbalanced || nest != 0 }
}

/// Whether a brace after these tokens opens a function's body, rather than a list of values or members.
fn opens_body(before: &[Token<'_>]) -> bool {
    let mut level = 0usize;
    let mut last_tagged = None;
    for (index, token) in before.iter().enumerate() {
        match token.text {
            b"(" | b"[" | b"{" if token.kind == Kind::Mark => level += 1,
            b")" | b"]" | b"}" if token.kind == Kind::Mark => level = level.saturating_sub(1),
            b"=" if level == 0 => return false,
            _ if level == 0 && token.is_word(&TAGGED) => last_tagged = Some(index),
            _ => {}
        }
    }
    let Some(tagged) = last_tagged else { return before.iter().any(|token| token.is(b')')) };
    // After `struct` only a name and attributes may come before its members.
    let mut rest = &before[tagged + 1..];
    while let Some((first, more)) = rest.split_first() {
        rest = match (first.kind, more.first()) {
            (Kind::Word, Some(next)) if next.is(b'(') => {
                if !is_attribute(first) {
                    return true;
                }
                &more[group(more)..]
            }
            (Kind::Word | Kind::Directive, _) => more,
            _ => return true,
        };
    }
    false
}

/// Whether a token is an attribute or one of the kernel's macros for one.
fn is_attribute(token: &Token<'_>) -> bool {
    token.is_word(&ATTRIBUTE) || token.is_word(&ATTRIBUTE_MACROS)
}

/// Length of the bracketed group that starts here, brackets included.
fn group(tokens: &[Token<'_>]) -> usize {
    let mut level = 0usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.text {
            b"(" | b"[" | b"{" if token.kind == Kind::Mark => level += 1,
            b")" | b"]" | b"}" if token.kind == Kind::Mark => {
                level = level.saturating_sub(1);
                if level == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// What a declaration or definition looks like from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline<'a> {
    /// Names that it declares: functions, variables, types, tags, enumerators.
    pub names: Vec<&'a [u8]>,
    /// Words outside all brackets, attributes left out.
    pub words: Vec<&'a [u8]>,
    /// It has an initial value.
    pub has_value: bool,
    /// It declares a function.
    pub declares_function: bool,
    /// Names before a bracket that are followed by something else than what may follow a function's parameters: calls of
    /// macros that make declarations.
    pub macro_calls: usize,
    /// Attribute words.
    pub attributes: Vec<&'a [u8]>,
    /// It has a list of members or enumerators.
    pub has_members: bool,
    /// A word comes after that list: a name that it is the type of.
    pub has_more: bool,
}

/// The outline of a declaration or definition (not of a preprocessor line).
pub fn outline<'a>(tokens: &[Token<'a>], shape: Shape) -> Outline<'a> {
    let mut outline = Outline::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1);
        let opens = next.is_some_and(|next| next.is(b'('));
        if token.kind == Kind::Mark && matches!(token.text, b"{") {
            let size = group(&tokens[at..]);
            let is_body = shape == Shape::Function && at + size == tokens.len() && !outline.has_value;
            if !is_body && !outline.has_value {
                outline.has_members = true;
                member_names(&tokens[at..at + size], ends_with_enum(&tokens[..at]), &mut outline.names);
            }
            at += size;
        } else if token.kind == Kind::Mark && matches!(token.text, b"(" | b"[") {
            let size = group(&tokens[at..]);
            pointer_name(&tokens[at..at + size], &mut outline.names);
            at += size;
        } else if opens && (is_attribute(token) || token.is_word(&ASSEMBLY)) {
            let size = group(&tokens[at + 1..]);
            outline.attributes.extend(
                tokens[at + 1..at + 1 + size]
                    .iter()
                    .filter(|token| token.kind == Kind::Word)
                    .map(|token| token.text),
            );
            if is_attribute(token) {
                outline.attributes.push(token.text);
            } else if outline.words.is_empty() {
                // Assembly by itself; behind a declaration it is only the name that the linker sees.
                outline.words.push(token.text);
            }
            at += 1 + size;
        } else {
            outline.has_value |= token.is(b'=');
            if token.kind == Kind::Word {
                outline.words.push(token.text);
                outline.has_more |= outline.has_members;
                let is_tag = at > 0 && tokens[at - 1].is_word(&TAGGED);
                read_word(token, &tokens[at + 1..], is_tag, &mut outline);
            }
            at += 1;
        }
    }
    outline
}

/// A word outside all brackets.
fn read_word<'a>(token: &Token<'a>, after: &[Token<'a>], is_tag: bool, outline: &mut Outline<'a>) {
    let Some(next) = after.first() else { return };
    if !is_name(token) || outline.has_value && !next.is(b',') && !next.is(b'=') && !next.is(b';') {
        return;
    }
    let declares = matches!(next.text, b"(" | b"[" | b";" | b"," | b"=" | b":" | b"{")
        && next.kind == Kind::Mark
        || is_attribute(next)
        || next.is_word(&ASSEMBLY)
        || next.kind == Kind::Directive;
    if declares && (!is_tag || next.is(b'{') || next.is(b';')) {
        outline.names.push(token.text);
    }
    if next.is(b'(') && !after.get(1).is_some_and(|inner| inner.is(b'*')) {
        let behind = after.get(group(after));
        let ends = behind.is_none_or(|behind| {
            behind.kind == Kind::Mark && matches!(behind.text, b";" | b"{" | b"," | b"=")
                || is_attribute(behind)
                || behind.is_word(&ASSEMBLY)
                || behind.kind == Kind::Word && behind.text.starts_with(b"__")
        });
        outline.declares_function |= ends;
        // Where nothing stands before it, it is no function either: FOO(x);
        if !ends || outline.words.len() == 1 {
            outline.macro_calls += 1;
        }
    }
}

fn ends_with_enum(before: &[Token<'_>]) -> bool {
    let recent = before.iter().rev().take_while(|token| !token.is(b';') && !token.is(b'}'));
    recent.into_iter().find(|token| token.is_word(&TAGGED)).is_some_and(|token| token.is_word(&["enum"]))
}

/// Tags and enumerators in a list of members (brackets included).
fn member_names<'a>(list: &[Token<'a>], is_enum: bool, names: &mut Vec<&'a [u8]>) {
    let mut enums = vec![is_enum];
    for (index, token) in list.iter().enumerate().skip(1) {
        if token.is(b'{') {
            enums.push(ends_with_enum(&list[1..index]));
        } else if token.is(b'}') {
            enums.pop();
        } else if is_name(token) {
            let opens = list.get(index + 1).is_some_and(|next| next.is(b'{'));
            if opens && index > 0 || enums.last() == Some(&true) {
                names.push(token.text);
            }
        }
    }
}

/// The name in `(*name)` or `(*name[3])(int)`.
fn pointer_name<'a>(list: &[Token<'a>], names: &mut Vec<&'a [u8]>) {
    let mut starred = false;
    for token in &list[1.min(list.len())..] {
        if token.is(b'*') || token.is(b'(') || token.is(b'^') {
            starred |= token.is(b'*');
        } else if starred && is_name(token) {
            names.push(token.text);
            return;
        } else if !token.is_word(&["const", "volatile", "__const", "__volatile__"]) {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests;

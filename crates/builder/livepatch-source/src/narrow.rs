//! Which names a change to a header can reach, told from text alone.
//!
//! Preprocessing thousands of units to see whether a header's change reaches them takes minutes. But to be reached, a unit
//! must mention, in its own text, one of the names that the change is about, or a name that some header hands it on by: a
//! function whose body mentions it, a structure that contains it, a macro. So: the changed items of the header give names;
//! all headers are read for items that mention one and so hand it on, until nothing new comes; units whose own text
//! mentions none of the names cannot be reached. Wherever the text is not understood the answer is "everything", never
//! "nothing".
//!
//! Names that macros paste together are found by their pieces: a name counts as mentioned where a piece of it stands
//! beside `##`, and where two words of a text make it up.

use crate::items::{Item, Outline, Shape, Text, cut, is_name, outline};
use crate::lex::{Kind, Token, directive_tokens, tokens};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::{BTreeSet, HashSet};

/// Names that a change reaches.
pub type Names = BTreeSet<Vec<u8>>;

/// What a text hands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// These names.
    Names(Names),
    /// It cannot be told: whoever includes the text may be reached.
    Everything,
}

/// The names that the change of a header from one text to another is about.
pub fn changed(old: &[u8], new: &[u8]) -> Reach {
    let (old, new) = (cut(old), cut(new));
    if old.unbalanced || new.unbalanced {
        return Reach::Everything;
    }
    let (old_keys, new_keys) = (keys(&old), keys(&new));
    let mut names = Names::new();
    for op in capture_diff_slices(Algorithm::Myers, &old_keys, &new_keys) {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let gone = old.items[op.old_range()].iter().map(|item| (&old, item));
        let come = new.items[op.new_range()].iter().map(|item| (&new, item));
        for (text, item) in gone.chain(come) {
            match defined(text, item) {
                Some(defined) => names.extend(defined),
                None => return Reach::Everything,
            }
        }
    }
    Reach::Names(names)
}

/// Each item's tokens, in a form that can be compared.
fn keys<'a>(text: &Text<'a>) -> Vec<Vec<Vec<u8>>> {
    let key = |item: &Item| {
        let tokens = &text.tokens[item.tokens.clone()];
        let words = tokens.iter().flat_map(|token| match token.kind {
            Kind::Directive => directive_tokens(token.text),
            _ => vec![*token],
        });
        words.map(|token| token.text.to_vec()).collect()
    };
    text.items.iter().map(key).collect()
}

/// All names that an item gives a meaning to; `None` when that cannot be told.
fn defined(text: &Text<'_>, item: &Item) -> Option<Names> {
    let tokens = &text.tokens[item.tokens.clone()];
    if item.shape == Shape::Directive {
        return macro_name(tokens.first()?).map(|name| [name.to_vec()].into());
    }
    let outline = outline(tokens, item.shape);
    // Of a macro that makes declarations the names may be any.
    (outline.macro_calls == 0).then(|| all_names(&outline, tokens, item.shape))
}

/// The name in `#define NAME` or `#undef NAME`.
fn macro_name<'a>(directive: &Token<'a>) -> Option<&'a [u8]> {
    match directive_tokens(directive.text).as_slice() {
        [verb, name, ..] if verb.is_word(&["define", "undef"]) => Some(name.text),
        _ => None,
    }
}

/// The names that an item declares, members included.
fn all_names(outline: &Outline<'_>, tokens: &[Token<'_>], shape: Shape) -> Names {
    let mut names: Names = outline.names.iter().map(|name| name.to_vec()).collect();
    let inner = tokens.iter().filter(|token| token.kind == Kind::Directive);
    names.extend(inner.filter_map(macro_name).map(<[u8]>::to_vec));
    if outline.has_members && shape == Shape::Declaration {
        let declares = |pair: &[Token<'_>]| {
            is_name(&pair[0])
                && pair[1].kind != Kind::Word
                && (pair[1].kind == Kind::Directive
                    || matches!(pair[1].text, b";" | b"," | b"[" | b":" | b")" | b"=" | b"}"))
        };
        names.extend(tokens.windows(2).filter(|pair| declares(pair)).map(|pair| pair[0].text.to_vec()));
    }
    names
}

/// The names by which a header hands on what mentions the given ones.
pub fn handed_on(header: &[u8], names: &Names) -> Reach {
    if !mentions(header, names) {
        return Reach::Names(Names::new());
    }
    let text = cut(header);
    let mut handed = Names::new();
    for item in &text.items {
        let tokens = &text.tokens[item.tokens.clone()];
        if item.shape == Shape::Directive {
            match directive(&tokens[0], names) {
                Reach::Names(more) => handed.extend(more),
                Reach::Everything => return Reach::Everything,
            }
        } else if tokens.iter().any(|token| is_mention(token, names)) {
            // A condition inside the item may hide more names than meet the eye.
            if text.unbalanced {
                return Reach::Everything;
            }
            let outline = outline(tokens, item.shape);
            if outline.macro_calls > 0 {
                return Reach::Everything;
            }
            handed.extend(handed_on_by(tokens, item.shape, &outline, names));
        }
    }
    Reach::Names(handed)
}

/// What a preprocessor line hands on.
fn directive(line: &Token<'_>, names: &Names) -> Reach {
    let tokens = directive_tokens(line.text);
    let nothing = Reach::Names(Names::new());
    match macro_name(line) {
        Some(name) => {
            let body = tokens.get(2..).unwrap_or_default();
            let is_reached = body.iter().any(|token| is_mention(token, names)) || pastes(body, names);
            if is_reached { Reach::Names([name.to_vec()].into()) } else { nothing }
        }
        None if tokens.iter().any(|token| is_mention(token, names)) => Reach::Everything,
        None => nothing,
    }
}

fn is_mention(token: &Token<'_>, names: &Names) -> bool {
    match token.kind {
        Kind::Word => names.contains(token.text),
        Kind::Directive => {
            let inner = directive_tokens(token.text);
            inner.iter().any(|token| token.kind == Kind::Word && names.contains(token.text))
                || pastes(&inner, names)
        }
        _ => false,
    }
}

/// Whether a piece of a name stands beside `##`.
fn pastes(body: &[Token<'_>], names: &Names) -> bool {
    body.iter().enumerate().filter(|(_, token)| token.kind == Kind::Paste).any(|(at, _)| {
        let beside = [at.checked_sub(1), at.checked_add(1)];
        beside
            .into_iter()
            .flatten()
            .filter_map(|at| body.get(at))
            .filter(|token| token.kind == Kind::Word)
            .any(|piece| {
                names.iter().any(|name| {
                    name.len() > piece.text.len()
                        && (name.starts_with(piece.text) || name.ends_with(piece.text))
                })
            })
    })
}

/// What a declaration or function that mentions a name hands on.
fn handed_on_by(tokens: &[Token<'_>], shape: Shape, outline: &Outline<'_>, names: &Names) -> Names {
    if shape == Shape::Function || outline.has_value {
        return all_names(outline, tokens, shape);
    }
    if !outline.has_members {
        let only_in_parameters = outline.declares_function && !mentions_outside(tokens, names);
        // To call it with such a pointer one must have got that pointer by another name.
        return if only_in_parameters { Names::new() } else { all_names(outline, tokens, shape) };
    }
    let mut handed = Names::new();
    for member in members(tokens) {
        if !member.iter().any(|token| is_mention(token, names)) {
            continue;
        }
        // A pointer does not change the layout around it: only who follows it is reached.
        if !is_behind_pointer(member, names) {
            return all_names(outline, tokens, shape);
        }
        if mentions_outside(member, names) {
            handed.extend(
                crate::items::outline(member, Shape::Declaration).names.iter().map(|name| name.to_vec()),
            );
        }
    }
    handed
}

/// The members of the outermost list; a member with a list of its own comes whole.
fn members<'a, 'b>(tokens: &'b [Token<'a>]) -> Vec<&'b [Token<'a>]> {
    let mut result = Vec::new();
    let (mut level, mut start) = (0usize, 0usize);
    for (index, token) in tokens.iter().enumerate() {
        match token.text {
            b"{" | b"(" | b"[" if token.kind == Kind::Mark => {
                level += 1;
                if level == 1 {
                    start = index + 1;
                }
            }
            b"}" | b")" | b"]" if token.kind == Kind::Mark => level = level.saturating_sub(1),
            b";" if level == 1 => {
                result.push(&tokens[start..index + 1]);
                start = index + 1;
            }
            _ => {}
        }
    }
    // What follows the list, and whatever is no member, counts as one, so that no mention is lost.
    result.push(&tokens[start.min(tokens.len())..]);
    let before = tokens.iter().position(|token| token.is(b'{')).unwrap_or(tokens.len());
    result.push(&tokens[..before]);
    result
}

/// Every mention is `struct NAME *`, in a declaration of its own.
fn is_behind_pointer(tokens: &[Token<'_>], names: &Names) -> bool {
    let mut words = tokens.iter().enumerate().filter(|(_, token)| is_mention(token, names));
    words.all(|(at, _)| {
        let tagged = at.checked_sub(1).is_some_and(|before| tokens[before].is_word(&["struct", "union"]));
        tagged && tokens.get(at + 1).is_some_and(|next| next.is(b'*'))
    })
}

/// A mention outside parentheses, or inside them otherwise than as a pointer to a structure.
fn mentions_outside(tokens: &[Token<'_>], names: &Names) -> bool {
    let mut level = 0usize;
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        level = match token.text {
            b"(" if token.kind == Kind::Mark => level + 1,
            b")" if token.kind == Kind::Mark => level.saturating_sub(1),
            _ => level,
        };
        if is_mention(token, names) {
            let tagged = at > 0 && tokens[at - 1].is_word(&["struct", "union"]);
            let pointer = tagged && tokens.get(at + 1).is_some_and(|next| next.is(b'*'));
            if level == 0 || !pointer {
                return true;
            }
        }
        at += 1;
    }
    false
}

/// Whether a text mentions one of the names, whole or in pieces that may be pasted together.
pub fn mentions(text: &[u8], names: &Names) -> bool {
    let mut words: HashSet<&[u8]> = HashSet::new();
    let found = tokens(text);
    let inner: Vec<Vec<Token<'_>>> = found
        .iter()
        .filter(|token| token.kind == Kind::Directive)
        .map(|token| directive_tokens(token.text))
        .collect();
    words.extend(
        found
            .iter()
            .chain(inner.iter().flatten())
            .filter(|token| token.kind == Kind::Word)
            .map(|token| token.text),
    );
    names.iter().any(|name| is_made_of(name, &words)) || inner.iter().any(|body| pastes(body, names))
}

fn is_made_of(name: &[u8], words: &HashSet<&[u8]>) -> bool {
    words.contains(name)
        || (1..name.len()).any(|at| words.contains(&name[..at]) && words.contains(&name[at..]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests;

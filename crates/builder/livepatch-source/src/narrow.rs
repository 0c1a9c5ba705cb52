//! Which names a change to a header can reach, told from text alone.
//!
//! Preprocessing thousands of units to see whether a header's change reaches them takes minutes. But to be reached, a unit
//! must mention, in its own text, one of the names that the change is about, or a name that some header hands it on by: a
//! function whose body mentions it, a structure that contains it, a macro. So: the changed items of the header give names;
//! all headers are read for items that mention one and so hand it on, until nothing new comes; units whose own text
//! mentions none of the names cannot be reached. Wherever the text is not understood the answer is "everything", never
//! "nothing".
//!
//! Names that macros paste together are found by their pieces: a name counts as mentioned where words of a text, with
//! the pieces that stand beside `##` in any macro of the kernel ([`pieces`]), make it up in two or three parts.

use crate::items::{Item, Outline, Shape, Text, cut, is_name, outline};
use crate::lex::{Kind, Token, directive_tokens, tokens};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Names that a change reaches.
pub type Names = BTreeSet<Vec<u8>>;

/// Names that a change reaches, and how they may come about.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    names: Names,
    /// Ways to paste one of the names together, by the longest of the words that a text must have for it: all of them.
    ways: HashMap<Vec<u8>, Vec<Vec<Vec<u8>>>>,
}

impl Wanted {
    /// Names, and the pieces that macros of the kernel paste.
    pub fn new(names: &Names, pieces: &HashSet<Vec<u8>>) -> Self {
        let mut all: Vec<Vec<Vec<u8>>> = names.iter().flat_map(|name| ways(name, pieces)).collect();
        all.sort();
        all.dedup();
        let mut ways: HashMap<Vec<u8>, Vec<Vec<Vec<u8>>>> = HashMap::new();
        for way in all {
            if let Some(longest) = way.iter().max_by_key(|part| part.len()).cloned() {
                ways.entry(longest).or_default().push(way);
            }
        }
        Self { names: names.clone(), ways }
    }

    /// Texts of which any text that mentions a name has at least one in it, for a first look.
    pub fn signs(&self) -> Vec<&[u8]> {
        self.names.iter().chain(self.ways.keys()).map(Vec::as_slice).collect()
    }

    /// Whether a text mentions one of the names.
    pub fn is_in(&self, text: &[u8]) -> bool {
        let tokens = tokens(text);
        self.is_among(&words(&tokens))
    }

    fn is_among(&self, words: &HashSet<&[u8]>) -> bool {
        let is_there = |way: &Vec<Vec<u8>>| way.iter().all(|part| words.contains(part.as_slice()));
        words.iter().any(|word| {
            self.names.contains(*word) || self.ways.get(*word).is_some_and(|ways| ways.iter().any(is_there))
        })
    }
}

/// All words and numbers of a text, preprocessor lines included.
fn words<'a>(tokens: &[Token<'a>]) -> HashSet<&'a [u8]> {
    let mut words = HashSet::new();
    for token in tokens {
        match token.kind {
            Kind::Word | Kind::Number => {
                words.insert(token.text);
            }
            Kind::Directive => words.extend(
                directive_tokens(token.text)
                    .iter()
                    .filter(|token| matches!(token.kind, Kind::Word | Kind::Number))
                    .map(|token| token.text),
            ),
            _ => {}
        }
    }
    words
}

/// The ways to make a name of two parts, or of three of which a macro has at least one. What macros have needs not be in
/// the text, but something must.
fn ways(name: &[u8], pieces: &HashSet<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let mut add = |parts: &[&[u8]], needs_piece: bool| {
        let missing: Vec<Vec<u8>> =
            parts.iter().filter(|part| !pieces.contains(**part)).map(|part| part.to_vec()).collect();
        match missing.len() {
            0 => found.extend(parts.iter().map(|part| vec![part.to_vec()])),
            count if needs_piece && count == parts.len() => {}
            _ => found.push(missing),
        }
    };
    for first in 1..name.len() {
        add(&[&name[..first], &name[first..]], false);
        for second in first + 1..name.len() {
            add(&[&name[..first], &name[first..second], &name[second..]], true);
        }
    }
    found
}

/// The pieces that the macros of a text paste: what stands beside `##` and is no parameter.
pub fn pieces(text: &[u8]) -> HashSet<Vec<u8>> {
    let tokens = tokens(text);
    let directives = tokens.iter().filter(|token| token.kind == Kind::Directive);
    directives.flat_map(|directive| pasted(&directive_tokens(directive.text))).collect()
}

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

/// The names by which a header hands on what mentions the wanted ones.
pub fn handed_on(header: &[u8], wanted: &Wanted) -> Reach {
    let text = cut(header);
    let mut handed = Names::new();
    if !wanted.is_among(&words(&text.tokens)) {
        return Reach::Names(handed);
    }
    for item in &text.items {
        let tokens = &text.tokens[item.tokens.clone()];
        if !wanted.is_among(&words(tokens)) {
            continue;
        }
        if item.shape == Shape::Directive {
            match macro_name(&tokens[0]) {
                Some(name) => handed.extend(handed_on_by_macro(name, &tokens[0], wanted)),
                None => return Reach::Everything,
            }
            continue;
        }
        let outline = outline(tokens, item.shape);
        // Of what is not understood, or makes declarations by a macro, the names may be any.
        if text.unbalanced || outline.macro_calls > 0 {
            return Reach::Everything;
        }
        handed.extend(handed_on_by(tokens, item.shape, &outline, &wanted.names));
    }
    Reach::Names(handed)
}

/// A macro hands its own name on, when its body or its definition's pieces mention one.
fn handed_on_by_macro(name: &[u8], line: &Token<'_>, wanted: &Wanted) -> Names {
    let tokens = directive_tokens(line.text);
    let body = tokens.get(2..).unwrap_or_default();
    if wanted.is_among(&words(body)) { [name.to_vec()].into() } else { Names::new() }
}

fn is_mention(token: &Token<'_>, names: &Names) -> bool {
    match token.kind {
        Kind::Word => names.contains(token.text),
        Kind::Directive => directive_tokens(token.text)
            .iter()
            .any(|token| token.kind == Kind::Word && names.contains(token.text)),
        _ => false,
    }
}

/// What stands beside `##` in a macro's body and is none of its parameters: what is put in their place stands where the
/// macro is used.
fn pasted(directive: &[Token<'_>]) -> Vec<Vec<u8>> {
    let marks: Vec<usize> = (0..directive.len()).filter(|&at| directive[at].kind == Kind::Paste).collect();
    if marks.is_empty() {
        return Vec::new();
    }
    let parameters = parameters(directive);
    let beside = marks.iter().flat_map(|&at| [at.checked_sub(1), at.checked_add(1)]).flatten();
    let pieces = beside.filter_map(|at| directive.get(at));
    let is_piece = |token: &&Token<'_>| {
        matches!(token.kind, Kind::Word | Kind::Number) && !parameters.contains(&token.text)
    };
    pieces.filter(is_piece).map(|token| token.text.to_vec()).collect()
}

/// The parameters of `#define NAME(…)`: only a bracket right behind the name opens them.
fn parameters<'a>(directive: &[Token<'a>]) -> Vec<&'a [u8]> {
    let [_, name, bracket, rest @ ..] = directive else { return Vec::new() };
    let is_adjacent = name.text.as_ptr_range().end == bracket.text.as_ptr();
    if !is_adjacent || !bracket.is(b'(') {
        return Vec::new();
    }
    rest.iter()
        .take_while(|token| !token.is(b')'))
        .filter(|token| is_name(token))
        .map(|token| token.text)
        .collect()
}

/// What a declaration or function that mentions a name hands on.
fn handed_on_by(tokens: &[Token<'_>], shape: Shape, outline: &Outline<'_>, names: &Names) -> Names {
    let is_whole = tokens.iter().any(|token| is_mention(token, names));
    if shape == Shape::Function || outline.has_value || !is_whole {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests;

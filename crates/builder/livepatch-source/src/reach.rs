//! What the compiler makes something of, in a preprocessed translation unit.
//!
//! gcc emits nothing for a `static inline` function that nothing emitted refers to, nor for types and declarations alone.
//! A change to those reaches the object only through definitions that mention them, by name.

use crate::items::{Item, Outline, Shape, cut, outline};
use crate::lex::Kind;
use std::collections::{HashMap, VecDeque};

/// The tokens that matter, as text: those of every definition that is emitted and of all that it mentions, directly or not,
/// a line for each item. Two units with the same text compile to the same object.
pub fn relevant(preprocessed: &[u8]) -> Vec<u8> {
    let text = cut(preprocessed);
    let outlines: Vec<Outline<'_>> =
        text.items.iter().map(|item| outline(&text.tokens[item.tokens.clone()], item.shape)).collect();
    let mut declared: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (index, outline) in outlines.iter().enumerate() {
        for &name in &outline.names {
            declared.entry(name).or_default().push(index);
        }
    }
    let mut reached: Vec<bool> = text
        .items
        .iter()
        .zip(&outlines)
        .map(|(item, outline)| text.unbalanced || is_emitted(item, outline))
        .collect();
    let mut queue: VecDeque<usize> = (0..reached.len()).filter(|&index| reached[index]).collect();
    while let Some(index) = queue.pop_front() {
        let words =
            text.tokens[text.items[index].tokens.clone()].iter().filter(|token| token.kind == Kind::Word);
        for word in words {
            // Taken out: each name needs following once.
            for item in declared.remove(word.text).unwrap_or_default() {
                if !std::mem::replace(&mut reached[item], true) {
                    queue.push_back(item);
                }
            }
        }
    }
    let mut counters = Counters::default();
    let mut result = Vec::with_capacity(preprocessed.len() / 4);
    for (item, _) in text.items.iter().zip(&reached).filter(|(_, reached)| **reached) {
        for token in &text.tokens[item.tokens.clone()] {
            match counters.neutral(token.text) {
                Some(neutral) => result.extend_from_slice(neutral.as_bytes()),
                None => result.extend_from_slice(token.text),
            }
            result.push(b' ');
        }
        result.push(b'\n');
    }
    result
}

/// Whether the compiler may make code or data of an item by itself.
fn is_emitted(item: &Item, outline: &Outline<'_>) -> bool {
    let has = |word: &[u8]| outline.words.contains(&word);
    let marked = |words: &[&[u8]]| outline.attributes.iter().any(|attribute| words.contains(attribute));
    if marked(&[
        b"used",
        b"__used__",
        b"retain",
        b"alias",
        b"__alias__",
        b"weakref",
        b"ifunc",
        b"constructor",
    ]) {
        return true;
    }
    let is_inline = has(b"inline") || has(b"__inline") || has(b"__inline__");
    match item.shape {
        // Pragmas and whatever else is left.
        Shape::Directive => true,
        Shape::Function => !(has(b"static") && is_inline),
        Shape::Declaration if has(b"asm") || has(b"__asm__") => true,
        Shape::Declaration => {
            let tagged = [b"struct".as_slice(), b"union", b"enum"];
            let only_type = outline.has_members && !outline.has_more;
            let only_tag =
                outline.words.len() == 2 && tagged.contains(&outline.words[0]) && !outline.has_members;
            let is_declaration = has(b"typedef")
                || has(b"_Static_assert")
                || has(b"extern") && !outline.has_value
                || outline.declares_function && !outline.has_value
                || only_type
                || only_tag
                || outline.words.is_empty();
            !is_declaration
        }
    }
}

/// Names that macros make from `__COUNTER__` (include/linux/compiler-gcc.h, `__UNIQUE_ID`; compiletime_assert): what
/// number they bear depends on how many of them came before, and means nothing.
#[derive(Default)]
struct Counters {
    seen: HashMap<Vec<u8>, usize>,
}

impl Counters {
    fn neutral(&mut self, word: &[u8]) -> Option<String> {
        let counted = word.starts_with(b"__UNIQUE_ID_") || word.starts_with(b"__compiletime_assert_");
        if !counted || !word.last().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let next = self.seen.len();
        let number = *self.seen.entry(word.to_vec()).or_insert(next);
        let stem = String::from_utf8_lossy(word).into_owned();
        Some(format!("{}#{number}", stem.trim_end_matches(|c: char| c.is_ascii_digit())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests;

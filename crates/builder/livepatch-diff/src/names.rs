//! Names that the compiler makes up, and what may be concluded from them.

/// Statics that belong to one place in the source and are never shared between an old and a new copy of a function:
/// function names, lock class keys, once flags, rate limits, dynamic debug descriptors, conversion tables.
///
/// From the kernel's macros: `__func__` (C11 6.4.2.2), `__key` (include/linux/lockdep.h), `__already_done`, `__warned`
/// (include/linux/once_lite.h), `___done`, `___once_key` (include/linux/once.h), `_rs` (include/linux/ratelimit.h), `descriptor` and
/// `__UNIQUE_ID_ddebug*` (include/linux/dynamic_debug.h), `_entry`, `_entry_ptr` (printk index, include/linux/printk.h), and gcc's own `CSWTCH`.
const NEVER_SHARED: [&str; 14] = [
    "__func__",
    "__FUNCTION__",
    "__PRETTY_FUNCTION__",
    "__key",
    "__warned",
    "__already_done",
    "__print_once",
    "___done",
    "___once_key",
    "_rs",
    "descriptor",
    "_entry",
    "_entry_ptr",
    "CSWTCH",
];

/// A symbol name without the number that gcc appends to static locals and clones: `x.12` is `x`, `f.isra.0` is
/// `f.isra`, `f.constprop.1.cold` is `f.constprop.cold`.
pub fn without_numbers(name: &str) -> String {
    let mut parts = name.split('.');
    let first = without_unique_number(parts.next().unwrap_or_default());
    parts.filter(|part| part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit())).fold(
        first,
        |mut all, part| {
            all.push('.');
            all.push_str(part);
            all
        },
    )
}

/// The function's name in the source: what stands before the first dot.
pub fn source_name(name: &str) -> &str {
    match name.split_once('.') {
        Some((head, _)) if !head.is_empty() => head,
        _ => name,
    }
}

/// `f` when the name is `f.cold` or `f.cold.3`: the part of `f` that gcc moved away.
pub fn cold_parent(name: &str) -> Option<&str> {
    let trimmed = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let trimmed = trimmed.strip_suffix('.').unwrap_or(name);
    trimmed.strip_suffix(".cold").or_else(|| name.strip_suffix(".cold"))
}

/// Whether a static of this name must be a fresh copy in the livepatch.
pub fn is_never_shared(name: &str) -> bool {
    let base = without_numbers(name);
    NEVER_SHARED.contains(&base.as_str()) || base.starts_with("__UNIQUE_ID_")
}

/// `__UNIQUE_ID_tag123` (include/linux/compiler.h) and `__BTF_ID__struct__file__123` (include/linux/btf_ids.h) count per
/// translation unit: the count means nothing.
fn without_unique_number(name: &str) -> String {
    if name.starts_with("__UNIQUE_ID_") || name.starts_with("__BTF_ID__") {
        name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_and_words_stay() {
        for (name, base) in [
            ("x.12", "x"),
            ("__BTF_ID__struct__xdp2__489669", "__BTF_ID__struct__xdp2__"),
            ("ext4_mb_free.isra.0", "ext4_mb_free.isra"),
            ("f.constprop.1.cold", "f.constprop.cold"),
            ("f.cold.3", "f.cold"),
            ("__UNIQUE_ID_ddebug512.7", "__UNIQUE_ID_ddebug"),
            ("plain", "plain"),
            (".LC5", ".LC5"),
        ] {
            assert_eq!(without_numbers(name), base);
        }
    }

    #[test]
    fn cold_parts_know_their_parent() {
        assert_eq!(cold_parent("f.cold"), Some("f"));
        assert_eq!(cold_parent("f.isra.0.cold"), Some("f.isra.0"));
        assert_eq!(cold_parent("f.cold.12"), Some("f"));
        assert_eq!(cold_parent("f.isra.0"), None);
        assert_eq!(cold_parent("cold"), None);
    }

    #[test]
    fn macro_statics_are_never_shared() {
        assert!(
            is_never_shared("__func__.3") && is_never_shared("_rs.10") && is_never_shared("__UNIQUE_ID_x9")
        );
        assert!(!is_never_shared("cache.4") && !is_never_shared("rs"));
    }
}

//! The rules, one a file.

mod data_changed;
mod exported_contract;
mod half_fix;
mod hot_function;
mod init_code;
mod layout_changed;
mod locality;
mod lock_asymmetry;
mod new_state;
mod no_debug_info;
mod once_only;
mod sleeps_forever;

use crate::case::Case;
use crate::finding::{Finding, Rule};

pub use half_fix::half_fix;
pub use no_debug_info::without_debug_info;

/// Every rule, by code.
pub fn all() -> &'static [Rule] {
    &[
        data_changed::RULE,
        exported_contract::RULE,
        half_fix::RULE,
        hot_function::RULE,
        init_code::RULE,
        layout_changed::RULE,
        lock_asymmetry::RULE,
        new_state::RULE,
        no_debug_info::RULE,
        once_only::RULE,
        sleeps_forever::RULE,
    ]
}

/// What the rules find in one translation unit.
pub(crate) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let rules = [
        layout_changed::find,
        data_changed::find,
        init_code::find,
        exported_contract::find,
        once_only::find,
        new_state::find,
        lock_asymmetry::find,
        sleeps_forever::find,
        hot_function::find,
    ];
    rules.iter().flat_map(|rule| rule(case)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_is_there_once_and_says_all() {
        let codes: BTreeSet<&str> = all().iter().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), all().len());
        for rule in all() {
            let texts = [rule.code, rule.meaning, rule.example, rule.advice];
            assert!(texts.iter().all(|text| text.len() > 3), "{}", rule.code);
        }
    }
}

//! Functions of a livepatch source that replace those of a unit.

use crate::names::source_name;
use crate::object::{Object, SymbolIndex, SymbolKind};
use crate::refusal::Refusal;

/// Pairs the functions that the source marks with those of that name in the unit.
pub(crate) fn pair_replaced(
    unit: &Object,
    source: &Object,
    marked: &[SymbolIndex],
) -> (Vec<(SymbolIndex, SymbolIndex)>, Vec<Refusal>) {
    let (mut pairs, mut refusals) = (Vec::new(), Vec::new());
    for &new in marked {
        let name = source.symbols[new].name.as_str();
        match the_function(unit, name) {
            Ok(old) => pairs.push((old, new)),
            Err(why) => refusals.push(Refusal::NothingToReplace { function: name.to_owned(), why }),
        }
    }
    pairs.sort_unstable();
    (pairs, refusals)
}

/// The one function of a name. Clones that the compiler made of it would go on running.
fn the_function(unit: &Object, name: &str) -> Result<SymbolIndex, String> {
    let defined = |index: &usize| {
        unit.symbols[*index].kind == SymbolKind::Function
            && unit.section_of(*index).is_some()
            && source_name(&unit.symbols[*index].name) == name
            && !unit.symbols[*index].name.contains(".cold")
    };
    let found: Vec<SymbolIndex> = (0..unit.symbols.len()).filter(defined).collect();
    match found.as_slice() {
        [] => Err("is not a function of its own in the unit".into()),
        [one] if unit.symbols[*one].name == name => Ok(*one),
        all => {
            let names: Vec<&str> = all.iter().map(|&index| unit.symbols[index].name.as_str()).collect();
            Err(format!("was compiled as {}; replace what calls it", names.join(", ")))
        }
    }
}

//! The kernel's taint mask (Documentation/admin-guide/tainted-kernels.rst, include/linux/panic.h).

use serde::{Deserialize, Serialize};
use std::fmt;

/// `/proc/sys/kernel/tainted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Taint(pub u64);

/// One set bit of the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TaintFlag {
    /// Bit number, from 0.
    pub bit: u8,
    /// The letter that the kernel prints.
    pub letter: char,
    /// What it means, in a sentence's end.
    pub meaning: &'static str,
}

const fn flag(bit: u8, letter: char, meaning: &'static str) -> TaintFlag {
    TaintFlag { bit, letter, meaning }
}

const FLAGS: [TaintFlag; 20] = [
    flag(0, 'P', "a proprietary module was loaded"),
    flag(1, 'F', "a module was loaded by force"),
    flag(2, 'S', "the hardware is out of specification"),
    flag(3, 'R', "a module was unloaded by force"),
    flag(4, 'M', "the processor reported a machine check"),
    flag(5, 'B', "a bad page was referenced"),
    flag(6, 'U', "a user-space program asked for the taint"),
    flag(7, 'D', "the kernel died recently: an oops or a BUG"),
    flag(8, 'A', "an ACPI table was overridden"),
    flag(9, 'W', "the kernel issued a warning"),
    flag(10, 'C', "a staging driver was loaded"),
    flag(11, 'I', "a firmware bug is worked around"),
    flag(12, 'O', "a module from outside the kernel's tree was loaded"),
    flag(13, 'E', "a module was loaded whose signature the kernel does not trust"),
    flag(14, 'L', "a soft lockup occurred"),
    flag(15, 'K', "the kernel is livepatched"),
    flag(16, 'X', "auxiliary taint, defined by the distribution"),
    flag(17, 'T', "the kernel was built with structure randomisation"),
    flag(18, 'N', "an in-kernel test was run"),
    flag(19, 'J', "user space used a mutating debug operation of fwctl"),
];

impl Taint {
    /// Bit `O`: set by any livepatch, since a livepatch is a module from outside the tree.
    pub const OUT_OF_TREE: u8 = 12;
    /// Bit `E`: set when the kernel does not know the module's signing key.
    pub const UNSIGNED: u8 = 13;
    /// Bit `K`: set by any livepatch.
    pub const LIVEPATCH: u8 = 15;
    /// Bit `D`: an oops or BUG happened.
    pub const DIED: u8 = 7;
    /// Bit `W`: a warning was issued.
    pub const WARNED: u8 = 9;
    /// Bit `L`: a soft lockup happened.
    pub const LOCKUP: u8 = 14;

    /// Whether the bit with this number is set.
    pub fn has(self, bit: u8) -> bool {
        self.0.checked_shr(u32::from(bit)).is_some_and(|rest| rest & 1 == 1)
    }

    /// The set bits that are known, lowest first.
    pub fn flags(self) -> impl Iterator<Item = TaintFlag> {
        FLAGS.into_iter().filter(move |flag| self.has(flag.bit))
    }

    /// The part of the mask that a livepatch itself causes: O, E and K.
    pub fn from_livepatch(self) -> Self {
        Self(self.0 & (1 << Self::OUT_OF_TREE | 1 << Self::UNSIGNED | 1 << Self::LIVEPATCH))
    }

    /// Bits of `self` that are not in `before`.
    pub fn since(self, before: Self) -> Self {
        Self(self.0 & !before.0)
    }
}

/// The letters of the set bits, such as `OEK`; `-` when there are none.
impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("-");
        }
        self.flags().try_for_each(|flag| write!(f, "{}", flag.letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_masks_decode() {
        assert_eq!(Taint(36864).to_string(), "OK");
        assert_eq!(Taint(45056).to_string(), "OEK");
        assert_eq!(Taint(45184).to_string(), "DOEK");
        assert_eq!(Taint(0).to_string(), "-");
    }

    #[test]
    fn own_part_and_difference() {
        assert_eq!(Taint(45184).from_livepatch(), Taint(45056));
        assert_eq!(Taint(45184).since(Taint(45056)), Taint(128));
        assert!(!Taint(u64::MAX).has(200));
    }
}

//! Where a machine stands in the order of a release, and how far a release has come along it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Positions are below this: 48 bits, so that they stay whole numbers in every JSON reader.
const END: u64 = 1 << 48;

/// Shares are written in parts per million.
pub const MILLION: u32 = 1_000_000;

/// A machine's place in the order in which a release reaches the fleet. Even spread, other for each release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(u64);

/// How far a release has come: the machines at positions below it may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reach(u64);

impl Position {
    /// The first 48 bits of SHA-256 over `livepatch-wave`, the release and the machine's id, each ended by a zero byte.
    pub fn of(machine_id: &str, release: &str) -> Self {
        let mut hash = Sha256::new();
        for part in ["livepatch-wave", release, machine_id] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digest = hash.finalize();
        Self(digest.iter().take(6).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

impl Reach {
    /// Nobody.
    pub const NOBODY: Self = Self(0);
    /// Every machine.
    pub const EVERYBODY: Self = Self(END);

    /// The share of all positions, in parts per million; more than all is all.
    pub fn of_share(parts_per_million: u32) -> Self {
        let parts = u64::from(parts_per_million.min(MILLION));
        // 48 + 20 bits do not fit 64: the share goes first.
        Self((u128::from(END) * u128::from(parts) / u128::from(MILLION)) as u64)
    }

    /// Everything up to this machine, and it.
    pub fn up_to(position: Position) -> Self {
        Self((position.0 + 1).min(END))
    }

    /// Whether a machine is in.
    pub fn includes(self, position: Position) -> bool {
        position.0 < self.0
    }

    /// The share of the positions, in parts per million, rounded down.
    pub fn share(self) -> u32 {
        (u128::from(self.0.min(END)) * u128::from(MILLION) / u128::from(END)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_is_fixed_for_ever() {
        // Machines and servers of different versions must agree. Computed with another SHA-256.
        let position = Position::of("3a1f7f0e-6f0c-4f6e-9a63-0c2a6b1c5d11", "2027-01-fix");
        assert_eq!(position, Position(207_821_895_690_237));
    }

    #[test]
    fn share_and_reach_agree() {
        assert_eq!(Reach::of_share(0), Reach::NOBODY);
        assert_eq!(Reach::of_share(MILLION), Reach::EVERYBODY);
        assert_eq!(Reach::of_share(u32::MAX), Reach::EVERYBODY);
        assert_eq!(Reach::of_share(250_000), Reach(END / 4));
        assert_eq!(Reach::of_share(250_000).share(), 250_000);
    }
}

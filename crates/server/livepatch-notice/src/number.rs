//! Notice numbers.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// `LSN-0123-1`: the notice's number, four digits at least, and the revision, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LsnNumber {
    /// The notice.
    pub number: u32,
    /// The revision, from 1.
    pub revision: u32,
}

/// The text is no notice number.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not the number of a notice, such as LSN-0123-1")]
pub struct LsnNumberError(pub String);

/// A number without leading zeros (`LSN-120-1`) is read, since such ones are about; it is written with them.
impl FromStr for LsnNumber {
    type Err = LsnNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (number, revision) = text.strip_prefix("LSN-")?.split_once('-')?;
            let digits = |part: &str, most: usize| {
                (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
            };
            if !digits(number, 5) || !digits(revision, 2) {
                return None;
            }
            let (number, revision) = (number.parse().ok()?, revision.parse().ok()?);
            (number > 0 && revision > 0).then_some(Self { number, revision })
        };
        parse().ok_or_else(|| LsnNumberError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for LsnNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LSN-{:04}-{}", self.number, self.revision)
    }
}

impl TryFrom<String> for LsnNumber {
    type Error = LsnNumberError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LsnNumber> for String {
    fn from(number: LsnNumber) -> Self {
        number.to_string()
    }
}

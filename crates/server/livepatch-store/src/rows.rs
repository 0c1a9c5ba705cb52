//! Between columns and types.

use crate::{Seconds, StoreError};
use serde::{Serialize, de::DeserializeOwned};
use std::str::FromStr;

/// A value that is written as one word (an enum in kebab case), as that word.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The value that a word stands for.
pub(crate) fn from_word<T: DeserializeOwned>(column: &'static str, word: String) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(word.clone()))
        .map_err(|_| StoreError::Unusable { column, value: word })
}

/// A value that is written as text.
pub(crate) fn parse<T: FromStr>(column: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Unusable { column, value: text.to_owned() })
}

/// Words that are divided by commas.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// A count.
pub(crate) fn count(column: &'static str, value: i64) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|_| StoreError::Unusable { column, value: value.to_string() })
}

/// RFC 3339, UTC.
pub(crate) fn moment(column: &'static str, seconds: Seconds) -> Result<String, StoreError> {
    let moment = jiff::Timestamp::from_second(seconds);
    moment
        .map(|moment| moment.to_string())
        .map_err(|_| StoreError::Unusable { column, value: seconds.to_string() })
}

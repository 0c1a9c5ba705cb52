//! PKCS#11 URIs (RFC 7512): which key of which token, and how to get at it.

use std::path::PathBuf;
use std::str::FromStr;

/// The key that a URI names: what is not given may be anything.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TokenUri {
    /// Label of the token.
    pub token: Option<String>,
    /// Its manufacturer.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Label of the key.
    pub object: Option<String>,
    /// Id of the key.
    pub id: Option<Vec<u8>>,
    /// The library that speaks to the token.
    pub module_path: Option<PathBuf>,
    /// A file that holds the PIN.
    pub pin_source: Option<PathBuf>,
    /// The PIN itself. Others see it in the list of processes: a file or the environment are better.
    pub pin_value: Option<String>,
}

/// Why a text is no PKCS#11 URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Another scheme.
    #[error("it does not begin with pkcs11:")]
    Scheme,
    /// An attribute without a value.
    #[error("'{0}' is not NAME=VALUE")]
    Form(String),
    /// An attribute comes twice.
    #[error("'{0}' is given twice")]
    Twice(String),
    /// An attribute that would change which key is meant, and that is not known here.
    #[error("'{0}' is not supported")]
    Unknown(String),
    /// A % that is not followed by two hexadecimal digits, or bytes that are no text.
    #[error("the value of '{0}' cannot be read")]
    Value(String),
    /// Something other than a private key is named.
    #[error("type={0} is no private key")]
    Type(String),
}

impl FromStr for TokenUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let rest = text.strip_prefix("pkcs11:").ok_or(UriError::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        for part in path.split(';').filter(|part| !part.is_empty()) {
            uri.take_path(part)?;
        }
        for part in query.split('&').filter(|part| !part.is_empty()) {
            uri.take_query(part)?;
        }
        Ok(uri)
    }
}

impl TokenUri {
    fn take_path(&mut self, part: &str) -> Result<(), UriError> {
        let (name, value) = attribute(part)?;
        match name {
            "token" => set(&mut self.token, name, text(name, value)?),
            "manufacturer" => set(&mut self.manufacturer, name, text(name, value)?),
            "model" => set(&mut self.model, name, text(name, value)?),
            "serial" => set(&mut self.serial, name, text(name, value)?),
            "object" => set(&mut self.object, name, text(name, value)?),
            "id" => set(&mut self.id, name, value),
            "type" => match text(name, value)?.as_str() {
                "private" => Ok(()),
                other => Err(UriError::Type(other.to_owned())),
            },
            // Which library or slot it is does not change which key is meant.
            "library-manufacturer"
            | "library-description"
            | "library-version"
            | "slot-description"
            | "slot-manufacturer" => Ok(()),
            // RFC 7512, section 2.3: an unknown attribute matches nothing.
            other => Err(UriError::Unknown(other.to_owned())),
        }
    }

    fn take_query(&mut self, part: &str) -> Result<(), UriError> {
        let (name, value) = attribute(part)?;
        match name {
            "module-path" => set(&mut self.module_path, name, text(name, value)?.into()),
            "pin-source" => {
                let source = text(name, value)?;
                // A path, or a URI of scheme file.
                let path = source.strip_prefix("file://").or(source.strip_prefix("file:")).unwrap_or(&source);
                set(&mut self.pin_source, name, path.into())
            }
            "pin-value" => set(&mut self.pin_value, name, text(name, value)?),
            // RFC 7512, section 2.4: unknown attributes of the query are ignored.
            _ => Ok(()),
        }
    }
}

/// Hides the PIN.
impl std::fmt::Debug for TokenUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenUri")
            .field("token", &self.token)
            .field("object", &self.object)
            .finish_non_exhaustive()
    }
}

fn set<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), UriError> {
    match place.replace(value) {
        Some(_) => Err(UriError::Twice(name.to_owned())),
        None => Ok(()),
    }
}

fn attribute(part: &str) -> Result<(&str, Vec<u8>), UriError> {
    let (name, value) = part.split_once('=').ok_or_else(|| UriError::Form(part.to_owned()))?;
    let bytes = decode(value).ok_or_else(|| UriError::Value(name.to_owned()))?;
    Ok((name, bytes))
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, UriError> {
    String::from_utf8(bytes).map_err(|_| UriError::Value(name.to_owned()))
}

/// Percent-encoding (RFC 3986, section 2.1).
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(decoded)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_uri_are_understood() {
        let uri: TokenUri = "pkcs11:token=The%20Software%20Token;object=module%3bkey;id=%01%ff;type=private\
                             ?pin-source=file:/etc/token-pin&module-path=/lib/libsofthsm2.so&x-own=1"
            .parse()
            .unwrap();
        assert_eq!(uri.token.as_deref(), Some("The Software Token"));
        assert_eq!(uri.object.as_deref(), Some("module;key"));
        assert_eq!(uri.id.as_deref(), Some([1, 255].as_slice()));
        assert_eq!(uri.pin_source, Some("/etc/token-pin".into()));
        assert_eq!(uri.module_path, Some("/lib/libsofthsm2.so".into()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, error) in [
            ("token=x", UriError::Scheme),
            ("pkcs11:token", UriError::Form("token".into())),
            ("pkcs11:token=a;token=b", UriError::Twice("token".into())),
            ("pkcs11:keyring=a", UriError::Unknown("keyring".into())),
            ("pkcs11:token=%4", UriError::Value("token".into())),
            ("pkcs11:object=%ff", UriError::Value("object".into())),
            ("pkcs11:type=cert", UriError::Type("cert".into())),
        ] {
            assert_eq!(text.parse::<TokenUri>().unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn the_pin_is_not_shown() {
        let uri: TokenUri = "pkcs11:?pin-value=secret".parse().unwrap();
        assert!(!format!("{uri:?}").contains("secret"));
        assert_eq!(uri.pin_value.as_deref(), Some("secret"));
    }
}

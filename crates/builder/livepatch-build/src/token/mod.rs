//! Signing with a key that never leaves its token (PKCS#11): a hardware module, a smart card, SoftHSM.

mod uri;

pub use uri::{TokenUri, UriError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use livepatch_module::Certificate;
use std::path::{Path, PathBuf};

/// Where the PIN may stand when the URI does not say.
pub const PIN_VARIABLE: &str = "LIVEPATCH_PKCS11_PIN";

/// Libraries that are looked for when none is named: p11-kit's, which knows every token that is set up on the machine, and
/// SoftHSM's own places.
const LIBRARIES: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so",
    "/usr/lib64/p11-kit-proxy.so",
    "/usr/lib/p11-kit-proxy.so",
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// `DigestInfo` of a SHA-256 digest up to the digest itself (RFC 8017, section 9.2), for tokens that do not hash.
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// Why a token does not sign.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The URI cannot be understood.
    #[error("this is no PKCS#11 URI")]
    Uri(#[from] UriError),
    /// No library is there.
    #[error(
        "no PKCS#11 library is at hand: name the token's with --pkcs11-module, or install p11-kit or softhsm2"
    )]
    NoLibrary,
    /// The library cannot be used.
    #[error("cannot use the PKCS#11 library {}", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// Why.
        #[source]
        source: cryptoki::error::Error,
    },
    /// No token, or several, fit the URI.
    #[error("{count} tokens fit the URI, and one must; tokens here: {}", list(there))]
    Tokens {
        /// How many fit.
        count: usize,
        /// Labels of all tokens.
        there: Vec<String>,
    },
    /// No private key, or several, fit the URI.
    #[error("{0} private keys of the token fit the URI, and one must: name it with object= or id=")]
    Keys(usize),
    /// There is no PIN.
    #[error(
        "the token wants a PIN: name a file that holds it with pin-source= in the URI, or set {PIN_VARIABLE}"
    )]
    NoPin,
    /// The file with the PIN cannot be read.
    #[error("cannot read the PIN from {}", path.display())]
    PinFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The token refused.
    #[error("the token refused: {doing}")]
    Token {
        /// What was asked of it.
        doing: &'static str,
        /// Its answer.
        #[source]
        source: cryptoki::error::Error,
    },
    /// The token can do no RSA signature of the form that kernels take.
    #[error("the token makes no RSA signatures of the form PKCS#1 v1.5")]
    NoMechanism,
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// A signature over SHA-256 of `message` by the key that the URI names: RSA, PKCS#1 v1.5. `library` overrules the URI.
/// The certificate tells the size of the key.
///
/// # Errors
/// [`TokenError`] with what is missing and how to name it.
pub fn signature(uri: &TokenUri, library: Option<&Path>, message: &[u8]) -> Result<Vec<u8>, TokenError> {
    let path = library_path(uri, library)?;
    let library_error = |source| TokenError::Library { path: path.clone(), source };
    let context = Pkcs11::new(&path).map_err(library_error)?;
    context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(library_error)?;
    let slot = slot(&context, uri)?;
    let session = context.open_ro_session(slot).map_err(refused("open a session"))?;
    log_in(&context, slot, &session, uri)?;
    let key = key(&session, uri)?;
    let known = context.get_mechanism_list(slot).map_err(refused("list what it can do"))?;
    let sign = |mechanism: &Mechanism<'_>, bytes: &[u8]| {
        session.sign(mechanism, key, bytes).map_err(refused("sign"))
    };
    if known.contains(&MechanismType::SHA256_RSA_PKCS) {
        return sign(&Mechanism::Sha256RsaPkcs, message);
    }
    if known.contains(&MechanismType::RSA_PKCS) {
        return sign(&Mechanism::RsaPkcs, &digest_info(message));
    }
    Err(TokenError::NoMechanism)
}

/// Signs a module with the key that the URI names.
///
/// # Errors
/// [`livepatch_module::SignError`]; what the token says is behind it.
pub fn sign(
    module: &[u8],
    certificate: &Certificate,
    uri: &TokenUri,
    library: Option<&Path>,
) -> Result<Vec<u8>, livepatch_module::SignError> {
    livepatch_module::sign_with(module, certificate, |message| Ok(signature(uri, library, message)?))
}

fn library_path(uri: &TokenUri, library: Option<&Path>) -> Result<PathBuf, TokenError> {
    let named = library.map(Path::to_owned).or_else(|| uri.module_path.clone());
    let usual = || LIBRARIES.iter().map(PathBuf::from).find(|path| path.is_file());
    named.or_else(usual).ok_or(TokenError::NoLibrary)
}

fn slot(context: &Pkcs11, uri: &TokenUri) -> Result<Slot, TokenError> {
    let slots = context.get_slots_with_token().map_err(refused("list tokens"))?;
    let (mut fitting, mut there) = (Vec::new(), Vec::new());
    for slot in slots {
        let token = context.get_token_info(slot).map_err(refused("describe itself"))?;
        if !token.token_initialized() {
            continue;
        }
        let fits = |wanted: &Option<String>, own: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == own.trim_end())
        };
        if fits(&uri.token, token.label())
            && fits(&uri.manufacturer, token.manufacturer_id())
            && fits(&uri.model, token.model())
            && fits(&uri.serial, token.serial_number())
        {
            fitting.push(slot);
        }
        there.push(token.label().trim_end().to_owned());
    }
    match fitting.as_slice() {
        [slot] => Ok(*slot),
        other => Err(TokenError::Tokens { count: other.len(), there }),
    }
}

fn log_in(context: &Pkcs11, slot: Slot, session: &Session, uri: &TokenUri) -> Result<(), TokenError> {
    let token = context.get_token_info(slot).map_err(refused("describe itself"))?;
    if !token.login_required() {
        return Ok(());
    }
    let pin = if token.protected_authentication_path() { None } else { Some(AuthPin::from(pin(uri)?)) };
    session.login(UserType::User, pin.as_ref()).map_err(refused("log in"))
}

fn pin(uri: &TokenUri) -> Result<String, TokenError> {
    if let Some(path) = &uri.pin_source {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TokenError::PinFile { path: path.clone(), source })?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    let from_environment = || std::env::var(PIN_VARIABLE).ok().filter(|pin| !pin.is_empty());
    uri.pin_value.clone().or_else(from_environment).ok_or(TokenError::NoPin)
}

fn key(session: &Session, uri: &TokenUri) -> Result<ObjectHandle, TokenError> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    template.extend(uri.object.iter().map(|label| Attribute::Label(label.clone().into_bytes())));
    template.extend(uri.id.iter().map(|id| Attribute::Id(id.clone())));
    let found = session.find_objects(&template).map_err(refused("look for the key"))?;
    match found.as_slice() {
        [key] => Ok(*key),
        other => Err(TokenError::Keys(other.len())),
    }
}

fn digest_info(message: &[u8]) -> Vec<u8> {
    let digest = livepatch_manifest::Digest::of(message);
    let digits = digest.as_str().as_bytes().chunks(2);
    let bytes = digits.filter_map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    SHA256_INFO.into_iter().chain(bytes).collect()
}

fn refused(doing: &'static str) -> impl FnOnce(cryptoki::error::Error) -> TokenError {
    move |source| TokenError::Token { doing, source }
}

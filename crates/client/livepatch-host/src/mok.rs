//! Asks shim to enrol a certificate (MOK): the variables `MokNew` and `MokAuth`, which its MokManager reads at the next boot
//! and acts on when whoever sits at the console types the password.
//!
//! `MokAuth` here is the older of its two forms, SHA-256 over the lists and the password in UTF-16 (shim, MokManager.c,
//! `match_password` and `compute_pw_hash`), which every shim understands. It protects nothing after the password was used.

use crate::{
    Host,
    efi::{SHIM, VARIABLES, certificates, signature_list, variable},
};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use sha2::{Digest as _, Sha256};
use std::{fs, io, io::Write as _, path::Path};

/// Non-volatile, readable at boot and while the system runs (UEFI specification 2.10, section 8.2).
const ATTRIBUTES: u32 = 1 | 2 | 4;
/// What shim's console takes (include/PasswordCrypt.h, `PASSWORD_MAX`), and short enough to type.
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=256;

/// Why a certificate could not be asked for.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// No EFI variables.
    #[error(
        "this machine has no EFI variables below /sys/firmware/efi/efivars: it was not booted by EFI, or they are not mounted"
    )]
    NoVariables,
    /// Typed at a console with whatever keyboard layout the firmware has.
    #[error(
        "the password must have 8 to 256 characters, letters and digits only: the firmware's console knows no keyboard layouts"
    )]
    Password,
    /// The firmware did not take it.
    #[error(
        "the EFI variable {name} cannot be written: root is needed, and free space in the firmware's store"
    )]
    Write {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Host {
    /// Asks for the enrolment of certificates, given in DER, beside what is asked for already. The password is asked for
    /// at the console of the next boot, once.
    ///
    /// # Errors
    /// [`EnrolmentError`]; nothing is asked for then that was not before.
    pub fn request_enrolment(&self, new: &[&[u8]], password: &str) -> Result<(), EnrolmentError> {
        if !self.path(VARIABLES).is_dir() {
            return Err(EnrolmentError::NoVariables);
        }
        let sound = password.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !sound || !PASSWORD.contains(&password.len()) {
            return Err(EnrolmentError::Password);
        }
        let mut lists = variable(self, "MokNew", SHIM).unwrap_or_default();
        let asked = certificates(&lists);
        for der in new.iter().filter(|der| !asked.iter().any(|known| known == *der)) {
            lists.extend(signature_list(der));
        }
        // MokNew last: without it the other one means nothing.
        self.write_variable("MokAuth", &authentication(&lists, password))?;
        self.write_variable("MokNew", &lists)
    }

    fn write_variable(&self, name: &'static str, value: &[u8]) -> Result<(), EnrolmentError> {
        let path = self.path(VARIABLES).join(format!("{name}-{SHIM}"));
        // One write carries attributes and value; efivarfs takes it as the whole variable.
        let mut content = ATTRIBUTES.to_le_bytes().to_vec();
        content.extend(value);
        make_mutable(&path);
        let written = fs::File::options().create(true).write(true).truncate(true).open(&path);
        written
            .and_then(|mut file| file.write_all(&content))
            .map_err(|source| EnrolmentError::Write { name, source })
    }
}

/// efivarfs protects what it does not know as harmless with the immutable flag; elsewhere there is none to take away.
fn make_mutable(path: &Path) {
    if let Ok(file) = fs::File::open(path) {
        let flags = ioctl_getflags(&file).unwrap_or(IFlags::empty());
        let _ = ioctl_setflags(&file, flags - IFlags::IMMUTABLE);
    }
}

fn authentication(lists: &[u8], password: &str) -> Vec<u8> {
    let password: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
    Sha256::new().chain_update(lists).chain_update(password).finalize().to_vec()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    fn machine() -> (tempfile::TempDir, Host) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join(VARIABLES)).unwrap();
        let host = Host::new(directory.path());
        (directory, host)
    }

    #[test]
    fn a_request_is_seen_as_one_and_adds_up() {
        let (directory, host) = machine();
        host.request_enrolment(&[b"certificate one"], "12345678").unwrap();
        assert_eq!(host.firmware().requested, [b"certificate one".to_vec()]);
        host.request_enrolment(&[b"certificate one", b"two"], "87654321").unwrap();
        assert_eq!(host.firmware().requested, [b"certificate one".to_vec(), b"two".to_vec()]);
        let read =
            |name: &str| fs::read(directory.path().join(VARIABLES).join(format!("{name}-{SHIM}"))).unwrap();
        let (new, auth) = (read("MokNew"), read("MokAuth"));
        assert_eq!(new[..4], [7, 0, 0, 0]);
        assert_eq!(auth.len(), 4 + 32);
        // The sum that MokManager makes: the lists, then each character in two bytes.
        let mut typed = new[4..].to_vec();
        typed.extend(b"8\x007\x006\x005\x004\x003\x002\x001\x00");
        assert_eq!(auth[4..], Sha256::digest(typed)[..]);
    }

    #[test]
    fn what_cannot_be_asked_changes_nothing() {
        let (_directory, host) = machine();
        for password in ["1234567", "pass word", "pässword1", &"x".repeat(257)] {
            assert!(matches!(host.request_enrolment(&[b"x"], password), Err(EnrolmentError::Password)));
        }
        assert!(host.firmware().requested.is_empty());
        let error = Host::new("/nonexistent").request_enrolment(&[b"x"], "12345678").unwrap_err();
        assert!(matches!(error, EnrolmentError::NoVariables));
    }
}

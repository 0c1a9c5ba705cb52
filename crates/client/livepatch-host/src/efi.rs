//! EFI variables: whether Secure Boot is on, and which certificates the machine's owner has enrolled (MOK) or asked to.
//!
//! efivarfs shows a variable as a file `NAME-GUID`: four bytes of attributes, then the value (Documentation/filesystems/
//! efivarfs.rst). Certificates stand in signature lists (UEFI specification 2.10, section 32.4.1, `EFI_SIGNATURE_LIST`).

use crate::{Host, HostError};
use serde::{Deserialize, Serialize};

/// Where efivarfs is mounted.
pub(crate) const VARIABLES: &str = "sys/firmware/efi/efivars";
/// `EFI_GLOBAL_VARIABLE`.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// The vendor GUID of shim, the loader that knows machine owner keys (shim, include/guid.h).
pub(crate) const SHIM: &str = "605dab50-e046-4300-abb6-3dd810dd8b23";
/// `EFI_CERT_X509_GUID`, a5c059a1-94e4-4aa7-87b5-ab155c2bf072, as it lies in memory.
pub(crate) const X509: [u8; 16] =
    [0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72];
/// Attributes of a variable in efivarfs.
const ATTRIBUTES: usize = 4;
/// `SignatureType`, `SignatureListSize`, `SignatureHeaderSize`, `SignatureSize`.
const LIST_HEADER: usize = 28;
/// `SignatureOwner` before each signature.
const OWNER: usize = 16;

/// What the firmware and the loader say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firmware {
    /// Whether the machine was booted by EFI firmware at all.
    pub efi: bool,
    /// `SecureBoot`; absent when the variable cannot be read.
    pub secure_boot: Option<bool>,
    /// `SetupMode`: no platform key is set, so that nothing is enforced.
    pub setup_mode: Option<bool>,
    /// `MokSBStateRT`: the owner told shim not to verify what it boots.
    pub validation_disabled: bool,
    /// Certificates that the owner enrolled, in DER (`MokListRT`).
    #[serde(skip)]
    pub enrolled: Vec<Vec<u8>>,
    /// Certificates that wait for confirmation at the next boot's console, in DER (`MokNew`).
    #[serde(skip)]
    pub requested: Vec<Vec<u8>>,
}

pub(crate) fn read(host: &Host) -> Firmware {
    if !host.path("sys/firmware/efi").is_dir() {
        return Firmware::default();
    }
    let flag = |name: &str, guid: &str| {
        variable(host, name, guid).ok().and_then(|value| value.first().map(|byte| *byte == 1))
    };
    Firmware {
        efi: true,
        secure_boot: flag("SecureBoot", GLOBAL),
        setup_mode: flag("SetupMode", GLOBAL),
        validation_disabled: flag("MokSBStateRT", SHIM).unwrap_or_default(),
        enrolled: enrolled(host),
        requested: variable(host, "MokNew", SHIM).map(|value| certificates(&value)).unwrap_or_default(),
    }
}

/// Shim copies its list into a table that the kernel shows whole below `mok-variables` (Linux 5.11), and into a variable
/// that small firmware stores cut off.
fn enrolled(host: &Host) -> Vec<Vec<u8>> {
    let table = host.bytes("sys/firmware/efi/mok-variables/MokListRT");
    let value = table.or_else(|_| variable(host, "MokListRT", SHIM));
    value.map(|value| certificates(&value)).unwrap_or_default()
}

/// The value of a variable, without its attributes.
pub(crate) fn variable(host: &Host, name: &str, guid: &str) -> Result<Vec<u8>, HostError> {
    let bytes = host.bytes(format!("{VARIABLES}/{name}-{guid}"))?;
    Ok(bytes.get(ATTRIBUTES..).unwrap_or_default().to_vec())
}

/// The X.509 certificates of a sequence of signature lists, in DER. What is cut off or of another kind is left out.
pub fn certificates(mut lists: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some((list, rest)) = first_list(lists) {
        found.extend(of_list(list));
        lists = rest;
    }
    found
}

/// Splits the first list off.
fn first_list(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let size = word(bytes, 16)?;
    if size < LIST_HEADER { None } else { bytes.split_at_checked(size) }
}

fn of_list(list: &[u8]) -> Vec<Vec<u8>> {
    let whole = || {
        let (header, size) = (word(list, 20)?, word(list, 24)?);
        let signatures = list.get(LIST_HEADER.checked_add(header)?..)?;
        (list.get(..16)? == X509.as_slice() && size > OWNER).then_some((signatures, size))
    };
    let Some((signatures, size)) = whole() else {
        return Vec::new();
    };
    signatures.chunks_exact(size).map(|signature| signature[OWNER..].to_vec()).collect()
}

/// A little-endian 32-bit number.
fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

/// One signature list with one certificate, as shim's `MokNew` holds it.
pub(crate) fn signature_list(der: &[u8]) -> Vec<u8> {
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut list = X509.to_vec();
    list.extend(size(LIST_HEADER + OWNER + der.len()));
    list.extend(size(0));
    list.extend(size(OWNER + der.len()));
    list.extend(guid_bytes(SHIM));
    list.extend(der);
    list
}

/// A GUID as it lies in memory: its first three parts are little-endian numbers.
pub(crate) fn guid_bytes(text: &str) -> [u8; 16] {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    let mut plain = [0; 16];
    for (byte, pair) in plain.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
    }
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    order.map(|at: usize| plain[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_reads_back() {
        let mut lists = signature_list(b"certificate one");
        lists.extend(signature_list(b"two"));
        assert_eq!(certificates(&lists), [b"certificate one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn guids_lie_as_the_specification_says() {
        assert_eq!(guid_bytes("a5c059a1-94e4-4aa7-87b5-ab155c2bf072"), X509);
    }

    #[test]
    fn a_list_that_is_cut_off_or_of_hashes_gives_nothing() {
        let mut lists = signature_list(b"certificate");
        lists.pop();
        assert!(certificates(&lists).is_empty());
        let mut hashes = signature_list(&[0; 32]);
        hashes[0] = 0x26;
        assert!(certificates(&hashes).is_empty());
        let mut endless = signature_list(b"x");
        endless[16..20].fill(0);
        assert!(certificates(&endless).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 16usize..28, by: u8) {
            certificates(&bytes);
            let mut lists = signature_list(&bytes);
            lists[at] = by;
            certificates(&lists);
        }
    }
}

//! Whether this kernel will take a module signed by the keys that this machine trusts: said before anything is loaded. Pure;
//! what the kernel and the firmware show are arguments.

use livepatch_host::{Enforcement, Firmware, KernelKeys, Lockdown};
use livepatch_module::Certificate;
use serde::{Deserialize, Serialize};

/// What the kernel will answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Prediction {
    /// The kernel knows the key: it takes the module.
    Accepted,
    /// The kernel does not know the key and takes the module all the same; taint `E` is set.
    AcceptedWithTaint,
    /// The kernel will refuse the module.
    Refused,
    /// It cannot be told.
    Uncertain,
}

/// Secure Boot on this machine, and what it means for livepatches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecureBootStatus {
    /// Always 1.
    pub schema: u32,
    /// Whether the machine was booted by EFI firmware.
    pub efi: bool,
    /// Whether Secure Boot is on; absent when the firmware does not say.
    pub secure_boot: Option<bool>,
    /// The kernel's lockdown level: `absent`, `none`, `integrity`, `confidentiality`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub lockdown: Lockdown,
    /// Whether the kernel refuses modules with unknown signatures: `module.sig_enforce`, or lockdown.
    pub signatures_enforced: bool,
    /// Whether the kernel takes any module: `kernel.modules_disabled` is off.
    pub modules_allowed: bool,
    /// The certificates whose keys sign livepatches, as the trust anchor names them.
    pub certificates: Vec<CertificateStatus>,
    /// What the kernel will answer to a livepatch.
    pub prediction: Prediction,
    /// One sentence.
    pub sentence: String,
    /// What the owner should do.
    pub next_step: String,
}

/// A certificate that signs livepatches, and where this machine has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CertificateStatus {
    /// Its subject.
    pub subject: String,
    /// Its subject key identifier, as `/proc/keys` shows it.
    pub key_id: String,
    /// Whether it is in one of the kernel's keyrings.
    pub known_to_kernel: bool,
    /// Whether the owner enrolled it (MOK).
    pub enrolled: bool,
    /// Whether its enrolment was asked for, and waits for the console of the next boot.
    pub requested: bool,
    /// Whether the kernel was told to refuse it.
    pub revoked: bool,
}

/// Judges the machine; `certificates` are those of the trust anchor, none while the machine is not enabled.
pub(crate) fn judge(
    firmware: &Firmware,
    enforcement: Enforcement,
    keys: &KernelKeys,
    certificates: &[Certificate],
) -> SecureBootStatus {
    let certificates: Vec<CertificateStatus> =
        certificates.iter().map(|certificate| certificate_status(firmware, keys, certificate)).collect();
    let (prediction, sentence, next_step) = predict(firmware, enforcement, keys, &certificates);
    SecureBootStatus {
        schema: 1,
        efi: firmware.efi,
        secure_boot: firmware.secure_boot,
        lockdown: enforcement.lockdown,
        signatures_enforced: enforcement.refuses_unknown_keys(),
        modules_allowed: !enforcement.modules_disabled,
        certificates,
        prediction,
        sentence: sentence.to_owned(),
        next_step: next_step.to_owned(),
    }
}

fn certificate_status(
    firmware: &Firmware,
    keys: &KernelKeys,
    certificate: &Certificate,
) -> CertificateStatus {
    let among = |list: &[Vec<u8>]| list.iter().any(|der| der == certificate.to_der());
    let refused = format!("tbs:{}", certificate.signed_part_digest());
    CertificateStatus {
        subject: certificate.subject(),
        key_id: certificate.key_id(),
        known_to_kernel: keys.knows(&certificate.key_id()),
        enrolled: among(&firmware.enrolled),
        requested: among(&firmware.requested),
        revoked: keys.refused.contains(&refused),
    }
}

const ENROLL: &str = "run `livepatch secureboot enroll` and reboot at the machine's console";

/// The answer, the sentence, and the next step.
fn predict(
    firmware: &Firmware,
    enforcement: Enforcement,
    keys: &KernelKeys,
    certificates: &[CertificateStatus],
) -> (Prediction, &'static str, &'static str) {
    use Prediction::{Accepted, AcceptedWithTaint, Refused, Uncertain};
    if enforcement.modules_disabled {
        return (
            Refused,
            "this kernel takes no modules until the next boot (kernel.modules_disabled)",
            "take kernel.modules_disabled out of sysctl.d, or set it later than livepatchd starts, and reboot",
        );
    }
    if certificates.is_empty() {
        return (
            Uncertain,
            "no signing certificate is known yet",
            "enable livepatching first: `livepatch enable TOKEN`",
        );
    }
    let any = |which: fn(&CertificateStatus) -> bool| certificates.iter().any(which);
    if certificates.iter().all(|certificate| certificate.revoked) {
        return (
            Refused,
            "the kernel was told to refuse the signing certificate",
            "ask your operator for a new signing certificate",
        );
    }
    if any(|certificate| certificate.known_to_kernel && !certificate.revoked) {
        return (Accepted, "the kernel knows the key that signs livepatches", "nothing");
    }
    if !enforcement.refuses_unknown_keys() {
        return (
            AcceptedWithTaint,
            "the kernel does not know the key that signs livepatches, and does not insist: taint E will be set",
            "nothing; `livepatch secureboot enroll` would avoid the taint",
        );
    }
    // The kernel shows its keys to root alone; the firmware's list is for everybody.
    if keys.certificates.is_empty() && !any(|certificate| certificate.requested) {
        return if any(|certificate| certificate.enrolled) {
            (
                Accepted,
                "the key that signs livepatches is enrolled in the firmware; the kernel does not show its own list",
                "nothing",
            )
        } else {
            (
                Uncertain,
                "the kernel insists on signatures and does not show its keys; the firmware does not have ours",
                ENROLL,
            )
        };
    }
    if any(|certificate| certificate.enrolled) {
        return (
            Refused,
            "the key is enrolled in the firmware, but the kernel does not take keys from there for modules",
            "reboot once if it was enrolled just now; else boot a kernel that trusts machine owner keys (Linux 5.18 or a \
             distribution's)",
        );
    }
    if any(|certificate| certificate.requested) {
        return (
            Refused,
            "the key waits to be enrolled at the console of the next boot",
            "reboot at the machine's console, choose 'Enroll MOK' and type the password",
        );
    }
    if firmware.efi {
        return (
            Refused,
            "the kernel insists on signatures and does not know the key that signs livepatches",
            ENROLL,
        );
    }
    (
        Refused,
        "the kernel insists on signatures and does not know the key, and without EFI none can be enrolled",
        "boot without module.sig_enforce=1 and lockdown, or a kernel that has the certificate built in",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;
    use livepatch_host::KernelKey;
    use livepatch_module::{KeySize, SigningKey};
    use std::{sync::OnceLock, time::SystemTime};

    fn certificate() -> &'static Certificate {
        static MADE: OnceLock<Certificate> = OnceLock::new();
        MADE.get_or_init(|| {
            let key = SigningKey::generate_sized(KeySize::Rsa2048, "Test", SystemTime::now()).unwrap();
            key.certificate().clone()
        })
    }

    fn enforced() -> Enforcement {
        Enforcement { lockdown: Lockdown::Integrity, signatures: Some(false), modules_disabled: false }
    }

    fn keys(known: bool) -> KernelKeys {
        let debian = KernelKey { subject: "Debian Secure Boot CA".into(), key_id: "6cce".into() };
        let own = KernelKey { subject: "Test".into(), key_id: certificate().key_id() };
        let certificates = if known { vec![debian, own] } else { vec![debian] };
        KernelKeys { certificates, ..KernelKeys::default() }
    }

    fn predict(firmware: &Firmware, enforcement: Enforcement, keys: &KernelKeys) -> (Prediction, String) {
        let status = judge(firmware, enforcement, keys, std::slice::from_ref(certificate()));
        (status.prediction, status.next_step)
    }

    #[test]
    fn the_way_of_an_enrolment() {
        let mut firmware = Firmware { efi: true, secure_boot: Some(true), ..Firmware::default() };
        let (prediction, step) = predict(&firmware, enforced(), &keys(false));
        assert_eq!(prediction, Prediction::Refused);
        assert!(step.contains("secureboot enroll"), "{step}");
        firmware.requested = vec![certificate().to_der().to_vec()];
        let (prediction, step) = predict(&firmware, enforced(), &keys(false));
        assert!(prediction == Prediction::Refused && step.contains("'Enroll MOK'"), "{step}");
        firmware.enrolled = std::mem::take(&mut firmware.requested);
        assert_eq!(predict(&firmware, enforced(), &keys(true)).0, Prediction::Accepted);
        let (prediction, step) = predict(&firmware, enforced(), &keys(false));
        assert!(prediction == Prediction::Refused && step.contains("5.18"), "{step}");
    }

    #[test]
    fn without_enforcement_there_is_a_taint_at_most() {
        let lax = Enforcement { lockdown: Lockdown::None, signatures: Some(false), modules_disabled: false };
        assert_eq!(predict(&Firmware::default(), lax, &keys(false)).0, Prediction::AcceptedWithTaint);
        assert_eq!(predict(&Firmware::default(), lax, &keys(true)).0, Prediction::Accepted);
    }

    #[test]
    fn what_no_enrolment_helps_against() {
        let closed = Enforcement { modules_disabled: true, ..enforced() };
        assert!(predict(&Firmware::default(), closed, &keys(true)).1.contains("modules_disabled"));
        let mut revoked = keys(true);
        revoked.refused.push(format!("tbs:{}", certificate().signed_part_digest()));
        assert!(predict(&Firmware::default(), enforced(), &revoked).1.contains("operator"));
        assert!(predict(&Firmware::default(), enforced(), &keys(false)).1.contains("sig_enforce"));
        let enrolled = Firmware { enrolled: vec![certificate().to_der().to_vec()], ..Firmware::default() };
        assert_eq!(predict(&enrolled, enforced(), &KernelKeys::default()).0, Prediction::Accepted);
        assert_eq!(
            predict(&Firmware::default(), enforced(), &KernelKeys::default()).0,
            Prediction::Uncertain
        );
        let unknown = judge(&Firmware::default(), enforced(), &keys(false), &[]);
        assert_eq!(unknown.prediction, Prediction::Uncertain);
    }
}

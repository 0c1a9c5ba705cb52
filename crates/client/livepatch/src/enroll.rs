//! `livepatch secureboot enroll`: asks the firmware to trust the key that signs livepatches, and explains what to do at the
//! console.

use crate::{arguments::Arguments, exit::Exit, output::print};
use anyhow::Context as _;
use livepatch_agent::{Client, ClientError, Prediction, Question, SecureBootStatus};
use livepatch_host::{EnrolmentError, Host};
use livepatch_module::Certificate;
use std::path::Path;

/// How to ask.
pub(crate) struct Wish<'a> {
    pub(crate) password_stdin: bool,
    pub(crate) again: bool,
    pub(crate) root: &'a Path,
}

pub(crate) fn run(arguments: &Arguments, wish: &Wish<'_>) -> anyhow::Result<Exit> {
    let status: SecureBootStatus = Client::connect(&arguments.socket)?.question(Question::SecureBoot)?;
    let certificates: Vec<String> = Client::connect(&arguments.socket)?.question(Question::Certificates)?;
    if certificates.is_empty() {
        eprintln!("error[not-enabled]: no signing certificate is known: enable livepatching first");
        return Ok(Exit::NotEnabled);
    }
    if status.prediction == Prediction::Accepted {
        print("nothing to do: the kernel knows the key that signs livepatches")?;
        return Ok(Exit::Fine);
    }
    if status.certificates.iter().all(|certificate| certificate.requested) && !wish.again {
        print(&format!("It was asked already. {}", steps(None)))?;
        return Ok(Exit::Fine);
    }
    request(wish, &certificates)
}

fn request(wish: &Wish<'_>, certificates: &[String]) -> anyhow::Result<Exit> {
    let (password, made) = if wish.password_stdin {
        let typed = std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")?;
        (typed.trim().to_owned(), false)
    } else {
        (one_time_password()?, true)
    };
    let parsed: Vec<Certificate> =
        certificates.iter().map(|pem| Certificate::from_pem(pem)).collect::<Result<_, _>>()?;
    let der: Vec<&[u8]> = parsed.iter().map(Certificate::to_der).collect();
    match Host::new(wish.root).request_enrolment(&der, &password) {
        Ok(()) => {
            print(&format!(
                "The firmware was asked to trust the key. {}",
                steps(made.then_some(&*password))
            ))?;
            Ok(Exit::Fine)
        }
        Err(error @ EnrolmentError::Password) => {
            eprintln!("error[malformed-password]: {error}");
            Ok(Exit::Usage)
        }
        Err(EnrolmentError::Write { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Err(ClientError::PermissionDenied.into())
        }
        Err(error) => {
            eprintln!("error[no-efi]: {:#}", anyhow::Error::from(error));
            Ok(Exit::Refused)
        }
    }
}

/// Eight digits: they lie in the same place on nearly every keyboard. The password counts once, for whoever sits at the
/// console.
fn one_time_password() -> anyhow::Result<String> {
    let number = getrandom::u64().context("there is no randomness")?;
    Ok(format!("{:08}", number % 100_000_000))
}

fn steps(password: Option<&str>) -> String {
    let password = password.map_or_else(
        || "the password that was given".to_owned(),
        |password| format!("this password: {password}"),
    );
    format!(
        "Now:\n\
         \u{20} 1. Reboot, and stay at the machine's console (screen, serial console or remote management).\n\
         \u{20} 2. A blue screen, 'Shim UEFI key management', waits ten seconds: press a key.\n\
         \u{20} 3. Choose 'Enroll MOK', then 'Continue', then 'Yes'.\n\
         \u{20} 4. Type {password}\n\
         \u{20} 5. Choose 'Reboot'.\n\
         Then `livepatch secureboot status` says whether the kernel knows the key."
    )
}

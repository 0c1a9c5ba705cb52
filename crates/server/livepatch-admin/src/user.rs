//! `livepatch-admin user`: people who sign in at the dashboard with a password.

use crate::{access, arguments::Format, output, server::Server};
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use livepatch_api::{PasswordRequest, PasswordSet, Role, UserRequest, UserSummary, paths};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The server takes no longer password.
const LONGEST_PASSWORD: u64 = 4096;

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user. Prints the password that the server made, this once, unless you give one.
    Create {
        /// The name: letters, digits and . _ - @; stands in the audit log.
        #[arg(value_name = "NAME")]
        name: String,
        /// viewer, operator, releaser or admin.
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// File with the password on its first line; - for standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Show the users.
    List,
    /// Give a user another password; the sessions end, and a lock. Prints the password that the server made, this once,
    /// unless you give one.
    Password {
        /// The user.
        #[arg(value_name = "NAME")]
        name: String,
        /// File with the password on its first line; - for standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Let a user sign in no more until you unlock; the sessions end, at once.
    Lock {
        /// The user.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Let a user sign in again, whoever or whatever set the lock.
    Unlock {
        /// The user.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Take a user away; the sessions end, at once. What the user did stays in the audit log.
    Remove {
        /// The user.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

pub(crate) fn run(server: &Server, format: Format, command: &UserCommand) -> Result<()> {
    let act = |name: &str, act| access::act_on(paths::ADMIN_USERS, name, act);
    match command {
        UserCommand::Create { name, role, password_file } => {
            let password = chosen(password_file.as_deref())?;
            let request = UserRequest { name: name.clone(), role: *role, password };
            set(format, &server.post(paths::ADMIN_USERS, &request)?)
        }
        UserCommand::Password { name, password_file } => {
            let request = PasswordRequest { password: chosen(password_file.as_deref())? };
            set(format, &server.post(&act(name, "password"), &request)?)
        }
        UserCommand::List => list(format, server.get(paths::ADMIN_USERS)?),
        UserCommand::Lock { name } => list(format, server.post(&act(name, "lock"), &access::NOTHING)?),
        UserCommand::Unlock { name } => list(format, server.post(&act(name, "unlock"), &access::NOTHING)?),
        UserCommand::Remove { name } => list(format, server.post(&act(name, "remove"), &access::NOTHING)?),
    }
}

/// The password that the operator gives; a command line is no place for it, since others on the machine see it.
fn chosen(file: Option<&Path>) -> Result<Option<String>> {
    let Some(path) = file else { return Ok(None) };
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).with_context(|| format!("{} cannot be read", path.display()))?)
    };
    let mut text = String::new();
    let read = source.take(LONGEST_PASSWORD).read_to_string(&mut text);
    read.with_context(|| format!("{} cannot be read as text", path.display()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Some(line.to_owned())),
        _ => bail!("{} has no password on its first line", path.display()),
    }
}

fn set(format: Format, set: &PasswordSet) -> Result<()> {
    if format == Format::Json {
        return output::json(set);
    }
    match &set.password {
        // The password alone, so that it can go into a file.
        Some(made) => {
            output::line(made)?;
            output::note(&format!("the password of {}, shown this once", set.name));
            Ok(())
        }
        None => output::line(&format!("{} signs in with the password that you gave", set.name)),
    }
}

fn list(format: Format, users: Vec<UserSummary>) -> Result<()> {
    if format == Format::Json {
        return output::json(&users);
    }
    let rows = users.into_iter().map(|user| {
        let (never, no) = (|| "never".to_owned(), || "no".to_owned());
        let locked = user.locked_until.map_or_else(no, |until| format!("until {until}"));
        vec![user.name, user.role.to_string(), user.created, user.used.unwrap_or_else(never), locked]
    });
    let header = ["name", "role", "made", "signed in", "locked"];
    output::table(&header, rows.collect(), "There are no users; livepatch-admin user create makes one.")
}

//! Boots a prepared kernel and runs commands in it: `cargo run -p livepatch-vm --example boot -- [--release R]
//! [--module M]... [--file HOST:GUEST]... COMMAND...`. For trying things out by hand.
#![allow(clippy::expect_used)] // a tool for developers

use livepatch_vm::{CachedKernel, GuestBuilder};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut release, mut modules, mut files, mut commands) = (None, vec![], vec![], vec![]);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("an option needs a value");
        match argument.as_str() {
            "--release" => release = Some(value()),
            "--module" => modules.push(value()),
            "--file" => files.push(value()),
            _ => commands.push(argument),
        }
    }
    let mut builder = GuestBuilder::for_kernel(&CachedKernel::find(release.as_deref())?);
    for module in &modules {
        builder = builder.module(module);
    }
    for file in &files {
        let (host, guest) = file.split_once(':').unwrap_or((file, file));
        builder = builder.program(host, guest);
    }
    let guest = builder.network(true).boot()?;
    for command in &commands {
        let output = guest.run(command, Duration::from_secs(60))?;
        print!("$ {command}\n{}{}(status {})\n", output.stdout, output.stderr, output.status);
    }
    if let Some(oops) = guest.oops() {
        println!("oops: {oops:?}");
    }
    Ok(())
}

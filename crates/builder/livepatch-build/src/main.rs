//! `livepatch-build`: the patch author's command.

use anyhow::{Context, Result, bail};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use livepatch_build::cache::Cache;
use livepatch_build::fix::{self, FixRequest};
use livepatch_build::kernel::Kernel;
use livepatch_build::pipeline::{self, Request};
use livepatch_build::report::{Outcome, Report};
use livepatch_build::{explain, narrate, sign};
use livepatch_kernel::KernelRelease;
use livepatch_manifest::{Fix, FixSource};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// From a source fix to a signed livepatch module.
///
/// Exit status: 0 done, 1 failed, 2 wrong usage, 3 the patch cannot be livepatched (the report says why), 4 the patch
/// changes nothing that runs.
#[derive(Parser)]
#[command(name = "livepatch-build", version)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Prepare kernels to build for.
    #[command(subcommand)]
    Kernel(KernelAction),
    /// Take fixes out of source packages.
    #[command(subcommand)]
    Fix(FixAction),
    /// Build a livepatch module from a source patch.
    Build(BuildArguments),
    /// Make module-signing keys.
    #[command(subcommand)]
    Key(KeyAction),
    /// Sign the module in a build folder.
    Sign {
        /// The build folder.
        folder: PathBuf,
        /// PEM file of the private key.
        #[arg(long)]
        key: PathBuf,
        /// PEM file of its certificate.
        #[arg(long)]
        certificate: PathBuf,
    },
    /// Say what the code of a refusal means and what to do instead; without a code, list them all.
    Explain {
        /// The code, as in the report, such as data-changed.
        code: Option<String>,
    },
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page.
    #[command(hide = true)]
    Man,
}

#[derive(Subcommand)]
enum KernelAction {
    /// Fetch a distribution's kernel and prepare it (once; some minutes).
    Add {
        /// As `uname -r` prints it, such as 6.1.0-55-cloud-amd64.
        release: KernelRelease,
    },
    /// List prepared kernels.
    List {
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

#[derive(Subcommand)]
enum FixAction {
    /// Print the difference between two versions of a source package, for some files.
    Extract {
        /// Source package, such as linux-source-6.1.
        #[arg(long)]
        package: String,
        /// Version without the fix.
        #[arg(long)]
        from: String,
        /// Version with the fix.
        #[arg(long)]
        to: String,
        /// Files within the kernel tree.
        #[arg(required = true)]
        files: Vec<String>,
    },
}

#[derive(clap::Args)]
struct BuildArguments {
    /// The kernel to build for; prepare it with `kernel add`.
    #[arg(long)]
    kernel: KernelRelease,
    /// The patch, a unified diff to apply with -p1.
    #[arg(long)]
    patch: PathBuf,
    /// What the patch mends: an id such as a CVE, and a line about it.
    #[arg(long = "fix", value_name = "ID=SUMMARY")]
    fixes: Vec<String>,
    /// Where the fix comes from.
    #[arg(long, value_name = "PACKAGE:FROM:TO")]
    fix_source: Option<String>,
    /// Cumulative version for this kernel.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    livepatch_version: u32,
    /// Folder for module, manifest and report.
    #[arg(long)]
    output: PathBuf,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Subcommand)]
enum KeyAction {
    /// Make key.pem and cert.pem.
    Generate {
        /// Common name in the certificate.
        #[arg(long, default_value = "Livepatch module signing key")]
        common_name: String,
        /// Folder to write to.
        #[arg(long)]
        output: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// The patch cannot be livepatched.
const REFUSED: u8 = 3;
/// The patch changes nothing that runs.
const NO_CHANGE: u8 = 4;

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("livepatch-build: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(action: Action) -> Result<ExitCode> {
    let cache = Cache::from_environment()?;
    match action {
        Action::Kernel(KernelAction::Add { release }) => {
            let kernel = Kernel::add(&cache, &release)?;
            print(&format!("{} {} {}\n", kernel.identity.release, kernel.version, kernel.identity.build_id))?;
        }
        Action::Kernel(KernelAction::List { format }) => list_kernels(&cache, format)?,
        Action::Fix(FixAction::Extract { package, from, to, files }) => {
            print(&fix::extract(&cache, &FixRequest { package, from, to, files })?)?;
        }
        Action::Build(arguments) => return build(&cache, arguments),
        Action::Key(KeyAction::Generate { common_name, output }) => {
            let (key, certificate) = sign::generate(&common_name, &output)?;
            print(&format!("{}\n{}\n", key.display(), certificate.display()))?;
        }
        Action::Sign { folder, key, certificate } => {
            let manifest = sign::sign(&folder, &key, &certificate)?;
            print(&format!("{} {}\n", manifest.file_name(), manifest.module.sha256))?;
        }
        Action::Explain { code } => return explain(code.as_deref()),
        Action::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "livepatch-build", &mut io::stdout());
        }
        Action::Man => clap_mangen::Man::new(Arguments::command()).render(&mut io::stdout())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn list_kernels(cache: &Cache, format: Format) -> Result<()> {
    let kernels = Kernel::list(cache);
    match format {
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&kernels)?)),
        Format::Text if kernels.is_empty() => {
            print("no kernel is prepared; run: livepatch-build kernel add RELEASE\n")
        }
        Format::Text => kernels.iter().try_for_each(|kernel| {
            print(&format!("{}  {}  {}\n", kernel.identity.release, kernel.version, kernel.identity.build_id))
        }),
    }
}

fn build(cache: &Cache, arguments: BuildArguments) -> Result<ExitCode> {
    let source = arguments.fix_source.as_deref().map(parse_source).transpose()?;
    let fixes: Result<Vec<Fix>> = arguments.fixes.iter().map(|fix| parse_fix(fix, source.as_ref())).collect();
    let kernel = Kernel::open(cache, &arguments.kernel)?;
    let request = Request {
        patch: arguments.patch,
        fixes: fixes?,
        version: arguments.livepatch_version,
        output: arguments.output,
    };
    let report = pipeline::build(&kernel, &request)
        .with_context(|| format!("cannot build {} for {}", request.patch.display(), arguments.kernel))?;
    match arguments.format {
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?,
        Format::Text => print(&summary(&report))?,
    }
    Ok(match report.outcome {
        Outcome::Built => ExitCode::SUCCESS,
        Outcome::Refused => ExitCode::from(REFUSED),
        Outcome::NoFunctionalChange => ExitCode::from(NO_CHANGE),
    })
}

fn explain(code: Option<&str>) -> Result<ExitCode> {
    let known = explain::all();
    let Some(code) = code else {
        known.iter().try_for_each(|entry| print(&format!("{:22} {}\n", entry.code, entry.meaning)))?;
        return Ok(ExitCode::SUCCESS);
    };
    let Some(entry) = known.iter().find(|entry| entry.code == code) else {
        bail!("no refusal has the code '{code}'; livepatch-build explain lists them all");
    };
    print(&format!("{}: {}\n\nInstead: {}.\n", entry.code, entry.meaning, entry.advice))?;
    Ok(ExitCode::SUCCESS)
}

fn parse_fix(text: &str, source: Option<&FixSource>) -> Result<Fix> {
    let Some((id, summary)) = text.split_once('=').filter(|(id, _)| !id.is_empty()) else {
        bail!("--fix wants ID=SUMMARY, such as CVE-2026-93146=\"time namespace offsets\"");
    };
    Ok(Fix { id: id.into(), summary: summary.into(), source: source.cloned() })
}

fn parse_source(text: &str) -> Result<FixSource> {
    let parts: Vec<&str> = text.split(':').collect();
    let [package, from, to] = parts.as_slice() else {
        bail!("--fix-source wants PACKAGE:FROM:TO, such as linux-source-6.1:6.1.192-1:6.1.192-2");
    };
    Ok(FixSource { package: (*package).into(), from: (*from).into(), to: (*to).into() })
}

fn summary(report: &Report) -> String {
    let mut text = String::new();
    for unit in &report.units {
        text += &format!("{} ({}): ", unit.source, unit.object);
        text += &format!("changed {}; ", list(&unit.changed));
        text += &format!(
            "new {}; gone {}; carries {}\n",
            list(&unit.added),
            list(&unit.removed),
            list(&unit.data)
        );
        let proof = &unit.proof;
        text += &format!(
            "  base: {} of {} functions are the code that runs, {} of {} references compared\n",
            proof.identical,
            proof.functions,
            proof.fields - proof.unchecked,
            proof.fields
        );
        for (function, difference) in &proof.differs {
            text += &format!("  not replaced, and different: {function}: {difference}\n");
        }
    }
    for refusal in &report.refusals {
        text += &format!("refused [{}]: {}\n  advice: {}\n", refusal.code, refusal.message, refusal.advice);
    }
    match report.outcome {
        Outcome::Built => text += &format!("built {}.ko, not signed yet\n", report.name),
        Outcome::NoFunctionalChange => text += "no functional change: nothing to livepatch\n",
        Outcome::Refused => narrate::say("this patch cannot be livepatched as it is"),
    }
    let timings = &report.timings;
    text += &format!(
        "time: commands {:.1} s, compile {:.1} + {:.1} s ({:.1} s side by side), proof {:.2} s, difference {:.2} s, kbuild {:.1} s; \
         total {:.1} s, {:.2} × (both compilations + kbuild)\n",
        timings.commands,
        timings.compile_original,
        timings.compile_patched,
        timings.compile_wall,
        timings.proof,
        timings.difference,
        timings.kbuild,
        timings.total,
        timings.ratio
    );
    text
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

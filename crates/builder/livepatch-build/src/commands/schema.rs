//! `livepatch-build schema`: the JSON Schemas of everything that is written or printed as JSON.

use super::{extract, key, print, print_json};
use anyhow::{Result, bail};
use livepatch_build::boot::BootReport;
use livepatch_build::diff::DiffReport;
use livepatch_build::explain::Explanation;
use livepatch_build::inspect::Inspection;
use livepatch_build::kernel::Kernel;
use livepatch_build::matrix::Summary;
use livepatch_build::provenance::Statement;
use livepatch_build::report::Report;
use livepatch_build::series::Series;
use livepatch_build::status::Status;
use livepatch_build::verify::Verification;
use livepatch_manifest::Manifest;
use schemars::{Schema, schema_for};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The document; without a name, the names are listed.
    name: Option<String>,
}

/// A document that is written or printed.
struct Document {
    name: &'static str,
    what: &'static str,
    schema: fn() -> Schema,
}

/// `build --format json` for one kernel prints a `report`, for many a `summary`; the others go by their commands.
const DOCUMENTS: [Document; 14] = [
    Document { name: "boot-test", what: "test.json; test --format json", schema: || schema_for!(BootReport) },
    Document {
        name: "candidate",
        what: "extract --cve --format json",
        schema: || schema_for!(extract::One<'_>),
    },
    Document {
        name: "candidates",
        what: "extract --list --format json",
        schema: || schema_for!(extract::List<'_>),
    },
    Document { name: "diff", what: "diff --format json", schema: || schema_for!(DiffReport) },
    Document {
        name: "explanations",
        what: "explain --format json",
        schema: || schema_for!(Vec<Explanation>),
    },
    Document { name: "inspection", what: "inspect --format json", schema: || schema_for!(Inspection) },
    Document { name: "kernels", what: "kernel list --format json", schema: || schema_for!(Vec<Kernel>) },
    Document { name: "key", what: "key generate --format json", schema: || schema_for!(key::KeyFiles) },
    Document {
        name: "manifest",
        what: "manifest.json; sign --format json",
        schema: || schema_for!(Manifest),
    },
    Document { name: "provenance", what: "provenance.json", schema: || schema_for!(Statement) },
    Document { name: "report", what: "report.json; build --format json", schema: || schema_for!(Report) },
    Document { name: "series", what: "series check --format json", schema: || schema_for!(Series) },
    Document {
        name: "summary",
        what: "report.json of many kernels; build --format json for many",
        schema: || schema_for!(Summary),
    },
    Document { name: "verification", what: "verify --format json", schema: || schema_for!(Verification) },
];

pub(super) fn run(arguments: &Arguments) -> Result<Status> {
    let Some(name) = &arguments.name else {
        DOCUMENTS
            .iter()
            .try_for_each(|document| print(&format!("{:14} {}\n", document.name, document.what)))?;
        return Ok(Status::Done);
    };
    let Some(document) = DOCUMENTS.iter().find(|document| document.name == name) else {
        bail!("no document is called '{name}'; livepatch-build schema lists them all");
    };
    print_json(&(document.schema)())?;
    Ok(Status::Done)
}

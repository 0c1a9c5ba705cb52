//! Every operation of the API has a verb: those that the document names are typed, and the server says what it was asked.

use crate::stage::Stage;
use serde_json::Value;
use std::path::PathBuf;

/// A request that the server got, and the words that were typed for it.
struct Reached {
    words: Vec<String>,
    method: String,
    path: String,
}

/// What is typed reaches the server; what it is about need not be there.
fn lines(stage: &Stage) -> Vec<Vec<String>> {
    stage.publish("CVE-2026-1001"); // its files are left behind
    let file = |name: &str| stage.path(name).to_str().unwrap().to_owned();
    let record = stage.write("record.json", "{}");
    let anchor = "ab".repeat(32);
    let text = format!(
        "certificate add {cert}
        token create --tier edge
        token list
        token revoke x
        publish {module} --manifest {manifest} --tier edge --report {record}
        promote x --to edge
        promote --all-from edge --to beta
        livepatch list
        livepatch documents x
        livepatch document x report
        livepatch withdraw x --reason bad
        tier list
        tier create lab
        hook create chat --url http://127.0.0.1:9/
        hook list
        hook remove x
        approval add x --tier edge --reason read
        approval list
        approval take-back x --tier edge
        block add tag lab --reason later
        block list
        block lift x
        key create watcher --role viewer
        key list
        key revoke x
        user create ada --role viewer
        user list
        user password ada
        user lock ada
        user unlock ada
        user remove ada
        dashboard login
        audit list
        rollout begin r x --to edge
        rollout list
        rollout show r
        rollout halt r --reason bad
        upstream add far --url http://127.0.0.1:9 --anchor {anchor}
        upstream list
        upstream remove x
        upstream preview x
        upstream sync x
        bundle export {bundle}
        bundle import {record} --from x
        trust-anchor
        machine list
        machine show x
        machine revoke x
        cve import --source osv {record}
        cve list
        cve show CVE-2026-1001
        cve rate CVE-2026-1001 --priority high --reason bad
        cve refuse CVE-2026-1001 --family debian/bookworm/linux --code c --reason bad
        cve refused
        cve clock
        verdicts publish
        mitigation issue m --cve CVE-2026-1001 --family debian/bookworm/linux --about a --deny-module kettle
        mitigation retire m
        mitigation list
        mitigation list --public
        notice draft CVE-2026-1001
        notice list
        notice list --public
        notice show LSN-0001
        notice edit LSN-0001 --file {record}
        notice review LSN-0001
        notice publish LSN-0001
        notice export LSN-0001
        notice export LSN-0001 --form osv
        subscriber add reader@example.org
        subscriber list
        server status
        server metrics
        server api",
        cert = file("cert.pem"),
        module = file("module.ko"),
        manifest = file("manifest.json"),
        bundle = file("bundle.tar"),
    );
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// The requests in a part of the log.
fn requests(log: &str) -> Vec<(String, String)> {
    let began = log.lines().filter(|line| line.contains("started processing request"));
    let field = |line: &str, name: &str| {
        let rest = line.split_once(&format!("{name}=")).unwrap().1;
        rest.split([' ', '}']).next().unwrap().trim_matches('"').to_owned()
    };
    began.map(|line| (field(line, "method"), field(line, "path"))).collect()
}

fn is_at(path: &str, template: &str) -> bool {
    let (path, template) = (path.split('/'), template.split('/'));
    path.clone().count() == template.clone().count()
        && path.zip(template).all(|(part, place)| place.starts_with('{') || part == place)
}

#[test]
fn every_operation_of_the_api_has_its_verb() {
    let stage = Stage::new(&[]);
    let mut reached: Vec<Reached> = Vec::new();
    for words in lines(&stage) {
        let before = stage.log().len();
        let output = stage.admin(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{words:?}: {said}");
        let found = requests(&stage.log()[before..]);
        assert!(!found.is_empty(), "{words:?} asked nothing of the server: {said}");
        let found = found.into_iter();
        reached.extend(found.map(|(method, path)| Reached { words: words.clone(), method, path }));
    }

    let document = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../docs/schema/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(document).unwrap()).unwrap();
    let mut verbs = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let command = operation["x-command"].as_str();
            let Some(verb) = command.and_then(|command| command.strip_prefix("livepatch-admin ")) else {
                assert!(is_for_others(operation), "{method} {path} has no verb");
                continue;
            };
            verbs += 1;
            let does_it = |one: &Reached| {
                verb.split(' ').all(|word| one.words.iter().any(|typed| typed == word))
                    && one.method.eq_ignore_ascii_case(method)
                    && is_at(&one.path, path)
            };
            assert!(reached.iter().any(does_it), "'livepatch-admin {verb}' does not ask for {method} {path}");
        }
    }
    assert!(verbs > 60, "{verbs} operations have verbs");
}

/// Machines ask for it, or browsers and feed readers, which want no JSON.
fn is_for_others(operation: &Value) -> bool {
    let answers = operation["responses"]["200"]["content"].as_object();
    operation["x-command"] == "livepatchd"
        || (operation["tags"][0] == "everybody"
            && answers.is_some_and(|kinds| !kinds.contains_key("application/json")))
}

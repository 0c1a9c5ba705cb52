//! The last strokes on the document: what is the same for all operations, and what only their addresses tell.

use livepatch_api::{ErrorCode, HookMessage, paths};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Its parts, in the order in which they are read.
#[derive(Serialize)]
struct Document {
    openapi: &'static str,
    info: Value,
    tags: Value,
    paths: Value,
    webhooks: Value,
    components: Value,
}

const ABOUT: &str = "\
What machines, operators and everybody ask of `livepatch-server`. Secrets are bearer secrets; an operation that needs an API \
key names the least role beside it: viewer, operator, releaser or admin. Every answer with a status of 400 or more is an \
`ApiError`. `x-command` names the program that uses an operation.\n\
\n\
Not described here, since they are files: signed TUF metadata below `/repository/metadata` (what `.../origins` has are \
roots of other sites) and modules and signed documents below `/repository/targets`. Not described either, since they are \
for people in browsers and may change: the dashboard below `/dashboard`, and the public pages `/cves`, `/clock`, \
`/not-livepatchable` and `/kernels`.";

const SECRET_OF_A_MACHINE: &str = "The credential that enrolment gave to the machine.";
const SECRET_OF_A_TOKEN: &str = "The secret of an enrolment token: the part between its dots.";
const SECRET_OF_A_KEY: &str =
    "An API key, or the `admin.key` of the data directory. The role is the least that is enough.";

/// The whole document, as text.
pub(super) fn finish(mut api: Value) -> String {
    let mut schemas = take(&mut api, "/components/schemas");
    let mut paths = take(&mut api, "/paths");
    for (path, operations) in paths.as_object_mut().into_iter().flatten() {
        for operation in operations.as_object_mut().into_iter().flat_map(Map::values_mut) {
            name_parameters(path, operation);
            refer_refusals(operation);
            describe_answers(operation);
        }
    }
    let hook = hook(&mut schemas);
    let document = Document {
        openapi: "3.1.0",
        info: json!({
            "title": "Livepatch server",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        }),
        tags: json!([
            {"name": "machines", "description": "For `livepatchd`."},
            {"name": "operators", "description": "For the holders of API keys: `livepatch-admin`, and your own programs."},
            {"name": "everybody", "description": "Security notices and what belongs to them, open to everybody."},
            {"name": "watchers", "description": "For what watches the server."},
        ]),
        paths: tidied(paths),
        webhooks: tidied(hook),
        components: tidied(json!({
            "schemas": schemas,
            "responses": refusals(),
            "securitySchemes": {
                "api-key": {"type": "http", "scheme": "bearer", "description": SECRET_OF_A_KEY},
                "enrolment-token": {"type": "http", "scheme": "bearer", "description": SECRET_OF_A_TOKEN},
                "machine-credential": {"type": "http", "scheme": "bearer", "description": SECRET_OF_A_MACHINE},
            },
        })),
    };
    // Of text and numbers alone: this does not fail.
    serde_json::to_string_pretty(&document).map(|text| text + "\n").unwrap_or_default()
}

fn take(api: &mut Value, pointer: &str) -> Value {
    api.pointer_mut(pointer).map(Value::take).unwrap_or_else(|| json!({}))
}

/// The names of the route's places, in their order.
fn name_parameters(path: &str, operation: &mut Value) {
    let mut names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten().filter(|one| one["in"] == "path") {
        if let Some(name) = names.next() {
            parameter["name"] = name.into();
            parameter["description"] = place(path, name).into();
        }
    }
}

/// What stands in a place of an address.
fn place(path: &str, name: &str) -> String {
    match name {
        "cve" => "Such as CVE-2026-1234.".to_owned(),
        "number" => "`LSN-0123`, or `LSN-0123-1` for a revision.".to_owned(),
        "form" => "`osv`, `csaf` or `openvex`.".to_owned(),
        "digest" => "SHA-256 of the document, in hex.".to_owned(),
        "version" => "Version of the timestamp metadata that the machine has.".to_owned(),
        "release" => "The rollout's name.".to_owned(),
        "token" => "From the link in a mail.".to_owned(),
        name => {
            let list = path.split("/{").next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
            format!("The {name}, as the list of {list} has it.")
        }
    }
}

/// What a refusal looks like stands once for each status.
fn refer_refusals(operation: &mut Value) {
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    for (status, response) in responses.into_iter().flatten() {
        if status.as_str() >= "400" {
            *response = json!({"$ref": format!("#/components/responses/{status}")});
        }
    }
}

/// The document demands a description.
fn describe_answers(operation: &mut Value) {
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    for response in responses.into_iter().flat_map(Map::values_mut) {
        if response["description"] == "" {
            response["description"] = "Done.".into();
        }
    }
}

fn refusals() -> Value {
    let mut statuses: Vec<u16> = ErrorCode::ALL.map(ErrorCode::status).to_vec();
    statuses.sort_unstable();
    statuses.dedup();
    statuses.into_iter().map(|status| (status.to_string(), refusal(status))).collect::<Map<_, _>>().into()
}

fn refusal(status: u16) -> Value {
    let codes = ErrorCode::ALL.into_iter().filter(|code| code.status() == status);
    let words = codes.filter_map(|code| Some(format!("`{}`", serde_json::to_value(code).ok()?.as_str()?)));
    let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/ApiError"}}});
    let mut refusal =
        json!({"description": format!("{}.", words.collect::<Vec<_>>().join(" or ")), "content": content});
    let header = |about: &str| json!({"description": about, "required": true, "schema": {"type": "string"}});
    match status {
        401 => {
            refusal["headers"] = json!({"WWW-Authenticate": header("Which secrets are taken (RFC 9110).")})
        }
        429 | 503 => {
            refusal["headers"] = json!({"Retry-After": header("After how many seconds to ask again.")})
        }
        _ => {}
    }
    refusal
}

/// What a web-hook gets.
fn hook(schemas: &mut Value) -> Value {
    let mut generator = super::generator();
    let schema = generator.subschema_for::<HookMessage>();
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.extend(generator.take_definitions(true));
    }
    let about = format!(
        "The server tells a hook (`{}`) what happened. The header `Livepatch-Signature: t=SECONDS,v1=HEX` carries the time \
         of sending and HMAC-SHA256, with the hook's secret as key, over `SECONDS.` and the body.",
        paths::ADMIN_HOOKS
    );
    let content = json!({"application/json": {"schema": schema}});
    let taken = json!({"2XX": {"description": "Taken. After any other answer it is sent again later."}});
    json!({"happened": {"post": {
        "operationId": "happened",
        "summary": "Something happened that the hook wants to be told of",
        "description": about,
        "requestBody": {"required": true, "content": content},
        "responses": taken,
    }}})
}

/// In one order whatever the build, and without the links of Rust's documentation in the texts.
fn tidied(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            fields.into_iter().map(|(name, value)| (name, tidied(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.into_iter().map(tidied).collect(),
        Value::String(text) => text.replace("[`", "`").replace("`]", "`").replace("`crate::", "`").into(),
        other => other,
    }
}

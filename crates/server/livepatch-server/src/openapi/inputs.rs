//! What the document says of the things that handlers take.

use super::operation::refusals;
use crate::{
    refusal::Refusal,
    routes::{
        Admin, Archive, Bearer, Document, EnrolmentSecret, MachineSecret, ModuleBody, Operator, Parameters,
        PlainText, Releaser, Segment, Viewer,
    },
};
use aide::{
    OperationInput, OperationOutput,
    generate::GenContext,
    openapi::{
        MediaType, Operation, Parameter, ParameterData, ParameterSchemaOrContent, PathStyle, RequestBody,
        Response, SchemaObject, StatusCode,
    },
    operation::{ParamLocation, add_parameters, parameters_from_schema, set_body},
};
use livepatch_api::{ApiError, ErrorCode, PublishHeader, Role};
use schemars::{JsonSchema, Schema, json_schema};

type Responses = Vec<(Option<StatusCode>, Response)>;

/// A bearer secret of this kind, and for an API key the least role.
fn secured(operation: &mut Operation, scheme: &str, roles: &[&str]) {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    operation.security.push([(scheme.to_owned(), roles)].into_iter().collect());
}

macro_rules! role {
    ($name:ident, $role:expr) => {
        impl OperationInput for $name {
            fn operation_input(_: &mut GenContext, operation: &mut Operation) {
                secured(operation, "api-key", &[$role.as_str()]);
            }

            fn inferred_early_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
                refusals(&[ErrorCode::Unauthorized, ErrorCode::Forbidden])
            }
        }
    };
}

role!(Viewer, Role::Viewer);
role!(Operator, Role::Operator);
role!(Releaser, Role::Releaser);
role!(Admin, Role::Admin);

/// Stands beside a role, which says more.
impl OperationInput for Bearer {}

impl OperationInput for EnrolmentSecret {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        secured(operation, "enrolment-token", &[]);
    }

    fn inferred_early_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
        refusals(&[ErrorCode::UnknownToken, ErrorCode::TokenExpired])
    }
}

impl OperationInput for MachineSecret {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        secured(operation, "machine-credential", &[]);
    }

    fn inferred_early_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
        refusals(&[ErrorCode::Unauthorized])
    }
}

impl<T: JsonSchema> OperationInput for Document<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let schema = context.schema.subschema_for::<T>();
        body(context, operation, "application/json", schema, "");
    }

    fn inferred_early_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
        refusals(&[ErrorCode::TooLarge, ErrorCode::Invalid])
    }
}

impl OperationInput for ModuleBody {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        // Named in the description, and of use to whoever writes a client.
        let _ = context.schema.subschema_for::<PublishHeader>();
        let about = "A `PublishHeader` as one line of JSON, a line end, and the signed module's bytes.";
        let schema = json_schema!({"type": "string", "contentMediaType": "application/octet-stream"});
        body(context, operation, "application/octet-stream", schema, about);
    }

    fn inferred_early_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
        refusals(&[ErrorCode::TooLarge, ErrorCode::Invalid])
    }
}

impl OperationInput for Archive {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let schema = json_schema!({"type": "string", "contentMediaType": "application/x-tar"});
        let about = "A bundle, as `/v1/admin/bundle` of the upstream gave it.";
        body(context, operation, "application/x-tar", schema, about);
    }

    fn inferred_early_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
        refusals(&[ErrorCode::TooLarge, ErrorCode::Invalid])
    }
}

impl OperationInput for PlainText {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        body(
            context,
            operation,
            "text/plain",
            json_schema!({"type": "string"}),
            "Text in UTF-8, without zero bytes.",
        );
    }

    fn inferred_early_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
        refusals(&[ErrorCode::TooLarge, ErrorCode::Invalid])
    }
}

fn body(context: &mut GenContext, operation: &mut Operation, kind: &str, schema: Schema, about: &str) {
    let media = MediaType {
        schema: Some(SchemaObject { json_schema: schema, external_docs: None, example: None }),
        ..MediaType::default()
    };
    let body = RequestBody {
        description: (!about.is_empty()).then(|| about.to_owned()),
        content: [(kind.to_owned(), media)].into_iter().collect(),
        required: true,
        ..RequestBody::default()
    };
    set_body(context, operation, body);
}

/// The names are those of the route, which is not known here: see `finish.rs`.
impl<T: JsonSchema> OperationInput for Segment<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let schema = T::json_schema(&mut context.schema);
        let several = schema.get("prefixItems").and_then(|items| items.as_array()).cloned();
        let schemas = match several {
            Some(items) => items.into_iter().filter_map(|item| Schema::try_from(item).ok()).collect(),
            None => vec![schema],
        };
        let parameters = schemas.into_iter().enumerate().map(|(at, schema)| Parameter::Path {
            parameter_data: parameter(at.to_string(), schema),
            style: PathStyle::Simple,
        });
        add_parameters(context, operation, parameters);
    }

    fn inferred_early_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
        refusals(&[ErrorCode::NotFound])
    }
}

fn parameter(name: String, schema: Schema) -> ParameterData {
    ParameterData {
        name,
        description: None,
        required: true,
        deprecated: None,
        format: ParameterSchemaOrContent::Schema(SchemaObject {
            json_schema: schema,
            external_docs: None,
            example: None,
        }),
        example: None,
        examples: Default::default(),
        explode: None,
        extensions: Default::default(),
    }
}

impl<T: JsonSchema> OperationInput for Parameters<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let schema = T::json_schema(&mut context.schema);
        let parameters = parameters_from_schema(context, schema, ParamLocation::Query);
        add_parameters(context, operation, parameters);
    }

    fn inferred_early_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
        refusals(&[ErrorCode::Invalid])
    }
}

/// What may go wrong anywhere.
impl OperationOutput for Refusal {
    type Inner = ApiError;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Responses {
        let _ = context.schema.subschema_for::<ApiError>();
        refusals(&[ErrorCode::TooMany, ErrorCode::Internal, ErrorCode::Unavailable])
    }
}

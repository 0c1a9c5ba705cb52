//! Answers that say themselves what they are, to the client and in the document.

use aide::{
    OperationOutput,
    generate::GenContext,
    openapi::{MediaType, Operation, Response as Described, SchemaObject, StatusCode},
};
use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode as Status, header},
    response::{IntoResponse, Response},
};
use livepatch_api::News;
use schemars::{JsonSchema, Schema, json_schema};
use serde::Serialize;
use std::marker::PhantomData;

type Responses = Vec<(Option<StatusCode>, Described)>;

/// 201 with a document: something new is there.
pub(crate) struct Created<T>(pub(crate) T);

/// 201 with a document when it is new; 200 with the same when it was there already.
pub(crate) struct Kept<T> {
    pub(crate) document: T,
    pub(crate) is_new: bool,
}

/// A document; 204 when there is none.
pub(crate) struct Perhaps<T>(pub(crate) Option<T>);

/// A JSON document whose bytes are passed on as they are: digests are of them.
pub(crate) struct Verbatim<T> {
    bytes: Vec<u8>,
    form: PhantomData<T>,
}

/// Something other than JSON.
pub(crate) struct File<K> {
    response: Response,
    kind: PhantomData<K>,
}

/// A kind of file.
pub(crate) trait Kind {
    const TYPE: &'static str;
    const ABOUT: &'static str;
}

macro_rules! kind {
    ($name:ident, $type:literal, $about:literal) => {
        #[doc = $about]
        pub(crate) struct $name;

        impl Kind for $name {
            const TYPE: &'static str = $type;
            const ABOUT: &'static str = $about;
        }
    };
}

kind!(Html, "text/html; charset=utf-8", "A page.");
kind!(Rss, "application/rss+xml", "RSS 2.0.");
kind!(Atom, "application/atom+xml", "Atom (RFC 4287).");
kind!(Calendar, "text/calendar; charset=utf-8", "iCalendar (RFC 5545).");
kind!(Bundle, "application/x-tar", "A bundle: a tar archive.");
kind!(Text, "text/plain; charset=utf-8", "Text.");
kind!(Measures, "text/plain; version=0.0.4", "Prometheus's text form.");

impl<T> Verbatim<T> {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), form: PhantomData }
    }
}

impl<K: Kind> File<K> {
    pub(crate) fn new(content: impl IntoResponse) -> Self {
        Self { response: content.into_response(), kind: PhantomData }
            .with([(header::CONTENT_TYPE, HeaderValue::from_static(K::TYPE))])
    }

    /// With these headers, in the place of others of their names.
    pub(crate) fn with(mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        for (name, value) in headers {
            self.response.headers_mut().insert(name, value);
        }
        self
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (Status::CREATED, Json(self.0)).into_response()
    }
}

impl<T: Serialize> IntoResponse for Kept<T> {
    fn into_response(self) -> Response {
        let status = if self.is_new { Status::CREATED } else { Status::OK };
        (status, Json(self.document)).into_response()
    }
}

impl<T: Serialize> IntoResponse for Perhaps<T> {
    fn into_response(self) -> Response {
        self.0.map_or_else(|| Status::NO_CONTENT.into_response(), |document| Json(document).into_response())
    }
}

impl<T> IntoResponse for Verbatim<T> {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], self.bytes).into_response()
    }
}

impl<K> IntoResponse for File<K> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl<T: JsonSchema> OperationOutput for Created<T> {
    type Inner = T;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Responses {
        vec![document::<T>(context, 201)]
    }
}

impl<T: JsonSchema> OperationOutput for Kept<T> {
    type Inner = T;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Responses {
        vec![document::<T>(context, 200), document::<T>(context, 201)]
    }
}

impl OperationOutput for Perhaps<News> {
    type Inner = News;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Responses {
        let none = Described {
            description: "Nothing new for an hour: ask again.".to_owned(),
            ..Described::default()
        };
        vec![document::<News>(context, 200), (Some(StatusCode::Code(204)), none)]
    }
}

impl<T: JsonSchema> OperationOutput for Verbatim<T> {
    type Inner = T;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Responses {
        vec![document::<T>(context, 200)]
    }
}

impl<K: Kind> OperationOutput for File<K> {
    type Inner = String;

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Responses {
        // Parameters of the type are no part of its name here.
        let name = K::TYPE.split(';').next().unwrap_or_default();
        vec![answer(200, K::ABOUT, name, json_schema!({"type": "string"}))]
    }
}

fn document<T: JsonSchema>(context: &mut GenContext, status: u16) -> (Option<StatusCode>, Described) {
    let schema = context.schema.subschema_for::<T>();
    let about = context.resolve_schema(&schema).get("description").and_then(|about| about.as_str());
    let about = about.unwrap_or_default().to_owned();
    answer(status, &about, "application/json", schema)
}

fn answer(status: u16, about: &str, kind: &str, schema: Schema) -> (Option<StatusCode>, Described) {
    let media = MediaType {
        schema: Some(SchemaObject { json_schema: schema, external_docs: None, example: None }),
        ..MediaType::default()
    };
    let described = Described {
        description: about.to_owned(),
        content: [(kind.to_owned(), media)].into_iter().collect(),
        ..Described::default()
    };
    (Some(StatusCode::Code(status)), described)
}

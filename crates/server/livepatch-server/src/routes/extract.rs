//! What requests carry: a bearer secret, parts of the address, and a body. What the API document says of each stands in
//! `openapi/inputs.rs`.

use crate::{clock, refusal::Refusal, secret::Secret, site::Site};
use axum::{
    Json,
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{header, request::Parts},
};
use livepatch_api::{ErrorCode, Role};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The secret of `Authorization: Bearer SECRET` (RFC 6750, 2.1).
pub(crate) struct Bearer(pub(crate) Secret);

/// A bearer secret that is looked for among those of enrolment tokens.
pub(crate) struct EnrolmentSecret(pub(crate) Secret);

/// A bearer secret that is looked for among those of machines.
pub(crate) struct MachineSecret(pub(crate) Secret);

/// Who asks: the holder of an API key, or of `admin.key`, which may do everything and needs no database.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// As the audit log names it.
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// The name of whoever holds `admin.key`.
pub(crate) const MASTER: &str = "admin.key";

/// Somebody whose role is at least that of the type's name. Stands before the body among a handler's arguments, so that
/// nothing of a stranger's body is read.
macro_rules! role {
    ($name:ident, $role:expr) => {
        pub(crate) struct $name(#[allow(dead_code)] pub(crate) Actor); // some handlers only ask for the role

        impl FromRequestParts<Arc<Site>> for $name {
            type Rejection = Refusal;

            async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Refusal> {
                Ok(Self(actor(parts, site, $role).await?))
            }
        }
    };
}

role!(Viewer, Role::Viewer);
role!(Operator, Role::Operator);
role!(Releaser, Role::Releaser);
role!(Admin, Role::Admin);

/// Whoever shows the bearer secret, if that is enough for the role.
async fn actor(parts: &mut Parts, site: &Arc<Site>, needed: Role) -> Result<Actor, Refusal> {
    let Bearer(key) = Bearer::from_request_parts(parts, site).await?;
    if key.matches(&site.admin) {
        return Ok(Actor { name: MASTER.to_owned(), role: Role::Admin });
    }
    let known = site.database.store().await?.api_key(&key.digest(), clock::seconds()).await?;
    let known = known.filter(|known| key.matches(&known.secret)).ok_or_else(|| {
        let message = "this is no key that the server knows: give an API key that holds, or admin.key of its data directory";
        Refusal::new(ErrorCode::Unauthorized, message)
    })?;
    let actor = Actor { name: known.name, role: known.role };
    actor.must_be(needed)?;
    Ok(actor)
}

impl Actor {
    /// Whether it holds `admin.key`.
    pub(crate) fn is_master(&self) -> bool {
        self.name == MASTER
    }

    /// Whether the role is enough.
    pub(crate) fn must_be(&self, needed: Role) -> Result<(), Refusal> {
        if self.role >= needed {
            return Ok(());
        }
        let Self { name, role } = self;
        let message = format!("{name} is a {role}, and this needs a {needed}; an admin can make another key");
        Err(Refusal::new(ErrorCode::Forbidden, message))
    }
}

/// A JSON body; what is wrong with it is told as every other refusal is.
pub(crate) struct Document<T>(pub(crate) T);

/// The body of a publication: a [`livepatch_api::PublishHeader`] as a line of JSON, then the module.
pub(crate) struct ModuleBody(pub(crate) Bytes);

/// A tar archive as a body, as it comes in.
pub(crate) struct Archive(pub(crate) Body);

/// Text as a body, in UTF-8 and without zero bytes: the database holds none.
pub(crate) struct PlainText(pub(crate) String);

/// The parts of the address that differ from request to request, in the order of the route.
pub(crate) struct Segment<T>(pub(crate) T);

/// The parameters behind the question mark.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let secret = header.and_then(|value| {
            let (scheme, secret) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
        });
        match secret {
            Some(secret) if !secret.is_empty() => Ok(Self(Secret::received(secret))),
            _ => Err(Refusal::new(
                ErrorCode::Unauthorized,
                "this address needs 'Authorization: Bearer SECRET'",
            )),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for EnrolmentSecret {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        Bearer::from_request_parts(parts, state).await.map(|Bearer(secret)| Self(secret))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MachineSecret {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        Bearer::from_request_parts(parts, state).await.map(|Bearer(secret)| Self(secret))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segment<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Refusal::new(ErrorCode::NotFound, rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Refusal::invalid(rejection.body_text())),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for ModuleBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        Ok(Self(Bytes::from_request(request, state).await?))
    }
}

impl<S: Send + Sync> FromRequest<S> for PlainText {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let body = Bytes::from_request(request, state).await?;
        let text = std::str::from_utf8(&body).ok().filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| Refusal::invalid("the body is no UTF-8 text"))?;
        Ok(Self(text.to_owned()))
    }
}

impl<S: Send + Sync> FromRequest<S> for Archive {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        Ok(Self(request.into_body()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Document<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let Json(document) = Json::from_request(request, state).await?;
        Ok(Self(document))
    }
}

/// Text that a machine or an operator may send, of bounded length and without control characters.
pub(crate) fn text(what: &str, value: &str, longest: usize) -> Result<(), Refusal> {
    if value.len() > longest || value.chars().any(char::is_control) {
        return Err(Refusal::invalid(format!(
            "{what} must be at most {longest} bytes, without control characters"
        )));
    }
    Ok(())
}

//! Users with passwords.

use super::extract::{Actor, Admin, Document, Segment, text};
use crate::{clock, openapi::Created, people, refusal::Refusal, secret::Secret, site::Site};
use axum::{Json, extract::State};
use livepatch_api::{ErrorCode, PasswordRequest, PasswordSet, UserRequest, UserSummary};
use std::sync::Arc;

/// Makes a user.
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Document(request): Document<UserRequest>,
) -> Result<Created<PasswordSet>, Refusal> {
    Ok(Created(make_user(&site, &actor, request).await?))
}

/// Makes a user for somebody whose role was looked at.
pub(super) async fn make_user(
    site: &Site,
    actor: &Actor,
    request: UserRequest,
) -> Result<PasswordSet, Refusal> {
    let UserRequest { name, role, password } = request;
    check_name(&name)?;
    let (hash, made) = chosen_or_made(site, password).await?;
    let (store, now) = (site.database.store().await?, clock::seconds());
    if !store.add_user(&name, &hash, role, now).await? {
        return Err(Refusal::conflict(format!("there is a user named {name} already")));
    }
    store.record_act(&actor.name, "user-create", &name, role.as_str(), now).await?;
    Ok(PasswordSet { name, password: made })
}

/// It stands in addresses and in the audit log.
fn check_name(name: &str) -> Result<(), Refusal> {
    text("name", name, 64)?;
    let sound = |c: char| c.is_alphanumeric() || "._-@".contains(c);
    // A part of an address that is all dots means another folder.
    if name.trim_matches('.').is_empty() || !name.chars().all(sound) {
        return Err(Refusal::invalid("a user's name has letters, digits and . _ - @"));
    }
    Ok(())
}

/// The hash of the password, and the password where the server makes it.
async fn chosen_or_made(site: &Site, password: Option<String>) -> Result<(String, Option<String>), Refusal> {
    match password {
        Some(chosen) => {
            people::check(&chosen)?;
            Ok((site.passwords.hash(chosen).await?, None))
        }
        None => {
            let made = Secret::generate()?.reveal().to_owned();
            Ok((site.passwords.hash(made.clone()).await?, Some(made)))
        }
    }
}

/// Every user, by name.
pub(crate) async fn list(State(site): State<Arc<Site>>, _: Admin) -> Result<Json<Vec<UserSummary>>, Refusal> {
    Ok(Json(all_users(&site).await?))
}

pub(super) async fn all_users(site: &Site) -> Result<Vec<UserSummary>, Refusal> {
    Ok(site.database.store().await?.users(clock::seconds()).await?)
}

pub(crate) async fn set_password(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Segment(name): Segment<String>,
    Document(request): Document<PasswordRequest>,
) -> Result<Json<PasswordSet>, Refusal> {
    let password = change_password(&site, &actor, &name, request.password).await?;
    Ok(Json(PasswordSet { name, password }))
}

/// Another password for a user, by somebody whose role was looked at; the password, where the server makes it.
pub(super) async fn change_password(
    site: &Site,
    actor: &Actor,
    name: &str,
    password: Option<String>,
) -> Result<Option<String>, Refusal> {
    let (hash, made) = chosen_or_made(site, password).await?;
    let store = site.database.store().await?;
    known(store.set_password(name, &hash).await?)?;
    store.record_act(&actor.name, "user-password", name, "", clock::seconds()).await?;
    Ok(made)
}

/// No sign-in until it is lifted.
pub(crate) async fn lock(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Segment(name): Segment<String>,
) -> Result<Json<Vec<UserSummary>>, Refusal> {
    let store = site.database.store().await?;
    known(store.lock_user(&name).await?)?;
    store.record_act(&actor.name, "user-lock", &name, "", clock::seconds()).await?;
    Ok(Json(all_users(&site).await?))
}

/// Lifts a lock, whoever or whatever set it.
pub(crate) async fn unlock(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Segment(name): Segment<String>,
) -> Result<Json<Vec<UserSummary>>, Refusal> {
    let store = site.database.store().await?;
    known(store.unlock_user(&name).await?)?;
    store.record_act(&actor.name, "user-unlock", &name, "", clock::seconds()).await?;
    Ok(Json(all_users(&site).await?))
}

pub(crate) async fn remove(
    State(site): State<Arc<Site>>,
    Admin(actor): Admin,
    Segment(name): Segment<String>,
) -> Result<Json<Vec<UserSummary>>, Refusal> {
    remove_user(&site, &actor, &name).await?;
    Ok(Json(all_users(&site).await?))
}

/// Takes a user away, for somebody whose role was looked at.
pub(super) async fn remove_user(site: &Site, actor: &Actor, name: &str) -> Result<(), Refusal> {
    let store = site.database.store().await?;
    known(store.remove_user(name).await?)?;
    Ok(store.record_act(&actor.name, "user-remove", name, "", clock::seconds()).await?)
}

fn known(found: bool) -> Result<(), Refusal> {
    let message = "there is no user of that name; livepatch-admin user list shows those that there are";
    found.then_some(()).ok_or_else(|| Refusal::new(ErrorCode::NotFound, message))
}

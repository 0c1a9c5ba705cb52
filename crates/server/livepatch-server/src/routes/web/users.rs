//! Users with passwords.

use super::{
    WebRefusal, export, redirect,
    session::{Person, Posted},
};
use crate::{clock, people, refusal::Refusal, routes::extract::text, site::Site};
use axum::{
    extract::{Path, State},
    response::{Html, Response},
};
use livepatch_api::{ErrorCode, Role, UnknownRole, UserSummary};
use livepatch_dashboard::{self as dashboard, Done, Question, paths};
use std::sync::Arc;

async fn all(site: &Site, person: &Person) -> Result<Vec<UserSummary>, WebRefusal> {
    person.must_be(Role::Admin)?;
    let gathered = async { Ok::<_, Refusal>(site.database.store().await?.users(clock::seconds()).await?) };
    gathered.await.map_err(|refusal| person.refuse(refusal))
}

pub(super) async fn list(State(site): State<Arc<Site>>, person: Person) -> Result<Html<String>, WebRefusal> {
    let users = all(&site, &person).await?;
    Ok(Html(dashboard::users(&person.frame(), &users)))
}

pub(super) async fn csv(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let users = all(&site, &person).await?;
    Ok(export::csv(&dashboard::user_table(&users, clock::seconds(), false)))
}

pub(super) async fn json(State(site): State<Arc<Site>>, person: Person) -> Result<Response, WebRefusal> {
    let users = all(&site, &person).await?;
    Ok(export::json(&dashboard::user_table(&users, clock::seconds(), false)))
}

pub(super) async fn create(State(site): State<Arc<Site>>, posted: Posted) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Admin)?;
    let made = async {
        let name = posted.field("name").trim();
        check_name(name)?;
        let role: Role =
            posted.field("role").parse().map_err(|error: UnknownRole| Refusal::invalid(error.to_string()))?;
        people::check(posted.field("password"))?;
        let hash = site.passwords.hash(posted.field("password").to_owned()).await?;
        let (store, now) = (site.database.store().await?, clock::seconds());
        if !store.add_user(name, &hash, role, now).await? {
            return Err(Refusal::conflict(format!("there is a user named {name} already")));
        }
        Ok::<_, Refusal>(store.record_act(&person.actor.name, "user-create", name, role.as_str(), now).await?)
    };
    made.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::USERS, Done::UserMade.as_str())))
}

/// It stands in addresses and in the audit log.
fn check_name(name: &str) -> Result<(), Refusal> {
    text("name", name, 64)?;
    let sound = |c: char| c.is_alphanumeric() || "._-@".contains(c);
    if name.is_empty() || !name.chars().all(sound) {
        return Err(Refusal::invalid("a user's name has letters, digits and . _ - @"));
    }
    Ok(())
}

/// The page that asks for another password.
pub(super) async fn ask_password(
    person: Person,
    Path(name): Path<String>,
) -> Result<Html<String>, WebRefusal> {
    person.must_be(Role::Admin)?;
    Ok(Html(dashboard::set_password(&person.frame(), &name)))
}

pub(super) async fn set_password(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Admin)?;
    let set = async {
        people::check(posted.field("password"))?;
        let hash = site.passwords.hash(posted.field("password").to_owned()).await?;
        let store = site.database.store().await?;
        known(store.set_password(&name, &hash).await?)?;
        let actor = &person.actor.name;
        Ok::<_, Refusal>(store.record_act(actor, "user-password", &name, "", clock::seconds()).await?)
    };
    set.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::USERS, Done::PasswordSet.as_str())))
}

pub(super) async fn ask_remove(person: Person, Path(name): Path<String>) -> Result<Html<String>, WebRefusal> {
    person.must_be(Role::Admin)?;
    let question = Question {
        title: format!("Remove {name}?"),
        meaning: "The user can sign in no more, and the sessions are over, at once. What the user did stays in the audit log.",
        facts: vec![],
        action: format!("{}/remove", paths::one(paths::USERS, &name)),
        fields: vec![],
        reason: false,
        button: "Remove the user",
        back: paths::USERS.to_owned(),
        grave: true,
    };
    Ok(Html(dashboard::confirm(&person.frame(), &question)))
}

pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, WebRefusal> {
    let person = &posted.person;
    person.must_be(Role::Admin)?;
    let removed = async {
        let store = site.database.store().await?;
        known(store.remove_user(&name).await?)?;
        let actor = &person.actor.name;
        Ok::<_, Refusal>(store.record_act(actor, "user-remove", &name, "", clock::seconds()).await?)
    };
    removed.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::USERS, Done::UserRemoved.as_str())))
}

fn known(found: bool) -> Result<(), Refusal> {
    let missing = || Refusal::new(ErrorCode::NotFound, "there is no user of that name");
    found.then_some(()).ok_or_else(missing)
}

//! Users with passwords.

use super::{
    WebRefusal, export, redirect,
    session::{Person, Posted},
};
use crate::{clock, refusal::Refusal, routes::users, site::Site};
use axum::{
    extract::{Path, State},
    response::{Html, Response},
};
use livepatch_api::{Role, UnknownRole, UserRequest, UserSummary};
use livepatch_dashboard::{self as dashboard, Done, Question, paths};
use std::sync::Arc;

async fn all(site: &Site, person: &Person) -> Result<Vec<UserSummary>, WebRefusal> {
    person.must_be(Role::Admin)?;
    users::all_users(site).await.map_err(|refusal| person.refuse(refusal))
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
        let role: Role =
            posted.field("role").parse().map_err(|error: UnknownRole| Refusal::invalid(error.to_string()))?;
        let name = posted.field("name").trim().to_owned();
        let password = Some(posted.field("password").to_owned());
        users::make_user(&site, &person.actor, UserRequest { name, role, password }).await
    };
    made.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::USERS, Done::UserMade.as_str())))
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
    let password = Some(posted.field("password").to_owned());
    let set = users::change_password(&site, &person.actor, &name, password);
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
    let removed = users::remove_user(&site, &person.actor, &name);
    removed.await.map_err(|refusal| person.refuse(refusal))?;
    Ok(redirect(&format!("{}?done={}", paths::USERS, Done::UserRemoved.as_str())))
}

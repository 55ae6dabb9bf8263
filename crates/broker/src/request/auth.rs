//! Users and access rules: 3001 to 3010. Who may ask is decided at the door.

use serde::de::DeserializeOwned;
use skua_acl::{ACCESS_KEY, PolicyType, Resource, User};
use skua_protocol::body::{AclInfo, UserInfo};
use skua_protocol::request::{
    AuthCreateAcl, AuthCreateUser, AuthDeleteAcl, AuthDeleteUser, AuthGetAcl, AuthGetUser,
    AuthListAcl, AuthListUser, AuthUpdateAcl, AuthUpdateUser,
};
use skua_protocol::{Command, json};

use super::Answer;
use super::error::RequestError;
use crate::users::Users;

fn body<T: DeserializeOwned + Default>(request: &Command) -> Result<T, RequestError> {
    match request.body.is_empty() {
        true => Ok(T::default()),
        false => Ok(json::from_slice(&request.body)?),
    }
}

fn named(name: Option<&str>) -> Result<&str, RequestError> {
    name.filter(|name| !name.is_empty()).ok_or(RequestError::BlankUser)
}

pub fn create_user(users: &Users, request: &Command) -> Answer {
    let header: AuthCreateUser = request.header()?;
    let name = named(header.username.as_deref())?;
    let info: UserInfo = body(request)?;
    users.change(|book| book.create_user(name, &info, request.fields.get(ACCESS_KEY)))?;
    tracing::info!(user = name, "user created by request");
    Ok(Command::success())
}

pub fn update_user(users: &Users, request: &Command) -> Answer {
    let header: AuthUpdateUser = request.header()?;
    let name = named(header.username.as_deref())?;
    let info: UserInfo = body(request)?;
    users.change(|book| book.update_user(name, &info, request.fields.get(ACCESS_KEY)))?;
    tracing::info!(user = name, "user changed by request");
    Ok(Command::success())
}

pub fn delete_user(users: &Users, request: &Command) -> Answer {
    let header: AuthDeleteUser = request.header()?;
    let name = header.username.as_deref().unwrap_or_default();
    users.change(|book| book.delete_user(name, request.fields.get(ACCESS_KEY)))?;
    tracing::info!(user = name, "user deleted by request");
    Ok(Command::success())
}

/// Java: an unknown user is no error and no body.
pub fn get_user(users: &Users, request: &Command) -> Answer {
    let header: AuthGetUser = request.header()?;
    let name = header.username.as_deref().filter(|name| !name.trim().is_empty());
    let book = users.book().load();
    Ok(match book.user(name.ok_or(RequestError::BlankUser)?) {
        Some(user) => Command::success().with_body(json::to_vec(&user.info())),
        None => Command::success(),
    })
}

pub fn list_users(users: &Users, request: &Command) -> Answer {
    let header: AuthListUser = request.header()?;
    let book = users.book().load();
    let found: Vec<UserInfo> = book.users(header.filter.as_deref()).map(User::info).collect();
    Ok(list(&found))
}

pub fn create_acl(users: &Users, request: &Command) -> Answer {
    let header: AuthCreateAcl = request.header()?;
    put_acl(users, header.subject.as_deref(), request)
}

pub fn update_acl(users: &Users, request: &Command) -> Answer {
    let header: AuthUpdateAcl = request.header()?;
    put_acl(users, header.subject.as_deref(), request)
}

fn put_acl(users: &Users, subject: Option<&str>, request: &Command) -> Answer {
    let acl: AclInfo = body(request)?;
    users.change(|book| book.put_acl(subject, &acl))?;
    tracing::info!(subject, "access rules changed by request");
    Ok(Command::success())
}

pub fn delete_acl(users: &Users, request: &Command) -> Answer {
    let header: AuthDeleteAcl = request.header()?;
    let subject = header.subject.as_deref();
    let kind = header.policy_type.as_deref().and_then(PolicyType::from_name);
    let resource = header.resource.as_deref().and_then(Resource::parse);
    users.change(|book| book.delete_acl(subject, kind, resource.as_ref()))?;
    tracing::info!(subject, "access rules deleted by request");
    Ok(Command::success())
}

pub fn get_acl(users: &Users, request: &Command) -> Answer {
    let header: AuthGetAcl = request.header()?;
    Ok(match users.book().load().acl(header.subject.as_deref())? {
        Some(acl) => Command::success().with_body(json::to_vec(&acl)),
        None => Command::success(),
    })
}

pub fn list_acls(users: &Users, request: &Command) -> Answer {
    let header: AuthListAcl = request.header()?;
    let book = users.book().load();
    let (subject, resource) = (&header.subject_filter, &header.resource_filter);
    Ok(list(&book.acls(subject.as_deref(), resource.as_deref())))
}

/// Java: nothing found is no body.
fn list<T: serde::Serialize>(found: &[T]) -> Command {
    match found {
        [] => Command::success(),
        found => Command::success().with_body(json::to_vec(found)),
    }
}

#[cfg(test)]
mod tests;

//! Users and access rules of brokers (RocketMQ's ACL 2.0).

use std::fmt;

use serde::Serialize;
use skua_protocol::body::{AclInfo, PolicyEntryInfo, PolicyInfo, UserInfo};
use skua_protocol::json;
use skua_protocol::request::{
    AuthCreateAcl, AuthCreateUser, AuthDeleteAcl, AuthDeleteUser, AuthGetAcl, AuthGetUser,
    AuthListAcl, AuthListUser, AuthUpdateAcl, AuthUpdateUser, Request,
};

use crate::client::Answer;
use crate::failure::Failure;
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{Entry, alternative, required, value};
use crate::mqadmin::{Context, SubCommand};

pub const CREATE_USER: SubCommand = SubCommand {
    name: "createUser",
    about: "Create user to cluster.",
    example: "-c DefaultCluster -u alice -p secret12",
    answer: &["done", "brokerAddr"],
    options: &[
        Entry::OneOf(&[
            alternative("c", "clusterName", "create user to which cluster"),
            alternative("b", "brokerAddr", "create user to which broker"),
        ]),
        required("u", "username", "the username of user to create."),
        required("p", "password", "the password of user to create"),
        value("t", "userType", "the userType of user to create"),
    ],
    run: |context| Box::pin(create_user(context)),
};

pub const UPDATE_USER: SubCommand = SubCommand {
    name: "updateUser",
    about: "Update user to cluster.",
    example: "-c DefaultCluster -u alice -s disable",
    answer: &["done", "brokerAddr"],
    options: &[
        Entry::OneOf(&[
            alternative("c", "clusterName", "update user to which cluster"),
            alternative("b", "brokerAddr", "update user to which broker"),
        ]),
        required("u", "username", "the username of user to update."),
        Entry::OneOf(&[
            alternative("p", "password", "the password of user to update"),
            alternative("t", "userType", "the userType of user to update"),
            alternative("s", "userStatus", "the userStatus of user to update"),
        ]),
    ],
    run: |context| Box::pin(update_user(context)),
};

pub const DELETE_USER: SubCommand = SubCommand {
    name: "deleteUser",
    about: "Delete user from cluster.",
    example: "-c DefaultCluster -u alice",
    answer: &["done", "brokerAddr"],
    options: &[
        Entry::OneOf(&[
            alternative("c", "clusterName", "delete acl from which cluster"),
            alternative("b", "brokerAddr", "delete user from which broker"),
        ]),
        required("u", "username", "the username of user to delete."),
    ],
    run: |context| Box::pin(delete_user(context)),
};

pub const GET_USER: SubCommand = SubCommand {
    name: "getUser",
    about: "Get user from cluster.",
    example: "-b 192.168.0.1:10911 -u alice",
    answer: &[
        "brokerAddr",
        "users[].password",
        "users[].userStatus",
        "users[].userType",
        "users[].username",
    ],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "get user for which broker"),
            alternative("c", "clusterName", "get user for specified cluster"),
        ]),
        value("u", "username", "the username of user to get"),
    ],
    run: |context| Box::pin(get_user(context)),
};

pub const LIST_USER: SubCommand = SubCommand {
    name: "listUser",
    about: "List user from cluster.",
    example: "-b 192.168.0.1:10911",
    answer: &[
        "brokerAddr",
        "users[].password",
        "users[].userStatus",
        "users[].userType",
        "users[].username",
    ],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "list user for which broker"),
            alternative("c", "clusterName", "list user for specified cluster"),
        ]),
        value("f", "filter", "the filter to list users"),
    ],
    run: |context| Box::pin(list_users(context)),
};

pub const COPY_USER: SubCommand = SubCommand {
    name: "copyUser",
    about: "Copy user to cluster.",
    example: "-f 192.168.0.1:10911 -t 192.168.0.2:10911",
    answer: &["done", "username"],
    options: &[
        required("f", "fromBroker", "the source broker that the users copy from"),
        required("t", "toBroker", "the target broker that the users copy to"),
        value("u", "usernames", "the username list of user to copy."),
    ],
    run: |context| Box::pin(copy_users(context)),
};

pub const CREATE_ACL: SubCommand = SubCommand {
    name: "createAcl",
    about: "Create acl to cluster.",
    example: "-c DefaultCluster -s User:alice -r Topic:TopicTest -a Pub,Sub -d Allow",
    answer: &["done", "brokerAddr"],
    options: &[
        Entry::OneOf(&[
            alternative("c", "clusterName", "create acl to which cluster"),
            alternative("b", "brokerAddr", "create acl to which broker"),
        ]),
        required("s", "subject", "the subject of acl to create."),
        required("r", "resources", "the resources of acl to create"),
        required("a", "actions", "the actions of acl to create"),
        value("i", "sourceIp", "the sourceIps of acl to create"),
        required("d", "decision", "the decision of acl to create"),
    ],
    run: |context| Box::pin(create_acl(context)),
};

pub const UPDATE_ACL: SubCommand = SubCommand {
    name: "updateAcl",
    about: "Update acl to cluster.",
    example: "-c DefaultCluster -s User:alice -r Topic:TopicTest -a Pub -d Deny",
    answer: &["done", "brokerAddr"],
    options: &[
        Entry::OneOf(&[
            alternative("c", "clusterName", "update acl to which cluster"),
            alternative("b", "brokerAddr", "update acl to which broker"),
        ]),
        required("s", "subject", "the subject of acl to update."),
        required("r", "resources", "the resources of acl to update"),
        required("a", "actions", "the actions of acl to update"),
        required("d", "decision", "the decision of acl to update"),
        value("i", "sourceIp", "the sourceIps of acl to update"),
    ],
    run: |context| Box::pin(update_acl(context)),
};

pub const DELETE_ACL: SubCommand = SubCommand {
    name: "deleteAcl",
    about: "Delete acl from cluster.",
    example: "-c DefaultCluster -s User:alice",
    answer: &["done", "brokerAddr"],
    options: &[
        Entry::OneOf(&[
            alternative("c", "clusterName", "delete acl from which cluster"),
            alternative("b", "brokerAddr", "delete acl from which broker"),
        ]),
        required("s", "subject", "the subject of acl to delete."),
        value("r", "resources", "the resources of acl to delete"),
    ],
    run: |context| Box::pin(delete_acl(context)),
};

pub const GET_ACL: SubCommand = SubCommand {
    name: "getAcl",
    about: "Get acl from cluster.",
    example: "-b 192.168.0.1:10911 -s User:alice",
    answer: &[
        "[].policies[].entries[].actions[]",
        "[].policies[].entries[].decision",
        "[].policies[].entries[].resource",
        "[].policies[].entries[].sourceIps[]",
        "[].policies[].policyType",
        "[].subject",
    ],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "get acl for which broker"),
            alternative("c", "clusterName", "get acl for specified cluster"),
        ]),
        value("s", "subject", "the subject of acl to get"),
    ],
    run: |context| Box::pin(get_acl(context)),
};

pub const LIST_ACL: SubCommand = SubCommand {
    name: "listAcl",
    about: "List acl from cluster.",
    example: "-b 192.168.0.1:10911",
    answer: &[
        "[].policies[].entries[].actions[]",
        "[].policies[].entries[].decision",
        "[].policies[].entries[].resource",
        "[].policies[].entries[].sourceIps[]",
        "[].policies[].policyType",
        "[].subject",
    ],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "list acl for which broker."),
            alternative("c", "clusterName", "list acl for specified cluster."),
        ]),
        value("s", "subject", "the subject of acl to filter."),
        value("r", "resource", "the resource of acl to filter."),
    ],
    run: |context| Box::pin(list_acls(context)),
};

pub const COPY_ACL: SubCommand = SubCommand {
    name: "copyAcl",
    about: "Copy acl to cluster.",
    example: "-f 192.168.0.1:10911 -t 192.168.0.2:10911",
    answer: &["done", "subject"],
    options: &[
        required("f", "fromBroker", "the source broker that the acls copy from"),
        required("t", "toBroker", "the target broker that the acls copy to"),
        value("s", "subjects", "the subject list of acl to copy."),
    ],
    run: |context| Box::pin(copy_acls(context)),
};

/// Makes the same change at every broker meant, slaves included: each keeps its own rules.
async fn change<H: Request>(
    context: &Context<'_>,
    what: &str,
    header: &H,
    body: Vec<u8>,
) -> Result<(), Failure> {
    for addr in context.members().await? {
        context.cluster.broker_with(&addr, header, body.clone()).await?;
        let sentence = format!("{what} to {addr} success.");
        context.print(&Done::new(sentence).with("brokerAddr", addr))?;
    }
    Ok(())
}

/// What a broker answers about one user or rule: nothing if there is none.
fn optional<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<Option<T>, Failure> {
    if answer.command.body.is_empty() { Ok(None) } else { answer.json() }
}

/// The user described by the options; what is not given is absent.
fn user_info(context: &Context<'_>) -> Result<UserInfo, Failure> {
    let text = |key: &str| context.get(key).map(str::to_owned);
    Ok(UserInfo {
        username: Some(context.required("u")?.to_owned()),
        password: text("p"),
        user_type: text("t"),
        user_status: text("s"),
    })
}

async fn create_user(context: &Context<'_>) -> Result<(), Failure> {
    let user = user_info(context)?;
    let header = AuthCreateUser { username: user.username.as_deref().map(Into::into) };
    change(context, "create user", &header, json::to_vec(&user)).await
}

async fn update_user(context: &Context<'_>) -> Result<(), Failure> {
    let user = user_info(context)?;
    let header = AuthUpdateUser { username: user.username.as_deref().map(Into::into) };
    change(context, "update user", &header, json::to_vec(&user)).await
}

async fn delete_user(context: &Context<'_>) -> Result<(), Failure> {
    let header = AuthDeleteUser { username: Some(context.required("u")?.into()) };
    change(context, "delete user", &header, Vec::new()).await
}

async fn user(
    context: &Context<'_>,
    addr: &str,
    name: Option<&str>,
) -> Result<Option<UserInfo>, Failure> {
    let header = AuthGetUser { username: name.map(Into::into) };
    optional(&context.cluster.broker(addr, &header).await?)
}

async fn users(
    context: &Context<'_>,
    addr: &str,
    filter: Option<&str>,
) -> Result<Vec<UserInfo>, Failure> {
    let header = AuthListUser { filter: filter.map(Into::into) };
    let answer = context.cluster.broker(addr, &header).await?;
    Ok(optional(&answer)?.unwrap_or_default())
}

#[derive(Serialize)]
struct Users {
    users: Vec<UserInfo>,
    /// The broker of a cluster that answered, when none was named.
    #[serde(rename = "brokerAddr", skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |cells: [&str; 4]| {
            let [name, password, kind, status] = cells;
            writeln!(f, "{name:<16}  {password:<22}  {kind:<22}  {status:<22}")
        };
        row(["#UserName", "#Password", "#UserType", "#UserStatus"])?;
        for user in &self.users {
            let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "null".to_owned());
            row([
                &text(&user.username),
                &text(&user.password),
                &text(&user.user_type),
                &text(&user.user_status),
            ])?;
        }
        match &self.from {
            Some(addr) => writeln!(f, "get user from {addr} success."),
            None => Ok(()),
        }
    }
}

async fn get_user(context: &Context<'_>) -> Result<(), Failure> {
    for addr in context.masters().await? {
        if let Some(user) = user(context, &addr, context.get("u")).await? {
            return context.print(&Users { users: vec![user], from: None });
        }
    }
    Ok(())
}

async fn list_users(context: &Context<'_>) -> Result<(), Failure> {
    for addr in context.masters().await? {
        let users = users(context, &addr, context.get("f")).await?;
        if !users.is_empty() {
            let from = context.has("c").then_some(addr);
            return context.print(&Users { users, from });
        }
    }
    Ok(())
}

/// The names in a list joined by commas.
fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

async fn copy_users(context: &Context<'_>) -> Result<(), Failure> {
    let (from, to) = (context.required("f")?, context.required("t")?);
    let found = match context.get("u") {
        None => users(context, from, None).await?,
        Some(list) => {
            let mut found = Vec::new();
            for name in names(list) {
                found.extend(user(context, from, Some(&name)).await?);
            }
            found
        }
    };
    for info in found {
        let name = info.username.clone().unwrap_or_default();
        let username = Some(name.as_str().into());
        let body = json::to_vec(&info);
        if user(context, to, Some(&name)).await?.is_none() {
            context.cluster.broker_with(to, &AuthCreateUser { username }, body).await?;
        } else {
            context.cluster.broker_with(to, &AuthUpdateUser { username }, body).await?;
        }
        let sentence = format!("copy user of {name} from {from} to {to} success.");
        context.print(&Done::new(sentence).with("username", name))?;
    }
    Ok(())
}

/// The rule described by the options: one entry for each resource.
fn acl_info(context: &Context<'_>) -> Result<AclInfo, Failure> {
    let actions = names(context.required("a")?);
    let source_ips = context.get("i").map(names).unwrap_or_default();
    let decision = context.required("d")?;
    let entries = names(context.required("r")?).into_iter().map(|resource| PolicyEntryInfo {
        actions: actions.clone(),
        decision: Some(decision.to_owned()),
        resource: Some(resource),
        source_ips: source_ips.clone(),
    });
    Ok(AclInfo {
        policies: vec![PolicyInfo { entries: entries.collect(), policy_type: None }],
        subject: Some(context.required("s")?.to_owned()),
    })
}

async fn create_acl(context: &Context<'_>) -> Result<(), Failure> {
    let acl = acl_info(context)?;
    let header = AuthCreateAcl { subject: acl.subject.as_deref().map(Into::into) };
    change(context, "create acl", &header, json::to_vec(&acl)).await
}

async fn update_acl(context: &Context<'_>) -> Result<(), Failure> {
    let acl = acl_info(context)?;
    let header = AuthUpdateAcl { subject: acl.subject.as_deref().map(Into::into) };
    change(context, "update acl", &header, json::to_vec(&acl)).await
}

async fn delete_acl(context: &Context<'_>) -> Result<(), Failure> {
    let header = AuthDeleteAcl {
        subject: Some(context.required("s")?.into()),
        policy_type: None,
        resource: context.get("r").map(Into::into),
    };
    change(context, "delete acl", &header, Vec::new()).await
}

async fn acl(
    context: &Context<'_>,
    addr: &str,
    subject: Option<&str>,
) -> Result<Option<AclInfo>, Failure> {
    let header = AuthGetAcl { subject: subject.map(Into::into) };
    optional(&context.cluster.broker(addr, &header).await?)
}

async fn acls(
    context: &Context<'_>,
    addr: &str,
    subject: Option<&str>,
    resource: Option<&str>,
) -> Result<Vec<AclInfo>, Failure> {
    let header = AuthListAcl {
        subject_filter: subject.map(Into::into),
        resource_filter: resource.map(Into::into),
    };
    let answer = context.cluster.broker(addr, &header).await?;
    Ok(optional(&answer)?.unwrap_or_default())
}

#[derive(Serialize)]
#[serde(transparent)]
struct Acls(Vec<AclInfo>);

impl fmt::Display for Acls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |cells: [&str; 6]| {
            let [subject, kind, resource, actions, ips, decision] = cells;
            writeln!(
                f,
                "{subject:<16}  {kind:<10}  {resource:<22}  {actions:<20}  {ips:<24}  {decision:<10}"
            )
        };
        row(["#Subject", "#PolicyType", "#Resource", "#Actions", "#SourceIp", "#Decision"])?;
        for acl in &self.0 {
            let subject = acl.subject.as_deref().unwrap_or("null");
            if acl.policies.is_empty() {
                row([subject, "", "", "", "", ""])?;
            }
            for policy in &acl.policies {
                let kind = policy.policy_type.as_deref().unwrap_or("null");
                for entry in &policy.entries {
                    let ips = match entry.source_ips.as_slice() {
                        [] => "null".to_owned(),
                        ips => format!("[{}]", ips.join(", ")),
                    };
                    row([
                        subject,
                        kind,
                        entry.resource.as_deref().unwrap_or("null"),
                        &format!("[{}]", entry.actions.join(", ")),
                        &ips,
                        entry.decision.as_deref().unwrap_or("null"),
                    ])?;
                }
            }
        }
        Ok(())
    }
}

async fn get_acl(context: &Context<'_>) -> Result<(), Failure> {
    for addr in context.masters().await? {
        if let Some(acl) = acl(context, &addr, context.get("s")).await? {
            context.print(&Acls(vec![acl]))?;
        }
    }
    Ok(())
}

async fn list_acls(context: &Context<'_>) -> Result<(), Failure> {
    for addr in context.masters().await? {
        let acls = acls(context, &addr, context.get("s"), context.get("r")).await?;
        if !acls.is_empty() {
            return context.print(&Acls(acls));
        }
    }
    Ok(())
}

async fn copy_acls(context: &Context<'_>) -> Result<(), Failure> {
    let (from, to) = (context.required("f")?, context.required("t")?);
    let found = match context.get("s") {
        None => acls(context, from, None, None).await?,
        Some(list) => {
            let mut found = Vec::new();
            for subject in names(list) {
                found.extend(acl(context, from, Some(&subject)).await?);
            }
            found
        }
    };
    for info in found {
        let name = info.subject.clone().unwrap_or_default();
        let subject = Some(name.as_str().into());
        let body = json::to_vec(&info);
        if acl(context, to, Some(&name)).await?.is_none() {
            context.cluster.broker_with(to, &AuthCreateAcl { subject }, body).await?;
        } else {
            context.cluster.broker_with(to, &AuthUpdateAcl { subject }, body).await?;
        }
        let sentence = format!("copy acl of {name} from {from} to {to} success.");
        context.print(&Done::new(sentence).with("subject", name))?;
    }
    Ok(())
}

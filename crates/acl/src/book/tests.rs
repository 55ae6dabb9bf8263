use std::net::IpAddr;

use skua_protocol::body::{AclInfo, PolicyEntryInfo, PolicyInfo, UserInfo};

use super::*;
use crate::access::Access;
use crate::resource::ResourceType;

fn info(password: &str, kind: Option<&str>) -> UserInfo {
    UserInfo {
        password: Some(password.to_owned()),
        user_type: kind.map(str::to_owned),
        ..UserInfo::default()
    }
}

fn book() -> Book {
    Book::default().with_user(User::new("root", "rootpass", UserType::Super)).with_user(User::new(
        "ann",
        "annpass1",
        UserType::Normal,
    ))
}

fn rule(resource: &str, actions: &[&str], decision: &str, ips: &[&str]) -> PolicyEntryInfo {
    PolicyEntryInfo {
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        decision: Some(decision.to_owned()),
        resource: Some(resource.to_owned()),
        source_ips: ips.iter().map(|ip| (*ip).to_owned()).collect(),
    }
}

fn acl(kind: Option<&str>, entries: Vec<PolicyEntryInfo>) -> AclInfo {
    let policy_type = kind.map(str::to_owned);
    AclInfo { policies: vec![PolicyInfo { entries, policy_type }], subject: None }
}

fn with(book: &Book, entries: Vec<PolicyEntryInfo>) -> Book {
    book.put_acl(Some("User:ann"), &acl(None, entries)).expect("rules that are right")
}

fn may(book: &Book, topic: &str, from: &str) -> Result<(), String> {
    let access =
        Access { kind: ResourceType::Topic, name: topic.to_owned(), actions: &[Action::Pub] };
    let from: IpAddr = from.parse().expect("an address");
    book.authorize("ann", &access, from).map_err(|error| error.to_string())
}

const HERE: &str = "192.0.2.7";

#[test]
fn super_users_may_everything_and_others_what_rules_say() {
    let book = book();
    let access = Access { kind: ResourceType::Topic, name: "t".into(), actions: &[Action::Pub] };
    let from = HERE.parse().expect("an address");
    assert_eq!(book.authorize("root", &access, from), Ok(()));
    let unknown = book.authorize("eve", &access, from).expect_err("unknown").to_string();
    assert_eq!(unknown, "User:eve not found.");
    assert_eq!(
        may(&book, "t", HERE).expect_err("no rules"),
        "User:ann has no permission to access Topic:t from 192.0.2.7, no matched policies."
    );
    let book = with(&book, vec![rule("Topic:t", &["Pub", "Sub"], "Allow", &[])]);
    assert_eq!(may(&book, "t", HERE), Ok(()));
    assert!(may(&book, "u", HERE).is_err());
    let book = with(&book, vec![rule("Topic:t", &["Sub"], "Allow", &[])]);
    assert!(may(&book, "t", HERE).is_err(), "the rule about the resource was replaced");
}

#[test]
fn the_nearer_rule_decides() {
    let book = with(
        &book(),
        vec![
            rule("*", &["All"], "Allow", &[]),
            rule("Topic:*", &["All"], "Deny", &[]),
            rule("Topic:a*", &["All"], "Allow", &[]),
            rule("Topic:ab*", &["All"], "Deny", &[]),
            rule("Topic:abc", &["All"], "Allow", &[]),
        ],
    );
    let allowed = ["a", "ax", "abc"].map(|topic| may(&book, topic, HERE).is_ok());
    let denied = ["x", "ab", "abx"].map(|topic| may(&book, topic, HERE).is_err());
    assert_eq!((allowed, denied), ([true; 3], [true; 3]));
    assert_eq!(
        may(&book, "x", HERE).expect_err("denied"),
        "User:ann has no permission to access Topic:x from 192.0.2.7, the decision is deny."
    );
}

#[test]
fn default_rules_count_when_no_custom_rule_does() {
    let deny_all = acl(Some("Default"), vec![rule("Topic:*", &["All"], "Allow", &[])]);
    let book = book().put_acl(Some("User:ann"), &deny_all).expect("right");
    assert_eq!(may(&book, "t", HERE), Ok(()));
    let book = with(&book, vec![rule("Topic:t*", &["All"], "Deny", &[])]);
    assert!(may(&book, "t", HERE).is_err() && may(&book, "x", HERE).is_ok());
}

#[test]
fn rules_hold_for_their_sources() {
    let rules = vec![rule("Topic:t", &["All"], "Allow", &["10.0.0.0/8", "192.0.2.7"])];
    let book = with(&book(), rules);
    assert!(may(&book, "t", HERE).is_ok() && may(&book, "t", "10.9.9.9").is_ok());
    assert!(may(&book, "t", "192.0.2.8").is_err() && may(&book, "t", "::1").is_err());
}

#[test]
fn of_two_rules_alike_the_denying_one_decides() {
    let twice =
        vec![rule("Topic:t", &["Pub"], "Allow", &[HERE]), rule("Topic:t", &["Pub"], "Deny", &[])];
    let text = serde_json::json!({
        "users": [{"username": "ann", "password": "p", "userType": "Normal", "userStatus": "enable"}],
        "acls": [{"subject": "User:ann", "policies": [{"policyType": "Custom", "entries": twice}]}],
    });
    let book = Book::from_json(text.to_string().as_bytes()).expect("a book");
    assert!(may(&book, "t", HERE).is_err());
}

#[test]
fn users_come_change_and_go() {
    let book = book();
    let error = |result: Result<Book, BookError>| result.err().expect("refused").to_string();
    assert_eq!(error(book.create_user(" ", &info("p", None), None)), "username can not be blank");
    assert_eq!(error(book.create_user("x", &info("", None), None)), "password can not be blank");
    assert_eq!(error(book.create_user("ann", &info("p", None), None)), "The user is existed");
    let by_ann = book.create_user("x", &info("p", Some("super")), Some("ann"));
    assert_eq!(error(by_ann), "The super user can only be create by super user");
    let by_nobody = book.create_user("x", &info("p", Some("Super")), Some("eve"));
    assert_eq!(error(by_nobody), "User:eve is not found");
    assert_eq!(error(book.update_user("x", &info("p", None), None)), "The user is not exist");
    let demoted = book.update_user("root", &info("", Some("Normal")), Some("ann"));
    assert_eq!(error(demoted), "The super user can only be update by super user");
    assert!(book.delete_user("root", Some("ann")).is_err());
    assert!(book.delete_user("nobody", None).is_ok(), "as Java: nothing to do");

    let book = book.create_user("x", &info("secret", Some("Super")), Some("root")).expect("made");
    let user = book.user("x").expect("made");
    assert_eq!((user.kind, user.status), (UserType::Super, UserStatus::Enable));
    let off = UserInfo { user_status: Some("disable".into()), ..UserInfo::default() };
    let book = book.update_user("x", &off, Some("root")).expect("changed");
    assert_eq!(book.user("x").expect("there").status, UserStatus::Disable);
    assert_eq!(book.user("x").expect("there").info().password.as_deref(), Some("secret"));
    let book = book.delete_user("x", Some("root")).expect("gone");
    assert!(book.user("x").is_none());
    assert_eq!(book.users(Some("oo")).map(|user| &*user.name).collect::<Vec<_>>(), ["root"]);
}

#[test]
fn rules_that_are_wrong_are_refused_as_java_refuses_them() {
    let book = book();
    let refused =
        |subject, acl: AclInfo| book.put_acl(subject, &acl).err().expect("wrong rules").to_string();
    let one = |entry| acl(None, vec![entry]);
    let ann = Some("User:ann");
    assert_eq!(refused(ann, AclInfo::default()), "The body of acl is null");
    assert_eq!(refused(ann, acl(None, vec![])), "The policies is empty.");
    assert_eq!(refused(ann, one(rule("x", &["All"], "Allow", &[]))), "The resource is null.");
    assert_eq!(refused(ann, one(rule("*", &["x"], "Allow", &[]))), "The actions is empty.");
    assert_eq!(refused(ann, one(rule("*", &["any"], "Allow", &[]))), "The actions can not be Any.");
    assert_eq!(
        refused(ann, one(rule("*", &["All"], "x", &[]))),
        "The decision is null or illegal."
    );
    assert_eq!(refused(ann, one(rule("*", &["All"], "Allow", &[""]))), "The source ip is empty.");
    let ip = one(rule("*", &["All"], "Allow", &["1.2.3"]));
    assert_eq!(refused(ann, ip), "The source ip is invalid.");
    let good = || one(rule("*", &["All"], "Allow", &[]));
    assert_eq!(refused(Some("User:eve"), good()), "The subject of User:eve is not exist.");
    assert_eq!(refused(Some("Role:ann"), good()), "The subject is null.");
}

#[test]
fn rules_are_shown_and_deleted() {
    let book = with(
        &book(),
        vec![rule("Topic:t", &["pub"], "allow", &[HERE]), rule("Group:g", &["Sub"], "Deny", &[])],
    );
    let shown = book.acl(Some("User:ann")).expect("known").expect("has rules");
    assert_eq!(shown.policies[0].entries[0], rule("Topic:t", &["Pub"], "Allow", &[HERE]));
    assert_eq!(book.acls(None, Some("Group")).len(), 1);
    assert_eq!(book.acls(None, Some("Group"))[0].policies[0].entries.len(), 1);
    assert_eq!(book.acls(Some("nobody"), None), []);
    let topic = Resource::parse("Topic:t").expect("a resource");
    let book = book.delete_acl(Some("User:ann"), None, Some(&topic)).expect("deleted");
    assert!(may(&book, "t", HERE).is_err());
    let book = book.delete_acl(Some("User:ann"), None, None).expect("all deleted");
    assert_eq!(book.acl(Some("User:ann")), Ok(None));
    let again = book.delete_acl(Some("User:ann"), None, None).err().expect("none left");
    assert_eq!(again.to_string(), "The acl is not exist.");
}

#[test]
fn a_book_reads_back_and_a_broken_one_does_not() {
    let book = with(&book(), vec![rule("Topic:t*", &["Pub"], "Allow", &["10.0.0.0/8"])]);
    let text = book.to_json();
    let read = Book::from_json(&text).expect("its own words");
    assert_eq!(read.to_json(), text);
    assert!(may(&read, "tx", "10.1.1.1").is_ok());
    for broken in [
        r#"{"users":[{"username":"x"}]}"#,
        r#"{"users":[{"username":"x","password":"p","userType":"root","userStatus":"enable"}]}"#,
        r#"{"acls":[{"policies":[]}]}"#,
        r#"{"acls":[{"subject":"User:x","policies":[{"entries":[{"resource":"*"}]}]}]}"#,
        "{",
    ] {
        assert!(Book::from_json(broken.as_bytes()).is_err(), "{broken}");
    }
}

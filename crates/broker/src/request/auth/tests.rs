use skua_protocol::body::{AclInfo, PolicyEntryInfo, PolicyInfo, UserInfo};
use skua_protocol::header::Fields;
use skua_protocol::request::{
    AuthCreateAcl, AuthCreateUser, AuthDeleteUser, AuthGetAcl, AuthGetUser, AuthListUser,
};
use skua_protocol::{Command, ResponseCode, json};
use skua_store::disk::Faults;

use crate::test_broker::TestBroker;

fn create(test: &TestBroker, name: &str) -> Command {
    let info = UserInfo { password: Some("secret".into()), ..UserInfo::default() };
    let header = AuthCreateUser { username: Some(name.into()) };
    test.with_body(&header, json::to_vec(&info))
}

fn code(answer: &Command) -> ResponseCode {
    ResponseCode::from_i32(answer.code).expect("a known code")
}

#[test]
fn users_and_rules_are_kept_over_a_crash() {
    let test = TestBroker::new();
    assert_eq!(code(&create(&test, "ann")), ResponseCode::Success);
    let entry = PolicyEntryInfo {
        actions: vec!["Pub".into()],
        decision: Some("Allow".into()),
        resource: Some("Topic:t".into()),
        source_ips: vec![],
    };
    let policies = vec![PolicyInfo { entries: vec![entry], policy_type: None }];
    let acl = AclInfo { policies, subject: None };
    let header = AuthCreateAcl { subject: Some("User:ann".into()) };
    assert_eq!(code(&test.with_body(&header, json::to_vec(&acl))), ResponseCode::Success);

    let test = test.crash();
    let user = test.request(&AuthGetUser { username: Some("ann".into()) });
    let user: UserInfo = json::from_slice(&user.body).expect("a user");
    assert_eq!(user.user_type.as_deref(), Some("Normal"));
    let acl = test.request(&AuthGetAcl { subject: Some("User:ann".into()) });
    let acl: AclInfo = json::from_slice(&acl.body).expect("rules");
    assert_eq!(acl.policies[0].policy_type.as_deref(), Some("Custom"));
}

#[test]
fn refusals_are_javas() {
    let test = TestBroker::new();
    let refused = |answer: Command| (code(&answer), answer.remark.expect("a remark").to_string());
    let blank = (ResponseCode::InvalidParameter, "The username is blank".to_owned());
    assert_eq!(refused(create(&test, "")), blank);
    assert_eq!(refused(test.request(&AuthGetUser { username: None })), blank);
    create(&test, "ann");
    assert_eq!(
        refused(create(&test, "ann")),
        (ResponseCode::NoPermission, "The user is existed".to_owned())
    );
    let nobody = test.request(&AuthGetUser { username: Some("nobody".into()) });
    assert_eq!((code(&nobody), nobody.body.len()), (ResponseCode::Success, 0));
    let deleted = test.request(&AuthDeleteUser { username: Some("nobody".into()) });
    assert_eq!(code(&deleted), ResponseCode::Success);
    assert_eq!(
        refused(test.request(&AuthDeleteUser { username: None })),
        (ResponseCode::NoPermission, "username can not be blank".to_owned())
    );
    let header = AuthCreateAcl { subject: Some("User:ann".into()) };
    assert_eq!(
        refused(test.request(&header)),
        (ResponseCode::SystemError, "The body of acl is null".to_owned())
    );
}

#[test]
fn a_full_disk_leaves_the_users_as_they_were() {
    let test = TestBroker::new();
    create(&test, "ann");
    test.disk.set_faults(Faults { write_fails_in: Some(0), ..Faults::default() });
    assert_eq!(code(&create(&test, "bob")), ResponseCode::SystemError);
    test.disk.set_faults(Faults::default());
    let users = test.request(&AuthListUser { filter: None });
    let users: Vec<UserInfo> = json::from_slice(&users.body).expect("users");
    assert_eq!(users.len(), 1);
}

#[test]
fn bodies_that_are_none_are_refused() {
    let test = TestBroker::new();
    for code in [3001, 3002, 3006, 3007] {
        for body in [&b"{"[..], b"7", b"\xff\xfe", b"{\"policies\":7,\"password\":[]}"] {
            let fields = Fields::from_iter([("username", "x"), ("subject", "User:x")]);
            let answer = test.raw(code, fields, body.to_vec());
            assert_ne!(answer.code, ResponseCode::Success as i32, "{code} {body:?}");
        }
    }
}

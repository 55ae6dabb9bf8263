use skua_protocol::header::Fields;

use super::*;
use crate::book::Book;
use crate::credentials::Credentials;

/// The file that 4.9 is delivered with, and one account more.
const FILE: &str = r#"
globalWhiteRemoteAddresses:
  - 10.10.103.*
  - 192.168.0.*

accounts:
  - accessKey: RocketMQ
    secretKey: 12345678
    whiteRemoteAddress:
    admin: false
    defaultTopicPerm: DENY
    defaultGroupPerm: SUB
    topicPerms:
      - topicA=DENY
      - topicB=PUB|SUB
      - topicC=SUB
    groupPerms:
      # the group should convert to retry topic
      - groupA=DENY
      - groupB=PUB|SUB
      - groupC=SUB
    namespacePerms:
      - namespace: space
        topicPerm: PUB

  - accessKey: rocketmq2
    secretKey: 12345678
    whiteRemoteAddress: 192.168.1.*
    # if it is admin, it could access all resources
    admin: true
"#;

fn rules() -> Rules {
    let mut rules = Rules::default();
    assert_eq!(rules.add(FILE).expect("4.9's own file"), Vec::<String>::new());
    rules
}

fn request(code: RequestCode, fields: &[(&'static str, &'static str)], key: &str) -> Command {
    let mut request = Command::raw_request(code, fields.iter().copied().collect::<Fields>());
    Credentials::new(key, "12345678").sign(&mut request);
    request
}

fn check(request: &Command, from: &str) -> Result<(), String> {
    let from = from.parse().expect("an address");
    rules().check(request, from).map_err(|error| error.to_string())
}

const ABROAD: &str = "203.0.113.1";

fn send(topic: &'static str) -> Result<(), String> {
    check(&request(RequestCode::SendMessageV2, &[("b", topic)], "RocketMQ"), ABROAD)
}

fn pull(topic: &'static str, group: &'static str) -> Result<(), String> {
    let fields = [("topic", topic), ("consumerGroup", group)];
    check(&request(RequestCode::PullMessage, &fields, "RocketMQ"), ABROAD)
}

#[test]
fn accounts_may_what_their_lists_say() {
    assert_eq!(send("topicB"), Ok(()));
    for topic in ["topicA", "topicC", "other"] {
        let refused = send(topic).expect_err("no right to publish");
        assert_eq!(refused, format!("No default permission for topic:{topic}"));
    }
    assert_eq!(send("space%t"), Ok(()), "the namespace permits");
    assert_eq!(send(TRACE_TOPIC), Ok(()), "traces are for everybody");
    assert_eq!(pull("topicC", "groupB"), Ok(()));
    assert_eq!(pull("topicC", "anyGroup"), Ok(()), "the default of groups");
    // As Java: a group that is denied still has the default.
    assert_eq!(pull("topicC", "groupA"), Ok(()));
    assert_eq!(
        pull("topicA", "groupB").expect_err("denied"),
        "No default permission for topic:topicA"
    );
}

#[test]
fn who_is_not_known_or_signs_wrongly_is_refused() {
    let mut unsigned = request(RequestCode::HeartBeat, &[], "RocketMQ");
    unsigned.fields = Fields::new();
    assert_eq!(check(&unsigned, ABROAD).expect_err("nobody"), "No accessKey is configured");
    let unknown = request(RequestCode::HeartBeat, &[], "unknown1");
    assert_eq!(check(&unknown, ABROAD).expect_err("unknown"), "No acl config for unknown1");
    let mut forged = Command::raw_request(RequestCode::GetMaxOffset, Fields::new());
    Credentials::new("rocketmq2", "87654321").sign(&mut forged);
    assert_eq!(
        check(&forged, ABROAD).expect_err("another secret"),
        "Check signature failed for accessKey=rocketmq2"
    );
    assert_eq!(check(&forged, "192.168.1.9"), Ok(()), "the account's white list");
    assert_eq!(check(&unsigned, "192.168.0.9"), Ok(()), "the global white list");
    assert!(check(&unsigned, "192.168.1.9").is_err(), "no account, no white list of one");
}

#[test]
fn the_broker_is_changed_by_admins_alone() {
    let update =
        |key| check(&request(RequestCode::UpdateAndCreateTopic, &[("topic", "t")], key), ABROAD);
    assert_eq!(
        update("RocketMQ").expect_err("no admin"),
        "Need admin permission for request code=17, but accessKey=RocketMQ is not"
    );
    assert_eq!(update("rocketmq2"), Ok(()));
    let any = request(RequestCode::SendMessageV2, &[("b", "whatever")], "rocketmq2");
    assert_eq!(check(&any, ABROAD), Ok(()), "an admin without lists may everything");
}

#[test]
fn files_that_are_wrong_are_refused_with_the_cause() {
    let error = |text: &str| {
        let mut rules = rules();
        let error = rules.add(text).expect_err("wrong").to_string();
        assert_eq!(rules.accounts.len(), 2, "nothing was taken over");
        error
    };
    assert!(error("accounts: [").starts_with("broken YAML: "));
    assert_eq!(error("accounts: 5"), "`accounts` is not a list");
    let keys = "account 1: accessKey and secretKey are needed, each longer than 6 characters";
    assert_eq!(error("accounts:\n  - accessKey: short\n    secretKey: 12345678"), keys);
    let account = "accounts:\n  - accessKey: account1\n    secretKey: 12345678\n";
    assert_eq!(
        error(&format!("{account}    topicPerms: [a]")),
        "account account1: topicPerms: `a` is not NAME=PERMISSION"
    );
    assert_eq!(
        error(&format!("{account}    whiteRemoteAddress: 1.2.3")),
        "account account1: whiteRemoteAddress: `1.2.3` is no address, list or range of addresses"
    );
}

#[test]
fn an_account_of_two_files_stays_as_the_first_has_it() {
    let mut rules = rules();
    let again =
        "accounts:\n  - accessKey: RocketMQ\n    secretKey: other-secret\n    admin: true\n";
    assert_eq!(rules.add(again).expect("right"), ["RocketMQ"]);
    assert!(!rules.accounts["RocketMQ"].admin);
    assert_eq!(rules.add(""), Ok(vec![]), "an empty file says nothing");
}

#[test]
fn accounts_become_users_with_the_same_rights() {
    let migrated = rules().migrate(&Book::default()).expect("few users");
    assert_eq!(migrated.users, 2);
    let book = migrated.book;
    assert_eq!(book.user("rocketmq2").expect("an admin").kind, UserTypeOf::Super);
    let may = |kind, name: &str, actions: &'static [Action]| {
        let access = Access { kind, name: name.to_owned(), actions };
        book.authorize("RocketMQ", &access, ABROAD.parse().expect("an address")).is_ok()
    };
    assert!(may(ResourceType::Topic, "topicB", &[Action::Pub]));
    assert!(!may(ResourceType::Topic, "topicC", &[Action::Pub]));
    assert!(!may(ResourceType::Topic, "other", &[Action::Sub]));
    assert!(may(ResourceType::Group, "other", &[Action::Sub]));
    assert_eq!(rules().migrate(&book).expect("again").users, 0);
}

use crate::book::UserType as UserTypeOf;

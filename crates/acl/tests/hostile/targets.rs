//! What is done with files, rules and requests that anyone may have sent. Each function takes any
//! bytes at all and panics only if the code under test breaks its word. Run with mutations by
//! `cargo test`, and by cargo-fuzz from `/fuzz`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::BytesMut;
use skua_acl::plain::{Addresses, Rules};
use skua_acl::{
    ACCESS_KEY, Book, Credentials, Door, DoorRules, Network, Resource, ResourceType, SIGNATURE,
    User, UserType,
};
use skua_protocol::body::AclInfo;
use skua_protocol::header::Fields;
use skua_protocol::{Command, RequestCode, frame, json};

/// A name and what to do with bytes.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("acl_file", file),
    ("acl_rules", rules),
    ("acl_book", book),
    ("acl_pattern", pattern),
    ("acl_request", request),
];

pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
/// The accounts of all doors here, and their secrets, which nobody else knows.
pub const USERS: [(&str, &str); 3] = [
    ("rootroot", "secret of root"),
    ("annannann", "secret of ann"),
    ("bobbobbob", "secret of bob"),
];

const PLAIN: &str = "
accounts:
  - {accessKey: rootroot, secretKey: secret of root, admin: true}
  - {accessKey: annannann, secretKey: secret of ann, topicPerms: ['mine=PUB|SUB']}
  - {accessKey: bobbobbob, secretKey: secret of bob, topicPerms: ['his=PUB|SUB']}
";

const RULES: &str = r#"{"policies":[{"policyType":"Custom","entries":[
    {"resource":"Topic:NAME","actions":["Pub","Sub"],"decision":"Allow"}]}]}"#;

/// `plain_acl.yml`, and what follows from it.
pub fn file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut rules = Rules::default();
    let Ok(repeated) = rules.add(&text) else { return };
    assert!(repeated.iter().all(|key| rules.accounts.contains_key(key)));
    // A key alone opens nothing, whatever the file says, unless its addresses do.
    for (key, account) in &rules.accounts {
        assert!(key.chars().count() > 6, "{key}");
        let fields = Fields::from_iter([(ACCESS_KEY, key.as_str()), (SIGNATURE, "")]);
        let unsigned = Command::raw_request(RequestCode::UpdateBrokerConfig, fields);
        let by_address =
            account.white.contain(HERE) || rules.white.iter().any(|of| of.contain(HERE));
        assert_eq!(rules.check(&unsigned, HERE).is_ok(), by_address, "{key}");
    }
    if let Ok(migrated) = rules.migrate(&Book::default()) {
        let written = migrated.book.to_json();
        assert_eq!(Book::from_json(&written).expect("what was written").to_json(), written);
    }
}

/// The body of a request that makes rules.
pub fn rules(data: &[u8]) {
    let Ok(info) = json::from_slice::<AclInfo>(data) else { return };
    let users = USERS.iter().fold(Book::default(), |book, (name, secret)| {
        book.with_user(User::new(name, secret, UserType::Normal))
    });
    let Ok(book) = users.put_acl(Some("User:annannann"), &info) else { return };
    // Said twice it is the same, and it is no other user's than the named one's.
    let again = book.put_acl(Some("User:annannann"), &info).expect("said before");
    assert_eq!(again.to_json(), book.to_json());
    assert_eq!(book.acls(None, None).len(), 1);
    let written = book.to_json();
    assert_eq!(Book::from_json(&written).expect("what was written").to_json(), written);
}

/// `config/auth.json`.
pub fn book(data: &[u8]) {
    let Ok(book) = Book::from_json(data) else { return };
    let written = book.to_json();
    let again = Book::from_json(&written).expect("what was written");
    assert_eq!(again.to_json(), written);
}

/// Patterns of resources and of addresses.
pub fn pattern(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(resource) = Resource::parse(&text) {
        let written = resource.to_string();
        let again = Resource::parse(&written).expect("what was written");
        assert_eq!(again.to_string(), written);
        // Only what says so is about everything: an asterisk, or the kind `Any`, as with Java.
        if resource.covers(ResourceType::Topic, "\u{1}elsewhere") {
            let any = resource.kind == ResourceType::Any;
            assert!(any || text.contains('*') || text.contains("\u{1}elsewhere"), "{text}");
        }
    }
    if let Ok(network) = Network::parse(&text) {
        assert_eq!(Network::parse(&network.to_string()).expect("as it was given"), network);
        let both = network.contains(HERE) && network.contains(Ipv4Addr::LOCALHOST.into());
        assert!(!both || text.contains('/'), "{text}");
    }
    if let Ok(addresses) = Addresses::parse(&text)
        && addresses.contain(HERE)
        && addresses.contain(Ipv4Addr::LOCALHOST.into())
    {
        assert!(text.contains(['*', ',', '-', '{']), "{text}");
    }
}

/// The doors of ACL 1.0 and 2.0.
pub fn doors() -> [Door; 2] {
    let plain =
        Door::new(DoorRules { plain: true, ..DoorRules::default() }, Arc::new(ArcSwap::default()));
    let mut rules = Rules::default();
    rules.add(PLAIN).expect("a good file");
    plain.set_plain(rules);
    let book = USERS.iter().enumerate().fold(Book::default(), |book, (n, (name, secret))| {
        let kind = if n == 0 { UserType::Super } else { UserType::Normal };
        book.with_user(User::new(name, secret, kind))
    });
    let book =
        [("annannann", "mine"), ("bobbobbob", "his")].iter().fold(book, |book, (name, topic)| {
            let info: AclInfo =
                json::from_slice(RULES.replace("NAME", topic).as_bytes()).expect("good JSON");
            book.put_acl(Some(&format!("User:{name}")), &info).expect("good rules")
        });
    let rules = DoorRules { authentication: true, authorization: true, ..DoorRules::default() };
    [plain, Door::new(rules, Arc::new(ArcSwap::from_pointee(book)))]
}

/// What a signature is over: values in the order of their names, then the body. Written again
/// here, so that the door is compared with something.
pub fn signed_content(request: &Command, with_mark: bool) -> Vec<u8> {
    let mut fields: Vec<_> = request
        .fields
        .iter()
        .filter(|(name, _)| *name != SIGNATURE && (with_mark || *name != "_UNIQUE_KEY_QUERY"))
        .collect();
    fields.sort_by_cached_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
    let values = fields.iter().flat_map(|(_, value)| value.bytes());
    values.chain(request.body.iter().copied()).collect()
}

/// A frame of a stranger, who knows no secret: nothing gets in.
pub fn request(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    let Ok(Some(request)) = frame::decode(&mut buffer) else { return };
    for door in doors() {
        assert!(door.check(&request, HERE).is_err(), "{request:?}");
    }
    // Nor does it by being somebody: known users get no further than their rules, and a topic of
    // one is never the other's.
    for (user, secret) in &USERS[1..] {
        let mut request = request.clone();
        while request.fields.remove(ACCESS_KEY).is_some() {}
        Credentials::new(user, secret).sign(&mut request);
        let other = if *user == "annannann" { "his" } else { "mine" };
        let sends = [RequestCode::SendMessage, RequestCode::SendMessageV2];
        let field = if request.code == sends[0] as i32 { "topic" } else { "b" };
        if sends.iter().any(|code| *code as i32 == request.code)
            && request.fields.get(field) == Some(other)
        {
            for door in doors() {
                assert!(door.check(&request, HERE).is_err(), "{user}: {request:?}");
            }
        }
    }
}

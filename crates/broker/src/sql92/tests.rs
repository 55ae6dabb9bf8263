use serde_json::Value;
use skua_protocol::body::{EXPRESSION_SQL92, SubscriptionData};
use skua_protocol::properties::Properties;
use skua_protocol::{Millis, json};

use super::bloom::Bloom;
use super::consumer_filters::ConsumerFilters;
use super::*;

fn reason_of(expression: &str) -> Reason {
    CompiledFilter::compile(expression).expect_err("an expression that is refused").reason
}

fn matches(expression: &str, properties: &str) -> bool {
    let filter = CompiledFilter::compile(expression).expect("an expression that compiles");
    filter.matches(Properties::new(properties))
}

/// Lines of expression, encoded properties and what Java 5.5.0's `SqlFilter` made of them.
#[test]
fn expressions_mean_what_they_mean_to_java() {
    let mut differing = Vec::new();
    let lines = include_str!("fixtures/java_5_5_0.jsonl");
    for line in lines.lines() {
        let [expression, properties, expected]: [String; 3] =
            serde_json::from_str(line).expect("a line of the fixture");
        let found = match CompiledFilter::compile(&expression) {
            Err(_) => "syntax",
            Ok(filter) => match filter.evaluate(Properties::new(&properties)) {
                Err(_) => "error",
                Ok(None) => "null",
                Ok(Some(true)) => "match",
                Ok(Some(false)) => "no",
            },
        };
        if found != expected {
            differing.push(format!("{line}, not {found}"));
        }
    }
    assert!(lines.lines().count() > 800);
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn errors_say_where_and_why() {
    for (expression, error) in [
        (
            "a = = 1",
            "at line 1, column 5: found `=`, expected a property, a constant or a parenthesis",
        ),
        ("a = 1 AND\n  b > 'x'", "at line 2, column 7: a text has no order to compare by"),
        ("ä = 1", "at line 1, column 1: character 'ä' begins no token"),
        ("a = 'ä' AND b = 'x", "at line 1, column 17: the quoted text has no end"),
        ("a = 1 /* x", "at line 1, column 7: the comment has no end"),
        ("a IS 5", "at line 1, column 6: found `5`, expected NULL or NOT NULL"),
        (
            "a NOT LIKE 'x'",
            "at line 1, column 7: found `LIKE`, expected BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH",
        ),
        (
            "(a = 1",
            "at line 1, column 7: found the end, expected an operator or a closing parenthesis",
        ),
        ("a IN ('x', 5)", "at line 1, column 12: found `5`, expected a quoted text"),
        (
            "-a IN ('x')",
            "at line 1, column 1: IN asks for a property on its left, found a negated value",
        ),
        ("a = NULL", "at line 1, column 5: NULL equals nothing; IS NULL asks for it"),
        ("TRUE = 'x'", "at line 1, column 1: TRUE or FALSE cannot equal a text"),
        (
            "a BETWEEN 5 AND 1",
            "at line 1, column 11: BETWEEN's lower bound is greater than its upper bound",
        ),
        (
            "a = 9223372036854775808",
            "at line 1, column 5: 9223372036854775808 is beyond a 64-bit integer",
        ),
        ("a = 1e400", "at line 1, column 5: 1e400 is beyond a double"),
        ("a = 0.0", "at line 1, column 5: 0.0 is less than the least positive double"),
        ("a OR 5", "at line 1, column 6: a number is neither true nor false"),
        (
            "",
            "at line 1, column 1: found the end, expected a property, a constant or a parenthesis",
        ),
    ] {
        let found = CompiledFilter::compile(expression).map_err(|error| error.to_string());
        assert_eq!(found.err().as_deref(), Some(error), "{expression:?}");
    }
}

/// Java reads one token beyond, and so does not know LIKE either.
#[test]
fn what_follows_a_whole_expression_is_not_looked_at() {
    assert!(matches("a = 1 LIKE 'x' #", "a\u{1}1"));
    assert!(matches("a = 007", "a\u{1}0"));
    assert_eq!(reason_of("a = 1 # b"), Reason::UnknownCharacter('#'));
}

#[test]
fn nesting_is_bounded_in_every_form() {
    let forms: [fn(usize) -> String; 6] = [
        |n| format!("{}a{}", "(".repeat(n), ")".repeat(n)),
        |n| format!("{} a", "NOT ".repeat(n)),
        |n| format!("b = {}1", "- ".repeat(n)),
        |n| format!("b = {}1", "+ ".repeat(n)),
        |n| format!("a{}", " IS NULL".repeat(n)),
        |n| format!("a{}", " CONTAINS 'x'".repeat(n)),
    ];
    for form in forms {
        let filter = CompiledFilter::compile(&form(NESTING_MAX - 2)).expect("few enough levels");
        let _ = filter.evaluate(Properties::new("a\u{1}1"));
        for levels in [NESTING_MAX + 1, 10_000] {
            assert_eq!(reason_of(&form(levels)), Reason::TooDeep { max: NESTING_MAX });
        }
    }
    // Each level of parentheses leaves a chain behind, so the tree is deeper than the descent.
    let mut expression = "a".to_owned();
    for _ in 0..NESTING_MAX / 2 {
        expression = format!("({expression} IS NULL IS NULL IS NULL)");
    }
    assert_eq!(reason_of(&expression), Reason::TooDeep { max: NESTING_MAX });
}

#[test]
fn length_and_terms_are_bounded() {
    let chain = |terms: usize| vec!["a = 1"; terms].join(" OR ");
    assert!(matches(&chain(5000), "a\u{1}1"));
    assert_eq!(reason_of(&chain(6000)), Reason::TooManyTerms { max: TERMS_MAX });
    let list = |len: usize| format!("a IN ('{}')", "x".repeat(len - 9));
    assert!(CompiledFilter::compile(&list(EXPRESSION_LEN_MAX)).is_ok());
    let (len, max) = (EXPRESSION_LEN_MAX + 1, EXPRESSION_LEN_MAX);
    assert_eq!(reason_of(&list(len)), Reason::TooLong { len, max });
}

#[test]
fn nested_ranges_evaluate_each_value_once() {
    // Java builds two comparisons over one value, so each level doubles its work. This one would
    // not come to an end.
    let mut expression = "a".to_owned();
    for _ in 0..NESTING_MAX / 3 {
        expression = format!("-({expression} BETWEEN 1 AND 2)");
    }
    assert!(!matches(&format!("{expression} > 1"), "a\u{1}1"));
}

#[test]
fn more_properties_than_are_held_inline_are_found() {
    let names: Vec<String> = (0..3 * PROPERTIES_INLINE).map(|n| format!("p{n}")).collect();
    let properties: String = names.iter().map(|name| format!("{name}\u{1}{name}\u{2}")).collect();
    let all: Vec<String> = names.iter().map(|name| format!("{name} = '{name}'")).collect();
    for wanted in 1..=all.len() {
        assert!(matches(&all[..wanted].join(" AND "), &properties));
        assert!(!matches(&all[..wanted].join(" AND "), &properties.replace("p0\u{2}", "x\u{2}")));
    }
}

#[test]
fn a_name_that_comes_twice_has_its_last_value() {
    assert!(matches("a = 2", "a\u{1}1\u{2}a\u{1}2\u{2}"));
}

fn bloom() -> Bloom {
    Bloom::new(20, 4).expect("measures in range")
}

fn sql(topic: &str, expression: &str, version: i64) -> SubscriptionData {
    SubscriptionData {
        topic: topic.into(),
        sub_string: expression.into(),
        expression_type: EXPRESSION_SQL92.into(),
        sub_version: version,
        ..SubscriptionData::default()
    }
}

fn registered(subscriptions: &[SubscriptionData], now: i64) -> ConsumerFilters {
    let mut filters = ConsumerFilters::new(bloom());
    filters.register("g", subscriptions.iter(), Millis(now));
    filters
}

/// A file that Java 5.5.0 left, with maxErrorRateOfBloomFilter=20, expectConsumerNumUseFilter=4.
const JAVA_FILE: &[u8] = include_bytes!("fixtures/consumerFilter.json");

#[test]
fn a_file_of_java_is_read_and_written_as_it_is() {
    let mut filters = ConsumerFilters::new(bloom());
    filters.load(json::from_slice(JAVA_FILE).expect("Java's file"), Millis(0));
    let data = filters.get("TopicA", "CG_sql").expect("Java's group");
    assert!(data.is_dead());
    assert_eq!(data.bloom_filter_data, Some(bloom().bits_of("CG_sql", "TopicA")));
    let compiled = data.compiled.as_ref().expect("Java's expression");
    assert!(compiled.matches(Properties::new("color\u{1}red\u{2}n\u{1}3")));
    assert!(!compiled.matches(Properties::new("color\u{1}red\u{2}n\u{1}2")));
    let value = |content: &[u8]| serde_json::from_slice::<Value>(content).expect("JSON");
    assert_eq!(value(&filters.encode()), value(JAVA_FILE));
    assert_eq!(filters.encode_if_changed(), None);
}

#[test]
fn a_file_for_bit_maps_of_other_measures_is_dropped() {
    let mut filters = ConsumerFilters::new(Bloom::new(20, 32).expect("measures in range"));
    filters.load(json::from_slice(JAVA_FILE).expect("Java's file"), Millis(0));
    assert!(filters.get("TopicA", "CG_sql").is_none());
}

#[test]
fn filters_of_a_file_are_dead_until_their_group_is_back() {
    let subscriptions = [sql("T", "a = 1", 5)];
    let file = registered(&subscriptions, 1_000_000).encode();
    let mut filters = ConsumerFilters::new(bloom());
    filters.load(json::from_slice(&file).expect("our own file"), Millis(2_000_000));
    let dead_time = filters.get("T", "g").expect("the filter").dead_time;
    assert_eq!(dead_time, Millis(1_970_000));
    filters.register("g", subscriptions.iter(), Millis(2_000_001));
    let data = filters.get("T", "g").expect("the filter");
    assert!(!data.is_dead());
    assert_eq!(data.born_time, Millis(1_000_000));
}

#[test]
fn a_newer_subscription_replaces_the_filter_and_an_older_does_not() {
    let mut filters = registered(&[sql("T", "a = 1", 5)], 10);
    assert!(filters.encode_if_changed().is_some());
    filters.register("g", [sql("T", "a = 2", 4)].iter(), Millis(11));
    filters.register("g", [sql("T", "a = 2", 5)].iter(), Millis(11));
    assert_eq!(filters.get("T", "g").expect("the filter").expression, "a = 1");
    assert_eq!(filters.encode_if_changed(), None);

    filters.register("g", [sql("T", "a = 1", 6)].iter(), Millis(12));
    let data = filters.get("T", "g").expect("the filter");
    assert_eq!((data.client_version, data.born_time), (6, Millis(10)));
    assert!(filters.encode_if_changed().is_some());

    filters.register("g", [sql("T", "a = 2", 7)].iter(), Millis(13));
    let data = filters.get("T", "g").expect("the filter");
    assert_eq!((data.expression.as_str(), data.born_time), ("a = 2", Millis(13)));

    filters.register("g", [sql("T", "a = = 3", 8)].iter(), Millis(14));
    assert!(filters.get("T", "g").is_none());
}

#[test]
fn filters_that_nobody_subscribes_to_die_and_are_cleaned_later() {
    let mut filters = registered(&[sql("T", "a = 1", 5), sql("U", "a = 1", 5)], 10);
    filters.register("g", [sql("T", "a = 1", 5)].iter(), Millis(20));
    let is_dead =
        |filters: &ConsumerFilters, topic| filters.get(topic, "g").expect("the filter").is_dead();
    assert!(!is_dead(&filters, "T"));
    assert!(is_dead(&filters, "U"));
    filters.bury_absent(|_| false, Millis(30));
    assert!(is_dead(&filters, "T"));

    filters.clean(100, Millis(119));
    assert!(filters.get("U", "g").is_some());
    filters.clean(100, Millis(120));
    assert!(filters.get("U", "g").is_none());
    assert!(filters.get("T", "g").is_some());
}

#[test]
fn subscriptions_by_tags_have_no_filter() {
    let tags = SubscriptionData::by_tags("T", "TagA", Millis(5));
    let filters = registered(&[tags, sql("U", "", 5)], 10);
    assert!(filters.get("T", "g").is_none());
    assert!(filters.get("U", "g").is_none());
    let strange = SubscriptionData { expression_type: "XPATH".into(), ..sql("T", "a", 5) };
    assert!(registered(&[strange], 10).get("T", "g").is_none());
}

#[test]
fn bit_maps_tell_which_groups_took_a_message() {
    let mut filters = ConsumerFilters::new(Bloom::new(1, 32).expect("measures in range"));
    filters.register("g1", [sql("T", "a = 1", 1)].iter(), Millis(10));
    filters.register("g2", [sql("T", "a = 2", 1)].iter(), Millis(10));
    let map = filters.bit_map("T", Properties::new("a\u{1}1")).expect("a filtered topic");
    let data = |group| filters.get("T", group).expect("the filter");
    let bits = |group| filters.group_bits(data(group)).expect("of these measures");
    assert!(bits("g1").may_match(Millis(11), &map));
    assert!(!bits("g2").may_match(Millis(11), &map));
    // Stored before the group came.
    assert!(bits("g2").may_match(Millis(10), &map));
    assert_eq!(filters.bit_map("U", Properties::new("a\u{1}1")), None);
}

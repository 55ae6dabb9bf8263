//! What is done with texts that anyone may have sent. Each function takes any bytes at all and
//! panics only if the code under test breaks its word. Run with soups of tokens by `cargo test`,
//! and by cargo-fuzz from `/fuzz`.

use skua_broker::sql92::CompiledFilter;
use skua_broker::sql92::bloom::Bloom;
use skua_broker::sql92::consumer_filters::ConsumerFilters;
use skua_protocol::properties::Properties;
use skua_protocol::{Millis, json};

/// An expression, a zero byte, and the encoded properties of a message.
pub fn sql92(data: &[u8]) {
    let (expression, properties) = match data.iter().position(|&byte| byte == 0) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &b"a\x011\x02b\x01x\x02"[..]),
    };
    let expression = String::from_utf8_lossy(expression);
    match CompiledFilter::compile(&expression) {
        Ok(filter) => {
            let properties = Properties::new(properties);
            let result = filter.evaluate(properties);
            assert_eq!(filter.matches(properties), result == Ok(Some(true)));
            assert_eq!(filter.expression(), expression);
            // What follows a whole expression is not looked at.
            let longer = CompiledFilter::compile(&format!("{expression} ) \u{1}"));
            assert_eq!(
                longer.map(|longer| longer.matches(properties)),
                Ok(filter.matches(properties))
            );
        }
        Err(error) => {
            let line = expression.split('\n').nth(error.line - 1).expect("a line of the text");
            assert!((1..=line.chars().count() + 1).contains(&error.column), "{error}");
        }
    }
}

/// `consumerFilter.json`.
pub fn consumer_filters(data: &[u8]) {
    let bloom = Bloom::new(20, 4).expect("measures in range");
    let mut filters = ConsumerFilters::new(bloom);
    if let Ok(file) = json::from_slice(data) {
        filters.load(file, Millis(1_000_000));
        let written = filters.encode();
        let mut again = ConsumerFilters::new(bloom);
        again.load(json::from_slice(&written).expect("what was written"), Millis(1_000_000));
        assert_eq!(again.encode(), written);
    }
}

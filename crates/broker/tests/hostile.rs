//! Expressions and files that no well-meaning peer sends.

#[path = "hostile/targets.rs"]
mod targets;

use proptest::prelude::*;

const TOKENS: &[&str] = &[
    "NOT",
    "and",
    "OR",
    "BETWEEN",
    "IN",
    "IS",
    "NULL",
    "TRUE",
    "FALSE",
    "CONTAINS",
    "STARTSWITH",
    "ENDSWITH",
    "a",
    "b",
    "_x",
    "$",
    "1",
    "0",
    "007",
    "1L",
    "2.5",
    "5.",
    ".5e-3",
    "1e999",
    "9223372036854775808",
    "'x'",
    "''",
    "'it''s'",
    "'",
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "(",
    ")",
    ",",
    "+",
    "-",
    "--",
    "/*",
    "*/",
    "\n",
    "é",
    ".",
    "\0a\u{1}1\u{2}b\u{1}0x1p3\u{2}",
];

const FILE: &str = include_str!("../src/sql92/fixtures/consumerFilter.json");

const NUMBERS: &str =
    "[-+ ]{0,2}(0x)?[0-9a-fA-F]{0,20}[.]?[0-9a-f]{0,20}([pPeE][-+]?[0-9]{1,12})?[fd ]?";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_soup_of_tokens_panics(
        tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..40),
        blank in prop::sample::select(&["", " ", "\n", "/**/"][..]),
    ) {
        targets::sql92(tokens.join(blank).as_bytes());
    }

    #[test]
    fn no_text_panics(text in any::<String>(), properties in any::<Vec<u8>>()) {
        targets::sql92(&[text.as_bytes(), &[0], &properties].concat());
    }

    #[test]
    fn no_value_of_a_property_panics(value in NUMBERS) {
        for expression in ["a > 1", "a < 3000000000", "a >= 1.5", "a = TRUE", "a > b"] {
            let data = format!("{expression}\0a\u{1}{value}\u{2}b\u{1}{value}");
            targets::sql92(data.as_bytes());
        }
    }

    #[test]
    fn no_broken_file_panics(
        at in 0..FILE.len(),
        len in 0..40usize,
        with in prop::sample::select(
            &["", "0", "-1", "null", "{", "[]", "\"", "9223372036854775808"][..]
        ),
    ) {
        let end = (at + len).min(FILE.len());
        targets::consumer_filters(format!("{}{with}{}", &FILE[..at], &FILE[end..]).as_bytes());
    }
}

//! How Java's `printf` and fastjson write values, where scripts cut by it.

use std::fmt::Write;

use serde_json::Value;

/// At most the first `size` characters (Java: `UtilAll.frontStringAtLeast`).
pub fn front(text: &str, size: usize) -> &str {
    text.char_indices().nth(size).map_or(text, |(end, _)| &text[..end])
}

/// A `double` as Java's `String.valueOf` writes it.
pub fn double(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&size) {
        return if value.fract() == 0.0 { format!("{value:.1}") } else { value.to_string() };
    }
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".into()
        } else {
            value.to_string().replace("inf", "Infinity")
        };
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, power)) if !digits.contains('.') => format!("{digits}.0E{power}"),
        _ => text,
    }
}

/// fastjson's pretty form: tabs, and keys that are numbers without quotes.
pub fn pretty_json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, 0, &mut out);
    out
}

fn write_json(value: &Value, depth: usize, out: &mut String) {
    let indent = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n('\t', depth));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                indent(out, depth + 1);
                write_json(item, depth + 1, out);
            }
            indent(out, depth);
            out.push(']');
        }
        Value::Object(fields) if !fields.is_empty() => {
            out.push('{');
            for (index, (key, item)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                indent(out, depth + 1);
                if key.parse::<i64>().is_ok() {
                    out.push_str(key);
                } else {
                    out.push_str(&Value::from(key.as_str()).to_string());
                }
                out.push(':');
                write_json(item, depth + 1, out);
            }
            indent(out, depth);
            out.push('}');
        }
        plain => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{plain}");
        }
    }
}

/// A Java map's text: `{a=b, c=d}`.
pub fn java_map<K: std::fmt::Display, V: std::fmt::Display>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> String {
    let pairs: Vec<String> =
        pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// The name of a protocol version (Java: `MQVersion`). From 4.0.0 on every minor version has ten
/// patches, each with a snapshot before it; older numbers have no such order and stay numbers.
pub fn version_name(version: i32) -> String {
    const V4_0_0_SNAPSHOT: i32 = 212;
    const PER_MINOR: i32 = 20;
    const PER_MAJOR: i32 = 10 * PER_MINOR;
    let Some(place) = version.checked_sub(V4_0_0_SNAPSHOT).filter(|place| *place >= 0) else {
        return format!("version {version}");
    };
    if place >= 2 * PER_MAJOR {
        return "HIGHER_VERSION".to_owned();
    }
    let (major, minor, patch) =
        (4 + place / PER_MAJOR, place % PER_MAJOR / PER_MINOR, place % PER_MINOR / 2);
    let snapshot = if place % 2 == 0 { "_SNAPSHOT" } else { "" };
    format!("V{major}_{minor}_{patch}{snapshot}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_look_like_javas() {
        for (value, text) in [
            (0.0, "0.0"),
            (12.0, "12.0"),
            (40.319_513_122_860_41, "40.31951312286041"),
            (0.5, "0.5"),
            (1e7, "1.0E7"),
            (1.5e-5, "1.5E-5"),
        ] {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn json_is_indented_by_tabs_and_numbers_as_keys_are_bare() {
        let value = serde_json::json!({"a": {"0": "x:1"}, "b": [], "c": [1, {}], "d\"": null});
        assert_eq!(
            pretty_json(&value),
            "{\n\t\"a\":{\n\t\t0:\"x:1\"\n\t},\n\t\"b\":[],\n\t\"c\":[\n\t\t1,\n\t\t{}\n\t],\n\t\"d\\\"\":null\n}"
        );
    }

    #[test]
    fn versions_have_javas_names() {
        for (version, name) in [
            (213, "V4_0_0"),
            (313, "V4_5_0"),
            (401, "V4_9_4"),
            (409, "V4_9_8"),
            (413, "V5_0_0"),
            (475, "V5_3_1"),
            (512, "V5_5_0_SNAPSHOT"),
            (513, "V5_5_0"),
            (612, "HIGHER_VERSION"),
            (121, "version 121"),
        ] {
            assert_eq!(version_name(version), name);
        }
    }

    #[test]
    fn front_cuts_by_characters() {
        assert_eq!((front("größe", 3), front("ab", 5)), ("grö", "ab"));
    }
}

//! `docs/mqadmin.md`, made from the table of commands.

use std::fmt::Write;

use super::help;
use super::options::{OWN, Syntax};
use crate::commands::COMMANDS;

const HEAD: &str = "\
# mqadmin

Made from the table of commands (`crates/admin/src/commands/`) by the test `the_page_of_commands_is_up_to_date`; change it there.

Every command has the name, the options and the printed columns of RocketMQ 5.5.0's `mqadmin`, and works against a Java name server and broker too. Beyond it, with every command:

| option | what it does |
|---|---|
";

const MIDDLE: &str = "
Exit status: 0 done; 1 failed, with the cause and the address in one line on the error output; 2 wrong usage, or a command for what Skua does not have.

Name servers are those of `-n`, else of the environment variable `NAMESRV_ADDR`, else of the file of defaults. That file is the one named by `SKUA_MQADMIN_CONF`, else `~/.config/skua/mqadmin.conf`, else `/etc/skua/mqadmin.conf`:

```
namesrvAddr=192.168.0.1:9876;192.168.0.2:9876
timeoutSeconds=5
json=false
```

A dry run sends what only looks and prints each request that would change something with its address and fields, for instance `would send DELETE_TOPIC_IN_BROKER to 192.168.0.1:10911: topic=TopicTest`. It works with every command.

`skua completion bash` (or `zsh`, `fish`) prints a script that completes commands and options in a shell.

With `--json` every answer is one JSON value on a line of its own; a command that does several things prints several lines. Field names stay as they are listed here; new ones may be added. `list[].name` is a field of each element, `*` stands for a name that is data (a topic, a queue, a key).

";

pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for opt in &OWN {
        let value = if opt.takes_value { " SECONDS" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `--{}{value}` | {} |", opt.long, opt.help);
    }
    page.push_str(MIDDLE);
    for command in COMMANDS {
        let _ = writeln!(page, "## {}\n\n{}\n", command.name, command.about);
        let usage = help::usage(command.name, &Syntax::new(command.options));
        let example = format!("mqadmin {} {}", command.name, command.example);
        let _ = writeln!(page, "```\n{usage}```\n\nExample: `{}`\n", example.trim_end());
        if command.answer.is_empty() {
            page.push_str("It has no answer: see what it says when it is called.\n\n");
            continue;
        }
        let fields: Vec<String> = command.answer.iter().map(|field| format!("`{field}`")).collect();
        let _ = writeln!(page, "JSON: {}\n", fields.join(", "));
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// Fields of a command's JSON that its row in the table does not list.
pub fn unlisted(command: &str, answer: &serde_json::Value) -> Vec<String> {
    let listed = COMMANDS
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(command))
        .map_or(&[][..], |known| known.answer);
    let mut found = Vec::new();
    walk(answer, &mut Vec::new(), listed, &mut found);
    found
}

fn walk(
    value: &serde_json::Value,
    path: &mut Vec<String>,
    listed: &[&str],
    found: &mut Vec<String>,
) {
    use serde_json::Value;
    match value {
        Value::Array(items) => {
            path.push("[]".to_owned());
            items.iter().for_each(|item| walk(item, path, listed, found));
            path.pop();
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                path.push(name.clone());
                walk(field, path, listed, found);
                path.pop();
            }
        }
        _ if listed.iter().any(|listed| covers(listed, path)) => {}
        _ => found.push(path.join(".")),
    }
}

/// Whether a path of the table (`list[].name`, `table.*`) stands for a place in an answer. At its
/// end `*` stands for everything below, elsewhere for one name.
fn covers(listed: &str, path: &[String]) -> bool {
    let spelt = listed.replace("[]", ".[]");
    let parts: Vec<&str> = spelt.split('.').filter(|part| !part.is_empty()).collect();
    let whole = parts.last() == Some(&"*");
    (parts.len() == path.len() || whole && parts.len() <= path.len())
        && parts.iter().zip(path).all(|(part, name)| *part == "*" || part == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_not_listed_is_found() {
        let answer = serde_json::json!({"addr": "a", "table": {"x": 1}, "new": {"deep": [1]}});
        assert_eq!(unlisted("brokerStatus", &answer), ["new.deep.[]"]);
        let lists = serde_json::json!([{"topic": "T", "new": 1}]);
        assert_eq!(unlisted("topicList", &lists), ["[].new"]);
    }

    #[test]
    fn the_page_of_commands_is_up_to_date() {
        let page = page();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mqadmin.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &page).expect("the page can be written");
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == page, "docs/mqadmin.md is stale: run this test with UPDATE=1");
    }
}

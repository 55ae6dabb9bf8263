//! `docs/configuration.md`, made from the table.

use crate::table::{Effect, Key, classes};

const INTRODUCTION: &str = "# Configuration keys

Made from the table in `crates/config/src/table/`; do not edit by hand.

A file has `key=value` lines in Java's properties syntax, in UTF-8 (or ISO-8859-1). Blanks around values do no harm. `$HOME`, `${NAME}` and `${user.home}` stand for environment variables and the home folder. Of a key given twice the last line counts. The command line wins over the file, and the file over `NAMESRV_ADDR`.

A value that its key does not take stops the start, with file, line and what is accepted. A key that is not known, or that Skua does not obey yet, is named in a warning and has no effect.

What a change by `updateBrokerConfig` or `updateNamesrvConfig` does:

- **at once**: obeyed from then on;
- **at start**: obeyed from the next start on, if it is in the file then;
- **no effect**: known, not obeyed yet;
- **default only**: another value would ask for RocksDB, which Skua does not have, and stops the start;
- **not settable**: a field in RocketMQ that no file sets.

Keys in bold are the ones that `-m` lists.
";

/// The whole page.
pub fn page() -> String {
    let mut out = String::from(INTRODUCTION);
    for (title, keys) in classes() {
        let class = keys.first().map_or("", |key| key.class);
        out.push_str(&format!("\n## {title} (`{class}`)\n\n"));
        out.push_str(
            "| key | type | default | a change counts | meaning |\n|---|---|---|---|---|\n",
        );
        keys.iter().for_each(|key| row(&mut out, key));
    }
    out.push_str(
        "\n## Other spellings\n\nRead with a warning, if the right spelling is not there.\n\n",
    );
    out.push_str("| given | read as |\n|---|---|\n");
    for key in classes().into_iter().flat_map(|(_, keys)| keys) {
        for alias in key.aliases {
            out.push_str(&format!("| `{alias}` | `{}` |\n", key.name));
        }
    }
    out
}

fn row(out: &mut String, key: &Key) {
    let name = match key.important {
        true => format!("**`{}`**", key.name),
        false => format!("`{}`", key.name),
    };
    let default = match key.default_text().as_str() {
        "" => "empty".to_owned(),
        "null" => "none".to_owned(),
        text => format!("`{text}`"),
    };
    let effect = match key.effect {
        Effect::Live => "at once",
        Effect::Restart => "at start",
        Effect::Inert => "no effect",
        Effect::Refused | Effect::NotServed => "default only",
        Effect::Unset => "not settable",
    };
    out.push_str(&format!("| {name} | {} | {default} | {effect} | {} |\n", key.type_name, key.doc));
}

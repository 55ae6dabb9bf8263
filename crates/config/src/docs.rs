//! `docs/configuration.md`, made from the table.

use crate::table::{
    AuthConfig, BrokerConfig, ClientConfig, ControllerConfig, Effect, Key, NamesrvConfig,
    ServerConfig, StoreConfig,
};
use crate::{ALIASES, Environment};

/// The whole page, with defaults as on the machine of `env`.
pub fn page(env: &Environment) -> String {
    let mut out = String::from(INTRODUCTION);
    let classes = [
        (BrokerConfig::KEYS, BrokerConfig::new(env).pairs(), "Broker"),
        (StoreConfig::KEYS, StoreConfig::new(env).pairs(), "Store"),
        (ServerConfig::KEYS, ServerConfig::new(env).pairs(), "Listening sockets"),
        (NamesrvConfig::KEYS, NamesrvConfig::new(env).pairs(), "Name server"),
        (ClientConfig::KEYS, ClientConfig::new(env).pairs(), "Outgoing connections"),
        (AuthConfig::KEYS, AuthConfig::new(env).pairs(), "Authentication"),
        (ControllerConfig::KEYS, ControllerConfig::new(env).pairs(), "Controller"),
    ];
    for (keys, defaults, title) in &classes {
        section(&mut out, title, keys, defaults);
    }
    out.push_str("\n## Other spellings\n\n| given | read as |\n|---|---|\n");
    for (wrong, right) in ALIASES {
        out.push_str(&format!("| `{wrong}` | `{right}` |\n"));
    }
    out
}

const INTRODUCTION: &str = "# Configuration keys

Made from the table in `crates/config/src/table/`; do not edit by hand.

A file has `key=value` lines in Java's properties syntax. Blanks around values do no harm; `$HOME` and `${NAME}` stand for environment variables. A value that its key does not take stops the start, with file and line; a key that is not known, or that Skua does not obey yet, is named in a warning.

Defaults that depend on the machine are shown for one with 4 cores named `host` at 10.0.0.1 with the home folder `/root`.
";

fn section(out: &mut String, title: &str, keys: &[Key], defaults: &[(&str, String)]) {
    out.push_str(&format!("\n## {title}\n"));
    let rows = || keys.iter().zip(defaults.iter().map(|(_, value)| value));
    if rows().any(|(key, _)| key.effect != Effect::Inert) {
        out.push_str(
            "\n| key | type | default | changes count | meaning |\n|---|---|---|---|---|\n",
        );
        for (key, value) in rows().filter(|(key, _)| key.effect != Effect::Inert) {
            let when = if key.effect == Effect::Live { "at once" } else { "at the next start" };
            out.push_str(&format!(
                "| `{}` | {} | {} | {when} | {} |\n",
                key.name,
                key.type_name,
                code(value),
                key.doc.trim()
            ));
        }
    }
    let inert: Vec<String> = rows()
        .filter(|(key, _)| key.effect == Effect::Inert)
        .map(|(key, value)| format!("`{}` ({}, {})", key.name, key.type_name, code(value)))
        .collect();
    if !inert.is_empty() {
        out.push_str(&format!("\nKnown, without effect in Skua yet: {}.\n", inert.join(", ")));
    }
}

fn code(value: &str) -> String {
    if value.is_empty() { "empty".into() } else { format!("`{value}`") }
}

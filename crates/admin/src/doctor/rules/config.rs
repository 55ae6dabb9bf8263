//! Configuration keys that do nothing or are misspelt, in files and in what brokers run with.

use skua_config::{Effect, Environment, Properties, Role, Settings, table};

use super::{Finding, Level, Tell};
use crate::doctor::facts::{Answer, ConfigFile, Facts};

pub(super) fn examine(facts: &Facts, out: &mut Vec<Finding>) {
    for file in &facts.files {
        of_file(file, out);
    }
    for broker in &facts.brokers {
        if let Ok(answer) = &broker.answer {
            of_broker(&broker.key, answer, out);
        }
    }
}

/// A file is judged as the broker would judge it at its start.
fn of_file(file: &ConfigFile, out: &mut Vec<Finding>) {
    let content = match &file.content {
        Ok(content) => content,
        Err(cause) => {
            out.tell(Level::Warning, "config-unreadable", &file.path, cause, "check the path");
            return;
        }
    };
    let properties = Properties::parse(content, &file.path);
    match Settings::load(Role::Broker, &properties, &[], &Environment::default()) {
        Ok((_, warnings)) => {
            for warning in warnings {
                let advice = "see docs/configuration.md for every key and what it does";
                out.tell(Level::Warning, "config-key", &file.path, warning.to_string(), advice);
            }
        }
        Err(cause) => {
            let advice = "the broker would not start with this file";
            out.tell(Level::Critical, "config-refused", &file.path, cause.to_string(), advice);
        }
    }
}

/// A Java broker obeys its keys; of Skua's the ones that are set and do nothing are told.
fn of_broker(key: &impl std::fmt::Display, answer: &Answer, out: &mut Vec<Finding>) {
    if !answer.is_skua() {
        return;
    }
    let env = Environment::default();
    let rows = || table::classes().into_iter().flat_map(|(_, keys)| keys);
    for (name, value) in &answer.config {
        let same = || rows().filter(|row| row.name == name);
        if same().next().is_none() {
            let what = format!("{name}={value} is no key that a broker has");
            let advice = "it is misspelt, or of another program: see docs/configuration.md";
            out.tell(Level::Warning, "config-key", key, what, advice);
        } else if same().all(|row| row.effect == Effect::Inert)
            && same().all(|row| {
                // A default that depends on the machine says nothing about another machine.
                let default = row.default(&env);
                default.is_some_and(|default| default == row.default_text() && default != *value)
            })
        {
            let what = format!("{name}={value} has no effect");
            let advice = "Skua has nothing that this key would steer: see docs/configuration.md";
            out.tell(Level::Note, "config-inert", key, what, advice);
        }
    }
}

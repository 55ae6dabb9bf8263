//! Checks of texts that have a form of their own. `Err` says what is accepted.

use std::net::IpAddr;

/// Addresses as `host:port`, with `;` between. Java keeps blanks round `;` as part of the host;
/// here they do no harm.
pub(crate) fn addresses(text: &str) -> Result<(), String> {
    let mut addresses = text.split(';').map(str::trim).filter(|address| !address.is_empty());
    let valid = addresses.all(|address| {
        address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && !host.contains(char::is_whitespace)
                && port.parse::<u16>().is_ok_and(|port| port != 0)
        })
    });
    if valid {
        Ok(())
    } else {
        Err("host:port;host:port, as in 127.0.0.1:9876;192.168.0.1:9876".into())
    }
}

pub(crate) fn host(text: &str) -> Result<(), String> {
    let is_name = |text: &str| {
        let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        // What has digits and dots alone is meant as an address.
        text.bytes().all(part) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    match text.parse::<IpAddr>().is_ok() || is_name(text) {
        true => Ok(()),
        false => Err("an IP address or a host's name, as in 192.168.0.1".into()),
    }
}

/// Hours of the day, `04;16`. Java takes no blanks and, with one hour wrong, never deletes.
pub(crate) fn hours(text: &str) -> Result<(), String> {
    let mut hours = text.split(';').map(str::trim).filter(|hour| !hour.is_empty());
    if hours.all(|hour| hour.parse::<u8>().is_ok_and(|hour| hour < 24)) {
        Ok(())
    } else {
        Err("hours from 0 to 23, with ; between, as in 04;16".into())
    }
}

/// Delay levels, `1s 5s 1m 2h 1d`.
pub(crate) fn delay_levels(text: &str) -> Result<(), String> {
    let valid = text.split_whitespace().all(|level| {
        let number = level.strip_suffix(['s', 'm', 'h', 'd']);
        number.is_some_and(|number| number.parse::<u16>().is_ok())
    });
    if valid && !text.is_empty() {
        Ok(())
    } else {
        Err("numbers up to 65535, each with s, m, h or d, with blanks between, as in 1s 30s 2h"
            .into())
    }
}

/// One folder, or several with `,` between them.
pub(crate) fn folders(text: &str) -> Result<(), String> {
    if text.split(',').any(|folder| folder.trim().is_empty()) {
        Err("a folder, or several with , between them".into())
    } else {
        Ok(())
    }
}

/// Levels of the log, `info` or `skua_store=debug,info`.
pub(crate) fn log_levels(text: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |text: &str| LEVELS.iter().any(|level| text.eq_ignore_ascii_case(level));
    let is_target = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c))
    };
    let valid = text.split(',').map(str::trim).all(|part| match part.split_once('=') {
        Some((target, level)) => is_target(target) && is_level(level),
        None => is_level(part),
    });
    if valid {
        Ok(())
    } else {
        Err("off, error, warn, info, debug or trace, or parts with a level each, as in skua_store=debug,info".into())
    }
}

/// Java's own classes of authentication and authorization; another one's rules Skua cannot know.
pub(crate) fn auth_class(text: &str) -> Result<(), String> {
    const PACKAGES: [&str; 2] =
        ["org.apache.rocketmq.auth.authentication.", "org.apache.rocketmq.auth.authorization."];
    if text.is_empty() || PACKAGES.iter().any(|package| text.starts_with(package)) {
        Ok(())
    } else {
        Err("nothing, or a class of RocketMQ's own auth module: Skua runs no Java classes".into())
    }
}

/// A JSON object on one line; what it has to hold is for its reader to say.
pub(crate) fn json_object(text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.is_empty() || (text.starts_with('{') && text.ends_with('}')) {
        Ok(())
    } else {
        Err("a JSON object, as in {\"username\":\"admin\",\"password\":\"…\"}".into())
    }
}

pub(crate) fn tls_mode(text: &str) -> Result<(), String> {
    one_of(text, &["disabled", "permissive", "enforcing"])
}

pub(crate) fn client_auth(text: &str) -> Result<(), String> {
    one_of(text, &["none", "optional", "require"])
}

fn one_of(text: &str, words: &[&str]) -> Result<(), String> {
    if words.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Ok(())
    } else {
        Err(words.join(", "))
    }
}

//! How this process shows itself to others when it calls them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use skua_acl::Credentials;
use skua_remoting::{ClientOptions, Hook};

/// Signs everything with these credentials.
pub fn signing(credentials: Option<Credentials>) -> Option<Hook> {
    credentials.map(|credentials| Hook(Arc::new(move |request| credentials.sign(request))))
}

/// What mqadmin and the small clients call others with: the account of `SKUA_ACCESS_KEY` and
/// `SKUA_SECRET_KEY`, or of RocketMQ's `conf/tools.yml` under `ROCKETMQ_HOME`.
pub fn tool_options() -> anyhow::Result<ClientOptions> {
    Ok(ClientOptions { hook: signing(tool_credentials()?), ..ClientOptions::default() })
}

fn tool_credentials() -> anyhow::Result<Option<Credentials>> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable("SKUA_ACCESS_KEY"), variable("SKUA_SECRET_KEY")) {
        (Some(access_key), Some(secret)) => {
            return Ok(Some(Credentials::new(&access_key, &secret)));
        }
        (None, None) => {}
        _ => anyhow::bail!("SKUA_ACCESS_KEY and SKUA_SECRET_KEY are needed together"),
    }
    let Some(home) = variable("ROCKETMQ_HOME") else { return Ok(None) };
    let path = Path::new(&home).join("conf/tools.yml");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let credentials = Credentials::from_yaml(&text).with_context(|| path.display().to_string())?;
    Ok(Some(credentials))
}

//! mqadmin's commands as clap knows commands, for the scripts that complete them in a shell.
//!
//! Options are read by [`crate::mqadmin::options`]; clap only lists them, and has no short names of
//! several letters.

use clap::{Arg, ArgAction, Command};

use crate::commands::COMMANDS;
use crate::mqadmin::options::{OWN, Opt, Syntax};

/// `mqadmin` with every command and option below it.
pub fn mqadmin() -> Command {
    let command = Command::new("mqadmin")
        .about("RocketMQ's mqadmin")
        .disable_help_flag(true)
        .disable_help_subcommand(true);
    command.subcommands(COMMANDS.iter().map(|sub| {
        let syntax = Syntax::new(sub.options);
        let args = syntax.all().chain(OWN).map(|opt| arg(&opt));
        Command::new(sub.name).about(sub.about).disable_help_flag(true).args(args)
    }))
}

fn arg(opt: &Opt) -> Arg {
    // A blank in a long name is Java's slip; a shell cannot complete it.
    let long = opt.long.split(' ').next().unwrap_or(opt.long);
    let action = if opt.takes_value { ArgAction::Set } else { ArgAction::SetTrue };
    let arg = Arg::new(opt.key()).long(long).help(opt.help).action(action);
    let mut letters = opt.short.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => arg.short(letter),
        _ => arg,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_can_be_completed() {
        let command = super::mqadmin();
        command.clone().debug_assert();
        assert_eq!(command.get_subcommands().count(), crate::commands::COMMANDS.len());
    }
}

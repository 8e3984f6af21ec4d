//! `gobctl config path`: where the configuration is. Asks nobody.

use super::{SUPERVISOR, Verb};
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use clap::{ArgMatches, Command};
use serde_json::json;

pub(crate) const VERB: Verb = Verb {
    name: "config",
    aliases: &[],
    group: SUPERVISOR,
    about: "Where the configuration is",
    examples: "Examples:\n  gobctl config path\n  ${EDITOR:-vi} \"$(gobctl config path)\"\n",
    command: |command| {
        command
            .subcommand_required(true)
            .subcommand(Command::new("path").about("Print the path of config.toml"))
    },
    run,
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    let path = context.dirs()?.config;
    if context.json {
        out::print(&format!("{}\n", json!({"path": path.to_string_lossy()})))?;
    } else {
        out::print(&format!("{}\n", path.display()))?;
    }
    Ok(0)
}

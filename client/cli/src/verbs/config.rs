//! `gobctl config path|reload`: where the configuration is, and having the supervisor read it again.

use super::{SUPERVISOR, Verb};
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use crate::text::escape;
use clap::{ArgMatches, Command};
use gob_client::protocol::request::ReloadData;
use gob_client::{Request, requests};
use serde_json::json;

pub(crate) const VERB: Verb = Verb {
    name: "config",
    aliases: &[],
    group: SUPERVISOR,
    about: "Where the configuration is; have it read again",
    examples: "Examples:\n  gobctl config path\n  gobctl config reload\n  ${EDITOR:-vi} \"$(gobctl config path)\"\n",
    command: |command| {
        command
            .subcommand_required(true)
            .subcommand(Command::new("path").about("Print the path of config.toml"))
            .subcommand(Command::new("reload").about("Have the supervisor read it again"))
    },
    run,
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    if matches.subcommand_name() == Some("reload") {
        return reload(context);
    }
    let path = context.dirs()?.config;
    if context.json {
        out::print(&format!("{}\n", json!({"path": path.to_string_lossy()})))?;
    } else {
        out::print(&format!("{}\n", path.display()))?;
    }
    Ok(0)
}

/// Without a supervisor there is nobody who would have to be told: it reads the file when it starts.
fn reload(context: &Context) -> Result<u8, Failure> {
    let request = Request::Reload;
    let data = context.without_autostart().connect("reload")?.call(&request, context.timeout_of(&request))?;
    if context.json {
        print_data(&data)?;
    } else if !context.quiet {
        let ReloadData { changed } = requests::read("reload", &data)?;
        let what =
            if changed.is_empty() { "nothing changed".to_owned() } else { escape(&changed.join(", ")) };
        out::print(&format!("read the configuration again: {what}\n"))?;
    }
    Ok(0)
}

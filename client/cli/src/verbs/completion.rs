//! `gobctl completion SHELL`: the script that teaches a shell gobctl's words.

use super::{Effect, SHELL, Verb};
use crate::afar::Afar;
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use clap::builder::PossibleValue;
use clap::{Arg, ArgMatches};

pub(crate) const VERB: Verb = Verb {
    path: &["completion"],
    group: SHELL,
    effect: Effect::Reads,
    about: "Print the completions of a shell",
    examples: "Examples:\n  eval \"$(gobctl completion bash)\"                                  in ~/.bashrc\n  source <(gobctl completion zsh)                                   in ~/.zshrc, behind compinit\n  gobctl completion fish > ~/.config/fish/completions/gobctl.fish   once\n\nVerbs, flags and values are completed, and names that exist: of workers, graphs, kinds, owners, lanes, locks, runs and jobs of the queue. Nothing is started for it; without a supervisor, or with one that does not answer at once, names are those of the last known state.\n",
    command: |command| {
        let shells = SCRIPTS.map(|(shell, _)| PossibleValue::new(shell));
        let help = "The shell that reads the script";
        command.arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(shells).help(help))
    },
    afar: Afar::Never("it is for the shell here"),
    run: Some(run),
    ..Verb::ROW
};

const SCRIPTS: [(&str, &str); 3] = [
    ("bash", include_str!("../complete/scripts/gobctl.bash")),
    ("zsh", include_str!("../complete/scripts/gobctl.zsh")),
    ("fish", include_str!("../complete/scripts/gobctl.fish")),
];

fn run(_: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let shell = matches.get_one::<String>("shell").map_or("", String::as_str);
    let script = SCRIPTS.iter().find(|(known, _)| *known == shell).map_or("", |(_, script)| script);
    out::print(script).map(|()| 0)
}

//! Help for programs: every verb with its arguments, flags and values, and whether it reads, changes or
//! destroys.

use crate::failure::Failure;
use crate::manual::{EXIT_CODES, TOPICS};
use crate::out;
use crate::verbs::{Verb, first_words};
use clap::{Arg, ArgAction, Command};
use gob_client::protocol::limits::PROTOCOL;
use serde_json::{Value, json};

/// Prints help about one verb, or about all.
pub(crate) fn print(verb: Option<&Verb>) -> Result<u8, Failure> {
    let document = match verb {
        Some(verb) => of_verb(verb),
        None => everything(),
    };
    out::print(&format!("{document}\n")).map(|()| 0)
}

fn everything() -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "protocol": PROTOCOL,
        "verbs": first_words().map(of_verb).collect::<Vec<_>>(),
        "global_flags": flags(&crate::args::root(None), &Verb::ROW),
        "exit_codes": EXIT_CODES.iter().map(|(code, means)| json!({"code": code, "means": means})).collect::<Vec<_>>(),
        "topics": TOPICS.iter().map(|(name, about)| json!({"name": name, "about": about})).collect::<Vec<_>>(),
    })
}

fn of_verb(verb: &Verb) -> Value {
    let mut told = of_row(verb);
    if let Some(fields) = told.as_object_mut() {
        fields.insert("aliases".to_owned(), json!(verb.aliases));
        fields.insert("group".to_owned(), json!(verb.group));
    }
    told
}

/// Describes a row of the table, with the rows below it.
fn of_row(verb: &Verb) -> Value {
    let command = (verb.command)(Command::new(verb.last_word()));
    let below: Vec<Value> = verb.below().map(of_row).collect();
    let arguments: Vec<Value> = command.get_positionals().map(argument).collect();
    let mut told = json!({
        "name": verb.last_word(),
        "about": verb.about,
        "effect": verb.effect().as_str(),
        "timeout": verb.timeout.text,
        "arguments": arguments,
        "flags": flags(&command, verb),
    });
    if let (false, Some(fields)) = (below.is_empty(), told.as_object_mut()) {
        fields.insert("words".to_owned(), Value::Array(below));
    }
    told
}

fn argument(arg: &Arg) -> Value {
    json!({
        "name": value_name(arg),
        "required": arg.is_required_set(),
        "many": takes_many(arg),
        "values": values(arg),
        "help": help(arg),
    })
}

fn flags(command: &Command, verb: &Verb) -> Vec<Value> {
    let own = command.get_arguments().filter(|arg| !arg.is_positional() && arg.get_id() != "help");
    own.map(|arg| flag(arg, verb)).collect()
}

fn flag(arg: &Arg, verb: &Verb) -> Value {
    let long = arg.get_long().map(|long| format!("--{long}"));
    let takes_value = arg.get_action().takes_values();
    let defaults: Vec<String> = if takes_value {
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect()
    } else {
        Vec::new()
    };
    let mut told = json!({
        "long": long,
        "short": arg.get_short().map(|short| format!("-{short}")),
        "value": takes_value.then(|| value_name(arg)),
        "values": values(arg),
        "default": defaults.first(),
        "many": takes_many(arg),
        "help": help(arg),
    });
    // Only where the flag changes the effect of the verb.
    let effect =
        verb.flags.iter().find(|(flag, _)| long.as_deref() == Some(*flag)).map(|(_, effect)| effect.as_str());
    if let (Some(effect), Some(fields)) = (effect, told.as_object_mut()) {
        fields.insert("effect".to_owned(), effect.into());
    }
    told
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().to_string(), ToString::to_string)
}

/// Returns the possible values; `null` where any text may be one.
fn values(arg: &Arg) -> Option<Vec<String>> {
    let values = if arg.get_action().takes_values() { arg.get_possible_values() } else { Vec::new() };
    (!values.is_empty()).then(|| values.iter().map(|value| value.get_name().to_owned()).collect())
}

fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
        || arg.get_num_args().is_some_and(|num| num.max_values() > 1)
}

fn help(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_for_programs_has_every_verb_and_explains_every_flag() {
        let told = everything();
        let verbs = told["verbs"].as_array().unwrap();
        let names: Vec<&str> = verbs.iter().map(|verb| verb["name"].as_str().unwrap()).collect();
        assert_eq!(names, first_words().map(Verb::name).collect::<Vec<_>>());
        let all: Vec<&Value> = verbs
            .iter()
            .flat_map(|verb| [verb].into_iter().chain(verb["words"].as_array().into_iter().flatten()))
            .collect();
        for verb in all {
            assert!(["reads", "changes", "destroys"].contains(&verb["effect"].as_str().unwrap()), "{verb}");
            for part in ["flags", "arguments"] {
                for arg in verb[part].as_array().unwrap() {
                    assert!(!arg["help"].as_str().unwrap().is_empty(), "{verb}");
                }
            }
        }
        let verb = |name: &str| verbs.iter().find(|verb| verb["name"] == name).unwrap();
        let flag = |name: &str, long: &str| {
            verb(name)["flags"].as_array().unwrap().iter().find(|flag| flag["long"] == long).unwrap()
        };
        assert_eq!(verb("list")["effect"], "reads");
        assert_eq!(verb("nuke")["effect"], "destroys");
        assert_eq!(flag("doctor", "--fix")["effect"], "destroys");
        assert!(flag("list", "--state")["values"].as_array().unwrap().contains(&json!("ready")));
        assert!(flag("events", "--type")["values"].as_array().unwrap().contains(&json!("stopped")));
        let global: Vec<&str> = told["global_flags"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|flag| flag["long"].as_str())
            .collect();
        assert_eq!(
            global,
            ["--json", "--owner", "--host", "--no-autostart", "--timeout", "--quiet", "--verbose", "--color"]
        );
    }
}

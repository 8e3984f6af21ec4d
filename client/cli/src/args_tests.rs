use super::*;

fn args(line: &str) -> Vec<OsString> {
    std::iter::once("gobctl").chain(line.split_whitespace()).map(OsString::from).collect()
}

fn verb_of(line: &str) -> &'static Verb {
    let Asked::Verb(verb, _) = find_verb(&args(line)) else { panic!("no verb in {line}") };
    verb
}

fn parsed(line: &str) -> Result<(Context, ArgMatches), Failure> {
    parse(args(line), Some(verb_of(line))).map(|parsed| (parsed.context, parsed.matches))
}

#[test]
fn the_verb_is_found_between_flags() {
    assert_eq!(verb_of("start demo").name(), "start");
    assert_eq!(verb_of("--json --owner list -q stop demo").name(), "stop");
    assert_eq!(verb_of("--timeout=3s ls").name(), "list");
    assert_eq!(verb_of("help start").name(), "start");
    assert!(matches!(find_verb(&args("")), Asked::Nothing));
    assert!(matches!(find_verb(&args("--json")), Asked::Nothing));
    assert!(matches!(find_verb(&args("-h")), Asked::Help));
    assert!(matches!(find_verb(&args("help")), Asked::Help));
    assert!(matches!(find_verb(&args("help --json")), Asked::Data(None)));
    assert!(matches!(find_verb(&args("--json --help")), Asked::Data(None)));
    assert!(matches!(find_verb(&args("help list --json")), Asked::Data(Some(verb)) if verb.name() == "list"));
    for topic in ["exit-codes", "environment", "config", "owners"] {
        assert!(matches!(find_verb(&args(&format!("help {topic}"))), Asked::Topic(_)), "{topic}");
    }
    assert!(matches!(find_verb(&args("help dance")), Asked::NoTopic(word) if word == "dance"));
    assert!(matches!(find_verb(&args("--version")), Asked::Version));
    assert!(matches!(find_verb(&args("frobnicate")), Asked::Unknown(word) if word == "frobnicate"));
}

#[test]
fn the_flags_behind_a_jobs_command_are_its_own() {
    let is_json = |line: &str| telling(&args(line)).json;
    for ours in [
        "add --json make",
        "--json add make",
        "add --name a --json make",
        "add -d a --json b",
        "list a --json",
    ] {
        assert!(is_json(ours), "{ours}");
    }
    for theirs in
        ["add make --json", "add -- --json", "--owner x add -q make --json", "add --name=a b --json"]
    {
        assert!(!is_json(theirs), "{theirs}");
    }
    let words = |line: &str| {
        let (context, matches) = parsed(line).unwrap();
        let words = matches.get_many::<OsString>("command").unwrap().map(|word| word.to_str().unwrap());
        (context.quiet, words.collect::<Vec<_>>().join(" "))
    };
    assert_eq!(words("add make -q -j4 --name x -- y"), (false, "make -q -j4 --name x -- y".to_owned()));
    assert_eq!(words("add -q --name x make"), (true, "make".to_owned()));
    assert_eq!(words("create -- -x"), (false, "-x".to_owned()));
    assert!(parsed("add --nmae x make").is_err(), "no program is named like a flag");
}

#[test]
fn the_command_of_a_lock_needs_no_dashes_but_with_a_file() {
    let of = |line: &str| {
        let (context, matches) = parsed(line).unwrap_or_else(|failure| panic!("{line}: {failure:?}"));
        let words = matches.get_many::<OsString>("command").unwrap().map(|word| word.to_str().unwrap());
        let name = matches.get_one::<String>("lock").cloned().unwrap_or_default();
        (name, words.collect::<Vec<_>>().join(" "), context.timeout)
    };
    let want = |name: &str, words: &str, seconds: u64| {
        let timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
        (name.to_owned(), words.to_owned(), timeout)
    };
    assert_eq!(of("lock run n true"), want("n", "true", 0));
    assert_eq!(
        of("lock run --timeout 3s n --priority -5 make -j4 --timeout 9s -- x"),
        want("n", "make -j4 --timeout 9s -- x", 3)
    );
    assert_eq!(of("--timeout 3s lock run n --shared -- -x"), want("n", "-x", 3));
    assert_eq!(of("lock run run true"), want("run", "true", 0));
    assert_eq!(of("lock run --file f -- make all"), want("", "make all", 0));
    assert_eq!(of("lock run n --file=f -- make all"), want("n", "make all", 0));
    for (line, hint) in [
        ("lock run --file f make", "--file PATH -- CMD"),
        ("lock run --file f make all", "--file PATH -- CMD"),
        ("lock run n", "lock run NAME -- CMD"),
        ("with a true", "gobctl with GRAPH… -- CMD"),
        ("with a b", "gobctl with GRAPH… -- CMD"),
        ("lock run n --shraed true", "a similar argument exists"),
    ] {
        let Some(Failure::Own { hint: Some(said), .. }) = parsed(line).err() else { panic!("{line}") };
        assert!(said.contains(hint), "{line}: {said}");
    }
    for theirs in
        ["lock run n make --json", "queue add ci make --json", "queue every ci --cron x make --json"]
    {
        assert!(!telling(&args(theirs)).json, "{theirs}");
    }
    for ours in ["lock run n --json make", "queue add --json ci make", "lock run --file f n --json -- make"] {
        assert!(telling(&args(ours)).json, "{ours}");
    }
}

#[test]
fn only_a_lock_is_tried_for_no_time() {
    for line in
        ["lock run n --timeout 0 -- x", "--timeout 0s lock run n x", "lock run --file f --timeout 0ms -- x"]
    {
        let (context, _) = parsed(line).unwrap_or_else(|failure| panic!("{line}: {failure:?}"));
        assert_eq!(context.timeout, Some(Duration::ZERO), "{line}");
    }
    for line in [
        "lock status --timeout 0",
        "--timeout 0 lock status",
        "lock --timeout 0s break n",
        "--timeout 0 ping",
    ] {
        let Some(Failure::Own { message, exit: 2, .. }) = parsed(line).err() else { panic!("{line}") };
        assert!(message.contains("a duration has to be longer than nothing"), "{line}: {message}");
    }
    assert!(
        parsed("lock run n --timeout 0x -- x").is_err() && parsed("lock run n --timeout . -- x").is_err()
    );
}

#[test]
fn a_wrong_value_leads_to_the_help_of_the_verb_that_it_was_given_to() {
    for (line, words) in [
        ("queue add ci --priority x true", "queue add"),
        ("queue --json add --delay x ci true", "queue add"),
        ("--timeout 1s queue width ci x", "queue width"),
        ("daemon logs -n ten", "daemon logs"),
        ("runs delete a x", "runs delete"),
        ("lock run n --ttl x -- y", "lock run"),
    ] {
        let Some(Failure::Own { hint, .. }) = parsed(line).err() else { panic!("{line} was understood") };
        assert_eq!(hint, Some(format!("gobctl {words} --help")), "{line}");
    }
}

#[test]
fn global_flags_stand_on_either_side_of_the_verb() {
    let flags = "--json --owner desktop --timeout 2s";
    for verb in ["ping", "daemon stop"] {
        for line in [format!("{flags} {verb}"), format!("{verb} {flags}")] {
            let (context, _) = parsed(&line).unwrap();
            assert!(context.json && context.autostart && !context.quiet);
            assert_eq!(context.owner.as_str(), "desktop");
            assert_eq!(context.timeout, Some(Duration::from_secs(2)));
        }
    }
}

#[test]
fn the_owner_of_list_is_a_filter() {
    let (context, matches) = parsed("list --owner desktop").unwrap();
    assert_eq!(matches.get_one::<Owner>("of-owner").unwrap().as_str(), "desktop");
    assert_ne!(context.owner.as_str(), "desktop");
    let (context, matches) = parsed("--owner desktop list").unwrap();
    assert!(matches.get_one::<Owner>("of-owner").is_none());
    assert_eq!(context.owner.as_str(), "desktop", "before the verb it says who asks");
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    for line in [
        "start",
        "stop demo --frobnicate",
        "start ..",
        "ping --owner Root",
        "ping --timeout 0s",
        "list --state flying",
        "events --type dance",
        "stop demo --grace 1x",
    ] {
        let failure = parsed(line).err().unwrap_or_else(|| panic!("{line} was understood"));
        assert_eq!(failure.exit_code(), 2, "{line}");
    }
}

#[test]
fn a_misspelled_word_is_answered_with_the_known_ones() {
    for (line, part) in [
        ("list --state flying", "possible values: idle, starting"),
        ("events --type zzzzzzzzzzzz", "owner_changed"),
        ("logs -n ten demo", "not a whole number"),
        ("daemon logs -n ten", "not a whole number"),
        ("events --since abc", "not a whole number"),
        ("logs demo -n -3", "not a whole number"),
        ("stop demo --grace -1", "not a duration"),
        ("ping --timeout -5", "not a duration"),
    ] {
        let Some(Failure::Own { message, .. }) = parsed(line).err() else { panic!("{line} was understood") };
        assert!(message.contains(part), "{line}: {message}");
    }
    let Some(Failure::Own { hint, .. }) = parsed("events --type rady").err() else { panic!("understood") };
    assert_eq!(hint.as_deref(), Some("did you mean ready?"));
    for line in ["ready", "worker_ready", "owner-changed", "owner_changed", "lease_granted", "started"] {
        assert!(parsed(&format!("events --type {line}")).is_ok(), "{line}");
    }
    assert!(parsed("events --type job-added").is_ok() && parsed("events --type queue_job_added").is_ok());
    assert!(parsed("events --type lock_granted").is_ok());
    assert!(parsed("events --type lagged").is_err(), "nobody asks for it");
    // Not a letter of the word, as a value of nothing.
    let Some(Failure::Own { hint, .. }) = parsed("stop -demo").err() else { panic!("understood") };
    assert_eq!(hint.as_deref(), Some("gobctl stop --help"));
    let Failure::Own { hint, .. } = crate::help::unknown_verb("inspect") else { panic!("no refusal") };
    assert_eq!(hint.as_deref(), Some("did you mean gobctl get?"));
}

#[test]
fn a_noun_alone_is_told_the_words_below_it() {
    let nouns = crate::verbs::first_words().filter(|verb| verb.run.is_none());
    for noun in nouns {
        let refused = parsed(noun.name()).err();
        let Some(Failure::Own { message, cause, hint, .. }) = refused else {
            panic!("{} was understood", noun.name())
        };
        assert_eq!(message, format!("gobctl {} needs one more word", noun.name()));
        assert!(cause.is_some_and(|cause| cause.starts_with("there are: ")));
        assert_eq!(hint, Some(format!("gobctl {} --help", noun.name())));
    }
    let Some(Failure::Own { message, .. }) = parsed("config foo").err() else { panic!("understood") };
    assert_eq!(message, "there is no `config foo`");
}

#[test]
fn json_is_seen_before_anything_can_fail() {
    assert!(telling(&args("--json frobnicate")).json);
    assert!(!telling(&args("start -- --json")).json);
    for line in ["--color always frobnicate", "frobnicate --color=always"] {
        assert!(telling(&args(line)).color, "{line}");
    }
    for line in ["--color never frobnicate", "start -- --color always", "--color"] {
        assert!(!telling(&args(line)).color, "{line}");
    }
}

#[test]
fn the_help_of_each_verb_says_what_it_does_then_shows_examples_and_its_own_time_limit() {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for verb in crate::verbs::VERBS.iter().filter(|verb| verb.path.len() > 1) {
        let line = format!("{} --help", verb.path.join(" "));
        let Some(Failure::Help(text)) = parsed(&line).err() else { panic!("no help: {line}") };
        assert!(one_line(&text).starts_with(&one_line(&format!("{} Examples: ", verb.about))), "{text}");
        assert!(text.find("Examples:") < text.find("Usage:"), "{text}");
        assert!(one_line(&text).contains(&one_line(verb.timeout.text)), "{text}");
        assert!(text.contains("Everywhere: --json") && text.matches("--color").count() == 1, "{text}");
    }
    let limit = |words: &[&str]| {
        crate::verbs::VERBS.iter().find(|verb| verb.path == words).map(|verb| verb.timeout.text).unwrap()
    };
    for (words, part) in [
        (&["queue", "wait"][..], "else as long as it takes"),
        (&["lock", "run"], "else as long as it takes, a lock file by its --retries"),
        (&["queue", "list"], "else 10s, and --watch goes on"),
        (&["lock", "status"], "else 10s, and --watch goes on"),
        (&["run"], "a job that seems stuck is left"),
        (&["wait"], "a job that seems stuck is left"),
        (&["queue"], "each verb's help says for what"),
        (&["queue", "add"], "else 10s"),
    ] {
        assert!(limit(words).contains(part), "{words:?}: {}", limit(words));
    }
}

#[test]
fn every_verb_builds_and_has_help() {
    for verb in crate::verbs::first_words() {
        root(Some(verb)).debug_assert();
        let text = match parse(args(&format!("{} --help", verb.name())), Some(verb)) {
            Err(Failure::Help(text)) => text,
            // The verb prints it itself, with additions.
            Ok(Parsed { matches, .. }) if matches.get_flag("help") => help_of(verb),
            Ok(_) | Err(_) => panic!("no help for {}", verb.name()),
        };
        assert!(text.contains("Examples:") && text.contains("Usage:"), "{text}");
        assert!(crate::verbs::GROUPS.contains(&verb.group));
        assert!(verb.aliases.iter().all(|alias| text.contains(&format!("gobctl {alias}"))), "{text}");
        // The flags of all verbs take one line, except the one that differs for each verb.
        assert!(text.contains("--timeout <TIME>") && text.matches("--color").count() == 1, "{text}");
        assert!(text.find("Examples:") < text.find("Usage:"), "{text}");
        // A paragraph is folded to the terminal, and has no line end of its own.
        assert!(!verb.examples.lines().any(|line| line.starts_with(char::is_lowercase)), "{}", verb.examples);
        // A blank end of a line shows an argument without an explanation.
        assert!(text.lines().all(|line| !line.ends_with("  ")), "{text}");
    }
}

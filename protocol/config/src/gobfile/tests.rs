use super::*;
use crate::kind::{Check, HttpPort};
use serde_json::json;

const PATH: &str = "/p/.config/gobfile.toml";

fn parse(text: &str) -> Gobfile {
    Gobfile::parse(text, Some("/home/me"), PATH).unwrap_or_else(|e| panic!("{:#?}", e.problems))
}

fn problems(text: &str) -> Vec<String> {
    match Gobfile::parse(text, Some("/home/me"), PATH) {
        Ok(_) => Vec::new(),
        Err(rejected) => rejected.problems.iter().map(ToString::to_string).collect(),
    }
}

fn only(text: &str, part: &str) {
    let got = problems(text);
    assert!(got.len() == 1 && got[0].contains(part), "{part}: {got:#?}");
}

#[test]
fn the_four_keys_of_old_files_mean_what_they_meant() {
    let file = parse(
        "[[job]]\ncommand = \"npm run dev\"\ndescription = \"the site\"\nautostart = true\n\n\
         [[job]]\ncommand = \"make 'deploy all'\"\nblocked = true\ndescription = \"ask first\"\n",
    );
    let [dev, deploy] = &file.jobs[..] else { panic!("{file:?}") };
    assert_eq!(dev.command, ["npm", "run", "dev"]);
    assert_eq!((dev.description.as_deref(), dev.autostart, dev.blocked), (Some("the site"), true, false));
    assert_eq!(deploy.command, ["make", "deploy all"]);
    assert_eq!((deploy.autostart, deploy.blocked, deploy.line), (false, true, 6));
    assert_eq!(parse(""), Gobfile::default());
}

#[test]
fn every_key_is_read() {
    let file = parse(
        "[[job]]\ncommand = \"db\"\nname = \"db\"\n\
         [[job]]\ncommand = \"web\"\nname = \"web\"\nrestart = \"on-failure\"\ncwd = \"site\"\n\
         env = { PORT = \"5173\" }\ndepends_on = [\"db\"]\n\
         readiness = { type = \"http\", path = \"/up\", port = 5_173, timeout = \"5s\" }\n\
         [[job]]\ncommand = \"sub\"\ncwd = \"~/x\"\ndepends_on = [\"web\"]\nreadiness = \"notify\"\n",
    );
    let web = &file.jobs[1];
    assert_eq!(web.name.as_ref().map(Name::as_str), Some("web"));
    assert_eq!((web.restart, web.cwd.as_deref()), (Some(RestartOn::OnFailure), Some("site")));
    assert_eq!(web.env.get("PORT").map(String::as_str), Some("5173"));
    assert_eq!(web.depends_on, [0]);
    let check = json!({"type": "http", "path": "/up", "port": 5173, "timeout": "5s"});
    assert_eq!(web.readiness, Some(check.clone()));
    let read = readiness_of(&check).unwrap();
    assert_eq!(read.timeout_ms, 5_000);
    let wanted = Check::Http { path: "/up".to_owned(), status: 200, port: HttpPort::Fixed(5_173) };
    assert_eq!(read.check, wanted);
    assert_eq!(file.jobs[2].cwd.as_deref(), Some("/home/me/x"));
    assert_eq!(file.jobs[2].readiness, Some(json!("notify")));
}

#[test]
fn every_problem_is_told_at_once_with_its_line_and_key() {
    let got = problems(
        "jobs = 1\n[[job]]\ncommand = \"a 'b\"\n[[job]]\ncomand = \"x\"\n[[job]]\ncommand = \"x\"\n\
         autostart = \"yes\"\nname = \"j1\"\nrestart = \"sometimes\"\nreadiness = \"log\"\n",
    );
    for part in [
        "1:1: jobs: there is no such key; did you mean `job`?",
        "3:11: job.command: \"a 'b\" is no command line",
        "5:1: job.comand: there is no such key; did you mean `command`?",
        "job: it needs a `command`",
        "8:13: job.autostart: it has to be true or false",
        "9:8: job.name: \"j1\" is a number",
        "10:11: job.restart: ",
        "11:13: job.readiness: \"log\" alone is not enough",
    ] {
        assert!(got.iter().any(|problem| problem.contains(part)), "{part}: {got:#?}");
    }
    assert_eq!(got.len(), 8, "{got:#?}");
}

#[test]
fn a_bad_value_names_its_place() {
    let job = |lines: &str| format!("[[job]]\ncommand = \"x\"\n{lines}\n");
    only("[[job]]\ncommand = \"x", "2:");
    only("[job]\ncommand = \"x\"", "1:1: job: it has to be a list of tables");
    only("[[job]]\ncommand = \"\"", "it has to begin with a program");
    only("[[job]]\ncommand = [\"x\"]", "2:11: job.command: it has to be a text");
    only(&job("command = \"y\""), "it stands twice: in /p/.config/gobfile.toml:2 already");
    only(&job("description = \"a\\nb\""), "without control characters");
    only(&job("env = { \"A=B\" = \"x\" }"), "is not the name of a variable");
    only(&job("env = { A = \"x\\u0000\" }"), "it holds a NUL character");
    only(&job("readiness = { type = \"http\", port = \"{port}\" }"), "a job gets no {port}");
    only(&job("readiness = { type = \"connect\", address = \"unix:{socket}\" }"), "a job gets no {port}");
    only(&job("blocked = true\ncwd = \"x\""), "block it in the project file there");
    assert!(problems(&"#".repeat(1 << 20)).is_empty());
    only(&"#".repeat((1 << 20) + 1), "at most 1048576 are read");
}

#[test]
fn two_jobs_are_not_one() {
    only(
        "[[job]]\ncommand = \"x\"\nname = \"a\"\n[[job]]\ncommand = \"y\"\nname = \"a\"\n",
        "6:8: job.name: the job at line 1 has this name already",
    );
    only(
        "[[job]]\ncommand = \"x  y\"\n[[job]]\ncommand = \"x 'y'\"\n",
        "4:11: job.command: the job at line 1 has this command already",
    );
    assert!(problems("[[job]]\ncommand = \"x\"\n[[job]]\ncommand = \"x\"\ncwd = \"d\"\n").is_empty());
}

#[test]
fn dependencies_come_first_and_cycles_are_named_in_order() {
    let job = |name: &str, needs: &[&str]| {
        format!("[[job]]\ncommand = \"run {name}\"\nname = \"{name}\"\ndepends_on = {needs:?}\n")
    };
    let file = parse(&(job("a", &["c", "b"]) + &job("b", &["c"]) + &job("c", &[]) + &job("d", &[])));
    assert_eq!(file.order([0]), [2, 1, 0]);
    assert_eq!(file.order([3, 1]), [3, 2, 1]);
    assert_eq!(file.order(0..4), [2, 1, 0, 3]);
    assert_eq!(file.waves(0..4), [vec![2, 3], vec![1], vec![0]]);
    assert_eq!((file.find("b"), file.find("run b"), file.find("x")), (Some(1), Some(1), None));
    let loops = job("z", &["a"]) + &job("a", &["b"]) + &job("b", &["c"]) + &job("c", &["a"]);
    only(&loops, "8:14: job.depends_on: the jobs wait for each other: a → b → c → a");
    only(&job("a", &["a"]), "the jobs wait for each other: a → a");
    only(&job("a", &["nope"]), "4:14: job.depends_on: there is no job \"nope\" in this file");
    only(
        &(job("a", &["b"]) + "[[job]]\ncommand = \"x\"\nname = \"b\"\nblocked = true\n"),
        "b is blocked, so that this job can never run",
    );
    let chain: String = (0..3_000).map(|n| job(&format!("n{n}"), &[&format!("n{}", n + 1)])).collect();
    assert_eq!(parse(&(chain + &job("n3000", &[]))).order([0]).len(), 3_001);
}

#[test]
fn a_check_of_a_request_is_read_as_the_configuration_reads_it() {
    assert_eq!(readiness_of(&json!("none")).unwrap().check, Check::None);
    let log = readiness_of(&json!({"type": "log", "pattern": "up \"now\"\\d+"})).unwrap();
    assert_eq!(log.check, Check::Log { pattern: "up \"now\"\\d+".to_owned(), stream: None });
    for (bad, part) in [
        (json!("nope"), "readiness: \"nope\" is none of"),
        (json!(1), "it has to be a word, or a table"),
        (json!({"type": ["log"]}), "it has to be a word, or a table"),
        (json!({"type": "delay"}), "it needs `for`"),
        (json!({"type": "delay", "for": "soon"}), "readiness.for: \"soon\" is not a duration"),
        (json!({"type": "delay", "for": "1s", "pat\nh": "x"}), "there is no such key"),
        (json!({"type": "http", "port": 0}), "readiness.port: "),
        (json!({"type": "log", "pattern": "x".repeat(5_000)}), "it has to be a word, or a table"),
    ] {
        let error = readiness_of(&bad).unwrap_err().to_string();
        assert!(error.contains(part), "{bad}: {error}");
    }
}

#[test]
fn a_blocked_job_is_found_by_its_exact_command() {
    let file = parse("[[job]]\ncommand = \"make deploy\"\nblocked = true\n[[job]]\ncommand = \"make\"\n");
    let argv = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(file.blocked(&argv("make deploy")).is_some());
    assert!(file.blocked(&argv("make")).is_none() && file.blocked(&argv("make deploy now")).is_none());
}

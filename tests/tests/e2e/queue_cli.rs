//! `gobctl queue`: lanes, jobs and schedules for people (B3 to B8, F14).

use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;

pub(crate) fn ctl<'a>(gob: &Gob, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(gob.dir());
    call
}

/// Adds a job, and returns its id.
pub(crate) fn add(gob: &Gob, args: &[&str]) -> String {
    let all = ["queue", "add", "-q"].iter().chain(args).copied();
    ctl(gob, all).ok().trim().to_owned()
}

pub(crate) fn job(gob: &Gob, id: &str) -> Value {
    gob.connect().ok("queue_get", json!({"job_id": id}))["job"].clone()
}

pub(crate) fn has_status(gob: &Gob, id: &str, status: &str) -> bool {
    wait::until(DEADLINE, || job(gob, id)["status"] == status)
}

#[test]
fn wait_has_the_code_of_the_first_job_that_failed() {
    let gob = Gob::new();
    // A job that has failed can't be waited for any more.
    ctl(&gob, ["queue", "pause", "ci"]).ok();
    let good = add(&gob, &["ci", "true"]);
    let seven = add(&gob, &["ci", "--attempts", "1", "--shell", "exit 7"]);
    let three = add(&gob, &["ci", "--attempts", "1", "--shell", "exit 3"]);
    let missing = add(&gob, &["ci", "--attempts", "1", "/no/such/program"]);
    let dependant = add(&gob, &["ci", "--after", &missing, "true"]);
    ctl(&gob, ["queue", "resume", "ci"]).ok();
    let out = ctl(&gob, ["queue", "wait", &good, &three, &seven]).fails(3);
    assert!(out.stdout.is_empty(), "{out}");
    assert!(out.stderr.starts_with(&format!("{good} completed after ")), "{out}");
    assert!(out.stderr.ends_with(&format!("{three} failed: exited 3\n{seven} failed: exited 7\n")), "{out}");
    assert_eq!(ctl(&gob, ["queue", "wait", &seven, &three]).run().code, 7);
    assert_eq!(ctl(&gob, ["queue", "wait", &missing]).run().code, 127);
    let failed_with_it = ctl(&gob, ["queue", "wait", &dependant]).fails(1);
    assert!(failed_with_it.stderr.contains(&missing), "{failed_with_it}");
    assert_eq!(ctl(&gob, ["queue", "wait", &good, "j999"]).fails(4).stdout, "");

    let one = ctl(&gob, ["queue", "wait", &seven, "--json"]).run();
    let data: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!((one.code, &data["exit_code"], &data["job"]["id"]), (7, &json!(7), &json!(seven)));
    let two = ctl(&gob, ["queue", "wait", &good, &seven, "--json"]).run();
    let data: Value = serde_json::from_str(&two.stdout).unwrap();
    assert_eq!((two.code, &data["results"][1]["data"]["exit_code"]), (7, &json!(7)));
}

#[test]
fn wait_ends_with_its_time_with_a_cancel_and_over_a_restart_of_the_supervisor() {
    let gob = Gob::new();
    let long = add(&gob, &["ci", "sleep", "1000"]);
    assert!(has_status(&gob, &long, "running"));
    let late = ctl(&gob, ["queue", "wait", &long, "--timeout", "2s"]).fails(124);
    assert!(late.stderr.contains(&format!("error: {long} has not ended after 2.0 s")), "{late}");
    let mut waiting = ctl(&gob, ["queue", "wait", &long]).spawn();
    let listens = || gob.status()["subscribers"] == 1;
    assert!(wait::until(DEADLINE, listens));
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    kill(Pid::from_raw(gob.gobd_pid()), Signal::SIGKILL).unwrap();
    gob.wait_other_instance(&instance);
    assert!(wait::until(DEADLINE, listens), "it waits on at the next supervisor");
    assert!(has_status(&gob, &long, "running"), "the job runs again");
    assert_eq!(job(&gob, &long)["attempt"], 2);
    assert_eq!(ctl(&gob, ["queue", "cancel", &long]).ok(), format!("cancelled {long}\n"));
    let mut code = || waiting.try_wait().unwrap();
    assert!(wait::until(DEADLINE, || code().is_some()));
    assert_eq!(code().unwrap().code(), Some(1));
}

#[test]
fn logs_show_each_attempt_also_without_a_supervisor() {
    let gob = Gob::new();
    fs::write(gob.dir().join("config.toml"), "[queue]\nbackoff = [\"10ms\", \"20ms\"]\n").unwrap();
    let config = gob.dir().join("config.toml").display().to_string();
    let shell = "echo out $GOB_JOB_ID $GOB_ATTEMPT; echo err >&2; exit 1";
    let mut call = ctl(&gob, ["queue", "add", "-q", "ci", "--attempts", "2", "--shell", shell]);
    let id = call.env("GOB_CONFIG", &config).ok().trim().to_owned();
    assert_eq!(ctl(&gob, ["queue", "wait", &id]).run().code, 1);
    let told = format!("attempt 1 of {id}\nerr\nattempt 2 of {id}\nerr\n");
    let shown = format!("out {id} 1\nout {id} 2\n");
    let out = ctl(&gob, ["queue", "logs", &id]).run();
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (0, shown.as_str(), told.as_str()));
    let second = ctl(&gob, ["queue", "logs", &id, "--attempt", "2", "--stdout", "-q"]).run();
    assert_eq!((second.stdout, second.stderr), (format!("out {id} 2\n"), String::new()));
    let json = ctl(&gob, ["queue", "logs", &id, "--json"]).ok();
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() == 4 && lines.iter().any(|line| line["run"] == 2), "{json}");
    let none = ctl(&gob, ["queue", "logs", &id, "--attempt", "3"]).fails(1);
    assert!(none.stderr.starts_with(&format!("error: there is no attempt 3 of {id}")), "{none}");

    // A clean-up of the list leaves the logs of what the queue still has.
    assert!(ctl(&gob, ["cleanup"]).ok().contains(&id));
    assert!(!ctl(&gob, ["list"]).ok().contains(&id));
    assert_eq!(ctl(&gob, ["queue", "logs", &id]).run().stdout, shown);
    // No lane, and none with such jobs, is not said to be an empty queue.
    let said = |args: &[&str]| ctl(&gob, ["queue"].iter().chain(args).copied()).run().stderr;
    assert_eq!(said(&["list", "typo"]), "there is no lane typo; gobctl queue list shows them all\n");
    assert_eq!(said(&["list", "ci", "--status", "running"]), "no job of ci is running\n");
    assert_eq!(said(&["list", "--status", "running"]), "no job is running\n");

    // A job that is none of the queue's has a log of the same form.
    let other = ctl(&gob, ["add", "-q", "true"]).ok().trim().to_owned();
    let refused = ctl(&gob, ["queue", "logs", &other]).fails(4);
    assert!(refused.stderr.contains(&format!("gobctl logs {other}")), "{refused}");

    ctl(&gob, ["shutdown"]).ok();
    let left = ctl(&gob, ["--no-autostart", "queue", "logs", &id]).run();
    assert_eq!((left.code, left.stdout.as_str()), (0, shown.as_str()), "{left}");
    assert!(left.stderr.starts_with("no supervisor answers"), "{left}");
    assert_eq!(ctl(&gob, ["--no-autostart", "queue", "logs", "j999"]).run().code, 7);
}

#[test]
fn a_lane_is_paused_widened_cleared_and_resumed() {
    let gob = Gob::new();
    assert_eq!(ctl(&gob, ["queue", "pause", "ci"]).ok(), "paused ci: width 1, paused; empty\n");
    let first = add(&gob, &["ci", "--shell", "echo 1 >> order"]);
    let sooner = add(&gob, &["ci", "--priority", "5", "--shell", "echo 2 >> order"]);
    let late = add(&gob, &["ci", "--delay", "90m", "-d", "much later", "true"]);
    let key = ctl(&gob, ["queue", "add", "ci", "--dedupe", "k", "--after", &late, "--", "true"]).ok();
    let again = ctl(&gob, ["queue", "add", "ci", "--dedupe", "k", "--", "true"]).ok();
    let keyed = key.split_whitespace().nth(1).unwrap();
    assert_eq!(again, format!("reused {keyed} of ci, which is pending and has the same key\n"));
    let table = ctl(&gob, ["queue", "list", "ci"]).ok();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.first(), Some(&"ci: width 1, paused; 4 pending"), "{table}");
    assert!(lines.get(2).unwrap().starts_with("ID  LANE  STATUS"), "{table}");
    assert!(lines.get(3).unwrap().starts_with(&sooner) && table.contains("in 1h"), "{table}");
    assert!(table.contains(&format!("after {late}")), "{table}");
    let limited = ctl(&gob, ["queue", "list", "--limit", "1"]).run();
    assert!(limited.stdout.lines().count() == 4 && limited.stderr.starts_with("there are more"), "{limited}");
    let failed = ctl(&gob, ["queue", "list", "--status", "failed", "--json"]).json();
    assert_eq!(failed["jobs"], json!([]));

    assert!(ctl(&gob, ["queue", "width", "ci", "1"]).ok().starts_with("ci: width 1, paused; 4 pending"));
    ctl(&gob, ["queue", "resume", "ci"]).ok();
    ctl(&gob, ["queue", "wait", &first, &sooner]).ok();
    assert_eq!(fs::read_to_string(gob.dir().join("order")).unwrap(), "2\n1\n", "priority goes first");
    assert_eq!(ctl(&gob, ["queue", "clear", "ci"]).ok(), "cancelled 2 jobs of ci\n");
    assert_eq!(job(&gob, &late)["status"], "cancelled");
    ctl(&gob, ["queue", "pause", "ci"]).ok();
    let refused = ctl(&gob, ["queue", "retry", &first, &late]).run();
    assert_eq!(refused.stdout, format!("{late} waits again in ci\n"), "{refused}");
    assert!(refused.code != 0 && refused.stderr.contains(&first), "{refused}");
    let both = ctl(&gob, ["queue", "cancel", &late, "j999", "--json"]).run();
    let data: Value = serde_json::from_str(&both.stdout).unwrap();
    assert_eq!((both.code, &data["results"][1]["error"]["code"]), (4, &json!("job-not-found")));
    assert_eq!(data["results"][1]["error"]["details"], json!({"job": "j999"}));
    assert_eq!(data["results"][0]["data"]["job"]["status"], "cancelled");
}

#[test]
fn a_schedule_adds_a_job_at_each_of_its_times_until_it_is_removed() {
    let gob = Gob::new();
    let mut cron = ctl(
        &gob,
        ["queue", "every", "ci", "--cron", "0 3 * * *", "--name", "nightly", "--timezone", "UTC", "make"],
    );
    assert!(cron.ok().starts_with("scheduled nightly in ci: 0 3 * * * UTC, next at "));
    assert!(
        ctl(&gob, ["queue", "every", "ci", "--interval", "1s", "true"])
            .ok()
            .starts_with("scheduled ci in ci: every 1s")
    );
    let has_run =
        || ctl(&gob, ["queue", "list", "ci", "--status", "completed", "--json"]).json()["jobs"].clone();
    assert!(wait::until(DEADLINE, || has_run().as_array().is_some_and(|jobs| jobs.len() >= 2)));
    assert_eq!(has_run()[0]["schedule"], "ci");
    let table = ctl(&gob, ["queue", "schedules"]).ok();
    assert!(table.starts_with("NAME     LANE  TIMES"), "{table}");
    let out = ctl(&gob, ["queue", "unschedule", "ci", "no-such"]).fails(4);
    assert_eq!(out.stdout, "unscheduled ci\n");
    assert_eq!(ctl(&gob, ["queue", "schedules", "--json"]).json()["schedules"][0]["name"], "nightly");
    let bad = ctl(&gob, ["queue", "every", "ci", "--cron", "61 * * * *", "true"]).fails(2);
    assert!(
        bad.stderr.contains("minute") && bad.stderr.contains("hint: at 3 each night: --cron '0 3 * * *'; "),
        "{bad}"
    );
    let zone = ["queue", "every", "ci", "--cron", "@daily", "--timezone", "Mars/Olympus", "true"];
    let bad = ctl(&gob, zone).fails(2);
    assert!(bad.stderr.contains("in timezone\nhint: see the zones of this machine: "), "{bad}");
    ctl(&gob, ["queue", "every", "ci", "true"]).fails(2);
}

#[test]
fn a_name_that_is_refused_is_called_what_it_names() {
    let gob = Gob::new();
    for (args, said) in [
        (&["queue", "add", "bad lane", "true"][..], "a lane is named ["),
        (&["queue", "width", "bad lane", "2"], "a lane is named ["),
        (&["queue", "every", "ci", "--interval", "1s", "--name", "a b", "true"], "a schedule is named ["),
        (&["queue", "unschedule", "a b"], "a schedule is named ["),
        (&["queue", "cancel", "a b"], "a job is named ["),
    ] {
        let refused = ctl(&gob, args.iter().copied()).fails(2);
        assert!(refused.stderr.contains(said), "{refused}");
    }
}

#[test]
fn the_noun_alone_is_its_help_and_a_watched_list_follows_changes() {
    let gob = Gob::new();
    let help = gob.ctl(["queue"]).ok();
    assert!(help.contains("at least once") && help.contains("unschedule"), "{help}");
    let wrong = gob.ctl(["queue", "add", "ci"]).fails(2);
    assert!(wrong.stderr.ends_with("hint: gobctl queue add --help\n"), "{wrong}");
    let seen = gob.dir().join("seen");
    let mut watching = ctl(&gob, ["queue", "list", "--watch"]);
    watching.command().stdout(fs::File::create(&seen).unwrap());
    let mut watching = watching.spawn();
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"] == 1));
    let id = add(&gob, &["ci", "--", "true"]);
    let shown = || fs::read_to_string(&seen).unwrap();
    let has_ended = |line: &str| line.starts_with(&id) && line.contains("completed");
    let is_shown = wait::until(DEADLINE, || shown().lines().any(has_ended));
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert!(is_shown, "{}", shown());
}

#[test]
fn a_reload_lets_older_jobs_leave_the_queue_and_their_logs_go_with_them() {
    let gob = Gob::new();
    let done = add(&gob, &["ci", "--shell", "echo out"]);
    ctl(&gob, ["queue", "wait", &done]).ok();
    ctl(&gob, ["queue", "pause", "ci"]).ok();
    let waits = add(&gob, &["ci", "true"]);
    ctl(&gob, ["run", "--name", "mine", "true"]).ok();
    let logs = gob.state_dir().join("logs");
    assert!(logs.join(&done).join("1.stdout.log").exists());
    let config = gob.dir().join("config.toml");
    let before = fs::read_to_string(&config).unwrap_or_default();
    fs::write(&config, format!("{before}\n[queue]\nkeep_finished = \"1ms\"\n")).unwrap();
    assert_eq!(gob.ctl(["config", "reload"]).ok(), "read the configuration again: queue.keep_finished\n");
    let ids = || {
        let jobs = ctl(&gob, ["queue", "list", "--json"]).json()["jobs"].clone();
        jobs.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(wait::until(DEADLINE, || ids() == [waits.clone()]), "{:?}", ids());
    assert!(wait::until(DEADLINE, || !logs.join(&done).exists()), "the logs stay");
    assert!(logs.join("mine").exists(), "and those of other workers do");
}

#[test]
fn a_verb_of_workers_tells_that_a_job_of_the_queue_is_none_and_the_verb_for_it() {
    let gob = Gob::new();
    ctl(&gob, ["queue", "width", "ci", "0"]).ok();
    let id = add(&gob, &["ci", "true"]);
    let says = |state: &str, hint: &str| {
        let want =
            format!("error: {id} is a job of the queue and no worker: it is {state} in ci\nhint: {hint}\n");
        let verbs: [&[&str]; 9] = [
            &["stop"],
            &["restart"],
            &["logs"],
            &["wait"],
            &["get"],
            &["status"],
            &["blame"],
            &["runs"],
            &["remove"],
        ];
        for verb in verbs {
            let out = ctl(&gob, verb.iter().copied().chain([id.as_str()])).fails(4);
            if *verb != ["get"] {
                assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", want.as_str()), "{out}");
            }
        }
        assert_eq!(ctl(&gob, ["signal", &id, "HUP"]).fails(4).stderr, want);
        let data: Value = serde_json::from_str(&ctl(&gob, ["stop", &id, "--json"]).fails(4).stderr).unwrap();
        let details = json!({"worker": id, "job": id, "lane": "ci", "status": state});
        assert_eq!(
            (&data["error"]["code"], &data["error"]["details"]),
            (&json!("server-not-found"), &details)
        );
    };
    let goes_on = format!("wait for it: gobctl queue wait {id}; or cancel it: gobctl queue cancel {id}");
    says("pending", &goes_on);
    ctl(&gob, ["queue", "cancel", &id]).ok();
    says("cancelled", &format!("let it run once more: gobctl queue retry {id}"));
    ctl(&gob, ["queue", "retry", &id]).ok();
    let mut outside = gob.connect();
    outside.ok("queue_claim", json!({"lane": "ci", "worker_id": "w"}));
    says("running", &goes_on);
    outside.ok("queue_finish", json!({"job_id": id, "worker_id": "w", "success": true}));
    says("completed", &format!("see its output: gobctl queue logs {id}"));
    let unknown = ctl(&gob, ["stop", "j999"]).fails(4);
    assert!(unknown.stderr.starts_with("error: there is no worker j999\n"), "{unknown}");
}

#[test]
fn a_stop_between_two_attempts_tells_that_the_job_waits() {
    let gob = Gob::new();
    let config = gob.dir().join("config.toml");
    fs::write(&config, "[queue]\nbackoff = [\"1h\", \"2h\"]\n").unwrap();
    let mut call = ctl(&gob, ["queue", "add", "-q", "ci", "false"]);
    let id = call.env("GOB_CONFIG", &config.display().to_string()).ok().trim().to_owned();
    let waits = || job(&gob, &id)["status"] == "pending" && job(&gob, &id)["attempts"] == 1;
    assert!(wait::until(DEADLINE, waits));
    let out = ctl(&gob, ["stop", &id]).run();
    assert_eq!(out.stdout, format!("{id} was not running\n"), "{out}");
    let note = format!(
        "{id} is pending in ci; wait for it: gobctl queue wait {id}; or cancel it: gobctl queue cancel {id}\n"
    );
    assert_eq!(out.stderr, note, "{out}");
    let out = ctl(&gob, ["wait", &id]).fails(1);
    assert!(out.stderr.starts_with(&note) && out.stderr.contains(" exited 1"), "{out}");
}

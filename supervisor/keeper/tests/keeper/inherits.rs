//! Tests of the supervisor's inheritance: nothing of the caller is among it.

use crate::home::{Home, finish, mode, read_to_end};
use std::fs::{self, File};
use std::process::{Command, Stdio};

/// Writes its inheritance to `got.*` and ends. The status is read by the shell itself, which blocks signals
/// while it forks.
const REPORTS: &str = "env > $DIR/got.env; pwd > $DIR/got.pwd; umask > $DIR/got.umask; echo \"$@\" > $DIR/got.args
ls -l /proc/$$/fd > $DIR/got.fds; while read line; do echo \"$line\"; done < /proc/$$/status > $DIR/got.status; cat /proc/$PPID/cmdline > $DIR/got.keeper
cut -d' ' -f4-8 /proc/$$/stat > $DIR/got.ids; say done $PPID $(ulimit -S -f)\n";

fn status(home: &Home, field: &str) -> u64 {
    let all = fs::read_to_string(home.dir.join("got.status")).unwrap();
    let line = all.lines().find(|line| line.starts_with(field)).unwrap();
    u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
}

fn got(home: &Home, what: &str) -> String {
    fs::read_to_string(home.dir.join(format!("got.{what}"))).unwrap()
}

/// Writes its kernel attributes to `got.*`.
const ATTRIBUTES: &str = "cut -d' ' -f19,41 /proc/$$/stat > $DIR/got.sched; cat /proc/$$/oom_score_adj > $DIR/got.oom; cat /proc/$$/personality > $DIR/got.personality
grep Cpus_allowed: /proc/$$/status > $DIR/got.cpus; cat /proc/$$/timerslack_ns > $DIR/got.slack; ionice -p $$ > $DIR/got.io; say done\n";

#[test]
fn a_detached_keeper_sets_back_what_the_kernel_hands_on() {
    let mut home = Home::new(ATTRIBUTES);
    let template = home.keeper();
    let mut command = Command::new("sh");
    // Starts from a batch policy, one processor, the idle class, no random addresses, first for the OOM
    // killer.
    command.args(["-c", "echo 500 > /proc/self/oom_score_adj; exec setarch -R taskset -c 0 ionice -c 3 chrt --batch 0 \"$DIR/bin/gob-keeper\" --detach"]);
    command.env_clear().env("DIR", &home.dir);
    command.envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let parent = home.spawn(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    assert_eq!(finish(parent), (Some(0), String::new()));
    assert_eq!(home.event(), "done");
    let own = |path: &str| fs::read_to_string(path).unwrap();
    let allowed =
        own("/proc/self/status").lines().find(|line| line.starts_with("Cpus_allowed:")).map(str::to_owned);
    assert_eq!(got(&home, "cpus").trim(), allowed.unwrap(), "as many as this test");
    assert_eq!(got(&home, "sched").trim().split(' ').nth(1), Some("0"), "SCHED_OTHER");
    assert_eq!(got(&home, "personality").trim(), "00000000");
    assert_eq!(got(&home, "slack").trim(), "50000");
    assert!(!got(&home, "io").contains("idle"), "{}", got(&home, "io"));
    assert_eq!(got(&home, "oom").trim(), "0");
}

#[test]
fn a_detached_keeper_keeps_nothing_of_its_caller() {
    let mut home = Home::new(REPORTS);
    // A worst-case caller: ignored signals, open files, no umask, a limit, a secret, a directory that goes.
    let template = home.keeper();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' TERM HUP INT PIPE CHLD; umask 000; ulimit -S -f 100000; exec 9>/dev/null 7</dev/null; cd \"$DIR\"; exec \"$DIR/bin/gob-keeper\" --detach"]);
    command
        .env_clear()
        .env("SECRET", "x")
        .env("XDG_CONFIG_HOME", "/c")
        .env("DIR", &home.dir)
        .env("GOB_OWNER", "me");
    command.envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut parent = home.spawn(&mut command);
    let stdout = parent.stdout.take().unwrap();
    assert_eq!(finish(parent), (Some(0), String::new()), "the parent returns at once");
    assert_eq!(read_to_end(stdout), "", "nobody holds the caller's standard output");

    let event = home.event();
    let words: Vec<&str> = event.split(' ').collect();
    assert_eq!(words[2], "unlimited");
    assert_eq!((got(&home, "pwd").trim(), got(&home, "umask").trim()), ("/", "0077"));
    assert_eq!(
        got(&home, "keeper").trim_end_matches('\0').replace('\0', " "),
        format!("{}/bin/gob-keeper --detach", home.dir.display())
    );
    let (ignored, blocked) = (status(&home, "SigIgn:"), status(&home, "SigBlk:"));
    // glibc's posix_spawn leaves the two signals that it keeps for itself ignored.
    let internal = (1 << 31) | (1 << 32);
    assert_eq!((ignored & !internal, blocked), (0, 0));
    let ids = got(&home, "ids");
    let ids: Vec<&str> = ids.split_whitespace().collect();
    assert_eq!((ids[1], ids[2], ids[3]), (words[1], words[1], "0"), "the keeper's own session, no terminal");

    let dir = home.dir.display().to_string();
    let mut env: Vec<String> = got(&home, "env").lines().map(str::to_owned).collect();
    env.retain(|line| !["PWD=", "_=", "OLDPWD=", "SHLVL="].iter().any(|own| line.starts_with(own)));
    env.sort();
    let expected = [
        format!("GOB_DATA_DIR={dir}/.local/share/gob/graphs"),
        format!("GOB_RUNTIME_DIR={dir}/run"),
        format!("GOB_STATE_DIR={dir}/state"),
        format!("HOME={dir}"),
        "PATH=/usr/bin:/bin".to_owned(),
        "XDG_CONFIG_HOME=/c".to_owned(),
    ];
    assert_eq!(env, expected);

    let fds = got(&home, "fds");
    let targets: Vec<&str> = fds.lines().filter_map(|line| Some(line.split_once(" -> ")?.1)).collect();
    for wanted in ["/state/gobd.lock", "/state/gobd.log", "/run"] {
        assert!(targets.iter().any(|target| target.ends_with(wanted)), "{wanted} in {fds}");
    }
    let foreign = |t: &&&str| !t.starts_with(&dir) && **t != "/dev/null";
    assert_eq!(targets.iter().filter(foreign).count(), 0, "{fds}");
    for (path, bits) in
        [("run", 0o700), ("state", 0o700), ("state/gobd.lock", 0o600), ("state/gobd.log", 0o600)]
    {
        assert_eq!(mode(&home.dir.join(path)), bits, "{path}");
    }
}

#[test]
fn the_supervisor_is_told_its_descriptors() {
    // A shell redirects to numbers of one digit alone.
    let mut home = Home::new(&format!("{REPORTS}echo ready > /proc/$$/fd/$8\n"));
    let mut command = home.keeper();
    let (keeper, ready) = home.spawn_with_ready(&mut command);
    let id = keeper.id();
    assert_eq!(finish(keeper).0, Some(0));
    assert_eq!(read_to_end(ready), "ready\n");
    let args = got(&home, "args");
    let words: Vec<&str> = args.split_whitespace().collect();
    let fds = got(&home, "fds");
    for (at, option, target) in
        [(0, "--lock-fd", "gobd.lock"), (2, "--runtime-fd", "/run"), (6, "--ready-fd", "pipe:")]
    {
        assert_eq!(words[at], option);
        let line = format!(" {} -> ", words[at + 1]);
        assert!(fds.lines().any(|l| l.contains(&line) && l.contains(target)), "{option} in {fds}");
    }
    assert_eq!((words[4], words[5], words.len()), ("--keeper-pid", id.to_string().as_str(), 8));
}

#[test]
fn a_large_log_is_moved_aside_by_the_winner_alone() {
    let mut home = Home::new("trap 'end 0' TERM\necho hello >&2\nsay up $PPID\nstay\n");
    fs::create_dir(home.state()).unwrap();
    let log = home.state().join("gobd.log");
    File::create(&log).unwrap().set_len((10 << 20) + 1).unwrap();
    let mut command = home.keeper();
    let parent = home.spawn(command.arg("--detach"));
    finish(parent);
    let keeper = home.event().split(' ').nth(1).unwrap().parse().unwrap();
    home.adopt(keeper);
    assert_eq!(fs::metadata(home.state().join("gobd.log.1")).unwrap().len(), (10 << 20) + 1);
    assert_eq!(fs::read_to_string(&log).unwrap(), "hello\n");
    File::options().write(true).open(&log).unwrap().set_len((10 << 20) + 2).unwrap();
    let mut command = home.keeper();
    let second = home.spawn(&mut command);
    assert_eq!(finish(second).0, Some(0));
    assert_eq!(fs::metadata(&log).unwrap().len(), (10 << 20) + 2);
}

#[test]
fn inherited_children_are_not_killed() {
    let mut home = Home::new("say up\n");
    let template = home.keeper();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "sleep 1000 & echo $!; exec \"$0\"",
        &home.dir.join("bin/gob-keeper").display().to_string(),
    ]);
    command.env_clear().envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut keeper = home.spawn(&mut command);
    let stderr = keeper.stderr.take().unwrap();
    let (mut line, mut stdout) = (String::new(), std::io::BufReader::new(keeper.stdout.take().unwrap()));
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let sleeper = nix::unistd::Pid::from_raw(line.trim().parse().unwrap());
    assert_eq!(keeper.wait().unwrap().code(), Some(1));
    // Orphaned now, the sleeper is ours; it holds the pipes.
    nix::sys::signal::kill(sleeper, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(nix::sys::wait::waitpid(sleeper, None).is_ok_and(|end| {
        matches!(end, nix::sys::wait::WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGKILL, _))
    }));
    assert!(read_to_end(stderr).contains("already has children"));
    assert!(!home.has_event());
}

//! The end of a worker's run as an exit code, as a shell would give it, and in words. Pure.

use crate::command::GOB_FAILED;
use crate::failure::Failure;
use crate::text::{escape, short_duration, since};
use gob_client::View;
use gob_client::protocol::exit::{Exit, StartStep};
use gob_client::protocol::signal;

const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
/// A signal that ended the command is added to this.
const SIGNALLED: i32 = 128;
/// The worker has never run.
const NOT_RUNNING: u8 = 3;

/// Returns the exit code that stands for the end of a worker's latest run.
pub(crate) fn code_of(worker: &View) -> Result<u8, Failure> {
    if let Some(exit) = &worker.exit {
        return Ok(code_of_exit(exit));
    }
    let name = &worker.name;
    if worker.run == 0 && worker.reason.is_none() {
        let failure = Failure::own("server-not-running", NOT_RUNNING, format!("{name} has not run yet"));
        return Err(failure.hint(format!("gobctl start {}", name.as_argument())));
    }
    let failure = Failure::own("no-exit", GOB_FAILED, format!("it is not known how {name} ended"));
    Err(worker.reason.iter().fold(failure, |failure, reason| failure.cause(reason.as_str())))
}

/// Returns the exit code that stands for the end of a run.
pub(crate) fn code_of_exit(exit: &Exit) -> u8 {
    let code = match exit {
        Exit::Code { code } => *code,
        Exit::Signal { signal, .. } => {
            signal::number(signal).map_or(i32::from(u8::MAX), |number| SIGNALLED + number)
        }
        Exit::SpawnFailed { spawn_error, step } => return code_of_start(*step, spawn_error),
    };
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}

/// Returns the exit code of a start that failed. Only a missing program is 127: a missing directory is no fault of the
/// program, and a lack of processes, memory or descriptors tells nothing about it. An older supervisor names no step.
fn code_of_start(step: Option<StartStep>, errno: &str) -> u8 {
    match (step, errno) {
        (Some(StartStep::Chdir | StartStep::Fork | StartStep::Prepare), _)
        | (_, "EAGAIN" | "ENOMEM" | "EMFILE" | "ENFILE") => GOB_FAILED,
        (Some(StartStep::Interpreter), _) => NOT_EXECUTABLE,
        (Some(StartStep::Exec) | None, "ENOENT") => NOT_FOUND,
        (Some(StartStep::Exec) | None, _) => NOT_EXECUTABLE,
    }
}

/// Returns `j1 exited 0 after 1.2s`, of a run whose end is known.
pub(crate) fn summary(worker: &View) -> Option<String> {
    let exit = worker.exit.as_ref()?;
    let has_run = !matches!(exit, Exit::SpawnFailed { .. });
    let times = worker.started_at.zip(worker.stopped_at).filter(|_| has_run);
    let after = times.map(|(started, stopped)| format!(" after {}", short_duration(since(started, stopped))));
    Some(format!("{} {exit}{}", escape(worker.name.as_str()), after.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn view(run: u64, exit: Value, reason: Value) -> View {
        serde_json::from_value(json!({
            "name": "j1", "kind": "job", "graph": null, "description": null, "root_dir": null, "cwd": "/",
            "command": ["true"], "owner": "cli", "owned": true, "state": "idle", "pid": null, "pgid": null,
            "endpoint": null, "meta": {}, "run": run, "created_at": "2026-11-20T10:00:00.000Z",
            "started_at": "2026-11-20T10:00:00.000Z", "ready_at": null, "stopped_at": "2026-11-20T10:00:01.234Z",
            "exit": exit, "restarts": 0, "next_restart_at": null, "leases": 0, "lease_holders": [],
            "stdout_path": null, "stderr_path": null, "reason": reason,
        }))
        .unwrap()
    }

    #[test]
    fn an_end_has_the_code_that_a_shell_gives() {
        let cases = [
            (json!({"code": 0}), 0, "j1 exited 0 after 1.2s"),
            (json!({"code": 7}), 7, "j1 exited 7 after 1.2s"),
            (json!({"signal": "SIGKILL", "core_dumped": false}), 137, "j1 killed by SIGKILL after 1.2s"),
            (
                json!({"signal": "SIGRTMIN+1", "core_dumped": false}),
                163,
                "j1 killed by SIGRTMIN+1 after 1.2s",
            ),
            (json!({"spawn_error": "ENOENT"}), 127, "j1 could not be spawned: ENOENT"),
            (json!({"spawn_error": "EACCES"}), 126, "j1 could not be spawned: EACCES"),
            (json!({"spawn_error": "EAGAIN"}), 125, "j1 could not be spawned: EAGAIN"),
            (
                json!({"spawn_error": "ENOENT", "step": "chdir"}),
                125,
                "j1 could not be spawned: chdir: ENOENT",
            ),
            (
                json!({"spawn_error": "ENOENT", "step": "a later one"}),
                125,
                "j1 could not be spawned: prepare: ENOENT",
            ),
        ];
        for (exit, code, words) in cases {
            let worker = view(1, exit, json!(null));
            assert_eq!((code_of(&worker).unwrap(), summary(&worker).unwrap().as_str()), (code, words));
        }
    }

    #[test]
    fn a_missing_directory_is_not_a_missing_program() {
        for (step, errno, code) in [
            (Some(StartStep::Exec), "ENOENT", 127),
            (Some(StartStep::Exec), "EACCES", 126),
            (Some(StartStep::Exec), "EAGAIN", 125),
            (Some(StartStep::Interpreter), "ENOENT", 126),
            (Some(StartStep::Interpreter), "ENOEXEC", 126),
            (Some(StartStep::Exec), "EMFILE", 125),
            (Some(StartStep::Chdir), "ENOENT", 125),
            (Some(StartStep::Chdir), "EACCES", 125),
            (Some(StartStep::Prepare), "EINVAL", 125),
            (Some(StartStep::Fork), "EPERM", 125),
            (None, "ENOENT", 127),
        ] {
            let exit = Exit::SpawnFailed { spawn_error: errno.to_owned(), step };
            assert_eq!(code_of_exit(&exit), code, "{step:?} {errno}");
        }
    }

    #[test]
    fn an_end_that_is_not_known_is_a_failure_of_gob() {
        let failure = code_of(&view(1, json!(null), json!("its supervisor was killed"))).unwrap_err();
        assert_eq!(failure.exit_code(), 125);
        assert!(format!("{failure:?}").contains("its supervisor was killed"));
        assert_eq!(code_of(&view(0, json!(null), json!(null))).unwrap_err().exit_code(), 3);
        assert!(summary(&view(1, json!(null), json!(null))).is_none());
    }
}

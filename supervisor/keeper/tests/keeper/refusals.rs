//! Tests of refusals: the keeper writes the reason to the ready pipe and touches nothing.

use crate::home::{Home, finish, mode, read_to_end};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

/// Starts a keeper that must fail and returns the reason from its ready pipe.
fn reason(home: &mut Home, env: &[(&str, &Path)]) -> String {
    let mut command = home.keeper();
    command.envs(env.iter().copied());
    let (keeper, ready) = home.spawn_with_ready(&mut command);
    let (code, text) = finish(keeper);
    let reason = read_to_end(ready);
    assert_eq!(code, Some(1), "{text}");
    let line = reason.strip_prefix('E').and_then(|r| r.strip_suffix('\n')).unwrap();
    assert!(
        !line.contains('\n') && text.contains(line),
        "one line, and the same in the log: {reason:?} {text:?}"
    );
    assert!(!home.has_event(), "no supervisor was started");
    line.to_owned()
}

#[test]
fn a_runtime_directory_open_to_others_is_refused() {
    let mut home = Home::new("say up\n");
    let path = home.runtime();
    let target = home.dir.join("target");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();

    symlink(&target, &path).unwrap();
    assert!(reason(&mut home, &[]).contains("is a symbolic link"));
    assert!(reason(&mut home, &[("GOB_RUNTIME_DIR", &path.join(""))]).contains("link"));
    assert_eq!(fs::read_link(&path).unwrap(), target);
    assert_eq!((mode(&target), fs::read_dir(&target).unwrap().count()), (0o755, 0));

    fs::remove_file(&path).unwrap();
    fs::write(&path, "mine").unwrap();
    assert!(reason(&mut home, &[]).contains("is not a directory"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    for bits in [0o777, 0o710, 0o701] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
        assert!(reason(&mut home, &[]).contains(&format!("mode 0{bits:o}")));
        assert_eq!(mode(&path), bits);
    }
    fs::remove_dir(&path).unwrap();
    if nix::unistd::geteuid().is_root() {
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        assert!(reason(&mut home, &[]).contains("belongs to uid 12345"));
    }
}

#[test]
fn directories_that_cannot_be_made_are_refused() {
    let mut home = Home::new("say up\n");
    let nowhere = home.dir.join("no/such/run");
    let text = reason(&mut home, &[("GOB_RUNTIME_DIR", &nowhere)]);
    assert!(text.contains("create the runtime directory") && text.contains("No such file"), "{text}");
    fs::write(home.dir.join("file"), "").unwrap();
    let below = home.dir.join("file/state");
    let text = reason(&mut home, &[("GOB_STATE_DIR", &below)]);
    assert!(text.contains("create the state directory"), "{text}");
    let text = reason(&mut home, &[("GOB_STATE_DIR", Path::new("state"))]);
    assert!(text.contains("GOB_STATE_DIR must be an absolute path"), "{text}");
}

#[test]
fn a_supervisor_that_cannot_be_started_is_reported() {
    let mut home = Home::new("say up\n");
    let program = home.dir.join("bin/gobd");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o600)).unwrap();
    let text = reason(&mut home, &[]);
    assert!(text.contains("cannot execute") && text.contains("Permission denied"), "{text}");
    fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(reason(&mut home, &[]).contains("cannot start"));
    fs::remove_file(&program).unwrap();
    let text = reason(&mut home, &[("PATH", Path::new("/proc"))]);
    assert!(text.contains("no program `gobd` beside"), "{text}");
}

#[test]
fn the_supervisor_is_also_found_in_libexec_and_on_path() {
    for variable in ["GOB_LIBEXEC", "PATH"] {
        let mut home = Home::new("say up\n");
        let other = home.dir.join("other");
        fs::create_dir(&other).unwrap();
        fs::rename(home.dir.join("bin/gobd"), other.join("gobd")).unwrap();
        let mut command = home.keeper();
        command.env(variable, &other);
        let keeper = home.spawn(&mut command);
        assert_eq!(finish(keeper).0, Some(0), "{variable}");
        assert_eq!(home.event(), "up");
    }
}

#[test]
fn unknown_words_are_refused() {
    let mut home = Home::new("say up\n");
    let mut command = home.keeper();
    let keeper = home.spawn(command.arg("--verbose"));
    let (code, text) = finish(keeper);
    assert!(
        code == Some(2) && text == "error: unknown argument --verbose\nhint: gob-keeper --help\n",
        "{text}"
    );
}

#[test]
fn help_and_version_are_printed_and_nothing_is_started() {
    let version = gob_protocol::build::version_of("gob-keeper") + "\n";
    for (word, says) in [
        ("--version", version.as_str()),
        ("-V", version.as_str()),
        ("--help", "Usage: gob-keeper [--detach] [--log] [--ready-fd N] | --unlocked\n"),
        ("-h", "Usage: gob-keeper "),
    ] {
        let home = Home::new("say up\n");
        let output = home.keeper().arg(word).stdout(Stdio::piped()).output().unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && stderr.is_empty() && stdout.contains(says), "{output:?}");
        assert!(!home.has_event() && !home.state().exists(), "nothing was started or made");
    }
}

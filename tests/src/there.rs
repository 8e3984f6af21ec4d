//! Another user of this machine behind a real sshd: its port, its host key, its configuration and its HOME.
//!
//! The user is in no file of the machine: libnss_wrapper shows it to sshd alone, which runs as that user and not as root.

use crate::gob::{Gob, Worker};
use crate::process::Handle;
use crate::require::{Need, root, skip};
use crate::wait::{self, DEADLINE};
use crate::{Ctl, program};
use nix::sys::signal::Signal;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The user, who has no processes but those of these tests.
pub const USER: u32 = 61_414;

/// The host's name in the configuration of ssh here.
pub const HOST: &str = "there";

/// See the module.
#[derive(Debug)]
pub struct There {
    /// This user's world, whose `ssh` knows the other one's host.
    pub here: Gob,
    /// The other user's world.
    pub gob: Gob,
    sshd: Child,
    port: u16,
}

impl There {
    /// Creates both worlds and starts sshd; `None` where this machine has no sshd, which is said.
    ///
    /// # Panics
    /// When sshd does not start.
    #[must_use]
    pub fn new() -> Option<Self> {
        Self::with("/bin/sh", Worker::Fixture)
    }

    /// As [`There::new`], with this login shell and this worker.
    ///
    /// # Panics
    /// As [`There::new`].
    #[must_use]
    pub fn with(shell: &str, worker: Worker) -> Option<Self> {
        if !root("only root can be another user") {
            return None;
        }
        let (sshd, wrapper) = programs()?;
        let (here, gob) = (Gob::new(), Gob::with(worker));
        let dir = gob.dir();
        let path = |name: &str| dir.join(name);
        for name in ["hostkey", "id"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path(name))
                .status();
            assert!(made.is_ok_and(|made| made.success()), "ssh-keygen");
        }
        // The key of the user here, and its name over there.
        fs::rename(path("id"), here.dir().join("id")).expect("a key");
        let home = path("home");
        fs::write(path("passwd"), format!("other:x:{USER}:{USER}:other:{}:{shell}\n", home.display()))
            .expect("a file");
        fs::write(path("group"), format!("other:x:{USER}:\n")).expect("a file");
        fs::create_dir_all(home.join(".local/bin")).expect("a directory");
        symlink(gob.bin("gobctl"), home.join(".local/bin/gobctl")).expect("a link");
        give(dir);
        let mut there = Self { here, gob, sshd: Command::new("true").spawn().expect("true"), port: 0 };
        there.listen(&sshd, &wrapper);
        Some(there)
    }

    /// Starts sshd on a free port, and tells the user here of it.
    fn listen(&mut self, sshd: &Path, wrapper: &Path) {
        let dir = self.gob.dir().to_owned();
        let variables: Vec<String> = self
            .gob
            .env()
            .iter()
            .filter(|(name, _)| name.starts_with("GOB_"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let listens = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        for _ in 0..5 {
            self.sshd.wait().expect("a child");
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
            self.port = free.expect("a free port").port();
            let config = format!(
                "Port {}\nListenAddress 127.0.0.1\nHostKey {dir}/hostkey\nPidFile none\nAuthorizedKeysFile {dir}/id.pub\n\
                 StrictModes no\nUsePAM no\nPasswordAuthentication no\nSetEnv {}\n",
                self.port,
                variables.join(" "),
                dir = dir.display(),
            );
            fs::write(dir.join("sshd_config"), config).expect("a file");
            let log = fs::File::create(dir.join("sshd.log")).expect("a file");
            let mut command = Command::new(sshd);
            command.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config")).uid(USER).gid(USER);
            command.env_clear().env("LD_PRELOAD", wrapper);
            command.env("NSS_WRAPPER_PASSWD", dir.join("passwd")).env("NSS_WRAPPER_GROUP", dir.join("group"));
            self.sshd = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("sshd");
            let ended = |sshd: &mut Child| sshd.try_wait().expect("a child").is_some();
            assert!(wait::until(DEADLINE, || listens(self.port) || ended(&mut self.sshd)), "{}", self.log());
            if !ended(&mut self.sshd) {
                return self.tell();
            }
        }
        panic!("sshd does not start: {}", self.log());
    }

    /// Writes the configuration of ssh here, and a program `ssh` that reads it and notes its arguments.
    fn tell(&self) {
        let dir = self.here.dir().display();
        let port = self.port;
        let config = format!(
            "Host {HOST}\n  HostName 127.0.0.1\n  Port {port}\n  User other\nHost *\n  UserKnownHostsFile {dir}/known\n  \
             StrictHostKeyChecking yes\n  IdentityFile {dir}/id\n  IdentitiesOnly yes\n  IdentityAgent none\n",
        );
        fs::write(self.here.dir().join("ssh_config"), config).expect("a file");
        let key = fs::read_to_string(self.gob.dir().join("hostkey.pub")).expect("a key");
        fs::write(self.here.dir().join("known"), format!("[127.0.0.1]:{port} {key}")).expect("a file");
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$*\" >>{dir}/calls\nexec /usr/bin/ssh -F {dir}/ssh_config \"$@\"\n"
        );
        program::write(&self.here.bin("ssh"), script, 0o755);
    }

    /// Adds lines to the configuration of ssh here, for the other user's host.
    pub fn configure(&self, lines: &str) {
        let file = self.here.dir().join("ssh_config");
        let text = fs::read_to_string(&file).expect("a file");
        fs::write(file, format!("Host {HOST}\n{lines}\n{text}")).expect("a file");
    }

    /// Returns the port of its sshd.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates a call of gobctl for the supervisor over there, by the variable.
    #[must_use]
    pub fn ctl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ctl {
        let mut ctl = self.here.ctl(args);
        ctl.env("GOB_HOST", &format!("ssh://{HOST}"));
        ctl
    }

    /// Returns the arguments of all calls of ssh so far, one a line.
    #[must_use]
    pub fn calls(&self) -> String {
        fs::read_to_string(self.here.dir().join("calls")).unwrap_or_default()
    }

    /// Returns the processes of ssh of the user here.
    #[must_use]
    pub fn ssh(&self) -> Vec<i32> {
        self.ssh_with("")
    }

    /// As [`There::ssh`], those with this text in their arguments.
    #[must_use]
    pub fn ssh_with(&self, text: &str) -> Vec<i32> {
        let is = |pid: &i32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&words).replace('\0', " ");
            line.starts_with("/usr/bin/ssh ") && line.contains(text)
        };
        self.here.processes().into_iter().filter(is).collect()
    }

    /// Returns what sshd has said.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.gob.dir().join("sshd.log")).unwrap_or_default()
    }

    /// Ends all connections at once, as a network does that is cut, and refuses new ones.
    pub fn cut(&mut self) {
        // The kernel shows nothing else of processes that have changed their user. They are found while their parent lives.
        let mut connections = vec![self.sshd.id() as i32];
        let mut at = 0;
        while let Some(parent) = connections.get(at).copied() {
            let children =
                fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
            let is_sshd =
                |pid: &i32| fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with(b"sshd"));
            connections
                .extend(children.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(is_sshd));
            at += 1;
        }
        let connections: Vec<Handle> = connections.into_iter().skip(1).filter_map(Handle::open).collect();
        drop(self.sshd.kill());
        self.sshd.wait().expect("a child");
        connections.iter().for_each(|sshd| sshd.signal(Signal::SIGKILL));
    }
}

impl Drop for There {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}\n{}", self.log(), self.calls());
        }
        self.cut();
    }
}

/// Gives everything in a world to the other user, but for its programs, which are links.
fn give(dir: &Path) {
    let own = |path: &Path| chown(path, Some(USER), Some(USER)).expect("root");
    own(dir);
    for entry in fs::read_dir(dir).expect("a directory").flatten().filter(|entry| entry.file_name() != "bin")
    {
        own(&entry.path());
    }
    for below in ["home/.local", "home/.local/bin"] {
        own(&dir.join(below));
    }
    // gobctl is found by the path of its link, which leads through it.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).expect("a directory");
}

/// Returns sshd and the library that shows it a user, or says that one is missing.
fn programs() -> Option<(PathBuf, PathBuf)> {
    let sshd = ["/usr/sbin/sshd", "/usr/bin/sshd"].map(PathBuf::from).into_iter().find(|path| path.exists());
    let ssh = ["ssh", "ssh-keygen"].iter().all(|name| Path::new("/usr/bin").join(name).exists());
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let wrapper = folders
        .chain([PathBuf::from("/usr/lib64")])
        .map(|dir| dir.join("libnss_wrapper.so"))
        .find(|file| file.exists());
    let found = sshd.zip(wrapper).filter(|_| ssh);
    if found.is_none() {
        skip(Need::Sshd, "OpenSSH's client and server and libnss_wrapper are not all here");
    }
    found
}

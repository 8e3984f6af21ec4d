//! The replacement itself: the state is sealed, the program is tried on exactly these bytes, and takes this process over.

use super::state::{self, SteadyState};
use super::trial::Successor;
use super::{Candidate, Named, fault, named};
use crate::life::Life;
use crate::sys::spawn;
use nix::fcntl::AtFlags;
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

impl Life {
    /// Hands everything over. Returns only where that fails, with the reason; nothing was given away then.
    pub(super) async fn hand_over(&mut self, successor: Successor) -> String {
        // From here on the kernel keeps signals for the next program, or for this one.
        let mask = spawn::block_signals();
        let failed = match self.replaced(successor).await {
            Ok(never) => match never {},
            Err(why) => why,
        };
        spawn::restore_signals(&mask);
        failed
    }

    async fn replaced(&mut self, successor: Successor) -> Result<Infallible, String> {
        // Signals that came before are the runtime's by now.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        if self.sources.keep_signals(&self.desk).await || self.desk.is_over() {
            return Err("the supervisor is to end".to_owned());
        }
        let Successor { candidate, mut trial } = successor;
        let mut named = Named::default();
        let bytes = self.written(&mut named)?;
        trial.pass_again(&bytes).await?;
        fault::at("tried-again");
        let args = self.desk.look(|shell| {
            let boot = &shell.boot;
            [boot.lock.as_raw_fd(), boot.runtime.as_raw_fd(), boot.keeper_pid, trial.state.as_raw_fd()]
        });
        let error = execute(&candidate, &trial.state, args, &mut named);
        Err(format!("{} can't be executed: {error}", candidate.path))
    }

    /// Writes the state of this supervisor at rest.
    fn written(&mut self, named: &mut Named) -> Result<Vec<u8>, String> {
        let restless = || "it does not rest".to_owned();
        let door = self.door.as_ref().ok_or_else(restless)?.hand_over(named);
        let site = self.healer.hand_over(named);
        let healer = self.healer.watch();
        let leftovers = self.leftovers.as_ref().map(crate::recovery::Leftovers::hand_over);
        self.desk.look(|shell| {
            let output = shell.hand_output_over(named).ok_or_else(restless)?;
            let watches =
                [healer, shell.watch()].into_iter().flatten().map(|watch| named.name(&watch)).collect();
            let steady = SteadyState { output, door, site, leftovers, watches };
            let shell_state = shell.hand_over(named);
            state::write(shell.core(), shell_state, Some(steady), named)
        })
    }
}

/// Replaces this program. Returns only where that fails, with all as it was.
fn execute(
    candidate: &Candidate,
    state: &File,
    [lock, runtime, keeper, state_fd]: [i32; 4],
    named: &mut Named,
) -> io::Error {
    let args = [
        "gobd".to_owned(),
        "--lock-fd".to_owned(),
        lock.to_string(),
        "--runtime-fd".to_owned(),
        runtime.to_string(),
        "--keeper-pid".to_owned(),
        keeper.to_string(),
        "--state-fd".to_owned(),
        state_fd.to_string(),
    ];
    let args: Vec<CString> = args.into_iter().filter_map(|word| CString::new(word).ok()).collect();
    let lines = std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let env: Vec<CString> = lines.filter_map(|line| CString::new(line).ok()).collect();
    named.name(state);
    let all = named.all();
    let executed = named::let_through(&all).map(|()| {
        fault::at("named");
        nix::unistd::execveat(&candidate.file, c"", &args, &env, AtFlags::AT_EMPTY_PATH)
    });
    let error = match executed {
        Ok(Ok(never)) => match never {},
        Ok(Err(errno)) => errno.into(),
        Err(error) => error,
    };
    named::keep_back(&all);
    error
}

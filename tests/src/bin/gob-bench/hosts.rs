//! A verb for another machine, next to a bare ssh: another user behind a real sshd on loopback.

use crate::process::{command, timed};
use crate::table::{Table, Target, medians};
use gob_tests::there::{HOST, There};

/// Measures `gobctl --host ssh://… list` next to `ssh … true`, over new connections and over one that OpenSSH shares.
pub fn run(table: &mut Table, samples: usize) {
    let Some(there) = There::new() else {
        return table.skip("gobctl --host … list", "it needs root, OpenSSH and libnss_wrapper");
    };
    there.ctl(["start", "g"]).ok();
    let (gobctl, ssh) = (there.here.bin("gobctl"), there.here.bin("ssh"));
    let address = format!("ssh://{HOST}");
    let ours = || timed(command(&there.here, &gobctl).args(["--host", &address, "list"]));
    let theirs = || timed(command(&there.here, &ssh).args([HOST, "true"]));
    let measured = medians(samples, ours, theirs);
    table.against("gobctl --host … list", "ms", measured, "ssh … true", Target::RatioAtMost(1.25));

    let control = there.here.dir().join("control");
    there.configure(&format!(
        "  ControlMaster auto\n  ControlPersist yes\n  ControlPath {}",
        control.display()
    ));
    theirs();
    let measured = medians(samples, ours, theirs);
    table.against("over a ControlMaster", "ms", measured, "ssh … true over it", Target::RatioAtMost(2.0));
    // The master would outlive this program.
    timed(command(&there.here, &ssh).args(["-O", "exit", HOST]));
}

//! The next phase of a worker after a run that ended by itself, or was ended for not being well. Failures and delays are
//! counted in [`restart`](crate::restart).

use crate::refusals::Reason;
use crate::restart::{Failures, Verdict};
use alloc::string::String;
use gob_config::kind::{Kind, RestartOn};
use gob_protocol::{Exit, Name};

/// A run that is over, as its judge sees it.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) name: &'a Name,
    pub(super) kind: &'a Kind,
    pub(super) exit: &'a Exit,
    /// How long it had been ready.
    pub(super) was_ready_ms: Option<u64>,
    /// The supervisor ended it, for it was not well.
    pub(super) unwell: bool,
    /// The words about processes that its leader left.
    pub(super) left: Option<String>,
    /// The reason that is shown.
    pub(super) reason: Option<String>,
}

/// The worker's phase from here on, with the reason that is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Ceded(String),
    Idle(Option<String>),
    Failed(String),
    Backoff(String, u64),
}

impl Case<'_> {
    /// Judges by the failures so far.
    pub(super) fn judge(self, failures: &mut Failures, now_ms: u64, jitter: u64) -> Fate {
        let Self { name, kind, exit, was_ready_ms, unwell, left, reason } = self;
        let zero = *exit == Exit::Code { code: 0 };
        // A program that gives way to a peer leaves nothing; one that goes on in the background does.
        if zero && !unwell && left.is_none() && kind.exit_zero_ceded {
            return Fate::Ceded(Reason::Ceded.into());
        }
        let (policy, why) = (&kind.restart, reason.as_deref());
        match failures.judge(policy, exit, was_ready_ms, unwell, now_ms, jitter) {
            Verdict::Rest if kind.ends_idle && was_ready_ms.is_some() && !unwell => Fate::Idle(left),
            Verdict::Rest if was_ready_ms.is_none() || unwell || (policy.on == RestartOn::Never && !zero) => {
                Fate::Failed(Reason::Down { name, exit, why }.into())
            }
            Verdict::Rest => Fate::Idle(left),
            Verdict::GiveUp(times) => {
                let within_ms = policy.give_up_within_ms;
                Fate::Failed(Reason::GaveUp { name, exit, why, times, within_ms }.into())
            }
            Verdict::Retry(delay_ms) => Fate::Backoff(Reason::Again { exit, why }.into(), delay_ms),
        }
    }
}

//! The killing of what is left of a run takes long.

use crate::cx::Cx;
use crate::io::Effect;
use crate::refusals;
use crate::run::Run;
use crate::step::Step;
use gob_protocol::Receipt;

/// The sweep should be through: it is counted what is left, and swept again.
pub(crate) fn late(run: &Run, cx: &mut Cx) -> Step {
    if run.end().is_some() {
        cx.push(Effect::Census { key: run.key.clone() });
        run.sweep(cx);
    }
    Step::Stay
}

/// Processes have survived for too long.
pub(crate) fn surviving(run: &mut Run, receipt: Receipt) -> Step {
    let message = refusals::survived(run.key.name.as_str(), &receipt.survivors).message;
    let Some(end) = run.end_mut().filter(|_| !receipt.survivors.is_empty()) else { return Step::Stay };
    let is_news = end.stuck.replace(message.clone()).as_ref() != Some(&message);
    Step::Stuck { receipt, is_news, message }
}

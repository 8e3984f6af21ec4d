//! The killing of what is left of a run takes long.

use crate::cx::Cx;
use crate::io::Effect;
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
    let Some(end) = run.end_mut().filter(|_| !receipt.survivors.is_empty()) else { return Step::Stay };
    let is_news = end.stuck != receipt.survivors;
    end.stuck.clone_from(&receipt.survivors);
    Step::Stuck { receipt, is_news }
}

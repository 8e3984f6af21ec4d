//! The screen model's answer about an action, compared with the core's: in every phase, for every owner, with
//! leases and without, for every requester.
//!
//! Several states of the core look alike to a client. So all cases that look alike are judged together: an action is allowed
//! where the core does something about it in any of them; else the reason tells the code of its refusal, or that it would do
//! nothing.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use crate::cases::{held, workers};
    use crate::world::{REQUESTERS, World, by_name, hand_over, name, start, stop};
    use gob_client::screen::{Action, Allowed, actions};
    use gob_core::{ConnId, Effect, Input};
    use gob_protocol::request::{Restart, Signal};
    use gob_protocol::{ErrorCode, Id, Owner, Request, State, View};
    use std::collections::{BTreeMap, BTreeSet};

    /// The id of the request that is judged; those before it have another one.
    const JUDGED: Id = Id::Number(2);

    /// The request that an action is.
    fn request(action: Action) -> Request {
        match action {
            Action::Start => start(),
            Action::Stop => stop(),
            Action::Restart => Request::Restart(Restart {
                name: name(),
                env: None,
                grace_ms: None,
                wait: None,
                timeout_ms: None,
            }),
            Action::Signal => Request::Signal(Signal { name: name(), signal: "HUP".into() }),
            Action::HandOver => hand_over("electron"),
            Action::Remove => Request::Remove(by_name()),
        }
    }

    /// The answer of the core to a request.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Does {
        Something,
        Nothing,
        Refuses(&'static str),
    }

    fn judge(world: &World, conn: ConnId, action: Action) -> Does {
        let mut asked = world.clone();
        let effects = asked.feed(Input::Request { conn, id: Some(JUDGED), request: request(action) });
        let mut refusals = effects.iter().filter_map(|effect| {
            let Effect::Reply { id: Some(JUDGED), result: Err(error), .. } = effect else { return None };
            Some(Does::Refuses(error.code.as_str()))
        });
        if let Some(refusal) = refusals.next() {
            return refusal;
        }
        // Answers, and what follows from events alone.
        let is_news = |effect: &Effect| {
            matches!(effect, Effect::Reply { .. } | Effect::Publish { .. } | Effect::WakeAt(_))
        };
        if !effects.iter().all(is_news) {
            return Does::Something;
        }
        let mut left = world.clone();
        for world in [&mut asked, &mut left] {
            world.settle();
        }
        if asked.core.views() == left.core.views() { Does::Nothing } else { Does::Something }
    }

    /// The part of a view by which its reader tells one case from another.
    fn looks(view: &View, requester: &str) -> String {
        let scheme = view.endpoint.as_deref().and_then(|endpoint| endpoint.split(':').next());
        let title = (view.owner.as_str(), view.owned);
        format!("{requester}: {} of {title:?}, pid {}, at {scheme:?}", view.state, view.pid.is_some())
    }

    #[test]
    fn each_action_is_allowed_where_the_core_would_do_something() {
        let mut cases: BTreeMap<(Action, String), (Allowed, BTreeSet<Does>)> = BTreeMap::new();
        let mut states = BTreeSet::new();
        let worlds = [workers(), held()].concat();
        for mut world in worlds {
            for (number, requester) in (0..).zip(REQUESTERS) {
                let view = world.view(ConnId(number)).unwrap();
                states.insert(view.state.as_str());
                for (action, allowed) in actions(&view, &Owner::new(requester).unwrap()) {
                    let does = judge(&world, ConnId(number), action);
                    let entry = (allowed.clone(), BTreeSet::new());
                    let case = cases.entry((action, looks(&view, requester))).or_insert(entry);
                    assert_eq!(
                        case.0,
                        allowed,
                        "{action:?} by {}: more than this is looked at",
                        looks(&view, requester)
                    );
                    case.1.insert(does);
                }
            }
        }
        assert_eq!(states.len(), State::ALL.len(), "every state is judged: {states:?}");
        let wrong: Vec<String> = cases
            .iter()
            .filter(|(_, (allowed, does))| !agrees(allowed, does))
            .map(|((action, looks), (allowed, does))| {
                format!("{action:?} by {looks}: {allowed:?}, but the core {does:?}")
            })
            .collect();
        assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    }

    fn agrees(allowed: &Allowed, does: &BTreeSet<Does>) -> bool {
        match allowed {
            Ok(()) => does.contains(&Does::Something),
            Err(reason) => {
                let expected =
                    reason.code().map_or(Does::Nothing, |code: ErrorCode| Does::Refuses(code.as_str()));
                does.iter().all(|does| *does == expected)
            }
        }
    }
}

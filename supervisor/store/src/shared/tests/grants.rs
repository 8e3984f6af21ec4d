//! A role that may not change tables: what the documentation gives it is enough for lanes and locks.

use super::locks::{entry, name};
use super::rig::{Machine, Server, claim, finish, new_job, recover};
use crate::shared::{Address, Told};
use gob_protocol::lock::ask::LockAsk;
use gob_protocol::queue::{NewJob, QueueAsk, QueueEnd, QueueTold};
use gob_protocol::{LaneName, LockMode, QueueStatus};

/// The statements for that role.
fn grants() -> &'static str {
    let docs = include_str!("../../../../../docs/SHARED.md");
    let (_, from) = docs.split_once("given by the one that owns them:\n\n```sql\n").unwrap();
    from.split_once("```").unwrap().0
}

#[test]
fn the_documented_grants_are_enough_for_lanes_and_locks() {
    let Some(server) = Server::start() else { return };
    let mut ada = server.machine_up("ada");
    server.psql("CREATE ROLE farm LOGIN");
    server.psql(grants());
    let mut settings = server.settings("bob");
    settings.address = Address::new(server.postgres.url().replace("//gob@", "//farm@"), None, None);
    let mut bob = Machine::new(settings);
    bob.until(|told| match told {
        Told::Up => Some(()),
        Told::Away(why) => panic!("{why}"),
        _other => None,
    });
    bob.told(recover());
    let first = bob.added("ci");
    let second = NewJob { after: vec![first.id.clone()], dedupe: Some("key".into()), ..new_job("ci") };
    bob.told(QueueAsk::Add(Box::new(second)));
    let lane = LaneName::new("ci").unwrap();
    bob.told(QueueAsk::Width { lane, width: 3 });
    for _ in 0..2 {
        let claimed = bob.claimed("ci").unwrap();
        let settled = bob.settled(finish(&claimed, QueueEnd::Completed));
        assert_eq!(settled.job.status, QueueStatus::Completed);
    }
    assert!(matches!(bob.told(claim("ci")), QueueTold::Claimed { claim: None, .. }));
    let waits = |machine: &mut Machine, number| {
        let entry = entry(number, LockMode::Exclusive, 0);
        machine.locks(LockAsk::Enter { entry, tries: false }).own.pop().unwrap().token
    };
    let token = waits(&mut bob, 1).unwrap();
    assert_eq!(waits(&mut ada, 1), None);
    assert!(bob.locks(LockAsk::End { token, lock: name() }).is_done);
    assert_eq!(waits(&mut bob, 2), None);
    // It makes nothing outside of the schema.
    let elsewhere = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(server.psql(elsewhere), "0");
}

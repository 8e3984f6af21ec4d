//! `gobctl ports [NAME]`: where workers listen.

use super::{Effect, LOOKING, Verb};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::{name_arg, print_data};
use crate::failure::Failure;
use crate::suggest::with_remedy;
use crate::table::{Align, Narrower, fitted};
use crate::terminal::Look;
use crate::text::{self, escape, shell_word};
use crate::{out, style};
use clap::ArgMatches;
use gob_client::Name;
use gob_client::blocking::Client;
use gob_client::call::{Get, List, Ports};
use gob_client::protocol::State;
use gob_client::protocol::answer::{PortsData, WorkerPort};

pub(crate) const VERB: Verb = Verb {
    path: &["ports"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "Where workers listen: the TCP and UDP ports of their processes",
    examples: "Examples:\n  gobctl ports\n  gobctl ports web --json\n",
    command: |command| command.arg(name_arg("NAME").required(false).help("A worker; all of them without it")),
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = matches.get_one::<Name>("name").cloned();
    let mut client = context.connect("ports")?;
    crate::job::known_to(&client)?;
    let reply = context.call(&mut client, Ports { name: name.clone() }).map_err(|error| match &name {
        Some(name) => with_remedy(&mut client, name, error.into()),
        None => error.into(),
    })?;
    let PortsData { ports, more } = reply.read()?;
    if ports.is_empty() {
        context.note(&nothing(context, &mut client, name.as_ref())?);
    }
    if context.json {
        print_data(reply.data())?;
    } else if !ports.is_empty() {
        out::print(&table(&ports, context.look()))?;
    }
    if more {
        context.note("there are more; ask for one worker: gobctl ports NAME");
    }
    Ok(0)
}

/// Returns why there is nothing to show.
fn nothing(context: &Context, client: &mut Client, name: Option<&Name>) -> Result<String, Failure> {
    let Some(name) = name else {
        let some = !client.list(List::default())?.is_empty();
        return Ok(if some { "no worker listens on a port" } else { "no workers" }.to_owned());
    };
    let worker = context.call(client, Get { name: name.clone() })?.read()?.worker;
    let (shown, arg) = (escape(name.as_str()), shell_word(name.as_str()));
    Ok(match worker.state {
        State::Idle | State::Failed | State::Ceded | State::Backoff => {
            format!("{shown} does not run ({}); gobctl start {arg} starts it", worker.state)
        }
        State::External => format!("{shown} runs without gob, which does not look at its ports"),
        State::Starting | State::Ready | State::Unhealthy | State::Stopping => {
            format!("{shown} listens on no port")
        }
    })
}

const HEADER: [&str; 5] = ["NAME", "PORT", "PROTOCOL", "ADDRESS", "PID"];
const ALIGN: [Align; 5] = {
    use Align::{Left, Right};
    [Left, Right, Left, Left, Left]
};
const NARROWER: [Narrower; 4] = {
    use Narrower::{Cut, Without};
    [Cut(0, 16), Without(4), Cut(3, 9), Cut(0, 4)]
};

fn table(ports: &[WorkerPort], look: Look) -> String {
    let row = |at: &WorkerPort| {
        [
            text::name(at.name.as_str()),
            at.port.to_string(),
            escape(&at.protocol),
            escape(&at.address),
            at.pid.to_string(),
        ]
    };
    let rows: Vec<_> = std::iter::once(HEADER.map(str::to_owned)).chain(ports.iter().map(row)).collect();
    let styles = std::iter::once(style::HEAD).chain(std::iter::repeat(style::PLAIN));
    let lines = fitted(ALIGN, &rows, look.width, &NARROWER).into_iter().zip(styles);
    lines.map(|(line, of)| style::paint(&line, of, look.color) + "\n").collect()
}

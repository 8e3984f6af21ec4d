//! Notifications of the desktop (org.freedesktop.Notifications), for workers of which a person asked for them.

use gob_client::Name;
use gob_client::screen::Alarm;
use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use zbus::blocking::Connection;
use zbus::zvariant::Value;

/// Notifications that wait; more of them at once would tell nothing.
const QUEUE: usize = 16;
/// Characters of a notification's text.
const MOST: usize = 400;

/// The way to the thread that tells the desktop.
#[derive(Clone)]
pub(crate) struct Herald {
    shared: Arc<Mutex<Shared>>,
    queue: SyncSender<Alarm>,
}

#[derive(Default)]
struct Shared {
    wanted: BTreeSet<Name>,
    trouble: Option<String>,
}

impl Herald {
    /// Begins the thread. It connects to D-Bus with the first notification.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(crate) fn begin(wanted: BTreeSet<Name>) -> std::io::Result<Self> {
        let (queue, alarms) = sync_channel(QUEUE);
        let herald = Self { shared: Arc::new(Mutex::new(Shared { wanted, trouble: None })), queue };
        let its = herald.clone();
        std::thread::Builder::new().name("herald".to_owned()).spawn(move || its.run(&alarms))?;
        Ok(herald)
    }

    /// Sets the workers that are told of.
    pub(crate) fn want(&self, wanted: &BTreeSet<Name>) {
        self.shared().wanted.clone_from(wanted);
    }

    /// Tells of an event, if its worker is one of those.
    pub(crate) fn tell(&self, alarm: Alarm) {
        if self.shared().wanted.contains(&alarm.worker) {
            self.queue.try_send(alarm).ok();
        }
    }

    /// Returns why notifications can't be shown, if that was tried.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.shared().trouble.clone()
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, alarms: &Receiver<Alarm>) {
        let mut bus = None;
        while let Ok(alarm) = alarms.recv() {
            let told = connected(&mut bus).and_then(|bus| notify(bus, &alarm));
            if told.is_err() {
                // The service may have been started anew.
                bus = None;
            }
            self.shared().trouble = told.err().map(|error| error.to_string());
        }
    }
}

fn connected(bus: &mut Option<Connection>) -> zbus::Result<&Connection> {
    match bus {
        Some(bus) => Ok(bus),
        None => Ok(bus.insert(Connection::session()?)),
    }
}

fn notify(bus: &Connection, alarm: &Alarm) -> zbus::Result<()> {
    const SERVICE: &str = "org.freedesktop.Notifications";
    let (actions, hints) = (Vec::<&str>::new(), HashMap::<&str, Value<'_>>::new());
    // The desktop's own time.
    let expires = -1_i32;
    let body =
        ("gob", 0_u32, "gob-desktop", cut(&alarm.title), markup(&cut(&alarm.body)), actions, hints, expires);
    bus.call_method(Some(SERVICE), "/org/freedesktop/Notifications", Some(SERVICE), "Notify", &body).map(drop)
}

fn cut(text: &str) -> String {
    text.chars().take(MOST).collect()
}

/// Escapes a text for a body, which is a small markup.
fn markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_workers_that_were_chosen_are_told_of() {
        let (queue, alarms) = sync_channel(QUEUE);
        let herald = Herald { shared: Arc::default(), queue };
        let worker = |name: &str| Name::any(name).unwrap();
        let alarm = |name: &str| Alarm { worker: worker(name), title: String::new(), body: String::new() };
        herald.tell(alarm("a"));
        herald.want(&[worker("a")].into());
        herald.tell(alarm("a"));
        herald.tell(alarm("b"));
        assert_eq!(alarms.try_iter().map(|alarm| alarm.worker).collect::<Vec<_>>(), [worker("a")]);
    }

    #[test]
    fn a_text_is_no_markup() {
        assert_eq!(markup("<b>a</b> & b"), "&lt;b&gt;a&lt;/b&gt; &amp; b");
        assert_eq!(cut(&"é".repeat(500)).chars().count(), MOST);
    }
}

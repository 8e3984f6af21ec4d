//! `liveness` of a kind: a word or a table as `readiness` is, which takes from `readiness` the values that it
//! does not set.

use crate::kind::{Check, HttpPort, Kind, Liveness, LogStream};
use crate::overrides::{set, uses};
use crate::reader::{Reader, Section, one_of};
use crate::readiness::{TYPES, Type};
use crate::scalar::duration_ms;
use serde::{Deserialize, Serialize};

/// The liveness settings of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct LivenessOverrides {
    look: Option<Look>,
    interval_ms: Option<u64>,
    timeout_ms: Option<u64>,
    failures: Option<u32>,
    successes: Option<u32>,
    restart: Option<bool>,
    /// A table without a type says how to use the existing check, or else that of readiness.
    any_type: bool,
}

/// The check as far as the table sets it; readiness supplies the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Look {
    None,
    Handshake,
    Notify,
    Http { path: Option<String>, status: Option<u16>, port: Option<HttpPort> },
    Connect { address: Option<String> },
    Log { pattern: Option<String>, stream: Option<LogStream> },
    Delay { for_ms: Option<u64> },
}

impl Look {
    /// Returns the whole check; `None` where neither the table nor readiness says enough.
    fn check(&self, kind: &Kind) -> Option<Check> {
        Some(match (self, &kind.readiness.check) {
            (Self::None, _) => Check::None,
            (Self::Handshake, _) => Check::Handshake,
            (Self::Notify, _) => Check::Notify,
            (Self::Http { path, status, port }, of) => {
                let (ready_path, ready_status, ready_port) = if let Check::Http { path, status, port } = of {
                    (path.as_str(), *status, *port)
                } else if uses(kind, "{port}") {
                    ("/", 200, HttpPort::Given)
                } else {
                    ("/", 200, HttpPort::Discover)
                };
                Check::Http {
                    path: path.clone().unwrap_or_else(|| ready_path.to_owned()),
                    status: status.unwrap_or(ready_status),
                    port: port.unwrap_or(ready_port),
                }
            }
            (Self::Delay { for_ms: Some(for_ms) }, _) | (Self::Delay { .. }, Check::Delay { for_ms }) => {
                Check::Delay { for_ms: *for_ms }
            }
            (Self::Connect { address: Some(address) }, _)
            | (Self::Connect { .. }, Check::Connect { address }) => {
                Check::Connect { address: address.clone() }
            }
            (Self::Log { pattern: Some(pattern), stream }, _) => {
                Check::Log { pattern: pattern.clone(), stream: *stream }
            }
            (Self::Connect { .. } | Self::Log { .. } | Self::Delay { .. }, _) => return None,
        })
    }
}

impl LivenessOverrides {
    pub(super) fn lay_over(&self, kind: &mut Kind) {
        let check = match &self.look {
            Some(look) => look.check(kind),
            None if self.any_type => {
                let before = kind.liveness.as_ref().map(|liveness| liveness.check.clone());
                Some(before.unwrap_or_else(|| kind.readiness.check.clone()))
            }
            None => return,
        };
        let Some(check) = check.filter(|check| *check != Check::None) else {
            kind.liveness = None;
            return;
        };
        let mut liveness = kind.liveness.take().unwrap_or(Liveness {
            check: Check::None,
            interval_ms: 10_000,
            timeout_ms: 2_000,
            failures: 3,
            successes: 1,
            restart: false,
        });
        liveness.check = check;
        set(&mut liveness.interval_ms, self.interval_ms);
        set(&mut liveness.timeout_ms, self.timeout_ms);
        set(&mut liveness.failures, self.failures);
        set(&mut liveness.successes, self.successes);
        set(&mut liveness.restart, self.restart);
        kind.liveness = Some(liveness);
    }
}

impl<'t> Reader<'t> {
    pub(super) fn liveness(&mut self, section: &Section<'_, 't>) -> LivenessOverrides {
        let mut into = LivenessOverrides::default();
        let Some(item) = section.get("liveness") else { return into };
        let key = section.key_of("liveness");
        if item.get_ref().is_str() {
            let found = self.word(section, "liveness", &TYPES);
            self.found(format!("{key}.type"), item.span().start);
            into.look = found.map(bare);
            return into;
        }
        let Some(table) = self.as_section(item, key) else { return into };
        let known = [
            "type",
            "interval",
            "timeout",
            "failures",
            "successes",
            "restart",
            "path",
            "status",
            "port",
            "address",
            "pattern",
            "stream",
            "for",
        ];
        self.only(&table, &known, &[]);
        into.interval_ms = self.parsed(&table, "interval", duration_ms);
        into.timeout_ms = self.parsed(&table, "timeout", duration_ms);
        into.failures = self.number(&table, "failures", 1..=1_000);
        into.successes = self.number(&table, "successes", 1..=1_000);
        into.restart = self.flag(&table, "restart");
        into.any_type = table.get("type").is_none();
        match self.parsed(&table, "type", |text| one_of(text, &TYPES)) {
            Some(found) => {
                self.foreign_keys(&table, "liveness", Some(found));
                into.look = Some(self.look(found, &table));
            }
            None if into.any_type => self.foreign_keys(&table, "liveness", None),
            None => {}
        }
        into
    }

    fn look(&mut self, found: Type, table: &Section<'_, 't>) -> Look {
        match found {
            Type::None | Type::Handshake | Type::Notify => bare(found),
            Type::Delay => Look::Delay { for_ms: self.parsed(table, "for", duration_ms) },
            Type::Http => Look::Http {
                path: self.http_path(table),
                status: self.http_status(table),
                port: self.http_port(table),
            },
            Type::Connect => Look::Connect { address: self.connect_address(table) },
            Type::Log => Look::Log { pattern: self.log_pattern(table), stream: self.log_stream(table) },
        }
    }

    /// Refuses a check that neither the table nor readiness completes. A check that passes only once does not
    /// count: no worker would stay well for longer than a few intervals. `looked_at`: the kind had a check
    /// before this one.
    pub(super) fn lively(
        &mut self,
        section: &Section<'_, 't>,
        said: &LivenessOverrides,
        kind: &Kind,
        looked_at: bool,
    ) {
        let Some(item) = section.get("liveness") else { return };
        let says = |name: &str| item.get_ref().as_table().is_some_and(|table| table.get(name).is_some());
        let ready = &kind.readiness.check;
        let (name, once, example) = match said.look.as_ref().filter(|look| look.check(kind).is_none()) {
            Some(Look::Connect { .. }) if !says("address") => ("address", false, CONNECT),
            Some(Look::Log { .. }) if !says("pattern") => {
                ("pattern", matches!(ready, Check::Log { .. }), LINE)
            }
            Some(Look::Delay { .. }) if !says("for") => ("for", false, "for = \"1s\""),
            None if said.any_type && !looked_at && *ready == Check::None => ("type", false, HTTP),
            None if said.any_type && !looked_at && ready.comes_once() => ("type", true, another(ready)),
            Some(_) | None => return,
        };
        let why = if once {
            "for what readiness looks at comes once, at the start"
        } else {
            "which readiness does not say"
        };
        let message = format!("it needs `{name}`, {why}; such as {example}");
        self.problem(item.span().start, section.key_of("liveness"), message);
    }
}

const HTTP: &str = "type = \"http\"";
const CONNECT: &str = "address = \"127.0.0.1:{port}\"";
const LINE: &str = "pattern = \"^alive\"";

/// Names checks that can be repeated where the one of readiness can't.
const fn another(ready: &Check) -> &'static str {
    match ready {
        Check::Handshake => "type = \"connect\", address = \"unix:{socket}\"",
        Check::Log { .. } => "type = \"log\", pattern = \"^alive\"",
        Check::None | Check::Delay { .. } | Check::Notify | Check::Http { .. } | Check::Connect { .. } => {
            HTTP
        }
    }
}

/// Returns a type without any further settings.
const fn bare(found: Type) -> Look {
    match found {
        Type::None => Look::None,
        Type::Handshake => Look::Handshake,
        Type::Notify => Look::Notify,
        Type::Http => Look::Http { path: None, status: None, port: None },
        Type::Connect => Look::Connect { address: None },
        Type::Log => Look::Log { pattern: None, stream: None },
        Type::Delay => Look::Delay { for_ms: None },
    }
}

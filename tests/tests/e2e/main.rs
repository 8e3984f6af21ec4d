//! End-to-end tests with the real binaries, one file per behaviour, in one program so that it is linked once.
#![allow(missing_docs, reason = "a test has no interface")]

mod cgroups;
mod cli;
mod config;
mod doctor;
mod ensure;
mod events;
mod external;
mod faults;
mod frames;
mod graph;
mod graph_lock;
mod handshake;
mod healing;
mod instance;
mod liveness;
mod logs;
mod names;
mod nuke;
mod orphans;
mod owners;
mod python;
mod readiness;
mod recovery;
mod replaced;
mod resources;
mod runtime_dir;
mod servers;
mod sockets;
mod spawn;
mod stop;
mod stop_ways;
mod syscalls;
mod unlocked;
mod who;
mod whose;

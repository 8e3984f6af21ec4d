//! Rules about the machine on which gob's programs must agree.
//!
//! Keeper, supervisor and clients are different processes, and each resolves the same directories, reads the
//! same `/proc`, judges the same files and finds the same programs. A rule written down twice would drift, so
//! it lives here. This crate knows no protocol, keeps no state and never waits.
//!
//! | module | rule |
//! |---|---|
//! | [`dirs`] | where gob's files are |
//! | [`private`] | which directories gob may use |
//! | [`process`] | what `/proc` tells of a process |
//! | [`children`] | how a process ends its own children |
//! | [`locks`] | which process holds a flock |
//! | [`lock_file`] | how the supervisor's lock file is made and written |
//! | [`passwd`] | the users of this machine |
//! | [`address`] | the address of a socket, however long its path |
//! | [`script`] | whether a script's interpreter is missing |
//! | [`siblings`] | where gob's other programs are |
//! | `config` | how the configuration's files are read (feature `config`) |
//! | `gobfile` | how a project file is read (feature `config`) |

pub mod address;
pub mod children;
#[cfg(feature = "config")]
pub mod config;
pub mod dirs;
#[cfg(feature = "config")]
pub mod gobfile;
pub mod lock_file;
pub mod locks;
pub mod passwd;
pub mod private;
pub mod process;
pub mod script;
pub mod siblings;

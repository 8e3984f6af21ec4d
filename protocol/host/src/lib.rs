//! The rules about the machine on which gob's programs have to agree.
//!
//! Keeper, supervisor and clients are different processes, and each resolves the same directories, reads the same `/proc`,
//! judges the same files and looks for the same programs. A rule that stood in two of them would drift; it stands here.
//! Nothing here knows a protocol, keeps state or waits.
//!
//! | module | rule |
//! |---|---|
//! | [`dirs`] | where gob's files are |
//! | [`private`] | which directories gob may use |
//! | [`process`] | what `/proc` tells of a process |
//! | [`locks`] | which process holds a flock |
//! | [`address`] | the address of a socket, however long its path |
//! | [`siblings`] | where gob's other programs are |
//! | `config` | how the configuration's files are read (feature `config`) |

pub mod address;
#[cfg(feature = "config")]
pub mod config;
pub mod dirs;
pub mod locks;
pub mod private;
pub mod process;
pub mod siblings;

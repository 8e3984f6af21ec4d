//! The environment that a start carries to its worker.

use crate::context::Context;
use gob_client::protocol::Env;

/// This process's whole environment. The wire is UTF-8: other variables are left out, and that is said.
pub(crate) fn environment(context: &Context) -> Env {
    let mut env = Env::default();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => env.set(name, value),
            (Ok(name), Err(_)) => {
                context.note(&format!("warning: the value of {name} is not UTF-8; it is not handed on"))
            }
            (Err(name), _) => {
                let name = name.to_string_lossy();
                context.note(&format!("warning: the variable {name} is not UTF-8; it is not handed on"));
            }
        }
    }
    env
}

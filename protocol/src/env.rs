//! Environment variables, which must never reach a view, an event, the journal or a log (PROTOCOL 6).
//!
//! [`Env`] deliberately has no `Serialize`: a view or an event that held one would not compile. The two ways out are
//! [`Env::serialize_in_request`], which only the request types name, and [`Env::serialize_in_state`], which only the core does.
//!
//! ```compile_fail,E0277
//! #[derive(serde::Serialize)]
//! struct View {
//!     env: gob_protocol::Env,
//! }
//! ```

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;

/// Environment variables by name. `Debug` shows their number, never their names or values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// Returns the value of one variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a variable. A name that is empty or holds `=` or NUL, or a value with NUL, can't be handed to a
    /// process and is ignored.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        if is_valid(&name, &value) {
            self.0.insert(name, value);
        }
    }

    /// Removes a variable.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Returns all variables, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Writes the variables into a request, the only message that carries them.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize_in_request<S: Serializer>(env: &Option<Self>, serializer: S) -> Result<S::Ok, S::Error> {
        env.as_ref().map(|env| &env.0).serialize(serializer)
    }

    /// Writes the variables into the state that one supervisor hands to the next, in memory that no other program reads.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize_in_state<E: Borrow<Self>, S: Serializer>(
        env: &Option<E>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        env.as_ref().map(|env| &env.borrow().0).serialize(serializer)
    }
}

fn is_valid(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(vars: I) -> Self {
        let mut env = Self::default();
        for (name, value) in vars {
            env.set(name, value);
        }
        env
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Env({} variables)", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Env {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Vars;
        impl<'de> Visitor<'de> for Vars {
            type Value = Env;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of environment variables")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Env, A::Error> {
                let mut env = Env::default();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if !is_valid(&name, &value) {
                        return Err(A::Error::custom(format_args!(
                            "{name:?} can't be an environment variable"
                        )));
                    }
                    if env.0.insert(name, value).is_some() {
                        return Err(A::Error::custom("the same environment variable twice"));
                    }
                }
                Ok(env)
            }
        }
        deserializer.deserialize_map(Vars)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        let env: Env = [("SECRET", "hunter2")].into_iter().collect();
        assert_eq!(format!("{env:?}"), "Env(1 variables)");
    }

    #[test]
    fn set_ignores_names_and_values_that_no_process_can_take() {
        for bad in
            [r#"{"A":"1","A":"2"}"#, r#"{"":"1"}"#, r#"{"A=B":"1"}"#, r#"{"A":"\u0000"}"#, r#"{"A":1}"#]
        {
            assert!(serde_json::from_str::<Env>(bad).is_err(), "{bad}");
        }
    }
}

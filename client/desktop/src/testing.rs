//! Workers for tests.

use gob_client::View;
use gob_client::screen::sample;
use serde_json::{Value, json};

/// Returns a worker of the window's own that is ready, with these changes.
pub(crate) fn view(name: &str, changes: Value) -> View {
    let mut fields = json!({"owner": "desktop"});
    for (key, value) in changes.as_object().unwrap() {
        fields[key] = value.clone();
    }
    sample(name, &fields).unwrap()
}

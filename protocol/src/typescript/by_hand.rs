//! Schemas of the types that read and write themselves.

use crate::cursor::Cursor;
use crate::env::Env;
use crate::event::{Actor, ClientActor};
use crate::history::Rate;
use crate::time::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

macro_rules! by_hand {
    ($($type:ty, $name:literal, $of:ident => $schema:expr;)*) => {
        $(impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($of: &mut SchemaGenerator) -> Schema {
                $schema
            }
        })*
    };
}

by_hand! {
    Timestamp, "Timestamp", _of => json_schema!({
        "type": "string", "description": "A time as RFC 3339, in UTC, with milliseconds."
    });
    Cursor, "Cursor", _of => json_schema!({
        "type": "string", "description": "A place in the history, `INSTANCE:SEQ`."
    });
    Rate, "Rate", _of => json_schema!({"type": "number", "description": "A share, from 0 to 1."});
    Env, "Env", _of => json_schema!({
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "string"}, {"not": {}}]},
        "description": "Environment variables; `process.env` is one. Undefined values are left out."
    });
    Actor, "Actor", of => {
        let client = of.subschema_for::<ClientActor>();
        json_schema!({
            "anyOf": [{"const": "supervisor"}, client],
            "description": "The cause of a change: the supervisor itself, or a client's request."
        })
    };
}

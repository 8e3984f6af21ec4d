//! The requests as data: for the answer to `requests`, the answer to an unknown type, and the table of
//! `REQUESTS.md`.

use serde::Serialize;

/// One type of request, in the words of `REQUESTS.md`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Entry {
    /// The type.
    #[serde(rename = "type")]
    pub(crate) name: &'static str,
    /// Its effect, in a few words.
    pub(crate) about: &'static str,
    /// The fields of its payload.
    pub(crate) fields: &'static [&'static str],
    /// The payload; `?` marks optional fields.
    pub(crate) payload: &'static str,
    /// The data of its response.
    pub(crate) data: &'static str,
}

/// The data of `requests`.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    /// All requests.
    pub(crate) requests: &'static [Entry],
}

/// All requests, in the order of the document.
pub(crate) const REQUESTS: &[Entry] = &[
    Entry {
        name: "ping",
        about: "Answers at once",
        fields: &[],
        payload: "",
        data: "`{pong:true, uptime_ms}`",
    },
    Entry {
        name: "put",
        about: "Puts nodes and edges, all or none",
        fields: &["nodes", "edges"],
        payload: "`nodes?:[{id,label?,properties?}]`, `edges?:[{from,to,type,properties?}]`",
        data: "`{nodes, edges}`, how many were put",
    },
    Entry {
        name: "get",
        about: "Reads nodes by id",
        fields: &["id", "ids"],
        payload: "`id`, or `ids` (10,000 at most)",
        data: "`{node}`, null if there is none; or `{nodes, missing}`",
    },
    Entry {
        name: "stats",
        about: "Counts nodes, edges, labels and types",
        fields: &[],
        payload: "",
        data: "`{nodes, edges, file_bytes, wal_bytes, labels:[{name,count}], types:[{name,count}], truncated}`",
    },
    Entry {
        name: "delete",
        about: "Deletes nodes and edges, all or none",
        fields: &["nodes", "edges"],
        payload: "`nodes?:[id]`, `edges?:[{from,to,type}]`",
        data: "`{nodes, edges}`, how many are gone",
    },
    Entry {
        name: "neighbors",
        about: "Finds what is around a node",
        fields: &["id", "direction", "type", "depth", "limit"],
        payload: "`id`, `direction?`, `type?`, `depth?`, `limit?`",
        data: "`{nodes:[node and depth], edges, truncated}`",
    },
    Entry {
        name: "path",
        about: "Finds a shortest path",
        fields: &["from", "to", "type", "direction", "max_depth"],
        payload: "`from`, `to`, `type?`, `direction?`, `max_depth?`",
        data: "`{path:{length,nodes,edges}, truncated}`; `path` null if there is none",
    },
    Entry {
        name: "search",
        about: "Finds nodes by their words",
        fields: &["text", "limit"],
        payload: "`text`, `limit?`",
        data: "`{hits:[{node,score}], truncated}`, best first",
    },
    Entry {
        name: "query",
        about: "Runs one SQL statement that only reads",
        fields: &["sql", "params", "limit", "timeout_ms"],
        payload: "`sql`, `params?`, `limit?`, `timeout_ms?`",
        data: "`{columns, rows, truncated}`",
    },
    Entry { name: "import_begin", about: "Opens an import", fields: &[], payload: "", data: "`{}`" },
    Entry {
        name: "import_lines",
        about: "Adds lines to the import",
        fields: &["lines"],
        payload: "`lines`",
        data: "`{lines}`, how many came so far",
    },
    Entry {
        name: "import_end",
        about: "Puts all lines of the import",
        fields: &[],
        payload: "",
        data: "`{nodes, edges}`, how many were put",
    },
    Entry { name: "import_abort", about: "Drops the import", fields: &[], payload: "", data: "`{}`" },
    Entry {
        name: "export",
        about: "Sends the whole graph as lines",
        fields: &[],
        payload: "",
        data: "`{nodes, edges}`, after the frames with the lines",
    },
    Entry {
        name: "requests",
        about: "Lists these requests",
        fields: &[],
        payload: "",
        data: "`{requests:[{type,about,fields,payload,data}]}`, this table",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::Request;
    use gob_protocol::envelope::parse_requests;

    #[test]
    fn the_documents_table_equals_the_catalog() {
        let document = include_str!("../../REQUESTS.md");
        let (_, table) = document.split_once("| request | payload | data |\n|---|---|---|\n").unwrap();
        let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
        let expected = REQUESTS.iter().map(|entry| {
            let payload =
                if entry.payload.is_empty() { String::new() } else { format!("{} ", entry.payload) };
            format!("| `{}` | {payload}| {} |", entry.name, entry.data)
        });
        assert_eq!(rows, expected.collect::<Vec<_>>());
    }

    #[test]
    fn each_request_is_read_and_takes_the_fields_that_it_names() {
        for entry in REQUESTS {
            let line = format!(r#"{{"type":"{}","payload":{{"no such field":1}}}}"#, entry.name);
            let rejected = parse_requests::<Request<'_>>(line.as_bytes()).unwrap_err().error;
            let (_, expected) = rejected.message.split_once("unknown field `no such field`, ").unwrap();
            let named: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
            assert_eq!(named, entry.fields, "{}: {}", entry.name, rejected.message);
        }
    }

    #[test]
    fn an_unknown_type_is_answered_with_the_known_ones() {
        let refused = |name: &str| {
            parse_requests::<Request<'_>>(format!(r#"{{"type":"{name}"}}"#).as_bytes()).unwrap_err().error
        };
        let error = refused("serch");
        assert!(error.hint.as_ref().unwrap().starts_with("did you mean `search`? There are: ping, put, "));
        let types: Vec<&str> = REQUESTS.iter().map(|entry| entry.name).collect();
        assert_eq!(error.details.unwrap()["types"], serde_json::json!(types));
        assert!(refused("help").hint.unwrap().starts_with("there are: ping, put, get, "));
    }
}

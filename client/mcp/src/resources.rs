//! Workers' logs as resources: `gob://workers/NAME/log`.

use crate::call::Shared;
use crate::output::{Wanted, find, read_of};
use crate::refusal::Refusal;
use crate::tools::MAX_BYTES;
use gob_client::Name;
use gob_client::call::List;
use gob_client::protocol::ErrorCode;
use gob_client::screen::said::output_missing;
use rmcp::ErrorData;
use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams, ReadResourceResult, Resource,
    ResourceContents, ResourceTemplate,
};
use std::fmt::Write as _;

const BEFORE: &str = "gob://workers/";
const BEHIND: &str = "/log";
/// Resources of a page.
const PAGE: u32 = 100;
/// Lines of a resource, as far as they fit.
const LINES: usize = 5_000;

/// Returns the address of a worker's log. Bytes that an address does not take as they are, are encoded (RFC 3986, 2.1).
pub(crate) fn uri(name: &Name) -> String {
    let mut uri = BEFORE.to_owned();
    for byte in name.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").ok();
        }
    }
    uri + BEHIND
}

/// Returns the worker of an address.
fn worker(uri: &str) -> Option<Name> {
    let encoded = uri.strip_prefix(BEFORE)?.strip_suffix(BEHIND)?;
    let (mut bytes, mut rest) = (Vec::new(), encoded.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let (digits, behind) = rest.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits)
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = behind;
        } else if *first == b'/' {
            return None;
        } else {
            bytes.push(*first);
        }
    }
    Name::any(&String::from_utf8(bytes).ok()?).ok()
}

fn failed(refusal: &Refusal) -> ErrorData {
    ErrorData::internal_error(refusal.text(), None)
}

/// Returns a page of the logs that there are.
pub(crate) async fn list(
    shared: &Shared,
    page: Option<PaginatedRequestParams>,
) -> Result<ListResourcesResult, ErrorData> {
    let cursor = page.and_then(|page| page.cursor);
    let after = cursor.map(|text| Name::any(&text)).transpose();
    let after =
        after.map_err(|_| ErrorData::invalid_params("the cursor is not one of an earlier page", None))?;
    let filter = List { after, limit: Some(PAGE), ..List::default() };
    let found = shared.link.ask(filter).await.map_err(|error| failed(&error.into()))?;
    let of = |worker: &gob_client::View| {
        let about = format!("The output of the latest run of {} ({}).", worker.name, worker.state);
        Resource::new(uri(&worker.name), worker.name.as_str())
            .with_description(about)
            .with_mime_type("text/plain")
    };
    let mut result = ListResourcesResult::with_all_items(found.workers.iter().map(of).collect());
    result.next_cursor = found.next.map(|next| next.as_str().to_owned());
    Ok(result)
}

/// Returns the form of all addresses.
pub(crate) fn templates() -> ListResourceTemplatesResult {
    let template = ResourceTemplate::new(format!("{BEFORE}{{name}}{BEHIND}"), "log")
        .with_description("The output of a worker's latest run: its last 64 KiB.")
        .with_mime_type("text/plain");
    ListResourceTemplatesResult::with_all_items(vec![template])
}

/// Reads a log.
pub(crate) async fn contents(shared: &Shared, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let missing = |why: &str| {
        let message = format!("{why}; resources/list has those that exist, as {BEFORE}NAME{BEHIND}");
        ErrorData::resource_not_found(message, None)
    };
    let Some(name) = worker(uri) else { return Err(missing("the address is not that of a log")) };
    let (dir, view) = match find(shared, &name).await {
        Ok(found) => found,
        Err(refusal) => {
            let is_missing = refusal.code() == ErrorCode::ServerNotFound.as_str();
            return Err(if is_missing { missing(&refusal.text()) } else { failed(&refusal) });
        }
    };
    let output = read_of(&dir, view.as_ref(), Wanted::end(LINES, MAX_BYTES));
    let output = output.await.map_err(|refusal| failed(&refusal))?;
    let mut text = String::new();
    if output.is_cut || output.cut_at.is_some() {
        text.push_str(&format!("[the end of {} bytes; the tool logs searches all of them]\n", output.total));
    }
    if view.as_ref().is_some_and(|view| output.lacks_end_of(view)) {
        text.push_str(&format!("[{}; the tool status without name says why]\n", output_missing(&name)));
    }
    text.push_str(&output.text(MAX_BYTES));
    let contents = ResourceContents::text(text, uri);
    Ok(ReadResourceResult::new(vec![contents]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_its_name() {
        for (name, want) in [
            ("web", "gob://workers/web/log"),
            ("my graph", "gob://workers/my%20graph/log"),
            ("ä/ö%", "gob://workers/%C3%A4%2F%C3%B6%25/log"),
        ] {
            let name = Name::any(name).unwrap();
            assert_eq!(uri(&name), want);
            assert_eq!(worker(want), Some(name));
        }
        for bad in [
            "",
            "gob://workers//log",
            "gob://workers/a/b/log",
            "gob://workers/%2/log",
            "gob://workers/%zz/log",
            "gob://workers/%+1/log",
            "gob://workers/%ff/log",
            "file:///etc/passwd",
            "gob://workers/a",
        ] {
            assert_eq!(worker(bad), None, "{bad}");
        }
    }
}

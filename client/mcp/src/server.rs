//! The answers of the server to rmcp: who it is, its tools, its resources, and the calls.

use crate::call::{Call, Shared};
use crate::refusal::Refusal;
use crate::{resources, tools};
use gob_client::protocol::suggest::nearest;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, InitializeRequestParams,
    InitializeResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use std::sync::Arc;

/// Told to the model of a client at the begin.
const INSTRUCTIONS: &str = "gob supervises the processes of this user: dev servers, builds, graph servers. Use add for what runs on, \
run for what ends, and logs, ports and status to look; do not start servers in a shell beside it. Workers belong to owners: you \
can use and read all of them, and stop only your own. A refusal says what to call next.";

/// The server of one client.
pub(crate) struct Server {
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Runs a tool in its turn.
    async fn run(
        &self,
        tool: &'static tools::Tool,
        call: Call,
        request: CallToolRequestParams,
    ) -> CallToolResult {
        let places = if tool.waits { &self.shared.waits } else { &self.shared.at_once };
        let place = if tool.waits {
            // Those that wait may do so for minutes: nobody waits for their end.
            places.try_acquire().ok()
        } else {
            places.acquire().await.ok()
        };
        let Some(_place) = place else {
            let message = format!("too many calls of {} and the like wait already", tool.name);
            return Refusal::new("busy", message, "call logs or status meanwhile, and the tool again later")
                .into_result();
        };
        match (tool.run)(call, request.arguments.unwrap_or_default()).await {
            Ok(answer) => answer.into_result(),
            Err(refusal) => refusal.into_result(),
        }
    }
}

fn cancelled(why: &str) -> CallToolResult {
    Refusal::new("cancelled", why, "what was begun goes on: call list for what runs").into_result()
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        let program = Implementation::new("gob", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(capabilities)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
            .with_server_info(program)
            .with_instructions(INSTRUCTIONS)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let result = self.negotiate_initialize(&request)?;
        // The later answers are in the form of the version that was agreed on.
        let mut peer = request;
        peer.protocol_version = result.protocol_version.clone();
        context.peer.set_peer_info(peer);
        Ok(result)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::listed()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = tools::find(&request.name) else {
            let name = crate::refusal::shortened(&request.name, 64);
            let near = nearest(&name, tools::described().map(|tool| tool.name));
            let all: Vec<&str> = tools::described().map(|tool| tool.name).collect();
            let near = near.map_or_else(
                || format!("there are: {}", all.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            return Err(ErrorData::invalid_params(format!("there is no tool {name}; {near}"), None));
        };
        let call = Call::new(self.shared.clone(), &context.peer, context.meta.get_progress_token());
        let result = tokio::select! {
            result = self.run(tool, call, request) => result,
            () = context.ct.cancelled() => cancelled("the client cancelled the call"),
            () = self.shared.over() => cancelled("the input of this server has ended"),
        };
        Ok(CallToolResponse::Complete(result))
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        resources::list(&self.shared, page).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::contents(&self.shared, &request.uri).await.map(ReadResourceResponse::Complete)
    }
}

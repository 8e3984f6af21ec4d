// The tools of `gobctl mcp`, called by the npm package @modelcontextprotocol/sdk: mcp-client.mjs GOBCTL.
// The desktop's worker `site` runs already. Prints `done` as its last line.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const tools = createRequire(join(process.env.GOB_TEST_TOOLS, "npm", "package.json"));
const load = (name) => import(pathToFileURL(tools.resolve(`@modelcontextprotocol/sdk/${name}`)));
const { Client } = await load("client/index.js");
const { StdioClientTransport } = await load("client/stdio.js");

const transport = new StdioClientTransport({ command: process.argv[2], args: ["mcp"], env: process.env });
const client = new Client({ name: "gob-tests", version: "0" });
await client.connect(transport);
assert.equal(client.getServerVersion().name, "gob");

const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
const text = (result) => result.content[0].text;

const listed = await client.listTools();
assert.equal(listed.tools.length, 16);
for (const tool of listed.tools) assert.equal(tool.inputSchema.additionalProperties, false, tool.name);

const heard = [];
const run = await call("run", { command: ["sh", "-c", "echo built; sleep 1.3"], name: "build" }, { onprogress: (told) => heard.push(told) });
assert.match(text(run), /build exited 0[^]*built/);
assert.ok(heard.length > 0 && heard.every((told, at) => at === 0 || told.progress > heard[at - 1].progress), JSON.stringify(heard));

const names = Array.from({ length: 12 }, (_, number) => `j-${number}`);
const runs = await Promise.all(names.map((name) => call("run", { command: ["echo", name], name })));
runs.forEach((result, at) => assert.match(text(result), new RegExp(`${names[at]} exited 0`)));

const refused = await call("stop", { name: "site" });
assert.equal(refused.isError, true);
assert.match(text(refused), /^server-owned-by-other: [^]*owner: desktop\nhint: /);

// A call that its client gives up leaves the server as it was.
const abort = new AbortController();
const long = call("run", { command: ["sleep", "999"], name: "long" }, { signal: abort.signal });
long.catch(() => {});
while (!text(await call("list", {})).includes("long: running"));
abort.abort();
await assert.rejects(long);
assert.match(text(await call("stop", { name: "long" })), /^stopped long/);

const { resources } = await client.listResources();
assert.ok(resources.some(({ uri }) => uri === "gob://workers/build/log"), JSON.stringify(resources));
const read = await client.readResource({ uri: "gob://workers/build/log" });
assert.equal(read.contents[0].text, "built\n");

await client.close();
console.log("done");

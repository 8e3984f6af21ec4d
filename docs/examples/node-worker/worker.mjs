#!/usr/bin/env node
// A graph's worker in Node.js in the shape of Logseq's db-worker-node, as gob runs it: one process for each graph.
//
//   node worker.mjs --graph G --data-dir D --socket PATH      (or --port N)
//
// It speaks HTTP: GET /healthz, POST /v1/invoke {method, args}, GET /v1/events (SSE), POST /v1/shutdown. What it does not have
// is what gob does for it: no lock file (gob runs one process for each graph, and descriptor 63 is the lock), no list of
// servers (the handshake tells the endpoint), no owner, no detaching, no idle timer.
//
// The store is one file of JSON lines, to which each change is appended and which is on the disk before it is answered.
import { open, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { failed, serve } from "gob-client/worker";

const { values } = parseArgs({
  options: {
    graph: { type: "string" },
    "data-dir": { type: "string" },
    socket: { type: "string" },
    port: { type: "string" },
  },
});

/** The notes of one graph: all in memory, each change at the end of the file. */
class Store {
  notes = new Map();
  #file;
  #written = Promise.resolve();

  static async open(path) {
    const store = new Store();
    const text = await readFile(path, "utf8").catch((error) => (error.code === "ENOENT" ? "" : Promise.reject(error)));
    for (const line of text.split("\n").filter(Boolean)) {
      try {
        store.#apply(JSON.parse(line));
      } catch {
        // The last line of a worker that was killed while it wrote; it was never answered.
      }
    }
    store.#file = await open(path, "a", 0o600);
    // Half a line stays a line of its own.
    if (text !== "" && !text.endsWith("\n")) await store.#file.write("\n");
    return store;
  }

  /** Makes a change, after all earlier ones. */
  change(change) {
    const written = this.#written.then(async () => {
      await this.#file.write(`${JSON.stringify(change)}\n`);
      await this.#file.datasync();
      this.#apply(change);
    });
    this.#written = written.catch(() => {});
    return written;
  }

  async close() {
    await this.#written;
    await this.#file.close();
  }

  #apply({ id, text }) {
    if (text === null) this.notes.delete(id);
    else this.notes.set(id, text);
  }
}

const listeners = new Set();

const methods = {
  list: () => [...store.notes].map(([id, text]) => ({ id, text })),
  get: ({ id }) => store.notes.get(id) ?? null,
  async put({ id, text }) {
    await store.change({ id: String(id), text: String(text) });
    tell({ changed: String(id) });
  },
  async remove({ id }) {
    await store.change({ id: String(id), text: null });
    tell({ changed: String(id) });
  },
};

function tell(event) {
  for (const response of listeners) response.write(`data: ${JSON.stringify(event)}\n\n`);
}

function answer(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
}

async function body(request) {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  return JSON.parse(text);
}

const routes = {
  "GET /healthz": (_request, response) => {
    answer(response, 200, { graph: values.graph, status: "ready", pid: process.pid, notes: store.notes.size });
  },
  async "POST /v1/invoke"(request, response) {
    const { method, args = {} } = await body(request);
    if (!Object.hasOwn(methods, method)) return answer(response, 404, { error: `there is no method ${method}` });
    return answer(response, 200, { result: (await methods[method](args)) ?? null });
  },
  "GET /v1/events": (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    response.write(": here\n\n");
    listeners.add(response);
    response.once("close", () => listeners.delete(response));
  },
  "POST /v1/shutdown": (_request, response) => {
    answer(response, 200, { stopping: true });
    process.kill(process.pid, "SIGTERM");
  },
};

const server = createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  if (route === undefined) return answer(response, 404, { error: "not here" });
  return Promise.resolve(route(request, response)).catch((error) => answer(response, 400, { error: error.message }));
});

let store;
try {
  store = await Store.open(join(values["data-dir"], "notes.jsonl"));
} catch (error) {
  await failed(`cannot open the notes: ${error.message}`);
  process.exit();
}

await serve(server, {
  ...(values.socket === undefined ? { port: Number(values.port ?? 0) } : { socket: values.socket }),
  version: "1.0.0",
  meta: { notes: store.notes.size },
  // Clients that listen for events would keep the worker; requests that have begun are answered.
  stop() {
    for (const response of listeners) response.end();
  },
  close: () => store.close(),
});

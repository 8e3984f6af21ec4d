// A window: shows what the main process tells, and calls it. It has no Node.js and no connection of its own.
const { gob } = window;
const byId = (id) => document.getElementById(id);
const item = (text) => Object.assign(document.createElement("li"), { textContent: text });

/** Calls the main process; a refusal is shown in its own words. */
async function call(name, ...args) {
  const { value, error } = await gob.call(name, ...args);
  if (error !== undefined) byId("why").textContent = [error.message, error.hint].filter(Boolean).join(" – ");
  return value;
}

async function showNotes() {
  byId("notes").replaceChildren(...((await call("list")) ?? []).map(({ text }) => item(text)));
}

function show({ graph, state, owner, endpoint, windows, stop, error, isConnected, others }) {
  document.title = graph;
  byId("graph").textContent = graph;
  const words = isConnected ? `${state ?? "not running"}, owned by ${owner ?? "nobody"}, ${windows} in use` : "the supervisor is away";
  byId("state").textContent = error === null ? words : `${words}: ${error}`;
  byId("stop").disabled = byId("hand-over").disabled = !stop.can;
  byId("start").disabled = endpoint !== null;
  byId("why").textContent = stop.why ?? "";
  byId("others").replaceChildren(
    ...others.map((other) => {
      const line = item(`${other.name} (${other.owner}, ${other.state}) `);
      const open = Object.assign(document.createElement("button"), { textContent: `Open ${other.name}` });
      open.onclick = () => call("open", other.name);
      line.append(open);
      return line;
    }),
  );
}

byId("stop").onclick = () => call("stop");
byId("start").onclick = () => call("start");
byId("hand-over").onclick = () => call("handOver", "cli");
byId("form").onsubmit = async (event) => {
  event.preventDefault();
  await call("put", crypto.randomUUID(), byId("text").value);
  byId("text").value = "";
  await showNotes();
};

let shownEndpoint = null;
gob.onTold((state) => {
  show(state);
  // A worker that is back may have other notes.
  if (state.endpoint !== null && shownEndpoint === null) void showNotes();
  shownEndpoint = state.endpoint;
});
show(await call("state"));
await showNotes();

// An app's part with gob, without Electron: a graph for each window, held by a lease while the window is open.
//
// - A graph that runs already, because the command line or another app started it, is used as it is. What another owner has
//   started can be used and not stopped; the window says so before anybody tries.
// - A window that is closed gives its lease back. Quitting stops what this app started and nobody else holds, and nothing else.
// - A worker or supervisor that dies comes back by itself; the window is told.
import { connect, GobError } from "gob-client";
import { installKind } from "./kind.js";
import { invoke } from "./notes.js";

/** This app's name among the owners of workers. */
export const OWNER = "electron";

export class Desktop {
  #client;
  #model;
  #openWindow;
  /** Windows by their ids, each with its graph. */
  #windows = new Map();

  /** Connects, which starts the supervisor where none runs, and installs the kind of worker that serves this app's graphs. */
  static async start({ openWindow, version }) {
    const client = await connect({ owner: OWNER, client: { name: "notes-app", version } });
    const desktop = new Desktop();
    desktop.#client = client;
    desktop.#openWindow = openWindow;
    await installKind(client);
    // Every worker of this user, whoever started it: the list in each window.
    desktop.#model = await client.model();
    desktop.#model.on("change", () => desktop.#tellAll());
    return desktop;
  }

  /** Opens a window on a graph, and brings the graph up. */
  async open(name) {
    const window = this.#openWindow();
    const graph = this.#client.graph(name, { kind: "notes" });
    const shown = { window, graph, error: null };
    this.#windows.set(window.id, shown);
    window.onClosed(() => void this.#closed(window.id));
    graph.on("ready", () => this.#tell(shown, null));
    graph.on("unhealthy", () => this.#tell(shown, "its worker does not answer"));
    // Clients of the old endpoint have nothing there any more; the calls below always take the present one.
    graph.on("moved", () => this.#tell(shown, null));
    // Its owner or its leases, for instance.
    graph.on("changed", () => this.#tell(shown, shown.error));
    graph.on("gone", (_worker, error) => this.#tell(shown, error === null ? null : inWords(error)));
    await this.#ensure(shown);
    return window;
  }

  /** A call of a window. What fails comes back as words, since an error loses its code on the way to a window. */
  async call(id, name, args) {
    const shown = this.#windows.get(id);
    const call = Object.hasOwn(this.#calls, name) ? this.#calls[name] : undefined;
    if (shown === undefined || call === undefined) return { error: { code: "usage", message: `there is no call ${name}` } };
    try {
      return { value: (await call(shown, ...args)) ?? null };
    } catch (error) {
      const { code, message, hint } = GobError.is(error) ? error : { code: "failed", message: error.message, hint: null };
      return { error: { code, message, hint } };
    }
  }

  /** Lets go of everything. Workers of others, and those that others hold, go on. */
  async quit() {
    const all = [...this.#windows.values()];
    this.#windows.clear();
    await Promise.all(all.map(({ graph }) => graph.release()));
    for (const name of new Set(all.map(({ graph }) => graph.name))) {
      const { worker } = await this.#client.get({ name }).catch(() => ({ worker: null }));
      if (worker?.owned && worker.leases === 0 && worker.pid !== null) await this.#client.stop({ name }).catch(() => {});
    }
    await this.#client.close();
  }

  #calls = {
    state: (shown) => this.#state(shown),
    open: async (_shown, name) => void (await this.open(name)),
    // Starts it where its owner has stopped it.
    start: (shown) => this.#ensure(shown),
    stop: ({ graph }) => this.#client.stop({ name: graph.worker?.name ?? graph.name }),
    handOver: ({ graph }, to) => this.#client.handOver({ name: graph.worker?.name ?? graph.name, to }),
    list: ({ graph }) => this.#notes(graph, "list"),
    put: ({ graph }, id, text) => this.#notes(graph, "put", { id, text }),
    remove: ({ graph }, id) => this.#notes(graph, "remove", { id }),
  };

  /** Asks the graph's worker, wherever it is now. */
  async #notes(graph, method, args = {}) {
    // What its owner has stopped is not started by reading: the window has a button for that.
    if (graph.endpoint === null) throw new Error(`${graph.name} does not run`);
    return invoke(graph.endpoint, method, args);
  }

  async #ensure(shown) {
    try {
      await shown.graph.ensure();
      this.#tell(shown, null);
    } catch (error) {
      this.#tell(shown, inWords(error));
    }
  }

  async #closed(id) {
    const shown = this.#windows.get(id);
    this.#windows.delete(id);
    await shown?.graph.release();
  }

  #tell(shown, error) {
    shown.error = error;
    shown.window.send(this.#state(shown));
  }

  #tellAll() {
    for (const shown of this.#windows.values()) shown.window.send(this.#state(shown));
  }

  /** The contents of a window. */
  #state({ graph, error }) {
    const { worker } = graph;
    return {
      graph: graph.name,
      endpoint: graph.endpoint,
      state: worker?.state ?? null,
      owner: worker?.owner ?? null,
      windows: worker?.leases ?? 0,
      stop: mayStop(worker),
      error: graph.endpoint === null ? (error ?? end(worker)) : null,
      isConnected: this.#model.isConnected,
      others: [...this.#model.values()].filter(({ kind }) => kind === "notes").map(({ name, owner, state }) => ({ name, owner, state })),
    };
  }
}

/** All that an error tells people; of a worker that failed, the last lines of its output, too. */
function inWords({ message, hint, details }) {
  const first = [message, hint].filter(Boolean).join(" – ");
  return [first, ...(details?.last_lines ?? [])].join("\n");
}

/** How a worker has ended. Its reason is null where there is no more to say than its exit, which is there once it has ended. */
function end(worker) {
  if (worker === null || worker.state === "starting") return null;
  const { reason, exit } = worker;
  if (reason !== null || exit === null) return reason;
  if ("code" in exit) return `its worker has ended with exit code ${exit.code}`;
  return "signal" in exit ? `its worker was ended by ${exit.signal}` : "its worker has ended";
}

/** Whether this app may stop a worker; where it may not, why. */
function mayStop(worker) {
  if (worker === null || worker.pid === null) return { can: false, why: "it does not run" };
  if (worker.owned) return { can: true, why: null };
  if (worker.state === "external") return { can: false, why: "held by a process that gob did not start" };
  return { can: false, why: `owned by ${worker.owner}: you can use it, not stop it` };
}

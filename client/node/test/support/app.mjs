// The main process of docs/examples/electron-app, run by Node with stand-in windows.
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { until } from "./gob.mjs";

/** The app, run by Node. */
export class App {
  windows = [];
  #calls = 0;
  #answers = new Map();
  #states = new Map();

  constructor(gob, folder, graph = "diary") {
    this.child = fork(join(folder, "main.js"), [graph], { env: gob.env, stdio: ["ignore", "inherit", "inherit", "ipc"] });
    gob.kills(this.child);
    this.ended = once(this.child, "exit");
    this.child.on("message", ({ opened, told, message, answer, value }) => {
      if (opened) this.windows.push(opened);
      if (told) this.#states.set(told, message);
      if (answer) this.#answers.get(answer)(value);
    });
  }

  /** The state that a window was told last, once it is as wanted. */
  state(of, wanted) {
    const found = () => this.#states.get(this.windows[of]);
    return until(() => `${wanted}: ${JSON.stringify(found())}`, () => found() && wanted(found()) && found());
  }

  /** The result of a window's call: `{value}` or `{error}`. */
  call(of, ...args) {
    const call = (this.#calls += 1);
    const answered = new Promise((resolve) => this.#answers.set(call, resolve));
    this.child.send({ call, window: this.windows[of], args });
    return answered;
  }

  /** Opens another window. */
  async open(graph) {
    const { error } = await this.call(0, "open", graph);
    assert.equal(error, undefined);
  }

  close(of) {
    this.child.send({ close: this.windows[of] });
  }

  async quit() {
    this.child.send({ quit: true });
    assert.deepEqual(await this.ended, [0, null]);
  }
}

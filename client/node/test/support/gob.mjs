// A gob of a test's own: directories, programs, and at the end no process left.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { program } from "./programs.mjs";

/** Longest wait for something that happens soon; a busy machine takes its time. */
export const DEADLINE_MS = Number(process.env.GOB_TEST_DEADLINE_MS ?? 30_000);

/** Returns what `look` returns once that is neither null, undefined nor false. */
export async function until(what, look, deadlineMs = DEADLINE_MS) {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() >= end) assert.fail(`never: ${typeof what === "function" ? what() : what}`);
    await pause(10);
  }
}

/** Whether a process lives. */
export function lives(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}

/** The command line of a process. */
function words(pid) {
  try {
    return `${pid} ${fs.readFileSync(`/proc/${pid}/cmdline`, "latin1").replace(/\0/g, " ")}`;
  } catch {
    return pid;
  }
}

export class Gob {
  constructor(t) {
    this.dir = fs.mkdtempSync(join(tmpdir(), "gobn-"));
    const bin = dirname(program("gobctl"));
    this.env = {
      PATH: [bin, dirname(process.execPath), process.env.PATH].join(":"),
      HOME: this.dir,
      LANG: "C.UTF-8",
      GOB_LIBEXEC: bin,
      GOB_RUNTIME_DIR: join(this.dir, "run"),
      GOB_STATE_DIR: join(this.dir, "state"),
      GOB_DATA_DIR: join(this.dir, "data"),
      XDG_CONFIG_HOME: join(this.dir, "config"),
    };
    this.children = [];
    this.alive = setInterval(() => {}, 1_000);
    t.after(() => this.end());
  }

  /** Has this process itself, and thus the client in it, use these directories. One such gob at a time. */
  adopt() {
    for (const name of Object.keys(process.env)) if (name.startsWith("GOB_") || name.startsWith("XDG_")) delete process.env[name];
    Object.assign(process.env, this.env);
    return this;
  }

  /** Adds a file to the configuration. */
  config(text, name = "config.toml") {
    const path = join(this.dir, "config/gob", name);
    fs.mkdirSync(dirname(path), { recursive: true });
    fs.writeFileSync(path, text, { mode: 0o644 });
    return this;
  }

  /** Runs gobctl; `{code, stdout, stderr}`. */
  run(...args) {
    return new Promise((resolve) => {
      const options = { env: this.env, cwd: this.dir, maxBuffer: 64 << 20, timeout: 60_000 };
      execFile(join(this.env.GOB_LIBEXEC, "gobctl"), args, options, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : (error.code ?? error.signal), stdout, stderr });
      });
    });
  }

  /** Runs gobctl, which has to succeed, and returns its output. */
  async ctl(...args) {
    const { code, stdout, stderr } = await this.run(...args);
    assert.equal(code, 0, `gobctl ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  }

  /** Runs gobctl with --json, and returns its document. */
  async json(...args) {
    return JSON.parse(await this.ctl(...args, "--json"));
  }

  /** The view of a worker. */
  async worker(name) {
    return (await this.json("list")).workers.find((worker) => worker.name === name);
  }

  /** Kills gobd with -9, and returns when its keeper has another one serving. */
  async killSupervisor() {
    const { pid, instance } = await this.json("status");
    process.kill(pid, "SIGKILL");
    await until("another supervisor", async () => {
      const { code, stdout } = await this.run("status", "--json");
      return code === 0 && JSON.parse(stdout).instance !== instance;
    });
  }

  /** Processes that have the directories of this gob. */
  processes() {
    const mark = `GOB_RUNTIME_DIR=${this.env.GOB_RUNTIME_DIR}\0`;
    return fs.readdirSync("/proc").filter((pid) => {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid || !lives(pid)) return false;
      try {
        return `${fs.readFileSync(`/proc/${pid}/environ`, "latin1")}\0`.includes(mark);
      } catch {
        return false;
      }
    });
  }

  /** Has a program end before this gob does. */
  kills(child) {
    this.children.push(child);
    return child;
  }

  async end() {
    clearInterval(this.alive);
    for (const child of this.children) child.kill("SIGKILL");
    // After a test that failed the keeper may be about to start another supervisor, which needs the same.
    await until(() => `the end of ${this.processes().map(words)}`, async () => {
      const { code, stdout, stderr } = await this.run("nuke", "--force");
      assert.equal(code, 0, stdout + stderr);
      await until(() => "an end", () => this.processes().length === 0, 2_000).catch(() => {});
      return this.processes().length === 0;
    });
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

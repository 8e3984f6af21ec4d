// Builds the package twice, as ESM and as CommonJS. A folder's own package.json tells Node how to read its files.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
const builds = [
  { folder: "esm", type: "module", options: ["--module", "nodenext"] },
  { folder: "cjs", type: "commonjs", options: ["--module", "commonjs", "--moduleResolution", "node10"] },
];

rmSync(join(here, "dist"), { recursive: true, force: true });
for (const { folder, type, options } of builds) {
  const out = join(here, "dist", folder);
  mkdirSync(out, { recursive: true });
  execFileSync(process.execPath, [tsc, "-p", here, "--outDir", out, ...options], { stdio: "inherit" });
  writeFileSync(join(out, "package.json"), `${JSON.stringify({ type })}\n`);
}

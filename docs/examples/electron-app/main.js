// The main process: Electron's side of desktop.js, and nothing else.
//
// `npm install && npm start`, with gobctl on PATH or GOB_LIBEXEC set to its directory. Both dependencies are folders of this
// repository, and npm builds and installs nothing in a folder that it links: the `preinstall` script does. An app that has
// them from a registry needs no such script.
import { fileURLToPath } from "node:url";
import { app, BrowserWindow, ipcMain } from "electron";
import { Desktop } from "./desktop.js";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

function openWindow() {
  const window = new BrowserWindow({ width: 900, height: 600, webPreferences: { preload: here("preload.cjs") } });
  void window.loadFile(here("index.html"));
  return {
    id: window.webContents.id,
    // A window may be gone before it is told.
    send: (message) => window.isDestroyed() || window.webContents.send("gob", message),
    onClosed: (call) => window.once("closed", call),
  };
}

await app.whenReady();
const desktop = await Desktop.start({ openWindow, version: app.getVersion() });
ipcMain.handle("gob", (event, name, ...args) => desktop.call(event.sender.id, name, args));

// Windows hold leases; without one the app holds nothing, and ends.
app.on("window-all-closed", () => app.quit());

// Leases are given back before the process ends. A crash gives them back, too.
let hasEnded = false;
app.on("before-quit", (event) => {
  if (hasEnded) return;
  event.preventDefault();
  void desktop.quit().finally(() => {
    hasEnded = true;
    app.quit();
  });
});

await desktop.open(process.argv.slice(1).find((word) => /^[\w-]+$/.test(word)) ?? "diary");
